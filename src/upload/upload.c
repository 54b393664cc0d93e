/* SPDX-License-Identifier: Apache-2.0 */
/* Sends an upload to a process that decodes it, and takes what comes back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <tubelet/upload.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file_parts.h"
#include "base/module.h"
#include "base/wire.h"
#include "base/worker.h"
#include "convert/prepare.h"
#include "upload/job.h"

enum { ANSWER_MORE = 1 << 20 }; /* of the answer besides the clips */

tub_upload_options tub_upload_options_default(void) {
    return (tub_upload_options){.size = sizeof(tub_upload_options),
                                .frames = 100000,
                                .clips = 256,
                                .memory = (size_t)2 << 30,
                                .answer = (size_t)256 << 20,
                                .seconds = 30,
                                .wall_seconds = 60};
}

void tub_upload_free(tub_upload *u) {
    if (u->owner != NULL) {
        const tub_allocator *a = &u->owner->allocator;
        tub__free(a, u->samples);
        tub__free(a, u->levels);
        tub__free(a, u->begin);
        tub__free(a, u->end);
        *u = (tub_upload){0};
    }
}

/* ---- The job ---- */

static tub_status check_options(const tub_upload_options *o, tub_error *err) {
    if (o->size != sizeof *o) {
        return tub__fail(
            err, TUB_E_ARGUMENT,
            "tub_upload_options: size is %zu, this library knows %zu bytes; start from "
            "tub_upload_options_default()",
            o->size, sizeof *o);
    }
    if ((o->window != 0 || o->hop != 0) && (o->window < 1 || o->hop < 1)) {
        return tub__fail(err, TUB_E_RANGE, "a window and a hop need a length above 0 s");
    }
    return TUB_OK;
}

/* NIfTI is told by its name only, so the bytes give it one: the magic of version 1, or gzip, which nothing
 * else comes in. */
static const char *ending_of(const unsigned char *bytes, size_t size, const char *name) {
    enum { MAGIC_AT = 344 };
    static const char gzip[] = {'\x1f', '\x8b'};
    if (size >= sizeof gzip && memcmp(bytes, gzip, sizeof gzip) == 0) {
        return ".nii.gz";
    }
    if (size >= MAGIC_AT + 4 &&
        (memcmp(bytes + MAGIC_AT, "n+1", 4) == 0 || memcmp(bytes + MAGIC_AT, "ni1", 4) == 0)) {
        return ".nii";
    }
    const char *dot = name != NULL ? strrchr(name, '.') : NULL;
    for (size_t i = 1; dot != NULL; i++) {
        const bool plain = (dot[i] >= 'a' && dot[i] <= 'z') || (dot[i] >= 'A' && dot[i] <= 'Z') ||
                           (dot[i] >= '0' && dot[i] <= '9');
        if (dot[i] == '\0' && i > 1) {
            return dot;
        }
        if (!plain || i > 8) {
            break;
        }
    }
    return "";
}

static tub_status settle(const tub_model *model, const unsigned char *bytes, size_t size,
                         const tub_upload_options *o, tub__decode_job *out, tub_error *err) {
    const tub_model_config *c = &model->config;
    memset(out, 0, sizeof *out);
    TUB__TRY(tub__taking_of(model, NULL, &out->taking, err));
    out->volumes = model->clip == NULL && o->window == 0;
    out->want[0] = c->frames;
    out->want[1] = c->height;
    out->want[2] = c->width;
    out->want[3] = c->channels;
    out->window = o->window;
    out->hop = o->hop;
    out->frames = o->frames;
    out->clips = o->clips;
    snprintf(out->path, sizeof out->path, TUB__WORKER_INPUT_NAME "%s",
             ending_of(bytes, size, o->name));
    return TUB_OK;
}

static void to_digits(const tub__decode_job *job, char *out) {
    const unsigned char *bytes = (const unsigned char *)job;
    for (size_t i = 0; i < sizeof *job; i++) {
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    }
}

/* ---- The answer ---- */

typedef struct reading {
    const tub_model *model;
    const tub__decode_job *job;
    tub_upload *out;
} reading;

static tub_status wrong_answer(tub_error *err) {
    return tub__fail(err, TUB_E_FORMAT,
                     "the process that decoded it gave an answer that makes no sense: it is "
                     "damaged, or made to do harm");
}

/* Sizes are those of the model, or, of a volume that is to be prepared, any. */
static tub_status take_shape(reading *r, const tub__wire_record *record, tub_error *err) {
    tub_upload *u = r->out;
    const int64_t *want = r->job->want;
    if (record->rank != 5 || u->count != 0 || record->shape[0] < 1 ||
        record->shape[0] > (uint64_t)r->job->clips ||
        (record->code != TUB__WIRE_U8 && record->code != TUB__WIRE_F32)) {
        return wrong_answer(err);
    }
    for (int i = 1; i < 5; i++) {
        if (record->shape[i] < 1 || record->shape[i] > INT32_MAX) {
            return wrong_answer(err);
        }
    }
    u->count = (int64_t)record->shape[0];
    u->frames = want[0];
    u->height = want[1];
    u->width = want[2];
    u->channels = want[3];
    return TUB_OK;
}

static bool fits(const reading *r, const tub__wire_record *record) {
    for (int i = 0; i < 4; i++) {
        if (record->shape[1 + i] != (uint64_t)r->job->want[i]) {
            return false;
        }
    }
    return true;
}

/* A volume of uint8, resized if the folder says so. */
static tub_status prepare(reading *r, const tub__wire_record *record, tub_error *err) {
    const int64_t shape[4] = {(int64_t)record->shape[1], (int64_t)record->shape[2],
                              (int64_t)record->shape[3], (int64_t)record->shape[4]};
    TUB__TRY(tub_model_accepts(r->model, TUB_U8, shape, err));
    return tub_model_prepare(r->model, r->out->count, shape, record->data, r->out->samples, err);
}

static tub_status take_clips(reading *r, const tub__wire_record *record, tub_error *err) {
    tub_upload *u = r->out;
    const tub_allocator *a = &u->owner->allocator;
    TUB__TRY(take_shape(r, record, err));
    const size_t clip = tub__taking_elements(&r->job->taking), n = (size_t)u->count * clip;
    const bool levels = record->code == TUB__WIRE_U8, same = fits(r, record);
    TUB__TRY(tub__alloc_array(a, n, sizeof(float), (void **)&u->samples, err));
    if (levels && same) {
        TUB__TRY(tub__alloc(a, n, (void **)&u->levels, err));
        memcpy(u->levels, record->data, n);
    }
    if (r->job->volumes && levels) {
        return prepare(r, record, err);
    }
    if (!same) {
        const int64_t shape[4] = {(int64_t)record->shape[1], (int64_t)record->shape[2],
                                  (int64_t)record->shape[3], (int64_t)record->shape[4]};
        TUB__TRY(tub_model_accepts(r->model, levels ? TUB_U8 : TUB_F32, shape, err));
        return wrong_answer(err);
    }
    if (levels) {
        return tub__model_scale(r->model, u->count, record->data, u->samples, err);
    }
    memcpy(u->samples, record->data, n * sizeof(float));
    return TUB_OK;
}

static tub_status take_times(reading *r, const tub__wire_record *record, tub_error *err) {
    tub_upload *u = r->out;
    const tub_allocator *a = &u->owner->allocator;
    const double *times = record->data;
    if (record->code != TUB__WIRE_F64 || u->begin != NULL || u->count == 0 ||
        record->elements != 2 * (uint64_t)u->count) {
        return wrong_answer(err);
    }
    TUB__TRY(tub__alloc_array(a, (size_t)u->count, sizeof(double), (void **)&u->begin, err));
    TUB__TRY(tub__alloc_array(a, (size_t)u->count, sizeof(double), (void **)&u->end, err));
    for (int64_t i = 0; i < u->count; i++) {
        u->begin[i] = times[2 * i];
        u->end[i] = times[2 * i + 1];
    }
    return TUB_OK;
}

static tub_status take_record(reading *r, const tub__wire_record *record, tub_error *err) {
    if (record->kind == TUB__WIRE_TEXT && strcmp(record->name, TUB__DECODE_DAMAGE) == 0) {
        snprintf(r->out->damage, sizeof r->out->damage, "%s", (const char *)record->data);
        return TUB_OK;
    }
    if (record->kind != TUB__WIRE_ARRAY) {
        return wrong_answer(err);
    }
    if (strcmp(record->name, TUB__DECODE_CLIPS) == 0) {
        return take_clips(r, record, err);
    }
    if (strcmp(record->name, TUB__DECODE_TIMES) == 0) {
        return take_times(r, record, err);
    }
    if (record->code == TUB__WIRE_I64 && record->elements == 1) {
        r->out->file_frames = *(const int64_t *)record->data;
        return TUB_OK;
    }
    return wrong_answer(err);
}

static tub_status take_answer(reading *r, const tub__map *answer, tub_error *err) {
    tub__wire_bytes bytes = {answer->data, answer->size};
    for (;;) {
        tub__wire_record record;
        TUB__TRY(tub__wire_next(&bytes, &record, err));
        if (record.kind == TUB__WIRE_END) {
            const bool whole = r->out->count > 0 && (r->job->window == 0 || r->out->begin != NULL);
            return whole ? TUB_OK : wrong_answer(err);
        }
        TUB__TRY(take_record(r, &record, err));
    }
}

/* ---- All ---- */

static tub_status run(tub_context *ctx, const tub__decode_job *job, int input,
                      const tub_upload_options *o, tub__map *answer, tub_error *err) {
    char digits[2 * sizeof *job + 1];
    to_digits(job, digits);
    const tub__worker_job work = {.module = "decode",
                                  .verb = digits,
                                  .input = input,
                                  .memory = o->memory,
                                  .output = o->answer + ANSWER_MORE,
                                  .seconds = o->seconds,
                                  .wall_seconds = o->wall_seconds};
    return tub__worker_run(ctx, &work, answer, err);
}

/* Where the system refuses the other process something, a file wanted too much: TUB_E_IO is left for this one. */
static tub_status blame_file(tub_status status, tub_error *err) {
    if (status != TUB_E_IO) {
        return status;
    }
    if (err != NULL) {
        err->status = TUB_E_FORMAT;
    }
    return TUB_E_FORMAT;
}

static tub_status decode(reading *r, const void *bytes, size_t size, const tub_upload_options *o,
                         tub_error *err) {
    tub__map answer;
    int fd;
    TUB__TRY(tub__worker_file(&fd, err));
    tub_status status = tub__write_fully(fd, bytes, size)
                            ? run(r->out->owner, r->job, fd, o, &answer, err)
                            : tub__fail(err, TUB_E_MEMORY, "%zu bytes can't be passed on", size);
    close(fd);
    if (status == TUB_OK) {
        status = blame_file(take_answer(r, &answer, err), err);
        tub__map_close(&answer);
    }
    return status;
}

tub_status tub_upload_read(tub_context *ctx, const tub_model *model, const void *bytes, size_t size,
                           const tub_upload_options *options, tub_upload *out, tub_error *err) {
    const tub_upload_options usual = tub_upload_options_default();
    const tub_upload_options *o = options != NULL ? options : &usual;
    tub__decode_job job;
    *out = (tub_upload){.owner = ctx};
    TUB__TRY(check_options(o, err));
    if (size == 0) {
        return tub__fail(err, TUB_E_FORMAT, TUB__WORKER_INPUT_NAME " is empty");
    }
    TUB__TRY(settle(model, bytes, size, o, &job, err));
    reading r = {model, &job, out};
    const tub_status status = decode(&r, bytes, size, o, err);
    if (status != TUB_OK) {
        tub_upload_free(out);
        if (err != NULL &&
            strncmp(err->message, TUB__WORKER_INPUT_NAME, strlen(TUB__WORKER_INPUT_NAME)) != 0) {
            return tub__prefix(err, status, TUB__WORKER_INPUT_NAME);
        }
    }
    return status;
}

tub_status tub_module_path(tub_context *ctx, const char *name, char *path, size_t room,
                           tub_error *err) {
    return tub__module_path(ctx, name, path, room, err);
}
