/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that the program suggests, as a POSIX shell takes them: quoted where a name needs it. */
#ifndef APP_SHELL_H
#define APP_SHELL_H

#include <limits.h>

/* Room for a quoted path: each ' becomes four characters. */
enum { SHELL_ROOM = 4 * PATH_MAX + 8 };

/* A file or folder as one word of a command: 'my run', and ./-x for a name that would be taken for an
 * option. Returns out; a word that is longer than any path, and could not be used, as it is. */
const char *shell_path(char out[SHELL_ROOM], const char *path);
/* The program as it was called: tubelet from the PATH, build/app/tubelet from its own place. Returns
 * out. */
const char *shell_program(char out[SHELL_ROOM]);

#endif
