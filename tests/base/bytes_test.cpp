#include "base/bytes.h"

#include <doctest/doctest.h>

#include <array>

using namespace reef;

namespace {
Bytes bytes_of(std::initializer_list<int> values) {
  Bytes out;
  for (int value : values) out.push_back(static_cast<std::byte>(value));
  return out;
}
}  // namespace

TEST_CASE("integers are read and written in network order") {
  std::array<std::byte, 15> buffer{};
  ByteWriter writer(buffer);
  writer.u8(0x01);
  writer.u16(0x0203);
  writer.u32(0x04050607);
  writer.u64(0x08090a0b0c0d0e0f);
  REQUIRE(writer.ok());
  CHECK(writer.room() == 0);
  for (std::size_t i = 0; i < buffer.size(); ++i) CHECK(std::to_integer<std::size_t>(buffer[i]) == i + 1);

  ByteReader reader(writer.written());
  CHECK(reader.u8() == 0x01);
  CHECK(reader.u16() == 0x0203);
  CHECK(reader.u32() == 0x04050607);
  CHECK(reader.remaining() == 8);
  CHECK(reader.u64() == 0x08090a0b0c0d0e0f);
  CHECK(reader.at_end());
}

TEST_CASE("a read past the end yields zeros from then on, and says so once for all") {
  const Bytes input = bytes_of({1, 2, 3});
  ByteReader reader(input);
  CHECK(reader.u16() == 0x0102);
  CHECK(reader.u16() == 0);
  CHECK_FALSE(reader.ok());
  CHECK(reader.u8() == 0);  // although one byte was left
  CHECK(reader.bytes(1).empty());
  CHECK(reader.remaining() == 0);
  CHECK_FALSE(reader.at_end());
}

TEST_CASE("a length from the input that is larger than any input is an overrun, not a wrap-around") {
  const Bytes input = bytes_of({1, 2, 3});
  ByteReader reader(input);
  reader.u8();
  CHECK(reader.bytes(static_cast<std::size_t>(-1)).empty());
  CHECK_FALSE(reader.ok());
}

TEST_CASE("copy_to fills exactly, with zeros where there is not enough") {
  const Bytes input = bytes_of({1, 2, 3});
  ByteReader reader(input);
  std::array<std::byte, 2> two{};
  reader.copy_to(two);
  CHECK(two[1] == std::byte{2});
  two.fill(std::byte{9});
  reader.copy_to(two);
  CHECK(two[0] == std::byte{0});
  CHECK(two[1] == std::byte{0});
  CHECK_FALSE(reader.ok());
}

TEST_CASE("a write that does not fit leaves the buffer as it was, and nothing follows it") {
  std::array<std::byte, 3> buffer{};
  ByteWriter writer(buffer);
  writer.u16(0x0102);
  writer.u16(0x0304);
  CHECK_FALSE(writer.ok());
  writer.u8(5);
  CHECK(writer.size() == 2);
  CHECK(writer.room() == 0);
  CHECK(buffer[2] == std::byte{0});
}

TEST_CASE("an encoder can take back a record that did not fit, and go on") {
  std::array<std::byte, 4> buffer{};
  ByteWriter writer(buffer);
  writer.u16(0x0102);
  const std::size_t before = writer.size();
  writer.u32(0);
  REQUIRE_FALSE(writer.ok());
  writer.rewind(before);
  CHECK(writer.ok());
  writer.u16(0x0304);
  CHECK(writer.ok());
  CHECK(as_text(writer.written()) == "\x01\x02\x03\x04");
  writer.rewind(99);  // not a place that was written
  CHECK(writer.size() == 4);
}

TEST_CASE("text and bytes are two views of the same memory") {
  CHECK(as_text(as_bytes("reef")) == "reef");
  CHECK(as_bytes("").empty());
}
