// The caching rules through the whole engine: what is kept, forgotten and told (RFC 9111).
#include <doctest/doctest.h>

#include "site_rig.h"

using namespace reef;               // NOLINT
using namespace reef::proxy;        // NOLINT
using namespace reef::proxy::test;  // NOLINT

namespace {

constexpr const char* kOnlyIfCached = "Cache-Control: only-if-cached, max-stale\r\n";

}  // namespace

TEST_CASE("an answer that may not be stored ends what was stored before (RFC 9111 §3)") {
  for (const char* directive : {"no-store", "private"}) {
    CAPTURE(directive);
    Site site(2);
    site.origin.set("/a", {.fields = "Cache-Control: max-age=300\r\n", .body = "old", .etag = "\"1\""});
    CHECK(site.get("/a").body == "old");
    CHECK(is_hit(site.get("/a", kOnlyIfCached)));
    site.origin.set(
        "/a",
        {.fields = "Cache-Control: " + std::string(directive) + "\r\n", .body = "new", .etag = "\"2\""});
    CHECK(site.get("/a", "Cache-Control: no-cache\r\n").body == "new");
    CHECK(site.get("/a", kOnlyIfCached).status == 504);
    CHECK(site.get("/a").body == "new");
  }
}

TEST_CASE("a 304 that says no-store is the last answer from what was stored (RFC 9111 §3.2)") {
  Site site;
  site.origin.set("/a", {.fields = "Cache-Control: max-age=0\r\n", .body = "abc", .etag = "\"1\""});
  CHECK(site.get("/a").body == "abc");
  site.origin.set("/a", {.fields = "Cache-Control: no-store\r\nX-New: 1\r\n", .etag = "\"1\""});
  const Answer last = site.get("/a");
  CHECK(last.status == 200);
  CHECK(last.body == "abc");
  CHECK(last.field("X-New") == "1");
  CHECK(site.get("/a", kOnlyIfCached).status == 504);
}

TEST_CASE("the last answer from what a 304 ends has the age of that 304 (RFC 9111 §4.2.3)") {
  Site site;
  site.origin.set("/a",
                  {.fields = "Cache-Control: max-age=0\r\nAge: 100\r\n", .body = "abc", .etag = "\"1\""});
  CHECK(site.get("/a").body == "abc");
  site.origin.set("/a", {.fields = "Cache-Control: no-store\r\n", .etag = "\"1\""});
  const Answer last = site.get("/a");
  CHECK(last.body == "abc");
  CHECK(last.field("Age").size() == 1);
}

TEST_CASE("a 304 by which a response varies otherwise is the last answer from it (RFC 9111 §4.1)") {
  Site site;
  site.origin.set("/a", {.fields = "Cache-Control: max-age=0\r\n", .body = "one", .etag = "\"1\""});
  CHECK(site.get("/a", "X-Kind: 1\r\n").body == "one");
  const std::string varies = "Cache-Control: max-age=300\r\nVary: X-Kind\r\n";
  site.origin.set("/a", {.fields = varies, .etag = "\"1\""});
  CHECK(site.get("/a", "X-Kind: 1\r\n").body == "one");
  site.origin.set("/a", {.fields = varies, .body = "two", .etag = "\"2\""});
  CHECK(site.get("/a", "X-Kind: 2\r\n").body == "two");
  CHECK(site.origin.last("/a").find("If-None-Match") == std::string::npos);
  // The way is free for variants, and for who waits with others.
  CHECK(is_hit(site.get("/a", "X-Kind: 2\r\n")));
  CHECK_FALSE(is_hit(site.get("/a", "X-Kind: 1\r\n")));
  CHECK(is_hit(site.get("/a", "X-Kind: 1\r\n")));
}

TEST_CASE("Coralized mode judges If-Modified-Since also where the answer is not stored (RFC 9111 §4.3.2)") {
  Site site;
  site.origin.set("/a", {.fields = "Cache-Control: no-store\r\nLast-Modified: Sun, 01 Nov 2020 01:00:00 "
                                   "GMT\r\n",
                         .body = "abc"});
  const auto since = [&](const std::string& year) {
    return fetch(site.node->port(), site.origin.port(), "/a", "GET",
                 "If-Modified-Since: Sun, 01 Nov " + year + " 01:00:00 GMT\r\n");
  };
  CHECK(since("2020").status == 304);
  CHECK(site.origin.last("/a").find("If-Modified-Since") == std::string::npos);
  CHECK(since("2009").status == 200);  // a Sunday too
}

TEST_CASE("a 304 that forbids sharing is for the client that asked; who waited with it asks anew") {
  Site site;
  site.origin.set("/a", {.fields = "Cache-Control: max-age=0\r\n", .body = "abc", .etag = "\"1\""});
  CHECK(site.get("/a").body == "abc");
  site.settle();
  site.origin.set(
      "/a", {.fields = "Cache-Control: private\r\n", .body = "mine", .head_delay = 100ms, .etag = "\"1\""});
  Client first(site.node->port());
  first.send(Site::request("GET", "/a"));
  site.await_requests("/a", 2);
  Client second(site.node->port());
  second.send(Site::request("GET", "/a"));
  CHECK(first.read_answer().body == "abc");
  CHECK(second.read_answer().body == "mine");
  CHECK(site.origin.count("/a") == 3);
}

TEST_CASE("an origin that fails, or has had enough, does not end what is stored (RFC 9111 §4.3.3)") {
  for (const int status : {500, 503, 429}) {
    CAPTURE(status);
    Site site;
    site.origin.set("/a", {.fields = "Cache-Control: max-age=0\r\n", .body = "old", .etag = "\"1\""});
    CHECK(site.get("/a").body == "old");
    site.origin.set("/a", {.status = status, .fields = "Cache-Control: no-store\r\n", .body = "sorry"});
    CHECK(site.get("/a").status == status);
    CHECK(site.get("/a", kOnlyIfCached).body == "old");
  }
}

TEST_CASE("a miss shows an Age only where its origin sent one (RFC 9111 §5.1)") {
  Site site;
  site.origin.set("/old",
                  {.fields = "Cache-Control: max-age=999999999\r\nDate: Sun, 01 Nov 2020 01:00:00 GMT\r\n"});
  CHECK(site.get("/old").field("Age").empty());
  CHECK(std::stol("0" + site.get("/old").field("Age")) > 100'000'000);
  site.origin.set("/slow", {.head_delay = 1100ms});
  CHECK(site.get("/slow").field("Age").empty());
  CHECK(std::stol("0" + site.get("/slow").field("Age")) >= 1);
  for (const char* directive : {"max-age=300", "no-store"}) {
    CAPTURE(directive);
    site.origin.set("/aged", {.fields = "Age: 55\r\nCache-Control: " + std::string(directive) + "\r\n"});
    CHECK(site.get("/aged", "Cache-Control: no-cache\r\n").field("Age") == "55");
  }
}

TEST_CASE("every answer from what is stored has one Age: 200, 206, 304 and HEAD (RFC 9111 §5.1)") {
  Site site;
  site.origin.set("/a",
                  {.fields = "Cache-Control: max-age=300\r\nAge: 20\r\n", .body = "0123", .etag = "\"1\""});
  CHECK(site.get("/a").field("Age") == "20");
  const auto check = [](const Answer& answer, int status) {
    CAPTURE(answer.head);
    CHECK(answer.status == status);
    CHECK(answer.field("Age").starts_with("2"));
    CHECK(answer.head.find("Age: ") == answer.head.rfind("Age: "));
  };
  check(site.get("/a"), 200);
  check(site.get("/a", "Range: bytes=1-2\r\n"), 206);
  check(site.get("/a", "If-None-Match: \"1\"\r\n"), 304);
  check(site.ask("HEAD", "/a"), 200);
  CHECK(site.origin.count("/a") == 1);
}

TEST_CASE("If-Match and If-Unmodified-Since reach the origin, whatever is stored (RFC 9111 §4.3.2)") {
  Site site;
  site.origin.set("/a", {.body = "abc", .etag = "\"1\""});
  CHECK(site.get("/a").status == 200);
  site.origin.set("/a", {.status = 412, .fields = "", .body = "no"});
  for (const char* condition : {"If-Match: \"9\"", "If-Unmodified-Since: Sun, 01 Nov 2020 01:00:00 GMT"}) {
    CAPTURE(condition);
    const Answer answer = site.get("/a", std::string(condition) + "\r\n");
    CHECK(answer.status == 412);
    CHECK(says(answer, "fwd=request; fwd-status=412"));
    CHECK(site.origin.last("/a").find(condition) != std::string::npos);
    CHECK(site.get("/a", std::string(condition) + "\r\nCache-Control: only-if-cached\r\n").status == 504);
  }
  CHECK(site.ask("HEAD", "/a", "If-Match: \"9\"\r\n").status == 412);
  CHECK(site.get("/a").body == "abc");
}

TEST_CASE("without a stored answer the client's validators go to the origin as they are (RFC 9111 §4.3.2)") {
  Site site;
  site.origin.set("/a", {.body = "abc", .etag = "unquoted"});
  const Answer same = site.get("/a", "If-None-Match: unquoted\r\nRange: bytes=0-1\r\n");
  CHECK(same.status == 304);
  CHECK(same.field("ETag") == "unquoted");
  CHECK(says(same, "fwd=uri-miss; fwd-status=304"));
  CHECK_FALSE(says(same, "stored"));
  CHECK(site.origin.last("/a").find("\r\nIf-None-Match: unquoted\r\n") != std::string::npos);
  CHECK(site.origin.last("/a").find("\r\nRange:") == std::string::npos);
  // What the origin sends after all is stored for everybody.
  CHECK(site.get("/a", "If-None-Match: \"0\"\r\n").body == "abc");
  CHECK(is_hit(site.get("/a")));
  CHECK(site.origin.count("/a") == 2);
}

TEST_CASE("a 304 for the first client's validators: the same ones share it, others ask for themselves") {
  Site site;
  site.origin.set("/a", {.body = "abc", .head_delay = 500ms, .etag = "\"1\""});
  const auto ask = [&](const std::string& fields) {
    auto client = std::make_unique<Client>(site.node->port());
    client->send(Site::request("GET", "/a", fields));
    return client;
  };
  const auto first = ask("If-None-Match: \"1\"\r\n");
  site.await_requests("/a", 1);
  const auto same = ask("If-None-Match: \"1\"\r\n");
  const auto other = ask("If-None-Match: \"0\"\r\n");
  const auto plain = ask("");
  const auto plain_too = ask("");
  CHECK(first->read_answer().status == 304);
  CHECK(same->read_answer().status == 304);
  CHECK(other->read_answer().body == "abc");
  CHECK(plain->read_answer().body == "abc");
  CHECK(plain_too->read_answer().body == "abc");
  CHECK(site.origin.count("/a") == 3);
}

TEST_CASE("Location and Content-Location of the answer to an unsafe method are invalid too (RFC 9111 §4.4)") {
  Site site(2);
  const std::string own = "http://localhost:" + std::to_string(site.origin.port());
  for (const char* path : {"/item", "/list", "/other"}) {
    site.origin.set(path, {.body = "old"});
    CHECK(site.get(path).body == "old");
    CHECK(is_hit(site.get(path)));
  }
  site.origin.set("/shop/cart",
                  {.status = 201, .fields = "Location: " + own + "/item\r\nContent-Location: ../list\r\n"});
  CHECK(site.ask("POST", "/shop/cart", "Content-Length: 0\r\n").status == 201);
  CHECK_FALSE(is_hit(site.get("/item")));
  CHECK_FALSE(is_hit(site.get("/list")));
  site.origin.set("/shop/cart", {.fields = "Location: http://www.other.org/other\r\n"});
  CHECK(site.ask("POST", "/shop/cart", "Content-Length: 0\r\n").status == 200);
  CHECK(is_hit(site.get("/other")));
}

TEST_CASE("an error in answer to an unsafe method keeps what is stored (RFC 9111 §4.4)") {
  Site site;
  site.origin.set("/a", {.body = "one"});
  CHECK(site.get("/a").body == "one");
  for (const int status : {400, 404, 500}) {
    CAPTURE(status);
    site.origin.set("/a", {.status = status, .fields = "Location: /a\r\n", .body = "no"});
    CHECK(site.ask("POST", "/a", "Content-Length: 0\r\n").status == status);
    CHECK(is_hit(site.get("/a")));
  }
}

TEST_CASE(
    "a HEAD of what is stale goes to the origin, and what contradicts a stored GET makes it stale (RFC 9111 "
    "§4.3.5)") {
  Site site(2);
  site.origin.set("/a", {.fields = "Cache-Control: max-age=0\r\n", .body = "abc", .etag = "\"1\""});
  CHECK(site.get("/a").body == "abc");
  CHECK(says(site.ask("HEAD", "/a"), "fwd=stale; fwd-status=200"));
  CHECK(site.origin.last("/a").starts_with("HEAD "));

  const char* reload = "Cache-Control: no-cache\r\n";
  site.origin.set("/b", {.body = "abc", .etag = "\"1\""});
  CHECK(site.get("/b").body == "abc");
  CHECK(says(site.ask("HEAD", "/b", reload), "fwd=request; fwd-status=200"));
  CHECK(is_hit(site.get("/b")));
  CHECK(site.origin.count("/b") == 2);
  site.origin.set("/b", {.body = "abcd", .etag = "\"2\""});
  CHECK(site.ask("HEAD", "/b", reload).field("Content-Length") == "4");
  const Answer fetched = site.get("/b");
  CHECK(fetched.body == "abcd");
  CHECK(says(fetched, "fwd=stale; fwd-status=200"));
  CHECK(is_hit(site.get("/b")));
}

TEST_CASE(
    "what no-cache=\"f\" and private=\"f\" withhold is for the client that caused the fetch (RFC 9111 "
    "§5.2.2)") {
  for (const char* directive : {"private", "no-cache"}) {
    CAPTURE(directive);
    Site site;
    site.origin.set("/a", {.fields = "Cache-Control: max-age=60, " + std::string(directive) +
                                     "=\"Set-Cookie\"\r\nSet-Cookie: me=1\r\nX-All: 1\r\n",
                           .body = "abc",
                           .head_delay = 200ms});
    Client first(site.node->port());
    first.send(Site::request("GET", "/a"));
    site.await_requests("/a", 1);
    Client second(site.node->port());
    second.send(Site::request("GET", "/a"));
    CHECK(first.read_answer().field("Set-Cookie") == "me=1");
    const Answer collapsed = second.read_answer();
    CHECK(says(collapsed, "; collapsed"));
    CHECK(collapsed.field("Set-Cookie").empty());
    CHECK(collapsed.field("X-All") == "1");
    const Answer hit = site.get("/a");
    CHECK(is_hit(hit));
    CHECK(hit.field("Set-Cookie").empty());
    CHECK(site.origin.count("/a") == 1);
  }
}

TEST_CASE("a 304 about another version updates nothing: the whole is fetched, once (RFC 9111 §4.3.4)") {
  std::atomic<bool> always{false};
  std::atomic<int> asked{0};
  ScriptedServer server([&](Peer& peer) {
    for (std::string head; !(head = peer.read_head()).empty();) {
      const std::string number = std::to_string(++asked);
      const bool conditional = head.find("If-None-Match") != std::string::npos;
      peer.send(conditional || always
                    ? "HTTP/1.1 304 Not Modified\r\nETag: \"other\"\r\nX-New: 1\r\nCache-Control: "
                      "max-age=60\r\n\r\n"
                    : "HTTP/1.1 200 OK\r\nETag: \"" + number +
                          "\"\r\nCache-Control: max-age=0, must-revalidate\r\nContent-Length: 1\r\n\r\n" +
                          number);
    }
  });
  Options options = test_options();
  options.sites = {{"www.small.org", "http://localhost:" + std::to_string(server.endpoint().port)}};
  TestNode node(options);
  Client client(node.port());
  const auto ask = [&] {
    for (int i = 0; i < 5000 && node.sum(&Stats::fills_open) > 0; ++i) std::this_thread::sleep_for(1ms);
    client.send(Site::request("GET", "/a"));
    return client.read_answer();
  };
  CHECK(ask().body == "1");
  const Answer fetched = ask();
  CHECK(fetched.body == "3");
  CHECK(fetched.field("X-New").empty());
  CHECK(says(fetched, "fwd=stale; fwd-status=200; stored"));
  always = true;
  CHECK(ask().status == 502);
  CHECK(asked == 5);
}

TEST_CASE(
    "a site's own error pages are passed on, and leave what is stored to cover for silence (RFC 9111 "
    "§4.2.4)") {
  Site site;
  site.origin.set("/new", {.status = 503, .fields = "Retry-After: 7\r\n", .body = "our page"});
  for (int i = 1; i <= 2; ++i) {
    const Answer answer = site.get("/new");
    CHECK(answer.status == 503);
    CHECK(answer.body == "our page");
    CHECK(answer.field("Retry-After") == "7");
    CHECK(site.origin.count("/new") == i);
  }
  site.origin.set("/a", {.fields = "Cache-Control: max-age=0\r\n", .body = "old", .etag = "\"1\""});
  CHECK(site.get("/a").body == "old");
  site.origin.set("/a", {.status = 500, .fields = "", .body = "our page"});
  CHECK(site.get("/a").body == "our page");
  CHECK(site.get("/a").body == "our page");
  site.origin.set("/a", {.raw = " "});
  const Answer covered = site.get("/a");
  CHECK(covered.body == "old");
  CHECK(says(covered, "detail=stale-if-error"));
}

TEST_CASE("what covers for a failing origin spares it for a while (RFC 5861 §4)") {
  Site site;
  site.origin.set(
      "/a", {.fields = "Cache-Control: max-age=0, stale-if-error=60\r\n", .body = "old", .etag = "\"1\""});
  CHECK(site.get("/a").body == "old");
  site.origin.set("/a", {.status = 503, .fields = "", .body = "sorry"});
  const Answer covered = site.get("/a");
  CHECK(covered.body == "old");
  CHECK(says(covered, "fwd=stale; fwd-status=503"));
  CHECK(site.get("/a").body == "old");
  CHECK(site.origin.count("/a") == 2);
}

TEST_CASE(
    "must-revalidate: an origin that cannot be reached is 502 or 504, never the stale answer (RFC 9111 "
    "§5.2.2.2)") {
  for (const char* directive : {"must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=0"}) {
    CAPTURE(directive);
    Site site(1, [](Options& options) {
      options.origins.connect_timeout = 200ms;
      options.origins.head_timeout = 200ms;
    });
    const std::string fields = "Cache-Control: max-age=0, " + std::string(directive) + "\r\n";
    site.origin.set("/closes", {.fields = fields, .body = "abc", .etag = "\"1\""});
    site.origin.set("/silent", {.fields = fields, .body = "abc", .etag = "\"1\""});
    CHECK(site.get("/closes").body == "abc");
    CHECK(site.get("/silent").body == "abc");
    site.origin.set("/closes", {.raw = " "});
    CHECK(site.get("/closes").status == 502);
    site.origin.set("/silent", {.head_delay = 1500ms});
    CHECK(site.get("/silent").status == 504);
  }
}

TEST_CASE(
    "Cache-Status is on answers of the origin's and on those that say that it failed, not on refusals (RFC "
    "9211 §2)") {
  Site site;
  site.origin.set("/broken", {.raw = " "});
  const Answer failed = site.get("/broken");
  CHECK(failed.status == 502);
  CHECK(failed.field("Cache-Status").ends_with("; fwd=uri-miss"));
  CHECK(says(site.ask("DELETE", "/broken"), "; fwd=method"));
  CHECK(says(site.get("/missing"), "; fwd=uri-miss; fwd-status=404"));
  site.origin.set("/a",
                  {.fields = "Cache-Control: max-age=0, must-revalidate\r\n", .body = "a", .etag = "\"1\""});
  CHECK(site.get("/a").status == 200);
  site.origin.set("/a", {.raw = " "});
  CHECK(says(site.get("/a"), "; fwd=stale"));
  CHECK(site.get("/other", "Cache-Control: only-if-cached\r\n").field("Cache-Status").empty());
  Client client(site.node->port());
  client.send("GET /a HTTP/1.1\r\nHost: www.example.com\r\n\r\n");
  CHECK(client.read_answer().field("Cache-Status").empty());
}

TEST_CASE("what a fetch replaces is served by no worker any more (RFC 9111 §4)") {
  Site site(2);
  // Connections are spread over the workers by the kernel: of 16 none goes to one of two once in 2^15 times.
  const auto all_say = [&](const std::string& path, const std::string& body) {
    for (int i = 0; i < 16; ++i) {
      if (site.get(path).body != body) return false;
    }
    return true;
  };
  site.origin.set("/a", {.body = "old", .etag = "\"1\""});
  CHECK(all_say("/a", "old"));
  site.origin.set("/a", {.body = "new", .etag = "\"2\""});
  CHECK(site.get("/a", "Cache-Control: no-cache\r\n").body == "new");
  CHECK(all_say("/a", "new"));
  CHECK(site.origin.count("/a") == 2);

  const std::string window = "Cache-Control: max-age=0, stale-while-revalidate=60\r\n";
  site.origin.set("/b", {.fields = window, .body = "old", .etag = "\"1\""});
  CHECK(site.get("/b").body == "old");
  site.settle();
  site.origin.set("/b", {.body = "new", .head_delay = 300ms, .etag = "\"2\""});
  for (int i = 0; i < 16; ++i) {  // at once: all while the validation is under way
    Client client(site.node->port());
    client.send(Site::request("GET", "/b"));
    const Answer answer = client.read_answer();
    CAPTURE(i);
    CAPTURE(answer.head);
    CHECK(answer.body == "old");
  }
  CHECK(all_say("/b", "new"));
  CHECK(site.origin.count("/b") == 2);
}

TEST_CASE("the Vary of the most recent response decides on all workers (RFC 9111 §4.1)") {
  Site site(2);
  const auto ask = [&](const std::string& more) { return site.get("/a", "X: 1\r\nY: 1\r\n" + more).body; };
  site.origin.set("/a", {.fields = "Cache-Control: max-age=300\r\nVary: X\r\n", .body = "by X"});
  for (int i = 0; i < 16; ++i) CHECK(ask("") == "by X");
  site.origin.set("/a", {.fields = "Cache-Control: max-age=300\r\nVary: Y\r\n", .body = "by Y"});
  CHECK(ask("Cache-Control: no-cache\r\n") == "by Y");
  for (int i = 0; i < 16; ++i) CHECK(ask("") == "by Y");
  CHECK(site.get("/a", "X: 2\r\nY: 1\r\n").body == "by Y");
  site.origin.set("/a", {.body = "for all"});
  CHECK(ask("Cache-Control: no-cache\r\n") == "for all");
  for (int i = 0; i < 16; ++i) CHECK(ask("") == "for all");
  CHECK(site.origin.count("/a") == 3);
}

TEST_CASE("conditions of other methods than GET and HEAD are the origin's to judge (RFC 9110 §13.1.2)") {
  Site site;
  site.origin.set("/a", {.body = "made", .etag = "\"1\""});
  const Answer answer =
      site.ask("PUT", "/a", "If-None-Match: *\r\nRange: bytes=0-0\r\nContent-Length: 0\r\n");
  CHECK(answer.status == 200);
  CHECK(answer.body == "made");
  CHECK(site.origin.last("/a").find("If-None-Match: *") != std::string::npos);
}

TEST_CASE("each site has rules of its own, and what is under the suffix none of theirs") {
  Site site(1, [](Options& options) {
    options.sites.push_back({"www.other.org", options.sites.front().origin});
    options.sites.back().rules = rules::Options::site();
    options.sites.back().rules->heuristic_min = 5min;
  });
  site.origin.set("/a", {.fields = "", .body = "abc"});
  const auto ask = [&](const std::string& host) {
    site.settle();
    Client client(site.node->port());
    client.send("GET /a HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
    return client.read_answer();
  };
  CHECK(ask("www.other.org").body == "abc");
  CHECK(is_hit(ask("www.other.org")));
  CHECK(ask("www.small.org").body == "abc");
  CHECK_FALSE(is_hit(ask("www.small.org")));
}

TEST_CASE("where clients' directives do not count, no-store makes nobody fetch alone (RFC 9111 §5.2.1.5)") {
  Site site(1, [](Options& options) { options.site.honour_request_directives = false; });
  site.origin.set("/a", {.body = "abc"});
  CHECK(site.get("/a", "Cache-Control: no-store\r\n").status == 200);
  CHECK(is_hit(site.get("/a", "Cache-Control: no-store\r\n")));
  CHECK(is_hit(site.get("/a", "Cache-Control: no-cache\r\n")));
  CHECK(site.origin.count("/a") == 1);
}

TEST_CASE("whether an answer that may not be stored ends what was stored can be set (RFC 9111 §3)") {
  Site site(1, [](Options& options) { options.site.newer_ends_stored = false; });
  site.origin.set("/a", {.fields = "Cache-Control: max-age=300\r\n", .body = "old", .etag = "\"1\""});
  CHECK(site.get("/a").body == "old");
  site.origin.set("/a", {.fields = "Cache-Control: no-store\r\n", .body = "new", .etag = "\"2\""});
  CHECK(site.get("/a", "Cache-Control: no-cache\r\n").body == "new");
  CHECK(site.get("/a", kOnlyIfCached).body == "old");
}

TEST_CASE("a Range of what is not stored fetches the whole, or can be left to the origin (RFC 9110 §14.2)") {
  for (const bool pass : {false, true}) {
    CAPTURE(pass);
    Site site(1, [&](Options& options) {
      if (pass) options.site.range_on_miss = rules::RangeOnMiss::pass;
    });
    site.origin.set("/a", {.body = "0123456789", .ranges = true});
    const Answer part = site.get("/a", "Range: bytes=4-\r\n");
    CHECK(part.status == 206);
    CHECK(part.body == "456789");
    CHECK((site.origin.last("/a").find("Range: bytes=4-") != std::string::npos) == pass);
    CHECK(is_hit(site.get("/a")) != pass);
    // What is stored answers ranges itself.
    site.get("/a");
    const Answer again = site.get("/a", "Range: bytes=-1\r\n");
    CHECK(is_hit(again));
    CHECK(again.body == "9");
  }
}

TEST_CASE("what has no validator is fetched plainly (RFC 9111 §4.3.1)") {
  Site site;
  site.origin.set("/a", {.fields = "Cache-Control: max-age=0, stale-if-error=60\r\n", .body = "one"});
  CHECK(site.get("/a").body == "one");
  site.origin.set("/a", {.fields = "Cache-Control: max-age=300\r\n", .body = "two"});
  CHECK(site.get("/a", "If-None-Match: \"9\"\r\nRange: bytes=0-0\r\n").status == 206);
  for (const char* condition : {"If-None-Match", "If-Modified-Since", "Range:"})
    CHECK(site.origin.last("/a").find(condition) == std::string::npos);
  CHECK(site.get("/a", kOnlyIfCached).body == "two");
}

TEST_CASE("a validation keeps the client's other fields, above all those that Vary names (RFC 9111 §4.3.1)") {
  Site site;
  site.origin.set("/a",
                  {.fields = "Cache-Control: max-age=0\r\nVary: X-Kind\r\n", .body = "a", .etag = "\"1\""});
  CHECK(site.get("/a", "X-Kind: 7\r\n").body == "a");
  CHECK(site.get("/a", "X-Kind: 7\r\nX-Other: 8\r\nIf-None-Match: \"9\"\r\n").body == "a");
  const std::string asked = site.origin.last("/a");
  CHECK(asked.find("\r\nX-Kind: 7\r\n") != std::string::npos);
  CHECK(asked.find("\r\nX-Other: 8\r\n") != std::string::npos);
  CHECK(asked.find("\r\nIf-None-Match: \"1\"\r\n") != std::string::npos);
}

TEST_CASE("under a targeted field Age is still told, and counts (RFC 9213 §2.3)") {
  Site site;
  site.origin.set(
      "/a",
      {.fields = "CDN-Cache-Control: max-age=300\r\nCache-Control: no-store\r\nAge: 100\r\n", .body = "abc"});
  CHECK(site.get("/a").field("Age") == "100");
  const Answer hit = site.get("/a");
  CHECK(is_hit(hit));
  CHECK(std::stoi("0" + hit.field("Age")) >= 100);
  site.origin.set("/b", {.fields = "CDN-Cache-Control: max-age=100\r\nAge: 100\r\n", .body = "abc"});
  CHECK(site.get("/b").body == "abc");
  CHECK_FALSE(is_hit(site.get("/b")));
}

TEST_CASE("an invalidation is done before the client has the answer that caused it (RFC 9111 §4.4)") {
  Site site(2);
  for (int i = 0; i < 50; ++i) {
    CAPTURE(i);
    site.origin.set("/a", {.body = "old"});
    CHECK(site.get("/a").body == "old");
    CHECK(is_hit(site.get("/a")));
    site.origin.set("/a", {.body = "new"});
    // Nothing is waited for: the next request may be another worker's.
    Client poster(site.node->port()), reader(site.node->port());
    poster.send(Site::request("POST", "/a", "Content-Length: 0\r\n"));
    CHECK(poster.read_answer().status == 200);
    reader.send(Site::request("GET", "/a"));
    CHECK(reader.read_answer().body == "new");
    CHECK(site.ask("POST", "/a", "Content-Length: 0\r\n").status == 200);
  }
}
