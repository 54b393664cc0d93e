/* SPDX-License-Identifier: Apache-2.0 */
/* Model folders: their JSON files and the model card, written and read. */
#include "convert/folder.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "convert/card.h"
#include "convert/config_json.h"
#include "convert/preprocessor_json.h"
#include "convert/text.h"
#include "convert/vit_json.h"

/* 100,000 long class names fit. */
static const size_t JSON_LIMIT = (size_t)32 << 20;

static const char CONFIG_FILE[] = "config.json";
static const char CARD_FILE[] = "README.md";

static tub_status write_file(const tub_allocator *a, const char *folder, const char *name,
                             const char *text, size_t size, tub_error *err) {
    char *path;
    TUB__TRY(tub__path_join(a, folder, name, &path, err));
    tub_status status = tub__file_write(a, path, text, size, err);
    tub__free(a, path);
    return status;
}

static tub_status write_card(const tub_model *model, const char *folder, const tub__card *card,
                             bool encoder, tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    tub__text text;
    tub__text_start(&text, a);
    tub__card_print(&text, model, card, encoder);
    tub_status status = tub__text_check(&text, err);
    if (status == TUB_OK) {
        status = write_file(a, folder, CARD_FILE, text.data, text.size, err);
    }
    tub__text_free(&text);
    return status;
}

/* The file that the model was read with, or tubelet's own. */
static tub_status write_preprocessor(const tub_model *model, const char *folder, tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    char *text;
    size_t size;
    if (model->preprocessor_text != NULL) {
        return write_file(a, folder, TUB__PREPROCESSOR_FILE, model->preprocessor_text,
                          strlen(model->preprocessor_text), err);
    }
    TUB__TRY(tub__preprocessor_to_json(a, &model->config, false, NULL, &text, &size, err));
    tub_status status = write_file(a, folder, TUB__PREPROCESSOR_FILE, text, size, err);
    tub__free(a, text);
    return status;
}

tub_status tub__folder_write_config_as(const tub_model *model, const char *folder,
                                       const tub__card *card, const tub__folder_form *form,
                                       tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    const char *const *labels = (const char *const *)model->labels;
    size_t size;
    char *text;
    if (form->encoder) {
        TUB__TRY(tub__encoder_to_json(a, &model->config, labels, &text, &size, err));
    } else {
        TUB__TRY(tub__config_to_json(a, &model->config, tub__model_has_int8(model), labels, &text,
                                     &size, err));
    }
    tub_status status = write_file(a, folder, CONFIG_FILE, text, size, err);
    tub__free(a, text);
    if (status != TUB_OK) {
        return status;
    }
    TUB__TRY(write_preprocessor(model, folder, err));
    return write_card(model, folder, card, form->encoder, err);
}

tub_status tub__folder_write_config(const tub_model *model, const char *folder,
                                    const tub__card *card, tub_error *err) {
    return tub__folder_write_config_as(model, folder, card, &(tub__folder_form){0}, err);
}

/* What a caller takes: one with a classifier, one with or without, and the same for training. */
typedef enum wanted { MODEL, ANY, ENCODER, SOURCE } wanted;

static tub_status parse_config(const tub_allocator *a, const tub__json *root, wanted kind,
                               tub__folder_source *out, bool *int8, tub_error *err) {
    if (kind == SOURCE && tub__vit_is(root)) {
        out->image = true;
        return tub__vit_from_json(a, root, &out->config, &out->classifier, &out->labels, err);
    }
    out->classifier = !tub__config_is_encoder(root);
    return kind != MODEL || out->classifier
               ? tub__config_from_json(a, root, &out->config, int8, &out->labels, err)
               : tub__fail(err, TUB_E_UNSUPPORTED,
                           "architectures: expected 'VivitForVideoClassification', found "
                           "'VivitModel', an encoder without a classifier");
}

static tub_status read_config_file(const tub_allocator *a, const char *path, wanted kind,
                                   tub__folder_source *out, bool *int8, tub_error *err) {
    tub__json *root;
    TUB__TRY(tub__json_load(a, path, JSON_LIMIT, &root, err));
    tub_status status = parse_config(a, root, kind, out, int8, err);
    if (status != TUB_OK && status != TUB_E_MEMORY) {
        /* What is wrong in a file is no argument of the caller's. */
        status = tub__prefix(err, status == TUB_E_ARGUMENT ? TUB_E_FORMAT : status, "%s", path);
    }
    tub__json_free(root);
    return status;
}

/* The file may be missing: older folders and other tools' folders have none. Of a model all of it is
 * kept later (prepare.h); training on an encoder only scales. */
static tub_status read_preprocessor_file(tub_context *ctx, const char *path, bool encoder,
                                         tub_model_config *config, tub_error *err) {
    bool foreign;
    tub__json *root;
    if (!tub__file_exists(path)) {
        return TUB_OK;
    }
    TUB__TRY(tub__json_load(&ctx->allocator, path, JSON_LIMIT, &root, err));
    tub_status status = tub__preprocessor_from_json(root, config, &foreign, err);
    tub__json_free(root);
    if (status != TUB_OK) {
        return tub__prefix(err, status == TUB_E_ARGUMENT ? TUB_E_FORMAT : status, "%s", path);
    }
    if (foreign && encoder) {
        tub__log_line(
            ctx, TUB_LOG_WARNING,
            "%s asks for more than scaling to 0 to 1; uint8 samples get only the scaling, "
            "so train with "
            "prepared float32 samples",
            path);
    }
    return TUB_OK;
}

static tub_status read_config(tub_context *ctx, const char *folder, wanted kind,
                              tub__folder_source *out, bool *int8, tub_error *err) {
    const tub_allocator *a = &ctx->allocator;
    char *config_path, *preprocessor_path;
    *out = (tub__folder_source){0};
    *int8 = false;
    TUB__TRY(tub__path_join(a, folder, CONFIG_FILE, &config_path, err));
    tub_status status = tub__path_join(a, folder, TUB__PREPROCESSOR_FILE, &preprocessor_path, err);
    if (status != TUB_OK) {
        goto free_config_path;
    }
    status = read_config_file(a, config_path, kind, out, int8, err);
    if (status == TUB_OK) {
        status = read_preprocessor_file(ctx, preprocessor_path, kind >= ENCODER, &out->config, err);
    }
    if (status != TUB_OK) {
        tub__labels_free(a, out->labels, out->config.classes);
        out->labels = NULL;
    }
    tub__free(a, preprocessor_path);
free_config_path:
    tub__free(a, config_path);
    return status;
}

tub_status tub__folder_read_config(tub_context *ctx, const char *folder, tub_model_config *config,
                                   bool *int8, char ***labels, tub_error *err) {
    tub__folder_source read;
    TUB__TRY(read_config(ctx, folder, MODEL, &read, int8, err));
    *config = read.config;
    *labels = read.labels;
    return TUB_OK;
}

tub_status tub__folder_read_any_config(tub_context *ctx, const char *folder,
                                       tub_model_config *config, bool *int8, bool *encoder,
                                       char ***labels, tub_error *err) {
    tub__folder_source read;
    TUB__TRY(read_config(ctx, folder, ANY, &read, int8, err));
    *config = read.config;
    *encoder = !read.classifier;
    *labels = read.labels;
    return TUB_OK;
}

/* The same for what is trained on: never whole numbers. */
static tub_status read_trainable(tub_context *ctx, const char *folder, wanted kind,
                                 tub__folder_source *out, tub_error *err) {
    bool int8;
    TUB__TRY(read_config(ctx, folder, kind, out, &int8, err));
    if (!int8) {
        return TUB_OK;
    }
    tub__labels_free(&ctx->allocator, out->labels, out->config.classes);
    out->labels = NULL;
    return tub__fail(err, TUB_E_UNSUPPORTED,
                     "%s holds int8 weights, which can't be trained on; take the model that "
                     "it was converted from",
                     folder);
}

tub_status tub__folder_read_encoder_config(tub_context *ctx, const char *folder,
                                           tub_model_config *config, tub_error *err) {
    tub__folder_source read;
    TUB__TRY(read_trainable(ctx, folder, ENCODER, &read, err));
    tub__labels_free(&ctx->allocator, read.labels, read.config.classes);
    *config = read.config;
    return TUB_OK;
}

tub_status tub__folder_read_source_config(tub_context *ctx, const char *folder,
                                          tub__folder_source *out, tub_error *err) {
    return read_trainable(ctx, folder, SOURCE, out, err);
}
