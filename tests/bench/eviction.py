#!/usr/bin/env python3
"""Eviction policies of the memory tier: hit rates on a Zipf trace with crawlers and on a day like CoralCDN's.

Both traces are generated (tests/bench/traces.h says after what); each policy serves each trace in tiers of several
sizes. The share of requests and of bytes that hit, and the processor time per request, all bookkeeping of the
comparison included. "unbounded" is a tier without end: only first requests miss. Hit rates depend on the seed alone,
not on the machine.

Exit status 0: the default policy's mean hit rate is within --margin of the best one's.
"""
import argparse
import json
import statistics
import subprocess

from reeflab import build_dir
from reeflab.plot import Chart
from reeflab.report import environment, table, write_json

DEFAULT_POLICY = "s3-fifo"


def percent(part, whole):
    return 100 * part / whole


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("--svg", metavar="FILE", help="also draw the hit rates (and FILE's .png)")
    parser.add_argument("--seed", type=int, default=1, help="of the traces (default 1)")
    parser.add_argument("--margin", type=float, default=0.5, help="in percentage points (default 0.5)")
    options = parser.parse_args()
    program = build_dir() / "tests" / "bench" / "reef_bench_eviction"
    if not program.exists():
        raise SystemExit(f"eviction: {program} is not built")
    out = subprocess.run([program, str(options.seed)], stdout=subprocess.PIPE, text=True, check=True)
    runs = [json.loads(line) for line in out.stdout.splitlines()]
    policies = list(dict.fromkeys(run["policy"] for run in runs))
    print(table(["trace", "tier", "policy", "hits %", "bytes %", "ns/request"],
                [[run["trace"], f"{run['bytes_max'] >> 20} MiB" if run["bytes_max"] else "-", run["policy"],
                  f"{percent(run['hits'], run['requests']):.2f}", f"{percent(run['hit_bytes'], run['bytes']):.2f}",
                  f"{run['ns_per_request']:.0f}" if run["bytes_max"] else "-"] for run in runs]))
    means = {policy: statistics.mean(percent(run["hits"], run["requests"]) for run in runs
                                     if run["policy"] == policy) for policy in policies if policy != "unbounded"}
    print("\nmean of all traces and sizes: " + ", ".join(f"{p} {mean:.2f} %" for p, mean in means.items()))
    met = means[DEFAULT_POLICY] >= max(means.values()) - options.margin
    print(f"the default, {DEFAULT_POLICY}, is within {options.margin} points of the best: {'yes' if met else 'no'}")
    if options.svg:
        bounded = [run for run in runs if run["bytes_max"]]
        sizes = sorted({run["bytes_max"] for run in bounded})
        chart = Chart("Eviction policies", x="size of the memory tier (MiB)", y="hits (%)",
                      x_ticks=[size >> 20 for size in sizes])
        for trace in dict.fromkeys(run["trace"] for run in bounded):
            for policy in means:
                chart.line(f"{policy}, {trace}",
                           [(run["bytes_max"] >> 20, percent(run["hits"], run["requests"])) for run in bounded
                            if run["trace"] == trace and run["policy"] == policy])
        chart.write(options.svg)
    if options.json:
        write_json(options.json, {"benchmark": "eviction", "seed": options.seed, "runs": runs, "mean_hit_percent": means,
                                  "met": met, "on": environment()})
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
