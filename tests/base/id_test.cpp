#include "base/id.h"

#include <doctest/doctest.h>

#include <unordered_set>

using namespace reef;

namespace {
NodeId id(std::string_view hex) { return *parse_id<NodeId>(hex); }
const std::string kZeros(40, '0');
}  // namespace

TEST_CASE("an id is 40 hex digits, of either case on the way in, lower on the way out") {
  const std::string text = "0123456789abcdef0123456789abcdef01234567";
  CHECK(to_string(id(text)) == text);
  CHECK(to_string(id("0123456789ABCDEF0123456789ABCDEF01234567")) == text);
  for (const std::string& wrong :
       {std::string(), std::string(39, '0'), std::string(41, '0'), std::string(39, '0') + "g",
        std::string(39, '0') + " ", std::string(39, '0') + std::string(1, '\0')}) {
    CAPTURE(wrong);
    const auto parsed = parse_id<NodeId>(wrong);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().message() == "an id is 40 hex digits, not '" + wrong + "'");
  }
}

TEST_CASE("bit 0 is the most significant bit of the first byte") {
  NodeId value;
  CHECK(value.is_zero());
  value.set_bit(0, true);
  value.set_bit(159, true);
  CHECK(to_string(value) == "8000000000000000000000000000000000000001");
  CHECK(value.bit(0));
  CHECK_FALSE(value.bit(1));
  CHECK(value.bit(159));
  value.set_bit(0, false);
  CHECK(to_string(value) == "0000000000000000000000000000000000000001");
}

TEST_CASE("distance is XOR, ordered as a number, and the same in both directions") {
  const NodeId a = id("00000000000000000000000000000000000000ff");
  const NodeId b = id("000000000000000000000000000000000000000f");
  CHECK(distance(a, a) == Distance{});
  CHECK(distance(a, b) == distance(b, a));
  CHECK(distance(a, b).bytes[19] == 0xf0);
  CHECK(distance(a, id(kZeros)) > distance(b, id(kZeros)));
  CHECK(distance(id("8000000000000000000000000000000000000000"), id(kZeros)) > distance(a, b));
  CHECK(distance(a, Key{}) == distance(a, id(kZeros)));
}

TEST_CASE("leading zeros are the length of the shared prefix") {
  CHECK(Distance{}.leading_zeros() == 160);
  CHECK(distance(id("8000000000000000000000000000000000000000"), NodeId{}).leading_zeros() == 0);
  CHECK(distance(id("0080000000000000000000000000000000000000"), NodeId{}).leading_zeros() == 8);
  CHECK(distance(id("0000000000000000000000000000000000000001"), NodeId{}).leading_zeros() == 159);
}

TEST_CASE("the same bits can be looked at under another name, and hash alike") {
  const NodeId node = id("0123456789abcdef0123456789abcdef01234567");
  CHECK(node.as<Key>().bytes == node.bytes);
  CHECK(std::hash<NodeId>{}(node) == std::hash<Key>{}(node.as<Key>()));
  std::unordered_set<NodeId> set = {node, node, NodeId{}};
  CHECK(set.size() == 2);
}
