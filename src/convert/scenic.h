/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints of scenic's ViViT (Flax, MessagePack) as models. */
#ifndef TUB__CONVERT_SCENIC_H
#define TUB__CONVERT_SCENIC_H

#include "convert/file_array.h"
#include "model/model.h"

/* What a checkpoint does not say. All zero: find out from the arrays alone. */
typedef struct tub__scenic_hints {
    int64_t frames; /* T; with sampled frames (a kernel without time axis) the sampled ones */
    int64_t height, width; /* H, W: both or neither */
    int variant;           /* 1 to 4: where names fit two variants (1 and 4), this one; 0: 1 */
    tub_pooling pooling;   /* of a model without class token: mean, max or sum */
    tub_attention_order attention_order;  /* of variant 3 */
    tub_task task;                        /* how the outputs are read */
    int64_t head_classes[TUB_HEAD_LIMIT]; /* of multi_head */
    bool pixels_known;                    /* no warning about the scaling of pixels */
} tub__scenic_hints;

/* Reads a checkpoint into a model for the context's precision, everything checked as in a model
 * folder. Sizes are those of the arrays; the clip's from the number of positions and the hints:
 * frames give a square picture, a picture gives the frames; the factorised encoder's positions over
 * time give the frames, too. A kernel without time axis, where nothing is told and the positions make
 * up a square, is that of a ViT: one picture. Checkpoints don't tell mean, maximum and sum of the tokens apart, nor the
 * order of variant 3's attentions, nor whether the outputs are one softmax, sigmoids or several heads
 * (all three: the hints), nor how pixels were scaled, which a warning says. */
TUB_MUST_USE tub_status tub__scenic_open(tub_context *ctx, const char *path,
                                         const tub__scenic_hints *hints, tub_model **out,
                                         tub_error *err);
/* The same, and what the file has of each parameter: [params.count], the caller's (tub__free). */
TUB_MUST_USE tub_status tub__scenic_open_listed(tub_context *ctx, const char *path,
                                                const tub__scenic_hints *hints, tub_model **out,
                                                tub__file_array **arrays, tub_error *err);

#endif
