#include "tests/sim/planet.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <numbers>
#include <optional>
#include <utility>

#include "base/check.h"
#include "tests/wan/gazetteer.h"

namespace reef::sim {
namespace {

constexpr double kKmPerMs = 200.0;        // light in fibre, about 2/3 c
constexpr double kRegionalStretch = 1.5;  // cable over great circle, within a region
constexpr double kKmPerDegree = 111.2;
constexpr double kNoWay = std::numeric_limits<double>::infinity();
constexpr double kRowAccessMs = 0.25;                 // of a host in a matrix of round trips, one way
constexpr std::uint32_t kRouterNetwork = 0x17000000;  // 23.0.0.0, a /16 for each metro

// The gazetteer's cities, one of each region in turn.
std::vector<wan::City> cities_in_turn() {
  std::vector<wan::City> out;
  for (std::size_t round = 0; out.size() < wan::cities().size(); ++round) {
    for (const std::string_view region : wan::regions()) {
      std::size_t seen = 0;
      for (const wan::City& city : wan::cities()) {
        if (city.region == region && seen++ == round) out.push_back(city);
      }
    }
  }
  return out;
}

IpAddress router(Metro metro, std::uint8_t third, std::uint8_t fourth) {
  return IpAddress::v4(kRouterNetwork + (metro << 16) + (std::uint32_t{third} << 8) + fourth);
}

std::optional<double> number(std::string_view word) {
  if (word == "nan" || word == "NaN") return -1;
  double value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc{} || end != word.data() + word.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

Result<std::vector<double>> numbers(std::string_view line, std::size_t row) {
  std::vector<double> out;
  line = line.substr(0, line.find('#'));
  constexpr std::string_view kBlanks = " \t\r,;";
  for (;;) {
    const std::size_t from = line.find_first_not_of(kBlanks);
    if (from == std::string_view::npos) return out;
    line.remove_prefix(from);
    const std::string_view word = line.substr(0, line.find_first_of(kBlanks));
    const std::optional<double> value = number(word);
    if (!value)
      return fail(invalid("row " + std::to_string(row + 1) + ": not a number: " + std::string(word)));
    out.push_back(*value);
    line.remove_prefix(word.size());
  }
}

}  // namespace

Planet Planet::planetary(std::size_t metros, Random& random) {
  BASE_CHECK(metros >= 1);
  Planet planet;
  const std::vector<wan::City> cities = cities_in_turn();
  for (std::size_t i = 0; i < metros; ++i) {
    const wan::City& city = cities[i % cities.size()];
    MetroState metro{std::string(city.name), std::string(city.region), city.latitude, city.longitude, {}};
    if (i >= cities.size()) {
      metro.name += std::to_string(i / cities.size());
      const double km = 100 + 500 * random.unit();
      const double bearing = 2 * std::numbers::pi * random.unit();
      metro.latitude += km / kKmPerDegree * std::cos(bearing);
      metro.longitude +=
          km / kKmPerDegree * std::sin(bearing) / std::cos(metro.latitude * std::numbers::pi / 180);
    }
    for (double& ms : metro.aggregation_ms) ms = 0.05 + 0.15 * random.unit();
    planet.metros_.push_back(std::move(metro));
  }
  planet.connect_cores(random);
  planet.shorten();
  return planet;
}

void Planet::connect(Metro a, Metro b, double stretch, Random& random) {
  const std::size_t count = metros_.size();
  if (core_ms_[a * count + b] != kNoWay) return;
  const auto city = [this](Metro m) {
    return wan::City{metros_[m].region, metros_[m].name, metros_[m].latitude, metros_[m].longitude};
  };
  const double km = wan::distance_km(city(a), city(b));
  const double ms = 0.1 + km / kKmPerMs * stretch * (0.95 + 0.1 * random.unit());
  core_ms_[a * count + b] = core_ms_[b * count + a] = ms;
}

void Planet::connect_cores(Random& random) {
  const auto count = static_cast<Metro>(metros_.size());
  core_ms_.assign(std::size_t{count} * count, kNoWay);
  for (Metro i = 0; i < count; ++i) {
    core_ms_[i * count + i] = 0;
    for (Metro j = i + 1; j < count; ++j) {
      if (metros_[i].region == metros_[j].region) connect(i, j, kRegionalStretch, random);
    }
  }
  const auto of_region = [&](std::string_view region) {
    std::vector<Metro> out;
    for (Metro m = 0; m < count; ++m) {
      if (metros_[m].region == region) out.push_back(m);
    }
    return out;
  };
  for (const wan::Corridor& corridor : wan::corridors()) {
    const auto from = of_region(corridor.a);
    const auto to = of_region(corridor.b);
    if (from.empty() || to.empty()) continue;
    // Two cables: between the closest cities, and between the regions' first ones.
    auto best = std::pair(from[0], to[0]);
    double least = kNoWay;
    for (const Metro a : from) {
      for (const Metro b : to) {
        const double km = wan::distance_km({"", "", metros_[a].latitude, metros_[a].longitude},
                                           {"", "", metros_[b].latitude, metros_[b].longitude});
        if (km < least) least = km, best = {a, b};
      }
    }
    connect(best.first, best.second, corridor.stretch, random);
    connect(from[0], to[0], corridor.stretch, random);
  }
}

// Floyd and Warshall: metros are a few hundred at most.
void Planet::shorten() {
  const auto count = static_cast<Metro>(metros_.size());
  next_hop_.resize(std::size_t{count} * count);
  for (Metro i = 0; i < count; ++i) {
    for (Metro j = 0; j < count; ++j) next_hop_[i * count + j] = j;
  }
  for (Metro via = 0; via < count; ++via) {
    for (Metro i = 0; i < count; ++i) {
      for (Metro j = 0; j < count; ++j) {
        const double ms = core_ms_[i * count + via] + core_ms_[via * count + j];
        if (ms >= core_ms_[i * count + j]) continue;
        core_ms_[i * count + j] = ms;
        next_hop_[i * count + j] = next_hop_[i * count + via];
      }
    }
  }
}

Result<Planet> Planet::from_rtts(std::string_view text) {
  std::vector<std::vector<double>> rows;
  for (std::size_t at = 0, line_number = 0; at < text.size(); ++line_number) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    auto row = numbers(text.substr(at, end - at), line_number);
    if (!row) return fail(row.error());
    if (!row->empty()) rows.push_back(std::move(*row));
    at = end + 1;
  }
  if (rows.empty()) return fail(invalid("a matrix of round trips needs at least one row"));
  Planet planet;
  planet.measured_ = true;
  const std::size_t count = rows.size();
  planet.core_ms_.assign(count * count, kNoWay);
  for (std::size_t i = 0; i < count; ++i) {
    if (rows[i].size() != count) {
      return fail(invalid("row " + std::to_string(i + 1) + " has " + std::to_string(rows[i].size()) +
                          " numbers, not " + std::to_string(count)));
    }
    const std::string name = "row" + std::to_string(i + 1);
    planet.metros_.push_back({name, name, 0, 0, {}});
    planet.core_ms_[i * count + i] = 0;
  }
  bool holes = false;
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      // The two directions are one path here: their mean, or whichever was measured.
      const double there = rows[i][j];
      const double back = rows[j][i];
      if (there < 0 && back < 0) {
        holes = true;
        continue;
      }
      const double rtt = there < 0 ? back : back < 0 ? there : (there + back) / 2;
      planet.core_ms_[i * count + j] = planet.core_ms_[j * count + i] =
          std::max(0.05, rtt / 2 - 2 * kRowAccessMs);
    }
  }
  if (holes) {
    // Measured round trips stand as they are, though they often break the triangle inequality.
    const std::vector<double> measured = planet.core_ms_;
    planet.shorten();
    for (std::size_t i = 0; i < measured.size(); ++i) {
      if (measured[i] != kNoWay) planet.core_ms_[i] = measured[i];
      if (planet.core_ms_[i] == kNoWay) return fail(invalid("a row has no measured way to another"));
    }
  }
  return planet;
}

Place Planet::place_in(Metro metro, Random& random) const {
  BASE_CHECK(metro < metros_.size());
  if (measured_) return {metro, 0, kRowAccessMs, kRowAccessMs};
  const auto aggregation = static_cast<std::uint8_t>(random.below(2));
  const double last_mile = 0.3 + 2.7 * random.unit();
  const double access = 0.1 + 0.3 * random.unit();
  return {metro, aggregation, static_cast<float>(last_mile + access),
          static_cast<float>(last_mile + access + metros_[metro].aggregation_ms[aggregation])};
}

std::vector<std::string> Planet::hint_names(const Place& place, const IpAddress& address) const {
  std::vector<std::string> names = {to_string(IpPrefix::around(address, 24))};
  const auto add = [&](const IpAddress& hop) {
    names.push_back(to_string(hop));
    const std::string prefix = to_string(IpPrefix::around(hop, 24));
    if (std::ranges::find(names, prefix) == names.end()) names.push_back(prefix);
  };
  if (measured_) {
    add(router(place.metro, 255, 1));
    return names;
  }
  // The access router has the last usable address of the host's /24; then aggregation and core, and the cores
  // on the way to the region's first metro.
  add(IpAddress::v4((address.v4_host_order() & 0xffffff00u) | 254));
  add(router(place.metro, 254, static_cast<std::uint8_t>(place.aggregation + 1)));
  add(router(place.metro, 255, 1));
  Metro goal = 0;
  while (metros_[goal].region != metros_[place.metro].region) ++goal;
  Metro at = place.metro;
  for (int hop = 4; hop <= 5 && at != goal; ++hop) {
    at = next_hop_[at * metros_.size() + goal];
    add(router(at, 255, 1));
  }
  return names;
}

}  // namespace reef::sim
