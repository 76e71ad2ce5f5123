#include "base/io/disk_pool.h"

#include <doctest/doctest.h>

#include <atomic>
#include <future>
#include <thread>

using namespace reef;

TEST_CASE("work runs off the loop, and its answer comes back on it") {
  EventLoop loop;
  DiskPool pool(2, 16);
  const auto loop_thread = std::this_thread::get_id();
  std::thread::id work_thread, done_thread;
  REQUIRE(pool.submit([&] { work_thread = std::this_thread::get_id(); }, loop,
                      [&] {
                        done_thread = std::this_thread::get_id();
                        loop.stop();
                      }));
  loop.run();
  CHECK(work_thread != loop_thread);
  CHECK(done_thread == loop_thread);
}

TEST_CASE("a full queue refuses work and calls nothing; work without an answer is fine") {
  EventLoop loop;
  std::promise<void> go;
  std::promise<void> started;
  std::atomic<int> ran = 0;
  {
    DiskPool pool(1, 2);
    REQUIRE(pool.submit(
        [&] {
          started.set_value();
          go.get_future().wait();
        },
        loop, {}));
    started.get_future().wait();  // the queue is empty again: the only thread holds the job
    CHECK(pool.submit([&] { ++ran; }, loop, {}));
    CHECK(pool.submit([&] { ++ran; }, loop, {}));
    CHECK_FALSE(pool.submit([&] { FAIL("refused"); }, loop, [] { FAIL("refused"); }));
    go.set_value();
  }
  CHECK(ran == 2);  // what was queued ran before the pool ended
}

TEST_CASE("an answer arrives although the loop's mailbox is full, and no thread waits for room") {
  EventLoop loop(TimerPrecision::microseconds, 1);
  int answers = 0;
  REQUIRE(loop.post([] {}));  // full, and nobody turns the loop
  {
    DiskPool pool(2, 16);
    for (int i = 0; i < 8; ++i) REQUIRE(pool.submit([] {}, loop, [&] { ++answers; }));
  }  // ends: a pool that waited for room in the mailbox would hang here
  CHECK_FALSE(loop.post([] {}));
  loop.stop();
  loop.run();
  CHECK(answers == 8);
}
