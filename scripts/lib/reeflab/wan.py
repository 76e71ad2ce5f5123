"""The emulated Internet for experiments: starts reef_wan, runs programs on its hosts, and leaves nothing behind.

    with World(regions=5, metros=3, hosts=4, seed=1) as world:
        world.command("cap nyc-0 up 384k")
        world.run(world.host("fra-0"), ["ping", "-c1", world.host("nyc-0").address])

Everything that is started is recorded with its pid and start time, and every namespace before it is made, in a state
folder (reef-wan-* in the temporary folder). Leaving the World ends what the record names and removes the folder, on
any way out; after a kill -9, `scripts/wan clean` does the same. Needs root.
"""
import contextlib
import ctypes
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from . import build_dir
from .node import NodeError, wait_until
from .report import environment, write_json

STATE_PREFIX = "reef-wan-"
EXIT_NOT_ROOT = 77
NETNS = pathlib.Path("/run/netns")
CLONE_NEWNET, MNT_DETACH = 0x40000000, 2
_libc = ctypes.CDLL(None, use_errno=True)


class WanError(RuntimeError):
    """The emulated Internet, or something on it, did not do what was asked."""


@dataclasses.dataclass(frozen=True)
class Host:
    name: str
    metro: str
    region: str
    address: str
    address6: str
    netns: str


def binary(name):
    """reef_wan or reef_wan_client of the build in use."""
    path = build_dir() / "tests" / "wan" / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is not built (scripts/wan builds it unless --no-build is given)")
    return str(path)


@contextlib.contextmanager
def inside(host):
    """Sockets made in this block belong to the host, also afterwards. One thread, no threads started inside."""
    with open("/proc/thread-self/ns/net") as home, open(NETNS / host.netns) as there:
        if _libc.setns(there.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"enter {host.netns}")
        try:
            yield
        finally:
            if _libc.setns(home.fileno(), CLONE_NEWNET) != 0:
                os._exit(1)  # nothing that follows could be trusted


def start_time(pid):
    """Clock ticks since boot at which the process started; None when there is no such process (or a zombie)."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


class Record:
    """What was started, a JSON line each, so that it can be ended by someone who only has the file."""

    def __init__(self, path):
        self.path = pathlib.Path(path)

    def add(self, pid, what):
        with open(self.path, "a") as file:
            file.write(json.dumps({"pid": pid, "start": start_time(pid), "what": what}) + "\n")

    def alive(self):
        """The recorded processes that still run: the same pid, started at the same time."""
        found = []
        for line in self.path.read_text().splitlines() if self.path.exists() else []:
            entry = json.loads(line)
            if entry["start"] is not None and start_time(entry["pid"]) == entry["start"]:
                found.append(entry)
        return found


def remove_namespaces(record):
    """Those that an emulator which was itself killed has left; it removes the record with them otherwise."""
    for name in record.read_text().split() if record.exists() else []:
        path = NETNS / name
        if name.startswith("rw") and "/" not in name and path.exists():  # never anybody else's
            _libc.umount2(str(path).encode(), MNT_DETACH)
            path.unlink()


def clean(state):
    """Ends what a state folder records and removes its namespaces and the folder. Returns what was ended."""
    state = pathlib.Path(state)
    # The emulator goes last: the others may want to say goodbye over it.
    entries = [e for e in Record(state / "processes").alive() if e["what"] != "runner"]
    groups = [[e for e in entries if e["what"] != "emulator"], [e for e in entries if e["what"] == "emulator"]]
    for group in groups:
        for number, patience_s in ((signal.SIGTERM, 3.0), (signal.SIGKILL, 2.0)):
            for entry in group:
                if start_time(entry["pid"]) == entry["start"]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(entry["pid"], number)
            end = time.monotonic() + patience_s
            while time.monotonic() < end and any(start_time(e["pid"]) == e["start"] for e in group):
                time.sleep(0.02)
    remove_namespaces(state / "namespaces")
    shutil.rmtree(state, ignore_errors=True)
    return [e["what"] for e in entries]


def clean_all():
    """Cleans every state folder whose runner is gone. Returns {folder: what was ended}."""
    done = {}
    for state in sorted(pathlib.Path(tempfile.gettempdir()).glob(STATE_PREFIX + "*")):
        if not (state / "processes").exists() and time.time() - state.stat().st_mtime < 60:
            continue  # a run that has just made its folder
        if not any(e["what"] == "runner" for e in Record(state / "processes").alive()):
            done[str(state)] = clean(state)
    return done


class World:
    """One running emulator with its hosts."""

    def __init__(self, *, regions=5, metros=3, hosts=4, seed=1, silent_share=0.0, keep_logs=None):
        """`keep_logs`: a folder where logs and configurations stay, however it ends."""
        self.flags = ["--regions", regions, "--metros", metros, "--hosts", hosts, "--seed", seed,
                      "--silent-share", silent_share]
        self.children = []
        self.signals = {}
        self.keep_logs = keep_logs

    # --- life

    def __enter__(self):
        self.state = pathlib.Path(tempfile.mkdtemp(prefix=STATE_PREFIX))
        self.record = Record(self.state / "processes")
        self.record.add(os.getpid(), "runner")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self.signals[number] = signal.signal(number, self._interrupted)
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def _interrupted(self, number, _frame):
        for other in self.signals:  # a second signal must not interrupt the cleaning up that the first one began
            signal.signal(other, signal.SIG_IGN)
        raise SystemExit(128 + number)

    def _start(self):
        log = self.state / "emulator.log"
        command = [binary("reef_wan"), "run", "--state", str(self.state), *map(str, self.flags)]
        emulator = self.start_process("emulator", command, log)

        def alive():
            if emulator.poll() is not None:
                raise WanError(f"the emulator ended: {log.read_text().strip()}")

        wait_until(lambda: "ready" in log.read_text(), 30, "emulator ready", alive)
        topology = json.loads((self.state / "topology.json").read_text())
        names = [field.name for field in dataclasses.fields(Host)]
        self.hosts = [Host(**{name: entry[name] for name in names}) for entry in topology["hosts"]]
        self.by_name = {host.name: host for host in self.hosts}
        self.routers = topology["routers"]
        self.regions = list(dict.fromkeys(host.region for host in self.hosts))
        self.control = socket.socket(socket.AF_UNIX)
        self.control.connect(str(self.state / "control"))
        self.control_file = self.control.makefile("rw")

    def close(self):
        """Ends everything; a second interruption cannot stop it half-way."""
        for number in self.signals:
            signal.signal(number, signal.SIG_IGN)
        with contextlib.suppress(AttributeError, OSError):
            self.control.close()
        with contextlib.suppress(OSError):
            self._copy_logs()
        clean(self.state)
        for child in self.children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(1)
        for number, handler in self.signals.items():
            signal.signal(number, handler)
        self.signals = {}

    def _copy_logs(self):
        if self.keep_logs:
            shutil.copytree(self.state, self.keep_logs, dirs_exist_ok=True,
                            ignore=shutil.ignore_patterns("control", "data-*", "site", "processes", "namespaces"))

    # --- commands

    def host(self, name):
        return self.by_name[name]

    def command(self, line):
        """One line to the emulator; its answer as a dictionary. WanError says what was wrong with it."""
        self.control_file.write(line + "\n")
        self.control_file.flush()
        reply = json.loads(self.control_file.readline() or '{"ok":false,"error":"the emulator has ended"}')
        if not reply.pop("ok"):
            raise WanError(f"{line}: {reply['error']}")
        return reply

    def health(self):
        return self.command("health")

    # --- programs on hosts

    def prefix(self, host, resolver=None):
        """Command words that run what follows on the host; `resolver` is what it finds in /etc/resolv.conf."""
        words = [binary("reef_wan"), "exec", "--netns", host.netns]
        if resolver:
            conf = self.state / f"resolv-{resolver.name}.conf"
            conf.write_text(f"nameserver {resolver.address}\noptions timeout:3 attempts:3\n")
            words += ["--resolv-conf", str(conf)]
        return words + ["--"]

    def start_process(self, what, command, log):
        """Starts and records a process of its own session (Ctrl-C reaches the runner only)."""
        with open(log, "ab") as out:
            child = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                     start_new_session=True)
        self.record.add(child.pid, what)
        self.children.append(child)
        return child

    def start(self, host, what, command, resolver=None):
        return self.start_process(what, self.prefix(host, resolver) + list(command), self.state / f"{what}.log")

    def run(self, host, command, timeout_s=60, resolver=None):
        """Runs to its end; returns subprocess.CompletedProcess with text output."""
        return subprocess.run(self.prefix(host, resolver) + list(map(str, command)), capture_output=True, text=True,
                              timeout=timeout_s)


def healthy(health):
    """Why a run's figures are not to be trusted; empty when they are."""
    reasons = []
    if health["late_ms_p99"] > 1.0:
        reasons.append(f"packets late by {health['late_ms_p99']:.2f} ms at the 99th percentile (at most 1)")
    if health["cpu_share"] > 0.7:
        reasons.append(f"the emulator used {health['cpu_share']:.2f} of a core (at most 0.7)")
    if health["overruns"] > 0:
        reasons.append(f"{health['overruns']} packets lost in the emulator ({health['unread']} of them unread by it) or "
                       f"more than 20 ms late ({health['very_late']}; at most {health['late_ms_max']:.0f} ms); none allowed")
    return reasons


EXIT_UNTRUSTED = 3  # of one run, within scripts/wan: it shows nothing, whatever came out


def conclude(options, result, problems, *healths):
    """An experiment's last lines and its JSON file: what is wrong, a network that could not keep time included. Returns
    0 when it showed what it is for, EXIT_UNTRUSTED when nothing follows from it, otherwise 1."""
    untrusted = [reason for health in healths for reason in healthy(health)]
    problems = [*problems, *(f"not to be trusted: {reason}" for reason in untrusted)]
    for problem in problems:
        print(f"WRONG: {problem}")
    print(f"met: {str(not problems).lower()}")
    if options.json:
        write_json(options.json, {**result, "problems": problems, "met": not problems,
                                  "thrown_away": options.thrown_away, "on": environment()})
    if untrusted:
        return EXIT_UNTRUSTED
    return 1 if problems else 0


def emulator_line(health):
    return (f"emulator: late p99 {health['late_ms_p99']:.2f} ms, {health['cpu_share']:.2f} of a core, "
            f"{health['overruns']} overruns, {health['packets']} packets")


def short_health(health):
    return {"late_ms_p99": health["late_ms_p99"], "cpu_share": health["cpu_share"], "overruns": health["overruns"],
            "very_late": health["very_late"], "unread": health["unread"],
            "late_ms_p50": health["late_ms_p50"], "late_ms_max": health["late_ms_max"],
            "packets": health["delivered"], "seconds": health["seconds"]}
