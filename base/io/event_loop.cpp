#include "base/io/event_loop.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "base/check.h"

namespace reef {
namespace {

timeval to_timeval(Duration delay) {
  // Rounded up, so that a timer never fires before its time.
  const auto us = std::chrono::ceil<std::chrono::microseconds>(std::max(delay, Duration::zero())).count();
  return {static_cast<time_t>(us / 1'000'000), static_cast<suseconds_t>(us % 1'000'000)};
}

EventBasePtr make_base(TimerPrecision precision) {
  event_config* config = event_config_new();
  // Each base is used by its own thread only (others wake it by eventfd), so libevent needs no locks.
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
  if (precision == TimerPrecision::microseconds) event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
  EventBasePtr base(event_base_new_with_config(config));
  event_config_free(config);
  BASE_CHECK(base != nullptr);
  return base;
}

}  // namespace

EventLoop::EventLoop(TimerPrecision precision, std::size_t mailbox_max)
    : base_(make_base(precision)), wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)), mailbox_max_(mailbox_max) {
  BASE_CHECK(wake_.is_open());
  wake_event_.reset(event_new(
      base_.get(), wake_.get(), EV_READ | EV_PERSIST,
      [](evutil_socket_t, short, void* self) { static_cast<EventLoop*>(self)->run_posted(); }, this));
  BASE_CHECK(wake_event_ != nullptr && event_add(wake_event_.get(), nullptr) == 0);
}

EventLoop::~EventLoop() {
  std::vector<Task>
      dropped;  // destroyed without the lock, because what a task owns may post in its destructor
  const std::lock_guard lock(mutex_);
  closed_ = true;
  dropped.swap(tasks_);
}

void EventLoop::run() { event_base_loop(base_.get(), EVLOOP_NO_EXIT_ON_EMPTY); }

void EventLoop::stop() {
  // A full mailbox must not keep a process from ending.
  post_answer([this] { event_base_loopbreak(base_.get()); });
}

bool EventLoop::post(Task task) { return enqueue(std::move(task), mailbox_max_); }

bool EventLoop::post_answer(Task task) {
  return enqueue(std::move(task), std::numeric_limits<std::size_t>::max());
}

bool EventLoop::enqueue(Task task, std::size_t waiting_max) {
  bool was_empty = false;
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || tasks_.size() >= waiting_max) return false;
    was_empty = tasks_.empty();
    tasks_.push_back(std::move(task));
  }
  if (was_empty) {
    const std::uint64_t one = 1;
    // An eventfd write fails only when its counter is full, and then it is readable anyway.
    [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
  }
  return true;
}

bool EventLoop::has_posted() const {
  const std::lock_guard lock(mutex_);
  return !tasks_.empty();
}

void EventLoop::run_posted() {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(wake_.get(), &count, sizeof count);
  std::vector<Task> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
  }
  for (Task& task : tasks) task();
}

TimePoint EventLoop::now() const {
  return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
}

Timer::Timer(EventLoop& loop, std::function<void()> callback) : callback_(std::move(callback)) {
  event_.reset(event_new(
      loop.base(), -1, 0,
      [](evutil_socket_t, short, void* self) {
        // A copy, because the callback may destroy this timer.
        const std::function<void()> callback_copy = static_cast<Timer*>(self)->callback_;
        callback_copy();
      },
      this));
  BASE_CHECK(event_ != nullptr);
}

void Timer::start(Duration delay) {
  const timeval tv = to_timeval(delay);
  event_add(event_.get(), &tv);
}

void Timer::stop() { event_del(event_.get()); }

bool Timer::is_pending() const { return event_pending(event_.get(), EV_TIMEOUT, nullptr) != 0; }

Deferred::Deferred(EventLoop& loop, std::function<void()> callback) : callback_(std::move(callback)) {
  event_.reset(event_new(
      loop.base(), -1, 0,
      [](evutil_socket_t, short, void* self) {
        // A copy, because the callback may destroy this.
        const std::function<void()> callback_copy = static_cast<Deferred*>(self)->callback_;
        callback_copy();
      },
      this));
  BASE_CHECK(event_ != nullptr);
}

void Deferred::start() { event_active(event_.get(), EV_TIMEOUT, 0); }

FdEvent::FdEvent(EventLoop& loop, int fd, short what, std::function<void(short)> callback)
    : callback_(std::move(callback)) {
  event_.reset(event_new(
      loop.base(), fd, static_cast<short>(what | EV_PERSIST),
      [](evutil_socket_t, short happened, void* self) {
        const std::function<void(short)> callback_copy = static_cast<FdEvent*>(self)->callback_;
        callback_copy(happened);
      },
      this));
  BASE_CHECK(event_ != nullptr && event_add(event_.get(), nullptr) == 0);
}

}  // namespace reef
