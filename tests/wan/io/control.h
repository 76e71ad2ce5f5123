// The emulator's command socket: a unix stream socket, a line in, a line out.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/io/fd.h"
#include "base/result.h"

namespace reef::wan {

class ControlSocket {
 public:
  // Makes and listens on `path`, which must not exist.
  [[nodiscard]] static Result<ControlSocket> listen(const std::string& path);

  // Readable when serve() has something to do; an epoll descriptor, borrowed.
  [[nodiscard]] int fd() const { return epoll_.get(); }
  // Takes new connections and hands each whole line to `answer`; its result and a newline go back. Never
  // blocks. Connections that send too long a line or do not read their answers are closed.
  void serve(const std::function<std::string(std::string_view)>& answer);

 private:
  struct Connection {
    Fd fd;
    std::string input;
  };
  ControlSocket(Fd listener, Fd epoll) : listener_(std::move(listener)), epoll_(std::move(epoll)) {}
  void accept_all();
  // False: the connection is over.
  bool serve_one(Connection& connection, const std::function<std::string(std::string_view)>& answer);

  Fd listener_;
  Fd epoll_;
  std::vector<Connection> connections_;
};

}  // namespace reef::wan
