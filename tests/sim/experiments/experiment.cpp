#include "tests/sim/experiments/experiment.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>

namespace reef::sim {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

struct Tunable {
  std::string_view name;
  void (*set)(dsht::NodeOptions&, double);
};

template <auto Member>
void set_member(dsht::NodeOptions& options, double value) {
  auto& member = options.*Member;
  member = static_cast<std::remove_reference_t<decltype(member)>>(value);
}

template <auto Member, dsht::Level level>
void set_level(dsht::NodeOptions& options, double value) {
  auto& member = (options.*Member)[level];
  member = static_cast<std::remove_reference_t<decltype(member)>>(value);
}

Duration ms(double value) { return std::chrono::microseconds(static_cast<std::int64_t>(value * 1000)); }

using Options = dsht::NodeOptions;
constexpr Tunable kTunables[] = {
    {"put_bits", set_member<&Options::put_bits>},
    {"get_bits", set_member<&Options::get_bits>},
    {"alpha_0", set_level<&Options::alpha, 0>},
    {"alpha_1", set_level<&Options::alpha, 1>},
    {"alpha_2", set_level<&Options::alpha, 2>},
    {"put_window", set_member<&Options::put_window>},
    {"replicas_0", set_level<&Options::replicas, 0>},
    {"replicas_1", set_level<&Options::replicas, 1>},
    {"replicas_2", set_level<&Options::replicas, 2>},
    {"get_width_0", set_level<&Options::get_width, 0>},
    {"get_width_1", set_level<&Options::get_width, 1>},
    {"get_width_2", set_level<&Options::get_width, 2>},
    {"levels", set_member<&Options::levels>},
    {"hot_gets", set_member<&Options::hot_gets>},
    {"find_attempts", set_member<&Options::find_attempts>},
    {"store_attempts", set_member<&Options::store_attempts>},
    {"hot_memory_ms", [](Options& o, double v) { o.hot_memory = ms(v); }},
    {"first_timeout_max_ms", [](Options& o, double v) { o.first_timeout_max = ms(v); }},
    {"near_ping_ms", [](Options& o, double v) { o.near_ping = ms(v); }},
    {"far_ping_ms", [](Options& o, double v) { o.far_ping = ms(v); }},
    {"failures_max", [](Options& o, double v) { o.table.failures_max = static_cast<int>(v); }},
    {"bucket_size_0", [](Options& o, double v) { o.table.bucket_size[0] = static_cast<std::size_t>(v); }},
    {"bucket_size_1", [](Options& o, double v) { o.table.bucket_size[1] = static_cast<std::size_t>(v); }},
    {"bucket_size_2", [](Options& o, double v) { o.table.bucket_size[2] = static_cast<std::size_t>(v); }},
    {"beta", [](Options& o, double v) { o.load.per_window = static_cast<std::size_t>(v); }},
    {"full_at", [](Options& o, double v) { o.storage.full_at = static_cast<std::size_t>(v); }},
    {"sample_size", [](Options& o, double v) { o.clusters.sample_size = static_cast<std::size_t>(v); }},
    {"accept_share", [](Options& o, double v) { o.clusters.accept_share = v; }},
    {"keep_share", [](Options& o, double v) { o.clusters.keep_share = v; }},
    {"decision_period_ms", [](Options& o, double v) { o.clusters.decision_period = ms(v); }},
};

}  // namespace

bool tune(Settings& settings, std::string_view assignment) {
  const std::size_t equals = assignment.find('=');
  if (equals == std::string_view::npos) return false;
  const auto* found = std::ranges::find(kTunables, assignment.substr(0, equals), &Tunable::name);
  const std::string_view text = assignment.substr(equals + 1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (found == std::end(kTunables) || error != std::errc{} || end != text.data() + text.size() || value < 0) {
    return false;
  }
  settings.tuning.push_back([set = found->set, value](Options& options) { set(options, value); });
  settings.tuned.emplace_back(assignment);
  return true;
}

std::string tunable() {
  std::string out;
  for (const Tunable& t : kTunables) out += (out.empty() ? "" : ", ") + std::string(t.name);
  return out;
}

dsht::NodeOptions Settings::node_options() const {
  dsht::NodeOptions options = many_nodes();
  for (const auto& set : tuning) set(options);
  return options;
}

Network Settings::network(Model model, std::uint64_t variant) const {
  const std::uint64_t of_run = seed * 1000 + variant;
  return planet ? Network(of_run, model, *planet) : Network(of_run, model);
}

void progress(const std::string& text) {
  static const bool live = isatty(STDERR_FILENO) != 0;
  static const Clock::time_point started = Clock::now();
  static Clock::time_point last{};
  const Clock::time_point now = Clock::now();
  if (now - last < (live ? 200ms : 10'000ms)) return;
  last = now;
  std::fprintf(stderr, live ? "\r%s  [%.0f s]\033[K" : "%s  [%.0f s]\n", text.c_str(),
               std::chrono::duration<double>(now - started).count());
  std::fflush(stderr);
}

void advance(Network& network, Duration duration, const std::string& doing) {
  const TimePoint end = network.now() + duration;
  while (network.now() < end) {
    network.run_for(std::min<Duration>(end - network.now(), 5s));
    char minutes[64];
    std::snprintf(minutes, sizeof(minutes), ": %.1f virtual minutes to go",
                  std::chrono::duration<double>(end - network.now()).count() / 60);
    progress(doing + minutes);
  }
}

void form(Network& network, const dsht::NodeOptions& options, std::size_t nodes, Duration over,
          Duration settle) {
  grow(network, {.count = nodes, .over = over, .options = options, .spot = {}, .tell = [&](Duration) {
                   progress("joining: " + std::to_string(network.size()) + " of " + std::to_string(nodes));
                 }});
  advance(network, settle, "settling");
}

void ask(Network& network, Gets& gets, Host host, const Key& key, Duration budget, std::string expected) {
  ++gets.asked;
  network.get(
      host, key, budget,
      [&network, &gets, asked = network.now(), expected = std::move(expected)](const dsht::Found& got) {
        gets.ms.push_back(to_ms(network.now() - asked));
        const bool right = std::ranges::any_of(
            got.values, [&](const dsht::Value& value) { return as_text(value.data) == expected; });
        if (!right) return;
        ++gets.found;
        gets.hops.push_back(got.hops);
      });
}

std::string value_of(Host host, const Key& key) {
  return "host " + std::to_string(host) + " has " + to_string(key).substr(0, 8);
}

}  // namespace reef::sim
