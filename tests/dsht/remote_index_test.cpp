// Real sockets on loopback, real loops: the shell around the node.
#include "dsht/io/remote_index.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <array>
#include <map>
#include <thread>

#include "base/io/socket.h"
#include "dsht/io/udp_node.h"

using namespace reef;
using namespace reef::dsht;
using namespace std::chrono_literals;

namespace {

Identity fresh_identity() {
  Ed25519Seed seed;
  random_bytes(seed);
  return Identity(seed);
}

UdpNodeOptions on_loopback(std::vector<Endpoint> seeds = {}) {
  UdpNodeOptions options;
  options.listen = Endpoint::parse("127.0.0.1:0").value();
  options.seeds = std::move(seeds);
  options.node.http_port = 8090;
  options.node.services = kServiceProxy;
  return options;
}

// Turns the loop until `condition` holds; fails the test after 20 s.
template <class Condition>
void turn_until(EventLoop& loop, Condition condition) {
  bool late = false;
  Timer limit(loop, [&] {
    late = true;
    loop.stop();
  });
  limit.start(20s);
  std::function<void()> look;
  Timer poll(loop, [&] { look(); });
  look = [&] {
    if (condition()) {
      loop.stop();
    } else {
      poll.start(1ms);
    }
  };
  poll.start(0ns);
  loop.run();
  REQUIRE_FALSE(late);
}

struct Pair {
  EventLoop loop;
  DiskPool disk{1, 16};
  UdpNode a{loop, disk, fresh_identity(), on_loopback()};
  std::unique_ptr<UdpNode> b;
  Pair() {
    REQUIRE(a.start().has_value());
    b = std::make_unique<UdpNode>(loop, disk, fresh_identity(), on_loopback({a.bound()}));
    REQUIRE(b->start().has_value());
    turn_until(loop, [this] { return b->is_joined() && a.contact_count() == 1; });
  }
};

}  // namespace

TEST_CASE_FIXTURE(Pair, "two nodes find each other, agree on their endpoints, and share values") {
  CHECK(b->advertised() == b->bound());
  NodesQuery query;
  query.services = kServiceProxy;
  query.heard_within = 1min;
  const auto near = a.nodes(query);
  REQUIRE(near.size() == 1);
  CHECK(near[0].contact.id == b->id());
  CHECK(near[0].contact.http_port == 8090);
  CHECK(near[0].contact == b->self());
  CHECK(near[0].rtt.has_value());

  const Key key = a.key(KeyDomain::test, "x");
  CHECK(key == b->key(KeyDomain::test, "x"));
  std::optional<bool> stored;
  std::optional<Found> found;
  a.put(key, as_bytes("value"), 60s, [&](bool ok) {
    stored = ok;
    b->get(key, 1s, [&](Found result) { found = std::move(result); });
  });
  CHECK_FALSE(stored.has_value());  // never inside the call
  turn_until(loop, [&] { return found.has_value(); });
  CHECK(*stored);
  REQUIRE(found->values.size() == 1);
  CHECK(as_text(found->values[0].data) == "value");
  CHECK(found->values[0].publisher == a.id());
}

TEST_CASE("a burst of one peer is answered datagram by datagram, each answer once") {
  EventLoop loop;
  DiskPool disk{1, 16};
  UdpNode node(loop, disk, fresh_identity(), on_loopback());
  REQUIRE(node.start().has_value());
  const auto socket = bind_udp(Endpoint::parse("127.0.0.1:0").value(), false);
  REQUIRE(socket.has_value());
  sockaddr_storage to{};
  const socklen_t size = node.bound().to(to);
  REQUIRE(::connect(socket->get(), reinterpret_cast<const sockaddr*>(&to), size) == 0);
  constexpr std::uint64_t kCount = 150;  // several batches
  Message message;
  message.header.network = network_id_of({});
  message.header.sender = fresh_identity().id();
  message.body = Ping{};
  for (std::uint64_t i = 1; i <= kCount; ++i) {
    message.header.transaction = i;
    const Bytes datagram = encode(message);
    REQUIRE(::send(socket->get(), datagram.data(), datagram.size(), 0) ==
            static_cast<ssize_t>(datagram.size()));
  }
  std::map<std::uint64_t, int> answers;
  std::array<std::byte, 2 * kDatagramBytesMax> buffer;
  turn_until(loop, [&] {
    for (;;) {
      const ssize_t got = ::recv(socket->get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (got <= 0) break;
      const auto answer =
          decode(ByteView(buffer).first(static_cast<std::size_t>(got)), message.header.network);
      REQUIRE(answer.has_value());
      if (answer->type() == MessageType::pong) ++answers[answer->header.transaction];
    }
    return answers.size() == kCount;
  });
  for (const auto& [transaction, count] : answers) CHECK(count == 1);
  CHECK(answers.begin()->first == 1);
  CHECK(answers.rbegin()->first == kCount);
  CHECK(node.counters().send_failed.value() == 0);
}

TEST_CASE_FIXTURE(Pair, "a get shows its way to whoever wants to see it") {
  const Key key = a.key(KeyDomain::test, "way");
  std::optional<GetDone> done;
  b->get(key, 1s, {.levels = kAllLevels, .trace = true}, [&](GetDone result) { done = std::move(result); });
  CHECK_FALSE(done.has_value());  // never inside the call
  turn_until(loop, [&] { return done.has_value(); });
  CHECK(done->found.end == WalkEnd::exhausted);
  REQUIRE_FALSE(done->steps.empty());
  for (const TraceStep& step : done->steps) {
    CHECK(step.contact.id == a.id());
    CHECK(step.outcome == TraceStep::Outcome::contacts);
    CHECK(step.rtt.has_value());
  }
  done.reset();
  b->get(key, 1s, GetOptions{}, [&](GetDone result) { done = std::move(result); });
  turn_until(loop, [&] { return done.has_value(); });
  CHECK(done->steps.empty());
}

TEST_CASE_FIXTURE(Pair, "a node stands in the index under its hints, for those who look there") {
  const Key hint = a.key(KeyDomain::hint, "9.1.1.0/24");
  a.set_hints({hint});
  std::optional<Found> found;
  std::function<void()> look = [&] {
    b->get(hint, 1s, [&](Found result) {
      if (result.values.empty()) return look();
      found = std::move(result);
    });
  };
  look();
  turn_until(loop, [&] { return found.has_value(); });
  CHECK(found->values[0].publisher == a.id());
}

TEST_CASE("a closed network hears members only, and counts the others") {
  EventLoop loop;
  DiskPool disk{1, 16};
  const auto with_key = [](std::string_view key, std::vector<Endpoint> seeds = {}) {
    UdpNodeOptions options = on_loopback(std::move(seeds));
    options.network_key.assign(as_bytes(key).begin(), as_bytes(key).end());
    return options;
  };
  UdpNode a(loop, disk, fresh_identity(), with_key("one"));
  REQUIRE(a.start().has_value());
  UdpNode member(loop, disk, fresh_identity(), with_key("one", {a.bound()}));
  REQUIRE(member.start().has_value());
  turn_until(loop, [&] { return member.is_joined() && a.contact_count() == 1; });
  CHECK(a.key(KeyDomain::url, "x") == member.key(KeyDomain::url, "x"));
  const auto refused = [&](Membership::Refusal why) {
    return a.membership().refused()[static_cast<std::size_t>(why)].value();
  };
  CHECK(refused(Membership::Refusal::bad_mac) == 0);

  UdpNode stranger(loop, disk, fresh_identity(), with_key("another", {a.bound()}));
  REQUIRE(stranger.start().has_value());
  turn_until(loop, [&] { return refused(Membership::Refusal::bad_mac) > 1; });
  UdpNode open(loop, disk, fresh_identity(), on_loopback({a.bound()}));
  REQUIRE(open.start().has_value());
  const auto all_refused = [&] {
    std::uint64_t sum = 0;
    for (const Counter& counter : a.membership().refused()) sum += counter.value();
    return sum;
  };
  const std::uint64_t before = all_refused();
  turn_until(loop, [&] { return all_refused() > before + 1; });
  CHECK_FALSE(stranger.is_joined());
  CHECK_FALSE(open.is_joined());
  CHECK(a.contact_count() == 1);
  // What is refused costs the node nothing: it hears of members only.
  CHECK(a.core().counters().undecodable[static_cast<std::size_t>(DecodeError::wrong_network)].value() == 0);
}

TEST_CASE_FIXTURE(Pair, "a node that leaves has handed over what it held") {
  const Key key = a.key(KeyDomain::test, "left");
  bool left = false;
  a.put(key, as_bytes("value"), 60s, [&](bool) { b->leave([&] { left = true; }); });
  turn_until(loop, [&] { return left; });
  b.reset();
  std::optional<Found> found;
  a.get(key, 1s, [&](Found result) { found = std::move(result); });
  turn_until(loop, [&] { return found.has_value(); });
  CHECK(found->end == WalkEnd::found);
}

TEST_CASE_FIXTURE(Pair, "a socket that is taken is an error, not a crash") {
  UdpNodeOptions options = on_loopback();
  options.listen = a.bound();
  UdpNode second(loop, disk, fresh_identity(), options);
  CHECK_FALSE(second.start().has_value());
}

TEST_CASE("a restarted node finds the network without its seeds") {
  char name[] = "/tmp/reef_dsht_XXXXXX";
  const std::filesystem::path directory = ::mkdtemp(name);
  EventLoop loop;
  const Identity identity = fresh_identity();
  {
    DiskPool disk{1, 16};
    UdpNode a(loop, disk, fresh_identity(), on_loopback());
    REQUIRE(a.start().has_value());
    UdpNodeOptions options = on_loopback({a.bound()});
    options.data_dir = directory;
    auto b = std::make_unique<UdpNode>(loop, disk, identity, options);
    REQUIRE(b->start().has_value());
    turn_until(loop, [&] { return b->is_joined(); });
    bool left = false;
    b->leave([&] { left = true; });
    turn_until(loop, [&] { return left && std::filesystem::exists(directory / "contacts"); });
    options.seeds.clear();
    b = std::make_unique<UdpNode>(loop, disk, identity, options);
    REQUIRE(b->start().has_value());
    turn_until(loop, [&] { return b->is_joined() && b->contact_count() == 1; });
  }
  std::filesystem::remove_all(directory);
}

TEST_CASE("a worker's index asks the node on the control loop and is answered on its own") {
  EventLoop control;
  DiskPool disk{1, 16};
  UdpNode node(control, disk, fresh_identity(), on_loopback());
  REQUIRE(node.start().has_value());
  std::thread control_thread([&] { control.run(); });
  EventLoop worker;
  RemoteIndex index(worker, node);
  const auto own_thread = std::this_thread::get_id();
  std::optional<Announced> first;
  std::optional<Found> found;
  bool stored = false;
  index.announce(node.key(KeyDomain::test, "k"), as_bytes("me"), 20s, 1s, [&](Announced a) {
    CHECK(std::this_thread::get_id() == own_thread);
    first = std::move(a);
    index.put(node.key(KeyDomain::test, "k"), as_bytes("me"), 20s, [&](bool ok) {
      stored = ok;
      index.get(node.key(KeyDomain::test, "k"), 1s, [&](Found f) { found = std::move(f); });
    });
  });
  CHECK_FALSE(first.has_value());
  turn_until(worker, [&] { return found.has_value(); });
  CHECK(first->earlier.empty());
  CHECK(first->stored);
  CHECK(stored);
  CHECK(found->values.size() == 1);
  CHECK(index.counters().late.value() == 0);
  control.stop();
  control_thread.join();
}

TEST_CASE("a worker's index says whether there are others: contacts, or somebody who asks") {
  EventLoop loop;
  DiskPool disk{1, 16};
  UdpNode node(loop, disk, fresh_identity(), on_loopback());
  REQUIRE(node.start().has_value());
  RemoteIndex index(loop, node);
  CHECK_FALSE(index.has_others());

  const auto socket = bind_udp(Endpoint::parse("127.0.0.1:0").value(), false);
  REQUIRE(socket.has_value());
  sockaddr_storage to{};
  const socklen_t size = node.bound().to(to);
  Message message;
  message.header.sender = fresh_identity().id();
  message.body = Ping{};
  const auto send = [&](NetworkId network) {
    message.header.network = network;
    const Bytes datagram = encode(message);
    REQUIRE(::sendto(socket->get(), datagram.data(), datagram.size(), 0,
                     reinterpret_cast<const sockaddr*>(&to), size) == static_cast<ssize_t>(datagram.size()));
  };
  // Of another network: nobody.
  send(network_id_of({}) + 1);
  turn_until(loop, [&] { return node.core().counters().datagrams_in.value() == 1; });
  CHECK_FALSE(index.has_others());
  send(network_id_of({}));
  turn_until(loop, [&] { return index.has_others(); });
  CHECK(node.contact_count() == 0);
}

TEST_CASE("a stuck control loop costs a call its budget, not more; a late answer finds nobody") {
  EventLoop control;  // not turned
  DiskPool disk{1, 16};
  EventLoop worker;
  auto node = std::make_unique<UdpNode>(control, disk, fresh_identity(), on_loopback());
  REQUIRE(node->start().has_value());
  auto index = std::make_unique<RemoteIndex>(worker, *node);
  int ends = 0;
  const TimePoint asked = worker.now();
  index->announce(Key{}, {}, 20s, 50ms, [&](const Announced& a) { ends += a.end == WalkEnd::deadline; });
  index->get(Key{}, 30ms, [&](const Found& f) { ends += f.end == WalkEnd::deadline; });
  turn_until(worker, [&] { return ends == 2; });
  CHECK(worker.now() - asked >= 70ms);
  CHECK(worker.now() - asked < 5s);
  CHECK(index->counters().late.value() == 2);
  bool called = false;
  index->get(Key{}, 10s, [&](const Found&) { called = true; });
  index.reset();
  turn_until(control, [&] {  // until the node has answered all three
    const auto& walks = node->core().counters().walks;
    return walks[static_cast<std::size_t>(WalkEnd::isolated)].value() +
               walks[static_cast<std::size_t>(WalkEnd::found)].value() ==
           3;
  });
  bool turned = false;
  REQUIRE(worker.post([&] { turned = true; }));
  turn_until(worker, [&] { return turned; });
  CHECK_FALSE(called);
}

TEST_CASE("the node may go before the worker's index: its calls end by their budget") {
  EventLoop control;
  DiskPool disk{1, 16};
  EventLoop worker;
  auto node = std::make_unique<UdpNode>(control, disk, fresh_identity(), on_loopback());
  REQUIRE(node->start().has_value());
  RemoteIndex index(worker, *node);
  int ends = 0;
  index.get(Key{}, 10ms, [&](const Found&) { ++ends; });
  node.reset();
  bool turned = false;
  REQUIRE(control.post([&] { turned = true; }));
  turn_until(control, [&] { return turned; });
  turn_until(worker, [&] { return ends == 1; });
}

TEST_CASE("a full mailbox, or too many calls, is answered overloaded, in a later turn") {
  EventLoop control(TimerPrecision::microseconds, 1);
  DiskPool disk{1, 16};
  EventLoop worker;
  UdpNode node(control, disk, fresh_identity(), on_loopback());
  RemoteIndex index(worker, node, {.calls_max = 2});
  REQUIRE(control.post([] {}));
  std::vector<WalkEnd> ends;
  for (int i = 0; i < 2; ++i) index.get(Key{}, 10s, [&](const Found& f) { ends.push_back(f.end); });
  CHECK(ends.empty());
  turn_until(worker, [&] { return ends.size() == 2; });
  EventLoop roomy;
  UdpNode other(roomy, disk, fresh_identity(), on_loopback());
  RemoteIndex bounded(worker, other, {.calls_max = 2});
  ends.clear();
  for (int i = 0; i < 3; ++i) bounded.get(Key{}, 10s, [&](const Found& f) { ends.push_back(f.end); });
  turn_until(worker, [&] { return ends.size() == 1; });
  CHECK(ends[0] == WalkEnd::overloaded);
}
