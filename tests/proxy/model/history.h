// Random histories of a small world: a clock that is moved, an origin whose resources change and fail,
// clients that ask. Each step stands for itself, so that any of them can be left out to make a history
// shorter.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "message.h"
#include "stored.h"

namespace reef::proxy::model {

// What the origin answers for a path from now on. Dates are seconds relative to the time of the answer, so
// that a step means the same wherever it stands.
struct Resource {
  OriginExchange::End end = OriginExchange::End::answered;
  int status = 200;
  std::string version;             // of the body
  std::string etag;                // "": none
  std::int64_t modified = 0;       // seconds since 1970; 0: no Last-Modified
  bool answers_conditions = true;  // with 304, where they hold
  bool brief_304 = false;          // ... with nothing but a Date
  enum class Date : std::uint8_t { now, absent, past, future, invalid } date = Date::now;
  enum class Expires : std::uint8_t { absent, later, past, same, invalid } expires = Expires::absent;
  enum class Framing : std::uint8_t { length, chunked, close } framing = Framing::length;
  std::int64_t delay = 0;  // ms until the answer
  Fields fields;           // as they are
};

struct Step {
  enum class Kind : std::uint8_t { wait, change, ask } kind = Kind::wait;
  std::int64_t wait = 0;  // ms
  std::string path;
  Resource resource;
  Request request;
};

struct History {
  std::uint64_t seed = 0;
  Mode mode = Mode::site;
  bool has_silence = false;  // the origin may not answer at all: time-outs are real time, and few
  std::vector<Step> steps;
};

// The same for the same seed, on every machine.
[[nodiscard]] History random_history(std::uint64_t seed, std::size_t steps);

// One line of text each.
[[nodiscard]] std::string to_text(const Step& step);
[[nodiscard]] std::string to_text(const History& history);

// The answer to a request of the proxy, at `now` (ms).
[[nodiscard]] Response answer_of(const Resource& resource, const Request& request, std::int64_t now);

}  // namespace reef::proxy::model
