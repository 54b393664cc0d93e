/* SPDX-License-Identifier: Apache-2.0 */
/* Windows of a long file. One walk over the frames that any window wants serves all windows:
 *
 *   frames    0 1 2 3 4 5 6 7 8 9 …
 *   window 0  * . * . *             open until its last frame was cut
 *   window 1      . * . * .         opened when the walk comes to its first
 *   window 2          . * . * .
 *
 * Windows begin one after the other, so that those at hand are a ring; the first of them is the next to be
 * classified. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/ratio.h"
#include "predict/average.h"
#include "predict/clips.h"

static const size_t OPEN_BYTES = (size_t)256 << 20; /* of clips of windows at hand */

/* A frame that a window wants, and where it goes among its views' frames. The last frame of a window is wanted in any
 * case: no row is told before all of its frames were passed, because damage among them makes it another. */
typedef struct want {
    int64_t frame;
    int64_t place; /* -1: nowhere */
} want;

typedef struct open_window {
    tub_window row;
    want *wants;   /* [views * T + 1], by frame */
    int64_t given; /* of those, how many were cut */
} open_window;

typedef struct timeline {
    const tub_allocator *allocator;
    const tub__taking *taking;
    tub__clip_file *clip;
    const tub__clip_facts *facts;
    const int64_t *times;
    int64_t window, hop; /* nanoseconds */
    int64_t length;      /* of the file, in units of its time base */
    /* The ring: `held` windows from number `head` on, in slots by their number. */
    int64_t slots, head, held;
    open_window *open;    /* [slots] */
    want *wants;          /* [slots, wanted] */
    unsigned char *clips; /* [slots] clips of all samples of a window */
    size_t clip_bytes;    /* of those of one window */
    int64_t taken;        /* frames of a window: views * T */
    int64_t wanted;       /* these, and its last */
    int64_t *frames;      /* [T], of one view */
    /* The window that is opened next, head + held; false: there is none. */
    bool coming;
    tub_window row;
    tub__clip_part part;
    tub__classifier runner;
    float *mean; /* [2, K]: logits, probabilities */
    tub_window_fn *fn;
    void *user;
    bool stopped;
} timeline;

static open_window *slot(const timeline *t, int64_t number) {
    return &t->open[number % t->slots];
}

static unsigned char *clips_of(const timeline *t, int64_t number) {
    return t->clips + (size_t)(number % t->slots) * t->clip_bytes;
}

/* ---- Opening ---- */

/* Below, at or above 0 as the file ends before, at or after a time. */
static int compare_end(const timeline *t, int64_t nanoseconds) {
    return tub__compare_times(t->length, t->facts->time_base_numerator,
                              t->facts->time_base_denominator, nanoseconds);
}

/* Where a window ends, whatever the file's end is. */
static int64_t end_of(const timeline *t, int64_t begin) {
    int64_t end;
    return __builtin_add_overflow(begin, t->window, &end) ? INT64_MAX : end;
}

/* Finds the window behind those that are held. The first that reaches the file's end is the last. */
static tub_status find_coming(timeline *t, tub_error *err) {
    const int64_t number = t->head + t->held;
    int64_t begin;
    const bool far = __builtin_mul_overflow(number, t->hop, &begin);
    t->coming =
        !far && compare_end(t, begin) > 0 && (number == 0 || compare_end(t, t->row.end) > 0);
    if (!t->coming) {
        return TUB_OK;
    }
    const int64_t end = end_of(t, begin);
    t->row = (tub_window){.index = number, .begin = begin, .end = end};
    TUB__TRY(tub__clip_between(t->facts, t->times, begin, end, &t->part, err));
    t->row.frames = t->part.count;
    return TUB_OK;
}

static int by_frame(const void *a, const void *b) {
    const want *x = a, *y = b;
    return x->frame != y->frame ? (x->frame > y->frame) - (x->frame < y->frame)
                                : (x->place > y->place) - (x->place < y->place);
}

static tub_status open_coming(timeline *t, tub_error *err) {
    const int64_t number = t->row.index, length = t->taking->frames;
    open_window *w = slot(t, number);
    *w = (open_window){.row = t->row, .wants = t->wants + number % t->slots * t->wanted};
    if (compare_end(t, w->row.end) < 0) {
        w->row.end = tub__to_nanoseconds(t->length, t->facts->time_base_numerator,
                                         t->facts->time_base_denominator);
    }
    for (int64_t v = 0; v < t->taking->views; v++) {
        tub__frames_of_view(&t->taking->plan, t->part.count, v, t->taking->views, t->frames);
        for (int64_t k = 0; k < length; k++) {
            const int64_t place = v * length + k;
            w->wants[place] = (want){t->part.first + t->frames[k], place};
        }
    }
    w->wants[t->taken] = (want){t->part.first + t->part.count - 1, -1};
    qsort(w->wants, (size_t)t->wanted, sizeof *w->wants, by_frame);
    t->held++;
    return find_coming(t, err);
}

/* ---- Classifying ---- */

/* How many windows from the head on are whole and side by side in the ring. */
static int64_t whole_windows(const timeline *t) {
    int64_t n = 0;
    while (n < t->held && (t->head + n) / t->slots == t->head / t->slots &&
           slot(t, t->head + n)->given == t->wanted) {
        n++;
    }
    return n;
}

static tub_status classify(timeline *t, int64_t n, tub_error *err) {
    const tub_model_config *c = &t->runner.model->config;
    const int64_t samples = t->taking->samples;
    TUB__TRY(
        tub__classifier_run(&t->runner, n * samples, t->facts->dtype, clips_of(t, t->head), err));
    for (int64_t i = 0; i < n && !t->stopped; i++) {
        const size_t row = (size_t)(i * samples * c->classes);
        tub_window *w = &slot(t, t->head + i)->row;
        tub__average_views(c, t->taking->average, samples, t->runner.logits + row,
                           t->runner.probabilities + row, t->mean, t->mean + c->classes);
        w->logits = t->mean;
        w->probabilities = t->mean + c->classes;
        t->stopped = t->fn(t->user, w) != 0;
    }
    t->head += n;
    t->held -= n;
    return TUB_OK;
}

/* ---- The walk ---- */

/* The next frame that a window at hand wants; -1: none. */
static int64_t next_frame(const timeline *t) {
    int64_t frame = -1;
    for (int64_t i = t->head; i < t->head + t->held; i++) {
        const open_window *w = slot(t, i);
        if (w->given < t->wanted && (frame < 0 || w->wants[w->given].frame < frame)) {
            frame = w->wants[w->given].frame;
        }
    }
    return frame;
}

/* Cuts the frame at hand into every window that wants it. */
static void give(timeline *t, const tub__clip_reader *reader, int64_t frame) {
    const size_t bytes = tub__clip_reader_frame_bytes(reader);
    for (int64_t i = t->head; i < t->head + t->held; i++) {
        open_window *w = slot(t, i);
        for (; w->given < t->wanted && w->wants[w->given].frame == frame; w->given++) {
            const int64_t place = w->wants[w->given].place;
            for (int c = 0; place >= 0 && c < t->taking->crops; c++) {
                tub__clip_reader_cut(reader, c,
                                     clips_of(t, i) + (size_t)(c * t->taken + place) * bytes);
            }
        }
    }
}

static tub_status walk(timeline *t, tub__clip_reader *reader, tub_error *err) {
    const int64_t batch = (t->runner.batch + t->taking->samples - 1) / t->taking->samples;
    while (!t->stopped) {
        int64_t frame = next_frame(t);
        while (t->coming && t->held < t->slots && (frame < 0 || t->part.first <= frame)) {
            TUB__TRY(open_coming(t, err));
            frame = next_frame(t);
        }
        const int64_t n = whole_windows(t);
        const bool edge = n > 0 && (t->head + n) % t->slots == 0;
        if (n > 0 && (n >= batch || edge || frame < 0 || t->held == t->slots)) {
            TUB__TRY(classify(t, n, err));
        } else if (frame < 0) {
            break;
        } else {
            TUB__TRY(tub__clip_reader_go(reader, frame, err));
            give(t, reader, frame);
        }
    }
    return TUB_OK;
}

/* Of a damaged file there may be other frames than its packets told: what was told stays, the rest is planned
 * again by the times of those that there are. */
static tub_status walk_all(timeline *t, tub__clip_reader *reader, tub_error *err) {
    tub_status status = TUB_OK;
    do {
        t->times = tub__clip_times(t->clip);
        t->length = tub__clip_length(t->facts, t->times);
        t->held = 0;
        t->row.end = t->head > 0 ? end_of(t, (t->head - 1) * t->hop) : 0;
        status = find_coming(t, err);
        if (status == TUB_OK) {
            status = walk(t, reader, err);
        }
    } while (status != TUB_OK && status != TUB_E_MEMORY && tub__clip_reader_recounted(reader));
    return status;
}

/* ---- All ---- */

/* Windows that can be open at once: those over each other, and a batch of whole ones before them. */
static tub_status count_slots(timeline *t, tub_error *err) {
    const int64_t over = (t->window - 1) / t->hop + 2;
    const int64_t most = (int64_t)(OPEN_BYTES / t->clip_bytes), samples = t->taking->samples;
    if (over > 2 && over > most) {
        return tub__fail(err, TUB_E_RANGE,
                         "windows of %g s, one each %g s, lie over each other so often that their "
                         "clips need more than %zu MiB; let them begin less often",
                         (double)t->window / TUB__NANOSECONDS, (double)t->hop / TUB__NANOSECONDS,
                         OPEN_BYTES >> 20);
    }
    const int64_t batch = (tub__taking_batch(t->taking) + samples - 1) / samples;
    t->slots = over + (batch < most - over ? batch : most > over ? most - over : 0);
    return TUB_OK;
}

static tub_status make_room(timeline *t, tub_model *model, tub_error *err) {
    const tub_allocator *a = t->allocator;
    const tub__taking *g = t->taking;
    const size_t element = t->facts->dtype == TUB_U8 ? 1 : sizeof(float);
    t->taken = g->views * g->frames;
    t->wanted = t->taken + 1;
    t->clip_bytes = (size_t)g->samples * tub__taking_elements(g) * element;
    TUB__TRY(count_slots(t, err));
    TUB__TRY(tub__classifier_create(model, g, t->slots * g->samples, &t->runner, err));
    TUB__TRY(tub__alloc_array(a, 2, (size_t)model->config.classes * sizeof(float),
                              (void **)&t->mean, err));
    TUB__TRY(tub__alloc_array(a, (size_t)g->frames, sizeof *t->frames, (void **)&t->frames, err));
    TUB__TRY(tub__alloc_array(a, (size_t)t->slots, sizeof *t->open, (void **)&t->open, err));
    TUB__TRY(tub__alloc_array(a, (size_t)(t->slots * t->wanted), sizeof *t->wants,
                              (void **)&t->wants, err));
    return tub__alloc_array(a, (size_t)t->slots, t->clip_bytes, (void **)&t->clips, err);
}

static void drop_room(timeline *t) {
    const tub_allocator *a = t->allocator;
    tub__free(a, t->clips);
    tub__free(a, t->wants);
    tub__free(a, t->open);
    tub__free(a, t->frames);
    tub__free(a, t->mean);
    tub__classifier_destroy(&t->runner);
}

static tub_status of_clip(timeline *t, tub_model *model, tub_error *err) {
    tub__clip_reader *reader = NULL;
    TUB__TRY(tub__clip_count(t->clip, err));
    t->facts = tub__clip_describe(t->clip);
    t->times = tub__clip_times(t->clip);
    if (t->times == NULL || t->facts->time_base_numerator < 1) {
        return tub__fail(err, TUB_E_RANGE, "%s: %s", tub__clip_path(t->clip), TUB__CLIP_TIMELESS);
    }
    TUB__TRY(tub__taking_reader(t->allocator, t->taking, t->clip, &reader, err));
    tub_status status = make_room(t, model, err);
    if (status != TUB_OK) {
        status = tub__prefix(err, status, "%s", tub__clip_path(t->clip));
    } else {
        status = walk_all(t, reader, err);
    }
    drop_room(t);
    tub__clip_reader_destroy(reader);
    return status;
}

tub_status tub_timeline(tub_model *model, const char *path, int64_t window, int64_t hop,
                        const tub_file_options *options, tub_window_fn *fn, void *user,
                        char *damage, tub_error *err) {
    tub_context *ctx = model->context;
    tub__taking taking;
    if (damage != NULL) {
        damage[0] = '\0';
    }
    if (window < 1 || hop < 1) {
        return tub__fail(err, TUB_E_RANGE, "a window and a hop need a length above 0 s");
    }
    TUB__TRY(tub__taking_of(model, options, &taking, err));
    timeline t = {.allocator = &ctx->allocator,
                  .taking = &taking,
                  .window = window,
                  .hop = hop,
                  .fn = fn,
                  .user = user};
    TUB__TRY(
        tub__clip_open(ctx, path, tub__pool_threads(ctx->pool), &taking.form.window, &t.clip, err));
    const tub_status status = of_clip(&t, model, err);
    const char *found = tub__clip_damage(t.clip);
    if (damage != NULL && found != NULL) {
        tub_error text;
        (void)tub__fail(&text, TUB_E_FORMAT, "%s: %s", path, found);
        memcpy(damage, text.message, sizeof text.message);
    }
    tub__clip_close(t.clip);
    return status;
}
