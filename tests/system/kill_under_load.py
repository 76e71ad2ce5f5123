#!/usr/bin/env python3
"""kill -9 at random moments under load: never a wrong byte, never a failed start, and the rest of the cache is there.

Each cycle stores some anchors (objects of all sizes, asked for until the store says that they are committed), then puts
the node under load, kills it at a seeded random moment, starts it again and asks for this cycle's and earlier anchors:
all must be right, and served without a question to the origin. Every complete answer, under load and after it, is
compared with what the origin has. The same is then done on a disk so small that it fills up: there only right bytes,
good starts and answers count. (The small disk is a tmpfs, which only root may mount: skipped loudly otherwise.)
"""
import argparse
import hashlib
import pathlib
import random
import re
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "lib"))
from reeflab.node import NodeError, wait_until  # noqa: E402
from reeflab.raw_origin import RawOrigin, fresh  # noqa: E402
from reeflab.torture import MIB, Figures, add_arguments, coral, get, make_node, small_disk  # noqa: E402

ADDRESS = "127.0.0.35"
# In the ring, at its edges, in memory and in files: what the store treats differently.
SIZES = [0, 1, 700, 5_000, 16_384, 16_385, 60_000, 400_000, 1_048_576, 1_048_577, 3_000_000]
SIZES_WEIGHTS = [1, 1, 12, 12, 4, 4, 8, 4, 1, 1, 1]
EARLIER_ANCHORS = 40     # of earlier cycles, asked for again after each restart
START_MAX_S = 15


def content(path):
    """The one right body of a path: its size stands in it."""
    size = int(path.rsplit("-", 1)[1])
    seed = hashlib.sha256(path.encode()).digest()
    return (seed * (size // len(seed) + 1))[:size] if size < 100_000 else random.Random(seed).randbytes(size)


async def answer(talk):
    path = talk.request.path
    body = content(path)
    # Some announce their length, some do not; the body is the same.
    if len(path) % 3:
        await talk.send(fresh(body, f'ETag: "{len(body)}"\r\n'))
    else:
        head = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunk = f"{len(body):x}\r\n".encode() + body + b"\r\n" if body else b""
        await talk.send(head + chunk + b"0\r\n\r\n")


class AnyPath(dict):
    def get(self, key, default=None):
        return answer


class Load:
    """Threads that ask at random, again and again for what was asked before, until they are told to stop."""

    def __init__(self, address, host, seed, threads, prefix):
        self.address, self.host, self.prefix = address, host, prefix
        self.stopping = threading.Event()
        self.right = self.broken = 0
        self.wrong = []
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(random.Random(f"{seed} {i}"),), daemon=True) for i in range(threads)]

    def run(self, source):
        asked = []
        while not self.stopping.is_set():
            if asked and source.random() < 0.5:
                path = source.choice(asked)
            else:
                size = source.choices(SIZES, SIZES_WEIGHTS)[0]
                path = f"/{self.prefix}-{source.randrange(400)}-{size}"
                asked.append(path)
            found = get(self.address, self.host, path, timeout_s=10)
            with self.lock:
                if found.status == 200 and found.whole:
                    if found.body == content(path):
                        self.right += 1
                    else:
                        self.wrong.append(path)
                else:
                    self.broken += 1  # cut by the kill, or refused while overloaded: no answer, but no wrong one

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)


class Torture:
    def __init__(self, node, origin, source):
        self.node, self.origin, self.source = node, origin, source
        self.address, self.host = (ADDRESS, node.proxy_port), coral(origin.port)
        self.failed_starts, self.wrong, self.right, self.kills = [], [], 0, 0
        self.anchors_asked = self.anchors_missing = self.uncommitted = 0
        self.slowest_start = 0.0

    def start(self):
        started = time.monotonic()
        try:
            self.node.start()
            self.node.wait_ready(START_MAX_S)
        except NodeError as error:
            self.failed_starts.append(str(error))
            raise
        self.slowest_start = max(self.slowest_start, time.monotonic() - started)

    def ask(self, path):
        """True: right. A whole answer with other bytes is noted as wrong."""
        found = get(self.address, self.host, path)
        if found.status == 200 and found.whole and found.body != content(path):
            self.wrong.append(path)
        return found.status == 200 and found.whole and found.body == content(path)

    def store_anchors(self, cycle, count):
        """New objects that are on the disk when this returns; those that are not in time are counted and left out."""
        paths = [f"/anchor-{cycle}-{i}-{self.source.choices(SIZES, SIZES_WEIGHTS)[0]}" for i in range(count)]
        before = self.node.status()["store"]["persisted"]
        for _ in range(3):   # a store may keep only what is asked for again
            for path in paths:
                self.ask(path)

        def committed():
            store = self.node.status()["store"]
            return store["persisted"] >= before + count and store["queued"] == 0
        try:
            wait_until(committed, 15, "anchors committed", self.node.check_alive)
        except NodeError:
            self.uncommitted += 1
            return []
        return paths

    def kill_under_load(self, cycle, threads):
        """Returns what the load saw."""
        with Load(self.address, self.host, f"{cycle} {self.source.random()}", threads, "load") as load:
            time.sleep(self.source.uniform(0.02, 0.8))  # the moment is what is random here
            self.node.kill()
            self.kills += 1
            load.stopping.set()
        self.right += load.right
        self.wrong += load.wrong
        return load

    def check_anchors(self, paths):
        """Each must be served, right, without the origin."""
        before = len(self.origin.seen())
        served = [self.ask(path) for path in paths]
        asked = {request.path for request in self.origin.seen()[before:]}
        self.anchors_asked += len(paths)
        self.anchors_missing += sum(not ok or path in asked for ok, path in zip(served, paths))


def on_a_good_disk(figures, directory, origin, options):
    node = make_node(ADDRESS, directory, origin.port, "--set", "proxy.origin.connections_per_host_max=64",
                     "--set", "proxy.cache.disk_bytes=4GiB")
    torture = Torture(node, origin, random.Random(options.seed))
    kept = []
    try:
        torture.start()
        for cycle in range(options.kills):
            anchors = torture.store_anchors(cycle, options.anchors)
            torture.kill_under_load(cycle, options.threads)
            torture.start()
            kept += anchors
            earlier = torture.source.sample(kept, min(len(kept), EARLIER_ANCHORS))
            torture.check_anchors(anchors + earlier)
            origin.forget()
        store = node.status()["store"]
        figures.holds("it exits with 0 in the end", node.stop() == 0)
        figures.note(f"{torture.right} right answers under load; slowest start {torture.slowest_start:.2f} s; in the last life "
                     f"{store['damaged']} damaged records dropped, {store['orphans_removed']} orphans removed")
    finally:
        node.kill()
        figures.at_least("kills", torture.kills, options.kills)
        figures.at_most("failed starts", len(torture.failed_starts), 0)
        figures.at_most("wrong answers", len(torture.wrong), 0)
        figures.at_least("right answers under load", torture.right, options.kills)
        figures.at_least("anchors asked for after restarts", torture.anchors_asked, options.kills * options.anchors)
        figures.at_most("anchors that were gone", torture.anchors_missing, 0)
        figures.at_most("cycles whose anchors were not committed within 15 s", torture.uncommitted, 0)
        for path in torture.wrong[:5] + torture.failed_starts[:2]:
            figures.note(path)


def on_a_full_disk(figures, directory, origin, options):
    """False: it could not be tried."""
    with small_disk(directory, options.small_disk_mib * MIB) as mounted:
        if not mounted:
            return False
        node = make_node(ADDRESS, directory / "node", origin.port, "--set", "proxy.origin.connections_per_host_max=64",
                         "--set", "proxy.cache.disk_bytes=4GiB", "--set", "proxy.cache.ram_bytes=8MiB",
                         log_path=directory.parent / "full.log")
        torture = Torture(node, origin, random.Random(options.seed + 1))
        full = refused = 0
        try:
            torture.start()
            for cycle in range(options.full_kills):
                wait_until(lambda: fill_disk(torture), 60, "the disk is full", node.check_alive)
                counted = node.status()["store"]
                full += counted["persist_failed"] + counted["io_errors"] > 0
                refused += sum(not torture.ask(f"/full-{cycle}-{i}-{size}") for i, size in enumerate(SIZES))
                torture.kill_under_load(f"full {cycle}", options.threads)
                torture.start()
                refused += not torture.ask(f"/after-{cycle}-{torture.source.choice(SIZES)}")
            figures.holds("full disk: it exits with 0 in the end", node.stop() == 0)
        finally:
            node.kill()
            figures.at_least("full disk: kills", torture.kills, options.full_kills)
            figures.at_least("full disk: cycles in which the disk refused", full, options.full_kills)
            figures.at_most("full disk: failed starts", len(torture.failed_starts), 0)
            figures.at_most("full disk: wrong answers", len(torture.wrong), 0)
            figures.at_most("full disk: requests not answered right", refused, 0)
            for path in torture.wrong[:5] + torture.failed_starts[:2]:
                figures.note(path)
    return True


def fill_disk(torture):
    """Asks for some more; true once the disk has refused a write."""
    for _ in range(5):
        torture.ask(f"/more-{torture.source.randrange(1 << 30)}-{torture.source.choice([5_000, 60_000, 400_000, 1_048_577])}")
    counted = torture.node.status()["store"]
    return counted["persist_failed"] + counted["io_errors"] > 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="(default %(default)s)")
    parser.add_argument("--full-kills", type=int, default=50, help="on the small disk (default %(default)s)")
    parser.add_argument("--anchors", type=int, default=30, help="of each cycle (default %(default)s)")
    parser.add_argument("--threads", type=int, default=8, help="of the load (default %(default)s)")
    parser.add_argument("--small-disk-mib", type=int, default=24, help="size of the disk that fills up (default %(default)s)")
    add_arguments(parser)
    options = parser.parse_args()
    figures = Figures("kill -9 under load", options)
    with tempfile.TemporaryDirectory(prefix="reef-kill-") as name, RawOrigin() as origin:
        origin.scripts = AnyPath()
        for part in (lambda: on_a_good_disk(figures, pathlib.Path(name) / "node", origin, options),
                     lambda: on_a_full_disk(figures, pathlib.Path(name) / "small", origin, options)):
            try:
                tried = part()
            except NodeError as error:
                figures.holds("the node ran", False, re.sub(r"\s+", " ", str(error))[-300:])
                continue
            if tried is False:
                print("!!! SKIPPED: the disk that fills up needs a mounted tmpfs, so root")
                figures.note("SKIPPED: the disk that fills up (only root may mount a tmpfs)")
    return figures.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
