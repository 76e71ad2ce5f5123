// What a node costs when nothing happens, and what the simulator does.
#include <ctime>

#include "tests/sim/experiments/experiment.h"

namespace reef::sim {

using namespace std::chrono_literals;

void run_idle(const Settings& settings, Report& report) {
  const std::size_t nodes = settings.nodes_or(1000, 150);
  const auto minutes = static_cast<std::int64_t>(60 * settings.hours_or(1, 0.25));
  Network network = settings.network({});
  form(network, settings.node_options(), nodes, 10min, settings.small ? 20min : 50min);
  const std::uint64_t bytes = network.bytes();
  const std::uint64_t datagrams = network.datagrams();
  advance(network, std::chrono::minutes(minutes), "idle");
  const double sent = static_cast<double>(network.datagrams() - datagrams);
  constexpr double kIpAndUdpBytes = 28;
  const double on_wire = static_cast<double>(network.bytes() - bytes) + kIpAndUdpBytes * sent;
  const double node_seconds = static_cast<double>(nodes) * 60 * static_cast<double>(minutes);
  double contacts = 0;
  for (Host host = 0; host < network.size(); ++host) {
    contacts += static_cast<double>(network.node(host).contact_count());
  }
  report.setting("nodes", static_cast<double>(nodes));
  report.setting("minutes", static_cast<double>(minutes));
  // Each datagram leaves one node and arrives at another.
  report.at_most("traffic of an idle node, in + out with IP and UDP headers",
                 2 * on_wire * 8 / 1000 / node_seconds, 10, "kbit/s");
  report.measure("datagrams of a node, in + out", 2 * sent / node_seconds, "per s");
  report.measure("contacts in its table, mean", contacts / static_cast<double>(nodes), "");
}

void run_speed(const Settings& settings, Report& report) {
  const std::size_t nodes = settings.nodes_or(10'000, 300);
  const auto span = std::chrono::duration_cast<Duration>(
      std::chrono::duration<double, std::ratio<3600>>(settings.hours_or(1, 0.25)));
  const auto cpu = [] { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; };
  const double cpu_before = cpu();
  const auto before = std::chrono::steady_clock::now();
  Network network = settings.network({.loss = 0.002});
  const TimePoint start = network.now();
  form(network, settings.node_options(), nodes, span / 6, 0s);
  // A put and a get a second, so that no path is left out.
  Gets gets;
  while (network.now() - start < span) {
    const Key key = some_key(network);
    const Host publisher = some_host(network);
    const std::string value = value_of(publisher, key);
    network.put(publisher, key, as_bytes(value), 10min, nullptr);
    network.after(10s,
                  [&network, &gets, key, value] { ask(network, gets, some_host(network), key, 5s, value); });
    advance(network, 1s, "speed");
  }
  advance(network, 20s, "speed");
  const double used = cpu() - cpu_before;
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count();
  const double sent = static_cast<double>(network.datagrams());
  report.setting("nodes", static_cast<double>(nodes));
  report.setting("virtual hours", std::chrono::duration<double>(span).count() / 3600);
  const double node_hours = static_cast<double>(nodes) * std::chrono::duration<double>(span).count() / 3600;
  report.at_most("CPU time for 10,000 nodes and an hour", used / node_hours * 10'000, 600, "s");
  report.measure("CPU time of this run", used, "s");
  report.measure("real time of this run", wall, "s");
  report.measure("datagrams", sent / 1e6, "million");
  report.measure("CPU time per datagram", used / sent * 1e6, "us");
  report.at_least("values found meanwhile", gets.found_percent(), 99, "%");
}

}  // namespace reef::sim
