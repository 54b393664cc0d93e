/* SPDX-License-Identifier: Apache-2.0 */
/* The model that another one starts from. Whatever it was written as, here it is a model: a ViT of
 * pictures is a ViViT of clips of one frame, cut into tubelets of one frame. */
#ifndef TUB__CONVERT_START_SOURCE_H
#define TUB__CONVERT_START_SOURCE_H

#include "convert/file_array.h"
#include "model/model.h"
#include <tubelet/start.h>

typedef struct tub__source {
    const char *kind;        /* "ViT of transformers", …; static storage */
    tub_model *model;        /* float32 */
    bool image;              /* a ViT of pictures */
    bool classifier;         /* false: the model's is fresh */
    tub__file_array *arrays; /* Flax' names, [params.count]; NULL: safetensors */
    const char *from, *to;   /* of safetensors' names: the beginning here, and there */
} tub__source;

/* Reads the whole model; sentences begin with the path. */
TUB_MUST_USE tub_status tub__source_open(tub_context *ctx, const char *path,
                                         const tub_start_options *options, tub__source *out,
                                         tub_error *err);
/* Name of an array there. */
void tub__source_name(const tub__source *s, const tub__param *p, char *out, size_t size);
void tub__source_close(tub__source *s); /* accepts a cleared one */

#endif
