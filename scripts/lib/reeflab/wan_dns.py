"""Does DNS lead every browser to a near node, and keep it there?

40 nodes in 10 metros of 5 regions form their clusters. Then clients browse through three recursive resolvers in each
region (unbound, bind9, knot-resolver, as Debian has them) that start with the root hints only. Everything is read at
the clients and in the network: which addresses a client was told, which node served it, and, packet by packet as the
emulator counts them, which name servers the resolvers asked.

Judged is the minute (--judged-s) after --minutes of browsing: at least 95 % of the answers name nodes of the client's
own metro only, the round trip from client to proxy is at the median within 1.3 times of the best possible and at the
96th percentile within twice, and at least 95 % of the queries for Reef's zones go to name servers less than 20 ms away.

--kill-metro  afterwards all nodes of a metro are killed (--silent: their lines die too): the clients there must be
              served by the next nearest within the TTL of addresses and 10 s, no question may end with SERVFAIL; the
              nodes come back, and within 5 minutes 95 % of the answers there are local again
--ecs         instead: one unbound far from its clients that sends their networks (RFC 7871) and one that does not
"""
import pathlib

from . import wan_dns_ecs, wan_dns_kill
from .plot import Chart
from .report import Progress, table
from .wan import conclude, emulator_line, short_health
from .wan_browse import BrowseWorld, add_browse_arguments
from .wan_near import Nearness, percent
from .wan_stage import make_pages

FILE_BYTES = 4096
IN_METRO_MIN, NEAR_QUERIES_MIN = 0.95, 0.95
OVER_BEST_P50_MAX, OVER_BEST_P96_MAX = 1.3, 2.0
MINUTE_S = 60.0
# Freedman, Freudenthal, Mazieres, "Democratizing content publication with Coral", NSDI 2004, §6.2: seconds for DNS,
# connection and fetch, median and 96th percentile.
CORAL = (("single level", 0.79, 9.54), ("multi-level", 0.31, 4.17), ("multi-level, traceroute", 0.19, 2.50))


def add_arguments(parser):
    add_browse_arguments(parser)
    parser.add_argument("--judged-s", type=float, default=60, help="the time after --minutes that is judged (default 60)")
    parser.add_argument("--sites", type=int, default=40, help="sites that are browsed (default 40)")
    parser.add_argument("--quick", action="store_true", help="for runs of seconds, in which resolvers still learn: judges that "
                        "most answers and most queries are near, and that nothing fails")
    parser.add_argument("--kill-metro", action="store_true", help="then kill a metro's nodes and bring them back")
    parser.add_argument("--silent", action="store_true", help="with --kill-metro: cut their lines as well")
    parser.add_argument("--ecs", action="store_true", help="far resolvers with and without client subnets instead")
    parser.add_argument("--plot", metavar="PREFIX", help="write PREFIX-near and PREFIX-rtt as .svg and .png")


def main(options):
    pages = make_pages(1, 1, FILE_BYTES, options.seed)
    with BrowseWorld(options, pages, options.sites) as browse, Progress("dns", every_s=20) as progress:
        settled_s = browse.start_nodes([], progress)
        browse.world.command("reset")
        if options.ecs:
            result, problems = wan_dns_ecs.run(browse, options, progress)
        else:
            result, problems = run(browse, options, progress)
        health = browse.world.health()
        bad_exits = browse.stop_nodes()
    result = {"experiment": "dns", "nodes": options.nodes, "metros": browse.metros, "seed": options.seed,
              "minutes": options.minutes, "clients": len(browse.clients), "sites": options.sites,
              "one_zone": options.one_zone, "settled_s": settled_s, **result, "health": short_health(health)}
    if settled_s is None and not options.quick:
        problems.insert(0, f"the clusters did not settle on the topology within {options.settle_s:g} s")
    if bad_exits:
        problems.append(f"nodes that did not end with 0 on SIGTERM: {', '.join(bad_exits)}")
    print(f"\n{emulator_line(result['health'])}")
    status = conclude(options, result, problems, health)
    if options.plot and "by_minute" in result:
        for path in plot(options.plot, result):
            print(f"wrote {path}")
    return status


def run(browse, options, progress):
    """(figures, problems) of browsing, and of the metro's death where that is asked for."""
    marks = row_ends(options)
    browsing_s = marks[-1]
    timeline = wan_dns_kill.Timeline(browse, browsing_s, options.silent) if options.kill_metro else None
    lasts_s = timeline.end_s if timeline else browsing_s
    crowd = browse.crowd("browse", first_pages=1, lasts_s=lasts_s)
    looks = browse.watch(crowd, lasts_s + 120, progress, marks, timeline.events() if timeline else ())
    answers = crowd.wait(10)
    near = Nearness(browse)
    minutes = by_minute(near, [a for a in answers if a.start_s < browsing_s], looks)
    result = {"by_minute": minutes, "judged": minutes[-1], "by_resolver": by_resolver(browse, near, answers, minutes[-1])}
    print_table(result)
    problems = judge_quickly(result["judged"]) if options.quick else judge(result["judged"])
    failed = [a for a in answers if a.failed and a.start_s < browsing_s]
    if failed:
        problems.append(f"{len(failed)} of the requests while all nodes lived failed, e.g. '{failed[0].error}' "
                        f"({failed[0].status}) for {failed[0].client} after {failed[0].start_s:.0f} s")
    if timeline:
        result["kill_metro"], more = timeline.judge(answers, crowd.started)
        problems += more
    return result, problems


def row_ends(options):
    """Seconds at which the rows of the table end: full minutes, the end of --minutes, and what is judged."""
    browsed = MINUTE_S * options.minutes
    ends = [MINUTE_S * i for i in range(1, int(options.minutes) + 1)]
    return [*(end for end in ends if end < browsed), browsed, browsed + options.judged_s]


def by_minute(near, answers, looks):
    """A row for each mark, the last one being the judged time."""
    rows, low, before = [], 0.0, {}
    for high in sorted(looks):
        part = [a for a in answers if low <= a.start_s < high]
        rows.append({"from_s": low, "to_s": high, **near.summary(part), **near.queries(before, looks[high])})
        low, before = high, looks[high]
    return rows


def by_resolver(browse, near, answers, row):
    """The judged time for each kind of resolver."""
    kinds = {c.host.name: c.resolver.kind for c in browse.clients}
    last = [a for a in answers if row["from_s"] <= a.start_s < row["to_s"]]
    return {kind: near.summary([a for a in last if kinds[a.client] == kind]) for kind in sorted(set(kinds.values()))}


def judge(row):
    problems = []
    if row["all_in_metro"] is None or row["all_in_metro"] < IN_METRO_MIN:
        problems.append(f"{percent(row['all_in_metro'])} of the answers name nodes of the client's metro only (at least "
                        f"{percent(IN_METRO_MIN)})")
    for p, most in (("p50", OVER_BEST_P50_MAX), ("p96", OVER_BEST_P96_MAX)):
        if row["over_best"][p] is None or row["over_best"][p] > most:
            problems.append(f"the round trip to the proxy is at {p} {row['over_best'][p]} times the best possible (at most "
                            f"{most})")
    if row["near_queries"] is None or row["near_queries"] < NEAR_QUERIES_MIN:
        problems.append(f"{percent(row['near_queries'])} of the queries go to name servers less than 20 ms away (at least "
                        f"{percent(NEAR_QUERIES_MIN)})")
    return problems


def judge_quickly(row):
    return [f"{percent(row[key])} of the {what} are near (at least half)"
            for key, what in (("first_in_metro", "answers"), ("near_queries", "queries")) if (row[key] or 0) < 0.5]


def print_table(result):
    header = ["", "answers", "own metro only", "first in metro", "in region", "proxy ms p50", "p96", "queries",
              "to servers < 20 ms", "no answer"]

    def line(name, row, queries=None):
        queries = queries or row
        return [name, row["answers"], percent(row["all_in_metro"]), percent(row["first_in_metro"]),
                percent(row["first_in_region"]), row["rtt_ms"]["p50"], row["rtt_ms"]["p96"], queries["queries"],
                percent(queries.get("near_queries", queries.get("near"))), row["no_answer"]]

    rows = [line(f"{row['from_s']:g} to {row['to_s']:g} s", row) for row in result["by_minute"]]
    last = result["judged"]
    nothing = {"queries": None, "near": None}
    rows += [line(f"  by {kind}", row, last["by_kind"].get(kind, nothing)) for kind, row in result["by_resolver"].items()]
    rows.append(["best possible", *[None] * 4, last["best_ms"]["p50"], last["best_ms"]["p96"], *[None] * 3])
    rows.append(["random node", *[None] * 4, last["random_ms"]["p50"], last["random_ms"]["p96"], *[None] * 3])
    print(table(header, rows))
    print("\nat last against the best possible: "
          f"p50 {last['over_best']['p50']} times (at most {OVER_BEST_P50_MAX}), p96 {last['over_best']['p96']} times (at "
          f"most {OVER_BEST_P96_MAX})")
    print("CoralCDN, 2004, DNS + connect + fetch: " +
          "; ".join(f"{name} {median} s (p96 {p96} s)" for name, median, p96 in CORAL))


def plot(prefix, result):
    prefix = pathlib.Path(prefix)
    rows = result["by_minute"]
    where = (f"{result['nodes']} nodes in {sum(map(len, result['metros'].values()))} metros, {result['clients']} clients "
             "behind unbound, bind9 and knot-resolver")
    near = Chart("Once local, stay local", x="seconds of browsing", y="%", y_max=100, subtitle=where)
    near.grouped([f"{row['to_s']:g}" for row in rows], {
        "answers that name nodes of the client's metro only": [100 * (row["all_in_metro"] or 0) for row in rows],
        "queries to name servers less than 20 ms away": [100 * (row["near_queries"] or 0) for row in rows]})
    rtt = Chart("From the client to its proxy", x="seconds of browsing", y="median round trip, ms", subtitle=where)
    for name, key in (("as DNS said", "rtt_ms"), ("the nearest node", "best_ms"), ("a random node", "random_ms")):
        rtt.line(name, [(row["to_s"], row[key]["p50"] or 0) for row in rows])
    return (near.write(prefix.with_name(prefix.name + "-near.svg")) +
            rtt.write(prefix.with_name(prefix.name + "-rtt.svg")))
