/* SPDX-License-Identifier: Apache-2.0 */
/* Workers that spin, then sleep between regions, at the end of one and at barriers.
 *
 *      caller                               worker
 *      function, argument                   waits for the next region
 *      begin + 1                       -->  function(argument, worker)
 *      function(argument, 0)                end + 1
 *      waits until all have done it    <--
 *
 * A barrier within a region counts arrivals: who comes as number t waits for the end of the
 * t / threads-th round.
 *
 * Nobody takes a lock while the other side is awake. Who goes to sleep at a gate first announces it
 * and then looks at the counter once more under the lock; who changes a counter looks for sleepers
 * afterwards. Both are sequentially consistent, so at least one of the two sees the other, and no
 * wake-up is lost. */
#include "base/pool.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fpenv.h"
#include "base/slice.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

/* How long to wait awake. Nobody yields: Linux takes that for giving away the rest of a fair share.
 * On two cores of Zen 5 (Linux 6.18) an epoch beside two busy processes took 2.4 to 2.8 times as
 * long as alone, and takes 2.0 to 2.2 since then. */
#define SPIN_SECONDS         60e-6
#define CROWDED_SPIN_SECONDS 1e-6

/* Where threads wait for a counter that only ever goes up; 64 bits never come around. */
typedef struct gate {
    atomic_uint_least64_t count;
    atomic_int asleep;
    pthread_cond_t *changed;
} gate;

enum { GATES = 3 };

typedef struct worker {
    tub__pool *pool;
    int number;
    pthread_t thread;
} worker;

struct tub__pool {
    const tub_allocator *allocator;
    int threads;
    int started; /* workers that were created: threads - 1 but for a failed creation */
    double spin_until;
    worker *workers; /* [threads - 1] */
    pthread_mutex_t lock;
    pthread_cond_t changed[GATES];
    /* What a worker needs to begin is in one line: it travels once. */
    _Alignas(TUB__ALIGN) gate begin; /* regions handed out */
    atomic_bool stop;
    tub__pool_fn *function;
    void *argument;
    _Alignas(TUB__ALIGN) gate end;     /* shares done by workers, over all regions */
    _Alignas(TUB__ALIGN) gate barrier; /* arrivals, over all regions */
};

int tub__available_cores(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) {
        return 1; /* more processors than a set holds: one thread is always right */
    }
    int cores = CPU_COUNT(&set);
    return cores < 1 ? 1 : cores;
}

static inline void relax(void) {
#if defined __x86_64__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("yield");
#endif
}

static bool reached(const gate *g, uint64_t count) {
    return atomic_load(&g->count) >= count;
}

/* Waits awake; false when the time is over and it is better to sleep. */
static bool wait_awake(const tub__pool *pool, const gate *g, uint64_t count) {
    enum { LOOKS = 32 }; /* between two looks at the clock */
    double start = 0.0;
    for (;;) {
        for (int i = 0; i < LOOKS; i++) {
            if (reached(g, count)) {
                return true;
            }
            relax();
        }
        const double now = tub__seconds();
        start = start == 0.0 ? now : start;
        if (now - start >= pool->spin_until) {
            return reached(g, count);
        }
    }
}

static void wait_at(tub__pool *pool, gate *g, uint64_t count) {
    if (wait_awake(pool, g, count)) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&g->asleep, 1);
    while (!reached(g, count)) {
        pthread_cond_wait(g->changed, &pool->lock);
    }
    atomic_fetch_sub(&g->asleep, 1);
    pthread_mutex_unlock(&pool->lock);
}

/* After a step of the count that somebody waits for. */
static void wake_sleepers(tub__pool *pool, gate *g) {
    if (atomic_load(&g->asleep) > 0) {
        pthread_mutex_lock(&pool->lock);
        pthread_cond_broadcast(g->changed);
        pthread_mutex_unlock(&pool->lock);
    }
}

/* One step; returns the count with it. */
static uint64_t step(gate *g) {
    return atomic_fetch_add(&g->count, 1) + 1;
}

static uint64_t begin_region(tub__pool *pool) {
    const uint64_t number = step(&pool->begin);
    wake_sleepers(pool, &pool->begin);
    return number;
}

/* What the end counts when region `number` is done. */
static uint64_t all_shares(const tub__pool *pool, uint64_t number) {
    return number * (uint64_t)(pool->threads - 1);
}

static void *work(void *argument) {
    worker *self = argument;
    tub__pool *pool = self->pool;
    (void)tub__fpenv_enter(); /* for the thread's whole life */
    tub__slice_short();       /* the others wait at the gates for it */
    for (uint64_t number = 1;; number++) {
        wait_at(pool, &pool->begin, number);
        if (atomic_load(&pool->stop)) {
            return NULL;
        }
        pool->function(pool->argument, self->number, pool->threads);
        if (step(&pool->end) == all_shares(pool, number)) {
            wake_sleepers(pool, &pool->end);
        }
    }
}

/* Starts the workers with all signals blocked: handlers run on the threads of the caller. */
static int start_workers(tub__pool *pool) {
    sigset_t all, before;
    int failure = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int i = 0; i < pool->threads - 1; i++) {
        pool->workers[i] = (worker){.pool = pool, .number = i + 1};
        failure = pthread_create(&pool->workers[i].thread, NULL, work, &pool->workers[i]);
        if (failure != 0) {
            break;
        }
        pool->started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure;
}

tub_status tub__pool_create(const tub_allocator *a, int threads, tub__pool **out, tub_error *err) {
    void *block, *workers;
    if (threads < 1 || threads > TUB__POOL_LIMIT) {
        return tub__fail(err, TUB_E_ARGUMENT, "%d threads: give 1 to %d", threads, TUB__POOL_LIMIT);
    }
    TUB__TRY(tub__alloc_array(a, 1, sizeof(tub__pool), &block, err));
    tub__pool *pool = block;
    tub_status status = tub__alloc_array(a, (size_t)threads, sizeof(worker), &workers, err);
    if (status != TUB_OK) {
        tub__free(a, pool);
        return status;
    }
    bool crowded = threads > tub__available_cores();
    pool->allocator = a;
    pool->threads = threads;
    pool->spin_until = crowded ? CROWDED_SPIN_SECONDS : SPIN_SECONDS;
    pool->workers = workers;
    pthread_mutex_init(&pool->lock, NULL);
    gate *gates[GATES] = {&pool->begin, &pool->end, &pool->barrier};
    for (int i = 0; i < GATES; i++) {
        pthread_cond_init(&pool->changed[i], NULL);
        gates[i]->changed = &pool->changed[i];
    }
    int failure = start_workers(pool);
    if (failure != 0) {
        tub__fail_errno(err, failure, "starting thread %d of %d", pool->started + 2, threads);
        tub__pool_destroy(pool);
        return TUB_E_MEMORY;
    }
    *out = pool;
    return TUB_OK;
}

void tub__pool_destroy(tub__pool *pool) {
    if (pool == NULL) {
        return;
    }
    atomic_store(&pool->stop, true);
    (void)begin_region(pool);
    for (int i = 0; i < pool->started; i++) {
        pthread_join(pool->workers[i].thread, NULL);
    }
    for (int i = 0; i < GATES; i++) {
        pthread_cond_destroy(&pool->changed[i]);
    }
    pthread_mutex_destroy(&pool->lock);
    tub__free(pool->allocator, pool->workers);
    tub__free(pool->allocator, pool);
}

int tub__pool_threads(const tub__pool *pool) {
    return pool->threads;
}

void tub__pool_run(tub__pool *pool, tub__pool_fn *fn, void *argument) {
    tub__fpenv saved = tub__fpenv_enter();
    if (pool->threads > 1) {
        pool->function = fn;
        pool->argument = argument;
        const uint64_t number = begin_region(pool);
        fn(argument, 0, pool->threads);
        wait_at(pool, &pool->end, all_shares(pool, number));
    } else {
        fn(argument, 0, 1);
    }
    tub__fpenv_leave(saved);
}

void tub__pool_barrier(tub__pool *pool) {
    const uint64_t threads = (uint64_t)pool->threads, arrivals = step(&pool->barrier);
    const uint64_t all = (arrivals + threads - 1) / threads * threads;
    if (arrivals == all) {
        wake_sleepers(pool, &pool->barrier);
    } else {
        wait_at(pool, &pool->barrier, all);
    }
}
