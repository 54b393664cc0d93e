/* SPDX-License-Identifier: Apache-2.0 */
/* HDF5 files: every kind of number comes back, what is written is read with the same bits, and files made
 * to do harm are one sentence each. */
#include "cmocka_all.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "failing_alloc.h"
#include "formats/hdf5.h"
#include "temp_folder.h"

static tub_status context_with(const tub_allocator *a, tub_context **out, tub_error *err) {
    tub_context_config config = tub_context_config_default();
    config.threads = 1;
    config.cpu = TUB_CPU_PORTABLE;
    config.allocator = *a;
    return tub_context_create(&config, out, err);
}

static int set_up(void **state) {
    return context_with(&tub__default_allocator, (tub_context **)state, NULL) == TUB_OK ? 0 : -1;
}

static int tear_down(void **state) {
    tub_context_destroy(*state);
    return 0;
}

static const char *file_of(const char *name) {
    static char path[1024];
    snprintf(path, sizeof path, HDF5_FILES "/%s.h5", name);
    return path;
}

/* ---- Files made to do harm, or only unlike Keras' ---- */

static void refuses(void **state) {
    static const struct {
        const char *name;
        tub_status status;
        const char *words;
    } cases[] = {
        {"external_link", TUB_E_FORMAT,
         "layers/dense/vars/0: it is a link to another file, which is"},
        {"soft_link", TUB_E_FORMAT,
         "layers/b: it is a link to another place, which is not followed"},
        {"external_storage", TUB_E_FORMAT, "layers/a: its bytes lie in other files, which are not"},
        {"virtual", TUB_E_FORMAT, "layers/a: its bytes lie in other files, which are not opened"},
        {"references", TUB_E_UNSUPPORTED, "layers/b: its elements are no plain numbers"},
        {"region_references", TUB_E_UNSUPPORTED, "layers/b: its elements are no plain numbers"},
        {"text", TUB_E_UNSUPPORTED, "layers/a: its elements are no plain numbers"},
        {"structure", TUB_E_UNSUPPORTED, "layers/a: its elements are no plain numbers"},
        {"named_type", TUB_E_FORMAT, "layers/a: it is neither group nor array"},
        {"deep", TUB_E_FORMAT, "groups lie more than 16 deep in each other"},
        {"circle", TUB_E_FORMAT, "groups lie more than 16 deep in each other"},
        {"nine_dimensions", TUB_E_FORMAT, "layers/a: it has no shape of at most 8 dimensions"},
        {"claims_much", TUB_E_FORMAT,
         "claims 1099511627776 elements of 4 bytes, but the file stores"},
        {"claims_unwritten", TUB_E_FORMAT, "claims 1073741824 elements of 4 bytes, but the file"},
        {"bomb", TUB_E_FORMAT, "layers/a: with it the arrays take many times the size of the file"},
        {"damaged_chunk", TUB_E_FORMAT, "layers/a: its elements can't be read (HDF5: inflate"},
        {"other_filter", TUB_E_UNSUPPORTED, "layers/a: it is packed by filter 32000"},
        {"newline_name", TUB_E_FORMAT, "an object's name has control characters"},
        {"older_keras", TUB_E_UNSUPPORTED, "it is of Keras' older HDF5 format"},
        {"older_model", TUB_E_UNSUPPORTED, "it is of Keras' older HDF5 format"},
        {"nameless", TUB_E_FORMAT, "the name of an object is too long"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = file_of(cases[i].name);
        tub__h5_file f;
        tub_error err = {0};
        if (tub__h5_open(*state, path, &f, &err) != cases[i].status ||
            strstr(err.message, cases[i].words) == NULL ||
            strncmp(err.message, path, strlen(path)) != 0) {
            fail_msg("%s: status %d, '%s'", cases[i].name, err.status, err.message);
        }
    }
}

static void refuses_what_is_no_file(void **state) {
    tub__h5_file f;
    tub_error err = {0};
    assert_int_equal(tub__h5_open(*state, "/dev/null", &f, &err), TUB_E_IO);
    assert_int_equal(tub__h5_open(*state, "/nowhere.h5", &f, &err), TUB_E_NOT_FOUND);
    assert_int_equal(tub__h5_open_memory(*state, "", 0, &f, &err), TUB_E_FORMAT);
    assert_string_equal(err.message, "it is empty");
    assert_int_equal(tub__h5_open_memory(*state, "no such file", 12, &f, &err), TUB_E_FORMAT);
    assert_non_null(strstr(err.message, "it is no HDF5 file, or not all of one"));
}

/* ---- Kinds of numbers ---- */

static double number(const tub__h5_array *a, size_t i) {
    switch (a->type) {
    case TUB__H5_I64:
        return (double)((const int64_t *)a->data)[i];
    case TUB__H5_F32:
        return (double)((const float *)a->data)[i];
    default:
        return ((const double *)a->data)[i];
    }
}

static void reads_every_kind(void **state) {
    static const struct {
        const char *name;
        tub__h5_type type;
        double last;
    } kinds[] = {
        {"numbers/little_f2", TUB__H5_F32, -2.5}, {"numbers/little_f4", TUB__H5_F32, -2.5},
        {"numbers/little_f8", TUB__H5_F64, -2.5}, {"numbers/big_f4", TUB__H5_F32, -2.5},
        {"numbers/big_f8", TUB__H5_F64, -2.5},    {"numbers/byte_i1", TUB__H5_I64, -2},
        {"numbers/byte_u1", TUB__H5_I64, 254},    {"numbers/little_i2", TUB__H5_I64, -2},
        {"numbers/big_i4", TUB__H5_I64, -2},      {"numbers/little_i8", TUB__H5_I64, -2},
        {"numbers/bfloat16", TUB__H5_F32, -2.5},
    };
    tub__h5_file f;
    tub_error err = {0};
    assert_ok(tub__h5_open(*state, file_of("kinds"), &f, &err), err);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const tub__h5_array *a = tub__h5_find(&f, kinds[i].name);
        assert_non_null(a);
        assert_int_equal(a->type, kinds[i].type);
        assert_int_equal(a->elements, 3);
        assert_true(number(a, 1) == 1);
        assert_true(number(a, 2) == kinds[i].last);
    }
    const tub__h5_array *packed = tub__h5_find(&f, "packed"), *scalar = tub__h5_find(&f, "scalar"),
                        *nothing = tub__h5_find(&f, "nothing");
    for (size_t i = 0; i < 64; i++) {
        assert_true(number(packed, i) == (double)i);
    }
    assert_int_equal(scalar->rank, 0);
    assert_true(number(scalar, 0) == 7);
    assert_int_equal(nothing->elements, 0);
    assert_string_equal(tub__h5_label_of(&f, "layers/a/vars"), "dense_4");
    assert_null(tub__h5_label_of(&f, "layers/a"));
    assert_null(tub__h5_find(&f, "layers/a/vars"));
    tub__h5_close(&f);
}

/* ---- There and back ---- */

static const float values[] = {1, -0.0f, 0x1p-149f, 3.4e38f, 5, 6};

static tub_status write_small(tub_context *ctx, tub__map *map, const void **bytes, size_t *size,
                              tub_error *err) {
    static const int64_t steps = INT64_MAX;
    static const double half = 0.5;
    tub__h5_writer w;
    tub__h5_start(&w);
    tub__h5_put_group(&w, "vars", "functional");
    tub__h5_put_group(&w, "layers/dense/vars", "dense \u00e9");
    tub__h5_put(&w, &(tub__h5_array){.name = "layers/dense/vars/0",
                                     .type = TUB__H5_F32,
                                     .rank = 2,
                                     .shape = {3, 2},
                                     .data = values});
    tub__h5_put(&w, &(tub__h5_array){.name = "steps", .type = TUB__H5_I64, .data = &steps});
    tub__h5_put(&w, &(tub__h5_array){.name = "deep/half", .type = TUB__H5_F64, .data = &half});
    return tub__h5_finish(ctx, &w, map, bytes, size, err);
}

static void comes_back(void **state) {
    const void *bytes, *again;
    size_t size, size_again;
    tub__map map, map_again;
    tub__h5_file f;
    tub_error err = {0};
    float out[6];
    assert_ok(write_small(*state, &map, &bytes, &size, &err), err);
    assert_ok(write_small(*state, &map_again, &again, &size_again, &err), err);
    assert_int_equal(size, size_again);
    assert_memory_equal(bytes, again, size);
    assert_true(tub__is_hdf5(bytes, size));
    assert_ok(tub__h5_open_memory(*state, bytes, size, &f, &err), err);
    assert_int_equal(f.count, 3);
    tub__h5_to_f32(tub__h5_find(&f, "layers/dense/vars/0"), out);
    assert_memory_equal(out, values, sizeof values);
    assert_true(*(const int64_t *)tub__h5_find(&f, "steps")->data == INT64_MAX);
    tub__h5_to_f32(tub__h5_find(&f, "deep/half"), out);
    assert_true(out[0] == 0.5f);
    assert_string_equal(tub__h5_label_of(&f, "layers/dense/vars"), "dense \u00e9");
    tub__h5_close(&f);
    tub__map_close(&map);
    tub__map_close(&map_again);
}

/* A name twice is the library's error, and one sentence of ours. */
static void writes_no_name_twice(void **state) {
    tub__h5_writer w;
    tub__map map;
    const void *bytes;
    size_t size;
    tub_error err = {0};
    tub__h5_start(&w);
    for (int i = 0; i < 2; i++) {
        tub__h5_put(&w, &(tub__h5_array){.name = "a", .type = TUB__H5_F32, .data = values});
    }
    assert_int_equal(tub__h5_finish(*state, &w, &map, &bytes, &size, &err), TUB_E_FORMAT);
    assert_non_null(strstr(err.message, "a: it can't be written"));
}

/* Cut and flipped at many places: read or refused with a sentence, and this process goes on. */
static void survives_damage(void **state) {
    const void *bytes;
    size_t size, read = 0, refused = 0;
    tub__map map;
    tub_error err = {0};
    assert_ok(write_small(*state, &map, &bytes, &size, &err), err);
    unsigned char *copy = malloc(size);
    for (size_t i = 0; i < 120; i++) {
        tub__h5_file f;
        const size_t at = i * 37 % size, kept = i % 4 == 0 ? size - at : size;
        memcpy(copy, bytes, size);
        copy[at] ^= (unsigned char)(1 + i * 89 % 255);
        err = (tub_error){0};
        const tub_status status = tub__h5_open_memory(*state, copy, kept, &f, &err);
        if (status == TUB_OK) {
            read++;
            tub__h5_close(&f);
        } else {
            refused++;
            assert_int_equal(status, err.status);
            assert_true(err.message[0] != '\0');
        }
    }
    assert_true(read > 10 && refused > 10);
    free(copy);
    tub__map_close(&map);
}

/* ---- Failing allocations ---- */

static tub_status read_once(const tub_allocator *a, void *user, tub_error *err) {
    tub_context *ctx;
    tub__h5_file f;
    (void)user;
    TUB__TRY(context_with(a, &ctx, err));
    tub_status status = tub__h5_open(ctx, file_of("kinds"), &f, err);
    if (status == TUB_OK) {
        tub__h5_close(&f);
    }
    tub_context_destroy(ctx);
    return status;
}

static void survives_failing_allocations(void **state) {
    (void)state;
    const failing_report report = failing_run(read_once, NULL);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations >= 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(refuses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_what_is_no_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reads_every_kind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(writes_no_name_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(survives_damage, set_up, tear_down),
        cmocka_unit_test(survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
