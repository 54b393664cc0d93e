/* SPDX-License-Identifier: Apache-2.0 */
/* A data set whose samples lie in files of their own: what is known of each file, and how clips are made of
 * them. */
#ifndef TUB__DATA_FILE_SET_H
#define TUB__DATA_FILE_SET_H

#include "data/clip_file.h"
#include "data/dataset.h"
#include "data/file_list.h"
#include "picture/preprocess.h"
#include <tubelet/files.h>

enum { TUB__CLIP_FRAMES_DEFAULT = 16, TUB__CLIP_SIDE_DEFAULT = 112, TUB__CLIP_KEPT_DEFAULT = 64 };

/* What can be read of one item of the list. Surveys keep it as it lies in memory: it has no padding, and who changes it
 * raises LAYOUT of data/file_facts.c. */
typedef struct tub__item_facts {
    tub__clip_kind kind;
    tub_dtype dtype;
    int64_t height, width, channels;
    int64_t first, frames; /* the part's; 0 frames: not known */
    int64_t rate_numerator, rate_denominator;
    int64_t nanoseconds; /* of the part; 0: frames have no times */
    int32_t windowed;    /* its intensities have become levels */
    int32_t measured;    /* an array or volume, whose middle frame has values from low to high */
    float low, high;
} tub__item_facts;

/* What the survey has found out about it. */
typedef struct tub__file_entry {
    tub__item_facts facts;
    char content[33];    /* MD5 of size, first and last MiB */
    char *problem;       /* NULL; or why it is left out */
    char *damage;        /* NULL; or what the survey met that can't be decoded; the rest is used */
    _Atomic(char *) met; /* the same of reading, which several threads do; NULL: nothing */
} tub__file_entry;

/* Where an item went: of the whole as the list says, of a fold elsewhere. */
typedef struct tub__file_place {
    tub_split split;
    int64_t sample;    /* in its split; -1: left out */
    int64_t duplicate; /* item of the same content in another split; -1: none */
    /* Where one content is in more than one split: the first item that has it, and the next, each file once
     * for each of its splits; -1: none. */
    int64_t same_first, same_next;
    /* The same of content, to the part, that is of more than one class. */
    int64_t class_first, class_next;
} tub__file_place;

/* A fold has places, samples, groups, counts and a digest of its own; list, entries and what is kept are those of the
 * whole, which is there until the last of them is closed. */
typedef struct tub__file_set {
    tub_context *ctx;
    struct tub__file_set *whole; /* itself where it is no fold */
    size_t users;                /* of a whole: itself and its folds that are open */
    tub__file_list list;
    tub__file_entry *entries; /* [list.count] */
    tub__file_place *places;  /* [list.count] */
    uint32_t *sample
        [TUB_SPLITS]; /* items of a split's samples, in the list's order; of a fold as it is cut */
    int32_t *group[TUB_SPLITS]; /* [count]: their group numbers */
    int64_t count[TUB_SPLITS];  /* of samples */
    size_t broken;              /* items left out */
    tub_clip_options clip;      /* nothing open; resize 0: frames have the clip's size */
    int64_t channels;           /* of a clip */
    tub_dtype dtype;
    tub__preprocessing picture;  /* resizing and crop of evaluation's frames */
    bool picture_given;          /* it is a model's */
    struct tub__file_kept *kept; /* on the disk: data/file_kept.h */
    char digest[33];             /* of train and val, tub__file_set_digest */
} tub__file_set;

/* Opens what tub__is_file_list says yes to: lists, surveys, settles the clip. Fills data->info but for name, and
 * data->labels. */
TUB_MUST_USE tub_status tub__dataset_fill_files(tub_dataset *data, const char *path,
                                                const tub_dataset_options *options, tub_error *err);
void tub__file_set_close(tub__file_set *set); /* accepts NULL */

/* Looks at every file: facts, whether a frame can be read, content; on the context's threads. A file that
 * can't be read has a problem afterwards; only memory and modules make it fail. */
TUB_MUST_USE tub_status tub__file_set_survey(tub__file_set *set, tub_error *err);
/* Fills windowed, measured, low and high, of the part that first and frames say. */
TUB_MUST_USE tub_status tub__item_measure(tub__item_facts *facts, tub__clip_file *clip,
                                          tub_error *err);
/* Warns of values that no model makes much of. */
void tub__file_set_tell_levels(const tub__file_set *set, const char *name);
/* Finds files of one content in two splits or classes. */
TUB_MUST_USE tub_status tub__file_set_duplicates(tub__file_set *set, tub_error *err);
/* MD5 of the size of a file, its first and its last MiB; of a folder those of its files with their names. */
TUB_MUST_USE tub_status tub__content_digest(tub_context *ctx, const char *path, char hex[33],
                                            tub_error *err);
/* Whether two files are the same to the last byte; folders and members by their digests alone, which are taken to be
 * the same. */
bool tub__content_same_bytes(const char *a, const char *b);
/* Decides size, channels and type of the clips; leaves out files that do not fit. */
TUB_MUST_USE tub_status tub__file_set_settle(tub__file_set *set, const char *name, tub_error *err);

/* A fold, which shares everything with the whole but its samples: those of train and val that are of part `fold`
 * (part [train + val], train first) become val, the others train. On the thread that closes it and the whole. */
TUB_MUST_USE tub_status tub__file_set_fold(const tub__file_set *set, const int32_t *part,
                                           int32_t fold, tub__file_set **out, tub_error *err);
/* The groups of train and val, for folds: [train + val], train first. Files of one content are of one group, so
 * that none is validated by what was trained on. *any: a group has more than one sample. */
TUB_MUST_USE tub_status tub__file_set_groups(const tub__file_set *set, int32_t *group, bool *any,
                                             tub_error *err);

/* The sample's clip as evaluation sees it. */
TUB_MUST_USE tub_status tub__file_set_clip(const tub__file_set *set, tub_split split, size_t index,
                                           void *out, tub_error *err);
/* The frames that are kept of its file for training. */
TUB_MUST_USE tub_status tub__file_set_source(const tub__file_set *set, tub_split split,
                                             size_t index, tub__source *source, tub_error *err);
/* Height and width of what augmentation gets of frames whose short side is `resize` (0: the crop's longer
 * side) for clips of height x width. */
void tub__clip_source_size(int64_t height, int64_t width, int64_t resize, int64_t size[2]);
/* The same of a set's own. */
void tub__file_set_source_size(const tub__file_set *set, int64_t size[2]);
/* A training's clip of them: out [T,cut[0],cut[1],C], the middle of each frame. */
TUB_MUST_USE tub_status tub__file_set_draw(const tub__file_set *set, tub_split split,
                                           const tub__source *source, const tub__sample_key *key,
                                           const int64_t cut[2], void *out, tub_error *err);
tub__intensity_window tub__clip_window(const tub_clip_options *c);
/* Resizing of the frames, and the crop where it is asked for. */
tub__preprocessing tub__clip_picture(const tub_clip_options *c, bool crop);
/* Bytes that reading one sample takes at most: the frames that are kept of it, and the pictures that a decoder
 * holds. */
int64_t tub__file_set_memory(const tub__file_set *set);
/* Frames kept of an item. */
int64_t tub__file_set_kept(const tub__file_set *set, const tub__item_facts *facts);

/* Whether files were of intensities, which a window made levels of, or which are float32 still. */
bool tub__file_set_has_intensities(const tub__file_set *set);

/* What a training on the set depends on, as 32 hexadecimal digits: name, class, part and content of the
 * samples of train and val, in order. Not where the files lie. */
void tub__file_set_digest(const tub__file_set *set, char hex[33]);
/* The key of what is kept of one sample: content, part, and the options that change it. */
void tub__file_set_key(const tub__file_set *set, const tub__file_entry *entry, bool training,
                       char hex[33]);

#endif
