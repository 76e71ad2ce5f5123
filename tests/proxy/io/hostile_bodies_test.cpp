// Request bodies that are malformed, end too early, or drip.
#include <doctest/doctest.h>

#include "site_rig.h"

using namespace reef;               // NOLINT
using namespace reef::proxy;        // NOLINT
using namespace reef::proxy::test;  // NOLINT

namespace {

std::string chunked_post(const std::string& body) {
  return Site::request("POST", "/form", "Transfer-Encoding: chunked\r\n", body);
}

}  // namespace

TEST_CASE("a chunked body that begins malformed is 400 before anything is forwarded (RFC 9112 §7.1)") {
  Site site;
  for (const std::string body : {"G\r\nx\r\n0\r\n\r\n", "1\nx\r\n0\r\n\r\n", "2\r\nxyz\r\n0\r\n\r\n",
                                 "5\r\nhello\r\n-1\r\n", "1\r\nx\r\n0\r\nbad trailer\r\n\r\n"}) {
    CAPTURE(body);
    Client client(site.node->port());
    client.send(chunked_post(body));
    const Answer answer = client.read_answer();
    CHECK(answer.status == 400);
    CHECK(answer.field("Connection") == "close");
  }
  CHECK(site.node->sum(&Stats::fills) == 0);
}

TEST_CASE("a chunked body that turns out malformed on its way is 400, and the fetch is cut") {
  Site site;
  Client client(site.node->port());
  const std::string piece = "8000\r\n" + std::string(0x8000, 'x') + "\r\n";
  client.send(chunked_post(piece + piece));
  for (int i = 0; i < 5000 && site.node->sum(&Stats::origin_fetches) == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  client.send("nonsense\r\n");
  const Answer answer = client.read_answer();
  CHECK(answer.status == 400);
  CHECK(answer.field("Connection") == "close");
  site.settle();
  CHECK(site.node->sum(&Stats::fills_open) == 0);
}

TEST_CASE("a body whose client ends its side too early is 400") {
  Site site;
  Client client(site.node->port());
  client.send(Site::request("POST", "/form", "Content-Length: 50\r\n", "short"));
  ::shutdown(client.fd(), SHUT_WR);
  CHECK(client.read_answer().status == 400);
}

TEST_CASE("a chunked body over the limit is 413, known or not beforehand") {
  Site site(1, [](Options& options) { options.clients.request_body_bytes_max = 4; });
  Client client(site.node->port());
  client.send(chunked_post("5\r\nhello\r\n0\r\n\r\n"));
  CHECK(client.read_answer().status == 413);
}

TEST_CASE("a body that drips below the least rate is cut, one that waits for us is not") {
  Site site(1, [](Options& options) {
    options.clients.rate_window = std::chrono::seconds(1);
    options.clients.rate_min_bytes = 100;
  });
  site.origin.set("/slow", {.head_delay = std::chrono::milliseconds(2500)});
  Client drips(site.node->port());
  Client waits(site.node->port());
  drips.send(Site::request("POST", "/form", "Content-Length: 100000\r\n", "x"));
  waits.send(Site::request("POST", "/slow", "Content-Length: 4\r\n", "body"));
  bool cut = false;
  for (int i = 0; i < 60 && !cut; ++i) {
    drips.send("x");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    cut = site.node->sum(&Stats::cut_slow) == 1;
  }
  CHECK(cut);
  CHECK(waits.read_answer().status == 200);
  CHECK(site.node->sum(&Stats::cut_slow) == 1);
}

TEST_CASE("a Host that can be none is 400, whoever's name stands in it (RFC 9112 §3.2)") {
  Site site;
  for (const std::string host : {"user@www.small.org", "www.small.org/x", "www.small.org, www.small.org",
                                 "www.small.org:80x", "[::1", "www.small.org\\x"}) {
    CAPTURE(host);
    Client client(site.node->port());
    client.send("GET /page HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
    CHECK(client.read_answer().status == 400);
  }
  CHECK(site.node->sum(&Stats::fills) == 0);
}

TEST_CASE("a client who sends a body slowly holds none of the origin's connections") {
  Site site(1, [](Options& options) { options.origins.connections_max = 1; });
  site.origin.set("/form", {});
  Client slow(site.node->port());
  slow.send(Site::request("POST", "/form", "Content-Length: 100\r\n", "x"));
  Client slow_chunks(site.node->port());
  slow_chunks.send(chunked_post("1\r\nx\r\n"));
  Client waits(site.node->port());  // once told to go on, it sends nothing
  waits.send(Site::request("POST", "/form", "Content-Length: 100\r\nExpect: 100-continue\r\n"));
  while (waits.input().find("100 Continue\r\n\r\n") == std::string::npos) REQUIRE(waits.read_some());
  for (int i = 0; i < 3; ++i) {
    Client good(site.node->port());
    good.send(Site::request("POST", "/form", "Content-Length: 4\r\n", "good"));
    CHECK(good.read_answer().status == 200);
  }
  CHECK(site.node->sum(&Stats::origin_fetches) == 3);
  slow.send(std::string(99, 'x'));
  CHECK(slow.read_answer().status == 200);
  slow_chunks.send("3\r\nyyy\r\n0\r\n\r\n");
  CHECK(slow_chunks.read_answer().status == 200);
}

TEST_CASE("a long body begins to go out before all of it has come") {
  Site site;
  site.origin.set("/form", {});
  const std::string body(1'000'000, 'x');
  Client client(site.node->port());
  client.send(Site::request("POST", "/form", "Content-Length: 1000000\r\n", body.substr(0, 900'000)));
  for (int i = 0; i < 5000 && site.node->sum(&Stats::origin_fetches) == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK(site.node->sum(&Stats::origin_fetches) == 1);
  client.send(body.substr(900'000));
  CHECK(client.read_answer().status == 200);
}
