// The body of a request of ours on its way out: taken from its source, framed by its length or in chunks
// (RFC 9112 §6). Touches no socket. Belongs to one loop.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "proxy/io/fetcher.h"

namespace reef::proxy {

class Upload {
 public:
  // `source`: null, a request without body. `length`: -1, unknown.
  void begin(UploadSource* source, std::int64_t length) {
    source_ = source;
    left_ = length;
    waiting_ = false;
    if (length == 0) source_ = nullptr;
  }
  // Its source must not be asked any more.
  void drop() { source_ = nullptr; }

  [[nodiscard]] bool is_whole() const { return source_ == nullptr; }  // nothing is to come
  [[nodiscard]] bool is_waiting() const { return waiting_; }
  void resume() { waiting_ = false; }

  // Appends to `out` what the source has now, framed. False: the source is broken, or ended before the length
  // that was announced. `scratch`: the most that is taken at once; not empty. The source may drop() this in
  // its call.
  [[nodiscard]] bool read(std::span<std::byte> scratch, std::string& out);

 private:
  UploadSource* source_ = nullptr;
  std::int64_t left_ = -1;
  bool waiting_ = false;
};

}  // namespace reef::proxy
