#include "node/hint_keeper.h"

#include <algorithm>

#include "dsht/address_group.h"

namespace reef::node {
namespace {

// Of one round: traces asked for, for each that is wanted.
constexpr std::size_t kAttemptsPerTrace = 3;

bool is_usable(const probe::TraceResult& result) {
  switch (result.end) {
    case probe::TraceEnd::reached:
    case probe::TraceEnd::unreachable:
    case probe::TraceEnd::silent:
    case probe::TraceEnd::timed_out:
      return !result.hops.empty();
    case probe::TraceEnd::refused:
    case probe::TraceEnd::over_budget:
    case probe::TraceEnd::failed:
      return false;
  }
  return false;
}

}  // namespace

HintKeeper::HintKeeper(const HintKeeperOptions& options, Random random)
    : options_(options), random_(random) {}

bool HintKeeper::was_traced(const IpAddress& address) const {
  // Two traces into one network show the same way.
  return std::any_of(targets_.begin(), targets_.end(),
                     [&](const IpAddress& target) { return dsht::same_network(target, address); });
}

// One by lot of the farther half of those not traced lately.
std::optional<IpAddress> HintKeeper::choose(std::span<const dsht::Neighbour> contacts) {
  std::vector<const dsht::Neighbour*> candidates;
  for (const dsht::Neighbour& contact : contacts) {
    const IpAddress& address = contact.contact.rpc.address;
    if (contact.rtt && dsht::says_where(address, options_.hints) && !was_traced(address))
      candidates.push_back(&contact);
  }
  if (candidates.empty()) return std::nullopt;
  const std::size_t far = (candidates.size() + 1) / 2;
  std::nth_element(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(far - 1),
                   candidates.end(), [](const auto* a, const auto* b) { return *a->rtt > *b->rtt; });
  return candidates[random_.below(far)]->contact.rpc.address;
}

std::vector<IpAddress> HintKeeper::due(TimePoint now, std::span<const dsht::Neighbour> contacts) {
  if (!options_.enabled || contacts.empty()) return {};
  if (now >= round_ends_) {
    round_ends_ = now + options_.period;
    wanted_ = options_.traces;
    attempts_left_ = options_.traces * kAttemptsPerTrace;
    // In a small network the targets of the last round must do again.
    while (targets_.size() > options_.traces) targets_.pop_front();
    if (!choose(contacts)) targets_.clear();
  }
  std::vector<IpAddress> out;
  while (wanted_ > 0 && attempts_left_ > 0) {
    const auto target = choose(contacts);
    if (!target) break;
    targets_.push_back(*target);
    out.push_back(*target);
    --wanted_;
    --attempts_left_;
  }
  return out;
}

void HintKeeper::traced(const probe::TraceResult& result) {
  if (!is_usable(result)) {
    ++wanted_;
    return;
  }
  results_.push_back(result);
  if (results_.size() > options_.traces) results_.pop_front();
}

std::optional<Duration> HintKeeper::last_mile() const {
  std::optional<Duration> out;
  for (const probe::TraceResult& trace : results_) {
    const auto first = std::find_if(trace.hops.begin(), trace.hops.end(), [&](const probe::Hop& hop) {
      return hop.address && dsht::says_where(*hop.address, options_.hints);
    });
    if (first != trace.hops.end()) out = out ? std::min(*out, first->rtt) : first->rtt;
  }
  return out;
}

std::optional<std::vector<std::string>> HintKeeper::changed_names(std::span<const IpAddress> own) {
  if (!options_.enabled) return std::nullopt;
  const std::vector<probe::TraceResult> traces(results_.begin(), results_.end());
  std::vector<std::string> names = dsht::hint_names(own, traces, options_.hints);
  std::vector<std::string> near = dsht::near_names(traces, options_.hints);
  if (names == names_ && near == near_names_) return std::nullopt;
  names_ = std::move(names);
  near_names_ = std::move(near);
  return names_;
}

}  // namespace reef::node
