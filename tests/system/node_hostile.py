#!/usr/bin/env python3
"""A running node under random and mutated messages on its RPC and DNS ports, then real resolvers against it.

Afterwards it must still be the same process, answer by DNS and HTTP, and end with exit 0. With a sanitizer build
(REEF_BUILD_DIR) a finding ends the node and so fails the test.
"""
import argparse
import hashlib
import hmac
import http.client
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))
from reeflab import build_dir  # noqa: E402
from reeflab.node import Node  # noqa: E402

ADDRESS = "127.0.0.22"
NETWORK_KEY = b""                           # network.key's default: the open network
RPC_RECORD_HEAD, RPC_NETWORK_AT = 3, 4      # the fuzz corpus: control byte and length; then the datagram
DNS_SELECTOR = 1
failures = []


def check(holds, what):
    print(("ok    " if holds else "FAIL  ") + what, flush=True)
    if not holds:
        failures.append(what)


def rpc_samples(directory):
    """Every kind of RPC, with this network's id, so that the mutations reach what lies behind that check."""
    network = hmac.new(NETWORK_KEY, b"reef network id", hashlib.sha256).digest()[:8]
    for sample in (ROOT / "tests/fuzz/corpus/rpc_fuzz").iterdir():
        record = sample.read_bytes()  # the first of the file
        datagram = record[RPC_RECORD_HEAD:RPC_RECORD_HEAD + int.from_bytes(record[1:RPC_RECORD_HEAD], "big")]
        (directory / sample.name).write_bytes(datagram[:RPC_NETWORK_AT] + network + datagram[RPC_NETWORK_AT + 8:])
    return directory


def blast(node, port, count, seed, samples, *flags, program="reef_blast"):
    command = [str(build_dir("dev") / "tests/system" / program), f"{ADDRESS}:{port}", str(count), str(seed), str(samples)]
    done = subprocess.run([*command, *flags], capture_output=True, text=True, timeout=60 + count / 2000)
    node.check_alive()
    check(done.returncode == 0, f"{count} messages to port {port}: {done.stdout.strip()} {done.stderr.strip()}")


def serves(node):
    connection = http.client.HTTPConnection(ADDRESS, node.proxy_port, timeout=20)
    connection.request("GET", "/", headers={"Host": "reef.example"})
    return connection.getresponse().status == 200


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="messages to each port (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the mutations (default %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reef-hostile-") as name:
        directory = pathlib.Path(name)
        (directory / "rpc").mkdir()
        with Node(ADDRESS, directory / "node", flags=["--suffix", "reef.example", "--workers", "1"]) as node:
            node.wait_ready()
            pid = node.pid
            blast(node, node.rpc_port, arguments.count, arguments.seed, rpc_samples(directory / "rpc"))
            counted = node.status()["dsht"]
            check(counted["undecodable"] > 0 and counted["requests"] > 0,
                  f"some were refused ({counted['undecodable']}), some were answered ({counted['requests']})")
            for program in ("reef_blast", "reef_blast_streams"):
                blast(node, node.dns_port, arguments.count, arguments.seed, ROOT / "tests/fuzz/corpus/dns_fuzz",
                      "--skip", str(DNS_SELECTOR), program=program)
            check(serves(node) and node.is_ready(), "HTTP still answers, and the node is ready")
            resolvers = subprocess.run(
                [sys.executable, str(pathlib.Path(__file__).with_name("dns_resolvers.py")),
                 "--at", f"{ADDRESS}:{node.dns_port}", "--zone", "reef.example"],
                capture_output=True, text=True, timeout=240)
            sys.stdout.write(resolvers.stdout)
            if resolvers.returncode == 77:
                print(resolvers.stdout.strip().splitlines()[-1])
                return 77
            check(resolvers.returncode == 0, f"dig, unbound and bind9 against reefd {resolvers.stderr.strip()}")
            check(node.pid == pid and node.stop() == 0, "the same process, and it exits 0")
    print(f"{len(failures)} failed" if failures else "all hold")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
