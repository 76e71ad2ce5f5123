#include "node/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "dsht/keys.h"

namespace reef::node {
namespace {

using config::Settings;

bool allows_loopback(const Settings& settings) {
  const auto& allow = settings.proxy.origin.allow;
  return std::any_of(allow.begin(), allow.end(),
                     [](const IpPrefix& prefix) { return prefix.contains(IpAddress::v4(127, 0, 0, 1)); });
}

proxy::ClientLimits client_limits(const config::ClientLimits& from) {
  proxy::ClientLimits out;
  out.connections_max = static_cast<std::size_t>(from.connections_max);
  out.connections_per_client_max = static_cast<std::size_t>(from.connections_per_client_max);
  // Everybody behind a local reverse proxy, and every test, comes from there.
  out.exempt_clients = {IpPrefix::around(IpAddress::v4(127, 0, 0, 0), 8), *IpPrefix::parse("::1/128")};
  out.head_bytes_max = from.header_bytes_max;
  out.target_bytes_max = from.url_bytes_max;
  out.fields_max = static_cast<std::size_t>(from.header_fields_max);
  out.request_body_bytes_max = from.request_body_bytes_max;
  out.head_deadline = from.header_timeout;
  out.idle_deadline = from.idle_timeout;
  out.rate_min_bytes =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(from.transfer_bytes_per_second_min, UINT32_MAX));
  out.rate_window = from.transfer_window;
  return out;
}

proxy::OriginLimits origin_limits(const config::OriginSettings& from) {
  proxy::OriginLimits out;
  out.allowed = from.allow;
  out.connections_max = static_cast<std::size_t>(from.connections_per_host_max);
  out.queue_max = static_cast<std::size_t>(from.queue_max);
  out.connect_timeout = from.connect_timeout;
  out.head_timeout = from.first_byte_timeout;
  out.rate_window = from.stall_timeout;
  out.total_timeout = from.total_timeout;
  out.finish_bytes_max = from.finish_bytes_max;
  out.negative_ttl = from.negative_ttl;
  return out;
}

proxy::PeerOptions peer_options(const Settings& settings) {
  proxy::PeerOptions out;
  out.cooperate = settings.proxy.cooperate;
  out.network = fmt::format("{:016x}", dsht::network_id_of(as_bytes(settings.network.key)));
  out.allowed = settings.proxy.origin.allow;
  out.announce_ttl = settings.dsht.announce_ttl;
  out.pointer_ttl = settings.dsht.pointer_ttl;
  out.index_budget = settings.dsht.budget_min;
  out.index_budget_max = settings.dsht.budget_max;
  out.hedge_delay_min = settings.proxy.peer.hedge_delay_min;
  out.hedge_delay_max = settings.proxy.peer.hedge_delay_max;
  out.silence_max = settings.proxy.peer.silence_max;
  out.sources_max = static_cast<std::size_t>(settings.proxy.peer.sources_max);
  out.part_sources_max = static_cast<std::size_t>(settings.proxy.peer.part_sources_max);
  out.parts_min = settings.proxy.peer.parts_min;
  out.part_bytes_min = settings.proxy.peer.part_bytes_min;
  out.part_bytes_max = settings.proxy.peer.part_bytes_max;
  out.avoid_failed = settings.proxy.peer.avoid_failed;
  out.avoid_lying = settings.proxy.peer.avoid_lying;
  return out;
}

void fill(dsht::ClusterOptions& out, const config::DshtSettings& dsht) {
  out.threshold[1] = dsht.threshold_1;
  out.threshold[2] = dsht.threshold_2;
  out.accept_share = dsht.accept_percent / 100.0;
  out.keep_share = dsht.keep_percent / 100.0;
  out.prefer_share = dsht.prefer_percent / 100.0;
  out.split_share = dsht.split_percent / 100.0;
  out.refuse_for = dsht.refuse_for;
  out.return_after = dsht.return_after;
  out.sample_size = static_cast<std::size_t>(dsht.sample_size);
  out.sample_min = std::min(out.sample_min, out.sample_size);
  out.first_decision = dsht.first_decision;
  out.decision_period = dsht.decision_period;
  out.serve_left = dsht.serve_left;
}

void fill(dsht::NodeOptions& out, const config::DshtSettings& dsht) {
  fill(out.clusters, dsht);
  out.levels = static_cast<dsht::Level>(dsht.levels);
  out.table.bucket_size = {static_cast<std::size_t>(dsht.k), static_cast<std::size_t>(dsht.k),
                           static_cast<std::size_t>(dsht.k_near)};
  out.put_bits = dsht.put_bits;
  out.get_bits = dsht.get_bits;
  out.alpha[0] = dsht.alpha;
  out.alpha[2] = dsht.alpha_near;
  out.put_window = dsht.put_window;
  out.replicas[0] = static_cast<std::size_t>(dsht.replicas);
  out.storage.full_at = static_cast<std::size_t>(dsht.full_at);
  out.storage.values_per_key_max = static_cast<std::size_t>(dsht.values_per_key_max);
  out.storage.bytes_max = dsht.values_bytes_max / static_cast<std::size_t>(dsht.levels);
  out.load.per_window = static_cast<std::size_t>(dsht.loaded_at);
  out.hot_gets = static_cast<std::size_t>(dsht.hot_at);
  out.hot_memory = dsht.hot_memory;
  out.reply_values = static_cast<std::size_t>(dsht.reply_values);
  out.rate_limit.per_second = dsht.requests_per_second;
  out.rate_limit.burst = dsht.request_burst;
  out.signatures_per_second = dsht.signatures_per_second;
  out.near_ping = dsht.near_ping;
  out.far_ping = dsht.far_ping;
  out.hint_ttl = dsht.hint_ttl;
}

proxy::rules::Options rules_of(const config::SiteRules& site, const config::CacheSettings& cache) {
  using proxy::rules::RangeOnMiss;
  using proxy::rules::Repeated;
  using proxy::rules::SetCookie;
  auto out = proxy::rules::Options::site();
  out.heuristic_min = site.default_lifetime;
  out.heuristic_percent = site.heuristic_percent;
  out.heuristic_max = site.heuristic_lifetime_max;
  out.repeated = site.repeated_lifetime == "stale" ? Repeated::stale : Repeated::first;
  out.set_cookie = site.set_cookie == "strip"    ? SetCookie::strip
                   : site.set_cookie == "refuse" ? SetCookie::refuse
                                                 : SetCookie::replay;
  out.newer_ends_stored = site.newer_ends_stored;
  out.honour_request_directives = site.request_directives;
  out.stale_if_error_default = site.stale_if_error.value_or(cache.stale_if_error);
  out.stale_default_covers_5xx = site.stale_if_5xx;
  out.stale_beside_s_maxage = site.stale_beside_s_maxage;
  out.range_on_miss = site.range_on_miss == "pass" ? RangeOnMiss::pass : RangeOnMiss::whole;
  out.variants_max = static_cast<std::size_t>(site.variants_max);
  out.vary_names_max = static_cast<std::size_t>(site.vary_names_max);
  out.targeted_fields = site.targeted_fields;
  return out;
}

std::string origin_of(const config::Site& site) {
  const bool v6 = site.origin_host.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}", site.scheme, v6 ? "[" : "", site.origin_host, v6 ? "]" : "",
                     site.origin_port);
}

}  // namespace

int worker_count(const Settings& settings) {
  if (settings.node.workers > 0) return settings.node.workers;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

std::string node_name(const NodeId& id) { return "reef-" + to_string(id).substr(0, 12); }

proxy::Options proxy_options(const Settings& settings, const NodeId& id, int workers) {
  proxy::Options out;
  out.listen = settings.proxy.listen;
  out.names.suffix = settings.network.suffix;
  out.names.default_scheme = settings.proxy.origin.default_scheme == "https" ? proxy::names::Scheme::https
                                                                             : proxy::names::Scheme::http;
  out.names.allow_localhost = allows_loopback(settings);
  out.names.allow_ipv4 = !settings.proxy.origin.allow.empty();
  out.names.ports.clear();
  for (const config::PortRange& range : settings.proxy.origin.ports)
    out.names.ports.push_back({range.first, range.last});
  out.node_name = node_name(id);
  for (const config::Site& site : settings.sites)
    out.sites.push_back({site.host, origin_of(site), rules_of(site.rules, settings.proxy.cache)});
  const config::CacheSettings& cache = settings.proxy.cache;
  out.coralized.heuristic_min = cache.lifetime_floor;
  out.coralized.heuristic_max = cache.lifetime_ceiling;
  out.coralized.stale_if_error_default = out.site.stale_if_error_default = cache.stale_if_error;
  out.clients = client_limits(settings.proxy.limits);
  out.origins = origin_limits(settings.proxy.origin);
  out.peers = peer_options(settings);
  out.resolver.servers = settings.proxy.origin.resolvers;
  out.ram.bytes_max = cache.ram_bytes / static_cast<std::size_t>(workers);
  out.ram.policy = proxy::parse_eviction_policy(cache.eviction).value_or(out.ram.policy);
  return out;
}

probe::ProberOptions prober_options(const Settings& settings) {
  probe::ProberOptions out;
  // Who opens a network to fetches runs a test or a network of their own, and may look at it too.
  out.budget.also_allowed = settings.proxy.origin.allow;
  const config::ProbeSettings& probe = settings.probe;
  out.budget.never = probe.never;
  out.budget.per_network = probe.per_network;
  out.budget.network_interval = probe.network_interval;
  out.budget.packets_per_second = probe.packets_per_second;
  out.budget.packets_burst = probe.packet_burst;
  out.running_max = static_cast<std::size_t>(probe.running_max);
  return out;
}

proxy::StoreOptions store_options(const Settings& settings) {
  const config::CacheSettings& cache = settings.proxy.cache;
  proxy::StoreOptions out;
  if (cache.disk_bytes > 0) out.directory = settings.node.data_dir + "/store";
  out.disk_bytes_max = cache.disk_bytes;
  out.object_bytes_max = cache.object_bytes_max;
  out.ram_object_bytes_max = cache.ram_object_bytes_max;
  out.small_body_bytes_max = cache.small_body_bytes_max;
  out.memory_spool_bytes_max = cache.memory_spool_bytes_max;
  out.admission = cache.admission == "all" ? proxy::Admission::all : proxy::Admission::popular;
  out.write_delay = cache.write_delay;
  return out;
}

Result<dnsd::Options> dns_options(const Settings& settings) {
  const auto zone = dnsd::Name::parse(settings.network.zone);
  if (!zone) return fail(zone.error());
  const auto suffix = dnsd::Name::parse(settings.network.suffix);
  if (!suffix) return fail(suffix.error());
  const config::DnsSettings& dns = settings.dns;
  dnsd::Options out;
  out.listen = dns.listen;
  out.zone.zone = *zone;
  out.zone.suffix = *suffix;
  if (!settings.network.nodes_zone.empty()) {
    const auto nodes = dnsd::Name::parse(settings.network.nodes_zone);
    if (!nodes) return fail(nodes.error());
    out.zone.nodes_zone = *nodes;
  }
  out.zone.levels = dns.levels;
  out.zone.https_port = static_cast<std::uint16_t>(dns.https_port);
  out.zone.near_address_ttl = dns.near_address_ttl;
  out.zone.cut_ttl = dns.cut_ttl;
  out.zone.cut_negative_ttl = dns.cut_negative_ttl;
  out.zone.name_servers = dns.name_servers;
  out.zone.address_ttl = dns.address_ttl;
  out.zone.authority_ttl = dns.authority_ttl;
  out.zone.negative_ttl = dns.negative_ttl;
  out.responder.authority.addresses_max = static_cast<std::size_t>(dns.addresses_max);
  out.responder.authority.servers_max = static_cast<std::size_t>(dns.servers_max);
  out.responder.locality.verdicts_max = static_cast<std::size_t>(dns.verdicts_max);
  out.responder.locality.verdict_ttl = dns.verdict_ttl;
  out.responder.client_subnets = dns.client_subnets;
  out.wait = dns.wait;
  out.responder.authority.also_public = settings.proxy.origin.allow;
  out.responder.cookies = dns.cookies;
  out.responder.rate_limit.enabled = dns.rate_limit;
  out.responder.rate_limit.responses_per_second = dns.responses_per_second;
  out.responder.rate_limit.burst = dns.response_burst;
  out.responder.rate_limit.slip = dns.slip;
  out.tcp.connections_max = static_cast<std::size_t>(dns.tcp_connections_max);
  out.tcp.idle_timeout = dns.tcp_idle_timeout;
  random_bytes(out.responder.cookie_secret);
  for (const std::string& line : dns.records) {
    auto record = dnsd::Record::parse(line, static_cast<std::uint32_t>(dns.address_ttl.count()));
    if (!record) return fail(record.error());
    out.records.push_back(std::move(*record));
  }
  return out;
}

dsht::UdpNodeOptions dsht_options(const Settings& settings) {
  const config::DshtSettings& dsht = settings.dsht;
  dsht::UdpNodeOptions out;
  out.listen = dsht.listen.front();
  out.advertise = settings.node.advertise;
  out.seeds_follow = !settings.network.seeds.empty();
  const ByteView key = as_bytes(settings.network.key);
  out.network_key.assign(key.begin(), key.end());
  out.data_dir = settings.node.data_dir;
  out.node.http_port = settings.proxy.listen.front().port;
  out.node.dns_port = settings.dns.listen.front().port;
  // The proxy is added once somebody from outside has reached it.
  out.node.services = dsht::kServiceDns;
  out.membership.clock_slack = dsht.clock_slack;
  fill(out.node, dsht);
  return out;
}

HintKeeperOptions hint_options(const Settings& settings) {
  const config::DshtSettings& dsht = settings.dsht;
  HintKeeperOptions out;
  out.enabled = dsht.hints;
  out.period = dsht.hint_period;
  out.traces = static_cast<std::size_t>(dsht.hint_traces);
  out.hints.hops_max = dsht.hint_hops;
  out.hints.also = prober_options(settings).budget.also_allowed;
  return out;
}

GuideOptions guide_options(const Settings& settings, const dnsd::Options& dnsd) {
  const config::DnsSettings& dns = settings.dns;
  const config::DshtSettings& dsht = settings.dsht;
  GuideOptions out;
  // Without clusters of a level nobody is nearer than others.
  out.locator.threshold_1 = dsht.levels > 1 ? Duration(dsht.threshold_1) : Duration::zero();
  out.locator.threshold_2 = dsht.levels > 2 ? Duration(dsht.threshold_2) : Duration::zero();
  out.locator.near_within = dsht.threshold_2;
  out.locator.traces = dns.traces;
  out.locator.hints = hint_options(settings).hints;
  out.live.nodes_max = static_cast<std::size_t>(dns.view_nodes_max);
  out.live.named_max = static_cast<std::size_t>(dns.near_nodes_max);
  out.live.heard_within = dns.heard_within;
  out.live.ping_every = dns.ping_every;
  out.reachability.enabled = dns.verify;
  out.verdicts.verdicts_max = static_cast<std::size_t>(dns.verdicts_max);
  out.verdicts.measured_ttl = dns.measured_ttl;
  out.check.suffix = settings.network.suffix;
  out.check.zone = dnsd.zone.zone;
  out.data_dir = settings.node.data_dir;
  out.look_again = dns.verdict_ttl;
  out.active_for = std::max<Duration>(out.active_for, 2 * Duration(dns.verdict_ttl));
  return out;
}

}  // namespace reef::node
