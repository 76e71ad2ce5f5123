// HTTP dates (RFC 9110 §5.6.7). No locale, no time zone database, no allocation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace reef::proxy::http {

// Unix seconds of one of exactly three forms; nullopt: anything else.
//   Sun, 06 Nov 1994 08:49:37 GMT    IMF-fixdate
//   Sunday, 06-Nov-94 08:49:37 GMT   RFC 850: the latest such year that is not more than 50 years after `now`
//   Sun Nov  6 08:49:37 1994         asctime
// Names of days and months and "GMT" in any letter case; the day's name must be one but need not fit the
// date. `now` in Unix seconds matters for the second form only.
[[nodiscard]] std::optional<std::int64_t> parse_date(std::string_view text, std::int64_t now) noexcept;

// An IMF-fixdate, 29 bytes. Years outside 0..9999 are clamped to that range.
using DateText = std::array<char, 29>;
[[nodiscard]] DateText format_date(std::int64_t unix_seconds) noexcept;
[[nodiscard]] inline std::string_view view(const DateText& date) noexcept {
  return {date.data(), date.size()};
}

}  // namespace reef::proxy::http
