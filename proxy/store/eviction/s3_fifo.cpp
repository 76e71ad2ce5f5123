#include "proxy/store/eviction/s3_fifo.h"

#include <algorithm>
#include <bit>

namespace reef::proxy {
namespace {

constexpr std::size_t kGhostSetSize = 4;
constexpr std::size_t kGhostReachMin = 64;
constexpr std::uint32_t kUsesMax = 3;
// Uses in the small queue that earn a place in the main queue (the paper's "freq > 1").
constexpr std::uint32_t kUsesToStay = 2;

std::uint32_t fingerprint_of(const UrlHash& hash) { return static_cast<std::uint32_t>(hash.high) | 1; }

}  // namespace

S3Fifo::S3Fifo(const EvictionOptions& options, std::vector<TierEntry>& entries, OnInUse in_use)
    : bytes_max_(options.bytes_max),
      small_max_(options.bytes_max * options.small_queue_percent / 100),
      entries_(entries),
      in_use_(std::move(in_use)),
      ghosts_(std::max<std::size_t>(std::bit_ceil(options.ghost_entries), kGhostSetSize)) {}

void S3Fifo::push(EntryNumber number, Queue to) {
  entries_[number].queue = to;
  queue(to).push_newest(entries_, number);
}

void S3Fifo::enter(EntryNumber number, const std::optional<Standing>& was) {
  TierEntry& entry = entries_[number];
  entry.uses = was ? was->uses : 0;
  const bool to_main = was ? was->queue == kMain : take_ghost(entry.hash);
  push(number, to_main ? kMain : kSmall);
}

Eviction::Standing S3Fifo::leave(EntryNumber number) {
  const TierEntry& entry = entries_[number];
  queue(entry.queue).remove(entries_, number);
  return {entry.uses, entry.queue};
}

void S3Fifo::use(EntryNumber number) {
  std::uint32_t& uses = entries_[number].uses;
  if (uses < kUsesMax) ++uses;
}

EntryNumber S3Fifo::evict() {
  // Ends: each pass over an entry of the main queue lowers its counter, which only use() raises.
  for (;;) {
    const bool from_small = small_.count > 0 && (small_.bytes >= small_max_ || main_.count == 0);
    EntryList& from = from_small ? small_ : main_;
    const EntryNumber number = from.oldest;
    TierEntry& entry = entries_[number];
    if (entry.uses > 0) in_use_(number);
    from.remove(entries_, number);
    if (from_small && entry.uses >= kUsesToStay) {
      entry.uses = 0;
      push(number, kMain);
    } else if (!from_small && entry.uses > 0) {
      --entry.uses;
      push(number, kMain);
    } else {
      if (from_small) remember_ghost(entry.hash);
      return number;
    }
  }
}

S3Fifo::Ghost* S3Fifo::ghost_set(const UrlHash& hash) {
  return &ghosts_[hash.low & (ghosts_.size() - 1) & ~(kGhostSetSize - 1)];
}

void S3Fifo::remember_ghost(const UrlHash& hash) {
  ++ghost_clock_;
  // In evictions; an empty place is older than any.
  const auto age = [this](const Ghost& ghost) {
    return ghost.fingerprint == 0 ? 0xffffffffu : ghost_clock_ - ghost.when;
  };
  Ghost* const set = ghost_set(hash);
  Ghost* oldest = std::max_element(set, set + kGhostSetSize,
                                   [&](const Ghost& a, const Ghost& b) { return age(a) < age(b); });
  *oldest = {fingerprint_of(hash), ghost_clock_};
}

bool S3Fifo::take_ghost(const UrlHash& hash) {
  // The paper remembers as many ghosts as the main queue has entries.
  const std::size_t reach = std::max<std::size_t>(main_.count, kGhostReachMin);
  Ghost* const set = ghost_set(hash);
  for (Ghost* ghost = set; ghost != set + kGhostSetSize; ++ghost) {
    if (ghost->fingerprint != fingerprint_of(hash)) continue;
    const bool is_recent = ghost_clock_ - ghost->when <= reach;
    *ghost = {};
    return is_recent;
  }
  return false;
}

}  // namespace reef::proxy
