#!/usr/bin/env python3
"""The proxy beside nginx, Varnish, Traffic Server and haproxy: CPU per request, rate, latency, memory.

Every server runs as one worker on one core, wrk (and the origin, which only misses need) on another; no access logs.
The figure is CPU microseconds per request by the kernel's account of the server's processes. All servers are up
together and measured in turns, the order rotating from round to round; a first round warms up and is left out. What is
compared are medians, and ratios are medians of the rounds' ratios. "floor" is a bare epoll loop with one recv and one
writev of a canned answer: the least for a server that sends from memory.

That hits are hits, and that every miss is one, is checked by the origin's request count in each run. docs/performance.md
says how to read the figures.

Exit status 0: everything asked for was measured, and Reef meets the targets. 1: it was, and Reef does not. 3: something is
missing (a server is not installed), or a run was not what it should be.
"""
import argparse
import contextlib
import dataclasses
import os
import pathlib
import signal
import statistics
import sys
import tempfile

from reeflab.bench_load import Load, fill, idle_memory, measure, wait_answer
from reeflab.bench_process import BenchError, find_tool, raise_descriptor_limit
from reeflab.bench_servers import DEFAULT_SERVERS, SERVERS, Origin
from reeflab.plot import Chart
from reeflab.report import Progress, environment, table, write_json

KIB = 1024
# The most that Reef's CPU per request may be, as a share of another server's; "peers" are all but the floor.
HIT_TARGETS = {"floor": 1.25, "peers": 1.0}
MISS_TARGETS = {"nginx": 0.75, "trafficserver": 1.0}
IDLE_BYTES_MAX = 1024
# The caches of all servers together fit in this.
SHARED_MEMORY, SHARED_MEMORY_MIN = "/dev/shm", 8 << 30
MISS, IDLE = "miss", "idle"


@dataclasses.dataclass
class Workload:
    name: str
    title: str
    size: int = KIB
    objects: int = 1       # different URLs, asked at random
    close: bool = False    # a new connection for each request
    kind: str = "hit"

    def paths(self):
        """What must be cached before it is measured."""
        if self.kind == MISS:
            return []
        return [f"/{self.size}"] if self.objects == 1 else [f"/{self.size}/{i}" for i in range(1, self.objects + 1)]

    def load(self, connections, run):
        """`run` is different for each run, so that no URL of a miss is asked twice."""
        mode = ["same"]
        if self.kind == MISS:
            mode = ["once", self.size, run]
        elif self.objects > 1:
            mode = ["random", self.size, self.objects]
        return Load(self.size, f"/{self.size}", mode, self.close, connections)

    def fault(self, result, connections):
        """What makes a run worthless, or None."""
        if result["errors"]:
            return f"{result['errors']} errors"
        asked, requests = result["origin_requests"], result["requests"]
        if self.kind == MISS:
            # wrk does not count what is on its way when the time is over.
            if not requests <= asked <= requests + 2 * connections:
                return f"the origin was asked {asked} times for {requests} misses"
        elif asked:
            return f"the origin was asked {asked} times during hits"
        return None


WORKLOADS = {w.name: w for w in [
    Workload("hit-1k", "hits of 1 KiB"),
    Workload("hit-12k", "hits of 12 KiB", 12 * KIB),
    Workload("hit-41k", "hits of 41 KiB", 41 * KIB),
    Workload("hit-1m", "hits of 1 MiB", KIB * KIB),
    Workload("random-12k", "hits of 12 KiB, 4,000 URLs at random", 12 * KIB, objects=4000),
    Workload("close-1k", "hits of 1 KiB, a connection each", close=True),
    Workload("miss-1k", "cold misses of 1 KiB", kind=MISS),
    Workload("miss-12k", "cold misses of 12 KiB", 12 * KIB, kind=MISS),
    Workload("idle", "idle connections, bytes each", kind=IDLE),
]}


class Bench:
    """One run of the program: its servers, rounds and results."""

    def __init__(self, options, directory):
        self.options, self.directory = options, directory
        self.origin = Origin(directory / "origin", options.load_core)
        self.servers, self.missing, self.faults = {}, {}, []
        self.versions = {}
        self.failed = set()  # servers that cannot go on; the others do

    def make(self, name, folder):
        return SERVERS[name](self.directory / folder / name, self.origin.port, self.options.server_core)

    def look_for_missing(self):
        for name in self.options.servers:
            try:
                self.versions[name] = self.make(name, "versions").version
            except FileNotFoundError as error:
                self.missing[name] = str(error)
        for name, why in self.missing.items():
            print(f"!!! {name} is MISSING from this comparison: {why}", file=sys.stderr)

    def present(self, workload):
        """The servers that the workload means something for."""
        return [n for n in self.options.servers if n not in self.missing and n not in self.failed and
                (workload.kind != MISS or SERVERS[n].caches)]

    def start(self):
        for name in self.versions:
            server = self.servers[name] = self.make(name, "servers")
            with self.faults_of(name):
                server.start()
        for name, server in self.servers.items():
            if name not in self.failed:
                with self.faults_of(name):
                    wait_answer(server, "/1024")

    def stop(self):
        for server in self.servers.values():
            server.stop()
        self.origin.stop()

    def fault(self, text):
        self.faults.append(text)
        print(f"\n!!! {text}", file=sys.stderr)

    @contextlib.contextmanager
    def faults_of(self, name, what=""):
        """A BenchError inside is this server's fault: it is told, and the server is left out from then on."""
        try:
            yield
        except BenchError as error:
            self.failed.add(name)
            self.fault(f"{what}{error}")

    def measure_idle(self, workload, progress):
        """Each server alone and fresh."""
        found = {}
        for name in self.present(workload):
            progress.update(f"idle connections: {name}", force=True)
            server = self.make(name, "idle")
            try:
                with self.faults_of(name, "idle: "):
                    server.start()
                    wait_answer(server, "/1024")
                    found[name] = idle_memory(server, self.origin, self.options.idle_connections)
                    if found[name]["closed_by_server"]:
                        self.fault(f"idle, {name}: it closed {found[name]['closed_by_server']} of the connections")
            finally:
                server.stop()
        return found

    def fill_caches(self, workloads, progress):
        for workload in workloads:
            for name in self.present(workload):
                if workload.paths() and SERVERS[name].caches:
                    progress.update(f"filling {name} for {workload.name}")
                    with self.faults_of(name):
                        fill(self.servers[name], self.origin, workload.paths(), workload.close)

    def run_rounds(self, workloads, progress):
        """workload -> server -> its runs, interleaved. Round 0 warms up."""
        runs = {w.name: {name: [] for name in self.present(w)} for w in workloads}
        for number in range(self.options.rounds + 1):
            for workload in workloads:
                names = self.present(workload)
                turn = number % len(names) if names else 0
                for name in names[turn:] + names[:turn]:
                    progress.update(f"round {number} of {self.options.rounds}: {workload.name}, {name}")
                    load = workload.load(self.options.connections, f"r{number}")
                    with self.faults_of(name, f"round {number}, {workload.name}: "):
                        result = measure(self.servers[name], self.origin, load, self.options.seconds, self.options.load_core)
                        fault = workload.fault(result, self.options.connections)
                        if number > 0:
                            runs[workload.name][name].append(result)
                            if fault:
                                self.fault(f"round {number}, {workload.name}, {name}: {fault}")
        return {name: {server: done for server, done in found.items() if done} for name, found in runs.items()}

    def run(self):
        chosen = [WORKLOADS[name] for name in self.options.workloads]
        self.look_for_missing()
        results = {}
        with Progress("proxy") as progress:
            for workload in [w for w in chosen if w.kind == IDLE]:
                results[workload.name] = self.measure_idle(workload, progress)
            # Misses push hits out of caches, so all rounds of hits come first.
            for timed in ([w for w in chosen if w.kind == "hit"], [w for w in chosen if w.kind == MISS]):
                if timed:
                    if not self.servers:
                        self.start()
                    self.fill_caches(timed, progress)
                    results.update(self.run_rounds(timed, progress))
            progress.done()
        return results


def summary_of(runs):
    """Medians of one server's rounds."""
    row = {key: round(statistics.median(r[key] for r in runs), 2)
           for key in ("cpu_us", "requests_per_s", "latency_p50_us", "latency_p99_us")}
    row["rounds_cpu_us"] = [round(r["cpu_us"], 2) for r in runs]
    row["requests"] = sum(r["requests"] for r in runs)
    row["origin_requests"] = sum(r["origin_requests"] for r in runs)
    row["errors"] = sum(r["errors"] for r in runs)
    return row


def ratios_of(mine, runs):
    """Server -> the median over the rounds of (server `mine`) / (that server)."""
    return {name: round(statistics.median(a["cpu_us"] / b["cpu_us"] for a, b in zip(runs[mine], theirs)), 3)
            for name, theirs in runs.items() if name != mine}


def judge(workload, ratios):
    """[(server, ratio, most allowed)] of the targets that this run can tell."""
    limits = MISS_TARGETS if workload.kind == MISS else HIT_TARGETS
    found = []
    for name, ratio in ratios.items():
        limit = limits.get(name, limits.get("peers") if SERVERS[name].is_peer else None)
        if limit is not None:
            found.append((name, ratio, limit))
    return found


def report(options, results):
    """The figures as JSON has them, and what misses its target."""
    rows, missed = [], []
    for name in options.workloads:
        workload, found = WORKLOADS[name], results[name]
        row = {"workload": name, "title": workload.title}
        if workload.kind == IDLE:
            row["servers"] = found
            mine = found.get("reef", {}).get("rss_bytes_each")
            if mine is not None and mine > IDLE_BYTES_MAX:
                missed.append(f"{name}: {mine:.0f} bytes each, at most {IDLE_BYTES_MAX}")
        else:
            row["servers"] = {server: summary_of(runs) for server, runs in found.items()}
            row["reef_over"] = ratios_of("reef", found) if "reef" in found else {}
            peers = {n: s["cpu_us"] for n, s in row["servers"].items() if SERVERS[n].is_peer}
            row["best_peer"] = min(peers, key=peers.get) if peers else None
            missed += [f"{name}: {ratio:.2f} x {server}, at most {limit:g}"
                       for server, ratio, limit in judge(workload, row["reef_over"]) if ratio > limit]
        rows.append(row)
    return rows, missed


def print_report(rows):
    cells = []
    for row in rows:
        if row["workload"] == "idle":
            continue
        for name, s in row["servers"].items():
            spread = f"{min(s['rounds_cpu_us']):.1f}-{max(s['rounds_cpu_us']):.1f}"
            ratio = row["reef_over"].get(name)
            cells.append([row["workload"], name, f"{s['cpu_us']:.2f}", spread, f"{s['requests_per_s']:.0f}",
                          f"{s['latency_p50_us']:.0f}", f"{s['latency_p99_us']:.0f}",
                          None if ratio is None else f"{ratio:.2f}"])
    if cells:
        print(table(["workload", "server", "CPU us/request", "min-max", "requests/s", "p50 us", "p99 us", "Reef / it"],
                    cells, align="llrrrrrr"))
    for row in [r for r in rows if r["workload"] == "idle"]:
        idle = [[n, s["connections"], s["rss_bytes_each"], s["anon_bytes_each"]] for n, s in row["servers"].items()]
        print("\n" + table(["idle connections", "count", "RSS bytes each", "of it anonymous"], idle))
    ends = []
    for row in [r for r in rows if "reef" in r["servers"] and r["workload"] != "idle"]:
        over, best = row["reef_over"], row["best_peer"]
        ends.append([row["title"], f"{row['servers']['reef']['cpu_us']:.2f}",
                     f"{over['floor']:.2f}" if "floor" in over else None,
                     best, f"{over[best]:.2f}" if best in over else None])
    if ends:
        print("\n" + table(["workload", "Reef CPU us", "Reef / floor", "best peer", "Reef / best peer"], ends, align="lrrlr"))


def write_chart(path, rows):
    """Bars: CPU per request of every server, Reef (or the first server) being 1."""
    timed = [r for r in rows if r["workload"] != "idle" and r["servers"]]
    names = [n for n in SERVERS if any(n in r["servers"] for r in timed)]
    if not timed:
        return
    base = "reef" if "reef" in names else names[0]
    timed = [r for r in timed if base in r["servers"]]
    series = {n: [r["servers"][n]["cpu_us"] / r["servers"][base]["cpu_us"] if n in r["servers"] else None for r in timed]
              for n in names}
    chart = Chart(f"CPU per request, {base} = 1", y=f"times {base}", subtitle="one worker on one core; less is better")
    chart.grouped([r["workload"] for r in timed], series).write(path, png=False)


def choice(known, what):
    def parse(text):
        names = [name for name in text.split(",") if name]
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"no {what} '{name}'; there are: {', '.join(known)}")
        return list(dict.fromkeys(names))
    return parse


def parse_options(arguments):
    parser = argparse.ArgumentParser(
        prog="scripts/bench proxy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="workloads:\n" + "\n".join(f"  {w.name:<12} {w.title}" for w in WORKLOADS.values()) +
        "\n\nservers:\n" + "\n".join(f"  {kind.name:<14} {kind.title}" for kind in SERVERS.values()))
    parser.add_argument("--servers", type=choice(SERVERS, "server"), default=DEFAULT_SERVERS, metavar="A,B,...",
                        help=f"default {','.join(DEFAULT_SERVERS)}")
    parser.add_argument("--workloads", type=choice(WORKLOADS, "workload"), default=list(WORKLOADS), metavar="A,B,...",
                        help="default: all")
    parser.add_argument("--rounds", type=int, default=5, help="measured; one more warms up (default 5)")
    parser.add_argument("--seconds", type=float, default=2, help="length of one run (default 2)")
    parser.add_argument("--connections", type=int, default=32, help="that wrk keeps busy (default 32)")
    parser.add_argument("--idle-connections", type=int, default=10_000, metavar="N", help="of idle (default 10000)")
    parser.add_argument("--cores", metavar="SERVER,LOAD", help="default: the first and the last one")
    parser.add_argument("--directory", metavar="DIR", help="where the caches are, in a folder that is removed afterwards"
                        f" (default: {SHARED_MEMORY} where it has {SHARED_MEMORY_MIN >> 30} GiB free, so that no disk is"
                        " in the figures; else TMPDIR)")
    parser.add_argument("--json", metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("--svg", metavar="FILE", help="also draw CPU per request, relative to Reef's, to FILE")
    parser.add_argument("--no-targets", action="store_true", help="do not judge Reef by the targets")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or not 0 < options.seconds <= 600 or options.connections < 1 or options.idle_connections < 1:
        parser.error("--rounds, --connections and --idle-connections are at least 1, --seconds over 0 and at most 600")
    cores = sorted(os.sched_getaffinity(0))
    try:
        wanted = [int(core) for core in options.cores.split(",")] if options.cores else [cores[0], cores[-1]]
    except ValueError:
        parser.error(f"--cores {options.cores}: not two numbers")
    if len(set(wanted)) != 2 or not set(wanted) <= set(cores):
        parser.error("needs two cores, one for the server and one for the load"
                     f" (may run on: {', '.join(map(str, cores))})")
    options.server_core, options.load_core = wanted
    options.directory = options.directory or default_directory()
    return options


def default_directory():
    try:
        room = os.statvfs(SHARED_MEMORY)
    except OSError:
        return tempfile.gettempdir()
    return SHARED_MEMORY if room.f_bavail * room.f_frsize >= SHARED_MEMORY_MIN else tempfile.gettempdir()


def on_sigterm(*_):
    raise SystemExit(143)  # so that what was started is stopped


def main(arguments=None):
    options = parse_options(arguments)
    if find_tool("wrk") is None:
        print("proxy: wrk is not installed (scripts/bootstrap --bench)", file=sys.stderr)
        return 3
    signal.signal(signal.SIGTERM, on_sigterm)
    os.sched_setaffinity(0, {options.load_core})
    limit = raise_descriptor_limit()
    if "idle" in options.workloads and limit < options.idle_connections + 1000:
        print(f"proxy: {limit} open files are allowed, too few for {options.idle_connections} connections (ulimit -n)",
              file=sys.stderr)
        return 3
    with tempfile.TemporaryDirectory(prefix="reef-bench-", dir=options.directory) as directory:
        bench = None
        try:
            bench = Bench(options, pathlib.Path(directory))
            results = bench.run()
        except (BenchError, FileNotFoundError) as error:
            print(f"\nproxy: {error}", file=sys.stderr)
            return 3
        finally:
            if bench:
                bench.stop()
    rows, missed = report(options, results)
    print_report(rows)
    print(f"\ncaches in {options.directory}; " + ", ".join(f"{n} {v}" for n, v in bench.versions.items() if v))
    for name, why in bench.missing.items():
        print(f"!!! MISSING: {name}: {why}")
    for fault in bench.faults:
        print(f"!!! INVALID: {fault}")
    judged = not options.no_targets and "reef" in options.servers
    if judged:
        unknown = [row["workload"] for row in rows if "reef" not in row["servers"]]
        verdict = "missed: " + "; ".join(missed) if missed else "met"
        print("targets: " + (f"not judged, as Reef has no figure for {', '.join(unknown)}" if unknown else verdict))
    if options.json:
        write_json(options.json, {
            "benchmark": "proxy", "rounds": options.rounds, "seconds": options.seconds, "connections": options.connections,
            "directory": options.directory, "versions": bench.versions, "missing": bench.missing, "faults": bench.faults, "workloads": rows,
            "targets_missed": missed, "on": environment()})
    if options.svg:
        write_chart(options.svg, rows)
    if bench.missing or bench.faults:
        return 3
    return 1 if judged and missed else 0


if __name__ == "__main__":
    sys.exit(main())
