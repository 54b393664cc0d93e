/* SPDX-License-Identifier: Apache-2.0 */
/* A training's start: the settings of it, the model, and what the run folder keeps. */
#include "train/start.h"

#include "base/error.h"
#include "base/file.h"
#include "convert/start_report.h"
#include "train/options.h"
#include "train/ranks.h"
#include "train/run_folder.h"
#include <stdio.h>
#include <string.h>
#include <tubelet/hub.h>

static tub_start_options start_options(const tub_train_config *c) {
    tub_start_options o = tub_start_options_default();
    o.kernel = c->init_kernel;
    o.positions = c->init_positions;
    o.temporal = c->init_temporal;
    memcpy(o.clip, c->init_clip, sizeof o.clip);
    return o;
}

/* Where the model to start from lies: one of a hub in the cache. */
static tub_status find_start(tub_context *ctx, const char *named, char path[TUB_PATH_LENGTH],
                             tub_error *err) {
    if (tub_hub_is_name(named)) {
        return tub_hub_fetch(ctx, named, path, TUB_PATH_LENGTH, err);
    }
    return (size_t)snprintf(path, TUB_PATH_LENGTH, "%s", named) < TUB_PATH_LENGTH
               ? TUB_OK
               : tub__fail(err, TUB_E_ARGUMENT, "init_from: the path is too long");
}

tub_status tub_train_config_start(tub_context *ctx, const char *path, tub_train_config *config,
                                  tub_error *err) {
    tub_train_config changed = *config;
    tub_model_config model;
    char found[TUB_PATH_LENGTH];
    const tub_start_options o = start_options(config);
    TUB__TRY(tub_train_config_set(&changed, "init_from", path, err));
    TUB__TRY(find_start(ctx, path, found, err));
    TUB__TRY(tub_start_config(ctx, found, &o, &model, err));
    tub__model_sizes_from_data(&model);
    tub__train_model_from(&changed, &model);
    *config = changed;
    return TUB_OK;
}

/* hf:OWNER/NAME@COMMIT, which never changes: a run that goes on needs the very same model. */
static tub_status locate_on_hub(tub_context *ctx, tub_train_config *config, tub_error *err) {
    char path[TUB_PATH_LENGTH], pinned[2 * TUB_PATH_LENGTH];
    TUB__TRY(tub_hub_fetch(ctx, config->init_from, path, sizeof path, err));
    snprintf(pinned, sizeof pinned, "%.*s@%s", (int)strcspn(config->init_from, "@"),
             config->init_from, tub__path_name(path));
    return tub_train_config_set(config, "init_from", pinned, err);
}

tub_status tub__start_locate(tub_context *ctx, tub_train_config *config, tub_error *err) {
    char *path;
    if (!tub__starts_from(config)) {
        return TUB_OK;
    }
    if (tub_hub_is_name(config->init_from)) {
        return locate_on_hub(ctx, config, err);
    }
    TUB__TRY(tub__path_absolute(&ctx->allocator, config->init_from, &path, err));
    const tub_status status = tub_train_config_set(config, "init_from", path, err);
    tub__free(&ctx->allocator, path);
    return status;
}

tub_status tub__start_training(const tub_train_config *config, tub_model *model,
                               tub_start_report **report, tub_error *err) {
    const tub_start_options o = start_options(config);
    char path[TUB_PATH_LENGTH];
    TUB__TRY(find_start(model->context, config->init_from, path, err));
    TUB__TRY(tub_model_start(model, path, &o, report, err));
    tub__start_report_tell(model->context, *report, config->init_from);
    return TUB_OK;
}

static tub_status try_with(const tub_train_config *config, const tub_dataset_info *info,
                           tub_model *model, tub_error *err) {
    tub_start_report *report = NULL;
    if (info->labels != NULL) {
        TUB__TRY(tub_model_set_labels(model, info->labels, info->classes, err));
    }
    TUB__TRY(tub__start_training(config, model, &report, err));
    tub_start_report_free(model->context, report);
    return TUB_OK;
}

tub_status tub__start_try(tub_context *ctx, const tub_train_config *config,
                          const tub_dataset_info *info, tub_error *err) {
    tub_model *model;
    if (!tub__starts_from(config)) {
        return TUB_OK;
    }
    TUB__TRY(tub__model_for_training(ctx, config, &model, err));
    const tub_status status = try_with(config, info, model, err);
    tub_model_close(model);
    return status;
}

static tub_status write_report(const tub_allocator *a, const tub_start_report *report,
                               const tub_train_config *config, const char *folder, tub_error *err) {
    char *text, *path;
    size_t size;
    TUB__TRY(tub__path_join(a, folder, TUB__RUN_START, &path, err));
    tub_status status = tub__start_report_json(a, report, config->init_from, &text, &size, err);
    if (status == TUB_OK) {
        status = tub__file_write(a, path, text, size, err);
        tub__free(a, text);
    }
    tub__free(a, path);
    return status;
}

tub_status tub__start_write(const tub__origin *origin, const tub_train_config *config,
                            const char *folder, tub_error *err) {
    TUB__TRY(write_report(&origin->optimizer->model->context->allocator, origin->report, config,
                          folder, err));
    return tub__checkpoint_write(folder, origin->optimizer, origin->progress, origin->rate,
                                 origin->identity, err);
}
