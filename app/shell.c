/* SPDX-License-Identifier: Apache-2.0 */
/* Words of suggested commands, quoted for a POSIX shell. */
#include "shell.h"

#include <errno.h>
#include <string.h>

/* What no shell gives a meaning to, wherever in a word it stands. */
static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                            "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                            "0123456789_@%+:,./-";

/* Within single quotes only ' itself means something: the quotes end before it and begin again
 * behind it. */
static void quote(char *out, const char *text) {
    *out++ = '\'';
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            memcpy(out, "'\\'", 3);
            out += 3;
        }
        *out++ = *text;
    }
    memcpy(out, "'", 2);
}

const char *shell_path(char out[SHELL_ROOM], const char *path) {
    char room[PATH_MAX + 2] = "./";
    size_t length = strlen(path);
    if (length >= PATH_MAX) {
        return path;
    }
    size_t before = path[0] == '-' ? 2 : 0;
    memcpy(room + before, path, length + 1);
    if (length > 0 && strspn(path, plain) == length) {
        memcpy(out, room, before + length + 1);
    } else {
        quote(out, room);
    }
    return out;
}

/* The C library keeps argv[0]; a caller may have left it empty. */
const char *shell_program(char out[SHELL_ROOM]) {
    const char *called = program_invocation_name;
    return shell_path(out, called != NULL && called[0] != '\0' ? called : "tubelet");
}
