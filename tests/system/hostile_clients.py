#!/usr/bin/env python3
"""Clients that break the rules of HTTP/1.1, to a running node: refused, cut, or served right, and never forwarded wrongly.

Each case is one named attack. What is ambiguous (RFC 9112 §6.3, §11.2) must be answered with 400 and a close, and nothing
of it may come to the origin as a request: the origin keeps the bytes of all it is sent. Attacks by slowness must be cut
by the node's time-outs, which are short here. After each case the node must serve others.
"""
import argparse
import os
import pathlib
import random
import re
import socket
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "lib"))
from reeflab.raw_origin import RawOrigin, fresh  # noqa: E402
from reeflab.torture import (MIB, SITE, Figures, Memory, add_arguments, coral, get, make_node, open_files,  # noqa: E402
                             parse_answers, talk)

ADDRESS = "127.0.0.31"
HEADER_TIMEOUT_S, IDLE_TIMEOUT_S, WINDOW_S = 2, 2, 2
TICKS_S = 2.5   # a deadline fires up to a tick (1 s) late, and the answer needs to travel
LINGER_S = 2    # what follows an answer that ends a connection is read and dropped for so long
MEMORY_GROWTH_MAX = 32 * MIB

POST = f"POST /victim HTTP/1.1\r\nHost: {SITE}\r\n"
GET = f"GET /victim HTTP/1.1\r\nHost: {SITE}\r\n"
SMUGGLED = f"GET /smuggled HTTP/1.1\r\nHost: {SITE}\r\n\r\n"


def chunked(body):
    return POST + "Transfer-Encoding: chunked\r\n\r\n" + body


# Name -> (bytes, statuses allowed). One answer, then the end of the connection; the origin must hear nothing.
REFUSED = {
    "Content-Length with Transfer-Encoding": (POST + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED, {400}),
    "Transfer-Encoding with Content-Length": (POST + "Transfer-Encoding: chunked\r\nContent-Length: 500\r\n\r\n0\r\n\r\n" + SMUGGLED, {400}),
    "two different Content-Length lines": (POST + "Content-Length: 0\r\nContent-Length: 60\r\n\r\n" + SMUGGLED, {400}),
    "two equal Content-Length lines": (POST + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", {400}),
    "a list as Content-Length": (POST + "Content-Length: 1, 1\r\n\r\nx", {400}),
    "Content-Length with a sign": (POST + "Content-Length: +1\r\n\r\nx", {400}),
    "a negative Content-Length": (POST + "Content-Length: -1\r\n\r\nx", {400}),
    "a hexadecimal Content-Length": (POST + "Content-Length: 0x10\r\n\r\n" + 16 * "x", {400}),
    "an empty Content-Length": (POST + "Content-Length:\r\n\r\n", {400}),
    "a Content-Length beyond 64 bits": (POST + "Content-Length: 18446744073709551617\r\n\r\nx", {400}),
    "chunked twice": (POST + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", {400}),
    "chunked not last": (POST + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", {400}),
    "a coding before chunked": (POST + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", {400, 501}),
    "an unknown coding": (POST + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", {400, 501}),
    "chunked with a control character": (POST + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", {400}),
    "Transfer-Encoding on two lines": (POST + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", {400}),
    "Transfer-Encoding in HTTP/1.0": (POST.replace("1.1", "1.0") + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
    "bare LF in place of every line end": ((GET + "\r\n").replace("\r\n", "\n"), {400}),
    "bare LF after one field": (GET + "A: b\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
    "bare LF in place of the blank line": (GET + "A: b\r\n\n", {400}),
    "bare CR within a value": (GET + "A: b\rTransfer-Encoding: chunked\r\n\r\n", {400}),
    "bare CR within the request line": ("GET /victim\r HTTP/1.1\r\nHost: " + SITE + "\r\n\r\n", {400}),
    "two Host lines": (GET + "Host: other.example\r\n\r\n", {400}),
    "two equal Host lines": (GET + f"Host: {SITE}\r\n\r\n", {400}),
    "no Host": ("GET /victim HTTP/1.1\r\n\r\n", {400}),
    "an empty Host": ("GET /victim HTTP/1.1\r\nHost:\r\n\r\n", {400}),
    "two names in one Host": (f"GET /victim HTTP/1.1\r\nHost: {SITE}, {SITE}\r\n\r\n", {400}),
    "user information in Host": (f"GET /victim HTTP/1.1\r\nHost: user@{SITE}\r\n\r\n", {400}),
    "a port in Host that is no number": (f"GET /victim HTTP/1.1\r\nHost: {SITE}:80x\r\n\r\n", {400}),
    "a path in Host": (f"GET /victim HTTP/1.1\r\nHost: {SITE}/x\r\n\r\n", {400}),
    "a folded field": (GET + "A: b\r\n c\r\n\r\n", {400}),
    "a folded field with a tab": (GET + "A: b\r\n\tTransfer-Encoding: chunked\r\n\r\n", {400}),
    "a blank before the first field": ("GET /victim HTTP/1.1\r\n Host: " + SITE + "\r\n\r\n", {400}),
    "a blank before the colon": (POST + "Content-Length : 60\r\n\r\n" + SMUGGLED, {400}),
    "a tab before the colon": (POST + "Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n", {400}),
    "a field without a colon": (GET + "nonsense\r\n\r\n", {400}),
    "a field without a name": (GET + ": value\r\n\r\n", {400}),
    "NUL in a value": (GET + "A: b\0c\r\n\r\n", {400}),
    "NUL in a name": (GET + "A\0: b\r\n\r\n", {400}),
    "NUL in the target": (f"GET /vic\0tim HTTP/1.1\r\nHost: {SITE}\r\n\r\n", {400}),
    "a control character in a value": (GET + "A: b\x01c\r\n\r\n", {400}),
    "two blanks in the request line": (f"GET  /victim HTTP/1.1\r\nHost: {SITE}\r\n\r\n", {400}),
    "a blank within the target": (f"GET /victim x HTTP/1.1\r\nHost: {SITE}\r\n\r\n", {400}),
    "a second HTTP version": (f"GET /victim HTTP/1.1 HTTP/1.1\r\nHost: {SITE}\r\n\r\n", {400}),
    "HTTP/2.0": (f"GET /victim HTTP/2.0\r\nHost: {SITE}\r\n\r\n", {505}),
    "HTTP/1.10": (f"GET /victim HTTP/1.10\r\nHost: {SITE}\r\n\r\n", {400, 505}),
    "HTTP/0.9": ("GET /victim\r\n\r\n", {400, 505}),
    "the preface of HTTP/2": ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505}),
    "the start of TLS": ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + 64 * "\x7f", {400}),
    "a method that is no token": (f"GE(T /victim HTTP/1.1\r\nHost: {SITE}\r\n\r\n", {400}),
    "an unknown expectation": (POST + "Expect: 200-ok\r\nContent-Length: 1\r\n\r\nx", {417}),
    "a target of 100 KiB": (f"GET /victim{100 * 1024 * 'x'} HTTP/1.1\r\nHost: {SITE}\r\n\r\n", {414}),
    "a head of 100 KiB": (GET + "A: " + 100 * 1024 * "x" + "\r\n\r\n", {431}),
    "a thousand fields": (GET + 1000 * "A: b\r\n" + "\r\n", {431}),
    "a body announced over the limit": (POST + "Content-Length: 99999999999\r\n\r\nx", {413}),
    "CONNECT": (f"CONNECT {SITE}:443 HTTP/1.1\r\nHost: {SITE}:443\r\n\r\n", {400, 405, 421, 501}),
}

# Bodies whose framing breaks: the head may be on its way already, but the origin must never take it for a request.
BAD_BODIES = {
    "a chunk size that is no number": chunked("G\r\nx\r\n0\r\n\r\n"),
    "an empty chunk size": chunked("\r\nx\r\n0\r\n\r\n"),
    "a chunk size with a sign": chunked("+1\r\nx\r\n0\r\n\r\n"),
    "a negative chunk size": chunked("-1\r\nx\r\n0\r\n\r\n"),
    "a chunk size with 0x": chunked("0x1\r\nx\r\n0\r\n\r\n"),
    "a blank before a chunk size": chunked(" 1\r\nx\r\n0\r\n\r\n"),
    "a blank behind a chunk size": chunked("1 \r\nx\r\n0\r\n\r\n"),
    "a chunk size beyond 64 bits": chunked("10000000000000001\r\nx\r\n0\r\n\r\n"),
    "a chunk size that ends in bare LF": chunked("1\nx\r\n0\r\n\r\n"),
    "a chunk longer than its size": chunked("1\r\nxy\r\n0\r\n\r\n"),
    "a chunk that ends in bare LF": chunked("1\r\nx\n0\r\n\r\n"),
    "NUL in a chunk extension": chunked("1;a=\0\r\nx\r\n0\r\n\r\n"),
    "bare CR in a chunk extension": chunked("1;a\rb\r\nx\r\n0\r\n\r\n"),
    "a megabyte of chunk extension": chunked("1;" + MIB * "a" + "\r\nx\r\n0\r\n\r\n"),
    "a megabyte of zeros in a chunk size": chunked(MIB * "0" + "1\r\nx\r\n0\r\n\r\n"),
    "a megabyte of trailers": chunked("1\r\nx\r\n0\r\n" + (MIB // 8) * "A: bcd\r\n" + "\r\n"),
    "a folded trailer": chunked("1\r\nx\r\n0\r\nA: b\r\n c\r\n\r\n"),
    "a trailer without a colon": chunked("1\r\nx\r\n0\r\nnonsense\r\n\r\n"),
    "a blank before a trailer's colon": chunked("1\r\nx\r\n0\r\nA : b\r\n\r\n"),
    "a chunked body without an end": chunked("5\r\nhello\r\n"),
    "a body shorter than its length": POST + "Content-Length: 50\r\n\r\nshort",
}


class Bench:
    """One node, one origin, and the checks that follow every case."""

    def __init__(self, figures, node, origin, options):
        self.figures, self.node, self.origin, self.options = figures, node, origin, options
        self.address = (ADDRESS, node.proxy_port)
        self.random = random.Random(options.seed)
        self.number = 0

    def serves(self):
        return get(self.address, SITE, "/canary").body == b"content of /canary"

    def case(self, name, met, said):
        """One row: the case held, and afterwards the node serves another client."""
        alive = self.serves()
        self.figures.holds(name, met and alive, said if alive else f"{said}; the node no longer serves")

    def mark(self, text):
        """Begins a case: its paths get a number, as what an earlier one has sent may still be on its way."""
        self.number += 1
        return text.replace("/victim", f"/victim-{self.number}").replace("/smuggled", f"/smuggled-{self.number}")

    def forwarded(self):
        """What came to the origin since mark(): everything but what others ask for and what is marked with another number."""
        own = f"-{self.number}"
        return [request for request in self.origin.seen() if request.path not in ("/canary", "/large") and
                (request.path.endswith(own) or not re.search(r"-\d+$", request.path))]


def refused(bench):
    for name, (text, wanted) in REFUSED.items():
        said = talk(bench.address, bench.mark(text).encode("latin-1"), timeout_s=LINGER_S + TICKS_S)
        found = said.answers()
        statuses = [answer.status for answer in found]
        met = len(found) == 1 and statuses[0] in wanted and found[0].whole and said.end != "open" and not bench.forwarded()
        bench.case(name, met, f"{statuses} {said.end}" + (f", {len(bench.forwarded())} forwarded" if bench.forwarded() else ""))


def bad_bodies(bench):
    for name, text in BAD_BODIES.items():
        # The client ends its side: what is missing of a body will not come.
        said = talk(bench.address, bench.mark(text).encode("latin-1"), timeout_s=LINGER_S + TICKS_S, half_close=True)
        statuses = [answer.status for answer in said.answers()]
        whole = [request for request in bench.forwarded() if request.whole]
        met = statuses in ([400], []) and said.end != "open" and not whole
        bench.case(name, met, f"{statuses} {said.end}" + (f", {len(whole)} whole requests forwarded" if whole else ""))


def two_requests_in_one_body(bench):
    """A request within a body is body, and what stands behind the body is the next request."""
    closing = GET + "Connection: close\r\n\r\n"
    for name, frame in (("a request in a body of known length", lambda inner: f"Content-Length: {len(inner)}\r\n\r\n{inner}"),
                        ("a request in a chunked body",
                         lambda inner: f"Transfer-Encoding: chunked\r\n\r\n{len(inner):x}\r\n{inner}\r\n0\r\n\r\n")):
        inner, post, last = bench.mark("\0".join((SMUGGLED, POST, closing))).split("\0")
        said = talk(bench.address, (post + frame(inner) + last).encode())
        found = [(request.method, request.body) for request in bench.forwarded()]
        statuses = [answer.status for answer in said.answers()]
        # A node may end the connection behind a chunked body; what it must not do is to see two requests in it.
        met = found[:1] == [("POST", inner.encode())] and found[1:] in ([], [("GET", b"")]) and set(statuses) == {200}
        bench.case(name, met, f"{statuses}, forwarded {[method for method, _ in found]}")
    inner = bench.mark(SMUGGLED)
    text = f"GET /victim-{bench.number} HTTP/1.1\r\nHost: {coral(bench.origin.port)}\r\nContent-Length: {len(inner)}\r\n\r\n{inner}"
    said = talk(bench.address, text.encode(), timeout_s=LINGER_S + TICKS_S)
    statuses = [answer.status for answer in said.answers()]
    bench.case("GET with a body under a Coralized name", statuses == [400] and said.end == "closed" and not bench.forwarded(),
               f"{statuses} {said.end}")
    text = bench.mark(POST + "Connection: Content-Length, Host\r\nContent-Length: 4\r\n\r\nbody").encode()
    said = talk(bench.address, text, until=lambda data: any(answer.whole for answer in parse_answers(data)))
    found = bench.forwarded()
    met = not found or (len(found) == 1 and found[0].whole and found[0].body == b"body" and found[0].field("Host"))
    bench.case("Connection names Content-Length and Host", met, f"{[a.status for a in said.answers()]}, {len(found)} forwarded")


def absolute_form(bench):
    """The target decides, never the Host beside it (RFC 9112 §3.2.2)."""
    text = f"GET http://{SITE}/victim HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    said = talk(bench.address, bench.mark(text).encode())
    hosts = [request.field("Host") or "" for request in bench.forwarded()]
    statuses = [a.status for a in said.answers()]
    met = (statuses == [400] and not hosts) or (statuses == [200] and len(hosts) == 1 and "evil" not in hosts[0])
    bench.case("absolute-form with another Host", met, f"{statuses}, forwarded with Host {hosts}")
    text = f"GET http://evil.example/victim HTTP/1.1\r\nHost: {SITE}\r\nConnection: close\r\n\r\n"
    said = talk(bench.address, bench.mark(text).encode())
    statuses = [a.status for a in said.answers()]
    bench.case("absolute-form of a foreign name with our Host", statuses[:1] != [200] and not bench.forwarded(), f"{statuses}")


def pipelining(bench):
    """A flood of pipelined requests: answered in order, none lost, with bounded memory."""
    count = bench.options.pipelined
    paths = [f"/pipe-{i % 7}" for i in range(count)]
    for path in set(paths):
        get(bench.address, SITE, path)
    memory = Memory(bench.node.pid)
    memory.begin()
    data = "".join(f"GET {path} HTTP/1.1\r\nHost: {SITE}\r\n\r\n" for path in paths[:-1]).encode()
    data += f"GET {paths[-1]} HTTP/1.1\r\nHost: {SITE}\r\nConnection: close\r\n\r\n".encode()
    with socket.create_connection(bench.address, 30) as s:
        # Nothing is read before the node's answers, too, have nowhere to go.
        s.setblocking(False)
        sent, quiet_since, got = 0, time.monotonic(), bytearray()
        while sent < len(data):
            try:
                sent += s.send(data[sent:sent + 65536])
                quiet_since = time.monotonic()
            except BlockingIOError:
                if time.monotonic() - quiet_since > 0.3:
                    try:
                        got += s.recv(1 << 20)
                    except BlockingIOError:
                        pass
                else:
                    time.sleep(0.01)
        s.setblocking(True)
        s.settimeout(30)
        while more := s.recv(1 << 20):
            got += more
    bodies = [answer.body for answer in parse_answers(bytes(got))]
    right = bodies == [b"content of " + path.encode() for path in paths]
    grown = memory.growth() / MIB
    bench.case(f"{count} pipelined requests", right and grown < 8, f"{len(bodies)} answers in order, {grown:.1f} MiB grown")


def by_slowness(bench):
    """Cut by a deadline: heads and bodies that drip, readers that hardly read. The times count from the first byte."""
    drip = bench.mark(GET) + "A: " + 200 * "x"
    said = talk(bench.address, None, pieces=[bytes([b]) for b in drip.encode()], gap_s=0.1, timeout_s=5)
    statuses = [a.status for a in said.answers()]
    bench.case("a head byte by byte", statuses in ([408], []) and said.seconds < HEADER_TIMEOUT_S + LINGER_S + TICKS_S,
               f"{statuses} after {said.seconds:.1f} s")
    said = talk(bench.address, b"", timeout_s=max(HEADER_TIMEOUT_S, IDLE_TIMEOUT_S) + TICKS_S)
    bench.case("a connection without a byte", said.end == "closed", f"{said.end} after {said.seconds:.1f} s")
    said = talk(bench.address, None, pieces=[b"\r\n"] + 100 * [b"\r\n"], gap_s=0.1, timeout_s=5)
    bench.case("blank lines without a request", said.end != "open" and said.seconds < HEADER_TIMEOUT_S + LINGER_S + TICKS_S,
               f"{[a.status for a in said.answers()]} {said.end} after {said.seconds:.1f} s")
    said = talk(bench.address, (bench.mark(POST) + "Content-Length: 1000\r\n\r\nbegun").encode(),
                timeout_s=2 * WINDOW_S + LINGER_S + TICKS_S)
    whole = [r for r in bench.forwarded() if r.whole]
    bench.case("a body that stops", said.end != "open" and not whole, f"{[a.status for a in said.answers()]} {said.end} after {said.seconds:.1f} s")
    for name, head in (("a body of known length byte by byte", POST + "Content-Length: 10000\r\n\r\n"),
                       ("a chunked body byte by byte", POST + "Transfer-Encoding: chunked\r\n\r\n3e8\r\n")):
        said = talk(bench.address, None, pieces=[bench.mark(head).encode()] + 150 * [b"x"], gap_s=0.1, timeout_s=1)
        whole = [r for r in bench.forwarded() if r.whole]
        limit = 2 * WINDOW_S + LINGER_S + TICKS_S
        bench.case(name, said.end != "open" and said.seconds < limit and not whole,
                   f"{[a.status for a in said.answers()]} {said.end} after {said.seconds:.1f} s")
    slow_reader(bench)


def slow_reader(bench):
    """Asks for 16 MiB in pipelined answers and takes 10 bytes a second of them."""
    before = bench.node.status()["proxy"]["cut_slow"]
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(bench.address)
        s.sendall((f"GET /large HTTP/1.1\r\nHost: {SITE}\r\n\r\n" * 16).encode())
        started, cut = time.monotonic(), False
        while time.monotonic() - started < 3 * WINDOW_S + TICKS_S and not cut:
            time.sleep(0.1)
            try:
                s.recv(1)
            except OSError:
                cut = True
            cut = cut or bench.node.status()["proxy"]["cut_slow"] > before
    bench.case("a reader of 10 bytes a second", cut, f"{'cut' if cut else 'served'} after {time.monotonic() - started:.1f} s")


def half_closed(bench):
    """Who has nothing more to say may still read his answer (RFC 9112 §9.6)."""
    for name, path in (("half-closed after a request that hits", "/canary"), ("half-closed after a request that misses", "/half-0")):
        said = talk(bench.address, f"GET {path} HTTP/1.1\r\nHost: {SITE}\r\n\r\n".encode(), half_close=True)
        bodies = [a.body for a in said.answers()]
        bench.case(name, bodies == [b"content of " + path.encode()] and said.end == "closed", f"{bodies} {said.end}")
    said = talk(bench.address, bench.mark(GET).encode(), half_close=True)
    bench.case("half-closed within a head", said.end != "open" and not bench.forwarded(), f"{said.end}")


def connects_and_closes(bench):
    """Connections that come and go, some with a few bytes, some reset: nothing of them stays."""
    for _ in range(200):
        with socket.create_connection(bench.address):
            pass
    memory, files = Memory(bench.node.pid), open_files(bench.node.pid)
    memory.begin()
    started = time.monotonic()
    for i in range(bench.options.connects):
        with socket.create_connection(bench.address, 10) as s:
            if i % 3 == 1:
                s.sendall(b"GET / HT")
            if i % 3 == 2:
                s.sendall(GET.encode() + b"\r\n")
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    limit = time.monotonic() + 10
    while (left := open_files(bench.node.pid) - files) > 8 and time.monotonic() < limit:
        time.sleep(0.05)
    grown = memory.growth() / MIB
    bench.case(f"{bench.options.connects} connects and closes", left <= 8 and grown < 16,
               f"{left} files left, {grown:.1f} MiB grown, {time.monotonic() - started:.1f} s")


def endless_head(bench):
    """A head without an end: answered and closed long before it costs anything."""
    memory = Memory(bench.node.pid)
    memory.begin()
    for name, start, piece in (("an endless field", GET + "A: ", 65536 * "x"), ("endless fields", GET, 4096 * "A: b\r\n"),
                               ("an endless target", "GET /", 65536 * "x"), ("an endless method", "G", 65536 * "G")):
        start, answer = bench.mark(start), b""
        with socket.create_connection(bench.address, 5) as s:
            try:
                s.sendall(start.encode())
                for _ in range(1024):  # 64 MiB where nobody stops us
                    s.sendall(piece.encode())
            except OSError:
                pass
            try:
                s.settimeout(LINGER_S + TICKS_S)
                answer = s.recv(65536)
            except OSError:
                pass
        statuses = [a.status for a in parse_answers(answer)]
        met = statuses in ([], [400], [414], [431]) and not bench.forwarded() and memory.growth() < 4 * MIB
        bench.case(name, met, f"{statuses}, {memory.growth() / MIB:.1f} MiB grown")


def noise(bench):
    """Random bytes, and good requests with random damage: any end but a crash, a hang or a wrong request."""
    bench.mark("")
    bad = 0
    for i in range(bench.options.noise):
        if i % 2:
            data = bench.random.randbytes(bench.random.randrange(1, 4000))
        else:
            data = bytearray((GET + "A: b\r\nCookie: c\r\n\r\n").encode() * 3)
            for _ in range(bench.random.randrange(1, 6)):
                data[bench.random.randrange(len(data))] = bench.random.randrange(256)
        said = talk(bench.address, bytes(data), half_close=True, timeout_s=LINGER_S + TICKS_S)
        bad += said.end == "open"
    bench.case(f"{bench.options.noise} connections of noise and damaged requests", bad == 0, f"{bad} left hanging")


# Those whose requests carry no case's number come last.
CASES = [refused, bad_bodies, two_requests_in_one_body, absolute_form, pipelining, endless_head, half_closed, by_slowness,
         noise, connects_and_closes]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipelined", type=int, default=10_000, help="requests of the pipelining flood (default %(default)s)")
    parser.add_argument("--connects", type=int, default=10_000, help="connects and closes (default %(default)s)")
    parser.add_argument("--noise", type=int, default=2_000, help="connections of noise (default %(default)s)")
    parser.add_argument("--only", metavar="WORD", default="", help="run the groups whose name contains WORD")
    add_arguments(parser)
    options = parser.parse_args()
    figures = Figures("hostile clients", options)
    large = os.urandom(MIB)

    async def send_large(conversation):
        await conversation.send(fresh(large))

    with tempfile.TemporaryDirectory(prefix="reef-clients-") as name, RawOrigin({"/large": send_large}) as origin:
        node = make_node(ADDRESS, pathlib.Path(name) / "node", origin.port,
                         "--set", f"proxy.limits.header_timeout={HEADER_TIMEOUT_S}s",
                         "--set", f"proxy.limits.idle_timeout={IDLE_TIMEOUT_S}s",
                         "--set", f"proxy.limits.transfer_window={WINDOW_S}s")
        with node:
            node.wait_ready()
            bench = Bench(figures, node, origin, options)
            for path in ("/canary", "/large"):
                get(bench.address, SITE, path)
            memory = Memory(node.pid)
            memory.begin()
            peak = 0
            for group in CASES:
                if options.only in group.__name__:
                    group(bench)
                    peak = max(peak, memory.growth())  # a group may begin anew
            figures.at_most("memory growth, the greatest peak", peak / MIB, MEMORY_GROWTH_MAX / MIB, "MiB")
            figures.holds("the same process to the end", node.process.poll() is None)
            figures.holds("and it exits with 0", node.stop() == 0)
    return figures.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
