#include "proxy/store/error.h"

namespace reef::proxy {
namespace {

class StoreCategory final : public std::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "store"; }
  [[nodiscard]] std::string message(int value) const override {
    switch (static_cast<StoreError>(value)) {
      case StoreError::too_large:
        return "the object is larger than this node keeps";
      case StoreError::longer_than_announced:
        return "the body is longer than announced";
      case StoreError::shorter_than_announced:
        return "the body is shorter than announced";
      case StoreError::digest_mismatch:
        return "the body is not the one that was promised";
      case StoreError::no_space:
        return "no space for the body";
      case StoreError::ended:
        return "the body has already ended";
      case StoreError::damaged:
        return "the stored data is damaged";
      case StoreError::in_use:
        return "another process uses this directory";
    }
    return "unknown store error";
  }
};

}  // namespace

std::error_code make_error_code(StoreError error) {
  static const StoreCategory category;
  return {static_cast<int>(error), category};
}

}  // namespace reef::proxy
