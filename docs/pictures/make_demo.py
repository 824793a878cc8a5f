#!/usr/bin/env python3
"""Draws docs/pictures/demo.svg from `relearn compare RUN... --json`, read from standard input.

Every run is a point, every group's mean a mark; nothing is left out. The axis does not begin at zero,
which is why there are no bars.
"""
import json
import sys

NAMES = {"joint modalities=audio": "audio alone", "joint modalities=visual": "visual alone",
         "joint": "joint training", "relearn lambda=3": "D&R, lambda 3 (published)",
         "relearn lambda=6": "D&R, lambda 6 (picked here)"}
ORDER = list(NAMES)
LEFT, WIDTH, ROW, TOP = 230, 390, 34, 46
LOW, HIGH = 50, 90  # percent


def x(percent):
    return LEFT + WIDTH * (percent - LOW) / (HIGH - LOW)


def row(index, label, runs, mean, strong):
    middle = TOP + ROW * index + ROW / 2
    weight = ' font-weight="bold"' if strong else ""
    out = [f'<text x="{LEFT - 12}" y="{middle + 4:.1f}" text-anchor="end"{weight}>{label}</text>',
           f'<rect x="{x(mean) - 2:.1f}" y="{middle - 11:.1f}" width="4" height="22" fill="{"#0072b2" if strong else "#7f8c8d"}"/>',
           f'<text x="{LEFT + WIDTH + 12}" y="{middle + 4:.1f}"{weight}>{mean:.1f}</text>']
    out += [f'<circle cx="{x(value):.1f}" cy="{middle:.1f}" r="3.5" fill="#ffffff" stroke="#222222"/>' for value in runs]
    return out


def main():
    groups = {group["label"]: group for group in json.load(sys.stdin)["groups"]}
    shown = [label for label in ORDER if label in groups]
    seeds = len(groups[shown[0]]["runs"])
    height = TOP + ROW * len(shown) + 40
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="680" height="{height}" viewBox="0 0 680 {height}" '
           'font-family="sans-serif" font-size="13" role="img">',
           f'<title>Test accuracy of the demo over {seeds} seeds</title>',
           f'<rect width="680" height="{height}" fill="#ffffff"/>',
           f'<text x="{LEFT}" y="24" font-size="14">test accuracy, %: mean (mark) and each of {seeds} seeds (points)</text>']
    for tick in range(LOW, HIGH + 1, 10):
        out.append(f'<line x1="{x(tick):.1f}" y1="{TOP}" x2="{x(tick):.1f}" y2="{height - 34}" stroke="#dddddd"/>')
        out.append(f'<text x="{x(tick):.1f}" y="{height - 16}" text-anchor="middle">{tick}</text>')
    for index, label in enumerate(shown):
        group = groups[label]
        out += row(index, NAMES[label].replace("&", "&amp;"), [100 * run["test"] for run in group["runs"]],
                   100 * group["test"]["mean"], label.startswith("relearn"))
    sys.stdout.write("\n".join(out + ["</svg>"]) + "\n")


main()
