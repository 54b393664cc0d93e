/* SPDX-License-Identifier: Apache-2.0 */
/* The loader's threads and its ring of batches.
 *
 *      slot:    0        1        2        3
 *           [ batch 8 | batch 9 | free  | batch 7 ]
 *                        ^                 ^
 *                        opened - 1        taken: what tub__loader_next hands out, once it is made
 *
 * `opened` counts batches that have got a slot, `taken` those that the reader released; opened - taken <=
 * depth. Samples of the batch opened last are handed out to the threads a few at a time, in order; when
 * they are at an end, whoever asks next opens the next slot. A slot is made when none of its samples is
 * left. All counts are guarded by the lock; a sample's bytes belong to the thread that has it, until it
 * says so under the lock. */
#include "data/loader.h"

#include "base/error.h"
#include "base/fpenv.h"
#include "data/sample_maker.h"
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct slot {
    unsigned char *samples;
    int32_t *labels;
    uint32_t *index; /* of the whole batch, all ranks */
    int32_t *second; /* with share: NULL where nothing is mixed */
    float *share;
    tub__batch batch;
    size_t left;       /* samples that are not made */
    tub_status failed; /* of the first one that can't be */
    size_t failed_at;
    tub_error why;
} slot;

/* Samples [begin, end) of a slot, which one thread makes. */
typedef struct piece {
    slot *slot;
    size_t begin, end;
} piece;

typedef struct worker {
    struct tub__loader *loader;
    pthread_t thread;
    tub__sample_scratch scratch;
} worker;

struct tub__loader {
    const tub_allocator *allocator;
    tub__sample_maker maker;
    const int32_t *labels; /* the split's */
    size_t columns;        /* of the labels */
    size_t count;          /* samples in the split */
    size_t sample_bytes;
    uint64_t seed;
    bool polite;
    tub__order orders;
    size_t batch, batches, depth, share_begin, share_end;
    slot *slots;
    worker *workers;
    size_t threads; /* as configured */
    size_t running; /* that exist */
    bool held;      /* a batch is out and not released */

    pthread_mutex_t lock;
    pthread_cond_t made, room; /* a batch is complete; there is work, or the end has come */
    /* Under the lock: */
    size_t opened, taken;
    size_t given;   /* samples of the batch opened last that were handed out */
    uint32_t epoch; /* of the batch to open next */
    size_t next;    /* its number in that */
    uint32_t *order;
    bool stop;
};

/* Gives the next batch a slot. The order is the epoch's as long as one of its batches is to be opened. */
static void open_slot(tub__loader *l) {
    slot *s = &l->slots[l->opened++ % l->depth];
    const size_t start = l->next * l->batch, whole = tub__min(l->batch, l->count - start);
    const size_t begin = tub__min(l->share_begin, whole), end = tub__min(l->share_end, whole);
    memcpy(s->index, l->order + start, whole * sizeof *s->index);
    s->batch = (tub__batch){.samples = s->samples,
                            .dtype = tub__sample_dtype(&l->maker),
                            .sample_bytes = l->sample_bytes,
                            .labels = s->labels,
                            .second = s->second,
                            .share = s->share,
                            .index = s->index + begin,
                            .count = end - begin,
                            .whole = whole,
                            .position = start + begin,
                            .batch = l->next,
                            .epoch = l->epoch};
    s->left = s->batch.count;
    s->failed = TUB_OK;
    l->given = 0;
    if (s->left == 0) {
        pthread_cond_signal(&l->made);
    }
    if (++l->next == l->batches) {
        l->next = 0;
        l->epoch++;
        tub__order_fill(&l->orders, l->epoch, l->order);
    }
}

/* The next samples to make; waits for them. False when the loader stops. */
static bool take_piece(tub__loader *l, piece *out) {
    pthread_mutex_lock(&l->lock);
    for (;;) {
        slot *last = l->opened > 0 ? &l->slots[(l->opened - 1) % l->depth] : NULL;
        if (l->stop) {
            break;
        }
        if (last != NULL && l->given < last->batch.count) {
            /* One thread alone copies a whole batch; many take turns. */
            const size_t most = l->threads == 1 ? last->batch.count : 1;
            out->slot = last;
            out->begin = l->given;
            out->end = l->given = tub__min(l->given + most, last->batch.count);
            break;
        }
        if (l->opened - l->taken < l->depth) {
            open_slot(l);
            pthread_cond_broadcast(&l->room);
        } else {
            pthread_cond_wait(&l->room, &l->lock);
        }
    }
    const bool stop = l->stop;
    pthread_mutex_unlock(&l->lock);
    return !stop;
}

/* Makes sample i of a slot, with its labels. */
static tub_status make_sample(tub__loader *l, slot *s, size_t i, tub__sample_scratch *scratch,
                              tub_error *err) {
    const uint32_t from = s->batch.index[i];
    const tub__sample_key key = {l->seed, s->batch.epoch, (uint32_t)(s->batch.position + i), from};
    memcpy(s->labels + i * l->columns, l->labels + from * l->columns,
           l->columns * sizeof *s->labels);
    const tub__sample_batch batch = {s->index, s->batch.whole,
                                     (size_t)(s->batch.index - s->index) + i};
    tub__augment_mix mix;
    TUB__TRY(tub__sample_make(&l->maker, &key, &batch, scratch, s->samples + i * l->sample_bytes,
                              &mix, err));
    if (s->second != NULL) {
        s->second[i] = l->labels[mix.partner];
        s->share[i] = mix.share;
    }
    return TUB_OK;
}

static void note_failure(tub__loader *l, slot *s, size_t i, tub_status status,
                         const tub_error *why) {
    pthread_mutex_lock(&l->lock);
    if (s->failed == TUB_OK || i < s->failed_at) {
        s->failed = status;
        s->failed_at = i;
        s->why = *why;
    }
    pthread_mutex_unlock(&l->lock);
}

/* For the thread that calls it alone; where a system has no such thing, nothing happens. */
static void step_back(void) {
#ifdef __linux__
    enum { NICER = 5 };
    const id_t thread = (id_t)syscall(SYS_gettid);
    (void)setpriority(PRIO_PROCESS, thread, getpriority(PRIO_PROCESS, thread) + NICER);
#endif
}

static void *run(void *argument) {
    worker *w = argument;
    tub__loader *l = w->loader;
    const tub__fpenv saved = tub__fpenv_enter();
    if (l->polite) {
        step_back();
    }
    for (piece p; take_piece(l, &p);) {
        for (size_t i = p.begin; i < p.end; i++) {
            tub_error why = {0};
            const tub_status status = make_sample(l, p.slot, i, &w->scratch, &why);
            if (status != TUB_OK) {
                note_failure(l, p.slot, i, status, &why);
            }
        }
        pthread_mutex_lock(&l->lock);
        p.slot->left -= p.end - p.begin;
        if (p.slot->left == 0) {
            pthread_cond_signal(&l->made);
        }
        pthread_mutex_unlock(&l->lock);
    }
    tub__fpenv_leave(saved);
    return NULL;
}

static void stop_threads(tub__loader *l) {
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_broadcast(&l->room);
    pthread_mutex_unlock(&l->lock);
    for (; l->running > 0; l->running--) {
        pthread_join(l->workers[l->running - 1].thread, NULL);
    }
}

static tub_status check_config(const tub__loader_config *c, tub_error *err) {
    const tub_dataset_info *info = tub_dataset_describe(c->data);
    if (info->count[c->split] <= 0) {
        return tub__fail(err, TUB_E_ARGUMENT, "%s: the %s split has no samples", info->name,
                         tub_split_name(c->split));
    }
    if (info->count[c->split] > UINT32_MAX) {
        return tub__fail(err, TUB_E_RANGE, "%s: the %s split has more than 2^32 samples",
                         info->name, tub_split_name(c->split));
    }
    size_t end = c->share_end == 0 ? c->batch : c->share_end;
    if (c->order == TUB__ORDER_BALANCED && info->task != TUB_TASK_MULTI_CLASS) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "%s: sampling balanced is for one class a sample, and its labels are %s",
                         info->name, tub_task_name(info->task));
    }
    if (c->batch == 0 || c->depth == 0 || c->share_begin > end || end > c->batch) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "loader: batch %zu, depth %zu, share %zu to %zu do not fit together",
                         c->batch, c->depth, c->share_begin, end);
    }
    return tub__in_range("threads of a loader", (int64_t)c->threads, 0, TUB__LOADER_THREADS, err);
}

static tub_status take_array(tub__loader *l, size_t count, size_t size, void **out,
                             tub_error *err) {
    /* A share may be empty; its arrays are there all the same. */
    return tub__alloc_array(l->allocator, count ? count : 1, size, out, err);
}

static tub_status make_buffers(tub__loader *l, tub_error *err) {
    void *block;
    TUB__TRY(take_array(l, l->count, sizeof *l->order, &block, err));
    l->order = block;
    TUB__TRY(take_array(l, l->threads, sizeof *l->workers, &block, err));
    l->workers = block;
    TUB__TRY(take_array(l, l->depth, sizeof *l->slots, &block, err));
    l->slots = block;
    size_t room = l->share_end - l->share_begin;
    for (size_t i = 0; i < l->depth; i++) {
        TUB__TRY(take_array(l, room, l->sample_bytes, &block, err));
        l->slots[i].samples = block;
        TUB__TRY(take_array(l, room, l->columns * sizeof(int32_t), &block, err));
        l->slots[i].labels = block;
        TUB__TRY(take_array(l, tub__min(l->batch, l->count), sizeof(uint32_t), &block, err));
        l->slots[i].index = block;
        if (l->maker.augmenter != NULL && tub__augmenter_mixes(l->maker.augmenter)) {
            TUB__TRY(take_array(l, room, sizeof(int32_t), &block, err));
            l->slots[i].second = block;
            TUB__TRY(take_array(l, room, sizeof(float), &block, err));
            l->slots[i].share = block;
        }
    }
    return TUB_OK;
}

size_t tub__loader_threads(int64_t setting, bool files, int threads) {
    if (setting > 0) {
        return (size_t)setting;
    }
    if (!files) {
        return 1;
    }
    const int half = threads / 2 < 2 ? 2 : threads / 2;
    return half < TUB__LOADER_THREADS ? (size_t)half : TUB__LOADER_THREADS;
}

tub_status tub__loader_create(tub_context *ctx, const tub__loader_config *config, tub__loader **out,
                              tub_error *err) {
    TUB__TRY(check_config(config, err));
    const tub_dataset_info *info = tub_dataset_describe(config->data);
    void *block;
    TUB__TRY(tub__alloc_array(&ctx->allocator, 1, sizeof(tub__loader), &block, err));
    tub__loader *l = block;
    l->allocator = &ctx->allocator;
    l->maker = (tub__sample_maker){config->data, config->split, config->augmenter, config->instead,
                                   config->user};
    l->labels = tub_dataset_labels(config->data, config->split);
    l->columns = (size_t)info->label_columns;
    l->count = (size_t)info->count[config->split];
    l->sample_bytes = tub__sample_bytes(&l->maker);
    l->seed = config->seed;
    l->polite = config->polite;
    l->threads = config->threads > 0 ? config->threads : 1;
    l->batch = config->batch;
    l->batches = (l->count - 1) / l->batch + 1;
    l->depth = config->depth;
    /* No batch is larger than the split: a batch size beyond it takes no more memory. */
    size_t longest = tub__min(l->batch, l->count);
    l->share_begin = tub__min(config->share_begin, longest);
    l->share_end = tub__min(config->share_end == 0 ? l->batch : config->share_end, longest);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->made, NULL);
    pthread_cond_init(&l->room, NULL);
    tub_status status = tub__order_create(l->allocator, config->order, config->seed, l->labels,
                                          l->count, (size_t)info->classes, &l->orders, err);
    if (status == TUB_OK) {
        status = make_buffers(l, err);
    }
    if (status != TUB_OK) {
        tub__loader_destroy(l);
        return status;
    }
    *out = l;
    return TUB_OK;
}

void tub__loader_destroy(tub__loader *loader) {
    if (!loader) {
        return;
    }
    stop_threads(loader);
    pthread_cond_destroy(&loader->room);
    pthread_cond_destroy(&loader->made);
    pthread_mutex_destroy(&loader->lock);
    const tub_allocator *a = loader->allocator;
    for (size_t i = 0; loader->slots && i < loader->depth; i++) {
        tub__free(a, loader->slots[i].samples);
        tub__free(a, loader->slots[i].labels);
        tub__free(a, loader->slots[i].index);
        tub__free(a, loader->slots[i].second);
        tub__free(a, loader->slots[i].share);
    }
    for (size_t i = 0; loader->workers && i < loader->threads; i++) {
        tub__sample_scratch_free(&loader->maker, &loader->workers[i].scratch);
    }
    tub__free(a, loader->slots);
    tub__free(a, loader->workers);
    tub__free(a, loader->order);
    tub__order_destroy(&loader->orders);
    tub__free(a, loader);
}

size_t tub__loader_batches(const tub__loader *loader) {
    return loader->batches;
}

tub_status tub__loader_start(tub__loader *loader, uint32_t epoch, size_t batch, tub_error *err) {
    stop_threads(loader);
    if (batch >= loader->batches) {
        return tub__fail(err, TUB_E_ARGUMENT, "loader: batch %zu of an epoch of %zu", batch,
                         loader->batches);
    }
    loader->epoch = epoch;
    loader->next = batch;
    loader->opened = loader->taken = loader->given = 0;
    loader->stop = loader->held = false;
    tub__order_fill(&loader->orders, epoch, loader->order);
    /* Signals are for the caller's threads. */
    sigset_t all, before;
    int failure = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; loader->running < loader->threads && failure == 0; loader->running += failure == 0) {
        worker *w = &loader->workers[loader->running];
        w->loader = loader;
        failure = pthread_create(&w->thread, NULL, run, w);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    /* Fewer threads than asked for make the same. */
    return loader->running > 0
               ? TUB_OK
               : tub__fail_errno(err, failure, "the loader's threads can't be started");
}

tub_status tub__loader_next(tub__loader *loader, tub__batch *out, tub_error *err) {
    if (loader->running == 0 || loader->held) {
        return tub__fail(err, TUB_E_ARGUMENT, "loader: %s",
                         loader->held ? "the last batch was not released" : "not started");
    }
    pthread_mutex_lock(&loader->lock);
    const slot *s = &loader->slots[loader->taken % loader->depth];
    while (loader->opened == loader->taken || s->left > 0) {
        pthread_cond_wait(&loader->made, &loader->lock);
    }
    const tub_status status = s->failed;
    if (status == TUB_OK) {
        *out = s->batch;
        loader->held = true;
    } else {
        (void)tub__fail(err, status, "%s", s->why.message);
    }
    pthread_mutex_unlock(&loader->lock);
    return status;
}

void tub__loader_release(tub__loader *loader) {
    if (!loader->held) {
        return;
    }
    loader->held = false;
    pthread_mutex_lock(&loader->lock);
    loader->taken++;
    pthread_cond_broadcast(&loader->room);
    pthread_mutex_unlock(&loader->lock);
}
