// Plays random histories against the proxy and a model of RFC 9111, and compares answer by answer.
//
//   reef_proxy_model [--histories N] [--steps N] [--seed N] [--show]
//
// Each history has its own seed, from --seed on (1); --show with --histories 1 prints the history too. At the
// first difference it prints the history, shortened to the steps that are needed for it, and exits 1.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "world.h"

using namespace reef::proxy::model;  // NOLINT: one program

namespace {

constexpr std::uint64_t kWorldHistories = 250;  // then a new one: memory would forget what is needed

struct Settings {
  std::uint64_t histories = 1000;
  std::size_t steps = 34;
  std::uint64_t seed = 1;
  bool show = false;
};

bool read(int argc, char** argv, Settings& settings) {
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--show") {
      settings.show = true;
      continue;
    }
    char* end = nullptr;
    const std::uint64_t value = i + 1 < argc ? std::strtoull(argv[i + 1], &end, 10) : 0;
    if (end == nullptr || *end != 0 || end == argv[i + 1]) return false;
    ++i;
    if (name == "--histories") {
      settings.histories = value;
    } else if (name == "--steps") {
      settings.steps = value;
    } else if (name == "--seed") {
      settings.seed = value;
    } else {
      return false;
    }
  }
  return true;
}

using Counts = std::map<std::string, std::uint64_t>;

std::optional<World::Outcome> play_anew(const History& history) {
  Counts ignored;
  return World(history.has_silence).play(history, ignored);
}

// Leaves out steps as long as the last one still differs.
History shortened(History history, std::size_t failed) {
  history.steps.resize(failed + 1);
  for (bool removed = true; removed;) {
    removed = false;
    for (std::size_t i = history.steps.size() - 1; i-- > 0;) {
      History less = history;
      less.steps.erase(less.steps.begin() + static_cast<std::ptrdiff_t>(i));
      const auto outcome = play_anew(less);
      if (!outcome) continue;
      less.steps.resize(outcome->step + 1);
      i = std::min(i, less.steps.size() - 1);
      history = std::move(less);
      removed = true;
    }
  }
  return history;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  if (!read(argc, argv, settings)) {
    std::fprintf(stderr, "usage: %s [--histories N] [--steps N] [--seed N] [--show]\n", argv[0]);
    return 2;
  }
  const auto start = std::chrono::steady_clock::now();
  Counts outcomes;
  std::unique_ptr<World> world;
  for (std::uint64_t i = 0; i < settings.histories; ++i) {
    if (i % kWorldHistories == 0) world = std::make_unique<World>(false);
    const History history = random_history(settings.seed + i, settings.steps);
    if (settings.show) std::printf("%s", to_text(history).c_str());
    const auto outcome =
        history.has_silence ? World(true).play(history, outcomes) : world->play(history, outcomes);
    if (!outcome) continue;
    const auto again = play_anew(history);
    if (!again && history.has_silence) continue;  // time-outs are real: see world.cpp
    if (!again) {
      std::printf("differs only behind other histories: --seed %llu --histories %llu\n",
                  static_cast<unsigned long long>(settings.seed), static_cast<unsigned long long>(i + 1));
      std::printf("step %zu: %s\n%s%s", outcome->step, outcome->difference.c_str(),
                  outcome->exchanges.c_str(), to_text(history).c_str());
      return 1;
    }
    const History few = shortened(history, again->step);
    const auto last = play_anew(few);
    std::printf("the proxy and the model differ (--histories 1 --seed %llu)\n%s    %s\n%s",
                static_cast<unsigned long long>(history.seed), to_text(few).c_str(),
                last ? last->difference.c_str() : outcome->difference.c_str(),
                last ? last->exchanges.c_str() : outcome->exchanges.c_str());
    return 1;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::printf("%llu histories of %zu steps in %.1f s: no difference\n",
              static_cast<unsigned long long>(settings.histories), settings.steps, took.count());
  for (const auto& [name, count] : outcomes)
    std::printf("  %8llu %s\n", static_cast<unsigned long long>(count), name.c_str());
  return 0;
}
