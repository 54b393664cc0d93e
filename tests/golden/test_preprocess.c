/* SPDX-License-Identifier: Apache-2.0 */
/* What transformers and Pillow make of clips, by every golden vector: levels after resizing and crop
 * exactly, the model's input bit by bit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "convert/preprocessor_json.h"
#include "data/dataset.h"
#include "formats/npy.h"
#include "support/cmocka_all.h"
#include "support/temp_folder.h"
#include <math.h>
#include <tubelet/tubelet.h>

#define FOLDER SHARED "/golden/hf/preprocess/"

static const tub_allocator *const heap = &tub__default_allocator;

static tub_context *make_context(void) {
    tub_context_config options = tub_context_config_default();
    tub_context *ctx = NULL;
    tub_error err = {0};
    options.threads = 1;
    assert_ok(tub_context_create(&options, &ctx, &err), err);
    return ctx;
}

static bool have_shared(void) {
    if (!tub__file_exists(FOLDER "cases.json")) {
        printf("skipped: %s is not here\n", FOLDER);
        return false;
    }
    return true;
}

static tub__json *load_json(const char *name) {
    char path[1024];
    tub__json *root = NULL;
    tub_error err = {0};
    snprintf(path, sizeof path, FOLDER "%s", name);
    assert_ok(tub__json_load(heap, path, 1 << 20, &root, &err), err);
    return root;
}

static tub__npz *load_npz(const char *name) {
    char path[1024];
    tub__npz *z = NULL;
    tub_error err = {0};
    snprintf(path, sizeof path, FOLDER "%s", name);
    assert_ok(tub__npz_open(heap, path, &z, &err), err);
    return z;
}

static const char *text_of(const tub__json *object, const char *key) {
    const char *text = NULL;
    assert_int_equal(tub__json_get_text(object, key, &text, NULL), TUB_OK);
    return text;
}

/* A member's bytes, behind its header; *whole is to be freed. */
static const void *member(tub__npz *z, const char *name, void **whole, tub__npy *npy) {
    tub_error err = {0};
    assert_ok(tub__npz_read(z, name, 1 << 26, whole, npy, &err), err);
    return (const char *)*whole + npy->data_offset;
}

/* ---- Resizing ---- */

static void expect_resized(tub__npz *z, const tub__json *one, const char *key,
                           tub__pass_order order) {
    tub__npy from, to;
    void *in_whole, *out_whole;
    int64_t filter;
    tub__resizer *r = NULL;
    tub_error err = {0};
    const unsigned char *in = member(z, text_of(one, "source"), &in_whole, &from);
    const unsigned char *expected = member(z, text_of(one, key), &out_whole, &to);
    const size_t channels = from.rank == 3 ? (size_t)from.shape[2] : 1;
    unsigned char *out = malloc(to.elements);
    assert_int_equal(tub__json_get_integer(one, "resample", &filter, NULL), TUB_OK);
    assert_ok(tub__resizer_create(heap, (tub__filter)filter, order, channels,
                                  (const size_t[2]){from.shape[0], from.shape[1]},
                                  (const size_t[2]){to.shape[0], to.shape[1]}, &r, &err),
              err);
    tub__resizer_run(r, in, out);
    if (memcmp(out, expected, to.elements) != 0) {
        fail_msg("%s differs", text_of(one, key));
    }
    tub__resizer_destroy(r);
    free(out);
    tub__free(heap, out_whole);
    tub__free(heap, in_whole);
}

static void test_resize(void **state) {
    (void)state;
    if (!have_shared()) {
        skip();
    }
    tub__json *root = load_json("pil_resize.json");
    tub__npz *z = load_npz("pil_resize.npz");
    const tub__json *cases = tub__json_get(root, "cases");
    size_t both = 0;
    for (size_t i = 0; i < tub__json_size(cases); i++) {
        const tub__json *one = tub__json_at(cases, i);
        expect_resized(z, one, "key", TUB__PILLOW_13);
        if (tub__json_get(one, "key_horizontal_first") != NULL) {
            expect_resized(z, one, "key_horizontal_first", TUB__WIDTH_FIRST);
            both++;
        }
    }
    printf("%zu pictures resized as Pillow 13, %zu of them as older ones too\n",
           tub__json_size(cases), both);
    assert_true(tub__json_size(cases) > 70 && both > 5);
    tub__npz_close(z);
    tub__json_free(root);
}

/* ---- Whole settings ---- */

typedef struct clip {
    void *whole;
    const unsigned char *frames;
    size_t count, size[2], channels;
} clip;

static clip load_clip(const tub__json *one) {
    char path[1024], *bytes;
    int64_t frames;
    size_t size;
    tub__npy npy;
    tub_error err = {0};
    snprintf(path, sizeof path, FOLDER "%s", text_of(one, "source"));
    assert_ok(tub__file_read(heap, path, 1 << 24, &bytes, &size, &err), err);
    assert_ok(tub__npy_parse(bytes, size, false, &npy, &err), err);
    assert_int_equal(tub__json_get_integer(one, "frames", &frames, NULL), TUB_OK);
    return (clip){.whole = bytes,
                  .frames = (unsigned char *)bytes + npy.data_offset,
                  .count = (size_t)frames,
                  .size = {npy.shape[1], npy.shape[2]},
                  .channels = npy.shape[3]};
}

/* Files have [T, C, H, W], tubelet [T, H, W, C]. size: of an element. */
static void expect_same(const char *what, const clip *c, const size_t size[2], const float *found,
                        tub__npz *z, const char *name) {
    tub__npy npy;
    void *whole;
    const void *bytes = member(z, name, &whole, &npy);
    const size_t pixels = size[0] * size[1];
    float *expected = malloc(npy.elements * sizeof *expected);
    tub_error err = {0};
    (void)bytes;
    assert_ok(tub__npy_to_f32(&npy, whole, expected, &err), err);
    assert_int_equal(npy.elements, c->count * c->channels * pixels);
    for (size_t t = 0; t < c->count; t++) {
        for (size_t k = 0; k < c->channels; k++) {
            for (size_t i = 0; i < pixels; i++) {
                const float a = found[(t * pixels + i) * c->channels + k];
                const float b = expected[(t * c->channels + k) * pixels + i];
                if (memcmp(&a, &b, sizeof a) != 0) {
                    fail_msg("%s, %s: frame %zu, channel %zu, pixel %zu is %.9g, expected %.9g",
                             what, name, t, k, i, (double)a, (double)b);
                }
            }
        }
    }
    free(expected);
    tub__free(heap, whole);
}

/* A model folder for an input of this shape, with the setting's file. */
static void make_model(tub_context *ctx, const char *folder, const char *setting,
                       const int64_t shape[4]) {
    const tub_model_config config = {.size = sizeof config,
                                     .frames = shape[0],
                                     .height = shape[1],
                                     .width = shape[2],
                                     .channels = shape[3],
                                     .tubelet = {1, 4, 4},
                                     .hidden = 4,
                                     .heads = 1,
                                     .layers = 1,
                                     .mlp = 4,
                                     .classes = 2,
                                     .norm_epsilon = 1e-6};
    tub_model *model = NULL;
    tub_error err = {0};
    char from[512], to[512], *text;
    size_t size;
    assert_ok(tub_model_create(ctx, &config, 1, &model, &err), err);
    assert_ok(tub_model_save(model, folder, &err), err);
    tub_model_close(model);
    snprintf(from, sizeof from, FOLDER "%s/preprocessor_config.json", setting);
    snprintf(to, sizeof to, "%s/preprocessor_config.json", folder);
    assert_ok(tub__file_read(heap, from, 1 << 20, &text, &size, &err), err);
    assert_ok(tub__file_write(heap, to, text, size, &err), err);
    tub__free(heap, text);
}

static void expect_clip(const char *setting, const tub__preprocessing *p, const char *stage,
                        const clip *c, tub__npz *z, const char *name) {
    size_t size[2];
    tub_error err = {0};
    tub__preprocessing levels = *p;
    char key[64];
    assert_ok(tub__preprocessed_size(p, c->size, size, &err), err);
    float *out = malloc(c->count * size[0] * size[1] * c->channels * sizeof *out);
    levels.rescale = levels.normalize = false;
    assert_ok(tub__preprocess(heap, &levels, c->count, c->size, c->channels, c->frames, out, &err),
              err);
    snprintf(key, sizeof key, "%s_%s", stage, name);
    expect_same(setting, c, size, out, z, key);
    if (p->order == TUB__PILLOW_13) {
        assert_ok(tub__preprocess(heap, p, c->count, c->size, c->channels, c->frames, out, &err),
                  err);
        snprintf(key, sizeof key, "pixel_values_%s", name);
        expect_same(setting, c, size, out, z, key);
    }
    free(out);
}

/* The same by a model folder with that file, through the public interface alone. */
static void expect_model_prepares(tub_context *ctx, const char *folder, const char *setting,
                                  const clip *c, tub__npz *z, const char *name) {
    tub__preprocessing p;
    tub_model *model = NULL;
    size_t size[2];
    tub_error err = {0};
    char path[512], key[64];
    snprintf(path, sizeof path, "%s/preprocessor_config.json", setting);
    tub__json *config = load_json(path);
    assert_ok(tub__preprocessing_from_json(config, &p, &err), err);
    tub__json_free(config);
    assert_ok(tub__preprocessed_size(&p, c->size, size, &err), err);
    const int64_t shape[4] = {(int64_t)c->count, (int64_t)c->size[0], (int64_t)c->size[1],
                              (int64_t)c->channels};
    make_model(ctx, folder, setting,
               (const int64_t[4]){shape[0], (int64_t)size[0], (int64_t)size[1], shape[3]});
    assert_ok(tub_model_open(ctx, folder, &model, &err), err);
    float *out = malloc(2 * c->count * size[0] * size[1] * c->channels * sizeof *out);
    assert_ok(tub_model_prepare(model, 1, shape, c->frames, out, &err), err);
    snprintf(key, sizeof key, "pixel_values_%s", name);
    expect_same(setting, c, size, out, z, key);
    free(out);
    tub_model_close(model);
}

static int check_setting(tub_context *ctx, const char *folder, const tub__json *setting) {
    char path[256], key[64];
    int checked = 0;
    const char *name = text_of(setting, "name");
    tub__preprocessing p;
    tub_error err = {0};
    tub__json *config = load_json(text_of(setting, "config"));
    assert_ok(tub__preprocessing_from_json(config, &p, &err), err);
    snprintf(path, sizeof path, "%s/pixels.npz", name);
    tub__npz *z = load_npz(path);
    const tub__json *clips = tub__json_get(setting, "clips");
    for (void *it = tub__json_first(clips); it != NULL; it = tub__json_next(clips, it)) {
        clip c = load_clip(tub__json_value(it));
        p.order = TUB__PILLOW_13;
        expect_model_prepares(ctx, folder, name, &c, z, tub__json_key(it));
        expect_clip(name, &p, "stage_u8", &c, z, tub__json_key(it));
        snprintf(key, sizeof key, "stage_u8_horizontal_first_%s", tub__json_key(it));
        if (tub__npz_has(z, key)) {
            p.order = TUB__WIDTH_FIRST;
            expect_clip(name, &p, "stage_u8_horizontal_first", &c, z, tub__json_key(it));
        }
        tub__free(heap, c.whole);
        checked++;
    }
    tub__npz_close(z);
    tub__json_free(config);
    return checked;
}

static void test_settings(void **state) {
    (void)state;
    int checked = 0;
    if (!have_shared()) {
        skip();
    }
    tub_context *ctx = make_context();
    temp_folder folder;
    temp_folder_make(&folder);
    tub__json *root = load_json("cases.json");
    const tub__json *settings = tub__json_get(root, "settings");
    for (size_t i = 0; i < tub__json_size(settings); i++) {
        checked += check_setting(ctx, folder.path, tub__json_at(settings, i));
    }
    printf("%zu settings, %d clips: every level and every number the same\n",
           tub__json_size(settings), checked);
    assert_true(tub__json_size(settings) == 16 && checked > 25);
    tub__json_free(root);
    temp_folder_drop(&folder);
    tub_context_destroy(ctx);
}

/* ---- From levels to logits (clips/, which record_clips.py wrote) ---- */

enum { CLIP_CLASSES = 3 };

static void read_record(const char *name, double logits[CLIP_CLASSES]) {
    char path[512];
    tub__json *root = NULL;
    tub_error err = {0};
    snprintf(path, sizeof path, GOLDEN "/clips/%s/logits.json", name);
    assert_ok(tub__json_load(heap, path, 1 << 20, &root, &err), err);
    const tub__json *list = tub__json_get(root, "logits");
    assert_int_equal(tub__json_size(list), CLIP_CLASSES);
    for (size_t k = 0; k < CLIP_CLASSES; k++) {
        assert_int_equal(tub__json_to_real(tub__json_at(list, k), "logits", &logits[k], NULL),
                         TUB_OK);
    }
    tub__json_free(root);
}

static void expect_near(const char *name, const float *found, const double *expected) {
    double largest = 0, error = 0;
    for (int k = 0; k < CLIP_CLASSES; k++) {
        largest = fmax(largest, fabs(expected[k]));
        error = fmax(error, fabs((double)found[k] - expected[k]));
    }
    printf("%s: %.2g of the largest logit\n", name, error / largest);
    assert_true(error <= 2e-6 * largest);
}

/* Logits of a clip three ways: prepared and forward, as a split of a data set, and by a copy of the
 * model that was saved and opened again: the same bits, and transformers' numbers. */
static void check_recorded(tub_context *ctx, const char *name, const tub_volumes *v) {
    static const int32_t label = 0;
    const int64_t shape[4] = {v->frames, v->height, v->width, v->channels};
    double expected[CLIP_CLASSES];
    float logits[3][CLIP_CLASSES], *input;
    tub_model *model = NULL;
    temp_folder copy;
    tub_error err = {0};
    char path[512], *texts[2];
    size_t size;
    tub_dataset data = {.info = {.name = name,
                                 .frames = shape[0],
                                 .height = shape[1],
                                 .width = shape[2],
                                 .channels = shape[3],
                                 .dtype = TUB_U8,
                                 .task = TUB_TASK_MULTI_CLASS,
                                 .classes = CLIP_CLASSES,
                                 .count = {[TUB_TEST] = 1}},
                        .samples = {[TUB_TEST] = v->data},
                        .labels = {[TUB_TEST] = (int32_t *)&label}};
    temp_folder_make(&copy);
    read_record(name, expected);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, i == 0 ? GOLDEN "/clips/%s" : "%s", i == 0 ? name : copy.path);
        assert_ok(tub_model_open(ctx, path, &model, &err), err);
        const tub_model_config *c = tub_model_describe(model);
        assert_true(tub_model_prepares(model));
        input = malloc((size_t)(c->frames * c->height * c->width * c->channels) * sizeof *input);
        assert_ok(tub_model_prepare(model, 1, shape, v->data, input, &err), err);
        assert_ok(tub_model_forward(model, 1, TUB_F32, input, logits[i], NULL, &err), err);
        assert_int_equal(tub_model_forward(model, 1, TUB_U8, v->data, logits[2], NULL, &err),
                         TUB_E_ARGUMENT);
        free(input);
        assert_ok(tub_predict_split(model, &data, TUB_TEST, 4, logits[2], NULL, &err), err);
        assert_memory_equal(logits[2], logits[i], sizeof logits[i]);
        assert_ok(tub_model_save(model, copy.path, &err), err);
        strcat(path, "/preprocessor_config.json");
        assert_ok(tub__file_read(heap, path, 1 << 20, &texts[i], &size, &err), err);
        tub_model_close(model);
    }
    assert_memory_equal(logits[0], logits[1], sizeof logits[0]);
    assert_string_equal(texts[0], texts[1]);
    expect_near(name, logits[0], expected);
    tub__free(heap, texts[0]);
    tub__free(heap, texts[1]);
    temp_folder_drop(&copy);
}

static void test_recorded(void **state) {
    (void)state;
    static const char *const names[] = {"published", "trained", "padded"};
    tub_context *ctx = make_context();
    tub_volumes v;
    tub_error err = {0};
    assert_ok(tub_volumes_read(ctx, GOLDEN "/clips/clip.npy", NULL, &v, &err), err);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        check_recorded(ctx, names[i], &v);
    }
    tub_volumes_free(&v);
    tub_context_destroy(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resize),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_recorded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
