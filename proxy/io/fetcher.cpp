#include "proxy/io/fetcher.h"

namespace reef::proxy {

std::string_view to_text(FetchEnd end) {
  switch (end) {
    case FetchEnd::complete:
      return "complete";
    case FetchEnd::refused_address:
      return "refused_address";
    case FetchEnd::connect_failed:
      return "connect_failed";
    case FetchEnd::tls_failed:
      return "tls_failed";
    case FetchEnd::head_timeout:
      return "head_timeout";
    case FetchEnd::stalled:
      return "stalled";
    case FetchEnd::timed_out:
      return "timed_out";
    case FetchEnd::broken:
      return "broken";
    case FetchEnd::bad_head:
      return "bad_head";
    case FetchEnd::refused_by_sink:
      return "refused_by_sink";
  }
  return "unknown";
}

bool says_empty_body(std::string_view method) {
  return method == "POST" || method == "PUT" || method == "PATCH";
}

}  // namespace reef::proxy
