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

  auto* trace = app.add_subcommand("trace", "The routers between a running node and an address");
  std::string address;
  trace->add_option("ADDRESS", address, "IPv4 or IPv6 address")->required();
  admin(trace);
  trace->callback(run([&] { return reef::node::print_trace(options, address); }));

  auto* dht = app.add_subcommand("dht", "Reads and writes the index through a running node");
  dht->require_subcommand(1);
  std::string name, value;
  auto* get = dht->add_subcommand("get", "Prints the values under a name");
  get->add_option("NAME", name, "Any text; URLs are stored under --domain url")->required();
  get->add_option("--domain", options.domain, "test or url")->capture_default_str();
  admin(get);
  get->callback(run([&] { return reef::node::dht_get(options, name); }));
  auto* put = dht->add_subcommand("put", "Stores a value under a name of the test domain");
  put->add_option("NAME", name)->required();
  put->add_option("VALUE", value, "At most 128 bytes")->required();
  put->add_option("--ttl", options.ttl_seconds, "Seconds that it lives")->capture_default_str();
  admin(put);
  put->callback(run([&] { return reef::node::dht_put(options, name, value); }));

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  return status;
}
