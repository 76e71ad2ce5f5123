// One worker of the proxy: listeners, connections, memory tier, the fills of the keys it owns, origin and
// peer fetch, all on one loop.
//
// How node/ puts the proxy together, for N workers:
//
//   EventLoop loops[N];  DiskPool pool(2, 1024);  auto store = Store::open(store_options, pool,
//   control_loop); std::vector<std::unique_ptr<Worker>> workers; for i:
//   workers.push_back(std::make_unique<Worker>(WorkerParts{loops[i], options, *store, pool, index_i, key_of,
//   N})); Worker::link(workers);                         // once, before any loop runs for each:
//   workers[i]->listen()                 // binds; errors are the operator's run the loops, each on its
//   thread
//
// To end: on each worker's loop call drain(done); when all are done, stop the loops, join the threads,
// destroy the workers, then the indexes, then the store, then the pool, then the loops.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/io/disk_pool.h"
#include "base/io/event_loop.h"
#include "base/io/socket.h"
#include "dsht/index.h"
#include "proxy/io/options.h"
#include "proxy/io/stats.h"
#include "proxy/store/store.h"

namespace reef::proxy {

struct WorkerParts {
  EventLoop& loop;
  Options options;
  Store& store;                  // shared by all workers
  DiskPool& disk;                // likewise
  dsht::Index* index = nullptr;  // this worker's own, on this worker's loop; null: independent
  std::function<Key(std::string_view url)> key_of;  // may be empty without an index
  std::size_t workers = 1;                  // how many there are, for the shares of process-wide limits
  WallClock wall_clock = system_wall_time;  // for dates and ages; the same for all workers
};

// Belongs to its loop, except where said.
class Worker {
 public:
  explicit Worker(WorkerParts parts);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Tells the workers of each other. Once, before their loops run; they must all live as long as any loop
  // runs.
  static void link(std::span<const std::unique_ptr<Worker>> workers);

  // Binds the listeners of Options::listen (SO_REUSEPORT) and accepts. Before the loop runs or on it.
  [[nodiscard]] Result<> listen();
  // Where it listens (after port 0: where the kernel put it).
  [[nodiscard]] std::vector<Endpoint> listening() const;

  // Stops accepting and closes idle connections; answers that are on their way may end within `timeout`. Then
  // closes what is left and calls `done` on the loop.
  void drain(std::chrono::seconds timeout, std::function<void()> done);

  // The time that one announcement may take, as the node measures its network.
  void set_index_budget(Duration budget);
  // Where other nodes reach this proxy, once that is known or when it changes: Options::peers.advertise.
  void set_own_endpoint(const Endpoint& endpoint);
  // Forgets a URL everywhere in this process.
  void purge(const std::string& url);

  // Any thread.
  [[nodiscard]] const Stats& stats() const;
  [[nodiscard]] const RamTierStats& ram_stats() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace reef::proxy
