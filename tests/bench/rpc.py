#!/usr/bin/env python3
"""Index RPCs: GETs a second that one core of reefd answers on loopback, and its CPU per RPC.

reefd, pinned to one core, stands in a small network: 24 nodes know it, and it holds the values (two publishers a key)
that are asked for. reef_bench_rpc on another core keeps --window requests under way from 8 sockets, which are 403
bytes each as FIND must be; answers carry the values and the closest contacts that fit. The server's limits of
requests per source are lifted. CPU is the run time of all of its threads by the kernel's account (schedstat).

Exit status 0: the median of the rounds is at least --target RPCs a second, and no answer was wrong.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

from reeflab import build_dir
from reeflab.node import Node
from reeflab.report import environment, table, write_json

ADDRESS = "127.0.0.31"


def measure(options, name, key):
    """The rounds of one server, as reef_bench_rpc tells them; the first one warms up and is left out."""
    server_core, load_core = options.cores
    program = build_dir() / "tests" / "bench" / "reef_bench_rpc"
    if not program.exists():
        raise SystemExit(f"rpc: {program} is not built")
    flags = ["--workers", "1", "--set", "dsht.requests_per_second=10000000", "--set", "dsht.request_burst=10000000",
             "--set", "dsht.signatures_per_second=1000000", "--set", f"network.key={key}"]
    with tempfile.TemporaryDirectory(prefix="reef-rpc-") as directory:
        with Node(ADDRESS, pathlib.Path(directory) / "node", flags=flags,
                  prefix=["taskset", "-c", server_core]) as node:
            node.wait_ready()
            out = subprocess.run(
                ["taskset", "-c", str(load_core), program, "--server", node.rpc, "--pid", str(node.pid),
                 "--rounds", str(options.rounds + 1), "--seconds", str(options.seconds),
                 "--window", str(options.window), "--network-key", key],
                stdout=subprocess.PIPE, text=True, timeout=120 + 2 * options.rounds * options.seconds)
            if out.returncode != 0:
                raise SystemExit(f"rpc: reef_bench_rpc ended with {out.returncode}: {out.stdout.strip()}")
            rounds = [json.loads(line) for line in out.stdout.splitlines()][1:]
            counted = node.status()["dsht"]
    return {"network": name, "rpcs_per_s": round(statistics.median(r["rpcs_per_s"] for r in rounds)),
            "cpu_us": round(statistics.median(r["cpu_us"] for r in rounds), 3),
            "rounds_rpcs_per_s": [round(r["rpcs_per_s"]) for r in rounds],
            "rounds_cpu_us": [r["cpu_us"] for r in rounds],
            "values_each": rounds[-1]["values_each"], "lost": sum(r["lost"] for r in rounds),
            "wrong": sum(r["wrong"] for r in rounds), "rate_limited": counted["rate_limited"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("--rounds", type=int, default=5, help="measured; one more warms up (default 5)")
    parser.add_argument("--seconds", type=float, default=2, help="length of a round (default 2)")
    parser.add_argument("--window", type=int, default=128, help="requests under way (default 128)")
    parser.add_argument("--closed", action="store_true", help="also a closed network, where each datagram has a MAC")
    parser.add_argument("--target", type=int, default=150_000, help="RPCs a second (default 150000)")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("rpc: needs two cores, one for the server and one for the load")
    options.cores = cores[0], cores[-1]
    rows = [measure(options, "open", "")]
    if options.closed:
        rows.append(measure(options, "closed", "a key for the benchmark"))
    print(table(["network", "GET RPCs/s", "CPU us/RPC", "values each", "lost", "wrong"],
                [[r["network"], r["rpcs_per_s"], f"{r['cpu_us']:.2f}", f"{r['values_each']:.1f}", r["lost"],
                  r["wrong"]] for r in rows]))
    first = rows[0]
    met = first["rpcs_per_s"] >= options.target and all(r["wrong"] == 0 for r in rows)
    print(f"target {options.target} in the open network: {'met' if met else 'not met'}")
    if options.json:
        write_json(options.json, {"benchmark": "rpc", "rounds": options.rounds, "seconds": options.seconds,
                                  "window": options.window, "networks": rows, "target": options.target, "met": met,
                                  "on": environment()})
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
