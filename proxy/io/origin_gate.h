// The way to origins, per worker: names become addresses, addresses are checked, and no origin gets more
// connections at once than it should. Remembers for a short while which origins and URLs failed, and which
// cannot be shared.
#pragma once

#include <deque>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/io/event_loop.h"
#include "proxy/io/address_rule.h"
#include "proxy/io/fill.h"
#include "proxy/io/resolver.h"

namespace reef::proxy {

class OriginGate {
 public:
  OriginGate(EventLoop& loop, const Options& options, AddressRule rule, std::size_t workers, FillHost& fills,
             Stats& stats);

  // Answers with fill.on_origin(), inside the call or later.
  void request(Fill& fill);
  void release(Fill& fill);
  // Which addresses may be connected to from now on.
  void set_rule(AddressRule rule) { rule_ = std::move(rule); }

  void remember_failure(const RequestInfo& request, bool whole_origin, int status, const std::string& why);
  void remember_unshared(const RequestInfo& request);
  [[nodiscard]] bool is_unshared(const UrlHash& hash) const;

 private:
  struct Origin {
    std::size_t active = 0;
    std::deque<FillId> waiting;
  };
  struct Failure {
    TimePoint until;
    int status;
    std::string why;
  };
  void admit(FillId id, const std::string& key);
  void release(const std::string& key);
  [[nodiscard]] const Failure* failure_of(const Fill& fill);
  [[nodiscard]] static std::string origin_key(const RequestInfo& request);

  EventLoop& loop_;
  const Options& options_;
  AddressRule rule_;
  const std::size_t connections_max_;  // this worker's share
  FillHost& fills_;
  Stats& stats_;
  Resolver resolver_;
  std::unordered_map<std::string, Origin> origins_;
  std::unordered_map<std::string, Failure> failed_origins_;
  std::unordered_map<UrlHash, Failure> failed_urls_;
  std::unordered_map<UrlHash, TimePoint> unshared_;
};

}  // namespace reef::proxy
