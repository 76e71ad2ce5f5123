#!/usr/bin/env python3
"""A crowd that asks for one slow, cold object at once: one origin fetch, first bytes at once, little memory.

The origin sends the head and a first piece together, then the rest at an even pace. A client's first byte is timed by the
kernel as it reaches the client's socket (reef_crowd), the node's own as the origin hands it over. Then a smaller crowd,
with one client among it who reads 1 KiB/s and without, in turns: the others must end as early either way.
"""
import argparse
import asyncio
import json
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "lib"))
from reeflab import build_dir  # noqa: E402
from reeflab.bench_process import raise_descriptor_limit  # noqa: E402
from reeflab.raw_origin import RawOrigin  # noqa: E402
from reeflab.report import percentile  # noqa: E402
from reeflab.torture import MIB, Figures, Memory, add_arguments, coral, make_node  # noqa: E402

ADDRESS = "127.0.0.34"
PIECE = 64 << 10
FIRST_BYTE_MAX_MS, MEMORY_MAX_MIB = 10, 32
SLOW_BYTES_PER_S = 1024
SLOWED_MAX = 1.05        # ratio of the medians of the others' last bytes


def digest(body):
    """What reef_crowd computes: FNV-1a over little-endian words of eight bytes."""
    found = 14695981039346656037
    for (word,) in struct.iter_unpack("<Q", body + bytes(-len(body) % 8)):
        found = ((found ^ word) * 1099511628211) & 0xFFFFFFFFFFFFFFFF
    return f"{found:016x}"


class SlowObject:
    """A script for RawOrigin: one object over `seconds`, with the time of its first and last byte."""

    def __init__(self, body, seconds):
        self.body, self.seconds = body, seconds
        self.began, self.first_us, self.last_us = 0, None, None

    async def __call__(self, talk):
        self.began += 1
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(self.body)}\r\nCache-Control: max-age=3600\r\nETag: \"1\"\r\n\r\n"
        await asyncio.sleep(0.3)  # cold and slow: all of the crowd waits by now
        start = time.monotonic()
        self.first_us = time.time_ns() // 1000
        await talk.send(head.encode() + self.body[:PIECE])
        for at in range(PIECE, len(self.body), PIECE):
            due = start + self.seconds * at / len(self.body)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if not await talk.send(self.body[at:at + PIECE]):
                return
        self.last_us = time.time_ns() // 1000


def crowd(node, host, path, clients, slow=0):
    command = [build_dir("dev") / "tests/system/reef_crowd", f"{ADDRESS}:{node.proxy_port}", host, path, str(clients)]
    command += [str(slow), str(SLOW_BYTES_PER_S)] if slow else []
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    node.check_alive()
    if done.returncode != 0:
        raise RuntimeError(f"reef_crowd failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


def waited_ms(pid):
    """How long the threads of a process have stood ready without a core, all together."""
    return sum(int(path.read_text().split()[1]) for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e6


def one_object_for_all(figures, node, origin, options, body):
    """Several crowds; the median of each one's latest first byte, as a busy machine can hold up any single one."""
    origin.scripts["/warm"] = SlowObject(body[:PIECE], 0.01)
    crowd(node, coral(origin.port), "/warm", options.clients)  # what many connections cost is not what is asked
    latest, right, fetches, grown = [], 0, 0, 0.0
    for number in range(options.crowds):
        slow = SlowObject(body, options.seconds)
        origin.scripts[f"/slow-{number}"] = slow
        memory = Memory(node.pid)
        memory.begin()
        waited = waited_ms(node.pid)
        said = crowd(node, coral(origin.port), f"/slow-{number}", options.clients)
        grown = max(grown, memory.growth() / MIB)
        fetches = max(fetches, slow.began)
        right += said["done"] == options.clients and said["digests"] == [digest(body)]
        first = [(at - slow.first_us) / 1000 for at in said["first_us"]]
        last = [(at - slow.last_us) / 1000 for at in said["last_us"]]
        latest.append(max(first, default=None))
        figures.note(f"crowd {number}: first byte after the node's p50 {percentile(first, 50):.2f}, p99 {percentile(first, 99):.2f}, "
                     f"latest {latest[-1]:.2f} ms; last byte after the origin's p50 {percentile(last, 50):.0f} ms; the node's "
                     f"threads stood {waited_ms(node.pid) - waited:.0f} ms without a core")
    figures.holds(f"{options.clients} clients: right bytes for all", right == options.crowds, f"{right} of {options.crowds} crowds")
    figures.at_most("origin fetches of an object", fetches, 1)
    figures.at_most("first byte after the node's, the latest client", percentile(latest, 50), FIRST_BYTE_MAX_MS, "ms")
    figures.at_most("memory growth, peak", grown, MEMORY_MAX_MIB, "MiB")


def one_slow_reader(figures, node, origin, options, body):
    """Rounds in turns. The slow client's share of the crowd is one either way: without it, it is a fast one."""
    ends = {0: [], 1: []}
    for number in range(2 * options.rounds):
        slow_ones = number % 2
        object_ = SlowObject(body, options.seconds)
        path = f"/beside-{number}"
        origin.scripts[path] = object_
        said = crowd(node, coral(origin.port), path, options.readers, slow_ones)
        if said["done"] != options.readers - slow_ones or said["digests"] != [digest(body)] or object_.began != 1:
            figures.holds(f"round {number}: right bytes, one fetch", False, f"{said['done']} done, {object_.began} fetches")
            continue
        ends[slow_ones].append(percentile([(at - object_.first_us) / 1000 for at in said["last_us"]], 99))
        if slow_ones:
            rate = said["slow_bytes"] / options.seconds
            figures.holds(f"round {number}: the slow one is slow", 0 < said["slow_bytes"] < len(body) // 2, f"{rate:.0f} B/s")
    without, beside = percentile(ends[0], 50), percentile(ends[1], 50)
    ratio = beside / without if without and beside else None
    figures.at_most(f"{options.readers - 1} readers beside a slow one: p99 of their last bytes, ratio", ratio, SLOWED_MAX)
    figures.note(f"median of the rounds' p99 of last bytes after the first: {without:.0f} ms without, {beside:.0f} ms beside it")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=1000, help="of the crowd (default %(default)s)")
    parser.add_argument("--crowds", type=int, default=5, help="one after the other (default %(default)s)")
    parser.add_argument("--bytes", type=int, default=10 * MIB, help="of the object (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=5, help="that the origin takes to send it (default %(default)s)")
    parser.add_argument("--readers", type=int, default=64, help="of the second crowd (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of the second crowd, of each kind (default %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="of the node (default %(default)s)")
    add_arguments(parser)
    options = parser.parse_args()
    raise_descriptor_limit()
    figures = Figures("collapse", options)
    body = random.Random(options.seed).randbytes(options.bytes)
    with tempfile.TemporaryDirectory(prefix="reef-collapse-") as name, RawOrigin() as origin:
        with make_node(ADDRESS, pathlib.Path(name) / "node", origin.port, workers=options.workers) as node:
            node.wait_ready()
            one_object_for_all(figures, node, origin, options, body)
            one_slow_reader(figures, node, origin, options, body)
    return figures.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
