/* SPDX-License-Identifier: Apache-2.0 */
/* Data sets: named, from files, or generated; split into train, val and test; read as arrays of one
 * shape. */
#ifndef TUBELET_DATA_H
#define TUBELET_DATA_H

#include <tubelet/context.h>
#include <tubelet/sampling.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tub_dataset tub_dataset;

typedef enum tub_split { TUB_TRAIN = 0, TUB_VAL, TUB_TEST, TUB_SPLITS } tub_split;

/* What the labels of a sample are, and so what a model's K numbers mean (docs/data.md). */
typedef enum tub_task {
    TUB_TASK_DATA = 0,    /* as the data; of a model the same as the next */
    TUB_TASK_MULTI_CLASS, /* one of K classes: a softmax */
    TUB_TASK_MULTI_LABEL, /* each of K labels is there or not: K sigmoids */
    TUB_TASK_MULTI_HEAD, /* one class of each of several heads, such as verb and noun: softmaxes side
                             by side, K numbers in all */
    TUB_TASKS
} tub_task;
/* "multi_class", "multi_label" or "multi_head". */
TUB_API const char *tub_task_name(tub_task task);

enum { TUB_HEAD_LIMIT = 4 };

typedef enum tub_dtype { TUB_U8 = 0, TUB_F32, TUB_F64, TUB_DTYPES } tub_dtype;

typedef struct tub_dataset_info {
    const char *name;                        /* as asked for: "phantom3d", "adrenalmnist3d.npz" */
    const char *licence;                     /* NULL when not known; of files by MD5 */
    int64_t frames, height, width, channels; /* one sample is [T,H,W,C] */
    tub_dtype dtype;                         /* TUB_U8 or TUB_F32, of the samples */
    int64_t classes;                         /* K: of multi_head those of all heads */
    tub_task task;                           /* never TUB_TASK_DATA */
    int64_t label_columns; /* numbers in a sample's labels: 1, K or the number of heads */
    int64_t head_classes[TUB_HEAD_LIMIT]; /* of multi_head only; 0 behind the last head */
    const char *const *labels;            /* class names, [classes]; NULL when not known */
    int64_t count[TUB_SPLITS];            /* samples in each split; 0: no such split */
    int64_t constant[TUB_SPLITS];         /* samples whose voxels are all equal */
    int64_t left_out;                     /* of a set of files: those that can't be read */
    int64_t file_bytes; /* 0: samples are in memory; else reading one from its file takes so much at
                           most */
    int channels_first; /* non-zero: samples look like [C,T,H,W], which is read as [T,H,W,C] */
} tub_dataset_info;

/* How the clips of a set of files are made (docs/data.md). Sets in memory have none. */
typedef struct tub_clip_options {
    int64_t frames, height,
        width;             /* of a clip; 0: 16, 112 and 112, of arrays and volumes of one size
                                      that size */
    tub_sampling sampling; /* which frames of a file */
    int64_t stride;        /* of stride and linspace; 0: 1, and none */
    int64_t resize;     /* short side of the frames before they are cropped; 0: the larger of height
                              and width; not below it */
    int gray;           /* non-zero: one channel, of videos too */
    int64_t max_frames; /* that are kept of a file for training, at equal distances; 0: 64 */
    double intensity_window
        [2]; /* low, high: float32 samples of files, such as Hounsfield units, become
                                   uint8, low 0 and high 255; equal: they stay float32 */
} tub_clip_options;

typedef struct tub_dataset_options {
    size_t size;           /* sizeof(tub_dataset_options) */
    const char *data_url;  /* NULL: where the data set is published; else a mirror's folder that has
                             the same file names */
    int offline;           /* non-zero: never download */
    tub_clip_options clip; /* of sets of files */
    uint64_t split_seed;   /* of a set of files that does not say its splits */
    int quiet;             /* non-zero: files that can't be read are not told in warnings
                              (tub_dataset_file tells them) */
    int no_cache;          /* non-zero: of a set of files nothing is kept in the cache folder */
    int64_t cache_limit;   /* bytes of what is kept there of all of them; 20 GB by default */
    const struct tub__preprocessing *picture; /* from tub_model_dataset_options; else NULL */
    const char *const *class_names; /* [class_count]: the order that classes of these names are to
                                       have, whatever theirs is; NULL: their own. Of data whose names
                                       are others nothing changes. Of sets of files some may be
                                       missing */
    int64_t class_count;
} tub_dataset_options;
TUB_API tub_dataset_options tub_dataset_options_default(void);

/* Opens a data set: "phantom3d" or "motion" (generated), a MedMNIST3D name ("organmnist3d", "organmnist3d@64";
 * downloaded once and checked by MD5), the path of a .npz file with MedMNIST's keys, a folder of files
 * (DIR/CLASS/FILE or DIR/train/CLASS/FILE, with val, valid or validation and test beside train), or a .csv that lists files. options may
 * be NULL. Files that can't be read are left out, and told in warnings, at most 20. What the others hold is kept in the folder of downloads
 * (surveys/), so that it is found once; no_cache, or a cache_limit of 0, keeps and reads nothing. *out is the caller's and must be closed before the context. Errors: TUB_E_NOT_FOUND,
 * TUB_E_IO, TUB_E_FORMAT, TUB_E_SHAPE, TUB_E_RANGE (labels), TUB_E_CHECKSUM, TUB_E_NETWORK,
 * TUB_E_MODULE, TUB_E_MEMORY. */
TUB_API TUB_MUST_USE tub_status tub_dataset_open(tub_context *ctx, const char *name,
                                                 const tub_dataset_options *options,
                                                 tub_dataset **out, tub_error *err);
TUB_API void tub_dataset_close(tub_dataset *data); /* accepts NULL */

/* Facts; pointers stay valid until close. */
TUB_API const tub_dataset_info *tub_dataset_describe(const tub_dataset *data);
/* Samples of one split: count * T*H*W*C elements in C order, of the info's dtype; float data are as
 * in the file. NULL for an empty split, and where samples are read from files when they are needed
 * (tub_dataset_read works for both). Valid until close. */
TUB_API const void *tub_dataset_samples(const tub_dataset *data, tub_split split);
/* Copies `count` samples of one split, from number `first` on, to out: [count,T,H,W,C] of the info's
 * dtype. Of files: the clips that evaluation sees. Errors: TUB_E_ARGUMENT (no such samples); of files
 * those of reading them, which name the file. */
TUB_API TUB_MUST_USE tub_status tub_dataset_read(const tub_dataset *data, tub_split split,
                                                 int64_t first, int64_t count, void *out,
                                                 tub_error *err);
/* Labels of one split, [count, label_columns]: class indices, or 0 and 1 of multi_label. */
TUB_API const int32_t *tub_dataset_labels(const tub_dataset *data, tub_split split);

/* MD5 of all that training and validation see, by which a data set is known again wherever it lies:
 * shapes, counts, labels and samples of train and val. Takes two milliseconds per megabyte, less than
 * reading the file did. */
TUB_API void tub_dataset_digest(const tub_dataset *data, char hex[33]);
/* Cuts train and val together into parts for cross-validation, in which every class has about the
 * same share (docs/training.md). Files of one group, and files of one content, are never parted. part [count of
 * train + count of val], train first: 0 to folds - 1; follows from the labels, groups, folds and seed
 * alone. Errors: TUB_E_RANGE (fewer than 2 folds, or more than there are samples or groups),
 * TUB_E_MEMORY. */
TUB_API TUB_MUST_USE tub_status tub_dataset_folds(const tub_dataset *data, int64_t folds,
                                                  uint64_t seed, int32_t *part, tub_error *err);
/* One fold as a data set of its own: val are the samples of part `fold`, train all others of the
 * whole's train and val, test is the whole's. Samples keep their order. *out is a copy, the caller's,
 * and must be closed before the context. Of a set of files nothing is copied or read: the fold is
 * another view of its list and of the clips that are kept, with the frames in their original order;
 * both may be closed in any order, on one thread. Errors as tub_dataset_folds. */
TUB_API TUB_MUST_USE tub_status tub_dataset_fold(const tub_dataset *data, int64_t folds,
                                                 int64_t fold, uint64_t seed, tub_dataset **out,
                                                 tub_error *err);

/* In which order a model sees the frames of a clip: what a model makes of time shows in what changes
 * with it. */
typedef enum tub_frame_order {
    TUB_FRAMES_ORIGINAL = 0,
    TUB_FRAMES_SHUFFLED, /* each clip in an order of its own, all orders with the same chance */
    TUB_FRAMES_REVERSED
} tub_frame_order;
/* Puts the frames of every sample of one split into another order, in place: what
 * tub_dataset_samples gave before shows the new order. Of samples in files the order is that of what
 * tub_dataset_read gives from now on. Of frames shuffled, each sample's order
 * follows from (seed, split, index) alone. Errors: TUB_E_ARGUMENT, TUB_E_MEMORY (nothing has
 * changed then). */
TUB_API TUB_MUST_USE tub_status tub_dataset_order_frames(tub_dataset *data, tub_split split,
                                                         tub_frame_order order, uint64_t seed,
                                                         tub_error *err);
/* "original", "shuffled" or "reversed"; "unknown" of no order. */
TUB_API const char *tub_frame_order_name(tub_frame_order order);
TUB_API TUB_MUST_USE tub_status tub_frame_order_parse(const char *text, tub_frame_order *out,
                                                      tub_error *err);

/* "train", "val" or "test". */
TUB_API const char *tub_split_name(tub_split split);
/* The same names; "valid" and "validation" are val, too. Error: TUB_E_ARGUMENT. */
TUB_API TUB_MUST_USE tub_status tub_split_parse(const char *text, tub_split *out, tub_error *err);

/* Volumes to classify, read from one argument of the command line: a .npy of one volume [T,H,W],
 * [T,H,W,C] or a stack [N,T,H,W(,C)], a .npz with one array, or "file.npz:member" with an optional
 * "[i]" or "[i:j]" ("adrenal.npz:test_images[5]"). */
typedef struct tub_volumes {
    tub_context *owner;
    int64_t count, frames, height, width, channels;
    tub_dtype dtype; /* TUB_U8 or TUB_F32 */
    int64_t first;   /* index in the file of the first volume */
    void *data;      /* [count,T,H,W,C] */
    int32_t
        *truth; /* [count, truth_columns] labels when the file has them for this member, or NULL */
    int64_t truth_columns;
    const char *const
        *labels;     /* names of the truth's classes, of a published file; static; or NULL */
    int64_t classes; /* how many names */
} tub_volumes;
/* Floats far from 0 to 1 are told in a warning. want: the [T,H,W,C] of the model, to tell one [T,H,W,C] volume from a stack [N,T,H,W]; may be
 * NULL. Free with tub_volumes_free. Errors: TUB_E_NOT_FOUND, TUB_E_FORMAT, TUB_E_SHAPE, TUB_E_RANGE
 * (index). */
TUB_API TUB_MUST_USE tub_status tub_volumes_read(tub_context *ctx, const char *argument,
                                                 const int64_t want[4], tub_volumes *out,
                                                 tub_error *err);
TUB_API void tub_volumes_free(tub_volumes *v);

/* Known downloads. */
typedef struct tub_known_dataset {
    const char *name;  /* "organmnist3d" */
    const char *file;  /* "organmnist3d.npz" */
    const char *title; /* one line */
    const char *licence;
    int64_t classes;
    int64_t count[TUB_SPLITS];
} tub_known_dataset;
/* The table of data sets that tub_dataset_open knows by name; *n entries, static storage. */
TUB_API const tub_known_dataset *tub_known_datasets(size_t *n);
/* The name of a generated data set, which needs no download; NULL from index 2 on. Static storage. */
TUB_API const char *tub_built_in_dataset(size_t index);
/* Downloads a known data set into the cache unless it lies there whole; writes its path (caller's
 * buffer). Resumes a broken transfer; checks the MD5. Errors as tub_dataset_open. */
TUB_API TUB_MUST_USE tub_status tub_fetch(tub_context *ctx, const char *name,
                                          const tub_dataset_options *options, char *path,
                                          size_t path_size, tub_error *err);

#ifdef __cplusplus
}
#endif
#endif
