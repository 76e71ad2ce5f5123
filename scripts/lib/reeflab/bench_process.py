"""What a benchmark needs of processes: where they run, the CPU and memory they use, and their end.

CPU is the kernel's account of a whole process (its CPU clock, in ns): all threads, those that have ended too.
"""
import os
import pathlib
import random
import resource
import shutil
import signal
import socket
import subprocess
import time


class BenchError(RuntimeError):
    """The benchmark cannot go on; the message says why."""


def free_port(address="127.0.0.1"):
    """A port that nobody had a moment ago, neither for TCP nor for UDP.

    Below those that the kernel gives to outgoing connections: the load leaves thousands of these behind, and the next
    may get any of them.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET, kind) as s:
                    s.bind((address, port))
            return port
        except OSError:
            continue


def process_tree(pid):
    """`pid` and all of its descendants that live now."""
    found, open_ = [], [pid]
    while open_:
        pid = open_.pop()
        found.append(pid)
        try:
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                open_ += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue  # it ended meanwhile
    return found


def cpu_of(pids):
    """pid -> CPU seconds it has used; processes that are gone are left out."""
    found = {}
    for pid in pids:
        try:
            found[pid] = time.clock_gettime((~pid << 3) | 2)  # the clock id that clock_getcpuclockid(3) makes on Linux
        except OSError:
            continue
    return found


def cpu_used(before, after):
    """CPU seconds between two readings of cpu_of(); what a process used that ended in between is not known."""
    return sum(seconds - before.get(pid, 0.0) for pid, seconds in after.items())


def memory_bytes(pids):
    """{"rss": ..., "anon": ...}: resident bytes of the processes together; anon is without files and shared memory."""
    total = {"rss": 0, "anon": 0}
    names = {"VmRSS:": "rss", "RssAnon:": "anon"}
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            key, *rest = line.split()
            if key in names:
                total[names[key]] += int(rest[0]) * 1024
    return total


def raise_descriptor_limit(wanted=65536):
    """Lets this process and its children open `wanted` files, or as many as it may. Returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for soft, top in ((wanted, max(wanted, hard)), (min(wanted, hard), hard)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, top))
            return soft
        except (OSError, ValueError):
            continue
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def pinned(core, command):
    """The command line that runs `command` on one core."""
    return ["taskset", "-c", str(core), *map(str, command)]


class Pinned:
    """One program on one core; its output goes to `log_path`, or stdout to the caller where `reads` is set."""

    def __init__(self, command, core, log_path, env=None, reads=False):
        self.log_path = pathlib.Path(log_path)
        with open(log_path, "ab") as log:
            self.process = subprocess.Popen(
                pinned(core, command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if reads else log, stderr=log,
                env=dict(os.environ, **env) if env else None)
        self.pid = self.process.pid

    def first_line(self):
        """The first line of its output; needs reads=True."""
        line = self.process.stdout.readline().decode().strip()
        if not line:
            raise BenchError(f"{self.process.args[3]} said nothing; its log ends:\n{self.log_tail()}")
        return line

    def check_alive(self):
        if self.process.poll() is not None:
            raise BenchError(f"{self.process.args[3]} ended with {self.process.returncode}; its log ends:\n{self.log_tail()}")

    def log_tail(self, lines=12):
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    def pids(self):
        return process_tree(self.pid)

    def cpu(self):
        """cpu_of() the process and its descendants. BenchError when it has ended."""
        self.check_alive()
        return cpu_of(self.pids())

    def memory_bytes(self):
        return memory_bytes(self.pids())

    def stop(self, timeout_s=10):
        """SIGTERM; after `timeout_s` kill -9, to its descendants too."""
        if self.process.poll() is None:
            tree = self.pids()
            self.process.terminate()
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                for pid in reversed(tree):
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


def find_tool(name):
    """The path of a program; those of the system (/usr/sbin) are found without root's PATH. None: not installed."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin")
