/* SPDX-License-Identifier: Apache-2.0 */
/* The option table: defaults, every key set and read back, wrong values, suggestions, checks of
 * settings against each other. */
#include "base/words.h"
#include "cmocka_all.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tubelet/train.h>

static void set(tub_train_config *c, const char *key, const char *value) {
    tub_error err = {0};
    if (tub_train_config_set(c, key, value, &err) != TUB_OK) {
        fail_msg("%s=%s: %s", key, value, err.message);
    }
}

static void assert_value(const tub_train_config *c, const char *key, const char *value) {
    char text[TUB_PATH_LENGTH];
    assert_int_equal(tub_train_config_get(c, key, text, sizeof text, NULL), TUB_OK);
    assert_string_equal(text, value);
}

static void refuse(const char *key, const char *value, tub_status status, const char *part) {
    tub_train_config c = tub_train_config_default(), before = c;
    tub_error err = {0};
    assert_int_equal(tub_train_config_set(&c, key, value, &err), status);
    if (strstr(err.message, part) == NULL) {
        fail_msg("'%s' does not say '%s'", err.message, part);
    }
    assert_memory_equal(&c, &before, sizeof c);
}

static void defaults_are_the_example(void **state) {
    (void)state;
    static const char *const expected[][2] = {{"preset", "vivit-tiny"},
                                              {"seed", "42"},
                                              {"epochs", "60"},
                                              {"batch_size", "32"},
                                              {"optimizer", "adam"},
                                              {"lr", "0.0001"},
                                              {"adam_form", "keras"},
                                              {"schedule", "constant"},
                                              {"weight_decay", "0.0"},
                                              {"clip_norm", "0.0"},
                                              {"patience", "0"},
                                              {"evaluate", "last"},
                                              {"model.attention_dropout", "0.1"},
                                              {"model.tubelet", "8,8,8"},
                                              {"model.hidden", "128"},
                                              {"model.heads", "8"},
                                              {"model.layers", "8"},
                                              {"model.gelu", "tanh"},
                                              {"model.mlp_output_gelu", "true"},
                                              {"model.attention_init", "keras2022"},
                                              {"model.frames", "0"},
                                              {"model.classes", "0"}};
    tub_train_config c = tub_train_config_default();
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_value(&c, expected[i][0], expected[i][1]);
    }
    assert_int_equal(tub_train_config_check(&c, NULL), TUB_OK);
}

/* A value other than the default for every option, from the table itself. */
static void every_key_goes_both_ways(void **state) {
    (void)state;
    size_t count = 0;
    const tub_option *options = tub_train_options(&count);
    assert_true(count > 40);
    for (size_t i = 0; i < count; i++) {
        tub_train_config c = tub_train_config_default(), plain = c;
        const tub_option *o = &options[i];
        char value[64] = "";
        switch (o->type) {
        case TUB_OPTION_INT:
            snprintf(value, sizeof value, "%d", o->high < 7 ? (int)o->high : 7);
            break;
        case TUB_OPTION_REAL:
            strcpy(value, "0.0625");
            break;
        case TUB_OPTION_INT3:
            strcpy(value, "2,3,4");
            break;
        case TUB_OPTION_HEADS:
            strcpy(value, "97,300");
            break;
        case TUB_OPTION_RANGE:
            strcpy(value, "0.25,0.5");
            break;
        case TUB_OPTION_SIZE:
            strcpy(value, "3M");
            break;
        case TUB_OPTION_TEXT:
            strcpy(value, strcmp(o->key, "preset") == 0 ? "vivit-b" : "some text");
            break;
        case TUB_OPTION_CHOICE:
            strcpy(value, strrchr(o->choices, '|') + 1);
            break;
        case TUB_OPTION_FLAG:
            assert_int_equal(tub_train_config_get(&c, o->key, value, sizeof value, NULL), TUB_OK);
            strcpy(value, strcmp(value, "true") == 0 ? "false" : "true");
            break;
        }
        set(&c, o->key, value);
        assert_value(&c, o->key, value);
        assert_memory_not_equal(&c, &plain, sizeof c);
        assert_non_null(o->help);
        assert_true(strlen(o->help) > 4);
    }
}

static void numbers_are_exact(void **state) {
    (void)state;
    tub_train_config c = tub_train_config_default();
    set(&c, "lr", "1e-4");
    assert_true(c.lr == 1e-4);
    set(&c, "lr", "0.1");
    assert_true(c.lr == 0.1);
    assert_value(&c, "lr", "0.1");
    set(&c, "seed", "9007199254740993");
    assert_value(&c, "seed", "9007199254740993");
    set(&c, "model.tubelet", "4");
    assert_value(&c, "model.tubelet", "4,4,4");
    set(&c, "model.tubelet", "2, 3, 5");
    assert_value(&c, "model.tubelet", "2,3,5");
    set(&c, "model.tubelet", "3x4 x 5 ");
    assert_value(&c, "model.tubelet", "3,4,5");
}

static void sizes_have_units(void **state) {
    (void)state;
    static const char *const same[][2] = {
        {"20G", "20G"},   {"0", "0"},          {"20000000000", "20G"},
        {"1.5k", "1500"}, {"2MiB", "2097152"}, {"7T", "7T"},
        {"64MB", "64M"},  {"0.5T", "500G"},    {"1234567", "1234567"}};
    tub_train_config c = tub_train_config_default();
    assert_value(&c, "cache_limit", "20G");
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        set(&c, "cache_limit", same[i][0]);
        assert_value(&c, "cache_limit", same[i][1]);
    }
    static const char *const wrong[] = {"",    "G",    "20 G",  "-1",   "20GG",  "20g",
                                        "1e9", "20iB", "1.2.3", "x20G", "20Gi ", "."};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        refuse("cache_limit", wrong[i], TUB_E_ARGUMENT, "a number of bytes, as 500M or 20G");
    }
    refuse("cache_limit", "2000T", TUB_E_RANGE, "between 0 and 1000000000000000");
    refuse("cache_limit", "99999999T", TUB_E_ARGUMENT, "a number of bytes");
}

static void wrong_values_are_refused(void **state) {
    (void)state;
    refuse("epochs", "sixty", TUB_E_ARGUMENT, "whole number");
    refuse("epochs", "1.5", TUB_E_ARGUMENT, "whole number");
    refuse("epochs", "", TUB_E_ARGUMENT, "whole number");
    refuse("epochs", "0", TUB_E_RANGE, "between 1 and");
    refuse("epochs", "99999999999999999999", TUB_E_RANGE, "between 1 and 1000000");
    refuse("seed", "99999999999999999999", TUB_E_RANGE, "between 0 and 9200000000000000000");
    refuse("seed", "9300000000000000000", TUB_E_RANGE, "between 0 and 9200000000000000000");
    refuse("seed", "-99999999999999999999", TUB_E_RANGE, "between 0 and");
    refuse("seed", "99999999999999999999a", TUB_E_ARGUMENT, "whole number");
    refuse("data", "a\xff.npz", TUB_E_ARGUMENT, "not UTF-8");
    refuse("lr", "nan", TUB_E_ARGUMENT, "number");
    refuse("lr", "inf", TUB_E_ARGUMENT, "number");
    refuse("lr", "0x1p-3", TUB_E_ARGUMENT, "number");
    refuse("lr", "1e-4x", TUB_E_ARGUMENT, "number");
    refuse("lr", "1e999", TUB_E_ARGUMENT, "number");
    refuse("lr", "-1", TUB_E_RANGE, "between 0 and 1000");
    refuse("optimizer", "rmsprop", TUB_E_ARGUMENT, "adam|adamw|sgd");
    refuse("optimizer", "ada", TUB_E_ARGUMENT, "adam|adamw|sgd");
    refuse("model.qkv_bias", "maybe", TUB_E_ARGUMENT, "true or false");
    refuse("model.tubelet", "8,8", TUB_E_ARGUMENT, "one whole number or three");
    refuse("model.tubelet", "8,8,8,8", TUB_E_ARGUMENT, "one whole number or three");
    refuse("model.tubelet", "7 7 7", TUB_E_ARGUMENT, "one whole number or three");
    refuse("model.tubelet", "7,7 7", TUB_E_ARGUMENT, "one whole number or three");
    refuse("model.tubelet", "7,7,7,", TUB_E_ARGUMENT, "one whole number or three");
    refuse("model.tubelet", "7,", TUB_E_ARGUMENT, "one whole number or three");
    refuse("model.tubelet", "7,,7", TUB_E_ARGUMENT, "one whole number or three");
    refuse("model.tubelet", ",7,7", TUB_E_ARGUMENT, "one whole number or three");
    refuse("model.tubelet", " ", TUB_E_ARGUMENT, "one whole number or three");
    refuse("model.tubelet", "", TUB_E_ARGUMENT, "one whole number or three");
    refuse("preset", "vivit-huge", TUB_E_ARGUMENT, "vivit-tiny");
    refuse(NULL, "1", TUB_E_ARGUMENT, "the key is NULL");
    refuse("epochs", NULL, TUB_E_ARGUMENT, "the value of epochs is NULL");
}

static void unknown_keys_get_a_suggestion(void **state) {
    (void)state;
    refuse("batchsize", "8", TUB_E_ARGUMENT, "'batch_size'");
    refuse("lrr", "8", TUB_E_ARGUMENT, "'lr'");
    refuse("optimiser", "sgd", TUB_E_ARGUMENT, "'optimizer'");
    refuse("heads", "8", TUB_E_ARGUMENT, "'model.heads'");
    refuse("model.head", "8", TUB_E_ARGUMENT, "'model.heads'");
    refuse("weigth_decay", "8", TUB_E_ARGUMENT, "'weight_decay'");
}

/* What is far from every key gets no suggestion, but the way to the list. */
static void far_keys_get_none(void **state) {
    (void)state;
    static const char *const far[] = {"", "x", "qq", "frobnicate", "learning_schedule_name"};
    for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
        refuse(far[i], "8", TUB_E_ARGUMENT, "'; tubelet train --help lists all");
    }
}

static const char *word(const void *words, size_t index) {
    return ((const char *const *)words)[index];
}

static void nearest_words(void **state) {
    (void)state;
    static const char *const words[] = {"", "train", "eval", "info", "eval"};
    assert_int_equal(tub_nearest("trian", words, 5, word), 1);
    assert_int_equal(tub_nearest("evil", words, 5, word), 2); /* the first of equal ones */
    assert_int_equal(tub_nearest("tra", words, 5, word), 5);  /* two of three letters */
    assert_int_equal(tub_nearest("t", words, 5, word), 5);
    assert_int_equal(tub_nearest("", words, 5, word), 5);
    assert_int_equal(tub_nearest("frobnicate", words, 5, word), 5);
    assert_int_equal(tub_nearest("train", words, 0, word), 0);
    assert_int_equal(tub_nearest("learning_rate", words, 5, word), 5); /* no lr among them */
    refuse("learning_rate", "1", TUB_E_ARGUMENT, "did you mean 'lr'?");
    refuse("depth", "1", TUB_E_ARGUMENT, "did you mean 'model.layers'?");
    refuse("model.variant", "factorized_encoder", TUB_E_ARGUMENT,
           "factorised_dot_product; did you mean 'factorised_encoder'?");
}

static void preset_resets_the_model(void **state) {
    (void)state;
    tub_train_config c = tub_train_config_default();
    set(&c, "model.heads", "2");
    set(&c, "model.frames", "16");
    set(&c, "lr", "0.5");
    set(&c, "preset", "vivit-tiny");
    assert_value(&c, "model.heads", "8");
    assert_value(&c, "model.frames", "0");
    assert_value(&c, "lr", "0.5");
}

typedef struct given {
    const char *key, *value;
} given;

/* A preset's class token gives way to the mean where the variant has no place for it, unless somebody
 * asked for it; whatever the order is. */
static void pooling_follows_the_variant(void **state) {
    (void)state;
    static const given third = {"model.variant", "factorised_self_attention"},
                       fourth = {"model.variant", "factorised_dot_product"},
                       second = {"model.variant", "factorised_encoder"},
                       token = {"model.pooling", "class_token"}, maximum = {"model.pooling", "max"},
                       base = {"preset", "vivit-b"}, tiny = {"preset", "vivit-tiny"},
                       none = {NULL, NULL};
    const struct {
        given settings[4];
        const char *pooling;
    } cases[] = {
        {{base, none}, "class_token"},
        {{base, second, none}, "class_token"},
        {{base, third, none}, "mean"},
        {{base, fourth, none}, "mean"},
        {{base, third, fourth, none}, "mean"},
        {{base, third, second, none}, "class_token"},
        {{base, third, token, none}, "class_token"},
        {{base, token, third, none}, "class_token"},
        {{base, maximum, third, second}, "max"},
        {{base, third, maximum, second}, "max"},
        {{base, third, tiny, second}, "mean"},
        {{tiny, third, second, none}, "mean"},
        {{tiny, third, base, none}, "class_token"},
        {{base, token, base, third}, "mean"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tub_train_config c = tub_train_config_default();
        for (int k = 0; k < 4 && cases[i].settings[k].key != NULL; k++) {
            set(&c, cases[i].settings[k].key, cases[i].settings[k].value);
        }
        assert_value(&c, "model.pooling", cases[i].pooling);
    }
}

static void check_refuses(const char *settings[][2], const char *part) {
    tub_train_config c = tub_train_config_default();
    tub_error err = {0};
    for (size_t i = 0; settings[i][0] != NULL; i++) {
        set(&c, settings[i][0], settings[i][1]);
    }
    assert_int_not_equal(tub_train_config_check(&c, &err), TUB_OK);
    if (strstr(err.message, part) == NULL) {
        fail_msg("'%s' does not say '%s'", err.message, part);
    }
}

static void contradictions_are_found(void **state) {
    (void)state;
    check_refuses((const char *[][2]){{"ranks", "3"}, {0}}, "power of two");
    check_refuses((const char *[][2]){{"micro_batch", "6"}, {0}}, "power of two");
    check_refuses((const char *[][2]){{"micro_batch", "3"}, {0}}, "power of two");
    check_refuses((const char *[][2]){{"micro_batch", "64"}, {0}}, "batch_size 32");
    check_refuses((const char *[][2]){{"batch_size", "12"}, {"ranks", "8"}, {0}}, "parts of 4");
    check_refuses((const char *[][2]){{"ranks", "16"}, {"micro_batch", "4"}, {0}}, "parts of 4");
    check_refuses((const char *[][2]){{"weight_decay", "0.1"}, {0}}, "adamw");
    check_refuses((const char *[][2]){{"schedule", "cosine"}, {"warmup_epochs", "60"}, {0}},
                  "warmup_epochs");
    check_refuses((const char *[][2]){{"warmup_start", "1"}, {"warmup_epochs", "1"}, {0}},
                  "warmup_start");
    check_refuses((const char *[][2]){{"model.heads", "7"}, {0}}, "heads 7 does not divide");
    check_refuses((const char *[][2]){{"model.tubelet", "4,9,4"}, {"model.height", "8"}, {0}},
                  "model.tubelet's height is 9");
    tub_train_config c = tub_train_config_default();
    c.lr = 0.0 / 0.0;
    assert_int_equal(tub_train_config_check(&c, NULL), TUB_E_ARGUMENT);
    c = tub_train_config_default();
    c.optimizer = (tub_optimizer)77;
    assert_int_equal(tub_train_config_check(&c, NULL), TUB_E_RANGE);
    c = tub_train_config_default();
    c.size = 3;
    assert_int_equal(tub_train_config_check(&c, NULL), TUB_E_ARGUMENT);
}

static void get_needs_room(void **state) {
    (void)state;
    tub_train_config c = tub_train_config_default();
    char text[8];
    assert_int_equal(tub_train_config_get(&c, "preset", text, sizeof text, NULL), TUB_E_ARGUMENT);
    assert_int_equal(tub_train_config_get(&c, NULL, text, sizeof text, NULL), TUB_E_ARGUMENT);
    assert_int_equal(tub_train_config_get(&c, "nothing", text, sizeof text, NULL), TUB_E_ARGUMENT);
}

static void distances(void **state) {
    (void)state;
    assert_int_equal(tub__edit_distance("", ""), 0);
    assert_int_equal(tub__edit_distance("abc", ""), 3);
    assert_int_equal(tub__edit_distance("kitten", "sitting"), 3);
    assert_int_equal(tub__edit_distance("epohcs", "epochs"), 1);
    assert_int_equal(tub__edit_distance("ab", "ba"), 1);
    char long_word[200];
    memset(long_word, 'e', sizeof long_word);
    long_word[sizeof long_word - 1] = '\0';
    assert_true(tub__edit_distance("epochs", long_word) == SIZE_MAX);
    assert_true(tub__edit_distance(long_word, long_word) == SIZE_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_the_example),
        cmocka_unit_test(every_key_goes_both_ways),
        cmocka_unit_test(numbers_are_exact),
        cmocka_unit_test(sizes_have_units),
        cmocka_unit_test(wrong_values_are_refused),
        cmocka_unit_test(unknown_keys_get_a_suggestion),
        cmocka_unit_test(far_keys_get_none),
        cmocka_unit_test(nearest_words),
        cmocka_unit_test(preset_resets_the_model),
        cmocka_unit_test(pooling_follows_the_variant),
        cmocka_unit_test(contradictions_are_found),
        cmocka_unit_test(get_needs_room),
        cmocka_unit_test(distances),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
