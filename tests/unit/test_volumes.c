/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes named on the command line: files, members, slices, shapes, and a sentence for each wrong
 * one. */
#include "cmocka_all.h"

#include "base/context.h"
#include "failing_alloc.h"
#include "failing_context.h"
#include "make_npz.h"
#include "temp_folder.h"
#include <tubelet/data.h>

enum { N = 4, VOXELS = 2 * 3 * 5 };

typedef struct fixture {
    temp_folder folder;
    tub_context *ctx;
    tub_volumes v;
    tub_error error;
    unsigned char bytes[N * VOXELS];
    unsigned char labels[N];
} fixture;

static const test_array END = {0};

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    temp_folder_make(&f->folder);
    tub_context_config config = tub_context_config_default();
    config.threads = 1;
    assert_ok(tub_context_create(&config, &f->ctx, &f->error), f->error);
    for (int i = 0; i < N * VOXELS; i++) {
        f->bytes[i] = (unsigned char)(i * 2);
    }
    for (int i = 0; i < N; i++) {
        f->labels[i] = (unsigned char)(i + 3);
    }
    const test_array set[] = {{"test_images", "|u1", 4, {N, 2, 3, 5}, f->bytes, 0},
                              {"test_labels", "|u1", 2, {N, 1}, f->labels, 0},
                              END};
    assert_int_equal(make_npz(temp_path(&f->folder, "set.npz"), set), 0);
    const test_array stack = {"a", "|u1", 4, {N, 2, 3, 5}, f->bytes, 0};
    assert_int_equal(make_npy(temp_path(&f->folder, "stack.npy"), &stack), 0);
    const test_array single[] = {{"volume", "|u1", 3, {2, 3, 5}, f->bytes, 0}, END};
    assert_int_equal(make_npz(temp_path(&f->folder, "single.npz"), single), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    tub_volumes_free(&f->v);
    tub_context_destroy(f->ctx);
    temp_folder_drop(&f->folder);
    free(f);
    return 0;
}

static tub_status read_as(fixture *f, const char *name, const int64_t *want) {
    tub_volumes_free(&f->v);
    return tub_volumes_read(f->ctx, temp_path(&f->folder, name), want, &f->v, &f->error);
}

static void assert_volumes(fixture *f, const char *name, int64_t count, int64_t first,
                           int64_t channels) {
    assert_ok(read_as(f, name, NULL), f->error);
    assert_int_equal(f->v.count, count);
    assert_int_equal(f->v.first, first);
    assert_int_equal(f->v.channels, channels);
    assert_int_equal(f->v.frames * f->v.height * f->v.width * f->v.channels, VOXELS);
    assert_int_equal(f->v.dtype, TUB_U8);
    assert_memory_equal(f->v.data, f->bytes + first * VOXELS, (size_t)(count * VOXELS));
}

static void assert_refused(fixture *f, const char *name, tub_status status, const char *piece) {
    tub_status got = read_as(f, name, NULL);
    if (got != status || !strstr(f->error.message, piece) || strchr(f->error.message, '\n')) {
        fail_msg("%s: status %d, expected %d; '%s' in '%s'", name, (int)got, (int)status, piece,
                 f->error.message);
    }
    assert_null(f->v.data);
}

static void reads_what_is_named(void **state) {
    fixture *f = *state;
    assert_volumes(f, "stack.npy", N, 0, 1);
    assert_volumes(f, "stack.npy[2]", 1, 2, 1);
    assert_volumes(f, "single.npz", 1, 0, 1);
    assert_null(f->v.truth);
    assert_volumes(f, "single.npz:volume", 1, 0, 1);
    assert_volumes(f, "single.npz:volume[0]", 1, 0, 1);
    assert_volumes(f, "set.npz:test_images", N, 0, 1);
    assert_volumes(f, "set.npz:test_images[1:3]", 2, 1, 1);
    assert_int_equal(f->v.truth[0], 4);
    assert_int_equal(f->v.truth[1], 5);
    assert_volumes(f, "set.npz:test_images[3]", 1, 3, 1);
    assert_int_equal(f->v.truth[0], 6);
    assert_volumes(f, "set.npz:test_images[2:]", 2, 2, 1);
    assert_volumes(f, "set.npz:test_images[:1]", 1, 0, 1);
}

/* A file whose name looks like a slice or a member is taken as it is. */
static void takes_existing_names_literally(void **state) {
    fixture *f = *state;
    const test_array stack = {"a", "|u1", 4, {2, 2, 3, 5}, f->bytes, 0};
    assert_int_equal(make_npy(temp_path(&f->folder, "odd:name[3].npy"), &stack), 0);
    assert_volumes(f, "odd:name[3].npy", 2, 0, 1);
    assert_volumes(f, "odd:name[3].npy[0]", 1, 0, 1);
}

/* Four dimensions are a stack or channels: the model's shape decides, else a small last one means
 * channels. */
static void tells_stacks_from_channels(void **state) {
    fixture *f = *state;
    static const struct {
        uint64_t shape[4];
        int64_t want[4];
        int64_t count, channels;
    } cases[] = {{{4, 2, 5, 3}, {0}, 1, 3},          {{3, 2, 4, 5}, {0}, 3, 1},
                 {{4, 2, 5, 3}, {4, 2, 5, 3}, 1, 3}, {{4, 2, 5, 3}, {2, 5, 3, 1}, 4, 1},
                 {{3, 2, 4, 5}, {3, 2, 4, 5}, 1, 5}, {{4, 2, 5, 3}, {9, 9, 9, 9}, 1, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_array a = {"a", "|u1", 4, {0}, f->bytes, 0};
        memcpy(a.shape, cases[i].shape, sizeof cases[i].shape);
        assert_int_equal(make_npy(temp_path(&f->folder, "four.npy"), &a), 0);
        assert_ok(read_as(f, "four.npy", cases[i].want[0] ? cases[i].want : NULL), f->error);
        assert_int_equal(f->v.count, cases[i].count);
        assert_int_equal(f->v.channels, cases[i].channels);
    }
    const test_array five = {"a", "|u1", 5, {2, 2, 3, 5, 2}, f->bytes, 0};
    assert_int_equal(make_npy(temp_path(&f->folder, "five.npy"), &five), 0);
    assert_ok(read_as(f, "five.npy[1]", NULL), f->error);
    assert_int_equal(f->v.count, 1);
    assert_int_equal(f->v.channels, 2);
    assert_memory_equal(f->v.data, f->bytes + 60, 60);
}

static void reads_floats(void **state) {
    fixture *f = *state;
    double wide[VOXELS];
    for (int i = 0; i < VOXELS; i++) {
        wide[i] = i * 0.5;
    }
    const test_array a = {"a", "<f8", 3, {2, 3, 5}, wide, 0};
    assert_int_equal(make_npy(temp_path(&f->folder, "floats.npy"), &a), 0);
    assert_ok(read_as(f, "floats.npy", NULL), f->error);
    assert_int_equal(f->v.dtype, TUB_F32);
    for (int i = 0; i < VOXELS; i++) {
        assert_true(((const float *)f->v.data)[i] == (float)wide[i]);
    }
    wide[7] = 0.0 / (wide[0] * 0.0);
    assert_int_equal(make_npy(temp_path(&f->folder, "floats.npy"), &a), 0);
    assert_refused(f, "floats.npy", TUB_E_RANGE, "floats.npy: element 7 is NaN");
}

/* Labels that do not fit are left out, and the volumes are read all the same. */
static void leaves_out_wrong_truth(void **state) {
    fixture *f = *state;
    const test_array set[] = {{"x_images", "|u1", 4, {N, 2, 3, 5}, f->bytes, 0},
                              {"x_labels", "|u1", 1, {N - 1}, f->labels, 0},
                              END};
    assert_int_equal(make_npz(temp_path(&f->folder, "short.npz"), set), 0);
    assert_volumes(f, "short.npz:x_images", N, 0, 1);
    assert_null(f->v.truth);
}

static void refuses_what_is_wrong(void **state) {
    fixture *f = *state;
    const int16_t large[VOXELS] = {300};
    const test_array shorts = {"a", "<i2", 3, {2, 3, 5}, large, 0};
    const test_array flat = {"a", "|u1", 2, {5, 6}, f->bytes, 0};
    assert_int_equal(make_npy(temp_path(&f->folder, "shorts.npy"), &shorts), 0);
    assert_int_equal(make_npy(temp_path(&f->folder, "flat.npy"), &flat), 0);
    assert_ok(tub__file_write(&f->ctx->allocator, temp_path(&f->folder, "text.npy"), "hello", 5,
                              &f->error),
              f->error);
    assert_ok(
        tub__file_write(&f->ctx->allocator, temp_path(&f->folder, "empty.npy"), "", 0, &f->error),
        f->error);
    assert_refused(f, "none.npy", TUB_E_NOT_FOUND, "none.npy: no such file");
    assert_refused(f, "none.npz:x[3]", TUB_E_NOT_FOUND, "none.npz: no such file");
    assert_refused(f, ".", TUB_E_UNSUPPORTED, "is a folder");
    assert_refused(f, "text.npy", TUB_E_FORMAT, "text.npy: neither a .npy nor a .npz file");
    assert_refused(f, "empty.npy", TUB_E_FORMAT, "empty.npy: neither");
    assert_refused(f, "flat.npy", TUB_E_SHAPE, "flat.npy: shape [5,6]: a volume is [T,H,W]");
    assert_refused(f, "shorts.npy", TUB_E_RANGE, "shorts.npy: ");
    assert_refused(f, "set.npz", TUB_E_ARGUMENT,
                   "2 arrays (test_images, test_labels): name one, as in set.npz:NAME[0]");
    assert_refused(f, "set.npz:images[3]", TUB_E_NOT_FOUND,
                   "no array images; it has test_images, test_labels");
    assert_refused(f, "set.npz:test_images[4]", TUB_E_RANGE,
                   "test_images: no volume 4: there are 4, counted from 0");
    assert_refused(f, "set.npz:test_images[2:5]", TUB_E_RANGE, "no volumes 2 to 4: there are 4");
    assert_refused(f, "set.npz:test_images[2:2]", TUB_E_RANGE, "[2:2] takes no volume");
    assert_refused(f, "set.npz:test_images[-1]", TUB_E_ARGUMENT,
                   "give the volumes as [5] or [5:9]");
    assert_refused(f, "set.npz:test_images[99999999999999999999]", TUB_E_ARGUMENT,
                   "give the volumes as");
    assert_refused(f, "set.npz:test_images[1,2]", TUB_E_ARGUMENT, "give the volumes as");
    assert_refused(f, "stack.npy:a", TUB_E_ARGUMENT, "leave out :a");
}

static tub_status volumes_read(tub_context *ctx, const void *text, tub_error *err) {
    tub_volumes v;
    const tub_status status = tub_volumes_read(ctx, text, NULL, &v, err);
    tub_volumes_free(&v);
    return status;
}

static tub_status read_and_free(const tub_allocator *a, void *user, tub_error *err) {
    return in_failing_context(a, 1, TUB_PRECISION_F32, volumes_read, user, err);
}

static void survives_failing_allocations(void **state) {
    fixture *f = *state;
    static const char *const names[] = {"stack.npy[1]", "set.npz:test_images[1:3]"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s", temp_path(&f->folder, names[i]));
        failing_report report = failing_run(read_and_free, path);
        assert_string_equal(report.problem, "");
    }
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(reads_what_is_named),          CASE(takes_existing_names_literally),
        CASE(tells_stacks_from_channels),   CASE(reads_floats),
        CASE(leaves_out_wrong_truth),       CASE(refuses_what_is_wrong),
        CASE(survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
