#include "node/daemon.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "base/io/log.h"
#include "dsht/io/data_files.h"
#include "node/dns_routes.h"
#include "node/index_routes.h"
#include "node/options.h"
#include "node/seeds.h"
#include "node/status.h"

namespace reef::node {
namespace {

using std::chrono::seconds;

constexpr auto kRefreshEvery = seconds(1);
// Records that may be set at run time.
constexpr std::size_t kRecordsMax = 256;
// A node is busy that has so many of its connections open, or refused work so lately.
constexpr std::uint64_t kBusyPercent = 80;
constexpr Duration kBusyFor = seconds(10);
// Of whom the hints choose whom to trace.
constexpr std::size_t kHintContactsMax = 256;
// Of the hints that the index takes.
constexpr std::size_t kPlainHintsMax = 16;
// A name that did not resolve, or a seed that has moved.
constexpr int kFindSeedsEvery = 10;

std::uint32_t serial_now() {
  return static_cast<std::uint32_t>(
      std::chrono::duration_cast<seconds>(std::chrono::system_clock::now().time_since_epoch()).count());
}

AdminResponse json(std::string body, int status = 200) {
  return {status, "application/json", std::move(body)};
}

std::string parameter(const AdminRequest& request, std::string_view name) {
  const auto found = request.query.find(name);
  return found == request.query.end() ? std::string() : found->second;
}

}  // namespace

const char* version() { return REEF_VERSION; }

Daemon::Daemon(config::Loaded loaded, config::Sources sources)
    : settings_(std::move(loaded.settings)),
      config_file_(std::move(loaded.config_file)),
      sources_(std::move(sources)),
      hints_(hint_options(settings_), Random::from_os()),
      signals_(loop_),
      refresh_timer_(loop_, [this] { refresh(); }),
      drain_timer_(loop_, [this] { finish(0); }) {}

Daemon::~Daemon() {
  // Threads first; then the parts in the reverse order of need (the store waits for what it still has to
  // write, the pool for its jobs, and both post to loops that must still be there).
  for (const auto& worker : workers_) worker->stop();
  for (const auto& worker : workers_) worker->dns.reset();
  proxies_.clear();
  for (const auto& worker : workers_) worker->index.reset();
  admin_.reset();
  guide_.reset();
  prober_.reset();
  dsht_.reset();
  store_.reset();
  disk_.reset();
}

Result<> Daemon::start() {
  started_at_ = loop_.now();
  if (const auto level = log::parse_level(settings_.node.log_level)) log::set_level(*level);
  std::signal(SIGPIPE, SIG_IGN);

  std::error_code made;
  std::filesystem::create_directories(settings_.node.data_dir, made);
  if (made) return fail({made, "cannot make the data directory " + settings_.node.data_dir});

  disk_ = std::make_unique<DiskPool>(static_cast<std::size_t>(settings_.node.disk_threads),
                                     static_cast<std::size_t>(settings_.node.disk_queue_max));
  auto store = proxy::Store::open(store_options(settings_), *disk_, loop_);
  if (!store) return fail(store.error());
  store_ = std::move(*store);
  prober_ = std::make_unique<probe::Prober>(loop_, prober_options(settings_));

  for (auto step : {&Daemon::start_index, &Daemon::start_workers, &Daemon::start_admin}) {
    if (auto done = (this->*step)(); !done) return done;
  }
  signals_.on(SIGTERM, [this] { drain(); });
  signals_.on(SIGINT, [this] {
    // Somebody at a keyboard who presses Ctrl-C again does not want to wait. A repeated SIGTERM asks for
    // nothing new.
    if (draining_) return finish(1);
    drain();
  });
  signals_.on(SIGHUP, [this] { reload(); });
  publish_view();
  refresh_timer_.start(kRefreshEvery);
  return {};
}

Result<> Daemon::start_index() {
  const auto identity = dsht::load_identity(settings_.node.data_dir);
  if (!identity) return fail(identity.error());
  dsht_ = std::make_unique<dsht::UdpNode>(loop_, *disk_, *identity, dsht_options(settings_));
  return dsht_->start();
}

Result<> Daemon::start_workers() {
  const int count = worker_count(settings_);
  auto dns = dns_options(settings_);
  if (!dns) return fail(dns.error());
  proxy::Options proxy = proxy_options(settings_, dsht_->id(), count);

  const auto view =
      std::make_shared<const dnsd::View>(std::vector<dnsd::Candidate>{}, own_addresses(), serial_now());
  for (int i = 0; i < count; ++i) {
    auto worker = std::make_unique<WorkerThread>();
    worker->index = std::make_unique<dsht::RemoteIndex>(worker->loop, *dsht_);
    proxies_.push_back(std::make_unique<proxy::Worker>(
        proxy::WorkerParts{.loop = worker->loop,
                           .options = proxy,
                           .store = *store_,
                           .disk = *disk_,
                           .index = worker->index.get(),
                           .key_of =
                               [key = settings_.network.key](std::string_view url) {
                                 return dsht::key_of(as_bytes(key), dsht::KeyDomain::url, url);
                               },
                           .workers = static_cast<std::size_t>(count)}));
    worker->proxy = proxies_.back().get();
    if (auto listening = worker->proxy->listen(); !listening) return listening;
    // Where port 0 was asked for, all workers share what the kernel gave the first.
    proxy.listen = worker->proxy->listening();

    dnsd::WantVerdict want;
    if (settings_.dns.locate) {
      want = [this](const dnsd::Prefix& network, const IpAddress& target) {
        // Where the mailbox is full, the next query asks again.
        (void)loop_.post([this, network, target] { guide_->want(network, target); });
      };
    }
    auto server = dnsd::Server::start(worker->loop, *dns, view, std::move(want));
    if (!server) return fail(server.error());
    worker->dns = std::move(*server);
    dns->listen = worker->dns->endpoints();
    workers_.push_back(std::move(worker));
  }
  proxy::Worker::link(proxies_);
  proxy_endpoints_ = proxy.listen;
  dns_endpoints_ = dns->listen;
  dns_ = *dns;
  publish_own_address();
  return start_guide();
}

Result<> Daemon::start_guide() {
  GuideOptions options = guide_options(settings_, dns_);
  options.http_port = proxy_endpoints_.front().port;
  options.dns_port = dns_endpoints_.front().port;
  guide_ =
      std::make_unique<Guide>(GuideParts{.loop = loop_, .disk = *disk_, .index = *dsht_, .prober = *prober_},
                              std::move(options), [this](const std::shared_ptr<const Guide::Told>& told) {
                                for (const auto& worker : workers_) {
                                  worker->tell([told](WorkerThread& self) {
                                    for (const auto& [network, verdict] : *told)
                                      self.dns->set_verdict(network, verdict);
                                  });
                                }
                              });
  guide_->start();
  const dnsd::Zone& zone = workers_.front()->dns->zone();
  auto records = dnsd::Records::make(zone, dns_.records);
  if (!records) return fail(records.error());
  all_records_ = std::move(*records);
  records_ = std::make_unique<RecordBook>(zone, dns_.records, kRecordsMax,
                                          static_cast<std::uint32_t>(settings_.dns.address_ttl.count()));
  return {};
}

Result<> Daemon::start_admin() {
  admin_ = std::make_unique<Admin>(loop_);
  add_routes();
  add_index_routes(*admin_, loop_, *dsht_);
  add_dns_routes(*admin_, {.loop = loop_,
                           .options = dns_,
                           .guide = *guide_,
                           .records = *records_,
                           .view = [this] { return view_; },
                           .all_records = [this] { return all_records_; },
                           .set_records = [this](auto all) { tell_records(std::move(all)); }});
  for (const Endpoint& endpoint : settings_.admin.listen) {
    if (auto listening = admin_->listen(endpoint); !listening) return listening;
  }
  return {};
}

void Daemon::add_routes() {
  admin_->on_get("/healthz", [this](const AdminRequest&, const Admin::Reply& reply) {
    const bool ready = is_ready();
    reply({ready ? 200 : 503, "text/plain", ready ? "ready\n" : draining_ ? "draining\n" : "joining\n"});
  });
  admin_->on_get("/api/status", [this](const AdminRequest&, const Admin::Reply& reply) {
    reply(json(status_json({.version = version(),
                            .suffix = settings_.network.suffix,
                            .ready = is_ready(),
                            .draining = draining_,
                            .started_at = started_at_,
                            .now = loop_.now(),
                            .hints = hints_.names(),
                            .dsht = *dsht_,
                            .store = *store_,
                            .guide = *guide_,
                            .prober = *prober_,
                            .workers = workers_})));
  });
  admin_->on_get("/api/trace", [this](const AdminRequest& request, const Admin::Reply& reply) {
    const auto target = IpAddress::parse(parameter(request, "address"));
    if (!target) return reply(json(error_json(target.error().message()), 400));
    const dsht::HintOptions names = guide_->locator().options().hints;
    const Duration near = guide_->locator().options().near_within;
    prober_->trace(*target, [reply, names, near, target = *target](const probe::TraceResult& trace) {
      reply(json(trace_json(target, trace, dsht::route_names(trace, names, near))));
    });
  });
}

int Daemon::run() {
  for (const auto& worker : workers_) worker->run();
  for (const Endpoint& endpoint : proxy_endpoints_)
    log::info("node", "event=listening what=proxy on={}", to_string(endpoint));
  for (const Endpoint& endpoint : dns_endpoints_)
    log::info("node", "event=listening what=dns on={}", to_string(endpoint));
  log::info("node", "event=started id={} version={} workers={} suffix={} rpc={}", to_string(dsht_->id()),
            version(), workers_.size(), settings_.network.suffix, to_string(dsht_->bound()));
  if (!settings_.proxy.origin.allow.empty()) {
    log::warn("node",
              "event=open_origins: origins on addresses that are not public may be fetched (--allow-origin); "
              "whoever reaches this node reaches them too");
  }
  if (!settings_.network.seeds.empty()) find_seeds();
  loop_.run();
  for (const auto& worker : workers_) worker->stop();
  log::info("node", "event=ended status={}", exit_status_);
  return exit_status_;
}

void Daemon::find_seeds() {
  // getaddrinfo blocks, and may do so for long when the resolver is down.
  const auto found = std::make_shared<std::vector<Endpoint>>();
  const bool submitted =
      disk_->submit([found, seeds = settings_.network.seeds] { *found = resolve_seeds(seeds); }, loop_,
                    [this, found] {
                      if (!found->empty()) dsht_->join(*found);
                    });
  if (!submitted) log::warn("node", "event=seeds_not_resolved: the disk pool is overloaded");
}

void Daemon::refresh() {
  refresh_timer_.start(kRefreshEvery);
  publish_own_address();
  publish_view();
  refresh_hints();
  const bool alone = !settings_.network.seeds.empty() && dsht_->contact_count() == 0 && !draining_;
  if (alone && ++seconds_alone_ % kFindSeedsEvery == 0) find_seeds();
  const Duration budget =
      std::clamp<Duration>(dsht_->budget(), settings_.dsht.budget_min, settings_.dsht.budget_max);
  for (const auto& worker : workers_) {
    worker->tell([budget](WorkerThread& self) { self.proxy->set_index_budget(budget); });
  }
}

void Daemon::refresh_hints() {
  if (draining_) return;
  dsht::NodesQuery query;
  query.count = kHintContactsMax;
  for (const IpAddress& target : hints_.due(loop_.now(), dsht_->nodes(query))) {
    prober_->trace(target, [this](const probe::TraceResult& trace) { hints_.traced(trace); });
  }
  const auto names = hints_.changed_names(own_addresses());
  if (!names) return;
  std::vector<Key> keys;
  // Room is left for the names that lead clients.
  const std::size_t plain = std::min(names->size(), kPlainHintsMax);
  for (std::size_t i = 0; i < plain; ++i) keys.push_back(dsht_->key(dsht::KeyDomain::hint, (*names)[i]));
  for (const std::string& name : hints_.near_names()) keys.push_back(dsht_->key(dsht::KeyDomain::hint, name));
  dsht_->set_hints(std::move(keys));
  log::info("node", "event=hints names={}", fmt::join(*names, ","));
}

void Daemon::turn_guide() {
  const std::vector<IpAddress> own = own_addresses();
  const auto& allowed = settings_.proxy.origin.allow;
  const auto is_public = [&](const IpAddress& address) {
    return address.is_global_unicast() || std::any_of(allowed.begin(), allowed.end(),
                                                      [&](const IpPrefix& p) { return p.contains(address); });
  };
  // Where the network itself is not public, there is no outside.
  const bool has_outside = std::any_of(own.begin(), own.end(), is_public);
  std::uint64_t visits = 0;
  for (const auto& worker : workers_) {
    const proxy::Stats& stats = worker->proxy->stats();
    visits += (has_outside ? stats.visits_outside : stats.visits).value();
  }
  std::vector<std::string> hints = hints_.names();
  hints.insert(hints.end(), hints_.near_names().begin(), hints_.near_names().end());
  guide_->turn({.own = own,
                .hints = std::move(hints),
                .last_mile = hints_.last_mile(),
                .visits = visits,
                .is_draining = draining_,
                .is_busy = is_busy()});
  dsht_->set_services(guide_->services());
}

bool Daemon::is_busy() {
  std::uint64_t open = 0, overloaded = 0;
  for (const auto& worker : workers_) {
    open += worker->proxy->stats().connections_open.value();
    overloaded +=
        worker->proxy->stats().overloaded.value() + worker->proxy->stats().connections_refused.value();
  }
  const TimePoint now = loop_.now();
  if (overloaded > overloaded_) overloaded_at_ = now;
  overloaded_ = overloaded;
  const auto most = static_cast<std::uint64_t>(settings_.proxy.limits.connections_max);
  return open * 100 >= most * kBusyPercent ||
         (overloaded_at_ != TimePoint::min() && now - overloaded_at_ < kBusyFor);
}

void Daemon::publish_view() {
  turn_guide();
  view_ = std::make_shared<const dnsd::View>(guide_->candidates(), own_addresses(), serial_now());
  for (const auto& worker : workers_) {
    worker->tell([view = view_](WorkerThread& self) { self.dns->set_view(view); });
  }
}

void Daemon::tell_records(std::shared_ptr<const dnsd::Records> records) {
  all_records_ = std::move(records);
  for (const auto& worker : workers_) {
    worker->tell([all = all_records_](WorkerThread& self) { self.dns->set_records(all); });
  }
}

std::vector<IpAddress> Daemon::own_addresses() const {
  if (settings_.node.advertise) return {*settings_.node.advertise};
  if (const auto advertised = dsht_->advertised()) return {advertised->address};
  return {};
}

void Daemon::publish_own_address() {
  const std::vector<IpAddress> own = own_addresses();
  if (own.empty() || published_address_ == own.front()) return;
  published_address_ = own.front();
  const Endpoint at{own.front(), proxy_endpoints_.front().port};
  for (const auto& worker : workers_) {
    worker->tell([at](WorkerThread& self) { self.proxy->set_own_endpoint(at); });
  }
  log::info("node", "event=own_address proxy={}", to_string(at));
}

bool Daemon::is_ready() const { return !draining_ && dsht_->is_joined(); }

void Daemon::reload() {
  const auto fresh = config::load(sources_);
  if (!fresh) {
    log::error("node", "event=reload_refused: {}; nothing was changed", fresh.error().message());
    return;
  }
  const std::vector<config::Change> changes = config::reload(settings_, fresh->settings);
  for (const config::Change& change : changes) {
    log::info("node", "event=reload key={} from={} to={} {}", change.key, change.from, change.to,
              change.applied ? "applied" : "waits for a restart");
  }
  if (changes.empty()) log::info("node", "event=reload: nothing has changed");
  if (const auto level = log::parse_level(settings_.node.log_level)) log::set_level(*level);
}

void Daemon::drain() {
  if (draining_) return;
  draining_ = true;
  log::info("node", "event=draining at_most_s={}", settings_.node.drain_time.count());
  publish_view();
  // The workers end by themselves within the drain time; what hangs all the same is not waited for.
  drain_timer_.start(settings_.node.drain_time + seconds(2));
  still_draining_ = workers_.size() + 1;
  dsht_->leave([this] { one_drained(); });
  for (const auto& worker : workers_) {
    worker->tell([this](WorkerThread& self) {
      self.proxy->drain(settings_.node.drain_time, [this] {
        if (!loop_.post([this] { one_drained(); })) log::warn("node", "a drain was not heard: mailbox full");
      });
    });
  }
}

void Daemon::one_drained() {
  if (--still_draining_ == 0) finish(0);
}

void Daemon::finish(int status) {
  exit_status_ = status;
  loop_.stop();
}

}  // namespace reef::node
