#include "dnsd/locality.h"

#include <algorithm>
#include <array>
#include <bit>

#include "base/check.h"

namespace reef::dnsd {

std::string_view to_string(Source source) {
  switch (source) {
    case Source::none:
      return "none";
    case Source::rtt:
      return "rtt";
    case Source::prefix:
      return "prefix";
    case Source::route:
      return "route";
  }
  return "?";
}

Prefix network_of(const IpAddress& address, const LocalityOptions& options, int bits_max) {
  int bits = address.is_v4() ? options.v4_prefix_bits : options.v6_prefix_bits;
  if (bits_max >= 0) bits = std::min(bits, bits_max);
  return IpPrefix::around(address, bits);
}

VerdictCache::VerdictCache(const LocalityOptions& options, const SipKey& secret)
    : options_(options), secret_(secret) {
  BASE_CHECK(options.v4_prefix_bits >= 1 && options.v4_prefix_bits <= 32);
  BASE_CHECK(options.v6_prefix_bits >= 1 && options.v6_prefix_bits <= 128);
  entries_.resize(std::bit_ceil(std::max(options.verdicts_max, kWays)));
}

std::size_t VerdictCache::set_of(const Prefix& network) const {
  std::array<std::byte, 17> input;
  std::copy_n(std::as_bytes(std::span(network.address.bytes())).begin(), 16, input.begin());
  input[16] = static_cast<std::byte>(network.bits);
  return siphash(secret_, input) % (entries_.size() / kWays) * kWays;
}

bool VerdictCache::is_old(TimePoint now, const Verdict& verdict) const {
  if (now - verdict.made > options_.verdict_ttl) return true;
  const bool nearby = !verdict.proxies.empty() || !verdict.servers.empty();
  return nearby && now - verdict.verified > options_.nearby_ttl / 2;  // in time to be used without a gap
}

VerdictCache::Entry& VerdictCache::place_for(std::size_t set, const Prefix& network) {
  const auto begin = entries_.begin() + static_cast<std::ptrdiff_t>(set);
  const auto end = begin + kWays;
  const auto same = std::find_if(begin, end, [&](const Entry& e) { return e.taken && e.network == network; });
  if (same != end) return *same;
  const auto rank = [](const Entry& e) {
    return std::pair(e.taken ? (e.verdict ? 2 : 1) : 0, e.used_at);  // the least gives way
  };
  const auto least =
      std::min_element(begin, end, [&](const Entry& a, const Entry& b) { return rank(a) < rank(b); });
  *least = Entry{.network = network, .taken = true};
  return *least;
}

VerdictCache::Found VerdictCache::find(TimePoint now, const Prefix& network) {
  Entry& entry = place_for(set_of(network), network);
  const bool unknown = !entry.verdict || is_old(now, *entry.verdict);
  const bool asked = entry.asked_at != TimePoint{} && now - entry.asked_at < options_.ask_again;
  entry.used_at = now;
  if (unknown && !asked) entry.asked_at = now;
  return {entry.verdict.get(), unknown && !asked};
}

const Verdict* VerdictCache::peek(const Prefix& network) const {
  const std::size_t set = set_of(network);
  for (std::size_t i = set; i < set + kWays; ++i) {
    if (entries_[i].taken && entries_[i].network == network) return entries_[i].verdict.get();
  }
  return nullptr;
}

void VerdictCache::set(TimePoint now, const Prefix& network, std::shared_ptr<const Verdict> verdict) {
  BASE_CHECK(verdict != nullptr);
  Entry& entry = place_for(set_of(network), network);
  entry.verdict = std::move(verdict);
  entry.used_at = now;
}

}  // namespace reef::dnsd
