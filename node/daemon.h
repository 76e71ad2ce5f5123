// The composition root: builds every part, hands each its parts, runs the loops, shuts down.
//
//   starting ──listeners up, store open──► joining ──index joined, or no seeds given──► ready
//       any state ──SIGTERM, SIGINT──► draining ──responses done, values handed over, or drain time over──►
//       ended
//
// One control loop (the thread that calls run()), settings.node.workers worker loops, one disk pool. Belongs
// to the control thread.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/io/disk_pool.h"
#include "base/io/event_loop.h"
#include "base/result.h"
#include "config/load.h"
#include "dsht/io/udp_node.h"
#include "node/admin.h"
#include "node/guide.h"
#include "node/hint_keeper.h"
#include "node/record_book.h"
#include "node/signals.h"
#include "node/worker_thread.h"
#include "probe/io/prober.h"
#include "proxy/store/store.h"

namespace reef::node {

// "0.1.0": the project's, from CMake.
[[nodiscard]] const char* version();

class Daemon {
 public:
  // `sources` is read again on SIGHUP.
  Daemon(config::Loaded loaded, config::Sources sources);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // Opens the data directory and the store, binds all listeners. One line when something cannot be had.
  [[nodiscard]] Result<> start();

  // Runs until told to end. The exit status: 0 after a drain, 1 when it was ended at once.
  int run();

 private:
  Result<> start_index();
  Result<> start_workers();
  Result<> start_guide();
  Result<> start_admin();
  void add_routes();

  void find_seeds();
  void refresh();  // once a second: the DNS view, the index budget, readiness, hints
  void refresh_hints();
  void publish_view();
  void turn_guide();
  void tell_records(std::shared_ptr<const dnsd::Records> records);
  [[nodiscard]] bool is_busy();
  void publish_own_address();
  void reload();
  void drain();
  void one_drained();
  void finish(int status);
  [[nodiscard]] bool is_ready() const;
  [[nodiscard]] std::vector<IpAddress> own_addresses() const;

  config::Settings settings_;
  const std::string config_file_;
  const config::Sources sources_;

  EventLoop loop_;
  std::unique_ptr<DiskPool> disk_;
  std::unique_ptr<dsht::UdpNode> dsht_;
  std::unique_ptr<probe::Prober> prober_;
  HintKeeper hints_;
  std::unique_ptr<Guide> guide_;
  std::unique_ptr<RecordBook> records_;
  std::shared_ptr<const dnsd::View> view_;            // as the workers have it
  std::shared_ptr<const dnsd::Records> all_records_;  // likewise
  std::unique_ptr<proxy::Store> store_;
  std::vector<std::unique_ptr<WorkerThread>> workers_;
  std::vector<std::unique_ptr<proxy::Worker>> proxies_;  // one on each worker's loop
  std::unique_ptr<Admin> admin_;
  Signals signals_;
  Timer refresh_timer_;
  Timer drain_timer_;

  TimePoint started_at_{};
  std::vector<Endpoint> proxy_endpoints_, dns_endpoints_;
  dnsd::Options dns_;  // of the name servers
  std::uint64_t overloaded_ = 0;
  TimePoint overloaded_at_ = TimePoint::min();
  std::optional<IpAddress> published_address_;
  int seconds_alone_ = 0;  // without a contact although there are seeds
  bool draining_ = false;
  std::size_t still_draining_ = 0;
  int exit_status_ = 0;
};

}  // namespace reef::node
