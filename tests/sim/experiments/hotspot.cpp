// The load of one hot key, and how it grows with the network.
#include <algorithm>
#include <cmath>

#include "tests/sim/experiments/crowd.h"

namespace reef::sim {

namespace {

// β log2 n: what each of the about log2(n) nodes that lead to the closest one lets through in a minute
// (NSDI 2004, §4.1), with the β of the defaults.
double bound_of(double beta, double nodes) { return beta * std::log2(nodes); }

// A single core cannot carry 8,192 nodes at 400 pairs a second. What reaches the busiest node does not depend
// on the rate, as long as every node offers far more than β a minute.
double rate_for(double nodes, double pairs_per_second_max) {
  return std::min(400.0, pairs_per_second_max / nodes);
}

}  // namespace

void run_hotspot(const Settings& settings, Report& report) {
  const std::size_t nodes = settings.nodes_or(494, 96);
  dsht::NodeOptions options = settings.node_options();
  options.levels = 1;
  const auto beta = static_cast<double>(options.load.per_window);
  const double rate = settings.small ? 20 : 400;
  const int minutes = settings.small ? 2 : 5;
  const CrowdLoad load = run_crowd(
      settings,
      {.nodes = nodes, .pairs_per_second = rate, .minutes = minutes, .node = options, .variant = 0});
  report.setting("nodes", static_cast<double>(nodes));
  report.setting("pairs per second asked of each node", rate);
  report.setting("minutes", minutes);
  report.setting(
      "plain Kademlia",
      "put_bits = 0, no load meter, no limit of signatures and requests; 1 pair per second and node");
  const double bound = 2 * bound_of(beta, static_cast<double>(nodes));
  report.at_most("puts at the busiest node, steady state", load.busiest_steady, bound, "per min");
  report.at_most("puts at the busiest node, first minute", load.busiest_first, bound, "per min");
  report.measure("puts at the busiest node, worst later minute", load.busiest_minute, "per min");
  // "About 0": less than one node's β, over half of all nodes together.
  report.at_most("puts at all nodes of the far half together", load.far_half, beta, "per min");
  report.measure("puts at all nodes together", load.all_steady, "per min");
  report.measure("FINDs at the node with most", load.finds_busiest, "per min");
  report.measure("FINDs sent per put", load.finds_per_put, "");
  report.measure("pairs ended, all nodes", load.pairs_per_second, "per s");
  report.measure("puts that were stored somewhere", load.stored_percent, "%");
  report.measure("puts that ended since the key needs no more", load.covered_percent, "%");

  Chart by_distance{"share",
                    "Puts by the bits that a node shares with the key",
                    "shared bits",
                    "puts per minute and node",
                    false,
                    false,
                    {}};
  by_distance.lines.push_back({"mean", {}});
  for (std::size_t i = 0; i < load.by_share.size(); ++i) {
    if (load.by_share[i]) by_distance.lines[0].points.emplace_back(i, *load.by_share[i]);
  }
  report.chart(std::move(by_distance));

  Chart growth{"growth",
               "Puts of one hot key at the busiest node",
               "log2 of the nodes",
               "puts per minute",
               true,
               false,
               {}};
  growth.lines = {{"Reef", {}}, {"plain Kademlia", {}}, {"2 x beta x log2 n", {}}};
  const double pairs_max = settings.small ? 2'000 : 20'000;
  const int largest = settings.small ? 7 : 13;
  for (int log2 = 6; log2 <= largest; ++log2) {
    const std::size_t count = std::size_t{1} << log2;
    const auto variant = static_cast<std::uint64_t>(log2);
    const CrowdLoad reef = run_crowd(settings, {count, rate_for(static_cast<double>(count), pairs_max),
                                                settings.small ? 2 : 3, options, variant});
    const CrowdLoad plain = run_crowd(settings, {count, 1, 1, plain_kademlia(options), variant});
    growth.lines[0].points.emplace_back(log2, reef.busiest_steady);
    growth.lines[1].points.emplace_back(log2, plain.busiest_first);
    growth.lines[2].points.emplace_back(log2, 2 * bound_of(beta, static_cast<double>(count)));
    report.at_most("puts at the busiest of " + std::to_string(count) + " nodes", reef.busiest_steady,
                   2 * bound_of(beta, static_cast<double>(count)), "per min");
    report.measure("the same, plain Kademlia at 1 pair per s and node", plain.busiest_first, "per min");
  }
  report.setting("pairs per second asked of all nodes together in the growth series", pairs_max);
  report.chart(std::move(growth));
}

// b and the window of requests in flight, against the load of a hot key and the time that puts and gets take.
void run_tradeoff(const Settings& settings, Report& report) {
  const std::size_t nodes = settings.nodes_or(494, 64);
  const int bits_max = settings.small ? 2 : 4;
  const int window_max = settings.small ? 1 : 3;
  report.setting("nodes", static_cast<double>(nodes));
  Chart load_chart{"tradeoff-load",
                   "One hot key: b and window against the busiest node",
                   "b",
                   "puts per minute, first minute",
                   false,
                   false,
                   {}};
  Chart put_chart{"tradeoff-put",
                  "One hot key: b and window against the time of a put",
                  "b",
                  "ms, median",
                  false,
                  false,
                  {}};
  Chart get_chart{
      "tradeoff-get", "Lookups of cold keys: b against hops", "b", "hops, mean", false, false, {}};
  // β (2^b - 1) ceil(log2 n / b), NSDI 2004, §4.1.
  const auto bound_of_paper = [&](int bits) {
    return static_cast<double>(settings.node_options().load.per_window) * ((1 << bits) - 1) *
           std::ceil(std::log2(static_cast<double>(nodes)) / bits);
  };
  Line bounds{"bound of the paper", {}};
  for (int bits = 1; bits <= bits_max; ++bits) bounds.points.emplace_back(bits, bound_of_paper(bits));
  for (int window = 1; window <= window_max; ++window) {
    Line loads{"window " + std::to_string(window), {}};
    Line times = loads;
    Line hops = loads;
    for (int bits = 1; bits <= bits_max; ++bits) {
      dsht::NodeOptions options = settings.node_options();
      options.levels = 1;
      options.put_bits = options.get_bits = bits;
      options.put_window = options.alpha[0] = window;
      const auto variant = static_cast<std::uint64_t>(20 + 4 * window + bits);
      const CrowdLoad load = run_crowd(settings, {nodes, settings.small ? 10.0 : 100.0, 2, options, variant});
      Network network = settings.network({}, variant);
      form(network, options, nodes, std::chrono::minutes(1), std::chrono::minutes(2));
      Gets gets;
      std::vector<double> put_ms;
      for (int i = 0; i < (settings.small ? 100 : 1000); ++i) {
        const Key key = some_key(network);
        const Host publisher = some_host(network);
        const std::string value = value_of(publisher, key);
        const TimePoint began = network.now();
        network.put(publisher, key, as_bytes(value), std::chrono::hours(1),
                    [&, began](const dsht::PutDone&) { put_ms.push_back(to_ms(network.now() - began)); });
        advance(network, std::chrono::seconds(2), "cold keys");
        ask(network, gets, some_host(network), key, std::chrono::seconds(5), value);
      }
      advance(network, std::chrono::seconds(10), "cold keys");
      double hop_sum = 0;
      for (const double h : gets.hops) hop_sum += h;
      const double hops_mean = gets.hops.empty() ? 0 : hop_sum / static_cast<double>(gets.hops.size());
      const std::string name = "b = " + std::to_string(bits) + ", window " + std::to_string(window) + ": ";
      report.measure(name + "bound of the paper", bound_of_paper(bits), "per min");
      report.measure(name + "hot key, busiest node, first minute", load.busiest_first, "per min");
      report.measure(name + "hot key, busiest node, second minute", load.busiest_steady, "per min");
      report.measure(name + "put of a cold key, median", quantile(put_ms, 0.5), "ms");
      report.measure(name + "get of a cold key, median", quantile(gets.ms, 0.5), "ms");
      report.measure(name + "get of a cold key, hops", hops_mean, "");
      loads.points.emplace_back(bits, load.busiest_first);
      times.points.emplace_back(bits, quantile(put_ms, 0.5));
      hops.points.emplace_back(bits, hops_mean);
    }
    load_chart.lines.push_back(std::move(loads));
    put_chart.lines.push_back(std::move(times));
    get_chart.lines.push_back(std::move(hops));
  }
  load_chart.lines.push_back(std::move(bounds));
  report.chart(std::move(load_chart));
  report.chart(std::move(put_chart));
  report.chart(std::move(get_chart));
}

}  // namespace reef::sim
