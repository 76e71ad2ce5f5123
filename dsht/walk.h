// One walk through the id space, as its node keeps it (dsht/node_walk.cpp, node_put.cpp, node_announce.cpp).
//
// A walk begins at the innermost level and goes on outwards from the point that it has reached: whoever
// answered at one level names contacts of the next that are close to the key, since ids are the same at all
// levels (NSDI 2004, §4.3). Node's own; not thread-safe, no I/O.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "base/time.h"
#include "dsht/index.h"
#include "dsht/messages.h"
#include "dsht/shortlist.h"

namespace reef::dsht {

// Names one walk; never reused by a node. 0 is none.
using WalkId = std::uint64_t;

// One request of a walk, for whoever wants to see its way.
struct TraceStep {
  enum class Outcome : std::uint8_t { waiting, contacts, values, timed_out };
  Level level = 0;
  Contact contact;
  int hops = 0;                 // requests in a row that led to it, itself among them
  int bits = 0;                 // of the key that it shares
  Duration sent_after{};        // the beginning of the walk
  std::optional<Duration> rtt;  // of the answer
  Outcome outcome = Outcome::waiting;
  std::size_t named = 0;  // contacts that it named
};

enum class WalkKind : std::uint8_t { join, refresh, get, hint, put, announce, withdraw };

// A node that a put has come by, itself maybe: where the value may be stored on the way back.
struct PutPlace {
  Contact contact;
  Distance from_key;
  std::uint64_t token = 0;
  bool full = false;  // of others' values
  bool is_self = false;
  bool tried = false;
};

inline constexpr std::size_t kShortlistMax = 48;  // candidates of one level

struct Walk {
  // A contact of the next outer level, and who named it.
  struct Outer {
    Contact contact;
    NodeId named_by;
  };

  Walk(WalkId id_, WalkKind kind_, const Key& key_, const NodeId& self, TimePoint now);

  WalkId id;
  WalkKind kind;
  Key key;
  TimePoint began;
  TimePoint due{};  // of the budget first, then of the end
  TimePoint ends{};
  bool reported = false;

  Level level = 0;
  LevelMask levels = 0;      // still to be walked, the present one not among them
  Shortlist list;            // candidates of the present level
  std::vector<Outer> outer;  // named for the next outer level
  int outer_hops = 0;
  int hops = 0;
  int reached_bits = -1;

  Record record;                // what is put, announced or withdrawn
  std::vector<WireValue> seen;  // of others, met on the way
  std::vector<WireValue> own;   // our own values, the last resort of a get
  bool hot = false;
  Level found_level = 0;

  // puts
  NodeId at;              // the node closest to the key that the put has come by
  bool halted = false;    // at one that is full and loaded
  bool settling = false;  // at the end of the way: who are the closest?
  bool storing = false;
  std::vector<PutPlace> places;
  int stored_here = 0;  // at this level
  int tried_here = 0;
  int stored = 0;
  int stores_in_flight = 0;

  // announcements
  bool insist = false;
  int rounds = 0;
  std::optional<AnnounceReply> accepted;  // the announcement was taken, by `accepted_by`
  NodeId accepted_by;

  WalkId search = 0;     // for which a hint is read; 0: for ourselves
  std::size_t hint = 0;  // its place among the hints of the search

  bool traced = false;
  std::vector<TraceStep> steps;
};

// Leaves the complete values: announcements count only at the level where they were made.
void drop_provisional(std::vector<WireValue>& values);

// The first `bits` bits of `key`, the rest of `id` (splice, NSDI 2004, §3.2).
[[nodiscard]] Key splice(const Key& key, const NodeId& id, int bits);
// Where the next hop from `id` shall lead: the key with at least one more group of `b` bits corrected than
// `id` has; the key itself where b is 0.
[[nodiscard]] Key next_target(const Key& key, const NodeId& id, int b);

}  // namespace reef::dsht
