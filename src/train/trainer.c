/* SPDX-License-Identifier: Apache-2.0 */
/* Making one rank's trainer: its share of the tree, its memory, its loader. */
#include "train/trainer.h"

#include "base/error.h"
#include "data/dataset.h"
#include <string.h>

/* Gradient slabs for the left subtrees. */
static tub_status make_levels(tub__trainer *t, tub_error *err) {
    tub__backend *be = t->model->backend;
    for (size_t i = 0; i < t->split.levels; i++) {
        TUB__TRY(
            be->ops->slab_create(be, t->model->params.elements * be->real_size, &t->left[i], err));
    }
    return TUB_OK;
}

tub_status tub__class_weights(const tub_allocator *a, const int32_t *labels, size_t n,
                              size_t classes, float **out, tub_error *err) {
    void *memory = NULL, *counts = NULL;
    TUB__TRY(tub__alloc_array(a, classes, sizeof(uint64_t), &counts, err));
    uint64_t *count = counts;
    tub_status status = tub__alloc_array(a, classes, sizeof(float), &memory, err);
    if (status == TUB_OK) {
        float *weight = memory;
        for (size_t i = 0; i < n; i++) {
            count[labels[i]]++;
        }
        for (size_t k = 0; k < classes; k++) {
            weight[k] =
                count[k] > 0 ? (float)((double)n / ((double)classes * (double)count[k])) : 0.0f;
        }
        *out = weight;
    }
    tub__free(a, counts);
    return status;
}

size_t tub__validation_batch(const tub_model_config *model, int64_t count) {
    enum { SAMPLES = 32, ROWS = 16384 };
    const size_t fit = ROWS / tub__model_tokens(model), most = fit < 1 ? 1 : tub__min(fit, SAMPLES);
    return count < (int64_t)most ? (size_t)count : most;
}

static tub_status make_class_weights(tub__trainer *t, tub_error *err) {
    return t->run->config->class_weights == TUB_WEIGHTS_NONE
               ? TUB_OK
               : tub__class_weights(&t->ctx->allocator, tub_dataset_labels(t->run->data, TUB_TRAIN),
                                    (size_t)t->run->info->count[TUB_TRAIN],
                                    (size_t)t->run->config->model.classes, &t->class_weight, err);
}

static tub_status make_buffers(tub__trainer *t, tub_error *err) {
    const tub_allocator *a = &t->ctx->allocator;
    size_t classes = (size_t)t->run->config->model.classes,
           batch = (size_t)t->run->config->batch_size;
    const size_t val = (size_t)t->run->info->count[TUB_VAL];
    void *memory = NULL;
    TUB__TRY(tub__alloc_array(a, 1 + 3 * batch, sizeof(double), &memory, err));
    t->results = memory;
    TUB__TRY(tub__alloc_array(a, t->split.piece * classes, sizeof(float), &memory, err));
    t->answers = memory;
    TUB__TRY(tub__alloc_array(a, t->split.piece, sizeof(double), &memory, err));
    t->losses = memory;
    if (t->dist.rank == 0 && val > 0) {
        t->val_batch = tub__validation_batch(&t->run->config->model, (int64_t)val);
        TUB__TRY(tub__alloc_array(a, val * classes, sizeof(float), &memory, err));
        t->val_probabilities = memory;
        TUB__TRY(tub__alloc_array(a, t->val_batch * classes, sizeof(float), &memory, err));
        t->val_logits = memory;
        const size_t room = tub__dataset_view_room(t->run->data, t->val_batch);
        if (room > 0) {
            TUB__TRY(tub__alloc(a, room, &t->val_room, err));
        }
    }
    return TUB_OK;
}

static tub_status make_loader(tub__trainer *t, tub_error *err) {
    const tub_train_config *c = t->run->config;
    size_t batch = (size_t)c->batch_size, begin = 0, end = 0;
    tub__tree_part(batch, tub__tree_leaves(batch), (size_t)t->dist.rank, (size_t)t->dist.size,
                   &begin, &end);
    tub__loader_config config = {.data = t->run->data,
                                 .split = TUB_TRAIN,
                                 .seed = c->seed,
                                 .batch = batch,
                                 .shuffle = true,
                                 .depth = TUB__LOADER_DEPTH,
                                 .share_begin = begin,
                                 .share_end = end};
    return tub__loader_create(t->ctx, &config, &t->loader, err);
}

static tub_status fill(tub__trainer *t, tub_error *err) {
    const tub_train_config *c = t->run->config;
    t->split =
        tub__tree_split_of((size_t)c->batch_size, (size_t)t->dist.size, (size_t)c->micro_batch);
    t->sample_bytes = tub__dataset_sample_bytes(t->run->info);
    const tub__pass_config pass = {
        .batch = t->split.piece, .training = true, .recompute = c->recompute != 0};
    TUB__TRY(tub__pass_create(t->model, &pass, &t->pass, err));
    TUB__TRY(tub__optimizer_create(t->model, c, &t->optimizer, err));
    TUB__TRY(make_levels(t, err));
    TUB__TRY(make_class_weights(t, err));
    TUB__TRY(make_buffers(t, err));
    TUB__TRY(make_loader(t, err));
    t->batches = tub__loader_batches(t->loader);
    t->rates = tub__rates_make(c, tub__progress_total(c, t->batches), t->batches);
    return TUB_OK;
}

tub_status tub__trainer_create(tub_context *ctx, const tub__run *run, tub__dist dist,
                               tub_model *model, tub__trainer *out, tub_error *err) {
    tub__trainer t = {
        .run = run, .ctx = ctx, .dist = dist, .model = model, .progress = tub__progress_start()};
    tub_status status = fill(&t, err);
    if (status != TUB_OK) {
        tub__trainer_destroy(&t);
        return status;
    }
    *out = t;
    return TUB_OK;
}

void tub__trainer_destroy(tub__trainer *t) {
    if (t->ctx == NULL) {
        return;
    }
    const tub_allocator *a = &t->ctx->allocator;
    tub__loader_destroy(t->loader);
    tub__free(a, t->val_room);
    tub__free(a, t->val_logits);
    tub__free(a, t->val_probabilities);
    tub__free(a, t->losses);
    tub__free(a, t->answers);
    tub__free(a, t->results);
    tub__free(a, t->class_weight);
    for (size_t i = 0; i < t->split.levels; i++) {
        t->model->backend->ops->slab_destroy(t->model->backend, t->left[i]);
    }
    tub__optimizer_destroy(&t->optimizer);
    tub__pass_destroy(t->pass);
    tub_model_close(t->model);
    memset(t, 0, sizeof *t);
}
