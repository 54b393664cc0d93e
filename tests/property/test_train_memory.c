/* SPDX-License-Identifier: Apache-2.0 */
/* Training and resuming when memory runs out: a clean error for each allocation that fails, and
 * nothing half-written. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cmocka_all.h"
#include "failing_alloc.h"
#include "failing_context.h"
#include "training.h"

typedef struct operation {
    bool resume;
    int ranks;
} operation;

/* The state of a run after its first step, put back before each resumed one. */
static char *state_bytes;
static size_t state_size;

static const char *state_path(void) {
    return "memory/checkpoint/state.safetensors";
}

/* Every allocation takes minutes: ./check visits each so-manieth, TUBELET_TEST_ALL=1 all. */
static long every(long step) {
    return getenv("TUBELET_TEST_ALL") != NULL ? 1 : step;
}

static tub_train_config recipe(void) {
    tub_train_config c = small_recipe();
    c.epochs = 2;
    c.checkpoint_every = 1;
    return c;
}

static tub_status train_once(const tub_allocator *a, void *user, tub_error *err) {
    const operation *o = user;
    if (o->resume) {
        assert_int_equal(
            tub__file_write(&tub__default_allocator, state_path(), state_bytes, state_size, NULL),
            TUB_OK);
    }
    tub_context_config context = tub_context_config_default();
    tub_context *ctx = NULL;
    bool heard = false;
    context.threads = 2;
    context.allocator = *a;
    context.on_event = hear_of_event_files;
    context.event_user = &heard;
    tub_status status = tub_context_create(&context, &ctx, err);
    if (status != TUB_OK) {
        return status;
    }
    tub_train_config c = recipe();
    c.ranks = o->ranks;
    c.micro_batch = 4;
    if (o->ranks > 1) {
        c.loader_threads = 2;
        turn_augmentation_on(&c);
    }
    if (o->resume) {
        status = tub_train_resume(ctx, "memory", NULL, 0, -1, NULL, err);
    } else {
        status = tub_train(ctx, &c, NULL, "memory", 1, NULL, err);
    }
    tub_context_destroy(ctx);
    return status_or_heard(status, heard, err);
}

static void check(operation o, long step) {
    failing_report report = failing_run_stepped(train_once, &o, step);
    print_message("%ld allocations, each %ld-th refused\n", report.allocations, step);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations > 100);
    assert_int_equal(count_temporaries("."), 0);
}

static void training(void **state) {
    (void)state;
    check((operation){false, 1}, every(11));
}

static void training_with_ranks(void **state) {
    (void)state;
    check((operation){false, 2}, every(29));
}

static void stop_at_once(void *user, const tub_event *event) {
    if (event->kind == TUB_EVENT_STEP) {
        tub_train_stop(*(tub_context **)user);
    }
}

static void resuming(void **state) {
    (void)state;
    tub_train_config c = recipe();
    must_run(&c, &(how){1, TUB_CPU_AUTO, 1, 4}, "whole");
    tub_context_config context = tub_context_config_default();
    tub_context *ctx = NULL;
    context.on_event = stop_at_once;
    context.event_user = &ctx;
    c.micro_batch = 4;
    assert_int_equal(tub_context_create(&context, &ctx, NULL), TUB_OK);
    assert_int_equal(tub_train(ctx, &c, NULL, "memory", 1, NULL, NULL), TUB_OK);
    tub_context_destroy(ctx);
    assert_int_equal(tub__file_read(&tub__default_allocator, state_path(), 1 << 26, &state_bytes,
                                    &state_size, NULL),
                     TUB_OK);
    check((operation){true, 1}, every(7));
    tub__free(&tub__default_allocator, state_bytes);
    assert_same_run("whole", "memory"); /* the last one was not disturbed */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(training),
                                       cmocka_unit_test(training_with_ranks),
                                       cmocka_unit_test(resuming)};
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
