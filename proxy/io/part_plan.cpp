#include "proxy/io/part_plan.h"

#include <algorithm>

#include "base/check.h"

namespace reef::proxy {

PartPlan::PartPlan(std::uint64_t total, std::uint64_t here, Owner owner)
    : total_(total), claims_{{owner, {here, total}}} {
  BASE_CHECK(here <= total);
}

std::uint64_t PartPlan::prefix() const {
  std::uint64_t first = missing_.empty() ? total_ : missing_.front().at;
  for (const Claim& claim : claims_) {
    if (!claim.left.empty()) first = std::min(first, claim.left.at);
  }
  return first;
}

std::optional<PartPlan::Range> PartPlan::missing() const {
  if (missing_.empty()) return std::nullopt;
  return missing_.front();
}

PartPlan::Range PartPlan::take(Owner owner, std::uint64_t max) {
  BASE_CHECK(!missing_.empty() && max > 0 && !claim(owner));
  Range& first = missing_.front();
  const Range taken{first.at, first.at + std::min(max, first.size())};
  first.at = taken.end;
  if (first.empty()) missing_.erase(missing_.begin());
  claims_.push_back({owner, taken});
  return taken;
}

std::optional<PartPlan::Range> PartPlan::claim(Owner owner) const {
  for (const Claim& claim : claims_) {
    if (claim.owner == owner) return claim.left;
  }
  return std::nullopt;
}

PartPlan::Claim& PartPlan::of(Owner owner) {
  const auto found = std::find_if(claims_.begin(), claims_.end(),
                                  [owner](const Claim& claim) { return claim.owner == owner; });
  BASE_CHECK(found != claims_.end());
  return *found;
}

void PartPlan::arrived(Owner owner, std::uint64_t bytes) {
  Range& left = of(owner).left;
  BASE_CHECK(bytes <= left.size());
  left.at += bytes;
}

bool PartPlan::extend(Owner owner, std::uint64_t max) {
  Range& left = of(owner).left;
  const auto behind = std::find_if(missing_.begin(), missing_.end(),
                                   [&left](const Range& range) { return range.at == left.end; });
  if (behind == missing_.end()) return false;
  const std::uint64_t more = std::min(max, behind->size());
  left.end += more;
  behind->at += more;
  if (behind->empty()) missing_.erase(behind);
  return true;
}

void PartPlan::shorten(Owner owner, std::uint64_t kept) {
  Range& left = of(owner).left;
  if (kept >= left.size()) return;
  const Range given_up{left.at + kept, left.end};
  left.end = given_up.at;
  add_missing(given_up);
}

void PartPlan::release(Owner owner) {
  const auto found = std::find_if(claims_.begin(), claims_.end(),
                                  [owner](const Claim& claim) { return claim.owner == owner; });
  if (found == claims_.end()) return;
  const Range left = found->left;
  claims_.erase(found);
  if (!left.empty()) add_missing(left);
}

void PartPlan::add_missing(Range range) {
  auto next = std::find_if(missing_.begin(), missing_.end(),
                           [&range](const Range& other) { return other.at >= range.end; });
  if (next != missing_.end() && next->at == range.end) {
    range.end = next->end;
    next = missing_.erase(next);
  }
  if (next != missing_.begin() && std::prev(next)->end == range.at) {
    std::prev(next)->end = range.end;
  } else {
    missing_.insert(next, range);
  }
}

}  // namespace reef::proxy
