#include "proxy/store/ram_tier.h"

#include <algorithm>

namespace reef::proxy {
namespace {

// Allocator and container overhead of an object beside what is counted exactly: control blocks, table slots.
constexpr std::size_t kEntryOverheadBytes = 256;
constexpr std::size_t kTableSlotsMin = 64;

}  // namespace

RamTier::RamTier(RamTierOptions options, std::function<void(const UrlHash&)> used)
    : options_(options),
      used_(std::move(used)),
      table_(kTableSlotsMin, kNoEntry),
      eviction_(fresh_eviction()) {}

std::unique_ptr<Eviction> RamTier::fresh_eviction() {
  return make_eviction({.policy = options_.policy, .bytes_max = options_.bytes_max}, entries_,
                       [this](EntryNumber number) {
                         if (used_) used_(entries_[number].hash);
                       });
}

std::size_t RamTier::cost(const Object& object) const {
  const ObjectHead& head = object.head;
  return sizeof(TierEntry) + sizeof(Object) + sizeof(Body) + kEntryOverheadBytes + head.url.size() +
         head.fields.size() + head.reason.size() + head.etag.size() + head.last_modified.size() +
         object.body->ram_bytes() + (object.body->file() ? options_.file_body_cost : 0);
}

std::uint32_t RamTier::slot_of(const UrlHash& hash, std::string_view url) const {
  const std::size_t mask = table_.size() - 1;
  for (std::size_t slot = hash.low & mask; table_[slot] != kNoEntry; slot = (slot + 1) & mask) {
    const TierEntry& entry = entries_[table_[slot]];
    if (entry.hash == hash && entry.object->head.url == url) return static_cast<std::uint32_t>(slot);
  }
  return kNoSlot;
}

const std::shared_ptr<const Object>* RamTier::find(const UrlHash& hash, std::string_view url) {
  const std::uint32_t slot = slot_of(hash, url);
  if (slot == kNoSlot) {
    stats_.misses.add();
    return nullptr;
  }
  stats_.hits.add();
  eviction_->use(table_[slot]);
  const TierEntry& entry = entries_[table_[slot]];
  entry.object->body->note_reuse();
  return &entry.object;
}

void RamTier::index_entry(EntryNumber number) {
  const std::size_t mask = table_.size() - 1;
  std::size_t slot = entries_[number].hash.low & mask;
  while (table_[slot] != kNoEntry) slot = (slot + 1) & mask;
  table_[slot] = number;
  ++used_slots_;
}

void RamTier::grow_table() {
  std::vector<std::uint32_t> old(table_.size() * 2, kNoEntry);
  old.swap(table_);
  used_slots_ = 0;
  for (const EntryNumber number : old) {
    if (number != kNoEntry) index_entry(number);
  }
}

Eviction::Standing RamTier::drop(std::uint32_t slot) {
  const Eviction::Standing was = eviction_->leave(table_[slot]);
  free_slot(slot);
  return was;
}

// Of an entry that the policy has let go.
void RamTier::free_slot(std::uint32_t slot) {
  const EntryNumber number = table_[slot];
  bytes_ -= entries_[number].cost;
  entries_[number].object.reset();
  free_entries_.push_back(number);
  // Linear probing without tombstones: what follows in the run moves back into the hole where its home
  // allows.
  const std::size_t mask = table_.size() - 1;
  std::size_t hole = slot;
  for (std::size_t next = (hole + 1) & mask; table_[next] != kNoEntry; next = (next + 1) & mask) {
    const std::size_t home = entries_[table_[next]].hash.low & mask;
    if (((next - home) & mask) >= ((next - hole) & mask)) {
      table_[hole] = table_[next];
      hole = next;
    }
  }
  table_[hole] = kNoEntry;
  --used_slots_;
}

void RamTier::insert(const UrlHash& hash, std::shared_ptr<const Object> object) {
  const std::size_t bytes = cost(*object);
  // The same URL with newer content keeps its standing.
  std::optional<Eviction::Standing> was;
  if (const std::uint32_t slot = slot_of(hash, object->head.url); slot != kNoSlot) was = drop(slot);
  if (bytes > eviction_->cost_max()) {
    stats_.refused.add();
    publish_gauges();
    return;
  }
  make_room(bytes);
  if ((used_slots_ + 1) * 2 > table_.size()) grow_table();
  EntryNumber number = 0;
  if (free_entries_.empty()) {
    number = static_cast<EntryNumber>(entries_.size());
    entries_.emplace_back();
  } else {
    number = free_entries_.back();
    free_entries_.pop_back();
  }
  TierEntry& entry = entries_[number];
  entry.hash = hash;
  entry.object = std::move(object);
  entry.cost = bytes;
  bytes_ += bytes;
  eviction_->enter(number, was);
  index_entry(number);
  stats_.inserted.add();
  publish_gauges();
}

bool RamTier::erase(const UrlHash& hash) {
  const std::size_t mask = table_.size() - 1;
  for (std::size_t slot = hash.low & mask; table_[slot] != kNoEntry; slot = (slot + 1) & mask) {
    if (entries_[table_[slot]].hash != hash) continue;
    static_cast<void>(drop(static_cast<std::uint32_t>(slot)));
    publish_gauges();
    return true;
  }
  return false;
}

void RamTier::clear() {
  entries_.clear();
  free_entries_.clear();
  std::fill(table_.begin(), table_.end(), kNoEntry);
  used_slots_ = 0;
  bytes_ = 0;
  eviction_ = fresh_eviction();
  publish_gauges();
}

void RamTier::make_room(std::size_t bytes) {
  while (bytes_ + bytes > options_.bytes_max && used_slots_ > 0) {
    const TierEntry& entry = entries_[eviction_->evict()];
    stats_.evicted.add();
    free_slot(slot_of(entry.hash, entry.object->head.url));
  }
}

void RamTier::for_each(const std::function<void(const UrlHash&, const Object&)>& visit) const {
  for (const TierEntry& entry : entries_) {
    if (entry.object) visit(entry.hash, *entry.object);
  }
}

void RamTier::publish_gauges() {
  stats_.bytes.set(bytes_);
  stats_.objects.set(used_slots_);
}

}  // namespace reef::proxy
