#!/usr/bin/env python3
"""The object store: a restart with a million objects, and whether reading a cold disk holds up a worker.

Writes --objects objects of 1 KiB, opens the store again, once with its files in memory and once with none of them,
and tells when the first object and the whole index are there. Then objects of 12 KiB and 4 MiB that are not in memory
are read, 16 at a time, while a timer on the same loop ticks every millisecond: its longest pause beside that of an
idle loop. Takes some 2 GB in --directory, which must be on a disk, or nothing would be cold.

Exit status 0: a restart takes less than --restart-max seconds, and no pause is over --turn-max ms.
"""
import argparse
import json
import os
import subprocess
import tempfile

from reeflab import build_dir
from reeflab.report import environment, table, write_json


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("--objects", type=int, default=1_000_000, help="default 1000000")
    parser.add_argument("--directory", metavar="DIR", default=tempfile.gettempdir(),
                        help="where a folder is made and removed again (default: for temporary files)")
    parser.add_argument("--restart-max", type=float, default=5, help="seconds (default 5)")
    parser.add_argument("--turn-max", type=float, default=20, help="ms (default 20)")
    options = parser.parse_args()
    program = build_dir() / "tests" / "bench" / "reef_bench_store"
    if not program.exists():
        raise SystemExit(f"store: {program} is not built")
    with tempfile.TemporaryDirectory(prefix="reef-bench-store-", dir=options.directory) as directory:
        done = subprocess.run([program, directory, str(options.objects)], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"store: {os.path.basename(program)} ended with {done.returncode}")
    out = json.loads(done.stdout)
    print(f"{out['objects']} objects, {out['disk_bytes'] >> 20} MiB; written for {out['fill_cpu_us']:.1f} us of CPU each\n")
    print(table(["restart", "open ms", "first object ms", "whole index ms"],
                [[name, f"{run['open_ms']:.0f}", f"{run['first_object_ms']:.0f}", f"{run['ready_ms']:.0f}"]
                 for name, run in (("files in memory", out["restart_warm"]), ("files on disk only", out["restart_cold"]))]))
    print()
    print(table(["loop", "longest turn ms", "took ms"],
                [[name, f"{run['longest_turn_ms']:.1f}", f"{run['took_ms']:.0f}"]
                 for name, run in (("idle", out["idle"]), ("2,000 cold objects of 12 KiB", out["cold_12k"]),
                                   ("200 cold objects of 4 MiB", out["cold_4m"]))]))
    slowest = max(out["restart_warm"]["ready_ms"], out["restart_cold"]["ready_ms"])
    longest = max(out["cold_12k"]["longest_turn_ms"], out["cold_4m"]["longest_turn_ms"])
    met = slowest < 1000 * options.restart_max and longest <= options.turn_max
    print(f"\nrestart below {options.restart_max:g} s, no turn over {options.turn_max:g} ms: {'met' if met else 'not met'}")
    if options.json:
        write_json(options.json, {"benchmark": "store", **out, "met": met, "on": environment()})
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
