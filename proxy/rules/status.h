// The fields by which caches speak about themselves: Cache-Status (RFC 9211), Age (RFC 9111 §5.1), Via (RFC
// 9110 §7.6.3), CDN-Loop (RFC 8586). Appends into the caller's buffer; pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/http/head.h"
#include "proxy/rules/policy.h"

namespace reef::proxy::rules {

// One member of Cache-Status. `hit` and `forward` exclude each other.
struct CacheStatus {
  bool hit = false;
  Forward forward = Forward::none;
  int fwd_status = 0;  // of the answer that the forwarded request got; 0: not known
  bool has_ttl = false;
  seconds ttl{};  // left; negative: stale was served
  bool stored = false;
  bool collapsed = false;
  std::string_view detail{};  // a token or any text of visible ASCII; may be empty
};

// Appends `node; hit; ttl=123` and the like. `node` is a token.
void append_cache_status(std::string& out, std::string_view node, const CacheStatus& status);

// The whole seconds of an age, floored once: 3.99 s are "3".
void append_age(std::string& out, milliseconds age);

// Whole seconds, floored also below zero: -0.2 s are -1.
[[nodiscard]] seconds floor_seconds(milliseconds duration);

// Appends "received, 1.1 node": what the message came with (all lines joined), and ourselves behind it.
void append_via(std::string& out, http::FieldsView fields, int minor_version, std::string_view node);

// Appends "received, node" for CDN-Loop.
void append_cdn_loop(std::string& out, http::FieldsView fields, std::string_view node);

enum class Loop : std::uint8_t { none, ourselves, too_many };  // both: 508
// Whether a request has been here, or has passed more than `members_max` CDNs.
[[nodiscard]] Loop check_cdn_loop(http::FieldsView fields, std::string_view node,
                                  std::size_t members_max = 4) noexcept;

}  // namespace reef::proxy::rules
