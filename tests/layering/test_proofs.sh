#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The proofs of recipes hold on figures that they want, and on nothing else: what they call is played here. test_proofs.sh SOURCE
set -u
source=$1
command -v bash >/dev/null || { echo "skipped: no bash"; exit 0; }
root=$(mktemp -d) || exit 1
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/tools" "$root/build/app" "$root/build/src/modules" "$root/data" "$root/elsewhere"
cp "$source/tools/setup" "$source/tools/recipe-proof" "$source/tools/folds-proof" "$root/tools/"
# The folds that the program plays: the file of each, by its own val split.
cat >"$root/build/app/tubelet" <<'END'
#!/bin/sh
case $1 in
eval) [ -z "${BARREN-}" ] && echo '{"top1":{"value":0.9,"low":0.8,"high":1.0},"auc":{"value":0.9,"low":0.8,"high":1.0},"loss":{"value":0.3,"low":0.2,"high":0.4}}' || echo '{"top1":null}' ;;
info) echo "files                10" ;;
predict) echo file,index,class,label,truth,p0; fold=${2##*fold-}; echo "/v/$fold.mp4,0,0,a,0,1"; echo "/v/$((fold + ${SHIFT:-5})).mp4,1,0,a,0,1" ;;
esac
END
# Groups: 0 and 5, 1 and 6, and so on.
cat >"$root/tools/file-lists" <<'END'
#!/bin/sh
echo path,label,group
for i in 0 1 2 3 4 5 6 7 8 9; do echo "\"/v/$i.mp4\",a,\"g$((i % 5))\""; done
END
cat >"$root/tools/cross-validate" <<'END'
#!/bin/sh
echo "| recipe | folds | epochs | val AUC | val top-1 | seconds |"
echo "| --- | --- | --- | --- | --- | --- |"
[ -z "${OURS-}" ] || echo "| ours | ${FOLDS:-5} | 3 | $OURS | 0.5000 ± 0.1000 | 12 |"
echo "| base | 5 | 3 | 0.8000 ± 0.0100 | 0.6000 ± 0.1000 | 12 |"
END
chmod +x "$root"/tools/* "$root/build/app/tubelet"

failed=0
# expect CODE WHAT VARIABLE=VALUE... -- COMMAND...: whether it holds.
expect() {
    want=$1 what=$2
    shift 2
    (cd "$root/elsewhere" && env "$@" >"$root/out" 2>"$root/err")
    code=$?
    if { [ "$want" = holds ] && [ $code != 0 ]; } || { [ "$want" = fails ] && [ $code = 0 ]; }; then
        echo "FAILED $what: exit code $code"
        cat "$root/out" "$root/err"
        failed=1
    fi
}
recipe() { echo "$root/tools/recipe-proof set $1 ours.yaml base.yaml"; }
folds="$root/tools/folds-proof set data ours.yaml base.yaml"
# shellcheck disable=SC2046,SC2086
{
    expect holds "a recipe that is as good" OURS="0.8000 ± 0.0100" $(recipe auc)
    expect fails "one that is worse" OURS="0.7999 ± 0.0100" $(recipe auc)
    expect fails "one that is worse by another metric" OURS="0.9000 ± 0.0100" $(recipe top1)
    expect fails "a recipe without a row" OURS= $(recipe auc)
    expect fails "a recipe without a figure" OURS=- $(recipe auc)
    expect fails "a recipe of four folds" FOLDS=4 OURS="0.9000 ± 0.0100" $(recipe auc)
    expect fails "a metric that there is not" OURS="0.9000 ± 0.0100" $(recipe loss)
    expect fails "an evaluation without figures" BARREN=1 OURS="0.9000 ± 0.0100" $(recipe auc)
    expect holds "folds" OURS="0.7000 ± 0.0100" $folds
    expect fails "folds without a row" OURS= $folds
    expect fails "folds without a figure" OURS=- $folds
    expect fails "four folds" FOLDS=4 OURS="0.7000 ± 0.0100" $folds
    expect fails "a group in two folds" SHIFT=6 OURS="0.7000 ± 0.0100" $folds
    mv "$root/tools/setup" "$root/setup"
    expect fails "a recipe without what it sources" OURS="0.9000 ± 0.0100" $(recipe auc)
    expect fails "folds without what they source" OURS="0.7000 ± 0.0100" $folds
}
exit $failed
