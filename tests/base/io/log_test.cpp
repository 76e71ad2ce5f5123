#include "base/io/log.h"

#include <doctest/doctest.h>

using namespace reef;

TEST_CASE("a level is one of six words") {
  for (const char* name : {"trace", "debug", "info", "warn", "error", "off"}) CHECK(log::parse_level(name));
  CHECK(*log::parse_level("warn") == log::Level::warn);
  for (const char* wrong : {"", "Warn", "warning", "info ", "6"}) CHECK_FALSE(log::parse_level(wrong));
}

TEST_CASE("a line is written when its level is on, and costs nothing when it is off") {
  log::set_level(log::Level::warn);
  CHECK(log::is_on(log::Level::error));
  CHECK(log::is_on(log::Level::warn));
  CHECK_FALSE(log::is_on(log::Level::info));
  log::set_level(log::Level::off);
  CHECK_FALSE(log::is_on(log::Level::error));
  log::set_level(log::Level::info);
  CHECK(log::is_on(log::Level::info));
}
