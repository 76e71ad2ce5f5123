// What all experiments share: their settings, the way a network forms, and the list of them.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/experiments/report.h"
#include "tests/sim/world.h"

namespace reef::sim {

struct Settings {
  std::uint64_t seed = 1;
  std::optional<std::size_t> nodes{};  // nullopt: what the experiment is stated for
  std::optional<double> hours{};       // of virtual time, where an experiment has a length to choose
  bool small = false;                  // the size that continuous integration runs
  std::optional<Planet> planet{};      // of measured round trips
  std::vector<std::function<void(dsht::NodeOptions&)>> tuning{};  // of every node
  std::vector<std::string> tuned{};                               // the same, as it was written

  [[nodiscard]] std::size_t nodes_or(std::size_t full, std::size_t at_small) const {
    return nodes.value_or(small ? at_small : full);
  }
  [[nodiscard]] double hours_or(double full, double at_small) const {
    return hours.value_or(small ? at_small : full);
  }
  // Options of many_nodes() as tuned.
  [[nodiscard]] dsht::NodeOptions node_options() const;
  // The network of this run; `variant` keeps the draws of several networks of one run apart.
  [[nodiscard]] Network network(Model model, std::uint64_t variant = 0) const;
};

struct Experiment {
  std::string_view name;
  std::string_view summary;   // one line
  std::string_view describe;  // what is done and what counts as met
  void (*run)(const Settings& settings, Report& report);
};
[[nodiscard]] std::span<const Experiment> experiments();

// "put_bits=2": sets one number of NodeOptions. False: there is no such option, or that is not a number.
[[nodiscard]] bool tune(Settings& settings, std::string_view assignment);
[[nodiscard]] std::string tunable();  // the names, for --help

// One line on standard error that says how far it came; rewritten on a terminal, rare in a file.
void progress(const std::string& text);
// network.run_for(duration), telling its progress.
void advance(Network& network, Duration duration, const std::string& doing);

// A network of `nodes` that joined through each other within `over` and then had `settle` to find their
// clusters.
void form(Network& network, const dsht::NodeOptions& options, std::size_t nodes, Duration over,
          Duration settle);

// Answers to the gets of one series.
struct Gets {
  std::size_t asked = 0, found = 0;
  std::vector<double> ms;    // of all
  std::vector<double> hops;  // of those found
  [[nodiscard]] double found_percent() const {
    return asked == 0 ? 0 : 100.0 * static_cast<double>(found) / static_cast<double>(asked);
  }
};
// Asks now, counts into `gets` (which outlives the answer) when it ends. Found: with the value `expected`.
void ask(Network& network, Gets& gets, Host host, const Key& key, Duration budget, std::string expected);

// What a host puts under a key, so that readers can tell it from anything made up.
[[nodiscard]] std::string value_of(Host host, const Key& key);

void run_hotspot(const Settings& settings, Report& report);
void run_lookup(const Settings& settings, Report& report);
void run_tradeoff(const Settings& settings, Report& report);
void run_dead(const Settings& settings, Report& report);
void run_announce(const Settings& settings, Report& report);
void run_clusters(const Settings& settings, Report& report);
void run_levels(const Settings& settings, Report& report);
void run_attack(const Settings& settings, Report& report);
void run_idle(const Settings& settings, Report& report);
void run_speed(const Settings& settings, Report& report);

}  // namespace reef::sim
