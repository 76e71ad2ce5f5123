"""Starts reefd processes, waits until they are ready, asks them things, and ends them.

    with Node("127.0.0.11", data_dir, flags=["--seed", "127.0.0.12:8091"]) as node:
        node.wait_ready()
        print(node.status()["peers"])
"""
import http.client
import json
import os
import pathlib
import signal
import subprocess
import time

from . import program

PROXY_PORT, RPC_PORT, ADMIN_PORT, DNS_PORT = 8090, 8091, 8092, 5300


class NodeError(RuntimeError):
    """A node did not start, did not become ready, or ended on its own; the message has the end of its log."""


def wait_until(condition, timeout_s, what, alive=lambda: None):
    """Calls `condition` until it is true; NodeError after `timeout_s`. `alive` may raise when waiting is pointless.

    Asks often at first and then every 100 ms, so that a fast answer is not waited for.
    """
    pause, end = 0.005, time.monotonic() + timeout_s
    while True:
        result = condition()
        if result:
            return result
        alive()
        if time.monotonic() > end:
            raise NodeError(f"not within {timeout_s:g} s: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


class Node:
    """One reefd. All of its listeners are on `address`, with the usual ports unless others are given.

    prefix    command words before reefd: ["ip", "netns", "exec", "host3"], ["taskset", "-c", "0"]
    flags     further flags of reefd, in order
    log_path  where its output goes (default: node.log in the data directory)
    admin_over  how to reach the admin listener from here: None (plain TCP), or a function that takes a path and
              returns (status, bytes), for a node in another network namespace
    """

    def __init__(self, address, data_dir, *, name=None, flags=(), prefix=(), proxy_port=PROXY_PORT, rpc_port=RPC_PORT,
                 admin_port=ADMIN_PORT, dns_port=DNS_PORT, admin_address=None, reefd=None, log_path=None,
                 log_level="info", admin_over=None, env=None):
        self.address, self.name = address, name or address
        self.data_dir = pathlib.Path(data_dir)
        self.proxy_port, self.rpc_port, self.admin_port, self.dns_port = proxy_port, rpc_port, admin_port, dns_port
        self.admin_address = admin_address or address
        self.log_path = pathlib.Path(log_path) if log_path else self.data_dir / "node.log"
        self.admin_over = admin_over
        self.env = env
        self.process = None
        self.told_to_end = False
        self.command = [
            *map(str, prefix), str(reefd or program("reefd")), "--data-dir", str(self.data_dir),
            "--listen", f"{address}:{proxy_port}", "--dns-listen", f"{address}:{dns_port}",
            "--rpc-listen", f"{address}:{rpc_port}", "--admin-listen", f"{self.admin_address}:{admin_port}",
            "--log-level", log_level, *map(str, flags)]

    @property
    def rpc(self):
        return f"{self.address}:{self.rpc_port}"

    @property
    def pid(self):
        return self.process.pid if self.process else None

    def start(self):
        """Starts the process; does not wait for it to be ready."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self.told_to_end = False
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=dict(os.environ, **self.env) if self.env else None)
        return self

    def log_tail(self, lines=15):
        try:
            return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def check_alive(self):
        """NodeError, with the end of its log, when the process has ended."""
        if self.process is None or self.process.poll() is not None:
            code = self.process.returncode if self.process else "never started"
            raise NodeError(f"node {self.name} is not running (exit {code}); its log ends:\n{self.log_tail()}")

    def admin(self, path, timeout_s=2.0):
        """(status, body) of a GET on the admin listener; (0, b"") when nobody answers there."""
        try:
            if self.admin_over:
                return self.admin_over(path)
            connection = http.client.HTTPConnection(self.admin_address, self.admin_port, timeout=timeout_s)
            try:
                connection.request("GET", path)
                response = connection.getresponse()
                return response.status, response.read()
            finally:
                connection.close()
        except (OSError, http.client.HTTPException):
            return 0, b""

    def admin_json(self, path):
        """The JSON that GET `path` answers; NodeError when it does not answer 200."""
        status, body = self.admin(path)
        if status != 200:
            self.check_alive()
            raise NodeError(f"node {self.name}: GET {path} on its admin listener answered {status or 'nothing'}")
        return json.loads(body)

    def status(self):
        """/api/status: at least id and peers."""
        return self.admin_json("/api/status")

    def is_ready(self):
        return self.admin("/healthz")[0] == 200

    def wait_ready(self, timeout_s=15):
        wait_until(self.is_ready, timeout_s, f"node {self.name} ready", self.check_alive)
        return self

    def wait_peers(self, count, timeout_s=20):
        """Until it knows at least `count` other nodes."""
        wait_until(lambda: self.status().get("peers", 0) >= count, timeout_s,
                   f"node {self.name} knows {count} others", self.check_alive)
        return self

    def cpu_s(self):
        """User and system CPU seconds used so far."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self):
        """kill -9: what a crash looks like."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def reload(self):
        """SIGHUP."""
        self.process.send_signal(signal.SIGHUP)

    def terminate(self):
        """SIGTERM, without waiting. Once only: a second signal tells a node to end without draining."""
        if self.process and self.process.poll() is None and not self.told_to_end:
            self.told_to_end = True
            self.process.terminate()

    def stop(self, timeout_s=15):
        """SIGTERM, then waits; kill -9 when it does not end in time. Returns its exit status."""
        if self.process is None:
            return None
        self.terminate()
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise NodeError(f"node {self.name} did not end within {timeout_s} s of SIGTERM; its log ends:\n{self.log_tail()}")

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.stop()
        else:
            self.kill()


def stop_all(nodes):
    """Ends all at once; returns the names of those that did not exit with 0. Never raises."""
    for node in nodes:
        node.terminate()
    bad = []
    for node in nodes:
        try:
            if node.stop() not in (0, None):
                bad.append(node.name)
        except NodeError:
            bad.append(node.name)
    return bad
