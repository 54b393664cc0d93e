/* SPDX-License-Identifier: Apache-2.0 */
/* YAML by mod-yaml: types of plain scalars, structure, aliases, and every refusal with its place.
 */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/yaml.h"
#include "modules/yaml_scalar.h"

static tub_context *context;

static void check_scalar(const char *text, tub__yaml_kind kind, const char *json) {
    char out[600];
    tub__yaml_kind found = tub__yaml_scalar(text, strlen(text), out);
    if (found != kind || (json != NULL && strcmp(out, json) != 0)) {
        print_error("'%s': kind %d\n", text, (int)found);
        fail();
    }
}

static void test_scalars(void **state) {
    (void)state;
    static const char *const numbers[][2] = {{"0", "0"},
                                             {"-0", "-0"},
                                             {"+12", "12"},
                                             {"007", "7"},
                                             {"0o10", "8"},
                                             {"0x1F", "31"},
                                             {"0xff", "255"},
                                             {"1e-4", "1e-4"},
                                             {"1E+5", "1e+5"},
                                             {".5", "0.5"},
                                             {"-.5e1", "-0.5e1"},
                                             {"3.", "3.0"},
                                             {"+1.50", "1.50"},
                                             {"9223372036854775807", "9223372036854775807"},
                                             {"-9223372036854775808", "-9223372036854775808"},
                                             {"0x7fffffffffffffff", "9223372036854775807"},
                                             {"1e307", "1e307"},
                                             {"1e-999", "1e-999"}};
    static const char *const words[][2] = {{"", "null"},     {"~", "null"},     {"null", "null"},
                                           {"Null", "null"}, {"NULL", "null"},  {"true", "true"},
                                           {"True", "true"}, {"FALSE", "false"}};
    static const char *const texts[] = {"yes", "no",    "on",    "nULL",  "0o8",     "0xg",
                                        "0x",  "1e",    "1e+",   "e5",    ".",       "-",
                                        "+",   "1.2.3", "1_000", "12:30", "-0x1F",   "0b1",
                                        "1 2", "..5",   "TrUe",  "0X1F",  "infinity"};
    static const char *const too_big[] = {"9223372036854775808",
                                          "-9223372036854775809",
                                          "0x8000000000000000",
                                          "0o7777777777777777777777",
                                          "1e309",
                                          "99999999999999999999999"};
    static const char *const no_json[] = {".inf", "-.Inf", "+.INF", ".nan", ".NaN", ".NAN"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        check_scalar(numbers[i][0], TUB__YAML_NUMBER, numbers[i][1]);
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        check_scalar(words[i][0], TUB__YAML_WORD, words[i][1]);
    }
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        check_scalar(texts[i], TUB__YAML_TEXT, NULL);
    }
    for (size_t i = 0; i < sizeof too_big / sizeof *too_big; i++) {
        check_scalar(too_big[i], TUB__YAML_TOO_BIG, NULL);
    }
    for (size_t i = 0; i < sizeof no_json / sizeof *no_json; i++) {
        check_scalar(no_json[i], TUB__YAML_NO_JSON, NULL);
    }
}

static void check_document(const char *yaml, const char *json) {
    tub_error err = {0};
    tub__json *root;
    char *text;
    size_t size;
    if (tub__yaml_parse(context, yaml, strlen(yaml), &root, &err) != TUB_OK) {
        print_error("%s\n%s\n", yaml, err.message);
        fail();
    }
    tub__json_writer w;
    tub__json_start(&w, &context->allocator, 0);
    tub__json_put_value(&w, NULL, root);
    tub__json_free(root);
    assert_int_equal(tub__json_finish(&w, &text, &size, &err), TUB_OK);
    assert_string_equal(text, json);
    tub__free(&context->allocator, text);
}

static void test_documents(void **state) {
    (void)state;
    check_document(
        "lr: 1e-4\nepochs: 60 # example\nname: \"1e-4\"\nkey: 'no'\nx: yes\n",
        "{\"lr\": 0.0001, \"epochs\": 60, \"name\": \"1e-4\", \"key\": \"no\", \"x\": \"yes\"}");
    check_document("--- \na:\n- 1\n- [2, {b: ~}]\n- !!str 3\n- |\n  two\n  lines\n...\n",
                   "{\"a\": [1, [2, {\"b\": null}], \"3\", \"two\\nlines\\n\"]}");
    check_document(
        "1: one\nnull: none\ntrue: t\n\"q\\\"\\t\": \"\\u00e4\\x01\"\n",
        "{\"1\": \"one\", \"null\": \"none\", \"true\": \"t\", \"q\\\"\\t\": \"\xc3\xa4\\u0001\"}");
    check_document("a: &x {p: 1}\nb: *x\nc: &x [2]\nd: *x\n&k e: *k\n",
                   "{\"a\": {\"p\": 1}, \"b\": {\"p\": 1}, \"c\": [2], \"d\": [2], \"e\": \"e\"}");
    check_document("{a: , b: \"\", c: !!str , d: ''}",
                   "{\"a\": null, \"b\": \"\", \"c\": \"\", \"d\": \"\"}");
    check_document("- >-\n  folded\n  text\n- 2001-01-01\n- 0o17\n",
                   "[\"folded text\", \"2001-01-01\", 15]");
    check_document("a: {b: 1}\nc: {b: 1}\nb: 1\n",
                   "{\"a\": {\"b\": 1}, \"c\": {\"b\": 1}, \"b\": 1}");
}

static void check_refused(const char *yaml, size_t size, const char *words) {
    tub_error err = {0};
    tub__json *root = NULL;
    tub_status status = tub__yaml_parse(context, yaml, size, &root, &err);
    if (status != TUB_E_FORMAT || strstr(err.message, words) == NULL ||
        strchr(err.message, '\n') != NULL) {
        print_error("%.200s\n%s\n", yaml, status == TUB_OK ? "accepted" : err.message);
        fail();
    }
    assert_null(root);
}

static void test_refused(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", "the document is empty"},
        {"# nothing\n", "the document is empty"},
        {"---\n", "the document is empty"},
        {"text", "line 1, column 1: the document is neither a mapping nor a list"},
        {"a: 1\nb: 2\na: 3\n", "\"a\": line 3, column 1: the key is there twice"},
        {"a: 1\n'a': 3\n", "line 2, column 2: the key is there twice"},
        {"a: {b: 1, b: 2}", "\"b\": line 1, column 11: the key is there twice"},
        {"a: 1\n---\nb: 1\n", "line 2, column 1: a second document begins"},
        {"a: .inf\n", "line 1, column 4: infinities and NaN"},
        {"a: 1e400\n", "line 1, column 4: the number is too large"},
        {"a: !!int 3\n", "line 1, column 10: tags"},
        {"a: !x 3\n", "tags"},
        {"a: !!str [1]\n", "!!str before something"},
        {"? [a]\n: 1\n", "a mapping or list can't be a key"},
        {"a: &x 1\n*x : 1\n", "an alias can't be a key"},
        {"a: *x\n", "an alias without its anchor"},
        {"a: &x [*x]\n", "an alias inside the node"},
        {"a: \"\\0\"\n", "NUL"},
        {"a: b: c\n", "line 1"},
        {"a: [1, 2\n", "not valid YAML"},
        {"a:\n\t- 1\n", "not valid YAML"},
        {"a: \"\\q\"\n", "not valid YAML"},
        {"a: @x\n", "not valid YAML"},
        {"a: 1\n%YAML 1.2\n", "line 2, column 1: directives"},
        {"\xef\xbb\xbf%x", "directives"},
        {"%\xa3\xdf\xd1\xa7\nN ",
         "line 1, column 1: directives"}, /* libfyaml never returns from it */
        {"a: \x01", "line 1, column 4: a control character"},
        {"a: \xff\xfe", "line 1, column 4: not UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_refused(cases[i][0], strlen(cases[i][0]), cases[i][1]);
    }
}

static void test_limits(void **state) {
    (void)state;
    /* Nine levels of ten aliases each: a billion nodes if they were unfolded. */
    char bomb[2000] = "a0: &a0 lol\n";
    for (int i = 1; i < 10; i++) {
        size_t used = strlen(bomb);
        snprintf(bomb + used, sizeof bomb - used,
                 "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1,
                 i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    }
    check_refused(bomb, strlen(bomb), "nested aliases?");
    static char large[(1 << 20) + 1];
    memset(large, '#', sizeof large);
    check_refused(large, sizeof large, "more than 1 MiB are refused");
    memset(large, '[', 100000);
    check_refused(large, 100000, "");
    size_t used = 0;
    for (int i = 0; i < 1025; i++) {
        used += (size_t)sprintf(large + used, "k%d: 1\n", i);
    }
    check_refused(large, used, "too many keys in one mapping");
    for (used = 0; used < 12000;) {
        used += (size_t)sprintf(large + used, "- &x 1\n");
    }
    check_refused(large, used, "too many anchors");
}

/* Negative control of the silence: what libfyaml would print goes to stderr, which this reads. */
static void test_silence(void **state) {
    (void)state;
    char name[] = "/tmp/test_yaml_XXXXXX", printed[100];
    int file = mkstemp(name), kept = dup(2);
    assert_true(file >= 0 && kept >= 0);
    dup2(file, 2);
    check_refused("a: [1, 2\n", 9, "");
    assert_int_equal(pread(file, printed, sizeof printed, 0), 0);
    assert_int_equal(write(2, "x", 1), 1);
    assert_int_equal(pread(file, printed, sizeof printed, 0), 1);
    dup2(kept, 2);
    close(kept);
    close(file);
    unlink(name);
}

static void test_files(void **state) {
    (void)state;
    char name[] = "/tmp/test_yaml_XXXXXX";
    int file = mkstemp(name);
    tub_error err;
    tub__json *root;
    int64_t value = 0;
    assert_int_equal(write(file, "a: 5\n", 5), 5);
    assert_int_equal(tub__yaml_load(context, name, &root, &err), TUB_OK);
    assert_int_equal(tub__json_get_integer(root, "a", &value, &err), TUB_OK);
    assert_int_equal(value, 5);
    tub__json_free(root);
    assert_int_equal(write(file, "a: 6\n", 5), 5);
    close(file);
    assert_int_equal(tub__yaml_load(context, name, &root, &err), TUB_E_FORMAT);
    assert_memory_equal(err.message, name, strlen(name));
    unlink(name);
    assert_int_equal(tub__yaml_load(context, name, &root, &err), TUB_E_NOT_FOUND);
}

static int set_up(void **state) {
    (void)state;
    tub_error err;
    if (tub_context_create(NULL, &context, &err) != TUB_OK) {
        print_error("%s\n", err.message);
        return -1;
    }
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    tub_context_destroy(context);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars), cmocka_unit_test(test_documents),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_silence), cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
