// The RPC wire format: one message is one UDP datagram of at most 1,232 bytes. docs/protocol.md has the byte
// layout and test vectors. Strict: what decode() accepts, encode() gives back byte for byte. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <tl/expected.hpp>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/ip.h"
#include "dsht/contact.h"
#include "dsht/keys.h"

namespace reef::dsht {

inline constexpr std::uint16_t kMagic = 0x5246;  // "RF"
inline constexpr std::uint8_t kVersion = 1;
// An IPv6 datagram of the least MTU that everybody carries (RFC 8200: 1,280), without fragmentation.
inline constexpr std::size_t kDatagramBytesMax = 1232;
inline constexpr std::size_t kHeaderBytes = 96;
// FIND and ANNOUNCE are padded to this, so that a full datagram is at most three times as large as what asked
// for it.
inline constexpr std::size_t kPaddedRequestBytes = 411;
inline constexpr std::size_t kReplyFactorMax = 3;
inline constexpr std::size_t kContactsMax = 20;  // in one message
inline constexpr std::size_t kValuesMax = 32;    // in one message

enum class MessageType : std::uint8_t {
  ping = 1,
  pong = 2,
  find = 3,
  nodes = 4,
  store = 5,
  stored = 6,
  announce = 7,
  announced = 8,
  withdraw = 9,
  leave = 10,
  handover = 11,
};

// What the sender says of its cluster at a level (level 0 needs no words). A zero id: it is in none.
struct ClusterDescription {
  ClusterId id;
  std::uint8_t log2_size = 0;     // estimate
  std::uint32_t age_seconds = 0;  // since it was founded
  bool operator==(const ClusterDescription&) const = default;
};

struct Header {
  NetworkId network = 0;
  std::uint64_t transaction = 0;  // chosen by the requester, returned by the reply
  NodeId sender;
  std::uint16_t http_port = 0;  // 0: none
  std::uint16_t dns_port = 0;   // 0: none
  Services services = 0;
  Level level = 0;                               // the cluster that this exchange is about
  std::array<ClusterDescription, 2> clusters{};  // the sender's at levels 1 and 2
  bool operator==(const Header&) const = default;
};

// A value as it travels. `age_ms` is the time since it arrived where it is ordered, so that a replica keeps
// the order.
struct WireValue {
  NodeId publisher;
  std::uint32_t ttl_seconds = 0;  // left
  std::uint32_t age_ms = 0;
  bool provisional = false;
  Bytes data;  // at most kValueBytesMax
  bool operator==(const WireValue&) const = default;
};

enum class StoreStatus : std::uint8_t {
  stored = 0,
  renewed = 1,       // the publisher's value was there; it was replaced or its life prolonged
  token_needed = 2,  // nothing was stored; the reply carries a token to come back with
  full = 3,          // no room for it
  not_closest = 4,   // the answerer knows live nodes closer to the key; the reply names them
  withdrawn = 5,
  absent = 6,   // there was nothing to withdraw
  refused = 7,  // not a place for this key
};

struct Ping {
  bool operator==(const Ping&) const = default;
};
struct Pong {
  Endpoint observed;  // the requester, as the answerer sees it
  std::uint64_t token = 0;
  bool operator==(const Pong&) const = default;
};
struct Find {
  Key target;
  bool want_values = false;
  std::uint16_t padding = 0;
  bool operator==(const Find&) const = default;
};
struct Nodes {
  Endpoint observed;
  std::uint64_t token = 0;
  std::vector<Contact> contacts;  // closest to the target first
  std::vector<WireValue> values;  // in order of arrival
  bool operator==(const Nodes&) const = default;
};
struct Store {
  Key key;
  std::uint64_t token = 0;
  std::uint32_t ttl_seconds = 0;
  bool provisional = false;
  Bytes data;
  bool operator==(const Store&) const = default;
};
// Answers STORE, WITHDRAW and HANDOVER.
struct Stored {
  Endpoint observed;
  StoreStatus status = StoreStatus::stored;
  std::uint64_t token = 0;
  bool operator==(const Stored&) const = default;
};
struct Announce {
  Key key;
  std::uint64_t token = 0;
  bool insist = false;  // store it even though closer nodes are known: the requester cannot reach them
  std::uint32_t ttl_seconds = 0;
  Bytes data;
  std::uint16_t padding = 0;
  bool operator==(const Announce&) const = default;
};
struct AnnounceReply {
  Endpoint observed;
  StoreStatus status = StoreStatus::stored;
  std::uint64_t token = 0;
  std::vector<WireValue> earlier;  // in order of arrival, never the requester's
  std::vector<Contact> closer;     // with not_closest
  bool operator==(const AnnounceReply&) const = default;
};
struct Withdraw {
  Key key;
  std::uint64_t token = 0;
  bool operator==(const Withdraw&) const = default;
};
// The sender goes away. Not answered.
struct Leave {
  bool operator==(const Leave&) const = default;
};
// Values of other publishers, from a node that held them for the key.
struct Handover {
  Key key;
  std::uint64_t token = 0;
  std::vector<WireValue> values;
  bool operator==(const Handover&) const = default;
};

using Body =
    std::variant<Ping, Pong, Find, Nodes, Store, Stored, Announce, AnnounceReply, Withdraw, Leave, Handover>;

struct Message {
  Header header;
  Body body;
  [[nodiscard]] MessageType type() const { return static_cast<MessageType>(body.index() + 1); }
  bool operator==(const Message&) const = default;
};

enum class DecodeError : std::uint8_t {
  too_long,
  too_short,        // ends within its header
  foreign,          // another magic: not ours at all
  unknown_version,  //
  wrong_network,    //
  unknown_type,     //
  malformed,        // a field that may not be so, or a body that ends early
  trailing,         // bytes after the end
};
[[nodiscard]] std::string_view to_text(DecodeError error);

[[nodiscard]] tl::expected<Message, DecodeError> decode(ByteView datagram, NetworkId network);
// The message must fit: whoever builds it counts with the sizes below.
[[nodiscard]] Bytes encode(const Message& message);

[[nodiscard]] std::size_t wire_bytes(const Contact& contact);
[[nodiscard]] std::size_t wire_bytes(const WireValue& value);
[[nodiscard]] std::size_t wire_bytes(const Endpoint& endpoint);

// The padding that brings a request up to kPaddedRequestBytes.
[[nodiscard]] std::uint16_t padding_for(const Find& find);
[[nodiscard]] std::uint16_t padding_for(const Announce& announce);

[[nodiscard]] constexpr bool is_request(MessageType type) {
  switch (type) {
    case MessageType::ping:
    case MessageType::find:
    case MessageType::store:
    case MessageType::announce:
    case MessageType::withdraw:
    case MessageType::leave:
    case MessageType::handover:
      return true;
    case MessageType::pong:
    case MessageType::nodes:
    case MessageType::stored:
    case MessageType::announced:
      return false;
  }
  return false;
}

}  // namespace reef::dsht
