#include "tests/dsht/node_fixture.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <utility>

namespace reef::dsht {

using namespace std::chrono_literals;

Record Peer::record(const Key& key, std::chrono::seconds ttl, bool provisional, Bytes data) {
  Record out;
  out.publisher = credentials.public_key();
  out.sequence = ++sequence;
  out.ttl_seconds = static_cast<std::uint32_t>(ttl.count());
  out.provisional = provisional;
  out.data = std::move(data);
  out.signature = credentials.sign(signed_bytes(kNet, key, out));
  return out;
}

WireValue Peer::value(const Key& key, std::chrono::seconds ttl, bool provisional, Duration age) {
  return {record(key, ttl, provisional), static_cast<std::uint32_t>(ttl.count()),
          static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(age).count())};
}

NodeFixture::NodeFixture(const NodeOptions& options)
    : node(options, credentials, kNet, SipKey{}, Random(1), now, 1'700'000'000'000) {}

Peer& NodeFixture::peer(const NodeId& id) {
  const auto n = static_cast<std::uint8_t>(peers.size());
  return peers.emplace_back(id, Endpoint{IpAddress::v4(20, 1, n, 1), 7000});
}

void NodeFixture::share(Peer& peer, Level level) {
  for (Level at = 1; at < kLevels; ++at) {
    ClusterDescription& said = peer.clusters[at - 1];
    said = {};
    said.id = node.cluster(now, at).id;
    if (at > level) said.id.bytes[0] ^= 0xff;
  }
}

Peer& NodeFixture::contact(const NodeId& id, Level level, Duration rtt) {
  Peer& out = peer(id);
  share(out, level);
  introduce(out, rtt);
  return out;
}

void NodeFixture::introduce(Peer& peer, Duration rtt) {
  (void)requests(MessageType::ping);
  (void)ask(peer, Ping{});
  const Sent back = request(MessageType::ping);
  REQUIRE(back.to == peer.at);
  now += rtt;
  answer(back, Pong{node.observed().value_or(Endpoint{IpAddress::v4(20, 0, 0, 9), 9000}), 7});
  REQUIRE(node.table().find(peer.id) != nullptr);
}

Message NodeFixture::message(const Peer& from, Body body, Level level) const {
  Message out;
  out.header.network = kNet;
  out.header.transaction = transaction_;
  out.header.sender = from.id;
  out.header.http_port = 80;
  out.header.dns_port = 53;
  out.header.level = level;
  out.header.clusters = from.clusters;
  out.body = std::move(body);
  return out;
}

void NodeFixture::deliver(const Message& message, const Endpoint& from) {
  node.on_datagram(now, from, encode(message));
  take();
}

std::optional<Sent> NodeFixture::ask(const Peer& from, Body body, Level level, bool prove) {
  ++transaction_;
  Message request = message(from, std::move(body), level);
  request.header.prove = prove;
  const std::size_t before = outbox.size();
  deliver(request, from.at);
  const auto answer =
      std::find_if(outbox.begin() + static_cast<std::ptrdiff_t>(before), outbox.end(), [&](const Sent& s) {
        return !is_request(s.message.type()) && s.message.header.transaction == transaction_;
      });
  if (answer == outbox.end()) return std::nullopt;
  CHECK(answer->to == from.at);
  CHECK(answer->bytes <= kReplyFactorMax * encode(request).size());
  Sent out = *answer;
  outbox.erase(answer);
  return out;
}

StoreStatus NodeFixture::store(Peer& from, const Key& key, std::chrono::seconds ttl, Level level) {
  const std::uint64_t t = token(from);
  return asked<Stored>(from, Store{key, t, from.record(key, ttl)}, level).status;
}

AnnounceReply NodeFixture::announce(Peer& from, const Key& key, Level level, bool insist) {
  Announce out{key, token(from), insist, from.record(key, 20s, true), 0};
  out.padding = padding_for(out);
  return asked<AnnounceReply>(from, out, level);
}

Peer& NodeFixture::peer_at(const Endpoint& at) {
  const auto found = std::find_if(peers.begin(), peers.end(), [&](const Peer& p) { return p.at == at; });
  REQUIRE(found != peers.end());
  return *found;
}

Message NodeFixture::answer_to(const Sent& request, Body body, const Peer& as) const {
  const Header& asked = request.message.header;
  Message out = message(as, std::move(body), asked.level);
  out.header.transaction = asked.transaction;
  if (asked.prove) {
    const Endpoint* observed = nullptr;
    std::visit(
        [&](const auto& b) {
          if constexpr (requires { b.observed; }) observed = &b.observed;
        },
        out.body);
    REQUIRE(observed != nullptr);
    out.proof =
        Proof{as.credentials.public_key(),
              as.credentials.sign(proof_bytes(kNet, asked.transaction, asked.sender, as.id, *observed))};
  }
  return out;
}

void NodeFixture::answer(const Sent& request, Body body) {
  deliver(answer_to(request, std::move(body), peer_at(request.to)), request.to);
}

Nodes NodeFixture::nodes(std::vector<Contact> contacts, std::vector<WireValue> values) const {
  Nodes out;
  out.observed = {IpAddress::v4(20, 0, 0, 9), 9000};
  out.token = 8;
  out.contacts = std::move(contacts);
  out.values = std::move(values);
  return out;
}

AnnounceReply NodeFixture::taken(std::vector<WireValue> earlier, StoreStatus status) const {
  AnnounceReply out;
  out.observed = {IpAddress::v4(20, 0, 0, 9), 9000};
  out.status = status;
  out.token = 9;
  out.earlier = std::move(earlier);
  return out;
}

void NodeFixture::pass(Duration by) {
  const TimePoint end = now + by;
  int turns = 0;
  take();
  while (node.next_deadline() <= end) {
    REQUIRE(++turns < 100'000);  // time must go on
    now = std::max(now, node.next_deadline());
    node.on_deadline(now);
    take();
  }
  now = end;
}

void NodeFixture::answer_all(std::vector<Sent>& log) {
  for (int rounds = 0; !outbox.empty(); ++rounds) {
    REQUIRE(rounds < 1000);
    const std::vector<Sent> sent = std::exchange(outbox, {});
    log.insert(log.end(), sent.begin(), sent.end());
    for (const Sent& s : sent) {
      if (!is_request(s.message.type()) || s.message.type() == MessageType::leave) continue;
      const auto peer = std::find_if(peers.begin(), peers.end(), [&](const Peer& p) { return p.at == s.to; });
      if (peer == peers.end() || peer->is_silent) continue;
      const Endpoint ours{IpAddress::v4(20, 0, 0, 9), 9000};
      switch (s.message.type()) {
        case MessageType::ping:
          answer(s, Pong{ours, 7});
          break;
        case MessageType::find:
        case MessageType::sample:
          answer(s, nodes());
          break;
        case MessageType::announce:
          answer(s, taken());
          break;
        default:
          answer(s, Stored{ours, StoreStatus::stored, 7});
          break;
      }
    }
  }
}

std::vector<Sent> NodeFixture::live(Duration by) {
  std::vector<Sent> log;
  const TimePoint end = now + by;
  take();
  for (int turns = 0;; ++turns) {
    REQUIRE(turns < 100'000);
    answer_all(log);
    if (node.next_deadline() > end) break;
    now = std::max(now, node.next_deadline());
    node.on_deadline(now);
    take();
  }
  now = end;
  return log;
}

std::vector<Sent> NodeFixture::requests(MessageType type) {
  take();
  std::vector<Sent> out;
  std::erase_if(outbox, [&](Sent& s) {
    if (s.message.type() != type) return false;
    out.push_back(std::move(s));
    return true;
  });
  return out;
}

Sent NodeFixture::request(MessageType type) {
  auto all = requests(type);
  REQUIRE(all.size() == 1);
  return std::move(all[0]);
}

void NodeFixture::take() {
  node.take_actions(actions_);
  for (Action& action : actions_) {
    if (auto* datagram = std::get_if<SendDatagram>(&action)) {
      auto decoded = decode(datagram->data, kNet);
      REQUIRE(decoded.has_value());
      outbox.push_back({datagram->to, std::move(*decoded), datagram->data.size()});
    } else if (auto* get = std::get_if<GetDone>(&action)) {
      gets.push_back(std::move(*get));
    } else if (auto* put = std::get_if<PutDone>(&action)) {
      puts.push_back(*put);
    } else if (auto* announced = std::get_if<AnnounceDone>(&action)) {
      announcements.push_back(std::move(*announced));
    } else if (auto* changed = std::get_if<ClusterChanged>(&action)) {
      changes.push_back(*changed);
    } else if (auto* nodes = std::get_if<NodesFound>(&action)) {
      searches.push_back(std::move(*nodes));
    } else if (std::holds_alternative<LeaveDone>(action)) {
      has_left = true;
    }
  }
}

}  // namespace reef::dsht
