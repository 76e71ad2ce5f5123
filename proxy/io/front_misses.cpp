// What Front does where its own memory has no answer: asks the owner of the key, waits, and follows fills.
#include <algorithm>
#include <utility>

#include "proxy/http/builder.h"
#include "proxy/io/fill_table.h"
#include "proxy/io/front.h"
#include "proxy/io/messages.h"
#include "proxy/io/stack_lines.h"
#include "proxy/rules/vary.h"

namespace reef::proxy {
namespace {

constexpr std::size_t kWaitingMax = 16384;  // exchanges of one worker that wait for one fill

}  // namespace

// The variant of a response that this request gets, if it is here; `lookup` then names it, here or not.
const std::shared_ptr<const Object>* Front::find_variant(const Object& index, const http::RequestHead& head,
                                                         rules::Mode mode, Lookup& lookup) {
  lookup.vary_names = http::find_line(index.head.fields, "Vary");
  lookup.generation = rules::generation_of(index.head.policy);
  lookup.variant = variant_key(lookup.plain_url, lookup.vary_names, lookup.generation, head.fields, mode);
  lookup.url = lookup.variant;
  lookup.hash = parts_.store.hasher()(lookup.url);
  return parts_.ram.find(lookup.hash, lookup.url);
}

std::shared_ptr<RequestInfo> Front::info_of(const http::RequestHead& head,
                                            const std::shared_ptr<const Destination>& to,
                                            const Lookup& lookup) const {
  auto info = std::make_shared<RequestInfo>(head);
  info->worker = parts_.links.self();
  info->to = to;
  info->path_query = lookup.path_query;
  info->plain_url = lookup.plain_url;
  info->plain_hash = lookup.plain_hash;
  info->url = lookup.url;
  info->hash = lookup.hash;
  info->vary_names = lookup.vary_names;
  info->generation = lookup.generation;
  return info;
}

// The request goes to the origin as it is, and its answer to this client alone.
void Front::pass_to_origin(Exchange& exchange, const http::RequestHead& head, const RequestMarks& marks,
                           const RequestBody& body, const std::shared_ptr<const Destination>& to,
                           const Lookup& lookup, rules::Forward forward) {
  if (marks.directives && forward != rules::Forward::method && says_only_if_cached(head.fields)) {
    return answer_error(exchange, 504, "What this proxy has may not answer the request.");
  }
  const auto info = info_of(head, to, lookup);
  info->exchange = exchange.id();
  info->has_body = body.present;
  info->body_bytes = body.length;
  parts_.stats.passed.add();
  go_alone(info, forward);
}

void Front::answer_miss(Exchange& exchange, const http::RequestHead& head, const RequestMarks& marks,
                        const RequestBody& body, const std::shared_ptr<const Destination>& to,
                        const Lookup& lookup) {
  const bool readable = head.method == "GET" || head.method == "HEAD";
  if (!readable || body.present) {
    return pass_to_origin(exchange, head, marks, body, to, lookup, rules::Forward::method);
  }
  const auto info = info_of(head, to, lookup);
  info->exchange = exchange.id();
  info->only_if_cached = marks.directives && says_only_if_cached(head.fields);
  if (marks.peer) {
    const PeerMark mark = peer_mark(head.fields, parts_.options.peers);
    info->from_peer = mark.present;
    // Nobody speaks for another address.
    if (mark.from && mark.from->address == exchange.client().address) info->peer = mark.from;
    info->only_if_cached |= mark.present;
    if (mark.present) parts_.stats.peer_requests.add();
    if (mark.present && marks.range) info->part_end = part_end(head.fields);
  }
  wait_for(exchange, info);
}

void Front::wait_for(Exchange& exchange, const std::shared_ptr<const RequestInfo>& request) {
  Follow& follow = follows_[request->hash];
  if (follow.outdated) return look_elsewhere(exchange, request);
  follow.plain_hash = request->plain_hash;
  if (follow.head != nullptr && !request->from_peer) {
    const std::shared_ptr<const FillHead> head =
        follow.head;  // its Follow may go while the answer is written
    return take_head(request->hash, exchange, request, *head);
  }
  if (follow.waiting.size() >= kWaitingMax) {
    return answer_error(exchange, 503, "Too many requests wait for this object.", std::chrono::seconds(1));
  }
  follow.waiting.push_back(request);
  if (!follow.joined || request->from_peer) ask_owner(request);
}

// The head of the fill that this request waits for is there: it is its answer, or it has to look elsewhere.
void Front::take_head(const UrlHash& key, Exchange& exchange,
                      const std::shared_ptr<const RequestInfo>& request, const FillHead& head) {
  const bool is_first = head.first == request->exchange;
  if (!is_first && head.head.status == 304) {
    // Not modified for the first one's validators: for the same ones, and of no use to others.
    const std::string validators = client_validators(request->head().fields);
    if (validators.empty()) {
      if (const auto follow = follows_.find(key); follow != follows_.end())
        follow->second.waiting.push_back(request);  // until that fill has ended
      return;
    }
    if (validators != head.validators) return look_elsewhere(exchange, request);
  } else if (!head.shared && !is_first) {
    return look_elsewhere(exchange, request);
  }
  if (!is_first && !matches_variant(*request, head)) {
    return ask_for_variant(request, head.vary_names, head.generation);
  }
  answer_from_fill(exchange, *request, head, !is_first);
  // Answering may have changed the table (a pipelined request): look it up again.
  const auto follow = follows_.find(key);
  if (follow != follows_.end()) follow->second.reading.push_back(request->exchange);
}

// What others wait for is not for this request.
void Front::look_elsewhere(Exchange& exchange, const std::shared_ptr<const RequestInfo>& request) {
  if (request->only_if_cached) return answer_error(exchange, 504, "This proxy has no copy of the object.");
  parts_.stats.passed.add();
  go_alone(request, rules::Forward::uri_miss);
}

// The request is for another variant than the one at hand: it starts anew under that variant's key.
void Front::ask_for_variant(const std::shared_ptr<const RequestInfo>& request, const std::string& vary_names,
                            std::int64_t generation) {
  Exchange* exchange = find_(request->exchange);
  if (exchange == nullptr) return;
  const std::string key =
      variant_key(request->plain_url, vary_names, generation, request->head().fields, request->to->mode);
  if (key == request->url) return go_alone(request, rules::Forward::vary_miss);
  Lookup lookup;
  lookup.path_query = request->path_query;
  lookup.plain_url = request->plain_url;
  lookup.plain_hash = request->plain_hash;
  lookup.url = key;
  lookup.hash = parts_.store.hasher()(key);
  lookup.vary_names = vary_names;
  lookup.generation = generation;
  const auto info = info_of(request->head(), request->to, lookup);
  info->exchange = request->exchange;
  info->only_if_cached = request->only_if_cached;
  info->from_peer = request->from_peer;
  info->peer = request->peer;
  info->part_end = request->part_end;
  wait_for(*exchange, info);
}

void Front::ask_owner(const std::shared_ptr<const RequestInfo>& request) {
  const std::size_t owner = request->plain_hash.high % parts_.links.count();
  if (parts_.links.try_send(owner, [request](const WorkerPort& to) { to.fills->resolve(request); })) return;
  parts_.stats.overloaded.add();
  on_refused(request, 503, "This proxy is overloaded.", std::chrono::seconds(1));
}

void Front::revalidate_in_background(const http::RequestHead& head,
                                     const std::shared_ptr<const Destination>& to, const Lookup& lookup) {
  const std::shared_ptr<const RequestInfo> info = info_of(head, to, lookup);
  // Lossy: the next request for the stale object asks again.
  static_cast<void>(parts_.links.try_send(info->plain_hash.high % parts_.links.count(),
                                          [info](const WorkerPort& owner) { owner.fills->resolve(info); }));
}

void Front::go_alone(const std::shared_ptr<const RequestInfo>& request, rules::Forward forward,
                     const std::shared_ptr<const Object>& stored) {
  Follow& follow = follows_[alone_key(request->exchange)];
  follow.waiting.push_back(request);
  follow.joined = true;
  parts_.links.port(parts_.links.self()).fills->start_alone(request, forward, stored);
}

void Front::on_upload_data(ExchangeId exchange) {
  parts_.links.port(parts_.links.self()).fills->upload_alone(exchange);
}

UploadSource* Front::upload_of(ExchangeId id) {
  Exchange* exchange = find_(id);
  return exchange == nullptr ? nullptr : &exchange->upload();
}

void Front::on_abandoned(ExchangeId exchange) {
  // What was for this client alone ends. What is shared may be worth having: its owner decides, once nobody
  // wants it any more.
  if (follows_.contains(alone_key(exchange)))
    return parts_.links.port(parts_.links.self()).fills->cancel_alone(exchange);
  const auto follow = std::find_if(follows_.begin(), follows_.end(), [exchange](auto& each) {
    return std::erase(each.second.reading, exchange) > 0 ||
           std::erase_if(each.second.waiting,
                         [exchange](const auto& request) { return request->exchange == exchange; }) > 0;
  });
  last_abandoned_ = exchange;
  if (follow == follows_.end()) return;
  std::erase_if(follow->second.reading, [this](ExchangeId id) { return find_(id) == nullptr; });
  leave_if_unwanted(follow);
}

void Front::leave_if_unwanted(Follows::iterator follow) {
  const auto& [key, followed] = *follow;
  // Of one that is outdated the owner may not have heard yet: nobody is to join it, so it is kept in mind.
  if (!followed.reading.empty() || !followed.waiting.empty() || followed.answering || followed.outdated)
    return;
  parts_.links.send(
      followed.plain_hash.high % parts_.links.count(),
      [key = key, worker = parts_.links.self()](const WorkerPort& to) { to.fills->unfollow(key, worker); });
  follows_.erase(key);
}

// --- what the owner says

void Front::on_found(const std::shared_ptr<const RequestInfo>& request,
                     const std::shared_ptr<const Object>& object) {
  parts_.ram.insert(request->hash, object);
  if (object->head.policy.has(rules::CachePolicy::kVariantIndex)) {
    stop_waiting(request);
    return ask_for_variant(request, std::string(http::find_line(object->head.fields, "Vary")),
                           rules::generation_of(object->head.policy));
  }
  stop_waiting(request);
  Exchange* exchange = find_(request->exchange);
  if (exchange == nullptr) return;
  const rules::ReuseDecision reuse =
      decide_reuse(object->head.policy, request->head(), request->to->rules, wall_now());
  (reuse.ttl.count() > 0 ? parts_.stats.hits : parts_.stats.stale_hits).add();
  StackLines status;
  status.add(parts_.options.node_name).add("; hit; ttl=").add(whole_seconds(reuse.ttl));
  answer_object(*exchange, asked_of(*request), *object, reuse, status.view());
}

void Front::on_joined(const UrlHash& key, const std::shared_ptr<const FillHead>& head) {
  const auto found = follows_.find(key);
  if (found == follows_.end()) return;
  found->second.joined = true;
  if (head != nullptr) return on_fill_head(key, head);
  // A peer hears at once that there is a fill to wait for, so that it need not guess whether we live.
  const auto waiting = found->second.waiting;
  for (const auto& request : waiting) {
    if (!request->from_peer) continue;
    if (Exchange* exchange = find_(request->exchange)) exchange->interim(102, {});
  }
}

void Front::on_interim(const std::shared_ptr<const RequestInfo>& request, int status,
                       const std::string& fields) {
  if (Exchange* exchange = find_(request->exchange)) exchange->interim(status, fields);
}

void Front::on_alone(const std::shared_ptr<const RequestInfo>& request, rules::Forward forward,
                     const std::shared_ptr<const Object>& stored) {
  stop_waiting(request);
  if (find_(request->exchange) == nullptr) return;
  parts_.stats.passed.add();
  go_alone(request, forward, stored);
}

void Front::on_refused(const std::shared_ptr<const RequestInfo>& request, int status, const std::string& why,
                       std::chrono::seconds retry_after) {
  stop_waiting(request);
  follows_.erase(alone_key(request->exchange));
  if (Exchange* exchange = find_(request->exchange)) answer_error(*exchange, status, why, retry_after);
}

void Front::stop_waiting(const std::shared_ptr<const RequestInfo>& request) {
  const auto found = follows_.find(request->hash);
  if (found == follows_.end()) return;
  std::erase(found->second.waiting, request);
  if (found->second.waiting.empty() && !found->second.joined) follows_.erase(found);
}

void Front::on_fill_head(const UrlHash& key, const std::shared_ptr<const FillHead>& head) {
  const auto found = follows_.find(key);
  if (found == follows_.end()) return;
  found->second.head = head;
  found->second.joined = true;
  found->second.answering = true;
  const auto waiting = std::exchange(found->second.waiting, {});
  for (const auto& request : waiting) {
    Exchange* exchange = find_(request->exchange);
    if (exchange != nullptr) take_head(key, *exchange, request, *head);
  }
  if (const auto again = follows_.find(key); again != follows_.end()) again->second.answering = false;
}

void Front::on_fill_grew(const UrlHash& key) {
  const auto found = follows_.find(key);
  if (found == follows_.end()) return;
  std::vector<ExchangeId> reading = std::exchange(found->second.reading, {});
  bool abandoned = false;
  std::erase_if(reading, [this, &abandoned](ExchangeId id) {
    Exchange* exchange = find_(id);
    if (exchange == nullptr) return true;
    exchange->body_grew();
    if (find_(id) != nullptr) return false;
    abandoned |= last_abandoned_ == id;
    return true;
  });
  if (const auto again = follows_.find(key); again != follows_.end()) {
    // Those that came meanwhile stand behind.
    std::swap(again->second.reading, reading);
    again->second.reading.insert(again->second.reading.end(), reading.begin(), reading.end());
    if (abandoned) leave_if_unwanted(again);
  }
}

void Front::on_forgotten(const UrlHash& plain_hash) {
  for (auto& [key, follow] : follows_) {
    if (follow.plain_hash == plain_hash) follow.outdated = true;
  }
}

void Front::on_fill_detached(const UrlHash& key, const UrlHash& detached) {
  auto node = follows_.extract(key);
  if (node.empty()) return;
  node.key() = detached;
  follows_.insert(std::move(node));
}

void Front::on_fill_end(const UrlHash& key, const FillResult& result, bool keep) {
  if (keep) keep_in_memory(parts_.ram, parts_.store.hasher(), result);
  on_fill_grew(key);
  const auto node = follows_.extract(key);
  if (node.empty()) return;
  const bool to_ask_again = node.mapped().head != nullptr && node.mapped().head->head.status == 304;
  for (const auto& request : node.mapped().waiting) {
    Exchange* exchange = find_(request->exchange);
    if (exchange == nullptr) continue;
    if (to_ask_again) {
      wait_for(*exchange, request);
      continue;
    }
    if (result.to_pass) {
      look_elsewhere(*exchange, request);
      continue;
    }
    if (result.object == nullptr) {
      StackLines status;
      status.add("Cache-Status: ")
          .add(parts_.options.node_name)
          .add("; fwd=")
          .add(rules::to_text(result.forward));
      if (result.origin_status != 0) status.add("; fwd-status=").add(std::int64_t{result.origin_status});
      answer_error(*exchange, result.status, result.why, result.retry_after, status.add("\r\n").view());
      continue;
    }
    if (!result.shared && request->exchange != result.first) {
      look_elsewhere(*exchange, request);
      continue;
    }
    const bool validated = result.origin_status == 304;
    (validated                ? parts_.stats.revalidated
     : result.stale_for_error ? parts_.stats.stale_hits
                              : parts_.stats.collapsed)
        .add();
    rules::ReuseDecision reuse;
    reuse.reuse = rules::Reuse::fresh;
    reuse.age = rules::current_age(result.object->head.policy, wall_now());
    reuse.ttl = result.object->head.policy.lifetime - reuse.age;
    StackLines status;
    status.add(parts_.options.node_name).add("; fwd=").add(rules::to_text(result.forward));
    if (result.origin_status != 0) status.add("; fwd-status=").add(std::int64_t{result.origin_status});
    status.add("; ttl=").add(whole_seconds(reuse.ttl));
    if (result.stale_for_error) status.add("; detail=stale-if-error");
    answer_object(*exchange, asked_of(*request), *result.object, reuse, status.view());
  }
}

}  // namespace reef::proxy
