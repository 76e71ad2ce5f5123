"""The nodes' own traceroute between random pairs of hosts, against the model of the emulated Internet.

Each pair is traced as a node traces what is near it (the same code, over real sockets): the hops must be the model's,
in the model's places, the median trace done within 2.2 round trips to the target, and what it sends at most 600 bytes,
IP headers included, counted by the emulator. Then the same pairs again with losses on every host's line, each way: at
least 95 % of the model's hops must be found where they are. At last a node is asked for some of them by `reef trace`.
"""
import json
import random
import re
import statistics
import subprocess

from . import program
from .node import NodeError
from .report import Progress, percentile, table
from .wan import WanError, World, binary, conclude, emulator_line, short_health
from .wan_places import Place, start

TRACE_PORT = 33434
RTTS_MAX = 2.2          # of the median trace
BYTES_MAX = 600         # of each trace without loss
FOUND_MIN = 0.95        # of the hops, with loss


def add_arguments(parser):
    parser.add_argument("--pairs", type=int, default=500, help="random pairs of hosts (default 500)")
    parser.add_argument("--hosts", type=int, default=8, help="hosts in each metro (default 8)")
    parser.add_argument("--metros", type=int, default=3, help="metros in each region, 1..4 (default 3)")
    parser.add_argument("--at-once", type=int, default=4, help="traces that run at the same time (default 4)")
    parser.add_argument("--loss", type=float, default=0.05, help="share lost on each line and way (default 0.05)")
    parser.add_argument("--silent-share", type=float, default=0.0,
                        help="routers that never answer (default 0); a hop without an answer is then right for them")
    parser.add_argument("--commands", type=int, default=5, help="pairs that `reef trace` is asked for too (default 5)")


def choose_pairs(world, count, source):
    """`count` different ordered pairs of hosts."""
    every = [(a, b) for a in world.hosts for b in world.hosts if a is not b]
    if count > len(every):
        raise WanError(f"{len(world.hosts)} hosts have {len(every)} pairs; {count} are asked for")
    return source.sample(every, count)


class Route:
    """What the model says of a pair."""

    def __init__(self, world, a, b):
        told = world.command(f"route {a.name} {b.name}")
        self.pair, self.rtt_ms = f"{a.name} {b.name}", told["rtt_ms"]
        self.hops = [None if r["silent"] else r["address"] for r in told["routers"]] + [b.address]


def run_traces(world, pairs, at_once):
    """What the traces found, in the order of `pairs`."""
    lines = "".join(f"{a.netns} {b.address}\n" for a, b in pairs)
    out = subprocess.run([binary("reef_wan_trace"), str(at_once)], input=lines, capture_output=True, text=True,
                         timeout=30 + 5 * len(pairs))
    if out.returncode != 0:
        raise WanError(f"reef_wan_trace ended with {out.returncode}: {out.stderr.strip()}")
    found = {(t["netns"], t["target"]): t for t in map(json.loads, out.stdout.splitlines())}
    return [found[a.netns, b.address] for a, b in pairs]


def sent_bytes(world, pairs):
    """IP bytes of each pair's probes, as the emulator has counted them since `count`."""
    counts = {(c["from"], c["to"]): c["bytes"] for c in world.command("counts")["counts"]}
    return [counts.get((a.name, b.name), 0) for a, b in pairs]


def hops_found(trace, route):
    """Of the model's hops that answer at all, those that stand in the same place: (found, all)."""
    answering = [i for i, hop in enumerate(route.hops) if hop is not None]
    right = sum(i < len(trace["hops"]) and trace["hops"][i] == route.hops[i] for i in answering)
    return right, len(answering)


def ask_node(world, host, targets):
    """[(target, output)] of `reef trace` on a host that runs a node."""
    place = Place(world, host, [])
    start(world, [place])
    shown = []
    for target in targets:
        out = world.run(host, [program("reef"), "trace", target.address])
        if out.returncode != 0:
            raise NodeError(f"reef trace {target.address} ended with {out.returncode}: {out.stderr.strip()}")
        shown.append((target, out.stdout.rstrip()))
    place.node.stop()
    return shown


def printed_hops(text):
    """The addresses that `reef trace` printed by hop; None for one that did not answer."""
    hops = re.findall(r"^\s*\d+\s+(\S+)", text, re.MULTILINE)
    return [None if hop == "*" else hop for hop in hops]


# --- the experiment

def measure(world, options, progress):
    """(figures, what contradicts the model, what `reef trace` printed last)"""
    pairs = choose_pairs(world, options.pairs, random.Random(options.seed))
    routes = [Route(world, a, b) for a, b in pairs]
    progress.update(f"{len(pairs)} pairs", force=True)
    world.command(f"count {TRACE_PORT}")
    traces = run_traces(world, pairs, options.at_once)
    sent = sent_bytes(world, pairs)
    progress.update(f"the same with {100 * options.loss:g} % loss", force=True)
    for way in ("up", "down"):
        world.command(f"loss all {way} {options.loss}")
    lossy = run_traces(world, pairs, options.at_once)
    for way in ("up", "down"):
        world.command(f"loss all {way} 0")

    differ = [f"{r.pair}: {t['end']}, saw {t['hops']}, the model has {r.hops}"
              for t, r in zip(traces, routes) if t["hops"] != r.hops or t["end"] != "reached"]
    found = [hops_found(t, r) for t, r in zip(lossy, routes)]
    rtts = [t["took_ms"] / r.rtt_ms for t, r in zip(traces, routes)]
    lossy_rtts = [t["took_ms"] / r.rtt_ms for t, r in zip(lossy, routes)]
    result = {"experiment": "trace", "pairs": len(pairs), "seed": options.seed, "loss": options.loss,
              "silent_share": options.silent_share, "same_hops": len(pairs) - len(differ), "differ": differ,
              "hops": spread([len(r.hops) for r in routes]), "rtt_ms": spread([r.rtt_ms for r in routes]),
              "rtts": spread(rtts), "bytes": spread(sent), "probes": spread([t["probes"] for t in traces]),
              "lossy_rtts": spread(lossy_rtts), "lossy_probes": spread([t["probes"] for t in lossy]),
              "lossy_reached": sum(t["end"] == "reached" for t in lossy),
              "lossy_hops_found": round(sum(f for f, _ in found) / sum(n for _, n in found), 4)}
    host = pairs[0][0]
    targets = list(dict.fromkeys(b for _, b in pairs if b is not host))[:options.commands]
    shown = ask_node(world, host, targets) if targets else []
    wrong = [f"reef trace on {host.name}: {printed_hops(text)}, the model has {Route(world, host, target).hops}"
             for target, text in shown if printed_hops(text) != Route(world, host, target).hops]
    text = f"$ reef trace {shown[-1][0].address}   # on {host.name}\n{shown[-1][1]}" if shown else ""
    return dict(result, commands=len(shown)), wrong, text


def spread(values):
    return {"p50": round(statistics.median(values), 3), "p96": round(percentile(values, 96), 3),
            "max": round(max(values), 3)}


def judge(result):
    problems = [f"the hops differ: {text}" for text in result["differ"][:5]]
    if len(result["differ"]) > 5:
        problems.append(f"the hops of {len(result['differ'])} pairs differ in all")
    if result["rtts"]["p50"] > RTTS_MAX:
        problems.append(f"the median trace takes {result['rtts']['p50']} round trips (at most {RTTS_MAX})")
    if result["bytes"]["max"] > BYTES_MAX:
        problems.append(f"a trace sends {result['bytes']['max']} bytes (at most {BYTES_MAX})")
    if result["lossy_hops_found"] < FOUND_MIN:
        problems.append(f"with loss {100 * result['lossy_hops_found']:.2f} % of the hops are found (at least "
                        f"{100 * FOUND_MIN:g})")
    return problems


def main(options):
    with World(metros=options.metros, hosts=options.hosts, seed=options.seed,
               silent_share=options.silent_share) as world, Progress("trace") as progress:
        world.command("reset")
        result, wrong, shown = measure(world, options, progress)
        health = world.health()
    result["health"] = short_health(health)
    print_result(result, shown)
    return conclude(options, result, judge(result) + wrong, health)


def print_result(result, shown):
    def row(name, key, digits=1, bound=""):
        return [name, *[f"{result[key][p]:.{digits}f}" for p in ("p50", "p96", "max")], bound]

    print(table(["", "p50", "p96", "max", "bound"], [
        row("hops, the target included", "hops", 0), row("round trip to the target, ms", "rtt_ms"),
        row("duration, in round trips", "rtts", 2, f"p50 {RTTS_MAX}"), row("bytes sent", "bytes", 0, f"max {BYTES_MAX}"),
        row("probes sent", "probes", 0), row("with loss: duration, in round trips", "lossy_rtts", 2),
        row("with loss: probes sent", "lossy_probes", 0)]))
    print(f"\n{result['same_hops']} of {result['pairs']} pairs have the model's hops; with {100 * result['loss']:g} % loss "
          f"on each line and way {100 * result['lossy_hops_found']:.2f} % of the hops are found (at least "
          f"{100 * FOUND_MIN:g}), {result['lossy_reached']} targets reached")
    if shown:
        print(f"\n{shown}\n")
    print(emulator_line(result["health"]))
