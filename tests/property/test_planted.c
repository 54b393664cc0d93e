/* SPDX-License-Identifier: Apache-2.0 */
/* Explanations find a cause that was planted: a small model learns to tell clips by stripes in one
 * box of each (planted.h), and of every method at least three times as much of the maps lies on
 * that box as by chance; in more than half of the clips three times as much as on any of the 63
 * other boxes. Of a model that has learned nothing it does not. What integrated gradients add up
 * to; which curves a good map has. */
#include "cmocka_all.h"

#include <math.h>
#include <stdio.h>
#include <tubelet/tubelet.h>

#include "planted.h"
#include "temp_folder.h"

enum { CLIPS = 16, LEAD = 3 };

typedef struct scene {
    temp_folder folder;
    tub_context *ctx;
    tub_model *model;
    planted_set test;
} scene;

/* With a class token, which learns of the box by attention alone. */
static tub_train_config recipe(const char *npz) {
    tub_train_config c = planted_recipe(npz);
    c.model.pooling = TUB_POOL_CLASS_TOKEN;
    return c;
}

static int set_up(void **state) {
    static scene s;
    tub_error err = {0};
    tub_train_result result;
    *state = &s;
    temp_folder_make(&s.folder);
    const char *npz = temp_path(&s.folder, "planted.npz"), *run = temp_path(&s.folder, "run");
    assert_ok(tub_context_create(NULL, &s.ctx, &err), err);
    assert_true(planted_write(s.ctx, npz, &s.test));
    const tub_train_config c = recipe(npz);
    assert_ok(tub_train(s.ctx, &c, NULL, run, 0, &result, &err), err);
    assert_ok(tub_model_open(s.ctx, run, &s.model, &err), err);
    return 0;
}

static int tear_down(void **state) {
    scene *s = *state;
    planted_free(&s->test);
    tub_model_close(s->model);
    tub_context_destroy(s->ctx);
    temp_folder_drop(&s->folder);
    return 0;
}

static tub_explanation explain(const scene *s, int clip, tub_explain_method method) {
    tub_explain_options o = tub_explain_options_default();
    tub_explanation e;
    tub_error err = {0};
    o.method = method;
    assert_ok(tub_explain(s->model, &o, TUB_U8, s->test.clips + clip * PLANTED_VOXELS, &e, &err),
              err);
    assert_int_equal(e.target, s->test.labels[clip]);
    return e;
}

static void test_learned(void **state) {
    const scene *s = *state;
    float probabilities[PLANTED_TEST * PLANTED_CLASSES];
    tub_error err = {0};
    assert_ok(
        tub_model_forward(s->model, PLANTED_TEST, TUB_U8, s->test.clips, NULL, probabilities, &err),
        err);
    for (int i = 0; i < PLANTED_TEST; i++) {
        assert_true(probabilities[i * PLANTED_CLASSES + s->test.labels[i]] > 0.5f);
    }
}

/* Of the maps of some clips: how much lies on the planted box by its share of the clip, the mean;
 * of how many clips there is LEAD times as much on it as on any other box. */
typedef struct found {
    double times;
    int clear;
} found;

static found look(const scene *s, tub_model *model, tub_explain_method method) {
    found f = {0};
    for (int i = 0; i < CLIPS; i++) {
        tub_explain_options o = tub_explain_options_default();
        tub_explanation e;
        tub_error err = {0};
        o.method = method;
        assert_ok(tub_explain(model, &o, TUB_U8, s->test.clips + i * PLANTED_VOXELS, &e, &err),
                  err);
        f.times += planted_times(&s->test, i, &e) / CLIPS;
        f.clear += planted_lead(&s->test, i, &e) >= LEAD;
        tub_explanation_free(&e);
    }
    printf(
        "%-21s on the planted box %4.1f times chance, %d times any other box in %d of %d clips\n",
        tub_explain_method_name(method), f.times, LEAD, f.clear, CLIPS);
    return f;
}

static void test_place(void **state) {
    const scene *s = *state;
    for (int method = 0; method < TUB_EXPLAIN_METHODS; method++) {
        const found f = look(s, s->model, (tub_explain_method)method);
        if (!(f.times >= 3 && 2 * f.clear > CLIPS)) {
            fail_msg("%s has %.2f times chance on the planted box, and %d times any other in %d of "
                     "%d clips only",
                     tub_explain_method_name((tub_explain_method)method), f.times, LEAD, f.clear,
                     CLIPS);
        }
    }
}

static void test_adds_up(void **state) {
    const scene *s = *state;
    double worst = 0;
    for (int i = 0; i < CLIPS; i++) {
        tub_explanation e = explain(s, i, TUB_EXPLAIN_INTEGRATED_GRADIENTS);
        const double way = e.logit - e.baseline_logit;
        double sum = 0;
        for (int k = 0; k < PLANTED_VOXELS; k++) {
            sum += (double)e.map[k];
        }
        worst = fmax(worst, fabs(sum - way) / fabs(way));
        tub_explanation_free(&e);
    }
    printf("integrated gradients add up within %.2f %%\n", 100 * worst);
    assert_true(worst <= 0.01);
}

/* Covered in the order of a good map, the class is soon gone, and on the baseline it is soon there:
 * sooner than in the opposite order. One class is what the model says of a clip without stripes: it
 * never goes. */
static void test_curves(void **state) {
    const scene *s = *state;
    int looked_at = 0;
    for (int i = 0; i < CLIPS; i++) {
        const unsigned char *clip = s->test.clips + i * PLANTED_VOXELS;
        tub_explanation e = explain(s, i, TUB_EXPLAIN_OCCLUSION);
        tub_explain_curves good, other;
        tub_error err = {0};
        assert_ok(tub_explanation_evaluate(s->model, &e, TUB_U8, clip, 64, TUB_BASELINE_DEFAULT,
                                           &good, &err),
                  err);
        const bool goes = good.deletion[64] < 0.5;
        assert_true(!goes || (good.deletion[1] < 0.5 && good.insertion[1] > 0.5));
        looked_at += goes;
        for (int k = 0; k < PLANTED_VOXELS; k++) {
            e.map[k] = -e.map[k];
        }
        assert_ok(tub_explanation_evaluate(s->model, &e, TUB_U8, clip, 64, TUB_BASELINE_DEFAULT,
                                           &other, &err),
                  err);
        assert_true(!goes || good.deletion_auc < other.deletion_auc);
        assert_true(!goes || good.insertion_auc > other.insertion_auc);
        tub_explain_curves_free(&other);
        tub_explain_curves_free(&good);
        tub_explanation_free(&e);
    }
    assert_true(looked_at > CLIPS / 2);
}

/* The control: of a model that has learned nothing the same maps are on no place in particular. */
static void test_control(void **state) {
    const scene *s = *state;
    const tub_train_config c = recipe("none");
    tub_error err = {0};
    tub_model *other;
    assert_ok(tub_model_create(s->ctx, &c.model, 1, &other, &err), err);
    for (int method = 0; method < TUB_EXPLAIN_METHODS; method++) {
        const found f = look(s, other, (tub_explain_method)method);
        assert_true(f.times < 3 && 4 * f.clear < CLIPS);
    }
    tub_model_close(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_learned), cmocka_unit_test(test_place),
                                       cmocka_unit_test(test_adds_up),
                                       cmocka_unit_test(test_curves),
                                       cmocka_unit_test(test_control)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
