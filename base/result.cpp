#include "base/result.h"

#include <cerrno>

namespace reef {

std::string Error::message() const {
  if (code == std::errc::invalid_argument && !context.empty()) return context;
  if (context.empty()) return code.message();
  return context + ": " + code.message();
}

Error errno_error(std::string_view context) {
  return Error{std::error_code(errno, std::generic_category()), std::string(context)};
}

Error invalid(std::string context) {
  return Error{std::make_error_code(std::errc::invalid_argument), std::move(context)};
}

}  // namespace reef
