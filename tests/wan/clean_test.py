#!/usr/bin/env python3
"""Whatever way an experiment ends, nothing of it stays: no process, no namespace, no folder."""
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))
sys.dont_write_bytecode = True

from reeflab.node import wait_until  # noqa: E402
from reeflab.wan import EXIT_NOT_ROOT, NETNS, Record  # noqa: E402


class CleanTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.tmp = pathlib.Path(self.folder.name)
        self.env = dict(os.environ, TMPDIR=str(self.tmp))
        self.run = None

    def start(self):
        """An experiment that would go on for long, in the middle of its work."""
        self.run = subprocess.Popen([ROOT / "scripts" / "wan", "ping", "--no-build", "--pairs", "500", "--hosts", "1",
                                     "--metros", "1"], env=self.env, stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL, start_new_session=True)
        self.addCleanup(self.run.wait)
        self.addCleanup(self.run.kill)
        wait_until(lambda: list(self.tmp.glob("reef-wan-*/control")), 20, "the emulator is up")
        self.state = next(self.tmp.glob("reef-wan-*"))
        self.processes = Record(self.state / "processes")
        self.names = (self.state / "namespaces").read_text().split()
        self.assertEqual(len(self.names), 5)
        self.assertTrue(all((NETNS / name).exists() for name in self.names))

    def left(self):
        return [name for name in self.names if (NETNS / name).exists()] + list(self.tmp.glob("reef-wan-*"))

    def end_by(self, *numbers):
        self.start()
        recorded = self.processes.alive()
        self.assertGreaterEqual(len(recorded), 2)  # the runner and the emulator
        for number in numbers:
            self.run.send_signal(number)
        self.assertIn(self.run.wait(20), [128 + number for number in numbers])
        self.assertEqual(self.left(), [])
        for entry in recorded:
            self.assertFalse(pathlib.Path(f"/proc/{entry['pid']}").exists(), entry)

    def test_nothing_is_left_after_ctrl_c(self):
        self.end_by(signal.SIGINT)

    def test_a_second_signal_does_not_interrupt_the_cleaning_up(self):
        self.end_by(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def test_nothing_is_left_after_sigterm(self):
        self.end_by(signal.SIGTERM)

    def test_the_emulator_ends_with_a_killed_runner_and_clean_removes_the_rest(self):
        self.start()
        self.run.kill()
        self.run.wait()
        wait_until(lambda: not self.processes.alive(), 20, "the emulator ends with its runner")
        subprocess.run([ROOT / "scripts" / "wan", "clean"], env=self.env, check=True, stdout=subprocess.DEVNULL)
        self.assertEqual(self.left(), [])

    def test_clean_removes_what_a_killed_emulator_left_and_spares_a_run_that_lives(self):
        self.start()
        emulator = next(e for e in self.processes.alive() if e["what"] == "emulator")
        clean = [ROOT / "scripts" / "wan", "clean"]
        subprocess.run(clean, env=self.env, check=True, stdout=subprocess.DEVNULL)
        self.assertTrue(self.left())
        os.kill(self.run.pid, signal.SIGSTOP)  # so that it cannot clean up itself
        os.kill(emulator["pid"], signal.SIGKILL)
        self.run.kill()
        self.run.wait()
        wait_until(lambda: not self.processes.alive(), 20, "all recorded processes are gone")
        self.assertEqual(len([name for name in self.names if (NETNS / name).exists()]), 5)
        subprocess.run(clean, env=self.env, check=True, stdout=subprocess.DEVNULL)
        self.assertEqual(self.left(), [])


if __name__ == "__main__":
    if os.geteuid() != 0 or not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        print("NOT RUN: needs root and /dev/net/tun (network namespaces, TUN devices)", file=sys.stderr)
        sys.exit(EXIT_NOT_ROOT)
    unittest.main()
