// Keeps the index told of what this node holds: a pointer is put when an object is complete and again before
// it ends, for as long as the object is kept and fresh. While there is nobody to be told, nothing is put; who
// comes later is told then, of what is in memory still. Belongs to one worker.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/io/event_loop.h"
#include "dsht/index.h"
#include "proxy/io/options.h"
#include "proxy/io/stats.h"
#include "proxy/store/url_hash.h"

namespace reef::proxy {

class PointerKeeper {
 public:
  // `freshness(hash, key)`: what is left of the object's lifetime, zero when it is stale or gone.
  PointerKeeper(EventLoop& loop, const PeerOptions& options, dsht::Index* index,
                std::function<Key(std::string_view)> key_of,
                std::function<std::chrono::seconds(const UrlHash&, const std::string&)> freshness,
                Stats& stats);

  // The object kept under `key` is here, complete, and fresh for so long. `url`: what it is known by in the
  // network.
  void hold(const UrlHash& hash, const std::string& key, const std::string& url, std::chrono::seconds fresh);
  void drop(const UrlHash& hash);

 private:
  struct Held {
    std::string key;
    std::string url;  // empty: the key
    std::multimap<TimePoint, UrlHash>::iterator due;
    bool told;
  };
  void on_timer();
  void tell_others();
  void renew_due();
  void renew(const UrlHash& hash);
  void put(const std::string& url, std::chrono::seconds ttl);
  void arm();

  EventLoop& loop_;
  const PeerOptions& options_;
  dsht::Index* const index_;
  const std::function<Key(std::string_view)> key_of_;
  const std::function<std::chrono::seconds(const UrlHash&, const std::string&)> freshness_;
  Stats& stats_;
  std::unordered_map<UrlHash, Held> held_;
  std::multimap<TimePoint, UrlHash> due_;
  std::size_t untold_ = 0;        // of held_
  std::vector<UrlHash> to_tell_;  // those of them whose turn has not come, once there are others
  TimePoint tell_at_{};           // while there are untold ones: when to look for others, or to go on
  Timer timer_;
};

}  // namespace reef::proxy
