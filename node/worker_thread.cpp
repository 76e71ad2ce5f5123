#include "node/worker_thread.h"

#include "base/io/log.h"

namespace reef::node {

WorkerThread::~WorkerThread() { stop(); }

void WorkerThread::run() {
  thread_ = std::thread([this] { loop.run(); });
}

void WorkerThread::stop() {
  if (!thread_.joinable()) return;
  loop.stop();
  thread_.join();
}

void WorkerThread::tell(std::function<void(WorkerThread&)> action) {
  if (!loop.post([this, action = std::move(action)] { action(*this); })) {
    log::warn("node", "a worker is overloaded: its mailbox is full, a message was dropped");
  }
}

}  // namespace reef::node
