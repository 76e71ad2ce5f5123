"""The flash crowd with a node killed (-9) in the middle of its fill.

Each node first serves three small files to the client beside it, so that it has something stored. Then the crowd of
`flash-crowd` starts; once the origin has been sending for --kill-after-s, the node that fetches the most files from it
at that moment is killed. Its kernel stays, as after a crash of the program alone: connections to it are reset.
--silent cuts its line as well, as after a power failure.

Nobody else may notice: no error, and no wait of more than 5 s. What a client waits is its longest time without a byte,
the wait for the first one included. Then the node is started again with the same data directory, and its client asks
it for the three files: it must answer them from its own store, without asking anyone, the origin included.
"""
import time

from .node import wait_until
from .plot import Chart
from .report import LOCAL, Progress, percentiles, table
from .wan import conclude, emulator_line, short_health
from .wan_crowd import FILE_BYTES, FILES, PAGES, PATIENCE_S, shares
from .wan_stage import Stage, add_stage_arguments, make_pages

WAIT_MS_MAX = 5000
WARM_BYTES = 8_000


def add_arguments(parser):
    # A first-in-first-out queue makes clients wait 5 to 9 s for a byte even when nothing dies: TCP connections that share
    # it starve each other. Served by turns it is 2 s, so that what is seen is what the death costs.
    add_stage_arguments(parser, queue="fair", queue_kib=32)
    parser.add_argument("--kill-after-s", type=float, default=2.0,
                        help="from the origin's first connection to the kill (default 2)")
    parser.add_argument("--silent", action="store_true", help="cut the killed node's line as well")
    parser.add_argument("--plot", metavar="PREFIX", help="write PREFIX-waits as .svg and .png")


def choose_victim(stage):
    """The node with the most connections open to the origin, never the one that others join through; or None."""
    open_now = stage.origin.receivers()
    by_address = {node.address: node for node in stage.nodes[1:]}
    busy = sorted((open_now.count(address), address) for address in set(open_now) if address in by_address)
    return by_address[busy[-1][1]] if busy else None


def kill_during_fill(stage, options, progress):
    """Waits for the middle of a fill and kills. Returns the node and the time of its death (since the epoch)."""
    wait_until(lambda: stage.origin.receivers(), 20, "a node fetches from the origin")
    time.sleep(options.kill_after_s)
    victim = wait_until(lambda: choose_victim(stage), 20, "a node other than the first fetches from the origin")
    fills = stage.origin.receivers().count(victim.address)
    victim.kill()
    killed_at = time.time()
    if options.silent:
        stage.world.command(f"down {victim.name}")
    progress.update(f"killed {victim.name} to which the origin was sending {fills} files", force=True)
    return victim, killed_at, fills


def ask_directly(stage, name, warm, members):
    """The warm files from given nodes, each by the client beside it."""
    crowd = stage.crowd(name, pages=[[file.path for file in warm]], clients=members, spread_s=0, timeout_s=60)
    return crowd.wait(90)


def main(options):
    pages = make_pages(PAGES, FILES, FILE_BYTES, options.seed)
    warm = make_pages(1, 3, WARM_BYTES, options.seed + 1, prefix="/warm")[0]
    with Stage(options, pages, warm) as stage, Progress("kill") as progress:
        progress.update(f"starting {options.nodes} nodes", force=True)
        stage.start_nodes()
        members = dict(zip([node.name for node in stage.nodes], stage.clients(to_node=True)))
        warmed = ask_directly(stage, "warm", warm, list(members.values()))
        stage.origin.wait_idle()

        mark = stage.origin.mark()
        stage.world.command("reset")
        crowd = stage.crowd("crowd", spread_s=1, timeout_s=PATIENCE_S)
        victim, killed_at, fills = kill_during_fill(stage, options, progress)
        answers = crowd.wait(PATIENCE_S + 60)
        health = stage.world.health()
        fetches = stage.origin.fetches(mark)
        killed_s = killed_at - crowd.started

        progress.update("starting it again", force=True)
        if options.silent:
            stage.world.command(f"up {victim.name}")
        mark = stage.origin.mark()
        stage.start_node(victim)
        victim.wait_ready(30)
        again = ask_directly(stage, "again", warm, [members[victim.name]])
        asked_origin = len(stage.origin.fetches(mark))
        stage.stop_nodes()

    result = summary(answers, victim, killed_s, fills, fetches)
    result["warm"] = {"requests": len(warmed), "failed": sum(a.failed or a.wrong for a in warmed)}
    result["restart"] = {"requests": len(again), "failed": sum(a.failed or a.wrong for a in again),
                         "hits": sum(a.source == LOCAL for a in again), "origin_fetches": asked_origin}
    result["health"] = short_health(health)
    print_result(result)
    status = conclude(options, result, judge(result, len(warm)), health)
    if options.plot:
        for path in plot(options.plot, result, answers, victim, killed_s):
            print(f"wrote {path}")
    return status


def was_at(answer, victim, killed_s):
    """Whether this client was in the middle of an answer of the killed node itself, which nobody can save."""
    return (answer.server == victim.address and answer.start_s <= killed_s <= answer.start_s + answer.total_ms / 1000
            and (answer.failed or answer.unfinished))


def part_summary(part):
    return {"requests": len(part), "failed": sum(a.failed or a.unfinished for a in part),
            "wrong_bytes": sum(a.wrong for a in part),
            "wait_ms_max": round(max((a.silence_ms for a in part), default=0), 1),
            "first_byte_ms_max": round(max((a.first_byte_ms for a in part), default=0), 1),
            "total_ms": percentiles([a.total_ms for a in part]), "other_address_tried": sum(a.refused > 0 for a in part)}


def summary(answers, victim, killed_s, fills, fetches):
    here = [a for a in answers if was_at(a, victim, killed_s)]
    elsewhere = [a for a in answers if not was_at(a, victim, killed_s)]
    under_way = [a for a in elsewhere if a.start_s <= killed_s <= a.start_s + a.total_ms / 1000]
    return {"experiment": "kill", "killed": victim.name, "killed_at_s": round(killed_s, 2), "fills_cut": fills,
            "objects": PAGES * FILES, "origin_fetches": len(fetches), "shares": shares(answers),
            "elsewhere": part_summary(elsewhere), "under_way_elsewhere": part_summary(under_way),
            "at_killed_node": part_summary(here)}


def judge(result, warm_files):
    elsewhere, restart = result["elsewhere"], result["restart"]
    problems = []
    if elsewhere["failed"] or elsewhere["wrong_bytes"]:
        problems.append(f"elsewhere {elsewhere['failed']} requests failed, {elsewhere['wrong_bytes']} had wrong bytes")
    if elsewhere["wait_ms_max"] > WAIT_MS_MAX:
        problems.append(f"a client elsewhere waited {elsewhere['wait_ms_max'] / 1000:.1f} s for a byte (at most 5)")
    if result["warm"]["failed"]:
        problems.append(f"{result['warm']['failed']} requests before the crowd failed")
    if restart["hits"] != warm_files or restart["failed"] or restart["origin_fetches"]:
        problems.append(f"restarted, it answered {restart['hits']} of {warm_files} files from its store, "
                        f"{restart['failed']} failed, {restart['origin_fetches']} came from the origin")
    return problems


def print_result(result):
    print(f"{result['killed']} was killed {result['killed_at_s']} s after the crowd's start, "
          f"the origin was sending it {result['fills_cut']} files\n")
    rows = []
    for name, key in (("elsewhere", "elsewhere"), ("  under way at that moment", "under_way_elsewhere"),
                      ("in an answer of the killed node", "at_killed_node")):
        part = result[key]
        rows.append([name, part["requests"], part["failed"], part["wrong_bytes"], f"{part['wait_ms_max'] / 1000:.2f}",
                     f"{part['first_byte_ms_max'] / 1000:.2f}", part["other_address_tried"]])
    print(table(["clients", "requests", "failed", "wrong", "longest wait s", "longest first byte s",
                 "next address tried"], rows))
    restart = result["restart"]
    print(f"\n{result['origin_fetches']} origin fetches for {result['objects']} objects; restarted, the node answered "
          f"{restart['hits']} of {restart['requests']} files from its store, the origin saw {restart['origin_fetches']}"
          f"\n{emulator_line(result['health'])}")


def plot(prefix, result, answers, victim, killed_s):
    chart = Chart("A node dies in the middle of its fill: what the others waited", x="longest wait for a byte, s",
                  y="% of requests", y_max=100,
                  subtitle=f"{victim.name} killed {killed_s:.1f} s after the crowd's start")
    elsewhere = [a for a in answers if not was_at(a, victim, killed_s)]
    under_way = [a for a in elsewhere if a.start_s <= killed_s <= a.start_s + a.total_ms / 1000]
    chart.cdf("clients elsewhere", [a.silence_ms / 1000 for a in elsewhere])
    if under_way:
        chart.cdf("those that waited at that moment", [a.silence_ms / 1000 for a in under_way])
    return chart.write(f"{prefix}-waits.svg")
