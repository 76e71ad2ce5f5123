#include "proxy/io/front.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "proxy/http/fields.h"
#include "proxy/http/message.h"
#include "proxy/io/error_page.h"
#include "proxy/io/messages.h"
#include "proxy/io/stack_lines.h"
#include "proxy/io/visit.h"
#include "proxy/names/target.h"

namespace reef::proxy {
namespace {

constexpr std::size_t kUrlBytesMax = 16 << 10;  // longest cache key: target and host within their own limits

bool is_redirect(int status) { return status == 201 || (status >= 300 && status < 400); }

}  // namespace

Front::Front(FrontParts parts) : parts_(parts), destinations_(parts_.options, parts_.names) {}

// --- requests

void Front::on_bad_request(Exchange& exchange, int status, std::string_view why) {
  answer_error(exchange, status, why);
}

void Front::on_request(Exchange& exchange, const http::RequestHead& head, const RequestBody& body) {
  const auto target = names::parse_target(head);
  if (!target) return answer_error(exchange, 400, names::to_text(target.error()));
  const Destinations::Host& host = destinations_.find(target->authority);
  if (host.to == nullptr) {
    if (host.status == 200 && target->path_query.starts_with(kVisitPath) && head.method == "GET") {
      return answer_visit(exchange, target->path_query.substr(kVisitPath.size()));
    }
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
    reuse = decide_reuse(policy, head, to->rules, now);
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
  StackLines status;
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

// Another node sees whether it can reach us, and whether it is us.
void Front::answer_visit(Exchange& exchange, std::string_view nonce) {
  if (nonce.starts_with('?')) nonce.remove_prefix(1);
  if (nonce.size() > kNonceBytesMax || !http::is_token(nonce)) {
    return answer_error(exchange, 400, "A visit brings a nonce.");
  }
  const IpAddress& from = exchange.client().address;
  const auto& allowed = parts_.options.peers.allowed;
  parts_.stats.visits.add();
  if (from.is_global_unicast() ||
      std::any_of(allowed.begin(), allowed.end(), [&](const IpPrefix& p) { return p.contains(from); })) {
    parts_.stats.visits_outside.add();
  }
  const std::string text = visit_answer(parts_.options.node_name, nonce);
  Reply reply;
  reply.fields = "Content-Type: text/plain\r\nCache-Control: no-store\r\n";
  reply.text = text;
  exchange.reply(reply);
}

// --- answers

Front::Asked Front::asked_of(const RequestInfo& request) {
  return {request.head(), marks_of(request.head().fields), *request.to, request.from_peer};
}

void Front::answer_object(Exchange& exchange, const Asked& asked, const Object& object,
                          const rules::ReuseDecision& reuse, std::string_view cache_status) {
  StackLines lines;
  lines.add("Age: ").add(whole_seconds(reuse.age)).add("\r\n");
  if (asked.from_peer) {
    lines.add(kPeerField).add(": ").add(parts_.options.peers.network).add("\r\n");
    lines.add(kDigestField).add(": sha-256=").add_hex(object.head.body_digest).add("\r\n");
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
  StackLines lines;
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
  // Of other methods they are the origin's to judge: PUT with If-None-Match: * and its like (RFC 9110
  // §13.1.2).
  const bool readable = asked.head.method == "GET" || asked.head.method == "HEAD";
  // What passes through a window can neither be cut nor withheld; the origin has judged its conditions.
  const bool passing = body != nullptr && body->is_window();
  if ((asked.marks.conditional || asked.marks.range) && readable && !passing) {
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
