#include "proxy/io/connection.h"

#include <fcntl.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "proxy/http/builder.h"
#include "proxy/http/chunked.h"

namespace reef::proxy {
namespace {

constexpr std::size_t kHeadOnStack = 8192;
constexpr std::size_t kChunkMax = 256 << 10;
// Of one connection in one turn, more or less: after that the others have theirs. A thousand readers that
// come at once then keep a turn below some tens of milliseconds.
constexpr std::size_t kTurnBytesMax = 128 << 10;
// Of an answer that does not leave in one write, at first: when the head of a fill comes, all who wait have
// their first bytes before any has a second helping.
constexpr std::size_t kFirstBytesMax = 16 << 10;

std::string_view format_number(std::uint64_t value, std::array<char, 20>& buffer) {
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  return {buffer.data(), static_cast<std::size_t>(end - buffer.data())};
}

iovec piece_of(std::string_view text) { return {const_cast<char*>(text.data()), text.size()}; }

// Text put together without allocation; what does not fit is the caller's to see.
class HeadText {
 public:
  void add(std::string_view text) {
    if (text.empty()) return;
    if (text.size() > buffer_.size() - size_) {
      fits_ = false;
      return;
    }
    std::memcpy(buffer_.data() + size_, text.data(), text.size());
    size_ += text.size();
  }
  [[nodiscard]] std::string_view view() const { return {buffer_.data(), size_}; }
  [[nodiscard]] bool fits() const { return fits_; }

 private:
  std::array<char, kHeadOnStack> buffer_;
  std::size_t size_ = 0;
  bool fits_ = true;
};

template <class Sink>
void write_head(Sink& out, const Reply& reply, std::optional<std::uint64_t> length, bool chunked, bool close,
                bool say_keep_alive) {
  std::array<char, 20> number;
  out.add("HTTP/1.1 ");
  out.add(format_number(static_cast<std::uint64_t>(reply.status), number));
  out.add(" ");
  out.add(reply.reason.empty() ? http::reason_phrase(reply.status) : reply.reason);
  out.add("\r\n");
  out.add(reply.fields);
  out.add(reply.more_fields);
  if (length.has_value()) {
    out.add("Content-Length: ");
    out.add(format_number(*length, number));
    out.add("\r\n");
  } else if (chunked) {
    out.add("Transfer-Encoding: chunked\r\n");
  }
  if (close) {
    out.add("Connection: close\r\n");
  } else if (say_keep_alive) {
    out.add("Connection: keep-alive\r\n");
  }
  out.add("\r\n");
}

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

struct StringSink {
  std::string text;
  void add(std::string_view more) { text.append(more); }
};

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

void Connection::interim(int status, std::string_view fields) {
  if (state_ != State::answering || replied_ || minor_version_ == 0) return;
  std::string head;
  http::HeadBuilder(head).status(status).lines(fields).end();
  const iovec piece = piece_of(head);
  const IoResult result = transport_->write({&piece, 1}, false);
  context_.stats.bytes_out.add(result.bytes);
  if (result.state == IoState::again) return;
  // A part of it can be neither taken back nor, before an answer, be waited for.
  if (result.state == IoState::closed || result.bytes != head.size()) abort();
}

void Connection::reply(const Reply& reply) {
  if (state_ != State::answering || replied_) return;
  if (upload_fault_) {
    const http::BadMessage bad = *std::exchange(upload_fault_, std::nullopt);
    close_after_ = true;
    return context_.host.on_bad_request(*this, http::status_of(bad), http::to_text(bad));
  }
  replied_ = true;
  const bool head_only = reply.head_only || is_head_;
  const bool sends_body = !head_only && !reply.no_content;
  std::optional<std::uint64_t> length;
  if (!reply.no_content)
    length = reply.multipart != nullptr ? std::optional<std::uint64_t>(reply.multipart->bytes)
             : reply.body == nullptr    ? std::optional<std::uint64_t>(reply.text.size())
                                        : reply.length;
  if (head_only && reply.body == nullptr && reply.length) length = reply.length;
  if (reply.close || context_.draining || body_unread()) close_after_ = true;
  const bool unknown_length = sends_body && !length.has_value();
  const bool chunked = unknown_length && minor_version_ >= 1;
  if (unknown_length && !chunked) close_after_ = true;

  HeadText on_stack;
  write_head(on_stack, reply, length, chunked, close_after_, minor_version_ == 0 && keep_alive_);
  std::string_view head = on_stack.view();
  StringSink on_heap;
  if (!on_stack.fits()) {
    write_head(on_heap, reply, length, chunked, close_after_, minor_version_ == 0 && keep_alive_);
    head = on_heap.text;
  }

  // The usual case: everything is in memory and leaves with one write, with nothing copied or kept.
  ByteView block;
  bool whole = true;
  if (sends_body && reply.multipart != nullptr) {
    whole = false;
  } else if (sends_body && reply.body != nullptr) {
    block = (*reply.body)->block();
    whole = length.has_value() && block.size() >= reply.from + *length;
    block = whole ? block.subspan(reply.from, *length) : ByteView{};
  }
  std::size_t written = 0;
  if (whole) {
    const std::string_view content = sends_body && reply.body == nullptr ? reply.text : as_text(block);
    const std::array<iovec, 2> pieces{piece_of(head), piece_of(content)};
    const IoResult result = transport_->write({pieces.data(), content.empty() ? 1u : 2u}, false);
    if (result.state == IoState::closed) return close();
    written = result.state == IoState::ok ? result.bytes : 0;
    context_.stats.bytes_out.add(written);
    if (written == head.size() + content.size()) return finish_answer();
  }

  out_ = std::make_unique<Out>();
  if (written < head.size()) out_->text.assign(head.substr(written));
  const std::size_t body_written = written > head.size() ? written - head.size() : 0;
  if (sends_body && reply.multipart != nullptr) {
    out_->body = *reply.body;
    out_->multipart = std::move(*reply.multipart);
    begin_part();
  } else if (sends_body && reply.body != nullptr) {
    out_->body = *reply.body;
    out_->at = reply.from + body_written;
    out_->end = length.has_value() ? reply.from + *length : kOpen;
    out_->chunked = chunked;
  } else if (sends_body) {
    out_->text.append(reply.text.substr(body_written));
  }
  if (whole) return want_write(true);
  pump(kFirstBytesMax);
}

void Connection::body_grew() {
  if (state_ == State::answering && replied_ && !writing_) pump(kTurnBytesMax);
}

void Connection::on_writable() { pump(kTurnBytesMax); }

void Connection::pump(std::size_t most) {
  if (out_ == nullptr) return;
  send_some(most);
  if (out_ == nullptr || out_->body == nullptr || !out_->body->is_window()) return;
  out_->body->release(out_->at);
  context_.host.on_taken(*this);
}

// Until the socket takes no more, the body has no more yet, the answer is out, or `most` bytes of it are.
void Connection::send_some(std::size_t most) {
  for (std::size_t written = 0; written < most;) {
    std::array<iovec, 10> pieces;
    std::size_t count = 0;
    switch (gather(most - written, pieces, count)) {
      case Gathered::finished:
        return finish_answer();
      case Gathered::nothing_yet:
        return want_write(false);
      case Gathered::failed:
        context_.stats.cut_broken.add();
        return abort();
      case Gathered::data:
        break;
    }
    std::size_t offered = 0;
    for (std::size_t i = 0; i < count; ++i) offered += pieces[i].iov_len;
    const IoResult result = transport_->write({pieces.data(), count}, false);
    if (result.state == IoState::closed) return close();
    const std::size_t taken = result.state == IoState::ok ? result.bytes : 0;
    sent(taken);
    written += taken;
    if (taken < offered) return want_write(true);
  }
  want_write(true);
}

Connection::Gathered Connection::gather(std::size_t most, std::array<iovec, 10>& pieces, std::size_t& count) {
  Out& out = *out_;
  if (out.text_at == out.text.size()) {
    out.text.clear();
    out.text_at = 0;
  }
  const auto add_text = [&] {
    if (out.text_at < out.text.size())
      pieces[count++] = piece_of(std::string_view(out.text).substr(out.text_at));
  };
  if (out.body == nullptr) {
    add_text();
    return count > 0 ? Gathered::data : Gathered::finished;
  }
  if (out.at == out.end && out.next_part < out.multipart.parts.size()) begin_part();
  const Progress progress = out.body->progress();
  std::uint64_t limit = std::min(out.end, progress.bytes);
  const bool all_there = out.at == out.end || (out.end == kOpen && progress.state == BodyState::complete);
  if (out.at < limit) {
    if (out.chunked && out.chunk_left == 0) {
      out.chunk_left = std::min<std::uint64_t>(limit - out.at, kChunkMax);
      std::array<char, 24> line;
      const auto end = std::to_chars(line.data(), line.data() + line.size(), out.chunk_left, 16).ptr;
      out.text.append(line.data(), end).append("\r\n");
    }
    if (out.chunked) limit = std::min(limit, out.at + out.chunk_left);
  } else if (all_there && out.chunked && !out.last_chunk_written) {
    out.text.append("0\r\n\r\n");
    out.last_chunk_written = true;
  } else if (all_there) {
    out.text += std::exchange(out.multipart.end, {});
  }
  add_text();
  limit = std::min(limit, out.at + most);
  std::uint64_t at = out.at;
  while (at < limit && count < pieces.size()) {
    const Piece piece =
        out.body->piece(at, static_cast<std::size_t>(std::min<std::uint64_t>(limit - at, 1 << 20)));
    if (piece.size == 0) return Gathered::failed;
    if (!piece.in_memory()) {
      const Gathered read = gather_from_file(piece, static_cast<std::size_t>(piece.size), pieces[count]);
      if (read == Gathered::data) {
        ++count;
      } else if (read == Gathered::failed) {
        return read;
      }
      break;
    }
    pieces[count++] = piece_of(as_text(piece.memory.first(piece.size)));
    at += piece.size;
  }
  if (count > 0) return Gathered::data;
  if (out.cold_pending || out.at < limit) return Gathered::nothing_yet;
  if (all_there) return Gathered::finished;
  return progress.state == BodyState::arriving ? Gathered::nothing_yet : Gathered::failed;
}

// Bytes of a file through the scratch buffer: from the page cache at once, else by way of the disk pool.
Connection::Gathered Connection::gather_from_file(const Piece& piece, std::size_t limit, iovec& out) {
  Out& state = *out_;
  if (state.cold_pending) return Gathered::nothing_yet;
  if (state.cold != nullptr) {
    const std::uint64_t skip = state.at - state.cold_at;
    if (skip < state.cold->size()) {
      out = piece_of(std::string_view(*state.cold).substr(skip, limit));
      return Gathered::data;
    }
    state.cold.reset();
  }
  iovec into{context_.scratch.data(), std::min(limit, context_.scratch.size())};
  const ssize_t got =
      ::preadv2(piece.fd, &into, 1, static_cast<off_t>(piece.offset), piece.may_be_cold ? RWF_NOWAIT : 0);
  if (got > 0) {
    out = {context_.scratch.data(), static_cast<std::size_t>(got)};
    return Gathered::data;
  }
  if (got < 0 && (errno == EAGAIN || errno == EOPNOTSUPP)) {
    read_cold(piece);
    return state.cold_pending ? Gathered::nothing_yet : Gathered::failed;
  }
  return Gathered::failed;
}

void Connection::read_cold(const Piece& piece) {
  auto bytes = std::make_shared<std::string>();
  const std::size_t size = std::min(piece.size, context_.scratch.size());
  out_->cold_pending = context_.disk.submit(
      // The body is held, so that its descriptor stays open.
      [bytes, body = out_->body, fd = piece.fd, offset = piece.offset, size] {
        bytes->resize(size);
        const ssize_t got = ::pread(fd, bytes->data(), size, static_cast<off_t>(offset));
        bytes->resize(got > 0 ? static_cast<std::size_t>(got) : 0);
      },
      context_.loop,
      [&host = context_.host, connection = connection_id_, exchange = id(), bytes] {
        Connection* self = host.find_connection(connection);
        if (self == nullptr || self->id() != exchange || self->out_ == nullptr) return;
        self->out_->cold_pending = false;
        if (bytes->empty()) {
          self->context_.stats.cut_broken.add();
          return self->abort();
        }
        self->out_->cold = bytes;
        self->out_->cold_at = self->out_->at;
        self->pump(kTurnBytesMax);
      });
}

// Its text goes behind what is still to be sent; what ends the answer, behind the last part's bytes.
void Connection::begin_part() {
  Out& out = *out_;
  Multipart::Part& part = out.multipart.parts[out.next_part++];
  out.text += part.text;
  out.at = part.range.first;
  out.end = part.range.last + 1;
}

void Connection::sent(std::size_t bytes) {
  Out& out = *out_;
  context_.stats.bytes_out.add(bytes);
  out.sent_since_check += bytes;
  const std::size_t of_text = std::min(bytes, out.text.size() - out.text_at);
  out.text_at += of_text;
  const std::uint64_t of_body = bytes - of_text;
  if (of_body == 0) return;
  out.at += of_body;
  if (!out.chunked) return;
  out.chunk_left -= of_body;
  if (out.chunk_left == 0) {
    out.text.assign("\r\n");
    out.text_at = 0;
  }
}

void Connection::finish_answer() {
  want_write(false);
  out_.reset();
  upload_early_.reset();
  if (close_after_ || context_.draining) {
    // A client that asked for the end sends nothing after that request (RFC 9112 §9.6).
    if (input_ended_ || (sends_no_more_ && input_.empty() && !body_unread())) return close();
    // What others still send is read and dropped for a while: closing at once would reset the connection and
    // could take the answer with it.
    transport_->shutdown_write();
    state_ = State::lingering;
    framing_.reset();
    std::string().swap(input_);
    want_read(true);
    return set_deadline(context_.limits.linger);
  }
  state_ = State::reading;
  framing_.reset();
  if (consuming_) return;
  const std::string pending = std::move(input_);
  input_.clear();
  consume(pending);
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
