#include "node/locator.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace reef::node {

const char* to_string(FindingSource source) {
  switch (source) {
    case FindingSource::none:
      return "none";
    case FindingSource::route:
      return "route";
    case FindingSource::prefix:
      return "prefix";
    case FindingSource::rtt:
      return "rtt";
  }
  return "?";
}

void Locator::set_own(std::vector<std::string> names, std::optional<dsht::Contact> self) {
  own_names_ = std::move(names);
  self_ = std::move(self);
}

void Locator::request(const IpPrefix& client, const IpAddress& target, const std::optional<Finding>& known) {
  counters_.requested.add();
  if (known_.contains(client)) return counters_.deduplicated.add();
  if (inquiries_.size() < options_.running_max) {
    known_.insert(client);
    return start({client, target, known});
  }
  if (waiting_.size() >= options_.waiting_max) return counters_.overflowed.add();
  known_.insert(client);
  waiting_.push_back({client, target, known});
}

void Locator::start(Asked asked) {
  const Id id = ++last_id_;
  Inquiry& inquiry = inquiries_[id];
  inquiry.asked = std::move(asked);
  const IpAddress& target = inquiry.asked.target;
  // Addresses that mean something else elsewhere are neither probed nor looked up.
  if (!dsht::says_where(target, options_.hints)) return end(id);
  std::vector<dsht::RouteName> names = {{dsht::prefix_name(target), 0, {}}};
  if (inquiry.asked.known) {
    inquiry.is_refresh = true;
    inquiry.finding = std::move(*inquiry.asked.known);
    // Routers under which nobody stood may be the wrong ones, as some did not answer; or all who stand there
    // are gone, and will come back. Traces are few: what the last one showed stays until another shows more.
    inquiry.may_trace = inquiry.finding.near.empty() || !inquiry.finding.route;
    inquiry.finding.near.clear();
    if (const auto& route = inquiry.finding.route) {
      names.insert(names.end(), route->begin(), route->end());
      inquiry.by_route = true;
    }
  }
  // What was far may have been measured at a bad moment: the least round trip counts.
  if (inquiry.finding.level + 1 < dsht::kLevels) {
    inquiry.pinging = true;
    counters_.pings.add();
    actions_.emplace_back(Ping{id, target});
  }
  search(id, inquiry, std::move(names));
}

void Locator::search(Id id, Inquiry& inquiry, std::vector<dsht::RouteName> names) {
  inquiry.names = std::move(names);
  inquiry.searching = true;
  counters_.searches.add();
  std::vector<std::string> texts;
  for (const dsht::RouteName& name : inquiry.names) texts.push_back(name.name);
  actions_.emplace_back(Search{id, std::move(texts), 2 * options_.near_max});
}

void Locator::on_ping(Id id, std::optional<Duration> rtt) {
  const auto found = inquiries_.find(id);
  if (found == inquiries_.end()) return;
  Inquiry& inquiry = found->second;
  inquiry.pinging = false;
  if (rtt) {
    note_rtt(inquiry.finding, *rtt);
    if (inquiry.searching) tell(inquiry, false);
  }
  go_on(id, inquiry);
}

void Locator::note_rtt(Finding& finding, Duration rtt) const {
  if (finding.source == FindingSource::rtt) rtt = std::min(rtt, finding.rtt.value_or(rtt));
  finding.source = FindingSource::rtt;
  finding.rtt = rtt;
  finding.level = level_within(rtt);
}

void Locator::on_found(Id id, const dsht::NodesNear& found) {
  const auto at = inquiries_.find(id);
  if (at == inquiries_.end()) return;
  at->second.searching = false;
  take_near(at->second, found);
  go_on(id, at->second);
}

// From a node, `rtt` from us, to the client. Our ways to both part at the router that named the node, at the
// latest: from there it is the rest of either.
std::optional<Duration> Locator::between(const Finding& client, std::optional<Duration> rtt,
                                         const dsht::RouteName& name) {
  if (!client.rtt || !rtt) return std::nullopt;
  const Duration further = *rtt - *client.rtt;
  return std::max(further + 2 * name.beyond, std::chrono::abs(further));
}

void Locator::take_near(Inquiry& inquiry, const dsht::NodesNear& found) {
  struct Ranked {
    int group;
    Duration order;
    NearNode node;
    std::optional<Duration> rtt;
  };
  std::vector<Ranked> ranked;
  // Where only the last router's distance is known, the client itself may be as much further.
  const Finding& so_far = inquiry.finding;
  const bool is_measured = so_far.source == FindingSource::rtt;
  const bool is_bounded = so_far.source == FindingSource::route && so_far.rtt;
  const Duration limit = options_.near_within * (is_bounded ? 2 : 1);
  const auto add = [&](std::size_t at, const dsht::Contact& contact, std::optional<Duration> rtt) {
    if (at >= inquiry.names.size()) return;
    const dsht::RouteName& name = inquiry.names[at];
    // By the triangle inequality it is at least so far from the client: not near it, whatever the hint says.
    if ((is_measured || is_bounded) && rtt && std::chrono::abs(*rtt - *so_far.rtt) > limit) return;
    const bool is_self = self_ && contact.id == self_->id;
    const auto away = is_self ? so_far.rtt : between(so_far, rtt, name);
    const int group = name.rank == 0 ? 0 : name.rank < dsht::kPlainRank ? 1 : 2;
    ranked.push_back({group, away.value_or(Duration::max()), {contact, name.rank, away}, rtt});
  };
  for (std::size_t i = 0; i < found.nodes.size(); ++i)
    add(found.named_by[i], found.nodes[i].contact, found.nodes[i].rtt);
  if (self_) {
    const auto own = std::find_if(inquiry.names.begin(), inquiry.names.end(), [&](const auto& name) {
      return std::find(own_names_.begin(), own_names_.end(), name.name) != own_names_.end();
    });
    if (own != inquiry.names.end())
      add(static_cast<std::size_t>(own - inquiry.names.begin()), *self_, Duration::zero());
  }
  std::stable_sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) {
    return std::tie(a.group, a.order) < std::tie(b.group, b.order);
  });
  Finding& finding = inquiry.finding;
  const FindingSource source = inquiry.by_route ? FindingSource::route : FindingSource::prefix;
  const auto first = std::find_if(ranked.begin(), ranked.end(), [](const Ranked& r) { return r.rtt; });
  if (source >= finding.source && first != ranked.end()) {
    // A router on the way that is further than the nodes under its name says more.
    finding.rtt = std::max(first->rtt, finding.rtt);
    finding.source = source;
    finding.level = level_within(*finding.rtt);
  }
  for (const Ranked& r : ranked) {
    if (finding.near.size() < options_.near_max) finding.near.push_back(r.node);
  }
}

void Locator::go_on(Id id, Inquiry& inquiry) {
  if (inquiry.pinging || inquiry.searching) return;
  if (!inquiry.finding.near.empty() || !inquiry.may_trace || !options_.traces) return end(id);
  inquiry.may_trace = false;
  if (inquiry.finding.source != FindingSource::none) tell(inquiry, false);
  counters_.traces.add();
  actions_.emplace_back(Trace{id, inquiry.asked.target});
}

void Locator::on_trace(Id id, const probe::TraceResult& trace) {
  const auto found = inquiries_.find(id);
  if (found == inquiries_.end()) return;
  Inquiry& inquiry = found->second;
  Finding& finding = inquiry.finding;
  // Not made: it may be made the next time.
  if (trace.end == probe::TraceEnd::refused || trace.end == probe::TraceEnd::over_budget ||
      trace.end == probe::TraceEnd::failed) {
    return end(id);
  }
  if (!trace.hops.empty() && trace.hops.back().address) {
    const Duration rtt = trace.hops.back().rtt;
    if (trace.end == probe::TraceEnd::reached) {
      note_rtt(finding, rtt);
    } else if (finding.source != FindingSource::rtt) {
      finding.source = FindingSource::route;
      finding.rtt = rtt;
      finding.level = level_within(rtt);
    }
    tell(inquiry, false);
  }
  auto names = dsht::route_names(trace, options_.hints, options_.near_within);
  if (!names.empty() || !finding.route) finding.route = names;
  if (names.empty()) return end(id);
  inquiry.by_route = true;
  search(id, inquiry, std::move(names));
}

void Locator::tell(Inquiry& inquiry, bool is_final) {
  actions_.emplace_back(
      Located{inquiry.asked.client, inquiry.asked.target, inquiry.finding, is_final, inquiry.is_refresh});
}

void Locator::end(Id id) {
  auto ended = inquiries_.extract(id);
  Inquiry& inquiry = ended.mapped();
  known_.erase(inquiry.asked.client);
  switch (inquiry.finding.source) {
    case FindingSource::none:
      counters_.unknown.add();
      break;
    case FindingSource::route:
      counters_.by_route.add();
      break;
    case FindingSource::prefix:
      counters_.by_prefix.add();
      break;
    case FindingSource::rtt:
      counters_.by_rtt.add();
      break;
  }
  tell(inquiry, true);
  if (waiting_.empty() || inquiries_.size() >= options_.running_max) return;
  Asked next = std::move(waiting_.front());
  waiting_.pop_front();
  start(std::move(next));
}

dsht::Level Locator::level_within(Duration rtt) const {
  return rtt < options_.threshold_2 ? 2 : rtt < options_.threshold_1 ? 1 : 0;
}

void Locator::take_actions(std::vector<Action>& out) {
  out.clear();
  out.swap(actions_);
}

}  // namespace reef::node
