// Names of nodes by level: who learns which cut, and which addresses.
#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "dnsd/responder.h"
#include "tests/dnsd/messages.h"

using namespace reef;
using namespace reef::dnsd;
using namespace std::chrono_literals;
using test::make_query;
using test::QuerySpec;
using test::Raw;

namespace {

constexpr TimePoint t0{1000s};
constexpr unsigned kA = 1, kNs = 2, kCname = 5, kSoa = 6, kTxt = 16, kAaaa = 28, kDname = 39, kDs = 43,
                   kHttps = 65;
const IpAddress kFarClient = IpAddress::v4(198, 51, 100, 9);
const IpAddress kMidClient = IpAddress::v4(198, 51, 101, 9);
const IpAddress kNearClient = IpAddress::v4(198, 51, 102, 9);

ZoneOptions zone_options(const char* zone, const char* suffix, const char* nodes_zone = nullptr) {
  ZoneOptions options;
  options.zone = *Name::parse(zone);
  options.suffix = *Name::parse(suffix);
  if (nodes_zone != nullptr) options.nodes_zone = *Name::parse(nodes_zone);
  return options;
}

ZoneOptions one_zone() { return zone_options("reef.example", "reef.example"); }
ZoneOptions two_zones() { return zone_options("reef.example", "reef.example", "nodes.example"); }

// 192.0.2.L0 + n: two nodes of level 2, two of level 1 and two of level 0, each a proxy and a name server.
Candidate node(std::uint8_t last, dsht::Level level, Duration rtt) {
  return {IpAddress::v4(192, 0, 2, last), dsht::kServiceProxy | dsht::kServiceDns, level, rtt, 1};
}
std::vector<Candidate> six() {
  return {node(21, 2, 1ms),  node(22, 2, 2ms),  node(11, 1, 30ms),
          node(12, 1, 31ms), node(1, 0, 100ms), node(2, 0, 110ms)};
}

struct Server {
  explicit Server(ZoneOptions zone, std::vector<Candidate> nodes = six(), ResponderOptions options = {})
      : also(with_documentation(std::move(options))),
        responder(Zone::make(std::move(zone)).value(), also, Random(1)),
        view(std::move(nodes), {}, 7),
        verdicts(also.locality, {}) {
    know(kMidClient, 1);
    know(kNearClient, 2);
  }
  static ResponderOptions with_documentation(ResponderOptions options) {
    if (options.authority.teach_every == 8) options.authority.teach_every = 1;
    for (const char* prefix : {"192.0.2.0/24", "198.51.100.0/22", "2001:db8::/32"}) {
      options.authority.also_public.push_back(*IpPrefix::parse(prefix));
    }
    return options;
  }
  void know(const IpAddress& client, dsht::Level level, std::vector<IpAddress> proxies = {},
            std::vector<IpAddress> servers = {}) {
    auto verdict = std::make_shared<Verdict>();
    verdict->level = level;
    verdict->source = Source::rtt;
    verdict->proxies = std::move(proxies);
    verdict->servers = std::move(servers);
    verdict->made = verdict->verified = t0;
    verdicts.set(t0, network_of(client, verdicts.options()), verdict);
  }
  test::Response ask(const QuerySpec& spec, const IpAddress& client, Transport transport = Transport::tcp) {
    std::vector<std::byte> out(Responder::kResponseBytesMax);
    const Raw query = make_query(spec);
    last = responder.respond(std::as_bytes(std::span(query)), {{client, 5353}, transport},
                             {view, *records, verdicts}, now, 1'700'000'000, out);
    const auto* begin = reinterpret_cast<const std::uint8_t*>(out.data());
    return test::read_response(Raw(begin, begin + last.bytes)).value();
  }
  // As a resolver asks: without RD.
  test::Response resolve(const std::string& name, unsigned qtype, const IpAddress& client) {
    return ask({.name = name, .qtype = qtype, .flags = 0}, client);
  }
  void set_records(const std::vector<std::string>& lines) {
    std::vector<Record> all;
    for (const std::string& line : lines) all.push_back(Record::parse(line, 300).value());
    records = Records::make(responder.zone(), all).value();
  }

  ResponderOptions also;
  Responder responder;
  View view;
  std::shared_ptr<const Records> records = std::make_shared<const Records>();
  VerdictCache verdicts;
  TimePoint now = t0;
  Outcome last;
};

std::set<int> last_bytes(const std::vector<test::Record>& records, unsigned type = kA) {
  std::set<int> out;
  for (const auto& record : records) {
    if (record.type == type) out.insert(record.rdata.back());
  }
  return out;
}

std::string owner_of(const std::vector<test::Record>& records, unsigned type) {
  for (const auto& record : records) {
    if (record.type == type) return record.owner;
  }
  return "";
}

bool is_referral(const test::Response& r, const std::string& cut) {
  return r.rcode() == 0 && !r.aa() && r.answer.empty() && owner_of(r.authority, kNs) == cut &&
         r.additional.size() == r.authority.size();
}

bool is_denial(const test::Response& r, unsigned rcode, const std::string& zone) {
  return r.rcode() == rcode && r.aa() && r.authority.size() == 1 && r.authority[0].type == kSoa &&
         r.authority[0].owner == zone;
}

}  // namespace

TEST_CASE("in one zone every name under the suffix has a CNAME to where the proxies are") {
  Server server(one_zone());
  const auto r = server.resolve("www.x.com.reef.example", kA, kNearClient);
  REQUIRE(r.answer.size() >= 3);
  CHECK(r.answer[0].type == kCname);
  CHECK(r.answer[0].owner == "www.x.com.reef.example.");
  CHECK(r.answer[0].target == "www.x.com.http.l2.l1.l0.reef.example.");
  CHECK(r.answer[0].ttl == 3600);
  CHECK(r.answer[1].owner == "www.x.com.http.l2.l1.l0.reef.example.");
  CHECK(r.answer[1].ttl == 30);
  CHECK(last_bytes(r.answer) == std::set<int>{21, 22});
  CHECK(server.resolve("reef.example", kA, kNearClient).answer.at(0).type == kA);  // the landing page
}

TEST_CASE("with two zones the suffix has a DNAME, and each name below it the CNAME made of it (RFC 6672)") {
  Server server(two_zones());
  const auto r = server.resolve("WWW.x.com.Reef.example", kA, kNearClient);
  REQUIRE(r.answer.size() >= 4);
  CHECK(r.answer[0].type == kDname);
  CHECK(r.answer[0].owner == "reef.example.");
  CHECK(r.answer[0].target == "http.l2.l1.l0.nodes.example.");
  CHECK(r.answer[1].type == kCname);
  CHECK(r.answer[1].target == "www.x.com.http.l2.l1.l0.nodes.example.");
  CHECK(r.answer[1].ttl == r.answer[0].ttl);
  CHECK(last_bytes(r.answer) == std::set<int>{21, 22});
  const auto itself = server.resolve("reef.example", kDname, kFarClient);
  CHECK(itself.answer.at(0).target == "http.l2.l1.l0.nodes.example.");
  CHECK(server.resolve("reef.example", kA, kFarClient).answer.at(0).type == kA);
  CHECK(server.resolve("reef.example", kSoa, kFarClient).answer.size() == 1);
  CHECK(server.resolve("nodes.example", kSoa, kFarClient).answer.size() == 1);
}

TEST_CASE("a suffix below its zone has a DNAME in it") {
  Server server(zone_options("example", "reef.example"));
  const auto r = server.resolve("a.reef.example", kA, kNearClient);
  CHECK(r.answer.at(0).owner == "reef.example.");
  CHECK(r.answer.at(1).target == "a.http.l2.l1.l0.example.");
  CHECK(server.resolve("reef.example", kDname, kNearClient).answer.size() == 1);
}

TEST_CASE("a name that the DNAME makes too long is YXDOMAIN; without a DNAME it keeps its addresses") {
  std::string longest;
  for (int i = 0; i < 3; ++i) longest += std::string(63, 'x') + ".";
  longest += std::string(46, 'y') + ".";
  Server two(two_zones()), one(one_zone());
  const auto r = two.resolve(longest + "reef.example", kA, kNearClient);
  CHECK(r.rcode() == 6);
  CHECK(r.answer.size() == 1);
  CHECK(r.answer.at(0).type == kDname);
  const auto flat = one.resolve(longest + "reef.example", kA, kNearClient);
  CHECK(flat.rcode() == 0);
  CHECK(flat.answer.at(0).type == kA);
}

TEST_CASE("a resolver that is not near gets the CNAME alone, a stub everything") {
  Server server(one_zone());
  CHECK(server.resolve("www.x.com.reef.example", kA, kFarClient).answer.size() == 1);
  CHECK(server.ask({.name = "www.x.com.reef.example"}, kFarClient).answer.size() == 5);
}

TEST_CASE("what a redirected name has not is denied with the SOA of the zone that it leads to (RFC 2308)") {
  Server server(two_zones());
  const auto r = server.ask({.name = "x.com.reef.example", .qtype = kTxt}, kFarClient);
  CHECK(r.answer.size() == 2);
  CHECK(is_denial(r, 0, "l2.l1.l0.nodes.example."));
}

TEST_CASE("a resolver learns the cuts that it is near enough for, and no other") {
  Server server(two_zones());
  const std::vector<std::pair<std::string, int>> cuts = {
      {"l0.nodes.example", 0}, {"l1.l0.nodes.example", 1}, {"l2.l1.l0.nodes.example", 2}};
  const std::vector<IpAddress> clients = {kFarClient, kMidClient, kNearClient};
  for (int level = 0; level < 3; ++level) {
    for (const auto& [cut, needs] : cuts) {
      for (const std::string& name : {cut, "_." + cut}) {
        for (const unsigned qtype : {kA, kAaaa, kNs, kTxt}) {
          const auto r = server.resolve(name, qtype, clients[static_cast<std::size_t>(level)]);
          if (name != cut && qtype == kTxt) continue;
          if (level >= needs) {
            CHECK(is_referral(r, cut + "."));
          } else {
            CHECK(is_denial(r, 0, cut.substr(3) + "."));
            CHECK(r.authority[0].ttl == 15);
          }
        }
      }
    }
  }
}

TEST_CASE("the servers of a cut are those of its cluster, and their names say their addresses") {
  Server server(two_zones());
  const auto r = server.resolve("l2.l1.l0.nodes.example", kA, kNearClient);
  CHECK(last_bytes(r.additional) == std::set<int>{21, 22});
  for (const auto& glue : r.additional) {
    CHECK(glue.owner.starts_with("n-c00002"));
    const auto asked = server.resolve(glue.owner.substr(0, glue.owner.size() - 1), kA, kFarClient);
    CHECK(asked.aa());
    CHECK(asked.answer.at(0).rdata == glue.rdata);
    CHECK(is_denial(server.resolve(glue.owner.substr(0, glue.owner.size() - 1), kAaaa, kFarClient), 0,
                    "l2.l1.l0.nodes.example."));
  }
}

TEST_CASE(
    "who looks for delegations by NS learns servers further out too and for long, by A near ones for as "
    "long as addresses") {
  Server server(two_zones());
  const auto by_ns = server.resolve("l2.l1.l0.nodes.example", kNs, kNearClient);
  const std::set<int> servers = last_bytes(by_ns.additional);
  CHECK(servers.contains(21));
  CHECK(servers.contains(22));
  CHECK((servers.contains(11) || servers.contains(12)));
  CHECK((servers.contains(1) || servers.contains(2)));
  for (const auto& record : by_ns.authority) CHECK(record.ttl == 3600);
  for (const auto& record : by_ns.additional) CHECK(record.ttl == 3600);
  const auto by_a = server.resolve("l2.l1.l0.nodes.example", kA, kNearClient);
  for (const auto& record : by_a.authority) CHECK(record.ttl == 30);
  for (const auto& record : by_a.additional) CHECK(record.ttl == 30);
}

TEST_CASE(
    "with few bytes a referral still holds a server further out, and never a name without its address") {
  Server server(two_zones());
  for (const int payload : {-1, 1232}) {  // those of the resolvers that are judged have EDNS
    const auto r =
        server.ask({.name = "l2.l1.l0.nodes.example", .qtype = kNs, .flags = 0, .payload = payload},
                   kNearClient, Transport::udp);
    CHECK(is_referral(r, "l2.l1.l0.nodes.example."));
    CHECK(r.authority.size() == (payload < 0 ? 2 : 3));
    const std::set<int> servers = last_bytes(r.additional);
    if (payload > 0) CHECK((servers.contains(11) || servers.contains(12)));
  }
}

TEST_CASE("asked to recurse, the NS records of a cut are an answer; SOA and DS are there too") {
  Server server(two_zones());
  const auto ns = server.ask({.name = "l1.l0.nodes.example", .qtype = kNs}, kNearClient);
  CHECK(ns.aa());
  CHECK(ns.answer.size() >= 2);
  CHECK(ns.additional.size() == ns.answer.size());
  const auto soa = server.resolve("l1.l0.nodes.example", kSoa, kFarClient);
  CHECK(soa.answer.at(0).owner == "l1.l0.nodes.example.");
  CHECK(is_denial(server.resolve("l1.l0.nodes.example", kDs, kNearClient), 0, "l0.nodes.example."));
}

TEST_CASE("an answer names the servers of the deepest cut that the resolver may learn (NSDI 2004 §3)") {
  Server server(two_zones());
  const std::string name = "www.x.com.http.l2.l1.l0.nodes.example";
  CHECK(owner_of(server.resolve(name, kA, kNearClient).authority, kNs) == "l2.l1.l0.nodes.example.");
  CHECK(owner_of(server.resolve(name, kA, kMidClient).authority, kNs) == "l1.l0.nodes.example.");
  CHECK(owner_of(server.resolve(name, kA, kFarClient).authority, kNs) == "l0.nodes.example.");
}

TEST_CASE("the level says which proxies a client gets, and for how long") {
  Server server(two_zones());
  const std::string name = "www.x.com.http.l2.l1.l0.nodes.example";
  const auto near = server.resolve(name, kA, kNearClient);
  CHECK(last_bytes(near.answer) == std::set<int>{21, 22});
  CHECK(near.answer[0].ttl == 30);
  for (int i = 0; i < 50; ++i) {
    const auto mid = server.resolve(name, kA, kMidClient);
    for (const int address : last_bytes(mid.answer)) CHECK(address > 10);
    CHECK(mid.answer[0].ttl == 60);
  }
  std::set<int> seen;
  for (int i = 0; i < 50; ++i) seen.merge(last_bytes(server.resolve(name, kA, kFarClient).answer));
  CHECK(seen == std::set<int>{1, 2, 11, 12, 21, 22});
}

TEST_CASE("at level 2 those nearest to us come first, since another town may be in the same cluster") {
  Server server(two_zones(), {node(21, 2, 1ms), node(22, 2, 2ms), node(23, 2, 1ms), node(24, 2, 2ms),
                              node(31, 2, 15ms), node(32, 2, 16ms), node(33, 2, 15ms), node(34, 2, 16ms)});
  std::map<int, int> first;
  for (int i = 0; i < 1000; ++i) {
    const auto r = server.resolve("x.http.l2.l1.l0.nodes.example", kA, kNearClient);
    ++first[r.answer.at(0).rdata.back()];
  }
  int far = 0;
  for (const auto& [address, count] : first) far += address > 30 ? count : 0;
  CHECK(far < 20);
  for (const int address : {21, 22, 23, 24}) CHECK(first[address] > 150);
}

TEST_CASE("a node without weight is named only where there is nobody else") {
  auto nodes = six();
  nodes[0].weight = 0;
  Server server(two_zones(), nodes);
  for (int i = 0; i < 100; ++i) {
    CHECK_FALSE(
        last_bytes(server.resolve("x.http.l2.l1.l0.nodes.example", kA, kNearClient).answer).contains(21));
  }
  Server alone(two_zones(), {nodes[0]});
  CHECK(last_bytes(alone.resolve("x.http.l2.l1.l0.nodes.example", kA, kNearClient).answer) ==
        std::set<int>{21});
}

TEST_CASE("one near node alone is joined by one from further out: two addresses where there are two") {
  Server server(two_zones(), {node(21, 2, 1ms), node(11, 1, 30ms), node(1, 0, 100ms)});
  const auto r = server.resolve("x.http.l2.l1.l0.nodes.example", kA, kNearClient);
  CHECK(last_bytes(r.answer) == std::set<int>{11, 21});
  CHECK(r.answer.at(0).rdata.back() == 21);
}

TEST_CASE(
    "nodes found near the client are given before our own cluster, as long as they were heard from lately") {
  Server server(two_zones());
  server.know(kFarClient, 0, {IpAddress::v4(192, 0, 2, 77), IpAddress::v4(192, 0, 2, 78)},
              {IpAddress::v4(192, 0, 2, 77)});
  const std::string name = "x.http.l2.l1.l0.nodes.example";
  const auto r = server.resolve(name, kA, kFarClient);
  CHECK(last_bytes(r.answer) == std::set<int>{77, 78});
  CHECK(r.answer.at(0).ttl == 30);
  CHECK(owner_of(r.authority, kNs) == "l2.l1.l0.nodes.example.");
  CHECK(is_referral(server.resolve("l2.l1.l0.nodes.example", kA, kFarClient), "l2.l1.l0.nodes.example."));
  server.now = t0 + 61s;
  CHECK_FALSE(last_bytes(server.resolve(name, kA, kFarClient).answer).contains(77));
}

TEST_CASE("names of servers say no address that means something else to everybody") {
  Server server(two_zones());
  for (const char* label : {"n-7f000001", "n-0a000001", "n-c0a80001", "n-e0000001",
                            "n-00000000000000000000000000000001", "n-fe800000000000000000000000000001",
                            "n-00000000000000000000ffff08080808", "n-0808080", "n-080808080", "n-0808080g"}) {
    CHECK(is_denial(server.resolve(std::string(label) + ".l0.nodes.example", kA, kFarClient), 3,
                    "l0.nodes.example."));
  }
  CHECK(server.resolve("N-08080808.l1.l0.nodes.example", kA, kFarClient).answer.size() == 1);
  CHECK(server.resolve("n-20010db8000000000000000000000007.l0.nodes.example", kAaaa, kFarClient)
            .answer.size() == 1);
}

TEST_CASE(
    "the suffix's zone has its servers below the deepest cut of the other: near ones for each resolver") {
  Server server(two_zones());
  const auto ns = server.resolve("reef.example", kNs, kFarClient);
  CHECK(ns.answer.size() == 4);
  CHECK(ns.answer.at(0).target == "ns1.l2.l1.l0.nodes.example.");
  CHECK(ns.additional.empty());
  CHECK(last_bytes(server.resolve("ns1.l2.l1.l0.nodes.example", kA, kNearClient).answer).size() == 1);
  std::set<int> near, far;
  for (int i = 1; i <= 4; ++i) {
    const std::string name = "ns" + std::to_string(i) + ".l2.l1.l0.nodes.example";
    near.merge(last_bytes(server.resolve(name, kA, kNearClient).answer));
    far.merge(last_bytes(server.resolve(name, kA, kFarClient).answer));
  }
  CHECK(std::includes(std::begin({21, 22}), std::end({21, 22}), near.begin(), near.end()));
  CHECK(far.size() >= 2);
  const auto other = server.resolve("nodes.example", kNs, kFarClient);
  CHECK(other.answer.at(0).target == "ns1.nodes.example.");
  CHECK(other.additional.size() == 4);
}

TEST_CASE("what is not there is denied with the SOA of the zone around it") {
  Server server(two_zones());
  CHECK(is_denial(server.resolve("nope.l1.l0.nodes.example", kA, kNearClient), 3, "l1.l0.nodes.example."));
  CHECK(is_denial(server.resolve("nope.nodes.example", kA, kNearClient), 3, "nodes.example."));
  CHECK(is_denial(server.resolve("x.http.l2.l1.l0.nodes.example", kTxt, kNearClient), 0,
                  "l2.l1.l0.nodes.example."));
  CHECK(server.resolve("other.example", kA, kNearClient).rcode() == 5);
}

TEST_CASE(
    "HTTPS records say the port, with the addresses as hints (RFC 9460); without a port there are none") {
  ZoneOptions options = two_zones();
  const std::string name = "x.http.l2.l1.l0.nodes.example";
  CHECK(is_denial(Server(options).resolve(name, kHttps, kNearClient), 0, "l2.l1.l0.nodes.example."));
  options.https_port = 8443;
  Server server(options);
  const auto r = server.resolve(name, kHttps, kNearClient);
  REQUIRE(r.answer.size() == 1);
  const Raw& rdata = r.answer[0].rdata;
  REQUIRE(rdata.size() == 3 + 6 + 4 + 8);
  CHECK(Raw(rdata.begin(), rdata.begin() + 9) == Raw{0, 1, 0, 0, 3, 0, 2, 0x20, 0xfb});
  CHECK(Raw(rdata.begin() + 9, rdata.begin() + 13) == Raw{0, 4, 0, 8});
}

TEST_CASE("without levels names have their addresses themselves, whoever asks") {
  ZoneOptions options = one_zone();
  options.levels = false;
  Server server(options);
  for (const IpAddress& client : {kFarClient, kNearClient}) {
    CHECK(server.resolve("www.x.com.reef.example", kA, client).answer.at(0).type == kA);
  }
}

TEST_CASE("zones and suffix that are in each other's way are refused") {
  CHECK_FALSE(Zone::make(zone_options("reef.example", "reef.example", "n.reef.example")));
  CHECK_FALSE(Zone::make(zone_options("reef.example", "reef.example", "example")));
  CHECK_FALSE(Zone::make(zone_options("reef.example", "l0.reef.example")));
  CHECK_FALSE(Zone::make(zone_options("reef.example", "x.l2.l1.l0.reef.example")));
  CHECK_FALSE(Zone::make(zone_options("reef.example", "a.ns1.reef.example")));
  CHECK(Zone::make(zone_options("reef.example", "http.l2.l1.l0.reef.example"))->redirect() == Redirect::none);
}

TEST_CASE("a client subnet says for whom the proxies are, the resolver which cuts (RFC 7871)") {
  Server server(two_zones());
  const std::string name = "x.http.l2.l1.l0.nodes.example";
  const auto subnet = [](unsigned bits, Raw address) {
    Raw out;
    test::put16(out, 8);
    test::put16(out, static_cast<unsigned>(4 + address.size()));
    test::put16(out, 1);
    out.push_back(static_cast<std::uint8_t>(bits));
    out.push_back(0);
    out.insert(out.end(), address.begin(), address.end());
    return out;
  };
  const auto ask = [&](const std::string& what, unsigned qtype, Raw option, const IpAddress& from) {
    return server.ask(
        {.name = what, .qtype = qtype, .flags = 0, .payload = 1232, .options = std::move(option)}, from);
  };
  const auto near = ask(name, kA, subnet(24, {198, 51, 102}), kFarClient);
  CHECK(last_bytes(near.answer) == std::set<int>{21, 22});
  CHECK(owner_of(near.authority, kNs) == "l0.nodes.example.");
  CHECK(near.opt->rdata == Raw{0, 8, 0, 7, 0, 1, 24, 24, 198, 51, 102});
  // More bits than we tell apart: the scope is what was used.
  CHECK(ask(name, kA, subnet(32, {198, 51, 102, 9}), kFarClient).opt->rdata ==
        Raw{0, 8, 0, 8, 0, 1, 32, 24, 198, 51, 102, 9});
  // Fewer: never a longer scope than was given.
  CHECK(ask(name, kA, subnet(20, {198, 51, 96}), kNearClient).opt->rdata ==
        Raw{0, 8, 0, 7, 0, 1, 20, 20, 198, 51, 96});
  // Delegations, denials and what the same for all: scope 0.
  for (const auto& [what, qtype] : std::vector<std::pair<std::string, unsigned>>{
           {"l0.nodes.example", kA}, {name, kTxt}, {"nodes.example", kSoa}, {"nodes.example", kNs}}) {
    CHECK(ask(what, qtype, subnet(24, {198, 51, 102}), kFarClient).opt->rdata ==
          Raw{0, 8, 0, 7, 0, 1, 24, 0, 198, 51, 102});
  }
  // Kept out of it, or private: as if the resolver had said nothing.
  const auto none = ask(name, kA, subnet(0, {}), kNearClient);
  CHECK(none.opt->rdata == Raw{0, 8, 0, 4, 0, 1, 0, 0});
  CHECK(last_bytes(none.answer) == std::set<int>{21, 22});
  CHECK(ask(name, kA, subnet(8, {10}), kNearClient).opt->rdata == Raw{0, 8, 0, 5, 0, 1, 8, 0, 10});
  CHECK_FALSE(server.last.subnet);
}

TEST_CASE("a network without a verdict, or with an old one, is reported once, and not again for a while") {
  Server server(two_zones());
  const std::string name = "x.http.l2.l1.l0.nodes.example";
  (void)server.resolve(name, kA, kFarClient);
  REQUIRE(server.last.wanted_count == 1);
  CHECK(to_string(server.last.wanted[0].network) == "198.51.100.0/24");
  CHECK(server.last.wanted[0].target == kFarClient);
  CHECK(server.last.worth_waiting);
  (void)server.resolve(name, kA, kFarClient);
  CHECK(server.last.wanted_count == 0);
  server.now = t0 + 6s;
  (void)server.resolve(name, kA, kFarClient);
  CHECK(server.last.wanted_count == 1);
  (void)server.resolve(name, kA, kNearClient);
  CHECK(server.last.wanted_count == 0);
  CHECK(server.last.level == 2);
  CHECK(server.last.source == Source::rtt);
  server.now = t0 + 11min;
  (void)server.resolve(name, kA, kNearClient);
  CHECK(server.last.wanted_count == 1);
  CHECK_FALSE(server.last.worth_waiting);
  CHECK(server.last.level == 2);
}

TEST_CASE("records given by hand are answered beside our own, below a DNAME where it leads") {
  Server two(two_zones());
  two.set_records({"_acme-challenge.reef.example 60 TXT \"secret one\"",
                   "_acme-challenge.reef.example TXT two", "reef.example CAA 0 issue \"letsencrypt.org\"",
                   "reef.example MX 10 mail.example.org", "deep.down.nodes.example A 192.0.2.200",
                   "alias.nodes.example CNAME www.example.org"});
  const auto txt = two.resolve("_ACME-challenge.reef.example", kTxt, kFarClient);
  CHECK(txt.answer.size() == 2);  // the DNAME and the CNAME: the resolver goes on
  const auto at_target = two.resolve("_acme-challenge.http.l2.l1.l0.nodes.example", kTxt, kFarClient);
  CHECK(at_target.answer.size() == 2);
  CHECK(at_target.answer.at(0).ttl == 60);
  CHECK(at_target.answer.at(0).rdata == Raw{10, 's', 'e', 'c', 'r', 'e', 't', ' ', 'o', 'n', 'e'});
  CHECK(two.ask({.name = "_acme-challenge.reef.example", .qtype = kTxt}, kFarClient).answer.size() == 4);
  CHECK(two.resolve("reef.example", 257, kFarClient).answer.size() == 1);
  CHECK(two.resolve("reef.example", 15, kFarClient).answer.size() == 1);
  CHECK(two.resolve("reef.example", kA, kFarClient).answer.size() >= 1);
  CHECK(two.resolve("deep.down.nodes.example", kA, kFarClient).answer.at(0).rdata.back() == 200);
  CHECK(is_denial(two.resolve("deep.down.nodes.example", kTxt, kFarClient), 0, "nodes.example."));
  CHECK(is_denial(two.resolve("down.nodes.example", kA, kFarClient), 0, "nodes.example."));  // RFC 8020
  CHECK(two.resolve("alias.nodes.example", kA, kFarClient).answer.at(0).target == "www.example.org.");

  Server one(one_zone());
  one.set_records({"_acme-challenge.reef.example TXT x"});
  CHECK(one.resolve("_acme-challenge.reef.example", kTxt, kFarClient).answer.at(0).type == kTxt);
  CHECK(is_denial(one.resolve("_acme-challenge.reef.example", kA, kFarClient), 0, "reef.example."));
  CHECK(one.resolve("other.reef.example", kTxt, kFarClient).answer.at(0).type == kCname);
}

TEST_CASE("a response by UDP to an unverified client is at most four times its query, whatever is asked") {
  ResponderOptions options;
  options.authority.addresses_max = 16;
  std::vector<Candidate> nodes;
  for (std::uint8_t i = 1; i < 60; ++i) nodes.push_back(node(i, i % 3, Duration(i * 1ms)));
  for (const ZoneOptions& zone : {one_zone(), two_zones()}) {
    Server server(zone, nodes, options);
    const std::string z = zone.nodes_zone ? "nodes.example" : "reef.example";
    for (const char* name : {"reef.example", "a.reef.example", "www.x.com.reef.example", "nodes.example",
                             "ns1.nodes.example", "ns1.l2.l1.l0.nodes.example"}) {
      for (const std::string& at : {std::string(name), "l0." + z, "_.l1.l0." + z, "l2.l1.l0." + z,
                                    "n-08080808.l0." + z, "a.http.l2.l1.l0." + z, "x.l0." + z}) {
        for (const unsigned qtype : {kA, kNs, kSoa, kTxt, kAaaa, kDname, kDs, kHttps, 255u}) {
          for (const int payload : {-1, 4096}) {
            const QuerySpec spec{.name = at, .qtype = qtype, .payload = payload};
            for (const IpAddress& client : {kFarClient, kMidClient, kNearClient}) {
              (void)server.ask(spec, client, Transport::udp);
              CHECK(server.last.bytes <= 4 * make_query(spec).size());
            }
          }
        }
      }
    }
  }
}
