// One long body from several sources at once.
#include <doctest/doctest.h>

#include <fstream>

#include "fake_peer.h"
#include "test_node.h"
#include "test_origin.h"
#include "tests/proxy/store/fixture.h"

using namespace reef;               // NOLINT
using namespace reef::proxy;        // NOLINT
using namespace reef::proxy::test;  // NOLINT

namespace {

constexpr std::size_t kMiB = 1 << 20;

std::string text_of(std::size_t bytes, unsigned seed = 1) {
  // By name: the store's fixture has a pattern too.
  return reef::proxy::test::pattern(bytes, seed);
}

std::string digest_of(const std::string& body) { return to_hex(sha256(as_bytes(body))); }

// An origin, an index, peers that the index names as complete copies of one object, and a node that has not
// got it.
class Copies {
 public:
  explicit Copies(std::string body, const std::string& path = "/a") : body_(std::move(body)), path_(path) {}

  FakePeer& add(FakeCopy copy) { return add(std::move(copy), false); }
  FakePeer& add_fetching(FakeCopy copy) { return add(std::move(copy), true); }
  FakePeer& add(FakeCopy copy, bool provisional) {
    if (copy.body.empty()) copy.body = body_;
    peers_.push_back(std::make_unique<FakePeer>(std::move(copy)));
    announce(path_, *peers_.back(), provisional);
    return *peers_.back();
  }
  void announce(const std::string& path, const FakePeer& peer, bool provisional = false) {
    table.add(key(path), {NodeId{{static_cast<std::uint8_t>(++publishers_)}}, encode_pointer(peer.endpoint()),
                          provisional});
  }
  Answer fetch(const std::string& fields = "") {
    return test::fetch(node().port(), origin.port(), path_, "GET", fields);
  }
  TestNode& node() {
    if (node_ == nullptr) node_ = std::make_unique<TestNode>(options, 1, &table, directory, store_change);
    return *node_;
  }
  [[nodiscard]] Key key(const std::string& path) const {
    return key_of("http://localhost:" + std::to_string(origin.port()) + path);
  }
  void settle() {
    for (int i = 0; i < 5000 && node().sum(&Stats::fills_open) > 0; ++i) std::this_thread::sleep_for(1ms);
  }

  TestOrigin origin;
  IndexTable table;
  Options options = test_options();
  std::string directory;
  std::function<void(StoreOptions&)> store_change;

 private:
  const std::string body_;
  const std::string path_;
  int publishers_ = 100;
  std::vector<std::unique_ptr<FakePeer>> peers_;
  std::unique_ptr<TestNode> node_;
};

}  // namespace

TEST_CASE("a long body comes in parts from several complete copies at once") {
  const std::string body = text_of(4 * kMiB);
  Copies copies(body);
  std::vector<FakePeer*> peers;
  for (int i = 0; i < 5; ++i) peers.push_back(&copies.add({.digest = digest_of(body), .piece_delay = 5ms}));
  const Answer answer = copies.fetch();
  CHECK(answer.whole);
  CHECK((answer.body == body));
  CHECK(answer.field("Cache-Status").find("detail=peer") != std::string::npos);
  CHECK(copies.origin.count() == 0);
  copies.settle();
  // Four at once, each with a good share; the first was asked for the whole before its length was known.
  for (int i = 0; i < 4; ++i) CHECK(peers[static_cast<std::size_t>(i)]->sent() >= kMiB / 2);
  CHECK(peers[4]->asked().empty());
  CHECK(peers[0]->asked().front().empty());
  CHECK(peers[1]->asked().front() == "bytes=1048576-2097151");
  CHECK(copies.node().sum(&Stats::part_fills) == 1);
  CHECK(copies.node().sum(&Stats::part_sources) == 4);
  // It is stored, and right.
  const Answer again = copies.fetch();
  CHECK(again.field("Cache-Status").find("; hit") != std::string::npos);
  CHECK((again.body == body));
}

TEST_CASE("four thin lines together are faster than one") {
  const std::string body = text_of(8 * kMiB);
  Copies copies(body);
  for (int i = 0; i < 4; ++i) copies.add({.piece_delay = 20ms});
  const Answer answer = copies.fetch();
  CHECK((answer.body == body));
  // One alone pauses for 2.5 s in all.
  CHECK(answer.seconds < 1.6);
}

TEST_CASE("nodes that hold a long object share the work for one that does not") {
  TestOrigin origin;
  IndexTable table;
  const std::string body = text_of(3 * kMiB);
  origin.set("/a", {.body = body, .etag = "\"v1\""});
  std::vector<std::unique_ptr<TestNode>> nodes;
  for (int i = 0; i < 4; ++i) {
    nodes.push_back(std::make_unique<TestNode>(test_options(), 2, &table));
    CHECK((fetch(nodes.back()->port(), origin.port(), "/a").body == body));
    const Key key = key_of("http://localhost:" + std::to_string(origin.port()) + "/a");
    for (int wait = 0; wait < 2000 && table.all(key).back().provisional; ++wait)
      std::this_thread::sleep_for(1ms);
  }
  CHECK(origin.count("/a") == 1);
  CHECK(nodes[3]->sum(&Stats::part_fills) == 1);
  CHECK(nodes[3]->sum(&Stats::part_sources) == 3);
  CHECK(nodes[3]->sum(&Stats::peer_failures) == 0);
}

TEST_CASE("without a strong validator, and below the least length, a body comes from one source") {
  for (const FakeCopy& copy :
       {FakeCopy{.body = text_of(2 * kMiB), .etag = ""},
        FakeCopy{.body = text_of(2 * kMiB), .etag = "W/\"v1\""}, FakeCopy{.body = text_of(kMiB - 1)}}) {
    CAPTURE(copy.etag);
    Copies copies(copy.body);
    for (int i = 0; i < 3; ++i) copies.add(copy);
    CHECK((copies.fetch().body == copy.body));
    CHECK(copies.node().sum(&Stats::parts) == 0);
    CHECK(copies.node().sum(&Stats::peer_fetches) == 1);
  }
}

TEST_CASE("with one source at once allowed, no body comes in parts") {
  const std::string body = text_of(2 * kMiB);
  Copies copies(body);
  copies.options.peers.part_sources_max = 1;
  for (int i = 0; i < 3; ++i) copies.add({});
  CHECK((copies.fetch().body == body));
  CHECK(copies.node().sum(&Stats::parts) == 0);
}

TEST_CASE(
    "a part that breaks off is asked of another source, and who broke it off is asked last from then on") {
  const std::string body = text_of(4 * kMiB);
  Copies copies(body);
  copies.add({.piece_delay = 2ms});
  FakePeer& broken = copies.add({.breaks_after = 300'000});
  FakePeer& good = copies.add({.piece_delay = 2ms});
  const Answer answer = copies.fetch();
  CHECK(answer.whole);
  CHECK((answer.body == body));
  CHECK(copies.origin.count() == 0);
  CHECK(broken.asked().size() == 1);
  copies.settle();
  // Another object: the broken one stands in front in the index, but is not asked while others answer.
  copies.announce("/b", broken);
  copies.announce("/b", good);
  CHECK(test::fetch(copies.node().port(), copies.origin.port(), "/b").whole);
  CHECK(broken.asked().size() == 1);
}

TEST_CASE("when the source of the first part breaks off the others finish the body") {
  const std::string body = text_of(3 * kMiB);
  Copies copies(body);
  copies.add({.breaks_after = 100'000});
  copies.add({.piece_delay = 2ms});
  copies.add({.piece_delay = 2ms});
  const Answer answer = copies.fetch();
  CHECK(answer.whole);
  CHECK((answer.body == body));
  CHECK(copies.origin.count() == 0);
}

TEST_CASE("bytes of another version are never mixed in") {
  const std::string body = text_of(3 * kMiB), other = text_of(3 * kMiB, 2);
  Copies copies(body);
  copies.add({.piece_delay = 2ms});
  FakePeer& newer = copies.add({.body = other, .etag = "\"v2\""});
  FakePeer& good = copies.add({.piece_delay = 2ms});
  const Answer answer = copies.fetch();
  CHECK((answer.body == body));
  CHECK(newer.asked().size() == 1);
  CHECK(good.sent() > 0);
  // Not a lie: it may well have another version.
  CHECK(copies.node().sum(&Stats::peer_lies) == 0);
}

TEST_CASE("a source that sends everything where a part was asked for is not used for parts") {
  const std::string body = text_of(3 * kMiB);
  Copies copies(body);
  copies.add({.piece_delay = 2ms});
  FakePeer& whole = copies.add({.knows_ranges = false});
  copies.add({.piece_delay = 2ms});
  CHECK((copies.fetch().body == body));
  CHECK(whole.asked().size() == 1);
  CHECK(copies.node().sum(&Stats::part_sources) == 2);
}

TEST_CASE("a source that names another length under the same ETag has lied and is not asked again") {
  const std::string body = text_of(3 * kMiB);
  Copies copies(body);
  copies.add({.piece_delay = 2ms});
  FakePeer& liar = copies.add({.wrong_total = 3 * kMiB + 1});
  copies.add({.piece_delay = 2ms});
  CHECK((copies.fetch().body == body));
  CHECK(copies.node().sum(&Stats::peer_lies) == 1);
  copies.settle();
  copies.origin.set("/b", {.body = "from the origin"});
  copies.announce("/b", liar);
  CHECK(test::fetch(copies.node().port(), copies.origin.port(), "/b").body == "from the origin");
  CHECK(liar.asked().size() == 1);
}

TEST_CASE("a source that promises another digest than the others is not used") {
  const std::string body = text_of(3 * kMiB);
  Copies copies(body);
  copies.add({.digest = digest_of(body), .piece_delay = 2ms});
  FakePeer& other = copies.add({.digest = digest_of("something else"), .wrong_byte = 2 * kMiB});
  copies.add({.digest = digest_of(body), .piece_delay = 2ms});
  CHECK((copies.fetch().body == body));
  CHECK(other.asked().size() == 1);
}

TEST_CASE("a body that is not what its sources promised never ends as whole, and is not stored") {
  const std::string body = text_of(2 * kMiB);
  for (const std::size_t sources : {1u, 3u}) {
    CAPTURE(sources);
    Copies copies(body);
    for (std::size_t i = 0; i < sources; ++i)
      copies.add({.digest = digest_of(body), .wrong_byte = kMiB + 500'000, .piece_delay = 1ms});
    copies.origin.set("/a", {.body = body, .etag = "\"v1\""});
    const Answer answer = copies.fetch();
    CHECK(answer.status == 200);
    CHECK_FALSE(answer.whole);
    copies.settle();
    // None of them is asked again: the next one gets it from the origin.
    const Answer next = copies.fetch();
    CHECK((next.body == body));
    CHECK(next.field("Cache-Status").find("detail=origin") != std::string::npos);
    CHECK(copies.origin.count() == 1);
  }
}

TEST_CASE("the first byte does not wait for other sources, and the body not long for one that is silent") {
  const std::string body = text_of(3 * kMiB);
  Copies copies(body);
  copies.add({.piece_delay = 2ms});
  for (int i = 0; i < 3; ++i) copies.add({.is_mute = true});
  const auto start = std::chrono::steady_clock::now();
  Client client(copies.node().port());
  client.send(request_text(copies.origin.port(), "/a"));
  while (client.input().size() < 50'000 && client.read_some()) {
  }
  CHECK(std::chrono::steady_clock::now() - start < 1s);
  const Answer answer = client.read_answer();
  CHECK((answer.body == body));
  CHECK(std::chrono::steady_clock::now() - start < 6s);
  CHECK(copies.origin.count() == 0);
}

TEST_CASE("a part that stalls is taken over by another source") {
  const std::string body = text_of(4 * kMiB);
  Copies copies(body);
  copies.add({.piece_delay = 2ms});
  copies.add({.stops_after = 200'000});
  copies.add({.piece_delay = 2ms});
  const auto start = std::chrono::steady_clock::now();
  CHECK((copies.fetch().body == body));
  CHECK(std::chrono::steady_clock::now() - start < 6s);
  CHECK(copies.origin.count() == 0);
}

TEST_CASE("a source that is much slower than the others gives up what it owes, bit by bit") {
  const std::string body = text_of(4 * kMiB);
  Copies copies(body);
  copies.add({.piece_delay = 2ms});
  // It alone would take 20 s for its part.
  FakePeer& slow = copies.add({.piece_bytes = 5000, .piece_delay = 100ms});
  copies.add({.piece_delay = 2ms});
  const auto start = std::chrono::steady_clock::now();
  CHECK((copies.fetch().body == body));
  CHECK(std::chrono::steady_clock::now() - start < 10s);
  CHECK(slow.sent() > 0);
  CHECK(copies.origin.count() == 0);
}

TEST_CASE("when all sources fail the origin is asked for what is still missing, and for nothing else") {
  const std::string body = text_of(3 * kMiB);
  for (const bool ranges : {true, false}) {
    CAPTURE(ranges);
    Copies failing(body);
    failing.add({.breaks_after = 600'000});
    failing.add({.breaks_after = 100'000});
    failing.origin.set("/a", {.body = body, .ranges = ranges, .etag = "\"v1\""});
    const Answer answer = failing.fetch();
    CHECK(answer.whole);
    CHECK((answer.body == body));
    // The gap in front of the second part, then what is behind what came of it.
    CHECK(failing.origin.count("/a") == 2);
    CHECK(failing.origin.last("/a").find("\r\nRange: bytes=1672864-\r\n") != std::string::npos);
    CHECK(failing.origin.last("/a").find("\r\nIf-Range: \"v1\"\r\n") != std::string::npos);
  }
}

TEST_CASE("an origin that has another version by then cannot finish the body") {
  const std::string body = text_of(3 * kMiB);
  Copies copies(body);
  copies.add({.breaks_after = 600'000});
  copies.add({.breaks_after = 100'000});
  copies.origin.set("/a", {.body = text_of(3 * kMiB, 2), .ranges = true, .etag = "\"v2\""});
  const Answer answer = copies.fetch();
  CHECK_FALSE(answer.whole);
  CHECK((body.starts_with(answer.body)));
}

TEST_CASE("who is still fetching is followed, and complete copies bring parts beside it") {
  const std::string body = text_of(3 * kMiB);
  Copies copies(body);
  copies.add({.has_it = false});
  FakePeer& fetching = copies.add_fetching({.piece_bytes = 10'000, .piece_delay = 100ms});
  copies.options.peers.announce_ttl = 2s;  // asked again after one
  copies.node();
  std::thread reader([&] { CHECK((copies.fetch().body == body)); });
  while (fetching.sent() < 50'000) std::this_thread::sleep_for(5ms);
  FakePeer& complete = copies.add({});
  const auto start = std::chrono::steady_clock::now();
  reader.join();
  // It alone would take 30 s.
  CHECK(std::chrono::steady_clock::now() - start < 8s);
  CHECK(complete.sent() > kMiB);
  CHECK(copies.origin.count() == 0);
}

TEST_CASE("a range far into a running fill is answered with the right bytes when they are there") {
  const std::string body = text_of(4 * kMiB);
  Copies copies(body);
  for (int i = 0; i < 3; ++i) copies.add({.piece_delay = 5ms});
  copies.node();
  std::thread reader([&] { CHECK((copies.fetch().body == body)); });
  for (int i = 0; i < 5000 && copies.node().sum(&Stats::parts) == 0; ++i) std::this_thread::sleep_for(1ms);
  const Answer part = copies.fetch("Range: bytes=3500000-3599999\r\n");
  reader.join();
  CHECK(part.status == 206);
  CHECK(part.field("Content-Range") == "bytes 3500000-3599999/4194304");
  CHECK((part.body == body.substr(3'500'000, 100'000)));
  CHECK(copies.node().sum(&Stats::fills) == 1);
}

TEST_CASE("a peer is refused a part that is not here yet, at once, and gets the rest of a body as it comes") {
  TestOrigin origin;
  IndexTable table;
  const std::string body = text_of(400'000);
  origin.set("/a", {.body = body, .piece_bytes = 100'000, .piece_delay = 700ms, .etag = "\"v1\""});
  TestNode node(test_options(), 1, &table);
  const std::string mark = "Reef-Peer: reef\r\nCache-Control: only-if-cached\r\nIf-Range: \"v1\"\r\n";
  std::thread reader([&] { CHECK((fetch(node.port(), origin.port(), "/a").body == body)); });
  for (int i = 0; i < 5000 && node.sum(&Stats::origin_bytes) < 100'000; ++i) std::this_thread::sleep_for(1ms);
  const Answer far = fetch(node.port(), origin.port(), "/a", "GET", mark + "Range: bytes=300000-399999\r\n");
  CHECK(far.status == 504);
  CHECK(far.field("Reef-Peer").empty());
  CHECK(far.seconds < 0.5);
  const Answer near = fetch(node.port(), origin.port(), "/a", "GET", mark + "Range: bytes=1000-49999\r\n");
  CHECK(near.status == 206);
  CHECK((near.body == body.substr(1000, 49'000)));
  CHECK(near.field("Reef-Digest").empty());
  const Answer rest = fetch(node.port(), origin.port(), "/a", "GET", mark + "Range: bytes=300000-\r\n");
  CHECK(rest.status == 206);
  CHECK((rest.body == body.substr(300'000)));
  reader.join();
  // Once it is complete the answer promises what the whole is.
  for (int i = 0; i < 5000 && node.sum(&Stats::fills_open) > 0; ++i) std::this_thread::sleep_for(1ms);
  const Answer whole =
      fetch(node.port(), origin.port(), "/a", "GET", mark + "Range: bytes=300000-399999\r\n");
  CHECK(whole.status == 206);
  CHECK(whole.field("Reef-Digest") == "sha-256=" + digest_of(body));
  CHECK(fetch(node.port(), origin.port(), "/a").field("Reef-Digest").empty());
}

TEST_CASE("where the disk refuses what comes out of order, the parts come one after the other") {
  TempDir directory;
  const std::string body = text_of(6 * kMiB);
  Copies copies(body);
  copies.directory = directory.sub("store");
  copies.store_change = [](StoreOptions& options) {
    options.disk_bytes_max = 6 * kMiB;
    options.memory_spool_bytes_max = 16 * kMiB;
  };
  for (int i = 0; i < 3; ++i) copies.add({.digest = digest_of(body), .piece_delay = 1ms});
  const Answer answer = copies.fetch();
  CHECK(answer.whole);
  CHECK((answer.body == body));
  CHECK(copies.origin.count() == 0);
}

TEST_CASE("parts in front of the prefix hold no memory") {
  const auto resident = [] {
    std::ifstream status("/proc/self/status");
    std::string line;
    while (std::getline(status, line)) {
      if (line.starts_with("VmRSS:")) return std::stoul(line.substr(6));
    }
    return 0ul;
  };
  TempDir directory;
  const std::string body = text_of(40 * kMiB);
  Copies copies(body);
  copies.directory = directory.sub("store");
  // The first stands still in its first part while the others bring theirs.
  copies.add({.stops_after = 100'000});
  copies.add({});
  copies.add({});
  Client client(copies.node().port(), 4096);
  [[maybe_unused]] const std::size_t before = resident();
  client.send(request_text(copies.origin.port(), "/a"));
  std::size_t most = 0;
  for (int i = 0; i < 10'000 && copies.node().sum(&Stats::fills_open) + (i < 100) > 0; ++i) {
    most = std::max(most, resident());
    std::this_thread::sleep_for(1ms);
  }
  CHECK(copies.node().sum(&Stats::peer_bytes) >= body.size());
#ifndef __SANITIZE_ADDRESS__  // which keeps what was freed
  CHECK(most - before < 16 * 1024);
#endif
  CHECK((client.read_answer().body == body));
}
