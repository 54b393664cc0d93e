/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks that workers take in turn: each is done once, by a worker that there is, and the first failure counts whoever
 * met it. */
#include "cmocka_all.h"

#include "base/each.h"
#include "base/error.h"
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

enum { TASKS = 400, MOST = 4 };

typedef struct work {
    int threads;
    atomic_int done[TASKS];
    pthread_t caller;
    atomic_flag busy[MOST]; /* a worker's number in a task */
    atomic_bool wrong;      /* a number that no worker has, or that is another thread's */
    const bool *fails;      /* [TASKS]; NULL: none */
} work;

/* Of unequal length, so that tasks end in another order than they began in. */
static tub_status do_task(void *argument, size_t i, int worker, tub_error *err) {
    work *w = argument;
    if (worker < 0 || worker >= w->threads || atomic_flag_test_and_set(&w->busy[worker]) ||
        (worker == 0) != (pthread_equal(pthread_self(), w->caller) != 0)) {
        atomic_store(&w->wrong, true);
        return TUB_OK;
    }
    if (i % 37 == 0) {
        usleep(300);
    }
    atomic_fetch_add(&w->done[i], 1);
    atomic_flag_clear(&w->busy[worker]);
    return w->fails == NULL || !w->fails[i]
               ? TUB_OK
               : tub__fail(err, i == 111 ? TUB_E_FORMAT : TUB_E_RANGE, "task %zu can't be done", i);
}

static tub_status run(int threads, size_t count, const bool *fails, work *w, tub_error *err) {
    tub__pool *pool;
    *w = (work){.threads = threads, .caller = pthread_self(), .fails = fails};
    assert_ok(tub__pool_create(&tub__default_allocator, threads, &pool, err), *err);
    const tub_status status = tub__pool_each(pool, count, do_task, w, err);
    tub__pool_destroy(pool);
    assert_false(atomic_load(&w->wrong));
    return status;
}

static void test_all_once(void **state) {
    static const size_t counts[] = {0, 1, 2, 3, TASKS};
    static work w;
    tub_error err;
    (void)state;
    for (int threads = 1; threads <= MOST; threads++) {
        for (size_t n = 0; n < sizeof counts / sizeof *counts; n++) {
            assert_ok(run(threads, counts[n], NULL, &w, &err), err);
            for (size_t i = 0; i < TASKS; i++) {
                assert_int_equal(atomic_load(&w.done[i]), i < counts[n]);
            }
        }
    }
}

/* As many tasks fail as there are threads: none goes on to the last without having told of a failure. Task 111 is a long
 * one: others fail earlier. */
static void test_first_failure(void **state) {
    static bool fails[TASKS];
    static work w;
    tub_error err;
    (void)state;
    fails[111] = fails[112] = fails[113] = fails[200] = true;
    for (int repeat = 0; repeat < 20; repeat++) {
        for (int threads = 1; threads <= MOST; threads++) {
            assert_int_equal(run(threads, TASKS, fails, &w, &err), TUB_E_FORMAT);
            assert_string_equal(err.message, "task 111 can't be done");
            for (size_t i = 0; i < 111; i++) {
                assert_int_equal(atomic_load(&w.done[i]), 1);
            }
            assert_int_equal(atomic_load(&w.done[TASKS - 1]), 0);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_once),
        cmocka_unit_test(test_first_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
