#!/usr/bin/env python3
"""Origins that break the rules of HTTP/1.1, behind a running node: 502, or cut where the head was out already.

Each case is one named misbehaviour, asked for twice, under a site's own name and under the Coralized one. Of what is
malformed or incomplete nothing may be kept (the second request reaches the origin too), nothing of it may end as a
complete answer or become part of another one, memory stays bounded, and the node serves others meanwhile.
"""
import argparse
import asyncio
import concurrent.futures
import gzip
import pathlib
import re
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "lib"))
from reeflab.raw_origin import RawOrigin, fresh  # noqa: E402
from reeflab.torture import MIB, SITE, Figures, Memory, add_arguments, coral, get, make_node  # noqa: E402

ADDRESS = "127.0.0.32"
STALL_S, HEAD_S = 2, 1
TICKS_S = 2
OBJECT_MAX = 4 * MIB
MEMORY_GROWTH_MAX = 8 * MIB   # of any one case
OK = "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\n"
REFUSED, CUT = "refused", "cut"
SLOW = "held|byte by byte|slower"


def says(text, end="close"):
    """A script that says that and then closes, resets, or holds ("hold") the connection."""
    data = text.encode("latin-1") if isinstance(text, str) else text

    async def script(talk):
        await talk.send(data)
        if end == "hold":
            await talk.gone(STALL_S + TICKS_S + 5)
        elif end == "reset":
            await asyncio.sleep(0.1)  # what was sent is read before the reset takes it away
            talk.reset()
        if end != "keep":
            talk.close()
    return script


def repeats(first, piece, bytes_max=64 * MIB):
    """A script that never comes to an end by itself."""
    async def script(talk):
        sent, alive = 0, await talk.send(first.encode())
        while alive and sent < bytes_max:
            alive = await talk.send(piece.encode())
            sent += len(piece)
        talk.close()
    return script


def drips(first, gap_s, piece=b"x"):
    async def script(talk):
        alive = await talk.send(first.encode())
        for _ in range(1000):
            if not alive or await talk.gone(gap_s):
                break
            alive = await talk.send(piece)
        talk.close()
    return script


def body(text, fields="Content-Length: {}"):
    return OK + fields.format(len(text)) + "\r\n\r\n" + text


def chunks(text):
    return OK + "Transfer-Encoding: chunked\r\n\r\n" + text


# Name -> (script, what must come of it).
CASES = {
    "nothing at all": (says(""), REFUSED),
    "a reset before the head": (says("", "reset"), REFUSED),
    "a reset within the head": (says(OK + "Content-Le", "reset"), REFUSED),
    "a head that ends too early": (says(OK + "Content-Length: 5\r\n"), REFUSED),
    "a head without an end, held": (says(OK, "hold"), REFUSED),
    "endless headers": (repeats(OK, 1000 * "A: b\r\n"), REFUSED),
    "an endless header line": (repeats(OK + "A: ", 65536 * "x"), REFUSED),
    "an endless status line": (repeats("HTTP/1.1 200 ", 65536 * "x"), REFUSED),
    "a head of 1 MiB": (says(OK + "A: " + MIB * "x" + "\r\n\r\n"), REFUSED),
    "ten thousand headers": (says(OK + 10_000 * "A: b\r\n" + "Content-Length: 0\r\n\r\n"), REFUSED),
    "a head byte by byte": (drips("HTTP/1.1 200 OK\r\nA: ", 0.1), REFUSED),
    "HTTP/0.9": (says("<html>an answer of long ago</html>"), REFUSED),
    "another protocol": (says("ICY 200 OK\r\nContent-Length: 2\r\n\r\nok"), REFUSED),
    "HTTP/2 in text": (says("HTTP/2 200 OK\r\nContent-Length: 2\r\n\r\nok"), REFUSED),
    "a status of two digits": (says("HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok"), REFUSED),
    "a status of four digits": (says("HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok"), REFUSED),
    "a negative status": (says("HTTP/1.1 -20 OK\r\nContent-Length: 2\r\n\r\nok"), REFUSED),
    "blank lines before the status line": (says("\r\n\r\n" + body("ok")), REFUSED),
    "a header without a colon": (says(OK + "nonsense\r\nContent-Length: 2\r\n\r\nok"), REFUSED),
    "a header without a name": (says(OK + ": nonsense\r\nContent-Length: 2\r\n\r\nok"), REFUSED),
    "a blank before the colon": (says(OK + "Content-Length : 2\r\n\r\nok"), REFUSED),
    "a folded header": (says(OK + "A: b\r\n c\r\nContent-Length: 2\r\n\r\nok"), REFUSED),
    "splitting: CR in a value": (says(OK + "A: b\rSet-Cookie: c\r\nContent-Length: 2\r\n\r\nok"), REFUSED),
    "splitting: LF in a value": (says(OK + "A: b\nSet-Cookie: c\r\nContent-Length: 2\r\n\r\nok"), REFUSED),
    "splitting: LF LF in a value": (says(OK + "A: b\n\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), REFUSED),
    "splitting: CR in the reason": (says("HTTP/1.1 200 O\rK\r\nContent-Length: 2\r\n\r\nok"), REFUSED),
    "NUL in a value": (says(OK + "A: b\0c\r\nContent-Length: 2\r\n\r\nok"), REFUSED),
    "bare LF everywhere": (says(body("ok").replace("\r\n", "\n")), REFUSED),
    "Content-Length and chunked": (says(OK + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"), REFUSED),
    "two different Content-Length": (says(OK + "Content-Length: 2\r\nContent-Length: 4\r\n\r\nokok"), REFUSED),
    "a list of different Content-Length": (says(OK + "Content-Length: 2, 4\r\n\r\nokok"), REFUSED),
    "a negative Content-Length": (says(OK + "Content-Length: -2\r\n\r\nok"), REFUSED),
    "a Content-Length beyond 64 bits": (says(OK + "Content-Length: 18446744073709551618\r\n\r\nok"), REFUSED),
    "a Content-Length that is no number": (says(OK + "Content-Length: 2x\r\n\r\nok"), REFUSED),
    "chunked twice": (says(OK + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"), REFUSED),
    "chunked in HTTP/1.0": (says(chunks("2\r\nok\r\n0\r\n\r\n").replace("1.1", "1.0")), REFUSED),
    "an endless flood of 103": (repeats("", 100 * "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"), REFUSED),
    "an endless flood of 100": (repeats("", 100 * "HTTP/1.1 100 Continue\r\n\r\n"), REFUSED),
    "a switch of protocols": (says("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nwhatever", "hold"), REFUSED),
    "304 to who has nothing": (says("HTTP/1.1 304 Not Modified\r\n\r\n"), REFUSED),
    "a body shorter than its length": (says(OK + "Content-Length: 100\r\n\r\nshort"), CUT),
    "a body shorter than its length, reset": (says(OK + "Content-Length: 100000\r\n\r\n" + 50_000 * "x", "reset"), CUT),
    "a body shorter than its length, held": (says(OK + "Content-Length: 100\r\n\r\nshort", "hold"), CUT),
    "a body slower than the least rate": (drips(OK + "Content-Length: 1000\r\n\r\n", 2.5), CUT),
    "chunked without an end": (says(chunks("5\r\nhello\r\n")), CUT),
    "chunked without an end, held": (says(chunks("5\r\nhello\r\n"), "hold"), CUT),
    "a chunk shorter than its size": (says(chunks("ff\r\nhello")), CUT),
    "a chunk longer than its size": (says(chunks("2\r\nhello\r\n0\r\n\r\n")), CUT),
    "a chunk size that is no number": (says(chunks("5\r\nhello\r\nG\r\nx\r\n0\r\n\r\n")), CUT),
    "a negative chunk size": (says(chunks("5\r\nhello\r\n-5\r\nhello\r\n0\r\n\r\n")), CUT),
    "a chunk size beyond 64 bits": (says(chunks("5\r\nhello\r\n10000000000000005\r\nhello\r\n0\r\n\r\n")), CUT),
    "a chunk size that ends in bare LF": (says(chunks("5\r\nhello\r\n5\nhello\r\n0\r\n\r\n")), CUT),
    "a chunk that ends in bare LF": (says(chunks("5\r\nhello\n0\r\n\r\n")), CUT),
    "an endless chunk extension": (repeats(chunks("5\r\nhello\r\n5;"), 65536 * "x"), CUT),
    "an endless chunk size": (repeats(chunks("5\r\nhello\r\n"), 65536 * "0"), CUT),
    "endless trailers": (repeats(chunks("5\r\nhello\r\n0\r\n"), 1000 * "A: b\r\n"), CUT),
    "a trailer without a colon": (says(chunks("5\r\nhello\r\n0\r\nnonsense\r\n\r\n")), CUT),
}


def continued(second):
    """Breaks off in the middle of a body with a strong validator; what is asked for then is answered by `second`."""
    async def script(talk):
        if talk.request.field("Range") is None:
            await talk.send((OK + 'ETag: "a"\r\nContent-Length: 20\r\n\r\n' + 10 * "a").encode())
        else:
            await talk.send(second.encode())
        talk.close()
    return script


RANGE = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {}/20\r\nContent-Length: {}\r\n"
CASES |= {
    "a body continued under another ETag":
        (continued(RANGE.format("10-19", 10) + 'ETag: "b"\r\n\r\n' + 10 * "b"), CUT),
    "a body continued elsewhere": (continued(RANGE.format("5-14", 10) + 'ETag: "a"\r\n\r\n' + 10 * "b"), CUT),
    "a body continued with another length":
        (continued(RANGE.format("10-29", 20).replace("/20", "/30") + 'ETag: "a"\r\n\r\n' + 20 * "b"), CUT),
    "a body begun anew under another ETag": (continued(OK + 'ETag: "b"\r\nContent-Length: 20\r\n\r\n' + 20 * "b"), CUT),
}


class Bench:
    def __init__(self, figures, node, origin):
        self.figures, self.node, self.origin = figures, node, origin
        self.address = (ADDRESS, node.proxy_port)
        self.memory = Memory(node.pid)
        self.worst_growth = 0

    def serves(self):
        return get(self.address, SITE, "/canary").body == b"content of /canary"

    def case(self, name, met, said):
        growth = self.memory.growth()
        self.worst_growth = max(self.worst_growth, growth)
        said += f", {growth / MIB:.1f} MiB" if growth > MIB else ""
        alive = self.serves()
        self.figures.holds(name, met and alive and growth <= MEMORY_GROWTH_MAX, said if alive else said + "; serves no more")

    def hosts(self):
        return {"site": SITE, "coral": coral(self.origin.port)}


def judged(answer, wanted):
    """An answer is what it must be: an error page of ours, or a head whose body does not end well."""
    refused = answer.status in (502, 504) and answer.whole
    return refused or (wanted == CUT and answer.status == 200 and not answer.whole)


def one_misbehaviour(bench, path, script, wanted):
    """Asked for twice under each name: (met, what was seen)."""
    bench.origin.scripts[path] = script
    met, said = True, []
    for host in bench.hosts().values():
        before = len(bench.origin.seen(path))
        first = get(bench.address, host, path)
        asked_once = len(bench.origin.seen(path))
        second = get(bench.address, host, path)
        kept = len(bench.origin.seen(path)) == asked_once or "hit" in second.cache_status()
        met &= judged(first, wanted) and judged(second, wanted) and before < asked_once and not kept
        said.append(f"{first.status}{'' if first.whole else ' cut'}, {second.status}{'' if second.whole else ' cut'}"
                    + (" KEPT" if kept else ""))
    return met, " | ".join(said)


def misbehaviour(bench, only):
    cases = [(name, f"/case-{number}", *case) for number, (name, case) in enumerate(CASES.items()) if only in name]
    # Those that a time-out ends wait for it side by side.
    slow = [case for case in cases if re.search(SLOW, case[0])]
    bench.memory.begin()
    with concurrent.futures.ThreadPoolExecutor(len(slow) or 1) as pool:
        running = [(case[0], pool.submit(one_misbehaviour, bench, *case[1:])) for case in slow]
    for name, future in running:
        bench.case(name, *future.result())
    for case in cases:
        if case not in slow:
            bench.memory.begin()
            bench.case(case[0], *one_misbehaviour(bench, *case[1:]))


def passed_as_it_is(bench):
    """What looks like an attack and is none: bytes are passed on unchanged, and nothing is unpacked."""
    bomb = gzip.compress(bytes(64 * MIB), 9)

    async def script(talk):
        await talk.send(fresh(bomb, "Content-Encoding: gzip\r\n"))
    bench.origin.scripts["/bomb"] = script
    bench.memory.begin()
    met = True
    for host in bench.hosts().values():
        answer = get(bench.address, host, "/bomb", fields="Accept-Encoding: gzip\r\n")
        met &= answer.body == bomb and answer.fields.get("content-encoding") == "gzip"
    bench.case(f"a gzip bomb ({len(bomb)} bytes for 64 MiB)", met, "passed as it is" if met else "changed")


def behind_an_answer(bench):
    """Bytes behind an answer close that connection and never become part of another's answer (RFC 9112 §6.3)."""
    poison = OK + "Content-Length: 6\r\n\r\npoison"
    for name, answer, wanted in (
            ("a whole second answer behind the first", body("first") + poison, b"first"),
            ("a body longer than its length", body("first") + 5000 * "x", b"first"),
            ("a body behind 204", "HTTP/1.1 204 No Content\r\n\r\n" + poison, b""),
            ("an answer behind a chunked one", chunks("5\r\nfirst\r\n0\r\n\r\n") + poison, b"first")):
        path = "/surplus-" + name.replace(" ", "-")
        bench.origin.scripts[path] = says(answer, "keep")
        bench.memory.begin()
        said = []
        for kind, host in bench.hosts().items():
            said.append(get(bench.address, host, path).body == wanted)
            for i in range(3):
                other = f"/behind-{kind}-{i}{path}"
                said.append(get(bench.address, host, other).body == b"content of " + other.encode())
        bench.case(name, all(said), f"{said.count(True)} of {len(said)} right")

    async def late(talk):
        await talk.send(body("first").encode())
        await asyncio.sleep(0.05)  # the connection is kept by now
        await talk.send(poison.encode())
    bench.origin.scripts["/late"] = late
    said = []
    for kind, host in bench.hosts().items():
        for i in range(5):
            said.append(get(bench.address, host, f"/late?{kind}{i}").body == b"first")
            time.sleep(0.15)  # it has come; one that comes behind the next request is that one's answer
            other = f"/behind-late-{kind}-{i}"
            said.append(get(bench.address, host, other).body == b"content of " + other.encode())
    bench.case("an answer that comes while the connection is kept", all(said), f"{said.count(True)} of {len(said)} right")


def before_the_request(bench):
    """An origin that answers as soon as somebody connects: one answer for one request, never for the next one."""
    async def on_connect(talk):
        await talk.send((body("early") + body("second")).encode())
        await talk.gone(2)
        return True
    with RawOrigin(on_connect=on_connect) as early:
        host = coral(early.port)
        bench.memory.begin()
        found = [get(bench.address, host, f"/early-{i}") for i in range(4)]
        met = all((answer.status == 200 and answer.body == b"early") or answer.status == 502 for answer in found)
        bench.case("answers before the request", met, str([answer.body.decode("latin-1")[:6] for answer in found]))


def too_much(bench):
    """Bodies without an end, and lengths that cannot be: bounded, whatever is announced."""
    cases = {"an endless body": repeats(OK + "\r\n", 65536 * "x"),
             "an endless chunked body": repeats(chunks(""), "10000\r\n" + 65536 * "x" + "\r\n"),
             "a length of an exabyte": says(OK + "Content-Length: 1000000000000000000\r\n\r\nnot quite")}
    for name, script in cases.items():
        path = "/" + name.replace(" ", "-")
        bench.origin.scripts[path] = script
        bench.memory.begin()
        answer = get(bench.address, coral(bench.origin.port), path)
        asked = len(bench.origin.seen(path))
        again = get(bench.address, coral(bench.origin.port), path)
        met = judged(answer, CUT) and judged(again, CUT) and len(bench.origin.seen(path)) > asked
        bench.case(name, met and len(answer.body) <= OBJECT_MAX, f"{answer.status}{'' if answer.whole else ' cut'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="WORD", default="", help="run the misbehaviours whose name contains WORD, and no more")
    add_arguments(parser)
    options = parser.parse_args()
    figures = Figures("hostile origins", options)
    with tempfile.TemporaryDirectory(prefix="reef-origins-") as name, RawOrigin() as origin:
        node = make_node(ADDRESS, pathlib.Path(name) / "node", origin.port,
                         "--set", f"proxy.origin.first_byte_timeout={HEAD_S}s", "--set", f"proxy.origin.stall_timeout={STALL_S}s",
                         "--set", f"proxy.origin.connect_timeout={HEAD_S}s", "--set", "proxy.origin.negative_ttl=0s",
                         "--set", "proxy.origin.connections_per_host_max=64",
                         "--set", f"proxy.cache.object_bytes_max={OBJECT_MAX}")
        with node:
            node.wait_ready()
            bench = Bench(figures, node, origin)
            bench.serves()
            misbehaviour(bench, options.only)
            if not options.only:
                for group in (passed_as_it_is, behind_an_answer, before_the_request, too_much):
                    group(bench)
            figures.at_most("memory growth, the greatest peak", bench.worst_growth / MIB, MEMORY_GROWTH_MAX / MIB, "MiB")
            figures.holds("the same process to the end", node.process.poll() is None)
            figures.holds("and it exits with 0", node.stop() == 0)
    return figures.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
