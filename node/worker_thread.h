// One worker: a thread with its loop, on which a proxy worker and a name server live side by side.
//
// Made and wired by the control thread before run(); afterwards everything in it belongs to its own thread,
// and the control thread only posts.
#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "base/io/event_loop.h"
#include "dnsd/io/server.h"
#include "dsht/io/remote_index.h"
#include "proxy/io/worker.h"

namespace reef::node {

class WorkerThread {
 public:
  WorkerThread() = default;
  ~WorkerThread();
  WorkerThread(const WorkerThread&) = delete;
  WorkerThread& operator=(const WorkerThread&) = delete;

  // In the order of need: each uses what stands before it.
  EventLoop loop{TimerPrecision::milliseconds};
  std::unique_ptr<dsht::RemoteIndex> index;
  proxy::Worker* proxy = nullptr;  // the daemon's, since workers know each other
  std::unique_ptr<dnsd::Server> dns;

  void run();
  // Stops the loop and waits for the thread; the parts stay.
  void stop();

  // Runs `action(*this)` on the worker's thread; dropped with a warning when its mailbox is full.
  void tell(std::function<void(WorkerThread&)> action);

 private:
  std::thread thread_;
};

}  // namespace reef::node
