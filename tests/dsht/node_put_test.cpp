// Puts: towards the key until a node is full and loaded, back to the closest that takes the value.
#include <doctest/doctest.h>

#include <set>

#include "tests/dsht/node_fixture.h"

using namespace reef;
using namespace reef::dsht;
using namespace std::chrono_literals;

namespace {

const Key kKey = id_of(0x70).as<Key>();
const Endpoint kOurs{IpAddress::v4(20, 0, 0, 9), 9000};

NodeOptions one_level() {
  NodeOptions options;
  options.levels = 1;
  return options;
}

Nodes place(const NodeFixture& f, bool full, bool loaded, std::vector<Contact> contacts = {}) {
  Nodes out = f.nodes(std::move(contacts));
  out.full = full;
  out.loaded = loaded;
  return out;
}

// Full, and shows the values because of which it is.
Nodes crowded_place(NodeFixture& f, std::vector<Contact> contacts = {}, bool loaded = true) {
  Nodes out = place(f, true, loaded, std::move(contacts));
  for (std::uint8_t i = 1; i <= 4; ++i) out.values.push_back(f.peer(i).value(kKey, 1h));
  return out;
}

Stored stored(StoreStatus status = StoreStatus::stored) { return {kOurs, status, 5}; }

// Four values of an hour, and as many puts as are let through.
void fill_and_load(NodeFixture& f, const Key& key, Level level = 0) {
  for (std::uint8_t i = 1; i <= 4; ++i) {
    Peer& publisher = f.peer(i);
    f.share(publisher, level);
    CHECK(f.store(publisher, key, 1h, level) == StoreStatus::stored);
  }
  Peer& a = f.peer(0x99);
  f.share(a, level);
  for (int i = 0; i < 12; ++i) {
    const auto reply = f.asked<Nodes>(a, Find{key, key, Want::place, 3600, 259}, level);
    CHECK(reply.full);
    CHECK_FALSE(reply.loaded);
  }
}

}  // namespace

TEST_CASE("a value of a cold key is stored at the r closest nodes") {
  NodeOptions options = one_level();
  options.replicas[0] = 3;
  NodeFixture f(options);
  for (const std::uint8_t byte : {0x71, 0x72, 0x74, 0x78, 0x60, 0x30, 0xf0}) f.contact(byte);
  const WalkId walk = f.node.put(f.now, kKey, as_bytes("v"), 1h);
  std::set<Endpoint> stores;
  for (const Sent& sent : f.live(1s)) {
    if (sent.message.type() == MessageType::store) {
      stores.insert(sent.to);
      CHECK(sent.as<Store>().key == kKey);
      CHECK(sent.as<Store>().token == 8);  // the one that its FIND brought
      CHECK(sent.as<Store>().record.ttl_seconds == 3600);
    } else if (sent.message.type() == MessageType::find) {
      CHECK(sent.as<Find>().want == Want::place);
      CHECK(sent.as<Find>().ttl_seconds == 3600);
    }
  }
  CHECK(stores == std::set<Endpoint>{f.peers[0].at, f.peers[1].at, f.peers[2].at});
  REQUIRE(f.puts.size() == 1);
  CHECK(f.puts[0].walk == walk);
  CHECK(f.puts[0].stored);
  CHECK_FALSE(f.puts[0].covered);
}

TEST_CASE("a hop of a put corrects one bit more of the key") {
  NodeFixture f(one_level());
  const Key key = id_of(0b1010'1010).as<Key>();  // we are 0101 0101…
  Peer& first = f.contact(0b1101'0000);          // has the first bit right, and is most like us beyond it
  Peer& closer = f.contact(0b1010'1011);
  (void)f.node.put(f.now, key, {}, 1h);
  const Sent hop = f.request(MessageType::find);
  CHECK(hop.to == first.at);
  // It shall name who has the second bit right as well, and is otherwise like itself.
  CHECK(hop.as<Find>().toward.bytes[0] == 0b1001'0000);
  CHECK(hop.as<Find>().toward.bytes[1] == first.id.bytes[1]);
  f.answer(hop, f.nodes());
  CHECK(f.request(MessageType::find).to == closer.at);
}

TEST_CASE("a value of a key that has many already is stored in one place") {
  NodeFixture f(one_level());
  for (const std::uint8_t byte : {0x71, 0x72, 0x74}) f.contact(byte);
  (void)f.node.put(f.now, kKey, {}, 1h);
  f.pass(0ms);
  int stores = 0;
  for (int turn = 0; turn < 20 && f.puts.empty(); ++turn) {
    for (const Sent& find : f.requests(MessageType::find)) f.answer(find, crowded_place(f, {}, false));
    for (const Sent& store : f.requests(MessageType::store)) {
      ++stores;
      CHECK(store.to == f.peers[0].at);
      f.answer(store, stored());
    }
  }
  CHECK(stores == 1);
  REQUIRE(f.puts.size() == 1);
  CHECK(f.puts[0].stored);
  CHECK_FALSE(f.puts[0].covered);
}

TEST_CASE("a put halts at a node that is full and loaded, and goes back to the closest that takes it") {
  NodeFixture f(one_level());
  Peer& hop = f.contact(0x60);
  Peer& crowded = f.peer(0x71);
  Peer& beyond = f.peer(0x70);
  (void)f.node.put(f.now, kKey, {}, 1h);
  f.pass(0ms);
  f.answer(f.request(MessageType::find), place(f, false, false, {crowded.contact()}));
  const Sent second = f.request(MessageType::find);
  CHECK(second.to == crowded.at);
  f.answer(second, crowded_place(f, {beyond.contact()}));
  CHECK(f.is_silent(MessageType::find));
  const Sent store = f.request(MessageType::store);
  CHECK(store.to == hop.at);
  SUBCASE("who was passed last takes it") {
    f.answer(store, stored());
    CHECK(f.node.storage(0).value_count() == 0);
  }
  SUBCASE("or the one before: here, ourselves") {
    f.answer(store, stored(StoreStatus::full));
    CHECK(f.node.storage(0).value_count() == 1);
  }
  REQUIRE(f.puts.size() == 1);
  CHECK(f.puts[0].stored);
  CHECK(f.puts[0].covered);
}

TEST_CASE("who turns a put back without showing enough values that last is passed by") {
  NodeFixture f(one_level());
  Peer& liar = f.contact(0x71);
  (void)f.node.put(f.now, kKey, {}, 1h);
  const Sent find = f.request(MessageType::find);
  CHECK(find.to == liar.at);
  Nodes reply = crowded_place(f);
  bool is_believed = false;
  SUBCASE("none at all") { reply.values.clear(); }
  SUBCASE("too few") { reply.values.pop_back(); }
  SUBCASE("one that will soon be over") { reply.values[0].left_seconds = 1799; }
  SUBCASE("one twice") { reply.values[0] = reply.values[1]; }
  SUBCASE("one that is not signed") { reply.values[0].record.signature[0] ^= std::byte{1}; }
  SUBCASE("one of another key") { reply.values[0] = f.peer(9).value(id_of(1).as<Key>(), 1h); }
  SUBCASE("one that is only announced") { reply.values[0] = f.peer(9).value(kKey, 1h, true); }
  SUBCASE("as many as it takes") { is_believed = true; }
  f.answer(find, reply);
  if (is_believed) {
    REQUIRE(f.puts.size() == 1);
    CHECK(f.puts[0].covered);
    return;
  }
  const Sent store = f.request(MessageType::store);
  CHECK(store.to == liar.at);
  f.answer(store, stored());
  REQUIRE(f.puts.size() == 1);
  CHECK_FALSE(f.puts[0].covered);
}

TEST_CASE("who says that it is full, but does not show it, does not spare a cold key its replicas") {
  NodeFixture f(one_level());
  for (const std::uint8_t byte : {0x71, 0x72, 0x74}) f.contact(byte);
  (void)f.node.put(f.now, kKey, {}, 1h);
  std::set<Endpoint> stores;
  for (int turn = 0; turn < 20 && f.puts.empty(); ++turn) {
    for (const Sent& find : f.requests(MessageType::find)) f.answer(find, place(f, true, false));
    for (const Sent& store : f.requests(MessageType::store)) {
      stores.insert(store.to);
      f.answer(store, stored());
    }
  }
  CHECK(stores.size() == 3);
}

TEST_CASE_FIXTURE(NodeFixture, "who turns a put back shows why: enough values, or the publisher's own") {
  fill_and_load(*this, kKey);
  Peer& a = peer(0x98);
  const Find put{kKey, kKey, Want::place, 3600, 259};
  const auto reply = asked<Nodes>(a, put);
  CHECK(reply.full);
  CHECK(reply.loaded);
  CHECK(reply.values.size() == 4);
  Peer& holder = peers[0];
  const auto own = asked<Nodes>(holder, put);
  CHECK(own.full);
  REQUIRE(own.values.size() == 1);
  CHECK(own.values[0].record.publisher == holder.credentials.public_key());
}

TEST_CASE_FIXTURE(NodeFixture, "puts that come by count as load, gets do not") {
  Peer& a = peer(0x99);
  for (std::uint8_t i = 1; i <= 4; ++i) CHECK(store(peer(i), kKey, 1h) == StoreStatus::stored);
  for (int i = 0; i < 30; ++i) {
    (void)asked<Nodes>(a, Find{kKey, kKey, Want::values, 0, 259});
    (void)asked<Nodes>(a, Find{kKey, kKey, Want::contacts, 0, 259});
  }
  const Find put{kKey, kKey, Want::place, 3600, 259};
  for (int i = 0; i < 12; ++i) CHECK_FALSE(asked<Nodes>(a, put).loaded);
  for (int i = 0; i < 3; ++i) {
    const auto reply = asked<Nodes>(a, put);
    CHECK(reply.loaded);
    CHECK(reply.full);
  }
  CHECK(node.counters().puts_turned_back.value() == 3);
  // What lives longer than twice what is here is welcome still.
  CHECK_FALSE(asked<Nodes>(a, Find{kKey, kKey, Want::place, 4 * 3600, 259}).full);
  // Other levels are other places.
  share(a, 2);
  const auto near = asked<Nodes>(a, put, 2);
  CHECK_FALSE(near.loaded);
  CHECK_FALSE(near.full);
  now += 61s;
  CHECK_FALSE(asked<Nodes>(a, put).loaded);
}

TEST_CASE("if our own node is full and loaded the key is covered, and nothing is sent") {
  NodeFixture f(one_level());
  f.contact(0x71);
  fill_and_load(f, kKey);
  (void)f.node.put(f.now, kKey, {}, 1h);
  f.pass(0ms);
  CHECK(f.is_silent(MessageType::find));
  CHECK(f.is_silent(MessageType::store));
  REQUIRE(f.puts.size() == 1);
  CHECK_FALSE(f.puts[0].stored);
  CHECK(f.puts[0].covered);
}

TEST_CASE_FIXTURE(NodeFixture,
                  "if our own node is full and loaded in the innermost cluster nothing is sent either") {
  contact(0x71, 2);
  fill_and_load(*this, kKey, 2);
  (void)node.put(now, kKey, {}, 1h);
  pass(0ms);
  CHECK(is_silent(MessageType::find));
  REQUIRE(puts.size() == 1);
  CHECK(puts[0].covered);
}

TEST_CASE_FIXTURE(NodeFixture, "a value is stored at level 2 first, then at 1, then at 0") {
  Peer& a = contact(0x71, 2);
  (void)node.put(now, kKey, {}, 1h);
  std::vector<std::pair<MessageType, Level>> order;
  for (const Sent& sent : live(1s)) {
    const MessageType type = sent.message.type();
    if (type != MessageType::find && type != MessageType::store) continue;
    CHECK(sent.to == a.at);
    order.emplace_back(type, sent.message.header.level);
  }
  const std::vector<std::pair<MessageType, Level>> expected = {
      {MessageType::find, 2},  {MessageType::store, 2}, {MessageType::find, 1},
      {MessageType::store, 1}, {MessageType::find, 0},  {MessageType::store, 0}};
  CHECK(order == expected);
  CHECK(puts.size() == 1);
  // Two places in a cluster, r at level 0; there are but two of us.
  CHECK(node.storage(2).value_count() == 1);
  CHECK(node.storage(1).value_count() == 1);
  CHECK(node.storage(0).value_count() == 1);
}

TEST_CASE_FIXTURE(NodeFixture, "a put that halted at a level does not go on outwards") {
  contact(0x71, 2);
  (void)node.put(now, kKey, {}, 1h);
  pass(0ms);
  answer(request(MessageType::find), crowded_place(*this));
  CHECK(is_silent(MessageType::find));
  REQUIRE(puts.size() == 1);
  CHECK(puts[0].covered);
  CHECK(puts[0].stored);  // with ourselves, where the way began
  CHECK(node.storage(2).value_count() == 1);
  CHECK(node.storage(1).value_count() == 0);
  CHECK(node.storage(0).value_count() == 0);
}

TEST_CASE("a place that does not answer or refuses is replaced by the next") {
  NodeFixture f(one_level());
  for (const std::uint8_t byte : {0x71, 0x72, 0x74, 0x78}) f.contact(byte);
  (void)f.node.put(f.now, kKey, {}, 1h);
  f.pass(0ms);
  std::set<Endpoint> taken;
  for (int turn = 0; turn < 20; ++turn) {
    for (const Sent& find : f.requests(MessageType::find)) f.answer(find, place(f, false, false));
    for (const Sent& store : f.requests(MessageType::store)) {
      if (store.to == f.peers[0].at) continue;
      const bool refuses = store.to == f.peers[1].at;
      f.answer(store, stored(refuses ? StoreStatus::full : StoreStatus::stored));
      if (!refuses) taken.insert(store.to);
    }
    f.pass(100ms);
  }
  CHECK(taken.count(f.peers[2].at) == 1);
  REQUIRE(f.puts.size() == 1);
  CHECK(f.puts[0].stored);
  CHECK(f.node.storage(0).value_count() == 1);  // we are a place as well, though the farthest
}

TEST_CASE("a token that has become old is replaced by the one in the reply, once") {
  NodeFixture f(one_level());
  Peer& a = f.contact(0x71);
  (void)f.node.put(f.now, kKey, {}, 1h);
  f.pass(0ms);
  f.answer(f.request(MessageType::find), f.nodes());
  f.answer(f.request(MessageType::store), Stored{kOurs, StoreStatus::token_needed, 77});
  const Sent again = f.request(MessageType::store);
  CHECK(again.to == a.at);
  CHECK(again.as<Store>().token == 77);
  f.answer(again, Stored{kOurs, StoreStatus::token_needed, 78});
  CHECK(f.is_silent(MessageType::store));
  CHECK(f.puts.size() == 1);
}

TEST_CASE("a put that has no time left to go further stores where it has come by") {
  NodeOptions options = one_level();
  options.walk_max = 1s;
  options.store_max = 960ms;
  NodeFixture f(options);
  for (const std::uint8_t byte : {0x71, 0x60}) f.contact(byte);
  (void)f.node.put(f.now, kKey, as_bytes("v"), 1h);
  f.pass(0ms);
  for (int turn = 0; turn < 8; ++turn) {  // the closer one does not answer
    for (const Sent& find : f.requests(MessageType::find)) {
      if (find.to == f.peers[1].at) f.answer(find, place(f, false, false));
    }
    CHECK(f.is_silent(MessageType::store));
    f.pass(4ms);
  }
  f.pass(8ms);
  const Sent store = f.request(MessageType::store);
  CHECK(store.to == f.peers[1].at);
  f.answer(store, stored());
  REQUIRE(f.puts.size() == 1);
  CHECK(f.puts[0].stored);
}

TEST_CASE("a put that runs out of time says what it stored so far") {
  NodeOptions options = one_level();
  options.walk_max = 300ms;
  options.store_max = 0ms;
  NodeFixture f(options);
  for (const std::uint8_t byte : {0x71, 0x72, 0x74}) f.contact(byte);
  (void)f.node.put(f.now, kKey, {}, 1h);
  f.pass(0ms);
  for (int turn = 0; turn < 20; ++turn) {
    for (const Sent& find : f.requests(MessageType::find)) f.answer(find, place(f, false, false));
    for (const Sent& store : f.requests(MessageType::store)) {
      if (store.to != f.peers[2].at) f.answer(store, stored());
    }
  }
  CHECK(f.puts.empty());
  f.pass(300ms);
  REQUIRE(f.puts.size() == 1);
  CHECK(f.puts[0].stored);
}

TEST_CASE_FIXTURE(NodeFixture, "a withdrawal goes to the places of the key at every level, and to our own") {
  contact(0x71, 2);
  (void)node.put(now, kKey, {}, 1h);
  (void)live(1s);
  (void)node.withdraw(now, kKey);
  std::vector<Level> levels;
  for (const Sent& sent : live(1s)) {
    if (sent.message.type() != MessageType::withdraw) continue;
    levels.push_back(sent.message.header.level);
    CHECK(sent.as<Withdraw>().record.ttl_seconds == 0);
  }
  CHECK(levels == std::vector<Level>{2, 1, 0});
  CHECK(puts.size() == 2);
  CHECK(node.storage(0).value_count() == 0);
}
