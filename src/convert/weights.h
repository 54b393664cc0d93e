/* SPDX-License-Identifier: Apache-2.0 */
/* The arrays of a model folder: one model.safetensors, or several files that
 * model.safetensors.index.json names. */
#ifndef TUB__CONVERT_WEIGHTS_H
#define TUB__CONVERT_WEIGHTS_H

#include "formats/safetensors.h"

typedef struct tub__weights_entry {
    const tub__st_array *array;
    const tub__st_file *file;
} tub__weights_entry;

typedef struct tub__weights {
    char *path; /* of model.safetensors, or of the index: for sentences */
    tub__st_file *files;
    char **names; /* [file_count], the files' */
    size_t file_count;
    tub__weights_entry *entries; /* sorted by name, none twice */
    size_t count;
    const tub_allocator *allocator;
} tub__weights;

/* Opens all files of a folder, and checks each as tub__st_open does and all against the index: a name
 * that leaves the folder, a file or an array that is missing, an array in two files or in none of the
 * index are errors. Sentences begin with the path. */
TUB_MUST_USE tub_status tub__weights_open(const tub_allocator *a, const char *folder,
                                          tub__weights *out, tub_error *err);
/* The names alone, of an index that may lie without its files: path, names and file_count are set. */
TUB_MUST_USE tub_status tub__weights_list(const tub_allocator *a, const char *index,
                                          tub__weights *out, tub_error *err);
void tub__weights_close(tub__weights *w);
const tub__weights_entry *tub__weights_find(const tub__weights *w, const char *name);

#endif
