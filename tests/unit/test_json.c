/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON helpers: what is read, what is refused and how it is said, and that writing keeps order
 * and value. */
#include "cmocka_all.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "failing_alloc.h"
#include "formats/json.h"

static tub__json *parse(const char *text) {
    tub_error err = {0};
    tub__json *root = NULL;
    if (tub__json_parse(text, strlen(text), &root, &err) != TUB_OK) {
        print_error("%s\n", err.message);
        fail();
    }
    return root;
}

static void test_getters(void **state) {
    (void)state;
    tub__json *o = parse(
        "{\"a\": 3, \"b\": 1e-4, \"c\": true, \"d\": \"x\", \"e\": [1, 2], \"f\": {\"g\": null}}");
    int64_t i = 0;
    double r = 0;
    bool b = false;
    const char *t = NULL;
    tub_error err;
    assert_int_equal(tub__json_get_integer(o, "a", &i, &err), TUB_OK);
    assert_int_equal(i, 3);
    assert_int_equal(tub__json_get_real(o, "b", &r, &err), TUB_OK);
    assert_true(r == 1e-4);
    assert_int_equal(tub__json_get_real(o, "a", &r, &err), TUB_OK);
    assert_true(r == 3);
    assert_int_equal(tub__json_get_bool(o, "c", &b, &err), TUB_OK);
    assert_true(b);
    assert_int_equal(tub__json_get_text(o, "d", &t, &err), TUB_OK);
    assert_string_equal(t, "x");
    assert_int_equal(tub__json_size(tub__json_get(o, "e")), 2);
    assert_int_equal(tub__json_to_integer(tub__json_at(tub__json_get(o, "e"), 1), "e", &i, &err),
                     TUB_OK);
    assert_int_equal(i, 2);
    assert_null(tub__json_at(tub__json_get(o, "e"), 2));
    assert_int_equal(tub__json_opt_integer(o, "none", &i, &err), TUB_OK);
    assert_int_equal(tub__json_opt_integer(tub__json_get(o, "f"), "g", &i, &err), TUB_OK);
    assert_int_equal(i, 2);
    tub__json_free(o);
    tub__json_free(NULL);
}

static void test_getter_sentences(void **state) {
    (void)state;
    tub__json *o = parse("{\"a\": \"3\", \"b\": 2.5, \"c\": [], \"d\": {}, \"e\": null, \"f\": 1}");
    int64_t i = 7;
    bool b;
    const char *t;
    const tub__json *v;
    tub_error err;
    assert_int_equal(tub__json_get_integer(o, "a", &i, &err), TUB_E_FORMAT);
    assert_string_equal(err.message, "a: expected a whole number, found text");
    assert_int_equal(tub__json_get_integer(o, "b", &i, &err), TUB_E_FORMAT);
    assert_string_equal(err.message, "b: expected a whole number, found a number with a fraction");
    assert_int_equal(tub__json_get_integer(o, "z", &i, &err), TUB_E_NOT_FOUND);
    assert_string_equal(err.message, "z: missing; expected a whole number");
    assert_int_equal(tub__json_get_bool(o, "f", &b, &err), TUB_E_FORMAT);
    assert_int_equal(tub__json_get_text(o, "e", &t, &err), TUB_E_FORMAT);
    assert_string_equal(err.message, "e: expected text, found null");
    assert_int_equal(tub__json_to_array(tub__json_get(o, "d"), "d", &v, &err), TUB_E_FORMAT);
    assert_string_equal(err.message, "d: expected a list, found a table of keys");
    assert_int_equal(tub__json_to_object(tub__json_get(o, "c"), "c", &v, &err), TUB_E_FORMAT);
    assert_int_equal(i, 7);
    tub__json_free(o);
}

static void test_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "3",
                                      "{",
                                      "{\"a\": 1,}",
                                      "{\"a\": 1, \"a\": 2}",
                                      "[1] x",
                                      "[1e400]",
                                      "[NaN]",
                                      "['a']",
                                      "[99999999999999999999]",
                                      "[\"\\u0000\"]",
                                      "[\"\xff\"]",
                                      "{\"a\" 1}",
                                      "[\"\\ud800\"]",
                                      "[01]",
                                      "// c\n[]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tub__json *root = NULL;
        tub_error err;
        if (tub__json_parse(bad[i], strlen(bad[i]), &root, &err) != TUB_E_FORMAT) {
            print_error("accepted: %s\n", bad[i]);
            fail();
        }
        assert_null(root);
        assert_non_null(strstr(err.message, "line 1") != NULL ? err.message
                                                              : strstr(err.message, "line 2"));
    }
    tub__json *root = NULL;
    tub_error err;
    assert_int_equal(tub__json_parse("{\n\"a\":\n  bad}", 14, &root, &err), TUB_E_FORMAT);
    assert_non_null(strstr(err.message, "line 3, column 5"));
    assert_null(strchr(err.message, '\n'));
    /* Nested deeper than the parser goes: an error, not a crash. */
    static char deep[200001];
    memset(deep, '[', 200000);
    assert_int_equal(tub__json_parse(deep, 200000, &root, &err), TUB_E_FORMAT);
}

static void check_text(tub__json_writer *w, const char *expected) {
    char *text;
    size_t size;
    tub_error err;
    assert_int_equal(tub__json_finish(w, &text, &size, &err), TUB_OK);
    assert_string_equal(text, expected);
    assert_int_equal(size, strlen(expected));
    tub__free(&tub__default_allocator, text);
    tub__json_discard(w);
}

static void write_sample(tub__json_writer *w) {
    tub__json_open_object(w, NULL);
    tub__json_put_integer(w, "z", -9223372036854775807 - 1);
    tub__json_put_real(w, "lr", 1e-4);
    tub__json_put_real(w, "nan", NAN);
    tub__json_put_text(w, "t\"\\", "a\nb\x01\xc3\xa4\xff\xed\xa0\x80");
    tub__json_put_text(w, "none", NULL);
    tub__json_open_array(w, "list");
    tub__json_put_bool(w, NULL, true);
    tub__json_put_real(w, NULL, 3);
    tub__json_close_array(w);
    tub__json_open_object(w, "empty");
    tub__json_close_object(w);
    tub__json_close_object(w);
}

#define BAD "\xef\xbf\xbd"

static void test_writer(void **state) {
    (void)state;
    tub__json_writer w;
    tub__json_start(&w, &tub__default_allocator, 0);
    write_sample(&w);
    check_text(&w, "{\"z\": -9223372036854775808, \"lr\": 0.0001, \"nan\": null, \"t\\\"\\\\\": "
                   "\"a\\nb\\u0001\xc3\xa4" BAD BAD BAD BAD
                   "\", \"none\": null, \"list\": [true, 3.0], \"empty\": {}}");
    tub__json_start(&w, &tub__default_allocator, 2);
    write_sample(&w);
    check_text(
        &w,
        "{\n  \"z\": -9223372036854775808,\n  \"lr\": 0.0001,\n  \"nan\": null,\n  \"t\\\"\\\\\": "
        "\"a\\nb\\u0001\xc3\xa4" BAD BAD BAD BAD
        "\",\n  \"none\": null,\n  \"list\": [\n    true,\n    3.0\n"
        "  ],\n  \"empty\": {}\n}\n");
}

/* Reading and writing again gives the same text: keys keep their order, numbers their value. */
static void test_round_trip(void **state) {
    (void)state;
    const char *text =
        "{\"b\": [1, -0.0, 0.1, 1e-05, 1e+22, 5e-324, 1.7976931348623157e+308, 123456789012345.6], "
        "\"a\": {\"y\": null, \"x\": false}, \"c\": \"\xf0\x9f\x98\x80\"}";
    tub__json *o = parse(text);
    tub__json_writer w;
    tub__json_start(&w, &tub__default_allocator, 0);
    tub__json_put_value(&w, NULL, o);
    check_text(&w, text);
    tub__json_free(o);
}

static void test_shortest(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0.0"},
                 {1, "1.0"},
                 {0.1, "0.1"},
                 {100000, "100000.0"},
                 {1e15, "1000000000000000.0"},
                 {1e16, "1e+16"},
                 {1e-4, "0.0001"},
                 {1e-5, "1e-05"},
                 {2.0 / 3, "0.6666666666666666"},
                 {-1.5e-7, "-1.5e-07"},
                 {9007199254740993.0, "9007199254740992.0"},
                 {0x1p-1074, "5e-324"}};
    char out[32];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tub__shortest_real(cases[i].value, out);
        assert_string_equal(out, cases[i].text);
    }
    uint64_t bits =
        88172645463325252u; /* xorshift over random bit patterns: every one must read back */
    for (int i = 0; i < 20000; i++) {
        bits ^= bits << 13, bits ^= bits >> 7, bits ^= bits << 17;
        double value;
        memcpy(&value, &bits, sizeof value);
        if (value - value == 0) {
            tub__shortest_real(value, out);
            assert_true(strtod(out, NULL) == value);
        }
    }
}

/* A program may have set a locale whose decimal point is a comma. */
static void test_locale(void **state) {
    (void)state;
    if (setlocale(LC_NUMERIC, "de_DE.UTF-8") == NULL) {
        print_message("no de_DE.UTF-8 locale here\n");
        skip();
    }
    char out[32];
    tub__shortest_real(0.5, out);
    assert_string_equal(out, "0.5");
    tub__shortest_real(1.25e-9, out);
    assert_string_equal(out, "1.25e-09");
    setlocale(LC_NUMERIC, "C");
}

static tub_status write_many(const tub_allocator *a, void *user, tub_error *err) {
    (void)user;
    tub__json_writer w;
    char *text = NULL;
    size_t size;
    tub__json_start(&w, a, 2);
    tub__json_open_array(&w, NULL);
    for (int i = 0; i < 100; i++) {
        write_sample(&w);
    }
    tub__json_close_array(&w);
    tub_status status = tub__json_finish(&w, &text, &size, err);
    tub__free(a, text);
    return status;
}

static void test_failing_allocations(void **state) {
    (void)state;
    failing_report report = failing_run(write_many, NULL);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations > 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_getters),    cmocka_unit_test(test_getter_sentences),
        cmocka_unit_test(test_refused),    cmocka_unit_test(test_writer),
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_shortest),
        cmocka_unit_test(test_locale),     cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
