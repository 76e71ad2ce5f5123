// One pass over the fields of a request: nearly all requests have none that an answer depends on. Pure; any
// thread; no allocation.
#pragma once

#include "proxy/http/head.h"

namespace reef::proxy {

// Which of a request's fields need a closer look, found in one pass.
struct RequestMarks {
  bool conditional = false;   // If-None-Match, If-Modified-Since
  bool precondition = false;  // If-Match, If-Unmodified-Since: the origin's to judge
  bool range = false;
  bool directives = false;  // Cache-Control, Pragma, Authorization
  bool peer = false;        // Reef-Peer
  bool loop = false;        // CDN-Loop, Via
  bool service_worker = false;
};
[[nodiscard]] RequestMarks marks_of(http::FieldsView fields);

}  // namespace reef::proxy
