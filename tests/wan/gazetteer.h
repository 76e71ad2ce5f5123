// The cities that topologies are made of, with their coordinates, and the sea and land cables between their
// regions. A table, not data about anybody's network: distances times a cable stretch give round trips within
// about 15 % of what public looking glasses show between these cities.
#pragma once

#include <span>
#include <string_view>

namespace reef::wan {

struct City {
  std::string_view region;
  std::string_view name;  // three letters, as in airport codes
  double latitude;        // degrees, north positive
  double longitude;       // degrees, east positive
};

// Two regions that have cables between them. `stretch`: length of the cable over the great circle.
struct Corridor {
  std::string_view a;
  std::string_view b;
  double stretch;
};

// Regions in the order in which a topology takes them.
[[nodiscard]] std::span<const std::string_view> regions();
// Cities of all regions, in the order in which a topology takes them within each.
[[nodiscard]] std::span<const City> cities();
[[nodiscard]] std::span<const Corridor> corridors();

// Kilometres on the great circle (haversine, mean earth radius).
[[nodiscard]] double distance_km(const City& a, const City& b);

}  // namespace reef::wan
