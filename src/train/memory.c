/* SPDX-License-Identifier: Apache-2.0 */
/* What a training will take of memory: slabs by their sizes, passes by the code that lays them out. */
#include "base/error.h"
#include "data/dataset.h"
#include "data/file_set.h"
#include "train/trainer.h"

/* Measured: the program before it trains (code, libraries, stacks), and a worker's scratch. */
enum { MIB = 1 << 20, PROGRAM = 5 * MIB, WORKER = MIB };

static tub__tree_split split_of(const tub_train_config *c) {
    return tub__tree_split_of((size_t)c->batch_size, (size_t)c->ranks, (size_t)c->micro_batch);
}

/* Files that are decoded at once: by the threads of all loaders, or by those of the first pass. */
static size_t files_at_once(const tub_train_config *c, int threads) {
    const int ranks = (int)c->ranks, own = threads > ranks ? threads / ranks : 1;
    const size_t loading = (size_t)ranks * tub__loader_threads(c->loader_threads, true, own);
    return !c->no_cache && (size_t)threads > loading ? (size_t)threads : loading;
}

/* Samples of all splits, and what the loaders hold of them. */
static size_t data_bytes(const tub_train_config *c, const tub_dataset_info *data, int threads) {
    const tub_model_config *m = &c->model;
    const size_t voxels = (size_t)(m->frames * m->height * m->width * m->channels);
    const size_t sample = data != NULL ? tub__dataset_sample_bytes(data) : voxels;
    const size_t element = data != NULL ? tub__dtype_bytes(data->dtype) : 1,
                 clip = voxels * (c->augment.shape_intensity ? sizeof(float) : element);
    size_t count = 0;
    const bool files = data != NULL && data->file_bytes > 0;
    for (int split = 0; data != NULL && !files && split < TUB_SPLITS; split++) {
        count += (size_t)data->count[split];
    }
    if (files) { /* what is validated at once */
        count += tub__validation_batch(m, data->count[TUB_VAL]);
    }
    return count * sample + TUB__LOADER_DEPTH * (size_t)c->batch_size * clip +
           (files ? files_at_once(c, threads) * (size_t)data->file_bytes : 0);
}

/* What the loaders' threads augment in. */
static size_t augment_bytes(const tub_train_config *c, const tub_dataset_info *data, int threads) {
    const tub_model_config *m = &c->model;
    const int64_t clip[] = {m->frames, m->height, m->width};
    const bool files = data != NULL && data->file_bytes > 0;
    const int ranks = (int)c->ranks, own = threads > ranks ? threads / ranks : 1;
    tub_dataset_info from = {
        .frames = m->frames, .height = m->height, .width = m->width, .channels = m->channels};
    if (!tub_augment_is_on(&c->augment)) {
        return 0;
    }
    if (data != NULL) {
        from = *data;
    }
    if (files) {
        int64_t size[2];
        tub__clip_source_size(from.height, from.width, c->clip.resize, size);
        from.height = size[0];
        from.width = size[1];
    }
    const size_t each = tub__augment_scratch_of(&c->augment, &from, clip) +
                        (files ? tub__dataset_sample_bytes(&from) : 0);
    return (size_t)ranks * tub__loader_threads(c->loader_threads, files, own) * each;
}

/* A fold is made beside the whole, before anything else is. */
static size_t most_at_once(const tub_train_config *c, const tub_dataset_info *data,
                           const tub_train_memory *m) {
    const size_t steps = m->weights + m->gradients + m->moments + m->average + m->activations +
                         m->validation + m->data;
    const size_t folding = c->folds > 0 && data != NULL && data->file_bytes == 0 ? 2 * m->data : 0;
    return (steps > folding ? steps : folding) + m->program;
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
    out->average = c->ema > 0.0 ? ranks * slab : 0;
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
        out->data = data_bytes(config, data, threads) + augment_bytes(config, data, threads);
        out->program = PROGRAM + (size_t)threads * WORKER +
                       tub__params_largest(&o.model.params) * sizeof(float);
        out->total = most_at_once(config, data, out);
    }
    tub__outline_destroy(&o);
    return status;
}
