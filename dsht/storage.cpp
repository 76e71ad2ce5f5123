#include "dsht/storage.h"

#include <algorithm>
#include <optional>

namespace reef::dsht {
namespace {

// What a value costs beside its data: list element (publisher, record with key and signature, times), node
// of the expiry set, and an entry of the table of keys, as if it were alone under its key.
constexpr std::size_t kTreeNodeBytes = 32;
constexpr std::size_t kHashNodeBytes = 24;
constexpr std::size_t kOverheadBytes = sizeof(StoredValue) + kTreeNodeBytes +
                                       sizeof(std::tuple<TimePoint, Key, NodeId>) + kHashNodeBytes +
                                       sizeof(std::pair<const Key, std::vector<StoredValue>>);

std::size_t cost(const StoredValue& value) { return value.record.data.size() + kOverheadBytes; }

// Whether a record that follows another of the same publisher keeps its place in the order.
bool keeps_place(const Record& before, const Record& after) {
  return before.provisional || !after.provisional;
}

void thin_out(std::vector<const StoredValue*>& list, const NodeId& keep, std::size_t count, Random& random) {
  if (list.size() <= count) return;
  const auto first =
      std::find_if(list.begin(), list.end(), [](const StoredValue* v) { return v->record.provisional; });
  const StoredValue* earliest = first == list.end() ? nullptr : *first;
  for (std::size_t i = list.size() - 1; i > 0; --i) std::swap(list[i], list[random.below(i + 1)]);
  const auto rank = [&](const StoredValue* v) {
    if (v == earliest || v->publisher == keep) return 0;
    return v->record.provisional ? 2 : 1;
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

const StoredValue* Storage::held(const Key& key, const NodeId& publisher) const {
  const auto entry = values_.find(key);
  if (entry == values_.end()) return nullptr;
  const List& list = entry->second;
  const auto at =
      std::find_if(list.begin(), list.end(), [&](const auto& v) { return v.publisher == publisher; });
  return at == list.end() ? nullptr : &*at;
}

Storage::Outcome Storage::put(TimePoint now, const Key& key, const NodeId& publisher, const Record& record) {
  const StoredValue* old = held(key, publisher);
  if (old != nullptr && record.sequence < old->record.sequence) return Outcome::old;
  const bool was_live = old != nullptr && old->expires > now;
  if (record.ttl_seconds == 0) {
    erase(key, publisher);
    return was_live ? Outcome::withdrawn : Outcome::absent;
  }
  if (old != nullptr && record.sequence == old->record.sequence)
    return was_live ? Outcome::renewed : Outcome::old;
  const auto ttl = std::min(std::chrono::seconds(record.ttl_seconds), options_.ttl_max);
  StoredValue value{publisher, record, {}, now + ttl};
  if (was_live && keeps_place(old->record, record)) {
    value.arrived = old->arrived;
    return replace(now, key, std::move(value));
  }
  erase(key, publisher);
  value.arrived = next_arrival(now);
  return insert(now, key, std::move(value));
}

bool Storage::holds(const Key& key, const Record& record) const {
  const auto entry = values_.find(key);
  return entry != values_.end() && std::any_of(entry->second.begin(), entry->second.end(),
                                               [&](const auto& value) { return value.record == record; });
}

Storage::Outcome Storage::merge(TimePoint now, const Key& key, const StoredValue& value) {
  if (value.expires <= now || value.record.ttl_seconds == 0) return Outcome::full;
  StoredValue merged = value;
  const auto ttl = std::min(std::chrono::seconds(value.record.ttl_seconds), options_.ttl_max);
  merged.expires = std::min(merged.expires, now + ttl);
  const StoredValue* old = held(key, value.publisher);
  const bool was_live = old != nullptr && old->expires > now;
  if (old != nullptr && value.record.sequence <= old->record.sequence) {
    if (!was_live || !keeps_place(value.record, old->record) || old->arrived <= value.arrived)
      return Outcome::old;
    // Ours is the newer word, or the same; but its publisher was there before we heard of it.
    merged = *old;
    merged.arrived = value.arrived;
  } else if (was_live && keeps_place(old->record, value.record)) {
    merged.arrived = std::min(merged.arrived, old->arrived);
  }
  // Arrival times decide the order, so no two may be the same.
  if (const auto entry = values_.find(key); entry != values_.end()) {
    for (const StoredValue& other : entry->second) {
      if (other.arrived == merged.arrived && other.publisher != merged.publisher)
        merged.arrived += Duration(1);
    }
  }
  if (was_live) return replace(now, key, std::move(merged));
  erase(key, value.publisher);
  return insert(now, key, std::move(merged));
}

bool Storage::make_room(TimePoint now, const Key& key, const StoredValue& value) {
  if (const auto entry = values_.find(key); entry != values_.end()) {
    List& list = entry->second;
    std::optional<NodeId> victim;
    if (list.size() >= options_.values_per_key_max) {
      const auto least = std::min_element(list.begin(), list.end(),
                                          [](const auto& a, const auto& b) { return a.expires < b.expires; });
      const auto last =
          std::find_if(list.rbegin(), list.rend(), [](const auto& v) { return v.record.provisional; });
      if (least->expires <= now) {
        victim = least->publisher;
      } else if (value.record.provisional) {
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

Storage::Outcome Storage::replace(TimePoint now, const Key& key, StoredValue value) {
  erase(key, value.publisher);
  // Its place under the key is free, so only the bounds of all can refuse it.
  return insert(now, key, std::move(value)) == Outcome::full ? Outcome::full : Outcome::renewed;
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

bool Storage::is_full(TimePoint now, const Key& key, std::chrono::seconds ttl,
                      const NodeId& publisher) const {
  const auto entry = values_.find(key);
  if (entry == values_.end()) return options_.full_at == 0;
  const Duration half = Duration(std::clamp(ttl, std::chrono::seconds::zero(), options_.ttl_max)) / 2;
  std::size_t lasting = 0;
  for (const StoredValue& value : entry->second) {
    if (value.record.provisional || value.expires <= now || value.expires - now < half) continue;
    if (value.publisher == publisher || ++lasting >= options_.full_at) return true;
  }
  return lasting >= options_.full_at;
}

std::size_t Storage::count(const Key& key) const {
  const auto entry = values_.find(key);
  return entry == values_.end() ? 0 : entry->second.size();
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
    return v->publisher == asker || (v->record.provisional && v->arrived > place);
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
