// Requests on their way in: reading, parsing, the body of an upload, deadlines. Answers:
// connection_answer.cpp.
#include "proxy/io/connection.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "proxy/http/chunked.h"

namespace reef::proxy {
namespace {

// What is there of a chunked body is malformed, wherever that begins.
bool begins_badly(std::string_view bytes) {
  http::ChunkedDecoder decoder;
  while (!bytes.empty()) {
    const http::ChunkedDecoder::Step step = decoder.next(bytes);
    if (step.state == http::ChunkedDecoder::State::bad) return true;
    if (step.state == http::ChunkedDecoder::State::done) return false;
    bytes.remove_prefix(step.consumed);
  }
  return false;
}

}  // namespace

Connection::Connection(ConnectionContext& context, std::uint64_t id, std::unique_ptr<Transport> transport,
                       Endpoint client)
    : context_(context), connection_id_(id), transport_(std::move(transport)), client_(client) {}

Connection::~Connection() = default;

void Connection::start() {
  set_deadline(context_.limits.head_deadline);
  // Most clients have sent their request by the time that they are accepted. Where that is all they want, the
  // loop never learns of them.
  on_readable(true);
  if (state_ != State::closed && !input_ended_) want_read(true);
}

void Connection::want_read(bool on) {
  if (on == reading_) return;
  reading_ = on;
  if (!on) {
    event_del(read_event_.get());
    return;
  }
  if (read_event_ == nullptr) {
    read_event_.reset(event_new(
        context_.loop.base(), transport_->fd(), EV_READ | EV_PERSIST,
        [](evutil_socket_t, short, void* self) { static_cast<Connection*>(self)->on_readable(false); },
        this));
    BASE_CHECK(read_event_ != nullptr);
  }
  event_add(read_event_.get(), nullptr);
}

void Connection::want_write(bool on) {
  if (on == writing_) return;
  writing_ = on;
  if (!on) {
    event_del(write_event_.get());
    return;
  }
  if (write_event_ == nullptr) {
    write_event_.reset(event_new(
        context_.loop.base(), transport_->fd(), EV_WRITE | EV_PERSIST,
        [](evutil_socket_t, short, void* self) { static_cast<Connection*>(self)->on_writable(); }, this));
    BASE_CHECK(write_event_ != nullptr);
  }
  event_add(write_event_.get(), nullptr);
  if (out_ != nullptr) out_->sent_since_check = 0;
  set_deadline(context_.limits.rate_window);
}

void Connection::set_deadline(std::chrono::seconds delay) {
  context_.wheel.set(*this, static_cast<TimerWheel::Tick>(delay.count()));
}

void Connection::on_deadline() {
  switch (state_) {
    case State::reading:
      if (input_.empty()) return close();
      context_.stats.cut_slow.add();
      return refuse(408, "The request did not arrive in time.");
    case State::answering:
      if (body_unread() && !replied_) {
        if (!is_late_with_body()) return set_deadline(context_.limits.rate_window);
        context_.stats.cut_slow.add();
        return abort();
      }
      if (!writing_ || out_ == nullptr) return;  // it waits for us
      if (out_->sent_since_check < std::uint64_t{context_.limits.rate_min_bytes} *
                                       static_cast<std::uint64_t>(context_.limits.rate_window.count())) {
        context_.stats.cut_slow.add();
        return abort();
      }
      out_->sent_since_check = 0;
      return set_deadline(context_.limits.rate_window);
    case State::lingering:
    case State::closed:
      return close();
  }
}

// Looked at once a window: a body may pause, but not drip. While there is some that was not taken yet, or the
// client waits to be told to go on, it is not the client who is late.
bool Connection::is_late_with_body() {
  const std::uint64_t came = std::exchange(upload_came_, 0);
  if (!input_.empty() || expects_continue_) return false;
  return came <
         std::max<std::uint64_t>(1, std::uint64_t{context_.limits.rate_min_bytes} *
                                        static_cast<std::uint64_t>(context_.limits.rate_window.count()));
}

void Connection::close() {
  if (state_ == State::closed) return;
  const bool abandoned = state_ == State::answering;
  state_ = State::closed;
  want_read(false);
  want_write(false);
  context_.wheel.cancel(*this);
  if (abandoned) context_.host.on_abandoned(*this);
  out_.reset();
  context_.host.on_closed(*this);
}

void Connection::abort() {
  if (state_ == State::closed) return;
  transport_->abort_on_close();
  close();
}

void Connection::on_readable(bool is_first) {
  const bool direct = state_ == State::reading && input_.empty();
  std::size_t room = context_.scratch.size();
  if (!direct && state_ != State::lingering) {
    room = std::min(
        room, context_.limits.buffer_bytes_max - std::min(input_.size(), context_.limits.buffer_bytes_max));
    if (room == 0) return want_read(false);  // until the answer has been sent
  }
  const IoResult got = transport_->read(context_.scratch.first(room));
  if (got.state == IoState::again) return;
  if (got.state == IoState::closed) {
    // A client may close its side after its last request and still read the answer.
    if (state_ != State::answering) return close();
    input_ended_ = true;
    want_read(false);
    if (body_unread()) context_.host.on_upload_data(*this);
    return;
  }
  context_.stats.bytes_in.add(got.bytes);
  const std::string_view bytes(context_.scratch.data(), got.bytes);
  if (state_ == State::lingering) return;
  if (is_first && context_.loop.has_posted()) {
    // The loop tells in order: a message that another worker sent before this request was sent comes before
    // it. It has not told us of the request, so that order is ours to keep.
    const std::string kept(bytes);
    context_.loop.run_posted();
    return consume(kept);
  }
  if (direct) return consume(bytes);
  input_.append(bytes);
  if (state_ == State::reading) {
    const std::string pending = std::move(input_);
    input_.clear();
    return consume(pending);
  }
  if (body_unread()) {
    upload_came_ += got.bytes;
    context_.host.on_upload_data(*this);
  }
}

// Takes requests off `bytes` for as long as each is answered at once; the rest becomes input_ (empty until
// then).
void Connection::consume(std::string_view bytes) {
  const bool fresh = progress_.scanned == 0;
  consuming_ = true;
  while (state_ == State::reading && take_request(bytes)) {
  }
  consuming_ = false;
  if (state_ == State::closed || state_ == State::lingering) return;
  if (!bytes.empty()) input_.assign(bytes);
  if (state_ == State::reading) {
    if (input_ended_) return close();
    want_read(true);
    // The deadline of a head counts from its first byte: bytes that trickle in do not move it.
    if (input_.empty()) {
      set_deadline(context_.limits.idle_deadline);
    } else if (fresh) {
      set_deadline(context_.limits.head_deadline);
    }
  } else if (!input_.empty() && body_unread()) {
    context_.host.on_upload_data(*this);
  }
}

// True: a request was taken (and perhaps answered). False: there is no whole head yet, or it was refused.
bool Connection::take_request(std::string_view& bytes) {
  if (bytes.empty()) return false;
  const auto parsed = context_.parser.feed(bytes, progress_);
  if (parsed.state == http::ParseState::need_more) return false;
  progress_ = {};
  if (parsed.state == http::ParseState::bad) {
    refuse(http::status_of(parsed.bad), http::to_text(parsed.bad));
    return false;
  }
  bytes.remove_prefix(parsed.consumed);
  // What has come of the body already is looked at before anybody hears of the request.
  if (parsed.framing.body == http::BodyKind::chunked && begins_badly(bytes)) {
    refuse(http::status_of(http::BadMessage::chunk), http::to_text(http::BadMessage::chunk));
    return false;
  }
  begin_exchange();
  minor_version_ = parsed.head.minor_version;
  is_head_ = parsed.head.method == "HEAD";
  keep_alive_ = parsed.framing.keep_alive && !context_.draining;
  close_after_ = !keep_alive_;
  sends_no_more_ = !parsed.framing.keep_alive && bytes.empty();
  expects_continue_ = parsed.framing.expect_continue;
  upload_taken_ = upload_came_ = 0;
  upload_fault_.reset();
  upload_early_.reset();
  RequestBody body;
  framing_.reset();
  if (parsed.framing.body == http::BodyKind::chunked) {
    framing_ = BodyFraming::chunked();
    body.present = true;
  } else if (parsed.framing.body == http::BodyKind::length && parsed.framing.content_length > 0) {
    framing_ = BodyFraming::of_length(parsed.framing.content_length);
    body.present = true;
    body.length = parsed.framing.content_length;
  }
  if (body.present) set_deadline(context_.limits.rate_window);
  context_.stats.requests.add();
  context_.host.on_request(*this, parsed.head, body);
  return true;
}

void Connection::begin_exchange() {
  sequence_ = (sequence_ + 1) & ((std::uint64_t{1} << kSequenceBits) - 1);
  state_ = State::answering;
  replied_ = false;
}

void Connection::refuse(int status, std::string_view why) {
  begin_exchange();
  is_head_ = false;
  close_after_ = true;
  framing_.reset();
  context_.host.on_bad_request(*this, status, why);
}

void Connection::say_continue() {
  if (!expects_continue_ || !input_.empty() || replied_) return;
  expects_continue_ = false;
  interim(100, {});
}

// Takes up to `room` bytes of the body out of input_ and its framing.
void Connection::unframe(std::size_t room) {
  const std::size_t before = upload_early_->size();
  upload_early_->resize(before + std::min(room, input_.size()));
  const BodyFraming::Step step =
      framing_->read(input_, std::as_writable_bytes(std::span(*upload_early_)).subspan(before));
  upload_early_->resize(before + step.produced);
  input_.erase(0, step.consumed);
}

bool Connection::Upload::is_ready() {
  Connection& self = owner_;
  if (!self.framing_ || self.state_ != Connection::State::answering) return true;
  self.say_continue();
  if (self.state_ != Connection::State::answering) return true;
  if (self.upload_early_ == nullptr) self.upload_early_ = std::make_unique<std::string>();
  const std::size_t wanted = self.context_.limits.buffer_bytes_max / 2;
  self.unframe(wanted - std::min(wanted, self.upload_early_->size()));
  if (!self.input_ended_) self.want_read(true);
  const BodyFraming::State state = self.framing_->state();
  // Nothing is sent of what cannot become whole.
  if (state == BodyFraming::State::malformed || (state == BodyFraming::State::reading && self.input_ended_))
    self.upload_early_->clear();
  return state != BodyFraming::State::reading || self.input_ended_ || self.upload_early_->size() >= wanted;
}

UploadSource::State Connection::Upload::read(std::span<std::byte> out, std::size_t& count) {
  Connection& self = owner_;
  if (!self.framing_ || self.state_ != Connection::State::answering) return State::broken;
  self.say_continue();
  if (self.state_ != Connection::State::answering) return State::broken;
  if (self.upload_early_ != nullptr) {
    std::string& early = *self.upload_early_;
    count = std::min(out.size(), early.size());
    std::memcpy(out.data(), early.data(), count);
    early.erase(0, count);
    if (early.empty()) self.upload_early_.reset();
  } else {
    const BodyFraming::Step step = self.framing_->read(self.input_, out);
    self.input_.erase(0, step.consumed);
    count = step.produced;
  }
  self.upload_taken_ += count;
  if (self.framing_->state() == BodyFraming::State::malformed) return self.fault(http::BadMessage::chunk);
  if (self.upload_taken_ > self.context_.limits.request_body_bytes_max)
    return self.fault(http::BadMessage::body_too_large);
  if (!self.input_ended_) self.want_read(true);
  if (count > 0) return State::ready;
  if (self.framing_->state() == BodyFraming::State::complete) return State::end;
  return self.input_ended_ ? self.fault(http::BadMessage::body_too_short) : State::wait;
}

// The fetch breaks off, and what comes of that is answered by what the client did wrong.
UploadSource::State Connection::fault(http::BadMessage bad) {
  upload_fault_ = bad;
  return UploadSource::State::broken;
}

}  // namespace reef::proxy
