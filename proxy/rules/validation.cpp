#include "proxy/rules/validation.h"

#include <vector>

#include "proxy/http/fields.h"
#include "proxy/http/range.h"

namespace reef::proxy::rules {

bool append_validators(http::HeadBuilder& builder, std::string_view etag, std::string_view last_modified) {
  if (!etag.empty()) builder.field("If-None-Match", etag);
  if (!last_modified.empty()) builder.field("If-Modified-Since", last_modified);
  return !etag.empty() || !last_modified.empty();
}

bool is_client_condition(std::string_view name) noexcept {
  for (const std::string_view condition : {"If-None-Match", "If-Modified-Since", "If-Range", "Range"}) {
    if (http::equal_ignoring_case(name, condition)) return true;
  }
  return false;
}

bool is_about_stored(const http::ResponseHead& not_modified, std::string_view stored_etag,
                     std::string_view stored_last_modified) noexcept {
  if (const auto etag = http::find(not_modified.fields, "ETag"); etag && !etag->empty()) {
    // Weakly also where theirs is strong: nginx weakens the tag of what it compresses and sends the strong
    // one in its 304. The condition that it found to hold was ours.
    return http::weak_match(*etag, stored_etag);
  }
  const auto last_modified = http::find(not_modified.fields, "Last-Modified");
  if (!last_modified || *last_modified == stored_last_modified) return true;
  // Another time of change is another version, unless the ETag that we sent was all there was to compare.
  return stored_last_modified.empty() && !stored_etag.empty();
}

void append_merged_fields(std::string& out, std::string_view stored_fields,
                          const http::ResponseHead& not_modified, WallTime response_time,
                          const Options& options) {
  // What a field list of no-cache or private says after the update holds for old and new fields alike.
  std::vector<http::Field> all(not_modified.fields.begin(), not_modified.fields.end());
  for (const http::Field& field : http::fields_of(stored_fields)) {
    if (!http::find(not_modified.fields, field.name)) all.push_back(field);
  }
  const ResponseDirectives directives = effective_directives(all, options.targeted_fields);

  std::string fresh;
  append_stored_fields(fresh, not_modified, directives, response_time, options);
  const std::vector<http::Field> replacing = http::fields_of(fresh);
  http::FieldLines lines(stored_fields);
  std::string_view name, value, line;
  while (lines.next(name, value, line)) {
    if (!http::find(replacing, name) && !is_withheld(name, directives)) out += line;
  }
  out += fresh;
}

tl::expected<CachePolicy, NotStored> freshen(const http::RequestHead& request, int stored_status,
                                             std::string_view merged_fields,
                                             const http::ResponseHead& not_modified, const Receipt& receipt,
                                             const Options& options) {
  std::vector<http::Field> fields = http::fields_of(merged_fields);
  // Age is not among the stored fields, but counts: the 304 may have come through a cache.
  if (const auto age = http::find(not_modified.fields, "Age")) fields.push_back({"Age", *age});
  http::RequestHead get = request;
  get.method = "GET";
  Receipt whole = receipt;
  whole.close_delimited = false;
  return storable(get, {.status = stored_status, .reason = {}, .minor_version = 1, .fields = fields}, whole,
                  options);
}

bool head_contradicts(const http::ResponseHead& response, std::string_view stored_etag,
                      std::string_view stored_last_modified, std::uint64_t stored_bytes) noexcept {
  if (response.status != 200) return false;
  const auto etag = http::find(response.fields, "ETag");
  if (etag && *etag != stored_etag) return true;
  const auto last_modified = http::find(response.fields, "Last-Modified");
  if (last_modified && *last_modified != stored_last_modified) return true;
  const auto length = http::find(response.fields, "Content-Length");
  return length && http::parse_decimal(*length) != stored_bytes;
}

}  // namespace reef::proxy::rules
