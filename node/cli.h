// What the subcommands of `reef` do. Each prints to stdout, says on stderr what went wrong, and returns the
// exit status: 0, or 1.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace reef::node {

struct CliOptions {
  std::string admin = "127.0.0.1:8092";
  std::string suffix = "reef.localhost";
  std::uint16_t port = 8090;
  bool one_label = false;
  bool json = false;
  std::string domain = "test";
  int ttl_seconds = 600;
  std::vector<int> levels;  // empty: all
  // reef dht nodes
  int level = 0;
  int count = 8;
  std::string near;
  bool ask = false;
  std::string target;
  // reef dns
  std::string type;    // of a record; empty: A or AAAA by the client, or all
  std::string value;   // of the record to remove; empty: all of the type
  std::string subnet;  // of the resolver's client
  bool locate = false;
};

int print_url(const CliOptions& options, const std::string& url);
int print_status(const CliOptions& options);
int print_peers(const CliOptions& options);
// `host`: an address, or a name that this machine's resolver knows.
int print_trace(const CliOptions& options, const std::string& host);
int dns_explain(const CliOptions& options, const std::string& client, const std::string& name);
int dns_set(const CliOptions& options, const std::string& name, const std::string& type,
            const std::string& value);
int dns_remove(const CliOptions& options, const std::string& name);
int dns_records(const CliOptions& options);
int dht_get(const CliOptions& options, const std::string& name);
int dht_put(const CliOptions& options, const std::string& name, const std::string& value);
int dht_announce(const CliOptions& options, const std::string& name, const std::string& value);
int dht_nodes(const CliOptions& options);
int dht_trace(const CliOptions& options, const std::string& name);
int print_cluster(const CliOptions& options);

}  // namespace reef::node
