#include "node/record_book.h"

#include <doctest/doctest.h>

using namespace reef;
using namespace reef::node;

namespace {

dnsd::Name name(std::string_view text) { return *dnsd::Name::parse(text); }

RecordBook book(std::size_t max = 4) {
  dnsd::ZoneOptions options;
  options.zone = name("reef.example");
  options.suffix = name("cdn.reef.example");
  const auto fixed = dnsd::Record::parse("fixed.reef.example TXT \"here\"", 60);
  return {*dnsd::Zone::make(options), {*fixed}, max, 60};
}

const dnsd::Records::Set* find(const RecordBook::Shared& records, std::string_view owner,
                               std::uint16_t type) {
  const auto* node = records->find(name(owner));
  return node == nullptr ? nullptr : node->of(type);
}

constexpr std::uint16_t kTxt = 16;

}  // namespace

TEST_CASE("records that were set stand beside those of the configuration, until they are removed") {
  RecordBook records = book();
  auto all = records.set("_acme-challenge.reef.example", "TXT", "one", 30);
  REQUIRE(all);
  REQUIRE(find(*all, "_acme-challenge.reef.example", kTxt) != nullptr);
  CHECK(find(*all, "_acme-challenge.reef.example", kTxt)->ttl == 30);
  CHECK(find(*all, "fixed.reef.example", kTxt) != nullptr);
  CHECK(records.lines() == std::vector<std::string>{"_acme-challenge.reef.example 30 TXT one"});
  all = records.remove("_acme-challenge.reef.example", "", "");
  REQUIRE(all);
  CHECK(find(*all, "_acme-challenge.reef.example", kTxt) == nullptr);
  CHECK(find(*all, "fixed.reef.example", kTxt) != nullptr);
  CHECK(records.lines().empty());
}

TEST_CASE(
    "a name may have several values at once, as two certificates under one name need; one can be removed") {
  RecordBook records = book();
  REQUIRE(records.set("_acme-challenge.reef.example", "TXT", "one", std::nullopt));
  auto all = records.set("_acme-challenge.reef.example", "txt", "two", std::nullopt);
  REQUIRE(all);
  CHECK(find(*all, "_acme-challenge.reef.example", kTxt)->rdatas.size() == 2);
  all = records.remove("_ACME-challenge.reef.example", "TXT", "one");
  REQUIRE(all);
  CHECK(find(*all, "_acme-challenge.reef.example", kTxt)->rdatas.size() == 1);
  CHECK(records.lines() == std::vector<std::string>{"_acme-challenge.reef.example 60 txt two"});
}

TEST_CASE("a value that is set again takes its new TTL and no second place") {
  RecordBook records = book(1);
  REQUIRE(records.set("a.reef.example", "TXT", "x", 10));
  const auto all = records.set("a.reef.example", "TXT", "x", 20);
  REQUIRE(all);
  CHECK(find(*all, "a.reef.example", kTxt)->ttl == 20);
  CHECK(records.lines().size() == 1);
}

TEST_CASE("what may not stand there is refused, and changes nothing") {
  RecordBook records = book(2);
  REQUIRE(records.set("a.reef.example", "TXT", "x", std::nullopt));
  CHECK(!records.set("elsewhere.example", "TXT", "x", std::nullopt));
  CHECK(!records.set("a.reef.example", "A", "nonsense", std::nullopt));
  CHECK(!records.set("a.reef.example", "SOA", "x", std::nullopt));
  // Beside other records (RFC 1034 §3.6.2).
  CHECK(!records.set("a.reef.example", "CNAME", "b.reef.example", std::nullopt));
  // Words that would make another record of it.
  CHECK(!records.set("a.reef.example 5 TXT", "TXT", "x", std::nullopt));
  CHECK(!records.set("", "TXT", "x", std::nullopt));
  CHECK(!records.set("b.reef.example", "5 TXT", "x", std::nullopt));
  CHECK(!records.remove("a.reef.example", "NOTYPE", ""));
  CHECK(!records.remove("a.reef.example", "", "x"));
  CHECK(records.lines().size() == 1);
  REQUIRE(records.set("b.reef.example", "TXT", "x", std::nullopt));
  CHECK(!records.set("c.reef.example", "TXT", "x", std::nullopt));  // too many
}
