// One object on its way in: found out where it is, fetched, written to the store while others read it.
//
//                    announced: nobody before us, independent, stale copy, or not shared
//   locating ───────────────────────────────────────────────────────────┐
//      │ earlier ones                                                    ▼
//      ▼               none left, all failed                       fetching (origin)
//   fetching (peers) ──────────────────────────────────────────────►     │
//      │ head, body                                                      │ head, body
//      ▼                          broke off: the next source             ▼
//   receiving ◄──────────────────── continues from that byte ───── receiving
//      │ whole                                                           │ cannot be continued: cut
//      ▼                                                                 ▼
//    done (object)                                                     failed
//
// The order of announcements is total and a node fetches only from those before it, so fetches make no
// cycles; where two index nodes saw different orders, the lower endpoint wins (on_peer_waits()). A peer that
// holds our request because its own fill has no head yet says so at once (102), and one that falls silent is
// probed, so that a dead peer is told from a slow origin.
//
// A long body comes in parts from several complete copies at once, as soon as a head told its length and its
// strong ETag (fill_parts.cpp). The source whose head that was streams on until it meets a part that is here
// or asked for elsewhere. Belongs to its owner worker's loop.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/io/event_loop.h"
#include "dsht/index.h"
#include "proxy/io/fetcher.h"
#include "proxy/io/options.h"
#include "proxy/io/part_plan.h"
#include "proxy/io/peer_record.h"
#include "proxy/io/request_info.h"
#include "proxy/io/stats.h"
#include "proxy/store/store.h"

namespace reef::proxy {

enum class FillId : std::uint64_t { none = 0 };

enum class SourceKind : std::uint8_t { cache, peer, origin };
[[nodiscard]] std::string_view to_text(SourceKind kind);

// What the followers of a fill learn when its response head is there. Immutable.
struct FillHead {
  ObjectHead head;
  std::shared_ptr<const Body> body;
  std::optional<std::uint64_t> length;
  std::string vary_names;  // not empty: for requests of the same variant only (matches_variant())
  std::int64_t generation = 0;
  bool shared = true;  // false: only `first` may use it, everybody else fetches for himself
  ExchangeId first = ExchangeId::none;
  std::string first_fields;  // what `first` gets in place of head.fields; empty: the same
  SourceKind source = SourceKind::origin;
  std::string source_name;  // "origin", or "peer/l1/192.0.2.7": level and address; a token (RFC 8941 §3.3.4)
  rules::Forward forward = rules::Forward::uri_miss;
  bool has_age = false;    // it came with one
  std::string validators;  // with 304: client_validators() of the request that it answers
};

struct Received;

struct FillResult {
  // Set where the fill ends with a stored response: a complete fetch, a 304, or a stale one served for an
  // error.
  std::shared_ptr<const Object> object;
  std::shared_ptr<const Object> variant_index;  // to be kept under the plain URL, where `object` varies
  std::vector<UrlHash> gone_variants;           // to be forgotten in exchange
  bool shared = true;  // false: `object` is the answer to `first` only, and not to be kept
  ExchangeId first = ExchangeId::none;
  SourceKind source = SourceKind::origin;
  rules::Forward forward = rules::Forward::uri_miss;
  int origin_status = 0;  // what the origin said; 0: nothing
  bool stale_for_error = false;
  bool to_pass = false;  // too large to be kept: who waits is to fetch it for himself
  // Otherwise, where there was no head: what to tell those who wait. `why` is a whole sentence.
  int status = 502;
  std::string why;
  std::chrono::seconds retry_after{0};
};

class Fill;

// What a fill needs of its worker. Nothing here calls back inside the call.
class FillHost {
 public:
  virtual ~FillHost() = default;

  virtual void on_fill_head(Fill& fill, std::shared_ptr<const FillHead> head) = 0;
  virtual void on_fill_grew(Fill& fill) = 0;
  // For the client of `request` alone, and not a word that it must hear.
  virtual void on_fill_interim(const std::shared_ptr<const RequestInfo>& request, int status,
                               std::string fields) = 0;
  // The last word: the fill is destroyed at the end of the turn.
  virtual void on_fill_end(Fill& fill, FillResult result) = 0;
  [[nodiscard]] virtual Fill* find_fill(FillId id) = 0;

  // Calls fill.on_origin(...) when it may connect: addresses checked, a connection free.
  virtual void request_origin(Fill& fill) = 0;
  virtual void release_origin(Fill& fill) = 0;
  // The origin (or this URL there) is not to be asked for a while.
  virtual void remember_failure(const RequestInfo& request, bool whole_origin, int status,
                                const std::string& why) = 0;
  // What is stored for the request is no longer what the origin says.
  virtual void forget_stored(const RequestInfo& request) = 0;
  // What this worker's memory holds under the plain URL of a request, or null.
  [[nodiscard]] virtual std::shared_ptr<const Object> stored_under_plain_url(const RequestInfo& request) = 0;
  // `stored` may be no longer what the origin says: it is stale from now on.
  virtual void mark_stale(const RequestInfo& request, const Object& stored) = 0;
  // Nobody can share what this URL yields.
  virtual void remember_unshared(const RequestInfo& request) = 0;

  // The proxy's part of the index, for a URL; ignored where the node does not cooperate.
  virtual void renew_pointer(const RequestInfo& request, const std::shared_ptr<const Object>& object) = 0;

  [[nodiscard]] virtual EventLoop& loop() = 0;
  [[nodiscard]] virtual WallTime wall_now() const = 0;
  [[nodiscard]] virtual const Options& options() const = 0;
  [[nodiscard]] virtual const names::Names& names() const = 0;
  [[nodiscard]] virtual Fetcher& fetcher() = 0;
  [[nodiscard]] virtual Store& store() = 0;
  [[nodiscard]] virtual Stats& stats() = 0;
  [[nodiscard]] virtual dsht::Index* index() = 0;  // null: independent
  [[nodiscard]] virtual Key key_of(std::string_view url) const = 0;
  [[nodiscard]] virtual Duration index_budget() const = 0;
  [[nodiscard]] virtual bool permits_peer(const Endpoint& peer) const = 0;
  [[nodiscard]] virtual PeerRecord& peers() = 0;
  // The body of `request`, where this worker has its client; null when that is gone.
  [[nodiscard]] virtual UploadSource* upload_of(const RequestInfo& request) = 0;
};

class Fill {
 public:
  // `stored`: a stored response to validate, or null. `alone`: for this one request, not shared with others;
  // what is stored is not validated then, but contradicted by what a HEAD brings.
  Fill(FillHost& host, FillId id, std::shared_ptr<const RequestInfo> request,
       const std::shared_ptr<const Object>& stored, bool alone, rules::Forward forward);
  ~Fill();
  Fill(const Fill&) = delete;
  Fill& operator=(const Fill&) = delete;

  void start();

  [[nodiscard]] FillId id() const { return id_; }
  [[nodiscard]] const RequestInfo& request() const { return *request_; }
  [[nodiscard]] bool is_alone() const { return alone_; }
  // What it validates, or null.
  [[nodiscard]] const std::shared_ptr<const Object>& validated() const { return stale_; }
  [[nodiscard]] const std::shared_ptr<const FillHead>& head() const { return head_; }

  // The first `end` bytes of its body are here.
  [[nodiscard]] bool has_bytes(std::uint64_t end) const {
    return head_ != nullptr && head_->body->progress().bytes >= end;
  }
  // A peer asks to follow this fill, which has no head yet. False: it must not, because we are about to wait
  // for it.
  [[nodiscard]] bool on_peer_waits(const std::optional<Endpoint>& peer);
  // request_origin() has its answer: where to connect, or why not.
  void on_origin(Result<std::vector<Endpoint>> addresses, int status, std::chrono::seconds retry_after);
  // What it brings is for those who wait for it, and not to be kept: its URL was invalidated meanwhile.
  void forget() { forgotten_ = true; }
  [[nodiscard]] bool is_forgotten() const { return forgotten_; }
  // The client that alone wanted this has gone.
  void cancel();
  // All who wanted this have gone, or (true) somebody has come: without any, it goes on only while the rest
  // is worth it (OriginLimits::finish_bytes_max).
  void set_wanted(bool wanted);
  void on_upload_data();
  // Its one reader has taken some of what passes.
  void on_taken();
  // What is stored may cover for an origin that answers 500, 502, 503 or 504.
  [[nodiscard]] bool covers_server_error() const;

 private:
  struct Source;
  class Attempt;
  class Probe;

  [[nodiscard]] bool cooperates() const;
  // What is shared is fetched by GET, whoever asked first.
  [[nodiscard]] std::string_view method() const { return alone_ ? request_->head().method : "GET"; }
  void announce();
  void send_announcement(Duration budget);
  void on_announced(const dsht::Announced& answer);
  void take_sources(const dsht::Announced& answer);
  void next_source();
  // A new attempt, at a source or (nullopt) the origin; launch() sends what it asks for.
  [[nodiscard]] Attempt& begin_attempt(std::optional<std::size_t> source);
  void launch(Attempt& attempt, FetchRequest request);
  // Asks for the whole, or the rest of what has begun.
  void launch_whole(Attempt& attempt, FetchRequest request);
  void ask_peer(std::size_t source);
  void ask_origin();
  [[nodiscard]] bool is_body_ready() const;
  // What is too large to keep passes through, to each who asks for it alone.
  [[nodiscard]] bool is_of_site() const { return request_->to->mode == rules::Mode::site; }
  void end_to_pass();
  [[nodiscard]] bool is_worth_finishing() const;
  void abandon();
  // As FillHead::source_name.
  [[nodiscard]] std::string name_of(const Attempt& attempt) const;
  [[nodiscard]] FetchRequest peer_request(const Source& source) const;
  [[nodiscard]] FetchRequest origin_request(std::vector<Endpoint> addresses) const;
  void add_resume_fields(FetchRequest& request) const;
  void on_renewed(const dsht::Announced& answer);

  void on_interim(Attempt& attempt, const http::ResponseHead& head);
  [[nodiscard]] bool on_head(Attempt& attempt, const http::ResponseHead& head);
  [[nodiscard]] bool on_peer_head(Attempt& attempt, const http::ResponseHead& head);
  [[nodiscard]] bool on_origin_head(Attempt& attempt, const http::ResponseHead& head);
  [[nodiscard]] bool on_resumed_head(Attempt& attempt, const http::ResponseHead& head);
  [[nodiscard]] bool begin_body(Attempt& attempt, Received received, bool shared);
  [[nodiscard]] bool on_body(Attempt& attempt, ByteView bytes);
  void on_end(Attempt& attempt, FetchEnd end, std::string_view detail);
  void on_probe(std::uint64_t attempt, bool lives);

  // In parts: fill_parts.cpp.
  [[nodiscard]] bool may_take_parts() const;
  [[nodiscard]] std::uint64_t part_bytes() const;
  [[nodiscard]] std::optional<std::size_t> idle_source() const;
  void ask_for_parts();
  [[nodiscard]] std::optional<PartPlan::Range> next_part(PartPlan::Owner owner, const Source& source);
  [[nodiscard]] bool is_late(const Attempt& attempt, std::uint64_t left, double patience) const;
  void free_late(const PartPlan::Claim& claim);
  void ask_part(std::size_t source, std::uint64_t first, std::uint64_t end);
  void ask_for_the_rest();
  void ask_origin_for_part(std::vector<Endpoint> addresses);
  void add_part_fields(FetchRequest& request, std::uint64_t first, std::uint64_t end) const;
  [[nodiscard]] bool on_part_head(Attempt& attempt, const http::ResponseHead& head);
  [[nodiscard]] bool keep_promise(const http::ResponseHead& head);
  [[nodiscard]] bool take_part(Attempt& attempt, ByteView bytes);
  [[nodiscard]] bool store_part(Attempt& attempt, std::uint64_t at, ByteView bytes);
  void on_part_end(Attempt& attempt, FetchEnd end, std::string_view detail);
  void part_done(Attempt& attempt);
  void part_failed(Attempt& attempt);
  void give_up(Attempt& attempt);
  void absorb();
  void body_refused(const Error& error);
  void count_brought(Attempt& attempt, std::uint64_t bytes);
  void count_sources();

  void attempt_failed(Attempt& attempt);
  void note_fault(const Attempt& attempt, PeerFault fault);
  void drop(Attempt& attempt);
  void drop_all_but(const Attempt* kept);
  void complete();
  void add_variant(FillResult& result);
  void not_modified(Attempt& attempt, const http::ResponseHead& head);
  struct Failure {
    int status;
    std::string why;
    std::chrono::seconds retry_after{0};
    int origin_status = 0;       // of the answer that counts as the failure; 0: there was none
    bool may_be_covered = true;  // by what is stale
  };
  void fail(Failure failure);
  void end(FillResult result);
  void check_time();
  void arm();
  [[nodiscard]] Attempt* find_attempt(std::uint64_t number);

  FillHost& host_;
  const FillId id_;
  const std::shared_ptr<const RequestInfo> request_;
  const std::shared_ptr<const Object> stale_;     // to be validated
  const std::shared_ptr<const Object> compared_;  // with the answer to a HEAD
  const bool alone_;
  const rules::Forward forward_;
  const bool conditional_;  // the first client's own validators go to the origin
  WallTime asked_at_{};

  bool announced_ = false;
  bool locating_ = false;
  bool is_patient_ = false;   // the announcement was repeated with the longest budget
  bool awaits_body_ = false;  // the request's, before the origin is asked
  bool origin_asked_ = false;
  bool unconditional_ = false;  // the origin confirmed what we do not have: asked again, for the whole
  bool origin_held_ = false;    // one of the origin's connections is ours
  bool wanted_ = true;
  bool forgotten_ = false;
  bool ended_ = false;
  TimePoint renew_at_{};
  std::vector<Source> sources_;
  std::vector<std::unique_ptr<Attempt>> attempts_;
  std::vector<std::unique_ptr<Attempt>> dropped_;  // destroyed with the fill: their callbacks may be running
  std::uint64_t last_attempt_ = 0;
  std::uint64_t winner_ = 0;  // the attempt whose body we take; 0: none

  std::unique_ptr<BodyWriter> writer_;
  std::uint64_t received_ = 0;        // bytes of the body so far, without a gap
  std::uint64_t origin_brought_ = 0;  // of all bytes taken
  std::unique_ptr<PartPlan> parts_;   // null: everything comes from the winner
  bool in_order_ = false;  // there is no room for what comes out of order: parts come one after the other
  bool paused_ = false;    // the fetch of what passes, until its reader has taken some
  int resumes_ = 0;
  bool changed_ = false;  // the origin no longer has the response that we began with
  std::optional<std::uint64_t> length_;
  std::shared_ptr<const FillHead> head_;
  SourceKind source_ = SourceKind::origin;
  Timer timer_;
  Timer absorber_;
};

}  // namespace reef::proxy
