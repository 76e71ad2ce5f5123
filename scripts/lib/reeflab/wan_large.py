"""Long objects in two waves, on an emulated Internet: every body comes from the origin once, then from many nodes.

nginx serves objects of --sizes behind --uplink-kbit; all nodes have lines of --node-kbit, up and down. The clients of
the first half of the nodes come in the same second on cold caches, each to the node beside it, and fetch all objects
in an order of their own: a node follows another one's fetch, and one fetches from the origin. The other half comes
when that is over, and their nodes find several complete copies: parts of a body from several nodes at once.

--one-source keeps to one source for each body, for comparison. Exits 0 only when the origin sent each object once,
nothing failed, all bytes were right, nodes of the second wave took parts (not with --one-source), and the emulator
kept time.
"""
import random
import re

from .node import wait_until
from .report import Progress, percentiles, table
from .wan import conclude, emulator_line, short_health
from .wan_crowd import fetched_again, summary
from .wan_stage import File, Stage, add_stage_arguments

UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20}
COUNTERS = ("parts", "part_fills", "part_sources", "peer_fetches", "peer_failures", "peer_lies", "hedges",
            "fills_resumed", "peer_bytes", "origin_bytes", "announces", "announces_found")


def size(text):
    found = re.fullmatch(r"(\d+)(KiB|MiB|)", text)
    if not found:
        raise ValueError(text)
    return int(found[1]) * UNITS[found[2]]


def sizes(text):
    return [size(word) for word in text.split(",")]


def add_arguments(parser):
    add_stage_arguments(parser, nodes=8, queue="fair", queue_kib=256, uplink_kbit=10_000)
    parser.add_argument("--sizes", type=sizes, default=sizes("2MiB,2MiB,2MiB,50MiB"), metavar="SIZE,SIZE,...",
                        help="of the objects (default 2MiB,2MiB,2MiB,50MiB)")
    parser.add_argument("--node-kbit", type=int, default=20_000, help="each node's line, up and down (default 20000)")
    parser.add_argument("--one-source", action="store_true", help="each body from one source at a time")
    parser.add_argument("--patience-s", type=float, default=600, help="of a client, for one object (default 600)")


def make_objects(options):
    """Pages of one file each, so that a client fetches one object after the other."""
    source = random.Random(options.seed)
    return [[File(f"/large{i}-{bytes_}", source.randbytes(bytes_))] for i, bytes_ in enumerate(options.sizes)]


def counters(stage):
    """Of all nodes together."""
    known = [node.status()["proxy"] for node in stage.nodes]
    return {name: sum(node[name] for node in known) for name in COUNTERS}


def run_wave(stage, options, progress, name, clients):
    before, mark = counters(stage), stage.origin.mark()
    stage.world.command("reset")
    progress.update(f"the {name} wave: {len(clients)} clients", force=True)
    crowd = stage.crowd(name, clients=clients, timeout_s=options.patience_s)
    answers = crowd.wait(options.patience_s * len(options.sizes))
    health = stage.world.health()
    # A client has the last byte a moment before its node has stored the object.
    wait_until(lambda: not any(node.status()["proxy"]["fills_open"] for node in stage.nodes), 30,
               "all bodies are complete")
    after = counters(stage)
    return answers, stage.origin.fetches(mark), health, {key: after[key] - before[key] for key in COUNTERS}


def wave_summary(answers, fetches, health, told, options):
    by_size = {}
    for bytes_ in sorted(set(options.sizes)):
        part = [a for a in answers if a.path.endswith(f"-{bytes_}")]
        by_size[str(bytes_)] = {"total_ms": percentiles([a.total_ms for a in part]),
                                "first_byte_ms": percentiles([a.first_byte_ms for a in part])}
    return {**summary(answers, fetches, len(options.sizes)), "by_size": by_size, "nodes_did": told,
            "sources_per_body_in_parts":
                round(told["part_sources"] / told["part_fills"], 2) if told["part_fills"] else None,
            "health": short_health(health)}


def main(options):
    if options.one_source:
        options.node_flag = [*(options.node_flag or []), "--set", "proxy.peer.part_sources_max=1"]
    with Stage(options, make_objects(options)) as stage, Progress("large") as progress:
        for host in stage.node_hosts:
            for way in ("up", "down"):
                stage.world.command(f"cap {host.name} {way} {options.node_kbit}k {256 << 10} fair")
        progress.update(f"starting {options.nodes} nodes", force=True)
        stage.start_nodes()
        clients = stage.clients(to_node=True)
        half = (len(clients) + 1) // 2
        waves = [run_wave(stage, options, progress, "first", clients[:half])]
        waves.append(run_wave(stage, options, progress, "second", clients[half:]))
        bad_exits = stage.stop_nodes()

    fetches = waves[0][1] + waves[1][1]
    result = {"experiment": "large", "nodes": options.nodes, "regions": options.regions, "sizes": options.sizes,
              "uplink_kbit": options.uplink_kbit, "node_kbit": options.node_kbit, "seed": options.seed,
              "one_source": options.one_source, "origin_fetches": len(fetches), "objects": len(options.sizes),
              "fetched_again": fetched_again(fetches), "first": wave_summary(*waves[0], options),
              "second": wave_summary(*waves[1], options)}
    print_result(result)
    return conclude(options, result, judge(result, bad_exits), *(wave[2] for wave in waves))


def judge(result, bad_exits):
    """What keeps this run from showing what it is for."""
    problems = []
    if result["origin_fetches"] != result["objects"]:
        again = "; ".join(f"{entry['path']} by {', '.join(entry['by'])}" for entry in result["fetched_again"])
        problems.append(f"{result['origin_fetches']} origin fetches for {result['objects']} objects ({again})")
    for wave in ("first", "second"):
        for key, what in (("failed", "requests failed"), ("wrong_bytes", "answers had wrong bytes"),
                          ("unfinished", "requests did not end")):
            if result[wave][key]:
                problems.append(f"{wave} wave: {result[wave][key]} {what}")
    taken = result["second"]["nodes_did"]["part_fills"]
    if not result["one_source"] and not taken:
        problems.append("no node of the second wave took parts from several sources")
    if result["one_source"] and taken:
        problems.append(f"{taken} bodies came from several sources though one was allowed")
    if bad_exits:
        problems.append(f"nodes that did not end with 0 on SIGTERM: {', '.join(bad_exits)}")
    return problems


def print_result(result):
    rows = []
    for wave in ("first", "second"):
        part = result[wave]
        for bytes_, times in part["by_size"].items():
            rows.append([wave, f"{int(bytes_) / (1 << 20):g} MiB", times["first_byte_ms"]["p50"],
                         times["total_ms"]["p50"], times["total_ms"]["p96"]])
    print(table(["wave", "object", "first byte p50 ms", "p50 ms", "p96 ms"], rows))
    for wave in ("first", "second"):
        did = result[wave]["nodes_did"]
        print(f"{wave} wave: {did['part_fills']} bodies in parts, from {result[wave]['sources_per_body_in_parts']} "
              f"sources each; {did['parts']} parts, {did['peer_fetches']} fetches from nodes, "
              f"{did['peer_failures']} failed; {did['peer_bytes']} bytes from nodes, {did['origin_bytes']} from the origin")
    print(f"\n{result['origin_fetches']} origin fetches for {result['objects']} objects; "
          f"{emulator_line(result['second']['health'])}")
