// What a node counts. Written by the control loop, read by anyone.
#pragma once

#include <array>

#include "base/metrics.h"
#include "dsht/messages.h"

namespace reef::dsht {

struct NodeCounters {
  Counter datagrams_in, datagrams_out, bytes_in, bytes_out;
  // Datagrams that were dropped, by reason.
  std::array<Counter, 8> undecodable;  // by DecodeError
  Counter rate_limited;                // a request of a source that sent too many
  Counter own;                         // carries our own id
  Counter unexpected;                  // a reply that answers nothing we asked of that endpoint
  Counter after_leave;                 // a request that came when we had left
  Counter foreign_cluster;             // a request at a level whose cluster we do not share

  Counter unfollowed;  // contacts named to us that we do not follow: private ones named from outside

  std::array<Counter, 12> requests;  // answered, by MessageType
  Counter token_needed;              // writes that had no valid token
  Counter values_full, values_refused, redirected;
  Counter rpcs_sent, rpcs_answered, rpcs_retried, rpcs_failed;
  Counter contacts_added, contacts_dropped;
  std::array<Counter, 5> walks;  // ended, by WalkEnd
  Counter replicated;            // handovers sent
};

}  // namespace reef::dsht
