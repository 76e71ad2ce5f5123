#include "dnsd/name.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/dnsd/messages.h"

using namespace reef;
using dnsd::Name;

namespace {
std::optional<Name> read(const dnsd::test::Raw& raw) {
  ByteReader reader(std::as_bytes(std::span(raw)));
  return Name::read(reader);
}
}  // namespace

TEST_CASE("a name is parsed from text with or without its trailing dot") {
  CHECK(Name::parse("www.Example.com")->text() == "www.Example.com.");
  CHECK(Name::parse("www.example.com.")->text() == "www.example.com.");
  CHECK(Name::parse(".")->text() == ".");
  CHECK(Name::parse("a")->size() == 3);
}

TEST_CASE("text that is no host name is refused") {
  for (const char* text : {"", "a..b", ".a", "a b", "a/b", "ä.com"}) CHECK_FALSE(Name::parse(text));
  CHECK(Name::parse(std::string(63, 'a')));
  CHECK_FALSE(Name::parse(std::string(64, 'a')));
  std::string longest = std::string(63, 'a') + "." + std::string(63, 'b') + "." + std::string(63, 'c') + ".";
  CHECK(Name::parse(longest + std::string(61, 'd')));  // 255 bytes on the wire
  CHECK_FALSE(Name::parse(longest + std::string(62, 'd')));
}

TEST_CASE("names are compared without regard to the case of ASCII letters (RFC 4343)") {
  const Name a = *Name::parse("wWw.eXaMpLe"), b = *Name::parse("www.example");
  CHECK(a.equals(b));
  CHECK(a.is_under(b));
  CHECK_FALSE(a.equals(*Name::parse("www.examplf")));
  // '@' and '`' differ from letters only in the case bit, and are not letters.
  CHECK_FALSE(read({1, '@', 0})->equals(*read({1, '`', 0})));
}

TEST_CASE("of any two bytes only a letter's two cases are the same, wherever they stand") {
  const auto name_of = [](int byte) {
    std::vector<std::byte> wire(22, static_cast<std::byte>(byte));  // longer than two words
    wire.front() = std::byte{20};
    wire.back() = std::byte{0};
    ByteReader reader(wire);
    return Name::read(reader).value();
  };
  std::vector<Name> names;
  for (int byte = 0; byte < 256; ++byte) names.push_back(name_of(byte));
  const auto lower = [](int byte) { return byte >= 'A' && byte <= 'Z' ? byte + 32 : byte; };
  int wrong = 0;
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const bool same = names[static_cast<std::size_t>(a)].equals(names[static_cast<std::size_t>(b)]);
      wrong += same != (lower(a) == lower(b)) ? 1 : 0;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("a name is under another only at a label boundary") {
  const Name zone = *Name::parse("reef.example");
  CHECK(Name::parse("reef.example")->is_under(zone));
  CHECK(Name::parse("x.REEF.example")->is_under(zone));
  CHECK(zone.is_under(Name()));
  CHECK_FALSE(Name::parse("xreef.example")->is_under(zone));
  CHECK_FALSE(Name::parse("example")->is_under(zone));
  // A label whose bytes look like the zone's wire form is still one label.
  dnsd::test::Raw tricky = {13, 4, 'r', 'e', 'e', 'f', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0};
  CHECK_FALSE(read(tricky)->is_under(zone));
}

TEST_CASE("a name on the wire has no pointers, no long labels, and at most 255 bytes") {
  CHECK(read({3, 'w', 'w', 'w', 0})->text() == "www.");
  CHECK(read({0})->size() == 1);
  CHECK_FALSE(read({}));
  CHECK_FALSE(read({3, 'w', 'w'}));
  CHECK_FALSE(read({3, 'w', 'w', 'w'}));
  CHECK_FALSE(read({0xc0, 0x0c}));
  CHECK_FALSE(read({1, 'a', 0xc0, 0x00}));
  CHECK_FALSE(read({0x40, 0}));
  CHECK_FALSE(read({0x80, 0}));
  dnsd::test::Raw many;
  for (int i = 0; i < 127; ++i) many.insert(many.end(), {1, 'a'});
  many.push_back(0);
  CHECK(many.size() == 255);
  CHECK(read(many)->size() == 255);
  many.insert(many.begin(), {1, 'a'});
  CHECK_FALSE(read(many));
}

TEST_CASE("bytes that are not printable are shown by number") {
  CHECK(read({4, 'a', '.', 0, 0xff, 0})->text() == "a\\046\\000\\255.");
}
