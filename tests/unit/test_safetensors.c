/* SPDX-License-Identifier: Apache-2.0 */
/* safetensors: what is refused and how it is said, legal oddities, conversions, round trip, same
 * bytes. Usage: test_safetensors SOURCE_ROOT */
#include "cmocka_all.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "failing_alloc.h"
#include "formats/safetensors.h"

static const char *source_root;
static const tub_allocator *const allocator = &tub__default_allocator;

/* A file in memory: length, header, `data` bytes counting up from 0. Returns its size. */
static size_t make_file(unsigned char *out, const char *header, size_t data) {
    uint64_t length = strlen(header);
    memcpy(out, &length, 8);
    memcpy(out + 8, header, length);
    for (size_t i = 0; i < data; i++) {
        out[8 + length + i] = (unsigned char)i;
    }
    return 8 + (size_t)length + data;
}

#define A(name, type, shape, from, to)                                                             \
    "\"" name "\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]}"

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *header;
        size_t data;
        const char *words;
    } cases[] = {
        {"", 0, "does not begin with '{'"},
        {"[]", 0, "does not begin with '{'"},
        {" {}", 0, "does not begin with '{'"},
        {"{", 0, "header: not valid JSON"},
        {"{} x", 0, "header: not valid JSON"},
        {"{\"a\":1}", 0, "a: entry: expected a table of keys, found a whole number"},
        {"{\"a\":{}}", 0, "a: dtype: missing"},
        {"{" A("a", "F31", "[1]", "0", "4") "}", 4, "a: dtype: 'F31' is not known"},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "a: shape: missing"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "a: data_offsets: missing"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"x\":1,\"data_offsets\":[0,4]}}", 4,
         "and nothing else"},
        {"{" A("a", "F32", "[-1]", "0", "4") "}", 4, "a: shape: -1 is negative"},
        {"{" A("a", "F32", "[1.0]", "0", "4") "}", 4, "a: shape: expected a whole number"},
        {"{" A("a", "F32", "[1,1,1,1,1,1,1,1,1]", "0", "4") "}", 4, "more than 8 dimensions"},
        {"{" A("a", "F32", "[1]", "0", "4,4") "}", 4, "two data_offsets"},
        {"{" A("a", "F32", "[1]", "0", "true") "}", 4, "data_offsets: expected a whole number"},
        {"{" A("a", "F32", "[1]", "-4", "0") "}", 4, "-4 is negative"},
        {"{" A("a", "F32", "[1]", "4", "0") "}", 4, "end before they begin"},
        {"{" A("a", "F32", "[2]", "0", "4") "}", 4, "mean 8 bytes, data_offsets 4"},
        {"{" A("a", "F32", "[4611686018427387905,4]", "0", "16") "}", 16, "overflows"},
        {"{" A("a", "F32", "[4611686018427387905,4,0]", "0", "0") "}", 0, "overflows"},
        {"{" A("a", "F4", "[3]", "0", "2") "}", 2, "no whole number of bytes"},
        {"{" A("a", "U8", "[4]", "0", "4") "," A("b", "U8", "[4]", "2", "6") "}", 6,
         "b: its data begin at byte 2, inside"},
        {"{" A("a", "U8", "[4]", "0", "4") "," A("b", "U8", "[4]", "0", "4") "}", 4,
         "its data begin at byte 0, inside"},
        {"{" A("a", "U8", "[4]", "0", "4") "," A("b", "U8", "[4]", "5", "9") "}", 9,
         "a hole after byte 4"},
        {"{" A("a", "U8", "[4]", "1", "5") "}", 5, "a hole after byte 0"},
        {"{" A("a", "U8", "[4]", "0", "4") "}", 3,
         "need 4 bytes of data, the file has 3 (truncated?)"},
        {"{" A("a", "U8", "[4]", "0", "4") "}", 5, "(bytes left over)"},
        {"{" A("a", "U8", "[4]", "0", "9223372036854775807") "}", 4, "mean 4 bytes"},
        {"{" A("a", "U8", "[4]", "0", "4") "," A("a", "U8", "[4]", "4", "8") "}", 8,
         "duplicate object key"},
        {"{\"__metadata__\":1}", 0, "__metadata__: expected a table of keys"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "__metadata__: expected text"},
    };
    unsigned char file[600];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tub__st_file f;
        tub_error err = {0};
        size_t size = make_file(file, cases[i].header, cases[i].data);
        tub_status status = tub__st_parse(allocator, file, size, &f, &err);
        if (status == TUB_OK || strstr(err.message, cases[i].words) == NULL) {
            print_error("%s: %s\n", cases[i].header, status == TUB_OK ? "accepted" : err.message);
            fail();
        }
        assert_int_equal(status, err.status);
        assert_true(status == TUB_E_FORMAT || status == TUB_E_UNSUPPORTED);
    }
}

static void test_lengths(void **state) {
    (void)state;
    unsigned char file[16] = {0};
    tub__st_file f;
    tub_error err;
    for (size_t size = 0; size < 8; size++) {
        assert_int_equal(tub__st_parse(allocator, file, size, &f, &err), TUB_E_FORMAT);
        assert_non_null(strstr(err.message, "truncated"));
    }
    static const uint64_t lengths[] = {9,          100000000,     100000001, UINT64_C(1) << 63,
                                       UINT64_MAX, UINT64_MAX - 7};
    for (size_t i = 0; i < 6; i++) {
        memcpy(file, &lengths[i], 8);
        assert_int_equal(tub__st_parse(allocator, file, 16, &f, &err), TUB_E_FORMAT);
        assert_non_null(strstr(err.message, i < 2 ? "truncated" : "the limit is"));
    }
    assert_int_equal(tub__st_open(allocator, "/nonexistent/x.safetensors", &f, &err),
                     TUB_E_NOT_FOUND);
}

static void test_accepted(void **state) {
    (void)state;
    unsigned char file[600];
    tub__st_file f;
    tub_error err;
    float out[4];
    size_t size = make_file(file, "{}", 0);
    assert_int_equal(tub__st_parse(allocator, file, size, &f, &err), TUB_OK);
    assert_int_equal(f.count, 0);
    assert_null(tub__st_find(&f, "a"));
    tub__st_close(&f);
    size = make_file(
        file,
        "{" A("b", "U8", "[3]", "0", "3") "," A("e", "F32", "[0,7]", "3", "3") "," A(
            "a\\u00e9", "F4", "[2,3]", "3",
            "6") ",\"__metadata__\":{\"k\":\"v\",\"l\":\"\"}," A("s", "F16", "[]", "6", "8") "}   ",
        8);
    assert_int_equal(tub__st_parse(allocator, file, size, &f, &err), TUB_OK);
    assert_int_equal(f.count, 4);
    assert_string_equal(f.arrays[0].name, "a\xc3\xa9");
    assert_int_equal(f.arrays[0].elements, 6);
    assert_string_equal(tub__st_metadata(&f, "k"), "v");
    assert_null(tub__st_metadata(&f, "m"));
    assert_int_equal(tub__st_find(&f, "e")->elements, 0);
    assert_int_equal(tub__st_to_f32(&f, tub__st_find(&f, "e"), out, &err), TUB_OK);
    assert_int_equal(tub__st_to_f32(&f, tub__st_find(&f, "s"), out, &err), TUB_OK);
    assert_true(out[0] == 0x1.c18p-14f); /* bytes 6, 7: 0x0706 */
    assert_int_equal(tub__st_to_f32(&f, tub__st_find(&f, "b"), out, &err), TUB_E_SHAPE);
    assert_non_null(strstr(err.message, "b: its elements are not floats"));
    tub__st_close(&f);
    tub__st_close(&f);
}

static char temporary[] = "/tmp/test_safetensors_XXXXXX";

static tub_status write_sample(const tub_allocator *a, tub_error *err) {
    static const uint64_t shape[2] = {2, 3};
    static const float values[6] = {0, -1.5f, 1e-40f, INFINITY, 3, 4};
    static const double wide[2] = {0.1, -2};
    static const uint16_t half[3] = {0x3c00, 0xfc00, 0x0001};
    tub__st_writer *w;
    tub_status status = tub__st_create(a, temporary, &w, err);
    if (status != TUB_OK) {
        return status;
    }
    if ((status = tub__st_declare_metadata(w, "format", "pt", err)) != TUB_OK ||
        (status = tub__st_declare(w, "z.weight", TUB__ST_F32, 2, shape, err)) != TUB_OK ||
        (status = tub__st_declare(w, "a.bias", TUB__ST_F64, 1, shape, err)) != TUB_OK ||
        (status = tub__st_declare(w, "half \"\n", TUB__ST_F16, 1, shape + 1, err)) != TUB_OK ||
        (status = tub__st_declare(w, "empty", TUB__ST_I64, 1, (const uint64_t[]){0}, err)) !=
            TUB_OK ||
        (status = tub__st_write(w, values, sizeof values, err)) != TUB_OK ||
        (status = tub__st_write(w, wide, sizeof wide, err)) != TUB_OK ||
        (status = tub__st_write(w, half, sizeof half, err)) != TUB_OK ||
        (status = tub__st_write(w, NULL, 0, err)) != TUB_OK) {
        tub__st_abort(w);
        return status;
    }
    return tub__st_commit(w, err);
}

static void test_round_trip(void **state) {
    (void)state;
    tub_error err;
    char *first, *second;
    size_t first_size, second_size;
    assert_int_equal(write_sample(allocator, &err), TUB_OK);
    assert_int_equal(tub__file_read(allocator, temporary, 4096, &first, &first_size, &err), TUB_OK);
    assert_int_equal(write_sample(allocator, &err), TUB_OK);
    assert_int_equal(tub__file_read(allocator, temporary, 4096, &second, &second_size, &err),
                     TUB_OK);
    assert_int_equal(first_size, second_size);
    assert_memory_equal(first, second, first_size);
    tub__free(allocator, first);
    tub__free(allocator, second);
    tub__st_file f;
    float out[6];
    assert_int_equal(tub__st_open(allocator, temporary, &f, &err), TUB_OK);
    assert_int_equal((f.data - f.map.data) % 8, 0);
    assert_int_equal(f.count, 4);
    assert_string_equal(tub__st_metadata(&f, "format"), "pt");
    const tub__st_array *z = tub__st_find(&f, "z.weight");
    assert_int_equal(z->offset, 0); /* the declared order, not that of the names */
    assert_int_equal(z->rank, 2);
    assert_int_equal(z->shape[1], 3);
    assert_int_equal(tub__st_to_f32(&f, z, out, &err), TUB_OK);
    assert_true(out[1] == -1.5f && out[2] == 1e-40f && isinf(out[3]));
    assert_int_equal(tub__st_to_f32(&f, tub__st_find(&f, "a.bias"), out, &err), TUB_OK);
    assert_true(out[0] == 0.1f && out[1] == -2);
    assert_int_equal(tub__st_to_f32(&f, tub__st_find(&f, "half \"\n"), out, &err), TUB_OK);
    assert_true(out[0] == 1 && out[1] == -INFINITY && out[2] == 0x1p-24f);
    tub__st_close(&f);
}

static void test_writer_misuse(void **state) {
    (void)state;
    static const uint64_t one[1] = {1}, huge[2] = {UINT64_C(1) << 40, UINT64_C(1) << 40};
    tub_error err;
    tub__st_writer *w;
    assert_int_equal(tub__st_create(allocator, "/nonexistent/x", &w, &err), TUB_E_NOT_FOUND);
    assert_int_equal(tub__st_create(allocator, temporary, &w, &err), TUB_OK);
    assert_int_equal(tub__st_declare(w, "a", TUB__ST_OTHER, 1, one, &err), TUB_E_ARGUMENT);
    assert_int_equal(tub__st_declare(w, "a", TUB__ST_F32, 9, one, &err), TUB_E_ARGUMENT);
    assert_int_equal(tub__st_declare(w, "a", TUB__ST_F32, 2, huge, &err), TUB_E_MEMORY);
    assert_int_equal(tub__st_declare(w, "a", TUB__ST_F32, 1, one, &err), TUB_OK);
    assert_int_equal(tub__st_declare(w, "a", TUB__ST_F32, 1, one, &err), TUB_E_ARGUMENT);
    assert_int_equal(tub__st_declare(w, "b", TUB__ST_F32, 1, one, &err), TUB_OK);
    assert_int_equal(tub__st_write(w, one, 8, &err), TUB_E_ARGUMENT);
    assert_int_equal(tub__st_write(w, one, 4, &err), TUB_OK);
    assert_int_equal(tub__st_declare(w, "c", TUB__ST_F32, 1, one, &err), TUB_E_ARGUMENT);
    assert_int_equal(tub__st_declare_metadata(w, "c", "d", &err), TUB_E_ARGUMENT);
    assert_int_equal(tub__st_commit(w, &err), TUB_E_ARGUMENT);
    assert_non_null(strstr(err.message, "b: declared but not written"));
    assert_int_equal(tub__st_create(allocator, temporary, &w, &err), TUB_OK);
    assert_int_equal(tub__st_write(w, one, 4, &err), TUB_E_ARGUMENT);
    assert_int_equal(tub__st_commit(w, &err), TUB_OK); /* no arrays: a legal file */
    tub__st_file f;
    assert_int_equal(tub__st_open(allocator, temporary, &f, &err), TUB_OK);
    assert_int_equal(f.count, 0);
    tub__st_close(&f);
    tub__st_abort(NULL);
}

/* One file of the golden set; returns the sum of all magnitudes of one that must be accepted. */
static double check_golden(const char *name, const char *words) {
    char path[4096];
    tub__st_file f;
    tub_error err = {0};
    double sum = 0;
    snprintf(path, sizeof path, "%s/tests/golden/hf/%s.safetensors", source_root, name);
    tub_status status = tub__st_open(allocator, path, &f, &err);
    if (words != NULL) {
        if (status == TUB_OK || strstr(err.message, words) == NULL) {
            print_error("%s: %s\n", name, status == TUB_OK ? "accepted" : err.message);
            fail();
        }
        return 0;
    }
    if (status != TUB_OK) {
        print_error("%s\n", err.message);
        fail();
    }
    for (size_t i = 0; i < f.count; i++) {
        float *values = test_malloc(4 * (size_t)f.arrays[i].elements + 4);
        assert_int_equal(tub__st_to_f32(&f, &f.arrays[i], values, &err), TUB_OK);
        for (uint64_t e = 0; e < f.arrays[i].elements; e++) {
            sum += fabs((double)values[e]);
        }
        test_free(values);
    }
    tub__st_close(&f);
    return sum;
}

static void test_golden(void **state) {
    (void)state;
    static const struct {
        const char *name, *words; /* NULL: ok */
    } cases[] = {{"empty", "truncated"},
                 {"seven_bytes", "truncated"},
                 {"truncated_header", "truncated"},
                 {"truncated_data", "truncated?"},
                 {"trailing_bytes", "left over"},
                 {"header_beyond_file", "truncated"},
                 {"header_length_huge", "the limit is"},
                 {"header_length_wraps", "the limit is"},
                 {"header_length_zero", "begin with '{'"},
                 {"header_not_json", "not valid JSON"},
                 {"header_array", "begin with '{'"},
                 {"header_trailing_garbage", "not valid JSON"},
                 {"header_bad_utf8", "unable to decode byte"},
                 {"header_deep_nesting", "not valid JSON"},
                 {"overlapping_offsets", "inside the array"},
                 {"same_offsets", "inside the array"},
                 {"offset_hole", "a hole after"},
                 {"offsets_reversed", "end before they begin"},
                 {"offsets_beyond_file", ""},
                 {"offsets_negative", "negative"},
                 {"offsets_three", "two data_offsets"},
                 {"offsets_fraction", "whole number"},
                 {"shape_bytes_disagree", "data_offsets"},
                 {"shape_overflow", "overflows"},
                 {"shape_negative", "negative"},
                 {"dtype_unknown", "not known"},
                 {"dtype_missing", "dtype: missing"},
                 {"metadata_not_strings", "expected text"},
                 {"duplicate_key", "duplicate"},
                 {"ok_padded_header", NULL},
                 {"ok_metadata", NULL},
                 {"ok_reordered", NULL},
                 {"ok_escaped_names", NULL},
                 {"ok_field_order", NULL},
                 {"ok_unaligned", NULL},
                 {"ok_f64_weights", NULL},
                 {"ok_new_spelling", NULL}};
    const double base = check_golden("base/model", NULL);
    assert_true(base > 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double sum = check_golden(cases[i].name, cases[i].words);
        assert_true(cases[i].words != NULL || fabs(sum - base) < 1e-9 * base);
    }
}

static tub_status write_file(const tub_allocator *a, void *user, tub_error *err) {
    (void)user;
    return write_sample(a, err);
}

static tub_status read_file(const tub_allocator *a, void *user, tub_error *err) {
    (void)user;
    tub__st_file f;
    tub_status status = tub__st_open(a, temporary, &f, err);
    if (status == TUB_OK) {
        tub__st_close(&f);
    }
    return status;
}

static void test_failing_allocations(void **state) {
    (void)state;
    failing_report report = failing_run(write_file, NULL);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations > 10);
    report = failing_run(read_file, NULL);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations > 6);
}

static int make_temporary(void **state) {
    (void)state;
    int fd = mkstemp(temporary);
    return fd < 0 ? -1 : close(fd);
}

static int remove_temporary(void **state) {
    (void)state;
    return unlink(temporary);
}

int main(int argc, char **argv) {
    source_root = argc > 1 ? argv[1] : ".";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_writer_misuse),
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, make_temporary, remove_temporary);
}
