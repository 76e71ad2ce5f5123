#include "proxy/io/messages.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "proxy/http/builder.h"
#include "proxy/http/date.h"
#include "proxy/http/fields.h"
#include "proxy/http/forward.h"
#include "proxy/http/message.h"
#include "proxy/http/range.h"
#include "proxy/names/target.h"
#include "proxy/rules/conditional.h"
#include "proxy/rules/invalidation.h"
#include "proxy/rules/reuse.h"
#include "proxy/rules/status.h"
#include "proxy/rules/storing.h"
#include "proxy/rules/validation.h"
#include "proxy/rules/vary.h"

namespace reef::proxy {
namespace {

constexpr std::string_view kDigestAlgorithm = "sha-256=";

// Fields without those that mark an answer between proxies.
std::vector<http::Field> unmarked(http::FieldsView fields) {
  std::vector<http::Field> out;
  for (const http::Field& field : fields) {
    if (!http::equal_ignoring_case(field.name, kPeerField) &&
        !http::equal_ignoring_case(field.name, kDigestField)) {
      out.push_back(field);
    }
  }
  return out;
}

bool is_validator(std::string_view name) {
  return http::equal_ignoring_case(name, "If-None-Match") ||
         http::equal_ignoring_case(name, "If-Modified-Since");
}

std::string line(std::string_view name, std::string_view value) { return fmt::format("{}: {}", name, value); }

}  // namespace

PeerMark peer_mark(http::FieldsView fields, const PeerOptions& options) {
  PeerMark mark;
  const auto value = http::find(fields, kPeerField);
  if (!value) return mark;
  const std::size_t semicolon = value->find(';');
  if (http::trim(value->substr(0, semicolon)) != options.network) return mark;
  mark.present = true;
  if (semicolon == std::string_view::npos) return mark;
  std::string_view from = http::trim(value->substr(semicolon + 1));
  if (!from.starts_with("from=\"") || !from.ends_with('"') || from.size() < 7) return mark;
  if (const auto endpoint = Endpoint::parse(from.substr(6, from.size() - 7))) mark.from = *endpoint;
  return mark;
}

bool is_from_peer(const http::ResponseHead& head, const PeerOptions& options) {
  const auto value = http::find(head.fields, kPeerField);
  return value && http::trim(*value) == options.network;
}

std::optional<Sha256Digest> promised_digest(const http::ResponseHead& head) {
  std::string_view value = http::trim(http::find(head.fields, kDigestField).value_or(""));
  Sha256Digest digest;
  if (!value.starts_with(kDigestAlgorithm)) return std::nullopt;
  value.remove_prefix(kDigestAlgorithm.size());
  if (value.size() != 2 * digest.size()) return std::nullopt;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    const char* at = value.data() + 2 * i;
    std::uint8_t byte = 0;
    const auto [end, error] = std::from_chars(at, at + 2, byte, 16);
    if (error != std::errc() || end != at + 2) return std::nullopt;
    digest[i] = static_cast<std::byte>(byte);
  }
  return digest;
}

std::uint64_t part_end(http::FieldsView fields) {
  constexpr std::uint64_t kEndless = std::uint64_t{1} << 62;
  const auto value = http::find(fields, "Range");
  if (!value) return 0;
  const http::RangeRequest ranges = http::parse_range(*value, kEndless);
  if (ranges.kind != http::RangeRequest::Kind::parts || ranges.count != 1) return 0;
  return ranges.ranges[0].last == kEndless - 1 ? 0 : ranges.ranges[0].last + 1;
}

std::string peer_host(const RequestInfo& request, const names::Names& names) {
  return names.coralize(request.to->origin, names::Form::dotted).value_or("");
}

std::vector<std::string> peer_fields(const RequestInfo& request, const Options& options) {
  std::vector<std::string> out;
  out.push_back("Cache-Control: only-if-cached");
  std::string mark = fmt::format("{}: {}", kPeerField, options.peers.network);
  if (options.peers.advertise.port != 0)
    mark += fmt::format(";from=\"{}\"", to_string(options.peers.advertise));
  out.push_back(std::move(mark));
  // What the object may vary by.
  for (const http::Field& field : request.head().fields) {
    if (!http::is_coralized_request_field(field.name) ||
        http::equal_ignoring_case(field.name, "Accept-Encoding")) {
      continue;
    }
    out.push_back(line(field.name, field.value));
  }
  if (const auto coding = rules::normalized_accept_encoding(request.head().fields); !coding.empty()) {
    out.push_back(line("Accept-Encoding", coding));
  }
  return out;
}

std::string client_validators(http::FieldsView fields) {
  std::string out;
  for (const http::Field& field : fields) {
    if (is_validator(field.name)) out.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  return out;
}

std::vector<std::string> origin_fields(const RequestInfo& request, const Options& options,
                                       ClientConditions conditions, const Object* stale) {
  const http::FieldsView fields = request.head().fields;
  const bool coralized = request.to->mode == rules::Mode::coralized;
  const http::EndToEnd end_to_end(fields);
  std::vector<std::string> out;
  for (const http::Field& field : fields) {
    const std::string_view name = field.name;
    if (!end_to_end.keeps(name) || http::equal_ignoring_case(name, "Host") ||
        http::equal_ignoring_case(name, "Content-Length") || http::equal_ignoring_case(name, kPeerField)) {
      continue;
    }
    // Made anew below, with what came in front.
    if (http::equal_ignoring_case(name, "CDN-Loop") || http::equal_ignoring_case(name, "Via")) continue;
    if (rules::is_client_condition(name)) {
      if (conditions == ClientConditions::all ||
          (conditions == ClientConditions::validators && is_validator(name))) {
        out.push_back(line(name, field.value));
      }
      continue;
    }
    if (coralized ? !http::is_coralized_request_field(name) : !http::is_site_request_field(name)) continue;
    if (coralized && http::equal_ignoring_case(name, "Accept-Encoding")) continue;
    out.push_back(line(name, field.value));
  }
  if (coralized) {
    if (const auto coding = rules::normalized_accept_encoding(fields); !coding.empty())
      out.push_back(line("Accept-Encoding", coding));
    out.push_back("User-Agent: Reef");
  }
  std::string loop, via;
  rules::append_cdn_loop(loop, fields, options.node_name);
  rules::append_via(via, fields, request.head().minor_version, options.node_name);
  out.push_back(line("CDN-Loop", loop));
  out.push_back(line("Via", via));
  if (stale != nullptr) {
    std::string block;
    http::HeadBuilder builder(block);
    rules::append_validators(builder, stale->head.etag, stale->head.last_modified);
    http::FieldLines lines(block);
    std::string_view name, value, whole;
    while (lines.next(name, value, whole)) out.push_back(line(name, value));
  }
  return out;
}

std::string interim_fields(const RequestInfo& request, const http::ResponseHead& head) {
  const http::EndToEnd end_to_end(head.fields);
  std::string out;
  http::HeadBuilder builder(out);
  for (const http::Field& field : head.fields) {
    if (!end_to_end.keeps(field.name) || http::equal_ignoring_case(field.name, kPeerField) ||
        http::equal_ignoring_case(field.name, "Content-Length")) {
      continue;
    }
    if (request.to->mode == rules::Mode::coralized && !http::is_coralized_response_field(field.name))
      continue;
    builder.field(field.name, field.value);
  }
  return out;
}

Received receive(const RequestInfo& request, const http::ResponseHead& head, WallTime asked,
                 WallTime received_at, bool alone) {
  Received received;
  const std::vector<http::Field> fields = unmarked(head.fields);
  http::ResponseHead response = head;
  response.fields = fields;
  const std::string_view method = alone ? request.head().method : "GET";
  const auto framing = http::check_response(response, method);
  if (!framing) return received;
  received.valid = true;
  if (framing->has_content_length) received.length = framing->content_length;
  const rules::Options& rules = request.to->rules;
  const rules::Receipt receipt{asked, received_at, framing->body == http::BodyKind::until_close};
  http::RequestHead as_get = request.head();
  as_get.method = method;
  const auto policy = rules::storable(as_get, response, receipt, rules);
  received.storable = policy.has_value();
  received.head.url = request.plain_url;
  received.head.status = head.status;
  if (head.reason != http::reason_phrase(head.status)) received.head.reason = head.reason;
  if (policy) {
    received.head.policy = *policy;
  } else {
    received.why_not = policy.error();
    received.head.policy = rules::times_of(response, receipt);
  }
  if (policy && !alone) {
    rules::append_stored_fields(received.head.fields, response, received_at, rules);
    if (rules::withholds_fields(response, rules))
      rules::append_forwarded_fields(received.first_fields, response, received_at, rules);
  } else {
    rules::append_forwarded_fields(received.head.fields, response, received_at, rules);
  }
  if (policy && policy->has(rules::CachePolicy::kVaries)) {
    rules::append_vary_names(received.vary_names, response.fields);
    // The index that led here stays as long as it says the same; otherwise a new one takes its place.
    received.generation = received.vary_names == request.vary_names
                              ? request.generation
                              : rules::generation_of(rules::variant_index(received_at));
    received.head.url = variant_key(request.plain_url, received.vary_names, received.generation,
                                    request.head().fields, request.to->mode);
  }
  received.has_age = http::find(response.fields, "Age").has_value();
  received.head.etag = http::find(response.fields, "ETag").value_or("");
  received.head.last_modified = http::find(response.fields, "Last-Modified").value_or("");
  return received;
}

Freshened freshened(const Object& stored, const http::ResponseHead& head, const RequestInfo& request,
                    WallTime asked, WallTime received_at) {
  if (!rules::is_about_stored(head, stored.head.etag, stored.head.last_modified)) return {};
  const rules::Options& rules = request.to->rules;
  ObjectHead merged = stored.head;
  merged.fields.clear();
  rules::append_merged_fields(merged.fields, stored.head.fields, head, received_at, rules);
  http::RequestHead as_get = request.head();
  as_get.method = "GET";
  const auto policy =
      rules::freshen(as_get, stored.head.status, merged.fields, head, {asked, received_at, false}, rules);
  if (policy) {
    merged.policy = *policy;
  } else {
    // For one answer more, whose age counts from this confirmation (RFC 9111 §4.2.3).
    rules::CachePolicy times = rules::times_of(head, {asked, received_at, false});
    if (times.last_modified == rules::CachePolicy::kNoTime) times.last_modified = merged.policy.last_modified;
    merged.policy = times;
    merged.policy.set(rules::CachePolicy::kNoCache);
  }
  if (const auto etag = http::find_line(merged.fields, "ETag"); !etag.empty()) merged.etag = etag;
  if (const auto time = http::find_line(merged.fields, "Last-Modified"); !time.empty())
    merged.last_modified = time;
  // Stored under a key that tells other variants apart than it now says there are (RFC 9111 §4.1).
  std::string vary_names;
  if (policy) rules::append_vary_names(vary_names, http::fields_of(merged.fields));
  const bool same_key = vary_names == request.vary_names;
  return {with_head(stored, std::move(merged)), policy && same_key, policy.has_value()};
}

std::string resume_validator(const ObjectHead& head) {
  if (!head.etag.empty()) {
    return http::parse_entity_tag(head.etag).weak ? std::string() : head.etag;
  }
  return head.last_modified;
}

Continuation continuation(const ObjectHead& begun, std::optional<std::uint64_t> length,
                          std::uint64_t received, const http::ResponseHead& head) {
  const auto etag = http::find(head.fields, "ETag").value_or("");
  const auto last_modified = http::find(head.fields, "Last-Modified").value_or("");
  const bool same_etag = !begun.etag.empty() && http::strong_match(begun.etag, etag);
  const bool same_time =
      begun.etag.empty() && !begun.last_modified.empty() && last_modified == begun.last_modified;
  if (head.status == 206) {
    const auto range = http::parse_content_range(http::find(head.fields, "Content-Range").value_or(""));
    if (!range || range->range.first != received) return {};
    // A 206 need not repeat the validator that made it one (RFC 9110 §15.3.7): If-Range has been honoured.
    if (!etag.empty() && !same_etag && !begun.etag.empty()) return {};
    if (range->complete_bytes && length && *range->complete_bytes != *length) return {};
    if (range->complete_bytes && range->range.last + 1 != *range->complete_bytes) return {};
    return {true, 0};
  }
  if (head.status != begun.status) return {};
  const auto now_length = http::parse_decimal(http::find(head.fields, "Content-Length").value_or(""));
  if (same_etag) return {!length || !now_length || *length == *now_length, received};
  if (same_time) return {length && now_length && *length == *now_length, received};
  return {};
}

PartAnswer part_answer(const ObjectHead& begun, std::uint64_t length, const http::ResponseHead& head,
                       bool repeats) {
  const auto etag = http::find(head.fields, "ETag").value_or("");
  const bool same = http::strong_match(begun.etag, etag) || (!repeats && etag.empty());
  if (head.status != 206 || !same) return {};
  const auto range = http::parse_content_range(http::find(head.fields, "Content-Range").value_or(""));
  if (!range) return {};
  if (range->complete_bytes != length) return {std::nullopt, range->complete_bytes.has_value()};
  const auto size = http::parse_decimal(http::find(head.fields, "Content-Length").value_or(""));
  if (size && *size != range->range.size()) return {std::nullopt, true};
  return {range->range, false};
}

rules::ReuseDecision decide_reuse(const rules::CachePolicy& policy, const http::RequestHead& head,
                                  const rules::Options& options, WallTime now) {
  return rules::decide_reuse(policy, rules::parse_request_directives(head.fields), now, options);
}

bool says_only_if_cached(http::FieldsView fields) {
  return rules::parse_request_directives(fields).only_if_cached;
}

bool may_share(const RequestInfo& request) {
  if (request.head().method != "GET") return false;
  if (request.to->mode == rules::Mode::coralized) return true;
  const http::FieldsView fields = request.head().fields;
  const bool keeps_to_itself =
      request.to->rules.honour_request_directives && rules::parse_request_directives(fields).no_store;
  return !http::find(fields, "Authorization") && !keeps_to_itself && !rules::has_origin_precondition(fields);
}

bool passes_range(const RequestInfo& request) {
  return request.to->mode == rules::Mode::site &&
         request.to->rules.range_on_miss == rules::RangeOnMiss::pass &&
         http::find(request.head().fields, "Range").has_value();
}

std::vector<std::string> invalidated_urls(const RequestInfo& request, const ObjectHead& answer) {
  std::vector<std::string> urls;
  if (!rules::invalidates(request.head().method, answer.status)) return urls;
  urls.push_back(request.plain_url);
  const std::vector<http::Field> fields = http::fields_of(answer.fields);
  // The name by which the client found the site, and the one that its origin has for itself.
  const auto target = names::parse_target(request.head());
  const std::string_view authorities[] = {target ? target->authority : request.to->authority,
                                          request.to->authority};
  std::vector<std::string> paths;
  const http::ResponseHead response{
      .status = answer.status, .reason = {}, .minor_version = 1, .fields = fields};
  rules::append_invalidated(paths, response, request.path_query, authorities);
  for (const std::string& path : paths) urls.push_back(request.to->url_prefix + path);
  return urls;
}

bool is_looping(http::FieldsView fields, const Options& options) {
  return rules::check_cdn_loop(fields, options.node_name, static_cast<std::size_t>(options.loop_hops_max)) !=
         rules::Loop::none;
}

namespace {

void several_ranges(ConditionalReply& reply, std::span<const http::ByteRange> ranges, std::string_view fields,
                    std::uint64_t length) {
  std::string content_type;
  std::string others;
  http::FieldLines lines(fields);
  std::string_view name, value, whole;
  while (lines.next(name, value, whole)) {
    if (http::equal_ignoring_case(name, "Content-Type")) {
      content_type = value;
    } else {
      others += whole;
    }
  }
  const std::string boundary = make_boundary();
  Multipart multipart = make_multipart(ranges, length, content_type, boundary);
  if (multipart.bytes >= length) return;  // the whole is shorter
  reply.status = 206;
  reply.multipart = std::move(multipart);
  reply.fields = std::move(others);
  reply.fields += "Content-Type: multipart/byteranges; boundary=" + boundary + "\r\n";
}

}  // namespace

ConditionalReply conditional_reply(const http::RequestHead& request, const ObjectHead& head,
                                   std::string_view fields, std::optional<std::uint64_t> length) {
  ConditionalReply reply;
  reply.status = head.status;
  const rules::Selected selected{head.status, head.etag, head.last_modified, &head.policy,
                                 length.value_or(0)};
  const rules::ConditionalAnswer answer = rules::evaluate(request, selected);
  switch (answer.answer) {
    case rules::Answer::whole:
      return reply;
    case rules::Answer::not_modified: {
      reply.status = 304;
      http::FieldLines lines(fields);
      std::string_view name, value, whole;
      while (lines.next(name, value, whole)) {
        if (rules::is_not_modified_field(name)) reply.fields += whole;
      }
      return reply;
    }
    case rules::Answer::not_satisfiable:
      if (!length) return reply;
      reply.status = 416;
      reply.fields = "Content-Range: ";
      http::append_unsatisfied_range(reply.fields, *length);
      reply.fields += "\r\n";
      return reply;
    case rules::Answer::parts:
      // While the length is not known the whole is a correct answer too (§14.2).
      if (!length) return reply;
      if (answer.ranges.count > 1) {
        several_ranges(reply, answer.ranges.parts(), fields, *length);
        return reply;
      }
      reply.status = 206;
      reply.first = answer.ranges.ranges[0].first;
      reply.size = answer.ranges.ranges[0].size();
      reply.fields = fields;
      reply.fields += "Content-Range: ";
      http::append_content_range(reply.fields, answer.ranges.ranges[0], *length);
      reply.fields += "\r\n";
      return reply;
  }
  return reply;
}

bool matches_variant(const RequestInfo& request, const FillHead& head) {
  if (head.vary_names.empty()) return true;
  return variant_key(request.plain_url, head.vary_names, head.generation, request.head().fields,
                     request.to->mode) == head.head.url;
}

std::string variant_key(std::string_view url, std::string_view vary_names, std::int64_t generation,
                        http::FieldsView fields, rules::Mode mode) {
  std::string key;
  rules::append_variant_key(key, url, vary_names, generation, fields, mode);
  return key;
}

std::string coralized_fields(std::string_view fields, const names::Names& names, const names::Origin& origin,
                             const names::Front& front) {
  std::string out;
  http::FieldLines lines(fields);
  std::string_view name, value, whole;
  while (lines.next(name, value, whole)) {
    if (http::equal_ignoring_case(name, "Location") || http::equal_ignoring_case(name, "Content-Location")) {
      if (const auto inside = names::coralize_location(names, value, origin, front)) {
        http::HeadBuilder(out).field(name, *inside);
        continue;
      }
    }
    out.append(whole);
  }
  return out;
}

OriginFailure origin_failure(const RequestInfo& request, FetchEnd end) {
  const std::string_view who = request.to->authority;
  switch (end) {
    case FetchEnd::refused_address:
    case FetchEnd::connect_failed:
      return {502, true, fmt::format("The origin server {} could not be reached.", who)};
    case FetchEnd::tls_failed:
      return {502, true, fmt::format("The origin server {} has no valid certificate.", who)};
    case FetchEnd::head_timeout:
      return {504, true, fmt::format("The origin server {} did not answer in time.", who)};
    case FetchEnd::stalled:
    case FetchEnd::timed_out:
      return {504, false, fmt::format("The origin server {} was too slow.", who)};
    case FetchEnd::bad_head:
    case FetchEnd::refused_by_sink:
      return {502, false, fmt::format("The origin server {} sent what is no valid HTTP.", who)};
    case FetchEnd::broken:
    case FetchEnd::complete:
      break;
  }
  return {502, false, fmt::format("The origin server {} closed the connection.", who)};
}

}  // namespace reef::proxy
