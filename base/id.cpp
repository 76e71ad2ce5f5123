#include "base/id.h"

#include <bit>

namespace reef {

int Distance::leading_zeros() const {
  if (const std::uint64_t word = leading_word(); word != 0) return std::countl_zero(word);
  for (std::size_t i = 8; i < kIdBytes; ++i) {
    if (bytes[i] != 0) return static_cast<int>(i) * 8 + std::countl_zero(bytes[i]);
  }
  return kIdBits;
}

namespace detail {

std::string id_hex(std::span<const std::uint8_t, kIdBytes> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(kIdBytes * 2);
  for (std::uint8_t b : bytes) {
    out.push_back(kDigits[b >> 4]);
    out.push_back(kDigits[b & 15]);
  }
  return out;
}

Result<std::array<std::uint8_t, kIdBytes>> parse_id_hex(std::string_view text) {
  std::array<std::uint8_t, kIdBytes> out{};
  if (text.size() != kIdBytes * 2)
    return fail(invalid("an id is 40 hex digits, not '" + std::string(text) + "'"));
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    int digit = -1;
    if (c >= '0' && c <= '9') digit = c - '0';
    if (c >= 'a' && c <= 'f') digit = c - 'a' + 10;
    if (c >= 'A' && c <= 'F') digit = c - 'A' + 10;
    if (digit < 0) return fail(invalid("an id is 40 hex digits, not '" + std::string(text) + "'"));
    out[i / 2] = static_cast<std::uint8_t>(out[i / 2] << 4 | digit);
  }
  return out;
}

}  // namespace detail
}  // namespace reef
