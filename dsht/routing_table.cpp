#include "dsht/routing_table.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "dsht/tag_scan.h"

namespace reef::dsht {
namespace {

// How long a contact may be silent before another endpoint that claims its id is believed.
constexpr Duration kEndpointHold = std::chrono::minutes(1);
// Up to so many closest are picked in one pass; for more, sorting is the faster way.
constexpr std::size_t kPickedMax = 64;
constexpr int kPrefixShift = 48;

// Whether any of the levels is further in than `level`.
bool reaches_inside(unsigned levels, Level level) { return (levels & kAllLevels) >> (level + 1u) != 0; }

// What is known of how densely ids lie around ours. Lengths of the id space are in units of the part beyond
// the deepest full bucket.
struct Density {
  double counted = 0;        // nodes in the buckets of which we know everybody
  double length = 0;         // of these buckets together
  std::vector<double> full;  // lengths of buckets that have k or more
  double k = 0;
};

// The likeliest number of nodes in a unit, if they lie as a Poisson process: the root of the derivative of
// log(m^counted · e^(-m·length) · Π P(N(m·full) >= k)).
double likeliest_per_unit(const Density& density) {
  // d/dm log P(N(m) >= k) = P(N = k-1) / P(N >= k) = 1 / (m/k + m²/(k(k+1)) + ...), which is less than k/m.
  const auto slope_of_full = [&](double m) {
    double term = 1;
    double sum = 0;
    for (double j = density.k; term > sum * 1e-9 && sum < 1e100; ++j) sum += term *= m / j;
    return 1 / sum;
  };
  double low = 0;
  double high = (density.counted + static_cast<double>(density.full.size()) * density.k) / density.length;
  for (int i = 0; i < 40; ++i) {
    const double middle = (low + high) / 2;
    double slope = density.counted / middle - density.length;
    for (const double length : density.full) slope += length * slope_of_full(middle * length);
    (slope > 0 ? low : high) = middle;
  }
  return high;
}

}  // namespace

RoutingTable::RoutingTable(const NodeId& self, const RoutingTableOptions& options)
    : self_(self), self_word_(self.leading_word()), options_(options) {}

// ---- where an id belongs

int RoutingTable::bucket_of(const NodeId& id) const {
  return std::min(distance(self_, id).leading_zeros(), kIdBits - 1);
}

int RoutingTable::bucket_at(std::size_t index) const {
  const std::uint64_t apart = words_[index] ^ self_word_;
  return apart != 0 ? std::countl_zero(apart) : bucket_of(entries_[index].contact.id);
}

int RoutingTable::deepest_bucket(Level level) const {
  for (int i = kIdBits - 1; i >= 0; --i) {
    if (bucket_sizes_[level][i] > 0) return i;
  }
  return -1;
}

bool RoutingTable::bucket_is_full(Level level, int bucket) const {
  return bucket_sizes_[level][bucket] >= options_.bucket_size[level];
}

std::size_t RoutingTable::yielding(Level level, int bucket) const {
  std::size_t insiders = 0;
  std::size_t out = kNotFound;
  for (std::size_t i = 0; i < standing_.size(); ++i) {
    if ((standing_[i] & mask_of(level)) == 0 || !reaches_inside(standing_[i], level)) continue;
    if (bucket_at(i) != bucket) continue;
    ++insiders;
    if (out == kNotFound || entries_[i].heard_at < entries_[out].heard_at) out = i;
  }
  const double kept = static_cast<double>(options_.bucket_size[level]) * options_.insider_share;
  return static_cast<double>(insiders) > kept ? out : kNotFound;
}

RoutingTable::Admission RoutingTable::room_at(Level level, bool displaces, int bucket,
                                              AddressGroup group) const {
  if (bucket_is_full(level, bucket) && !(displaces && yielding(level, bucket) != kNotFound))
    return Admission::bucket_full;
  if (group == kNoGroup) return Admission::added;
  std::size_t in_bucket = 0;
  std::size_t at_level = 0;
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    if (groups_[i] != group || (standing_[i] & mask_of(level)) == 0) continue;
    ++at_level;
    if (bucket_at(i) == bucket) ++in_bucket;
  }
  const std::size_t k = options_.bucket_size[level];
  const std::size_t bucket_max = std::max(options_.prefix_bucket_max, k * options_.prefix_bucket_max / 8);
  const std::size_t level_max = std::max(options_.prefix_level_max, k);
  return in_bucket < bucket_max && at_level < level_max ? Admission::added : Admission::prefix_full;
}

LevelMask RoutingTable::room_in(LevelMask wanted, LevelMask standing, int bucket, AddressGroup group,
                                Admission& refusal) const {
  LevelMask out = 0;
  refusal = Admission::prefix_full;
  for (Level level = kLevels; level-- > 0;) {
    if ((wanted & ~standing & mask_of(level)) == 0) continue;
    const bool displaces =
        !reaches_inside(wanted | standing, level) || (standing == 0 && reaches_inside(out, level));
    const Admission room = room_at(level, displaces, bucket, group);
    if (room == Admission::added) out |= mask_of(level);
    if (room == Admission::bucket_full) refusal = room;
  }
  return out;
}

RoutingTable::Admission RoutingTable::admission(const Contact& contact, LevelMask wanted) const {
  if (contact.id == self_) return Admission::self;
  if (find(contact.id) != nullptr) return Admission::known;
  wanted |= mask_of(0);
  Admission refusal{};
  const LevelMask room =
      room_in(wanted, 0, bucket_of(contact.id), address_group(contact.rpc.address), refusal);
  return room != 0 ? Admission::added : refusal;
}

// ---- changes

void RoutingTable::enter(std::size_t index, LevelMask levels) {
  levels &= static_cast<LevelMask>(~standing_[index]);
  for (Level level = 0; level < kLevels; ++level) {
    if ((levels & mask_of(level)) == 0) continue;
    const int bucket = bucket_at(index);
    if (bucket_is_full(level, bucket)) retreat(yielding(level, bucket), mask_of(level));
    estimates_[level] = 0;
    ++level_sizes_[level];
    ++bucket_sizes_[level][bucket];
  }
  standing_[index] |= levels;
  entries_[index].levels |= levels;
}

void RoutingTable::retreat(std::size_t index, LevelMask levels) {
  levels &= standing_[index];
  for (Level level = 0; level < kLevels; ++level) {
    if ((levels & mask_of(level)) == 0) continue;
    estimates_[level] = 0;
    --level_sizes_[level];
    --bucket_sizes_[level][bucket_at(index)];
  }
  standing_[index] &= static_cast<LevelMask>(~levels);
  entries_[index].levels &= static_cast<LevelMask>(~levels);
}

void RoutingTable::set_failures(std::size_t index, int failures) {
  entries_[index].failures = failures;
  standing_[index] &= static_cast<LevelMask>(~kSuspect);
  if (failures > 0) standing_[index] |= kSuspect;
}

void RoutingTable::erase(std::size_t index) {
  retreat(index, entries_[index].levels);
  const std::size_t last = entries_.size() - 1;
  if (index != last) entries_[index] = std::move(entries_[last]);
  tags_[index] = tags_[last];
  prefixes_[index] = prefixes_[last];
  words_[index] = words_[last];
  standing_[index] = standing_[last];
  groups_[index] = groups_[last];
  entries_.pop_back();
  tags_.pop_back();
  prefixes_.pop_back();
  words_.pop_back();
  standing_.pop_back();
  groups_.pop_back();
}

RoutingTable::Admission RoutingTable::answered(TimePoint now, const Contact& contact, LevelMask wanted,
                                               const std::array<ClusterDescription, 2>& clusters) {
  if (contact.id == self_) return Admission::self;
  wanted |= mask_of(0);
  if (const std::size_t index = index_of(contact.id); index != kNotFound)
    return answered_again(now, index, contact, wanted, clusters);
  const AddressGroup group = address_group(contact.rpc.address);
  Admission refusal{};
  const LevelMask room = room_in(wanted, 0, bucket_of(contact.id), group, refusal);
  if (room == 0) {
    if (refusal == Admission::bucket_full) remember(contact);
    return refusal;
  }
  TableEntry entry;
  entry.contact = contact;
  entry.heard_at = now;
  entry.clusters = clusters;
  entries_.push_back(std::move(entry));
  tags_.push_back(tag_of(contact.id));
  words_.push_back(contact.id.leading_word());
  prefixes_.push_back(static_cast<std::uint16_t>(words_.back() >> kPrefixShift));
  standing_.push_back(0);
  groups_.push_back(group);
  enter(entries_.size() - 1, room);
  return Admission::added;
}

RoutingTable::Admission RoutingTable::answered_again(TimePoint now, std::size_t index, const Contact& contact,
                                                     LevelMask wanted,
                                                     const std::array<ClusterDescription, 2>& clusters) {
  TableEntry& entry = entries_[index];
  if (entry.contact.rpc != contact.rpc) {
    if (!entry.is_suspect() && now - entry.heard_at < kEndpointHold) return Admission::known;
    entry.rtt = RttEstimator{};
    entry.token = 0;
    entry.token_at = {};
    entry.proven = false;
    if (const AddressGroup group = address_group(contact.rpc.address); group != groups_[index]) {
      retreat(index, entry.levels);  // it comes in anew, under the limits of the other group
      groups_[index] = group;
    }
  }
  entry.contact = contact;
  entry.heard_at = now;
  set_failures(index, 0);
  entry.clusters = clusters;
  retreat(index, static_cast<LevelMask>(~wanted));
  if ((wanted & ~entry.levels) != 0) {
    Admission refusal{};
    enter(index, room_in(wanted, entry.levels, bucket_at(index), groups_[index], refusal));
    if (entry.levels == 0) {
      erase(index);
      if (refusal == Admission::bucket_full) remember(contact);
      return refusal;
    }
  }
  return Admission::known;
}

void RoutingTable::remember(const Contact& contact) {
  if (contact.id == self_ || options_.replacements == 0 || index_of(contact.id) != kNotFound) return;
  const auto bucket = static_cast<std::size_t>(bucket_of(contact.id));
  if (bucket >= replacements_.size()) replacements_.resize(bucket + 1);
  std::vector<Contact>& held = replacements_[bucket];
  std::erase_if(held, [&](const Contact& other) { return other.id == contact.id; });
  if (held.size() >= options_.replacements) held.erase(held.begin());
  held.push_back(contact);
}

std::optional<Contact> RoutingTable::take_replacement(const NodeId& id) {
  const auto bucket = static_cast<std::size_t>(bucket_of(id));
  if (bucket >= replacements_.size() || replacements_[bucket].empty()) return std::nullopt;
  const Contact out = replacements_[bucket].back();
  replacements_[bucket].pop_back();
  return out;
}

bool RoutingTable::timed_out(const NodeId& id) {
  const std::size_t index = index_of(id);
  if (index == kNotFound) return false;
  set_failures(index, entries_[index].failures + 1);
  if (entries_[index].failures < options_.failures_max) return false;
  erase(index);
  return true;
}

void RoutingTable::remove(const NodeId& id) {
  if (const std::size_t index = index_of(id); index != kNotFound) erase(index);
}

void RoutingTable::rebuild(Level level, const ClusterId& cluster) {
  for (std::size_t i = 0; i < entries_.size(); ++i) retreat(i, mask_of(level));
  // From the end, so that the one that takes the place of an erased entry was seen before.
  for (std::size_t i = entries_.size(); i-- > 0;) {
    LevelMask wanted = 0;
    if (!cluster.is_zero() && entries_[i].clusters[level - 1u].id == cluster) wanted |= mask_of(level);
    if (entries_[i].levels == 0) wanted |= mask_of(0);
    if (wanted == 0) continue;
    Admission refusal{};
    enter(i, room_in(wanted, entries_[i].levels, bucket_at(i), groups_[i], refusal));
    if (entries_[i].levels != 0) continue;
    const Contact contact = entries_[i].contact;
    erase(i);
    remember(contact);
  }
}

// ---- questions

std::size_t RoutingTable::index_of(const NodeId& id) const {
  return find_tagged(tags_, id, [&](std::size_t index) {
    return words_[index] == id.leading_word() && entries_[index].contact.id == id;
  });
}

TableEntry* RoutingTable::find(const NodeId& id) {
  const std::size_t index = index_of(id);
  return index == kNotFound ? nullptr : &entries_[index];
}

const TableEntry* RoutingTable::find(const NodeId& id) const {
  const std::size_t index = index_of(id);
  return index == kNotFound ? nullptr : &entries_[index];
}

bool RoutingTable::is_closer(std::size_t index, const Key& key, std::uint64_t key_word, const Distance& than,
                             std::uint64_t than_word) const {
  const std::uint64_t near = words_[index] ^ key_word;
  return near != than_word ? near < than_word : distance(entries_[index].contact.id, key) < than;
}

void RoutingTable::closest(Level level, const Key& target, std::size_t count, bool with_suspects,
                           std::vector<const TableEntry*>& out) const {
  out.clear();
  if (count == 0) return;
  if (count > kPickedMax) {
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if ((standing_[i] & mask_of(level)) != 0 && (with_suspects || !entries_[i].is_suspect()))
        out.push_back(&entries_[i]);
    }
    const auto kept = static_cast<std::ptrdiff_t>(std::min(count, out.size()));
    std::partial_sort(out.begin(), out.begin() + kept, out.end(), [&](const auto* a, const auto* b) {
      return distance(a->contact.id, target) < distance(b->contact.id, target);
    });
    out.resize(static_cast<std::size_t>(kept));
    return;
  }

  // Most are further than a limit guessed from the buckets, and are passed by without a look at the order.
  // Suspects and ids that lie unevenly make the guess wrong; then it is widened.
  std::array<Picked, kPickedMax> picked;
  std::size_t held = 0;
  int bits = likely_bits(level, target, count);
  for (;; bits -= 3) {
    const std::uint64_t limit = ~std::uint64_t{0} >> std::max(bits, 0);
    held = pick(level, target, count, with_suspects, limit, picked.data());
    if (held == count || bits <= 0) break;
  }
  for (std::size_t i = 0; i < held; ++i) out.push_back(&entries_[picked[i].index]);
}

int RoutingTable::likely_bits(Level level, const Key& target, std::size_t count) const {
  // Those that share one more bit with the target than we do are one bucket of ours, lying evenly; those that
  // share fewer are that bucket and all deeper ones, and then one more for each bit less.
  const auto& sizes = bucket_sizes_[level];
  const std::size_t enough = count + count / 2 + 1;
  int bits = bucket_of(target.as<NodeId>());
  const std::size_t own = sizes[static_cast<std::size_t>(bits)];
  if (own >= enough) return std::min(bits + static_cast<int>(std::bit_width(own / enough)), 63);
  std::size_t within = level_sizes_[level];
  for (int outer = 0; outer < bits; ++outer) within -= sizes[static_cast<std::size_t>(outer)];
  while (within < enough && bits > 0) within += sizes[static_cast<std::size_t>(--bits)];
  return std::min(bits, 63);
}

std::size_t RoutingTable::pick(Level level, const Key& target, std::size_t count, bool with_suspects,
                               std::uint64_t limit, Picked* picked) const {
  const std::uint64_t target_word = target.leading_word();
  const auto target_prefix = static_cast<std::uint16_t>(target_word >> kPrefixShift);
  const LevelMask wanted = mask_of(level);
  const LevelMask looked_at = with_suspects ? wanted : static_cast<LevelMask>(wanted | kSuspect);
  auto prefix_limit = static_cast<std::uint16_t>(limit >> kPrefixShift);
  std::size_t held = 0;
  for (std::size_t i = 0; i < prefixes_.size(); ++i) {
    if ((prefixes_[i] ^ target_prefix) > prefix_limit || (standing_[i] & looked_at) != wanted) continue;
    const std::uint64_t near = words_[i] ^ target_word;
    if (near > limit) continue;
    const auto goes_before = [&](const Picked& other) {
      if (near != other.near) return near < other.near;
      return distance(entries_[i].contact.id, target) < distance(entries_[other.index].contact.id, target);
    };
    std::size_t place = held;
    while (place > 0 && goes_before(picked[place - 1])) --place;
    if (place == count) continue;
    if (held < count) ++held;
    for (std::size_t j = held - 1; j > place; --j) picked[j] = picked[j - 1];
    picked[place] = {near, i};
    if (held == count) {
      limit = picked[held - 1].near;
      prefix_limit = static_cast<std::uint16_t>(limit >> kPrefixShift);
    }
  }
  return held;
}

std::size_t RoutingTable::count_closer(Level level, const Key& key, const Distance& than,
                                       std::size_t enough) const {
  const std::uint64_t key_word = key.leading_word();
  const std::uint64_t than_word = than.leading_word();
  std::size_t count = 0;
  for (std::size_t i = 0; i < words_.size() && count < enough; ++i) {
    if ((standing_[i] & (mask_of(level) | kSuspect)) != mask_of(level)) continue;
    if (is_closer(i, key, key_word, than, than_word)) ++count;
  }
  return count;
}

double RoutingTable::estimated_nodes(Level level) const {
  if (estimates_[level] == 0) estimates_[level] = estimate(level);
  return estimates_[level];
}

double RoutingTable::estimate(Level level) const {
  int deepest = kIdBits - 1;
  while (deepest >= 0 && !bucket_is_full(level, deepest)) --deepest;
  if (deepest < 0) return static_cast<double>(level_sizes_[level]) + 1;
  // Beyond the deepest full bucket we know everybody. Where it is full by chance, those before it are not,
  // and count as well, as far as the next full one. Further out a bucket that is not full has lost somebody
  // whose place was not taken yet.
  Density density;
  density.k = static_cast<double>(options_.bucket_size[level]);
  density.length = 1;
  for (int i = deepest + 1; i < kIdBits; ++i) density.counted += bucket_sizes_[level][i];
  for (int i = deepest; i >= 0 && density.full.size() < 2; --i) {
    const double length = std::ldexp(1.0, deepest - i);
    if (bucket_is_full(level, i)) {
      density.full.push_back(length);
    } else {
      density.counted += bucket_sizes_[level][i];
      density.length += length;
    }
  }
  return std::ldexp(likeliest_per_unit(density), deepest + 1) + 1;
}

}  // namespace reef::dsht
