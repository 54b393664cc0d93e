/* SPDX-License-Identifier: Apache-2.0 */
/* Data sets from .npz files: every way to write a right one, and a sentence for each wrong one. */
#include "cmocka_all.h"

#include "data/dataset.h"
#include "failing_alloc.h"
#include "failing_context.h"
#include "make_npz.h"
#include "temp_folder.h"
#include <math.h>

enum { N = 3, VOXELS = 2 * 3 * 4 };

typedef struct fixture {
    temp_folder folder;
    tub_context *ctx;
    tub_dataset *data;
    tub_error error;
    char path[512];
    char log[512];
    int warnings;
} fixture;

static void on_event(void *user, const tub_event *event) {
    fixture *f = user;
    if (event->kind == TUB_EVENT_LOG && event->level == TUB_LOG_WARNING) {
        snprintf(f->log, sizeof f->log, "%s", event->message);
        f->warnings++;
    }
}

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    temp_folder_make(&f->folder);
    snprintf(f->path, sizeof f->path, "%s", temp_path(&f->folder, "made.npz"));
    tub_context_config config = tub_context_config_default();
    config.threads = 1;
    config.data_folder = f->folder.path;
    config.on_event = on_event;
    config.event_user = f;
    assert_ok(tub_context_create(&config, &f->ctx, &f->error), f->error);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    tub_dataset_close(f->data);
    tub_context_destroy(f->ctx);
    temp_folder_drop(&f->folder);
    free(f);
    return 0;
}

/* Voxel v of sample i of split s. */
static int voxel(int s, int i, int v) {
    return (s * 50 + i * 10 + v * 3) % 256;
}

static const unsigned char *bytes_of(int s) {
    static unsigned char bytes[3][N * VOXELS];
    for (int i = 0; i < N * VOXELS; i++) {
        bytes[s][i] = (unsigned char)voxel(s, i / VOXELS, i % VOXELS);
    }
    return bytes[s];
}

static const unsigned char labels[3][N] = {{0, 2, 1}, {1, 1, 0}, {2, 0, 0}};

/* The six arrays of a good file; a test changes what it is about. */
typedef struct six {
    test_array array[8];
} six;

enum { TRAIN_IMAGES, TRAIN_LABELS, VAL_IMAGES, VAL_LABELS, TEST_IMAGES, TEST_LABELS, NAMES };

static six good(void) {
    return (six){{{"train_images", "|u1", 4, {N, 2, 3, 4}, bytes_of(0), 0},
                  {"train_labels", "|u1", 2, {N, 1}, labels[0], 0},
                  {"val_images", "|u1", 4, {N, 2, 3, 4}, bytes_of(1), 0},
                  {"val_labels", "|u1", 2, {N, 1}, labels[1], 0},
                  {"test_images", "|u1", 4, {N, 2, 3, 4}, bytes_of(2), 0},
                  {"test_labels", "|u1", 2, {N, 1}, labels[2], 0},
                  {0}}};
}

static tub_status open_six(fixture *f, const six *arrays) {
    tub_dataset_close(f->data);
    f->data = NULL;
    f->error.message[0] = '\0';
    assert_int_equal(make_npz(f->path, arrays->array), 0);
    return tub_dataset_open(f->ctx, f->path, NULL, &f->data, &f->error);
}

/* Opening fails with this status and a sentence that names the file and holds `piece`. */
static void assert_refused(fixture *f, const six *arrays, tub_status status, const char *piece) {
    tub_status got = open_six(f, arrays);
    if (got != status || !strstr(f->error.message, piece) ||
        !strstr(f->error.message, "made.npz: ")) {
        fail_msg("status %d (%s), expected %d; '%s' in '%s'", (int)got, tub_status_name(got),
                 (int)status, piece, f->error.message);
    }
    assert_null(f->data);
    assert_int_equal(f->error.status, status);
}

static void assert_content(fixture *f) {
    const tub_dataset_info *info = tub_dataset_describe(f->data);
    assert_string_equal(info->name, "made.npz");
    assert_int_equal(info->frames, 2);
    assert_int_equal(info->height, 3);
    assert_int_equal(info->width, 4);
    assert_int_equal(info->channels, 1);
    assert_int_equal(info->classes, 3);
    assert_null(info->labels);
    for (int s = 0; s < TUB_SPLITS; s++) {
        const void *samples = tub_dataset_samples(f->data, (tub_split)s);
        assert_int_equal(info->count[s], N);
        assert_int_equal(info->constant[s], 0);
        for (int i = 0; i < N * VOXELS; i++) {
            double v = info->dtype == TUB_U8 ? ((const unsigned char *)samples)[i]
                                             : (double)((const float *)samples)[i];
            assert_true(v == voxel(s, i / VOXELS, i % VOXELS));
        }
        for (int i = 0; i < N; i++) {
            assert_int_equal(tub_dataset_labels(f->data, (tub_split)s)[i], labels[s][i]);
        }
    }
}

static void reads_medmnist_layout(void **state) {
    fixture *f = *state;
    six a = good();
    assert_ok(open_six(f, &a), f->error);
    assert_int_equal(tub_dataset_describe(f->data)->dtype, TUB_U8);
    assert_content(f);
    assert_int_equal(f->warnings, 0);
}

/* All number types, both orders of dimensions, both layouts of labels. */
static void reads_other_types(void **state) {
    fixture *f = *state;
    static const char *const types[] = {"<i2", ">u4", "<i8", "<f4", ">f4", "<f8"};
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
        six a = good();
        unsigned char wide[3][N * VOXELS * 8];
        int64_t wide_labels[3][N];
        for (int s = 0; s < 3; s++) {
            size_t width = (size_t)(types[t][2] - '0');
            for (int i = 0; i < N * VOXELS; i++) {
                int v = bytes_of(s)[i];
                float single = (float)v;
                double twice = v;
                int64_t whole = v;
                unsigned char *to = wide[s] + (size_t)i * width;
                memcpy(to,
                       types[t][1] != 'f' ? (void *)&whole
                       : width == 4       ? (void *)&single
                                          : (void *)&twice,
                       width);
                for (size_t b = 0; types[t][0] == '>' && b < width / 2; b++) {
                    unsigned char swap = to[b];
                    to[b] = to[width - 1 - b];
                    to[width - 1 - b] = swap;
                }
            }
            for (int i = 0; i < N; i++) {
                wide_labels[s][i] = labels[s][i];
            }
            a.array[2 * s].type = types[t];
            a.array[2 * s].data = wide[s];
            a.array[2 * s + 1] =
                (test_array){a.array[2 * s + 1].name, "<i8", 1, {N}, wide_labels[s], 0};
        }
        assert_ok(open_six(f, &a), f->error);
        assert_int_equal(tub_dataset_describe(f->data)->dtype,
                         types[t][1] == 'f' ? TUB_F32 : TUB_U8);
        assert_content(f);
    }
}

static void reads_fortran_order(void **state) {
    fixture *f = *state;
    six a = good();
    unsigned char turned[N * VOXELS];
    for (int i = 0; i < N; i++) {
        for (int v = 0; v < VOXELS; v++) {
            int t = v / 12, h = v / 4 % 3, w = v % 4;
            turned[((w * 3 + h) * 2 + t) * N + i] = bytes_of(1)[i * VOXELS + v];
        }
    }
    a.array[VAL_IMAGES].data = turned;
    a.array[VAL_IMAGES].fortran = 1;
    assert_ok(open_six(f, &a), f->error);
    assert_content(f);
}

static void reads_channels_last(void **state) {
    fixture *f = *state;
    six a = good();
    for (int s = 0; s < 3; s++) {
        test_array *images = &a.array[2 * s];
        images->rank = 5;
        memcpy(images->shape, (uint64_t[]){N, 2, 2, 2, 3}, sizeof images->shape);
    }
    assert_ok(open_six(f, &a), f->error);
    const tub_dataset_info *info = tub_dataset_describe(f->data);
    assert_int_equal(info->height, 2);
    assert_int_equal(info->width, 2);
    assert_int_equal(info->channels, 3);
    assert_int_equal(tub__dataset_elements(info), VOXELS);
}

static void takes_names_from_known_files(void **state) {
    fixture *f = *state;
    six a = good();
    snprintf(f->path, sizeof f->path, "%s", temp_path(&f->folder, "fracturemnist3d.npz"));
    assert_ok(open_six(f, &a), f->error);
    assert_string_equal(tub_dataset_describe(f->data)->labels[2], "displaced rib fracture");
    assert_null(tub_dataset_describe(f->data)->licence); /* a name is no licence */
    /* More classes than the published set has: it is another file of that name. */
    snprintf(f->path, sizeof f->path, "%s", temp_path(&f->folder, "adrenalmnist3d.npz"));
    assert_ok(open_six(f, &a), f->error);
    assert_null(tub_dataset_describe(f->data)->labels);
    assert_int_equal(tub_dataset_describe(f->data)->classes, 3);
}

/* The sizes of a published set, but other bytes. */
static void takes_no_licence_by_name_and_sizes(void **state) {
    fixture *f = *state;
    enum { TRAIN = 1188, VAL = 98, TEST = 298, SIDE = 28 };
    static const uint64_t count[3] = {TRAIN, VAL, TEST};
    unsigned char *zeros = calloc(TRAIN, SIDE * SIDE * SIDE);
    six a = good();
    assert_non_null(zeros);
    for (int s = 0; s < 3; s++) {
        test_array *images = &a.array[2 * s], *classes = &a.array[2 * s + 1];
        memcpy(images->shape, (uint64_t[]){count[s], SIDE, SIDE, SIDE, 0}, sizeof images->shape);
        classes->shape[0] = count[s];
        images->data = classes->data = zeros;
    }
    snprintf(f->path, sizeof f->path, "%s", temp_path(&f->folder, "adrenalmnist3d.npz"));
    assert_ok(open_six(f, &a), f->error);
    assert_string_equal(tub_dataset_describe(f->data)->labels[1], "hyperplasia");
    assert_null(tub_dataset_describe(f->data)->licence);
    free(zeros);
}

/* Opens with one warning that holds `piece`, or with none where it is NULL. */
static void assert_warned(fixture *f, const six *arrays, const char *piece) {
    f->warnings = 0;
    assert_ok(open_six(f, arrays), f->error);
    assert_int_equal(f->warnings, piece != NULL);
    if (piece != NULL && strstr(f->log, piece) == NULL) {
        fail_msg("'%s' does not say '%s'", f->log, piece);
    }
}

static void assert_refused_names(fixture *f, const six *arrays, const char *piece) {
    assert_warned(f, arrays, piece);
    assert_null(tub_dataset_describe(f->data)->labels);
}

static void assert_names(fixture *f, const char *first, const char *last) {
    const tub_dataset_info *info = tub_dataset_describe(f->data);
    assert_non_null(info->labels);
    assert_string_equal(info->labels[0], first);
    assert_string_equal(info->labels[2], last);
}

/* Bytes, and code points of either order; also in a file called like a known one. */
static void takes_its_own_names(void **state) {
    fixture *f = *state;
    static const uint32_t wide[3][2] = {{0xe4}, {'b', 0x1f43b}, {0x4e2d, 0xffff}};
    uint32_t swapped[3][2];
    six a = good();
    a.array[NAMES] = (test_array){"class_names", "|S3", 1, {3}, "cat\0\0\0b\xc3\xa4", 0};
    assert_refused_names(f, &a, "class_names: name 1 is empty or no printable text");
    a.array[NAMES].data = "cat"
                          "d\0\0"
                          "b\xc3\xa4";
    assert_warned(f, &a, NULL);
    assert_names(f, "cat", "b\xc3\xa4");
    a.array[NAMES].type = "<U2";
    a.array[NAMES].data = wide;
    assert_warned(f, &a, NULL);
    assert_names(f, "\xc3\xa4", "\xe4\xb8\xad\xef\xbf\xbf");
    assert_string_equal(tub_dataset_describe(f->data)->labels[1], "b\xf0\x9f\x90\xbb");
    for (int i = 0; i < 6; i++) {
        swapped[i / 2][i % 2] = __builtin_bswap32(wide[i / 2][i % 2]);
    }
    a.array[NAMES].type = ">U2";
    a.array[NAMES].data = swapped;
    snprintf(f->path, sizeof f->path, "%s", temp_path(&f->folder, "fracturemnist3d.npz"));
    assert_warned(f, &a, NULL);
    assert_names(f, "\xc3\xa4", "\xe4\xb8\xad\xef\xbf\xbf");
}

/* Names that can't be used are told, and the data are used without. */
/* Labels are numbered in an order that has the same names; of other names nothing changes. */
static void follows_an_order(void **state) {
    fixture *f = *state;
    static const char *const orders[][3] = {
        {"cd", "a", "b"}, {"a", "b", "cd"}, {"a", "b", "c"}, {"a", "a", "b"}};
    six a = good();
    a.array[NAMES] = (test_array){"class_names", "|S2", 1, {3}, "a\0b\0cd", 0};
    assert_ok(open_six(f, &a), f->error);
    for (int i = 0; i < 4; i++) {
        tub_dataset_options o = tub_dataset_options_default();
        tub_dataset *other;
        o.class_names = orders[i];
        o.class_count = 3;
        assert_ok(tub_dataset_open(f->ctx, f->path, &o, &other, &f->error), f->error);
        const tub_dataset_info *info = tub_dataset_describe(other);
        assert_string_equal(info->labels[0], i == 0 ? "cd" : "a");
        assert_int_equal(info->classes, 3);
        for (int s = 0; s < TUB_SPLITS; s++) {
            for (int64_t k = 0; k < info->count[s]; k++) {
                const int32_t own = tub_dataset_labels(f->data, (tub_split)s)[k];
                assert_int_equal(tub_dataset_labels(other, (tub_split)s)[k],
                                 i == 0 ? (own + 1) % 3 : own);
            }
        }
        tub_dataset_close(other);
    }
}

/* Of labels that are each there or not, columns change their places. */
static void follows_an_order_of_columns(void **state) {
    fixture *f = *state;
    static const char *const names[3] = {"cd", "a", "b"};
    static const unsigned char rows[3 * N] = {1, 0, 0, 0, 1, 1};
    tub_dataset_options o = tub_dataset_options_default();
    tub_dataset *other;
    six a = good();
    for (int s = 0; s < 3; s++) {
        a.array[2 * s + 1].type = "|u1";
        a.array[2 * s + 1].shape[1] = 3;
        a.array[2 * s + 1].data = rows;
    }
    a.array[NAMES] = (test_array){"class_names", "|S2", 1, {3}, "a\0b\0cd", 0};
    assert_ok(open_six(f, &a), f->error);
    assert_int_equal(tub_dataset_describe(f->data)->task, TUB_TASK_MULTI_LABEL);
    o.class_names = names;
    o.class_count = 3;
    assert_ok(tub_dataset_open(f->ctx, f->path, &o, &other, &f->error), f->error);
    static const int32_t wanted[6] = {0, 1, 0, 1, 0, 1};
    assert_memory_equal(tub_dataset_labels(other, TUB_VAL), wanted, sizeof wanted);
    tub_dataset_close(other);
}

static void warns_of_names_it_can_not_use(void **state) {
    fixture *f = *state;
    static const uint32_t odd[][3] = {{0xd800, 'b', 'c'}, {'a', 0x110000, 'c'}, {'a', 'b', 7}};
    six a = good();
    a.array[NAMES] = (test_array){"class_names", "|S1", 1, {4}, "abcd", 0};
    assert_refused_names(f, &a, "class_names: 4 names in 1 dimension(s) for 3 classes");
    memcpy(a.array[NAMES].shape, (uint64_t[]){3, 1}, 2 * sizeof(uint64_t));
    a.array[NAMES].rank = 2;
    assert_refused_names(f, &a, "class_names: 3 names in 2 dimension(s) for 3 classes");
    a.array[NAMES].rank = 1;
    a.array[NAMES].data = "a\xff"
                          "b";
    assert_refused_names(f, &a, "class_names: name 1 is empty or no printable text");
    a.array[NAMES].type = "<U1";
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        a.array[NAMES].data = odd[i];
        assert_refused_names(f, &a, "is empty or no printable text; the names are not used");
    }
    a.array[NAMES].type = "|u1";
    assert_refused_names(f, &a, "member 'class_names': its type is |u1, not text");
    a.array[NAMES].type = "<U0";
    assert_refused_names(f, &a, "its type is <U0, not text of a fixed width of 1 to 1024");
}

static void warns_of_constant_volumes(void **state) {
    fixture *f = *state;
    six a = good();
    unsigned char flat[N * VOXELS];
    memcpy(flat, bytes_of(1), sizeof flat);
    memset(flat + VOXELS, 7, 2 * VOXELS);
    a.array[VAL_IMAGES].data = flat;
    assert_ok(open_six(f, &a), f->error);
    assert_int_equal(tub_dataset_describe(f->data)->constant[TUB_VAL], 2);
    assert_int_equal(tub_dataset_describe(f->data)->constant[TUB_TRAIN], 0);
    assert_int_equal(f->warnings, 1);
    assert_string_equal(
        f->log,
        "made.npz: 2 of 3 val volumes are constant (all voxels equal), the first is number 1");
}

static void warns_of_raw_floats(void **state) {
    fixture *f = *state;
    static const float ends[][2] = {{0, 1}, {-16, 16}, {-1000, 3}, {0, 255}};
    static const char *const says[] = {NULL, NULL, "train has -1000 to 3;", "train has 0 to 255;"};
    for (size_t t = 0; t < sizeof ends / sizeof ends[0]; t++) {
        float values[N * VOXELS];
        six a = good();
        for (int i = 0; i < N * VOXELS; i++) {
            values[i] = ends[t][i % 2];
        }
        for (int s = 0; s < 3; s++) {
            a.array[2 * s].type = "<f4";
            a.array[2 * s].data = values;
        }
        assert_warned(f, &a, says[t]);
    }
}

/* Of train, and of integers however they are stored. */
static void warns_of_faint_integers(void **state) {
    fixture *f = *state;
    static const char *const types[] = {"|b1", "|u1", "|i1"};
    static const int high[] = {1, 15, 16};
    static const char *const says[] = {"largest voxel of train is 1,",
                                       "largest voxel of train is 15,", NULL};
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
        unsigned char values[N * VOXELS];
        six a = good();
        for (int i = 0; i < N * VOXELS; i++) {
            values[i] = i % 2 ? (unsigned char)high[t] : 0;
        }
        a.array[TRAIN_IMAGES].type = types[t];
        a.array[TRAIN_IMAGES].data = values;
        assert_warned(f, &a, says[t]);
    }
}

static void warns_of_labels_from_one(void **state) {
    fixture *f = *state;
    static const unsigned char ones[3][N] = {{1, 3, 2}, {2, 2, 1}, {3, 1, 1}};
    static const unsigned char zero[N] = {1, 0, 1};
    six a = good();
    for (int s = 0; s < 3; s++) {
        a.array[2 * s + 1].data = ones[s];
    }
    assert_warned(f, &a, "no label is 0, but 3 is one;");
    assert_int_equal(tub_dataset_describe(f->data)->classes, 4);
    a.array[TEST_LABELS].data =
        zero; /* a class that only training lacks is no mistake of counting */
    assert_warned(f, &a, NULL);
}

static void refuses_wrong_keys(void **state) {
    fixture *f = *state;
    six a = good();
    a.array[VAL_LABELS].name = "val_targets";
    assert_refused(f, &a, TUB_E_NOT_FOUND, "no array val_labels (");
    a.array[TRAIN_IMAGES].name = "x";
    assert_refused(f, &a, TUB_E_NOT_FOUND, "no array train_images, val_labels (");
}

static void refuses_wrong_shapes(void **state) {
    fixture *f = *state;
    six a = good();
    a.array[TRAIN_IMAGES].rank = 3;
    assert_refused(f, &a, TUB_E_SHAPE,
                   "train_images: shape [3,2,3], expected [N,T,H,W] or [N,T,H,W,C]");
    a = good();
    memcpy(a.array[TEST_IMAGES].shape, (uint64_t[]){N, 2, 4, 3, 0}, sizeof a.array[0].shape);
    assert_refused(f, &a, TUB_E_SHAPE,
                   "test_images: shape [3,2,4,3], but train_images has volumes of [2,3,4,1]");
    a = good();
    a.array[VAL_IMAGES].shape[0] = 0;
    assert_refused(f, &a, TUB_E_SHAPE, "val_images: shape [0,2,3,4]: the split is empty");
    a = good();
    a.array[TRAIN_IMAGES].shape[2] = 0;
    assert_refused(f, &a, TUB_E_SHAPE, "train_images: shape [3,2,0,4]: a volume has no voxels");
    a = good();
    a.array[VAL_LABELS].shape[0] = 2;
    assert_refused(f, &a, TUB_E_SHAPE, "val_labels: 2 labels for 3 samples of val_images");
    a = good();
    a.array[VAL_LABELS].shape[0] = 1;
    a.array[VAL_LABELS].shape[1] = 3;
    assert_refused(f, &a, TUB_E_SHAPE, "val_labels: shape [1,3], but train_labels has 1 column(s)");
    a = good();
    a.array[TRAIN_LABELS].rank = 3;
    a.array[TRAIN_LABELS].shape[2] = 1;
    assert_refused(f, &a, TUB_E_SHAPE,
                   "train_labels: shape [3,1,1], expected [N] or [N,1], or [N,K]");
}

/* Labels of several columns, the same in every split. */
static six with_columns(const void *values, uint64_t columns) {
    six a = good();
    for (int s = 0; s < TUB_SPLITS; s++) {
        a.array[2 * s + 1].shape[1] = columns;
        a.array[2 * s + 1].data = values;
    }
    return a;
}

static void reads_labels(void **state) {
    fixture *f = *state;
    static const unsigned char values[N * 5] = {0, 1, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0};
    six a = with_columns(values, 5);
    assert_ok(open_six(f, &a), f->error);
    const tub_dataset_info *info = tub_dataset_describe(f->data);
    assert_int_equal(info->task, TUB_TASK_MULTI_LABEL);
    assert_int_equal(info->classes, 5);
    assert_int_equal(info->label_columns, 5);
    assert_int_equal(info->head_classes[0], 0);
    for (int i = 0; i < N * 5; i++) {
        assert_int_equal(tub_dataset_labels(f->data, TUB_VAL)[i], values[i]);
    }
}

static void reads_heads(void **state) {
    fixture *f = *state;
    static const unsigned char values[N * 2] = {0, 4, 1, 0, 0, 6};
    static const int64_t sizes[2] = {3, 9}, wrong[2] = {3, 6}, one[2] = {1, 9};
    six a = with_columns(values, 2);
    assert_ok(open_six(f, &a), f->error);
    const tub_dataset_info *info = tub_dataset_describe(f->data);
    assert_int_equal(info->task, TUB_TASK_MULTI_HEAD);
    assert_int_equal(info->label_columns, 2);
    assert_int_equal(info->head_classes[0], 2);
    assert_int_equal(info->head_classes[1], 7);
    assert_int_equal(info->head_classes[2], 0);
    assert_int_equal(info->classes, 9);
    a.array[6] = (test_array){"head_classes", "<i8", 1, {2}, sizes, 0};
    assert_ok(open_six(f, &a), f->error);
    info = tub_dataset_describe(f->data);
    assert_int_equal(info->head_classes[0], 3);
    assert_int_equal(info->classes, 12);
    a.array[6].data = wrong;
    assert_refused(f, &a, TUB_E_RANGE,
                   "train_labels: label 6 of sample 2 is out of range: its head has 0 … 5");
    a.array[6].data = one;
    assert_refused(f, &a, TUB_E_RANGE, "head_classes");
    a.array[6].data = sizes;
    a.array[6].shape[0] = 1;
    assert_refused(f, &a, TUB_E_SHAPE, "head_classes: 1 numbers for the 2 columns");
    static const unsigned char many[N * 5] = {[7] = 3};
    a = with_columns(many, 5);
    assert_refused(f, &a, TUB_E_SHAPE,
                   "the labels have 5 columns and values up to 3; labels that are there or not are "
                   "0 and 1, and heads with classes of their own are at most 4");
}

static void refuses_wrong_types(void **state) {
    fixture *f = *state;
    float singles[N * VOXELS] = {0};
    float whole[N] = {0};
    int16_t shorts[N * VOXELS] = {0};
    six a = good();
    a.array[TEST_IMAGES].type = "<f4";
    a.array[TEST_IMAGES].data = singles;
    assert_refused(f, &a, TUB_E_SHAPE, "test_images: type float32, but train_images has integers");
    a = good();
    a.array[TRAIN_LABELS].type = "<f4";
    a.array[TRAIN_LABELS].data = whole;
    assert_refused(f, &a, TUB_E_SHAPE, "train_labels: type float32, expected integers");
    shorts[30] = -1;
    a = good();
    a.array[TRAIN_IMAGES].type = "<i2";
    a.array[TRAIN_IMAGES].data = shorts;
    assert_refused(f, &a, TUB_E_RANGE, "train_images: ");
    for (int i = 0; i < 3; i++) {
        static const char *const pieces[] = {"is NaN", "is infinite", "1e+300, too large"};
        const double values[] = {(double)NAN, (double)-INFINITY, 1e300};
        double wide[N * VOXELS] = {0};
        wide[2 * VOXELS - 1] = values[i];
        a = good();
        a.array[TRAIN_IMAGES].type = "<f8";
        a.array[TRAIN_IMAGES].data = wide;
        assert_refused(f, &a, TUB_E_RANGE, pieces[i]);
        assert_non_null(strstr(f->error.message, "train_images: element 47 "));
    }
}

static void refuses_labels_out_of_range(void **state) {
    fixture *f = *state;
    six a = good();
    const signed char negative[N] = {0, 1, -1};
    a.array[TRAIN_LABELS].type = "|i1";
    a.array[TRAIN_LABELS].data = negative;
    assert_refused(f, &a, TUB_E_RANGE, "train_labels: label -1 of sample 2 is outside 0");
    const int64_t huge[N] = {0, 1LL << 40, 0};
    a.array[TRAIN_LABELS].type = "<i8";
    a.array[TRAIN_LABELS].data = huge;
    assert_refused(f, &a, TUB_E_RANGE,
                   "train_labels: label 1099511627776 of sample 1 is outside 0");
    a = good();
    const unsigned char beyond[N] = {0, 3, 0};
    a.array[TEST_LABELS].data = beyond;
    assert_refused(f, &a, TUB_E_RANGE,
                   "test_labels: label 3 of sample 1 is out of range: train_labels has 0");
}

static void refuses_what_is_no_npz(void **state) {
    fixture *f = *state;
    tub_dataset *d = NULL;
    assert_int_equal(tub_dataset_open(f->ctx, "no/such.npz", NULL, &d, &f->error), TUB_E_NOT_FOUND);
    assert_non_null(strstr(f->error.message, "no/such.npz: no such file"));
    assert_int_equal(tub_dataset_open(f->ctx, f->folder.path, NULL, &d, &f->error),
                     TUB_E_NOT_FOUND);
    assert_non_null(strstr(f->error.message, "has no class folders"));
    assert_ok(
        tub__file_write(&f->ctx->allocator, f->path, "not a zip archive at all", 24, &f->error),
        f->error);
    assert_int_equal(tub_dataset_open(f->ctx, f->path, NULL, &d, &f->error), TUB_E_FORMAT);
    six a = good();
    assert_int_equal(make_npz(f->path, a.array), 0);
    char *bytes;
    size_t size;
    assert_ok(tub__file_read(&f->ctx->allocator, f->path, 1 << 20, &bytes, &size, &f->error),
              f->error);
    for (size_t cut = 1; cut < size; cut += size / 13) { /* a truncated archive, wherever it ends */
        assert_ok(tub__file_write(&f->ctx->allocator, f->path, bytes, cut, &f->error), f->error);
        assert_int_equal(tub_dataset_open(f->ctx, f->path, NULL, &d, &f->error), TUB_E_FORMAT);
        assert_non_null(strstr(f->error.message, "made.npz"));
    }
    tub__free(&f->ctx->allocator, bytes);
    assert_null(d);
}

static void refuses_options_of_another_library(void **state) {
    fixture *f = *state;
    tub_dataset_options options = {0};
    assert_int_equal(tub_dataset_open(f->ctx, "phantom3d", &options, &f->data, &f->error),
                     TUB_E_ARGUMENT);
    assert_non_null(strstr(f->error.message, "start from tub_dataset_options_default()"));
    options = tub_dataset_options_default();
    assert_ok(tub_dataset_open(f->ctx, "phantom3d", &options, &f->data, &f->error), f->error);
}

static void knows_splits(void **state) {
    (void)state;
    tub_split s;
    for (int i = 0; i < TUB_SPLITS; i++) {
        assert_int_equal(tub_split_parse(tub_split_name((tub_split)i), &s, NULL), TUB_OK);
        assert_int_equal(s, i);
    }
    assert_int_equal(tub_split_parse("validation", &s, NULL), TUB_OK);
    assert_int_equal(s, TUB_VAL);
    assert_int_equal(tub_split_parse("training", &s, NULL), TUB_E_ARGUMENT);
}

static tub_status opened(tub_context *ctx, const void *path, tub_error *err) {
    tub_dataset *data;
    TUB__TRY(tub_dataset_open(ctx, path, NULL, &data, err));
    tub_dataset_close(data);
    return TUB_OK;
}

static tub_status open_and_close(const tub_allocator *a, void *user, tub_error *err) {
    return in_failing_context(a, 1, TUB_PRECISION_F32, opened, user, err);
}

static void survives_failing_allocations(void **state) {
    fixture *f = *state;
    six a = good();
    a.array[NAMES] = (test_array){"class_names", "|S2", 1, {3}, "a\0b\0cd", 0};
    double wide[N * VOXELS] = {0}; /* one split that has to be converted */
    for (int s = 0; s < 3; s++) {
        a.array[2 * s].type = "<f8";
        a.array[2 * s].data = wide;
    }
    assert_int_equal(make_npz(f->path, a.array), 0);
    failing_report report = failing_run(open_and_close, f->path);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations > 15);
    report = failing_run(open_and_close, (void *)(uintptr_t) "phantom3d");
    assert_string_equal(report.problem, "");
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(reads_medmnist_layout),
        CASE(reads_other_types),
        CASE(reads_fortran_order),
        CASE(reads_channels_last),
        CASE(takes_names_from_known_files),
        CASE(takes_no_licence_by_name_and_sizes),
        CASE(takes_its_own_names),
        CASE(follows_an_order),
        CASE(follows_an_order_of_columns),
        CASE(warns_of_names_it_can_not_use),
        CASE(warns_of_constant_volumes),
        CASE(warns_of_raw_floats),
        CASE(warns_of_faint_integers),
        CASE(warns_of_labels_from_one),
        CASE(refuses_wrong_keys),
        CASE(refuses_wrong_shapes),
        CASE(reads_labels),
        CASE(reads_heads),
        CASE(refuses_wrong_types),
        CASE(refuses_labels_out_of_range),
        CASE(refuses_what_is_no_npz),
        CASE(refuses_options_of_another_library),
        CASE(knows_splits),
        CASE(survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
