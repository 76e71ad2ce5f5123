#!/usr/bin/env python3
"""A thousand slow connections beside one well-behaved client, who must be served as if they were not there.

A third sends heads byte by byte, a third bodies (to a site, which takes POST), a third reads large answers a few bytes at
a time; one that is cut off comes again at once. The well-behaved client asks for what is cached, for what is not, and
posts small forms, each on a kept connection and each on new ones; bound: p99 of each kind.
"""
import argparse
import multiprocessing
import pathlib
import socket
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "lib"))
from reeflab.bench_process import raise_descriptor_limit  # noqa: E402
from reeflab.raw_origin import RawOrigin, fresh  # noqa: E402
from reeflab.report import percentile  # noqa: E402
from reeflab.torture import MIB, SITE, Figures, Memory, add_arguments, get, make_node, parse_answers  # noqa: E402

ADDRESS = "127.0.0.33"
P99_MAX_MS = 100
ANSWER_MAX_S, FAILURES_MAX = 5, 2   # what takes longer has failed; a kind that failed so often is not asked for again
GAP_S = 0.5   # between two bytes of a slow client
MEMORY_EACH_MAX_KIB = 64
KINDS = ("heads", "bodies", "readers")


class SlowClient:
    """One slow connection: every GAP_S it does the least it can do."""

    def __init__(self, kind, address):
        self.kind, self.address, self.socket, self.cuts = kind, address, None, 0

    def connect(self):
        self.socket = socket.socket()
        if self.kind == "readers":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(5)
        self.socket.connect(self.address)
        self.socket.setblocking(False)
        host = f"Host: {SITE}\r\n"
        first = {"heads": "G", "bodies": f"POST /slow-form HTTP/1.1\r\n{host}Content-Length: 1000000\r\n\r\n",
                 "readers": f"GET /large HTTP/1.1\r\n{host}\r\n"}[self.kind]
        self.socket.sendall(first.encode())

    def step(self):
        """False: the node has ended it."""
        try:
            if self.kind == "readers":
                return self.socket.recv(16) != b""
            self.socket.send(b"x")
            return self.socket.recv(1000) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def again(self):
        self.cuts += 1
        self.socket.close()
        self.connect()


def run_slow_clients(address, count, stop, ready, cuts):
    """A process of its own: its work must not delay the client that is measured."""
    raise_descriptor_limit()
    clients = [SlowClient(KINDS[i % len(KINDS)], address) for i in range(count)]
    for client in clients:
        client.connect()
    ready.set()
    at, pause = 0, GAP_S / max(1, count / 50)
    while not stop.is_set():
        for client in clients[at:at + 50]:
            try:
                if not client.step():
                    client.again()
            except OSError:
                client.cuts += 1
        at = 0 if at + 50 >= count else at + 50
        time.sleep(pause)
    cuts.put({kind: sum(c.cuts for c in clients if c.kind == kind) for kind in KINDS})


class GoodClient:
    """Asks one thing after the other and takes the times, in ms."""

    def __init__(self, address):
        self.address, self.kept, self.wrong = address, None, 0
        self.number = 0

    def once(self, request, wanted, keep):
        """One exchange: milliseconds from before connecting (or sending) to the last byte."""
        started = time.monotonic()
        s = self.kept if keep and self.kept else socket.create_connection(self.address, ANSWER_MAX_S)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.sendall(request)
        got = b""
        while not (found := parse_answers(got)) or not found[0].whole:
            s.settimeout(ANSWER_MAX_S)
            more = s.recv(65536)
            if not more:
                break
            got += more
        taken = (time.monotonic() - started) * 1000
        self.wrong += not (found and found[0].whole and found[0].status == 200 and found[0].body == wanted)
        if keep and found and found[0].fields.get("connection") != "close":
            self.kept = s
        else:
            s.close()
            self.kept = None if keep else self.kept
        return taken

    def ask(self, kind):
        self.number += 1
        what, connection = kind.split(", ")
        path = {"hits": "/canary", "misses": f"/miss-{self.number}", "forms": f"/form-{self.number}"}[what]
        method, body = ("POST", b"name=value") if what == "forms" else ("GET", b"")
        head = f"{method} {path} HTTP/1.1\r\nHost: {SITE}\r\n" + (f"Content-Length: {len(body)}\r\n" if body else "")
        return self.once(head.encode() + b"\r\n" + body, b"content of " + path.encode(), connection == "kept")


def measure(address, requests):
    """Kind -> times in ms, and how many answers were wrong."""
    client = GoodClient(address)
    kinds = [f"{what}, {connection}" for what in ("hits", "misses", "forms") for connection in ("kept", "new")]
    times, failed = {kind: [] for kind in kinds}, dict.fromkeys(kinds, 0)
    for _ in range(requests):
        for kind in kinds:
            if failed[kind] >= FAILURES_MAX:
                continue
            try:
                times[kind].append(client.ask(kind))
            except OSError:
                times[kind].append(ANSWER_MAX_S * 1000)
                failed[kind] += 1
                client.kept = None
    return times, client.wrong + sum(failed.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=1000, help="slow ones (default %(default)s)")
    parser.add_argument("--requests", type=int, default=500, help="of each kind of the good client (default %(default)s)")
    add_arguments(parser)
    options = parser.parse_args()
    raise_descriptor_limit()
    figures = Figures("slow connections", options)
    large = bytes(8 * MIB)

    async def send_large(talk):
        await talk.send(fresh(large))

    with tempfile.TemporaryDirectory(prefix="reef-slow-") as name, RawOrigin({"/large": send_large}) as origin:
        with make_node(ADDRESS, pathlib.Path(name) / "node", origin.port) as node:
            node.wait_ready()
            address = (ADDRESS, node.proxy_port)
            for path in ("/canary", "/large"):
                get(address, SITE, path)
            alone, wrong = measure(address, max(20, options.requests // 5))
            figures.holds("right answers without the slow ones", wrong == 0, f"{wrong} wrong")
            memory = Memory(node.pid)
            memory.begin()
            stop, ready, cuts = multiprocessing.Event(), multiprocessing.Event(), multiprocessing.Queue()
            slow = multiprocessing.Process(target=run_slow_clients, daemon=True,
                                           args=(address, options.connections, stop, ready, cuts))
            slow.start()
            try:
                met = ready.wait(60)
                figures.holds(f"{options.connections} slow connections stand", met)
                beside, wrong = measure(address, options.requests)
                open_now = node.status()["proxy"]["connections_open"]
            finally:
                stop.set()
                counted = cuts.get(timeout=30)
                slow.join(30)
            for kind, times in beside.items():
                figures.at_most(f"{kind}: p99", percentile(times, 99), P99_MAX_MS, "ms")
                figures.note(f"{kind}: p50 {percentile(times, 50):.1f} p99 {percentile(times, 99):.1f} ms; without the slow "
                             f"ones p50 {percentile(alone[kind], 50):.1f} p99 {percentile(alone[kind], 99):.1f} ms")
            figures.holds("right answers beside the slow ones", wrong == 0, f"{wrong} wrong")
            figures.at_least("connections open meanwhile", open_now, 0.9 * options.connections)
            figures.at_most("memory of each", memory.growth() / 1024 / options.connections, MEMORY_EACH_MAX_KIB, "KiB")
            figures.note(f"cut off meanwhile, and back again: {counted}")
    return figures.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
