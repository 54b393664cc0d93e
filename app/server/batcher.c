/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of a model and the thread that empties it.
 *
 *   queue   job A (3 clips)   job B (1)   job C (6)
 *   batch   A A A B C C C C             of at most 8 clips, in order: C is in two batches
 *
 * While a batch runs others gather, so that batches grow with the load. */
#include "batcher.h"
#include "../clock.h"
#include "no_memory.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Rows of one job in a batch. */
typedef struct share {
    batch_job *job;
    int64_t from, rows;
} share;

struct batcher {
    tub_model *model;
    const tub_model_config *config;
    int64_t max_batch;
    double max_delay;
    batcher_counts *counts;
    size_t clip;                   /* numbers of one */
    float *input;                  /* [max_batch] clips */
    float *logits, *probabilities; /* [max_batch, K] */
    share *shares;                 /* [max_batch] */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    batch_job *first, *last;
    int64_t waiting; /* rows that are in no batch yet */
    bool ending, hurrying;
};

/* ---- Gathering ---- */

static void wait_until(batcher *b, double when) {
    const struct timespec t = {.tv_sec = (time_t)when,
                               .tv_nsec = (long)((when - (double)(time_t)when) * 1e9)};
    pthread_cond_timedwait(&b->changed, &b->lock, &t);
}

/* Waits until there is something, and then for more of it while its first clip may wait. false: the end. */
static bool wait_for_work(batcher *b) {
    while (b->first == NULL && !b->ending) {
        pthread_cond_wait(&b->changed, &b->lock);
    }
    if (b->first == NULL) {
        return false;
    }
    const double until = b->first->arrived + b->max_delay;
    while (b->waiting < b->max_batch && !b->ending && !b->hurrying && b->first->taken == 0 &&
           clock_now() < until) {
        wait_until(b, until);
    }
    return true;
}

static void drop_first(batcher *b) {
    b->first = b->first->next;
    b->last = b->first == NULL ? NULL : b->last;
}

/* The first jobs' rows, up to a batch. A job that is too late is a share of no rows. */
static int gather(batcher *b, share *shares) {
    const double now = clock_now();
    int64_t room = b->max_batch;
    int count = 0;
    while (b->first != NULL && room > 0 && count < b->max_batch) {
        batch_job *job = b->first;
        const int64_t left = job->rows - job->taken;
        if (job->taken == 0 && now > job->deadline) {
            job->late = true;
            b->waiting -= left;
            drop_first(b);
            shares[count++] = (share){job, 0, 0};
            continue;
        }
        job->taken_at = job->taken == 0 ? now : job->taken_at;
        const int64_t rows = left < room ? left : room;
        shares[count++] = (share){job, job->taken, rows};
        job->taken += rows;
        room -= rows;
        b->waiting -= rows;
        if (job->taken == job->rows) {
            drop_first(b);
        }
    }
    return count;
}

/* ---- Running ---- */

static tub_status fill(const batcher *b, const share *s, float *out, tub_error *err) {
    const tub_model_config *c = b->config;
    const size_t from = (size_t)s->from * b->clip, n = (size_t)s->rows * b->clip;
    if (s->job->dtype == TUB_F32) {
        memcpy(out, (const float *)s->job->clips + from, n * sizeof *out);
        return TUB_OK;
    }
    const int64_t shape[4] = {c->frames, c->height, c->width, c->channels};
    return tub_model_prepare(b->model, s->rows, shape, (const unsigned char *)s->job->clips + from,
                             out, err);
}

static void fail(batch_job *job, tub_status status, const char *message) {
    if (job->status == TUB_OK) {
        job->status = status;
        snprintf(job->message, sizeof job->message, "%s", message);
    }
}

/* All clips of a batch through the model. */
static tub_status run(batcher *b, const share *shares, int count, int64_t rows, tub_error *err) {
    const float *input = b->input;
    int64_t at = 0;
    if (count == 1 && shares[0].job->dtype == TUB_F32) { /* as they lie */
        input = (const float *)shares[0].job->clips + (size_t)shares[0].from * b->clip;
    } else {
        for (int i = 0; i < count; i++) {
            const tub_status status = fill(b, &shares[i], b->input + (size_t)at * b->clip, err);
            if (status != TUB_OK) {
                return status;
            }
            at += shares[i].rows;
        }
    }
    const double start = clock_now();
    const tub_status status =
        tub_model_forward(b->model, rows, TUB_F32, input, b->logits, b->probabilities, err);
    int size = 0;
    while (size < 8 && (int64_t)1 << size < rows) {
        size++;
    }
    atomic_fetch_add(&b->counts->nanoseconds, (unsigned long long)((clock_now() - start) * 1e9));
    atomic_fetch_add(&b->counts->batches, 1);
    atomic_fetch_add(&b->counts->clips, (unsigned long long)rows);
    atomic_fetch_add(&b->counts->sizes[size], 1);
    return status;
}

static void fail_late(batch_job *job) {
    fail(job, TUB_E_CANCELLED, "the request waited longer than it may take");
}

/* One map after the other, and no batch meanwhile: no longer than the request may take. */
static void explain(batcher *b, batch_job *job) {
    for (int64_t i = 0; i < job->rows && job->status == TUB_OK; i++) {
        tub_error err;
        if (clock_now() > job->deadline) {
            fail_late(job);
            return;
        }
        const size_t at = (size_t)i * b->clip;
        const void *x = job->dtype == TUB_F32
                            ? (const void *)((const float *)job->clips + at)
                            : (const void *)((const unsigned char *)job->clips + at);
        if (tub_explain(b->model, job->explain, job->dtype, x, &job->maps[i], &err) != TUB_OK) {
            fail(job, err.status, err.message);
        }
    }
}

static void finish(batcher *b, batch_job *job) {
    if (job->late) {
        fail_late(job);
    }
    if (job->status == TUB_OK && job->explain != NULL) {
        explain(b, job);
    }
    job->ready(job); /* it may be gone now */
}

static void work_on(batcher *b, const share *shares, int count) {
    const size_t classes = (size_t)b->config->classes;
    tub_error err = {.status = TUB_OK};
    int64_t rows = 0, at = 0;
    for (int i = 0; i < count; i++) {
        rows += shares[i].rows;
    }
    const tub_status status = rows > 0 ? run(b, shares, count, rows, &err) : TUB_OK;
    for (int i = 0; i < count; i++) {
        const share *s = &shares[i];
        batch_job *job = s->job;
        if (status != TUB_OK && s->rows > 0) {
            fail(job, err.status, err.message);
        } else if (s->rows > 0) {
            const size_t to = (size_t)s->from * classes, from = (size_t)at * classes;
            const size_t bytes = (size_t)s->rows * classes * sizeof(float);
            memcpy(job->logits + to, b->logits + from, bytes);
            memcpy(job->probabilities + to, b->probabilities + from, bytes);
        }
        at += s->rows;
        job->done += s->rows;
        if (job->done == job->rows || job->late) {
            finish(b, job);
        }
    }
}

static void *empty_queue(void *user) {
    batcher *b = user;
    pthread_mutex_lock(&b->lock);
    while (wait_for_work(b)) {
        const int count = gather(b, b->shares);
        pthread_mutex_unlock(&b->lock);
        work_on(b, b->shares, count);
        pthread_mutex_lock(&b->lock);
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

/* ---- The queue ---- */

void batcher_push(batcher *b, batch_job *job) {
    job->arrived = clock_now();
    job->taken = job->done = 0;
    job->next = NULL;
    pthread_mutex_lock(&b->lock);
    if (b->last != NULL) {
        b->last->next = job;
    } else {
        b->first = job;
    }
    b->last = job;
    b->waiting += job->rows;
    pthread_cond_signal(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

int64_t batcher_waiting(batcher *b) {
    pthread_mutex_lock(&b->lock);
    const int64_t n = b->waiting;
    pthread_mutex_unlock(&b->lock);
    return n;
}

void batcher_hurry(batcher *b) {
    pthread_mutex_lock(&b->lock);
    b->hurrying = true;
    pthread_cond_signal(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

static void drop(batcher *b) {
    free(b->input);
    free(b->logits);
    free(b->probabilities);
    free(b->shares);
    free(b);
}

static tub_status fail_create(batcher *b, tub_error *err) {
    drop(b);
    return no_memory(err);
}

static void start_clock(batcher *b) {
    pthread_condattr_t monotonic;
    pthread_mutex_init(&b->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&b->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

tub_status batcher_create(tub_model *model, int64_t max_batch, double max_delay,
                          batcher_counts *counts, batcher **out, tub_error *err) {
    const tub_model_config *c = tub_model_describe(model);
    batcher *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return no_memory(err);
    }
    b->model = model;
    b->config = c;
    b->max_batch = max_batch;
    b->max_delay = max_delay;
    b->counts = counts;
    b->clip = (size_t)(c->frames * c->height * c->width * c->channels);
    b->input = calloc(b->clip * (size_t)max_batch, sizeof *b->input);
    b->logits = calloc((size_t)(c->classes * max_batch), sizeof *b->logits);
    b->probabilities = calloc((size_t)(c->classes * max_batch), sizeof *b->probabilities);
    b->shares = calloc((size_t)max_batch, sizeof *b->shares);
    if (b->input == NULL || b->logits == NULL || b->probabilities == NULL || b->shares == NULL) {
        return fail_create(b, err);
    }
    const tub_status status =
        tub_model_forward(model, max_batch, TUB_F32, b->input, b->logits, b->probabilities, err);
    if (status != TUB_OK) {
        drop(b);
        return status;
    }
    start_clock(b);
    if (pthread_create(&b->thread, NULL, empty_queue, b) != 0) {
        return fail_create(b, err);
    }
    *out = b;
    return TUB_OK;
}

void batcher_destroy(batcher *b) {
    if (b == NULL) {
        return;
    }
    pthread_mutex_lock(&b->lock);
    b->ending = true;
    pthread_cond_signal(&b->changed);
    pthread_mutex_unlock(&b->lock);
    pthread_join(b->thread, NULL);
    pthread_cond_destroy(&b->changed);
    pthread_mutex_destroy(&b->lock);
    drop(b);
}
