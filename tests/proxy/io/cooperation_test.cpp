// Several nodes that share an index.
#include <doctest/doctest.h>

#include "test_node.h"
#include "test_origin.h"

using namespace reef;               // NOLINT
using namespace reef::proxy;        // NOLINT
using namespace reef::proxy::test;  // NOLINT

namespace {

std::string url(const TestOrigin& origin, const std::string& path) {
  return "http://localhost:" + std::to_string(origin.port()) + path;
}

}  // namespace

TEST_CASE("a second node gets the object from the first, with age and validators, and says so") {
  TestOrigin origin;
  origin.set("/a", {.fields = "Cache-Control: max-age=300\r\nAge: 17\r\nX-Kept: yes\r\n",
                    .body = "hello",
                    .etag = "\"v1\""});
  IndexTable table;
  TestNode first(test_options(), 1, &table);
  TestNode second(test_options(), 2, &table);
  CHECK(fetch(first.port(), origin.port(), "/a").body == "hello");
  const Answer answer = fetch(second.port(), origin.port(), "/a");
  CHECK(answer.body == "hello");
  CHECK(answer.field("Age") == "17");
  CHECK(answer.field("ETag") == "\"v1\"");
  CHECK(answer.field("X-Kept") == "yes");
  CHECK(answer.field("Reef-Peer").empty());
  CHECK(answer.field("Cache-Status").find("fwd=uri-miss") != std::string::npos);
  CHECK(answer.field("Cache-Status").find("; stored; detail=peer/l0/127.0.0.1") != std::string::npos);
  CHECK(origin.count("/a") == 1);
  CHECK(second.sum(&Stats::misses_peer) == 1);
  // Both hold it now, and both are in the index with pointers that are no longer provisional.
  auto pointers = table.all(key_of(url(origin, "/a")));
  for (int i = 0; i < 200 && pointers.back().provisional; ++i) {
    std::this_thread::sleep_for(5ms);
    pointers = table.all(key_of(url(origin, "/a")));
  }
  REQUIRE(pointers.size() == 2);
  CHECK_FALSE(pointers[0].provisional);
  CHECK_FALSE(pointers[1].provisional);
}

TEST_CASE("a crowd at many nodes in the same instant costs the origin one fetch an object") {
  TestOrigin origin;
  IndexTable table;
  const std::string body = pattern(120000);
  for (int i = 0; i < 3; ++i) {
    origin.set("/" + std::to_string(i),
               {.body = body, .head_delay = 300ms, .piece_bytes = 20000, .piece_delay = 50ms});
  }
  std::vector<std::unique_ptr<TestNode>> nodes;
  for (int i = 0; i < 6; ++i) nodes.push_back(std::make_unique<TestNode>(test_options(), 1, &table));
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (auto& node : nodes) {
    for (int i = 0; i < 12; ++i) {
      threads.emplace_back([&, port = node->port(), path = "/" + std::to_string(i % 3)] {
        const Answer answer = fetch(port, origin.port(), path);
        if (answer.whole && answer.body == body) ++right;
      });
    }
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(right == 72);
  for (int i = 0; i < 3; ++i) CHECK(origin.count("/" + std::to_string(i)) == 1);
}

TEST_CASE("where nobody heard the announcement in time, it is made again with the longest budget, once") {
  TestOrigin origin;
  origin.set("/a", {.body = pattern(5000)});
  IndexTable table;
  TestNode first(test_options(), 1, &table), second(test_options(), 1, &table);
  const auto fetch_from_both = [&] {
    CHECK(fetch(first.port(), origin.port(), "/a").body == pattern(5000));
    CHECK(fetch(second.port(), origin.port(), "/a").body == pattern(5000));
    return origin.count("/a");
  };
  SUBCASE("heard then: no second fetch from the origin") {
    table.takes = test_options().peers.index_budget_max;
    CHECK(fetch_from_both() == 1);
  }
  SUBCASE("still not: each fetches alone") {
    table.takes = test_options().peers.index_budget_max + 1ms;
    CHECK(fetch_from_both() == 2);
  }
}

TEST_CASE("a node that is alone does without the index, and tells whoever comes what it holds") {
  TestOrigin origin;
  for (const char* path : {"/a", "/b"})
    origin.set(path, {.fields = "Cache-Control: max-age=300\r\n", .body = path});
  IndexTable table;
  table.has_others = false;
  TestNode first(test_options(), 1, &table);
  for (const char* path : {"/a", "/b"}) CHECK(fetch(first.port(), origin.port(), path).body == path);
  CHECK(first.sum(&Stats::announces) == 0);
  CHECK(first.sum(&Stats::pointers_put) == 0);
  CHECK(table.all(key_of(url(origin, "/a"))).empty());

  table.has_others = true;
  for (int i = 0; i < 2000 && first.sum(&Stats::pointers_put) < 2; ++i) std::this_thread::sleep_for(5ms);
  CHECK(first.sum(&Stats::pointers_put) == 2);
  TestNode second(test_options(), 1, &table);
  for (const char* path : {"/a", "/b"}) {
    CHECK(fetch(second.port(), origin.port(), path).body == path);
    CHECK(origin.count(path) == 1);
  }
}

TEST_CASE("a node that is told not to cooperate asks the origin itself") {
  TestOrigin origin;
  origin.set("/a", {.body = "hello"});
  IndexTable table;
  Options independent = test_options();
  independent.peers.cooperate = false;
  TestNode first(test_options(), 1, &table);
  TestNode second(independent, 1, &table);
  CHECK(fetch(first.port(), origin.port(), "/a").body == "hello");
  CHECK(fetch(second.port(), origin.port(), "/a").body == "hello");
  CHECK(origin.count("/a") == 2);
  CHECK(table.all(key_of(url(origin, "/a"))).size() == 1);
}

TEST_CASE("a peer killed in the middle of a body is replaced, and no byte is wrong") {
  TestOrigin origin;
  const std::string body = pattern(400000);
  origin.set("/a",
             {.body = body, .piece_bytes = 40000, .piece_delay = 100ms, .ranges = true, .etag = "\"v1\""});
  IndexTable table;
  TestNode first(test_options(), 1, &table);
  TestNode second(test_options(), 1, &table);
  std::thread reader([&] { fetch(first.port(), origin.port(), "/a"); });
  while (origin.count("/a") == 0) std::this_thread::sleep_for(5ms);
  Client client(second.port());
  client.send(request_text(origin.port(), "/a"));
  while (client.input().size() < 60000 && client.read_some()) {
  }
  const auto killed = std::chrono::steady_clock::now();
  first.kill();
  const Answer answer = client.read_answer();
  CHECK(answer.whole);
  CHECK(answer.body == body);
  CHECK(std::chrono::steady_clock::now() - killed < 5s);
  CHECK(origin.last("/a").find("\r\nRange: bytes=") != std::string::npos);
  CHECK(origin.count("/a") == 2);
  reader.join();
}

TEST_CASE("a peer that falls silent is found out by a probe and replaced within 5 s") {
  TestOrigin origin;
  const std::string body = pattern(400000);
  origin.set("/a",
             {.body = body, .piece_bytes = 40000, .piece_delay = 100ms, .ranges = true, .etag = "\"v1\""});
  IndexTable table;
  TestNode first(test_options(), 1, &table);
  TestNode second(test_options(), 1, &table);
  std::thread reader([&] { fetch(first.port(), origin.port(), "/a"); });
  while (origin.count("/a") == 0) std::this_thread::sleep_for(5ms);
  Client client(second.port());
  client.send(request_text(origin.port(), "/a"));
  while (client.input().size() < 60000 && client.read_some()) {
  }
  const auto frozen = std::chrono::steady_clock::now();
  first.freeze();
  const Answer answer = client.read_answer();
  CHECK(answer.whole);
  CHECK(answer.body == body);
  CHECK(std::chrono::steady_clock::now() - frozen < 5s);
  CHECK(second.sum(&Stats::peer_probes) >= 1);
  first.kill();
  reader.join();
}

TEST_CASE("a peer that does not answer at all is passed over") {
  TestOrigin origin;
  origin.set("/a", {.body = "hello"});
  IndexTable table;
  auto mute = listen_tcp({IpAddress::v4(127, 0, 0, 1), 0}, false);
  REQUIRE(mute.has_value());
  const std::uint16_t nobody = free_port();
  const Key key = key_of(url(origin, "/a"));
  table.add(key, {NodeId{{1}}, encode_pointer(*local_endpoint(mute->get())), false});
  table.add(key, {NodeId{{2}}, encode_pointer({IpAddress::v4(127, 0, 0, 1), nobody}), false});
  table.add(key, {NodeId{{3}}, Bytes(7), false});
  TestNode node(test_options(), 1, &table);
  const Answer answer = fetch(node.port(), origin.port(), "/a");
  CHECK(answer.body == "hello");
  CHECK(answer.seconds < 3);
  CHECK(origin.count("/a") == 1);
  CHECK(node.sum(&Stats::hedges) >= 1);
}

TEST_CASE("a fill that waits for a slow origin is waited for, not doubled") {
  TestOrigin origin;
  origin.set("/a",
             {.body = pattern(60000), .head_delay = 3500ms, .piece_bytes = 20000, .piece_delay = 2200ms});
  IndexTable table;
  TestNode first(test_options(), 1, &table);
  TestNode second(test_options(), 1, &table);
  std::thread reader([&] { CHECK(fetch(first.port(), origin.port(), "/a").body.size() == 60000); });
  while (origin.count("/a") == 0) std::this_thread::sleep_for(5ms);
  const Answer answer = fetch(second.port(), origin.port(), "/a");
  CHECK(answer.body == pattern(60000));
  CHECK(origin.count("/a") == 1);
  CHECK(second.sum(&Stats::peer_probes) >= 2);
  reader.join();
}

TEST_CASE("a peer's request is answered from cache or fill or refused at once, and never goes further") {
  TestOrigin origin;
  origin.set("/a", {.body = "hello"});
  IndexTable table;
  TestNode node(test_options(), 1, &table);
  const std::string mark = "Reef-Peer: reef;from=\"127.0.0.1:9\"\r\nCache-Control: only-if-cached\r\n";
  const Answer nothing = fetch(node.port(), origin.port(), "/a", "GET", mark);
  CHECK(nothing.status == 504);
  CHECK(nothing.field("Reef-Peer").empty());
  CHECK(origin.count() == 0);
  CHECK(fetch(node.port(), origin.port(), "/a").body == "hello");
  const Answer stored = fetch(node.port(), origin.port(), "/a", "GET", mark);
  CHECK(stored.status == 200);
  CHECK(stored.field("Reef-Peer") == "reef");
  CHECK(stored.field("Via").empty());
  CHECK(stored.field("Cache-Status").empty());
}

TEST_CASE("two nodes that each believe the other came first do not wait for each other") {
  TestOrigin origin;
  origin.set("/a", {.body = "hello", .head_delay = 100ms});
  // Two tables: the order of arrival is not the same for both.
  IndexTable of_first, of_second;
  Options one = test_options(), two = test_options();
  const Key key = key_of(url(origin, "/a"));
  of_first.add(key, {NodeId{{101}}, encode_pointer(two.listen.front()), true});
  of_second.add(key, {NodeId{{102}}, encode_pointer(one.listen.front()), true});
  TestNode first(one, 1, &of_first), second(two, 1, &of_second);
  Answer answers[2];
  std::thread a([&] { answers[0] = fetch(first.port(), origin.port(), "/a"); });
  std::thread b([&] { answers[1] = fetch(second.port(), origin.port(), "/a"); });
  a.join();
  b.join();
  CHECK(answers[0].body == "hello");
  CHECK(answers[1].body == "hello");
  CHECK(answers[0].seconds + answers[1].seconds < 4);
}

TEST_CASE("when the fetch fails the announcement is taken back") {
  IndexTable table;
  TestNode node(test_options(), 1, &table);
  const std::uint16_t nobody = free_port();
  CHECK(fetch(node.port(), nobody, "/a").status == 502);
  CHECK(table.all(key_of("http://localhost:" + std::to_string(nobody) + "/a")).empty());
}
