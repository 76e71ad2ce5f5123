#include "proxy/rules/conditional.h"

#include <algorithm>
#include <optional>

#include "proxy/http/date.h"
#include "proxy/http/fields.h"

namespace reef::proxy::rules {
namespace {

using http::FieldsView;

// The lines that ask for less than everything, found in one pass.
struct Conditions {
  bool if_none_match = false;
  const http::Field* if_modified_since = nullptr;
  const http::Field* if_range = nullptr;
  const http::Field* range = nullptr;
  int if_modified_sinces = 0, if_ranges = 0, ranges = 0;
};

Conditions gather(FieldsView fields) noexcept {
  Conditions found;
  for (const http::Field& field : fields) {
    switch (field.name.size()) {
      case 5:
        if (http::equal_ignoring_case(field.name, "Range")) {
          found.range = &field;
          ++found.ranges;
        }
        break;
      case 8:
        if (http::equal_ignoring_case(field.name, "If-Range")) {
          found.if_range = &field;
          ++found.if_ranges;
        }
        break;
      case 13:
        if (http::equal_ignoring_case(field.name, "If-None-Match")) found.if_none_match = true;
        break;
      case 17:
        if (http::equal_ignoring_case(field.name, "If-Modified-Since")) {
          found.if_modified_since = &field;
          ++found.if_modified_sinces;
        }
        break;
      default:
        break;
    }
  }
  return found;
}

// Takes the first entity tag off a list. Unlike a quoted string it knows no escapes: a backslash is a
// character of the tag (RFC 9110 §8.8.3). nullopt: nothing is left.
std::optional<std::string_view> take_tag(std::string_view& list) noexcept {
  list.remove_prefix(std::min(list.find_first_not_of(" \t,"), list.size()));
  if (list.empty()) return std::nullopt;
  const std::size_t open = list.starts_with("W/") ? 2 : 0;
  std::size_t from = open;
  if (open < list.size() && list[open] == '"') from = std::min(list.find('"', open + 1), list.size());
  const std::size_t end = std::min(list.find(',', from), list.size());
  const std::string_view tag = http::trim(list.substr(0, end));
  list.remove_prefix(end);
  return tag;
}

bool none_match_fails(FieldsView fields, std::string_view etag) noexcept {
  for (const http::Field& field : fields) {
    if (!http::equal_ignoring_case(field.name, "If-None-Match")) continue;
    std::string_view list = field.value;
    while (const auto tag = take_tag(list)) {
      if (*tag == "*" || http::weak_match(*tag, etag)) return true;
    }
  }
  return false;
}

bool unmodified_since(std::string_view value, const CachePolicy& policy) noexcept {
  const auto since = http::parse_date(value, policy.date);
  if (!since) return false;  // an invalid date is ignored (RFC 9110 §13.1.3)
  const std::int64_t modified =
      policy.last_modified != CachePolicy::kNoTime ? policy.last_modified : policy.date;
  return modified != CachePolicy::kNoTime && modified <= *since;
}

bool if_range_holds(std::string_view value, const Selected& selected) noexcept {
  if (value.starts_with('"') || value.starts_with("W/")) return http::strong_match(value, selected.etag);
  // A date is a strong validator only if it is the exact Last-Modified, and that lies before Date (RFC 9110
  // §8.8.2.2).
  const auto date = http::parse_date(value, selected.policy->date);
  const std::int64_t modified = selected.policy->last_modified;
  return date && modified != CachePolicy::kNoTime && *date == modified &&
         selected.policy->date - modified >= 1;
}

}  // namespace

ConditionalAnswer evaluate(const http::RequestHead& request, const Selected& selected) noexcept {
  const Conditions conditions = gather(request.fields);
  if (selected.status == 200) {
    if (conditions.if_none_match) {
      if (none_match_fails(request.fields, selected.etag)) return {Answer::not_modified, {}};
    } else if (conditions.if_modified_sinces == 1 &&
               unmodified_since(conditions.if_modified_since->value, *selected.policy)) {
      return {Answer::not_modified, {}};
    }
  }
  const bool ranged = conditions.ranges == 1 && request.method == "GET" && selected.status == 200;
  if (!ranged) return {};
  const bool guarded = conditions.if_ranges > 0;
  if (guarded && (conditions.if_ranges > 1 || !if_range_holds(conditions.if_range->value, selected)))
    return {};
  const http::RangeRequest ranges = http::parse_range(conditions.range->value, selected.body_bytes);
  switch (ranges.kind) {
    case http::RangeRequest::Kind::whole:
      return {};
    case http::RangeRequest::Kind::parts:
      return {Answer::parts, ranges};
    case http::RangeRequest::Kind::unsatisfiable:
      return {Answer::not_satisfiable, {}};
  }
  return {};
}

bool has_origin_precondition(FieldsView fields) noexcept {
  return http::find(fields, "If-Match").has_value() || http::find(fields, "If-Unmodified-Since").has_value();
}

bool is_not_modified_field(std::string_view name) noexcept {
  for (const std::string_view kept :
       {"ETag", "Date", "Vary", "Cache-Control", "CDN-Cache-Control", "Expires", "Content-Location",
        "Last-Modified", "Via", "Cache-Status", "X-Content-Type-Options"}) {
    if (http::equal_ignoring_case(name, kept)) return true;
  }
  return false;
}

}  // namespace reef::proxy::rules
