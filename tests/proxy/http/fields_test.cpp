#include "proxy/http/fields.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "proxy/http/builder.h"

using namespace reef::proxy::http;

namespace {

std::vector<std::string> members_of(FieldsView fields, std::string_view name) {
  std::vector<std::string> out;
  Members members = combined(fields, name);
  while (const auto member = members.next()) out.emplace_back(*member);
  return out;
}

}  // namespace

TEST_CASE("field names are found in any letter case (RFC 9110 §5.1)") {
  const Field fields[] = {{"hOsT", "a"}, {"Host", "b"}};
  CHECK(find(fields, "HOST") == "a");
  CHECK(count(fields, "host") == 2);
  CHECK_FALSE(find(fields, "Hos").has_value());
}

TEST_CASE(
    "a list goes on over lines, skips empty members, and is not split inside quotes (RFC 9110 §5.3, "
    "§5.6.1)") {
  const Field fields[] = {{"X", " a ,, b=\"c, d\\\", e\" ,"}, {"Y", "no"}, {"x", ""}, {"x", "f"}};
  CHECK(members_of(fields, "X") == std::vector<std::string>{"a", "b=\"c, d\\\", e\"", "f"});
  const Field unclosed[] = {{"X", "a, \"b, c"}, {"X", "d"}};
  CHECK(members_of(unclosed, "X") == std::vector<std::string>{"a", "\"b, c", "d"});
}

TEST_CASE("delta-seconds are digits; what is larger than 2^31 is 2^31 (RFC 9111 §1.2.2)") {
  CHECK(parse_delta_seconds("0") == 0);
  CHECK(parse_delta_seconds("0003600") == 3600);
  CHECK(parse_delta_seconds("2147483648") == kDeltaSecondsMax);
  CHECK(parse_delta_seconds("99999999999999999999999999999999") == kDeltaSecondsMax);
  for (const char* text : {"", "-1", "+1", "1.5", "1s", "'1'", " 1", "0x1"}) {
    CHECK_FALSE(parse_delta_seconds(text).has_value());
  }
}

TEST_CASE("a Content-Length that overflows is none (RFC 9110 §8.6)") {
  CHECK(parse_decimal("9223372036854775807") == 9223372036854775807u);
  CHECK_FALSE(parse_decimal("9223372036854775808").has_value());
  CHECK_FALSE(parse_decimal("99999999999999999999999").has_value());
}

TEST_CASE("a directive has a token or a quoted string as its argument (RFC 9111 §5.2)") {
  CHECK(parse_directive("max-age=5")->argument == "5");
  CHECK(parse_directive("max-age=\"5\"")->argument == "5");
  CHECK(parse_directive("max-age=\"5\"")->quoted);
  CHECK_FALSE(parse_directive("no-store")->argument.has_value());
  CHECK_FALSE(parse_directive("max-age =5").has_value());
  CHECK_FALSE(parse_directive("max-age= 5").has_value());
  CHECK_FALSE(parse_directive("=5").has_value());
}

TEST_CASE("a head is appended without allocation where there is room") {
  std::string out;
  out.reserve(512);
  const char* before = out.data();
  HeadBuilder head(out);
  head.status(200).field("Content-Length", std::uint64_t{12}).date("Date", 784111777).lines("X: y\r\n").end();
  CHECK(out ==
        "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nX: y\r\n\r\n");
  CHECK(out.data() == before);
  CHECK(head.ok());
}

TEST_CASE("no value can split the message that it is put into (RFC 9110 §5.5)") {
  constexpr std::string_view kValues[] = {"a\r\nEvil: 1", "a\nb", "a\rb", {"a\0b", 3}, "a\x7f"};
  for (const std::string_view value : kValues) {
    std::string out;
    HeadBuilder head(out);
    head.field("X", value);
    CHECK(out.empty());
    CHECK_FALSE(head.ok());
  }
  std::string out;
  HeadBuilder head(out);
  head.field("X\r\nY", "a").request("GET", "/a b").request("G T", "/");
  CHECK(out.empty());
  CHECK_FALSE(head.ok());
  head.status(200, "fine\r\nX: y");
  CHECK(out == "HTTP/1.1 200 OK\r\n");
}
