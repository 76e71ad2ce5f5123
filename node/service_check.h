// Connects to what a node says that it offers, and sees whether it is that node: its proxy is asked for its
// name (GET /.well-known/reef-node?NONCE, RFC 8615), its name server for the SOA of our zone.
//
// Belongs to one loop. Connections are closed after one answer of at most 4 KiB, or the time-out.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/io/event_loop.h"
#include "dnsd/name.h"
#include "dsht/contact.h"

namespace reef::node {

struct ServiceCheckOptions {
  std::string suffix;  // what the proxy is called by
  dnsd::Name zone;     // what the name server must be authoritative for
  Duration timeout =
      std::chrono::seconds(3);  // of the whole; the DNS query is sent again after a third of it
};

class ServiceCheck {
 public:
  ServiceCheck(EventLoop& loop, ServiceCheckOptions options);
  ~ServiceCheck();  // drops what is running, without calling back
  ServiceCheck(const ServiceCheck&) = delete;
  ServiceCheck& operator=(const ServiceCheck&) = delete;

  // Calls `done` once, later, with those of the services at the contact's ports (a port of 0: none) that
  // answered as they should.
  void check(const dsht::Contact& contact, std::function<void(dsht::Services)> done);

 private:
  class Visit;
  void end(std::uint64_t id);

  EventLoop& loop_;
  const ServiceCheckOptions options_;
  std::uint64_t last_id_ = 0;
  std::unordered_map<std::uint64_t, std::unique_ptr<Visit>> visits_;
};

}  // namespace reef::node
