#include "dsht/messages.h"

#include <doctest/doctest.h>

#include <fstream>
#include <map>
#include <set>

#include "base/crypto.h"
#include "base/random.h"
#include "dsht/identity.h"
#include "dsht/index.h"
#include "dsht/membership.h"

using namespace reef;
using namespace reef::dsht;

namespace {

constexpr NetworkId kNet = 0x0123456789abcdef;
constexpr std::string_view kNetworkKey = "a network key";  // of the sealed datagram
constexpr std::uint64_t kSealedAtMs = 1'700'000'000'000;

template <class IdType>
IdType filled(std::uint8_t byte) {
  IdType id;
  id.bytes.fill(byte);
  return id;
}

Identity identity(std::uint8_t byte) {
  Ed25519Seed seed;
  seed.fill(static_cast<std::byte>(byte));
  return Identity(seed);
}

Header sample_header() {
  Header h;
  h.network = kNet;
  h.transaction = 0x1122334455667788;
  h.sender = filled<NodeId>(0xa1);
  h.http_port = 8090;
  h.dns_port = 5300;
  h.services = kServiceProxy | kServiceDns;
  h.clusters[0] = {filled<ClusterId>(0xc1), 9, 86400};
  h.clusters[1] = {filled<ClusterId>(0xc2), 5, 3600};
  return h;
}
Header header_at(Level level) {
  Header h = sample_header();
  h.level = level;
  return h;
}

const Endpoint kSeen4{IpAddress::v4(192, 0, 2, 7), 8091};
const Endpoint kSeen6{IpAddress::parse("2001:db8::7").value(), 8091};
const Key kKey = filled<Key>(0x4b);

Bytes bytes_of(std::string_view text) {
  const ByteView view = as_bytes(text);
  return {view.begin(), view.end()};
}

Record sample_record(std::uint8_t seed, std::uint32_t ttl, bool provisional, std::string_view data) {
  const Identity publisher = identity(seed);
  Record record{publisher.public_key(), 1'700'000'000'000, ttl, provisional, bytes_of(data), {}};
  record.signature = publisher.sign(signed_bytes(kNet, kKey, record));
  return record;
}
WireValue sample_value(std::uint8_t seed, bool provisional) {
  return {sample_record(seed, 20, provisional, "v"), 15, 1500};
}

Message proved(Message reply, const Identity& answerer) {
  reply.header.sender = answerer.id();
  reply.proof =
      Proof{answerer.public_key(), answerer.sign(proof_bytes(kNet, reply.header.transaction,
                                                             filled<NodeId>(0xa1), answerer.id(), kSeen4))};
  return reply;
}

// One of each, as docs/protocol.md shows them.
std::map<std::string, Message> samples() {
  const Contact four{filled<NodeId>(0xb1), kSeen4, 8090, 0, kServiceProxy};
  const Contact six{filled<NodeId>(0xb2), kSeen6, 0, 53, kServiceDns};
  Find find{kKey, filled<Key>(0x4c), Want::place, 3600, 0};
  find.padding = padding_for(find);
  Announce announce{kKey, 7, true, sample_record(1, 20, true, "v"), 0};
  announce.padding = padding_for(announce);
  Sample sample{filled<ClusterId>(0xc3), 0};
  sample.padding = padding_for(sample);
  Header asks_proof = header_at(2);
  asks_proof.prove = true;
  const Header zero = sample_header();

  std::map<std::string, Message> out;
  out["ping"] = {zero, Ping{}, {}};
  out["pong"] = {zero, Pong{kSeen4, 7}, {}};
  out["find"] = {asks_proof, find, {}};
  out["nodes"] = {
      header_at(2),
      Nodes{
          kSeen6, 7, true, false, true, {four, six}, {six}, {sample_value(1, false), sample_value(2, true)}},
      {}};
  out["nodes-proof"] =
      proved({header_at(2), Nodes{kSeen4, 7, false, true, false, {four}, {}, {}}, {}}, identity(3));
  out["store"] = {zero, Store{kKey, 7, sample_record(1, 3600, false, "value")}, {}};
  out["stored"] = {zero, Stored{kSeen4, StoreStatus::token_needed, 7}, {}};
  out["announce"] = {zero, announce, {}};
  out["announced"] = {
      zero, AnnounceReply{kSeen4, StoreStatus::not_closest, 7, {sample_value(2, true)}, {four}, {six}}, {}};
  out["withdraw"] = {zero, Withdraw{kKey, 7, sample_record(1, 0, false, "")}, {}};
  out["leave"] = {zero, Leave{}, {}};
  out["handover"] = {zero, Handover{kKey, 7, {sample_value(1, true)}}, {}};
  out["sample"] = {header_at(1), sample, {}};
  return out;
}

Bytes sealed_ping() {
  Message ping{sample_header(), Ping{}, {}};
  ping.header.network = network_id_of(as_bytes(kNetworkKey));
  Bytes out = encode(ping);
  Membership membership(as_bytes(kNetworkKey), {}, SipKey{});
  membership.seal(kSealedAtMs, out);
  return out;
}

// The vectors of the page: "```vector NAME", hex in any number of lines, "```".
std::map<std::string, std::string> page_vectors() {
  std::map<std::string, std::string> out;
  std::ifstream page(PROTOCOL_PAGE);
  std::string line, name;
  while (std::getline(page, line)) {
    if (line.starts_with("```vector ")) {
      name = line.substr(10);
    } else if (line == "```") {
      name.clear();
    } else if (!name.empty()) {
      for (const char c : line) {
        if (c != ' ') out[name] += c;
      }
    }
  }
  return out;
}

bool is_refused(const Message& message, std::size_t at_from_end, std::uint8_t byte) {
  Bytes wire = encode(message);
  REQUIRE(decode(wire, kNet).has_value());
  wire[wire.size() - at_from_end] = static_cast<std::byte>(byte);
  const auto decoded = decode(wire, kNet);
  return !decoded && decoded.error() == DecodeError::malformed;
}

}  // namespace

TEST_CASE("every message is encoded as docs/protocol.md shows it") {
  const auto vectors = page_vectors();
  for (const auto& sample : samples()) {
    const auto& name = sample.first;
    const auto& message = sample.second;
    CAPTURE(name);
    const auto vector = vectors.find(name);
    REQUIRE((vector != vectors.end()));
    CHECK(to_hex(encode(message)) == vector->second);
  }
  REQUIRE(vectors.contains("sealed"));
  CHECK(to_hex(sealed_ping()) == vectors.at("sealed"));
  CHECK(vectors.size() == samples().size() + 1);
}

TEST_CASE("there is a sample of every type") {
  std::set<MessageType> types;
  for (const auto& [name, message] : samples()) types.insert(message.type());
  CHECK(types.size() == std::variant_size_v<Body>);
}

TEST_CASE("what is encoded is decoded to the same message, and fits the buffer that it is written to") {
  for (const auto& sample : samples()) {
    const auto& name = sample.first;
    const auto& message = sample.second;
    CAPTURE(name);
    const Bytes wire = encode(message);
    const auto decoded = decode(wire, kNet);
    REQUIRE(decoded.has_value());
    CHECK((*decoded == message));
    std::array<std::byte, kMessageBytesMax> buffer;
    const std::size_t size = encode(message, buffer);
    CHECK(std::equal(wire.begin(), wire.end(), buffer.begin(), buffer.begin() + size));
  }
}

TEST_CASE("a datagram cut anywhere, or with one byte more, is refused") {
  for (const auto& sample : samples()) {
    const auto& name = sample.first;
    const auto& message = sample.second;
    CAPTURE(name);
    Bytes wire = encode(message);
    for (std::size_t size = 0; size < wire.size(); ++size) {
      CHECK_FALSE(decode(ByteView(wire).first(size), kNet).has_value());
    }
    wire.push_back(std::byte{0});
    const auto longer = decode(wire, kNet);
    REQUIRE_FALSE(longer.has_value());
    CHECK(longer.error() == DecodeError::trailing);
  }
}

TEST_CASE("whatever is accepted is encoded back byte for byte, and nothing makes the decoder fail") {
  Random random(7);
  std::vector<Bytes> all;
  for (const auto& [name, message] : samples()) all.push_back(encode(message));
  int accepted = 0, refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    Bytes wire = all[random.below(all.size())];
    const std::uint64_t changes = 1 + random.below(3);
    for (std::uint64_t i = 0; i < changes; ++i)
      wire[random.below(wire.size())] = static_cast<std::byte>(random());
    const auto decoded = decode(wire, kNet);
    if (!decoded) {
      ++refused;
      continue;
    }
    ++accepted;
    CHECK((encode(*decoded) == wire));
  }
  CHECK(accepted > 1000);
  CHECK(refused > 1000);
}

TEST_CASE("other networks, versions, types and protocols are told apart") {
  const auto error_with = [](std::size_t at, std::uint8_t byte) {
    Bytes wire = encode({sample_header(), Ping{}, {}});
    wire[at] = static_cast<std::byte>(byte);
    const auto decoded = decode(wire, kNet);
    return decoded ? "accepted" : to_text(decoded.error());
  };
  CHECK(error_with(0, 0x52) == "accepted");
  CHECK(error_with(0, 0x53) == "foreign");
  CHECK(error_with(2, 1) == "unknown_version");
  CHECK(error_with(2, 3) == "unknown_version");
  CHECK(error_with(3, 0) == "unknown_type");
  CHECK(error_with(3, 13) == "unknown_type");
  CHECK(error_with(4, 0xff) == "wrong_network");
  CHECK(error_with(45, 3) == "malformed");    // there is no level 3
  CHECK(error_with(67, 161) == "malformed");  // no cluster of 2^161
  CHECK(decode(Bytes(kMessageBytesMax + 1), kNet).error() == DecodeError::too_long);
  CHECK(decode({}, kNet).error() == DecodeError::too_short);
}

TEST_CASE("only a request may ask for a proof, only a reply may carry one, other flags are zero") {
  const auto accepts = [](Message message, std::uint8_t flags, std::size_t more) {
    Bytes wire = encode(message);
    wire[46] = static_cast<std::byte>(flags);
    wire.resize(wire.size() + more);
    const auto decoded = decode(wire, kNet);
    if (!decoded) CHECK(decoded.error() == DecodeError::malformed);
    return decoded.has_value();
  };
  const Message request{sample_header(), Ping{}, {}};
  const Message reply{sample_header(), Pong{kSeen4, 0}, {}};
  CHECK(accepts(request, 0, 0));
  CHECK(accepts(request, 1, 0));
  CHECK_FALSE(accepts(request, 2, kProofBytes));
  CHECK_FALSE(accepts(request, 3, kProofBytes));
  CHECK(accepts(reply, 0, 0));
  CHECK(accepts(reply, 2, kProofBytes));
  CHECK_FALSE(accepts(reply, 2, kProofBytes - 1));
  CHECK_FALSE(accepts(reply, 1, 0));
  CHECK_FALSE(accepts(reply, 3, kProofBytes));
  for (int bit = 2; bit < 8; ++bit) {
    CHECK_FALSE(accepts(request, static_cast<std::uint8_t>(1 << bit), 0));
    CHECK_FALSE(accepts(reply, static_cast<std::uint8_t>(1 << bit), 0));
  }
}

TEST_CASE("fields that may not be so are refused") {
  const Header h = sample_header();
  const Record none = sample_record(1, 0, false, "");
  CHECK(is_refused({h, Find{kKey, kKey, Want::values, 0, 4}, {}}, 1, 1));  // padding is zeros
  CHECK(is_refused({h, Find{kKey, kKey, Want::place, 0, 0}, {}}, 7, 3));   // three things to want
  CHECK(is_refused({h, Nodes{kSeen4, 0, true, true, true, {}, {}, {}}, {}}, 4, 8));
  CHECK(is_refused({h, Nodes{kSeen4, 0, false, false, false, {}, {}, {}}, {}}, 3, kContactsMax + 1));
  CHECK(is_refused({h, Stored{kSeen4, StoreStatus::full, 0}, {}}, 9, 8));    // no such status
  CHECK(is_refused({h, Stored{kSeen4, StoreStatus::full, 0}, {}}, 16, 5));   // no such family
  CHECK(is_refused({h, Handover{kKey, 0, {}}, {}}, 1, kValuesMax + 1));      // too many values
  CHECK(is_refused({h, Store{kKey, 0, none}, {}}, 65, kValueBytesMax + 1));  // too large
  CHECK(is_refused({h, Store{kKey, 0, none}, {}}, 66, 2));                   // a flag is 0 or 1
  CHECK(is_refused({h, Announce{kKey, 0, true, none, 0}, {}}, 113, 2));      // the same, of insist
}

TEST_CASE("a value has no more left to live than its whole life") {
  Handover handover{kKey, 0, {sample_value(1, false)}};
  handover.values[0].left_seconds = handover.values[0].record.ttl_seconds;
  CHECK(decode(encode({sample_header(), handover, {}}), kNet).has_value());
  ++handover.values[0].left_seconds;
  CHECK_FALSE(decode(encode({sample_header(), handover, {}}), kNet).has_value());
}

TEST_CASE("a record that withdraws has no life and no data") {
  const auto accepts = [](const Record& record) {
    return decode(encode({sample_header(), Withdraw{kKey, 0, record}, {}}), kNet).has_value();
  };
  CHECK(accepts(sample_record(1, 0, false, "")));
  CHECK_FALSE(accepts(sample_record(1, 1, false, "")));
  CHECK_FALSE(accepts(sample_record(1, 0, false, "v")));
}

TEST_CASE("SAMPLE is about a cluster of level 1 or 2") {
  const auto accepts = [](Level level, std::uint8_t id) {
    return decode(encode({header_at(level), Sample{filled<ClusterId>(id), 0}, {}}), kNet).has_value();
  };
  CHECK(accepts(1, 1));
  CHECK(accepts(2, 1));
  CHECK_FALSE(accepts(0, 1));
  CHECK_FALSE(accepts(1, 0));
}

TEST_CASE("a mapped IPv4 address in the IPv6 form is refused, because the same address has one form") {
  Message message{sample_header(), Pong{kSeen6, 0}, {}};
  Bytes wire = encode(message);
  const std::array<std::uint8_t, 16> mapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4};
  for (std::size_t i = 0; i < mapped.size(); ++i)
    wire[kHeaderBytes + 1 + i] = static_cast<std::byte>(mapped[i]);
  CHECK_FALSE(decode(wire, kNet).has_value());
}

TEST_CASE("sizes are as counted, and a padded request pays for a full datagram") {
  const Header h = sample_header();
  CHECK(encode({h, Ping{}, {}}).size() == kHeaderBytes);
  for (const char* padded : {"find", "announce", "sample"}) {
    CHECK(encode(samples().at(padded)).size() == kPaddedRequestBytes);
  }
  CHECK(kPaddedRequestBytes * kReplyFactorMax >= kMessageBytesMax);
  CHECK((kPaddedRequestBytes + kSealBytes) * kReplyFactorMax >= kDatagramBytesMax);

  // An announcement of the largest value still fits.
  Announce largest{kKey, 0, false, {}, 0};
  largest.record.data.resize(kValueBytesMax);
  largest.padding = padding_for(largest);
  CHECK(encode({h, largest, {}}).size() == kPaddedRequestBytes);

  const std::size_t empty = encode({h, Nodes{kSeen4, 0, false, false, false, {}, {}, {}}, {}}).size();
  const Contact six{NodeId{}, kSeen6, 0, 0, 0};
  CHECK(encode({h, Nodes{kSeen4, 0, false, false, false, {six}, {}, {}}, {}}).size() ==
        empty + wire_bytes(six));
  CHECK(encode({h, Nodes{kSeen4, 0, false, false, false, {}, {}, {sample_value(1, true)}}, {}}).size() ==
        empty + wire_bytes(sample_value(1, true)));
  CHECK(encode({h, Nodes{kSeen4, 0, false, false, false, {}, {}, {}}, Proof{}}).size() ==
        empty + kProofBytes);
}

TEST_CASE("a record's signature covers network, key and all that the record says") {
  const Record record = sample_record(1, 20, true, "v");
  const auto holds = [](NetworkId network, const Key& key, const Record& r) {
    return ed25519_verify(r.publisher, signed_bytes(network, key, r), r.signature);
  };
  CHECK(holds(kNet, kKey, record));
  CHECK_FALSE(holds(kNet + 1, kKey, record));
  CHECK_FALSE(holds(kNet, filled<Key>(0x4c), record));
  const auto changed = [&](auto change) {
    Record other = record;
    change(other);
    return !holds(kNet, kKey, other);
  };
  CHECK(changed([](Record& r) { r.publisher = identity(2).public_key(); }));
  CHECK(changed([](Record& r) { ++r.sequence; }));
  CHECK(changed([](Record& r) { ++r.ttl_seconds; }));
  CHECK(changed([](Record& r) { r.provisional = false; }));
  CHECK(changed([](Record& r) { r.data.push_back(std::byte{0}); }));
}

TEST_CASE("a proof holds for one exchange between two nodes, as the answerer sees the requester") {
  const Identity answerer = identity(3);
  const NodeId requester = filled<NodeId>(0xa1);
  const Bytes said = proof_bytes(kNet, 1, requester, answerer.id(), kSeen4);
  CHECK(said != proof_bytes(kNet + 1, 1, requester, answerer.id(), kSeen4));
  CHECK(said != proof_bytes(kNet, 2, requester, answerer.id(), kSeen4));
  CHECK(said != proof_bytes(kNet, 1, filled<NodeId>(0xa2), answerer.id(), kSeen4));
  CHECK(said != proof_bytes(kNet, 1, requester, filled<NodeId>(0xa2), kSeen4));
  CHECK(said != proof_bytes(kNet, 1, requester, answerer.id(), kSeen6));
  CHECK(said != proof_bytes(kNet, 1, requester, answerer.id(), {kSeen4.address, 1}));

  // What docs/protocol.md shows is such a proof.
  const auto shown = samples().at("nodes-proof");
  REQUIRE(shown.proof.has_value());
  CHECK(node_id_of(shown.proof->key) == shown.header.sender);
  CHECK(ed25519_verify(shown.proof->key,
                       proof_bytes(kNet, shown.header.transaction, requester, shown.header.sender, kSeen4),
                       shown.proof->signature));
}
