/* SPDX-License-Identifier: Apache-2.0 */
/* The files that a data set is made of, where its samples lie in files of their own (docs/data.md). */
#ifndef TUBELET_FILES_H
#define TUBELET_FILES_H

#include <tubelet/data.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One sample: a file, a folder of pictures, or a part of one. Texts are the data set's. */
typedef struct tub_file {
    const char *name;    /* within the set: "train/cat/001.mp4" */
    const char *path;    /* that opens it */
    const char *group;   /* of a .csv; NULL: none */
    const char *problem; /* NULL; or why it can't be read and is left out */
    const char *damage;  /* NULL; or what opening the set met in it that can't be decoded */
    int64_t line;        /* of a .csv; 0: none */
    tub_split split;
    int64_t sample;        /* its number in the split; -1: left out */
    int32_t label;         /* its class */
    int32_t file;          /* from 0: parts of one file, and its names, have one number */
    int32_t group_number;  /* from 0; files of one group never cross splits */
    int64_t first, frames; /* of the part; 0 where it can't be read */
    int64_t height, width, channels;
    double rate;    /* frames a second, on average; 0: frames have no times */
    double seconds; /* of the part; 0 likewise */
} tub_file;

/* Files of the data set, those left out included; 0 of a set in memory. */
TUB_API int64_t tub_dataset_files(const tub_dataset *data);
/* One of them, numbered from 0 as the set lists them. Error: TUB_E_RANGE. */
TUB_API TUB_MUST_USE tub_status tub_dataset_file(const tub_dataset *data, int64_t number,
                                                 tub_file *out, tub_error *err);
/* How many files and folders lie beside those of classes and splits and are no part of the set; *first: the name of
 * one of them, or NULL. */
TUB_API int64_t tub_dataset_ignored(const tub_dataset *data, const char **first);
/* Number of the file that a sample is made of; -1 where there is none. */
TUB_API int64_t tub_dataset_sample_file(const tub_dataset *data, tub_split split, int64_t sample);
/* Another file of the same content in another split, the first there is; -1: none. Content is told by
 * size and MD5, and then compared. */
TUB_API int64_t tub_dataset_duplicate(const tub_dataset *data, int64_t number);
/* All files of one content that is in more than one split are a chain: *first is its first file (-1: `number` is in
 * none, or content of it is in one split only), and the value is the next behind `number` (-1: the last, or a file
 * that the chain has by another number, as of parts). */
TUB_API int64_t tub_dataset_same(const tub_dataset *data, int64_t number, int64_t *first);
/* A chain alike, of the files of one content (of parts: one part of it) that is in more than one class, whatever
 * their splits. */
TUB_API int64_t tub_dataset_other_class(const tub_dataset *data, int64_t number, int64_t *first);
/* Whether groups say more than that each file is one of its own. */
TUB_API int tub_dataset_has_groups(const tub_dataset *data);
/* Whether the splits are made by split_seed, because a set of files does not say them itself. */
TUB_API int tub_dataset_split_by_seed(const tub_dataset *data);
/* The options that the set was opened with, with what they left open filled in; NULL of a set in memory.
 * Valid until close. */
TUB_API const tub_clip_options *tub_dataset_clip(const tub_dataset *data);

#ifdef __cplusplus
}
#endif
#endif
