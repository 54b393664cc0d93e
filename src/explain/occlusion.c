/* SPDX-License-Identifier: Apache-2.0 */
/* Occlusion (Zeiler and Fergus 2014) in space and time: what the answer loses when a box of the
 * clip is covered, box after box. */
#include <string.h>

#include "base/error.h"
#include "explain/question.h"

typedef struct occlusion {
    const tub__question *q;
    tub__cells boxes;
    float *baseline; /* [voxels] */
    size_t batch;
    float *clips;   /* [batch, voxels] */
    float *answers; /* [batch, K] */
} occlusion;

static void cover(const occlusion *o, size_t box, float *clip) {
    memcpy(clip, o->q->x, o->q->voxels * sizeof *clip);
    tub__explain_put_cell(&o->boxes, o->q->model->geometry.channels, box, o->baseline, clip);
}

/* Boxes first … first + n - 1 at once. */
static tub_status try_boxes(const occlusion *o, size_t first, size_t n, tub_error *err) {
    const tub_explanation *e = o->q->out;
    const bool probability = o->q->options.probability != 0;
    const size_t classes = (size_t)o->q->model->config.classes;
    for (size_t k = 0; k < n; k++) {
        cover(o, first + k, o->clips + k * o->q->voxels);
    }
    TUB__TRY(tub_model_forward(o->q->model, (int64_t)n, TUB_F32, o->clips,
                               probability ? NULL : o->answers, probability ? o->answers : NULL,
                               err));
    for (size_t k = 0; k < n; k++) {
        const double left = (double)o->answers[k * classes + (size_t)e->target];
        e->cells[first + k] = (float)((probability ? e->probability : e->logit) - left);
    }
    return TUB_OK;
}

static tub_status prepare(occlusion *o, tub_error *err) {
    tub_model *m = o->q->model;
    tub_explanation *e = o->q->out;
    const tub_allocator *a = &m->context->allocator;
    const tub_explain_options *options = &o->q->options;
    size_t box[3], step[3];
    for (int i = 0; i < 3; i++) {
        box[i] = (size_t)options->box[i];
        step[i] = (size_t)options->step[i];
    }
    TUB__TRY(tub__cells_of_boxes(m, box, step, &o->boxes, err));
    tub__pass_config config = {.batch = tub__cells_count(&o->boxes)};
    TUB__TRY(tub__explain_fit(m, options->batch, &config, err));
    o->batch = config.batch;
    TUB__TRY(tub__explain_baseline(m, options->baseline, o->q->x, &o->baseline, err));
    TUB__TRY(
        tub__alloc_array(a, o->batch, o->q->voxels * sizeof *o->clips, (void **)&o->clips, err));
    TUB__TRY(tub__alloc_array(a, o->batch, (size_t)m->config.classes * sizeof *o->answers,
                              (void **)&o->answers, err));
    for (int i = 0; i < 3; i++) {
        e->grid[i] = (int64_t)o->boxes.grid[i];
        e->box[i] = options->box[i];
        e->step[i] = options->step[i];
    }
    return tub__alloc_array(a, tub__cells_count(&o->boxes), sizeof *e->cells, (void **)&e->cells,
                            err);
}

static tub_status work(occlusion *o, tub_error *err) {
    TUB__TRY(prepare(o, err));
    const uint64_t shape[] = {o->boxes.grid[0], o->boxes.grid[1], o->boxes.grid[2]};
    const size_t count = tub__cells_count(&o->boxes);
    for (size_t done = 0, n; done < count; done += n) {
        n = tub__min(o->batch, count - done);
        TUB__TRY(try_boxes(o, done, n, err));
        tub__explain_tell(o->q->model, done + n, count);
        TUB__TRY(tub__explain_go_on(o->q->model, err));
    }
    TUB__TRY(tub__raw_write(o->q->raws, "cells", 3, shape, o->q->out->cells, err));
    return tub__cells_spread(&o->q->model->context->allocator, &o->boxes, o->q->options.upsampling,
                             o->q->out->cells, o->q->out->map, err);
}

tub_status tub__explain_by_occlusion(tub__question *q, tub_error *err) {
    const tub_allocator *a = &q->model->context->allocator;
    occlusion o = {.q = q};
    const tub_status status = work(&o, err);
    tub__free(a, o.answers);
    tub__free(a, o.clips);
    tub__free(a, o.baseline);
    tub__cells_free(a, &o.boxes);
    return status;
}
