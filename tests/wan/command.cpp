#include "tests/wan/command.h"

#include <charconv>
#include <cmath>
#include <vector>

#include "tests/wan/topology_json.h"

namespace reef::wan {
namespace {

constexpr std::string_view kDone = R"({"ok":true})";
using Words = std::vector<std::string_view>;

Words split(std::string_view line) {
  Words out;
  while (true) {
    const auto start = line.find_first_not_of(" \t\r\n");
    if (start == std::string_view::npos) return out;
    line.remove_prefix(start);
    const auto end = std::min(line.find_first_of(" \t\r\n"), line.size());
    out.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

Error wrong(std::string_view what, std::string_view found, std::string_view allowed) {
  return invalid(std::string(what) + " '" + std::string(found) + "': " + std::string(allowed));
}

template <class Number>
bool parse_number(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

Result<std::vector<HostIndex>> parse_hosts(std::string_view name, const Topology& topology) {
  auto out = topology.hosts_named(name);
  if (out.empty()) return fail(wrong("host", name, "a host, a metro, a region or all"));
  return out;
}

Result<Direction> parse_direction(std::string_view word) {
  if (word == "up") return Direction::up;
  if (word == "down") return Direction::down;
  return fail(wrong("direction", word, "up or down"));
}

Result<std::uint64_t> parse_rate(std::string_view text) {
  if (text == "off") return 0;
  std::uint64_t unit = 1;
  std::string_view digits = text;
  if (!digits.empty()) {
    switch (digits.back()) {
      case 'k':
        unit = 1'000;
        break;
      case 'm':
        unit = 1'000'000;
        break;
      case 'g':
        unit = 1'000'000'000;
        break;
      default:
        break;
    }
    if (unit > 1) digits.remove_suffix(1);
  }
  std::uint64_t value = 0;
  if (!parse_number(digits, value) || value == 0 || value > 100'000'000'000 / unit) {
    return fail(wrong("rate", text, "bits per second up to 100g, or off"));
  }
  return value * unit;
}

Result<std::string> cap(const Words& words, const Topology& topology, Network& network) {
  if (words.size() < 4 || words.size() > 6) {
    return fail(invalid("cap WHO up|down BITS_PER_S|off [QUEUE_BYTES [fifo|fair]]"));
  }
  const auto hosts = parse_hosts(words[1], topology);
  if (!hosts) return fail(hosts.error());
  const auto direction = parse_direction(words[2]);
  if (!direction) return fail(direction.error());
  const auto rate = parse_rate(words[3]);
  if (!rate) return fail(rate.error());
  Cap line{.bits_per_s = *rate};
  if (words.size() > 4 && !parse_number(words[4], line.queue_bytes))
    return fail(wrong("queue", words[4], "bytes"));
  line.fair = words.size() > 5 && words[5] == "fair";
  if (words.size() > 5 && !line.fair && words[5] != "fifo")
    return fail(wrong("order", words[5], "fifo or fair"));
  for (HostIndex host : *hosts) network.set_cap(host, *direction, line);
  return std::string(kDone);
}

Result<std::string> loss(const Words& words, const Topology& topology, Network& network) {
  if (words.size() != 4) return fail(invalid("loss WHO up|down SHARE"));
  const auto hosts = parse_hosts(words[1], topology);
  if (!hosts) return fail(hosts.error());
  const auto direction = parse_direction(words[2]);
  if (!direction) return fail(direction.error());
  double share = 0;
  if (!parse_number(words[3], share) || !std::isfinite(share) || share < 0 || share > 1) {
    return fail(wrong("share", words[3], "0..1"));
  }
  for (HostIndex host : *hosts) network.set_loss(host, *direction, share);
  return std::string(kDone);
}

Result<std::string> partition(const Words& words, const Topology& topology, Network& network) {
  if (words.size() != 3) return fail(invalid("partition WHO WHO"));
  const auto a = parse_hosts(words[1], topology);
  if (!a) return fail(a.error());
  const auto b = parse_hosts(words[2], topology);
  if (!b) return fail(b.error());
  network.partition(*a, *b);
  return std::string(kDone);
}

Result<std::string> reach(const Words& words, const Topology& topology, Network& network, Reach reach) {
  if (words.size() != 2) return fail(invalid(std::string(words[0]) + " WHO"));
  const auto hosts = parse_hosts(words[1], topology);
  if (!hosts) return fail(hosts.error());
  for (HostIndex host : *hosts) network.set_reach(host, reach);
  return std::string(kDone);
}

Result<std::string> silent(const Words& words, const Topology& topology, Network& network) {
  if (words.size() != 3 || (words[2] != "on" && words[2] != "off"))
    return fail(invalid("silent ROUTER_ADDRESS on|off"));
  const auto address = IpAddress::parse(words[1]);
  if (!address) return fail(address.error());
  for (RouterIndex i = 0; i < topology.routers().size(); ++i) {
    const Router& router = topology.routers()[i];
    if (router.address != *address && router.address6 != *address) continue;
    network.set_silent(i, words[2] == "on");
    return std::string(kDone);
  }
  return fail(wrong("router", words[1], "an address of the topology's routers"));
}

Result<std::string> count(const Words& words, Network& network) {
  std::uint16_t port = 0;
  if (words.size() != 2 || !parse_number(words[1], port)) return fail(invalid("count PORT"));
  network.count_port(port);
  return std::string(kDone);
}

Result<std::string> route(const Words& words, const Topology& topology) {
  if (words.size() != 3) return fail(invalid("route HOST HOST"));
  const auto from = topology.host_named(words[1]);
  const auto to = topology.host_named(words[2]);
  if (!from || !to) return fail(wrong("host", from ? words[2] : words[1], "a host's name"));
  return route_json(topology, *from, *to);
}

}  // namespace

Result<std::string> run_command(std::string_view line, const Topology& topology, Network& network) {
  const Words words = split(line);
  const std::string_view verb = words.empty() ? std::string_view{} : words[0];
  if (verb == "cap") return cap(words, topology, network);
  if (verb == "loss") return loss(words, topology, network);
  if (verb == "partition") return partition(words, topology, network);
  if (verb == "down") return reach(words, topology, network, Reach::down);
  if (verb == "up") return reach(words, topology, network, Reach::up);
  if (verb == "unreachable") return reach(words, topology, network, Reach::unreachable);
  if (verb == "silent") return silent(words, topology, network);
  if (verb == "route") return route(words, topology);
  if (verb == "count") return count(words, network);
  if (verb == "counts" && words.size() == 1) return counts_json(topology, network);
  if (verb == "heal" && words.size() == 1) {
    network.heal();
    return std::string(kDone);
  }
  return fail(wrong("command", verb,
                    "cap, loss, partition, heal, down, up, unreachable, silent, count, counts, "
                    "route, health, reset or quit"));
}

}  // namespace reef::wan
