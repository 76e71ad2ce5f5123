// Coralized names, URLs, Location fields and request targets. What is understood must survive a round trip.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "proxy/names/host.h"
#include "proxy/names/target.h"
#include "proxy/names/url.h"

using namespace reef::proxy::names;

namespace {

const Names& names() {
  static const Names kNames([] {
    Options options;
    options.suffix = "reef.example";
    options.allow_localhost = options.allow_ipv4 = true;
    return options;
  }());
  return kNames;
}

void check_round_trip(std::string_view host) {
  const auto name = names().parse(host);
  if (!name) return;
  const auto back = names().coralize(name->origin, name->form);
  if (!back) return;  // only a name that the scheme label makes too long
  const auto again = names().parse(*back);
  BASE_CHECK(again && again->origin == name->origin);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_round_trip(text);
  check_round_trip(std::string(text) + ".reef.example");
  if (const auto url = coralize_url(names(), text, {})) BASE_CHECK(origin_url(names(), *url).has_value());
  static_cast<void>(coralize_location(names(), text, Origin{Scheme::http, 80, HostName("www.x.com")}, {}));
  const reef::proxy::http::Field host{"Host", "www.x.com.reef.example"};
  if (const auto target =
          parse_target({.method = "GET", .target = text, .minor_version = 1, .fields = {&host, 1}})) {
    check_round_trip(target->authority);
  }
  return 0;
}
