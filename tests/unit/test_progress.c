/* SPDX-License-Identifier: Apache-2.0 */
/* How far a run has come: when it is over, which epoch is best, its text in a checkpoint, and
 * the log in step with it. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cmocka_all.h"
#include "temp_folder.h"
#include "train/log.h"
#include "train/progress.h"

static void it_ends(void **state) {
    (void)state;
    tub_train_config c = tub_train_config_default();
    tub__progress p = tub__progress_start();
    c.epochs = 3;
    assert_int_equal(tub__progress_total(&c, 10), 30);
    assert_false(tub__progress_over(&p, &c));
    p.epoch = 3;
    assert_true(tub__progress_over(&p, &c));
    c.max_steps = 25;
    assert_int_equal(tub__progress_total(&c, 10), 25);
    p = (tub__progress){.epoch = 2, .step = 24};
    assert_false(tub__progress_over(&p, &c));
    p.step = 25;
    assert_true(tub__progress_over(&p, &c));
    c.max_steps = 31;
    assert_int_equal(tub__progress_total(&c, 10), 30);
    c.patience = 2;
    p = (tub__progress){.epoch = 2, .step = 20, .waited = 1};
    assert_false(tub__progress_over(&p, &c));
    p.waited = 2;
    assert_true(tub__progress_over(&p, &c));
}

static void the_best_epoch(void **state) {
    (void)state;
    tub__progress p = tub__progress_start();
    assert_true(tub__progress_judge(&p, &(tub_scores){2.0, 0.1, 0.5, 0.6}));
    p.epoch++;
    assert_false(
        tub__progress_judge(&p, &(tub_scores){1.0, 0.9, 0.9, 0.6})); /* the first of equal */
    p.epoch++;
    assert_int_equal(p.waited, 1);
    assert_true(tub__progress_judge(&p, &(tub_scores){3.0, 0.1, 0.5, 0.7}));
    assert_int_equal(p.best_epoch, 3);
    assert_int_equal(p.waited, 0);
    /* Without an AUC the loss decides. */
    assert_true(tub__scores_better(&(tub_scores){1.0, 0, 0, NAN}, &(tub_scores){2.0, 1, 1, NAN}));
    assert_false(tub__scores_better(&(tub_scores){2.0, 1, 1, NAN}, &(tub_scores){1.0, 0, 0, NAN}));
}

static void means(void **state) {
    (void)state;
    tub__progress p = tub__progress_start();
    assert_true(isnan(tub__progress_means(&p).loss));
    p.samples = 4, p.loss = 6.0, p.top1 = 1.0, p.top5 = 3.0;
    tub_scores m = tub__progress_means(&p);
    assert_true(m.loss == 1.5 && m.top1 == 0.25 && m.top5 == 0.75 && isnan(m.auc));
}

static void text_is_exact(void **state) {
    (void)state;
    tub__progress p = tub__progress_start(), back = {0};
    p.step = UINT64_MAX, p.loss = 0.1, p.top1 = -0.0, p.best.auc = 1.0 / 3.0, p.seconds = 1e-310;
    const char *name = NULL;
    char text[TUB__PROGRESS_TEXT];
    unsigned i = 0;
    for (; tub__progress_get(&p, i, &name, text); i++) {
        assert_true(tub__progress_set(&back, i, text));
    }
    assert_memory_equal(&p, &back, sizeof p);
    static const char *const wrong[] = {"", "0", "000000000000000g", "00000000000000000",
                                        "-000000000000001"};
    for (int k = 0; k < 5; k++) {
        assert_false(tub__progress_set(&back, 0, wrong[k]));
    }
    assert_false(tub__progress_set(&back, i, text));
}

static char *file_text(temp_folder *t, const char *name) {
    char *text = NULL;
    size_t size = 0;
    assert_int_equal(
        tub__file_read(&tub__default_allocator, temp_path(t, name), 1 << 16, &text, &size, NULL),
        TUB_OK);
    return text;
}

/* Both logs, one behind the other. */
static char *log_text(temp_folder *t) {
    char *rows = file_text(t, "log.csv"), *lines = file_text(t, "log.jsonl"), *both = NULL;
    assert_true(asprintf(&both, "%s%s", rows, lines) > 0);
    tub__free(&tub__default_allocator, rows);
    tub__free(&tub__default_allocator, lines);
    return both;
}

static void the_log_follows_the_checkpoint(void **state) {
    (void)state;
    const tub_allocator *a = &tub__default_allocator;
    temp_folder t;
    temp_folder_make(&t);
    assert_int_equal(tub__log_trim(a, t.path, 0, NULL), TUB_OK); /* a lost log begins again */
    tub__progress p = tub__progress_start();
    char *before = NULL, *after = NULL;
    for (p.epoch = 0; p.epoch < 3; p.epoch++) {
        p.step += 10;
        p.seconds = 5.0625;
        p.data_wait = 0.125;
        p.train = (tub_scores){1.0 / 3.0, 0.5, 1.0, NAN};
        const tub__log_values row = tub__log_values_of(&p, 1e-4);
        assert_int_equal(tub__log_row(a, t.path, &row, NULL), TUB_OK);
        if (p.epoch == 1) {
            before = log_text(&t);
        }
    }
    assert_int_equal(tub__file_append(temp_path(&t, "log.csv"), "4,4", 3, NULL), TUB_OK); /* torn */
    assert_int_equal(tub__log_trim(a, t.path, 29, NULL), TUB_OK);
    after = log_text(&t);
    assert_string_equal(before, after);
    assert_non_null(strstr(after, "\n2,20,5.062,0.3333333333333333,0.5,1.0,,,,,0.0001,0.125\n"));
    assert_non_null(strstr(
        after, "\n{\"epoch\": 2, \"step\": 20, \"seconds\": 5.062, \"train_loss\": "
               "0.3333333333333333, \"train_top1\": 0.5, \"train_top5\": 1.0, \"val_loss\": null, "
               "\"val_top1\": null, \"val_top5\": null, \"val_auc\": null, \"lr\": 0.0001, "
               "\"data_wait\": 0.125}\n"));
    /* Lost lines come back with the rows, and what somebody has written into one is not known. */
    assert_int_equal(unlink(temp_path(&t, "log.jsonl")), 0);
    assert_int_equal(tub__log_trim(a, t.path, 29, NULL), TUB_OK);
    free(before);
    before = log_text(&t);
    assert_string_equal(before, after);
    static const char odd[] = "3,30,-1,nan,0x1,much,1e400,,,,1,\n";
    assert_int_equal(tub__file_append(temp_path(&t, "log.csv"), odd, sizeof odd - 1, NULL), TUB_OK);
    assert_int_equal(tub__log_trim(a, t.path, 30, NULL), TUB_OK);
    free(after);
    after = log_text(&t);
    assert_non_null(strstr(
        after,
        "\n{\"epoch\": 3, \"step\": 30, \"seconds\": null, \"train_loss\": null, "
        "\"train_top1\": null, \"train_top5\": null, \"val_loss\": null, \"val_top1\": null, "
        "\"val_top5\": null, \"val_auc\": null, \"lr\": 1.0, \"data_wait\": null}\n"));
    free(before);
    free(after);
    temp_folder_drop(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_ends),
        cmocka_unit_test(the_best_epoch),
        cmocka_unit_test(means),
        cmocka_unit_test(text_is_exact),
        cmocka_unit_test(the_log_follows_the_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
