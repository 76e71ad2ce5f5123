#include "dsht/routing_table.h"

#include <algorithm>

namespace reef::dsht {
namespace {

// How long a contact may be silent before another endpoint that claims its id is believed.
constexpr Duration kEndpointHold = std::chrono::minutes(1);

bool same_prefix(const IpAddress& a, const IpAddress& b) {
  if (a.is_v4() != b.is_v4()) return false;
  const std::size_t bytes = a.is_v4() ? 12 + 3 : 6;  // /24, /48
  return std::equal(a.bytes().begin(), a.bytes().begin() + bytes, b.bytes().begin());
}

std::uint64_t leading_word(const std::array<std::uint8_t, kIdBytes>& bytes) {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < 8; ++i) word = word << 8 | bytes[i];
  return word;
}

}  // namespace

RoutingTable::RoutingTable(const NodeId& self, const RoutingTableOptions& options)
    : self_(self), options_(options) {}

int RoutingTable::bucket_of(const NodeId& id) const {
  return std::min(distance(self_, id).leading_zeros(), kIdBits - 1);
}

int RoutingTable::deepest_bucket() const {
  for (int i = kIdBits - 1; i >= 0; --i) {
    if (bucket_sizes_[i] > 0) return i;
  }
  return -1;
}

bool RoutingTable::prefix_is_full(const Contact& contact, int bucket) const {
  if (!contact.rpc.address.is_global_unicast()) return false;
  std::size_t in_bucket = 0;
  std::size_t in_table = 0;
  for (const TableEntry& entry : entries_) {
    if (!same_prefix(entry.contact.rpc.address, contact.rpc.address)) continue;
    ++in_table;
    if (bucket_of(entry.contact.id) == bucket) ++in_bucket;
  }
  return in_bucket >= options_.prefix_bucket_max || in_table >= options_.prefix_table_max;
}

RoutingTable::Admission RoutingTable::admission(const Contact& contact) const {
  if (contact.id == self_) return Admission::self;
  if (find(contact.id) != nullptr) return Admission::known;
  const int bucket = bucket_of(contact.id);
  if (bucket_sizes_[bucket] >= options_.bucket_size) return Admission::bucket_full;
  return prefix_is_full(contact, bucket) ? Admission::prefix_full : Admission::added;
}

RoutingTable::Admission RoutingTable::answered(TimePoint now, const Contact& contact) {
  const Admission admitted = admission(contact);
  if (admitted == Admission::known) {
    TableEntry& entry = *find(contact.id);
    if (entry.contact.rpc != contact.rpc && !entry.is_suspect() && now - entry.heard_at < kEndpointHold)
      return admitted;
    if (entry.contact.rpc != contact.rpc) entry.rtt = RttEstimator{};
    entry.contact = contact;
    entry.heard_at = now;
    entry.failures = 0;
  } else if (admitted == Admission::added) {
    TableEntry entry;
    entry.contact = contact;
    entry.heard_at = now;
    entries_.push_back(std::move(entry));
    ++bucket_sizes_[bucket_of(contact.id)];
  } else if (admitted == Admission::bucket_full) {
    remember(contact);
  }
  return admitted;
}

void RoutingTable::remember(const Contact& contact) {
  if (contact.id == self_) return;
  std::vector<Contact>& list = replacements_[bucket_of(contact.id)];
  std::erase_if(list, [&](const Contact& other) { return other.id == contact.id; });
  if (list.size() >= options_.replacements && !list.empty()) list.erase(list.begin());
  if (options_.replacements > 0) list.push_back(contact);
}

std::optional<Contact> RoutingTable::take_replacement(const NodeId& id) {
  std::vector<Contact>& list = replacements_[bucket_of(id)];
  if (list.empty()) return std::nullopt;
  Contact out = list.back();
  list.pop_back();
  return out;
}

bool RoutingTable::timed_out(const NodeId& id) {
  TableEntry* entry = find(id);
  if (entry == nullptr || ++entry->failures < options_.failures_max) return false;
  remove(id);
  return true;
}

void RoutingTable::remove(const NodeId& id) {
  TableEntry* entry = find(id);
  if (entry == nullptr) return;
  --bucket_sizes_[bucket_of(id)];
  if (entry != &entries_.back()) *entry = std::move(entries_.back());
  entries_.pop_back();
}

TableEntry* RoutingTable::find(const NodeId& id) {
  const auto at =
      std::find_if(entries_.begin(), entries_.end(), [&](const TableEntry& e) { return e.contact.id == id; });
  return at == entries_.end() ? nullptr : &*at;
}

const TableEntry* RoutingTable::find(const NodeId& id) const {
  return const_cast<RoutingTable*>(this)->find(id);
}

std::vector<const TableEntry*> RoutingTable::closest(const Key& target, std::size_t count,
                                                     bool with_suspects) const {
  struct Ranked {
    std::uint64_t near;  // the leading 64 bits of the distance decide nearly always
    const TableEntry* entry;
  };
  const std::uint64_t target_word = leading_word(target.bytes);
  std::vector<Ranked> ranked;
  ranked.reserve(entries_.size());
  for (const TableEntry& entry : entries_) {
    if (with_suspects || !entry.is_suspect()) {
      ranked.push_back({leading_word(entry.contact.id.bytes) ^ target_word, &entry});
    }
  }
  const std::size_t kept = std::min(count, ranked.size());
  std::partial_sort(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(kept), ranked.end(),
                    [&](const Ranked& a, const Ranked& b) {
                      if (a.near != b.near) return a.near < b.near;
                      return distance(a.entry->contact.id, target) < distance(b.entry->contact.id, target);
                    });
  std::vector<const TableEntry*> out;
  out.reserve(kept);
  for (std::size_t i = 0; i < kept; ++i) out.push_back(ranked[i].entry);
  return out;
}

}  // namespace reef::dsht
