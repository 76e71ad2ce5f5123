// S3-FIFO, bounded by bytes.
//
// What is asked for once passes through a small queue and leaves no trace but a fingerprint; only what was
// asked for again, before or soon after it left, enters the main queue. A hit raises a two-bit counter and
// moves nothing. Differences from the paper: queues are bounded by bytes instead of entries; the ghost queue
// is a set-associative table of fingerprints, so it has a fixed size and needs no upkeep.
#pragma once

#include "proxy/store/eviction/entry_list.h"

namespace reef::proxy {

class S3Fifo final : public Eviction {
 public:
  S3Fifo(const EvictionOptions& options, std::vector<TierEntry>& entries, OnInUse in_use);

  void enter(EntryNumber number, const std::optional<Standing>& was) override;
  Standing leave(EntryNumber number) override;
  void use(EntryNumber number) override;
  [[nodiscard]] EntryNumber evict() override;
  [[nodiscard]] std::size_t cost_max() const override { return bytes_max_ - small_max_; }

 private:
  enum Queue : std::uint8_t { kSmall, kMain };
  // Who left the small queue lately: sets of four, each a fingerprint and when it came.
  struct Ghost {
    std::uint32_t fingerprint = 0;
    std::uint32_t when = 0;
  };

  [[nodiscard]] EntryList& queue(std::uint8_t which) { return which == kSmall ? small_ : main_; }
  void push(EntryNumber number, Queue to);
  [[nodiscard]] Ghost* ghost_set(const UrlHash& hash);
  void remember_ghost(const UrlHash& hash);
  [[nodiscard]] bool take_ghost(const UrlHash& hash);

  const std::size_t bytes_max_;
  const std::size_t small_max_;
  std::vector<TierEntry>& entries_;
  const OnInUse in_use_;
  EntryList small_, main_;
  std::vector<Ghost> ghosts_;
  std::uint32_t ghost_clock_ = 0;
};

}  // namespace reef::proxy
