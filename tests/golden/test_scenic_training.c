/* SPDX-License-Identifier: Apache-2.0 */
/* How scenic trains: its learning rates, its loss with label smoothing, its stochastic depth. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tubelet/tubelet.h>

#include "backend/cpu.h"
#include "base/context.h"
#include "base/file.h"
#include "convert/scenic_names.h"
#include "formats/json.h"
#include "golden_array.h"
#include "train/schedule.h"

#define SCENIC SHARED "/golden/scenic/"

static bool have_shared(void) {
    if (!tub__is_folder(SCENIC "optim")) {
        printf("skipped: %s is not here\n", SCENIC);
        return false;
    }
    return true;
}

static double real_of(const tub__json *object, const char *key, double otherwise) {
    double value = otherwise;
    assert_int_equal(tub__json_opt_real(object, key, &value, NULL), TUB_OK);
    return value;
}

/* A lr_configs of scenic as settings. */
static tub_train_config settings_of(const tub__json *lr_configs) {
    tub_train_config c = tub_train_config_default();
    tub_error err = {0};
    const char *factors = NULL;
    assert_int_equal(tub__json_get_text(lr_configs, "factors", &factors, NULL), TUB_OK);
    c.schedule = TUB_COMPOUND;
    assert_ok(tub_train_config_set(&c, "lr_factors", factors, &err), err);
    c.lr = real_of(lr_configs, "base_learning_rate", 0.0);
    c.warmup_steps = (int64_t)real_of(lr_configs, "warmup_steps", 0.0);
    c.steps_per_cycle = (int64_t)real_of(lr_configs, "steps_per_cycle", 0.0);
    c.warmup_start = c.lr * real_of(lr_configs, "warmup_alpha", 0.0);
    c.final_lr_share = real_of(lr_configs, "alpha", 0.0);
    assert_ok(tub_train_config_check(&c, &err), err);
    return c;
}

/* scenic computes in float32: the argument of the cosine alone is off by up to pi 2^-24, and the
 * product by some roundings more. */
static const double RATE_LIMIT = 0x1p-22; /* times the base rate */

static double rate_difference(const tub__json *table, int64_t shift) {
    const tub_train_config c = settings_of(tub__json_get(table, "config"));
    const tub__rates rates = tub__rates_make(&c, 7, 7); /* the run's length changes nothing */
    const tub__json *steps = tub__json_get(table, "step"),
                    *lr = tub__json_get(table, "learning_rate_f32");
    double most = 0.0;
    assert_true(tub__json_size(steps) > 0 && tub__json_size(steps) == tub__json_size(lr));
    for (size_t i = 0; i < tub__json_size(steps); i++) {
        int64_t step = 0;
        double expected = 0.0;
        assert_int_equal(tub__json_to_integer(tub__json_at(steps, i), "step", &step, NULL), TUB_OK);
        assert_int_equal(tub__json_to_real(tub__json_at(lr, i), "lr", &expected, NULL), TUB_OK);
        most = fmax(most, fabs(tub__rate(&rates, (uint64_t)(step + shift)) - expected) / c.lr);
    }
    return most;
}

static void rates(void **state) {
    (void)state;
    tub__json *tables = NULL;
    tub_error err = {0};
    if (!have_shared()) {
        return;
    }
    assert_ok(
        tub__json_load(&tub__default_allocator, SCENIC "optim/lr.json", 1 << 20, &tables, &err),
        err);
    assert_int_equal(tub__json_size(tables), 5);
    for (void *it = tub__json_first(tables); it != NULL; it = tub__json_next(tables, it)) {
        const double most = rate_difference(tub__json_value(it), 0);
        print_message("%-20s rates within %.2g of the base rate\n", tub__json_key(it), most);
        assert_true(most <= RATE_LIMIT);
        /* Negative control: one step off is seen. */
        assert_true(rate_difference(tub__json_value(it), 1) > RATE_LIMIT);
    }
    tub__json_free(tables);
}

/* The order of the factors, and which are there. */
static void products(void **state) {
    (void)state;
    tub_train_config c = tub_train_config_default();
    c.schedule = TUB_COMPOUND;
    c.lr = 0.5;
    c.warmup_steps = 4;
    c.steps_per_cycle = 12;
    strcpy(c.lr_factors, "constant");
    tub__rates r = tub__rates_make(&c, 100, 10);
    assert_true(tub__rate(&r, 0) == 0.5 && tub__rate(&r, 99) == 0.5);
    strcpy(c.lr_factors, "linear_warmup*constant");
    r = tub__rates_make(&c, 100, 10);
    assert_true(tub__rate(&r, 0) == 0.0 && tub__rate(&r, 2) == 0.25 && tub__rate(&r, 12) == 0.5);
    strcpy(c.lr_factors, "constant * cosine_decay"); /* waits for the warm-up all the same */
    r = tub__rates_make(&c, 100, 10);
    assert_true(tub__rate(&r, 0) == 0.5 && tub__rate(&r, 4) == 0.5 && tub__rate(&r, 12) == 0.5);
    assert_true(fabs(tub__rate(&r, 8) - 0.25) < 1e-16);
    c.steps_per_cycle = 0; /* one cycle is the run */
    r = tub__rates_make(&c, 100, 10);
    assert_int_equal(r.decay, 96);
    assert_true(tub__rate(&r, 99) < 1e-3 && tub__rate(&r, 100) == 0.5);
}

static void refused(void **state) {
    static const struct {
        const char *factors, *sentence;
    } cases[] = {
        {"constant * rsqrt_decay", "'rsqrt_decay' is no factor"},
        {"constant * ", "'' is no factor"},
        {"", "'' is no factor"},
        {"constant*cosine_decay * constant", "constant stands there twice"},
        {"linear_warmup", "lacks constant"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tub_train_config c = tub_train_config_default();
        tub_error err = {0};
        c.schedule = TUB_COMPOUND;
        strcpy(c.lr_factors, cases[i].factors);
        assert_int_equal(tub_train_config_check(&c, &err), TUB_E_ARGUMENT);
        assert_non_null(strstr(err.message, cases[i].sentence));
    }
}

/* ---- the loss ---- */

enum { SAMPLES = 5, CLASSES = 6 };
static const double NORMALISER = SAMPLES + 1e-8; /* what scenic divides by */

static double loss_difference(tub__backend *be, tub__npz *z, const char *name, double smoothing,
                              double *slope) {
    char key[64];
    size_t count = 0;
    double *logits = golden_array(z, "logits", &count), *one_hot = golden_array(z, "one_hot", NULL);
    snprintf(key, sizeof key, "f64/loss_%s_all", name);
    double *loss = golden_array(z, key, NULL);
    snprintf(key, sizeof key, "f64/dlogits_%s_all", name);
    double *dlogits = golden_array(z, key, NULL), got[SAMPLES * CLASSES], sum = 0.0;
    _Alignas(64) double x[SAMPLES * TUB__PANEL] = {0}, d[SAMPLES * TUB__PANEL], each[SAMPLES];
    int32_t labels[SAMPLES];
    assert_int_equal(count, SAMPLES * CLASSES);
    for (int i = 0; i < SAMPLES; i++) {
        for (int k = 0; k < CLASSES; k++) {
            labels[i] = one_hot[i * CLASSES + k] != 0.0 ? k : labels[i];
        }
    }
    const tub__mat xm = {x, SAMPLES, CLASSES, TUB__PANEL}, dm = {d, SAMPLES, CLASSES, TUB__PANEL};
    be->ops->mat_in(be, xm, TUB_F64, logits, CLASSES, 1);
    const tub__loss op = {.logits = xm,
                          .labels = labels,
                          .smoothing = smoothing,
                          .scale = 1.0 / NORMALISER,
                          .dlogits = dm,
                          .loss = each};
    be->ops->loss(be, &op);
    be->ops->mat_out(be, TUB_F64, got, CLASSES, 1, dm);
    *slope = 0.0;
    for (int i = 0; i < SAMPLES * CLASSES; i++) {
        *slope = fmax(*slope, fabs(got[i] - dlogits[i]));
    }
    for (int i = 0; i < SAMPLES; i++) {
        sum += each[i] / NORMALISER;
    }
    const double difference = fabs(sum - *loss);
    free(logits), free(one_hot), free(loss), free(dlogits);
    return difference;
}

static const double LOSS_LIMIT = 1e-14;

static void smoothed_loss(void **state) {
    static const struct {
        const char *name;
        double smoothing;
    } cases[] = {{"None", 0.0}, {"0.1", 0.1}, {"0.3", 0.3}};
    tub__backend *be = *state;
    if (!have_shared()) {
        return;
    }
    tub__npz *z = golden_open(SCENIC "optim", "loss.npz");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double slope = 0.0;
        const double loss = loss_difference(be, z, cases[i].name, cases[i].smoothing, &slope);
        print_message("smoothing %-4s: loss within %.2g, gradient within %.2g\n", cases[i].name,
                      loss, slope);
        assert_true(loss <= LOSS_LIMIT && slope <= LOSS_LIMIT);
        assert_true(loss_difference(be, z, cases[i].name, 0.2, &slope) > LOSS_LIMIT);
    }
    tub__npz_close(z);
}

/* ---- stochastic depth, with scenic's own masks ---- */

static tub_context *context;

/* The dimensions of all cases, wired as variant 1 with the mean over all tokens. */
static tub_model_config case_config(void) {
    tub_model_config c;
    assert_int_equal(tub_model_preset("vivit-b", &c, NULL), TUB_OK);
    c.frames = 8, c.height = 24, c.width = 16;
    c.tubelet[0] = 2, c.tubelet[1] = 8, c.tubelet[2] = 4;
    c.hidden = 24, c.heads = 4, c.layers = 3, c.mlp = 48, c.classes = CLASSES;
    c.pooling = TUB_POOL_MEAN;
    return c;
}

/* A case's parameters, in double. */
static tub_model *case_model(tub__backend *be, const tub_model_config *c, int variant,
                             const char *name) {
    const int layers[TUB__SCENIC_TOWERS] = {(int)c->layers, 0};
    char folder[128];
    tub_model *m = NULL;
    tub_error err = {0};
    tub__scenic_array *arrays = NULL;
    size_t count = 0, elements = 0;
    snprintf(folder, sizeof folder, SCENIC "cases/%s", name);
    tub__npz *z = golden_open(folder, "params.npz");
    assert_ok(tub__model_create_empty(context, be, c, &m, &err), err);
    assert_ok(tub__scenic_list(&tub__default_allocator, tub__scenic_variant_of(variant), layers,
                               c->pooling == TUB_POOL_CLASS_TOKEN, &arrays, &count, &err),
              err);
    assert_int_equal(count, tub__npz_count(z));
    for (size_t i = 0; i < count; i++) {
        const tub__param *p = tub__params_find(&m->params, arrays[i].role, arrays[i].layer);
        double *values = golden_array(z, arrays[i].name, &elements);
        assert_non_null(p);
        assert_int_equal(elements, p->rows * p->cols);
        golden_set_param(m, p, values);
        free(values);
    }
    tub__free(&tub__default_allocator, arrays);
    tub__npz_close(z);
    return m;
}

/* [layers, 2, samples] factors of the branches, from the masks (1: dropped) in the order of the
 * calls: two of each block whose share is not 0. */
static void read_branches(tub__npz *z, const char *name, float *branches, size_t layers) {
    char key[128];
    for (size_t i = 0; i < layers * 2 * SAMPLES; i++) {
        branches[i] = 1.0f;
    }
    for (size_t call = 0; call < (layers - 1) * 2; call++) {
        size_t count = 0;
        snprintf(key, sizeof key, "%s/drop/%02zu:Transformer/encoderblock_%zu", name, call,
                 1 + call / 2);
        double *mask = golden_array(z, key, &count);
        assert_int_equal(count, SAMPLES);
        for (size_t i = 0; i < SAMPLES; i++) {
            branches[(call + 2) * SAMPLES + i] = (float)(1.0 - mask[i]);
        }
        free(mask);
    }
}

static double logits_difference(tub__pass *pass, tub__npz *z, const char *key,
                                const tub__dropout *dropout) {
    size_t count = 0;
    double got[SAMPLES * CLASSES], most = 0.0;
    double *input = golden_array(z, "input", NULL), *expected = golden_array(z, key, &count);
    assert_int_equal(count, SAMPLES * CLASSES);
    tub__pass_forward(pass, SAMPLES, TUB_F64, input, dropout);
    tub__pass_logits(pass, TUB_F64, got);
    for (size_t i = 0; i < count; i++) {
        most = fmax(most, fabs(got[i] - expected[i]));
    }
    free(input), free(expected);
    return most;
}

static void dropped_layers(tub__backend *be, const tub_model_config *config, int variant,
                           const char *name) {
    enum { LAYERS = 3 };
    float branches[LAYERS * 2 * SAMPLES];
    char key[64];
    tub_model_config c = *config;
    tub__pass *pass = NULL;
    tub_error err = {0};
    const tub__dropout dropout = {.branches = branches};
    tub__npz *z = golden_open(SCENIC "optim", "droplayer.npz");
    c.drop_layer = 0.6;
    tub_model *m = case_model(be, &c, variant, name);
    assert_ok(
        tub__pass_create(m, &(tub__pass_config){.batch = SAMPLES, .training = true}, &pass, &err),
        err);
    read_branches(z, name, branches, LAYERS);
    snprintf(key, sizeof key, "%s/logits_f64", name);
    const double dropped = logits_difference(pass, z, key, &dropout),
                 undropped = logits_difference(pass, z, key, NULL);
    snprintf(key, sizeof key, "%s/logits_eval", name);
    const double evaluated = logits_difference(pass, z, key, NULL);
    print_message("%-8s with dropped layers: logits within %.2g, in evaluation %.2g\n", name,
                  dropped, evaluated);
    assert_true(dropped <= 1e-12);
    assert_true(evaluated <= 1e-5); /* of which there is float32 only */
    assert_true(undropped > 1e-2);  /* negative control */
    tub__pass_destroy(pass);
    tub_model_close(m);
    tub__npz_close(z);
}

static void stochastic_depth(void **state) {
    if (!have_shared()) {
        return;
    }
    const tub_model_config c = case_config();
    dropped_layers(*state, &c, 1, "v1_gap");
}

static int set_up(void **state) {
    tub__backend *be = NULL;
    if (tub_context_create(NULL, &context, NULL) != TUB_OK ||
        tub__cpu_backend_create_f64(&context->allocator, context->pool, &be, NULL) != TUB_OK) {
        return -1;
    }
    *state = be;
    return 0;
}

static int tear_down(void **state) {
    tub__cpu_backend_destroy(*state);
    tub_context_destroy(context);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates),
        cmocka_unit_test(products),
        cmocka_unit_test(refused),
        cmocka_unit_test(smoothed_loss),
        cmocka_unit_test(stochastic_depth),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
