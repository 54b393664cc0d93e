/* SPDX-License-Identifier: Apache-2.0 */
/* The driver of forward and backward passes: memory, the order of calls, results out. */
#include "model/pass.h"

#include "base/error.h"

/* Rows of all samples together: what layout.c multiplies before the arena checks it can't overflow
 * then. */
static const size_t ROWS_LIMIT = (size_t)1 << 40;

static tub_status too_large(size_t batch, tub_error *err) {
    return tub__fail(err, TUB_E_MEMORY, "a batch of %zu needs more memory than can be addressed",
                     batch);
}

/* Starts a pass whose layers are not yet laid out. */
static tub_status begin(const tub_model *model, const tub__pass_config *config, tub__pass *pass,
                        tub_error *err) {
    *pass = (tub__pass){.model = (tub_model *)model,
                        .be = model->backend,
                        .config = *config,
                        .allocator = model->backend->allocator};
    pass->tokens =
        tub__geometry_tokens(&model->geometry) + (model->config.pooling == TUB_POOL_CLASS_TOKEN);
    if (config->batch > ROWS_LIMIT / pass->tokens ||
        (config->training && config->batch > TUB__SAMPLES_LIMIT)) {
        return too_large(config->batch, err);
    }
    return tub__alloc_array(&pass->allocator, (size_t)model->config.layers, sizeof *pass->blocks,
                            (void **)&pass->blocks, err);
}

static tub_status measure(tub__pass *pass, size_t *activations, tub_error *err) {
    tub__arena a;
    tub__arena_measure(&a);
    tub__pass_layout(pass, &a);
    if (a.overflow) {
        return too_large(pass->config.batch, err);
    }
    *activations = a.peak;
    return TUB_OK;
}

tub_status tub__pass_measure(const tub_model *model, const tub__pass_config *config, size_t *bytes,
                             tub_error *err) {
    tub__pass pass;
    size_t activations = 0;
    TUB__TRY(begin(model, config, &pass, err));
    const tub_status status = measure(&pass, &activations, err);
    tub__free(&pass.allocator, pass.blocks);
    if (status != TUB_OK) {
        return status;
    }
    *bytes =
        activations + (config->training ? model->params.elements * model->backend->real_size : 0);
    return TUB_OK;
}

static tub_status take_slabs(tub__pass *pass, size_t activations, tub_error *err) {
    tub__backend *be = pass->be;
    TUB__TRY(be->ops->slab_create(be, activations, &pass->slab, err));
    if (pass->config.training) {
        TUB__TRY(be->ops->slab_create(be, pass->model->params.elements * be->real_size,
                                      &pass->gradients, err));
    }
    return TUB_OK;
}

tub_status tub__pass_create(tub_model *model, const tub__pass_config *config, tub__pass **out,
                            tub_error *err) {
    tub__pass *pass;
    size_t activations = 0;
    TUB__TRY(tub__alloc_array(&model->backend->allocator, 1, sizeof *pass, (void **)&pass, err));
    tub_status status = begin(model, config, pass, err);
    if (status == TUB_OK) {
        status = measure(pass, &activations, err);
    }
    if (status == TUB_OK) {
        status = take_slabs(pass, activations, err);
    }
    if (status != TUB_OK) {
        tub__pass_destroy(pass);
        return status;
    }
    tub__arena a;
    tub__arena_init(&a, pass->slab, activations);
    tub__pass_layout(pass, &a);
    *out = pass;
    return TUB_OK;
}

void tub__pass_destroy(tub__pass *pass) {
    if (!pass) {
        return;
    }
    const tub_allocator a = pass->allocator;
    tub__backend *be = pass->be;
    if (be) {
        be->ops->slab_destroy(be, pass->slab);
        be->ops->slab_destroy(be, pass->gradients);
    }
    tub__free(&a, pass->blocks);
    tub__free(&a, pass);
}

static tub__call call_of(const tub__pass *pass) {
    return (tub__call){.be = pass->be,
                       .samples = pass->samples,
                       .training = pass->config.training,
                       .dropout = pass->dropout.rate > 0 ? &pass->dropout : NULL};
}

void tub__pass_forward(tub__pass *pass, size_t samples, tub_dtype dtype, const void *x,
                       const tub__dropout *dropout) {
    tub__model_refresh(pass->model);
    pass->samples = samples;
    pass->dropout = dropout ? *dropout : (tub__dropout){0};
    const tub__call call = call_of(pass);
    tub__joint_forward(pass, &call, dtype, x);
}

void tub__pass_loss(tub__pass *pass, const tub__targets *targets, double *losses) {
    const tub__loss op = {.logits = tub__first_rows(pass->head.logits, pass->samples),
                          .labels = targets->labels,
                          .class_weight = targets->class_weight,
                          .smoothing = targets->smoothing,
                          .scale = 1 / (double)targets->global_batch,
                          .dlogits = tub__first_rows(pass->head.dlogits, pass->samples),
                          .probabilities = tub__first_rows(pass->probabilities, pass->samples),
                          .loss = pass->losses};
    pass->be->ops->loss(pass->be, &op);
    if (losses) {
        const tub__mat column = {pass->losses, pass->samples, 1, 1};
        pass->be->ops->mat_out(pass->be, TUB_F64, losses, 1, 1, column);
    }
}

void tub__pass_backward(tub__pass *pass, bool more) {
    tub__call call = call_of(pass);
    call.more = more;
    tub__joint_backward(pass, &call);
}

static void rows_out(tub__pass *pass, tub__mat m, size_t rows, tub_dtype host, void *out) {
    pass->be->ops->mat_out(pass->be, host, out, m.cols, 1, tub__first_rows(m, rows));
}

void tub__pass_logits(tub__pass *pass, tub_dtype host, void *out) {
    rows_out(pass, pass->head.logits, pass->samples, host, out);
}

void tub__pass_probabilities(tub__pass *pass, tub_dtype host, void *out) {
    pass->be->ops->softmax(pass->be, tub__first_rows(pass->head.logits, pass->samples),
                           tub__first_rows(pass->probabilities, pass->samples));
    rows_out(pass, pass->probabilities, pass->samples, host, out);
}

void *tub__pass_gradients(tub__pass *pass) {
    return pass->gradients;
}

void tub__pass_input_gradient(tub__pass *pass, tub_dtype host, void *out) {
    const size_t voxels = tub__geometry_voxels(&pass->model->geometry);
    const tub__mat flat = {pass->embedding.dinput, pass->samples, voxels, voxels};
    rows_out(pass, flat, pass->samples, host, out);
}

void tub__pass_tokens(tub__pass *pass, size_t layer, tub_dtype host, void *out) {
    const bool last = layer == (size_t)pass->model->config.layers;
    rows_out(pass, last ? pass->end : pass->blocks[layer].x, pass->samples * pass->tokens, host,
             out);
}

tub_status tub__pass_attention(tub__pass *pass, size_t layer, tub_dtype host, void *out,
                               tub_error *err) {
    const tub__block *b = &pass->blocks[layer];
    const size_t heads = b->attention.heads, n = pass->tokens, rows = pass->samples * heads * n;
    const tub__pattern pattern = {.groups = 1, .length = n, .group_stride = n, .token_stride = 1};
    const tub__call call = {.be = pass->be, .samples = pass->samples};
    void *probabilities;
    TUB__TRY(
        pass->be->ops->slab_create(pass->be, rows * n * pass->be->real_size, &probabilities, err));
    const tub__mat scratch = tub__first_rows(pass->dnormed, pass->samples * n);
    tub__attention_layer_probabilities(&call, &b->attention, &pattern, scratch, probabilities);
    const tub__mat all = {probabilities, rows, n, n};
    rows_out(pass, all, rows, host, out);
    pass->be->ops->slab_destroy(pass->be, probabilities);
    return TUB_OK;
}
