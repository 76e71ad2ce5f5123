// Plays traces through each eviction policy of the memory tier, at several sizes of the tier.
//
//   reef_bench_eviction [SEED]
//
// Prints a line of JSON for each: {"trace", "bytes_max", "policy", "requests", "hits", "bytes", "hit_bytes",
// "ns_per_request"}. The policy "unbounded" is what a tier without end would have hit. Longer bodies than the
// memory tier keeps cost what it charges for them; see RamTierOptions.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "proxy/store/eviction/eviction.h"
#include "proxy/store/ram_tier.h"
#include "tests/bench/traces.h"

namespace {

using namespace reef;
using namespace reef::proxy;

constexpr std::size_t kBodyInMemoryMax = 1u << 20;
constexpr std::size_t kOverheadBytes = 700;  // of an object beside its body, head and entry together

struct Counts {
  std::uint64_t requests = 0, hits = 0, bytes = 0, hit_bytes = 0;
};

std::size_t cost_of(std::size_t body_bytes) {
  return kOverheadBytes + (body_bytes > kBodyInMemoryMax ? RamTierOptions{}.file_body_cost : body_bytes);
}

// Spreads numbers as the hash of a URL does (splitmix64).
std::uint64_t mixed(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

class Tier {
 public:
  Tier(EvictionPolicy policy, std::size_t bytes_max, std::size_t objects)
      : bytes_max_(bytes_max),
        eviction_(make_eviction({.policy = policy, .bytes_max = bytes_max}, entries_, {})),
        entry_of_(objects, kNoEntry) {}

  bool request(std::uint32_t object, std::size_t body_bytes) {
    if (entry_of_[object] != kNoEntry) {
      eviction_->use(entry_of_[object]);
      return true;
    }
    const std::size_t cost = cost_of(body_bytes);
    if (cost > eviction_->cost_max()) return false;
    while (bytes_ + cost > bytes_max_) {
      const EntryNumber gone = eviction_->evict();
      bytes_ -= entries_[gone].cost;
      entry_of_[object_of_[gone]] = kNoEntry;
      free_.push_back(gone);
    }
    if (free_.empty()) {
      free_.push_back(static_cast<EntryNumber>(entries_.size()));
      entries_.emplace_back();
      object_of_.push_back(0);
    }
    const EntryNumber number = free_.back();
    free_.pop_back();
    entries_[number].hash = {mixed(object), mixed(~std::uint64_t{object})};
    entries_[number].cost = cost;
    object_of_[number] = object;
    entry_of_[object] = number;
    bytes_ += cost;
    eviction_->enter(number, std::nullopt);
    return false;
  }

 private:
  const std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::vector<TierEntry> entries_;
  std::unique_ptr<Eviction> eviction_;
  std::vector<std::uint32_t> object_of_;  // by entry
  std::vector<EntryNumber> entry_of_;     // by object
  std::vector<EntryNumber> free_;
};

void print(const bench::Trace& trace, std::size_t bytes_max, std::string_view policy, const Counts& counts,
           double ns) {
  std::printf(
      "{\"trace\": \"%.*s\", \"bytes_max\": %zu, \"policy\": \"%.*s\", \"requests\": %lu, \"hits\": %lu, "
      "\"bytes\": "
      "%lu, \"hit_bytes\": %lu, \"ns_per_request\": %.1f}\n",
      static_cast<int>(trace.name.size()), trace.name.data(), bytes_max, static_cast<int>(policy.size()),
      policy.data(), counts.requests, counts.hits, counts.bytes, counts.hit_bytes, ns);
  std::fflush(stdout);
}

template <class Request>
Counts play(const bench::Trace& trace, Request request) {
  Counts counts;
  for (const std::uint32_t object : trace.requests) {
    const std::uint32_t bytes = trace.bytes[object];
    const bool hit = request(object, bytes);
    ++counts.requests;
    counts.bytes += bytes;
    if (hit) ++counts.hits;
    if (hit) counts.hit_bytes += bytes;
  }
  return counts;
}

void compare(const bench::Trace& trace) {
  for (const std::size_t mib : {64, 256, 1024}) {
    for (const EvictionPolicy policy : kEvictionPolicies) {
      Tier tier(policy, mib << 20, trace.bytes.size());
      const auto start = std::chrono::steady_clock::now();
      const Counts counts =
          play(trace, [&](std::uint32_t object, std::size_t bytes) { return tier.request(object, bytes); });
      const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
      print(trace, mib << 20, to_text(policy), counts, took.count() / static_cast<double>(counts.requests));
    }
  }
  std::vector<bool> seen(trace.bytes.size());
  const Counts counts = play(trace, [&](std::uint32_t object, std::size_t) {
    const bool hit = seen[object];
    seen[object] = true;
    return hit;
  });
  print(trace, 0, "unbounded", counts, 0);
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t seed = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1;
  compare(bench::zipf_with_scans(seed));
  compare(bench::coral_day(seed));
  return 0;
}
