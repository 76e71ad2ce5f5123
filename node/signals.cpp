#include "node/signals.h"

#include "base/check.h"

namespace reef::node {

void Signals::on(int signal, std::function<void()> action) {
  auto handler = std::make_unique<Handler>();
  handler->action = std::move(action);
  handler->event.reset(evsignal_new(
      loop_.base(), signal, [](evutil_socket_t, short, void* self) { static_cast<Handler*>(self)->action(); },
      handler.get()));
  BASE_CHECK(handler->event != nullptr && event_add(handler->event.get(), nullptr) == 0);
  handlers_.push_back(std::move(handler));
}

}  // namespace reef::node
