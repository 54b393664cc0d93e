#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Two builds of the program, for whatever processors, must leave the same bits: weights and logs of short trainings, and predictions in
# float32, bf16 and int8. The first computes with the portable kernels, the definition; the other with its best.
# usage: same_files.sh MAKE_TINY PROGRAM OTHER_PROGRAM..., which may stand behind an emulator and its options
set -u
make_tiny=$1 ours=$2
shift 2
others=$*
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
passed=0
failed=0
"$make_tiny" "$work/tiny.npz" || exit 1

ours() { "$ours" "$@" --cpu portable --threads 2 --quiet; }
# shellcheck disable=SC2086
others() { $others "$@" --threads 2 --quiet; }

# result WHAT CONDITION...: counts one.
result() {
    what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        echo "ok: $what"
    else
        failed=$((failed + 1))
        echo "FAILED: $what"
    fi
}
differ() { ! cmp -s "$1" "$2"; }
without_time() { cut -d , -f "$(head -n 1 "$1" | tr , '\n' | grep -n -v -e seconds -e data_wait | cut -d : -f 1 | paste -s -d ,)" "$1"; }

# trained NAME OPTION...: the same training with both.
trained() {
    name=$1
    shift
    set -- train --data "$work/tiny.npz" --epochs 2 --hidden 24 --heads 3 --layers 2 --mlp 40 "$@"
    ours "$@" --out "$work/$name-1" >/dev/null && others "$@" --out "$work/$name-2" >/dev/null
    result "$name: the trainings end" [ $? = 0 ]
    for run in "$work/$name-1" "$work/$name-2"; do
        without_time "$run/log.csv" >"$run/log"
    done
    for file in model.safetensors best/model.safetensors log; do
        result "$name: $file" cmp "$work/$name-1/$file" "$work/$name-2/$file"
    done
}

# predicted NAME PRECISION: both predict with the model of the first.
predicted() {
    for who in ours others; do
        $who predict "$work/$1-1" "$work/tiny.npz:test_images" --json --precision "$2" | sed 's/"milliseconds":[^,]*,//' >"$work/$who"
    done
    result "$1: predictions in $2" cmp "$work/ours" "$work/others"
    result "$1: there are predictions in $2" grep -q probab "$work/ours"
}

trained short --tubelet 4,5,3 --batch-size 26 --optimizer adamw --weight-decay 0.01 --schedule cosine --warmup-epochs 1 --clip-norm 1 \
    --label-smoothing 0.1 --class-weights balanced --attention-dropout 0.2 --lr 2e-3
trained long --tubelet 2,2,3 --gelu erf --optimizer sgd --ranks 2 --micro-batch 4 # more than 64 tokens: the other attention
trained bf16 --tubelet 4,5,3 --precision bf16
result "negative control: bf16 gives other weights" differ "$work/short-1/model.safetensors" "$work/bf16-1/model.safetensors"
for precision in f32 bf16 int8; do
    predicted short $precision
    predicted long $precision
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
