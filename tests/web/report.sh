#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Reports of small runs of every task, held against the runs' files by check_report.py: report.sh TUBELET MAKE_INPUTS MODULES PYTHON
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/web/pages.sh
. "$here/pages.sh"
small="--tubelet 4,4,4 --hidden 16 --heads 2 --layers 1 --mlp 32 --batch-size 8 --threads 1"
# train_and_report NAME DATA FRAMES OPTION...
train_and_report() {
    name=$1 data=$2 frames=$3
    shift 3
    # shellcheck disable=SC2086
    "$program" train --data "$data" $small --out "$name" --quiet "$@" >/dev/null
    [ "$("$program" report "$name" --threads 1)" = "$name/report.html" ] || fail "$name: no word about the page"
    "$program" predict "$name" --data "$data" --json --threads 1 >"$name.predictions" 2>/dev/null
    check_report "$name" "$name/report.html" test "$frames" ||
        fail "the report of $name"
}
# check_report NAME PAGE SPLIT FRAMES [NPZ]
check_report() {
    page=$2 split=$3 frames=$4
    name=$1
    shift 4
    "$python" "$here/check_report.py" "$name" "$page" "$name/eval-$split.json" "$frames" "$name.predictions" "$@"
}
train_and_report classes small.npz 8 --epochs 3
check_report classes classes/report.html test 8 small.npz || fail "the pixels of classes"
train_and_report labels labels.npz 8 --epochs 2
train_and_report heads heads.npz 8 --epochs 2 --task multi_head --head-classes 3,2
train_and_report colours rgb.npz 8 --epochs 1
train_and_report baseline small.npz 8 --epochs 1 --model cnn-frame --filters 4 --stages 2
train_and_report phantoms phantom3d 28 --epochs 1 --tubelet 14,14,14 --max-steps 4

# The bytes follow from the run alone.
cp classes/report.html first.html
"$program" report classes --threads 2 --out second.html >/dev/null
cmp first.html second.html || fail "another report of the same run"

# A negative control: a changed number is found.
sed 's/data-key="eval.top1.value" value="[^"]*"/data-key="eval.top1.value" value="0.123"/' first.html >changed.html
found_wrong() { # WHAT
    if check_report classes changed.html test 8 small.npz >wrong; then fail "not found: $1"; fi
    grep -q "$2" wrong || fail "$1: $(cat wrong)"
}
found_wrong "a changed number" 'FAILED: eval.top1.value'
sed 's/\(data-key="eval.top1.value" value="[^"]*">\)[0-9]/\19/' first.html >changed.html
found_wrong "other digits" 'FAILED: eval.top1.value: .* is shown as 9'
"$python" - <<'END'
import re
text = open("first.html").read()
def change(name, new):
    assert new != text, name
    open(name, "w").write(new)
change("caption.html", re.sub(r"(<figcaption>T: class )(\d)", lambda m: m[1] + str((int(m[2]) + 1) % 3), text, count=1))
gifs = re.findall(r"data:image/gif;base64,[^\"]*", text[text.index("A look at the split"):])
change("pixels.html", text.replace(gifs[0], gifs[1]))
change("curve.html", re.sub(r'(id="head0-pr".*?class="line c1" d="M[\d.]+ )([\d.]+)', lambda m: m[1] + str(float(m[2]) + 1), text, count=1, flags=re.S))
figures = re.findall(r'<figure class="sample [^>]*>.*?</figure>', text[text.index("The least sure"):], flags=re.S)[:2]
change("order.html", text[:text.index("The least sure")] + text[text.index("The least sure"):].replace(figures[0], "@").replace(figures[1], figures[0]).replace("@", figures[1]))
END
cp caption.html changed.html && found_wrong "another caption" 'FAILED: sample '
cp pixels.html changed.html && found_wrong "other pixels" 'FAILED: sample .*: the pixels'
cp curve.html changed.html && found_wrong "another curve" 'FAILED: head0-pr: class 1'
cp order.html changed.html && found_wrong "another order" 'FAILED: The least sure'

# Names that mean something in HTML.
mkdir -p 'odd/a <b>&"' odd/plain
for i in 1 2 3 4 5 6 7 8 9 10; do
    cp volume.npy "odd/a <b>&\"/$i.npy"
    cp volume.npy "odd/plain/$i.npy"
done
"$python" - <<'END'
import glob
for i, path in enumerate(sorted(glob.glob("odd/plain/*.npy") + glob.glob("odd/a*/*.npy"))):
    whole = open("volume.npy", "rb").read()
    open(path, "wb").write(whole[:-1] + bytes([i]))
END
# shellcheck disable=SC2086
"$program" train --data odd $small --epochs 1 --out oddly --quiet --frames 8 --height 8 --width 8 >/dev/null
"$program" report oddly --split train --threads 1 >/dev/null
grep -q 'a &lt;b&gt;&amp;&quot;' oddly/report.html || fail "the odd class is not named"
if grep -q '<b>' oddly/report.html; then fail "a class name became markup"; fi
"$program" predict oddly --data odd --split train --json --threads 1 >oddly.predictions 2>/dev/null
check_report oddly oddly/report.html train 8 || fail "the report of odd names"

# One sentence each, and nothing lost.
refused() { # SENTENCE ARGUMENT...
    sentence=$1
    shift
    if "$program" report "$@" >out 2>err; then fail "accepted: $*"; fi
    [ "$(wc -l <err)" = 1 ] || fail "not one line: $(cat err)"
    grep -q "$sentence" err || fail "$(cat err)"
}
refused 'needs a run folder'
refused 'no model folder or run folder' odd
refused 'missing: no such folder' missing
refused 'name one with --data' classes/best
refused 'could not be written' classes --out small.npz/folder.html
refused 'classes could not be written: Is a directory' classes --out classes
refused 'the path of the page is too long' classes --out "$(printf 'x/%.0s' $(seq 3000))x"
# shellcheck disable=SC2086
"$program" train --data small.npz $small --epochs 1 --folds 3 --out cv --quiet >/dev/null
refused 'did you mean cv/fold-0' cv
refused 'is the best model of a fold' cv/fold-0/best --data small.npz --split val
cp classes/report.html kept.html
rm classes/log.csv classes/metrics.json
"$program" report classes --out less.html >/dev/null || fail "a run without a log has no report"
if grep -q 'id="curves"' less.html; then fail "curves without a log"; fi
cmp -s classes/report.html kept.html || fail "the old report is gone"

# In a browser, and what must not pass there: a word on the console, a request, something wide.
if command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; then
    for name in classes heads; do
        "$here/screens" "$name/report.html" || fail "the report of $name in a browser"
    done
    sed 's/\(data-key="eval.per_class.1.auc" value="\)[^"]*">[^<]*</\1null">–</' first.html >dash.html
    "$here/clicks" dash.html || fail "clicks in a report"
    for broken in 's/last(a) - last(b)/last(b) - last(a)/' 's/still.media = moving/still.nothing = moving/' 's/ tabindex="0"//g'; do
        sed "$broken" dash.html >wrong.html
        if "$here/clicks" wrong.html >/dev/null 2>&1; then fail "a browser found nothing wrong with $broken"; fi
    done
    for wrong in '<script>console.log(1)</script>' '<img alt="x" src="http://127.0.0.1:9/x.png">' '<p style="width:9999px">x</p>'; do
        sed "s|</main>|$wrong</main>|" first.html >wrong.html
        if "$here/screens" wrong.html >/dev/null 2>&1; then fail "a browser found nothing wrong with $wrong"; fi
    done
else
    echo "skipped: no Chromium to open the reports in"
fi

# Logs that no training writes, but a disk or a hand may leave.
# shellcheck disable=SC2086
"$program" train --data small.npz $small --epochs 3 --out odd2 --quiet >/dev/null
head=$(head -n 1 odd2/log.csv)
printf '%s\n1,3,1,1,0.5,1,1,0.5,1,0.9999999999999999,1e-4,0\n2,6,1,1,0.5,1,1,0.5,1,1.0,1e-4,0\n\n' "$head" >odd2/log.csv
"$program" report odd2 --threads 1 >/dev/null || fail "a curve whose values hardly differ"
printf 'nothing,of,this\nx,y\n' >odd2/log.csv
echo '["no object"]' >odd2/metrics.json
"$program" report odd2 --threads 1 >/dev/null || fail "a log without columns"
if grep -q 'id="curves"' odd2/report.html; then fail "curves of a log without columns"; fi
mkfifo pipe
cat pipe >piped.html &
"$program" report classes --threads 1 --out pipe >/dev/null
wait $!
[ -p pipe ] && cmp -s piped.html less.html || fail "a page through a pipe"
"$program" report classes/best --data small.npz --split test --threads 1 --out best.html >/dev/null || fail "a model that is no run"
if grep -q 'data-key="metrics' best.html; then fail "a training of a model that is no run"; fi

# A model whose folder resizes what it gets: a sample is explained as it is predicted.
cp -R classes/best resizing
"$python" - <<'END'
import ast
import json
import zipfile
def npy(shape, body):
    head = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
    head += " " * (-(len(head) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + body
config = json.load(open("resizing/preprocessor_config.json"))
config["do_resize"] = True
json.dump(config, open("resizing/preprocessor_config.json", "w"))
with zipfile.ZipFile("small.npz") as old, zipfile.ZipFile("wide.npz", "w") as new:
    for name in old.namelist():
        data = old.read(name)
        size = int.from_bytes(data[8:10], "little")
        shape, body = ast.literal_eval(data[10:10 + size].decode())["shape"], data[10 + size:]
        if name.endswith("_images.npy"): # every pixel twice along rows and columns
            rows = [bytes(v for v in body[i:i + 8] for _ in range(2)) * 2 for i in range(0, len(body), 8)]
            shape, body = (shape[0], 8, 16, 16), b"".join(rows)
        new.writestr(name, npy(shape, body))
END
"$program" report resizing --data wide.npz --threads 1 --out resizing.html >/dev/null || fail "a report of a model that resizes"
grep -q 'id="attention"' resizing.html || fail "no attention of a model that resizes"
"$program" predict resizing --data wide.npz --json --threads 1 >wide.predictions 2>/dev/null
for sample in 0 3; do
    "$program" explain resizing --data wide.npz --sample $sample --json --threads 1 >explained 2>/dev/null || fail "no explanation of wide.npz"
    "$python" - $sample <<'END' || fail "another answer is explained: $(cat explained)"
import json
import sys
said, told = [json.loads(line) for line in open("wide.predictions")][int(sys.argv[1])], json.load(open("explained"))
assert told["map"]["shape"] == [8, 8, 8] and told["class"] == said["class"] and told["truth"] == said["truth"], told
assert abs(told["probability"] - max(said["probabilities"])) < 1e-8, told
END
done
echo "reports: fine"
