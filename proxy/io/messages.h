// What the proxy says to origins and peers, and what it makes of their answers: the caching rules applied to
// this node's requests. Pure apart from the options they are given.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/http/head.h"
#include "proxy/http/range.h"
#include "proxy/io/fill.h"
#include "proxy/io/multipart.h"
#include "proxy/io/options.h"
#include "proxy/io/request_info.h"
#include "proxy/names/url.h"
#include "proxy/store/object.h"

namespace reef::proxy {

// The field that marks requests and answers between proxies: `<network>[;from="<endpoint>"]`.
inline constexpr std::string_view kPeerField = "Reef-Peer";

// Beside it, where all of the object is here: `sha-256=<64 hex digits>` of its whole body.
inline constexpr std::string_view kDigestField = "Reef-Digest";

// A request by another proxy of our network: set in RequestInfo. `from` is where that proxy answers, if it
// said so.
struct PeerMark {
  bool present = false;
  std::optional<Endpoint> from;
};
[[nodiscard]] PeerMark peer_mark(http::FieldsView fields, const PeerOptions& options);

// An answer that a proxy of our network gave as such: it carries the object or part of it.
[[nodiscard]] bool is_from_peer(const http::ResponseHead& head, const PeerOptions& options);

// The digest that such an answer promises.
[[nodiscard]] std::optional<Sha256Digest> promised_digest(const http::ResponseHead& head);

// One past the last byte of the part that a peer asks for: a single range with a first and a last byte. 0: it
// asks for something else, the rest of a body for example.
[[nodiscard]] std::uint64_t part_end(http::FieldsView fields);

// The Coralized name under which peers know the origin; empty where there is none.
[[nodiscard]] std::string peer_host(const RequestInfo& request, const names::Names& names);
[[nodiscard]] std::vector<std::string> peer_fields(const RequestInfo& request, const Options& options);

// Which of a client's own conditions go to the origin.
enum class ClientConditions : std::uint8_t {
  none,
  validators,  // If-None-Match, If-Modified-Since: nothing is stored that they could be judged by
  all,         // and ranges: the answer is for this client alone
};
// Fields of a request to the origin. `stale`: the stored response to validate, or null.
[[nodiscard]] std::vector<std::string> origin_fields(const RequestInfo& request, const Options& options,
                                                     ClientConditions conditions, const Object* stale);
// The lines of If-None-Match and If-Modified-Since, to be compared; empty: there are none.
[[nodiscard]] std::string client_validators(http::FieldsView fields);

// The field lines of an interim response that go on to its client.
[[nodiscard]] std::string interim_fields(const RequestInfo& request, const http::ResponseHead& head);

struct Received {
  bool valid = false;          // may be passed on
  bool storable = false;       // may be stored and shared
  rules::NotStored why_not{};  // where it may not
  ObjectHead head;
  std::string
      first_fields;  // what the client that caused the fetch gets in place of head.fields; empty: the same
  std::optional<std::uint64_t> length;  // Content-Length
  std::string vary_names;               // what it varies by; empty: nothing
  std::int64_t generation = 0;          // of the variant index it belongs to
  bool has_age = false;                 // it came with an Age field
};
// `alone`: the answer to the client's own request; otherwise to a GET of ours.
[[nodiscard]] Received receive(const RequestInfo& request, const http::ResponseHead& head, WallTime asked,
                               WallTime received, bool alone);

// `stored` under the fields of a 304 (RFC 9111 §3.2).
struct Freshened {
  std::shared_ptr<const Object> object;  // null where the 304 is about something else (§4.3.4)
  bool storable = false;                 // false: it is not to be kept, nor shared, from now on ...
  bool shareable = false;                // ... but what is fetched in its place may be
};
[[nodiscard]] Freshened freshened(const Object& stored, const http::ResponseHead& head,
                                  const RequestInfo& request, WallTime asked, WallTime received);

// What proves that two responses are the same bytes: a strong ETag, else Last-Modified; empty: nothing does.
[[nodiscard]] std::string resume_validator(const ObjectHead& head);

// Whether an answer continues a body of which `received` bytes are here; `skip`: bytes of it that we have
// already.
struct Continuation {
  bool possible = false;
  std::uint64_t skip = 0;
};
[[nodiscard]] Continuation continuation(const ObjectHead& begun, std::optional<std::uint64_t> length,
                                        std::uint64_t received, const http::ResponseHead& head);

// The bytes first..last that an answer to a request for a part of `begun` carries; nullopt: none of the same
// response of `length` bytes (no 206, another strong ETag, another length). `lies`: it says so under the same
// ETag, which no honest one does. `repeats`: it must say the ETag again, not just have honoured If-Range
// (RFC 9110 §15.3.7).
struct PartAnswer {
  std::optional<http::ByteRange> range;
  bool lies = false;
};
[[nodiscard]] PartAnswer part_answer(const ObjectHead& begun, std::uint64_t length,
                                     const http::ResponseHead& head, bool repeats);

// Flags of a policy that leave a fresh object fresh for every request without directives.
inline constexpr std::uint32_t kPlainFlags =
    rules::CachePolicy::kMustRevalidate | rules::CachePolicy::kSharedLifetime |
    rules::CachePolicy::kHeuristic | rules::CachePolicy::kImmutable | rules::CachePolicy::kHasEtag |
    rules::CachePolicy::kHasLastModified | rules::CachePolicy::kAuthorStaleError |
    rules::CachePolicy::kNegative;
[[nodiscard]] rules::ReuseDecision decide_reuse(const rules::CachePolicy& policy,
                                                const http::RequestHead& head, const rules::Options& options,
                                                WallTime now);
[[nodiscard]] bool says_only_if_cached(http::FieldsView fields);

// A miss that others may wait for: a GET without what makes its answer its own.
[[nodiscard]] bool may_share(const RequestInfo& request);
// A Range that its site wants to go to the origin where nothing is stored.
[[nodiscard]] bool passes_range(const RequestInfo& request);
// The cache keys that the answer to `request` makes invalid (RFC 9111 §4.4): none where the method is safe or
// the answer an error; else its URL's, and those of the same site that Location and Content-Location name.
[[nodiscard]] std::vector<std::string> invalidated_urls(const RequestInfo& request, const ObjectHead& answer);

// RFC 8586: whether the request has been here, or through too many like us.
[[nodiscard]] bool is_looping(http::FieldsView fields, const Options& options);

// A client's conditions and range against what is stored or arriving (RFC 9110 §13, §14; RFC 9111 §4.3.2).
// `length`: of the body, where it is known. `fields`: the field lines that the whole answer would have.
struct ConditionalReply {
  int status = 200;  // as stored (send the whole), 206, 304 or 416
  std::uint64_t first = 0;
  std::uint64_t size = 0;
  std::optional<Multipart> multipart;  // several ranges, in place of `first` and `size`
  std::string fields;                  // instead of `fields`, unless the whole is sent
};
[[nodiscard]] ConditionalReply conditional_reply(const http::RequestHead& request, const ObjectHead& head,
                                                 std::string_view fields,
                                                 std::optional<std::uint64_t> length);

// Whether a fill's response is the variant that this request would get (RFC 9111 §4.1).
[[nodiscard]] bool matches_variant(const RequestInfo& request, const FillHead& head);
[[nodiscard]] std::string variant_key(std::string_view url, std::string_view vary_names,
                                      std::int64_t generation, http::FieldsView fields, rules::Mode mode);

// Field lines with Location and Content-Location kept under our suffix.
[[nodiscard]] std::string coralized_fields(std::string_view fields, const names::Names& names,
                                           const names::Origin& origin, const names::Front& front);

// How a fetch from the origin that ended before its head is told to clients.
struct OriginFailure {
  int status = 502;
  bool whole_origin = true;  // not this URL's fault
  std::string why;           // a sentence
};
[[nodiscard]] OriginFailure origin_failure(const RequestInfo& request, FetchEnd end);

}  // namespace reef::proxy
