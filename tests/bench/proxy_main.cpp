// The proxy alone, without index and network: the server "reef-proxy" of tests/bench/proxy.py.
//
//   reef_bench_proxy LISTEN DATA_DIR [WORKERS]      e.g. 127.0.0.1:8090 /tmp/store 1
//
// Origins on loopback are allowed. SIGTERM and SIGINT drain and end it.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "base/io/disk_pool.h"
#include "base/io/log.h"
#include "proxy/io/worker.h"

namespace {

using namespace reef;         // NOLINT: a program, not a header
using namespace reef::proxy;  // NOLINT

int run(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s LISTEN DATA_DIR [WORKERS]\n", argv[0]);
    return 2;
  }
  const auto listen = Endpoint::parse(argv[1]);
  const auto loopback = IpPrefix::parse("127.0.0.0/8");
  if (!listen || !loopback) {
    std::fprintf(stderr, "%s: not HOST:PORT\n", argv[1]);
    return 2;
  }
  if (std::getenv("REEF_DEBUG") != nullptr) log::set_level(log::Level::debug);
  const auto count = static_cast<std::size_t>(argc > 3 ? std::atoi(argv[3]) : 1);

  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  Options options;
  options.listen = {*listen};
  options.names.allow_localhost = true;
  options.names.allow_ipv4 = true;
  options.origins.allowed = {*loopback};
  options.clients.exempt_clients = {*loopback};

  std::vector<std::unique_ptr<EventLoop>> loops;
  EventLoop home;
  for (std::size_t i = 0; i < count; ++i)
    loops.push_back(std::make_unique<EventLoop>(TimerPrecision::milliseconds));
  DiskPool disk(2, 1024);
  StoreOptions store_options;
  store_options.directory = argv[2];
  auto store = Store::open(store_options, disk, home);
  if (!store) {
    std::fprintf(stderr, "%s\n", store.error().message().c_str());
    return 1;
  }
  std::vector<std::unique_ptr<Worker>> workers;
  for (auto& loop : loops) {
    workers.push_back(std::make_unique<Worker>(
        WorkerParts{*loop, options, **store, disk, nullptr, [](std::string_view) { return Key{}; }, count}));
  }
  Worker::link(workers);
  for (auto& worker : workers) {
    if (auto bound = worker->listen(); !bound) {
      std::fprintf(stderr, "%s\n", bound.error().message().c_str());
      return 1;
    }
  }
  std::vector<std::thread> threads;
  for (auto& loop : loops) threads.emplace_back([&loop] { loop->run(); });
  int signal = 0;
  sigwait(&ends, &signal);
  for (std::size_t i = 0; i < count; ++i) {
    static_cast<void>(loops[i]->post([&worker = *workers[i], &loop = *loops[i]] {
      worker.drain(std::chrono::seconds(2), [&loop] { loop.stop(); });
    }));
  }
  for (std::thread& thread : threads) thread.join();
  workers.clear();
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv); }
