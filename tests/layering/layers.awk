# SPDX-License-Identifier: Apache-2.0
# Reads the lines of table.awk, then sources given relative to the project's root, and prints one line for each #include that breaks a rule.
# Used as: awk -f layers.awk TABLE src/... app/... include/... ; says nothing when all is well.

function bad(text) { print FILENAME ":" FNR ": " text }

# Headers of libc, POSIX, Linux and the compiler; every other <header> is a third party's.
function is_system(header)
{
    return header ~ /^(assert|ctype|errno|fenv|float|inttypes|iso646|limits|locale|math|setjmp|signal|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|stdnoreturn|string|time|uchar|wchar|wctype)\.h$/ ||
        header ~ /^(sys|linux|netinet|arpa|asm)\// ||
        header ~ /^(alloca|argp|dirent|dlfcn|endian|err|fcntl|fnmatch|ftw|getopt|glob|grp|langinfo|libgen|malloc|netdb|poll|pthread|pwd|regex|sched|semaphore|spawn|strings|syslog|termios|unistd|wordexp)\.h$/ ||
        header ~ /^(arm_neon|cpuid|immintrin|xmmintrin|emmintrin|x86intrin)\.h$/
}

function layer_of(path,    parts)
{
    split(path, parts, "/")
    return parts[1] == "src" ? parts[2] : parts[1]
}

# The first file is the table.
NR == FNR {
    known[$1] = 1
    allowed[$1, $1] = 1
    for (i = 2; i <= NF; i++) allowed[$1, $i] = 1
    next
}

FNR == 1 {
    layer = layer_of(FILENAME)
    inside = FILENAME ~ /^src\//
    if (inside && !(layer in known)) bad("layer '" layer "' is not in docs/architecture.md")
}

# A choice made by what was installed when the file was compiled: modules are opened at run time instead.
/^[ \t]*#[ \t]*(if|ifdef|ifndef|elif).*(HAVE_|HAS_LIB|WITH_|ENABLE_|USE_|NO_CURL|NO_YAML)/ { bad("feature switch: " $0) }

/^[ \t]*#[ \t]*include[ \t]*"/ {
    header = $0
    sub(/^[^"]*"/, "", header)
    sub(/".*$/, "", header)
    split(header, part, "/")
    if (inside) {
        if (header !~ /\//) bad("\"" header "\": write the path from src/")
        else if (!((layer, part[1]) in allowed)) bad(layer " may not include " part[1] " (\"" header "\")")
        else if (header ~ /^backend\/cpu[\/.]/ && layer != "backend" && layer != "context")
            bad(layer " may know backend/backend.h only, not \"" header "\"")
    } else if (layer == "include") {
        bad("a public header includes \"" header "\": use <tubelet/...>")
    } else if (part[1] in known && header ~ /\// && layer != "tests") {
        bad("the program may use the public headers only, not \"" header "\"")
    }
}

/^[ \t]*#[ \t]*include[ \t]*</ {
    header = $0
    sub(/^[^<]*</, "", header)
    sub(/>.*$/, "", header)
    if (header ~ /^tubelet\// || is_system(header) || header == "cmocka.h" || header ~ /\.pb-c\.h$/) next
    if (layer == "include") bad("a public header includes a third party's <" header ">")
    where = (inside ? "src" : "app") SUBSEP header
    if (where in third && third[where] != FILENAME) bad("<" header "> is already the business of " third[where])
    third[where] = FILENAME
}
