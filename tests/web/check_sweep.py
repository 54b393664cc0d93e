#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds a page of tubelet sweep against its journal and log files: check_sweep.py FOLDER METRIC GOAL"""
import json
import math
import re
import sqlite3
import sys

import check_report as report


def ranks(values):
    return [sum(w < v for w in values) + (sum(w == v for w in values) - 1) / 2 for v in values]


def explained(groups, rank):
    """Adjusted share of the variance of the ranks between groups."""
    mean, n = sum(rank) / len(rank), len(rank)
    total = sum((r - mean) ** 2 for r in rank)
    between = 0
    for g in set(groups):
        inside = [r for r, k in zip(rank, groups) if k == g]
        between += len(inside) * (sum(inside) / len(inside) - mean) ** 2
    free = n - len(set(groups))
    if free <= 0 or total == 0:
        return None
    return min(1, max(0, 1 - (1 - between / total) * (n - 1) / free))


def solve(matrix, right):
    """Gauss' elimination, the largest pivot first."""
    rows = [list(row) + [r] for row, r in zip(matrix, right)]
    n = len(rows)
    for i in range(n):
        k = max(range(i, n), key=lambda row: abs(rows[row][i]))
        rows[i], rows[k] = rows[k], rows[i]
        for j in range(i + 1, n):
            factor = rows[j][i] / rows[i][i]
            rows[j] = [a - factor * b for a, b in zip(rows[j], rows[i])]
    out = [0.0] * n
    for i in reversed(range(n)):
        out[i] = (rows[i][n] - sum(rows[i][j] * out[j] for j in range(i + 1, n))) / rows[i][i]
    return out


def bent(x, rank):
    """Adjusted share of the variance of the ranks that the best parabola over x has, and the correlation with x."""
    n, mean, middle = len(x), sum(rank) / len(rank), sum(x) / len(x)
    powers = [[1, v, v * v] for v in x]
    fit = solve([[sum(p[i] * p[j] for p in powers) for j in range(3)] for i in range(3)], [sum(p[i] * r for p, r in zip(powers, rank)) for i in range(3)])
    left = sum((r - sum(f * v for f, v in zip(fit, p))) ** 2 for p, r in zip(powers, rank))
    total = sum((r - mean) ** 2 for r in rank)
    together = sum((v - middle) * (r - mean) for v, r in zip(x, rank))
    return min(1, max(0, 1 - left / total * (n - 1) / (n - 3))), together / math.sqrt(sum((v - middle) ** 2 for v in x) * total)


def main():
    folder, metric, goal = sys.argv[1:]
    text = open(f"{folder}/sweep.html", encoding="utf-8").read()
    page = report.Page()
    page.feed(text)
    report.check(not page.open, "all elements are closed")
    for link in page.links:
        report.check(link.startswith(("#", "data:")), f"{link[:60]} leads elsewhere")
    base = sqlite3.connect(f"{folder}/journal.sqlite")
    trials = base.execute("select number, state, parameters from trial order by number").fetchall()
    best, so_far = [], []
    for number, _, _ in trials:
        values = [v for (v,) in base.execute("select value from report where number = ? order by step", (number,)) if v is not None]
        best.append((max if goal == "maximize" else min)(values) if values else None)
        known = [v for v in best if v is not None]
        so_far.append((max if goal == "maximize" else min)(known) if known else None)
    report.check(int(float(page.numbers["count"][0])) == len(trials), "all trials are counted")
    for number, value in enumerate(best):
        shown = page.numbers[f"trials.{number}.value"][0]
        same = shown == "null" if value is None else math.isclose(float(shown), value, rel_tol=1e-8)
        report.check(same, f"trial {number}: {shown} on the page, {value} in the journal")
        steps = base.execute("select count(*) from report where number = ?", (number,)).fetchone()[0]
        report.check(int(float(page.numbers[f"trials.{number}.epochs"][0])) == steps, f"trial {number} has its epochs")
    # The curve of the best.
    chart = page.charts["best-so-far"]
    span = float(chart["data-y1"]) - float(chart["data-y0"])
    drawn = list(report.points(chart, chart["lines"][0]))
    wanted = [v for v in so_far if v is not None]
    report.check(len(drawn) == len(wanted) and all(abs(p[1] - v) <= span / 10000 for p, v in zip(drawn, wanted)), "the best so far is drawn")
    # Parallel coordinates: a line for each trial, and those of trials with the same choice meet on its axis.
    lines = {int(n): d for n, d in re.findall(r'data-trial="(\d+)" d="([^"]*)"', text)}
    report.check(sorted(lines) == list(range(len(trials))), "each trial has a line")
    heads = [json.loads(p)["heads"] for _, _, p in trials]
    first = [re.split("[ML]", lines[n])[1] for n in range(len(trials))]
    report.check(all((first[a] == first[b]) == (heads[a] == heads[b]) for a in range(len(trials)) for b in range(a)), "choices are apart on the axis")
    # What the choice explains, computed again.
    pairs = [(h, v) for h, v in zip(heads, best) if v is not None]
    share = explained([h for h, _ in pairs], ranks([v for _, v in pairs]))
    shown = page.numbers["importance.0.share"][0]
    report.check(shown == "null" if share is None else math.isclose(float(shown), share, rel_tol=1e-6, abs_tol=1e-9), f"importance {shown}, {share}")
    # And what the number does: lr, uniform in its logarithm from 1e-5 to 0.1.
    known = [(math.log(json.loads(p)["lr"] / 1e-5) / math.log(1e4), v) for (_, _, p), v in zip(trials, best) if v is not None]
    share, direction = bent([x for x, _ in known], ranks([v for _, v in known]))
    for name, value in (("share", share), ("direction", direction)):
        shown = page.numbers[f"importance.1.{name}"][0]
        report.check(math.isclose(float(shown), value, rel_tol=1e-6, abs_tol=1e-6), f"importance of lr, {name}: {shown}, {value}")
    report.check(f">{metric}<" in text and "<title>Sweep</title>" in text and 'role="img"' in text and "<desc" in text, "names and descriptions are there")
    print(f"{report.passed} passed, {report.failed} failed")
    return report.failed != 0 or report.passed == 0


if __name__ == "__main__":
    sys.exit(main())
