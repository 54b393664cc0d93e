/* SPDX-License-Identifier: Apache-2.0 */
/* Cross-validation: the same folds however often it is interrupted, of the same data and settings
 * only; a fold's val split is known again wherever the data lie. And runs that the clock ends. */
#include "cmocka_all.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/context.h"
#include "base/file.h"
#include "tiny_data.h"
#include "training.h"

enum { FOLDS = 3 };

static tub_train_config recipe(void) {
    tub_train_config c = small_recipe();
    c.epochs = 2;
    c.batch_size = 8;
    c.folds = FOLDS;
    c.ema = 0.9;
    turn_augmentation_on(&c);
    return c;
}

/* Stops the training at an event of a kind. */
typedef struct stopper {
    tub_context *ctx;
    int left;
} stopper;

static void on_event(void *user, const tub_event *event) {
    stopper *s = user;
    if (event->kind == TUB_EVENT_STEP && s->left > 0 && --s->left == 0) {
        tub_train_stop(s->ctx);
    }
}

static tub_context *make_context(stopper *s, int after) {
    tub_context_config config = tub_context_config_default();
    config.threads = 1;
    config.on_event = on_event;
    config.event_user = s;
    s->left = after;
    assert_int_equal(tub_context_create(&config, &s->ctx, NULL), TUB_OK);
    return s->ctx;
}

static tub_context *context;
static stopper nobody;

static int set_up(void **state) {
    tub_error err = {0};
    if (scratch_enter(state) != 0) {
        return -1;
    }
    context = make_context(&nobody, 0);
    const tub_train_config c = recipe();
    assert_ok(tub_train_folds(context, &c, NULL, "cv", 0, NULL, &err), err);
    return 0;
}

static int tear_down(void **state) {
    tub_context_destroy(context);
    return scratch_leave(state);
}

static void assert_same_folds(const char *a, const char *b) {
    for (int i = 0; i < FOLDS; i++) {
        char left[64], right[64];
        snprintf(left, sizeof left, "%s/fold-%d", a, i);
        snprintf(right, sizeof right, "%s/fold-%d", b, i);
        assert_same_run(left, right);
    }
}

/* Every fold is another model, and their means are those of their metrics. */
static void folds_are_runs(void **state) {
    (void)state;
    tub_folds_result r;
    tub_error err = {0};
    assert_other_weights("cv/fold-0", "cv/fold-1");
    assert_other_weights("cv/fold-1", "cv/fold-2");
    assert_ok(tub_train_folds_resume(context, "cv", NULL, &r, &err), err); /* nothing is left */
    assert_true(r.folds == FOLDS && r.done == FOLDS && !r.stopped);
    double mean = 0.0, squares = 0.0, loss[FOLDS];
    for (int i = 0; i < FOLDS; i++) {
        char run[64];
        tub_train_config c;
        tub_dataset *data;
        tub_model *model;
        tub_scores scores;
        float p[64 * TINY_CLASSES];
        int own = 0;
        snprintf(run, sizeof run, "cv/fold-%d", i);
        assert_ok(tub_run_config(context, run, &c, &err), err);
        assert_ok(tub_run_dataset(context, &c, NULL, NULL, &data, &own, &err), err);
        assert_ok(tub_model_open(context, run, &model, &err), err);
        const int64_t n = tub_dataset_describe(data)->count[TUB_VAL];
        assert_true(own && n == (i == 2 ? 22 : n) && n >= 20 && n <= 24);
        assert_ok(tub_predict_split(model, data, TUB_VAL, 8, NULL, p, &err), err);
        assert_ok(tub_scores_compute(context, n, TINY_CLASSES, p, tub_dataset_labels(data, TUB_VAL),
                                     &scores, &err),
                  err);
        mean += (loss[i] = scores.loss) / FOLDS;
        tub_model_close(model);
        tub_dataset_close(data);
    }
    for (int i = 0; i < FOLDS; i++) {
        squares += (loss[i] - mean) * (loss[i] - mean);
    }
    tub_fold_state states[FOLDS];
    tub_folds_result looked;
    tub_train_config whole;
    assert_ok(tub_folds_config(context, "cv", &whole, &err), err);
    for (int i = 0; i < FOLDS; i++) {
        assert_ok(tub_fold_look(context, "cv", &whole, i, &states[i], &err), err);
        assert_true(states[i].begun && states[i].finished && states[i].epochs == 2);
        assert_true(fabs(states[i].val.loss - loss[i]) < 1e-9);
    }
    tub_folds_sum_up(states, FOLDS, &looked);
    assert_true(looked.done == FOLDS && looked.val.loss == r.val.loss);
    states[1].finished = 0; /* counts no longer */
    tub_folds_sum_up(states, FOLDS, &looked);
    assert_true(looked.done == 2 && fabs(looked.val.loss - (loss[0] + loss[2]) / 2) < 1e-9);
    assert_ok(tub_fold_look(context, "nowhere", &whole, 0, &states[0], &err), err);
    assert_true(!states[0].begun && !states[0].finished && isnan(states[0].val.loss));
    assert_true(fabs(r.val.loss - mean) < 1e-9);
    assert_true(fabs(r.val_deviation.loss - sqrt(squares / (FOLDS - 1))) < 1e-9);
}

/* Stopped inside each fold in turn, and before the first step's checkpoint. */
static void interrupted_folds_go_on(void **state) {
    (void)state;
    const tub_train_config c = recipe();
    for (int after = 1; after < 36; after += 7) {
        stopper s;
        tub_folds_result r;
        tub_error err = {0};
        tub_context *ctx = make_context(&s, after);
        assert_ok(tub_train_folds(ctx, &c, NULL, "stopped", 0, &r, &err), err);
        assert_true(r.stopped && r.done < FOLDS);
        assert_ok(tub_train_folds_resume(ctx, "stopped", NULL, &r, &err), err);
        assert_true(!r.stopped && r.done == FOLDS);
        assert_same_folds("cv", "stopped");
        tub_context_destroy(ctx);
        assert_int_equal(tub__folder_remove(&tub__default_allocator, "stopped", NULL), TUB_OK);
    }
}

/* One fold after the other, in any order, and one that was removed. */
static void single_folds(void **state) {
    (void)state;
    static const int order[FOLDS] = {2, 0, 1};
    tub_train_config c = recipe();
    tub_folds_result r;
    tub_error err = {0};
    for (int i = 0; i < FOLDS; i++) {
        c.fold = order[i];
        assert_ok(tub_train_folds(context, &c, NULL, "single", 0, &r, &err), err);
        assert_int_equal(r.done, i + 1);
    }
    assert_int_equal(tub_train_folds(context, &c, NULL, "single", 0, &r, &err), TUB_E_EXISTS);
    assert_same_folds("cv", "single");
    assert_int_equal(tub__folder_remove(&tub__default_allocator, "single/fold-1", NULL), TUB_OK);
    assert_ok(tub_train_folds_resume(context, "single", NULL, &r, &err), err);
    assert_same_folds("cv", "single");
    c.fold = 0;
    c.fold_seed = 1;
    assert_int_equal(tub_train_folds(context, &c, NULL, "single", 0, &r, &err), TUB_E_EXISTS);
    assert_non_null(strstr(err.message, "cut in another way"));
}

static void expect(tub_status status, tub_status wanted, const tub_error *err, const char *part) {
    assert_int_equal(status, wanted);
    if (strstr(err->message, part) == NULL) {
        fail_msg("'%s' lacks '%s'", err->message, part);
    }
}

static void other_data_and_settings_are_refused(void **state) {
    (void)state;
    tub_train_config c = recipe();
    tub_error err = {0};
    tub_dataset *other;
    assert_ok(tub_dataset_open(context, "tiny-labels.npz", NULL, &other, &err), err);
    expect(tub_train_folds_resume(context, "cv", other, NULL, &err), TUB_E_ARGUMENT, &err,
           "these are other data");
    expect(tub_train_resume(context, "cv/fold-1", other, 0, -1, NULL, &err), TUB_E_ARGUMENT, &err,
           "these are other data");
    tub_dataset_close(other);
    expect(tub_train_folds(context, &c, NULL, "cv", 0, NULL, &err), TUB_E_EXISTS, &err, "--resume");
    expect(tub_train(context, &c, NULL, "one", 0, NULL, &err), TUB_E_ARGUMENT, &err,
           "tub_train_folds");
    c.lr = 1e-3; /* a run of other settings where fold 1 was */
    c.fold = 1;
    assert_ok(tub_train_folds(context, &c, NULL, "mixed", 0, NULL, &err), err);
    c.fold = 0;
    c.lr = 2e-3;
    expect(tub_train_folds(context, &c, NULL, "mixed", 0, NULL, &err), TUB_E_EXISTS, &err,
           "was trained with lr 0.001, and folds.json says 0.002");
    assert_int_equal(rename("mixed/fold-1", "mixed/fold-2"), 0);
    expect(tub_train_folds_resume(context, "mixed", NULL, NULL, &err), TUB_E_EXISTS, &err,
           "is not fold 2");
    c.folds = 67;
    c.fold = -1;
    expect(tub_train_folds(context, &c, NULL, "many", 0, NULL, &err), TUB_E_RANGE, &err,
           "67 folds of 66 samples");
    assert_false(tub__file_exists("many"));
    expect(tub_train_folds_resume(context, "nowhere", NULL, NULL, &err), TUB_E_NOT_FOUND, &err,
           "is no folder of folds");
}

/* force replaces folds and nothing else. */
static void force_replaces_folds_only(void **state) {
    (void)state;
    tub_train_config c = recipe();
    tub_error err = {0};
    c.max_steps = 1;
    assert_ok(tub_train_folds(context, &c, NULL, "forced", 0, NULL, &err), err);
    assert_int_equal(tub__file_write(&tub__default_allocator, "forced/notes", "x", 1, NULL),
                     TUB_OK);
    c.folds = 2;
    expect(tub_train_folds(context, &c, NULL, "forced", 1, NULL, &err), TUB_E_EXISTS, &err,
           "forced has notes in it");
    assert_int_equal(unlink("forced/notes"), 0);
    assert_ok(tub_train_folds(context, &c, NULL, "forced", 1, NULL, &err), err);
    assert_true(tub__file_exists("forced/fold-1") && !tub__file_exists("forced/fold-2"));
    expect(tub_train_folds(context, &c, NULL, "cv/fold-0", 1, NULL, &err), TUB_E_EXISTS, &err,
           "is no folder of folds");
}

/* By content: under another name the same data have the fold's splits, other data under the same name
 * have their own. */
static void data_are_known_by_content(void **state) {
    (void)state;
    tub_train_config c;
    tub_dataset *here, *there;
    tub_error err = {0};
    int own = 0;
    assert_ok(tub_run_config(context, "cv/fold-1", &c, &err), err);
    assert_int_equal(tiny_data_write("moved.npz", TINY_CLASS), 0);
    assert_ok(tub_run_dataset(context, &c, NULL, NULL, &here, &own, &err), err);
    assert_true(own);
    assert_ok(tub_run_dataset(context, &c, "moved.npz", NULL, &there, &own, &err), err);
    assert_true(own);
    char left[33], right[33];
    tub_dataset_digest(here, left);
    tub_dataset_digest(there, right);
    assert_string_equal(left, right);
    assert_int_not_equal(tub_dataset_describe(there)->count[TUB_VAL], TINY_VAL);
    tub_dataset_close(here);
    tub_dataset_close(there);
    assert_ok(tub_run_dataset(context, &c, "tiny-labels.npz", NULL, &there, &own, &err), err);
    assert_true(!own && tub_dataset_describe(there)->count[TUB_VAL] == TINY_VAL);
    tub_dataset_close(there);
}

/* The time is up after the first step: the run is finished, and its recipe gives it again. */
static void the_clock_ends_a_run(void **state) {
    (void)state;
    tub_train_config c = small_recipe(), kept;
    tub_train_result r;
    tub_error err = {0};
    c.batch_size = 8;
    c.budget = 1e-6;
    assert_ok(tub_train(context, &c, NULL, "short", 0, &r, &err), err);
    assert_true(r.steps == 1 && !r.stopped && r.partial_epoch == 1);
    assert_ok(tub_run_config(context, "short", &kept, &err), err);
    assert_true(kept.epochs == 1 && kept.max_steps == 1 && kept.schedule_steps == 6);
    assert_true(kept.warmup_epochs == 0.1 && kept.budget == 0.0);
    must_run(&kept, &plainly, "again");
    assert_same_run("short", "again");
    assert_ok(tub_train_resume(context, "short", NULL, 0, -1, &r, &err), err); /* nothing left */
    assert_int_equal(r.steps, 1);
    c.budget = 1e6; /* more epochs than the recipe has; this one is not waited for */
    stopper s;
    tub_context *ctx = make_context(&s, 1);
    assert_ok(tub_train(ctx, &c, NULL, "long", 0, &r, &err), err);
    assert_ok(tub_run_config(ctx, "long", &kept, &err), err);
    assert_true(r.stopped && kept.epochs > c.epochs && kept.warmup_epochs == c.warmup_epochs);
    tub_context_destroy(ctx);
}

/* A fold of `folder` ended after so many steps, because its time was up. */
static void assert_cut(const char *folder, int fold, int64_t steps) {
    char run[64];
    tub_train_config kept;
    tub_error err = {0};
    snprintf(run, sizeof run, "%s/fold-%d", folder, fold);
    assert_ok(tub_run_config(context, run, &kept, &err), err);
    assert_int_equal(kept.max_steps, steps);
    assert_true(kept.schedule_steps > steps);
}

/* Writes another time of each fold into folds.json. */
static void set_fold_budget(const char *folder, const char *seconds) {
    static const char key[] = "\"fold_budget\": ";
    const tub_allocator *a = &tub__default_allocator;
    char path[64], text[1 << 16];
    char *was = NULL;
    size_t size = 0;
    tub_error err = {0};
    snprintf(path, sizeof path, "%s/folds.json", folder);
    assert_ok(tub__file_read(a, path, sizeof text, &was, &size, &err), err);
    const char *at = strstr(was, key);
    assert_non_null(at);
    at += strlen(key);
    const int n = snprintf(text, sizeof text, "%.*s%s%s", (int)(at - was), was, seconds,
                           at + strcspn(at, ","));
    assert_ok(tub__file_write(a, path, text, (size_t)n, &err), err);
    tub__free(a, was);
}

/* A resumed cross-validation has the time that was written down when it began: folds that have not begun
 * get their share, one that was interrupted what is left of its own. */
static void the_clock_ends_resumed_folds(void **state) {
    (void)state;
    tub_train_config c = recipe();
    tub_folds_result r;
    tub_error err = {0};
    c.fold = 0;
    c.budget = 1e-6;
    assert_ok(tub_train_folds(context, &c, NULL, "timed", 0, &r, &err), err);
    assert_true(r.done == 1 && !r.stopped);
    assert_ok(tub_train_folds_resume(context, "timed", NULL, &r, &err), err);
    assert_int_equal(r.done, FOLDS);
    for (int i = 0; i < FOLDS; i++) {
        assert_cut("timed", i, 1);
    }

    stopper s;
    tub_context *ctx = make_context(&s, 2);
    c.fold = -1;
    c.budget = 3e4; /* far more than two steps take */
    assert_ok(tub_train_folds(ctx, &c, NULL, "halted", 0, &r, &err), err);
    assert_true(r.done == 0 && r.stopped);
    tub_context_destroy(ctx);
    set_fold_budget("halted", "1e-6");
    assert_ok(tub_train_folds_resume(context, "halted", NULL, &r, &err), err);
    assert_int_equal(r.done, FOLDS);
    assert_cut("halted", 0, 3);
    assert_cut("halted", 1, 1);
    assert_cut("halted", 2, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(folds_are_runs),
                                       cmocka_unit_test(interrupted_folds_go_on),
                                       cmocka_unit_test(single_folds),
                                       cmocka_unit_test(other_data_and_settings_are_refused),
                                       cmocka_unit_test(force_replaces_folds_only),
                                       cmocka_unit_test(data_are_known_by_content),
                                       cmocka_unit_test(the_clock_ends_a_run),
                                       cmocka_unit_test(the_clock_ends_resumed_folds)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
