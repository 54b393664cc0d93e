#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Comparisons of small runs, as text, JSON and page: compare.sh TUBELET MAKE_INPUTS MODULES PYTHON
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/web/pages.sh
. "$here/pages.sh"
small="--tubelet 4,4,4 --hidden 16 --heads 2 --layers 1 --mlp 32 --batch-size 8 --threads 1 --quiet"
train() { # NAME DATA OPTION...
    name=$1 data=$2
    shift 2
    # shellcheck disable=SC2086
    "$program" train --data "$data" $small --out "$name" "$@" >/dev/null
}
compare_and_check() { # NAME RUN...
    name=$1
    shift
    "$program" compare "$@" --threads 1 --json --html "$name.html" >"$name.json"
    "$python" "$here/check_compare.py" "$name.html" "$name.json" "$@" || fail "the page of $name"
}
train a small.npz --epochs 3
train b small.npz --epochs 4 --lr 3e-3
train c small.npz --epochs 3 --seed 9
compare_and_check three a b c
# More runs than colours, twice: no two lines look alike.
compare_and_check many a b c a b c a b c a b c a b c a b c a b c a b c a b
train labels labels.npz --epochs 1
train labels2 labels.npz --epochs 1 --seed 3
compare_and_check labels labels labels2
train heads heads.npz --epochs 1 --task multi_head --head-classes 3,2
train heads2 heads.npz --epochs 1 --task multi_head --head-classes 3,2 --seed 3
compare_and_check heads heads heads2

# What eval prints of each run alone.
for run in a b c; do
    "$program" eval "$run" --json --threads 1 --quiet >>alone
done
"$python" - <<'END'
import json
alone = [json.loads(line) for line in open("alone")]
runs = json.load(open("three.json"))["runs"]
assert alone == runs, (alone, runs)
keys = [s["key"] for s in json.load(open("three.json"))["settings"]]
assert keys == ["seed", "epochs", "lr"], keys
END

# A run beside itself differs in nothing.
"$program" compare a a --json --threads 1 | grep -q '"top1":{"value":0.0,"low":0.0,"high":0.0}.*"only_first":0,"only_second":0,"p_value":1.0}.*"settings":\[\]' ||
    fail "a run is not like itself"
"$program" compare a b --threads 1 >text
grep -q '^Minus a, on the same samples' text || fail "no differences: $(cat text)"
grep -q '^  lr  *0.0001  0.003$' text || fail "no settings: $(cat text)"
if grep -q ' $' text; then fail "spaces at the end of a line"; fi

# The same samples with another label.
"$python" - <<'END'
import zipfile
with zipfile.ZipFile("small.npz") as old, zipfile.ZipFile("swapped.npz", "w") as new:
    for name in old.namelist():
        data = bytearray(old.read(name))
        if name == "test_labels.npy":
            data[-1] = 1 if data[-1] == 0 else 0
        new.writestr(name, bytes(data))
END
train swapped swapped.npz --epochs 1

refused() { # SENTENCE ARGUMENT...
    sentence=$1
    shift
    if "$program" compare "$@" >out 2>err; then fail "accepted: $*"; fi
    [ "$(wc -l <err)" = 1 ] || fail "not one line: $(cat err)"
    grep -q "$sentence" err || fail "$(cat err)"
}
refused 'needs two runs or more' a
refused 'answer different questions' a labels
train mh labels.npz --epochs 1 --task multi_head --head-classes 2,2,2
refused 'answer different questions: multi_label of 3 classes, and multi_head of 6' labels mh
refused 'a and swapped have other samples in their test splits' a swapped
# Folders are sorted by class: their labels are the same, whatever the seed of the split or the folder.
for seed in 1 2; do
    train "seed$seed" files --epochs 1 --split-seed "$seed" --frames 8 --height 8 --width 8
done
cp -r files others
train other others --epochs 1 --split-seed 1 --frames 8 --height 8 --width 8
refused 'seed1 and seed2 have other samples in their test splits' seed1 seed2 --quiet
refused 'seed1 and other have other samples in their test splits' seed1 other --quiet
"$program" compare seed1 seed2 --data files --threads 1 >text || fail "two split seeds, and one data set for both"
# shellcheck disable=SC2086
"$program" train --data small.npz $small --epochs 1 --folds 3 --out cv >/dev/null
refused 'cv/fold-0 and cv/fold-1 have other samples in their val splits' cv/fold-0 cv/fold-1 --split val
refused 'cv has several folds' a cv
refused 'is the best model of a fold' a cv/fold-0/best --data small.npz --split val
refused 'name one with --data' a b/best
refused 'could not be written' a b --html small.npz/page.html
refused 'missing: no such folder' a missing
echo "comparisons: fine"
