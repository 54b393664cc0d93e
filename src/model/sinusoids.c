/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of positions that are computed: sines and cosines of a position times falling frequencies
 * (Vaswani et al. 2017), along the tokens or along time, column and row (docs/numerics.md section
 * 2). */
#include "base/error.h"
#include "base/fpenv.h"
#include "base/scalar.h"
#include "model/model.h"
#include "model/variant.h"

static bool has_tables(const tub_model_config *c) {
    return c->positions == TUB_POSITIONS_SINUSOIDAL_1D ||
           c->positions == TUB_POSITIONS_SINUSOIDAL_3D;
}

/* Reals before a tower's table, or in all tables (tower: how many there are). */
static size_t offset(const tub_model_config *c, const tub__variant_shape *shape, size_t tower) {
    size_t reals = 0;
    for (size_t i = 0; i < tower; i++) {
        reals += shape->tower[i].layers > 0
                     ? shape->tower[i].tokens * tub__padded((size_t)c->hidden)
                     : 0;
    }
    return reals;
}

size_t tub__sinusoids_bytes(const tub_model_config *config, size_t real_size) {
    const tub__variant_shape shape = tub__variant_shape_of(config);
    return has_tables(config) ? offset(config, &shape, shape.towers) * real_size : 0;
}

tub__mat tub__model_sinusoids(const tub_model *m, size_t tower) {
    const tub__variant_shape shape = tub__variant_shape_of(&m->config);
    const size_t tokens = shape.tower[tower].tokens, width = (size_t)m->config.hidden;
    if (!has_tables(&m->config)) {
        return (tub__mat){0};
    }
    const size_t before = offset(&m->config, &shape, tower) * m->backend->real_size;
    return (tub__mat){m->sinusoids ? (char *)m->sinusoids + before : NULL, tokens, width,
                      tub__padded(width)};
}

/* 10000 to the power -i / n. */
static double frequency(size_t i, size_t n) {
    return tub__exp(-tub__log(1e4) / (double)n * (double)i);
}

/* Sine and cosine take turns. */
static void row_1d(size_t token, size_t width, float *out) {
    for (size_t i = 0; i < width; i += 2) {
        const double angle = (double)token * frequency(i, width);
        out[i] = (float)tub__sin(angle);
        out[i + 1] = (float)tub__cos(angle);
    }
}

/* A sixth of the width each: sines and cosines of time, of column, of row. */
static void row_3d(const tub__geometry *g, size_t token, size_t width, float *out) {
    const size_t plane = g->grid[1] * g->grid[2], sixth = width / 6;
    const size_t at[3] = {token / plane, token % g->grid[2], token % plane / g->grid[2]};
    for (size_t axis = 0; axis < 3; axis++) {
        for (size_t i = 0; i < sixth; i++) {
            const double angle = (double)at[axis] * frequency(i, sixth);
            out[2 * axis * sixth + i] = (float)tub__sin(angle);
            out[(2 * axis + 1) * sixth + i] = (float)tub__cos(angle);
        }
    }
}

static void fill(tub_model *m, size_t tower, float *row) {
    const tub__mat table = tub__model_sinusoids(m, tower);
    for (size_t t = 0; t < table.rows; t++) {
        if (m->config.positions == TUB_POSITIONS_SINUSOIDAL_1D) {
            row_1d(t, table.cols, row);
        } else {
            row_3d(&m->geometry, t, table.cols, row);
        }
        const tub__mat one = {(char *)table.data + t * table.ld * m->backend->real_size, 1,
                              table.cols, table.ld};
        m->backend->ops->mat_in(m->backend, one, TUB_F32, row, table.cols, 1);
    }
}

tub_status tub__sinusoids_create(tub_model *m, tub_error *err) {
    const tub__variant_shape shape = tub__variant_shape_of(&m->config);
    const tub_allocator *a = &m->context->allocator;
    float *row;
    if (!has_tables(&m->config)) {
        return TUB_OK;
    }
    TUB__TRY(m->backend->ops->slab_create(
        m->backend, tub__sinusoids_bytes(&m->config, m->backend->real_size), &m->sinusoids, err));
    TUB__TRY(tub__alloc_array(a, (size_t)m->config.hidden, sizeof *row, (void **)&row, err));
    const tub__fpenv saved = tub__fpenv_enter();
    for (size_t i = 0; i < shape.towers; i++) {
        if (shape.tower[i].layers > 0) {
            fill(m, i, row);
        }
    }
    tub__fpenv_leave(saved);
    tub__free(a, row);
    return TUB_OK;
}
