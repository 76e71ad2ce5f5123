#include "tests/wan/shaper.h"

#include <algorithm>

namespace reef::wan {

Duration time_on_line(const Cap& cap, std::size_t bytes) {
  if (cap.bits_per_s == 0) return Duration::zero();
  return Duration(
      static_cast<std::int64_t>(static_cast<double>(bytes) * 8e9 / static_cast<double>(cap.bits_per_s)));
}

std::optional<TimePoint> Shaper::pass(TimePoint now, std::size_t bytes) {
  if (cap_.bits_per_s == 0) return std::max(now, free_at_);
  const Duration own = time_on_line(cap_, bytes);
  // An empty line always takes one packet, however small the queue.
  if (free_at_ > now && free_at_ - now + own > time_on_line(cap_, cap_.queue_bytes)) return std::nullopt;
  free_at_ = std::max(now, free_at_) + own;
  return free_at_;
}

}  // namespace reef::wan
