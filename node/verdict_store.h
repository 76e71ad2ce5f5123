// Findings about client networks, by prefix: bounded, ageing, and kept over a restart.
//
// In memory, with what changed since the last time for whoever writes it down (node/verdict_file.h). Times
// are wall times, since they are compared after a restart too; a time in the future counts as long ago.
// Belongs to the control loop. No I/O.
#pragma once

#include <list>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/time.h"
#include "node/finding.h"

namespace reef::node {

struct VerdictStoreOptions {
  std::size_t verdicts_max = 65'536;              // the one unused for the longest time gives way
  Duration measured_ttl = std::chrono::hours(1);  // how long a measurement, or a trace, holds
  Duration failed_ttl = std::chrono::minutes(5);  // after which one that found out nothing is tried again
};

struct StoredVerdict {
  Finding finding;
  IpAddress target;     // that was measured
  WallTime measured{};  // when
  bool operator==(const StoredVerdict&) const = default;
};

class VerdictStore {
 public:
  explicit VerdictStore(const VerdictStoreOptions& options) : options_(options) {}

  // What is known of that network and still holds, which counts as a use of it. Valid until the next call.
  [[nodiscard]] const StoredVerdict* find(WallTime now, const IpPrefix& client);
  void put(const IpPrefix& client, StoredVerdict verdict);
  // Forgets what no longer holds; a few at each call.
  void expire(WallTime now);

  [[nodiscard]] std::size_t size() const { return entries_.size(); }

  // ---- for whoever keeps it
  // Empty value: it is gone.
  struct Change {
    Bytes key, value;
  };
  // What changed since the last call, at most `count` of it.
  [[nodiscard]] std::vector<Change> take_changes(std::size_t count);
  // What was kept. False: not in the format of this version; nothing was changed.
  bool restore(WallTime now, ByteView key, ByteView value);

 private:
  struct PrefixHash {
    std::size_t operator()(const IpPrefix& p) const noexcept {
      return std::hash<IpAddress>{}(p.address) * 131 + static_cast<std::size_t>(p.bits);
    }
  };
  struct Entry {
    IpPrefix client;
    StoredVerdict verdict;
    bool is_dirty = false;
  };
  using Entries = std::list<Entry>;

  [[nodiscard]] bool holds(WallTime now, const StoredVerdict& verdict) const;
  void erase(Entries::iterator at);

  const VerdictStoreOptions options_;
  Entries entries_;  // the latest used first
  std::unordered_map<IpPrefix, Entries::iterator, PrefixHash> by_prefix_;
  std::vector<IpPrefix> dirty_;  // once each while the entry says so; those without an entry are gone
};

// The record of one verdict, and its strict reader.
[[nodiscard]] Bytes encode(const StoredVerdict& verdict);
[[nodiscard]] std::optional<StoredVerdict> decode_verdict(ByteView bytes);

}  // namespace reef::node
