/* SPDX-License-Identifier: Apache-2.0 */
/* Opening what a model starts from, by what lies at a path. */
#include "convert/start_source.h"

#include <stdio.h>
#include <string.h>
#include <tubelet/convert.h>

#include "base/error.h"
#include "base/file.h"
#include "convert/config_json.h"
#include "convert/folder.h"
#include "convert/scenic.h"
#include "convert/vit_flax.h"

/* ---- Folders ---- */

static tub_status fill_from_flax(const char *path, tub__folder_source *read, tub__source *s,
                                 tub_error *err) {
    TUB__TRY(tub__alloc_array(&s->model->context->allocator, s->model->params.count,
                              sizeof *s->arrays, (void **)&s->arrays, err));
    return tub__vit_flax_read(s->model, path, &read->classifier, s->arrays, err);
}

static tub_status fill_from_folder(const char *path, tub__folder_source *read, tub__source *s,
                                   tub_error *err) {
    bool flax = false;
    if (read->labels != NULL) {
        TUB__TRY(tub_model_set_labels(s->model, (const char *const *)read->labels,
                                      read->config.classes, err));
    }
    if (read->image) {
        TUB__TRY(tub__vit_flax_is(&s->model->context->allocator, path, &flax, err));
    }
    return flax ? fill_from_flax(path, read, s, err)
                : tub__folder_read_source(s->model, path, read, err);
}

static tub_status open_folder(tub_context *ctx, const char *path, tub__source *s, tub_error *err) {
    tub__folder_source read;
    TUB__TRY(tub__folder_read_source_config(ctx, path, &read, err));
    tub_status status = tub_model_create(ctx, &read.config, 0, &s->model, err);
    if (status == TUB_OK) {
        status = fill_from_folder(path, &read, s, err);
    }
    tub__labels_free(&ctx->allocator, read.labels, read.config.classes);
    s->kind = read.image ? "ViT of transformers" : "model folder";
    s->from = "vivit.";
    s->to = read.image ? "vit." : s->from;
    s->image = read.image;
    s->classifier = read.classifier;
    return status;
}

/* ---- Checkpoints of scenic ---- */

/* Where only the clip is unknown, the sentence says how to tell it. */
static tub_status say_clip(const tub_start_options *o, tub_status status, tub_error *err) {
    const bool told = o->clip[0] > 0 || o->clip[1] > 0 || o->clip[2] > 0;
    if (status != TUB_E_ARGUMENT || told) {
        return status;
    }
    return tub__suffix(err, status, ", with the setting init_clip");
}

/* Other files, each in its own words. */
static tub_status check_file(tub_context *ctx, const char *path, tub_error *err) {
    tub_convert_kind kind;
    TUB__TRY(tub_convert_detect(ctx, path, &kind, err));
    return kind == TUB_CONVERT_SCENIC
               ? TUB_OK
               : tub__fail(
                     err, TUB_E_FORMAT,
                     "%s: a model of Keras; make a model folder of it first (tubelet convert)",
                     path);
}

/* google-research/vision_transformer, where the arrays came from: its classifier is the head. */
static const char *kind_of_checkpoint(const tub__source *s) {
    const tub__params *params = &s->model->params;
    const tub__param *head = tub__params_find(params, TUB__HEAD_KERNEL, -1);
    const char *name = s->arrays[head - params->list].name;
    return !s->image                       ? "ViViT of scenic"
           : strstr(name, "head/") != NULL ? "ViT of vision_transformer"
                                           : "ViT of scenic";
}

static tub_status open_checkpoint(tub_context *ctx, const char *path, const tub_start_options *o,
                                  tub__source *s, tub_error *err) {
    TUB__TRY(check_file(ctx, path, err));
    const tub__scenic_hints hints = {
        .frames = o->clip[0], .height = o->clip[1], .width = o->clip[2]};
    TUB__TRY(
        say_clip(o, tub__scenic_open_listed(ctx, path, &hints, &s->model, &s->arrays, err), err));
    const tub_model_config *c = &s->model->config;
    s->image = c->frames == 1 && c->tubelet[0] == 1;
    s->kind = kind_of_checkpoint(s);
    s->classifier = true;
    return TUB_OK;
}

/* ---- Both ---- */

static tub_status check_there(const char *path, tub_error *err) {
    return tub__file_exists(path)
               ? TUB_OK
               : tub__folder_expect(
                     path,
                     "a start is a folder with config.json and model.safetensors (of a ViT "
                     "also flax_model.msgpack), or a checkpoint of Flax",
                     err);
}

tub_status tub__source_open(tub_context *ctx, const char *path, const tub_start_options *options,
                            tub__source *out, tub_error *err) {
    *out = (tub__source){0};
    TUB__TRY(check_there(path, err));
    const tub_status status = tub__is_folder(path) ? open_folder(ctx, path, out, err)
                                                   : open_checkpoint(ctx, path, options, out, err);
    if (status != TUB_OK) {
        tub__source_close(out);
    }
    return status;
}

void tub__source_name(const tub__source *s, const tub__param *p, char *out, size_t size) {
    if (s->arrays != NULL) {
        snprintf(out, size, "%s", s->arrays[p - s->model->params.list].name);
        return;
    }
    const size_t cut = strlen(s->from);
    const bool begins = strncmp(p->name, s->from, cut) == 0;
    snprintf(out, size, "%s%s", begins ? s->to : "", p->name + (begins ? cut : 0));
}

void tub__source_close(tub__source *s) {
    if (s->model != NULL) {
        tub__free(&s->model->context->allocator, s->arrays);
    }
    tub_model_close(s->model);
    *s = (tub__source){0};
}
