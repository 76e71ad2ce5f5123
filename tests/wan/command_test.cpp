#include "tests/wan/command.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/wan/packets.h"

using namespace reef;
using namespace reef::wan;
using namespace reef::wan::testing;
using namespace std::chrono_literals;

namespace {

struct Console {
  Topology topology = *Topology::generate({.regions = 2, .metros = 2, .hosts = 2});
  Network network{topology, NetworkOptions{}};
  TimePoint now{1h};

  bool run(std::string_view line) { return run_command(line, topology, network).has_value(); }
  // Whether a packet from the first host reaches the last one, and when.
  std::optional<Duration> reaches() {
    now += 1s;
    const auto& hosts = topology.hosts();
    network.on_packet(now, 0, udp_packet(hosts.front().address, hosts.back().address, 64, 100));
    std::optional<Duration> out;
    while (const auto deadline = network.next_deadline()) {
      while (const auto due = network.next_due(*deadline)) {
        if (due->to == hosts.size() - 1) out = due->due - now;
      }
    }
    return out;
  }
};

}  // namespace

TEST_CASE("commands change the network as they say") {
  Console console;
  const auto usual = console.reaches();
  REQUIRE(usual);
  CHECK(console.run("cap nyc-0 up 128k 5000"));
  CHECK(console.reaches() == *usual + 8ms);  // 128 bytes at 128 kbit/s
  CHECK(console.run("cap nyc-0 up 128k 5000 fair"));
  CHECK(console.reaches() == *usual + 8ms);
  CHECK(console.run("cap all up off"));
  CHECK(console.run("loss na-east up 1"));
  CHECK_FALSE(console.reaches());
  CHECK(console.run("loss all up 0"));
  CHECK(console.run("partition na-east na-west"));
  CHECK_FALSE(console.reaches());
  CHECK(console.run("heal"));
  CHECK(console.run("down lax-1"));
  CHECK_FALSE(console.reaches());
  CHECK(console.run("unreachable lax-1"));
  CHECK_FALSE(console.reaches());
  CHECK(console.run("up lax-1"));
  CHECK(console.reaches() == usual);
  CHECK(console.run("silent 23.0.0.0 on") == false);
  CHECK(console.run("silent " + to_string(console.topology.routers()[0].address) + " on"));
}

TEST_CASE("a route is told with its routers and round trips") {
  Console console;
  const auto text = run_command("route nyc-0 sjc-1", console.topology, console.network);
  REQUIRE(text);
  const auto route = nlohmann::json::parse(*text);
  const HostIndex to = *console.topology.host_named("sjc-1");
  CHECK(route["routers"].size() == console.topology.path(0, to).size());
  CHECK(route["rtt_ms"].get<double>() == doctest::Approx(2 * to_ms(console.topology.delay(0, to))));
  CHECK(route["routers"][0]["address"] ==
        to_string(console.topology.routers()[console.topology.hosts()[0].access].address));
}

TEST_CASE("what hosts ask of one another on a port is counted, also what gets lost") {
  Console console;
  const auto counts = [&] {
    return nlohmann::json::parse(*run_command("counts", console.topology, console.network))["counts"];
  };
  console.reaches();
  CHECK(counts().empty());  // nobody asked to count
  REQUIRE(console.run("count 33434"));
  REQUIRE(console.run("loss all up 1"));
  console.reaches();
  console.reaches();
  const auto& hosts = console.topology.hosts();
  REQUIRE(counts().size() == 1);
  CHECK(counts()[0] ==
        nlohmann::json{
            {"from", hosts.front().name}, {"to", hosts.back().name}, {"packets", 2}, {"bytes", 256}});
  REQUIRE(console.run("count 53"));
  console.reaches();
  CHECK(counts().empty());  // from zero, and another port
}

TEST_CASE("a wrong command is refused with what would be allowed") {
  Console console;
  for (std::string_view line : {"",
                                "fly",
                                "cap",
                                "cap nowhere up 1m",
                                "cap all sideways 1m",
                                "cap all up fast",
                                "cap all up 0",
                                "cap all up -1",
                                "cap all up 1m much",
                                "cap all up 1m 5000 odd",
                                "cap all up 999999999999g",
                                "loss all up",
                                "loss all up 2",
                                "loss all up nan",
                                "loss all up -0.1",
                                "partition eu",
                                "partition nyc atlantis",
                                "down",
                                "down atlantis",
                                "silent nonsense on",
                                "route nyc-0",
                                "route nyc-0 nyc",
                                "count",
                                "count 65536",
                                "counts all",
                                "heal now"}) {
    CAPTURE(line);
    const auto result = run_command(line, console.topology, console.network);
    REQUIRE_FALSE(result);
    CHECK_FALSE(result.error().message().empty());
  }
  CHECK(console.reaches());
}
