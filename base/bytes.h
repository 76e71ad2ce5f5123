// Reading and writing wire formats: big-endian integers and byte runs over a fixed span, never past its end.
//
// Both are sticky: after the first overrun ok() is false and every further call does nothing (the reader
// yields zeros and empty spans), so that a decoder checks once at its end.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace reef {

using Bytes = std::vector<std::byte>;
using ByteView = std::span<const std::byte>;

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// From or to the order of bytes on the wire.
template <class Integer>
constexpr Integer big_endian(Integer value) {
  static_assert(std::is_unsigned_v<Integer> && sizeof(Integer) <= 8);
  if constexpr (sizeof(Integer) == 1 || std::endian::native == std::endian::big) {
    return value;
  } else if constexpr (sizeof(Integer) == 2) {
    return __builtin_bswap16(value);
  } else if constexpr (sizeof(Integer) == 4) {
    return __builtin_bswap32(value);
  } else {
    return __builtin_bswap64(value);
  }
}

class ByteReader {
 public:
  explicit ByteReader(ByteView input) : input_(input) {}

  template <class Integer>
  Integer integer() {
    static_assert(std::is_unsigned_v<Integer>);
    const ByteView raw = bytes(sizeof(Integer));
    Integer value = 0;
    if (raw.empty()) return value;
    std::memcpy(&value, raw.data(), sizeof value);
    return big_endian(value);
  }
  std::uint8_t u8() { return integer<std::uint8_t>(); }
  std::uint16_t u16() { return integer<std::uint16_t>(); }
  std::uint32_t u32() { return integer<std::uint32_t>(); }
  std::uint64_t u64() { return integer<std::uint64_t>(); }

  // A view into the input; empty after an overrun.
  ByteView bytes(std::size_t count) {
    if (!ok_ || count > input_.size() - at_) {
      ok_ = false;
      return {};
    }
    ByteView out = input_.subspan(at_, count);
    at_ += count;
    return out;
  }
  // Fills `out` exactly; zeros after an overrun.
  void copy_to(std::span<std::byte> out) {
    ByteView raw = bytes(out.size());
    if (raw.size() == out.size()) {
      std::memcpy(out.data(), raw.data(), out.size());
    } else {
      std::memset(out.data(), 0, out.size());
    }
  }

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool at_end() const { return ok_ && at_ == input_.size(); }
  [[nodiscard]] std::size_t offset() const { return at_; }
  [[nodiscard]] std::size_t remaining() const { return ok_ ? input_.size() - at_ : 0; }

 private:
  ByteView input_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

class ByteWriter {
 public:
  explicit ByteWriter(std::span<std::byte> output) : output_(output) {}

  template <class Integer>
  void integer(Integer value) {
    static_assert(std::is_unsigned_v<Integer>);
    value = big_endian(value);
    bytes(std::as_bytes(std::span(&value, 1)));
  }
  void u8(std::uint8_t value) { integer(value); }
  void u16(std::uint16_t value) { integer(value); }
  void u32(std::uint32_t value) { integer(value); }
  void u64(std::uint64_t value) { integer(value); }

  void bytes(ByteView input) {
    if (!ok_ || input.size() > output_.size() - at_) {
      ok_ = false;
      return;
    }
    if (!input.empty()) std::memcpy(output_.data() + at_, input.data(), input.size());
    at_ += input.size();
  }

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::size_t size() const { return at_; }
  [[nodiscard]] std::size_t room() const { return ok_ ? output_.size() - at_ : 0; }
  [[nodiscard]] ByteView written() const { return output_.first(at_); }
  // Cuts back to `size` bytes (at most size()), for an encoder that undoes a record that did not fit.
  void rewind(std::size_t size) {
    if (size <= at_) {
      at_ = size;
      ok_ = true;
    }
  }

 private:
  std::span<std::byte> output_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

}  // namespace reef
