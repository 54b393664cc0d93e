/* SPDX-License-Identifier: Apache-2.0 */
/* Where a run goes: its default name, and the folders above it. */
#ifndef APP_PLACE_H
#define APP_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <tubelet/tubelet.h>

/* The folders above a run that this program made, to take them away again when the run can't begin.
 */
typedef struct place_parents {
    char path[TUB_PATH_LENGTH];
    size_t first; /* length of the topmost one that was made; 0: none */
} place_parents;

/* Makes the missing folders above the run; what goes wrong the library says when it makes the run
 * itself. */
void place_make_parents(place_parents *p, const char *run);
/* Removes them from the lowest up; a folder that something lies in stays. */
void place_remove_parents(place_parents *p);
/* "runs/adrenalmnist3d-1": the first number that is free. False when none is. */
bool place_default_run(const char *data, char *out, size_t size);

#endif
