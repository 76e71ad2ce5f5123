// How the workers of one process reach each other: by messages on each other's loops, never by shared state.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <utility>
#include <vector>

#include "base/io/event_loop.h"

namespace reef::proxy {

class Front;
class FillTable;

struct WorkerPort {
  EventLoop* loop = nullptr;
  Front* front = nullptr;
  FillTable* fills = nullptr;
};

// One worker's view of all. Belongs to its loop.
class WorkerLinks {
 public:
  void set(std::vector<WorkerPort> ports, std::size_t self) {
    ports_ = std::move(ports);
    self_ = self;
  }
  [[nodiscard]] std::size_t self() const { return self_; }
  [[nodiscard]] std::size_t count() const { return ports_.size(); }
  [[nodiscard]] WorkerPort& port(std::size_t worker) { return ports_[worker]; }

  // False: that worker's mailbox is full.
  template <class Action>
  [[nodiscard]] bool try_send(std::size_t worker, Action action) {
    WorkerPort& to = ports_[worker];
    if (worker == self_) {
      action(to);
      return true;
    }
    return to.loop->post([&to, action = std::move(action)] { action(to); });
  }
  // For what must arrive: kept, in order, while the mailbox is full.
  template <class Action>
  void send(std::size_t worker, Action action) {
    if (undelivered_.empty() && try_send(worker, action)) return;
    undelivered_.emplace_back(worker, std::move(action));
  }
  // Once a tick.
  void retry() {
    while (!undelivered_.empty()) {
      auto& [worker, action] = undelivered_.front();
      if (!try_send(worker, action)) return;
      undelivered_.pop_front();
    }
  }

 private:
  std::vector<WorkerPort> ports_;
  std::size_t self_ = 0;
  // Bounded by the exchanges of the other workers: each owes at most one head and one end.
  std::deque<std::pair<std::size_t, std::function<void(WorkerPort&)>>> undelivered_;
};

}  // namespace reef::proxy
