// Round-trip time of one contact, and the time-out that follows from it (RFC 6298).
#pragma once

#include <optional>

#include "base/time.h"

namespace reef::dsht {

class RttEstimator {
 public:
  // A time-out below this would fire on a busy machine's scheduling delay.
  static constexpr Duration kTimeoutMin = std::chrono::milliseconds(100);
  static constexpr Duration kTimeoutMax = std::chrono::seconds(2);
  static constexpr Duration kPatienceMin = std::chrono::milliseconds(4);
  static constexpr Duration kPatienceSlack = std::chrono::milliseconds(3);
  // The least RTT is that of the current and the previous window, so that a change of route shows within ten
  // minutes.
  static constexpr Duration kWindow = std::chrono::minutes(5);

  // One measured exchange. The caller leaves out retransmitted ones (Karn's algorithm, RFC 6298 §3).
  void sample(TimePoint now, Duration rtt);

  // SRTT + 4·RTTVAR within [kTimeoutMin, kTimeoutMax]; nullopt before the first sample.
  [[nodiscard]] std::optional<Duration> timeout() const;
  // After so long an answer is later than usual: worth asking somebody else besides, not yet worth giving up.
  // SRTT + 4·RTTVAR, but not much more than SRTT, since a request too many costs less than waiting for the
  // dead; nullopt before the first sample.
  [[nodiscard]] std::optional<Duration> patience() const;
  [[nodiscard]] std::optional<Duration> smoothed() const;
  // The least of the last 5 to 10 minutes in which there were samples.
  [[nodiscard]] std::optional<Duration> least() const;

 private:
  bool has_sample_ = false;
  Duration smoothed_{};
  Duration variation_{};
  TimePoint window_start_{};
  Duration window_least_{};
  Duration previous_least_ = Duration::max();
};

}  // namespace reef::dsht
