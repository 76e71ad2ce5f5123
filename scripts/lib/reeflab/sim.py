"""Runs of reef_sim: one after the other over seeds, put together, printed, written and drawn."""
import json
import pathlib
import statistics
import subprocess
import sys

from .plot import Chart
from .report import percentile

CDF_POINTS = 400  # a line of 20,000 lookups needs no more to look the same


def run(binary, experiment, arguments, seeds, scratch):
    """The JSON of each run, in the order of seeds; None when one could not run at all."""
    runs = []
    for seed in seeds:
        out = scratch / f"{seed}.json"
        command = [str(binary), experiment, "--seed", str(seed), "--json", str(out), *arguments]
        if len(seeds) > 1:
            print(f"seed {seed}", file=sys.stderr, flush=True)
        # The table of one run is printed below from the JSON, like that of many.
        status = subprocess.run(command, stdout=subprocess.DEVNULL).returncode
        if status not in (0, 1) or not out.exists():
            print(f"sim: {' '.join(command[1:])} ended with status {status}", file=sys.stderr)
            return None
        runs.append(json.loads(out.read_text()))
    return runs


def shown(value, unit):
    """Shares keep the digits in which they differ from 100 %."""
    if value is None:
        return "-"
    if unit == "%":
        return f"{value:.3f}"
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def summary(runs):
    """One entry per figure: its name, unit, bound, median and worst over the runs, and whether all met it."""
    order, entries = [], {}
    for one in runs:
        for measure in one["measures"]:
            if measure["name"] not in entries:
                order.append(measure["name"])
                entries[measure["name"]] = {**measure, "values": []}
            entries[measure["name"]]["values"].append(measure["value"])
    out = []
    for name in order:
        entry = entries[name]
        # JSON has no infinity or NaN: a figure without a value misses its bound.
        values = entry.pop("values")
        known = [v for v in values if v is not None]
        entry.pop("value")
        entry["median"] = statistics.median(known) if known else None
        entry["worst"] = None
        if "bound" in entry:
            entry["met"] = len(known) == len(values) and all(
                v <= entry["limit"] if entry["bound"] == "at_most" else v >= entry["limit"] for v in known)
            if known:
                entry["worst"] = max(known) if entry["bound"] == "at_most" else min(known)
        elif known:
            entry["least"], entry["most"] = min(known), max(known)
        out.append(entry)
    return out


def tell(runs):
    """Prints the table; whether every figure was met in every run."""
    entries = summary(runs)
    seconds = sum(one["real_seconds"] for one in runs)
    seeds = ", ".join(str(one["seed"]) for one in runs)
    print(f"{runs[0]['experiment']}, seed {seeds}, {seconds:.0f} s of real time")
    for name, value in runs[0]["settings"].items():
        print(f"  {name}: {value}")
    width = max(len(e["name"]) for e in entries)
    head = f"  {'':<{width}} {'median':>10} {'worst':>10}" if len(runs) > 1 else f"  {'':<{width}} {'':>10}"
    print(head)
    for e in entries:
        line = f"  {e['name']:<{width}} {shown(e['median'], e['unit']):>10}"
        if len(runs) > 1:
            if "bound" in e:
                line += f" {shown(e['worst'], e['unit']):>10}"
            else:
                line += f" {shown(e.get('least'), e['unit'])} to {shown(e.get('most'), e['unit'])}".rjust(11)
        line += f" {e['unit']:<13}"
        if "bound" in e:
            sign = "<=" if e["bound"] == "at_most" else ">="
            line += f" {sign} {shown(e['limit'], e['unit']):<8} {'met' if e['met'] else 'MISSED'}"
        print(line.rstrip())
    return all(e.get("met", True) for e in entries)


def write_json(path, runs):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {"experiment": runs[0]["experiment"], "met": all(e.get("met", True) for e in summary(runs)),
             "seeds": [one["seed"] for one in runs], "settings": runs[0]["settings"], "summary": summary(runs),
             "runs": runs}
    path.write_text(json.dumps(whole, indent=1) + "\n")


def draw(path, one):
    """The charts of one run. Returns the paths written."""
    path = pathlib.Path(path)
    written = []
    for i, chart in enumerate(one["charts"]):
        target = path if i == 0 else path.with_name(f"{path.stem}-{chart['id']}{path.suffix or '.svg'}")
        picture = Chart(chart["title"], chart["x"], chart["y"], log_y=chart["log_y"],
                        subtitle=f"{one['experiment']}, seed {one['seed']}")
        for line in chart["lines"]:
            if chart["kind"] == "cdf":
                values = line["points"]
                if len(values) > CDF_POINTS:
                    values = [percentile(values, 100 * (i + 1) / CDF_POINTS) for i in range(CDF_POINTS)]
                picture.cdf(line["name"], values)
            else:
                picture.line(line["name"], line["points"])
        written += picture.write(target)
    return written
