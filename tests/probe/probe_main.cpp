// Traces and pings one address, for the test in network namespaces.
//
//   reef_test_probe ADDRESS ALLOWED_PREFIX
//
// Prints one JSON object.
#include <cstdio>
#include <string>

#include "probe/io/prober.h"

using namespace reef;

namespace {

std::string json(const probe::TraceResult& result) {
  std::string out = "{\"end\": \"" + std::string(to_string(result.end)) +
                    "\", \"probes\": " + std::to_string(result.probes) +
                    ", \"took_ms\": " + std::to_string(to_ms(result.took)) + ", \"hops\": [";
  for (std::size_t i = 0; i < result.hops.size(); ++i) {
    const probe::Hop& hop = result.hops[i];
    if (i > 0) out += ", ";
    out += hop.address ? "\"" + to_string(*hop.address) + "\"" : "null";
  }
  return out + "]}";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: reef_test_probe ADDRESS ALLOWED_PREFIX\n");
    return 2;
  }
  const auto target = IpAddress::parse(argv[1]);
  const auto allowed = IpPrefix::parse(argv[2]);
  if (!target || !allowed) {
    std::fprintf(stderr, "%s\n", (target ? allowed.error() : target.error()).message().c_str());
    return 2;
  }
  EventLoop loop;
  probe::ProberOptions options;
  options.budget.also_allowed = {*allowed};
  probe::Prober prober(loop, options);
  prober.trace(*target, [&](const probe::TraceResult& traced) {
    prober.ping(*target, [&, traced](const probe::PingResult& pinged) {
      std::printf("{\"trace\": %s, \"ping\": \"%s\", \"ping_ms\": %f, \"icmp\": \"%s\"}\n",
                  json(traced).c_str(), to_string(pinged.end), pinged.rtt ? to_ms(*pinged.rtt) : -1.0,
                  to_string(prober.icmp(target->is_v4())));
      loop.stop();
    });
  });
  loop.run();
  return 0;
}
