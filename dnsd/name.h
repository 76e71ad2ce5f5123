// A domain name in its wire form (RFC 1035 §3.1): length-prefixed labels, ended by the root's zero.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace reef::dnsd {

// At most 255 bytes with 1 to 63 bytes a label. A value; holds the spelling as it was given. Comparisons
// ignore the case of ASCII letters (RFC 4343), because resolvers mix it on purpose (0x20).
class Name {
 public:
  static constexpr std::size_t kBytesMax = 255;
  static constexpr std::size_t kLabelBytesMax = 63;

  Name() { bytes_[0] = std::byte{0}; }  // the root
  // Only as many bytes as there are: names are copied for every answer.
  Name(const Name& other) : size_(other.size_) { std::memcpy(bytes_.data(), other.bytes_.data(), size_); }
  Name& operator=(const Name& other) {
    size_ = other.size_;
    std::memmove(bytes_.data(), other.bytes_.data(), size_);
    return *this;
  }
  ~Name() = default;

  // "www.example.com", with or without the trailing dot; "." is the root. Letters, digits, '-' and '_' only:
  // internationalised names come as A-labels.
  static Result<Name> parse(std::string_view text);

  // An uncompressed name at the reader's position, any bytes in its labels. nullopt: it ends early, is longer
  // than 255 bytes, or has a compression pointer or another reserved label type (a question has nothing to
  // point to).
  static std::optional<Name> read(ByteReader& reader);

  // `labels` (as labels_before() gives them) in front of `tail`. nullopt: longer than 255 bytes.
  static std::optional<Name> join(ByteView labels, const Name& tail);

  [[nodiscard]] ByteView wire() const { return ByteView(bytes_).first(size_); }
  [[nodiscard]] std::size_t size() const { return size_; }

  [[nodiscard]] bool equals(const Name& other) const;
  // This name is `ancestor` or below it.
  [[nodiscard]] bool is_under(const Name& ancestor) const;
  // The labels before `ancestor`, without its own: "www.site" of "www.site.example" under "example". Only
  // where is_under(ancestor); empty when equal. Lives as long as this name.
  [[nodiscard]] ByteView labels_before(const Name& ancestor) const {
    return wire().first(size_ - ancestor.size_);
  }

  // A copy in lower case, as tables want it.
  [[nodiscard]] Name lower() const;

  // "www.example.com." with other bytes than printable ASCII as \DDD.
  [[nodiscard]] std::string text() const;

 private:
  bool append_label(ByteView label);

  std::array<std::byte, kBytesMax> bytes_;  // of which size_ count
  std::uint8_t size_ = 1;
};

}  // namespace reef::dnsd
