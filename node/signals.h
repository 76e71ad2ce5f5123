// Signals as events of the control loop.
#pragma once

#include <functional>
#include <vector>

#include "base/io/event_loop.h"

namespace reef::node {

class Signals {
 public:
  explicit Signals(EventLoop& loop) : loop_(loop) {}
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  // Calls `action` on the loop whenever `signal` arrives.
  void on(int signal, std::function<void()> action);

 private:
  struct Handler {
    std::function<void()> action;
    EventPtr event;
  };
  EventLoop& loop_;
  std::vector<std::unique_ptr<Handler>> handlers_;
};

}  // namespace reef::node
