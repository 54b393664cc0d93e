/* SPDX-License-Identifier: Apache-2.0 */
/* .npy and .npz: every corner case of tests/golden/npy as NumPy reads it, conversions, writing,
 * limits, failing allocations. Usage: test_npy SOURCE_ROOT */
#include "cmocka_all.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "failing_alloc.h"
#include "formats/half.h"
#include "formats/npy.h"
#include "formats/zip.h"
#include "sha256.h"

enum { FIELDS = 9, UNPACK_LIMIT = 1 << 20 };

static const char *source_root;
static const tub_allocator *const allocator = &tub__default_allocator;

/* A case's file: in our own folder, or (the one that is too large for it) in ../shared. False: not
 * there. */
static bool case_path(const char *name, char *out, size_t size) {
    static const char *const folders[] = {"tests/golden/npy",
                                          "../shared/golden/preprocess_io/files"};
    for (int i = 0; i < 2; i++) {
        int length = snprintf(out, size, "%s/%s/%s", source_root, folders[i], name);
        if (length > 0 && (size_t)length < size && access(out, R_OK) == 0) {
            return true;
        }
    }
    return false;
}

/* The array's elements as little-endian C-order bytes of its own type. False where our conversions
 * lose some (float16 is checked by its values; uint64 beyond int64). */
static bool own_bytes(const tub__npy *npy, const void *bytes, unsigned char *out) {
    size_t n = (size_t)npy->elements, width = (size_t)npy->width;
    int64_t *whole = test_malloc(8 * n + 8);
    bool done = true;
    if (npy->kind == TUB__NPY_FLOAT) {
        done = width == 8   ? tub__npy_to_f64(npy, bytes, (double *)(void *)out, NULL) == TUB_OK
               : width == 4 ? tub__npy_to_f32(npy, bytes, (float *)(void *)out, NULL) == TUB_OK
                            : false;
    } else if (tub__npy_to_i64(npy, bytes, whole, NULL) == TUB_OK) {
        for (size_t i = 0; i < n; i++) {
            memcpy(out + i * width, &whole[i], width);
        }
    } else {
        done = false;
    }
    test_free(whole);
    return done;
}

static void check_type(const tub__npy *npy, const char *dtype) {
    static const char kinds[] = {
        [TUB__NPY_BOOL] = 'b', [TUB__NPY_INT] = 'i', [TUB__NPY_UINT] = 'u', [TUB__NPY_FLOAT] = 'f'};
    assert_int_equal(dtype[1], kinds[npy->kind]);
    assert_int_equal(dtype[2] - '0', npy->width);
    assert_int_equal(dtype[0] == '>', npy->big_endian);
}

static void check_shape(const tub__npy *npy, const char *shape) {
    char mine[200] = "";
    for (int i = 0; i < npy->rank; i++) {
        size_t used = strlen(mine);
        snprintf(mine + used, sizeof mine - used, "%s%" PRIu64, i > 0 ? "x" : "", npy->shape[i]);
    }
    assert_string_equal(npy->rank == 0 ? "-" : mine, shape);
}

static void check_near(double mine, const char *expected) {
    if (strcmp(expected, "None") == 0) {
        return;
    }
    double truth = strtod(expected, NULL);
    assert_true(fabs(mine - truth) <= 1e-12 * fabs(truth));
}

/* One array against its line: type, shape, hash of the data, first values, sums. */
static void check_array(const tub__npy *npy, const void *bytes, char **field) {
    check_type(npy, field[3]);
    check_shape(npy, field[4]);
    size_t n = (size_t)npy->elements;
    double *values = test_malloc(8 * n + 8);
    unsigned char *own = test_malloc(8 * n + 8);
    assert_int_equal(tub__npy_to_f64(npy, bytes, values, NULL), TUB_OK);
    bool boolean =
        npy->kind ==
        TUB__NPY_BOOL; /* the hash is of the stored bytes, which may be other than 0 and 1 */
    if (own_bytes(npy, bytes, own) && strcmp(field[0], "bool_byte_2.npy") != 0) {
        char hex[65];
        sha256_hex(own, n * (size_t)npy->width, hex);
        assert_string_equal(hex, field[5]);
    } else {
        assert_true(boolean || npy->width == 2 || npy->width == 8);
    }
    const char *first = field[6];
    for (size_t i = 0; i < n && i < 6 && strcmp(first, "-") != 0; i++) {
        char *end;
        double truth = strtod(first, &end);
        assert_true(values[i] == truth || (isnan(values[i]) && isnan(truth)));
        first = end + 1;
    }
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        sum += values[i];
        squares += values[i] * values[i];
    }
    if (isfinite(sum)) {
        check_near(sum, field[7]);
        check_near(squares, field[8]);
    }
    test_free(own);
    test_free(values);
}

static tub_status read_case(const char *path, const char *member, void **bytes, tub__npy *npy,
                            tub_error *err) {
    if (strcmp(member, "-") == 0) {
        char *text;
        size_t size;
        tub_status status = tub__file_read(allocator, path, 1 << 24, &text, &size, err);
        assert_int_equal(status, TUB_OK);
        status = tub__npy_parse(text, size, false, npy, err);
        *bytes = text;
        if (status != TUB_OK) {
            tub__free(allocator, text);
        }
        return status;
    }
    tub__npz *z;
    tub_status status = tub__npz_open(allocator, path, &z, err);
    if (status == TUB_OK) {
        status = tub__npz_read(z, member, UNPACK_LIMIT, bytes, npy, err);
        tub__npz_close(z);
    }
    return status;
}

static void check_archive(const char *path, char **field) {
    tub_error err = {0};
    tub__npz *z = NULL;
    tub_status status = tub__npz_open(allocator, path, &z, &err);
    if (strcmp(field[2], "error") == 0) {
        assert_int_not_equal(status, TUB_OK);
        assert_int_equal(status, err.status);
        assert_non_null(strstr(err.message, field[3]));
        return;
    }
    if (status != TUB_OK) {
        print_error("%s: %s\n", field[0], err.message);
    }
    assert_int_equal(status, TUB_OK);
    assert_int_equal(tub__npz_count(z), atoi(field[3]));
    for (size_t i = 0; i < tub__npz_count(z); i++) {
        assert_true(tub__npz_has(z, tub__npz_name(z, i)));
    }
    assert_false(tub__npz_has(z, "no such"));
    tub__npz_close(z);
}

static void check_case(const char *path, char **field) {
    if (strcmp(field[1], "*") == 0) {
        check_archive(path, field);
        return;
    }
    tub_error err = {0};
    tub__npy npy;
    void *bytes = NULL;
    tub_status status = read_case(path, field[1], &bytes, &npy, &err);
    if (strcmp(field[2], "error") == 0) {
        if (status == TUB_OK || strstr(err.message, field[3]) == NULL) {
            print_error("%s, %s: %s\n", field[0], field[1],
                        status == TUB_OK ? "accepted" : err.message);
            fail();
        }
        assert_int_equal(status, err.status);
        return;
    }
    if (status != TUB_OK) {
        print_error("%s, %s: %s\n", field[0], field[1], err.message);
        fail();
    }
    check_array(&npy, bytes, field);
    tub__free(allocator, bytes);
}

static void test_golden(void **state) {
    (void)state;
    char path[4096];
    assert_true(case_path("expect.txt", path, sizeof path));
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *line = NULL;
    size_t room = 0, cases = 0, skipped = 0;
    while (getline(&line, &room, file) > 0) {
        if (line[0] == '#') {
            continue;
        }
        line[strcspn(line, "\n")] = '\0';
        char *field[FIELDS] = {0}, *rest = line;
        for (int i = 0; i < FIELDS && rest != NULL; i++) {
            field[i] = strsep(&rest, "\t");
        }
        cases++;
        if (case_path(field[0], path, sizeof path)) {
            check_case(path, field);
        } else {
            skipped++;
        }
    }
    free(line);
    fclose(file);
    assert_true(cases > 150);
    if (skipped > 0) {
        print_message("SKIP: %zu of %zu npy cases need ../shared/golden/preprocess_io\n", skipped,
                      cases);
    }
}

/* Negative control: the comparison above notices one changed byte. */
static void test_hash_tells(void **state) {
    (void)state;
    char hex[65];
    sha256_hex("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256_hex("abd", 3, hex);
    assert_string_not_equal(hex,
                            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    sha256_hex(two_blocks, 56, hex);
    assert_string_equal(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

/* Every one of the 65,536 halves against the definition. */
static void test_half(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        int exponent = bits >> 10 & 31, fraction = bits & 1023;
        double truth = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
        truth = exponent == 31 ? (fraction != 0 ? NAN : INFINITY) : truth;
        truth = (bits & 0x8000) != 0 ? -truth : truth;
        double mine = (double)tub__half_to_float((uint16_t)bits);
        assert_true(isnan(truth) ? isnan(mine) : mine == truth && signbit(mine) == signbit(truth));
    }
    assert_true(tub__bfloat_to_float(0x3f80) == 1.0f);
}

/* A one-dimensional .npy in memory. */
static size_t make_npy(unsigned char *out, const char *type, size_t count, const void *data,
                       size_t bytes) {
    int length =
        snprintf((char *)out + 10, 118,
                 "{'descr': '%s', 'fortran_order': False, 'shape': (%zu,), }", type, count);
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (unsigned char)length;
    out[9] = 0;
    memcpy(out + 10 + length, data, bytes);
    return 10 + (size_t)length + bytes;
}

static void test_conversions(void **state) {
    (void)state;
    unsigned char file[300], u8[4];
    float f32[4];
    int64_t i64[4];
    tub__npy npy;
    tub_error err;
    /* Large whole numbers go to float in one rounding: by way of double this one would come out
     * 2^25 lower. */
    int64_t large = (INT64_C(1) << 60) + (INT64_C(1) << 36) + 1;
    size_t size = make_npy(file, "<i8", 1, &large, 8);
    assert_int_equal(tub__npy_parse(file, size, false, &npy, &err), TUB_OK);
    assert_string_equal(tub__npy_type_name(&npy), "int64");
    assert_int_equal(tub__npy_to_f32(&npy, file, f32, &err), TUB_OK);
    assert_true(f32[0] == 0x1.000002p60f);
    uint64_t top = UINT64_MAX;
    size = make_npy(file, "<u8", 1, &top, 8);
    assert_int_equal(tub__npy_parse(file, size, false, &npy, &err), TUB_OK);
    assert_int_equal(tub__npy_to_i64(&npy, file, i64, &err), TUB_E_RANGE);
    const float floats[] = {0, 255, 7, 0.5f};
    size = make_npy(file, "<f4", 3, floats, 12);
    assert_int_equal(tub__npy_parse(file, size, false, &npy, &err), TUB_OK);
    assert_int_equal(tub__npy_to_u8(&npy, file, u8, &err), TUB_OK);
    assert_int_equal(u8[1], 255);
    size = make_npy(file, "<f4", 4, floats, 16);
    assert_int_equal(tub__npy_parse(file, size, false, &npy, &err), TUB_OK);
    assert_int_equal(tub__npy_to_u8(&npy, file, u8, &err), TUB_E_RANGE);
    assert_string_equal(err.message, "element 3 is 0.5: integers must lie from 0 to 255");
    static const double bad[] = {-1, 256, NAN, INFINITY, -0x1p64, 0x1p63};
    for (size_t i = 0; i < 6; i++) {
        size = make_npy(file, "<f8", 1, &bad[i], 8);
        assert_int_equal(tub__npy_parse(file, size, false, &npy, &err), TUB_OK);
        assert_int_equal(tub__npy_to_u8(&npy, file, u8, &err), TUB_E_RANGE);
        assert_int_equal(tub__npy_to_i64(&npy, file, i64, &err), i < 2 ? TUB_OK : TUB_E_RANGE);
    }
}

static void test_tail(void **state) {
    (void)state;
    unsigned char file[300];
    tub__npy npy;
    tub_error err;
    size_t size = make_npy(file, "|u1", 3, "abcd", 4);
    assert_int_equal(tub__npy_parse(file, size, false, &npy, &err), TUB_E_FORMAT);
    assert_int_equal(tub__npy_parse(file, size, true, &npy, &err), TUB_OK);
    for (size_t cut = 0; cut < size - 1; cut++) { /* every truncation is an error */
        assert_int_equal(tub__npy_parse(file, cut, true, &npy, &err), TUB_E_FORMAT);
    }
}

static void test_write(void **state) {
    (void)state;
    static const struct {
        const char *type;
        int rank;
        uint64_t shape[TUB__NPY_RANK];
    } cases[] = {{"<f4", 2, {2, 3}},
                 {"<f8", 0, {0}},
                 {"|u1", 1, {5}},
                 {"<i4", 3, {2, 0, 3}},
                 {"<i8", 8, {1, 1, 1, 1, 1, 1, 2, 3}}};
    char path[] = "/tmp/test_npy_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    unsigned char data[48];
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (unsigned char)(i * 3 % 64);
    }
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        tub_error err;
        assert_int_equal(tub__npy_write(allocator, path, cases[c].type, cases[c].rank,
                                        cases[c].shape, data, &err),
                         TUB_OK);
        char *bytes;
        size_t size;
        tub__npy npy;
        assert_int_equal(tub__file_read(allocator, path, 4096, &bytes, &size, &err), TUB_OK);
        assert_int_equal(tub__npy_parse(bytes, size, false, &npy, &err), TUB_OK);
        assert_int_equal(npy.data_offset % 64, 0);
        assert_int_equal(npy.rank, cases[c].rank);
        assert_memory_equal(npy.shape, cases[c].shape, 8 * (size_t)npy.rank);
        check_type(&npy, cases[c].type);
        assert_memory_equal(bytes + npy.data_offset, data,
                            (size_t)npy.elements * (size_t)npy.width);
        tub__free(allocator, bytes);
    }
    tub_error err;
    const uint64_t huge[2] = {UINT64_C(1) << 40, UINT64_C(1) << 40};
    assert_int_equal(tub__npy_write(allocator, path, "<f4", 2, huge, data, &err), TUB_E_MEMORY);
    assert_int_equal(tub__npy_write(allocator, path, "<c8", 1, huge, data, &err), TUB_E_ARGUMENT);
    assert_int_equal(tub__npy_write(allocator, path, "<f4", 9, huge, data, &err), TUB_E_ARGUMENT);
    unlink(path);
}

static void test_archives(void **state) {
    (void)state;
    char path[4096];
    tub_error err;
    tub__npz *z = NULL;
    tub__npy npy;
    void *bytes = NULL;
    assert_int_equal(tub__npz_open(allocator, "/nonexistent.npz", &z, &err), TUB_E_NOT_FOUND);
    assert_int_equal(tub__npz_open_memory(allocator, "", 0, &z, &err), TUB_E_FORMAT);
    assert_true(case_path("stored.npz", path, sizeof path));
    tub__map map;
    assert_int_equal(tub__map_open(path, &map, &err), TUB_OK);
    assert_true(tub__is_zip(map.data, map.size));
    assert_false(tub__is_npy(map.data, map.size));
    assert_int_equal(tub__npz_open_memory(allocator, map.data, map.size, &z, &err), TUB_OK);
    assert_int_equal(tub__npz_read(z, "absent", UNPACK_LIMIT, &bytes, &npy, &err), TUB_E_NOT_FOUND);
    /* The limit holds to the byte: 864 elements after a header of 128. */
    assert_int_equal(tub__npz_read(z, "train_images", 864 + 127, &bytes, &npy, &err), TUB_E_RANGE);
    assert_int_equal(tub__npz_read(z, "train_images", 864 + 128, &bytes, &npy, &err), TUB_OK);
    tub__free(allocator, bytes);
    tub__npz_close(z);
    tub__npz_close(NULL);
    for (size_t cut = 0; cut < map.size; cut += 7) { /* no truncation opens */
        assert_int_equal(tub__npz_open_memory(allocator, map.data, cut, &z, &err), TUB_E_FORMAT);
    }
    tub__map_close(&map);
}

/* Without any limit of the caller's a bomb's claim is still compared with what its packed bytes can
 * give. */
static void test_claims(void **state) {
    (void)state;
    char path[4096];
    tub_error err;
    tub__npz *z = NULL;
    tub__npy npy;
    void *bytes = NULL;
    assert_true(case_path("bomb_declared_1TiB.npz", path, sizeof path));
    assert_int_equal(tub__npz_open(allocator, path, &z, &err), TUB_OK);
    assert_int_equal(tub__npz_read(z, "a", UINT64_MAX, &bytes, &npy, &err), TUB_E_FORMAT);
    assert_non_null(strstr(err.message, "claims 1099511627776 bytes"));
    tub__npz_close(z);
    assert_true(case_path("bomb_64MiB_real.npz", path, sizeof path));
    assert_int_equal(tub__npz_open(allocator, path, &z, &err), TUB_OK);
    assert_int_equal(tub__npz_read(z, "a", UINT64_MAX, &bytes, &npy, &err), TUB_OK);
    assert_int_equal(npy.elements, 64 << 20);
    tub__free(allocator, bytes);
    tub__npz_close(z);
}

static tub_status read_one(const tub_allocator *a, void *path, tub_error *err) {
    tub__npz *z = NULL;
    tub__npy npy;
    void *bytes = NULL;
    tub_status status = tub__npz_open(a, path, &z, err);
    if (status == TUB_OK) {
        status = tub__npz_read(z, "train_images", UNPACK_LIMIT, &bytes, &npy, err);
    }
    tub__free(a, bytes);
    tub__npz_close(z);
    return status;
}

static tub_status write_one(const tub_allocator *a, void *path, tub_error *err) {
    static const uint64_t shape[1] = {3};
    return tub__npy_write(a, path, "|u1", 1, shape, "abc", err);
}

static void test_failing_allocations(void **state) {
    (void)state;
    char path[4096], temporary[] = "/tmp/test_npy_XXXXXX";
    assert_true(case_path("deflated.npz", path, sizeof path));
    failing_report report = failing_run(read_one, path);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations >= 4);
    int fd = mkstemp(temporary);
    assert_true(fd >= 0);
    close(fd);
    report = failing_run(write_one, temporary);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations >= 2);
    unlink(temporary);
}

int main(int argc, char **argv) {
    source_root = argc > 1 ? argv[1] : ".";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_hash_tells),
        cmocka_unit_test(test_half),
        cmocka_unit_test(test_conversions),
        cmocka_unit_test(test_tail),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_archives),
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
