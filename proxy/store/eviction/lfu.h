// Least frequently used first, with dynamic aging: who enters starts at the rank of who was evicted last, so
// that what was popular once does not stay for ever. Among equals the least recently used goes first.
//
// A binary heap that knows where each entry is (its field `older`); a use moves an entry down in log n steps.
#pragma once

#include "proxy/store/eviction/eviction.h"

namespace reef::proxy {

class Lfu final : public Eviction {
 public:
  Lfu(std::size_t bytes_max, std::vector<TierEntry>& entries, OnInUse in_use)
      : bytes_max_(bytes_max), entries_(entries), in_use_(std::move(in_use)) {}

  void enter(EntryNumber number, const std::optional<Standing>& was) override;
  Standing leave(EntryNumber number) override;
  void use(EntryNumber number) override;
  [[nodiscard]] EntryNumber evict() override;
  [[nodiscard]] std::size_t cost_max() const override { return bytes_max_; }

 private:
  struct Ranked {
    std::uint64_t rank = 0;  // uses since it entered, above the age of the tier then
    std::uint64_t when = 0;  // of the last use, as a count of uses
    EntryNumber number = kNoEntry;

    [[nodiscard]] bool goes_before(const Ranked& other) const {
      return rank != other.rank ? rank < other.rank : when < other.when;
    }
  };

  void place(std::size_t at, const Ranked& ranked);
  void sift_up(std::size_t at);
  void sift_down(std::size_t at);
  void take_out(std::size_t at);

  const std::size_t bytes_max_;
  std::vector<TierEntry>& entries_;
  const OnInUse in_use_;
  std::vector<Ranked> heap_;
  std::uint64_t age_ = 0;  // the rank of who was evicted last
  std::uint64_t clock_ = 0;
};

}  // namespace reef::proxy
