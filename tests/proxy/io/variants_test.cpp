// Which variants of a URL are kept: the list in its index, and what the engine makes of it.
#include "proxy/io/variants.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "proxy/http/builder.h"
#include "proxy/rules/vary.h"
#include "site_rig.h"

using namespace reef;               // NOLINT
using namespace reef::proxy;        // NOLINT
using namespace reef::proxy::test;  // NOLINT

namespace {

using Hashes = std::vector<UrlHash>;

UrlHash hash(std::uint64_t number) { return {.low = number, .high = ~number}; }

Object index_of(const Hashes& variants, std::int64_t generation) {
  ObjectHead head;
  head.policy = rules::variant_index(WallTime(std::chrono::milliseconds(generation)));
  head.fields = variant_index_fields("accept, x", variants);
  return {std::move(head), nullptr};
}

std::string variant(const std::string& value) { return "X: " + value + "\r\n"; }
std::string if_cached(const std::string& value) {
  return "Cache-Control: only-if-cached\r\n" + variant(value);
}

OriginAnswer varying(const std::string& body) {
  return {.fields = "Cache-Control: max-age=300\r\nVary: X\r\n", .body = body};
}

}  // namespace

TEST_CASE("an index names the fields of Vary and the variants, oldest first (RFC 9111 §4.1)") {
  const Hashes variants{hash(1), hash(0xffffffffffffffff), hash(3)};
  const std::string fields = variant_index_fields("accept, x", variants);
  CHECK(http::find_line(fields, "Vary") == "accept, x");
  CHECK(variants_in(fields) == variants);
  CHECK(variants_in("Vary: x\r\n").empty());
  CHECK(variants_in("Variants: 12, x, " + std::string(32, 'g') + "\r\n").empty());
}

TEST_CASE(
    "with the index of a URL all that it lists is removed; what is no index lists nothing (RFC 9111 §4.4)") {
  const Object index = index_of({hash(1), hash(2)}, 7);
  CHECK(variants_of(&index) == Hashes{hash(1), hash(2)});
  CHECK(variants_of(nullptr).empty());
  Object other = index_of({hash(1)}, 7);
  other.head.policy.set(rules::CachePolicy::kVariantIndex, false);
  CHECK(variants_of(&other).empty());
}

TEST_CASE("of more variants than may be kept the oldest go; those of another generation all do") {
  const Object index = index_of({hash(1), hash(2), hash(3)}, 7);
  const VariantsKept fourth = with_variant(&index, 7, hash(4), 3);
  CHECK(fourth.kept == Hashes{hash(2), hash(3), hash(4)});
  CHECK(fourth.gone == Hashes{hash(1)});
  const VariantsKept again = with_variant(&index, 7, hash(1), 3);
  CHECK(again.kept == Hashes{hash(2), hash(3), hash(1)});
  CHECK(again.gone.empty());
  CHECK(with_variant(&index, 7, hash(4), 2).gone == Hashes{hash(1), hash(2)});
  const VariantsKept newer = with_variant(&index, 8, hash(4), 3);
  CHECK(newer.kept == Hashes{hash(4)});
  CHECK(newer.gone == Hashes{hash(1), hash(2), hash(3)});
  CHECK(with_variant(nullptr, 8, hash(4), 0).kept == Hashes{hash(4)});
}

TEST_CASE("variants of a URL are bounded, the oldest goes first (RFC 9111 §4.1)") {
  Site site(2, [](Options& options) { options.site.variants_max = 2; });
  for (const char* value : {"1", "2", "3"}) {
    site.origin.set("/a", varying(value));
    CHECK(site.get("/a", variant(value)).body == value);
  }
  CHECK(site.get("/a", if_cached("1")).status == 504);
  CHECK(site.get("/a", if_cached("2")).body == "2");
  CHECK(site.get("/a", if_cached("3")).body == "3");
  site.origin.set("/a", varying("new"));
  CHECK(site.get("/a", variant("1")).body == "new");
  CHECK(site.get("/a", if_cached("2")).status == 504);
  CHECK(site.get("/a", if_cached("3")).body == "3");
}

TEST_CASE("the bound on variants holds after a restart") {
  char directory[] = "/tmp/reef-variants-XXXXXX";
  REQUIRE(::mkdtemp(directory) != nullptr);
  TestOrigin origin;
  Options options = test_options();
  options.sites = {{"www.small.org", "http://localhost:" + std::to_string(origin.port())}};
  options.site.variants_max = 2;
  const auto ask = [&](TestNode& node, const std::string& fields) {
    for (int i = 0; i < 5000 && node.sum(&Stats::fills_open) > 0; ++i) std::this_thread::sleep_for(1ms);
    Client client(node.port());
    client.send(Site::request("GET", "/a", fields));
    return client.read_answer();
  };
  {
    TestNode node(options, 1, nullptr, directory);
    for (const char* value : {"1", "2"}) {
      origin.set("/a", varying(value));
      CHECK(ask(node, variant(value)).body == value);
    }
    for (int i = 0; i < 5000 && node.sum(&Stats::fills_open) > 0; ++i) std::this_thread::sleep_for(1ms);
  }
  {
    TestNode node(options, 1, nullptr, directory);
    origin.set("/a", varying("3"));
    CHECK(ask(node, variant("3")).body == "3");
    CHECK(ask(node, if_cached("1")).status == 504);
    CHECK(ask(node, if_cached("2")).body == "2");
  }
  std::filesystem::remove_all(directory);
}

TEST_CASE(
    "a variant's fill that is under way when its URL is invalidated brings no older variants back (RFC 9111 "
    "§4.4)") {
  Site site(2);
  site.origin.set("/a", varying("old"));
  CHECK(site.get("/a", variant("1")).body == "old");
  const std::string slow_body = "slow and old";
  OriginAnswer slow = varying(slow_body);
  slow.piece_bytes = 3;
  slow.piece_delay = 200ms;
  site.origin.set("/a", slow);
  site.settle();
  Client reader(site.node->port());
  reader.send(Site::request("GET", "/a", variant("2")));
  while (reader.input().find("\r\n\r\nslo") == std::string::npos) REQUIRE(reader.read_some());
  site.origin.set("/a", varying("new"));
  Client writer(site.node->port());
  writer.send(Site::request("POST", "/a", "Content-Length: 0\r\n"));
  CHECK(writer.read_answer().status == 200);
  CHECK(reader.read_answer().body == slow_body);
  CHECK(site.get("/a", variant("1")).body == "new");
  CHECK(site.get("/a", variant("2")).body == "new");
}

TEST_CASE("a fill that was under way when its URL was invalidated goes on beside a new one (RFC 9111 §4.4)") {
  Site site(2);
  const std::string old_body = "slow and old";
  site.origin.set("/a", {.body = old_body, .piece_bytes = 3, .piece_delay = 200ms});
  Client reader(site.node->port());
  reader.send(Site::request("GET", "/a"));
  while (reader.input().find("\r\n\r\nslo") == std::string::npos) REQUIRE(reader.read_some());
  site.origin.set("/a", {.body = "new"});
  Client writer(site.node->port());
  writer.send(Site::request("POST", "/a", "Content-Length: 0\r\n"));
  CHECK(writer.read_answer().status == 200);
  writer.send(Site::request("GET", "/a"));
  CHECK(writer.read_answer().body == "new");
  const Answer whole = reader.read_answer();
  CHECK(whole.whole);
  CHECK(whole.body == old_body);
  CHECK(site.get("/a").body == "new");
  const Answer hit = site.get("/a");
  CHECK(hit.body == "new");
  CHECK(is_hit(hit));
}
