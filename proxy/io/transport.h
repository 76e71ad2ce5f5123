// The bytes of one connection. Plain TCP here; TLS is another Transport, and what is above does not know.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <span>

#include "base/io/fd.h"

namespace reef::proxy {

enum class IoState : unsigned char { ok, again, closed };

struct IoResult {
  IoState state;
  std::size_t bytes = 0;  // with ok: at least 1 (read), or what was taken (write; may be short)
};

// Non-blocking. Belongs to one loop.
class Transport {
 public:
  virtual ~Transport() = default;
  [[nodiscard]] virtual int fd() const = 0;
  [[nodiscard]] virtual IoResult read(std::span<char> out) = 0;
  // `more`: further bytes of the same answer follow at once.
  [[nodiscard]] virtual IoResult write(std::span<const iovec> pieces, bool more) = 0;
  virtual void shutdown_write() = 0;
  // The close that follows tells the other side that the answer was not whole.
  virtual void abort_on_close() = 0;
};

[[nodiscard]] std::unique_ptr<Transport> make_tcp_transport(Fd fd);

}  // namespace reef::proxy
