/* SPDX-License-Identifier: Apache-2.0 */
/* What an open data set is made of, and the functions that fill one. */
#ifndef TUB__DATA_DATASET_H
#define TUB__DATA_DATASET_H

#include "base/context.h"
#include "data/built_in.h"
#include "formats/npy.h"
#include <tubelet/data.h>

struct tub_dataset {
    tub_context *ctx;
    tub_dataset_info info; /* its name is `name` below; labels are class_names or static */
    char **class_names;    /* [classes], of the file itself; NULL: none */
    char *name;
    char *source; /* opens the same data from any folder: a known name, or an absolute path */
    void *block[TUB_SPLITS];     /* what is freed: samples lie in it, perhaps after a file header */
    void *samples[TUB_SPLITS];   /* [count,T,H,W,C] */
    int32_t *labels[TUB_SPLITS]; /* [count, label_columns] */
    struct tub__file_set *files; /* samples lie in files of their own; NULL: in memory, above */
    struct {
        tub_frame_order order;
        uint64_t seed;
    } frames[TUB_SPLITS]; /* of a file set: how the frames of what is read are put */
};

enum { TUB__SPLIT_NAMES = 3 };
/* What a split is called in folders and tables: its own name for i 0, then those that other programs have for
 * it; NULL behind the last. */
const char *tub__split_name(tub_split split, int i);

/* Copies samples of a split to out, [count,T,H,W,C]: those of index[0 … count - 1], or from `first` on
 * where index is NULL. Of a file set they are the clips that prediction takes of the files. From any
 * thread, several at once. An error of a file names it. */
TUB_MUST_USE tub_status tub__dataset_read(const tub_dataset *data, tub_split split,
                                          const uint32_t *index, size_t first, size_t count,
                                          void *out, tub_error *err);
/* The same of samples in a row, without a copy where they lie in memory: *out points to them or to room,
 * which may be NULL then. */
TUB_MUST_USE tub_status tub__dataset_view(const tub_dataset *data, tub_split split, size_t first,
                                          size_t count, void *room, const void **out,
                                          tub_error *err);
/* Bytes of room that tub__dataset_view needs for so many samples; 0 where it copies nothing. */
size_t tub__dataset_view_room(const tub_dataset *data, size_t count);

/* Which sample of a training it is: everything drawn for it follows from this. */
typedef struct tub__sample_key {
    uint64_t seed;
    uint32_t epoch;
    uint32_t position; /* in the epoch's order */
    uint32_t index;    /* in the split */
} tub__sample_key;

/* What a training sample is made from: of a set in memory the sample itself; of a file set the frames
 * that are kept of the file, resized, which may be more and larger than the clip's. */
typedef struct tub__source {
    const void *samples; /* [frames,height,width,channels] */
    int64_t frames, height, width, channels;
    tub_dtype dtype;
    void *room; /* memory that later calls use again; freed by tub__source_free */
    size_t room_bytes;
} tub__source;
/* *source begins cleared and may be used for one sample after the other. From any thread, each with a source
 * of its own. */
TUB_MUST_USE tub_status tub__dataset_source(const tub_dataset *data, tub_split split, size_t index,
                                            tub__source *source, tub_error *err);
void tub__source_free(const tub_dataset *data, tub__source *source);
/* Facts of a data set whose samples are what an augmenter gets of it: of a set in memory the samples as they
 * are; of a file set clips [T,h,w,C], where h and w have the proportions of the clip's H and W, and the longer
 * one is as long as the short side of the frames that are kept. */
tub_dataset_info tub__dataset_source_info(const tub_dataset *data);
/* Such a sample of a file set's source: frames drawn by the key as the data set's sampling says, the middle
 * [h,w] of each. */
TUB_MUST_USE tub_status tub__source_frames(const tub_dataset *data, tub_split split,
                                           const tub__source *source, const tub__sample_key *key,
                                           void *out, tub_error *err);
/* The clip [T,H,W,C] of a source that nothing else is done to: the same, and the middle [H,W] of each. */
TUB_MUST_USE tub_status tub__source_clip(const tub_dataset *data, tub_split split,
                                         const tub__source *source, const tub__sample_key *key,
                                         void *out, tub_error *err);

/* Before many samples of a split are read: of a set of files, what the cache of clips lacks is made, with
 * TUB_EVENT_CLIPS. training: for tub__dataset_source, else for tub__dataset_read. Does nothing for a set in
 * memory, and is never needed. Not while others read. Errors of the first file that can't be read;
 * TUB_E_CANCELLED. */
TUB_MUST_USE tub_status tub__dataset_prepare(const tub_dataset *data, tub_split split,
                                             bool training, tub_error *err);
/* Tells what became of the cache since, on the thread that owns the context. */
void tub__dataset_tell(const tub_dataset *data);

/* Puts the frames of one sample into another order; spare: room for a frame. */
void tub__order_frames(const tub_dataset_info *info, tub_split split, size_t index,
                       tub_frame_order order, uint64_t seed, void *sample, void *spare);

/* What task the labels are of, and how many classes there are: columns of nothing but 0 and 1 are
 * labels, others are heads. Heads whose head_classes are there already have those, others what train
 * has. Error: TUB_E_SHAPE. */
TUB_MUST_USE tub_status tub__dataset_find_task(tub_dataset *data, tub_error *err);
/* Whether every label is below its number of classes: a class that training never sees can't be
 * predicted. Error: TUB_E_RANGE. */
TUB_MUST_USE tub_status tub__dataset_check_labels(const tub_dataset *data, tub_error *err);

/* Elements of one sample: T*H*W*C. The filling functions have checked that the product fits. */
size_t tub__dataset_elements(const tub_dataset_info *info);
/* Bytes of one sample. */
size_t tub__dataset_sample_bytes(const tub_dataset_info *info);
/* Classes of head i of the labels, 0 behind the last: labels that are there or not may be taken for
 * heads of two classes. */
int64_t tub__dataset_head(const tub_dataset_info *info, int i);
/* Bytes of one element of a type. */
size_t tub__dtype_bytes(tub_dtype dtype);

/* The caller's options over the defaults; given may be NULL. TUB_E_ARGUMENT when the struct's size
 * is none that was ever published. */
TUB_MUST_USE tub_status tub__dataset_options_read(const tub_dataset_options *given,
                                                  tub_dataset_options *out, tub_error *err);

/* Fill an empty data set; what was filled before a failure is freed by tub_dataset_close. */
TUB_MUST_USE tub_status tub__dataset_fill_built_in(tub_dataset *data, const tub__built_in *set,
                                                   tub_error *err);
TUB_MUST_USE tub_status tub__dataset_fill_npz(tub_dataset *data, const char *path, tub_error *err);

/* Takes the file's own class names, if it has any that can be used. Only memory can fail. */
TUB_MUST_USE tub_status tub__dataset_read_names(tub_dataset *data, tub__npz *z, tub_error *err);
void tub__dataset_free_names(tub_dataset *data);
/* Numbers the classes as the names are ordered (tub_dataset_options.class_names), and says so, where the data
 * have these names in another order, or of a set of files some of them. Else nothing changes. Only memory
 * can fail; the data set is not changed then. */
TUB_MUST_USE tub_status tub__dataset_follow(tub_dataset *data, const char *const *names,
                                            int64_t count, tub_error *err);

/* Inputs further from 0 than this are hardly meant, and levels that never get there are hardly seen. */
enum { TUB__FAR = 16 };
/* Warns of floats that reach the model far from 0 to 1. which: "train has", whose they are. */
void tub__warn_far_floats(tub_context *ctx, const char *name, const char *which, const float *v,
                          size_t n);

/* Samples of a split whose voxels are all equal; *first: the number of the first one, or -1. */
int64_t tub__dataset_constant(const tub_dataset *data, tub_split split, int64_t *first);
/* Counts the constant volumes of a filled one, and warns of what is most often a mistake. */
void tub__dataset_survey(tub_dataset *data);

#endif
