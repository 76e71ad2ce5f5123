// A token bucket per source, in memory that does not grow: sources are hashed with a secret into a fixed
// number of slots, and those that fall together share one. Not thread-safe, no I/O.
#pragma once

#include <vector>

#include "base/ip.h"
#include "base/siphash.h"
#include "base/time.h"

namespace reef::dsht {

struct RateLimitOptions {
  double per_second = 500;  // requests answered per source
  double burst = 1000;
  std::size_t slots = 4096;  // 16 bytes each
};

class RateLimit {
 public:
  RateLimit(const RateLimitOptions& options, const SipKey& secret);

  // Whether one more request from there may be answered now. A source is an IPv4 address or an IPv6 /64;
  // outside global space, where many nodes share an address, it is address and port.
  [[nodiscard]] bool allow(TimePoint now, const Endpoint& source);

 private:
  struct Slot {
    TimePoint filled_at{};
    double tokens = 0;
  };
  const RateLimitOptions options_;
  const SipKey secret_;
  std::vector<Slot> slots_;
};

}  // namespace reef::dsht
