// Field lines of an answer, put together on the stack.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace reef::proxy {

// What is over 1 KiB is left out: more than any of our own fields need.
class StackLines {
 public:
  StackLines& add(std::string_view text) {
    const std::size_t count = std::min(text.size(), buffer_.size() - size_);
    if (count > 0) std::memcpy(buffer_.data() + size_, text.data(), count);
    size_ += count;
    return *this;
  }
  StackLines& add(std::int64_t number) {
    const auto end = std::to_chars(buffer_.data() + size_, buffer_.data() + buffer_.size(), number);
    if (end.ec == std::errc()) size_ = static_cast<std::size_t>(end.ptr - buffer_.data());
    return *this;
  }
  [[nodiscard]] std::string_view view() const { return {buffer_.data(), size_}; }

 private:
  std::array<char, 1024> buffer_;
  std::size_t size_ = 0;
};

// Floored: 3.99 s are 3, -0.2 s are -1.
[[nodiscard]] inline std::int64_t whole_seconds(std::chrono::milliseconds ms) {
  return std::chrono::floor<std::chrono::seconds>(ms).count();
}

}  // namespace reef::proxy
