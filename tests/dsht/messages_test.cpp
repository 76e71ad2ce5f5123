#include "dsht/messages.h"

#include <doctest/doctest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "base/crypto.h"
#include "base/random.h"
#include "dsht/index.h"

using namespace reef;
using namespace reef::dsht;

namespace {

constexpr NetworkId kNet = 0x0123456789abcdef;

template <class IdType>
IdType filled(std::uint8_t byte) {
  IdType id;
  id.bytes.fill(byte);
  return id;
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

const Endpoint kSeen4{IpAddress::v4(192, 0, 2, 7), 8091};
const Endpoint kSeen6{IpAddress::parse("2001:db8::7").value(), 8091};

Bytes bytes_of(std::string_view text) {
  const ByteView view = as_bytes(text);
  return {view.begin(), view.end()};
}

WireValue sample_value(std::uint8_t publisher, bool provisional) {
  return {filled<NodeId>(publisher), 20, 1500, provisional, bytes_of("v")};
}

// One of each, as docs/protocol.md shows them.
std::map<std::string, Message> samples() {
  const Key key = filled<Key>(0x4b);
  const Contact four{filled<NodeId>(0xb1), kSeen4, 8090, 0, kServiceProxy};
  const Contact six{filled<NodeId>(0xb2), kSeen6, 0, 53, kServiceDns};
  Find find{key, true, 0};
  find.padding = padding_for(find);
  Announce announce{key, 7, false, 20, bytes_of("v"), 0};
  announce.padding = padding_for(announce);
  std::map<std::string, Message> out;
  const auto add = [&](const char* name, Body body) { out[name] = {sample_header(), std::move(body)}; };
  add("ping", Ping{});
  add("pong", Pong{kSeen4, 7});
  add("find", find);
  add("nodes", Nodes{kSeen6, 7, {four, six}, {sample_value(0xd1, false), sample_value(0xd2, true)}});
  add("store", Store{key, 7, 3600, false, bytes_of("value")});
  add("stored", Stored{kSeen4, StoreStatus::token_needed, 7});
  add("announce", announce);
  add("announced", AnnounceReply{kSeen4, StoreStatus::not_closest, 7, {sample_value(0xd1, true)}, {four}});
  add("withdraw", Withdraw{key, 7});
  add("leave", Leave{});
  add("handover", Handover{key, 7, {sample_value(0xd1, true)}});
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

}  // namespace

TEST_CASE("every message is encoded as docs/protocol.md shows it") {
  const auto vectors = page_vectors();
  for (const auto& [name, message] : samples()) {
    CAPTURE(name);
    const auto vector = vectors.find(name);
    CHECK((vector != vectors.end()));
    const std::string hex = to_hex(encode(message));
    if (vector != vectors.end()) CHECK(hex == vector->second);
  }
  CHECK(vectors.size() == samples().size());
}

TEST_CASE("what is encoded is decoded to the same message") {
  for (const auto& [name, message] : samples()) {
    CAPTURE(name);
    const auto decoded = decode(encode(message), kNet);
    REQUIRE(decoded.has_value());
    CHECK((*decoded == message));
  }
}

TEST_CASE("a datagram cut anywhere, or with one byte more, is refused") {
  for (const auto& [name, message] : samples()) {
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
  const auto all = samples();
  int accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    auto sample = std::next(all.begin(), static_cast<std::ptrdiff_t>(random.below(all.size())));
    Bytes wire = encode(sample->second);
    const std::uint64_t changes = 1 + random.below(3);
    for (std::uint64_t i = 0; i < changes; ++i)
      wire[random.below(wire.size())] = static_cast<std::byte>(random());
    const auto decoded = decode(wire, kNet);
    if (!decoded) continue;
    ++accepted;
    CHECK((encode(*decoded) == wire));
  }
  CHECK(accepted > 1000);
}

TEST_CASE("other networks, versions, types and protocols are told apart") {
  const auto error_with = [](std::size_t at, std::uint8_t byte) {
    Bytes wire = encode({sample_header(), Ping{}});
    wire[at] = static_cast<std::byte>(byte);
    const auto decoded = decode(wire, kNet);
    return decoded ? "accepted" : to_text(decoded.error());
  };
  CHECK(error_with(0, 0x52) == "accepted");
  CHECK(error_with(0, 0x53) == "foreign");
  CHECK(error_with(2, 2) == "unknown_version");
  CHECK(error_with(3, 0) == "unknown_type");
  CHECK(error_with(3, 12) == "unknown_type");
  CHECK(error_with(4, 0xff) == "wrong_network");
  CHECK(error_with(45, 3) == "malformed");    // there is no level 3
  CHECK(error_with(66, 161) == "malformed");  // no cluster of 2^161
  CHECK(decode(Bytes(kDatagramBytesMax + 1), kNet).error() == DecodeError::too_long);
  CHECK(decode({}, kNet).error() == DecodeError::too_short);
}

TEST_CASE("fields that may not be so are refused") {
  const auto is_refused = [](Message message, std::size_t at_from_end, std::uint8_t byte) {
    Bytes wire = encode(message);
    wire[wire.size() - at_from_end] = static_cast<std::byte>(byte);
    const auto decoded = decode(wire, kNet);
    return !decoded && decoded.error() == DecodeError::malformed;
  };
  CHECK(is_refused({sample_header(), Find{Key{}, true, 4}}, 1, 1));                   // padding is zeros
  CHECK(is_refused({sample_header(), Find{Key{}, true, 0}}, 3, 2));                   // a flag is 0 or 1
  CHECK(is_refused({sample_header(), Stored{kSeen4, StoreStatus::full, 0}}, 9, 8));   // no such status
  CHECK(is_refused({sample_header(), Stored{kSeen4, StoreStatus::full, 0}}, 16, 5));  // no such family
  CHECK(is_refused({sample_header(), Handover{Key{}, 0, {}}}, 1, kValuesMax + 1));    // too many values
  CHECK(is_refused({sample_header(), Store{Key{}, 0, 1, false, {}}}, 1, kValueBytesMax + 1));
}

TEST_CASE("a mapped IPv4 address in the IPv6 form is refused, because the same address has one form") {
  Message message{sample_header(), Pong{kSeen6, 0}};
  Bytes wire = encode(message);
  const std::array<std::uint8_t, 16> mapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4};
  for (std::size_t i = 0; i < mapped.size(); ++i)
    wire[kHeaderBytes + 1 + i] = static_cast<std::byte>(mapped[i]);
  CHECK_FALSE(decode(wire, kNet).has_value());
}

TEST_CASE("sizes are as counted, and a padded request pays for a full datagram") {
  CHECK(encode({sample_header(), Ping{}}).size() == kHeaderBytes);
  for (const auto& [name, message] : samples()) {
    if (name == "find" || name == "announce") CHECK(encode(message).size() == kPaddedRequestBytes);
  }
  CHECK(kPaddedRequestBytes * kReplyFactorMax >= kDatagramBytesMax);
  const std::size_t empty = encode({sample_header(), Nodes{kSeen4, 0, {}, {}}}).size();
  const Contact six{NodeId{}, kSeen6, 0, 0, 0};
  CHECK(encode({sample_header(), Nodes{kSeen4, 0, {six}, {}}}).size() == empty + wire_bytes(six));
  CHECK(encode({sample_header(), Nodes{kSeen4, 0, {}, {sample_value(1, true)}}}).size() ==
        empty + wire_bytes(sample_value(1, true)));
}
