# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# For scripts of ./check over a Python library that may be missing: each has an environment of its own, outside the checkout.
# Before: here (this folder), environment (its place), wanted (the list of packages), title (what is installed), feature (what is tested
# with it).
python=$environment/bin/python

ready() { [ -x "$python" ] && cmp -s "$wanted" "$environment/installed.txt"; }

# Makes the environment with --prepare, or ends with 77 where there is none.
prepare_or_skip() {
    if [ "${1-}" = --prepare ]; then
        ready && exit 0
        echo "Installing $title in $environment" >&2
        if python3 -m venv "$environment" && "$python" -m pip install --quiet --requirement "$wanted" >"$environment/pip.log" 2>&1; then
            cp "$wanted" "$environment/installed.txt"
            exit 0
        fi
        echo "skipped: $title can't be installed (see $environment/pip.log)" >&2
        exit 1
    fi
    if ! ready; then
        echo "skipped: $feature (no environment in $environment; tests/interop/$(basename "$0") --prepare makes it)"
        exit 77
    fi
}

# A script of this folder with its arguments, in cmocka's words, so that ./check counts its checks one by one.
run_script() {
    script=$1
    shift
    out=$("$python" "$here/$script" "$@")
    code=$?
    printf '%s\n' "$out"
    printf '%s\n' "$out" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/[  PASSED  ] \1 test(s)./p'
    [ $code = 0 ] || echo "[  FAILED  ] $(printf '%s\n' "$out" | grep -c '^FAIL') test(s)"
    exit $code
}
