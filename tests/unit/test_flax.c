/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints of Flax: every kind of value, what is refused and how it is said, and files that Flax
 * itself wrote. Usage: test_flax SOURCE_ROOT */
#include "cmocka_all.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failing_alloc.h"
#include "formats/flax.h"
#include "formats/msgpack.h"
#include "formats/npy.h"

static const char *source_root;
static const tub_allocator *const heap = &tub__default_allocator;

/* Bytes of a string literal, NULs included. */
#define BYTES(text) (text), sizeof(text) - 1

/* [[2], "uint8", 2 bytes] as extension 1: 14 bytes, and its head 3. */
#define U8_2 "\xc7\x0d\x01\x93\x91\x02\xa5uint8\xc4\x02\x05\x06"

/* ---- MessagePack ---- */

static void test_heads(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        tub__mp_kind kind;
        int64_t number; /* of a number; else count, or size of the data */
    } cases[] = {
        {BYTES("\x00"), TUB__MP_INTEGER, 0},
        {BYTES("\x7f"), TUB__MP_INTEGER, 127},
        {BYTES("\xe0"), TUB__MP_INTEGER, -32},
        {BYTES("\xff"), TUB__MP_INTEGER, -1},
        {BYTES("\xcc\xff"), TUB__MP_INTEGER, 255},
        {BYTES("\xcd\x01\x02"), TUB__MP_INTEGER, 258},
        {BYTES("\xce\x80\x00\x00\x00"), TUB__MP_INTEGER, 2147483648},
        {BYTES("\xcf\x00\x00\x00\x02\x00\x00\x00\x00"), TUB__MP_INTEGER, 8589934592},
        {BYTES("\xd0\x80"), TUB__MP_INTEGER, -128},
        {BYTES("\xd1\xff\x7f"), TUB__MP_INTEGER, -129},
        {BYTES("\xd2\x7f\xff\xff\xff"), TUB__MP_INTEGER, 2147483647},
        {BYTES("\xd3\x80\x00\x00\x00\x00\x00\x00\x00"), TUB__MP_INTEGER, INT64_MIN},
        {BYTES("\xca\x00\x00\x00\x00"), TUB__MP_REAL, 0},
        {BYTES("\xcb\x00\x00\x00\x00\x00\x00\x00\x00"), TUB__MP_REAL, 0},
        {BYTES("\xc0"), TUB__MP_NIL, 0},
        {BYTES("\xc2"), TUB__MP_BOOL, 0},
        {BYTES("\xc3"), TUB__MP_BOOL, 1},
        {BYTES("\xa0"), TUB__MP_TEXT, 0},
        {BYTES("\xa3gut"), TUB__MP_TEXT, 3},
        {BYTES("\xd9\x03gut"), TUB__MP_TEXT, 3},
        {BYTES("\xda\x00\x03gut"), TUB__MP_TEXT, 3},
        {BYTES("\xdb\x00\x00\x00\x03gut"), TUB__MP_TEXT, 3},
        {BYTES("\xc4\x01\x00"), TUB__MP_BYTES, 1},
        {BYTES("\xc5\x00\x01\x00"), TUB__MP_BYTES, 1},
        {BYTES("\xc6\x00\x00\x00\x01\x00"), TUB__MP_BYTES, 1},
        {BYTES("\xd4\x05\x00"), TUB__MP_EXTENSION, 1},
        {BYTES("\xd6\x05\x00\x00\x00\x00"), TUB__MP_EXTENSION, 4},
        {BYTES("\xc7\x00\x05"), TUB__MP_EXTENSION, 0},
        {BYTES("\xc8\x00\x01\x05\x00"), TUB__MP_EXTENSION, 1},
        {BYTES("\xc9\x00\x00\x00\x01\x05\x00"), TUB__MP_EXTENSION, 1},
        {BYTES("\x90"), TUB__MP_LIST, 0},
        {BYTES("\x92\xc0\xc0"), TUB__MP_LIST, 2},
        {BYTES("\xdc\x00\x01\xc0"), TUB__MP_LIST, 1},
        {BYTES("\xdd\x00\x00\x00\x01\xc0"), TUB__MP_LIST, 1},
        {BYTES("\x81\xc0\xc0"), TUB__MP_MAP, 1},
        {BYTES("\xde\x00\x01\xc0\xc0"), TUB__MP_MAP, 1},
        {BYTES("\xdf\x00\x00\x00\x01\xc0\xc0"), TUB__MP_MAP, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tub__mp_reader r = {(const unsigned char *)cases[i].bytes, 0, cases[i].size};
        tub__mp_head h;
        tub_error err = {0};
        assert_ok(tub__mp_next(&r, &h, &err), err);
        assert_int_equal(h.kind, cases[i].kind);
        const bool nested = h.kind == TUB__MP_LIST || h.kind == TUB__MP_MAP;
        assert_int_equal(r.place + (nested ? h.count * (h.kind == TUB__MP_MAP ? 2 : 1) : 0),
                         cases[i].size);
        assert_int_equal((int64_t)h.integer + (int64_t)h.count + (int64_t)h.size, cases[i].number);
        assert_int_equal(h.negative, cases[i].number < 0);
        assert_int_equal(h.type, h.kind == TUB__MP_EXTENSION ? 5 : 0);
        /* Cut off anywhere, it is an error at this place. */
        for (size_t size = 0; size < cases[i].size; size++) {
            r = (tub__mp_reader){(const unsigned char *)cases[i].bytes, 0, size};
            assert_int_equal(tub__mp_next(&r, &h, &err), TUB_E_FORMAT);
            assert_non_null(strstr(err.message, "truncated"));
        }
    }
}

/* ---- Checkpoints ---- */

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *words;
    } cases[] = {
        {BYTES(""), "byte 0: truncated: a value is missing"},
        {BYTES("\xc1"), "byte 0: 0xc1 begins no value"},
        {BYTES("\xa1x"), "begins with text, not with a map"},
        {BYTES("\x93NU"), "byte 0: truncated: needs 3 more bytes, there are 2"},
        {BYTES("\x80\x80"), "byte 1: 1 bytes left over"},
        {BYTES("\xdf\xff\xff\xff\xff\xa1"), "truncated: needs 8589934590 more bytes"},
        {BYTES("\x81\x05\xc0"), "key: expected text, found a whole number"},
        {BYTES("\x81\xa2\xc3\x28\xc0"), "byte 1: text that is not UTF-8"},
        {BYTES("\x81\xa2k\x00\xc0"), "or holds a NUL"},
        {BYTES("\x82\xa1k\x01\xa1k\x02"), "byte 0: key 'k' stands twice in this map"},
        {BYTES("\x81\xa1m\x83\xa1k\x01\xa1l\x01\xa1k\x02"), "m: byte 3: key 'k' stands twice"},
        {BYTES("\x82\xa1k\x80\xa1k\x80"), "key 'k' stands twice"},
        {BYTES("\x82\xa3"
               "a/b\x01\xa1"
               "a\x81\xa1"
               "b\x01"),
         "a/b: byte 11: this name stands twice"},
        {BYTES("\x81\xa1k\xa5long"), "k: byte 3: truncated: needs 5 more bytes, there are 4"},
        {BYTES("\x81\xa1k\xd4\x07\x00"), "k: byte 3: extension type 7 is not known"},
        {BYTES("\x81\xa1k\xd4\xff\x00"), "extension type -1 is not known"},
        {BYTES("\x81\xa1k\xc7\x00\x01"), "k: byte 6: truncated: a value is missing"},
        {BYTES("\x81\xa1k\xd4\x01\xc0"), "array: expected a list, found nothing"},
        {BYTES("\x81\xa1k\xd6\x01\x92\x90\xa1"
               "f"),
         "found 2 values"},
        {BYTES("\x81\xa1k\xc7\x08\x01\x93\x91\xa1x\xa1"
               "f\xc4\x00"),
         "shape: expected a whole number, found text"},
        {BYTES("\x81\xa1k\xc7\x0d\x01\x93\x91\x02\xa5uint9\xc4\x02\x05\x06"),
         "element type 'uint9' is not known"},
        {BYTES("\x81\xa1k\xc7\x0c\x01\x93\x91\x02\xa4uint\xc4\x02\x05\x06"), "'uint' is not known"},
        {BYTES("\x81\xa1k\xc7\x08\x01\x93\x91\x02\xc0\xc4\x02\x05\x06"), "type '' is not known"},
        {BYTES("\x81\xa1k\xc7\x0d\x01\x93\x91\xff\xa5uint8\xc4\x02\x05\x06"), "is negative"},
        {BYTES("\x81\xa1k\xc7\x0d\x01\x93\x91\x03\xa5uint8\xc4\x02\x05\x06"),
         "shape and uint8 mean 3 bytes, it has 2"},
        {BYTES("\x81\xa1k\xc7\x0d\x01\x93\x91\x02\xa5uint8\xc4\x01\x05\x06"), "it has 1"},
        {BYTES("\x81\xa1k\xc7\x0e\x01\x93\x91\x02\xa5uint8\xc4\x02\x05\x06\x07"),
         "array: 1 bytes left over"},
        {BYTES("\x81\xa1k\xc7\x0d\x01\x93\x91\x02\xa5uint8\xc4\x03\x05\x06"), "truncated"},
        {BYTES("\x81\xa1k\xc7\x0c\x01\x93\x91\x02\xa5uint8\xa2\x05\x06"),
         "array: expected bytes, found text"},
        {BYTES("\x81\xa1k\xc7\x1e\x01\x93\x92\xcf\x80\x00\x00\x00\x00\x00\x00\x00\xcf\x00\x00\x00"
               "\x00\x00\x00\x00\x02\xa5uint8\xc4\x02\x05\x06"),
         "shape: its size overflows"},
        {BYTES("\x81\xa1k\xc7\x1f\x01\x93\x93\x00\xcf\x80\x00\x00\x00\x00\x00\x00\x00\xcf\x00\x00"
               "\x00\x00\x00\x00\x00\x02\xa5uint8\xc4\x02\x05\x06"),
         "shape: its size overflows"},
        {BYTES("\x81\xa1k\xc7\x17\x01\x93\x91\xcf\x40\x00\x00\x00\x00\x00\x00\x00\xa7"
               "float64\xc4\x02\x05\x06"),
         "shape: its size overflows"},
        {BYTES("\x81\xa1k\xc7\x15\x01\x93\x99\x01\x01\x01\x01\x01\x01\x01\x01\x02\xa5uint8\xc4\x02"
               "\x05\x06"),
         "more than 8 dimensions"},
        {BYTES("\x81\xa1k\xc7\x0d\x03\x93\x91\x02\xa5uint8\xc4\x02\x05\x06"),
         "scalar: it has 1 dimensions"},
        {BYTES("\x81\xa1k\xd4\x02\x90"), "complex number: it has 0 parts"},
        {BYTES("\x81\xa1k\xc7\x03\x02\x92\x01\x01"), "expected a real number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tub__flax_file f;
        tub_error err = {0};
        tub_status status = tub__flax_parse(heap, cases[i].bytes, cases[i].size, &f, &err);
        if (status == TUB_OK || strstr(err.message, cases[i].words) == NULL) {
            fail_msg("case %zu, '%s': %s", i, cases[i].words,
                     status == TUB_OK ? "accepted" : err.message);
        }
        assert_int_equal(status, TUB_E_FORMAT);
        assert_int_equal(err.status, status);
    }
}

#define MARK "\xb9__msgpack_chunked_array__"

static void test_chunks(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *words; /* NULL: accepted */
    } cases[] = {
        {BYTES("\x81\xa1k\x83" MARK "\xc3\xa5shape\x82\xa1"
               "0\x02\xa1"
               "1\x02\xa6"
               "chunks\x82\xa1"
               "0" U8_2 "\xa1"
               "1" U8_2),
         NULL},
        {BYTES("\x83" MARK "\xc3\xa5shape\x81\xa1"
               "0\x02\xa6"
               "chunks\x81\xa1"
               "0" U8_2),
         NULL},
        {BYTES("\x81\xa1k\x83" MARK "\xc3\xa5shape\x82\xa1"
               "0\x02\xa1"
               "1\x03\xa6"
               "chunks\x82\xa1"
               "0" U8_2 "\xa1"
               "1" U8_2),
         "k: byte 51: chunked array: its chunks have 4 elements, its shape 6"},
        {BYTES("\x83" MARK "\xc2\xa5shape\x80\xa6"
               "chunks\x80"),
         "expected __msgpack_chunked"},
        {BYTES("\x83" MARK "\x01\xa5shape\x80\xa6"
               "chunks\x80"),
         "expected true or false"},
        {BYTES("\x82" MARK "\xc3\xa5shape\x80"), "true, shape and chunks"},
        {BYTES("\x82\xa1"
               "a\x01" MARK "\xc3"),
         "is not its first key"},
        {BYTES("\x83" MARK "\xc3\xa5shake\x80\xa6"
               "chunks\x80"),
         "expected key 'shape', found 'shake'"},
        {BYTES("\x83" MARK "\xc3\xa5shape\x80\xa6"
               "chunks\x80"),
         "it has no chunk"},
        {BYTES("\x83" MARK "\xc3\xa5shape\x81\xa1"
               "1\x02\xa6"
               "chunks\x80"),
         "expected key '0', found '1'"},
        {BYTES("\x83" MARK "\xc3\xa5shape\x81\xa1"
               "0\x02\xa6"
               "chunks\x81\xa1"
               "0\x01"),
         "chunk: expected an extension"},
        {BYTES("\x83" MARK "\xc3\xa5shape\x81\xa1"
               "0\x02\xa6"
               "chunks\x81\xa1"
               "0\xd4\x02\x00"),
         "extension type 2 is no array"},
        {BYTES("\x83" MARK "\xc3\xa5shape\x81\xa1"
               "0\x02\xa6"
               "chunks\x81\xa1"
               "0\xc7\x0e\x01\x93\x92\x01\x02\xa5uint8\xc4\x02\x05\x06"),
         "chunk 0 is not flat: it has 2 dimensions"},
        {BYTES("\x83" MARK "\xc3\xa5shape\x81\xa1"
               "0\x04\xa6"
               "chunks\x82\xa1"
               "0" U8_2 "\xa1"
               "1\xc7\x0c\x01\x93\x91\x02\xa4int8\xc4\x02\x05\x06"),
         "chunk 1 is int8, those before it uint8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tub__flax_file f;
        tub_error err = {0};
        tub_status status = tub__flax_parse(heap, cases[i].bytes, cases[i].size, &f, &err);
        if (cases[i].words == NULL) {
            assert_ok(status, err);
            assert_int_equal(f.count, 1);
            assert_int_equal(f.leaves[0].elements, 2 * f.leaves[0].chunk_count);
            tub__flax_close(&f);
        } else if (status != TUB_E_FORMAT || strstr(err.message, cases[i].words) == NULL) {
            fail_msg("case %zu, '%s': %s", i, cases[i].words,
                     status == TUB_OK ? "accepted" : err.message);
        }
    }
}

/* Limits: nesting, names, values. */
static void test_limits(void **state) {
    (void)state;
    enum { DEEP = 100000, MANY = (1 << 17) + 1 };
    tub__flax_file f;
    tub_error err = {0};
    unsigned char *bytes = malloc(3 * DEEP + 600);
    for (size_t i = 0; i < DEEP; i++) {
        memcpy(bytes + 3 * i, "\x81\xa1k", 3);
    }
    assert_int_equal(tub__flax_parse(heap, bytes, 3 * DEEP, &f, &err), TUB_E_FORMAT);
    assert_non_null(strstr(err.message, "nested more than 64 deep"));
    memcpy(bytes, "\x81\xa1k\x81\xda\x01\xfe", 7);
    memset(bytes + 7, 'n', 510);
    bytes[517] = 1;
    assert_int_equal(tub__flax_parse(heap, bytes, 518, &f, &err), TUB_E_FORMAT);
    assert_non_null(strstr(err.message, "more than 511 bytes together"));
    memcpy(bytes, "\x81\xa1k\xdd\x00\x02\x00\x01", 8);
    memset(bytes + 8, 1, MANY);
    assert_int_equal(tub__flax_parse(heap, bytes, 8 + MANY, &f, &err), TUB_E_FORMAT);
    assert_non_null(strstr(err.message, "more than 131072 arrays and values"));
    bytes[7] = 0;
    assert_ok(tub__flax_parse(heap, bytes, 8 + MANY - 1, &f, &err), err);
    assert_int_equal(f.count, MANY - 1);
    tub__flax_close(&f);
    free(bytes);
}

static void test_accepted(void **state) {
    (void)state;
    static const char bytes[] = "\x84\xa1"
                                "e\x80\xa1"
                                "c\xd9\x02ok\xa1"
                                "b\x92" U8_2 "\xc0\xa1"
                                "a\x81\xa1x"
                                "\xc7\x12\x01\x93\x92\x01\x02\xa7"
                                "float16\xc4\x04\x00\x3c\x00\xfc";
    tub__flax_file f;
    tub_error err = {0};
    float values[2];
    assert_int_equal(tub__flax_open(heap, "/nonexistent/checkpoint_1", &f, &err), TUB_E_NOT_FOUND);
    assert_ok(tub__flax_parse(heap, bytes, sizeof bytes - 1, &f, &err), err);
    assert_int_equal(f.count, 4);
    const tub__flax_leaf *half = tub__flax_find(&f, "a/x");
    assert_int_equal(half->rank, 2);
    assert_int_equal(half->shape[1], 2);
    assert_string_equal(half->type, "float16");
    assert_ok(tub__flax_to_f32(&f, half, values, &err), err);
    assert_true(values[0] == 1 && values[1] == -INFINITY);
    assert_int_equal(tub__flax_to_f32(&f, tub__flax_find(&f, "b/0"), values, &err), TUB_E_SHAPE);
    assert_string_equal(
        err.message, "b/0: expected floats (float32, float16, bfloat16 or float64), found uint8");
    assert_string_equal(tub__flax_find(&f, "b/1")->type, "nothing");
    assert_string_equal(tub__flax_find(&f, "c")->type, "text");
    assert_null(tub__flax_find(&f, "e"));
    tub__flax_close(&f);
    tub__flax_close(&f);
}

/* ---- Files of the real Flax ---- */

/* A file of scenic's numbers: of the part in the repository, or of the whole set where it is. */
static const char *golden_path(bool whole, const char *name) {
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s/golden/scenic/checkpoint/%s", source_root,
             whole ? "../shared" : "tests", name);
    return path;
}

/* Compares every array "FROM…" of an .npz file with the leaf "TO…". */
static size_t compare(const tub__flax_file *f, bool whole, const char *expected, const char *from,
                      const char *to) {
    tub__npz *z = NULL;
    tub_error err = {0};
    size_t same = 0;
    assert_ok(tub__npz_open(heap, golden_path(whole, expected), &z, &err), err);
    for (size_t i = 0; i < tub__npz_count(z); i++) {
        void *bytes;
        char name[600];
        tub__npy npy;
        if (strncmp(tub__npz_name(z, i), from, strlen(from)) != 0) {
            continue;
        }
        snprintf(name, sizeof name, "%s%s", to, tub__npz_name(z, i) + strlen(from));
        const tub__flax_leaf *leaf = tub__flax_find(f, name);
        if (leaf == NULL || leaf->dtype == TUB__FLAX_OTHER) {
            continue;
        }
        assert_ok(tub__npz_read(z, tub__npz_name(z, i), 1 << 24, &bytes, &npy, &err), err);
        assert_int_equal(npy.elements, leaf->elements);
        float *wanted = malloc(leaf->elements * sizeof *wanted + 1);
        float *found = malloc(leaf->elements * sizeof *found + 1);
        assert_ok(tub__npy_to_f32(&npy, bytes, wanted, &err), err);
        assert_ok(tub__flax_to_f32(f, leaf, found, &err), err);
        assert_memory_equal(wanted, found, leaf->elements * sizeof *wanted);
        free(found);
        free(wanted);
        tub__free(heap, bytes);
        same++;
    }
    tub__npz_close(z);
    return same;
}

static void check_written_by_flax(bool whole) {
    static const struct {
        const char *file, *expected, *from, *to;
        size_t leaves, same;
        bool whole; /* only there */
    } cases[] = {
        {"types.msgpack", "expected_types.npz", "", "", 18, 7, false},
        {"chunked/checkpoint_5", "expected.npz", "", "optimizer/", 0, 0, false},
        {"optax/checkpoint_5", "expected.npz", "target/", "params/", 0, 0, true},
        {"flax_optim/checkpoint_5", "expected.npz", "", "optimizer/", 0, 0, true},
        {"target_params/checkpoint_5", "expected.npz", "target/", "optimizer/target/params/", 0, 0,
         true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tub__flax_file f;
        tub_error err = {0};
        if (cases[i].whole && !whole) {
            continue;
        }
        assert_ok(tub__flax_open(heap, golden_path(whole, cases[i].file), &f, &err), err);
        const size_t same = compare(&f, whole, cases[i].expected, cases[i].from, cases[i].to);
        print_message("%s: %zu leaves, %zu compared\n", cases[i].file, f.count, same);
        assert_true(same >= (cases[i].same > 0 ? cases[i].same : 70));
        assert_true(cases[i].leaves == 0 || f.count == cases[i].leaves);
        tub__flax_close(&f);
    }
}

static void test_written_by_flax(void **state) {
    (void)state;
    check_written_by_flax(false);
}

static void test_more_written_by_flax(void **state) {
    (void)state;
    if (!tub__file_exists(golden_path(true, "types.msgpack"))) {
        print_message("skipped: ../shared/golden/scenic is not here\n");
        skip();
    }
    check_written_by_flax(true);
}

static tub_status parse_all(const tub_allocator *a, void *user, tub_error *err) {
    (void)user;
    static const char bytes[] = "\x82\xa1k\x83" MARK "\xc3\xa5shape\x81\xa1"
                                "0\x02\xa6"
                                "chunks\x81\xa1"
                                "0" U8_2 "\xa1l\x81\xa1m\x01";
    tub__flax_file f;
    tub_status status = tub__flax_parse(a, bytes, sizeof bytes - 1, &f, err);
    if (status == TUB_OK) {
        tub__flax_close(&f);
    }
    return status;
}

static void test_failing_allocations(void **state) {
    (void)state;
    failing_report report = failing_run(parse_all, NULL);
    assert_string_equal(report.problem, "");
    assert_int_equal(report.allocations, 5); /* keys, chunks, leaves, two names */
}

int main(int argc, char **argv) {
    source_root = argc > 1 ? argv[1] : ".";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_written_by_flax),
        cmocka_unit_test(test_more_written_by_flax),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
