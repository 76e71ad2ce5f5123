#include "dnsd/rate_limit.h"

#include <algorithm>
#include <bit>

namespace reef::dnsd {

RateLimiter::RateLimiter(const RateLimitOptions& options, const CookieSecret& secret)
    : options_(options), secret_(secret) {
  if (options_.enabled) buckets_.resize(std::bit_ceil(std::max(options_.networks_max, kWays)));
}

RateLimiter::Bucket& RateLimiter::bucket_of(TimePoint now, const IpAddress& client) {
  const IpPrefix network =
      IpPrefix::around(client, client.is_v4() ? options_.v4_prefix_bits : options_.v6_prefix_bits);
  const std::uint64_t hash =
      std::max<std::uint64_t>(1, siphash(secret_, std::as_bytes(std::span(network.address.bytes()))));
  Bucket* const set = &buckets_[hash & (buckets_.size() - 1) & ~(kWays - 1)];
  Bucket* oldest = set;
  for (Bucket* b = set; b != set + kWays; ++b) {
    if (b->network == hash) return *b;
    if (b->filled_at < oldest->filled_at) oldest = b;
  }
  *oldest = {.network = hash, .tokens = static_cast<float>(options_.burst), .over = 0, .filled_at = now};
  return *oldest;
}

RateLimiter::Verdict RateLimiter::on_response(TimePoint now, const IpAddress& client) {
  if (!options_.enabled || client.is_loopback()) return Verdict::send;
  Bucket& bucket = bucket_of(now, client);
  const double idle = std::chrono::duration<double>(now - bucket.filled_at).count();
  bucket.filled_at = now;
  bucket.tokens =
      static_cast<float>(std::min(options_.burst, static_cast<double>(bucket.tokens) +
                                                      std::max(idle, 0.0) * options_.responses_per_second));
  if (bucket.tokens >= 1) {
    bucket.tokens -= 1;
    return Verdict::send;
  }
  ++bucket.over;
  if (options_.slip > 0 && bucket.over % static_cast<std::uint32_t>(options_.slip) == 0)
    return Verdict::truncate;
  return Verdict::drop;
}

}  // namespace reef::dnsd
