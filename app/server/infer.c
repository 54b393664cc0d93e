/* SPDX-License-Identifier: Apache-2.0 */
/* A request for a model, once it is whole: what has to be decoded or resized goes to a helper, then all goes to
 * the model's queue, and overlays are drawn by a helper again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server.h"

enum {
    UPLOAD_SHARE = 16,     /* of all memory, that the levels of one file's clips may take */
    QUICK_ANSWER = 1 << 18 /* bytes that are written in a moment */
};

static void finish(request *r) {
    if (r->failure != 0) {
        atomic_fetch_add(&r->model->failures, 1);
        answer_failure(r);
    } else {
        answer_outputs(r);
    }
}

static request *of_job(batch_job *job) {
    return (request *)(void *)((char *)job - offsetof(request, job));
}

static request *of_help(helper_job *help) {
    return (request *)(void *)((char *)help - offsetof(request, help));
}

static void fail_with(request *r, const tub_error *err) {
    request_fail(r, status_of(err->status), "%s", err->message);
}

static void fail_memory(request *r) {
    request_fail(r, 503, "out of memory for the request");
}

static double deadline_of(const request *r) {
    return r->began + r->server->options->timeout;
}

static bool is_in_time(request *r) {
    return clock_now() <= deadline_of(r) ||
           request_fail(r, 503, "the request waited longer than it may take");
}

static void send_to_helper(request *r, void (*work)(helper_job *, tub_context *)) {
    r->help.work = work;
    helpers_push(r->server->helpers, &r->help);
}

/* ---- Behind the model ---- */

static void conclude(helper_job *help, tub_context *ctx) {
    request *r = of_help(help);
    tub_error err;
    if (r->wants_overlay && !infer_draw(r, ctx, &err)) {
        fail_with(r, &err);
    }
    finish(r);
}

/* Whether drawing or writing the answer would keep the model's thread from its next batch. */
static bool is_long(const request *r) {
    const size_t scores = 2 * (size_t)r->model->config->classes * sizeof(float),
                 map = r->wants_map ? r->model->map * sizeof(float) : 0,
                 frames = r->wants_frames ? r->model->clip : 0;
    return r->wants_overlay || (size_t)r->job.rows * (scores + map + frames) > QUICK_ANSWER;
}

static void on_ready(batch_job *job) {
    request *r = of_job(job);
    if (job->status != TUB_OK) {
        request_fail(r, status_of(job->status), "%s", job->message);
    }
    if (r->failure == 0 && is_long(r)) {
        send_to_helper(r, conclude);
    } else {
        finish(r);
    }
}

/* ---- Before it ---- */

/* Room for what the model will say of clips. */
static bool make_room(request *r, int64_t rows) {
    const size_t scores = 2 * (size_t)(rows * r->model->config->classes);
    const bool maps = r->wants_map || r->wants_overlay;
    const size_t all = scores + (maps ? (size_t)rows * r->model->map : 0);
    if (!request_charge(r, all * sizeof(float))) {
        return false;
    }
    r->results = malloc(scores * sizeof *r->results);
    r->maps = maps ? calloc((size_t)rows, sizeof *r->maps) : NULL;
    if (r->results == NULL || (maps && r->maps == NULL)) {
        fail_memory(r);
        return false;
    }
    return true;
}

/* Clips are there, rows of them. */
static void enqueue(request *r, int64_t rows, tub_dtype dtype, const void *clips) {
    const size_t n = (size_t)(rows * r->model->config->classes);
    if (!make_room(r, rows)) {
        finish(r);
        return;
    }
    r->job = (batch_job){.rows = rows,
                         .dtype = dtype,
                         .clips = clips,
                         .logits = r->results,
                         .probabilities = r->results + n,
                         .explain = r->maps != NULL ? &r->explain : NULL,
                         .maps = r->maps,
                         .deadline = deadline_of(r),
                         .ready = on_ready};
    batcher_push(r->model->batcher, &r->job);
}

/* Levels of any size that the model takes. */
static void resize(helper_job *help, tub_context *ctx) {
    request *r = of_help(help);
    const oip_input *in = &r->reader.request.input[0];
    const int64_t rows = in->shape[0];
    const unsigned char *levels = in->has_data ? (const unsigned char *)in->numbers : in->bytes;
    const size_t size = (size_t)rows * r->model->clip * sizeof *r->clips;
    tub_error err;
    (void)ctx;
    if (!request_charge(r, size)) { /* small pictures may become large ones */
        finish(r);
        return;
    }
    r->clips = malloc(size);
    if (r->clips == NULL) {
        fail_memory(r);
        finish(r);
    } else if (tub_model_prepare(r->model->model, rows, in->shape + 1, levels, r->clips, &err) !=
               TUB_OK) {
        fail_with(r, &err);
        finish(r);
    } else {
        enqueue(r, rows, TUB_F32, r->clips);
    }
}

/* ---- Files ---- */

static bool parse_times(request *r, tub_upload_options *o) {
    const oip_parameters *p = &r->reader.request.parameters;
    tub_error err;
    if (p->window[0] == '\0') {
        return true;
    }
    if (tub_time_parse(p->window, &o->window, &err) != TUB_OK) {
        return request_fail(r, 400, "window: %s", err.message);
    }
    o->hop = o->window;
    if (p->hop[0] != '\0' && tub_time_parse(p->hop, &o->hop, &err) != TUB_OK) {
        return request_fail(r, 400, "hop: %s", err.message);
    }
    if (o->window < 1 || o->hop < 1) {
        return request_fail(r, 400, "window and hop must be above 0 s");
    }
    if (r->reader.request.input[0].shape[0] != 1) {
        return request_fail(r, 400, "a timeline is of one file");
    }
    return true;
}

/* The levels of clips, for what is shown of them; floats are shown from 0 to 1. */
static bool take_levels(request *r, const tub_upload *u, size_t at, size_t n) {
    if (!request_charge(r, n)) {
        return false;
    }
    unsigned char *levels = realloc(r->levels, at + n);
    if (levels == NULL) {
        fail_memory(r);
        return false;
    }
    r->levels = levels;
    for (size_t i = 0; i < n; i++) {
        const float v = u->samples[i] * 255.0F;
        levels[at + i] = u->levels != NULL ? u->levels[i]
                         : v >= 255.0F     ? 255
                         : v > 0.0F        ? (unsigned char)(v + 0.5F)
                                           : 0;
    }
    return true;
}

/* Clips of one file behind those that are there. */
static bool take_upload(request *r, const tub_upload *u, int64_t rows) {
    const size_t clip = r->model->clip, at = (size_t)rows * clip, n = (size_t)u->count * clip;
    if (!request_charge(r, n * sizeof(float))) {
        return false;
    }
    float *clips = realloc(r->clips, (at + n) * sizeof *clips);
    if (clips == NULL) {
        fail_memory(r);
        return false;
    }
    r->clips = clips;
    memcpy(clips + at, u->samples, n * sizeof *clips);
    return !(r->wants_overlay || r->wants_frames) || take_levels(r, u, at, n);
}

static bool take_windows(request *r, const tub_upload *u) {
    if (u->begin == NULL) {
        return true;
    }
    r->windows = malloc((size_t)u->count * 2 * sizeof *r->windows);
    if (r->windows == NULL) {
        fail_memory(r);
        return false;
    }
    for (int64_t i = 0; i < u->count; i++) {
        r->windows[2 * i] = u->begin[i];
        r->windows[2 * i + 1] = u->end[i];
    }
    return true;
}

static void limit(const request *r, tub_upload_options *o) {
    const server_options *s = r->server->options;
    *o = tub_upload_options_default();
    o->answer = s->max_memory / UPLOAD_SHARE;
    o->frames = s->max_frames;
    o->clips = s->max_clips;
    o->name = r->reader.request.parameters.file_name;
}

/* What is left of the request's time is all that its next file may take. */
static void limit_time(const request *r, tub_upload_options *o) {
    const double left = deadline_of(r) - clock_now();
    o->wall_seconds = left < 1 ? 1 : (unsigned)left;
    o->seconds = o->wall_seconds;
}

/* A file that can't be decoded is its sender's business, whatever it did to the process. */
static int status_of_upload(tub_status status) {
    switch (status) {
    case TUB_E_MODULE:
        return 500;
    case TUB_E_IO:
    case TUB_E_CANCELLED:
        return 503;
    case TUB_E_RANGE:
        return 413;
    default:
        return 400;
    }
}

static void fail_upload(request *r, const tub_error *err) {
    const int status = status_of_upload(err->status);
    if (status < 500) {
        atomic_fetch_add(&r->server->metrics.bad_uploads, 1);
    }
    request_fail(r, status, "%s", err->message);
}

static bool decode_one(request *r, tub_context *ctx, tub_upload_options *o,
                       const unsigned char *bytes, size_t size, int64_t *rows) {
    tub_upload upload;
    tub_error err;
    limit_time(r, o);
    atomic_fetch_add(&r->server->metrics.uploads, 1);
    if (tub_upload_read(ctx, r->model->model, bytes, size, o, &upload, &err) != TUB_OK) {
        fail_upload(r, &err);
        return false;
    }
    if (r->damage[0] == '\0') {
        snprintf(r->damage, sizeof r->damage, "%s", upload.damage);
    }
    const bool taken = take_upload(r, &upload, *rows) && take_windows(r, &upload);
    *rows += upload.count;
    tub_upload_free(&upload);
    return taken;
}

static void decode(helper_job *help, tub_context *ctx) {
    request *r = of_help(help);
    const oip_input *in = &r->reader.request.input[0];
    tub_upload_options o;
    int64_t rows = 0;
    limit(r, &o);
    bool well = parse_times(r, &o);
    for (size_t at = 0; at < in->size && well;) {
        const unsigned char *b = in->bytes + at;
        const size_t size = oip_get_length(b);
        well = is_in_time(r) && decode_one(r, ctx, &o, b + OIP_LENGTH, size, &rows);
        at += OIP_LENGTH + size;
    }
    if (well) {
        enqueue(r, rows, TUB_F32, r->clips);
    } else {
        finish(r);
    }
}

/* ---- All ---- */

/* Room in the queue, which counts what waits and what is worked on. */
static bool admit(request *r) {
    server *s = r->server;
    if (!request_take_on(r)) {
        return false;
    }
    r->queued = true;
    if (atomic_fetch_add(&s->queued, 1) >= s->options->queue) {
        atomic_fetch_add(&s->metrics.full, 1);
        return request_fail(r, 503, "the queue is full (%ld requests); try again in a second",
                            s->options->queue);
    }
    return true;
}

void infer_handle(request *r) {
    const oip_input *in = &r->reader.request.input[0];
    atomic_fetch_add(&r->model->requests, 1);
    if (r->failure == 0 && !oip_end(&r->reader)) {
        request_fail(r, r->reader.status, "%s", r->reader.sentence);
    }
    if (r->failure != 0 || !infer_check(r) || !admit(r)) {
        finish(r);
    } else if (r->view == VIEW_FILE) {
        send_to_helper(r, decode);
    } else if (r->view == VIEW_CLIP) {
        enqueue(r, in->shape[0], TUB_F32,
                in->has_data ? (const void *)in->numbers : (const void *)in->bytes);
    } else if (tub_model_prepares(r->model->model)) {
        send_to_helper(r, resize);
    } else {
        enqueue(r, in->shape[0], TUB_U8,
                in->has_data ? (const void *)in->numbers : (const void *)in->bytes);
    }
}

void infer_free(request *r) {
    const int64_t rows = r->job.rows;
    for (int64_t i = 0; r->maps != NULL && i < rows; i++) {
        tub_explanation_free(&r->maps[i]);
    }
    for (int64_t i = 0; r->gifs != NULL && i < rows; i++) {
        free(r->gifs[i]);
    }
    free(r->maps);
    free(r->gifs);
    free(r->gif_sizes);
    free(r->clips);
    free(r->levels);
    free(r->windows);
    free(r->results);
    unpacker_destroy(r->unpacker);
    if (r->infers) {
        oip_free(&r->reader);
    }
    served_release(r->model);
}
