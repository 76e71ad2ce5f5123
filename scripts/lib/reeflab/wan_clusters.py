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
import itertools

from . import program
from .node import NodeError, stop_all, wait_until
from .report import Progress, percentiles, table
from .wan import World, conclude, emulator_line, short_health
from .wan_places import (ALL_METROS, ALL_REGIONS, LEVELS, NEAR_MS, Place, choose_metros, look, quick_decisions,
                         settle, start)


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


# --- what they came to

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
               seed=options.seed, keep_logs=options.keep_logs) as world, Progress("clusters") as progress:
        chosen = choose_metros(world, options.regions, options.metros)
        hosts = [[h for h in world.hosts if h.metro == metro] for metros in chosen.values() for metro in metros]
        # Round robin over the metros, so that neighbours do not join one after the other.
        order = [h for turn in itertools.zip_longest(*hosts) for h in turn if h][:options.nodes]
        flags = ["--zone", "reef.example", "--suffix", "reef.example", "--set", "proxy.cache.disk_bytes=0",
                 *quick_decisions(options.decision_s)]
        seed = ["--seed", f"{order[0].address}:8091"]
        places = [Place(world, host, flags + (seed if i else []) + (options.node_flag or []))
                  for i, host in enumerate(order)]
        world.command("reset")
        start(world, places)
        progress.update(f"{len(places)} nodes are up", force=True)
        wait_until(lambda: all(p.ask("/api/status")["hints"] for p in places), 60, "every node has hints")
        settled_s, history = settle(places, options, progress)
        wait_until(lambda: all(p.ask("/api/status")["dsht"]["hinted"] for p in places), 60,
                   "every node met somebody through its hints")
        ids, agreements, switches = look(places)
        hint_rows = hints(world, places)
        walk_rows = walks(places)
        shown = shown_trace(world, walk_rows, places)
        health = world.health()
        bad_exits = stop_all([place.node for place in places])

    result = {"experiment": "clusters", "nodes": len(places), "metros": chosen, "seed": options.seed,
              "decision_s": options.decision_s, "settled_s": settled_s, "level_2": agreements[2],
              "level_1": agreements[1], "switches": switches, "hints": hint_rows, "walks": walk_rows,
              "walk_ms": percentiles([r["took_ms"] for r in walk_rows if r["took_ms"] is not None]),
              "history": history, "clusters": ids, "health": short_health(health)}
    print_result(result, shown)
    return conclude(options, result, judge(result, options, bad_exits), health)


def judge(result, options, bad_exits):
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
    return problems


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
    print(emulator_line(result["health"]))
