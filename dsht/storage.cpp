#include "dsht/storage.h"

#include <algorithm>
#include <optional>

namespace reef::dsht {
namespace {

// What a value costs beside its data: list element, expiry entry, its share of the key's table entry.
constexpr std::size_t kOverheadBytes = 192;

std::size_t cost(const StoredValue& value) { return value.data.size() + kOverheadBytes; }

void thin_out(std::vector<const StoredValue*>& list, const NodeId& keep, std::size_t count, Random& random) {
  if (list.size() <= count) return;
  const auto first =
      std::find_if(list.begin(), list.end(), [](const StoredValue* v) { return v->provisional; });
  const StoredValue* earliest = first == list.end() ? nullptr : *first;
  for (std::size_t i = list.size() - 1; i > 0; --i) std::swap(list[i], list[random.below(i + 1)]);
  const auto rank = [&](const StoredValue* v) {
    if (v == earliest || v->publisher == keep) return 0;
    return v->provisional ? 2 : 1;
  };
  std::stable_sort(list.begin(), list.end(), [&](const auto* a, const auto* b) { return rank(a) < rank(b); });
  list.resize(count);
  std::sort(list.begin(), list.end(), [](const auto* a, const auto* b) { return a->arrived < b->arrived; });
}

}  // namespace

Storage::Storage(const StorageOptions& options, const SipKey& secret)
    : options_(options), values_(16, KeyedIdHash{secret}) {}

TimePoint Storage::next_arrival(TimePoint now) {
  last_arrival_ = std::max(now, last_arrival_ + Duration(1));
  return last_arrival_;
}

Storage::Outcome Storage::put(TimePoint now, const Key& key, const NodeId& publisher, ByteView data,
                              std::chrono::seconds ttl, bool provisional) {
  ttl = std::min(ttl, options_.ttl_max);
  if (ttl <= std::chrono::seconds::zero()) return Outcome::full;
  StoredValue value{publisher, {data.begin(), data.end()}, {}, now + ttl, provisional};
  if (const auto entry = values_.find(key); entry != values_.end()) {
    List& list = entry->second;
    const auto old =
        std::find_if(list.begin(), list.end(), [&](const auto& v) { return v.publisher == publisher; });
    if (old != list.end()) {
      const bool keeps_place = old->expires > now && (old->provisional || !provisional);
      if (keeps_place) {
        value.arrived = old->arrived;
        update(key, list, old, value);
        return Outcome::renewed;
      }
      erase(key, publisher);
    }
  }
  value.arrived = next_arrival(now);
  return insert(now, key, std::move(value));
}

Storage::Outcome Storage::merge(TimePoint now, const Key& key, const StoredValue& value) {
  if (value.expires <= now) return Outcome::full;
  StoredValue merged = value;
  merged.expires = std::min(merged.expires, now + options_.ttl_max);
  Outcome outcome = Outcome::stored;
  if (const auto entry = values_.find(key); entry != values_.end()) {
    List& list = entry->second;
    const auto old =
        std::find_if(list.begin(), list.end(), [&](const auto& v) { return v.publisher == value.publisher; });
    if (old != list.end() && old->expires > now) {
      if (!old->provisional && merged.provisional) return Outcome::renewed;
      merged.arrived = std::min(merged.arrived, old->arrived);
      if (merged.provisional == old->provisional && merged.expires < old->expires) {
        merged.expires = old->expires;
        merged.data = old->data;
      }
      outcome = Outcome::renewed;
    }
    if (old != list.end()) erase(key, value.publisher);
  }
  // Arrival times decide the order, so no two may be the same.
  if (const auto entry = values_.find(key); entry != values_.end()) {
    for (const StoredValue& other : entry->second) {
      if (other.arrived == merged.arrived) merged.arrived += Duration(1);
    }
  }
  const Outcome inserted = insert(now, key, std::move(merged));
  return inserted == Outcome::full ? inserted : outcome;
}

bool Storage::make_room(TimePoint now, const Key& key, const StoredValue& value) {
  if (const auto entry = values_.find(key); entry != values_.end()) {
    List& list = entry->second;
    std::optional<NodeId> victim;
    if (list.size() >= options_.values_per_key_max) {
      const auto least = std::min_element(list.begin(), list.end(),
                                          [](const auto& a, const auto& b) { return a.expires < b.expires; });
      const auto last = std::find_if(list.rbegin(), list.rend(), [](const auto& v) { return v.provisional; });
      if (least->expires <= now) {
        victim = least->publisher;
      } else if (value.provisional) {
        return false;
      } else if (last != list.rend()) {
        victim = last->publisher;
      } else if (least->expires < value.expires) {
        victim = least->publisher;
      } else {
        return false;
      }
    }
    if (victim) erase(key, *victim);
  }
  while (by_expiry_.size() + 1 > options_.values_max || bytes_ + cost(value) > options_.bytes_max) {
    if (by_expiry_.empty()) return false;
    const auto [expires, victim_key, victim] = *by_expiry_.begin();
    if (expires >= value.expires) return false;
    erase(victim_key, victim);
  }
  return true;
}

Storage::Outcome Storage::insert(TimePoint now, const Key& key, StoredValue value) {
  if (!make_room(now, key, value)) return Outcome::full;
  by_expiry_.emplace(value.expires, key, value.publisher);
  bytes_ += cost(value);
  List& list = values_[key];
  const auto place = std::upper_bound(list.begin(), list.end(), value.arrived,
                                      [](TimePoint t, const StoredValue& v) { return t < v.arrived; });
  list.insert(place, std::move(value));
  return Outcome::stored;
}

void Storage::update(const Key& key, List&, List::iterator at, const StoredValue& value) {
  by_expiry_.erase({at->expires, key, at->publisher});
  bytes_ -= cost(*at);
  *at = value;
  bytes_ += cost(value);
  by_expiry_.emplace(value.expires, key, value.publisher);
}

void Storage::erase(const Key& key, const NodeId& publisher) {
  const auto entry = values_.find(key);
  if (entry == values_.end()) return;
  List& list = entry->second;
  const auto at =
      std::find_if(list.begin(), list.end(), [&](const auto& v) { return v.publisher == publisher; });
  if (at == list.end()) return;
  by_expiry_.erase({at->expires, key, publisher});
  bytes_ -= cost(*at);
  list.erase(at);
  if (list.empty()) values_.erase(entry);
}

bool Storage::withdraw(const Key& key, const NodeId& publisher) {
  const std::size_t before = by_expiry_.size();
  erase(key, publisher);
  return by_expiry_.size() != before;
}

std::vector<const StoredValue*> Storage::live(TimePoint now, const Key& key) const {
  std::vector<const StoredValue*> out;
  const auto entry = values_.find(key);
  if (entry == values_.end()) return out;
  for (const StoredValue& value : entry->second) {
    if (value.expires > now) out.push_back(&value);
  }
  return out;
}

std::vector<const StoredValue*> Storage::earlier(TimePoint now, const Key& key, const NodeId& asker,
                                                 std::size_t count, Random& random) const {
  std::vector<const StoredValue*> out = live(now, key);
  const auto own = std::find_if(out.begin(), out.end(), [&](const auto* v) { return v->publisher == asker; });
  const TimePoint place = own == out.end() ? TimePoint::max() : (*own)->arrived;
  std::erase_if(out, [&](const StoredValue* v) {
    return v->publisher == asker || (v->provisional && v->arrived > place);
  });
  thin_out(out, asker, count, random);
  return out;
}

std::vector<const StoredValue*> Storage::sample(TimePoint now, const Key& key, const NodeId& asker,
                                                std::size_t count, Random& random) const {
  std::vector<const StoredValue*> out = live(now, key);
  thin_out(out, asker, count, random);
  return out;
}

void Storage::expire(TimePoint now, std::size_t count) {
  while (count-- > 0 && !by_expiry_.empty() && std::get<0>(*by_expiry_.begin()) <= now) {
    const auto [expires, key, publisher] = *by_expiry_.begin();
    erase(key, publisher);
  }
}

std::vector<Key> Storage::keys() const {
  std::vector<Key> out;
  out.reserve(values_.size());
  for (const auto& [key, list] : values_) out.push_back(key);
  return out;
}

}  // namespace reef::dsht
