"""The load of scripts/bench proxy: wrk, and a small client that fills caches, counts and holds idle connections."""
import dataclasses
import json
import math
import select
import signal
import socket
import subprocess
import time

from . import ROOT
from .bench_process import BenchError, cpu_used, find_tool, pinned

SCRIPT = ROOT / "tests" / "bench" / "load.lua"


class Client:
    """One kept-alive connection that asks one thing at a time."""

    def __init__(self, address, timeout_s=10):
        self.socket = socket.create_connection(address, timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get(self, path, host, keep=False):
        """(status, bytes of the body, the body if `keep`). OSError when the connection does not deliver."""
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.socket.recv(65536)
            if not piece:
                raise ConnectionError("closed before the end of the head")
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        length = next((int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length:")), None)
        if length is None:
            raise ConnectionError("an answer without Content-Length")
        kept, left = [body], length - len(body)
        while left > 0:
            piece = self.socket.recv(min(left, 1 << 18))
            if not piece:
                raise ConnectionError("closed before the end of the body")
            left -= len(piece)
            if keep:
                kept.append(piece)
        return int(lines[0].split()[1]), length, b"".join(kept) if keep else b""

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def origin_requests(origin):
    """How often the origin has been asked for an object."""
    origin.process.check_alive()
    with Client(("127.0.0.1", origin.port)) as client:
        return int(client.get("/count", "origin", keep=True)[2])


def wait_answer(server, path, timeout_s=30):
    """Until the server answers GET `path` with 200; BenchError when it does not."""
    end, said = time.monotonic() + timeout_s, "nothing"
    size = int(path.split("/")[1])
    while True:
        server.process.check_alive()
        try:
            with Client(server.address(size, False)) as client:
                status = client.get(path, server.host)[0]
                if status == 200:
                    return
                said = f"status {status}"
        except OSError as error:
            said = str(error)
        if time.monotonic() > end:
            raise BenchError(f"{server.name} does not answer {path} ({said}); its log ends:\n{server.process.log_tail()}")
        time.sleep(0.05)


def fill(server, origin, paths, close=False, passes_max=20):
    """Asks for all of `paths` until one pass over them asks the origin nothing: from then on they are hits.

    Caches may keep an object only after its second request, or write it behind the answer. BenchError: after `passes_max`
    passes there are still misses, or an answer is not 200 with as many bytes as its path says.
    """
    for number in range(passes_max):
        before = origin_requests(origin)
        size = int(paths[0].split("/")[1])
        client = Client(server.address(size, close))
        try:
            for path in paths:
                status, length, _ = client.get(path, server.host)
                if status != 200 or length != size:
                    raise BenchError(f"{server.name} gave {status} with {length} bytes for {path}")
                if close:
                    client.close()
                    client = Client(server.address(size, close))
        finally:
            client.close()
        if number > 0 and origin_requests(origin) == before:
            return
        time.sleep(0.1)
    raise BenchError(f"{server.name} still asks the origin after {passes_max} passes over {len(paths)} objects of {size} bytes")


@dataclasses.dataclass
class Load:
    """What wrk does in one run. `mode` and its arguments are those of load.lua."""
    size: int
    path: str
    mode: list
    close: bool = False
    connections: int = 32


def run_wrk(server, load, seconds, core):
    """One run. Returns load.lua's figures; BenchError when wrk fails or does not end in time.

    wrk only knows whole seconds; a fraction is cut off by SIGINT, after which it reports as usual.
    """
    ip, port = server.address(load.size, load.close)
    headers = ["-H", f"Host: {server.host}"] + (["-H", "Connection: close"] if load.close else [])
    command = pinned(core, [find_tool("wrk"), "-t1", f"-c{load.connections}", f"-d{math.ceil(seconds)}s", "--timeout", "10s",
                            "-s", SCRIPT, *headers, f"http://{ip}:{port}{load.path}", "--", *load.mode])
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        if seconds != math.ceil(seconds):
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)
        out = process.communicate(timeout=seconds + 30)[0]
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"wrk did not end within {seconds + 30:g} s against {server.name}") from error
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    result = [line for line in out.splitlines() if line.startswith("RESULT ")]
    if process.returncode != 0 or not result:
        raise BenchError(f"wrk failed against {server.name} (exit {process.returncode}): {out.strip()[-500:]}")
    return json.loads(result[-1].removeprefix("RESULT "))


def settle(process, quiet_share=0.03, timeout_s=2.0):
    """Waits until the process is almost idle: what it does behind the answers (writing to disk) is over."""
    end, quiet, last = time.monotonic() + timeout_s, 0, process.cpu()
    while quiet < 2 and time.monotonic() < end:
        time.sleep(0.025)
        now = process.cpu()
        quiet = quiet + 1 if cpu_used(last, now) < quiet_share * 0.025 else 0
        last = now


def measure(server, origin, load, seconds, core):
    """One run of one server: wrk's figures, CPU us per request, and how often the origin was asked meanwhile."""
    settle(server.process)
    asked, before = origin_requests(origin), server.process.cpu()
    result = run_wrk(server, load, seconds, core)
    settle(server.process)
    used = cpu_used(before, server.process.cpu())
    if result["requests"] == 0:
        raise BenchError(f"{server.name} answered nothing on {load.path}; its log ends:\n{server.process.log_tail()}")
    result["origin_requests"] = origin_requests(origin) - asked
    result["cpu_us"] = used * 1e6 / result["requests"]
    result["requests_per_s"] = result["requests"] / (result["duration_us"] / 1e6)
    return result


class IdleConnections:
    """Connections that asked for one object, got it, and stay."""

    def __init__(self):
        self.clients = []

    def open(self, server, count, path):
        """Opens `count` more. BenchError when one is refused or not answered with 200."""
        size = int(path.split("/")[1])
        for _ in range(count):
            try:
                client = Client(server.address(size, False))
                self.clients.append(client)
                status = client.get(path, server.host)[0]
            except OSError as error:
                raise BenchError(f"{server.name} failed with connection {len(self.clients)} of {count}: {error}") from error
            if status != 200:
                raise BenchError(f"{server.name} answered connection {len(self.clients)} with {status}")

    def alive(self):
        """How many the server has not closed."""
        poll = select.poll()
        for client in self.clients:
            poll.register(client.socket, select.POLLIN | select.POLLRDHUP)
        return len(self.clients) - len(poll.poll(0))

    def close(self):
        for client in self.clients:
            client.close()
        self.clients.clear()


def steady_memory(process, timeout_s=10.0):
    """Its memory, once it has not changed for half a second (or after `timeout_s`)."""
    end, same, last = time.monotonic() + timeout_s, 0, process.memory_bytes()
    while same < 5 and time.monotonic() < end:
        time.sleep(0.1)
        now = process.memory_bytes()
        same = same + 1 if now == last else 0
        last = now
    return last


def idle_memory(server, origin, count):
    """Bytes that each of `count` idle connections adds. The server should be fresh: what it freed before is used again.

    A first 100 connections are opened before the first reading, so that what is set up once is not counted.
    """
    path = "/1024"
    fill(server, origin, [path])
    idle = IdleConnections()
    try:
        idle.open(server, 100, path)
        before = steady_memory(server.process)
        idle.open(server, count, path)
        after = steady_memory(server.process)
        alive = idle.alive()
    finally:
        idle.close()
    return {"connections": count, "closed_by_server": count + 100 - alive,
            "rss_bytes_each": round((after["rss"] - before["rss"]) / count, 1),
            "anon_bytes_each": round((after["anon"] - before["anon"]) / count, 1)}
