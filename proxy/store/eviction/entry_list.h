// A queue of a tier's entries, linked through their own fields.
#pragma once

#include "proxy/store/eviction/eviction.h"

namespace reef::proxy {

struct EntryList {
  EntryNumber oldest = kNoEntry;
  EntryNumber newest = kNoEntry;
  std::size_t bytes = 0;
  std::size_t count = 0;

  void push_newest(std::vector<TierEntry>& entries, EntryNumber number) {
    TierEntry& entry = entries[number];
    entry.older = newest;
    entry.newer = kNoEntry;
    (newest == kNoEntry ? oldest : entries[newest].newer) = number;
    newest = number;
    bytes += entry.cost;
    ++count;
  }
  void remove(std::vector<TierEntry>& entries, EntryNumber number) {
    const TierEntry& entry = entries[number];
    (entry.older == kNoEntry ? oldest : entries[entry.older].newer) = entry.newer;
    (entry.newer == kNoEntry ? newest : entries[entry.newer].older) = entry.older;
    bytes -= entry.cost;
    --count;
  }
};

}  // namespace reef::proxy
