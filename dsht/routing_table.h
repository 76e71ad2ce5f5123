// The contacts of all three levels: k-buckets by shared prefix (Kademlia 2002, §2.2, §2.4), once per level,
// over one list of entries, since a node has the same id and the same RTT at every level (NSDI 2004, §3.1).
//
// A contact is in the table only after it answered us, so nobody can fill it with addresses that cannot be
// reached. It stands at level 0, and at level 1 or 2 where it says that it is in our cluster, wherever its
// bucket of that level has room; an entry that stands nowhere is dropped. At most a few contacts of one /24
// (IPv6 /48) are taken, per bucket and per level, so that one operator cannot surround a node; this applies
// to global addresses only, because private networks and loopback have one prefix by nature. Not thread-safe,
// no I/O.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "dsht/contact.h"
#include "dsht/messages.h"
#include "dsht/rtt.h"

namespace reef::dsht {

// A set of levels: bit l is level l.
using LevelMask = std::uint8_t;
[[nodiscard]] constexpr LevelMask mask_of(Level level) { return static_cast<LevelMask>(1u << level); }

struct RoutingTableOptions {
  // k by level. Of a level-2 cluster a node knows as good as everybody, so that one hop leads to the place of
  // a key there.
  std::array<std::size_t, kLevels> bucket_size = {8, 8, 64};
  std::size_t replacements = 8;  // remembered per full bucket of level 0
  // Contacts of one /24 or /48 in a bucket and at a level; larger buckets take in proportion more.
  std::size_t prefix_bucket_max = 2;
  std::size_t prefix_level_max = 8;
  int failures_max = 4;  // time-outs in a row after which a contact is dropped
};

struct TableEntry {
  Contact contact;
  RttEstimator rtt;
  TimePoint heard_at{};   // the last answer to us
  TimePoint pinged_at{};  // the last time that we asked only to see whether it lives
  TimePoint token_at{};   // when `token` was given
  std::uint64_t token = 0;  // the write token that it gave us last
  int failures = 0;         // time-outs since it was heard; above zero it is suspect
  LevelMask levels = 0;     // where it stands
  bool proven = false;      // it has shown that it holds the key of its id, at this endpoint
  std::array<ClusterDescription, 2> clusters{};  // what it said last, of levels 1 and 2

  [[nodiscard]] bool is_suspect() const { return failures > 0; }
  [[nodiscard]] bool stands_at(Level level) const { return (levels & mask_of(level)) != 0; }
};

class RoutingTable {
 public:
  enum class Admission { added, known, bucket_full, prefix_full, self };

  RoutingTable(const NodeId& self, const RoutingTableOptions& options);

  // A contact answered us just now. `wanted`: the levels whose cluster it shares with us, level 0 always
  // among them. Enters it at each of them where there is room (`added`: it was not in the table at all
  // before), takes it out of those that it no longer shares, and otherwise remembers it as a replacement. A
  // known contact that answers from another endpoint takes the new one only when it has been silent or suspect
  // at the old one; it is then unproven.
  Admission answered(TimePoint now, const Contact& contact, LevelMask wanted,
                     const std::array<ClusterDescription, 2>& clusters);
  // Whether answered() would enter it, at whichever of those levels, or would if it were not there.
  [[nodiscard]] Admission admission(const Contact& contact, LevelMask wanted) const;
  // Heard of, but it did not answer us yet: worth a try when a place becomes free.
  void remember(const Contact& contact);
  // The replacement remembered last in the level-0 bucket of `id`, taken out; nullopt when there is none.
  std::optional<Contact> take_replacement(const NodeId& id);

  // One request to the contact timed out. True when that was the last straw and it was dropped.
  bool timed_out(const NodeId& id);
  void remove(const NodeId& id);
  // Our cluster at `level` (1 or 2) is another now: whoever said last that it is in `cluster` stands there,
  // as far as there is room, and nobody else.
  void rebuild(Level level, const ClusterId& cluster);

  // Valid until the table changes.
  [[nodiscard]] TableEntry* find(const NodeId& id);
  [[nodiscard]] const TableEntry* find(const NodeId& id) const;

  // Up to `count` entries of `level` closest to `target`, closest first; suspects only where `with_suspects`.
  // `out` is replaced. Valid until the table changes.
  void closest(Level level, const Key& target, std::size_t count, bool with_suspects,
               std::vector<const TableEntry*>& out) const;
  // How many entries of the level, suspects not counted, are closer to `key` than `than`; stops counting at
  // `enough`.
  [[nodiscard]] std::size_t count_closer(Level level, const Key& key, const Distance& than,
                                         std::size_t enough) const;

  [[nodiscard]] std::vector<TableEntry>& entries() { return entries_; }
  [[nodiscard]] const std::vector<TableEntry>& entries() const { return entries_; }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] std::size_t size(Level level) const { return level_sizes_[level]; }
  // About how many nodes the level has, ourselves among them: exact while no bucket is full, else from the
  // density of ids around ours.
  [[nodiscard]] double estimated_nodes(Level level) const;
  // Index of the bucket for an id: the length of the prefix it shares with ours, 0..159.
  [[nodiscard]] int bucket_of(const NodeId& id) const;
  // The deepest bucket of the level that holds a contact; -1 when it has none.
  [[nodiscard]] int deepest_bucket(Level level) const;
  // Whether the bucket of that level for an id has no room.
  [[nodiscard]] bool bucket_is_full(Level level, int bucket) const;

 private:
  const NodeId self_;
  const RoutingTableOptions options_;
  // Flat and small: scanning it is faster than any tree at the sizes that occur.
  std::vector<TableEntry> entries_;
  std::array<std::size_t, kLevels> level_sizes_{};
  std::array<std::array<std::uint8_t, kIdBits>, kLevels> bucket_sizes_{};
};

}  // namespace reef::dsht
