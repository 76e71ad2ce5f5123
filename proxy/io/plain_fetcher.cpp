#include "proxy/io/plain_fetcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "proxy/http/message.h"
#include "proxy/io/response_reader.h"
#include "proxy/io/upload.h"

namespace reef::proxy {
namespace {

// How late a time-out may be. The shortest are some hundred milliseconds (connecting to a peer); each tick
// costs about a microsecond, and only while there are fetches.
constexpr Duration kTick = milliseconds(20);
// One answer of some ten KiB in one read; larger ones do not get faster with more.
constexpr std::size_t kBufferBytes = 64 << 10;
constexpr std::size_t kUploadBytes = 32 << 10;
// Pieces of a body that one turn sends: after that the other connections have theirs.
constexpr int kWritesPerTurn = 8;
// What a slot may keep allocated while nobody uses it.
constexpr std::size_t kKeptTextBytes = 4 << 10;
// The low bits of an id say where its fetch is; the rest is a count.
constexpr int kSlotBits = 20;

void append_request_head(std::string& out, const FetchRequest& request) {
  out.append(request.method).append(" ").append(request.target).append(" HTTP/1.1\r\nHost: ");
  if (!request.host_field.empty()) {
    out.append(request.host_field);
  } else {
    out.append(request.host);
    if (request.port != 80) fmt::format_to(std::back_inserter(out), ":{}", request.port);
  }
  out.append("\r\n");
  for (const std::string& field : request.fields) out.append(field).append("\r\n");
  if (request.upload != nullptr && request.upload_bytes < 0) {
    out.append("Transfer-Encoding: chunked\r\n");
  } else if (request.upload != nullptr) {
    fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", request.upload_bytes);
  } else if (says_empty_body(request.method)) {
    out.append("Content-Length: 0\r\n");
  }
  out.append("\r\n");
}

// Whether it can be sent again where a kept connection turns out to be closed.
bool can_repeat(const FetchRequest& request) {
  return request.upload == nullptr && http::is_safe_method(request.method);
}

}  // namespace

struct PlainFetcher::Fetch final : PlainConnection::Handler, TimerWheel::Entry {
  Fetch(PlainFetcher& fetcher, std::uint32_t slot)
      : owner(fetcher), number(slot), reader(fetcher.parser_, fetcher.options_) {}

  void on_readable(PlainConnection&) override { owner.on_readable(*this); }
  void on_writable(PlainConnection&) override {
    at == At::connecting ? owner.on_connected(*this) : owner.write(*this);
  }
  [[nodiscard]] bool is_sent() const { return text.empty() && upload.is_whole(); }
  [[nodiscard]] bool wants_piece() const {
    return text.size() - text_at < kUploadBytes && !upload.is_whole() && !upload.is_waiting();
  }
  void clear_text() {
    text.clear();
    text_at = 0;
  }

  enum class At : std::uint8_t {
    waiting,  // for the next turn: to be launched, or its end to be told
    connecting,
    asking,
    reading
  };

  PlainFetcher& owner;
  const std::uint32_t number;
  FetchId id = FetchId::none;  // none: not in use, or cancelled
  FetchSink* sink = nullptr;   // null: cancelled
  bool calling = false;        // its sink or source is running: it must not be released
  At at = At::waiting;
  FetchRequest request;
  std::size_t address = 0;
  bool reused = false;  // the connection
  bool paused = false;  // its sink takes nothing just now
  bool cut = false;     // the request was not sent in full and will not be
  std::unique_ptr<PlainConnection> connection;
  std::string text;  // of the request: from text_at on not sent yet; empty: all is
  std::size_t text_at = 0;
  Upload upload;
  ResponseReader reader;
  TimePoint total_at{};     // of the whole fetch
  TimePoint phase_at{};     // of what `at` says
  std::uint64_t moved = 0;  // bytes in this window of the least rate
};

PlainFetcher::PlainFetcher(EventLoop& loop, FetcherOptions options)
    : loop_(loop),
      options_(std::move(options)),
      parser_({.head_bytes_max = options_.head_bytes_max,
               .start_line_bytes_max = 8 << 10,
               .fields_max = options_.fields_max}),
      buffer_(kBufferBytes),
      pool_(loop, {options_.connections_max, options_.connections_per_server_max, options_.idle_timeout}),
      tick_(loop, [this] { on_tick(); }),
      soon_(loop, [this] { settle(); }) {}

PlainFetcher::~PlainFetcher() = default;

PlainFetcher::Fetch& PlainFetcher::free_slot() {
  if (free_.empty()) {
    BASE_CHECK(fetches_.size() < std::size_t{1} << kSlotBits);
    const auto number = static_cast<std::uint32_t>(fetches_.size());
    fetches_.push_back(std::make_unique<Fetch>(*this, number));
    return *fetches_.back();
  }
  Fetch& fetch = *fetches_[free_.back()];
  free_.pop_back();
  return fetch;
}

PlainFetcher::Fetch* PlainFetcher::find(FetchId id) {
  const auto number = static_cast<std::uint64_t>(id) & ((std::uint64_t{1} << kSlotBits) - 1);
  if (id == FetchId::none || number >= fetches_.size() || fetches_[number]->id != id) return nullptr;
  return fetches_[number].get();
}

FetchId PlainFetcher::start(FetchRequest request, FetchSink& sink) {
  BASE_CHECK(!request.https);
  Fetch& fetch = free_slot();
  const FetchId id{++last_id_ << kSlotBits | fetch.number};
  ++active_;
  fetch.id = id;
  fetch.sink = &sink;
  fetch.at = Fetch::At::waiting;
  fetch.request = std::move(request);
  fetch.total_at = loop_.now() + fetch.request.total_timeout;
  if (fetch.request.addresses.empty()) {
    end_later(fetch, FetchEnd::refused_address, "");
  } else if (fetch.request.upload != nullptr) {
    // Its source is asked right away, which is not for this call.
    to_launch_.push_back(id);
    soon_.start(Duration::zero());
  } else {
    launch(fetch);
  }
  return id;
}

void PlainFetcher::cancel(FetchId id) {
  Fetch* fetch = find(id);
  if (fetch == nullptr) return;
  fetch->id = FetchId::none;
  fetch->sink = nullptr;
  fetch->upload.drop();
  if (!fetch->calling) release(*fetch);
}

void PlainFetcher::resume_upload(FetchId id) {
  Fetch* fetch = find(id);
  if (fetch == nullptr || !fetch->upload.is_waiting()) return;
  fetch->upload.resume();
  if (!fetch->calling) write(*fetch);
}

void PlainFetcher::pause(FetchId id) {
  Fetch* fetch = find(id);
  if (fetch == nullptr || fetch->connection == nullptr || fetch->paused) return;
  fetch->paused = true;
  fetch->connection->want_read(false);
  // From here on it is the reader's pace that counts.
  fetch->total_at = fetch->phase_at = TimePoint::max();
  schedule(*fetch);
}

void PlainFetcher::resume(FetchId id) {
  Fetch* fetch = find(id);
  if (fetch == nullptr || !fetch->paused) return;
  fetch->paused = false;
  fetch->connection->want_read(true);
  begin_window(*fetch);
}

// --- the request

void PlainFetcher::launch(Fetch& fetch) {
  const FetchRequest& request = fetch.request;
  fetch.address = 0;
  fetch.reused = false;
  if (!request.fresh_connection) {
    for (const Endpoint& address : request.addresses) {
      fetch.connection = pool_.take(address, request.host, fetch);
      if (fetch.connection == nullptr) continue;
      fetch.reused = true;
      return ask(fetch);
    }
  }
  connect(fetch, "");
}

// To the present address, or to those behind it. `detail`: why the one before it was not reached.
void PlainFetcher::connect(Fetch& fetch, std::string detail) {
  const FetchRequest& request = fetch.request;
  for (; fetch.address < request.addresses.size(); ++fetch.address) {
    auto opened = PlainConnection::open(loop_, request.addresses[fetch.address], request.host, fetch);
    if (!opened) {
      detail = opened.error().message();
      continue;
    }
    fetch.connection = std::move(*opened);
    fetch.at = Fetch::At::connecting;
    fetch.phase_at = loop_.now() + request.connect_timeout;
    return schedule(fetch);
  }
  end_later(fetch, FetchEnd::connect_failed, std::move(detail));
}

void PlainFetcher::try_next_address(Fetch& fetch, std::string detail) {
  fetch.connection.reset();
  ++fetch.address;
  connect(fetch, std::move(detail));
}

void PlainFetcher::on_connected(Fetch& fetch) {
  if (const std::error_code error = fetch.connection->finish_connect()) {
    return try_next_address(fetch, error.message());
  }
  ask(fetch);
}

// The connection is there: sends the request, or as much of it as goes.
void PlainFetcher::ask(Fetch& fetch) {
  const FetchRequest& request = fetch.request;
  // On a new connection the time for connecting has begun already.
  const TimePoint began =
      fetch.at == Fetch::At::connecting ? fetch.phase_at - request.connect_timeout : loop_.now();
  fetch.at = Fetch::At::asking;
  fetch.phase_at = began + request.connect_timeout + request.head_timeout;
  fetch.moved = 0;
  fetch.reader.begin(request.method);
  fetch.upload.begin(request.upload, request.upload_bytes);
  fetch.cut = fetch.paused = false;
  append_request_head(fetch.text, request);
  write(fetch);
}

// Sends what is there, head and first piece of the body together, and asks the source for more.
void PlainFetcher::write(Fetch& fetch) {
  if (fetch.at != Fetch::At::asking && fetch.at != Fetch::At::reading) return;
  const bool has_body = !fetch.upload.is_whole();
  bool takes_more = true;
  std::size_t sent_bytes = 0;
  for (int i = 0; i < kWritesPerTurn && takes_more && !fetch.is_sent(); ++i) {
    if (fetch.wants_piece() && !read_upload(fetch)) return;
    if (fetch.text.empty()) break;  // the source has nothing just now
    const IoResult sent = fetch.connection->write(std::string_view(fetch.text).substr(fetch.text_at));
    // What has no end any more may still have an answer that says why: that is for reading.
    if (sent.state == IoState::closed) cut(fetch);
    takes_more = sent.state == IoState::ok;
    fetch.text_at += sent.bytes;
    sent_bytes += sent.bytes;
    if (fetch.text_at == fetch.text.size()) fetch.clear_text();
  }
  fetch.moved += sent_bytes;
  fetch.connection->want_write(!fetch.text.empty() ||
                               (!fetch.upload.is_whole() && !fetch.upload.is_waiting()));
  if (has_body && fetch.at == Fetch::At::asking) {
    if (fetch.upload.is_waiting() && fetch.text.empty()) {
      fetch.phase_at = TimePoint::max();
    } else if (sent_bytes > 0 || fetch.phase_at == TimePoint::max()) {
      fetch.phase_at = loop_.now() + fetch.request.head_timeout;
    }
  }
  schedule(fetch);
}

// A piece of the body, behind what is still to be sent. False: the fetch is over.
bool PlainFetcher::read_upload(Fetch& fetch) {
  if (upload_buffer_.empty()) upload_buffer_.resize(kUploadBytes);
  fetch.calling = true;
  const bool readable = fetch.upload.read(upload_buffer_, fetch.text);
  fetch.calling = false;
  if (fetch.sink == nullptr) {
    release(fetch);
    return false;
  }
  if (!readable) end_later(fetch, FetchEnd::broken, "the request body broke off");
  return readable;
}

void PlainFetcher::cut(Fetch& fetch) {
  fetch.cut = true;
  fetch.upload.drop();
  fetch.clear_text();
}

// --- the answer

void PlainFetcher::on_readable(Fetch& fetch) {
  const PlainConnection::ReadResult got = fetch.connection->read(buffer_);
  switch (got.state) {
    case PlainConnection::ReadState::data:
      return on_answer(fetch, {buffer_.data(), got.bytes});
    case PlainConnection::ReadState::again:
      return;
    case PlainConnection::ReadState::end:
    case PlainConnection::ReadState::broken:
      return on_input_end(fetch, got.state == PlainConnection::ReadState::end && !fetch.cut);
  }
}

void PlainFetcher::on_answer(Fetch& fetch, std::string_view bytes) {
  fetch.moved += bytes.size();
  fetch.calling = true;
  const ResponseReader::State state = fetch.reader.feed(bytes, fetch.sink);
  fetch.calling = false;
  if (fetch.sink == nullptr || fetch.reader.is_refused()) return end(fetch, FetchEnd::refused_by_sink, "");
  switch (state) {
    case ResponseReader::State::complete:
      return end(fetch, FetchEnd::complete, "");
    case ResponseReader::State::bad_head:
      return end(fetch, FetchEnd::bad_head, "");
    case ResponseReader::State::broken:
      return end(fetch, FetchEnd::broken, "malformed chunks");
    case ResponseReader::State::reading:
      break;
  }
  if (fetch.reader.has_head() && fetch.at == Fetch::At::asking) {
    fetch.at = Fetch::At::reading;
    begin_window(fetch);
    // An error before the body was sent: the server does not want the rest (RFC 9112 §9.5).
    if (!fetch.is_sent() && fetch.reader.status() >= 400) cut(fetch);
  }
  if (!fetch.is_sent() || fetch.cut) write(fetch);
}

void PlainFetcher::on_input_end(Fetch& fetch, bool in_good_order) {
  const bool unanswered = !fetch.reader.has_begun();
  if (unanswered && fetch.reused && can_repeat(fetch.request)) {
    // The server closed the kept connection while the request was on its way.
    fetch.connection.reset();
    fetch.reused = false;
    fetch.address = 0;
    return connect(fetch, "");
  }
  if (!in_good_order) return end(fetch, FetchEnd::broken, "the connection was reset");
  switch (fetch.reader.end()) {
    case ResponseReader::State::complete:
      return end(fetch, FetchEnd::complete, "");
    case ResponseReader::State::bad_head:
      return end(fetch, FetchEnd::bad_head, "the connection was closed within the head");
    default:
      return end(fetch, FetchEnd::broken, "the connection was closed too early");
  }
}

// --- ends

// The connection is kept where the exchange is over on both sides, whether or not anybody wanted its answer.
void PlainFetcher::release(Fetch& fetch) {
  const bool exchanged = fetch.at == Fetch::At::asking || fetch.at == Fetch::At::reading;
  if (exchanged && fetch.reader.leaves_connection() && fetch.is_sent() && !fetch.cut &&
      !fetch.request.fresh_connection) {
    fetch.connection->want_read(true);
    pool_.keep(std::move(fetch.connection));
  }
  fetch.connection.reset();
  wheel_.cancel(fetch);
  fetch.id = FetchId::none;
  fetch.sink = nullptr;
  fetch.upload.drop();
  fetch.request = {};
  fetch.clear_text();
  if (fetch.text.capacity() > kKeptTextBytes) fetch.text.shrink_to_fit();
  free_.push_back(fetch.number);
  --active_;
}

void PlainFetcher::end(Fetch& fetch, FetchEnd end, std::string_view detail) {
  FetchSink* sink = fetch.sink;
  release(fetch);  // first: the sink may start the next, on the connection that has become free
  if (sink != nullptr) sink->on_end(end, detail);
}

void PlainFetcher::end_later(Fetch& fetch, FetchEnd end, std::string detail) {
  fetch.at = Fetch::At::waiting;
  fetch.connection.reset();
  fetch.upload.drop();
  wheel_.cancel(fetch);
  ended_.push_back({fetch.id, end, std::move(detail)});
  soon_.start(Duration::zero());
}

// What is put off by the calls made here waits for the next turn.
void PlainFetcher::settle() {
  for (const FetchId id : std::exchange(to_launch_, {})) {
    if (Fetch* fetch = find(id)) launch(*fetch);
  }
  for (const Ended& ended : std::exchange(ended_, {})) {
    if (Fetch* fetch = find(ended.id)) end(*fetch, ended.end, ended.detail);
  }
}

// --- time

void PlainFetcher::begin_window(Fetch& fetch) {
  fetch.moved = 0;
  fetch.phase_at = fetch.request.rate_min_bytes > 0 && !fetch.paused ? loop_.now() + fetch.request.rate_window
                                                                     : TimePoint::max();
  schedule(fetch);
}

void PlainFetcher::schedule(Fetch& fetch) {
  if (!turning_) {
    turning_ = true;
    wheel_at_ = loop_.now();
    tick_.start(kTick);
  }
  const TimePoint due = std::min(fetch.total_at, fetch.phase_at);
  if (due == TimePoint::max()) return wheel_.cancel(fetch);
  const Duration left = due - wheel_at_;
  wheel_.set(fetch,
             static_cast<TimerWheel::Tick>(std::max(left + kTick - Duration(1), Duration::zero()) / kTick));
}

void PlainFetcher::on_tick() {
  const TimePoint now = loop_.now();
  while (wheel_at_ + kTick <= now) {
    wheel_at_ += kTick;
    wheel_.advance([this](TimerWheel::Entry& entry) { on_deadline(static_cast<Fetch&>(entry)); });
  }
  turning_ = active_ > 0;
  if (turning_) tick_.start(wheel_at_ + kTick - now);
}

void PlainFetcher::on_deadline(Fetch& fetch) {
  const TimePoint now = loop_.now();
  const bool phase_over = now >= fetch.phase_at;
  const bool over = now >= fetch.total_at;
  if (!phase_over && !over) return schedule(fetch);
  switch (fetch.at) {
    case Fetch::At::waiting:
      return;
    case Fetch::At::connecting:
      return over ? end(fetch, FetchEnd::connect_failed, "no connection in time")
                  : try_next_address(fetch, "no connection in time");
    case Fetch::At::asking:
      return end(fetch, phase_over ? FetchEnd::head_timeout : FetchEnd::timed_out, "");
    case Fetch::At::reading:
      break;
  }
  if (over) return end(fetch, FetchEnd::timed_out, "");
  const auto window = static_cast<std::uint64_t>(fetch.request.rate_window.count());
  if (fetch.moved < fetch.request.rate_min_bytes * window) return end(fetch, FetchEnd::stalled, "");
  begin_window(fetch);
}

}  // namespace reef::proxy
