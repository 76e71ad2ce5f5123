#include "proxy/store/lmdb.h"

namespace reef::proxy {
namespace {

class LmdbCategory final : public std::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "lmdb"; }
  [[nodiscard]] std::string message(int code) const override { return mdb_strerror(code); }
};

const std::error_category& lmdb_category() {
  static const LmdbCategory category;
  return category;
}

}  // namespace

Error lmdb_error(int code, std::string_view context) {
  if (code > 0) return {std::error_code(code, std::generic_category()), std::string(context)};
  return {std::error_code(code, lmdb_category()), std::string(context)};
}

bool is_lmdb(const Error& error, int code) {
  return error.code.category() == lmdb_category() && error.code.value() == code;
}

}  // namespace reef::proxy
