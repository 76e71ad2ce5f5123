// kill -9 at random moments: a child stores objects, removes some and is killed; the parent opens what is
// left.
#include <signal.h>
#include <sys/wait.h>

#include <chrono>
#include <map>

#include "base/random.h"
#include "tests/proxy/store/fixture.h"

namespace reef::proxy {
namespace {

using namespace test;

constexpr int kRounds = 40;

std::string url_of(std::uint64_t round, std::uint64_t number) {
  return "http://e/" + std::to_string(round) + "/" + std::to_string(number);
}
std::size_t size_of(std::uint64_t number) {
  if (number % 17 == 0) return 1'200'000;  // a file that was spooled
  if (number % 5 == 0) return 40'000;      // a file written from memory
  return 200 + number % 3000;              // in the ring
}

// Stores objects until it is killed; after each flush it tells through the pipe how many are on disk.
[[noreturn]] void store_for_ever(const StoreOptions& options, std::uint64_t round, int report) {
  EventLoop loop;
  DiskPool pool(2, 1024);
  auto store = Store::open(options, pool, loop);
  if (!store) ::_exit(3);
  for (std::uint64_t i = 0;; ++i) {
    const Bytes body = pattern(size_of(i), i + round);
    auto writer = (*store)->begin(i % 2 == 0 ? std::optional<std::uint64_t>(body.size()) : std::nullopt);
    if (!writer || !(*writer)->append(body) || !(*writer)->finish(head_for(url_of(round, i)))) ::_exit(4);
    if (i % 10 == 9) {
      if (!(*store)->flush(loop, [&loop] { loop.stop(); })) ::_exit(5);
      loop.run();
      const std::uint64_t stored = i + 1;
      if (::write(report, &stored, sizeof stored) != sizeof stored) ::_exit(6);
    }
  }
}

TEST_CASE("kill -9 at any moment loses at most what was being written; all else is there and right") {
  const TempDir dir;
  StoreOptions options = options_in(dir);
  bool has_room = true;
  SUBCASE("with room for all") { options.disk_bytes_max = 1ull << 30; }
  SUBCASE("while the ring comes round and round") {
    options.disk_bytes_max = 6u << 20;
    options.index_bytes_max = 1u << 20;
    has_room = false;
  }
  Random random(static_cast<std::uint64_t>(::getpid()));
  std::map<std::uint64_t, std::uint64_t> stored;  // round -> objects that were acknowledged
  for (std::uint64_t round = 0; round < kRounds; ++round) {
    int report[2];
    REQUIRE(::pipe(report) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) store_for_ever(options, round, report[1]);
    ::close(report[1]);
    // Every other round at any moment from its start on, the others once it stores.
    std::uint64_t acknowledged = 0;
    if (round % 2 == 1 && ::read(report[0], &acknowledged, sizeof acknowledged) == sizeof acknowledged) {
      stored[round] = acknowledged;
    }
    ::usleep(static_cast<useconds_t>(random.below(70'000)));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    REQUIRE(WIFSIGNALED(status));
    for (std::uint64_t count = 0; ::read(report[0], &count, sizeof count) == sizeof count;)
      stored[round] = count;
    ::close(report[0]);

    if (round % 8 != 7)
      continue;  // rounds pile up on what earlier kills left; look at all of it now and then
    StoreBox box(options);
    std::uint64_t found = 0, expected = 0;
    for (const auto& [of_round, count] : stored) {
      for (std::uint64_t i = 0; i < count + 10; ++i) {
        const auto object = box.load(url_of(of_round, i));
        // Beyond what was acknowledged it may be there or not, but never wrong.
        if (i < count) {
          ++expected;
          if (object) ++found;
        }
        if (object) REQUIRE(read_body(*object->body) == pattern(size_of(i), i + of_round));
      }
    }
    if (has_room) CHECK(found == expected);
    CHECK(found > 0);
    box.flush();
    CHECK(box->stats().damaged == 0);
    CHECK(box.wait_for([&] { return disk_usage(dir.sub("store/spool")) == 0; }));
  }
  std::uint64_t total = 0;
  for (const auto& [round, count] : stored) total += count;
  MESSAGE("objects stored over " << kRounds << " kills: " << total);
  CHECK(total > 100);
}

}  // namespace
}  // namespace reef::proxy
