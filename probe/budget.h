// Who may be probed, and how often: nobody shall be able to make a node bother others. Pure; belongs to one
// loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/ip.h"
#include "base/time.h"

namespace reef::probe {

struct BudgetOptions {
  // Only global unicast addresses are probed. For networks of tests and laboratories: these too.
  std::vector<IpPrefix> also_allowed;
  std::vector<IpPrefix> never;  // those who asked not to be probed; stronger than also_allowed
  // Measurements of one target network (its /24 or /48): at most so many in an interval that begins with the
  // first.
  int per_network = 4;
  Duration network_interval = std::chrono::hours(1);
  int v4_network_bits = 24;
  int v6_network_bits = 48;
  std::size_t networks_max =
      8192;  // remembered at once; when all are in their interval, new ones are refused
  // Packets of all measurements together.
  double packets_per_second = 200;
  double packets_burst = 400;
};

class Budget {
 public:
  explicit Budget(BudgetOptions options) : options_(std::move(options)), packets_(options_.packets_burst) {}

  enum class Verdict : std::uint8_t {
    granted,
    not_allowed,    // private, multicast, on the list: never
    network_spent,  // that network had its share
    packets_spent,  // we send too much just now
  };
  // Asks for one measurement of up to `packets` packets, and spends it when granted. `now` never goes back.
  Verdict take(TimePoint now, const IpAddress& target, double packets);
  // What a measurement did not use of its packets.
  void give_back(double packets);

  [[nodiscard]] bool is_allowed(const IpAddress& target) const;

 private:
  struct Network {
    TimePoint since;
    int taken = 0;
  };
  bool make_room(TimePoint now);

  BudgetOptions options_;
  std::unordered_map<IpAddress, Network> networks_;  // by the network's first address
  double packets_;
  TimePoint filled_at_{};
};

}  // namespace reef::probe
