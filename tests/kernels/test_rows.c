/* SPDX-License-Identifier: Apache-2.0 */
/* Layer norm, softmax, loss, sums over samples, cutting and optimiser updates: against double, and
 * equal bits everywhere. */
#include "kernel_sets.h"

/* limit is relative to the row's largest entry, or to scale[r] where that is more: the size of the
 * terms that cancel. */
static void compare_near(const char *what, const tub__mat *got, const double *truth,
                         const double *scale, double limit) {
    for (size_t r = 0; r < got->rows; r++) {
        double largest = scale ? scale[r] : 0;
        for (size_t c = 0; c < got->cols; c++) {
            largest = fmax(largest, fabs(truth[r * got->cols + c]));
        }
        for (size_t c = 0; c < got->cols; c++) {
            const double d = fabs(at(got, r, c) - truth[r * got->cols + c]);
            if (!(d <= limit * largest + 1e-30)) {
                fail_msg("%s, %zu columns: (%zu, %zu) is %.9g, truth %.9g", what, got->cols, r, c,
                         (double)at(got, r, c), truth[r * got->cols + c]);
            }
        }
    }
}

/* ---- layer norm ---- */

typedef struct norm_case {
    tub__mat x, dy;
    float *gamma, *beta;
    size_t group_rows;
} norm_case;

typedef struct norm_result {
    tub__mat y, dx;
    float *mean, *inverse, *dgamma, *dbeta;
} norm_result;

static norm_result run_norm(const struct tub__kernels *k, const norm_case *c) {
    const size_t rows = c->x.rows, cols = c->x.cols, padded = tub__padded(cols);
    const size_t groups = (rows + c->group_rows - 1) / c->group_rows;
    norm_result r = {.y = new_mat(rows, cols, 0, 0),
                     .dx = new_mat(rows, cols, 0, 0),
                     .mean = new_floats(rows),
                     .inverse = new_floats(rows),
                     .dgamma = new_floats(padded),
                     .dbeta = new_floats(padded)};
    float *work = new_floats(groups * 2 * padded);
    const tub__norm f = {.x = c->x,
                         .gamma = c->gamma,
                         .beta = c->beta,
                         .epsilon = 1e-6,
                         .mean = r.mean,
                         .inverse = r.inverse,
                         .y = r.y};
    const tub__norm_backward b = {.dy = c->dy,
                                  .x = c->x,
                                  .gamma = c->gamma,
                                  .mean = r.mean,
                                  .inverse = r.inverse,
                                  .group_rows = c->group_rows,
                                  .dx = r.dx,
                                  .dgamma = r.dgamma,
                                  .dbeta = r.dbeta};
    k->norm(&f, rows / 2, rows);
    k->norm(&f, 0, rows / 2);
    k->norm_backward(&b, 0, groups, work);
    k->tree(work, groups, 2 * padded, padded, r.dgamma);
    k->tree(work + padded, groups, 2 * padded, padded, r.dbeta);
    free(work);
    return r;
}

static void free_norm(norm_result *r) {
    free(r->y.data), free(r->dx.data), free(r->mean), free(r->inverse), free(r->dgamma),
        free(r->dbeta);
}

/* scale[r]: the largest term of the row's dx before its two means are subtracted. */
static void norm_truth(const norm_case *c, double *y, double *dx, double *scale) {
    const size_t n = c->x.cols;
    for (size_t r = 0; r < c->x.rows; r++) {
        double mean = 0, var = 0, se = 0, seh = 0;
        for (size_t i = 0; i < n; i++) {
            mean += at(&c->x, r, i) / (double)n;
        }
        for (size_t i = 0; i < n; i++) {
            var += (at(&c->x, r, i) - mean) * (at(&c->x, r, i) - mean) / (double)n;
        }
        const double inverse = 1 / sqrt(var + 1e-6);
        for (size_t i = 0; i < n; i++) {
            const double h = (at(&c->x, r, i) - mean) * inverse,
                         e = (double)at(&c->dy, r, i) * c->gamma[i];
            y[r * n + i] = h * c->gamma[i] + c->beta[i];
            se += e / (double)n;
            seh += e * h / (double)n;
        }
        for (size_t i = 0; i < n; i++) {
            const double h = (at(&c->x, r, i) - mean) * inverse,
                         e = (double)at(&c->dy, r, i) * c->gamma[i];
            scale[r] = fmax(scale[r], inverse * fabs(e));
            dx[r * n + i] = inverse * (e - se - h * seh);
        }
    }
}

/* The gradient of gamma and beta over one group in two calls. */
static void test_continued_norm(void **state) {
    (void)state;
    enum { ROWS = 7, FIRST = 3, COLS = 20 };
    const struct tub__kernels *sets[3];
    const int count = kernel_sets(sets);
    norm_case c = {.x = new_mat(ROWS, COLS, 0, 3),
                   .dy = new_mat(ROWS, COLS, 32, 1),
                   .gamma = new_floats(tub__padded(COLS)),
                   .beta = new_floats(tub__padded(COLS)),
                   .group_rows = ROWS};
    fill(c.gamma, COLS, 2);
    for (int s = 0; s < count; s++) {
        norm_result whole = run_norm(sets[s], &c);
        float *parts = new_floats(2 * tub__padded(COLS));
        tub__norm_backward b = {.dy = {c.dy.data, FIRST, COLS, c.dy.ld},
                                .x = {c.x.data, FIRST, COLS, c.x.ld},
                                .gamma = c.gamma,
                                .mean = whole.mean,
                                .inverse = whole.inverse,
                                .group_rows = ROWS,
                                .dx = whole.dx,
                                .dgamma = parts,
                                .dbeta = parts + tub__padded(COLS)};
        sets[s]->norm_backward(&b, 0, 1, parts); /* one group: its partial sums are the sums */
        b.x = (tub__mat){(float *)c.x.data + FIRST * c.x.ld, ROWS - FIRST, COLS, c.x.ld};
        b.dy = (tub__mat){(float *)c.dy.data + FIRST * c.dy.ld, ROWS - FIRST, COLS, c.dy.ld};
        b.mean = whole.mean + FIRST, b.inverse = whole.inverse + FIRST;
        b.more = true;
        sets[s]->norm_backward(&b, 0, 1, parts);
        assert_same_bits("continued dgamma", sets[s]->name, whole.dgamma, parts, tub__padded(COLS));
        assert_same_bits("continued dbeta", sets[s]->name, whole.dbeta, parts + tub__padded(COLS),
                         tub__padded(COLS));
        free_norm(&whole);
        free(parts);
    }
    free(c.x.data), free(c.dy.data), free(c.gamma), free(c.beta);
}

static void check_norm(size_t rows, size_t cols) {
    const struct tub__kernels *sets[3];
    const int count = kernel_sets(sets);
    norm_case c = {.x = new_mat(rows, cols, 0, 3),
                   .dy = new_mat(rows, cols, 32, 1),
                   .gamma = new_floats(tub__padded(cols)),
                   .beta = new_floats(tub__padded(cols)),
                   .group_rows = 3};
    fill(c.gamma, cols, 2), fill(c.beta, cols, 1);
    norm_result first = run_norm(sets[0], &c);
    assert_zero_padding("layer norm", &first.y);
    assert_zero_padding("layer norm dx", &first.dx);
    double *y = calloc(rows * cols, sizeof *y), *dx = calloc(rows * cols, sizeof *dx);
    double *scale = calloc(rows, sizeof *scale);
    norm_truth(&c, y, dx, scale);
    compare_near("layer norm", &first.y, y, NULL, 1e-6);
    compare_near("layer norm dx", &first.dx, dx, scale, 1e-6);
    free(scale);
    for (int s = 1; s < count; s++) {
        norm_result r = run_norm(sets[s], &c);
        assert_same_mat("layer norm", sets[s]->name, &first.y, &r.y);
        assert_same_mat("layer norm dx", sets[s]->name, &first.dx, &r.dx);
        assert_same_bits("dgamma", sets[s]->name, first.dgamma, r.dgamma, tub__padded(cols));
        assert_same_bits("dbeta", sets[s]->name, first.dbeta, r.dbeta, tub__padded(cols));
        free_norm(&r);
    }
    free_norm(&first);
    free(c.x.data), free(c.dy.data), free(c.gamma), free(c.beta), free(y), free(dx);
}

static void test_norm(void **state) {
    (void)state;
    for (size_t cols = 1; cols < 70; cols++) {
        check_norm(7, cols);
    }
    check_norm(26, 128);
    check_norm(5, 768);
    check_norm(2, 3137);
}

/* ---- softmax and loss ---- */

static void check_softmax(size_t classes) {
    const struct tub__kernels *sets[3];
    const int count = kernel_sets(sets);
    enum { ROWS = 6 };
    tub__mat x = new_mat(ROWS, classes, 0, 8), first = {0}, first_d = {0};
    int32_t labels[ROWS];
    float weight[128], first_loss[ROWS];
    fill(weight, 128, 1);
    for (size_t c = 0; c < classes; c++) { /* huge, tiny and equal rows */
        float *p = (float *)x.data + c;
        p[0] += 1e4f, p[x.ld] -= 1e30f, p[2 * x.ld] = 5;
    }
    for (int s = 0; s < count; s++) {
        tub__mat p = new_mat(ROWS, classes, 0, 0), d = new_mat(ROWS, classes, 0, 0);
        float loss[ROWS];
        for (int i = 0; i < ROWS; i++) {
            labels[i] = (int32_t)((size_t)i * 5 % classes);
        }
        const tub__loss op = {.logits = x,
                              .labels = labels,
                              .class_weight = weight,
                              .smoothing = 0.1,
                              .scale = 0.125,
                              .dlogits = d,
                              .probabilities = p,
                              .loss = loss};
        sets[s]->loss(&op, 0, ROWS);
        tub__mat q = new_mat(ROWS, classes, 0, 0);
        sets[s]->probabilities(&(tub__outputs){.task = TUB_TASK_MULTI_CLASS}, x, q, 0, ROWS);
        assert_same_mat("softmax alone", sets[s]->name, &p, &q);
        free(q.data);
        assert_zero_padding("softmax", &p);
        assert_zero_padding("dlogits", &d);
        if (s == 0) {
            first = p, first_d = d;
            memcpy(first_loss, loss, sizeof loss);
            continue;
        }
        assert_same_mat("softmax", sets[s]->name, &first, &p);
        assert_same_mat("dlogits", sets[s]->name, &first_d, &d);
        assert_same_bits("loss", sets[s]->name, first_loss, loss, ROWS);
        free(p.data), free(d.data);
    }
    double truth[ROWS * 128];
    for (size_t r = 0; r < ROWS; r++) {
        double top = -INFINITY, sum = 0;
        for (size_t c = 0; c < classes; c++) {
            const double value = at(&x, r, c); /* fmax here crashes GCC 12.2 for aarch64 */
            top = value > top ? value : top;
        }
        for (size_t c = 0; c < classes; c++) {
            sum += truth[r * classes + c] = exp(at(&x, r, c) - top);
        }
        double loss = 0;
        for (size_t c = 0; c < classes; c++) {
            const double target = 0.1 / (double)classes + (c == (size_t)labels[r] ? 0.9 : 0);
            loss -= target * (at(&x, r, c) - top - log(sum));
            truth[r * classes + c] /= sum;
        }
        loss *= weight[labels[r]];
        assert_true(fabs(first_loss[r] - loss) <= 1e-6 * fmax(fabs(loss), 1));
    }
    compare_near("softmax", &first, truth, NULL, 1e-6);
    free(first.data), free(first_d.data), free(x.data);
}

/* Targets of two labels: against float64, and a second label that has no share against none at all. */
static void check_mixture(size_t classes, const float *weight) {
    const struct tub__kernels *sets[3];
    const int count = kernel_sets(sets);
    enum { ROWS = 6 };
    static const float share[ROWS] = {0, 1, 0.5f, 0.25f, 0.875f, 0.1f};
    tub__mat x = new_mat(ROWS, classes, 0, 8), first = {0};
    int32_t labels[ROWS], second[ROWS];
    float first_loss[ROWS];
    for (int i = 0; i < ROWS; i++) {
        labels[i] = (int32_t)((size_t)i * 5 % classes);
        second[i] = (int32_t)((size_t)i * 3 % classes);
    }
    for (int s = 0; s < count; s++) {
        tub__mat d = new_mat(ROWS, classes, 0, 0);
        float loss[ROWS];
        tub__loss op = {.logits = x,
                        .labels = labels,
                        .class_weight = weight,
                        .second = second,
                        .share = share,
                        .smoothing = 0.1,
                        .scale = 0.125,
                        .dlogits = d,
                        .loss = loss};
        sets[s]->loss(&op, 0, ROWS);
        assert_zero_padding("dlogits", &d);
        if (s > 0) {
            assert_same_mat("mixed dlogits", sets[s]->name, &first, &d);
            assert_same_bits("mixed loss", sets[s]->name, first_loss, loss, ROWS);
            free(d.data);
            continue;
        }
        first = d;
        memcpy(first_loss, loss, sizeof loss);
        tub__mat alone = new_mat(ROWS, classes, 0, 0);
        op.second = NULL;
        op.dlogits = alone;
        sets[s]->loss(&op, 0, 1);
        assert_true(fabsf(loss[0] - first_loss[0]) <= 1e-6f * fabsf(loss[0]));
        for (size_t c = 0; c < classes; c++) {
            assert_true(fabs(at(&alone, 0, c) - at(&first, 0, c)) <= 1e-7);
        }
        free(alone.data);
    }
    for (size_t r = 0; r < ROWS; r++) {
        double top = -INFINITY, sum = 0, loss = 0;
        for (size_t c = 0; c < classes; c++) {
            const double value = at(&x, r, c);
            top = value > top ? value : top;
        }
        for (size_t c = 0; c < classes; c++) {
            sum += exp(at(&x, r, c) - top);
        }
        for (size_t c = 0; c < classes; c++) {
            const double log_p = at(&x, r, c) - top - log(sum), flat = 0.1 / (double)classes,
                         a = flat + (c == (size_t)labels[r] ? 0.9 : 0),
                         b = flat + (c == (size_t)second[r] ? 0.9 : 0),
                         wa = (1 - (double)share[r]) * (weight ? weight[labels[r]] : 1),
                         wb = (double)share[r] * (weight ? weight[second[r]] : 1);
            loss -= (wa * a + wb * b) * log_p;
            const double slope = 0.125 * ((wa + wb) * exp(log_p) - wa * a - wb * b);
            assert_true(fabs(at(&first, r, c) - slope) <= 1e-6);
        }
        assert_true(fabs(first_loss[r] - loss) <= 1e-6 * fmax(fabs(loss), 1));
    }
    free(first.data), free(x.data);
}

static void test_mixture(void **state) {
    (void)state;
    static const size_t classes[] = {2, 3, 11, 16, 17, 33};
    float weight[64];
    fill(weight, 64, 1);
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        check_mixture(classes[i], weight);
        check_mixture(classes[i], NULL);
    }
}

static void test_softmax(void **state) {
    (void)state;
    static const size_t classes[] = {2, 3, 11, 15, 16, 17, 31, 32, 33, 100};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        check_softmax(classes[i]);
    }
}

/* ---- optimiser updates ---- */

static double keras_adam(double w, double g, double *m, double *v, const tub__update *u,
                         double rate) {
    *m += (g - *m) * (1 - u->beta1);
    *v += (g * g - *v) * (1 - u->beta2);
    return w - *m * u->rate * rate / (sqrt(*v) + u->epsilon);
}

static void test_update(void **state) {
    (void)state;
    enum { N = 96 };
    const struct tub__kernels *sets[3];
    const int count = kernel_sets(sets);
    const tub__segment segments[] = {{0, 32, 0.5, 1}, {32, 64, 0, 1}, {64, 96, 0.25, 0.75}};
    for (int kind = TUB__ADAM_KERAS; kind <= TUB__SGD_PYTORCH; kind++) {
        float start[4][N], first[3][N];
        for (int i = 0; i < 4; i++) {
            fill(start[i], N, 1);
        }
        for (int i = 0; i < N; i++) {
            start[3][i] = fabsf(start[3][i]);
        }
        for (int s = 0; s < count; s++) {
            float w[N], g[N], m[N], v[N];
            memcpy(w, start[0], sizeof w), memcpy(g, start[1], sizeof g);
            memcpy(m, start[2], sizeof m), memcpy(v, start[3], sizeof v);
            const tub__update u = {.kind = (tub__update_kind)kind,
                                   .rate = 0.01,
                                   .lr = 0.02,
                                   .beta1 = 0.9,
                                   .beta2 = 0.999,
                                   .epsilon = 1e-7,
                                   .v_scale = 2,
                                   .momentum = 0.9,
                                   .gradient_scale = 1,
                                   .segments = segments,
                                   .segment_count = 3,
                                   .w = w,
                                   .g = g,
                                   .m = m,
                                   .v = v};
            sets[s]->update(&u, 64, 96);
            sets[s]->update(&u, 0, 64);
            if (s == 0) {
                memcpy(first[0], w, sizeof w), memcpy(first[1], m, sizeof m),
                    memcpy(first[2], v, sizeof v);
                for (int i = 0; kind == TUB__ADAM_KERAS && i < N; i++) {
                    const tub__segment *at = &segments[i / 32];
                    double dm = start[2][i], dv = start[3][i],
                           dw = start[0][i] * (1 - 0.02 * at->rate * at->decay);
                    dw = keras_adam(dw, start[1][i], &dm, &dv, &u, at->rate);
                    assert_true(fabs(dw - w[i]) < 3e-7 && fabs(dm - m[i]) < 1e-7 &&
                                fabs(dv - v[i]) < 1e-7);
                }
                continue;
            }
            assert_same_bits("updated w", sets[s]->name, first[0], w, N);
            assert_same_bits("updated m", sets[s]->name, first[1], m, N);
            assert_same_bits("updated v", sets[s]->name, first[2], v, N);
        }
    }
}

/* Of three elements of 16 that change, and 16 that are nobody's. */
static void test_average(void **state) {
    (void)state;
    enum { N = 64 };
    const double share = 0.001;
    const struct tub__kernels *sets[3];
    const int count = kernel_sets(sets);
    float start[N], from[N], first[N], to[N];
    fill(start, N, 1), fill(from, N, 1);
    for (int s = 0; s < count; s++) {
        memcpy(to, start, sizeof to);
        sets[s]->average(to, from, share, 32, 48);
        sets[s]->average(to, from, share, 0, 32);
        if (s == 0) {
            memcpy(first, to, sizeof first);
            for (int i = 0; i < 48; i++) {
                const double want = (1 - share) * start[i] + share * from[i];
                assert_true(fabs(want - to[i]) < 1e-7 * fmax(1, fabs(want)));
            }
            assert_memory_equal(to + 48, start + 48, 16 * sizeof *to);
        }
        assert_same_bits("average", sets[s]->name, first, to, N);
    }
}

/* ---- sums over samples, cutting, pooling ---- */

static void test_sum_samples(void **state) {
    (void)state;
    const struct tub__kernels *sets[3];
    const int count = kernel_sets(sets);
    for (size_t samples = 1; samples <= 40; samples += 3) {
        const tub__mat x = new_mat(samples * 5, 20, 0, 1);
        tub__mat first = {0};
        for (int s = 0; s < count; s++) {
            tub__mat sum = new_mat(5, 20, 0, 0);
            sets[s]->sum_samples(samples, 4, false, x, sum, 2, 5);
            sets[s]->sum_samples(samples, 4, false, x, sum, 0, 2);
            if (samples == 4) { /* a group in two calls */
                tub__mat parts = new_mat(5, 20, 0, 0), rest = x;
                rest.data = (float *)x.data + 3 * 5 * x.ld, rest.rows = 5;
                sets[s]->sum_samples(3, 4, false, x, parts, 0, 5);
                sets[s]->sum_samples(1, 4, true, rest, parts, 0, 5);
                assert_same_mat("continued sum", sets[s]->name, &sum, &parts);
                free(parts.data);
            }
            if (s == 0) {
                first = sum;
                double t = 0;
                for (size_t i = 0; i < samples; i++) {
                    t += at(&x, i * 5 + 3, 7);
                }
                assert_true(fabs(t - at(&sum, 3, 7)) < 1e-5);
                continue;
            }
            assert_same_mat("sum over samples", sets[s]->name, &first, &sum);
            free(sum.data);
        }
        free(first.data), free(x.data);
    }
}

/* Whole samples may be several rows' worth: groups of any size give the sum, and the same bits on every
 * set; those of whole batches are one chain. */
static void test_groups_of_sums(void **state) {
    (void)state;
    static const size_t groups[] = {1, 4, 12, 100};
    const struct tub__kernels *sets[3];
    const int count = kernel_sets(sets);
    const tub__mat x = new_mat(37 * 2, 20, 0, 1);
    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++) {
        tub__mat first = {0};
        for (int s = 0; s < count; s++) {
            tub__mat sum = new_mat(2, 20, 0, 0);
            sets[s]->sum_samples(37, groups[g], false, x, sum, 0, 2);
            if (s > 0) {
                assert_same_mat("sum over samples", sets[s]->name, &first, &sum);
                free(sum.data);
                continue;
            }
            first = sum;
            float chain = 0;
            double exact = 0;
            for (size_t i = 0; i < 37; i++) {
                chain += at(&x, i * 2 + 1, 9);
                exact += at(&x, i * 2 + 1, 9);
            }
            assert_true(fabs(exact - at(&sum, 1, 9)) < 1e-5);
            assert_true(groups[g] < 37 || at(&sum, 1, 9) == chain);
        }
        free(first.data);
    }
    free(x.data);
}

/* What pooling makes of column c of a sample's tokens, in double. */
static double pooled(tub_pooling kind, const tub__mat *x, size_t first, size_t tokens, size_t c) {
    double sum = 0, largest = -INFINITY;
    for (size_t t = 0; t < tokens; t++) {
        sum += at(x, first + t, c);
        largest = fmax(largest, at(x, first + t, c));
    }
    return kind == TUB_POOL_MEAN          ? sum / (double)tokens
           : kind == TUB_POOL_CLASS_TOKEN ? at(x, first, c)
           : kind == TUB_POOL_MAX         ? largest
                                          : sum;
}

/* Token t's share of the gradient; equal maxima have equal shares. */
static double share(tub_pooling kind, const tub__mat *x, size_t first, size_t tokens, size_t t,
                    size_t c) {
    size_t equal = 0;
    for (size_t i = 0; i < tokens; i++) {
        equal += (double)at(x, first + i, c) == pooled(kind, x, first, tokens, c);
    }
    switch (kind) {
    case TUB_POOL_MEAN:
        return 1 / (double)tokens;
    case TUB_POOL_CLASS_TOKEN:
        return t == 0;
    case TUB_POOL_MAX:
        return (double)at(x, first + t, c) == pooled(kind, x, first, tokens, c) ? 1 / (double)equal
                                                                                : 0;
    default:
        return 1;
    }
}

static void check_pooling(const struct tub__kernels *k, tub_pooling kind, size_t tokens) {
    enum { SAMPLES = 3, COLS = 21 };
    const tub__mat x = new_mat(SAMPLES * tokens, COLS, 0, 1), y = new_mat(SAMPLES, COLS, 0, 0),
                   dy = new_mat(SAMPLES, COLS, 0, 1), dx = new_mat(x.rows, COLS, 0, 1);
    for (size_t i = 0; i < x.rows * x.ld; i++) { /* few values: many are equal */
        ((float *)x.data)[i] = floorf(4 * ((float *)x.data)[i]) / 4;
    }
    k->pool(kind, SAMPLES, x, y, 2, SAMPLES);
    k->pool(kind, SAMPLES, x, y, 0, 2);
    const tub__pool_backward op = {
        .kind = kind, .samples = SAMPLES, .x = x, .y = y, .dy = dy, .dx = dx};
    k->pool_backward(&op, 1, SAMPLES);
    k->pool_backward(&op, 0, 1);
    for (size_t r = 0; r < x.rows; r++) {
        const size_t sample = r / tokens, first = sample * tokens;
        for (size_t c = 0; c < COLS; c++) {
            assert_true(fabs(at(&y, sample, c) - pooled(kind, &x, first, tokens, c)) < 1e-5);
            assert_true(fabs(at(&dx, r, c) - at(&dy, sample, c) * share(kind, &x, first, tokens,
                                                                        r - first, c)) < 1e-6);
        }
    }
    assert_zero_padding("pooling", &y);
    assert_zero_padding("pooling gradient", &dx);
    free(x.data), free(y.data), free(dy.data), free(dx.data);
}

static void test_pooling(void **state) {
    (void)state;
    const struct tub__kernels *sets[3];
    const int count = kernel_sets(sets);
    for (int s = 0; s < count; s++) {
        for (int kind = TUB_POOL_MEAN; kind <= TUB_POOL_SUM; kind++) {
            check_pooling(sets[s], (tub_pooling)kind, 1);
            check_pooling(sets[s], (tub_pooling)kind, 9);
        }
    }
}

/* Frames at equal distances: k T / (n + 1) to the nearest, ties to even; all where n is T. */
static void test_sampled_frames(void **state) {
    (void)state;
    static const struct {
        size_t frames, sampled, expected[8];
    } cases[] = {{8, 4, {2, 3, 5, 6}}, {8, 3, {2, 4, 6}}, {8, 5, {1, 3, 4, 5, 7}},
                 {9, 1, {4}},          {7, 1, {4}},       {5, 5, {0, 1, 2, 3, 4}},
                 {5, 4, {1, 2, 3, 4}}, {1, 1, {0}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const tub__geometry g = {.frames = cases[i].frames,
                                 .height = 1,
                                 .width = 1,
                                 .channels = 1,
                                 .kernel = {1, 1, 1},
                                 .stride = {1, 1, 1},
                                 .grid = {cases[i].sampled, 1, 1},
                                 .sampled = true};
        const tub__mat rows = new_mat(cases[i].sampled, 1, 0, 0);
        float clip[9];
        for (int t = 0; t < 9; t++) {
            clip[t] = (float)t;
        }
        tub__kernels_portable.cut(&g, TUB_F32, clip, false, rows, 0, rows.rows);
        for (size_t t = 0; t < rows.rows; t++) {
            assert_true(at(&rows, t, 0) == (float)cases[i].expected[t]);
        }
        free(rows.data);
    }
}

/* cut and cut_backward are each other's transpose: <cut(x), r> equals <x, cut_backward(r)>; strides
 * below the kernel included. */
static void test_cut(void **state) {
    (void)state;
    const struct tub__kernels *sets[3];
    const int count = kernel_sets(sets);
    const tub__geometry g = {.frames = 7,
                             .height = 9,
                             .width = 8,
                             .channels = 2,
                             .kernel = {3, 4, 2},
                             .stride = {2, 3, 2},
                             .grid = {3, 2, 4}};
    const size_t voxels = tub__geometry_voxels(&g), rows = 2 * tub__geometry_tokens(&g);
    float *x = new_floats(2 * voxels);
    fill(x, 2 * voxels, 1);
    const tub__mat r = new_mat(rows, tub__geometry_row(&g), 0, 1);
    for (int s = 0; s < count; s++) {
        tub__mat cut = new_mat(rows, tub__geometry_row(&g), 0, 1);
        float *dx = new_floats(2 * voxels);
        sets[s]->cut(&g, TUB_F32, x, false, cut, 0, cut.rows);
        sets[s]->cut_backward(&g, r, dx, 0, 2);
        double left = 0, right = 0;
        for (size_t i = 0; i < rows; i++) {
            for (size_t c = 0; c < cut.cols; c++) {
                left += (double)at(&cut, i, c) * at(&r, i, c);
            }
        }
        for (size_t i = 0; i < 2 * voxels; i++) {
            right += (double)x[i] * dx[i];
        }
        assert_true(fabs(left - right) < 1e-4);
        assert_zero_padding("cut", &cut);
        /* the first element of token (1, 1, 2): voxel (2, 3, 4), channel 0 */
        assert_true(at(&cut, 1 * 8 + 1 * 4 + 2, 0) == x[((2 * 9 + 3) * 8 + 4) * 2]);
        free(cut.data), free(dx);
    }
    free(x), free(r.data);
}

/* Bytes: every value as its division gives it, on every set, in lines of any length and tubelets of
 * more than one stage. */
static void test_cut_bytes(void **state) {
    (void)state;
    static const size_t shapes[][4] = {/* frames, height, width, channels of the only tubelet */
                                       {1, 1, 256, 1}, {4, 8, 8, 1},   {3, 5, 7, 1},
                                       {2, 3, 11, 3},  {2, 16, 16, 3}, {5, 31, 17, 2},
                                       {1, 1, 1, 1},   {3, 3, 701, 1}};
    const struct tub__kernels *sets[3];
    const int count = kernel_sets(sets);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const size_t *n = shapes[i], edge = 3; /* a voxel before and two after the tubelet */
        const tub__geometry g = {.frames = n[0] + edge,
                                 .height = n[1] + edge,
                                 .width = n[2] + edge,
                                 .channels = n[3],
                                 .kernel = {n[0], n[1], n[2]},
                                 .stride = {1, 1, 1},
                                 .grid = {2, 2, 2}};
        const size_t voxels = tub__geometry_voxels(&g), line = n[2] * n[3];
        unsigned char *clip = malloc(voxels);
        assert_non_null(clip);
        for (size_t v = 0; v < voxels; v++) {
            clip[v] = (unsigned char)v;
        }
        for (int s = 0; s < 2 * count; s++) {
            const bool multiply = s % 2;
            tub__mat cut = new_mat(8, n[0] * n[1] * line, 0, 1);
            sets[s / 2]->cut(&g, TUB_U8, clip, multiply, cut, 0, 8);
            for (size_t c = 0; c < cut.cols; c++) { /* the tubelet at (1, 1, 1) */
                const size_t t = c / line / n[1] + 1, y = c / line % n[1] + 1;
                const unsigned char v = clip[(t * g.height + y) * g.width * n[3] + n[3] + c % line];
                assert_true(at(&cut, 7, c) ==
                            (multiply ? (float)v * (1.0f / 255.0f) : (float)v / 255.0f));
            }
            assert_zero_padding("cut", &cut);
            free(cut.data);
        }
        free(clip);
    }
    int differ = 0;
    for (int i = 0; i < 256; i++) {
        differ += (float)i / 255.0f != (float)i * (1.0f / 255.0f);
    }
    assert_int_equal(differ, 126); /* as measured with the example's own pipeline */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_norm),           cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_mixture),        cmocka_unit_test(test_update),
        cmocka_unit_test(test_average),
        cmocka_unit_test(test_sum_samples),    cmocka_unit_test(test_continued_norm),
        cmocka_unit_test(test_groups_of_sums), cmocka_unit_test(test_pooling),
        cmocka_unit_test(test_sampled_frames), cmocka_unit_test(test_cut),
        cmocka_unit_test(test_cut_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
