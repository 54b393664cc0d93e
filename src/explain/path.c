/* SPDX-License-Identifier: Apache-2.0 */
/* Integrated gradients (Sundararajan et al. 2017): the gradient of the target's logit, averaged
 * over points on the straight way from a baseline to the clip, times the way. Layer norms make much
 * of the little that a clip near the baseline differs from it by, so that logits change most where
 * the way begins: the integral over the share s of the way is that over u of s = u^3, by the midpoint
 * rule. Point k of m lies at s = u^3, u = (k + 1/2) / m, and counts 3 u^2 / m. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "explain/question.h"

/* Points where nobody says how many: twice as many until the sum is so near, or there are these. */
enum { STEPS_FIRST = 64, STEPS_LAST = 4096 };
static const double NEAR = 0.01;

typedef struct path {
    const tub__question *q;
    size_t voxels, steps;
    float *baseline; /* [voxels] */
    tub__pass *pass;
    size_t batch;
    float *points;       /* [batch, voxels]: and their gradients */
    double *sum;         /* [voxels]: of gradients, each by its weight */
    tub__raw *gradients; /* NULL: they go nowhere */
} path;

static double place(const path *p, size_t k) {
    return ((double)k + 0.5) / (double)p->steps;
}

/* Points first … first + n - 1. */
static void make_points(const path *p, size_t first, size_t n) {
    for (size_t k = 0; k < n; k++) {
        const double u = place(p, first + k), share = u * u * u;
        float *to = p->points + k * p->voxels;
        for (size_t i = 0; i < p->voxels; i++) {
            const double from = (double)p->baseline[i];
            to[i] = (float)(from + share * ((double)p->q->x[i] - from));
        }
    }
}

static void forward(const path *p, size_t n, const float *x) {
    tub__pass_forward(p->pass, n, TUB_F32, x, NULL);
}

/* Their gradients, to the place where they were. */
static void differentiate(const path *p, size_t n) {
    forward(p, n, p->points);
    tub__pass_aim(p->pass, (size_t)p->q->out->target);
    tub__pass_backward(p->pass, false);
    tub__pass_input_gradient(p->pass, TUB_F32, p->points);
}

static void add_up(const path *p, size_t first, size_t n) {
    for (size_t k = 0; k < n; k++) {
        const double u = place(p, first + k), weight = 3 * u * u / (double)p->steps;
        for (size_t i = 0; i < p->voxels; i++) {
            p->sum[i] += weight * (double)p->points[k * p->voxels + i];
        }
    }
}

static tub_status go_along(path *p, tub_error *err) {
    memset(p->sum, 0, p->voxels * sizeof *p->sum);
    for (size_t done = 0, n; done < p->steps; done += n) {
        n = tub__min(p->batch, p->steps - done);
        make_points(p, done, n);
        differentiate(p, n);
        add_up(p, done, n);
        TUB__TRY(tub__raw_put(p->gradients, done * p->voxels, p->points, n * p->voxels, err));
        tub__explain_tell(p->q->model, done + n, p->steps);
        TUB__TRY(tub__explain_go_on(p->q->model, err));
    }
    return TUB_OK;
}

/* The logit where the path begins. */
static tub_status begin_of(const path *p, tub_error *err) {
    const tub_model *m = p->q->model;
    float *logits;
    TUB__TRY(tub__alloc_array(&m->context->allocator, (size_t)m->config.classes, sizeof *logits,
                              (void **)&logits, err));
    forward(p, 1, p->baseline);
    tub__pass_logits(p->pass, TUB_F32, logits);
    p->q->out->baseline_logit = (double)logits[p->q->out->target];
    tub__free(&m->context->allocator, logits);
    return TUB_OK;
}

/* The way times the gradient's mean along it, summed over channels. */
static void fill_map(const path *p) {
    const size_t channels = p->q->model->geometry.channels;
    tub_explanation *e = p->q->out;
    e->steps = (int64_t)p->steps;
    e->sum = 0;
    for (size_t i = 0; i < p->voxels / channels; i++) {
        double sum = 0;
        for (size_t k = i * channels; k < (i + 1) * channels; k++) {
            sum += ((double)p->q->x[k] - (double)p->baseline[k]) * p->sum[k];
        }
        e->map[i] = (float)sum;
        e->sum += sum;
    }
}

/* PREFIX-input and -baseline. */
static tub_status write_ends(const path *p, tub_error *err) {
    const tub__geometry *g = &p->q->model->geometry;
    const uint64_t shape[] = {g->frames, g->height, g->width, g->channels};
    TUB__TRY(tub__raw_write(p->q->raws, "input", 4, shape, p->q->x, err));
    return tub__raw_write(p->q->raws, "baseline", 4, shape, p->baseline, err);
}

/* PREFIX-gradients: of every point, in place of those of fewer. */
static tub_status open_gradients(path *p, tub_error *err) {
    const tub__geometry *g = &p->q->model->geometry;
    const uint64_t shape[] = {p->steps, g->frames, g->height, g->width, g->channels};
    return tub__raw_open(p->q->raws, "gradients", 5, shape, &p->gradients, err);
}

static tub_status prepare(path *p, tub_error *err) {
    tub_model *m = p->q->model;
    const tub_allocator *a = &m->context->allocator;
    tub__pass_config config = {
        .batch = p->steps, .training = true, .frozen = true, .input_gradient = true};
    TUB__TRY(tub__explain_baseline(m, p->q->options.baseline, p->q->x, &p->baseline, err));
    TUB__TRY(tub__explain_fit(m, p->q->options.batch, &config, err));
    p->batch = config.batch;
    TUB__TRY(
        tub__alloc_array(a, p->batch, p->voxels * sizeof *p->points, (void **)&p->points, err));
    TUB__TRY(tub__alloc_array(a, p->voxels, sizeof *p->sum, (void **)&p->sum, err));
    TUB__TRY(tub__pass_create(m, &config, &p->pass, err));
    return write_ends(p, err);
}

static bool near_enough(const tub_explanation *e) {
    const double way = e->logit - e->baseline_logit;
    return fabs(e->sum - way) <= NEAR * fabs(way);
}

static tub_status work(path *p, tub_error *err) {
    const size_t asked = (size_t)p->q->options.steps;
    p->steps = asked > 0 ? asked : STEPS_FIRST;
    TUB__TRY(prepare(p, err));
    TUB__TRY(begin_of(p, err));
    for (;;) {
        TUB__TRY(open_gradients(p, err));
        TUB__TRY(go_along(p, err));
        fill_map(p);
        p->q->out->adds_up = near_enough(p->q->out);
        if (asked > 0 || p->q->out->adds_up || p->steps >= STEPS_LAST) {
            return TUB_OK;
        }
        p->steps *= 2;
    }
}

tub_status tub__explain_by_path(tub__question *q, tub_error *err) {
    const tub_allocator *a = &q->model->context->allocator;
    path p = {.q = q, .voxels = q->voxels};
    const tub_status status = work(&p, err);
    tub__pass_destroy(p.pass);
    tub__free(a, p.sum);
    tub__free(a, p.points);
    tub__free(a, p.baseline);
    return status;
}
