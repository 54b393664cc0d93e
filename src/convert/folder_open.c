/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and saving models: the public functions over a model folder. */
#include "base/error.h"
#include "base/file.h"
#include "convert/config_json.h"
#include "convert/folder.h"
#include "convert/prepare.h"
#include <string.h>

static const char MODEL_FOLDER[] = "a model is a folder with config.json and model.safetensors";

/* What was rounded can't be had back: a folder of whole numbers is for int8 alone, so that nobody takes
 * what it gives for the model's float32. */
static tub_status check_precision(const tub_context *ctx, const char *folder, bool int8,
                                  tub_error *err) {
    if (!int8 || ctx->precision == TUB_PRECISION_INT8) {
        return TUB_OK;
    }
    return tub__fail(err, TUB_E_UNSUPPORTED,
                     "%s holds int8 weights: use it with precision int8 (--precision int8), or "
                     "take the model that it was converted from",
                     folder);
}

/* A model of the configuration, with all that the folder says but the arrays. */
static tub_status make_model(tub_context *ctx, const char *folder, const tub_model_config *config,
                             char **labels, tub_model **out, tub_error *err) {
    TUB__TRY(tub__model_create_for(ctx, ctx->backend, config, ctx->precision, out, err));
    if (labels != NULL) {
        TUB__TRY(tub_model_set_labels(*out, (const char *const *)labels, config->classes, err));
    }
    return tub__model_read_preprocessing(*out, folder, err);
}

tub_status tub_model_open(tub_context *ctx, const char *folder, tub_model **out, tub_error *err) {
    tub_model_config config;
    tub_model *model = NULL;
    char **labels = NULL;
    bool int8 = false;
    TUB__TRY(tub__folder_expect(folder, MODEL_FOLDER, err));
    TUB__TRY(tub__folder_read_config(ctx, folder, &config, &int8, &labels, err));
    tub_status status = check_precision(ctx, folder, int8, err);
    if (status == TUB_OK) {
        status = make_model(ctx, folder, &config, labels, &model, err);
    }
    if (status == TUB_OK) {
        status = tub__folder_read_arrays(model, folder, int8, err);
    }
    tub__labels_free(&ctx->allocator, labels, config.classes);
    if (status != TUB_OK) {
        tub_model_close(model);
        return status;
    }
    *out = model;
    return TUB_OK;
}

/* The arrays of tub__folder_open_any: names and shapes, then values. */
static tub_status read_listed(tub_model *model, const char *folder, bool encoder,
                              tub__file_array **arrays, tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    tub__file_array *list;
    TUB__TRY(tub__alloc_array(a, model->params.count, sizeof *list, (void **)&list, err));
    tub_status status = tub__folder_read_listed(model, folder, encoder, list, err);
    if (status != TUB_OK) {
        tub__free(a, list);
        return status;
    }
    *arrays = list;
    return TUB_OK;
}

tub_status tub__folder_open_any(tub_context *ctx, const char *folder, tub_model **out,
                                bool *encoder, tub__file_array **arrays, tub_error *err) {
    tub_model_config config;
    tub_model *model = NULL;
    char **labels = NULL;
    bool int8 = false;
    TUB__TRY(tub__folder_expect(folder, MODEL_FOLDER, err));
    TUB__TRY(tub__folder_read_any_config(ctx, folder, &config, &int8, encoder, &labels, err));
    tub_status status = int8 ? tub__fail(err, TUB_E_UNSUPPORTED,
                                         "%s holds int8 weights, which have no other form; take "
                                         "the model that it was converted from",
                                         folder)
                             : TUB_OK;
    if (status == TUB_OK) {
        status = make_model(ctx, folder, &config, labels, &model, err);
    }
    if (status == TUB_OK) {
        status = read_listed(model, folder, *encoder, arrays, err);
    }
    tub__labels_free(&ctx->allocator, labels, config.classes);
    if (status != TUB_OK) {
        tub_model_close(model);
        return status;
    }
    *out = model;
    return TUB_OK;
}

tub_status tub__folder_open_encoder(tub_context *ctx, const char *folder, int64_t classes,
                                    uint64_t seed, tub_model **out, tub_error *err) {
    tub_model_config config;
    tub_model *model = NULL;
    TUB__TRY(tub__folder_expect(folder, MODEL_FOLDER, err));
    TUB__TRY(tub__folder_read_encoder_config(ctx, folder, &config, err));
    config.classes = classes;
    config.task = TUB_TASK_MULTI_CLASS;
    memset(config.head_classes, 0, sizeof config.head_classes);
    TUB__TRY(tub_model_create(ctx, &config, seed, &model, err));
    tub_status status = tub__folder_read_encoder(model, folder, err);
    if (status != TUB_OK) {
        tub_model_close(model);
        return status;
    }
    *out = model;
    return TUB_OK;
}

static tub_status save(void *user, const char *folder, tub_error *err) {
    const tub_model *model = user;
    TUB__TRY(tub__folder_write_config(model, folder, NULL, err));
    return tub__folder_write_arrays(model, folder, err);
}

tub_status tub_model_save(const tub_model *model, const char *folder, tub_error *err) {
    if (!tub__name_taken(folder)) {
        return tub__folder_make(&model->context->allocator, folder, save, (void *)model, err);
    }
    TUB__TRY(tub__folder_create(folder, err)); /* or it is a file */
    return save((void *)model, folder, err);
}
