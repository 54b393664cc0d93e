/* SPDX-License-Identifier: Apache-2.0 */
/* best/ and the last weights belong to the checkpoint, also when a kill comes between them and the
 * run then goes another way, with another number of epochs. */
#include "cmocka_all.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "training.h"

enum { EPOCHS = 6 };

static int best_epoch; /* of the whole run: a later epoch than the first */

static tub_train_config recipe(void) {
    tub_train_config c = long_recipe();
    c.checkpoint_every = 0; /* one checkpoint an epoch */
    c.lr = 5e-4;            /* slow enough for a late best epoch */
    return c;
}

static int set_up(void **state) {
    tub_train_result result;
    if (scratch_enter(state) != 0) {
        return -1;
    }
    tub_train_config c = recipe();
    if (run(&c, &plainly, "whole", false, NULL, NULL, &result, NULL) != TUB_OK) {
        return -1;
    }
    best_epoch = (int)result.best_epoch;
    return best_epoch > 1 ? 0 : -1;
}

static void copy(const char *from, const char *to) {
    const tub_allocator *a = &tub__default_allocator;
    char *bytes;
    size_t size;
    assert_int_equal(tub__file_read(a, from, 1 << 26, &bytes, &size, NULL), TUB_OK);
    assert_int_equal(tub__file_write(a, to, bytes, size, NULL), TUB_OK);
    tub__free(a, bytes);
}

/* Keeps the checkpoint before the last one, which is written when the kill comes. */
static void kill_at_checkpoint(void *user, const tub_event *event) {
    int *left = user;
    if (event->kind == TUB_EVENT_CHECKPOINT) {
        --*left;
        if (*left == 1) {
            copy("killed/checkpoint/state.safetensors", "before");
        }
        if (*left == 0) {
            raise(SIGKILL);
        }
    }
}

/* The run "killed" as a kill at the end of an epoch leaves it, with the epoch's checkpoint just
 * written or, without it, about to be. */
static void make_killed(int epoch, bool with_checkpoint) {
    assert_int_equal(tub__folder_remove(&tub__default_allocator, "killed", NULL), TUB_OK);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        tub_train_config c = recipe();
        _exit(run(&c, &plainly, "killed", false, kill_at_checkpoint, &epoch, NULL, NULL));
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    if (!with_checkpoint) {
        copy("before", "killed/checkpoint/state.safetensors");
    }
}

static tub_train_result resumed(int epochs) {
    tub_train_config c = recipe();
    tub_train_result result;
    tub_error err = {0};
    c.epochs = epochs;
    assert_ok(run(&c, &plainly, "killed", true, NULL, NULL, &result, &err), err);
    return result;
}

static void assert_same_as(const char *reference) {
    assert_same_run(reference, "killed");
    assert_false(tub__file_exists("killed/best.next"));
    assert_clean("killed");
}

/* The best epoch was written and never counted; the run then ends before it, or goes past it by
 * another schedule. */
static void uncounted_best_is_taken_back(void **state) {
    (void)state;
    static const int more[] = {0, 1, 5};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        char reference[32];
        int before = best_epoch - 1, epochs = before + more[i];
        make_killed(before, true);
        (void)resumed(epochs);
        snprintf(reference, sizeof reference, "reference-%d", more[i]);
        assert_int_equal(rename("killed", reference), 0);
        make_killed(best_epoch, false);
        tub_train_result result = resumed(epochs);
        assert_true(more[i] > 0 || result.best_epoch < best_epoch);
        assert_same_as(reference);
    }
}

/* The checkpoint counts an epoch as the best that has not taken its place yet, or has just done. */
static void counted_best_is_kept(void **state) {
    (void)state;
    for (int exchanged = 0; exchanged < 2; exchanged++) {
        make_killed(best_epoch, true);
        if (exchanged && tub__is_folder("killed/best")) {
            assert_int_equal(rename("killed/best", "killed/old"), 0);
            assert_int_equal(rename("killed/best.next", "killed/best"), 0);
            assert_int_equal(rename("killed/old", "killed/best.next"), 0);
        }
        (void)resumed(EPOCHS);
        assert_same_as("whole");
    }
}

/* Without its checkpoint a run that had no end begins again: an epoch of the same number, by another recipe, is
 * another one. */
static void former_best_is_not_taken_for_ours(void **state) {
    (void)state;
    tub_train_config c = recipe();
    c.epochs = 1;
    c.warmup_epochs = 0;
    assert_int_equal(tub__folder_remove(&tub__default_allocator, "killed", NULL), TUB_OK);
    must_run(&c, &plainly, "killed");
    c.lr *= 3;
    must_run(&c, &plainly, "faster");
    assert_int_equal(unlink("killed/checkpoint/state.safetensors"), 0);
    assert_int_equal(unlink("killed/metrics.json"), 0); /* as after a kill: it had no end */
    copy("faster/recipe.yaml", "killed/recipe.yaml");
    assert_int_equal(resumed(0).best_epoch, 1);
    assert_same_as("faster");
    assert_int_equal(tub__folder_remove(&tub__default_allocator, "faster", NULL), TUB_OK);
}

/* metrics.json tells of an end: it goes when the run is to go on, and comes again. */
static void metrics_are_of_the_end(void **state) {
    (void)state;
    tub_train_config c = recipe();
    tub_error err = {0};
    assert_int_equal(tub__folder_remove(&tub__default_allocator, "killed", NULL), TUB_OK);
    must_run(&c, &plainly, "killed");
    assert_true(tub__file_exists("killed/metrics.json"));
    c.epochs = EPOCHS + 1;
    assert_false(child_of(&c, "killed", true, 3, -1));
    assert_false(tub__file_exists("killed/metrics.json"));
    assert_ok(run(NULL, &plainly, "killed", true, NULL, NULL, NULL, &err), err);
    assert_true(tub__file_exists("killed/metrics.json"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uncounted_best_is_taken_back),
        cmocka_unit_test(counted_best_is_kept),
        cmocka_unit_test(former_best_is_not_taken_for_ours),
        cmocka_unit_test(metrics_are_of_the_end),
    };
    return cmocka_run_group_tests(tests, set_up, scratch_leave);
}
