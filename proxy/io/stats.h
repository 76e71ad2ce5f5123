// What a worker counts. One writer (its loop), any reader; node/ sums over the workers and gives the names.
#pragma once

#include "base/metrics.h"

namespace reef::proxy {

struct Stats {
  // Clients.
  Counter connections, connections_open /* gauge */, connections_refused;
  Counter requests, peer_requests;
  Counter visits, visits_outside;  // of nodes that see whether we are here; from addresses that are public
  Counter bytes_out, bytes_in;
  Counter cut_slow;    // closed for reading or sending too slowly
  Counter cut_broken;  // answers that had to end before their end

  // How requests were answered. local: from this node's cache, or a fill that another request had started.
  Counter hits, stale_hits, collapsed, not_modified;
  Counter misses_peer, misses_origin, revalidated, passed /* not shared: other methods, not storable */;
  Counter errors_client /* 4xx of ours */, errors_server /* 5xx of ours */, overloaded;

  // Fills, peers and origins.
  Counter fills, fills_open /* gauge */, fills_failed, fills_resumed;
  Counter announces, announces_found /* with earlier ones */, pointers_put;
  Counter peer_fetches, peer_failures, peer_probes, hedges, peer_lies;
  Counter parts /* asked for */, part_fills /* bodies from two sources or more */,
      part_sources /* of those bodies, added up */;
  Counter origin_fetches, origin_failures, origin_not_modified, refused_addresses;
  Counter peer_bytes, origin_bytes;
};

}  // namespace reef::proxy
