// HTTP message heads as the whole proxy sees them: views over bytes that somebody else owns (RFC 9110 §6.2,
// §6.3).
//
// A parser (proxy/http/parser.h) or a caller with an array of fields makes them; nothing here copies or
// allocates. A head is valid as long as the bytes and the field array it was made from.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace reef::proxy::http {

// One field line. `name` is a token in the letters it arrived in; `value` has no blanks around it and no CR,
// LF or NUL, may be empty, and may hold obs-text (bytes 0x80..0xff, RFC 9110 §5.5).
struct Field {
  std::string_view name;
  std::string_view value;
};

// In order of arrival, repeated names not joined.
using FieldsView = std::span<const Field>;

struct RequestHead {
  std::string_view method;  // case-sensitive token
  std::string_view target;  // request-target as received (RFC 9112 §3.2): see proxy/names/target.h
  int minor_version = 1;    // HTTP/1.x
  FieldsView fields;
};

struct ResponseHead {
  int status = 0;           // 100..999
  std::string_view reason;  // may be empty; obs-text allowed
  int minor_version = 1;
  FieldsView fields;
};

// ASCII only, no locale: names of fields, directives, codings and schemes compare without regard to case.
[[nodiscard]] bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept;

// The value of the first line of that name (any case); nullopt: no such line.
[[nodiscard]] std::optional<std::string_view> find(FieldsView fields, std::string_view name) noexcept;

// How many lines have that name.
[[nodiscard]] std::size_t count(FieldsView fields, std::string_view name) noexcept;

// The members of a list-valued field over all its lines, as if they were joined with ", " (RFC 9110 §5.3,
// §5.6.1): commas inside quoted strings do not split, empty members are skipped, blanks around members are
// dropped. A quoted string that never closes ends at the end of its line. Does not allocate.
//
//   for (auto members = combined(head.fields, "Connection"); auto member = members.next();) ...
class Members {
 public:
  Members(FieldsView fields, std::string_view name) noexcept : fields_(fields), name_(name) {}
  // One value instead of the lines of a field.
  explicit Members(std::string_view line) noexcept : line_(line) {}

  [[nodiscard]] std::optional<std::string_view> next() noexcept;

 private:
  FieldsView fields_;      // the lines not yet looked at
  std::string_view name_;  // empty: there is only line_
  std::string_view line_;  // what is left of the current line
};

[[nodiscard]] inline Members combined(FieldsView fields, std::string_view name) noexcept {
  return {fields, name};
}

}  // namespace reef::proxy::http
