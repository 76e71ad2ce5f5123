// How near a client is to this node, and who else is near it: verdicts about client networks, as the control
// loop finds them out, and the bounded table that each server keeps of them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/siphash.h"
#include "base/time.h"
#include "dsht/contact.h"

namespace reef::dnsd {

// A network of clients: host bits are zero.
using Prefix = IpPrefix;

// How the level of a verdict was found, the most trusted last but none.
enum class Source : std::uint8_t {
  none,    // not at all: level 0
  rtt,     // measured: round trips to the client or its network
  prefix,  // a node near us has an address in the same network
  route,   // the way there passes routers that are near us
};
inline constexpr std::size_t kSources = 4;
[[nodiscard]] std::string_view to_string(Source source);

// What is known about one network. Immutable once it is in a table.
struct Verdict {
  dsht::Level level = 0;  // of this node's clusters, the highest that the network would belong to
  Source source = Source::none;
  std::optional<Duration> rtt;  // from this node to it
  // Near the client, found by hints, heard from by us at `verified`; nearest first, may be empty. IPv4 and
  // IPv6 mixed. `servers` answer DNS on port 53.
  std::vector<IpAddress> proxies, servers;
  TimePoint made{};      // when the level was found
  TimePoint verified{};  // when all of the addresses had been heard from
};

struct LocalityOptions {
  int v4_prefix_bits = 24;  // how clients are told apart; a client subnet (RFC 7871) may only be wider
  int v6_prefix_bits = 48;
  std::size_t verdicts_max = 65'536;                // remembered at once, by each loop; some 80 bytes each
  Duration verdict_ttl = std::chrono::minutes(10);  // an older one is used, and asked for again
  Duration nearby_ttl = std::chrono::seconds(60);   // its addresses are not used when verified longer ago
  Duration ask_again = std::chrono::seconds(5);     // a network without an answer is asked for again
};

// The network that a client at `address` belongs to. `bits_max`: of a client subnet; -1: the whole address.
[[nodiscard]] Prefix network_of(const IpAddress& address, const LocalityOptions& options, int bits_max = -1);

// Verdicts by network: a table of fixed size in which those longest unused give way, and those that are only
// asked for before those that are known. Looking up allocates nothing. Belongs to one loop.
class VerdictCache {
 public:
  // `secret` keys the table, so that nobody can aim at another network's place in it.
  VerdictCache(const LocalityOptions& options, const SipKey& secret);

  struct Found {
    const Verdict* verdict = nullptr;  // nullptr: none; valid until the next call
    bool wanted = false;               // none, or old, and not reported lately: the caller has it found out
  };
  // `now` never goes back.
  Found find(TimePoint now, const Prefix& network);

  // What is known without a look-up's traces: nothing is marked as asked for or as used.
  [[nodiscard]] const Verdict* peek(const Prefix& network) const;

  void set(TimePoint now, const Prefix& network, std::shared_ptr<const Verdict> verdict);

  // Whether the addresses of a verdict may be given out.
  [[nodiscard]] bool is_nearby_fresh(TimePoint now, const Verdict& verdict) const {
    return now - verdict.verified <= options_.nearby_ttl;
  }
  [[nodiscard]] const LocalityOptions& options() const { return options_; }

 private:
  static constexpr std::size_t kWays = 8;
  struct Entry {
    Prefix network;
    std::shared_ptr<const Verdict> verdict{};  // null: asked for
    TimePoint used_at{};
    TimePoint asked_at{};
    bool taken = false;
  };
  [[nodiscard]] std::size_t set_of(const Prefix& network) const;
  Entry& place_for(std::size_t set, const Prefix& network);
  [[nodiscard]] bool is_old(TimePoint now, const Verdict& verdict) const;

  LocalityOptions options_;
  SipKey secret_;
  std::vector<Entry> entries_;  // sets of kWays
};

}  // namespace reef::dnsd
