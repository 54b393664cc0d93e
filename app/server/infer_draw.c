/* SPDX-License-Identifier: Apache-2.0 */
/* Overlays: the map over the clip, as the bytes of an animated GIF. */
#include <stdlib.h>

#include "gif.h"
#include "no_memory.h"
#include "server.h"

enum {
    SMALL = 256,
    HUNDREDTHS = 12
}; /* small clips are drawn larger, up to so many pixels a side */

/* The clip of a row, as it is to be shown. */
static tub_clip clip_of(const request *r, int64_t row) {
    const tub_model_config *c = r->model->config;
    const size_t at = (size_t)row * r->model->clip;
    const batch_job *job = &r->job;
    tub_clip clip = {.frames = c->frames,
                     .height = c->height,
                     .width = c->width,
                     .channels = c->channels,
                     .dtype = r->levels != NULL ? TUB_U8 : job->dtype};
    const void *samples = r->levels != NULL ? (const void *)(r->levels + at)
                          : job->dtype == TUB_U8
                              ? (const void *)((const unsigned char *)job->clips + at)
                              : (const void *)((const float *)job->clips + at);
    clip.samples = (void *)(uintptr_t)samples;
    return clip;
}

static tub_status encode(tub_context *ctx, const tub_clip *drawn, void **bytes, size_t *size,
                         tub_error *err) {
    const tub_picture picture = {.levels = drawn->samples,
                                 .frames = drawn->frames,
                                 .height = drawn->height,
                                 .width = drawn->width,
                                 .channels = drawn->channels,
                                 .hundredths = HUNDREDTHS};
    return gif_encode(ctx, &picture, bytes, size, err);
}

static tub_status draw_row(request *r, tub_context *ctx, int64_t row, tub_error *err) {
    const tub_clip clip = clip_of(r, row);
    const int64_t side = clip.height > clip.width ? clip.height : clip.width;
    tub_overlay_options o = tub_overlay_options_default();
    tub_clip drawn;
    o.scale = side >= SMALL ? 1 : SMALL / side;
    o.scale = o.scale > 64 ? 64 : o.scale;
    tub_status status = tub_explanation_draw(&r->maps[row], &clip, &o, &drawn, err);
    if (status == TUB_OK) {
        status = encode(ctx, &drawn, &r->gifs[row], &r->gif_sizes[row], err);
        tub_clip_free(&drawn);
    }
    return status;
}

bool infer_draw(request *r, tub_context *ctx, tub_error *err) {
    const size_t rows = (size_t)r->job.rows;
    r->gifs = calloc(rows, sizeof *r->gifs);
    r->gif_sizes = calloc(rows, sizeof *r->gif_sizes);
    if (r->gifs == NULL || r->gif_sizes == NULL) {
        (void)no_memory(err);
        return false;
    }
    for (int64_t i = 0; i < r->job.rows; i++) {
        if (draw_row(r, ctx, i, err) != TUB_OK) {
            return false;
        }
    }
    return true;
}
