#include <atomic>
#include <thread>

#include "base/random.h"
#include "proxy/store/body_writer.h"
#include "proxy/store/error.h"
#include "proxy/store/spool.h"
#include "tests/proxy/store/fixture.h"

namespace reef::proxy {
namespace {

using namespace test;

constexpr BodyLimits kLimits{.ram_object_bytes_max = 64u << 10, .object_bytes_max = 1u << 20};

struct Maker {
  TempDir dir;
  std::shared_ptr<Spool> spool;
  int kept = 0;

  explicit Maker(Spool::Limits limits = {.disk_bytes_max = 64u << 20, .memory_bytes_max = 4u << 20})
      : spool(std::make_shared<Spool>(dir.sub(""), limits)) {}
  std::unique_ptr<BodyWriter> begin(std::optional<std::uint64_t> expected) {
    return std::make_unique<BodyWriter>(kLimits, spool, expected,
                                        [this](const std::shared_ptr<const Object>&) { ++kept; });
  }
  [[nodiscard]] std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(dir.sub("")), fs::directory_iterator()));
  }
};

void append_in_parts(BodyWriter& writer, ByteView bytes, std::uint64_t seed) {
  Random random(seed);
  while (!bytes.empty()) {
    const std::size_t count = std::min<std::size_t>(bytes.size(), 1 + random.below(9000));
    REQUIRE(writer.append(bytes.first(count)).has_value());
    bytes = bytes.subspan(count);
  }
}

TEST_CASE("a body of announced length is one block of memory, before and after it is complete") {
  Maker maker;
  auto writer = maker.begin(10'000);
  const Bytes bytes = pattern(10'000, 1);
  REQUIRE(writer->append(ByteView(bytes).first(4000)).has_value());
  const auto body = writer->body();
  CHECK(body->progress().bytes == 4000);
  CHECK(body->progress().state == BodyState::arriving);
  CHECK(body->block().empty());
  CHECK(body->piece(0, 100'000).size == 4000);
  CHECK(body->piece(4000, 1).size == 0);
  REQUIRE(writer->append(ByteView(bytes).subspan(4000)).has_value());
  auto object = writer->finish(head_for("http://a/"));
  REQUIRE(object.has_value());
  CHECK((*object)->body == body);
  CHECK((*object)->body->block().size() == 10'000);
  CHECK((*object)->head.body_bytes == 10'000);
  CHECK((*object)->body->digest() == sha256(bytes));
  CHECK(read_body(*body) == bytes);
  CHECK(maker.kept == 1);
}

TEST_CASE("a body without announced length grows in blocks and is compacted to one when complete") {
  Maker maker;
  for (const std::size_t size : {0u, 1u, 4095u, 4096u, 4097u, 12288u, 65536u}) {
    auto writer = maker.begin(std::nullopt);
    const Bytes bytes = pattern(size, size);
    append_in_parts(*writer, bytes, size);
    CHECK(read_body(*writer->body()) == bytes);
    auto object = writer->finish(head_for("http://a/"));
    REQUIRE(object.has_value());
    CHECK((*object)->body->block().size() == size);
    CHECK(read_body(*(*object)->body) == bytes);
    CHECK((*object)->body->ram_bytes() == size);
    CHECK(writer->body()->progress().state == BodyState::complete);
  }
  CHECK(maker.files() == 0);
}

TEST_CASE("a long body is in a file and holds no memory, whether its length was announced or not") {
  Maker maker;
  for (const bool announced : {true, false}) {
    const Bytes bytes = pattern(300'000, 7);
    auto writer = maker.begin(announced ? std::optional<std::uint64_t>(bytes.size()) : std::nullopt);
    append_in_parts(*writer, bytes, 3);
    CHECK(read_body(*writer->body()) == bytes);
    auto object = writer->finish(head_for("http://a/"));
    REQUIRE(object.has_value());
    CHECK((*object)->body->ram_bytes() == 0);
    CHECK((*object)->body->block().empty());
    CHECK((*object)->body->piece(0, 1000).fd >= 0);
    CHECK(read_body(*(*object)->body) == bytes);
    CHECK(maker.files() == 1);
    writer.reset();
    object->reset();
    CHECK(maker.files() == 0);
    CHECK(maker.spool->disk_bytes() == 0);
  }
}

TEST_CASE("a view into an arriving body stays valid while the body moves to a file") {
  Maker maker;
  auto writer = maker.begin(std::nullopt);
  const Bytes bytes = pattern(200'000, 9);
  REQUIRE(writer->append(ByteView(bytes).first(5000)).has_value());
  const auto body = writer->body();
  const Piece early = body->piece(0, 4096);
  REQUIRE(early.in_memory());
  append_in_parts(*writer, ByteView(bytes).subspan(5000), 1);
  CHECK(std::equal(early.memory.begin(), early.memory.end(), bytes.begin()));
  CHECK(read_body(*body) == bytes);
}

TEST_CASE("a body over the size limit, over or under its announced length is broken") {
  Maker maker;
  SUBCASE("over the limit") {
    auto writer = maker.begin(std::nullopt);
    const Bytes half(600'000);
    REQUIRE(writer->append(half).has_value());
    auto second = writer->append(half);
    REQUIRE_FALSE(second.has_value());
    CHECK(second.error().code == StoreError::too_large);
    CHECK(writer->body()->progress().state == BodyState::broken);
    CHECK(writer->append(half).error().code == StoreError::ended);
    writer.reset();
    CHECK(maker.files() == 0);
  }
  SUBCASE("longer than announced") {
    auto writer = maker.begin(10);
    auto result = writer->append(Bytes(11));
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().code == StoreError::longer_than_announced);
    CHECK(writer->body()->progress().state == BodyState::broken);
  }
  SUBCASE("shorter than announced") {
    auto writer = maker.begin(10);
    REQUIRE(writer->append(Bytes(9)).has_value());
    auto object = writer->finish(head_for("http://a/"));
    REQUIRE_FALSE(object.has_value());
    CHECK(object.error().code == StoreError::shorter_than_announced);
    CHECK(writer->body()->progress().state == BodyState::broken);
  }
  CHECK(maker.kept == 0);
}

TEST_CASE("a body that is not the one promised never becomes complete") {
  Maker maker;
  const Bytes bytes = pattern(100, 1);
  for (const auto& length : {std::optional<std::uint64_t>(100), std::optional<std::uint64_t>()}) {
    auto good = maker.begin(length);
    good->promise(sha256(bytes));
    REQUIRE(good->append(bytes).has_value());
    CHECK(good->finish(head_for("http://a/")).has_value());
  }
  CHECK(maker.kept == 2);
  auto unannounced = maker.begin(std::nullopt);
  unannounced->promise(sha256(pattern(100, 2)));
  REQUIRE(unannounced->append(bytes).has_value());
  auto object = unannounced->finish(head_for("http://a/"));
  REQUIRE_FALSE(object.has_value());
  CHECK(object.error().code == StoreError::digest_mismatch);
  CHECK(unannounced->body()->progress().state == BodyState::broken);
  CHECK(maker.kept == 2);
}

TEST_CASE("the last bytes of a body that is not the one promised are never published") {
  Maker maker;
  const Bytes bytes = pattern(100, 1);
  auto bad = maker.begin(100);
  bad->promise(sha256(pattern(100, 2)));
  REQUIRE(bad->append(ByteView(bytes).first(60)).has_value());
  const auto appended = bad->append(ByteView(bytes).subspan(60));
  REQUIRE_FALSE(appended.has_value());
  CHECK(appended.error().code == StoreError::digest_mismatch);
  CHECK(bad->body()->progress().bytes == 60);
  CHECK(bad->body()->progress().state == BodyState::broken);
  CHECK_FALSE(bad->finish(head_for("http://a/")).has_value());
  CHECK(maker.kept == 0);
}

TEST_CASE("bytes that come out of order are seen in order, and the digest is that of the whole") {
  // In one block of memory; in a file from the start; in a file after a beginning in memory.
  struct Case {
    std::size_t size;
    std::size_t first;
  };
  for (const Case& c : {Case{50'000, 1000}, Case{300'000, 0}, Case{300'000, 1000}, Case{300'000, 100'000}}) {
    CAPTURE(c.size);
    CAPTURE(c.first);
    Maker maker;
    const Bytes bytes = pattern(c.size, c.size);
    auto writer = maker.begin(c.size);
    writer->promise(sha256(bytes));
    const auto body = writer->body();
    REQUIRE(writer->append(ByteView(bytes).first(c.first)).has_value());
    const std::size_t middle = c.first + 20'000, late = c.size - 10'000;
    REQUIRE(writer->put(late, ByteView(bytes).subspan(late)).has_value());
    REQUIRE(writer->put(middle, ByteView(bytes).subspan(middle, late - middle)).has_value());
    CHECK(body->progress().bytes == c.first);
    CHECK(read_body(*body) == Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(c.first)));
    REQUIRE(writer->append(ByteView(bytes).subspan(c.first, middle - c.first)).has_value());
    CHECK(*writer->absorb(c.size, 15'000) == 15'000);
    CHECK(body->progress().bytes == middle + 15'000);
    CHECK(*writer->absorb(late, c.size) == late - middle - 15'000);
    CHECK(*writer->absorb(c.size, c.size) == c.size - late);
    auto object = writer->finish(head_for("http://a/"));
    REQUIRE(object.has_value());
    CHECK((*object)->body->digest() == sha256(bytes));
    CHECK(read_body(*(*object)->body) == bytes);
    CHECK(maker.kept == 1);
  }
}

TEST_CASE("no byte is taken behind the announced end") {
  Maker maker;
  for (const std::size_t size : {std::size_t{1000}, std::size_t{200'000}}) {
    auto writer = maker.begin(size);
    CHECK(writer->put(size - 10, Bytes(11)).error().code == StoreError::longer_than_announced);
    CHECK(writer->put(size + 1, Bytes(1)).error().code == StoreError::longer_than_announced);
    CHECK(writer->put(size - 10, Bytes(10)).has_value());
    CHECK(writer->body()->progress().state == BodyState::arriving);
  }
}

TEST_CASE("what came out of order before the disk refused is not lost, and what comes after waits its turn") {
  Maker maker({.disk_bytes_max = 400'000, .memory_bytes_max = 1u << 20});
  const Bytes bytes = pattern(900'000, 5);
  auto writer = maker.begin(bytes.size());
  REQUIRE(writer->put(300'000, ByteView(bytes).subspan(300'000, 200'000)).has_value());
  CHECK(writer->put(500'000, ByteView(bytes).subspan(500'000, 300'000)).error().code == StoreError::no_space);
  REQUIRE(writer->append(ByteView(bytes).first(300'000)).has_value());
  CHECK(writer->put(500'000, ByteView(bytes).subspan(500'000, 1)).error().code == StoreError::no_space);
  CHECK(*writer->absorb(500'000, 1'000'000) == 200'000);
  REQUIRE(writer->append(ByteView(bytes).subspan(500'000)).has_value());
  auto object = writer->finish(head_for("http://a/"));
  REQUIRE(object.has_value());
  CHECK(read_body(*(*object)->body) == bytes);
  CHECK((*object)->body->digest() == sha256(bytes));
  CHECK(maker.kept == 0);
}

TEST_CASE("destroying a writer breaks its body off and removes its file; what had arrived stays readable") {
  Maker maker;
  const Bytes bytes = pattern(200'000, 4);
  auto writer = maker.begin(500'000);
  REQUIRE(writer->append(bytes).has_value());
  auto body = writer->body();
  writer.reset();
  CHECK(body->progress().state == BodyState::broken);
  CHECK(read_body(*body) == bytes);
  body.reset();
  CHECK(maker.files() == 0);
}

TEST_CASE("where the disk refuses, a long body goes on in memory within a budget, then fails") {
  const Bytes bytes = pattern(900'000, 5);
  SUBCASE("from the first byte") {
    Maker maker({.disk_bytes_max = 0, .memory_bytes_max = 1u << 20});
    auto writer = maker.begin(bytes.size());
    append_in_parts(*writer, bytes, 2);
    auto object = writer->finish(head_for("http://a/"));
    REQUIRE(object.has_value());
    CHECK(read_body(*(*object)->body) == bytes);
    CHECK((*object)->body->ram_bytes() == bytes.size());
    CHECK(maker.kept == 0);  // not offered to the disk again
  }
  SUBCASE("in the middle") {
    Maker maker({.disk_bytes_max = 400'000, .memory_bytes_max = 1u << 20});
    for (const bool announced : {true, false}) {
      auto writer = maker.begin(announced ? std::optional<std::uint64_t>(bytes.size()) : std::nullopt);
      append_in_parts(*writer, bytes, 2);
      auto object = writer->finish(head_for("http://a/"));
      REQUIRE(object.has_value());
      CHECK(read_body(*(*object)->body) == bytes);
      CHECK((*object)->body->ram_bytes() > 400'000);
      CHECK(maker.kept == 0);
    }
    CHECK(maker.spool->memory_bytes() == 0);
  }
  SUBCASE("until the memory is used up too") {
    Maker maker({.disk_bytes_max = 0, .memory_bytes_max = 500'000});
    auto writer = maker.begin(bytes.size());
    REQUIRE(writer->append(ByteView(bytes).first(400'000)).has_value());
    auto result = writer->append(ByteView(bytes).subspan(400'000));
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().code == StoreError::no_space);
    CHECK(writer->body()->progress().state == BodyState::broken);
    writer.reset();
    CHECK(maker.spool->memory_bytes() == 0);
  }
}

TEST_CASE("readers on other threads see a prefix that only grows and is right") {
  Maker maker;
  // Memory only, memory to file, file from the start, file to memory.
  struct Case {
    std::size_t size;
    bool announced;
  };
  for (const Case& c : {Case{60'000, true}, Case{60'000, false}, Case{700'000, false}, Case{700'000, true}}) {
    const Bytes bytes = pattern(c.size, c.size);
    auto writer = maker.begin(c.announced ? std::optional<std::uint64_t>(c.size) : std::nullopt);
    std::atomic<int> wrong{0};
    std::vector<std::thread> readers;
    for (int r = 0; r < 2; ++r) {
      readers.emplace_back([body = writer->body(), &bytes, &wrong] {
        Bytes part(1u << 16);
        std::uint64_t at = 0;
        while (true) {
          const Progress seen = body->progress();
          if (seen.bytes < at) ++wrong;
          while (at < seen.bytes) {
            const Piece piece = body->piece(at, part.size());
            if (piece.size == 0) {
              ++wrong;
              return;
            }
            const std::byte* data = piece.memory.data();
            if (!piece.in_memory()) {
              if (::pread(piece.fd, part.data(), piece.size, static_cast<off_t>(piece.offset)) !=
                  static_cast<ssize_t>(piece.size)) {
                ++wrong;
              }
              data = part.data();
            }
            if (!std::equal(data, data + piece.size, bytes.begin() + static_cast<std::ptrdiff_t>(at)))
              ++wrong;
            at += piece.size;
          }
          if (seen.state != BodyState::arriving) {
            if (seen.state != BodyState::complete || at != bytes.size()) ++wrong;
            return;
          }
          std::this_thread::yield();
        }
      });
    }
    append_in_parts(*writer, bytes, c.size);
    CHECK(writer->finish(head_for("http://a/")).has_value());
    for (std::thread& reader : readers) reader.join();
    CHECK(wrong == 0);
  }
}

}  // namespace
}  // namespace reef::proxy
