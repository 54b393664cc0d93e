/* SPDX-License-Identifier: Apache-2.0 */
/* Models to and from the files of other programs. */
#ifndef TUBELET_CONVERT_H
#define TUBELET_CONVERT_H

#include <tubelet/model.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Which GELU a file means that does not say it. */
typedef enum tub_convert_gelu {
    TUB_CONVERT_GELU_USUAL = 0, /* what the program trains with: tanh for Keras */
    TUB_CONVERT_GELU_TANH,
    TUB_CONVERT_GELU_ERF
} tub_convert_gelu;

typedef struct tub_convert_options {
    size_t size; /* sizeof(tub_convert_options) */
    tub_convert_gelu gelu;
    /* A preset or model folder that has what a file of mere weights can't say, such as the clip's
     * size; NULL: none. */
    const char *like;
    int dry_run; /* 1: read and check everything, write nothing */
} tub_convert_options;
TUB_API tub_convert_options tub_convert_options_default(void);

/* One array there (in the other program's file) and here (in model.safetensors). */
typedef struct tub_convert_array {
    char there[160];
    const char *here;
    int there_rank, here_rank;
    int64_t there_shape[5], here_shape[5];
    const char *order; /* what happens to the axes on the way here */
} tub_convert_array;

typedef struct tub_convert_report {
    const char *format; /* "keras" */
    tub_model_config config;
    int64_t parameters;
    int64_t count; /* arrays */
    tub_convert_array *arrays;
    int moments;        /* 1: with the state of Adam */
    int64_t iterations; /* of it */
    const char *note;   /* lines that the other program needs before it loads the result, or NULL */
} tub_convert_report;

/* Whether a path is, or by its name is to become, a file of another program: .keras,
 * .weights.h5. */
TUB_API int tub_convert_knows(const char *path);

/* Turns a file into a model folder, a model folder (or run folder) into a file, or one kind of file
 * into another, by the names. *report (may be NULL) is freed by tub_convert_report_free. The state
 * of Adam goes along where there is one; in a folder it is optimizer.safetensors, in a run folder
 * the checkpoint's, which belongs to the last weights. Folders that out is to lie in are made.
 * Errors: TUB_E_EXISTS (out is there, or came to be meanwhile: nothing is replaced), TUB_E_ARGUMENT
 * (neither is a file of another program; no `like` for mere weights, or one for anything else;
 * `gelu` contradicts file or folder; out ends in .h5 and not in .weights.h5; a context of another
 * precision than float32), TUB_E_MODULE (mod-hdf5), TUB_E_FORMAT, TUB_E_SHAPE, TUB_E_RANGE (a
 * damaged file), TUB_E_UNSUPPORTED (another model than the program's example; a model that has no
 * form there). */
TUB_API TUB_MUST_USE tub_status tub_convert(tub_context *ctx, const char *in, const char *out,
                                            const tub_convert_options *options,
                                            tub_convert_report **report, tub_error *err);
TUB_API void tub_convert_report_free(tub_context *ctx, tub_convert_report *report);

#ifdef __cplusplus
}
#endif
#endif
