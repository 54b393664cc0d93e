# SPDX-License-Identifier: Apache-2.0
# Reads the layer table of docs/architecture.md and prints "layer other other ..." lines: each layer and whom it may include.
BEGIN { FS = "|" }

/^\| `src\/[a-z]+\/`/ {
    layer = $2
    gsub(/[` ]|src\/|\//, "", layer)
    cell = $4
    gsub(/`/, "", cell)
    gsub(/ and /, ",", cell)
    n = split(cell, word, ",")
    line = layer
    for (i = 1; i <= n; i++) {
        gsub(/^ +| +$/, "", word[i])
        if (word[i] == "all above" || word[i] == "below") line = line before
        else if (word[i] == "backend.h") line = line " backend"
        else if (word[i] in seen) line = line " " word[i]
        else if (word[i] !~ /^(libc|POSIX|the library)$/) { print "unknown word in the table: '" word[i] "'" > "/dev/stderr"; exit 1 }
    }
    print line
    seen[layer] = 1
    before = before " " layer
}
