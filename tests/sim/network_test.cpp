// The simulator itself: its order of events, its identities and what it does to datagrams.
#include "tests/sim/network.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/sim/world.h"

using namespace reef;
using namespace reef::sim;
using namespace std::chrono_literals;

TEST_CASE("events come in order of time, and of their making where times are equal") {
  const TimePoint start = TimePoint{} + 1h;
  EventQueue queue(start);
  Random random(1);
  struct Made {
    std::int64_t at;
    std::uint32_t number;
    bool operator<(const Made& other) const { return at != other.at ? at < other.at : number < other.number; }
  };
  std::vector<Made> made;
  std::vector<Made> taken;
  TimePoint now = start;
  std::uint32_t number = 0;
  const auto push = [&](Duration later) {
    Event event;
    event.at = (now + later).time_since_epoch().count();
    event.slot = number;
    queue.push(event);
    made.push_back({event.at, number++});
  };
  // Spans of nanoseconds, of days, of years and of hours, and many equal times; new ones are made meanwhile.
  const Duration spans[] = {0ns, 100ns, 50us, 3ms, 900ms, 40s, 5h};
  for (int round = 0; round < 200; ++round) {
    for (const Duration span : spans) {
      push(span);
      push(random.between(Duration::zero(), span));
    }
    const TimePoint end =
        now + random.between(Duration::zero(), round % 10 == 0 ? Duration(1h) : Duration(2ms));
    Event event;
    while (queue.pop(end, event)) {
      now = TimePoint(Duration(event.at));
      taken.push_back({event.at, event.slot});
      if (event.slot % 7 == 0) push(random.between(Duration::zero(), 70us));
    }
    now = end;
  }
  Event event;
  while (queue.pop(TimePoint::max(), event)) taken.push_back({event.at, event.slot});
  CHECK(queue.size() == 0);
  std::sort(made.begin(), made.end());
  REQUIRE(taken.size() == made.size());
  CHECK(std::ranges::equal(taken, made, [](const Made& a, const Made& b) { return a.number == b.number; }));
}

TEST_CASE("who has only an object of its own cannot sign for another") {
  SipKey secret{};
  secret[3] = std::byte{9};
  Random random(1);
  const SimCredentials alice(random.id<NodeId>(), secret);
  const SimCredentials mallory(random.id<NodeId>(), secret);
  const Bytes message(1000, std::byte{7});
  const Ed25519Signature signature = alice.sign(message);
  CHECK(mallory.verify(alice.public_key(), message, signature));
  CHECK_FALSE(alice.verify(alice.public_key(), message, mallory.sign(message)));
  CHECK_FALSE(alice.verify(mallory.public_key(), message, signature));
  for (const std::size_t at : {std::size_t{0}, std::size_t{479}, std::size_t{480}, std::size_t{999}}) {
    Bytes changed = message;
    changed[at] = std::byte{8};
    CHECK_FALSE(alice.verify(alice.public_key(), changed, signature));
  }
  CHECK_FALSE(alice.verify(alice.public_key(), ByteView(message).first(999), signature));
  Ed25519PublicKey other = alice.public_key();
  CHECK(alice.id_of(other) == NodeId{alice.id_of(alice.public_key())});
  other[31] = std::byte{1};
  CHECK(alice.id_of(other) != alice.id_of(alice.public_key()));
}

TEST_CASE("a host finds others at their addresses, chosen or given, and a restart as somebody new is one") {
  Network network(run_seed(), {});
  const Host first = network.add(many_nodes());
  const Host placed = network.add(many_nodes(), {.metro = Metro{3}, .address = IpAddress::v4(51, 0, 0, 9)});
  CHECK(network.place(placed).metro == 3);
  network.join(first, {});
  network.join(placed, {first});
  network.run_for(10s);
  REQUIRE(network.node(first).contact_count() == 1);
  CHECK(network.node(first).table().entries()[0].contact.rpc.address == IpAddress::v4(51, 0, 0, 9));
  CHECK(network.node(placed).observed() == network.endpoint(placed));
  const NodeId before = network.id(placed);
  network.kill(placed);
  network.restart_as_new(placed);
  CHECK(network.id(placed) != before);
  CHECK(network.life(placed) == 1);
  network.join(placed, {first});
  network.run_for(10min);
  REQUIRE(network.node(first).contact_count() == 1);
  CHECK(network.node(first).table().entries()[0].contact.id == network.id(placed));
}

TEST_CASE("sessions end with the half-life asked for") {
  Network network(run_seed(), {.metros = 6});
  for (int i = 0; i < 300; ++i) network.add(many_nodes());
  Churn churn(network, 20s, 100ms, {0, 1});
  churn.start();
  network.run_for(100s);
  churn.stop();
  // ln 2 deaths a half-life and host.
  CHECK(churn.deaths() > 298 * 5 * 0.693 * 0.85);
  CHECK(churn.deaths() < 298 * 5 * 0.693 * 1.15);
  CHECK(network.life(0) == 0);
  CHECK(network.life(1) == 0);
}
