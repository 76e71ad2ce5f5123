// Gets: from the innermost level outwards, until somebody has values.
#include <doctest/doctest.h>

#include <set>

#include "tests/dsht/node_fixture.h"

using namespace reef;
using namespace reef::dsht;
using namespace std::chrono_literals;

namespace {

const Key kKey = id_of(0x70).as<Key>();

}  // namespace

TEST_CASE_FIXTURE(NodeFixture, "a get asks level 2 first, then goes on from the outer contacts named there") {
  Peer& near = contact(0x74, 2);
  contact(0x30, 0);
  Peer& middle = peer(0x72);
  Peer& far = peer(0x71);
  Peer& publisher = peer(3);
  const WalkId walk = node.get(now, kKey, 5s);
  const Sent first = request(MessageType::find);
  CHECK(first.to == near.at);
  CHECK(first.message.header.level == 2);
  CHECK(first.as<Find>().want == Want::values);
  CHECK(first.bytes == kPaddedRequestBytes);

  Nodes reply = nodes();
  reply.outer = {middle.contact()};
  answer(first, reply);
  const auto second = requests(MessageType::find);
  REQUIRE(second.size() == 2);  // the one that it knew, and the one that it was told of
  for (const Sent& find : second) CHECK(find.message.header.level == 1);
  CHECK(second[0].to == middle.at);  // closer to the key
  CHECK(second[1].to == near.at);

  reply.outer = {far.contact()};
  answer(second[0], reply);  // one word is enough to go on
  const auto third = requests(MessageType::find);
  REQUIRE(third.size() == 4);
  for (const Sent& find : third) CHECK(find.message.header.level == 0);
  CHECK(third[0].to == far.at);

  CHECK(gets.empty());
  answer(third[0], nodes({}, {publisher.value(kKey, 60s)}));
  REQUIRE(gets.size() == 1);
  CHECK(gets[0].walk == walk);
  CHECK(gets[0].found.end == WalkEnd::found);
  CHECK(gets[0].found.level == 0);
  CHECK(gets[0].found.reached_bits == 7);
  REQUIRE(gets[0].found.values.size() == 1);
  CHECK(gets[0].found.values[0].publisher == publisher.id);
  CHECK(node.counters().found_at[0].value() == 1);
}

TEST_CASE_FIXTURE(NodeFixture, "what is found at a level ends the walk there") {
  Peer& near = contact(0x74, 2);
  contact(0x71, 0);
  (void)node.get(now, kKey, 5s);
  pass(0ms);
  answer(request(MessageType::find), nodes({}, {near.value(kKey, 60s)}));
  REQUIRE(gets.size() == 1);
  CHECK(gets[0].found.level == 2);
  CHECK(gets[0].found.hops == 1);
  CHECK(is_silent(MessageType::find));
  CHECK(node.counters().found_at[2].value() == 1);
}

TEST_CASE_FIXTURE(NodeFixture, "nobody waits for who is late at an inner level; its values still count") {
  Peer& near = contact(0x74, 2);
  (void)node.get(now, kKey, 5s);
  const Sent first = request(MessageType::find);
  pass(90ms);  // less than any time-out
  const auto outer = requests(MessageType::find);
  REQUIRE(!outer.empty());
  CHECK(outer[0].message.header.level == 1);
  CHECK(node.counters().rpcs_failed.value() == 0);
  CHECK(gets.empty());
  answer(first, nodes({}, {near.value(kKey, 60s)}));
  REQUIRE(gets.size() == 1);
  CHECK(gets[0].found.level == 2);
  CHECK(gets[0].found.end == WalkEnd::found);
}

TEST_CASE("one that is later than usual is replaced before its time-out") {
  NodeOptions options;
  options.levels = 1;
  options.alpha[0] = 3;
  NodeFixture f(options);
  for (const std::uint8_t byte : {0x71, 0x72, 0x74, 0x78, 0x60}) f.contact(byte);
  (void)f.node.get(f.now, kKey, 5s);
  f.pass(0ms);
  const auto first = f.requests(MessageType::find);
  REQUIRE(first.size() == 3);
  f.pass(20ms);
  CHECK(f.is_silent(MessageType::find));
  f.pass(70ms);
  const auto others = f.requests(MessageType::find);
  REQUIRE(others.size() == 2);
  for (const Sent& find : others) {
    for (const Sent& before : first) CHECK(find.to != before.to);
  }
  CHECK(f.node.counters().rpcs_retried.value() == 0);
  CHECK(f.node.counters().rpcs_failed.value() == 0);
}

TEST_CASE_FIXTURE(NodeFixture, "a get looks at the levels that it was told to, and at no others") {
  contact(0x74, 2);
  (void)node.get(now, kKey, 5s, {mask_of(0), false});
  const Sent global = request(MessageType::find);
  CHECK(global.message.header.level == 0);
  answer(global, nodes());
  CHECK(gets.size() == 1);
  (void)node.get(now, kKey, 5s, {mask_of(2), false});
  const Sent near = request(MessageType::find);
  CHECK(near.message.header.level == 2);
  answer(near, nodes());
  REQUIRE(gets.size() == 2);
  CHECK(gets[1].found.end == WalkEnd::exhausted);
  CHECK(is_silent(MessageType::find));
  (void)node.get(now, kKey, 5s, {0, false});
  pass(0ms);
  CHECK(is_silent(MessageType::find));
}

TEST_CASE_FIXTURE(NodeFixture,
                  "a trace tells of every request: whom, where, after how many hops, with what outcome") {
  Peer& near = contact(0x74, 2);
  Peer& far = peer(0x71);
  Peer& dead = contact(0x30, 0);
  (void)node.get(now, kKey, 5s, {kAllLevels, true});
  const Sent first = request(MessageType::find);
  now += 20ms;
  answer(first, nodes());
  answer(request(MessageType::find), nodes());  // level 1
  const auto outer = requests(MessageType::find);
  REQUIRE(outer.size() == 2);
  answer(outer[0], nodes({far.contact()}));
  const Sent last = request(MessageType::find);
  CHECK(last.to == far.at);
  pass(3s);  // `dead` does not answer; `far` has failed as well
  REQUIRE(gets.size() == 1);
  const auto& steps = gets[0].steps;
  REQUIRE(steps.size() == 5);
  CHECK(steps[0].level == 2);
  CHECK(steps[0].contact.id == near.id);
  CHECK(steps[0].hops == 1);
  CHECK(steps[0].bits == 5);
  CHECK(steps[0].rtt == Duration(20ms));
  CHECK(steps[0].outcome == TraceStep::Outcome::contacts);
  CHECK(steps[1].level == 1);
  CHECK(steps[1].sent_after == Duration(20ms));
  CHECK(steps[2].level == 0);
  CHECK(steps[2].named == 1);
  CHECK(steps[3].contact.id == dead.id);
  CHECK(steps[3].outcome == TraceStep::Outcome::timed_out);
  CHECK(steps[4].contact.id == far.id);
  CHECK(steps[4].hops == steps[2].hops + 1);
  CHECK(steps[4].outcome == TraceStep::Outcome::timed_out);
  CHECK(gets[0].found.reached_bits == 5);
}

TEST_CASE_FIXTURE(NodeFixture,
                  "a get without a trace gives no steps; one with contacts to none is isolated") {
  (void)node.get(now, kKey, 5s);
  pass(0ms);
  REQUIRE(gets.size() == 1);
  CHECK(gets[0].found.end == WalkEnd::isolated);
  CHECK(gets[0].found.reached_bits == -1);
  CHECK(gets[0].steps.empty());
}

TEST_CASE_FIXTURE(NodeFixture, "when the budget is spent a get ends with what it has") {
  contact(0x71);
  (void)node.get(now, kKey, 150ms);
  pass(149ms);
  CHECK(gets.empty());
  pass(1ms);
  REQUIRE(gets.size() == 1);
  CHECK(gets[0].found.end == WalkEnd::deadline);
}

TEST_CASE_FIXTURE(NodeFixture, "a private contact named from the Internet is not followed") {
  contact(0x10);
  (void)node.get(now, kKey, 1s);
  pass(0ms);
  const Contact inside{id_of(0x71), {IpAddress::v4(192, 168, 0, 1), 53}, 0, 0, 0};
  const Contact nowhere{id_of(0x73), {IpAddress::v4(0, 0, 0, 0), 53}, 0, 0, 0};
  Peer& outside = peer(0x72);
  answer(request(MessageType::find), nodes({inside, nowhere, outside.contact()}));
  CHECK(request(MessageType::find).to == outside.at);
  CHECK(node.counters().unfollowed.value() == 2);
}

TEST_CASE_FIXTURE(NodeFixture, "our own value is given when nobody else has one, and only then") {
  Peer& a = contact(0x71);
  (void)node.put(now, kKey, as_bytes("mine"), 60s);
  (void)live(1s);
  REQUIRE(puts.size() == 1);
  (void)node.get(now, kKey, 5s);
  (void)live(1s);
  REQUIRE(gets.size() == 1);
  CHECK(gets[0].found.end == WalkEnd::found);
  REQUIRE(gets[0].found.values.size() == 1);
  CHECK(gets[0].found.values[0].publisher == node.id());
  (void)node.get(now, kKey, 5s);
  pass(0ms);
  answer(request(MessageType::find), nodes({}, {a.value(kKey, 60s)}));
  REQUIRE(gets.size() == 2);
  REQUIRE(gets[1].found.values.size() == 1);
  CHECK(gets[1].found.values[0].publisher == a.id);
}

TEST_CASE_FIXTURE(NodeFixture, "values of others that are here are given at once") {
  contact(0x71);
  Peer& publisher = peer(3);
  CHECK(store(publisher, kKey, 60s) == StoreStatus::stored);
  (void)requests(MessageType::ping);
  const WalkId walk = node.get(now, kKey, 5s);
  pass(0ms);
  REQUIRE(gets.size() == 1);
  CHECK(gets[0].walk == walk);
  CHECK(gets[0].found.values[0].publisher == publisher.id);
  CHECK(is_silent(MessageType::find));
}

TEST_CASE("who is asked for a key more often than hot_gets in a minute says that it is hot") {
  NodeOptions options;
  options.hot_gets = 5;
  NodeFixture f(options);
  Peer& a = f.peer(0x99);
  const Find find{kKey, kKey, Want::values, 0, 259};
  for (int i = 0; i < 5; ++i) CHECK_FALSE(f.asked<Nodes>(a, find).hot);
  CHECK(f.asked<Nodes>(a, find).hot);
  const Key other = id_of(0x77).as<Key>();
  CHECK_FALSE(f.asked<Nodes>(a, Find{other, other, Want::values, 0, 259}).hot);
  f.now += 61s;
  CHECK_FALSE(f.asked<Nodes>(a, find).hot);
}

TEST_CASE_FIXTURE(NodeFixture,
                  "values of a hot key are remembered for hot_memory, those of a cold one are not") {
  contact(0x71);
  Peer& publisher = peer(3);
  Peer& fetching = peer(4);
  const auto get_again = [&](bool hot) -> std::size_t {
    (void)node.get(now, kKey, 5s);
    auto finds = requests(MessageType::find);
    Nodes reply = nodes({}, {fetching.value(kKey, 20s, true), publisher.value(kKey, 60s)});
    reply.hot = hot;
    for (const Sent& find : finds) answer(find, reply);
    return finds.size();
  };
  CHECK(get_again(false) == 1);
  CHECK(get_again(true) == 1);
  CHECK(get_again(false) == 0);
  REQUIRE(gets.size() == 3);
  // Whoever is only about to fetch it is not remembered: that order is not ours to keep.
  REQUIRE(gets[2].found.values.size() == 1);
  CHECK(gets[2].found.values[0].publisher == publisher.id);
  // It is told others meanwhile.
  CHECK(asked<Nodes>(peer(0x99), Find{kKey, kKey, Want::values, 0, 259}).values.size() == 1);
  now += 16s;
  CHECK(get_again(false) == 1);
}
