"""Do clusters form by themselves where the network is near? Real nodes on an emulated Internet.

Nodes run in metros that the thresholds can tell apart by the topology's own round trips: within a metro below 20 ms,
between two metros of a region 20 to 60 ms, between regions above 60 ms. Nobody tells them who is near: they trace the
routers around them, put themselves into the index under those, measure whom they find there, and decide. Level 2
should end as the metros and level 1 as the regions; how far it does is told as precision and recall over pairs of
nodes: of the pairs in one cluster, the share in one metro; of the pairs in one metro, the share in one cluster.

Then every node stores a value, and another node of its metro looks it up as `reef dht trace` does: level 2 must
answer, below 20 ms. Decisions are made every few seconds (--decision-s) in place of every 5 minutes. Exits 0 only when
the clusters settled on the topology, the hints came from the model's routers, the walks held, and the emulator kept
time.
"""
import collections
import contextlib
import http.client
import itertools
import json
import pathlib
import shutil
import time
import urllib.parse

from . import program
from .node import Node, NodeError, stop_all, wait_until
from .report import Progress, environment, percentiles, table, write_json
from .wan import World, WanError, exit_status, healthy, inside, short_health

ALL_REGIONS, ALL_METROS = 6, 4           # of the gazetteer: what is chosen from
NEAR_MS, REGION_MS = 20.0, 60.0          # the thresholds of levels 2 and 1
MARGIN_MS = 1.0                          # between the model and what a busy machine measures
POLL_S = 2.0
LEVELS = {2: "metro", 1: "region"}


def add_arguments(parser):
    parser.add_argument("--nodes", type=int, default=40, help="over all metros alike (default 40)")
    parser.add_argument("--regions", type=int, default=5, help="1..6 (default 5)")
    parser.add_argument("--metros", type=int, default=2, help="metros of each region, 1..3 (default 2)")
    parser.add_argument("--settle-s", type=float, default=300, help="time that the clusters have (default 300)")
    parser.add_argument("--decision-s", type=float, default=10, help="dsht.decision_period of the nodes (default 10)")
    parser.add_argument("--target", type=float, default=1.0, help="least precision and recall (default 1)")
    parser.add_argument("--node-flag", action="append", metavar="FLAG", help="a further flag of every reefd; may be "
                        "given several times")
    parser.add_argument("--keep-logs", metavar="DIR", help="copies the nodes' logs there")


# --- where the nodes stand

def metro_distances(world):
    """{(metro, metro): (least, most)} of the model's round trips in ms between their hosts."""
    spans = {}
    for a, b in itertools.combinations(world.hosts, 2):
        rtt = world.command(f"route {a.name} {b.name}")["rtt_ms"]
        key = tuple(sorted((a.metro, b.metro)))
        low, high = spans.get(key, (rtt, rtt))
        spans[key] = min(low, rtt), max(high, rtt)
    return spans


def choose_metros(world, regions, metros):
    """{region: [metro, ...]}: `metros` of each of `regions` regions that the thresholds tell apart."""
    spans = metro_distances(world)
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

class Place:
    """One node with its host."""

    def __init__(self, world, host, seed, options):
        self.host = host
        flags = ["--zone", "reef.example", "--suffix", "reef.example", "--advertise", host.address, "--workers", "1",
                 "--set", "proxy.cache.disk_bytes=0", "--set", "dsht.first_decision=1s",
                 "--set", f"dsht.decision_period={round(1000 * options.decision_s)}ms",
                 # Both in the proportion that they have to the period by default.
                 "--set", f"dsht.refuse_for={round(3 * options.decision_s)}s",
                 "--set", f"dsht.return_after={round(2 * options.decision_s)}s", *(options.node_flag or [])]
        if seed:
            flags += ["--seed", f"{seed.address}:8091"]
        self.node = Node(host.address, world.state / f"data-{host.name}", name=host.name, flags=flags,
                         prefix=world.prefix(host), admin_address="127.0.0.1", admin_over=self.admin,
                         log_path=world.state / f"node-{host.name}.log")

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


def start(world, places, progress):
    for place in places:
        place.node.start()
        world.record.add(place.node.pid, f"node-{place.node.name}")
    for place in places:
        place.node.wait_ready(60)
    progress.update(f"{len(places)} nodes are up", force=True)


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
    """Waits until two looks in a row are good. Returns (seconds until the first of them or None, history)."""
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


def hints(world, places):
    """For each node what its hints are worth: routers of the model's own among them, and who else of its metro stands
    in the index under the same name."""
    routers = {r["address"] for r in world.routers}
    by_id = {place.ask("/api/status")["id"]: place.host for place in places}
    rows = []
    for place in places:
        status = place.ask("/api/status")
        names = status["hints"]
        seen = [name for name in names if "/" not in name]
        near = set()
        for name in names:
            values = place.ask("/api/dht/get", name=name, domain="hint")["values"]
            hosts = [by_id.get(value["publisher"]) for value in values]
            near |= {h.name for h in hosts if h and h.metro == place.host.metro and h.name != place.host.name}
        rows.append({"node": place.host.name, "hints": len(names), "routers": len(seen),
                     "unknown_routers": sorted(set(seen) - routers), "near_by_hints": len(near),
                     "met_through_hints": status["dsht"]["hinted"]})
    return rows


def walks(places):
    """Every node stores a value; the next node of its metro looks it up."""
    by_metro = collections.defaultdict(list)
    for place in places:
        by_metro[place.host.metro].append(place)
    for place in places:
        stored = place.ask("/api/dht/put", "POST", name=f"from {place.host.name}", value=place.host.name, ttl=600)
        if not stored["stored"]:
            raise NodeError(f"nobody took a value of {place.host.name}")
    rows = []
    for group in by_metro.values():
        for place, asker in zip(group, group[1:] + group[:1]):
            if place is asker:
                continue
            walk = asker.ask("/api/dht/trace", name=f"from {place.host.name}")
            answer = next((s for s in walk["steps"] if s["outcome"] == "values"), None)
            # A value that the asker itself keeps for its cluster needs no request.
            own = walk["end"] == "found" and not walk["steps"]
            rows.append({"from": place.host.name, "by": asker.host.name, "end": walk["end"], "level": walk["level"],
                         "requests": len(walk["steps"]), "hops": walk["hops"],
                         "rtt_ms": answer["rtt_ms"] if answer else 0.0 if own else None,
                         "took_ms": answer["sent_ms"] + answer["rtt_ms"] if answer else 0.0 if own else None})
    return rows


def shown_trace(world, rows, places):
    """What `reef dht trace` prints for one of the walks that asked somebody."""
    row = next((r for r in rows if r["requests"]), rows[0])
    asker = next(p for p in places if p.host.name == row["by"])
    out = world.run(asker.host, [program("reef"), "dht", "trace", f"from {row['from']}"])
    if out.returncode != 0:
        raise NodeError(f"reef dht trace ended with {out.returncode}: {out.stderr.strip()}")
    return f"$ reef dht trace 'from {row['from']}'   # on {row['by']}\n{out.stdout.rstrip()}"


# --- the experiment

def main(options):
    with World(regions=ALL_REGIONS, metros=ALL_METROS, hosts=-(-options.nodes // (options.regions * options.metros)),
               seed=options.seed) as world, Progress("clusters") as progress:
        chosen = choose_metros(world, options.regions, options.metros)
        hosts = [[h for h in world.hosts if h.metro == metro] for metros in chosen.values() for metro in metros]
        # Round robin over the metros, so that neighbours do not join one after the other.
        order = [h for turn in itertools.zip_longest(*hosts) for h in turn if h][:options.nodes]
        places = [Place(world, host, None if i == 0 else order[0], options) for i, host in enumerate(order)]
        try:
            world.command("reset")
            start(world, places, progress)
            wait_until(lambda: all(p.ask("/api/status")["hints"] for p in places), 60, "every node has hints")
            settled_s, history = settle(places, options, progress)
            wait_until(lambda: all(p.ask("/api/status")["dsht"]["hinted"] for p in places), 60,
                       "every node met somebody through its hints")
            ids, agreements, switches = look(places)
            hint_rows = hints(world, places)
            walk_rows = walks(places)
            shown = shown_trace(world, walk_rows, places)
            health = world.health()
        finally:
            if options.keep_logs:
                keep_logs(world, options.keep_logs)
        bad_exits = stop_all([place.node for place in places])

    result = {"experiment": "clusters", "nodes": len(places), "metros": chosen, "seed": options.seed,
              "decision_s": options.decision_s, "settled_s": settled_s, "level_2": agreements[2],
              "level_1": agreements[1], "switches": switches, "hints": hint_rows, "walks": walk_rows,
              "walk_ms": percentiles([r["took_ms"] for r in walk_rows if r["took_ms"] is not None]),
              "history": history, "clusters": ids, "health": short_health(health)}
    result["problems"] = problems = judge(result, options, health, bad_exits)
    result["met"] = not problems
    result["on"] = environment()
    print_result(result, shown)
    for problem in problems:
        print(f"WRONG: {problem}")
    print(f"met: {str(result['met']).lower()}")
    if options.json:
        write_json(options.json, dict(result, thrown_away=options.thrown_away))
    return exit_status(problems, health)


def keep_logs(world, folder):
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    for log in world.state.glob("*.log"):
        shutil.copy(log, folder)


def judge(result, options, health, bad_exits):
    problems = []
    if result["settled_s"] is None:
        problems.append(f"the clusters did not settle on the topology within {options.settle_s:g} s")
    for level, what in LEVELS.items():
        a = result[f"level_{level}"]
        if a["precision"] < options.target or a["recall"] < options.target:
            problems.append(f"level {level} against the {what}s: precision {a['precision']}, recall {a['recall']}")
    for row in result["hints"]:
        if row["routers"] == 0 or row["unknown_routers"]:
            problems.append(f"{row['node']}: {row['routers']} routers as hints, not of the model: "
                            f"{row['unknown_routers']}")
        if row["near_by_hints"] == 0 and len(result["walks"]) > 0:
            problems.append(f"{row['node']}: nobody of its metro stands under its hints")
        if row["met_through_hints"] == 0:
            problems.append(f"{row['node']}: met nobody through its hints")
    for row in result["walks"]:
        if row["end"] != "found" or row["level"] != 2 or row["rtt_ms"] is None or row["rtt_ms"] >= NEAR_MS:
            problems.append(f"{row['by']} looked up what {row['from']} stored: {row['end']} at level {row['level']}, "
                            f"{row['rtt_ms']} ms")
    if bad_exits:
        problems.append(f"nodes that did not end with 0 on SIGTERM: {', '.join(bad_exits)}")
    return problems + [f"not to be trusted: {reason}" for reason in healthy(health)]


def print_result(result, shown):
    rows = []
    for level, what in LEVELS.items():
        a = result[f"level_{level}"]
        rows.append([f"{level} ({what}s)", a["expected"], a["clusters"], f"{a['precision']:.3f}", f"{a['recall']:.3f}",
                     f"{result['switches'][level] / result['nodes']:.1f}"])
    print(table(["level", "in the model", "clusters", "precision", "recall", "switches a node"], rows))
    near = [r["near_by_hints"] for r in result["hints"]]
    met = [r["met_through_hints"] for r in result["hints"]]
    settled = "not" if result["settled_s"] is None else f"{result['settled_s']:.0f} s after all nodes were ready"
    print(f"\nsettled: {settled}; hints: {min(r['hints'] for r in result['hints'])} to "
          f"{max(r['hints'] for r in result['hints'])} a node, {min(near)} to {max(near)} others of its metro under them, "
          f"{min(met)} to {max(met)} contacts found through them")
    ms = result["walk_ms"]
    print(f"{len(result['walks'])} values looked up in their metro: p50 {ms['p50']} ms, p99 {ms['p99']} ms\n\n{shown}\n")
    h = result["health"]
    print(f"emulator: late p99 {h['late_ms_p99']:.2f} ms, {h['cpu_share']:.2f} of a core, {h['overruns']} overruns, "
          f"{h['packets']} packets")
