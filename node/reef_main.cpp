// reef: the command line. Subcommands talk to a running node's admin listener or work by themselves.
#include <CLI/CLI.hpp>
#include <iostream>
#include <string>

#include "node/cli.h"

int main(int argc, char** argv) {
  CLI::App app{"Talks to a Reef node, and turns URLs into their Coralized form and back."};
  app.require_subcommand(1);
  app.set_help_all_flag("--help-all", "Help of all subcommands");

  reef::node::CliOptions options;
  int status = 0;
  const auto run = [&status](auto command) { return [&status, command] { status = command(); }; };

  auto* url =
      app.add_subcommand("url", "Prints the Coralized form of a URL, or the original of a Coralized one");
  std::string text;
  url->add_option("URL", text,
                  "http://www.example.com/page, or http://www.example.com.reef.localhost:8090/page")
      ->required();
  url->add_option("--suffix", options.suffix, "The network's suffix")->capture_default_str();
  url->add_option("--port", options.port, "The port on which its proxies listen; 80 is not written")
      ->capture_default_str();
  url->add_flag("--one-label", options.one_label,
                "The form that a wildcard certificate covers: www-example-com.SUFFIX");
  url->callback(run([&] { return reef::node::print_url(options, text); }));

  const auto admin = [&options](CLI::App* command) {
    command->add_option("--admin", options.admin, "The node's admin listener")->capture_default_str();
    command->add_flag("--json", options.json, "Prints JSON");
  };
  auto* node_status = app.add_subcommand("status", "What a running node says of itself");
  admin(node_status);
  node_status->callback(run([&] { return reef::node::print_status(options); }));

  auto* peers = app.add_subcommand("peers", "The nodes that a running node knows, nearest first");
  admin(peers);
  peers->callback(run([&] { return reef::node::print_peers(options); }));

  auto* trace = app.add_subcommand("trace", "The routers between a running node and a host");
  trace->footer(
      "The node sends the probes; each network is traced a few times an hour at most. hints: names under "
      "which "
      "the index knows nodes near that host.");
  std::string address;
  trace->add_option("HOST", address, "A name, or an IPv4 or IPv6 address")->required();
  admin(trace);
  trace->callback(run([&] { return reef::node::print_trace(options, address); }));

  auto* dns = app.add_subcommand("dns", "What the name server of a running node answers");
  dns->require_subcommand(1);
  std::string dns_name, dns_type, dns_value;
  auto* explain = dns->add_subcommand("explain", "Which answer a client would get, and why");
  explain->add_option("CLIENT", address, "The address of a resolver")->required();
  explain->add_option("NAME", dns_name, "What it asks for; without it: www.SUFFIX");
  explain->add_option("--type", options.type, "A, AAAA, NS, ...; without it by the client's family");
  explain->add_option("--subnet", options.subnet,
                      "The network of its client, where the resolver tells it (RFC 7871)");
  explain->add_flag("--locate", options.locate,
                    "Finds out first where the client is, if that is not known (a ping, a trace)");
  admin(explain);
  explain->callback(run([&] { return reef::node::dns_explain(options, address, dns_name); }));

  auto* dns_set = dns->add_subcommand("set", "Adds a record, until the node ends or it is removed");
  dns_set->footer(
      "For an ACME client (DNS-01): reef dns set _acme-challenge.SUFFIX TXT VALUE, at every node.");
  dns_set->add_option("NAME", dns_name, "The whole name")->required();
  dns_set->add_option("TYPE", dns_type, "TXT, CAA, MX, A, AAAA or CNAME")->required();
  dns_set->add_option("VALUE", dns_value, "As in a zone file")->required();
  dns_set->add_option("--ttl", options.ttl_seconds, "Seconds that resolvers keep it")
      ->check(CLI::Range(0, 86400))
      ->capture_default_str();
  admin(dns_set);
  dns_set->callback(run([&] { return reef::node::dns_set(options, dns_name, dns_type, dns_value); }));

  auto* dns_remove = dns->add_subcommand("remove", "Takes records back that were set");
  dns_remove->add_option("NAME", dns_name, "The whole name")->required();
  dns_remove->add_option("TYPE", options.type, "Only those of this type");
  dns_remove->add_option("VALUE", options.value, "Only this one");
  admin(dns_remove);
  dns_remove->callback(run([&] { return reef::node::dns_remove(options, dns_name); }));

  auto* dns_records = dns->add_subcommand("records", "The records that were set");
  admin(dns_records);
  dns_records->callback(run([&] { return reef::node::dns_records(options); }));

  auto* cluster = app.add_subcommand(
      "cluster",
      "The clusters that a running node is in: nodes within 20 ms (level 2), 60 ms (level 1), everybody (0)");
  cluster->footer(
      "nodes: estimated; known: members in this node's table; near: share of the members measured that are\n"
      "within the threshold; switches: how often this node changed its cluster of that level.");
  admin(cluster);
  cluster->callback(run([&] { return reef::node::print_cluster(options); }));

  auto* dht = app.add_subcommand("dht", "Reads and writes the index through a running node");
  dht->require_subcommand(1);
  std::string name, value;
  const auto named = [&](CLI::App* command) {
    command->add_option("NAME", name, "What is looked for, in words of its domain")->required();
    command
        ->add_option("--domain", options.domain,
                     "test: any text; url: a normalized URL; hint: a router's address or its prefix, under "
                     "which the nodes near it stand")
        ->check(CLI::IsMember({"test", "url", "hint"}))
        ->capture_default_str();
    admin(command);
  };
  const auto levelled = [&](CLI::App* command) {
    command
        ->add_option("--level", options.levels,
                     "Looks only at this level; may be given several times. Without it: 2, then 1, then 0")
        ->check(CLI::Range(0, 2));
  };
  const auto stored = [&](CLI::App* command) {
    command->add_option("VALUE", value, "At most 128 bytes")->required();
    command->add_option("--ttl", options.ttl_seconds, "Seconds that it lives")
        ->check(CLI::Range(1, 86400))
        ->capture_default_str();
  };

  auto* get = dht->add_subcommand("get", "Prints the values under a name");
  named(get);
  levelled(get);
  get->callback(run([&] { return reef::node::dht_get(options, name); }));

  auto* walk = dht->add_subcommand("trace", "Looks a name up and prints each request of the way");
  walk->footer(
      "level, hop: of the request; bits: of the key that the node's id shares; sent ms: since the "
      "beginning;\n"
      "outcome: what it answered; named: contacts that it told. The last line says why the walk ended.");
  named(walk);
  levelled(walk);
  walk->callback(run([&] { return reef::node::dht_trace(options, name); }));

  auto* put = dht->add_subcommand("put", "Stores a value under a name, in the node's own name");
  named(put);
  stored(put);
  put->callback(run([&] { return reef::node::dht_put(options, name, value); }));

  auto* announce = dht->add_subcommand(
      "announce", "Says that the node is about to fetch something, and prints who said so before it");
  named(announce);
  stored(announce);
  announce->callback(run([&] { return reef::node::dht_announce(options, name, value); }));

  auto* nodes = dht->add_subcommand("nodes", "Nodes that a running node knows, nearest first");
  nodes->add_option("--level", options.level, "Of its cluster of this level")
      ->check(CLI::Range(0, 2))
      ->capture_default_str();
  nodes->add_option("--count", options.count, "At most so many")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  auto* near = nodes->add_option("--near", options.near,
                                 "An IP address: first those in its /24 or /48; and how near it is itself");
  nodes->add_flag(
      "--ask", options.ask,
      "Asks the network: for those that stand under the prefix of --near, or for strangers of the "
      "node's cluster of level 1 or 2. Only who answers is listed");
  nodes->add_option("--target", options.target, "An id of 40 hex digits: closest ids first")->excludes(near);
  admin(nodes);
  nodes->callback(run([&] { return reef::node::dht_nodes(options); }));

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  return status;
}
