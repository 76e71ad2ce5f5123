#include "node/status.h"

#include "node/index_json.h"
#include "node/json.h"

namespace reef::node {
namespace {

struct NamedStat {
  const char* name;
  Counter proxy::Stats::*counter;
};
constexpr NamedStat kProxyStats[] = {
    {"connections", &proxy::Stats::connections},
    {"connections_open", &proxy::Stats::connections_open},
    {"connections_refused", &proxy::Stats::connections_refused},
    {"requests", &proxy::Stats::requests},
    {"peer_requests", &proxy::Stats::peer_requests},
    {"visits", &proxy::Stats::visits},
    {"visits_outside", &proxy::Stats::visits_outside},
    {"hits", &proxy::Stats::hits},
    {"stale_hits", &proxy::Stats::stale_hits},
    {"collapsed", &proxy::Stats::collapsed},
    {"not_modified", &proxy::Stats::not_modified},
    {"misses_peer", &proxy::Stats::misses_peer},
    {"misses_origin", &proxy::Stats::misses_origin},
    {"revalidated", &proxy::Stats::revalidated},
    {"passed", &proxy::Stats::passed},
    {"errors_client", &proxy::Stats::errors_client},
    {"errors_server", &proxy::Stats::errors_server},
    {"overloaded", &proxy::Stats::overloaded},
    {"cut_slow", &proxy::Stats::cut_slow},
    {"cut_broken", &proxy::Stats::cut_broken},
    {"bytes_out", &proxy::Stats::bytes_out},
    {"bytes_in", &proxy::Stats::bytes_in},
    {"fills", &proxy::Stats::fills},
    {"fills_open", &proxy::Stats::fills_open},
    {"fills_failed", &proxy::Stats::fills_failed},
    {"fills_resumed", &proxy::Stats::fills_resumed},
    {"announces", &proxy::Stats::announces},
    {"announces_found", &proxy::Stats::announces_found},
    {"pointers_put", &proxy::Stats::pointers_put},
    {"peer_fetches", &proxy::Stats::peer_fetches},
    {"peer_failures", &proxy::Stats::peer_failures},
    {"peer_probes", &proxy::Stats::peer_probes},
    {"hedges", &proxy::Stats::hedges},
    {"peer_lies", &proxy::Stats::peer_lies},
    {"parts", &proxy::Stats::parts},
    {"part_fills", &proxy::Stats::part_fills},
    {"part_sources", &proxy::Stats::part_sources},
    {"peer_bytes", &proxy::Stats::peer_bytes},
    {"origin_fetches", &proxy::Stats::origin_fetches},
    {"origin_failures", &proxy::Stats::origin_failures},
    {"origin_not_modified", &proxy::Stats::origin_not_modified},
    {"refused_addresses", &proxy::Stats::refused_addresses},
    {"origin_bytes", &proxy::Stats::origin_bytes},
};

Json proxy_json(const std::vector<std::unique_ptr<WorkerThread>>& workers) {
  Json out = Json::object();
  for (const NamedStat& stat : kProxyStats) {
    std::uint64_t sum = 0;
    for (const auto& worker : workers) sum += (worker->proxy->stats().*stat.counter).value();
    out[stat.name] = sum;
  }
  return out;
}

Json dns_json(const std::vector<std::unique_ptr<WorkerThread>>& workers) {
  Json out = Json::object();
  for (const auto& worker : workers) {
    worker->dns->counters().for_each(
        [&out](std::string_view metric, std::string_view, std::string_view label, std::uint64_t value) {
          std::string name(metric);
          if (!label.empty()) name.append("_").append(label);
          out[name] = out.value(name, std::uint64_t{0}) + value;
        });
  }
  return out;
}

// What finding out where clients are came to, and what it cost.
Json guide_json(const Guide& guide, const probe::Prober& prober) {
  const LocatorCounters& c = guide.locator().counters();
  const probe::ProberCounters& p = prober.counters();
  return {{"nodes_live", guide.candidates().size()}, {"nodes_watched", guide.live_set().size()},
          {"verdicts", guide.verdict_count()},       {"requested", c.requested.value()},
          {"running", guide.locator().running()},    {"waiting", guide.locator().waiting()},
          {"overflowed", c.overflowed.value()},      {"searches", c.searches.value()},
          {"found_by_rtt", c.by_rtt.value()},        {"found_by_prefix", c.by_prefix.value()},
          {"found_by_route", c.by_route.value()},    {"found_nothing", c.unknown.value()},
          {"probe_pings", p.pings.value()},          {"probe_traces", p.traces.value()},
          {"probe_packets", p.packets.value()},      {"probe_answers", p.answers.value()},
          {"probe_refused", p.refused.value()},      {"probe_over_budget", p.over_budget.value()}};
}

Json store_json(const proxy::StoreStats& stats) {
  return {{"objects", stats.objects},
          {"disk_bytes", stats.disk_bytes},
          {"spool_bytes", stats.spool_bytes},
          {"queued", stats.queued},
          {"loads", stats.loads},
          {"load_hits", stats.load_hits},
          {"load_absent", stats.load_absent},
          {"persisted", stats.persisted},
          {"persist_dropped", stats.persist_dropped},
          {"persist_failed", stats.persist_failed},
          {"persist_forgone", stats.persist_forgone},
          {"evicted", stats.evicted},
          {"damaged", stats.damaged},
          {"orphans_removed", stats.orphans_removed},
          {"io_errors", stats.io_errors}};
}

}  // namespace

std::string status_json(const StatusSource& source) {
  const auto uptime = std::chrono::duration_cast<std::chrono::seconds>(source.now - source.started_at);
  const auto advertised = source.dsht.advertised();
  const Json out = {{"id", to_string(source.dsht.id())},
                    {"version", source.version},
                    {"suffix", source.suffix},
                    {"ready", source.ready},
                    {"draining", source.draining},
                    {"uptime_s", uptime.count()},
                    {"workers", source.workers.size()},
                    {"joined", source.dsht.is_joined()},
                    {"peers", source.dsht.contact_count()},
                    {"advertised", advertised ? Json(to_string(*advertised)) : Json(nullptr)},
                    {"proxy", proxy_json(source.workers)},
                    {"store", store_json(source.store.stats())},
                    {"clusters", clusters_json(source.dsht, source.now)},
                    {"hints", source.hints},
                    {"dsht", counters_json(source.dsht)},
                    {"dns", dns_json(source.workers)},
                    {"guide", guide_json(source.guide, source.prober)}};
  return text_of(out);
}

std::string trace_json(const IpAddress& target, const probe::TraceResult& trace,
                       std::span<const dsht::RouteName> hints) {
  Json hops = Json::array();
  for (const probe::Hop& hop : trace.hops) {
    hops.push_back({{"ttl", hop.ttl},
                    {"address", hop.address ? Json(to_string(*hop.address)) : Json(nullptr)},
                    {"rtt_ms", hop.address ? Json(to_ms(hop.rtt)) : Json(nullptr)},
                    {"inferred", hop.inferred}});
  }
  Json names = Json::array();
  for (const dsht::RouteName& hint : hints) names.push_back({{"name", hint.name}, {"rank", hint.rank}});
  return text_of(Json{{"target", to_string(target)},
                      {"hops", std::move(hops)},
                      {"end", probe::to_string(trace.end)},
                      {"took_ms", to_ms(trace.took)},
                      {"probes", trace.probes},
                      {"hints", std::move(names)}});
}

std::string error_json(std::string_view text) { return text_of(Json{{"error", text}}); }

}  // namespace reef::node
