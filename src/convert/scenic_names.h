/* SPDX-License-Identifier: Apache-2.0 */
/* The arrays of scenic's four ViViT variants: names and shapes there, and which array each is here. */
#ifndef TUB__CONVERT_SCENIC_NAMES_H
#define TUB__CONVERT_SCENIC_NAMES_H

#include "model/params.h"

enum { TUB__SCENIC_NAME_LIMIT = 128, TUB__SCENIC_TOWERS = 2 };

/* One array. Its shape is a word of letters: D width, A heads, k width of a head, M width of the MLP,
 * K classes, R width of the representation, t h w C of a tubelet, P positions (class token included), Q those of
 * the temporal transformer, 1 itself. Kernels are
 * [in, out] whatever their rank: in C order each is the matrix [rows, cols] of the parameter table. */
typedef struct tub__scenic_array {
    char name[TUB__SCENIC_NAME_LIMIT];
    char other[TUB__SCENIC_NAME_LIMIT]; /* before Flax numbered layers by kind, or in
                                           vision_transformer; "": the same */
    const char *shape;
    tub__role role;
    int layer; /* -1: none */
} tub__scenic_array;

typedef struct tub__scenic_variant {
    int number; /* the paper's */
    tub_variant variant;
    const char *title;
    const char *towers[TUB__SCENIC_TOWERS]; /* where their names begin; NULL: no second */
    /* Of each tower: its class token (NULL: never any) and its arrays outside the layers; and those of
     * a layer. */
    const struct tub__scenic_part *tokens[TUB__SCENIC_TOWERS], *parts[TUB__SCENIC_TOWERS],
        *layer_parts;
} tub__scenic_variant;

/* How much of a variant there is. */
typedef struct tub__scenic_extent {
    int layers[TUB__SCENIC_TOWERS];
    bool token, representation;
} tub__scenic_extent;

/* Variant 1 to 4; NULL for another number. */
const tub__scenic_variant *tub__scenic_variant_of(int number);

/* An array that each layer of a tower has, for counting them. */
void tub__scenic_layer_mark(const tub__scenic_variant *v, int tower, int layer,
                            tub__scenic_array *out);

/* All arrays of a variant of some extent; a second tower without layers has no arrays at all. *out is
 * the caller's (tub__free). */
TUB_MUST_USE tub_status tub__scenic_list(const tub_allocator *a, const tub__scenic_variant *v,
                                         const tub__scenic_extent *extent, tub__scenic_array **out,
                                         size_t *count, tub_error *err);

#endif
