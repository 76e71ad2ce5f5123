// HTTP messages and histories as the model of RFC 9111 sees them: plain strings, nothing of the proxy's own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace reef::proxy::model {

// Field lines in order of arrival.
using Fields = std::vector<std::pair<std::string, std::string>>;

[[nodiscard]] std::string lower(std::string text);
[[nodiscard]] std::string trimmed(const std::string& text);
[[nodiscard]] bool has(const Fields& fields, const std::string& name);
// The first line of that name; "" where there is none.
[[nodiscard]] std::string first(const Fields& fields, const std::string& name);
// All lines of that name, joined with ", " (RFC 9110 §5.3).
[[nodiscard]] std::string joined(const Fields& fields, const std::string& name);
// The members of a list (RFC 9110 §5.6.1): commas in quoted strings do not split, empty members are dropped.
[[nodiscard]] std::vector<std::string> members(const std::string& list);

// IMF-fixdate only: the others have unit tests. Seconds since 1970.
[[nodiscard]] std::string date_text(std::int64_t seconds);
[[nodiscard]] std::optional<std::int64_t> date_seconds(const std::string& text);

struct Request {
  std::string method = "GET";
  std::string path;
  Fields fields;
};

struct Response {
  int status = 0;  // 0: there was none
  Fields fields;
  std::string body;
  bool whole = false;  // by its own framing
};

// One question of the proxy to the origin, and how that ended. Times in milliseconds since 1970.
struct OriginExchange {
  enum class End : std::uint8_t { answered, closed, garbage, truncated, silent };
  Request request;
  End end = End::answered;
  Response response;
  bool until_close = false;  // nothing but the closed connection marks the end of the body
  std::int64_t asked = 0;
  std::int64_t answered = 0;
};

// What was seen of one request of a client.
struct Observed {
  Response answer;
  std::vector<OriginExchange> exchanges;  // those in the background too, in order
  std::int64_t asked = 0;
  std::int64_t answered = 0;
};

}  // namespace reef::proxy::model
