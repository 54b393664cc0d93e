/* SPDX-License-Identifier: Apache-2.0 */
/* What a training writes into event files, and when.
 *
 *   at the beginning     recipe, command line, hyperparameters
 *   in the first step    samples as they are trained on
 *   at an epoch's end    the numbers of its row of log.csv; in some epochs histograms
 *   at the end           how the run ended
 *
 * The step of a record is the number of steps done. Scalars have the form that every reader takes
 * (simple_value); TensorBoard turns it into its newer one, its table of hyperparameters included. There is
 * no record of the experiment: TensorBoard would take that of one run for all, where without it it finds
 * the settings in which they differ. */
#include "train/events.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/module.h"
#include "base/utf8.h"
#include "train/histogram.h"
#include "train/hparams.h"
#include "train/recipe.h"
#include "train/strip.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TAG = 192 };

static bool is_on(const tub__train_events *e) {
    return e != NULL && e->ctx != NULL;
}

/* The first trouble is the one to tell. */
static void note(tub__train_events *e, tub_status status, const tub_error *err) {
    if (status != TUB_OK && e->trouble.status == TUB_OK) {
        e->trouble = *err;
    }
}

/* What is not UTF-8 would keep readers from the whole record. */
static void make_utf8(char *text) {
    for (size_t left = strlen(text), n = 1; left > 0; left -= n, text += n) {
        n = tub__utf8_length((const unsigned char *)text, left);
        if (n == 0) {
            *text = '?';
            n = 1;
        }
    }
}

static tub_status put(tub__train_events *e, uint64_t step, const tub__tfevent_value *values,
                      size_t count, tub_error *err) {
    const tub__tfevent event = {
        .wall_time = tub__wall_seconds(), .step = (int64_t)step, .values = values, .count = count};
    return tub__tfevents_put(&e->file, &event, err);
}

/* ---- the beginning ---- */

tub_status tub__train_events_check(tub_context *ctx, const tub_train_config *config,
                                   tub_error *err) {
    const void *table;
    return config->events == TUB_EVENT_FILES_ON ? tub__module_open(ctx, "events", &table, err)
                                                : TUB_OK;
}

static tub_status put_text(tub__train_events *e, uint64_t step, const char *tag,
                           const char *language, const char *text, tub_error *err) {
    const tub_allocator *a = &e->ctx->allocator;
    const size_t room = strlen(text) + strlen(language) + 16;
    void *block = NULL;
    TUB__TRY(tub__alloc(a, room, &block, err));
    snprintf(block, room, "```%s\n%s\n```", language, text);
    make_utf8(block);
    const tub__tfevent_value value = {.kind = TUB__TFEVENT_TEXT, .tag = tag, .as.text = block};
    const tub_status status = put(e, step, &value, 1, err);
    tub__free(a, block);
    return status;
}

static tub_status put_texts(tub__train_events *e, uint64_t step, tub_error *err) {
    char *recipe = NULL;
    size_t size = 0;
    TUB__TRY(tub__recipe_text(&e->ctx->allocator, e->config, &recipe, &size, err));
    tub_status status = put_text(e, step, "recipe/text_summary", "yaml", recipe, err);
    tub__free(&e->ctx->allocator, recipe);
    if (status == TUB_OK && e->ctx->command != NULL) {
        status = put_text(e, step, "command/text_summary", "sh", e->ctx->command, err);
    }
    return status;
}

static tub_status put_hparams(tub__train_events *e, uint64_t step, tub_error *err) {
    tub__hparams h = {0};
    TUB__TRY(tub__hparams_create(&e->ctx->allocator, e->config, &h, err));
    const tub__tfevent_value value = {
        .kind = TUB__TFEVENT_SESSION_START,
        .tag = "_hparams_/session_start_info",
        .as.start = {
            .hparams = h.list, .count = h.count, .group = "", .seconds = tub__wall_seconds()}};
    const tub_status status = put(e, step, &value, 1, err);
    tub__hparams_destroy(&h);
    return status;
}

/* The step that the session's first records have. What earlier files have from there on comes to
 * nothing, as the rows of log.csv do that tub__log_trim cuts off. */
static uint64_t first_step(const tub__progress *p) {
    return p->step == 0 || p->batch > 0 ? p->step : p->step + 1;
}

static tub_status begin(tub__train_events *e, const char *run, const tub__progress *p,
                        tub_error *err) {
    const double now = tub__wall_seconds();
    const uint64_t step = first_step(p);
    bool others = false;
    TUB__TRY(tub__tfevents_create(e->ctx, run, now, &e->file, &others, err));
    if (others) {
        const tub__tfevent restart = {.wall_time = now, .step = (int64_t)step, .restart = true};
        TUB__TRY(tub__tfevents_put(&e->file, &restart, err));
    }
    TUB__TRY(put_texts(e, step, err));
    TUB__TRY(put_hparams(e, step, err));
    return tub__tfevents_flush(&e->file, err);
}

void tub__train_events_open(tub_context *ctx, const tub_train_config *config,
                            const tub_dataset_info *info, const char *run, const tub__progress *p,
                            tub__train_events *out) {
    *out = (tub__train_events){.config = config, .info = info};
    if (config->events == TUB_EVENT_FILES_OFF || tub__progress_over(p, config)) {
        return;
    }
    tub_error err;
    out->ctx = ctx;
    const tub_status status = begin(out, run, p, &err);
    if (status == TUB_E_MODULE) {
        tub__log_line(ctx, TUB_LOG_INFO, "no event files for TensorBoard: %s", err.message);
        out->ctx = NULL;
        return;
    }
    note(out, status, &err);
    if (out->file.module == NULL) {
        tub__train_events_tell(out);
        out->ctx = NULL;
    }
}

void tub__train_events_close(tub__train_events *e) {
    tub__tfevents_close(&e->file);
    *e = (tub__train_events){0};
}

/* ---- samples ---- */

/* "samples/1 liver", where the label is one class with a name. */
static void sample_tag(const tub__train_events *e, const tub__batch *batch, size_t i,
                       char tag[TAG]) {
    const bool named = e->config->model.task == TUB_TASK_MULTI_CLASS && e->info->labels != NULL;
    const char *label = named ? e->info->labels[batch->labels[i]] : "";
    const int used = snprintf(tag, TAG, "samples/%zu", i + 1);
    if (label[0] != '\0' && (size_t)used + 1 + strlen(label) < TAG) {
        snprintf(tag + used, TAG - (size_t)used, " %s", label);
    }
    make_utf8(tag);
}

static tub_status put_sample(tub__train_events *e, const tub__draw_module *draw,
                             const tub__batch *batch, size_t i, tub_error *err) {
    const tub_model_config *m = &e->config->model;
    const int64_t shape[] = {m->frames, m->height, m->width, m->channels};
    const char *sample = (const char *)batch->samples + i * batch->sample_bytes;
    char tag[TAG];
    unsigned char *png = NULL;
    size_t size = 0;
    tub__strip strip;
    TUB__TRY(tub__strip_make(&e->ctx->allocator, shape, batch->dtype, sample, &strip, err));
    tub_status status = draw->to_png(strip.pixels, (uint32_t)strip.width, (uint32_t)strip.height,
                                     strip.channels, &png, &size, err);
    tub__free(&e->ctx->allocator, strip.pixels);
    TUB__TRY(status);
    sample_tag(e, batch, i, tag);
    const tub__tfevent_value value = {.kind = TUB__TFEVENT_IMAGE,
                                      .tag = tag,
                                      .as.image = {.png = png,
                                                   .size = size,
                                                   .height = (int32_t)strip.height,
                                                   .width = (int32_t)strip.width,
                                                   .channels = strip.channels}};
    status = put(e, 0, &value, 1, err);
    draw->release(png);
    return status;
}

void tub__train_events_batch(tub__train_events *e, const tub__batch *batch) {
    tub_error err;
    const void *draw = NULL;
    if (!is_on(e) || e->config->events_images == 0) {
        return;
    }
    if (tub__module_open(e->ctx, "draw", &draw, &err) != TUB_OK) {
        tub__log_line(e->ctx, TUB_LOG_INFO, "no samples in the event files: %s", err.message);
        return;
    }
    const size_t count = tub__min(batch->count, (size_t)e->config->events_images);
    tub_status status = TUB_OK;
    for (size_t i = 0; i < count && status == TUB_OK; i++) {
        status = put_sample(e, draw, batch, i, &err);
    }
    if (status == TUB_OK) {
        status = tub__tfevents_flush(&e->file, &err);
    }
    note(e, status, &err);
}

/* ---- epochs ---- */

static bool has_histograms(const tub__train_events *e, uint64_t epoch) {
    const uint64_t every = (uint64_t)e->config->events_histograms;
    return is_on(e) && every > 0 && (epoch - 1) % every == 0;
}

static tub_status put_histogram(tub__train_events *e, uint64_t step, const char *kind,
                                const char *name, const float *values, size_t n, tub_error *err) {
    char tag[TAG];
    tub__histogram_room room;
    tub__tfevent_value value = {.kind = TUB__TFEVENT_HISTOGRAM, .tag = tag};
    snprintf(tag, sizeof tag, "%s/%s", kind, name);
    return tub__histogram_of(values, n, &room, &value.as.histogram) ? put(e, step, &value, 1, err)
                                                                    : TUB_OK;
}

/* One histogram for each array of a slab. */
static tub_status put_histograms(tub__train_events *e, const tub_model *model, void *slab,
                                 const char *kind, uint64_t step, tub_error *err) {
    const tub__params *params = &model->params;
    const size_t each = tub__round_up(tub__params_largest(params) * sizeof(float), TUB__ALIGN);
    void *block = NULL;
    TUB__TRY(tub__alloc(&e->ctx->allocator, 2 * each, &block, err));
    tub_status status = TUB_OK;
    for (size_t i = 0; i < params->count && status == TUB_OK; i++) {
        const tub__param *p = &params->list[i];
        if (p->buffer && slab != model->weights) {
            continue; /* has no gradient */
        }
        tub__param_read(model->backend, p, slab, TUB_F32, block, (char *)block + each);
        status = put_histogram(e, step, kind, p->name, block, tub__param_elements(p), err);
    }
    tub__free(&e->ctx->allocator, block);
    return status;
}

void tub__train_events_gradient(tub__train_events *e, const tub_model *model, void *gradient,
                                uint64_t step, uint64_t epoch) {
    if (is_on(e) && has_histograms(e, epoch)) {
        tub_error err;
        note(e, put_histograms(e, model, gradient, "gradients", step, &err), &err);
    }
}

static tub_status put_row(tub__train_events *e, const tub__log_values *row, tub_error *err) {
    /* In TensorBoard those with one name before the slash stand together. */
    static const char *const tags[TUB__LOG_COLUMNS] = {
        [TUB__LOG_EPOCH] = "run/epoch",        [TUB__LOG_SECONDS] = "run/seconds",
        [TUB__LOG_TRAIN_LOSS] = "loss/train",  [TUB__LOG_TRAIN_TOP1] = "top1/train",
        [TUB__LOG_TRAIN_TOP5] = "top5/train",  [TUB__LOG_VAL_LOSS] = "loss/val",
        [TUB__LOG_VAL_TOP1] = "top1/val",      [TUB__LOG_VAL_TOP5] = "top5/val",
        [TUB__LOG_VAL_AUC] = "auc/val",        [TUB__LOG_LR] = "run/lr",
        [TUB__LOG_DATA_WAIT] = "run/data_wait"};
    tub__tfevent_value values[TUB__LOG_COLUMNS];
    size_t count = 0;
    for (int i = 0; i < TUB__LOG_COLUMNS; i++) {
        if (tags[i] != NULL && !isnan(row->of[i])) {
            values[count++] = (tub__tfevent_value){
                .kind = TUB__TFEVENT_SCALAR, .tag = tags[i], .as.scalar = (float)row->of[i]};
        }
    }
    return put(e, (uint64_t)row->of[TUB__LOG_STEP], values, count, err);
}

void tub__train_events_epoch(tub__train_events *e, const tub__log_values *row,
                             const tub_model *model) {
    tub_error err;
    if (!is_on(e)) {
        return;
    }
    tub_status status = put_row(e, row, &err);
    if (status == TUB_OK && has_histograms(e, (uint64_t)row->of[TUB__LOG_EPOCH])) {
        status = put_histograms(e, model, model->weights, "weights",
                                (uint64_t)row->of[TUB__LOG_STEP], &err);
    }
    if (status == TUB_OK) {
        status = tub__tfevents_flush(&e->file, &err);
    }
    note(e, status, &err);
}

/* ---- the end ---- */

void tub__train_events_end(tub__train_events *e, uint64_t step, tub__session_status status) {
    if (!is_on(e)) {
        return;
    }
    tub_error err;
    const tub__tfevent_value value = {.kind = TUB__TFEVENT_SESSION_END,
                                      .tag = "_hparams_/session_end_info",
                                      .as.end = {status, tub__wall_seconds()}};
    tub_status done = put(e, step, &value, 1, &err);
    if (done == TUB_OK) {
        done = tub__tfevents_flush(&e->file, &err);
    }
    note(e, done, &err);
}

void tub__train_events_tell(tub__train_events *e) {
    if (is_on(e) && e->trouble.status != TUB_OK && !e->told) {
        tub__log_line(e->ctx, TUB_LOG_WARNING,
                      "the event files for TensorBoard are not complete: %s; the training goes on, "
                      "and log.csv has its numbers",
                      e->trouble.message);
        e->told = true;
    }
}
