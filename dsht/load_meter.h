// How many puts of a key passed this node lately. From β a minute on the node is *loaded* for the key, and
// turns puts back so that they are stored further out (NSDI 2004, §4.1): each of the about log2(n) nodes that
// lead to a node lets β a minute through, whatever the crowd.
//
// Memory is bounded: of more keys than `keys_max` those seen longest ago are forgotten. Not thread-safe, no
// I/O.
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
  std::size_t keys_max = 4096;
};

class LoadMeter {
 public:
  LoadMeter(const LoadMeterOptions& options, const SipKey& secret);

  // Whether β passed within the last window: exact, not an average.
  [[nodiscard]] bool is_loaded(TimePoint now, const Key& key) const;
  // One passes now.
  void pass(TimePoint now, const Key& key);
  [[nodiscard]] std::size_t key_count() const;

 private:
  LoadMeterOptions options_;
};

}  // namespace reef::dsht
