#include "proxy/rules/storing.h"

#include <algorithm>

#include "proxy/http/builder.h"
#include "proxy/http/date.h"
#include "proxy/http/fields.h"
#include "proxy/http/forward.h"
#include "proxy/http/message.h"

namespace reef::proxy::rules {
namespace {

using http::equal_ignoring_case;
using http::FieldsView;

std::int64_t unix_seconds(WallTime time) {
  return std::chrono::duration_cast<seconds>(time.time_since_epoch()).count();
}

// The Date field, or the time of receipt where it is missing or invalid (RFC 9110 §6.6.1).
std::int64_t date_of(const http::ResponseHead& response, WallTime response_time) {
  const std::int64_t now = unix_seconds(response_time);
  const auto text = http::find(response.fields, "Date");
  return text ? http::parse_date(*text, now).value_or(now) : now;
}

std::optional<std::int64_t> last_modified_of(const http::ResponseHead& response, WallTime response_time) {
  const auto text = http::find(response.fields, "Last-Modified");
  return text ? http::parse_date(*text, unix_seconds(response_time)) : std::nullopt;
}

bool coralized_stores(int status) {
  return status == 200 || status == 301 || status == 308 || status == 404 || status == 410;
}

bool is_negative(int status) { return status >= 400; }

// Why the message may not be stored at all, before lifetimes are looked at.
std::optional<NotStored> forbidden(const http::RequestHead& request, const http::ResponseHead& response,
                                   const ResponseDirectives& directives, const Options& options) {
  if (request.method != "GET") return NotStored::method;
  if (response.status < 200) return NotStored::interim;
  if (response.status == 206) return NotStored::partial;
  if (response.status == 304) return NotStored::status;  // freshens what is stored, is nothing by itself
  if (options.mode == Mode::coralized && !coralized_stores(response.status)) return NotStored::status;
  if (options.honour_request_directives && options.mode == Mode::site &&
      parse_request_directives(request.fields).no_store) {
    return NotStored::request_no_store;
  }
  // must-understand overrides no-store for statuses that are understood (RFC 9111 §5.2.2.3).
  const bool understood = http::reason_phrase(response.status) != "Unknown";
  if (directives.must_understand && !understood) return NotStored::not_understood;
  if (directives.no_store && !directives.must_understand) return NotStored::no_store;
  if (directives.private_) return NotStored::private_;
  if (options.mode == Mode::coralized && !directives.private_fields.empty()) return NotStored::private_;
  return std::nullopt;
}

std::optional<NotStored> forbidden_by_vary(const http::ResponseHead& response, const Options& options) {
  http::Members names = http::combined(response.fields, "Vary");
  std::size_t named = 0;
  while (const auto name = names.next()) {
    if (*name == "*") return NotStored::vary_any;
    if (++named > options.vary_names_max || !http::is_token(*name)) return NotStored::vary_not_handled;
  }
  return std::nullopt;
}

bool may_share_authorized(const ResponseDirectives& directives) {
  return directives.public_ || directives.must_revalidate || directives.s_maxage.has_value();
}

// RFC 9111 §4.2.2: a share of the time since the last change. Zero: no lifetime without a validation.
seconds heuristic_lifetime(std::int64_t last_modified, std::int64_t date, const Options& options) {
  seconds lifetime{0};
  if (last_modified != CachePolicy::kNoTime && last_modified < date) {
    lifetime = seconds{(date - last_modified) * options.heuristic_percent / 100};
  }
  return std::clamp(lifetime, options.heuristic_min, std::max(options.heuristic_min, options.heuristic_max));
}

seconds capped_by_mode(seconds lifetime, int status, bool close_delimited, const Options& options) {
  if (options.mode != Mode::coralized) return lifetime;
  if (is_negative(status)) lifetime = std::min(lifetime, options.negative_lifetime_max);
  if (status == 301 || status == 308) lifetime = std::min(lifetime, options.redirect_lifetime_max);
  if (close_delimited) lifetime = std::min(lifetime, options.close_delimited_lifetime_max);
  return lifetime;
}

void set_stale_windows(CachePolicy& policy, const ResponseDirectives& directives, const Options& options) {
  if (policy.has(CachePolicy::kNoCache) || policy.has(CachePolicy::kMustRevalidate)) return;
  if (policy.has(CachePolicy::kSharedLifetime) && !options.stale_beside_s_maxage) return;
  policy.stale_while_revalidate = seconds{directives.stale_while_revalidate.value_or(0)};
  if (directives.stale_if_error) {
    policy.stale_if_error = seconds{*directives.stale_if_error};
    policy.set(CachePolicy::kAuthorStaleError);
  } else if (!policy.has(CachePolicy::kSharedLifetime) && !policy.has(CachePolicy::kNegative)) {
    policy.stale_if_error = options.stale_if_error_default;
  }
}

bool is_named_in(std::string_view list, std::string_view name) {
  http::Members members(list);
  while (const auto member = members.next()) {
    if (equal_ignoring_case(*member, name)) return true;
  }
  return false;
}

// Made anew for each answer.
bool is_per_answer(std::string_view name) {
  return equal_ignoring_case(name, "Age") || equal_ignoring_case(name, "Content-Length");
}

template <class IsLeftOut>
void append_end_to_end(std::string& out, const http::ResponseHead& response, WallTime response_time,
                       const Options& options, IsLeftOut is_left_out) {
  const http::EndToEnd end_to_end(response.fields);
  http::HeadBuilder builder(out);
  bool has_date = false;
  for (const http::Field& field : response.fields) {
    if (!end_to_end.keeps(field.name) || is_per_answer(field.name) || is_left_out(field.name)) continue;
    if (options.mode == Mode::coralized && !http::is_coralized_response_field(field.name)) continue;
    has_date = has_date || equal_ignoring_case(field.name, "Date");
    builder.field(field.name, field.value);
  }
  if (!has_date) builder.date("Date", unix_seconds(response_time));
  if (options.mode == Mode::coralized) builder.field("X-Content-Type-Options", "nosniff");
}

}  // namespace

bool is_withheld(std::string_view name, const ResponseDirectives& directives) {
  return is_named_in(directives.no_cache_fields, name) || is_named_in(directives.private_fields, name);
}

bool is_heuristically_cacheable(int status) {
  for (const int cacheable : {200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501}) {
    if (status == cacheable) return true;
  }
  return false;
}

std::optional<seconds> explicit_lifetime(const http::ResponseHead& response,
                                         const ResponseDirectives& directives, std::int64_t date) {
  if (directives.s_maxage) return seconds{*directives.s_maxage};
  if (directives.max_age) return seconds{*directives.max_age};
  if (directives.targeted) return std::nullopt;
  const auto expires = http::find(response.fields, "Expires");
  if (!expires) return std::nullopt;
  const auto time = http::parse_date(*expires, date);  // invalid, above all "0": already expired (§5.3)
  return seconds{time ? std::max<std::int64_t>(0, *time - date) : 0};
}

milliseconds corrected_initial_age(const http::ResponseHead& response, const Receipt& receipt) {
  // Date counts whole seconds, so the time of receipt does here too: what was made within the current second
  // has no age.
  const std::int64_t apparent = std::max<std::int64_t>(
      0, unix_seconds(receipt.response_time) - date_of(response, receipt.response_time));
  std::int64_t age_value = 0;
  if (http::Members ages = http::combined(response.fields, "Age"); const auto age = ages.next()) {
    age_value = http::parse_delta_seconds(*age).value_or(0);
  }
  const auto delay = std::max(milliseconds{0}, receipt.response_time - receipt.request_time);
  return std::max(milliseconds(seconds{apparent}), milliseconds(seconds{age_value}) + delay);
}

CachePolicy times_of(const http::ResponseHead& response, const Receipt& receipt) {
  CachePolicy times;
  times.response_time = receipt.response_time;
  times.initial_age = corrected_initial_age(response, receipt);
  times.date = date_of(response, receipt.response_time);
  times.last_modified = last_modified_of(response, receipt.response_time).value_or(CachePolicy::kNoTime);
  return times;
}

namespace {

// Does the lifetime stand there more than once?
bool is_repeated(const http::ResponseHead& response, const ResponseDirectives& directives) {
  if (directives.s_maxage || directives.max_age) return directives.repeated;
  return http::count(response.fields, "Expires") > 1;
}

}  // namespace

tl::expected<CachePolicy, NotStored> storable(const http::RequestHead& request,
                                              const http::ResponseHead& response, const Receipt& receipt,
                                              const Options& options) {
  const ResponseDirectives directives = effective_directives(response.fields, options.targeted_fields);
  if (const auto reason = forbidden(request, response, directives, options)) return tl::unexpected(*reason);
  if (const auto reason = forbidden_by_vary(response, options)) return tl::unexpected(*reason);
  if (options.mode == Mode::site && http::find(request.fields, "Authorization") &&
      !may_share_authorized(directives)) {
    return tl::unexpected(NotStored::authorization);
  }

  CachePolicy policy = times_of(response, receipt);
  policy.set(CachePolicy::kHasEtag, !http::find(response.fields, "ETag").value_or("").empty());
  policy.set(CachePolicy::kHasLastModified, http::find(response.fields, "Last-Modified").has_value());
  policy.set(CachePolicy::kVaries, http::combined(response.fields, "Vary").next().has_value());
  policy.set(CachePolicy::kNoCache, directives.no_cache);
  policy.set(CachePolicy::kMustRevalidate, directives.must_revalidate || directives.proxy_revalidate);
  policy.set(CachePolicy::kSharedLifetime, directives.s_maxage.has_value());
  policy.set(CachePolicy::kImmutable, directives.immutable);
  policy.set(CachePolicy::kNegative, is_negative(response.status));

  const auto given = explicit_lifetime(response, directives, policy.date);
  // A cookie that a field list withholds is not stored, and so in nobody's way.
  const bool sets_cookie =
      http::find(response.fields, "Set-Cookie").has_value() && !is_withheld("Set-Cookie", directives);
  if (sets_cookie &&
      (options.set_cookie == SetCookie::refuse || (options.set_cookie == SetCookie::replay && !given))) {
    return tl::unexpected(NotStored::set_cookie);
  }
  seconds lifetime = given.value_or(seconds{0});
  if (given && options.repeated == Repeated::stale && is_repeated(response, directives))
    lifetime = seconds{0};
  if (!given) {
    if (!is_heuristically_cacheable(response.status) && !directives.public_ && !directives.no_cache) {
      return tl::unexpected(NotStored::no_freshness);
    }
    policy.set(CachePolicy::kHeuristic);
    lifetime = heuristic_lifetime(policy.last_modified, policy.date, options);
  }
  policy.lifetime = capped_by_mode(lifetime, response.status, receipt.close_delimited, options);
  set_stale_windows(policy, directives, options);

  const bool usable_as_it_is = !policy.has(CachePolicy::kNoCache) && policy.lifetime > policy.initial_age;
  const bool has_validator = policy.has(CachePolicy::kHasEtag) || policy.has(CachePolicy::kHasLastModified);
  const bool useful_stale = policy.stale_while_revalidate.count() > 0 || policy.stale_if_error.count() > 0;
  if (!usable_as_it_is && !has_validator && !useful_stale) {
    return tl::unexpected(NotStored::no_lifetime_no_validator);
  }
  return policy;
}

void append_forwarded_fields(std::string& out, const http::ResponseHead& response, WallTime response_time,
                             const Options& options) {
  append_end_to_end(out, response, response_time, options, [](std::string_view) { return false; });
}

void append_stored_fields(std::string& out, const http::ResponseHead& response, WallTime response_time,
                          const Options& options) {
  append_stored_fields(out, response, effective_directives(response.fields, options.targeted_fields),
                       response_time, options);
}

void append_stored_fields(std::string& out, const http::ResponseHead& response,
                          const ResponseDirectives& directives, WallTime response_time,
                          const Options& options) {
  const bool strips = options.set_cookie != SetCookie::replay;
  append_end_to_end(out, response, response_time, options, [&](std::string_view name) {
    return is_withheld(name, directives) || (strips && equal_ignoring_case(name, "Set-Cookie"));
  });
}

bool withholds_fields(const http::ResponseHead& response, const Options& options) {
  const ResponseDirectives directives = effective_directives(response.fields, options.targeted_fields);
  const bool strips = options.set_cookie != SetCookie::replay;
  return std::any_of(response.fields.begin(), response.fields.end(), [&](const http::Field& field) {
    return is_withheld(field.name, directives) || (strips && equal_ignoring_case(field.name, "Set-Cookie"));
  });
}

bool ends_stored(int status) { return status >= 200 && status < 500 && status != 429; }

bool invalidates(std::string_view method, int status) {
  return !http::is_safe_method(method) && status >= 200 && status < 400;
}

}  // namespace reef::proxy::rules
