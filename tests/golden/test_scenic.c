/* SPDX-License-Identifier: Apache-2.0 */
/* scenic's own numbers: its parameters, written as a checkpoint and read again, give its logits, and
 * checkpoints that scenic wrote are known for what they are. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tubelet/tubelet.h>

#include "convert/scenic.h"
#include "convert/scenic_names.h"
#include "support/context_folder.h"
#include "support/golden_npz.h"
#include "support/scenic_refused.h"
#include "support/scenic_roots.h"

static const tub_allocator *const heap = &tub__default_allocator;

/* The parameters of a case as a checkpoint; the path lives as long as the fixture's last ones. */
static const char *write_checkpoint(fixture *f, scenic_root root, const char *name,
                                    const char *below) {
    const char *path = temp_path(&f->folder, name);
    tub__npz *z = golden_npz(scenic_case(root, name, "params.npz"));
    golden_checkpoint(z, "", below, path);
    tub__npz_close(z);
    return path;
}

/* The frames that scenic samples: 3 and 4 of 8. */
static const int sampled[5][4] = {[3] = {2, 4, 6}, [4] = {2, 3, 5, 6}};

static float *input_of(const double *all, const tub__npy *npy, size_t frames) {
    const size_t clips = npy->shape[0], given = npy->shape[1];
    const size_t picture = npy->shape[2] * npy->shape[3] * npy->shape[4];
    float *out = malloc(clips * frames * picture * sizeof *out);
    for (size_t b = 0; b < clips; b++) {
        for (size_t t = 0; t < frames; t++) {
            const size_t from = frames == given ? t : (size_t)sampled[frames][t];
            for (size_t i = 0; i < picture; i++) {
                out[(b * frames + t) * picture + i] = (float)all[(b * given + from) * picture + i];
            }
        }
    }
    return out;
}

static void expect_logits(tub_model *model, scenic_root root, const char *name) {
    const tub_model_config *c = tub_model_describe(model);
    tub__npy input, truth;
    tub_error err = {0};
    tub__npz *io = golden_npz(scenic_case(root, name, "io.npz")),
             *io_f64 = golden_npz(scenic_case(root, name, "io_f64.npz"));
    double *all = golden_doubles(io, "input", &input);
    double *expected = golden_doubles(io_f64, "logits", &truth);
    float *x = input_of(all, &input, (size_t)c->frames);
    float logits[64];
    assert_true(truth.elements <= 64 && truth.shape[1] == (uint64_t)c->classes);
    assert_ok(tub_model_forward(model, (int64_t)truth.shape[0], TUB_F32, x, logits, NULL, &err),
              err);
    double largest = 0;
    for (size_t i = 0; i < truth.elements; i++) {
        const double d = fabs((double)logits[i] - expected[i]);
        largest = d > largest || d != d ? d : largest;
    }
    printf("%s: logits within %.2g of float64\n", name, largest);
    assert_true(largest <= 1e-5); /* the golden folder's limit for float32 */
    free(x);
    free(expected);
    free(all);
    tub__npz_close(io_f64);
    tub__npz_close(io);
}

/* The three ways to say the clip, the roots of all kinds of states, and all variants. */
static void check_logits(fixture *f, scenic_root root) {
    static const struct {
        const char *name, *below;
        tub__scenic_hints hints;
        tub_variant variant;
        tub_pooling pooling;
        int64_t frames;
    } cases[] = {
        {"v1_cls",
         "optimizer/target/",
         {.frames = 8, .height = 24, .width = 16},
         TUB_VARIANT_JOINT,
         TUB_POOL_CLASS_TOKEN,
         8},
        {"v1_cls",
         "optimizer/target/params/",
         {.height = 24, .width = 16, .variant = 1},
         TUB_VARIANT_JOINT,
         TUB_POOL_CLASS_TOKEN,
         8},
        {"v1_gap",
         "params/",
         {.frames = 8, .height = 24, .width = 16},
         TUB_VARIANT_JOINT,
         TUB_POOL_MEAN,
         8},
        {"v1_gap", "", {.height = 24, .width = 16}, TUB_VARIANT_JOINT, TUB_POOL_MEAN, 8},
        {"v1_gmp",
         "",
         {.height = 24, .width = 16, .pooling = TUB_POOL_MAX},
         TUB_VARIANT_JOINT,
         TUB_POOL_MAX,
         8},
        {"v1_gsp_rep",
         "",
         {.height = 24, .width = 16, .pooling = TUB_POOL_SUM},
         TUB_VARIANT_JOINT,
         TUB_POOL_SUM,
         8},
        {"tok_sampling_v1",
         "params/",
         {.frames = 4, .height = 24, .width = 16},
         TUB_VARIANT_JOINT,
         TUB_POOL_CLASS_TOKEN,
         4},
        {"tok_sampling_v2",
         "params/",
         {.height = 24, .width = 16},
         TUB_VARIANT_FACTORISED_ENCODER,
         TUB_POOL_CLASS_TOKEN,
         3},
        {"v2_cls",
         "params/",
         {.height = 24, .width = 16},
         TUB_VARIANT_FACTORISED_ENCODER,
         TUB_POOL_CLASS_TOKEN,
         8},
        {"v2_gap",
         "params/",
         {.frames = 8, .height = 24, .width = 16, .variant = 2},
         TUB_VARIANT_FACTORISED_ENCODER,
         TUB_POOL_MEAN,
         8},
        {"v2_spatial_only",
         "params/",
         {.frames = 8, .height = 24, .width = 16},
         TUB_VARIANT_FACTORISED_ENCODER,
         TUB_POOL_CLASS_TOKEN,
         8},
        {"v3_time_space",
         "params/",
         {.height = 24, .width = 16},
         TUB_VARIANT_FACTORISED_SELF_ATTENTION,
         TUB_POOL_MEAN,
         8},
        {"v3_space_time",
         "params/",
         {.height = 24, .width = 16, .attention_order = TUB_ORDER_SPACE_TIME},
         TUB_VARIANT_FACTORISED_SELF_ATTENTION,
         TUB_POOL_MEAN,
         8},
        {"v4",
         "params/",
         {.height = 24, .width = 16, .variant = 4},
         TUB_VARIANT_FACTORISED_DOT_PRODUCT,
         TUB_POOL_MEAN,
         8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tub_model *model = NULL;
        tub_error err = {0};
        if (!scenic_has(root, cases[i].name)) {
            continue;
        }
        const char *path = write_checkpoint(f, root, cases[i].name, cases[i].below);
        assert_ok(tub__scenic_open(f->ctx, path, &cases[i].hints, &model, &err), err);
        const tub_model_config *c = tub_model_describe(model);
        assert_int_equal(c->variant, cases[i].variant);
        assert_int_equal(c->pooling, cases[i].pooling);
        assert_int_equal(c->frames, cases[i].frames);
        assert_int_equal(c->height, 24);
        assert_int_equal(c->width, 16);
        assert_int_equal(c->heads, 4);
        assert_int_equal(c->mlp, 48);
        assert_int_equal(c->classes, 6);
        expect_logits(model, root, cases[i].name);
        tub_model_close(model);
    }
}

/* What is wrong is said before anything is made. */
static void check_refused(fixture *f, scenic_root root) {
    static const struct {
        const char *name;
        tub__scenic_hints hints;
        tub_status status;
        const char *words;
    } cases[] = {
        {"v3_time_space",
         {.frames = 8, .variant = 1},
         TUB_E_ARGUMENT,
         "are those of variant 3 (factorised self-attention)"},
        {"v1_cls",
         {.frames = 8, .variant = 4},
         TUB_E_ARGUMENT,
         "variant 1 (joint space-time attention), not of variant 4"},
        {"v1_cls",
         {.frames = 8, .variant = 2},
         TUB_E_ARGUMENT,
         "variant 1 (joint space-time attention), not of variant 2"},
        {"v2_cls",
         {.frames = 6, .height = 24, .width = 16},
         TUB_E_SHAPE,
         "its 4 positions over time don't fit 6 frames cut by 2"},
        {"v2_cls", {0}, TUB_E_SHAPE, "don't fit 8 square frames cut into 2x8x4"},
        {"v2_spatial_only",
         {.height = 24, .width = 16},
         TUB_E_ARGUMENT,
         "it has no temporal transformer, whose positions would say"},
        {"pos_none",
         {.frames = 8, .height = 24, .width = 16},
         TUB_E_NOT_FOUND,
         "params/Transformer/posembed_input/pos_embedding: missing; ViViT's variant 1 has it"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (scenic_has(root, cases[i].name)) {
            expect_refused(f->ctx, write_checkpoint(f, root, cases[i].name, "params/"),
                           &cases[i].hints, cases[i].status, cases[i].words);
        }
    }
}

/* Every array of a factorised encoder, [in, out] to the file layout, against scenic's own reading. */
static void expect_arrays(tub_model *model, scenic_root root) {
    const tub__scenic_extent extent = {.layers = {2, 2}, .token = true};
    tub__npz *z = golden_npz(scenic_path(root, "checkpoint/expected.npz"));
    tub__scenic_array *list = NULL;
    size_t count = 0;
    tub_error err = {0};
    assert_ok(tub__scenic_list(heap, tub__scenic_variant_of(2), &extent, &list, &count, &err), err);
    assert_int_equal(count, tub_model_parameters(model));
    for (size_t i = 0; i < count; i++) {
        char name[TUB__SCENIC_NAME_LIMIT + 16];
        tub__npy npy;
        const tub__param *p = tub__params_find(&model->params, list[i].role, list[i].layer);
        assert_non_null(p);
        snprintf(name, sizeof name, "target/%s", list[i].name);
        double *expected = golden_doubles(z, name, &npy);
        const size_t n = p->rows * p->cols, channels = p->rank == 5 ? p->shape[1] : 1,
                     taps = p->rows / channels;
        assert_int_equal(npy.elements, n);
        float *found = malloc(n * sizeof *found);
        assert_ok(tub_model_get(model, p - model->params.list, found, &err), err);
        for (size_t j = 0; j < n; j++) {
            const size_t row = j / p->cols, col = j % p->cols;
            const size_t at = p->file == TUB__FILE_PLAIN
                                  ? j
                                  : (col * channels + row % channels) * taps + row / channels;
            assert_true((double)found[at] == expected[j]);
        }
        free(found), free(expected);
    }
    tub__free(heap, list);
    tub__npz_close(z);
}

/* Files that scenic's own code wrote: states of training around the parameters, chunks. */
static void check_second_variant(fixture *f, scenic_root root, const char *checkpoint) {
    const tub__scenic_hints picture = {.height = 24, .width = 16};
    tub_model *model = NULL;
    tub_error err = {0};
    assert_ok(tub__scenic_open(f->ctx, scenic_path(root, checkpoint), &picture, &model, &err), err);
    assert_int_equal(tub_model_describe(model)->variant, TUB_VARIANT_FACTORISED_ENCODER);
    assert_int_equal(tub_model_describe(model)->temporal_layers, 2);
    assert_int_equal(tub_model_describe(model)->frames, 8);
    expect_arrays(model, root);
    tub_model_close(model);
}

/* Older names. A ViT of pictures is a clip of one frame. */
static void check_older_names(fixture *f) {
    const tub__scenic_hints hints = {.frames = 1, .height = 24, .width = 16};
    tub_model *model = NULL;
    tub_error err = {0};
    tub__npy npy;
    assert_ok(tub__scenic_open(f->ctx,
                               scenic_path(SCENIC_WHOLE, "checkpoint/pre_linen/checkpoint_7"),
                               &hints, &model, &err),
              err);
    assert_int_equal(tub_model_describe(model)->tubelet[0], 1);
    assert_int_equal(tub_model_describe(model)->classes, 9);
    assert_int_equal(tub_model_describe(model)->layers, 2);
    tub__npz *z = golden_npz(scenic_path(SCENIC_WHOLE, "checkpoint/expected_pre_linen.npz"));
    double *expected = golden_doubles(z, "output_projection/kernel", &npy); /* [24, 9] */
    float found[9 * 24];
    const int64_t last = tub_model_parameters(model) - 2;
    assert_ok(tub_model_get(model, last, found, &err), err);
    for (size_t i = 0; i < 9 * 24; i++) {
        assert_true((double)found[i] == expected[i % 24 * 9 + i / 24]);
    }
    free(expected);
    tub__npz_close(z);
    tub_model_close(model);
}

static void test_part(void **state) {
    const tub__scenic_hints hints = {.frames = 1, .height = 24, .width = 16};
    fixture *f = *state;
    check_logits(f, SCENIC_PART);
    check_refused(f, SCENIC_PART);
    check_second_variant(f, SCENIC_PART, "checkpoint/chunked/checkpoint_5");
    expect_refused(f->ctx, scenic_path(SCENIC_PART, "checkpoint/types.msgpack"), &hints,
                   TUB_E_FORMAT, "not a checkpoint of scenic's ViViT");
}

static void test_whole(void **state) {
    static const char *const second[] = {
        "checkpoint/flax_optim/checkpoint_5", "checkpoint/chunked/checkpoint_5",
        "checkpoint/optax/checkpoint_5", "checkpoint/target_params/checkpoint_5"};
    fixture *f = *state;
    if (!scenic_whole_is_here()) {
        skip();
    }
    check_logits(f, SCENIC_WHOLE);
    check_refused(f, SCENIC_WHOLE);
    for (size_t i = 0; i < sizeof second / sizeof *second; i++) {
        check_second_variant(f, SCENIC_WHOLE, second[i]);
    }
    check_older_names(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_part), cmocka_unit_test(test_whole)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
