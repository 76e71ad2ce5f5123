#include "node/dns_text.h"

#include <doctest/doctest.h>

using namespace reef;
using namespace reef::node;

namespace {

Bytes bytes(std::initializer_list<int> values) {
  Bytes out;
  for (const int value : values) out.push_back(static_cast<std::byte>(value));
  return out;
}
void append(Bytes& to, const Bytes& more) { to.insert(to.end(), more.begin(), more.end()); }

// A response to "a.b. A" with these answer records.
Bytes response(std::uint8_t answers, const Bytes& records) {
  Bytes out = bytes({0, 1, 0x84, 0, 0, 1, 0, answers, 0, 0, 0, 0, 1, 'a', 1, 'b', 0, 0, 1, 0, 1});
  append(out, records);
  return out;
}

}  // namespace

TEST_CASE("records are shown with their whole names, whether they were compressed or not") {
  Bytes records = bytes({0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 4, 1, 'c', 0xc0, 14});
  append(records, bytes({1, 'c', 0xc0, 14, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4, 192, 0, 2, 7}));
  append(records, bytes({0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 1, 0, 6, 2, 'x', '"', 2, 'y', 'z'}));
  const auto read = read_dns_response(response(3, records));
  REQUIRE(read);
  CHECK(read->rcode == "NOERROR");
  CHECK(read->authoritative);
  REQUIRE(read->records.size() == 3);
  CHECK(read->records[0].name == "a.b.");
  CHECK(read->records[0].type == "CNAME");
  CHECK(read->records[0].ttl == 60);
  CHECK(read->records[0].data == "c.b.");
  CHECK(read->records[1].name == "c.b.");
  CHECK(read->records[1].ttl == 256);
  CHECK(read->records[1].data == "192.0.2.7");
  CHECK(read->records[1].section == "answer");
  CHECK(read->records[2].data == "\"x\\\"\" \"yz\"");
}

TEST_CASE("types that are not known are shown as RFC 3597 has it") {
  const auto read =
      read_dns_response(response(1, bytes({0xc0, 12, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 3, 1, 2, 0xab})));
  REQUIRE(read);
  CHECK(read->records[0].type == "TYPE65280");
  CHECK(read->records[0].data == "\\# 3 0102ab");
}

TEST_CASE("what is cut, no response, or has pointers that go in circles is not read") {
  const Bytes whole = response(1, bytes({0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4, 192, 0, 2, 7}));
  REQUIRE(read_dns_response(whole));
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK(!read_dns_response(ByteView(whole).first(size)));
  Bytes query = whole;
  query[2] = std::byte{0};
  CHECK(!read_dns_response(query));
  CHECK(!read_dns_response(response(1, bytes({0xc0, 21, 0, 1, 0, 1, 0, 0, 1, 0, 0, 0}))));
}

TEST_CASE("types are read by name in either case, or by number") {
  CHECK(parse_dns_type("aaaa") == 28);
  CHECK(parse_dns_type("TXT") == 16);
  CHECK(parse_dns_type("TYPE65") == 65);
  CHECK(!parse_dns_type("TYPE"));
  CHECK(!parse_dns_type("TYPE70000"));
  CHECK(!parse_dns_type("nothing"));
}
