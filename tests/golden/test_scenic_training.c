/* SPDX-License-Identifier: Apache-2.0 */
/* How scenic trains: its learning rates, its loss with label smoothing, its stochastic depth, and whole
 * steps of its own. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tubelet/tubelet.h>

#include "backend/cpu.h"
#include "base/context.h"
#include "convert/scenic_names.h"
#include "formats/json.h"
#include "golden_array.h"
#include "support/golden_npz.h"
#include "support/scenic_roots.h"
#include "train/optimizer.h"
#include "train/schedule.h"

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
    assert_ok(tub__json_load(&tub__default_allocator, scenic_path(SCENIC_PART, "optim/lr.json"),
                             1 << 20, &tables, &err),
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
    tub__npz *z = golden_npz(scenic_path(SCENIC_PART, "optim/loss.npz"));
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

/* ---- models of the golden cases ---- */

static tub_context *context;

typedef struct wiring {
    const char *name;
    int number; /* the paper's, of the variant */
    tub_variant variant;
    int64_t layers, temporal_layers;
    tub_pooling pooling;
} wiring;

static const wiring v1_gap = {.name = "v1_gap", .number = 1, .layers = 3},
                    v2_cls = {.name = "v2_cls",
                              .number = 2,
                              .variant = TUB_VARIANT_FACTORISED_ENCODER,
                              .layers = 2,
                              .temporal_layers = 2,
                              .pooling = TUB_POOL_CLASS_TOKEN},
                    v3 = {.name = "v3_time_space",
                          .number = 3,
                          .variant = TUB_VARIANT_FACTORISED_SELF_ATTENTION,
                          .layers = 2},
                    v4 = {.name = "v4",
                          .number = 4,
                          .variant = TUB_VARIANT_FACTORISED_DOT_PRODUCT,
                          .layers = 3};

static tub_model_config case_config(const wiring *w) {
    tub_model_config c;
    assert_int_equal(tub_model_preset("vivit-b", &c, NULL), TUB_OK);
    c.frames = 8, c.height = 24, c.width = 16;
    c.tubelet[0] = 2, c.tubelet[1] = 8, c.tubelet[2] = 4;
    c.hidden = 24, c.heads = 4, c.layers = w->layers, c.mlp = 48, c.classes = CLASSES;
    c.pooling = w->pooling;
    c.variant = w->variant;
    c.temporal_layers = w->temporal_layers;
    return c;
}

static tub__scenic_array *case_arrays(const wiring *w, size_t *count) {
    const tub__scenic_extent extent = {.layers = {(int)w->layers, (int)w->temporal_layers},
                                       .token = w->pooling == TUB_POOL_CLASS_TOKEN};
    tub__scenic_array *list = NULL;
    tub_error err = {0};
    assert_ok(tub__scenic_list(&tub__default_allocator, tub__scenic_variant_of(w->number), &extent,
                               &list, count, &err),
              err);
    return list;
}

/* The case's own parameters on a backend, which scenic drew. */
static tub_model *case_model(tub__backend *be, scenic_root root, const wiring *w,
                             const tub_model_config *c) {
    tub_model *m = NULL;
    tub_error err = {0};
    size_t count = 0, elements = 0;
    tub__npz *z = golden_npz(scenic_case(root, w->name, "params.npz"));
    tub__scenic_array *arrays = case_arrays(w, &count);
    assert_ok(tub__model_create_empty(context, be, c, &m, &err), err);
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

static tub__pass *training_pass(tub_model *m, size_t batch) {
    tub__pass *pass = NULL;
    tub_error err = {0};
    assert_ok(
        tub__pass_create(m, &(tub__pass_config){.batch = batch, .training = true}, &pass, &err),
        err);
    return pass;
}

/* ---- stochastic depth, with scenic's own masks ---- */

enum { MOST_BLOCKS = 4 };

/* [blocks, 2, samples] factors of the branches, from the masks (1: dropped), which are numbered in the
 * order of the calls: of a block first attention's, then the MLP's. Returns how many there are. */
static size_t read_branches(tub__npz *z, const wiring *w, float *branches) {
    size_t masks = 0;
    for (size_t i = 0; i < MOST_BLOCKS * 2 * SAMPLES; i++) {
        branches[i] = 1.0f;
    }
    for (size_t i = 0; i < tub__npz_count(z); i++) {
        const char *name = tub__npz_name(z, i);
        size_t call = 0, block = 0, count = 0;
        int length = 0;
        char tower[32], prefix[64];
        snprintf(prefix, sizeof prefix, "%s/drop/", w->name);
        if (strncmp(name, prefix, strlen(prefix)) != 0) {
            continue;
        }
        assert_int_equal(sscanf(name + strlen(prefix), "%zu:%31[A-Za-z]/encoderblock_%zu%n", &call,
                                tower, &block, &length),
                         3);
        block += strcmp(tower, "TemporalTransformer") == 0 ? (size_t)w->layers : 0;
        double *mask = golden_array(z, name, &count);
        assert_int_equal(count, SAMPLES);
        for (size_t k = 0; k < SAMPLES; k++) {
            branches[(2 * block + call % 2) * SAMPLES + k] = (float)(1.0 - mask[k]);
        }
        free(mask);
        masks++;
    }
    return masks;
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

static void dropped_layers(tub__backend *be, const wiring *w, size_t masks) {
    float branches[MOST_BLOCKS * 2 * SAMPLES];
    char key[64];
    tub_model_config c = case_config(w);
    const tub__dropout dropout = {.branches = branches};
    tub__npz *z = golden_npz(scenic_path(SCENIC_WHOLE, "optim/droplayer.npz"));
    c.drop_layer = 0.6;
    tub_model *m = case_model(be, SCENIC_WHOLE, w, &c);
    tub__pass *pass = training_pass(m, SAMPLES);
    assert_int_equal(read_branches(z, w, branches), masks);
    snprintf(key, sizeof key, "%s/logits_f64", w->name);
    const double dropped = logits_difference(pass, z, key, &dropout),
                 undropped = logits_difference(pass, z, key, NULL);
    snprintf(key, sizeof key, "%s/logits_eval", w->name);
    const double evaluated = logits_difference(pass, z, key, NULL);
    print_message("%-13s with dropped layers: logits within %.2g, in evaluation %.2g\n", w->name,
                  dropped, evaluated);
    assert_true(dropped <= 1e-12);
    assert_true(evaluated <= 1e-5); /* of which there is float32 only */
    /* Negative control, but for variant 3, of which scenic drops nothing. */
    assert_true(masks > 0 ? undropped > 1e-2 : undropped == dropped);
    tub__pass_destroy(pass);
    tub_model_close(m);
    tub__npz_close(z);
}

static void stochastic_depth(void **state) {
    if (!scenic_whole_is_here()) {
        skip();
    }
    dropped_layers(*state, &v1_gap, 4);
    dropped_layers(*state, &v2_cls, 4);
    dropped_layers(*state, &v3, 0);
    dropped_layers(*state, &v4, 4);
}

/* ---- whole steps: momentum, clipped gradients, warm-up and cosine, smoothed labels ---- */

enum { STEPS = 5, BATCH = 2 };

/* Largest differences from scenic's run in double: of logits and losses absolute, of gradient norms
 * relative, of parameters and momentum relative to their array's largest. */
typedef struct distances {
    double rate, norm, logits, loss, weights, momentum;
} distances;

static double *step_array(tub__npz *z, const char *bits, const char *what, size_t *count) {
    char key[300];
    snprintf(key, sizeof key, "%s/%s", bits, what);
    return golden_array(z, key, count);
}

static double slab_distance(tub_model *m, const wiring *w, tub__npz *z, const char *what,
                            void *slab) {
    size_t count = 0, n = 0;
    double most = 0.0;
    tub__scenic_array *arrays = case_arrays(w, &count);
    for (size_t i = 0; i < count; i++) {
        const tub__param *p = tub__params_find(&m->params, arrays[i].role, arrays[i].layer);
        char key[256];
        double worst = 0.0, largest = 0.0;
        snprintf(key, sizeof key, "%s/%s", what, arrays[i].name);
        double *expected = step_array(z, "f64", key, &n), *got = malloc(n * sizeof *got);
        golden_get_param(m, p, slab, got);
        for (size_t k = 0; k < n; k++) {
            worst = fmax(worst, fabs(got[k] - expected[k]));
            largest = fmax(largest, fabs(expected[k]));
        }
        /* Key biases have no gradient: what is there is noise. */
        most = fmax(most, worst / fmax(largest, 1e-3));
        free(expected), free(got);
    }
    tub__free(&tub__default_allocator, arrays);
    return most;
}

static tub_train_config step_settings(const char *run) {
    const bool smooth = strcmp(run, "clip1_smooth") == 0;
    tub__json *root = NULL;
    tub_error err = {0};
    assert_ok(tub__json_load(&tub__default_allocator, scenic_path(SCENIC_PART, "optim/sgd.json"),
                             1 << 20, &root, &err),
              err);
    tub_train_config c = settings_of(tub__json_get(root, "lr_configs"));
    const tub__json *own = tub__json_get(tub__json_get(root, "runs"), run);
    c.optimizer = TUB_SGD;
    c.sgd_form = TUB_SGD_PYTORCH;
    c.momentum = real_of(root, "momentum", 0.0);
    c.clip_norm = real_of(own, "max_grad_norm", 0.0);
    c.label_smoothing = real_of(own, "label_smoothing", 0.0);
    assert_true(c.momentum == 0.9 && c.clip_norm >= 1.0 && (c.label_smoothing == 0.3) == smooth);
    tub__json_free(root);
    return c;
}

static distances train_steps(tub__backend *be, scenic_root root, const char *run,
                             const tub_train_config *c) {
    const tub_model_config config = case_config(&v2_cls);
    const tub__rates rates = tub__rates_make(c, STEPS, STEPS);
    char file[64];
    distances d = {0};
    tub__optimizer optimizer;
    tub_error err = {0};
    size_t count = 0;
    snprintf(file, sizeof file, "optim/sgd_%s.npz", run);
    tub__npz *z = golden_npz(scenic_path(root, file)),
             *inputs = golden_npz(scenic_path(root, "optim/sgd_inputs.npz"));
    tub_model *m = case_model(be, root, &v2_cls, &config);
    tub__pass *pass = training_pass(m, BATCH);
    assert_ok(tub__optimizer_create(m, c, &optimizer, &err), err);
    double *x = golden_array(inputs, "input", &count),
           *labels = golden_array(inputs, "labels", NULL);
    double *lr = step_array(z, "f32", "lr", NULL), *norms = step_array(z, "f64", "grad_norm", NULL);
    double *logits = step_array(z, "f64", "logits", NULL),
           *loss = step_array(z, "f64", "loss", NULL);
    const size_t voxels = count / (STEPS * BATCH);
    float *single = malloc(count * sizeof *single);
    for (size_t i = 0; i < count; i++) {
        single[i] = (float)x[i];
    }
    for (size_t s = 0; s < STEPS; s++) {
        double each[BATCH], got[BATCH * CLASSES];
        const int32_t own[BATCH] = {(int32_t)labels[s * BATCH], (int32_t)labels[s * BATCH + 1]};
        const tub__targets targets = {
            .labels = own, .smoothing = c->label_smoothing, .global_batch = BATCH};
        tub__pass_forward(pass, BATCH, TUB_F32, single + s * BATCH * voxels, NULL);
        tub__pass_loss(pass, &targets, each);
        tub__pass_logits(pass, TUB_F64, got);
        tub__pass_backward(pass, false);
        void *gradient = tub__pass_gradients(pass);
        const double norm = tub__gradient_norm(&optimizer, gradient), rate = tub__rate(&rates, s);
        tub__optimizer_step(&optimizer, gradient, norm, s + 1, rate);
        d.rate = fmax(d.rate, fabs(rate - lr[s]));
        d.norm = fmax(d.norm, fabs(norm / norms[s] - 1.0));
        d.loss = fmax(d.loss, fabs((each[0] + each[1]) / BATCH - loss[s]));
        for (size_t i = 0; i < BATCH * CLASSES; i++) {
            d.logits = fmax(d.logits, fabs(got[i] - logits[s * BATCH * CLASSES + i]));
        }
    }
    d.weights = slab_distance(m, &v2_cls, z, "params", m->weights);
    if (root == SCENIC_WHOLE) {
        d.momentum = slab_distance(m, &v2_cls, z, "momentum", optimizer.m);
    }
    free(x), free(labels), free(lr), free(norms), free(logits), free(loss), free(single);
    tub__optimizer_destroy(&optimizer);
    tub__pass_destroy(pass);
    tub_model_close(m);
    tub__npz_close(z), tub__npz_close(inputs);
    return d;
}

/* scenic's rates are float32 in every run, and its loss is divided by the samples + 1e-8: a double run
 * is off by some 1e-8. In float32 the limits are those of the golden folder: 1e-5 for logits, 1e-4 for
 * what is made of gradients; scenic's own float32 is up to 3e-6 from its double in the weights. */
static void expect_steps(tub__backend *be, scenic_root root, const char *bits, const char *run,
                         double limit, double momentum) {
    const tub_train_config c = step_settings(run);
    const distances d = train_steps(be, root, run, &c);
    print_message("%-12s %s: rate %.2g, norm %.2g, logits %.2g, loss %.2g, weights %.2g, momentum "
                  "%.2g\n",
                  run, bits, d.rate, d.norm, d.logits, d.loss, d.weights, d.momentum);
    assert_true(d.rate <= 1e-7);
    assert_true(d.norm <= limit && d.logits <= limit && d.loss <= limit && d.weights <= limit);
    assert_true(d.momentum <= momentum);
    tub_train_config wrong = c;
    wrong.sgd_form = TUB_SGD_KERAS; /* the first step's rate is 0, but its gradient counts */
    assert_true(train_steps(be, root, run, &wrong).weights > 10 * limit);
    wrong = c;
    wrong.clip_norm = c.clip_norm > 1.0 ? 1.0 : 100.0;
    assert_true(train_steps(be, root, run, &wrong).weights > 10 * limit);
}

/* The part has no momentum; the weights after five steps are made of it. */
static void steps_of_part(void **state) {
    expect_steps(*state, SCENIC_PART, "float64", "clip1", 5e-7, 0);
    expect_steps(context->backend, SCENIC_PART, "float32", "clip1", 1e-5, 0);
}

static void steps_of_whole(void **state) {
    static const char *const runs[] = {"clip1", "clip100", "clip1_smooth"};
    if (!scenic_whole_is_here()) {
        skip();
    }
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        expect_steps(*state, SCENIC_WHOLE, "float64", runs[i], 5e-7, 5e-7);
        expect_steps(context->backend, SCENIC_WHOLE, "float32", runs[i], 1e-5, 1e-4);
    }
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
        cmocka_unit_test(steps_of_part),
        cmocka_unit_test(steps_of_whole),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
