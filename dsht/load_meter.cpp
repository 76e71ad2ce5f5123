#include "dsht/load_meter.h"

#include <algorithm>

namespace reef::dsht {

LoadMeter::LoadMeter(const LoadMeterOptions& options, const SipKey& secret)
    : options_(options), by_key_(16, KeyedIdHash{secret}) {}

bool LoadMeter::is_loaded(TimePoint now, const Key& key) const {
  if (options_.per_window == 0) return true;
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return false;
  const Passes& passes = *found->second;
  if (is_exact()) {
    return passes.times.size() == options_.per_window && now - passes.times[passes.oldest] < options_.window;
  }
  const Duration elapsed = now - passes.window_start;
  const auto limit = static_cast<double>(options_.per_window);
  const double into = std::chrono::duration<double>(elapsed) / std::chrono::duration<double>(options_.window);
  if (into >= 2) return false;
  const auto current = static_cast<double>(passes.current);
  if (into >= 1) return current * (2 - into) >= limit;  // it is the window before by now
  return static_cast<double>(passes.previous) * (1 - into) + current >= limit;
}

void LoadMeter::count_pass(TimePoint now, Passes& passes) const {
  const Duration elapsed = now - passes.window_start;
  if (elapsed >= 2 * options_.window) {
    passes.window_start = now;
    passes.previous = passes.current = 0;
  } else if (elapsed >= options_.window) {
    passes.window_start += options_.window;
    passes.previous = passes.current;
    passes.current = 0;
  }
  ++passes.current;
}

// What passed two windows ago counts no more; a few a time, so that no call takes long.
void LoadMeter::forget_old(TimePoint now) {
  for (int i = 0; i < 2 && !recency_.empty() && now - recency_.back().last >= 2 * options_.window; ++i) {
    by_key_.erase(recency_.back().key);
    recency_.pop_back();
  }
}

void LoadMeter::pass(TimePoint now, const Key& key) {
  if (options_.per_window == 0) return;
  forget_old(now);
  const auto found = by_key_.find(key);
  if (found != by_key_.end()) {
    recency_.splice(recency_.begin(), recency_, found->second);
  } else {
    if (by_key_.size() >= std::max<std::size_t>(options_.keys_max, 1)) {
      by_key_.erase(recency_.back().key);
      recency_.pop_back();
    }
    Passes fresh;
    fresh.key = key;
    fresh.window_start = now;
    recency_.push_front(std::move(fresh));
    by_key_.emplace(key, recency_.begin());
  }
  Passes& passes = recency_.front();
  passes.last = now;
  if (!is_exact()) {
    count_pass(now, passes);
  } else if (passes.times.size() < options_.per_window) {
    passes.times.push_back(now);
  } else {
    passes.times[passes.oldest] = now;
    passes.oldest = (passes.oldest + 1) % options_.per_window;
  }
}

}  // namespace reef::dsht
