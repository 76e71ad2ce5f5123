// A few threads for work that may wait for a disk, so that no loop does.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "base/io/event_loop.h"

namespace reef {

class DiskPool {
 public:
  // At most `queue_max` jobs wait at once.
  DiskPool(std::size_t threads, std::size_t queue_max);
  // Runs what is queued, then ends the threads.
  ~DiskPool();
  DiskPool(const DiskPool&) = delete;
  DiskPool& operator=(const DiskPool&) = delete;

  // Runs `work` on a pool thread, then posts `done` (may be empty) to `loop`, which must outlive the pool.
  // `done` arrives however full the loop's mailbox is; it is dropped only when the loop is being destroyed.
  // False when the queue is full; neither is then called. Any thread.
  [[nodiscard]] bool submit(std::function<void()> work, EventLoop& loop, std::function<void()> done);

 private:
  struct Job {
    std::function<void()> work;
    EventLoop* loop;
    std::function<void()> done;
  };
  void serve();

  const std::size_t queue_max_;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Job> jobs_;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace reef
