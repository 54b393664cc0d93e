/* SPDX-License-Identifier: Apache-2.0 */
/* Model folders in several files: a model comes back from any split and spelling, and an index that
 * does not say what the files hold is one sentence. */
#include <stdlib.h>
#include <string.h>
#include <tubelet/tubelet.h>

#include "cmocka_all.h"
#include "convert/hf_names.h"
#include "convert/weights.h"
#include "failing_alloc.h"
#include "temp_folder.h"

static const tub_allocator *const heap = &tub__default_allocator;

static int set_up(void **state) {
    temp_folder *t = calloc(1, sizeof *t);
    temp_folder_make(t);
    *state = t;
    return 0;
}

static int tear_down(void **state) {
    temp_folder_drop(*state);
    free(*state);
    return 0;
}

/* ---- Names ---- */

static void test_spellings(void **state) {
    (void)state;
    char names[TUB__HF_SPELLINGS][TUB__HF_NAME_LIMIT];
    assert_int_equal(tub__hf_spellings("vivit.encoder.layer.10.output.dense.bias", names), 4);
    assert_string_equal(names[0], "vivit.encoder.layer.10.output.dense.bias");
    assert_string_equal(names[1], "vivit.layers.10.mlp.fc2.bias");
    assert_string_equal(names[2], "encoder.layer.10.output.dense.bias");
    assert_string_equal(names[3], "layers.10.mlp.fc2.bias");
    assert_int_equal(tub__hf_spellings("vivit.layernorm.weight", names), 2);
    assert_string_equal(names[1], "layernorm.weight");
    assert_int_equal(tub__hf_spellings("classifier.bias", names), 1);
}

/* ---- Indexes ---- */

static void write_text(temp_folder *t, const char *name, const char *text) {
    tub_error err = {0};
    assert_ok(tub__file_write(heap, temp_path(t, name), text, strlen(text), &err), err);
}

/* A file of arrays of one element each. */
static void write_arrays(temp_folder *t, const char *name, const char *const *arrays) {
    static const uint64_t one[1] = {1};
    tub_error err = {0};
    tub__st_writer *w;
    assert_ok(tub__st_create(heap, temp_path(t, name), &w, &err), err);
    for (size_t i = 0; arrays[i] != NULL; i++) {
        assert_ok(tub__st_declare(w, arrays[i], TUB__ST_F32, 1, one, &err), err);
    }
    for (size_t i = 0; arrays[i] != NULL; i++) {
        const float value = (float)i;
        assert_ok(tub__st_write(w, &value, sizeof value, &err), err);
    }
    assert_ok(tub__st_commit(w, &err), err);
}

#define INDEX(map) "{\"metadata\":{\"total_size\":12},\"weight_map\":" map "}"
#define GOOD       INDEX("{\"a\":\"one\",\"b\":\"two\",\"c\":\"one\"}")

static void write_good(temp_folder *t) {
    write_arrays(t, "one", (const char *const[]){"c", "a", NULL});
    write_arrays(t, "two", (const char *const[]){"b", NULL});
    write_arrays(t, "both", (const char *const[]){"a", "b", NULL});
    write_text(t, "model.safetensors.index.json", GOOD);
}

static void test_index(void **state) {
    static const struct {
        const char *index;
        tub_status status;
        const char *words;
    } cases[] = {
        {"[]", TUB_E_NOT_FOUND, "weight_map: missing; expected a table of keys"},
        {"{", TUB_E_FORMAT, "not valid JSON"},
        {INDEX("[]"), TUB_E_FORMAT, "weight_map: expected a table of keys, found a list"},
        {INDEX("{\"a\":1}"), TUB_E_FORMAT, "a: expected text, found a whole number"},
        {INDEX("{\"a\":\"\"}"), TUB_E_FORMAT, "a: '' is not the name of a file in this folder"},
        {INDEX("{\"a\":\"..\"}"), TUB_E_FORMAT, "'..' is not the name of a file"},
        {INDEX("{\"a\":\"../one\"}"), TUB_E_FORMAT, "'../one' is not the name of a file"},
        {INDEX("{\"a\":\"/etc/passwd\"}"), TUB_E_FORMAT, "is not the name of a file"},
        {INDEX("{\"a\":\"sub/one\"}"), TUB_E_FORMAT, "is not the name of a file"},
        {INDEX("{\"a\":\"..\\\\one\"}"), TUB_E_FORMAT, "is not the name of a file"},
        {INDEX("{\"a\":\"c:one\"}"), TUB_E_FORMAT, "is not the name of a file"},
        {INDEX("{\"a\":\"one\",\"a\":\"two\"}"), TUB_E_FORMAT, "duplicate object key"},
        {INDEX("{\"a\":\"one\",\"b\":\"three\",\"c\":\"one\"}"), TUB_E_NOT_FOUND,
         "/three: No such file"},
        {INDEX("{\"a\":\"two\",\"b\":\"two\",\"c\":\"one\"}"), TUB_E_NOT_FOUND,
         "a: missing in two, where the index has it"},
        {INDEX("{\"a\":\"one\",\"b\":\"two\",\"c\":\"one\",\"d\":\"one\"}"), TUB_E_NOT_FOUND,
         "d: missing in one, where the index has it"},
        {INDEX("{\"a\":\"one\",\"b\":\"two\"}"), TUB_E_NOT_FOUND,
         "c: missing in the index; one has it"},
        {INDEX("{\"c\":\"one\",\"a\":\"both\",\"b\":\"both\"}"), TUB_E_FORMAT,
         "a is in two files, both and one"},
        {INDEX("{\"a\":\"model.safetensors.index.json\"}"), TUB_E_FORMAT, "not a safetensors file"},
    };
    temp_folder *t = *state;
    write_good(t);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tub__weights w;
        tub_error err = {0};
        write_text(t, "model.safetensors.index.json", cases[i].index);
        tub_status status = tub__weights_open(heap, t->path, &w, &err);
        if (status != cases[i].status || strstr(err.message, cases[i].words) == NULL ||
            strstr(err.message, "model.safetensors.index.json: ") == NULL) {
            fail_msg("%s: %s: %s", cases[i].index, tub_status_name(status), err.message);
        }
    }
}

static void test_found(void **state) {
    temp_folder *t = *state;
    tub__weights w;
    tub_error err = {0};
    float value;
    write_good(t);
    assert_ok(tub__weights_open(heap, t->path, &w, &err), err);
    assert_int_equal(w.file_count, 2);
    assert_int_equal(w.count, 3);
    const tub__weights_entry *a = tub__weights_find(&w, "a");
    assert_ok(tub__st_to_f32(a->file, a->array, &value, &err), err);
    assert_true(value == 1);
    assert_null(tub__weights_find(&w, "d"));
    tub__weights_close(&w);
    /* One whole file is taken before an index, as in transformers. */
    write_arrays(t, "model.safetensors", (const char *const[]){"e", NULL});
    assert_ok(tub__weights_open(heap, t->path, &w, &err), err);
    assert_non_null(tub__weights_find(&w, "e"));
    tub__weights_close(&w);
    tub__weights_close(&w);
}

static tub_status open_and_close(const tub_allocator *a, void *user, tub_error *err) {
    tub__weights w;
    tub_status status = tub__weights_open(a, ((temp_folder *)user)->path, &w, err);
    if (status == TUB_OK) {
        tub__weights_close(&w);
    }
    return status;
}

static void test_failing_allocations(void **state) {
    write_good(*state);
    failing_report report = failing_run(open_and_close, *state);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations > 12);
}

/* ---- Whole models ---- */

/* The arrays of a saved model again as two files, in the spelling of this number. */
static void split(const char *from, temp_folder *to, int spelling) {
    tub__st_file in;
    tub_error err = {0};
    tub__st_writer *w[2];
    char index[16384] = "{\"weight_map\":{";
    assert_ok(tub__st_open(heap, from, &in, &err), err);
    assert_ok(tub__st_create(heap, temp_path(to, "first"), &w[0], &err), err);
    assert_ok(tub__st_create(heap, temp_path(to, "second"), &w[1], &err), err);
    for (size_t i = 0; i < in.count; i++) {
        const tub__st_array *array = &in.arrays[i];
        char names[TUB__HF_SPELLINGS][TUB__HF_NAME_LIMIT];
        const int count = tub__hf_spellings(array->name, names);
        const char *name = names[spelling < count ? spelling : count - 1];
        assert_ok(tub__st_declare(w[i % 2], name, TUB__ST_F32, array->rank, array->shape, &err),
                  err);
        snprintf(index + strlen(index), sizeof index - strlen(index), "%s\"%s\":\"%s\"",
                 i == 0 ? "" : ",", name, i % 2 == 0 ? "first" : "second");
    }
    for (size_t i = 0; i < in.count; i++) {
        assert_ok(
            tub__st_write(w[i % 2], in.data + in.arrays[i].offset, (size_t)in.arrays[i].size, &err),
            err);
    }
    assert_ok(tub__st_commit(w[0], &err), err);
    assert_ok(tub__st_commit(w[1], &err), err);
    strcat(index, "}}");
    write_text(to, "model.safetensors.index.json", index);
    tub__st_close(&in);
}

static void copy_config(temp_folder *from, temp_folder *to) {
    char *text;
    size_t size;
    tub_error err = {0};
    assert_ok(tub__file_read(heap, temp_path(from, "config.json"), 1 << 20, &text, &size, &err),
              err);
    assert_ok(tub__file_write(heap, temp_path(to, "config.json"), text, size, &err), err);
    tub__free(heap, text);
}

static void expect_logits(tub_context *ctx, const char *folder, const float *expected) {
    static const unsigned char clip[4 * 6 * 8 * 2] = {9, 200, 3};
    tub_model *model = NULL;
    tub_error err = {0};
    float logits[3];
    assert_ok(tub_model_open(ctx, folder, &model, &err), err);
    assert_ok(tub_model_forward(model, 1, TUB_U8, clip, logits, NULL, &err), err);
    assert_memory_equal(logits, expected, sizeof logits);
    tub_model_close(model);
}

static void test_models(void **state) {
    static const unsigned char clip[4 * 6 * 8 * 2] = {9, 200, 3};
    temp_folder *saved = *state;
    tub_context *ctx = NULL;
    tub_error err = {0};
    assert_ok(tub_context_create(NULL, &ctx, &err), err);
    for (int bias = 0; bias < 2; bias++) {
        const tub_model_config config = {.size = sizeof config,
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
                                         .gelu = bias ? TUB_GELU_ERF : TUB_GELU_TANH,
                                         .qkv_bias = bias,
                                         .pooling = TUB_POOL_CLASS_TOKEN,
                                         .norm_epsilon = 1e-6};
        tub_model *model = NULL;
        float logits[3];
        assert_ok(tub_model_create(ctx, &config, 5, &model, &err), err);
        assert_ok(tub_model_save(model, saved->path, &err), err);
        assert_ok(tub_model_forward(model, 1, TUB_U8, clip, logits, NULL, &err), err);
        for (int spelling = 0; spelling < TUB__HF_SPELLINGS; spelling++) {
            temp_folder parts;
            temp_folder_make(&parts);
            copy_config(saved, &parts);
            split(temp_path(saved, "model.safetensors"), &parts, spelling);
            expect_logits(ctx, parts.path, logits);
            temp_folder_drop(&parts);
        }
        tub_model_close(model);
    }
    tub_context_destroy(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spellings),
        cmocka_unit_test_setup_teardown(test_index, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failing_allocations, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_models, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
