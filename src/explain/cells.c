/* SPDX-License-Identifier: Apache-2.0 */
/* Where cells lie, and their values as values of voxels. */
#include "explain/cells.h"

#include "base/error.h"

enum { AXES = 3, PARTS = 8 /* boxes along an axis of a network without tubelets */ };

/* ---- where they lie ---- */

static tub_status take_starts(const tub_allocator *a, tub__cells *c, tub_error *err) {
    TUB__TRY(tub__alloc_array(a, c->grid[0] + c->grid[1] + c->grid[2], sizeof *c->start[0],
                              (void **)&c->start[0], err));
    c->start[1] = c->start[0] + c->grid[0];
    c->start[2] = c->start[1] + c->grid[1];
    return TUB_OK;
}

void tub__cells_free(const tub_allocator *a, tub__cells *c) {
    tub__free(a, c->start[0]);
    *c = (tub__cells){0};
}

static void sides_of(const tub_model *model, size_t sides[AXES]) {
    const tub__geometry *g = &model->geometry;
    sides[0] = g->frames, sides[1] = g->height, sides[2] = g->width;
}

tub_status tub__cells_of_boxes(const tub_model *model, const size_t box[AXES],
                               const size_t step[AXES], tub__cells *out, tub_error *err) {
    tub__cells c = {0};
    sides_of(model, c.sides);
    for (int i = 0; i < AXES; i++) {
        const size_t rest = c.sides[i] - box[i];
        c.size[i] = box[i];
        c.grid[i] = 1 + (rest + step[i] - 1) / step[i];
    }
    TUB__TRY(take_starts(&model->context->allocator, &c, err));
    for (int i = 0; i < AXES; i++) {
        for (size_t k = 0; k < c.grid[i]; k++) {
            c.start[i][k] = tub__min(k * step[i], c.sides[i] - box[i]);
        }
    }
    *out = c;
    return TUB_OK;
}

static tub_status tubelets(const tub_model *model, tub__cells *out, tub_error *err) {
    const tub__geometry *g = &model->geometry;
    tub__cells c = {0};
    sides_of(model, c.sides);
    for (int i = 0; i < AXES; i++) {
        c.grid[i] = g->grid[i];
        c.size[i] = g->kernel[i];
    }
    TUB__TRY(take_starts(&model->context->allocator, &c, err));
    for (int i = 0; i < AXES; i++) {
        for (size_t k = 0; k < c.grid[i]; k++) {
            c.start[i][k] = i == 0 ? tub__geometry_frame(g, k) : k * g->stride[i];
        }
    }
    *out = c;
    return TUB_OK;
}

tub_status tub__cells_of_model(const tub_model *model, tub__cells *out, tub_error *err) {
    size_t box[AXES];
    if (model->config.family == TUB_FAMILY_VIVIT) {
        return tubelets(model, out, err);
    }
    sides_of(model, box);
    for (int i = 0; i < AXES; i++) {
        box[i] = (box[i] + PARTS - 1) / PARTS;
    }
    return tub__cells_of_boxes(model, box, box, out, err);
}

void tub__cell_begin(const tub__cells *c, size_t index, size_t begin[AXES]) {
    begin[2] = c->start[2][index % c->grid[2]];
    begin[1] = c->start[1][index / c->grid[2] % c->grid[1]];
    begin[0] = c->start[0][index / c->grid[2] / c->grid[1]];
}

/* ---- values of voxels ---- */

/* Of a voxel's place along one axis: the cells first … last that it takes its value from, and with
 * what weight the last one, where there are two between whose centres it lies. */
typedef struct share {
    size_t first, last; /* none: last < first */
    double weight;
} share;

/* Cells that the place is in: they follow each other, because all are of one size. */
static share covering(const size_t *start, size_t cells, size_t size, size_t place) {
    share s = {.first = cells, .last = 0};
    for (size_t k = 0; k < cells; k++) {
        if (start[k] <= place && place < start[k] + size) {
            s.first = k < s.first ? k : s.first;
            s.last = k;
        }
    }
    return s;
}

static share between(const size_t *start, size_t cells, size_t size, size_t place) {
    const double half = ((double)size - 1) / 2;
    size_t after = 0;
    while (after < cells && (double)start[after] + half < (double)place) {
        after++;
    }
    if (after == 0 || after == cells) {
        const size_t end = after == 0 ? 0 : cells - 1;
        return (share){end, end, 1};
    }
    const double low = (double)start[after - 1] + half, high = (double)start[after] + half;
    return (share){after - 1, after, ((double)place - low) / (high - low)};
}

/* The mean over the cells that a voxel is in. */
static double mean_of(const tub__cells *c, const share s[AXES], const float *values) {
    double sum = 0, count = 0;
    for (size_t t = s[0].first; t <= s[0].last; t++) {
        for (size_t h = s[1].first; h <= s[1].last; h++) {
            for (size_t w = s[2].first; w <= s[2].last; w++) {
                sum += (double)values[(t * c->grid[1] + h) * c->grid[2] + w];
                count++;
            }
        }
    }
    return count > 0 ? sum / count : 0;
}

static double weight_of(const share *s, size_t k) {
    return s->first == s->last ? 1 : k == s->last ? s->weight : 1 - s->weight;
}

static double mix_of(const tub__cells *c, const share s[AXES], const float *values) {
    double sum = 0;
    for (size_t t = s[0].first; t <= s[0].last; t++) {
        for (size_t h = s[1].first; h <= s[1].last; h++) {
            for (size_t w = s[2].first; w <= s[2].last; w++) {
                sum += weight_of(&s[0], t) * weight_of(&s[1], h) * weight_of(&s[2], w) *
                       (double)values[(t * c->grid[1] + h) * c->grid[2] + w];
            }
        }
    }
    return sum;
}

tub_status tub__cells_spread(const tub_allocator *a, const tub__cells *c, tub_upsampling kind,
                             const float *values, float *map, tub_error *err) {
    const bool nearest = kind == TUB_UPSAMPLING_NEAREST;
    share *s[AXES];
    TUB__TRY(tub__alloc_array(a, c->sides[0] + c->sides[1] + c->sides[2], sizeof *s[0],
                              (void **)&s[0], err));
    s[1] = s[0] + c->sides[0];
    s[2] = s[1] + c->sides[1];
    for (int i = 0; i < AXES; i++) {
        for (size_t k = 0; k < c->sides[i]; k++) {
            s[i][k] = (nearest ? covering : between)(c->start[i], c->grid[i], c->size[i], k);
        }
    }
    for (size_t t = 0; t < c->sides[0]; t++) {
        for (size_t h = 0; h < c->sides[1]; h++) {
            for (size_t w = 0; w < c->sides[2]; w++) {
                const share at[AXES] = {s[0][t], s[1][h], s[2][w]};
                *map++ = (float)(nearest ? mean_of : mix_of)(c, at, values);
            }
        }
    }
    tub__free(a, s[0]);
    return TUB_OK;
}

void tub__cells_gather(const tub__cells *c, const float *map, double *means) {
    const size_t volume = c->size[0] * c->size[1] * c->size[2];
    for (size_t k = 0; k < tub__cells_count(c); k++) {
        size_t begin[AXES];
        double sum = 0;
        tub__cell_begin(c, k, begin);
        for (size_t t = 0; t < c->size[0]; t++) {
            for (size_t h = 0; h < c->size[1]; h++) {
                const float *row =
                    map + ((begin[0] + t) * c->sides[1] + begin[1] + h) * c->sides[2] + begin[2];
                for (size_t w = 0; w < c->size[2]; w++) {
                    sum += (double)row[w];
                }
            }
        }
        means[k] = sum / (double)volume;
    }
}
