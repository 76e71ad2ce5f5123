#include "proxy/rules/status.h"

#include <algorithm>
#include <charconv>

#include "proxy/http/fields.h"

namespace reef::proxy::rules {
namespace {

void append_number(std::string& out, std::int64_t value) {
  char digits[24];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

// A token where it is one, else a String of Structured Fields (RFC 8941 §3.3.3): visible ASCII, quotes
// escaped.
void append_bare_item(std::string& out, std::string_view text) {
  const bool starts_like_token =
      !text.empty() && http::to_lower(text[0]) >= 'a' && http::to_lower(text[0]) <= 'z';
  if (starts_like_token && http::is_token(text)) {
    out += text;
    return;
  }
  out += '"';
  for (const char c : text) {
    if (c < 0x20 || c >= 0x7f) continue;
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

void append_lines(std::string& out, http::FieldsView fields, std::string_view name) {
  http::Members members = http::combined(fields, name);
  while (const auto member = members.next()) {
    out += *member;
    out += ", ";
  }
}

}  // namespace

void append_cache_status(std::string& out, std::string_view node, const CacheStatus& status) {
  append_bare_item(out, node);
  if (status.hit) {
    out += "; hit";
  } else if (status.forward != Forward::none) {
    out += "; fwd=";
    out += to_text(status.forward);
    if (status.fwd_status != 0) {
      out += "; fwd-status=";
      append_number(out, status.fwd_status);
    }
  }
  if (status.has_ttl) {
    out += "; ttl=";
    append_number(out, status.ttl.count());
  }
  if (status.stored) out += "; stored";
  if (status.collapsed) out += "; collapsed";
  if (!status.detail.empty()) {
    out += "; detail=";
    append_bare_item(out, status.detail);
  }
}

seconds floor_seconds(milliseconds duration) { return std::chrono::floor<seconds>(duration); }

void append_age(std::string& out, milliseconds age) {
  append_number(out, std::max<std::int64_t>(0, floor_seconds(age).count()));
}

void append_via(std::string& out, http::FieldsView fields, int minor_version, std::string_view node) {
  append_lines(out, fields, "Via");
  out += minor_version == 0 ? "1.0 " : "1.1 ";
  out += node;
}

void append_cdn_loop(std::string& out, http::FieldsView fields, std::string_view node) {
  append_lines(out, fields, "CDN-Loop");
  out += node;
}

Loop check_cdn_loop(http::FieldsView fields, std::string_view node, std::size_t members_max) noexcept {
  std::size_t passed = 0;
  http::Members members = http::combined(fields, "CDN-Loop");
  while (const auto member = members.next()) {
    const std::string_view id = http::trim(member->substr(0, std::min(member->find(';'), member->size())));
    if (http::equal_ignoring_case(id, node)) return Loop::ourselves;
    if (++passed > members_max) return Loop::too_many;
  }
  return Loop::none;
}

}  // namespace reef::proxy::rules
