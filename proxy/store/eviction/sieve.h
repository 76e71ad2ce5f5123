// SIEVE: one queue, and a hand that walks from its old end to the new one, spares what was used since it last
// came by, and takes the first that was not.
#pragma once

#include "proxy/store/eviction/entry_list.h"

namespace reef::proxy {

class Sieve final : public Eviction {
 public:
  Sieve(std::size_t bytes_max, std::vector<TierEntry>& entries, OnInUse in_use)
      : bytes_max_(bytes_max), entries_(entries), in_use_(std::move(in_use)) {}

  void enter(EntryNumber number, const std::optional<Standing>& was) override {
    entries_[number].uses = was ? was->uses : 0;
    queue_.push_newest(entries_, number);
  }
  Standing leave(EntryNumber number) override {
    if (hand_ == number) hand_ = entries_[number].newer;
    queue_.remove(entries_, number);
    return {entries_[number].uses, 0};
  }
  void use(EntryNumber number) override { entries_[number].uses = 1; }
  [[nodiscard]] EntryNumber evict() override {
    for (;; hand_ = entries_[hand_].newer) {
      if (hand_ == kNoEntry) hand_ = queue_.oldest;
      TierEntry& entry = entries_[hand_];
      if (entry.uses == 0) break;
      entry.uses = 0;
      in_use_(hand_);
    }
    const EntryNumber number = hand_;
    static_cast<void>(leave(number));
    return number;
  }
  [[nodiscard]] std::size_t cost_max() const override { return bytes_max_; }

 private:
  const std::size_t bytes_max_;
  std::vector<TierEntry>& entries_;
  const OnInUse in_use_;
  EntryList queue_;
  EntryNumber hand_ = kNoEntry;  // who is looked at next; none: the oldest
};

}  // namespace reef::proxy
