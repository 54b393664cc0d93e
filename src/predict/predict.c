/* SPDX-License-Identifier: Apache-2.0 */
/* Running a trained model over a split of a data set, batch by batch. */
#include <math.h>
#include <string.h>
#include <tubelet/predict.h>

#include "base/context.h"
#include "base/error.h"
#include "convert/prepare.h"
#include "data/dataset.h"
#include "model/model.h"

/* The model's class of that name; -1: none. */
static int64_t class_named(const tub_model *model, const char *name) {
    for (int64_t k = 0; k < model->config.classes; k++) {
        if (strcmp(model->labels[k], name) == 0) {
            return k;
        }
    }
    return -1;
}

tub_status tub_predict_check_classes(const tub_model *model, const tub_dataset *data,
                                     tub_error *err) {
    const tub_dataset_info *d = tub_dataset_describe(data);
    const bool named = d->labels != NULL && model->labels != NULL;
    const int64_t classes = model->config.classes;
    int64_t other = -1, order = -1; /* the first class that the model lacks, or has elsewhere */
    for (int64_t k = 0; named && d->classes <= classes && k < d->classes; k++) {
        if (strcmp(d->labels[k], model->labels[k]) != 0) {
            order = order < 0 && d->classes == classes ? k : order;
            other = other < 0 && class_named(model, d->labels[k]) < 0 ? k : other;
        }
    }
    if (other >= 0) {
        return tub__fail(err, TUB_E_SHAPE,
                         "%s: its class %lld, '%.60s', is none of the model's, whose class %lld is "
                         "'%.60s'; give what is the same the same name",
                         d->name, (long long)other, d->labels[other], (long long)other,
                         model->labels[other]);
    }
    return order < 0 ? TUB_OK
                     : tub__fail(err, TUB_E_SHAPE,
                                 "%s: its class %lld is '%.60s', and the model's is '%.60s'; open "
                                 "it in the model's order (tub_model_dataset_options)",
                                 d->name, (long long)order, d->labels[order], model->labels[order]);
}

/* Heads of the data may lack the model's last classes. */
static tub_status check_labels(const tub_model *model, const tub_dataset *data, tub_error *err) {
    const tub_model_config *m = &model->config;
    const tub_dataset_info *d = tub_dataset_describe(data);
    const tub__outputs o = tub__model_outputs(m);
    const bool heads = o.task == TUB_TASK_MULTI_HEAD && d->task != TUB_TASK_MULTI_CLASS;
    if (o.task != d->task && !heads) {
        return tub__fail(err, TUB_E_SHAPE, "%s has labels of task %s, the model's is %s", d->name,
                         tub_task_name(d->task), tub_task_name(o.task));
    }
    TUB__TRY(tub_predict_check_classes(model, data, err));
    if (!heads && m->classes != d->classes) {
        return tub__fail(err, TUB_E_SHAPE, "%s has %lld classes, the model has %lld", d->name,
                         (long long)d->classes, (long long)m->classes);
    }
    if (heads && d->label_columns != (int64_t)o.heads) {
        return tub__fail(err, TUB_E_SHAPE, "%s has labels of %lld heads, the model has %zu",
                         d->name, (long long)d->label_columns, o.heads);
    }
    for (int i = 0; heads && i < (int)o.heads; i++) {
        const int64_t there = tub__dataset_head(d, i);
        if (there > m->head_classes[i]) {
            return tub__fail(err, TUB_E_SHAPE, "%s has %lld classes in head %d, the model has %lld",
                             d->name, (long long)there, i + 1, (long long)m->head_classes[i]);
        }
    }
    return TUB_OK;
}

/* Names both sides, so that the reader sees which of the two is the wrong one. */
static tub_status check_fit(const tub_model *model, const tub_dataset *data, tub_error *err) {
    const tub_dataset_info *d = tub_dataset_describe(data);
    const int64_t shape[4] = {d->frames, d->height, d->width, d->channels};
    tub_status status = tub_model_accepts(model, d->dtype, shape, err);
    if (status != TUB_OK) {
        return tub__prefix(err, status, "%s", d->name);
    }
    TUB__TRY(check_labels(model, data, err));
    if (d->dtype != TUB_U8 && d->dtype != TUB_F32) {
        return tub__fail(err, TUB_E_SHAPE, "%s: samples must be uint8 or float32", d->name);
    }
    return TUB_OK;
}

tub_dataset_options tub_model_dataset_options(const tub_model *model) {
    const tub_model_config *c = &model->config;
    tub_dataset_options o = tub_dataset_options_default();
    const tub__clip_rule rule = tub__model_clip_rule(model);
    o.clip.frames = c->frames;
    o.clip.height = c->height;
    o.clip.width = c->width;
    o.clip.gray = c->channels == 1;
    o.clip.sampling = rule.sampling;
    o.clip.stride = rule.stride;
    o.clip.intensity_window[0] = rule.window.low;
    o.clip.intensity_window[1] = rule.window.high;
    o.split_seed = (uint64_t)rule.split_seed;
    o.class_names = (const char *const *)model->labels;
    o.class_count = model->labels != NULL ? c->classes : 0;
    o.picture = model->clip != NULL ? &model->clip->picture : model->preprocessing;
    return o;
}

/* One run over the samples. scratch holds a batch's logits when the caller wants none, prepared a batch
 * of samples that the model does not take as they are. */
typedef struct run {
    tub_model *model;
    const tub_dataset *data;
    tub_split split;
    int64_t first, count, batch_size;
    bool silent; /* no events */
    tub_views views;
    tub_average average;
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
    if (r->prepared != NULL &&
        r->data->files != NULL) { /* resized and cropped when they were read */
        return tub__model_scale(r->model, batch, samples, r->prepared, err);
    }
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
        TUB__TRY(batch_of(r, r->first + done, batch, &dtype, &samples, err));
        TUB__TRY(tub_model_forward_views(r->model, batch, dtype, samples, r->views, r->average,
                                         logits, probabilities, err));
        done += batch;
        if (r->silent) {
            continue;
        }
        tub__emit(r->model->context, &(tub_event){.kind = TUB_EVENT_EVALUATE,
                                                  .done = (uint64_t)done,
                                                  .total = (uint64_t)r->count,
                                                  .train = unknown,
                                                  .val = unknown});
    }
    return TUB_OK;
}

/* Samples first … first + count - 1 of a split that has them. */
static tub_status predict(tub_model *model, const tub_dataset *data, tub_split split, run r,
                          tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    const tub_dataset_info *info = tub_dataset_describe(data);
    r.model = model;
    r.data = data;
    r.split = split;
    r.batch_size = r.batch_size < r.count ? r.batch_size : r.count;
    tub_status status = TUB_OK;
    if (r.logits == NULL) {
        status =
            tub__alloc_array(a, (size_t)r.batch_size, (size_t)model->config.classes * sizeof(float),
                             (void **)&r.scratch, err);
    }
    const bool as_they_are =
        data->files != NULL ? tub__model_takes_levels(model) : !tub_model_prepares(model);
    if (status == TUB_OK && info->dtype == TUB_U8 && !as_they_are) {
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

/* Whether the call can be done at all. */
static tub_status check_call(const tub_model *model, const tub_dataset *data, tub_split split,
                             int64_t batch_size, tub_error *err) {
    const tub_dataset_info *info = tub_dataset_describe(data);
    if (batch_size < 1 || (int)split < 0 || split >= TUB_SPLITS) {
        return tub__fail(err, TUB_E_ARGUMENT, "batch size %lld: at least 1 is needed",
                         (long long)batch_size);
    }
    TUB__TRY(check_fit(model, data, err));
    if (info->count[split] < 1) {
        return tub__fail(err, TUB_E_NOT_FOUND, "%s has no samples in the split '%s'", info->name,
                         tub_split_name(split));
    }
    return TUB_OK;
}

tub_status tub_predict_split(tub_model *model, const tub_dataset *data, tub_split split,
                             int64_t batch_size, float *logits, float *probabilities,
                             tub_error *err) {
    return tub_predict_views(model, data, split, batch_size, TUB_VIEWS_NONE,
                             TUB_AVERAGE_PROBABILITIES, logits, probabilities, err);
}

tub_status tub_predict_views(tub_model *model, const tub_dataset *data, tub_split split,
                             int64_t batch_size, tub_views views, tub_average average,
                             float *logits, float *probabilities, tub_error *err) {
    const tub_dataset_info *info = tub_dataset_describe(data);
    TUB__TRY(check_call(model, data, split, batch_size, err));
    TUB__TRY(tub_views_check(views, info->labels, info->classes, err));
    TUB__TRY(tub__dataset_prepare(data, split, false, err));
    const run r = {.count = info->count[split],
                   .batch_size = batch_size,
                   .views = views,
                   .average = average,
                   .logits = logits,
                   .probabilities = probabilities};
    return predict(model, data, split, r, err);
}

tub_status tub_predict_samples(tub_model *model, const tub_dataset *data, tub_split split,
                               int64_t first, int64_t count, int64_t batch_size, tub_views views,
                               tub_average average, float *logits, float *probabilities,
                               tub_error *err) {
    const tub_dataset_info *info = tub_dataset_describe(data);
    TUB__TRY(check_call(model, data, split, batch_size, err));
    TUB__TRY(tub_views_check(views, info->labels, info->classes, err));
    if (first < 0 || count < 1 || first > tub_dataset_describe(data)->count[split] - count) {
        return tub__fail(err, TUB_E_ARGUMENT, "samples %lld to %lld: the split '%s' has %lld",
                         (long long)first, (long long)first + (long long)count - 1,
                         tub_split_name(split),
                         (long long)tub_dataset_describe(data)->count[split]);
    }
    const run r = {.first = first,
                   .count = count,
                   .batch_size = batch_size,
                   .silent = true,
                   .views = views,
                   .average = average,
                   .logits = logits,
                   .probabilities = probabilities};
    return predict(model, data, split, r, err);
}
