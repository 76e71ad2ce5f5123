#include "node/explain.h"

#include <algorithm>
#include <array>

#include "base/random.h"
#include "node/dns_text.h"

namespace reef::node {
namespace {

constexpr std::uint16_t kClassIn = 1, kOptionClientSubnet = 8;
constexpr std::uint16_t kRecursionDesired = 0x0100;
constexpr std::uint16_t kPayload = 4096;

Bytes query_for(const Question& question) {
  Bytes query(512);
  ByteWriter out(query);
  out.u16(1);
  out.u16(kRecursionDesired);  // as a forwarder asks: aliases and addresses in one answer
  for (const std::uint16_t count : {1, 0, 0, 1}) out.u16(count);
  out.bytes(question.name.wire());
  out.u16(question.type);
  out.u16(kClassIn);
  // OPT (RFC 6891 §6.1.2), with the client's network (RFC 7871 §6).
  out.u8(0);
  out.u16(41);
  out.u16(kPayload);
  out.u32(0);
  if (!question.subnet) {
    out.u16(0);
  } else {
    const IpPrefix& subnet = *question.subnet;
    const bool v4 = subnet.address.is_v4();
    const auto bytes = static_cast<std::size_t>((subnet.bits + 7) / 8);
    out.u16(static_cast<std::uint16_t>(8 + bytes));
    out.u16(kOptionClientSubnet);
    out.u16(static_cast<std::uint16_t>(4 + bytes));
    out.u16(v4 ? 1 : 2);
    out.u8(static_cast<std::uint8_t>(subnet.bits));
    out.u8(0);
    out.bytes(std::as_bytes(std::span(subnet.address.bytes())).subspan(v4 ? 12 : 0, bytes));
  }
  query.resize(out.size());
  return query;
}

Json near_json(const NearNode& node, const Guide& guide) {
  const dsht::Contact& contact = node.contact;
  const dsht::Services reached = guide.reached(contact);
  return {{"id", to_string(contact.id)},
          {"address", to_string(contact.rpc.address)},
          {"rank", node.rank},
          {"away_ms", ms_or_null(node.away)},
          {"live", guide.is_self(contact) || guide.is_live(contact)},
          {"proxy", guide.is_self(contact) || (reached & dsht::kServiceProxy) != 0},
          {"dns", guide.is_self(contact) || (reached & dsht::kServiceDns) != 0}};
}

Json verdict_json(const StoredVerdict& stored, const Guide& guide) {
  const auto age =
      std::chrono::duration_cast<std::chrono::seconds>(system_wall_time() - stored.measured).count();
  Json near = Json::array(), route = Json::array();
  for (const NearNode& node : stored.finding.near) near.push_back(near_json(node, guide));
  if (stored.finding.route) {
    for (const dsht::RouteName& name : *stored.finding.route)
      route.push_back({{"name", name.name}, {"rank", name.rank}});
  }
  return {{"level", stored.finding.level},
          {"source", to_string(stored.finding.source)},
          {"rtt_ms", ms_or_null(stored.finding.rtt)},
          {"measured", to_string(stored.target)},
          {"age_s", age},
          {"near", std::move(near)},
          {"route", std::move(route)}};
}

// Why an address is in the answer, in the order in which the responder chooses.
Json why(const std::string& text, dsht::Level level, const dnsd::Verdict* verdict, const dnsd::View& view) {
  Json out = {{"address", text}};
  const auto address = IpAddress::parse(text);
  if (!address) return out;
  const auto& candidates = view.candidates();
  const auto candidate = std::find_if(candidates.begin(), candidates.end(),
                                      [&](const auto& c) { return c.address == *address; });
  const auto is_in = [&](const std::vector<IpAddress>& list) {
    return std::find(list.begin(), list.end(), *address) != list.end();
  };
  const bool is_own = is_in(view.own());
  if (verdict != nullptr && (is_in(verdict->proxies) || is_in(verdict->servers))) {
    out["why"] = is_own ? "this node, which is near the client" : "near the client";
  } else if (candidate == candidates.end()) {
    out["why"] = is_own ? "this node, as nobody else is known" : "by its name";
  } else if (level > 0 && candidate->level >= level) {
    out["why"] = is_own ? "this node" : "of our cluster of the client's level";
  } else {
    out["why"] = is_own ? "this node" : "by lot";
  }
  if (candidate != candidates.end()) {
    out["level"] = candidate->level;
    out["rtt_ms"] = ms_or_null(candidate->rtt);
    out["weight"] = candidate->weight;
  }
  return out;
}

}  // namespace

Json explain(const Question& question, const dnsd::Options& options, Guide& guide, const dnsd::View& view,
             const dnsd::Records& records, TimePoint now) {
  dnsd::LocalityOptions locality = options.responder.locality;
  locality.verdicts_max = 64;
  dnsd::VerdictCache verdicts(locality, {});
  const dnsd::Prefix resolver = dnsd::network_of(question.client, locality);
  const dnsd::Prefix network =
      question.subnet ? dnsd::network_of(question.subnet->address, locality, question.subnet->bits)
                      : resolver;
  Json out = {{"client", to_string(question.client)},
              {"network", to_string(network)},
              {"verdict", nullptr},
              {"name", question.name.text()}};
  std::shared_ptr<const dnsd::Verdict> verdict;
  for (const dnsd::Prefix& prefix : {resolver, network}) {
    const StoredVerdict* stored = guide.known(prefix);
    if (stored == nullptr) continue;
    verdicts.set(now, prefix, guide.verdict_of(*stored));
    if (prefix != network) continue;
    verdict = guide.verdict_of(*stored);
    out["verdict"] = verdict_json(*stored, guide);
  }

  auto zone = dnsd::Zone::make(options.zone);
  if (!zone) return out;  // not after the name servers started with the same
  dnsd::ResponderOptions how = options.responder;
  how.rate_limit.enabled = false;
  dnsd::Responder responder(std::move(*zone), how, Random::from_os());
  const Bytes query = query_for(question);
  std::array<std::byte, dnsd::Responder::kResponseBytesMax> buffer;
  // By TCP, which has room for all of it.
  const dnsd::Client client{{question.client, 53}, dnsd::Transport::tcp};
  const dnsd::Outcome outcome = responder.respond(query, client, {view, records, verdicts}, now, 0, buffer);
  const auto response = read_dns_response(ByteView(buffer).first(outcome.bytes));
  if (!response) return out;
  out["rcode"] = response->rcode;
  Json list = Json::array(), addresses = Json::array();
  for (const DnsRecordText& record : response->records) {
    list.push_back({{"section", record.section},
                    {"name", record.name},
                    {"ttl", record.ttl},
                    {"type", record.type},
                    {"data", record.data}});
    const bool is_address = record.type == "A" || record.type == "AAAA";
    if (is_address && record.section == "answer")
      addresses.push_back(why(record.data, outcome.level.value_or(0), verdict.get(), view));
  }
  out["records"] = std::move(list);
  out["addresses"] = std::move(addresses);
  return out;
}

}  // namespace reef::node
