#include "dnsd/records.h"

#include <doctest/doctest.h>

#include "dnsd/zone.h"

using namespace reef;
using namespace reef::dnsd;

namespace {

Zone zone() {
  ZoneOptions options;
  options.zone = options.suffix = *Name::parse("reef.example");
  return Zone::make(options).value();
}

Result<std::shared_ptr<const Records>> make(const std::vector<std::string>& lines) {
  std::vector<Record> records;
  for (const std::string& line : lines) records.push_back(Record::parse(line, 300).value());
  return Records::make(zone(), records);
}

std::string bytes_of(const char* line) {
  const auto record = Record::parse(line, 300);
  return record ? std::string(as_text(record->rdata)) : "none";
}

}  // namespace

TEST_CASE("a record is read from one line, with a TTL or the default one") {
  const auto record = Record::parse("www.reef.example 60 A 192.0.2.1", 300);
  REQUIRE(record);
  CHECK(record->owner.text() == "www.reef.example.");
  CHECK(record->ttl == 60);
  CHECK(record->type == 1);
  CHECK(Record::parse("www.reef.example. aaaa 2001:db8::1", 300)->ttl == 300);
  CHECK(bytes_of("a.b TXT one \"two words\" \"quo\\\"te\"") == std::string("\3one\11two words\6quo\"te"));
  CHECK(bytes_of("a.b TXT \"\"") == std::string("\0", 1));
  CHECK(bytes_of("a.b MX 10 m.x") == std::string("\0\12\1m\1x\0", 7));
  CHECK(bytes_of("a.b CNAME c.d.") == std::string("\1c\1d\0", 5));
  CHECK(bytes_of("a.b CAA 128 issue \"ca.org\"") == std::string("\200\5issueca.org"));
  CHECK(bytes_of(("a.b TXT " + std::string(300, 'x')).c_str()).size() == 302);
}

TEST_CASE("what is no record is refused") {
  for (const char* line : {"",
                           "a.b",
                           "a.b A",
                           "a.b A 1.2.3",
                           "a.b A 2001:db8::1",
                           "a.b AAAA 1.2.3.4",
                           "a.b A 1.2.3.4 5.6.7.8",
                           "a.b TXT",
                           "a.b TXT \"open",
                           "a.b TXT \"a\"b",
                           "a..b A 1.2.3.4",
                           "a.b 99999999999 A 1.2.3.4",
                           "a.b MX mail.x",
                           "a.b MX 70000 mail.x",
                           "a.b MX 1 m..x",
                           "a.b CNAME",
                           "a.b CAA 0 is-sue x",
                           "a.b CAA 256 issue x",
                           "a.b NS c.d",
                           "a.b SOA x",
                           "a.b 60"}) {
    CHECK_MESSAGE(!Record::parse(line, 300), line);
  }
}

TEST_CASE(
    "a name's records are found by type whatever the case, each once, with the least TTL (RFC 2181 §5.2)") {
  const auto records = make({"A.reef.example 60 TXT x", "a.REEF.example 30 TXT y", "a.reef.example 90 TXT x",
                             "a.reef.example A 192.0.2.1"});
  REQUIRE(records);
  const auto* node = (*records)->find(*Name::parse("a.reef.EXAMPLE"));
  REQUIRE(node != nullptr);
  REQUIRE(node->of(16) != nullptr);
  CHECK(node->of(16)->rdatas.size() == 2);
  CHECK(node->of(16)->ttl == 30);
  CHECK(node->of(1) != nullptr);
  CHECK(node->of(15) == nullptr);
  CHECK((*records)->find(*Name::parse("b.reef.example")) == nullptr);
}

TEST_CASE("records stand only where the server does not need the name itself, and a CNAME alone") {
  for (const char* line :
       {"ns1.reef.example A 192.0.2.1", "l0.reef.example TXT x", "n-c0000201.l0.reef.example A 192.0.2.1",
        "reef.example CNAME x.y", "www.example.org A 192.0.2.1", "_.l1.l0.reef.example TXT x",
        "ns1.l2.l1.l0.reef.example A 192.0.2.1"}) {
    CHECK_MESSAGE(!make({line}), line);
  }
  CHECK_FALSE(make({"a.reef.example CNAME x.y", "a.reef.example TXT x"}));
  CHECK_FALSE(make({"a.reef.example TXT x", "a.reef.example CNAME x.y"}));
  CHECK_FALSE(make({"a.reef.example CNAME x.y", "a.reef.example CNAME y.z"}));
  CHECK(make({"a.reef.example CNAME x.y", "a.reef.example CNAME x.y"}));
  CHECK_FALSE(
      make({"a.reef.example TXT " + std::string(1500, 'x'), "a.reef.example TXT " + std::string(1500, 'y')}));
}
