#!/usr/bin/env python3
"""Checks an authoritative Reef name server with dig, unbound and bind9 as they are.

Starts the server itself (--server PROGRAM, the small test server), or asks one that runs already (--at HOST:PORT).
The resolvers get a generated configuration in a temporary directory, listen on loopback only, and are ended by pid.
Exits 77 (skipped) where one of the programs is missing.
"""
import argparse
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

PATIENCE = 20.0  # seconds that anything may take to become ready
failures = []


def check(holds, what):
    print(("ok    " if holds else "FAIL  ") + what, flush=True)
    if not holds:
        failures.append(what)


def free_port():
    """A port that is free for UDP and TCP on loopback at this moment."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind(("127.0.0.1", 0))
            try:
                tcp.bind(udp.getsockname())
                return udp.getsockname()[1]
            except OSError:
                continue


def make_query(name, qtype, ident):
    labels = b"".join(bytes([len(l)]) + l.encode() for l in name.split(".") if l)
    return struct.pack(">HHHHHH", ident, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", qtype, 1)


def ask(server, name, qtype=1, timeout=1.0):
    """One query by UDP: (rcode, answer count), or None when nothing came."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(timeout)
        s.connect(server)
        ident = random.randrange(65536)
        try:
            s.send(make_query(name, qtype, ident))
            reply = s.recv(4096)
        except OSError:
            return None
    if len(reply) < 12 or struct.unpack(">H", reply[:2])[0] != ident:
        return None
    return reply[3] & 15, struct.unpack(">H", reply[6:8])[0]


class Process:
    """A child in its own group, with its output in a file; ended by pid."""

    def __init__(self, command, log):
        self.log = log
        with open(log, "wb") as out:
            self.child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)

    def wait_until(self, ready, what):
        deadline = time.monotonic() + PATIENCE
        while not ready():
            if self.child.poll() is not None or time.monotonic() > deadline:
                with open(self.log, errors="replace") as f:
                    sys.exit(f"{what} did not become ready:\n{f.read()[-3000:]}")
            try:
                self.child.wait(timeout=0.02)
            except subprocess.TimeoutExpired:
                pass

    def end(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        return self.child.returncode


def unbound_config(directory, port, zone, server):
    return f"""
server:
    directory: "{directory}"
    username: ""
    chroot: ""
    pidfile: "{directory}/unbound.pid"
    use-syslog: no
    logfile: ""
    verbosity: 1
    interface: 127.0.0.1
    port: {port}
    do-ip6: no
    access-control: 127.0.0.0/8 allow
    do-not-query-localhost: no
    module-config: "iterator"
    qname-minimisation: yes
    qname-minimisation-strict: yes
    use-caps-for-id: yes
    harden-below-nxdomain: yes
    hide-identity: yes
    domain-insecure: "{zone}"
    local-zone: "{zone}" nodefault
stub-zone:
    name: "{zone}"
    stub-addr: {server[0]}@{server[1]}
    stub-prime: no
remote-control:
    control-enable: no
"""


def bind_config(directory, port, zone, server):
    return f"""
options {{
    directory "{directory}";
    pid-file "{directory}/named.pid";
    session-keyfile "{directory}/session.key";
    managed-keys-directory "{directory}";
    port {server[1]};  // where it asks others; it listens elsewhere
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    recursion yes;
    allow-query {{ 127.0.0.0/8; }};
    dnssec-validation no;
    qname-minimization strict;
    empty-zones-enable no;
    notify no;
}};
controls {{ }};
zone "{zone}" {{
    type static-stub;
    server-addresses {{ {server[0]}; }};
}};
"""


def dig(server, *args, timeout=5):
    out = subprocess.run(["dig", f"@{server[0]}", "-p", str(server[1]), "+tries=1", f"+time={timeout}", *args],
                         capture_output=True, text=True, timeout=timeout + 10)
    return out.stdout


def status(text):
    found = re.search(r"status: (\w+)", text)
    return found.group(1) if found else "none"


def section(text, name):
    found = re.search(rf";; {name} SECTION:\n(.*?)\n\n", text, re.S)
    return found.group(1).splitlines() if found else []


def flags(text):
    found = re.search(r";; flags: ([a-z ]*);", text)
    return found.group(1).split() if found else []


def check_with_dig(server, zone, has_v6):
    name = f"www.x.com.{zone}"
    a = dig(server, name, "A")
    check(status(a) == "NOERROR" and len(section(a, "ANSWER")) >= 1 and "aa" in flags(a), f"dig A {name}: an address, authoritative")
    aaaa = dig(server, name, "AAAA")
    if has_v6:
        check(status(aaaa) == "NOERROR" and len(section(aaaa, "ANSWER")) >= 1, "dig AAAA: an address")
    quiet = dig(server, name, "A", "+norecurse")
    check("WARNING" not in quiet and "malformed" not in quiet.lower(), "dig has nothing to complain of")
    soa = dig(server, zone, "SOA")
    check(status(soa) == "NOERROR" and len(section(soa, "ANSWER")) == 1 and "SOA" in soa, "dig SOA of the apex")
    ns = dig(server, zone, "NS", "+tcp")
    names = [line.split()[-1] for line in section(ns, "ANSWER")]
    check(status(ns) == "NOERROR" and len(names) >= 1, f"dig NS of the apex by TCP: {len(names)} names")
    check(all(section(dig(server, n, "A"), "ANSWER") or section(dig(server, n, "AAAA"), "ANSWER") for n in names),
          "every name server has an address")
    for qtype in ("TXT", "MX", "HTTPS", "TYPE65280"):
        text = dig(server, name, qtype)
        check(status(text) == "NOERROR" and not section(text, "ANSWER") and any("SOA" in l for l in section(text, "AUTHORITY")),
              f"dig {qtype}: NODATA with the SOA")
    refused = dig(server, "www.example.org", "A")
    check(status(refused) == "REFUSED" and not section(refused, "AUTHORITY"), "dig of a foreign name: REFUSED")
    check(status(dig(server, zone, "AXFR")) in ("REFUSED", "none") and "Transfer failed" in dig(server, zone, "AXFR"),
          "dig AXFR: refused")
    tcp = dig(server, name, "A", "+tcp")
    check(status(tcp) == "NOERROR" and "(TCP)" in tcp, "dig +tcp")
    keep = dig(server, name, "A", "+tcp", "+keepopen", zone, "SOA")
    check(keep.count("status: NOERROR") == 2, "dig +tcp +keepopen: two queries on one connection")
    for size in (512, 1232, 4096):
        text = dig(server, name, "A", f"+bufsize={size}")
        got = re.search(r"MSG SIZE  rcvd: (\d+)", text)
        check(got is not None and int(got.group(1)) <= min(size, 1232) and "EDNS: version: 0" in text, f"dig +bufsize={size}")
    check("EDNS" not in dig(server, name, "A", "+noedns"), "dig +noedns: no OPT in the answer")
    check(status(dig(server, name, "A", "+edns=1", "+noednsneg")) == "BADVERS", "dig +edns=1: BADVERS")
    any_ = dig(server, name, "ANY", "+notcp", "+ignore")
    check(status(any_) == "NOERROR" and "RFC8482" in any_ and len(section(any_, "ANSWER")) == 1, "dig ANY: minimal (RFC 8482)")
    cookie = dig(server, name, "A", "+cookie")
    check("(good)" in cookie, "dig +cookie: a server cookie")
    check(status(dig(server, name, "A", "+opcode=notify")) == "NOTIMP", "dig +opcode=notify: NOTIMP")
    check(status(dig(server, "version.bind", "CH", "TXT")) == "REFUSED", "dig CH: REFUSED")


def resolve_many(resolver, zone, count, in_flight=64, timeout=10.0):
    """Asks for `count` different names with a bounded window. (answered well, wrong, silent, seconds)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        s.connect(resolver)
        started = time.monotonic()
        good, wrong, waiting, following = 0, [], {}, 0
        while (following < count or waiting) and time.monotonic() - started < timeout * 6:
            while following < count and len(waiting) < in_flight:
                s.send(make_query(f"www.site{following}.example.{zone}", 1, following))
                waiting[following] = time.monotonic()
                following += 1
            s.settimeout(timeout)
            try:
                reply = s.recv(4096)
            except (socket.timeout, ConnectionError):
                break
            ident, = struct.unpack(">H", reply[:2])
            if waiting.pop(ident, None) is None:
                continue
            if reply[3] & 15 == 0 and struct.unpack(">H", reply[6:8])[0] >= 1:
                good += 1
            else:
                wrong.append((ident, reply[3] & 15))
        return good, wrong, len(waiting) + count - following, time.monotonic() - started


def check_resolver(kind, directory, zone, server, count):
    # Both treat the server as the zone's authority (no forwarding), so that minimisation and case mixing are on.
    port = free_port()
    path = os.path.join(directory, kind + ".conf")
    with open(path, "w") as f:
        if kind == "unbound":
            f.write(unbound_config(directory, port, zone, server))
            command = ["unbound", "-d", "-c", path]
        else:
            f.write(bind_config(directory, port, zone, server))
            command = ["named", "-g", "-4", "-c", path]
    process = Process(command, os.path.join(directory, kind + ".log"))
    try:
        resolver = ("127.0.0.1", port)
        process.wait_until(lambda: (ask(resolver, f"ready.example.{zone}", timeout=0.5) or (2, 0))[0] == 0, kind)
        good, wrong, silent, seconds = resolve_many(resolver, zone, count)
        check(good == count, f"{kind}: {good} of {count} different names resolved, {len(wrong)} wrong {wrong[:3]}, "
                             f"{silent} silent, {seconds:.2f} s")
        rcode, answers = ask(resolver, f"nodata.example.{zone}", 16, timeout=10) or (None, None)
        check(rcode == 0 and answers == 0, f"{kind}: NODATA passes through")
        check(ask(resolver, zone, 2, timeout=10) is not None, f"{kind}: NS of the apex")
    finally:
        process.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--server", metavar="PROGRAM", help="the test server to start")
    source.add_argument("--at", metavar="HOST:PORT", help="a name server that runs already (IPv4)")
    parser.add_argument("--zone", default="reef.example", help="its zone (default %(default)s)")
    parser.add_argument("--names", type=int, default=1000, metavar="N", help="names to resolve (default %(default)s)")
    parser.add_argument("--resolvers", default="unbound,bind9", help="which (default %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="write the result there")
    options = parser.parse_args()

    programs = {"unbound": "unbound", "bind9": "named"}
    missing = [p for p in ["dig"] + [programs[r] for r in options.resolvers.split(",") if r] if not shutil.which(p)]
    if missing:
        print(f"SKIPPED: not installed: {', '.join(missing)}")
        return 77
    directory = tempfile.mkdtemp(prefix="reef-dns-")
    server_process = None
    try:
        if options.server:
            server = ("127.0.0.1", free_port())
            addresses = [f"192.0.2.{i}" for i in range(1, 11)] + [f"2001:db8::{i}" for i in range(1, 4)]
            server_process = Process([options.server, "--flat", "--zone", options.zone, "--listen", f"{server[0]}:{server[1]}",
                                      *(f"--node={address}" for address in addresses)],
                                     os.path.join(directory, "server.log"))
            server_process.wait_until(lambda: ask(server, options.zone, 6) is not None, "the name server")
        else:
            host, _, port = options.at.rpartition(":")
            server = (host, int(port))
            if ask(server, options.zone, 6, timeout=5) is None:
                sys.exit(f"nothing answers for {options.zone} at {options.at}")
        check_with_dig(server, options.zone, has_v6=options.server is not None)
        for kind in filter(None, options.resolvers.split(",")):
            check_resolver(kind, directory, options.zone, server, options.names)
        if server_process:
            check(server_process.end() == 0, "the server ends with 0 on SIGTERM")
    finally:
        if server_process:
            server_process.end()
        shutil.rmtree(directory, ignore_errors=True)
    if options.json:
        with open(options.json, "w") as f:
            json.dump({"failures": failures, "names": options.names}, f, indent=1)
    print(f"{len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
