#include "dsht/messages.h"

#include <algorithm>

#include "base/check.h"
#include "dsht/index.h"

namespace reef::dsht {
namespace {

constexpr std::size_t kFindFixedBytes = kHeaderBytes + kIdBytes + 1 + 2;
constexpr std::size_t kAnnounceFixedBytes = kHeaderBytes + kIdBytes + 8 + 1 + 4 + 1 + 2;

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

  WireValue value() {
    WireValue out;
    out.publisher = id<NodeId>();
    out.ttl_seconds = in.u32();
    out.age_ms = in.u32();
    out.provisional = flag();
    out.data = data();
    return out;
  }

  std::vector<Contact> contacts() {
    return list<Contact>(kContactsMax, [this] { return contact(); });
  }
  std::vector<WireValue> values() {
    return list<WireValue>(kValuesMax, [this] { return value(); });
  }

  StoreStatus status() {
    const std::uint8_t value = in.u8();
    require(value <= static_cast<std::uint8_t>(StoreStatus::refused));
    return static_cast<StoreStatus>(value);
  }

  std::uint16_t padding() {
    const std::uint16_t size = in.u16();
    const ByteView raw = in.bytes(size);
    require(std::all_of(raw.begin(), raw.end(), [](std::byte b) { return b == std::byte{0}; }));
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

Header read_header(Decoder& d) {
  Header h;
  h.transaction = d.in.u64();
  h.sender = d.id<NodeId>();
  h.http_port = d.in.u16();
  h.dns_port = d.in.u16();
  h.services = d.in.u8();
  h.level = d.in.u8();
  d.require(h.level < kLevels);
  for (ClusterDescription& cluster : h.clusters) {
    cluster.id = d.id<ClusterId>();
    cluster.log2_size = d.in.u8();
    cluster.age_seconds = d.in.u32();
    d.require(cluster.log2_size <= kIdBits);
  }
  return h;
}

// Braced initialisers are evaluated in order, which is the order on the wire.
Body read_body(Decoder& d, MessageType type) {
  switch (type) {
    case MessageType::ping:
      return Ping{};
    case MessageType::pong:
      return Pong{d.endpoint(), d.in.u64()};
    case MessageType::find:
      return Find{d.id<Key>(), d.flag(), d.padding()};
    case MessageType::nodes:
      return Nodes{d.endpoint(), d.in.u64(), d.contacts(), d.values()};
    case MessageType::store:
      return Store{d.id<Key>(), d.in.u64(), d.in.u32(), d.flag(), d.data()};
    case MessageType::stored:
      return Stored{d.endpoint(), d.status(), d.in.u64()};
    case MessageType::announce:
      return Announce{d.id<Key>(), d.in.u64(), d.flag(), d.in.u32(), d.data(), d.padding()};
    case MessageType::announced:
      return AnnounceReply{d.endpoint(), d.status(), d.in.u64(), d.values(), d.contacts()};
    case MessageType::withdraw:
      return Withdraw{d.id<Key>(), d.in.u64()};
    case MessageType::leave:
      return Leave{};
    case MessageType::handover:
      return Handover{d.id<Key>(), d.in.u64(), d.values()};
  }
  d.require(false);
  return Ping{};
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
  void value(const WireValue& v) {
    id(v.publisher);
    out.u32(v.ttl_seconds);
    out.u32(v.age_ms);
    flag(v.provisional);
    data(v.data);
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
    static constexpr std::array<std::byte, kDatagramBytesMax> kZeros{};
    out.u16(size);
    out.bytes(ByteView(kZeros).first(std::min<std::size_t>(size, kZeros.size())));
  }

  void operator()(const Ping&) {}
  void operator()(const Pong& m) {
    endpoint(m.observed);
    out.u64(m.token);
  }
  void operator()(const Find& m) {
    id(m.target);
    flag(m.want_values);
    padding(m.padding);
  }
  void operator()(const Nodes& m) {
    endpoint(m.observed);
    out.u64(m.token);
    contacts(m.contacts);
    values(m.values);
  }
  void operator()(const Store& m) {
    id(m.key);
    out.u64(m.token);
    out.u32(m.ttl_seconds);
    flag(m.provisional);
    data(m.data);
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
    out.u32(m.ttl_seconds);
    data(m.data);
    padding(m.padding);
  }
  void operator()(const AnnounceReply& m) {
    endpoint(m.observed);
    status(m.status);
    out.u64(m.token);
    values(m.earlier);
    contacts(m.closer);
  }
  void operator()(const Withdraw& m) {
    id(m.key);
    out.u64(m.token);
  }
  void operator()(const Leave&) {}
  void operator()(const Handover& m) {
    id(m.key);
    out.u64(m.token);
    values(m.values);
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
  if (datagram.size() > kDatagramBytesMax) return tl::unexpected(DecodeError::too_long);
  Decoder d(datagram);
  const std::uint16_t magic = d.in.u16();
  const std::uint8_t version = d.in.u8();
  const std::uint8_t type = d.in.u8();
  if (datagram.size() >= 2 && magic != kMagic) return tl::unexpected(DecodeError::foreign);
  if (datagram.size() >= 3 && version != kVersion) return tl::unexpected(DecodeError::unknown_version);
  if (datagram.size() < kHeaderBytes) return tl::unexpected(DecodeError::too_short);
  const NetworkId carried = d.in.u64();
  if (carried != network) return tl::unexpected(DecodeError::wrong_network);
  if (type < 1 || type > std::variant_size_v<Body>) return tl::unexpected(DecodeError::unknown_type);
  Message message;
  message.header = read_header(d);
  message.header.network = carried;
  message.body = read_body(d, static_cast<MessageType>(type));
  if (!d.ok()) return tl::unexpected(DecodeError::malformed);
  if (!d.in.at_end()) return tl::unexpected(DecodeError::trailing);
  return message;
}

Bytes encode(const Message& message) {
  std::array<std::byte, kDatagramBytesMax> buffer;
  Encoder e(buffer);
  const Header& h = message.header;
  e.out.u16(kMagic);
  e.out.u8(kVersion);
  e.out.u8(static_cast<std::uint8_t>(message.type()));
  e.out.u64(h.network);
  e.out.u64(h.transaction);
  e.id(h.sender);
  e.out.u16(h.http_port);
  e.out.u16(h.dns_port);
  e.out.u8(h.services);
  e.out.u8(h.level);
  for (const ClusterDescription& cluster : h.clusters) {
    e.id(cluster.id);
    e.out.u8(cluster.log2_size);
    e.out.u32(cluster.age_seconds);
  }
  std::visit(e, message.body);
  BASE_CHECK(e.out.ok());
  const ByteView written = e.out.written();
  return {written.begin(), written.end()};
}

std::size_t wire_bytes(const Endpoint& endpoint) { return 1 + (endpoint.address.is_v4() ? 4 : 16) + 2; }
std::size_t wire_bytes(const Contact& contact) { return kIdBytes + wire_bytes(contact.rpc) + 2 + 2 + 1; }
std::size_t wire_bytes(const WireValue& value) { return kIdBytes + 4 + 4 + 1 + 1 + value.data.size(); }

std::uint16_t padding_for(const Find&) { return fill_up(kFindFixedBytes); }
std::uint16_t padding_for(const Announce& announce) {
  return fill_up(kAnnounceFixedBytes + announce.data.size());
}

}  // namespace reef::dsht
