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
#include "data/dataset.h"
#include <pthread.h>
#include <signal.h>
#include <string.h>

typedef struct slot {
    unsigned char *samples;
    int32_t *labels;
    uint32_t *index;
    int32_t *second; /* with share: NULL where nothing is mixed */
    float *share;
    tub__batch batch;
} slot;

struct tub__loader {
    const tub_allocator *allocator;
    const unsigned char *samples; /* the split's */
    const int32_t *labels;
    size_t columns; /* of the labels */
    size_t count;   /* samples in the split */
    size_t sample_bytes;
    size_t clip_bytes; /* of what a batch holds of a sample; the same without augmenter */
    tub_dtype dtype;   /* of that */
    void *scratch;     /* of the thread; NULL without augmenter */
    const tub__augmenter *augmenter;
    tub__order orders;
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
};

/* The sample of that index in the split. */
static const void *sample_at(void *user, uint32_t index) {
    const tub__loader *l = user;
    return l->samples + index * l->sample_bytes;
}

/* Sample `number` of a whole batch, as number `to` of the share: a copy, or what augmentation makes. */
static void make_sample(tub__loader *l, const tub__augment_batch *of, size_t number, slot *s,
                        size_t to) {
    const uint32_t from = of->order[of->start + number];
    unsigned char *out = s->samples + to * l->clip_bytes;
    tub__augment_mix mix = {.partner = from};
    if (l->augmenter == NULL) {
        memcpy(out, of->sample(of->user, from), l->sample_bytes);
    } else {
        tub__augment_in_batch(l->augmenter, of, number, l->scratch, out, &mix);
    }
    memcpy(s->labels + to * l->columns, l->labels + from * l->columns,
           l->columns * sizeof *s->labels);
    s->index[to] = from;
    if (s->second != NULL) {
        s->second[to] = l->labels[mix.partner];
        s->share[to] = mix.share;
    }
}

/* Makes this share of one batch in a slot. */
static void fill_slot(tub__loader *l, slot *s, uint32_t epoch, size_t batch) {
    const size_t start = batch * l->batch;
    const tub__augment_batch of = {.epoch = epoch,
                                   .start = start,
                                   .whole = tub__min(l->batch, l->count - start),
                                   .order = l->order,
                                   .sample = sample_at,
                                   .user = l};
    size_t begin = tub__min(l->share_begin, of.whole), end = tub__min(l->share_end, of.whole);
    for (size_t i = begin; i < end; i++) {
        make_sample(l, &of, i, s, i - begin);
    }
    s->batch = (tub__batch){.samples = s->samples,
                            .dtype = l->dtype,
                            .sample_bytes = l->clip_bytes,
                            .labels = s->labels,
                            .second = s->second,
                            .share = s->share,
                            .index = s->index,
                            .count = end - begin,
                            .whole = of.whole,
                            .position = start + begin,
                            .batch = batch,
                            .epoch = epoch};
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

static void *run(void *argument) {
    tub__loader *l = argument;
    size_t batch = l->first;
    for (uint32_t epoch = l->epoch;; epoch++) {
        tub__order_fill(&l->orders, epoch, l->order);
        for (; batch < l->batches; batch++) {
            slot *s = free_slot(l);
            if (!s) {
                return NULL;
            }
            fill_slot(l, s, epoch, batch);
            pthread_mutex_lock(&l->lock);
            l->made++;
            pthread_cond_broadcast(&l->changed);
            pthread_mutex_unlock(&l->lock);
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
    if (l->augmenter != NULL) {
        TUB__TRY(tub__alloc(l->allocator, tub__augmenter_scratch(l->augmenter), &l->scratch,
                            err));
    }
    size_t room = l->share_end - l->share_begin;
    for (size_t i = 0; i < l->depth; i++) {
        TUB__TRY(take_array(l, room, l->clip_bytes, &block, err));
        l->slots[i].samples = block;
        TUB__TRY(take_array(l, room, l->columns * sizeof(int32_t), &block, err));
        l->slots[i].labels = block;
        TUB__TRY(take_array(l, room, sizeof(uint32_t), &block, err));
        l->slots[i].index = block;
        if (l->augmenter != NULL && tub__augmenter_mixes(l->augmenter)) {
            TUB__TRY(take_array(l, room, sizeof(int32_t), &block, err));
            l->slots[i].second = block;
            TUB__TRY(take_array(l, room, sizeof(float), &block, err));
            l->slots[i].share = block;
        }
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
    l->samples = tub_dataset_samples(config->data, config->split);
    l->labels = tub_dataset_labels(config->data, config->split);
    l->columns = (size_t)info->label_columns;
    l->count = (size_t)info->count[config->split];
    l->sample_bytes = tub__dataset_sample_bytes(info);
    l->augmenter = config->augmenter;
    l->clip_bytes = l->sample_bytes;
    l->dtype = info->dtype;
    if (config->augmenter != NULL) {
        l->clip_bytes = tub__augmenter_clip_bytes(config->augmenter);
        l->dtype = tub__augmenter_dtype(config->augmenter);
    }
    l->batch = config->batch;
    l->batches = (l->count - 1) / l->batch + 1;
    l->depth = config->depth;
    /* No batch is larger than the split: a batch size beyond it takes no more memory. */
    size_t longest = tub__min(l->batch, l->count);
    l->share_begin = tub__min(config->share_begin, longest);
    l->share_end = tub__min(config->share_end == 0 ? l->batch : config->share_end, longest);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->changed, NULL);
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
    stop_thread(loader);
    pthread_cond_destroy(&loader->changed);
    pthread_mutex_destroy(&loader->lock);
    const tub_allocator *a = loader->allocator;
    for (size_t i = 0; loader->slots && i < loader->depth; i++) {
        tub__free(a, loader->slots[i].samples);
        tub__free(a, loader->slots[i].labels);
        tub__free(a, loader->slots[i].index);
        tub__free(a, loader->slots[i].second);
        tub__free(a, loader->slots[i].share);
    }
    tub__free(a, loader->slots);
    tub__free(a, loader->scratch);
    tub__free(a, loader->order);
    tub__order_destroy(&loader->orders);
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
    while (loader->made == loader->taken) {
        pthread_cond_wait(&loader->changed, &loader->lock);
    }
    *out = loader->slots[loader->taken % loader->depth].batch;
    pthread_mutex_unlock(&loader->lock);
    loader->held = true;
    return TUB_OK;
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
