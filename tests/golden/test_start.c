/* SPDX-License-Identifier: Apache-2.0 */
/* Starting from trained models, against what scenic makes of the same arrays, and against
 * transformers' positions of another picture. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tubelet/tubelet.h>

#include "base/file.h"
#include "convert/inflate.h"
#include "convert/position_grid.h"
#include "convert/scenic.h"
#include "support/context_folder.h"
#include "support/golden_npz.h"
#include "support/scenic_roots.h"

#define INTERPOLATE SHARED "/golden/hf/interpolate/"

enum { NAME = 96 };

static double farthest(const float *found, const double *expected, size_t n) {
    double largest = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = fabs((double)found[i] - expected[i]);
        largest = d > largest || d != d ? d : largest;
    }
    return largest;
}

/* ---- Kernels ---- */

/* scenic's [h,w,C,D] and [t,h,w,C,D] to [D,C,h*w] and [D,C,t,h*w]. */
static void to_table(const double *from, size_t frames, size_t taps, size_t channels,
                     size_t filters, double *out) {
    for (size_t t = 0; t < frames; t++) {
        for (size_t i = 0; i < taps; i++) {
            for (size_t c = 0; c < channels; c++) {
                for (size_t d = 0; d < filters; d++) {
                    out[((d * channels + c) * frames + t) * taps + i] =
                        from[((t * taps + i) * channels + c) * filters + d];
                }
            }
        }
    }
}

static void check_kernel(tub__npz *z, tub_start_kernel kind, const char *name, size_t frames) {
    enum { TAPS = 6, CHANNELS = 3, FILTERS = 4, FLAT = TAPS * CHANNELS * FILTERS };
    char path[NAME];
    tub__npy npy;
    double flat[FLAT], expected[4 * FLAT], weights[4];
    float kernel[FLAT], found[4 * FLAT];
    snprintf(path, sizeof path, "%s/t%zu/kernel2d", name, frames);
    double *from = golden_doubles(z, path, &npy);
    assert_int_equal(npy.elements, FLAT);
    to_table(from, 1, TAPS, CHANNELS, FILTERS, flat);
    for (size_t i = 0; i < FLAT; i++) {
        kernel[i] = (float)flat[i];
    }
    free(from);
    snprintf(path, sizeof path, "%s/t%zu/kernel3d", name, frames);
    from = golden_doubles(z, path, &npy);
    to_table(from, frames, TAPS, CHANNELS, FILTERS, expected);
    free(from);
    tub__inflate_weights(kind, frames, weights);
    const tub__inflation f = {FILTERS, CHANNELS, CHANNELS, frames, TAPS, weights};
    tub__inflate(&f, kernel, found);
    const double off = farthest(found, expected, frames * FLAT);
    printf("%s, %zu frames: within %.2g\n", name, frames, off);
    assert_true(off <= 2e-7); /* one rounding of numbers below 4 */
    if (kind == TUB_START_ARP) {
        snprintf(path, sizeof path, "%s/t%zu/weights", name, frames);
        from = golden_doubles(z, path, &npy);
        for (size_t t = 0; t < frames; t++) {
            assert_true(fabs(from[t] - weights[t]) <= 1e-15);
        }
        free(from);
    }
}

static void test_kernels(void **state) {
    static const char *const names[] = {[TUB_START_CENTRAL] = "central_frame_initializer",
                                        [TUB_START_AVERAGE] = "average_frame_initializer",
                                        [TUB_START_ARP] = "average_arp_frame_initializer"};
    (void)state;
    tub__npz *z = golden_npz(scenic_path(SCENIC_PART, "init/inflate.npz"));
    for (size_t kind = 0; kind < 3; kind++) {
        for (size_t frames = 2; frames <= 4; frames++) {
            check_kernel(z, (tub_start_kernel)kind, names[kind], frames);
        }
    }
    tub__npz_close(z);
}

/* ---- Positions ---- */

static void check_table(tub__npz *z, const char *name, tub_start_positions how, tub__grid there,
                        tub__grid here) {
    char path[NAME];
    tub__npy in, out;
    tub_error err = {0};
    snprintf(path, sizeof path, "%s/in", name);
    float *from = golden_floats(z, path, &in);
    snprintf(path, sizeof path, "%s/out", name);
    double *expected = golden_doubles(z, path, &out);
    const size_t width = (size_t)in.shape[1];
    float *found = malloc(out.elements * sizeof *found);
    assert_int_equal(tub__grid_cells(&here) * width, out.elements);
    assert_ok(
        tub__grid_resize(&tub__default_allocator, how, &there, from, &here, found, width, &err),
        err);
    const double off = farthest(found, expected, out.elements);
    printf("%s: within %.2g\n", name, off);
    assert_true(off == 0); /* SciPy computes in double, too, and rounds at the end */
    free(found);
    free(expected);
    free(from);
}

static void test_tables(void **state) {
    static const struct {
        const char *name;
        tub_start_positions how;
        tub__grid there, here;
    } cases[] = {
        {"resize_16_36", TUB_START_RESIZE, {{1, 4, 4}}, {{1, 6, 6}}},
        {"resize_49_16", TUB_START_RESIZE, {{1, 7, 7}}, {{1, 4, 4}}},
        {"resize_9_25", TUB_START_TILE, {{1, 3, 3}}, {{1, 5, 5}}},
        {"resize_25_25", TUB_START_RESIZE, {{1, 5, 5}}, {{1, 5, 5}}},
        {"resize_196_256", TUB_START_RESIZE, {{1, 14, 14}}, {{1, 16, 16}}},
        {"tile_6_24", TUB_START_TILE, {{1, 2, 3}}, {{4, 2, 3}}},
        {"tile_6_24", TUB_START_RESIZE, {{1, 2, 3}}, {{4, 2, 3}}},
        {"tile_6_24", TUB_START_BICUBIC, {{1, 2, 3}}, {{4, 2, 3}}},
        {"tile_12_12", TUB_START_TILE, {{1, 3, 4}}, {{1, 3, 4}}},
        {"tile_5_17", TUB_START_TILE, {{1, 5, 1}}, {{3, 5, 1}}}, /* whole repeats only */
        {"zoom1d_4_6", TUB_START_RESIZE, {{4, 1, 1}}, {{6, 1, 1}}},
        {"zoom1d_16_4", TUB_START_RESIZE, {{16, 1, 1}}, {{4, 1, 1}}},
        {"zoom1d_8_8", TUB_START_RESIZE, {{8, 1, 1}}, {{8, 1, 1}}},
        {"zoom1d_7_3", TUB_START_RESIZE, {{7, 1, 1}}, {{3, 1, 1}}},
        {"zoom1d_16_128", TUB_START_RESIZE, {{16, 1, 1}}, {{128, 1, 1}}},
        {"zoom1d_5_1", TUB_START_RESIZE, {{5, 1, 1}}, {{1, 1, 1}}},
    };
    (void)state;
    tub__npz *z = golden_npz(scenic_path(SCENIC_PART, "init/posemb_functions.npz"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_table(z, cases[i].name, cases[i].how, cases[i].there, cases[i].here);
    }
    tub__npz_close(z);
}

/* ---- Positions with and without a class token, in models ---- */

enum { WIDTH = 5 };

static tub_model_config table_config(tub__grid grid, bool token) {
    return (tub_model_config){.size = sizeof(tub_model_config),
                              .frames = (int64_t)grid.size[0],
                              .height = (int64_t)grid.size[1],
                              .width = (int64_t)grid.size[2],
                              .channels = 1,
                              .tubelet = {1, 1, 1},
                              .hidden = WIDTH,
                              .heads = 1,
                              .layers = 1,
                              .mlp = 1,
                              .classes = 2,
                              .pooling = token ? TUB_POOL_CLASS_TOKEN : TUB_POOL_MEAN,
                              .norm_epsilon = 1e-6,
                              .attention_init = TUB_INIT_GLOROT};
}

static int64_t index_of(const tub_model *model, const char *name) {
    for (int64_t i = 0; i < tub_model_parameters(model); i++) {
        tub_parameter p;
        tub_error err = {0};
        assert_ok(tub_model_parameter(model, i, &p, &err), err);
        if (strcmp(p.name, name) == 0) {
            return i;
        }
    }
    fail_msg("no array %s", name);
    return -1;
}

static const char POSITIONS[] = "vivit.embeddings.position_embeddings";

/* A model of one block with a golden table of positions. */
static tub_model *table_model(tub_context *ctx, tub__npz *z, const char *array, tub__grid grid,
                              bool token) {
    const tub_model_config config = table_config(grid, token);
    tub__npy npy;
    tub_model *model = NULL;
    tub_error err = {0};
    float *values = golden_floats(z, array, &npy);
    assert_int_equal(npy.elements, (tub__grid_cells(&grid) + token) * WIDTH);
    assert_ok(tub_model_create(ctx, &config, 3, &model, &err), err);
    assert_ok(tub_model_set(model, index_of(model, POSITIONS), values, &err), err);
    free(values);
    return model;
}

static void check_start_table(fixture *f, tub__npz *z, const char *name, tub_start_positions how,
                              tub__grid there, tub__grid here) {
    static const char *const kinds[] = {"gap", "token"};
    for (int i = 0; i < 4; i++) {
        const bool from = i & 1, to = i & 2;
        char path[NAME];
        tub__npy npy;
        tub_error err = {0};
        tub_start_options o = tub_start_options_default();
        o.positions = how;
        snprintf(path, sizeof path, "%s/%s_to_%s/restored", name, kinds[from], kinds[to]);
        tub_model *source = table_model(f->ctx, z, path, there, from);
        snprintf(path, sizeof path, "%s/%s_to_%s/target_before", name, kinds[from], kinds[to]);
        tub_model *model = table_model(f->ctx, z, path, here, to);
        snprintf(path, sizeof path, "%s/%s_to_%s/result", name, kinds[from], kinds[to]);
        double *expected = golden_doubles(z, path, &npy);
        const char *folder = temp_path(&f->folder, "table");
        assert_ok(tub_model_save(source, folder, &err), err);
        assert_ok(tub_model_start(model, folder, &o, NULL, &err), err);
        float found[64 * WIDTH];
        assert_ok(tub_model_get(model, index_of(model, POSITIONS), found, &err), err);
        const double off = farthest(found, expected, npy.elements);
        printf("%s, %s to %s: within %.2g\n", name, kinds[from], kinds[to], off);
        assert_true(off == 0);
        free(expected);
        tub_model_close(model);
        tub_model_close(source);
    }
}

/* The rule for "temporal" is one table over time: a picture of one cell. */
static void test_tables_of_models(void **state) {
    tub__npz *z = golden_npz(scenic_path(SCENIC_PART, "init/posemb_init.npz"));
    const tub__grid square = {{1, 3, 3}}, larger = {{1, 6, 6}}, repeated = {{4, 3, 3}};
    check_start_table(*state, z, "tile_9_36", TUB_START_TILE, square, repeated);
    check_start_table(*state, z, "tile_9_36", TUB_START_RESIZE, square, repeated);
    check_start_table(*state, z, "resize_9_36", TUB_START_RESIZE, square, larger);
    check_start_table(*state, z, "resize_tile_16_36", TUB_START_TILE, (tub__grid){{1, 4, 4}},
                      repeated);
    check_start_table(*state, z, "resize_tile_16_36", TUB_START_RESIZE, (tub__grid){{1, 4, 4}},
                      repeated);
    check_start_table(*state, z, "temporal_4_7", TUB_START_RESIZE, (tub__grid){{4, 1, 1}},
                      (tub__grid){{7, 1, 1}});
    check_start_table(*state, z, "tile_9_9", TUB_START_TILE, square, square);
    tub__npz_close(z);
}

/* ---- Whole models ---- */

typedef struct whole {
    const char *name;
    tub_start_kernel kernel;
    tub_start_temporal temporal;
    tub__scenic_hints source, target;
    bool classifier; /* as many classes there */
} whole;

static tub_model *open_part(fixture *f, tub__npz *z, const char *part,
                            const tub__scenic_hints *hints) {
    tub_model *model = NULL;
    tub_error err = {0};
    const char *path = temp_path(&f->folder, "part");
    golden_checkpoint(z, part, "params/", path);
    assert_ok(tub__scenic_open(f->ctx, path, hints, &model, &err), err);
    return model;
}

/* What scenic does otherwise than tubelet: it leaves the classifier fresh where there are as many
 * classes; and attention over time that is not copied to what its own initial values are: an output of
 * zero, for which the golden target has random numbers. */
static bool is_classifier(const char *name) {
    return strncmp(name, "classifier.", strlen("classifier.")) == 0;
}

static bool is_output_over_time(const char *name) {
    return strstr(name, "temporal_attention.output.dense.") != NULL;
}

static void compare_array(const tub_model *found, const tub_model *expected, int64_t index,
                          const tub_parameter *p, bool zero) {
    tub_error err = {0};
    const size_t n = (size_t)p->count;
    float *a = calloc(n, sizeof *a), *b = calloc(n, sizeof *b);
    assert_ok(tub_model_get(found, index, a, &err), err);
    if (!zero) {
        assert_ok(tub_model_get(expected, index, b, &err), err);
    }
    if (memcmp(a, b, n * sizeof *a) != 0) {
        fail_msg("%s differs", p->name);
    }
    free(b);
    free(a);
}

/* Every array of both, bit by bit. */
static void compare_models(const tub_model *found, const tub_model *expected, const whole *w) {
    int64_t compared = 0;
    assert_int_equal(tub_model_parameters(found), tub_model_parameters(expected));
    for (int64_t i = 0; i < tub_model_parameters(found); i++) {
        tub_parameter p;
        tub_error err = {0};
        assert_ok(tub_model_parameter(found, i, &p, &err), err);
        if (!is_classifier(p.name) || !w->classifier) {
            compare_array(found, expected, i, &p,
                          w->temporal == TUB_START_TEMPORAL_ZERO && is_output_over_time(p.name));
            compared++;
        }
    }
    printf("%lld arrays, bit by bit\n", (long long)compared);
}

static void check_whole(fixture *f, const whole *w) {
    char path[NAME];
    tub_error err = {0};
    tub_start_options o = tub_start_options_default();
    o.kernel = w->kernel;
    o.temporal = w->temporal;
    o.clip[0] = w->source.frames, o.clip[1] = w->source.height, o.clip[2] = w->source.width;
    snprintf(path, sizeof path, "init/%s.npz", w->name);
    tub__npz *z = golden_npz(scenic_path(SCENIC_WHOLE, path));
    tub_model *model = open_part(f, z, "target/", &w->target);
    tub_model *expected = open_part(f, z, "result/", &w->target);
    const char *source = temp_path(&f->folder, "source");
    golden_checkpoint(z, "source/", "optimizer/target/", source);
    assert_ok(tub_model_start(model, source, &o, NULL, &err), err);
    printf("%s: ", w->name);
    compare_models(model, expected, w);
    tub_model_close(expected);
    tub_model_close(model);
    tub__npz_close(z);
}

static void test_whole(void **state) {
    static const whole cases[] = {
        {"vit_to_v1",
         TUB_START_CENTRAL,
         0,
         {.frames = 1, .height = 24, .width = 16},
         {.frames = 8, .height = 24, .width = 16},
         false},
        {"vit_to_v2",
         TUB_START_AVERAGE,
         0,
         {.frames = 1, .height = 24, .width = 16},
         {.frames = 8, .height = 24, .width = 16},
         false},
        {"vit_to_v3",
         TUB_START_ARP,
         TUB_START_TEMPORAL_COPY,
         {.frames = 1, .height = 24, .width = 16},
         {.frames = 8, .height = 24, .width = 16},
         false},
        {"vit_to_v3_space_only",
         TUB_START_ARP,
         TUB_START_TEMPORAL_ZERO,
         {.frames = 1, .height = 24, .width = 16},
         {.frames = 8, .height = 24, .width = 16},
         false},
        {"vit_to_v4",
         TUB_START_CENTRAL,
         0,
         {.frames = 1, .height = 24, .width = 16},
         {.frames = 8, .height = 24, .width = 16, .variant = 4},
         false},
        {"v2_to_v2_longer",
         TUB_START_CENTRAL,
         0,
         {.frames = 8, .height = 24, .width = 16},
         {.frames = 12, .height = 24, .width = 16},
         true},
    };
    if (!scenic_whole_is_here()) {
        skip();
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_whole(*state, &cases[i]);
    }
}

/* A checkpoint does not say its clip; what is taken of it is called as it is there. */
static void test_clip_of_checkpoint(void **state) {
    fixture *f = *state;
    tub_start_options o = tub_start_options_default();
    tub_start_report *report = NULL;
    tub_model_config config;
    tub_error err = {0};
    tub__npz *z = golden_npz(scenic_case(SCENIC_PART, "v1_gmp", "params.npz"));
    const char *path = temp_path(&f->folder, "checkpoint");
    golden_checkpoint(z, "", "params/", path);
    tub__npz_close(z);
    assert_int_equal(tub_start_config(f->ctx, path, &o, &config, &err), TUB_E_ARGUMENT);
    assert_non_null(strstr(err.message, "checkpoint: its 48 positions don't say how they lie: give "
                                        "the clip's frames, or its height and width"));
    assert_non_null(strstr(err.message, ", with the setting init_clip"));
    o.clip[1] = 24, o.clip[2] = 16;
    assert_ok(tub_start_config(f->ctx, path, &o, &config, &err), err);
    assert_int_equal(config.frames, 8);
    assert_int_equal(config.tubelet[0], 2);
    tub_model *model = NULL;
    config.frames = 4;
    assert_ok(tub_model_create(f->ctx, &config, 1, &model, &err), err);
    assert_ok(tub_model_start(model, path, &o, &report, &err), err);
    assert_string_equal(report->kind, "ViViT of scenic");
    const tub_start_array *positions = &report->arrays[index_of(model, POSITIONS)];
    assert_string_equal(positions->there, "params/Transformer/posembed_input/pos_embedding");
    assert_string_equal(positions->what, "resized 4x3x4 to 2x3x4");
    assert_string_equal(
        report->arrays[index_of(model, "vivit.encoder.layer.0.layernorm_after.bias")].there,
        "params/Transformer/encoderblock_0/LayerNorm_1/bias");
    tub_start_report_free(f->ctx, report);
    tub_model_close(model);
}

/* ---- transformers' positions of another picture ---- */

/* [C,H,W] of each frame to [H,W,C]. */
static float *channels_last(const float *from, const tub__npy *npy) {
    const size_t frames = npy->shape[0] * npy->shape[1], channels = npy->shape[2];
    const size_t pixels = npy->shape[3] * npy->shape[4];
    float *out = malloc(npy->elements * sizeof *out);
    for (size_t t = 0; t < frames; t++) {
        for (size_t c = 0; c < channels; c++) {
            for (size_t i = 0; i < pixels; i++) {
                out[(t * pixels + i) * channels + c] = from[(t * channels + c) * pixels + i];
            }
        }
    }
    return out;
}

static void check_interpolation(tub_context *ctx, tub__npz *z, const char *name) {
    char array[NAME];
    tub__npy npy, truth;
    tub_model *there = NULL, *model = NULL;
    tub_error err = {0};
    tub_start_options o = tub_start_options_default();
    o.positions = TUB_START_BICUBIC;
    snprintf(array, sizeof array, "%s/pixel_values", name);
    float *pixels = golden_floats(z, array, &npy), *x = channels_last(pixels, &npy);
    snprintf(array, sizeof array, "%s/logits_f64", name);
    double *expected = golden_doubles(z, array, &truth);
    assert_ok(tub_model_open(ctx, INTERPOLATE "t1", &there, &err), err);
    tub_model_config config = *tub_model_describe(there);
    config.height = (int64_t)npy.shape[3];
    config.width = (int64_t)npy.shape[4];
    assert_ok(tub_model_create(ctx, &config, 1, &model, &err), err);
    assert_ok(tub_model_start(model, INTERPOLATE "t1", &o, NULL, &err), err);
    float logits[8];
    assert_ok(tub_model_forward(model, 1, TUB_F32, x, logits, NULL, &err), err);
    double largest = 0;
    for (size_t i = 0; i < truth.elements; i++) {
        largest = fabs(expected[i]) > largest ? fabs(expected[i]) : largest;
    }
    const double off = farthest(logits, expected, truth.elements) / largest;
    printf("%s: logits within %.2g of the largest\n", name, off);
    assert_true(off <= 2e-6);
    tub_model_close(model);
    tub_model_close(there);
    free(expected);
    free(x);
    free(pixels);
}

static void test_interpolation(void **state) {
    static const char *const cases[] = {"t1_40x24", "t1_24x56", "t1_32x40", "t1_36x36_same_grid"};
    if (!tub__is_folder(INTERPOLATE)) {
        printf("skipped: %s is not here\n", INTERPOLATE);
        skip();
    }
    tub__npz *z = golden_npz(INTERPOLATE "interpolate.npz");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_interpolation(((fixture *)*state)->ctx, z, cases[i]);
    }
    tub__npz_close(z);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernels),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_tables_of_models),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_clip_of_checkpoint),
        cmocka_unit_test(test_interpolation),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
