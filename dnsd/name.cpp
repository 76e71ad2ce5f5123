#include "dnsd/name.h"

#include <algorithm>
#include <cstring>

namespace reef::dnsd {
namespace {

// Length bytes are below 64 and so never taken for letters.
std::byte lower_letter(std::byte b) {
  return b >= std::byte{'A'} && b <= std::byte{'Z'} ? b | std::byte{0x20} : b;
}

// lower_letter() of eight bytes at once: a letter's fifth bit is set where adding carries it over 'A' - 1 and
// not over 'Z' into the eighth, which a letter does not have.
std::uint64_t lower_letters(std::uint64_t bytes) {
  constexpr std::uint64_t kOnes = 0x0101010101010101, kHigh = 0x80 * kOnes;
  const std::uint64_t low = bytes & ~kHigh;
  const std::uint64_t from_a = low + (0x80 - 'A') * kOnes, beyond_z = low + (0x7f - 'Z') * kOnes;
  return bytes | (((from_a ^ beyond_z) & ~bytes & kHigh) >> 2);
}

std::uint64_t load(const std::byte* at) {
  std::uint64_t out = 0;
  std::memcpy(&out, at, sizeof out);
  return out;
}

bool same_letters(ByteView a, ByteView b) {
  if (a.size() != b.size()) return false;
  std::size_t at = 0;
  for (; at + 8 <= a.size(); at += 8) {
    if (lower_letters(load(&a[at])) != lower_letters(load(&b[at]))) return false;
  }
  for (; at < a.size(); ++at) {
    if (lower_letter(a[at]) != lower_letter(b[at])) return false;
  }
  return true;
}

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

}  // namespace

Result<Name> Name::parse(std::string_view text) {
  const auto bad = [text](std::string_view why) {
    return fail(invalid("'" + std::string(text) + "' is not a domain name: " + std::string(why)));
  };
  Name name;
  if (text == ".") return name;
  if (text.ends_with('.')) text.remove_suffix(1);
  std::string_view rest = text;
  while (true) {
    const std::string_view label = rest.substr(0, rest.find('.'));
    if (label.empty()) return bad("a label is empty");
    if (!std::all_of(label.begin(), label.end(), is_host_character)) {
      return bad("labels hold letters, digits, '-' and '_' only");
    }
    if (!name.append_label(as_bytes(label))) return bad("a label has at most 63 bytes, a name 255");
    if (label.size() == rest.size()) return name;
    rest.remove_prefix(label.size() + 1);
  }
}

std::optional<Name> Name::read(ByteReader& reader) {
  Name name;
  while (true) {
    const std::uint8_t length = reader.u8();
    if (!reader.ok() || length > kLabelBytesMax) return std::nullopt;
    if (length == 0) return name;
    const ByteView label = reader.bytes(length);
    if (!reader.ok() || !name.append_label(label)) return std::nullopt;
  }
}

std::optional<Name> Name::join(ByteView labels, const Name& tail) {
  if (labels.size() + tail.size_ > kBytesMax) return std::nullopt;
  Name name;
  std::copy(labels.begin(), labels.end(), name.bytes_.begin());
  std::copy_n(tail.bytes_.begin(), tail.size_,
              name.bytes_.begin() + static_cast<std::ptrdiff_t>(labels.size()));
  name.size_ = static_cast<std::uint8_t>(labels.size() + tail.size_);
  return name;
}

Name Name::lower() const {
  Name out = *this;
  std::transform(out.bytes_.begin(), out.bytes_.begin() + size_, out.bytes_.begin(), lower_letter);
  return out;
}

bool Name::append_label(ByteView label) {
  if (label.empty() || label.size() > kLabelBytesMax || size_ + 1 + label.size() > kBytesMax) return false;
  bytes_[size_ - 1] = static_cast<std::byte>(label.size());
  std::memcpy(bytes_.data() + size_, label.data(), label.size());
  size_ = static_cast<std::uint8_t>(size_ + 1 + label.size());
  bytes_[size_ - 1] = std::byte{0};
  return true;
}

bool Name::equals(const Name& other) const { return same_letters(wire(), other.wire()); }

bool Name::is_under(const Name& ancestor) const {
  if (size_ < ancestor.size_) return false;
  const std::size_t cut = size_ - ancestor.size_;
  std::size_t at = 0;  // only whole labels may stand before the ancestor
  while (at < cut) at += 1 + std::to_integer<std::size_t>(bytes_[at]);
  return at == cut && same_letters(wire().subspan(cut), ancestor.wire());
}

std::string Name::text() const {
  if (size_ == 1) return ".";
  std::string out;
  for (std::size_t at = 0; bytes_[at] != std::byte{0};) {
    const auto length = std::to_integer<std::size_t>(bytes_[at]);
    for (std::size_t i = at + 1; i <= at + length; ++i) {
      const auto c = std::to_integer<unsigned>(bytes_[i]);
      if (c > ' ' && c < 0x7f && c != '.' && c != '\\') {
        out += static_cast<char>(c);
      } else {
        out += '\\';
        for (const unsigned unit : {100u, 10u, 1u}) out += static_cast<char>('0' + c / unit % 10);
      }
    }
    out += '.';
    at += 1 + length;
  }
  return out;
}

}  // namespace reef::dnsd
