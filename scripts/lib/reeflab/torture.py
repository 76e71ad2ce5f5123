"""What the hostile and endurance tests share: figures against bounds, raw HTTP exchanges, a node's memory and files.

    figures = Figures("collapse", options)
    figures.at_most("origin fetches", 1, 1)
    figures.holds("every client got the right bytes", wrong == 0)
    return figures.finish(options.json)          # prints the table and `met: true`; 0 or 1
"""
import contextlib
import dataclasses
import os
import pathlib
import re
import socket
import subprocess
import time

from .bench_process import memory_bytes
from .node import Node
from .report import environment, table, write_json

MIB = 1 << 20
SITE = "www.torture.example"   # a site of the site map: all methods, bodies, no default lifetime


class Figures:
    """Rows of what was measured, each with its bound; whatever misses one makes the whole `met: false`."""

    def __init__(self, test, options):
        self.test, self.rows, self.notes, self.started = test, [], [], time.monotonic()
        self.options = {key: value for key, value in vars(options).items() if key != "json"}

    def add(self, what, figure, bound, met, unit=""):
        self.rows.append({"what": what, "figure": figure, "bound": bound, "unit": unit, "met": bool(met)})
        if not met:
            print(f"FAIL  {what}: {_short(figure)} {unit} (bound {_short(bound)})", flush=True)
        return met

    def at_most(self, what, figure, bound, unit=""):
        return self.add(what, figure, f"<= {bound:g}", figure is not None and figure <= bound, unit)

    def at_least(self, what, figure, bound, unit=""):
        return self.add(what, figure, f">= {bound:g}", figure is not None and figure >= bound, unit)

    def holds(self, what, met, figure=None):
        """A statement. `figure`: what was seen, where that says more."""
        return self.add(what, ("yes" if met else "no") if figure is None else figure, "holds", met)

    def note(self, text):
        self.notes.append(text)

    @property
    def met(self):
        return bool(self.rows) and all(row["met"] for row in self.rows)

    def finish(self, json_path=None):
        """Prints the table and the verdict, writes the JSON file where asked; the exit status."""
        rows = [[row["what"], _short(row["figure"]), row["bound"], row["unit"], "yes" if row["met"] else "NO"]
                for row in self.rows]
        print("\n" + table([self.test, "figure", "bound", "unit", "met"], rows, "lrrll"))
        for note in self.notes:
            print(f"  {note}")
        print(f"{sum(not row['met'] for row in self.rows)} of {len(self.rows)} missed, "
              f"{time.monotonic() - self.started:.1f} s\nmet: {'true' if self.met else 'false'}", flush=True)
        if json_path:
            write_json(json_path, {"test": self.test, "met": self.met, "options": self.options, "rows": self.rows,
                                   "notes": self.notes, "environment": environment()})
        return 0 if self.met else 1


def _short(value):
    text = f"{value:.2f}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def add_arguments(parser):
    """The flags that all of these tests have."""
    parser.add_argument("--seed", type=int, default=1, help="of everything random (default %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="also writes the figures to FILE")


def make_node(address, directory, origin_port, *flags, workers=2, **options):
    """A node that knows the site SITE and takes origins on loopback; the DNS and RPC ports are the usual ones."""
    return Node(address, directory, flags=["--allow-origin", "127.0.0.0/8", "--workers", workers,
                                           "--site", f"{SITE}=http://127.0.0.1:{origin_port}", *flags],
                log_level=options.pop("log_level", "warn"), **options)


def coral(origin_port):
    """The Coralized name of the origin on that port."""
    return f"localhost.{origin_port}.reef.localhost"


class Memory:
    """The resident memory of a process: now, and its peak since begin() (the kernel's own mark, no sampling)."""

    def __init__(self, pid):
        self.pid, self.base = pid, 0

    def rss(self):
        return memory_bytes([self.pid])["rss"]

    def begin(self):
        """Forgets the peak so far. Returns what is resident now."""
        pathlib.Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        self.base = self.rss()
        return self.base

    def growth(self):
        """How far above begin() the peak has been, in bytes."""
        found = re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{self.pid}/status").read_text())
        return max(0, int(found[1]) * 1024 - self.base)


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


@contextlib.contextmanager
def small_disk(directory, size_bytes):
    """A filesystem of its own of that size at `directory`; yields False where it may not be mounted."""
    directory.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=0700", "reef-torture", str(directory)],
                          capture_output=True, check=False)
    try:
        yield done.returncode == 0
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "-l", str(directory)], check=False)


# --- HTTP by hand

@dataclasses.dataclass
class Answer:
    status: int
    fields: dict          # names in lower case; of a repeated field the last value
    body: bytes
    whole: bool           # its framing was satisfied

    def cache_status(self):
        return self.fields.get("cache-status", "")


def parse_answers(data, methods=()):
    """All answers in `data`, interim ones left out. methods: of the requests in turn (HEAD has no body)."""
    found, methods = [], list(methods)
    while data:
        head, mark, rest = data.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        status = re.match(rb"HTTP/1\.[01] (\d{3})", lines[0])
        if not status or not mark:
            found.append(Answer(0, {}, data, False))  # no answer at all: the test sees a status of 0
            break
        fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            fields[name.strip().lower().decode("latin-1")] = value.strip().decode("latin-1")
        code = int(status[1])
        if code < 200:
            data = rest
            continue
        method = methods.pop(0) if methods else "GET"
        if method == "HEAD" or code in (204, 304):
            body, whole = b"", True
        elif "chunked" in fields.get("transfer-encoding", ""):
            body, rest, whole = _dechunk(rest)
        elif "content-length" in fields:
            length = int(fields["content-length"])
            body, whole, rest = rest[:length], len(rest) >= length, rest[length:]
        else:
            body, whole, rest = rest, True, b""
        found.append(Answer(code, fields, body, whole))
        data = rest
    return found


def _dechunk(data):
    body = b""
    while True:
        line, mark, rest = data.partition(b"\r\n")
        if not mark:
            return body, b"", False
        size = int(line.split(b";")[0], 16)
        if size == 0:
            _, mark, rest = (b"\r\n" + rest).partition(b"\r\n\r\n")
            return body, rest, bool(mark)
        body += rest[:size]
        if len(rest) < size + 2:
            return body, b"", False
        data = rest[size + 2:]


@dataclasses.dataclass
class Talk:
    """What came back on one connection: `end` is "closed", "reset", or "open" (nothing more within the time)."""
    data: bytes
    end: str
    seconds: float

    def answers(self, methods=()):
        return parse_answers(self.data, methods)


def talk(address, data, *, timeout_s=5.0, half_close=False, pieces=None, gap_s=0.0, until=None):
    """Sends `data` (or `pieces`, `gap_s` apart) on a new connection and reads until its end or `timeout_s`.

    until  a function of what has come so far: True ends the talk with "open"
    """
    started, got, end = time.monotonic(), bytearray(), "open"
    with socket.create_connection(address, timeout_s) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for piece in pieces if pieces is not None else [data]:
                s.settimeout(timeout_s)
                s.sendall(piece)
                if gap_s:
                    s.settimeout(gap_s)
                    try:
                        more = s.recv(65536)
                        got += more
                        if not more:
                            return Talk(bytes(got), "closed", time.monotonic() - started)
                    except TimeoutError:
                        pass
            if half_close:
                s.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            end = "reset"  # what it said before that may still be there
        except TimeoutError:
            pass
        limit = time.monotonic() + timeout_s
        while not (until and until(bytes(got))):
            s.settimeout(max(0.001, limit - time.monotonic()))
            try:
                more = s.recv(1 << 18)
            except TimeoutError:
                break
            except ConnectionResetError:
                end = "reset"
                break
            if not more:
                end = "closed"
                break
            got += more
    return Talk(bytes(got), end, time.monotonic() - started)


def get(address, host, path, *, method="GET", fields="", timeout_s=20.0):
    """One request, connection closed afterwards: its Answer; status 0 where there was none."""
    request = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{fields}Connection: close\r\n\r\n".encode()
    try:
        found = talk(address, request, timeout_s=timeout_s).answers([method])
    except OSError:
        found = []
    return found[-1] if found else Answer(0, {}, b"", False)
