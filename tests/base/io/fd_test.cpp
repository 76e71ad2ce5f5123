#include "base/io/fd.h"

#include <doctest/doctest.h>
#include <fcntl.h>

using namespace reef;

namespace {
bool is_open_in_kernel(int fd) { return ::fcntl(fd, F_GETFD) != -1; }
}  // namespace

TEST_CASE("a descriptor is closed by its last owner, once") {
  int raw = -1;
  {
    Fd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    raw = fd.get();
    REQUIRE(fd.is_open());
    Fd moved = std::move(fd);
    CHECK_FALSE(fd.is_open());  // NOLINT: a moved-from Fd is empty by contract
    CHECK(moved.get() == raw);
    CHECK(is_open_in_kernel(raw));
    Fd other(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const int second = other.get();
    other = std::move(moved);
    CHECK_FALSE(is_open_in_kernel(second));
    CHECK(is_open_in_kernel(raw));
  }
  CHECK_FALSE(is_open_in_kernel(raw));
}

TEST_CASE("a released descriptor is the caller's to close") {
  Fd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int raw = fd.release();
  CHECK_FALSE(fd.is_open());
  fd.reset();
  CHECK(is_open_in_kernel(raw));
  ::close(raw);
  CHECK_FALSE(Fd().is_open());
}
