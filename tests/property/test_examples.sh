#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the two example programs: a small training, then predictions with its model; and that mistakes end with a sentence.
set -eu
make_tiny=$1 train=$2 predict=$3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() {
    echo "FAIL: $1" >&2
    exit 1
}
"$make_tiny" "$folder/tiny.npz"
"$train" "$folder/tiny.npz" "$folder/run" epochs=12 batch_size=8 lr=2e-3 model.tubelet=4,5,3 model.hidden=24 \
    model.heads=3 model.layers=2 model.mlp=40 >"$folder/out"
cat "$folder/out"
grep -q '^epoch 12 of 12: loss' "$folder/out" || fail "no line for the last epoch"
grep -q '^72 steps; the best epoch was' "$folder/out" || fail "no result"
"$predict" "$folder/run" "$folder/tiny.npz:test_images[2:5]" >"$folder/out"
cat "$folder/out"
[ "$(grep -c '^volume [234]: class [0-4].*, probability 0\.' "$folder/out")" = 3 ] || fail "not three predictions"
if "$train" "$folder/tiny.npz" "$folder/run" 2>"$folder/err"; then fail "an existing run was replaced"; fi
grep -q 'exists already' "$folder/err" || fail "no sentence about the existing run"
if "$train" "$folder/tiny.npz" "$folder/other" epoch=3 2>"$folder/err"; then fail "an unknown key was taken"; fi
grep -q "did you mean 'epochs'" "$folder/err" || fail "no suggestion"
[ ! -e "$folder/other" ] || fail "a folder was made in spite of the mistake"
if "$predict" "$folder/run" "$folder/missing.npy" 2>"$folder/err"; then fail "a missing file was read"; fi
grep -q 'missing.npy' "$folder/err" || fail "no sentence about the missing file"
