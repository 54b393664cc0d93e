/* SPDX-License-Identifier: Apache-2.0 */
/* The loader thread and its ring of batches.
 *
 *      slot:    0        1        2        3
 *           [ batch 8 | batch 9 | free  | batch 7 ]
 *                                  ^         ^
 *                       made % depth         taken % depth: what tub__loader_next hands out
 *
 * `made` counts batches that the thread finished, `taken` those that the reader released; made -
 * taken <= depth. Both are guarded by the lock; a slot's content belongs to the thread before it is
 * made and to the reader after. */
#include "data/loader.h"

#include "base/error.h"
#include "base/philox.h"
#include "data/dataset.h"
#include <pthread.h>
#include <signal.h>
#include <string.h>

typedef struct slot {
    unsigned char *samples;
    int32_t *labels;
    uint32_t *index;
    tub__batch batch;
} slot;

struct tub__loader {
    const tub_allocator *allocator;
    const tub_dataset *data;
    tub_split split;
    const int32_t *labels; /* the split's */
    size_t columns;        /* of the labels */
    size_t count;          /* samples in the split */
    size_t sample_bytes;
    uint64_t seed;
    bool shuffle;
    size_t batch, batches, depth, share_begin, share_end;
    slot *slots;
    uint32_t *order; /* of the epoch that the thread is in; the thread's own */

    pthread_t thread;
    bool running;   /* a thread exists */
    bool held;      /* a batch is out and not released */
    uint32_t epoch; /* where the thread starts */
    size_t first;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t made, taken; /* under the lock */
    bool stop;          /* under the lock */
    tub_status failed;  /* under the lock: no more batches come than are made */
    tub_error why;      /* of that */

    tub__source source; /* of the thread */
};

/* Makes one sample of the batch that the thread is at. */
static tub_status make_sample(tub__loader *l, const tub__sample_key *key, void *out,
                              tub_error *err) {
    TUB__TRY(tub__dataset_source(l->data, l->split, key->index, &l->source, err));
    return tub__source_clip(l->data, l->split, &l->source, key, out, err);
}

/* Makes this share of one batch in a slot. */
static tub_status fill_slot(tub__loader *l, slot *s, uint32_t epoch, size_t batch, tub_error *err) {
    size_t start = batch * l->batch;
    size_t whole = tub__min(l->batch, l->count - start);
    size_t begin = tub__min(l->share_begin, whole), end = tub__min(l->share_end, whole);
    for (size_t i = begin; i < end; i++) {
        uint32_t from = l->order[start + i];
        size_t to = i - begin;
        const tub__sample_key key = {l->seed, epoch, (uint32_t)(start + i), from};
        TUB__TRY(make_sample(l, &key, s->samples + to * l->sample_bytes, err));
        memcpy(s->labels + to * l->columns, l->labels + from * l->columns,
               l->columns * sizeof *s->labels);
        s->index[to] = from;
    }
    s->batch = (tub__batch){.samples = s->samples,
                            .labels = s->labels,
                            .index = s->index,
                            .count = end - begin,
                            .whole = whole,
                            .position = start + begin,
                            .batch = batch,
                            .epoch = epoch};
    return TUB_OK;
}

/* Waits for a free slot; NULL when the loader stops. */
static slot *free_slot(tub__loader *l) {
    pthread_mutex_lock(&l->lock);
    while (!l->stop && l->made - l->taken == l->depth) {
        pthread_cond_wait(&l->changed, &l->lock);
    }
    slot *s = l->stop ? NULL : &l->slots[l->made % l->depth];
    pthread_mutex_unlock(&l->lock);
    return s;
}

static void set_order(tub__loader *l, uint32_t epoch) {
    if (l->shuffle) {
        tub__permutation(l->seed, epoch, l->count, l->order);
        return;
    }
    for (size_t i = 0; i < l->count; i++) {
        l->order[i] = (uint32_t)i;
    }
}

static void *run(void *argument) {
    tub__loader *l = argument;
    size_t batch = l->first;
    for (uint32_t epoch = l->epoch;; epoch++) {
        set_order(l, epoch);
        for (; batch < l->batches; batch++) {
            slot *s = free_slot(l);
            if (!s) {
                return NULL;
            }
            tub_error why = {0};
            const tub_status status = fill_slot(l, s, epoch, batch, &why);
            pthread_mutex_lock(&l->lock);
            l->made += status == TUB_OK;
            l->failed = status;
            l->why = why;
            pthread_cond_broadcast(&l->changed);
            pthread_mutex_unlock(&l->lock);
            if (status != TUB_OK) {
                return NULL;
            }
        }
        batch = 0;
    }
}

static void stop_thread(tub__loader *l) {
    if (!l->running) {
        return;
    }
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, NULL);
    l->running = false;
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
    if (c->batch == 0 || c->depth == 0 || c->share_begin > end || end > c->batch) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "loader: batch %zu, depth %zu, share %zu to %zu do not fit together",
                         c->batch, c->depth, c->share_begin, end);
    }
    return TUB_OK;
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
    TUB__TRY(take_array(l, l->depth, sizeof *l->slots, &block, err));
    l->slots = block;
    size_t room = l->share_end - l->share_begin;
    for (size_t i = 0; i < l->depth; i++) {
        TUB__TRY(take_array(l, room, l->sample_bytes, &block, err));
        l->slots[i].samples = block;
        TUB__TRY(take_array(l, room, l->columns * sizeof(int32_t), &block, err));
        l->slots[i].labels = block;
        TUB__TRY(take_array(l, room, sizeof(uint32_t), &block, err));
        l->slots[i].index = block;
    }
    return TUB_OK;
}

tub_status tub__loader_create(tub_context *ctx, const tub__loader_config *config, tub__loader **out,
                              tub_error *err) {
    TUB__TRY(check_config(config, err));
    const tub_dataset_info *info = tub_dataset_describe(config->data);
    void *block;
    TUB__TRY(tub__alloc_array(&ctx->allocator, 1, sizeof(tub__loader), &block, err));
    tub__loader *l = block;
    l->allocator = &ctx->allocator;
    l->data = config->data;
    l->split = config->split;
    l->labels = tub_dataset_labels(config->data, config->split);
    l->columns = (size_t)info->label_columns;
    l->count = (size_t)info->count[config->split];
    l->sample_bytes = tub__dataset_sample_bytes(info);
    l->seed = config->seed;
    l->shuffle = config->shuffle;
    l->batch = config->batch;
    l->batches = (l->count - 1) / l->batch + 1;
    l->depth = config->depth;
    /* No batch is larger than the split: a batch size beyond it takes no more memory. */
    size_t longest = tub__min(l->batch, l->count);
    l->share_begin = tub__min(config->share_begin, longest);
    l->share_end = tub__min(config->share_end == 0 ? l->batch : config->share_end, longest);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->changed, NULL);
    tub_status status = make_buffers(l, err);
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
    stop_thread(loader);
    pthread_cond_destroy(&loader->changed);
    pthread_mutex_destroy(&loader->lock);
    const tub_allocator *a = loader->allocator;
    for (size_t i = 0; loader->slots && i < loader->depth; i++) {
        tub__free(a, loader->slots[i].samples);
        tub__free(a, loader->slots[i].labels);
        tub__free(a, loader->slots[i].index);
    }
    tub__source_free(loader->data, &loader->source);
    tub__free(a, loader->slots);
    tub__free(a, loader->order);
    tub__free(a, loader);
}

size_t tub__loader_batches(const tub__loader *loader) {
    return loader->batches;
}

tub_status tub__loader_start(tub__loader *loader, uint32_t epoch, size_t batch, tub_error *err) {
    stop_thread(loader);
    if (batch >= loader->batches) {
        return tub__fail(err, TUB_E_ARGUMENT, "loader: batch %zu of an epoch of %zu", batch,
                         loader->batches);
    }
    loader->epoch = epoch;
    loader->first = batch;
    loader->made = loader->taken = 0;
    loader->stop = loader->held = false;
    loader->failed = TUB_OK;
    /* Signals are for the caller's threads. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&loader->thread, NULL, run, loader);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure) {
        return tub__fail_errno(err, failure, "the loader thread can't be started");
    }
    loader->running = true;
    return TUB_OK;
}

tub_status tub__loader_next(tub__loader *loader, tub__batch *out, tub_error *err) {
    if (!loader->running || loader->held) {
        return tub__fail(err, TUB_E_ARGUMENT, "loader: %s",
                         loader->running ? "the last batch was not released" : "not started");
    }
    pthread_mutex_lock(&loader->lock);
    while (loader->made == loader->taken && loader->failed == TUB_OK) {
        pthread_cond_wait(&loader->changed, &loader->lock);
    }
    const tub_status status = loader->made == loader->taken ? loader->failed : TUB_OK;
    if (status == TUB_OK) {
        *out = loader->slots[loader->taken % loader->depth].batch;
        loader->held = true;
    } else {
        (void)tub__fail(err, status, "%s", loader->why.message);
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
    pthread_cond_broadcast(&loader->changed);
    pthread_mutex_unlock(&loader->lock);
}
