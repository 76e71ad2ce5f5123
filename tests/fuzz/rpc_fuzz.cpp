// The RPC decoder, the seal and the node core: the input is a series of datagrams and waits, delivered to a
// node that is doing all it can do at once.
//
// Each record: one control byte, a length (2), that many bytes. The low two bits of the control byte choose
// the peer, bit 2 lets time pass, bit 3 repairs magic, version and network id, so that the inner fields are
// reached, bit 4 makes the datagram a reply to what the node asked last, bit 5 starts walks, bit 6 puts the
// datagram at a level whose cluster the node shares.
#include <cstdlib>
#include <cstring>

#include "dsht/credentials.h"
#include "dsht/membership.h"
#include "dsht/node.h"

using namespace reef;
using namespace reef::dsht;

namespace {

constexpr NetworkId kNet = 1;

void require(bool holds) {
  if (!holds) std::abort();
}

NodeId id_of(std::uint8_t byte) {
  NodeId id;
  id.bytes.fill(byte);
  return id;
}

// A signature holds if its first byte is zero: the fuzzer finds both sides of every check.
class EasyCredentials final : public Credentials {
 public:
  explicit EasyCredentials(std::uint8_t byte) { key_.fill(static_cast<std::byte>(byte)); }
  [[nodiscard]] const Ed25519PublicKey& public_key() const override { return key_; }
  [[nodiscard]] Ed25519Signature sign(ByteView) const override { return {}; }
  [[nodiscard]] bool verify(const Ed25519PublicKey&, ByteView,
                            const Ed25519Signature& signature) const override {
    return signature[0] == std::byte{0};
  }
  [[nodiscard]] NodeId id_of(const Ed25519PublicKey& key) const override {
    NodeId id;
    ByteReader(ByteView(key).first(kIdBytes)).copy_to(std::as_writable_bytes(std::span(id.bytes)));
    return id;
  }

 private:
  Ed25519PublicKey key_{};
};

struct Target {
  TimePoint now = TimePoint{} + std::chrono::hours(1);
  EasyCredentials credentials{0x55};
  Node node;
  std::uint64_t unix_ms = 1;
  Membership membership{as_bytes("key"), {}, SipKey{}};
  std::vector<Action> actions;
  std::uint64_t last_transaction = 0;
  Endpoint last_to{IpAddress::v4(20, 0, 0, 1), 1};

  static NodeOptions small() {
    NodeOptions options;
    options.rate_limit.slots = 16;
    options.storage.values_max = 64;
    options.walks_max = 32;
    options.rpcs_max = 256;
    return options;
  }
  Target() : node(small(), credentials, kNet, SipKey{}, Random(1), now, 1) {
    node.join(now, {last_to}, {});
    (void)node.announce(now, id_of(1).as<Key>(), {}, std::chrono::seconds(20), std::chrono::seconds(1));
    take();
  }

  void take() {
    node.take_actions(actions);
    for (const Action& action : actions) {
      const auto* datagram = std::get_if<SendDatagram>(&action);
      if (datagram == nullptr) continue;
      require(datagram->data.size() <= kMessageBytesMax);
      const auto message = decode(datagram->data, kNet);
      require(message.has_value());
      if (is_request(message->type())) {
        last_transaction = message->header.transaction;
        last_to = datagram->to;
      }
    }
  }

  // The sender says that it is in the node's clusters, by the offsets of docs/protocol.md.
  void share_cluster(Bytes& data) const {
    const auto level = static_cast<Level>(std::to_integer<unsigned>(data[45]) % kLevels);
    data[45] = static_cast<std::byte>(level);
    for (const Level at : {Level{1}, Level{2}}) {
      const ClusterId cluster = node.cluster(now, at).id;
      ByteWriter(std::span(data).subspan(at == 1 ? 47 : 72, kIdBytes))
          .bytes(std::as_bytes(std::span(cluster.bytes)));
    }
  }

  // Nothing that arrives makes the seal fail; nobody without the key opens it; what is sealed opens once.
  void check_seal(ByteView raw, const Bytes& data) {
    require(!membership.open(unix_ms, raw).has_value());
    if (data.size() < kHeaderBytes) return;
    Bytes sealed = data;
    membership.seal(unix_ms, sealed);
    const auto opened = membership.open(unix_ms, sealed);
    require(opened.has_value() && Bytes(opened->begin(), opened->end()) == data);
    const bool request = is_request(static_cast<MessageType>(data[3]));
    require(membership.open(unix_ms, sealed).has_value() == !request);
    ++unix_ms;
  }

  void deliver(std::uint8_t control, ByteView raw) {
    Bytes data(raw.begin(), raw.end());
    if ((control & 8) != 0 && data.size() >= kHeaderBytes) {
      ByteWriter writer(data);
      writer.u16(kMagic);
      writer.u8(kVersion);
      writer.u8(
          static_cast<std::uint8_t>(1 + std::to_integer<unsigned>(data[3]) % std::variant_size_v<Body>));
      writer.u64(kNet);
      if ((control & 16) != 0) writer.u64(last_transaction);
    }
    if ((control & 64) != 0 && data.size() >= kHeaderBytes) share_cluster(data);
    if (const auto message = decode(data, kNet)) require(encode(*message) == data);
    check_seal(raw, data);
    const Endpoint peer =
        (control & 16) != 0
            ? last_to
            : Endpoint{IpAddress::v4(20, 0, 0, static_cast<std::uint8_t>(1 + (control & 3))), 1};
    node.on_datagram(now, peer, data);
    take();
    if ((control & 32) != 0) {
      (void)node.get(now, id_of(control).as<Key>(), std::chrono::seconds(1));
      (void)node.put(now, id_of(control).as<Key>(), {}, std::chrono::seconds(60));
      take();
    }
    for (int i = 0; i < 8 && (control & 4) != 0; ++i) {
      now = std::max(now, node.next_deadline());
      node.on_deadline(now);
      take();
    }
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteReader in(std::as_bytes(std::span(data, size)));
  Target target;
  for (int records = 0; records < 32 && in.remaining() > 3; ++records) {
    const std::uint8_t control = in.u8();
    const std::size_t length = in.u16();
    target.deliver(control, in.bytes(std::min(length, in.remaining())));
  }
  return 0;
}
