#include "tests/wan/gazetteer.h"

#include <array>
#include <cmath>
#include <numbers>

namespace reef::wan {
namespace {

constexpr std::array<std::string_view, 6> kRegions = {"na-east", "na-west", "eu", "asia", "sa", "oceania"};

constexpr std::array<City, 24> kCities = {{
    {"na-east", "nyc", 40.71, -74.01},  {"na-east", "iad", 39.04, -77.49},
    {"na-east", "atl", 33.75, -84.39},  {"na-east", "yyz", 43.65, -79.38},
    {"na-west", "sjc", 37.34, -121.89}, {"na-west", "lax", 34.05, -118.24},
    {"na-west", "sea", 47.61, -122.33}, {"na-west", "den", 39.74, -104.99},
    {"eu", "lon", 51.51, -0.13},        {"eu", "fra", 50.11, 8.68},
    {"eu", "par", 48.86, 2.35},         {"eu", "sto", 59.33, 18.07},
    {"asia", "nrt", 35.68, 139.69},     {"asia", "hkg", 22.32, 114.17},
    {"asia", "sin", 1.35, 103.82},      {"asia", "icn", 37.57, 126.98},
    {"sa", "gru", -23.55, -46.63},      {"sa", "eze", -34.60, -58.38},
    {"sa", "scl", -33.45, -70.67},      {"sa", "bog", 4.71, -74.07},
    {"oceania", "syd", -33.87, 151.21}, {"oceania", "mel", -37.81, 144.96},
    {"oceania", "akl", -36.85, 174.76}, {"oceania", "per", -31.95, 115.86},
}};

// Europe to Asia goes round by Suez or Russia, hence its stretch.
constexpr std::array<Corridor, 8> kCorridors = {{
    {"na-east", "na-west", 1.5},
    {"na-east", "eu", 1.3},
    {"na-west", "asia", 1.3},
    {"na-east", "sa", 1.4},
    {"na-west", "oceania", 1.2},
    {"asia", "oceania", 1.4},
    {"eu", "asia", 2.1},
    {"eu", "sa", 1.9},
}};

}  // namespace

std::span<const std::string_view> regions() { return kRegions; }
std::span<const City> cities() { return kCities; }
std::span<const Corridor> corridors() { return kCorridors; }

double distance_km(const City& a, const City& b) {
  constexpr double kEarthRadiusKm = 6371.0;
  constexpr double kRadians = std::numbers::pi / 180.0;
  const double half_lat = (b.latitude - a.latitude) * kRadians / 2;
  const double half_lon = (b.longitude - a.longitude) * kRadians / 2;
  const double chord = std::pow(std::sin(half_lat), 2) + std::cos(a.latitude * kRadians) *
                                                             std::cos(b.latitude * kRadians) *
                                                             std::pow(std::sin(half_lon), 2);
  return 2 * kEarthRadiusKm * std::asin(std::sqrt(chord));
}

}  // namespace reef::wan
