// A long body in parts: who is asked for which bytes, what is made of the answers, and how what comes out of
// order becomes the prefix that readers see.
//
// Parts are handed out from the front, so that the prefix grows with all sources together, and only to
// complete copies: a fill that is under way elsewhere ends no sooner than its own source. A source that is
// late with bytes that others could bring loses half of what it still owes, or all.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/io/log.h"
#include "proxy/http/fields.h"
#include "proxy/http/message.h"
#include "proxy/io/fill.h"
#include "proxy/io/fill_attempts.h"
#include "proxy/io/messages.h"
#include "proxy/store/error.h"

namespace reef::proxy {
namespace {

// What others could bring is late when it will take so many seconds at the rate so far; judged from so much
// time on.
constexpr double kLatePatience = 2;
constexpr std::chrono::seconds kJudgedAfter{1};
// Less is not shared with a late source: a request of its own would cost more than it brings.
constexpr std::uint64_t kSplitBytesMin = 128 << 10;
// Out of order bytes are read back and digested so many at a time, about half a millisecond of a turn.
constexpr std::size_t kAbsorbedAtOnce = 256 << 10;

}  // namespace

bool Fill::may_take_parts() const {
  const PeerOptions& peers = host_.options().peers;
  if (writer_ == nullptr || head_ == nullptr || !head_->shared || head_->head.status != 200) return false;
  if (!length_ || *length_ < peers.parts_min || *length_ - received_ < 2 * peers.part_bytes_min) return false;
  const std::string& etag = head_->head.etag;
  return peers.part_sources_max > 1 && winner_ != 0 && !etag.empty() && !http::parse_entity_tag(etag).weak;
}

std::uint64_t Fill::part_bytes() const {
  const PeerOptions& peers = host_.options().peers;
  const auto fit = std::count_if(sources_.begin(), sources_.end(),
                                 [](const Source& source) { return source.brings_parts(); });
  const auto sources = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(fit), 2, peers.part_sources_max);
  const std::uint64_t share = (*length_ - received_) / sources;
  return std::clamp(share, peers.part_bytes_min, std::max(peers.part_bytes_min, peers.part_bytes_max));
}

// A complete copy that has nothing to do for us and has not failed at it.
std::optional<std::size_t> Fill::idle_source() const {
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    if (!sources_[i].brings_parts()) continue;
    const bool busy = std::any_of(attempts_.begin(), attempts_.end(),
                                  [i](const auto& attempt) { return attempt->source_ == i; });
    if (!busy) return i;
  }
  return std::nullopt;
}

void Fill::ask_for_parts() {
  if (ended_ || (parts_ == nullptr && !may_take_parts())) return;
  const std::size_t at_once = in_order_ ? 1 : host_.options().peers.part_sources_max;
  while (attempts_.size() < at_once) {
    if (in_order_ && received_ < parts_->prefix()) return;  // absorb() comes back
    const auto source = idle_source();
    if (!source) break;
    if (parts_ == nullptr) {
      parts_ = std::make_unique<PartPlan>(*length_, received_, winner_);
      parts_->shorten(winner_, part_bytes());
    }
    const auto part = next_part(last_attempt_ + 1, sources_[*source]);
    if (!part) break;
    ask_part(*source, part->at, part->end);
  }
  if (parts_ != nullptr && attempts_.empty()) ask_for_the_rest();
}

// First what readers wait for, where its source takes twice as long for it as this one would; then what
// nobody was asked for, from the front; then the most that a late source owes.
std::optional<PartPlan::Range> Fill::next_part(PartPlan::Owner owner, const Source& source) {
  const auto is_late_claim = [this](const PartPlan::Claim& claim, double patience) {
    const Attempt* attempt = find_attempt(claim.owner);
    return !claim.left.empty() && attempt != nullptr && is_late(*attempt, claim.left.size(), patience);
  };
  const double for_a_part = source.rate > 0 ? static_cast<double>(part_bytes()) / source.rate
                                            : std::numeric_limits<double>::infinity();
  std::optional<PartPlan::Claim> first, largest;
  for (const PartPlan::Claim& claim : parts_->claims()) {
    if (!claim.left.empty() && claim.left.at == parts_->prefix()) first = claim;
    if (is_late_claim(claim, kLatePatience) && (!largest || claim.left.size() > largest->left.size()))
      largest = claim;
  }
  if (first && is_late_claim(*first, std::max(kLatePatience, 2 * for_a_part))) {
    free_late(*first);
  } else if (!parts_->missing() && largest) {
    free_late(*largest);
  }
  if (!parts_->missing()) return std::nullopt;
  return parts_->take(owner, part_bytes());
}

// It is silent, or what is left will take it longer than `patience` seconds.
bool Fill::is_late(const Attempt& attempt, std::uint64_t left, double patience) const {
  const TimePoint now = host_.loop().now();
  // A last sign at the beginning of time: a probe found it dead.
  if (attempt.last_sign_ + host_.options().peers.silence_max <= now) return true;
  const TimePoint since = attempt.has_head_ ? attempt.head_at_ : attempt.started_;
  if (now - since < kJudgedAfter) return false;
  const double rate =
      static_cast<double>(attempt.brought_) / std::chrono::duration<double>(now - since).count();
  return static_cast<double>(left) > rate * patience;
}

void Fill::free_late(const PartPlan::Claim& claim) {
  Attempt& attempt = *find_attempt(claim.owner);
  if (attempt.has_head_ && claim.left.size() >= kSplitBytesMin) {
    parts_->shorten(claim.owner, claim.left.size() / 2);
  } else {
    give_up(attempt);
  }
}

void Fill::ask_part(std::size_t index, std::uint64_t first, std::uint64_t end) {
  Attempt& attempt = begin_attempt(index);
  attempt.is_part_ = true;
  FetchRequest request = peer_request(sources_[index]);
  add_part_fields(request, first, end);
  host_.stats().parts.add();
  launch(attempt, std::move(request));
}

void Fill::add_part_fields(FetchRequest& request, std::uint64_t first, std::uint64_t end) const {
  // The rest has no last byte: whoever has not got it yet sends it as it comes.
  request.fields.push_back(end == *length_ ? fmt::format("Range: bytes={}-", first)
                                           : fmt::format("Range: bytes={}-{}", first, end - 1));
  request.fields.push_back("If-Range: " + head_->head.etag);
}

// No complete copy is left: whoever still fetches, and the origin last.
void Fill::ask_for_the_rest() {
  if (received_ < parts_->prefix()) return;  // absorb() comes back
  const auto missing = parts_->missing();
  if (!missing) return;
  const auto source =
      std::find_if(sources_.begin(), sources_.end(), [](const Source& s) { return !s.unfit; });
  if (source == sources_.end()) return ask_origin();
  const PartPlan::Range part = parts_->take(last_attempt_ + 1, missing->size());
  ask_part(static_cast<std::size_t>(source - sources_.begin()), part.at, part.end);
}

void Fill::ask_origin_for_part(std::vector<Endpoint> addresses) {
  const auto missing = parts_->missing();
  if (!attempts_.empty() || !missing) {  // others came meanwhile
    origin_asked_ = false;
    origin_held_ = false;
    return host_.release_origin(*this);
  }
  Attempt& attempt = begin_attempt(std::nullopt);
  attempt.is_part_ = true;
  const PartPlan::Range part = parts_->take(attempt.number_, missing->size());
  FetchRequest request = origin_request(std::move(addresses));
  add_part_fields(request, part.at, part.end);
  launch(attempt, std::move(request));
}

// Only ever bytes of the same response.
bool Fill::on_part_head(Attempt& attempt, const http::ResponseHead& head) {
  const auto left = parts_->claim(attempt.number_);
  if (!left) return false;
  if (attempt.source_ && !is_from_peer(head, host_.options().peers)) return false;  // it has nothing
  const PartAnswer answer = part_answer(head_->head, *length_, head, attempt.source_.has_value());
  const bool fits = answer.range && answer.range->first == left->at;
  if (attempt.source_ && (answer.lies || (answer.range && !fits))) note_fault(attempt, PeerFault::lied);
  if (attempt.source_ && (!fits || !keep_promise(head))) return false;
  if (fits) {
    attempt.answer_end_ = answer.range->last + 1;
  } else {
    // An origin that knows no ranges sends everything again.
    const Continuation whole = continuation(head_->head, length_, left->at, head);
    if (head.status == 206 || !whole.possible) {
      changed_ = true;
      return false;
    }
    attempt.skip_ = whole.skip;
    attempt.answer_end_ = *length_;
  }
  if (attempt.answer_end_ < left->end) parts_->shorten(attempt.number_, attempt.answer_end_ - left->at);
  attempt.has_head_ = true;
  attempt.head_at_ = host_.loop().now();
  return true;
}

// False: another digest than what a source promised before.
bool Fill::keep_promise(const http::ResponseHead& head) {
  const auto digest = promised_digest(head);
  if (!digest) return true;
  if (writer_->promised()) return *writer_->promised() == *digest;
  writer_->promise(*digest);
  return true;
}

bool Fill::take_part(Attempt& attempt, ByteView bytes) {
  const std::uint64_t before = received_;
  bool cut = false;
  while (!bytes.empty() && !cut) {
    const auto left = parts_->claim(attempt.number_);
    if (!left) return false;
    if (left->empty()) {
      cut = !parts_->extend(attempt.number_, part_bytes());
      continue;
    }
    const ByteView piece =
        bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), left->size())));
    if (!store_part(attempt, left->at, piece)) return true;
    bytes = bytes.subspan(piece.size());
  }
  const auto left = parts_->claim(attempt.number_);
  // What follows is here already, or comes from elsewhere.
  if (left && left->empty() && attempt.answer_end_ > left->at)
    cut = !parts_->extend(attempt.number_, part_bytes());
  if (received_ > before) host_.on_fill_grew(*this);
  if (received_ < parts_->prefix() || parts_->is_whole()) absorber_.start(Duration::zero());
  if (cut) part_done(attempt);
  return true;
}

// False: the attempt, or all of the fill, is over.
bool Fill::store_part(Attempt& attempt, std::uint64_t at, ByteView bytes) {
  if (at == received_) {
    count_brought(attempt, bytes.size());
    parts_->arrived(attempt.number_, bytes.size());
    if (auto added = writer_->append(bytes); !added) {
      body_refused(added.error());
      return false;
    }
    received_ += bytes.size();
    return true;
  }
  if (auto kept = writer_->put(at, bytes); !kept) {
    log::debug("proxy", "part refused url={} reason=\"{}\"", request_->url, kept.error().message());
    in_order_ = true;
    if (winner_ == attempt.number_) winner_ = 0;
    parts_->release(attempt.number_);
    drop(attempt);
    ask_for_parts();
    return false;
  }
  count_brought(attempt, bytes.size());
  parts_->arrived(attempt.number_, bytes.size());
  return true;
}

void Fill::count_brought(Attempt& attempt, std::uint64_t bytes) {
  attempt.brought_ += bytes;
  (attempt.source_ ? sources_[*attempt.source_].brought : origin_brought_) += bytes;
}

void Fill::on_part_end(Attempt& attempt, FetchEnd why, std::string_view detail) {
  const auto left = parts_->claim(attempt.number_);
  if (why == FetchEnd::complete && left && left->empty()) return part_done(attempt);
  log::debug("proxy", "part ended url={} from={} reason={} detail=\"{}\" at={}", request_->url,
             attempt.source_ ? to_string(sources_[*attempt.source_].peer) : request_->to->authority,
             to_text(why), detail, left ? left->at : 0);
  (attempt.source_ ? host_.stats().peer_failures : host_.stats().origin_failures).add();
  if (why != FetchEnd::refused_by_sink) note_fault(attempt, PeerFault::failed);
  part_failed(attempt);
}

void Fill::part_done(Attempt& attempt) {
  if (attempt.source_) {
    const std::chrono::duration<double> took = host_.loop().now() - attempt.started_;
    sources_[*attempt.source_].rate = static_cast<double>(attempt.brought_) / std::max(took.count(), 0.001);
  }
  if (winner_ == attempt.number_) winner_ = 0;
  parts_->release(attempt.number_);
  drop(attempt);
  if (received_ == *length_) return complete();
  ask_for_parts();
  arm();
}

// What it owed is asked of others.
void Fill::part_failed(Attempt& attempt) {
  const bool was_origin = !attempt.source_;
  const bool counts = was_origin || attempt.has_head_;
  if ((was_origin && changed_) || (counts && ++resumes_ > host_.options().origins.resumes_max))
    return fail({502, "The transfer broke off."});
  give_up(attempt);
  ask_for_parts();
  arm();
}

void Fill::give_up(Attempt& attempt) {
  if (winner_ == attempt.number_) winner_ = 0;
  if (attempt.source_) sources_[*attempt.source_].unfit = true;
  parts_->release(attempt.number_);
  drop(attempt);
}

// In a turn of its own: no fetch is calling.
void Fill::absorb() {
  dropped_.clear();
  if (ended_ || parts_ == nullptr) return;
  const std::uint64_t prefix = parts_->prefix();
  if (received_ < prefix) {
    const auto absorbed = writer_->absorb(prefix, kAbsorbedAtOnce);
    if (!absorbed) return body_refused(absorbed.error());
    received_ += *absorbed;
    host_.on_fill_grew(*this);
    return absorber_.start(Duration::zero());
  }
  if (received_ == *length_) return complete();
  ask_for_parts();
  arm();
}

void Fill::count_sources() {
  if (parts_ == nullptr) return;
  const auto peers = std::count_if(sources_.begin(), sources_.end(),
                                   [](const Source& source) { return source.brought > 0; });
  const std::uint64_t count = static_cast<std::uint64_t>(peers) + (origin_brought_ > 0 ? 1 : 0);
  if (count < 2) return;
  host_.stats().part_fills.add();
  host_.stats().part_sources.add(count);
}

}  // namespace reef::proxy
