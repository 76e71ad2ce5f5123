#include "probe/trace.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <queue>
#include <set>

#include "base/random.h"

using namespace reef;
using namespace reef::probe;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint t0{1000s};

struct Router {
  Duration rtt{};
  bool silent = false;
  int answers_max = 1000;  // an ICMP rate limit
  bool quotes_headers_only = false;
};

// A path as the prober sees it: routers in order, then the target.
struct Path {
  std::vector<Router> routers;
  Duration target_rtt{};
  bool target_silent = false;
  int unreachable_at = 0;  // the router with this TTL says so; 0: none
  double loss = 0;
  Duration jitter{};
  int duplicates = 0;

  IpAddress address(int ttl) const { return IpAddress::v4(192, 0, 2, static_cast<std::uint8_t>(ttl)); }
  int distance() const { return static_cast<int>(routers.size()) + 1; }
};

Path straight(int routers, Duration per_hop) {
  Path path;
  for (int i = 1; i <= routers; ++i) path.routers.push_back({.rtt = i * per_hop});
  path.target_rtt = (routers + 1) * per_hop;
  return path;
}

// The trace in virtual time over a path.
class Simulation {
 public:
  Simulation(Path path, std::uint64_t seed, TraceOptions options = {})
      : path_(std::move(path)), random_(seed), trace_(options, t0, to_send_) {}

  TraceResult run() {
    flush(t0);
    TimePoint now = t0;
    for (int steps = 0; !trace_.is_done(); ++steps) {
      REQUIRE(steps < 10'000);
      const TimePoint deadline = *trace_.next_deadline();
      CHECK(deadline >= now);
      if (!arriving_.empty() && arriving_.top().at <= deadline) {
        const Arrival arrival = arriving_.top();
        arriving_.pop();
        now = arrival.at;
        trace_.on_reply(now, arrival.reply, to_send_);
      } else {
        now = deadline;
        trace_.on_deadline(now, to_send_);
      }
      flush(now);
    }
    CHECK_FALSE(trace_.next_deadline());
    return trace_.result();
  }
  const std::vector<ProbeId>& sent() const { return sent_; }

 private:
  struct Arrival {
    TimePoint at;
    ProbeReply reply;
    bool operator<(const Arrival& other) const { return at > other.at; }
  };

  void flush(TimePoint now) {
    for (const ProbeId& id : to_send_) {
      sent_.push_back(id);
      pass(now, id);
    }
    to_send_.clear();
  }

  void pass(TimePoint now, ProbeId id) {
    if (random_.unit() < path_.loss) return;
    ProbeReply reply{id, path_.address(std::min<int>(id.ttl, path_.distance())), Answer::time_exceeded};
    Duration rtt = path_.target_rtt;
    if (path_.unreachable_at != 0 && id.ttl >= path_.unreachable_at) {
      reply.answer = Answer::unreachable;
      reply.from = path_.address(path_.unreachable_at);
      rtt = path_.routers[static_cast<std::size_t>(path_.unreachable_at) - 1].rtt;
    } else if (id.ttl >= path_.distance()) {
      if (path_.target_silent) return;
      reply.answer = Answer::reached;
    } else {
      Router& router = path_.routers[id.ttl - 1u];
      if (router.silent || router.answers_max-- <= 0) return;
      if (router.quotes_headers_only) reply.id.reset();
      rtt = router.rtt;
    }
    for (int i = 0; i <= path_.duplicates; ++i) {
      arriving_.push({now + rtt + random_.between(0ms, path_.jitter), reply});
    }
  }

  Path path_;
  Random random_;
  std::vector<ProbeId> to_send_, sent_;
  std::priority_queue<Arrival> arriving_;
  Trace trace_;
};

void check_whole(const Path& path, const TraceResult& result) {
  CHECK(result.end == TraceEnd::reached);
  REQUIRE(result.hops.size() == static_cast<std::size_t>(path.distance()));
  for (int ttl = 1; ttl <= path.distance(); ++ttl) {
    const Hop& hop = result.hops[static_cast<std::size_t>(ttl) - 1];
    CHECK(hop.ttl == ttl);
    CHECK(hop.address == path.address(ttl));
  }
}

}  // namespace

TEST_CASE("a trace finds every hop of a path and its round-trip times") {
  for (const int routers : {0, 1, 5, 12, 29}) {
    const Path path = straight(routers, 5ms);
    Simulation simulation(path, 1);
    const TraceResult result = simulation.run();
    check_whole(path, result);
    for (const Hop& hop : result.hops) {
      CHECK(hop.rtt == hop.ttl * 5ms);
      CHECK_FALSE(hop.inferred);
    }
  }
}

TEST_CASE("a trace takes at most two round trips and 600 bytes up to 13 hops") {
  for (int routers = 0; routers <= 12; ++routers) {
    const Path path = straight(routers, 7ms);
    Simulation simulation(path, 1);
    const TraceResult result = simulation.run();
    CHECK(result.took <= 2 * path.target_rtt);
    CHECK(result.probes * 30 <= 600);  // 20 bytes of IP, 8 of UDP, 2 of ours
    CHECK(static_cast<std::size_t>(result.probes) == simulation.sent().size());
  }
}

TEST_CASE(
    "the first window of probes goes out at once, and no probe beyond the window of the farthest answer") {
  std::vector<ProbeId> out;
  Trace trace({.window = 8}, t0, out);
  CHECK(out.size() == 8);
  for (std::uint8_t i = 0; i < 8; ++i) CHECK(out[i] == ProbeId{static_cast<std::uint8_t>(i + 1), 0});
  out.clear();
  trace.on_reply(t0 + 3ms, {ProbeId{3, 0}, IpAddress::v4(192, 0, 2, 3), Answer::time_exceeded}, out);
  CHECK(out == std::vector<ProbeId>{{9, 0}, {10, 0}, {11, 0}});
  out.clear();
  trace.on_reply(t0 + 4ms, {ProbeId{2, 0}, IpAddress::v4(192, 0, 2, 2), Answer::time_exceeded}, out);
  CHECK(out.empty());
}

TEST_CASE("a silent router is given up soon after a farther hop answered, and leaves a hole") {
  Path path = straight(6, 10ms);
  path.routers[2].silent = true;
  const TraceResult result = Simulation(path, 1).run();
  CHECK(result.end == TraceEnd::reached);
  REQUIRE(result.hops.size() == 7);
  CHECK_FALSE(result.hops[2].address);
  for (const int i : {0, 1, 3, 4, 5, 6}) CHECK(result.hops[static_cast<std::size_t>(i)].address);
  CHECK(result.took <= 3 * path.target_rtt);
}

TEST_CASE("a lost probe is sent again and the hop is found") {
  int hops = 0, found = 0;
  std::vector<double> round_trips;
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    Path path = straight(9, 8ms);
    path.loss = 0.05;
    const TraceResult result = Simulation(path, seed).run();
    CHECK(result.end == TraceEnd::reached);
    hops += path.distance();
    for (const Hop& hop : result.hops) {
      if (!hop.address) continue;
      // Both probes of the target's own TTL may be lost: it is then met one hop too far.
      CHECK(*hop.address == path.address(std::min<int>(hop.ttl, path.distance())));
      found += hop.ttl <= path.distance();
    }
    round_trips.push_back(static_cast<double>(result.took.count()) /
                          static_cast<double>(path.target_rtt.count()));
  }
  std::sort(round_trips.begin(), round_trips.end());
  MESSAGE("with 5 % loss: " << 100.0 * found / hops << " % of hops, median of " << round_trips[250]
                            << " round trips");
  CHECK(found >= hops * 98 / 100);
  CHECK(round_trips[250] <= 2.2);
}

TEST_CASE("reordered and duplicated answers change nothing") {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Path path = straight(9, 2ms);
    path.jitter = 15ms;
    path.duplicates = 2;
    TraceOptions patient;
    patient.slack = 30ms;
    check_whole(path, Simulation(path, seed, patient).run());
  }
}

TEST_CASE("a router that limits its answers costs its own hop at most") {
  Path path = straight(8, 4ms);
  path.routers[4].answers_max = 0;
  path.routers[6].answers_max = 1;
  const TraceResult result = Simulation(path, 1).run();
  CHECK(result.end == TraceEnd::reached);
  REQUIRE(result.hops.size() == 9);
  CHECK_FALSE(result.hops[4].address);
  CHECK(result.hops[6].address == path.address(7));
}

TEST_CASE("routers that quote no payload are placed by the order of their answers, and marked") {
  Path path = straight(7, 10ms);
  path.routers[1].quotes_headers_only = path.routers[5].quotes_headers_only = true;
  const TraceResult result = Simulation(path, 1).run();
  check_whole(path, result);
  CHECK(result.hops[1].inferred);
  CHECK(result.hops[5].inferred);
  CHECK_FALSE(result.hops[0].inferred);
  CHECK(result.hops[5].rtt == 60ms);
}

TEST_CASE("a target that does not answer ends the trace as silent, with the routers before it") {
  Path path = straight(4, 10ms);
  path.target_silent = true;
  const TraceResult result = Simulation(path, 1).run();
  CHECK(result.end == TraceEnd::silent);
  CHECK(result.hops.size() == 4);
  CHECK(result.took <= 1100ms);
}

TEST_CASE("nobody answers: silent, without hops, after two time-outs") {
  Path path = straight(3, 10ms);
  path.loss = 1;
  const TraceResult result = Simulation(path, 1).run();
  CHECK(result.end == TraceEnd::silent);
  CHECK(result.hops.empty());
  CHECK(result.took == 1s);
  CHECK(result.probes == 16);
}

TEST_CASE("a router that says unreachable ends the trace there") {
  Path path = straight(6, 10ms);
  path.unreachable_at = 4;
  const TraceResult result = Simulation(path, 1).run();
  CHECK(result.end == TraceEnd::unreachable);
  CHECK(result.hops.size() == 4);
  CHECK(result.hops.back().address == path.address(4));
}

TEST_CASE("the number of hops and the time are bounded") {
  TraceOptions few;
  few.hops_max = 5;
  const TraceResult result = Simulation(straight(20, 1ms), 1, few).run();
  CHECK(result.end == TraceEnd::silent);
  CHECK(result.hops.size() == 5);
  TraceOptions brief;
  brief.time_max = 20ms;
  const TraceResult cut = Simulation(straight(9, 10ms), 1, brief).run();
  CHECK(cut.end == TraceEnd::timed_out);
  CHECK(cut.took == 20ms);
}

TEST_CASE("a farther time-out does not cut off a nearer hop that is merely the longest part of the path") {
  Path path = straight(6, 1ms);  // a short way to the third router, then an ocean
  for (std::size_t i = 3; i < 6; ++i) path.routers[i].rtt += 250ms;
  path.target_rtt += 250ms;
  check_whole(path, Simulation(path, 1).run());
}

TEST_CASE("answers to probes that were never sent are passed over") {
  std::vector<ProbeId> out;
  Trace trace({}, t0, out);
  out.clear();
  for (const ProbeId id : {ProbeId{0, 0}, ProbeId{9, 0}, ProbeId{255, 255}, ProbeId{1, 1}}) {
    trace.on_reply(t0 + 1ms, {id, IpAddress::v4(192, 0, 2, 1), Answer::reached}, out);
  }
  CHECK_FALSE(trace.is_done());
  CHECK(out.empty());
}

TEST_CASE("whatever answers come, a trace ends in time, within its probes, and with a list without gaps") {
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    Random random(seed);
    const TraceOptions options{.hops_max = static_cast<std::uint8_t>(1 + random.below(40)),
                               .window = static_cast<std::uint8_t>(1 + random.below(12)),
                               .attempts = static_cast<std::uint8_t>(1 + random.below(3))};
    std::vector<ProbeId> sent;
    TimePoint now = t0;
    Trace trace(options, now, sent);
    for (int steps = 0; !trace.is_done(); ++steps) {
      REQUIRE(steps < 100'000);
      const Duration step = random.between(0ms, 60ms);
      if (now + step >= *trace.next_deadline()) {
        now = std::max(now, *trace.next_deadline());
        trace.on_deadline(now, sent);
      } else {
        now += step;
        ProbeReply reply{
            ProbeId{static_cast<std::uint8_t>(random.below(45)), static_cast<std::uint8_t>(random.below(4))},
            IpAddress::v4(static_cast<std::uint32_t>(random())), static_cast<Answer>(random.below(20) / 9)};
        if (random.below(4) == 0) reply.id.reset();
        trace.on_reply(now, reply, sent);
      }
    }
    const TraceResult result = trace.result();
    CHECK(result.took <= options.time_max);
    CHECK(sent.size() == static_cast<std::size_t>(result.probes));
    CHECK(result.probes <= options.hops_max * options.attempts);
    CHECK(std::set<ProbeId>(sent.begin(), sent.end()).size() == sent.size());
    CHECK(result.hops.size() <= options.hops_max);
    for (std::size_t i = 0; i < result.hops.size(); ++i) CHECK(result.hops[i].ttl == i + 1);
    if (!result.hops.empty()) CHECK(result.hops.back().address);
  }
}
