// The RPC decoder and the node core: the input is a series of datagrams and waits, delivered to a node that
// is doing all it can do at once.
//
// Each record: one control byte, a length (2), that many bytes. The low two bits of the control byte choose
// the peer, bit 2 lets time pass, bit 3 repairs magic, version and network id, so that the inner fields are
// reached, bit 4 makes the datagram a reply to what the node asked last.
#include <cstdlib>
#include <cstring>

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

struct Target {
  TimePoint now = TimePoint{} + std::chrono::hours(1);
  Node node;
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
  Target() : node(small(), id_of(0x55), kNet, SipKey{}, Random(1), now) {
    node.join(now, {last_to}, {});
    (void)node.announce(now, id_of(1).as<Key>(), {}, std::chrono::seconds(20), std::chrono::seconds(1));
    take();
  }

  void take() {
    node.take_actions(actions);
    for (const Action& action : actions) {
      const auto* datagram = std::get_if<SendDatagram>(&action);
      if (datagram == nullptr) continue;
      require(datagram->data.size() <= kDatagramBytesMax);
      const auto message = decode(datagram->data, kNet);
      require(message.has_value());
      if (is_request(message->type())) {
        last_transaction = message->header.transaction;
        last_to = datagram->to;
      }
    }
  }

  void deliver(std::uint8_t control, ByteView raw) {
    Bytes data(raw.begin(), raw.end());
    if ((control & 8) != 0 && data.size() >= kHeaderBytes) {
      ByteWriter writer(data);
      writer.u16(kMagic);
      writer.u8(kVersion);
      writer.u8(static_cast<std::uint8_t>(1 + std::to_integer<unsigned>(data[3]) % 11));
      writer.u64(kNet);
      if ((control & 16) != 0) writer.u64(last_transaction);
    }
    if (const auto message = decode(data, kNet)) require(encode(*message) == data);
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
