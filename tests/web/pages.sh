#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the tests of pages begin with; their arguments: TUBELET MAKE_INPUTS MODULES PYTHON. They then are in a folder of their own with the inputs.
# shellcheck disable=SC2034 # for who sources this
program=$(readlink -f "$1") make_inputs=$(readlink -f "$2") python=$4
export TUBELET_MODULES="$3" LC_ALL=C PYTHONDONTWRITEBYTECODE=1 PYTHONIOENCODING=utf-8
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
"$make_inputs"
fail() {
    echo "FAIL: $1" >&2
    exit 1
}
