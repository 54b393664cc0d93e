/* SPDX-License-Identifier: Apache-2.0 */
/* Starting from a trained model: a ViT of pictures, or a ViViT of other sizes or classes. */
#ifndef TUBELET_START_H
#define TUBELET_START_H

#include <tubelet/model.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the frames of a tubelet get of a kernel over pictures (Arnab et al. 2021, section 3.4). */
typedef enum tub_start_kernel {
    TUB_START_CENTRAL = 0, /* the frame in the middle all of it, the others nothing */
    TUB_START_AVERAGE,     /* each the same share (filter inflation) */
    TUB_START_ARP          /* weights of approximate rank pooling, which sum to nothing */
} tub_start_kernel;

/* How a table of positions gets another size: time, height and width each by itself. The table of a
 * picture has no time, so every time index gets it. */
typedef enum tub_start_positions {
    TUB_START_RESIZE = 0, /* linear between neighbours, ends on ends (scenic) */
    TUB_START_TILE,       /* the same for height and width; a clip's time indices are repeated */
    TUB_START_BICUBIC     /* cubic convolution, as transformers' interpolate_pos_encoding */
} tub_start_positions;

/* What factorised self-attention, whose blocks attend over time, too, starts that with, where the other
 * model does not have it. */
typedef enum tub_start_temporal {
    TUB_START_TEMPORAL_ZERO = 0, /* fresh, but for an output of zero: each time index by itself */
    TUB_START_TEMPORAL_COPY      /* a copy of the attention over space */
} tub_start_temporal;

typedef struct tub_start_options {
    size_t size; /* sizeof(tub_start_options) */
    tub_start_kernel kernel;
    tub_start_positions positions;
    tub_start_temporal temporal;
    int64_t clip[3]; /* T, H, W that a checkpoint of scenic was trained with, which it does not say;
                        0: not known */
} tub_start_options;
TUB_API tub_start_options tub_start_options_default(void);

/* What became of one array of the new model. */
typedef struct tub_start_array {
    char here[128], there[128]; /* names; there: "" where nothing is taken */
    int here_rank, there_rank;
    int64_t here_shape[5], there_shape[5]; /* as in model.safetensors */
    char what[96];                         /* "copied", "inflated (central frame)", "fresh", … */
} tub_start_array;

typedef struct tub_start_report {
    const char *kind;        /* "ViT of transformers", …; static storage */
    tub_model_config source; /* a ViT of pictures is a clip of one frame */
    int64_t count;           /* arrays */
    tub_start_array *arrays;
} tub_start_report;

/* The sizes and kinds of a model that starts from `path`, ready for changes: those of the model
 * there; after a ViT of pictures with tubelets of two frames and, should it become a factorised
 * encoder, four temporal layers, as the paper has them. path: a folder of transformers' ViT, a model
 * folder, a run folder, or a checkpoint of Flax: scenic's ViT or ViViT, vision_transformer's ViT.
 * Errors: as tub_model_start's about the path. */
TUB_API TUB_MUST_USE tub_status tub_start_config(tub_context *ctx, const char *path,
                                                 const tub_start_options *options,
                                                 tub_model_config *config, tub_error *err);

/* Fills a fresh float32 model from the one at `path`. Arrays that have nothing there stay as they are;
 * so does the classifier, unless both have as many classes, and the same names of them where both have
 * names. After a failure the model may have some arrays of both: close it. *report (may be NULL) is
 * freed by tub_start_report_free. Errors:
 * TUB_E_NOT_FOUND, TUB_E_FORMAT, TUB_E_RANGE (a damaged file), TUB_E_SHAPE (sizes that can't be made
 * to fit), TUB_E_UNSUPPORTED (int8 weights, another kind of model), TUB_E_ARGUMENT (a checkpoint that
 * needs `clip`). */
TUB_API TUB_MUST_USE tub_status tub_model_start(tub_model *model, const char *path,
                                                const tub_start_options *options,
                                                tub_start_report **report, tub_error *err);
TUB_API void tub_start_report_free(tub_context *ctx, tub_start_report *report); /* accepts NULL */

#ifdef __cplusplus
}
#endif
#endif
