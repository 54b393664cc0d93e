/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints of scenic without scenic: a model's arrays written in its names and layouts come back
 * bit by bit, and what is damaged is one sentence. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <tubelet/tubelet.h>

#include "cmocka_all.h"
#include "convert/scenic.h"
#include "failing_alloc.h"
#include "make_flax.h"
#include "scenic_refused.h"
#include "temp_folder.h"

enum { D = 12, A = 3, M = 20, K = 5, T = 2, H = 3, W = 4, C = 2 };

typedef struct fixture {
    tub_context *ctx;
    tub_model *model;
    temp_folder folder;
} fixture;

static const tub__scenic_hints clip = {.frames = 8, .height = 6, .width = 8};

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    const tub_model_config config = {.size = sizeof config,
                                     .frames = 8,
                                     .height = 6,
                                     .width = 8,
                                     .channels = C,
                                     .tubelet = {T, H, W},
                                     .hidden = D,
                                     .heads = A,
                                     .layers = 2,
                                     .mlp = M,
                                     .classes = K,
                                     .qkv_bias = 1,
                                     .pooling = TUB_POOL_CLASS_TOKEN,
                                     .norm_epsilon = 1e-6,
                                     .attention_init = TUB_INIT_GLOROT};
    tub_error err = {0};
    assert_ok(tub_context_create(NULL, &f->ctx, &err), err);
    assert_ok(tub_model_create(f->ctx, &config, 7, &f->model, &err), err);
    temp_folder_make(&f->folder);
    for (int64_t i = 0; i < tub_model_parameters(f->model); i++) { /* biases are zero otherwise */
        float values[4096];
        tub_parameter p;
        assert_ok(tub_model_parameter(f->model, i, &p, &err), err);
        for (int64_t j = 0; j < p.count; j++) {
            values[j] = (float)(i * 1000 + j);
        }
        assert_ok(tub_model_set(f->model, i, values, &err), err);
    }
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    tub_model_close(f->model);
    tub_context_destroy(f->ctx);
    temp_folder_drop(&f->folder);
    free(f);
    return 0;
}

/* One change to the checkpoint. */
typedef struct edit {
    const char *drop, *extra, *retype, *poison;
    const char *from, *to; /* renamed */
    uint64_t first;        /* the renamed array's first dimension; 0: as it is */
} edit;

static bool is(const char *a, const char *b) {
    return a != NULL && strcmp(a, b) == 0;
}

/* Hugging Face's kernel [out, in] to [in, out]; its convolution [D, C, t, h, w] to [t, h, w, C, D]. */
static void to_scenic(const tub_parameter *p, const float *in, float *out) {
    const int64_t rows = p->rank == 5 ? T * H * W * C : p->shape[1];
    for (int64_t o = 0; o < p->shape[0]; o++) {
        for (int64_t r = 0; r < rows; r++) {
            const int64_t from = p->rank == 5 ? r % C * (T * H * W) + r / C : r;
            out[r * p->shape[0] + o] = in[o * rows + from];
        }
    }
}

static void put(flax_maker *m, const edit *e, const char *name, int rank, const uint64_t *shape,
                float *values) {
    char key[256];
    uint64_t changed[5];
    memcpy(changed, shape, (size_t)rank * sizeof *shape);
    if (is(e->drop, name)) {
        return;
    }
    if (is(e->poison, name)) {
        values[1] = INFINITY;
    }
    if (is(e->from, name) && e->first > 0) {
        changed[0] = e->first;
    }
    snprintf(key, sizeof key, "params/%s", is(e->from, name) ? e->to : name);
    flax_array(m, key, is(e->retype, name) ? "int32" : "float32", rank, changed, values);
}

/* Where an array goes: names and shapes written out here once more, as scenic's README of golden
 * numbers has them. */
static void put_parameter(flax_maker *m, const edit *e, const tub_model *model, int64_t i) {
    static const struct {
        const char *role, *name;
        int rank;
        uint64_t shape[5];
    } places[] = {
        {"class token", "cls", 3, {1, 1, D}},
        {"position table", "Transformer/posembed_input/pos_embedding", 3, {1, 17, D}},
        {"tubelet kernel", "embedding/kernel", 5, {T, H, W, C, D}},
        {"tubelet bias", "embedding/bias", 1, {D}},
        {"query kernel", "MultiHeadDotProductAttention_0/query/kernel", 3, {D, A, D / A}},
        {"query bias", "MultiHeadDotProductAttention_0/query/bias", 2, {A, D / A}},
        {"key kernel", "MultiHeadDotProductAttention_0/key/kernel", 3, {D, A, D / A}},
        {"key bias", "MultiHeadDotProductAttention_0/key/bias", 2, {A, D / A}},
        {"value kernel", "MultiHeadDotProductAttention_0/value/kernel", 3, {D, A, D / A}},
        {"value bias", "MultiHeadDotProductAttention_0/value/bias", 2, {A, D / A}},
        {"attention output kernel", "MultiHeadDotProductAttention_0/out/kernel", 3, {A, D / A, D}},
        {"attention output bias", "MultiHeadDotProductAttention_0/out/bias", 1, {D}},
        {"MLP kernel 1", "MlpBlock_0/Dense_0/kernel", 2, {D, M}},
        {"MLP bias 1", "MlpBlock_0/Dense_0/bias", 1, {M}},
        {"MLP kernel 2", "MlpBlock_0/Dense_1/kernel", 2, {M, D}},
        {"MLP bias 2", "MlpBlock_0/Dense_1/bias", 1, {D}},
        {"norm 1 gamma", "LayerNorm_0/scale", 1, {D}},
        {"norm 1 beta", "LayerNorm_0/bias", 1, {D}},
        {"norm 2 gamma", "LayerNorm_1/scale", 1, {D}},
        {"norm 2 beta", "LayerNorm_1/bias", 1, {D}},
        {"final norm gamma", "Transformer/encoder_norm/scale", 1, {D}},
        {"final norm beta", "Transformer/encoder_norm/bias", 1, {D}},
        {"classifier kernel", "output_projection/kernel", 2, {D, K}},
        {"classifier bias", "output_projection/bias", 1, {K}},
    };
    float in[4096], out[4096];
    char name[200];
    tub_parameter p;
    tub_error err = {0};
    assert_ok(tub_model_parameter(model, i, &p, &err), err);
    assert_ok(tub_model_get(model, i, in, &err), err);
    if (p.rank == 2 || p.rank == 5) {
        to_scenic(&p, in, out);
    } else {
        memcpy(out, in, (size_t)p.count * sizeof *out);
    }
    for (size_t j = 0; j < sizeof places / sizeof *places; j++) {
        if (strcmp(places[j].role, p.role) == 0) {
            if (p.layer < 0) {
                snprintf(name, sizeof name, "%s", places[j].name);
            } else {
                snprintf(name, sizeof name, "Transformer/encoderblock_%d/%s", (int)p.layer,
                         places[j].name);
            }
            put(m, e, name, places[j].rank, places[j].shape, out);
            return;
        }
    }
    fail_msg("no place for %s", p.role);
}

static const char *write_model(fixture *f, const edit *e) {
    const char *path = temp_path(&f->folder, "checkpoint_1");
    flax_maker m;
    flax_begin(&m, path);
    for (int64_t i = 0; i < tub_model_parameters(f->model); i++) {
        put_parameter(&m, e, f->model, i);
    }
    if (e->extra != NULL) {
        flax_array(&m, e->extra, "float32", 1, (const uint64_t[1]){1}, (const float[1]){0});
    }
    flax_end(&m);
    return path;
}

static void test_same_bits(void **state) {
    static const edit edits[] = {
        {0},
        {.extra = "opt_state/0/mu/cls"}, /* whatever lies beside the parameters */
        {.from = "Transformer/encoderblock_1/LayerNorm_1/bias",
         .to = "Transformer/encoderblock_1/LayerNorm_2/bias"},
        {.from = "Transformer/encoderblock_0/MlpBlock_0/Dense_0/kernel",
         .to = "Transformer/encoderblock_0/MlpBlock_3/Dense_0/kernel"},
    };
    fixture *f = *state;
    for (size_t e = 0; e < sizeof edits / sizeof *edits; e++) {
        tub_model *model = NULL;
        tub_error err = {0};
        assert_ok(tub__scenic_open(f->ctx, write_model(f, &edits[e]), &clip, &model, &err), err);
        assert_int_equal(tub_model_parameters(model), tub_model_parameters(f->model));
        for (int64_t i = 0; i < tub_model_parameters(model); i++) {
            float left[4096], right[4096];
            tub_parameter p;
            assert_ok(tub_model_parameter(model, i, &p, &err), err);
            assert_ok(tub_model_get(model, i, left, &err), err);
            assert_ok(tub_model_get(f->model, i, right, &err), err);
            assert_memory_equal(left, right, (size_t)p.count * sizeof *left);
        }
        tub_model_close(model);
    }
}

#define BLOCK "Transformer/encoderblock_1/"
#define HEADS BLOCK "MultiHeadDotProductAttention_0/"

static void test_damaged(void **state) {
    static const struct {
        edit edit;
        tub_status status;
        const char *words;
    } cases[] = {
        {{.drop = "embedding/kernel"}, TUB_E_FORMAT, "not a checkpoint of scenic's ViViT"},
        {{.drop = "embedding/bias"},
         TUB_E_NOT_FOUND,
         "checkpoint_1: params/embedding/bias: missing"},
        {{.drop = BLOCK "LayerNorm_1/bias"}, TUB_E_NOT_FOUND, BLOCK "LayerNorm_1/bias: missing"},
        {{.drop = BLOCK "LayerNorm_0/scale"}, TUB_E_FORMAT, "unexpected; ViViT's variant 1"},
        {{.drop = "cls"}, TUB_E_SHAPE, "its 17 positions don't fit 8 frames of 6x8 cut into 2x3x4"},
        {{.extra = "params/more"}, TUB_E_FORMAT, "params/more: unexpected"},
        {{.extra = "params/pre_logits/kernel"},
         TUB_E_SHAPE,
         "params/pre_logits/kernel: expected [12,1], file has [1]"},
        {{.extra = "params/" BLOCK "LayerNorm_2/bias"}, TUB_E_FORMAT, "the file has it twice"},
        {{.retype = "embedding/bias"},
         TUB_E_SHAPE,
         "params/embedding/bias: expected floats (float32, float16, bfloat16 or float64), found "
         "int32"},
        {{.poison = HEADS "key/kernel"}, TUB_E_RANGE, HEADS "key/kernel: element 1 is not finite"},
        {{.from = "embedding/bias", .to = "embedding/bias", .first = 7},
         TUB_E_SHAPE,
         "params/embedding/bias: expected [12], file has [7]"},
        {{.from = "embedding/bias", .to = "embedding/bias", .first = UINT32_MAX + UINT64_C(1)},
         TUB_E_SHAPE,
         "params/embedding/bias: it is empty"}, /* written as 0 */
        {{.from = HEADS "out/kernel", .to = HEADS "out/kernel", .first = 2},
         TUB_E_SHAPE,
         "out/kernel: expected [3,4,12], file has [2,4,12]"},
    };
    fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect_refused(f->ctx, write_model(f, &cases[i].edit), &clip, cases[i].status,
                       cases[i].words);
    }
}

static void test_clips(void **state) {
    static const struct {
        tub__scenic_hints hints;
        tub_status status;
        const char *words;
    } cases[] = {
        {{0}, TUB_E_ARGUMENT, "its 16 positions don't say how they lie: give the clip's frames"},
        {{.height = 6}, TUB_E_ARGUMENT, "give height and width, or neither"},
        {{.frames = -1}, TUB_E_RANGE, "frames is -1"},
        {{.variant = 5}, TUB_E_RANGE, "variant is 5"},
        {{.pooling = (tub_pooling)7}, TUB_E_RANGE, "pooling is 7"},
        {{.pooling = TUB_POOL_CLASS_TOKEN}, TUB_E_ARGUMENT, "hint at mean, max or sum"},
        {{.attention_order = (tub_attention_order)2}, TUB_E_RANGE, "attention_order is 2"},
        {{.frames = 6}, TUB_E_SHAPE, "16 positions don't fit 6 square frames cut into 2x3x4"},
        {{.frames = 4}, TUB_E_SHAPE, "don't fit 4 square frames"}, /* 8 is no square */
        {{.height = 9, .width = 8}, TUB_E_SHAPE, "don't fit frames of 9x8"},
        {{.height = 2, .width = 8}, TUB_E_SHAPE, "don't fit frames of 2x8"},
        {{.frames = 6, .height = 6, .width = 8}, TUB_E_SHAPE, "don't fit 6 frames of 6x8"},
        {{.frames = 2}, TUB_OK, NULL}, /* 4 x 4 */
        {{.height = 6, .width = 8}, TUB_OK, NULL},
        {{.frames = 9, .height = 8, .width = 11}, TUB_OK, NULL}, /* a rest that is not read */
    };
    fixture *f = *state;
    const char *path = write_model(f, &(edit){0});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tub_model *model = NULL;
        tub_error err = {0};
        if (cases[i].words != NULL) {
            expect_refused(f->ctx, path, &cases[i].hints, cases[i].status, cases[i].words);
            continue;
        }
        assert_ok(tub__scenic_open(f->ctx, path, &cases[i].hints, &model, &err), err);
        const tub_model_config *c = tub_model_describe(model);
        assert_int_equal(c->frames / T * (c->height / H) * (c->width / W), 16);
        tub_model_close(model);
    }
    expect_refused(f->ctx, "/nonexistent", &clip, TUB_E_NOT_FOUND, "/nonexistent: ");
}

static tub_status open_and_close(const tub_allocator *a, void *user, tub_error *err) {
    tub_context_config config = tub_context_config_default();
    tub_context *ctx = NULL;
    tub_model *model = NULL;
    config.threads = 1;
    config.allocator = *a;
    tub_status status = tub_context_create(&config, &ctx, err);
    if (status == TUB_OK) {
        status = tub__scenic_open(ctx, user, &clip, &model, err);
        tub_model_close(model);
        tub_context_destroy(ctx);
    }
    return status;
}

static void test_failing_allocations(void **state) {
    fixture *f = *state;
    failing_report report = failing_run(open_and_close, (void *)write_model(f, &(edit){0}));
    assert_string_equal(report.problem, "");
    assert_true(report.allocations > 50);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_clips),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
