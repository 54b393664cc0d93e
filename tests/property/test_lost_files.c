/* SPDX-License-Identifier: Apache-2.0 */
/* A run goes on honestly when somebody removed a part of its folder: checkpoint, best/, log.csv. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "training.h"

/* The warnings of a run, and the last of its other lines. */
typedef struct lines {
    int warnings;
    char warning[512], info[512];
} lines;

static void take_line(void *user, const tub_event *event) {
    lines *l = user;
    if (event->kind == TUB_EVENT_LOG && event->level == TUB_LOG_WARNING) {
        l->warnings++;
        snprintf(l->warning, sizeof l->warning, "%s", event->message);
    } else if (event->kind == TUB_EVENT_LOG) {
        snprintf(l->info, sizeof l->info, "%s", event->message);
    }
}

static tub_train_config recipe(int epochs) {
    tub_train_config c = long_recipe();
    c.schedule = TUB_CONSTANT;
    c.epochs = epochs;
    return c;
}

/* Every epoch is as good as the first, which is the best one therefore. */
static tub_train_config idle_recipe(int epochs) {
    tub_train_config c = recipe(epochs);
    c.lr = c.warmup_epochs = 0.0;
    return c;
}

static tub_train_result go_on(const char *folder, int epochs, lines *l) {
    tub_train_config c = recipe(epochs);
    tub_train_result result;
    tub_error err = {0};
    *l = (lines){0};
    assert_ok(run(&c, &plainly, folder, true, take_line, l, &result, &err), err);
    return result;
}

static void remove_folder(const char *folder) {
    assert_true(tub__is_folder(folder));
    assert_int_equal(tub__folder_remove(&tub__default_allocator, folder, NULL), TUB_OK);
}

static void refuse(const char *folder, int epochs, const char *words) {
    char before[65], after[65];
    tub_train_config c = recipe(epochs);
    tub_error err = {0};
    file_hash(folder, "model.safetensors", before);
    assert_int_equal(run(&c, &plainly, folder, true, NULL, NULL, NULL, &err), TUB_E_NOT_FOUND);
    assert_non_null(strstr(err.message, words));
    file_hash(folder, "model.safetensors", after);
    assert_string_equal(before, after);
}

/* A trained model is not overwritten by a run that begins again. */
static void finished_without_checkpoint(void **state) {
    (void)state;
    tub_train_config c = recipe(2);
    must_run(&c, &plainly, "finished");
    remove_folder("finished/checkpoint");
    refuse("finished", 0, "finished is finished and has no checkpoint");
    refuse("finished", 3, "finished is finished and has no checkpoint");
    assert_true(tub__file_exists("finished/best"));
    assert_false(tub__file_exists("finished/checkpoint"));
}

static void stop_at_once(void *user, const tub_event *event) {
    tub_context **ctx = user;
    if (event->kind == TUB_EVENT_STEP && event->done == 8) {
        tub_train_stop(*ctx);
    }
}

static void stopped_without_checkpoint(void **state) {
    (void)state;
    tub_context *ctx = NULL;
    tub_context_config context = tub_context_config_default();
    tub_train_config c = recipe(3);
    tub_error err = {0};
    context.on_event = stop_at_once;
    context.event_user = &ctx;
    assert_int_equal(tub_context_create(&context, &ctx, NULL), TUB_OK);
    assert_ok(tub_train(ctx, &c, NULL, "stopped", 0, NULL, &err), err);
    tub_context_destroy(ctx);
    remove_folder("stopped/checkpoint");
    refuse("stopped", 0, "stopped was stopped and has no checkpoint");
}

/* Before its first checkpoint there is nothing to lose. */
static void killed_before_the_first_checkpoint(void **state) {
    (void)state;
    lines l;
    assert_false(child("early", false, 3, -1));
    assert_false(tub__file_exists("early/checkpoint/state.safetensors"));
    go_on("early", 0, &l);
    assert_int_equal(l.warnings, 0);
    assert_same_run("reference", "early");
}

/* The checkpoint's weights are the best ones: after an epoch, and where max_steps ended the run
 * inside the first. */
static void best_is_written_again(void **state) {
    (void)state;
    for (int partial = 0; partial < 2; partial++) {
        const char *folder = partial ? "part" : "one";
        char best[32], before[65], after[65];
        tub_train_config c = recipe(1);
        lines l;
        c.max_steps = partial ? 3 : 0;
        c.warmup_epochs = 0.0; /* one as long as the run is a warning */
        must_run(&c, &plainly, folder);
        snprintf(best, sizeof best, "%s/best", folder);
        file_hash(best, "model.safetensors", before);
        remove_folder(best);
        assert_int_equal(go_on(folder, 0, &l).best_epoch, 1);
        file_hash(best, "model.safetensors", after);
        assert_string_equal(before, after);
        assert_int_equal(l.warnings, 0);
        assert_non_null(strstr(l.info, "/best is missing: it is written again"));
    }
}

/* Nobody has the weights any more, so nothing claims that there are some. */
static void lost_best_is_forgotten(void **state) {
    (void)state;
    tub_train_config c = idle_recipe(3);
    lines l;
    must_run(&c, &plainly, "lost");
    remove_folder("lost/best");
    tub_train_result result = go_on("lost", 0, &l);
    assert_int_equal(result.best_epoch, 0);
    assert_true(result.best_val.loss != result.best_val.loss);
    assert_int_equal(l.warnings, 1);
    assert_string_equal(l.warning, "lost/best is missing: the weights of epoch 1, the best so far, "
                                   "are lost; the run has no best model any more");
    assert_false(tub__file_exists("lost/best"));

    result = go_on("lost", 5, &l);
    assert_int_equal(result.best_epoch, 4);
    assert_int_equal(l.warnings, 1);
    assert_non_null(strstr(l.warning, "the best of the epochs to come takes its place"));
    assert_true(tub__file_exists("lost/best/model.safetensors"));
    assert_int_equal(go_on("lost", 6, &l).best_epoch, 4);
    assert_int_equal(l.warnings, 0);
}

/* A run that ended by its patience does not go on because its best model is lost. */
static void lost_best_gives_no_patience(void **state) {
    (void)state;
    tub_train_config c = idle_recipe(9);
    lines l;
    c.patience = 2;
    must_run(&c, &plainly, "patient");
    remove_folder("patient/best");
    assert_int_equal(go_on("patient", 0, &l).epochs, 3);
    assert_int_equal(l.warnings, 1);
}

static void lost_log_begins_again(void **state) {
    (void)state;
    tub_train_config c = recipe(2);
    lines l;
    must_run(&c, &plainly, "logless");
    assert_int_equal(unlink("logless/log.csv"), 0);
    go_on("logless", 3, &l);
    assert_int_equal(l.warnings, 1);
    assert_string_equal(l.warning, "logless/log.csv is missing: it begins again, without a row for "
                                   "the 2 epochs before");
    char *log = log_without_time("logless");
    assert_int_equal(strncmp(log, "epoch,step,", 11), 0);
    assert_int_equal(strncmp(strchr(log, '\n'), "\n3,18,", 6), 0);
    free(log);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finished_without_checkpoint),
        cmocka_unit_test(stopped_without_checkpoint),
        cmocka_unit_test(killed_before_the_first_checkpoint),
        cmocka_unit_test(best_is_written_again),
        cmocka_unit_test(lost_best_is_forgotten),
        cmocka_unit_test(lost_best_gives_no_patience),
        cmocka_unit_test(lost_log_begins_again),
    };
    return cmocka_run_group_tests(tests, scratch_enter_with_reference, scratch_leave);
}
