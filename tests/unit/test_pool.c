/* SPDX-License-Identifier: Apache-2.0 */
/* The thread pool under stress: short and long regions, sleeping workers, more threads than cores,
 * several pools at once. Built with -Db_sanitize=thread it is also the proof that hand-out and
 * barrier order memory. */
#include "cmocka_all.h"

#include "base/clock.h"
#include "base/philox.h"
#include "base/pool.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 8 };

typedef struct region {
    long input;             /* written by the caller before each region */
    long output[MOST][16];  /* written by the workers, read by the caller after it; a line each */
    useconds_t pause[MOST]; /* some workers come late */
} region;

static void square(void *argument, int worker, int workers) {
    region *r = argument;
    if (r->pause[worker] > 0) {
        usleep(r->pause[worker]);
    }
    r->output[worker][0] = r->input * r->input + worker * workers;
}

static bool run_regions(tub__pool *pool, int count, double late_share, uint32_t seed) {
    static _Thread_local region r;
    int threads = tub__pool_threads(pool);
    tub__random random = tub__random_start(tub__random_key(seed, TUB__RANDOM_SHUFFLE), 0, 0, 0);
    bool right = true;
    for (int i = 0; i < count; i++) {
        r.input = i;
        for (int w = 0; w < threads; w++) {
            bool late = tub__random_double(&random) < late_share;
            r.pause[w] = late ? tub__random_below(&random, 600) : 0;
            r.output[w][0] = -1;
        }
        if (tub__random_double(&random) < late_share) {
            usleep(tub__random_below(&random, 600)); /* workers fall asleep, or are just about to */
        }
        tub__pool_run(pool, square, &r);
        for (int w = 0; w < threads; w++) {
            right = right && r.output[w][0] == (long)i * i + w * threads;
        }
    }
    return right;
}

static tub__pool *make(int threads) {
    tub__pool *pool;
    tub_error err;
    assert_ok(tub__pool_create(&tub__default_allocator, threads, &pool, &err), err);
    assert_int_equal(tub__pool_threads(pool), threads);
    return pool;
}

static void test_regions(void **state) {
    (void)state;
    for (int threads = 1; threads <= MOST; threads++) {
        tub__pool *pool = make(threads);
        double start = tub__seconds();
        assert_true(run_regions(pool, 2000, 0.0, 1));
        printf("%d threads: %.1f us a region\n", threads, 1e6 / 2000 * (tub__seconds() - start));
        assert_true(run_regions(pool, 300, 0.2, 2));
        tub__pool_destroy(pool);
    }
    tub__pool_destroy(NULL);
}

/* Every worker reads what its neighbour wrote before the barrier, in regions of unequal numbers of
 * barriers. */
typedef struct relay {
    tub__pool *pool;
    int rounds;
    long cell[MOST][16];
    bool right[MOST];
} relay;

static void pass_on(void *argument, int worker, int workers) {
    relay *r = argument;
    r->right[worker] = true;
    for (int i = 0; i < r->rounds; i++) {
        if ((i * 7 + worker) % 50 == 0) {
            usleep(30);
        }
        r->cell[worker][0] = 100 * i + worker;
        tub__pool_barrier(r->pool);
        const int next = (worker + 1) % workers;
        r->right[worker] = r->right[worker] && r->cell[next][0] == 100 * i + next;
        tub__pool_barrier(r->pool);
    }
}

static void test_barriers(void **state) {
    (void)state;
    for (int threads = 1; threads <= MOST; threads++) {
        static relay r;
        r.pool = make(threads);
        for (int i = 0; i < 60; i++) {
            r.rounds = i * i % 23;
            tub__pool_run(r.pool, pass_on, &r);
            for (int w = 0; w < threads; w++) {
                assert_true(r.right[w]);
            }
        }
        tub__pool_destroy(r.pool);
    }
}

/* Made and destroyed at once, asleep or awake. */
static void test_short_lives(void **state) {
    (void)state;
    for (int i = 0; i < 200; i++) {
        tub__pool *pool = make(1 + i % MOST);
        if (i % 3 == 0) {
            assert_true(run_regions(pool, i % 5, 0.0, 3));
        }
        if (i % 10 == 0) {
            usleep(1000);
        }
        tub__pool_destroy(pool);
    }
}

static void *use_own_pool(void *argument) {
    bool *right = argument;
    tub__pool *pool;
    tub_error err;
    *right = tub__pool_create(&tub__default_allocator, 3, &pool, &err) == TUB_OK;
    if (*right) {
        *right = run_regions(pool, 500, 0.05, 4);
        tub__pool_destroy(pool);
    }
    return NULL;
}

/* Several contexts in several threads: pools know nothing of each other. */
static void test_several(void **state) {
    (void)state;
    pthread_t thread[3];
    bool right[3];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, use_own_pool, &right[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(thread[i], NULL);
        assert_true(right[i]);
    }
}

static void *keep_busy(void *argument) {
    volatile bool *go_on = argument;
    while (__atomic_load_n(go_on, __ATOMIC_RELAXED)) {
    }
    return NULL;
}

/* Another program takes a core: regions get slower, not a thousand times slower. */
static void test_busy_core(void **state) {
    (void)state;
    enum { REGIONS = 200 };
    bool go_on = true;
    int busy = tub__available_cores();
    pthread_t thread[64];
    busy = busy > 64 ? 64 : busy;
    for (int i = 0; i < busy; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, keep_busy, &go_on), 0);
    }
    tub__pool *pool = make(2);
    double start = tub__seconds();
    bool right = run_regions(pool, REGIONS, 0.0, 5);
    double each = (tub__seconds() - start) / REGIONS;
    __atomic_store_n(&go_on, false, __ATOMIC_RELAXED);
    for (int i = 0; i < busy; i++) {
        pthread_join(thread[i], NULL);
    }
    tub__pool_destroy(pool);
    printf("all cores busy: %.1f us a region\n", 1e6 * each);
    assert_true(right);
    assert_true(each < 0.1); /* a few of the scheduler's time slices */
}

static void note_signals(void *argument, int worker, int workers) {
    sigset_t set;
    (void)workers;
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    ((int *)argument)[worker] = sigismember(&set, SIGINT);
}

static void test_signals_go_to_the_caller(void **state) {
    (void)state;
    int blocked[3] = {-1, -1, -1};
    tub__pool *pool = make(3);
    tub__pool_run(pool, note_signals, blocked);
    tub__pool_destroy(pool);
    assert_int_equal(blocked[0], 0);
    assert_int_equal(blocked[1], 1);
    assert_int_equal(blocked[2], 1);
}

static void test_arguments(void **state) {
    (void)state;
    tub__pool *pool = NULL;
    tub_error err;
    assert_int_equal(tub__pool_create(&tub__default_allocator, 0, &pool, &err), TUB_E_ARGUMENT);
    assert_int_equal(tub__pool_create(&tub__default_allocator, TUB__POOL_LIMIT + 1, &pool, &err),
                     TUB_E_ARGUMENT);
    assert_null(pool);
    assert_true(tub__available_cores() >= 1);
}

static void test_shares(void **state) {
    (void)state;
    for (size_t n = 0; n < 50; n++) {
        for (int workers = 1; workers < 10; workers++) {
            size_t next = 0;
            for (int w = 0; w < workers; w++) {
                size_t begin, end;
                tub__share(n, w, workers, &begin, &end);
                assert_int_equal(begin, next);
                assert_true(end - begin == n / (size_t)workers ||
                            end - begin == n / (size_t)workers + 1);
                next = end;
            }
            assert_int_equal(next, n);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_regions),     cmocka_unit_test(test_barriers),
        cmocka_unit_test(test_short_lives), cmocka_unit_test(test_several),
        cmocka_unit_test(test_busy_core),   cmocka_unit_test(test_signals_go_to_the_caller),
        cmocka_unit_test(test_arguments),   cmocka_unit_test(test_shares)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
