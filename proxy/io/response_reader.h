// One response as its bytes arrive: interim heads, the head, the body out of its framing (RFC 9112 §6.3).
//
// Touches no socket. Where the framing is in doubt (see proxy/http/message.h) the response is bad; nothing is
// guessed. What comes behind a response is never part of anything. A reader is used for one response after
// another; not thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/http/chunked.h"
#include "proxy/http/parser.h"
#include "proxy/io/fetcher.h"

namespace reef::proxy {

class ResponseReader {
 public:
  // Borrows both; the parser is shared by all readers of a loop.
  ResponseReader(http::ResponseHeadParser& parser, const FetcherOptions& options)
      : parser_(parser), options_(options) {}

  enum class State : std::uint8_t {
    reading,
    complete,  // by its own framing
    bad_head,  // no HTTP, too large, ambiguous, or too many interim ones
    broken,    // ended too early, or its chunks are malformed
  };

  // Before each response. `method`: of the request that it answers.
  void begin(std::string_view method);

  // Takes what has arrived and tells `sink`, which may set its own pointer to null meanwhile (or refuse):
  // then it hears nothing more, and what is here of the response is read for its framing only. Not to be
  // called again once the state is not `reading`.
  State feed(std::string_view bytes, FetchSink*& sink);
  // The server has closed in good order: the end of a body that has no other.
  State end();

  [[nodiscard]] bool has_begun() const { return begun_; }  // at least a byte of it has come
  [[nodiscard]] bool has_head() const { return at_ == At::body; }
  [[nodiscard]] int status() const { return status_; }  // of the final head; 0 before
  [[nodiscard]] bool is_refused() const { return refused_; }
  // Complete, nothing came behind it, and both sides meant the connection to stay.
  [[nodiscard]] bool leaves_connection() const {
    return state_ == State::complete && framing_.keep_alive && !surplus_;
  }

 private:
  enum class At : std::uint8_t { head, body };

  State read_heads(std::string_view bytes, FetchSink*& sink);
  void take_head(const http::Parsed<http::ResponseHead>& parsed, FetchSink*& sink);
  void read_body(std::string_view bytes, FetchSink*& sink);
  void deliver(std::string_view bytes, FetchSink*& sink);

  http::ResponseHeadParser& parser_;
  const FetcherOptions& options_;
  State state_ = State::reading;
  At at_ = At::head;
  bool is_head_ = false;  // the method of the request
  bool begun_ = false;
  bool refused_ = false;
  bool surplus_ = false;
  int interim_ = 0;
  int status_ = 0;
  std::string input_;  // a head that is not complete yet
  http::HeadProgress progress_;
  std::size_t head_bytes_ = 0;  // of complete heads
  http::Framing framing_;
  std::uint64_t left_ = 0;  // of a body of known length
  http::ChunkedDecoder decoder_;
};

}  // namespace reef::proxy
