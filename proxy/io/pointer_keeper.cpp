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
      timer_(loop, [this] { renew_due(); }) {}

void PointerKeeper::hold(const UrlHash& hash, const std::string& key, const std::string& url,
                         std::chrono::seconds fresh) {
  drop(hash);
  const auto ttl = std::min(fresh, options_.pointer_ttl);
  if (ttl < kWorthwhile) {
    if (index_ != nullptr) index_->withdraw(key_of_(url));
    return;
  }
  put(url, ttl);
  if (held_.size() >= options_.renewals_max) return;  // it is found until its pointer ends
  const auto due = due_.emplace(loop_.now() + ttl * 4 / 5, hash);
  held_.emplace(hash, Held{key, url, due});
  arm();
}

void PointerKeeper::drop(const UrlHash& hash) {
  const auto found = held_.find(hash);
  if (found == held_.end()) return;
  due_.erase(found->second.due);
  held_.erase(found);
}

void PointerKeeper::renew_due() {
  const TimePoint now = loop_.now();
  for (int i = 0; i < kPutsPerTurn && !due_.empty() && due_.begin()->first <= now; ++i) {
    const UrlHash hash = due_.begin()->second;
    const Held held = held_.at(hash);
    const auto fresh = freshness_(hash, held.key);
    if (fresh >= kWorthwhile) {
      hold(hash, held.key, held.url, fresh);
    } else {
      drop(hash);  // the pointer that is out ends by itself at about the same time
    }
  }
  arm();
}

void PointerKeeper::put(const std::string& url, std::chrono::seconds ttl) {
  if (index_ == nullptr) return;
  stats_.pointers_put.add();
  index_->put(key_of_(url), encode_pointer(options_.advertise), ttl, {});
}

void PointerKeeper::arm() {
  if (due_.empty()) return timer_.stop();
  timer_.start(std::max(due_.begin()->first - loop_.now(), kTurnGap));
}

}  // namespace reef::proxy
