// doctest's main with --seed N (or REEF_SIM_SEED), so that a failure can be replayed.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "tests/sim/network.h"

namespace {

bool take_seed(std::string_view text) {
  std::uint64_t seed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
  if (error != std::errc{} || end != text.data() + text.size()) return false;
  reef::sim::set_run_seed(seed);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  bool ok = true;
  if (const char* seed = std::getenv("REEF_SIM_SEED")) ok = take_seed(seed);
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::string_view(argv[i]) == "--seed") ok = take_seed(argv[i + 1]);
  }
  if (!ok) {
    std::fprintf(stderr, "the seed must be a decimal number below 2^64\n");
    return 2;
  }
  const int result = doctest::Context(argc, argv).run();
  if (result != 0) {
    std::fprintf(stderr, "failed with seed %llu; replay: %s --seed %llu\n",
                 static_cast<unsigned long long>(reef::sim::run_seed()), argv[0],
                 static_cast<unsigned long long>(reef::sim::run_seed()));
  }
  return result;
}
