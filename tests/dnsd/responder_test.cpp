#include "dnsd/responder.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "tests/dnsd/messages.h"

using namespace reef;
using namespace reef::dnsd;
using namespace std::chrono_literals;
using test::make_query;
using test::QuerySpec;
using test::Raw;

namespace {

constexpr TimePoint t0{1000s};
constexpr std::uint32_t kWall = 1'700'000'000;
const Client kUdp{*Endpoint::parse("198.51.100.9:5353"), Transport::udp};
const Client kTcp{*Endpoint::parse("198.51.100.9:5353"), Transport::tcp};

Zone zone_with(std::string_view suffix, int name_servers = 4) {
  ZoneOptions options;
  options.zone = *Name::parse("reef.example");
  options.suffix = *Name::parse(suffix);
  options.name_servers = name_servers;
  options.levels = false;
  return Zone::make(options).value();
}

Candidate node(const char* address, dsht::Services services = dsht::kServiceProxy | dsht::kServiceDns) {
  return {*IpAddress::parse(address), services, 0, std::nullopt, 1};
}

const View kThree({node("192.0.2.1"), node("192.0.2.2", dsht::kServiceProxy), node("2001:db8::3")},
                  {IpAddress::v4(192, 0, 2, 99)}, 77);

struct Server {
  explicit Server(Zone zone = zone_with("reef.example"), ResponderOptions options = {}, View v = kThree)
      : responder(std::move(zone), options, Random(1)),
        view(std::move(v)),
        verdicts({.verdicts_max = 8}, {}) {}

  Raw raw(const Raw& query, const Client& client = kUdp) {
    std::vector<std::byte> out(Responder::kResponseBytesMax);
    last =
        responder.respond(std::as_bytes(std::span(query)), client, {view, records, verdicts}, t0, kWall, out);
    const auto* begin = reinterpret_cast<const std::uint8_t*>(out.data());
    return Raw(begin, begin + last.bytes);
  }
  test::Response ask(const QuerySpec& spec, const Client& client = kUdp) {
    return test::read_response(raw(make_query(spec), client)).value();
  }

  Responder responder;
  View view;
  Records records;
  VerdictCache verdicts;
  Outcome last;
};

bool is_denial(const test::Response& r, unsigned rcode) {
  return r.rcode() == rcode && r.aa() && r.answer.empty() && r.authority.size() == 1 &&
         r.authority[0].type == 6 && r.authority[0].owner == "reef.example." && r.authority[0].ttl == 60;
}

}  // namespace

TEST_CASE("without levels too, a client is led to the nodes near it once these are known") {
  Server server;
  const IpAddress near = IpAddress::v4(203, 0, 113, 7);
  const Prefix network = network_of(kUdp.endpoint.address, {});
  server.ask({.name = "reef.example", .qtype = 6});
  CHECK(server.last.wanted_count == 0);  // the zone's SOA is the same for all
  const auto before = server.ask({.name = "www.x.com.reef.example"});
  CHECK(before.answer.size() == 2);
  REQUIRE(server.last.wanted_count == 1);
  CHECK(server.last.wanted[0].network == network);
  CHECK(server.last.worth_waiting);

  auto verdict = std::make_shared<Verdict>();
  verdict->level = 1;
  verdict->source = Source::route;
  verdict->proxies = {near, IpAddress::v4(203, 0, 113, 8)};
  verdict->made = verdict->verified = t0;
  server.verdicts.set(t0, network, verdict);
  const auto after = server.ask({.name = "www.x.com.reef.example"});
  std::set<Raw> addresses;
  for (const auto& record : after.answer) {
    CHECK(record.ttl == 30);
    addresses.insert(record.rdata);
  }
  CHECK(addresses == std::set<Raw>{{203, 0, 113, 7}, {203, 0, 113, 8}});
  CHECK(server.last.wanted_count == 0);
  // Others are answered as before.
  const Client other{*Endpoint::parse("192.0.2.200:5353"), Transport::udp};
  CHECK(server.ask({.name = "www.x.com.reef.example"}, other).answer.front().rdata != Raw{203, 0, 113, 7});
}

TEST_CASE("every name under the suffix has the addresses of live proxies") {
  Server server;
  for (const char* name :
       {"www.x.com.reef.example", "com.reef.example", "a.b.c.d.e.f.reef.example", "reef.example"}) {
    const auto a = server.ask({.name = name});
    CHECK(a.rcode() == 0);
    CHECK(a.aa());
    std::set<Raw> addresses;
    for (const auto& record : a.answer) {
      CHECK(record.owner == std::string(name) + ".");
      CHECK(record.ttl == 60);
      addresses.insert(record.rdata);
    }
    CHECK(addresses == std::set<Raw>{{192, 0, 2, 1}, {192, 0, 2, 2}});
    CHECK(server.ask({.name = name, .qtype = 28}).answer.size() == 1);
  }
}

TEST_CASE("at most so many addresses are given, all different, and every proxy has its turn in every place") {
  std::vector<Candidate> nodes;
  for (int i = 0; i < 10; ++i) nodes.push_back(node(("192.0.2." + std::to_string(10 + i)).c_str()));
  Server server(zone_with("reef.example"), {}, View(nodes, {}, 1));
  std::map<Raw, int> first, any;
  for (int i = 0; i < 2000; ++i) {
    const auto r = server.ask({});
    std::set<Raw> seen;
    for (const auto& record : r.answer) seen.insert(record.rdata), ++any[record.rdata];
    CHECK(seen.size() == 4);
    ++first[r.answer.at(0).rdata];
  }
  CHECK(any.size() == 10);
  for (const auto& [address, count] : first) CHECK((count > 120 && count < 290));  // 200 expected
  for (const auto& [address, count] : any) CHECK((count > 650 && count < 950));    // 800 expected
}

TEST_CASE("a node that knows nobody answers with its own address") {
  Server server(zone_with("reef.example"), {}, View({}, {IpAddress::v4(192, 0, 2, 99)}, 1));
  CHECK(server.ask({}).answer.at(0).rdata == Raw{192, 0, 2, 99});
  CHECK(is_denial(server.ask({.qtype = 28}), 0));
}

TEST_CASE("a view without any address still denies properly") {
  Server server(zone_with("reef.example"), {}, View());
  CHECK(is_denial(server.ask({}), 0));
  CHECK(server.ask({.name = "reef.example", .qtype = 2}).answer.size() == 4);
}

TEST_CASE("nodes without the proxy service are no answer to A") {
  Server server(zone_with("reef.example"), {},
                View({node("192.0.2.1", dsht::kServiceDns), node("192.0.2.2")}, {}, 1));
  const auto r = server.ask({});
  CHECK(r.answer.size() == 1);
  CHECK(r.answer.at(0).rdata == Raw{192, 0, 2, 2});
}

TEST_CASE("other types exist nowhere: NODATA with the SOA (RFC 2308), unknown types too (RFC 3597)") {
  Server server;
  for (const unsigned qtype : {5u, 12u, 15u, 16u, 33u, 43u, 46u, 48u, 64u, 65u, 257u, 65280u}) {
    CHECK(is_denial(server.ask({.qtype = qtype}), 0));
  }
  CHECK(is_denial(server.ask({.qtype = 2}), 0));  // NS and SOA are the apex's only
  CHECK(is_denial(server.ask({.qtype = 6}), 0));
}

TEST_CASE("with a suffix below the zone, its ancestors are empty, and names beside it do not exist") {
  Server server(zone_with("http.l0.reef.example"));
  CHECK(server.ask({.name = "www.x.com.http.L0.reef.example"}).answer.size() == 2);
  CHECK(server.ask({.name = "http.l0.reef.example"}).answer.size() == 2);
  CHECK(is_denial(server.ask({.name = "l0.reef.example"}), 0));
  CHECK(is_denial(server.ask({.name = "l1.reef.example"}), 3));
  CHECK(is_denial(server.ask({.name = "www.x.com.l0.reef.example"}), 3));
  CHECK(is_denial(server.ask({.name = "x.ns1.reef.example"}), 3));
  CHECK(is_denial(server.ask({.name = "ns5.reef.example"}), 3));
  CHECK(is_denial(server.ask({.name = "nope.reef.example", .qtype = 255}), 3));
  CHECK(server.ask({.name = "reef.example"}).answer.size() == 2);  // the landing page
}

TEST_CASE("the apex has its SOA with the view's serial") {
  Server server;
  const auto r = server.ask({.name = "reef.example", .qtype = 6});
  CHECK(r.answer.at(0).target == "ns1.reef.example. hostmaster.reef.example. 77 3600 600 86400 60");
  CHECK(r.answer.at(0).ttl == 3600);
}

TEST_CASE("the apex has its name servers, and their live addresses as glue") {
  Server server;
  const auto r = server.ask({.name = "reef.example", .qtype = 2, .payload = 1232}, kTcp);
  std::set<std::string> names;
  for (const auto& record : r.answer) names.insert(record.target);
  CHECK(names == std::set<std::string>{"ns1.reef.example.", "ns2.reef.example.", "ns3.reef.example.",
                                       "ns4.reef.example."});
  CHECK(r.additional.size() == 8);
  for (const auto& glue : r.additional) {
    const auto asked = server.ask({.name = glue.owner.substr(0, glue.owner.size() - 1), .qtype = glue.type});
    CHECK(asked.answer.size() == 1);
    CHECK(asked.answer.at(0).rdata == glue.rdata);
  }
  // Our own address first: whoever asked us can reach it. The proxy without DNS is nobody's name server.
  CHECK(server.ask({.name = "ns1.reef.example"}).answer.at(0).rdata == Raw{192, 0, 2, 99});
  CHECK(server.ask({.name = "ns2.reef.example"}).answer.at(0).rdata == Raw{192, 0, 2, 1});
  CHECK(is_denial(server.ask({.name = "ns2.reef.example", .qtype = 16}), 0));
}

TEST_CASE("foreign names are refused without any record") {
  Server server;
  for (const char* name : {"example", "www.example.com", "xreef.example", ""}) {
    const auto r = server.ask({.name = name, .payload = 1232});
    CHECK(r.rcode() == 5);
    CHECK_FALSE(r.aa());
    CHECK(r.answer.size() + r.authority.size() + r.additional.size() == 0);
    CHECK(r.opt);
  }
}

TEST_CASE("transfers and other classes are refused, other meta types not implemented") {
  Server server;
  for (const Client& client : {kUdp, kTcp}) {
    CHECK(server.ask({.name = "reef.example", .qtype = 252}, client).rcode() == 5);
    CHECK(server.ask({.name = "reef.example", .qtype = 251}, client).rcode() == 5);
  }
  CHECK(server.ask({.name = "version.bind", .qtype = 16, .qclass = 3}).rcode() == 5);
  CHECK(server.ask({.qclass = 255}).rcode() == 5);
  for (const unsigned qtype : {128u, 249u, 250u, 253u, 254u})
    CHECK(server.ask({.qtype = qtype}).rcode() == 4);
}

TEST_CASE("ANY gets one small HINFO (RFC 8482)") {
  Server server;
  const auto r = server.ask({.qtype = 255});
  CHECK(r.answer.size() == 1);
  CHECK(r.answer.at(0).type == 13);
  CHECK(r.answer.at(0).rdata == Raw{7, 'R', 'F', 'C', '8', '4', '8', '2', 0});
}

TEST_CASE("the question is echoed byte for byte, its mixed case kept") {
  Server server;
  for (const unsigned qtype : {1u, 16u, 252u}) {
    const QuerySpec spec{.name = "wWw.X.cOm.rEEf.eXAMPLe", .qtype = qtype};
    const Raw query = make_query(spec);
    const Raw reply = server.raw(query);
    CHECK(std::equal(query.begin() + 12, query.end(), reply.begin() + 12));
  }
}

TEST_CASE("EDNS of another version gets BADVERS and no records") {
  Server server;
  const auto r = server.ask({.payload = 1232, .version = 1});
  CHECK(r.rcode() == 16);
  CHECK(r.answer.empty());
  CHECK((r.opt->ttl >> 16 & 0xff) == 0);
}

TEST_CASE("an OPT is answered with an OPT, its DO bit kept, and none without one") {
  Server server;
  CHECK_FALSE(server.ask({}).opt);
  const auto r = server.ask({.payload = 4096, .dnssec_ok = true});
  REQUIRE(r.opt);
  CHECK(r.opt->rrclass == 1232);
  CHECK((r.opt->ttl & 0x8000) != 0);
  CHECK((server.ask({.payload = 4096}).opt->ttl & 0x8000) == 0);
}

TEST_CASE(
    "a response by UDP keeps to 512 bytes without EDNS, to the client's size with it, and never exceeds "
    "1232") {
  ResponderOptions options;
  options.authority.addresses_max = 16;
  options.amplification_max = 100;  // out of the way of this test
  std::vector<Candidate> nodes;
  for (int i = 0; i < 40; ++i) nodes.push_back(node(("2001:db8::" + std::to_string(i + 1)).c_str()));
  Server server(zone_with("reef.example", 13), options, View(nodes, {}, 1));
  const auto size_of = [&](const QuerySpec& spec, const Client& client = kUdp) {
    return server.raw(make_query(spec), client).size();
  };
  const QuerySpec ns{.name = "reef.example", .qtype = 2};
  for (QuerySpec spec : {QuerySpec{.qtype = 28}, ns}) {
    CHECK(size_of(spec) <= 512);
    for (const auto& [payload, bound] :
         {std::pair{0, 512}, {512, 512}, {513, 513}, {600, 600}, {1232, 1232}, {65535, 1232}}) {
      spec.payload = payload;
      CHECK(size_of(spec) <= static_cast<std::size_t>(bound));
      CHECK_FALSE(server.last.truncated);  // addresses and glue give way first
    }
  }
  CHECK(server.ask({.qtype = 28}).answer.size() == 16);  // 12 + 28 + 16 * 28 bytes
  CHECK(server.ask({.name = std::string(60, 'x') + ".reef.example", .qtype = 28}).answer.size() == 15);
}

TEST_CASE("what does not fit by UDP is truncated to nothing, and is whole by TCP") {
  ResponderOptions options;
  options.amplification_max = 2;
  Server server(zone_with("reef.example", 13), options);
  const QuerySpec ns{.name = "reef.example", .qtype = 2};
  const auto udp = server.ask(ns);
  CHECK(udp.tc());
  CHECK(udp.rcode() == 0);
  CHECK(udp.answer.size() + udp.authority.size() + udp.additional.size() == 0);
  const auto tcp = server.ask(ns, kTcp);
  CHECK_FALSE(tcp.tc());
  CHECK(tcp.answer.size() == 13);
}

TEST_CASE("a response to an unverified client is at most four times its query") {
  ResponderOptions options;
  options.authority.addresses_max = 16;
  std::vector<Candidate> nodes;
  for (int i = 0; i < 40; ++i) {
    nodes.push_back(node(("2001:db8::" + std::to_string(i + 1)).c_str()));
    nodes.push_back(node(("192.0.2." + std::to_string(i + 1)).c_str()));
  }
  Server server(zone_with("reef.example", 13), options, View(nodes, {}, 1));
  for (const char* name : {"reef.example", "a.reef.example", "ns1.reef.example", "www.x.com.reef.example"}) {
    for (const unsigned qtype : {1u, 2u, 6u, 15u, 28u, 255u}) {
      for (const int payload : {-1, 512, 4096}) {
        const Raw query = make_query({.name = name, .qtype = qtype, .payload = payload});
        const Raw reply = server.raw(query);
        CHECK(reply.size() <= 4 * query.size());
        if (qtype == 1 || qtype == 28) CHECK_FALSE(server.last.truncated);
      }
    }
  }
}

TEST_CASE("error responses are never larger than the query and an OPT") {
  Server server;
  Raw query = make_query({.payload = 1232});
  for (std::size_t size = 12; size < query.size(); ++size) {
    const Raw broken(query.begin(), query.begin() + static_cast<std::ptrdiff_t>(size));
    const Raw reply = server.raw(broken);
    const auto r = test::read_response(reply);
    REQUIRE(r);
    CHECK(r->rcode() == 1);
    CHECK(reply.size() <= broken.size() + 11);
  }
  query[2] = 5 << 3;
  CHECK(server.raw(query).size() == 12);  // NOTIMP
}

TEST_CASE("a client that shows a valid cookie is verified, and gets a new cookie") {
  ResponderOptions options;
  options.rate_limit = {.responses_per_second = 0, .burst = 0, .slip = 1};
  Server server(zone_with("reef.example"), options);
  const Raw client_part = {1, 2, 3, 4, 5, 6, 7, 8};
  const auto first = server.ask({.payload = 1232, .options = test::cookie_option(client_part)});
  CHECK(first.tc());  // over the limit, so only a slip
  REQUIRE(first.opt->rdata.size() == 28);
  const Raw cookie(first.opt->rdata.begin() + 4, first.opt->rdata.end());
  CHECK(std::equal(client_part.begin(), client_part.end(), cookie.begin()));
  const auto second = server.ask({.payload = 1232, .options = test::cookie_option(cookie)});
  CHECK_FALSE(second.tc());
  CHECK(second.answer.size() == 2);
  Raw forged = cookie;
  forged.back() ^= 1;
  CHECK(server.ask({.payload = 1232, .options = test::cookie_option(forged)}).tc());
  CHECK_FALSE(server.ask({}, kTcp).tc());
}

TEST_CASE("responses, short datagrams and impossible sources get silence, with the reason") {
  Server server;
  Raw response = make_query({});
  response[2] |= 0x80;
  CHECK(server.raw(response).empty());
  CHECK(server.last.silence == Silence::is_response);
  CHECK(server.raw({1, 2, 3}).empty());
  CHECK(server.last.silence == Silence::too_short);
  CHECK(server.raw(make_query({}), {*Endpoint::parse("198.51.100.9:0"), Transport::udp}).empty());
  CHECK(server.last.silence == Silence::bad_source);
}

TEST_CASE("a zone refuses a suffix outside of it and impossible numbers") {
  ZoneOptions options;
  options.zone = *Name::parse("reef.example");
  options.suffix = *Name::parse("other.example");
  CHECK_FALSE(Zone::make(options));
  options.suffix = options.zone;
  CHECK(Zone::make(options));
  options.name_servers = 0;
  CHECK_FALSE(Zone::make(options));
  options.name_servers = 14;
  CHECK_FALSE(Zone::make(options));
  options.name_servers = 1;
  options.negative_ttl = -1s;
  CHECK_FALSE(Zone::make(options));
}
