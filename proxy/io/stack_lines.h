// Field lines of an answer, put together on the stack.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
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
  StackLines& add_hex(std::span<const std::byte> bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    for (const std::byte byte : bytes) {
      const auto value = std::to_integer<unsigned>(byte);
      const char pair[2] = {kDigits[value >> 4], kDigits[value & 15]};
      add(std::string_view(pair, 2));
    }
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
