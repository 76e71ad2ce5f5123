#include "base/result.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <ostream>

using namespace reef;

TEST_CASE("an error's message is its context and what its code means") {
  errno = ENOENT;
  const Error error = errno_error("reef.toml");
  CHECK(error.code == std::errc::no_such_file_or_directory);
  CHECK(error.message() == "reef.toml: No such file or directory");
  CHECK(Error{std::make_error_code(std::errc::timed_out), ""}.message() == "Connection timed out");
}

TEST_CASE("bad input says in its context all that there is to say") {
  CHECK(invalid("a port is 1 to 65535").message() == "a port is 1 to 65535");
  CHECK(invalid("").message() == "Invalid argument");
}

TEST_CASE("a result is a value or an error") {
  const auto half = [](int value) -> Result<int> {
    if (value % 2 != 0) return fail(invalid("odd"));
    return value / 2;
  };
  CHECK(*half(4) == 2);
  REQUIRE_FALSE(half(3));
  CHECK(half(3).error().message() == "odd");
}
