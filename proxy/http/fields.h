// Field syntax (RFC 9110 §5.6): tokens, quoted strings, parameters, delta-seconds. No locale, no allocation.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "proxy/http/head.h"

namespace reef::proxy::http {

// RFC 9110 §5.6.2: visible ASCII without delimiters; not empty.
[[nodiscard]] bool is_token(std::string_view text) noexcept;
[[nodiscard]] bool is_token_char(char c) noexcept;

// What a field value may hold (RFC 9110 §5.5): HTAB, SP, visible ASCII, obs-text. Never CR, LF, NUL or other
// controls.
[[nodiscard]] bool is_field_value(std::string_view text) noexcept;

// Without SP and HTAB at both ends.
[[nodiscard]] std::string_view trim(std::string_view text) noexcept;

[[nodiscard]] bool is_digits(std::string_view text) noexcept;  // one ASCII digit or more

[[nodiscard]] constexpr char to_lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}
[[nodiscard]] bool starts_with_ignoring_case(std::string_view text, std::string_view prefix) noexcept;

// RFC 9111 §1.2.2: digits only, any number of them; larger than 2^31 becomes 2^31. nullopt: anything else.
inline constexpr std::int64_t kDeltaSecondsMax = std::int64_t{1} << 31;
[[nodiscard]] std::optional<std::int64_t> parse_delta_seconds(std::string_view text) noexcept;

// Decimal digits only, at most 2^63-1; nullopt: empty, another character, or too large (Content-Length).
[[nodiscard]] std::optional<std::uint64_t> parse_decimal(std::string_view text) noexcept;

// The inside of a quoted-string that is exactly `text` (still with its backslashes), or nullopt.
[[nodiscard]] std::optional<std::string_view> unquote(std::string_view text) noexcept;

// One member of a directive list such as Cache-Control: name [ "=" ( token / quoted-string ) ].
struct Directive {
  std::string_view name;                     // a token, any case
  std::optional<std::string_view> argument;  // without its quotes
  bool quoted = false;
};
// nullopt: not of that form (blanks around "=", an empty name, a quote in the wrong place).
[[nodiscard]] std::optional<Directive> parse_directive(std::string_view member) noexcept;

// True where one member of the list is this token (any case).
[[nodiscard]] bool has_member(FieldsView fields, std::string_view name, std::string_view token) noexcept;

}  // namespace reef::proxy::http
