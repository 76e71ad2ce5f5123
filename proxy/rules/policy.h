// The types of the caching rules: what was decided about a response when it came in, and what may be done
// with it later (RFC 9111). The functions that decide are in storing.h, reuse.h, validation.h and
// conditional.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "base/time.h"

namespace reef::proxy::rules {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Which rules win where a conforming shared cache and a careful stranger differ.
enum class Mode : std::uint8_t {
  coralized,  // somebody else's site under our suffix: GET and HEAD, no cookies, few statuses stored, a
              // freshness floor
  site,       // a site that chose this node: RFC 9111 as it stands, all methods pass
};

// What was found in a response when it was received (or freshened by a 304). Plain data of fixed size: the
// store writes it verbatim, so a change of layout is a change of kVersion, and records of another version are
// not read.
struct CachePolicy {
  static constexpr std::uint32_t kVersion = 1;
  static constexpr std::int64_t kNoTime = INT64_MIN;

  enum Flag : std::uint32_t {
    kNoCache = 1u << 0,           // every reuse needs a validation first (no-cache without a field list)
    kMustRevalidate = 1u << 1,    // never served stale: must-revalidate, proxy-revalidate
    kSharedLifetime = 1u << 2,    // the lifetime is s-maxage: stale only by an explicit window of the author
    kHeuristic = 1u << 3,         // lifetime is ours, not the author's
    kImmutable = 1u << 4,         // RFC 8246: a reload does not validate while fresh
    kHasEtag = 1u << 5,           // the stored fields have an ETag
    kHasLastModified = 1u << 6,   // ... a Last-Modified
    kVaries = 1u << 7,            // ... a Vary: this object is one of several under its URL
    kVariantIndex = 1u << 8,      // no response: the entry under the plain URL that names the fields of Vary
    kAuthorStaleError = 1u << 9,  // stale_if_error is the author's, not the operator's default
    kNegative = 1u << 10,         // an error answer kept briefly; never displaces a good object
  };

  WallTime response_time{};               // when its head arrived here; the resident time counts from it
  milliseconds initial_age{};             // corrected_initial_age (RFC 9111 §4.2.3), never negative
  milliseconds lifetime{};                // freshness_lifetime (§4.2.1), never negative
  milliseconds stale_while_revalidate{};  // window behind the lifetime (RFC 5861 §3); 0: none
  milliseconds stale_if_error{};          // window behind the lifetime (RFC 5861 §4); 0: none
  std::int64_t last_modified = kNoTime;   // Unix seconds of a valid Last-Modified; else kNoTime
  std::int64_t date = kNoTime;            // Unix seconds of a valid Date, else of the time of receipt
  std::uint32_t flags = 0;
  std::uint32_t version = kVersion;

  [[nodiscard]] bool has(Flag flag) const { return (flags & flag) != 0; }
  void set(Flag flag, bool on = true) {
    flags = on ? flags | flag : flags & ~static_cast<std::uint32_t>(flag);
  }
  bool operator==(const CachePolicy&) const = default;
};
static_assert(std::is_trivially_copyable_v<CachePolicy>);
static_assert(sizeof(CachePolicy) == 64);

// current_age (RFC 9111 §4.2.3). A wall clock set back counts as no time passed.
[[nodiscard]] inline milliseconds current_age(const CachePolicy& policy, WallTime now) {
  const auto resident = now - policy.response_time;
  return policy.initial_age + (resident.count() > 0 ? resident : milliseconds{0});
}
// Milliseconds of freshness left; zero or negative: stale (fresh means lifetime > age, strictly).
[[nodiscard]] inline milliseconds time_to_live(const CachePolicy& policy, WallTime now) {
  return policy.lifetime - current_age(policy, now);
}

// Why a response is passed on without being stored. One text each (to_text), for log, counter, Cache-Status
// and test.
enum class NotStored : std::uint8_t {
  method,                    // only the answer to a GET becomes an object
  interim,                   // 1xx
  status,                    // this mode does not store the status
  partial,                   // 206: parts are not stored
  request_no_store,          // the client said no-store
  no_store,                  // the author said no-store
  private_,                  // the author said private
  not_understood,            // must-understand and a status we do not implement
  vary_any,                  // Vary: *
  vary_not_handled,          // more names in Vary than we are ready to compare
  authorization,             // the request had credentials and nothing allows to share the answer
  set_cookie,                // the mode does not share an answer that sets cookies
  no_freshness,              // neither explicit lifetime nor a status that may be cached by heuristics
  no_lifetime_no_validator,  // stale at once and nothing to validate it with: storing it serves nobody
};

// What may be done with a stored response, now, for one request.
enum class Reuse : std::uint8_t {
  fresh,                   // serve it
  stale_while_revalidate,  // serve it, and validate it in the background (one flight per key)
  stale_allowed,           // serve it stale: the client said max-stale
  must_validate,           // ask the origin first, with our validators if there are any
  unusable,                // fetch as if there were nothing stored (the client said no-store)
  gateway_timeout,         // the client said only-if-cached, and what we have may not be used: 504
};

// The `fwd` parameter of Cache-Status (RFC 9211 §2.2).
enum class Forward : std::uint8_t {
  none,
  bypass,
  method,
  uri_miss,
  vary_miss,
  miss,
  request,
  stale,
  partial
};

[[nodiscard]] std::string_view to_text(Mode mode);
[[nodiscard]] std::string_view to_text(NotStored reason);
[[nodiscard]] std::string_view to_text(Reuse reuse);
[[nodiscard]] std::string_view to_text(Forward reason);

// The answer to "may this be used": `age` and `ttl` are those at the time of the decision.
struct ReuseDecision {
  Reuse reuse = Reuse::must_validate;
  Forward forward = Forward::none;  // set where the origin has to be asked
  milliseconds age{};
  milliseconds ttl{};
};

}  // namespace reef::proxy::rules
