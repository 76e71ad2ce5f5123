// The node core under peers that know the protocol and misuse it: the input chooses who says what, when, and
// what is wrong with it. Where rpc_fuzz feeds bytes, this one builds messages, so that answers to real
// requests, valid tokens, proofs and records are common, and every second one of them is bent a little.
//
// What must hold whatever they say: a reply is at most three times its request and goes to who asked; all
// that is sent decodes; a node does not flood (what one input makes it send is bounded); every get, put and
// announcement ends, once; time always goes on.
#include <cstdlib>
#include <set>
#include <vector>

#include "dsht/node.h"
#include "tests/sim/credentials.h"

using namespace reef;
using namespace reef::dsht;
using namespace std::chrono_literals;

namespace {

constexpr NetworkId kNet = 1;
constexpr std::size_t kPeers = 12;
constexpr std::size_t kStepsMax = 64;
// Of one input turn: a walk's alpha a few levels deep, pings to who is named, handovers of the held keys.
constexpr std::size_t kActionsMax = 600;

void require(bool holds) {
  if (!holds) std::abort();
}

NodeId id_of(std::uint8_t byte) {
  NodeId id;
  id.bytes.fill(byte);
  return id;
}

class Input {
 public:
  explicit Input(ByteView bytes) : in_(bytes) {}
  [[nodiscard]] bool is_over() const { return in_.remaining() == 0; }
  std::uint8_t u8() { return is_over() ? 0 : in_.u8(); }
  std::size_t below(std::size_t bound) { return u8() % bound; }
  bool flip() { return (u8() & 1) != 0; }
  std::uint32_t some_time() {  // mostly sensible
    static constexpr std::uint32_t kTimes[] = {0, 1, 20, 60, 3600, 86400, 0x7fffffff, 0xffffffff};
    return kTimes[below(std::size(kTimes))];
  }

 private:
  ByteReader in_;
};

struct Peer {
  sim::SimCredentials credentials;
  NodeId id;
  Endpoint at;
  std::uint64_t token = 0;  // that the node gave it last
  std::uint64_t sequence = 0;
};

struct Outstanding {
  Endpoint to;
  Header header;
  Key key;
  MessageType type{};
};

class World {
 public:
  explicit World(Input& in)
      : in_(in),
        credentials_(id_of(0x55), SipKey{}),
        node_(options(), credentials_, kNet, SipKey{}, Random(1), now_, 1) {
    for (std::size_t i = 0; i < kPeers; ++i) {
      const NodeId id = id_of(static_cast<std::uint8_t>(0x51 + i * 0x13));
      const IpAddress address = i % 4 == 3 ? IpAddress::v4(10, 0, 0, static_cast<std::uint8_t>(i))
                                           : IpAddress::v4(20, 0, static_cast<std::uint8_t>(i), 1);
      peers_.push_back({sim::SimCredentials(id, SipKey{}), id, {address, 7000}});
    }
    node_.join(now_, {peers_[0].at}, {contact(1)});
    take();
    for (std::size_t i = 0; i < 6; ++i) greet(i);
  }

  void step() {
    switch (in_.below(8)) {
      case 0:
      case 1:
        reply_to_node();
        break;
      case 2:
      case 3:
        ask_node();
        break;
      case 4:
        user();
        break;
      case 5:
        pass(std::chrono::milliseconds(1 << in_.below(8)));
        break;
      case 6:
        if (in_.below(8) == 0)
          pass(std::chrono::minutes(1 + in_.below(40)));
        else
          answer_honestly();
        break;
      default:
        greet(in_.below(kPeers));
        break;
    }
  }

  // Nobody speaks any more.
  void end() {
    pass(11s);  // NodeOptions::walk_max and a bit
    require(walks_.empty());
    node_.leave(now_);
    take();
    pass(3s);
    require(has_left_);
  }

 private:
  static NodeOptions options() {
    NodeOptions out;
    out.rate_limit.slots = 16;
    out.storage.values_max = 64;
    out.storage.values_per_key_max = 8;
    out.load.per_window = 3;
    out.hot_gets = 3;
    out.walks_max = 24;
    out.rpcs_max = 128;
    out.signatures_per_second = 200;
    out.clusters.first_decision = 1s;
    out.clusters.sample_size = 4;
    return out;
  }

  // ---- what the node does

  void take(const Endpoint* asker = nullptr, std::size_t request_bytes = 0) {
    node_.take_actions(actions_);
    require(actions_.size() <= kActionsMax);
    std::size_t replied = 0;
    for (const Action& action : actions_) {
      if (const auto* datagram = std::get_if<SendDatagram>(&action)) {
        require(datagram->data.size() <= kMessageBytesMax);
        const auto message = decode(datagram->data, kNet);
        require(message.has_value() && message->header.sender == node_.id());
        require(datagram->to.port != 0 && !datagram->to.address.is_unspecified());
        if (is_request(message->type())) {
          note_request(datagram->to, *message);
          continue;
        }
        require(asker != nullptr && datagram->to == *asker);
        replied += datagram->data.size();
        note_token(*asker, *message);
      } else if (const auto* get = std::get_if<GetDone>(&action)) {
        require(get->found.level < kLevels && get->found.values.size() <= kValuesMax);
        ended(get->walk);
      } else if (const auto* put = std::get_if<PutDone>(&action)) {
        ended(put->walk);
      } else if (const auto* announced = std::get_if<AnnounceDone>(&action)) {
        for (const Value& value : announced->announced.earlier) require(value.publisher != node_.id());
        ended(announced->walk);
      } else if (std::holds_alternative<LeaveDone>(action)) {
        require(!has_left_);
        has_left_ = true;
      }
    }
    require(replied <= kReplyFactorMax * request_bytes);
    require(node_.storage(0).value_count() <= 64);
  }

  void ended(WalkId walk) {
    if (walks_.erase(walk) == 0) require(early_.insert(walk).second);  // before its caller knew its name
  }
  void began(WalkId walk) {
    take();
    if (early_.erase(walk) == 0) walks_.insert(walk);
  }

  void note_request(const Endpoint& to, const Message& message) {
    Outstanding out{to, message.header, {}, message.type()};
    std::visit(
        [&](const auto& body) {
          if constexpr (requires { body.key; }) out.key = body.key;
        },
        message.body);
    if (outstanding_.size() >= 64) outstanding_.erase(outstanding_.begin());
    outstanding_.push_back(out);
  }
  void note_token(const Endpoint& to, const Message& message) {
    std::visit(
        [&](const auto& body) {
          if constexpr (requires { body.token; }) {
            for (Peer& peer : peers_) {
              if (peer.at == to) peer.token = body.token;
            }
          }
        },
        message.body);
  }

  void pass(Duration by) {
    const TimePoint end = now_ + by;
    for (int turns = 0; node_.next_deadline() <= end; ++turns) {
      require(turns < 50'000);
      now_ = std::max(now_, node_.next_deadline());
      node_.on_deadline(now_);
      take();
    }
    now_ = end;
  }

  void user() {
    const Key key = some_key();
    const auto ttl = std::chrono::seconds(1 + in_.below(250));
    switch (in_.below(7)) {
      case 0:
        began(node_.get(now_, key, std::chrono::milliseconds(in_.u8() * 20),
                        {static_cast<LevelMask>(in_.below(8)), in_.flip()}));
        break;
      case 1:
        began(node_.get(now_, key, 1s));
        break;
      case 2:
        began(node_.put(now_, key, Bytes(in_.below(kValueBytesMax + 2)), ttl));
        break;
      case 3:
        began(node_.announce(now_, key, Bytes(in_.below(8)), ttl, std::chrono::milliseconds(in_.u8() * 20)));
        break;
      case 4:
        began(node_.withdraw(now_, key));
        break;
      case 5:
        node_.set_hints(now_, std::vector<Key>(in_.below(20), key));
        break;
      default:
        if (in_.below(4) == 0) node_.leave(now_);
        break;
    }
    take();
    (void)node_.nodes(now_, {static_cast<Level>(in_.below(3)), in_.u8(), 0, id_of(in_.u8()), {}, {}});
    (void)node_.level_of(peers_[in_.below(kPeers)].at.address);
  }

  // ---- what the peers say

  Key some_key() { return id_of(static_cast<std::uint8_t>(0x54 + in_.below(3) * 0x20)).as<Key>(); }
  Contact contact(std::size_t i) const { return {peers_[i].id, peers_[i].at, 80, 53, 1}; }

  Contact some_contact() {
    Contact out = contact(in_.below(kPeers));
    switch (in_.below(8)) {
      case 0:
        out.id = id_of(in_.u8());
        break;
      case 1:
        out.rpc.address = IpAddress::v4(in_.u8(), in_.u8(), 0, 1);
        break;
      case 2:
        out.id = in_.flip() ? node_.id() : NodeId{};
        break;
      default:
        break;
    }
    return out;
  }
  std::vector<Contact> some_contacts(std::size_t most) {
    std::vector<Contact> out(in_.below(most));
    for (Contact& c : out) c = some_contact();
    return out;
  }

  Record some_record(Peer& by, const Key& key) {
    Record out;
    out.publisher = by.credentials.public_key();
    out.sequence = in_.below(8) == 0 ? ~0ull - in_.below(2) : ++by.sequence;
    out.ttl_seconds = in_.some_time();
    out.provisional = in_.flip();
    out.data = in_.flip() ? encode_endpoint(some_contact().rpc) : Bytes(in_.below(20));
    out.signature = by.credentials.sign(signed_bytes(kNet, key, out));
    if (in_.below(8) == 0) out.signature[in_.below(8)] ^= std::byte{1};
    if (in_.below(8) == 0) out.publisher = credentials_.public_key();
    return out;
  }
  std::vector<WireValue> some_values(const Key& key) {
    std::vector<WireValue> out(in_.below(4));
    for (WireValue& value : out) {
      value.record = some_record(peers_[in_.below(kPeers)], key);
      value.left_seconds = std::min(in_.some_time(), value.record.ttl_seconds);
      value.age_ms = in_.some_time();
    }
    return out;
  }
  StoreStatus some_status() { return static_cast<StoreStatus>(in_.below(8)); }

  std::array<ClusterDescription, 2> some_clusters() {
    std::array<ClusterDescription, 2> out{};
    for (Level level = 1; level < kLevels; ++level) {
      ClusterDescription& said = out[level - 1];
      switch (in_.below(4)) {
        case 0:
          break;
        case 1:
          said.id = id_of(static_cast<std::uint8_t>(1 + in_.below(3))).as<ClusterId>();
          break;
        default:
          said.id = node_.cluster(now_, level).id;
          break;
      }
      if (said.id.is_zero()) continue;
      said.log2_size = static_cast<std::uint8_t>(in_.below(161));
      said.age_seconds = in_.some_time();
    }
    return out;
  }

  Message message_of(const Peer& peer, Body body) {
    Message out;
    out.header.network = kNet;
    out.header.transaction = ++transaction_;
    out.header.sender = in_.below(16) == 0 ? id_of(in_.u8()) : peer.id;
    out.header.clusters = some_clusters();
    out.header.level = static_cast<Level>(in_.below(kLevels));
    out.body = std::move(body);
    return out;
  }

  void deliver(const Message& message, const Endpoint& from) {
    const Bytes data = encode(message);
    if (data.size() > kMessageBytesMax) return;
    node_.on_datagram(now_, from, data);
    take(&from, data.size());
  }

  void ask_node() {
    Peer& peer = peers_[in_.below(kPeers)];
    const Key key = some_key();
    const std::uint64_t token = in_.below(8) == 0 ? 1 : peer.token;
    const auto padding = static_cast<std::uint16_t>(in_.flip() ? 259 : in_.u8());
    Body body;
    switch (in_.below(8)) {
      case 0:
        body = Ping{};
        break;
      case 1:
      case 2:
        body = Find{key, some_key(), static_cast<Want>(in_.below(3)), in_.some_time(), padding};
        break;
      case 3:
        body = Store{key, token, some_record(peer, key)};
        break;
      case 4:
        body = Announce{key, token, in_.flip(), some_record(peer, key), padding};
        break;
      case 5: {
        Record record = some_record(peer, key);
        record.ttl_seconds = 0;
        record.data.clear();
        record.signature = peer.credentials.sign(signed_bytes(kNet, key, record));
        body = Withdraw{key, token, record};
        break;
      }
      case 6:
        body = in_.flip() ? Body(Leave{}) : Body(Handover{key, token, some_values(key)});
        break;
      default: {
        const Level level = static_cast<Level>(1 + in_.below(2));
        Message sample = message_of(
            peer, Sample{in_.flip() ? node_.cluster(now_, level).id : id_of(1).as<ClusterId>(), padding});
        sample.header.level = level;
        sample.header.prove = in_.flip();
        deliver(sample, peer.at);
        return;
      }
    }
    Message message = message_of(peer, std::move(body));
    message.header.prove = in_.flip();
    deliver(message, peer.at);
  }

  Body some_answer(MessageType type, const Key& key) {
    const Endpoint ours{IpAddress::v4(20, 9, 9, static_cast<std::uint8_t>(in_.below(8) == 0)), 9000};
    switch (type) {
      case MessageType::ping:
        return Pong{ours, 1};
      case MessageType::find:
      case MessageType::sample: {
        Nodes out{ours, in_.u8(), in_.flip(), in_.flip(), in_.flip(), {}, {}, {}};
        out.contacts = some_contacts(9);
        out.outer = some_contacts(5);
        out.values = some_values(key);
        return out;
      }
      case MessageType::announce: {
        AnnounceReply out{ours, some_status(), in_.u8(), some_values(key), {}, {}};
        out.closer = some_contacts(4);
        out.outer = some_contacts(5);
        return out;
      }
      default:
        return Stored{ours, some_status(), in_.u8()};
    }
  }

  void prove(Message& message, const Peer& peer, const Header& asked) {
    const Endpoint* observed = std::visit(
        [](const auto& body) -> const Endpoint* {
          if constexpr (requires { body.observed; }) {
            return &body.observed;
          } else {
            return nullptr;
          }
        },
        message.body);
    if (observed == nullptr) return;
    message.proof = Proof{peer.credentials.public_key(),
                          peer.credentials.sign(proof_bytes(kNet, asked.transaction, asked.sender,
                                                            message.header.sender, *observed))};
  }

  // One of the requests that are open, the newest most of the time, is answered somehow.
  void reply_to_node() {
    if (outstanding_.empty()) return;
    const std::size_t back = in_.flip() ? 0 : in_.below(outstanding_.size());
    const Outstanding asked = outstanding_[outstanding_.size() - 1 - back];
    Peer* peer = &peers_[in_.below(kPeers)];
    if (in_.below(8) != 0) {
      for (Peer& other : peers_) {
        if (other.at == asked.to) peer = &other;
      }
    }
    const MessageType type = in_.below(16) == 0 ? static_cast<MessageType>(1 + in_.below(12)) : asked.type;
    Message message = message_of(*peer, some_answer(type, asked.key));
    message.header.transaction = asked.header.transaction;
    message.header.level = asked.header.level;
    if (in_.below(4) != 0) prove(message, *peer, asked.header);
    deliver(message, in_.below(16) == 0 ? peer->at : asked.to);
  }

  // All that is open, as a node would that knows nothing.
  void answer_honestly() {
    for (const Outstanding& asked : std::exchange(outstanding_, {})) {
      for (const Peer& peer : peers_) {
        if (peer.at != asked.to) continue;
        const Endpoint ours{IpAddress::v4(20, 9, 9, 0), 9000};
        Body body = Stored{ours, StoreStatus::stored, 1};
        if (asked.type == MessageType::ping) body = Pong{ours, 1};
        if (asked.type == MessageType::find || asked.type == MessageType::sample) {
          body = Nodes{ours, 1, false, false, false, {}, {}, {}};
        }
        if (asked.type == MessageType::announce)
          body = AnnounceReply{ours, StoreStatus::stored, 1, {}, {}, {}};
        Message message = message_of(peer, std::move(body));
        message.header.sender = peer.id;
        message.header.transaction = asked.header.transaction;
        prove(message, peer, asked.header);
        deliver(message, asked.to);
      }
    }
  }

  // Becomes a contact, of all levels as often as not.
  void greet(std::size_t i) {
    Message ping = message_of(peers_[i], Ping{});
    ping.header.sender = peers_[i].id;
    deliver(ping, peers_[i].at);
    now_ += 5ms;
    answer_honestly();
  }

  Input& in_;
  TimePoint now_ = TimePoint{} + std::chrono::hours(1);
  sim::SimCredentials credentials_;
  Node node_;
  std::vector<Peer> peers_;
  std::vector<Outstanding> outstanding_;
  std::set<WalkId> walks_;  // of ours, still on their way
  std::set<WalkId> early_;
  std::vector<Action> actions_;
  std::uint64_t transaction_ = 0;
  bool has_left_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input in(std::as_bytes(std::span(data, size)));
  World world(in);
  for (std::size_t steps = 0; steps < kStepsMax && !in.is_over(); ++steps) world.step();
  world.end();
  return 0;
}
