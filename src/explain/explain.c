/* SPDX-License-Identifier: Apache-2.0 */
/* One explanation: the clip's answer, the method, the map as a file. */
#include <math.h>

#include "base/error.h"
#include "base/fpenv.h"
#include "explain/question.h"
#include "formats/npy.h"

void tub_explanation_free(tub_explanation *e) {
    if (e->owner != NULL) {
        tub__free(&e->owner->allocator, e->map);
        tub__free(&e->owner->allocator, e->cells);
        *e = (tub_explanation){0};
    }
}

static void choose_target(tub__question *q, const float *logits, const float *probabilities) {
    int64_t best = 0;
    for (int64_t k = 1; k < q->model->config.classes; k++) {
        best = probabilities[k] > probabilities[best] ? k : best;
    }
    q->out->target = q->options.target >= 0 ? q->options.target : best;
    q->out->logit = (double)logits[q->out->target];
    q->out->probability = (double)probabilities[q->out->target];
}

/* The clip's answer, and which class it is about. */
static tub_status answer(tub__question *q, tub_error *err) {
    const tub_allocator *a = &q->model->context->allocator;
    const size_t classes = (size_t)q->model->config.classes;
    float *logits;
    TUB__TRY(tub__alloc_array(a, 2 * classes, sizeof *logits, (void **)&logits, err));
    tub_status status =
        tub_model_forward(q->model, 1, TUB_F32, q->x, logits, logits + classes, err);
    for (size_t k = 0; k < classes && status == TUB_OK; k++) {
        if (!isfinite(logits[k])) {
            status = tub__fail(err, TUB_E_NUMERIC,
                               "the model's answer for this clip is no finite number: are there "
                               "values in it that are none?");
        }
    }
    if (status == TUB_OK) {
        choose_target(q, logits, logits + classes);
    }
    tub__free(a, logits);
    return status;
}

static tub_status by_method(tub__question *q, tub_error *err) {
    switch (q->options.method) {
    case TUB_EXPLAIN_OCCLUSION:
        return tub__explain_by_occlusion(q, err);
    case TUB_EXPLAIN_INTEGRATED_GRADIENTS:
        return tub__explain_by_path(q, err);
    default:
        return tub__explain_by_attention(q, err);
    }
}

/* Numbers of a network, or of its gradients, may grow beyond what float32 holds while its answer
 * does not. */
static tub_status check_map(const tub_explanation *e, tub_error *err) {
    const size_t n = (size_t)(e->frames * e->height * e->width);
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(e->map[i])) {
            return tub__fail(err, TUB_E_NUMERIC,
                             "the map has values that are no finite numbers: what the model "
                             "computes on the way grows too large; try another method");
        }
    }
    return TUB_OK;
}

static tub_status explain(tub__question *q, tub_error *err) {
    const tub_model_config *c = &q->model->config;
    tub_explanation *e = q->out;
    *e = (tub_explanation){.owner = q->model->context,
                           .method = q->options.method,
                           .baseline = q->options.baseline,
                           .frames = c->frames,
                           .height = c->height,
                           .width = c->width};
    TUB__TRY(tub__alloc_array(&e->owner->allocator, (size_t)(c->frames * c->height * c->width),
                              sizeof *e->map, (void **)&e->map, err));
    TUB__TRY(answer(q, err));
    const tub__fpenv saved = tub__fpenv_enter();
    const tub_status status = by_method(q, err);
    tub__fpenv_leave(saved);
    TUB__TRY(status);
    TUB__TRY(tub__explain_go_on(q->model, err));
    TUB__TRY(check_map(e, err));
    return tub__raws_commit(q->raws, err);
}

tub_status tub_explain(tub_model *model, const tub_explain_options *options, tub_dtype dtype,
                       const void *x, tub_explanation *out, tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    tub__raws raws = {.allocator = a};
    tub__question q = {.model = model,
                       .voxels = tub__geometry_voxels(&model->geometry),
                       .raws = &raws,
                       .out = out};
    float *floats;
    *out = (tub_explanation){0};
    TUB__TRY(tub__explain_settle(model, options, &q.options, err));
    TUB__TRY(tub__explain_floats(model, dtype, x, &floats, err));
    q.x = floats;
    raws.prefix = q.options.raw;
    const tub_status status = explain(&q, err);
    tub__raws_abort(&raws);
    tub__free(a, floats);
    model->context->stop = 0;
    if (status != TUB_OK) {
        tub_explanation_free(out);
    }
    return status;
}

tub_status tub_explanation_write(const tub_explanation *e, const char *path, tub_error *err) {
    const uint64_t shape[] = {(uint64_t)e->frames, (uint64_t)e->height, (uint64_t)e->width};
    return tub__npy_write(&e->owner->allocator, path, "<f4", 3, shape, e->map, err);
}
