/* SPDX-License-Identifier: Apache-2.0 */
/* What transformers and Pillow make of clips, by every golden vector: levels after resizing and crop
 * exactly, the model's input bit by bit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "convert/preprocessor_json.h"
#include "formats/npy.h"
#include "support/cmocka_all.h"

#define FOLDER SHARED "/golden/hf/preprocess/"

static const tub_allocator *const heap = &tub__default_allocator;

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

static int check_setting(const tub__json *setting) {
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
    tub__json *root = load_json("cases.json");
    const tub__json *settings = tub__json_get(root, "settings");
    for (size_t i = 0; i < tub__json_size(settings); i++) {
        checked += check_setting(tub__json_at(settings, i));
    }
    printf("%zu settings, %d clips: every level and every number the same\n",
           tub__json_size(settings), checked);
    assert_true(tub__json_size(settings) == 16 && checked > 25);
    tub__json_free(root);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resize),
        cmocka_unit_test(test_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
