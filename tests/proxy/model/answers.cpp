#include "answers.h"

#include <algorithm>
#include <optional>

namespace reef::proxy::model {
namespace {

std::string opaque(const std::string& tag) { return tag.starts_with("W/") ? tag.substr(2) : tag; }

bool is_weak(const std::string& tag) { return tag.starts_with("W/"); }

// RFC 9110 §13.1.2: weak comparison, any member, "*".
bool none_match_fails(const std::string& list, const std::string& etag) {
  for (const std::string& tag : members(list)) {
    if (tag == "*" || (!etag.empty() && opaque(tag) == opaque(etag))) return true;
  }
  return false;
}

std::optional<std::int64_t> number(const std::string& text) {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
  return std::stoll(text);
}

// RFC 9110 §14.1.2; one range, as the histories have no more.
struct Range {
  bool valid = false;
  bool satisfiable = false;
  std::int64_t first = 0, last = 0;
};
Range range_of(const std::string& text, std::int64_t size) {
  Range range;
  if (!text.starts_with("bytes=")) return range;
  const std::string spec = text.substr(6);
  const std::size_t dash = spec.find('-');
  if (dash == std::string::npos) return range;
  const auto from = number(spec.substr(0, dash)), to = number(spec.substr(dash + 1));
  if (!spec.substr(dash + 1).empty() && !to) return range;
  if (dash == 0) {
    if (!to) return range;
    range.valid = true;
    range.satisfiable = *to > 0 && size > 0;
    range.first = std::max<std::int64_t>(0, size - *to);
    range.last = size - 1;
    return range;
  }
  if (!from || (to && *to < *from)) return range;
  range.valid = true;
  range.first = *from;
  range.last = std::min(to.value_or(size - 1), size - 1);
  range.satisfiable = *from < size;
  return range;
}

// RFC 9110 §13.1.5, §8.8.2.2.
bool if_range_holds(const std::string& value, const Selected& selected) {
  const std::string etag = first(selected.fields, "ETag");
  if (value.starts_with('"') || value.starts_with("W/"))
    return !is_weak(value) && !is_weak(etag) && value == etag;
  const auto modified = date_seconds(first(selected.fields, "Last-Modified"));
  const auto date = date_seconds(first(selected.fields, "Date"));
  return modified && date_seconds(value) == modified &&
         date.value_or(selected.received / 1000) - *modified >= 1;
}

}  // namespace

Due evaluate(const Request& request, const Selected& selected) {
  const Due whole{selected.status, selected.body, ""};
  if (selected.status != 200 || (request.method != "GET" && request.method != "HEAD")) return whole;
  const Fields& asked = request.fields;
  if (has(asked, "If-None-Match")) {
    if (none_match_fails(joined(asked, "If-None-Match"), first(selected.fields, "ETag")))
      return {304, "", ""};
  } else if (const auto since = date_seconds(first(asked, "If-Modified-Since"))) {
    // Without Last-Modified the Date (RFC 9111 §4.3.2).
    const auto date = date_seconds(first(selected.fields, "Date")).value_or(selected.received / 1000);
    if (date_seconds(first(selected.fields, "Last-Modified")).value_or(date) <= *since) return {304, "", ""};
  }
  if (request.method != "GET" || !has(asked, "Range")) return whole;
  if (has(asked, "If-Range") && !if_range_holds(first(asked, "If-Range"), selected)) return whole;
  const auto size = static_cast<std::int64_t>(selected.body.size());
  const Range range = range_of(first(asked, "Range"), size);
  if (!range.valid) return whole;
  if (!range.satisfiable) return {416, "", "bytes */" + std::to_string(size)};
  const auto count = static_cast<std::size_t>(range.last - range.first + 1);
  return {
      206, selected.body.substr(static_cast<std::size_t>(range.first), count),
      "bytes " + std::to_string(range.first) + "-" + std::to_string(range.last) + "/" + std::to_string(size)};
}

// The validators that it has are those of the stored response; one without any is about what was asked for.
// That a strong tag also means a stored weak one of the same letters is this cache's (docs/caching.md).
bool is_about(const Response& not_modified, const Response& stored) {
  const std::string etag = first(not_modified.fields, "ETag");
  const std::string stored_etag = first(stored.fields, "ETag");
  if (!etag.empty()) return !stored_etag.empty() && opaque(etag) == opaque(stored_etag);
  if (!has(not_modified.fields, "Last-Modified")) return true;
  const std::string modified = first(stored.fields, "Last-Modified");
  if (first(not_modified.fields, "Last-Modified") == modified) return true;
  return modified.empty() && !stored_etag.empty();
}

}  // namespace reef::proxy::model
