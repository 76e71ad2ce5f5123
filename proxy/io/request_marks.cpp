#include "proxy/io/request_marks.h"

#include "proxy/io/messages.h"

namespace reef::proxy {

RequestMarks marks_of(http::FieldsView fields) {
  RequestMarks marks;
  for (const http::Field& field : fields) {
    const std::string_view name = field.name;
    if (name.empty()) continue;
    const auto is = [name](std::string_view other) { return http::equal_ignoring_case(name, other); };
    // By length first: few names have the length of one that matters.
    switch (name.size()) {
      case 3:
        marks.loop |= is("Via");
        break;
      case 5:
        marks.range |= is("Range");
        break;
      case 6:
        marks.directives |= is("Pragma");
        break;
      case 8:
        marks.loop |= is("CDN-Loop");
        marks.precondition |= is("If-Match");
        break;
      case 9:
        marks.peer |= is(kPeerField);
        break;
      case 13:
        marks.conditional |= is("If-None-Match");
        marks.directives |= is("Cache-Control") || is("Authorization");
        break;
      case 14:
        marks.service_worker |= is("Service-Worker");
        break;
      case 17:
        marks.conditional |= is("If-Modified-Since");
        break;
      case 19:
        marks.precondition |= is("If-Unmodified-Since");
        break;
      default:
        break;
    }
  }
  return marks;
}

}  // namespace reef::proxy
