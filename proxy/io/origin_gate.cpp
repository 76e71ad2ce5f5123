#include "proxy/io/origin_gate.h"

#include <fmt/format.h>

#include <algorithm>

namespace reef::proxy {
namespace {

// Bounded by forgetting what has expired, then anything: these are memories, nothing depends on them.
template <class Map, class IsOver>
void make_room(Map& map, std::size_t most, IsOver is_over) {
  if (map.size() < most) return;
  std::erase_if(map, is_over);
  while (map.size() >= most) map.erase(map.begin());
}

}  // namespace

OriginGate::OriginGate(EventLoop& loop, const Options& options, AddressRule rule, std::size_t workers,
                       FillHost& fills, Stats& stats)
    : loop_(loop),
      options_(options),
      rule_(std::move(rule)),
      connections_max_(
          std::max<std::size_t>(1, options.origins.connections_max / std::max<std::size_t>(1, workers))),
      fills_(fills),
      stats_(stats),
      resolver_(loop, options.resolver) {}

std::string OriginGate::origin_key(const RequestInfo& request) {
  const names::Origin& origin = request.to->origin;
  return fmt::format("{}://{}:{}", names::to_text(origin.scheme), origin.host.view(), origin.port);
}

const OriginGate::Failure* OriginGate::failure_of(const Fill& fill) {
  const RequestInfo& request = fill.request();
  const TimePoint now = loop_.now();
  // A site's own error pages are its clients' to see: there the memory only spares its origin while something
  // stale covers for it.
  const bool readable = (request.head().method == "GET" || request.head().method == "HEAD") &&
                        (request.to->mode == rules::Mode::coralized || fill.covers_server_error());
  if (const auto url = failed_urls_.find(request.hash);
      readable && url != failed_urls_.end() && now < url->second.until) {
    return &url->second;
  }
  const auto origin = failed_origins_.find(origin_key(request));
  return origin != failed_origins_.end() && now < origin->second.until ? &origin->second : nullptr;
}

void OriginGate::request(Fill& fill) {
  const RequestInfo& request = fill.request();
  if (const Failure* failure = failure_of(fill)) {
    const auto left = std::chrono::ceil<std::chrono::seconds>(failure->until - loop_.now());
    return fill.on_origin(fail(Error{{}, failure->why}), failure->status, left);
  }
  const std::string key = origin_key(request);
  Origin& origin = origins_[key];
  if (origin.active < connections_max_) {
    ++origin.active;
    return admit(fill.id(), key);
  }
  if (origin.waiting.size() >= options_.origins.queue_max) {
    stats_.overloaded.add();
    return fill.on_origin(
        fail(Error{{},
                   fmt::format("Too many requests wait for the origin server {}.", request.to->authority)}),
        503, std::chrono::seconds{2});
  }
  origin.waiting.push_back(fill.id());
}

// A connection is reserved for this fill: finds out where it leads.
void OriginGate::admit(FillId id, const std::string& key) {
  Fill* fill = fills_.find_fill(id);
  if (fill == nullptr) return release(key);
  resolver_.resolve(std::string(fill->request().to->origin.host.view()), [this, id, key](const auto& answer) {
    Fill* asker = fills_.find_fill(id);
    if (asker == nullptr) return release(key);
    const RequestInfo& request = asker->request();
    if (!answer) {
      const bool no_name = answer.error().code == std::errc::host_unreachable;
      const std::string why =
          no_name ? fmt::format("The name {} has no address.", request.to->origin.host.view())
                  : fmt::format("The name {} could not be resolved.", request.to->origin.host.view());
      const int status = no_name ? 502 : 504;
      remember_failure(request, true, status, why);
      release(key);
      return asker->on_origin(fail(Error{answer.error().code, why}), status, options_.origins.negative_ttl);
    }
    AddressRule rule = rule_;
    rule.private_network = rule.private_network || request.to->trusted;
    std::vector<Endpoint> permitted;
    for (const IpAddress& address : *answer) {
      const Endpoint to{address, request.to->origin.port};
      if (rule.permits(to)) permitted.push_back(to);
    }
    if (permitted.empty()) {
      stats_.refused_addresses.add();
      release(key);
      return asker->on_origin(
          fail(Error{{},
                     fmt::format("{} is at an address that this proxy does not connect to.",
                                 request.to->origin.host.view())}),
          403, std::chrono::seconds{0});
    }
    asker->on_origin(std::move(permitted), 0, {});
  });
}

void OriginGate::release(Fill& fill) { release(origin_key(fill.request())); }

void OriginGate::release(const std::string& key) {
  const auto found = origins_.find(key);
  if (found == origins_.end()) return;
  Origin& origin = found->second;
  while (!origin.waiting.empty()) {
    const FillId next = origin.waiting.front();
    origin.waiting.pop_front();
    if (fills_.find_fill(next) != nullptr) return admit(next, std::string(key));  // takes over the connection
  }
  if (--origin.active == 0) origins_.erase(found);
}

void OriginGate::remember_failure(const RequestInfo& request, bool whole_origin, int status,
                                  const std::string& why) {
  const TimePoint now = loop_.now();
  const auto is_over = [now](const auto& entry) { return entry.second.until <= now; };
  Failure failure{now + options_.origins.negative_ttl, status, why};
  if (whole_origin) {
    make_room(failed_origins_, options_.origins.negative_max, is_over);
    failed_origins_.insert_or_assign(origin_key(request), std::move(failure));
  } else {
    make_room(failed_urls_, options_.origins.negative_max, is_over);
    failed_urls_.insert_or_assign(request.hash, std::move(failure));
  }
}

void OriginGate::remember_unshared(const RequestInfo& request) {
  const TimePoint now = loop_.now();
  make_room(unshared_, options_.origins.negative_max,
            [now](const auto& entry) { return entry.second <= now; });
  unshared_.insert_or_assign(request.hash, now + options_.origins.unshared_ttl);
}

bool OriginGate::is_unshared(const UrlHash& hash) const {
  const auto found = unshared_.find(hash);
  return found != unshared_.end() && loop_.now() < found->second;
}

}  // namespace reef::proxy
