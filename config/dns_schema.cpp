#include "config/dns_schema.h"

#include "config/setting_of.h"
#include "config/values.h"

namespace reef::config {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

void add_names(std::vector<Setting>& out) {
  out.push_back(
      scalar("dns.levels", BooleanType{}, REEF_FIELD(dns.levels),
             "Delegate by level, so that a resolver that met a near node asks near nodes from then "
             "on; for networks whose nodes answer DNS on port 53. false: every name under the suffix "
             "has its addresses itself."));
  out.push_back(scalar("dns.near_address_ttl", SecondsType{Seconds(1), hours(24)},
                       REEF_FIELD(dns.near_address_ttl), "As dns.address_ttl, of proxies near the client."));
  out.push_back(
      scalar("dns.cut_ttl", SecondsType{Seconds(1), hours(24 * 7)}, REEF_FIELD(dns.cut_ttl),
             "Of the NS records of the levels and their addresses: how long a resolver asks the near "
             "name servers that it knows."));
  out.push_back(
      scalar("dns.cut_negative_ttl", SecondsType{Seconds(0), hours(3)}, REEF_FIELD(dns.cut_negative_ttl),
             "How long a resolver that is not near believes that a level is no place for it, before "
             "it asks again."));
  out.push_back(scalar("dns.servers_max", IntegerType{1, 10}, REEF_FIELD(dns.servers_max),
                       "Name servers named for a level."));
  out.push_back(scalar("dns.https_port", IntegerType{0, 65535}, REEF_FIELD(dns.https_port),
                       "Where all proxies take HTTPS, for HTTPS records (RFC 9460). 0: none are given."));
  out.push_back(
      list("dns.records", TextType{1, 1024, "a record in one line: NAME [TTL] TYPE VALUE"},
           REEF_FIELD(dns.records),
           "Records beside those that the node makes itself, as in a zone file with whole names: TXT, "
           "CAA, MX, A, AAAA, CNAME. More can be set at run time: reef dns set."));
}

void add_locality(std::vector<Setting>& out) {
  out.push_back(scalar("dns.client_subnets", BooleanType{}, REEF_FIELD(dns.client_subnets),
                       "Heed the client's network where the resolver tells it (RFC 7871)."));
  out.push_back(scalar("dns.wait", MillisecondsType{Milliseconds(0), Milliseconds(2'000)},
                       REEF_FIELD(dns.wait),
                       "How long the first answer to a network may wait until it is known how near it is. 0: "
                       "it does not wait, and the next answer is better."));
  out.push_back(scalar("dns.locate", BooleanType{}, REEF_FIELD(dns.locate),
                       "Find out how far clients are and who is near them. false: all are answered alike."));
  out.push_back(scalar("dns.traces", BooleanType{}, REEF_FIELD(dns.traces),
                       "Trace the way to clients, for the routers under which nodes near them stand. false: "
                       "only pings and the client's own network."));
  out.push_back(scalar("dns.verdicts_max", IntegerType{64, 10'000'000}, REEF_FIELD(dns.verdicts_max),
                       "Client networks that are remembered, by each worker and on disk."));
  out.push_back(
      scalar("dns.verdict_ttl", SecondsType{Seconds(5), hours(24)}, REEF_FIELD(dns.verdict_ttl),
             "After so long, nodes near a network that is still asked about are looked for again."));
  out.push_back(scalar("dns.measured_ttl", SecondsType{Seconds(60), hours(24 * 7)},
                       REEF_FIELD(dns.measured_ttl),
                       "After so long, a network is pinged and traced again when it is asked about."));
  out.push_back(scalar("dns.verify", BooleanType{}, REEF_FIELD(dns.verify),
                       "Name only nodes whose proxy and name server this node could connect to, and itself "
                       "only while others can. false: everybody's word is taken."));
  out.push_back(
      scalar("dns.view_nodes_max", IntegerType{4, 1000}, REEF_FIELD(dns.view_nodes_max),
             "Nodes from which answers are chosen; each is asked whether it lives every few seconds."));
  out.push_back(scalar("dns.near_nodes_max", IntegerType{0, 1000}, REEF_FIELD(dns.near_nodes_max),
                       "Nodes near clients elsewhere, beside those."));
  out.push_back(scalar("dns.ping_every", MillisecondsType{Milliseconds(100), minutes(5)},
                       REEF_FIELD(dns.ping_every), "How often each of them is asked."));
  out.push_back(scalar("dns.heard_within", MillisecondsType{Milliseconds(200), minutes(10)},
                       REEF_FIELD(dns.heard_within),
                       "Who has not answered for so long is not named. Together with dns.address_ttl it is "
                       "how long a dead node is in use."));
}

}  // namespace

void add_dns(std::vector<Setting>& out) {
  out.push_back(with_flag("--dns-listen", "HOST:PORT",
                          list("dns.listen", EndpointType{"127.0.0.1:5300", true}, REEF_FIELD(dns.listen),
                               "Where the name server answers, by UDP and TCP.")));
  out.push_back(scalar("dns.address_ttl", SecondsType{Seconds(1), hours(24)}, REEF_FIELD(dns.address_ttl),
                       "Of A and AAAA records: how long a dead node stays in resolvers' caches."));
  out.push_back(scalar("dns.authority_ttl", SecondsType{Seconds(1), hours(24 * 7)},
                       REEF_FIELD(dns.authority_ttl),
                       "Of NS and SOA records and the name servers' addresses."));
  out.push_back(scalar("dns.negative_ttl", SecondsType{Seconds(0), hours(3)}, REEF_FIELD(dns.negative_ttl),
                       "Of answers that there is nothing (RFC 2308)."));
  out.push_back(scalar("dns.addresses_max", IntegerType{1, 16}, REEF_FIELD(dns.addresses_max),
                       "A or AAAA records in an answer."));
  out.push_back(scalar("dns.name_servers", IntegerType{1, 13}, REEF_FIELD(dns.name_servers),
                       "Name servers of the zone: ns1.ZONE to nsN.ZONE."));
  out.push_back(
      scalar("dns.cookies", BooleanType{}, REEF_FIELD(dns.cookies), "DNS cookies (RFC 7873, RFC 9018)."));
  out.push_back(scalar("dns.rate_limit", BooleanType{}, REEF_FIELD(dns.rate_limit),
                       "Limit responses per client network, against reflection."));
  out.push_back(scalar("dns.responses_per_second", IntegerType{1, 10'000'000},
                       REEF_FIELD(dns.responses_per_second), "To one /24 or /56, by each worker."));
  out.push_back(scalar("dns.response_burst", IntegerType{1, 10'000'000}, REEF_FIELD(dns.response_burst),
                       "Responses to one network at once before the rate counts."));
  out.push_back(scalar(
      "dns.slip", IntegerType{0, 100}, REEF_FIELD(dns.slip),
      "Over the limit every so-many-th response says \"use TCP\" in place of silence. 0: all are silent."));
  out.push_back(scalar("dns.tcp_connections_max", IntegerType{1, 100'000},
                       REEF_FIELD(dns.tcp_connections_max),
                       "TCP connections to the name server, per worker."));
  out.push_back(scalar("dns.tcp_idle_timeout", MillisecondsType{Milliseconds(100), minutes(5)},
                       REEF_FIELD(dns.tcp_idle_timeout),
                       "Of such a connection between two queries (RFC 7766)."));
  add_names(out);
  add_locality(out);
}

void add_probe(std::vector<Setting>& out) {
  out.push_back(list("probe.never", PrefixType{}, REEF_FIELD(probe.never),
                     "Networks that are never pinged or traced, because somebody there asked for it."));
  out.push_back(scalar("probe.per_network", IntegerType{0, 1000}, REEF_FIELD(probe.per_network),
                       "Measurements of one /24 or /48 in an interval. 0: nothing is measured."));
  out.push_back(scalar("probe.network_interval", SecondsType{Seconds(1), hours(24 * 7)},
                       REEF_FIELD(probe.network_interval), "That interval."));
  out.push_back(scalar("probe.packets_per_second", IntegerType{1, 100'000},
                       REEF_FIELD(probe.packets_per_second), "Packets of all measurements together."));
  out.push_back(scalar("probe.packet_burst", IntegerType{30, 1'000'000}, REEF_FIELD(probe.packet_burst),
                       "Packets at once before the rate counts."));
  out.push_back(scalar("probe.running_max", IntegerType{1, 1000}, REEF_FIELD(probe.running_max),
                       "Measurements at once."));
}

}  // namespace reef::config
