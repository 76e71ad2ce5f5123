// The DNS parser and responder on any bytes. The first byte chooses transport, client, zones and how near the
// client is; the rest is the query. What must hold of every response: an independent reader reads it, it is a
// response to this id, it keeps its bounds; and it is never an answer to a response.
#include <cstdlib>
#include <memory>
#include <span>

#include "dnsd/responder.h"
#include "tests/dnsd/messages.h"

using namespace reef;
using namespace reef::dnsd;

namespace {

void must(bool holds) {
  if (!holds) std::abort();
}

ResponderOptions options() {
  ResponderOptions out;
  out.authority.addresses_max = 16;
  out.authority.servers_max = 10;
  out.authority.also_public = {*IpPrefix::parse("192.0.2.0/24"), *IpPrefix::parse("2001:db8::/32")};
  out.locality.verdicts_max = 64;
  return out;
}

View make_view() {
  std::vector<Candidate> nodes;
  for (std::uint8_t i = 1; i <= 30; ++i) {
    const auto level = static_cast<dsht::Level>(i % 3);
    nodes.push_back(
        {IpAddress::v4(192, 0, 2, i), dsht::kServiceProxy | dsht::kServiceDns, level, std::nullopt, 1});
    nodes.push_back({IpAddress::v6({0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, i}),
                     dsht::kServiceProxy | dsht::kServiceDns, level, std::nullopt, 0.5});
  }
  return View(nodes, {IpAddress::v4(192, 0, 2, 99)}, 1);
}

// One server for each way that the zones can lie.
struct Server {
  explicit Server(int kind)
      : responder(make_zone(kind), options(), Random(1)), verdicts(options().locality, {}) {
    std::vector<Record> given;
    for (const char* line :
         {"_acme-challenge.reef.example 60 TXT \"a challenge\"", "reef.example MX 10 mail.x.org",
          "deep.name.reef.example CNAME x.reef.example"}) {
      given.push_back(Record::parse(line, 300).value());
    }
    records = Records::make(responder.zone(), given).value();
    for (std::uint8_t level = 0; level < 3; ++level) {
      Verdict verdict;
      verdict.level = level;
      verdict.source = Source::rtt;
      if (level == 1)
        verdict.proxies = verdict.servers = {IpAddress::v4(192, 0, 2, 7), *IpAddress::parse("2001:db8::7")};
      verdicts.set(TimePoint{}, network_of(IpAddress::v4(127, 0, level, 0), verdicts.options()),
                   std::make_shared<const Verdict>(verdict));
    }
  }
  static Zone make_zone(int kind) {
    ZoneOptions zone;
    zone.zone = *Name::parse(kind == 2 ? "example" : "reef.example");
    zone.suffix = *Name::parse("reef.example");
    if (kind == 1) zone.nodes_zone = *Name::parse("nodes.example");
    zone.levels = kind != 3;
    zone.name_servers = 13;
    zone.https_port = 8443;
    return Zone::make(zone).value();
  }

  Responder responder;
  VerdictCache verdicts;
  std::shared_ptr<const Records> records;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Server servers[] = {Server(0), Server(1), Server(2), Server(3)};
  static const View view = make_view();
  if (size == 0) return 0;
  const std::span<const std::uint8_t> query(data + 1, size - 1);
  const bool tcp = (data[0] & 1) != 0;
  Server& server = servers[data[0] >> 1 & 3];
  const auto network = static_cast<std::uint8_t>(data[0] >> 3 & 3);  // the fourth has no verdict
  const Client client{{IpAddress::v4(127, 0, network, data[0]), 53}, tcp ? Transport::tcp : Transport::udp};
  std::vector<std::byte> out(Responder::kResponseBytesMax);
  const Outcome outcome =
      server.responder.respond(std::as_bytes(query), client, {view, *server.records, server.verdicts},
                               TimePoint{}, 1'700'000'000, out);
  must((outcome.bytes == 0) == (outcome.silence != Silence::none));
  if (outcome.bytes == 0) return 0;
  must(query.size() >= 12 && (query[2] & 0x80) == 0);
  const auto* begin = reinterpret_cast<const std::uint8_t*>(out.data());
  const test::Raw raw(begin, begin + outcome.bytes);
  const auto response = test::read_response(raw);
  must(response.has_value());
  must(raw[0] == query[0] && raw[1] == query[1] && (raw[2] & 0x80) != 0);
  must(response->rcode() == static_cast<unsigned>(outcome.rcode));
  must(outcome.bytes <= (tcp ? Responder::kResponseBytesMax : 1232));
  must(outcome.wanted_count <= outcome.wanted.size());
  // A cookie may be new, so that the bound holds from the size of a query with one.
  if (!tcp && response->opt && response->opt->rdata.empty()) must(outcome.bytes <= 4 * query.size());
  const bool records_allowed =
      outcome.rcode == Rcode::noerror || outcome.rcode == Rcode::nxdomain || outcome.rcode == Rcode::yxdomain;
  if (!records_allowed) {
    must(response->answer.empty() && response->authority.empty() && response->additional.empty());
    must(outcome.bytes <= query.size() + 11 + 28);
  }
  // A referral says where its servers are, each of them.
  if (outcome.rcode == Rcode::noerror && !response->aa() && !response->tc()) {
    must(response->additional.size() >= response->authority.size());
  }
  return 0;
}
