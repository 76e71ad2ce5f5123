// Bodies of which only the latest bytes are there.
#include <doctest/doctest.h>

#include <string>

#include "fixture.h"

using namespace reef;         // NOLINT
using namespace reef::proxy;  // NOLINT

TEST_CASE("a window gives every byte once, whatever the length, and never more than it holds") {
  BodyWriter writer({.ram_object_bytes_max = 0, .object_bytes_max = 10}, nullptr, std::nullopt, nullptr);
  writer.make_window(1000);
  const std::shared_ptr<const Body> body = writer.body();
  CHECK(body->is_window());
  std::string sent, got;
  for (int i = 0; sent.size() < 50'000; ++i) {
    const std::string piece(static_cast<std::size_t>(i * 37 % 400), static_cast<char>('a' + i % 26));
    while (writer.room() < piece.size()) {
      const Piece part = body->piece(got.size(), 300);
      REQUIRE(part.size > 0);
      got += as_text(part.memory);
      body->release(got.size());
    }
    REQUIRE(writer.append(as_bytes(std::string_view(piece))).has_value());
    sent += piece;
  }
  CHECK(writer.finish({}).has_value());
  while (got.size() < sent.size()) {
    const Piece part = body->piece(got.size(), 300);
    REQUIRE(part.size > 0);
    got += as_text(part.memory);
  }
  CHECK((got == sent));
  CHECK(body->progress().state == BodyState::complete);
}

TEST_CASE("a window that is overrun breaks, and what was released is gone") {
  BodyWriter writer({.ram_object_bytes_max = 0, .object_bytes_max = 10}, nullptr, std::nullopt, nullptr);
  writer.make_window(100);
  const std::string text(100, 'x');
  REQUIRE(writer.append(as_bytes(std::string_view(text))).has_value());
  CHECK(writer.room() == 0);
  writer.body()->release(60);
  CHECK(writer.room() == 60);
  CHECK(writer.body()->piece(59, 10).size == 0);
  CHECK(writer.body()->piece(60, 100).size == 40);
  CHECK(!writer.append(as_bytes(std::string_view(text))).has_value());
  CHECK(writer.body()->progress().state == BodyState::broken);
}
