// Where a client of the name server is: how far from us, and which nodes are near it.
//
//   request ─► ping + look-up of its prefix ──some node stands there──► done
//                     └──nobody does──► trace ──► look-up of the last routers ──► done
//
// How far it is, in the order of trust: the round trip measured to it (ping, else a trace that reached it);
// the round trip to a node that stands under its prefix; that to one under a router of the way, or to the
// last router. Which nodes are near it: those that stand under its prefix, else under the routers next to it
// (NSDI 2004, §5), ourselves among them where we stand there too; each has answered us within the minute.
//
// Decides only: actions come out, results go in, each action is answered exactly once. Not thread-safe, no
// I/O.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/ip.h"
#include "base/metrics.h"
#include "base/time.h"
#include "dsht/hints.h"
#include "dsht/node.h"
#include "node/finding.h"
#include "probe/trace.h"

namespace reef::node {

struct LocatorOptions {
  // Round trips below these are level 1 and level 2.
  Duration threshold_1 = std::chrono::milliseconds(60);
  Duration threshold_2 = std::chrono::milliseconds(20);
  // Routers and nodes that must be further from the client than this are not near it.
  Duration near_within = std::chrono::milliseconds(20);
  std::size_t running_max = 32;   // inquiries at once
  std::size_t waiting_max = 256;  // that wait for their turn; more are forgotten (the next query asks again)
  std::size_t near_max = 8;       // nodes of one finding
  bool traces = true;             // false: pings and prefixes only
  dsht::HintOptions hints;
};

struct LocatorCounters {
  Counter requested, deduplicated, overflowed, pings, traces, searches;
  Counter by_rtt, by_prefix, by_route, unknown;  // what inquiries ended with
};

class Locator {
 public:
  using Id = std::uint64_t;
  struct Ping {
    Id id = 0;
    IpAddress target;
  };
  struct Trace {
    Id id = 0;
    IpAddress target;
  };
  struct Search {  // nodes under those names of the hint domain, the most specific first
    Id id = 0;
    std::vector<std::string> names;
    std::size_t count = 0;
  };
  // What is known by now. The last one of an inquiry is final; before it the level alone may come, so that
  // who waits need not wait for the rest.
  struct Located {
    IpPrefix client;
    IpAddress target;
    Finding finding;
    bool is_final = false;
    bool is_refresh = false;  // of an earlier finding, whose measurements it has
  };
  using Action = std::variant<Ping, Trace, Search, Located>;

  explicit Locator(LocatorOptions options) : options_(std::move(options)) {}

  // Under which hints we stand, and as whom we are named to clients near us; nullopt: not at all.
  void set_own(std::vector<std::string> names, std::optional<dsht::Contact> self);

  // Somebody in `client` asked; `target`, an address in or for it, may be probed. One inquiry a prefix runs
  // or waits at a time.
  // `known`: an earlier finding whose measurements still hold. Then the nodes near it are looked for again;
  // it is pinged again only where it seemed far, and traced only where nobody is found under the routers of
  // the last trace, as nobody was then.
  void request(const IpPrefix& client, const IpAddress& target,
               const std::optional<Finding>& known = std::nullopt);

  // The answers to actions; ids of inquiries that have ended are passed over. nullopt: silence, or not
  // permitted.
  void on_ping(Id id, std::optional<Duration> rtt);
  void on_trace(Id id, const probe::TraceResult& trace);
  void on_found(Id id, const dsht::NodesNear& found);

  // What is to be done since the last call, in order; `out` is replaced.
  void take_actions(std::vector<Action>& out);

  [[nodiscard]] std::size_t running() const { return inquiries_.size(); }
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }
  [[nodiscard]] const LocatorOptions& options() const { return options_; }
  [[nodiscard]] const LocatorCounters& counters() const { return counters_; }

 private:
  struct Asked {
    IpPrefix client;
    IpAddress target;
    std::optional<Finding> known;
  };
  struct Inquiry {
    Asked asked;
    Finding finding;
    std::vector<dsht::RouteName> names;  // of the search under way
    bool pinging = false;
    bool searching = false;
    bool is_refresh = false;
    bool by_route = false;  // they are routers
    bool may_trace = true;  // where nobody is found
  };

  void start(Asked asked);
  void search(Id id, Inquiry& inquiry, std::vector<dsht::RouteName> names);
  void take_near(Inquiry& inquiry, const dsht::NodesNear& found);
  [[nodiscard]] static std::optional<Duration> between(const Finding& client, std::optional<Duration> rtt,
                                                       const dsht::RouteName& name);
  void go_on(Id id, Inquiry& inquiry);
  void tell(Inquiry& inquiry, bool is_final);
  void end(Id id);
  // The least one measured counts.
  void note_rtt(Finding& finding, Duration rtt) const;
  [[nodiscard]] dsht::Level level_within(Duration rtt) const;

  const LocatorOptions options_;
  LocatorCounters counters_;
  std::vector<std::string> own_names_;
  std::optional<dsht::Contact> self_;
  Id last_id_ = 0;
  std::unordered_map<Id, Inquiry> inquiries_;
  std::set<IpPrefix> known_;  // running or waiting
  std::deque<Asked> waiting_;
  std::vector<Action> actions_;
};

}  // namespace reef::node
