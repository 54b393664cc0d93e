/* SPDX-License-Identifier: Apache-2.0 */
/* The layers above the backend never touch numbers: a whole training step runs on a backend whose
 * addresses can't be read.
 *
 * Every operation checks that the views it is given lie inside a slab; the slabs are mapped
 * PROT_NONE, so that a single read or write by nn/ or model/ ends the test with a fault. The
 * control proves that it would. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/backend.h"
#include "model/model.h"
#include "support/cmocka_all.h"

enum { SLABS = 16 };

typedef struct shut {
    tub__backend base;
    struct {
        char *begin;
        size_t size;
    } slab[SLABS];
    int calls, drops;
} shut;

static shut *shut_of(tub__backend *be) {
    return (shut *)be;
}

static tub_status slab_create(tub__backend *be, size_t bytes, void **out, tub_error *err) {
    shut *s = shut_of(be);
    (void)err;
    for (int i = 0; i < SLABS; i++) {
        if (!s->slab[i].begin) {
            void *p = mmap(NULL, bytes + 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            assert_true(p != MAP_FAILED);
            s->slab[i].begin = p;
            s->slab[i].size = bytes;
            *out = p;
            return TUB_OK;
        }
    }
    return TUB_E_MEMORY;
}

static void slab_destroy(tub__backend *be, void *slab) {
    shut *s = shut_of(be);
    for (int i = 0; slab && i < SLABS; i++) {
        if (s->slab[i].begin == slab) {
            munmap(slab, s->slab[i].size + 1);
            s->slab[i].begin = NULL;
        }
    }
}

/* [p, p + elements) lies in one slab. */
static void inside(tub__backend *be, const void *p, size_t elements) {
    shut *s = shut_of(be);
    s->calls++;
    for (int i = 0; i < SLABS; i++) {
        const char *b = s->slab[i].begin;
        if (b && (const char *)p >= b &&
            (const char *)p + elements * be->real_size <= b + s->slab[i].size) {
            return;
        }
    }
    fail_msg("an operation was given %zu elements at an address outside every slab", elements);
}

static void inside_mat(tub__backend *be, tub__mat m) {
    if (m.data) {
        inside(be, m.data, (m.rows - 1) * m.ld + m.cols);
    }
}

static void inside_weight(tub__backend *be, tub__weight w) {
    inside(be, w.data, tub__weight_elements(w.rows, w.cols));
}

static void clear(tub__backend *be, void *data, size_t n) {
    inside(be, data, n);
}
static void copy(tub__backend *be, void *to, const void *from, size_t n) {
    inside(be, to, n), inside(be, from, n);
}
static void mat_in(tub__backend *be, tub__mat to, tub_dtype host, const void *from, size_t row,
                   size_t column) {
    (void)host, (void)from, (void)row, (void)column;
    inside_mat(be, to);
}
static void mat_out(tub__backend *be, tub_dtype host, void *to, size_t row, size_t column,
                    tub__mat from) {
    (void)host, (void)to, (void)row, (void)column;
    inside_mat(be, from);
}
static void pack(tub__backend *be, tub__weight to, tub_dtype host, const void *from, size_t row,
                 size_t column) {
    (void)host, (void)from, (void)row, (void)column;
    inside_weight(be, to);
}
static void unpack(tub__backend *be, tub_dtype host, void *to, size_t row, size_t column,
                   tub__weight from) {
    (void)host, (void)to, (void)row, (void)column;
    inside_weight(be, from);
}
static void cut(tub__backend *be, const tub__geometry *g, tub_dtype dtype, const void *x,
                bool multiply, tub__mat rows) {
    (void)dtype, (void)x, (void)multiply;
    assert_int_equal(rows.rows % tub__geometry_tokens(g), 0);
    inside_mat(be, rows);
}
static void cut_backward(tub__backend *be, const tub__geometry *g, size_t samples, tub__mat drows,
                         void *dx) {
    inside_mat(be, drows);
    inside(be, dx, samples * tub__geometry_voxels(g));
}
static void prepend(tub__backend *be, size_t samples, tub__mat x, const void *token,
                    tub__mat position, tub__mat y) {
    assert_int_equal(y.rows, x.rows + (token ? samples : 0));
    inside_mat(be, x), inside_mat(be, position), inside_mat(be, y);
    if (token) {
        inside(be, token, x.cols);
    }
}
static void prepend_backward(tub__backend *be, size_t samples, tub__mat dy, tub__mat dx) {
    assert_int_equal(dy.rows, dx.rows + samples);
    inside_mat(be, dy), inside_mat(be, dx);
}
static void sum_samples(tub__backend *be, size_t samples, size_t group, bool more, tub__mat x,
                        tub__mat sum) {
    assert_false(more);
    assert_true(group > 0);
    assert_int_equal(x.rows, samples * sum.rows);
    inside_mat(be, x), inside_mat(be, sum);
}
static void pool(tub__backend *be, tub_pooling kind, size_t samples, tub__mat x, tub__mat y) {
    (void)kind;
    assert_int_equal(y.rows, samples);
    inside_mat(be, x), inside_mat(be, y);
}
static void pool_backward(tub__backend *be, const tub__pool_backward *op) {
    assert_int_equal(op->dy.rows, op->samples);
    inside_mat(be, op->x), inside_mat(be, op->y), inside_mat(be, op->dy), inside_mat(be, op->dx);
}
static void blocks_begin(tub__backend *be, const tub__blocks *blocks) {
    assert_true(blocks->independent ||
                (blocks->samples > 0 && blocks->block % TUB__GROUP == 0 && blocks->rows > 0));
    shut_of(be)->calls++;
}
static void blocks_end(tub__backend *be) {
    shut_of(be)->calls++;
}
static void linear(tub__backend *be, const tub__linear *op) {
    assert_int_equal(op->x.cols, op->w.rows);
    assert_int_equal(op->x.rows, op->y.rows);
    inside_mat(be, op->x), inside_mat(be, op->slope), inside_mat(be, op->residual),
        inside_mat(be, op->y);
    inside_weight(be, op->w);
    if (op->next.data) {
        inside_weight(be, op->next);
    }
    if (op->norm.gamma) {
        assert_null(op->residual.data);
        inside(be, op->norm.gamma, op->x.cols), inside(be, op->norm.beta, op->x.cols);
    }
    if (op->norm.mean) {
        inside(be, op->norm.mean, op->x.rows), inside(be, op->norm.inverse, op->x.rows);
    }
}
static void linear_dx(tub__backend *be, const tub__linear_dx *op) {
    assert_int_equal(op->dy.rows, op->dx.rows);
    inside_mat(be, op->dy), inside_mat(be, op->slope), inside_mat(be, op->dx),
        inside_weight(be, op->w);
}
static void linear_dw(tub__backend *be, const tub__linear_dw *op) {
    assert_int_equal(op->x.rows, op->dy.rows);
    inside_mat(be, op->x), inside_mat(be, op->dy), inside_weight(be, op->dw);
}
static void norm(tub__backend *be, const tub__norm *op) {
    inside_mat(be, op->x), inside_mat(be, op->y);
}
static void norm_backward(tub__backend *be, const tub__norm_backward *op) {
    const size_t groups = (op->x.rows + op->group_rows - 1) / op->group_rows;
    inside_mat(be, op->x), inside_mat(be, op->dy), inside_mat(be, op->dx);
    inside(be, op->workspace, groups * 2 * tub__padded(op->x.cols));
}
static void attention(tub__backend *be, const tub__attention *op) {
    inside_mat(be, op->q), inside_mat(be, op->k), inside_mat(be, op->v), inside_mat(be, op->o);
    if (op->probabilities) {
        inside(be, op->probabilities,
               op->samples * op->groups * op->heads * op->length * op->length);
    }
    if (op->stats) {
        inside(be, op->stats,
               op->samples * op->groups * op->heads * op->length * TUB__ATTENTION_STATS);
    }
}
static void attention_backward(tub__backend *be, const tub__attention_backward *op) {
    attention(be, &op->forward);
    inside_mat(be, op->d_o), inside_mat(be, op->dq), inside_mat(be, op->dk), inside_mat(be, op->dv);
}
static void attention_dp(tub__backend *be, const tub__attention_dp *op) {
    const tub__attention *f = &op->forward;
    attention(be, f);
    inside_mat(be, op->d_o);
    inside(be, op->dp, f->samples * f->groups * f->heads * f->length * f->length);
}
static void multiply(tub__backend *be, tub__mat x, tub__mat y, tub__mat z) {
    inside_mat(be, x), inside_mat(be, y), inside_mat(be, z);
}
static void drop(tub__backend *be, const tub__drop *op) {
    inside_mat(be, op->x), inside_mat(be, op->add), inside_mat(be, op->z);
    assert_int_equal(op->x.rows % op->samples, 0);
    shut_of(be)->drops++;
}
static void conv(tub__backend *be, const tub__conv *op) {
    const size_t samples = op->x.rows / tub__window_in(&op->window);
    assert_int_equal(op->x.rows, samples * tub__window_in(&op->window));
    assert_int_equal(op->y.rows, samples * tub__window_out(&op->window));
    assert_int_equal(op->w.rows, tub__window_taps(&op->window) * op->x.cols);
    inside_mat(be, op->x), inside_mat(be, op->y), inside_weight(be, op->w);
    if (op->bias) {
        inside(be, op->bias, tub__padded(op->y.cols));
    }
}
static void conv_dx(tub__backend *be, const tub__conv_dx *op) {
    inside_mat(be, op->dx), inside_mat(be, op->dy), inside_weight(be, op->w);
    inside(be, op->workspace,
           tub__window_taps(&op->window) * op->dy.cols * tub__padded(op->dx.cols));
}
static void conv_dw(tub__backend *be, const tub__conv_dw *op) {
    assert_int_equal(op->x.rows, op->samples * tub__window_in(&op->window));
    assert_int_equal(op->dy.rows, op->samples * tub__window_out(&op->window));
    inside_mat(be, op->x), inside_mat(be, op->dy), inside_weight(be, op->dw);
    if (op->dbias) {
        inside(be, op->dbias, tub__padded(op->dy.cols));
    }
}
static void max_pool(tub__backend *be, const tub__max_pool *op) {
    inside_mat(be, op->x), inside_mat(be, op->y), inside_mat(be, op->dy), inside_mat(be, op->dx);
}
static void batch_norm(tub__backend *be, const tub__batch_norm *op) {
    const size_t padded = tub__padded(op->x.cols);
    inside_mat(be, op->x), inside_mat(be, op->add), inside_mat(be, op->y);
    inside(be, op->gamma, padded), inside(be, op->beta, padded);
    inside(be, op->mean, padded), inside(be, op->inverse, padded);
    inside(be, op->moving_mean, padded), inside(be, op->moving_variance, padded);
    if (op->mode == TUB__BATCH_STATISTICS) {
        inside(be, op->workspace, tub__batch_blocks(op->x.rows) * 2 * padded);
    }
}
static void batch_norm_backward(tub__backend *be, const tub__batch_norm_backward *op) {
    const size_t padded = tub__padded(op->x.cols);
    inside_mat(be, op->dy), inside_mat(be, op->x), inside_mat(be, op->y), inside_mat(be, op->dx);
    inside(be, op->dgamma, padded), inside(be, op->dbeta, padded);
    inside(be, op->workspace, tub__batch_blocks(op->x.rows) * 2 * padded);
}
static void gru(tub__backend *be, const tub__gru *op) {
    assert_int_equal(op->x.cols, 3 * op->units);
    inside_mat(be, op->x), inside_mat(be, op->inner), inside_mat(be, op->h);
    inside_mat(be, op->next), inside_mat(be, op->gates);
}
static void gru_backward(tub__backend *be, const tub__gru_backward *op) {
    gru(be, &op->forward);
    for (int i = 0; i < 3; i++) {
        inside_mat(be, op->dnext[i]);
    }
    inside_mat(be, op->dx), inside_mat(be, op->dinner), inside_mat(be, op->dh);
}
static void probabilities(tub__backend *be, const tub__outputs *outputs, tub__mat logits,
                          tub__mat p) {
    (void)outputs;
    inside_mat(be, logits), inside_mat(be, p);
}
static void loss(tub__backend *be, const tub__loss *op) {
    inside_mat(be, op->logits), inside_mat(be, op->dlogits), inside(be, op->loss, op->logits.rows);
}

static const struct tub__backend_ops shut_ops = {
    .slab_create = slab_create,
    .slab_destroy = slab_destroy,
    .clear = clear,
    .copy = copy,
    .mat_in = mat_in,
    .mat_out = mat_out,
    .pack = pack,
    .unpack = unpack,
    .cut = cut,
    .cut_backward = cut_backward,
    .prepend = prepend,
    .prepend_backward = prepend_backward,
    .sum_samples = sum_samples,
    .pool = pool,
    .pool_backward = pool_backward,
    .blocks_begin = blocks_begin,
    .blocks_end = blocks_end,
    .linear = linear,
    .linear_dx = linear_dx,
    .linear_dw = linear_dw,
    .norm = norm,
    .norm_backward = norm_backward,
    .attention = attention,
    .attention_backward = attention_backward,
    .attention_dp = attention_dp,
    .multiply = multiply,
    .drop = drop,
    .conv = conv,
    .conv_dx = conv_dx,
    .conv_dw = conv_dw,
    .max_pool = max_pool,
    .max_pool_backward = max_pool,
    .batch_norm = batch_norm,
    .batch_norm_backward = batch_norm_backward,
    .gru = gru,
    .gru_backward = gru_backward,
    .probabilities = probabilities,
    .loss = loss,
};

static void train_step(tub_context *ctx, shut *s, const tub_model_config *c) {
    tub_error err = {0};
    tub_model *m = NULL;
    tub__pass *pass = NULL;
    const tub__pass_config config = {.batch = 6, .training = true, .input_gradient = true};
    const int32_t labels[6] = {0, 1, 0, 1, 0, 1};
    const tub__targets targets = {.labels = labels, .global_batch = 6};
    const tub__dropout dropout = {.rate = 0.1};
    double losses[6];
    float *x = calloc(6 * 28 * 28 * 28 * 3, sizeof *x);
    assert_ok(tub__model_create_empty(ctx, &s->base, c, &m, &err), err);
    assert_ok(tub__model_initialise(m, 1, &err), err);
    assert_ok(tub__pass_create(m, &config, &pass, &err), err);
    tub__pass_forward(pass, 5, TUB_F32, x, &dropout);
    tub__pass_loss(pass, &targets, losses);
    tub__pass_backward(pass, false);
    tub__pass_logits(pass, TUB_F32, x);
    tub__pass_probabilities(pass, TUB_F32, x);
    tub__pass_input_gradient(pass, TUB_F32, x);
    if (c->family == TUB_FAMILY_VIVIT) {
        tub__pass_tokens(pass, 1, TUB_F32, x);
    }
    tub__pass_destroy(pass);
    tub_model_close(m);
    free(x);
}

/* What explanations look at: every head of every layer, and its gradient. */
typedef struct look {
    tub__pass *pass;
    float *room;
    bool gradients;
    size_t layers;
} look;

static void look_at_layer(void *user, size_t layer) {
    look *l = user;
    const tub__head_range one = {.count = 1};
    assert_true(tub__pass_heads_most(l->pass, layer, 0) > 0);
    tub__pass_heads(l->pass, layer, &one, false, TUB_F32, l->room);
    if (l->gradients) {
        tub__pass_heads(l->pass, layer, &one, true, TUB_F32, l->room);
    }
    l->layers++;
}

static void explain_step(tub_context *ctx, shut *s, const tub_model_config *c) {
    tub_error err = {0};
    tub_model *m = NULL;
    const tub__pass_config config = {.batch = 1,
                                     .training = true,
                                     .recompute = true,
                                     .frozen = true,
                                     .input_gradient = true,
                                     .watch = c->family == TUB_FAMILY_VIVIT};
    float *x = calloc(28 * 28 * 28 * 3, sizeof *x);
    look l = {.room = calloc(1 << 20, sizeof *l.room)};
    assert_ok(tub__model_create_empty(ctx, &s->base, c, &m, &err), err);
    assert_ok(tub__pass_create(m, &config, &l.pass, &err), err);
    tub__pass_forward(l.pass, 1, TUB_F32, x, NULL);
    if (config.watch) {
        tub__pass_pooling(l.pass, 0, TUB_F32, l.room);
        tub__pass_watch(l.pass, false, (tub__watch){look_at_layer, &l});
    }
    l.gradients = true;
    tub__pass_aim(l.pass, 1);
    tub__pass_watch(l.pass, true, (tub__watch){config.watch ? look_at_layer : NULL, &l});
    tub__pass_input_gradient(l.pass, TUB_F32, x);
    const int64_t layers =
        c->layers + (c->variant == TUB_VARIANT_FACTORISED_ENCODER ? c->temporal_layers : 0);
    assert_int_equal(l.layers, config.watch ? 2 * layers : 0);
    tub__pass_destroy(l.pass);
    tub_model_close(m);
    free(l.room);
    free(x);
}

static shut make_backend(tub_context *ctx) {
    return (shut){.base = {.ops = &shut_ops,
                           .name = "shut",
                           .real = TUB_F32,
                           .real_size = 4,
                           .allocator = ctx->allocator,
                           .pool = ctx->pool}};
}

static void test_step(void **state) {
    tub_context *ctx = *state;
    shut s = make_backend(ctx);
    tub_model_config c;
    assert_int_equal(tub_model_preset("vivit-tiny", &c, NULL), TUB_OK);
    train_step(ctx, &s, &c);
    c.pooling = TUB_POOL_CLASS_TOKEN;
    c.mlp_output_gelu = c.qkv_bias = 0;
    c.layers = 2, c.classes = 2, c.channels = 3;
    c.dropout = c.mlp_dropout = c.drop_layer = 0.1;
    train_step(ctx, &s, &c);
    for (int v = TUB_VARIANT_JOINT; v <= TUB_VARIANT_FACTORISED_DOT_PRODUCT; v++) {
        for (int kind = TUB_POSITIONS_LEARNED; kind <= TUB_POSITIONS_NONE; kind++) {
            c.variant = (tub_variant)v, c.positions = (tub_positions)kind;
            c.pooling = v == TUB_VARIANT_FACTORISED_ENCODER ? TUB_POOL_CLASS_TOKEN : TUB_POOL_MAX;
            c.representation = 5, c.temporal_layers = kind % 3, c.hidden = 96;
            if (tub_model_config_check(&c, NULL) == TUB_OK) {
                train_step(ctx, &s, &c);
                explain_step(ctx, &s, &c);
            }
        }
    }
    assert_true(s.calls > 800);
    assert_true(s.drops > 12);
    for (int i = 0; i < SLABS; i++) {
        assert_null(s.slab[i].begin); /* all given back */
    }
}

/* Training and inference of each baseline. */
static void test_baselines(void **state) {
    tub_context *ctx = *state;
    shut s = make_backend(ctx);
    tub_model_config c;
    tub_error err = {0};
    assert_int_equal(tub_model_preset("vivit-tiny", &c, NULL), TUB_OK);
    c.frames = 5, c.height = 9, c.width = 10, c.filters = 7, c.stages = 2, c.units = 20;
    c.layers = 2, c.classes = 2;
    for (int f = TUB_FAMILY_CNN_FRAME; f <= TUB_FAMILY_RESNET3D18; f++) {
        const tub__pass_config inference = {.batch = 3};
        tub_model *m = NULL;
        tub__pass *pass = NULL;
        float x[3 * 5 * 9 * 10] = {0};
        const int before = s.calls;
        c.family = (tub_family)f;
        train_step(ctx, &s, &c);
        explain_step(ctx, &s, &c);
        assert_ok(tub__model_create_empty(ctx, &s.base, &c, &m, &err), err);
        assert_ok(tub__pass_create(m, &inference, &pass, &err), err);
        tub__pass_forward(pass, 2, TUB_F32, x, NULL);
        tub__pass_destroy(pass);
        tub_model_close(m);
        assert_true(s.calls > before + 50);
    }
    for (int i = 0; i < SLABS; i++) {
        assert_null(s.slab[i].begin);
    }
}

/* The control: one look at a number, and the process is gone. */
static void test_control(void **state) {
    const pid_t child = fork();
    if (child == 0) {
        shut s = make_backend(*state);
        void *slab = NULL;
        signal(SIGSEGV, SIG_DFL);
        if (slab_create(&s.base, 64, &slab, NULL) == TUB_OK) {
            *(volatile float *)slab += 1;
        }
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
}

static int set_up(void **state) {
    tub_context_config config = tub_context_config_default();
    config.threads = 1;
    return tub_context_create(&config, (tub_context **)state, NULL);
}

static int tear_down(void **state) {
    tub_context_destroy(*state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_step),
        cmocka_unit_test(test_baselines),
        cmocka_unit_test(test_control),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
