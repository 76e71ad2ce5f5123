#!/usr/bin/env python3
"""What stays small: the memory of idle connections, and of the node while an object passes that is larger than its cache.

Idle: each connection has asked for one object and stays (reeflab.bench_load.idle_memory, as in scripts/bench proxy).
Passing: a site's object far over proxy.cache.object_bytes_max, of known length and in chunks, is read through the node at
full speed and by a reader who takes his time; every byte is compared, nothing may be kept, and the node's peak of
resident memory is the figure.
"""
import argparse
import pathlib
import random
import socket
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "lib"))
from reeflab.bench_load import idle_memory, wait_answer  # noqa: E402
from reeflab.bench_process import BenchError, raise_descriptor_limit  # noqa: E402
from reeflab.bench_servers import Origin, Reef  # noqa: E402
from reeflab.raw_origin import RawOrigin  # noqa: E402
from reeflab.torture import MIB, SITE, Figures, Memory, add_arguments, get, make_node  # noqa: E402

ADDRESS = "127.0.0.36"
IDLE_BYTES_MAX = 1024
PASS_GROWTH_MAX_MIB = 64
SPOOLED_MIB = 1024   # less than half of proxy.cache.disk_bytes
DRIPPING_S, DRIPPING_MIB = 3.0, 64   # the slow reader: so much in this time, while the origin would send at once
PIECE = random.Random(7).randbytes(MIB - 13)   # of an odd length, so that no buffer hides a shift


class Endless:
    """A script: `size` bytes of PIECE after PIECE; counts what it could send in the latest fetch."""

    def __init__(self, size, chunked):
        self.size, self.chunked, self.sent, self.fetches = size, chunked, 0, 0

    async def __call__(self, talk):
        self.fetches += 1
        framing = "Transfer-Encoding: chunked" if self.chunked else f"Content-Length: {self.size}"
        alive = await talk.send(f"HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\n{framing}\r\n\r\n".encode())
        sent = self.sent = 0  # a fetch before this one may not have ended yet
        while alive and sent < self.size:
            piece = PIECE[:self.size - sent] if self.size - sent < len(PIECE) else PIECE
            alive = await talk.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" if self.chunked else piece)
            sent += len(piece)
            self.sent = sent
        if self.chunked and alive:
            await talk.send(b"0\r\n\r\n")


class Reader:
    """Reads one answer and compares it with what the origin sends, byte by byte."""

    def __init__(self, address, path):
        self.socket = socket.create_connection(address, 30)
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: {SITE}\r\nConnection: close\r\n\r\n".encode())
        self.status, self.right, self.bytes, self.held = 0, True, 0, bytearray()
        self.chunked, self.chunk_left, self.length, self.ended = False, 0, None, False

    def read_head(self):
        while b"\r\n\r\n" not in self.held:
            more = self.socket.recv(65536)
            if not more:
                return False
            self.held += more
        head, _, rest = bytes(self.held).partition(b"\r\n\r\n")
        self.held = bytearray(rest)
        self.status = int(head.split(b" ", 2)[1])
        fields = dict(line.lower().partition(b": ")[::2] for line in head.split(b"\r\n")[1:])
        self.chunked = fields.get(b"transfer-encoding") == b"chunked"
        self.length = int(fields[b"content-length"]) if b"content-length" in fields else None
        return True

    def take(self, data):
        """Body bytes: the same as the origin's at that place."""
        at = 0
        while at < len(data):
            start = self.bytes % len(PIECE)
            run = min(len(data) - at, len(PIECE) - start)
            self.right = self.right and data[at:at + run] == PIECE[start:start + run]
            self.bytes += run
            at += run

    def feed(self):
        """Takes body bytes out of what is held."""
        while self.held:
            if not self.chunked:
                self.take(bytes(self.held))
                self.held.clear()
                return
            if self.chunk_left > 2:
                run = min(self.chunk_left - 2, len(self.held))
                self.take(bytes(self.held[:run]))
            elif self.chunk_left > 0:
                run = min(self.chunk_left, len(self.held))
            else:
                line, mark, _ = bytes(self.held[:32]).partition(b"\r\n")
                if not mark:
                    return
                size = int(line, 16)
                self.chunk_left = size + 2
                del self.held[:len(line) + 2]
                if size == 0:
                    self.ended = True
                    return
                continue
            self.chunk_left -= run
            del self.held[:run]

    def read(self, bytes_max=None, pace=None):
        """To the end, or so many bytes. pace: bytes a second. True: it ended as a whole answer does."""
        if not self.read_head():
            return False
        started = time.monotonic()
        self.feed()
        while bytes_max is None or self.bytes < bytes_max:
            if pace and self.bytes / pace > time.monotonic() - started:
                time.sleep(0.01)
                continue
            try:
                more = self.socket.recv(1 << 20)
            except OSError:
                return False
            if not more:
                break
            self.held += more
            self.feed()
        return self.ended if self.chunked else self.bytes == self.length

    def close(self):
        self.socket.close()


def idle(figures, directory, options):
    """A fresh node with one worker."""
    try:
        origin = Origin(directory / "origin", 0)
    except FileNotFoundError as error:
        figures.holds("idle connections could be measured", False, str(error))
        return
    server = Reef(directory / "reef", origin.port, 1)
    try:
        server.start()
        wait_answer(server, "/1024")
        found = idle_memory(server, origin, options.idle)
        figures.at_most(f"{options.idle} idle connections, memory of each", found["rss_bytes_each"], IDLE_BYTES_MAX, "bytes")
        figures.at_most("of those closed by the node", found["closed_by_server"], 0)
    finally:
        server.stop()
        origin.stop()


def passing(figures, node, origin, options):
    """At full speed, both framings; nothing of it is kept."""
    length, chunks = Endless(0, False), Endless(0, True)
    # What does not say its length is shared until it turns out too large: its first readers have it from the spool, which
    # has its own bound. Who asks then is served alone.
    for name, mib, script in (("of known length", options.pass_mib, length),
                              ("in chunks, the first time", min(options.pass_mib, SPOOLED_MIB), chunks),
                              ("in chunks, the second time", options.pass_mib, chunks)):
        size, path = mib * MIB + 17, f"/endless-{'chunks' if script.chunked else 'length'}"
        origin.scripts[path], script.size = script, size
        memory = Memory(node.pid)
        memory.begin()
        started = time.monotonic()
        reader = Reader((ADDRESS, node.proxy_port), path)
        whole = reader.read()
        reader.close()
        took = time.monotonic() - started
        figures.holds(f"{mib} MiB {name}: whole and right", whole and reader.right and reader.bytes == size,
                      f"{reader.status}, {reader.bytes} bytes{'' if reader.right else ' WRONG'}")
        figures.at_most(f"{mib} MiB {name}: memory growth", memory.growth() / MIB, PASS_GROWTH_MAX_MIB, "MiB")
        figures.note(f"{name}: {reader.bytes / MIB / took:.0f} MiB/s, {script.fetches} request(s) to the origin")
        before = script.fetches
        again = Reader((ADDRESS, node.proxy_port), path)
        again.read(MIB)  # and no more: who goes away ends a fetch that was his alone
        again.close()
        figures.holds(f"{mib} MiB {name}: nothing was kept", script.fetches > before)
        figures.holds("others are served", get((ADDRESS, node.proxy_port), SITE, "/canary").body == b"content of /canary")


def slow_reader(figures, node, origin):
    """The reader's pace becomes the origin's: nothing piles up in memory or on the disk."""
    script = Endless(1 << 34, False)
    origin.scripts["/slowly"] = script
    memory = Memory(node.pid)
    memory.begin()
    reader = Reader((ADDRESS, node.proxy_port), "/slowly")
    reader.read(DRIPPING_MIB * MIB, DRIPPING_MIB * MIB / DRIPPING_S)
    ahead = (script.sent - reader.bytes) / MIB
    disk = node.status()["store"]["spool_bytes"] / MIB
    figures.holds("a slow reader: right bytes", reader.right and reader.bytes >= DRIPPING_MIB * MIB, f"{reader.bytes} bytes")
    figures.at_most("a slow reader: how far the origin was ahead", ahead, 32, "MiB")
    figures.at_most("a slow reader: memory growth", memory.growth() / MIB, PASS_GROWTH_MAX_MIB, "MiB")
    figures.at_most("a slow reader: spooled on disk", disk, 16, "MiB")
    reader.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--idle", type=int, default=10_000, help="connections; 0: not measured (default %(default)s)")
    parser.add_argument("--pass-mib", type=int, default=10_240, help="size of the large object (default %(default)s)")
    add_arguments(parser)
    options = parser.parse_args()
    raise_descriptor_limit()
    figures = Figures("endurance", options)
    with tempfile.TemporaryDirectory(prefix="reef-endurance-") as name, RawOrigin() as origin:
        directory = pathlib.Path(name)
        try:
            if options.idle:
                idle(figures, directory, options)
        except BenchError as error:
            figures.holds("idle connections could be measured", False, str(error))
        with make_node(ADDRESS, directory / "node", origin.port) as node:
            node.wait_ready()
            get((ADDRESS, node.proxy_port), SITE, "/canary")
            slow_reader(figures, node, origin)
            passing(figures, node, origin, options)
    return figures.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
