/* SPDX-License-Identifier: Apache-2.0 */
/* A clip of one file, as it is or as a model takes it. */
#include <stdio.h>
#include <string.h>
#include <tubelet/clip.h>

#include "base/context.h"
#include "base/error.h"
#include "convert/prepare.h"
#include "data/clip_read.h"
#include "predict/clips.h"

enum { FRAMES = 16, SIDE_LIMIT = 65536 };

tub_clip_read_options tub_clip_read_options_default(void) {
    return (tub_clip_read_options){.size = sizeof(tub_clip_read_options), .to = -1};
}

void tub_clip_free(tub_clip *clip) {
    if (clip->owner != NULL) {
        const tub_allocator *a = &clip->owner->allocator;
        tub__free(a, clip->samples);
        tub__free(a, clip->indices);
        tub__free(a, clip->seconds);
        *clip = (tub_clip){0};
    }
}

/* ---- What is to be done ---- */

static tub_status check_options(const tub_clip_read_options *o, tub_error *err) {
    if (o->size != sizeof *o) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "tub_clip_read_options: size is %zu, this library knows %zu bytes; start "
                         "from tub_clip_read_options_default()",
                         o->size, sizeof *o);
    }
    if (o->model != NULL && (o->frames > 0 || o->side > 0)) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "a model has frames of its own: leave their number and size away");
    }
    if (o->model != NULL && o->intensity_window[0] != o->intensity_window[1]) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "a model has an intensity window of its own, or none: leave it away");
    }
    if (o->model == NULL && o->scaled) {
        return tub__fail(err, TUB_E_ARGUMENT, "only a model says how levels are scaled");
    }
    TUB__TRY(tub__in_range("frames", o->frames, 0, TUB__CLIP_FRAMES, err));
    return tub__in_range("side", o->side, 0, SIDE_LIMIT, err);
}

/* Which frames, and what is made of them: with a model as predicting takes them. */
static tub_status settle(const tub_clip_read_options *o, tub__taking *out, tub_error *err) {
    TUB__TRY(check_options(o, err));
    if (o->model != NULL) {
        tub_file_options files = tub_file_options_default();
        files.sampling = o->sampling;
        files.stride = o->stride;
        return tub__taking_of(o->model, &files, out, err);
    }
    *out = (tub__taking){.plan = {.sampling = o->sampling != TUB_SAMPLING_DEFAULT
                                                  ? o->sampling
                                                  : TUB_SAMPLING_UNIFORM,
                                  .frames = o->frames > 0 ? o->frames : FRAMES,
                                  .stride = o->stride},
                         .form.window = {o->intensity_window[0], o->intensity_window[1]}};
    if (o->side > 0) {
        out->form.picture = (tub__preprocessing){.resize = true,
                                                 .crop = true,
                                                 .shortest_edge = o->side,
                                                 .crop_height = o->side,
                                                 .crop_width = o->side,
                                                 .filter = TUB__BILINEAR};
    }
    return tub__frame_plan_check(&out->plan, err);
}

/* ---- Reading ---- */

/* Indices and times of the frames that were read. */
static tub_status note_frames(tub__clip_file *file, const tub__frame_plan *plan,
                              const tub__clip_part *part, tub_clip *out, tub_error *err) {
    const tub_allocator *a = &out->owner->allocator;
    const tub__clip_facts *f = tub__clip_describe(file);
    const int64_t *times = tub__clip_times(file);
    const size_t n = (size_t)plan->frames;
    TUB__TRY(tub__alloc_array(a, n, sizeof *out->indices, (void **)&out->indices, err));
    tub__frames_of_view(plan, part->count, 0, 1, out->indices);
    if (times != NULL && f->time_base_numerator > 0) {
        TUB__TRY(tub__alloc_array(a, n, sizeof *out->seconds, (void **)&out->seconds, err));
    }
    for (size_t i = 0; i < n; i++) {
        out->indices[i] += part->first;
        if (out->seconds != NULL) {
            out->seconds[i] = (double)times[out->indices[i]] * (double)f->time_base_numerator /
                              (double)f->time_base_denominator;
        }
    }
    return TUB_OK;
}

static tub_status read_samples(tub__clip_file *file, tub__clip_reader *reader,
                               const tub__frame_plan *plan, const tub_clip_read_options *o,
                               tub_clip *out, tub_error *err) {
    const tub_allocator *a = &out->owner->allocator;
    int64_t shape[3];
    size_t bytes;
    tub__clip_part part;
    tub__clip_reader_shape(reader, shape);
    out->frames = plan->frames;
    out->height = shape[0];
    out->width = shape[1];
    out->channels = shape[2];
    out->dtype = tub__clip_describe(file)->dtype;
    TUB__TRY(tub__clip_part_of(file, o->from, o->to, &part, err));
    if (!tub__mul(tub__clip_reader_frame_bytes(reader), (size_t)plan->frames, &bytes)) {
        return tub__fail(err, TUB_E_MEMORY, "%lld frames are too many", (long long)plan->frames);
    }
    TUB__TRY(tub__alloc(a, bytes, &out->samples, err));
    TUB__TRY(tub__clip_read_views(reader, plan, &part, 1, out->samples, err));
    out->file_frames = tub__clip_describe(file)->frames;
    return note_frames(file, plan, &part, out, err);
}

/* Levels to what the model's first layer gets. */
static tub_status scale(const tub_model *model, tub_clip *clip, tub_error *err) {
    const tub_allocator *a = &clip->owner->allocator;
    const size_t n = (size_t)(clip->frames * clip->height * clip->width * clip->channels);
    void *floats;
    if (clip->dtype == TUB_F32) {
        return TUB_OK;
    }
    TUB__TRY(tub__alloc_array(a, n, sizeof(float), &floats, err));
    const tub_status status = tub__model_scale(model, 1, clip->samples, floats, err);
    if (status != TUB_OK) {
        tub__free(a, floats);
        return status;
    }
    tub__free(a, clip->samples);
    clip->samples = floats;
    clip->dtype = TUB_F32;
    return TUB_OK;
}

static tub_status read_file(tub__clip_file *file, const tub__taking *taking,
                            const tub_clip_read_options *o, tub_clip *out, tub_error *err) {
    const tub_allocator *a = &out->owner->allocator;
    tub__clip_reader *reader;
    TUB__TRY(o->model != NULL ? tub__taking_reader(a, taking, file, &reader, err)
                              : tub__clip_reader_create(a, file, &taking->form, 1, &reader, err));
    const tub_status status = read_samples(file, reader, &taking->plan, o, out, err);
    tub__clip_reader_destroy(reader);
    return status == TUB_OK && o->scaled ? scale(o->model, out, err) : status;
}

static tub_status open_and_read(const char *path, const tub__taking *taking,
                                const tub_clip_read_options *o, tub_clip *out, tub_error *err) {
    tub__clip_file *file;
    const int threads = tub__pool_threads(out->owner->pool);
    TUB__TRY(tub__clip_open(out->owner, path, threads, &taking->form.window, &file, err));
    const tub_status status = read_file(file, taking, o, out, err);
    if (status == TUB_OK && tub__clip_damage(file) != NULL) {
        snprintf(out->damage, sizeof out->damage, "%s", tub__clip_damage(file));
    }
    tub__clip_close(file);
    return status;
}

tub_status tub_clip_read(tub_context *ctx, const char *path, const tub_clip_read_options *options,
                         tub_clip *out, tub_error *err) {
    const tub_clip_read_options usual = tub_clip_read_options_default();
    const tub_clip_read_options *o = options != NULL ? options : &usual;
    tub__taking taking;
    *out = (tub_clip){.owner = ctx};
    tub_status status = settle(o, &taking, err);
    if (status == TUB_OK) {
        status = open_and_read(path, &taking, o, out, err);
    }
    if (status != TUB_OK) {
        tub_clip_free(out);
        const bool named = err == NULL || strncmp(err->message, path, strlen(path)) == 0;
        if (!named && status != TUB_E_MODULE) { /* what lacks a module is no fault of the file's */
            status = tub__prefix(err, status, "%s", path);
        }
    }
    return status;
}
