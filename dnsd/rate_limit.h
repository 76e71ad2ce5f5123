// Response-rate limiting: a spoofed source must not make us flood its owner (the RRL of Vixie and Schryver).
// A token bucket per client network, in a table of fixed size. Pure; belongs to one loop.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ip.h"
#include "base/time.h"
#include "dnsd/cookie.h"

namespace reef::dnsd {

struct RateLimitOptions {
  bool enabled = true;
  // Per network and loop. Generous: one resolver that asks 1,000 new names at full speed is never limited,
  // while a victim gets at most 2,000 small datagrams a second from one loop.
  double responses_per_second = 2000;
  double burst = 4000;
  // Of the responses over the limit every slip-th is sent empty with TC, so that a real client comes back by
  // TCP; the others are dropped. 0: all are dropped.
  int slip = 2;
  int v4_prefix_bits = 24;
  int v6_prefix_bits = 56;
  std::size_t networks_max = 16384;  // remembered at once; 24 bytes each
};

class RateLimiter {
 public:
  // `secret` keys the table, so that nobody can aim at another network's place in it.
  RateLimiter(const RateLimitOptions& options, const CookieSecret& secret);

  enum class Verdict { send, truncate, drop };
  // Counts one response to `client`. Loopback is exempt.
  Verdict on_response(TimePoint now, const IpAddress& client);

 private:
  static constexpr std::size_t kWays = 4;
  struct Bucket {
    std::uint64_t network = 0;  // keyed hash of the prefix; 0: free
    float tokens = 0;
    std::uint32_t over = 0;  // responses over the limit so far, for slip
    TimePoint filled_at{};
  };
  Bucket& bucket_of(TimePoint now, const IpAddress& client);

  RateLimitOptions options_;
  CookieSecret secret_;
  std::vector<Bucket> buckets_;  // sets of kWays; the longest idle of a set gives way
};

}  // namespace reef::dnsd
