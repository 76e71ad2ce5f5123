// Runs one experiment once. scripts/sim builds and calls this, repeats it over seeds and draws what came out.
#include <charconv>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "tests/sim/experiments/experiment.h"

#ifdef REEF_SIM_MIMALLOC
#include <mimalloc.h>
#endif

namespace reef::sim {
namespace {

constexpr Experiment kExperiments[] = {
    {"hotspot", "one key that everybody puts and gets: the load of the busiest node",
     "494 nodes form one cluster (levels = 1). Each puts and gets one key as fast as it can, at most 400 "
     "pairs a\n"
     "second: the next pair begins 2.5 ms after the last one began, or when that ended. STORE and HANDOVER "
     "requests\n"
     "are counted at each node, minute by minute; FIND requests beside them. Then the same for 64 to 8,192 "
     "nodes, at\n"
     "20,000 pairs a second for all nodes together (at most 400 each), and for a plain Kademlia, in which "
     "every put\n"
     "goes straight to the nodes closest to the key, at 1 pair a second and node.\n"
     "Met: busiest node at most 2 x beta x log2 n, in the first minute and later; less than beta a minute "
     "for all\n"
     "nodes together whose ids differ from the key in the first bit.",
     run_hotspot},
    {"lookup", "how long a lookup takes, in a cluster and across the world",
     "10,000 nodes join within 10 minutes on the planetary model and have 50 more to find their clusters. "
     "Values are\n"
     "put and looked up 20 s later: by a node of the same level-2 cluster, then by a node that is more than "
     "60 ms\n"
     "away and in no common cluster. Times are compared with the median round trip of that cluster, and of "
     "the world.\n"
     "Met: near: median at most 2 round trips, p99 at most 40 ms; far: median at most 2.5 round trips, p99 "
     "below 1 s;\n"
     "99.99 % found, each. What b and the window cost: the experiment `tradeoff`.",
     run_lookup},
    {"tradeoff", "b and the window of requests against the load of a hot key, hops and time",
     "494 nodes, one level, b = 1 to 4 and 1 to 3 requests in flight: the busiest node under a crowd for one "
     "key (100\n"
     "pairs a second each), the time of a put, hops and time of a get of cold keys. Draws; nothing to meet.",
     run_tradeoff},
    {"dead", "a fifth and a half of the nodes die at once; half die every hour",
     "1,000 nodes, 5,000 values, 0.2 % loss. After the deaths each value that still exists is looked up "
     "once: somebody\n"
     "alive holds it at level 0 or in a cluster of the asker's. Then four hours of sessions with a half-life "
     "of an\n"
     "hour, each node coming back after a minute as somebody new; values are renewed by their living "
     "publishers.\n"
     "Met: 99.9 % and 99 % found; none over 2 s (the budget is 10 s); median within 1.5 of the healthy one; "
     "no dead\n"
     "contact in any table after 5 minutes; 99.9 % found under churn.",
     run_dead},
    {"announce", "500 nodes announce one cold key within 50 ms",
     "1,000 nodes; 500 of them announce a key at random instants within 50 ms, 1,000 keys, every 3 s "
     "another. Then the\n"
     "same with 1 % loss, duplicates and reordering.\n"
     "Met: exactly one is told that it is first, and whoever follows those named to it, whichever, ends at "
     "that one, in\n"
     "99.9 % of the keys, 99 % with loss; never is nobody first.",
     run_announce},
    {"clusters", "clusters form, stay, and heal",
     "1,000 nodes join over 30 minutes. Judged by the delays of the model, not by what nodes measured. A "
     "node alone in\n"
     "its cluster counts as well placed only if nobody is within the threshold of it. Then 6 hours of "
     "watching, then\n"
     "the metro whose level-1 cluster has most nodes of other metros is cut off for 2 hours and healed.\n"
     "Met: 2 hours after the first join 95 % in level-2 and in level-1 clusters with 80 % of the members "
     "within the\n"
     "threshold; 90 % of a metro's nodes in its largest cluster, on average; fewer than 1 switch per node "
     "and day\n"
     "while watched; merged again within 2 hours: at least 90 % as large a share of the metro in one cluster "
     "of each\n"
     "level, 80 % as many nodes of other metros with it, and 80 % as many of them in its tables, as before.",
     run_clusters},
    {"levels", "lookups with three levels and with one (NSDI 2004, figure 6)",
     "166 nodes, mostly in North America and Europe, 12 files on 4 pages. 30 minutes to settle, then a "
     "client per node\n"
     "asks for the 3 files of a random page every 5 s for 30 minutes. What the node holds is not looked up; "
     "what it\n"
     "looked up it fetches (200 ms) and then puts a pointer to itself. All lookups count, found or not.\n"
     "Met: at every tenth percentile up to the 80th three levels are at least twice as fast.",
     run_levels},
    {"attack", "a tenth of the nodes lie",
     "1,000 nodes, 100 of them liars that take part in everything else: made-up contacts next to the key "
     "asked for (at\n"
     "addresses of nobody, at their own, or other liars), no values, puts that are `stored` and dropped. 40 "
     "are\n"
     "scattered; 60 crowd around keys, 1, 2, 4 or 8 to a key, with 24 bits of it, each in a /24 of its own.\n"
     "Met: 99 % of lookups find the value, of random keys and of the crowded ones.",
     run_attack},
    {"idle", "traffic of a node when nothing happens",
     "1,000 nodes, an hour to settle, an hour measured. Met: less than 10 kbit/s a node, in and out, with "
     "headers.",
     run_idle},
    {"speed", "what a virtual hour of 10,000 nodes costs",
     "10,000 nodes join within 10 minutes; a put and a get a second. Met: less than 600 s of CPU time.",
     run_speed},
};

constexpr std::string_view kUsage =
    "usage: reef_sim EXPERIMENT [--nodes N] [--hours H] [--seed N] [--small] [--rtt FILE] [--set "
    "NAME=VALUE]...\n"
    "                           [--json FILE]\n"
    "       reef_sim --help | EXPERIMENT --help\n";

void print_help() {
  std::printf("%s\nExperiments, in virtual time:\n", std::string(kUsage).c_str());
  for (const Experiment& e : kExperiments) {
    std::printf("  %-9s %s\n", std::string(e.name).c_str(), std::string(e.summary).c_str());
  }
  std::printf(
      "\n"
      "  --nodes N         as many nodes as N instead of what the figures are stated for\n"
      "  --hours H         of virtual time, where the experiment has a length to choose\n"
      "  --seed N          same seed, same run, event by event (default 1)\n"
      "  --small           the size that continuous integration runs\n"
      "  --rtt FILE        round trips in ms, a square matrix as text, in place of the planetary model\n"
      "  --set NAME=VALUE  an option of every node: %s\n"
      "  --json FILE       writes figures, settings and what is to be drawn\n"
      "\n"
      "Prints a table and `met: true` or `met: false`; the exit status is 0 only when met.\n",
      tunable().c_str());
}

template <class Number>
bool read_number(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size() && out > Number{0};
}

// What went wrong; empty: nothing.
std::string take_option(Settings& settings, std::string& json, std::string_view name,
                        std::string_view value) {
  if (name == "--nodes") {
    std::size_t nodes = 0;
    if (!read_number(value, nodes) || nodes < 20 || nodes > 65'000) return "--nodes takes 20 to 65000";
    settings.nodes = nodes;
  } else if (name == "--hours") {
    double hours = 0;
    if (!read_number(value, hours)) return "--hours takes a positive number";
    settings.hours = hours;
  } else if (name == "--seed") {
    if (!read_number(value, settings.seed)) return "--seed takes a positive whole number";
  } else if (name == "--set") {
    if (!tune(settings, value)) return "--set takes NAME=VALUE, NAME being one of: " + tunable();
  } else if (name == "--json") {
    json = value;
  } else if (name == "--rtt") {
    std::ifstream in{std::string(value)};
    if (!in) return "--rtt: cannot read " + std::string(value);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    auto planet = Planet::from_rtts(text);
    if (!planet) return "--rtt: " + std::string(value) + ": " + planet.error().message();
    settings.planet = std::move(*planet);
  } else {
    return "unknown option " + std::string(name);
  }
  return {};
}

int usage_error(const std::string& text) {
  std::fprintf(stderr, "reef_sim: %s\n%s", text.c_str(), std::string(kUsage).c_str());
  return 2;
}

int run(const Experiment& experiment, const Settings& settings, const std::string& json) {
  const auto started = std::chrono::steady_clock::now();
  Report report([](const Measure& m) { std::fprintf(stderr, "%s\n", to_line(m).c_str()); });
  for (const std::string& tuned : settings.tuned) report.setting("option of the nodes", tuned);
  experiment.run(settings, report);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  std::fflush(stderr);
  std::printf("\n%s, seed %llu, %.1f s of real time\n%s", std::string(experiment.name).c_str(),
              static_cast<unsigned long long>(settings.seed), seconds, report.table().c_str());
  if (!json.empty()) {
    std::ofstream out(json);
    out << report.json(std::string(experiment.name), settings.seed, seconds) << "\n";
    out.close();
    if (!out) {
      std::fprintf(stderr, "reef_sim: cannot write %s\n", json.c_str());
      return 2;
    }
  }
  std::printf("met: %s\n", report.met() ? "true" : "false");
  return report.met() ? 0 : 1;
}

}  // namespace

std::span<const Experiment> experiments() { return kExperiments; }

int main_of(int argc, char** argv) {
  if (argc < 2) return usage_error("which experiment?");
  const std::string_view name = argv[1];
  if (name == "--help" || name == "-h") {
    print_help();
    return 0;
  }
  const Experiment* experiment = nullptr;
  for (const Experiment& e : kExperiments) {
    if (e.name == name) experiment = &e;
  }
  if (experiment == nullptr)
    return usage_error("no experiment '" + std::string(name) + "' (try: reef_sim --help)");
  Settings settings;
  std::string json;
  for (int i = 2; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--help" || option == "-h") {
      std::printf("%s: %s\n\n%s\n", std::string(name).c_str(), std::string(experiment->summary).c_str(),
                  std::string(experiment->describe).c_str());
      return 0;
    }
    if (option == "--small") {
      settings.small = true;
      continue;
    }
    if (i + 1 >= argc) return usage_error(std::string(option) + " needs a value");
    if (const std::string wrong = take_option(settings, json, option, argv[++i]); !wrong.empty()) {
      return usage_error(wrong);
    }
  }
  return run(*experiment, settings, json);
}

}  // namespace reef::sim

int main(int argc, char** argv) {
#ifdef REEF_SIM_MIMALLOC
  // Ten thousand nodes are 1.5 GB, read here and there: in pages of 4 KiB a third of the time goes into
  // address translation.
  mi_option_enable(mi_option_large_os_pages);
#endif
  return reef::sim::main_of(argc, argv);
}
