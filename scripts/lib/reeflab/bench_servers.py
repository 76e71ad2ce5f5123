"""The servers that scripts/bench compares: what each is, how it is started as one worker on one core.

`SERVERS` has them by name. A server is given a folder of its own, the origin's port and a core:

    server = SERVERS["nginx"](home, origin_port, core)   # FileNotFoundError: not installed, says what to do
    server.start()
    server.address(1024, close=False), server.host       # (IP, port), the Host that its requests must carry
    server.process.cpu(), server.process.memory_bytes()
    server.stop()
"""
import re
import subprocess

from . import build_dir, program
from .bench_peers import HaproxyPlan, NginxPlan, TrafficServerPlan, VarnishPlan
from .bench_process import BenchError, Pinned, find_tool, free_port
from .node import Node

ADDRESS = "127.0.0.1"


def bench_program(name):
    """The path of a program of tests/bench; FileNotFoundError when it is not built."""
    path = build_dir() / "tests" / "bench" / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is not built (scripts/bench builds it, unless --no-build)")
    return path


class Server:
    """Common to all. `process` (a Pinned) exists from start() on."""
    name = title = ""
    is_peer = False      # one that users would pick instead of Reef
    caches = True        # False: it has no origin, so misses mean nothing

    def __init__(self, home, origin_port, core):
        self.home, self.origin_port, self.core = home, origin_port, core
        self.host = "www.example.com"
        self.process = None
        self.version = ""
        home.mkdir(parents=True)

    def start(self):
        raise NotImplementedError

    def address(self, size, close):  # pylint: disable=unused-argument
        return ADDRESS, self.port

    def stop(self):
        if self.process:
            self.process.stop()


class Floor(Server):
    """The least that a hit from memory can cost; one listener for each answer, as it does not look at requests."""
    name, title, caches = "floor", "bare epoll loop", False
    ANSWERS = [(1024, False), (12288, False), (41984, False), (1 << 20, False), (1024, True)]

    def __init__(self, home, origin_port, core):
        self.program = bench_program("reef_bench_floor")
        super().__init__(home, origin_port, core)

    def start(self):
        answers = [f"{size}{':close' if close else ''}" for size, close in self.ANSWERS]
        self.process = Pinned([self.program, *answers], self.core, self.home / "output.log", reads=True)
        self.ports = dict(zip(self.ANSWERS, map(int, self.process.first_line().split())))

    def address(self, size, close):
        return ADDRESS, self.ports[size, close]


class Reef(Server):
    """reefd with one worker, as people run it: index, name server and admin listener are there."""
    name, title = "reef", "Reef"
    FLAGS = ["--workers", "1", "--allow-origin", "127.0.0.0/8", "--set", "proxy.limits.idle_timeout=600s",
             "--set", "proxy.origin.connections_per_host_max=64", "--set", "proxy.cache.disk_bytes=2GiB"]

    def __init__(self, home, origin_port, core):
        self.program = program("reefd")
        super().__init__(home, origin_port, core)
        self.host = f"localhost.{origin_port}.reef.localhost"
        self.version = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=True).stdout.strip()

    def start(self):
        self.port = free_port()
        node = Node(ADDRESS, self.home, reefd=self.program, flags=self.FLAGS, proxy_port=self.port,
                    rpc_port=free_port(), admin_port=free_port(),
                    dns_port=free_port(), log_level="warn")
        self.process = Pinned(node.command, self.core, self.home / "output.log")


class ReefProxy(Server):
    """Reef's proxy alone, without index, name server and control loop: what those cost is the difference."""
    name, title = "reef-proxy", "Reef's proxy alone"

    def __init__(self, home, origin_port, core):
        self.program = bench_program("reef_bench_proxy")
        super().__init__(home, origin_port, core)
        self.host = f"localhost.{origin_port}.reef.localhost"

    def start(self):
        self.port = free_port()
        command = [self.program, f"{ADDRESS}:{self.port}", self.home / "data", "1"]
        self.process = Pinned(command, self.core, self.home / "output.log")


class Peer(Server):
    """A program of Debian's; its plan (bench_peers.py) writes the configuration."""
    is_peer = True
    plan = None

    def __init__(self, home, origin_port, core):
        self.tool = find_tool(self.plan.tool)
        if self.tool is None:
            raise FileNotFoundError(f"{self.plan.tool} is not installed (scripts/bootstrap --bench)")
        super().__init__(home, origin_port, core)
        said = subprocess.run([self.tool, self.plan.version_flag], capture_output=True, text=True, check=False, timeout=30)
        found = re.search(r"\d+\.\d+\.\d+", said.stdout + said.stderr)
        self.version = found.group(0) if found else ""

    def start(self):
        self.port = free_port()
        arguments, env = self.plan.write(self.home, self.port, self.origin_port)
        self.process = Pinned([self.tool, *arguments], self.core, self.home / "output.log", env=env)


class Nginx(Peer):
    name, title, plan = "nginx", "nginx proxy_cache", NginxPlan


class Varnish(Peer):
    name, title, plan = "varnish", "Varnish", VarnishPlan


class TrafficServer(Peer):
    name, title, plan = "trafficserver", "Apache Traffic Server", TrafficServerPlan


class Haproxy(Peer):
    name, title, plan = "haproxy", "haproxy's small cache", HaproxyPlan


class Origin:
    """reef_bench_origin on the load generator's core."""

    def __init__(self, home, core):
        home.mkdir(parents=True)
        self.process = Pinned([bench_program("reef_bench_origin")], core, home / "output.log", reads=True)
        try:
            self.port = int(self.process.first_line())
        except (BenchError, ValueError):
            self.process.stop()
            raise

    def stop(self):
        self.process.stop()


SERVERS = {kind.name: kind for kind in (Floor, Reef, ReefProxy, Nginx, Varnish, TrafficServer, Haproxy)}
DEFAULT_SERVERS = [name for name in SERVERS if name != "reef-proxy"]
