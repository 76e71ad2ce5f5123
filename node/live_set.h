// The nodes that answers of the name server may name, and whether each of them lives just now.
//
// A node that dies shall be out of answers within their TTL and ten seconds. So each member is asked every
// few seconds, and is named only while it was heard first-hand within `heard_within`; that is why there are
// few members. They are contacts of the index, chosen by level: the nearest of each level, others by lot who
// give way to others now and then (the random walk of who is near nobody), and nodes near clients that a
// finding named. Who tells that it leaves is out of the index's table, and so out of the answers, at once.
//
// Decides only; the owner asks. Not thread-safe, no I/O.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/random.h"
#include "base/time.h"
#include "dsht/node.h"
#include "dsht/routing_table.h"

namespace reef::node {

struct LiveSetOptions {
  // Contacts of the index: half of them of level 2, a quarter each of levels 1 and 0; where a level has
  // fewer, the others have more.
  std::size_t nodes_max = 32;
  std::size_t named_max = 64;                       // nodes near clients
  Duration heard_within = std::chrono::seconds(9);  // named in answers for so long after it was heard
  Duration ping_every = std::chrono::seconds(4);    // so that one lost exchange does not take it out
  Duration ping_silent = std::chrono::seconds(20);  // a node near clients that is silent: it may come back
  Duration named_for = std::chrono::minutes(10);    // after a finding named it
  Duration change_one_every = std::chrono::seconds(30);  // of those by lot, per level
  std::size_t pings_max = 32;                            // asked for at once
};

class LiveSet {
 public:
  LiveSet(const LiveSetOptions& options, Random random) : options_(options), random_(random) {}

  // The index's contacts as they are now; to be called every second or so.
  void choose(TimePoint now, std::span<const dsht::TableEntry> table);
  // A finding named these as near a client. Of too many, who was named the longest time ago gives way.
  void name(TimePoint now, std::span<const dsht::Contact> near);

  // Whom to ask now. For each, heard() or silent() follows.
  [[nodiscard]] std::vector<dsht::Contact> due(TimePoint now);
  void heard(const dsht::Neighbour& who);
  void silent(const NodeId& who);

  // Those that answers may name, in no order: heard_at within `heard_within`.
  [[nodiscard]] std::vector<dsht::Neighbour> live(TimePoint now) const;
  [[nodiscard]] bool is_live(TimePoint now, const NodeId& who) const;
  [[nodiscard]] std::size_t size() const { return members_.size(); }

 private:
  struct Member {
    dsht::Neighbour node;
    bool is_chosen = false;  // from the index
    bool by_lot = false;     // and not for its nearness
    bool is_asked = false;   // an answer is owed
    TimePoint asked_at = TimePoint::min();
    TimePoint named_at = TimePoint::min();
  };
  using Candidates = std::vector<const dsht::TableEntry*>;

  void choose_level(Candidates& of_level, std::size_t count,
                    std::vector<std::pair<const dsht::TableEntry*, bool>>& out);
  void change_some(TimePoint now);
  [[nodiscard]] bool is_named(TimePoint now, const Member& member) const;

  const LiveSetOptions options_;
  Random random_;
  std::unordered_map<NodeId, Member> members_;
  TimePoint change_at_{};
};

}  // namespace reef::node
