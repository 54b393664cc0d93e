/* SPDX-License-Identifier: Apache-2.0 */
/* The percentile bootstrap: every draw is a vector of how often each sample counts, and the metrics
 * are weighted sums. */
#include "predict/bootstrap.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/philox.h"

typedef struct bootstrap {
    tub__draw_fn *draw;
    const void *user;
    tub__key key;
    size_t n, draws, count;
    uint32_t *times; /* [workers][n] how often each sample was drawn */
    double *values;  /* [count][draws] */
} bootstrap;

static void draw_samples(tub__key key, size_t draw, size_t n, uint32_t *times) {
    tub__random random = tub__random_start(key, (uint32_t)draw, 0, 0);
    memset(times, 0, n * sizeof *times);
    for (size_t i = 0; i < n; i++) {
        times[tub__random_below(&random, (uint32_t)n)]++;
    }
}

static void one_draw(const bootstrap *b, size_t draw, uint32_t *times) {
    double values[TUB__BOOTSTRAP_LIMIT];
    draw_samples(b->key, draw, b->n, times);
    b->draw(b->user, times, values);
    for (size_t m = 0; m < b->count; m++) {
        b->values[m * b->draws + draw] = values[m];
    }
}

static void draw_share(void *argument, int worker, int workers) {
    const bootstrap *b = argument;
    size_t begin, end;
    tub__share(b->draws, worker, workers, &begin, &end);
    for (size_t draw = begin; draw < end; draw++) {
        one_draw(b, draw, b->times + (size_t)worker * b->n);
    }
}

static void sift_down(double *v, size_t root, size_t n) {
    for (size_t child = 2 * root + 1; child < n; root = child, child = 2 * root + 1) {
        child += child + 1 < n && v[child + 1] > v[child];
        if (!(v[child] > v[root])) {
            return;
        }
        double swap = v[root];
        v[root] = v[child];
        v[child] = swap;
    }
}

/* Heap sort: in place, no allocation, n log n for any input. */
static void sort_ascending(double *v, size_t n) {
    for (size_t root = n / 2; root-- > 0;) {
        sift_down(v, root, n);
    }
    for (size_t last = n; last-- > 1;) {
        double swap = v[0];
        v[0] = v[last];
        v[last] = swap;
        sift_down(v, 0, last);
    }
}

/* Linear interpolation at (n - 1) q, as numpy.quantile. */
static double quantile(const double *sorted, size_t n, double q) {
    double position = (double)(n - 1) * q;
    double whole = floor(position);
    size_t i = (size_t)whole;
    double next = i + 1 < n ? sorted[i + 1] : sorted[i];
    return sorted[i] + (position - whole) * (next - sorted[i]);
}

static void limits(double *values, size_t draws, tub_interval *out) {
    size_t defined = 0;
    for (size_t i = 0; i < draws; i++) {
        if (values[i] == values[i]) {
            values[defined++] = values[i];
        }
    }
    out->low = out->high = NAN;
    if (defined == 0 || out->value != out->value) {
        return;
    }
    sort_ascending(values, defined);
    out->low = quantile(values, defined, 0.025);
    out->high = quantile(values, defined, 0.975);
}

tub_status tub__bootstrap(tub_context *ctx, size_t n, uint64_t seed, int draws, tub__draw_fn *draw,
                          const void *user, size_t count, tub_interval *const *intervals,
                          tub_error *err) {
    const tub_allocator *a = &ctx->allocator;
    bootstrap b = {.draw = draw,
                   .user = user,
                   .key = tub__random_key(seed, TUB__RANDOM_BOOTSTRAP),
                   .n = n,
                   .draws = draws > 0 ? (size_t)draws : 0,
                   .count = count};
    size_t workers = (size_t)tub__pool_threads(ctx->pool);
    assert(count <= TUB__BOOTSTRAP_LIMIT);
    tub_status status = tub__alloc_array(a, workers * n, sizeof *b.times, (void **)&b.times, err);
    if (status == TUB_OK) {
        status = tub__alloc_array(a, count * b.draws, sizeof *b.values, (void **)&b.values, err);
    }
    if (status == TUB_OK) {
        tub__pool_run(ctx->pool, draw_share, &b);
        for (size_t m = 0; m < count; m++) {
            limits(b.values + m * b.draws, b.draws, intervals[m]);
        }
    }
    tub__free(a, b.values);
    tub__free(a, b.times);
    return status;
}
