#include "node/guide.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "base/io/log.h"

namespace reef::node {
namespace {

constexpr Duration kPingBudget = std::chrono::milliseconds(2500);
constexpr std::size_t kWritesMax = 1024;  // in one batch
constexpr double kBusyWeight = 0.1;
// Fewer proxies are filled up with nodes that were not visited yet.
constexpr std::ptrdiff_t kProxiesMin = 2;
constexpr std::size_t kUntriedMax = 8;
constexpr Duration kUntriedHeardWithin = std::chrono::seconds(60);
constexpr double kUntriedWeight = 0.01;
// Addresses near a client: when one does not answer, there is another. More share the load where they are
// nearly as near as the nearest.
constexpr std::size_t kNearEnough = 2;
constexpr double kAsNear = 1.25;

dnsd::Source source_of(FindingSource source) {
  switch (source) {
    case FindingSource::rtt:
      return dnsd::Source::rtt;
    case FindingSource::prefix:
      return dnsd::Source::prefix;
    case FindingSource::route:
      return dnsd::Source::route;
    case FindingSource::none:
      return dnsd::Source::none;
  }
  return dnsd::Source::none;
}

// Where only a network is known, its first host is mostly its router, which answers more often than nobody.
IpAddress host_in(const dnsd::Prefix& client, const IpAddress& target) {
  if (target != client.address || client.bits == (target.is_v4() ? 32 : 128)) return target;
  std::array<std::uint8_t, 16> bytes = target.bytes();
  bytes.back() |= 1;
  return IpAddress::v6(bytes);
}

std::vector<dsht::Contact> contacts_of(const Finding& finding) {
  std::vector<dsht::Contact> out;
  for (const NearNode& node : finding.near) out.push_back(node.contact);
  return out;
}

bool is_as_near(const NearNode& node, const NearNode& nearest) {
  if (node.rank == 0 || nearest.rank == 0) return node.rank == nearest.rank;
  return node.away && nearest.away && to_ms(*node.away) <= kAsNear * to_ms(*nearest.away);
}

void add_once(std::vector<IpAddress>& to, const IpAddress& address) {
  if (std::find(to.begin(), to.end(), address) == to.end()) to.push_back(address);
}

}  // namespace

Guide::Guide(GuideParts parts, GuideOptions options, std::function<void(std::shared_ptr<const Told>)> tell)
    : loop_(parts.loop),
      disk_(parts.disk),
      index_(parts.index),
      prober_(parts.prober),
      options_(std::move(options)),
      tell_(std::move(tell)),
      locator_(options_.locator),
      live_(options_.live, Random::from_os()),
      reachability_(options_.reachability),
      verdicts_(options_.verdicts),
      check_(loop_, options_.check) {}

Guide::~Guide() { *alive_ = false; }

void Guide::start() {
  if (options_.data_dir.empty()) return;
  auto file = VerdictFile::open(options_.data_dir + "/verdicts", options_.file_bytes_max);
  if (!file) return log::warn("node", "event=verdicts_not_kept error=\"{}\"", file.error().message());
  file_ = std::move(*file);
  if (const auto loaded = file_->load(system_wall_time(), verdicts_); !loaded)
    log::warn("node", "event=verdicts_unreadable error=\"{}\"", loaded.error().message());
}

// ---- once a second

void Guide::turn(Surroundings surroundings) {
  now_ = std::move(surroundings);
  const TimePoint now = loop_.now();
  const auto self = index_.self();
  locator_.set_own(now_.hints, now_.is_draining ? std::nullopt : self);
  reachability_.note_visits(now, now_.visits);
  live_.choose(now, index_.core().table().entries());
  ask_members();
  visit_members();
  make_room();
  tell_changed();
  verdicts_.expire(system_wall_time());
  write_some();
}

void Guide::ask_members() {
  dsht::FindNodes what;
  what.contacts = live_.due(loop_.now());
  if (what.contacts.empty()) return;
  what.count = what.contacts.size();
  what.heard_within = Duration::zero();
  std::vector<NodeId> asked;
  for (const dsht::Contact& contact : what.contacts) asked.push_back(contact.id);
  index_.find_nodes(std::move(what), kPingBudget,
                    [this, alive = alive_, asked = std::move(asked)](const dsht::NodesNear& found) {
                      if (!*alive) return;
                      for (const dsht::Neighbour& node : found.nodes) live_.heard(node);
                      for (const NodeId& id : asked) live_.silent(id);  // where no answer was noted
                    });
}

void Guide::visit_members() {
  if (now_.is_draining) return;
  std::vector<dsht::Contact> wanted;
  for (const dsht::Neighbour& node : live_.live(loop_.now())) wanted.push_back(node.contact);
  for (const dsht::Contact& contact : reachability_.due(loop_.now(), wanted)) {
    check_.check(contact, [this, contact](dsht::Services reached) {
      reachability_.checked(loop_.now(), contact, reached);
    });
  }
}

bool Guide::is_shown() const {
  return !now_.is_draining && (index_.contact_count() == 0 || reachability_.is_seen(loop_.now()));
}

dsht::Services Guide::services() const {
  if (now_.is_draining) return 0;
  dsht::Services out = dsht::kServiceDns;
  if (is_shown()) out |= dsht::kServiceProxy;
  if (now_.is_busy) out |= dsht::kServiceBusy;
  return out;
}

bool Guide::is_live(const dsht::Contact& contact) const { return live_.is_live(loop_.now(), contact.id); }

dsht::Services Guide::reached(const dsht::Contact& contact) const { return reachability_.reached(contact); }

// What a record that says no port can lead to.
dsht::Services Guide::usable(const dsht::Contact& contact) const {
  dsht::Services out = reachability_.reached(contact);
  if (contact.http_port != options_.http_port) out &= static_cast<dsht::Services>(~dsht::kServiceProxy);
  if (contact.dns_port != options_.dns_port) out &= static_cast<dsht::Services>(~dsht::kServiceDns);
  return out;
}

std::vector<dnsd::Candidate> Guide::candidates() const {
  std::vector<dnsd::Candidate> out;
  for (const dsht::Neighbour& node : live_.live(loop_.now())) {
    const dsht::Services services = usable(node.contact);
    if (services == 0) continue;
    const double weight = (node.contact.services & dsht::kServiceBusy) != 0 ? kBusyWeight : 1;
    out.push_back({node.contact.rpc.address, services, node.level, node.rtt, weight});
  }
  const auto proxies = std::count_if(out.begin(), out.end(), [](const dnsd::Candidate& candidate) {
    return (candidate.services & dsht::kServiceProxy) != 0;
  });
  if (proxies < kProxiesMin) {
    // A young network: whoever is known is better than an answer whose one address may die with its node.
    dsht::NodesQuery query;
    query.count = kUntriedMax;
    query.services = 0;
    query.heard_within = kUntriedHeardWithin;
    for (const dsht::Neighbour& node : index_.nodes(query)) {
      const dsht::Contact& contact = node.contact;
      if (!reachability_.is_untried(contact) || contact.http_port != options_.http_port) continue;
      out.push_back({contact.rpc.address, dsht::kServiceProxy, node.level, node.rtt, kUntriedWeight});
    }
  }
  if (!is_shown()) return out;
  // As far as a neighbour with a line like ours would seem: our own line counts for our clients too.
  const Duration own_rtt = 2 * now_.last_mile.value_or(Duration::zero());
  for (const IpAddress& own : now_.own) {
    out.push_back({own, dsht::kServiceProxy | dsht::kServiceDns, dsht::kLevels - 1, own_rtt,
                   now_.is_busy ? kBusyWeight : 1});
  }
  return out;
}

// ---- where clients are

void Guide::want(const dnsd::Prefix& client, const IpAddress& asked) {
  const IpAddress target = host_in(client, asked);
  if (now_.is_draining) return;
  const TimePoint now = loop_.now();
  if (const StoredVerdict* stored = verdicts_.find(system_wall_time(), client)) {
    Active& active = active_[client];
    active.stored = *stored;
    active.wanted_at = now;
    live_.name(now, contacts_of(stored->finding));
    auto told = std::make_shared<Told>();
    tell_one(client, active, *told);
    tell_(std::move(told));
    const bool is_recent =
        active.looked_at != TimePoint::min() && now - active.looked_at < options_.look_again;
    // What found out nothing is not tried again before it has grown old.
    if (is_recent || stored->finding.source == FindingSource::none) return;
    locator_.request(client, stored->target, stored->finding);
  } else {
    locator_.request(client, target);
  }
  carry_out();
}

void Guide::find_out(const dnsd::Prefix& client, const IpAddress& asked,
                     std::function<void(std::optional<StoredVerdict>)> done) {
  const IpAddress target = host_in(client, asked);
  if (const StoredVerdict* stored = verdicts_.find(system_wall_time(), client)) return done(*stored);
  if (waiting_.size() >= options_.locator.waiting_max) return done(std::nullopt);
  const std::uint64_t overflowed = locator_.counters().overflowed.value();
  locator_.request(client, target);
  if (locator_.counters().overflowed.value() != overflowed) return done(std::nullopt);
  waiting_.emplace(client, std::move(done));
  carry_out();
}

const StoredVerdict* Guide::known(const dnsd::Prefix& client) {
  return verdicts_.find(system_wall_time(), client);
}

void Guide::carry_out() {
  // A part that answers at once comes back here; what it causes is done in the loop that is running.
  if (is_carrying_out_) return;
  is_carrying_out_ = true;
  for (;;) {
    locator_.take_actions(actions_);
    if (actions_.empty()) break;
    std::vector<Locator::Action> actions = std::move(actions_);
    actions_.clear();
    for (Locator::Action& action : actions) std::visit([this](auto& a) { carry_out(a); }, action);
  }
  is_carrying_out_ = false;
}

void Guide::carry_out(const Locator::Ping& ping) {
  // A node that we know: the index measures it all the time.
  const dsht::LevelVerdict known = index_.level_of(ping.target);
  if (known.source == dsht::LevelVerdict::Source::measured) return locator_.on_ping(ping.id, known.rtt);
  prober_.ping(ping.target, [this, alive = alive_, id = ping.id](const probe::PingResult& result) {
    if (!*alive) return;
    locator_.on_ping(id, result.rtt);
    carry_out();
  });
}

void Guide::carry_out(const Locator::Trace& trace) {
  prober_.trace(trace.target, [this, alive = alive_, id = trace.id](const probe::TraceResult& result) {
    if (!*alive) return;
    locator_.on_trace(id, result);
    carry_out();
  });
}

void Guide::carry_out(const Locator::Search& search) {
  dsht::FindNodes what;
  for (const std::string& name : search.names) what.hints.push_back(index_.key(dsht::KeyDomain::hint, name));
  what.count = search.count;
  what.heard_within = options_.live.ping_every;
  index_.find_nodes(std::move(what), options_.search_budget,
                    [this, alive = alive_, id = search.id](const dsht::NodesNear& found) {
                      if (!*alive) return;
                      std::vector<dsht::Contact> contacts;
                      for (const auto& node : found.nodes) contacts.push_back(node.contact);
                      live_.name(loop_.now(), contacts);
                      for (const dsht::Neighbour& node : found.nodes) live_.heard(node);
                      locator_.on_found(id, found);
                      carry_out();
                    });
}

void Guide::carry_out(Locator::Located& located) {
  const TimePoint now = loop_.now();
  const WallTime wall = system_wall_time();
  StoredVerdict stored;
  stored.target = located.target;
  stored.measured = wall;
  if (const StoredVerdict* before = verdicts_.find(wall, located.client); before && located.is_refresh)
    stored.measured = before->measured;
  stored.finding = std::move(located.finding);
  Active& active = active_[located.client];
  active.stored = stored;
  active.wanted_at = now;
  live_.name(now, contacts_of(stored.finding));
  if (located.is_final) {
    active.looked_at = now;
    verdicts_.put(located.client, stored);
    const auto [first, last] = waiting_.equal_range(located.client);
    std::vector<std::function<void(std::optional<StoredVerdict>)>> done;
    for (auto at = first; at != last; ++at) done.push_back(std::move(at->second));
    waiting_.erase(first, last);
    for (const auto& call : done) call(stored);
  }
  auto told = std::make_shared<Told>();
  tell_one(located.client, active, *told);
  tell_(std::move(told));
}

// ---- telling

bool Guide::is_self(const dsht::Contact& contact) const { return contact.id == index_.id(); }

std::shared_ptr<const dnsd::Verdict> Guide::verdict_of(const StoredVerdict& stored) const {
  auto out = std::make_shared<dnsd::Verdict>();
  out->level = stored.finding.level;
  out->source = source_of(stored.finding.source);
  out->rtt = stored.finding.rtt;
  out->made = out->verified = loop_.now();
  const NearNode *first_proxy = nullptr, *first_server = nullptr;
  const auto add = [](std::vector<IpAddress>& to, const NearNode*& first, const NearNode& node,
                      std::span<const IpAddress> addresses) {
    if (first == nullptr) first = &node;
    if (to.size() >= kNearEnough && !is_as_near(node, *first)) return;
    for (const IpAddress& address : addresses) add_once(to, address);
  };
  for (const NearNode& node : stored.finding.near) {
    const bool own = is_self(node.contact);
    if (!own && !is_live(node.contact)) continue;
    const dsht::Services services = own ? this->services() : usable(node.contact);
    const std::span<const IpAddress> addresses =
        own ? std::span(std::as_const(now_.own)) : std::span(&node.contact.rpc.address, 1);
    if ((services & dsht::kServiceProxy) != 0) add(out->proxies, first_proxy, node, addresses);
    if ((services & dsht::kServiceDns) != 0) add(out->servers, first_server, node, addresses);
  }
  return out;
}

void Guide::tell_one(const dnsd::Prefix& client, Active& active, Told& out) {
  active.told = verdict_of(active.stored);
  active.told_at = loop_.now();
  out.emplace_back(client, active.told);
}

void Guide::tell_changed() {
  const TimePoint now = loop_.now();
  auto told = std::make_shared<Told>();
  for (auto& [client, active] : active_) {
    if (active.stored.finding.near.empty()) continue;
    const auto fresh = verdict_of(active.stored);
    const bool is_same =
        active.told && fresh->proxies == active.told->proxies && fresh->servers == active.told->servers;
    if (is_same && (fresh->proxies.empty() && fresh->servers.empty())) continue;
    if (is_same && now - active.told_at < options_.tell_again) continue;
    // Its level is no younger than it was.
    auto verdict = std::make_shared<dnsd::Verdict>(*fresh);
    if (active.told) verdict->made = active.told->made;
    active.told = verdict;
    active.told_at = now;
    told->emplace_back(client, active.told);
  }
  if (!told->empty()) tell_(std::move(told));
}

void Guide::make_room() {
  const TimePoint now = loop_.now();
  std::erase_if(active_, [&](const auto& a) { return now - a.second.wanted_at >= options_.active_for; });
  if (active_.size() <= options_.active_max) return;
  std::vector<std::pair<TimePoint, dnsd::Prefix>> by_age;
  for (const auto& [client, active] : active_) by_age.emplace_back(active.wanted_at, client);
  const std::size_t surplus = active_.size() - options_.active_max;
  std::partial_sort(by_age.begin(), by_age.begin() + static_cast<std::ptrdiff_t>(surplus), by_age.end());
  for (std::size_t i = 0; i < surplus; ++i) active_.erase(by_age[i].second);
}

void Guide::write_some() {
  const TimePoint now = loop_.now();
  if (!file_ || is_writing_ || now - written_at_ < options_.write_every) return;
  written_at_ = now;
  auto changes = std::make_shared<std::vector<VerdictStore::Change>>(verdicts_.take_changes(kWritesMax));
  if (changes->empty()) return;
  is_writing_ = disk_.submit(
      [file = file_, changes] {
        if (const auto written = file->write(*changes); !written)
          log::warn("node", "event=verdicts_not_written error=\"{}\"", written.error().message());
      },
      loop_,
      [this, alive = alive_] {
        if (*alive) is_writing_ = false;
      });
}

}  // namespace reef::node
