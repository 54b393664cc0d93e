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
                             tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    tub__text text;
    tub__text_start(&text, a);
    tub__card_print(&text, model, card);
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
    TUB__TRY(tub__preprocessor_to_json(a, &model->config, &text, &size, err));
    tub_status status = write_file(a, folder, TUB__PREPROCESSOR_FILE, text, size, err);
    tub__free(a, text);
    return status;
}

tub_status tub__folder_write_config(const tub_model *model, const char *folder,
                                    const tub__card *card, tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    size_t size;
    char *text;
    TUB__TRY(tub__config_to_json(a, &model->config, tub__model_has_int8(model),
                                 (const char *const *)model->labels, &text, &size, err));
    tub_status status = write_file(a, folder, CONFIG_FILE, text, size, err);
    tub__free(a, text);
    if (status != TUB_OK) {
        return status;
    }
    TUB__TRY(write_preprocessor(model, folder, err));
    return write_card(model, folder, card, err);
}

/* encoder: one without a classifier will do. */
static tub_status read_config_file(const tub_allocator *a, const char *path, bool encoder,
                                   tub_model_config *config, bool *int8, char ***labels,
                                   tub_error *err) {
    tub__json *root;
    TUB__TRY(tub__json_load(a, path, JSON_LIMIT, &root, err));
    tub_status status =
        encoder || !tub__config_is_encoder(root)
            ? tub__config_from_json(a, root, config, int8, labels, err)
            : tub__fail(err, TUB_E_UNSUPPORTED,
                        "architectures: expected 'VivitForVideoClassification', found "
                        "'VivitModel', an encoder without a classifier");
    if (status != TUB_OK && status != TUB_E_MEMORY) {
        tub__prefix(err, status, "%s", path);
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
        return tub__prefix(err, status, "%s", path);
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

static tub_status read_config(tub_context *ctx, const char *folder, bool encoder,
                              tub_model_config *config, bool *int8, char ***labels,
                              tub_error *err) {
    const tub_allocator *a = &ctx->allocator;
    tub_model_config c;
    char *config_path, *preprocessor_path, **names = NULL;
    TUB__TRY(tub__path_join(a, folder, CONFIG_FILE, &config_path, err));
    tub_status status = tub__path_join(a, folder, TUB__PREPROCESSOR_FILE, &preprocessor_path, err);
    if (status != TUB_OK) {
        goto free_config_path;
    }
    status = read_config_file(a, config_path, encoder, &c, int8, &names, err);
    if (status == TUB_OK) {
        status = read_preprocessor_file(ctx, preprocessor_path, encoder, &c, err);
    }
    if (status == TUB_OK) {
        *config = c;
        *labels = names;
    } else if (names != NULL) {
        tub__labels_free(a, names, c.classes);
    }
    tub__free(a, preprocessor_path);
free_config_path:
    tub__free(a, config_path);
    return status;
}

tub_status tub__folder_read_config(tub_context *ctx, const char *folder, tub_model_config *config,
                                   bool *int8, char ***labels, tub_error *err) {
    return read_config(ctx, folder, false, config, int8, labels, err);
}

tub_status tub__folder_read_encoder_config(tub_context *ctx, const char *folder,
                                           tub_model_config *config, tub_error *err) {
    char **labels = NULL;
    bool int8 = false;
    TUB__TRY(read_config(ctx, folder, true, config, &int8, &labels, err));
    tub__labels_free(&ctx->allocator, labels, config->classes);
    return int8 ? tub__fail(err, TUB_E_UNSUPPORTED,
                            "%s holds int8 weights, which can't be trained on; take the model that "
                            "it was converted from",
                            folder)
                : TUB_OK;
}
