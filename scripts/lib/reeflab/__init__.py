"""What Reef's experiments, benchmarks and system tests share: nodes, an origin, reports and plots.

Standard library only. A program finds this package through PYTHONPATH=scripts/lib; those under scripts/ and tests/
put it on sys.path themselves:

    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "lib"))
"""
import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[3]


def build_dir(preset="release"):
    """Where the binaries are: REEF_BUILD_DIR when set (ctest and scripts/bench set it), else build/PRESET."""
    return pathlib.Path(os.environ.get("REEF_BUILD_DIR") or ROOT / "build" / preset)


def program(name, preset="release"):
    """The path of reefd or reef in that build; FileNotFoundError says how to build it."""
    path = build_dir(preset) / "node" / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is not built (scripts/run or scripts/test builds it)")
    return path
