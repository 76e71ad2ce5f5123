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

  std::array<Counter, 13> requests;  // answered, by MessageType
  Counter forged;                    // records whose signature does not fit
  Counter unproven;                  // contacts whose proof of id does not hold
  Counter signatures_checked;        // of records
  Counter signatures_exhausted;      // dropped: too many signatures were asked of us
  Counter values_old;                // records that an earlier one had overtaken
  Counter puts_turned_back;          // puts that came by while we were full and loaded
  Counter token_needed;              // writes that had no valid token
  Counter values_full, values_refused, redirected;
  Counter rpcs_sent, rpcs_answered, rpcs_retried, rpcs_failed;
  Counter contacts_added, contacts_dropped;
  std::array<Counter, 5> walks;           // ended, by WalkEnd
  std::array<Counter, kLevels> found_at;  // gets and announcements that found values, by level
  std::array<Counter, kLevels> cluster_changes;
  Counter replicated;  // handovers sent
  Counter hinted;      // contacts found under our hints
};

}  // namespace reef::dsht
