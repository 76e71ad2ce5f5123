"""Charts as SVG, written by hand: lines, bars and stacked bars. PNG through rsvg-convert.

    chart = Chart("Client latency", x="time (s)", y="ms")
    chart.line("with Reef", [(0, 12), (1, 9)])
    chart.write("latency.svg")            # and latency.png beside it, where rsvg-convert is installed

One chart has one kind of mark. Colours follow the reader's light or dark setting in a browser; a PNG is the light
one on white. Series are told apart by colour, named in the legend.
"""
import html
import math
import pathlib
import shutil
import subprocess

# Okabe and Ito (2008): told apart by colour-blind readers, in light and dark.
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f"]
STYLE = """
  .bg { fill: #ffffff } .ink { fill: #1c1c1c } .soft { fill: #5c5c5c }
  .grid { stroke: #d9d9d9; stroke-width: 1 } .axis { stroke: #5c5c5c; stroke-width: 1 }
  .line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round }
  text { font-family: "DejaVu Sans", system-ui, sans-serif; font-size: 12px }
  .title { font-size: 15px; font-weight: bold }
"""
# Only where the reader asks for it; rsvg-convert ignores the question and stays light.
DARK = """
  @media (prefers-color-scheme: dark) {
    .bg { fill: #16181c } .ink { fill: #ececec } .soft { fill: #a8a8a8 }
    .grid { stroke: #34383f } .axis { stroke: #a8a8a8 }
  }
"""


def nice_ticks(low, high, count=6):
    """Round values from at most `low` to at least `high`, about `count` of them."""
    if high <= low:
        high = low + 1
    raw = (high - low) / max(1, count - 1)
    magnitude = 10 ** math.floor(math.log10(raw))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= raw * 0.999)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def number(value):
    """A tick's text: no trailing zeros, thousands apart."""
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:.6g}"


class Chart:
    WIDTH, HEIGHT = 760, 400
    LEFT, TOP, BOTTOM = 88, 64, 56

    def __init__(self, title, x="", y="", *, subtitle="", log_y=False, y_max=None, x_ticks=None):
        self.title, self.subtitle, self.x, self.y = title, subtitle, x, y
        self.log_y, self.y_max, self.x_ticks = log_y, y_max, x_ticks
        self.lines, self.bars, self.groups = [], [], []
        self.stacked = False

    def line(self, name, points, colour=None):
        """points: (x, y) in order of x; None as y interrupts the line."""
        self.lines.append((name, list(points), colour or COLOURS[len(self.lines) % len(COLOURS)]))
        return self

    def step(self, name, points, colour=None):
        """A line in steps: each y holds until the next x."""
        out = []
        for point in points:
            if out:
                out.append((point[0], out[-1][1]))
            out.append(point)
        return self.line(name, out, colour)

    def cdf(self, name, values, colour=None):
        """The share of values (in %) that are at most x."""
        ordered = sorted(values)
        return self.step(name, [(v, 100 * (i + 1) / len(ordered)) for i, v in enumerate(ordered)], colour)

    def grouped(self, groups, series):
        """Bars side by side: `groups` are the labels under the axis, `series` name -> one value per group."""
        self.groups, self.bars, self.stacked = list(groups), list(series.items()), False
        return self

    def stack(self, groups, series):
        """Bars on top of each other, in the order of `series`."""
        self.groups, self.bars, self.stacked = list(groups), list(series.items()), True
        return self

    # --- drawing

    def write(self, path, png=True):
        """Writes the SVG, and the PNG beside it. Returns the paths written."""
        path = pathlib.Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.svg())
        written = [path]
        converter = shutil.which("rsvg-convert")
        if png and converter:
            target = path.with_suffix(".png")
            light = self.svg(dark=False).encode()
            subprocess.run([converter, "--zoom", "2", "--output", str(target)], input=light, check=True)
            written.append(target)
        return written

    def svg(self, dark=True):
        names = [name for name, *_ in (self.lines or self.bars)]
        self.right = 24
        top = self.TOP + (18 if self.subtitle else 0)
        legend = len(names) > 1
        self.plot = (self.LEFT, top + (22 if legend else 0), self.WIDTH - self.right, self.HEIGHT - self.BOTTOM)
        out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.WIDTH} {self.HEIGHT}" '
               f'width="{self.WIDTH}" height="{self.HEIGHT}" role="img" aria-label="{html.escape(self.title, True)}">',
               f"<style>{STYLE}{DARK if dark else ''}</style>",
               f'<rect class="bg" width="{self.WIDTH}" height="{self.HEIGHT}"/>',
               self._text(self.LEFT - 64, 30, self.title, "title ink")]
        if self.subtitle:
            out.append(self._text(self.LEFT - 64, 50, self.subtitle, "soft"))
        if legend:
            out += self._legend(names, top - 8)
        out += self._bar_chart() if self.bars else self._line_chart()
        out.append("</svg>")
        return "\n".join(out) + "\n"

    @staticmethod
    def _text(x, y, text, cls="soft", anchor="start", extra=""):
        return f'<text x="{x:.1f}" y="{y:.1f}" class="{cls}" text-anchor="{anchor}"{extra}>{html.escape(str(text))}</text>'

    def _legend(self, names, y):
        out, x = [], self.LEFT
        for i, name in enumerate(names):
            colour = self.lines[i][2] if self.lines else COLOURS[i % len(COLOURS)]
            out.append(f'<rect x="{x:.1f}" y="{y - 9}" width="14" height="10" rx="2" fill="{colour}"/>')
            out.append(self._text(x + 20, y, name, "ink"))
            x += 20 + 7.4 * len(name) + 22
        return out

    def _y_scale(self, values):
        left, top, right, bottom = self.plot
        if self.log_y:
            positive = [v for v in values if v and v > 0] or [1]
            low, high = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
            high = max(high, low + 1)
            ticks = [10.0 ** e for e in range(low, high + 1)]
            return ticks, lambda v: bottom - (math.log10(max(v, 10.0 ** low)) - low) / (high - low) * (bottom - top)
        ticks = nice_ticks(0 if min(values, default=0) >= 0 else min(values), self.y_max or max(values, default=1))
        if self.y_max:
            ticks = [t for t in ticks if t <= self.y_max]
        span = max(ticks[-1], self.y_max or 0) - ticks[0]
        return ticks, lambda v: bottom - (v - ticks[0]) / span * (bottom - top)

    def _axes(self, ticks, y_of):
        left, top, right, bottom = self.plot
        out = []
        for tick in ticks:
            y = y_of(tick)
            out.append(f'<line class="grid" x1="{left}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>')
            out.append(self._text(left - 8, y + 4, number(tick), "soft", "end"))
        out.append(f'<line class="axis" x1="{left}" y1="{bottom}" x2="{right}" y2="{bottom}"/>')
        out.append(self._text((left + right) / 2, self.HEIGHT - 14, self.x, "soft", "middle"))
        middle = (top + bottom) / 2
        out.append(self._text(20, middle, self.y, "soft", "middle", f' transform="rotate(-90 20 {middle:.1f})"'))
        return out

    def _line_chart(self):
        left, top, right, bottom = self.plot
        points = [p for _, series, _ in self.lines for p in series]
        xs = [p[0] for p in points] or [0, 1]
        ticks, y_of = self._y_scale([p[1] for p in points if p[1] is not None] or [0, 1])
        x_ticks = self.x_ticks or nice_ticks(min(xs), max(xs), 8)
        low, high = min(x_ticks[0], min(xs)), max(x_ticks[-1], max(xs))

        def x_of(value):
            return left + (value - low) / ((high - low) or 1) * (right - left)

        out = self._axes(ticks, y_of)
        out += [self._text(x_of(t), bottom + 18, number(t), "soft", "middle") for t in x_ticks]
        for _, series, colour in self.lines:
            runs, current = [], []
            for x, y in series:
                if y is None:
                    runs, current = runs + [current], []
                else:
                    current.append(f"{x_of(x):.1f},{y_of(y):.1f}")
            for run in [r for r in [*runs, current] if r]:
                if len(run) == 1:
                    cx, cy = run[0].split(",")
                    out.append(f'<circle cx="{cx}" cy="{cy}" r="3" fill="{colour}"/>')
                else:
                    out.append(f'<polyline class="line" stroke="{colour}" points="{" ".join(run)}"/>')
        return out

    def _bar_chart(self):
        left, top, right, bottom = self.plot
        columns = list(zip(*[[v or 0 for v in values] for _, values in self.bars]))
        heights = [sum(c) for c in columns] if self.stacked else [v for c in columns for v in c]
        ticks, y_of = self._y_scale(heights or [1])
        out = self._axes(ticks, y_of)
        slot = (right - left) / max(1, len(self.groups))
        width = slot * (0.62 if len(self.groups) > 1 else 0.3)
        every = max(1, math.ceil(len(self.groups) * 44 / (right - left)))
        for i, (label, column) in enumerate(zip(self.groups, columns)):
            centre = left + slot * (i + 0.5)
            if i % every == 0:
                out.append(self._text(centre, bottom + 18, label, "soft", "middle"))
            base = 0.0
            for j, value in enumerate(column):
                colour = COLOURS[j % len(COLOURS)]
                if self.stacked:
                    x, w, y0, y1 = centre - width / 2, width, y_of(base), y_of(base + value)
                    base += value
                else:
                    w = width / len(column)
                    x, y0, y1 = centre - width / 2 + w * j, y_of(ticks[0]), y_of(value)
                tip = html.escape(f"{label}, {self.bars[j][0]}: {number(round(value, 3))}")
                out.append(f'<rect x="{x:.1f}" y="{y1:.1f}" width="{max(1, w - 1):.1f}" height="{max(0, y0 - y1):.1f}" '
                           f'fill="{colour}"><title>{tip}</title></rect>')
                if not self.stacked and len(self.groups) * len(column) <= 16:
                    out.append(self._text(x + w / 2, y1 - 5, number(round(value, 1)), "ink", "middle"))
        return out
