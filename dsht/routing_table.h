// The contacts of all three levels: k-buckets by shared prefix (Kademlia 2002, §2.2, §2.4), once per level,
// over one list of entries, since a node has the same id and the same RTT at every level (NSDI 2004, §3.1).
//
// A contact is in the table only after it answered us, so nobody can fill it with addresses that cannot be
// reached. It stands at level 0, and at level 1 or 2 where it says that it is in our cluster, wherever its
// bucket of that level has room; an entry that stands nowhere is dropped. At most a few contacts of one /24
// (IPv6 /48) are taken, per bucket and per level, so that one operator cannot surround a node; this applies
// to global addresses only, because private networks and loopback have one prefix by nature.
//
// Who is in a full bucket stays there (Kademlia), unless it is an *insider*, which stands at an inner level
// besides, and there are more of these than their share of the bucket. Then it makes room for somebody who
// is of no inner level, and for an insider that is new in the table. It stays in the table. So a cluster that
// was alone for a while, and filled its buckets with itself, takes the others in again.
//
// Beside the entries stand what scans need of them, tightly packed: find() and closest() are on the way of
// every RPC and read 1 and 3 bytes a contact. Memory: about 220 bytes a contact and 1 KiB. Not thread-safe,
// no I/O.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "dsht/address_group.h"
#include "dsht/contact.h"
#include "dsht/messages.h"
#include "dsht/rtt.h"

namespace reef::dsht {

struct RoutingTableOptions {
  // k by level. Of a level-2 cluster a node knows as good as everybody, so that one hop leads to the place of
  // a key there.
  std::array<std::size_t, kLevels> bucket_size = {8, 8, 64};
  std::size_t replacements = 8;  // remembered per full bucket of level 0
  // Of a full bucket of level 0 or 1, what insiders keep when others come.
  double insider_share = 0.25;
  // Contacts of one /24 or /48 in a bucket (k * prefix_bucket_max / 8 if that is more) and at a level (k if
  // that is more).
  std::size_t prefix_bucket_max = 2;
  std::size_t prefix_level_max = 8;
  int failures_max = 4;  // time-outs in a row after which a contact is dropped
};

// Its owner may write what it measured and learnt: rtt, times, token, proven. Who it is, where it stands and
// its failures are the table's to change.
struct TableEntry {
  Contact contact;
  RttEstimator rtt;
  TimePoint heard_at{};     // the last answer to us
  TimePoint asked_at{};     // the last time that we asked only to see whether it lives
  TimePoint asked_us_at{};  // the last request of it, or of somebody in its name
  TimePoint token_at{};     // when `token` was given
  std::uint64_t token = 0;  // the write token that it gave us last
  int failures = 0;         // time-outs since it was heard; above zero it is suspect
  LevelMask levels = 0;     // where it stands
  bool proven = false;      // it has shown that it holds the key of its id, at this endpoint
  std::array<ClusterDescription, 2> clusters{};  // what it said last, of levels 1 and 2

  [[nodiscard]] bool is_suspect() const { return failures > 0; }
  [[nodiscard]] bool stands_at(Level level) const { return (levels & mask_of(level)) != 0; }
  [[nodiscard]] Level innermost() const { return stands_at(2) ? 2 : stands_at(1) ? 1 : 0; }
};

class RoutingTable {
 public:
  enum class Admission { added, known, bucket_full, prefix_full, self };

  RoutingTable(const NodeId& self, const RoutingTableOptions& options);

  // A contact answered us just now. `wanted`: the levels whose cluster it shares with us, level 0 always
  // among them. Enters it at each of them where there is room, or an insider makes some (`added`: it was not
  // in the table at all before), takes it out of those that it no longer shares, and otherwise remembers it
  // as a replacement. A known contact that answers from another endpoint takes the new one only when it has
  // been silent or suspect at the old one; it is then unproven, unmeasured and without token. A known contact
  // that loses its last place is dropped, and the answer says why. A contact with a place at some level is no
  // replacement.
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
  // Our cluster at `level` (1 or 2) is another now (zero: none): whoever said last that it is in `cluster`
  // stands there, as far as there is room, and nobody else. Who lost its last place by this takes one at
  // level 0 if there is room, or an insider makes some, and is otherwise dropped and remembered as a
  // replacement.
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

  [[nodiscard]] std::span<TableEntry> entries() { return entries_; }
  [[nodiscard]] std::span<const TableEntry> entries() const { return entries_; }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] std::size_t size(Level level) const { return level_sizes_[level]; }
  // About how many nodes the level has, ourselves among them: all that we know while no bucket is full, else
  // from the density of ids around ours, as far as we know them all. Then within 35 % in four of five cases
  // (k = 8).
  [[nodiscard]] double estimated_nodes(Level level) const;
  // Index of the bucket for an id: the length of the prefix it shares with ours, 0..159.
  [[nodiscard]] int bucket_of(const NodeId& id) const;
  // The deepest bucket of the level that holds a contact; -1 when it has none.
  [[nodiscard]] int deepest_bucket(Level level) const;
  // Whether the bucket of that level for an id has no room.
  [[nodiscard]] bool bucket_is_full(Level level, int bucket) const;

 private:
  static constexpr LevelMask kSuspect = 0x80;  // among the levels of standing_
  static_assert(kLevels < 8);

  struct Picked {
    std::uint64_t near = 0;  // the first 8 bytes of the distance
    std::size_t index = 0;
  };

  [[nodiscard]] std::size_t index_of(const NodeId& id) const;
  [[nodiscard]] double estimate(Level level) const;
  // How many bits the `count` closest contacts of a level should share with the target.
  [[nodiscard]] int likely_bits(Level level, const Key& target, std::size_t count) const;
  // The `count` closest whose distance begins with no more than `limit`, closest first; how many there are.
  std::size_t pick(Level level, const Key& target, std::size_t count, bool with_suspects, std::uint64_t limit,
                   Picked* picked) const;
  [[nodiscard]] int bucket_at(std::size_t index) const;
  // Whether a contact of that bucket and group may enter at the level: `added`, or why not. `displaces`: an
  // insider makes room for it.
  [[nodiscard]] Admission room_at(Level level, bool displaces, int bucket, AddressGroup group) const;
  // The levels of `wanted` with room for it, who stands at those of `standing` already; `refusal`: why, if
  // there is none.
  [[nodiscard]] LevelMask room_in(LevelMask wanted, LevelMask standing, int bucket, AddressGroup group,
                                  Admission& refusal) const;
  // The insider of the bucket that makes room: the one not heard for the longest time. kNowhere: there are no
  // more than their share.
  [[nodiscard]] std::size_t yielding(Level level, int bucket) const;
  // Where the bucket is full, an insider yields.
  void enter(std::size_t index, LevelMask levels);
  void retreat(std::size_t index, LevelMask levels);
  void erase(std::size_t index);
  void set_failures(std::size_t index, int failures);
  Admission answered_again(TimePoint now, std::size_t index, const Contact& contact, LevelMask wanted,
                           const std::array<ClusterDescription, 2>& clusters);
  // Whether the entry is closer to the key than `than`, of which `than_word` is the beginning.
  [[nodiscard]] bool is_closer(std::size_t index, const Key& key, std::uint64_t key_word,
                               const Distance& than, std::uint64_t than_word) const;

  const NodeId self_;
  const std::uint64_t self_word_;
  const RoutingTableOptions options_;
  // Parallel: the entries, the last byte of their ids, the first 2 and the first 8 (big-endian), where they
  // stand (and whether they are suspect), their groups.
  std::vector<TableEntry> entries_;
  std::vector<std::uint8_t> tags_;
  std::vector<std::uint16_t> prefixes_;
  std::vector<std::uint64_t> words_;
  std::vector<LevelMask> standing_;
  std::vector<AddressGroup> groups_;
  std::array<std::size_t, kLevels> level_sizes_{};
  std::array<std::array<std::uint16_t, kIdBits>, kLevels> bucket_sizes_{};
  mutable std::array<double, kLevels> estimates_{};  // of the nodes; 0: to be made
  std::vector<std::vector<Contact>> replacements_;   // by bucket, in the order in which they were remembered
};

}  // namespace reef::dsht
