// Expected failure is a value: Result<T> holds a T or an Error.
//
// Each folder has its own error enum made into a std::error_code; foreign codes (errno, CURLcode, ARES_*,
// MDB_*) become an Error in the wrapper that met them, once.
#pragma once

#include <string>
#include <string_view>
#include <system_error>
#include <tl/expected.hpp>

namespace reef {

struct Error {
  std::error_code code;
  std::string context;  // short: what was being done, with the offending value; may be empty

  // "context: what the code means", for one log line or one line to the user.
  [[nodiscard]] std::string message() const;
};

template <class T = void>
using Result = tl::expected<T, Error>;

// An Error from the current errno (call it before anything else can change errno).
[[nodiscard]] Error errno_error(std::string_view context);

// An Error for bad input that has no code of its own (std::errc::invalid_argument); `context` says what was
// wrong and what is allowed.
[[nodiscard]] Error invalid(std::string context);

inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

}  // namespace reef
