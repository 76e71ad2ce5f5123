#include "dsht/rate_limit.h"

#include <algorithm>

namespace reef::dsht {

RateLimit::RateLimit(const RateLimitOptions& options, const SipKey& secret)
    : options_(options), secret_(secret), slots_(std::max<std::size_t>(options.slots, 1)) {
  for (Slot& slot : slots_) slot.tokens = options_.burst;
}

bool RateLimit::allow(TimePoint now, const Endpoint& source) {
  std::array<std::byte, 19> input{};
  ByteWriter writer(input);
  writer.u8('r');
  const auto raw = std::as_bytes(std::span(source.address.bytes()));
  writer.bytes(source.address.is_v4() || !source.address.is_global_unicast() ? raw : raw.first(8));
  if (!source.address.is_global_unicast()) writer.u16(source.port);
  Slot& slot = slots_[siphash(secret_, writer.written()) % slots_.size()];
  const double elapsed =
      std::chrono::duration<double>(std::max(now - slot.filled_at, Duration::zero())).count();
  slot.tokens = std::min(options_.burst, slot.tokens + elapsed * options_.per_second);
  slot.filled_at = now;
  if (slot.tokens < 1) return false;
  slot.tokens -= 1;
  return true;
}

}  // namespace reef::dsht
