#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads a page that tubelet report wrote and holds it against the files of the run.

    check_report.py RUN PAGE RESULT FRAMES PREDICTIONS [NPZ]

Every number of the page that a file has equals that file's, and so do its digits that people see; the curves' points are those of
log.csv, the areas under the ROC curves the AUCs, the bins of the calibration plot give the calibration error; nothing comes from
elsewhere. PREDICTIONS is what tubelet predict --json says of the same split: points of the ROC, precision-recall and calibration
curves, what stands below each sample, and which samples are shown in which order, are made again from it. NPZ has the samples,
gray ones of uint8: the pixels of every animation are theirs. The last line is "N passed, N failed"."""
import ast
import base64
import csv
import html.parser
import json
import math
import re
import struct
import sys
import zipfile
import zlib

import gif

VOID = {"meta", "link", "img", "source", "br", "line", "circle", "path"}
passed = failed = 0


def check(fine, what):
    global passed, failed
    if fine:
        passed += 1
    else:
        failed += 1
        print("FAILED:", what)


class Page(html.parser.HTMLParser):
    """Numbers by their keys, charts by their ids, images, and all that could lead elsewhere."""

    def __init__(self):
        super().__init__()
        self.open, self.numbers, self.charts, self.images, self.ids, self.links = [], {}, {}, [], [], []
        self.shown, self.figures, self.titles, self.heading, self.section = {}, [], {}, "", ""
        self.chart = self.number = self.figure = None

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in a:
            self.ids.append(a["id"])
        for key in ("src", "srcset", "href", "action", "data-src"):
            if key in a:
                self.links.append(a[key])
        if tag == "data":
            self.numbers.setdefault(a["data-key"], []).append(a["value"])
            self.number = a["data-key"]
            self.shown.setdefault(self.number, []).append("")
        if tag == "svg" and "id" in a:
            self.chart = self.charts[a["id"]] = {"lines": [], "styles": [], "dots": 0, **a}
        if tag == "path" and self.chart is not None and "line" in a.get("class", "").split():
            self.chart["lines"].append(a["d"])
            self.chart["styles"].append((a["class"], a.get("stroke-dasharray")))
        if tag == "img":
            self.images.append(a)
        if tag == "circle" and self.chart is not None and "dot" in a.get("class", "").split():
            self.chart["dots"] += 1
        if tag == "figure" and "sample" in a.get("class", "").split():
            self.figure = {"section": self.section, "under": self.heading, "text": "", "kind": a["class"], **a}
            self.figures.append(self.figure)
        if tag == "img" and self.figure is not None:
            self.figure["image"] = a
        if tag == "a" and "title" in a:
            self.titles[a["href"]] = a["title"]
        if tag == "section":
            self.section = a.get("id", "")
        if tag == "h3":
            self.heading = ""

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_data(self, data):
        if self.number is not None:
            self.shown[self.number][-1] += data
        if self.figure is not None:
            self.figure["text"] += data
        if self.open and self.open[-1] == "h3":
            self.heading += data

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        check(bool(self.open) and self.open[-1] == tag, f"</{tag}> at {self.getpos()} closes what is open")
        if self.open and self.open[-1] == tag:
            self.open.pop()
        if tag == "svg":
            self.chart = None
        if tag == "data":
            self.number = None
        if tag == "figure":
            self.figure = None


def look_up(tree, path):
    for part in path:
        tree = tree[int(part)] if isinstance(tree, list) else tree[part]
    return tree["value"] if isinstance(tree, dict) else tree


def column(log, name):
    values = [float(row[name]) if row[name] not in ("", "nan") else math.nan for row in log]
    return values


def of_log(log, key):
    values = column(log, key[0])
    known = [v for v in values if not math.isnan(v)]
    return {"min": min(known), "max": max(known), "last": values[-1]}[key[1]]


def expected(key, result, metrics, log):
    """The number that a key names, or None where no file has it."""
    kind, *path = key.split(".")
    if kind == "eval":
        return look_up(result, path)
    if kind == "metrics":
        return look_up(metrics, path)
    if kind == "log":
        return of_log(log, path)
    if key == "model.parameters":
        return metrics["parameters"]
    return None


def digits_of(key):
    """Digits behind the point that a number is shown with; 0: it is a whole one."""
    if re.search(r"\.(samples|epochs|steps|best_epoch|parameters)$|\.confusion\.|^class\.", key):
        return 0
    return 8 if key.startswith("log.lr.") else 1 if key == "metrics.seconds" else 4


def check_shown(page, digits):
    """What stands in the page is the value, rounded to its digits; None: to three in all."""
    for key, values in page.numbers.items():
        check(len(page.shown[key]) == len(values), f"{key}: each value is shown")
        for value, shown in zip(values, page.shown[key]):
            n = digits(key)
            if n is None:
                check("e-" in shown and math.isclose(float(shown), float(value), rel_tol=5.001e-3), f"{key}: {value} is shown as {shown}")
                continue
            form = re.fullmatch(r"-?\d+" + (rf"\.\d{{{n}}}" if n else ""), shown)
            fine = shown == "–" if value == "null" else form and abs(float(shown) - float(value)) <= 0.5000001 * 10**-n
            check(fine, f"{key}: {value} is shown as {shown}")


def check_numbers(page, result, metrics, log):
    known = 0
    for key, values in page.numbers.items():
        wanted = expected(key, result, metrics, log)
        if wanted is None and not key.startswith(("eval.", "metrics.", "log.")):
            continue
        known += 1
        for value in values:
            same = value == "null" if wanted is None else math.isclose(float(value), wanted, rel_tol=1e-8, abs_tol=1e-12)
            check(same, f"{key}: {value} on the page, {wanted} in the file")
    check_shown(page, digits_of)
    check(known > 30, f"only {known} numbers are those of files")


def points(chart, line):
    """Points of a drawn line in the units of the axes."""
    left, top, right, bottom = map(float, chart["data-box"].split())
    x0, x1, y0, y1 = (float(chart[k]) for k in ("data-x0", "data-x1", "data-y0", "data-y1"))
    for x, y in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", line):
        yield (x0 + (float(x) - left) / (right - left) * (x1 - x0),
               y0 + (bottom - float(y)) / (bottom - top) * (y1 - y0))


def check_curves(page, log):
    for chart_id, names in {"curve-loss": ["train_loss", "val_loss"], "curve-top1": ["train_top1", "val_top1"],
                            "curve-auc": ["val_auc"], "curve-lr": ["lr"]}.items():
        names = [n for n in names if any(not math.isnan(v) for v in column(log, n))]
        chart = page.charts.get(chart_id)
        if not names:
            check(chart is None, f"{chart_id} is drawn without values")
            continue
        check(chart is not None and len(chart["lines"]) == len(names), f"{chart_id} has its curves")
        if chart is None:
            continue
        span = float(chart["data-y1"]) - float(chart["data-y0"])
        for name, line in zip(names, chart["lines"]):
            drawn = list(points(chart, line))
            wanted = [(float(r["epoch"]), v) for r, v in zip(log, column(log, name)) if not math.isnan(v)]
            near = len(drawn) == len(wanted) and all(
                abs(a[0] - b[0]) < 0.01 * len(log) and abs(a[1] - b[1]) <= span / 10000 for a, b in zip(drawn, wanted))
            check(near, f"{chart_id}: {name} is drawn as log.csv has it")


def check_ranks(page, result, part, chart_id):
    aucs = [c["auc"] for c in part["per_class"] if c["auc"] is not None]
    roc = page.charts[f"{chart_id}-roc"]["lines"]
    check(len(roc) == min(len(aucs), 16), f"{chart_id}: a ROC curve for each class")
    if len(aucs) == len(roc):
        for auc, line in zip(aucs, roc):
            p = list(points(page.charts[f"{chart_id}-roc"], line))
            area = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in zip(p, p[1:]))
            check(abs(area - auc) < 2e-3, f"{chart_id}: area {area:.5f} under the ROC curve, AUC {auc:.5f}")
            check(p[0][0] < 1e-4 and p[0][1] < 1e-4 and p[-1][0] > 0.9999 and p[-1][1] > 0.9999,
                  f"{chart_id}: the ROC curve goes from corner to corner")
    error = total = 0
    for m in range(15):
        key = f"{chart_id}.bin.{m}"
        if f"{key}.samples" in page.numbers:
            n = int(page.numbers[f"{key}.samples"][0])
            total += n
            error += n * abs(float(page.numbers[f"{key}.accuracy"][0]) - float(page.numbers[f"{key}.confidence"][0]))
    check(total == result["samples"], f"{chart_id}: {total} samples in the bins, {result['samples']} in all")
    check(math.isclose(error / total, part["calibration_error"], rel_tol=1e-6, abs_tol=1e-8),
          f"{chart_id}: the bins give a calibration error of {error / total}, not {part['calibration_error']}")


def check_png(data):
    check(data[:8] == b"\x89PNG\r\n\x1a\n", "a PNG begins as one")
    at, body = 8, b""
    while at < len(data):
        n, kind = struct.unpack(">I4s", data[at:at + 8])
        check(zlib.crc32(data[at + 4:at + 8 + n]) == struct.unpack(">I", data[at + 8 + n:at + 12 + n])[0], "a PNG's checksum")
        body += data[at + 8:at + 8 + n] if kind == b"IDAT" else b""
        at += 12 + n
    zlib.decompress(body)


def check_images(page, text, frames):
    for image in page.images:
        check(bool(image.get("alt")), "an image has a text instead of it")
    gifs = [base64.b64decode(b) for b in re.findall(r"data:image/gif;base64,([A-Za-z0-9+/=]+)", text)]
    for data in gifs:
        found = len(gif.frames(data)[2])
        check(found == frames, f"a sample of {frames} frames moves in {found}")
    for data in re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", text):
        check_png(base64.b64decode(data))
    return len(gifs)


def check_confusion(page, result, part, chart_id, key):
    n = part["classes"]
    cells = [[int(page.numbers[f"{key}.confusion.{i}.{j}"][0]) for j in range(n)] for i in range(n)]
    check(sum(map(sum, cells)) == result["samples"], "the confusion matrix has every sample")
    for i in range(n):
        for j in range(n):
            check((f"{chart_id}-{i}-{j}" in page.ids) == (cells[i][j] > 0), f"cell {i}, {j} leads to its samples")
            title = page.titles.get(f"#{chart_id}-{i}-{j}", "")
            check(cells[i][j] == 0 or title.endswith(f": {100 * cells[i][j] / sum(cells[i]):.1f} %"), f"cell {i}, {j}: its share: {title}")


# ---- what follows from the answers ----


def f32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


class Answers:
    """What the lines of tubelet predict say, and what each class is called: config.json has names of unnamed classes, too."""

    def __init__(self, lines, heads, config):
        self.scores = [[f32(p) for p in line["probabilities"]] for line in lines]
        classes = len(self.scores[0])
        names = config["id2label"] if any(line.get("label") for line in lines) else {}
        self.names = [names.get(str(k), f"class {k}") for k in range(classes)]
        self.labels = config["tubelet"].get("task") == "multi_label"
        self.heads = heads or ([] if self.labels else [classes])
        self.truth = [line["truth"] if isinstance(line["truth"], list) else [line["truth"]] for line in lines]

    def parts(self):
        """First class, number of classes and column of each question."""
        first = 0
        for column, classes in enumerate(self.heads):
            yield first, classes, column
            first += classes

    def said(self, s, first, classes):
        scores = self.scores[s][first:first + classes]
        return scores.index(max(scores))

    def sample(self, s):
        """What it is, what the model says, whether that is right, and its confidence."""
        if self.labels:
            there = [k for k, p in enumerate(self.scores[s]) if p > 0.5]
            confidence = math.prod(max(p, 1 - p) for p in self.scores[s])
            return self.named(self.truth[s]), self.named(there), there == self.truth[s], confidence
        said = [self.said(s, first, n) for first, n, _ in self.parts()]
        begin = [first for first, _, _ in self.parts()]
        confidence = math.prod(self.scores[s][b + k] for b, k in zip(begin, said))
        return (self.named([b + k for b, k in zip(begin, self.truth[s])]), self.named([b + k for b, k in zip(begin, said)]),
                said == self.truth[s], confidence)

    def named(self, classes):
        return ", ".join(self.names[k] for k in classes) or "none"


def curve_points(scored):
    """ROC and precision-recall points of (score, is positive), one for each score that occurs."""
    roc, pr, hits, seen = [(0, 0)], [], 0, 0
    positives = sum(positive for _, positive in scored)
    for score in sorted({score for score, _ in scored}, reverse=True):
        here = [positive for other, positive in scored if other == score]
        hits, seen = hits + sum(here), seen + len(here)
        roc.append(((seen - hits) / (len(scored) - positives), hits / positives))
        pr.append((hits / positives, hits / seen))
    return roc, pr


def same_points(chart, line, wanted):
    drawn = list(points(chart, line))
    return len(drawn) == len(wanted) and all(abs(a[0] - b[0]) < 1e-4 and abs(a[1] - b[1]) < 1e-4 for a, b in zip(drawn, wanted))


def check_curve_points(page, answers, chart_id, first, classes, column):
    drawn = 0
    for k in range(classes):
        truth = [(k in t) if column is None else t[column] == k for t in answers.truth]
        if not any(truth) or all(truth):
            continue
        roc, pr = curve_points([(scores[first + k], t) for scores, t in zip(answers.scores, truth)])
        for kind, wanted in ("roc", roc), ("pr", pr):
            chart = page.charts[f"{chart_id}-{kind}"]
            check(drawn < len(chart["lines"]) and same_points(chart, chart["lines"][drawn], wanted), f"{chart_id}-{kind}: class {k} as the answers have it")
        drawn += 1
    check(drawn > 0 and all(len(page.charts[f"{chart_id}-{kind}"]["lines"]) == drawn for kind in ("roc", "pr")), f"{chart_id}: {drawn} classes have curves")


def check_calibration(page, answers, chart_id, first, classes, column):
    bins = [[] for _ in range(15)]
    for s, truth in enumerate(answers.truth):
        said = answers.said(s, first, classes)
        confidence = answers.scores[s][first + said]
        bins[min(max(math.ceil(confidence * 15) - 1, 0), 14)].append((confidence, said == truth[column]))
    wanted = []
    for m, inside in enumerate(bins):
        key = f"{chart_id}.bin.{m}"
        check((f"{key}.samples" in page.numbers) == bool(inside), f"{key} is there where it has samples")
        if inside:
            confidence, accuracy = (sum(x) / len(inside) for x in zip(*inside))
            wanted.append((confidence, accuracy))
            found = [float(page.numbers[f"{key}.{name}"][0]) for name in ("samples", "confidence", "accuracy")]
            check(found[0] == len(inside) and abs(found[1] - confidence) < 1e-7 and abs(found[2] - accuracy) < 1e-7, f"{key}: {found}")
    chart = page.charts[f"{chart_id}-calibration"]
    check(same_points(chart, chart["lines"][0], wanted) and chart["dots"] == len(wanted), f"{chart_id}-calibration as the answers have it")


def check_caption(figure, answer, number):
    truth, said, right, confidence = answer
    form = re.fullmatch(r"T: (.*) \| P: (.*?) (?:(\d+) % )?(?:[✓✗] )?#(\d+)(?: \S.*)?", figure["text"], re.S)
    what = f"sample {number}: {figure['text']}"
    check(form is not None and form[1] == truth and form[2] == said and int(form[4]) == number, what)
    check(form is not None and (form[3] is None or abs(int(form[3]) - 100 * confidence) <= 0.5000001), f"{what}: how sure")
    check(form is None or form[3] is None or ("✓" in figure["text"]) == right, f"{what}: right or wrong")
    check(("right" in figure["kind"].split()) == right, f"{what}: its frame")
    check(truth in figure["image"]["alt"] and said in figure["image"]["alt"], f"{what}: its text instead")


def check_samples(page, answers):
    """Which samples there are in which order, and what stands below them."""
    told = [answers.sample(s) for s in range(len(answers.truth))]
    numbers = range(len(told))
    shown = min(25, len(told))
    surest = lambda right: sorted((s for s in numbers if told[s][2] == right), key=lambda s: (-told[s][3], s))
    lists = {"A look at the split": [i * len(told) // shown for i in range(shown)], "The worst mistakes": surest(False)[:10],
             "The least sure": sorted(numbers, key=lambda s: (told[s][3], s))[:10],
             "Its surest mistakes": surest(False)[:5], "Its surest right answers": surest(True)[:5]}
    for title, wanted in lists.items():
        figures = [f for f in page.figures if f["under"] == title]
        if title.startswith("Its ") and "attention" not in page.ids:
            continue
        found = [int(re.search(r"#(\d+)(?: [^#]*)?$", f["text"])[1]) for f in figures]
        check(found == wanted, f"{title}: {found}, not {wanted}")
        for figure, number in zip(figures, found):
            check_caption(figure, told[number], number)


def images_of(npz, member):
    with zipfile.ZipFile(npz) as archive:
        data = archive.read(member + ".npy")
    size = struct.unpack("<H", data[8:10])[0]
    head = ast.literal_eval(data[10:10 + size].decode())
    assert head["descr"] == "|u1" and not head["fortran_order"], head
    shape = head["shape"][1:]
    voxels = math.prod(shape)
    body = data[10 + size:]
    return shape, [body[i * voxels:(i + 1) * voxels] for i in range(head["shape"][0])]


def check_pixels(page, shape, samples):
    """Samples that fit are shown pixel by pixel."""
    checked = 0
    for figure in page.figures:
        if "data-sample" in figure:
            number = int(figure["data-sample"])
            width, height, frames = gif.frames(base64.b64decode(figure["image"]["src"].split(",", 1)[1]))
            check((len(frames), height, width) == tuple(shape[:3]), f"sample {number} has the size of its data")
            there = bytes(v for frame in frames for v, _, _ in frame)
            gray = all(r == g == b for frame in frames for r, g, b in frame)
            check(gray and there == samples[number], f"sample {number}: the pixels of its data")
            checked += 1
    check(checked > 0, "there are pixels")


def main():
    run, path, result, frames, predictions = sys.argv[1:6]
    text = open(path, encoding="utf-8").read()
    result = json.load(open(result))
    metrics = json.load(open(f"{run}/metrics.json"))
    log = list(csv.DictReader(open(f"{run}/log.csv")))
    page = Page()
    page.feed(text)
    check(not page.open, f"all elements are closed, but {page.open}")
    check(len(set(page.ids)) == len(page.ids), "an id stands once")
    for link in page.links:
        check(link.startswith(("#", "data:")), f"{link[:60]} leads elsewhere")
        check(not link.startswith("#") or link[1:] in page.ids, f"{link} leads to something")
    check(not re.search(r"url\((?!data:)", text), "style sheets fetch nothing")
    check(not re.search(r"\b(fetch|XMLHttpRequest|import|WebSocket)\b\s*\(", text), "scripts fetch nothing")
    check(len(text) < 10_000_000, f"{len(text)} bytes")
    check_numbers(page, result, metrics, log)
    check_curves(page, log)
    heads = result.get("heads")
    parts = [(h, f"eval.heads.{i}", f"head{i}") for i, h in enumerate(heads)] if heads else \
        [(result, "eval", "head0")] if "confusion" in result else []
    for part, key, chart_id in parts:
        check_ranks(page, result, part, chart_id)
        check_confusion(page, result, part, chart_id, key)
    answers = Answers([json.loads(line) for line in open(predictions)], [h["classes"] for h in heads] if heads else None,
                      json.load(open(f"{run}/config.json")))
    for (first, classes, column), (_, _, chart_id) in zip(answers.parts(), parts):
        check_curve_points(page, answers, chart_id, first, classes, column)
        check_calibration(page, answers, chart_id, first, classes, column)
    if answers.labels:
        check_curve_points(page, answers, "labels", 0, len(answers.names), None)
    check_samples(page, answers)
    moving = check_images(page, text, int(frames))
    check(moving == len(page.figures), f"{len(page.figures)} samples, {moving} of them move")
    if len(sys.argv) > 6:
        check_pixels(page, *images_of(sys.argv[6], "test_images"))
    print(f"{passed} passed, {failed} failed")
    return failed != 0 or passed == 0


if __name__ == "__main__":
    sys.exit(main())
