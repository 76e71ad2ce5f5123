// One libevent base with its thread: the control loop, a worker loop.
//
// Everything here belongs to the loop's thread, except post() and stop(), which any thread may call.
// Callbacks run on the loop's thread, one at a time, and may destroy any Timer, Deferred or FdEvent, also the
// one that is calling.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/io/fd.h"
#include "base/io/handles.h"
#include "base/time.h"

namespace reef {

// How exactly timers fire. Microseconds cost a timerfd and one system call more in most turns, which only
// measuring is worth; milliseconds (a few late) do for serving.
enum class TimerPrecision : bool { milliseconds, microseconds };

class EventLoop {
 public:
  using Task = std::function<void()>;

  // At most `mailbox_max` posted tasks wait at once.
  explicit EventLoop(TimerPrecision precision = TimerPrecision::microseconds,
                     std::size_t mailbox_max = 65536);
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Turns until stop(). Returns after the turn in which stop() was seen.
  void run();
  void stop();

  // Runs `task` on the loop, in order of posting. False when the mailbox is full (the caller answers
  // "overloaded") or the loop has been closed; the task is then dropped without running.
  [[nodiscard]] bool post(Task task);

  // Runs an answer that the loop itself asked for and waits for. Never refused while the loop exists, however
  // full its mailbox: whoever asks is bounded already (a DiskPool by its queue), and a lost answer would
  // leave the asker waiting for ever. False, and dropped without running, once the loop is closed.
  bool post_answer(Task task);

  // On the loop, in a callback of an event: what has been posted runs now instead of after that callback. For
  // who takes something from outside that may be a consequence of what was posted.
  [[nodiscard]] bool has_posted() const;
  void run_posted();

  // The monotonic clock. Take it once per turn and hand it on, so that a whole turn sees one time.
  [[nodiscard]] TimePoint now() const;
  [[nodiscard]] event_base* base() const { return base_.get(); }

 private:
  bool enqueue(Task task, std::size_t waiting_max);

  EventBasePtr base_;
  Fd wake_;
  EventPtr wake_event_;
  const std::size_t mailbox_max_;
  mutable std::mutex mutex_;  // guards tasks_ and closed_ only
  std::vector<Task> tasks_;
  bool closed_ = false;
};

// Calls `callback` once, `delay` after start(); start() again moves it. Cancelled by stop() or destruction.
class Timer {
 public:
  Timer(EventLoop& loop, std::function<void()> callback);
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void start(Duration delay);
  void stop();
  [[nodiscard]] bool is_pending() const;

 private:
  std::function<void()> callback_;
  EventPtr event_;
};

// Calls `callback` once, in the same turn but not inside start(). Dropped by destruction.
class Deferred {
 public:
  Deferred(EventLoop& loop, std::function<void()> callback);
  Deferred(const Deferred&) = delete;
  Deferred& operator=(const Deferred&) = delete;

  void start();

 private:
  std::function<void()> callback_;
  EventPtr event_;
};

// Calls `callback(what)` while the descriptor is readable (EV_READ) or writable (EV_WRITE), level-triggered,
// until destroyed. The descriptor is borrowed and must outlive this.
class FdEvent {
 public:
  FdEvent(EventLoop& loop, int fd, short what, std::function<void(short what)> callback);
  FdEvent(const FdEvent&) = delete;
  FdEvent& operator=(const FdEvent&) = delete;

 private:
  std::function<void(short)> callback_;
  EventPtr event_;
};

}  // namespace reef
