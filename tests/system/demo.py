#!/usr/bin/env python3
"""scripts/demo with a smaller crowd: all bytes right, each object fetched once from the origin, and the figures
that it promises in its JSON. Then without cooperation, which must cost the origin one fetch per node and object."""
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))
from reeflab import program  # noqa: E402

failures = []


def check(holds, what):
    print(("ok    " if holds else "FAIL  ") + what, flush=True)
    if not holds:
        failures.append(what)


def demo(directory, *arguments):
    file = pathlib.Path(directory) / "demo.json"
    command = [ROOT / "scripts" / "demo", "--no-build", "--clients", "3", "--kbit", "4000", "--json", file, *arguments]
    done = subprocess.run(command, timeout=200)
    return done.returncode, json.loads(file.read_text())


def main():
    program("reefd", "dev")
    with tempfile.TemporaryDirectory(prefix="reef-demo-test-") as directory:
        status, result = demo(directory, "--nodes", "8", "--objects", "6")
        check(status == 0, f"the demo exits 0 (was {status}: {result['problems']})")
        check(result["objects"] == 6 and result["origin_fetches"] == 6, f"6 origin fetches for 6 objects: {result['origin_fetches']}")
        check(result["requests"] == 8 * 3 * 6 * 2, f"every client asked for every object twice: {result['requests']}")
        check(result["failed"] == 0 and result["wrong_bytes"] == 0, "no request failed, no byte was wrong")
        check(abs(sum(result["shares"].values()) - 100) < 0.5, f"every answer says where it came from: {result['shares']}")
        check(result["waves"][1]["from"]["local"] == 8 * 3 * 6, f"the second wave is all local: {result['waves'][1]['from']}")

        status, result = demo(directory, "--nodes", "3", "--objects", "3", "--independent")
        check(status == 0, f"the demo without cooperation exits 0 (was {status}: {result['problems']})")
        check(result["origin_fetches"] == 9, f"3 nodes alone cost 9 fetches of 3 objects: {result['origin_fetches']}")
    print(f"{len(failures)} failed" if failures else "all hold")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
