/* SPDX-License-Identifier: Apache-2.0 */
/* Data and settings made to fit each other, before any work; and the plan that results. */
#include "train/material.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "data/augment.h"
#include "data/dataset.h"
#include "data/medmnist.h"
#include "model/model.h"
#include "train/budget.h"
#include "train/events.h"
#include "train/idle.h"
#include "train/progress.h"
#include "train/run_folder.h"
#include "train/schedule.h"
#include "train/start.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A size that the recipe leaves open comes from the data; one that it names must agree. */
static tub_status resolve_size(const char *key, int64_t *size, int64_t data, const char *name,
                               tub_error *err) {
    if (*size == 0) {
        *size = data;
    }
    if (*size != data) {
        return tub__fail(err, TUB_E_SHAPE,
                         "%s: its samples have %s %" PRId64 ", the recipe says %" PRId64
                         "; leave it out to take the data's",
                         name, key, data, *size);
    }
    return TUB_OK;
}

/* The model's values against the data's sizes. */
static tub_status check_model(tub_context *ctx, const tub_model_config *model,
                              const tub_dataset_info *info, tub_error *err) {
    char layout[160];
    snprintf(layout, sizeof layout,
             "samples of [%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 "] look like channels "
             "first; tubelet takes channels last, [T,H,W,C]",
             info->frames, info->height, info->width, info->channels);
    tub_error why = {0};
    tub_status status = tub_model_config_check(model, &why);
    if (status != TUB_OK) {
        return info->channels_first
                   ? tub__fail(err, status, "%s: %s (%s)", info->name, why.message, layout)
                   : tub__fail(err, status, "%s", why.message);
    }
    if (info->channels_first) {
        tub__log_line(ctx, TUB_LOG_WARNING, "%s: %s", info->name, layout);
    }
    return TUB_OK;
}

/* Heads that the settings leave open are the data's; named ones may have classes that train
 * lacks. */
static tub_status resolve_heads(tub_model_config *m, const tub_dataset_info *info, tub_error *err) {
    const int64_t named = (int64_t)tub__model_outputs(m).heads;
    int64_t sum = 0;
    if (info->label_columns > TUB_HEAD_LIMIT) {
        return tub__fail(err, TUB_E_SHAPE,
                         "%s: %" PRId64 " labels a sample; at most %d heads are supported",
                         info->name, info->label_columns, TUB_HEAD_LIMIT);
    }
    if (named > 0 && named != info->label_columns) {
        return tub__fail(err, TUB_E_SHAPE,
                         "%s: its labels are of %" PRId64 " heads, model.head_classes of %" PRId64
                         "; leave it out to take the data's",
                         info->name, info->label_columns, named);
    }
    for (int i = 0; i < TUB_HEAD_LIMIT; i++) {
        const int64_t data = tub__dataset_head(info, i);
        m->head_classes[i] = named == 0 ? data : m->head_classes[i];
        if (m->head_classes[i] < data) {
            return tub__fail(err, TUB_E_SHAPE,
                             "%s: head %d of its labels has %" PRId64
                             " classes, model.head_classes says %" PRId64
                             "; leave it out to take the data's",
                             info->name, i + 1, data, m->head_classes[i]);
        }
        sum += m->head_classes[i];
    }
    return resolve_size("model.classes", &m->classes, sum, info->name, err);
}

/* A folder with one class: nothing is there to be told apart. */
static tub_status check_classes(const tub_model_config *m, const tub_dataset_info *info,
                                tub_error *err) {
    if (info->classes != 1 || m->classes > 1) {
        return TUB_OK;
    }
    return tub__fail(err, TUB_E_SHAPE,
                     "%s has one class%s%.200s%s, and a model needs two or more to tell apart",
                     info->name, info->labels != NULL ? ", '" : "",
                     info->labels != NULL ? info->labels[0] : "", info->labels != NULL ? "'" : "");
}

static tub_status resolve_task(tub_model_config *m, const tub_dataset_info *info, tub_error *err) {
    if (m->task == TUB_TASK_DATA) {
        m->task = m->head_classes[0] != 0 ? TUB_TASK_MULTI_HEAD : info->task;
    }
    if (m->task == TUB_TASK_MULTI_HEAD && info->task != TUB_TASK_MULTI_CLASS) {
        return resolve_heads(m, info, err);
    }
    if (m->task != info->task && m->head_classes[0] != 0) {
        return tub__fail(err, TUB_E_SHAPE,
                         "%s: its labels are %s, and model.head_classes are for multi_head; leave "
                         "them out",
                         info->name, tub_task_name(info->task));
    }
    if (m->task != info->task) {
        return tub__fail(err, TUB_E_SHAPE,
                         "%s: its labels are %s, the recipe says model.task %s; leave it out to "
                         "take the data's",
                         info->name, tub_task_name(info->task), tub_task_name(m->task));
    }
    TUB__TRY(check_classes(m, info, err));
    return resolve_size("model.classes", &m->classes, info->classes, info->name, err);
}

static tub_status resolve(tub_context *ctx, tub_train_config *c, const tub_dataset_info *info,
                          tub_error *err) {
    TUB__TRY(resolve_size("model.frames", &c->model.frames, info->frames, info->name, err));
    TUB__TRY(resolve_size("model.height", &c->model.height, info->height, info->name, err));
    TUB__TRY(resolve_size("model.width", &c->model.width, info->width, info->name, err));
    TUB__TRY(resolve_size("model.channels", &c->model.channels, info->channels, info->name, err));
    TUB__TRY(resolve_task(&c->model, info, err));
    if (info->count[TUB_VAL] == 0 && (c->patience > 0 || c->evaluate == TUB_EVALUATE_BEST)) {
        return tub__fail(err, TUB_E_NOT_FOUND, "%s: the val split is empty, so %s can't be used",
                         info->name, c->patience > 0 ? "patience" : "evaluate: best");
    }
    if (tub_views_check(c->tta, info->labels, info->classes, err) != TUB_OK) {
        return tub__prefix(err, TUB_E_SHAPE, "tta"); /* it depends on the data */
    }
    TUB__TRY(check_model(ctx, &c->model, info, err));
    if (tub_augment_is_on(&c->augment)) {
        const int64_t clip[] = {c->model.frames, c->model.height, c->model.width};
        TUB__TRY(tub__augment_check(&c->augment, info, clip, err));
    }
    return tub_train_config_check(c, err);
}

/* Opens what the settings name. */
static tub_status open_named(tub_context *ctx, const tub_train_config *config, bool offline,
                             tub__material *out, tub_error *err) {
    if (config->data[0] == '\0') {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "no data set was named; set data (phantom3d is built in)");
    }
    tub_dataset_options options = tub_train_dataset_options(config);
    options.offline = offline;
    tub_status status = tub_dataset_open(ctx, config->data, &options, &out->owned, err);
    if (offline && status == TUB_E_NOT_FOUND && tub__known_info(config->data, &out->known)) {
        out->info = &out->known;
        return TUB_OK;
    }
    out->data = out->owned;
    return status;
}

/* Voxels at the end of an axis, or between tubelets, that no tubelet covers. */
static int64_t unread(size_t size, size_t kernel, size_t stride, size_t grid) {
    return (int64_t)(stride < kernel ? size - (grid - 1) * stride - kernel : size - grid * kernel);
}

/* The divisor of a size that is nearest to the kernel, at most a quarter away; 0: none. */
static size_t near_divisor(size_t size, size_t kernel) {
    for (size_t d = 0; d <= kernel / 4; d++) {
        if (size % (kernel - d) == 0) {
            return kernel - d;
        }
        if (size % (kernel + d) == 0) {
            return kernel + d;
        }
    }
    return 0;
}

/* Tubelets that leave nothing out, where such are near. Those of a start can't change. */
static void suggest_tubelet(const tub_train_config *config, const tub__geometry *g, char *out,
                            size_t size) {
    const size_t t = near_divisor(g->frames, g->kernel[0]),
                 h = near_divisor(g->height, g->kernel[1]),
                 w = near_divisor(g->width, g->kernel[2]);
    if (t > 0 && h > 0 && w > 0 && memcmp(g->kernel, g->stride, sizeof g->kernel) == 0 &&
        !g->sampled && !tub__starts_from(config)) {
        snprintf(out, size, "; model.tubelet %zu,%zu,%zu would cover all", t, h, w);
    }
}

static void tell_unread(tub_context *ctx, const tub_train_config *config, const char *name) {
    static const char *const axis[3] = {"frames", "rows", "columns"};
    const tub__geometry g = tub__model_geometry(&config->model);
    const size_t size[3] = {g.frames, g.height, g.width};
    char parts[160] = "", remedy[96] = "";
    size_t used = 0;
    for (int i = g.sampled ? 1 : 0; i < 3; i++) { /* sampled frames were asked for */
        int64_t lost = unread(size[i], g.kernel[i], g.stride[i], g.grid[i]);
        if (lost > 0) {
            used += (size_t)snprintf(parts + used, sizeof parts - used, "%s%" PRId64 " of %zu %s",
                                     used > 0 ? ", " : "", lost, size[i], axis[i]);
        }
    }
    if (used > 0) {
        suggest_tubelet(config, &g, remedy, sizeof remedy);
        tub__log_line(ctx, TUB_LOG_INFO,
                      "%s: %s lie in no tubelet (model.tubelet %zu,%zu,%zu, every "
                      "%zu,%zu,%zu voxels): the model does not see them%s",
                      name, parts, g.kernel[0], g.kernel[1], g.kernel[2], g.stride[0], g.stride[1],
                      g.stride[2], remedy);
    }
}

/* Steps of a run or, where that is shorter, of the first cycle of its cosine. */
static uint64_t steps_to_the_end(const tub_train_config *c, uint64_t per_epoch) {
    const uint64_t steps = c->schedule_steps > 0 ? (uint64_t)c->schedule_steps
                                                 : tub__progress_total(c, per_epoch),
                   cycle = c->schedule == TUB_COMPOUND ? (uint64_t)c->steps_per_cycle : 0;
    return cycle > 0 && cycle < steps ? cycle : steps;
}

static void tell_long_warmup(tub_context *ctx, const tub_train_config *c, int64_t samples) {
    const uint64_t batch = (uint64_t)c->batch_size,
                   per_epoch = ((uint64_t)samples + batch - 1) / batch,
                   end = steps_to_the_end(c, per_epoch);
    const tub__rates rates = tub__rates_make(c, end, per_epoch);
    if (rates.warmup >= end) {
        tub__log_line(ctx, TUB_LOG_WARNING,
                      "a warm-up of %" PRIu64 " steps leaves nothing of %" PRIu64
                      ": the learning rate stays below lr, and no schedule begins",
                      rates.warmup, end);
    }
}

/* Data that the settings name by their content. folds remember it. */
static tub_status check_digest(tub_train_config *c, const tub_dataset *data, tub_error *err) {
    char digest[33];
    if (c->data_digest[0] == '\0' && c->folds == 0) {
        return TUB_OK;
    }
    tub_dataset_digest(data, digest);
    if (c->data_digest[0] != '\0' && strcmp(c->data_digest, digest) != 0) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "%s: its train and val samples have the digest %s, and the settings ask "
                         "for %s (data_digest): these are other data",
                         tub_dataset_describe(data)->name, digest, c->data_digest);
    }
    return tub_train_config_set(c, "data_digest", digest, err);
}

/* The fold that the settings say, in the place of the whole. */
static tub_status take_fold(const tub_train_config *c, tub__material *m, tub_error *err) {
    tub_dataset *fold = NULL;
    if (c->folds == 0) {
        return TUB_OK;
    }
    if (c->fold < 0) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "folds is %" PRId64 ", and a run is one of them; set fold, or train all "
                         "by tub_train_folds",
                         c->folds);
    }
    if (m->data == NULL) { /* only known: the sizes will be about these */
        const int64_t all = m->known.count[TUB_TRAIN] + m->known.count[TUB_VAL];
        m->known.count[TUB_VAL] = all / c->folds;
        m->known.count[TUB_TRAIN] = all - m->known.count[TUB_VAL];
        return TUB_OK;
    }
    TUB__TRY(tub_dataset_fold(m->data, c->folds, c->fold, c->fold_seed, &fold, err));
    tub_dataset_close(m->owned);
    m->data = m->owned = fold;
    m->info = tub_dataset_describe(fold);
    return TUB_OK;
}

tub_status tub__material_open(tub_context *ctx, tub_train_config *config, tub_dataset *given,
                              bool offline, tub__material *out, tub_error *err) {
    *out = (tub__material){.data = given};
    if (given == NULL) {
        TUB__TRY(open_named(ctx, config, offline, out, err));
    }
    if (out->data != NULL) {
        out->info = tub_dataset_describe(out->data);
    }
    if (out->info->count[TUB_TRAIN] == 0) { /* such data are for evaluation */
        return tub__fail(err, TUB_E_NOT_FOUND, "%s: the train split is empty", out->info->name);
    }
    if (out->data != NULL) {
        /* What the recipe will say: a path as it was given would only resume from the same
         * folder. */
        TUB__TRY(tub_train_config_set(config, "data", out->data->source, err));
        TUB__TRY(check_digest(config, out->data, err));
    }
    TUB__TRY(take_fold(config, out, err));
    if (out->info->count[TUB_VAL] == 0) {
        tub__log_line(ctx, TUB_LOG_WARNING, "%s has no val split: no validation, and no best model",
                      out->info->name);
    }
    TUB__TRY(resolve(ctx, config, out->info, err));
    tell_unread(ctx, config, out->info->name);
    tell_long_warmup(ctx, config, out->info->count[TUB_TRAIN]);
    return TUB_OK;
}

void tub__material_close(tub__material *m) {
    tub_dataset_close(m->owned);
    *m = (tub__material){0};
}

/* Whether a run of that name could be made. */
static tub_status check_run(const tub_allocator *a, const char *run, bool force, tub_error *err) {
    int lock = -1;
    TUB__TRY(tub__run_may_create(a, run, force, err));
    if (tub__is_folder(run)) {
        TUB__TRY(tub__folder_lock(run, &lock, err));
        close(lock);
    }
    return TUB_OK;
}

static tub_status fill_plan(tub_context *ctx, const tub__material *m, tub_train_plan *out,
                            tub_error *err) {
    const tub_train_config *c = &out->config;
    tub_model_cost cost;
    TUB__TRY(tub_model_cost_of(&c->model, c->batch_size, &cost, err));
    uint64_t samples = (uint64_t)m->info->count[TUB_TRAIN], batch = (uint64_t)c->batch_size;
    uint64_t batches = (samples + batch - 1) / batch;
    for (int s = 0; s < TUB_SPLITS; s++) {
        out->count[s] = m->info->count[s];
    }
    out->dtype = m->info->dtype;
    out->present = m->data != NULL;
    out->tokens = cost.tokens;
    out->parameters = cost.parameters;
    out->epoch_steps = (int64_t)batches;
    out->steps = (int64_t)tub__progress_total(c, batches);
    TUB__TRY(tub_train_parameters(c, &out->trained, err));
    return tub_train_memory_of(c, m->info, tub_context_threads(ctx), &out->memory, err);
}

tub_status tub_train_plan_of(tub_context *ctx, const tub_train_config *config, tub_dataset *data,
                             const char *run, int force, tub_train_plan *out, tub_error *err) {
    tub__material m = {0};
    const double began = tub__seconds();
    *out = (tub_train_plan){.config = *config};
    if (run != NULL) {
        TUB__TRY(check_run(&ctx->allocator, run, force != 0, err));
    }
    tub_status status = tub_train_config_check(&out->config, err);
    if (status == TUB_OK) {
        status = tub__train_events_check(ctx, &out->config, err);
    }
    const bool all = out->config.folds > 0 && out->config.fold < 0;
    if (status == TUB_OK) {
        out->config.fold = all ? 0 : out->config.fold; /* any of them stands for all */
        status = tub__material_open(ctx, &out->config, data, true, &m, err);
    }
    if (status == TUB_OK) {
        status = tub__start_locate(ctx, &out->config, err);
    }
    if (status == TUB_OK) {
        status = tub__start_try(ctx, &out->config, m.info, err);
    }
    if (status == TUB_OK) {
        tub__tell_idle_settings(ctx, config, &m);
        status = fill_plan(ctx, &m, out, err);
    }
    if (status == TUB_OK && config->budget > 0.0) {
        const double left = tub__budget_share(config) - (tub__seconds() - began);
        status = tub__budget_settle(ctx, left, out, err);
    }
    out->config.fold = all ? -1 : out->config.fold;
    tub__material_close(&m);
    return status;
}
