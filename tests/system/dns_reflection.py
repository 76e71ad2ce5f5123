#!/usr/bin/env python3
"""A node's name server as a reflector: queries with forged sources, and what their victims get.

Every query goes out through a raw socket under an address that is not the sender's; what comes back is counted where
the forged address is. Two bounds must hold (docs/dns.md): an answer has at most FACTOR times the bytes of its query,
whatever was asked and however, and one network gets no more answers than the rate limit lets through. In a network
namespace of its own, in which all addresses are this machine's.
"""
import argparse
import pathlib
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))
from reeflab import own_network  # noqa: E402
from reeflab.node import Node  # noqa: E402

SERVER, VICTIM = "10.0.0.1", "10.77.0.1"
PORT = 5399                    # of all victims
FACTOR = 4
IP_BYTES = 28                  # the IP and UDP headers, of query and answer alike
RATE, BURST, SLIP = 500, 1000, 2
TYPES = {"A": 1, "NS": 2, "SOA": 6, "MX": 15, "TXT": 16, "AAAA": 28, "DNSKEY": 48, "HTTPS": 65, "ANY": 255}
NAMES = ("reef.example", "x.reef.example", "www.example.com.reef.example", "ns1.reef.example", "_acme-challenge.reef.example")
failures = []


def check(holds, what):
    print(("ok    " if holds else "FAIL  ") + what, flush=True)
    if not holds:
        failures.append(what)


def question(ident, name, qtype, edns):
    """edns: None, or the bytes of an OPT record's options, with the largest payload on offer and DNSSEC wanted."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    out = struct.pack(">HHHHHH", ident, 0x0100, 1, 0, 0, 0 if edns is None else 1) + labels + b"\0"
    out += struct.pack(">HH", qtype, 1)
    if edns is not None:
        out += b"\0" + struct.pack(">HHIH", 41, 65535, 0x8000, len(edns)) + edns
    return out


def forged(source, port, data):
    """An IP packet from `source`; the kernel fills in length, id and checksum."""
    udp = struct.pack(">HHHH", PORT, port, 8 + len(data), 0)  # without a checksum, as IPv4 allows
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0, socket.inet_aton(source),
                       socket.inet_aton(SERVER))
    return head + udp + data


class Victims:
    """Whatever arrives at PORT of any address of this machine, by the id that the query had."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.bind(("0.0.0.0", PORT))
        self.socket.settimeout(0.2)
        self.got, self.over = [], threading.Event()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while not self.over.is_set():
            try:
                data = self.socket.recv(65535)
            except TimeoutError:
                continue
            self.got.append((struct.unpack(">H", data[:2])[0], len(data), bool(data[2] & 2)))

    def take(self, is_enough, timeout_s=5):
        """What came until `is_enough(answers)`, or until nothing more came for half a second."""
        until, seen, quiet = time.monotonic() + timeout_s, -1, time.monotonic()
        while time.monotonic() < until and not is_enough(self.got):
            if len(self.got) != seen:
                seen, quiet = len(self.got), time.monotonic()
            elif time.monotonic() - quiet > 0.5:
                break
            time.sleep(0.01)
        got, self.got = self.got, []
        return got

    def close(self):
        self.over.set()
        self.thread.join()
        self.socket.close()


def ask_everything(raw, node, victims):
    """Every type, name and form once, each for a victim in a network of its own: the factor of each answer."""
    options = {"no EDNS": None, "EDNS": b"", "a client's network": struct.pack(">HHHBB3s", 8, 7, 1, 24, 0, b"\x0a\x05\x06"),
               "a forged cookie": struct.pack(">HH", 10, 24) + random.Random(1).randbytes(24)}
    sent = {}
    for form, edns in options.items():
        for name in NAMES:
            for kind, qtype in TYPES.items():
                ident = len(sent)
                data = question(ident, name, qtype, edns)
                sent[ident] = (len(data), f"{name} {kind}, {form}")
                raw.sendto(forged(f"10.80.{ident % 256}.{1 + ident // 256}", node.dns_port, data), (SERVER, 0))
    got = victims.take(lambda answers: len(answers) == len(sent))
    check(len(got) == len(sent), f"{len(got)} of {len(sent)} forged queries are answered")
    worst = max(got, key=lambda answer: answer[1] / sent[answer[0]][0])
    factor = worst[1] / sent[worst[0]][0]
    check(factor <= FACTOR, f"the largest answer has {factor:.2f} times the bytes of its query (at most {FACTOR}): "
                            f"{sent[worst[0]][1]}, {sent[worst[0]][0]} to {worst[1]} bytes")
    asked, answered = (sum(IP_BYTES + n for n in sizes) for sizes in ([size for size, _ in sent.values()], [g[1] for g in got]))
    print(f"      all together, with IP headers: {asked} bytes asked, {answered} answered, {answered / asked:.2f} times")


def flood(raw, node, victims, count):
    """One victim, as fast as this program can."""
    packets = [forged(VICTIM, node.dns_port, question(i, f"h{i}.example.com.reef.example", TYPES["A"], b""))
               for i in range(min(count, 4096))]
    began = time.monotonic()
    for i in range(count):
        raw.sendto(packets[i % len(packets)], (SERVER, 0))
    seconds = time.monotonic() - began
    got = victims.take(lambda answers: False, timeout_s=20)
    full = sum(not truncated for _, _, truncated in got)
    allowed = BURST + RATE * (seconds + 1)
    check(0 < full <= allowed, f"{count} queries for one victim in {seconds:.1f} s: {full} answers (the limit lets "
                               f"{allowed:.0f} through), {len(got) - full} times \"use TCP\"")
    asked = sum(len(packets[i % len(packets)]) for i in range(count))
    answered = sum(IP_BYTES + size for _, size, _ in got)
    check(answered < asked, f"the victim gets {answered} bytes, the forger sends {asked}: {answered / asked:.2f} times")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flood", type=int, default=100_000, metavar="N", help="queries for one victim (default %(default)s)")
    options = parser.parse_args()
    status = own_network.enter()
    if status is not None:
        return status
    subprocess.run(["ip", "route", "add", "local", "10.0.0.0/8", "dev", "lo"], check=True)
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    victims = Victims()
    limits = [word for key, value in (("responses_per_second", RATE), ("response_burst", BURST), ("slip", SLIP))
              for word in ("--set", f"dns.{key}={value}")]
    with tempfile.TemporaryDirectory(prefix="reef-reflection-") as directory:
        config = pathlib.Path(directory) / "reef.toml"
        config.write_text(f'[dns]\nrecords = ["reef.example TXT {"x" * 200}"]\n')
        flags = ["--config", str(config), "--suffix", "reef.example", "--workers", "1", *limits]
        with Node(SERVER, pathlib.Path(directory) / "node", flags=flags) as node:
            node.wait_ready()
            ask_everything(raw, node, victims)
            flood(raw, node, victims, options.flood)
            check(node.stop() == 0, "the node exits 0")
    victims.close()
    print(f"{len(failures)} failed" if failures else "all hold")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
