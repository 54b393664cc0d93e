/* SPDX-License-Identifier: Apache-2.0 */
/* A map drawn over its clip: frames, or slices of a volume. */
#include "base/context.h"
#include "base/error.h"
#include "explain/viridis.h"
#include "picture/levels.h"
#include <math.h>
#include <stdbool.h>
#include <tubelet/explain.h>

enum { AXES = 3, COLOURS = 3, SCALE_LIMIT = 64 };

tub_overlay_options tub_overlay_options_default(void) {
    return (tub_overlay_options){.size = sizeof(tub_overlay_options), .strength = 0.75, .scale = 1};
}

typedef struct drawing {
    const tub_explanation *e;
    const tub_clip *clip;
    tub_overlay_options options;
    int64_t sides[AXES];
    tub__levels levels; /* of the clip's floats */
    double largest;     /* of the map, above zero */
    tub_clip *out;
} drawing;

/* ---- the clip's colours ---- */

static double level(const drawing *d, size_t i) {
    return d->clip->dtype == TUB_U8
               ? (double)((const unsigned char *)d->clip->samples)[i]
               : tub__level(&d->levels, (double)((const float *)d->clip->samples)[i]);
}

/* Of more channels than one but three the first is shown. */
static void colour(const drawing *d, size_t voxel, double rgb[COLOURS]) {
    const size_t channels = (size_t)d->clip->channels;
    for (size_t c = 0; c < COLOURS; c++) {
        rgb[c] = level(d, voxel * channels + (channels == COLOURS ? c : 0));
    }
}

/* The map's colour over the voxel's brightness (ITU-R 601, as Pillow's L): none where the map is
 * zero. */
static void overlay(const drawing *d, size_t voxel, double rgb[COLOURS]) {
    const double value =
        d->largest > 0 && d->e->map[voxel] > 0 ? (double)d->e->map[voxel] / d->largest : 0;
    const double share = d->options.strength * value;
    double over[COLOURS];
    colour(d, voxel, rgb);
    const double gray = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
    tub__viridis(value, over);
    for (int c = 0; c < COLOURS; c++) {
        rgb[c] = (1 - share) * gray + share * over[c];
    }
}

/* ---- slices ---- */

/* The axes that a slice's rows and columns run along. */
static void axes_of(int across, int *rows, int *columns) {
    *rows = across == 0 ? 1 : 0;
    *columns = across == 2 ? 1 : 2;
}

static size_t voxel_of(const drawing *d, int64_t slice, int64_t row, int64_t column) {
    int rows, columns;
    int64_t at[AXES];
    axes_of(d->options.axis, &rows, &columns);
    at[d->options.axis] = slice, at[rows] = row, at[columns] = column;
    return (size_t)((at[0] * d->sides[1] + at[1]) * d->sides[2] + at[2]);
}

/* rows: of the slice, in pixels. */
static void draw_slice(const drawing *d, int64_t slice, int64_t rows, unsigned char *out) {
    const int64_t scale = d->options.scale;
    for (int64_t r = 0; r < d->out->height; r++) {
        for (int64_t c = 0; c < d->out->width; c++) {
            const bool bare = d->options.bare && r < rows;
            const size_t voxel = voxel_of(d, slice, r % rows / scale, c / scale);
            double rgb[COLOURS];
            (bare ? colour : overlay)(d, voxel, rgb);
            for (int i = 0; i < COLOURS; i++) {
                *out++ = (unsigned char)(rgb[i] + 0.5);
            }
        }
    }
}

static tub_status take(drawing *d, int64_t slices, int64_t rows, int64_t columns, tub_error *err) {
    const tub_allocator *a = &d->e->owner->allocator;
    tub_clip *out = d->out;
    *out = (tub_clip){.owner = d->e->owner,
                      .frames = slices,
                      .height = d->options.bare ? 2 * rows : rows,
                      .width = columns,
                      .channels = COLOURS,
                      .dtype = TUB_U8,
                      .file_frames = d->sides[d->options.axis]};
    TUB__TRY(tub__alloc_array(a, (size_t)slices, (size_t)(out->height * columns * COLOURS),
                              &out->samples, err));
    TUB__TRY(
        tub__alloc_array(a, (size_t)slices, sizeof *out->indices, (void **)&out->indices, err));
    if (d->options.axis == 0 && d->clip->seconds != NULL) {
        TUB__TRY(
            tub__alloc_array(a, (size_t)slices, sizeof *out->seconds, (void **)&out->seconds, err));
    }
    return TUB_OK;
}

static tub_status draw(drawing *d, tub_error *err) {
    int rows, columns;
    axes_of(d->options.axis, &rows, &columns);
    const int64_t all = d->sides[d->options.axis], most = d->options.most,
                  count = most == 0 || most > all ? all : most;
    const int64_t high = d->sides[rows] * d->options.scale,
                  wide = d->sides[columns] * d->options.scale;
    TUB__TRY(take(d, count, high, wide, err));
    const size_t size = (size_t)(d->out->height * d->out->width * COLOURS);
    for (int64_t i = 0; i < count; i++) {
        const int64_t slice = (int64_t)tub__frame_shown((size_t)i, (size_t)count, (size_t)all);
        d->out->indices[i] = slice;
        if (d->out->seconds != NULL) {
            d->out->seconds[i] = d->clip->seconds[slice];
        }
        draw_slice(d, slice, high, (unsigned char *)d->out->samples + (size_t)i * size);
    }
    return TUB_OK;
}

static tub_status check(const drawing *d, tub_error *err) {
    const tub_explanation *e = d->e;
    const tub_clip *c = d->clip;
    if (c->frames != e->frames || c->height != e->height || c->width != e->width) {
        return tub__fail(
            err, TUB_E_SHAPE,
            "a clip of %lldx%lldx%lld voxels and a map of %lldx%lldx%lld: they must be "
            "of one size",
            (long long)c->frames, (long long)c->height, (long long)c->width, (long long)e->frames,
            (long long)e->height, (long long)e->width);
    }
    TUB__TRY(tub__check_size("tub_overlay_options", d->options.size, sizeof d->options, err));
    if (!(d->options.strength >= 0 && d->options.strength <= 1)) {
        return tub__fail(err, TUB_E_RANGE, "strength is %g; it must be from 0 to 1",
                         d->options.strength);
    }
    TUB__TRY(tub__in_range("axis", d->options.axis, 0, AXES - 1, err));
    TUB__TRY(tub__in_range("scale", d->options.scale, 1, SCALE_LIMIT, err));
    return tub__in_range("most", d->options.most, 0, INT64_MAX, err);
}

static tub_status find_largest(drawing *d, tub_error *err) {
    const float *map = d->e->map;
    for (size_t i = 0; i < (size_t)(d->sides[0] * d->sides[1] * d->sides[2]); i++) {
        if (!isfinite(map[i])) {
            return tub__fail(err, TUB_E_NUMERIC, "value %zu of the map is no finite number", i);
        }
        d->largest = (double)map[i] > d->largest ? (double)map[i] : d->largest;
    }
    return TUB_OK;
}

tub_status tub_explanation_draw(const tub_explanation *e, const tub_clip *clip,
                                const tub_overlay_options *options, tub_clip *out, tub_error *err) {
    drawing d = {.e = e,
                 .clip = clip,
                 .options = options != NULL ? *options : tub_overlay_options_default(),
                 .sides = {e->frames, e->height, e->width},
                 .out = out};
    *out = (tub_clip){0};
    TUB__TRY(check(&d, err));
    TUB__TRY(find_largest(&d, err));
    if (clip->dtype == TUB_F32) {
        d.levels = tub__levels_of(clip->samples,
                                  (size_t)(e->frames * e->height * e->width * clip->channels));
    }
    const tub_status status = draw(&d, err);
    if (status != TUB_OK) {
        tub_clip_free(out);
    }
    return status;
}
