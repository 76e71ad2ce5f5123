#include "dsht/rtt.h"

#include <algorithm>

namespace reef::dsht {

void RttEstimator::sample(TimePoint now, Duration rtt) {
  rtt = std::max(rtt, Duration::zero());
  if (!has_sample_) {
    has_sample_ = true;
    smoothed_ = rtt;
    variation_ = rtt / 2;
    window_start_ = now;
    window_least_ = rtt;
    return;
  }
  const Duration error = smoothed_ > rtt ? smoothed_ - rtt : rtt - smoothed_;
  variation_ = (3 * variation_ + error) / 4;
  smoothed_ = (7 * smoothed_ + rtt) / 8;
  if (now - window_start_ >= kWindow) {
    previous_least_ = window_least_;
    window_start_ = now;
    window_least_ = rtt;
  } else {
    window_least_ = std::min(window_least_, rtt);
  }
}

std::optional<Duration> RttEstimator::timeout() const {
  if (!has_sample_) return std::nullopt;
  return std::clamp(smoothed_ + 4 * variation_, kTimeoutMin, kTimeoutMax);
}

std::optional<Duration> RttEstimator::patience() const {
  if (!has_sample_) return std::nullopt;
  return std::clamp(smoothed_ + std::min(4 * variation_, smoothed_ / 4 + kPatienceSlack), kPatienceMin,
                    kTimeoutMax);
}

std::optional<Duration> RttEstimator::smoothed() const {
  if (!has_sample_) return std::nullopt;
  return smoothed_;
}

std::optional<Duration> RttEstimator::least() const {
  if (!has_sample_) return std::nullopt;
  return std::min(window_least_, previous_least_);
}

}  // namespace reef::dsht
