// What origins say besides the usual, good or hostile, through the whole engine.
#include <doctest/doctest.h>

#include "site_rig.h"

using namespace reef;               // NOLINT
using namespace reef::proxy;        // NOLINT
using namespace reef::proxy::test;  // NOLINT

namespace {

std::string head_of(Client& client) {
  std::size_t end;
  while ((end = client.input().find("\r\n\r\n")) == std::string::npos) {
    if (!client.read_some()) return "";
  }
  const std::string head = client.input().substr(0, end + 2);
  client.input().erase(0, end + 4);
  return head;
}

}  // namespace

TEST_CASE(
    "a 103 goes to the client with its fields, at once, and leaves nothing in what is stored (RFC 8297)") {
  std::atomic<bool> hinted{false};
  ScriptedServer server([&](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 100 Continue\r\n\r\n");
    peer.send(
        "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\nContent-Length: 3\r\nConnection: "
        "X-Hop\r\nX-Hop: "
        "1\r\n\r\n");
    for (int i = 0; i < 5000 && !hinted; ++i) std::this_thread::sleep_for(1ms);
    peer.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 3\r\n\r\nabc");
    peer.wait_for_close();
  });
  Options options = test_options();
  options.sites = {{"www.small.org", "http://localhost:" + std::to_string(server.endpoint().port)}};
  TestNode node(options);
  Client client(node.port());
  client.send(Site::request("GET", "/a"));
  CHECK(head_of(client) == "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n");
  hinted = true;
  const Answer answer = client.read_answer();
  CHECK(answer.body == "abc");
  CHECK(answer.field("Link").empty());
  for (int i = 0; i < 5000 && node.sum(&Stats::fills_open) > 0; ++i) std::this_thread::sleep_for(1ms);
  client.send(Site::request("GET", "/a"));
  const std::string hit = head_of(client);
  CHECK(hit.starts_with("HTTP/1.1 200 "));
  CHECK(hit.find("; hit") != std::string::npos);
  CHECK(hit.find("Link") == std::string::npos);
}

TEST_CASE("a flood of interim answers is no answer (RFC 9110 §15.2)") {
  Site site;
  std::string flood;
  for (int i = 0; i < 17; ++i)
    flood += "HTTP/1.1 103 Early Hints\r\nLink: <" + std::to_string(i) + ">\r\n\r\n";
  const std::string final = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
  site.origin.set("/flood", {.raw = flood + final});
  CHECK(site.get("/flood").status == 502);
  site.origin.set(
      "/large", {.raw = "HTTP/1.1 103 Early Hints\r\nLink: " + std::string(5000, 'x') + "\r\n\r\n" + final});
  Client client(site.node->port());
  client.send(Site::request("GET", "/large"));
  CHECK(head_of(client).starts_with("HTTP/1.1 200 "));
}

TEST_CASE("any status and reason phrase of an origin is passed on and kept (RFC 9112 §4)") {
  Site site;
  const std::string rest = "Cache-Control: max-age=60\r\nETag: \"1\"\r\nContent-Length: 3\r\n\r\nabc";
  for (const char* line : {"299 Quite strange", "299 \xe4rger", "200 Fine", "998 Unheard of"}) {
    CAPTURE(line);
    const std::string path = "/" + std::to_string(site.origin.count());
    site.origin.set(path, {.raw = std::string("HTTP/1.1 ") + line + "\r\n" + rest});
    CHECK(site.get(path).head.starts_with(std::string("HTTP/1.1 ") + line + "\r\n"));
    const Answer hit = site.get(path);
    CHECK(is_hit(hit));
    CHECK(hit.head.starts_with(std::string("HTTP/1.1 ") + line + "\r\n"));
  }
  site.origin.set("/plain", {.raw = "HTTP/1.1 200\r\n" + rest});
  CHECK(site.get("/plain").head.starts_with("HTTP/1.1 200 OK\r\n"));
  site.origin.set("/fine", {.raw = "HTTP/1.1 200 Fine\r\n" + rest});
  CHECK(site.get("/fine").status == 200);
  CHECK(site.get("/fine", "Range: bytes=0-1\r\n").head.starts_with("HTTP/1.1 206 Partial Content\r\n"));
  CHECK(site.get("/fine", "If-None-Match: \"1\"\r\n").head.starts_with("HTTP/1.1 304 Not Modified\r\n"));
}

TEST_CASE("trailers are dropped, and are never header fields (RFC 9110 §6.5.1)") {
  Site site;
  site.origin.set(
      "/a",
      {.raw = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n"
              "\r\n3\r\nabc\r\n0\r\nX-T: 1\r\nCache-Control: no-store\r\n\r\n"});
  for (int i = 0; i < 2; ++i) {
    const Answer answer = site.get("/a");
    CHECK(is_hit(answer) == (i == 1));
    CHECK(answer.body == "abc");
    CHECK(answer.field("X-T").empty());
    CHECK(answer.field("Trailer").empty());
  }
  Client client(site.node->port());
  client.send(Site::request("GET", "/a", "Connection: close\r\n"));
  while (client.read_some()) {
  }
  CHECK(client.input().find("X-T") == std::string::npos);
}

TEST_CASE("bytes behind a body become part of nothing (RFC 9112 §6.3)") {
  Site site;
  const std::string evil = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\nevil";
  site.origin.set(
      "/a", {.raw = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 3\r\n\r\nabc" + evil});
  site.origin.set("/b", {.body = "good"});
  CHECK(site.get("/a").body == "abc");
  CHECK(site.get("/b").body == "good");
  const Answer hit = site.get("/a");
  CHECK(is_hit(hit));
  CHECK(hit.body == "abc");
}

TEST_CASE(
    "an origin that closes without a byte has failed: no empty answer, and stale may cover (RFC 9111 "
    "§4.2.4)") {
  std::atomic<bool> answers{true};
  ScriptedServer server([&](Peer& peer) {
    while (!peer.read_head().empty() && answers)
      peer.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=0\r\nETag: \"1\"\r\nContent-Length: 3\r\n\r\nabc");
  });
  Options options = test_options();
  options.sites = {{"www.small.org", "http://localhost:" + std::to_string(server.endpoint().port)}};
  TestNode node(options);
  const auto ask = [&](const std::string& method, const std::string& path) {
    for (int i = 0; i < 5000 && node.sum(&Stats::fills_open) > 0; ++i) std::this_thread::sleep_for(1ms);
    Client client(node.port());
    client.send(Site::request(method, path));
    return client.read_answer();
  };
  CHECK(ask("GET", "/a").body == "abc");
  answers = false;
  for (int i = 0; i < 2; ++i) CHECK(ask("GET", "/b").status == 502);
  const Answer covered = ask("GET", "/a");
  CHECK(covered.body == "abc");
  CHECK(says(covered, "detail=stale-if-error"));
  // What may have had an effect is not sent again.
  const int before = server.connections();
  CHECK(ask("POST", "/a").status == 502);
  CHECK(server.connections() == before + 1);
}

TEST_CASE(
    "a transfer coding that is not chunked runs until the close, and is not passed on (RFC 9112 §6.3)") {
  Site site;
  site.origin.set(
      "/a",
      {.raw = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: x-unknown\r\n\r\nabcdef"});
  const Answer answer = site.get("/a");
  CHECK(answer.body == "abcdef");
  CHECK(answer.field("Transfer-Encoding") != "x-unknown");
  CHECK(site.get("/a").body == "abcdef");
}
