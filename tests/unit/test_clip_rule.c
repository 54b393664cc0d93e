/* SPDX-License-Identifier: Apache-2.0 */
/* How a model folder takes clips of files: what it remembers, and what other programs' folders say. */
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "context_folder.h"
#include "convert/prepare.h"

enum { SIDE = 8 };

static tub_model *make_model(tub_context *ctx) {
    tub_model_config c;
    tub_model *model = NULL;
    tub_error err;
    assert_ok(tub_model_preset("vivit-tiny", &c, &err), err);
    c.frames = c.height = c.width = SIDE;
    c.channels = 3;
    c.tubelet[0] = c.tubelet[1] = c.tubelet[2] = 4;
    c.hidden = 16;
    c.heads = c.layers = 1;
    c.mlp = 16;
    c.classes = 3;
    assert_ok(tub_model_create(ctx, &c, 1, &model, &err), err);
    return model;
}

static tub__clip_rule strided(void) {
    return (tub__clip_rule){.sampling = TUB_SAMPLING_STRIDE,
                            .stride = 3,
                            .picture = {.resize = true,
                                        .crop = true,
                                        .shortest_edge = 10,
                                        .crop_height = SIDE,
                                        .crop_width = SIDE,
                                        .filter = TUB__BILINEAR},
                            .split_seed = 41,
                            .window = {-160.5, 0.1}};
}

static void expect_rule(const tub_model *model, const tub__clip_rule *want) {
    const tub__clip_rule got = tub__model_clip_rule(model);
    assert_int_equal(got.sampling, want->sampling);
    assert_int_equal(got.stride, want->stride);
    assert_int_equal(got.split_seed, want->split_seed);
    assert_true(got.window.low == want->window.low && got.window.high == want->window.high);
    assert_int_equal(got.picture.resize, want->picture.resize);
    assert_int_equal(got.picture.crop, want->picture.crop);
    if (got.picture.resize) {
        assert_int_equal(got.picture.shortest_edge, want->picture.shortest_edge);
        assert_int_equal(got.picture.filter, want->picture.filter);
    }
    if (got.picture.crop) {
        assert_int_equal(got.picture.crop_height, want->picture.crop_height);
        assert_int_equal(got.picture.crop_width, want->picture.crop_width);
    }
}

/* A folder keeps the rule, byte for byte after a second turn; samples of the model's size stay what the
 * model takes. */
static void round_trip(fixture *f, const tub__clip_rule *rule) {
    tub_error err;
    char folder[512], file[600];
    char *first = NULL, *second = NULL;
    size_t size;
    tub_model *model = make_model(f->ctx), *again = NULL;
    snprintf(folder, sizeof folder, "%s", temp_path(&f->folder, "model"));
    snprintf(file, sizeof file, "%s/%s", folder, TUB__PREPROCESSOR_FILE);
    assert_ok(tub__model_set_clip_rule(model, rule, &err), err);
    expect_rule(model, rule);
    assert_ok(tub_model_save(model, folder, &err), err);
    assert_ok(tub__file_read(&tub__default_allocator, file, 1 << 16, &first, &size, &err), err);
    assert_ok(tub_model_open(f->ctx, folder, &again, &err), err);
    expect_rule(again, rule);
    assert_false(tub_model_prepares(again));
    assert_true(tub__model_takes_levels(again));
    unsigned char sample[SIDE * SIDE * SIDE * 3] = {1, 2, 255};
    float logits[3], other[3];
    assert_ok(tub_model_forward(model, 1, TUB_U8, sample, logits, NULL, &err), err);
    assert_ok(tub_model_forward(again, 1, TUB_U8, sample, other, NULL, &err), err);
    assert_memory_equal(logits, other, sizeof logits);
    assert_ok(tub__model_set_clip_rule(again, rule, &err), err);
    assert_ok(tub_model_save(again, folder, &err), err);
    assert_ok(tub__file_read(&tub__default_allocator, file, 1 << 16, &second, &size, &err), err);
    assert_string_equal(first, second);
    tub__free(&tub__default_allocator, first);
    tub__free(&tub__default_allocator, second);
    tub_model_close(again);
    tub_model_close(model);
}

static void test_round_trip(void **state) {
    const tub__clip_rule one = strided(), plain = {.sampling = TUB_SAMPLING_SEGMENTS};
    round_trip(*state, &one);
    round_trip(*state, &plain);
}

/* A model without a rule takes frames of its size. */
static void test_none(void **state) {
    fixture *f = *state;
    tub_model *model = make_model(f->ctx);
    expect_rule(model, &(tub__clip_rule){.sampling = TUB_SAMPLING_DEFAULT});
    tub_model_close(model);
}

/* Writes another preprocessor_config.json into a model folder and opens it. */
static tub_status open_with(fixture *f, const char *text, tub_model **out, tub_error *err) {
    char folder[512], file[600];
    tub_model *model = make_model(f->ctx);
    snprintf(folder, sizeof folder, "%s", temp_path(&f->folder, "other"));
    snprintf(file, sizeof file, "%s/%s", folder, TUB__PREPROCESSOR_FILE);
    assert_ok(tub_model_save(model, folder, err), *err);
    tub_model_close(model);
    assert_ok(tub__file_write(&tub__default_allocator, file, text, strlen(text), err), *err);
    return tub_model_open(f->ctx, folder, out, err);
}

/* Of transformers: sizes are the file's, sampling is not known, and the scaling that is left after frames
 * were cut is the whole preparation's. */
static void test_transformers(void **state) {
    tub_model *model = NULL;
    tub_error err;
    assert_ok(open_with(*state,
                        "{\"size\":{\"shortest_edge\":10},\"crop_size\":{\"height\":8,\"width\":8},"
                        "\"do_normalize\":false}",
                        &model, &err),
              err);
    tub__clip_rule want = strided();
    want.sampling = TUB_SAMPLING_DEFAULT;
    want.stride = want.split_seed = 0;
    want.window = (tub__intensity_window){0, 0};
    expect_rule(model, &want);
    assert_true(tub_model_prepares(model));
    assert_false(tub__model_takes_levels(model));
    const unsigned char sample[SIDE * SIDE * SIDE * 3] = {0, 51, 255};
    float out[SIDE * SIDE * SIDE * 3];
    assert_ok(tub__model_scale(model, 1, sample, out, &err), err);
    assert_true(out[0] == -1.0f && out[2] == 1.0f);
    assert_true(out[1] == (float)(51 * (1.0 / 127.5)) - 1.0f);
    tub_model_close(model);
}

/* From -1 to 1, with a rule: sizes go to the rule alone, so that nothing is resized twice. */
static void test_signed(void **state) {
    tub_model *model = NULL;
    tub_error err;
    assert_ok(open_with(*state,
                        "{\"size\":{\"shortest_edge\":10},\"crop_size\":{\"height\":8,\"width\":8},"
                        "\"do_normalize\":false,\"tubelet\":{\"clip\":{\"sampling\":\"stride\","
                        "\"stride\":3,\"split_seed\":41}}}",
                        &model, &err),
              err);
    tub__clip_rule want = strided();
    want.window = (tub__intensity_window){0, 0};
    expect_rule(model, &want);
    assert_true(tub_model_prepares(model));
    assert_ok(tub_model_accepts(model, TUB_U8, (const int64_t[4]){SIDE, SIDE, SIDE, 3}, &err), err);
    assert_int_equal(tub_model_accepts(model, TUB_U8, (const int64_t[4]){SIDE, 20, 20, 3}, &err),
                     TUB_E_SHAPE);
    tub_model_close(model);
}

static void test_refused(void **state) {
    static const struct {
        const char *clip, *words;
        tub_status status;
    } cases[] = {
        {"{\"sampling\":\"all\"}", "all is no way of sampling", TUB_E_FORMAT},
        {"{\"stride\":2}", "sampling", TUB_E_NOT_FOUND},
        {"{\"sampling\":\"stride\",\"stride\":-1}", "tubelet.clip: stride", TUB_E_RANGE},
        {"{\"sampling\":\"stride\",\"step\":1}", "tubelet.clip: unknown key 'step'",
         TUB_E_UNSUPPORTED},
        {"{\"sampling\":\"stride\",\"intensity_window\":[240,-160]}",
         "tubelet.clip: intensity_window: 240 is not below -160", TUB_E_RANGE},
        {"{\"sampling\":\"stride\",\"intensity_window\":[1]}", "expected two numbers",
         TUB_E_FORMAT},
        {"{\"sampling\":\"stride\",\"intensity_window\":[1,\"x\"]}",
         "tubelet.clip: intensity_window", TUB_E_FORMAT},
        {"[1]", "tubelet.clip: expected", TUB_E_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[300];
        tub_model *model = NULL;
        tub_error err = {0};
        snprintf(text, sizeof text, "{\"tubelet\":{\"clip\":%s}}", cases[i].clip);
        assert_int_equal(open_with(*state, text, &model, &err), cases[i].status);
        if (strstr(err.message, cases[i].words) == NULL ||
            strstr(err.message, TUB__PREPROCESSOR_FILE) == NULL) {
            fail_msg("%s", err.message);
        }
    }
}

/* A normalisation would be lost in the new file. */
static void test_normalised(void **state) {
    tub_model *model = NULL;
    tub_error err;
    const tub__clip_rule rule = strided();
    assert_ok(open_with(*state,
                        "{\"do_resize\":false,\"do_center_crop\":false,\"offset\":false,"
                        "\"rescale_factor\":0.0039}",
                        &model, &err),
              err);
    assert_int_equal(tub__model_set_clip_rule(model, &rule, &err), TUB_E_UNSUPPORTED);
    tub_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_transformers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_signed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_normalised, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
