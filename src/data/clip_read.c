/* SPDX-License-Identifier: Apache-2.0 */
/* From a file to clips of one size. */
#include "data/clip_read.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/ratio.h"

/* ---- Parts by time ---- */

/* How many of the times are before one. */
static int64_t times_before(const tub__clip_facts *f, const int64_t *times, int64_t nanoseconds) {
    int64_t low = 0, high = f->frames;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (tub__compare_times(times[middle], f->time_base_numerator, f->time_base_denominator,
                               nanoseconds) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* A frame's time says when it begins. The last is taken to last as long as the one before it; a single
 * one, and where the two differ by a rounding of times, as long as the rate says. */
int64_t tub__clip_length(const tub__clip_facts *f, const int64_t *times) {
    const int64_t last = f->frames - 1;
    int64_t frame = last > 0 ? times[last] - times[last - 1] : 0, rated = 0;
    if (f->rate_numerator > 0) {
        rated = f->rate_denominator * f->time_base_denominator /
                (f->rate_numerator * f->time_base_numerator);
    }
    if (last == 0 || frame == rated + 1) {
        frame = rated;
    }
    return times[last] + (frame > 0 ? frame : 1);
}

static double seconds_of(int64_t nanoseconds) {
    return (double)nanoseconds / TUB__NANOSECONDS;
}

tub_status tub__clip_between(const tub__clip_facts *f, const int64_t *times, int64_t from,
                             int64_t to, tub__clip_part *out, tub_error *err) {
    const int64_t length = tub__clip_length(f, times);
    if (tub__compare_times(length, f->time_base_numerator, f->time_base_denominator, from) <= 0) {
        return tub__fail(err, TUB_E_RANGE, "a part from %g s on begins behind its end at %g s",
                         seconds_of(from),
                         seconds_of(tub__to_nanoseconds(length, f->time_base_numerator,
                                                        f->time_base_denominator)));
    }
    const int64_t begin = times_before(f, times, from);
    const int64_t end = to < 0 ? f->frames : times_before(f, times, to);
    *out = end > begin ? (tub__clip_part){begin, end - begin}
                       : (tub__clip_part){begin > 0 ? begin - 1 : 0, 1};
    return TUB_OK;
}

tub_status tub__clip_part_of(tub__clip_file *clip, int64_t from, int64_t to, tub__clip_part *out,
                             tub_error *err) {
    TUB__TRY(tub__clip_count(clip, err));
    const tub__clip_facts *f = tub__clip_describe(clip);
    const int64_t *times = tub__clip_times(clip);
    *out = (tub__clip_part){0, f->frames};
    if (from <= 0 && to < 0) {
        return TUB_OK;
    }
    if (times == NULL || f->time_base_numerator < 1) {
        return tub__fail(err, TUB_E_RANGE, "%s: %s", tub__clip_path(clip), TUB__CLIP_TIMELESS);
    }
    if (from < 0 || (to >= 0 && from >= to)) {
        return tub__fail(err, TUB_E_RANGE, "%s: a part from %g s to %g s has nothing in it",
                         tub__clip_path(clip), seconds_of(from), seconds_of(to));
    }
    const tub_status status = tub__clip_between(f, times, from, to, out, err);
    return status == TUB_OK ? TUB_OK : tub__prefix(err, status, "%s", tub__clip_path(clip));
}

tub__clip_span tub__clip_span_of(const tub__clip_file *clip, const tub__clip_part *part) {
    const tub__clip_facts *f = tub__clip_describe(clip);
    const int64_t *times = tub__clip_times(clip);
    const int64_t behind = part->first + part->count;
    return times == NULL ? (tub__clip_span){part->first, behind}
                         : (tub__clip_span){times[part->first],
                                            behind < f->frames ? times[behind] : INT64_MAX};
}

/* Of [n] times that never fall, how many are before one. */
static int64_t units_before(const int64_t *times, int64_t n, int64_t time) {
    int64_t low = 0;
    while (low < n) {
        const int64_t middle = low + (n - low) / 2;
        if (times[middle] < time) {
            low = middle + 1;
        } else {
            n = middle;
        }
    }
    return low;
}

tub_status tub__clip_part_in(const tub__clip_file *clip, const tub__clip_span *span,
                             tub__clip_part *out, tub_error *err) {
    const tub__clip_facts *f = tub__clip_describe(clip);
    const int64_t *times = tub__clip_times(clip);
    const int64_t length = times != NULL ? tub__clip_length(f, times) : f->frames;
    if (f->frames < 1 || span->begin >= length) {
        return tub__fail(err, TUB_E_RANGE, "%s: nothing of the part that is wanted can be decoded",
                         tub__clip_path(clip));
    }
    if (times == NULL) { /* pictures: by number */
        const int64_t end = span->end < f->frames ? span->end : f->frames;
        *out = (tub__clip_part){span->begin, end - span->begin};
        return TUB_OK;
    }
    const int64_t begin = units_before(times, f->frames, span->begin),
                  end = units_before(times, f->frames, span->end);
    *out = end > begin ? (tub__clip_part){begin, end - begin}
                       : (tub__clip_part){begin > 0 ? begin - 1 : 0, 1};
    return TUB_OK;
}

/* ---- Frames one by one ---- */

struct tub__clip_reader {
    const tub_allocator *allocator;
    tub__clip_file *clip;
    tub__framer *framer;
    unsigned char *gray; /* the frame at hand without its colours, where those go */
    int64_t at;          /* the frame at hand; -1: none */
    int64_t next;        /* where the file is; -1: not known */
    int64_t counts;      /* of the file, as who reads knows it */
    int crops;
    int64_t height, width, channels; /* of what comes out */
    size_t element;
};

static tub_status check_channels(const tub__clip_facts *f, int64_t want, tub_error *err) {
    const bool fits =
        want == 0 || want == f->channels || (want == 1 && f->channels == 3 && f->dtype == TUB_U8);
    return fits ? TUB_OK
                : tub__fail(err, TUB_E_SHAPE,
                            "its frames have %lld channel%s, the model takes %lld; give it %lld "
                            "channel%s",
                            (long long)f->channels, f->channels == 1 ? "" : "s", (long long)want,
                            (long long)want, want == 1 ? "" : "s");
}

static tub_status prepare(tub__clip_reader *r, const tub__clip_form *form, tub_error *err) {
    const tub__clip_facts *f = tub__clip_describe(r->clip);
    const size_t from[2] = {(size_t)f->height, (size_t)f->width};
    TUB__TRY(check_channels(f, form->channels, err));
    if (r->crops != 1 && (r->crops != 3 || !form->picture.crop)) {
        return tub__fail(err, TUB_E_SHAPE,
                         r->crops == 3 ? "three crops need frames that are cut: the model's "
                                         "preprocessing resizes them to its size as a whole; "
                                         "leave the crops at 1"
                                       : "%d crops: 1 or 3 can be taken",
                         r->crops);
    }
    r->channels = form->channels == 0 ? f->channels : form->channels;
    r->element = f->dtype == TUB_U8 ? 1 : sizeof(float);
    TUB__TRY(tub__framer_create(r->allocator, &form->picture, from,
                                (size_t)r->channels * r->element, f->dtype != TUB_U8, &r->framer,
                                err));
    r->height = (int64_t)tub__framer_size(r->framer)[0];
    r->width = (int64_t)tub__framer_size(r->framer)[1];
    return r->channels == f->channels
               ? TUB_OK
               : tub__alloc(r->allocator, from[0] * from[1], (void **)&r->gray, err);
}

tub_status tub__clip_reader_create(const tub_allocator *a, tub__clip_file *clip,
                                   const tub__clip_form *form, int crops, tub__clip_reader **out,
                                   tub_error *err) {
    tub__clip_reader *r;
    TUB__TRY(tub__alloc_array(a, 1, sizeof *r, (void **)&r, err));
    r->allocator = a;
    r->clip = clip;
    r->at = r->next = -1;
    r->counts = tub__clip_counts(clip);
    r->crops = crops;
    const tub_status status = prepare(r, form, err);
    if (status != TUB_OK) {
        tub__clip_reader_destroy(r);
        return tub__prefix(err, status, "%s", tub__clip_path(clip));
    }
    *out = r;
    return TUB_OK;
}

void tub__clip_reader_destroy(tub__clip_reader *r) {
    if (r != NULL) {
        tub__free(r->allocator, r->gray);
        tub__framer_destroy(r->framer);
        tub__free(r->allocator, r);
    }
}

void tub__clip_reader_shape(const tub__clip_reader *r, int64_t shape[3]) {
    shape[0] = r->height;
    shape[1] = r->width;
    shape[2] = r->channels;
}

size_t tub__clip_reader_frame_bytes(const tub__clip_reader *r) {
    return (size_t)(r->height * r->width * r->channels) * r->element;
}

const tub__clip_file *tub__clip_reader_file(const tub__clip_reader *r) {
    return r->clip;
}

/* Pillow's convert("L"): ITU-R 601 in sixteen bits, rounded. */
static void make_gray(const unsigned char *in, size_t pixels, unsigned char *out) {
    for (size_t i = 0; i < pixels; i++, in += 3) {
        out[i] = (unsigned char)((19595u * in[0] + 38470u * in[1] + 7471u * in[2] + 0x8000u) >> 16);
    }
}

bool tub__clip_reader_recounted(tub__clip_reader *r) {
    const bool changed = r->counts != tub__clip_counts(r->clip);
    r->counts = tub__clip_counts(r->clip);
    return changed;
}

static tub_status fetch(tub__clip_reader *r, int64_t index, bool here, tub__clip_frame *frame,
                        tub_error *err) {
    bool end = false;
    if (!here) {
        TUB__TRY(tub__clip_seek(r->clip, index, err));
    }
    TUB__TRY(tub__clip_next(r->clip, frame, &end, err));
    return end ? tub__fail(err, TUB_E_FORMAT, "%s: it ends before frame %lld",
                           tub__clip_path(r->clip), (long long)index)
               : TUB_OK;
}

tub_status tub__clip_reader_go(tub__clip_reader *r, int64_t index, tub_error *err) {
    tub__clip_frame frame;
    if (index == r->at) {
        return TUB_OK;
    }
    const bool here = index == r->next;
    r->at = r->next = -1; /* until all went well */
    const tub_status status = fetch(r, index, here, &frame, err);
    if (status != TUB_E_MEMORY && r->counts != tub__clip_counts(r->clip)) {
        return tub__fail(err, TUB_E_FORMAT, "%s: it has other frames than its packets tell",
                         tub__clip_path(r->clip));
    }
    TUB__TRY(status);
    if (r->gray != NULL) {
        make_gray(frame.samples, (size_t)(frame.height * frame.width), r->gray);
    }
    tub__framer_take(r->framer, r->gray != NULL ? r->gray : frame.samples);
    r->at = index;
    r->next = index + 1;
    return TUB_OK;
}

void tub__clip_reader_cut(const tub__clip_reader *r, int crop, void *out) {
    static const tub__crop three[] = {TUB__CROP_FIRST, TUB__CROP_MIDDLE, TUB__CROP_LAST};
    tub__framer_cut(r->framer, r->crops == 1 ? TUB__CROP_ONLY : three[crop], out);
}

/* ---- Many frames ---- */

typedef struct wanted {
    int64_t index;
    size_t place;
} wanted;

static int by_index(const void *a, const void *b) {
    const wanted *x = a, *y = b;
    return x->index != y->index ? (x->index > y->index) - (x->index < y->index)
                                : (x->place > y->place) - (x->place < y->place);
}

tub_status tub__clip_read_frames(tub__clip_reader *r, size_t n, const int64_t *indices, void *out,
                                 tub_error *err) {
    const size_t bytes = tub__clip_reader_frame_bytes(r);
    tub_status status = TUB_OK;
    wanted *list;
    TUB__TRY(tub__alloc_array(r->allocator, n, sizeof *list, (void **)&list, err));
    for (size_t i = 0; i < n; i++) {
        list[i] = (wanted){indices[i], i};
    }
    qsort(list, n, sizeof *list, by_index);
    for (size_t i = 0; i < n && status == TUB_OK; i++) {
        status = tub__clip_reader_go(r, list[i].index, err);
        for (int c = 0; c < r->crops && status == TUB_OK; c++) {
            tub__clip_reader_cut(r, c, (char *)out + ((size_t)c * n + list[i].place) * bytes);
        }
    }
    tub__free(r->allocator, list);
    return status;
}

static tub_status read_planned(tub__clip_reader *r, const tub__frame_plan *plan,
                               const tub__clip_part *part, int64_t views, int64_t *indices,
                               void *out, tub_error *err) {
    const size_t n = (size_t)(views * plan->frames);
    for (int64_t v = 0; v < views; v++) {
        tub__frames_of_view(plan, part->count, v, views, indices + v * plan->frames);
    }
    for (size_t i = 0; i < n; i++) {
        indices[i] += part->first;
    }
    return tub__clip_read_frames(r, n, indices, out, err);
}

tub_status tub__clip_read_views(tub__clip_reader *r, const tub__frame_plan *plan,
                                tub__clip_part *part, int64_t views, void *out, tub_error *err) {
    tub__clip_part whole;
    int64_t *indices;
    if (part == NULL) {
        part = &whole;
        TUB__TRY(tub__clip_part_of(r->clip, 0, -1, part, err));
        r->at = r->next = -1;
    }
    const tub__clip_span span = tub__clip_span_of(r->clip, part);
    TUB__TRY(tub__alloc_array(r->allocator, (size_t)(views * plan->frames), sizeof *indices,
                              (void **)&indices, err));
    tub_status status = read_planned(r, plan, part, views, indices, out, err);
    while (status != TUB_OK && status != TUB_E_MEMORY && tub__clip_reader_recounted(r)) {
        status = tub__clip_part_in(r->clip, &span, part, err);
        if (status == TUB_OK) {
            status = read_planned(r, plan, part, views, indices, out, err);
        }
    }
    tub__free(r->allocator, indices);
    return status;
}
