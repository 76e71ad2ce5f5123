// What a node says of itself on the admin listener, as JSON. Read on the control loop; the counters of the
// workers are atomic and may be read while they run.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dsht/io/udp_node.h"
#include "node/guide.h"
#include "node/worker_thread.h"
#include "probe/io/prober.h"
#include "proxy/store/store.h"

namespace reef::node {

struct StatusSource {
  std::string_view version;
  std::string_view suffix;
  bool ready = false;
  bool draining = false;
  TimePoint started_at{};
  TimePoint now{};
  const std::vector<std::string>& hints;  // the names of where we are
  const dsht::UdpNode& dsht;
  const proxy::Store& store;
  const Guide& guide;
  const probe::Prober& prober;
  const std::vector<std::unique_ptr<WorkerThread>>& workers;
};

// GET /api/status.
[[nodiscard]] std::string status_json(const StatusSource& source);
// GET /api/trace.
[[nodiscard]] std::string trace_json(const IpAddress& target, const probe::TraceResult& trace,
                                     std::span<const dsht::RouteName> hints);
// {"error": "..."}
[[nodiscard]] std::string error_json(std::string_view text);

}  // namespace reef::node
