// Time as the whole project uses it.
//
// Cores never read a clock: they are given `now`. Shells take it from their EventLoop, the simulator from its
// virtual clock. Monotonic time (TimePoint) measures durations and deadlines; wall time (WallTime) is only
// for what leaves the process: HTTP dates, DNS serials, stored metadata.
#pragma once

#include <chrono>

namespace reef {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;
using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::milliseconds>;

// Where a shell takes wall time from: the system's clock, or one that a test moves.
using WallClock = WallTime (*)();
inline WallTime system_wall_time() {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

// Milliseconds as a number, for logs, JSON and tables.
inline double to_ms(Duration d) { return std::chrono::duration<double, std::milli>(d).count(); }

}  // namespace reef
