#include "proxy/rules/policy.h"

namespace reef::proxy::rules {

std::string_view to_text(Mode mode) { return mode == Mode::coralized ? "coralized" : "site"; }

std::string_view to_text(NotStored reason) {
  switch (reason) {
    case NotStored::method:
      return "method";
    case NotStored::interim:
      return "interim";
    case NotStored::status:
      return "status";
    case NotStored::partial:
      return "partial";
    case NotStored::request_no_store:
      return "request-no-store";
    case NotStored::no_store:
      return "no-store";
    case NotStored::private_:
      return "private";
    case NotStored::not_understood:
      return "not-understood";
    case NotStored::vary_any:
      return "vary-any";
    case NotStored::vary_not_handled:
      return "vary-not-handled";
    case NotStored::authorization:
      return "authorization";
    case NotStored::set_cookie:
      return "set-cookie";
    case NotStored::no_freshness:
      return "no-freshness";
    case NotStored::no_lifetime_no_validator:
      return "no-lifetime-no-validator";
  }
  return "unknown";
}

std::string_view to_text(Reuse reuse) {
  switch (reuse) {
    case Reuse::fresh:
      return "fresh";
    case Reuse::stale_while_revalidate:
      return "stale-while-revalidate";
    case Reuse::stale_allowed:
      return "stale-allowed";
    case Reuse::must_validate:
      return "must-validate";
    case Reuse::unusable:
      return "unusable";
    case Reuse::gateway_timeout:
      return "gateway-timeout";
  }
  return "unknown";
}

std::string_view to_text(Forward reason) {
  switch (reason) {
    case Forward::none:
      return "none";
    case Forward::bypass:
      return "bypass";
    case Forward::method:
      return "method";
    case Forward::uri_miss:
      return "uri-miss";
    case Forward::vary_miss:
      return "vary-miss";
    case Forward::miss:
      return "miss";
    case Forward::request:
      return "request";
    case Forward::stale:
      return "stale";
    case Forward::partial:
      return "partial";
  }
  return "unknown";
}

}  // namespace reef::proxy::rules
