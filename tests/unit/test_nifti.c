/* SPDX-License-Identifier: Apache-2.0 */
/* NIfTI volumes: headers written here by the standard's layout (nifti1.h), types, byte orders, scaling,
 * packing, and each sentence for what is damaged or not read. */
#include "cmocka_all.h"

#include "context_folder.h"
#include "data/clip_file.h"
#include <math.h>
#include <zlib.h>

enum { HEADER = 348, OFFSET = 352 };

/* A header of `rank` axes; the rest is zero. */
typedef struct header {
    unsigned char bytes[OFFSET];
    bool swapped;
} header;

static void put(header *h, size_t at, const void *value, size_t size) {
    for (size_t i = 0; i < size; i++) {
        h->bytes[at + i] = ((const unsigned char *)value)[h->swapped ? size - 1 - i : i];
    }
}

static void put_short(header *h, size_t at, short value) {
    put(h, at, &value, 2);
}

static void put_float(header *h, size_t at, float value) {
    put(h, at, &value, 4);
}

static header make_header(bool swapped, int type, int bits, const short *dim, int rank) {
    header h = {.swapped = swapped};
    const int size = HEADER;
    put(&h, 0, &size, 4);
    put_short(&h, 40, (short)rank);
    for (int i = 0; i < 7; i++) {
        put_short(&h, 42 + 2 * (size_t)i, i < rank ? dim[i] : 1);
    }
    put_short(&h, 70, (short)type);
    put_short(&h, 72, (short)bits);
    put_float(&h, 108, OFFSET);
    memcpy(h.bytes + 344, "n+1", 4);
    return h;
}

static const char *write_volume(fixture *f, const char *name, const header *h, const void *values,
                                size_t size) {
    const char *path = temp_path(&f->folder, name);
    gzFile out = gzopen(path, strstr(name, ".gz") != NULL ? "wb" : "wbT");
    assert_int_equal(gzwrite(out, h->bytes, OFFSET), OFFSET);
    assert_int_equal(gzwrite(out, values, (unsigned)size), (int)size);
    assert_int_equal(gzclose(out), Z_OK);
    return path;
}

static tub__clip_file *open_volume(fixture *f, const char *path, int64_t frames, int64_t height,
                                   int64_t width, tub_dtype dtype) {
    tub__clip_file *clip = NULL;
    tub_error err;
    assert_ok(tub__clip_open(f->ctx, path, 1, NULL, &clip, &err), err);
    const tub__clip_facts *facts = tub__clip_describe(clip);
    assert_int_equal(facts->kind, TUB__CLIP_VOLUME);
    assert_int_equal(facts->frames, frames);
    assert_int_equal(facts->height, height);
    assert_int_equal(facts->width, width);
    assert_int_equal(facts->channels, 1);
    assert_int_equal(facts->dtype, dtype);
    return clip;
}

static const void *frame_at(tub__clip_file *clip, int64_t index) {
    tub__clip_frame frame;
    bool end;
    tub_error err;
    assert_ok(tub__clip_seek(clip, index, &err), err);
    assert_ok(tub__clip_next(clip, &frame, &end, &err), err);
    assert_false(end);
    return frame.samples;
}

/* The first axis of the file is the width, the third the frames; bytes stay bytes. */
static void test_axes(void **state) {
    fixture *f = *state;
    unsigned char values[2 * 3 * 4];
    for (int i = 0; i < 24; i++) {
        values[i] = (unsigned char)(10 * i);
    }
    static const char *const names[] = {"a.nii", "a.nii.gz"};
    for (int i = 0; i < 2; i++) {
        const header h = make_header(i == 1, 2, 8, (const short[]){4, 3, 2}, 3);
        tub__clip_file *clip =
            open_volume(f, write_volume(f, names[i], &h, values, 24), 2, 3, 4, TUB_U8);
        assert_memory_equal(frame_at(clip, 1), values + 12, 12);
        assert_memory_equal(frame_at(clip, 0), values, 12);
        tub__clip_close(clip);
    }
}

/* Every type, both byte orders, a slope and an offset; the reference is the standard's formula. */
static void test_types(void **state) {
    fixture *f = *state;
    static const struct {
        int code, size;
    } types[] = {{2, 1},   {4, 2},   {8, 4},   {16, 4},   {64, 8},
                 {256, 1}, {512, 2}, {768, 4}, {1024, 8}, {1280, 8}};
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        for (int swapped = 0; swapped < 2; swapped++) {
            header h = make_header(swapped, types[t].code, 8 * types[t].size,
                                   (const short[]){2, 2, 2, 1}, 4);
            header v = {.swapped = swapped};
            put_float(&h, 112, 0.5f);
            put_float(&h, 116, -3);
            for (int i = 0; i < 8; i++) {
                const size_t at = (size_t)(i * types[t].size);
                const int whole = 13 * i + 1;
                if (types[t].code == 16) {
                    put_float(&v, at, (float)whole);
                } else if (types[t].code == 64) {
                    put(&v, at, &(double){whole}, 8);
                } else { /* small numbers have the same bytes whether signed or not */
                    const uint64_t bits = (uint64_t)whole;
                    put(&v, at, &bits, (size_t)types[t].size);
                }
            }
            tub__clip_file *clip =
                open_volume(f, write_volume(f, "t.nii", &h, v.bytes, 8 * (size_t)types[t].size), 2,
                            2, 2, TUB_F32);
            const float *slice = frame_at(clip, 1);
            for (int i = 0; i < 4; i++) {
                assert_true(slice[i] == (float)(13 * (i + 4) + 1) * 0.5f - 3);
            }
            tub__clip_close(clip);
        }
    }
}

static void expect_refused(fixture *f, const char *path, tub_status status, const char *sentence) {
    tub__clip_file *clip = NULL;
    tub_error err = {0};
    char expected[700];
    snprintf(expected, sizeof expected, "%s%s", path, sentence);
    const tub_status got = tub__clip_open(f->ctx, path, 1, NULL, &clip, &err);
    assert_string_equal(err.message, expected);
    assert_int_equal(got, status);
}

static void test_shapes_refused(void **state) {
    fixture *f = *state;
    static const unsigned char zeros[64];
    header h = make_header(false, 2, 8, (const short[]){4, 2, 2, 3}, 4);
    expect_refused(f, write_volume(f, "four.nii", &h, zeros, 48), TUB_E_SHAPE,
                   ": 3 volumes of 4x2x2 in one file; give one volume a file");
    h = make_header(false, 2, 8, (const short[]){4, 2}, 2);
    expect_refused(f, write_volume(f, "two.nii", &h, zeros, 8), TUB_E_SHAPE,
                   ": 2 axes; a volume has three");
    h = make_header(false, 32, 64, (const short[]){2, 2, 2}, 3);
    expect_refused(f, write_volume(f, "complex.nii", &h, zeros, 64), TUB_E_UNSUPPORTED,
                   ": values of the type COMPLEX64; real numbers are read");
    /* A few bytes that promise many. */
    h = make_header(false, 64, 64, (const short[]){32767, 32767, 32767}, 3);
    expect_refused(f, write_volume(f, "bomb.nii.gz", &h, zeros, 64), TUB_E_RANGE,
                   ": 32767x32767x32767 values are more than 8 GiB");
    h = make_header(false, 2, 8, (const short[]){2, 2, 2}, 3);
    memcpy(h.bytes + 344, "ni1", 4);
    expect_refused(f, write_volume(f, "pair.nii", &h, zeros, 8), TUB_E_UNSUPPORTED,
                   ": a header whose values lie in an .img file; convert both to one .nii");
    h = make_header(false, 2, 8, (const short[]){2, 2, 2}, 3);
    put(&h, 0, &(int){540}, 4);
    expect_refused(f, write_volume(f, "v2.nii", &h, zeros, 8), TUB_E_UNSUPPORTED,
                   ": NIfTI-2, of which NIfTI-1 is read; convert it, as nibabel does");
}

static void test_damage_refused(void **state) {
    fixture *f = *state;
    static const unsigned char zeros[64];
    header h = make_header(false, 2, 8, (const short[]){4, 4, 4}, 3);
    expect_refused(f, write_volume(f, "cut.nii", &h, zeros, 63), TUB_E_FORMAT,
                   ": cut off: 4x4x4 values of 1 bytes don't fit into its 415 bytes");
    expect_refused(f, write_volume(f, "cut.nii.gz", &h, zeros, 63), TUB_E_FORMAT,
                   ": cut off; copy the file again");
    memset(h.bytes, 'x', HEADER);
    expect_refused(f, write_volume(f, "text.nii", &h, zeros, 8), TUB_E_FORMAT, ": no NIfTI file");
    h = make_header(false, 2, 8, (const short[]){2, 2, 2}, 3);
    put_float(&h, 108, 3e9f);
    expect_refused(f, write_volume(f, "far.nii", &h, zeros, 8), TUB_E_FORMAT,
                   ": its header makes no sense; copy the file again");
    h = make_header(false, 16, 32, (const short[]){2, 2, 2}, 3);
    const float values[8] = {0, 1, 2, NAN};
    expect_refused(f, write_volume(f, "nan.nii", &h, values, sizeof values), TUB_E_RANGE,
                   ": value 3 is nan: replace it before training or predicting");
    expect_refused(f, temp_path(&f->folder, "none.nii"), TUB_E_NOT_FOUND, ": no such file");
}

/* Any byte of the header may be anything: no crash, and memory in bounds (run under sanitizers). */
static void test_damaged_headers(void **state) {
    fixture *f = *state;
    static const unsigned char zeros[64];
    uint64_t seed = 1;
    for (int i = 0; i < 400; i++) {
        header h = make_header(i % 2, 4, 16, (const short[]){4, 4, 2}, 3);
        for (int k = 0; k < 1 + i % 5; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            /* From the axes to the scaling, where what matters lies; the magic number stays. */
            h.bytes[40 + (seed >> 33) % 80] = (unsigned char)(seed >> 56);
        }
        tub__clip_file *clip = NULL;
        tub_error err;
        const char *path = write_volume(f, i % 3 ? "d.nii" : "d.nii.gz", &h, zeros, 64);
        if (tub__clip_open(f->ctx, path, 1, NULL, &clip, &err) == TUB_OK) {
            tub__clip_close(clip);
        } else {
            assert_true(strlen(err.message) > strlen(path));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_axes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_types, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_shapes_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damage_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged_headers, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
