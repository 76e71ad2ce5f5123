// Answers on their way out: heads, bodies from memory, files and running fills, at the client's pace.
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "proxy/http/builder.h"
#include "proxy/http/message.h"
#include "proxy/io/connection.h"

namespace reef::proxy {
namespace {

constexpr std::size_t kHeadOnStack = 8192;
constexpr std::size_t kChunkMax = 256 << 10;
// Of one connection in one turn, more or less: after that the others have theirs. A thousand readers that
// come at once then keep a turn below some tens of milliseconds.
constexpr std::size_t kTurnBytesMax = 128 << 10;
// Of an answer that does not leave in one write, at first: when the head of a fill comes, all who wait have
// their first bytes before any has a second helping.
constexpr std::size_t kFirstBytesMax = 1 << 10;

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

struct StringSink {
  std::string text;
  void add(std::string_view more) { text.append(more); }
};

}  // namespace

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

}  // namespace reef::proxy
