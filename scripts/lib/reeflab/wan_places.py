"""Nodes on hosts of the emulated Internet, in metros that the thresholds of the levels can tell apart, and the clusters
that they form there by themselves."""
import collections
import contextlib
import http.client
import itertools
import json
import time
import urllib.parse

from .node import Node, NodeError
from .wan import WanError, inside

ALL_REGIONS, ALL_METROS = 6, 4           # of the gazetteer: what is chosen from
NEAR_MS, REGION_MS = 20.0, 60.0          # the thresholds of levels 2 and 1
MARGIN_MS = 1.0                          # between the model and what a busy machine measures
POLL_S = 2.0
LEVELS = {2: "metro", 1: "region"}


# --- where the nodes stand

def metro_distances(world, hosts):
    """{(metro, metro): (least, most)} of the model's round trips in ms between those of `hosts` that are there."""
    spans = {}
    for a, b in itertools.combinations(hosts, 2):
        rtt = world.command(f"route {a.name} {b.name}")["rtt_ms"]
        key = tuple(sorted((a.metro, b.metro)))
        low, high = spans.get(key, (rtt, rtt))
        spans[key] = min(low, rtt), max(high, rtt)
    return spans


def choose_metros(world, regions, metros, each=None):
    """{region: [metro, ...]}: `metros` of each of `regions` regions that the thresholds tell apart, by the first `each`
    hosts of each metro (default: by all), where the nodes will be."""
    count = collections.Counter()
    chosen_hosts = []
    for host in world.hosts:
        count[host.metro] += 1
        if each is None or count[host.metro] <= each:
            chosen_hosts.append(host)
    spans = metro_distances(world, chosen_hosts)
    by_region = collections.defaultdict(list)
    for host in world.hosts:
        if host.metro not in by_region[host.region]:
            by_region[host.region].append(host.metro)

    def between(a, b):
        return spans[tuple(sorted((a, b)))]

    def is_region(chosen):
        return (all(between(m, m)[1] < NEAR_MS - MARGIN_MS for m in chosen) and
                all(between(a, b)[0] > NEAR_MS + MARGIN_MS and between(a, b)[1] < REGION_MS - MARGIN_MS
                    for a, b in itertools.combinations(chosen, 2)))

    def apart(chosen, others):
        return all(between(a, b)[0] > REGION_MS + MARGIN_MS for a in chosen for b in others)

    def extend(picked, rest):
        if len(picked) == regions:
            return picked
        if len(rest) < regions - len(picked):
            return None
        region, *later = rest
        for chosen in itertools.combinations(by_region[region], metros):
            if is_region(chosen) and all(apart(chosen, others) for others in picked.values()):
                found = extend({**picked, region: list(chosen)}, later)
                if found:
                    return found
        return extend(picked, later)

    found = extend({}, list(by_region))
    if not found:
        raise WanError(f"the world has no {regions} regions with {metros} metros each that {NEAR_MS:g} and "
                       f"{REGION_MS:g} ms tell apart; try fewer, or another --seed")
    return found


# --- the nodes

def quick_decisions(seconds):
    """Flags for nodes that decide about clusters every few seconds in place of every 5 minutes."""
    return ["--set", "dsht.first_decision=1s", "--set", f"dsht.decision_period={round(1000 * seconds)}ms",
            # In the proportion that they have to the period by default. Who is far is measured before each decision.
            "--set", f"dsht.refuse_for={round(3 * seconds)}s", "--set", f"dsht.return_after={round(2 * seconds)}s",
            "--set", f"dsht.far_ping={max(1, round(0.8 * seconds))}s"]


class Place:
    """One node with its host."""

    def __init__(self, world, host, flags, data=None, **ports):
        self.host = host
        self.node = Node(host.address, world.state / (data or f"data-{host.name}"), name=host.name,
                         flags=["--advertise", host.address, "--workers", "1", *flags], prefix=world.prefix(host),
                         admin_address="127.0.0.1", admin_over=self.admin,
                         log_path=world.state / f"node-{host.name}.log", **ports)

    def admin(self, path, method="GET"):
        with inside(self.host):
            connection = http.client.HTTPConnection("127.0.0.1", 8092, timeout=10)
            connection.connect()
        with contextlib.closing(connection):
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read()

    def ask(self, path, method="GET", **query):
        """The JSON of an answer; NodeError says what was wrong."""
        path += "?" + urllib.parse.urlencode(query) if query else ""
        status, body = self.admin(path, method)
        if status != 200:
            raise NodeError(f"node {self.node.name}: {method} {path} answered {status}: {body.decode().strip()}")
        return json.loads(body)


def start(world, places):
    """Starts all at once and waits until they are ready."""
    for place in places:
        place.node.start()
        world.record.add(place.node.pid, f"node-{place.node.name}")
    for place in places:
        place.node.wait_ready(60)


# --- what they came to

def agreement(ids, places, level):
    """Precision and recall of a level's clusters over pairs of nodes; `ids`: {host name: cluster id}."""
    together = right = truly = 0
    for a, b in itertools.combinations(places, 2):
        same = ids[a.host.name] == ids[b.host.name]
        true = getattr(a.host, LEVELS[level]) == getattr(b.host, LEVELS[level])
        together, truly, right = together + same, truly + true, right + (same and true)
    return {"precision": round(right / together, 4) if together else 1.0,
            "recall": round(right / truly, 4) if truly else 1.0,
            "clusters": len(set(ids.values())), "expected": len({getattr(p.host, LEVELS[level]) for p in places})}


def look(places):
    """({level: {host: id}}, {level: agreement}, {level: switches of all nodes})"""
    ids, switches = {1: {}, 2: {}}, {1: 0, 2: 0}
    for place in places:
        for entry in place.ask("/api/cluster")["levels"]:
            if entry["level"] in ids:
                ids[entry["level"]][place.host.name] = entry["id"]
                switches[entry["level"]] += entry["switches"]
    return ids, {level: agreement(ids[level], places, level) for level in LEVELS}, switches


def is_good(agreements, target):
    return all(a["precision"] >= target and a["recall"] >= target for a in agreements.values())


def settle(places, options, progress):
    """Waits until two looks in a row are good by options.target, options.settle_s at most. Returns (seconds until the
    first of them or None, history)."""
    began, good_since, history = time.monotonic(), None, []
    while True:
        _, agreements, switches = look(places)
        after = time.monotonic() - began
        history.append({"s": round(after, 1), "switches": switches,
                        **{f"level_{level}": a for level, a in agreements.items()}})
        two, one = agreements[2], agreements[1]
        progress.update(f"level 2: {two['clusters']} clusters, precision {two['precision']:.2f}, recall "
                        f"{two['recall']:.2f}; level 1: {one['clusters']}, {one['precision']:.2f}, {one['recall']:.2f}")
        if is_good(agreements, options.target):
            if good_since is not None:
                return good_since, history
            good_since = after
        else:
            good_since = None
        if after > options.settle_s:
            return None, history
        time.sleep(POLL_S)
