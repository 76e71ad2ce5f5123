"""What the experiments on the emulated Internet have in common: an nginx origin behind a thin uplink, a resolver
(unbound) for each region, Reef nodes over all regions with a client beside each, and a crowd of those clients.

Every metro's hosts have fixed parts: 0 the region's resolver (in its first metro), 1 the origin (in the first
metro of the first region), then node and client by turns.
"""
import collections
import contextlib
import dataclasses
import hashlib
import http.client
import json
import math
import pathlib
import random
import shutil
import socket
import struct
import subprocess

from .node import Node, NodeError, wait_until
from .report import source_of
from .wan import WanError, World, binary, inside

ORIGIN_HOST = "www.origin.example"
ZONE = "reef.example"
CORALIZED_HOST = f"{ORIGIN_HOST}.{ZONE}"
FIRST_PART = 2  # hosts of a metro before nodes and clients
HTTP_PORT, DNS_PORT = 80, 53


def nginx_program():
    return shutil.which("nginx") or "/usr/sbin/nginx"


def unbound_program():
    return shutil.which("unbound") or "/usr/sbin/unbound"


@dataclasses.dataclass
class File:
    """One object of the origin's site."""
    path: str
    body: bytes

    @property
    def digest(self):
        return hashlib.sha256(self.body).hexdigest()


def make_pages(pages, files, size, seed, prefix="/page"):
    """`pages` lists of `files` Files of `size` random bytes."""
    source = random.Random(seed)
    return [[File(f"{prefix}{p}/image{i}.jpg", source.randbytes(size)) for i in range(files)] for p in range(pages)]


@dataclasses.dataclass
class Fetch:
    """One line of the origin's log: a GET that was answered."""
    at: float       # seconds since the epoch, at its end
    address: str    # who fetched
    path: str
    status: int
    bytes_sent: int
    seconds: float


class Origin:
    """nginx on a host, with its access log read back."""

    def __init__(self, world, host, files, max_age=3600):
        self.world, self.host = world, host
        self.folder = world.state / "origin"
        self.log = self.folder / "access.log"
        for file in files:
            path = self.folder / "site" / file.path.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.body)
        (self.folder / "nginx.conf").write_text(f"""
daemon off;
user root;
worker_processes 1;
pid {self.folder}/nginx.pid;
error_log {self.folder}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  types {{ text/html html; text/css css; image/png png; image/jpeg jpg; }}
  log_format fetches '$msec $remote_addr $request_method $uri $status $body_bytes_sent $request_time';
  access_log {self.log} fetches;
  client_body_temp_path {self.folder}/body;
  proxy_temp_path {self.folder}/proxy;
  fastcgi_temp_path {self.folder}/fastcgi;
  uwsgi_temp_path {self.folder}/uwsgi;
  scgi_temp_path {self.folder}/scgi;
  tcp_nodelay on;
  server {{
    listen {host.address}:{HTTP_PORT};
    server_name {ORIGIN_HOST};
    root {self.folder}/site;
    add_header Cache-Control "max-age={max_age}";
  }}
}}
""")

    def start(self):
        process = self.world.start(self.host, "origin", [nginx_program(), "-c", self.folder / "nginx.conf"])

        def alive():
            if process.poll() is not None:
                raise WanError(f"nginx ended: {(self.world.state / 'origin.log').read_text()[-500:]}")

        def answers():
            with inside(self.host), contextlib.suppress(OSError):
                return socket.create_connection((self.host.address, HTTP_PORT), 1)

        wait_until(answers, 10, "nginx answers", alive).close()
        self.pid = process.pid
        return self

    def set_uplink(self, kbit, queue_bytes, order):
        self.world.command(f"cap {self.host.name} up {kbit}k {queue_bytes} {order}")

    def mark(self):
        """Where the log ends now; fetches(since=mark) starts there."""
        return self.log.stat().st_size if self.log.exists() else 0

    def fetches(self, since=0):
        """GETs that carried a body (200, 206), in the order in which they ended."""
        found = []
        if not self.log.exists():
            return found
        with open(self.log) as log:
            log.seek(since)
            for line in log:
                at, address, method, path, status, sent, seconds = line.split()
                if method == "GET" and status in ("200", "206"):
                    found.append(Fetch(float(at), address, path, int(status), int(sent), float(seconds)))
        return found

    def receivers(self):
        """Remote addresses of the connections over which the origin is sending now, one for each. A connection that
        is merely kept open has nothing unsent or unacknowledged."""
        found = []
        # The table of the process is that of its namespace.
        for line in pathlib.Path(f"/proc/{self.pid}/net/tcp").read_text().splitlines()[1:]:
            words = line.split()
            local, remote, state, unsent = words[1], words[2], words[3], int(words[4].split(":")[0], 16)
            if state == "01" and unsent > 0 and int(local.split(":")[1], 16) == HTTP_PORT:
                found.append(socket.inet_ntoa(struct.pack("<I", int(remote.split(":")[0], 16))))
        return found

    def wait_idle(self, timeout_s=60):
        """Until it sends nothing any more: what was given up may still fill the uplink's queue."""
        wait_until(lambda: not self.receivers(), timeout_s, "the origin has sent all")


def unbound_config(folder, host, more):
    """unbound.conf for a resolver on `host`, with `more` lines of the server's and further clauses."""
    return f"""
server:
  directory: "{folder}"
  chroot: ""
  username: ""
  pidfile: "{folder}/unbound.pid"
  use-syslog: no
  logfile: ""
  do-daemonize: no
  interface: {host.address}
  access-control: 0.0.0.0/0 allow
{more}
remote-control:
  control-enable: no
"""


class Resolver:
    """unbound for the clients and nodes of a region: knows the origin's name, asks Reef's nodes for Reef's zone."""

    def __init__(self, world, host, origin, nodes):
        self.world, self.host = world, host
        self.folder = world.state / f"unbound-{host.name}"
        self.folder.mkdir()
        stubs = "\n".join(f"  stub-addr: {node.address}@{DNS_PORT}" for node in nodes)
        (self.folder / "unbound.conf").write_text(unbound_config(self.folder, host, f"""  num-threads: 1
  do-ip6: no
  module-config: "iterator"
  local-zone: "origin.example." static
  local-data: "{ORIGIN_HOST}. 3600 IN A {origin.address}"
stub-zone:
  name: "{ZONE}."
{stubs}"""))

    def start(self):
        process = self.world.start(self.host, f"unbound-{self.host.name}",
                                   [unbound_program(), "-d", "-c", self.folder / "unbound.conf"])

        def alive():
            if process.poll() is not None:
                log = (self.world.state / f"unbound-{self.host.name}.log").read_text()
                raise WanError(f"unbound ended: {log[-500:]}")

        wait_until(lambda: resolve(self.host, self.host.address, ORIGIN_HOST), 10, "unbound answers", alive)
        return self


def resolve(host, server, name, timeout_s=1.0):
    """IPv4 addresses that `server` answers for `name`, asked from `host`; [] when it does not."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    query = struct.pack("!HHHHHH", 4711, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", 1, 1)
    with inside(host):
        ask = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with ask:
        ask.settimeout(timeout_s)
        try:
            ask.connect((server, 53))
            ask.send(query)
            answer = ask.recv(4096)
        except OSError:
            return []
    # Every record whose type, class and length say "IPv4 address"; enough for a check of one's own resolver.
    found, at = [], len(query)
    while True:
        at = answer.find(b"\0\x01\0\x01", at)
        if at < 0 or at + 14 > len(answer):
            return found
        if answer[at + 8:at + 10] == b"\0\x04":
            found.append(socket.inet_ntoa(answer[at + 10:at + 14]))
        at += 4


@dataclasses.dataclass
class Answer:
    """What a client got for one file, as reef_wan_client reports it; times in ms from the start of its DNS question."""
    client: str
    host: str
    path: str
    start_s: float  # since the crowd's start
    addresses: list  # of the DNS answer, in its order
    server: str      # the one that answered, else the last one tried
    status: int
    bytes: int
    right: bool
    error: str
    cache_status: str
    dns_ms: float
    connect_ms: float
    first_byte_ms: float
    total_ms: float
    silence_ms: float
    refused: int

    @property
    def unfinished(self):
        return self.error == "unfinished"

    @property
    def failed(self):
        return not self.unfinished and (self.error != "" or self.status != 200)

    @property
    def wrong(self):
        return not self.failed and not self.unfinished and not self.right

    @property
    def source(self):
        return source_of(self.cache_status)


class Crowd:
    """A running reef_wan_client."""

    def __init__(self, stage, name, plan):
        self.out = stage.world.state / f"{name}.jsonl"
        path = stage.world.state / f"{name}.plan.json"
        path.write_text(json.dumps(plan))
        self.process = stage.world.start_process(name, [stage.client_program, path], self.out)

    def wait(self, timeout_s):
        """Its answers; WanError when it does not end in time."""
        def ended():
            return self.process.poll() is not None
        wait_until(ended, timeout_s, "the crowd is done")
        lines = self.out.read_text().splitlines()
        if self.process.returncode != 0:
            raise WanError(f"the crowd ended with {self.process.returncode}: {lines[-1] if lines else ''}")
        self.started = json.loads(lines[0])["started"]
        return [Answer(**json.loads(line)) for line in lines[1:]]


class Stage:
    """The whole set-up. Nodes are started by start_nodes(); the rest by entering."""

    def __init__(self, options, pages, extra_files=()):
        self.options, self.pages = options, pages
        self.files = [file for page in pages for file in page] + list(extra_files)
        metros = options.regions * options.metros
        self.per_metro = math.ceil(options.nodes / metros)
        self.world = World(regions=options.regions, metros=options.metros, hosts=FIRST_PART + 2 * self.per_metro,
                           seed=options.seed, keep_logs=options.keep_logs)
        self.nodes = []
        self.runs = collections.Counter()

    def __enter__(self):
        self.client_program = binary("reef_wan_client")
        self.world.__enter__()
        try:
            self._assign()
            self.origin = Origin(self.world, self.origin_host, self.files).start()
            self.origin.set_uplink(self.options.uplink_kbit, self.options.queue_kib * 1024, self.options.queue)
            for region, host in self.resolver_hosts.items():
                mine = [h for h in self.node_hosts if h.region == region]
                Resolver(self.world, host, self.origin_host, mine or self.node_hosts[:1]).start()
        except BaseException:
            self.world.close()
            raise
        return self

    def __exit__(self, *_):
        self.world.close()

    def _assign(self):
        hosts = collections.defaultdict(dict)  # region -> metro -> hosts
        for host in self.world.hosts:
            hosts[host.region].setdefault(host.metro, []).append(host)
        regions = list(hosts.values())
        self.resolver_hosts = {region: next(iter(metros.values()))[0] for region, metros in hosts.items()}
        self.origin_host = next(iter(regions[0].values()))[1]
        self.node_hosts, self.client_hosts = [], []
        for i in range(self.options.nodes):  # round robin over regions, then over their metros
            metros = list(regions[i % len(regions)].values())
            turn = i // len(regions)
            metro, slot = metros[turn % len(metros)], FIRST_PART + 2 * (turn // len(metros))
            self.node_hosts.append(metro[slot])
            self.client_hosts.append(metro[slot + 1])

    # --- nodes

    def make_node(self, index, data, cooperate=True):
        host, seed = self.node_hosts[index], self.node_hosts[0]
        flags = ["--zone", ZONE, "--suffix", ZONE, "--advertise", host.address, "--workers", "1",
                 "--resolver", f"{self.resolver_hosts[host.region].address}:53"]
        if index != 0:
            flags += ["--seed", f"{seed.address}:8091"]
        if not cooperate:
            flags += ["--set", "proxy.cooperate=false"]
        flags += self.options.node_flag or []

        def admin_over(path):
            with inside(host):
                connection = http.client.HTTPConnection("127.0.0.1", 8092, timeout=2)
                connection.connect()
            with contextlib.closing(connection):
                connection.request("GET", path)
                response = connection.getresponse()
                return response.status, response.read()

        return Node(host.address, self.world.state / data, name=host.name, flags=flags, prefix=self.world.prefix(host),
                    proxy_port=HTTP_PORT, dns_port=DNS_PORT, admin_address="127.0.0.1", admin_over=admin_over,
                    log_path=self.world.state / f"node-{host.name}.log")

    def start_node(self, node):
        node.start()
        self.world.record.add(node.pid, f"node-{node.name}")

    def start_nodes(self, cooperate=True):
        """All of them, until each knows enough others to find its way."""
        self.runs["nodes"] += 1
        self.nodes = [self.make_node(i, f"data-{self.runs['nodes']}-{host.name}", cooperate)
                      for i, host in enumerate(self.node_hosts)]
        for node in self.nodes:
            self.start_node(node)
        for node in self.nodes:
            node.wait_ready(30)
        enough = min(len(self.nodes) - 1, 8)
        for node in self.nodes:
            node.wait_peers(enough, 60)
        self._wait_dns()

    def _wait_dns(self):
        """Until every node's name server answers with addresses, so that no resolver learns of an empty network."""
        for host, node in zip(self.node_hosts, self.nodes):
            wait_until(lambda: resolve(host, host.address, f"ready.{ZONE}"), 30,
                       f"the name server of {node.name} answers", node.check_alive)

    def stop_nodes(self):
        """SIGTERM to all at once, each one once (a second one means "now"). Names of those that did not end with 0."""
        for node in self.nodes:
            node.terminate()
        bad = []
        for node in self.nodes:
            try:
                if node.process.wait(20) != 0:
                    bad.append(node.name)
            except subprocess.TimeoutExpired:
                node.kill()
                bad.append(node.name)
        self.nodes = []
        return bad

    # --- crowds

    def clients(self, to_node=False):
        """The crowd's members for a plan; `to_node`: each goes to the node beside it, without DNS."""
        members = []
        for client, node in zip(self.client_hosts, self.node_hosts):
            member = {"name": client.name, "netns": client.netns,
                      "resolver": self.resolver_hosts[client.region].address}
            if to_node:
                member["connect_to"] = node.address
            members.append(member)
        return members

    def crowd(self, name, **plan):
        """Starts a crowd; see tests/wan/client/plan.h for the plan."""
        whole = {"host": CORALIZED_HOST, "port": HTTP_PORT, "clients": self.clients(),
                 "pages": [[file.path for file in page] for page in self.pages],
                 "digests": {file.path: file.digest for file in self.files}, "seed": self.options.seed, **plan}
        self.runs[name] += 1
        return Crowd(self, f"{name}-{self.runs[name]}", whole)


def add_stage_arguments(parser, nodes=24, queue="fifo", queue_kib=64, uplink_kbit=384):
    parser.add_argument("--nodes", type=int, default=nodes, help=f"Reef nodes, a client beside each (default {nodes})")
    parser.add_argument("--regions", type=int, default=5, help="regions of the world, 1..6 (default 5)")
    parser.add_argument("--metros", type=int, default=3, help="metros in each region, 1..4 (default 3)")
    parser.add_argument("--uplink-kbit", type=int, default=uplink_kbit,
                        help=f"the origin's uplink, kbit/s (default {uplink_kbit})")
    parser.add_argument("--queue-kib", type=int, default=queue_kib,
                        help=f"queue before that uplink, KiB (default {queue_kib})")
    parser.add_argument("--queue", choices=["fifo", "fair"], default=queue, help="how that queue serves connections: "
                        f"first in first out, or by turns as fq_codel's flow queues (default {queue})")
    parser.add_argument("--node-flag", action="append", metavar="FLAG", help="a further flag of every reefd, e.g. "
                        "--node-flag=--log-level=debug; may be given several times")
    parser.add_argument("--keep-logs", metavar="DIR", help="copies all logs there")


__all__ = ["Answer", "Crowd", "File", "Stage", "NodeError", "add_stage_arguments", "make_pages", "resolve"]
