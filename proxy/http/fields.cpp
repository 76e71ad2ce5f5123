#include "proxy/http/fields.h"

#include <array>

namespace reef::proxy::http {
namespace {

enum Class : unsigned char { kToken = 1, kValue = 2 };

constexpr std::array<unsigned char, 256> make_classes() {
  std::array<unsigned char, 256> table{};
  for (unsigned c = 0x20; c < 0x100; ++c) table[c] = kValue;
  table[0x7f] = 0;
  table['\t'] = kValue;
  for (unsigned c = '0'; c <= '9'; ++c) table[c] |= kToken;
  for (unsigned c = 'a'; c <= 'z'; ++c) table[c] |= kToken;
  for (unsigned c = 'A'; c <= 'Z'; ++c) table[c] |= kToken;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<unsigned char>(c)] |= kToken;
  return table;
}
constexpr auto kClasses = make_classes();

bool all_of_class(std::string_view text, unsigned char wanted) noexcept {
  for (const char c : text) {
    if ((kClasses[static_cast<unsigned char>(c)] & wanted) == 0) return false;
  }
  return true;
}

// The end of the list member that starts `text`: the first comma outside a quoted string, or the end.
std::size_t member_end(std::string_view text) noexcept {
  bool in_quotes = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_quotes && c == '\\') {
      ++i;
    } else if (c == '"') {
      in_quotes = !in_quotes;
    } else if (c == ',' && !in_quotes) {
      return i;
    }
  }
  return text.size();
}

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i] && to_lower(a[i]) != to_lower(b[i])) return false;
  }
  return true;
}

bool starts_with_ignoring_case(std::string_view text, std::string_view prefix) noexcept {
  return text.size() >= prefix.size() && equal_ignoring_case(text.substr(0, prefix.size()), prefix);
}

std::optional<std::string_view> find(FieldsView fields, std::string_view name) noexcept {
  for (const Field& field : fields) {
    if (equal_ignoring_case(field.name, name)) return field.value;
  }
  return std::nullopt;
}

std::size_t count(FieldsView fields, std::string_view name) noexcept {
  std::size_t lines = 0;
  for (const Field& field : fields) lines += equal_ignoring_case(field.name, name) ? 1 : 0;
  return lines;
}

std::optional<std::string_view> Members::next() noexcept {
  while (true) {
    while (!line_.empty()) {
      const std::size_t end = member_end(line_);
      const std::string_view member = trim(line_.substr(0, end));
      line_.remove_prefix(end < line_.size() ? end + 1 : end);
      if (!member.empty()) return member;
    }
    while (!fields_.empty() && !equal_ignoring_case(fields_.front().name, name_))
      fields_ = fields_.subspan(1);
    if (fields_.empty()) return std::nullopt;
    line_ = fields_.front().value;
    fields_ = fields_.subspan(1);
  }
}

bool is_token_char(char c) noexcept { return (kClasses[static_cast<unsigned char>(c)] & kToken) != 0; }
bool is_token(std::string_view text) noexcept { return !text.empty() && all_of_class(text, kToken); }
bool is_field_value(std::string_view text) noexcept { return all_of_class(text, kValue); }

std::string_view trim(std::string_view text) noexcept {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

bool is_digits(std::string_view text) noexcept {
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
  }
  return !text.empty();
}

std::optional<std::int64_t> parse_delta_seconds(std::string_view text) noexcept {
  if (!is_digits(text)) return std::nullopt;
  std::int64_t value = 0;
  for (const char c : text) {
    value = value * 10 + (c - '0');
    if (value >= kDeltaSecondsMax) return kDeltaSecondsMax;
  }
  return value;
}

std::optional<std::uint64_t> parse_decimal(std::string_view text) noexcept {
  if (!is_digits(text)) return std::nullopt;
  constexpr std::uint64_t kMax = INT64_MAX;
  std::uint64_t value = 0;
  for (const char c : text) {
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (value > (kMax - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
  }
  return value;
}

std::optional<std::string_view> unquote(std::string_view text) noexcept {
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return std::nullopt;
  const std::string_view inside = text.substr(1, text.size() - 2);
  for (std::size_t i = 0; i < inside.size(); ++i) {
    if (inside[i] == '"') return std::nullopt;
    if (inside[i] == '\\' && ++i == inside.size()) return std::nullopt;  // the last quote was escaped
  }
  return inside;
}

std::optional<Directive> parse_directive(std::string_view member) noexcept {
  const std::size_t equals = member.find('=');
  Directive directive;
  directive.name = member.substr(0, equals);
  if (!is_token(directive.name)) return std::nullopt;
  if (equals == std::string_view::npos) return directive;
  const std::string_view value = member.substr(equals + 1);
  if (const auto inside = unquote(value)) {
    directive.argument = *inside;
    directive.quoted = true;
    return directive;
  }
  // An argument that is neither token nor quoted string ("max-age='5'" is a token, "max-age=" and "max-age=
  // 5" are not) keeps the directive recognisable where that is the safe reading: an invalid lifetime counts
  // as zero.
  if (!value.empty() && (value.front() == ' ' || value.front() == '\t')) return std::nullopt;
  directive.argument = value;
  return directive;
}

bool has_member(FieldsView fields, std::string_view name, std::string_view token) noexcept {
  Members members = combined(fields, name);
  while (const auto member = members.next()) {
    if (equal_ignoring_case(*member, token)) return true;
  }
  return false;
}

}  // namespace reef::proxy::http
