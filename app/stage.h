/* SPDX-License-Identifier: Apache-2.0 */
/* Files that appear together: they are made in a folder of their own beside their places, and get
 * their names when all of them are there. */
#ifndef APP_STAGE_H
#define APP_STAGE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

enum { STAGE_FILES = 16 /* at most */ };

typedef struct stage {
    char folder[PATH_MAX]; /* "PREFIX.tubelet.tmp-XXXXXX"; "": there is none */
    char prefix[PATH_MAX]; /* how the files' names begin */
} stage;

/* Begins files whose names begin with prefix. False, with errno: the folder can't be made. */
bool stage_begin(stage *s, const char *prefix);
/* Where the file of that name is made. False: too long a name. */
bool stage_path(const stage *s, const char *name, char out[PATH_MAX]);
/* Puts the names that files will have in place of those that they have. */
void stage_rename_in(const stage *s, char *sentence);
/* Gives the files their names, those of `names`, in that order. replace: in place of others; else
 * never. Returns NULL, or the name that one could not get, with errno: then all is as it was. */
const char *stage_commit(stage *s, const char *const *names, int count, bool replace);
/* Removes the folder and what is in it. Accepts one that is all zero. */
void stage_end(stage *s);

#endif
