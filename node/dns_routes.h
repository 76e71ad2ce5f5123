// The name server on the admin listener: what a client would be answered and why, and records set at run
// time.
//
//   GET  /api/dns/explain?client=ADDRESS[&name=NAME][&type=TYPE][&subnet=PREFIX][&locate=1]
//   GET  /api/dns/records
//   POST /api/dns/set?name=NAME&type=TYPE&value=VALUE[&ttl=SECONDS]
//   POST /api/dns/remove?name=NAME[&type=TYPE[&value=VALUE]]
//
// Wrong parameters are answered 400 with {"error": what is wrong and what is allowed}.
#pragma once

#include <functional>
#include <memory>

#include "base/io/event_loop.h"
#include "dnsd/io/server.h"
#include "node/admin.h"
#include "node/guide.h"
#include "node/record_book.h"

namespace reef::node {

// All belong to the control loop and outlive the listener.
struct DnsRoutesParts {
  EventLoop& loop;
  const dnsd::Options& options;
  Guide& guide;
  RecordBook& records;
  std::function<std::shared_ptr<const dnsd::View>()> view;            // as the name servers have it
  std::function<std::shared_ptr<const dnsd::Records>()> all_records;  // likewise
  std::function<void(std::shared_ptr<const dnsd::Records>)> set_records;
};

void add_dns_routes(Admin& admin, DnsRoutesParts parts);

}  // namespace reef::node
