"""Programs that want the whole network for themselves: a namespace of their own, with nothing in it but loopback."""
import os
import subprocess
import sys

INSIDE = "REEF_IN_OWN_NETWORK"
EXIT_SKIPPED = 77


def enter():
    """None when this program is in a namespace of its own. Otherwise it was run in one: its exit status, or 77 after a word
    why when none may be made."""
    if os.environ.get(INSIDE) == "1":
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return None
    unshare = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode != 0:
        print("SKIPPED: no right to make a network namespace")
        return EXIT_SKIPPED
    return subprocess.run([*unshare, sys.executable, *sys.argv], check=False, env={**os.environ, INSIDE: "1"}).returncode
