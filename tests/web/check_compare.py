#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds a page of tubelet compare --html against what --json printed: check_compare.py PAGE JSON RUN..."""
import csv
import json
import math
import sys

import check_report as report


def number(tree, key):
    for part in key.split("."):
        tree = tree[int(part)] if isinstance(tree, list) else tree[part]
    return tree


def digits(page):
    """Small p-values are shown with an exponent."""
    return lambda key: 0 if key == "samples" or "only_" in key else \
        None if key.endswith("p_value") and float(page.numbers[key][0]) < 0.0001 else 4


def main():
    path, result, *runs = sys.argv[1:]
    text = open(path, encoding="utf-8").read()
    result = json.load(open(result))
    page = report.Page()
    page.feed(text)
    report.check(not page.open, "all elements are closed")
    for link in page.links:
        report.check(link.startswith(("#", "data:")), f"{link[:60]} leads elsewhere")
    for key, values in page.numbers.items():
        wanted = number(result, key)
        same = values[0] == "null" if wanted is None else math.isclose(float(values[0]), wanted, rel_tol=1e-8, abs_tol=1e-12)
        report.check(same, f"{key}: {values[0]} on the page, {wanted} in the output")
    report.check_shown(page, digits(page))
    report.check(len(page.numbers) > 10, "there are numbers")
    logs = [list(csv.DictReader(open(f"{run}/log.csv"))) for run in runs]
    for chart_id, name in {"train-loss": "train_loss", "val-loss": "val_loss", "val-auc": "val_auc"}.items():
        chart = page.charts.get(chart_id)
        known = [log for log in logs if any(not math.isnan(v) for v in report.column(log, name))]
        report.check((chart is not None) == bool(known), f"{chart_id} is drawn where there are values")
        if chart is None:
            continue
        report.check(len(chart["lines"]) == len(known), f"{chart_id} has a line for each run")
        report.check(len(set(chart["styles"])) == len(known), f"{chart_id}: no two lines look alike")
        span = float(chart["data-y1"]) - float(chart["data-y0"])
        for log, line in zip(known, chart["lines"]):
            drawn = list(report.points(chart, line))
            wanted = [v for v in report.column(log, name) if not math.isnan(v)]
            near = len(drawn) == len(wanted) and all(abs(p[1] - v) <= span / 10000 for p, v in zip(drawn, wanted))
            report.check(near, f"{chart_id} is drawn as log.csv has it")
    for setting in result["settings"]:
        report.check(f">{setting['key']}</th>" in text, f"{setting['key']} is on the page")
    print(f"{report.passed} passed, {report.failed} failed")
    return report.failed != 0 or report.passed == 0


if __name__ == "__main__":
    sys.exit(main())
