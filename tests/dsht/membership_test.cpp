#include "dsht/membership.h"

#include <doctest/doctest.h>

#include "base/random.h"
#include "dsht/keys.h"

using namespace reef;
using namespace reef::dsht;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kNow = 1'700'000'000'000;  // ms
using Refusal = Membership::Refusal;

Membership member(std::string_view key = "key", const MembershipOptions& options = {}) {
  return Membership(as_bytes(key), options, SipKey{});
}

NodeId node(int number) {
  NodeId id;
  id.bytes[0] = static_cast<std::uint8_t>(number >> 8);
  id.bytes[1] = static_cast<std::uint8_t>(number);
  return id;
}

Bytes message_of(const NodeId& sender, Body body = Ping{}) {
  Message message;
  message.header.sender = sender;
  message.body = std::move(body);
  return encode(message);
}

// Sealed by a process that begins at that time.
Bytes sealed_at(std::uint64_t unix_ms, const NodeId& sender, Body body = Ping{}) {
  Bytes out = message_of(sender, std::move(body));
  member().seal(unix_ms, out);
  return out;
}

std::uint64_t time_of(const Bytes& datagram) { return ByteReader(ByteView(datagram).last(kSealBytes)).u64(); }

std::string_view outcome(Membership& membership, std::uint64_t unix_ms, ByteView datagram) {
  const auto opened = membership.open(unix_ms, datagram);
  return opened ? "taken" : to_text(opened.error());
}

std::uint64_t refused(const Membership& membership, Refusal why) {
  return membership.refused()[static_cast<std::size_t>(why)].value();
}

}  // namespace

TEST_CASE("an open network passes everything through unchanged") {
  Membership open = member("");
  CHECK(open.is_open());
  Bytes message = {std::byte{1}};
  open.seal(kNow, message);
  CHECK(message == Bytes{std::byte{1}});
  for (int i = 0; i < 2; ++i) {
    const auto opened = open.open(kNow, message);
    REQUIRE(opened.has_value());
    CHECK(opened->data() == message.data());
    CHECK(opened->size() == 1);
  }
  CHECK(open.senders() == 0);
}

TEST_CASE("a sealed message is opened by a member to what it was") {
  Membership a = member(), b = member();
  CHECK_FALSE(a.is_open());
  const Bytes plain = message_of(node(1));
  Bytes datagram = plain;
  a.seal(kNow, datagram);
  CHECK(datagram.size() == plain.size() + kSealBytes);
  const auto opened = b.open(kNow, datagram);
  REQUIRE(opened.has_value());
  CHECK(Bytes(opened->begin(), opened->end()) == plain);
  CHECK(opened->data() == datagram.data());
}

TEST_CASE(
    "the seal is the time in microseconds and the first 16 bytes of HMAC-SHA-256 under the derived key") {
  const Bytes datagram = sealed_at(kNow, node(1));
  CHECK(time_of(datagram) == kNow * 1000);
  const Sha256Digest key = hmac_sha256(as_bytes("key"), as_bytes("reef seal 2"));
  const Sha256Digest mac = hmac_sha256(key, ByteView(datagram).first(datagram.size() - 16));
  CHECK(to_hex(ByteView(mac).first(16)) == to_hex(ByteView(datagram).last(16)));
}

TEST_CASE("a datagram of another key, or changed in any bit, or cut, is refused and counted") {
  Membership b = member();
  Bytes datagram = sealed_at(kNow, node(1));
  std::uint64_t bad = 0;
  for (std::size_t bit = 0; bit < datagram.size() * 8; ++bit) {
    datagram[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    CHECK(outcome(b, kNow, datagram) == "bad_mac");
    datagram[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    ++bad;
  }
  CHECK(outcome(b, kNow, ByteView(datagram).first(kHeaderBytes + kSealBytes - 1)) == "too_short");
  CHECK(outcome(b, kNow, {}) == "too_short");
  CHECK(refused(b, Refusal::bad_mac) == bad);
  CHECK(refused(b, Refusal::too_short) == 2);
  CHECK(b.senders() == 0);  // strangers take no memory

  Membership other = member("another key");
  CHECK(outcome(other, kNow, datagram) == "bad_mac");
  CHECK(outcome(b, kNow, datagram) == "taken");
}

TEST_CASE("a time further from ours than the slack is stale, either way") {
  MembershipOptions options;
  options.clock_slack = 2s;
  Membership b = member("key", options);
  const auto at = [&](std::uint64_t theirs) { return outcome(b, kNow, sealed_at(theirs, node(1))); };
  CHECK(at(kNow - 2000) == "taken");
  CHECK(at(kNow - 2001) == "stale");
  CHECK(at(kNow + 2000) == "taken");
  CHECK(at(kNow + 2001) == "stale");
  CHECK(refused(b, Refusal::stale) == 2);
}

TEST_CASE("a request is taken once; a reply as often as it comes, since its transaction is accepted once") {
  Membership b = member();
  const Bytes request = sealed_at(kNow, node(1));
  CHECK(outcome(b, kNow, request) == "taken");
  CHECK(outcome(b, kNow, request) == "replayed");
  CHECK(outcome(b, kNow + 60'000, request) == "replayed");
  CHECK(refused(b, Refusal::replayed) == 2);
  // Another sender may have the same time.
  CHECK(outcome(b, kNow, sealed_at(kNow, node(2))) == "taken");

  const Bytes reply = sealed_at(kNow, node(1), Pong{});
  CHECK(outcome(b, kNow, reply) == "taken");
  CHECK(outcome(b, kNow, reply) == "taken");
}

TEST_CASE("every type of request is guarded, and no reply uses the window") {
  const std::vector<Body> bodies = {Ping{},     Pong{},          Find{},     Nodes{}, Store{},    Stored{},
                                    Announce{}, AnnounceReply{}, Withdraw{}, Leave{}, Handover{}, Sample{}};
  REQUIRE(bodies.size() == std::variant_size_v<Body>);
  for (const Body& body : bodies) {
    Membership b = member();
    const Bytes datagram = sealed_at(kNow, node(1), body);
    const auto type = static_cast<MessageType>(body.index() + 1);
    CAPTURE(body.index());
    CHECK(outcome(b, kNow, datagram) == "taken");
    CHECK(outcome(b, kNow, datagram) == (is_request(type) ? "replayed" : "taken"));
    CHECK(b.senders() == (is_request(type) ? 1 : 0));
  }
}

TEST_CASE("requests may overtake each other within the window of 64; older ones are taken for replays") {
  std::vector<Bytes> requests;
  for (std::uint64_t i = 0; i < 200; ++i) requests.push_back(sealed_at(kNow + i, node(1)));

  Membership b = member();
  for (std::size_t i = 100; i < 163; ++i) CHECK(outcome(b, kNow, requests[i]) == "taken");
  CHECK(outcome(b, kNow, requests[0]) == "taken");   // the 64th: there is still room
  CHECK(outcome(b, kNow, requests[50]) == "taken");  // pushes the oldest out
  CHECK(outcome(b, kNow, requests[0]) == "replayed");
  CHECK(outcome(b, kNow, requests[49]) == "replayed");
  CHECK(outcome(b, kNow, requests[50]) == "replayed");
  CHECK(outcome(b, kNow, requests[162]) == "replayed");
  CHECK(outcome(b, kNow, requests[199]) == "taken");
}

TEST_CASE("in whatever order requests come, none is taken twice, and of 64 in flight all are taken") {
  Random random(3);
  for (int round = 0; round < 50; ++round) {
    Membership b = member();
    std::vector<Bytes> requests;
    for (std::uint64_t i = 0; i < 64; ++i) requests.push_back(sealed_at(kNow + i * 7, node(1)));
    std::shuffle(requests.begin(), requests.end(), random);
    for (const Bytes& request : requests) CHECK(outcome(b, kNow, request) == "taken");
    std::shuffle(requests.begin(), requests.end(), random);
    for (const Bytes& request : requests) CHECK(outcome(b, kNow, request) == "replayed");
  }
}

TEST_CASE(
    "times rise by at least one, however many datagrams a millisecond sees and if the clock goes back") {
  Membership a = member();
  std::uint64_t last = 0;
  const auto next = [&](std::uint64_t unix_ms) {
    Bytes datagram = message_of(node(1));
    a.seal(unix_ms, datagram);
    const std::uint64_t time = time_of(datagram);
    CHECK(time > last);
    last = time;
  };
  for (int i = 0; i < 5000; ++i) next(kNow);
  CHECK(last == kNow * 1000 + 4999);
  next(kNow - 60'000);
  CHECK(last == kNow * 1000 + 5000);
  next(kNow + 10);
  CHECK(last == (kNow + 10) * 1000);
}

TEST_CASE("a clock that was far ahead and was set right does not shut the node out until it is caught up") {
  Membership a = member(), b = member();
  Bytes first = message_of(node(1));
  a.seal(kNow + 3'600'000, first);
  CHECK(outcome(b, kNow, first) == "stale");
  Bytes second = message_of(node(1));
  a.seal(kNow, second);
  CHECK(outcome(b, kNow, second) == "taken");
}

TEST_CASE("a busy node of 150,000 datagrams a second stays within the slack") {
  Membership a = member();
  Bytes datagram;
  for (std::uint64_t ms = 0; ms < 100; ++ms) {
    for (int i = 0; i < 150; ++i) {
      datagram.assign(kHeaderBytes, std::byte{0});
      a.seal(kNow + ms, datagram);
    }
  }
  CHECK(time_of(datagram) - (kNow + 99) * 1000 < 1000);
}

TEST_CASE("senders are remembered up to their bound; the one heard longest ago gives way") {
  MembershipOptions options;
  options.senders_max = 3;
  Membership b = member("key", options);
  for (const int i : {1, 2, 3}) CHECK(outcome(b, kNow, sealed_at(kNow, node(i))) == "taken");
  CHECK(outcome(b, kNow, sealed_at(kNow + 1, node(1))) == "taken");  // 2 was heard longest ago now
  CHECK(outcome(b, kNow, sealed_at(kNow, node(4))) == "taken");
  CHECK(b.senders() == 3);
  for (const int i : {1, 3, 4}) CHECK(outcome(b, kNow, sealed_at(kNow, node(i))) == "replayed");
  CHECK(outcome(b, kNow, sealed_at(kNow, node(2))) == "taken");  // forgotten
  for (int i = 10; i < 1000; ++i) (void)b.open(kNow, sealed_at(kNow, node(i)));
  CHECK(b.senders() == 3);
}
