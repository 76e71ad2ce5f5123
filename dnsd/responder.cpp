#include "dnsd/responder.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace reef::dnsd {
namespace {

constexpr std::size_t kPlainUdpBytes = 512;  // RFC 1035 §4.2.1: without EDNS0
constexpr std::size_t kAddressesMax = 16;

using Section = ResponseWriter::Section;

std::uint32_t seconds(std::chrono::seconds ttl) { return static_cast<std::uint32_t>(ttl.count()); }

// `count` different elements, in random order (Floyd's sampling, then a shuffle): the work does not grow with
// the list.
std::size_t sample(std::size_t size, std::size_t count, Random& random,
                   std::array<std::size_t, kAddressesMax>& chosen) {
  count = std::min({count, size, chosen.size()});
  std::size_t taken = 0;
  for (std::size_t last = size - count; last < size; ++last) {
    const std::size_t pick = random.below(last + 1);
    const auto end = chosen.begin() + static_cast<std::ptrdiff_t>(taken);
    chosen[taken++] = std::find(chosen.begin(), end, pick) == end ? pick : last;
  }
  for (std::size_t i = taken; i > 1; --i) std::swap(chosen[i - 1], chosen[random.below(i)]);
  return taken;
}

// Types in the range of questions and meta data (RFC 6895 §3.1) that we do not serve.
bool is_unserved_meta_type(std::uint16_t qtype) {
  return (qtype >= 128 && qtype <= 255) && qtype != type::kAny && qtype != type::kAxfr &&
         qtype != type::kIxfr;
}

}  // namespace

const char* to_string(Silence silence) {
  switch (silence) {
    case Silence::none:
      return "none";
    case Silence::too_short:
      return "too_short";
    case Silence::is_response:
      return "is_response";
    case Silence::bad_source:
      return "bad_source";
    case Silence::rate_limited:
      return "rate_limited";
  }
  return "?";
}

struct Responder::Reply {
  const Query& query;
  ResponseWriter writer;
  ResponseWriter::Flags flags;
  bool fits = true;  // false: a record that belongs to the answer was left out, so TC

  void need(bool added) { fits = fits && added; }
};

Responder::Responder(Zone zone, ResponderOptions options, Random random)
    : zone_(std::move(zone)),
      options_(options),
      random_(random),
      rate_limiter_(options.rate_limit, options.cookie_secret) {
  BASE_CHECK(options_.addresses_max >= 1 && options_.addresses_max <= kAddressesMax);
  BASE_CHECK(options_.udp_payload_max >= kPlainUdpBytes && options_.udp_payload_max <= kResponseBytesMax);
  BASE_CHECK(options_.amplification_max >= 2);
}

std::size_t Responder::size_limit(const Query& query, const Client& client, std::size_t query_bytes,
                                  bool verified) const {
  if (client.transport == Transport::tcp) return kResponseBytesMax;
  std::size_t limit = kPlainUdpBytes;
  if (query.edns) {
    limit = std::clamp<std::size_t>(query.edns->payload_bytes_max, kPlainUdpBytes, options_.udp_payload_max);
  }
  if (!verified) limit = std::min(limit, query_bytes * options_.amplification_max);
  return limit;
}

Outcome Responder::respond(ByteView datagram, const Client& client, const View& view, TimePoint now,
                           std::uint32_t wall_seconds, std::span<std::byte> out) {
  BASE_CHECK(out.size() >= kResponseBytesMax);
  if (client.endpoint.port == 0 || client.endpoint.address.is_unspecified())
    return {.silence = Silence::bad_source};
  const auto query = read_query(datagram);
  if (!query) {
    return {.silence = datagram.size() < kHeaderBytes ? Silence::too_short : Silence::is_response};
  }
  const ByteView sent_cookie = query->edns && options_.cookies ? query->edns->cookie : ByteView{};
  const IpAddress& address = client.endpoint.address;
  const bool verified = client.transport == Transport::tcp ||
                        is_valid_cookie(options_.cookie_secret, sent_cookie, address, wall_seconds);
  bool slipped = false;
  if (!verified) {
    switch (rate_limiter_.on_response(now, address)) {
      case RateLimiter::Verdict::send:
        break;
      case RateLimiter::Verdict::truncate:
        slipped = true;
        break;
      case RateLimiter::Verdict::drop:
        return {.silence = Silence::rate_limited, .qtype = query->qtype};
    }
  }
  Cookie cookie{};
  ByteView reply_cookie;
  if (!sent_cookie.empty()) {
    cookie = make_cookie(options_.cookie_secret, sent_cookie.first(8), address, wall_seconds);
    reply_cookie = cookie;
  }
  const std::size_t opt_bytes = ResponseWriter::opt_bytes(*query, reply_cookie.size());
  // Never below what an empty response needs: header, the question (which the query held) and the OPT.
  const std::size_t bare = kHeaderBytes + query->question.size() + opt_bytes;
  const std::size_t limit = std::max(bare, size_limit(*query, client, datagram.size(), verified));
  Reply reply{*query, ResponseWriter(out, limit, opt_bytes, *query), {}, true};
  if (!slipped) answer(reply, view);
  if (slipped || !reply.fits) {
    reply.writer.clear_records();
    reply.flags.truncated = true;
  }
  Outcome outcome;
  outcome.rcode = reply.flags.rcode;
  outcome.qtype = query->qtype;
  outcome.truncated = reply.flags.truncated;
  outcome.limited = slipped;
  outcome.bytes = reply.writer.finish(reply.flags, options_.udp_payload_max, reply_cookie);
  return outcome;
}

// What holds for a query before its name matters.
void Responder::answer(Reply& reply, const View& view) {
  const Query& query = reply.query;
  Rcode& rcode = reply.flags.rcode;
  if (query.verdict != Rcode::noerror) {
    rcode = query.verdict;
  } else if (query.question.empty()) {
    return;  // a cookie was all that was asked for
  } else if (query.edns && query.edns->version != 0) {
    rcode = Rcode::badvers;
  } else if (is_unserved_meta_type(query.qtype)) {
    rcode = Rcode::notimp;
  } else if (query.qclass != kClassIn || query.qtype == type::kAxfr || query.qtype == type::kIxfr ||
             !query.qname.is_under(zone_.apex())) {
    rcode = Rcode::refused;
  } else {
    reply.flags.authoritative = true;
    reply.writer.set_zone(zone_.apex());
    answer_in_zone(reply, view);
  }
}

void Responder::answer_in_zone(Reply& reply, const View& view) {
  const Zone::Located located = zone_.locate(reply.query.qname);
  const std::uint16_t qtype = reply.query.qtype;
  if (located.place == Place::missing) {
    reply.flags.rcode = Rcode::nxdomain;
    return add_denial(reply, view);
  }
  if (qtype == type::kAny) {  // RFC 8482 §4.2: one made-up HINFO
    return reply.need(reply.writer.add_hinfo(seconds(zone_.options().authority_ttl), "RFC8482"));
  }
  const bool apex = located.place == Place::apex;
  if (qtype == type::kA || qtype == type::kAaaa) {
    const bool v4 = qtype == type::kA;
    if (located.place == Place::name_server) {
      const auto& live = view.name_servers().of(v4);
      if (live.empty()) return add_denial(reply, view);
      const IpAddress& address = live[located.name_server % live.size()];
      return reply.need(
          reply.writer.add_address(Section::answer, seconds(zone_.options().address_ttl), address));
    }
    if (apex || located.place == Place::coralized) {
      const auto& live = view.proxies().of(v4);
      return live.empty() ? add_denial(reply, view) : add_addresses(reply, live);
    }
  }
  if (apex && qtype == type::kNs) return add_name_servers(reply, view);
  if (apex && qtype == type::kSoa) return add_soa(reply, view);
  add_denial(reply, view);
}

// As many as fit, since any of them will do; none at all is TC.
void Responder::add_addresses(Reply& reply, const std::vector<IpAddress>& from) {
  std::array<std::size_t, kAddressesMax> chosen;
  const std::size_t count = sample(from.size(), options_.addresses_max, random_, chosen);
  std::size_t added = 0;
  for (std::size_t i = 0; i < count; ++i) {
    added += reply.writer.add_address(Section::answer, seconds(zone_.options().address_ttl), from[chosen[i]]);
  }
  reply.need(added > 0);
}

// The whole set, then as much glue as fits: glue may be left out without TC where the names can be asked
// themselves (RFC 9471 is about referrals, and this is an answer).
void Responder::add_name_servers(Reply& reply, const View& view) {
  for (const Name& name : zone_.name_servers()) {
    reply.need(reply.writer.add_ns(Section::answer, seconds(zone_.options().authority_ttl), name));
  }
  for (std::size_t i = 0; i < zone_.name_servers().size(); ++i) {
    add_name_server_address(reply, i, view.name_servers());
  }
}

void Responder::add_name_server_address(Reply& reply, std::size_t index, const View::Service& live) {
  const std::uint32_t ttl = seconds(zone_.options().address_ttl);
  for (const auto* list : {&live.v4, &live.v6}) {
    if (list->empty()) continue;
    // Optional: what does not fit is left out.
    (void)reply.writer.add_address(Section::additional, zone_.name_servers()[index], ttl,
                                   (*list)[index % list->size()]);
  }
}

void Responder::add_soa(Reply& reply, const View& view) {
  const ZoneOptions& zone = zone_.options();
  reply.need(reply.writer.add_soa(Section::answer, seconds(zone.authority_ttl),
                                  {zone_.mname(), zone_.rname(), view.serial(), seconds(zone.refresh),
                                   seconds(zone.retry), seconds(zone.expire), seconds(zone.negative_ttl)}));
}

// NODATA or NXDOMAIN: the SOA in the authority section, its TTL the one of the denial (RFC 2308 §3).
void Responder::add_denial(Reply& reply, const View& view) {
  const ZoneOptions& zone = zone_.options();
  const auto ttl = std::min(zone.negative_ttl, zone.authority_ttl);
  reply.need(reply.writer.add_soa(Section::authority, seconds(ttl),
                                  {zone_.mname(), zone_.rname(), view.serial(), seconds(zone.refresh),
                                   seconds(zone.retry), seconds(zone.expire), seconds(zone.negative_ttl)}));
}

}  // namespace reef::dnsd
