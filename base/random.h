// The random source that cores are given: xoshiro256** (Blackman and Vigna, 2018). Not for secrets; those
// come from random_bytes() in base/crypto.h. Same seed, same sequence, on every machine.
#pragma once

#include <cstdint>
#include <limits>

#include "base/time.h"

namespace reef {

class Random {
 public:
  using result_type = std::uint64_t;

  explicit Random(std::uint64_t seed);
  // Seeded by the operating system.
  static Random from_os();

  result_type operator()();  // a UniformRandomBitGenerator: works with <random> and std::shuffle
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return std::numeric_limits<result_type>::max(); }

  // Uniform in [0, bound), bound > 0, without bias.
  std::uint64_t below(std::uint64_t bound);
  // Uniform in [0, 1).
  double unit();
  // Uniform in [low, high].
  Duration between(Duration low, Duration high);

  template <class IdType>
  IdType id() {
    IdType out;
    for (auto& byte : out.bytes) byte = static_cast<std::uint8_t>((*this)());
    return out;
  }

 private:
  std::uint64_t state_[4];
};

}  // namespace reef
