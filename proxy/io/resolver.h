// Host names of origins to addresses: c-ares on a worker's loop, with a small cache.
//
// Whether an address may be connected to is not decided here but by the AddressRule of whoever connects, on
// every answer, so that a name which changes its address (DNS rebinding) gains nothing.
#pragma once

#include <ares.h>

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/io/event_loop.h"
#include "base/ip.h"
#include "base/result.h"
#include "proxy/io/socket_watch.h"

namespace reef::proxy {

struct ResolverOptions {
  std::vector<Endpoint> servers;            // empty: those of /etc/resolv.conf
  std::chrono::milliseconds timeout{1000};  // of the first try of each server
  int tries = 3;
  std::chrono::seconds ttl_min{
      5};  // answers are kept at least so long: a name with TTL 0 must not cost a query each
  std::chrono::seconds ttl_max{300};
  std::chrono::seconds negative_ttl{5};
  std::size_t names_max = 4096;  // cached names; queries in flight are bounded by the fills that ask
};

// Belongs to one loop.
class Resolver {
 public:
  using Addresses = std::vector<IpAddress>;  // never empty, the preferred first
  using Done = std::function<void(const Result<Addresses>&)>;

  Resolver(EventLoop& loop, ResolverOptions options);
  ~Resolver();  // drops what it still owes
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Calls `done` exactly once, possibly inside this call (literal, "localhost", cached), otherwise on the
  // loop. Errors: std::errc::host_unreachable (no such name or no address), timed_out, or io_error (the
  // servers failed).
  void resolve(const std::string& host, Done done);

 private:
  struct Query;
  struct Cached {
    Result<Addresses> answer;
    TimePoint expires;
  };
  void answered(Query& query, int status, ares_addrinfo* found);
  void remember(const std::string& host, Result<Addresses> answer, std::chrono::seconds ttl);
  void arm();

  EventLoop& loop_;
  const ResolverOptions options_;
  SocketWatch watch_;
  Timer timer_;
  ares_channel channel_ = nullptr;
  bool ending_ = false;
  std::unordered_map<std::string, Cached> cache_;
  std::unordered_map<std::string, std::unique_ptr<Query>> running_;
};

}  // namespace reef::proxy
