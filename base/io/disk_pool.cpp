#include "base/io/disk_pool.h"

namespace reef {

DiskPool::DiskPool(std::size_t threads, std::size_t queue_max) : queue_max_(queue_max) {
  threads_.reserve(threads);
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { serve(); });
}

DiskPool::~DiskPool() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  ready_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool DiskPool::submit(std::function<void()> work, EventLoop& loop, std::function<void()> done) {
  {
    const std::lock_guard lock(mutex_);
    if (ending_ || jobs_.size() >= queue_max_) return false;
    jobs_.push_back({std::move(work), &loop, std::move(done)});
  }
  ready_.notify_one();
  return true;
}

void DiskPool::serve() {
  while (true) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      ready_.wait(lock, [this] { return ending_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    job.work();
    if (job.done) job.loop->post_answer(std::move(job.done));
  }
}

}  // namespace reef
