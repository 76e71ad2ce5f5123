// The contacts of one level: k-buckets by shared prefix (Kademlia 2002, §2.2, §2.4).
//
// A contact is in the table only after it answered us, so nobody can fill it with addresses that cannot be
// reached. At most a few contacts of one /24 (IPv6 /48) are taken, per bucket and in all, so that one
// operator cannot surround a node; this applies to global addresses only, because private networks and
// loopback have one prefix by nature. Not thread-safe, no I/O.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "dsht/contact.h"
#include "dsht/rtt.h"

namespace reef::dsht {

struct RoutingTableOptions {
  std::size_t bucket_size = 8;        // k
  std::size_t replacements = 8;       // remembered per full bucket
  std::size_t prefix_bucket_max = 2;  // contacts of one /24 or /48 in a bucket
  std::size_t prefix_table_max = 8;   // and in the table
  int failures_max = 4;               // time-outs in a row after which a contact is dropped
};

struct TableEntry {
  Contact contact;
  RttEstimator rtt;
  TimePoint heard_at{};     // the last answer to us
  TimePoint pinged_at{};    // the last time that we asked only to see whether it lives
  int failures = 0;         // time-outs since it was heard; above zero it is suspect
  std::uint64_t token = 0;  // the write token that it gave us last

  [[nodiscard]] bool is_suspect() const { return failures > 0; }
};

class RoutingTable {
 public:
  enum class Admission { added, known, bucket_full, prefix_full, self };

  RoutingTable(const NodeId& self, const RoutingTableOptions& options);

  // A contact answered us just now. Enters it if there is room, else remembers it as a replacement. A known
  // contact that answers from another endpoint takes the new one only when it has been silent or suspect at
  // the old one.
  Admission answered(TimePoint now, const Contact& contact);
  // Whether answered() would add it.
  [[nodiscard]] Admission admission(const Contact& contact) const;
  // Heard of, but it did not answer us yet: worth a try when a place becomes free.
  void remember(const Contact& contact);
  // The replacement remembered last in the bucket of `id`, taken out; nullopt when there is none.
  std::optional<Contact> take_replacement(const NodeId& id);

  // One request to the contact timed out. True when that was the last straw and it was dropped.
  bool timed_out(const NodeId& id);
  void remove(const NodeId& id);

  // Valid until the table changes.
  [[nodiscard]] TableEntry* find(const NodeId& id);
  [[nodiscard]] const TableEntry* find(const NodeId& id) const;

  // Up to `count` entries closest to `target`, closest first; suspects only where `with_suspects`. Valid
  // until the table changes.
  [[nodiscard]] std::vector<const TableEntry*> closest(const Id<struct KeyTag>& target, std::size_t count,
                                                       bool with_suspects) const;

  [[nodiscard]] std::vector<TableEntry>& entries() { return entries_; }
  [[nodiscard]] const std::vector<TableEntry>& entries() const { return entries_; }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  // Index of the bucket for an id: the length of the prefix it shares with ours, 0..159.
  [[nodiscard]] int bucket_of(const NodeId& id) const;
  // The deepest bucket that holds a contact; -1 when the table is empty.
  [[nodiscard]] int deepest_bucket() const;

 private:
  [[nodiscard]] bool prefix_is_full(const Contact& contact, int bucket) const;

  const NodeId self_;
  const RoutingTableOptions options_;
  // Flat and small (about k·log2 n): scanning it is faster than any tree at the sizes that occur.
  std::vector<TableEntry> entries_;
  std::array<std::uint8_t, kIdBits> bucket_sizes_{};
  std::array<std::vector<Contact>, kIdBits> replacements_;
};

}  // namespace reef::dsht
