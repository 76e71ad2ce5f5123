// A request and its answer, built from text, for the tests of the rules.
#pragma once

#include <chrono>
#include <initializer_list>
#include <string>
#include <vector>

#include "proxy/http/date.h"
#include "proxy/http/head.h"
#include "proxy/rules/storing.h"

namespace reef::proxy::rules {

using namespace std::chrono_literals;

inline constexpr std::int64_t kReceivedUnix = 1'800'000'000;
inline constexpr WallTime kReceived{std::chrono::seconds{kReceivedUnix}};

inline std::string date_text(std::int64_t offset_seconds) {
  return std::string(http::view(http::format_date(kReceivedUnix + offset_seconds)));
}

// Owns its bytes; the views of heads stay valid as long as it lives and is not changed.
struct Exchange {
  std::string method = "GET";
  int status = 200;
  std::vector<std::pair<std::string, std::string>> request_fields, response_fields;
  Receipt receipt{kReceived, kReceived, false};
  mutable std::vector<http::Field> request_views, response_views;

  static Exchange with(std::initializer_list<std::pair<std::string, std::string>> fields, int status = 200) {
    Exchange exchange;
    exchange.status = status;
    exchange.response_fields = fields;
    return exchange;
  }
  [[nodiscard]] http::RequestHead request() const {
    request_views.clear();
    for (const auto& [name, value] : request_fields) request_views.push_back({name, value});
    return {.method = method, .target = "/", .minor_version = 1, .fields = request_views};
  }
  [[nodiscard]] http::ResponseHead response() const {
    response_views.clear();
    for (const auto& [name, value] : response_fields) response_views.push_back({name, value});
    return {.status = status, .reason = "OK", .minor_version = 1, .fields = response_views};
  }
  [[nodiscard]] tl::expected<CachePolicy, NotStored> decide(const Options& options = Options::site()) const {
    return storable(request(), response(), receipt, options);
  }
};

}  // namespace reef::proxy::rules
