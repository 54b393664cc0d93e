/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions, max pooling, batch norm and recurrent units against sums in double, and bit for bit
 * between instruction sets and numbers of threads. */
#include "kernel_sets.h"

#include <stdbool.h>

typedef struct engine {
    tub__pool *pool;
    tub__backend *be;
} engine;

static engine make_engine(const struct tub__kernels *k, int threads) {
    engine e;
    tub_error err;
    assert_ok(tub__pool_create(&tub__default_allocator, threads, &e.pool, &err), err);
    assert_ok(tub__cpu_backend_make(&tub__default_allocator, e.pool, k, &e.be, &err), err);
    return e;
}

static void free_engine(engine *e) {
    tub__cpu_backend_destroy(e->be);
    tub__pool_destroy(e->pool);
}

/* ---- convolutions ---- */

typedef struct conv_case {
    size_t samples, in[3], kernel, stride, channels, columns;
    bool flat; /* of one frame: no time in the kernel */
} conv_case;

/* Odd grids, strides that leave places out, channels on both sides of panels and of a task, more rows
 * than are made at once, and batches of part of a group, one, and several. */
static const conv_case conv_cases[] = {
    {1, {3, 4, 5}, 3, 1, 1, 5, false},     {5, {4, 5, 7}, 3, 1, 6, 33, false},
    {6, {5, 6, 4}, 3, 2, 7, 32, false},    {3, {4, 5, 6}, 1, 2, 34, 10, false},
    {2, {1, 9, 8}, 3, 1, 3, 17, true},     {13, {1, 12, 11}, 3, 1, 16, 64, true},
    {2, {2, 3, 3}, 3, 1, 150, 70, false},  {1, {1, 1, 1}, 3, 1, 8, 8, false},
    {1, {2, 3, 2}, 3, 2, 1024, 33, false}, {4, {3, 3, 2}, 3, 1, 2, 257, false},
};

static tub__window window_of(const conv_case *c) {
    tub__window w;
    for (int i = 0; i < 3; i++) {
        const bool one = c->flat && i == 0;
        w.in[i] = c->in[i];
        w.kernel[i] = one ? 1 : c->kernel;
        w.stride[i] = one ? 1 : c->stride;
        w.pad[i] = w.kernel[i] / 2;
        w.out[i] = (w.in[i] + 2 * w.pad[i] - w.kernel[i]) / w.stride[i] + 1;
    }
    return w;
}

/* Row of the input that tap k of place `out` of a sample sees, or -1. */
static long row_seen(const tub__window *w, size_t sample, size_t out, size_t tap) {
    const size_t at[3] = {out / (w->out[1] * w->out[2]), out / w->out[2] % w->out[1],
                          out % w->out[2]};
    const size_t k[3] = {tap / (w->kernel[1] * w->kernel[2]), tap / w->kernel[2] % w->kernel[1],
                         tap % w->kernel[2]};
    long row = (long)sample;
    for (int i = 0; i < 3; i++) {
        const long p = (long)(at[i] * w->stride[i] + k[i]) - (long)w->pad[i];
        if (p < 0 || p >= (long)w->in[i]) {
            return -1;
        }
        row = row * (long)w->in[i] + p;
    }
    return row;
}

typedef struct conv_data {
    tub__window window;
    size_t samples;
    tub__mat x, dy;
    float *w, *bias, *before; /* before: what dx holds when it goes on */
} conv_data;

typedef struct conv_result {
    tub__mat y, dx, more;
    float *dw, *dbias, *turned;
} conv_result;

static size_t weight_size(const conv_data *d) {
    return tub__weight_elements(tub__window_taps(&d->window) * d->x.cols, d->dy.cols);
}

static float weight_at(const conv_data *d, const float *w, size_t row, size_t col) {
    return w[(col / TUB__PANEL * tub__window_taps(&d->window) * d->x.cols + row) * TUB__PANEL +
             col % TUB__PANEL];
}

static conv_data new_data(const conv_case *c) {
    conv_data d = {.window = window_of(c), .samples = c->samples};
    d.x = new_mat(c->samples * tub__window_in(&d.window), c->channels, 0, 1);
    d.dy = new_mat(c->samples * tub__window_out(&d.window), c->columns, 32, 1);
    d.w = new_floats(weight_size(&d));
    d.bias = new_floats(tub__padded(c->columns));
    fill(d.bias, c->columns, 1);
    const size_t rows = tub__window_taps(&d.window) * c->channels;
    for (size_t n = 0; n < c->columns; n++) {
        for (size_t k = 0; k < rows; k++) {
            fill(d.w + (n / TUB__PANEL * rows + k) * TUB__PANEL + n % TUB__PANEL, 1, 1);
        }
    }
    d.before = new_floats(d.x.rows * d.x.ld);
    for (size_t r = 0; r < d.x.rows; r++) {
        fill(d.before + r * d.x.ld, d.x.cols, 1);
    }
    return d;
}

static void free_data(conv_data *d) {
    free(d->x.data), free(d->dy.data), free(d->w), free(d->bias), free(d->before);
}

static conv_result run_conv(engine *e, const conv_data *d) {
    const size_t taps = tub__window_taps(&d->window);
    const tub__weight w = {.data = d->w, .rows = taps * d->x.cols, .cols = d->dy.cols};
    conv_result r = {.y = new_mat(d->dy.rows, d->dy.cols, 0, 9),
                     .dx = new_mat(d->x.rows, d->x.cols, 0, 9),
                     .more = new_mat(d->x.rows, d->x.cols, 0, 9),
                     .dw = new_floats(weight_size(d)),
                     .dbias = new_floats(tub__padded(d->dy.cols)),
                     .turned = new_floats(taps * d->dy.cols * tub__padded(d->x.cols))};
    memcpy(r.more.data, d->before, d->x.rows * d->x.ld * sizeof(float));
    fill(r.turned, taps * d->dy.cols * tub__padded(d->x.cols), 9);
    e->be->ops->conv(e->be, &(tub__conv){d->window, d->x, w, d->bias, r.y});
    tub__conv_dx dx = {.window = d->window, .dy = d->dy, .w = w, .workspace = r.turned, .dx = r.dx};
    e->be->ops->conv_dx(e->be, &dx);
    dx.more = true, dx.dx = r.more;
    e->be->ops->conv_dx(e->be, &dx);
    tub__conv_dw dw = {.window = d->window,
                       .samples = d->samples,
                       .group = TUB__GROUP,
                       .x = d->x,
                       .dy = d->dy,
                       .dw = w,
                       .dbias = r.dbias};
    dw.dw.data = r.dw;
    e->be->ops->conv_dw(e->be, &dw);
    return r;
}

static void free_conv(conv_result *r) {
    free(r->y.data), free(r->dx.data), free(r->more.data);
    free(r->dw), free(r->dbias), free(r->turned);
}

/* Within n roundings of the sum of the products' sizes. */
static void assert_near(const char *what, size_t i, double got, double want, double sizes,
                        size_t n) {
    if (!(fabs(got - want) <= (double)(n + 2) * 0x1p-24 * sizes)) {
        fail_msg("%s: element %zu is %.9g, in double %.9g", what, i, got, want);
    }
}

static void check_forward(const conv_data *d, const conv_result *r) {
    const size_t out = tub__window_out(&d->window), taps = tub__window_taps(&d->window);
    for (size_t row = 0; row < d->dy.rows; row += 1 + row % 3) {
        for (size_t n = 0; n < d->dy.cols; n += 1 + n % 5) {
            double sum = (double)d->bias[n], sizes = fabs(sum);
            for (size_t t = 0; t < taps; t++) {
                const long seen = row_seen(&d->window, row / out, row % out, t);
                for (size_t c = 0; seen >= 0 && c < d->x.cols; c++) {
                    const double p = (double)at(&d->x, (size_t)seen, c) *
                                     (double)weight_at(d, d->w, t * d->x.cols + c, n);
                    sum += p, sizes += fabs(p);
                }
            }
            assert_near("convolution", row, (double)at(&r->y, row, n), sum, sizes,
                        taps * d->x.cols);
        }
    }
    assert_zero_padding("convolution", &r->y);
}

/* All of the gradients, in double, by going forward once. */
static void check_backward(const conv_data *d, const conv_result *r) {
    const size_t out = tub__window_out(&d->window), taps = tub__window_taps(&d->window),
                 channels = d->x.cols, columns = d->dy.cols;
    double *dx = calloc(d->x.rows * channels, sizeof *dx),
           *dxs = calloc(d->x.rows * channels, sizeof *dxs),
           *dw = calloc(taps * channels * columns, sizeof *dw),
           *dws = calloc(taps * channels * columns, sizeof *dws);
    for (size_t row = 0; row < d->dy.rows; row++) {
        for (size_t t = 0; t < taps; t++) {
            const long seen = row_seen(&d->window, row / out, row % out, t);
            for (size_t c = 0; seen >= 0 && c < channels; c++) {
                for (size_t n = 0; n < columns; n++) {
                    const size_t k = t * channels + c;
                    const double g = (double)at(&d->dy, row, n),
                                 p = g * (double)weight_at(d, d->w, k, n),
                                 q = g * (double)at(&d->x, (size_t)seen, c);
                    dx[(size_t)seen * channels + c] += p,
                        dxs[(size_t)seen * channels + c] += fabs(p);
                    dw[k * columns + n] += q, dws[k * columns + n] += fabs(q);
                }
            }
        }
    }
    for (size_t i = 0; i < d->x.rows * channels; i++) {
        const size_t row = i / channels, c = i % channels;
        const double before = (double)d->before[row * d->x.ld + c];
        assert_near("input gradient", i, (double)at(&r->dx, row, c), dx[i], dxs[i], taps * columns);
        assert_near("input gradient that goes on", i, (double)at(&r->more, row, c), before + dx[i],
                    fabs(before) + dxs[i], taps * columns + 1);
    }
    for (size_t i = 0; i < taps * channels * columns; i++) {
        assert_near("weight gradient", i, (double)weight_at(d, r->dw, i / columns, i % columns),
                    dw[i], dws[i], d->dy.rows);
    }
    for (size_t n = 0; n < columns; n++) {
        double sum = 0, sizes = 0;
        for (size_t row = 0; row < d->dy.rows; row++) {
            sum += (double)at(&d->dy, row, n), sizes += fabs((double)at(&d->dy, row, n));
        }
        assert_near("bias gradient", n, (double)r->dbias[n], sum, sizes, d->dy.rows);
    }
    assert_zero_padding("input gradient", &r->dx);
    free(dx), free(dxs), free(dw), free(dws);
}

static void test_conv(void **state) {
    const struct tub__kernels *sets[8];
    const int n = kernel_sets(sets);
    (void)state;
    for (size_t i = 0; i < sizeof conv_cases / sizeof *conv_cases; i++) {
        conv_data d = new_data(&conv_cases[i]);
        engine one = make_engine(sets[0], 1);
        conv_result want = run_conv(&one, &d);
        check_forward(&d, &want);
        check_backward(&d, &want);
        for (int s = 0; s < n; s++) {
            for (int threads = 1; threads <= 3; threads++) {
                engine e = make_engine(sets[s], threads);
                conv_result got = run_conv(&e, &d);
                assert_same_mat("convolution", sets[s]->name, &want.y, &got.y);
                assert_same_mat("input gradient", sets[s]->name, &want.dx, &got.dx);
                assert_same_mat("input gradient on", sets[s]->name, &want.more, &got.more);
                assert_same_bits("weight gradient", sets[s]->name, want.dw, got.dw,
                                 weight_size(&d));
                assert_same_bits("bias gradient", sets[s]->name, want.dbias, got.dbias,
                                 tub__padded(d.dy.cols));
                free_conv(&got);
                free_engine(&e);
            }
        }
        free_conv(&want);
        free_engine(&one);
        free_data(&d);
    }
}

/* A group in two calls is the group in one. */
static void test_conv_goes_on(void **state) {
    const conv_case c = {4, {2, 5, 3}, 3, 1, 5, 40, false};
    (void)state;
    conv_data d = new_data(&c);
    engine e = make_engine(&tub__kernels_portable, 2);
    conv_result whole = run_conv(&e, &d), parts = run_conv(&e, &d);
    const size_t in = tub__window_in(&d.window), out = tub__window_out(&d.window);
    for (size_t s = 0; s < c.samples; s++) {
        const tub__weight dw = {
            .data = parts.dw, .rows = tub__window_taps(&d.window) * d.x.cols, .cols = d.dy.cols};
        tub__conv_dw op = {.window = d.window,
                           .samples = 1,
                           .group = TUB__GROUP,
                           .x = d.x,
                           .dy = d.dy,
                           .more = s > 0,
                           .dw = dw,
                           .dbias = parts.dbias};
        op.x.data = (float *)d.x.data + s * in * d.x.ld, op.x.rows = in;
        op.dy.data = (float *)d.dy.data + s * out * d.dy.ld, op.dy.rows = out;
        e.be->ops->conv_dw(e.be, &op);
    }
    assert_same_bits("weight gradient", "parts", whole.dw, parts.dw, weight_size(&d));
    assert_same_bits("bias gradient", "parts", whole.dbias, parts.dbias, d.dy.cols);
    free_conv(&whole), free_conv(&parts);
    free_engine(&e);
    free_data(&d);
}

/* ---- max pooling ---- */

static void test_max_pool(void **state) {
    const tub__window w = {
        .in = {2, 5, 7}, .out = {2, 2, 3}, .kernel = {1, 2, 2}, .stride = {1, 2, 2}};
    const struct tub__kernels *sets[8];
    const int n = kernel_sets(sets);
    const size_t samples = 3, in = tub__window_in(&w), out = tub__window_out(&w), cols = 37;
    (void)state;
    tub__mat x = new_mat(samples * in, cols, 0, 1), dy = new_mat(samples * out, cols, 0, 1);
    for (size_t i = 0; i < x.rows * x.ld; i++) { /* equal ones and zeros, too */
        ((float *)x.data)[i] = rintf(4 * ((float *)x.data)[i]) / 4;
    }
    tub__mat y0 = new_mat(samples * out, cols, 0, 9), dx0 = new_mat(samples * in, cols, 0, 9);
    for (int s = 0; s < n; s++) {
        engine e = make_engine(sets[s], 1 + s);
        tub__mat y = new_mat(samples * out, cols, 0, 9), dx = new_mat(samples * in, cols, 0, 9);
        const tub__max_pool op = {w, x, y, dy, dx};
        e.be->ops->max_pool(e.be, &op);
        e.be->ops->max_pool_backward(e.be, &op);
        if (s == 0) {
            memcpy(y0.data, y.data, y.rows * y.ld * sizeof(float));
            memcpy(dx0.data, dx.data, dx.rows * dx.ld * sizeof(float));
        }
        assert_same_mat("max pooling", sets[s]->name, &y0, &y);
        assert_same_mat("max pooling gradient", sets[s]->name, &dx0, &dx);
        free(y.data), free(dx.data);
        free_engine(&e);
    }
    float *left = calloc(samples * in * cols, sizeof *left);
    for (size_t row = 0; row < samples * out; row++) {
        for (size_t c = 0; c < cols; c++) {
            float most = 0;
            long first = -1;
            for (size_t t = 0; t < 4; t++) {
                const long seen = row_seen(&w, row / out, row % out, t);
                if (at(&x, (size_t)seen, c) > most) {
                    most = at(&x, (size_t)seen, c), first = seen;
                }
            }
            assert_true(at(&y0, row, c) == most);
            if (first >= 0) {
                left[(size_t)first * cols + c] = at(&dy, row, c);
            }
        }
    }
    for (size_t i = 0; i < samples * in * cols; i++) {
        assert_true(at(&dx0, i / cols, i % cols) == left[i]);
    }
    free(left), free(x.data), free(dy.data), free(y0.data), free(dx0.data);
}

/* ---- batch norm ---- */

typedef struct norm_result {
    tub__mat y, dy, dx;
    float *mean, *inverse, *moving_mean, *moving_variance, *dgamma, *dbeta;
} norm_result;

typedef struct norm_data {
    tub__mat x, add, dy;
    float *gamma, *beta;
} norm_data;

static norm_result run_norm(engine *e, const norm_data *d, int mode, bool relu) {
    const size_t rows = d->x.rows, cols = d->x.cols, padded = tub__padded(cols);
    norm_result r = {.y = new_mat(rows, cols, 0, 9),
                     .dy = new_mat(rows, cols, 0, 0),
                     .dx = new_mat(rows, cols, 0, 9)};
    float **const vectors[] = {&r.mean,   &r.inverse, &r.moving_mean, &r.moving_variance,
                               &r.dgamma, &r.dbeta};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        *vectors[i] = new_floats(padded);
    }
    for (size_t i = 0; i < cols; i++) {
        r.moving_mean[i] = 0.25f, r.moving_variance[i] = 2;
    }
    memcpy(r.dy.data, d->dy.data, rows * d->dy.ld * sizeof(float));
    float *workspace = new_floats(tub__batch_blocks(rows) * 2 * padded);
    const tub__batch_norm op = {.mode = mode,
                                .x = d->x,
                                .gamma = d->gamma,
                                .beta = d->beta,
                                .moving_mean = r.moving_mean,
                                .moving_variance = r.moving_variance,
                                .epsilon = 1e-5,
                                .momentum = 0.1,
                                .mean = r.mean,
                                .inverse = r.inverse,
                                .add = d->add,
                                .relu = relu,
                                .y = r.y,
                                .workspace = workspace};
    e->be->ops->batch_norm(e->be, &op);
    const tub__batch_norm_backward back = {.dy = r.dy,
                                           .x = d->x,
                                           .y = relu ? r.y : (tub__mat){0},
                                           .gamma = d->gamma,
                                           .mean = r.mean,
                                           .inverse = r.inverse,
                                           .dx = r.dx,
                                           .dgamma = r.dgamma,
                                           .dbeta = r.dbeta,
                                           .workspace = workspace};
    e->be->ops->batch_norm_backward(e->be, &back);
    free(workspace);
    return r;
}

static void free_norm(norm_result *r) {
    free(r->y.data), free(r->dy.data), free(r->dx.data), free(r->mean), free(r->inverse);
    free(r->moving_mean), free(r->moving_variance), free(r->dgamma), free(r->dbeta);
}

static void assert_close(const char *what, double got, double want, double size) {
    if (!(fabs(got - want) <= 1e-6 * size)) {
        fail_msg("%s: %.9g, in double %.9g", what, got, want);
    }
}

static void check_column(const norm_data *d, const norm_result *r, size_t c, bool relu) {
    const size_t rows = d->x.rows;
    const double m = (double)rows;
    double mean = 0, square = 0, dgamma = 0, dbeta = 0, sizes = 0;
    for (size_t i = 0; i < rows; i++) {
        mean += (double)at(&d->x, i, c) / m;
    }
    for (size_t i = 0; i < rows; i++) {
        square += ((double)at(&d->x, i, c) - mean) * ((double)at(&d->x, i, c) - mean);
    }
    const double inverse = 1 / sqrt(square / m + 1e-5);
    assert_close("mean", (double)r->mean[c], mean, 1);
    assert_close("inverse", (double)r->inverse[c], inverse, inverse);
    assert_close("moving mean", (double)r->moving_mean[c], 0.9 * 0.25 + 0.1 * mean, 1);
    assert_close("moving variance", (double)r->moving_variance[c],
                 0.9 * 2 + 0.1 * square / (rows > 1 ? m - 1 : 1), 3);
    for (size_t i = 0; i < rows; i++) {
        const double h = ((double)at(&d->x, i, c) - mean) * inverse;
        double y = h * (double)d->gamma[c] + (double)d->beta[c] + (double)at(&d->add, i, c);
        if (fabs(y) > 1e-4) { /* else it may be on either side of zero */
            y = relu && y < 0 ? 0 : y;
            assert_close("batch norm", (double)at(&r->y, i, c), y, 4);
        }
        const double g = relu && at(&r->y, i, c) <= 0 ? 0 : (double)at(&d->dy, i, c);
        assert_true((double)at(&r->dy, i, c) == g);
        dgamma += g * h, dbeta += g, sizes += fabs(g) * (1 + fabs(h));
    }
    assert_close("gamma's gradient", (double)r->dgamma[c], dgamma, sizes);
    assert_close("beta's gradient", (double)r->dbeta[c], dbeta, sizes);
    for (size_t i = 0; i < rows; i++) {
        const double h = ((double)at(&d->x, i, c) - mean) * inverse, g = (double)at(&r->dy, i, c),
                     dx = (double)d->gamma[c] * inverse * (g - dbeta / m - h * dgamma / m);
        assert_close("batch norm's gradient", (double)at(&r->dx, i, c), dx, 4 * inverse);
    }
}

static void test_batch_norm(void **state) {
    static const size_t sizes[][2] = {{1, 3}, {5, 40}, {256, 16}, {257, 33}, {1500, 7}, {4099, 65}};
    const struct tub__kernels *sets[8];
    const int n = kernel_sets(sets);
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const size_t rows = sizes[i][0], cols = sizes[i][1];
        const bool relu = i % 2 == 0;
        norm_data d = {new_mat(rows, cols, 0, 2), new_mat(rows, cols, 0, 1),
                       new_mat(rows, cols, 0, 1), new_floats(tub__padded(cols)),
                       new_floats(tub__padded(cols))};
        fill(d.gamma, cols, 1), fill(d.beta, cols, 1);
        engine one = make_engine(sets[0], 1);
        norm_result want = run_norm(&one, &d, TUB__BATCH_STATISTICS, relu);
        for (size_t c = 0; c < cols; c++) {
            check_column(&d, &want, c, relu);
        }
        assert_zero_padding("batch norm", &want.y), assert_zero_padding("its gradient", &want.dx);
        for (int s = 0; s < n; s++) {
            for (int threads = 1; threads <= 3; threads++) {
                engine e = make_engine(sets[s], threads);
                norm_result got = run_norm(&e, &d, TUB__BATCH_STATISTICS, relu);
                const char *set = sets[s]->name;
                assert_same_mat("batch norm", set, &want.y, &got.y);
                assert_same_mat("batch norm's gradient", set, &want.dx, &got.dx);
                assert_same_bits("moving mean", set, want.moving_mean, got.moving_mean, cols);
                assert_same_bits("moving variance", set, want.moving_variance, got.moving_variance,
                                 cols);
                assert_same_bits("gamma's gradient", set, want.dgamma, got.dgamma, cols);
                assert_same_bits("beta's gradient", set, want.dbeta, got.dbeta, cols);
                free_norm(&got);
                free_engine(&e);
            }
        }
        free_norm(&want);
        norm_result moving = run_norm(&one, &d, TUB__BATCH_MOVING, false);
        for (size_t c = 0; c < cols; c++) { /* which stay as they are */
            const double h = ((double)at(&d.x, 0, c) - 0.25) / sqrt(2 + 1e-5);
            assert_true(moving.moving_mean[c] == 0.25f && moving.moving_variance[c] == 2);
            assert_close("moving batch norm", (double)at(&moving.y, 0, c),
                         h * (double)d.gamma[c] + (double)d.beta[c] + (double)at(&d.add, 0, c), 4);
        }
        free_norm(&moving);
        free_engine(&one);
        free(d.x.data), free(d.add.data), free(d.dy.data), free(d.gamma), free(d.beta);
    }
}

/* ---- recurrent unit ---- */

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

static void test_gru(void **state) {
    const struct tub__kernels *sets[8];
    const int n = kernel_sets(sets);
    (void)state;
    for (size_t units = 1; units <= 40; units += 13) {
        const size_t rows = 5;
        tub__mat x = new_mat(rows, 3 * units, 0, 3), inner = new_mat(rows, 3 * units, 32, 3),
                 h = new_mat(rows, units, 0, 1), d = new_mat(rows, units, 0, 1),
                 d2 = new_mat(rows, units, 0, 1);
        tub__mat first[5];
        for (int s = 0; s < n; s++) {
            engine e = make_engine(sets[s], 1 + s);
            tub__mat out[5] = {new_mat(rows, units, 0, 9), new_mat(rows, 3 * units, 0, 9),
                               new_mat(rows, 3 * units, 0, 9), new_mat(rows, 3 * units, 0, 9),
                               new_mat(rows, units, 0, 9)};
            const tub__gru op = {
                .units = units, .x = x, .inner = inner, .h = h, .next = out[0], .gates = out[1]};
            const tub__gru_backward back = {
                .forward = op, .dnext = {d, {0}, d2}, .dx = out[2], .dinner = out[3], .dh = out[4]};
            e.be->ops->gru(e.be, &op);
            e.be->ops->gru_backward(e.be, &back);
            for (int i = 0; i < 5; i++) {
                if (s == 0) {
                    first[i] = out[i];
                } else {
                    assert_same_mat("recurrent unit", sets[s]->name, &first[i], &out[i]);
                    free(out[i].data);
                }
                assert_zero_padding("recurrent unit", &first[i]);
            }
            free_engine(&e);
        }
        for (size_t r = 0; r < rows; r++) {
            for (size_t i = 0; i < units; i++) {
                const double iz = (double)at(&inner, r, i), ir = (double)at(&inner, r, units + i),
                             in = (double)at(&inner, r, 2 * units + i),
                             z = sigmoid((double)at(&x, r, i) + iz),
                             q = sigmoid((double)at(&x, r, units + i) + ir),
                             c = tanh((double)at(&x, r, 2 * units + i) + q * in),
                             before = (double)at(&h, r, i),
                             g = (double)at(&d, r, i) + (double)at(&d2, r, i),
                             dc = g * (1 - z) * (1 - c * c), dz = g * (before - c) * z * (1 - z),
                             dr = dc * in * q * (1 - q);
                assert_close("next state", (double)at(&first[0], r, i), z * before + (1 - z) * c,
                             1);
                assert_close("gate", (double)at(&first[1], r, i), z, 1);
                assert_close("gate", (double)at(&first[1], r, units + i), q, 1);
                assert_close("gate", (double)at(&first[1], r, 2 * units + i), c, 1);
                assert_close("gradient", (double)at(&first[2], r, i), dz, 4);
                assert_close("gradient", (double)at(&first[2], r, units + i), dr, 4);
                assert_close("gradient", (double)at(&first[2], r, 2 * units + i), dc, 4);
                assert_close("gradient", (double)at(&first[3], r, i), dz, 4);
                assert_close("gradient", (double)at(&first[3], r, units + i), dr, 4);
                assert_close("gradient", (double)at(&first[3], r, 2 * units + i), dc * q, 4);
                assert_close("gradient", (double)at(&first[4], r, i), g * z, 4);
            }
        }
        for (int i = 0; i < 5; i++) {
            free(first[i].data);
        }
        free(x.data), free(inner.data), free(h.data), free(d.data), free(d2.data);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv),     cmocka_unit_test(test_conv_goes_on),
        cmocka_unit_test(test_max_pool), cmocka_unit_test(test_batch_norm),
        cmocka_unit_test(test_gru),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
