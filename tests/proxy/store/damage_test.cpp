// Bytes on disk that changed behind the store's back are never served.
#include <fcntl.h>

#include <fstream>
#include <iterator>

#include "base/io/fd.h"
#include "tests/proxy/store/fixture.h"

namespace reef::proxy {
namespace {

using namespace test;

// Flips one byte of `file` at `offset`.
void flip(const fs::path& file, std::uint64_t offset) {
  const Fd fd(::open(file.c_str(), O_RDWR | O_CLOEXEC));
  REQUIRE(fd.is_open());
  unsigned char byte = 0;
  REQUIRE(::pread(fd.get(), &byte, 1, static_cast<off_t>(offset)) == 1);
  byte = static_cast<unsigned char>(byte ^ 0x20);
  REQUIRE(::pwrite(fd.get(), &byte, 1, static_cast<off_t>(offset)) == 1);
}

// Changes every occurrence of `text` in a file.
int flip_text(const fs::path& file, const std::string& text) {
  std::ifstream in(file, std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(in), {}};
  int count = 0;
  for (std::size_t at = content.find(text); at != std::string::npos; at = content.find(text, at + 1)) {
    flip(file, at + text.size() / 2);
    ++count;
  }
  return count;
}

fs::path only_object_file(const TempDir& dir) {
  for (const auto& file : fs::recursive_directory_iterator(dir.sub("store/objects"))) {
    if (file.is_regular_file()) return file.path();
  }
  return {};
}

const std::string kUrl = "http://example.com/damaged";

void check_damaged_and_gone(StoreBox& box) {
  CHECK(box.load(kUrl) == nullptr);
  box.flush();
  CHECK(box->stats().damaged == 1);
  CHECK(box.load(kUrl) == nullptr);
  CHECK_FALSE(box.may_have(kUrl));
  CHECK(box.load("http://example.com/other") != nullptr);
  // And it can be stored again.
  box.put(kUrl, pattern(1000, 3));
  box.flush();
  CHECK(box.load(kUrl) != nullptr);
}

TEST_CASE("a changed byte in a stored file is found at the first load after a restart") {
  for (const std::size_t size : {100'000u, 5'000'000u}) {
    for (const std::size_t offset : {std::size_t{0}, size / 2, size - 1}) {
      const TempDir dir;
      StoreBox box(options_in(dir));
      box.put(kUrl, pattern(size, 1));
      box.put("http://example.com/other", pattern(10, 1));
      box.close();
      flip(only_object_file(dir), offset);
      box.open();
      check_damaged_and_gone(box);
    }
  }
}

TEST_CASE("a stored file that was cut, emptied or lost is found") {
  const TempDir dir;
  StoreBox box(options_in(dir));
  box.put(kUrl, pattern(2'000'000, 1));
  box.put("http://example.com/other", pattern(10, 1));
  box.close();
  SUBCASE("cut") { fs::resize_file(only_object_file(dir), 1'999'999); }
  SUBCASE("emptied") { fs::resize_file(only_object_file(dir), 0); }
  SUBCASE("lost") { fs::remove(only_object_file(dir)); }
  box.open();
  check_damaged_and_gone(box);
}

TEST_CASE("a changed byte in a head or a small body is found") {
  const TempDir dir;
  StoreBox box(options_in(dir));
  Bytes body = pattern(1000, 1);
  const std::string mark = "a mark in the body";
  std::copy_n(as_bytes(mark).begin(), mark.size(), body.begin() + 500);
  box.put(kUrl, body);
  box.put("http://example.com/other", pattern(10, 1));
  box.close();
  SUBCASE("head") { CHECK(flip_text(dir.sub("store/small"), "X-Url: " + kUrl) > 0); }
  SUBCASE("body") { CHECK(flip_text(dir.sub("store/small"), mark) > 0); }
  box.open();
  check_damaged_and_gone(box);
}

TEST_CASE("an index that cannot be read costs what was stored, not the start") {
  const TempDir dir;
  StoreBox box(options_in(dir));
  box.put(kUrl, pattern(100'000, 1));
  box.close();
  std::ofstream(dir.sub("store/index/data.mdb"), std::ios::binary) << std::string(50'000, 'x');
  box.open();
  CHECK(box.load(kUrl) == nullptr);
  CHECK(box.wait_for([&] { return disk_usage(dir.sub("store/objects")) == 0; }));
  box.put(kUrl, pattern(1000, 2));
  box.reopen();
  CHECK(box.load(kUrl) != nullptr);
}

}  // namespace
}  // namespace reef::proxy
