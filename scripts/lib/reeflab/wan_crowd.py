"""The flash crowd of CoralCDN's evaluation (NSDI 2004, section 6), on an emulated Internet.

nginx serves 12 files of 41 KB (4 pages of 3 files) behind a 384 kbit/s uplink. Reef nodes run in 5 regions, a client
beside each; every region has its own resolver (unbound), which asks Reef's name servers. All clients start in the
same second on cold caches; each fetches all pages in an order of its own, then random pages until --minutes is over.
Every file is a new DNS question and a new connection, and its bytes are compared with the original.

Before it the same clients go to the origin directly (one page each), for comparison; with --independent also through
nodes that do not cooperate. Exits 0 only when the origin sent each object once, nothing failed, all bytes were right,
and the emulator kept time.
"""
import collections
import pathlib

from .plot import Chart
from .report import LOCAL, ORIGIN, PEER, Progress, percentiles, table
from .wan import conclude, emulator_line, short_health
from .wan_stage import ORIGIN_HOST, Stage, add_stage_arguments, make_pages

PAGES, FILES, FILE_BYTES = 4, 3, 41_000
# With all clients at an uplink that carries 1.2 files a second, most wait; what is not done then counts as it stands.
PATIENCE_S = 300


def add_arguments(parser):
    add_stage_arguments(parser)
    parser.add_argument("--minutes", type=float, default=1.0, help="length of the crowd (default 1; the paper's 30)")
    parser.add_argument("--think-s", type=float, default=5.0, help="between two pages of a client, after its first "
                        "round (default 5, as in the paper)")
    parser.add_argument("--spread-s", type=float, default=1.0, help="clients start at random times within this "
                        "(default 1: all at once; the paper's was 180)")
    parser.add_argument("--direct-s", type=float, default=30.0, help="length of the run without Reef; 0: none "
                        "(default 30)")
    parser.add_argument("--independent", action="store_true", help="also run nodes that do not cooperate")
    parser.add_argument("--independent-s", type=float, default=60.0, help="length of that run (default 60)")
    parser.add_argument("--plot", metavar="PREFIX", help="write PREFIX-shares and PREFIX-latency, each as .svg and .png")


def shares(answers):
    """{"local", "peer", "origin"} of the answers whose source is told, to four digits."""
    known = collections.Counter(a.source for a in answers if not a.failed and not a.unfinished and a.source)
    total = sum(known.values())
    return {source: round(known[source] / total, 4) if total else None for source in (LOCAL, PEER, ORIGIN)}


def summary(answers, fetches, objects):
    finished = [a for a in answers if not a.unfinished]
    return {
        "objects": objects, "origin_fetches": len(fetches), "requests": len(answers),
        "unfinished": len(answers) - len(finished),
        "failed": sum(a.failed for a in answers), "wrong_bytes": sum(a.wrong for a in answers),
        "unknown_source": sum(1 for a in finished if not a.failed and a.source is None),
        "shares": shares(answers), "client_ms": percentiles([a.total_ms for a in answers])}


def fetched_again(fetches):
    """[{"path", "by": [addresses]}] of the objects that the origin sent more than once."""
    by = collections.defaultdict(list)
    for fetch in fetches:
        by[fetch.path].append(fetch.address)
    return [{"path": path, "by": addresses} for path, addresses in sorted(by.items()) if len(addresses) > 1]


def run_direct(stage, options, progress):
    """The clients and the origin alone. An unfinished file counts with the time that it had taken so far."""
    mark = stage.origin.mark()
    progress.update("directly to the origin, without Reef", force=True)
    crowd = stage.crowd("direct", host=ORIGIN_HOST, first_pages=1, spread_s=options.spread_s,
                        timeout_s=PATIENCE_S, give_up_s=options.direct_s)
    answers = crowd.wait(options.direct_s + 30)
    stage.origin.wait_idle()
    return answers, stage.origin.fetches(mark)


def run_reef(stage, options, progress, name, **plan):
    mark = stage.origin.mark()
    stage.world.command("reset")
    progress.update(f"the crowd: {len(stage.nodes)} clients", force=True)
    crowd = stage.crowd(name, spread_s=options.spread_s, think_s=options.think_s, timeout_s=PATIENCE_S, **plan)
    answers = crowd.wait(PATIENCE_S + 60 * options.minutes + 60)
    health = stage.world.health()
    return answers, stage.origin.fetches(mark), health


def main(options):
    pages = make_pages(PAGES, FILES, FILE_BYTES, options.seed)
    objects = PAGES * FILES
    independent = None
    direct = []
    with Stage(options, pages) as stage, Progress("flash-crowd") as progress:
        if options.direct_s > 0:
            direct, direct_fetches = run_direct(stage, options, progress)
        progress.update(f"starting {options.nodes} nodes", force=True)
        stage.start_nodes()
        answers, fetches, health = run_reef(stage, options, progress, "crowd", lasts_s=60 * options.minutes)
        bad_exits = stage.stop_nodes()
        if options.independent:
            progress.update("starting nodes that do not cooperate", force=True)
            stage.start_nodes(cooperate=False)
            independent = run_reef(stage, options, progress, "independent", lasts_s=options.independent_s,
                                   give_up_s=options.independent_s)
            stage.stop_nodes()

    result = {"experiment": "flash-crowd", "nodes": options.nodes, "regions": options.regions,
              "uplink_kbit": options.uplink_kbit, "seed": options.seed, "minutes": options.minutes,
              **summary(answers, fetches, objects), "fetched_again": fetched_again(fetches),
              "client_ms_parts": parts(answers), "health": short_health(health)}
    if direct:
        result["direct_ms"] = percentiles([a.total_ms for a in direct])
        result["direct"] = {"requests": len(direct), "unfinished": sum(a.unfinished for a in direct),
                            "origin_fetches": len(direct_fetches), "seconds": options.direct_s}
    if independent:
        result["independent"] = dict(summary(independent[0], independent[1], objects), seconds=options.independent_s,
                                     health=short_health(independent[2]))

    print_result(result, answers, direct, independent)
    status = conclude(options, result, judge(result, bad_exits), health)
    if options.plot:
        for path in plot(options.plot, result, answers, direct, independent):
            print(f"wrote {path}")
    return status


def parts(answers):
    """Where the time went: medians of the name's resolution, of the connection, of the wait, of the body."""
    good = [a for a in answers if not a.failed and not a.unfinished]
    return {"dns": percentiles([a.dns_ms for a in good]),
            "connect": percentiles([a.connect_ms - a.dns_ms for a in good]),
            "first_byte": percentiles([a.first_byte_ms - a.connect_ms for a in good]),
            "body": percentiles([a.total_ms - a.first_byte_ms for a in good])}


def judge(result, bad_exits):
    """What keeps this run from showing what it is for."""
    problems = []
    if result["origin_fetches"] != result["objects"]:
        again = "; ".join(f"{entry['path']} by {', '.join(entry['by'])}" for entry in result["fetched_again"])
        problems.append(f"{result['origin_fetches']} origin fetches for {result['objects']} objects ({again})")
    for key, what in (("failed", "requests failed"), ("wrong_bytes", "answers had wrong bytes"),
                      ("unknown_source", "answers did not tell their source"), ("unfinished", "requests did not end")):
        if result[key]:
            problems.append(f"{result[key]} {what}")
    if bad_exits:
        problems.append(f"nodes that did not end with 0 on SIGTERM: {', '.join(bad_exits)}")
    return problems


def percent(share):
    return "-" if share is None else f"{100 * share:.1f} %"


def print_result(result, answers, direct, independent):
    def row(name, part, fetches):
        ms = percentiles([a.total_ms for a in part])
        told = shares(part)
        return [name, len(part), sum(a.failed for a in part), *[percent(told[s]) for s in (LOCAL, PEER, ORIGIN)],
                fetches, ms["p50"], ms["p96"], ms["p99"]]

    rows = []
    if direct:
        d = result["direct"]
        rows.append(row("direct", direct, d["origin_fetches"]))
        rows[-1][3:6] = ["-", "-", "-"]
    if independent:
        rows.append(row("independent", independent[0], len(independent[1])))
    rows.append(row("Reef", answers, result["origin_fetches"]))
    for minute in range(int(max(a.start_s for a in answers) // 60) + 1):
        part = [a for a in answers if 60 * minute <= a.start_s < 60 * (minute + 1)]
        if part:
            rows.append(row(f"  minute {minute + 1}", part, ""))
    print(table(["run", "requests", "failed", "local", "peer", "origin", "origin fetches", "p50 ms", "p96 ms",
                 "p99 ms"], rows))
    if direct and result["direct"]["unfinished"]:
        print(f"direct: {result['direct']['unfinished']} requests had not ended after {result['direct']['seconds']:g} s "
              "and count with the time they had taken")
    if independent and result["independent"]["unfinished"]:
        print(f"independent: {result['independent']['unfinished']} requests had not ended after "
              f"{result['independent']['seconds']:g} s and count with the time they had taken")
    print(f"\n{result['origin_fetches']} origin fetches for {result['objects']} objects (CoralCDN: 15 for 12), "
          f"{result['failed']} failed, {result['wrong_bytes']} wrong; {emulator_line(result['health'])}")


def plot(prefix, result, answers, direct, independent):
    prefix = pathlib.Path(prefix)
    step = 5 if result["minutes"] <= 2 else 60
    last = int(max(a.start_s for a in answers) // step)
    groups, columns = [], {"own cache": [], "another node": [], "origin": []}
    for i in range(last + 1):
        part = [a for a in answers if step * i <= a.start_s < step * (i + 1)]
        told = shares(part)
        groups.append(f"{step * i} s" if step < 60 else f"{i + 1}")
        for name, source in zip(columns, (LOCAL, PEER, ORIGIN)):
            columns[name].append(100 * (told[source] or 0))
    where = (f"{result['nodes']} nodes in {result['regions']} regions, 12 files of 41 KB behind "
             f"{result['uplink_kbit']} kbit/s")
    share = Chart("Where a flash crowd's answers came from", x="time since the crowd started"
                  if step < 60 else "minute", y="% of requests", y_max=100,
                  subtitle=f"{where}; {result['origin_fetches']} origin fetches")
    share.stack(groups, columns)
    latency = Chart("What the clients waited for a file", x="seconds: DNS + connect + fetch", y="% of requests",
                    y_max=100, subtitle=where)
    latency.cdf("through Reef", [a.total_ms / 1000 for a in answers])
    if independent:
        latency.cdf("nodes that do not cooperate", [a.total_ms / 1000 for a in independent[0]])
    if direct:
        latency.cdf("directly to the origin", [a.total_ms / 1000 for a in direct])
    return (share.write(prefix.with_name(prefix.name + "-shares.svg")) +
            latency.write(prefix.with_name(prefix.name + "-latency.svg")))
