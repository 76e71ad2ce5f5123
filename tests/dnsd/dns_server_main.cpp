// The name server alone, with a view and verdicts that never change: for tests with real resolvers.
//
// Prints "ready HOST:PORT ..." once it listens; ends on SIGTERM or SIGINT, after printing its counters.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "base/crypto.h"
#include "dnsd/io/server.h"

using namespace reef;

namespace {

struct Arguments {
  std::string zone = "reef.example", suffix, nodes_zone;
  std::vector<std::string> listen, nodes, own, verdicts, records, also_public;
  std::map<std::string, int> ttls;  // seconds
  int https_port = 0;
  bool flat = false;
};

[[noreturn]] void end(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::exit(2);
}

template <class T>
T must(Result<T> result) {
  if (!result) end(result.error().message());
  return std::move(*result);
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> out(1);
  for (const char c : text) {
    if (c == separator) {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  return out;
}

std::chrono::milliseconds milliseconds(const std::string& text) {
  return std::chrono::milliseconds(std::stoi(text));
}

// ADDRESS[/LEVEL[/RTT_MS]]
dnsd::Candidate candidate(const std::string& text) {
  const auto parts = split(text, '/');
  dnsd::Candidate out{must(IpAddress::parse(parts[0])), dsht::kServiceProxy | dsht::kServiceDns, 0,
                      std::nullopt, 1};
  if (parts.size() > 1) out.level = static_cast<dsht::Level>(std::stoi(parts[1]));
  if (parts.size() > 2) out.rtt = milliseconds(parts[2]);
  return out;
}

// PREFIX=LEVEL[,proxy:ADDRESS...][,server:ADDRESS...]
std::pair<dnsd::Prefix, std::shared_ptr<const dnsd::Verdict>> verdict(const std::string& text,
                                                                      TimePoint now) {
  const auto sides = split(text, '=');
  if (sides.size() != 2) end("a verdict is PREFIX=LEVEL: " + text);
  const auto parts = split(sides[1], ',');
  auto out = std::make_shared<dnsd::Verdict>();
  out->level = static_cast<dsht::Level>(std::stoi(parts[0]));
  out->source = dnsd::Source::rtt;
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const std::size_t colon = parts[i].find(':');
    const auto address = must(IpAddress::parse(parts[i].substr(colon + 1)));
    (parts[i].starts_with("proxy:") ? out->proxies : out->servers).push_back(address);
  }
  out->made = out->verified = now;
  return {must(IpPrefix::parse(sides[0])), out};
}

dnsd::Options options_from(const Arguments& arguments) {
  using dnsd::Name;
  dnsd::Options options;
  dnsd::ZoneOptions& zone = options.zone;
  zone.zone = must(Name::parse(arguments.zone));
  zone.suffix = arguments.suffix.empty() ? zone.zone : must(Name::parse(arguments.suffix));
  if (!arguments.nodes_zone.empty()) zone.nodes_zone = must(Name::parse(arguments.nodes_zone));
  zone.levels = !arguments.flat;
  zone.https_port = static_cast<std::uint16_t>(arguments.https_port);
  const std::map<std::string, std::chrono::seconds*> ttls = {
      {"address", &zone.address_ttl},           {"near", &zone.near_address_ttl},
      {"authority", &zone.authority_ttl},       {"cut", &zone.cut_ttl},
      {"cut-negative", &zone.cut_negative_ttl}, {"negative", &zone.negative_ttl}};
  for (const auto& [name, seconds] : arguments.ttls) {
    if (!ttls.contains(name)) end("no TTL is called " + name);
    *ttls.at(name) = std::chrono::seconds(seconds);
  }
  for (const std::string& listen : arguments.listen) options.listen.push_back(must(Endpoint::parse(listen)));
  for (const std::string& prefix : arguments.also_public) {
    options.responder.authority.also_public.push_back(must(IpPrefix::parse(prefix)));
  }
  for (const std::string& record : arguments.records) {
    options.records.push_back(must(dnsd::Record::parse(record, 300)));
  }
  // What is given on the command line stays true.
  options.responder.locality.verdict_ttl = options.responder.locality.nearby_ttl = std::chrono::hours(24);
  random_bytes(options.responder.cookie_secret);
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("The name server alone, with a view and verdicts that never change.");
  Arguments arguments;
  app.add_option("--zone", arguments.zone);
  app.add_option("--suffix", arguments.suffix, "default: the zone");
  app.add_option("--nodes-zone", arguments.nodes_zone);
  app.add_flag("--flat", arguments.flat, "no cuts");
  app.add_option("--listen", arguments.listen)->required();
  app.add_option("--node", arguments.nodes, "ADDRESS[/LEVEL[/RTT_MS]]")->required();
  app.add_option("--own", arguments.own, "ADDRESS that the server itself has");
  app.add_option("--verdict", arguments.verdicts, "PREFIX=LEVEL[,proxy:ADDRESS...][,server:ADDRESS...]");
  app.add_option("--record", arguments.records, "NAME [TTL] TYPE VALUE");
  app.add_option("--also-public", arguments.also_public, "PREFIX");
  app.add_option("--ttl", arguments.ttls,
                 "NAME SECONDS: address, near, authority, cut, cut-negative, negative");
  app.add_option("--https-port", arguments.https_port);
  CLI11_PARSE(app, argc, argv);
  std::vector<dnsd::Candidate> nodes;
  for (const std::string& node : arguments.nodes) nodes.push_back(candidate(node));

  std::vector<IpAddress> own;
  for (const std::string& address : arguments.own) own.push_back(must(IpAddress::parse(address)));

  EventLoop loop;
  const auto view = std::make_shared<dnsd::View>(std::move(nodes), std::move(own), 1);
  const auto server = must(dnsd::Server::start(loop, options_from(arguments), view));
  for (const std::string& text : arguments.verdicts) {
    const auto [network, found] = verdict(text, loop.now());
    server->set_verdict(network, found);
  }

  const auto stop = [](evutil_socket_t, short, void* base) {
    event_base_loopbreak(static_cast<event_base*>(base));
  };
  const EventPtr term(evsignal_new(loop.base(), SIGTERM, stop, loop.base()));
  const EventPtr interrupt(evsignal_new(loop.base(), SIGINT, stop, loop.base()));
  event_add(term.get(), nullptr);
  event_add(interrupt.get(), nullptr);

  std::string ready = "ready";
  for (const Endpoint& endpoint : server->endpoints()) ready += " " + to_string(endpoint);
  std::puts(ready.c_str());
  std::fflush(stdout);
  loop.run();
  server->counters().for_each([](auto metric, auto label, auto value, auto number) {
    if (number == 0) return;
    std::printf("%s{%s=%s} %llu\n", std::string(metric).c_str(), std::string(label).c_str(),
                std::string(value).c_str(), static_cast<unsigned long long>(number));
  });
  return 0;
}
