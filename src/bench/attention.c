/* SPDX-License-Identifier: Apache-2.0 */
/* Attention alone, forward or backward: every token of a sample to every other, as in the blocks of
 * the joint variant. */
#include "base/context.h"
#include "base/error.h"
#include "bench/measure.h"
#include "nn/nn.h"
#include <math.h>

enum { INPUTS = 3 }; /* query, key and value, side by side in one buffer as the layer has them */

typedef struct scene {
    tub__backend *be;
    tub__attention_backward op; /* op.forward alone for the forward pass */
    tub__mat inputs, gradients; /* [samples * tokens, INPUTS * padded width] */
} scene;

static tub_status check(const tub_bench_attention_shape *s, tub_precision precision,
                        tub_error *err) {
    TUB__TRY(tub__in_range("tokens", s->tokens, 1, 1000000, err));
    TUB__TRY(tub__in_range("heads", s->heads, 1, 4096, err));
    TUB__TRY(tub__in_range("head_width", s->head_width, 1, TUB__HEAD_WIDTH_LIMIT, err));
    TUB__TRY(tub__in_range("samples", s->samples, 1, 65536, err));
    if (!(s->dropout >= 0 && s->dropout < 1)) {
        return tub__fail(err, TUB_E_RANGE, "dropout is %g; it must be at least 0 and below 1",
                         s->dropout);
    }
    return precision == TUB_PRECISION_INT8
               ? tub__fail(err, TUB_E_ARGUMENT, "attention has no int8: measure f32 or bf16")
               : TUB_OK;
}

static tub_status take(const scene *s, size_t rows, size_t cols, tub__mat *out, tub_error *err) {
    *out = (tub__mat){NULL, rows, cols, tub__padded(cols)};
    return s->be->ops->slab_create(s->be, rows * out->ld * s->be->real_size, &out->data, err);
}

static void describe(tub__attention *a, const tub_bench_attention_shape *s,
                     tub_precision precision) {
    *a = (tub__attention){.samples = (size_t)s->samples,
                          .groups = 1,
                          .length = (size_t)s->tokens,
                          .sample_stride = (size_t)s->tokens,
                          .group_stride = (size_t)s->tokens,
                          .token_stride = 1,
                          .heads = (size_t)s->heads,
                          .head_width = (size_t)s->head_width,
                          .scale = 1 / sqrt((double)s->head_width),
                          .dropout = {.rate = s->dropout, .key = {{1, 2}}},
                          .reduced = precision == TUB_PRECISION_BF16};
}

/* Room for what backward reads and writes, and the forward pass that it follows. */
static tub_status make_backward(scene *s, size_t rows, size_t width, tub_error *err) {
    tub__attention_backward *op = &s->op;
    const tub__attention *f = &op->forward;
    const size_t step = tub__padded(width), stats = f->samples * f->heads * f->length;
    TUB__TRY(s->be->ops->slab_create(s->be, stats * TUB__ATTENTION_STATS * s->be->real_size,
                                     &op->forward.stats, err));
    TUB__TRY(take(s, rows, INPUTS * step, &s->gradients, err));
    TUB__TRY(take(s, rows, width, &op->d_o, err));
    TUB__TRY(tub__bench_fill(s->be, op->d_o, err));
    op->dq = tub__columns(s->be, s->gradients, 0, width);
    op->dk = tub__columns(s->be, s->gradients, step, width);
    op->dv = tub__columns(s->be, s->gradients, 2 * step, width);
    s->be->ops->attention(s->be, f);
    return TUB_OK;
}

static tub_status make(scene *s, bool backward, tub_error *err) {
    tub__attention *f = &s->op.forward;
    const size_t rows = f->samples * f->length, width = f->heads * f->head_width;
    const size_t step = tub__padded(width);
    TUB__TRY(take(s, rows, INPUTS * step, &s->inputs, err));
    TUB__TRY(take(s, rows, width, &f->o, err));
    f->q = tub__columns(s->be, s->inputs, 0, width);
    f->k = tub__columns(s->be, s->inputs, step, width);
    f->v = tub__columns(s->be, s->inputs, 2 * step, width);
    TUB__TRY(tub__bench_fill(s->be, f->q, err));
    TUB__TRY(tub__bench_fill(s->be, f->k, err));
    TUB__TRY(tub__bench_fill(s->be, f->v, err));
    return backward ? make_backward(s, rows, width, err) : TUB_OK;
}

static void drop(scene *s) {
    void *const slabs[] = {s->inputs.data, s->op.forward.o.data, s->op.forward.stats,
                           s->gradients.data, s->op.d_o.data};
    for (size_t i = 0; i < sizeof slabs / sizeof *slabs; i++) {
        s->be->ops->slab_destroy(s->be, slabs[i]);
    }
}

static void run_forward(void *user) {
    const scene *s = user;
    s->be->ops->attention(s->be, &s->op.forward);
}

static void run_backward(void *user) {
    const scene *s = user;
    s->be->ops->attention_backward(s->be, &s->op);
}

tub_status tub_bench_attention(tub_context *ctx, const tub_bench_attention_shape *shape,
                               const tub_bench_config *config, tub_bench_result *out,
                               tub_error *err) {
    tub_bench_config c;
    TUB__TRY(tub__bench_read_config(config, &c, err));
    TUB__TRY(check(shape, c.precision, err));
    scene s = {.be = ctx->backend};
    describe(&s.op.forward, shape, c.precision);
    tub_status status = make(&s, shape->backward != 0, err);
    if (status == TUB_OK) {
        const double products = shape->backward ? 5 : 2;
        const tub__bench_work work = {.run = shape->backward ? run_backward : run_forward,
                                      .user = &s,
                                      .operations = 2 * products * (double)shape->samples *
                                                    (double)shape->heads * (double)shape->tokens *
                                                    (double)shape->tokens *
                                                    (double)shape->head_width};
        status = tub__bench_measure(s.be, &work, &c, out, err);
    }
    drop(&s);
    return status;
}
