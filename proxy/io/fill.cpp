#include "proxy/io/fill.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/io/log.h"
#include "proxy/http/builder.h"
#include "proxy/io/fill_attempts.h"
#include "proxy/io/messages.h"
#include "proxy/io/variants.h"
#include "proxy/rules/reuse.h"
#include "proxy/rules/storing.h"
#include "proxy/rules/validation.h"
#include "proxy/rules/vary.h"
#include "proxy/store/error.h"

namespace reef::proxy {
namespace {

// Longer interim answers stay here: they are advice, and are not to fill the send buffer of a client.
constexpr std::size_t kInterimBytesMax = 4 << 10;
// A fetch is paused while its window has less room: twice what a fetcher reads at once, as the rest of what
// it has read still comes.
constexpr std::size_t kWindowRoomMin = 128 << 10;

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

Fill::Fill(FillHost& host, FillId id, std::shared_ptr<const RequestInfo> request,
           const std::shared_ptr<const Object>& stored, bool alone, rules::Forward forward)
    : host_(host),
      id_(id),
      request_(std::move(request)),
      stale_(alone ? nullptr : stored),
      compared_(alone && request_->head().method == "HEAD" ? stored : nullptr),
      alone_(alone),
      forward_(forward),
      conditional_(!alone && stale_ == nullptr && request_->to->mode == rules::Mode::site &&
                   !client_validators(request_->head().fields).empty()),
      timer_(host.loop(), [this] { check_time(); }),
      absorber_(host.loop(), [this] { absorb(); }) {}

Fill::~Fill() {
  for (const auto& attempt : attempts_) host_.fetcher().cancel(attempt->fetch_);
  if (origin_held_) host_.release_origin(*this);
}

void Fill::start() {
  host_.stats().fills.add();
  if (cooperates()) {
    announce();
  } else if (is_body_ready()) {
    ask_origin();
  } else {
    awaits_body_ = true;
  }
}

bool Fill::is_body_ready() const {
  UploadSource* source = request_->has_body ? host_.upload_of(*request_) : nullptr;
  return source == nullptr || source->is_ready();
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
  if (ended_) return false;
  if (attempt.is_part_) return on_part_head(attempt, head);
  if (winner_ != 0 && winner_ != attempt.number_) return false;
  if (attempt.source_ && !is_from_peer(head, host_.options().peers))
    return false;  // it has nothing, or is no peer
  if (attempt.resuming_) return on_resumed_head(attempt, head);
  return attempt.source_ ? on_peer_head(attempt, head) : on_origin_head(attempt, head);
}

std::string Fill::name_of(const Attempt& attempt) const {
  if (!attempt.source_) return std::string(to_text(SourceKind::origin));
  const Source& source = sources_[*attempt.source_];
  return fmt::format("{}/l{}/{}", to_text(SourceKind::peer), source.level, to_string(source.peer.address));
}

bool Fill::on_peer_head(Attempt& attempt, const http::ResponseHead& head) {
  Received received = receive(*request_, head, asked_at_, host_.wall_now(), false);
  // A peer answers with what it stored; what we may not store ourselves we do not take from it.
  if (!received.storable) return false;
  source_ = SourceKind::peer;
  const bool begun = begin_body(attempt, std::move(received), true);
  if (!ended_ && keep_promise(head)) ask_for_parts();
  return begun;
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
  Received received = receive(*request_, head, asked_at_, host_.wall_now(), alone_);
  if (!received.valid) return false;
  source_ = SourceKind::origin;
  if (compared_ != nullptr &&
      rules::head_contradicts(head, compared_->head.etag, compared_->head.last_modified,
                              compared_->head.body_bytes)) {
    host_.mark_stale(*request_, *compared_);
  }
  const bool shared = received.storable && !alone_;
  const bool begun = begin_body(attempt, std::move(received), shared);
  ask_for_parts();
  return begun;
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
  attempt.has_head_ = true;
  attempt.head_at_ = host_.loop().now();
  attempt.skip_ = found.skip;
  attempt.answer_end_ = length_.value_or(0);
  drop_all_but(&attempt);
  host_.stats().fills_resumed.add();
  ask_for_parts();
  return true;
}

bool Fill::begin_body(Attempt& attempt, Received received, bool shared) {
  const bool no_body = method() == "HEAD" || received.head.status == 204 || received.head.status == 304;
  const std::optional<std::uint64_t> length = no_body ? std::optional<std::uint64_t>(0) : received.length;
  // A site's answer of any length passes: to its one reader through a window, at his pace.
  const bool passes = alone_ && is_of_site();
  Result<std::unique_ptr<BodyWriter>> writer =
      passes && !length ? host_.store().begin_passing(length) : host_.store().begin(length);
  if (!writer && passes) writer = host_.store().begin_passing(length);
  if (!writer) {
    winner_ = attempt.number_;
    // Newer than what is stored all the same.
    if (!alone_) host_.forget_stored(*request_);
    if (!alone_ && is_of_site()) {
      end_to_pass();
      return true;
    }
    fail({.status = 502, .why = "The object is too large for this proxy.", .may_be_covered = false});
    return true;
  }
  winner_ = attempt.number_;
  for (const auto& other : attempts_) {
    if (other->hedged_ && other.get() != &attempt && other->source_) sources_[*other->source_].unfit = true;
  }
  drop_all_but(&attempt);
  writer_ = std::move(*writer);
  length_ = length;
  attempt.has_head_ = true;
  attempt.head_at_ = host_.loop().now();
  attempt.answer_end_ = length.value_or(0);
  auto published = std::make_shared<FillHead>();
  published->head = std::move(received.head);
  published->vary_names = std::move(received.vary_names);
  published->generation = received.generation;
  published->body = writer_->body();
  published->length = received.length;
  published->shared = shared;
  published->first = request_->exchange;
  published->source = source_;
  published->source_name = name_of(attempt);
  published->forward = forward_;
  published->first_fields = std::move(received.first_fields);
  published->has_age = received.has_age;
  // Where it varies, who else it is for cannot be known: nothing of the kind is stored.
  if (conditional_ && published->head.status == 304 &&
      http::find_line(published->head.fields, "Vary").empty())
    published->validators = client_validators(request_->head().fields);
  head_ = std::move(published);
  if (!shared && !alone_ && head_->head.status != 304) {
    if (request_->to->rules.newer_ends_stored && rules::ends_stored(head_->head.status))
      host_.forget_stored(*request_);
    if (head_->head.status < 500) host_.remember_unshared(*request_);
    if (announced_) host_.index()->withdraw(host_.key_of(request_->plain_url));
    announced_ = false;
  }
  host_.on_fill_head(*this, head_);
  arm();
  return true;
}

void Fill::end_to_pass() {
  host_.remember_unshared(*request_);
  FillResult result;
  result.forward = forward_;
  result.to_pass = true;
  end(std::move(result));
}

bool Fill::on_body(Attempt& attempt, ByteView bytes) {
  if (ended_) return true;  // what is left of an answer that nobody needs
  if (!attempt.has_head_ || writer_ == nullptr) return false;
  (attempt.source_ ? host_.stats().peer_bytes : host_.stats().origin_bytes).add(bytes.size());
  if (attempt.skip_ > 0) {
    const auto skipped = static_cast<std::size_t>(std::min<std::uint64_t>(attempt.skip_, bytes.size()));
    attempt.skip_ -= skipped;
    bytes = bytes.subspan(skipped);
    if (bytes.empty()) return true;
  }
  if (!wanted_ && !is_worth_finishing()) {
    abandon();
    return true;
  }
  if (parts_ != nullptr) return take_part(attempt, bytes);
  if (!writer_->fits(bytes.size()) && !alone_ && is_of_site()) {
    // Those who read it have what the spool holds; it is not kept, and who asks from now on does so alone.
    writer_->let_pass();
    forgotten_ = true;
    host_.remember_unshared(*request_);
  }
  count_brought(attempt, bytes.size());
  if (auto added = writer_->append(bytes); !added) {
    body_refused(added.error());
    return false;
  }
  received_ += bytes.size();
  if (writer_->body()->is_window() && writer_->room() < kWindowRoomMin) {
    paused_ = true;
    host_.fetcher().pause(attempt.fetch_);
  }
  host_.on_fill_grew(*this);
  return true;
}

void Fill::on_taken() {
  if (!paused_ || writer_ == nullptr || writer_->room() < 2 * kWindowRoomMin) return;
  paused_ = false;
  if (const Attempt* attempt = find_attempt(winner_)) host_.fetcher().resume(attempt->fetch_);
}

void Fill::on_end(Attempt& attempt, FetchEnd why, std::string_view detail) {
  if (!attempt.source_ && origin_held_) {
    origin_held_ = false;
    host_.release_origin(*this);
  }
  if (ended_) return;
  if (parts_ != nullptr) return on_part_end(attempt, why, detail);
  if (winner_ == attempt.number_ && why == FetchEnd::complete && writer_ != nullptr && attempt.skip_ == 0 &&
      (!length_ || received_ == *length_)) {
    return complete();
  }
  log::debug("proxy", "fetch ended url={} from={} reason={} detail=\"{}\" received={}", request_->url,
             name_of(attempt), to_text(why), detail, received_);
  if (attempt.source_) {
    host_.stats().peer_failures.add();
    if (why != FetchEnd::refused_by_sink) note_fault(attempt, PeerFault::failed);
    return attempt_failed(attempt);
  }
  host_.stats().origin_failures.add();
  if (writer_ != nullptr) return attempt_failed(attempt);
  const OriginFailure failure = origin_failure(*request_, why);
  if (failure.whole_origin) host_.remember_failure(*request_, true, failure.status, failure.why);
  fail({failure.status, failure.why, host_.options().origins.negative_ttl});
}

// The writer takes no more: nothing that is under way can become whole.
void Fill::body_refused(const Error& error) {
  log::debug("proxy", "body refused url={} reason=\"{}\"", request_->url, error.message());
  if (error.code != StoreError::digest_mismatch)
    return fail({502, "The object is too large for this proxy."});
  // Whose bytes were wrong cannot be told: nobody who brought some is asked again soon.
  for (const Source& source : sources_) {
    if (source.brought == 0) continue;
    host_.stats().peer_lies.add();
    host_.peers().note(source.peer, PeerFault::lied, host_.loop().now());
  }
  fail({502, "The transfer brought other bytes than were promised."});
}

void Fill::complete() {
  count_sources();
  FillResult result;
  result.source = source_;
  result.forward = forward_;
  result.origin_status = source_ == SourceKind::origin ? head_->head.status : 0;
  const bool shared = head_->shared && !forgotten_;
  auto object = writer_->finish(head_->head, shared);
  writer_.reset();
  if (!object) {
    result.why = "The transfer broke off.";
    host_.stats().fills_failed.add();
  } else if (shared) {
    result.object = std::move(*object);
    if (!head_->vary_names.empty()) {
      add_variant(result);
    } else if (!request_->vary_names.empty()) {
      result.gone_variants = variants_of(host_.stored_under_plain_url(*request_).get());
    }
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
  VariantsKept variants =
      with_variant(host_.stored_under_plain_url(*request_).get(), head_->generation,
                   host_.store().hasher()(result.object->head.url), request_->to->rules.variants_max);
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
  Freshened fresh = freshened(*stale_, head, *request_, asked_at_, host_.wall_now());
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
    if (!fresh.shareable) host_.remember_unshared(*request_);
  }
  end(std::move(result));
}

bool Fill::covers_server_error() const {
  return stale_ != nullptr &&
         rules::may_serve_on_error(stale_->head.policy, host_.wall_now(), rules::OriginFailure::server_error,
                                   request_->to->rules);
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
                                request_->to->rules)) {
    result.object = stale_;
    result.stale_for_error = true;
  }
  end(std::move(result));
}

void Fill::cancel() { fail({.status = 503, .why = "The client has gone.", .may_be_covered = false}); }

void Fill::set_wanted(bool wanted) {
  wanted_ = wanted;
  if (!wanted_ && !ended_ && !is_worth_finishing()) abandon();
}

bool Fill::is_worth_finishing() const {
  return (length_ ? *length_ - received_ : received_) <= host_.options().origins.finish_bytes_max;
}

void Fill::abandon() {
  host_.stats().fills_abandoned.add();
  cancel();
}

void Fill::on_upload_data() {
  if (awaits_body_) {
    if (!is_body_ready()) return;
    awaits_body_ = false;
    return ask_origin();
  }
  for (const auto& attempt : attempts_) host_.fetcher().resume_upload(attempt->fetch_);
}

void Fill::end(FillResult result) {
  if (std::exchange(ended_, true)) return;
  timer_.stop();
  absorber_.stop();
  if (announced_ && host_.index() != nullptr) host_.index()->withdraw(host_.key_of(request_->plain_url));
  drop_all_but(nullptr);
  host_.on_fill_end(*this, std::move(result));
}

}  // namespace reef::proxy
