// Whom a node believes: records are signed by their publishers, contacts have proven their ids.
#include <doctest/doctest.h>

#include "tests/dsht/node_fixture.h"

using namespace reef;
using namespace reef::dsht;
using namespace std::chrono_literals;

namespace {

const Endpoint kOurs{IpAddress::v4(20, 0, 0, 9), 9000};

// A stranger has been asked back, and answers in some way.
struct Asked : NodeFixture {
  Peer& a = peer(0x71);
  Sent back = (static_cast<void>(ask(a, Ping{})), request(MessageType::ping));

  void prove(const NodeId& requester, std::uint64_t transaction, const NodeId& answerer,
             const Endpoint& signed_endpoint, const Peer& signer) {
    Message pong = answer_to(back, Pong{kOurs, 1}, a);
    pong.proof =
        Proof{signer.credentials.public_key(),
              signer.credentials.sign(proof_bytes(kNet, transaction, requester, answerer, signed_endpoint))};
    deliver(pong, a.at);
  }
};

}  // namespace

TEST_CASE_FIXTURE(Asked, "a contact enters the table with a proof of its id") {
  CHECK(back.message.header.prove);
  prove(node.id(), back.message.header.transaction, a.id, kOurs, a);
  REQUIRE(node.table().find(a.id) != nullptr);
  CHECK(node.table().find(a.id)->proven);
  CHECK(node.counters().unproven.value() == 0);
}

TEST_CASE_FIXTURE(Asked, "who answers without a proof does not enter the table") {
  Message pong = answer_to(back, Pong{kOurs, 1}, a);
  pong.proof.reset();
  deliver(pong, a.at);
  CHECK(node.contact_count() == 0);
}

TEST_CASE_FIXTURE(Asked, "a proof made for another requester does not hold") {
  prove(id_of(0x56), back.message.header.transaction, a.id, kOurs, a);
  CHECK(node.contact_count() == 0);
  CHECK(node.counters().unproven.value() == 1);
}

TEST_CASE_FIXTURE(Asked, "a proof made for another exchange does not hold") {
  prove(node.id(), back.message.header.transaction + 1, a.id, kOurs, a);
  CHECK(node.contact_count() == 0);
  CHECK(node.counters().unproven.value() == 1);
}

TEST_CASE_FIXTURE(Asked, "a proof of an endpoint other than the one that the answer names does not hold") {
  prove(node.id(), back.message.header.transaction, a.id, {IpAddress::v4(20, 0, 0, 10), 9000}, a);
  CHECK(node.contact_count() == 0);
  CHECK(node.counters().unproven.value() == 1);
}

TEST_CASE_FIXTURE(Asked, "a proof by the key of another id does not hold") {
  prove(node.id(), back.message.header.transaction, a.id, kOurs, peer(0x72));
  CHECK(node.contact_count() == 0);
  CHECK(node.counters().unproven.value() == 1);
}

TEST_CASE_FIXTURE(NodeFixture, "a proof that somebody in between had made for himself shows his address") {
  for (std::uint8_t i = 1; i <= 5; ++i) contact(i);
  CHECK(node.observed() == kOurs);
  Peer& victim = peer(0x71);
  (void)ask(victim, Ping{});
  const Sent back = request(MessageType::ping);
  deliver(answer_to(back, Pong{{IpAddress::v4(20, 66, 66, 66), 9000}, 1}, victim), victim.at);
  CHECK(node.table().find(victim.id) == nullptr);
  CHECK(node.counters().unproven.value() == 1);
}

TEST_CASE_FIXTURE(NodeFixture, "another id that answers in the place of the one asked takes its place") {
  Peer& old = contact(0x71);
  Peer heir(id_of(0x72), old.at);
  (void)node.get(now, id_of(0x70).as<Key>(), 1s);
  const Sent find = request(MessageType::find);
  Message reply = answer_to(find, nodes(), heir);
  deliver(reply, old.at);
  CHECK(node.table().find(old.id) == nullptr);
  CHECK(node.table().find(heir.id) == nullptr);  // it has not proven its own either
  REQUIRE(gets.size() == 1);
  CHECK(gets[0].found.reached_bits == -1);
}

TEST_CASE_FIXTURE(NodeFixture, "a record under the key of another publisher is refused") {
  const Key key = id_of(0x56).as<Key>();
  Peer& a = peer(0x99);
  Peer& victim = peer(0x98);
  const std::uint64_t t = token(a);
  // Its own record, but it is the victim who would have to bring it.
  CHECK(asked<Stored>(a, Store{key, t, victim.record(key, 60s)}).status == StoreStatus::refused);
  CHECK(asked<AnnounceReply>(a, Announce{key, t, true, victim.record(key, 20s, true), 0}).status ==
        StoreStatus::refused);
  // In the victim's name, with a signature of somebody else.
  Record forged = a.record(key, 60s);
  forged.publisher = victim.credentials.public_key();
  Peer in_its_name(victim.id, a.at);
  CHECK(asked<Stored>(in_its_name, Store{key, t, forged}).status == StoreStatus::refused);
  CHECK(node.counters().forged.value() == 1);
  Record withdrawal = a.record(key, 0s);
  withdrawal.publisher = victim.credentials.public_key();
  CHECK(store(victim, key, 60s) == StoreStatus::stored);
  CHECK(asked<Stored>(in_its_name, Withdraw{key, t, withdrawal}).status == StoreStatus::refused);
  CHECK(node.counters().forged.value() == 2);
  CHECK(node.storage(0).value_count() == 1);
}

TEST_CASE_FIXTURE(NodeFixture, "a record holds under its own key and as it was signed, and not otherwise") {
  const Key key = id_of(0x56).as<Key>();
  const Key other = id_of(0x57).as<Key>();
  Peer& a = peer(0x99);
  const std::uint64_t t = token(a);
  Record record = a.record(key, 60s);
  CHECK(asked<Stored>(a, Store{other, t, record}).status == StoreStatus::refused);
  record.ttl_seconds = 3600;
  CHECK(asked<Stored>(a, Store{key, t, record}).status == StoreStatus::refused);
  CHECK(node.counters().forged.value() == 2);
  CHECK(node.storage(0).value_count() == 0);
}

TEST_CASE_FIXTURE(NodeFixture, "of a handover only what its publishers signed is taken") {
  const Key key = id_of(0x56).as<Key>();
  Peer& a = peer(0x99);
  Peer& publisher = peer(3);
  WireValue forged = a.value(key, 60s);
  forged.record.publisher = peer(4).credentials.public_key();
  CHECK(asked<Stored>(a, Handover{key, token(a), {forged, publisher.value(key, 60s)}}).status ==
        StoreStatus::stored);
  CHECK(node.counters().forged.value() == 1);
  const auto held = node.storage(0).live(now, key);
  REQUIRE(held.size() == 1);
  CHECK(held[0]->publisher == publisher.id);
}

TEST_CASE_FIXTURE(NodeFixture, "values with a bad signature are not returned by a get; it goes on") {
  contact(0x71);
  Peer& publisher = peer(3);
  const Key key = id_of(0x70).as<Key>();
  (void)node.get(now, key, 5s);
  pass(0ms);
  WireValue forged = publisher.value(key, 60s);
  forged.record.data = Bytes(3);
  WireValue misplaced = publisher.value(id_of(0x6f).as<Key>(), 60s);
  answer(request(MessageType::find), nodes({}, {forged, misplaced}));
  REQUIRE(gets.size() == 1);
  CHECK(gets[0].found.values.empty());
  CHECK(gets[0].found.end == WalkEnd::exhausted);
  CHECK(node.counters().forged.value() == 2);
}

TEST_CASE("what would need more signatures than the budget has is dropped and counted") {
  NodeOptions options;
  options.signatures_per_second = 10;
  NodeFixture f(options);
  const Key key = id_of(0x56).as<Key>();
  Peer& a = f.peer(0x99);
  const std::uint64_t t = f.token(a);
  for (int i = 0; i < 10; ++i) CHECK(f.ask(a, Store{key, t, a.record(key, 60s)}));
  CHECK(f.node.counters().signatures_exhausted.value() == 0);
  CHECK_FALSE(f.ask(a, Store{key, t, a.record(key, 60s)}));
  CHECK_FALSE(f.ask(a, Announce{key, t, true, a.record(key, 20s, true), 0}));
  CHECK_FALSE(f.ask(a, Withdraw{key, t, a.record(key, 0s)}));
  CHECK_FALSE(f.ask(a, Handover{key, t, {f.peer(3).value(key, 60s)}}));
  CHECK(f.node.counters().signatures_exhausted.value() == 4);
  // What needs none is answered as ever, though without the proof that was asked for.
  const auto pong = f.ask(a, Ping{}, 0, true);
  REQUIRE(pong);
  CHECK_FALSE(pong->message.proof.has_value());
  f.now += 500ms;
  for (int i = 0; i < 5; ++i) CHECK(f.ask(a, Store{key, t, a.record(key, 60s)}));
  CHECK_FALSE(f.ask(a, Store{key, t, a.record(key, 60s)}));
}

TEST_CASE("what is held already is taken without checking its signature again, and nothing else is") {
  NodeFixture f;
  const Key key = id_of(0x56).as<Key>();
  Peer &a = f.peer(0x99), &publisher = f.peer(3);
  const std::uint64_t t = f.token(a);
  const WireValue value = publisher.value(key, 60s);
  const auto hand_over = [&](const WireValue& what) {
    return f.asked<Stored>(a, Handover{key, t, {what}}).status;
  };
  CHECK(hand_over(value) == StoreStatus::stored);
  CHECK(f.node.counters().signatures_checked.value() == 1);
  for (int i = 0; i < 5; ++i) CHECK(hand_over(value) == StoreStatus::stored);
  CHECK(f.node.counters().signatures_checked.value() == 1);
  WireValue forged = value;
  forged.record.ttl_seconds += 1;
  hand_over(forged);
  CHECK(f.node.counters().forged.value() == 1);
  CHECK(f.node.counters().signatures_checked.value() == 2);
  // Of a publisher itself likewise: a repetition of what came before.
  const Record own = a.record(key, 60s);
  for (int i = 0; i < 3; ++i) CHECK(f.ask(a, Store{key, t, own}));
  CHECK(f.node.counters().signatures_checked.value() == 3);
}

TEST_CASE("writes without a token spend nothing of the signature budget: anybody can send them") {
  NodeOptions options;
  options.signatures_per_second = 2;
  NodeFixture f(options);
  const Key key = id_of(0x56).as<Key>();
  Peer& a = f.peer(0x99);
  for (int i = 0; i < 20; ++i) {
    CHECK(f.asked<Stored>(a, Store{key, 1, a.record(key, 60s)}).status == StoreStatus::token_needed);
    CHECK(f.asked<Stored>(a, Withdraw{key, 1, a.record(key, 0s)}).status == StoreStatus::token_needed);
    CHECK(f.asked<AnnounceReply>(a, Announce{key, 1, true, a.record(key, 20s, true), 0}).status ==
          StoreStatus::token_needed);
  }
  CHECK(f.store(a, key, 60s) == StoreStatus::stored);
}
