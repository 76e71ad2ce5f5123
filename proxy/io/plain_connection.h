// One TCP connection that this node opened, for HTTP requests of its own: a socket and its two events.
//
// Non-blocking; belongs to one loop. Its handler changes with its use: the fetch that it serves, or the pool
// that keeps it meanwhile. Both may destroy it inside their own call.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include "base/io/event_loop.h"
#include "base/ip.h"
#include "base/result.h"
#include "proxy/io/transport.h"

namespace reef::proxy {

class PlainConnection {
 public:
  class Handler {
   public:
    virtual void on_readable(PlainConnection& connection) = 0;  // also: closed or broken
    virtual void on_writable(PlainConnection& connection) = 0;  // also: connected, or not
   protected:
    ~Handler() = default;
  };

  // Begins to connect to exactly that address; `handler` hears on_writable() when that has come to an end.
  // `host`: whose server is there (see ConnectionPool). An error is the system's, and means that nothing was
  // sent.
  [[nodiscard]] static Result<std::unique_ptr<PlainConnection>> open(EventLoop& loop, const Endpoint& to,
                                                                     std::string host, Handler& handler);
  PlainConnection(const PlainConnection&) = delete;
  PlainConnection& operator=(const PlainConnection&) = delete;

  // What became of connecting; no error: from now on it is read.
  [[nodiscard]] std::error_code finish_connect();

  enum class ReadState : unsigned char { data, again, end, broken };
  struct ReadResult {
    ReadState state;
    std::size_t bytes = 0;  // with data: at least 1
  };
  [[nodiscard]] ReadResult read(std::span<char> out);
  // Once; may take less. closed: why is for read() to say, behind what the server had sent before.
  [[nodiscard]] IoResult write(std::string_view bytes);
  // Neither bytes nor an end have arrived that were not read.
  [[nodiscard]] bool is_quiet() const;

  void want_write(bool on);
  // Once connected it is read, unless told otherwise.
  void want_read(bool on);
  void set_handler(Handler& handler) { handler_ = &handler; }

  [[nodiscard]] const Endpoint& endpoint() const { return endpoint_; }
  [[nodiscard]] const std::string& host() const { return host_; }
  TimePoint idle_since{};  // the pool's

 private:
  PlainConnection(EventLoop& loop, Fd fd, const Endpoint& to, std::string host, Handler& handler);

  const Endpoint endpoint_;
  const std::string host_;
  Handler* handler_;
  Fd fd_;
  EventPtr read_event_;
  EventPtr write_event_;
  bool writing_ = false;
  bool reading_ = false;
};

}  // namespace reef::proxy
