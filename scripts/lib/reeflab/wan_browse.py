"""People who browse through Reef's DNS: nodes in metros that the thresholds tell apart, a DNS tree of its own, three
recursive resolvers in each region (unbound, bind9, knot-resolver) and clients 2 to 8 ms from their resolver.

Hosts of a chosen metro, in order: its nodes; in a region's first metro a root and a TLD name server; in the first
metro of all the origin; two more for servers that an experiment brings; its resolvers, on those of the next that lie nearest
to the network; clients, on others.
"""
import collections
import dataclasses
import time

from .node import stop_all
from .wan import WanError, World, binary
from .wan_places import (ALL_METROS, ALL_REGIONS, Place, choose_metros, quick_decisions, settle, start)
from .wan_stage import Crowd, Origin
from .wan_tree import RESOLVERS, TLD, Tree

SUFFIX, NODES_ZONE = f"reef.{TLD}", f"reef-nodes.{TLD}"
FLAT_ZONE = f"reef-flat.{TLD}"      # of nodes without levels: zone and suffix
HTTP_PORT, DNS_PORT = 80, 53
ADDRESS_TTL_S = 60                  # dns.address_ttl, unless --address-ttl is given
DELEGATED = 4                       # nodes that the zones are delegated to
CLIENT_MS = (2.0, 8.0)              # round trips between clients and their resolver
POOL = 14                           # hosts of a metro for resolvers and clients, of which some lie too near or too far
STEP_S = 0.25


def add_browse_arguments(parser, nodes=40, minutes=5.0):
    parser.add_argument("--nodes", type=int, default=nodes, help=f"over all metros alike (default {nodes})")
    parser.add_argument("--regions", type=int, default=5, help="1..6 (default 5)")
    parser.add_argument("--metros", type=int, default=2, help="metros of each region, 1..3 (default 2)")
    parser.add_argument("--minutes", type=float, default=minutes, help=f"of browsing (default {minutes:g})")
    parser.add_argument("--clients", type=int, default=3, help="clients of each resolver (default 3)")
    parser.add_argument("--think-s", type=float, default=5, help="between two pages of a client (default 5)")
    parser.add_argument("--address-ttl", type=int, metavar="S", help="dns.address_ttl and dns.near_address_ttl of the nodes "
                        f"(default: theirs, at most {ADDRESS_TTL_S})")
    parser.add_argument("--decision-s", type=float, default=10, help="dsht.decision_period of the nodes (default 10)")
    parser.add_argument("--settle-s", type=float, default=300, help="time that the clusters have (default 300)")
    parser.add_argument("--one-zone", action="store_true", help="one zone for suffix and nodes: CNAMEs in place of a DNAME")
    parser.add_argument("--node-flag", action="append", metavar="FLAG", help="a further flag of every reefd; may be "
                        "given several times")
    parser.add_argument("--keep-logs", metavar="DIR", help="copies the logs of nodes and servers there")
    parser.set_defaults(target=1.0)   # of the clusters: exact before anybody browses


@dataclasses.dataclass
class Client:
    host: object
    resolver: object   # a wan_tree.Server


class BrowseWorld:
    """Everything but the nodes runs after entering; start_nodes() starts those."""

    def __init__(self, options, pages, sites, uplink=None):
        self.options, self.pages, self.uplink = options, pages, uplink
        self.sites = [f"www.site{i}.{TLD}" for i in range(sites)]
        self.per_metro = -(-options.nodes // (options.regions * options.metros))
        self.world = World(regions=ALL_REGIONS, metros=ALL_METROS, hosts=self.per_metro + 4 + POOL, seed=options.seed,
                           keep_logs=options.keep_logs)
        self.places, self.runs = [], collections.Counter()
        self._rtt = {}

    def __enter__(self):
        self.client_program = binary("reef_wan_client")
        self.world.__enter__()
        try:
            self._assign()
            self.origin = Origin(self.world, self.origin_host, [f for page in self.pages for f in page]).start()
            if self.uplink:
                self.origin.set_uplink(*self.uplink)
            self._start_dns()
        except BaseException:
            self.world.close()
            raise
        return self

    def __exit__(self, *_):
        self.world.close()

    # --- who is where

    def rtt_ms(self, a, b):
        """Of the model, between two hosts."""
        key = tuple(sorted((a.name, b.name)))
        if key not in self._rtt:
            self._rtt[key] = 0.0 if a is b else self.world.command(f"route {a.name} {b.name}")["rtt_ms"]
        return self._rtt[key]

    def _assign(self):
        hosts = collections.defaultdict(list)
        for host in self.world.hosts:
            hosts[host.metro].append(host)
        self.metros = choose_metros(self.world, self.options.regions, self.options.metros, max(2, self.per_metro))
        # Round robin over regions and their metros, so that neighbours do not join one after the other.
        turns = [metros[turn] for turn in range(self.options.metros) for metros in self.metros.values()]
        self.node_hosts = [hosts[metro][i] for i in range(self.per_metro) for metro in turns][:self.options.nodes]
        first = [metros[0] for metros in self.metros.values()]
        at = self.per_metro
        self.root_hosts = [hosts[metro][at] for metro in first]
        self.tld_hosts = [hosts[metro][at + 1] for metro in first]
        self.origin_host = hosts[first[0]][at + 2]
        self.spare_hosts = [hosts[turns[-1]][at + 2 + i] for i in (0, 1)]
        pools = {metro: hosts[metro][at + 4:] for metro in turns}
        self._assign_resolvers(pools)

    def _assign_resolvers(self, pools):
        """[(kind, host)] and for each the hosts of its clients. Kinds move on by a metro from region to region."""
        self.resolver_hosts, self.client_hosts = [], []
        wanted = collections.defaultdict(list)
        for r, metros in enumerate(self.metros.values()):
            for k, kind in enumerate(RESOLVERS):
                wanted[metros[(k + r) % len(metros)]].append(kind)
        for metro, kinds in wanted.items():
            pool = sorted(pools[metro], key=lambda host: sum(self.rtt_ms(host, other) for other in pools[metro]))
            servers, rest = pool[:len(kinds)], pool[len(kinds):]
            for server, kind in zip(servers, kinds):
                near = [h for h in rest if CLIENT_MS[0] <= self.rtt_ms(server, h) <= CLIENT_MS[1]]
                if len(near) < self.options.clients:
                    raise WanError(f"{metro} has {len(near)} hosts {CLIENT_MS[0]:g} to {CLIENT_MS[1]:g} ms from a resolver, "
                                   f"{self.options.clients} are wanted; try fewer --clients, or another --seed")
                # Over the whole span of distances, not the nearest.
                near.sort(key=lambda host: self.rtt_ms(server, host))
                step = len(near) / self.options.clients
                mine = [near[int(i * step)] for i in range(self.options.clients)]
                rest = [h for h in rest if h not in mine]
                self.resolver_hosts.append((kind, server))
                self.client_hosts.append(mine)

    # --- name servers

    def _start_dns(self):
        self.tree = Tree(self.world, self.root_hosts, self.tld_hosts)
        hosts = self.node_hosts[:DELEGATED]
        self.tree.delegate(FLAT_ZONE, hosts)
        if self.options.one_zone:
            self.tree.delegate(SUFFIX, hosts)
        else:  # the suffix's zone has its name servers in the other one, below its cuts
            self.tree.delegate(NODES_ZONE, hosts)
            self.tree.refer(SUFFIX, [f"ns{i}.l2.l1.l0.{NODES_ZONE}" for i in range(1, DELEGATED + 1)])
        for site in self.sites:
            self.tree.add_address(site, self.origin_host)
        self.tree.start()
        self.start_resolvers()

    def start_resolvers(self):
        """With empty caches; ends those that ran before."""
        for server in getattr(self, "resolvers", []):
            server.stop()
        self.runs["resolvers"] += 1
        self.resolvers, self.clients = [], []
        for (kind, host), clients in zip(self.resolver_hosts, self.client_hosts):
            self.resolvers.append(RESOLVERS[kind](self.world, host, self.tree).start(self.sites[0]))
            self.clients += [Client(client, self.resolvers[-1]) for client in clients]
        for server in self.resolvers:
            server.wait()

    def proxied_name(self, site):
        """Where the site's name below the suffix leads to."""
        return f"{site}.http.l2.l1.l0.{SUFFIX if self.options.one_zone else NODES_ZONE}"

    def resolver_near(self, host):
        return min((h for _, h in self.resolver_hosts), key=lambda h: self.rtt_ms(host, h))

    # --- nodes

    def start_nodes(self, flags, progress, flat=False):
        """Starts them anew and waits for their clusters, options.settle_s at most. Returns the seconds that took, None when
        they did not come to the topology in time. `flat`: without levels of index and DNS."""
        self.runs["nodes"] += 1
        self.suffix = FLAT_ZONE if flat else SUFFIX
        zones = ["--zone", self.suffix, "--suffix", self.suffix]
        zones += ["--set", "dsht.levels=1"] if flat else ["--set", "dns.levels=true"]
        if not flat and not self.options.one_zone:
            zones += ["--set", f"network.nodes_zone={NODES_ZONE}"]
        ttls = [word for key in ("address_ttl", "near_address_ttl") if self.options.address_ttl
                for word in ("--set", f"dns.{key}={self.options.address_ttl}s")]
        self.places = []
        for i, host in enumerate(self.node_hosts):
            seeds = [word for seed in self.node_hosts[:2] if seed is not host for word in ("--seed", f"{seed.address}:8091")]
            self.places.append(Place(self.world, host, [
                *zones, *(seeds if i else []), "--set", "proxy.cache.disk_bytes=0", "--resolver",
                f"{self.resolver_near(host).address}:53", *ttls, *quick_decisions(self.options.decision_s), *flags,
                *(self.options.node_flag or [])],
                data=f"data-{self.runs['nodes']}-{host.name}", proxy_port=HTTP_PORT, dns_port=DNS_PORT))
        start(self.world, self.places)
        progress.update(f"{len(self.places)} nodes are up", force=True)
        if flat:
            for place in self.places:
                place.node.wait_peers(min(len(self.places) - 1, 8), 60)
            return 0.0
        return settle(self.places, self.options, progress)[0]

    def stop_nodes(self):
        """Names of those that did not end with 0 on SIGTERM."""
        bad = stop_all([place.node for place in self.places])
        self.places = []
        return bad

    # --- the crowd

    def crowd(self, name, clients=None, **plan):
        members = [{"name": c.host.name, "netns": c.host.netns, "resolver": c.resolver.host.address}
                   for c in clients or self.clients]
        whole = {"hosts": [f"{site}.{self.suffix}" for site in self.sites], "port": HTTP_PORT, "clients": members,
                 "pages": [[file.path for file in page] for page in self.pages],
                 "digests": {file.path: file.digest for page in self.pages for file in page},
                 "seed": self.options.seed, "think_s": self.options.think_s, "spread_s": self.options.think_s,
                 "timeout_s": 30, **plan}
        self.runs[name] += 1
        return Crowd(self, f"{name}-{self.runs[name]}", whole)

    def watch(self, crowd, timeout_s, progress, marks=(), events=()):
        """Waits for the crowd's end. Meanwhile reads at every second of `marks` who asked whose name server how often,
        and calls what is due of `events`, [(second, function)]. Returns {mark: {(resolver name, node name): packets}};
        marks that the crowd did not live to see stand as they were at its end."""
        began, events, left, seen = time.monotonic(), sorted(events, key=lambda e: e[0]), sorted(marks), {}
        self.world.command(f"count {DNS_PORT}")
        while crowd.process.poll() is None:
            now = time.monotonic() - began
            if now > timeout_s:
                raise WanError(f"the crowd is not done after {timeout_s:g} s")
            while events and now >= events[0][0]:
                events.pop(0)[1]()
            while left and now >= left[0]:
                seen[left.pop(0)] = self.queries()
            progress.update(f"{now:.0f} s of browsing")
            time.sleep(STEP_S)
        return {**seen, **{mark: self.queries() for mark in left}}

    def queries(self):
        """Packets from resolvers to the nodes' name servers since the crowd started."""
        names = {host.name for _, host in self.resolver_hosts}
        nodes = {host.name for host in self.node_hosts}
        return {(c["from"], c["to"]): c["packets"] for c in self.world.command("counts")["counts"]
                if c["from"] in names and c["to"] in nodes}
