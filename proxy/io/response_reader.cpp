#include "proxy/io/response_reader.h"

#include <algorithm>

namespace reef::proxy {

void ResponseReader::begin(std::string_view method) {
  state_ = State::reading;
  at_ = At::head;
  is_head_ = method == "HEAD";
  begun_ = refused_ = surplus_ = false;
  interim_ = status_ = 0;
  input_ = {};
  progress_ = {};
  head_bytes_ = 0;
  framing_ = {};
  left_ = 0;
  decoder_ = http::ChunkedDecoder();
}

ResponseReader::State ResponseReader::feed(std::string_view bytes, FetchSink*& sink) {
  begun_ = begun_ || !bytes.empty();
  if (at_ == At::body) {
    read_body(bytes, sink);
    return state_;
  }
  if (input_.empty()) return read_heads(bytes, sink);
  // Appended, not copied together anew: a head that comes byte by byte costs no more than one that is whole.
  input_.append(bytes);
  return read_heads(input_, sink);
}

// `bytes`: all that is there of the head, either input_ or what has just arrived.
ResponseReader::State ResponseReader::read_heads(std::string_view bytes, FetchSink*& sink) {
  const bool kept = bytes.data() == input_.data();
  std::size_t taken = 0;
  while (at_ == At::head && state_ == State::reading) {
    const std::string_view rest = bytes.substr(taken);
    const auto parsed = parser_.feed(rest, progress_, is_head_ ? "HEAD" : "GET");
    const bool whole = parsed.state == http::ParseState::complete;
    if (parsed.state == http::ParseState::bad ||
        head_bytes_ + (whole ? parsed.consumed : rest.size()) > options_.head_bytes_max) {
      state_ = State::bad_head;
      return state_;
    }
    if (!whole) {
      kept ? input_.erase(0, taken) : input_.assign(rest);
      return state_;
    }
    progress_ = {};
    head_bytes_ += parsed.consumed;
    taken += parsed.consumed;
    take_head(parsed, sink);
    if (sink == nullptr && at_ == At::head) return state_;
  }
  if (state_ == State::reading) read_body(bytes.substr(taken), sink);
  input_ = {};
  return state_;
}

void ResponseReader::take_head(const http::Parsed<http::ResponseHead>& parsed, FetchSink*& sink) {
  const int status = parsed.head.status;
  if (status < 200) {
    // We never ask to switch, so a server that does is speaking something else from here on.
    if (status == 101 || ++interim_ > options_.interim_max) {
      state_ = State::bad_head;
    } else if (sink != nullptr) {
      sink->on_interim(parsed.head);
    }
    return;
  }
  at_ = At::body;
  status_ = status;
  framing_ = parsed.framing;
  left_ = parsed.framing.content_length;
  if (sink != nullptr) refused_ = !sink->on_head(parsed.head);
}

void ResponseReader::read_body(std::string_view bytes, FetchSink*& sink) {
  switch (framing_.body) {
    case http::BodyKind::none:
      state_ = State::complete;
      break;
    case http::BodyKind::length: {
      const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
      left_ -= size;
      deliver(bytes.substr(0, size), sink);
      bytes.remove_prefix(size);
      if (left_ == 0) state_ = State::complete;
      break;
    }
    case http::BodyKind::until_close:
      deliver(bytes, sink);
      return;
    case http::BodyKind::chunked:
      while (!bytes.empty() && state_ == State::reading) {
        const http::ChunkedDecoder::Step step = decoder_.next(bytes);
        deliver(step.data, sink);
        bytes.remove_prefix(step.consumed);
        if (step.state == http::ChunkedDecoder::State::done) state_ = State::complete;
        if (step.state == http::ChunkedDecoder::State::bad) state_ = State::broken;
      }
      break;
  }
  surplus_ = state_ == State::complete && !bytes.empty();
}

void ResponseReader::deliver(std::string_view bytes, FetchSink*& sink) {
  if (bytes.empty() || sink == nullptr || refused_) return;
  refused_ = !sink->on_body(as_bytes(bytes));
}

ResponseReader::State ResponseReader::end() {
  if (state_ != State::reading) return state_;
  if (at_ == At::body && framing_.body == http::BodyKind::until_close) {
    state_ = State::complete;
  } else {
    state_ = begun_ && at_ == At::head ? State::bad_head : State::broken;
  }
  return state_;
}

}  // namespace reef::proxy
