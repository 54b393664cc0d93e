/* SPDX-License-Identifier: Apache-2.0 */
/* What a training will take of memory: slabs by their sizes, passes by the code that lays them out. */
#include "base/error.h"
#include "data/dataset.h"
#include "train/trainer.h"

/* Measured: the program before it trains (code, libraries, stacks), and a worker's scratch. */
enum { MIB = 1 << 20, PROGRAM = 5 * MIB, WORKER = MIB };

static tub__tree_split split_of(const tub_train_config *c) {
    return tub__tree_split_of((size_t)c->batch_size, (size_t)c->ranks, (size_t)c->micro_batch);
}

/* Samples of all splits, and what the loaders hold of them. */
static size_t data_bytes(const tub_train_config *c, const tub_dataset_info *data) {
    const tub_model_config *m = &c->model;
    const size_t voxels = (size_t)(m->frames * m->height * m->width * m->channels);
    const size_t sample = data != NULL ? tub__dataset_sample_bytes(data) : voxels;
    size_t count = 0;
    const bool files = data != NULL && data->file_bytes > 0;
    for (int split = 0; data != NULL && !files && split < TUB_SPLITS; split++) {
        count += (size_t)data->count[split];
    }
    if (files) { /* what is validated at once, and one file for each loader */
        count += tub__validation_batch(m, data->count[TUB_VAL]);
    }
    return (count + TUB__LOADER_DEPTH * (size_t)c->batch_size) * sample +
           (files ? (size_t)c->ranks * (size_t)data->file_bytes : 0);
}

static tub_status measure_passes(const tub_train_config *c, const tub_dataset_info *data,
                                 const tub_model *model, tub_train_memory *out, tub_error *err) {
    const tub__pass_config step = {
        .batch = split_of(c).piece, .training = true, .recompute = c->recompute != 0};
    const tub__pass_config check = {
        .batch = tub__validation_batch(&c->model, data != NULL ? data->count[TUB_VAL] : INT64_MAX)};
    TUB__TRY(tub__pass_measure(model, &step, &out->activations, err));
    out->activations -= model->params.elements * sizeof(float); /* the gradients count apart */
    out->activations *= (size_t)c->ranks;
    return check.batch > 0 ? tub__pass_measure(model, &check, &out->validation, err) : TUB_OK;
}

static void measure_slabs(const tub_train_config *c, tub_model *model, tub_train_memory *out) {
    const size_t ranks = (size_t)c->ranks, slab = model->params.elements * sizeof(float);
    out->weights = ranks * (slab + tub__sinusoids_bytes(&c->model, sizeof(float)));
    if (c->precision == TUB_PRECISION_BF16) {
        tub__params_reduce(&model->params, TUB__BF16);
        out->weights += ranks * 2 * model->params.reduced_bytes;
    }
    out->gradients = ranks * (1 + split_of(c).levels) * slab;
    out->moments = ranks * (c->optimizer == TUB_SGD ? 1 : 2) * slab;
}

tub_status tub_train_memory_of(const tub_train_config *config, const tub_dataset_info *data,
                               int threads, tub_train_memory *out, tub_error *err) {
    tub__outline o;
    *out = (tub_train_memory){0};
    TUB__TRY(tub_train_config_check(config, err));
    TUB__TRY(tub__outline_create(&config->model, &o, err));
    const tub_status status = measure_passes(config, data, &o.model, out, err);
    if (status == TUB_OK) {
        measure_slabs(config, &o.model, out);
        out->data = data_bytes(config, data);
        out->program = PROGRAM + (size_t)threads * WORKER +
                       tub__params_largest(&o.model.params) * sizeof(float);
        out->total = out->weights + out->gradients + out->moments + out->activations +
                     out->validation + out->data + out->program;
    }
    tub__outline_destroy(&o);
    return status;
}
