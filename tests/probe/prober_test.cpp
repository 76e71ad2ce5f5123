#include "probe/io/prober.h"

#include <doctest/doctest.h>

#include <optional>
#include <string>

using namespace reef;
using namespace reef::probe;
using namespace std::chrono_literals;

namespace {

ProberOptions on_loopback() {
  ProberOptions options;
  options.budget.also_allowed = {*IpPrefix::parse("127.0.0.0/8"), *IpPrefix::parse("::1/128")};
  return options;
}

// Runs the loop until the measurement calls back.
template <class ResultType, class Start>
ResultType wait_for(EventLoop& loop, Start start) {
  std::optional<ResultType> result;
  start([&](const ResultType& r) {
    result = r;
    loop.stop();
  });
  CHECK_FALSE(result);  // never inside the call
  Timer patience(loop, [&] { loop.stop(); });
  patience.start(10s);
  loop.run();
  REQUIRE(result);
  return *result;
}
TraceResult trace(EventLoop& loop, Prober& prober, const char* target) {
  return wait_for<TraceResult>(loop,
                               [&](auto done) { prober.trace(*IpAddress::parse(target), std::move(done)); });
}
PingResult ping(EventLoop& loop, Prober& prober, const char* target) {
  return wait_for<PingResult>(loop,
                              [&](auto done) { prober.ping(*IpAddress::parse(target), std::move(done)); });
}

}  // namespace

TEST_CASE("a trace to loopback is one hop, without any privilege") {
  for (const char* target : {"127.0.0.1", "::1"}) {
    EventLoop loop;
    Prober prober(loop, on_loopback());
    const TraceResult result = trace(loop, prober, target);
    CHECK(result.end == TraceEnd::reached);
    REQUIRE(result.hops.size() == 1);
    CHECK(result.hops[0].address == *IpAddress::parse(target));
    CHECK(result.hops[0].rtt < 100ms);
    CHECK_FALSE(result.hops[0].inferred);
    CHECK(prober.counters().packets.value() == static_cast<std::uint64_t>(result.probes));
  }
}

TEST_CASE("a ping to loopback is answered, or says that it is not permitted") {
  for (const char* target : {"127.0.0.1", "::1"}) {
    EventLoop loop;
    Prober prober(loop, on_loopback());
    const PingResult result = ping(loop, prober, target);
    MESSAGE("ICMP access: " << std::string(to_string(prober.icmp(IpAddress::parse(target)->is_v4()))));
    if (prober.icmp(IpAddress::parse(target)->is_v4()) == IcmpAccess::none) {
      CHECK(result.end == PingEnd::not_permitted);
    } else {
      CHECK(result.end == PingEnd::answered);
      REQUIRE(result.rtt);
      CHECK(*result.rtt < 100ms);
    }
  }
}

TEST_CASE("targets that may not be probed are refused, and get no packet") {
  EventLoop loop;
  Prober prober(loop, {});
  for (const char* target : {"127.0.0.1", "10.0.0.1", "224.0.0.1", "::1", "fe80::1"}) {
    CHECK(trace(loop, prober, target).end == TraceEnd::refused);
    CHECK(ping(loop, prober, target).end == PingEnd::refused);
  }
  CHECK(prober.counters().refused.value() == 10);
  CHECK(prober.counters().packets.value() == 0);
}

TEST_CASE("a network's share and the number of running measurements are bounded") {
  EventLoop loop;
  ProberOptions options = on_loopback();
  options.budget.per_network = 1;
  Prober prober(loop, options);
  CHECK(trace(loop, prober, "127.0.0.1").end == TraceEnd::reached);
  CHECK(trace(loop, prober, "127.0.0.2").end == TraceEnd::over_budget);
  options.running_max = 0;
  Prober none(loop, options);
  CHECK(trace(loop, none, "127.0.0.1").end == TraceEnd::over_budget);
}

TEST_CASE("many traces run at once, each with its own answers") {
  EventLoop loop;
  ProberOptions options = on_loopback();
  options.budget.per_network = 100;
  options.budget.packets_burst = 1e6;
  Prober prober(loop, options);
  int left = 20;
  for (int i = 1; i <= 20; ++i) {
    const IpAddress target = IpAddress::v4(127, 0, 0, static_cast<std::uint8_t>(i));
    prober.trace(target, [&, target](const TraceResult& result) {
      CHECK(result.end == TraceEnd::reached);
      CHECK(result.hops.at(0).address == target);
      if (--left == 0) loop.stop();
    });
  }
  Timer patience(loop, [&] { loop.stop(); });
  patience.start(10s);
  loop.run();
  CHECK(left == 0);
}

TEST_CASE("a prober that goes away calls nobody back") {
  EventLoop loop;
  bool called = false;
  {
    Prober prober(loop, on_loopback());
    prober.trace(*IpAddress::parse("127.0.0.1"), [&](const TraceResult&) { called = true; });
    prober.trace(*IpAddress::parse("10.0.0.1"), [&](const TraceResult&) { called = true; });
  }
  Timer end(loop, [&] { loop.stop(); });
  end.start(50ms);
  loop.run();
  CHECK_FALSE(called);
}
