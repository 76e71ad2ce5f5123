"""What clients wait for a file, DNS, connection and fetch, as in CoralCDN's paper (NSDI 2004, §6.2), three times:

    single level            one index and one cluster of everybody, answers by chance
    multi-level             clusters by round trip; DNS knows a resolver by a ping only
    multi-level, traceroute also by the routers on the way to it

An origin behind 384 kbit/s has 12 files of 41 KB, 4 pages of 3. Clients fetch all files of a random page at once, think,
and go on; each variant has nodes, resolvers and caches of its own, all empty. Judged: each variant is better than the
one before at the median and at the 96th percentile.
"""
import pathlib

from .plot import Chart
from .report import Progress, percentiles, table
from .wan import conclude, emulator_line, healthy, short_health
from .wan_browse import BrowseWorld, add_browse_arguments
from .wan_crowd import FILE_BYTES, FILES, PAGES, parts
from .wan_dns import CORAL
from .wan_near import Nearness, percent
from .wan_stage import make_pages

VARIANTS = {  # what nodes are told, and whether there are levels
    "single level": (["--set", "dns.locate=false"], True),
    "multi-level": (["--set", "dns.traces=false"], False),
    "multi-level, traceroute": ([], False),
}
QUANTILES = ("p50", "p96")
SHOWN_S_MAX = 3.0


def add_arguments(parser):
    add_browse_arguments(parser)
    parser.add_argument("--uplink-kbit", type=int, default=384, help="the origin's uplink, kbit/s (default 384)")
    parser.add_argument("--queue-kib", type=int, default=64, help="queue before that uplink, KiB (default 64)")
    parser.add_argument("--plot", metavar="PREFIX", help="write PREFIX-cdf as .svg and .png")


def run_variant(browse, name, flags, flat, options, progress):
    """(answers, settled after so many seconds, health, problems)"""
    progress.update(f"{name}: starting nodes", force=True)
    browse.start_resolvers()
    settled_s = browse.start_nodes(flags, progress, flat)
    browse.world.command("reset")
    lasts_s = 60 * options.minutes
    crowd = browse.crowd(name.replace(" ", "-").replace(",", ""), first_pages=1, lasts_s=lasts_s, timeout_s=60)
    browse.watch(crowd, lasts_s + 120, progress)
    answers = crowd.wait(10)
    health = browse.world.health()
    problems = [f"{name}: {reason}" for reason in healthy(health)]
    bad_exits = browse.stop_nodes()
    if bad_exits:
        problems.append(f"{name}: nodes that did not end with 0 on SIGTERM: {', '.join(bad_exits)}")
    if settled_s is None:
        problems.append(f"{name}: the clusters did not settle on the topology within {options.settle_s:g} s")
    return answers, settled_s, health, problems


def main(options):
    pages = make_pages(PAGES, FILES, FILE_BYTES, options.seed)
    rows, problems, healths, everything = [], [], [], {}
    uplink = (options.uplink_kbit, options.queue_kib * 1024, "fifo")
    with BrowseWorld(options, pages, 1, uplink) as browse, Progress("latency", every_s=20) as progress:
        for name, (flags, flat) in VARIANTS.items():
            answers, settled_s, health, wrong = run_variant(browse, name, flags, flat, options, progress)
            everything[name] = answers
            healths.append(health)
            problems += wrong
            rows.append({"variant": name, "settled_s": settled_s, **figures(browse, answers),
                         "health": short_health(health)})
            if healthy(health):
                break  # nothing that follows could be compared with it
    problems += judge(rows)
    result = {"experiment": "latency", "nodes": options.nodes, "metros": browse.metros, "seed": options.seed,
              "minutes": options.minutes, "clients": len(browse.clients), "uplink_kbit": options.uplink_kbit,
              "one_zone": options.one_zone, "variants": rows}
    print_table(rows)
    status = conclude(options, result, problems, *healths)
    if options.plot:
        for path in plot(options.plot, result, everything):
            print(f"wrote {path}")
    return status


def figures(browse, answers):
    near = Nearness(browse).summary(answers)
    warm = [a for a in answers if a.start_s >= 60]
    return {"requests": len(answers), "failed": sum(a.failed or a.unfinished for a in answers),
            "wrong_bytes": sum(a.wrong for a in answers), "ms": percentiles([a.total_ms for a in answers]),
            "ms_after_a_minute": percentiles([a.total_ms for a in warm]), "parts": parts(answers),
            "in_metro": near["addresses_in_metro"], "rtt_ms": near["rtt_ms"], "best_ms": near["best_ms"]}


def judge(rows):
    problems = []
    for row in rows:
        if row["failed"] or row["wrong_bytes"]:
            problems.append(f"{row['variant']}: {row['failed']} requests failed, {row['wrong_bytes']} had wrong bytes")
    for before, row in zip(rows, rows[1:]):
        for q in QUANTILES:
            if row["ms"][q] is None or before["ms"][q] is None or row["ms"][q] >= before["ms"][q]:
                problems.append(f"{row['variant']} is not better than {before['variant']} at {q}: {row['ms'][q]} ms after "
                                f"{before['ms'][q]}")
    if len(rows) < len(VARIANTS):
        problems.append(f"{len(rows)} of {len(VARIANTS)} variants were run")
    return problems


def print_table(rows):
    coral = {name: (median, p96) for name, median, p96 in CORAL}
    cells = []
    for row in rows:
        median, p96 = coral[row["variant"]]
        cells.append([row["variant"], row["requests"], row["failed"], row["ms"]["p50"], row["ms"]["p96"],
                      row["ms_after_a_minute"]["p50"], row["ms_after_a_minute"]["p96"], row["parts"]["dns"]["p50"],
                      row["parts"]["dns"]["p96"], percent(row["in_metro"]), row["rtt_ms"]["p50"],
                      f"{1000 * median:.0f}", f"{1000 * p96:.0f}"])
    print(table(["variant", "requests", "failed", "p50 ms", "p96 ms", "from 60 s: p50", "p96", "DNS p50", "p96",
                 "own metro", "proxy RTT p50", "CoralCDN p50", "p96"], cells))
    for row in rows:
        print(f"{row['variant']}: {emulator_line(row['health'])}")


def plot(prefix, result, everything):
    prefix = pathlib.Path(prefix)
    chart = Chart("What clients waited for a file", x="seconds: DNS + connect + fetch", y="% of requests", y_max=100,
                  subtitle=f"{result['nodes']} nodes in {sum(map(len, result['metros'].values()))} metros, "
                           f"{result['clients']} clients, {result['minutes']:g} min, origin behind "
                           f"{result['uplink_kbit']} kbit/s")
    for name, answers in everything.items():
        ordered = sorted(a.total_ms / 1000 for a in answers)
        # The tail of cold caches would leave the rest no room.
        chart.step(name, [(v, 100 * (i + 1) / len(ordered)) for i, v in enumerate(ordered) if v <= SHOWN_S_MAX])
    return chart.write(prefix.with_name(prefix.name + "-cdf.svg"))
