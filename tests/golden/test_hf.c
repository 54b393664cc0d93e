/* SPDX-License-Identifier: Apache-2.0 */
/* Folders that Hugging Face transformers wrote: the same logits, and each broken file reported as
 * what it is. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tubelet/tubelet.h>

#include "base/file.h"
#include "cmocka_all.h"
#include "convert/folder.h"
#include "formats/json.h"
#include "formats/npy.h"
#include "temp_folder.h"

static const tub_allocator *const heap = &tub__default_allocator;

/* What one class of expected.json is in tubelet: the status and words of the sentence. */
static const struct verdict {
    const char *class;
    tub_status status;
    const char *words;
} verdicts[] = {
    {"truncated", TUB_E_FORMAT, "model.safetensors: "},
    {"size_mismatch", TUB_E_FORMAT, "(bytes left over)"},
    {"header_too_large", TUB_E_FORMAT, "the limit is 100000000"},
    {"bad_header", TUB_E_FORMAT, "model.safetensors: "},
    {"bad_offsets", TUB_E_FORMAT, "data"},
    {"bad_shape", TUB_E_FORMAT, ": shape"},
    {"bad_dtype", TUB_E_FORMAT, ": dtype: 'F31' is not known"},
    {"duplicate_key", TUB_E_FORMAT, "model.safetensors: "},
    {"wrong_dtype", TUB_E_SHAPE, ": weights must be F32, F16, BF16 or F64"},
    {"missing_tensor", TUB_E_NOT_FOUND, ": missing"},
    {"unexpected_tensor", TUB_E_FORMAT, ": unexpected; the configuration has no such array"},
    {"shape_mismatch", TUB_E_SHAPE, ": expected ["},
    {"non_finite", TUB_E_RANGE, "is not finite"},
    {"bad_config", TUB_OK, "config.json: "}, /* which status depends on the value */
    {"missing_file", TUB_E_NOT_FOUND, "model-00002-of-00002.safetensors: No such file"},
    {"bad_path", TUB_E_FORMAT, "is not the name of a file in this folder"},
};

static int set_up(void **state) {
    tub_context_config config = tub_context_config_default();
    config.threads = 2;
    return tub_context_create(&config, (tub_context **)state, NULL) == TUB_OK ? 0 : -1;
}

static int tear_down(void **state) {
    tub_context_destroy(*state);
    return 0;
}

static double *read_array(const char *path, const char *name, size_t *elements) {
    tub__npz *z = NULL;
    void *bytes = NULL;
    tub__npy npy;
    tub_error err = {0};
    assert_ok(tub__npz_open(heap, path, &z, &err), err);
    assert_ok(tub__npz_read(z, name, 1 << 24, &bytes, &npy, &err), err);
    double *out = malloc(npy.elements * sizeof *out);
    assert_ok(tub__npy_to_f64(&npy, bytes, out, &err), err);
    *elements = npy.elements;
    tub__free(heap, bytes);
    tub__npz_close(z);
    return out;
}

/* pixel_values are [B,T,C,H,W]; the model takes [B,T,H,W,C]. */
static float *channels_last(const double *pixels, size_t clips, const tub_model_config *c) {
    size_t frames = clips * (size_t)c->frames, channels = (size_t)c->channels,
           pixels_each = (size_t)(c->height * c->width);
    float *out = malloc(frames * channels * pixels_each * sizeof *out);
    for (size_t t = 0; t < frames; t++) {
        for (size_t k = 0; k < channels; k++) {
            for (size_t i = 0; i < pixels_each; i++) {
                out[(t * pixels_each + i) * channels + k] =
                    (float)pixels[(t * channels + k) * pixels_each + i];
            }
        }
    }
    return out;
}

/* The largest difference between the model's logits and those of a file. */
static double logits_distance(tub_model *model, const char *input, const char *truth,
                              const char *array) {
    const tub_model_config *c = tub_model_describe(model);
    size_t pixel_count, logit_count;
    double *pixels = read_array(input, "pixel_values", &pixel_count), largest = 0.0;
    double *expected = read_array(truth, array, &logit_count);
    size_t clips = logit_count / (size_t)c->classes;
    assert_int_equal(pixel_count, clips * (size_t)(c->frames * c->height * c->width * c->channels));
    float *x = channels_last(pixels, clips, c), *logits = malloc(logit_count * sizeof *logits);
    tub_error err = {0};
    assert_ok(tub_model_forward(model, (int64_t)clips, TUB_F32, x, logits, NULL, &err), err);
    for (size_t i = 0; i < logit_count; i++) {
        double d = fabs((double)logits[i] - expected[i]);
        largest = d > largest || d != d ? d : largest;
    }
    free(logits);
    free(x);
    free(expected);
    free(pixels);
    return largest;
}

static void copy_file(const char *from, const char *to) {
    char *bytes;
    size_t size;
    tub_error err = {0};
    assert_ok(tub__file_read(heap, from, 1 << 24, &bytes, &size, &err), err);
    assert_ok(tub__file_write(heap, to, bytes, size, &err), err);
    tub__free(heap, bytes);
}

/* ---- expected.json ---- */

static void check_case(tub_context *ctx, const char *folder, const char *file, const char *class) {
    tub_model *model = NULL;
    tub_error err = {0};
    tub_status status = tub_model_open(ctx, folder, &model, &err);
    if (strcmp(class, "ok") == 0) {
        if (status != TUB_OK) {
            fail_msg("%s: %s", file, err.message);
        }
        double d =
            logits_distance(model, GOLDEN "/hf/base/io.npz", GOLDEN "/hf/base/io.npz", "logits");
        if (!(d <= 2e-6)) {
            fail_msg("%s: logits differ by %g", file, d);
        }
        tub_model_close(model);
        return;
    }
    for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++) {
        const struct verdict *v = &verdicts[i];
        if (strcmp(v->class, class) == 0) {
            if (status == TUB_OK || (v->status != TUB_OK && status != v->status) ||
                strstr(err.message, v->words) == NULL) {
                fail_msg("%s is %s; reported: %s: %s", file, class, tub_status_name(status),
                         err.message);
            }
            return;
        }
    }
    fail_msg("%s: no verdict for the class %s", file, class);
}

static void case_texts(const tub__json *one, const char *key, const char **file,
                       const char **class) {
    assert_int_equal(tub__json_get_text(one, key, file, NULL), TUB_OK);
    assert_int_equal(tub__json_get_text(one, "expect", class, NULL), TUB_OK);
    if (strcmp(*file, "config_zero_layers.json") == 0) {
        *class =
            "bad_config"; /* tubelet refuses the number itself, before it looks at the arrays */
    }
}

/* Opens base/ with one file replaced, for every case of a section. Returns how many there were. */
static size_t check_section(tub_context *ctx, const tub__json *cases, const char *replaced) {
    for (size_t i = 0; i < tub__json_size(cases); i++) {
        const char *file, *class;
        char path[1024];
        temp_folder folder;
        temp_folder_make(&folder);
        case_texts(tub__json_at(cases, i), "file", &file, &class);
        snprintf(path, sizeof path, "%s/hf/%s", GOLDEN, file);
        copy_file(GOLDEN "/hf/base/config.json", temp_path(&folder, "config.json"));
        copy_file(GOLDEN "/hf/base/model.safetensors", temp_path(&folder, "model.safetensors"));
        copy_file(path, temp_path(&folder, replaced));
        check_case(ctx, folder.path, file, class);
        temp_folder_drop(&folder);
    }
    return tub__json_size(cases);
}

/* The same of whole folders. */
static size_t check_folders(tub_context *ctx, const tub__json *cases) {
    for (size_t i = 0; i < tub__json_size(cases); i++) {
        const char *folder, *class;
        char path[1024];
        case_texts(tub__json_at(cases, i), "folder", &folder, &class);
        snprintf(path, sizeof path, "%s/hf/%s", GOLDEN, folder);
        check_case(ctx, path, folder, class);
    }
    return tub__json_size(cases);
}

static void test_broken_and_odd(void **state) {
    tub__json *root;
    tub_error err = {0};
    assert_ok(tub__json_load(heap, GOLDEN "/hf/expected.json", 1 << 20, &root, &err), err);
    assert_int_equal(check_section(*state, tub__json_get(root, "config"), "config.json"), 18);
    assert_int_equal(check_section(*state, tub__json_get(root, "safetensors"), "model.safetensors"),
                     44);
    assert_int_equal(check_folders(*state, tub__json_get(root, "sharded")), 5);
    tub__json_free(root);
}

/* ---- The larger models, when they are there ---- */

static const struct {
    const char *folder, *input, *truth, *array;
    double
        limit; /* ten times what the library's own float32 is from float64 (the golden manifest) */
} models[] = {
    {"model_small", "model_small/io.npz", "model_small/io_f64.npz", "logits", 1.48e-5},
    {"model_small/new_spelling", "model_small/io.npz", "model_small/io_f64.npz", "logits", 1.48e-5},
    {"model_small/sharded", "model_small/io.npz", "model_small/io_f64.npz", "logits", 1.48e-5},
    {"model_small/bf16", "model_small/io.npz", "model_small/bf16/io.npz", "logits_f64", 1.34e-5},
    {"model_small/f16", "model_small/io.npz", "model_small/f16/io.npz", "logits_f64", 8.4e-6},
    {"model_gelu", "model_gelu/io.npz", "model_gelu/io_f64.npz", "logits", 9.3e-6},
    {"model_gelu/sharded", "model_gelu/io.npz", "model_gelu/io_f64.npz", "logits", 9.3e-6},
    {"model_gelu/new_spelling", "model_gelu/io.npz", "model_gelu/io_f64.npz", "logits", 9.3e-6},
};

static bool have_shared(void) {
    if (!tub__is_folder(SHARED "/golden/hf/model_small")) {
        printf("skipped: %s is not here\n", SHARED "/golden/hf");
        return false;
    }
    return true;
}

static double distance_of(tub_context *ctx, const char *folder, size_t i) {
    char input[1024], truth[1024];
    tub_model *model = NULL;
    tub_error err = {0};
    snprintf(input, sizeof input, "%s/golden/hf/%s", SHARED, models[i].input);
    snprintf(truth, sizeof truth, "%s/golden/hf/%s", SHARED, models[i].truth);
    assert_ok(tub_model_open(ctx, folder, &model, &err), err);
    double d = logits_distance(model, input, truth, models[i].array);
    tub_model_close(model);
    return d;
}

static void test_logits(void **state) {
    if (!have_shared()) {
        skip();
    }
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        char folder[1024];
        snprintf(folder, sizeof folder, "%s/golden/hf/%s", SHARED, models[i].folder);
        double d = distance_of(*state, folder, i);
        printf("%s: logits within %.2g of float64\n", models[i].folder, d);
        if (!(d <= models[i].limit)) {
            fail_msg("%s: logits differ by %g, allowed %g", models[i].folder, d, models[i].limit);
        }
    }
}

static void replace(char *text, const char *from, const char *to) {
    char *at = strstr(text, from);
    assert_non_null(at);
    assert_int_equal(strlen(from), strlen(to));
    memcpy(at, to, strlen(to));
}

/* The limits above tell the kinds of GELU apart, and the epsilons 1e-6 and 1e-5. */
static void test_logits_of_wrong_configurations(void **state) {
    static const char *const changes[2][2] = {{"\"gelu_fast\"", "\"gelu\"     "},
                                              {"1e-06", "1e-05"}};
    if (!have_shared()) {
        skip();
    }
    for (size_t i = 0; i < 2; i++) {
        temp_folder folder;
        char *text;
        size_t size;
        tub_error err = {0};
        temp_folder_make(&folder);
        copy_file(SHARED "/golden/hf/model_small/model.safetensors",
                  temp_path(&folder, "model.safetensors"));
        assert_ok(tub__file_read(heap, SHARED "/golden/hf/model_small/config.json", 1 << 20, &text,
                                 &size, &err),
                  err);
        replace(text, changes[i][0], changes[i][1]);
        assert_ok(tub__file_write(heap, temp_path(&folder, "config.json"), text, size, &err), err);
        double d = distance_of(*state, folder.path, 0);
        if (!(d > models[0].limit)) {
            fail_msg("%s instead of %s moves the logits by %g only", changes[i][1], changes[i][0],
                     d);
        }
        tub__free(heap, text);
        temp_folder_drop(&folder);
    }
}

/* VivitModel has no classifier. With a classifier that changes nothing, the logits are the class
 * token's last row. */
static void test_encoder(void **state) {
    static const char folder[] = SHARED "/golden/hf/model_pool";
    enum { D = 32, TOKENS = 25, CLIPS = 2 };
    static const char *const spellings[] = {"", "/new_spelling", "/sharded"};
    float kernel[D * D] = {0}, zeros[D] = {0}, logits[CLIPS * D];
    tub_model *model = NULL;
    tub_error err = {0};
    size_t pixel_count, rows;
    if (!have_shared()) {
        skip();
    }
    for (size_t i = 0; i < D; i++) {
        kernel[i * D + i] = 1;
    }
    assert_int_equal(tub_model_open(*state, folder, &model, &err), TUB_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, "found 'VivitModel', an encoder without a classifier"));
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s%s", folder, spellings[i]);
        assert_ok(tub__folder_open_encoder(*state, path, D, 1, &model, &err), err);
        const int64_t last = tub_model_parameters(model) - 1;
        assert_ok(tub_model_set(model, last - 1, kernel, &err), err);
        assert_ok(tub_model_set(model, last, zeros, &err), err);
        double *pixels =
            read_array(SHARED "/golden/hf/model_pool/io.npz", "pixel_values", &pixel_count);
        double *truth =
            read_array(SHARED "/golden/hf/model_pool/io_f64.npz", "final_layernorm", &rows);
        float *x = channels_last(pixels, CLIPS, tub_model_describe(model));
        assert_int_equal(rows, CLIPS * TOKENS * D);
        assert_ok(tub_model_forward(model, CLIPS, TUB_F32, x, logits, NULL, &err), err);
        double largest = 0;
        for (size_t j = 0; j < CLIPS * D; j++) {
            const double d = fabs((double)logits[j] - truth[j / D * TOKENS * D + j % D]);
            largest = d > largest || d != d ? d : largest;
        }
        printf("model_pool%s: class token within %.2g of float64\n", spellings[i], largest);
        assert_true(largest <= 2.45e-5); /* ten times the library's own float32 (measured.json) */
        free(x);
        free(truth);
        free(pixels);
        tub_model_close(model);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broken_and_odd),
        cmocka_unit_test(test_logits),
        cmocka_unit_test(test_logits_of_wrong_configurations),
        cmocka_unit_test(test_encoder),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
