/* SPDX-License-Identifier: Apache-2.0 */
/* Which attentions of a model are over what, and the files that they are written to. */
#ifndef TUB__EXPLAIN_HEADS_H
#define TUB__EXPLAIN_HEADS_H

#include "explain/question.h"
#include "explain/raw.h"
#include "model/variant.h"

/* What attention `number` of a layer of a tower is over; number as in tub__pass_heads. */
tub_axes tub__heads_axes(const tub_model_config *config, size_t tower, size_t number);

/* The arrays of a model's attentions, [layers, groups, heads, length, length] each, where there is
 * one group only without groups; those over space and those over time apart. */
typedef struct tub__head_files {
    const tub__question *q;
    tub__raw *raw[TUB_AXES_KINDS][2]; /* probabilities, and their gradients; NULL: none */
} tub__head_files;

/* Their names, for probabilities or gradients. */
const char *tub__heads_name(tub_axes axes, bool gradients);
/* Opens them where the options say so. gradients: those, too. */
TUB_MUST_USE tub_status tub__head_files_open(const tub__question *q, bool gradients,
                                             tub__head_files *out, tub_error *err);
/* Heads of a layer as tub__pass_heads gives them; nothing where none are open. */
TUB_MUST_USE tub_status tub__head_files_put(tub__head_files *f, const tub__variant_shape *shape,
                                            size_t layer, const tub__head_range *range,
                                            bool gradients, const float *values, tub_error *err);

#endif
