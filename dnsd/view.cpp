#include "dnsd/view.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/check.h"

namespace reef::dnsd {
namespace {

using namespace std::chrono_literals;

// Round trips from us at which a node's share has halved, by level. At level 2 a client is within some 20 ms
// of us, and what is within a few milliseconds of us is about as near to it, while another town in the same
// cluster is not: the share falls with the fourth power. At level 1 the client is 20 to 60 ms away, and what
// is nearest to us says little about it.
constexpr std::array<Duration, dsht::kLevels> kHalfShareAt = {0ms, 30ms, 4ms};
constexpr std::array<int, dsht::kLevels> kFallsWith = {0, 2, 4};

bool nearer(const Candidate& a, const Candidate& b) {
  if (a.level != b.level) return a.level > b.level;
  return a.rtt.value_or(Duration::max()) < b.rtt.value_or(Duration::max());
}

double share_of(const Candidate& candidate, dsht::Level level) {
  if (level == 0 || !candidate.rtt) return level == 0 ? candidate.weight : candidate.weight * 1e-3;
  const double distance = to_ms(*candidate.rtt) / to_ms(kHalfShareAt[level]);
  return candidate.weight / (1 + std::pow(distance, kFallsWith[level]));
}

}  // namespace

bool Picked::add(const IpAddress& address) {
  if (size_ == kMax || has(address)) return false;
  addresses_[size_++] = address;
  return true;
}

bool Picked::has(const IpAddress& address) const { return std::find(begin(), end(), address) != end(); }

void Picked::shuffle(std::size_t from, Random& random) {
  for (std::size_t i = size_; i > from + 1; --i) {
    std::swap(addresses_[i - 1], addresses_[from + random.below(i - from)]);
  }
}

void Pool::add(const IpAddress& address, double share) {
  BASE_CHECK(share > 0);
  if (std::find(addresses_.begin(), addresses_.end(), address) != addresses_.end()) return;
  addresses_.push_back(address);
  shares_.push_back(share);
}

// Walker's alias method (Vose, "A linear algorithm for generating random numbers with a given distribution",
// IEEE TSE 1991): who has less than an equal share gives the rest of its place to one who has more.
void Pool::close() {
  const double sum = std::accumulate(shares_.begin(), shares_.end(), 0.0);
  const auto count = static_cast<double>(shares_.size());
  std::vector<double> left;
  std::vector<std::uint32_t> poor, rich;
  for (std::uint32_t i = 0; i < shares_.size(); ++i) {
    left.push_back(shares_[i] * count / sum);
    (left[i] < 1 ? poor : rich).push_back(i);
  }
  places_.assign(shares_.size(), {std::numeric_limits<std::uint32_t>::max(), 0});
  for (std::uint32_t i = 0; i < places_.size(); ++i) places_[i].other = i;
  while (!poor.empty() && !rich.empty()) {
    const std::uint32_t giver = poor.back(), taker = rich.back();
    poor.pop_back();
    places_[giver] = {static_cast<std::uint32_t>(left[giver] * 0x1p32), taker};
    left[taker] -= 1 - left[giver];
    if (left[taker] >= 1) continue;
    rich.pop_back();
    poor.push_back(taker);
  }
}

void Pool::draw(std::size_t until, Random& random, Picked& to) const {
  until = std::min(until, Picked::kMax);
  if (empty() || to.size() >= until) return;
  // Where a few have nearly all of the shares, the same ones come again and again; after some draws the rest
  // comes in turn.
  for (std::size_t tries = 4 * until; tries > 0 && to.size() < until; --tries) {
    const std::uint64_t lot = random();
    const std::size_t at = (lot >> 32) * places_.size() >> 32;
    const Place& place = places_[at];
    to.add(addresses_[static_cast<std::uint32_t>(lot) < place.own_part ? at : place.other]);
  }
  for (std::size_t i = 0; i < addresses_.size() && to.size() < until; ++i) to.add(addresses_[i]);
}

void Pool::draw_beyond(const Pool& inner, Random& random, Picked& to) const {
  if (empty()) return;
  const std::size_t first = random.below(addresses_.size());
  for (std::size_t i = 0; i < addresses_.size(); ++i) {
    const IpAddress& address = addresses_[(first + i) % addresses_.size()];
    const auto& theirs = inner.addresses_;
    if (std::find(theirs.begin(), theirs.end(), address) != theirs.end()) continue;
    if (to.add(address)) return;
  }
}

View::View(std::vector<Candidate> candidates, std::vector<IpAddress> own, std::uint32_t serial)
    : candidates_(std::move(candidates)), own_(std::move(own)), serial_(serial) {
  std::erase_if(candidates_, [](const Candidate& c) { return c.address.is_unspecified(); });
  std::erase_if(own_, [](const IpAddress& a) { return a.is_unspecified(); });
  for (Candidate& c : candidates_) {
    c.weight = std::isnan(c.weight) ? 0 : std::clamp(c.weight, 0.0, 1.0);
    c.level = std::min<dsht::Level>(c.level, dsht::kLevels - 1);
  }
  std::stable_sort(candidates_.begin(), candidates_.end(), nearer);
  fill(Service::proxy, dsht::kServiceProxy);
  fill(Service::dns, dsht::kServiceDns);
  for (auto& levels : pools_) {
    for (PerFamily& pools : levels) {
      for (Pool& pool : pools) pool.close();
    }
  }
}

void View::fill(Service service, dsht::Services bit) {
  auto& levels = pools_[static_cast<std::size_t>(service)];
  if (service == Service::dns) {
    for (const IpAddress& address : own_) {
      for (PerFamily& pools : levels) pools[address.is_v4() ? 1 : 0].add(address, 1);
    }
  }
  for (const Candidate& c : candidates_) {
    if ((c.services & bit) == 0 || c.weight <= 0) continue;
    for (dsht::Level level = 0; level <= c.level; ++level) {
      levels[level][c.address.is_v4() ? 1 : 0].add(c.address, std::max(share_of(c, level), 1e-9));
    }
  }
  for (const bool v4 : {false, true}) {  // nobody else: those without a share, then we ourselves
    Pool& all = levels[0][v4 ? 1 : 0];
    if (!all.empty()) continue;
    for (const Candidate& c : candidates_) {
      if ((c.services & bit) != 0 && c.address.is_v4() == v4) all.add(c.address, 1);
    }
    if (!all.empty()) continue;
    for (const IpAddress& address : own_) {
      if (address.is_v4() == v4) all.add(address, 1);
    }
  }
}

}  // namespace reef::dnsd
