#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The server's page: its files by check_page.py, and, where there are Chromium, its driver and selenium, in a browser by browse_page.py.
#   page.sh --prepare          makes a Python environment with selenium, outside the checkout, where it is not there
#   page.sh TUBELET MAKE_INPUTS MODULES PYTHON SOURCES [PICTURES]    PICTURES: a folder that keeps the pictures of the screens
set -eu
here=$(cd "$(dirname "$0")" && pwd)
environment=${TUBELET_SELENIUM:-${XDG_CACHE_HOME:-$HOME/.cache}/tubelet-selenium}
selenium=$environment/bin/python
wanted=$here/requirements-page.txt

ready() { [ -x "$selenium" ] && cmp -s "$wanted" "$environment/installed.txt"; }

if [ "${1-}" = --prepare ]; then
    if ready; then exit 0; fi
    echo "Installing selenium in $environment" >&2
    if python3 -m venv "$environment" && "$selenium" -m pip install --quiet --requirement "$wanted" >"$environment/pip.log" 2>&1; then
        cp "$wanted" "$environment/installed.txt"
        exit 0
    fi
    echo "skipped: selenium can't be installed (see $environment/pip.log)" >&2
    exit 1
fi

program=$(readlink -f "$1") make_inputs=$(readlink -f "$2") python=$4 sources=$5 pictures=${6-}
export TUBELET_MODULES="$3" LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"$make_inputs"
"$MAKE_DAY_MODEL" day

# result COMMAND...: runs checks whose last line is "N passed, N failed", and says it in cmocka's words, so that ./check counts each.
code=0
result() {
    "$@" >out 2>&1 || code=1
    cat out
    sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/[  PASSED  ] \1 test(s)./p' out
    failures=$(sed -n 's/^[0-9]* passed, \([1-9][0-9]*\) failed$/\1/p' out)
    [ -z "$failures" ] || echo "[  FAILED  ] $failures test(s)"
}
result "$python" "$here/check_page.py" "$program" "$sources" day

if ! ready; then
    echo "skipped: the page in a browser (no environment in $environment; tests/web/page.sh --prepare makes it)"
    exit $code
fi
if ! command -v chromedriver >/dev/null || ! command -v chromium >/dev/null; then
    echo "skipped: the page in a browser (needs the packages chromium and chromium-driver)"
    exit $code
fi
# train NAME DATA OPTION...
train() {
    name=$1 data=$2
    shift 2
    "$program" train --data "$data" --batch-size 8 --threads 1 --epochs 2 --out "$name" --quiet "$@" >/dev/null
}
small="--tubelet 4,4,4 --hidden 16 --heads 2 --layers 1 --mlp 32"
# shellcheck disable=SC2086
train classes small.npz $small
# shellcheck disable=SC2086
train heads heads.npz $small --task multi_head --head-classes 3,2
train baseline small.npz --model cnn-frame --filters 4 --stages 2
"$MAKE_VIDEO" film.webm libvpx yuv420p 160x120 150 10 'levels=10*50,220*50,10*50'
"$MAKE_VIDEO" dark.gif gif gray 16x16 30 10 'levels=30*15,10*15'
head -c 3000 film.webm >cut.webm
echo "no video" >broken.mp4
result "$selenium" "$here/browse_page.py" "$program" "$folder" ${pictures:+"$pictures"}
exit $code
