#include "proxy/store/eviction/lfu.h"

namespace reef::proxy {
namespace {

// What is in steady use is never evicted, where it would be told of.
constexpr std::uint32_t kUsesToTell = 64;

}  // namespace

void Lfu::place(std::size_t at, const Ranked& ranked) {
  heap_[at] = ranked;
  entries_[ranked.number].older = static_cast<EntryNumber>(at);
}

void Lfu::sift_up(std::size_t at) {
  const Ranked moved = heap_[at];
  while (at > 0 && moved.goes_before(heap_[(at - 1) / 2])) {
    place(at, heap_[(at - 1) / 2]);
    at = (at - 1) / 2;
  }
  place(at, moved);
}

void Lfu::sift_down(std::size_t at) {
  const Ranked moved = heap_[at];
  for (;;) {
    std::size_t child = 2 * at + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1].goes_before(heap_[child])) ++child;
    if (!heap_[child].goes_before(moved)) break;
    place(at, heap_[child]);
    at = child;
  }
  place(at, moved);
}

void Lfu::take_out(std::size_t at) {
  const Ranked last = heap_.back();
  heap_.pop_back();
  if (at == heap_.size()) return;
  place(at, last);
  sift_up(at);
  sift_down(entries_[last.number].older);
}

void Lfu::enter(EntryNumber number, const std::optional<Standing>& was) {
  TierEntry& entry = entries_[number];
  entry.uses = was ? was->uses : 0;
  heap_.push_back({age_ + 1 + entry.uses, ++clock_, number});
  sift_up(heap_.size() - 1);
}

Eviction::Standing Lfu::leave(EntryNumber number) {
  take_out(entries_[number].older);
  return {entries_[number].uses, 0};
}

void Lfu::use(EntryNumber number) {
  TierEntry& entry = entries_[number];
  Ranked& ranked = heap_[entry.older];
  ++ranked.rank;
  ranked.when = ++clock_;
  sift_down(entry.older);
  if (++entry.uses % kUsesToTell == 0) in_use_(number);
}

EntryNumber Lfu::evict() {
  const Ranked first = heap_.front();
  age_ = first.rank;
  if (entries_[first.number].uses > 0) in_use_(first.number);
  take_out(0);
  return first.number;
}

}  // namespace reef::proxy
