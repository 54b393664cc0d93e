/* SPDX-License-Identifier: Apache-2.0 */
/* Means of answers, and views of clips: against the same made by hand. */
#include "cmocka_all.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <tubelet/tubelet.h>

#include "base/error.h"
#include "failing_alloc.h"
#include "failing_context.h"

enum { T = 4, H = 6, W = 8, C = 2, VOXELS = T * H * W * C, CLASSES = 5, CLIPS = 3 };

static tub_model_config config_of(tub_task task) {
    tub_model_config c;
    assert_int_equal(tub_model_preset("vivit-tiny", &c, NULL), TUB_OK);
    c.frames = T, c.height = H, c.width = W, c.channels = C;
    c.tubelet[0] = 2, c.tubelet[1] = 3, c.tubelet[2] = 4;
    c.hidden = 16, c.heads = 2, c.layers = 1, c.mlp = 24, c.classes = CLASSES;
    c.task = task;
    if (task == TUB_TASK_MULTI_HEAD) {
        c.head_classes[0] = 2, c.head_classes[1] = 3;
    }
    return c;
}

static int set_up(void **state) {
    tub_context_config config = tub_context_config_default();
    config.threads = 2;
    return tub_context_create(&config, (tub_context **)state, NULL) == TUB_OK ? 0 : -1;
}

static int tear_down(void **state) {
    tub_context_destroy(*state);
    return 0;
}

static tub_model *make(tub_context *ctx, tub_task task, uint64_t seed) {
    const tub_model_config c = config_of(task);
    tub_model *m = NULL;
    assert_int_equal(tub_model_create(ctx, &c, seed, &m, NULL), TUB_OK);
    return m;
}

static void fill(unsigned char *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        x[i] = (unsigned char)((uint32_t)i * 2654435761u >> 23);
    }
}

/* ---- means ---- */

static void one_answer_is_itself(void **state) {
    static const float logits[CLASSES] = {0.1f, -3.0f, 1e-7f, 2.5f, 0.3f},
                       probabilities[CLASSES] = {0.1f, 0.2f, 1e-9f, 0.3f, 0.4f};
    const tub_model_config c = config_of(TUB_TASK_MULTI_CLASS);
    float l[CLASSES], p[CLASSES];
    for (int kind = 0; kind <= TUB_AVERAGE_LOGITS; kind++) {
        tub_answers *a;
        assert_int_equal(tub_answers_create(*state, &c, 1, (tub_average)kind, &a, NULL), TUB_OK);
        tub_answers_add(a, logits, probabilities);
        tub_answers_mean(a, l, p);
        assert_memory_equal(l, logits, sizeof l);
        assert_memory_equal(p, probabilities, sizeof p);
        tub_answers_free(a);
    }
}

/* Three models' logits, and what each task makes of their mean. */
static void means_of_logits(void **state) {
    static const float logits[3][CLASSES] = {
        {1, 2, 3, 4, 5}, {0, -1, 2, 100, 0.5f}, {-7, 0, 1, 1, 1}};
    static const float probabilities[3][CLASSES] = {
        {0.1f, 0.2f, 0.3f, 0.4f, 0.0f}, {0, 0, 0, 1, 0}, {0.5f, 0.125f, 0.125f, 0.125f, 0.125f}};
    for (int task = TUB_TASK_MULTI_CLASS; task <= TUB_TASK_MULTI_HEAD; task++) {
        const tub_model_config c = config_of((tub_task)task);
        double mean[CLASSES] = {0}, e[CLASSES], whole = 0.0, heads[2] = {0.0, 0.0};
        float l[CLASSES], p[CLASSES];
        tub_answers *by_logits, *plain;
        assert_int_equal(tub_answers_create(*state, &c, 1, TUB_AVERAGE_LOGITS, &by_logits, NULL),
                         TUB_OK);
        assert_int_equal(tub_answers_create(*state, &c, 1, TUB_AVERAGE_PROBABILITIES, &plain, NULL),
                         TUB_OK);
        tub_answers_add(plain, logits[1], probabilities[1]); /* is forgotten */
        tub_answers_reset(plain, 1);
        for (int i = 0; i < 3; i++) {
            tub_answers_add(by_logits, logits[i], probabilities[i]);
            tub_answers_add(plain, logits[i], probabilities[i]);
            for (int k = 0; k < CLASSES; k++) {
                mean[k] += (double)logits[i][k] / 3.0;
            }
        }
        for (int k = 0; k < CLASSES; k++) {
            e[k] = exp(mean[k]);
            whole += e[k];
            heads[k >= 2] += e[k];
        }
        tub_answers_mean(by_logits, l, p);
        for (int k = 0; k < CLASSES; k++) {
            const double expected = task == TUB_TASK_MULTI_LABEL  ? 1.0 / (1.0 + exp(-mean[k]))
                                    : task == TUB_TASK_MULTI_HEAD ? e[k] / heads[k >= 2]
                                                                  : e[k] / whole;
            assert_true(fabs(mean[k] - l[k]) < 1e-5);
            assert_true(fabs(expected - p[k]) < 1e-6);
        }
        tub_answers_mean(plain, NULL, p);
        for (int k = 0; k < CLASSES; k++) {
            const double sum = (double)probabilities[0][k] + (double)probabilities[1][k] +
                               (double)probabilities[2][k];
            assert_true(p[k] == (float)(sum / 3.0));
        }
        tub_answers_free(by_logits);
        tub_answers_free(plain);
    }
}

static void models_that_do_not_agree(void **state) {
    static const char *const names[2][CLASSES] = {{"a", "b", "c", "d", "e"},
                                                  {"a", "b", "x", "d", "e"}};
    tub_error err = {0};
    tub_model *first = make(*state, TUB_TASK_MULTI_CLASS, 1),
              *second = make(*state, TUB_TASK_MULTI_CLASS, 2),
              *labels = make(*state, TUB_TASK_MULTI_LABEL, 1), *other = NULL;
    tub_model_config c = config_of(TUB_TASK_MULTI_CLASS);
    c.classes = 4;
    assert_int_equal(tub_model_create(*state, &c, 1, &other, NULL), TUB_OK);
    assert_int_equal(tub_model_set_labels(first, names[0], CLASSES, NULL), TUB_OK);
    assert_int_equal(tub_models_agree(first, second, &err), TUB_OK); /* of unknown names */
    assert_int_equal(tub_model_set_labels(second, names[1], CLASSES, NULL), TUB_OK);
    assert_int_equal(tub_models_agree(first, second, &err), TUB_E_SHAPE);
    assert_string_equal(err.message, "its class 2 is 'x', and the first model's is 'c': models of "
                                     "other classes have no mean");
    assert_int_equal(tub_models_agree(first, other, &err), TUB_E_SHAPE);
    assert_string_equal(err.message, "a model of 4 classes has no mean with one of 5, the first");
    assert_int_equal(tub_models_agree(first, labels, &err), TUB_E_SHAPE);
    tub_model_close(first);
    tub_model_close(second);
    tub_model_close(labels);
    tub_model_close(other);
}

/* ---- views ---- */

/* Voxel (t, h, w, c) of a view: mirrored, shifted by half a voxel along an axis, `step` -1, 0 or 1. */
static float view_voxel(const unsigned char *x, int t, int h, int w, int c, bool mirrored, int axis,
                        int step) {
    float sum = 0.0f;
    for (int side = 0; side < 2; side++) {
        int at[3] = {t, h, mirrored ? W - 1 - w : w};
        static const int size[3] = {T, H, W};
        if (side == 1) { /* the shift comes before the mirror */
            at[axis] += step;
            at[axis] = at[axis] < 0 ? 0 : at[axis] >= size[axis] ? size[axis] - 1 : at[axis];
        }
        sum += (float)x[((at[0] * H + at[1]) * W + at[2]) * C + c] / 255.0f;
    }
    return 0.5f * sum;
}

static void by_hand(tub_model *m, const unsigned char *x, tub_views views, float *probabilities) {
    double sum[CLIPS * CLASSES] = {0};
    int count = 0;
    float view[CLIPS * VOXELS], p[CLIPS * CLASSES];
    for (int k = 0; k < 7; k++) { /* no shift, then each axis back and forth */
        const int axis = k == 0 ? 0 : (k - 1) / 2, step = k == 0 ? 0 : k % 2 ? -1 : 1;
        for (int mirrored = 0; mirrored < 2; mirrored++) {
            if ((k > 0 && views == TUB_VIEWS_FLIP) || (mirrored && views == TUB_VIEWS_SHIFT)) {
                continue;
            }
            for (int i = 0; i < CLIPS * VOXELS; i++) {
                const int v = i % VOXELS;
                view[i] = view_voxel(x + i / VOXELS * VOXELS, v / (H * W * C), v / (W * C) % H,
                                     v / C % W, v % C, mirrored != 0, axis, step);
            }
            assert_int_equal(tub_model_forward(m, CLIPS, TUB_F32, view, NULL, p, NULL), TUB_OK);
            for (int i = 0; i < CLIPS * CLASSES; i++) {
                sum[i] += (double)p[i];
            }
            count++;
        }
    }
    assert_int_equal(count, views == TUB_VIEWS_FLIP ? 2 : views == TUB_VIEWS_SHIFT ? 7 : 14);
    for (int i = 0; i < CLIPS * CLASSES; i++) {
        probabilities[i] = (float)(sum[i] / count);
    }
}

static void views_are_what_they_say(void **state) {
    tub_model *m = make(*state, TUB_TASK_MULTI_CLASS, 3);
    unsigned char x[CLIPS * VOXELS];
    float floats[CLIPS * VOXELS], plain[CLIPS * CLASSES], got[CLIPS * CLASSES],
        expected[CLIPS * CLASSES];
    fill(x, sizeof x);
    for (size_t i = 0; i < sizeof x; i++) {
        floats[i] = (float)x[i] / 255.0f;
    }
    assert_int_equal(tub_model_forward(m, CLIPS, TUB_U8, x, NULL, plain, NULL), TUB_OK);
    for (tub_views v = TUB_VIEWS_NONE; v < TUB_VIEWS_KINDS; v++) {
        assert_int_equal(tub_model_forward_views(m, CLIPS, TUB_U8, x, v, TUB_AVERAGE_PROBABILITIES,
                                                 NULL, got, NULL),
                         TUB_OK);
        if (v == TUB_VIEWS_NONE) {
            assert_memory_equal(got, plain, sizeof got);
            continue;
        }
        by_hand(m, x, v, expected);
        for (int i = 0; i < CLIPS * CLASSES; i++) {
            assert_true(fabsf(got[i] - expected[i]) < 2e-7f);
        }
        assert_memory_not_equal(got, plain, sizeof got);
        assert_int_equal(tub_model_forward_views(m, CLIPS, TUB_F32, floats, v,
                                                 TUB_AVERAGE_PROBABILITIES, NULL, expected, NULL),
                         TUB_OK);
        assert_memory_equal(got, expected, sizeof got); /* of floats the same */
    }
    tub_model_close(m);
}

static void sides_are_not_mirrored(void **state) {
    static const char *const organs[] = {"liver", "kidney-right", "lung"},
                             *const turns[] = {"clockwise-1", "still"},
                             *const loud[] = {"Stop", "LEFT turn"}, *const ways[] = {"rightwards"},
                             *const words[] = {"upright", "leftover", "bright", "writing"},
                             *const falls[] = {"fall down", "stand up", "backward"};
    tub_error err = {0};
    (void)state;
    assert_int_equal(tub_views_check(TUB_VIEWS_FLIP, organs, 3, &err), TUB_E_ARGUMENT);
    assert_non_null(strstr(err.message, "'kidney-right'"));
    assert_int_equal(tub_views_check(TUB_VIEWS_ALL, turns, 2, &err), TUB_E_ARGUMENT);
    assert_int_equal(tub_views_check(TUB_VIEWS_FLIP, loud, 2, &err), TUB_E_ARGUMENT);
    assert_non_null(strstr(err.message, "'LEFT turn'"));
    assert_int_equal(tub_views_check(TUB_VIEWS_FLIP, ways, 1, &err), TUB_E_ARGUMENT);
    assert_int_equal(tub_views_check(TUB_VIEWS_FLIP, falls, 3, &err),
                     TUB_OK); /* not by this mirror */
    assert_int_equal(tub_views_check(TUB_VIEWS_SHIFT, organs, 3, &err), TUB_OK);
    assert_int_equal(tub_views_check(TUB_VIEWS_FLIP, words, 4, &err), TUB_OK);
    assert_int_equal(tub_views_check(TUB_VIEWS_FLIP, NULL, 4, &err), TUB_OK);
}

static void names(void **state) {
    (void)state;
    tub_views v;
    tub_average a;
    tub_error err = {0};
    for (int i = 0; i < TUB_VIEWS_KINDS; i++) {
        assert_int_equal(tub_views_parse(tub_views_name((tub_views)i), &v, NULL), TUB_OK);
        assert_int_equal(v, i);
    }
    assert_int_equal(tub_views_parse("flips", &v, &err), TUB_E_ARGUMENT);
    assert_int_equal(tub_average_parse("logits", &a, NULL), TUB_OK);
    assert_int_equal(tub_average_parse("votes", &a, &err), TUB_E_ARGUMENT);
    assert_string_equal(tub_views_name((tub_views)9), "unknown");
    assert_string_equal(tub_average_name((tub_average)9), "unknown");
}

static tub_status views_in(tub_context *ctx, const void *user, tub_error *err) {
    const tub_model_config c = config_of(TUB_TASK_MULTI_CLASS);
    unsigned char x[VOXELS];
    float p[CLASSES];
    tub_model *m;
    (void)user;
    fill(x, sizeof x);
    TUB__TRY(tub_model_create(ctx, &c, 1, &m, err));
    const tub_status status =
        tub_model_forward_views(m, 1, TUB_U8, x, TUB_VIEWS_ALL, TUB_AVERAGE_LOGITS, NULL, p, err);
    tub_model_close(m);
    return status;
}

static tub_status views_once(const tub_allocator *a, void *user, tub_error *err) {
    return in_failing_context(a, 1, TUB_PRECISION_F32, views_in, user, err);
}

static void failing_allocations(void **state) {
    (void)state;
    failing_report report = failing_run(views_once, NULL);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations > 12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_answer_is_itself),     cmocka_unit_test(means_of_logits),
        cmocka_unit_test(models_that_do_not_agree), cmocka_unit_test(views_are_what_they_say),
        cmocka_unit_test(sides_are_not_mirrored),   cmocka_unit_test(names),
        cmocka_unit_test(failing_allocations)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
