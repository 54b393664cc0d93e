/* SPDX-License-Identifier: Apache-2.0 */
/* Frames to a model's input. Everything up to the crop is whole levels, so the numbers behind it are
 * 256 for each channel, in a table. */
#include "picture/preprocess.h"

#include <string.h>

#include "base/error.h"
#include "base/fpenv.h"

enum { SIZE_LIMIT = 65536, LEVELS = 256 };

/* ---- Sizes ---- */

static tub_status check_size(const char *what, const size_t size[2], tub_error *err) {
    for (int i = 0; i < 2; i++) {
        if (size[i] < 1 || size[i] > SIZE_LIMIT) {
            return tub__fail(err, TUB_E_RANGE, "%s has %s %zu; it must be from 1 to %d", what,
                             i == 0 ? "height" : "width", size[i], SIZE_LIMIT);
        }
    }
    return TUB_OK;
}

/* The long side is cut down to whole pixels, not rounded. */
static tub_status resized(const tub__preprocessing *p, const size_t from[2], size_t to[2],
                          tub_error *err) {
    TUB__TRY(check_size("the picture", from, err));
    memcpy(to, from, 2 * sizeof *to);
    if (p->resize && p->shortest_edge > 0) {
        const size_t edge = (size_t)p->shortest_edge;
        const int short_side = from[0] < from[1] ? 0 : 1;
        to[1 - short_side] = edge * from[1 - short_side] / from[short_side];
        to[short_side] = edge;
    } else if (p->resize) {
        to[0] = (size_t)p->height;
        to[1] = (size_t)p->width;
    }
    return check_size("the resized picture", to, err);
}

tub_status tub__preprocessed_size(const tub__preprocessing *p, const size_t from[2], size_t out[2],
                                  tub_error *err) {
    TUB__TRY(resized(p, from, out, err));
    if (p->crop) {
        out[0] = (size_t)p->crop_height;
        out[1] = (size_t)p->crop_width;
    }
    return check_size("the crop", out, err);
}

/* ---- Levels ---- */

/* What transformers computes of a level: rescaled in float64 and rounded, the rest in float32. */
static float value_of(const tub__preprocessing *p, int level, size_t channel) {
    const size_t c = p->channels == 1 ? 0 : channel;
    float x = (float)level;
    if (p->rescale) {
        x = p->multiply ? x * (float)p->factor : (float)((double)level * p->factor);
        x = p->offset ? x - 1.0f : x;
    }
    return p->normalize ? (x - p->mean[c]) / p->deviation[c] : x;
}

void tub__preprocessed_range(const tub__preprocessing *p, float *low, float *high) {
    *low = *high = value_of(p, 0, 0);
    for (int c = 0; c < p->channels; c++) {
        const float ends[2] = {value_of(p, 0, (size_t)c), value_of(p, LEVELS - 1, (size_t)c)};
        for (int i = 0; i < 2; i++) {
            *low = ends[i] < *low ? ends[i] : *low;
            *high = ends[i] > *high ? ends[i] : *high;
        }
    }
}

bool tub__preprocessed_finite(const tub__preprocessing *p) {
    const int levels[] = {0, LEVELS - 1}; /* the others lie between */
    for (int c = 0; c < p->channels; c++) {
        for (int i = 0; i < 2; i++) {
            const float x = value_of(p, levels[i], (size_t)c);
            if (x - x != 0.0f) {
                return false;
            }
        }
    }
    return true;
}

typedef struct levels {
    float value[TUB__PREPROCESS_CHANNELS][LEVELS];
} levels;

static tub_status fill_levels(const tub__preprocessing *p, size_t channels, levels *out,
                              tub_error *err) {
    if (channels < 1 || channels > TUB__PREPROCESS_CHANNELS) {
        return tub__fail(err, TUB_E_SHAPE, "pictures have %zu channels; up to %d can be prepared",
                         channels, TUB__PREPROCESS_CHANNELS);
    }
    if (p->normalize && p->channels != 1 && (size_t)p->channels != channels) {
        return tub__fail(err, TUB_E_SHAPE,
                         "pictures have %zu channels; image_mean and image_std have %d", channels,
                         p->channels);
    }
    const tub__fpenv saved = tub__fpenv_enter();
    for (size_t c = 0; c < channels; c++) {
        for (int i = 0; i < LEVELS; i++) {
            out->value[c][i] = value_of(p, i, c);
        }
    }
    tub__fpenv_leave(saved);
    return TUB_OK;
}

/* ---- The crop ---- */

/* Along one axis: the crop's pixels `to` … `to + count` are the picture's from `from` on. */
typedef struct window {
    size_t from, to, count;
} window;

/* Odd differences: a crop loses one pixel more at the end, padding has one more at the beginning. */
static window centre(size_t size, size_t crop) {
    return crop <= size ? (window){(size - crop) / 2, 0, crop}
                        : (window){0, (crop - size + 1) / 2, size};
}

static void put_row(const levels *l, size_t channels, const unsigned char *in, size_t pixels,
                    float *out) {
    for (size_t i = 0; i < pixels; i++) {
        for (size_t c = 0; c < channels; c++) {
            out[i * channels + c] = l->value[c][in[i * channels + c]];
        }
    }
}

/* Padding is black before it is rescaled: level 0. */
static void put_black(const levels *l, size_t channels, size_t pixels, float *out) {
    for (size_t i = 0; i < pixels; i++) {
        for (size_t c = 0; c < channels; c++) {
            out[i * channels + c] = l->value[c][0];
        }
    }
}

static void put_frame(const levels *l, size_t channels, const unsigned char *in,
                      const size_t size[2], float *out, const size_t crop[2]) {
    const window rows = centre(size[0], crop[0]), columns = centre(size[1], crop[1]);
    const size_t behind = crop[1] - columns.to - columns.count;
    put_black(l, channels, rows.to * crop[1], out);
    for (size_t i = 0; i < rows.count; i++) {
        float *row = out + (rows.to + i) * crop[1] * channels;
        put_black(l, channels, columns.to, row);
        put_row(l, channels, in + ((rows.from + i) * size[1] + columns.from) * channels,
                columns.count, row + columns.to * channels);
        put_black(l, channels, behind, row + (columns.to + columns.count) * channels);
    }
    const size_t done = rows.to + rows.count;
    put_black(l, channels, (crop[0] - done) * crop[1], out + done * crop[1] * channels);
}

/* ---- All of it ---- */

static void run(const levels *l, tub__resizer *resizer, unsigned char *picture, size_t frames,
                const size_t from[2], const size_t size[2], const size_t crop[2], size_t channels,
                const unsigned char *in, float *out) {
    for (size_t t = 0; t < frames; t++) {
        const unsigned char *frame = in + t * from[0] * from[1] * channels;
        if (resizer != NULL) {
            tub__resizer_run(resizer, frame, picture);
            frame = picture;
        }
        put_frame(l, channels, frame, size, out + t * crop[0] * crop[1] * channels, crop);
    }
}

tub_status tub__preprocess(const tub_allocator *a, const tub__preprocessing *p, size_t frames,
                           const size_t from[2], size_t channels, const unsigned char *in,
                           float *out, tub_error *err) {
    size_t size[2], crop[2];
    levels l;
    tub__resizer *resizer = NULL;
    unsigned char *picture = NULL;
    TUB__TRY(fill_levels(p, channels, &l, err));
    TUB__TRY(resized(p, from, size, err));
    TUB__TRY(tub__preprocessed_size(p, from, crop, err));
    tub_status status = TUB_OK;
    if (p->resize) {
        status = tub__resizer_create(a, p->filter, p->order, channels, from, size, &resizer, err);
    }
    if (p->resize && status == TUB_OK) {
        status = tub__alloc(a, size[0] * size[1] * channels, (void **)&picture, err);
    }
    if (status == TUB_OK) {
        run(&l, resizer, picture, frames, from, size, crop, channels, in, out);
    }
    tub__free(a, picture);
    tub__resizer_destroy(resizer);
    return status;
}
