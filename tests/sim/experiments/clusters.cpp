// Clusters form by themselves, stay, and heal.
#include <algorithm>
#include <set>

#include "tests/sim/experiments/clusters_seen.h"
#include "tests/sim/experiments/experiment.h"

namespace reef::sim {

using namespace std::chrono_literals;

namespace {

double hours_since(const Network& network, TimePoint start) {
  return std::chrono::duration<double, std::ratio<3600>>(network.now() - start).count();
}

double switches(Network& network) {
  double sum = 0;
  for (const Host host : live_hosts(network)) {
    for (dsht::Level level = 1; level < dsht::kLevels; ++level) {
      sum += static_cast<double>(network.node(host).cluster(network.now(), level).switches);
    }
  }
  return sum;
}

// What is drawn over time.
struct Course {
  Line good2{"in a good level-2 cluster", {}};
  Line good1{"in a good level-1 cluster", {}};
  Line metro{"of a metro in its largest cluster", {}};
  Line switched{"switches", {}};
};

struct State {
  double good1 = 0, good2 = 0, metro = 0;  // %
};

State look(Network& network, const dsht::ClusterOptions& options) {
  const ClustersSeen first(network, 1, options.threshold[1]);
  const ClustersSeen second(network, 2, options.threshold[2]);
  return {100 * first.good_share(options.accept_share), 100 * second.good_share(options.accept_share),
          100 * second.metro_share()};
}

void follow(Network& network, const dsht::ClusterOptions& options, TimePoint start, Duration length,
            Course& course, const std::string& doing) {
  const TimePoint end = network.now() + length;
  while (network.now() < end) {
    const double before = switches(network);
    advance(network, std::min<Duration>(5min, end - network.now()), doing);
    const State state = look(network, options);
    const double at = hours_since(network, start);
    course.good2.points.emplace_back(at, state.good2);
    course.good1.points.emplace_back(at, state.good1);
    course.metro.points.emplace_back(at, state.metro);
    course.switched.points.emplace_back(at, switches(network) - before);
  }
}

// How a metro stands to the world: what is to be as before when a cut has healed.
struct Standing {
  double in_main2 = 0;   // share of the metro's hosts in its main level-2 cluster
  double in_main1 = 0;   // and level-1 cluster
  double outsiders = 0;  // hosts of other metros in that level-1 cluster
  double known1 = 0;     // hosts of other metros in a table of the metro, at level 1, mean
  double known0 = 0;     // and at all
};

Standing standing(Network& network, const dsht::ClusterOptions& options, Metro metro) {
  const ClustersSeen first(network, 1, options.threshold[1]);
  const ClustersSeen second(network, 2, options.threshold[2]);
  Standing out{second.metro_share(metro), first.metro_share(metro)};
  for (const Host host : first.clusters().at(first.main_cluster(metro))) {
    out.outsiders += network.place(host).metro != metro;
  }
  std::set<NodeId> strangers;
  std::vector<Host> inside;
  for (const Host host : live_hosts(network)) {
    if (network.place(host).metro == metro) {
      inside.push_back(host);
    } else {
      strangers.insert(network.id(host));
    }
  }
  for (const Host host : inside) {
    for (const dsht::TableEntry& entry : network.node(host).table().entries()) {
      if (!strangers.contains(entry.contact.id)) continue;
      out.known0 += 1 / static_cast<double>(inside.size());
      out.known1 += (entry.stands_at(1) ? 1 : 0) / static_cast<double>(inside.size());
    }
  }
  return out;
}

// The clusters are as they were, and the tables tie both parts together again.
bool is_merged(const Standing& now, const Standing& before) {
  return now.in_main2 >= 0.9 * before.in_main2 && now.in_main1 >= 0.9 * before.in_main1 &&
         now.outsiders >= 0.8 * before.outsiders && now.known1 >= 0.8 * before.known1 &&
         now.known0 >= 0.8 * before.known0;
}

void cut_and_heal(Network& network, const Settings& settings, const dsht::ClusterOptions& options,
                  Report& report, TimePoint start, Course& course) {
  // The metro with most company: of all the one whose level-1 cluster has most hosts of other metros.
  Metro metro = 0;
  Standing before;
  for (Metro m = 0; m < network.planet().metro_count(); ++m) {
    const Standing s = standing(network, options, m);
    if (s.outsiders > before.outsiders) metro = m, before = s;
  }
  std::vector<Host> inside;
  for (const Host host : live_hosts(network)) {
    if (network.place(host).metro == metro) inside.push_back(host);
  }
  for (const Host host : inside) network.set_group(host, 1);
  follow(network, options, start, settings.small ? Duration(30min) : Duration(2h), course,
         "a metro is cut off");
  const Standing cut = standing(network, options, metro);
  for (const Host host : inside) network.set_group(host, 0);
  const TimePoint healed = network.now();
  double merged_after = 3 * 60;  // minutes; so long is waited
  while (network.now() < healed + 3h) {
    follow(network, options, start, 5min, course, "healed");
    if (is_merged(standing(network, options, metro), before)) {
      merged_after = 60 * hours_since(network, healed);
      break;
    }
  }
  const Standing after = standing(network, options, metro);
  report.setting("metro cut off", network.planet().name_of(metro));
  report.measure("cut: hosts of other metros with its level-1 cluster id before", before.outsiders, "nodes");
  report.measure("cut: with its id, at the end of the cut", cut.outsiders, "nodes");
  report.measure("cut: with its id, when it was over", after.outsiders, "nodes");
  report.measure("cut: contacts in other metros, mean of its hosts before", before.known0, "");
  report.measure("cut: such contacts, at the end of the cut", cut.known0, "");
  report.measure("cut: such contacts, when it was over", after.known0, "");
  report.measure("cut: those at level 1, mean of its hosts before", before.known1, "");
  report.measure("cut: those at level 1, when it was over", after.known1, "");
  report.measure("cut: its hosts in one level-2 cluster before", 100 * before.in_main2, "%");
  report.measure("cut: its hosts in one level-2 cluster when it was over", 100 * after.in_main2, "%");
  report.measure("cut: its hosts in one level-1 cluster before", 100 * before.in_main1, "%");
  report.measure("cut: its hosts in one level-1 cluster when it was over", 100 * after.in_main1, "%");
  report.at_most("cut: merged again after healing", merged_after, 120, "min");
}

}  // namespace

void run_clusters(const Settings& settings, Report& report) {
  const std::size_t nodes = settings.nodes_or(1000, 120);
  const dsht::NodeOptions node_options = settings.node_options();
  const dsht::ClusterOptions& options = node_options.clusters;
  Network network = settings.network({.metros = settings.small ? std::size_t{8} : std::size_t{24}});
  const TimePoint start = network.now();
  const Duration joining = settings.small ? 10min : 30min;
  const Duration formed = settings.small ? 60min : 120min;
  const Duration watched = std::chrono::duration_cast<Duration>(
      std::chrono::duration<double, std::ratio<3600>>(settings.hours_or(6, 0.5)));
  report.setting("nodes", static_cast<double>(nodes));
  report.setting("metros", static_cast<double>(network.planet().metro_count()));
  report.setting("minutes of joining", std::chrono::duration<double>(joining).count() / 60);
  report.setting("minutes after the first join at which it is judged",
                 std::chrono::duration<double>(formed).count() / 60);
  report.setting("hours of watching after that", std::chrono::duration<double>(watched).count() / 3600);
  Course course;
  TimePoint looked = start;
  grow(network, {.count = nodes, .over = joining, .options = node_options, .spot = {}, .tell = [&](Duration) {
                   progress("joining: " + std::to_string(network.size()));
                   if (network.now() < looked + 5min) return;
                   looked = network.now();
                   const State state = look(network, options);
                   const double at = hours_since(network, start);
                   course.good2.points.emplace_back(at, state.good2);
                   course.good1.points.emplace_back(at, state.good1);
                   course.metro.points.emplace_back(at, state.metro);
                 }});
  follow(network, options, start, start + formed - network.now(), course, "clusters form");
  const State state = look(network, options);
  const ClustersSeen first(network, 1, options.threshold[1]);
  const ClustersSeen second(network, 2, options.threshold[2]);
  report.at_least("nodes in a level-2 cluster that meets the 80 % rule", state.good2, 95, "%");
  report.at_least("nodes in a level-1 cluster that meets the 80 % rule", state.good1, 95, "%");
  report.at_least("nodes of a metro in its largest level-2 cluster, mean", state.metro, 90, "%");
  report.measure("level-2 clusters", static_cast<double>(second.clusters().size()), "");
  report.measure("level-1 clusters", static_cast<double>(first.clusters().size()), "");
  report.measure("level-2 cluster of a node, mean size", second.mean_size(), "nodes");
  report.measure("level-1 cluster of a node, mean size", first.mean_size(), "nodes");
  const double before = switches(network);
  const TimePoint from = network.now();
  follow(network, options, start, watched, course, "clusters stay");
  const double node_days = static_cast<double>(nodes) * hours_since(network, from) / 24;
  report.at_most("switches afterwards, levels 1 and 2 together", (switches(network) - before) / node_days, 1,
                 "per day");
  const State later = look(network, options);
  report.measure("nodes in a good level-2 cluster, at the end of the watch", later.good2, "%");
  report.measure("nodes in a good level-1 cluster, at the end of the watch", later.good1, "%");
  cut_and_heal(network, settings, options, report, start, course);

  Chart shares{"shares", "Clusters over time", "hours since the first join", "% of nodes", false, false, {}};
  shares.lines = {course.good2, course.good1, course.metro};
  report.chart(std::move(shares));
  Chart moves{"switches",
              "Switches of cluster, all nodes",
              "hours since the first join",
              "in 5 minutes",
              false,
              false,
              {}};
  moves.lines = {course.switched};
  report.chart(std::move(moves));
}

}  // namespace reef::sim
