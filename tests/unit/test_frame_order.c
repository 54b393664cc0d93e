/* SPDX-License-Identifier: Apache-2.0 */
/* Frames in another order: exactly the same frames, reversed or in an order that each sample has by
 * itself. */
#include "cmocka_all.h"

#include "data/dataset.h"
#include "failing_alloc.h"
#include "failing_context.h"
#include "make_npz.h"
#include "temp_folder.h"
#include <stdlib.h>

/* Each value of a sample tells its frame: 100 times the sample, plus the frame. */
enum { N = 600, T = 5, ROWS = 2, COLUMNS = 3, CHANNELS = 2, FRAME = ROWS * COLUMNS * CHANNELS };

typedef struct fixture {
    temp_folder folder;
    tub_context *ctx;
    char path[512];
} fixture;

static float values[N * T * FRAME];
static int32_t zeros[N];

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    tub_error err;
    temp_folder_make(&f->folder);
    snprintf(f->path, sizeof f->path, "%s", temp_path(&f->folder, "frames.npz"));
    for (int i = 0; i < N * T * FRAME; i++) {
        values[i] = (float)(100 * (i / (T * FRAME)) + i / FRAME % T) / 100000.0f;
    }
#define IMAGES(name)                                                                               \
    { name, "<f4", 5, {N, T, ROWS, COLUMNS, CHANNELS}, values, 0 }
#define LABELS(name)                                                                               \
    { name, "<i4", 1, {N}, zeros, 0 }
    const test_array arrays[] = {IMAGES("train_images"),
                                 IMAGES("val_images"),
                                 IMAGES("test_images"),
                                 LABELS("train_labels"),
                                 LABELS("val_labels"),
                                 LABELS("test_labels"),
                                 {0}};
    assert_int_equal(make_npz(f->path, arrays), 0);
    tub_context_config config = tub_context_config_default();
    config.threads = 1;
    assert_ok(tub_context_create(&config, &f->ctx, &err), err);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    tub_context_destroy(f->ctx);
    temp_folder_drop(&f->folder);
    free(f);
    return 0;
}

/* The test split in an order; order[i][t]: which frame of the file sample i shows at time t. */
static void orders(const fixture *f, tub_split split, tub_frame_order order, uint64_t seed,
                   int out[N][T]) {
    tub_dataset *data;
    tub_error err;
    assert_ok(tub_dataset_open(f->ctx, f->path, NULL, &data, &err), err);
    assert_ok(tub_dataset_order_frames(data, split, order, seed, &err), err);
    for (int s = 0; s < TUB_SPLITS; s++) { /* the other splits are as they were */
        if (s != (int)split) {
            assert_memory_equal(tub_dataset_samples(data, (tub_split)s), values, sizeof values);
        }
    }
    const float *v = tub_dataset_samples(data, split);
    for (int i = 0; i < N; i++) {
        unsigned seen = 0;
        for (int t = 0; t < T; t++) {
            const float *frame = v + (i * T + t) * FRAME;
            int from = 0;
            while (from < T &&
                   memcmp(frame, values + (i * T + from) * FRAME, FRAME * sizeof(float)) != 0) {
                from++;
            }
            assert_true(from < T); /* whole, and of this sample */
            out[i][t] = from;
            seen |= 1u << from;
        }
        assert_int_equal(seen, (1u << T) - 1);
    }
    tub_dataset_close(data);
}

static void reverses(void **state) {
    static int order[N][T];
    orders(*state, TUB_VAL, TUB_FRAMES_REVERSED, 0, order);
    for (int i = 0; i < N; i++) {
        for (int t = 0; t < T; t++) {
            assert_int_equal(order[i][t], T - 1 - t);
        }
    }
    orders(*state, TUB_VAL, TUB_FRAMES_ORIGINAL, 0, order);
    for (int t = 0; t < T; t++) {
        assert_int_equal(order[0][t], t);
    }
}

/* Every one of the 120 orders, about equally often; and the seed and the split matter. */
static void shuffles(void **state) {
    static int order[N][T], again[N][T], other[N][T], split[N][T];
    orders(*state, TUB_TEST, TUB_FRAMES_SHUFFLED, 7, order);
    orders(*state, TUB_TEST, TUB_FRAMES_SHUFFLED, 7, again);
    orders(*state, TUB_TEST, TUB_FRAMES_SHUFFLED, 8, other);
    orders(*state, TUB_TRAIN, TUB_FRAMES_SHUFFLED, 7, split);
    assert_memory_equal(order, again, sizeof order);
    int count[T][T] = {{0}}, same_seed = 0, same_split = 0, kinds = 0;
    static bool seen[100000];
    for (int i = 0; i < N; i++) {
        int number = 0;
        for (int t = 0; t < T; t++) {
            count[t][order[i][t]]++;
            number = 10 * number + order[i][t];
        }
        kinds += !seen[number];
        seen[number] = true;
        same_seed += memcmp(order[i], other[i], sizeof order[i]) == 0;
        same_split += memcmp(order[i], split[i], sizeof order[i]) == 0;
    }
    double misfit = 0; /* chi square with 16 degrees of freedom: 39 at 0.1 % */
    for (int t = 0; t < T; t++) {
        for (int from = 0; from < T; from++) {
            double expected = (double)N / T;
            misfit += (count[t][from] - expected) * (count[t][from] - expected) / expected;
        }
    }
    assert_true(misfit < 39);
    assert_true(kinds > 110);
    assert_true(same_seed < N / 20 && same_split < N / 20);
}

static void refuses_what_is_no_order(void **state) {
    const fixture *f = *state;
    tub_dataset *data;
    tub_error err;
    tub_frame_order order;
    for (int i = 0; i <= (int)TUB_FRAMES_REVERSED; i++) {
        const char *name = tub_frame_order_name((tub_frame_order)i);
        assert_ok(tub_frame_order_parse(name, &order, &err), err);
        assert_int_equal(order, i);
    }
    assert_string_equal(tub_frame_order_name((tub_frame_order)3), "unknown");
    assert_string_equal(tub_frame_order_name((tub_frame_order)-1), "unknown");
    assert_int_equal(tub_frame_order_parse("backwards", &order, &err), TUB_E_ARGUMENT);
    assert_string_equal(err.message,
                        "backwards is no order of frames: choose original, shuffled or "
                        "reversed");
    assert_ok(tub_dataset_open(f->ctx, f->path, NULL, &data, &err), err);
    assert_int_equal(tub_dataset_order_frames(data, TUB_TEST, (tub_frame_order)3, 1, &err),
                     TUB_E_ARGUMENT);
    assert_int_equal(tub_dataset_order_frames(data, TUB_SPLITS, TUB_FRAMES_REVERSED, 1, &err),
                     TUB_E_ARGUMENT);
    tub_dataset_close(data);
}

static tub_status shuffled(tub_context *ctx, const void *path, tub_error *err) {
    tub_dataset *data;
    TUB__TRY(tub_dataset_open(ctx, path, NULL, &data, err));
    const tub_status status = tub_dataset_order_frames(data, TUB_TEST, TUB_FRAMES_SHUFFLED, 1, err);
    tub_dataset_close(data);
    return status;
}

static tub_status open_and_shuffle(const tub_allocator *a, void *user, tub_error *err) {
    return in_failing_context(a, 1, TUB_PRECISION_F32, shuffled, user, err);
}

static void survives_failing_allocations(void **state) {
    fixture *f = *state;
    failing_report report = failing_run(open_and_shuffle, f->path);
    assert_string_equal(report.problem, "");
    report = failing_run(open_and_shuffle, (void *)(uintptr_t) "motion");
    assert_string_equal(report.problem, "");
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(reverses),
        CASE(shuffles),
        CASE(refuses_what_is_no_order),
        CASE(survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
