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
