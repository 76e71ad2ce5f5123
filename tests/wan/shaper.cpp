#include "tests/wan/shaper.h"

#include <algorithm>

namespace reef::wan {

std::optional<TimePoint> Shaper::pass(TimePoint now, std::size_t bytes) {
  if (cap_.bits_per_s == 0) return std::max(now, free_at_);
  const auto time_on_line = [&](std::size_t count) {
    return Duration(
        static_cast<std::int64_t>(static_cast<double>(count) * 8e9 / static_cast<double>(cap_.bits_per_s)));
  };
  // An empty line always takes one packet, however small the queue.
  if (free_at_ > now && free_at_ - now + time_on_line(bytes) > time_on_line(cap_.queue_bytes))
    return std::nullopt;
  free_at_ = std::max(now, free_at_) + time_on_line(bytes);
  return free_at_;
}

}  // namespace reef::wan
