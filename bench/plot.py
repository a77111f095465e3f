#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Pictures (SVG) from the JSON that benchmarks write with --json.

    bench/plot.py photos.json -o photos.svg      # peers.py --photos, dlib/compare.py: photos/s
    bench/plot.py latency.json -o latency.svg    # http/open_loop.py: latency against load

The machine, the date and, if others were using it, that fact are written below the picture.
"""
import argparse
import json
import math
import statistics
import sys
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT, TOP = 720, 190, 70, 50
COLOURS = ["#1f6f8b", "#c8553d", "#7a8c3f", "#6b4e8a", "#b58b2a", "#555555"]


class Svg:
    """Shapes on white, text in black, collected as elements."""

    def __init__(self, height, title, run):
        self.height, self.parts = height, []
        self.rectangle(0, 0, WIDTH, height, "#ffffff")
        self.text(LEFT, 24, title, size=16)
        self.text(LEFT, height - 26, f"{run['cpu']}, {run['cores']} cores ({', '.join(run['isa'])})",
                  size=11, colour="#555555")
        note = f"{run['date']}, commit {run['commit']}"
        if run["loaded"]:
            note += f" – MACHINE LOADED, others took {run['others_share']:.0%}: ratios only"
        self.text(LEFT, height - 10, note, size=11, colour="#a00000" if run["loaded"] else "#555555")

    def rectangle(self, x, y, width, height, colour):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
                          f'height="{height:.1f}" fill="{colour}"/>')

    def text(self, x, y, text, size=13, anchor="start", colour="#000000"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
                          f'fill="{colour}">{escape(text)}</text>')

    def line(self, points, colour, dashes="", width=2.0):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dash = f' stroke-dasharray="{dashes}"' if dashes else ""
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" '
                          f'stroke-width="{width}"{dash}/>')

    def dot(self, x, y, colour):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')

    def __str__(self):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" '
                'font-family="sans-serif">\n' + "\n".join(self.parts) + "\n</svg>\n")


def rates(result):
    """Photos per second by title."""
    if result["benchmark"] == "dlib":
        return {row["title"]: 1e3 / row["ms"] for row in result["rows"]["times"]}
    row = result["rows"][0]
    return {title: 1e3 * row["photos"] / statistics.median(times)
            for title, times in row["times"].items()}


def draw_rates(result):
    values = rates(result)
    svg = Svg(TOP + 34 * len(values) + 50, "Photos per second, decoding to embeddings", result["run"])
    scale = (WIDTH - LEFT - RIGHT) / max(values.values())
    for number, (title, value) in enumerate(values.items()):
        y = TOP + 34 * number
        colour = COLOURS[0] if title.startswith("ours") else "#9a9a9a"
        svg.rectangle(LEFT, y, value * scale, 24, colour)
        svg.text(LEFT - 10, y + 17, title, anchor="end")
        svg.text(LEFT + value * scale + 6, y + 17, f"{value:.1f}")
    return svg


def ticks(low, high):
    """1, 2, 5, 10, ... between powers of ten around the two."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [m * 10**e for e in exponents for m in (1, 2, 5) if low <= m * 10**e <= high]


class Axes:
    """x linear from 0, y logarithmic."""

    def __init__(self, svg, x_high, y_low, y_high):
        self.left, self.right, self.top, self.bottom = 70, WIDTH - 30, TOP, svg.height - 90
        self.x_high, self.y_low, self.y_high = x_high * 1.05, y_low / 1.3, y_high * 1.3
        for value in ticks(self.y_low, self.y_high):
            _, y = self.place(0, value)
            svg.line([(self.left, y), (self.right, y)], "#dddddd", width=1)
            svg.text(self.left - 8, y + 4, f"{value:g}", anchor="end", size=12)
        step = 10 ** math.floor(math.log10(self.x_high / 2))
        step *= next(m for m in (1, 2, 5) if self.x_high / (m * step) <= 8)
        for number in range(int(self.x_high / step) + 1):
            x, _ = self.place(number * step, self.y_low)
            svg.text(x, self.bottom + 18, f"{number * step:g}", anchor="middle", size=12)
        svg.text((self.left + self.right) / 2, self.bottom + 38, "requests per second",
                 anchor="middle")
        svg.text(8, self.top - 8, "ms")

    def place(self, x, y):
        up = math.log(y / self.y_low) / math.log(self.y_high / self.y_low)
        return (self.left + (self.right - self.left) * x / self.x_high,
                self.bottom - (self.bottom - self.top) * up)


def draw_latency(result):
    rows = result["rows"]
    svg = Svg(480, "Latency against load: 25, 50, 75, 90% of each one's capacity", result["run"])
    known = [row[key] for row in rows for key in ("p50_ms", "p99_ms") if row[key] is not None]
    axes = Axes(svg, max(row["rate"] for row in rows), min(known), max(known))
    for number, title in enumerate(dict.fromkeys(row["title"] for row in rows)):
        for key, dashes in (("p50_ms", ""), ("p99_ms", "6 4")):
            points = [axes.place(row["rate"], row[key]) for row in rows
                      if row["title"] == title and row[key] is not None]
            svg.line(points, COLOURS[number], dashes)
            for x, y in points:
                svg.dot(x, y, COLOURS[number])
        svg.text(axes.left + 12, axes.top + 14 + 18 * number, f"{title}: median, 99% (dashed)",
                 colour=COLOURS[number])
    return svg


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    result = json.loads(args.result.read_text())
    drawings = {"photos": draw_rates, "dlib": draw_rates, "latency": draw_latency}
    if result["benchmark"] not in drawings:
        sys.exit(f"{args.result}: no picture for \"{result['benchmark']}\"")
    args.output.write_text(str(drawings[result["benchmark"]](result)))


if __name__ == "__main__":
    main()
