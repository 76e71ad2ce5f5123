// Why the object store refused or failed, as std::error_code.
#pragma once

#include <system_error>

#include "base/result.h"

namespace reef::proxy {

enum class StoreError {
  too_large = 1,           // longer than object_bytes_max
  longer_than_announced,   // more bytes than Content-Length said
  shorter_than_announced,  // the response ended before Content-Length
  digest_mismatch,         // the bytes are not those that were promised
  no_space,                // neither the disk nor the memory that stands in for it takes more
  ended,                   // the body was already finished or broken off
  damaged,                 // a record or file on disk does not agree with its checks
  in_use,                  // another process holds the directory
};

[[nodiscard]] std::error_code make_error_code(StoreError error);
[[nodiscard]] inline Error store_error(StoreError error, std::string context = {}) {
  return {make_error_code(error), std::move(context)};
}

}  // namespace reef::proxy

template <>
struct std::is_error_code_enum<reef::proxy::StoreError> : std::true_type {};
