#include "proxy/http/builder.h"

#include <charconv>

#include "proxy/http/fields.h"
#include "proxy/http/message.h"

namespace reef::proxy::http {
namespace {

void append_number(std::string& out, std::uint64_t value) {
  char digits[20];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

}  // namespace

HeadBuilder& HeadBuilder::status(int code, std::string_view reason) {
  out_ += "HTTP/1.1 ";
  append_number(out_, static_cast<std::uint64_t>(code));
  out_ += ' ';
  out_ += reason.empty() || !is_field_value(reason) ? reason_phrase(code) : reason;
  out_ += "\r\n";
  return *this;
}

HeadBuilder& HeadBuilder::request(std::string_view method, std::string_view target) {
  const bool sound = is_token(method) && !target.empty() && is_field_value(target) &&
                     target.find_first_of(" \t") == std::string_view::npos;
  if (!sound) {
    ok_ = false;
    return *this;
  }
  out_ += method;
  out_ += ' ';
  out_ += target;
  out_ += " HTTP/1.1\r\n";
  return *this;
}

HeadBuilder& HeadBuilder::field(std::string_view name, std::string_view value) {
  if (!is_token(name) || !is_field_value(value)) {
    ok_ = false;
    return *this;
  }
  out_ += name;
  out_ += ": ";
  out_ += value;
  out_ += "\r\n";
  return *this;
}

HeadBuilder& HeadBuilder::field(std::string_view name, std::uint64_t value) {
  out_ += name;
  out_ += ": ";
  append_number(out_, value);
  out_ += "\r\n";
  return *this;
}

HeadBuilder& HeadBuilder::date(std::string_view name, std::int64_t unix_seconds) {
  const DateText text = format_date(unix_seconds);
  return field(name, view(text));
}

HeadBuilder& HeadBuilder::lines(std::string_view block) {
  out_ += block;
  return *this;
}

bool FieldLines::next(std::string_view& name, std::string_view& value, std::string_view& line) noexcept {
  const std::size_t end = rest_.find("\r\n");
  if (end == std::string_view::npos) return false;
  line = rest_.substr(0, end + 2);
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return false;
  name = line.substr(0, colon);
  value = trim(line.substr(colon + 1, end - colon - 1));
  rest_.remove_prefix(end + 2);
  return true;
}

std::vector<Field> fields_of(std::string_view block) {
  std::vector<Field> fields;
  FieldLines lines(block);
  std::string_view name, value, line;
  while (lines.next(name, value, line)) fields.push_back({name, value});
  return fields;
}

std::string_view find_line(std::string_view block, std::string_view name) noexcept {
  FieldLines lines(block);
  std::string_view line_name, value, line;
  while (lines.next(line_name, value, line)) {
    if (equal_ignoring_case(line_name, name)) return value;
  }
  return {};
}

}  // namespace reef::proxy::http
