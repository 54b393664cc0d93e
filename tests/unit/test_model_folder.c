/* SPDX-License-Identifier: Apache-2.0 */
/* Model folders: a model comes back with the same bits, a damaged folder is one sentence and
 * nothing half loaded. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <tubelet/tubelet.h>

#include "base/context.h"
#include "base/error.h"
#include "cmocka_all.h"
#include "convert/folder.h"
#include "failing_alloc.h"
#include "formats/safetensors.h"
#include "temp_folder.h"

static const tub_allocator *const heap = &tub__default_allocator;
static const char *const names[3] = {"left", "right", "\u00e9toile"};

typedef struct fixture {
    tub_context *ctx;
    tub_model *model;
    temp_folder folder; /* holds the saved model */
} fixture;

static tub_model_config small_config(bool plain) {
    return (tub_model_config){.size = sizeof(tub_model_config),
                              .frames = 4,
                              .height = 6,
                              .width = 8,
                              .channels = 2,
                              .tubelet = {2, 3, 4},
                              .hidden = 8,
                              .heads = 2,
                              .layers = 2,
                              .mlp = 12,
                              .classes = 3,
                              .mlp_output_gelu = !plain,
                              .qkv_bias = plain,
                              .pooling = plain ? TUB_POOL_CLASS_TOKEN : TUB_POOL_MEAN,
                              .norm_epsilon = 1e-6,
                              .attention_dropout = 0.1};
}

static tub_context *context_with(const tub_allocator *a) {
    tub_context_config config = tub_context_config_default();
    tub_context *ctx = NULL;
    config.threads = 1;
    config.cpu = TUB_CPU_PORTABLE;
    config.allocator = *a;
    return tub_context_create(&config, &ctx, NULL) == TUB_OK ? ctx : NULL;
}

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    tub_model_config config = small_config(true);
    tub_error err = {0};
    f->ctx = context_with(heap);
    temp_folder_make(&f->folder);
    assert_ok(tub_model_create(f->ctx, &config, 3, &f->model, &err), err);
    assert_ok(tub_model_set_labels(f->model, names, 3, &err), err);
    assert_ok(tub_model_save(f->model, f->folder.path, &err), err);
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

static void assert_same_parameters(const tub_model *a, const tub_model *b) {
    tub_error err = {0};
    assert_int_equal(tub_model_parameters(a), tub_model_parameters(b));
    for (int64_t i = 0; i < tub_model_parameters(a); i++) {
        tub_parameter p;
        assert_ok(tub_model_parameter(a, i, &p, &err), err);
        float *left = malloc((size_t)p.count * sizeof *left),
              *right = malloc((size_t)p.count * sizeof *right);
        assert_ok(tub_model_get(a, i, left, &err), err);
        assert_ok(tub_model_get(b, i, right, &err), err);
        assert_memory_equal(left, right, (size_t)p.count * sizeof *left);
        free(left);
        free(right);
    }
}

static void assert_same_file(const char *a, const char *b) {
    char *left, *right;
    size_t left_size, right_size;
    assert_int_equal(tub__file_read(heap, a, 1 << 24, &left, &left_size, NULL), TUB_OK);
    assert_int_equal(tub__file_read(heap, b, 1 << 24, &right, &right_size, NULL), TUB_OK);
    assert_int_equal(left_size, right_size);
    assert_memory_equal(left, right, left_size);
    tub__free(heap, left);
    tub__free(heap, right);
}

/* Both kinds of model, with and without labels: same parameters, same configuration, and the same
 * bytes when saved again. */
static void round_trip(fixture *f, bool plain, uint64_t seed, bool labelled) {
    tub_model_config config = small_config(plain);
    tub_model *model = NULL, *again = NULL;
    tub_error err = {0};
    char first[512], second[512];
    snprintf(first, sizeof first, "%s", temp_path(&f->folder, "deep/first"));
    snprintf(second, sizeof second, "%s", temp_path(&f->folder, "second"));
    assert_ok(tub_model_create(f->ctx, &config, seed, &model, &err), err);
    if (labelled) {
        assert_ok(tub_model_set_labels(model, names, 3, &err), err);
    }
    assert_ok(tub_model_save(model, first, &err), err);
    assert_ok(tub_model_open(f->ctx, first, &again, &err), err);
    assert_same_parameters(model, again);
    assert_int_equal(tub_model_describe(again)->pooling, config.pooling);
    assert_int_equal(tub_model_describe(again)->width, config.width);
    if (labelled) {
        assert_string_equal(tub_model_labels(again)[2], names[2]);
    } else {
        assert_null(tub_model_labels(again));
    }
    assert_ok(tub_model_save(again, second, &err), err);
    static const char *const files[] = {"config.json", "model.safetensors",
                                        "preprocessor_config.json", "README.md"};
    for (size_t i = 0; i < 4; i++) {
        char a[600], b[600];
        snprintf(a, sizeof a, "%s/%s", first, files[i]);
        snprintf(b, sizeof b, "%s/%s", second, files[i]);
        assert_same_file(a, b);
    }
    tub_model_close(again);
    tub_model_close(model);
}

static void test_round_trip(void **state) {
    round_trip(*state, true, 1, true);
    round_trip(*state, false, 2, false);
    round_trip(*state, false, 2, true);
}

/* ---- Damaged folders ---- */

/* One change to a copy of the folder's arrays. */
typedef struct edit {
    const char *drop, *extra; /* an array left out; one more */
    const char *rename_from, *rename_to;
    const char *reshape; /* written as [count] */
    const char *poison;  /* its second element becomes NaN */
    const char *retype;  /* written as I32 */
    tub__st_dtype dtype; /* of all others */
} edit;

static bool is(const char *a, const char *b) {
    return a != NULL && strcmp(a, b) == 0;
}

/* float32 values that float16 has exactly (normal ones and zero). */
static uint16_t half_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    return (uint16_t)(magnitude == 0 ? sign : sign | ((magnitude >> 13) - (112 << 10)));
}

static void convert(const float *in, size_t n, tub__st_dtype dtype, void *out) {
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &in[i], sizeof bits);
        if (dtype == TUB__ST_F64) {
            ((double *)out)[i] = (double)in[i];
        } else if (dtype == TUB__ST_F16) {
            ((uint16_t *)out)[i] = half_bits(in[i]);
        } else if (dtype == TUB__ST_BF16) {
            ((uint16_t *)out)[i] = (uint16_t)(bits >> 16);
        } else {
            ((float *)out)[i] = in[i];
        }
    }
}

static void declare_copies(const tub__st_file *in, const edit *e, tub__st_writer *w) {
    tub_error err = {0};
    for (size_t i = 0; i < in->count; i++) {
        const tub__st_array *array = &in->arrays[i];
        const char *name = is(e->rename_from, array->name) ? e->rename_to : array->name;
        bool flat = is(e->reshape, array->name);
        if (!is(e->drop, array->name)) {
            assert_ok(tub__st_declare(w, name, is(e->retype, array->name) ? TUB__ST_I32 : e->dtype,
                                      flat ? 1 : array->rank,
                                      flat ? &array->elements : array->shape, &err),
                      err);
        }
    }
    if (e->extra != NULL) {
        assert_ok(tub__st_declare(w, e->extra, TUB__ST_F32, 1, (const uint64_t[1]){2}, &err), err);
    }
}

static void rewrite(const char *from, const char *to, const edit *e) {
    static const size_t widths[] = {
        [TUB__ST_F32] = 4, [TUB__ST_F64] = 8, [TUB__ST_F16] = 2, [TUB__ST_BF16] = 2};
    tub__st_file in;
    tub__st_writer *w;
    tub_error err = {0};
    assert_ok(tub__st_open(heap, from, &in, &err), err);
    assert_ok(tub__st_create(heap, to, &w, &err), err);
    declare_copies(&in, e, w);
    for (size_t i = 0; i < in.count; i++) {
        const tub__st_array *array = &in.arrays[i];
        float *values = malloc(array->elements * sizeof *values);
        double *written = malloc(array->elements * sizeof *written);
        assert_ok(tub__st_to_f32(&in, array, values, &err), err);
        if (is(e->poison, array->name)) {
            values[1] = NAN;
        }
        tub__st_dtype dtype = is(e->retype, array->name) ? TUB__ST_F32 : e->dtype;
        convert(values, array->elements, dtype, written);
        if (!is(e->drop, array->name)) {
            assert_ok(tub__st_write(w, written, array->elements * widths[dtype], &err), err);
        }
        free(written);
        free(values);
    }
    if (e->extra != NULL) {
        assert_ok(tub__st_write(w, (const float[2]){0}, 2 * sizeof(float), &err), err);
    }
    assert_ok(tub__st_commit(w, &err), err);
    tub__st_close(&in);
}

/* A second folder with the fixture's configuration; its arrays are to be written. */
static void copy_config(fixture *f, char folder[512]) {
    tub_error err = {0};
    snprintf(folder, 512, "%s", temp_path(&f->folder, "damaged"));
    assert_ok(tub__folder_remove(heap, folder, &err), err);
    assert_ok(tub__folder_create(folder, &err), err);
    assert_ok(tub__folder_write_config(f->model, folder, NULL, &err), err);
}

static void expect_refused(fixture *f, const char *folder, tub_status status,
                           const char *sentence) {
    tub_model *model = NULL;
    tub_error err = {0};
    tub_status got = tub_model_open(f->ctx, folder, &model, &err);
    if (got != status || strstr(err.message, sentence) == NULL || model != NULL) {
        fail_msg("expected %s with '%s', got %s: '%s'", tub_status_name(status), sentence,
                 tub_status_name(got), err.message);
    }
}

#define LAYER1 "vivit.encoder.layer.1."

static void test_damaged_arrays(void **state) {
    static const struct {
        edit change;
        tub_status status;
        const char *sentence;
    } cases[] = {
        {{.drop = LAYER1 "attention.attention.key.bias"},
         TUB_E_NOT_FOUND,
         "model.safetensors: " LAYER1
         "attention.attention.key.bias: missing; the configuration needs it"},
        {{.extra = "vivit.encoder.layer.2.output.dense.bias"},
         TUB_E_FORMAT,
         "model.safetensors: vivit.encoder.layer.2.output.dense.bias: unexpected; the "
         "configuration has no such array"},
        {{.rename_from = "classifier.bias", .rename_to = "head.bias"},
         TUB_E_NOT_FOUND,
         "classifier.bias: missing"},
        {{.reshape = LAYER1 "intermediate.dense.weight"},
         TUB_E_SHAPE,
         LAYER1 "intermediate.dense.weight: expected [12,8], file has [96]"},
        {{.poison = "classifier.weight"},
         TUB_E_RANGE,
         "classifier.weight: element 1 is not finite"},
        {{.retype = "classifier.weight"},
         TUB_E_SHAPE,
         "classifier.weight: weights must be F32, F16, BF16 or F64"},
        {{.extra = "vivit.layers.1.mlp.fc2.bias"},
         TUB_E_FORMAT,
         LAYER1 "output.dense.bias and vivit.layers.1.mlp.fc2.bias are the same array; the file "
                "has it twice"},
    };
    fixture *f = *state;
    char folder[512], from[512], to[600];
    copy_config(f, folder);
    snprintf(from, sizeof from, "%s", temp_path(&f->folder, "model.safetensors"));
    snprintf(to, sizeof to, "%s/model.safetensors", folder);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rewrite(from, to, &cases[i].change);
        expect_refused(f, folder, cases[i].status, cases[i].sentence);
    }
    tub_model *model = NULL; /* the unchanged copy is fine: the refusals come from the changes */
    tub_error err = {0};
    rewrite(from, to, &(edit){0});
    assert_ok(tub_model_open(f->ctx, folder, &model, &err), err);
    assert_same_parameters(f->model, model);
    tub_model_close(model);
}

/* A failed read leaves the model's parameters as they were, even when only the last array is bad.
 */
static void test_nothing_half_loaded(void **state) {
    fixture *f = *state;
    char folder[512], from[512], to[600];
    tub_model_config config = small_config(true);
    tub_model *one = NULL, *two = NULL;
    tub_error err = {0};
    copy_config(f, folder);
    snprintf(from, sizeof from, "%s", temp_path(&f->folder, "model.safetensors"));
    snprintf(to, sizeof to, "%s/model.safetensors", folder);
    rewrite(from, to, &(edit){.poison = "classifier.bias"});
    assert_ok(tub_model_create(f->ctx, &config, 9, &one, &err), err);
    assert_ok(tub_model_create(f->ctx, &config, 9, &two, &err), err);
    assert_int_equal(tub__folder_read_arrays(two, folder, false, &err), TUB_E_RANGE);
    assert_same_parameters(one, two);
    tub_model_close(one);
    tub_model_close(two);
}

static void test_other_types_and_spelling(void **state) {
    static const tub__st_dtype dtypes[] = {TUB__ST_F32, TUB__ST_F64, TUB__ST_F16, TUB__ST_BF16};
    fixture *f = *state;
    char folder[512], from[512], to[600];
    tub_error err = {0};
    for (int64_t i = 0; i < tub_model_parameters(f->model); i++) { /* values that all types have */
        tub_parameter p;
        assert_ok(tub_model_parameter(f->model, i, &p, &err), err);
        float *values = malloc((size_t)p.count * sizeof *values);
        for (int64_t j = 0; j < p.count; j++) {
            values[j] = (float)((i * 31 + j * 7) % 255 - 127) / 64.0f;
        }
        assert_ok(tub_model_set(f->model, i, values, &err), err);
        free(values);
    }
    assert_ok(tub_model_save(f->model, f->folder.path, &err), err);
    copy_config(f, folder);
    snprintf(from, sizeof from, "%s", temp_path(&f->folder, "model.safetensors"));
    snprintf(to, sizeof to, "%s/model.safetensors", folder);
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        tub_model *model = NULL;
        rewrite(from, to,
                &(edit){.dtype = dtypes[i],
                        .rename_from = LAYER1 "attention.attention.query.weight",
                        .rename_to = "vivit.layers.1.attention.q_proj.weight"});
        assert_ok(tub_model_open(f->ctx, folder, &model, &err), err);
        assert_same_parameters(f->model, model);
        tub_model_close(model);
    }
}

static void test_missing_and_truncated(void **state) {
    fixture *f = *state;
    char folder[512], arrays[600], config[600], preprocessor[600], *bytes;
    size_t size;
    tub_error err = {0};
    copy_config(f, folder);
    snprintf(arrays, sizeof arrays, "%s/model.safetensors", folder);
    snprintf(config, sizeof config, "%s/config.json", folder);
    snprintf(preprocessor, sizeof preprocessor, "%s/preprocessor_config.json", folder);
    expect_refused(
        f, temp_path(&f->folder, "nowhere"), TUB_E_NOT_FOUND,
        "nowhere: no such folder; a model is a folder with config.json and model.safetensors");
    expect_refused(f, config, TUB_E_NOT_FOUND, "config.json is a file; a model is a folder");
    expect_refused(f, folder, TUB_E_NOT_FOUND, "model.safetensors");
    snprintf(config, sizeof config, "%s/model.safetensors.index.json", folder);
    assert_ok(tub__file_write(heap, config, "{}", 2, &err), err);
    expect_refused(f, folder, TUB_E_NOT_FOUND,
                   "model.safetensors.index.json: weight_map: missing; expected a table of keys");
    snprintf(config, sizeof config, "%s/config.json", folder);
    assert_ok(tub__file_read(heap, temp_path(&f->folder, "model.safetensors"), 1 << 24, &bytes,
                             &size, &err),
              err);
    assert_ok(tub__file_write(heap, arrays, bytes, size - 1, &err), err);
    expect_refused(f, folder, TUB_E_FORMAT, "model.safetensors");
    assert_ok(tub__file_write(heap, arrays, bytes, size, &err), err);
    tub__free(heap, bytes);
    assert_ok(tub__file_write(heap, preprocessor, "{\"size\": ", 9, &err), err);
    expect_refused(f, folder, TUB_E_FORMAT, "preprocessor_config.json");
    assert_int_equal(remove(preprocessor), 0);
    tub_model *model = NULL;
    assert_ok(tub_model_open(f->ctx, folder, &model, &err),
              err); /* other tools' folders have none */
    tub_model_close(model);
    assert_ok(tub__file_write(heap, config, "{\"model_type\": \"vivit\"", 22, &err), err);
    expect_refused(f, folder, TUB_E_FORMAT, "config.json");
    assert_int_equal(remove(config), 0);
    expect_refused(f, folder, TUB_E_NOT_FOUND, "config.json");
}

/* Another number of classes on the fixture's encoder: its arrays, and a classifier as drawn. */
static void test_encoder(void **state) {
    fixture *f = *state;
    tub_model_config config = small_config(true);
    tub_model *model = NULL, *fresh = NULL;
    tub_error err = {0};
    config.classes = 5;
    assert_ok(tub_model_create(f->ctx, &config, 11, &fresh, &err), err);
    assert_ok(tub__folder_open_encoder(f->ctx, f->folder.path, 5, 11, &model, &err), err);
    assert_int_equal(tub_model_describe(model)->classes, 5);
    assert_null(tub_model_labels(model));
    for (int64_t i = 0; i < tub_model_parameters(model); i++) {
        float left[512], right[512];
        tub_parameter p;
        assert_ok(tub_model_parameter(model, i, &p, &err), err);
        const bool head = strncmp(p.name, "classifier.", 11) == 0;
        assert_true(p.count <= 512);
        assert_ok(tub_model_get(model, i, left, &err), err);
        assert_ok(tub_model_get(head ? fresh : f->model, i, right, &err), err);
        assert_memory_equal(left, right, (size_t)p.count * sizeof *left);
    }
    tub_model_close(fresh);
    tub_model_close(model);
    model = NULL;
    assert_int_equal(tub__folder_open_encoder(f->ctx, f->folder.path, 1, 11, &model, &err),
                     TUB_E_RANGE);
    assert_int_equal(tub__folder_open_encoder(f->ctx, "/nonexistent", 2, 11, &model, &err),
                     TUB_E_NOT_FOUND);
    assert_null(model);
}

static void test_unwritable(void **state) {
    fixture *f = *state;
    tub_error err = {0};
    tub_status status = tub_model_save(f->model, temp_path(&f->folder, "config.json/below"), &err);
    assert_true(status == TUB_E_IO || status == TUB_E_EXISTS);
    assert_non_null(strstr(err.message, "config.json"));
}

static void test_card(void **state) {
    fixture *f = *state;
    const tub_scores val = {0.5, 0.75, 1.0, 0.9}, test = {0.25, 0.8125, NAN, NAN};
    const tub__card card = {.data = "set \"a\".npz",
                            .licence = "CC BY 4.0",
                            .recipe = "tubelet train",
                            .val = &val,
                            .test = &test};
    tub_error err = {0};
    char *text;
    size_t size;
    assert_ok(tub__folder_write_config(f->model, f->folder.path, &card, &err), err);
    assert_ok(tub__file_read(heap, temp_path(&f->folder, "README.md"), 1 << 20, &text, &size, &err),
              err);
    assert_int_equal(strncmp(text, "---\nlibrary_name: tubelet\n", 26), 0);
    assert_non_null(strstr(text, "\nlicense: cc-by-4.0\n"));
    assert_non_null(strstr(text, "          name: \"set \\\"a\\\".npz\"\n"));
    assert_non_null(strstr(text, "            name: Top-1 accuracy\n            value: 0.812\n"));
    const char *validation = strstr(text, "          split: validation\n"),
               *tested_split = strstr(text, "          split: test\n");
    assert_non_null(validation);
    assert_non_null(tested_split);
    assert_non_null(strstr(validation, "            name: AUC\n            value: 0.900\n"));
    assert_null(strstr(tested_split, "roc_auc")); /* undefined: left out */
    assert_non_null(strstr(text, "| validation | 0.750 | 0.900 | 0.500 |\n"));
    assert_non_null(strstr(text, "| test | 0.812 | undefined | 0.250 |\n"));
    assert_non_null(strstr(text, "0. left\n1. right\n"));
    assert_null(strstr(text, "://")); /* no address that may not exist */
    tub__free(heap, text);
    const tub__card tested = {.data = "set", .test = &test};
    assert_ok(tub__folder_write_config(f->model, f->folder.path, &tested, &err), err);
    assert_ok(tub__file_read(heap, temp_path(&f->folder, "README.md"), 1 << 20, &text, &size, &err),
              err);
    assert_null(strstr(text, "| validation |"));
    assert_non_null(strstr(text, "| test |"));
    tub__free(heap, text);
}

/* ---- Failing allocations ---- */

/* A new folder is there as a whole or not at all. */
static tub_status save_with(const tub_allocator *a, void *user, tub_error *err) {
    tub_model_config config = small_config(false);
    tub_context_config context_config = tub_context_config_default();
    tub_context *ctx = NULL;
    tub_model *model = NULL;
    context_config.threads = 1;
    context_config.cpu = TUB_CPU_PORTABLE;
    context_config.allocator = *a;
    assert_int_equal(tub__folder_remove(heap, user, NULL), TUB_OK);
    TUB__TRY(tub_context_create(&context_config, &ctx, err));
    tub_status status = tub_model_create(ctx, &config, 1, &model, err);
    if (status == TUB_OK) {
        status = tub_model_set_labels(model, names, 3, err);
    }
    if (status == TUB_OK) {
        status = tub_model_save(model, user, err);
    }
    assert_int_equal(tub__name_taken(user), status == TUB_OK);
    tub_model_close(model);
    tub_context_destroy(ctx);
    return status;
}

static tub_status open_with(const tub_allocator *a, void *user, tub_error *err) {
    tub_context_config context_config = tub_context_config_default();
    tub_context *ctx = NULL;
    tub_model *model = NULL;
    context_config.threads = 1;
    context_config.cpu = TUB_CPU_PORTABLE;
    context_config.allocator = *a;
    TUB__TRY(tub_context_create(&context_config, &ctx, err));
    tub_status status = tub_model_open(ctx, user, &model, err);
    tub_model_close(model);
    tub_context_destroy(ctx);
    return status;
}

static tub_status open_encoder_with(const tub_allocator *a, void *user, tub_error *err) {
    tub_context *ctx = context_with(a);
    tub_model *model = NULL;
    if (ctx == NULL) {
        return tub__fail(err, TUB_E_MEMORY, "no context");
    }
    tub_status status = tub__folder_open_encoder(ctx, user, 4, 1, &model, err);
    tub_model_close(model);
    tub_context_destroy(ctx);
    return status;
}

static void test_failing_allocations(void **state) {
    fixture *f = *state;
    char folder[512];
    snprintf(folder, sizeof folder, "%s", temp_path(&f->folder, "failing"));
    failing_report report = failing_run(save_with, folder);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations > 20);
    report = failing_run(open_with, folder);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations > 20);
    report = failing_run(open_encoder_with, folder);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged_arrays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_half_loaded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_types_and_spelling, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_missing_and_truncated, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_encoder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unwritable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_card, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failing_allocations, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
