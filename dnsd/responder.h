// The name server's mind: query bytes in, response bytes or silence out. No I/O.
//
// What holds for every query: form, size, cookies, rates, who is told what. The records come from Authority.
// Sources: RFC 1035, 6891 (EDNS0), 7871 (client subnets), 7873 and 9018 (cookies).
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/random.h"
#include "base/time.h"
#include "dnsd/authority.h"
#include "dnsd/cookie.h"
#include "dnsd/locality.h"
#include "dnsd/message.h"
#include "dnsd/rate_limit.h"
#include "dnsd/records.h"
#include "dnsd/view.h"
#include "dnsd/zone.h"

namespace reef::dnsd {

struct ResponderOptions {
  AuthorityOptions authority;
  LocalityOptions locality;
  std::uint16_t udp_payload_max =
      1232;  // what fits everywhere without fragments (DNS flag day 2020); at least 512
  std::size_t amplification_max =
      4;  // a response by UDP without a valid cookie is at most so many times the query
  bool cookies = true;
  bool client_subnets = true;    // RFC 7871: heard and answered
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

// A network whose verdict is missing or old, and an address in it that may be probed.
struct Wanted {
  Prefix network;
  IpAddress target;
};

struct Outcome {
  std::size_t bytes = 0;  // of the response; 0: stay silent
  Silence silence = Silence::none;
  Rcode rcode = Rcode::noerror;
  std::uint16_t qtype = 0;  // 0: there was no readable question
  bool truncated = false;
  bool limited = false;  // truncated by the rate limit, not by size
  // Where locality mattered: of the client that the answer was for.
  std::optional<dsht::Level> level{};
  Source source = Source::none;
  bool subnet = false;  // it was a client subnet, not the resolver
  // To be found out, for the next answer: the resolver's network, its client's, both or none.
  std::array<Wanted, 2> wanted{};
  std::size_t wanted_count = 0;
  bool worth_waiting = false;  // nothing is known of one of them, and the answer depends on it
};

// All that an answer depends on beside the query, its sender and the time.
struct Knowledge {
  const View& view;
  const Records& records;
  VerdictCache& verdicts;
};

class Responder {
 public:
  // `random` shuffles addresses; nothing secret depends on it.
  Responder(Zone zone, ResponderOptions options, Random random);

  // A response never needs more room than this.
  static constexpr std::size_t kResponseBytesMax = 4096;

  // `now` for the rate limit and the age of verdicts, `wall_seconds` (seconds since 1970, modulo 2^32) for
  // cookies. `out` has room for kResponseBytesMax; `query` is only read during the call.
  Outcome respond(ByteView query, const Client& client, const Knowledge& knowledge, TimePoint now,
                  std::uint32_t wall_seconds, std::span<std::byte> out);

  [[nodiscard]] const Zone& zone() const { return authority_.zone(); }

 private:
  struct Reply;  // one response in the making
  void answer(Reply& reply, const Client& client, const Knowledge& knowledge, TimePoint now);
  Sight look(Reply& reply, const Prefix& network, const IpAddress& target, VerdictCache& verdicts,
             TimePoint now);
  [[nodiscard]] bool can_be_used(const ClientSubnet& subnet) const;
  [[nodiscard]] std::size_t size_limit(const Query& query, const Client& client, std::size_t query_bytes,
                                       bool verified) const;

  Authority authority_;
  ResponderOptions options_;
  RateLimiter rate_limiter_;
};

}  // namespace reef::dnsd
