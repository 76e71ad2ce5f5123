#include "tests/bench/traces.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/random.h"

namespace reef::bench {
namespace {

constexpr double kBytesLogSigma = 1.5;  // of web objects' sizes, which are near log-normal
constexpr double kBytesMax = 50e6;

double normal(Random& random) {
  return std::sqrt(-2 * std::log(1 - random.unit())) * std::cos(2 * M_PI * random.unit());
}

// Log-normal sizes with that mean.
std::uint32_t size_around(Random& random, double mean) {
  const double mu = std::log(mean) - kBytesLogSigma * kBytesLogSigma / 2;
  return static_cast<std::uint32_t>(
      std::clamp(std::exp(mu + kBytesLogSigma * normal(random)), 100.0, kBytesMax));
}

// Requests of the ranks `first`..`last`: a power law that goes on from `head` at rank `first` - 1 (or starts
// with it at rank 1), so that they sum to `sum`, none below `least`.
void append_power_law(std::vector<double>& counts, std::size_t last, double head, double sum, double least) {
  const std::size_t first = counts.size() + 1;
  const double start = std::max<double>(1, static_cast<double>(first) - 1);
  const auto count_at = [&](std::size_t rank, double exponent) {
    return std::max(least, head * std::pow(static_cast<double>(rank) / start, -exponent));
  };
  double low = 0, high = 8;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    double total = 0;
    for (std::size_t rank = first; rank <= last; ++rank) total += count_at(rank, middle);
    (total > sum ? low : high) = middle;
  }
  for (std::size_t rank = first; rank <= last; ++rank) counts.push_back(count_at(rank, low));
}

}  // namespace

Trace zipf_with_scans(std::uint64_t seed) {
  constexpr std::uint32_t kObjects = 200'000;
  constexpr std::uint32_t kRequests = 4'000'000;
  constexpr std::uint32_t kScanEvery = 250'000;
  constexpr std::uint32_t kScanLength = 40'000;
  constexpr double kExponent = 0.8;
  constexpr double kMeanBytes = 20e3;
  Random random(seed);
  Trace trace{"zipf with scans", {}, {}};
  std::vector<double> sums(kObjects);
  double sum = 0;
  for (std::uint32_t i = 0; i < kObjects; ++i) sums[i] = sum += std::pow(i + 1.0, -kExponent);
  // Neighbours in a walk are no neighbours in popularity.
  std::vector<std::uint32_t> object_of(kObjects);
  for (std::uint32_t i = 0; i < kObjects; ++i) object_of[i] = i;
  for (std::uint32_t i = kObjects - 1; i > 0; --i) std::swap(object_of[i], object_of[random.below(i + 1)]);
  std::uint32_t unseen = kObjects;
  for (std::uint32_t i = 0; i < kRequests; ++i) {
    const auto rank = std::lower_bound(sums.begin(), sums.end(), random.unit() * sum) - sums.begin();
    trace.requests.push_back(object_of[std::min<std::size_t>(static_cast<std::size_t>(rank), kObjects - 1)]);
    if (i % kScanEvery != kScanEvery - 1) continue;
    const auto from = static_cast<std::uint32_t>(random.below(kObjects - kScanLength / 2));
    for (std::uint32_t step = 0; step < kScanLength / 2; ++step) {
      trace.requests.push_back(from + step);
      trace.requests.push_back(unseen++);
    }
  }
  for (std::uint32_t i = 0; i < unseen; ++i) trace.bytes.push_back(size_around(random, kMeanBytes));
  return trace;
}

Trace coral_day(std::uint64_t seed) {
  constexpr std::size_t kUrls = 596'000, kOnce = 420'000, kTop = 60, kHundredth = 5'960;
  constexpr double kRequests = 9.74e6, kFirst = 448e3;
  constexpr double kTopBytes = 52e6 / kTop, kHundredthBytes = (1.8e9 - 52e6) / (kHundredth - kTop),
                   kRestBytes = 60e3;
  constexpr double kCrowdHours = 3;
  Random random(seed);
  std::vector<double> counts;
  append_power_law(counts, kTop, kFirst, 0.38 * kRequests, 2);
  append_power_law(counts, kHundredth, counts.back(), (0.80 - 0.38) * kRequests, 2);
  append_power_law(counts, kUrls - kOnce, counts.back(), 0.20 * kRequests - kOnce, 2);
  counts.resize(kUrls, 1);

  Trace trace{"CoralCDN's day", {}, {}};
  std::vector<std::pair<float, std::uint32_t>> timed;  // hours, URL
  for (std::uint32_t url = 0; url < kUrls; ++url) {
    const bool is_crowd = random.below(2) == 0;
    const double start = 24 * random.unit();
    for (auto left = std::lround(counts[url]); left > 0; --left) {
      double at = 24 * random.unit();
      // What would come after midnight is the evening before's.
      if (is_crowd) at = std::fmod(start - kCrowdHours * std::log(1 - random.unit()), 24.0);
      timed.emplace_back(static_cast<float>(at), url);
    }
    trace.bytes.push_back(size_around(random, url < kTop         ? kTopBytes
                                              : url < kHundredth ? kHundredthBytes
                                                                 : kRestBytes));
  }
  std::sort(timed.begin(), timed.end());
  trace.requests.reserve(timed.size());
  for (const auto& [at, url] : timed) trace.requests.push_back(url);
  return trace;
}

}  // namespace reef::bench
