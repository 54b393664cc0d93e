/* SPDX-License-Identifier: Apache-2.0 */
/* Classifying files. By turns several are decoded, one by each thread of the pool, and then what they gave
 * goes through the model, which all threads work on: no thread waits while there are files, and none is on
 * top of the pool's. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/each.h"
#include "base/error.h"
#include "base/ratio.h"
#include "predict/average.h"
#include "predict/clips.h"

/* Files decoded in a turn for each thread, so that a long one among them leaves few idle; fewer where their
 * clips would take more memory than this. */
enum { FILES_A_THREAD = 4 };
static const size_t TURN_BYTES = (size_t)64 << 20;

/* What was read of a file. */
typedef struct taken {
    tub_status status;
    tub_error error;
    tub_dtype dtype;
    void *floats; /* clips of float32; of uint8 they lie in the turn's block */
    int64_t frames;
    double seconds;
    char damage[256];
} taken;

typedef struct turn {
    tub_context *ctx;
    const tub__taking *taking;
    const char *const *paths; /* of this turn */
    int64_t from, to;
    const tub_file_part *parts; /* likewise, or NULL */
    size_t count;
    int threads;          /* of a decoder */
    unsigned char *bytes; /* [slots, samples] clips of uint8 */
    taken *files;         /* [slots] */
} turn;

/* ---- Reading ---- */

static double length_of(const tub__clip_file *clip) {
    const tub__clip_facts *f = tub__clip_describe(clip);
    const int64_t *times = tub__clip_times(clip);
    return times == NULL || f->time_base_numerator < 1
               ? (double)NAN
               : (double)tub__clip_length(f, times) * (double)f->time_base_numerator /
                     (double)f->time_base_denominator;
}

/* The part of file i that is asked for. */
static tub_status part_of(const turn *t, size_t i, tub__clip_file *clip, tub__clip_part *out,
                          tub_error *err) {
    const tub_file_part *given = t->parts != NULL ? &t->parts[i] : NULL;
    if (given == NULL) {
        return tub__clip_part_of(clip, t->from, t->to, out, err);
    }
    TUB__TRY(tub__clip_part_of(clip, 0, -1, out, err));
    if (given->first < 0 || given->frames < 0 || given->first >= out->count) {
        return tub__fail(err, TUB_E_RANGE, "%s: no frame %lld; there are %lld, counted from 0",
                         t->paths[i], (long long)given->first, (long long)out->count);
    }
    if (given->frames > 0) {
        const int64_t left = out->count - given->first;
        *out = (tub__clip_part){given->first, given->frames < left ? given->frames : left};
    }
    return TUB_OK;
}

static tub_status read_clips(const turn *t, size_t i, tub__clip_file *clip, unsigned char *bytes,
                             taken *out, tub_error *err) {
    const tub_allocator *a = &t->ctx->allocator;
    tub__clip_reader *reader = NULL;
    tub__clip_part part = {0, 0};
    void *room = bytes;
    out->dtype = tub__clip_describe(clip)->dtype;
    TUB__TRY(tub__taking_reader(a, t->taking, clip, &reader, err));
    tub_status status = part_of(t, i, clip, &part, err);
    if (status == TUB_OK && out->dtype != TUB_U8) {
        status =
            tub__alloc_array(a, (size_t)t->taking->samples,
                             tub__taking_elements(t->taking) * sizeof(float), &out->floats, err);
        room = out->floats;
    }
    if (status == TUB_OK) {
        status = tub__clip_read_views(reader, &t->taking->plan, &part, t->taking->views, room, err);
    }
    tub__clip_reader_destroy(reader);
    out->frames = part.count;
    out->seconds = length_of(clip);
    return status;
}

/* What goes wrong with a file is told of it, and ends nothing here. */
static tub_status take_file(void *argument, size_t i, int worker, tub_error *err) {
    const turn *t = argument;
    (void)worker;
    (void)err;
    const size_t clips = (size_t)t->taking->samples * tub__taking_elements(t->taking);
    taken *out = &t->files[i];
    tub__clip_file *clip = NULL;
    out->status = tub__clip_open(t->ctx, t->paths[i], t->threads, &t->taking->form.window, &clip,
                                 &out->error);
    if (out->status != TUB_OK) {
        return TUB_OK;
    }
    out->status = read_clips(t, i, clip, t->bytes + i * clips, out, &out->error);
    const char *damage = tub__clip_damage(clip);
    if (damage != NULL) {
        tub_error text;
        (void)tub__fail(&text, TUB_E_FORMAT, "%s: %s", t->paths[i], damage);
        memcpy(out->damage, text.message, sizeof out->damage);
        out->damage[sizeof out->damage - 1] = '\0';
    }
    tub__clip_close(clip);
    return TUB_OK;
}

/* One file has all threads for its decoder. */
static tub_status take_all(turn *t, tub_error *err) {
    memset(t->files, 0, t->count * sizeof *t->files);
    t->threads = t->count == 1 ? tub__pool_threads(t->ctx->pool) : 1;
    return t->count == 1 ? take_file(t, 0, 0, err)
                         : tub__pool_each(t->ctx->pool, t->count, take_file, t, err);
}

static void drop_floats(const turn *t) {
    for (size_t i = 0; i < t->count; i++) {
        tub__free(&t->ctx->allocator, t->files[i].floats);
        t->files[i].floats = NULL;
    }
}

/* ---- Telling ---- */

typedef struct teller {
    tub__classifier runner;
    float *mean; /* [2, K]: logits, probabilities */
    tub_file_fn *fn;
    void *user;
    bool stopped;
} teller;

static void tell(teller *to, const turn *t, size_t first, size_t i, const float *logits,
                 const float *probabilities, double milliseconds) {
    const taken *file = &t->files[i];
    const bool good = file->status == TUB_OK;
    const tub_file_result result = {.path = t->paths[i],
                                    .index = first + i,
                                    .status = file->status,
                                    .message = !good             ? file->error.message
                                               : file->damage[0] ? file->damage
                                                                 : NULL,
                                    .logits = good ? logits : NULL,
                                    .probabilities = good ? probabilities : NULL,
                                    .frames = good ? file->frames : 0,
                                    .seconds = good ? file->seconds : (double)NAN,
                                    .milliseconds = milliseconds};
    to->stopped = to->fn(to->user, &result) != 0;
}

/* `n` files in a row that have clips of one type side by side. */
static tub_status classify_row(teller *to, const turn *t, size_t first, size_t begin, size_t n,
                               tub_error *err) {
    const int64_t samples = t->taking->samples;
    const taken *file = &t->files[begin];
    const size_t classes = (size_t)to->runner.model->config.classes;
    const size_t clips = (size_t)samples * tub__taking_elements(t->taking);
    const double start = tub__seconds();
    TUB__TRY(tub__classifier_run(
        &to->runner, (int64_t)n * samples, file->dtype,
        file->floats != NULL ? file->floats : (const void *)(t->bytes + begin * clips), err));
    const double milliseconds = (tub__seconds() - start) * 1e3 / (double)n;
    for (size_t i = 0; i < n && !to->stopped; i++) {
        const size_t row = i * (size_t)samples * classes;
        tub__average_views(&to->runner.model->config, t->taking->average, samples,
                           to->runner.logits + row, to->runner.probabilities + row, to->mean,
                           to->mean + classes);
        tell(to, t, first, begin + i, to->mean, to->mean + classes, milliseconds);
    }
    return TUB_OK;
}

static bool is_bytes(const taken *file) {
    return file->status == TUB_OK && file->floats == NULL;
}

static tub_status classify_turn(teller *to, const turn *t, size_t first, tub_error *err) {
    for (size_t i = 0; i < t->count && !to->stopped;) {
        size_t n = 1;
        if (t->files[i].status == TUB_E_MEMORY) {
            *err = t->files[i].error;
            return TUB_E_MEMORY;
        }
        if (t->files[i].status != TUB_OK) {
            tell(to, t, first, i, NULL, NULL, 0);
        } else {
            while (is_bytes(&t->files[i]) && i + n < t->count && is_bytes(&t->files[i + n])) {
                n++;
            }
            TUB__TRY(classify_row(to, t, first, i, n, err));
        }
        i += n;
    }
    return TUB_OK;
}

/* ---- All ---- */

static size_t files_in_turn(const tub_context *ctx, const tub__taking *taking, size_t count) {
    const size_t bytes = (size_t)taking->samples * tub__taking_elements(taking);
    const size_t threads = (size_t)tub__pool_threads(ctx->pool);
    const size_t most = TURN_BYTES / bytes > 0 ? TURN_BYTES / bytes : 1;
    return tub__min(tub__min(count, most), threads > 1 ? threads * FILES_A_THREAD : 1);
}

static tub_status run_turns(turn *t, teller *to, size_t slots, size_t count,
                            const char *const *paths, tub_error *err) {
    const tub_file_part *const parts = t->parts;
    for (size_t first = 0; first < count && !to->stopped; first += slots) {
        t->paths = paths + first;
        t->parts = parts != NULL ? parts + first : NULL;
        t->count = tub__min(count - first, slots);
        tub_status status = take_all(t, err);
        if (status == TUB_OK) {
            status = classify_turn(to, t, first, err);
        }
        drop_floats(t);
        TUB__TRY(status);
    }
    return TUB_OK;
}

tub_status tub_predict_files(tub_model *model, size_t count, const char *const *paths,
                             const tub_file_options *options, tub_file_fn *fn, void *user,
                             tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    tub__taking taking;
    teller to = {.fn = fn, .user = user};
    TUB__TRY(tub__taking_of(model, options, &taking, err));
    if (count == 0) {
        return TUB_OK;
    }
    turn t = {.ctx = model->context, .taking = &taking, .to = -1};
    if (options != NULL) {
        t.from = options->from;
        t.to = options->to;
        t.parts = options->parts;
    }
    const size_t slots = files_in_turn(model->context, &taking, count);
    const size_t clips = (size_t)taking.samples * tub__taking_elements(&taking);
    tub_status status =
        tub__classifier_create(model, &taking, (int64_t)slots * taking.samples, &to.runner, err);
    if (status == TUB_OK) {
        status = tub__alloc_array(a, 2, (size_t)model->config.classes * sizeof(float),
                                  (void **)&to.mean, err);
    }
    if (status == TUB_OK) {
        status = tub__alloc_array(a, slots, sizeof *t.files, (void **)&t.files, err);
    }
    if (status == TUB_OK) {
        status = tub__alloc_array(a, slots, clips, (void **)&t.bytes, err);
    }
    if (status == TUB_OK) {
        status = run_turns(&t, &to, slots, count, paths, err);
    }
    tub__free(a, t.bytes);
    tub__free(a, t.files);
    tub__free(a, to.mean);
    tub__classifier_destroy(&to.runner);
    return status;
}
