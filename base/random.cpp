#include "base/random.h"

#include <bit>
#include <random>

namespace reef {

Random::Random(std::uint64_t seed) {
  // splitmix64 spreads any seed, also 0, over the state, as the generator's authors recommend.
  for (auto& word : state_) {
    seed += 0x9e3779b97f4a7c15;
    std::uint64_t z = seed;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    word = z ^ (z >> 31);
  }
}

Random Random::from_os() {
  std::random_device device;
  return Random(std::uint64_t{device()} << 32 | device());
}

Random::result_type Random::operator()() {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

std::uint64_t Random::below(std::uint64_t bound) {
  const std::uint64_t threshold = (0 - bound) % bound;  // rejects the short tail that would favour low values
  while (true) {
    const std::uint64_t value = (*this)();
    if (value >= threshold) return value % bound;
  }
}

double Random::unit() { return static_cast<double>((*this)() >> 11) * 0x1.0p-53; }

Duration Random::between(Duration low, Duration high) {
  if (high <= low) return low;
  return low +
         Duration(static_cast<Duration::rep>(below(static_cast<std::uint64_t>((high - low).count()) + 1)));
}

}  // namespace reef
