#include "probe/rtt.h"

#include <algorithm>

namespace reef::probe {

void RttFilter::add(TimePoint now, Duration rtt) {
  const Sample sample{now, std::max(rtt, Duration::zero())};
  if (empty_ || sample.rtt <= best_[0].rtt || now - best_[2].at > window_) {
    empty_ = false;
    return restart(sample);
  }
  if (sample.rtt <= best_[1].rtt) {
    best_[1] = best_[2] = sample;
  } else if (sample.rtt <= best_[2].rtt) {
    best_[2] = sample;
  }
  if (now - best_[0].at > window_) {  // the best is too old: the next one takes over
    best_ = {best_[1], best_[2], sample};
    if (now - best_[0].at > window_) best_ = {best_[1], best_[2], sample};
  } else if (best_[1].at == best_[0].at && now - best_[0].at > window_ / 4) {
    best_[1] = best_[2] = sample;  // a quarter of the window without a second best: take one from the present
  } else if (best_[2].at == best_[1].at && now - best_[0].at > window_ / 2) {
    best_[2] = sample;
  }
}

std::optional<Duration> RttFilter::minimum(TimePoint now) const {
  if (empty_) return std::nullopt;
  for (const Sample& sample : best_) {
    if (now - sample.at <= window_) return sample.rtt;
  }
  return std::nullopt;
}

}  // namespace reef::probe
