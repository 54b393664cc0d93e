/* SPDX-License-Identifier: Apache-2.0 */
/* Clips as files: arrays, animations, strips of pictures. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <tubelet/clip.h>

#include "base/context.h"
#include "base/error.h"
#include "base/file.h"
#include "base/module.h"
#include "data/clip_file.h"
#include "formats/npy.h"
#include "picture/levels.h"

enum { PICTURE_LIMIT = 65535, DELAY_LEAST = 2, DELAY_USUAL = 10, DELAY_MOST = 65535 };

static bool ends_with(const char *path, const char *ending) {
    const size_t n = strlen(path), m = strlen(ending);
    return n > m && strcasecmp(path + n - m, ending) == 0;
}

static tub_status write_npy(const tub_clip *clip, const char *path, tub_error *err) {
    const uint64_t shape[] = {(uint64_t)clip->frames, (uint64_t)clip->height, (uint64_t)clip->width,
                              (uint64_t)clip->channels};
    return tub__npy_write(&clip->owner->allocator, path, clip->dtype == TUB_U8 ? "|u1" : "<f4", 4,
                          shape, clip->samples, err);
}

/* ---- Pictures ---- */

static void show_floats(const float *v, size_t n, unsigned char *out) {
    const tub__levels levels = tub__levels_of(v, n);
    for (size_t i = 0; i < n; i++) {
        out[i] = (unsigned char)(tub__level(&levels, (double)v[i]) + 0.5);
    }
}

/* [T,H,W,C] to [H,T*W,C]. */
static void lay_side_by_side(const tub_clip *clip, const unsigned char *levels,
                             unsigned char *out) {
    const size_t row = (size_t)(clip->width * clip->channels);
    for (int64_t t = 0; t < clip->frames; t++) {
        for (int64_t y = 0; y < clip->height; y++) {
            memcpy(out + (size_t)(y * clip->frames + t) * row,
                   levels + (size_t)(t * clip->height + y) * row, row);
        }
    }
}

/* How long a frame is shown: as far as the frames are apart on average. */
static int delay(const tub_clip *clip) {
    const int64_t n = clip->frames;
    if (clip->seconds == NULL || n < 2) {
        return DELAY_USUAL;
    }
    const double apart = (clip->seconds[n - 1] - clip->seconds[0]) / (double)(n - 1) * 100;
    return apart <= DELAY_LEAST ? DELAY_LEAST
           : apart > DELAY_MOST ? DELAY_MOST
                                : (int)(apart + 0.5);
}

static tub_status encode(const tub_clip *clip, const tub__video_picture *picture, bool gif,
                         const char *path, tub_error *err) {
    const void *table;
    void *bytes;
    size_t size;
    TUB__TRY(tub__module_open(clip->owner, "video", &table, err));
    const tub__video_module *module = table;
    TUB__TRY(module->encode(picture, gif, &bytes, &size, err));
    const tub_status status = tub__file_write(&clip->owner->allocator, path, bytes, size, err);
    module->release(bytes);
    return status;
}

/* levels: room for two clips of bytes, the second for the strip. */
static tub_status write_levels(const tub_clip *clip, bool gif, unsigned char *room,
                               const char *path, tub_error *err) {
    const size_t n = (size_t)(clip->frames * clip->height * clip->width * clip->channels);
    const unsigned char *levels = clip->samples;
    tub__video_picture p = {.frames = clip->frames,
                            .height = clip->height,
                            .width = clip->width,
                            .channels = clip->channels,
                            .hundredths = delay(clip)};
    if (clip->dtype == TUB_F32) {
        show_floats(clip->samples, n, room);
        levels = room;
    }
    p.levels = levels;
    if (!gif) {
        lay_side_by_side(clip, levels, room + n);
        p.levels = room + n;
        p.width *= p.frames;
        p.frames = 1;
    }
    return encode(clip, &p, gif, path, err);
}

static tub_status write_picture(const tub_clip *clip, const char *path, tub_error *err) {
    const tub_allocator *a = &clip->owner->allocator;
    const bool gif = ends_with(path, ".gif");
    const int64_t width = gif ? clip->width : clip->width * clip->frames;
    const size_t n = (size_t)(clip->frames * clip->height * clip->width * clip->channels);
    unsigned char *room;
    if (clip->channels != 1 && clip->channels != 3) {
        return tub__fail(err, TUB_E_SHAPE,
                         "%s: frames of %lld channels; a picture has 1 or 3, a .npy any", path,
                         (long long)clip->channels);
    }
    if (width > PICTURE_LIMIT || clip->height > PICTURE_LIMIT) {
        return tub__fail(
            err, TUB_E_RANGE,
            "%s: a picture of %lldx%lld pixels; at most %d along a side: take fewer or "
            "smaller frames",
            path, (long long)width, (long long)clip->height, PICTURE_LIMIT);
    }
    TUB__TRY(tub__alloc_array(a, n, 2, (void **)&room, err));
    const tub_status status = write_levels(clip, gif, room, path, err);
    tub__free(a, room);
    return status;
}

tub_status tub_clip_write(const tub_clip *clip, const char *path, tub_error *err) {
    if (ends_with(path, ".npy")) {
        return write_npy(clip, path, err);
    }
    if (ends_with(path, ".gif") || ends_with(path, ".png")) {
        return write_picture(clip, path, err);
    }
    return tub__fail(err, TUB_E_ARGUMENT, "%s: a clip is written as .npy, .gif or .png", path);
}

/* ---- All frames ---- */

/* The frames one after another; *written: how many there were. */
static tub_status write_frames(tub__clip_file *file, tub__writer *w, int64_t *written,
                               tub_error *err) {
    const tub__clip_facts *f = tub__clip_describe(file);
    const size_t size =
        (size_t)(f->height * f->width * f->channels) * (f->dtype == TUB_U8 ? 1 : sizeof(float));
    const int64_t count = f->frames;
    for (*written = 0; *written < count; ++*written) {
        tub__clip_frame frame;
        bool end = false;
        TUB__TRY(tub__clip_next(file, &frame, &end, err));
        if (end) {
            return TUB_OK;
        }
        TUB__TRY(tub__writer_write(w, frame.samples, size, err));
    }
    return TUB_OK;
}

static tub_status write_counted(tub_context *ctx, tub__clip_file *file, const char *npy,
                                int64_t count, int64_t *written, tub_error *err) {
    const tub__clip_facts *f = tub__clip_describe(file);
    const uint64_t shape[] = {(uint64_t)count, (uint64_t)f->height, (uint64_t)f->width,
                              (uint64_t)f->channels};
    tub__writer w;
    TUB__TRY(tub__npy_begin(&ctx->allocator, npy, f->dtype == TUB_U8 ? "|u1" : "<f4", 4, shape, &w,
                            err));
    const tub_status status = write_frames(file, &w, written, err);
    if (status != TUB_OK || *written != count) {
        tub__writer_abort(&w);
        return status;
    }
    return tub__writer_commit(&w, err);
}

/* A damaged file may have fewer frames than its packets told: then the number is that of the
 * frames. */
static tub_status write_file(tub_context *ctx, tub__clip_file *file, const char *npy,
                             int64_t *frames, tub_error *err) {
    int64_t written = -1;
    TUB__TRY(tub__clip_count(file, err));
    *frames = tub__clip_describe(file)->frames;
    for (int i = 0; i < 2 && written != *frames; i++) {
        *frames = written >= 0 ? written : *frames;
        TUB__TRY(tub__clip_seek(file, 0, err));
        TUB__TRY(write_counted(ctx, file, npy, *frames, &written, err));
    }
    return written == *frames && written > 0
               ? TUB_OK
               : tub__fail(err, TUB_E_FORMAT,
                           "reading gives other frames each time; it is damaged");
}

tub_status tub_clip_write_all(tub_context *ctx, const char *path, const char *npy, int64_t shape[4],
                              char *damage, tub_error *err) {
    tub__clip_file *file;
    int64_t frames = 0;
    if (!ends_with(npy, ".npy")) {
        return tub__fail(err, TUB_E_ARGUMENT, "%s: all frames of a file are written as .npy", npy);
    }
    TUB__TRY(tub__clip_open(ctx, path, tub__pool_threads(ctx->pool), NULL, &file, err));
    tub_status status = write_file(ctx, file, npy, &frames, err);
    if (status == TUB_OK && shape != NULL) {
        const tub__clip_facts *f = tub__clip_describe(file);
        shape[0] = frames;
        shape[1] = f->height;
        shape[2] = f->width;
        shape[3] = f->channels;
    }
    if (status == TUB_OK && damage != NULL) {
        const char *said = tub__clip_damage(file);
        snprintf(damage, TUB_CLIP_DAMAGE_LENGTH, "%s", said != NULL ? said : "");
    }
    tub__clip_close(file);
    return status;
}
