// What a client's conditions and range make of a response (RFC 9110 §13, §14), and which stored response a
// 304 is about (RFC 9111 §4.3.4), in plain terms.
#pragma once

#include <cstdint>
#include <string>

#include "message.h"

namespace reef::proxy::model {

struct Selected {
  int status = 200;
  const Fields& fields;
  const std::string& body;
  std::int64_t received = 0;  // ms
};

struct Due {
  int status = 200;
  std::string body;
  std::string content_range;  // "": none of ours
};
[[nodiscard]] Due evaluate(const Request& request, const Selected& selected);

[[nodiscard]] bool is_about(const Response& not_modified, const Response& stored);

}  // namespace reef::proxy::model
