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
    REQUIRE(batch->put(hash(1), entry(1, 10), as_bytes("head"), as_bytes("body")).has_value());
    REQUIRE(batch->commit().has_value());
    auto abandoned = box.index->begin();
    REQUIRE(abandoned->put(hash(2), entry(2, 10), as_bytes("head"), {}).has_value());
  }
  box.open();
  CHECK(box.replaced.empty());
  CHECK(box.index->secret() == secret);
  auto found = box.index->get(hash(1));
  REQUIRE((found.has_value() && found->has_value()));
  CHECK((*found)->entry == entry(1, 10));
  CHECK(as_text((*found)->head) == "head");
  CHECK(as_text((*found)->body) == "body");
  CHECK_FALSE(box.index->get(hash(2))->has_value());
}

TEST_CASE("eviction takes the least recently used of a class, and a use counts") {
  Box box;
  auto batch = box.index->begin();
  for (std::uint64_t i = 1; i <= 4; ++i) {
    REQUIRE(batch->put(hash(i), entry(i, static_cast<std::uint32_t>(100 - i), i == 4), as_bytes("h"), {})
                .has_value());
  }
  REQUIRE(batch->touch(hash(3), 200, 150).has_value());  // was the oldest without a file
  REQUIRE(batch->touch(hash(2), 300, 50).has_value());   // recorded lately enough: stays where it is
  auto first = batch->evict_oldest(Index::Class::inline_body);
  REQUIRE((first.has_value() && first->has_value()));
  CHECK((*first)->hash == hash(2));
  CHECK((*batch->evict_oldest(Index::Class::inline_body))->hash == hash(1));
  CHECK((*batch->evict_oldest(Index::Class::inline_body))->hash == hash(3));
  CHECK_FALSE(batch->evict_oldest(Index::Class::inline_body)->has_value());
  CHECK((*batch->evict_oldest(Index::Class::file_body))->hash == hash(4));
}

TEST_CASE("replacing and erasing say what was there, and leave nothing behind in the order of eviction") {
  Box box;
  auto batch = box.index->begin();
  CHECK_FALSE(batch->put(hash(1), entry(1, 10), as_bytes("h"), as_bytes("b"))->has_value());
  auto replaced = batch->put(hash(1), entry(2, 20, true), as_bytes("h"), {});
  REQUIRE((replaced.has_value() && replaced->has_value()));
  CHECK((**replaced).id.serial == 1);
  CHECK_FALSE(batch->evict_oldest(Index::Class::inline_body)->has_value());
  CHECK((**batch->erase(hash(1))).id.serial == 2);
  CHECK_FALSE(batch->erase(hash(1))->has_value());
  CHECK_FALSE(batch->evict_oldest(Index::Class::file_body)->has_value());
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
      REQUIRE(batch->put(hash(i), entry(i, 1), as_bytes("head"), pattern(3000, i)).has_value());
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
