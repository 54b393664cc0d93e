/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures resized and cut, byte by byte. */
#include "picture/framing.h"

#include <string.h>

#include "base/error.h"

enum { SIZE_LIMIT = 65536 };

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

/* ---- The crop ---- */

/* Along one axis: the crop's pixels `to` … `to + count` are the picture's from `from` on. */
typedef struct window {
    size_t from, to, count;
} window;

/* Odd differences: the only crop loses one pixel more at the end, padding has one more at the
 * beginning. */
static window window_of(size_t size, size_t crop, tub__crop which) {
    if (crop > size) {
        return (window){0, (crop - size + 1) / 2, size};
    }
    const size_t rest = size - crop;
    return (window){which == TUB__CROP_FIRST    ? 0
                    : which == TUB__CROP_MIDDLE ? (rest + 1) / 2
                    : which == TUB__CROP_LAST   ? rest
                                                : rest / 2,
                    0, crop};
}

/* Three crops move along the longer axis. */
static void windows_of(const size_t size[2], const size_t crop[2], tub__crop which, window out[2]) {
    const int along = size[0] > size[1] ? 0 : 1;
    for (int i = 0; i < 2; i++) {
        out[i] = window_of(size[i], crop[i],
                           which == TUB__CROP_ONLY || i == along ? which : TUB__CROP_MIDDLE);
    }
}

void tub__crop_corner(const size_t size[2], const size_t crop[2], tub__crop which, size_t out[2]) {
    window w[2];
    windows_of(size, crop, which, w);
    out[0] = w[0].from;
    out[1] = w[1].from;
}

/* ---- Frames ---- */

struct tub__framer {
    const tub_allocator *allocator;
    tub__resizer *resizer;  /* NULL: pictures stay as they are */
    unsigned char *resized; /* the picture at hand, where there is a resizer */
    const unsigned char *picture;
    size_t size[2], out[2]; /* after resizing, after the crop */
    size_t pixel;
};

static tub_status prepare(tub__framer *f, const tub__preprocessing *p, const size_t from[2],
                          bool wide, tub_error *err) {
    TUB__TRY(resized(p, from, f->size, err));
    TUB__TRY(tub__preprocessed_size(p, from, f->out, err));
    if (from[0] == f->size[0] && from[1] == f->size[1]) {
        return TUB_OK;
    }
    if (wide) {
        return tub__fail(
            err, TUB_E_SHAPE,
            "frames of float32 values are %zux%zu (height, width) and would have to be "
            "resized to %zux%zu, which only uint8 can be; resample them first",
            from[0], from[1], f->size[0], f->size[1]);
    }
    TUB__TRY(tub__resizer_create(f->allocator, p->filter, p->order, f->pixel, from, f->size,
                                 &f->resizer, err));
    return tub__alloc(f->allocator, f->size[0] * f->size[1] * f->pixel, (void **)&f->resized, err);
}

tub_status tub__framer_create(const tub_allocator *a, const tub__preprocessing *p,
                              const size_t from[2], size_t pixel, bool wide, tub__framer **out,
                              tub_error *err) {
    tub__framer *f;
    TUB__TRY(tub__alloc_array(a, 1, sizeof *f, (void **)&f, err));
    f->allocator = a;
    f->pixel = pixel;
    const tub_status status = prepare(f, p, from, wide, err);
    if (status != TUB_OK) {
        tub__framer_destroy(f);
        return status;
    }
    *out = f;
    return TUB_OK;
}

void tub__framer_destroy(tub__framer *f) {
    if (f != NULL) {
        tub__free(f->allocator, f->resized);
        tub__resizer_destroy(f->resizer);
        tub__free(f->allocator, f);
    }
}

const size_t *tub__framer_size(const tub__framer *f) {
    return f->out;
}

void tub__framer_take(tub__framer *f, const void *picture) {
    f->picture = picture;
    if (f->resizer != NULL) {
        tub__resizer_run(f->resizer, picture, f->resized);
        f->picture = f->resized;
    }
}

/* Zeros go around a picture that is smaller: black, before levels are moved. */
void tub__framer_cut(const tub__framer *f, tub__crop crop, void *out) {
    const size_t row = f->out[1] * f->pixel;
    window w[2];
    windows_of(f->size, f->out, crop, w);
    if (w[0].count < f->out[0] || w[1].count < f->out[1]) {
        memset(out, 0, f->out[0] * row);
    }
    for (size_t i = 0; i < w[0].count; i++) {
        memcpy((unsigned char *)out + (w[0].to + i) * row + w[1].to * f->pixel,
               f->picture + ((w[0].from + i) * f->size[1] + w[1].from) * f->pixel,
               w[1].count * f->pixel);
    }
}
