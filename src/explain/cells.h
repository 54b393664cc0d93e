/* SPDX-License-Identifier: Apache-2.0 */
/* Boxes in a clip that have one value each: tubelets, or what occlusion covers. */
#ifndef TUB__EXPLAIN_CELLS_H
#define TUB__EXPLAIN_CELLS_H

#include "model/model.h"
#include <tubelet/explain.h>

typedef struct tub__cells {
    size_t grid[3];   /* cells along t, h, w */
    size_t size[3];   /* voxels of a cell */
    size_t sides[3];  /* of the clip */
    size_t *start[3]; /* [grid]: their first voxels, in increasing order; the first has the block */
} tub__cells;

/* The tubelets of a ViViT. Of other networks boxes of an eighth of the clip along each axis. */
TUB_MUST_USE tub_status tub__cells_of_model(const tub_model *model, tub__cells *out,
                                            tub_error *err);
/* Boxes that are `step` apart; the last of each axis ends with the clip, so that all of it is in a
 * box. */
TUB_MUST_USE tub_status tub__cells_of_boxes(const tub_model *model, const size_t box[3],
                                            const size_t step[3], tub__cells *out, tub_error *err);
void tub__cells_free(const tub_allocator *a, tub__cells *cells); /* accepts one that is all zero */

static inline size_t tub__cells_count(const tub__cells *c) {
    return c->grid[0] * c->grid[1] * c->grid[2];
}
/* The first voxel of cell number `index` along each axis. */
void tub__cell_begin(const tub__cells *c, size_t index, size_t begin[3]);
/* Values of cells to those of voxels, [T,H,W]. */
TUB_MUST_USE tub_status tub__cells_spread(const tub_allocator *a, const tub__cells *c,
                                          tub_upsampling kind, const float *values, float *map,
                                          tub_error *err);
/* The mean of the map over each cell. */
void tub__cells_gather(const tub__cells *c, const float *map, double *means);

#endif
