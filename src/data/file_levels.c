/* SPDX-License-Identifier: Apache-2.0 */
/* What the values of arrays and volumes in files say of a mistake: intensities that nobody scaled, a window beside
 * them, masks of 0 and 1. */
#include "base/error.h"
#include "data/file_set.h"

static void extremes(const tub__clip_facts *f, const void *samples, float *low, float *high) {
    const size_t n = (size_t)(f->height * f->width * f->channels);
    const unsigned char *levels = samples;
    const float *values = samples;
    for (size_t i = 0; i < n; i++) {
        const float v = f->dtype == TUB_U8 ? (float)levels[i] : values[i];
        *low = i == 0 || v < *low ? v : *low;
        *high = i == 0 || v > *high ? v : *high;
    }
}

/* Of the middle frame, which shows more than the first. Films are taken to be what cameras make. */
tub_status tub__item_measure(tub__item_facts *facts, tub__clip_file *clip, tub_error *err) {
    const tub__clip_facts *f = tub__clip_describe(clip);
    tub__clip_frame frame;
    bool end = false;
    facts->windowed = f->windowed;
    facts->measured = f->kind == TUB__CLIP_ARRAY || f->kind == TUB__CLIP_VOLUME;
    if (!facts->measured) {
        return TUB_OK;
    }
    TUB__TRY(tub__clip_seek(clip, facts->first + facts->frames / 2, err));
    TUB__TRY(tub__clip_next(clip, &frame, &end, err));
    extremes(f, frame.samples, &facts->low, &facts->high);
    return TUB_OK;
}

typedef struct range {
    float low, high;
    size_t files, first;
} range;

static bool is_one(const tub__file_entry *e, bool windowed, tub_dtype dtype) {
    const tub__item_facts *facts = &e->facts;
    return facts->measured && e->problem == NULL && (facts->windowed != 0) == windowed &&
           facts->dtype == dtype;
}

static range range_of(const tub__file_set *set, bool windowed, tub_dtype dtype) {
    range r = {0};
    for (size_t i = 0; i < set->list.count; i++) {
        const tub__file_entry *e = &set->entries[i];
        if (is_one(e, windowed, dtype)) {
            r.first = r.files == 0 ? i : r.first;
            r.low = r.files == 0 || e->facts.low < r.low ? e->facts.low : r.low;
            r.high = r.files == 0 || e->facts.high > r.high ? e->facts.high : r.high;
            r.files++;
        }
    }
    return r;
}

void tub__file_set_tell_levels(const tub__file_set *set, const char *name) {
    const range floats = range_of(set, false, TUB_F32), masks = range_of(set, false, TUB_U8),
                seen = range_of(set, true, TUB_U8);
    if (floats.files > 0 && (floats.low < -TUB__FAR || floats.high > TUB__FAR)) {
        tub__log_line(set->ctx, TUB_LOG_WARNING,
                      "%s: floats reach the model as they are, and %zu file%s %g to %g (the first, "
                      "%.200s); a clip.intensity_window makes levels of them, as -160,240 of CT",
                      name, floats.files, floats.files == 1 ? " has" : "s have", (double)floats.low,
                      (double)floats.high, set->list.items[floats.first].name);
    }
    if (masks.files > 0 && masks.high > 0 && masks.high < TUB__FAR) {
        tub__log_line(
            set->ctx, TUB_LOG_WARNING,
            "%s: the largest level of its arrays is %g, and levels are divided by 255, so "
            "that the model sees almost nothing; stretch them to 0 to 255, or store floats",
            name, (double)masks.high);
    }
    if (seen.files > 0 && seen.high - seen.low < TUB__FAR) {
        tub__log_line(
            set->ctx, TUB_LOG_WARNING,
            "%s: levels of %g to %g are all that clip.intensity_window %g,%g makes of its "
            "intensities, so that the model sees almost nothing; give the least and the largest "
            "that matter",
            name, (double)seen.low, (double)seen.high, set->clip.intensity_window[0],
            set->clip.intensity_window[1]);
    }
}
