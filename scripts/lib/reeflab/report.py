"""How experiments speak: a progress line, tables, percentiles, JSON files, and reading Cache-Status."""
import json
import math
import os
import pathlib
import re
import sys
import time


class Progress:
    """One line that is rewritten on a terminal; in a file a line for each step, and at most one every few seconds.

        with Progress("crowd") as progress:
            progress.update("120 of 960 answers")
    """

    def __init__(self, label, stream=None, every_s=5.0):
        self.label, self.stream = label, stream or sys.stderr
        self.live = self.stream.isatty()
        self.every_s, self.last, self.width = every_s, -math.inf, 0
        self.start = time.monotonic()

    def update(self, text, force=False):
        now = time.monotonic()
        if now - self.last < (0.1 if self.live else self.every_s) and not force:
            return
        self.last = now
        line = f"{self.label}: {text}  [{now - self.start:.1f} s]"
        if self.live:
            self.stream.write("\r" + line.ljust(self.width))
            self.width = len(line)
        else:
            self.stream.write(line + "\n")
        self.stream.flush()

    def done(self, text="done"):
        self.update(text, force=True)
        if self.live:
            self.stream.write("\n")
            self.width = 0

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.live and self.width:
            self.stream.write("\n")


def percentile(values, share):
    """The nearest-rank percentile, share in 0..100; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share / 100 * len(ordered)) - 1)]


def percentiles(values, shares=(50, 96, 99), digits=1):
    """{"p50": ..., "p96": ..., "p99": ...}, rounded; None of nothing."""
    return {f"p{share:g}": None if not values else round(percentile(values, share), digits) for share in shares}


def table(header, rows, align=None):
    """Text columns with a rule under the header. align: a string of l and r (default: first left, rest right)."""
    cells = [[_text(cell) for cell in row] for row in [header, *rows]]
    align = align or "l" + "r" * (len(header) - 1)
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = ["  ".join(c.ljust(w) if a == "l" else c.rjust(w) for c, w, a in zip(row, widths, align)).rstrip()
             for row in cells]
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(lines)


def _text(cell):
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:.1f}"
    return str(cell)


def write_json(path, value):
    """Whole or not at all: a reader never sees half a file."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(value, indent=2) + "\n")
    temporary.replace(path)


LOCAL, PEER, ORIGIN = "local", "peer", "origin"


def source_of(cache_status):
    """Where the bytes came from by Cache-Status (RFC 9211): "local", "peer", "origin", or None when it is unclear.

    The last member belongs to the node that answered the client: `hit` is its own cache; otherwise its detail says
    whether it went to a peer or to the origin. A client that joined a fill in progress carries that fill's source.
    """
    if not cache_status:
        return None
    # Members are separated by commas; none of ours holds a comma inside a quoted string.
    own = cache_status.split(",")[-1]
    parameters = dict((part.strip().partition("=")[::2]) for part in own.split(";")[1:])
    if "hit" in parameters:
        return LOCAL
    detail = parameters.get("detail", "").strip('"')
    if re.match(r"peer\b", detail):
        return PEER
    if re.match(r"origin\b", detail) or "fwd" in parameters:
        return ORIGIN
    return None


def environment():
    """What the figures were measured on, for the JSON file."""
    model = ""
    try:
        for line in open("/proc/cpuinfo"):
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    return {"cpus": os.cpu_count(), "cpu": model, "kernel": os.uname().release,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
