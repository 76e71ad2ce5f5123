// The rules over arbitrary field lines ("Name: value" each): directives, dates, ages, ranges, conditions,
// variants.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "proxy/http/date.h"
#include "proxy/http/fields.h"
#include "proxy/http/range.h"
#include "proxy/rules/conditional.h"
#include "proxy/rules/reuse.h"
#include "proxy/rules/status.h"
#include "proxy/rules/validation.h"
#include "proxy/rules/vary.h"

using namespace reef::proxy;

namespace {

constexpr reef::WallTime kNow{std::chrono::seconds{1'800'000'000}};

std::vector<http::Field> fields_of(std::string_view text) {
  std::vector<http::Field> fields;
  while (!text.empty() && fields.size() < 100) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end < text.size() ? end + 1 : end);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    fields.push_back({line.substr(0, colon), http::trim(line.substr(colon + 1))});
  }
  return fields;
}

void check_rules(http::FieldsView fields, const rules::Options& options) {
  const http::RequestHead request{.method = "GET", .target = "/", .minor_version = 1, .fields = fields};
  const http::ResponseHead response{.status = 200, .reason = {}, .minor_version = 1, .fields = fields};
  const rules::Receipt receipt{kNow - std::chrono::seconds{1}, kNow, false};
  std::string stored;
  rules::append_stored_fields(stored, response, kNow, options);
  std::string merged;
  rules::append_merged_fields(merged, stored, response, kNow, options);
  static_cast<void>(rules::freshen(request, 200, merged, response, receipt, options));
  const auto policy = rules::storable(request, response, receipt, options);
  if (!policy) return;
  BASE_CHECK(policy->lifetime.count() >= 0 && policy->initial_age.count() >= 0);
  const auto decision = rules::decide_reuse(*policy, rules::parse_request_directives(fields), kNow, options);
  BASE_CHECK(decision.reuse != rules::Reuse::fresh || decision.ttl.count() > 0);
  static_cast<void>(rules::may_serve_on_error(*policy, kNow, rules::OriginFailure::unreachable, options));
  const auto answer = rules::evaluate(request, {200, "\"1\"", "", &*policy, 1000});
  for (const http::ByteRange& range : answer.ranges.parts()) {
    BASE_CHECK(range.first <= range.last && range.last < 1000);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto date = http::parse_date(text, 1'800'000'000)) {
    const http::DateText again = http::format_date(*date);
    BASE_CHECK(http::parse_date(http::view(again), 0) == *date);
  }
  static_cast<void>(http::parse_content_range(text));
  const std::vector<http::Field> fields = fields_of(text);
  check_rules(fields, rules::Options::site());
  check_rules(fields, rules::Options::coralized());
  std::string out;
  rules::append_vary_names(out, fields);
  std::string key;
  rules::append_variant_key(key, "http://x/", out, 1, fields, rules::Mode::site);
  rules::append_via(out, fields, 1, "node");
  static_cast<void>(rules::check_cdn_loop(fields, "node"));
  return 0;
}
