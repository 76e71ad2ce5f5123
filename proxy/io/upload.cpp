#include "proxy/io/upload.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/check.h"

namespace reef::proxy {

bool Upload::read(std::span<std::byte> scratch, std::string& out) {
  const bool chunked = left_ < 0;
  if (!chunked) {
    scratch = scratch.first(
        static_cast<std::size_t>(std::min<std::uint64_t>(scratch.size(), static_cast<std::uint64_t>(left_))));
  }
  std::size_t count = 0;
  switch (source_->read(scratch, count)) {
    case UploadSource::State::ready:
      BASE_CHECK(count > 0 && count <= scratch.size());
      break;
    case UploadSource::State::wait:
      waiting_ = true;
      return true;
    case UploadSource::State::end:
      if (!chunked) return false;
      out.append("0\r\n\r\n");
      source_ = nullptr;
      return true;
    case UploadSource::State::broken:
      return false;
  }
  const std::string_view bytes(reinterpret_cast<const char*>(scratch.data()), count);
  if (chunked) {
    fmt::format_to(std::back_inserter(out), "{:x}\r\n", count);
    out.append(bytes).append("\r\n");
    return true;
  }
  out.append(bytes);
  left_ -= static_cast<std::int64_t>(count);
  if (left_ == 0) source_ = nullptr;
  return true;
}

}  // namespace reef::proxy
