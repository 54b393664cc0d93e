/* SPDX-License-Identifier: Apache-2.0 */
/* Deletion and insertion (Petsiuk et al. 2018): how the answer goes when the cells of a clip go or
 * come in the order of a map. Theirs come on a blurred picture, here on the same constant clip that
 * they go to. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "explain/question.h"

enum { STEPS_USUAL = 32 };

typedef struct rank {
    double value;
    size_t cell;
} rank;

typedef struct curves {
    tub_model *model;
    const tub_explanation *e;
    tub__cells cells;
    rank *order; /* [cells] */
    float *x, *baseline;
    size_t steps, batch;
    float *now;           /* [voxels]: the clip of the last point */
    float *clips;         /* [batch, voxels] */
    float *probabilities; /* [batch, K] */
} curves;

void tub_explain_curves_free(tub_explain_curves *c) {
    if (c->owner != NULL) {
        tub__free(&c->owner->allocator, c->deletion);
        tub__free(&c->owner->allocator, c->insertion);
        *c = (tub_explain_curves){0};
    }
}

/* The largest first; of equal ones the first. */
static int compare(const void *a_, const void *b_) {
    const rank *a = a_, *b = b_;
    return a->value > b->value   ? -1
           : a->value < b->value ? 1
           : a->cell < b->cell   ? -1
                                 : a->cell > b->cell;
}

static tub_status rank_cells(curves *c, tub_error *err) {
    const tub_allocator *a = &c->model->context->allocator;
    const size_t count = tub__cells_count(&c->cells);
    double *means;
    TUB__TRY(tub__alloc_array(a, count, sizeof *c->order, (void **)&c->order, err));
    TUB__TRY(tub__alloc_array(a, count, sizeof *means, (void **)&means, err));
    tub__cells_gather(&c->cells, c->e->map, means);
    for (size_t k = 0; k < count; k++) {
        c->order[k] = (rank){means[k], k};
    }
    tub__free(a, means);
    qsort(c->order, count, sizeof *c->order, compare);
    return TUB_OK;
}

/* Cells that point number `step` has changed. */
static size_t changed(const curves *c, size_t step) {
    return tub__cells_count(&c->cells) * step / c->steps;
}

/* From point to point: what `from` has in the cells whose turn it is. */
static void advance(curves *c, size_t step, const float *from) {
    for (size_t k = step > 0 ? changed(c, step - 1) : 0; k < changed(c, step); k++) {
        tub__explain_put_cell(&c->cells, c->model->geometry.channels, c->order[k].cell, from,
                              c->now);
    }
}

/* One curve: on `begin` appear the cells of `end`. */
static tub_status follow(curves *c, const float *begin, const float *end, double *out,
                         tub_error *err) {
    const size_t voxels = tub__geometry_voxels(&c->model->geometry),
                 classes = (size_t)c->model->config.classes;
    memcpy(c->now, begin, voxels * sizeof *begin);
    for (size_t done = 0, n; done <= c->steps; done += n) {
        n = tub__min(c->batch, c->steps + 1 - done);
        for (size_t k = 0; k < n; k++) {
            advance(c, done + k, end);
            memcpy(c->clips + k * voxels, c->now, voxels * sizeof *c->now);
        }
        TUB__TRY(tub_model_forward(c->model, (int64_t)n, TUB_F32, c->clips, NULL, c->probabilities,
                                   err));
        for (size_t k = 0; k < n; k++) {
            out[done + k] = (double)c->probabilities[k * classes + (size_t)c->e->target];
        }
        tub__explain_tell(c->model, done + n, c->steps + 1);
        TUB__TRY(tub__explain_go_on(c->model, err));
    }
    return TUB_OK;
}

/* Over shares of cells that need not be equally far apart. */
static double area(const curves *c, const double *curve) {
    const double count = (double)tub__cells_count(&c->cells);
    double sum = 0;
    for (size_t k = 1; k <= c->steps; k++) {
        const double width = (double)(changed(c, k) - changed(c, k - 1)) / count;
        sum += width * (curve[k - 1] + curve[k]) / 2;
    }
    return sum;
}

static tub_status settle_steps(curves *c, int64_t steps, tub_error *err) {
    const size_t count = tub__cells_count(&c->cells), most = tub__min(count, TUB_EXPLAIN_STEPS);
    TUB__TRY(tub__in_range("steps", steps, 0, (int64_t)most, err));
    c->steps = steps > 0 ? (size_t)steps : tub__min(STEPS_USUAL, most);
    return TUB_OK;
}

static tub_status take_room(curves *c, tub_explain_curves *out, tub_error *err) {
    const tub_allocator *a = &c->model->context->allocator;
    const size_t voxels = tub__geometry_voxels(&c->model->geometry);
    tub__pass_config config = {.batch = c->steps + 1};
    TUB__TRY(tub__explain_fit(c->model, 0, &config, err));
    c->batch = config.batch;
    TUB__TRY(tub__alloc_array(a, voxels, sizeof *c->now, (void **)&c->now, err));
    TUB__TRY(tub__alloc_array(a, c->batch, voxels * sizeof *c->clips, (void **)&c->clips, err));
    TUB__TRY(tub__alloc_array(a, c->batch, (size_t)c->model->config.classes * sizeof(float),
                              (void **)&c->probabilities, err));
    TUB__TRY(
        tub__alloc_array(a, c->steps + 1, sizeof *out->deletion, (void **)&out->deletion, err));
    return tub__alloc_array(a, c->steps + 1, sizeof *out->insertion, (void **)&out->insertion, err);
}

static tub_status work(curves *c, int64_t steps, tub_explain_curves *out, tub_error *err) {
    TUB__TRY(tub__cells_of_model(c->model, &c->cells, err));
    TUB__TRY(settle_steps(c, steps, err));
    TUB__TRY(rank_cells(c, err));
    TUB__TRY(take_room(c, out, err));
    TUB__TRY(follow(c, c->x, c->baseline, out->deletion, err));
    TUB__TRY(follow(c, c->baseline, c->x, out->insertion, err));
    out->points = (int64_t)c->steps + 1;
    out->deletion_auc = area(c, out->deletion);
    out->insertion_auc = area(c, out->insertion);
    return TUB_OK;
}

static void release(curves *c) {
    const tub_allocator *a = &c->model->context->allocator;
    tub__cells_free(a, &c->cells);
    tub__free(a, c->order);
    tub__free(a, c->x);
    tub__free(a, c->baseline);
    tub__free(a, c->now);
    tub__free(a, c->clips);
    tub__free(a, c->probabilities);
}

/* Whether the map can be one of the model's. */
static tub_status check(const tub_model *model, const tub_explanation *e, tub_error *err) {
    const tub_model_config *c = &model->config;
    if (e->frames != c->frames || e->height != c->height || e->width != c->width) {
        return tub__fail(err, TUB_E_SHAPE, "the map is of another size than the model's clips");
    }
    return tub__in_range("the map's class", e->target, 0, c->classes - 1, err);
}

tub_status tub_explanation_evaluate(tub_model *model, const tub_explanation *e, tub_dtype dtype,
                                    const void *x, int64_t steps, tub_baseline baseline,
                                    tub_explain_curves *out, tub_error *err) {
    curves c = {.model = model, .e = e};
    *out = (tub_explain_curves){.owner = model->context};
    tub_status status = tub__in_range("baseline", baseline, 0, TUB_BASELINES - 1, err);
    out->baseline = baseline == TUB_BASELINE_DEFAULT ? TUB_BASELINE_MEAN : baseline;
    if (status == TUB_OK) {
        status = check(model, e, err);
    }
    if (status == TUB_OK) {
        status = tub__explain_floats(model, dtype, x, &c.x, err);
    }
    if (status == TUB_OK) {
        status = tub__explain_baseline(model, out->baseline, c.x, &c.baseline, err);
    }
    if (status == TUB_OK) {
        status = work(&c, steps, out, err);
    }
    model->context->stop = 0;
    release(&c);
    if (status != TUB_OK) {
        tub_explain_curves_free(out);
    }
    return status;
}
