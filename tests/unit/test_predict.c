/* SPDX-License-Identifier: Apache-2.0 */
/* Running a model over a split: the same bits for every batch size, events on the way, both sides
 * named when they do not fit. */
#include <stdlib.h>
#include <string.h>
#include <tubelet/tubelet.h>

#include "base/context.h"
#include "base/error.h"
#include "cmocka_all.h"
#include "data/dataset.h"
#include "failing_alloc.h"

enum { SAMPLES = 11, VOXELS = 4 * 6 * 6 * 2, CLASSES = 3 };

typedef struct fixture {
    tub_context *ctx;
    tub_model *model;
    tub_dataset data;
    unsigned char samples[SAMPLES * VOXELS];
    uint64_t events, done;
} fixture;

static const tub_model_config model_config = {.size = sizeof(tub_model_config),
                                              .frames = 4,
                                              .height = 6,
                                              .width = 6,
                                              .channels = 2,
                                              .tubelet = {2, 3, 2},
                                              .hidden = 8,
                                              .heads = 2,
                                              .layers = 1,
                                              .mlp = 12,
                                              .classes = CLASSES,
                                              .qkv_bias = 1,
                                              .norm_epsilon = 1e-6};

static void count_event(void *user, const tub_event *event) {
    fixture *f = user;
    assert_int_equal(event->kind, TUB_EVENT_EVALUATE);
    assert_int_equal(event->total, SAMPLES);
    assert_true(event->done > f->done && event->train.loss != event->train.loss);
    f->done = event->done;
    f->events++;
}

static void fill(fixture *f) {
    for (int i = 0; i < SAMPLES * VOXELS; i++) {
        f->samples[i] = (unsigned char)((uint32_t)i * 2654435761u >> 24);
    }
    f->data = (tub_dataset){.info = {.name = "toy.npz",
                                     .frames = 4,
                                     .height = 6,
                                     .width = 6,
                                     .channels = 2,
                                     .dtype = TUB_U8,
                                     .classes = CLASSES,
                                     .task = TUB_TASK_MULTI_CLASS,
                                     .label_columns = 1,
                                     .count = {[TUB_TEST] = SAMPLES}},
                            .samples = {[TUB_TEST] = f->samples}};
}

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    tub_context_config config = tub_context_config_default();
    tub_error err = {0};
    config.threads = 2;
    config.on_event = count_event;
    config.event_user = f;
    assert_ok(tub_context_create(&config, &f->ctx, &err), err);
    assert_ok(tub_model_create(f->ctx, &model_config, 1, &f->model, &err), err);
    fill(f);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    tub_model_close(f->model);
    tub_context_destroy(f->ctx);
    free(f);
    return 0;
}

static void test_batches(void **state) {
    static const int64_t batches[] = {1, 3, 4, SAMPLES, 1000};
    fixture *f = *state;
    float expected[2][SAMPLES * CLASSES], logits[SAMPLES * CLASSES],
        probabilities[SAMPLES * CLASSES];
    tub_error err = {0};
    assert_ok(
        tub_model_forward(f->model, SAMPLES, TUB_U8, f->samples, expected[0], expected[1], &err),
        err);
    assert_memory_not_equal(expected[0], expected[0] + CLASSES, CLASSES * sizeof(float));
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        int64_t b = batches[i] < SAMPLES ? batches[i] : SAMPLES;
        memset(logits, 0xff, sizeof logits);
        memset(probabilities, 0xff, sizeof probabilities);
        f->events = f->done = 0;
        assert_ok(tub_predict_split(f->model, &f->data, TUB_TEST, batches[i], logits, probabilities,
                                    &err),
                  err);
        assert_memory_equal(logits, expected[0], sizeof logits);
        assert_memory_equal(probabilities, expected[1], sizeof probabilities);
        assert_int_equal(f->events, (SAMPLES + b - 1) / b);
        assert_int_equal(f->done, SAMPLES);
        memset(logits, 0xff, sizeof logits);
        memset(probabilities, 0xff, sizeof probabilities);
        f->done = 0;
        assert_ok(
            tub_predict_split(f->model, &f->data, TUB_TEST, batches[i], NULL, probabilities, &err),
            err);
        f->done = 0;
        assert_ok(tub_predict_split(f->model, &f->data, TUB_TEST, batches[i], logits, NULL, &err),
                  err);
        assert_memory_equal(logits, expected[0], sizeof logits);
        assert_memory_equal(probabilities, expected[1], sizeof probabilities);
    }
}

static void expect_refused(fixture *f, tub_split split, int64_t batch, tub_status status,
                           const char *sentence) {
    float logits[SAMPLES * CLASSES];
    tub_error err = {0};
    assert_int_equal(tub_predict_split(f->model, &f->data, split, batch, logits, NULL, &err),
                     status);
    assert_string_equal(err.message, sentence);
    assert_int_equal(f->events, 0);
}

static void test_misfits(void **state) {
    fixture *f = *state;
    expect_refused(f, TUB_VAL, 4, TUB_E_NOT_FOUND, "toy.npz has no samples in the split 'val'");
    expect_refused(f, TUB_TEST, 0, TUB_E_ARGUMENT, "batch size 0: at least 1 is needed");
    f->data.info.width = 7;
    expect_refused(f, TUB_TEST, 4, TUB_E_SHAPE,
                   "toy.npz: a volume is [4,6,7,2], the model takes [4,6,6,2] "
                   "(T,H,W,C); resample it first");
    f->data.info.width = 6;
    f->data.info.classes = 11;
    expect_refused(f, TUB_TEST, 4, TUB_E_SHAPE, "toy.npz has 11 classes, the model has 3");
}

/* The same numbers as if they were of labels, and of two heads. */
static tub_status evaluate_tasks(tub_context *ctx, const float *probabilities, tub_error *err) {
    static const int32_t truth[SAMPLES * CLASSES] = {1, 0, 1, 0, 0, 1, 1, 1};
    static const int64_t sizes[2] = {1, CLASSES - 1};
    const tub_model_config labels = {.task = TUB_TASK_MULTI_LABEL, .classes = CLASSES},
                           heads = {.task = TUB_TASK_MULTI_HEAD,
                                    .classes = CLASSES,
                                    .head_classes = {1, CLASSES - 1}};
    int32_t pairs[SAMPLES * 2] = {0};
    tub_label_metrics *of_labels = NULL;
    tub_head_metrics *of_heads = NULL;
    tub_scores scores;
    TUB__TRY(tub_task_scores_compute(ctx, &labels, SAMPLES, probabilities, truth, &scores, err));
    TUB__TRY(tub_task_scores_compute(ctx, &heads, SAMPLES, probabilities, pairs, &scores, err));
    TUB__TRY(tub_label_metrics_compute(ctx, SAMPLES, CLASSES, probabilities, truth, 1, 20,
                                       &of_labels, err));
    tub_label_metrics_free(ctx, of_labels);
    TUB__TRY(tub_head_metrics_compute(ctx, SAMPLES, 2, sizes, probabilities, pairs, 1, 20,
                                      &of_heads, err));
    tub_head_metrics_free(ctx, of_heads);
    return TUB_OK;
}

/* Everything of an evaluation through our allocator: context, model, batches, metrics. */
static tub_status evaluate(const tub_allocator *a, void *user, tub_error *err) {
    static const int32_t labels[SAMPLES] = {0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1};
    fixture *f = user;
    float probabilities[SAMPLES * CLASSES];
    tub_context_config config = tub_context_config_default();
    tub_context *ctx = NULL;
    tub_model *model = NULL;
    tub_metrics *metrics = NULL;
    tub_scores scores;
    config.threads = 1;
    config.allocator = *a;
    TUB__TRY(tub_context_create(&config, &ctx, err));
    tub_status status = tub_model_create(ctx, &model_config, 1, &model, err);
    if (status == TUB_OK) {
        status = tub_predict_split(model, &f->data, TUB_TEST, 4, NULL, probabilities, err);
    }
    if (status == TUB_OK) {
        status = tub_scores_compute(ctx, SAMPLES, CLASSES, probabilities, labels, &scores, err);
    }
    if (status == TUB_OK) {
        status =
            tub_metrics_compute(ctx, SAMPLES, CLASSES, probabilities, labels, 1, 20, &metrics, err);
        tub_metrics_free(ctx, metrics);
    }
    if (status == TUB_OK) {
        status = evaluate_tasks(ctx, probabilities, err);
    }
    tub_model_close(model);
    tub_context_destroy(ctx);
    return status;
}

/* Batches that no address space holds are refused, not counted modulo 2^64. */
/* float64 is float32 once it is rounded; there are no other types. */
static void test_types(void **state) {
    fixture *f = *state;
    float singles[VOXELS], expected[CLASSES], logits[CLASSES];
    double doubles[VOXELS];
    tub_error err = {0};
    for (int i = 0; i < VOXELS; i++) {
        doubles[i] = (double)f->samples[i] / 255;
        singles[i] = (float)doubles[i];
    }
    assert_ok(tub_model_forward(f->model, 1, TUB_F32, singles, expected, NULL, &err), err);
    assert_ok(tub_model_forward(f->model, 1, TUB_F64, doubles, logits, NULL, &err), err);
    assert_memory_equal(logits, expected, sizeof logits);
    assert_int_equal(tub_model_forward(f->model, 1, TUB_DTYPES, singles, logits, NULL, &err),
                     TUB_E_ARGUMENT);
    assert_non_null(strstr(err.message, "uint8, float32 and float64"));
}

static void test_huge_batches(void **state) {
    fixture *f = *state;
    tub_error err = {0};
    size_t of_one = 0; /* bytes for a sample among 64; with more of them it is not much less */
    bool refused = false;
    tub_model_config wide = model_config;
    wide.mlp = 1 << 18; /* one array so much longer than the others that it alone can overflow */
    for (int shift = 0; shift < 63; shift++) {
        tub_model_cost cost;
        tub_status status = tub_model_cost_of(&wide, INT64_C(1) << shift, &cost, &err);
        of_one = shift == 6 ? cost.training_bytes >> shift : of_one;
        assert_true(status == TUB_E_MEMORY || (status == TUB_OK && !refused));
        assert_true(status != TUB_OK || cost.training_bytes >> shift >= of_one / 2);
        refused = status != TUB_OK;
    }
    assert_true(refused);
    assert_int_equal(tub_model_forward(f->model, INT64_MAX, TUB_U8, f->samples, NULL, NULL, &err),
                     TUB_E_MEMORY);
}

static void test_failing_allocations(void **state) {
    failing_report report = failing_run(evaluate, *state);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations > 15);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_batches, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_misfits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_types, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_huge_batches, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failing_allocations, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
