// How many puts of a key passed this node lately. From β a minute on the node is *loaded* for the key, and
// turns puts back so that they are stored further out (NSDI 2004, §4.1): each of the about log2(n) nodes that
// lead to a node lets β a minute through, whatever the crowd.
//
// Up to kExactMax a window the times of the passes are kept, and the limit is exact: in no interval as long
// as a window (from its first instant on, without its last) do more than `per_window` pass. A larger limit
// costs two counters a key: the passes of the running window and of the one before, of which the part that
// the sliding window still covers is counted as if they had come evenly. That is off by at most what passed
// in the window before, and right for a steady stream.
//
// Strangers choose the keys, so their table is hashed with a secret, and memory is bounded: of more keys than
// `keys_max` those that saw no pass for the longest time are forgotten, as are those of two windows ago. Not
// thread-safe, no I/O.
#pragma once

#include <cstdint>
#include <list>
#include <unordered_map>
#include <vector>

#include "base/id.h"
#include "base/siphash.h"
#include "base/time.h"

namespace reef::dsht {

struct LoadMeterOptions {
  std::size_t per_window = 12;  // β; 0: nothing passes
  Duration window = std::chrono::minutes(1);
  std::size_t keys_max = 4096;  // at least 1
};

class LoadMeter {
 public:
  static constexpr std::size_t kExactMax = 16;

  LoadMeter(const LoadMeterOptions& options, const SipKey& secret);

  // Whether `per_window` passed within the last window.
  [[nodiscard]] bool is_loaded(TimePoint now, const Key& key) const;
  // One passes now. What was turned back did not pass and is not told here. `now` never runs backwards.
  void pass(TimePoint now, const Key& key);
  [[nodiscard]] std::size_t key_count() const { return by_key_.size(); }

 private:
  struct Passes {
    Key key;
    std::vector<TimePoint> times;  // exact: the last per_window, the oldest of a full ring at `oldest`
    std::size_t oldest = 0;
    TimePoint last{};          // pass of all
    TimePoint window_start{};  // counted: of the running window
    std::size_t current = 0;
    std::size_t previous = 0;
  };
  using Recency = std::list<Passes>;  // passed last first

  [[nodiscard]] bool is_exact() const { return options_.per_window <= kExactMax; }
  void count_pass(TimePoint now, Passes& passes) const;
  void forget_old(TimePoint now);

  const LoadMeterOptions options_;
  Recency recency_;
  std::unordered_map<Key, Recency::iterator, KeyedIdHash> by_key_;
};

}  // namespace reef::dsht
