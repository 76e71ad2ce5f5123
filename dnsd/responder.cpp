#include "dnsd/responder.h"

#include <algorithm>

#include "base/check.h"

namespace reef::dnsd {
namespace {

constexpr std::size_t kPlainUdpBytes = 512;  // RFC 1035 §4.2.1: without EDNS0

// Types in the range of questions and meta data (RFC 6895 §3.1) that we do not serve.
bool is_unserved_meta_type(std::uint16_t qtype) {
  return (qtype >= 128 && qtype <= 255) && qtype != type::kAny && qtype != type::kAxfr &&
         qtype != type::kIxfr;
}

// Where the answer may hang on where the client is, whatever the zone looks like.
bool wants_proxies(const Query& query) {
  return query.qtype == type::kA || query.qtype == type::kAaaa || query.qtype == type::kHttps;
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
  Authority::Told told{};
  std::optional<int> scope_bits{};  // set: the response has a client subnet option
  Outcome outcome{};
};

Responder::Responder(Zone zone, ResponderOptions options, Random random)
    : authority_(std::move(zone), options.authority, random),
      options_(std::move(options)),
      rate_limiter_(options_.rate_limit, options_.cookie_secret) {
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

Outcome Responder::respond(ByteView datagram, const Client& client, const Knowledge& knowledge, TimePoint now,
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
  const bool heard_subnet = options_.client_subnets && query->verdict == Rcode::noerror && query->edns &&
                            query->edns->subnet.has_value();
  const std::size_t opt_bytes = ResponseWriter::opt_bytes(*query, reply_cookie.size(), heard_subnet);
  // Never below what an empty response needs: header, the question (which the query held) and the OPT.
  const std::size_t bare = kHeaderBytes + query->question.size() + opt_bytes;
  const std::size_t limit = std::max(bare, size_limit(*query, client, datagram.size(), verified));
  Reply reply{*query, ResponseWriter(out, limit, opt_bytes, *query)};
  if (heard_subnet) reply.scope_bits = 0;
  if (!slipped) answer(reply, client, knowledge, now);
  if (slipped || !reply.told.fits) {
    reply.writer.clear_records();
    reply.told.flags.truncated = true;
  }
  Outcome& outcome = reply.outcome;
  outcome.rcode = reply.told.flags.rcode;
  outcome.qtype = query->qtype;
  outcome.truncated = reply.told.flags.truncated;
  outcome.limited = slipped;
  outcome.bytes =
      reply.writer.finish(reply.told.flags, {options_.udp_payload_max, reply_cookie, reply.scope_bits});
  return outcome;
}

// What holds for a query before its name matters.
void Responder::answer(Reply& reply, const Client& client, const Knowledge& knowledge, TimePoint now) {
  const Query& query = reply.query;
  Rcode& rcode = reply.told.flags.rcode;
  if (query.verdict != Rcode::noerror) {
    rcode = query.verdict;
  } else if (query.question.empty()) {
    return;  // a cookie was all that was asked for
  } else if (query.edns && query.edns->version != 0) {
    rcode = Rcode::badvers;
  } else if (is_unserved_meta_type(query.qtype)) {
    rcode = Rcode::notimp;
  } else if (query.qclass != kClassIn || query.qtype == type::kAxfr || query.qtype == type::kIxfr) {
    rcode = Rcode::refused;
  } else {
    Authority::Given given{knowledge.view, knowledge.records, {}, {}};
    int scope_bits = 0;
    if (zone().options().levels || wants_proxies(query)) {
      const IpAddress& address = client.endpoint.address;
      const LocalityOptions& locality = knowledge.verdicts.options();
      given.resolver = look(reply, network_of(address, locality), address, knowledge.verdicts, now);
      given.client = given.resolver;
      if (reply.scope_bits && can_be_used(*query.edns->subnet)) {
        const ClientSubnet& subnet = *query.edns->subnet;
        const Prefix network = network_of(subnet.address, locality, subnet.source_bits);
        given.client = look(reply, network, subnet.address, knowledge.verdicts, now);
        scope_bits = network.bits;
        reply.outcome.subnet = true;
      }
    }
    reply.told = authority_.answer(query, given, reply.writer);
    if (!reply.told.by_client && !reply.told.by_resolver) reply.outcome.worth_waiting = false;
    if (reply.told.by_client && reply.scope_bits) reply.scope_bits = scope_bits;
  }
}

// The last look is the one that the outcome tells of.
Sight Responder::look(Reply& reply, const Prefix& network, const IpAddress& target, VerdictCache& verdicts,
                      TimePoint now) {
  const auto [verdict, wanted] = verdicts.find(now, network);
  Outcome& outcome = reply.outcome;
  if (wanted) outcome.wanted[outcome.wanted_count++] = {network, target};
  outcome.level = verdict != nullptr ? verdict->level : dsht::Level{0};
  outcome.source = verdict != nullptr ? verdict->source : Source::none;
  if (verdict == nullptr) {
    outcome.worth_waiting = outcome.worth_waiting || wanted;
    return {};
  }
  const bool nearby =
      (!verdict->proxies.empty() || !verdict->servers.empty()) && verdicts.is_nearby_fresh(now, *verdict);
  return {std::min<dsht::Level>(verdict->level, dsht::kLevels - 1), nearby ? verdict : nullptr};
}

// A private network says nothing about where its clients are (RFC 7871 §11.1 leaves them out for that).
bool Responder::can_be_used(const ClientSubnet& subnet) const {
  return subnet.source_bits > 0 && is_public(subnet.address, options_.authority.also_public);
}

}  // namespace reef::dnsd
