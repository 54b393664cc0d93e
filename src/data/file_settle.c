/* SPDX-License-Identifier: Apache-2.0 */
/* What the clips of a set of files are: sizes, channels and type, by the options and by what most files
 * are. A file that does not fit is left out, with the reason. */
#include "base/error.h"
#include "data/clip_read.h"
#include "data/file_set.h"
#include <inttypes.h>

/* Channels that an item's clips have. */
static int64_t channels_of(const tub__file_set *set, const tub__item_facts *facts) {
    return set->clip.gray && facts->dtype == TUB_U8 && facts->channels == 3 ? 1 : facts->channels;
}

static bool of_one_kind(const tub__file_set *set, const tub__item_facts *a,
                        const tub__item_facts *b) {
    return a->dtype == b->dtype && channels_of(set, a) == channels_of(set, b);
}

/* The item of which most are the kind, the first of them; NULL: none can be read. Kinds are few. */
static const tub__item_facts *most_common(const tub__file_set *set) {
    enum { KINDS = 16 };
    const tub__item_facts *kind[KINDS] = {0};
    size_t count[KINDS] = {0}, kinds = 0, best = 0;
    for (size_t i = 0; i < set->list.count; i++) {
        const tub__file_entry *e = &set->entries[i];
        size_t k = 0;
        if (e->problem != NULL) {
            continue;
        }
        while (k < kinds && !of_one_kind(set, kind[k], &e->facts)) {
            k++;
        }
        if (k < KINDS) {
            kinds += k == kinds;
            kind[k] = kind[k] != NULL ? kind[k] : &e->facts;
            count[k]++;
            best = count[k] > count[best] ? k : best;
        }
    }
    return kind[best];
}

/* Whether all are arrays or volumes of one size, which then is the clips'. */
static bool have_one_size(const tub__file_set *set, const tub__item_facts *first) {
    for (size_t i = 0; i < set->list.count; i++) {
        const tub__item_facts *facts = &set->entries[i].facts;
        const bool array = facts->kind == TUB__CLIP_ARRAY || facts->kind == TUB__CLIP_VOLUME;
        if (set->entries[i].problem == NULL &&
            (!array || facts->frames != first->frames || facts->height != first->height ||
             facts->width != first->width)) {
            return false;
        }
    }
    return true;
}

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int64_t or_else(int64_t given, int64_t otherwise) {
    return given != 0 ? given : otherwise;
}

static tub_status fill_options(tub__file_set *set, const tub__item_facts *first, const char *name,
                               tub_error *err) {
    tub_clip_options *c = &set->clip;
    const bool one_size = have_one_size(set, first);
    c->frames = or_else(c->frames, one_size ? first->frames : TUB__CLIP_FRAMES_DEFAULT);
    c->height = or_else(c->height, one_size ? first->height : TUB__CLIP_SIDE_DEFAULT);
    c->width = or_else(c->width, one_size ? first->width : TUB__CLIP_SIDE_DEFAULT);
    c->sampling = c->sampling == TUB_SAMPLING_DEFAULT ? TUB_SAMPLING_UNIFORM : c->sampling;
    c->max_frames = larger(or_else(c->max_frames, TUB__CLIP_KEPT_DEFAULT), c->frames);
    TUB__TRY(tub__in_range("clip frames", c->frames, 1, TUB__CLIP_FRAMES, err));
    TUB__TRY(tub__in_range("clip height", c->height, 1, 65536, err));
    TUB__TRY(tub__in_range("clip width", c->width, 1, 65536, err));
    TUB__TRY(tub__in_range("clip.max_frames", c->max_frames, 1, TUB__CLIP_FRAMES, err));
    const tub__frame_plan plan = {c->sampling, c->frames, c->stride};
    TUB__TRY(tub__frame_plan_check(&plan, err));
    if (set->picture_given) {
        return TUB_OK;
    }
    const int64_t side = larger(c->height, c->width);
    if (c->resize != 0 && (c->resize < side || c->resize > 65536)) {
        return tub__fail(err, TUB_E_RANGE,
                         "%s: clip.resize %" PRId64 " is the frames' short side, and a crop of "
                         "%" PRId64 " x %" PRId64 " needs %" PRId64 " or more",
                         name, c->resize, c->height, c->width, side);
    }
    const bool as_they_are = one_size && first->height == c->height && first->width == c->width;
    c->resize = c->resize == 0 && !as_they_are && first->dtype == TUB_U8 ? side : c->resize;
    set->picture = tub__clip_picture(c, true);
    return TUB_OK;
}

/* Whether clips can be made of an item; the reason where not. */
static tub_status check_item(const tub__file_set *set, const tub__item_facts *first,
                             const tub__item_facts *facts, tub_error *why) {
    const size_t from[2] = {(size_t)facts->height, (size_t)facts->width};
    const bool wide = facts->dtype != TUB_U8;
    tub__framer *framer = NULL;
    if (!of_one_kind(set, facts, first)) {
        return tub__fail(why, TUB_E_SHAPE,
                         "it has %" PRId64 " channels of %s, most others %" PRId64 " of %s",
                         channels_of(set, facts), wide ? "float32" : "uint8", set->channels,
                         set->dtype == TUB_U8 ? "uint8" : "float32");
    }
    if (wide && (facts->height != set->clip.height || facts->width != set->clip.width)) {
        return tub__fail(why, TUB_E_SHAPE,
                         "its frames of %" PRId64 " x %" PRId64 " are float32, which are never "
                         "resized, and clips are of %" PRId64 " x %" PRId64
                         "; a clip.intensity_window makes levels of them, which are resized, or "
                         "resample all to one size",
                         facts->height, facts->width, set->clip.height, set->clip.width);
    }
    TUB__TRY(tub__framer_create(&set->ctx->allocator, &set->picture, from, (size_t)set->channels,
                                wide, &framer, why));
    const int64_t height = (int64_t)tub__framer_size(framer)[0],
                  width = (int64_t)tub__framer_size(framer)[1];
    tub__framer_destroy(framer);
    return height == set->clip.height && width == set->clip.width
               ? TUB_OK
               : tub__fail(why, TUB_E_SHAPE,
                           "its frames come out as %" PRId64 " x %" PRId64 ", clips are of %" PRId64
                           " x %" PRId64,
                           height, width, set->clip.height, set->clip.width);
}

tub_status tub__file_set_settle(tub__file_set *set, const char *name, tub_error *err) {
    const tub__item_facts *first = most_common(set);
    if (first == NULL) { /* the caller tells it */
        return TUB_OK;
    }
    set->channels = channels_of(set, first);
    set->dtype = first->dtype;
    TUB__TRY(fill_options(set, first, name, err));
    for (size_t i = 0; i < set->list.count; i++) {
        tub__file_entry *e = &set->entries[i];
        tub_error why = {0};
        const tub_status status =
            e->problem == NULL ? check_item(set, first, &e->facts, &why) : TUB_OK;
        if (status == TUB_E_MEMORY) {
            return tub__fail(err, status, "%s", why.message);
        }
        if (status != TUB_OK) {
            TUB__TRY(tub__alloc_string(&set->ctx->allocator, why.message, &e->problem, err));
        }
    }
    return TUB_OK;
}
