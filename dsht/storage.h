// The values that a node keeps for others: soft state, several values a key, one per key and publisher.
//
// Order. Values of a key stand in the order in which their publishers arrived. A provisional value (of an
// announcement) that replaces a provisional one of the same publisher keeps its place; one that replaces a
// complete value (the object was had and lost) goes to the end. A complete value keeps the place of the one
// it replaces.
//
// Bounds. Per key: when full, a complete value displaces the provisional one that arrived last, or else the
// complete one that expires first if that is before its own end; a provisional value displaces nothing. In
// all (values and bytes): whatever expires first gives way, and if that is the new value itself, it is
// refused. A value that grows when it is renewed makes room in the same way. Not thread-safe, no I/O.
#pragma once

#include <chrono>
#include <cstdint>
#include <set>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/random.h"
#include "base/siphash.h"
#include "base/time.h"
#include "dsht/messages.h"

namespace reef::dsht {

struct StorageOptions {
  std::size_t full_at = 4;  // M
  std::size_t values_per_key_max = 64;
  std::size_t values_max = 262'144;
  std::size_t bytes_max = 64 << 20;  // data, keys, signatures and bookkeeping of all values, estimated
  std::chrono::seconds ttl_max = std::chrono::hours(24);
};

struct StoredValue {
  NodeId publisher;
  Record record;        // whose signature was checked by the caller
  TimePoint arrived{};  // its place in the order
  TimePoint expires{};
};

class Storage {
 public:
  enum class Outcome { stored, renewed, full, old, withdrawn, absent };

  Storage(const StorageOptions& options, const SipKey& secret);

  // A publisher's own word; its life is the record's ttl, clamped to ttl_max. A record of no life takes the
  // publisher's value back (`withdrawn`, or `absent`). A record whose sequence is less than that of the one
  // held is old news and changes nothing (`old`). The same sequence again is `renewed`, but neither the
  // record nor its end changes (`old` if that has come); a record of no life needs no greater sequence.
  // `full`: there is no room.
  Outcome put(TimePoint now, const Key& key, const NodeId& publisher, const Record& record);
  // A copy from another node that held it: it takes the place of its arrival time. It never displaces what we
  // know first-hand and better: of two records the one with the greater sequence counts, of two arrivals the
  // earlier (as long as renewal would have kept the place). `full` as well if it is over or has no life.
  Outcome merge(TimePoint now, const Key& key, const StoredValue& value);

  // Full for a value of that ttl: `full_at` or more complete values will live at least half as long as it
  // (NSDI 2004, §4.1), or one of its own publisher will, so that putting it again adds nothing.
  [[nodiscard]] bool is_full(TimePoint now, const Key& key, std::chrono::seconds ttl,
                             const NodeId& publisher) const;
  [[nodiscard]] std::size_t count(const Key& key) const;  // of values, over or not
  // It is held, to the last byte of its signature: it was checked before.
  [[nodiscard]] bool holds(const Key& key, const Record& record) const;

  // All live values, in order of arrival. Valid until the storage changes.
  [[nodiscard]] std::vector<const StoredValue*> live(TimePoint now, const Key& key) const;
  // What an announcer is told: complete values, and provisional ones that arrived before its own; never its
  // own. In order of arrival. Of more than `count` the earliest provisional stays, then complete ones and
  // others by lot, so that a crowd spreads over those that have the object.
  [[nodiscard]] std::vector<const StoredValue*> earlier(TimePoint now, const Key& key, const NodeId& asker,
                                                        std::size_t count, Random& random) const;
  // What a reader is told: the same for everybody, the asker's own value always among them.
  [[nodiscard]] std::vector<const StoredValue*> sample(TimePoint now, const Key& key, const NodeId& asker,
                                                       std::size_t count, Random& random) const;

  // Forgets what is over; at most `count` values a call.
  void expire(TimePoint now, std::size_t count);

  [[nodiscard]] std::vector<Key> keys() const;
  [[nodiscard]] std::size_t value_count() const { return by_expiry_.size(); }
  [[nodiscard]] std::size_t key_count() const { return values_.size(); }
  [[nodiscard]] std::size_t byte_count() const { return bytes_; }

 private:
  using List = std::vector<StoredValue>;  // in order of arrival

  [[nodiscard]] TimePoint next_arrival(TimePoint now);
  [[nodiscard]] const StoredValue* held(const Key& key, const NodeId& publisher) const;
  [[nodiscard]] bool make_room(TimePoint now, const Key& key, const StoredValue& value);
  Outcome insert(TimePoint now, const Key& key, StoredValue value);
  // In place of the one that its publisher has; `full` if that ended with both gone.
  Outcome replace(TimePoint now, const Key& key, StoredValue value);
  void erase(const Key& key, const NodeId& publisher);

  const StorageOptions options_;
  std::unordered_map<Key, List, KeyedIdHash> values_;
  std::set<std::tuple<TimePoint, Key, NodeId>> by_expiry_;
  std::size_t bytes_ = 0;
  TimePoint last_arrival_{};
};

}  // namespace reef::dsht
