#include "proxy/io/front.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/io/log.h"
#include "proxy/http/builder.h"
#include "proxy/http/fields.h"
#include "proxy/http/message.h"
#include "proxy/io/error_page.h"
#include "proxy/io/fill_table.h"
#include "proxy/io/messages.h"
#include "proxy/names/target.h"
#include "proxy/names/url.h"
#include "proxy/rules/vary.h"

namespace reef::proxy {
namespace {

constexpr std::size_t kHostsMax = 4096;         // remembered host names; all are forgotten when they are more
constexpr std::size_t kUrlBytesMax = 16 << 10;  // longest cache key: target and host within their own limits
constexpr std::size_t kWaitingMax = 16384;      // exchanges of one worker that wait for one fill

// Field lines of an answer, on the stack.
class Lines {
 public:
  Lines& add(std::string_view text) {
    const std::size_t count = std::min(text.size(), buffer_.size() - size_);
    if (count > 0) std::memcpy(buffer_.data() + size_, text.data(), count);
    size_ += count;
    return *this;
  }
  Lines& add(std::int64_t number) {
    const auto end = std::to_chars(buffer_.data() + size_, buffer_.data() + buffer_.size(), number);
    if (end.ec == std::errc()) size_ = static_cast<std::size_t>(end.ptr - buffer_.data());
    return *this;
  }
  [[nodiscard]] std::string_view view() const { return {buffer_.data(), size_}; }

 private:
  std::array<char, 1024> buffer_;
  std::size_t size_ = 0;
};

std::int64_t whole_seconds(std::chrono::milliseconds ms) {
  return std::chrono::floor<std::chrono::seconds>(ms).count();
}

bool is_redirect(int status) { return status == 201 || (status >= 300 && status < 400); }

}  // namespace

RequestMarks marks_of(http::FieldsView fields) {
  RequestMarks marks;
  for (const http::Field& field : fields) {
    const std::string_view name = field.name;
    if (name.empty()) continue;
    const auto is = [name](std::string_view other) { return http::equal_ignoring_case(name, other); };
    // By length first: few names have the length of one that matters.
    switch (name.size()) {
      case 3:
        marks.loop |= is("Via");
        break;
      case 5:
        marks.range |= is("Range");
        break;
      case 6:
        marks.directives |= is("Pragma");
        break;
      case 8:
        marks.loop |= is("CDN-Loop");
        marks.precondition |= is("If-Match");
        break;
      case 9:
        marks.peer |= is(kPeerField);
        break;
      case 13:
        marks.conditional |= is("If-None-Match");
        marks.directives |= is("Cache-Control") || is("Authorization");
        break;
      case 14:
        marks.service_worker |= is("Service-Worker");
        break;
      case 17:
        marks.conditional |= is("If-Modified-Since");
        break;
      case 19:
        marks.precondition |= is("If-Unmodified-Since");
        break;
      default:
        break;
    }
  }
  return marks;
}

Front::Front(FrontParts parts) : parts_(std::move(parts)) {}

WallTime Front::wall_now() const {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

// --- requests

void Front::on_bad_request(Exchange& exchange, int status, std::string_view why) {
  answer_error(exchange, status, why);
}

void Front::on_request(Exchange& exchange, const http::RequestHead& head, const RequestBody& body) {
  const auto target = names::parse_target(head);
  if (!target) return answer_error(exchange, 400, names::to_text(target.error()));
  const Host& host = host_of(target->authority);
  if (host.to == nullptr) {
    if (host.status == 200) {
      const std::string page = landing_page(parts_.names.options().suffix, target->authority);
      Reply reply;
      reply.fields = kPageFields;
      reply.text = page;
      reply.head_only = head.method == "HEAD";
      return exchange.reply(reply);
    }
    return answer_error(exchange, host.status, host.why);
  }
  const std::shared_ptr<const Destination>& to = host.to;
  const RequestMarks marks = marks_of(head.fields);
  if (refuse_by_policy(exchange, head, marks, *to, body, target->path_query)) return;

  // The cache key, on the stack: prefix and the exact bytes of path and query.
  std::array<char, kUrlBytesMax> key;
  const std::string_view path = target->path_query;
  const bool slash = path.empty() || path.front() == '?';
  const std::size_t size = to->url_prefix.size() + (slash ? 1 : 0) + path.size();
  if (size > key.size()) return answer_error(exchange, 414, "The URL is too long.");
  char* at = std::copy(to->url_prefix.begin(), to->url_prefix.end(), key.data());
  if (slash) *at++ = '/';
  std::copy(path.begin(), path.end(), at);
  Lookup lookup;
  lookup.url = lookup.plain_url = std::string_view(key.data(), size);
  lookup.path_query = lookup.plain_url.substr(to->url_prefix.size());
  lookup.hash = lookup.plain_hash = parts_.store.hasher()(lookup.plain_url);

  const bool readable = head.method == "GET" || head.method == "HEAD";
  const auto* found = readable ? parts_.ram.find(lookup.hash, lookup.url) : nullptr;
  if (found != nullptr && (*found)->head.policy.has(rules::CachePolicy::kVariantIndex)) {
    found = find_variant(**found, head, to->mode, lookup);
  }
  // Not a cache's to judge (RFC 9111 §4.3.2). In Coralized mode no such field reaches an origin, and they may
  // be ignored (RFC 9110 §13.1.1).
  if (marks.precondition && readable && to->mode == rules::Mode::site) {
    return pass_to_origin(exchange, head, marks, body, to, lookup,
                          found != nullptr ? rules::Forward::request : rules::Forward::uri_miss);
  }
  if (found == nullptr) return answer_miss(exchange, head, marks, body, to, lookup);

  const Object& object = **found;
  const rules::CachePolicy& policy = object.head.policy;
  const WallTime now = wall_now();
  rules::ReuseDecision reuse;
  reuse.age = rules::current_age(policy, now);
  reuse.ttl = policy.lifetime - reuse.age;
  if (!marks.directives && reuse.ttl.count() > 0 && policy.flags == (policy.flags & kPlainFlags)) {
    reuse.reuse = rules::Reuse::fresh;
  } else {
    reuse = decide_reuse(policy, head, parts_.options, to->mode, now);
  }
  const bool only_if_cached = marks.peer;
  switch (reuse.reuse) {
    case rules::Reuse::fresh:
      parts_.stats.hits.add();
      break;
    case rules::Reuse::stale_allowed:
      parts_.stats.stale_hits.add();
      break;
    case rules::Reuse::stale_while_revalidate:
      parts_.stats.stale_hits.add();
      if (!only_if_cached) revalidate_in_background(head, to, lookup);
      break;
    default:
      return answer_miss(exchange, head, marks, body, to, lookup);
  }
  const bool from_peer = marks.peer && peer_mark(head.fields, parts_.options.peers).present;
  Lines status;
  status.add(parts_.options.node_name).add("; hit; ttl=").add(whole_seconds(reuse.ttl));
  // The object may leave the tier while it is answered (a revalidation above): hold on to it only then.
  const std::shared_ptr<const Object> held =
      reuse.reuse == rules::Reuse::stale_while_revalidate ? *found : nullptr;
  answer_object(exchange, {head, marks, *to, from_peer}, held ? *held : object, reuse, status.view());
}

// True: answered. What this proxy does not do for anybody, whatever is cached.
bool Front::refuse_by_policy(Exchange& exchange, const http::RequestHead& head, const RequestMarks& marks,
                             const Destination& to, const RequestBody& body, std::string_view path_query) {
  if (marks.loop && is_looping(head.fields, parts_.options)) {
    answer_error(exchange, 508, "The request has been through this network already.");
    return true;
  }
  if (head.method == "CONNECT" || head.method == "TRACE") {
    answer_error(exchange, 501, "This proxy is no tunnel.");
    return true;
  }
  if (to.mode == rules::Mode::site) {
    if (body.length.value_or(0) > parts_.options.clients.request_body_bytes_max) {
      answer_error(exchange, 413, "The request's body is too large.");
      return true;
    }
    return false;
  }
  if (head.method != "GET" && head.method != "HEAD") {
    const std::string there = std::string(to.url_prefix) + std::string(path_query);
    answer_error(exchange, 405,
                 fmt::format("Only GET and HEAD go through here. Send this request to {} itself.", there), {},
                 "Allow: GET, HEAD\r\n");
    return true;
  }
  if (body.present) {
    answer_error(exchange, 400, "A request through here has no body.");
    return true;
  }
  if (marks.service_worker) {
    answer_error(exchange, 403, "Service workers would outlive the sites that share this name.");
    return true;
  }
  return false;
}

const Front::Host& Front::host_of(std::string_view authority) {
  host_key_.assign(authority);
  const auto known = hosts_.find(host_key_);
  if (known != hosts_.end()) return known->second;
  if (hosts_.size() >= kHostsMax) hosts_.clear();
  return hosts_.emplace(host_key_, look_up(authority)).first->second;
}

Front::Host Front::look_up(std::string_view authority) const {
  std::string name;
  for (const char c : authority.substr(0, authority.rfind(':'))) name.push_back(http::to_lower(c));
  if (name.ends_with('.')) name.pop_back();
  for (const SiteOptions& site : parts_.options.sites) {
    if (site.host != name) continue;
    const auto url = names::parse_url(site.origin);
    if (!url) return {nullptr, 502, "The origin of this site is not configured rightly."};
    auto to = std::make_shared<Destination>();
    to->mode = rules::Mode::site;
    to->origin = url->origin;
    to->authority = site.origin.substr(site.origin.find("//") + 2);
    to->authority = to->authority.substr(0, to->authority.find('/'));
    // Apart from what other sites' rules may have stored of the same origin.
    to->url_prefix = fmt::format("site+{}://{}", names::to_text(url->origin.scheme), site.host);
    to->trusted = true;
    return {std::move(to), 0, {}};
  }
  const auto parsed = parts_.names.parse(authority);
  if (!parsed) {
    switch (parsed.error()) {
      case names::NameError::suffix_itself:
        return {nullptr, 200, {}};
      case names::NameError::not_under_suffix:
        return {
            nullptr, 421,
            fmt::format("This proxy answers for names that end in .{} only.", parts_.names.options().suffix)};
      case names::NameError::port_not_allowed:
      case names::NameError::not_allowed:
      case names::NameError::nested:
        return {nullptr, 403, std::string(names::to_text(parsed.error()))};
      default:
        return {nullptr, 400, std::string(names::to_text(parsed.error()))};
    }
  }
  auto to = std::make_shared<Destination>();
  to->origin = parsed->origin;
  to->host_port = parsed->host_port;
  names::append_normalized_url(to->url_prefix, parsed->origin, "/");
  to->url_prefix.pop_back();
  to->authority = to->url_prefix.substr(to->url_prefix.find("//") + 2);
  return {std::move(to), 0, {}};
}

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
  }
  wait_for(exchange, info);
}

void Front::wait_for(Exchange& exchange, const std::shared_ptr<const RequestInfo>& request) {
  Follow& follow = follows_[request->hash];
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

// What others wait for turned out to be for one client alone.
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
  // What is shared goes on: others may follow, and the object is worth having. What was for this client alone
  // ends.
  if (follows_.contains(alone_key(exchange)))
    parts_.links.port(parts_.links.self()).fills->cancel_alone(exchange);
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
      decide_reuse(object->head.policy, request->head(), parts_.options, request->to->mode, wall_now());
  (reuse.ttl.count() > 0 ? parts_.stats.hits : parts_.stats.stale_hits).add();
  Lines status;
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
  const auto waiting = std::exchange(found->second.waiting, {});
  for (const auto& request : waiting) {
    Exchange* exchange = find_(request->exchange);
    if (exchange != nullptr) take_head(key, *exchange, request, *head);
  }
}

void Front::on_fill_grew(const UrlHash& key) {
  const auto found = follows_.find(key);
  if (found == follows_.end()) return;
  std::vector<ExchangeId> reading = std::exchange(found->second.reading, {});
  std::erase_if(reading, [this](ExchangeId id) {
    Exchange* exchange = find_(id);
    if (exchange == nullptr) return true;
    exchange->body_grew();
    return find_(id) == nullptr;
  });
  if (const auto again = follows_.find(key); again != follows_.end()) {
    // Those that came meanwhile stand behind.
    std::swap(again->second.reading, reading);
    again->second.reading.insert(again->second.reading.end(), reading.begin(), reading.end());
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
    if (result.object == nullptr) {
      Lines status;
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
    Lines status;
    status.add(parts_.options.node_name).add("; fwd=").add(rules::to_text(result.forward));
    if (result.origin_status != 0) status.add("; fwd-status=").add(std::int64_t{result.origin_status});
    status.add("; ttl=").add(whole_seconds(reuse.ttl));
    if (result.stale_for_error) status.add("; detail=stale-if-error");
    answer_object(*exchange, asked_of(*request), *result.object, reuse, status.view());
  }
}

// --- answers

Front::Asked Front::asked_of(const RequestInfo& request) {
  return {request.head(), marks_of(request.head().fields), *request.to, request.from_peer};
}

void Front::answer_object(Exchange& exchange, const Asked& asked, const Object& object,
                          const rules::ReuseDecision& reuse, std::string_view cache_status) {
  Lines lines;
  lines.add("Age: ").add(whole_seconds(reuse.age)).add("\r\n");
  if (asked.from_peer) {
    lines.add(kPeerField).add(": ").add(parts_.options.peers.network).add("\r\n");
  } else {
    lines.add("Via: 1.1 ")
        .add(parts_.options.node_name)
        .add("\r\nCache-Status: ")
        .add(cache_status)
        .add("\r\n");
  }
  answer_with(exchange, asked, object.head, object.head.fields, object.body, object.head.body_bytes,
              lines.view());
}

void Front::answer_from_fill(Exchange& exchange, const RequestInfo& request, const FillHead& head,
                             bool collapsed) {
  Lines lines;
  // Who caused the fetch is told an Age where there was one: its answer is the origin's own, however old its
  // Date and slow its head. Others, peers too, share what is being stored (RFC 9111 §5.1).
  if (head.has_age || collapsed || request.from_peer)
    lines.add("Age: ").add(whole_seconds(rules::current_age(head.head.policy, wall_now()))).add("\r\n");
  if (request.from_peer) {
    lines.add(kPeerField).add(": ").add(parts_.options.peers.network).add("\r\n");
  } else {
    lines.add("Via: 1.1 ")
        .add(parts_.options.node_name)
        .add("\r\nCache-Status: ")
        .add(parts_.options.node_name);
    lines.add("; fwd=").add(rules::to_text(head.forward));
    if (head.source == SourceKind::origin) lines.add("; fwd-status=").add(std::int64_t{head.head.status});
    if (head.shared) lines.add("; stored");
    if (collapsed) lines.add("; collapsed");
    lines.add("; detail=").add(to_text(head.source)).add("\r\n");
  }
  if (collapsed) {
    parts_.stats.collapsed.add();
  } else {
    (head.source == SourceKind::peer ? parts_.stats.misses_peer : parts_.stats.misses_origin).add();
  }
  const std::string& fields = collapsed || head.first_fields.empty() ? head.head.fields : head.first_fields;
  answer_with(exchange, asked_of(request), head.head, fields, head.body, head.length, lines.view());
}

void Front::answer_with(Exchange& exchange, const Asked& asked, const ObjectHead& head,
                        std::string_view fields, const std::shared_ptr<const Body>& body,
                        std::optional<std::uint64_t> length, std::string_view more_fields) {
  Reply reply;
  reply.status = head.status;
  reply.reason = head.reason;
  reply.fields = fields;
  reply.more_fields = more_fields;
  reply.body = &body;
  reply.length = length;
  reply.head_only = asked.head.method == "HEAD";
  reply.no_content = head.status == 204 || head.status == 304;
  std::string rewritten;
  if (asked.to.mode == rules::Mode::coralized && !asked.from_peer && is_redirect(head.status)) {
    const names::Front front{names::Scheme::http, asked.to.host_port, names::Form::dotted};
    rewritten = coralized_fields(fields, parts_.names, asked.to.origin, front);
    reply.fields = rewritten;
  }
  ConditionalReply conditional;
  if (asked.marks.conditional || asked.marks.range) {
    conditional = conditional_reply(asked.head, head, reply.fields, length);
    if (conditional.status != head.status) {
      reply.status = conditional.status;
      reply.reason = {};
      reply.fields = conditional.fields;
      reply.from = conditional.first;
      reply.length = conditional.size;
      if (conditional.multipart) reply.multipart = &*conditional.multipart;
      reply.no_content = conditional.status == 304;
      if (conditional.status == 304) parts_.stats.not_modified.add();
      if (conditional.status == 416) reply.body = nullptr;
    }
  }
  exchange.reply(reply);
}

void Front::answer_error(Exchange& exchange, int status, std::string_view why,
                         std::chrono::seconds retry_after, std::string_view more_fields) {
  (status < 500 ? parts_.stats.errors_client : parts_.stats.errors_server).add();
  const std::string page = error_page(status, why, parts_.options.node_name);
  std::string fields(kPageFields);
  fields += more_fields;
  if (retry_after.count() > 0) fields += fmt::format("Retry-After: {}\r\n", retry_after.count());
  const std::string forwarded = fmt::format("Via: 1.1 {}\r\n", parts_.options.node_name);
  Reply reply;
  reply.status = status;
  reply.fields = fields;
  reply.more_fields = forwarded;
  reply.text = page;
  exchange.reply(reply);
}

}  // namespace reef::proxy
