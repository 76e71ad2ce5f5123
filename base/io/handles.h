// C handles with one owner each.
#pragma once

#include <event2/buffer.h>
#include <event2/event.h>

#include <memory>

namespace reef {

template <auto Free>
struct FreeWith {
  template <class T>
  void operator()(T* handle) const noexcept {
    Free(handle);
  }
};

using EventBasePtr = std::unique_ptr<event_base, FreeWith<event_base_free>>;
using EventPtr = std::unique_ptr<event, FreeWith<event_free>>;  // freed before its event_base
using BufferPtr = std::unique_ptr<evbuffer, FreeWith<evbuffer_free>>;

}  // namespace reef
