/* SPDX-License-Identifier: Apache-2.0 */
/* Opening what is converted, by its kind. */
#include "convert/converted.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "convert/config_json.h"
#include "convert/folder.h"
#include "convert/keras.h"
#include "convert/prepare.h"
#include "convert/scenic.h"
#include "convert/weights.h"

/* ---- What options say ---- */

/* A preset, or the configuration of a model folder. */
static tub_status read_like(tub_context *ctx, const char *like, tub_model_config *out,
                            tub_error *err) {
    char **labels = NULL;
    bool int8, encoder;
    if (!tub__is_folder(like)) {
        return tub_model_preset(like, out, err);
    }
    TUB__TRY(tub__folder_read_any_config(ctx, like, out, &int8, &encoder, &labels, err));
    tub__labels_free(&ctx->allocator, labels, out->classes);
    return TUB_OK;
}

/* Options go before `like` (NULL: none). A class token is an array, and no hint. */
static tub__scenic_hints scenic_hints(const tub_convert_options *o, const tub_model_config *like) {
    tub__scenic_hints h = {.frames = o->frames,
                           .height = o->height,
                           .width = o->width,
                           .variant = o->variant,
                           .pooling = o->pooling != NULL ? *o->pooling : TUB_POOL_MEAN,
                           .attention_order = o->attention_order != NULL ? *o->attention_order
                                                                         : TUB_ORDER_TIME_SPACE,
                           .task = o->task,
                           .pixels_known = o->pixels != TUB_CONVERT_PIXELS_UNKNOWN};
    memcpy(h.head_classes, o->head_classes, sizeof h.head_classes);
    if (like == NULL) {
        return h;
    }
    if (h.height == 0) {
        h.height = like->height;
        h.width = like->width;
        h.frames = h.frames > 0 ? h.frames : like->frames;
    }
    h.variant = h.variant > 0 ? h.variant : 1 + (int)like->variant;
    if (o->pooling == NULL && like->pooling != TUB_POOL_CLASS_TOKEN) {
        h.pooling = like->pooling;
    }
    if (o->attention_order == NULL) {
        h.attention_order = like->attention_order;
    }
    if (o->task == TUB_TASK_DATA) {
        h.task = like->task;
        memcpy(h.head_classes, like->head_classes, sizeof h.head_classes);
    }
    return h;
}

/* ---- Each kind ---- */

/* transformers' VivitModel has a dense layer behind its class token that this program has no place
 * for, and that its classifier does not use. */
static tub_status warn_pooler(tub_context *ctx, const char *path, tub_error *err) {
    tub__weights w;
    TUB__TRY(tub__weights_open(&ctx->allocator, path, &w, err));
    if (tub__weights_find(&w, "pooler.dense.weight") != NULL ||
        tub__weights_find(&w, "vivit.pooler.dense.weight") != NULL) {
        tub__log_line(ctx, TUB_LOG_WARNING,
                      "%s: its pooler is left out; load what is written with "
                      "add_pooling_layer=False",
                      path);
    }
    tub__weights_close(&w);
    return TUB_OK;
}

static tub_status open_folder(tub_context *ctx, const char *path, tub__converted *m,
                              tub_error *err) {
    TUB__TRY(tub__folder_open_any(ctx, path, &m->model, &m->encoder, &m->arrays, err));
    return m->encoder ? warn_pooler(ctx, path, err) : TUB_OK;
}

static tub_status list_keras(const tub__keras_model *k, tub__file_array **out, tub_error *err) {
    const tub__params *params = &k->model->params;
    TUB__TRY(tub__alloc_array(&k->model->context->allocator, params->count, sizeof **out,
                              (void **)out, err));
    for (size_t i = 0; i < params->count; i++) {
        tub__keras_describe(&k->layout, &k->model->config, &params->list[i], &(*out)[i]);
    }
    return TUB_OK;
}

static tub_status open_keras(tub_context *ctx, const char *path, const tub_convert_options *o,
                             const tub_model_config *like, tub__converted *m, tub_error *err) {
    const tub_gelu gelu = o->gelu == TUB_CONVERT_GELU_ERF ? TUB_GELU_ERF : TUB_GELU_TANH;
    const tub__keras_options options = {.gelu = o->gelu == TUB_CONVERT_GELU_USUAL ? NULL : &gelu,
                                        .like = like};
    tub__keras_model k;
    TUB__TRY(tub__keras_open(ctx, path, &options, &k, err));
    tub_status status = list_keras(&k, &m->arrays, err);
    m->model = k.model;
    m->moments = k.moments;
    k.model = NULL;
    k.moments = (tub__moments){0};
    tub__keras_close(&k);
    return status;
}

/* Where only the clip is unknown, the sentence says how to tell it. */
static tub_status say_clip(const tub__scenic_hints *h, tub_status status, tub_error *err) {
    const bool told = h->frames > 0 || h->height > 0;
    return status != TUB_E_ARGUMENT || told
               ? status
               : tub__suffix(err, status, " (--frames, --size of tubelet convert)");
}

static tub_status open_kind(tub_context *ctx, const char *path, const tub_convert_options *o,
                            const tub_model_config *like, tub__converted *m, tub_error *err) {
    switch (m->kind) {
    case TUB_CONVERT_KERAS:
    case TUB_CONVERT_KERAS_WEIGHTS:
        return open_keras(ctx, path, o, like, m, err);
    case TUB_CONVERT_SCENIC: {
        const tub__scenic_hints hints = scenic_hints(o, like);
        const tub_status status =
            tub__scenic_open_listed(ctx, path, &hints, &m->model, &m->arrays, err);
        return say_clip(&hints, status, err);
    }
    default:
        return open_folder(ctx, path, m, err);
    }
}

/* ---- All ---- */

static tub_status open_with(tub_context *ctx, const char *path, const tub_convert_options *o,
                            const tub_model_config *like, tub__converted *m, tub_error *err) {
    tub_status status = open_kind(ctx, path, o, like, m, err);
    if (status == TUB_OK && o->pixels == TUB_CONVERT_PIXELS_SIGNED) {
        status = tub__model_scale_signed(m->model, err);
    }
    if (status != TUB_OK) {
        tub__converted_close(m);
    }
    return status;
}

tub_status tub__converted_open(tub_context *ctx, const char *path, tub_convert_kind kind,
                               const tub_convert_options *options, tub__converted *out,
                               tub_error *err) {
    tub_model_config like;
    *out = (tub__converted){.kind = kind};
    if (options->like != NULL) {
        TUB__TRY(read_like(ctx, options->like, &like, err));
    }
    return open_with(ctx, path, options, options->like != NULL ? &like : NULL, out, err);
}

tub_status tub__converted_read_moments(tub__converted *m, const char *path, tub_error *err) {
    return m->kind == TUB_CONVERT_FOLDER ? tub__moments_read(m->model, path, &m->moments, err)
                                         : TUB_OK;
}

tub_status tub__converted_reopen(const tub__converted *m, const char *path, tub_convert_kind kind,
                                 tub__converted *out, tub_error *err) {
    tub_convert_options options = tub_convert_options_default();
    options.gelu =
        m->model->config.gelu == TUB_GELU_ERF ? TUB_CONVERT_GELU_ERF : TUB_CONVERT_GELU_TANH;
    *out = (tub__converted){.kind = kind};
    /* What there is to say was said of the original, under its own name. */
    tub_context *ctx = m->model->context;
    tub_event_fn *receiver = ctx->on_event;
    ctx->on_event = NULL;
    tub_status status = open_with(ctx, path, &options, &m->model->config, out, err);
    if (status == TUB_OK) {
        status = tub__converted_read_moments(out, path, err);
        if (status != TUB_OK) {
            tub__converted_close(out);
        }
    }
    ctx->on_event = receiver;
    return status;
}

void tub__converted_close(tub__converted *m) {
    if (m->model != NULL) {
        tub__free(&m->model->context->allocator, m->arrays);
    }
    tub__moments_destroy(&m->moments);
    tub_model_close(m->model);
    *m = (tub__converted){0};
}
