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
    const tub__variant_shape shape = tub__variant_shape_of(&model->config);
    if (config->batch > ROWS_LIMIT / tub__geometry_tokens(&model->geometry) ||
        config->batch > ROWS_LIMIT / tub__model_tokens(&model->config) ||
        (config->training && config->batch > TUB__SAMPLES_LIMIT)) {
        return too_large(config->batch, err);
    }
    const size_t layers = tub__variant_layers(&shape);
    TUB__TRY(tub__alloc_array(&pass->allocator, layers > 0 ? layers : 1, sizeof *pass->blocks,
                              (void **)&pass->blocks, err));
    pass->towers = shape.towers;
    for (size_t i = 0; i < shape.towers; i++) {
        pass->tower[i].shape = shape.tower[i];
        pass->tower[i].blocks = pass->blocks + shape.tower[i].first;
    }
    return TUB_OK;
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

static size_t gradient_bytes(const tub__pass *pass) {
    return pass->config.training && !pass->config.frozen
               ? pass->model->params.elements * pass->be->real_size
               : 0;
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
    *bytes = activations + gradient_bytes(&pass);
    return TUB_OK;
}

static tub_status take_slabs(tub__pass *pass, size_t activations, tub_error *err) {
    tub__backend *be = pass->be;
    TUB__TRY(be->ops->slab_create(be, activations, &pass->slab, err));
    if (gradient_bytes(pass) > 0) {
        TUB__TRY(be->ops->slab_create(be, gradient_bytes(pass), &pass->gradients, err));
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
                       .frozen = pass->config.frozen,
                       .dropout = pass->drops ? &pass->dropout : NULL};
}

/* Besides attention probabilities, whose rate the caller gives. */
static bool drops_more(const tub_model_config *c) {
    return c->dropout > 0 || c->mlp_dropout > 0 || c->drop_layer > 0;
}

/* What a tower pooled: a row for each of its sequences. */
static tub__mat pooled(const tub__pass *pass, size_t tower) {
    const tub__pooler *p = &pass->tower[tower].pooler;
    return tub__first_rows(p->pooled, pass->samples * p->sequences);
}

static tub__mat dpooled(const tub__pass *pass, size_t tower) {
    return tub__first_rows(pass->tower[tower].pooler.dpooled, pooled(pass, tower).rows);
}

static tub_family family_of(const tub__pass *pass) {
    return pass->model->config.family;
}

void tub__pass_forward(tub__pass *pass, size_t samples, tub_dtype dtype, const void *x,
                       const tub__dropout *dropout) {
    tub__model_refresh(pass->model);
    pass->samples = samples;
    pass->dropout = dropout ? *dropout : (tub__dropout){0};
    pass->drops = dropout && (dropout->rate > 0 || drops_more(&pass->model->config));
    const tub__call call = call_of(pass);
    if (family_of(pass) != TUB_FAMILY_VIVIT) {
        tub__voxels_forward(&call, pass, dtype, x);
        tub__head_forward(&call, &pass->head,
                          family_of(pass) == TUB_FAMILY_RESNET3D18
                              ? tub__resnet_forward(&call, pass)
                              : tub__cnn_forward(&call, pass));
        return;
    }
    tub__first_tower_forward(&call, &pass->tower[0], &pass->embedding, dtype, x);
    for (size_t i = 1; i < pass->towers; i++) {
        tub__next_tower_forward(&call, &pass->tower[i], pooled(pass, i - 1));
    }
    tub__head_forward(&call, &pass->head, pooled(pass, pass->towers - 1));
}

void tub__pass_loss(tub__pass *pass, const tub__targets *targets, double *losses) {
    const tub__loss op = {.outputs = tub__model_outputs(&pass->model->config),
                          .logits = tub__first_rows(pass->head.logits, pass->samples),
                          .labels = targets->labels,
                          .class_weight = targets->class_weight,
                          .second = targets->second,
                          .share = targets->share,
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

static void family_backward(const tub__call *call, const tub__pass *pass) {
    const tub__resnet *r = &pass->resnet;
    if (family_of(pass) == TUB_FAMILY_RESNET3D18) {
        tub__head_backward(call, &pass->head, tub__first_rows(r->pooled, call->samples),
                           tub__first_rows(r->dpooled, call->samples));
        tub__resnet_backward(call, pass);
        return;
    }
    if (pass->towers > 0) {
        tub__head_backward(call, &pass->head, pooled(pass, 0), dpooled(pass, 0));
    } else {
        tub__head_backward(call, &pass->head, tub__cnn_output(call, pass),
                           tub__cnn_doutput(call, pass));
    }
    tub__cnn_backward(call, pass);
}

void tub__pass_backward(tub__pass *pass, bool more) {
    tub__call call = call_of(pass);
    call.more = more;
    if (family_of(pass) != TUB_FAMILY_VIVIT) {
        family_backward(&call, pass);
        return;
    }
    tub__head_backward(&call, &pass->head, pooled(pass, pass->towers - 1),
                       dpooled(pass, pass->towers - 1));
    for (size_t i = pass->towers; i-- > 1;) {
        tub__next_tower_backward(&call, &pass->tower[i], dpooled(pass, i - 1));
    }
    tub__embedding_backward(&call, &pass->embedding, tub__tower_backward(&call, &pass->tower[0]));
}

static void rows_out(tub__pass *pass, tub__mat m, size_t rows, tub_dtype host, void *out) {
    pass->be->ops->mat_out(pass->be, host, out, m.cols, 1, tub__first_rows(m, rows));
}

void tub__pass_logits(tub__pass *pass, tub_dtype host, void *out) {
    rows_out(pass, pass->head.logits, pass->samples, host, out);
}

void tub__pass_probabilities(tub__pass *pass, tub_dtype host, void *out) {
    const tub__outputs outputs = tub__model_outputs(&pass->model->config);
    pass->be->ops->probabilities(pass->be, &outputs,
                                 tub__first_rows(pass->head.logits, pass->samples),
                                 tub__first_rows(pass->probabilities, pass->samples));
    rows_out(pass, pass->probabilities, pass->samples, host, out);
}

void *tub__pass_gradients(tub__pass *pass) {
    return pass->gradients;
}

void tub__pass_input_gradient(tub__pass *pass, tub_dtype host, void *out) {
    const size_t voxels = tub__geometry_voxels(&pass->model->geometry);
    void *dinput =
        family_of(pass) == TUB_FAMILY_VIVIT ? pass->embedding.dinput : pass->voxels.dinput;
    const tub__mat flat = {dinput, pass->samples, voxels, voxels};
    rows_out(pass, flat, pass->samples, host, out);
}

tub__tower *tub__pass_tower_of(tub__pass *pass, size_t l) {
    tub__tower *t = &pass->tower[0];
    return pass->towers > 1 && l >= t->shape.layers && t[1].shape.layers > 0 ? t + 1 : t;
}

void tub__pass_tokens(tub__pass *pass, size_t layer, tub_dtype host, void *out) {
    const tub__tower *t = tub__pass_tower_of(pass, layer);
    const size_t l = layer - t->shape.first;
    rows_out(pass, l == t->shape.layers ? t->end : t->blocks[l].x[0],
             pass->samples * tub__tower_rows(&t->shape), host, out);
}

tub_status tub__pass_attention(tub__pass *pass, size_t layer, size_t number, tub_dtype host,
                               void *out, tub_error *err) {
    const tub__tower *t = tub__pass_tower_of(pass, layer);
    const size_t parts = t->shape.parts, part = number % parts;
    const tub__attention_layer *a = &t->blocks[layer - t->shape.first].attention[number / parts];
    const size_t n = a->patterns[part].length, tokens = pass->samples * tub__tower_rows(&t->shape),
                 rows = tokens * (a->heads / parts);
    const tub__call call = {.be = pass->be, .samples = pass->samples};
    void *probabilities;
    TUB__TRY(
        pass->be->ops->slab_create(pass->be, rows * n * pass->be->real_size, &probabilities, err));
    const tub__heads all_heads = {part, 0, a->heads / parts};
    tub__attention_layer_probabilities(&call, a, &all_heads, tub__first_rows(t->dnormed, tokens),
                                       probabilities);
    const tub__mat all = {probabilities, rows, n, n};
    rows_out(pass, all, rows, host, out);
    pass->be->ops->slab_destroy(pass->be, probabilities);
    return TUB_OK;
}
