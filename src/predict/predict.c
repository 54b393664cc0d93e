/* SPDX-License-Identifier: Apache-2.0 */
/* Running a trained model over a split of a data set, batch by batch. */
#include <math.h>
#include <tubelet/predict.h>

#include "base/context.h"
#include "base/error.h"
#include "data/dataset.h"
#include "model/model.h"

/* Heads of the data may lack the model's last classes. */
static tub_status check_labels(const tub_model_config *m, const tub_dataset_info *d,
                               tub_error *err) {
    const tub__outputs o = tub__model_outputs(m);
    const bool heads = o.task == TUB_TASK_MULTI_HEAD && d->task != TUB_TASK_MULTI_CLASS;
    if (o.task != d->task && !heads) {
        return tub__fail(err, TUB_E_SHAPE, "%s has labels of task %s, the model's is %s", d->name,
                         tub_task_name(d->task), tub_task_name(o.task));
    }
    if (!heads && m->classes != d->classes) {
        return tub__fail(err, TUB_E_SHAPE, "%s has %lld classes, the model has %lld", d->name,
                         (long long)d->classes, (long long)m->classes);
    }
    if (heads && d->label_columns != (int64_t)o.heads) {
        return tub__fail(err, TUB_E_SHAPE, "%s has labels of %lld heads, the model has %zu",
                         d->name, (long long)d->label_columns, o.heads);
    }
    for (int i = 0; heads && i < (int)o.heads; i++) {
        const int64_t data = tub__dataset_head(d, i);
        if (data > m->head_classes[i]) {
            return tub__fail(err, TUB_E_SHAPE, "%s has %lld classes in head %d, the model has %lld",
                             d->name, (long long)data, i + 1, (long long)m->head_classes[i]);
        }
    }
    return TUB_OK;
}

/* Names both sides, so that the reader sees which of the two is the wrong one. */
static tub_status check_fit(const tub_model *model, const tub_dataset_info *d, tub_error *err) {
    const int64_t shape[4] = {d->frames, d->height, d->width, d->channels};
    tub_status status = tub_model_accepts(model, d->dtype, shape, err);
    if (status != TUB_OK) {
        return tub__prefix(err, status, "%s", d->name);
    }
    TUB__TRY(check_labels(&model->config, d, err));
    if (d->dtype != TUB_U8 && d->dtype != TUB_F32) {
        return tub__fail(err, TUB_E_SHAPE, "%s: samples must be uint8 or float32", d->name);
    }
    return TUB_OK;
}

/* One run over the samples. scratch holds a batch's logits when the caller wants none, prepared a batch
 * of samples that the model does not take as they are. */
typedef struct run {
    tub_model *model;
    const tub_dataset *data;
    tub_split split;
    int64_t count, batch_size;
    float *logits, *probabilities, *scratch, *prepared;
    void *room; /* for samples that lie in files */
} run;

/* A batch's samples, as the model takes them. */
static tub_status batch_of(const run *r, int64_t first, int64_t batch, tub_dtype *dtype,
                           const void **out, tub_error *err) {
    const tub_dataset_info *d = tub_dataset_describe(r->data);
    const int64_t shape[4] = {d->frames, d->height, d->width, d->channels};
    const void *samples = NULL;
    TUB__TRY(
        tub__dataset_view(r->data, r->split, (size_t)first, (size_t)batch, r->room, &samples, err));
    *dtype = r->prepared != NULL ? TUB_F32 : d->dtype;
    *out = r->prepared != NULL ? r->prepared : samples;
    return r->prepared == NULL
               ? TUB_OK
               : tub_model_prepare(r->model, batch, shape, samples, r->prepared, err);
}

static tub_status run_batches(const run *r, tub_error *err) {
    const tub_scores unknown = {NAN, NAN, NAN, NAN};
    int64_t classes = r->model->config.classes;
    for (int64_t done = 0; done < r->count;) {
        int64_t batch = r->count - done < r->batch_size ? r->count - done : r->batch_size;
        float *logits = r->logits == NULL ? r->scratch : r->logits + done * classes;
        float *probabilities = r->probabilities == NULL ? NULL : r->probabilities + done * classes;
        tub_dtype dtype;
        const void *samples;
        TUB__TRY(batch_of(r, done, batch, &dtype, &samples, err));
        TUB__TRY(tub_model_forward(r->model, batch, dtype, samples, logits, probabilities, err));
        done += batch;
        tub__emit(r->model->context, &(tub_event){.kind = TUB_EVENT_EVALUATE,
                                                  .done = (uint64_t)done,
                                                  .total = (uint64_t)r->count,
                                                  .train = unknown,
                                                  .val = unknown});
    }
    return TUB_OK;
}

tub_status tub_predict_split(tub_model *model, const tub_dataset *data, tub_split split,
                             int64_t batch_size, float *logits, float *probabilities,
                             tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    const tub_dataset_info *info = tub_dataset_describe(data);
    if (batch_size < 1 || (int)split < 0 || split >= TUB_SPLITS) {
        return tub__fail(err, TUB_E_ARGUMENT, "batch size %lld: at least 1 is needed",
                         (long long)batch_size);
    }
    TUB__TRY(check_fit(model, info, err));
    if (info->count[split] < 1) {
        return tub__fail(err, TUB_E_NOT_FOUND, "%s has no samples in the split '%s'", info->name,
                         tub_split_name(split));
    }
    run r = {.model = model,
             .data = data,
             .split = split,
             .count = info->count[split],
             .batch_size = batch_size < info->count[split] ? batch_size : info->count[split],
             .logits = logits,
             .probabilities = probabilities};
    tub_status status = TUB_OK;
    if (logits == NULL) {
        status =
            tub__alloc_array(a, (size_t)r.batch_size, (size_t)model->config.classes * sizeof(float),
                             (void **)&r.scratch, err);
    }
    if (status == TUB_OK && info->dtype == TUB_U8 && tub_model_prepares(model)) {
        const tub_model_config *c = &model->config;
        status = tub__alloc_array(a, (size_t)r.batch_size,
                                  (size_t)(c->frames * c->height * c->width * c->channels) *
                                      sizeof(float),
                                  (void **)&r.prepared, err);
    }
    const size_t room = tub__dataset_view_room(data, (size_t)r.batch_size);
    if (status == TUB_OK && room > 0) {
        status = tub__alloc(a, room, &r.room, err);
    }
    if (status == TUB_OK) {
        status = run_batches(&r, err);
    }
    tub__free(a, r.room);
    tub__free(a, r.prepared);
    tub__free(a, r.scratch);
    return status;
}
