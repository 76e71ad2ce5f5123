#include "proxy/io/fill.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/io/log.h"
#include "proxy/http/builder.h"
#include "proxy/http/fields.h"
#include "proxy/io/messages.h"
#include "proxy/io/pointer.h"
#include "proxy/io/variants.h"
#include "proxy/rules/reuse.h"
#include "proxy/rules/storing.h"
#include "proxy/rules/validation.h"
#include "proxy/rules/vary.h"

namespace reef::proxy {
namespace {

constexpr std::size_t kPeersAtOnce = 3;  // asked at once while their answers are awaited
// Longer interim answers stay here: they are advice, and are not to fill the send buffer of a client.
constexpr std::size_t kInterimBytesMax = 4 << 10;

Duration within(Duration value, milliseconds low, milliseconds high) {
  return std::clamp<Duration>(value, low, high);
}

}  // namespace

std::string_view to_text(SourceKind kind) {
  switch (kind) {
    case SourceKind::cache:
      return "cache";
    case SourceKind::peer:
      return "peer";
    case SourceKind::origin:
      return "origin";
  }
  return "unknown";
}

// A peer that the index named.
struct Fill::Source {
  Endpoint peer;
  std::optional<Duration> rtt;
  bool provisional = false;  // still fetching when it said so
  bool tried = false;
};

// One request of ours for this object, to a peer or the origin.
class Fill::Attempt final : public FetchSink {
 public:
  Attempt(Fill& fill, std::uint64_t number, std::optional<std::size_t> source, TimePoint now)
      : fill_(fill), number_(number), source_(source), started_(now), last_sign_(now) {}

  void on_interim(const http::ResponseHead& head) override {
    held_ = true;
    last_sign_ = fill_.host_.loop().now();
    fill_.on_interim(*this, head);
    fill_.arm();
  }
  bool on_head(const http::ResponseHead& head) override {
    last_sign_ = fill_.host_.loop().now();
    return fill_.on_head(*this, head);
  }
  bool on_body(ByteView bytes) override {
    last_sign_ = fill_.host_.loop().now();
    return fill_.on_body(*this, bytes);
  }
  void on_end(FetchEnd end, std::string_view detail) override {
    fetch_ = FetchId::none;
    fill_.on_end(*this, end, detail);
  }

  Fill& fill_;
  const std::uint64_t number_;
  const std::optional<std::size_t> source_;  // nullopt: the origin
  FetchId fetch_ = FetchId::none;
  const TimePoint started_;
  TimePoint last_sign_;
  bool held_ = false;      // the peer has said that it runs the fill itself
  bool hedged_ = false;    // another was asked because this one was silent
  bool resuming_ = false;  // asked for the rest of a body
  std::unique_ptr<Probe> probe_;
};

// Asks whether a silent peer still lives: any answer of its own to a HEAD of the same URL will do.
class Fill::Probe final : public FetchSink {
 public:
  Probe(Fill& fill, std::uint64_t attempt) : fill_(fill), attempt_(attempt) {}
  ~Probe() override { fill_.host_.fetcher().cancel(fetch_); }

  void on_interim(const http::ResponseHead&) override { tell(true); }
  bool on_head(const http::ResponseHead& head) override {
    tell(is_from_peer(head, fill_.host_.options().peers));
    return true;
  }
  bool on_body(ByteView) override { return true; }
  void on_end(FetchEnd, std::string_view) override {
    fetch_ = FetchId::none;
    tell(false);
    fill_.check_time();
  }

  Fill& fill_;
  const std::uint64_t attempt_;
  FetchId fetch_ = FetchId::none;
  bool told_ = false;
  bool over_ = false;  // replaced at the next turn of the timer: its fetch may be calling

 private:
  void tell(bool lives) {
    if (std::exchange(told_, true)) return;
    over_ = true;
    fill_.on_probe(attempt_, lives);
  }
};

Fill::Fill(FillHost& host, FillId id, std::shared_ptr<const RequestInfo> request,
           std::shared_ptr<const Object> stored, bool alone, rules::Forward forward)
    : host_(host),
      id_(id),
      request_(std::move(request)),
      stale_(alone ? nullptr : stored),
      compared_(alone && request_->head().method == "HEAD" ? stored : nullptr),
      alone_(alone),
      forward_(forward),
      conditional_(!alone && stale_ == nullptr && request_->to->mode == rules::Mode::site &&
                   !client_validators(request_->head().fields).empty()),
      timer_(host.loop(), [this] { check_time(); }) {}

Fill::~Fill() {
  for (const auto& attempt : attempts_) host_.fetcher().cancel(attempt->fetch_);
  if (origin_held_) host_.release_origin(*this);
}

bool Fill::cooperates() const {
  return !alone_ && stale_ == nullptr && host_.index() != nullptr &&
         host_.options().peers.advertise.port != 0 && request_->to->mode == rules::Mode::coralized;
}

void Fill::start() {
  host_.stats().fills.add();
  if (cooperates()) {
    announce();
  } else {
    ask_origin();
  }
}

void Fill::announce() {
  const PeerOptions& peers = host_.options().peers;
  locating_ = true;
  announced_ = true;
  renew_at_ = host_.loop().now() + peers.announce_ttl / 2;
  host_.stats().announces.add();
  host_.index()->announce(host_.key_of(request_->plain_url), encode_pointer(peers.advertise),
                          peers.announce_ttl, host_.index_budget(),
                          [&host = host_, id = id_](const dsht::Announced& answer) {
                            if (Fill* fill = host.find_fill(id)) fill->on_announced(answer);
                          });
  arm();
}

void Fill::on_announced(const dsht::Announced& answer) {
  if (!locating_ || ended_) return;  // a renewal's answer changes nothing
  locating_ = false;
  if (!answer.earlier.empty()) host_.stats().announces_found.add();
  take_sources(answer);
  next_source();
}

// Complete copies first, the nearest of them in front. Among those that are still fetching, in order of
// arrival, the one half way up the line: followers then form a binary tree instead of all hanging on the
// first.
void Fill::take_sources(const dsht::Announced& answer) {
  const PeerOptions& peers = host_.options().peers;
  std::vector<Source> fetching;
  for (const dsht::Value& value : answer.earlier) {
    const auto peer = decode_pointer(value.data);
    if (!peer || *peer == peers.advertise || !host_.permits_peer(*peer)) continue;
    (value.provisional ? fetching : sources_).push_back({*peer, value.rtt, value.provisional, false});
  }
  std::stable_sort(sources_.begin(), sources_.end(), [](const Source& a, const Source& b) {
    return a.rtt.value_or(Duration::max()) < b.rtt.value_or(Duration::max());
  });
  if (!fetching.empty()) {
    const std::size_t parent = (fetching.size() - 1) / 2;
    for (std::size_t i = parent + 1; i-- > 0;) sources_.push_back(fetching[i]);
    for (std::size_t i = parent + 1; i < fetching.size(); ++i) sources_.push_back(fetching[i]);
  }
  if (sources_.size() > peers.sources_max) sources_.resize(peers.sources_max);
}

// The next peer that was not tried; the origin when there is none and nobody is still expected to answer.
void Fill::next_source() {
  if (ended_) return;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    if (!sources_[i].tried) return ask_peer(i);
  }
  if (attempts_.empty()) ask_origin();
}

void Fill::ask_peer(std::size_t index) {
  Source& source = sources_[index];
  source.tried = true;
  attempts_.push_back(std::make_unique<Attempt>(*this, ++last_attempt_, index, host_.loop().now()));
  Attempt& attempt = *attempts_.back();
  FetchRequest request = peer_request(source);
  request.total_timeout = host_.options().origins.total_timeout;
  if (writer_ != nullptr) {
    attempt.resuming_ = true;
    add_resume_fields(request);
  }
  asked_at_ = host_.wall_now();
  host_.stats().peer_fetches.add();
  attempt.fetch_ = host_.fetcher().start(std::move(request), attempt);
  arm();
}

FetchRequest Fill::peer_request(const Source& source) const {
  const PeerOptions& peers = host_.options().peers;
  FetchRequest request;
  // Connections to a peer serve all names: they are kept by the address.
  request.host = source.peer.address.is_v4() ? to_string(source.peer.address)
                                             : fmt::format("[{}]", to_string(source.peer.address));
  request.host_field = peer_host(*request_, host_.names());
  request.port = source.peer.port;
  request.target = request_->path_query;
  request.fields = peer_fields(*request_, host_.options());
  request.addresses = {source.peer};
  const Duration rtt = source.rtt.value_or(peers.connect_timeout_max);
  request.connect_timeout =
      std::chrono::ceil<milliseconds>(within(4 * rtt, peers.connect_timeout_min, peers.connect_timeout_max));
  request.head_timeout = peers.head_wait_max;
  request.rate_min_bytes = 0;  // silence is judged here, by probes
  return request;
}

void Fill::ask_origin() {
  if (origin_asked_ || ended_) return;
  origin_asked_ = true;
  host_.request_origin(*this);
}

void Fill::on_origin(Result<std::vector<Endpoint>> addresses, int status, std::chrono::seconds retry_after) {
  if (ended_) return;
  if (!addresses) return fail({status, addresses.error().context, retry_after});
  origin_held_ = true;
  attempts_.push_back(std::make_unique<Attempt>(*this, ++last_attempt_, std::nullopt, host_.loop().now()));
  Attempt& attempt = *attempts_.back();
  FetchRequest request = origin_request(std::move(*addresses));
  if (writer_ != nullptr) {
    attempt.resuming_ = true;
    add_resume_fields(request);
  }
  asked_at_ = host_.wall_now();
  host_.stats().origin_fetches.add();
  attempt.fetch_ = host_.fetcher().start(std::move(request), attempt);
  arm();
}

FetchRequest Fill::origin_request(std::vector<Endpoint> addresses) const {
  const OriginLimits& limits = host_.options().origins;
  const names::Origin& origin = request_->to->origin;
  FetchRequest request;
  request.https = origin.scheme == names::Scheme::https;
  request.host = origin.host.view();
  request.port = origin.port;
  request.host_field = request_->to->authority;
  request.target = request_->path_query;
  request.method = method();
  const ClientConditions conditions = alone_         ? ClientConditions::all
                                      : conditional_ ? ClientConditions::validators
                                                     : ClientConditions::none;
  request.fields =
      origin_fields(*request_, host_.options(), conditions, unconditional_ ? nullptr : stale_.get());
  request.addresses = std::move(addresses);
  request.connect_timeout = limits.connect_timeout;
  request.head_timeout = limits.head_timeout;
  request.rate_min_bytes = limits.rate_min_bytes;
  request.rate_window = limits.rate_window;
  request.total_timeout = limits.total_timeout;
  // What may have an effect must not be sent twice, as it would be when a kept connection turns out to be
  // dead.
  const bool safe = request.method == "GET" || request.method == "HEAD" || request.method == "OPTIONS";
  request.fresh_connection = !safe;
  if (request_->has_body) {
    request.upload = host_.upload_of(*request_);
    request.upload_bytes = request_->body_bytes ? static_cast<std::int64_t>(*request_->body_bytes) : -1;
  }
  return request;
}

void Fill::add_resume_fields(FetchRequest& request) const {
  // The condition of the first request has been settled; what is wanted now is the rest of what came.
  std::erase_if(request.fields, [](const std::string& field) {
    return http::starts_with_ignoring_case(field, "If-None-Match:") ||
           http::starts_with_ignoring_case(field, "If-Modified-Since:");
  });
  const std::string validator = resume_validator(head_->head);
  if (received_ == 0 || validator.empty()) return;
  request.fields.push_back(fmt::format("Range: bytes={}-", received_));
  request.fields.push_back("If-Range: " + validator);
}

// An origin's, at once to the client that caused the fetch (RFC 8297 §2): whether others may share what it
// says is not known before the final head. A 100 is about the request's body, which is asked for here.
void Fill::on_interim(Attempt& attempt, const http::ResponseHead& head) {
  if (ended_ || attempt.source_ || head_ != nullptr || head.status == 100) return;
  if (request_->exchange == ExchangeId::none) return;
  std::string fields = interim_fields(*request_, head);
  if (fields.size() <= kInterimBytesMax) host_.on_fill_interim(request_, head.status, std::move(fields));
}

bool Fill::on_head(Attempt& attempt, const http::ResponseHead& head) {
  if (ended_ || (winner_ != 0 && winner_ != attempt.number_)) return false;
  if (attempt.source_ && !is_from_peer(head, host_.options().peers))
    return false;  // it has nothing, or is no peer
  if (attempt.resuming_) return on_resumed_head(attempt, head);
  return attempt.source_ ? on_peer_head(attempt, head) : on_origin_head(attempt, head);
}

bool Fill::on_peer_head(Attempt& attempt, const http::ResponseHead& head) {
  Received received = receive(*request_, host_.options(), head, asked_at_, host_.wall_now(), false);
  // A peer answers with what it stored; what we may not store ourselves we do not take from it.
  if (!received.storable) return false;
  source_ = SourceKind::peer;
  return begin_body(attempt, std::move(received), true);
}

bool Fill::on_origin_head(Attempt& attempt, const http::ResponseHead& head) {
  if (head.status == 304 && stale_ != nullptr && !unconditional_) {
    not_modified(attempt, head);
    return true;
  }
  if (rules::failure_of(head.status) && !alone_) {
    host_.stats().origin_failures.add();
    const std::string why =
        fmt::format("The origin server {} answered {}.", request_->to->authority, head.status);
    host_.remember_failure(*request_, false, 502, why);
    if (covers_server_error()) {
      winner_ = attempt.number_;
      fail({.status = 502, .why = why, .origin_status = head.status});
      return true;
    }
  }
  // Not modified, which nobody asked about.
  if (head.status == 304 && !alone_ && !conditional_) return false;
  Received received = receive(*request_, host_.options(), head, asked_at_, host_.wall_now(), alone_);
  if (!received.valid) return false;
  source_ = SourceKind::origin;
  if (compared_ != nullptr &&
      rules::head_contradicts(head, compared_->head.etag, compared_->head.last_modified,
                              compared_->head.body_bytes)) {
    host_.mark_stale(*request_, *compared_);
  }
  const bool shared = received.storable && !alone_;
  return begin_body(attempt, std::move(received), shared);
}

// The rest of a body, or all of it again from a source that knows no ranges. Only ever bytes of the same
// response.
bool Fill::on_resumed_head(Attempt& attempt, const http::ResponseHead& head) {
  const Continuation found = continuation(head_->head, length_, received_, head);
  if (!found.possible) {
    if (!attempt.source_) changed_ = true;
    return false;
  }
  winner_ = attempt.number_;
  skip_ = found.skip;
  drop_all_but(&attempt);
  host_.stats().fills_resumed.add();
  return true;
}

bool Fill::begin_body(Attempt& attempt, Received received, bool shared) {
  const bool no_body = method() == "HEAD" || received.head.status == 204 || received.head.status == 304;
  const std::optional<std::uint64_t> length = no_body ? std::optional<std::uint64_t>(0) : received.length;
  auto writer = host_.store().begin(length);
  if (!writer) {
    winner_ = attempt.number_;
    // Newer than what is stored all the same.
    if (!alone_) host_.forget_stored(*request_);
    fail({.status = 502, .why = "The object is too large for this proxy.", .may_be_covered = false});
    return true;
  }
  winner_ = attempt.number_;
  drop_all_but(&attempt);
  writer_ = std::move(*writer);
  length_ = length;
  auto published = std::make_shared<FillHead>();
  published->head = std::move(received.head);
  published->vary_names = std::move(received.vary_names);
  published->generation = received.generation;
  published->body = writer_->body();
  published->length = received.length;
  published->shared = shared;
  published->first = request_->exchange;
  published->source = source_;
  published->forward = forward_;
  published->first_fields = std::move(received.first_fields);
  published->has_age = received.has_age;
  // Where it varies, who else it is for cannot be known: nothing of the kind is stored.
  if (conditional_ && published->head.status == 304 &&
      http::find_line(published->head.fields, "Vary").empty())
    published->validators = client_validators(request_->head().fields);
  head_ = std::move(published);
  if (!shared && !alone_ && head_->head.status != 304) {
    if (rules::ends_stored(head_->head.status)) host_.forget_stored(*request_);
    if (head_->head.status < 500) host_.remember_unshared(*request_);
    if (announced_) host_.index()->withdraw(host_.key_of(request_->plain_url));
    announced_ = false;
  }
  host_.on_fill_head(*this, head_);
  arm();
  return true;
}

bool Fill::on_body(Attempt& attempt, ByteView bytes) {
  if (ended_) return true;  // what is left of an answer that nobody needs
  if (attempt.number_ != winner_ || writer_ == nullptr) return false;
  (attempt.source_ ? host_.stats().peer_bytes : host_.stats().origin_bytes).add(bytes.size());
  if (skip_ > 0) {
    const auto skipped = static_cast<std::size_t>(std::min<std::uint64_t>(skip_, bytes.size()));
    skip_ -= skipped;
    bytes = bytes.subspan(skipped);
    if (bytes.empty()) return true;
  }
  if (auto added = writer_->append(bytes); !added) {
    log::debug("proxy", "body refused url={} reason=\"{}\"", request_->url, added.error().message());
    fail({502, "The object is too large for this proxy."});
    return false;
  }
  received_ += bytes.size();
  host_.on_fill_grew(*this);
  return true;
}

void Fill::on_end(Attempt& attempt, FetchEnd why, std::string_view detail) {
  if (!attempt.source_ && origin_held_) {
    origin_held_ = false;
    host_.release_origin(*this);
  }
  if (ended_) return;
  if (winner_ == attempt.number_ && why == FetchEnd::complete && writer_ != nullptr && skip_ == 0 &&
      (!length_ || received_ == *length_)) {
    return complete();
  }
  log::debug("proxy", "fetch ended url={} from={} reason={} detail=\"{}\" received={}", request_->url,
             attempt.source_ ? to_string(sources_[*attempt.source_].peer) : request_->to->authority,
             to_text(why), detail, received_);
  if (attempt.source_) {
    host_.stats().peer_failures.add();
    return attempt_failed(attempt);
  }
  host_.stats().origin_failures.add();
  if (writer_ != nullptr) return attempt_failed(attempt);
  const OriginFailure failure = origin_failure(*request_, why);
  if (failure.whole_origin) host_.remember_failure(*request_, true, failure.status, failure.why);
  fail({failure.status, failure.why, host_.options().origins.negative_ttl});
}

// Its place is taken by the next source; a body that has begun is continued from where it broke off.
void Fill::attempt_failed(Attempt& attempt) {
  const bool was_origin = !attempt.source_;
  if (winner_ == attempt.number_) winner_ = 0;
  drop(attempt);
  if (writer_ != nullptr) {
    const bool resumable = method() == "GET" && !(was_origin && changed_) &&
                           (received_ == 0 || !resume_validator(head_->head).empty());
    if (!resumable || ++resumes_ > host_.options().origins.resumes_max)
      return fail({502, "The transfer broke off."});
    if (was_origin) origin_asked_ = false;
  }
  next_source();
  arm();
}

void Fill::drop(Attempt& attempt) {
  const auto found = std::find_if(attempts_.begin(), attempts_.end(),
                                  [&](const auto& other) { return other.get() == &attempt; });
  if (found == attempts_.end()) return;
  host_.fetcher().cancel(attempt.fetch_);
  attempt.fetch_ = FetchId::none;
  if (!attempt.source_ && origin_held_) {
    origin_held_ = false;
    host_.release_origin(*this);
  }
  dropped_.push_back(std::move(*found));
  attempts_.erase(found);
}

void Fill::drop_all_but(const Attempt* kept) {
  for (std::size_t i = attempts_.size(); i-- > 0;) {
    if (attempts_[i].get() != kept) drop(*attempts_[i]);
  }
}

Fill::Attempt* Fill::find_attempt(std::uint64_t number) {
  for (const auto& attempt : attempts_) {
    if (attempt->number_ == number) return attempt.get();
  }
  return nullptr;
}

void Fill::complete() {
  FillResult result;
  result.source = source_;
  result.forward = forward_;
  result.origin_status = source_ == SourceKind::origin ? head_->head.status : 0;
  const bool shared = head_->shared && !forgotten_;
  auto object = writer_->finish(head_->head, std::nullopt, shared);
  writer_.reset();
  if (!object) {
    result.why = "The transfer broke off.";
    host_.stats().fills_failed.add();
  } else if (shared) {
    result.object = std::move(*object);
    if (!head_->vary_names.empty()) add_variant(result);
    host_.renew_pointer(*request_, result.object);
    announced_ = false;
  }
  end(std::move(result));
}

// What stands under the plain URL of a response that varies: which fields tell its variants apart, and which
// there are.
void Fill::add_variant(FillResult& result) {
  auto writer = host_.store().begin(0);
  if (!writer) return;
  VariantsKept variants = with_variant(host_.stored_under_plain_url(*request_).get(), head_->generation,
                                       host_.store().hasher()(result.object->head.url),
                                       rules_of(host_.options(), request_->to->mode).variants_max);
  ObjectHead index;
  index.url = request_->plain_url;
  index.status = 200;
  index.fields = variant_index_fields(head_->vary_names, variants.kept);
  index.policy = rules::variant_index(WallTime(std::chrono::milliseconds(head_->generation)));
  auto object = (*writer)->finish(std::move(index));
  if (!object) return;
  result.variant_index = std::move(*object);
  result.gone_variants = std::move(variants.gone);
}

void Fill::not_modified(Attempt& attempt, const http::ResponseHead& head) {
  host_.stats().origin_not_modified.add();
  Freshened fresh = freshened(*stale_, head, *request_, host_.options(), asked_at_, host_.wall_now());
  if (fresh.object == nullptr) {
    // It confirms something that we do not have, and updates nothing.
    unconditional_ = true;
    origin_asked_ = false;
    drop(attempt);
    return ask_origin();
  }
  winner_ = attempt.number_;
  FillResult result;
  result.source = SourceKind::origin;
  result.forward = forward_;
  result.origin_status = 304;
  result.first = request_->exchange;
  result.object = std::move(fresh.object);
  result.shared = fresh.storable;
  if (result.shared && !forgotten_) {
    host_.store().update_head(host_.store().hasher()(result.object->head.url), result.object);
    host_.renew_pointer(*request_, result.object);
  } else if (!result.shared) {
    host_.forget_stored(*request_);
    host_.remember_unshared(*request_);
  }
  end(std::move(result));
}

bool Fill::covers_server_error() const {
  return stale_ != nullptr &&
         rules::may_serve_on_error(stale_->head.policy, host_.wall_now(), rules::OriginFailure::server_error,
                                   rules_of(host_.options(), request_->to->mode));
}

void Fill::fail(Failure failure) {
  if (ended_) return;
  host_.stats().fills_failed.add();
  if (writer_ != nullptr) {
    writer_->abort();
    writer_.reset();
  }
  FillResult result;
  result.forward = forward_;
  result.origin_status = failure.origin_status;
  result.status = failure.status;
  result.why = std::move(failure.why);
  result.retry_after = failure.retry_after;
  if (head_ == nullptr && stale_ != nullptr && failure.may_be_covered &&
      rules::may_serve_on_error(stale_->head.policy, host_.wall_now(), rules::OriginFailure::unreachable,
                                rules_of(host_.options(), request_->to->mode))) {
    result.object = stale_;
    result.stale_for_error = true;
  }
  end(std::move(result));
}

void Fill::cancel() { fail({.status = 503, .why = "The client has gone.", .may_be_covered = false}); }

void Fill::on_upload_data() {
  for (const auto& attempt : attempts_) host_.fetcher().resume_upload(attempt->fetch_);
}

void Fill::end(FillResult result) {
  if (std::exchange(ended_, true)) return;
  timer_.stop();
  if (announced_ && host_.index() != nullptr) host_.index()->withdraw(host_.key_of(request_->plain_url));
  drop_all_but(nullptr);
  host_.on_fill_end(*this, std::move(result));
}

bool Fill::on_peer_waits(const std::optional<Endpoint>& peer) {
  if (!peer || head_ != nullptr) return true;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    Source& source = sources_[i];
    if (source.peer != *peer) continue;
    // Each saw the other before itself. The lower endpoint goes on alone.
    if (host_.options().peers.advertise > *peer) return false;
    source.tried = true;
    for (const auto& attempt : attempts_) {
      if (attempt->source_ == i) {
        attempt_failed(*attempt);
        break;
      }
    }
    return true;
  }
  return true;
}

void Fill::on_probe(std::uint64_t number, bool lives) {
  Attempt* attempt = find_attempt(number);
  if (attempt == nullptr || ended_) return;
  if (lives) attempt->last_sign_ = host_.loop().now();
  if (!lives)
    attempt->last_sign_ = TimePoint::min();  // judged by check_time(), outside of the probe's own callback
  timer_.start(Duration::zero());
}

// Hedges, probes and gives up, and keeps the announcement alive.
void Fill::check_time() {
  if (ended_) return;
  const TimePoint now = host_.loop().now();
  const PeerOptions& peers = host_.options().peers;
  if (announced_ && now >= renew_at_) {
    renew_at_ = now + peers.announce_ttl / 2;
    host_.index()->announce(host_.key_of(request_->plain_url), encode_pointer(peers.advertise),
                            peers.announce_ttl, host_.index_budget(), [](const dsht::Announced&) {});
  }
  for (std::size_t i = 0; i < attempts_.size() && !ended_; ++i) {
    Attempt& attempt = *attempts_[i];
    if (!attempt.source_) continue;
    const bool has_head = winner_ == attempt.number_;
    const Duration silent = now - std::max(attempt.last_sign_, attempt.started_ - std::chrono::hours(1));
    const bool dead = attempt.last_sign_ == TimePoint::min();
    const bool never_answered = !has_head && !attempt.held_ && silent >= peers.silence_max;
    const bool too_long = !has_head && now - attempt.started_ >= peers.head_wait_max;
    if (dead || never_answered || too_long) {
      host_.stats().peer_failures.add();
      return attempt_failed(attempt);  // arms again
    }
    if (attempt.probe_ != nullptr && attempt.probe_->over_) attempt.probe_.reset();
    if (silent >= peers.silence_max && attempt.probe_ == nullptr) {
      host_.stats().peer_probes.add();
      attempt.probe_ = std::make_unique<Probe>(*this, attempt.number_);
      FetchRequest request = peer_request(sources_[*attempt.source_]);
      request.method = "HEAD";
      request.fresh_connection = true;
      request.head_timeout = milliseconds{0};
      request.connect_timeout = peers.probe_timeout;
      request.total_timeout = peers.probe_timeout;
      attempt.probe_->fetch_ = host_.fetcher().start(std::move(request), *attempt.probe_);
    }
    const Duration rtt = sources_[*attempt.source_].rtt.value_or(peers.hedge_delay_max);
    const Duration hedge = within(3 * rtt, peers.hedge_delay_min, peers.hedge_delay_max);
    if (!has_head && winner_ == 0 && !attempt.held_ && !attempt.hedged_ && now - attempt.started_ >= hedge &&
        attempts_.size() < kPeersAtOnce) {
      attempt.hedged_ = true;
      const auto fresh =
          std::find_if(sources_.begin(), sources_.end(), [](const Source& s) { return !s.tried; });
      if (fresh != sources_.end()) {
        host_.stats().hedges.add();
        ask_peer(static_cast<std::size_t>(fresh - sources_.begin()));
      }
    }
  }
  arm();
}

void Fill::arm() {
  if (ended_) return;
  const TimePoint now = host_.loop().now();
  const PeerOptions& peers = host_.options().peers;
  TimePoint next = TimePoint::max();
  if (announced_) next = std::min(next, renew_at_);
  for (const auto& attempt : attempts_) {
    if (!attempt->source_) continue;
    const bool has_head = winner_ == attempt->number_;
    if (attempt->last_sign_ == TimePoint::min()) {
      next = now;
      continue;
    }
    if (attempt->probe_ == nullptr || attempt->probe_->over_)
      next = std::min(next, attempt->last_sign_ + peers.silence_max);
    if (!has_head) next = std::min(next, attempt->started_ + peers.head_wait_max);
    if (!has_head && !attempt->held_ && !attempt->hedged_) {
      const Duration rtt = sources_[*attempt->source_].rtt.value_or(peers.hedge_delay_max);
      next =
          std::min(next, attempt->started_ + within(3 * rtt, peers.hedge_delay_min, peers.hedge_delay_max));
    }
  }
  if (next == TimePoint::max()) {
    timer_.stop();
  } else {
    timer_.start(std::max<Duration>(next - now, std::chrono::milliseconds(1)));
  }
}

}  // namespace reef::proxy
