// Clusters and hints as a node lives with them: whom it serves at which level, and how it moves.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "tests/dsht/node_fixture.h"

using namespace reef;
using namespace reef::dsht;
using namespace std::chrono_literals;

namespace {

const Key kKey = id_of(0x70).as<Key>();

NodeOptions quick() {
  NodeOptions options;
  options.clusters.first_decision = 1s;
  options.clusters.decision_period = 2s;
  options.clusters.sample_size = 4;
  options.join_retry_max = 2s;
  return options;
}

ClusterDescription cluster_of(std::uint8_t byte, std::uint8_t log2_size) {
  ClusterDescription out;
  out.id.bytes.fill(byte);
  out.log2_size = log2_size;
  out.age_seconds = 100;
  return out;
}

// Contacts that say that they are in that cluster of level 2, 10 ms from us.
void settle(NodeFixture& f, const ClusterDescription& cluster, std::initializer_list<std::uint8_t> bytes) {
  for (const std::uint8_t byte : bytes) {
    Peer& p = f.peer(byte);
    p.clusters[1] = cluster;
    f.introduce(p, 10ms);
  }
}

}  // namespace

TEST_CASE_FIXTURE(NodeFixture, "a request at a level whose cluster we do not share is dropped and counted") {
  Peer& a = peer(0x99);
  share(a, 1);
  const Find find{kKey, kKey, Want::values, 0, 259};
  CHECK(ask(a, find, 0));
  CHECK(ask(a, find, 1));
  CHECK_FALSE(ask(a, find, 2));
  share(a, 0);
  CHECK_FALSE(ask(a, find, 1));
  a.clusters = {};
  CHECK_FALSE(ask(a, find, 2));
  CHECK_FALSE(ask(a, Announce{kKey, 1, true, a.record(kKey, 20s, true), 0}, 2));
  CHECK(node.counters().foreign_cluster.value() == 4);
}

TEST_CASE("a node of one level serves level 0 only") {
  NodeOptions options;
  options.levels = 1;
  NodeFixture f(options);
  Peer& a = f.peer(0x99);
  a.clusters = {cluster_of(1, 0), cluster_of(2, 0)};
  CHECK(f.ask(a, Find{kKey, kKey, Want::values, 0, 259}, 0));
  CHECK_FALSE(f.ask(a, Find{kKey, kKey, Want::values, 0, 259}, 2));
  CHECK(f.node.cluster(f.now, 2).id.is_zero());
}

TEST_CASE_FIXTURE(NodeFixture,
                  "replies at a level name members of its cluster, and outer contacts of the next") {
  Peer& global = contact(0x71, 0);
  Peer& regional = contact(0x72, 1);
  Peer& local = contact(0x74, 2);
  Peer& a = peer(0x99);
  share(a, 2);
  const auto names = [](const std::vector<Contact>& contacts) {
    std::vector<NodeId> out;
    for (const Contact& c : contacts) out.push_back(c.id);
    return out;
  };
  const Find find{kKey, kKey, Want::values, 0, 259};
  const auto at2 = asked<Nodes>(a, find, 2);
  CHECK(names(at2.contacts) == std::vector{local.id});
  CHECK(names(at2.outer) == std::vector{regional.id, local.id});
  const auto at1 = asked<Nodes>(a, find, 1);
  CHECK(names(at1.contacts) == std::vector{regional.id, local.id});
  CHECK(names(at1.outer) == std::vector{global.id, regional.id, local.id});
  const auto at0 = asked<Nodes>(a, find, 0);
  CHECK(names(at0.contacts) == std::vector{global.id, regional.id, local.id});
  CHECK(at0.outer.empty());
}

TEST_CASE_FIXTURE(NodeFixture,
                  "whoever is twice as far away as a level allows has no place there, whatever it says") {
  const auto stands = [&](std::uint8_t byte, Duration rtt) {
    contact(byte, 2, rtt);
    return node.table().find(id_of(byte))->levels;
  };
  CHECK(stands(0x10, 39ms) == kAllLevels);
  CHECK(stands(0x20, 41ms) == (mask_of(0) | mask_of(1)));
  CHECK(stands(0x30, 119ms) == (mask_of(0) | mask_of(1)));
  CHECK(stands(0x40, 121ms) == mask_of(0));
}

TEST_CASE("a node joins a cluster that suits it: its table of that level is that cluster then") {
  NodeFixture f(quick());
  const ClusterDescription first = cluster_of(0x0a, 2);
  settle(f, first, {0x10, 0x20, 0x30, 0x40});
  Peer& outside = f.contact(0xf0, 0);
  CHECK(f.node.table().size(2) == 0);
  (void)f.live(10s);
  REQUIRE(!f.changes.empty());
  CHECK(f.changes[0].level == 2);
  CHECK(f.changes[0].to == first.id);
  CHECK(f.node.cluster(f.now, 2).id == first.id);
  CHECK(f.node.table().size(2) == 4);
  CHECK_FALSE(f.node.table().find(outside.id)->stands_at(2));
  CHECK(f.node.counters().cluster_changes[2].value() ==
        std::count_if(f.changes.begin(), f.changes.end(), [](const auto& c) { return c.level == 2; }));

  Peer& a = f.peer(0x99);
  a.clusters[1] = first;
  Sample sample{first.id, 0};
  sample.padding = padding_for(sample);

  SUBCASE("every message says so") {
    const auto pong = f.ask(a, Ping{});
    CHECK(pong->message.header.clusters[1].id == first.id);
  }
  SUBCASE("SAMPLE names members of the present cluster to anybody, of another none") {
    a.clusters[1] = {};
    CHECK(f.asked<Nodes>(a, sample, 2).contacts.size() == 4);
    sample.cluster.bytes[0] ^= 1;
    const auto other = f.ask(a, sample, 2);
    REQUIRE(other);
    CHECK(other->as<Nodes>().contacts.empty());
    sample.cluster = first.id;
    CHECK(f.asked<Nodes>(a, sample, 1).contacts.empty());
  }
  SUBCASE("having moved on to a larger one, it serves the one that it left for a while") {
    const Find find{kKey, kKey, Want::values, 0, 259};
    CHECK(f.ask(a, find, 2));
    const ClusterDescription second = cluster_of(0x05, 9);
    settle(f, second, {0x18, 0x28, 0x38, 0x48, 0x58, 0x68, 0x78, 0x88});
    (void)f.live(30s);
    REQUIRE(f.node.cluster(f.now, 2).id == second.id);
    for (const TableEntry& entry : f.node.table().entries()) {
      CHECK(entry.stands_at(2) == (entry.clusters[1].id == second.id));
    }
    CHECK(f.node.table().size(2) == 8);
    CHECK(f.ask(a, find, 2));
    CHECK(f.asked<Nodes>(a, sample, 2).contacts.empty());  // but it is no member
    (void)f.live(31min);
    a.clusters[1] = first;
    CHECK_FALSE(f.ask(a, find, 2));
  }
}

TEST_CASE("of a cluster of which it knows too few members a node asks for more, and measures them") {
  NodeFixture f(quick());
  const ClusterDescription large = cluster_of(0x0a, 6);
  settle(f, large, {0x10});
  std::vector<Sent> samples;
  for (int turn = 0; turn < 3000 && samples.empty(); ++turn) {
    f.pass(10ms);
    for (const Sent& sent : f.requests(MessageType::sample)) {
      if (sent.message.header.level == 2) samples.push_back(sent);
    }
    for (const Sent& ping : f.requests(MessageType::ping)) f.answer(ping, Pong{f.peers[0].at, 1});
  }
  REQUIRE(!samples.empty());
  CHECK(samples[0].to == f.peers[0].at);
  CHECK(samples[0].as<Sample>().cluster == large.id);
  CHECK(samples[0].bytes == kPaddedRequestBytes);
  Peer& named = f.peer(0x20);
  named.clusters[1] = large;
  const Contact inside{id_of(0x21), {IpAddress::v4(10, 0, 0, 1), 53}, 0, 0, 0};
  f.answer(samples[0], f.nodes({named.contact(), inside}));
  CHECK(f.node.counters().unexpected.value() == 0);
  CHECK(f.node.counters().unfollowed.value() == 1);
  std::set<Endpoint> pinged;
  for (const Sent& sent : f.live(20s)) {
    if (sent.message.type() == MessageType::ping) pinged.insert(sent.to);
  }
  CHECK(pinged.count(named.at) == 1);
  CHECK(pinged.count(inside.rpc) == 0);
}

// ---- hints

TEST_CASE_FIXTURE(NodeFixture, "set_hints reads who stands under them, asks those, and puts us there") {
  node.join(now, {}, {});
  contact(0x71);
  Peer& neighbour = peer(3);
  Peer& inside = peer(4);
  node.set_hints(now, {kKey});
  pass(0ms);
  Sent read;
  for (const Sent& find : requests(MessageType::find)) {
    CHECK(find.as<Find>().key == kKey);
    if (find.as<Find>().want == Want::values) {
      CHECK(find.message.header.level == 0);
      read = find;
    } else {
      answer(find, nodes());
    }
  }
  REQUIRE(std::holds_alternative<Find>(read.message.body));
  const Sent store = request(MessageType::store);
  CHECK(store.as<Store>().key == kKey);
  CHECK(store.as<Store>().record.data == encode_endpoint(*node.observed()));
  CHECK(store.as<Store>().record.ttl_seconds == 3600);
  CHECK_FALSE(store.as<Store>().record.provisional);

  const auto stands = [](Peer& who, const Endpoint& at) {
    return WireValue{who.record(kKey, 3600s, false, encode_endpoint(at)), 3600, 0};
  };
  Peer& babble = peer(5);
  answer(read,
         nodes({}, {stands(neighbour, neighbour.at), stands(inside, {IpAddress::v4(192, 168, 0, 1), 53}),
                    WireValue{babble.record(kKey, 60s, false, Bytes(3)), 60, 0}}));
  const Sent ping = request(MessageType::ping);  // and not into our own private network
  CHECK(ping.to == neighbour.at);
  CHECK(ping.message.header.prove);
  CHECK(node.counters().hinted.value() == 1);
  CHECK(node.counters().unfollowed.value() == 1);
  CHECK(gets.empty());  // nobody asked for it
}

TEST_CASE_FIXTURE(NodeFixture, "hints are put again before they end, and not when there are others") {
  node.join(now, {}, {});
  introduce(peer(0x71), 20ms);  // in no cluster: there is level 0 only
  const Key other = id_of(0x7f).as<Key>();
  const auto stores = [&](Duration by) {
    std::multiset<Key> out;
    for (const Sent& sent : live(by)) {
      if (sent.message.type() == MessageType::store) out.insert(sent.as<Store>().key);
    }
    return out;
  };
  node.set_hints(now, {kKey});
  CHECK(stores(10s) == std::multiset<Key>{kKey});
  CHECK(stores(29min).empty());
  CHECK(stores(10min) == std::multiset<Key>{kKey});
  node.set_hints(now, {kKey});  // the same again is nothing new
  CHECK(stores(10s).empty());
  node.set_hints(now, {other});
  CHECK(stores(10s) == std::multiset<Key>{other});
}
