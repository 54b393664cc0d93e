/* SPDX-License-Identifier: Apache-2.0 */
/* mod-decode: an upload to clips, in the process that may open nothing but it (modules/worker.c). */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/module.h"
#include "base/ratio.h"
#include "base/wire.h"
#include "data/volumes.h"
#include "formats/npy.h"
#include "formats/zip.h"
#include "upload/job.h"

static tub_context context; /* of this process: memory of the C library and the modules */

/* ---- Before the process is confined ---- */

static bool ends_with(const char *text, const char *ending) {
    const size_t n = strlen(text), m = strlen(ending);
    return n >= m && strcmp(text + n - m, ending) == 0;
}

static tub_status read_job(const char *digits, tub__decode_job *out, tub_error *err) {
    unsigned char *bytes = (unsigned char *)out;
    if (strlen(digits) != 2 * sizeof *out) {
        return tub__fail(err, TUB_E_ARGUMENT, "a job of another build");
    }
    for (size_t i = 0; i < sizeof *out; i++) {
        unsigned byte;
        if (sscanf(digits + 2 * i, "%2x", &byte) != 1) {
            return tub__fail(err, TUB_E_ARGUMENT, "a job of another build");
        }
        bytes[i] = (unsigned char)byte;
    }
    return TUB_OK;
}

static bool is_array(int input) {
    unsigned char head[64];
    const ssize_t n = pread(input, head, sizeof head, 0);
    return n > 0 && (tub__is_npy(head, (size_t)n) || tub__is_zip(head, (size_t)n));
}

/* Opens the module that the upload needs: nothing can be loaded later. */
static tub_status prepare(const char *verb, int input, const char *modules, tub_error *err) {
    const void *table;
    tub__decode_job job;
    TUB__TRY(read_job(verb, &job, err));
    context.allocator = tub__default_allocator;
    context.module_folder = (char *)(uintptr_t)modules;
    pthread_mutex_init(&context.module_lock, NULL);
    const char *name = ends_with(job.path, ".nii") || ends_with(job.path, ".nii.gz") ? "nifti"
                       : is_array(input)                                             ? NULL
                                                                                     : "video";
    return name == NULL ? TUB_OK : tub__module_open(&context, name, &table, err);
}

/* ---- Volumes in arrays ---- */

static tub_status put_clips(int output, size_t most, tub_dtype dtype, int64_t count,
                            const int64_t shape[4], const void *samples, tub_error *err) {
    tub__wire_record r = {.kind = TUB__WIRE_ARRAY,
                          .code = dtype == TUB_U8 ? TUB__WIRE_U8 : TUB__WIRE_F32,
                          .rank = 5,
                          .name = TUB__DECODE_CLIPS,
                          .data = samples,
                          .bytes = dtype == TUB_U8 ? 1 : sizeof(float)};
    r.shape[0] = (uint64_t)count;
    r.bytes *= (size_t)count;
    for (int i = 0; i < 4; i++) {
        r.shape[1 + i] = (uint64_t)shape[i];
        r.bytes *= (size_t)shape[i];
    }
    if (r.bytes > most) {
        return tub__fail(err, TUB_E_RANGE, "its clips need %zu bytes, and %zu are allowed", r.bytes,
                         most);
    }
    return tub__wire_put(output, &r, err);
}

static tub_status send_volume(const tub__decode_job *job, int output, size_t most, tub_error *err) {
    tub_volumes v;
    TUB__TRY(tub__volumes_read(&context, job->path, job->want, false, &v, err));
    const int64_t shape[4] = {v.frames, v.height, v.width, v.channels};
    const tub_status status =
        v.count != 1 ? tub__fail(err, TUB_E_SHAPE,
                                 "it holds %lld volumes, and one is taken: send them one by one",
                                 (long long)v.count)
                     : put_clips(output, most, v.dtype, 1, shape, v.data, err);
    tub_volumes_free(&v);
    return status;
}

/* ---- Clips of files ---- */

typedef struct decoding {
    const tub__decode_job *job;
    tub__clip_file *clip;
    tub__clip_reader *reader;
    int64_t count;    /* clips */
    int64_t *indices; /* [clips, T] */
    double *times;    /* [clips, 2] */
    void *samples;
    size_t most; /* bytes of samples */
} decoding;

static tub_status too_many_clips(const decoding *d, tub_error *err) {
    return tub__fail(err, TUB_E_RANGE,
                     "it is so long that it has more than %lld windows; let them begin less often",
                     (long long)d->job->clips);
}

static double seconds_of(int64_t nanoseconds) {
    return (double)nanoseconds / TUB__NANOSECONDS;
}

/* The windows as predict/timeline.c has them: the last is the first that reaches the file's end. */
static tub_status plan_windows(decoding *d, const tub__clip_facts *f, const int64_t *times,
                               tub_error *err) {
    const int64_t length = tub__clip_length(f, times), frames = d->job->taking.frames;
    const int64_t window = d->job->window, hop = d->job->hop;
    int64_t begin = 0, end = 0;
    for (d->count = 0;; d->count++) {
        tub__clip_part part;
        const bool past = __builtin_mul_overflow(d->count, hop, &begin) ||
                          tub__compare_times(length, f->time_base_numerator,
                                             f->time_base_denominator, begin) <= 0;
        if (past || (d->count > 0 && tub__compare_times(length, f->time_base_numerator,
                                                        f->time_base_denominator, end) <= 0)) {
            return TUB_OK;
        }
        if (d->count == d->job->clips) {
            return too_many_clips(d, err);
        }
        end = __builtin_add_overflow(begin, window, &end) ? INT64_MAX : end;
        TUB__TRY(tub__clip_between(f, times, begin, end, &part, err));
        int64_t *out = d->indices + d->count * frames;
        tub__frames_of_view(&d->job->taking.plan, part.count, 0, 1, out);
        for (int64_t k = 0; k < frames; k++) {
            out[k] += part.first;
        }
        const int64_t last =
            tub__to_nanoseconds(length, f->time_base_numerator, f->time_base_denominator);
        d->times[2 * d->count] = seconds_of(begin);
        d->times[2 * d->count + 1] = seconds_of(end < last ? end : last);
    }
}

static tub_status plan(decoding *d, tub_error *err) {
    const tub__clip_facts *f = tub__clip_describe(d->clip);
    const int64_t *times = tub__clip_times(d->clip);
    if (d->job->window == 0) {
        d->count = 1;
        tub__frames_of_view(&d->job->taking.plan, f->frames, 0, 1, d->indices);
        return TUB_OK;
    }
    return times == NULL || f->time_base_numerator < 1
               ? tub__fail(err, TUB_E_RANGE, "%s", TUB__CLIP_TIMELESS)
               : plan_windows(d, f, times, err);
}

/* Room for the clips that were planned, and their frames. */
static tub_status read_frames(decoding *d, tub_error *err) {
    const tub_allocator *a = &context.allocator;
    const size_t frame = tub__clip_reader_frame_bytes(d->reader);
    const size_t n = (size_t)(d->count * d->job->taking.frames);
    if (n > d->most / frame) {
        return tub__fail(err, TUB_E_RANGE, "its clips need %zu bytes, and %zu are allowed",
                         n * frame, d->most);
    }
    tub__free(a, d->samples);
    d->samples = NULL;
    TUB__TRY(tub__alloc(a, n * frame, &d->samples, err));
    return tub__clip_read_frames(d->reader, n, d->indices, d->samples, err);
}

/* Of a damaged file there may be other frames than its packets say: they are planned with then. */
static tub_status read_planned(decoding *d, tub_error *err) {
    tub_status status;
    do {
        TUB__TRY(plan(d, err));
        status = read_frames(d, err);
    } while (status != TUB_OK && status != TUB_E_MEMORY && tub__clip_reader_recounted(d->reader));
    return status;
}

static tub_status count(decoding *d, tub_error *err) {
    TUB__TRY(tub__clip_count(d->clip, err));
    const int64_t frames = tub__clip_describe(d->clip)->frames;
    return frames <= d->job->frames
               ? TUB_OK
               : tub__fail(err, TUB_E_RANGE, "it has %lld frames, and %lld are allowed",
                           (long long)frames, (long long)d->job->frames);
}

static tub_status make_room(decoding *d, tub_error *err) {
    const tub_allocator *a = &context.allocator;
    const size_t clips = d->job->window > 0 ? (size_t)d->job->clips : 1;
    TUB__TRY(tub__alloc_array(a, clips, 2 * sizeof *d->times, (void **)&d->times, err));
    return tub__alloc_array(a, clips, (size_t)d->job->taking.frames * sizeof *d->indices,
                            (void **)&d->indices, err);
}

static tub_status send(const decoding *d, int output, tub_error *err) {
    const tub__clip_facts *f = tub__clip_describe(d->clip);
    const tub__taking *t = &d->job->taking;
    const int64_t shape[4] = {t->frames, t->height, t->width, t->channels};
    const char *damage = tub__clip_damage(d->clip);
    TUB__TRY(put_clips(output, d->most, f->dtype, d->count, shape, d->samples, err));
    if (d->job->window > 0) {
        TUB__TRY(tub__wire_put(output,
                               &(tub__wire_record){.kind = TUB__WIRE_ARRAY,
                                                   .code = TUB__WIRE_F64,
                                                   .rank = 2,
                                                   .shape = {(uint64_t)d->count, 2},
                                                   .name = TUB__DECODE_TIMES,
                                                   .data = d->times,
                                                   .bytes = (size_t)d->count * 2 * sizeof(double)},
                               err));
    }
    TUB__TRY(tub__wire_put(output,
                           &(tub__wire_record){.kind = TUB__WIRE_ARRAY,
                                               .code = TUB__WIRE_I64,
                                               .rank = 1,
                                               .shape = {1},
                                               .name = TUB__DECODE_FRAMES,
                                               .data = &f->frames,
                                               .bytes = sizeof f->frames},
                           err));
    return damage == NULL ? TUB_OK : tub__wire_put_text(output, TUB__DECODE_DAMAGE, damage, err);
}

static tub_status send_clips(const tub__decode_job *job, int output, size_t most, tub_error *err) {
    decoding d = {.job = job, .most = most};
    TUB__TRY(tub__clip_open(&context, job->path, 1, &job->taking.form.window, &d.clip, err));
    TUB__TRY(tub__taking_reader(&context.allocator, &job->taking, d.clip, &d.reader, err));
    TUB__TRY(count(&d, err));
    TUB__TRY(make_room(&d, err));
    TUB__TRY(read_planned(&d, err));
    return send(&d, output, err); /* the process ends now, and with it all that it has */
}

static tub_status run(const char *verb, int input, int output, size_t most, tub_error *err) {
    tub__decode_job job;
    TUB__TRY(read_job(verb, &job, err));
    return job.volumes && is_array(input) ? send_volume(&job, output, most, err)
                                          : send_clips(&job, output, most, err);
}

/* Looked up by name when the module is opened. */
extern __attribute__((visibility("default"))) const tub__worker_module tub__module_table;
const tub__worker_module tub__module_table = {
    .version = TUB__MODULE_VERSION, .run = run, .prepare = prepare};
