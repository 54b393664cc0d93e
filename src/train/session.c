/* SPDX-License-Identifier: Apache-2.0 */
/* What a new training and a resumed one have in common. */
#include "train/session.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "convert/prepare.h"
#include "data/file_set.h"
#include "train/recipe.h"
#include "train/run_folder.h"
#include "train/start.h"
#include <string.h>
#include <unistd.h>

tub_status tub__session_lock(tub__session *s, const char *run, tub_error *err) {
    return tub__is_folder(run) ? tub__folder_lock(run, &s->lock, err) : TUB_OK;
}

/* A model of files takes them as its data set does. */
static tub_status take_clips(const tub_dataset *data, uint64_t split_seed, tub_model *model,
                             tub_error *err) {
    const tub_clip_options *c = tub_dataset_clip(data);
    if (c == NULL) {
        return TUB_OK;
    }
    const tub__clip_rule rule = {.sampling = c->sampling,
                                 .stride = c->stride,
                                 .picture = tub__clip_picture(c, true),
                                 .split_seed = (int64_t)split_seed,
                                 .window = tub__clip_window(c)};
    return tub__model_set_clip_rule(model, &rule, err);
}

/* What a model has before its first step: class names, and what it starts from. */
static tub_status prepare(tub__session *s, tub_model *model, tub_error *err) {
    const tub_dataset_info *info = s->run.info;
    TUB__TRY(take_clips(s->run.data, s->config.split_seed, model, err));
    if (info->labels != NULL) {
        TUB__TRY(tub_model_set_labels(model, info->labels, info->classes, err));
    }
    return s->fresh && tub__starts_from(&s->config)
               ? tub__start_training(&s->config, model, &s->start, err)
               : TUB_OK;
}

tub_status tub__session_open(tub__session *s, tub_context *ctx, tub_dataset *data, const char *run,
                             tub_error *err) {
    tub_model *model = NULL;
    s->ctx = ctx;
    s->began = tub__seconds();
    TUB__TRY(tub_train_config_check(&s->config, err));
    TUB__TRY(tub__train_events_check(ctx, &s->config, err));
    if (s->fresh) {
        TUB__TRY(tub__start_locate(ctx, &s->config, err));
    }
    TUB__TRY(tub__material_open(ctx, &s->config, data, false, &s->material, err));
    s->run.data = s->material.data;
    s->run.info = s->material.info;
    s->run.config = &s->config;
    s->run.folder = run;
    TUB__TRY(tub__recipe_digest(&s->config, s->run.identity.recipe, err));
    tub_dataset_digest(s->run.data, s->run.identity.data);
    TUB__TRY(tub__model_for_training(ctx, &s->config, &model, err));
    const tub_status status = prepare(s, model, err);
    if (status != TUB_OK) {
        tub_model_close(model);
        return status;
    }
    return tub__ranks_create(ctx, &s->run, model, &s->ranks, err);
}

tub_status tub__session_load(tub__session *s, tub_error *err) {
    for (int i = 0; i < s->ranks.size; i++) {
        tub__trainer *t = &s->ranks.list[i].trainer;
        bool found = false;
        TUB__TRY(tub__checkpoint_read(s->run.folder, &t->optimizer, &t->progress, &s->run.identity,
                                      &found, err));
    }
    return TUB_OK;
}

void tub__session_close(tub__session *s) {
    tub_start_report_free(s->ctx, s->start);
    tub__ranks_destroy(&s->ranks);
    tub__train_events_close(&s->events);
    tub__material_close(&s->material);
    if (s->lock >= 0) {
        close(s->lock);
    }
}

static void tell_end(const tub__session *s, const tub__progress *p) {
    tub_event e = {.kind = TUB_EVENT_TRAIN_END,
                   .message = s->run.folder,
                   .done = p->step,
                   .total = tub__progress_total(&s->config, s->ranks.list[0].trainer.batches),
                   .epoch = p->epoch,
                   .epochs = (uint64_t)s->config.epochs,
                   .seconds = tub__seconds() - s->began,
                   .train = p->train,
                   .val = p->val,
                   .lr = s->ranks.list[0].trainer.lr};
    tub__emit(s->ctx, &e);
}

static void fill_result(const tub__session *s, const tub__trainer *t, tub_train_result *out) {
    const tub__progress *p = &t->progress;
    *out = (tub_train_result){.steps = (int64_t)p->step,
                              .epochs = (int64_t)tub__progress_epochs(p, &s->config),
                              .partial_epoch = tub__progress_partial(p, &s->config),
                              .seconds = p->seconds,
                              .train = p->train,
                              .val = p->val,
                              .best_val = p->best,
                              .best_epoch = (int64_t)p->best_epoch};
    out->stopped = t->stopped && !tub__progress_over(p, &s->config);
}

tub_status tub__session_tell_resume(tub_status status, tub_error *err) {
    static const char tail[] = "; once that is mended, --resume goes on with the run";
    if (status != TUB_E_IO || err == NULL ||
        strlen(err->message) + sizeof tail > TUB_ERROR_LENGTH) {
        return status;
    }
    return tub__fail(err, status, "%s%s", err->message, tail);
}

/* The steps, and what the event files say of them. */
static tub_status run_ranks(tub__session *s, tub_error *err) {
    const tub__progress *p = &s->ranks.list[0].trainer.progress;
    tub__train_events_open(s->ctx, &s->config, s->run.info, s->run.folder, p, &s->events);
    s->run.events = &s->events;
    const tub_status status = tub__ranks_run(&s->ranks, err);
    if (status == TUB_E_NUMERIC) {
        tub__train_events_end(&s->events, p->step, TUB__SESSION_FAILURE);
    } else if (status == TUB_OK && tub__progress_over(p, &s->config)) {
        tub__train_events_end(&s->events, p->step, TUB__SESSION_SUCCESS);
        tub__train_events_tell(&s->events);
    }
    return status;
}

tub_status tub__session_run(tub__session *s, tub_train_result *result, tub_error *err) {
    const tub__trainer *first = &s->ranks.list[0].trainer;
    if (!tub__progress_over(&first->progress, &s->config)) {
        TUB__TRY(tub__dataset_prepare(s->run.data, TUB_TRAIN, true, err));
        TUB__TRY(tub__dataset_prepare(s->run.data, TUB_VAL, false, err));
    }
    const tub_status status = run_ranks(s, err);
    if (status != TUB_OK) {
        return tub__session_tell_resume(status, err);
    }
    TUB__TRY(tub__run_write_metrics(first->model, &s->config, s->run.info, &first->progress,
                                    s->run.folder, err));
    tell_end(s, &first->progress);
    if (result != NULL) {
        fill_result(s, first, result);
    }
    return TUB_OK;
}
