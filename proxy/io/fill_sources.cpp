// Where a fill gets its object from: peers that the index named, in turn and hedged, and the origin last; and
// who takes the place of one that fails.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "proxy/http/fields.h"
#include "proxy/io/fill.h"
#include "proxy/io/fill_attempts.h"
#include "proxy/io/messages.h"
#include "proxy/io/pointer.h"

namespace reef::proxy {
namespace {

constexpr std::size_t kPeersAtOnce = 3;  // asked at once while their answers are awaited
constexpr std::chrono::milliseconds kLookAgain{250};

Duration within(Duration value, milliseconds low, milliseconds high) {
  return std::clamp<Duration>(value, low, high);
}

}  // namespace

bool Fill::cooperates() const {
  return !alone_ && stale_ == nullptr && host_.index() != nullptr && host_.index()->has_others() &&
         host_.options().peers.advertise.port != 0 && request_->to->mode == rules::Mode::coralized;
}

void Fill::announce() {
  locating_ = true;
  announced_ = true;
  host_.stats().announces.add();
  send_announcement(host_.index_budget());
  arm();
}

void Fill::send_announcement(Duration budget) {
  const PeerOptions& peers = host_.options().peers;
  renew_at_ = host_.loop().now() + peers.announce_ttl / 2;
  host_.index()->announce(host_.key_of(request_->plain_url), encode_pointer(peers.advertise),
                          peers.announce_ttl, budget,
                          [&host = host_, id = id_](const dsht::Announced& answer) {
                            if (Fill* fill = host.find_fill(id)) fill->on_announced(answer);
                          });
}

void Fill::on_announced(const dsht::Announced& answer) {
  if (ended_) return;
  if (!locating_) return on_renewed(answer);
  // Too late for the usual budget, as when all nodes start at once: whoever went on alone now would ask the
  // origin beside others.
  const bool is_unheard = answer.end == dsht::WalkEnd::deadline && !answer.stored && answer.earlier.empty();
  if (is_unheard && !is_patient_) {
    is_patient_ = true;
    return send_announcement(host_.options().peers.index_budget_max);
  }
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
  std::vector<Source> fetching, failed;
  for (const dsht::Value& value : answer.earlier) {
    const auto peer = decode_pointer(value.data);
    if (!peer || *peer == peers.advertise || !host_.permits_peer(*peer)) continue;
    const PeerFault fault = host_.peers().fault_of(*peer, host_.loop().now());
    if (fault == PeerFault::lied) continue;
    Source source{.peer = *peer,
                  .rtt = value.rtt,
                  .provisional = value.provisional,
                  .doubtful = fault == PeerFault::failed,
                  .level = answer.level};
    (fault == PeerFault::failed ? failed : value.provisional ? fetching : sources_).push_back(source);
  }
  std::stable_sort(sources_.begin(), sources_.end(), [](const Source& a, const Source& b) {
    return a.rtt.value_or(Duration::max()) < b.rtt.value_or(Duration::max());
  });
  if (!fetching.empty()) {
    const std::size_t parent = (fetching.size() - 1) / 2;
    for (std::size_t i = parent + 1; i-- > 0;) sources_.push_back(fetching[i]);
    for (std::size_t i = parent + 1; i < fetching.size(); ++i) sources_.push_back(fetching[i]);
  }
  sources_.insert(sources_.end(), failed.begin(), failed.end());
  if (sources_.size() > peers.sources_max) sources_.resize(peers.sources_max);
}

// Who was still fetching may have the whole by now, and so may others that came since.
void Fill::on_renewed(const dsht::Announced& answer) {
  if (writer_ == nullptr) return;
  for (const dsht::Value& value : answer.earlier) {
    const auto peer = decode_pointer(value.data);
    if (value.provisional || !peer || *peer == host_.options().peers.advertise ||
        !host_.permits_peer(*peer) || host_.peers().fault_of(*peer, host_.loop().now()) != PeerFault::none) {
      continue;
    }
    const auto known = std::find_if(sources_.begin(), sources_.end(),
                                    [&peer](const Source& source) { return source.peer == *peer; });
    if (known != sources_.end()) {
      if (std::exchange(known->provisional, false)) known->unfit = false;
    } else if (sources_.size() < host_.options().peers.sources_max) {
      sources_.push_back({.peer = *peer, .rtt = value.rtt, .level = answer.level});
    }
  }
  ask_for_parts();
  arm();
}

// The next peer that was not tried; the origin when there is none and nobody is still expected to answer.
void Fill::next_source() {
  if (ended_) return;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    if (!sources_[i].tried) return ask_peer(i);
  }
  if (attempts_.empty()) ask_origin();
}

Fill::Attempt& Fill::begin_attempt(std::optional<std::size_t> source) {
  if (source) sources_[*source].tried = true;
  attempts_.push_back(std::make_unique<Attempt>(*this, ++last_attempt_, source, host_.loop().now()));
  return *attempts_.back();
}

void Fill::launch(Attempt& attempt, FetchRequest request) {
  request.total_timeout = host_.options().origins.total_timeout;
  (attempt.source_ ? host_.stats().peer_fetches : host_.stats().origin_fetches).add();
  attempt.fetch_ = host_.fetcher().start(std::move(request), attempt);
  arm();
}

void Fill::launch_whole(Attempt& attempt, FetchRequest request) {
  if (writer_ != nullptr) {
    attempt.resuming_ = true;
    add_resume_fields(request);
  }
  asked_at_ = host_.wall_now();
  launch(attempt, std::move(request));
}

void Fill::ask_peer(std::size_t index) { launch_whole(begin_attempt(index), peer_request(sources_[index])); }

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
  if (!addresses && parts_ != nullptr && !attempts_.empty()) {
    origin_asked_ = false;
    return;
  }
  if (!addresses) return fail({status, addresses.error().context, retry_after});
  origin_held_ = true;
  if (parts_ != nullptr) return ask_origin_for_part(std::move(*addresses));
  launch_whole(begin_attempt(std::nullopt), origin_request(std::move(*addresses)));
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

void Fill::note_fault(const Attempt& attempt, PeerFault fault) {
  if (!attempt.source_) return;
  if (fault == PeerFault::lied) host_.stats().peer_lies.add();
  host_.peers().note(sources_[*attempt.source_].peer, fault, host_.loop().now());
}

// Its place is taken by the next source; a body that has begun is continued from where it broke off.
void Fill::attempt_failed(Attempt& attempt) {
  if (parts_ != nullptr) return part_failed(attempt);
  const bool was_origin = !attempt.source_;
  if (winner_ == attempt.number_) winner_ = 0;
  if (attempt.source_) sources_[*attempt.source_].unfit = true;
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
  // It has brought its part; the last resort it remains.
  if (!attempt.source_ && parts_ != nullptr) origin_asked_ = false;
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
  if (announced_ && now >= renew_at_) send_announcement(host_.index_budget());
  for (std::size_t i = 0; i < attempts_.size() && !ended_; ++i) {
    Attempt& attempt = *attempts_[i];
    if (!attempt.source_) continue;
    const bool has_head = attempt.has_head_;
    const Duration silent = now - std::max(attempt.last_sign_, attempt.started_ - std::chrono::hours(1));
    const bool dead = attempt.last_sign_ == TimePoint::min();
    const bool never_answered = !has_head && !attempt.held_ && silent >= peers.silence_max;
    const bool too_long = !has_head && now - attempt.started_ >= peers.head_wait_max;
    // Another can bring it: no need to find out whether this one lives.
    const bool replaceable = parts_ != nullptr && silent >= peers.silence_max && idle_source().has_value();
    if (dead || never_answered || too_long || replaceable) {
      host_.stats().peer_failures.add();
      note_fault(attempt, PeerFault::failed);
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
    if (!has_head && winner_ == 0 && parts_ == nullptr && !attempt.held_ && !attempt.hedged_ &&
        now - attempt.started_ >= hedge && attempts_.size() < kPeersAtOnce) {
      attempt.hedged_ = true;
      const auto fresh =
          std::find_if(sources_.begin(), sources_.end(), [](const Source& s) { return !s.tried; });
      if (fresh != sources_.end()) {
        host_.stats().hedges.add();
        ask_peer(static_cast<std::size_t>(fresh - sources_.begin()));
      }
    }
  }
  ask_for_parts();
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
    const bool has_head = attempt->has_head_;
    if (attempt->last_sign_ == TimePoint::min()) {
      next = now;
      continue;
    }
    if (attempt->probe_ == nullptr || attempt->probe_->over_)
      next = std::min(next, attempt->last_sign_ + peers.silence_max);
    if (!has_head) next = std::min(next, attempt->started_ + peers.head_wait_max);
    if (!has_head && parts_ == nullptr && !attempt->held_ && !attempt->hedged_) {
      const Duration rtt = sources_[*attempt->source_].rtt.value_or(peers.hedge_delay_max);
      next =
          std::min(next, attempt->started_ + within(3 * rtt, peers.hedge_delay_min, peers.hedge_delay_max));
    }
  }
  // Whoever has nothing to do takes over from those who are late.
  if (parts_ != nullptr && idle_source()) next = std::min(next, now + kLookAgain);
  if (next == TimePoint::max()) {
    timer_.stop();
  } else {
    timer_.start(std::max<Duration>(next - now, std::chrono::milliseconds(1)));
  }
}

}  // namespace reef::proxy
