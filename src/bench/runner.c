/* SPDX-License-Identifier: Apache-2.0 */
/* A model with all that a training step or a forward pass needs, on generated samples. */
#include "bench/runner.h"

#include "base/clock.h"
#include "base/context.h"
#include "base/error.h"
#include <string.h>

static const char *precision_name(const tub_model *m) {
    return m->reduced == NULL ? "f32" : m->params.list[0].format == TUB__INT8 ? "int8" : "bf16";
}

/* Products of a training step in the precision that is asked for. */
static tub_status prepare(tub_model *m, tub_precision precision, tub_error *err) {
    const bool reduced = precision != TUB_PRECISION_F32;
    if (precision == TUB_PRECISION_INT8) {
        return tub__fail(err, TUB_E_ARGUMENT, "there is no training in int8: measure f32 or bf16");
    }
    if (m->reduced != NULL && (!reduced || m->transposed == NULL)) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "a model that computes in %s can't be trained in %s; make it in a "
                         "context of f32",
                         precision_name(m), reduced ? "bf16" : "f32");
    }
    return reduced && m->reduced == NULL ? tub__model_reduce(m, TUB__BF16, true, err) : TUB_OK;
}

/* Voxels that look like noise, and one class after the other. */
static tub_status make_samples(tub__runner *r, bool step, tub_error *err) {
    const tub_allocator *a = &r->model->context->allocator;
    const size_t voxels = tub__geometry_voxels(&r->model->geometry);
    const size_t classes = (size_t)r->model->config.classes;
    TUB__TRY(tub__alloc_array(a, r->batch, voxels, (void **)&r->samples, err));
    for (size_t i = 0; i < r->batch * voxels; i++) {
        r->samples[i] = (unsigned char)((uint32_t)i * 2654435761u >> 24);
    }
    if (!step) {
        return tub__alloc_array(a, r->batch * classes, sizeof *r->logits, (void **)&r->logits, err);
    }
    const tub__outputs outputs = tub__model_outputs(&r->model->config);
    const size_t columns = tub__outputs_columns(&outputs, classes);
    const size_t values = columns > 1 ? 2 : classes; /* labels, and the first two of any head */
    TUB__TRY(tub__alloc_array(a, r->batch * columns, sizeof *r->labels, (void **)&r->labels, err));
    for (size_t i = 0; i < r->batch * columns; i++) {
        r->labels[i] = (int32_t)(i % values);
    }
    return TUB_OK;
}

static tub_status fill(tub__runner *r, tub_bench_pass kind, tub_precision precision,
                       tub_error *err) {
    const bool step = kind == TUB_BENCH_STEP;
    const tub__pass_config config = {.batch = r->batch, .training = step};
    if (step) {
        const tub_train_config recipe = tub_train_config_default();
        r->dropout = r->model->config.attention_dropout;
        TUB__TRY(prepare(r->model, precision, err));
        TUB__TRY(tub__optimizer_create(r->model, &recipe, &r->optimizer, err));
    }
    TUB__TRY(tub__pass_create(r->model, &config, &r->pass, err));
    return make_samples(r, step, err);
}

tub_status tub__runner_create(tub_model *model, tub_bench_pass kind, int64_t batch,
                              tub_precision precision, tub__runner *out, tub_error *err) {
    TUB__TRY(tub__in_range("batch", batch, 1, TUB__BENCH_BATCH, err));
    tub__runner r = {.model = model, .batch = (size_t)batch};
    const tub_status status = fill(&r, kind, precision, err);
    if (status != TUB_OK) {
        tub__runner_destroy(&r);
        return status;
    }
    *out = r;
    return TUB_OK;
}

void tub__runner_destroy(tub__runner *r) {
    if (r->model == NULL) {
        return;
    }
    const tub_allocator *a = &r->model->context->allocator;
    tub__free(a, r->logits);
    tub__free(a, r->labels);
    tub__free(a, r->samples);
    tub__pass_destroy(r->pass);
    tub__optimizer_destroy(&r->optimizer);
    *r = (tub__runner){0};
}

void tub__runner_step(void *user) {
    tub__runner *r = user;
    const double lr = 1e-4;
    const tub__dropout dropout = {.rate = r->dropout,
                                  .key = tub__random_key(1, TUB__RANDOM_DROPOUT)};
    const tub__targets targets = {.labels = r->labels, .global_batch = r->batch};
    r->times.begin = tub__seconds();
    tub__pass_forward(r->pass, r->batch, TUB_U8, r->samples, &dropout);
    r->times.forward = tub__seconds();
    tub__pass_loss(r->pass, &targets, NULL);
    tub__pass_backward(r->pass);
    r->times.backward = tub__seconds();
    void *gradient = tub__pass_gradients(r->pass);
    const double norm = tub__gradient_norm(&r->optimizer, gradient); /* as training, which looks
                                                                         whether it is finite */
    tub__optimizer_step(&r->optimizer, gradient, norm, ++r->step, lr);
    r->times.update = tub__seconds();
}

void tub__runner_predict(void *user) {
    tub__runner *r = user;
    tub__pass_forward(r->pass, r->batch, TUB_U8, r->samples, NULL);
    tub__pass_logits(r->pass, TUB_F32, r->logits);
}
