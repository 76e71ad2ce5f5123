// Requests and answers of one node: what a client sees.
#include <doctest/doctest.h>

#include "test_node.h"
#include "test_origin.h"

using namespace reef;               // NOLINT
using namespace reef::proxy;        // NOLINT
using namespace reef::proxy::test;  // NOLINT

TEST_CASE("a miss comes from the origin and the next request is a hit") {
  TestOrigin origin;
  origin.set("/a?q=1", {.body = "hello"});
  TestNode node;
  const Answer miss = fetch(node.port(), origin.port(), "/a?q=1");
  CHECK(miss.status == 200);
  CHECK(miss.body == "hello");
  CHECK(miss.field("Cache-Status").find("fwd=uri-miss; fwd-status=200; stored; detail=origin") !=
        std::string::npos);
  const Answer hit = fetch(node.port(), origin.port(), "/a?q=1");
  CHECK(hit.status == 200);
  CHECK(hit.body == "hello");
  CHECK(hit.field("Cache-Status").find("; hit; ttl=") != std::string::npos);
  CHECK(hit.field("Age") == "0");
  CHECK(hit.field("Via").starts_with("1.1 node"));
  CHECK(!hit.field("Date").empty());
  CHECK(origin.count("/a?q=1") == 1);
  CHECK(node.sum(&Stats::hits) == 1);
}

TEST_CASE("neither cookies nor credentials reach an origin, and set-cookie does not leave") {
  TestOrigin origin;
  origin.set("/a", {.fields = "Cache-Control: max-age=300\r\nSet-Cookie: a=b\r\n", .body = "x"});
  TestNode node;
  const Answer answer =
      fetch(node.port(), origin.port(), "/a", "GET",
            "Cookie: secret=1\r\nAuthorization: Basic eA==\r\nX-Forwarded-For: 10.0.0.1\r\n");
  CHECK(answer.status == 200);
  CHECK(answer.field("Set-Cookie").empty());
  const std::string head = origin.last("/a");
  CHECK(head.find("secret") == std::string::npos);
  CHECK(head.find("Authorization") == std::string::npos);
  CHECK(head.find("X-Forwarded-For") == std::string::npos);
  CHECK(head.find("\r\nHost: localhost:" + std::to_string(origin.port()) + "\r\n") != std::string::npos);
  CHECK(head.find("\r\nVia: 1.1 node") != std::string::npos);
  CHECK(head.find("\r\nCDN-Loop: node") != std::string::npos);
}

TEST_CASE("HEAD is answered from a stored GET, with its length and without its body") {
  TestOrigin origin;
  origin.set("/a", {.body = pattern(5000)});
  TestNode node;
  CHECK(fetch(node.port(), origin.port(), "/a").status == 200);
  const Answer head = fetch(node.port(), origin.port(), "/a", "HEAD");
  CHECK(head.status == 200);
  CHECK(head.field("Content-Length") == "5000");
  CHECK(origin.count("/a") == 1);
}

TEST_CASE("HEAD of what is not stored is a HEAD to the origin and stores nothing") {
  TestOrigin origin;
  origin.set("/a", {.body = pattern(5000)});
  TestNode node;
  const Answer head = fetch(node.port(), origin.port(), "/a", "HEAD");
  CHECK(head.status == 200);
  CHECK(head.field("Content-Length") == "5000");
  CHECK(origin.last("/a").starts_with("HEAD "));
  CHECK(fetch(node.port(), origin.port(), "/a").body.size() == 5000);
  CHECK(origin.count("/a") == 2);
}

TEST_CASE("pipelined requests are answered in order on one connection") {
  TestOrigin origin;
  origin.set("/slow", {.body = "first", .head_delay = 200ms});
  origin.set("/fast", {.body = "second"});
  TestNode node;
  Client client(node.port());
  client.send(request_text(origin.port(), "/slow") + request_text(origin.port(), "/fast") +
              request_text(origin.port(), "/slow", "HEAD") + request_text(origin.port(), "/fast"));
  CHECK(client.read_answer().body == "first");
  CHECK(client.read_answer().body == "second");
  CHECK(client.read_answer(true).field("Content-Length") == "5");
  CHECK(client.read_answer().body == "second");
  CHECK(node.sum(&Stats::connections) == 1);
}

TEST_CASE("HTTP/1.0 closes unless it asks to be kept, and unknown lengths end with the connection") {
  TestOrigin origin;
  origin.set("/a", {.body = "abc"});
  origin.set("/c", {.body = pattern(100000), .piece_bytes = 30000, .chunked = true});
  TestNode node;
  const std::string host = "\r\nHost: " + coral_host(origin.port()) + "\r\n";
  Client plain(node.port());
  plain.send("GET /a HTTP/1.0" + host + "\r\n");
  CHECK(plain.read_answer().field("Connection") == "close");
  CHECK_FALSE(plain.read_some());
  Client kept(node.port());
  kept.send("GET /a HTTP/1.0" + host + "Connection: keep-alive\r\n\r\n");
  CHECK(kept.read_answer().field("Connection") == "keep-alive");
  kept.send("GET /c HTTP/1.0" + host + "Connection: keep-alive\r\n\r\n");
  const Answer open = kept.read_answer();
  CHECK(open.field("Transfer-Encoding").empty());
  CHECK(open.body == pattern(100000));
  Client modern(node.port());
  modern.send(request_text(origin.port(), "/c"));
  CHECK(modern.read_answer().body == pattern(100000));
}

TEST_CASE("a client that asked for the end of its connection is not waited for, others are") {
  TestOrigin origin;
  origin.set("/a", {.body = "abc"});
  TestNode node;
  const auto open_after_end = [](TestNode& asked, const std::string& text) {
    Client client(asked.port());
    client.send(text);
    while (client.read_some()) {
    }
    return asked.sum(&Stats::connections_open);
  };
  const std::string last = request_text(origin.port(), "/a", "GET", "Connection: close\r\n");
  CHECK(open_after_end(node, last) == 0);  // a miss: the answer comes later
  CHECK(open_after_end(node, last) == 0);  // a hit: it comes within the same turn
  CHECK(open_after_end(node, last + "GET /more") == 1);
  TestNode other;
  CHECK(open_after_end(other, "no request\r\n\r\n") == 1);
}

TEST_CASE("client conditions are answered from what is stored") {
  TestOrigin origin;
  origin.set("/a", {.body = "abc", .etag = "\"v1\""});
  TestNode node;
  CHECK(fetch(node.port(), origin.port(), "/a").status == 200);
  const Answer same = fetch(node.port(), origin.port(), "/a", "GET", "If-None-Match: \"x\", W/\"v1\"\r\n");
  CHECK(same.status == 304);
  CHECK(same.field("ETag") == "\"v1\"");
  CHECK(same.field("Content-Length").empty());
  CHECK(fetch(node.port(), origin.port(), "/a", "GET", "If-None-Match: \"v2\"\r\n").status == 200);
  CHECK(origin.count("/a") == 1);
}

TEST_CASE("a single range of what is stored is a 206, one beyond its end a 416") {
  TestOrigin origin;
  origin.set("/a", {.body = "0123456789", .etag = "\"v1\""});
  TestNode node;
  CHECK(fetch(node.port(), origin.port(), "/a").status == 200);
  const Answer part = fetch(node.port(), origin.port(), "/a", "GET", "Range: bytes=2-4\r\n");
  CHECK(part.status == 206);
  CHECK(part.body == "234");
  CHECK(part.field("Content-Range") == "bytes 2-4/10");
  CHECK(fetch(node.port(), origin.port(), "/a", "GET", "Range: bytes=-3\r\n").body == "789");
  const Answer beyond = fetch(node.port(), origin.port(), "/a", "GET", "Range: bytes=20-\r\n");
  CHECK(beyond.status == 416);
  CHECK(beyond.field("Content-Range") == "bytes */10");
  const Answer other =
      fetch(node.port(), origin.port(), "/a", "GET", "Range: bytes=2-4\r\nIf-Range: \"v0\"\r\n");
  CHECK(other.status == 200);
  CHECK(other.body == "0123456789");
}

TEST_CASE("several ranges are answered in one multipart/byteranges (RFC 9110 §14.6)") {
  TestOrigin origin;
  const std::string body = pattern(400'000, 3);
  origin.set("/a", {.fields = "Cache-Control: max-age=60\r\nContent-Type: image/png\r\n", .body = body});
  TestNode node;
  CHECK(fetch(node.port(), origin.port(), "/a").status == 200);
  const auto ask = [&](const std::string& range) {
    return fetch(node.port(), origin.port(), "/a", "GET", "Range: " + range + "\r\n");
  };
  const Answer answer = ask("bytes=-3, 10-19, 100000-299999");
  CHECK(answer.status == 206);
  CHECK(answer.whole);
  CHECK(answer.field("Content-Range").empty());
  CHECK(answer.field("Content-Length") == std::to_string(answer.body.size()));
  const std::string type = answer.field("Content-Type");
  REQUIRE(type.starts_with("multipart/byteranges; boundary="));
  const std::string delimiter = "--" + type.substr(type.find('=') + 1);
  const auto part = [&](std::size_t from, std::size_t size) {
    return delimiter + "\r\nContent-Type: image/png\r\nContent-Range: bytes " + std::to_string(from) + "-" +
           std::to_string(from + size - 1) + "/400000\r\n\r\n" + body.substr(from, size) + "\r\n";
  };
  CHECK(answer.body == part(399'997, 3) + part(10, 10) + part(100'000, 200'000) + delimiter + "--\r\n");
  // Another answer, another boundary.
  CHECK(ask("bytes=0-1,5-6").field("Content-Type") != type);
  // What does not exist is left out; of one that is left there is nothing to delimit.
  CHECK(ask("bytes=0-1,500000-").field("Content-Range") == "bytes 0-1/400000");
  // Where the delimiters would cost more than they save, and where ranges overlap, the whole is sent.
  CHECK(ask("bytes=0-199999,200001-399999").status == 200);
  CHECK(ask("bytes=0-9,5-20").status == 200);
  CHECK(fetch(node.port(), origin.port(), "/a", "HEAD", "Range: bytes=0-1,5-6\r\n").status == 200);
  CHECK(origin.count("/a") == 1);
}

TEST_CASE("a stale object is validated and the 304 freshens it") {
  TestOrigin origin;
  origin.set("/a", {.fields = "Cache-Control: max-age=0\r\n", .body = "abc", .etag = "\"v1\""});
  TestNode node;
  CHECK(fetch(node.port(), origin.port(), "/a").status == 200);
  origin.set("/a",
             {.fields = "Cache-Control: max-age=300\r\nX-New: yes\r\n", .body = "abc", .etag = "\"v1\""});
  const Answer validated = fetch(node.port(), origin.port(), "/a");
  CHECK(validated.status == 200);
  CHECK(validated.body == "abc");
  CHECK(validated.field("X-New") == "yes");
  CHECK(validated.field("Cache-Status").find("fwd=stale; fwd-status=304") != std::string::npos);
  CHECK(origin.last("/a").find("If-None-Match: \"v1\"") != std::string::npos);
  CHECK(fetch(node.port(), origin.port(), "/a").field("Cache-Status").find("; hit;") != std::string::npos);
  CHECK(origin.count("/a") == 2);
}

TEST_CASE("within stale-while-revalidate the stale object is served at once and validated behind") {
  TestOrigin origin;
  origin.set(
      "/a",
      {.fields = "Cache-Control: max-age=0, stale-while-revalidate=60\r\n", .body = "old", .etag = "\"1\""});
  TestNode node;
  CHECK(fetch(node.port(), origin.port(), "/a").body == "old");
  origin.set("/a", {.body = "new", .head_delay = 100ms, .etag = "\"2\""});
  CHECK(fetch(node.port(), origin.port(), "/a").body == "old");
  for (int i = 0; i < 100 && fetch(node.port(), origin.port(), "/a").body != "new"; ++i)
    std::this_thread::sleep_for(20ms);
  CHECK(fetch(node.port(), origin.port(), "/a").body == "new");
  CHECK(origin.count("/a") == 2);
}

TEST_CASE("an origin that fails is covered by the stale object (RFC 5861 §4)") {
  TestOrigin origin;
  origin.set("/a",
             {.fields = "Cache-Control: max-age=0, stale-if-error=600\r\n", .body = "good", .etag = "\"1\""});
  TestNode node;
  CHECK(fetch(node.port(), origin.port(), "/a").body == "good");
  origin.set("/a", {.status = 503, .fields = "", .body = "sorry"});
  const Answer stale = fetch(node.port(), origin.port(), "/a");
  CHECK(stale.status == 200);
  CHECK(stale.body == "good");
  CHECK(stale.field("Cache-Status").find("stale-if-error") != std::string::npos);
}

TEST_CASE("variants are kept apart by the fields that Vary names") {
  TestOrigin origin;
  origin.set("/a", {.fields = "Cache-Control: max-age=300\r\nVary: Accept-Language\r\n", .body = "deutsch"});
  TestNode node;
  CHECK(fetch(node.port(), origin.port(), "/a", "GET", "Accept-Language: de\r\n").body == "deutsch");
  origin.set("/a", {.fields = "Cache-Control: max-age=300\r\nVary: Accept-Language\r\n", .body = "english"});
  CHECK(fetch(node.port(), origin.port(), "/a", "GET", "Accept-Language: en\r\n").body == "english");
  CHECK(origin.count("/a") == 2);
  const Answer german = fetch(node.port(), origin.port(), "/a", "GET", "Accept-Language: de\r\n");
  CHECK(german.body == "deutsch");
  CHECK(german.field("Cache-Status").find("; hit;") != std::string::npos);
  CHECK(fetch(node.port(), origin.port(), "/a", "GET", "Accept-Language: en\r\n").body == "english");
  CHECK(origin.count("/a") == 2);
}

TEST_CASE("what is no request gets 400 and the end of the connection") {
  TestNode node;
  for (const char* text :
       {"GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\nHost: a\n\n", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "\x16\x03\x01",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n"}) {
    CAPTURE(text);
    Client client(node.port());
    client.send(text);
    const Answer answer = client.read_answer();
    CHECK(answer.status == 400);
    CHECK(answer.field("Connection") == "close");
    CHECK_FALSE(client.read_some());
  }
}

TEST_CASE("every refusal has its own status and a page that says why") {
  TestOrigin origin;
  origin.set("/a", {.body = "x"});
  TestNode node;
  const auto ask = [&](const std::string& text) {
    Client client(node.port());
    client.send(text);
    const Answer answer = client.read_answer();
    CHECK(answer.body.find("<p>") != std::string::npos);
    return answer;
  };
  const std::string host = "\r\nHost: " + coral_host(origin.port()) + "\r\n";
  CHECK(ask("GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n").status == 421);
  CHECK(ask("GET / HTTP/1.1\r\nHost: single.reef.localhost\r\n\r\n").status == 400);
  CHECK(ask("GET / HTTP/1.1\r\nHost: www.example.com.22.reef.localhost\r\n\r\n").status == 403);
  const Answer post = ask("POST /a HTTP/1.1" + host + "Content-Length: 0\r\n\r\n");
  CHECK(post.status == 405);
  CHECK(post.field("Allow") == "GET, HEAD");
  CHECK(post.body.find("http://localhost:") != std::string::npos);
  CHECK(ask("GET /a HTTP/1.1" + host + "Content-Length: 3\r\n\r\nabc").status == 400);
  CHECK(ask("GET /a HTTP/1.1" + host + "Service-Worker: script\r\n\r\n").status == 403);
  CHECK(ask("GET /a HTTP/1.1" + host + "CDN-Loop: a, b, c, d, e\r\n\r\n").status == 508);
  CHECK(ask("GET /" + std::string(9000, 'x') + " HTTP/1.1" + host + "\r\n").status == 414);
  CHECK(ask("GET /a HTTP/1.1" + host + "X: " + std::string(40000, 'x') + "\r\n\r\n").status == 431);
  CHECK(ask("GET /a HTTP/2.7" + host + "\r\n").status == 505);
  CHECK(ask("GET / HTTP/1.1\r\nHost: reef.localhost\r\n\r\n").status == 200);
  CHECK(origin.count() == 0);
}

TEST_CASE("an answer to HEAD has no body, also when it is an error") {
  TestNode node;
  Client client(node.port());
  client.send(
      "HEAD / HTTP/1.1\r\nHost: www.example.com\r\n\r\nGET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n");
  CHECK(client.read_answer(true).status == 421);
  CHECK(client.read_answer().status == 421);
}

TEST_CASE("addresses that are not public are not connected to") {
  TestOrigin origin;
  origin.set("/a", {.body = "secret"});
  Options options = test_options();
  options.origins.allowed.clear();
  TestNode node(options);
  const Answer answer = fetch(node.port(), origin.port(), "/a");
  CHECK(answer.status == 403);
  CHECK(origin.count() == 0);
  CHECK(node.sum(&Stats::refused_addresses) == 1);
}

TEST_CASE("a node does not connect to itself, whatever is allowed") {
  Options options = test_options();
  TestNode node(options);
  CHECK(fetch(node.port(), options.listen.front().port, "/a").status == 403);
}

TEST_CASE("an origin that cannot be reached is 502 with Retry-After, and is left alone for a while") {
  TestNode node;
  const std::uint16_t nobody = free_port();
  const Answer first = fetch(node.port(), nobody, "/a");
  CHECK(first.status == 502);
  CHECK(!first.field("Retry-After").empty());
  CHECK(fetch(node.port(), nobody, "/b").status == 502);
  CHECK(node.sum(&Stats::origin_fetches) == 1);
}

TEST_CASE("an answer that is no HTTP, or ends early, is 502 or cut, and is never stored") {
  TestOrigin origin;
  origin.set("/noise", {.raw = "SSH-2.0-OpenSSH\r\n\r\n"});
  origin.set("/twice", {.raw = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"});
  origin.set("/both", {.raw = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: "
                              "chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"});
  origin.set("/split", {.raw = "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 3\r\n\r\nabc"});
  origin.set("/silent", {.raw = " "});
  origin.set("/short",
             {.raw = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nabc"});
  TestNode node;
  for (const char* path : {"/noise", "/twice", "/both", "/split", "/silent"}) {
    CAPTURE(path);
    CHECK(fetch(node.port(), origin.port(), path).status == 502);
  }
  const Answer cut = fetch(node.port(), origin.port(), "/short");
  CHECK_FALSE(cut.whole);
  CHECK(fetch(node.port(), origin.port(), "/short").field("Cache-Status").find("; hit") == std::string::npos);
}

TEST_CASE("redirects stay under the suffix") {
  TestOrigin origin;
  const std::string there = "http://localhost:" + std::to_string(origin.port()) + "/b";
  origin.set("/a", {.status = 301, .fields = "Cache-Control: max-age=60\r\nLocation: " + there + "\r\n"});
  TestNode node;
  const std::string port = ":" + std::to_string(node.port());
  for (int i = 0; i < 2; ++i) {
    Client client(node.port());
    client.send("GET /a HTTP/1.1\r\nHost: " + coral_host(origin.port()) + port + "\r\n\r\n");
    const Answer answer = client.read_answer();
    CHECK(answer.status == 301);
    CHECK(answer.field("Location") == "http://" + coral_host(origin.port()) + port + "/b");
  }
}

TEST_CASE(
    "a site of its own name gets all methods through, bodies both ways, and invalidation (RFC 9111 §4.4)") {
  TestOrigin origin;
  origin.set("/a", {.body = "one"});
  Options options = test_options();
  options.sites = {{"www.small.org", "http://localhost:" + std::to_string(origin.port())}};
  TestNode node(options, 2);
  const auto ask = [&](const std::string& method, const std::string& fields, const std::string& body) {
    Client client(node.port());
    client.send(method + " /a HTTP/1.1\r\nHost: www.small.org\r\n" + fields + "\r\n" + body);
    return client.read_answer();
  };
  CHECK(ask("GET", "Cookie: a=b\r\n", "").body == "one");
  CHECK(origin.last("/a").find("Cookie: a=b") != std::string::npos);
  // The last byte reaches the client a moment before the fill ends: who asks in between joins it.
  Answer again = ask("GET", "", "");
  for (int i = 0; i < 1000 && again.field("Cache-Status").find("collapsed") != std::string::npos; ++i)
    again = ask("GET", "", "");
  CAPTURE(again.head);
  CHECK(again.field("Cache-Status").find("; hit") != std::string::npos);
  CHECK(origin.count("/a") == 1);

  const std::string upload = pattern(300000);
  CHECK(ask("POST", "Content-Length: 300000\r\n", upload).status == 200);
  CHECK(origin.uploaded_ == 300000);
  CHECK(origin.last("/a").starts_with("POST "));
  CHECK(ask("GET", "", "").field("Cache-Status").find("; hit") == std::string::npos);
  CHECK(ask("PUT", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n").status == 200);
  CHECK(origin.uploaded_ == 300005);
  CHECK(ask("FROBNICATE", "", "").status == 200);
  CHECK(origin.last("/a").starts_with("FROBNICATE "));
  CHECK(ask("POST", "Content-Length: 99999999999\r\n", "").status == 413);
}
