#include "proxy/http/range.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace reef::proxy::http;
using Kind = RangeRequest::Kind;

namespace {
std::vector<ByteRange> parts_of(std::string_view value, std::uint64_t size) {
  const RangeRequest request = parse_range(value, size);
  const auto parts = request.parts();
  return {parts.begin(), parts.end()};
}
}  // namespace

TEST_CASE("a range is first-last, first-, or the last n bytes, cut at the end (RFC 9110 §14.1.2)") {
  CHECK(parts_of("bytes=0-99", 1000) == std::vector<ByteRange>{{0, 99}});
  CHECK(parts_of("BYTES=900-", 1000) == std::vector<ByteRange>{{900, 999}});
  CHECK(parts_of("bytes=-100", 1000) == std::vector<ByteRange>{{900, 999}});
  CHECK(parts_of("bytes=-5000", 1000) == std::vector<ByteRange>{{0, 999}});
  CHECK(parts_of("bytes=990-99999999999999999999999999", 1000) == std::vector<ByteRange>{{990, 999}});
  CHECK(parts_of("bytes= 0-0, ,-1", 1000) == std::vector<ByteRange>{{0, 0}, {999, 999}});
}

TEST_CASE("a range with nothing behind it is unsatisfiable, also of an empty body (RFC 9110 §14.4)") {
  CHECK(parse_range("bytes=1000-", 1000).kind == Kind::unsatisfiable);
  CHECK(parse_range("bytes=-0", 1000).kind == Kind::unsatisfiable);
  CHECK(parse_range("bytes=0-", 0).kind == Kind::unsatisfiable);
  CHECK(parse_range("bytes=-1", 0).kind == Kind::unsatisfiable);
  CHECK(parts_of("bytes=1000-,0-0", 1000) == std::vector<ByteRange>{{0, 0}});
}

TEST_CASE("a malformed Range or another unit is ignored (RFC 9110 §14.2)") {
  for (const char* value :
       {"", "bytes", "bytes=", "bytes=,", "items=0-1", "bytes=1", "bytes=a-b", "bytes=5-3", "bytes=--1",
        "bytes=0-1,x", "bytes=0 -1", "bytes=-", "bytes 0-1", "bytes=0x1-2"}) {
    CAPTURE(value);
    CHECK(parse_range(value, 1000).kind == Kind::whole);
  }
}

TEST_CASE("ranges that overlap, or too many of them, get the whole (RFC 9110 §17.15)") {
  CHECK(parse_range("bytes=0-10,5-20", 1000).kind == Kind::whole);
  CHECK(parse_range("bytes=0-,0-", 1000).kind == Kind::whole);
  std::string many = "bytes=";
  for (std::size_t i = 0; i <= kRangesMax; ++i)
    many += std::to_string(2 * i) + "-" + std::to_string(2 * i) + ",";
  CHECK(parse_range(many, 1000).kind == Kind::whole);
}

TEST_CASE("Content-Range is written and read back (RFC 9110 §14.4)") {
  std::string text;
  append_content_range(text, {5, 9}, 1000);
  CHECK(text == "bytes 5-9/1000");
  const auto range = parse_content_range(text);
  REQUIRE(range.has_value());
  CHECK(range->range == ByteRange{5, 9});
  CHECK(range->complete_bytes == 1000);
  CHECK_FALSE(parse_content_range("bytes 5-9/*")->complete_bytes.has_value());
  for (const char* value :
       {"", "bytes */1000", "bytes 9-5/1000", "bytes 5-9/9", "bytes 5-9", "items 5-9/1000"}) {
    CHECK_FALSE(parse_content_range(value).has_value());
  }
  text.clear();
  append_unsatisfied_range(text, 1000);
  CHECK(text == "bytes */1000");
}

TEST_CASE("entity tags compare weakly and strongly (RFC 9110 §8.8.3.2)") {
  CHECK_FALSE(strong_match("W/\"1\"", "W/\"1\""));
  CHECK(weak_match("W/\"1\"", "W/\"1\""));
  CHECK_FALSE(weak_match("W/\"1\"", "W/\"2\""));
  CHECK(weak_match("W/\"1\"", "\"1\""));
  CHECK_FALSE(strong_match("W/\"1\"", "\"1\""));
  CHECK(strong_match("\"1\"", "\"1\""));
  CHECK_FALSE(weak_match("", ""));
}
