// The name server alone, with a view that never changes: for tests with real resolvers.
//
//   reef_test_dns_server ZONE LISTEN[,LISTEN...] ADDRESS...
//
// Prints "ready HOST:PORT ..." once it listens; ends on SIGTERM or SIGINT, after printing its counters.
#include <csignal>
#include <cstdio>
#include <string>

#include "base/crypto.h"
#include "dnsd/io/server.h"

using namespace reef;

namespace {

int usage(const std::string& why) {
  std::fprintf(stderr, "%s\nusage: reef_test_dns_server ZONE LISTEN[,LISTEN...] ADDRESS...\n", why.c_str());
  return 2;
}

Result<dnsd::Options> options_from(const std::string& zone, const std::string& listen) {
  dnsd::Options options;
  const auto name = dnsd::Name::parse(zone);
  if (!name) return fail(name.error());
  options.zone.zone = options.zone.suffix = *name;
  random_bytes(options.responder.cookie_secret);
  for (std::size_t at = 0; at <= listen.size();) {
    const std::size_t comma = std::min(listen.find(',', at), listen.size());
    const auto endpoint = Endpoint::parse(listen.substr(at, comma - at));
    if (!endpoint) return fail(endpoint.error());
    options.listen.push_back(*endpoint);
    at = comma + 1;
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return usage("too few arguments");
  const auto options = options_from(argv[1], argv[2]);
  if (!options) return usage(options.error().message());
  std::vector<dnsd::Candidate> nodes;
  for (int i = 3; i < argc; ++i) {
    const auto address = IpAddress::parse(argv[i]);
    if (!address) return usage(address.error().message());
    nodes.push_back({*address, dsht::kServiceProxy | dsht::kServiceDns, 0, std::nullopt});
  }

  EventLoop loop;
  const auto server =
      dnsd::Server::start(loop, *options, std::make_shared<dnsd::View>(nodes, std::vector<IpAddress>{}, 1));
  if (!server) return usage(server.error().message());

  const auto stop = [](evutil_socket_t, short, void* base) {
    event_base_loopbreak(static_cast<event_base*>(base));
  };
  const EventPtr term(evsignal_new(loop.base(), SIGTERM, stop, loop.base()));
  const EventPtr interrupt(evsignal_new(loop.base(), SIGINT, stop, loop.base()));
  event_add(term.get(), nullptr);
  event_add(interrupt.get(), nullptr);

  std::string ready = "ready";
  for (const Endpoint& endpoint : (*server)->endpoints()) ready += " " + to_string(endpoint);
  std::puts(ready.c_str());
  std::fflush(stdout);
  loop.run();
  (*server)->counters().for_each([](auto metric, auto label, auto value, auto number) {
    if (number == 0) return;
    std::printf("%s{%s=%s} %llu\n", std::string(metric).c_str(), std::string(label).c_str(),
                std::string(value).c_str(), static_cast<unsigned long long>(number));
  });
  return 0;
}
