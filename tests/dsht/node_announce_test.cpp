// Announcements: who is first, near by and everywhere, and who waits for whom.
#include <doctest/doctest.h>

#include "tests/dsht/node_fixture.h"

using namespace reef;
using namespace reef::dsht;
using namespace std::chrono_literals;

namespace {

const Key kKey = id_of(0x70).as<Key>();

}  // namespace

TEST_CASE_FIXTURE(NodeFixture, "near by an announcement is one round trip: the token is known already") {
  Peer& near = contact(0x71, 2);
  Peer& earlier = peer(3);
  const WalkId walk = node.announce(now, kKey, as_bytes("me"), 20s, 5s);
  const Sent sent = request(MessageType::announce);
  CHECK(sent.to == near.at);
  CHECK(sent.message.header.level == 2);
  CHECK(sent.as<Announce>().token == 7);  // of the PONG
  CHECK(sent.as<Announce>().record.provisional);
  CHECK_FALSE(sent.as<Announce>().insist);
  CHECK(sent.bytes == kPaddedRequestBytes);
  answer(sent, taken({earlier.value(kKey, 20s, true)}));
  REQUIRE(announcements.size() == 1);
  CHECK(announcements[0].walk == walk);
  CHECK(announcements[0].announced.level == 2);
  CHECK(announcements[0].announced.end == WalkEnd::found);
  CHECK(announcements[0].announced.stored);
  REQUIRE(announcements[0].announced.earlier.size() == 1);
  CHECK(announcements[0].announced.earlier[0].publisher == earlier.id);
  // Who was told of somebody near by does not go on outwards.
  CHECK(is_silent(MessageType::announce));
  CHECK(is_silent(MessageType::find));
  CHECK(node.counters().found_at[2].value() == 1);
}

TEST_CASE_FIXTURE(NodeFixture, "a token of long ago is not tried: one is asked for first") {
  contact(0x71, 2);
  now += 4min + 1s;
  (void)node.announce(now, kKey, {}, 20s, 5s);
  CHECK(is_silent(MessageType::announce));
  answer(request(MessageType::find), nodes());
  CHECK(request(MessageType::announce).as<Announce>().token == 8);
}

TEST_CASE_FIXTURE(NodeFixture, "the first of a cluster goes on outwards, from the contacts named there") {
  Peer& near = contact(0x74, 2);
  Peer& outer = peer(0x71);
  (void)node.announce(now, kKey, {}, 20s, 5s);
  pass(0ms);
  answer(request(MessageType::announce), taken());
  CHECK(announcements.empty());
  const Sent second = request(MessageType::announce);
  CHECK(second.to == near.at);
  CHECK(second.message.header.level == 1);
  AnnounceReply reply = taken();
  reply.outer = {outer.contact()};
  answer(second, reply);
  CHECK(announcements.empty());
  // At level 0 everybody close is heard before the closest is told.
  const auto finds = requests(MessageType::find);
  REQUIRE(finds.size() == 2);
  CHECK(finds[0].to == outer.at);
  CHECK(finds[0].message.header.level == 0);
  answer(finds[1], nodes());
  CHECK(is_silent(MessageType::announce));
  answer(finds[0], nodes());
  const Sent third = request(MessageType::announce);
  CHECK(third.to == outer.at);
  CHECK(third.message.header.level == 0);
  answer(third, taken());
  REQUIRE(announcements.size() == 1);
  CHECK(announcements[0].announced.end == WalkEnd::exhausted);
  CHECK(announcements[0].announced.earlier.empty());
  CHECK(announcements[0].announced.stored);
}

TEST_CASE_FIXTURE(
    NodeFixture,
    "who has gone on outwards takes complete values of the inner level, but waits for nobody there") {
  Peer& near = contact(0x71, 2);
  Peer& other = peer(3);
  (void)node.announce(now, kKey, {}, 20s, 5s);
  const Sent late = request(MessageType::announce);
  pass(90ms);
  const auto outer = requests(MessageType::announce);
  REQUIRE(outer.size() == 1);
  CHECK(outer[0].to == near.at);
  CHECK(outer[0].message.header.level == 1);
  SUBCASE("one who only announced himself near by may have been told to wait for us") {
    answer(late, taken({other.value(kKey, 20s, true)}));
    CHECK(announcements.empty());
    answer(outer[0], taken());
    answer(request(MessageType::find), nodes());
    answer(request(MessageType::announce), taken());
    REQUIRE(announcements.size() == 1);
    CHECK(announcements[0].announced.earlier.empty());
  }
  SUBCASE("one who has it can be asked") {
    answer(late, taken({other.value(kKey, 60s)}));
    REQUIRE(announcements.size() == 1);
    CHECK(announcements[0].announced.earlier.size() == 1);
    CHECK(announcements[0].announced.level == 2);
  }
}

TEST_CASE_FIXTURE(NodeFixture, "nor does he when a late answer only told who is there") {
  contact(0x71, 2);
  Peer& other = peer(3);
  node.announce(now + 5min, kKey, {}, 20s, 5s);  // no token of that age: a FIND goes first
  now += 5min;
  pass(0ms);
  auto finds = requests(MessageType::find);
  REQUIRE(!finds.empty());
  const Sent late = finds[0];
  CHECK(late.message.header.level == 2);
  pass(90ms);
  answer(late, nodes({}, {other.value(kKey, 20s, true)}));
  for (int turn = 0; turn < 10 && announcements.empty(); ++turn) {
    for (const Sent& find : requests(MessageType::find)) {
      if (find.message.header.level < 2) answer(find, nodes());
    }
    for (const Sent& sent : requests(MessageType::announce)) answer(sent, taken());
  }
  REQUIRE(announcements.size() == 1);
  CHECK(announcements[0].announced.earlier.empty());
  CHECK(announcements[0].announced.end == WalkEnd::exhausted);
}

TEST_CASE_FIXTURE(NodeFixture, "each level has its own order of arrival") {
  Peer& a = peer(1);
  Peer& b = peer(2);
  Peer& c = peer(3);
  for (Peer* p : {&a, &b, &c}) share(*p, 2);
  CHECK(announce(a, kKey, 2).earlier.empty());
  CHECK(announce(b, kKey, 0).earlier.empty());
  CHECK(announce(b, kKey, 1).earlier.empty());
  const auto near = announce(c, kKey, 2);
  REQUIRE(near.earlier.size() == 1);
  CHECK(near.earlier[0].record.publisher == a.credentials.public_key());
  const auto far = announce(c, kKey, 0);
  REQUIRE(far.earlier.size() == 1);
  CHECK(far.earlier[0].record.publisher == b.credentials.public_key());
}

TEST_CASE_FIXTURE(NodeFixture,
                  "the first of a cluster is told where to go on, the others are told of the first") {
  contact(0x30, 1);
  Peer& a = peer(1);
  Peer& b = peer(2);
  share(a, 2);
  share(b, 2);
  const auto first = announce(a, kKey, 2);
  CHECK(first.earlier.empty());
  REQUIRE(first.outer.size() == 1);
  CHECK(first.outer[0].id == id_of(0x30));
  const auto second = announce(b, kKey, 2);
  CHECK(second.earlier.size() == 1);
  CHECK(second.outer.empty());
  // Level 0 has nothing further out.
  CHECK(announce(peer(9), kKey, 0).outer.empty());
}

TEST_CASE("who is redirected goes to the closer node that was named") {
  NodeOptions options;
  options.levels = 1;
  NodeFixture f(options);
  Peer& a = f.contact(0x74);
  Peer& closer = f.peer(0x71);
  (void)f.node.announce(f.now, kKey, {}, 20s, 5s);
  f.pass(0ms);
  f.answer(f.request(MessageType::find), f.nodes());
  const Sent first = f.request(MessageType::announce);
  CHECK(first.to == a.at);
  AnnounceReply reply = f.taken({}, StoreStatus::not_closest);
  reply.closer = {closer.contact()};
  f.answer(first, reply);
  const Sent find = f.request(MessageType::find);
  CHECK(find.to == closer.at);
  f.answer(find, f.nodes());
  const Sent second = f.request(MessageType::announce);
  CHECK(second.to == closer.at);
  f.answer(second, f.taken());
  REQUIRE(f.announcements.size() == 1);
  CHECK(f.announcements[0].announced.stored);
}

TEST_CASE("who cannot reach the closer node that was named insists") {
  NodeOptions options;
  options.levels = 1;
  NodeFixture f(options);
  Peer& a = f.contact(0x74);
  Peer& dead = f.peer(0x71);
  (void)f.node.announce(f.now, kKey, {}, 20s, 8s);
  f.pass(0ms);
  f.answer(f.request(MessageType::find), f.nodes());
  bool has_insisted = false;
  for (int turn = 0; turn < 80 && !has_insisted; ++turn) {
    for (const Sent& sent : f.requests(MessageType::announce)) {
      CHECK(sent.to == a.at);
      has_insisted = sent.as<Announce>().insist;
      AnnounceReply reply = f.taken({}, has_insisted ? StoreStatus::stored : StoreStatus::not_closest);
      if (!has_insisted) reply.closer = {dead.contact()};
      f.answer(sent, reply);
    }
    f.pass(100ms);
  }
  CHECK(has_insisted);
  REQUIRE(f.announcements.size() == 1);
  CHECK(f.announcements[0].announced.stored);
  CHECK(f.announcements[0].announced.end == WalkEnd::exhausted);
}

TEST_CASE("before it is believed that we are first, the next closest node is heard") {
  NodeOptions options;
  options.levels = 1;
  NodeFixture f(options);
  Peer& closest = f.contact(0x71);
  Peer& next = f.contact(0x72);
  Peer& earlier = f.peer(3);
  (void)f.node.announce(f.now, kKey, {}, 20s, 5s);
  f.pass(0ms);
  const auto finds = f.requests(MessageType::find);
  REQUIRE(finds.size() == 2);
  REQUIRE(finds[0].to == closest.at);
  f.answer(finds[0], f.nodes());
  f.answer(f.request(MessageType::announce), f.taken());
  CHECK(f.announcements.empty());
  SUBCASE("it knows of somebody") {
    f.answer(finds[1], f.nodes({}, {earlier.value(kKey, 20s, true)}));
    REQUIRE(f.announcements.size() == 1);
    CHECK(f.announcements[0].announced.end == WalkEnd::found);
    CHECK(f.announcements[0].announced.earlier.size() == 1);
  }
  SUBCASE("it is waited for until it has failed") {
    f.pass(90ms);
    CHECK(f.announcements.empty());
    f.pass(400ms);
    REQUIRE(f.announcements.size() == 1);
    CHECK(f.announcements[0].announced.end == WalkEnd::exhausted);
    CHECK(finds[1].to == next.at);
  }
}

TEST_CASE("where we are the closest ourselves, two neighbours are heard and our own order counts") {
  NodeOptions options;
  options.levels = 1;
  NodeFixture f(options);
  const Key key = id_of(0x55).as<Key>();
  f.contact(0x30);
  f.contact(0x31);
  Peer& earlier = f.peer(3);
  CHECK(f.announce(earlier, key).status == StoreStatus::stored);
  (void)f.requests(MessageType::ping);
  (void)f.node.announce(f.now, key, {}, 20s, 5s);
  f.pass(0ms);
  const auto finds = f.requests(MessageType::find);
  REQUIRE(finds.size() == 2);
  f.answer(finds[0], f.nodes());
  CHECK(f.announcements.empty());
  f.answer(finds[1], f.nodes());
  REQUIRE(f.announcements.size() == 1);
  REQUIRE(f.announcements[0].announced.earlier.size() == 1);
  CHECK(f.announcements[0].announced.earlier[0].publisher == earlier.id);
  CHECK(f.is_silent(MessageType::announce));
}

TEST_CASE_FIXTURE(NodeFixture, "who is alone is first, and says that he is alone") {
  (void)node.announce(now, kKey, {}, 20s, 5s);
  pass(0ms);
  REQUIRE(announcements.size() == 1);
  CHECK(announcements[0].announced.end == WalkEnd::isolated);
  CHECK(announcements[0].announced.stored);
  CHECK(announce(peer(2), kKey).earlier.size() == 1);
}

TEST_CASE("an announcement goes on when its budget is spent, so that later ones find it") {
  NodeOptions options;
  options.levels = 1;
  NodeFixture f(options);
  f.contact(0x71);
  (void)f.node.announce(f.now, kKey, {}, 20s, 100ms);
  const Sent find = f.request(MessageType::find);
  f.pass(120ms);
  REQUIRE(f.announcements.size() == 1);
  CHECK(f.announcements[0].announced.end == WalkEnd::deadline);
  CHECK_FALSE(f.announcements[0].announced.stored);
  f.answer(find, f.nodes());
  f.answer(f.request(MessageType::announce), f.taken());
  CHECK(f.announcements.size() == 1);  // it is answered once
}

TEST_CASE("announcements are copied to the next closest nodes with their age") {
  NodeOptions options;
  options.levels = 1;
  options.replicas[0] = 3;
  NodeFixture f(options);
  const Key key = id_of(0x55).as<Key>();
  for (const std::uint8_t byte : {0x54, 0x57, 0x51, 0x30}) f.contact(byte);
  Peer& a = f.peer(1);
  CHECK(f.announce(a, key).status == StoreStatus::stored);
  f.pass(25ms);
  const auto copies = f.requests(MessageType::handover);
  REQUIRE(copies.size() == 2);
  CHECK(copies[0].to == f.peers[0].at);
  CHECK(copies[1].to == f.peers[1].at);
  REQUIRE(copies[0].as<Handover>().values.size() == 1);
  CHECK(copies[0].as<Handover>().values[0].age_ms == 20);
  CHECK(copies[0].as<Handover>().values[0].record.publisher == a.credentials.public_key());
}
