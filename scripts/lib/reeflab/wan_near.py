"""How near were the answers? What clients were told and whom their resolvers asked, against the model's round trips."""
import collections

from .report import percentile
from .wan_places import NEAR_MS


class Nearness:
    """Reads answers of a BrowseWorld's crowd. `alive`: names of the nodes that can be used; default: all. `stand_in`: the
    host that all clients are judged by in place of their own, such as their resolver's."""

    def __init__(self, browse, alive=None, stand_in=None):
        self.browse, self.stand_in = browse, stand_in
        self.nodes = {h.address: h for h in browse.node_hosts}
        self.alive = [h for h in browse.node_hosts if alive is None or h.name in alive]
        self.by_name = {h.name: h for h in browse.world.hosts}
        self.best = {}

    def best_ms(self, client):
        """Round trip to the nearest living node."""
        if client.name not in self.best:
            self.best[client.name] = min(self.browse.rtt_ms(client, node) for node in self.alive)
        return self.best[client.name]

    def summary(self, answers):
        """Over the answers that named a node: how many, the shares in the client's own metro and region, round trips to
        the node that served, to the nearest there is, and to a random one."""
        told = [(self.stand_in or self.by_name[a.client], a) for a in answers if a.addresses]
        metro = {place.metro for place in self.alive}
        home = [(client, a) for client, a in told if client.metro in metro]
        used = [(client, self.nodes.get(a.server)) for client, a in told if a.server in self.nodes]
        named = [(client, self.nodes.get(address)) for client, a in home for address in a.addresses]
        rtts = [self.browse.rtt_ms(client, node) for client, node in used]
        best = [self.best_ms(client) for client, _ in used]
        random = [self.browse.rtt_ms(client, node) for client, _ in used for node in self.alive]
        return {
            "answers": len(told), "no_answer": sum(not a.addresses for a in answers),
            "servfail": sum(is_servfail(a) for a in answers), "failed": sum(a.failed for a in answers),
            "wrong_bytes": sum(a.wrong for a in answers),
            "first_in_metro": share(self._is_there(client, a.addresses[0], "metro") for client, a in home),
            "all_in_metro": share(all(self._is_there(client, x, "metro") for x in a.addresses) for client, a in home),
            "addresses_in_metro": share(node is not None and node.metro == client.metro for client, node in named),
            "first_in_region": share(self._is_there(client, a.addresses[0], "region") for client, a in told),
            "rtt_ms": two(rtts), "best_ms": two(best), "random_ms": two(random),
            "over_best": {p: over(two(rtts)[p], two(best)[p]) for p in ("p50", "p96")}}

    def _is_there(self, client, address, what):
        node = self.nodes.get(address)
        return node is not None and getattr(node, what) == getattr(client, what)

    def queries(self, before, after):
        """Between two looks at the emulator's counts: packets to name servers, and the share of those to near ones."""
        near = total = 0
        by_kind = collections.defaultdict(lambda: [0, 0])
        kinds = {host.name: kind for kind, host in self.browse.resolver_hosts}
        for (resolver, node), packets in after.items():
            new = packets - before.get((resolver, node), 0)
            is_near = self.browse.rtt_ms(self.by_name[resolver], self.by_name[node]) < NEAR_MS
            total, near = total + new, near + new * is_near
            by_kind[kinds[resolver]][0] += new * is_near
            by_kind[kinds[resolver]][1] += new
        return {"queries": total, "near_queries": round(near / total, 4) if total else None,
                "by_kind": {kind: {"queries": n, "near": round(k / n, 4) if n else None}
                            for kind, (k, n) in sorted(by_kind.items())}}


def is_servfail(answer):
    return answer.error == "dns: rcode 2"


def share(truths):
    truths = list(truths)
    return round(sum(truths) / len(truths), 4) if truths else None


def two(values):
    return {"p50": rounded(percentile(values, 50)), "p96": rounded(percentile(values, 96))}


def rounded(value, digits=2):
    return None if value is None else round(value, digits)


def over(value, of):
    return None if not value or not of else round(value / of, 3)


def percent(value):
    return "-" if value is None else f"{100 * value:.1f} %"
