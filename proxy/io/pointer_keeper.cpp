#include "proxy/io/pointer_keeper.h"

#include <algorithm>

#include "proxy/io/pointer.h"

namespace reef::proxy {
namespace {

// A pointer to what will be stale in a moment costs more than it saves.
constexpr std::chrono::seconds kWorthwhile{5};
// Renewals of one turn: a node with many objects spreads its puts instead of flooding the index.
constexpr int kPutsPerTurn = 16;
constexpr Duration kTurnGap = std::chrono::milliseconds(100);
// How soon a node that was alone sees that it no longer is.
constexpr Duration kLookForOthers = std::chrono::seconds(1);

}  // namespace

PointerKeeper::PointerKeeper(
    EventLoop& loop, const PeerOptions& options, dsht::Index* index,
    std::function<Key(std::string_view)> key_of,
    std::function<std::chrono::seconds(const UrlHash&, const std::string&)> freshness, Stats& stats)
    : loop_(loop),
      options_(options),
      index_(index),
      key_of_(std::move(key_of)),
      freshness_(std::move(freshness)),
      stats_(stats),
      timer_(loop, [this] { on_timer(); }) {}

void PointerKeeper::hold(const UrlHash& hash, const std::string& key, const std::string& url,
                         std::chrono::seconds fresh) {
  drop(hash);
  const auto ttl = std::min(fresh, options_.pointer_ttl);
  if (ttl < kWorthwhile) {
    if (index_ != nullptr) index_->withdraw(key_of_(url));
    return;
  }
  const bool told = index_ == nullptr || index_->has_others();
  if (told) put(url, ttl);
  if (held_.size() >= options_.renewals_max) return;  // it is found until its pointer ends
  // Most are due behind all others.
  const auto due = due_.emplace_hint(due_.end(), loop_.now() + ttl * 4 / 5, hash);
  held_.emplace(hash, Held{key, url == key ? std::string{} : url, due, told});
  const bool is_first_untold = !told && ++untold_ == 1;
  if (is_first_untold) tell_at_ = loop_.now() + kLookForOthers;
  if (is_first_untold || due == due_.begin()) arm();
}

void PointerKeeper::drop(const UrlHash& hash) {
  const auto found = held_.find(hash);
  if (found == held_.end()) return;
  due_.erase(found->second.due);
  if (!found->second.told) --untold_;
  held_.erase(found);
}

void PointerKeeper::on_timer() {
  tell_others();
  renew_due();
  tell_at_ = loop_.now() + (to_tell_.empty() ? kLookForOthers : kTurnGap);
  arm();
}

// Somebody has come: what was kept from an empty index is put there, a few a turn.
void PointerKeeper::tell_others() {
  if (untold_ == 0 || !index_->has_others()) return to_tell_.clear();
  if (to_tell_.empty()) {
    for (const auto& [hash, held] : held_) {
      if (!held.told) to_tell_.push_back(hash);
    }
  }
  for (int puts = 0; puts < kPutsPerTurn && !to_tell_.empty();) {
    const UrlHash hash = to_tell_.back();
    to_tell_.pop_back();
    const auto found = held_.find(hash);
    if (found == held_.end() || found->second.told) continue;
    renew(hash);
    ++puts;
  }
}

void PointerKeeper::renew(const UrlHash& hash) {
  const Held held = held_.at(hash);
  const auto fresh = freshness_(hash, held.key);
  if (fresh >= kWorthwhile) {
    hold(hash, held.key, held.url.empty() ? held.key : held.url, fresh);
  } else {
    drop(hash);  // the pointer that is out ends by itself at about the same time
  }
}

void PointerKeeper::renew_due() {
  const TimePoint now = loop_.now();
  for (int i = 0; i < kPutsPerTurn && !due_.empty() && due_.begin()->first <= now; ++i) {
    renew(due_.begin()->second);
  }
}

void PointerKeeper::put(const std::string& url, std::chrono::seconds ttl) {
  if (index_ == nullptr) return;
  stats_.pointers_put.add();
  index_->put(key_of_(url), encode_pointer(options_.advertise), ttl, {});
}

void PointerKeeper::arm() {
  if (due_.empty()) return timer_.stop();
  const TimePoint now = loop_.now();
  const TimePoint due = std::max(due_.begin()->first, now + kTurnGap);
  timer_.start((untold_ > 0 ? std::min(due, std::max(tell_at_, now)) : due) - now);
}

}  // namespace reef::proxy
