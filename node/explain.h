// What a client of the name server would be answered, and why: the answer of a responder of its own that
// knows what the name servers know.
#pragma once

#include <optional>
#include <string>

#include "base/ip.h"
#include "dnsd/io/server.h"
#include "node/guide.h"
#include "node/json.h"

namespace reef::node {

struct Question {
  IpAddress client;                // the resolver that asks
  std::optional<IpPrefix> subnet;  // of its client, as RFC 7871 tells it
  dnsd::Name name;
  std::uint16_t type = 1;
};

// {"client", "network", "verdict": {...} or null, "name", "type", "rcode", "records": [...], "addresses":
// [{"address", "why", "level", "rtt_ms", "weight"}]}. Which of several equally good addresses are drawn
// differs from answer to answer.
[[nodiscard]] Json explain(const Question& question, const dnsd::Options& options, Guide& guide,
                           const dnsd::View& view, const dnsd::Records& records, TimePoint now);

}  // namespace reef::node
