// What three levels are good for: the same crowd with them and without (NSDI 2004, §6.3, figure 6).
#include <algorithm>
#include <array>

#include "tests/sim/experiments/experiment.h"

namespace reef::sim {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t kPages = 4;
constexpr std::size_t kFilesPerPage = 3;
constexpr Duration kBetweenPages = 5s;
constexpr Duration kFetch = 200ms;  // 41 KB from another node
constexpr std::chrono::seconds kTtl = 1h;
constexpr Duration kBudget = 5s;
constexpr double kFasterMax = 1000;  // beyond it a ratio says no more

// As the machines of 2004: mostly North America and Europe, one in 30 in Asia.
Metro metro_of(const Planet& planet, Random& random) {
  const double lot = random.unit();
  const std::string_view region = lot < 0.4 ? "na-east" : lot < 0.65 ? "na-west" : lot < 0.97 ? "eu" : "asia";
  std::vector<Metro> there;
  for (Metro m = 0; m < planet.metro_count(); ++m) {
    if (planet.region_of(m) == region) there.push_back(m);
  }
  // Round trips from a file have no regions.
  if (there.empty()) return static_cast<Metro>(random.below(planet.metro_count()));
  return there[random.below(there.size())];
}

struct Answers {
  std::vector<double> ms;        // of all lookups
  std::vector<double> found_ms;  // of those that found a pointer
  std::array<std::size_t, dsht::kLevels> level{};
};

// The proxies of one run: each holds what it fetched and asks only for what it does not hold.
class Clients {
 public:
  Clients(Network& network, Duration length) : network_(network), end_(network.now() + length) {
    for (std::size_t i = 0; i < keys_.size(); ++i) keys_[i] = some_key(network);
    holds_.resize(network.size());
  }
  void start() {
    for (const Host host : live_hosts(network_)) {
      network_.after(network_.random().between(Duration::zero(), 180s), [this, host] { page(host); });
    }
  }
  [[nodiscard]] const Answers& answers() const { return answers_; }

 private:
  void page(Host host) {
    if (network_.now() >= end_) return;
    const std::size_t first = network_.random().below(kPages) * kFilesPerPage;
    for (std::size_t i = first; i < first + kFilesPerPage; ++i) file(host, i);
    network_.after(kBetweenPages, [this, host] { page(host); });
  }
  void file(Host host, std::size_t i) {
    bool& holds = holds_[host][i];
    if (holds) return;
    holds = true;  // or is fetching: further requests wait for that
    network_.get(host, keys_[i], kBudget, [this, host, i, asked = network_.now()](const dsht::Found& found) {
      const double ms = to_ms(network_.now() - asked);
      answers_.ms.push_back(ms);
      if (found.end == dsht::WalkEnd::found) {
        answers_.found_ms.push_back(ms);
        ++answers_.level[found.level];
      }
      // From whom it was told, else from the origin.
      network_.after(kFetch, [this, host, i] {
        network_.put(host, keys_[i], as_bytes(value_of(host, keys_[i])), kTtl, nullptr);
      });
    });
  }

  Network& network_;
  const TimePoint end_;
  std::array<Key, kPages * kFilesPerPage> keys_{};
  std::vector<std::array<bool, kPages * kFilesPerPage>> holds_;
  Answers answers_;
};

Answers run_levels_once(const Settings& settings, dsht::Level levels) {
  const std::size_t nodes = settings.nodes_or(166, 100);
  dsht::NodeOptions options = settings.node_options();
  options.levels = levels;
  Network network = settings.network({.loss = 0.002});
  // The places are the same in both runs: they have a random source of their own.
  Random places(settings.seed);
  std::vector<Metro> metros;
  for (std::size_t i = 0; i < nodes; ++i) metros.push_back(metro_of(network.planet(), places));
  grow(network, {.count = nodes, .over = 1min, .options = options, .spot = [&](std::size_t i) {
                   return Spot{.metro = metros[i]};
                 }});
  advance(network, 29min, "settling");
  const Duration length = settings.small ? 8min : 30min;
  Clients clients(network, length);
  clients.start();
  advance(network, length + kBudget, "levels: " + std::to_string(levels));
  return clients.answers();
}

}  // namespace

void run_levels(const Settings& settings, Report& report) {
  const Answers multi = run_levels_once(settings, dsht::kLevels);
  const Answers single = run_levels_once(settings, 1);
  report.setting("nodes", static_cast<double>(settings.nodes_or(166, 100)));
  report.setting(
      "workload",
      "30 minutes to settle; a client per node begins within 180 s and asks for the 3 files of a random one "
      "of 4 pages every 5 s; a file that the node holds or fetches is not looked up; 200 ms after an "
      "answer it puts a pointer to itself (1 h)");
  report.measure("lookups, multi-level", static_cast<double>(multi.ms.size()), "");
  report.measure("lookups, single-level", static_cast<double>(single.ms.size()), "");
  for (std::size_t level = dsht::kLevels; level-- > 0;) {
    report.measure("multi-level: found at level " + std::to_string(level),
                   100.0 * static_cast<double>(multi.level[level]) / static_cast<double>(multi.ms.size()),
                   "%");
  }
  report.measure(
      "multi-level: not found",
      100.0 * (1 - static_cast<double>(multi.found_ms.size()) / static_cast<double>(multi.ms.size())), "%");
  report.measure(
      "single-level: not found",
      100.0 * (1 - static_cast<double>(single.found_ms.size()) / static_cast<double>(single.ms.size())), "%");
  // All lookups count, with and without a result: somebody waited for each.
  double least = kFasterMax;
  for (const int percent : {10, 20, 30, 40, 50, 60, 70, 80}) {
    const double one = quantile(single.ms, percent / 100.0);
    const double three = quantile(multi.ms, percent / 100.0);
    // An answer from memory takes no time: where both do, neither can be faster.
    if (one == 0 && three == 0) continue;
    const double ratio = std::min(one / std::max(three, 1e-9), kFasterMax);
    least = std::min(least, ratio);
    report.measure("single-level over multi-level, p" + std::to_string(percent), ratio, "times");
  }
  report.at_least("single-level over multi-level, least of p10, p20 to p80", least, 2, "times");
  for (const int percent : {50, 80, 90, 98}) {
    const std::string p = "p" + std::to_string(percent);
    report.measure("multi-level: lookup, " + p, quantile(multi.ms, percent / 100.0), "ms");
    report.measure("single-level: lookup, " + p, quantile(single.ms, percent / 100.0), "ms");
  }
  Chart chart{"cdf", "Lookups with three levels and with one", "ms", "% of lookups", false, true, {}};
  chart.lines = {{"three levels", {}}, {"one level", {}}};
  // The tail is in the table; the picture is about the rest.
  const double shown = std::max(quantile(multi.ms, 0.995), quantile(single.ms, 0.995));
  for (const double ms : multi.ms) chart.lines[0].points.emplace_back(std::min(ms, shown), 0);
  for (const double ms : single.ms) chart.lines[1].points.emplace_back(std::min(ms, shown), 0);
  report.chart(std::move(chart));
}

}  // namespace reef::sim
