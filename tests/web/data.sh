#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Pages about data sets: data.sh TUBELET MAKE_INPUTS MODULES PYTHON
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/web/pages.sh
. "$here/pages.sh"
check() { # DATA FRAMES [SPLIT [LEAST]]: all samples that there are to be, or at least LEAST of them
    "$program" info "$1" --threads 1 --json --html page.html >info.json
    "$python" - "$here" "$2" "${3-train}" "${4-}" <<'END' || fail "the page of $1"
import json
import sys
sys.path.insert(0, sys.argv[1])
import check_report as report
text = open("page.html", encoding="utf-8").read()
info = json.load(open("info.json"))
page = report.Page()
page.feed(text)
report.check(not page.open, "all elements are closed")
report.check(all(link.startswith(("#", "data:")) for link in page.links), "nothing leads elsewhere")
report.check(len(text) < 10_000_000, f"{len(text)} bytes")
report.check_shown(page, report.digits_of)
counts = {key: int(values[0]) for key, values in page.numbers.items()}
if info["task"] == "multi_class":
    for split, there in zip(("train", "val", "test"), info["samples"]):
        total = sum(n for key, n in counts.items() if key.endswith("." + split))
        report.check(total == there, f"{split}: {total} samples, {there} in the set")
moving = report.check_images(page, text, int(sys.argv[2]))
report.check(f"Samples of the {sys.argv[3]} split" in text, f"they are of {sys.argv[3]}")
there = [n for key, n in counts.items() if key.endswith("." + sys.argv[3])]
wanted = sum(min(6, n) for n in there)
if sys.argv[4]:
    each = [sum(f["under"] == title for f in page.figures) for title in dict.fromkeys(f["under"] for f in page.figures)]
    report.check(len(each) == len(there) and int(sys.argv[4]) <= len(page.figures) < wanted, f"{each} samples of the classes, {wanted} if there were room")
    wanted = len(page.figures)
report.check(moving == len(page.figures) == wanted > 0, f"{moving} animations, {len(page.figures)} samples, {wanted} wanted")
print(f"{report.passed} passed, {report.failed} failed")
sys.exit(report.failed != 0)
END
}
check small.npz 8
check labels.npz 8
check heads.npz 8
check rgb.npz 8
check phantom3d 28
check files 8
# Without a train split the next that has samples.
mkdir -p only/val only/test && cp -R files/dark files/light only/val && cp -R files/dark files/light only/test
check only 8 val
# Noise, of which no picture is small: fewer samples, but some of each class.
"$python" - <<'END'
import os
import zipfile
def npy(descr, shape, body):
    head = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    head += " " * (-(len(head) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + body
with zipfile.ZipFile("noise.npz", "w") as out:
    for split, each in ("train", 6), ("val", 1), ("test", 1):
        n = 12 * each
        out.writestr(f"{split}_images.npy", npy("|u1", (n, 8, 96, 96, 3), os.urandom(n * 8 * 96 * 96 * 3)))
        out.writestr(f"{split}_labels.npy", npy("|u1", (n, 1), bytes(i % 12 for i in range(n))))
END
check noise.npz 8 train 24
check rgb.npz 8
if command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; then
    "$here/screens" page.html || fail "the page in a browser"
else
    echo "skipped: no Chromium to open the page in"
fi
refused() { # SENTENCE ARGUMENT...
    sentence=$1
    shift
    if "$program" info "$@" >out 2>err; then fail "accepted: $*"; fi
    [ "$(wc -l <err)" = 1 ] || fail "not one line: $(cat err)"
    grep -q "$sentence" err || fail "$(cat err)"
}
refused 'a page about a data set, and none is named' --html x.html
refused 'a page about a data set, and vivit-tiny is none' vivit-tiny --html x.html
refused 'could not be written' small.npz --html small.npz/page.html
echo "pages of data: fine"
