"""Headless Chromium opens a page with images through a Coralized URL, inside the emulated Internet.

The browser runs on a client's host; its resolver is the region's unbound, which asks Reef's name servers. The page
lies behind the same thin uplink as in flash-crowd. Writes a screenshot; exits 0 only when the browser loaded the page
and all its images from Reef nodes, and the origin saw each object exactly once.
"""
import collections
import pathlib
import re
import shutil
import struct
import time
import zlib

from .report import Progress, table
from .wan import conclude, short_health
from .wan_stage import CORALIZED_HOST, File, Stage, add_stage_arguments

IMAGES = 8
# Only what keeps a browser without display, keyring and update server quiet.
CHROMIUM_FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                  "--disable-background-networking", "--disable-component-update", "--disable-sync",
                  "--disable-dev-shm-usage", "--hide-scrollbars", "--window-size=900,640"]


def add_arguments(parser):
    add_stage_arguments(parser, nodes=10)
    parser.add_argument("--screenshot", metavar="FILE", default="out/wan-page.png",
                        help="where to write the picture (default out/wan-page.png)")


def png(width, height, pixel):
    """An RGB PNG; pixel(x, y) is (red, green, blue)."""
    def chunk(kind, data):
        return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes(v for x in range(width) for v in pixel(x, y)) for y in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows, 6)) + chunk(b"IEND", b""))


def make_site():
    """A page, a style sheet and images, each different: bands whose hue and slope depend on their number."""
    files = []
    for i in range(IMAGES):
        def pixel(x, y, i=i):
            band = (x * (i + 1) + y * (IMAGES - i)) // 24 % 8
            grain = (x * 7919 + y * 104729 + x * y * (i + 3)) % 29  # keeps it from compressing to nothing
            return (30 + 25 * i, 60 + 20 * band, 192 - 22 * i + grain)
        files.append(File(f"/page/image{i}.png", png(180, 120, pixel)))
    images = "\n".join(f'<figure><img src="image{i}.png" alt="image {i}" width="180" height="120" '
                       'onload="this.dataset.shown=1">'
                       f"<figcaption>image {i}</figcaption></figure>" for i in range(IMAGES))
    page = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A small page</title>
<link rel="stylesheet" href="style.css"><link rel="icon" href="image0.png"></head>
<body><h1>A small page behind a thin line</h1>
<p>{IMAGES} images and a style sheet, asked from the origin once, whoever comes.</p>
<main>{images}</main></body></html>
"""
    style = ("body { font-family: sans-serif; margin: 24px; background: #f4f6f8 } main { display: flex; "
             "flex-wrap: wrap; gap: 16px } figure { margin: 0 } figcaption { color: #555; font-size: 13px }\n")
    return [File("/page/index.html", page.encode()), File("/page/style.css", style.encode())] + files


def browse(stage, client, resolver, url, screenshot):
    """Runs the browser to its end; returns (exit status, seconds, its DOM's text)."""
    profile = stage.world.state / "profile"
    picture = stage.world.state / "screenshot.png"
    program = shutil.which("chromium") or "chromium"
    start = time.monotonic()
    # "timeout" because a browser that hangs must not outlive the experiment.
    result = stage.world.run(client, ["timeout", "-k", "5", "100", program, *CHROMIUM_FLAGS,
                                      f"--user-data-dir={profile}", "--timeout=60000", "--dump-dom",
                                      f"--screenshot={picture}", url], timeout_s=120, resolver=resolver)
    seconds = time.monotonic() - start
    if picture.exists():
        screenshot = pathlib.Path(screenshot)
        screenshot.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(picture, screenshot)
    return result, seconds, picture.exists()


def main(options):
    site = make_site()
    with Stage(options, [site]) as stage, Progress("page") as progress:
        progress.update(f"starting {options.nodes} nodes", force=True)
        stage.start_nodes()
        # The client farthest from the origin's region.
        client = stage.client_hosts[min(3, options.nodes - 1)]
        resolver = stage.resolver_hosts[client.region]
        mark = stage.origin.mark()
        stage.world.command("reset")
        progress.update(f"the browser on {client.name}", force=True)
        url = f"http://{CORALIZED_HOST}/page/index.html"
        result, seconds, pictured = browse(stage, client, resolver, url, options.screenshot)
        health = stage.world.health()
        fetches = stage.origin.fetches(mark)
        stage.stop_nodes()

    counts = collections.Counter(fetch.path for fetch in fetches)
    fetched_by = {fetch.address for fetch in fetches}
    problems = []
    if result.returncode != 0 or not pictured:
        problems.append(f"the browser ended with {result.returncode}, {'with' if pictured else 'without'} a picture: "
                        f"{result.stderr.strip()[-300:]}")
    shown = len(re.findall(r'data-shown="1"', result.stdout))
    if shown != IMAGES:
        problems.append(f"the browser shows {shown} of {IMAGES} images")
    for file in site:
        if counts[file.path] != 1:
            problems.append(f"the origin sent {file.path} {counts[file.path]} times")
    if client.address in fetched_by:
        problems.append("the browser went to the origin directly")

    print(table(["object", "bytes", "origin fetches"], [[f.path, len(f.body), counts[f.path]] for f in site]))
    print(f"\n{url}\nopened on {client.name} ({client.region}) in {seconds:.1f} s, the browser's start included; "
          f"picture: {options.screenshot}")
    figures = {"experiment": "page", "url": url, "client": client.name, "seconds": round(seconds, 2),
               "objects": len(site), "origin_fetches": sum(counts[f.path] for f in site), "health": short_health(health)}
    return conclude(options, figures, problems, health)
