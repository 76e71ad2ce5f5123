#include "proxy/http/forward.h"

#include <span>

#include "proxy/http/fields.h"

namespace reef::proxy::http {
namespace {

bool is_one_of(std::string_view name, std::span<const std::string_view> names) noexcept {
  for (const std::string_view candidate : names) {
    if (equal_ignoring_case(name, candidate)) return true;
  }
  return false;
}

bool starts_with_one_of(std::string_view name, std::span<const std::string_view> prefixes) noexcept {
  for (const std::string_view prefix : prefixes) {
    if (starts_with_ignoring_case(name, prefix)) return true;
  }
  return false;
}

constexpr std::string_view kHopByHop[] = {"Connection",
                                          "Keep-Alive",
                                          "Proxy-Connection",
                                          "Proxy-Authenticate",
                                          "Proxy-Authorization",
                                          "Proxy-Authentication-Info",
                                          "TE",
                                          "Trailer",
                                          "Transfer-Encoding",
                                          "Upgrade",
                                          "HTTP2-Settings"};

constexpr std::string_view kNotNominated[] = {"Host",         "Content-Length", "Content-Encoding",
                                              "Content-Type", "Cache-Control",  "Authorization",
                                              "Vary",         "Date",           "Age",
                                              "Expires",      "Set-Cookie"};

constexpr std::string_view kCoralizedRequest[] = {"Accept", "Accept-Encoding", "Accept-Language",
                                                  "Accept-Charset", "Accept-Datetime"};

constexpr std::string_view kNotCoralizedResponse[] = {"Set-Cookie",
                                                      "Set-Cookie2",
                                                      "WWW-Authenticate",
                                                      "Authentication-Info",
                                                      "Clear-Site-Data",
                                                      "Strict-Transport-Security",
                                                      "Alt-Svc",
                                                      "Alt-Used",
                                                      "Public-Key-Pins",
                                                      "Public-Key-Pins-Report-Only",
                                                      "Service-Worker-Allowed",
                                                      "NEL",
                                                      "Report-To",
                                                      "Reporting-Endpoints",
                                                      "Expect-CT",
                                                      "Refresh",
                                                      "X-Content-Type-Options",  // ours: always nosniff
                                                      "Accept-CH",
                                                      "Critical-CH",
                                                      "Origin-Agent-Cluster",
                                                      "Observe-Browsing-Topics",
                                                      "Supports-Loading-Mode",
                                                      "Set-Login",
                                                      "Activate-Storage-Access",
                                                      "Cookie",
                                                      "Authorization"};
constexpr std::string_view kNotCoralizedResponsePrefixes[] = {"Sec-", "Proxy-"};

constexpr std::string_view kNotSiteRequest[] = {"Forwarded", "X-Host", "Expect", "X-Real-IP"};
constexpr std::string_view kNotSiteRequestPrefixes[] = {"X-Forwarded-", "X-Original-", "X-Rewrite-",
                                                        "X-HTTP-Method", "X-Method-Override"};

}  // namespace

bool is_hop_by_hop(std::string_view name) noexcept { return is_one_of(name, kHopByHop); }

EndToEnd::EndToEnd(FieldsView fields) noexcept : fields_(fields) {
  Members options = combined(fields, "Connection");
  while (const auto option = options.next()) {
    if (!equal_ignoring_case(*option, "close") && !equal_ignoring_case(*option, "keep-alive"))
      nominates_ = true;
  }
}

bool EndToEnd::keeps(std::string_view name) const noexcept {
  if (is_hop_by_hop(name)) return false;
  if (!nominates_ || is_one_of(name, kNotNominated)) return true;
  return !has_member(fields_, "Connection", name);
}

bool is_coralized_request_field(std::string_view name) noexcept { return is_one_of(name, kCoralizedRequest); }

bool is_coralized_response_field(std::string_view name) noexcept {
  return !is_one_of(name, kNotCoralizedResponse) && !starts_with_one_of(name, kNotCoralizedResponsePrefixes);
}

bool is_site_request_field(std::string_view name) noexcept {
  return !is_one_of(name, kNotSiteRequest) && !starts_with_one_of(name, kNotSiteRequestPrefixes);
}

}  // namespace reef::proxy::http
