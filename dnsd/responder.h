// The name server's mind: query bytes in, response bytes or silence out. No I/O.
//
// Authoritative for one zone. Sources: RFC 1034, 1035, 2181 (basics), 2308 (negative answers), 3597 (unknown
// types), 4343 (case), 6891 (EDNS0), 7873 and 9018 (cookies), 8020 (NXDOMAIN), 8482 (minimal ANY).
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/random.h"
#include "base/time.h"
#include "dnsd/cookie.h"
#include "dnsd/message.h"
#include "dnsd/rate_limit.h"
#include "dnsd/view.h"
#include "dnsd/zone.h"

namespace reef::dnsd {

struct ResponderOptions {
  std::size_t addresses_max = 4;  // A or AAAA records in an answer, 1 to 16
  std::uint16_t udp_payload_max =
      1232;  // what fits everywhere without fragments (DNS flag day 2020); at least 512
  std::size_t amplification_max =
      4;  // a response by UDP without a valid cookie is at most so many times the query
  bool cookies = true;
  CookieSecret cookie_secret{};  // from random_bytes(), the same for all loops of a node
  RateLimitOptions rate_limit;
};

enum class Transport : std::uint8_t { udp, tcp };

struct Client {
  Endpoint endpoint;
  Transport transport = Transport::udp;
};

// Why a datagram got no answer.
enum class Silence : std::uint8_t {
  none,          // it got one
  too_short,     // below 12 bytes
  is_response,   // QR is set: two servers would talk forever
  bad_source,    // port 0, or no address to answer to
  rate_limited,  // and not slipped
};
inline constexpr std::size_t kSilences = 5;
[[nodiscard]] const char* to_string(Silence silence);

struct Outcome {
  std::size_t bytes = 0;  // of the response; 0: stay silent
  Silence silence = Silence::none;
  Rcode rcode = Rcode::noerror;
  std::uint16_t qtype = 0;  // 0: there was no readable question
  bool truncated = false;
  bool limited = false;  // truncated by the rate limit, not by size
};

class Responder {
 public:
  // `random` shuffles addresses; nothing secret depends on it.
  Responder(Zone zone, ResponderOptions options, Random random);

  // A response never needs more room than this.
  static constexpr std::size_t kResponseBytesMax = 4096;

  // `now` for the rate limit, `wall_seconds` (seconds since 1970, modulo 2^32) for cookies. `out` has room
  // for kResponseBytesMax; `query` is only read during the call.
  Outcome respond(ByteView query, const Client& client, const View& view, TimePoint now,
                  std::uint32_t wall_seconds, std::span<std::byte> out);

  [[nodiscard]] const Zone& zone() const { return zone_; }

 private:
  struct Reply;  // one response in the making
  void answer(Reply& reply, const View& view);
  void answer_in_zone(Reply& reply, const View& view);
  void add_addresses(Reply& reply, const std::vector<IpAddress>& from);
  void add_name_servers(Reply& reply, const View& view);
  void add_name_server_address(Reply& reply, std::size_t index, const View::Service& live);
  void add_soa(Reply& reply, const View& view);
  void add_denial(Reply& reply, const View& view);
  std::size_t size_limit(const Query& query, const Client& client, std::size_t query_bytes,
                         bool verified) const;

  Zone zone_;
  ResponderOptions options_;
  Random random_;
  RateLimiter rate_limiter_;
};

}  // namespace reef::dnsd
