/* SPDX-License-Identifier: Apache-2.0 */
/* A version of a model: opened, described, closed. */
#include "served.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "no_memory.h"

const char *served_suffix(served_view view) {
    static const char *const suffixes[VIEWS] = {"", "_u8", "_video"};
    return suffixes[view];
}

/* Whether levels of another size would be resized: asked of a picture that no model takes as it is. */
static bool resizes(const tub_model *model) {
    const tub_model_config *c = tub_model_describe(model);
    const int64_t shape[4] = {c->frames, c->height + 1, c->width + 1, c->channels};
    tub_error err;
    return tub_model_accepts(model, TUB_U8, shape, &err) == TUB_OK;
}

static tub_status open_model(const served_settings *settings, served *s, tub_error *err) {
    const cli_common *common = settings->common;
    tub_status status = cli_context_in(common, common->precision, &s->context, err);
    if (status == TUB_OK) {
        status = tub_model_open(s->context, s->folder, &s->model, err);
    }
    if (status != TUB_OK) {
        return status;
    }
    s->config = tub_model_describe(s->model);
    s->map = (size_t)(s->config->frames * s->config->height * s->config->width);
    s->clip = s->map * (size_t)s->config->channels;
    s->resizes = resizes(s->model);
    return batcher_create(s->model, settings->max_batch, settings->max_delay, &s->counts,
                          &s->batcher, err);
}

tub_status served_open(const served_settings *settings, const char *name, const char *version,
                       const char *folder, served **out, tub_error *err) {
    served *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return no_memory(err);
    }
    snprintf(s->name, sizeof s->name, "%s", name);
    snprintf(s->version, sizeof s->version, "%s", version);
    snprintf(s->folder, sizeof s->folder, "%s", folder);
    atomic_init(&s->references, 1);
    const tub_status status = open_model(settings, s, err);
    if (status != TUB_OK) {
        served_close(s);
        return status;
    }
    *out = s;
    return TUB_OK;
}

void served_close(served *s) {
    if (s != NULL) {
        batcher_destroy(s->batcher);
        tub_model_close(s->model);
        tub_context_destroy(s->context);
        free(s);
    }
}

void served_release(served *s) {
    if (s != NULL) {
        atomic_fetch_sub(&s->references, 1); /* the registry's thread closes it */
    }
}

/* ---- Metadata ---- */

static void put_tensor(textbuf *t, const char *before, const char *name, const char *type,
                       const char *shape) {
    text_put(t, "%s{\"name\":\"%s\",\"datatype\":\"%s\",\"shape\":[%s]}", before, name, type,
             shape);
}

static void put_input(textbuf *t, const served *s, served_view view) {
    const tub_model_config *c = s->config;
    char shape[128];
    snprintf(shape, sizeof shape, "-1,%lld,%lld,%lld,%lld", (long long)c->frames,
             (long long)(view == VIEW_LEVELS && s->resizes ? -1 : c->height),
             (long long)(view == VIEW_LEVELS && s->resizes ? -1 : c->width),
             (long long)c->channels);
    if (view == VIEW_FILE) {
        put_tensor(t, "", "file", "BYTES", "-1");
    } else {
        put_tensor(t, "", "clip", view == VIEW_CLIP ? "FP32" : "UINT8", shape);
    }
}

/* Outputs that only come when they are asked for. */
static void put_optional(textbuf *t, const served *s, served_view view) {
    const tub_model_config *c = s->config;
    char shape[128];
    tub_explain_options o = tub_explain_options_default();
    o.method = TUB_EXPLAIN_ROLLOUT;
    put_tensor(t, "", "label", "BYTES", "-1");
    if (tub_explain_check(s->model, &o, NULL) == TUB_OK) {
        snprintf(shape, sizeof shape, "-1,%lld,%lld,%lld", (long long)c->frames,
                 (long long)c->height, (long long)c->width);
        put_tensor(t, ",", "explanation", "FP32", shape);
        put_tensor(t, ",", "overlay", "BYTES", "-1");
    }
    if (view == VIEW_FILE) {
        snprintf(shape, sizeof shape, "-1,%lld,%lld,%lld,%lld", (long long)c->frames,
                 (long long)c->height, (long long)c->width, (long long)c->channels);
        put_tensor(t, ",", "frames", "UINT8", shape);
        put_tensor(t, ",", "windows", "FP64", "-1,2");
    }
}

static void put_labels(textbuf *t, const served *s) {
    const char *const *labels = tub_model_labels(s->model);
    if (labels == NULL) {
        text_put(t, "null");
        return;
    }
    for (int64_t i = 0; i < s->config->classes; i++) {
        text_put(t, i == 0 ? "[" : ",");
        text_json(t, labels[i]);
    }
    text_put(t, "]");
}

/* How the K numbers are read: the task, and how many of them each of several heads has. */
static void put_task(textbuf *t, const served *s) {
    const tub_model_config *c = s->config;
    text_put(t, "\"%s\",\"heads\":", tub_task_name(c->task));
    if (c->task != TUB_TASK_MULTI_HEAD) {
        text_put(t, "null");
        return;
    }
    for (int h = 0; h < TUB_HEAD_LIMIT && c->head_classes[h] > 0; h++) {
        text_put(t, "%s%lld", h == 0 ? "[" : ",", (long long)c->head_classes[h]);
    }
    text_put(t, "]");
}

void served_metadata(textbuf *t, const served *s, served_view view, char versions[][SERVED_VERSION],
                     int count) {
    char name[SERVED_NAME + 16], shape[64];
    snprintf(name, sizeof name, "%s%s", s->name, served_suffix(view));
    snprintf(shape, sizeof shape, "-1,%lld", (long long)s->config->classes);
    text_put(t, "{\"name\":");
    text_json(t, name);
    text_put(t, ",\"versions\":[");
    for (int i = 0; i < count; i++) {
        text_put(t, "%s\"%s\"", i > 0 ? "," : "", versions[i]);
    }
    text_put(t, "],\"platform\":\"tubelet\",\"inputs\":[");
    put_input(t, s, view);
    text_put(t, "],\"outputs\":[");
    put_tensor(t, "", "logits", "FP32", shape);
    put_tensor(t, ",", "probs", "FP32", shape);
    text_put(t, "],\"optional_outputs\":[");
    put_optional(t, s, view);
    text_put(t, "],\"task\":");
    put_task(t, s);
    text_put(t, ",\"labels\":");
    put_labels(t, s);
    text_put(t, "}");
}
