// Queries whose answer waits a moment until it is known how near their client is. Belongs to one loop.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <span>
#include <vector>

#include "base/io/event_loop.h"
#include "base/time.h"
#include "dnsd/locality.h"
#include "dnsd/responder.h"

namespace reef::dnsd {

class Waiting {
 public:
  // Nobody waits longer than `longest`; no more than `most` wait at once. The loop is borrowed.
  Waiting(EventLoop& loop, Duration longest, std::size_t most)
      : loop_(loop), longest_(longest), most_(most), timer_(loop, [this] { on_time(); }) {}

  [[nodiscard]] bool has_room() const { return longest_ > Duration::zero() && waiting_.size() < most_; }

  // Only where has_room(). `resume` is called once: when a verdict about each of `wanted` has come, or the
  // time is over. Not from within this call. Dropped by destruction.
  void hold(std::span<const Wanted> wanted, std::function<void()> resume);

  // A verdict about that network is in the table now.
  void on_verdict(const Prefix& network);

 private:
  struct One {
    std::vector<Prefix> missing;
    TimePoint until;
    std::function<void()> resume;
  };
  void on_time();
  void resume(std::list<One> ready);
  void set_timer();

  EventLoop& loop_;
  const Duration longest_;
  const std::size_t most_;
  std::list<One> waiting_;  // in the order of `until`, since all wait equally long
  Timer timer_;
};

}  // namespace reef::dnsd
