// One fill for many, at everybody's own pace.
#include <doctest/doctest.h>
#include <linux/tcp.h>

#include <cstdlib>
#include <filesystem>

#include "test_node.h"
#include "test_origin.h"

using namespace reef;               // NOLINT
using namespace reef::proxy;        // NOLINT
using namespace reef::proxy::test;  // NOLINT

namespace {

// `count` clients at once; every answer.
std::vector<Answer> crowd(std::size_t count, std::uint16_t node, std::uint16_t origin,
                          const std::string& path) {
  std::vector<Answer> answers(count);
  std::vector<std::thread> threads;
  for (Answer& answer : answers) {
    threads.emplace_back([&answer, node, origin, path] { answer = fetch(node, origin, path); });
  }
  for (std::thread& thread : threads) thread.join();
  return answers;
}

}  // namespace

TEST_CASE("a fill that nobody waits for any more goes on only while little is missing") {
  TestOrigin origin;
  Options options = test_options();
  for (const bool chunked : {false, true}) {
    origin.set("/b",
               {.body = pattern(1 << 20), .piece_bytes = 32 << 10, .piece_delay = 10ms, .chunked = chunked});
    for (const std::uint64_t most : {std::uint64_t{4} << 10, std::uint64_t{2} << 20}) {
      CAPTURE(chunked);
      CAPTURE(most);
      options.origins.finish_bytes_max = most;
      TestNode node(options, 2);
      const int before = origin.count("/b");
      {
        Client client(node.port());
        client.send(request_text(origin.port(), "/b"));
        while (client.input().size() < (64 << 10)) REQUIRE(client.read_some());
      }
      for (int i = 0; i < 1000 && node.sum(&Stats::fills_open) > 0; ++i) std::this_thread::sleep_for(10ms);
      const bool cut = most < 64 << 10;
      CHECK(node.sum(&Stats::fills_abandoned) == (cut ? 1 : 0));
      CHECK(fetch(node.port(), origin.port(), "/b").body.size() == 1 << 20);
      CHECK(origin.count("/b") - before == (cut ? 2 : 1));
    }
  }
}

TEST_CASE("a fill goes on for those who stay when others leave") {
  TestOrigin origin;
  origin.set("/a", {.body = pattern(1 << 20), .piece_bytes = 32 << 10, .piece_delay = 10ms});
  Options options = test_options();
  options.origins.finish_bytes_max = 0;
  TestNode node(options, 2);
  Client stays(node.port());
  stays.send(request_text(origin.port(), "/a"));
  {
    Client leaves(node.port());
    leaves.send(request_text(origin.port(), "/a"));
    while (leaves.input().size() < (64 << 10)) REQUIRE(leaves.read_some());
  }
  const Answer answer = stays.read_answer();
  CHECK(answer.whole);
  CHECK(answer.body == pattern(1 << 20));
  CHECK(node.sum(&Stats::fills_abandoned) == 0);
  CHECK(origin.count("/a") == 1);
}

TEST_CASE("200 clients at once for a slow object cost the origin one request") {
  TestOrigin origin;
  const std::string body = pattern(200000);
  origin.set("/a", {.body = body, .head_delay = 200ms, .piece_bytes = 20000, .piece_delay = 20ms});
  for (const std::size_t workers : {1u, 2u}) {
    CAPTURE(workers);
    TestNode node(test_options(), workers);
    const int before = origin.count("/a");
    for (const Answer& answer : crowd(200, node.port(), origin.port(), "/a")) {
      CHECK(answer.status == 200);
      CHECK(answer.whole);
      CHECK(answer.body == body);
    }
    CHECK(origin.count("/a") - before == 1);
    CHECK(node.sum(&Stats::fills) == 1);
    // One whose connection came late may find the object complete.
    CHECK(node.sum(&Stats::collapsed) + node.sum(&Stats::hits) == 199);
  }
}

TEST_CASE(
    "what arrives together leaves together: a small answer is one segment, in chunks one more for the last") {
  TestOrigin origin;
  origin.set("/length",
             {.raw = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 3\r\n\r\nabc"});
  std::string chunks = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 20; ++i) chunks += "3\r\nabc\r\n";
  origin.set("/chunks", {.raw = chunks + "0\r\n\r\n"});
  TestNode node;
  for (const std::string path : {"/length", "/chunks"}) {
    CAPTURE(path);
    Client client(node.port());
    client.send(request_text(origin.port(), path));
    CHECK(client.read_answer().whole);
    tcp_info info{};
    socklen_t size = sizeof info;
    REQUIRE(::getsockopt(client.fd(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0);
    CHECK(info.tcpi_data_segs_in <= (path == "/length" ? 1 : 2));
  }
}

TEST_CASE("clients get the first bytes while the rest is still on its way") {
  TestOrigin origin;
  origin.set("/a", {.body = pattern(100000), .piece_bytes = 50000, .piece_delay = 1000ms});
  TestNode node;
  Client client(node.port());
  client.send(request_text(origin.port(), "/a"));
  const auto start = std::chrono::steady_clock::now();
  while (client.input().size() < 40000 && client.read_some()) {
  }
  CHECK(std::chrono::steady_clock::now() - start < 700ms);
  CHECK(client.read_answer().body == pattern(100000));
}

TEST_CASE("what may not be shared is fetched by everyone alone") {
  TestOrigin origin;
  origin.set("/a", {.fields = "Cache-Control: private\r\n", .body = "mine", .head_delay = 100ms});
  TestNode node;
  for (const Answer& answer : crowd(5, node.port(), origin.port(), "/a")) CHECK(answer.body == "mine");
  CHECK(origin.count("/a") == 5);
}

TEST_CASE("keys of all workers are fetched once, whichever worker is asked") {
  TestOrigin origin;
  for (int i = 0; i < 20; ++i)
    origin.set("/" + std::to_string(i), {.body = pattern(3000, static_cast<unsigned>(i))});
  TestNode node(test_options(), 2);
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 20; ++i) {
      const Answer answer = fetch(node.port(), origin.port(), "/" + std::to_string(i));
      CHECK(answer.body == pattern(3000, static_cast<unsigned>(i)));
    }
  }
  CHECK(origin.count() == 20);
}

TEST_CASE("a slow reader does not slow the others, nor the fill") {
  TestOrigin origin;
  const std::string body = pattern(8 << 20);
  origin.set("/a", {.body = body});
  TestNode node;
  Client slow(node.port(), 4096);
  slow.send(request_text(origin.port(), "/a"));
  REQUIRE(slow.read_some());
  for (const Answer& answer : crowd(8, node.port(), origin.port(), "/a")) {
    CHECK(answer.body == body);
    CHECK(answer.seconds < 5);
  }
  CHECK(slow.read_answer().body == body);
  CHECK(origin.count("/a") == 1);
}

TEST_CASE("a client that takes too little is cut, one that sends its request too slowly too") {
  TestOrigin origin;
  origin.set("/a", {.body = pattern(8 << 20)});
  Options options = test_options();
  options.clients.rate_window = std::chrono::seconds(1);
  options.clients.head_deadline = std::chrono::seconds(1);
  TestNode node(options);
  Client reader(node.port(), 4096);
  reader.send(request_text(origin.port(), "/a"));
  Client sender(node.port());
  sender.send("GET /a HTTP/1.1\r\nHost: ");
  const Answer timeout = sender.read_answer();
  CHECK(timeout.status == 408);
  for (int i = 0; i < 100 && node.sum(&Stats::cut_slow) < 2; ++i) std::this_thread::sleep_for(100ms);
  CHECK(node.sum(&Stats::cut_slow) == 2);
  Answer cut = reader.read_answer();
  CHECK_FALSE(cut.whole);
}

TEST_CASE("a break in the middle of a body is continued with a range, and no byte is wrong") {
  TestOrigin origin;
  const std::string body = pattern(300000);
  origin.set("/a", {.body = body,
                    .piece_bytes = 50000,
                    .piece_delay = 20ms,
                    .break_after = 120000,
                    .breaks = 2,
                    .ranges = true,
                    .etag = "\"v1\""});
  TestNode node;
  const Answer answer = fetch(node.port(), origin.port(), "/a");
  CHECK(answer.whole);
  CHECK(answer.body == body);
  CHECK(origin.last("/a").find("Range: bytes=240000-") != std::string::npos);
  CHECK(origin.count("/a") == 3);
  CHECK(node.sum(&Stats::fills_resumed) == 2);
}

TEST_CASE("a source without ranges repeats the body, and what is there is skipped") {
  TestOrigin origin;
  const std::string body = pattern(300000);
  origin.set("/a", {.body = body, .break_after = 120000, .breaks = 1, .etag = "\"v1\""});
  TestNode node;
  const Answer answer = fetch(node.port(), origin.port(), "/a");
  CHECK(answer.whole);
  CHECK(answer.body == body);
  CHECK(origin.count("/a") == 2);
}

TEST_CASE("a body that changed between break and continuation is cut, never mixed") {
  TestOrigin origin;
  origin.set("/a", {.body = pattern(300000, 1),
                    .piece_bytes = 60000,
                    .piece_delay = 50ms,
                    .break_after = 120000,
                    .ranges = true,
                    .etag = "\"v1\""});
  TestNode node;
  Client client(node.port());
  client.send(request_text(origin.port(), "/a"));
  while (client.input().size() < 50000 && client.read_some()) {
  }
  origin.set("/a", {.body = pattern(300000, 2), .ranges = true, .etag = "\"v2\""});
  const Answer cut = client.read_answer();
  CHECK_FALSE(cut.whole);
  CHECK(pattern(300000, 1).starts_with(cut.body));
  CHECK(fetch(node.port(), origin.port(), "/a").body == pattern(300000, 2));
}

TEST_CASE("drain lets running answers end, refuses new connections and tells when it is done") {
  TestOrigin origin;
  const std::string body = pattern(100000);
  origin.set("/a", {.body = body, .piece_bytes = 20000, .piece_delay = 100ms});
  TestNode node(test_options(), 2);
  Client idle(node.port());
  Client running(node.port());
  running.send(request_text(origin.port(), "/a"));
  REQUIRE(running.read_some());
  const auto start = std::chrono::steady_clock::now();
  std::thread drain([&] { node.drain(std::chrono::seconds(5)); });
  const Answer answer = running.read_answer();
  CHECK(answer.whole);
  CHECK(answer.body == body);
  CHECK_FALSE(running.read_some());
  drain.join();
  CHECK(std::chrono::steady_clock::now() - start < 4s);
  CHECK_FALSE(idle.read_some());
  CHECK_FALSE(Client(node.port()).connected());
}

TEST_CASE("a node that starts again serves what it had stored, small and large, without asking anyone") {
  char directory[] = "/tmp/reef-proxy-test-XXXXXX";
  REQUIRE(::mkdtemp(directory) != nullptr);
  TestOrigin origin;
  origin.set("/small", {.body = pattern(1000, 1), .etag = "\"s\""});
  origin.set("/large", {.body = pattern(5 << 20, 2), .etag = "\"l\""});
  {
    TestNode node(test_options(), 2, nullptr, directory);
    CHECK(fetch(node.port(), origin.port(), "/small").whole);
    CHECK(fetch(node.port(), origin.port(), "/large").whole);
  }
  TestNode node(test_options(), 2, nullptr, directory);
  for (int i = 0; i < 2; ++i) {
    CHECK(fetch(node.port(), origin.port(), "/small").body == pattern(1000, 1));
    const Answer large = fetch(node.port(), origin.port(), "/large");
    CHECK(large.body == pattern(5 << 20, 2));
    CHECK(large.field("Cache-Status").find("; hit;") != std::string::npos);
    const Answer part =
        fetch(node.port(), origin.port(), "/large", "GET", "Range: bytes=3000000-4000000\r\n");
    CHECK(part.status == 206);
    CHECK(part.body == pattern(5 << 20, 2).substr(3000000, 1000001));
  }
  CHECK(origin.count() == 2);
  node.kill();
  std::filesystem::remove_all(directory);
}

TEST_CASE("a client has a bounded number of connections") {
  Options options = test_options();
  options.clients.exempt_clients.clear();
  options.clients.connections_per_client_max = 3;
  TestNode node(options);
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<Client>(node.port()));
    clients.back()->send("GET / HTTP/1.1\r\nHost: reef.localhost\r\n\r\n");
    CHECK(clients.back()->read_answer().status == 200);
  }
  Client refused(node.port());
  const Answer answer = refused.read_answer();
  CHECK(answer.status == 503);
  CHECK(!answer.field("Retry-After").empty());
}
