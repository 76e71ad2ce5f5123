// What the name server knows of the network: an immutable snapshot, replaced whole by the control loop.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/ip.h"
#include "base/random.h"
#include "base/time.h"
#include "dsht/contact.h"

namespace reef::dnsd {

// One live node, verified by whoever builds the view (never hearsay: dead addresses in answers are what users
// see). A node with addresses of both families is two candidates.
struct Candidate {
  IpAddress address;
  dsht::Services services = 0;
  dsht::Level level = 0;        // the highest level whose cluster it shares with us
  std::optional<Duration> rtt;  // from us to it
  double weight = 1;            // 0 to 1, its share beside others; 0: only where there is nobody else
};

// Different addresses in the order in which they are given out. Fixed size: answers allocate nothing.
class Picked {
 public:
  static constexpr std::size_t kMax = 16;

  // False: it is there already, or all places are taken.
  bool add(const IpAddress& address);
  void shuffle(std::size_t from, Random& random);  // those from that place on
  [[nodiscard]] bool has(const IpAddress& address) const;
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] const IpAddress* begin() const { return addresses_.data(); }
  [[nodiscard]] const IpAddress* end() const { return addresses_.data() + size_; }

 private:
  std::array<IpAddress, kMax> addresses_;
  std::size_t size_ = 0;
};

// Addresses of one service and family, without repetition, each with its share. Filled first, then drawn
// from.
class Pool {
 public:
  void add(const IpAddress& address, double share);  // share > 0; one that is there already is passed over
  void close();                                      // after the last add(), before the first draw()

  // Draws by share without repetition until `to` has `until` addresses or all of ours.
  void draw(std::size_t until, Random& random, Picked& to) const;

  // One that `inner` does not have, if there is any.
  void draw_beyond(const Pool& inner, Random& random, Picked& to) const;

  [[nodiscard]] const std::vector<IpAddress>& addresses() const { return addresses_; }  // as added
  [[nodiscard]] bool empty() const { return addresses_.empty(); }

 private:
  // A place for each address, all equally likely: below `own_part` it is that address's, else `other`'s.
  struct Place {
    std::uint32_t own_part;  // of 2^32
    std::uint32_t other;
  };
  std::vector<IpAddress> addresses_;
  std::vector<double> shares_;
  std::vector<Place> places_;
};

enum class Service : std::uint8_t { proxy, dns };

class View {
 public:
  View() = default;
  // `own`: this node's advertised addresses (none, one, or one or more of each family). They serve as proxies
  // in a family only where no candidate does, and stand first among the name servers: who reads our answer
  // reached us. A node that shall be in every answer is published as a candidate like any other. `serial`:
  // the SOA's (RFC 1982 arithmetic: wall-clock seconds at publication do). Unspecified addresses are dropped.
  View(std::vector<Candidate> candidates, std::vector<IpAddress> own, std::uint32_t serial);

  // Those who share our cluster of `level`. At level 0 shares are the candidates' weights; above it, those
  // nearest to us have the greater share, since a client of that level is near us.
  [[nodiscard]] const Pool& pool(Service service, dsht::Level level, bool v4) const {
    return pools_[static_cast<std::size_t>(service)][level][v4 ? 1 : 0];
  }
  [[nodiscard]] const std::vector<Candidate>& candidates() const { return candidates_; }  // nearest first
  [[nodiscard]] const std::vector<IpAddress>& own() const { return own_; }
  [[nodiscard]] std::uint32_t serial() const { return serial_; }

 private:
  using PerFamily = std::array<Pool, 2>;
  void fill(Service service, dsht::Services bit);

  std::vector<Candidate> candidates_;
  std::vector<IpAddress> own_;
  std::array<std::array<PerFamily, dsht::kLevels>, 2> pools_;
  std::uint32_t serial_ = 1;
};

}  // namespace reef::dnsd
