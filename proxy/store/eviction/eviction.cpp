#include "proxy/store/eviction/eviction.h"

#include "proxy/store/eviction/lfu.h"
#include "proxy/store/eviction/lru.h"
#include "proxy/store/eviction/s3_fifo.h"
#include "proxy/store/eviction/sieve.h"

namespace reef::proxy {

std::string_view to_text(EvictionPolicy policy) {
  switch (policy) {
    case EvictionPolicy::s3_fifo:
      return "s3-fifo";
    case EvictionPolicy::sieve:
      return "sieve";
    case EvictionPolicy::lru:
      return "lru";
    case EvictionPolicy::lfu:
      return "lfu";
  }
  return "";
}

std::optional<EvictionPolicy> parse_eviction_policy(std::string_view text) {
  for (const EvictionPolicy policy : kEvictionPolicies) {
    if (text == to_text(policy)) return policy;
  }
  return std::nullopt;
}

std::unique_ptr<Eviction> make_eviction(const EvictionOptions& options, std::vector<TierEntry>& entries,
                                        Eviction::OnInUse in_use) {
  if (!in_use) in_use = [](EntryNumber) {};
  switch (options.policy) {
    case EvictionPolicy::s3_fifo:
      return std::make_unique<S3Fifo>(options, entries, std::move(in_use));
    case EvictionPolicy::sieve:
      return std::make_unique<Sieve>(options.bytes_max, entries, std::move(in_use));
    case EvictionPolicy::lru:
      return std::make_unique<Lru>(options.bytes_max, entries, std::move(in_use));
    case EvictionPolicy::lfu:
      return std::make_unique<Lfu>(options.bytes_max, entries, std::move(in_use));
  }
  return nullptr;
}

}  // namespace reef::proxy
