#include "proxy/store/index.h"

#include <cstdio>

#include "tests/proxy/store/fixture.h"

namespace reef::proxy {
namespace {

using namespace test;

struct Box {
  TempDir dir;
  std::string replaced;
  std::unique_ptr<Index> index;
  explicit Box(std::size_t map_bytes = 8u << 20) { open(map_bytes); }
  void open(std::size_t map_bytes = 8u << 20) {
    index.reset();
    auto opened = Index::open(dir.sub(""), map_bytes, replaced);
    REQUIRE(opened.has_value());
    index = std::move(*opened);
  }
};

UrlHash hash(std::uint64_t number) { return {number * 0x9e3779b97f4a7c15ull, number}; }
IndexEntry entry(std::uint64_t number, std::uint32_t last_use, bool has_file = false) {
  return {.id = {1, number}, .file_bytes = has_file ? 5000u : 0u, .index_bytes = 300, .last_use = last_use};
}

TEST_CASE("a committed batch is there after reopening, an abandoned one is not; the secret stays") {
  Box box;
  const auto secret = box.index->secret();
  {
    auto batch = box.index->begin();
    REQUIRE(batch->put(hash(1), entry(1, 10, true), as_bytes("head")).has_value());
    REQUIRE(batch->commit().has_value());
    auto abandoned = box.index->begin();
    REQUIRE(abandoned->put(hash(2), entry(2, 10, true), as_bytes("head")).has_value());
  }
  box.open();
  CHECK(box.replaced.empty());
  CHECK(box.index->secret() == secret);
  auto found = box.index->get(hash(1));
  REQUIRE((found.has_value() && found->has_value()));
  CHECK((*found)->entry.id == entry(1, 10).id);
  CHECK((*found)->entry.index_bytes == 300);
  CHECK((*found)->entry.last_use == 10);
  CHECK(as_text((*found)->head) == "head");
  CHECK_FALSE(box.index->get(hash(2))->has_value());
}

TEST_CASE("eviction takes the least recently used of a class, and a use counts") {
  Box box;
  auto batch = box.index->begin();
  for (std::uint64_t i = 1; i <= 4; ++i) {
    REQUIRE(batch->put(hash(i), entry(i, 100, i < 4), i < 4 ? as_bytes("h") : ByteView{}).has_value());
  }
  REQUIRE(batch->touch(hash(1), 200, 50).has_value());   // was the oldest with a file
  REQUIRE(batch->touch(hash(2), 200, 150).has_value());  // recorded lately enough: stays where it is
  auto first = batch->evict_oldest(Index::Class::in_file);
  REQUIRE((first.has_value() && first->has_value()));
  CHECK((*first)->hash == hash(2));
  CHECK((*batch->evict_oldest(Index::Class::in_file))->hash == hash(3));
  CHECK((*batch->evict_oldest(Index::Class::in_file))->hash == hash(1));
  CHECK_FALSE(batch->evict_oldest(Index::Class::in_file)->has_value());
  CHECK((*batch->evict_oldest(Index::Class::in_ring))->hash == hash(4));
}

TEST_CASE("the order of eviction needs no clock, and goes on after reopening") {
  // The keys fall, and the clock stands still or goes back, while the objects are written.
  Box box;
  std::uint32_t now = 1000;
  SUBCASE("all in one second") {}
  SUBCASE("the clock is set back") { now = 10; }
  const auto is_file = [](std::uint64_t i) { return i % 2 == 0; };
  for (std::uint64_t i = 10; i >= 1; --i) {
    if (i == 5) box.open();
    auto batch = box.index->begin();
    const std::uint32_t time = i > 5 ? 1000 : now;
    REQUIRE(
        batch->put({i, i}, entry(i, time, is_file(i)), is_file(i) ? as_bytes("h") : ByteView{}).has_value());
    REQUIRE(batch->commit().has_value());
  }
  auto batch = box.index->begin();
  REQUIRE(batch->touch({10, 10}, now, 0).has_value());
  REQUIRE(batch->touch({9, 9}, now, 0).has_value());
  // A use moves what is in a file, and not what is in the ring.
  for (const std::uint64_t expected : {9, 7, 5, 3, 1}) {
    CHECK((*batch->evict_oldest(Index::Class::in_ring))->hash == UrlHash{expected, expected});
  }
  for (const std::uint64_t expected : {8, 6, 4, 2, 10}) {
    CHECK((*batch->evict_oldest(Index::Class::in_file))->hash == UrlHash{expected, expected});
  }
}

TEST_CASE("a use is recorded once in a while, and at once when the clock was set back") {
  IndexEntry recorded = entry(1, 1000);
  CHECK_FALSE(recorded.is_use_due(1599, 600));
  CHECK(recorded.is_use_due(1600, 600));
  CHECK(recorded.is_use_due(1000, 0));
  CHECK(recorded.is_use_due(999, 600));
}

TEST_CASE("replacing and erasing say what was there, and leave nothing behind in the order of eviction") {
  Box box;
  auto batch = box.index->begin();
  CHECK_FALSE(batch->put(hash(1), entry(1, 10), {})->has_value());
  auto replaced = batch->put(hash(1), entry(2, 20, true), as_bytes("h"));
  REQUIRE((replaced.has_value() && replaced->has_value()));
  CHECK((**replaced).id.serial == 1);
  CHECK_FALSE(batch->evict_oldest(Index::Class::in_ring)->has_value());
  CHECK((**batch->erase(hash(1))).id.serial == 2);
  CHECK_FALSE(batch->erase(hash(1))->has_value());
  CHECK_FALSE(batch->evict_oldest(Index::Class::in_file)->has_value());
}

TEST_CASE("an index that is no index, or of another format, is replaced and says so") {
  Box box;
  box.index.reset();
  fs::resize_file(box.dir.sub("data.mdb"), 0);
  {
    std::FILE* file = std::fopen(box.dir.sub("data.mdb").c_str(), "wb");
    for (int i = 0; i < 20'000; ++i) std::fputc(i * 7, file);
    std::fclose(file);
  }
  box.open();
  CHECK_FALSE(box.replaced.empty());
  CHECK(box.index->begin()->commit().has_value());
}

TEST_CASE("an index file that was cut short does not end the process") {
  Box box;
  {
    auto batch = box.index->begin();
    for (std::uint64_t i = 0; i < 200; ++i) {
      REQUIRE(batch->put(hash(i), entry(i, 1, true), pattern(3000, i)).has_value());
    }
    REQUIRE(batch->commit().has_value());
  }
  box.index.reset();
  fs::resize_file(box.dir.sub("data.mdb"), fs::file_size(box.dir.sub("data.mdb")) / 2);
  box.open();
  std::size_t read = 0;
  for (std::uint64_t i = 0; i < 200; ++i) {
    auto found = box.index->get(hash(i));
    if (found && *found) ++read;
  }
  CHECK(read < 200);
}

}  // namespace
}  // namespace reef::proxy
