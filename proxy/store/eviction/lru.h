// Least recently used first.
#pragma once

#include "proxy/store/eviction/entry_list.h"

namespace reef::proxy {

class Lru final : public Eviction {
 public:
  Lru(std::size_t bytes_max, std::vector<TierEntry>& entries, OnInUse in_use)
      : bytes_max_(bytes_max), entries_(entries), in_use_(std::move(in_use)) {}

  void enter(EntryNumber number, const std::optional<Standing>& was) override {
    entries_[number].uses = was ? was->uses : 0;
    queue_.push_newest(entries_, number);
  }
  Standing leave(EntryNumber number) override {
    queue_.remove(entries_, number);
    return {entries_[number].uses, 0};
  }
  void use(EntryNumber number) override {
    queue_.remove(entries_, number);
    queue_.push_newest(entries_, number);
    // What is in steady use never comes to the old end, where it would be told of.
    if (++entries_[number].uses % kUsesToTell == 0) in_use_(number);
  }
  [[nodiscard]] EntryNumber evict() override {
    const EntryNumber number = queue_.oldest;
    if (entries_[number].uses > 0) in_use_(number);
    queue_.remove(entries_, number);
    return number;
  }
  [[nodiscard]] std::size_t cost_max() const override { return bytes_max_; }

 private:
  static constexpr std::uint32_t kUsesToTell = 64;

  const std::size_t bytes_max_;
  std::vector<TierEntry>& entries_;
  const OnInUse in_use_;
  EntryList queue_;
};

}  // namespace reef::proxy
