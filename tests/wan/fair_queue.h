// A bounded queue that serves flows by turns: deficit round robin (Shreedhar and Varghese, 1995), and when it
// is full the head of the longest flow is dropped, as fq_codel does (RFC 8290 §4.1). Its codel part is left
// out. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>

#include "base/bytes.h"

namespace reef::wan {

class FairQueue {
 public:
  // Of all packets together; one packet always fits.
  void set_limit(std::size_t bytes) { limit_ = bytes; }

  // Returns how many packets were dropped for it (perhaps itself).
  std::size_t push(std::uint64_t flow, Bytes packet);
  // The packet whose turn it is; nullopt: empty.
  std::optional<Bytes> pop();
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  struct Flow {
    std::deque<Bytes> packets;
    std::size_t bytes = 0;
    std::size_t deficit = 0;  // bytes that it may still send in this turn
  };
  void drop_from_longest();
  Bytes take_head(Flow& flow);

  std::size_t limit_ = 64 * 1024;
  std::size_t bytes_ = 0;
  std::unordered_map<std::uint64_t, Flow> flows_;  // those with packets
  std::deque<std::uint64_t> turns_;                // the same, in the order of their turns
};

}  // namespace reef::wan
