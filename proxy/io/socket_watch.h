// The descriptors that a C library (curl, c-ares) wants watched on its behalf.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>

#include "base/io/event_loop.h"

namespace reef::proxy {

// Calls `ready(fd, what)` on the loop for every watched descriptor, level-triggered; `what` is EV_READ,
// EV_WRITE or both. The library may change or drop any watch inside the call.
class SocketWatch {
 public:
  SocketWatch(EventLoop& loop, std::function<void(int fd, short what)> ready)
      : loop_(loop), ready_(std::move(ready)) {}

  // `what` == 0 drops the watch. To be called before the descriptor is closed.
  void watch(int fd, short what) {
    if (what == 0) {
      watches_.erase(fd);
      return;
    }
    auto& watch = watches_[fd];
    if (watch == nullptr) watch = std::make_unique<Watch>(Watch{this, fd, 0, nullptr});
    if (watch->what == what) return;
    watch->what = what;
    watch->event.reset(event_new(
        loop_.base(), fd, static_cast<short>(what | EV_PERSIST),
        [](evutil_socket_t descriptor, short happened, void* self) {
          SocketWatch& owner = *static_cast<Watch*>(self)->owner;
          owner.ready_(static_cast<int>(descriptor), happened);
        },
        watch.get()));
    event_add(watch->event.get(), nullptr);
  }

 private:
  struct Watch {
    SocketWatch* owner;
    int fd;
    short what;
    EventPtr event;
  };

  EventLoop& loop_;
  std::function<void(int, short)> ready_;
  std::unordered_map<int, std::unique_ptr<Watch>> watches_;
};

}  // namespace reef::proxy
