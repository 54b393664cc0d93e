/* SPDX-License-Identifier: Apache-2.0 */
/* config.json and preprocessor_config.json: every configuration survives the file, every wrong
 * value is named. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cmocka_all.h"
#include "convert/config_json.h"
#include "convert/preprocessor_json.h"
#include "failing_alloc.h"
#include "same_config.h"

static const tub_allocator *const heap = &tub__default_allocator;

static tub_model_config small_config(void) {
    return (tub_model_config){.size = sizeof(tub_model_config),
                              .frames = 8,
                              .height = 12,
                              .width = 16,
                              .channels = 2,
                              .tubelet = {2, 4, 3},
                              .hidden = 24,
                              .heads = 3,
                              .layers = 2,
                              .mlp = 40,
                              .classes = 4,
                              .gelu = TUB_GELU_TANH,
                              .qkv_bias = 1,
                              .pooling = TUB_POOL_CLASS_TOKEN,
                              .norm_epsilon = 1e-6,
                              .attention_dropout = 0.1,
                              .attention_init = TUB_INIT_GLOROT,
                              .input_scale = TUB_SCALE_DIVIDE};
}

static tub_status parse(const char *text, tub_model_config *config, char ***labels,
                        tub_error *err) {
    tub__json *root;
    bool int8;
    TUB__TRY(tub__json_parse(text, strlen(text), &root, err));
    tub_status status = tub__config_from_json(heap, root, config, &int8, labels, err);
    tub__json_free(root);
    return status;
}

static void there_and_back(const tub_model_config *config, const char *const *labels, bool vivit) {
    char *text, **names = NULL;
    size_t size;
    tub_error err = {0};
    tub_model_config again;
    assert_ok(tub__config_to_json(heap, config, false, labels, &text, &size, &err), err);
    assert_int_equal(strlen(text), size);
    assert_true((strstr(text, "\"model_type\": \"vivit\"") != NULL) == vivit);
    assert_true((strstr(text, "\"VivitForVideoClassification\"") != NULL) == vivit);
    assert_ok(parse(text, &again, &names, &err), err);
    assert_same_config(config, &again);
    if (labels == NULL) {
        assert_null(names);
    } else {
        for (int64_t k = 0; k < config->classes; k++) {
            assert_string_equal(names[k], labels[k]);
        }
    }
    tub__labels_free(heap, names, config->classes);
    tub__free(heap, text);
}

static void test_every_choice_survives(void **state) {
    static const char *const labels[4] = {"left \"kidney\"", "Leber / \u809d\u81d3", "same",
                                          "same"};
    (void)state;
    for (int bits = 0; bits < 256; bits++) {
        tub_model_config c = small_config();
        c.gelu = bits & 1 ? TUB_GELU_ERF : TUB_GELU_TANH;
        c.mlp_output_gelu = bits >> 1 & 1;
        c.qkv_bias = bits >> 2 & 1;
        c.pooling = bits & 8 ? TUB_POOL_MEAN : TUB_POOL_CLASS_TOKEN;
        c.attention_init = bits & 16 ? TUB_INIT_GLOROT : TUB_INIT_KERAS2022;
        c.input_scale = bits & 32 ? TUB_SCALE_MULTIPLY : TUB_SCALE_DIVIDE;
        if (bits & 64) {
            c.stride[0] = 1, c.stride[1] = 4, c.stride[2] = 3;
        }
        c.width = bits & 128 ? c.height : c.width;
        c.norm_epsilon = bits & 1 ? 1e-6 : 0.001;
        bool vivit = (bits & (2 | 8 | 64)) == 0;
        there_and_back(&c, bits & 1 ? labels : NULL, vivit);
    }
}

/* What training drops does not change what is computed: transformers reads the file all the same. */
static void test_drops_survive(void **state) {
    static const double rates[][3] = {{0, 0, 0}, {0.1, 0.1, 0}, {0.1, 0, 0.2}, {0, 0.25, 0.3}};
    (void)state;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        tub_model_config c = small_config();
        c.dropout = rates[i][0], c.mlp_dropout = rates[i][1], c.drop_layer = rates[i][2];
        c.drop_layer_rescale = i == 3;
        there_and_back(&c, NULL, true);
    }
}

/* transformers reads one softmax only. */
static void test_tasks_survive(void **state) {
    tub_model_config c = small_config();
    (void)state;
    c.task = TUB_TASK_MULTI_CLASS;
    there_and_back(&c, NULL, true);
    c.task = TUB_TASK_MULTI_LABEL;
    there_and_back(&c, NULL, false);
    c.task = TUB_TASK_MULTI_HEAD;
    c.head_classes[0] = 97, c.head_classes[1] = 300, c.classes = 397;
    there_and_back(&c, NULL, false);
}

/* All variants, poolings, positions and ends; only what transformers computes is a vivit. */
static void test_every_variant_survives(void **state) {
    (void)state;
    for (int v = TUB_VARIANT_JOINT; v <= TUB_VARIANT_FACTORISED_DOT_PRODUCT; v++) {
        for (int bits = 0; bits < 128; bits++) {
            tub_model_config c = small_config();
            c.heads = 4;
            c.variant = (tub_variant)v;
            c.pooling = (tub_pooling)(bits & 3);
            c.positions = (tub_positions)(bits >> 2 & 3);
            c.representation = bits & 16 ? 7 : 0;
            c.head_init = bits & 32 ? TUB_HEAD_ZEROS : TUB_HEAD_GLOROT;
            if (bits & 64) {
                c.tubelet[0] = 1, c.sampled_frames = 5;
            }
            c.temporal_layers = v == TUB_VARIANT_FACTORISED_ENCODER ? bits & 1 : 0;
            c.attention_order = v == TUB_VARIANT_FACTORISED_SELF_ATTENTION && bits & 32
                                    ? TUB_ORDER_SPACE_TIME
                                    : TUB_ORDER_TIME_SPACE;
            if (tub_model_config_check(&c, NULL) == TUB_OK) {
                there_and_back(&c, NULL, v == TUB_VARIANT_JOINT && (bits & ~32) == 1);
            }
        }
    }
}

/* A stride that says the kernel's numbers is the same as none. */
static void test_stride_of_the_kernel(void **state) {
    tub_model_config c = small_config();
    (void)state;
    memcpy(c.stride, c.tubelet, sizeof c.stride);
    there_and_back(&c, NULL, true);
}

static void test_defaults_are_transformers(void **state) {
    tub_model_config c;
    tub_error err = {0};
    char **labels = NULL;
    (void)state;
    assert_ok(parse("{\"model_type\": \"vivit\"}", &c, &labels, &err), err);
    assert_null(labels);
    const tub_model_config expected = {.frames = 32,
                                       .height = 224,
                                       .width = 224,
                                       .channels = 3,
                                       .tubelet = {2, 16, 16},
                                       .hidden = 768,
                                       .heads = 12,
                                       .layers = 12,
                                       .mlp = 3072,
                                       .classes = 2,
                                       .qkv_bias = 1,
                                       .pooling = TUB_POOL_CLASS_TOKEN,
                                       .norm_epsilon = 1e-6,
                                       .attention_init = TUB_INIT_GLOROT};
    assert_same_config(&c, &expected);
    assert_ok(parse("{\"model_type\": \"vivit\", \"num_labels\": 7, \"hidden_act\": \"gelu\", "
                    "\"image_size\": [32, 48],"
                    " \"unknown\": {\"a\": [null]}}",
                    &c, &labels, &err),
              err);
    assert_int_equal(c.classes, 7);
    assert_int_equal(c.gelu, TUB_GELU_ERF);
    assert_true(c.height == 32 && c.width == 48);
}

#define VIVIT "\"model_type\": \"vivit\", "
#define OWN   "\"model_type\": \"tubelet_vivit\", "

static void test_wrong_values(void **state) {
    static const struct {
        const char *text, *sentence; /* how the sentence begins; NULL: any */
        tub_status status;
    } cases[] = {
        {"{}", "model_type: ", TUB_E_NOT_FOUND},
        {"{\"model_type\": \"vit\"}",
         "model_type: expected 'vivit' or 'tubelet_vivit', found 'vit': a ViT of pictures",
         TUB_E_UNSUPPORTED},
        {"{\"model_type\": 3}", "model_type: expected text, found", TUB_E_FORMAT},
        {"{" VIVIT "\"architectures\": [\"VivitForMaskedVideo\"]}",
         "architectures: expected 'VivitForVideoClassification', found 'VivitForMaskedVideo'",
         TUB_E_UNSUPPORTED},
        {"{" VIVIT "\"hidden_size\": \"8\"}", "hidden_size: expected a whole number, found text",
         TUB_E_FORMAT},
        {"{" VIVIT "\"hidden_size\": 8.5}", "hidden_size: expected a whole number, found",
         TUB_E_FORMAT},
        {"{" VIVIT "\"tubelet_size\": [2, 4]}",
         "tubelet_size: expected 3 whole numbers, found 2 values", TUB_E_FORMAT},
        {"{" VIVIT "\"tubelet_size\": 2}", "tubelet_size: expected", TUB_E_FORMAT},
        {"{" VIVIT "\"image_size\": [2, 4, 4]}",
         "image_size: expected 2 whole numbers, found 3 values", TUB_E_FORMAT},
        {"{" VIVIT "\"qkv_bias\": 1}", "qkv_bias: expected", TUB_E_FORMAT},
        {"{" VIVIT "\"hidden_act\": \"gelu_slow\"}",
         "hidden_act: 'gelu_slow' is not known; known are gelu_fast, gelu_new, gelu_pytorch_tanh, "
         "gelu, gelu_python",
         TUB_E_ARGUMENT},
        {"{" VIVIT "\"num_attention_heads\": 7}", NULL, TUB_OK},
        {"{" VIVIT "\"num_attention_heads\": 0}", NULL, TUB_OK},
        {"{" VIVIT "\"num_hidden_layers\": -1}", NULL, TUB_OK},
        {"{" VIVIT "\"tubelet_size\": [0, 16, 16]}", NULL, TUB_OK},
        {"{" VIVIT "\"tubelet_size\": [33, 16, 16]}", NULL, TUB_OK},
        {"{" VIVIT "\"layer_norm_eps\": -1}", NULL, TUB_OK},
        {"{" VIVIT "\"num_labels\": 0}", NULL, TUB_OK},
        {"{" VIVIT "\"id2label\": {}}", "id2label: 0 classes; allowed are 1 to 100000",
         TUB_E_RANGE},
        {"{" VIVIT "\"id2label\": {\"0\": \"a\", \"2\": \"b\"}}",
         "id2label: key '2' is not one of the class numbers 0 to 1", TUB_E_FORMAT},
        {"{" VIVIT "\"id2label\": {\"0\": \"a\", \"01\": \"b\"}}", "id2label: key '01' is not",
         TUB_E_FORMAT},
        {"{" VIVIT "\"id2label\": {\"0\": \"a\", \"99999999999999999999\": \"b\"}}",
         "id2label: key '9", TUB_E_FORMAT},
        {"{" VIVIT "\"id2label\": {\"0\": \"a\", \"-1\": \"b\"}}", "id2label: key '-1' is not",
         TUB_E_FORMAT},
        {"{" VIVIT "\"id2label\": {\"0\": \"a\", \"1\": 5}}", "id2label: expected text, found",
         TUB_E_FORMAT},
        {"{" OWN "\"hidden_size\": 24}", "tubelet: ", TUB_E_NOT_FOUND},
        {"{" OWN "\"tubelet\": {\"pooling\": \"mean\"}}", "tubelet: format: ", TUB_E_NOT_FOUND},
        {"{" OWN "\"tubelet\": {\"format\": 2}}",
         "tubelet: format 2 is not known; this version reads format 1", TUB_E_UNSUPPORTED},
        {"{" OWN "\"tubelet\": {\"format\": 1, \"poling\": \"mean\"}}",
         "tubelet: poling: this version does not know this key", TUB_E_UNSUPPORTED},
        {"{" OWN "\"tubelet\": {\"format\": 1, \"quantization\": 8}}",
         "tubelet: quantization: expected", TUB_E_FORMAT},
        {"{" OWN "\"tubelet\": {\"format\": 1, \"quantization\": {\"scales\": "
         "\"output_channel\", \"symmetric\": true}}}",
         "tubelet: bits: ", TUB_E_NOT_FOUND},
        {"{" OWN "\"tubelet\": {\"format\": 1, \"quantization\": {\"bits\": 4, \"scales\": "
         "\"output_channel\", \"symmetric\": true}}}",
         "tubelet: quantization: this version knows bits 8, scales 'output_channel' and symmetric "
         "true, and nothing else",
         TUB_E_UNSUPPORTED},
        {"{" OWN "\"tubelet\": {\"format\": 1, \"quantization\": {\"bits\": 8, \"scales\": "
         "\"output_channel\", \"symmetric\": true, \"group\": 32}}}",
         "tubelet: quantization: this version knows", TUB_E_UNSUPPORTED},
        {"{" VIVIT "\"tubelet\": {\"format\": 1, \"quantization\": {\"bits\": 8, \"scales\": "
         "\"output_channel\", \"symmetric\": true}}}",
         "model_type 'vivit' contradicts", TUB_E_ARGUMENT},
        {"{" OWN "\"tubelet\": {\"format\": 1, \"pooling\": \"median\"}}",
         "tubelet: pooling: 'median' is not known; known are mean, class_token, max, sum",
         TUB_E_ARGUMENT},
        {"{" OWN "\"tubelet\": {\"format\": 1, \"task\": \"regression\"}}",
         "tubelet: task: 'regression' is not known; known are multi_class, multi_label, multi_head",
         TUB_E_ARGUMENT},
        {"{" OWN "\"tubelet\": {\"format\": 1, \"task\": \"multi_head\", \"head_classes\": []}}",
         "tubelet: head_classes: 0 numbers; allowed are 1 to 4", TUB_E_RANGE},
        {"{" OWN
         "\"tubelet\": {\"format\": 1, \"task\": \"multi_head\", \"head_classes\": [2, 3]}}",
         "head_classes add up to 5", TUB_E_ARGUMENT},
        {"{" OWN "\"tubelet\": {\"format\": 1, \"task\": \"multi_head\"}}",
         "task multi_head needs head_classes", TUB_E_ARGUMENT},
        {"{" OWN "\"tubelet\": {\"format\": 1, \"pooling\": \"mean\", \"drop_layer\": 1.5}}",
         "drop_layer is 1.5", TUB_E_RANGE},
        {"{" OWN "\"tubelet\": {\"format\": 1, \"variant\": \"factorised\"}}",
         "tubelet: variant: 'factorised' is not known; known are joint, factorised_encoder, "
         "factorised_self_attention, factorised_dot_product",
         TUB_E_ARGUMENT},
        {"{" OWN "\"tubelet\": {\"format\": 1, \"attention_order\": \"time\"}}",
         "tubelet: attention_order: 'time' is not known; known are time_space, space_time",
         TUB_E_ARGUMENT},
        {"{" OWN "\"tubelet\": {\"format\": 1, \"positions\": \"2d\"}}",
         "tubelet: positions: '2d' is not known; known are learned, sinusoidal_1d, sinusoidal_3d, "
         "none",
         TUB_E_ARGUMENT},
        {"{" OWN "\"tubelet\": {\"format\": 1, \"head_init\": \"ones\"}}",
         "tubelet: head_init: 'ones' is not known; known are glorot, zeros", TUB_E_ARGUMENT},
        {"{" OWN "\"tubelet\": {\"format\": 1, \"variant\": \"factorised_encoder\"}}",
         "tubelet: temporal_layers: missing; variant 'factorised_encoder' needs it", TUB_E_FORMAT},
        {"{" OWN "\"tubelet\": {\"format\": 1, \"variant\": \"factorised_encoder\", "
         "\"temporal_layers\": 1001}}",
         "temporal_layers is 1001", TUB_E_RANGE},
        {"{" OWN "\"tubelet\": {\"format\": 1, \"variant\": \"factorised_dot_product\"}}",
         "variant factorised_dot_product has no place for a class token", TUB_E_ARGUMENT},
        {"{" OWN "\"tubelet\": {\"format\": 1, \"variant\": \"factorised_self_attention\"}}",
         "variant factorised_self_attention has no place for a class token", TUB_E_ARGUMENT},
        {"{" OWN "\"num_attention_heads\": 3, \"tubelet\": {\"format\": 1, \"pooling\": \"sum\", "
         "\"variant\": \"factorised_dot_product\"}}",
         "heads 3 is odd; variant factorised_dot_product gives half", TUB_E_RANGE},
        {"{" OWN "\"tubelet\": {\"format\": 1, \"sampled_frames\": 4}}",
         "sampled_frames 4 cuts each frame by itself, so that model.tubelet's time must be 1",
         TUB_E_RANGE},
        {"{" OWN "\"tubelet\": {\"format\": 1, \"sampled_frames\": 33}}", "sampled_frames is 33",
         TUB_E_RANGE},
        {"{" OWN "\"tubelet\": {\"format\": 1, \"representation\": -1}}", "representation is -1",
         TUB_E_RANGE},
        {"{" OWN "\"tubelet\": {\"format\": 1, \"positions\": \"sinusoidal_3d\"}}",
         "positions sinusoidal_3d are for tokens of time and space alone", TUB_E_ARGUMENT},
        {"{" OWN "\"hidden_size\": 764, \"num_attention_heads\": 4, \"tubelet\": {\"format\": 1, "
         "\"pooling\": \"mean\", \"positions\": \"sinusoidal_3d\"}}",
         "hidden 764 is no multiple of 6", TUB_E_RANGE},
        {"{" VIVIT "\"tubelet\": {\"format\": 1, \"representation\": 5}}",
         "model_type 'vivit' contradicts variant", TUB_E_ARGUMENT},
        {"{" OWN "\"tubelet\": {\"format\": 1, \"pooling\": \"mean\", \"gelu\": \"erf\"}}",
         "tubelet: gelu 'erf' contradicts hidden_act 'gelu_fast'", TUB_E_ARGUMENT},
        {"{" VIVIT "\"tubelet\": {\"format\": 1, \"pooling\": \"mean\"}}",
         "model_type 'vivit' contradicts", TUB_E_ARGUMENT},
        {"{" OWN "\"tubelet\": {\"format\": 1}}", "model_type 'tubelet_vivit' contradicts",
         TUB_E_ARGUMENT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tub_model_config c = {.frames = -1};
        char **labels = NULL;
        tub_error err = {0};
        tub_status status = parse(cases[i].text, &c, &labels, &err);
        if (status == TUB_OK || (cases[i].status != TUB_OK && status != cases[i].status) ||
            (cases[i].sentence != NULL &&
             strncmp(err.message, cases[i].sentence, strlen(cases[i].sentence)) != 0)) {
            fail_msg("%s gave %s: '%s'", cases[i].text, tub_status_name(status), err.message);
        }
        assert_true(err.message[0] != '\0' && c.frames == -1 && labels == NULL);
    }
}

/* Two classes of one name stand once in label2id, which would not be JSON otherwise, and sorted. */
static void test_label2id(void **state) {
    static const char *const labels[4] = {"b", "a", "b", "A"};
    tub_model_config c = small_config();
    tub_error err = {0};
    char *text;
    size_t size;
    tub__json *root;
    (void)state;
    assert_ok(tub__config_to_json(heap, &c, false, labels, &text, &size, &err), err);
    assert_ok(tub__json_parse(text, size, &root, &err), err);
    const tub__json *map = tub__json_get(root, "label2id");
    const char *const names[3] = {"A", "a", "b"};
    const int64_t indices[3] = {3, 1, 0};
    int seen = 0;
    for (void *it = tub__json_first(map); it != NULL; it = tub__json_next(map, it), seen++) {
        int64_t index;
        assert_ok(tub__json_to_integer(tub__json_value(it), "index", &index, &err), err);
        assert_string_equal(tub__json_key(it), names[seen]);
        assert_int_equal(index, indices[seen]);
    }
    assert_int_equal(seen, 3);
    tub__json_free(root);
    tub__free(heap, text);
}

static void test_preprocessor(void **state) {
    static const struct {
        const char *text;
        bool foreign;
    } cases[] = {
        {"{\"do_rescale\": true, \"rescale_factor\": 0.00392156862745098, \"do_normalize\": false, "
         "\"offset\": false}",
         false},
        {"{\"do_rescale\": true, \"rescale_factor\": 0.00784313725490196, \"do_normalize\": false, "
         "\"offset\": false}",
         true},
        {"{\"do_rescale\": true, \"rescale_factor\": 0.00392156862745098, \"do_normalize\": true, "
         "\"offset\": false}",
         true},
        {"{\"do_rescale\": true, \"rescale_factor\": 0.00392156862745098, \"do_normalize\": false}",
         true},
        {"{\"do_rescale\": false}", true},
        {"{}", true},
    };
    tub_model_config c = small_config(), again = small_config();
    tub_error err = {0};
    tub__json *root;
    char *text;
    size_t size;
    bool foreign = true;
    (void)state;
    c.input_scale = TUB_SCALE_MULTIPLY;
    assert_ok(tub__preprocessor_to_json(heap, &c, false, NULL, &text, &size, &err), err);
    assert_ok(tub__json_parse(text, size, &root, &err), err);
    assert_ok(tub__preprocessor_from_json(root, &again, &foreign, &err), err);
    assert_same_config(&c, &again);
    assert_false(foreign);
    tub__json_free(root);
    tub__free(heap, text);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_ok(tub__json_parse(cases[i].text, strlen(cases[i].text), &root, &err), err);
        assert_ok(tub__preprocessor_from_json(root, &again, &foreign, &err), err);
        assert_int_equal(foreign, cases[i].foreign);
        tub__json_free(root);
    }
    const char wrong[] = "{\"tubelet\": {\"input_scale\": \"none\"}}";
    assert_ok(tub__json_parse(wrong, sizeof wrong - 1, &root, &err), err);
    assert_int_equal(tub__preprocessor_from_json(root, &again, &foreign, &err), TUB_E_ARGUMENT);
    assert_string_equal(err.message,
                        "input_scale: 'none' is not known; known are divide, multiply");
    tub__json_free(root);
}

static tub_status write_and_read(const tub_allocator *a, void *user, tub_error *err) {
    static const char *const labels[4] = {"one", "two", "three", "four"};
    tub_model_config c = small_config(), again;
    char *text, **names = NULL;
    size_t size;
    tub__json *root = NULL;
    bool int8;
    (void)user;
    TUB__TRY(tub__config_to_json(a, &c, false, labels, &text, &size, err));
    tub_status status = tub__json_parse(text, size, &root, err);
    if (status == TUB_OK) {
        status = tub__config_from_json(a, root, &again, &int8, &names, err);
        tub__labels_free(a, names, c.classes);
        tub__json_free(root);
    }
    tub__free(a, text);
    return status;
}

static void test_failing_allocations(void **state) {
    (void)state;
    failing_report report = failing_run(write_and_read, NULL);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations >= 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_choice_survives),
        cmocka_unit_test(test_drops_survive),
        cmocka_unit_test(test_tasks_survive),
        cmocka_unit_test(test_every_variant_survives),
        cmocka_unit_test(test_stride_of_the_kernel),
        cmocka_unit_test(test_defaults_are_transformers),
        cmocka_unit_test(test_wrong_values),
        cmocka_unit_test(test_label2id),
        cmocka_unit_test(test_preprocessor),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
