// How long a lookup takes: within a cluster, and across the world.
#include <algorithm>
#include <map>

#include "tests/sim/experiments/clusters_seen.h"
#include "tests/sim/experiments/experiment.h"

namespace reef::sim {

using namespace std::chrono_literals;

namespace {

constexpr Duration kBudget = 10s;  // as long as a walk may last: none is cut short
constexpr std::size_t kClusterMin = 4;

// One lookup of a value that was put some time before.
struct Lookup {
  Host publisher = 0;
  Host asker = 0;
  double scale_ms = 0;  // the round trip that it is compared with
  double ms = 0;
  int hops = 0;
  int level = -1;  // where it was found; -1: not
};

// Publishes now, asks `later`; the answer goes into `out` (which outlives it).
void publish_and_ask(Network& network, std::vector<Lookup>& out, const Lookup& lookup, Duration later) {
  const Key key = some_key(network);
  const std::string value = value_of(lookup.publisher, key);
  network.put(lookup.publisher, key, as_bytes(value), 1h, nullptr);
  network.after(later, [&network, &out, lookup, key, value] {
    network.get(lookup.asker, key, kBudget,
                [&network, &out, lookup, value, asked = network.now()](const dsht::Found& found) {
                  Lookup done = lookup;
                  done.ms = to_ms(network.now() - asked);
                  done.hops = found.hops;
                  const bool right = std::ranges::any_of(
                      found.values, [&](const dsht::Value& v) { return as_text(v.data) == value; });
                  done.level = right ? found.level : -1;
                  out.push_back(done);
                });
  });
}

double found_percent(const std::vector<Lookup>& lookups) {
  const auto found = std::ranges::count_if(lookups, [](const Lookup& l) { return l.level >= 0; });
  return lookups.empty() ? 0 : 100.0 * static_cast<double>(found) / static_cast<double>(lookups.size());
}

std::vector<double> times(const std::vector<Lookup>& lookups) {
  std::vector<double> out;
  for (const Lookup& l : lookups) out.push_back(l.ms);
  return out;
}

std::vector<double> ratios(const std::vector<Lookup>& lookups) {
  std::vector<double> out;
  for (const Lookup& l : lookups) out.push_back(l.ms / l.scale_ms);
  return out;
}

double percent_of(const std::vector<Lookup>& lookups, auto predicate) {
  return lookups.empty() ? 0
                         : 100.0 * static_cast<double>(std::ranges::count_if(lookups, predicate)) /
                               static_cast<double>(lookups.size());
}

void within_cluster(Network& network, const Settings& settings, const dsht::NodeOptions& options,
                    Report& report) {
  const ClustersSeen seen(network, 2, options.clusters.threshold[2]);
  std::map<ClusterId, double> rtt_of;
  std::vector<Host> candidates;
  for (const auto& [id, members] : seen.clusters()) {
    if (members.size() < kClusterMin) continue;
    rtt_of[id] = median_rtt_ms(network, members, 2000);
    candidates.insert(candidates.end(), members.begin(), members.end());
  }
  report.measure("nodes in a level-2 cluster of four or more",
                 100.0 * static_cast<double>(candidates.size()) / static_cast<double>(network.size()), "%");
  report.measure("level-2 cluster of a node, mean size", seen.mean_size(), "nodes");
  if (candidates.empty()) {
    report.at_least("near: values found", 0, 99.99, "%");
    return;
  }
  const std::size_t count = settings.small ? 400 : 10'000;
  std::vector<Lookup> near;
  std::vector<double> scales;
  for (std::size_t i = 0; i < count; ++i) {
    Lookup lookup;
    lookup.publisher = candidates[network.random().below(candidates.size())];
    const std::vector<Host>& members = seen.members_with(lookup.publisher);
    do lookup.asker = members[network.random().below(members.size())];
    while (lookup.asker == lookup.publisher);
    lookup.scale_ms = rtt_of[seen.cluster_of(lookup.publisher)];
    scales.push_back(lookup.scale_ms);
    publish_and_ask(network, near, lookup, 20s);
    advance(network, 50ms, "lookups within clusters");
  }
  advance(network, 20s + kBudget, "lookups within clusters");
  report.measure("near: round trip of a cluster, median", quantile(scales, 0.5), "ms");
  report.at_most("near: lookup over the cluster's round trip, median", quantile(ratios(near), 0.5), 2, "RTT");
  report.measure("near: lookup, median", quantile(times(near), 0.5), "ms");
  report.at_most("near: lookup, p99", quantile(times(near), 0.99), 40, "ms");
  report.measure("near: done after one request",
                 percent_of(near, [](const Lookup& l) { return l.hops <= 1; }), "%");
  report.measure("near: found at level 2", percent_of(near, [](const Lookup& l) { return l.level == 2; }),
                 "%");
  report.at_least("near: values found", found_percent(near), 99.99, "%");
  Chart chart{"near", "Lookup of a value put in the same level-2 cluster", "ms", "% of lookups", false, true,
              {}};
  chart.lines.push_back({"lookups", {}});
  for (const Lookup& l : near) chart.lines[0].points.emplace_back(l.ms, 0);
  report.chart(std::move(chart));
}

void across_the_world(Network& network, const Settings& settings, const dsht::NodeOptions& options,
                      Report& report) {
  const double median_ms = median_rtt_ms(network, live_hosts(network), 20'000);
  const ClustersSeen first(network, 1, options.clusters.threshold[1]);
  const ClustersSeen second(network, 2, options.clusters.threshold[2]);
  const std::size_t count = settings.small ? 500 : 20'000;
  std::vector<Lookup> far;
  for (std::size_t i = 0; i < count; ++i) {
    Lookup lookup;
    lookup.scale_ms = median_ms;
    // Far apart, and in no cluster together, so that only level 0 has the value for the asker.
    do {
      lookup.publisher = some_host(network);
      lookup.asker = some_host(network);
    } while (lookup.publisher == lookup.asker ||
             network.rtt(lookup.publisher, lookup.asker) < options.clusters.threshold[1] ||
             first.cluster_of(lookup.publisher) == first.cluster_of(lookup.asker) ||
             second.cluster_of(lookup.publisher) == second.cluster_of(lookup.asker));
    publish_and_ask(network, far, lookup, 20s);
    advance(network, 50ms, "lookups across the world");
  }
  advance(network, 20s + kBudget, "lookups across the world");
  report.measure("far: round trip between two nodes, median", median_ms, "ms");
  report.at_most("far: lookup over that, median", quantile(ratios(far), 0.5), 2.5, "RTT");
  report.measure("far: lookup, median", quantile(times(far), 0.5), "ms");
  report.at_most("far: lookup, p99", quantile(times(far), 0.99), 1000, "ms");
  report.measure("far: lookup, slowest", quantile(times(far), 1), "ms");
  double hops = 0;
  for (const Lookup& l : far) hops += l.hops;
  report.measure("far: requests in a row, mean", hops / static_cast<double>(far.size()), "");
  report.at_least("far: values found", found_percent(far), 99.99, "%");
  Chart chart{"far", "Lookup of a value put in another region", "ms", "% of lookups", false, true, {}};
  chart.lines.push_back({"lookups", {}});
  for (const Lookup& l : far) chart.lines[0].points.emplace_back(l.ms, 0);
  report.chart(std::move(chart));
}

}  // namespace

void run_lookup(const Settings& settings, Report& report) {
  const std::size_t nodes = settings.nodes_or(10'000, 150);
  const dsht::NodeOptions options = settings.node_options();
  // Few metros at the small size, so that clusters have members.
  Network network = settings.network({.metros = settings.small ? std::size_t{6} : std::size_t{24}});
  const auto minutes = static_cast<std::int64_t>(60 * settings.hours_or(1, 0.5));
  form(network, options, nodes, 10min, std::chrono::minutes(minutes) - 10min);
  report.setting("nodes", static_cast<double>(nodes));
  report.setting("metros", static_cast<double>(network.planet().metro_count()));
  report.setting("minutes to form, joining for 10 of them", static_cast<double>(minutes));
  report.setting("lookups", "each of a key of its own, 20 s after its put, 20 a second");
  within_cluster(network, settings, options, report);
  across_the_world(network, settings, options, report);
}

}  // namespace reef::sim
