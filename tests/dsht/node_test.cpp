// One node, spoken to by hand: what it answers, and what it does not.
#include "dsht/node.h"

#include <doctest/doctest.h>

#include "dsht/messages.h"

using namespace reef;
using namespace reef::dsht;
using namespace std::chrono_literals;

namespace {

constexpr NetworkId kNet = 42;
const Endpoint kPeer{IpAddress::v4(20, 1, 1, 1), 7000};

NodeId id_of(std::uint8_t byte) {
  NodeId id;
  id.bytes.fill(byte);
  return id;
}

struct Fixture {
  TimePoint now = TimePoint{} + 10h;
  Node node{{}, id_of(0x55), kNet, SipKey{}, Random(1), now};
  std::vector<Action> actions;

  Message request(Body body, std::uint8_t sender = 0x99) {
    Message m;
    m.header.network = kNet;
    m.header.transaction = 77;
    m.header.sender = id_of(sender);
    m.body = std::move(body);
    return m;
  }

  // Delivers and returns all messages that the node sends in answer.
  std::vector<Message> deliver(const Message& message, const Endpoint& from = kPeer) {
    node.on_datagram(now, from, encode(message));
    return sent();
  }
  std::vector<Message> sent() {
    node.take_actions(actions);
    std::vector<Message> out;
    for (const Action& action : actions) {
      if (const auto* datagram = std::get_if<SendDatagram>(&action))
        out.push_back(decode(datagram->data, kNet).value());
    }
    return out;
  }
  std::uint64_t token(const Endpoint& from = kPeer) {
    return std::get<Pong>(deliver(request(Ping{}), from)[0].body).token;
  }

  // A contact that answered the node's ping.
  void introduce(const NodeId& id, const Endpoint& at) {
    Message ping = request(Ping{});
    ping.header.sender = id;
    for (const Message& m : deliver(ping, at)) {
      if (m.type() != MessageType::ping) continue;
      Message pong = request(Pong{at, 1});
      pong.header.sender = id;
      pong.header.transaction = m.header.transaction;
      now += 20ms;
      deliver(pong, at);
    }
  }
};

}  // namespace

TEST_CASE_FIXTURE(
    Fixture,
    "a ping is answered with the transaction, the observed endpoint and a token; the asker is asked back") {
  const auto out = deliver(request(Ping{}));
  REQUIRE(out.size() == 2);
  CHECK(out[0].header.transaction == 77);
  CHECK(out[0].header.sender == id_of(0x55));
  CHECK(std::get<Pong>(out[0].body).observed == kPeer);
  CHECK(out[1].type() == MessageType::ping);
  CHECK(node.contact_count() == 0);  // nobody is a contact who has not answered
}

TEST_CASE_FIXTURE(Fixture,
                  "a contact enters after it answered, from where it was asked, with what it was asked") {
  const auto out = deliver(request(Ping{}));
  Message pong = request(Pong{kPeer, 1});
  pong.header.transaction = out[1].header.transaction;
  deliver(pong, {kPeer.address, 7001});
  pong.header.transaction ^= 1;
  deliver(pong);
  pong.header.transaction ^= 1;
  Message wrong_type = request(Stored{});
  wrong_type.header.transaction = pong.header.transaction;
  deliver(wrong_type);
  CHECK(node.contact_count() == 0);
  CHECK(node.counters().unexpected.value() == 3);
  now += 30ms;
  deliver(pong);
  REQUIRE(node.contact_count() == 1);
  CHECK(node.table().entries()[0].rtt.least() == Duration(30ms));
  deliver(pong);
  CHECK(node.counters().unexpected.value() == 4);  // answered once is answered
}

TEST_CASE_FIXTURE(Fixture, "without a valid token nothing is stored, and the reply brings one") {
  const Key key = id_of(0x56).as<Key>();
  Store store{key, 0, 60, false, {}};
  const auto refused = deliver(request(store));
  CHECK(std::get<Stored>(refused[0].body).status == StoreStatus::token_needed);
  CHECK(node.storage().value_count() == 0);
  store.token = std::get<Stored>(refused[0].body).token;
  CHECK(std::get<Stored>(deliver(request(store), {IpAddress::v4(20, 1, 1, 2), 7000})[0].body).status ==
        StoreStatus::token_needed);
  CHECK(std::get<Stored>(deliver(request(store))[0].body).status == StoreStatus::stored);
  CHECK(std::get<Stored>(deliver(request(store))[0].body).status == StoreStatus::renewed);
  CHECK(std::get<Stored>(deliver(request(Withdraw{key, 0}))[0].body).status == StoreStatus::token_needed);
  CHECK(std::get<AnnounceReply>(deliver(request(Announce{key, 0, false, 20, {}, 0}))[0].body).status ==
        StoreStatus::token_needed);
  CHECK(std::get<Stored>(deliver(request(Handover{key, 0, {}}))[0].body).status == StoreStatus::token_needed);
  CHECK(std::get<Stored>(deliver(request(Withdraw{key, store.token}))[0].body).status ==
        StoreStatus::withdrawn);
  CHECK(std::get<Stored>(deliver(request(Withdraw{key, store.token}))[0].body).status == StoreStatus::absent);
}

TEST_CASE_FIXTURE(Fixture,
                  "announcers are told who came before; an announcement is counted in for its sender only") {
  const Key key = id_of(0x56).as<Key>();
  const std::uint64_t t = token();
  const auto first =
      std::get<AnnounceReply>(deliver(request(Announce{key, t, false, 20, {}, 300}, 1))[0].body);
  CHECK(first.status == StoreStatus::stored);
  CHECK(first.earlier.empty());
  const auto second =
      std::get<AnnounceReply>(deliver(request(Announce{key, t, false, 20, {}, 300}, 2))[0].body);
  REQUIRE(second.earlier.size() == 1);
  CHECK(second.earlier[0].publisher == id_of(1));
  CHECK(second.earlier[0].provisional);
  const auto again =
      std::get<AnnounceReply>(deliver(request(Announce{key, t, false, 20, {}, 300}, 1))[0].body);
  CHECK(again.status == StoreStatus::renewed);
  CHECK(again.earlier.empty());
}

TEST_CASE_FIXTURE(Fixture,
                  "who knows a closer live node names it instead of storing, unless the announcer insists") {
  const Key key = id_of(0x70).as<Key>();
  const Endpoint closer{IpAddress::v4(20, 7, 7, 7), 7000};
  introduce(id_of(0x71), closer);
  REQUIRE(node.contact_count() == 1);
  const std::uint64_t t = token();
  const auto sent_on =
      std::get<AnnounceReply>(deliver(request(Announce{key, t, false, 20, {}, 300}))[0].body);
  CHECK(sent_on.status == StoreStatus::not_closest);
  REQUIRE(sent_on.closer.size() == 1);
  CHECK(sent_on.closer[0].rpc == closer);
  CHECK(node.storage().value_count() == 0);
  // The closer one itself may announce here.
  Message from_closer = request(Announce{key, token(closer), false, 20, {}, 300}, 0x71);
  CHECK(std::get<AnnounceReply>(deliver(from_closer, closer)[0].body).status == StoreStatus::stored);
  const auto insisted =
      std::get<AnnounceReply>(deliver(request(Announce{key, t, true, 20, {}, 300}))[0].body);
  CHECK(insisted.status == StoreStatus::stored);
  CHECK(insisted.earlier.size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "no reply is more than three times its request, however much there is to say") {
  for (std::uint8_t i = 0; i < 40; ++i)
    introduce(id_of(static_cast<std::uint8_t>(i * 6)), {IpAddress::v4(20, 2, i, 1), 7000});
  REQUIRE(node.contact_count() >= 8);
  const Key key = id_of(0x56).as<Key>();
  const std::uint64_t t = token();
  for (std::uint8_t i = 1; i < 30; ++i) {
    deliver(request(Store{key, t, 60, false, Bytes(kValueBytesMax)}, i));
  }
  for (const std::uint16_t padding : {0, 100, 292}) {
    const Message find = request(Find{key, true, padding});
    const Message announce = request(Announce{key, t, true, 20, {}, padding});
    for (const Message& message : {find, announce}) {
      node.on_datagram(now, kPeer, encode(message));
      node.take_actions(actions);
      const auto& reply = std::get<SendDatagram>(actions[0]).data;
      CHECK(reply.size() <= 3 * encode(message).size());
      CHECK(reply.size() <= kDatagramBytesMax);
      CHECK(decode(reply, kNet).has_value());
    }
  }
}

TEST_CASE_FIXTURE(Fixture, "contacts are named closest first, never the asker, never a suspect") {
  for (std::uint8_t i = 0; i < 20; ++i)
    introduce(id_of(static_cast<std::uint8_t>(i * 11)), {IpAddress::v4(20, 2, i, 1), 7000});
  const Key target = id_of(33).as<Key>();
  Message find = request(Find{target, false, 292}, 33);
  const auto out = deliver(find, {IpAddress::v4(20, 2, 3, 1), 7000});
  const auto& contacts = std::get<Nodes>(out[0].body).contacts;
  REQUIRE(contacts.size() == 8);
  for (std::size_t i = 0; i < contacts.size(); ++i) {
    CHECK(contacts[i].id != id_of(33));
    if (i > 0) CHECK(distance(contacts[i - 1].id, target) < distance(contacts[i].id, target));
  }
  // Its farewell makes it suspect at once: nobody is sent there.
  const NodeId gone = contacts[0].id;
  deliver(request(Leave{}, gone.bytes[0]), contacts[0].rpc);
  const auto after = deliver(find, {IpAddress::v4(20, 2, 3, 1), 7000});
  for (const Contact& c : std::get<Nodes>(after[0].body).contacts) {
    CHECK(c.id != gone);
  }
  // The same farewell from elsewhere says nothing.
  const NodeId stays = contacts[1].id;
  deliver(request(Leave{}, stays.bytes[0]), kPeer);
  CHECK_FALSE(node.table().find(stays)->is_suspect());
}

TEST_CASE_FIXTURE(Fixture, "a level whose cluster we do not share is not served") {
  Message find = request(Find{});
  find.header.level = 2;
  CHECK(deliver(find).empty());
  find.header.clusters[1].id.bytes.fill(9);
  CHECK(deliver(find).empty());
  CHECK(node.counters().foreign_cluster.value() == 2);
}

TEST_CASE_FIXTURE(Fixture, "datagrams that are no message of our network are dropped and counted") {
  node.on_datagram(now, kPeer, as_bytes("hello"));
  Message other = request(Ping{});
  other.header.network = kNet + 1;
  CHECK(deliver(other).empty());
  CHECK(deliver(request(Ping{}, 0x55)).empty());  // our own id
  CHECK(node.counters().undecodable[static_cast<std::size_t>(DecodeError::foreign)].value() == 1);
  CHECK(node.counters().undecodable[static_cast<std::size_t>(DecodeError::wrong_network)].value() == 1);
  CHECK(node.counters().own.value() == 1);
}

TEST_CASE_FIXTURE(Fixture, "a source that floods is answered at its rate only") {
  std::size_t answered = 0;
  for (int i = 0; i < 5000; ++i) {
    for (const Message& m : deliver(request(Ping{}))) answered += m.type() == MessageType::pong;
  }
  CHECK(answered == 1000);
  CHECK(node.counters().rate_limited.value() == 4000);
}

TEST_CASE_FIXTURE(Fixture, "a handover is taken next to its key only") {
  for (std::uint8_t i = 0; i < 8; ++i) {
    NodeId id = id_of(0xf0);
    id.bytes[19] = i;
    introduce(id, {IpAddress::v4(20, 3, i, 1), 7000});
  }
  REQUIRE(node.contact_count() == 8);
  const std::uint64_t t = token();
  const WireValue value{id_of(3), 60, 0, false, {}};
  CHECK(std::get<Stored>(deliver(request(Handover{id_of(0xf0).as<Key>(), t, {value}}))[0].body).status ==
        StoreStatus::refused);
  CHECK(std::get<Stored>(deliver(request(Handover{id_of(0x54).as<Key>(), t, {value}}))[0].body).status ==
        StoreStatus::stored);
}

TEST_CASE_FIXTURE(Fixture, "a private contact named from the Internet is not followed") {
  introduce(id_of(0x10), kPeer);
  node.get(now, id_of(0x99).as<Key>(), 1s);
  const auto out = sent();
  REQUIRE(out.size() == 1);
  const Contact inside{id_of(0x98), {IpAddress::v4(192, 168, 0, 1), 53}, 0, 0, 0};
  const Contact outside{id_of(0x97), {IpAddress::v4(20, 5, 5, 5), 53}, 0, 0, 0};
  Message nodes = request(Nodes{kPeer, 1, {inside, outside}, {}}, 0x10);
  nodes.header.transaction = out[0].header.transaction;
  node.on_datagram(now, kPeer, encode(nodes));
  node.take_actions(actions);
  REQUIRE(actions.size() == 1);
  CHECK(std::get<SendDatagram>(actions[0]).to == outside.rpc);
}

TEST_CASE_FIXTURE(Fixture, "every walk ends: by its budget when nobody answers") {
  introduce(id_of(0x10), kPeer);
  const WalkId get = node.get(now, id_of(1).as<Key>(), 300ms);
  const WalkId announce = node.announce(now, id_of(1).as<Key>(), {}, 20s, 400ms);
  const WalkId put = node.put(now, id_of(1).as<Key>(), {}, 20s);
  std::vector<WalkId> ended;
  const TimePoint end = now + 15s;
  while (node.next_deadline() <= end) {
    now = std::max(now, node.next_deadline());
    node.on_deadline(now);
    node.take_actions(actions);
    for (const Action& action : actions) {
      if (const auto* g = std::get_if<GetDone>(&action)) ended.push_back(g->walk);
      if (const auto* a = std::get_if<AnnounceDone>(&action)) ended.push_back(a->walk);
      if (const auto* p = std::get_if<PutDone>(&action)) ended.push_back(p->walk);
    }
  }
  CHECK(std::count(ended.begin(), ended.end(), get) == 1);
  CHECK(std::count(ended.begin(), ended.end(), announce) == 1);
  CHECK(std::count(ended.begin(), ended.end(), put) == 1);
}

TEST_CASE("beyond the bound on walks the answer is overloaded, and nothing is sent") {
  NodeOptions options;
  options.walks_max = 0;
  const TimePoint now = TimePoint{} + 1h;
  Node node(options, id_of(1), kNet, SipKey{}, Random(1), now);
  const WalkId walk = node.get(now, Key{}, 1s);
  std::vector<Action> actions;
  node.take_actions(actions);
  REQUIRE(actions.size() == 1);
  CHECK(std::get<GetDone>(actions[0]).walk == walk);
  CHECK(std::get<GetDone>(actions[0]).found.end == WalkEnd::overloaded);
}
