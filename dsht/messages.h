// The RPC wire format: one message is one UDP datagram of at most 1,232 bytes. docs/protocol.md has the byte
// layout and test vectors. Strict: what decode() accepts, encode() gives back byte for byte. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <tl/expected.hpp>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/id.h"
#include "base/ip.h"
#include "dsht/contact.h"
#include "dsht/keys.h"

namespace reef::dsht {

inline constexpr std::uint16_t kMagic = 0x5246;  // "RF"
inline constexpr std::uint8_t kVersion = 2;
// An IPv6 datagram of the least MTU that everybody carries (RFC 8200: 1,280), without fragmentation.
inline constexpr std::size_t kDatagramBytesMax = 1232;
// What a closed network adds to every message (dsht/membership.h); there is room for it in all networks.
inline constexpr std::size_t kSealBytes = 24;
inline constexpr std::size_t kMessageBytesMax = kDatagramBytesMax - kSealBytes;
inline constexpr std::size_t kHeaderBytes = 97;
// FIND, ANNOUNCE and SAMPLE are padded to this, so that a full datagram is at most three times as large as
// what asked for it.
inline constexpr std::size_t kPaddedRequestBytes = 403;
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
  sample = 12,
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
  bool prove = false;                            // requests: the reply shall prove the answerer's id
  std::array<ClusterDescription, 2> clusters{};  // the sender's at levels 1 and 2
  bool operator==(const Header&) const = default;
};

// What a publisher says under a key. Signed by it (see signed_bytes()), so that whoever keeps it or passes it
// on can neither change it nor speak in another's name.
struct Record {
  Ed25519PublicKey publisher{};
  std::uint64_t sequence = 0;     // of one publisher and key the greater replaces the lesser
  std::uint32_t ttl_seconds = 0;  // its whole life; 0: takes back what was said before
  bool provisional = false;       // its publisher is still fetching
  Bytes data;                     // at most kValueBytesMax
  Ed25519Signature signature{};
  bool operator==(const Record&) const = default;
};

// A record as it is passed on. `age_ms` is the time since it arrived where it is ordered, so that a replica
// keeps the order.
struct WireValue {
  Record record;
  std::uint32_t left_seconds = 0;  // to live, at most its ttl
  std::uint32_t age_ms = 0;
  bool operator==(const WireValue&) const = default;
};

// Shows that the answerer holds the key from which its id is made: a signature over what proof_bytes() says.
struct Proof {
  Ed25519PublicKey key{};
  Ed25519Signature signature{};
  bool operator==(const Proof&) const = default;
};

enum class StoreStatus : std::uint8_t {
  stored = 0,
  renewed = 1,       // the publisher's value was there; it was replaced or its life prolonged
  token_needed = 2,  // nothing was stored; the reply carries a token to come back with
  full = 3,          // no room for it, or full and loaded: store it further out
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
// What a FIND is for.
enum class Want : std::uint8_t {
  contacts = 0,
  values = 1,  // a get: the values under the key as well
  place = 2,   // a put looks for its place: is the node full, is it loaded?
};
struct Find {
  Key key;
  Key toward;  // contacts closest to this are wanted: the key itself, or a splice of it (NSDI 2004, §3.2)
  Want want = Want::contacts;
  std::uint32_t ttl_seconds = 0;  // with Want::place: of the value to be put
  std::uint16_t padding = 0;
  bool operator==(const Find&) const = default;
};
struct Nodes {
  Endpoint observed;
  std::uint64_t token = 0;
  bool full = false;    // holds enough values of the key that live at least half as long as the new one
  bool loaded = false;  // as many puts of the key as it lets through have passed it lately
  bool hot = false;     // the key is asked for so often that the asker should remember the values for a while
  std::vector<Contact> contacts;  // of the level asked for, closest to `toward` first
  std::vector<Contact> outer;     // of the next outer level, closest to the key first
  std::vector<WireValue> values;  // in order of arrival
  bool operator==(const Nodes&) const = default;
};
struct Store {
  Key key;
  std::uint64_t token = 0;
  Record record;
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
  Record record;
  std::uint16_t padding = 0;
  bool operator==(const Announce&) const = default;
};
struct AnnounceReply {
  Endpoint observed;
  StoreStatus status = StoreStatus::stored;
  std::uint64_t token = 0;
  std::vector<WireValue> earlier;  // in order of arrival, never the requester's
  std::vector<Contact> closer;     // with not_closest
  std::vector<Contact> outer;      // of the next outer level, closest to the key first
  bool operator==(const AnnounceReply&) const = default;
};
// Carries a record of no life.
struct Withdraw {
  Key key;
  std::uint64_t token = 0;
  Record record;
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
// Asks for some members of a cluster, which the requester need not be in. Answered by NODES: contacts drawn
// by lot, none if the answerer is not in it.
struct Sample {
  ClusterId cluster;
  std::uint16_t padding = 0;
  bool operator==(const Sample&) const = default;
};

using Body = std::variant<Ping, Pong, Find, Nodes, Store, Stored, Announce, AnnounceReply, Withdraw, Leave,
                          Handover, Sample>;

struct Message {
  Header header;
  Body body;
  std::optional<Proof> proof;  // of replies only
  [[nodiscard]] MessageType type() const { return static_cast<MessageType>(body.index() + 1); }
  bool operator==(const Message&) const = default;
};

enum class DecodeError : std::uint8_t {
  too_long,
  too_short,  // ends within its header
  foreign,    // another magic: not ours at all
  unknown_version,
  wrong_network,
  unknown_type,
  malformed,  // a field that may not be so, or a body that ends early
  trailing,   // bytes after the end
};
[[nodiscard]] std::string_view to_text(DecodeError error);

[[nodiscard]] tl::expected<Message, DecodeError> decode(ByteView datagram, NetworkId network);
// The message must fit: whoever builds it counts with the sizes below. The first leaves room for a seal.
[[nodiscard]] Bytes encode(const Message& message);
[[nodiscard]] std::size_t encode(const Message& message, std::span<std::byte, kMessageBytesMax> buffer);

[[nodiscard]] std::size_t wire_bytes(const Contact& contact);
[[nodiscard]] std::size_t wire_bytes(const Record& record);
[[nodiscard]] std::size_t wire_bytes(const WireValue& value);
[[nodiscard]] std::size_t wire_bytes(const Endpoint& endpoint);
inline constexpr std::size_t kProofBytes = 32 + 64;

// An endpoint as it travels, for values whose data is one.
[[nodiscard]] Bytes encode_endpoint(const Endpoint& endpoint);
[[nodiscard]] std::optional<Endpoint> decode_endpoint(ByteView data);

// What a record's signature covers: "reef record 2", network id, key, sequence, ttl, provisional, data.
[[nodiscard]] Bytes signed_bytes(NetworkId network, const Key& key, const Record& record);
// What a proof's signature covers: "reef proof 2", network id, transaction, requester's id, answerer's id,
// and the requester's endpoint as the answerer sees it, so that a proof cannot be relayed by somebody in
// between.
[[nodiscard]] Bytes proof_bytes(NetworkId network, std::uint64_t transaction, const NodeId& requester,
                                const NodeId& answerer, const Endpoint& observed);

// The padding that brings a request up to kPaddedRequestBytes.
[[nodiscard]] std::uint16_t padding_for(const Find& find);
[[nodiscard]] std::uint16_t padding_for(const Announce& announce);
[[nodiscard]] std::uint16_t padding_for(const Sample& sample);

[[nodiscard]] constexpr bool is_request(MessageType type) {
  switch (type) {
    case MessageType::ping:
    case MessageType::find:
    case MessageType::store:
    case MessageType::announce:
    case MessageType::withdraw:
    case MessageType::leave:
    case MessageType::handover:
    case MessageType::sample:
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
