/* SPDX-License-Identifier: Apache-2.0 */
/* Which frames of a file a clip is made of. With count below 2^31, at most 2^16 frames in a clip and 2^10
 * views, no product reaches 2^63. */
#include "data/frame_sampling.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/number.h"
#include "base/ratio.h"

/* ---- Names and limits ---- */

static const char *const names[TUB_SAMPLINGS] = {
    [TUB_SAMPLING_DEFAULT] = "uniform",   [TUB_SAMPLING_UNIFORM] = "uniform",
    [TUB_SAMPLING_LINSPACE] = "linspace", [TUB_SAMPLING_STRIDE] = "stride",
    [TUB_SAMPLING_SEGMENTS] = "segments",
};

const char *tub_sampling_name(tub_sampling sampling) {
    return (int)sampling >= 0 && sampling < TUB_SAMPLINGS ? names[sampling] : "unknown";
}

tub_status tub_sampling_parse(const char *text, tub_sampling *out, tub_error *err) {
    for (int i = TUB_SAMPLING_UNIFORM; i < TUB_SAMPLINGS; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (tub_sampling)i;
            return TUB_OK;
        }
    }
    return tub__fail(err, TUB_E_ARGUMENT,
                     "%s is no way of sampling: choose uniform, linspace, stride or segments",
                     text);
}

static bool takes_stride(tub_sampling s) {
    return s == TUB_SAMPLING_STRIDE || s == TUB_SAMPLING_LINSPACE;
}

tub_status tub__frame_plan_check(const tub__frame_plan *plan, tub_error *err) {
    TUB__TRY(tub__in_range("sampling", plan->sampling, 0, TUB_SAMPLINGS - 1, err));
    TUB__TRY(tub__in_range("frames", plan->frames, 1, TUB__CLIP_FRAMES, err));
    TUB__TRY(tub__in_range("stride", plan->stride, 0, TUB__STRIDE_LIMIT, err));
    return plan->stride == 0 || takes_stride(plan->sampling)
               ? TUB_OK
               : tub__fail(err, TUB_E_ARGUMENT,
                           "a stride of %lld has no meaning with sampling %s: choose sampling "
                           "stride or linspace, or leave the stride away",
                           (long long)plan->stride, tub_sampling_name(plan->sampling));
}

/* ---- Places ---- */

static int64_t room(int64_t count, int64_t span) {
    return count > span ? count - span : 0;
}

int64_t tub__place_cut(int64_t count, int64_t span, int64_t view, int64_t views) {
    return views == 1 ? room(count, span) / 2 : view * room(count, span) / (views - 1);
}

int64_t tub__place_rounded(int64_t count, int64_t span, int64_t view, int64_t views) {
    return views == 1 ? room(count, span) / 2
                      : (int64_t)tub__divide_even((uint64_t)(view * room(count, span)),
                                                  (uint64_t)(views - 1));
}

static int64_t stride_of(const tub__frame_plan *plan) {
    return plan->stride > 0 ? plan->stride : 1;
}

/* ---- Frames from a place ---- */

/* Number i of n of numpy.linspace(start, stop, n): its operations, each rounded once, so that the same
 * frame comes out where its result is just below a whole number. */
static int64_t linspace_at(int64_t start, int64_t stop, int64_t i, int64_t n) {
    if (i > 0 && i == n - 1) {
        return stop;
    }
    const double step = n > 1 ? (double)(stop - start) / (double)(n - 1) : 0.0;
    const double product = (double)i * step;
    return (int64_t)(product + (double)start);
}

void tub__frames_linspace(int64_t start, int64_t stop, int64_t last, int64_t frames, int64_t *out) {
    for (int64_t i = 0; i < frames; i++) {
        const int64_t at = linspace_at(start, stop, i, frames);
        out[i] = at < last ? at : last;
    }
}

static void put_linspace(const tub__frame_plan *plan, int64_t count, int64_t place, int64_t *out) {
    const int64_t span = plan->frames * plan->stride;
    const int64_t stop = span < count ? place + span : count;
    tub__frames_linspace(place, stop, stop - 1, plan->frames, out);
}

static void put_stride(const tub__frame_plan *plan, int64_t count, int64_t place, int64_t *out) {
    for (int64_t i = 0; i < plan->frames; i++) {
        out[i] = (place + i * stride_of(plan)) % count;
    }
}

/* ---- Frames over the whole file: number i of n, from 0 ---- */

static int64_t uniform_frame(int64_t count, int64_t i, int64_t n) {
    const int64_t at = (int64_t)tub__divide_even((uint64_t)((i + 1) * count), (uint64_t)(n + 1));
    return at < count ? at : count - 1;
}

static int64_t segment_frame(int64_t count, int64_t i, int64_t n) {
    return (2 * i + 1) * count / (2 * n);
}

static int64_t whole_frame(const tub__frame_plan *plan, int64_t count, int64_t i, int64_t n) {
    switch (plan->sampling) {
    case TUB_SAMPLING_LINSPACE:
        return linspace_at(0, count - 1, i, n);
    case TUB_SAMPLING_SEGMENTS:
        return segment_frame(count, i, n);
    default:
        return uniform_frame(count, i, n);
    }
}

/* All frames that there are, then the last again. */
static bool put_all(const tub__frame_plan *plan, int64_t count, int64_t *out) {
    if (plan->sampling > TUB_SAMPLING_UNIFORM || plan->frames < count) {
        return false;
    }
    for (int64_t i = 0; i < plan->frames; i++) {
        out[i] = i < count ? i : count - 1;
    }
    return true;
}

/* ---- A view, and a random clip ---- */

void tub__frames_of_view(const tub__frame_plan *plan, int64_t count, int64_t view, int64_t views,
                         int64_t *out) {
    const int64_t frames = plan->frames;
    assert(count >= 1 && count <= INT32_MAX && view >= 0 && view < views);
    if (plan->sampling == TUB_SAMPLING_STRIDE) {
        put_stride(plan, count, tub__place_cut(count, frames * stride_of(plan), view, views), out);
    } else if (plan->sampling == TUB_SAMPLING_LINSPACE && plan->stride > 0) {
        put_linspace(plan, count, tub__place_rounded(count, frames * plan->stride, view, views),
                     out);
    } else if (!put_all(plan, count, out)) {
        for (int64_t i = 0; i < frames; i++) {
            out[i] = whole_frame(plan, count, i * views + view, frames * views);
        }
    }
}

static int64_t below(tub__random *r, int64_t n) {
    return (int64_t)tub__random_below(r, (uint32_t)n);
}

void tub__frames_at_random(const tub__frame_plan *plan, int64_t count, tub__random *r,
                           int64_t *out) {
    const int64_t frames = plan->frames;
    assert(count >= 1 && count <= INT32_MAX);
    if (plan->sampling == TUB_SAMPLING_STRIDE) {
        const int64_t span = (frames - 1) * stride_of(plan) + 1;
        put_stride(plan, count, below(r, room(count, span) + 1), out);
    } else if (plan->sampling == TUB_SAMPLING_LINSPACE && plan->stride > 0) {
        put_linspace(plan, count, below(r, room(count, frames * plan->stride) + 1), out);
    } else if (!put_all(plan, count, out)) {
        for (int64_t i = 0; i < frames; i++) {
            const int64_t begin = i * count / frames, end = (i + 1) * count / frames;
            out[i] =
                end > begin ? begin + below(r, end - begin) : whole_frame(plan, count, i, frames);
        }
    }
}

/* ---- Lengths of time ---- */

/* Nanoseconds of one unit; 0: no such unit. */
static int64_t unit_of(const char *text) {
    static const struct {
        const char *name;
        int64_t nanoseconds;
    } units[] = {{"", TUB__NANOSECONDS},
                 {"s", TUB__NANOSECONDS},
                 {"ms", TUB__NANOSECONDS / 1000},
                 {"m", (int64_t)60 * TUB__NANOSECONDS},
                 {"min", (int64_t)60 * TUB__NANOSECONDS},
                 {"h", (int64_t)3600 * TUB__NANOSECONDS}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(text, units[i].name) == 0) {
            return units[i].nanoseconds;
        }
    }
    return 0;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

__extension__ typedef __int128 wide;

tub_status tub_time_parse(const char *text, int64_t *nanoseconds, tub_error *err) {
    const int64_t limit = (int64_t)3652 * 24 * 3600 * TUB__NANOSECONDS;
    const char *at = text;
    int64_t whole = 0, part = 0, scale = 1; /* the number is whole + part / scale */
    for (; is_digit(*at); at++) {
        whole = whole < limit ? whole * 10 + (*at - '0') : whole; /* far enough to be refused */
    }
    bool digits = at != text;
    if (*at == '.') {
        for (at++; is_digit(*at) && scale < TUB__NANOSECONDS; at++, digits = true) {
            part = part * 10 + (*at - '0');
            scale *= 10;
        }
        at += strspn(at, "0"); /* of no value */
    }
    const int64_t unit = unit_of(at);
    if (!digits || unit == 0) {
        return tub__fail(
            err, TUB_E_ARGUMENT,
            "%s is no length of time: write seconds, with at most nine decimals, as in "
            "2s, 2.5 or 500ms",
            text);
    }
    if (whole > limit / unit) {
        return tub__fail(err, TUB_E_RANGE, "%s is more than ten years", text);
    }
    const wide fraction = (wide)part * unit;
    if (fraction % scale != 0) {
        return tub__fail(err, TUB_E_ARGUMENT, "%s is no whole number of nanoseconds", text);
    }
    *nanoseconds = whole * unit + (int64_t)(fraction / scale);
    return TUB_OK;
}
