"""Clients whose resolver is far away: one that tells their networks to name servers (RFC 7871), and one that does not."""
import re

from .report import table
from .wan_browse import Client
from .wan_near import Nearness, percent
from .wan_tree import Unbound

SHARE_MIN = 0.95
MINUTE_S = 60.0
SUBNET_BITS = 24


def run(browse, options, progress):
    """(figures, problems)"""
    region = browse.spare_hosts[0].region
    servers = {"ecs": Unbound(browse.world, browse.spare_hosts[0], browse.tree, ecs=True),
               "plain": Unbound(browse.world, browse.spare_hosts[1], browse.tree)}
    for server in servers.values():
        server.start(browse.sites[0])
    for server in servers.values():
        server.wait()
    far = [c.host for c in browse.clients if c.host.region != region]
    browsing_s = MINUTE_S * (options.minutes + 1)
    crowds = {name: browse.crowd(name, [Client(host, server) for host in far], first_pages=1, lasts_s=browsing_s)
              for name, server in servers.items()}
    browse.watch(crowds["ecs"], browsing_s + 120, progress)
    answers = {name: crowd.wait(60) for name, crowd in crowds.items()}
    last = {name: [a for a in part if a.start_s >= browsing_s - MINUTE_S] for name, part in answers.items()}
    result = {"resolvers": {name: server.host.name for name, server in servers.items()}, "far_clients": len(far),
              "ecs": Nearness(browse).summary(last["ecs"]),
              "plain": Nearness(browse, stand_in=servers["plain"].host).summary(last["plain"]),
              "plain_for_clients": Nearness(browse).summary(last["plain"]), "scopes": scopes(browse, far)}
    show(result)
    return {"client_subnet": result}, judge(result, answers)


def scopes(browse, clients):
    """What nodes say of a client's network: [{node, client, asked, source, scope, addresses}]."""
    nodes = {place.host.metro: place.host for place in browse.places}
    rows = []
    name = browse.proxied_name(browse.sites[0])
    for client in {c.metro: c for c in clients}.values():
        network = client.address.rsplit(".", 1)[0] + f".0/{SUBNET_BITS}"
        for node in (nodes[client.metro], browse.node_hosts[0]):
            for asked in (network, "0.0.0.0/0", None):
                rows.append({"node": node.name, "node_metro": node.metro, "client_metro": client.metro, "asked": asked,
                             **ask(browse, client, node, name, asked)})
    return rows


def ask(browse, host, node, name, network):
    """One question by dig: {"source", "scope" (None: no such option in the answer), "addresses"}."""
    words = ["dig", "+norecurse", "+tries=2", "+time=2", f"@{node.address}", name, "A"]
    out = browse.world.run(host, words + ([f"+subnet={network}"] if network else [])).stdout
    told = re.search(r"CLIENT-SUBNET: ([^/\s]+)/(\d+)/(\d+)", out)
    addresses = re.findall(r"^\S+\s+\d+\s+IN\s+A\s+(\S+)", out.partition(";; ANSWER SECTION:")[2].partition("\n\n")[0],
                           re.MULTILINE)
    return {"network": told.group(1) if told else None, "source": int(told.group(2)) if told else None,
            "scope": int(told.group(3)) if told else None, "addresses": addresses}


def judge(result, answers):
    problems = []
    for name, what in (("ecs", "a far resolver that sends client subnets: of the addresses are in the client's metro"),
                       ("plain", "a far resolver that does not: of the addresses are in the resolver's metro")):
        found = result[name]["addresses_in_metro"]
        if (found or 0) < SHARE_MIN:
            problems.append(f"{what}: {percent(found)} (at least {percent(SHARE_MIN)})")
        failed = sum(a.failed for a in answers[name])
        if failed:
            problems.append(f"{failed} requests through the resolver '{name}' failed")
    for row in result["scopes"]:
        problems += wrong_scope(row)
    return problems


def wrong_scope(row):
    """What of an answer's client-subnet option contradicts RFC 7871 §7.2.1, or our own promise of near answers."""
    what = f"{row['node']} asked with subnet {row['asked']} by a client in {row['client_metro']}"
    if not row["addresses"]:
        return [f"{what}: no address"]
    if row["asked"] is None:
        return [f"{what}: an answer with the option"] if row["scope"] is not None else []
    network, bits = row["asked"].split("/")
    if (row["network"], row["source"]) != (network, int(bits)):
        return [f"{what}: the option names {row['network']}/{row['source']}"]
    if row["scope"] > row["source"]:
        return [f"{what}: scope {row['scope']} is longer than what it was told"]
    if row["source"] > 0 and row["scope"] == 0 and row["node_metro"] == row["client_metro"]:
        return [f"{what}: scope 0 for a network whose place it knows"]
    return []


def show(result):
    rows = [[name, result[key]["answers"], percent(result[key]["addresses_in_metro"]), result[key]["rtt_ms"]["p50"],
             result[key]["rtt_ms"]["p96"], result[key]["best_ms"]["p50"], result[key]["no_answer"]]
            for name, key in (("client subnets sent, seen from the client", "ecs"),
                              ("not sent, seen from the resolver", "plain"),
                              ("not sent, seen from the client", "plain_for_clients"))]
    print(table(["far resolver", "answers", "own metro", "ms p50", "p96", "best p50", "no answer"], rows))
    print()
    print(table(["node", "client in", "asked with", "scope", "addresses"],
                [[r["node"], r["client_metro"], r["asked"], r["scope"], len(r["addresses"])] for r in result["scopes"]],
                "lllrr"))
