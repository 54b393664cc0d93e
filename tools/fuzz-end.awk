# SPDX-License-Identifier: Apache-2.0
# Whose fault it is that a fuzz target ended, by what the sanitizer said of it: "ours", or "library KIND FUNCTION" for an end inside libhdf5.
# Whoever was called last is at fault, unless the memory that was overrun is a block that we made: then we said a wrong size.

function is_library(frame) { return frame ~ /libhdf5/ }
function is_project(frame) { return frame ~ /\/(src|tests)\/[^ ]*\.[ch]:[0-9]/ }

/ERROR: (AddressSanitizer|libFuzzer): / {
    said = $0
    sub(/.*ERROR: (AddressSanitizer|libFuzzer): /, "", said)
    split(said, words, " ")
    sub(/:$/, "", words[1])
    if (kind == "") kind = words[1]
}
/runtime error: / { verdict = "ours" }
/allocated by thread/ { block = 1; next }
/^ *#[0-9]+ / && block && maker == "" {
    maker = is_library($0) ? "library" : is_project($0) ? "ours" : ""
}
/^ *#[0-9]+ / && !block {
    if (verdict == "") verdict = is_library($0) ? "library" : is_project($0) ? "ours" : ""
    if (verdict == "library" && name == "" && $4 ~ /^H5/) name = $4
}
END {
    if (verdict == "library" && maker != "ours") print "library", kind, name == "" ? "?" : name
    else print "ours"
}
