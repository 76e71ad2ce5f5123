#include "proxy/io/fill_table.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "proxy/io/front.h"
#include "proxy/io/messages.h"
#include "proxy/io/variants.h"
#include "proxy/rules/vary.h"

namespace reef::proxy {
namespace {

AddressRule base_rule(const Options& options, const std::vector<IpPrefix>& allowed) {
  AddressRule rule;
  rule.allowed = allowed;
  rule.own_endpoints = options.listen;
  if (options.peers.advertise.port != 0) {
    rule.own_endpoints.push_back(options.peers.advertise);
    rule.own_addresses.push_back(options.peers.advertise.address);
  }
  for (const Endpoint& listen : options.listen) {
    if (!listen.address.is_unspecified()) rule.own_addresses.push_back(listen.address);
  }
  return rule;
}

// Several nodes may share one address (behind one NAT, on one machine), and a node whose own address is
// private is part of a private network.
AddressRule rule_for_peers(const Options& options) {
  AddressRule rule = base_rule(options, options.peers.allowed);
  rule.own_addresses.clear();
  const Endpoint& own = options.peers.advertise;
  rule.private_network = own.port != 0 && !own.address.is_global_unicast();
  return rule;
}

}  // namespace

void keep_in_memory(RamTier& ram, const UrlHasher& hasher, const FillResult& result) {
  ram.insert(hasher(result.object->head.url), result.object);
  if (result.variant_index != nullptr)
    ram.insert(hasher(result.variant_index->head.url), result.variant_index);
}

FillTable::FillTable(FillTableParts parts)
    : parts_(std::move(parts)),
      peer_rule_(rule_for_peers(parts_.options)),
      fetcher_(parts_.loop, parts_.options.fetcher),
      gate_(parts_.loop, parts_.options, base_rule(parts_.options, parts_.options.origins.allowed),
            parts_.workers, *this, parts_.stats),
      keeper_(
          parts_.loop, parts_.options.peers, parts_.index, parts_.key_of,
          [this](const UrlHash& hash, const std::string& url) {
            const auto* object = parts_.ram.find(hash, url);
            // What has left the memory for the disk is as good; its age is not looked up for this.
            if (object == nullptr) return std::chrono::seconds(0);
            const auto left = rules::time_to_live((*object)->head.policy, wall_now());
            return std::max(std::chrono::seconds(0), std::chrono::floor<std::chrono::seconds>(left));
          },
          parts_.stats),
      peers_(parts_.options.peers),
      index_budget_(parts_.options.peers.index_budget),
      reaper_(parts_.loop, [this] { ended_.clear(); }) {
  tell_event_.reset(event_new(
      parts_.loop.base(), -1, 0,
      [](evutil_socket_t, short, void* self) { static_cast<FillTable*>(self)->tell_all(); }, this));
  BASE_CHECK(tell_event_ != nullptr);
}

void FillTable::on_own_endpoint() {
  peer_rule_ = rule_for_peers(parts_.options);
  gate_.set_rule(base_rule(parts_.options, parts_.options.origins.allowed));
}

FillTable::~FillTable() {
  // Fills refer to the fetcher and the gate: they go first.
  ended_.clear();
  entries_.clear();
}

void FillTable::resolve(const std::shared_ptr<const RequestInfo>& request) {
  // A variant's fill adds it to the index, which may have left this memory for the disk.
  const bool lacks_index = !request->vary_names.empty() && entry_of(request->hash) == nullptr &&
                           parts_.ram.find(request->plain_hash, request->plain_url) == nullptr;
  if (lacks_index && load(request->plain_hash, request->plain_url, request)) return;
  look_up(request);
}

void FillTable::look_up(const std::shared_ptr<const RequestInfo>& request) {
  if (Entry* entry = entry_of(request->hash)) return find_running(*entry, request);
  if (const auto* found = parts_.ram.find(request->hash, request->url)) {
    const std::shared_ptr<const Object> object = *found;  // answering may move what the tier holds
    return decide(request, object);
  }
  if (!load(request->hash, request->url, request)) decide(request, nullptr);
}

// True: loaded() goes on with the request.
bool FillTable::load(const UrlHash& hash, const std::string& url,
                     const std::shared_ptr<const RequestInfo>& request) {
  if (const auto loading = loading_.find(hash); loading != loading_.end()) {
    loading->second.push_back(request);
    return true;
  }
  if (!parts_.store.may_have(hash)) return false;
  const bool started = parts_.store.load(url, hash, parts_.loop,
                                         [this, hash, alive = std::weak_ptr(alive_)](const auto& object) {
                                           if (!alive.expired()) loaded(hash, object);
                                         });
  if (started) loading_[hash].push_back(request);
  return started;
}

void FillTable::loaded(const UrlHash& hash, const std::shared_ptr<const Object>& object) {
  const auto waiting = loading_.extract(hash);
  if (waiting.empty()) return;
  const RequestInfo& first = *waiting.mapped().front();
  const bool found =
      object != nullptr && object->head.url == (first.hash == hash ? first.url : first.plain_url);
  if (found) {
    parts_.ram.insert(hash, object);
    // A node that was restarted tells the index again what it holds, as it is asked for.
    if (!object->head.policy.has(rules::CachePolicy::kVariantIndex)) renew_pointer(first, object);
  }
  for (const auto& request : waiting.mapped()) {
    if (request->hash != hash) {
      look_up(request);
    } else if (Entry* entry = entry_of(hash)) {
      find_running(*entry, request);
    } else {
      decide(request, found ? object : nullptr);
    }
  }
}

// What to do for a request, given what is stored (or null).
void FillTable::decide(const std::shared_ptr<const RequestInfo>& request,
                       const std::shared_ptr<const Object>& object) {
  const bool background = request->exchange == ExchangeId::none;
  const auto answer = [&] {
    if (background) return;
    parts_.links.send(request->worker,
                      [request, object](const WorkerPort& to) { to.front->on_found(request, object); });
  };
  // Several variants: which of them is meant is found out by who asked.
  if (object != nullptr && object->head.policy.has(rules::CachePolicy::kVariantIndex)) return answer();
  if (object != nullptr) {
    const rules::ReuseDecision decision =
        decide_reuse(object->head.policy, request->head(), request->to->rules, wall_now());
    switch (decision.reuse) {
      case rules::Reuse::fresh:
      case rules::Reuse::stale_allowed:
        return answer();
      case rules::Reuse::stale_while_revalidate:
        answer();
        if (request->from_peer || request->only_if_cached) return;
        return start_shared(request, object, rules::Forward::stale);
      case rules::Reuse::gateway_timeout:
        return refuse(request, 504, "This proxy has no usable copy of the object.", {});
      case rules::Reuse::must_validate:
        if (request->only_if_cached)
          return refuse(request, 504, "This proxy has no fresh copy of the object.", {});
        if (!background && !may_share(*request)) return tell_alone(request, decision.forward, object);
        return start_shared(request, object, decision.forward);
      case rules::Reuse::unusable:
        break;
    }
  }
  if (request->only_if_cached) return refuse(request, 504, "This proxy has no copy of the object.", {});
  const rules::Forward forward = object != nullptr             ? rules::Forward::request
                                 : request->vary_names.empty() ? rules::Forward::uri_miss
                                                               : rules::Forward::vary_miss;
  const bool own_range = object == nullptr && passes_range(*request);
  if (!background && (own_range || gate_.is_unshared(request->hash) || !may_share(*request))) {
    return tell_alone(request, forward, object);
  }
  start_shared(request, nullptr, forward);
}

void FillTable::start_shared(const std::shared_ptr<const RequestInfo>& request,
                             const std::shared_ptr<const Object>& stale, rules::Forward forward) {
  if (entries_.size() >= parts_.options.origins.fetches_max) {
    parts_.stats.overloaded.add();
    return refuse(request, 503, "This proxy is fetching too much at the moment.", std::chrono::seconds(1));
  }
  const std::uint64_t id = ++last_id_;
  Entry& entry = entries_[id];
  entry.fill = std::make_unique<Fill>(*this, FillId{id}, request, stale, false, forward);
  entry.key = request->hash;
  by_key_[entry.key] = id;
  parts_.stats.fills_open.set(entries_.size());
  if (request->exchange != ExchangeId::none) join(entry, request);
  entry.fill->start();
}

void FillTable::start_alone(std::shared_ptr<const RequestInfo> request, rules::Forward forward,
                            const std::shared_ptr<const Object>& stored) {
  if (entries_.size() >= parts_.options.origins.fetches_max) {
    parts_.stats.overloaded.add();
    return refuse(request, 503, "This proxy is fetching too much at the moment.", std::chrono::seconds(1));
  }
  const std::uint64_t id = ++last_id_;
  Entry& entry = entries_[id];
  entry.key = alone_key(request->exchange);
  by_key_[entry.key] = id;
  entry.fill = std::make_unique<Fill>(*this, FillId{id}, std::move(request), stored, true, forward);
  parts_.stats.fills_open.set(entries_.size());
  follow(entry, parts_.links.self());
  entry.fill->start();
}

void FillTable::cancel_alone(ExchangeId exchange) {
  if (Entry* entry = entry_of(alone_key(exchange))) entry->fill->cancel();
}

void FillTable::upload_alone(ExchangeId exchange) {
  if (Entry* entry = entry_of(alone_key(exchange))) entry->fill->on_upload_data();
}

void FillTable::taken_alone(ExchangeId exchange) {
  if (Entry* entry = entry_of(alone_key(exchange))) entry->fill->on_taken();
}

UploadSource* FillTable::upload_of(const RequestInfo& request) {
  return parts_.links.port(parts_.links.self()).front->upload_of(request.exchange);
}

// A fill is running: what it validates may do for this request meanwhile (RFC 5861 §3).
void FillTable::find_running(Entry& entry, const std::shared_ptr<const RequestInfo>& request) {
  if (const auto& stored = entry.fill->validated();
      stored != nullptr && request->exchange != ExchangeId::none && stored->head.url == request->url) {
    const rules::Reuse reuse =
        decide_reuse(stored->head.policy, request->head(), request->to->rules, wall_now()).reuse;
    if (reuse == rules::Reuse::fresh || reuse == rules::Reuse::stale_while_revalidate ||
        reuse == rules::Reuse::stale_allowed) {
      parts_.links.send(request->worker, [request, object = stored](const WorkerPort& to) {
        to.front->on_found(request, object);
      });
      return;
    }
  }
  join(entry, request);
}

void FillTable::join(Entry& entry, const std::shared_ptr<const RequestInfo>& request) {
  if (request->exchange == ExchangeId::none) return;
  if (entry.fill->request().url != request->url) {  // two URLs of one hash
    return tell_alone(request, rules::Forward::uri_miss);
  }
  if (request->part_end > 0 && !entry.fill->has_bytes(request->part_end)) {
    return refuse(request, 504, "This proxy does not have that part yet.", {});
  }
  if (request->from_peer && !entry.fill->on_peer_waits(request->peer)) {
    return refuse(request, 504, "This proxy waits for the one that asks.", {});
  }
  follow(entry, request->worker);
  parts_.links.send(request->worker, [hash = request->hash, head = entry.fill->head()](const WorkerPort& to) {
    to.front->on_joined(hash, head);
  });
}

void FillTable::follow(Entry& entry, std::size_t worker) {
  const bool known = std::any_of(entry.followers.begin(), entry.followers.end(),
                                 [&](const Follower& follower) { return follower.worker == worker; });
  if (!known) entry.followers.push_back({worker, std::make_shared<std::atomic<bool>>(false)});
  entry.fill->set_wanted(true);
}

void FillTable::unfollow(const UrlHash& key, std::size_t worker) {
  Entry* entry = entry_of(key);
  if (entry == nullptr) return;
  std::erase_if(entry->followers, [&](const Follower& follower) { return follower.worker == worker; });
  if (entry->followers.empty()) entry->fill->set_wanted(false);
}

void FillTable::tell_alone(const std::shared_ptr<const RequestInfo>& request, rules::Forward forward,
                           const std::shared_ptr<const Object>& stored) {
  parts_.links.send(request->worker, [request, forward, stored](const WorkerPort& to) {
    to.front->on_alone(request, forward, stored);
  });
}

void FillTable::refuse(const std::shared_ptr<const RequestInfo>& request, int status, std::string why,
                       std::chrono::seconds retry_after) {
  if (request->exchange == ExchangeId::none) return;
  parts_.links.send(request->worker,
                    [request, status, text = std::move(why), retry_after](const WorkerPort& to) {
                      to.front->on_refused(request, status, text, retry_after);
                    });
}

void FillTable::drop(const UrlHash& hash) {
  parts_.ram.erase(hash);
  keeper_.drop(hash);
}

// By the owner of the key: it is who tells the others what to keep, so they hear of this in the right order.
void FillTable::drop_everywhere(const UrlHash& hash) {
  parts_.store.remove(hash);
  for (std::size_t worker = 0; worker < parts_.links.count(); ++worker)
    parts_.links.send(worker, [hash](const WorkerPort& to) { to.fills->drop(hash); });
}

void FillTable::forget_stored(const RequestInfo& request) {
  drop_everywhere(request.hash);
  if (parts_.index != nullptr && request.hash == request.plain_hash)
    parts_.index->withdraw(parts_.key_of(request.plain_url));
}

std::shared_ptr<const Object> FillTable::stored_under_plain_url(const RequestInfo& request) {
  const auto* object = parts_.ram.find(request.plain_hash, request.plain_url);
  return object == nullptr ? nullptr : *object;
}

// Its lifetime ends now; the windows behind it begin.
void FillTable::mark_stale(const RequestInfo& request, const Object& stored) {
  ObjectHead head = stored.head;
  const rules::CachePolicy policy = head.policy;
  head.policy.lifetime = std::min(policy.lifetime, rules::current_age(policy, wall_now()));
  if (head.policy == policy) return;
  const std::shared_ptr<const Object> stale = with_head(stored, std::move(head));
  for (std::size_t worker = 0; worker < parts_.links.count(); ++worker) {
    parts_.links.send(worker, [hash = request.hash, policy, stale](const WorkerPort& to) {
      to.fills->replace(hash, policy, stale);
    });
  }
  parts_.store.update_head(request.hash, stale);
}

void FillTable::replace(const UrlHash& hash, const rules::CachePolicy& policy,
                        const std::shared_ptr<const Object>& object) {
  const auto* kept = parts_.ram.find(hash, object->head.url);
  if (kept != nullptr && (*kept)->head.policy == policy) parts_.ram.insert(hash, object);
}

void FillTable::forget(const UrlHash& hash, const std::string& url) {
  // Without their index nobody finds them; but the next index may be of the same millisecond.
  std::vector<UrlHash> variants;
  if (const auto* found = parts_.ram.find(hash, url)) variants = variants_of(found->get());
  drop(hash);
  parts_.links.port(parts_.links.self()).front->on_forgotten(hash);
  if (hash.high % parts_.links.count() != parts_.links.self()) return;
  drop_everywhere(hash);
  for (const UrlHash& variant : variants) drop_everywhere(variant);
  if (parts_.index != nullptr) parts_.index->withdraw(parts_.key_of(url));
  for (auto& [id, entry] : entries_) {
    const Fill& fill = *entry.fill;
    if (!fill.is_alone() && !fill.is_forgotten() && fill.request().plain_hash == hash) detach(id, entry);
  }
}

// Who waits for the fill goes on with it; new requests start anew.
void FillTable::detach(std::uint64_t id, Entry& entry) {
  entry.fill->forget();
  const UrlHash key = std::exchange(entry.key, detached_key(id, parts_.links.self()));
  by_key_.erase(key);
  for (const Follower& follower : entry.followers) {
    parts_.links.send(follower.worker, [key, detached = entry.key](const WorkerPort& to) {
      to.front->on_fill_detached(key, detached);
    });
  }
}

FillTable::Entry* FillTable::entry_of(const UrlHash& key) {
  const auto id = by_key_.find(key);
  if (id == by_key_.end()) return nullptr;
  const auto entry = entries_.find(id->second);
  return entry == entries_.end() ? nullptr : &entry->second;
}

Fill* FillTable::find_fill(FillId id) {
  const auto found = entries_.find(static_cast<std::uint64_t>(id));
  return found == entries_.end() ? nullptr : found->second.fill.get();
}

void FillTable::on_fill_head(Fill& fill, std::shared_ptr<const FillHead> head) {
  const auto found = entries_.find(static_cast<std::uint64_t>(fill.id()));
  if (found == entries_.end()) return;
  const RequestInfo& request = fill.request();
  // RFC 9111 §4.4: before the client sees the answer.
  if (fill.is_alone()) {
    for (const std::string& url : invalidated_urls(request, head->head)) {
      const UrlHash hash = parts_.store.hasher()(url);
      for (std::size_t worker = 0; worker < parts_.links.count(); ++worker)
        parts_.links.send(worker, [hash, url](const WorkerPort& to) { to.fills->forget(hash, url); });
    }
  }
  found->second.untold_head = std::move(head);
  tell_soon(found->first, found->second);
}

void FillTable::on_fill_interim(const std::shared_ptr<const RequestInfo>& request, int status,
                                std::string fields) {
  static_cast<void>(parts_.links.try_send(
      request->worker, [request, status, fields = std::move(fields)](const WorkerPort& to) {
        to.front->on_interim(request, status, fields);
      }));
}

void FillTable::on_fill_grew(Fill& fill) {
  const auto found = entries_.find(static_cast<std::uint64_t>(fill.id()));
  if (found == entries_.end()) return;
  found->second.untold_growth = true;
  tell_soon(found->first, found->second);
}

void FillTable::tell_soon(std::uint64_t id, Entry& entry) {
  if (std::exchange(entry.untold, true)) return;
  if (untold_.empty()) event_active(tell_event_.get(), EV_TIMEOUT, 1);
  untold_.push_back(id);
}

void FillTable::tell_all() {
  telling_.swap(untold_);
  for (const std::uint64_t id : telling_) tell(id);
  telling_.clear();
}

// Who is told may end the fill, or bring a follower.
void FillTable::tell(std::uint64_t id) {
  auto found = entries_.find(id);
  if (found == entries_.end() || !std::exchange(found->second.untold, false)) return;
  const UrlHash key = found->second.key;
  const auto head = std::exchange(found->second.untold_head, nullptr);
  const bool grew = std::exchange(found->second.untold_growth, false);
  // The others first: they answer their crowds while this worker answers its own.
  for (const bool own : {false, true}) {
    for (std::size_t i = 0; found != entries_.end() && i < found->second.followers.size(); ++i) {
      const Follower follower = found->second.followers[i];
      if ((follower.worker == parts_.links.self()) != own) continue;
      if (head != nullptr) {
        parts_.links.send(follower.worker,
                          [key, head](const WorkerPort& to) { to.front->on_fill_head(key, head); });
      }
      if (grew) tell_growth(follower, key);
      found = entries_.find(id);
    }
  }
}

void FillTable::tell_growth(const Follower& follower, const UrlHash& key) {
  if (follower.worker == parts_.links.self())
    return parts_.links.port(follower.worker).front->on_fill_grew(key);
  if (follower.told_of_growth->exchange(true, std::memory_order_acq_rel)) return;
  const bool sent =
      parts_.links.try_send(follower.worker, [key, told = follower.told_of_growth](const WorkerPort& to) {
        told->store(false, std::memory_order_release);
        to.front->on_fill_grew(key);
      });
  // The next growth, or the end, tells.
  if (!sent) follower.told_of_growth->store(false, std::memory_order_release);
}

void FillTable::on_fill_end(Fill& fill, FillResult result) {
  tell(static_cast<std::uint64_t>(fill.id()));
  const auto found = entries_.find(static_cast<std::uint64_t>(fill.id()));
  BASE_CHECK(found != entries_.end());
  Entry entry = std::move(found->second);
  entries_.erase(found);
  const UrlHash key = entry.key;
  if (const auto mapped = by_key_.find(key);
      mapped != by_key_.end() && mapped->second == static_cast<std::uint64_t>(fill.id())) {
    by_key_.erase(mapped);
  }
  parts_.stats.fills_open.set(entries_.size());
  const bool keep =
      result.object != nullptr && result.shared && !result.stale_for_error && !fill.is_forgotten();
  if (keep) keep_in_memory(parts_.ram, parts_.store.hasher(), result);
  for (const UrlHash& gone : result.gone_variants) drop_everywhere(gone);
  if (keep) drop_replaced(entry, result);
  const auto shared_result = std::make_shared<const FillResult>(std::move(result));
  for (const Follower& follower : entry.followers) {
    parts_.links.send(follower.worker, [key, shared_result, keep](const WorkerPort& to) {
      to.front->on_fill_end(key, *shared_result, keep);
    });
  }
  ended_.push_back(std::move(entry.fill));
  reaper_.start(Duration::zero());
}

// Workers that did not follow the fill may hold what its answer replaces: the object, or the index that led
// to it.
void FillTable::drop_replaced(const Entry& entry, const FillResult& result) {
  const RequestInfo& request = entry.fill->request();
  const bool same_index = result.variant_index != nullptr &&
                          rules::generation_of(result.variant_index->head.policy) == request.generation;
  const bool replaces_index = !request.vary_names.empty() && result.origin_status != 304 && !same_index;
  if (entry.fill->validated() == nullptr && !replaces_index) return;
  for (std::size_t worker = 0; worker < parts_.links.count(); ++worker) {
    const bool told = worker == parts_.links.self() ||
                      std::any_of(entry.followers.begin(), entry.followers.end(),
                                  [worker](const Follower& follower) { return follower.worker == worker; });
    if (told) continue;
    parts_.links.send(worker, [hash = request.hash, plain_hash = request.plain_hash](const WorkerPort& to) {
      to.fills->drop(hash);
      to.fills->drop(plain_hash);
    });
  }
}

void FillTable::renew_pointer(const RequestInfo& request, const std::shared_ptr<const Object>& object) {
  if (parts_.index == nullptr || request.to->mode != rules::Mode::coralized) return;
  const auto left = rules::time_to_live(object->head.policy, wall_now());
  keeper_.hold(parts_.store.hasher()(object->head.url), object->head.url, request.plain_url,
               std::max(std::chrono::seconds(0), std::chrono::floor<std::chrono::seconds>(left)));
}

}  // namespace reef::proxy
