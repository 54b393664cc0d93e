/* SPDX-License-Identifier: Apache-2.0 */
/* Commands as a POSIX shell takes them, those that the program suggests and its own: quoted where a word
 * needs it. */
#ifndef APP_SHELL_H
#define APP_SHELL_H

#include <limits.h>

/* Room for a quoted path: each ' becomes four characters. */
enum { SHELL_ROOM = 4 * PATH_MAX + 8 };

/* A file or folder as one word of a command: 'my run', and ./-x for a name that would be taken for an
 * option. Returns out; a word that is longer than any path, and could not be used, as it is. */
const char *shell_path(char out[SHELL_ROOM], const char *path);
/* "tubelet NAME" and the words argv[1] to argv[argc - 1] behind it, as a shell takes them; free() it. NULL:
 * no memory. */
char *shell_line(const char *name, int argc, char *const *argv);
/* The program as it was called: tubelet from the PATH, build/app/tubelet from its own place. Returns
 * out. */
const char *shell_program(char out[SHELL_ROOM]);

#endif
