#!/usr/bin/env python3
"""The name server beside gdnsd and knot: CPU time a query and answers a second, one core each.

All three serve one A record set for every name below a zone (gdnsd and knot by a wildcard; Reef's are made for each
answer from a view of --nodes nodes, with the client's level looked up). dnsperf asks from the other cores for names that
differ, by UDP. Rounds are interleaved: each server has --rounds rounds of --seconds, in turn; a figure is the median of
its rounds. CPU time is the process's, by the kernel's account; answers a second are what one core would give if it did
nothing else, and beside it what came out. Without two cores the figures are worth nothing.

Exit status 0: Reef's CPU time a query is at most --slack times the better one's of the others.
"""
import argparse
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import tempfile
import time

from reeflab import build_dir
from reeflab.report import environment, table, write_json

ZONE = "reef.example"
ADDRESSES = [f"192.0.2.{i}" for i in range(1, 5)]
HZ = os.sysconf("SC_CLK_TCK")


def write(path, text):
    pathlib.Path(path).write_text(text)
    return str(path)


def zone_file(directory):
    records = "\n".join(f"* 60 A {a}" for a in ADDRESSES)
    return write(f"{directory}/{ZONE}", f"""$TTL 3600
@ SOA ns1 hostmaster 1 3600 600 86400 60
@ NS ns1
ns1 A 127.0.0.1
{records}
""")


def reef(directory, port, options):
    program = build_dir() / "tests" / "dnsd" / "reef_test_dns_server"
    command = [program, "--zone", ZONE, "--suffix", f"http.l2.l1.l0.{ZONE}", "--listen", f"127.0.0.1:{port}",
               "--verdict", "127.0.0.0/24=2"]
    for i in range(options.nodes):
        command += ["--node", f"192.0.2.{i + 1}/{i % 3}/{i}"]
    return command


def gdnsd(directory, port, _options):
    base = pathlib.Path(directory, "gdnsd")
    for part in ("zones", "run", "state"):
        (base / part).mkdir(parents=True, exist_ok=True)
    shutil.copy(zone_file(directory), base / "zones" / ZONE)
    write(base / "config", f"options => {{ listen => 127.0.0.1:{port}, run_dir => {base}/run, state_dir => {base}/state, "
                           "udp_threads => 1, tcp_threads => 1 }\n")
    return ["gdnsd", "-c", str(base), "start"]


def knot(directory, port, _options):
    base = pathlib.Path(directory, "knot")
    base.mkdir()
    return ["knotd", "-c", write(base / "knot.conf", f"""
server:
  rundir: "{base}"
  listen: 127.0.0.1@{port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
database:
  storage: "{base}"
template:
  - id: default
    storage: "{directory}"
    zonefile-sync: -1
zone:
  - domain: {ZONE}
    file: "{zone_file(directory)}"
""")]


SERVERS = {"reef": reef, "gdnsd": gdnsd, "knot": knot}


def answers(port, name):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.3)
        s.connect(("127.0.0.1", port))
        labels = b"".join(bytes([len(l)]) + l.encode() for l in name.split("."))
        try:
            s.send(struct.pack(">HHHHHH", 1, 0, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1))
            return struct.unpack(">H", s.recv(4096)[6:8])[0]
        except OSError:
            return 0


def cpu_seconds(pid):
    """Of the process and all of its threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / HZ


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, kind, directory, options, core):
        self.kind, self.port = kind, free_port()
        self.suffix = f"http.l2.l1.l0.{ZONE}"
        command = SERVERS[kind](directory, self.port, options)
        self.log = open(f"{directory}/{kind}.log", "wb")
        self.child = subprocess.Popen(["taskset", "-c", str(core), *map(str, command)], stdout=self.log,
                                      stderr=subprocess.STDOUT, start_new_session=True)
        deadline = time.monotonic() + 15
        while answers(self.port, f"ready.{self.suffix}") == 0:
            if self.child.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"dns: {kind} does not answer:\n{pathlib.Path(directory, kind + '.log').read_text()[-2000:]}")

    def round(self, queries, options, cores):
        before = cpu_seconds(self.child.pid)
        done = subprocess.run(["taskset", "-c", cores, "dnsperf", "-s", "127.0.0.1", "-p", str(self.port), "-d", queries, "-l",
                               str(options.seconds), "-c", "8", "-q", "400", "-e"], capture_output=True, text=True, check=False)
        used = cpu_seconds(self.child.pid) - before
        found = re.search(r"Queries completed:\s+(\d+)", done.stdout)
        noerror = re.search(r"NOERROR (\d+)", done.stdout)
        if not found or not noerror or int(noerror[1]) < 0.99 * int(found[1]):
            raise SystemExit(f"dns: dnsperf at {self.kind}:\n{done.stdout[-1500:]}{done.stderr[-500:]}")
        completed = int(found[1])
        return {"us": 1e6 * used / completed, "per_second": completed / options.seconds}

    def end(self):
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.log.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("--seconds", type=int, default=5, help="of a round (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of each server (default %(default)s)")
    parser.add_argument("--nodes", type=int, default=40, help="in Reef's view (default %(default)s)")
    parser.add_argument("--slack", type=float, default=1.0, help="(default %(default)s)")
    parser.add_argument("--servers", default="reef,gdnsd,knot", help="(default %(default)s)")
    options = parser.parse_args()
    kinds = options.servers.split(",")
    cores = sorted(os.sched_getaffinity(0))
    others = ",".join(map(str, cores[1:] or cores))
    rounds = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory(prefix="reef-bench-dns-") as directory:
        queries = write(f"{directory}/queries", "".join(f"www.site{i}.com.http.l2.l1.l0.{ZONE} A\n" for i in range(10_000)))
        servers = []
        try:
            for kind in kinds:
                servers.append(Server(kind, directory, options, cores[0]))
            for _ in range(options.rounds):
                for server in servers:
                    rounds[server.kind].append(server.round(queries, options, others))
        finally:
            for server in servers:
                server.end()
    figures = {kind: {"cpu_us": statistics.median(r["us"] for r in all_), "least_us": min(r["us"] for r in all_),
                      "most_us": max(r["us"] for r in all_), "per_second": statistics.median(r["per_second"] for r in all_)}
               for kind, all_ in rounds.items()}
    print(table(["server", "CPU us a query", "least", "most", "answers/s a core", "answers/s seen"],
                [[kind, f"{f['cpu_us']:.2f}", f"{f['least_us']:.2f}", f"{f['most_us']:.2f}", f"{1e6 / f['cpu_us']:,.0f}",
                  f"{f['per_second']:,.0f}"] for kind, f in figures.items()]))
    best = min((f["cpu_us"] for kind, f in figures.items() if kind != "reef"), default=None)
    met = best is None or "reef" not in figures or figures["reef"]["cpu_us"] <= options.slack * best
    print(f"\nat most {options.slack:g} times the better one's CPU time: {'met' if met else 'not met'}")
    if options.json:
        write_json(options.json, {"benchmark": "dns", "servers": figures, "rounds": rounds, "met": met, "on": environment()})
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
