// Whether a stored response may answer a request, now (RFC 9111 §4, §5.2.1; RFC 5861; RFC 8246). Pure; any
// thread; no allocation: this is the hit path.
#pragma once

#include "proxy/rules/directives.h"
#include "proxy/rules/options.h"
#include "proxy/rules/policy.h"

namespace reef::proxy::rules {

[[nodiscard]] ReuseDecision decide_reuse(const CachePolicy& policy, const RequestDirectives& request,
                                         WallTime now, const Options& options) noexcept;

// How asking the origin failed.
enum class OriginFailure : std::uint8_t {
  unreachable,   // no connection, no answer, broken off, refused by our own limits
  server_error,  // an answer of 500, 502, 503 or 504
};

// The failure that a status counts as; nullopt: it is an answer (RFC 5861 §4).
[[nodiscard]] std::optional<OriginFailure> failure_of(int status) noexcept;

// May what is stored be sent instead (RFC 9111 §4.2.4; RFC 5861 §4)? Never against must-revalidate,
// proxy-revalidate or no-cache; beyond s-maxage only where the author wrote stale-if-error. A fresh response
// (a client had asked for validation) may.
[[nodiscard]] bool may_serve_on_error(const CachePolicy& policy, WallTime now, OriginFailure failure,
                                      const Options& options) noexcept;

}  // namespace reef::proxy::rules
