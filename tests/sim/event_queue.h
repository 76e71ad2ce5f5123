// What happens when: the events of a simulation in order of time, and of their making where times are equal.
//
// A calendar queue (Brown, 1988): a ring of narrow days for the near future, wide years beyond. Adding an
// event and taking the next cost the same however many there are; a heap of a hundred thousand events misses
// the cache at each of its 17 levels. Time never runs backwards: nothing may be added before the event taken
// last.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "base/check.h"
#include "base/time.h"

namespace reef::sim {

struct Event {
  enum class Kind : std::uint8_t { deliver, wake, task };
  std::int64_t at = 0;      // nanoseconds since the clock's epoch
  std::uint64_t order = 0;  // set by the queue
  std::uint32_t to = 0;
  std::uint32_t from = 0;
  std::uint32_t slot = 0;
  Kind kind{};
};

class EventQueue {
 public:
  explicit EventQueue(TimePoint start) : year_(start.time_since_epoch().count() >> kYearBits) {
    BASE_CHECK(year_ >= 0);
    day_ = day_of(start.time_since_epoch().count());
  }

  void push(Event event) {
    event.order = ++order_;
    ++size_;
    const std::int64_t year = event.at >> kYearBits;
    if (year != year_) {
      BASE_CHECK(year > year_);
      years_[year].push_back(event);
      return;
    }
    const std::size_t day = day_of(event.at);
    if (day == day_) {
      // Few enough that an insertion into the sorted day is cheap; most belong near its end, which is taken
      // first.
      today_.insert(std::upper_bound(today_.begin(), today_.end(), event, later), event);
    } else {
      BASE_CHECK(day > day_);
      days_[day].push_back(event);
    }
  }

  // The next event if it is due by `end`.
  bool pop(TimePoint end, Event& out) {
    const std::int64_t limit = end.time_since_epoch().count();
    while (today_.empty()) {
      if (size_ == 0 || !next_day(limit)) return false;
    }
    if (today_.back().at > limit) return false;
    out = today_.back();
    today_.pop_back();
    --size_;
    return true;
  }

  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  static constexpr int kDayBits = 16;   // 65 µs
  static constexpr int kYearBits = 30;  // 1.07 s
  static constexpr std::size_t kDays = std::size_t{1} << (kYearBits - kDayBits);

  static std::size_t day_of(std::int64_t at) { return static_cast<std::size_t>(at >> kDayBits) % kDays; }
  static bool later(const Event& a, const Event& b) { return a.at != b.at ? a.at > b.at : a.order > b.order; }

  // Makes the next day with events today's, if it begins by `limit`. False: there is none.
  bool next_day(std::int64_t limit) {
    for (std::size_t day = day_ + 1; day < kDays; ++day) {
      if (days_[day].empty()) continue;
      if (((year_ << (kYearBits - kDayBits)) + static_cast<std::int64_t>(day)) << kDayBits > limit)
        return false;
      day_ = day;
      today_.swap(days_[day]);
      std::sort(today_.begin(), today_.end(), later);
      return true;
    }
    if (years_.empty() || years_.begin()->first << kYearBits > limit) return false;
    year_ = years_.begin()->first;
    for (const Event& event : years_.begin()->second) days_[day_of(event.at)].push_back(event);
    years_.erase(years_.begin());
    day_ = 0;
    today_.swap(days_[0]);
    std::sort(today_.begin(), today_.end(), later);
    return true;
  }

  std::int64_t year_;
  std::size_t day_ = 0;
  std::vector<Event> today_;  // sorted, the next one last
  std::vector<std::vector<Event>> days_{kDays};
  std::map<std::int64_t, std::vector<Event>> years_;
  std::uint64_t order_ = 0;
  std::size_t size_ = 0;
};

}  // namespace reef::sim
