/* SPDX-License-Identifier: Apache-2.0 */
/* The arrays that a map is made of, as files: which there are, all of them or none. */
#include "explain_scene.h"

#include <dirent.h>
#include <math.h>
#include <sys/stat.h>

#include "temp_folder.h"

enum { VARIANTS = TUB_VARIANT_FACTORISED_DOT_PRODUCT + 1 };

typedef struct scene {
    tub_context *ctx;
    temp_folder folder;
    char prefix[300];
} scene;

static int files_in(const char *folder) {
    DIR *all = opendir(folder);
    int n = 0;
    assert_non_null(all);
    while (readdir(all) != NULL) {
        n++;
    }
    closedir(all);
    return n - 2;
}

static bool is_there(const scene *s, const char *name) {
    char path[400];
    struct stat facts;
    snprintf(path, sizeof path, "%s-%s.npy", s->prefix, name);
    return stat(path, &facts) == 0;
}

/* A training is asked to stop when the work has begun. */
static void stop(void *user, const tub_event *event) {
    if (event->kind == TUB_EVENT_EVALUATE && user != NULL) {
        tub_train_stop(*(tub_context **)user);
    }
}

static tub_context *stoppable;

static int set_up(void **state) {
    static scene s;
    tub_context_config c = tub_context_config_default();
    *state = &s;
    fill_x();
    s.ctx = context(2, TUB_PRECISION_F32);
    c.threads = 1;
    c.on_event = stop;
    c.event_user = &stoppable;
    return tub_context_create(&c, &stoppable, NULL);
}

static int tear_down(void **state) {
    tub_context_destroy(stoppable);
    tub_context_destroy(((scene *)*state)->ctx);
    return 0;
}

static int make_folder(void **state) {
    scene *s = *state;
    temp_folder_make(&s->folder);
    snprintf(s->prefix, sizeof s->prefix, "%s/map", s->folder.path);
    return 0;
}

static int drop_folder(void **state) {
    temp_folder_drop(&((scene *)*state)->folder);
    return 0;
}

static tub_explain_options raw_of(const scene *s, int method) {
    tub_explain_options o = options_of((tub_explain_method)method);
    o.raw = s->prefix;
    o.steps = method == TUB_EXPLAIN_INTEGRATED_GRADIENTS ? 4 : 0;
    return o;
}

/* The names are those of the files: of every variant and method. */
static void test_names(void **state) {
    const scene *s = *state;
    for (int v = 0; v < VARIANTS; v++) {
        tub_model *m = vivit(s->ctx, (tub_variant)v);
        for (int method = 0; method < TUB_EXPLAIN_METHODS; method++) {
            const tub_explain_options o = raw_of(s, method);
            tub_explanation e = explain(m, &o);
            int n = 0;
            for (const char *name; (name = tub_explain_raw_name(m, &o, n)) != NULL; n++) {
                assert_true(is_there(s, name));
            }
            assert_true(n > 0);
            assert_int_equal(files_in(s->folder.path), n);
            assert_null(tub_explain_raw_name(m, &o, -1));
            tub_explanation_free(&e);
            drop_folder(state);
            make_folder(state);
        }
        tub_model_close(m);
    }
}

static void test_names_of_nothing(void **state) {
    const scene *s = *state;
    tub_model *m = vivit(s->ctx, TUB_VARIANT_JOINT);
    tub_explain_options o = raw_of(s, TUB_EXPLAIN_ROLLOUT);
    o.target = K;
    assert_null(tub_explain_raw_name(m, &o, 0));
    assert_string_equal(tub_explain_raw_name(m, NULL, 0), "attention");
    tub_model_close(m);
}

/* A folder has the name of one of them, each in turn: then there is none. */
static void test_all_or_none(void **state) {
    const scene *s = *state;
    tub_model *m = vivit(s->ctx, TUB_VARIANT_FACTORISED_ENCODER);
    for (int method = 0; method < TUB_EXPLAIN_METHODS; method++) {
        const tub_explain_options o = raw_of(s, method);
        const char *name;
        for (int n = 0; (name = tub_explain_raw_name(m, &o, n)) != NULL; n++) {
            char path[400];
            tub_explanation e;
            tub_error err = {0};
            snprintf(path, sizeof path, "%s-%s.npy", s->prefix, name);
            assert_int_equal(mkdir(path, 0777), 0);
            assert_int_equal(tub_explain(m, &o, TUB_F32, x, &e, &err), TUB_E_IO);
            assert_non_null(strstr(err.message, name));
            assert_null(e.map);
            assert_int_equal(files_in(s->folder.path), 1);
            drop_folder(state);
            make_folder(state);
        }
    }
    tub_model_close(m);
}

/* The name of the last file is taken by a folder while the map is computed. */
static void take_name(void *user, const tub_event *event) {
    const scene *s = user;
    char path[400];
    if (event->kind == TUB_EVENT_EVALUATE && event->done == event->total) {
        snprintf(path, sizeof path, "%s-gradients.npy", s->prefix);
        (void)mkdir(path, 0777);
    }
}

static void test_last_one_fails(void **state) {
    scene *s = *state;
    tub_context_config c = tub_context_config_default();
    tub_context *ctx;
    tub_explanation e;
    tub_error err = {0};
    c.threads = 1;
    c.on_event = take_name;
    c.event_user = s;
    assert_ok(tub_context_create(&c, &ctx, &err), err);
    tub_model *m = vivit(ctx, TUB_VARIANT_JOINT);
    const tub_explain_options o = raw_of(s, TUB_EXPLAIN_INTEGRATED_GRADIENTS);
    assert_int_equal(tub_explain(m, &o, TUB_F32, x, &e, &err), TUB_E_IO);
    assert_non_null(strstr(err.message, "map-gradients.npy"));
    assert_int_equal(files_in(s->folder.path), 1); /* the folder */
    tub_model_close(m);
    tub_context_destroy(ctx);
}

static void test_stopped(void **state) {
    const scene *s = *state;
    tub_model *m = vivit(stoppable, TUB_VARIANT_JOINT);
    tub_model *other = vivit(s->ctx, TUB_VARIANT_JOINT);
    tub_explain_curves curves;
    tub_error err = {0};
    for (int method = 0; method < TUB_EXPLAIN_METHODS; method++) {
        tub_explain_options o = raw_of(s, method);
        tub_explanation e;
        o.steps *= 100;
        assert_int_equal(tub_explain(m, &o, TUB_F32, x, &e, &err), TUB_E_CANCELLED);
        assert_null(e.map);
        assert_int_equal(files_in(s->folder.path), 0);
    }
    const tub_explain_options o = options_of(TUB_EXPLAIN_ROLLOUT);
    tub_explanation e = explain(other, &o);
    assert_int_equal(
        tub_explanation_evaluate(m, &e, TUB_F32, x, 0, TUB_BASELINE_DEFAULT, &curves, &err),
        TUB_E_CANCELLED);
    assert_null(curves.deletion);
    tub_explanation_free(&e);
    tub_model_close(other);
    tub_model_close(m);
}

/* Scales an array of parameters; how it is named ends so. */
static void scale(tub_model *m, const char *ending, float factor) {
    tub_error err = {0};
    tub_parameter p;
    for (int64_t i = 0; i < tub_model_parameters(m); i++) {
        assert_ok(tub_model_parameter(m, i, &p, &err), err);
        const size_t n = strlen(p.name), length = strlen(ending);
        if (n < length || strcmp(p.name + n - length, ending) != 0) {
            continue;
        }
        float *values = malloc((size_t)p.count * sizeof *values);
        assert_ok(tub_model_get(m, i, values, &err), err);
        for (int64_t k = 0; k < p.count; k++) {
            values[k] *= factor;
        }
        assert_ok(tub_model_set(m, i, values, &err), err);
        free(values);
        return;
    }
    fail_msg("no parameter ends with %s", ending);
}

/* Finite answers, whose gradients float32 does not hold: no map, instead of one of what is no
 * number. */
static void test_numbers_on_the_way(void **state) {
    const scene *s = *state;
    tub_model *m = vivit(s->ctx, TUB_VARIANT_JOINT);
    float small[NUMBERS], logits[K];
    tub_explanation e;
    tub_error err = {0};
    for (int i = 0; i < NUMBERS; i++) {
        small[i] = x[i] * 1e-12f;
    }
    scale(m, "projection.weight", 1e12f);
    scale(m, "classifier.weight", 1e36f);
    assert_ok(tub_model_forward(m, 1, TUB_F32, small, logits, NULL, &err), err);
    assert_true(isfinite(logits[0]) && isfinite(logits[1]) && isfinite(logits[2]));
    const tub_explain_options o = raw_of(s, TUB_EXPLAIN_INTEGRATED_GRADIENTS);
    assert_int_equal(tub_explain(m, &o, TUB_F32, small, &e, &err), TUB_E_NUMERIC);
    assert_non_null(strstr(err.message, "the map has values that are no finite numbers"));
    assert_null(e.map);
    assert_int_equal(files_in(s->folder.path), 0);
    tub_model_close(m);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_folder, drop_folder)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(test_names),       TEST(test_names_of_nothing),
                                       TEST(test_all_or_none), TEST(test_last_one_fails),
                                       TEST(test_stopped),     TEST(test_numbers_on_the_way)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
