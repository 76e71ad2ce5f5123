// A disk that is really full: a tmpfs of a few MiB, which only root may mount.
#include <sys/mount.h>

#include <cstdio>

#include "tests/proxy/store/fixture.h"

namespace reef::proxy {
namespace {

using namespace test;

class SmallDisk {
 public:
  explicit SmallDisk(const std::string& path) : path_(path) {
    fs::create_directories(path);
    is_mounted_ = ::mount("none", path.c_str(), "tmpfs", 0, "size=6m") == 0;
  }
  ~SmallDisk() {
    if (is_mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  [[nodiscard]] bool is_mounted() const { return is_mounted_; }

 private:
  std::string path_;
  bool is_mounted_ = false;
};

TEST_CASE("a full disk turns the store into nothing but a warning, and it recovers when there is space") {
  const TempDir dir;
  const SmallDisk disk(dir.sub("disk"));
  if (!disk.is_mounted()) {
    MESSAGE("SKIPPED: mounting a tmpfs needs root; the behaviour on a full disk was not tested");
    return;
  }
  StoreOptions options;
  options.directory = dir.sub("disk/store");
  options.objects_expected = 1000;
  options.retry_after_failure = std::chrono::seconds(0);
  StoreBox box(options);
  box.put("http://e/first", pattern(1000, 1));
  box.put("http://e/renewed", pattern(1000, 2));
  box.flush();
  {
    std::FILE* ballast = std::fopen(dir.sub("disk/ballast").c_str(), "wb");
    REQUIRE(ballast != nullptr);
    const Bytes block(4096);
    while (std::fwrite(block.data(), 1, block.size(), ballast) == block.size() && std::fflush(ballast) == 0) {
    }
    std::fclose(ballast);
  }
  // Small, medium and spooled bodies: each object is whole in memory, whatever the disk says.
  for (std::uint64_t i = 0; i < 40; ++i) {
    const std::size_t size = i % 4 == 0 ? 2'000'000 : i % 4 == 1 ? 100'000 : 2000;
    const auto object = box.put("http://e/" + std::to_string(i), pattern(size, i), i % 2 == 0);
    REQUIRE(read_body(*object->body) == pattern(size, i));
    if (i % 8 == 7) box.flush();
  }
  box.put("http://e/renewed", pattern(3000, 3));
  box.flush();
  CHECK(box->stats().io_errors > 0);
  // What the disk has of a URL that got a newer response is not served any more; the rest is.
  const auto renewed = box.load("http://e/renewed");
  if (renewed) CHECK(read_body(*renewed->body) == pattern(3000, 3));
  const auto first = box.load("http://e/first");
  REQUIRE(first != nullptr);
  CHECK(read_body(*first->body) == pattern(1000, 1));
  // It also starts, stores and loads again with space.
  fs::remove(dir.sub("disk/ballast"));
  box.put("http://e/after", pattern(500'000, 4));
  box.flush();
  CHECK(box.load("http://e/after") != nullptr);
  box.reopen();
  CHECK(box.load("http://e/after") != nullptr);
  CHECK(box.load("http://e/first") != nullptr);
  const auto after_restart = box.load("http://e/renewed");
  if (after_restart) CHECK(read_body(*after_restart->body) == pattern(3000, 3));
  for (std::uint64_t i = 0; i < 40; ++i) {
    const auto object = box.load("http://e/" + std::to_string(i));
    const std::size_t size = i % 4 == 0 ? 2'000'000 : i % 4 == 1 ? 100'000 : 2000;
    if (object) REQUIRE(read_body(*object->body) == pattern(size, i));
  }
}

}  // namespace
}  // namespace reef::proxy
