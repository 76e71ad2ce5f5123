// One node, spoken to by hand: what it answers, and what it does not.
#include "dsht/node.h"

#include <doctest/doctest.h>

#include "tests/dsht/node_fixture.h"

using namespace reef;
using namespace reef::dsht;
using namespace std::chrono_literals;

TEST_CASE_FIXTURE(
    NodeFixture,
    "a ping is answered with the transaction, the observed endpoint and a token; the asker is asked back") {
  Peer& a = peer(0x99);
  const auto pong = ask(a, Ping{});
  REQUIRE(pong);
  CHECK(pong->message.header.sender == id_of(0x55));
  CHECK(pong->as<Pong>().observed == a.at);
  CHECK(pong->as<Pong>().token != 0);
  CHECK(request(MessageType::ping).to == a.at);
  CHECK(node.contact_count() == 0);  // nobody is a contact who has not answered
}

TEST_CASE_FIXTURE(NodeFixture, "an answer counts once, from where it was asked, with what it was asked") {
  Peer& a = peer(0x99);
  (void)ask(a, Ping{});
  const Sent back = request(MessageType::ping);
  const Message pong = answer_to(back, Pong{a.at, 1}, a);
  deliver(pong, {a.at.address, 7001});
  Message wrong = pong;
  wrong.header.transaction ^= 1;
  deliver(wrong, a.at);
  Message wrong_type = pong;
  wrong_type.body = Stored{};
  deliver(wrong_type, a.at);
  CHECK(node.contact_count() == 0);
  CHECK(node.counters().unexpected.value() == 3);
  now += 30ms;
  deliver(pong, a.at);
  REQUIRE(node.contact_count() == 1);
  CHECK(node.table().entries()[0].rtt.least() == Duration(30ms));
  deliver(pong, a.at);
  CHECK(node.counters().unexpected.value() == 4);
}

TEST_CASE_FIXTURE(NodeFixture, "without a valid token nothing is stored, and the reply brings one") {
  const Key key = id_of(0x56).as<Key>();
  Peer& a = peer(0x99);
  Peer& b = peer(0x98);
  Store store{key, 0, a.record(key, 60s)};
  const auto refused = asked<Stored>(a, store);
  CHECK(refused.status == StoreStatus::token_needed);
  CHECK(node.storage(0).value_count() == 0);
  store.token = refused.token;
  // A token holds for the address that it was given to.
  CHECK(asked<Stored>(b, Store{key, store.token, b.record(key, 60s)}).status == StoreStatus::token_needed);
  CHECK(asked<Stored>(a, store).status == StoreStatus::stored);
  CHECK(asked<Stored>(a, Store{key, store.token, a.record(key, 60s)}).status == StoreStatus::renewed);
  CHECK(asked<Stored>(a, Withdraw{key, 0, a.record(key, 0s)}).status == StoreStatus::token_needed);
  CHECK(asked<AnnounceReply>(a, Announce{key, 0, false, a.record(key, 20s, true), 0}).status ==
        StoreStatus::token_needed);
  CHECK(asked<Stored>(a, Handover{key, 0, {}}).status == StoreStatus::token_needed);
  CHECK(node.storage(0).value_count() == 1);
  CHECK(asked<Stored>(a, Withdraw{key, store.token, a.record(key, 0s)}).status == StoreStatus::withdrawn);
  CHECK(asked<Stored>(a, Withdraw{key, store.token, a.record(key, 0s)}).status == StoreStatus::absent);
  CHECK(node.counters().token_needed.value() == 5);
}

TEST_CASE_FIXTURE(NodeFixture,
                  "a record that was overtaken by a newer one of its publisher changes nothing") {
  const Key key = id_of(0x56).as<Key>();
  Peer& a = peer(0x99);
  const std::uint64_t t = token(a);
  const Record first = a.record(key, 60s);
  const Record second = a.record(key, 60s);
  CHECK(asked<Stored>(a, Store{key, t, second}).status == StoreStatus::stored);
  (void)asked<Stored>(a, Store{key, t, first});
  CHECK(node.counters().values_old.value() == 1);
  REQUIRE(node.storage(0).live(now, key).size() == 1);
  CHECK(node.storage(0).live(now, key)[0]->record == second);
}

TEST_CASE_FIXTURE(NodeFixture,
                  "announcers are told who came before; an announcement is counted in for its sender only") {
  const Key key = id_of(0x56).as<Key>();
  Peer& a = peer(1);
  Peer& b = peer(2);
  const auto first = announce(a, key, 0, false);
  CHECK(first.status == StoreStatus::stored);
  CHECK(first.earlier.empty());
  const auto second = announce(b, key, 0, false);
  REQUIRE(second.earlier.size() == 1);
  CHECK(second.earlier[0].record.publisher == a.credentials.public_key());
  CHECK(second.earlier[0].record.provisional);
  const auto again = announce(a, key, 0, false);
  CHECK(again.status == StoreStatus::renewed);
  CHECK(again.earlier.empty());
}

TEST_CASE_FIXTURE(NodeFixture,
                  "who knows a closer live node names it instead of storing, unless the announcer insists") {
  const Key key = id_of(0x70).as<Key>();
  Peer& closer = contact(0x71);
  Peer& a = peer(0x99);
  const auto sent_on = announce(a, key, 0, false);
  CHECK(sent_on.status == StoreStatus::not_closest);
  REQUIRE(sent_on.closer.size() == 1);
  CHECK(sent_on.closer[0].rpc == closer.at);
  CHECK(node.storage(0).value_count() == 0);
  CHECK(node.counters().redirected.value() == 1);
  // The closer one itself may announce here.
  CHECK(announce(closer, key, 0, false).status == StoreStatus::stored);
  const auto insisted = announce(a, key, 0, true);
  CHECK(insisted.status == StoreStatus::stored);
  CHECK(insisted.earlier.size() == 1);
}

TEST_CASE_FIXTURE(NodeFixture, "no reply is more than three times its request, with a proof or without") {
  for (std::uint8_t i = 0; i < 40; ++i) {
    (void)ask(peer(static_cast<std::uint8_t>(1 + i * 6)), Ping{});
    for (const Sent& ping : requests(MessageType::ping))
      answer(ping, Pong{{IpAddress::v4(20, 0, 0, 9), 9}, 1});
  }
  REQUIRE(node.contact_count() >= 8);
  const Key key = id_of(0x56).as<Key>();
  for (std::uint8_t i = 0; i < 10; ++i) {
    Peer& holder = peer(static_cast<std::uint8_t>(0xa0 + i));
    CHECK(asked<Stored>(holder,
                        Store{key, token(holder), holder.record(key, 60s, false, Bytes(kValueBytesMax))})
              .status == StoreStatus::stored);
  }
  Peer& a = peer(0x99);
  std::size_t largest = 0;
  for (const bool prove : {false, true}) {
    for (const std::uint16_t padding : {0, 1, 20, 60, 100, 200, 259}) {
      Announce put{key, token(a), true, a.record(key, 20s, true), padding};
      for (const Body& body :
           {Body(Find{key, key, Want::values, 0, padding}), Body(Find{key, key, Want::place, 60, padding}),
            Body(put), Body(Sample{node.cluster(now, 1).id, padding})}) {
        // ask() checks the factor.
        const auto reply = ask(a, body, std::holds_alternative<Sample>(body) ? 1 : 0, prove);
        REQUIRE(reply);
        CHECK(reply->message.proof.has_value() == prove);
        CHECK(reply->bytes <= kMessageBytesMax);
        largest = std::max(largest, reply->bytes);
      }
      CHECK(ask(a, Ping{}, 0, prove)->message.proof.has_value() == prove);
      CHECK(ask(a, Store{key, 0, a.record(key, 60s)}, 0, prove)->message.proof.has_value() == prove);
      CHECK(ask(a, Withdraw{key, 0, a.record(key, 0s)}, 0, prove)->message.proof.has_value() == prove);
      CHECK(ask(a, Handover{key, 0, {}}, 0, prove)->message.proof.has_value() == prove);
    }
  }
  CHECK(largest > 1000);  // there was a lot to say
}

TEST_CASE_FIXTURE(NodeFixture, "contacts are named closest first, never the asker, never a suspect") {
  for (std::uint8_t i = 0; i < 20; ++i) contact(static_cast<std::uint8_t>(i * 11 + 1));
  const Key target = id_of(34).as<Key>();
  Peer& asker = peer_at(node.table().find(id_of(34))->contact.rpc);
  const Find find{target, target, Want::contacts, 0, 259};
  const auto named = asked<Nodes>(asker, find).contacts;
  REQUIRE(named.size() == 8);
  for (std::size_t i = 0; i < named.size(); ++i) {
    CHECK(named[i].id != id_of(34));
    if (i > 0) CHECK(distance(named[i - 1].id, target) < distance(named[i].id, target));
  }
  // Its farewell makes it suspect at once: nobody is sent there.
  const NodeId gone = named[0].id;
  deliver(message(peer_at(named[0].rpc), Leave{}), named[0].rpc);
  for (const Contact& c : asked<Nodes>(asker, find).contacts) CHECK(c.id != gone);
  // The same farewell from elsewhere says nothing.
  const NodeId stays = named[1].id;
  deliver(message(peer_at(named[1].rpc), Leave{}), asker.at);
  CHECK_FALSE(node.table().find(stays)->is_suspect());
}

TEST_CASE_FIXTURE(NodeFixture,
                  "farewells in the name of one that lives do not drop it: they could be forged") {
  Peer& a = contact(0x71);
  (void)requests(MessageType::ping);
  for (int i = 0; i < 20; ++i) deliver(message(a, Leave{}), a.at);
  REQUIRE(node.table().find(a.id) != nullptr);
  CHECK(node.table().find(a.id)->is_suspect());
  answer(request(MessageType::ping), Pong{a.at, 1});
  CHECK_FALSE(node.table().find(a.id)->is_suspect());
}

TEST_CASE_FIXTURE(NodeFixture, "datagrams that are no message of our network are dropped and counted") {
  node.on_datagram(now, peer(1).at, as_bytes("hello"));
  Message other = message(peer(2), Ping{});
  other.header.network = kNet + 1;
  deliver(other, peers[1].at);
  deliver(message(peer(0x55), Ping{}), peers[2].at);  // our own id
  CHECK(outbox.empty());
  CHECK(node.counters().undecodable[static_cast<std::size_t>(DecodeError::foreign)].value() == 1);
  CHECK(node.counters().undecodable[static_cast<std::size_t>(DecodeError::wrong_network)].value() == 1);
  CHECK(node.counters().own.value() == 1);
}

TEST_CASE_FIXTURE(NodeFixture, "a source that floods is answered at its rate only") {
  Peer& a = peer(0x99);
  std::size_t answered = 0;
  for (int i = 0; i < 5000; ++i) answered += ask(a, Ping{}).has_value();
  CHECK(answered == 1000);
  CHECK(node.counters().rate_limited.value() == 4000);
}

TEST_CASE_FIXTURE(NodeFixture, "a handover is taken next to its key only") {
  for (std::uint8_t i = 0; i < 8; ++i) {
    NodeId id = id_of(0xf0);
    id.bytes[19] = i;
    contact(id);
  }
  Peer& a = peer(0x99);
  Peer& publisher = peer(3);
  const std::uint64_t t = token(a);
  const Key far = id_of(0xf0).as<Key>();
  const Key near = id_of(0x54).as<Key>();
  CHECK(asked<Stored>(a, Handover{far, t, {publisher.value(far, 60s)}}).status == StoreStatus::refused);
  CHECK(node.counters().values_refused.value() == 1);
  CHECK(asked<Stored>(a, Handover{near, t, {publisher.value(near, 60s)}}).status == StoreStatus::stored);
  CHECK(node.storage(0).value_count() == 1);
}

TEST_CASE_FIXTURE(NodeFixture,
                  "a contact that moved is believed once it has proven that it is the same one") {
  Peer& before = contact(0x71);
  Peer& after = peer(0x71);
  now += 2min;
  (void)ask(after, Ping{});
  const Sent back = request(MessageType::ping);
  REQUIRE(back.to == after.at);
  CHECK(back.message.header.prove);
  answer(back, Pong{after.at, 1});
  CHECK(node.table().find(before.id)->contact.rpc == after.at);
  CHECK(node.table().find(before.id)->proven);
}

TEST_CASE_FIXTURE(NodeFixture, "every walk ends: by its budget when nobody answers") {
  contact(0x10, 2);
  const WalkId get = node.get(now, id_of(1).as<Key>(), 300ms);
  const WalkId announcement = node.announce(now, id_of(1).as<Key>(), {}, 20s, 400ms);
  const WalkId put = node.put(now, id_of(1).as<Key>(), {}, 20s);
  const WalkId withdrawal = node.withdraw(now, id_of(2).as<Key>());
  pass(15s);
  REQUIRE(gets.size() == 1);
  CHECK(gets[0].walk == get);
  REQUIRE(announcements.size() == 1);
  CHECK(announcements[0].walk == announcement);
  REQUIRE(puts.size() == 2);
  CHECK(std::min(puts[0].walk, puts[1].walk) == put);
  CHECK(std::max(puts[0].walk, puts[1].walk) == withdrawal);
}

TEST_CASE("beyond the bound on walks the answer is overloaded, and nothing is sent") {
  NodeOptions options;
  options.walks_max = 0;
  NodeFixture f(options);
  f.contact(0x10);
  const WalkId get = f.node.get(f.now, Key{}, 1s);
  (void)f.node.announce(f.now, Key{}, {}, 20s, 1s);
  (void)f.node.put(f.now, Key{}, {}, 20s);
  f.pass(0ms);
  REQUIRE(f.gets.size() == 1);
  CHECK(f.gets[0].walk == get);
  CHECK(f.gets[0].found.end == WalkEnd::overloaded);
  REQUIRE(f.announcements.size() == 1);
  CHECK(f.announcements[0].announced.end == WalkEnd::overloaded);
  REQUIRE(f.puts.size() == 1);
  CHECK_FALSE(f.puts[0].stored);
  CHECK(f.is_silent(MessageType::find));
}

TEST_CASE_FIXTURE(NodeFixture, "who leaves hands over what it holds, says farewell, and then is asleep") {
  const Key key = id_of(0x56).as<Key>();
  Peer& a = contact(0x71, 2);
  CHECK(store(a, key, 60s, 0) == StoreStatus::stored);
  const Key other = id_of(0x57).as<Key>();
  CHECK(store(a, other, 60s, 2) == StoreStatus::stored);
  node.leave(now);
  pass(1ms);
  const auto handovers = requests(MessageType::handover);
  REQUIRE(handovers.size() == 2);  // a level each
  for (const Sent& handover : handovers) {
    CHECK(handover.to == a.at);
    CHECK(handover.message.header.level == (handover.as<Handover>().key == key ? 0 : 2));
    answer(handover, Stored{{IpAddress::v4(20, 0, 0, 9), 9}, StoreStatus::stored, 1});
  }
  CHECK(has_left);
  CHECK(request(MessageType::leave).to == a.at);
  CHECK_FALSE(ask(a, Ping{}));
  CHECK(node.counters().after_leave.value() == 1);
  pass(1h);
  CHECK(outbox.empty());
}
