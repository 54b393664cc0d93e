/* SPDX-License-Identifier: Apache-2.0 */
/* The reference model against real Keras: logits, loss, tokens, attention, every gradient
 * (docs/numerics.md section 1).
 *
 * Runs in float32 on every instruction set of this processor and in float64 on the checking build.
 * The limits are those of the golden folder's manifest; controls prove that they tell the two GELU
 * kinds and two layer-norm epsilons apart. */
#include <unistd.h>

#include "keras_golden.h"

/* Relative to the largest entry of an array, from the manifest (float32 against float64 truth),
 * doubled as agreed. */
static const double LOGITS_LIMIT = 2e-6, TRUTH_LIMIT = 1e-9;
static const double INPUT_LIMIT = 2 * 7.1e-7;

typedef struct bench {
    tub_context *ctx;
    tub__backend *backends[5]; /* portable, neon, avx2, avx512, float64: those that exist */
    int count;
} bench;

static int set_up(void **state) {
    bench *b = calloc(1, sizeof *b);
    tub_context_config config = tub_context_config_default();
    config.threads = 2;
    if (!b || tub_context_create(&config, &b->ctx, NULL) != TUB_OK) {
        return -1;
    }
    for (int cpu = TUB_CPU_PORTABLE; cpu <= TUB_CPU_AVX512; cpu++) {
        if (tub__cpu_has((tub_cpu)cpu) &&
            tub__cpu_backend_create(&b->ctx->allocator, b->ctx->pool, (tub_cpu)cpu,
                                    &b->backends[b->count++], NULL)) {
            return -1;
        }
    }
    if (tub__cpu_backend_create_f64(&b->ctx->allocator, b->ctx->pool, &b->backends[b->count++],
                                    NULL)) {
        return -1;
    }
    *state = b;
    return 0;
}

static int tear_down(void **state) {
    bench *b = *state;
    for (int i = 0; i < b->count; i++) {
        tub__cpu_backend_destroy(b->backends[i]);
    }
    tub_context_destroy(b->ctx);
    free(b);
    return 0;
}

static bool is_f64(const tub__backend *be) {
    return be->real == TUB_F64;
}

/* A model run forward and backward on a golden input. */
typedef struct run {
    tub_model *model;
    tub__pass *pass;
    size_t samples;
    double loss;
} run;

static run start(const bench *b, tub__backend *be, const char *folder, const tub_model_config *c,
                 const void *x, tub_dtype dtype, const int32_t *labels, size_t samples) {
    tub_error err = {0};
    run r = {.model = golden_model(b->ctx, be, c, folder), .samples = samples};
    const tub__pass_config config = {.batch = samples, .training = true, .input_gradient = true};
    const tub__targets targets = {.labels = labels, .global_batch = samples};
    double losses[16];
    assert_ok(tub__pass_create(r.model, &config, &r.pass, &err), err);
    tub__pass_forward(r.pass, samples, dtype, x, NULL);
    tub__pass_loss(r.pass, &targets, losses);
    tub__pass_backward(r.pass);
    for (size_t i = 0; i < samples; i++) {
        r.loss += losses[i] / (double)samples;
    }
    return r;
}

static void stop(run *r) {
    tub__pass_destroy(r->pass);
    tub_model_close(r->model);
}

static double compare(tub__npz *z, const char *name, const double *got, double limit,
                      const char *where) {
    size_t n;
    double largest, *truth = golden_array(z, name, &n);
    const double worst = largest_difference(got, truth, n, &largest);
    if (!(worst <= limit * largest)) {
        fail_msg("%s %s: differs by %.3g of its largest entry, allowed %.3g", where, name,
                 worst / largest, limit);
    }
    free(truth);
    return worst / largest;
}

static void read_labels(tub__npz *z, int32_t *out) {
    size_t n;
    double *v = golden_array(z, "labels", &n);
    for (size_t i = 0; i < n; i++) {
        out[i] = (int32_t)v[i];
    }
    free(v);
}

static const char *kind_name(tub_gelu gelu) {
    return gelu == TUB_GELU_TANH ? "tanh" : "erf";
}

/* ---- mini ---- */

typedef struct mini_input {
    double *x64;
    float x32[2 * 10 * 13 * 9 * 2];
    int32_t labels[2];
} mini_input;

static mini_input read_mini_input(void) {
    mini_input in;
    size_t n;
    tub__npz *z = golden_open(GOLDEN "/keras/mini", "input.npz");
    in.x64 = golden_array(z, "x", &n);
    assert_int_equal(n, sizeof in.x32 / sizeof *in.x32);
    for (size_t i = 0; i < n; i++) {
        in.x32[i] = (float)in.x64[i];
    }
    read_labels(z, in.labels);
    tub__npz_close(z);
    return in;
}

static run start_mini(const bench *b, tub__backend *be, const mini_input *in,
                      const tub_model_config *c) {
    const bool f64 = is_f64(be);
    return start(b, be, GOLDEN "/keras/mini", c, f64 ? (const void *)in->x64 : in->x32,
                 f64 ? TUB_F64 : TUB_F32, in->labels, 2);
}

static void check_mini_forward(run *r, tub_gelu gelu) {
    const bool f64 = is_f64(r->model->backend);
    tub__npz *z = golden_open(GOLDEN "/keras/mini", "forward_f64.npz");
    const char *where = r->model->backend->name;
    double out[3 * 12 * 24];
    char name[64];
    tub__pass_logits(r->pass, TUB_F64, out);
    snprintf(name, sizeof name, "logits_%s", kind_name(gelu));
    compare(z, name, out, f64 ? TRUTH_LIMIT : LOGITS_LIMIT, where);
    tub__pass_probabilities(r->pass, TUB_F64, out);
    snprintf(name, sizeof name, "probs_%s", kind_name(gelu));
    compare(z, name, out, f64 ? TRUTH_LIMIT : LOGITS_LIMIT, where);
    snprintf(name, sizeof name, "loss_%s", kind_name(gelu));
    compare(z, name, &r->loss, f64 ? TRUTH_LIMIT : LOGITS_LIMIT, where);
    for (size_t l = 0; l <= 2;
         l++) { /* tokens of sample 0 after the embedding and after each block */
        double all[2 * 12 * 24];
        tub__pass_tokens(r->pass, l, TUB_F64, all);
        memcpy(out + l * 12 * 24, all, 12 * 24 * sizeof *out);
    }
    snprintf(name, sizeof name, "tokens_%s", kind_name(gelu));
    compare(z, name, out, f64 ? TRUTH_LIMIT : LOGITS_LIMIT, where);
    double attention[2 * 3 * 12 * 12], both[2 * 3 * 12 * 12];
    tub_error err = {0};
    for (size_t l = 0; l < 2; l++) {
        assert_ok(tub__pass_attention(r->pass, l, 0, TUB_F64, both, &err), err);
        memcpy(attention + l * 3 * 12 * 12, both, 3 * 12 * 12 * sizeof *both);
    }
    snprintf(name, sizeof name, "attention_%s", kind_name(gelu));
    compare(z, name, attention, f64 ? TRUTH_LIMIT : LOGITS_LIMIT, where);
    tub__npz_close(z);
}

/* Limits of a gradient check: most arrays, query and key arrays (which nearly cancel), and key
 * biases, absolute. */
typedef struct limits {
    double most, query_key, zero;
} limits;

static const limits TRUTH = {1e-9, 1e-9, 1e-15};
static const limits MINI = {2 * 7.4e-7, 2 * 7.4e-7, 2 * 1.73e-8};
static const limits SEED = {2 * 1.4e-6, 2 * 1.17e-5, 2 * 4.7e-9};
static const limits SEED_STORED = {1.4e-6, 1.17e-5,
                                   1e-15}; /* how far the stored float32 is from the truth */

static void check_zero(const run *r, const tub__param *p, const double *g, double limit) {
    for (size_t j = 0; j < p->cols; j++) {
        if (!(g[j] <= limit && g[j] >= -limit)) {
            fail_msg("%s %s: %.3g, allowed %.3g", r->model->backend->name, p->name, g[j], limit);
        }
    }
}

/* Every gradient against the file `truth`, or against those of another run; returns the worst
 * share. */
static double check_gradients(run *r, tub__npz *truth, run *other, limits limit) {
    double worst = 0;
    for (size_t i = 0; i < r->model->params.count; i++) {
        const tub__param *p = &r->model->params.list[i];
        const bool qk = p->role == TUB__QUERY_KERNEL || p->role == TUB__QUERY_BIAS ||
                        p->role == TUB__KEY_KERNEL;
        const size_t n = p->rows * p->cols;
        double *g = malloc(n * sizeof *g),
               *t = truth ? golden_array(truth, p->keras, NULL) : malloc(n * sizeof *t);
        golden_get_param(r->model, p, tub__pass_gradients(r->pass), g);
        if (other) {
            golden_get_param(other->model, p, tub__pass_gradients(other->pass), t);
        }
        if (p->role == TUB__KEY_BIAS) {
            check_zero(r, p, g, limit.zero);
        } else {
            double largest;
            const double d = largest_difference(g, t, n, &largest) / largest,
                         allowed = qk ? limit.query_key : limit.most;
            if (!(d <= allowed)) {
                fail_msg("%s %s: differs by %.3g of its largest entry, allowed %.3g",
                         r->model->backend->name, p->name, d, allowed);
            }
            worst = d > worst ? d : worst;
        }
        free(g);
        free(t);
    }
    return worst;
}

static void test_mini(void **state) {
    const bench *b = *state;
    const mini_input in = read_mini_input();
    for (int i = 0; i < b->count; i++) {
        for (tub_gelu gelu = TUB_GELU_TANH; gelu <= TUB_GELU_ERF; gelu++) {
            const tub_model_config c = golden_config(true, gelu);
            run r = start_mini(b, b->backends[i], &in, &c);
            char name[64];
            snprintf(name, sizeof name, "grads_%s_f64.npz", kind_name(gelu));
            tub__npz *z = golden_open(GOLDEN "/keras/mini", name);
            double dx[2 * 10 * 13 * 9 * 2];
            check_mini_forward(&r, gelu);
            const double worst =
                check_gradients(&r, z, NULL, is_f64(b->backends[i]) ? TRUTH : MINI);
            tub__pass_input_gradient(r.pass, TUB_F64, dx);
            compare(z, "input_grad", dx, is_f64(b->backends[i]) ? TRUTH_LIMIT : INPUT_LIMIT,
                    "input");
            print_message("mini %s %s: gradients within %.2g of each array's largest\n",
                          b->backends[i]->name, kind_name(gelu), worst);
            tub__npz_close(z);
            stop(&r);
        }
    }
    free(in.x64);
}

/* Logits of mini under a changed configuration, as a share of the largest logit away from the
 * golden ones. */
static double mini_distance(const bench *b, tub__backend *be, const tub_model_config *c,
                            tub_gelu truth) {
    mini_input in = read_mini_input();
    run r = start_mini(b, be, &in, c);
    tub__npz *z = golden_open(GOLDEN "/keras/mini", "forward_f64.npz");
    double out[10], largest,
        *t = golden_array(z, truth == TUB_GELU_TANH ? "logits_tanh" : "logits_erf", NULL);
    tub__pass_logits(r.pass, TUB_F64, out);
    const double d = largest_difference(out, t, 10, &largest) / largest;
    free(t);
    free(in.x64);
    tub__npz_close(z);
    stop(&r);
    return d;
}

/* The limits mean something: each of these mistakes is over them. */
static void test_controls(void **state) {
    const bench *b = *state;
    for (int i = 0; i < b->count; i++) {
        tub__backend *be = b->backends[i];
        const double limit = is_f64(be) ? TRUTH_LIMIT : LOGITS_LIMIT;
        tub_model_config c = golden_config(true, TUB_GELU_ERF);
        assert_true(mini_distance(b, be, &c, TUB_GELU_TANH) > 10 * limit);
        c = golden_config(true, TUB_GELU_TANH);
        assert_true(mini_distance(b, be, &c, TUB_GELU_TANH) <= limit);
        c.norm_epsilon = 1e-5;
        assert_true(mini_distance(b, be, &c, TUB_GELU_TANH) > limit);
        c = golden_config(true, TUB_GELU_TANH);
        c.mlp_output_gelu = 0;
        assert_true(mini_distance(b, be, &c, TUB_GELU_TANH) > 1000 * limit);
    }
}

/* ---- seed: the example's own size ---- */

#define SEED_FOLDER SHARED "/golden/keras/seed"
enum { SEED_SAMPLES = 8, SEED_VOXELS = SEED_SAMPLES * 28 * 28 * 28 };

typedef struct seed_input {
    unsigned char bytes[SEED_VOXELS];
    float x[SEED_VOXELS]; /* float32(byte) / 255, which the goldens were made from */
    int32_t labels[SEED_SAMPLES];
} seed_input;

static seed_input *read_seed_input(void) {
    tub_error err = {0};
    tub__npz *z = golden_open(SEED_FOLDER, "input.npz");
    seed_input *in = malloc(sizeof *in);
    tub__npy npy;
    void *bytes = NULL;
    assert_ok(tub__npz_read(z, "volumes", 1 << 24, &bytes, &npy, &err), err);
    assert_ok(tub__npy_to_u8(&npy, bytes, in->bytes, &err), err);
    for (size_t i = 0; i < SEED_VOXELS; i++) {
        in->x[i] = (float)in->bytes[i] / 255.0f;
    }
    read_labels(z, in->labels);
    tub__npz_close(z);
    tub__free(&tub__default_allocator, bytes);
    return in;
}

/* float32 backends take the bytes, the checking build the same numbers as float32. */
static run start_seed(const bench *b, tub__backend *be, const seed_input *in, tub_gelu gelu) {
    const tub_model_config c = golden_config(false, gelu);
    return is_f64(be) ? start(b, be, SEED_FOLDER, &c, in->x, TUB_F32, in->labels, SEED_SAMPLES)
                      : start(b, be, SEED_FOLDER, &c, in->bytes, TUB_U8, in->labels, SEED_SAMPLES);
}

static double check_seed_logits(run *r, tub_gelu gelu) {
    tub__npz *z = golden_open(SEED_FOLDER, "forward_f64.npz");
    double logits[SEED_SAMPLES * 11];
    tub__pass_logits(r->pass, TUB_F64, logits);
    const double d =
        compare(z, gelu == TUB_GELU_TANH ? "logits_tanh" : "logits_erf", logits,
                is_f64(r->model->backend) ? TRUTH_LIMIT : LOGITS_LIMIT, r->model->backend->name);
    tub__npz_close(z);
    return d;
}

/* The truth itself, against what real Keras' float32 gave. */
static void check_seed_truth(run *truth) {
    double *dx = malloc(SEED_VOXELS * sizeof *dx);
    tub__npz *z = golden_open(SEED_FOLDER, "grads.npz");
    check_gradients(truth, z, NULL, SEED_STORED);
    tub__npz_close(z);
    z = golden_open(SEED_FOLDER, "input_grad.npz");
    tub__pass_input_gradient(truth->pass, TUB_F64, dx);
    compare(z, "input_grad_sample0", dx, INPUT_LIMIT / 2, "float64");
    tub__npz_close(z);
    free(dx);
}

static void test_seed(void **state) {
    const bench *b = *state;
    if (access(SEED_FOLDER "/params.npz", R_OK) != 0) {
        print_message(
            "skipped: the full-size goldens are not here (../shared/golden/keras/seed)\n");
        skip();
    }
    seed_input *in = read_seed_input();
    for (tub_gelu gelu = TUB_GELU_TANH; gelu <= TUB_GELU_ERF; gelu++) {
        run truth = start_seed(b, b->backends[b->count - 1], in, gelu);
        check_seed_logits(&truth, gelu);
        if (gelu == TUB_GELU_TANH) { /* gradients are stored for tanh only */
            check_seed_truth(&truth);
        }
        for (int i = 0; i < b->count - 1; i++) {
            run r = start_seed(b, b->backends[i], in, gelu);
            const double d = check_seed_logits(&r, gelu),
                         g = check_gradients(&r, NULL, &truth, SEED);
            print_message("seed %s %s: logits within %.2g, gradients %.2g\n", b->backends[i]->name,
                          kind_name(gelu), d, g);
            stop(&r);
        }
        stop(&truth);
    }
    free(in);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mini),
        cmocka_unit_test(test_controls),
        cmocka_unit_test(test_seed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
