/* SPDX-License-Identifier: Apache-2.0 */
/* Models to and from the files of other programs. */
#ifndef TUBELET_CONVERT_H
#define TUBELET_CONVERT_H

#include <tubelet/model.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Kinds of files that hold a model. */
typedef enum tub_convert_kind {
    TUB_CONVERT_FOLDER = 0,    /* model folder, of this program or of transformers'
                                  VivitForVideoClassification */
    TUB_CONVERT_ENCODER,       /* folder of transformers' VivitModel: no classifier */
    TUB_CONVERT_KERAS,         /* .keras of Keras 3, with the model of its video example */
    TUB_CONVERT_KERAS_WEIGHTS, /* .weights.h5, the arrays alone */
    TUB_CONVERT_SCENIC,        /* checkpoint of scenic (Flax, MessagePack): read only */
    TUB_CONVERT_ONNX           /* .onnx, the forward pass as a graph: written only */
} tub_convert_kind;
/* "folder", "encoder", "keras", "keras-weights", "scenic" or "onnx". Static storage. */
TUB_API const char *tub_convert_kind_name(tub_convert_kind kind);

/* Which GELU a file means that does not say it. */
typedef enum tub_convert_gelu {
    TUB_CONVERT_GELU_USUAL = 0, /* what the program trains with: tanh for Keras */
    TUB_CONVERT_GELU_TANH,
    TUB_CONVERT_GELU_ERF
} tub_convert_gelu;

/* How the pixels were scaled that a model was trained on, where no file says it. */
typedef enum tub_convert_pixels {
    TUB_CONVERT_PIXELS_UNKNOWN = 0, /* 0 to 1, with a warning where that is a guess */
    TUB_CONVERT_PIXELS_UNIT,        /* 0 to 1 */
    TUB_CONVERT_PIXELS_SIGNED       /* -1 to 1 */
} tub_convert_pixels;

typedef struct tub_convert_options {
    size_t size; /* sizeof(tub_convert_options) */
    tub_convert_gelu gelu;
    /* A preset or model folder that has what a file can't say, such as the clip's size; NULL:
     * none. */
    const char *like;
    int dry_run; /* 1: read and check everything, write nothing */
    /* What a checkpoint of scenic does not say; each goes before `like`. */
    int64_t frames;        /* T; 0: found out */
    int64_t height, width; /* H, W: both or neither */
    int variant; /* 1 to 4; 0: by its arrays, and where they fit two, as `like` says, else 1 */
    const tub_pooling *pooling; /* of a model without class token; NULL: as `like`, else the mean */
    const tub_attention_order *attention_order; /* of variant 3; NULL: as `like`, else time_space */
    tub_task task; /* how the outputs are read; TUB_TASK_DATA: as `like`, else one softmax */
    int64_t head_classes[TUB_HEAD_LIMIT]; /* of multi_head: they add up to the outputs; 0 behind */
    /* Of what becomes a folder; not of folders, which say it themselves. */
    tub_convert_pixels pixels;
    /* How a folder is written. */
    int encoder_only; /* 1: without the classifier, for transformers' VivitModel */
    int newer_names; /* 1: arrays named as by newer transformers modules, instead of as published */
    int64_t shard_size; /* most bytes of arrays in a file; 0: all in one */
    /* How an ONNX file is written. */
    int uint8_input; /* 1: the graph takes uint8 of the model's size, and does the scaling itself */
    int external_data; /* 1: arrays in OUT.data beside it, as they are anyway from 1.8 GB on */
} tub_convert_options;
TUB_API tub_convert_options tub_convert_options_default(void);

/* One array in two files. Where one of the two is a model folder, `here` is that one, and `there` the
 * other program's; else `there` is what is read, and `here` what is written. */
typedef struct tub_convert_array {
    char there[192], here[192];
    int there_rank, here_rank;
    int64_t there_shape[5], here_shape[5];
    const char *order; /* what happens to the axes on the way here */
} tub_convert_array;

typedef struct tub_convert_report {
    tub_convert_kind from, to;
    tub_model_config config;
    int64_t parameters; /* of the arrays */
    int64_t count;      /* arrays */
    tub_convert_array *arrays;
    int moments;        /* 1: with the state of Adam */
    int64_t iterations; /* of it */
    int checked;        /* 1: what was written gives the same bits (see tub_convert) */
    const char *note;   /* lines that the other program needs before it loads the result, or NULL */
} tub_convert_report;

/* What kind of model lies at a path, by what is in it. Errors: TUB_E_NOT_FOUND, TUB_E_FORMAT (none
 * that is known; the sentence names those), TUB_E_MEMORY. */
TUB_API TUB_MUST_USE tub_status tub_convert_detect(tub_context *ctx, const char *path,
                                                   tub_convert_kind *out, tub_error *err);
/* Whether a path by its name is to become a file of Keras: .keras, .weights.h5. Of others .onnx is to
 * become an ONNX file, and what is left a model folder. */
TUB_API int tub_convert_knows(const char *path);

/* Turns a model of any kind (found by tub_convert_detect) into another, by the name of out. *report (may
 * be NULL) is freed by tub_convert_report_free. The state of Adam goes along where there is one; in a
 * folder it is optimizer.safetensors, in a run folder the checkpoint's, which belongs to the last
 * weights. Folders that out is to lie in are made.
 *
 * What was written is read again before it gets its name: every array, and the logits of a fixed
 * clip, must be the same bits in both; else nothing is written. Of an ONNX file, which has no state
 * of Adam and is not run here, the graph must be the one that was meant, and every array the same
 * bits. Nothing is ever half written either. After tub_train_stop it ends with TUB_E_CANCELLED and
 * leaves nothing.
 *
 * Errors: TUB_E_EXISTS (out is there, or came to be meanwhile: nothing is replaced), TUB_E_ARGUMENT
 * (options that contradict each other, the file or out, or say nothing of it; a name that Keras would not
 * load; sizes that a file can't say missing; a context of another precision than float32), TUB_E_MODULE
 * (mod-hdf5, mod-onnx), TUB_E_NOT_FOUND, TUB_E_FORMAT, TUB_E_SHAPE, TUB_E_RANGE (no kind that is known; a
 * damaged file), TUB_E_UNSUPPORTED (another model than the program's example; a model that has no form
 * there), TUB_E_NUMERIC (what was written is not the same), TUB_E_CANCELLED. */
TUB_API TUB_MUST_USE tub_status tub_convert(tub_context *ctx, const char *in, const char *out,
                                            const tub_convert_options *options,
                                            tub_convert_report **report, tub_error *err);
TUB_API void tub_convert_report_free(tub_context *ctx, tub_convert_report *report);

#ifdef __cplusplus
}
#endif
#endif
