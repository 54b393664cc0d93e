/* SPDX-License-Identifier: Apache-2.0 */
/* Models in bf16, whole: what they hold, what they compute, and what is refused. */
#include "cmocka_all.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu.h"
#include "base/error.h"
#include "model/model.h"
#include "temp_folder.h"

enum { SAMPLES = 9, CLASSES = 3, VOXELS = 6 * 8 * 8 };

typedef struct scene {
    temp_folder folder;
    tub_context *full, *reduced; /* of both precisions */
    unsigned char x[SAMPLES * VOXELS];
} scene;

static tub_model_config odd_config(void) {
    tub_model_config c;
    assert_int_equal(tub_model_preset("vivit-tiny", &c, NULL), TUB_OK);
    c.frames = 6;
    c.height = c.width = 8;
    c.tubelet[0] = 2, c.tubelet[1] = 4, c.tubelet[2] = 5;
    c.hidden = 42;
    c.heads = 3;
    c.layers = 2;
    c.mlp = 50;
    c.classes = CLASSES;
    return c;
}

static tub_context *context_of(tub_precision precision) {
    tub_context_config config = tub_context_config_default();
    tub_context *ctx;
    tub_error err = {0};
    config.threads = 2;
    config.precision = precision;
    assert_ok(tub_context_create(&config, &ctx, &err), err);
    return ctx;
}

static int set_up(void **state) {
    static scene s;
    const tub_model_config c = odd_config();
    tub_model *model;
    tub_error err = {0};
    temp_folder_make(&s.folder);
    s.full = context_of(TUB_PRECISION_F32);
    s.reduced = context_of(TUB_PRECISION_BF16);
    for (size_t i = 0; i < sizeof s.x; i++) {
        s.x[i] = (unsigned char)((uint32_t)i * 2654435761u >> 24);
    }
    assert_ok(tub_model_create(s.full, &c, 7, &model, &err), err);
    assert_ok(tub_model_save(model, temp_path(&s.folder, "model"), &err), err);
    tub_model_close(model);
    *state = &s;
    return 0;
}

static int tear_down(void **state) {
    scene *s = *state;
    tub_context_destroy(s->full);
    tub_context_destroy(s->reduced);
    temp_folder_drop(&s->folder);
    return 0;
}

static tub_model *open_model(tub_context *ctx, const scene *s, const char *name) {
    tub_model *model;
    tub_error err = {0};
    assert_ok(tub_model_open(ctx, temp_path((temp_folder *)&s->folder, name), &model, &err), err);
    return model;
}

/* The caller frees it. */
static float *values_of(const tub_model *m, int64_t index, size_t *count) {
    tub_parameter p;
    tub_error err = {0};
    assert_ok(tub_model_parameter(m, index, &p, &err), err);
    float *values = malloc((size_t)p.count * sizeof *values);
    assert_non_null(values);
    assert_ok(tub_model_get(m, index, values, &err), err);
    *count = (size_t)p.count;
    return values;
}

static void forward(tub_model *m, const scene *s, float *logits) {
    tub_error err = {0};
    assert_ok(tub_model_forward(m, SAMPLES, TUB_U8, s->x, logits, NULL, &err), err);
}

/* Rounded to bfloat16 by arithmetic: 8 digits of the significand, ties to even. */
static float rounded(float x) {
    int exponent;
    const double significand = frexp((double)x, &exponent);
    return (float)ldexp(nearbyint(ldexp(significand, 8)), exponent - 8);
}

static bool is_factor(const tub_model *m, int64_t index) {
    return m->params.list[index].reducible;
}

/* Factors of products come back rounded, everything else as it was. */
static void test_get(void **state) {
    const scene *s = *state;
    tub_model *full = open_model(s->full, s, "model"),
              *reduced = open_model(s->reduced, s, "model");
    int64_t factors = 0;
    size_t changed = 0;
    for (int64_t i = 0; i < tub_model_parameters(full); i++) {
        size_t n, same;
        float *a = values_of(full, i, &n), *b = values_of(reduced, i, &same);
        assert_int_equal(n, same);
        for (size_t j = 0; j < n; j++) {
            assert_true(b[j] == (is_factor(full, i) ? rounded(a[j]) : a[j]));
            changed += a[j] != b[j];
        }
        factors += is_factor(full, i);
        free(a), free(b);
    }
    assert_int_equal(factors, 1 + 6 * 2); /* the embedding; q, k, v, output and two of the MLP */
    assert_true(changed > 1000);
    tub_model_close(full);
    tub_model_close(reduced);
}

/* Arrays set one by one make the model that was opened; saved and opened again it is the same. */
static void test_set_and_save(void **state) {
    scene *s = *state;
    float expected[SAMPLES * CLASSES], logits[SAMPLES * CLASSES];
    tub_error err = {0};
    tub_model *full = open_model(s->full, s, "model"),
              *reduced = open_model(s->reduced, s, "model");
    forward(reduced, s, expected);
    for (int64_t i = 0; i < tub_model_parameters(full); i++) {
        size_t n;
        float *values = values_of(full, i, &n), *zeros = calloc(n, sizeof *zeros);
        assert_ok(tub_model_set(reduced, i, zeros, &err), err);
        forward(reduced, s, logits);
        assert_ok(tub_model_set(reduced, i, values, &err), err);
        free(values), free(zeros);
    }
    forward(reduced, s, logits);
    assert_memory_equal(logits, expected, sizeof logits);
    assert_ok(tub_model_save(reduced, temp_path(&s->folder, "again"), &err), err);
    tub_model_close(reduced);
    reduced = open_model(s->reduced, s, "again");
    forward(reduced, s, logits);
    assert_memory_equal(logits, expected, sizeof logits);
    tub_model_close(full);
    tub_model_close(reduced);
}

/* Near float32, and not the same: 2^-8 is what rounding of a factor may do. */
static void test_near_float32(void **state) {
    const scene *s = *state;
    float full_logits[SAMPLES * CLASSES], logits[SAMPLES * CLASSES];
    double largest = 0, difference = 0;
    tub_model *full = open_model(s->full, s, "model"),
              *reduced = open_model(s->reduced, s, "model");
    forward(full, s, full_logits);
    forward(reduced, s, logits);
    for (int i = 0; i < SAMPLES * CLASSES; i++) {
        /* fmax here crashes GCC 12.2 for aarch64 */
        const double size = fabs((double)full_logits[i]);
        const double gap = fabs((double)full_logits[i] - (double)logits[i]);
        largest = size > largest ? size : largest;
        difference = gap > difference ? gap : difference;
    }
    print_message("largest logit %g, largest difference %g\n", largest, difference);
    assert_true(difference > 0 && difference < largest / 32);
    tub_model_close(full);
    tub_model_close(reduced);
}

/* A training model's float32 weights and what its products take. */
static void test_stale_weights(void **state) {
    scene *s = *state;
    float before[SAMPLES * CLASSES], logits[SAMPLES * CLASSES];
    tub_error err = {0};
    tub_model *model = open_model(s->full, s, "model");
    assert_ok(tub__model_reduce(model, TUB__BF16, true, &err), err);
    forward(model, s, before);
    for (int64_t i = 0; i < tub_model_parameters(model); i++) {
        size_t n;
        if (is_factor(model, i)) {
            float *values = values_of(model, i, &n), *zeros = calloc(n, sizeof *zeros);
            assert_ok(tub_model_set(model, i, zeros, &err), err);
            forward(model, s, logits);
            assert_memory_not_equal(logits, before, sizeof logits);
            assert_ok(tub_model_set(model, i, values, &err), err);
            forward(model, s, logits);
            assert_memory_equal(logits, before, sizeof logits);
            free(values), free(zeros);
        }
    }
    tub_model_close(model);
}

/* A model of one layer with tubelets of `inputs` voxels. */
static tub_status wide(const scene *s, int64_t hidden, int64_t inputs, bool training,
                       tub_error *err) {
    tub_model_config c = odd_config();
    tub_model *model;
    c.layers = 1;
    c.heads = hidden / 32;
    c.hidden = hidden;
    c.mlp = 8;
    c.tubelet[0] = c.frames = inputs / 64;
    c.tubelet[1] = c.tubelet[2] = 8;
    if (!training) {
        TUB__TRY(tub__model_create_for(s->reduced, s->reduced->backend, &c, TUB_PRECISION_BF16,
                                       &model, err));
        unsigned char *x = calloc((size_t)inputs, 1);
        float logits[CLASSES];
        const tub_status status = tub_model_forward(model, 1, TUB_U8, x, logits, NULL, err);
        free(x);
        tub_model_close(model);
        return status;
    }
    TUB__TRY(tub__model_create_empty(s->full, s->full->backend, &c, &model, err));
    const tub_status status = tub__model_reduce(model, TUB__BF16, true, err);
    tub_model_close(model);
    return status;
}

static void test_limits(void **state) {
    const scene *s = *state;
    tub_error err = {0};
    assert_ok(wide(s, 32, 6144, false, &err), err);
    assert_int_equal(wide(s, 32, 6208, false, &err), TUB_E_UNSUPPORTED);
    assert_string_equal(err.message,
                        "bf16 is for layers of up to 6144 inputs; the tubelet kernel has 6208");
    assert_int_equal(wide(s, 32, 6208, true, &err), TUB_E_UNSUPPORTED);
}

/* The gradient of an input goes through a factor's columns, those of query, key and value together.
 * Such a model would be large: a small one only says that it is. */
static void test_training_limit(void **state) {
    const scene *s = *state;
    tub_error err = {0};
    tub_model *model = open_model(s->full, s, "model");
    tub__param *query = (tub__param *)tub__params_find(&model->params, TUB__QUERY_KERNEL, 0);
    const size_t cols = query->cols;
    query->cols = 5152;
    assert_int_equal(tub__model_reduce(model, TUB__BF16, true, &err), TUB_E_UNSUPPORTED);
    assert_string_equal(err.message,
                        "training in bf16 is for products of up to 15360 columns; that "
                        "of the query kernel has 15456");
    query->cols = cols;
    tub_model_close(model);
}

/* The checking build in float64 knows no bf16. */
static void test_float64(void **state) {
    const scene *s = *state;
    const tub_model_config c = odd_config();
    tub__backend *be;
    tub_model *model;
    tub_error err = {0};
    assert_ok(tub__cpu_backend_create_f64(&s->full->allocator, s->full->pool, &be, &err), err);
    assert_int_equal(tub__model_create_for(s->full, be, &c, TUB_PRECISION_BF16, &model, &err),
                     TUB_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, "has no bf16 products"));
    assert_ok(tub__model_create_empty(s->full, be, &c, &model, &err), err);
    assert_int_equal(tub__model_reduce(model, TUB__BF16, true, &err), TUB_E_UNSUPPORTED);
    tub_model_close(model);
    tub__cpu_backend_destroy(be);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get),          cmocka_unit_test(test_set_and_save),
        cmocka_unit_test(test_near_float32), cmocka_unit_test(test_stale_weights),
        cmocka_unit_test(test_limits),       cmocka_unit_test(test_training_limit),
        cmocka_unit_test(test_float64),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
