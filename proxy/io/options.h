// Everything about the proxy that can be set, with defaults and units. node/ fills it from the configuration.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"
#include "proxy/io/fetcher.h"
#include "proxy/io/resolver.h"
#include "proxy/names/host.h"
#include "proxy/rules/options.h"
#include "proxy/store/ram_tier.h"

namespace reef::proxy {

// A site that chose this node: requests with its own name are passed to its origin, all methods, by site
// rules.
struct SiteOptions {
  std::string host;    // "www.small.org", lower case, no port
  std::string origin;  // "https://origin.small.org[:port]", without path; exempt from the port list
  std::optional<rules::Options> rules{};  // nullopt: Options::site
};

struct ClientLimits {
  std::size_t connections_max = 16384;           // of this process; each worker takes its share
  std::size_t connections_per_client_max = 256;  // per IPv4 address or IPv6 /64, on each worker
  std::vector<IpPrefix> exempt_clients;          // not counted per client; node/ puts loopback here
  std::size_t head_bytes_max = 32 << 10;         // request line and fields: 431 beyond
  std::size_t target_bytes_max = 8 << 10;        // of the request line: 414 beyond
  std::size_t fields_max = 100;                  // 431 beyond
  std::size_t buffer_bytes_max = 64 << 10;       // per connection: unread input, or a request body on its way
  std::uint64_t request_body_bytes_max = 64 << 20;  // site mode: 413 beyond
  std::chrono::seconds head_deadline{10};           // from the first byte of a request to the end of its head
  std::chrono::seconds idle_deadline{30};           // between requests
  std::chrono::seconds linger{2};                   // reading on after an answer that ends the connection
  // A client that takes fewer bytes a second over this time while there is more for it, or sends fewer of a
  // body that we wait for, is cut.
  std::uint32_t rate_min_bytes = 1024;
  std::chrono::seconds rate_window{30};
};

struct OriginLimits {
  std::vector<IpPrefix> allowed;  // origins on addresses that are not public (tests, one's own network)
  std::size_t connections_max =
      8;  // at once to one origin, of this process; each worker takes its share, at least 1
  std::size_t queue_max = 256;     // fetches that wait for one of them, per worker and origin: 503 beyond
  std::size_t fetches_max = 4096;  // of one worker, all origins and peers together: 503 beyond
  milliseconds connect_timeout{3000};
  milliseconds head_timeout{15000};
  std::uint32_t rate_min_bytes = 1;  // a body without this much a second over rate_window has stalled
  std::chrono::seconds rate_window{20};
  milliseconds total_timeout{6 * 3'600'000};
  // When all who wanted a shared answer have gone, the fetch goes on if at most so much is missing; of
  // unknown length, while no more has come.
  std::uint64_t finish_bytes_max = 16 << 20;
  int resumes_max = 8;                   // times that one body may be continued after a break
  std::chrono::seconds negative_ttl{5};  // how long a failed origin is not asked again
  std::size_t negative_max = 4096;       // origins and URLs remembered so, per worker
  std::chrono::seconds unshared_ttl{
      60};  // how long a URL whose answer could not be shared is fetched by everyone alone
};

struct PeerOptions {
  bool cooperate = true;         // false: neither index nor peers; the node is a cache by itself
  std::string network = "reef";  // a peer of another network is not answered as a peer (a token)
  Endpoint advertise;  // where peers reach this proxy: the pointer that is published; port 0: none is
  std::vector<IpPrefix> allowed;           // peers on addresses that are not public
  std::chrono::seconds announce_ttl{20};   // of the provisional pointer; renewed at half of it
  std::chrono::seconds pointer_ttl{3600};  // of the pointer to a complete object, or its remaining freshness
  std::size_t renewals_max = 65536;        // pointers that one worker keeps alive
  milliseconds index_budget{300};          // of one announcement, until Worker::set_index_budget()
  milliseconds index_budget_max{1500};     // of its repetition, where nobody had taken it within that
  milliseconds connect_timeout_min{200};   // 4 x RTT within these bounds
  milliseconds connect_timeout_max{1000};
  milliseconds hedge_delay_min{
      100};  // 3 x RTT within these bounds: silence after which the next peer is asked too
  milliseconds hedge_delay_max{500};
  milliseconds silence_max{1500};  // without a byte: a probe asks whether the peer still lives
  milliseconds probe_timeout{1000};
  milliseconds head_wait_max{20000};  // longest wait for the head of another node's running fill
  std::size_t sources_max = 8;        // peers considered for one fill
  // A body of at least `parts_min` bytes comes in parts from several sources at once; 1 source: never.
  std::uint64_t parts_min = 1 << 20;
  std::size_t part_sources_max = 4;
  // A part is a source's share of what is missing, within these bounds: smaller ones cost round trips, larger
  // ones keep readers waiting for those in front.
  std::uint64_t part_bytes_min = 256 << 10;
  std::uint64_t part_bytes_max = 2 << 20;
  std::chrono::seconds avoid_failed{30};  // a peer that failed is asked last for so long
  std::chrono::seconds avoid_lying{600};  // one that lied is not asked at all
  std::size_t faults_max = 1024;          // such peers remembered, per worker
};

struct Options {
  std::vector<Endpoint> listen;
  names::Options names;
  std::string node_name =
      "reef";  // a token: this node in Via, CDN-Loop and Cache-Status; unique in the network
  std::vector<SiteOptions> sites;
  rules::Options coralized = rules::Options::coralized();
  rules::Options site = rules::Options::site();  // of sites without rules of their own
  ClientLimits clients;
  OriginLimits origins;
  PeerOptions peers;
  ResolverOptions resolver;
  FetcherOptions fetcher;
  RamTierOptions ram;
  int loop_hops_max = 4;  // members of CDN-Loop in a request before it is refused (508)
};

}  // namespace reef::proxy
