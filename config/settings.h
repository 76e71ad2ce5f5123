// Everything that a node can be told, with its defaults: plain values, checked by load(). Only node/ reads
// them and fills the Options of the parts. What each one means, its range and its names in file, flags and
// environment stand in the schema (schema.cpp); `reefd --help` and `reefd --print-example-config` print them.
//
// Values are immutable after load(); copy them freely, any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"

namespace reef::config {

// Where to find another node: a name or an address (without brackets), which node/ resolves.
struct HostPort {
  std::string host;
  std::uint16_t port = 0;
  auto operator<=>(const HostPort&) const = default;
};

// Ports first to last, both included.
struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  auto operator<=>(const PortRange&) const = default;
};

using Seconds = std::chrono::seconds;
using Milliseconds = std::chrono::milliseconds;

// How the responses of a site are cached, where RFC 9111 leaves a choice.
struct SiteRules {
  Seconds default_lifetime{0};  // 0: none without a hint of the author
  int heuristic_percent = 10;
  Seconds heuristic_lifetime_max{24 * 3600};
  std::string repeated_lifetime = "first";
  std::string set_cookie = "replay";
  bool newer_ends_stored = true;
  bool request_directives = true;
  std::optional<Seconds> stale_if_error{};  // nullopt: proxy.cache.stale_if_error
  bool stale_if_5xx = false;
  bool stale_beside_s_maxage = true;
  std::string range_on_miss = "whole";
  int variants_max = 64;
  int vary_names_max = 8;
  std::vector<std::string> targeted_fields = {"CDN-Cache-Control"};
  auto operator<=>(const SiteRules&) const = default;
};

// A site that the node answers for under its own name.
struct Site {
  std::string host;    // lower case, no trailing dot
  std::string scheme;  // "http" or "https"
  std::string origin_host;
  std::uint16_t origin_port = 0;
  SiteRules rules{};
  auto operator<=>(const Site&) const = default;
};

inline constexpr std::uint64_t kKiB = 1024, kMiB = kKiB * 1024, kGiB = kMiB * 1024, kTiB = kGiB * 1024;

struct NodeSettings {
  std::string data_dir;                // load() fills in the default directory
  std::optional<IpAddress> advertise;  // nullopt: the address that the index listens on
  int workers = 0;                     // 0: one per CPU
  int disk_threads = 2;
  int disk_queue_max = 1024;
  std::string log_level = "info";  // as log::parse_level() takes it
  Seconds drain_time{10};
};

struct NetworkSettings {
  std::string suffix = "reef.localhost";  // lower case, no dot at either end
  std::string zone = "reef.localhost";    // the suffix or a name above it
  std::string nodes_zone;                 // empty: the zone
  std::string key;                        // empty: the open network
  std::vector<HostPort> seeds;
};

struct CacheSettings {
  std::uint64_t ram_bytes = 256 * kMiB;  // of all workers together
  std::uint64_t ram_object_bytes_max = kMiB;
  std::string eviction = "s3-fifo";     // as proxy::parse_eviction_policy() takes it
  std::uint64_t disk_bytes = 3 * kGiB;  // 0: no disk tier
  std::uint64_t object_bytes_max = 50 * kMiB;
  std::uint64_t small_body_bytes_max = 16 * kKiB;
  std::uint64_t memory_spool_bytes_max = 64 * kMiB;
  std::string admission = "popular";  // or "all"
  Milliseconds write_delay{1000};
  Seconds lifetime_floor{300};
  Seconds lifetime_ceiling{12 * 3600};
  Seconds stale_if_error{24 * 3600};
};

struct ClientLimits {
  std::uint64_t header_bytes_max = 32 * kKiB;
  int header_fields_max = 100;
  std::uint64_t url_bytes_max = 8 * kKiB;
  std::uint64_t request_body_bytes_max = 64 * kMiB;
  Seconds header_timeout{10};
  Seconds idle_timeout{30};
  std::uint64_t transfer_bytes_per_second_min = kKiB;
  Seconds transfer_window{30};
  int connections_max = 16'384;
  int connections_per_client_max = 256;
};

struct OriginSettings {
  std::vector<IpPrefix> allow;
  std::vector<PortRange> ports = {{80, 80}, {443, 443}, {8000, 8100}, {8443, 8443}, {8888, 8888}};
  std::string default_scheme = "http";
  std::vector<Endpoint> resolvers;  // empty: those of /etc/resolv.conf
  int connections_per_host_max = 8;
  int queue_max = 256;
  Milliseconds connect_timeout{3'000};
  Milliseconds first_byte_timeout{15'000};
  Seconds stall_timeout{20};
  Milliseconds total_timeout{6 * 3'600'000};
  std::uint64_t finish_bytes_max = 16 * kMiB;
  Seconds negative_ttl{5};
};

struct PeerSettings {
  int sources_max = 8;
  int part_sources_max = 4;
  std::uint64_t parts_min = kMiB;
  std::uint64_t part_bytes_min = 256 * kKiB;
  std::uint64_t part_bytes_max = 2 * kMiB;
  Seconds avoid_failed{30};
  Seconds avoid_lying{600};
  Milliseconds hedge_delay_min{100};
  Milliseconds hedge_delay_max{500};
  Milliseconds silence_max{1'500};
};

struct ProxySettings {
  std::vector<Endpoint> listen = {{IpAddress::v4(127, 0, 0, 1), 8090}};
  bool cooperate = true;
  CacheSettings cache;
  ClientLimits limits;
  OriginSettings origin;
  PeerSettings peer;
};

struct DnsSettings {
  std::vector<Endpoint> listen = {{IpAddress::v4(127, 0, 0, 1), 5300}};
  Seconds address_ttl{60};
  Seconds authority_ttl{3600};
  Seconds negative_ttl{60};
  int addresses_max = 4;
  int name_servers = 4;
  bool cookies = true;
  bool rate_limit = true;
  int responses_per_second = 2000;
  int response_burst = 4000;
  int slip = 2;
  int tcp_connections_max = 512;
  Milliseconds tcp_idle_timeout{10'000};
  bool levels = false;
  Seconds near_address_ttl{30};
  Seconds cut_ttl{3600};
  Seconds cut_negative_ttl{15};
  int servers_max = 4;
  int https_port = 0;
  std::vector<std::string> records;  // zone file lines; dnsd reads them
  bool client_subnets = true;
  Milliseconds wait{0};
  bool locate = true;
  bool traces = true;
  int verdicts_max = 65'536;
  Seconds verdict_ttl{120};
  Seconds measured_ttl{3600};
  bool verify = true;
  int view_nodes_max = 32;
  int near_nodes_max = 64;
  Milliseconds ping_every{4'000};
  Milliseconds heard_within{9'000};
};

struct ProbeSettings {
  std::vector<IpPrefix> never;
  int per_network = 4;
  Seconds network_interval{3600};
  int packets_per_second = 200;
  int packet_burst = 400;
  int running_max = 64;
};

struct DshtSettings {
  std::vector<Endpoint> listen = {{IpAddress::v4(127, 0, 0, 1), 8091}};  // exactly one
  int levels = 3;
  Milliseconds threshold_1{60};
  Milliseconds threshold_2{20};
  int accept_percent = 80;
  int keep_percent = 50;
  int prefer_percent = 90;
  int split_percent = 70;
  int sample_size = 16;
  Milliseconds first_decision{5'000};
  Milliseconds decision_period{300'000};
  Seconds refuse_for{900};
  Seconds return_after{1800};
  Seconds serve_left{1800};
  bool hints = true;
  Milliseconds hint_period{1'800'000};
  int hint_traces = 3;
  int hint_hops = 5;
  Seconds hint_ttl{3600};
  int k = 8;
  int k_near = 64;  // at level 2
  int put_bits = 1;
  int get_bits = 0;
  int alpha = 4;
  int alpha_near = 6;
  int put_window = 1;
  int replicas = 4;
  int full_at = 4;
  int loaded_at = 12;
  int hot_at = 60;
  Seconds hot_memory{15};
  int reply_values = 4;
  Seconds announce_ttl{20};
  Seconds pointer_ttl{3600};
  Milliseconds budget_min{300};
  Milliseconds budget_max{1500};
  int values_per_key_max = 64;
  std::uint64_t values_bytes_max = 64 * kMiB;
  int requests_per_second = 500;
  int request_burst = 1000;
  int signatures_per_second = 2000;
  Seconds near_ping{40};
  Seconds far_ping{240};
  Milliseconds clock_slack{300'000};
};

struct AdminSettings {
  std::vector<Endpoint> listen = {{IpAddress::v4(127, 0, 0, 1), 8092}};
};

struct Settings {
  NodeSettings node;
  NetworkSettings network;
  ProxySettings proxy;
  DnsSettings dns;
  DshtSettings dsht;
  ProbeSettings probe;
  AdminSettings admin;
  std::vector<Site> sites;
};

}  // namespace reef::config
