#include "dsht/messages.h"

#include <cstring>
#include <utility>

#include "base/check.h"
#include "dsht/index.h"

namespace reef::dsht {
namespace {

constexpr std::uint8_t kFlagProve = 1;
constexpr std::uint8_t kFlagProof = 2;
constexpr std::uint8_t kNodesFull = 1;
constexpr std::uint8_t kNodesLoaded = 2;
constexpr std::uint8_t kNodesHot = 4;

// Without data and signature of a record: publisher, sequence, ttl, provisional, size.
constexpr std::size_t kRecordFixedBytes = 32 + 8 + 4 + 1 + 1;
constexpr std::size_t kSignatureBytes = 64;
constexpr std::size_t kFindFixedBytes = kHeaderBytes + kIdBytes + kIdBytes + 1 + 4 + 2;
constexpr std::size_t kAnnounceFixedBytes =
    kHeaderBytes + kIdBytes + 8 + 1 + kRecordFixedBytes + kSignatureBytes + 2;
constexpr std::size_t kSampleFixedBytes = kHeaderBytes + kIdBytes + 2;

constexpr std::array<std::byte, kMessageBytesMax> kZeros{};

constexpr std::string_view kRecordContext = "reef record 2";
constexpr std::string_view kProofContext = "reef proof 2";

constexpr bool is_reply(MessageType type) { return !is_request(type); }

// ---- reading: every helper leaves `ok` false on the first thing that may not be so

class Decoder {
 public:
  explicit Decoder(ByteView input) : in(input) {}

  template <class IdType>
  IdType id() {
    IdType out;
    in.copy_to(std::as_writable_bytes(std::span(out.bytes)));
    return out;
  }

  bool flag() {
    const std::uint8_t value = in.u8();
    require(value <= 1);
    return value == 1;
  }

  Endpoint endpoint() {
    const std::uint8_t family = in.u8();
    Endpoint out;
    if (family == 4) {
      out.address = IpAddress::v4(in.u32());
    } else {
      require(family == 6);
      std::array<std::uint8_t, 16> raw{};
      in.copy_to(std::as_writable_bytes(std::span(raw)));
      out.address = IpAddress::v6(raw);
      require(!out.address.is_v4());  // a mapped address has its own, shorter form
    }
    out.port = in.u16();
    return out;
  }

  Contact contact() {
    Contact out;
    out.id = id<NodeId>();
    out.rpc = endpoint();
    out.http_port = in.u16();
    out.dns_port = in.u16();
    out.services = in.u8();
    require(out.rpc.port != 0);
    return out;
  }

  Bytes data() {
    const std::uint8_t size = in.u8();
    require(size <= kValueBytesMax);
    const ByteView raw = in.bytes(size);
    return {raw.begin(), raw.end()};
  }

  Record record() {
    Record out;
    in.copy_to(out.publisher);
    out.sequence = in.u64();
    out.ttl_seconds = in.u32();
    out.provisional = flag();
    out.data = data();
    in.copy_to(out.signature);
    return out;
  }

  WireValue value() {
    WireValue out;
    out.record = record();
    out.left_seconds = in.u32();
    out.age_ms = in.u32();
    require(out.left_seconds <= out.record.ttl_seconds);
    return out;
  }

  std::vector<Contact> contacts() {
    return list<Contact>(kContactsMax, [this] { return contact(); });
  }
  std::vector<WireValue> values() {
    return list<WireValue>(kValuesMax, [this] { return value(); });
  }

  template <class Enum>
  Enum one_of(Enum last) {
    const std::uint8_t value = in.u8();
    require(value <= static_cast<std::uint8_t>(last));
    return static_cast<Enum>(value);
  }
  StoreStatus status() { return one_of(StoreStatus::refused); }

  std::uint8_t bits(std::uint8_t allowed) {
    const std::uint8_t value = in.u8();
    require((value & ~allowed) == 0);
    return value;
  }

  std::uint16_t padding() {
    const std::uint16_t size = in.u16();
    const ByteView raw = in.bytes(size);  // no longer than the datagram, and so than kZeros
    require(raw.empty() || std::memcmp(raw.data(), kZeros.data(), raw.size()) == 0);
    return size;
  }

  void require(bool holds) { good = good && holds; }
  [[nodiscard]] bool ok() const { return good && in.ok(); }

  ByteReader in;
  bool good = true;

 private:
  template <class T, class Read>
  std::vector<T> list(std::size_t max, Read read) {
    const std::size_t count = in.u8();
    require(count <= max);
    std::vector<T> out;
    if (ok()) out.reserve(count);
    for (std::size_t i = 0; i < count && ok(); ++i) out.push_back(read());
    return out;
  }
};

// From the transaction on. Returns the flags.
std::uint8_t read_header(Decoder& d, MessageType type, Header& h) {
  h.transaction = d.in.u64();
  h.sender = d.id<NodeId>();
  h.http_port = d.in.u16();
  h.dns_port = d.in.u16();
  h.services = d.in.u8();
  h.level = d.in.u8();
  d.require(h.level < kLevels);
  const std::uint8_t flags = d.bits(is_reply(type) ? kFlagProof : kFlagProve);
  h.prove = (flags & kFlagProve) != 0;
  for (ClusterDescription& cluster : h.clusters) {
    cluster.id = d.id<ClusterId>();
    cluster.log2_size = d.in.u8();
    cluster.age_seconds = d.in.u32();
    d.require(cluster.log2_size <= kIdBits);
  }
  return flags;
}

void read(Decoder&, Ping&) {}
void read(Decoder& d, Pong& m) {
  m.observed = d.endpoint();
  m.token = d.in.u64();
}
void read(Decoder& d, Find& m) {
  m.key = d.id<Key>();
  m.toward = d.id<Key>();
  m.want = d.one_of(Want::place);
  m.ttl_seconds = d.in.u32();
  m.padding = d.padding();
}
void read(Decoder& d, Nodes& m) {
  m.observed = d.endpoint();
  m.token = d.in.u64();
  const std::uint8_t bits = d.bits(kNodesFull | kNodesLoaded | kNodesHot);
  m.full = (bits & kNodesFull) != 0;
  m.loaded = (bits & kNodesLoaded) != 0;
  m.hot = (bits & kNodesHot) != 0;
  m.contacts = d.contacts();
  m.outer = d.contacts();
  m.values = d.values();
}
void read(Decoder& d, Store& m) {
  m.key = d.id<Key>();
  m.token = d.in.u64();
  m.record = d.record();
}
void read(Decoder& d, Stored& m) {
  m.observed = d.endpoint();
  m.status = d.status();
  m.token = d.in.u64();
}
void read(Decoder& d, Announce& m) {
  m.key = d.id<Key>();
  m.token = d.in.u64();
  m.insist = d.flag();
  m.record = d.record();
  m.padding = d.padding();
}
void read(Decoder& d, AnnounceReply& m) {
  m.observed = d.endpoint();
  m.status = d.status();
  m.token = d.in.u64();
  m.earlier = d.values();
  m.closer = d.contacts();
  m.outer = d.contacts();
}
void read(Decoder& d, Withdraw& m) {
  m.key = d.id<Key>();
  m.token = d.in.u64();
  m.record = d.record();
  d.require(m.record.ttl_seconds == 0 && m.record.data.empty());
}
void read(Decoder&, Leave&) {}
void read(Decoder& d, Handover& m) {
  m.key = d.id<Key>();
  m.token = d.in.u64();
  m.values = d.values();
}
void read(Decoder& d, Sample& m) {
  m.cluster = d.id<ClusterId>();
  d.require(!m.cluster.is_zero());
  m.padding = d.padding();
}

template <std::size_t Index>
void read_as(Decoder& d, Body& body) {
  read(d, body.emplace<Index>());
}

// By MessageType - 1, which is the order of Body's alternatives.
template <std::size_t... Index>
void read_body(Decoder& d, MessageType type, Body& body, std::index_sequence<Index...>) {
  static constexpr void (*kReaders[])(Decoder&, Body&) = {read_as<Index>...};
  kReaders[static_cast<std::size_t>(type) - 1](d, body);
}

std::optional<DecodeError> decode_into(ByteView datagram, NetworkId network, Message& message) {
  if (datagram.size() > kMessageBytesMax) return DecodeError::too_long;
  Decoder d(datagram);
  const std::uint16_t magic = d.in.u16();
  const std::uint8_t version = d.in.u8();
  const std::uint8_t type_number = d.in.u8();
  if (datagram.size() >= 2 && magic != kMagic) return DecodeError::foreign;
  if (datagram.size() >= 3 && version != kVersion) return DecodeError::unknown_version;
  if (datagram.size() < kHeaderBytes) return DecodeError::too_short;
  message.header.network = d.in.u64();
  if (message.header.network != network) return DecodeError::wrong_network;
  if (type_number < 1 || type_number > std::variant_size_v<Body>) return DecodeError::unknown_type;
  const auto type = static_cast<MessageType>(type_number);
  const std::uint8_t flags = read_header(d, type, message.header);
  d.require(type != MessageType::sample || message.header.level != 0);
  read_body(d, type, message.body, std::make_index_sequence<std::variant_size_v<Body>>());
  if ((flags & kFlagProof) != 0) {
    Proof& proof = message.proof.emplace();
    d.in.copy_to(proof.key);
    d.in.copy_to(proof.signature);
  }
  if (!d.ok()) return DecodeError::malformed;
  if (!d.in.at_end()) return DecodeError::trailing;
  return std::nullopt;
}

// ---- writing

class Encoder {
 public:
  explicit Encoder(std::span<std::byte> output) : out(output) {}

  template <class Tag>
  void id(const Id<Tag>& value) {
    out.bytes(std::as_bytes(std::span(value.bytes)));
  }
  void flag(bool value) { out.u8(value ? 1 : 0); }
  void endpoint(const Endpoint& value) {
    if (value.address.is_v4()) {
      out.u8(4);
      out.u32(value.address.v4_host_order());
    } else {
      out.u8(6);
      out.bytes(std::as_bytes(std::span(value.address.bytes())));
    }
    out.u16(value.port);
  }
  void contact(const Contact& value) {
    id(value.id);
    endpoint(value.rpc);
    out.u16(value.http_port);
    out.u16(value.dns_port);
    out.u8(value.services);
  }
  void data(const Bytes& value) {
    BASE_CHECK(value.size() <= kValueBytesMax);
    out.u8(static_cast<std::uint8_t>(value.size()));
    out.bytes(value);
  }
  void record(const Record& r) {
    out.bytes(r.publisher);
    out.u64(r.sequence);
    out.u32(r.ttl_seconds);
    flag(r.provisional);
    data(r.data);
    out.bytes(r.signature);
  }
  void value(const WireValue& v) {
    record(v.record);
    out.u32(v.left_seconds);
    out.u32(v.age_ms);
  }
  void contacts(const std::vector<Contact>& list) {
    BASE_CHECK(list.size() <= kContactsMax);
    out.u8(static_cast<std::uint8_t>(list.size()));
    for (const Contact& c : list) contact(c);
  }
  void values(const std::vector<WireValue>& list) {
    BASE_CHECK(list.size() <= kValuesMax);
    out.u8(static_cast<std::uint8_t>(list.size()));
    for (const WireValue& v : list) value(v);
  }
  void status(StoreStatus value) { out.u8(static_cast<std::uint8_t>(value)); }
  void padding(std::uint16_t size) {
    BASE_CHECK(size <= kZeros.size());
    out.u16(size);
    out.bytes(ByteView(kZeros).first(size));
  }

  void operator()(const Ping&) {}
  void operator()(const Pong& m) {
    endpoint(m.observed);
    out.u64(m.token);
  }
  void operator()(const Find& m) {
    id(m.key);
    id(m.toward);
    out.u8(static_cast<std::uint8_t>(m.want));
    out.u32(m.ttl_seconds);
    padding(m.padding);
  }
  void operator()(const Nodes& m) {
    endpoint(m.observed);
    out.u64(m.token);
    out.u8(static_cast<std::uint8_t>((m.full ? kNodesFull : 0) | (m.loaded ? kNodesLoaded : 0) |
                                     (m.hot ? kNodesHot : 0)));
    contacts(m.contacts);
    contacts(m.outer);
    values(m.values);
  }
  void operator()(const Store& m) {
    id(m.key);
    out.u64(m.token);
    record(m.record);
  }
  void operator()(const Stored& m) {
    endpoint(m.observed);
    status(m.status);
    out.u64(m.token);
  }
  void operator()(const Announce& m) {
    id(m.key);
    out.u64(m.token);
    flag(m.insist);
    record(m.record);
    padding(m.padding);
  }
  void operator()(const AnnounceReply& m) {
    endpoint(m.observed);
    status(m.status);
    out.u64(m.token);
    values(m.earlier);
    contacts(m.closer);
    contacts(m.outer);
  }
  void operator()(const Withdraw& m) {
    id(m.key);
    out.u64(m.token);
    record(m.record);
  }
  void operator()(const Leave&) {}
  void operator()(const Handover& m) {
    id(m.key);
    out.u64(m.token);
    values(m.values);
  }
  void operator()(const Sample& m) {
    id(m.cluster);
    padding(m.padding);
  }

  ByteWriter out;
};

std::uint16_t fill_up(std::size_t bytes) {
  return static_cast<std::uint16_t>(bytes < kPaddedRequestBytes ? kPaddedRequestBytes - bytes : 0);
}

}  // namespace

std::string_view to_text(DecodeError error) {
  switch (error) {
    case DecodeError::too_long:
      return "too_long";
    case DecodeError::too_short:
      return "too_short";
    case DecodeError::foreign:
      return "foreign";
    case DecodeError::unknown_version:
      return "unknown_version";
    case DecodeError::wrong_network:
      return "wrong_network";
    case DecodeError::unknown_type:
      return "unknown_type";
    case DecodeError::malformed:
      return "malformed";
    case DecodeError::trailing:
      return "trailing";
  }
  return "unknown";
}

tl::expected<Message, DecodeError> decode(ByteView datagram, NetworkId network) {
  tl::expected<Message, DecodeError> out;  // filled in place: a message is large to move
  if (const auto error = decode_into(datagram, network, *out)) out = tl::unexpected(*error);
  return out;
}

std::size_t encode(const Message& message, std::span<std::byte, kMessageBytesMax> buffer) {
  const Header& h = message.header;
  const MessageType type = message.type();
  BASE_CHECK(!(is_reply(type) && h.prove) && !(is_request(type) && message.proof));
  Encoder e(buffer);
  e.out.u16(kMagic);
  e.out.u8(kVersion);
  e.out.u8(static_cast<std::uint8_t>(type));
  e.out.u64(h.network);
  e.out.u64(h.transaction);
  e.id(h.sender);
  e.out.u16(h.http_port);
  e.out.u16(h.dns_port);
  e.out.u8(h.services);
  e.out.u8(h.level);
  e.out.u8(static_cast<std::uint8_t>((h.prove ? kFlagProve : 0) | (message.proof ? kFlagProof : 0)));
  for (const ClusterDescription& cluster : h.clusters) {
    e.id(cluster.id);
    e.out.u8(cluster.log2_size);
    e.out.u32(cluster.age_seconds);
  }
  std::visit([&e](const auto& body) { e(body); }, message.body);
  if (message.proof) {
    e.out.bytes(message.proof->key);
    e.out.bytes(message.proof->signature);
  }
  BASE_CHECK(e.out.ok());
  return e.out.size();
}

Bytes encode(const Message& message) {
  std::array<std::byte, kMessageBytesMax> buffer;
  const std::size_t size = encode(message, buffer);
  Bytes out;
  out.reserve(size + kSealBytes);
  out.insert(out.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(size));
  return out;
}

std::size_t wire_bytes(const Endpoint& endpoint) { return 1 + (endpoint.address.is_v4() ? 4 : 16) + 2; }
std::size_t wire_bytes(const Contact& contact) { return kIdBytes + wire_bytes(contact.rpc) + 2 + 2 + 1; }
std::size_t wire_bytes(const Record& record) {
  return kRecordFixedBytes + record.data.size() + kSignatureBytes;
}
std::size_t wire_bytes(const WireValue& value) { return wire_bytes(value.record) + 4 + 4; }

Bytes encode_endpoint(const Endpoint& endpoint) {
  std::array<std::byte, 19> buffer;
  Encoder e(buffer);
  e.endpoint(endpoint);
  const ByteView written = e.out.written();
  return {written.begin(), written.end()};
}

std::optional<Endpoint> decode_endpoint(ByteView data) {
  Decoder d(data);
  const Endpoint endpoint = d.endpoint();
  if (!d.ok() || !d.in.at_end()) return std::nullopt;
  return endpoint;
}

Bytes signed_bytes(NetworkId network, const Key& key, const Record& record) {
  Bytes out(kRecordContext.size() + 8 + kIdBytes + 8 + 4 + 1 + record.data.size());
  Encoder e(out);
  e.out.bytes(as_bytes(kRecordContext));
  e.out.u64(network);
  e.id(key);
  e.out.u64(record.sequence);
  e.out.u32(record.ttl_seconds);
  e.flag(record.provisional);
  e.out.bytes(record.data);
  BASE_CHECK(e.out.ok() && e.out.room() == 0);
  return out;
}

Bytes proof_bytes(NetworkId network, std::uint64_t transaction, const NodeId& requester,
                  const NodeId& answerer, const Endpoint& observed) {
  Bytes out(kProofContext.size() + 8 + 8 + kIdBytes + kIdBytes + wire_bytes(observed));
  Encoder e(out);
  e.out.bytes(as_bytes(kProofContext));
  e.out.u64(network);
  e.out.u64(transaction);
  e.id(requester);
  e.id(answerer);
  e.endpoint(observed);
  BASE_CHECK(e.out.ok() && e.out.room() == 0);
  return out;
}

std::uint16_t padding_for(const Find&) { return fill_up(kFindFixedBytes); }
std::uint16_t padding_for(const Announce& announce) {
  return fill_up(kAnnounceFixedBytes + announce.record.data.size());
}
std::uint16_t padding_for(const Sample&) { return fill_up(kSampleFixedBytes); }

}  // namespace reef::dsht
