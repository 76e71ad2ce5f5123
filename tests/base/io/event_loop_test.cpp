#include "base/io/event_loop.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>

using namespace reef;
using namespace std::chrono_literals;

TEST_CASE("tasks run on the loop in the order of posting, and stop() ends the loop after its turn") {
  EventLoop loop;
  std::vector<int> order;
  CHECK(loop.post([&] { order.push_back(1); }));
  CHECK(loop.post([&] {
    order.push_back(2);
    CHECK(loop.post([&] {
      order.push_back(4);
      loop.stop();
    }));
  }));
  CHECK(loop.post([&] { order.push_back(3); }));
  loop.run();
  CHECK(order == std::vector<int>{1, 2, 3, 4});
}

TEST_CASE("posts of other threads arrive, each thread's in its order") {
  EventLoop loop;
  constexpr int kEach = 2000;
  std::array<int, 2> next{};
  bool in_order = true;
  int arrived = 0;
  auto poster = [&](std::size_t who) {
    for (int i = 0; i < kEach; ++i) {
      while (!loop.post([&, who, i] {
        in_order = in_order && next[who]++ == i;
        if (++arrived == 2 * kEach) loop.stop();
      })) {
        std::this_thread::yield();
      }
    }
  };
  std::thread a(poster, 0), b(poster, 1);
  loop.run();
  a.join();
  b.join();
  CHECK(in_order);
  CHECK(arrived == 2 * kEach);
}

TEST_CASE("a full mailbox refuses a post, but takes an answer and stop()") {
  EventLoop loop(TimerPrecision::microseconds, 2);
  int ran = 0;
  CHECK(loop.post([&] { ++ran; }));
  CHECK(loop.post([&] { ++ran; }));
  CHECK_FALSE(loop.post([&] { ++ran; }));
  CHECK(loop.post_answer([&] { ++ran; }));
  loop.stop();
  loop.run();
  CHECK(ran == 3);
  CHECK(loop.post([] {}));  // there is room again
}

TEST_CASE("tasks that never ran are destroyed with the loop, and may post while they are") {
  struct PostsWhenDestroyed {
    EventLoop& loop;
    bool& refused;
    ~PostsWhenDestroyed() {
      refused = !loop.post([] {}) && !loop.post_answer([] {});
    }
  };
  bool refused = false;
  {
    EventLoop loop;
    auto guard = std::make_shared<PostsWhenDestroyed>(PostsWhenDestroyed{loop, refused});
    refused = false;
    CHECK(loop.post([guard] { FAIL("must not run"); }));
    guard.reset();
  }
  CHECK(refused);
}

TEST_CASE("a timer fires once, not before its time, in order of time") {
  EventLoop loop;
  std::vector<int> order;
  const TimePoint start = loop.now();
  Timer late(loop, [&] {
    order.push_back(2);
    CHECK(loop.now() - start >= 20ms);
    loop.stop();
  });
  Timer early(loop, [&] {
    order.push_back(1);
    CHECK(loop.now() - start >= 5ms);
  });
  CHECK_FALSE(early.is_pending());
  late.start(20ms);
  early.start(5ms);
  CHECK(early.is_pending());
  loop.run();
  CHECK(order == std::vector<int>{1, 2});
  CHECK_FALSE(early.is_pending());
}

TEST_CASE("start() moves a timer, stop() cancels it, and a delay below zero is now") {
  EventLoop loop;
  int moved = 0;
  Timer timer(loop, [&] { ++moved; });
  Timer cancelled(loop, [&] { FAIL("was stopped"); });
  Timer end(loop, [&] { loop.stop(); });
  timer.start(1h);
  timer.start(-1s);
  cancelled.start(1ms);
  cancelled.stop();
  end.start(10ms);
  loop.run();
  CHECK(moved == 1);
}

TEST_CASE("what has been posted can be run from within a callback, once and in order") {
  EventLoop loop;
  std::string order;
  Timer timer(loop, [&] {
    CHECK_FALSE(loop.has_posted());
    REQUIRE(loop.post([&] { order += 'a'; }));
    REQUIRE(loop.post([&] { order += 'b'; }));
    CHECK(loop.has_posted());
    loop.run_posted();
    CHECK_FALSE(loop.has_posted());
    order += 'c';
    loop.stop();
  });
  timer.start(Duration::zero());
  loop.run();
  CHECK(order == "abc");
}

TEST_CASE("a deferred call comes once, after the one that asked for it and before any timer") {
  EventLoop loop;
  std::string order;
  Timer timer(loop, [&] {
    order += 't';
    loop.stop();
  });
  std::optional<Deferred> deferred;
  deferred.emplace(loop, [&] {
    order += 'd';
    deferred.reset();
  });
  Timer asks(loop, [&] {
    deferred->start();
    deferred->start();
    timer.start(Duration::zero());
    order += 'a';
  });
  asks.start(Duration::zero());
  loop.run();
  CHECK(order == "adt");
  CHECK_FALSE(deferred);
}

TEST_CASE("a timer's callback may start it again or destroy it") {
  EventLoop loop;
  int ticks = 0;
  Timer again(loop, [&] {
    if (++ticks < 3) again.start(1ms);
  });
  std::optional<Timer> once;
  once.emplace(loop, [&] { once.reset(); });
  Timer end(loop, [&] { loop.stop(); });
  again.start(1ms);
  once->start(1ms);
  end.start(20ms);
  loop.run();
  CHECK(ticks == 3);
  CHECK_FALSE(once);
}

TEST_CASE(
    "a descriptor event fires while the descriptor is ready, until destroyed, also by its own callback") {
  EventLoop loop;
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
  const Fd near_end(ends[0]), far_end(ends[1]);
  int calls = 0;
  std::unique_ptr<FdEvent> event;
  event = std::make_unique<FdEvent>(loop, near_end.get(), EV_READ, [&](short what) {
    CHECK((what & EV_READ) != 0);
    if (++calls == 3) {  // nobody reads: level-triggered
      event.reset();
      loop.stop();
    }
  });
  REQUIRE(::write(far_end.get(), "x", 1) == 1);
  loop.run();
  CHECK(calls == 3);
}
