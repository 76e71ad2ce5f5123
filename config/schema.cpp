#include "config/schema.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "config/dns_schema.h"
#include "config/setting_of.h"
#include "config/site_schema.h"
#include "config/values.h"

namespace reef::config {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

void add_node(std::vector<Setting>& out) {
  out.push_back(with_flag("--data-dir", "DIR",
                          scalar("node.data_dir", TextType{0, 4096, "a path"}, REEF_FIELD(node.data_dir),
                                 "Where the node keeps its identity and its cache; made when missing. "
                                 "Empty: /var/lib/reef for root, ~/.local/share/reef for others.")));
  out.push_back(with_flag(
      "--advertise", "ADDRESS",
      scalar("node.advertise", AddressType{}, REEF_FIELD(node.advertise),
             "The address under which others reach this node, where that is not the one that it listens on "
             "(it listens on 0.0.0.0, or is behind a NAT).")));
  out.push_back(with_flag("--workers", "N",
                          scalar("node.workers", IntegerType{0, 256}, REEF_FIELD(node.workers),
                                 "Worker threads for HTTP and DNS. 0: one per CPU.")));
  out.push_back(scalar("node.disk_threads", IntegerType{1, 64}, REEF_FIELD(node.disk_threads),
                       "Threads for what may wait for the disk."));
  out.push_back(scalar("node.disk_queue_max", IntegerType{16, 1'000'000}, REEF_FIELD(node.disk_queue_max),
                       "Disk jobs that may wait; beyond them the disk counts as busy."));
  out.push_back(reloadable(
      with_flag("--log-level", "LEVEL",
                scalar("node.log_level", ChoiceType{{"trace", "debug", "info", "warn", "error", "off"}},
                       REEF_FIELD(node.log_level), "How much is logged."))));
  out.push_back(scalar("node.drain_time", SecondsType{Seconds(0), minutes(10)}, REEF_FIELD(node.drain_time),
                       "How long running responses may still take after SIGTERM."));
}

void add_network(std::vector<Setting>& out) {
  out.push_back(with_flag(
      "--suffix", "SUFFIX",
      scalar(
          "network.suffix", DomainType{}, REEF_FIELD(network.suffix),
          "What is appended to a site's host name: www.example.com.SUFFIX. Given only a zone: the zone.")));
  out.push_back(with_flag("--zone", "ZONE",
                          scalar("network.zone", DomainType{}, REEF_FIELD(network.zone),
                                 "The DNS zone that the node answers for: the suffix or a name above it. "
                                 "Given only a suffix: the suffix.")));
  out.push_back(
      scalar("network.nodes_zone", OptionalDomainType{}, REEF_FIELD(network.nodes_zone),
             "A second zone that the node answers for, in which the nodes have their names (l0.NODES_ZONE "
             "and below). "
             "The suffix then leads there by one DNAME. Empty: the names of nodes are in the zone itself."));
  out.push_back(scalar(
      "network.key", TextType{0, 256, "a text"}, REEF_FIELD(network.key),
      "A secret shared by the nodes of a closed network: every datagram between them is sealed with it, "
      "index "
      "keys are made with it, and who does not have it can neither take part nor read URLs out of the index. "
      "Their clocks must agree (dsht.clock_slack). Empty: the open network."));
  out.push_back(
      with_flag("--seed", "HOST:PORT",
                list("network.seeds", HostPortType{}, REEF_FIELD(network.seeds),
                     "Nodes to join the network through (their RPC port). None: this node is the first.")));
}

void add_proxy(std::vector<Setting>& out) {
  out.push_back(with_flag(
      "--listen", "HOST:PORT",
      list("proxy.listen", EndpointType{"127.0.0.1:8090", true}, REEF_FIELD(proxy.listen),
           "Where the proxy takes HTTP. Loopback by default: a fresh node is nobody's open proxy.")));
  out.push_back(scalar("proxy.cooperate", BooleanType{}, REEF_FIELD(proxy.cooperate),
                       "Find and share objects through the index. false: a cache on its own."));

  const std::string cache = "proxy.cache.";
  out.push_back(scalar(cache + "ram_bytes", BytesType{kMiB, kTiB}, REEF_FIELD(proxy.cache.ram_bytes),
                       "Memory for objects, of all workers together."));
  out.push_back(scalar(cache + "ram_object_bytes_max", BytesType{kKiB, kGiB},
                       REEF_FIELD(proxy.cache.ram_object_bytes_max), "Longer bodies live in files only."));
  out.push_back(scalar(cache + "eviction", ChoiceType{{"s3-fifo", "sieve", "lru", "lfu"}},
                       REEF_FIELD(proxy.cache.eviction),
                       "Who leaves the memory for others; docs/store.md compares the policies."));
  out.push_back(scalar(cache + "disk_bytes", BytesType{0, 1024 * kTiB}, REEF_FIELD(proxy.cache.disk_bytes),
                       "Disk for objects. 0: memory only."));
  out.push_back(
      scalar(cache + "object_bytes_max", BytesType{kKiB, kTiB}, REEF_FIELD(proxy.cache.object_bytes_max),
             "Longer bodies are not kept: those of sites pass through, those under Coralized names are "
             "refused."));
  out.push_back(scalar(cache + "small_body_bytes_max", BytesType{0, kMiB},
                       REEF_FIELD(proxy.cache.small_body_bytes_max),
                       "Bodies up to this are kept in the index file, longer ones in files of their own."));
  out.push_back(scalar(cache + "memory_spool_bytes_max", BytesType{0, kTiB},
                       REEF_FIELD(proxy.cache.memory_spool_bytes_max),
                       "Memory that takes the place of the disk for running fills while it refuses writes."));
  out.push_back(scalar(cache + "admission", ChoiceType{{"popular", "all"}}, REEF_FIELD(proxy.cache.admission),
                       "What is written to a disk that has no room left: what was asked for again, or all."));
  out.push_back(scalar(cache + "write_delay", MillisecondsType{Milliseconds(0), minutes(1)},
                       REEF_FIELD(proxy.cache.write_delay),
                       "How long objects are gathered before they are written. A crash loses as much."));
  out.push_back(scalar(
      cache + "lifetime_floor", SecondsType{Seconds(0), hours(24)}, REEF_FIELD(proxy.cache.lifetime_floor),
      "Under Coralized names: the least lifetime of a response that says nothing about its freshness."));
  out.push_back(scalar(cache + "lifetime_ceiling", SecondsType{Seconds(0), hours(24 * 365)},
                       REEF_FIELD(proxy.cache.lifetime_ceiling), "The same, the longest lifetime."));
  out.push_back(scalar(cache + "stale_if_error", SecondsType{Seconds(0), hours(24 * 365)},
                       REEF_FIELD(proxy.cache.stale_if_error),
                       "How long a stale response stands in for an origin that fails, where the response "
                       "itself does not say."));

  const std::string limits = "proxy.limits.";
  out.push_back(scalar(limits + "header_bytes_max", BytesType{kKiB, kMiB},
                       REEF_FIELD(proxy.limits.header_bytes_max),
                       "Of a request's header section; more is answered with 431."));
  out.push_back(scalar(limits + "header_fields_max", IntegerType{10, 1000},
                       REEF_FIELD(proxy.limits.header_fields_max),
                       "Fields in a request's header section; more is answered with 431."));
  out.push_back(scalar(limits + "url_bytes_max", BytesType{256, 64 * kKiB},
                       REEF_FIELD(proxy.limits.url_bytes_max),
                       "Of a request's target; more is answered with 414."));
  out.push_back(scalar(limits + "request_body_bytes_max", BytesType{0, kTiB},
                       REEF_FIELD(proxy.limits.request_body_bytes_max),
                       "Of a request to a site; more is answered with 413."));
  out.push_back(scalar(limits + "header_timeout", SecondsType{Seconds(1), minutes(5)},
                       REEF_FIELD(proxy.limits.header_timeout),
                       "For a whole request header, from its first byte."));
  out.push_back(scalar(limits + "idle_timeout", SecondsType{Seconds(1), hours(1)},
                       REEF_FIELD(proxy.limits.idle_timeout), "Of a connection between two requests."));
  out.push_back(
      scalar(limits + "transfer_bytes_per_second_min", BytesType{0, kMiB},
             REEF_FIELD(proxy.limits.transfer_bytes_per_second_min),
             "A client that takes fewer bytes a second while there are more for it, or sends fewer of a "
             "request's body, is cut off. 0: only one that sends none at all."));
  out.push_back(scalar(limits + "transfer_window", SecondsType{Seconds(1), hours(1)},
                       REEF_FIELD(proxy.limits.transfer_window),
                       "The time that this rate is measured over."));
  out.push_back(scalar(limits + "connections_max", IntegerType{16, 1'000'000},
                       REEF_FIELD(proxy.limits.connections_max), "Client connections of the whole node."));
  out.push_back(scalar(limits + "connections_per_client_max", IntegerType{1, 1'000'000},
                       REEF_FIELD(proxy.limits.connections_per_client_max),
                       "Of one IPv4 address or IPv6 /64, on each worker. Loopback is not counted."));

  const std::string origin = "proxy.origin.";
  out.push_back(with_flag("--allow-origin", "CIDR",
                          list(origin + "allow", PrefixType{}, REEF_FIELD(proxy.origin.allow),
                               "Addresses that origins (on any port) and other nodes may have although they "
                               "are private or loopback. For one's own "
                               "machines and for tests: whoever can reach the proxy can then reach these.")));
  out.push_back(list(origin + "ports", PortRangeType{}, REEF_FIELD(proxy.origin.ports),
                     "Ports that origins may have."));
  out.push_back(scalar(origin + "default_scheme", ChoiceType{{"http", "https"}},
                       REEF_FIELD(proxy.origin.default_scheme),
                       "Of Coralized names without a scheme label."));
  out.push_back(with_flag(
      "--resolver", "HOST:PORT",
      list(origin + "resolvers", EndpointType{"9.9.9.9:53", false}, REEF_FIELD(proxy.origin.resolvers),
           "Name servers that origins are looked up with. None: those of /etc/resolv.conf.")));
  out.push_back(scalar(origin + "connections_per_host_max", IntegerType{1, 1000},
                       REEF_FIELD(proxy.origin.connections_per_host_max),
                       "Connections to one origin at once."));
  out.push_back(scalar(origin + "queue_max", IntegerType{0, 1'000'000}, REEF_FIELD(proxy.origin.queue_max),
                       "Fetches that may wait for one of them, per worker; more are answered with 503."));
  out.push_back(scalar(origin + "connect_timeout", MillisecondsType{Milliseconds(10), minutes(5)},
                       REEF_FIELD(proxy.origin.connect_timeout),
                       "Until the connection to an origin stands."));
  out.push_back(scalar(origin + "first_byte_timeout", MillisecondsType{Milliseconds(10), minutes(10)},
                       REEF_FIELD(proxy.origin.first_byte_timeout), "Until its response begins."));
  out.push_back(scalar(origin + "stall_timeout", SecondsType{Seconds(1), hours(1)},
                       REEF_FIELD(proxy.origin.stall_timeout),
                       "A response that brings nothing for so long has failed."));
  out.push_back(scalar(origin + "total_timeout", MillisecondsType{Milliseconds(10), hours(24)},
                       REEF_FIELD(proxy.origin.total_timeout), "Until its response has ended."));
  out.push_back(scalar(origin + "negative_ttl", SecondsType{Seconds(0), hours(1)},
                       REEF_FIELD(proxy.origin.negative_ttl),
                       "How long an origin that failed is not asked again."));

  const std::string peer = "proxy.peer.";
  out.push_back(scalar(peer + "sources_max", IntegerType{1, 64}, REEF_FIELD(proxy.peer.sources_max),
                       "Other nodes considered for one fill."));
  out.push_back(scalar(peer + "part_sources_max", IntegerType{1, 16}, REEF_FIELD(proxy.peer.part_sources_max),
                       "Sources that bring parts of one long body at once; 1: never more than one."));
  out.push_back(scalar(peer + "parts_min", BytesType{64 * kKiB, kTiB}, REEF_FIELD(proxy.peer.parts_min),
                       "Shorter bodies come from one source."));
  out.push_back(scalar(peer + "part_bytes_min", BytesType{4 * kKiB, kGiB},
                       REEF_FIELD(proxy.peer.part_bytes_min),
                       "A part is a source's share of what is missing, but at least this."));
  out.push_back(scalar(peer + "part_bytes_max", BytesType{4 * kKiB, kGiB},
                       REEF_FIELD(proxy.peer.part_bytes_max), "And at most this."));
  out.push_back(scalar(peer + "avoid_failed", SecondsType{Seconds(0), hours(1)},
                       REEF_FIELD(proxy.peer.avoid_failed),
                       "A node that fell silent or broke off is asked last for so long."));
  out.push_back(scalar(peer + "avoid_lying", SecondsType{Seconds(0), hours(24)},
                       REEF_FIELD(proxy.peer.avoid_lying),
                       "One that sent what it cannot be is not asked for so long."));
  out.push_back(scalar(
      peer + "hedge_delay_min", MillisecondsType{Milliseconds(1), minutes(1)},
      REEF_FIELD(proxy.peer.hedge_delay_min),
      "A node that is silent for three round-trip times is hedged with the next one; at least after this."));
  out.push_back(scalar(peer + "hedge_delay_max", MillisecondsType{Milliseconds(1), minutes(1)},
                       REEF_FIELD(proxy.peer.hedge_delay_max), "And at most after this."));
  out.push_back(scalar(peer + "silence_max", MillisecondsType{Milliseconds(10), minutes(1)},
                       REEF_FIELD(proxy.peer.silence_max),
                       "Without a byte for so long, a node is asked whether it still lives."));
}

void add_clusters(std::vector<Setting>& out) {
  out.push_back(scalar("dsht.levels", IntegerType{1, 3}, REEF_FIELD(dsht.levels),
                       "Levels of the index. 3: all; 2: without level 2; 1: one index for everybody, no "
                       "clusters. The same in all nodes of a network."));
  out.push_back(scalar("dsht.threshold_1", MillisecondsType{Milliseconds(1), Milliseconds(10'000)},
                       REEF_FIELD(dsht.threshold_1),
                       "Round-trip time within which nodes belong to one level-1 cluster."));
  out.push_back(scalar("dsht.threshold_2", MillisecondsType{Milliseconds(1), Milliseconds(10'000)},
                       REEF_FIELD(dsht.threshold_2), "The same of a level-2 cluster."));
  out.push_back(scalar("dsht.accept_percent", IntegerType{1, 100}, REEF_FIELD(dsht.accept_percent),
                       "A cluster may be joined when this share of its members is within the threshold."));
  out.push_back(scalar("dsht.keep_percent", IntegerType{0, 100}, REEF_FIELD(dsht.keep_percent),
                       "And is left when less than this share is."));
  out.push_back(scalar("dsht.prefer_percent", IntegerType{1, 100}, REEF_FIELD(dsht.prefer_percent),
                       "A node that is content where it is moves to another cluster only when this share of "
                       "its members is."));
  out.push_back(scalar("dsht.split_percent", IntegerType{0, 100}, REEF_FIELD(dsht.split_percent),
                       "Below this share a node that has found nothing acceptable for a while splits off."));
  out.push_back(scalar("dsht.sample_size", IntegerType{1, 256}, REEF_FIELD(dsht.sample_size),
                       "Members of a cluster that are remembered to judge it by."));
  out.push_back(scalar("dsht.first_decision", MillisecondsType{Milliseconds(100), hours(1)},
                       REEF_FIELD(dsht.first_decision),
                       "The first decision about clusters comes so long after the start, the next ones at "
                       "doubling intervals."));
  out.push_back(scalar("dsht.decision_period", MillisecondsType{Milliseconds(100), hours(24)},
                       REEF_FIELD(dsht.decision_period), "Until they come once in this time."));
  out.push_back(scalar("dsht.refuse_for", SecondsType{Seconds(0), hours(24)}, REEF_FIELD(dsht.refuse_for),
                       "How long a cluster that was measured and found too far is not looked at again."));
  out.push_back(
      scalar("dsht.return_after", SecondsType{Seconds(0), hours(24)}, REEF_FIELD(dsht.return_after),
             "How long a cluster that was left is not preferred again to one that suits; four times "
             "as long each time that it is left."));
  out.push_back(scalar("dsht.serve_left", SecondsType{Seconds(0), hours(24)}, REEF_FIELD(dsht.serve_left),
                       "How long a cluster that was left is still served."));
  out.push_back(scalar("dsht.hints", BooleanType{}, REEF_FIELD(dsht.hints),
                       "Find near nodes by the routers of our own region: traces the ways to a few other "
                       "nodes and puts us into the index under the routers seen."));
  out.push_back(scalar("dsht.hint_period", MillisecondsType{Milliseconds(1'000), hours(24)},
                       REEF_FIELD(dsht.hint_period), "How often the ways are traced anew, to other nodes."));
  out.push_back(scalar("dsht.hint_traces", IntegerType{1, 16}, REEF_FIELD(dsht.hint_traces),
                       "Ways that are traced each time."));
  out.push_back(scalar("dsht.hint_hops", IntegerType{0, 30}, REEF_FIELD(dsht.hint_hops),
                       "Routers of a way that count, from here. 0: only our own network."));
  out.push_back(scalar("dsht.hint_ttl", SecondsType{Seconds(10), hours(24)}, REEF_FIELD(dsht.hint_ttl),
                       "How long the index keeps us under a router; renewed after half of it."));
}

void add_dsht(std::vector<Setting>& out) {
  out.push_back(with_flag("--rpc-listen", "HOST:PORT",
                          scalar("dsht.listen", OneEndpointType{{"127.0.0.1:8091", true}},
                                 REEF_FIELD(dsht.listen), "Where the index talks to other nodes, by UDP.")));
  add_clusters(out);
  out.push_back(scalar("dsht.k", IntegerType{2, 64}, REEF_FIELD(dsht.k),
                       "Contacts in a bucket (Kademlia's k) of levels 0 and 1."));
  out.push_back(
      scalar("dsht.k_near", IntegerType{2, 255}, REEF_FIELD(dsht.k_near),
             "Contacts in a bucket of level 2: of a near cluster a node knows as good as everybody, "
             "so that one hop leads to the place of a key."));
  out.push_back(scalar("dsht.put_bits", IntegerType{0, 16}, REEF_FIELD(dsht.put_bits),
                       "Bits of the key that one hop of a put corrects (b). Few: the ways to a popular key "
                       "merge slowly and share its load. 0: straight to the key, as in Kademlia."));
  out.push_back(scalar("dsht.get_bits", IntegerType{0, 16}, REEF_FIELD(dsht.get_bits),
                       "The same of a get, which adds little load."));
  out.push_back(scalar("dsht.alpha", IntegerType{1, 16}, REEF_FIELD(dsht.alpha),
                       "RPCs of one lookup in flight (Kademlia's alpha) at level 0."));
  out.push_back(
      scalar("dsht.alpha_near", IntegerType{1, 16}, REEF_FIELD(dsht.alpha_near), "The same at level 2."));
  out.push_back(scalar("dsht.put_window", IntegerType{1, 16}, REEF_FIELD(dsht.put_window),
                       "RPCs in flight of one put on its way."));
  out.push_back(scalar("dsht.replicas", IntegerType{1, 16}, REEF_FIELD(dsht.replicas),
                       "Nodes that a value is stored at, at level 0."));
  out.push_back(scalar("dsht.full_at", IntegerType{1, 1000}, REEF_FIELD(dsht.full_at),
                       "Values under a key with which a node is full for it (M): puts are then stored "
                       "further out if it is loaded as well."));
  out.push_back(scalar("dsht.loaded_at", IntegerType{0, 1'000'000}, REEF_FIELD(dsht.loaded_at),
                       "Puts of a key in a minute with which a node is loaded by it (beta)."));
  out.push_back(scalar("dsht.hot_at", IntegerType{1, 1'000'000'000}, REEF_FIELD(dsht.hot_at),
                       "Gets of a key in a minute from which on askers are told to remember the answer."));
  out.push_back(scalar("dsht.hot_memory", SecondsType{Seconds(0), minutes(10)}, REEF_FIELD(dsht.hot_memory),
                       "How long they do. 0: not at all."));
  out.push_back(scalar("dsht.reply_values", IntegerType{1, 32}, REEF_FIELD(dsht.reply_values),
                       "Values in one answer; drawn by lot where there are more."));
  out.push_back(scalar("dsht.announce_ttl", SecondsType{Seconds(2), minutes(10)},
                       REEF_FIELD(dsht.announce_ttl),
                       "Of a pointer to a node that is still fetching; renewed meanwhile."));
  out.push_back(scalar("dsht.pointer_ttl", SecondsType{Seconds(10), hours(24)}, REEF_FIELD(dsht.pointer_ttl),
                       "Of a pointer to a node that holds the object; renewed while it does."));
  out.push_back(scalar("dsht.budget_min", MillisecondsType{Milliseconds(10), minutes(1)},
                       REEF_FIELD(dsht.budget_min),
                       "The least time that a request gives the index before it goes to the origin."));
  out.push_back(scalar("dsht.budget_max", MillisecondsType{Milliseconds(10), minutes(1)},
                       REEF_FIELD(dsht.budget_max),
                       "The most; between them, four times the slow contacts' round-trip time."));
  out.push_back(scalar("dsht.values_per_key_max", IntegerType{1, 10'000}, REEF_FIELD(dsht.values_per_key_max),
                       "Values that this node stores for one key."));
  out.push_back(scalar("dsht.values_bytes_max", BytesType{kMiB, kTiB}, REEF_FIELD(dsht.values_bytes_max),
                       "Memory for the values of all keys, shared alike by the levels."));
  out.push_back(scalar("dsht.requests_per_second", IntegerType{1, 10'000'000},
                       REEF_FIELD(dsht.requests_per_second),
                       "Requests that are answered to one other node."));
  out.push_back(scalar("dsht.request_burst", IntegerType{1, 10'000'000}, REEF_FIELD(dsht.request_burst),
                       "Requests of one node at once before the rate counts."));
  out.push_back(scalar("dsht.signatures_per_second", IntegerType{1, 1'000'000},
                       REEF_FIELD(dsht.signatures_per_second),
                       "Signatures checked or made for other nodes; what needs more is dropped."));
  out.push_back(scalar("dsht.near_ping", SecondsType{Seconds(1), hours(1)}, REEF_FIELD(dsht.near_ping),
                       "The nearest contacts, which DNS answers name, are heard from at least so often."));
  out.push_back(scalar("dsht.far_ping", SecondsType{Seconds(1), hours(24)}, REEF_FIELD(dsht.far_ping),
                       "And all others in a table of up to 160 contacts; of a larger one in proportion."));
  out.push_back(scalar("dsht.clock_slack", MillisecondsType{Milliseconds(100), hours(24)},
                       REEF_FIELD(dsht.clock_slack),
                       "In a closed network: datagrams whose time is further from ours are refused as "
                       "replays."));
}

void add_admin_and_sites(std::vector<Setting>& out) {
  out.push_back(with_flag("--admin-listen", "HOST:PORT",
                          list("admin.listen", EndpointType{"127.0.0.1:8092", true}, REEF_FIELD(admin.listen),
                               "Where operators and scripts ask: /healthz, /api/. Without a "
                               "password: keep it on loopback.")));
  out.push_back(site_setting());
}

std::vector<Setting> build() {
  std::vector<Setting> out;
  add_node(out);
  add_network(out);
  add_proxy(out);
  add_dns(out);
  add_dsht(out);
  add_probe(out);
  add_admin_and_sites(out);
  return out;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, changed}));
    }
  }
  return row[b.size()];
}

}  // namespace

std::string Setting::section() const {
  const auto dot = key.rfind('.');
  return dot == std::string::npos ? "" : key.substr(0, dot);
}

std::string Setting::name() const { return key.substr(key.rfind('.') + 1); }  // npos + 1 is 0

std::string Setting::environment() const {
  std::string out = "REEF_";
  for (const char c : key) out += c == '.' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
  return out;
}

const std::vector<Setting>& schema() {
  static const std::vector<Setting> settings = build();
  return settings;
}

const Setting* find_key(std::string_view key) {
  for (const Setting& setting : schema()) {
    if (setting.key == key) return &setting;
  }
  return nullptr;
}

const Setting* find_flag(std::string_view flag) {
  for (const Setting& setting : schema()) {
    if (!flag.empty() && setting.flag == flag) return &setting;
  }
  return nullptr;
}

std::string toml_value(const Setting& setting, const Settings& from) {
  const std::vector<std::string> texts = setting.texts(from);
  if (!setting.is_list) return setting.is_quoted ? quoted(texts.front()) : texts.front();
  std::string out = "[";
  for (const std::string& text : texts) out += (out.size() > 1 ? ", " : "") + quoted(text);
  return out + "]";
}

std::string nearest(std::string_view word, std::span<const std::string> candidates) {
  std::string best;
  std::size_t best_distance =
      std::max<std::size_t>(2, word.size() / 3) + 1;  // further away it is another word
  for (const std::string& candidate : candidates) {
    const std::size_t d = edit_distance(word, candidate);
    if (d < best_distance) {
      best_distance = d;
      best = candidate;
    }
  }
  return best;
}

}  // namespace reef::config
