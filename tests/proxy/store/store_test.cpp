#include "proxy/store/store.h"

#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

#include "base/random.h"
#include "proxy/store/error.h"
#include "tests/proxy/store/fixture.h"

namespace reef::proxy {
namespace {

using namespace test;

const std::string kUrl = "http://example.com/a";

TEST_CASE("objects of every size are there after a restart, with all of their head") {
  const TempDir dir;
  StoreBox box(options_in(dir));
  const std::size_t sizes[] = {0, 1, 5000, 16'384, 16'385, 300'000, 1u << 20, (1u << 20) + 1, 3'000'000};
  for (const std::size_t size : sizes)
    box.put("http://e/" + std::to_string(size), pattern(size, size), size % 2 == 0);
  box.reopen();
  for (const std::size_t size : sizes) {
    CAPTURE(size);
    const std::string url = "http://e/" + std::to_string(size);
    CHECK(box.may_have(url));
    const auto object = box.load(url);
    REQUIRE(object != nullptr);
    CHECK(read_body(*object->body) == pattern(size, size));
    CHECK(object->body->progress().state == BodyState::complete);
    const ObjectHead expected = head_for(url);
    CHECK(object->head.url == url);
    CHECK(object->head.status == 200);
    CHECK(object->head.fields == expected.fields);
    CHECK(object->head.etag == expected.etag);
    CHECK(object->head.last_modified == expected.last_modified);
    CHECK(object->head.policy == expected.policy);
    CHECK(object->head.body_bytes == size);
    // Up to ram_object_bytes_max a hit is one write from one block; longer bodies hold no memory.
    CHECK((object->body->block().size() == size) == (size <= 1u << 20));
    CHECK((object->body->ram_bytes() == 0) == (size > 1u << 20 || size == 0));
  }
  CHECK(box->stats().load_hits == std::size(sizes));
  CHECK(box->stats().damaged == 0);
}

TEST_CASE("an object can be loaded as soon as it is finished, before it is on disk") {
  const TempDir dir;
  StoreBox box(options_in(dir));
  for (int i = 0; i < 50; ++i) {
    const std::string url = "http://e/" + std::to_string(i);
    box.put(url, pattern(2000, 1));
    CHECK(box.may_have(url));
    CHECK(box.load(url) != nullptr);
  }
}

TEST_CASE("a key that was never stored is absent; once the index is read the filter says so") {
  const TempDir dir;
  StoreBox box(options_in(dir));
  box.put(kUrl, pattern(10, 1));
  box.flush();
  CHECK(box.may_have(kUrl));
  CHECK_FALSE(box.may_have("http://example.com/other"));
  CHECK(box.load("http://example.com/other") == nullptr);
  box.reopen();
  box.flush();
  CHECK(box.may_have(kUrl));
  CHECK_FALSE(box.may_have("http://example.com/other"));
}

TEST_CASE("storing again under a URL replaces the object and removes its file") {
  const TempDir dir;
  StoreBox box(options_in(dir));
  box.put(kUrl, pattern(500'000, 1));
  box.flush();
  box.put(kUrl, pattern(400'000, 2));
  box.flush();
  CHECK(disk_usage(dir.sub("store/objects")) == 400'000);
  box.put(kUrl, pattern(100, 3));
  box.flush();
  CHECK(disk_usage(dir.sub("store/objects")) == 0);
  CHECK(box->stats().objects == 1);
  box.reopen();
  const auto object = box.load(kUrl);
  REQUIRE(object != nullptr);
  CHECK(read_body(*object->body) == pattern(100, 3));
}

TEST_CASE("a removed object is gone at once and after a restart") {
  const TempDir dir;
  StoreBox box(options_in(dir));
  for (const std::size_t size : {100u, 100'000u, 2'000'000u}) {
    box.put(kUrl, pattern(size, 1));
    if (size != 100) box.flush();
    CHECK(box.remove(kUrl));
    CHECK(box.load(kUrl) == nullptr);
    box.flush();
    CHECK_FALSE(box.may_have(kUrl));
    CHECK(box.load(kUrl) == nullptr);
    CHECK(disk_usage(dir.sub("store/objects")) == 0);
  }
  box.reopen();
  CHECK(box.load(kUrl) == nullptr);
}

TEST_CASE("a validated object keeps its body under its new head, on disk as well") {
  const TempDir dir;
  for (const std::size_t size : {100u, 2'000'000u}) {
    StoreBox box(options_in(dir));
    const auto object = box.put(kUrl, pattern(size, 1));
    box.flush();
    ObjectHead head = object->head;
    head.fields = "Cache-Control: max-age=9\r\n" + std::string(3000, 'x');
    head.policy.lifetime = std::chrono::seconds(9);
    box->update_head(box->hasher()(kUrl), with_head(*object, head));
    box.reopen();
    const auto loaded = box.load(kUrl);
    REQUIRE(loaded != nullptr);
    CHECK(loaded->head.fields == head.fields);
    CHECK(loaded->head.policy.lifetime == std::chrono::seconds(9));
    CHECK(read_body(*loaded->body) == pattern(size, 1));
  }
}

TEST_CASE("a head that belongs to an older body does not touch the newer object") {
  const TempDir dir;
  StoreBox box(options_in(dir));
  const auto old = box.put(kUrl, pattern(100, 1));
  box.put(kUrl, pattern(100, 2));
  ObjectHead head = old->head;
  head.fields = "Old: yes\r\n";
  SUBCASE("while the newer one waits to be written") {
    box->update_head(box->hasher()(kUrl), with_head(*old, head));
  }
  SUBCASE("when it is on disk") {
    box.flush();
    box->update_head(box->hasher()(kUrl), with_head(*old, head));
  }
  box.reopen();
  const auto loaded = box.load(kUrl);
  REQUIRE(loaded != nullptr);
  CHECK(read_body(*loaded->body) == pattern(100, 2));
  CHECK(loaded->head.fields == head_for(kUrl).fields);
}

TEST_CASE("an aborted fill leaves nothing in the directory") {
  const TempDir dir;
  StoreBox box(options_in(dir));
  {
    auto writer = box->begin(3'000'000);
    REQUIRE((*writer)->append(pattern(2'500'000, 1)).has_value());
    CHECK(box->stats().spool_bytes == 2'500'000);
  }
  CHECK(box.wait_for([&] { return disk_usage(dir.sub("store/spool")) == 0; }));
  CHECK(box->stats().spool_bytes == 0);
  box.flush();
  CHECK(box->stats().objects == 0);
}

TEST_CASE("an announced length over the object limit is refused at the start") {
  const TempDir dir;
  StoreOptions options = options_in(dir);
  options.object_bytes_max = 1000;
  StoreBox box(options);
  CHECK(box->begin(1000).has_value());
  auto refused = box->begin(1001);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == StoreError::too_large);
}

TEST_CASE("objects wait for company, and are written when they have waited, or are enough") {
  const TempDir dir;
  StoreOptions options = options_in(dir);
  options.write_delay = std::chrono::hours(1);
  SUBCASE("not before") {
    StoreBox box(options);
    box.flush();
    box.put("http://e/a", pattern(100, 1));
    CHECK(box->stats().queued == 1);
    CHECK(box.load("http://e/a") != nullptr);  // it is found all the same
    box->write_due();
    CHECK(box->stats().persisted == 0);
    box.flush();
    CHECK(box->stats().persisted == 1);
  }
  SUBCASE("a batch is full") {
    options.batch_objects_max = 3;
    StoreBox box(options);
    box.flush();
    for (const char* url : {"http://e/a", "http://e/b"}) box.put(url, pattern(100, 1));
    CHECK(box->stats().persisted == 0);
    box.put("http://e/c", pattern(100, 1));
    CHECK(box.wait_for([&] { return box->stats().persisted == 3; }));
  }
  SUBCASE("by their bytes") {
    options.batch_bytes_max = 10'000;
    StoreBox box(options);
    box.flush();
    box.put("http://e/a", pattern(12'000, 1));
    CHECK(box.wait_for([&] { return box->stats().persisted == 1; }));
  }
  SUBCASE("they have waited") {
    options.write_delay = std::chrono::milliseconds(20);
    StoreBox box(options);
    box.put("http://e/a", pattern(100, 1));
    CHECK(box.wait_for([&] {
      box->write_due();
      return box->stats().persisted == 1;
    }));
  }
  SUBCASE("what is removed goes at once, and takes with it what waits") {
    StoreBox box(options);
    box.flush();
    box.put("http://e/a", pattern(100, 1));
    box.put("http://e/b", pattern(100, 1));
    CHECK(box.remove("http://e/a"));
    CHECK(box.wait_for([&] { return box->stats().queued == 0 && box->stats().objects == 1; }));
    CHECK(box.load("http://e/a") == nullptr);
    CHECK(box.load("http://e/b") != nullptr);
  }
}

TEST_CASE("a disk without room takes what was asked for again, and nothing else of what is small") {
  const TempDir dir;
  StoreOptions options = options_in(dir);
  options.disk_bytes_max = 32u << 20;
  options.index_bytes_max = 2u << 20;
  options.admission = Admission::popular;
  StoreBox box(options);
  // While there is room all are written.
  std::uint64_t count = 0;
  for (; box->stats().persist_forgone == 0 && count < 10'000; ++count) {
    box.put("http://e/" + std::to_string(count), pattern(1000, count));
    if (count % 20 == 19) box.flush();
  }
  REQUIRE(box->stats().persist_forgone > 0);
  CHECK(box->stats().persisted >= 500);

  box.put("http://e/once", pattern(1000, 1));
  box.flush();
  CHECK_FALSE(box.may_have("http://e/once"));
  CHECK(box.load("http://e/once") == nullptr);

  box.put("http://e/once", pattern(1000, 2));  // asked for again, though it had been forgotten
  box.put("http://e/at-once", pattern(1000, 3))->body->note_reuse();
  box.put("http://e/large", pattern(1'200'000, 4));  // it is in a file already
  box.flush();
  for (const char* url : {"http://e/once", "http://e/at-once", "http://e/large"})
    CHECK(box.load(url) != nullptr);

  // What is forgone leaves nothing older behind.
  box.put("http://e/at-once", pattern(1000, 5));
  box.flush();
  CHECK(box.load("http://e/at-once") == nullptr);
}

TEST_CASE("the disk budget is obeyed, the least recently used go first") {
  const TempDir dir;
  StoreOptions options = options_in(dir);
  options.disk_bytes_max = 16u << 20;
  options.index_bytes_max = 6u << 20;
  options.use_granularity = std::chrono::seconds(0);
  StoreBox box(options);
  Random random(5);
  std::uint64_t worst = 0;
  for (int i = 0; i < 1500; ++i) {
    // Small, medium and large in turn: both budgets are exceeded several times over.
    const std::size_t size = i % 25 == 0 ? 1'500'000 : i % 5 == 0 ? 60'000 : random.below(16'000);
    box.put("http://e/" + std::to_string(i), pattern(size, static_cast<std::uint64_t>(i)));
    if (i % 20 == 19) {
      box.flush();
      worst = std::max(worst, disk_usage(dir.sub("store")));
    }
  }
  const StoreStats stats = box->stats();
  CAPTURE(worst);
  CAPTURE(stats.objects);
  CHECK(stats.evicted > 500);
  CHECK(worst <= options.disk_bytes_max + options.disk_bytes_max / 100);
  CHECK(stats.disk_bytes <= options.disk_bytes_max);
  CHECK(stats.disk_bytes > options.disk_bytes_max / 2);  // and it is used
  CHECK(box.load("http://e/0") == nullptr);
  CHECK(box.load("http://e/1499") != nullptr);
  CHECK(stats.persist_failed == 0);
  box.reopen();
  box.flush();
  CHECK(box->stats().objects == stats.objects);
}

TEST_CASE(
    "the object just written is the last to be evicted, also when all were written in the same second") {
  const TempDir dir;
  StoreOptions options = options_in(dir);
  options.disk_bytes_max = 4u << 20;
  options.index_bytes_max = 2u << 20;
  std::size_t size = 0, count = 0;
  SUBCASE("bodies in the index") { size = 8000, count = 250; }
  SUBCASE("bodies in files") { size = 100'000, count = 60; }
  StoreBox box(options);
  // In falling order of their keys: where nothing but the key tells two objects apart, the new one would go.
  std::vector<std::string> urls;
  for (std::size_t i = 0; i < count; ++i) urls.push_back("http://e/" + std::to_string(i));
  const auto key = [&box](const std::string& url) {
    const UrlHash hash = box->hasher()(url);
    return std::pair(hash.high, hash.low);
  };
  std::sort(urls.begin(), urls.end(), [&](const auto& a, const auto& b) { return key(a) > key(b); });
  const std::size_t half = count / 2;
  for (std::size_t i = 0; i < count; ++i) {
    if (i == half) box.reopen();  // the order goes on where it was
    box.put(urls[i], pattern(size, i));
    box.flush();
    CAPTURE(i);
    REQUIRE(box.load(urls[i]) != nullptr);
  }
  CHECK(box->stats().evicted > 0);
  // What is left is what was written last, without a gap.
  const std::size_t left = static_cast<std::size_t>(box->stats().objects);
  REQUIRE(left < count);
  for (std::size_t i = 0; i < count; ++i) {
    CAPTURE(i);
    CHECK((box.load(urls[i]) != nullptr) == (i >= count - left));
  }
}

TEST_CASE("an object used through the RAM tier stays when others are evicted") {
  const TempDir dir;
  StoreOptions options = options_in(dir);
  options.disk_bytes_max = 8u << 20;
  options.use_granularity = std::chrono::seconds(1);
  StoreBox box(options);
  box.put("http://e/kept", pattern(1'500'000, 1));
  box.put("http://e/other", pattern(1'500'000, 2));
  box.flush();
  ::sleep(2);  // last uses are recorded in whole seconds
  box->touch(box->hasher()("http://e/kept"));
  box.put("http://e/x", pattern(10, 0));
  box.flush();
  for (std::uint64_t i = 0; i < 4; ++i) box.put("http://e/" + std::to_string(i), pattern(1'500'000, i));
  box.flush();
  CHECK(box.load("http://e/kept") != nullptr);
  CHECK(box.load("http://e/other") == nullptr);
}

TEST_CASE("a directory has one process at a time; the error says which directory") {
  const TempDir dir;
  StoreBox box(options_in(dir));
  auto second = Store::open(options_in(dir), box.pool(), box.loop());
  REQUIRE_FALSE(second.has_value());
  CHECK(second.error().code == StoreError::in_use);
  CHECK(second.error().message().find(dir.sub("store")) != std::string::npos);
  CHECK(second.error().message().find('\n') == std::string::npos);
  box.close();
  CHECK(Store::open(options_in(dir), box.pool(), box.loop()).has_value());
}

TEST_CASE("a directory that cannot be made is one clear error") {
  EventLoop loop;
  DiskPool pool(1, 16);
  auto store = Store::open({.directory = "/proc/no/such/place"}, pool, loop);
  REQUIRE_FALSE(store.has_value());
  CHECK(store.error().message().find("/proc/no/such/place") != std::string::npos);
}

TEST_CASE("without a directory there is no disk tier, and large bodies are in memory within their budget") {
  StoreOptions options;
  options.memory_spool_bytes_max = 4u << 20;
  StoreBox box(options);
  const auto object = box.put(kUrl, pattern(2'000'000, 1));
  CHECK(read_body(*object->body) == pattern(2'000'000, 1));
  CHECK_FALSE(box.may_have(kUrl));
  CHECK(box.load(kUrl) == nullptr);
  auto writer = box->begin(std::nullopt);
  CHECK_FALSE((*writer)->append(Bytes(3'000'000)).has_value());
}

TEST_CASE("objects and bodies outlive the store") {
  const TempDir dir;
  StoreBox box(options_in(dir));
  const auto kept = box.put(kUrl, pattern(2'000'000, 1));
  auto writer = box->begin(3'000'000);
  REQUIRE((*writer)->append(pattern(2'000'000, 2)).has_value());
  const auto unfinished = (*writer)->body();
  box.close();
  CHECK(read_body(*kept->body) == pattern(2'000'000, 1));
  CHECK(read_body(*unfinished) == pattern(2'000'000, 2));
}

TEST_CASE("a full queue drops the copy on disk, not the object, and never brings an older one back") {
  const TempDir dir;
  StoreOptions options = options_in(dir);
  options.queue_bytes_max = 500'000;
  StoreBox box(options);
  box.put(kUrl, pattern(1000, 1));
  box.flush();
  const auto object = box.put(kUrl, pattern(600'000, 2));
  CHECK(box->stats().persist_dropped == 1);
  CHECK(read_body(*object->body) == pattern(600'000, 2));
  CHECK(box.load(kUrl) == nullptr);
  box.reopen();
  CHECK(box.load(kUrl) == nullptr);
}

TEST_CASE("files without a record and left-over spool files are collected at the start") {
  const TempDir dir;
  StoreBox box(options_in(dir));
  box.put(kUrl, pattern(500'000, 1));
  box.close();
  const auto touch = [&](const std::string& name) {
    fs::create_directories(fs::path(dir.sub(name)).parent_path());
    std::FILE* file = std::fopen(dir.sub(name).c_str(), "wb");
    REQUIRE(file != nullptr);
    std::fputs("left over", file);
    std::fclose(file);
  };
  touch("store/objects/07/0123456789abcdef-0000000000000007");
  touch("store/objects/07/rubbish");
  touch("store/spool/0123456789abcdef/3");
  box.open();
  CHECK(box.wait_for([&] { return box->stats().orphans_removed >= 3; }));
  CHECK(box->stats().orphans_removed == 3);
  CHECK(disk_usage(dir.sub("store/objects")) == 500'000);
  CHECK(disk_usage(dir.sub("store/spool")) == 0);
  CHECK(box.load(kUrl) != nullptr);
}

}  // namespace
}  // namespace reef::proxy
