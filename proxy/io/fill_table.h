// The fills of the keys that one worker owns, so that nothing is fetched twice at once: every request that
// cannot be answered from its own worker's memory comes here and is found an object (memory, disk), joins the
// fill that is running, or starts one. Belongs to its worker's loop; answers go to the Front of the worker
// that asked.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "proxy/io/fill.h"
#include "proxy/io/origin_gate.h"
#include "proxy/io/pointer_keeper.h"
#include "proxy/io/routing_fetcher.h"
#include "proxy/io/worker_links.h"
#include "proxy/store/ram_tier.h"

namespace reef::proxy {

struct FillTableParts {
  EventLoop& loop;
  const Options& options;
  const names::Names& names;
  Store& store;
  RamTier& ram;
  dsht::Index* index;  // null: independent
  std::function<Key(std::string_view)> key_of;
  WorkerLinks& links;
  std::size_t workers;
  Stats& stats;
  WallClock wall_clock;
};

class FillTable final : public FillHost {
 public:
  explicit FillTable(FillTableParts parts);
  ~FillTable() override;

  // Finds out about a request of any worker: answers with Front::on_found, on_joined, on_alone or on_refused.
  void resolve(const std::shared_ptr<const RequestInfo>& request);
  // A fetch for one request of this worker that is shared with nobody. `stored`: what a HEAD could
  // contradict.
  void start_alone(std::shared_ptr<const RequestInfo> request, rules::Forward forward,
                   const std::shared_ptr<const Object>& stored = nullptr);
  // The client of such a request has gone; or has sent more of its body.
  void cancel_alone(ExchangeId exchange);
  void upload_alone(ExchangeId exchange);
  // All clients of that worker who wanted what is shared under `key` have gone.
  void unfollow(const UrlHash& key, std::size_t worker);
  void taken_alone(ExchangeId exchange);
  // Forgets a URL with its variants here, also what running fills are about to store.
  void forget(const UrlHash& hash, const std::string& url);

  // Forgets one object here, and nothing of what is under way.
  void drop(const UrlHash& hash);

  // Puts `object` in the place of what was made of the same answer.
  void replace(const UrlHash& hash, const rules::CachePolicy& policy,
               const std::shared_ptr<const Object>& object);

  void set_index_budget(Duration budget) { index_budget_ = budget; }
  // Options::peers.advertise has changed: what may be connected to follows from it.
  void on_own_endpoint();
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

  // FillHost:
  void on_fill_head(Fill& fill, std::shared_ptr<const FillHead> head) override;
  void on_fill_grew(Fill& fill) override;
  void on_fill_interim(const std::shared_ptr<const RequestInfo>& request, int status,
                       std::string fields) override;
  void on_fill_end(Fill& fill, FillResult result) override;
  [[nodiscard]] Fill* find_fill(FillId id) override;
  void request_origin(Fill& fill) override { gate_.request(fill); }
  void release_origin(Fill& fill) override { gate_.release(fill); }
  void remember_failure(const RequestInfo& request, bool whole_origin, int status,
                        const std::string& why) override {
    gate_.remember_failure(request, whole_origin, status, why);
  }
  void forget_stored(const RequestInfo& request) override;
  [[nodiscard]] std::shared_ptr<const Object> stored_under_plain_url(const RequestInfo& request) override;
  void mark_stale(const RequestInfo& request, const Object& stored) override;
  void remember_unshared(const RequestInfo& request) override { gate_.remember_unshared(request); }
  void renew_pointer(const RequestInfo& request, const std::shared_ptr<const Object>& object) override;
  [[nodiscard]] EventLoop& loop() override { return parts_.loop; }
  [[nodiscard]] WallTime wall_now() const override { return parts_.wall_clock(); }
  [[nodiscard]] const Options& options() const override { return parts_.options; }
  [[nodiscard]] const names::Names& names() const override { return parts_.names; }
  [[nodiscard]] Fetcher& fetcher() override { return fetcher_; }
  [[nodiscard]] Store& store() override { return parts_.store; }
  [[nodiscard]] Stats& stats() override { return parts_.stats; }
  [[nodiscard]] dsht::Index* index() override { return parts_.index; }
  [[nodiscard]] Key key_of(std::string_view url) const override { return parts_.key_of(url); }
  [[nodiscard]] Duration index_budget() const override { return index_budget_; }
  [[nodiscard]] bool permits_peer(const Endpoint& peer) const override { return peer_rule_.permits(peer); }
  [[nodiscard]] PeerRecord& peers() override { return peers_; }
  [[nodiscard]] UploadSource* upload_of(const RequestInfo& request) override;

 private:
  // A worker with exchanges that follow a fill.
  struct Follower {
    std::size_t worker;
    std::shared_ptr<std::atomic<bool>> told_of_growth;  // a message about it is still on its way
  };
  struct Entry {
    std::unique_ptr<Fill> fill;
    UrlHash key{};  // under which it is followed
    std::vector<Follower> followers;
    bool untold = false;  // there is news for the followers:
    std::shared_ptr<const FillHead> untold_head{};
    bool untold_growth = false;
  };

  void look_up(const std::shared_ptr<const RequestInfo>& request);
  [[nodiscard]] bool load(const UrlHash& hash, const std::string& url,
                          const std::shared_ptr<const RequestInfo>& request);
  void drop_everywhere(const UrlHash& hash);
  void drop_replaced(const Entry& entry, const FillResult& result);
  void detach(std::uint64_t id, Entry& entry);
  void decide(const std::shared_ptr<const RequestInfo>& request, const std::shared_ptr<const Object>& object);
  void start_shared(const std::shared_ptr<const RequestInfo>& request,
                    const std::shared_ptr<const Object>& stale, rules::Forward forward);
  void find_running(Entry& entry, const std::shared_ptr<const RequestInfo>& request);
  void join(Entry& entry, const std::shared_ptr<const RequestInfo>& request);
  void follow(Entry& entry, std::size_t worker);
  void loaded(const UrlHash& hash, const std::shared_ptr<const Object>& object);
  void tell_alone(const std::shared_ptr<const RequestInfo>& request, rules::Forward forward,
                  const std::shared_ptr<const Object>& stored = nullptr);
  void refuse(const std::shared_ptr<const RequestInfo>& request, int status, std::string why,
              std::chrono::seconds retry_after);
  void tell_soon(std::uint64_t id, Entry& entry);
  void tell_all();
  void tell(std::uint64_t id);
  void tell_growth(const Follower& follower, const UrlHash& key);
  [[nodiscard]] Entry* entry_of(const UrlHash& key);

  FillTableParts parts_;
  AddressRule peer_rule_;
  RoutingFetcher fetcher_;
  OriginGate gate_;
  PointerKeeper keeper_;
  PeerRecord peers_;
  Duration index_budget_;
  std::uint64_t last_id_ = 0;
  std::unordered_map<std::uint64_t, Entry> entries_;   // by FillId
  std::unordered_map<UrlHash, std::uint64_t> by_key_;  // those that may be joined, by Entry::key
  std::unordered_map<UrlHash, std::vector<std::shared_ptr<const RequestInfo>>> loading_;  // wait for the disk
  // Fills with news for their followers, told behind the calls that brought them: what arrived together,
  // head, body and end, is one write to a client and not one for each.
  std::vector<std::uint64_t> untold_;
  std::vector<std::uint64_t> telling_;  // what untold_ was
  EventPtr tell_event_;
  std::vector<std::unique_ptr<Fill>> ended_;  // destroyed at the next turn
  Timer reaper_;
  std::shared_ptr<bool> alive_ =
      std::make_shared<bool>(true);  // for answers of the store, which know no owner
};

// What a fill brought, into a worker's memory.
void keep_in_memory(RamTier& ram, const UrlHasher& hasher, const FillResult& result);

// The key under which a worker's Front follows a fill that is not shared; no hash of a URL has 0 or 1 for its
// upper half (or with probability 2^-63).
[[nodiscard]] inline UrlHash alone_key(ExchangeId exchange) {
  return {static_cast<std::uint64_t>(exchange), 0};
}
// ... and a shared one that was forgotten: a newer one may run under the hash of the URL. Workers are at most
// 256.
[[nodiscard]] inline UrlHash detached_key(std::uint64_t fill, std::size_t owner) {
  return {fill << 8 | owner, 1};
}

}  // namespace reef::proxy
