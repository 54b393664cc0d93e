/* SPDX-License-Identifier: Apache-2.0 */
/* Averaged weights in a run: against an average made of the checkpoints' weights, one after another;
 * and that keeping one changes no step. */
#include "cmocka_all.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "formats/safetensors.h"
#include "training.h"

enum { STEPS = 12, MOST = 1 << 16 };

/* One array of a file, from begin on in out; returns how many numbers it has. */
static size_t read_array(const tub__st_file *f, const char *prefix, const char *name, float *out) {
    char whole[200];
    snprintf(whole, sizeof whole, "%s%s", prefix, name);
    const tub__st_array *array = tub__st_find(f, whole);
    assert_non_null(array);
    assert_int_equal(tub__st_to_f32(f, array, out, NULL), TUB_OK);
    return (size_t)array->elements;
}

static tub__st_file open_file(const char *path) {
    tub__st_file f;
    tub_error err = {0};
    if (tub__st_open(&tub__default_allocator, path, &f, &err) != TUB_OK) {
        fail_msg("%s", err.message);
    }
    return f;
}

/* All arrays of a model, in the order of model.safetensors. */
static size_t read_all(const char *model, const char *path, const char *prefix, float *out) {
    tub__st_file names = open_file(model), f = open_file(path);
    size_t n = 0;
    for (size_t i = 0; i < names.count; i++) {
        n += read_array(&f, prefix, names.arrays[i].name, out + n);
        assert_true(n <= MOST);
    }
    tub__st_close(&names);
    tub__st_close(&f);
    return n;
}

typedef struct average {
    double *value;
    float *weights;
    size_t n;
    int steps;
    bool warmup;
} average;

/* After each step's checkpoint. */
static void on_event(void *user, const tub_event *event) {
    average *a = user;
    if (event->kind != TUB_EVENT_CHECKPOINT) {
        return;
    }
    a->n = read_all("run/model.safetensors", "run/checkpoint/state.safetensors", "weights/",
                    a->weights);
    const double t = (double)++a->steps, warm = (1.0 + t) / (10.0 + t),
                 decay = a->steps == 1             ? 0.0
                         : a->warmup && warm < 0.8 ? warm
                                                   : 0.8;
    for (size_t i = 0; i < a->n; i++) {
        a->value[i] = decay * a->value[i] + (1.0 - decay) * (double)a->weights[i];
    }
}

static double largest_difference(const average *a, const float *got) {
    double most = 0.0;
    for (size_t i = 0; i < a->n; i++) {
        const double d = fabs(a->value[i] - (double)got[i]);
        most = d <= most ? most : d; /* NaN is kept */
    }
    return most;
}

static void averages_of_all_steps(void **state) {
    (void)state;
    for (int warmup = 0; warmup <= 1; warmup++) {
        tub_train_config c = long_recipe();
        average a = {.value = calloc(MOST, sizeof *a.value),
                     .weights = calloc(MOST, sizeof *a.weights),
                     .warmup = warmup != 0};
        float *got = calloc(MOST, sizeof *got);
        tub_error err = {0};
        c.ema = 0.8;
        c.ema_warmup = warmup;
        c.checkpoint_every = 1;
        c.epochs = STEPS / 6;
        assert_ok(run(&c, &plainly, "run", false, on_event, &a, NULL, &err), err);
        assert_int_equal(a.steps, STEPS);
        read_all("run/model.safetensors", "run/checkpoint/state.safetensors", "average/", got);
        const double kept = largest_difference(&a, got);
        read_all("run/model.safetensors", "run/model.safetensors", "", got);
        const double shown = largest_difference(&a, got),
                     trained = largest_difference(&a, a.weights);
        print_message("warm-up %d: checkpoint %.2g, model %.2g; the weights themselves %.2g\n",
                      warmup, kept, shown, trained);
        assert_true(kept < 1e-6 && shown == kept);
        assert_true(trained > 1e-4); /* the difference can be seen */
        free(a.value), free(a.weights), free(got);
        assert_int_equal(tub__folder_remove(&tub__default_allocator, "run", NULL), TUB_OK);
    }
}

/* The weights that are trained are those of a run without average. */
static void steps_do_not_see_it(void **state) {
    (void)state;
    tub_train_config c = long_recipe();
    float *plain = calloc(MOST, sizeof *plain), *beside = calloc(MOST, sizeof *beside);
    c.epochs = 3;
    must_run(&c, &plainly, "plain");
    c.ema = 0.99;
    must_run(&c, &plainly, "averaged");
    assert_other_weights("plain", "averaged");
    const size_t n = read_all("plain/model.safetensors", "plain/model.safetensors", "", plain);
    read_all("plain/model.safetensors", "averaged/checkpoint/state.safetensors", "weights/",
             beside);
    assert_memory_equal(plain, beside, n * sizeof *plain);
    free(plain), free(beside);
}

/* A best model that is lost is written again, averaged. */
static void best_is_the_average(void **state) {
    (void)state;
    char last[65], best[65];
    tub_error err = {0};
    tub_train_config c = long_recipe();
    c.ema = 0.9;
    c.epochs = 1; /* the first epoch is the best one */
    c.warmup_epochs = 0;
    must_run(&c, &plainly, "best-run");
    file_hash("best-run", "model.safetensors", last);
    file_hash("best-run", "best/model.safetensors", best);
    assert_string_equal(last, best);
    assert_int_equal(tub__folder_remove(&tub__default_allocator, "best-run/best", NULL), TUB_OK);
    c.epochs = 0;
    assert_ok(run(&c, &plainly, "best-run", true, NULL, NULL, NULL, &err), err);
    file_hash("best-run", "best/model.safetensors", best);
    assert_string_equal(last, best);
    file_hash("best-run", "model.safetensors", best);
    assert_string_equal(last, best);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(averages_of_all_steps),
                                       cmocka_unit_test(steps_do_not_see_it),
                                       cmocka_unit_test(best_is_the_average)};
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
