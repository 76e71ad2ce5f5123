// Writing a message head into a caller's buffer. Appends only; with enough capacity nothing is allocated.
// Not thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/http/date.h"
#include "proxy/http/head.h"

namespace reef::proxy::http {

class HeadBuilder {
 public:
  // `out` is borrowed and appended to.
  explicit HeadBuilder(std::string& out) : out_(out) {}

  // "HTTP/1.1 200 OK"; an empty reason becomes the registered phrase, one with control characters too.
  HeadBuilder& status(int code, std::string_view reason = {});
  // "GET /a HTTP/1.1"; method and target are of a parsed head.
  HeadBuilder& request(std::string_view method, std::string_view target);

  // A name that is no token or a value with control characters is left out and ok() becomes false: whatever a
  // caller was given, no message is split (RFC 9110 §5.5).
  HeadBuilder& field(std::string_view name, std::string_view value);
  HeadBuilder& field(std::string_view name, std::uint64_t value);
  HeadBuilder& date(std::string_view name, std::int64_t unix_seconds);
  // Lines that were built by a HeadBuilder before ("Name: value\r\n" each), verbatim.
  HeadBuilder& lines(std::string_view block);
  // The blank line.
  void end() { out_ += "\r\n"; }

  [[nodiscard]] bool ok() const { return ok_; }

 private:
  std::string& out_;
  bool ok_ = true;
};

// Goes through a block of "Name: value\r\n" lines, as the store keeps them. A line that is none ends it.
class FieldLines {
 public:
  explicit FieldLines(std::string_view block) : rest_(block) {}
  // False at the end. `line` is the whole line with its CRLF.
  bool next(std::string_view& name, std::string_view& value, std::string_view& line) noexcept;

 private:
  std::string_view rest_;
};
// All of them, as views into the block.
[[nodiscard]] std::vector<Field> fields_of(std::string_view block);
[[nodiscard]] std::string_view find_line(std::string_view block,
                                         std::string_view name) noexcept;  // value, or empty

}  // namespace reef::proxy::http
