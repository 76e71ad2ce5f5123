// Cache directives of requests and responses (RFC 9111 §5.2, §5.4; RFC 5861; RFC 8246; RFC 9213).
//
// Lifetimes are seconds, never negative, at most 2^31. One that is there but not a valid delta-seconds is 0:
// stale at once (RFC 9111 §4.2.1). Of a directive that occurs twice the first counts in Cache-Control
// (§4.2.1) and the last in a targeted field (RFC 8941 §3.2). Unknown directives are skipped. Pure, no
// allocation, any thread; views point into the fields that were parsed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "proxy/http/head.h"

namespace reef::proxy::rules {

struct ResponseDirectives {
  bool no_store = false;
  bool no_cache = false;  // without a field list, or with something that is none
  bool private_ = false;  // likewise
  bool public_ = false;
  bool must_revalidate = false;
  bool proxy_revalidate = false;
  bool must_understand = false;
  bool immutable = false;
  bool repeated = false;  // max-age or s-maxage occurs twice
  bool targeted = false;  // from a targeted field: Cache-Control and Expires do not count
  std::optional<std::int64_t> max_age, s_maxage, stale_while_revalidate, stale_if_error;
  std::string_view no_cache_fields;  // of no-cache="f, g": reuse without these fields
  std::string_view private_fields;   // of private="f, g": store without these fields
};

struct RequestDirectives {
  bool no_cache = false;  // also Pragma: no-cache, where there is no Cache-Control
  bool no_store = false;
  bool only_if_cached = false;
  bool max_stale_any = false;  // max-stale without a number
  std::optional<std::int64_t> max_age, min_fresh, max_stale;
};

// Cache-Control alone.
[[nodiscard]] ResponseDirectives parse_cache_control(http::FieldsView fields) noexcept;

// One targeted field: nullopt where it is absent, empty, not a valid Structured Fields dictionary (RFC 8941
// §3.2), or gives a known directive a value of the wrong type.
[[nodiscard]] std::optional<ResponseDirectives> parse_targeted(http::FieldsView fields,
                                                               std::string_view name) noexcept;

// The effective directives: the first usable targeted field, else Cache-Control.
[[nodiscard]] ResponseDirectives effective_directives(http::FieldsView fields,
                                                      std::span<const std::string> targeted_fields) noexcept;

[[nodiscard]] RequestDirectives parse_request_directives(http::FieldsView fields) noexcept;

}  // namespace reef::proxy::rules
