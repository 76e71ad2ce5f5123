#!/usr/bin/env python3
"""unbound, bind9 and knot-resolver as they are, against name servers of three levels.

In a network namespace of its own: a root and a TLD (bind9), eight Reef name servers, three near the resolvers (level 2,
4 to 6 ms), two less near (level 1), three far away (level 0, 80 to 100 ms), each behind a relay that delays and counts.
The resolvers know only the root; QNAME minimisation and 0x20 are on. They resolve --names different names at --rate a
second; then the near servers fall silent, all at once. What must hold of each resolver:

  - no name fails before that;
  - of the queries after the first --settle seconds 95 % or more go to near servers, and so do the addresses in answers;
  - after the near servers' end every name resolves again within the addresses' TTL (30 s) and 10 s, and no answer is
    SERVFAIL.

Needs root (or unprivileged namespaces). Exits 77 (skipped) where that, or one of the programs, is missing.
"""
import argparse
import asyncio
import collections
import json
import os
import pathlib
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "lib"))
from reeflab import own_network  # noqa: E402

ROOT = "10.0.0.1"
RESOLVERS = {"unbound": "10.1.0.1", "bind9": "10.1.0.2", "kresd": "10.1.0.3"}
PROGRAMS = {"unbound": "unbound", "bind9": "named", "kresd": "kresd"}
Node = collections.namedtuple("Node", "address level delay")  # level: of the resolvers, at this node; delay: seconds
NODES = {"far1": Node("10.10.1.1", 0, .080), "far2": Node("10.10.2.1", 0, .090), "far3": Node("10.10.3.1", 0, .100),
         "mid1": Node("10.10.4.1", 1, .040), "mid2": Node("10.10.5.1", 1, .045),
         "near1": Node("10.10.6.1", 2, .004), "near2": Node("10.10.6.2", 2, .005), "near3": Node("10.10.6.3", 2, .006)}
REGISTERED = ["far1", "far2", "far3", "mid1"]  # what the parent's delegation names
NEAR = {node.address for node in NODES.values() if node.level == 2}
ADDRESS_TTL = 30


class Relay:
    """A name server's public address: passes UDP and TCP on to it after half a world's delay, and counts."""

    def __init__(self, address, port, delay):
        self.address, self.port, self.delay = address, port, delay
        self.silent = False
        self.queries = []  # (time, from)

    async def start(self):
        relay = self

        class Front(asyncio.DatagramProtocol):
            def connection_made(self, transport):
                relay.front = transport

            def datagram_received(self, data, addr):
                relay.queries.append((time.monotonic(), addr[0]))
                if not relay.silent:
                    asyncio.get_running_loop().create_task(relay.pass_on(data, addr))

        await asyncio.get_running_loop().create_datagram_endpoint(Front, local_addr=(self.address, 53))
        await asyncio.start_server(self.pass_stream, self.address, 53)

    async def pass_on(self, data, addr):
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as upstream:
            upstream.setblocking(False)
            upstream.connect(("127.0.0.1", self.port))
            try:
                upstream.send(data)
                reply = await asyncio.wait_for(loop.sock_recv(upstream, 65535), 2)
            except (OSError, asyncio.TimeoutError):
                return
        await asyncio.sleep(self.delay)
        if not self.silent:
            self.front.sendto(reply, addr)

    async def pass_stream(self, reader, writer):
        self.queries.append((time.monotonic(), writer.get_extra_info("peername")[0]))
        if self.silent:
            return writer.close()
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.port)

        async def copy(source, sink):
            try:
                while data := await source.read(65536):
                    sink.write(data)
                    await sink.drain()
            except OSError:
                pass
            sink.close()

        await asyncio.gather(copy(reader, up_writer), copy(up_reader, writer))


def make_query(name, ident):
    labels = b"".join(bytes([len(l)]) + l.encode() for l in name.split(".") if l)
    return struct.pack(">HHHHHH", ident, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)


def addresses_in(reply):
    """The A records of the answer section."""
    def past_name(at):
        while reply[at] and reply[at] < 0xc0:
            at += reply[at] + 1
        return at + (2 if reply[at] >= 0xc0 else 1)

    at, out = past_name(12) + 4, []
    for _ in range(struct.unpack(">H", reply[6:8])[0]):
        at = past_name(at)
        rtype, _, _, size = struct.unpack(">HHIH", reply[at:at + 10])
        at += 10
        if rtype == 1:
            out.append(socket.inet_ntoa(reply[at:at + 4]))
        at += size
    return out


def ask(server, name, timeout):
    """(rcode or None when nothing came, addresses)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(timeout)
        s.connect((server, 53))
        ident = random.randrange(65536)
        try:
            s.send(make_query(name, ident))
            reply = s.recv(4096)
        except OSError:
            return None, []
    return reply[3] & 15, addresses_in(reply)


def level_between(a, b):
    if a == b or a.level == b.level == 2:
        return 2
    return 1 if min(a.level, b.level) >= 1 else 0


def write(path, text):
    with open(path, "w") as f:
        f.write(text)
    return path


def start_tree(directory, zone, nodes_zone):
    """The root and the TLD. The suffix's zone is delegated to names below the nodes' deepest cut, without glue."""
    lines = []
    for i, name in enumerate(REGISTERED, 1):
        lines.append(f"{nodes_zone}. NS ns{i}.{nodes_zone}.\nns{i}.{nodes_zone}. A {NODES[name].address}")
        if zone != nodes_zone:
            lines.append(f"{zone}. NS ns{i}.l2.l1.l0.{nodes_zone}.")
    soa = "SOA a.root. h.root. 1 3600 600 86400 60"
    write(f"{directory}/root.zone", f"$TTL 86400\n. {soa}\n. NS a.root.\na.root. A {ROOT}\nexample. NS a.root.\n")
    write(f"{directory}/tld.zone", f"$TTL 86400\nexample. {soa}\nexample. NS a.root.\n" + "\n".join(lines) + "\n")
    conf = write(f"{directory}/tree.conf", f"""
options {{ directory "{directory}"; pid-file none; session-keyfile none; listen-on port 5301 {{ 127.0.0.1; }};
  listen-on-v6 {{ none; }}; recursion no; notify no; }};
controls {{ }};
zone "." {{ type primary; file "root.zone"; }};
zone "example" {{ type primary; file "tld.zone"; }};
""")
    return ["named", "-g", "-4", "-c", conf]


def resolver_command(kind, directory):
    """Defaults, but for addresses, the root, and what is needed where nothing is signed."""
    own = RESOLVERS[kind]
    hints = write(f"{directory}/hints", f". 3600 NS a.root.\na.root. 3600 A {ROOT}\n")
    if kind == "unbound":
        return ["unbound", "-d", "-c", write(f"{directory}/unbound.conf", f"""
server:
  directory: "{directory}"
  username: ""
  chroot: ""
  pidfile: ""
  use-syslog: no
  logfile: ""
  interface: {own}
  outgoing-interface: {own}
  do-ip6: no
  access-control: 10.0.0.0/8 allow
  root-hints: "{hints}"
  use-caps-for-id: yes
remote-control:
  control-enable: no
""")]
    if kind == "bind9":
        return ["named", "-g", "-4", "-c", write(f"{directory}/bind9.conf", f"""
options {{ directory "{directory}"; pid-file none; session-keyfile none; listen-on {{ {own}; }}; listen-on-v6 {{ none; }};
  query-source address {own}; recursion yes; allow-recursion {{ 10.0.0.0/8; }}; dnssec-validation no;
  empty-zones-enable no; }};
controls {{ }};
zone "." {{ type hint; file "{hints}"; }};
""")]
    os.makedirs(f"{directory}/kresd", exist_ok=True)
    return ["kresd", "-n", "-c", write(f"{directory}/kresd.conf", f"""
net.ipv6 = false
net.listen('{own}', 53)
net.outgoing_v4('{own}')
trust_anchors.remove('.')
modules = {{ 'hints > iterate' }}
modules.unload('ta_update')
hints.root({{ ['a.root.'] = {{ '{ROOT}' }} }})
cache.size = 20 * MB
"""), f"{directory}/kresd"]


class Client:
    """Asks one resolver for new names at a steady rate until told to stop."""

    def __init__(self, kind, zone, rate):
        self.kind, self.zone, self.rate = kind, zone, rate
        self.results = []  # (when asked, seconds, rcode or None, addresses)
        self.stop = threading.Event()

    def one(self, number):
        began = time.monotonic()
        rcode, addresses = ask(RESOLVERS[self.kind], f"www.site{number}.com.{self.zone}", 12)
        self.results.append((began, time.monotonic() - began, rcode, addresses))

    def run(self):
        number, threads, began = 0, [], time.monotonic()
        while not self.stop.wait(max(0, began + number / self.rate - time.monotonic())):
            thread = threading.Thread(target=self.one, args=(number,))
            thread.start()
            threads.append(thread)
            number += 1
        for thread in threads:
            thread.join()


def judge(kind, client, relays, options, killed_at, check):
    source = RESOLVERS[kind]
    results = sorted(client.results)
    before = [r for r in results if r[0] < killed_at - 1]
    failed = [r for r in before if r[2] != 0 or not r[3]]
    check(not failed, f"{kind}: {len(before)} names resolved, {len(failed)} failed")
    settled = before[0][0] + options.settle
    asked = {name: sum(1 for t, who in relay.queries if who == source and settled <= t < killed_at)
             for name, relay in relays.items()}
    near = sum(count for name, count in asked.items() if name.startswith("near"))
    share = near / max(1, sum(asked.values()))
    check(share >= 0.95, f"{kind}: {100 * share:.1f} % of {sum(asked.values())} queries went to near servers")
    answers = [r for r in before if r[0] >= settled]
    good = sum(1 for r in answers if r[3] and set(r[3]) <= NEAR)
    check(good >= 0.95 * len(answers), f"{kind}: {good} of {len(answers)} answers were near")
    figures = {"asked": asked, "near_share": share, "near_answers": good / len(answers),
               "median_ms": 1000 * sorted(r[1] for r in answers)[len(answers) // 2]}
    if options.after > 0:
        after = [r for r in results if r[0] >= killed_at]
        wrong = [r for r in after if r[2] not in (0, None)]
        check(not wrong, f"{kind}: {len(wrong)} of {len(after)} answers after the near servers' end were errors")
        last_bad = max((r[0] - killed_at for r in after if r[2] != 0 or not set(r[3]) - NEAR), default=0)
        slowest = max(r[1] for r in after)
        check(last_bad <= ADDRESS_TTL + 10, f"{kind}: the last name without a living address was asked for {last_bad:.1f} s "
                                            f"after it; the slowest took {slowest:.1f} s")
        figures |= {"after": len(after), "wrong_at": [round(r[0] - killed_at, 1) for r in wrong],
                    "errors": len(wrong), "last_bad_s": last_bad, "slowest_s": slowest}
    return figures


def run(options, check):
    for address in [ROOT, *RESOLVERS.values(), *(node.address for node in NODES.values())]:
        subprocess.run(["ip", "addr", "add", f"{address}/32", "dev", "lo"], check=True)
    nodes_zone = options.zone if options.one_zone else "nodes.example"
    directory = tempfile.mkdtemp(prefix="reef-levels-")
    children, kinds = [], options.resolvers.split(",")

    def start(command, name):
        with open(f"{directory}/{name}.log", "wb") as log:
            children.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))

    try:
        start(start_tree(directory, options.zone, nodes_zone), "tree")
        relays = {"root": Relay(ROOT, 5301, .030)}
        for port, (name, node) in enumerate(NODES.items(), 5401):
            command = [options.server, "--zone", options.zone, "--listen", f"127.0.0.1:{port}", "--own", node.address,
                       "--also-public", "10.0.0.0/8", "--verdict", f"127.0.0.0/24={node.level}"]
            if not options.one_zone:
                command += ["--nodes-zone", nodes_zone]
            for other in NODES.values():
                distance = int(1000 * abs(other.delay - node.delay))
                command += ["--node", f"{other.address}/{level_between(node, other)}/{distance}"]
            start(command, name)
            relays[name] = Relay(node.address, port, node.delay)

        loop, listening = asyncio.new_event_loop(), threading.Event()

        async def relay_all():
            for relay in relays.values():
                await relay.start()
            listening.set()

        def serve():
            asyncio.set_event_loop(loop)
            loop.create_task(relay_all())
            loop.run_forever()

        threading.Thread(target=serve, daemon=True).start()
        listening.wait(10)
        for kind in kinds:
            start(resolver_command(kind, directory), kind)
        for kind in kinds:
            deadline = time.monotonic() + 20
            while ask(RESOLVERS[kind], "a.root", 1)[0] != 0:
                if time.monotonic() > deadline:
                    sys.exit(f"{kind} did not become ready: " + open(f"{directory}/{kind}.log", errors="replace").read()[-2000:])
        clients = [Client(kind, options.zone, options.rate) for kind in kinds]
        threads = [threading.Thread(target=client.run) for client in clients]
        for thread in threads:
            thread.start()
        time.sleep(options.names / options.rate)
        killed_at = time.monotonic()
        if options.after > 0:
            for name, relay in relays.items():
                relay.silent = name.startswith("near")
            time.sleep(options.after)
        for client in clients:
            client.stop.set()
        for thread in threads:
            thread.join()
        return {client.kind: judge(client.kind, client, relays, options, killed_at, check) for client in clients}
    finally:
        for child in children:
            child.terminate()
        for child in children:
            try:
                child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        shutil.rmtree(directory, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", metavar="PROGRAM", required=True, help="the test server")
    parser.add_argument("--resolvers", default="unbound,bind9,kresd", help="which (default %(default)s)")
    parser.add_argument("--zone", default="reef.example", help="(default %(default)s)")
    parser.add_argument("--one-zone", action="store_true", help="nodes have their names in the same zone; default: nodes.example")
    parser.add_argument("--names", type=int, default=1000, help="before the near servers end (default %(default)s)")
    parser.add_argument("--rate", type=float, default=10, help="names a second and resolver (default %(default)s)")
    parser.add_argument("--settle", type=float, default=60, metavar="S", help="seconds that do not count (default %(default)s)")
    parser.add_argument("--after", type=float, default=60, metavar="S", help="seconds after it; 0: they stay (default %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    missing = [p for p in ["ip", "named"] + [PROGRAMS[r] for r in options.resolvers.split(",")] if not shutil.which(p)]
    if missing:
        print(f"SKIPPED: not installed: {', '.join(missing)}")
        return 77
    status = own_network.enter()
    if status is not None:
        return status
    failures = []

    def check(holds, what):
        print(("ok    " if holds else "FAIL  ") + what, flush=True)
        if not holds:
            failures.append(what)

    figures = run(options, check)
    if options.json:
        with open(options.json, "w") as f:
            json.dump({"resolvers": figures, "failures": failures}, f, indent=1)
    print(f"{len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
