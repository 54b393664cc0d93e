/* SPDX-License-Identifier: Apache-2.0 */
/* A run that is killed or stopped, and resumed, ends as the uninterrupted one. */
#include "cmocka_all.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "training.h"

/* A kill at every event of the run in turn: start, each step, each checkpoint (written, not yet
 * told), each epoch, the end. */
static void killed_at_every_event(void **state) {
    (void)state;
    int kills = 0;
    for (int events = 1;; events++) {
        char name[32];
        snprintf(name, sizeof name, "killed-%d", events);
        bool ended = child(name, false, events, -1);
        if (!ended) {
            kills++;
            assert_true(is_run(name)); /* the configuration is there before step 1 */
            assert_true(child(name, true, 0, -1));
        }
        assert_same_run("reference", name);
        assert_clean(name);
        assert_int_equal(tub__folder_remove(&tub__default_allocator, name, NULL), TUB_OK);
        if (ended) {
            break;
        }
    }
    print_message("%d kills\n", kills);
    assert_true(kills > 40);
}

/* One run, killed again and again a few events after each resume: it goes on as long as it gets
 * beyond a checkpoint. */
static void killed_again_and_again(void **state) {
    (void)state;
    bool ended = child("again", false, 9, -1);
    int kills = 0;
    for (; !ended && kills < 50; kills++) {
        ended = child("again", true, 8 + kills % 3, -1);
    }
    print_message("%d kills\n", kills);
    assert_true(ended && kills > 4);
    assert_same_run("reference", "again");
}

static int microseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int)(now.tv_sec % 1000 * 1000000 + now.tv_nsec / 1000);
}

/* Kills at random times: inside a write, a rename, a step. Runs are killed until they end by
 * themselves, and begun anew. */
static void killed_at_random_times(void **state) {
    (void)state;
    enum { KILLS = 40 };
    int begin = microseconds();
    assert_true(child("timed", false, 0, -1));
    int whole = microseconds() - begin, kills = 0, runs = 0, before_run = 0;
    unsigned seed = 7;
    while (kills < KILLS) {
        const char *folder = "random";
        bool ended = false;
        for (runs++; !ended;) {
            bool resume = is_run(folder);
            before_run += !resume;
            ended = child(folder, resume, 0, kills < KILLS ? rand_r(&seed) % whole : -1);
            kills += !ended;
        }
        assert_same_run("reference", folder);
        assert_clean(folder);
        assert_int_equal(tub__folder_remove(&tub__default_allocator, folder, NULL), TUB_OK);
    }
    print_message("%d kills at random times in %d runs, %d starts of them anew\n", kills, runs,
                  before_run);
}

typedef struct stopper {
    tub_context *ctx;
    uint64_t step;
} stopper;

static void stop_at(void *user, const tub_event *event) {
    stopper *s = user;
    if (event->kind == TUB_EVENT_STEP && event->done == s->step) {
        tub_train_stop(s->ctx);
    }
}

static void stopped_and_resumed(void **state) {
    (void)state;
    static const uint64_t steps[] = {1, 5, 6, 35,
                                     36}; /* inside, at and after epochs, before and at the end */
    for (int i = 0; i < 5; i++) {
        stopper s = {NULL, steps[i]};
        tub_context_config context = tub_context_config_default();
        tub_train_config c = long_recipe();
        tub_train_result result;
        tub_error err = {0};
        context.threads = 2;
        context.on_event = stop_at;
        context.event_user = &s;
        assert_int_equal(tub_context_create(&context, &s.ctx, NULL), TUB_OK);
        if (tub_train(s.ctx, &c, NULL, "stopped", i > 0, &result, &err) != TUB_OK) {
            fail_msg("%s", err.message);
        }
        assert_int_equal(result.steps, steps[i]);
        assert_int_equal(result.stopped, steps[i] < 36);
        s.step = 0;
        assert_int_equal(tub_train_resume(s.ctx, "stopped", NULL, 0, &result, &err), TUB_OK);
        assert_int_equal(result.steps, 36);
        assert_int_equal(result.stopped, 0);
        tub_context_destroy(s.ctx);
        assert_same_run("reference", "stopped");
    }
}

/* Another split of the batch may take over: the checkpoint does not depend on it. */
static void resumed_with_other_ranks(void **state) {
    (void)state;
    assert_false(child("ranks", false, 20, -1));
    tub_train_config c = long_recipe();
    c.epochs = 0;
    tub_error err = {0};
    if (run(&c, &(how){3, TUB_CPU_PORTABLE, 1, 1}, "ranks", true, NULL, NULL, NULL, &err) !=
        TUB_OK) {
        fail_msg("%s", err.message);
    }
    assert_same_run("reference", "ranks");
}

static void more_epochs_go_on(void **state) {
    (void)state;
    tub_train_config c = long_recipe();
    tub_train_result result;
    tub_error err = {0};
    c.schedule = TUB_CONSTANT;
    must_run(&c, &plainly, "longer");
    c.epochs = 9;
    must_run(&c, &plainly, "nine");
    assert_int_equal(run(&c, &plainly, "longer", true, NULL, NULL, &result, &err), TUB_OK);
    assert_int_equal(result.epochs, 9);
    assert_same_run("nine", "longer");
    c.epochs = 4;
    assert_int_equal(run(&c, &plainly, "longer", true, NULL, NULL, &result, &err), TUB_E_ARGUMENT);
    assert_non_null(strstr(err.message, "9 epochs already"));
}

static void max_steps_and_patience(void **state) {
    (void)state;
    tub_train_config c = long_recipe();
    tub_train_result result;
    tub_error err = {0};
    c.max_steps = 8;
    assert_int_equal(run(&c, &plainly, "max", false, NULL, NULL, &result, &err), TUB_OK);
    assert_int_equal(result.steps, 8);
    assert_int_equal(result.stopped, 0);
    c.epochs = 0;
    assert_int_equal(run(&c, &plainly, "max", true, NULL, NULL, &result, &err), TUB_OK);
    assert_int_equal(result.steps, 8);

    c = long_recipe();
    c.lr = 0.0; /* nothing gets better after the first epoch */
    c.warmup_epochs = 0.0;
    c.patience = 2;
    assert_int_equal(run(&c, &plainly, "patience", false, NULL, NULL, &result, &err), TUB_OK);
    assert_int_equal(result.epochs, 3);
    assert_int_equal(result.best_epoch, 1);

    /* More epochs give the patience back, and a kill right after that takes nothing away. */
    c.epochs = 9;
    assert_false(child_of(&c, "patience", true, 1, -1));
    c.epochs = 0;
    assert_int_equal(run(&c, &plainly, "patience", true, NULL, NULL, &result, &err), TUB_OK);
    assert_int_equal(result.epochs, 5);
}

/* Without a val split there is no best model, and settings that need one are refused. */
static void no_validation_split(void **state) {
    (void)state;
    tub_train_config c = long_recipe();
    tub_train_result result;
    tub_error err = {0};
    tub_context *ctx = NULL;
    tub_dataset *data = NULL;
    assert_int_equal(tub_context_create(NULL, &ctx, NULL), TUB_OK);
    assert_int_equal(tub_dataset_open(ctx, c.data, NULL, &data, NULL), TUB_OK);
    ((tub_dataset_info *)tub_dataset_describe(data))->count[TUB_VAL] =
        0; /* files always have one */
    assert_int_equal(tub_train(ctx, &c, data, "no-val", 0, &result, &err), TUB_OK);
    assert_true(result.val.loss != result.val.loss && result.best_epoch == 0);
    assert_false(tub__file_exists("no-val/best"));
    char *log = log_without_time("no-val");
    assert_non_null(strstr(log, ",,,,"));
    free(log);
    c.patience = 2;
    assert_int_equal(tub_train(ctx, &c, data, "no-val-2", 0, &result, &err), TUB_E_NOT_FOUND);
    assert_non_null(strstr(err.message, "val split is empty"));
    assert_false(tub__file_exists("no-val-2"));
    tub_dataset_close(data);
    tub_context_destroy(ctx);
}

static void nan_stops_with_a_sentence(void **state) {
    (void)state;
    tub_train_config c = long_recipe();
    tub_error err = {0};
    c.optimizer = TUB_SGD;
    c.clip_norm = 0.0;
    c.lr = 1000.0;
    c.warmup_epochs = 0.0;
    c.schedule = TUB_CONSTANT;
    c.weight_decay = 0.0;
    c.momentum = 1.0;
    c.epochs = 100;
    assert_int_equal(run(&c, &plainly, "nan", false, NULL, NULL, NULL, &err), TUB_E_NUMERIC);
    print_message("%s\n", err.message);
    assert_non_null(strstr(err.message, "not a finite number"));
    assert_clean("nan");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_every_event),     cmocka_unit_test(killed_again_and_again),
        cmocka_unit_test(killed_at_random_times),    cmocka_unit_test(stopped_and_resumed),
        cmocka_unit_test(resumed_with_other_ranks),  cmocka_unit_test(more_epochs_go_on),
        cmocka_unit_test(max_steps_and_patience),    cmocka_unit_test(no_validation_split),
        cmocka_unit_test(nan_stops_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, scratch_enter_with_reference, scratch_leave);
}
