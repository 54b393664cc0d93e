/* SPDX-License-Identifier: Apache-2.0 */
/* Words of commands, quoted for a POSIX shell. */
#include "shell.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* What no shell gives a meaning to, wherever in a word it stands. */
static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                            "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                            "0123456789_@%+:,./-";

/* Within single quotes only ' itself means something: the quotes end before it and begin again
 * behind it. */
static char *quote(char *out, const char *text) {
    *out++ = '\'';
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            memcpy(out, "'\\'", 3);
            out += 3;
        }
        *out++ = *text;
    }
    memcpy(out, "'", 2);
    return out + 1;
}

/* An = within a word, as options have it, means nothing either. */
static bool is_plain(const char *text, bool option) {
    const size_t head = strspn(text, plain);
    const char *rest = text + head + (option && head > 0 && text[head] == '=');
    return head > 0 && strspn(rest, plain) == strlen(rest);
}

const char *shell_path(char out[SHELL_ROOM], const char *path) {
    char room[PATH_MAX + 2] = "./";
    size_t length = strlen(path);
    if (length >= PATH_MAX) {
        return path;
    }
    size_t before = path[0] == '-' ? 2 : 0;
    memcpy(room + before, path, length + 1);
    if (is_plain(path, false)) {
        memcpy(out, room, before + length + 1);
    } else {
        (void)quote(out, room);
    }
    return out;
}

char *shell_line(const char *name, int argc, char *const *argv) {
    static const char program[] = "tubelet ";
    size_t room = sizeof program + strlen(name);
    for (int i = 1; i < argc; i++) {
        room += 4 * strlen(argv[i]) + 3;
    }
    char *line = malloc(room);
    if (line == NULL) {
        return NULL;
    }
    char *end = stpcpy(stpcpy(line, program), name);
    for (int i = 1; i < argc; i++) {
        *end++ = ' ';
        end = is_plain(argv[i], true) ? stpcpy(end, argv[i]) : quote(end, argv[i]);
    }
    return line;
}

/* The C library keeps argv[0]; a caller may have left it empty. */
const char *shell_program(char out[SHELL_ROOM]) {
    const char *called = program_invocation_name;
    return shell_path(out, called != NULL && called[0] != '\0' ? called : "tubelet");
}
