#include "proxy/store/ram_tier.h"

#include <algorithm>
#include <bit>

namespace reef::proxy {
namespace {

// Allocator and container overhead of an object beside what is counted exactly: control blocks, table slots.
constexpr std::size_t kEntryOverheadBytes = 256;
constexpr std::size_t kTableSlotsMin = 64;
constexpr std::size_t kGhostSetSize = 4;
constexpr std::uint8_t kUsesMax = 3;
// Uses in the small queue that earn a place in the main queue (the paper's "freq > 1").
constexpr std::uint8_t kUsesToStay = 2;

std::uint32_t fingerprint_of(const UrlHash& hash) { return static_cast<std::uint32_t>(hash.high) | 1; }

}  // namespace

RamTier::RamTier(RamTierOptions options, std::function<void(const UrlHash&)> used)
    : options_(options),
      used_(std::move(used)),
      table_(kTableSlotsMin, kNone),
      ghosts_(std::max<std::size_t>(std::bit_ceil(options.ghost_entries), kGhostSetSize)) {}

std::size_t RamTier::cost(const Object& object) const {
  const ObjectHead& head = object.head;
  return sizeof(Entry) + sizeof(Object) + sizeof(Body) + kEntryOverheadBytes + head.url.size() +
         head.fields.size() + head.reason.size() + head.etag.size() + head.last_modified.size() +
         object.body->ram_bytes() + (object.body->file() ? options_.file_body_cost : 0);
}

std::uint32_t RamTier::slot_of(const UrlHash& hash, std::string_view url) const {
  const std::size_t mask = table_.size() - 1;
  for (std::size_t slot = hash.low & mask; table_[slot] != kNone; slot = (slot + 1) & mask) {
    const Entry& entry = entries_[table_[slot]];
    if (entry.hash == hash && entry.object->head.url == url) return static_cast<std::uint32_t>(slot);
  }
  return kNone;
}

const std::shared_ptr<const Object>* RamTier::find(const UrlHash& hash, std::string_view url) {
  const std::uint32_t slot = slot_of(hash, url);
  if (slot == kNone) {
    stats_.misses.add();
    return nullptr;
  }
  stats_.hits.add();
  Entry& entry = entries_[table_[slot]];
  if (entry.uses < kUsesMax) ++entry.uses;
  return &entry.object;
}

void RamTier::push(std::uint32_t index, Queue queue) {
  Entry& entry = entries_[index];
  Fifo& to = fifo(queue);
  entry.queue = queue;
  entry.older = to.newest;
  entry.newer = kNone;
  (to.newest == kNone ? to.oldest : entries_[to.newest].newer) = index;
  to.newest = index;
  to.bytes += entry.cost;
  ++to.entries;
}

void RamTier::unlink(std::uint32_t index) {
  Entry& entry = entries_[index];
  Fifo& from = fifo(entry.queue);
  (entry.older == kNone ? from.oldest : entries_[entry.older].newer) = entry.newer;
  (entry.newer == kNone ? from.newest : entries_[entry.newer].older) = entry.older;
  from.bytes -= entry.cost;
  --from.entries;
  entry.queue = Queue::none;
}

void RamTier::index_entry(std::uint32_t index) {
  const std::size_t mask = table_.size() - 1;
  std::size_t slot = entries_[index].hash.low & mask;
  while (table_[slot] != kNone) slot = (slot + 1) & mask;
  table_[slot] = index;
  ++used_slots_;
}

void RamTier::grow_table() {
  std::vector<std::uint32_t> old(table_.size() * 2, kNone);
  old.swap(table_);
  used_slots_ = 0;
  for (const std::uint32_t index : old) {
    if (index != kNone) index_entry(index);
  }
}

void RamTier::drop(std::uint32_t slot) {
  const std::uint32_t index = table_[slot];
  unlink(index);
  entries_[index].object.reset();
  entries_[index].uses = 0;
  free_entries_.push_back(index);
  // Linear probing without tombstones: what follows in the run moves back into the hole where its home
  // allows.
  const std::size_t mask = table_.size() - 1;
  std::size_t hole = slot;
  for (std::size_t next = (hole + 1) & mask; table_[next] != kNone; next = (next + 1) & mask) {
    const std::size_t home = entries_[table_[next]].hash.low & mask;
    if (((next - home) & mask) >= ((next - hole) & mask)) {
      table_[hole] = table_[next];
      hole = next;
    }
  }
  table_[hole] = kNone;
  --used_slots_;
}

void RamTier::insert(const UrlHash& hash, std::shared_ptr<const Object> object) {
  const std::size_t bytes = cost(*object);
  Queue queue = Queue::small;
  std::uint8_t uses = 0;
  if (const std::uint32_t slot = slot_of(hash, object->head.url); slot != kNone) {
    // The same URL with newer content keeps its standing.
    queue = entries_[table_[slot]].queue;
    uses = entries_[table_[slot]].uses;
    drop(slot);
  } else if (take_ghost(hash)) {
    queue = Queue::main;
  }
  const std::size_t small_max = options_.bytes_max * options_.small_queue_percent / 100;
  if (bytes > options_.bytes_max - small_max) {
    stats_.refused.add();
    publish_gauges();
    return;
  }
  make_room(bytes);
  if ((used_slots_ + 1) * 2 > table_.size()) grow_table();
  std::uint32_t index = 0;
  if (free_entries_.empty()) {
    index = static_cast<std::uint32_t>(entries_.size());
    entries_.emplace_back();
  } else {
    index = free_entries_.back();
    free_entries_.pop_back();
  }
  Entry& entry = entries_[index];
  entry.hash = hash;
  entry.object = std::move(object);
  entry.cost = bytes;
  entry.uses = uses;
  push(index, queue);
  index_entry(index);
  stats_.inserted.add();
  publish_gauges();
}

bool RamTier::erase(const UrlHash& hash) {
  const std::size_t mask = table_.size() - 1;
  for (std::size_t slot = hash.low & mask; table_[slot] != kNone; slot = (slot + 1) & mask) {
    if (entries_[table_[slot]].hash != hash) continue;
    drop(static_cast<std::uint32_t>(slot));
    publish_gauges();
    return true;
  }
  return false;
}

void RamTier::clear() {
  entries_.clear();
  free_entries_.clear();
  std::fill(table_.begin(), table_.end(), kNone);
  used_slots_ = 0;
  small_ = {};
  main_ = {};
  publish_gauges();
}

void RamTier::make_room(std::size_t bytes) {
  const std::size_t small_max = options_.bytes_max * options_.small_queue_percent / 100;
  while (small_.bytes + main_.bytes + bytes > options_.bytes_max && small_.entries + main_.entries > 0) {
    if (small_.entries > 0 && (small_.bytes >= small_max || main_.entries == 0)) {
      evict_from_small();
    } else {
      evict_from_main();
    }
  }
}

void RamTier::evict_from_small() {
  const std::uint32_t index = small_.oldest;
  Entry& entry = entries_[index];
  if (entry.uses >= kUsesToStay) {
    unlink(index);
    entry.uses = 0;
    push(index, Queue::main);
    if (used_) used_(entry.hash);
    return;
  }
  remember_ghost(entry.hash);
  evict(index);
}

void RamTier::evict_from_main() {
  // Ends: each pass over an entry lowers its counter, which only find() raises.
  const std::uint32_t index = main_.oldest;
  Entry& entry = entries_[index];
  if (entry.uses > 0) {
    unlink(index);
    --entry.uses;
    push(index, Queue::main);
    if (used_) used_(entry.hash);
    return;
  }
  evict(index);
}

void RamTier::evict(std::uint32_t index) {
  Entry& entry = entries_[index];
  if (entry.uses > 0 && used_) used_(entry.hash);
  stats_.evicted.add();
  drop(slot_of(entry.hash, entry.object->head.url));
}

void RamTier::remember_ghost(const UrlHash& hash) {
  Ghost* set = &ghosts_[hash.low & (ghosts_.size() - 1) & ~(kGhostSetSize - 1)];
  ++ghost_clock_;
  Ghost* oldest = std::max_element(set, set + kGhostSetSize, [this](const Ghost& a, const Ghost& b) {
    // Age in evictions; an empty place is older than any.
    const auto age = [this](const Ghost& ghost) {
      return ghost.fingerprint == 0 ? 0xffffffffu : ghost_clock_ - ghost.when;
    };
    return age(a) < age(b);
  });
  *oldest = {fingerprint_of(hash), ghost_clock_};
}

bool RamTier::take_ghost(const UrlHash& hash) {
  // The paper remembers as many ghosts as the main queue has entries.
  const std::size_t reach = std::max<std::size_t>(main_.entries, kTableSlotsMin);
  Ghost* set = &ghosts_[hash.low & (ghosts_.size() - 1) & ~(kGhostSetSize - 1)];
  for (Ghost* ghost = set; ghost != set + kGhostSetSize; ++ghost) {
    if (ghost->fingerprint != fingerprint_of(hash)) continue;
    const bool is_recent = ghost_clock_ - ghost->when <= reach;
    *ghost = {};
    return is_recent;
  }
  return false;
}

void RamTier::for_each(const std::function<void(const UrlHash&, const Object&)>& visit) const {
  for (const Entry& entry : entries_) {
    if (entry.object) visit(entry.hash, *entry.object);
  }
}

void RamTier::publish_gauges() {
  stats_.bytes.set(small_.bytes + main_.bytes);
  stats_.objects.set(small_.entries + main_.entries);
}

}  // namespace reef::proxy
