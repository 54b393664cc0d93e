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

/* A kill at every every-th event of the run in turn: start, each step, each checkpoint (written, not
 * yet told), each epoch, the end. Returns how many there were. */
static int kill_at_events(const tub_train_config *c, const char *reference, int every) {
    int kills = 0;
    for (int events = 1;; events += every) {
        char name[32];
        snprintf(name, sizeof name, "killed-%d", events);
        bool ended = child_of(c, name, false, events, -1);
        if (!ended) {
            kills++;
            assert_true(is_run(name)); /* the configuration is there before step 1 */
            assert_true(child(name, true, 0, -1));
        }
        assert_same_run(reference, name);
        assert_clean(name);
        assert_int_equal(tub__folder_remove(&tub__default_allocator, name, NULL), TUB_OK);
        if (ended) {
            return kills;
        }
    }
}

static void killed_at_every_event(void **state) {
    (void)state;
    const int kills = kill_at_events(NULL, "reference", 1);
    print_message("%d kills\n", kills);
    assert_true(kills > 40);
}

/* The checkpoint holds float32 weights, of which those in bf16 are made again. */
static void killed_in_bf16(void **state) {
    (void)state;
    tub_train_config c = long_recipe();
    c.precision = TUB_PRECISION_BF16;
    must_run(&c, &plainly, "bf16");
    assert_other_weights("reference", "bf16");
    assert_true(kill_at_events(&c, "bf16", 5) > 8);

    assert_false(child_of(&c, "bf16-threads", false, 20, -1));
    c.epochs = 0;
    tub_error err = {0};
    assert_ok(run(&c, &(how){3, TUB_CPU_AUTO, 1, 0}, "bf16-threads", true, NULL, NULL, NULL, &err),
              err);
    assert_same_run("bf16", "bf16-threads");
}

/* In pieces of a sample and of two, to the bits of the undivided run. */
static void killed_in_micro_batches(void **state) {
    (void)state;
    tub_train_config c = long_recipe();
    for (c.micro_batch = 1; c.micro_batch <= 2; c.micro_batch++) {
        assert_true(kill_at_events(&c, "reference", 9) > 4);
    }
}

/* The checkpoint holds the weights and their average, best/ and model.safetensors the average. */
static void killed_with_averages(void **state) {
    (void)state;
    tub_train_config c = long_recipe();
    turn_accuracy_on(&c);
    must_run(&c, &plainly, "averages");
    assert_true(kill_at_events(&c, "averages", 5) > 8);
}

static void killed_with_everything_dropped(void **state) {
    (void)state;
    tub_train_config c = long_recipe();
    turn_drops_on(&c);
    must_run(&c, &plainly, "drops");
    assert_other_weights("reference", "drops");
    assert_true(kill_at_events(&c, "drops", 7) > 5);
}

/* In the middle of epochs, too: clips are of their places, wherever a run began. */
static void killed_with_augmentation(void **state) {
    (void)state;
    tub_train_config c = long_recipe();
    turn_augmentation_on(&c);
    must_run(&c, &plainly, "augmented");
    assert_other_weights("reference", "augmented");
    assert_true(kill_at_events(&c, "augmented", 7) > 5);
}

static void killed_with_labels_and_heads(void **state) {
    static const char *const data[] = {"tiny-labels.npz", "tiny-heads.npz"}, *const names[] = {
                                                                                 "labels", "heads"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        tub_train_config c = long_recipe();
        use_labels_of(&c, data[i]);
        must_run(&c, &plainly, names[i]);
        assert_true(kill_at_events(&c, names[i], 11) > 3);
    }
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

/* Whether the model card of a run has these words. */
static void assert_card(const char *folder, const char *words, bool expected) {
    char path[256], *text = NULL;
    size_t size = 0;
    snprintf(path, sizeof path, "%s/README.md", folder);
    assert_int_equal(tub__file_read(&tub__default_allocator, path, 1 << 20, &text, &size, NULL),
                     TUB_OK);
    if ((strstr(text, words) != NULL) != expected) {
        fail_msg("'%s' %s in:\n%s", words, expected ? "is not" : "is", text);
    }
    tub__free(&tub__default_allocator, text);
}

static void kill_self(void *user, const tub_event *event) {
    int *left = user;
    (void)event;
    if (--*left == 0) {
        raise(SIGKILL);
    }
}

/* Goes on to more steps in a child that kills itself at its n-th event; true when it came to the
 * end. */
static bool child_with_steps(const tub_train_config *c, const char *folder, int events) {
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        tub_context *ctx = NULL;
        tub_context_config context = tub_context_config_default();
        context.on_event = kill_self;
        context.event_user = &events;
        _exit(tub_context_create(&context, &ctx, NULL) ||
              tub_train_resume(ctx, folder, NULL, 0, c->max_steps, NULL, NULL));
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status);
}

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
        assert_int_equal(tub_train_resume(s.ctx, "stopped", NULL, 0, -1, &result, &err), TUB_OK);
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
    if (run(&c, &(how){3, TUB_CPU_PORTABLE, 1, 0}, "ranks", true, NULL, NULL, NULL, &err) !=
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

static void must_go_on(const char *folder, int64_t epochs, int64_t max_steps) {
    tub_context *ctx = NULL;
    tub_error err = {0};
    assert_int_equal(tub_context_create(NULL, &ctx, NULL), TUB_OK);
    assert_ok(tub_train_resume(ctx, folder, NULL, epochs, max_steps, NULL, &err), err);
    tub_context_destroy(ctx);
}

/* Inside the first epoch, inside a later one and at an end: as if there had been no limit, or the
 * later one only. */
static void more_steps_go_on(void **state) {
    (void)state;
    static const int64_t steps[] = {3, 6, 20};
    tub_train_config c = long_recipe();
    c.schedule = TUB_CONSTANT;
    must_run(&c, &plainly, "no-limit");
    c.max_steps = 21;
    must_run(&c, &plainly, "limit-21");
    for (int i = 0; i < 3; i++) {
        char folder[32];
        snprintf(folder, sizeof folder, "limit-%d", (int)steps[i]);
        c.max_steps = steps[i];
        must_run(&c, &plainly, folder);
        must_go_on(folder, 0, 21);
        assert_same_run("limit-21", folder);
        must_go_on(folder, 0, 0);
        assert_same_run("no-limit", folder);
    }
}

/* The same where the run is killed at any event of going on. */
static void more_steps_survive_kills(void **state) {
    (void)state;
    tub_train_config c = long_recipe();
    c.schedule = TUB_CONSTANT;
    for (int events = 1; events < 30; events += 2) {
        char folder[32];
        snprintf(folder, sizeof folder, "limit-killed-%d", events);
        c.max_steps = 3;
        must_run(&c, &plainly, folder);
        c.max_steps = 21;
        assert_false(child_with_steps(&c, folder, events));
        must_go_on(folder, 0, 21);
        assert_same_run("limit-21", folder);
        assert_clean(folder);
    }
}

static void refuse_limits(const char *folder, int64_t epochs, int64_t max_steps, const char *part) {
    tub_context *ctx = NULL;
    tub_error err = {0};
    assert_int_equal(tub_context_create(NULL, &ctx, NULL), TUB_OK);
    assert_int_equal(tub_train_resume(ctx, folder, NULL, epochs, max_steps, NULL, &err),
                     TUB_E_ARGUMENT);
    assert_non_null(strstr(err.message, part));
    tub_context_destroy(ctx);
}

static void limits_that_were_passed_are_refused(void **state) {
    (void)state;
    tub_train_config c = long_recipe();
    c.schedule = TUB_CONSTANT;
    c.max_steps = 8;
    must_run(&c, &plainly, "limited");
    refuse_limits("limited", 0, 7, "8 steps already; max_steps can't be 7");
    refuse_limits("limited", 9, -1, "not epochs alone");
    refuse_limits("limited", 1, -1, "1 epochs already; epochs can't be 1");
    refuse_limits("reference", 0, 100, "not max_steps alone");
    must_go_on("limited", 0, 8);
}

/* What the card says of a stop inside an epoch, and of a run that was stopped once. */
static void cards_tell_the_weights_from_the_scores(void **state) {
    (void)state;
    static const char *const says[] = {
        "stopped inside epoch 1. The weights are those after step 2, "
        "which were not validated.",
        "stopped inside epoch 2. The weights are those after step "
        "8, the scores those of epoch 1."};
    static const uint64_t steps[] = {2, 8};
    for (int i = 0; i < 2; i++) {
        stopper s = {NULL, steps[i]};
        tub_context_config context = tub_context_config_default();
        tub_train_config c = long_recipe();
        context.on_event = stop_at;
        context.event_user = &s;
        assert_int_equal(tub_context_create(&context, &s.ctx, NULL), TUB_OK);
        assert_int_equal(tub_train(s.ctx, &c, NULL, "card", i > 0, NULL, NULL), TUB_OK);
        tub_context_destroy(s.ctx);
        assert_card("card", says[i], true);
        assert_card("card", "| validation |", i > 0);
        /* Killed after two epochs more: the card claims nothing, because nobody would correct it. */
        assert_false(child_of(NULL, "card", true, 20, -1));
        assert_card("card", "stopped inside", false);
        assert_card("card", "| validation |", false);
        must_go_on("card", 0, -1);
        assert_card("card", "stopped inside", false);
        assert_card("card", "| validation |", true);
    }
}

static void max_steps_and_patience(void **state) {
    (void)state;
    tub_train_config c = long_recipe();
    tub_train_result result;
    tub_error err = {0};
    c.max_steps = 8;
    assert_int_equal(run(&c, &plainly, "max", false, NULL, NULL, &result, &err), TUB_OK);
    assert_int_equal(result.steps, 8);
    assert_int_equal(result.epochs, 2);
    assert_int_equal(result.partial_epoch, 1);
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
    assert_non_null(strstr(err.message, "start a new run with a lower lr (now 1000)"));
    assert_clean("nan");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_every_event),
        cmocka_unit_test(killed_in_bf16),
        cmocka_unit_test(killed_in_micro_batches),
        cmocka_unit_test(killed_with_averages),
        cmocka_unit_test(killed_with_everything_dropped),
        cmocka_unit_test(killed_with_augmentation),
        cmocka_unit_test(killed_with_labels_and_heads),
        cmocka_unit_test(killed_again_and_again),
        cmocka_unit_test(killed_at_random_times),
        cmocka_unit_test(stopped_and_resumed),
        cmocka_unit_test(resumed_with_other_ranks),
        cmocka_unit_test(more_epochs_go_on),
        cmocka_unit_test(more_steps_go_on),
        cmocka_unit_test(more_steps_survive_kills),
        cmocka_unit_test(limits_that_were_passed_are_refused),
        cmocka_unit_test(cards_tell_the_weights_from_the_scores),
        cmocka_unit_test(max_steps_and_patience),
        cmocka_unit_test(no_validation_split),
        cmocka_unit_test(nan_stops_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, scratch_enter_with_reference, scratch_leave);
}
