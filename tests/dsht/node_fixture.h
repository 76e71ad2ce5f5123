// One real node, and peers that say what a test has them say.
#pragma once

#include <deque>
#include <vector>

#include "dsht/node.h"
#include "tests/sim/credentials.h"

namespace reef::dsht {

inline constexpr NetworkId kNet = 42;
inline constexpr SipKey kCredentialsSecret{};

[[nodiscard]] inline NodeId id_of(std::uint8_t byte) {
  NodeId id;
  id.bytes.fill(byte);
  return id;
}

struct Peer {
  NodeId id;
  Endpoint at;
  sim::SimCredentials credentials;
  std::array<ClusterDescription, 2> clusters{};
  std::uint64_t sequence = 0;
  bool is_silent = false;  // to live()

  Peer(const NodeId& id_, const Endpoint& at_) : id(id_), at(at_), credentials(id_, kCredentialsSecret) {}
  [[nodiscard]] Contact contact() const { return {id, at, 80, 53, 0}; }
  // A record that it signs, each with a greater sequence.
  [[nodiscard]] Record record(const Key& key, std::chrono::seconds ttl, bool provisional = false,
                              Bytes data = {});
  [[nodiscard]] WireValue value(const Key& key, std::chrono::seconds ttl, bool provisional = false,
                                Duration age = {});
};

struct Sent {
  Endpoint to;
  Message message;
  std::size_t bytes = 0;
  template <class B>
  [[nodiscard]] const B& as() const {
    return std::get<B>(message.body);
  }
};

class NodeFixture {
 public:
  explicit NodeFixture(const NodeOptions& options = {});

  // A stranger, at an address of a /24 of its own.
  Peer& peer(const NodeId& id);
  Peer& peer(std::uint8_t byte) { return peer(id_of(byte)); }
  // Says that it is in the node's clusters of levels 1 up to `level`, and in others beyond.
  void share(Peer& peer, Level level);
  // A contact with that RTT, which shares the node's clusters up to `level`.
  Peer& contact(const NodeId& id, Level level = 0, Duration rtt = std::chrono::milliseconds(20));
  Peer& contact(std::uint8_t byte, Level level = 0, Duration rtt = std::chrono::milliseconds(20)) {
    return contact(id_of(byte), level, rtt);
  }
  // It asks the node something, is asked back, and answers that.
  void introduce(Peer& peer, Duration rtt);

  [[nodiscard]] Message message(const Peer& from, Body body, Level level = 0) const;
  void deliver(const Message& message, const Endpoint& from);
  // What the node sends in answer to a request, if it answers.
  [[nodiscard]] std::optional<Sent> ask(const Peer& from, Body body, Level level = 0, bool prove = false);
  template <class B>
  [[nodiscard]] B asked(const Peer& from, Body body, Level level = 0) {
    const auto sent = ask(from, std::move(body), level);
    return sent ? std::get<B>(sent->message.body) : B{};
  }
  [[nodiscard]] std::uint64_t token(const Peer& from) { return asked<Pong>(from, Ping{}).token; }
  [[nodiscard]] StoreStatus store(Peer& from, const Key& key, std::chrono::seconds ttl, Level level = 0);
  [[nodiscard]] AnnounceReply announce(Peer& from, const Key& key, Level level = 0, bool insist = true);

  // Answers a request of the node as the peer that lives where it was sent; with a proof if one is wanted.
  void answer(const Sent& request, Body body);
  [[nodiscard]] Message answer_to(const Sent& request, Body body, const Peer& as) const;
  [[nodiscard]] Peer& peer_at(const Endpoint& at);
  // NODES that names those, with a token.
  [[nodiscard]] Nodes nodes(std::vector<Contact> contacts = {}, std::vector<WireValue> values = {}) const;
  [[nodiscard]] AnnounceReply taken(std::vector<WireValue> earlier = {},
                                    StoreStatus status = StoreStatus::stored) const;

  // Everything that happens up to `now + by`, on its time.
  void pass(Duration by);
  // The same, with peers that answer at once that all is well and that they know nobody. Returns what the
  // node sent.
  std::vector<Sent> live(Duration by);
  // The requests of that type that the node has sent since they were asked for last.
  [[nodiscard]] std::vector<Sent> requests(MessageType type);
  [[nodiscard]] Sent request(MessageType type);  // exactly one
  [[nodiscard]] bool is_silent(MessageType type) { return requests(type).empty(); }

  TimePoint now = TimePoint{} + std::chrono::hours(10);
  sim::SimCredentials credentials{id_of(0x55), kCredentialsSecret};
  Node node;
  std::deque<Peer> peers;
  std::vector<Sent> outbox;
  std::vector<GetDone> gets;
  std::vector<PutDone> puts;
  std::vector<AnnounceDone> announcements;
  std::vector<ClusterChanged> changes;
  std::vector<NodesFound> searches;
  bool has_left = false;

 private:
  void take();
  void answer_all(std::vector<Sent>& log);

  std::uint64_t transaction_ = 1000;
  std::vector<Action> actions_;
};

}  // namespace reef::dsht
