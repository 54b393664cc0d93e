/* SPDX-License-Identifier: Apache-2.0 */
/* From clips to token rows and from token rows to one row per sample: cutting, class token,
 * positions, pooling. */
#include "backend/cpu/entries.h"
#include "backend/cpu/vec.h"

/* Bytes of a tubelet on their way from lines of voxels, which may be short, to whole vectors. */
enum { STAGE = 2048 };
typedef struct stage {
    unsigned char bytes[STAGE];
    size_t used;
    real *out;
    bool multiply;
} stage;

/* v / 255, rounded as the division would be (Markstein): the remainder corrects the product.
 * Division takes several times as long. Or v times the rounded 1 / 255, where that is the
 * definition. */
INLINE vf scaled(vf v, bool multiply) {
    if (multiply) {
        return vmul(v, vset1((real)(1.0f / 255.0f)));
    }
#ifdef VEC_REAL_IS_DOUBLE /* whose vfma rounds twice */
    return vdiv(v, vset1(255));
#else
    const vf inverse = vset1(1.0f / 255.0f), q = vmul(v, inverse);
    return vfma(vfma(q, vset1(-255.0f), v), inverse, q);
#endif
}

/* Up to fifteen numbers more than bytes: the padding of the row, which is cleared later. */
static void stage_flush(stage *s) {
    for (size_t i = s->used; i % 16 != 0; i++) {
        s->bytes[i] = 0;
    }
    for (size_t i = 0; i < s->used; i += 16) {
        vstore(s->out + i, scaled(vbytes(s->bytes + i), s->multiply));
    }
    s->out += s->used;
    s->used = 0;
}

static void stage_add(stage *s, const unsigned char *p, size_t n) {
    while (n > 0) {
        const size_t now = tub__min(n, STAGE - s->used);
        memcpy(s->bytes + s->used, p, now);
        s->used += now, p += now, n -= now;
        if (s->used == STAGE) {
            stage_flush(s);
        }
    }
}

/* `count` lines of n bytes, `step` apart. A call for each would take longer than few bytes do:
 * eight are a register. */
static void stage_lines(stage *s, const unsigned char *p, size_t count, size_t step, size_t n) {
    size_t i = 0;
    if (n == 8) {
        for (; i < count && s->used + 8 < STAGE; i++, p += step, s->used += 8) {
            memcpy(s->bytes + s->used, p, 8);
        }
    }
    for (; i < count; i++, p += step) {
        stage_add(s, p, n);
    }
}

/* Calls with every line of voxels that lies side by side in a tubelet: its place in the clip and in
 * the tubelet's row. */
typedef struct place {
    size_t t, y, x; /* tubelet's position in the grid */
} place;

static size_t line_voxel(const tub__geometry *g, const place *p, size_t dt, size_t dy) {
    const size_t t = tub__geometry_frame(g, p->t) + dt, y = p->y * g->stride[1] + dy,
                 x = p->x * g->stride[2];
    return ((t * g->height + y) * g->width + x) * g->channels;
}

static place place_of(const tub__geometry *g, size_t token) {
    const size_t plane = g->grid[1] * g->grid[2];
    return (place){token / plane, token % plane / g->grid[2], token % g->grid[2]};
}

/* One tubelet of one clip to a row. */
static void cut_bytes(const tub__geometry *g, const place *p, const unsigned char *clip,
                      bool multiply, real *row) {
    stage s;
    s.used = 0, s.out = row, s.multiply = multiply;
    for (size_t dt = 0; dt < g->kernel[0]; dt++) {
        stage_lines(&s, clip + line_voxel(g, p, dt, 0), g->kernel[1], g->width * g->channels,
                    g->kernel[2] * g->channels);
    }
    stage_flush(&s);
}

#define CUT_REALS_(name, type)                                                                     \
    static void name(const tub__geometry *g, const place *p, const type *clip, real *row) {        \
        const size_t line = g->kernel[2] * g->channels;                                            \
        for (size_t dt = 0; dt < g->kernel[0]; dt++) {                                             \
            for (size_t dy = 0; dy < g->kernel[1]; dy++, row += line) {                            \
                const type *from = clip + line_voxel(g, p, dt, dy);                                \
                for (size_t i = 0; i < line; i++) {                                                \
                    row[i] = (real)from[i];                                                        \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
CUT_REALS_(cut_floats, float)
CUT_REALS_(cut_doubles, double)

void KERNEL(cut)(const tub__geometry *g, tub_dtype dtype, const void *x, bool multiply,
                 tub__mat rows, size_t row0, size_t row1) {
    const size_t tokens = tub__geometry_tokens(g), voxels = tub__geometry_voxels(g);
    for (size_t n = row0; n < row1; n++) {
        const place p = place_of(g, n % tokens);
        const size_t clip = n / tokens * voxels;
        real *row = (real *)rows.data + n * rows.ld;
        if (dtype == TUB_U8) {
            cut_bytes(g, &p, (const unsigned char *)x + clip, multiply, row);
        } else if (dtype == TUB_F32) {
            cut_floats(g, &p, (const float *)x + clip, row);
        } else {
            cut_doubles(g, &p, (const double *)x + clip, row);
        }
        memset(row + rows.cols, 0, (rows.ld - rows.cols) * sizeof *row);
    }
}

/* Tubelets may overlap: a voxel's sum runs over them in token order. */
void KERNEL(cut_backward)(const tub__geometry *g, tub__mat drows, void *dx_, size_t sample0,
                          size_t sample1) {
    const size_t tokens = tub__geometry_tokens(g), line = g->kernel[2] * g->channels,
                 voxels = tub__geometry_voxels(g);
    real *dx = dx_;
    memset(dx + sample0 * voxels, 0, (sample1 - sample0) * voxels * sizeof *dx);
    for (size_t n = sample0 * tokens; n < sample1 * tokens; n++) {
        const place p = place_of(g, n % tokens);
        const real *from = (const real *)drows.data + n * drows.ld;
        for (size_t dt = 0; dt < g->kernel[0]; dt++) {
            for (size_t dy = 0; dy < g->kernel[1]; dy++, from += line) {
                real *to = dx + n / tokens * voxels + line_voxel(g, &p, dt, dy);
                for (size_t i = 0; i < line; i++) {
                    to[i] += from[i];
                }
            }
        }
    }
}

void KERNEL(prepend)(tub__mat x, const void *token, tub__mat position, tub__mat y, size_t sample0,
                     size_t sample1, size_t samples) {
    const size_t tokens = y.rows / samples, before = token ? 1 : 0;
    for (size_t n = sample0 * tokens; n < sample1 * tokens; n++) {
        const size_t t = n % tokens;
        const real *from =
            t < before ? token : row_of(x, n / tokens * (tokens - before) + t - before);
        const real *add = position.data ? row_of(position, t) : NULL;
        real *to = row_of(y, n);
        for (size_t i = 0; i < tub__padded(y.cols); i += 16) {
            vstore(to + i, add ? vadd(vload(from + i), vload(add + i)) : vload(from + i));
        }
    }
}

void KERNEL(prepend_backward)(tub__mat dy, tub__mat dx, size_t sample0, size_t sample1,
                              size_t samples) {
    const size_t tokens = dx.rows / samples;
    for (size_t n = sample0 * tokens; n < sample1 * tokens; n++) {
        const real *from = row_of(dy, n / tokens * (tokens + 1) + n % tokens + 1);
        real *to = row_of(dx, n);
        for (size_t i = 0; i < tub__padded(dx.cols); i += 16) {
            vstore(to + i, vload(from + i));
        }
    }
}

/* Sixteen columns of one row, summed over samples: chains of `each`, then the balanced tree. */
static void sum_column(size_t samples, size_t each, const tub__mat *x, size_t step, size_t row,
                       size_t col, real *out) {
    vf level[TREE_LEVELS], total = vzero();
    size_t group = 0;
    for (size_t s = 0; s < samples; s += each, group++) {
        vf sum = vzero();
        for (size_t i = s; i < samples && i < s + each; i++) {
            sum = vadd(sum, vload(row_of(*x, i * step + row) + col));
        }
        const int rise = tree_rise(group);
        for (int l = 0; l < rise; l++) {
            sum = vadd(level[l], sum);
        }
        level[rise] = sum;
    }
    int l = __builtin_ctzll(group);
    total = level[l];
    for (l++; group >> l; l++) {
        if (group >> l & 1) {
            total = vadd(level[l], total);
        }
    }
    vstore(out + col, total);
}

void KERNEL(sum_samples)(size_t samples, size_t group, tub__mat x, tub__mat sum, size_t row0,
                         size_t row1) {
    for (size_t r = row0; r < row1; r++) {
        for (size_t c = 0; c < tub__padded(sum.cols); c += 16) {
            sum_column(samples, group, &x, sum.rows, r, c, row_of(sum, r));
        }
    }
}

/* Sixteen columns of the rows of one sample. */
INLINE vf pooled(tub_pooling kind, tub__mat x, size_t row, size_t tokens, size_t col) {
    vf v = vload(row_of(x, row) + col);
    for (size_t t = 1; t < tokens && kind != TUB_POOL_CLASS_TOKEN; t++) {
        const vf next = vload(row_of(x, row + t) + col);
        v = kind == TUB_POOL_MAX ? vmax(v, next) : vadd(v, next);
    }
    return kind == TUB_POOL_MEAN && tokens > 1 ? vdiv(v, vset1((real)tokens)) : v;
}

void KERNEL(pool)(tub_pooling kind, size_t samples, tub__mat x, tub__mat y, size_t sample0,
                  size_t sample1) {
    const size_t tokens = x.rows / samples;
    for (size_t s = sample0; s < sample1; s++) {
        for (size_t c = 0; c < tub__padded(y.cols); c += 16) {
            vstore(row_of(y, s) + c, pooled(kind, x, s * tokens, tokens, c));
        }
    }
}

/* Sixteen columns of a maximum's gradient: an equal share for each token that is not below it. */
static void share_out(const tub__pool_backward *op, size_t sample, size_t tokens, size_t col) {
    const vf largest = vload(row_of(op->y, sample) + col), one = vset1(1);
    vf count = vzero();
    for (size_t n = sample * tokens; n < (sample + 1) * tokens; n++) {
        count = vadd(count, vsel(vlt(vload(row_of(op->x, n) + col), largest), vzero(), one));
    }
    const vf share = vdiv(vload(row_of(op->dy, sample) + col), count);
    for (size_t n = sample * tokens; n < (sample + 1) * tokens; n++) {
        const vm below = vlt(vload(row_of(op->x, n) + col), largest);
        vstore(row_of(op->dx, n) + col, vsel(below, vzero(), share));
    }
}

static void spread_out(const tub__pool_backward *op, size_t sample, size_t tokens, size_t col) {
    const vf dy = vload(row_of(op->dy, sample) + col),
             each = op->kind == TUB_POOL_MEAN ? vdiv(dy, vset1((real)tokens)) : dy;
    for (size_t t = 0; t < tokens; t++) {
        const bool used = op->kind != TUB_POOL_CLASS_TOKEN || t == 0;
        vstore(row_of(op->dx, sample * tokens + t) + col, used ? each : vzero());
    }
}

void KERNEL(pool_backward)(const tub__pool_backward *op, size_t sample0, size_t sample1) {
    const size_t tokens = op->dx.rows / op->samples;
    for (size_t s = sample0; s < sample1; s++) {
        for (size_t c = 0; c < tub__padded(op->dx.cols); c += 16) {
            if (op->kind == TUB_POOL_MAX) {
                share_out(op, s, tokens, c);
            } else {
                spread_out(op, s, tokens, c);
            }
        }
    }
}
