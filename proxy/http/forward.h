// Which fields go on: hop-by-hop fields never (RFC 9110 §7.6.1), and under our suffix only what many sites
// can share without hurting each other. No bytes of a received header section are ever passed on as they are:
// a new one is built from the fields that these functions let through.
//
// Pure, no allocation, any thread.
#pragma once

#include <string_view>

#include "proxy/http/head.h"

namespace reef::proxy::http {

// Connection, Keep-Alive, Proxy-*, TE, Trailer, Transfer-Encoding, Upgrade.
[[nodiscard]] bool is_hop_by_hop(std::string_view name) noexcept;

// Decides for the fields of one message; knows what its Connection lines nominate. A nomination of Host,
// Content-Length, Content-Encoding, Content-Type, Cache-Control, Authorization, Vary, Date, Age, Expires or
// Set-Cookie has no effect: dropping those changes what a message means, which is an attack and not a wish.
class EndToEnd {
 public:
  explicit EndToEnd(FieldsView fields) noexcept;
  [[nodiscard]] bool keeps(std::string_view name) const noexcept;

 private:
  FieldsView fields_;
  bool nominates_ = false;  // a Connection line names more than close and keep-alive
};

// Coralized mode, request: the few fields an origin may see of a stranger's browser. Everything else stays
// here: cookies, credentials, addresses, referrers, and what poisons caches because no key holds it.
[[nodiscard]] bool is_coralized_request_field(std::string_view name) noexcept;

// Coralized mode, response: false for what one site must not say for all that share the suffix (cookies,
// HSTS, service worker scope, reporting, ...).
[[nodiscard]] bool is_coralized_response_field(std::string_view name) noexcept;

// Site mode, request: false for what only a proxy may add, and for overrides of method, host and path
// (X-Forwarded-*, Forwarded, X-Original-*, X-Rewrite-*, X-HTTP-Method*, X-Host), and for Expect, which is
// answered here.
[[nodiscard]] bool is_site_request_field(std::string_view name) noexcept;

}  // namespace reef::proxy::http
