/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation of an operation made to fail once: a clean error each time, and nothing left
 * over.
 *
 * failing_run() runs an operation again and again; in run n the n-th allocation fails (alone, then
 * also with all after it), until a run needs fewer than n. It must end with TUB_E_MEMORY and a
 * sentence while one failed, and release every block either way. */
#ifndef TEST_FAILING_ALLOC_H
#define TEST_FAILING_ALLOC_H

#include "base/alloc.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

typedef struct failing_alloc {
    atomic_long calls;  /* allocations asked for in this run */
    atomic_long live;   /* blocks not freed */
    atomic_long failed; /* allocations refused in this run */
    long fail_at;       /* 0: never */
    bool and_after;
} failing_alloc;

static void *failing_alloc_take(void *user, size_t size) {
    failing_alloc *f = user;
    long call = atomic_fetch_add(&f->calls, 1) + 1;
    if (f->fail_at > 0 && (call == f->fail_at || (f->and_after && call > f->fail_at))) {
        atomic_fetch_add(&f->failed, 1);
        return NULL;
    }
    void *block = tub__default_allocator.alloc(NULL, size);
    if (block != NULL) {
        memset(block, 0xA5, size); /* nobody may count on cleared memory */
        atomic_fetch_add(&f->live, 1);
    }
    return block;
}

static void failing_alloc_drop(void *user, void *block) {
    failing_alloc *f = user;
    atomic_fetch_sub(&f->live, 1);
    tub__default_allocator.free(NULL, block);
}

static inline tub_allocator failing_allocator(failing_alloc *f) {
    return (tub_allocator){failing_alloc_take, failing_alloc_drop, f};
}

/* Does the whole operation, releasing all it made whether it succeeds or not. */
typedef tub_status failing_operation(const tub_allocator *a, void *user, tub_error *err);

typedef struct failing_report {
    long allocations;  /* of the undisturbed run */
    char problem[700]; /* "" when all was well */
} failing_report;

/* One run with the fail_at-th allocation refused. False when something is wrong; *done when none
 * was refused. */
static inline bool failing_once(failing_operation *operation, void *user, long fail_at,
                                bool and_after, failing_report *report, bool *done) {
    failing_alloc f = {.fail_at = fail_at, .and_after = and_after};
    tub_allocator a = failing_allocator(&f);
    tub_error err = {0};
    tub_status status = operation(&a, user, &err);
    long failed = atomic_load(&f.failed), live = atomic_load(&f.live);
    const char *wrong = NULL;
    if (live != 0) {
        wrong = "blocks were not released";
    } else if (failed == 0 && status != TUB_OK) {
        wrong = "it failed though no allocation did";
    } else if (failed > 0 && status == TUB_OK) {
        wrong = "a failed allocation was not reported";
    } else if (failed > 0 && status != TUB_E_MEMORY) {
        wrong = "the status is not TUB_E_MEMORY";
    } else if (failed > 0 && (err.status != TUB_E_MEMORY || err.message[0] == '\0')) {
        wrong = "there is no error sentence";
    }
    if (wrong != NULL) {
        snprintf(report->problem, sizeof report->problem,
                 "allocation %ld%s refused: %s (%ld blocks live, status %d, '%s')", fail_at,
                 and_after ? " and those after it" : "", wrong, live, (int)status, err.message);
        return false;
    }
    *done = failed == 0;
    report->allocations = atomic_load(&f.calls);
    return true;
}

/* step: 1 to refuse every allocation in turn; larger to visit only each step-th of an operation
 * that makes very many. */
static inline failing_report failing_run_stepped(failing_operation *operation, void *user,
                                                 long step) {
    failing_report report = {0};
    bool done = false;
    for (long n = 1; !done; n += step) {
        if (!failing_once(operation, user, n, true, &report, &done) ||
            !failing_once(operation, user, n, false, &report, &done)) {
            break;
        }
    }
    return report;
}

static inline failing_report failing_run(failing_operation *operation, void *user) {
    return failing_run_stepped(operation, user, 1);
}

#endif
