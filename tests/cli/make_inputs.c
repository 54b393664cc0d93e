/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the small good and bad files that the command-line tests use into the current folder. */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include "make_scenic.h"
#include "make_vit.h"

enum { SIDE = 8, VOLUME = SIDE * SIDE * SIDE, MEMBERS = 6, NAME_SIZE = 64 };

/* One .npy to be: a header and its bytes. */
typedef struct array {
    char name[NAME_SIZE];
    char descr[48];
    char shape[64];
    char *bytes;
    size_t size;
} array;

static void stop(const char *what) {
    perror(what);
    exit(1);
}

static void *allocate(size_t size) {
    void *block = calloc(1, size > 0 ? size : 1);
    if (block == NULL) {
        stop("calloc");
    }
    return block;
}

/* The bytes of a .npy file, version 1. */
static char *npy(const array *a, size_t *size) {
    char header[512];
    int n = snprintf(header, sizeof header,
                     "{'descr': %s, 'fortran_order': False, 'shape': (%s), }", a->descr, a->shape);
    int padded = (n + 1 + 10 + 63) / 64 * 64 - 10;
    char *out = allocate((size_t)padded + 10 + a->size);
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (char)(padded & 255);
    out[9] = (char)(padded >> 8);
    memset(out + 10, ' ', (size_t)padded);
    memcpy(out + 10, header, (size_t)n);
    out[10 + padded - 1] = '\n';
    memcpy(out + 10 + padded, a->bytes, a->size);
    *size = (size_t)padded + 10 + a->size;
    return out;
}

static void write_npz(const char *path, const array *arrays, int count) {
    int error = 0;
    zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &error);
    if (zip == NULL) {
        stop(path);
    }
    for (int i = 0; i < count; i++) {
        size_t size = 0;
        char name[NAME_SIZE + 8];
        char *bytes = npy(&arrays[i], &size);
        snprintf(name, sizeof name, "%s.npy", arrays[i].name);
        zip_source_t *source = zip_source_buffer(zip, bytes, size, 1);
        if (source == NULL || zip_file_add(zip, name, source, ZIP_FL_OVERWRITE) < 0) {
            stop(name);
        }
    }
    if (zip_close(zip) != 0) {
        stop(path);
    }
}

/* Three classes of volumes, bright in another third each, so that a small model can learn them. */
static void fill_images(array *a, const char *split, int count) {
    snprintf(a->name, sizeof a->name, "%s_images", split);
    snprintf(a->descr, sizeof a->descr, "'|u1'");
    snprintf(a->shape, sizeof a->shape, "%d, %d, %d, %d", count, SIDE, SIDE, SIDE);
    a->size = (size_t)count * VOLUME;
    a->bytes = allocate(a->size);
    for (int i = 0; i < count; i++) {
        for (int v = 0; v < VOLUME; v++) {
            int band = v / (VOLUME / 3 + 1);
            a->bytes[i * VOLUME + v] = (char)((band == i % 3 ? 150 : 40) + (v * 7 + i * 13) % 50);
        }
    }
}

static void fill_labels(array *a, const char *split, int count) {
    snprintf(a->name, sizeof a->name, "%s_labels", split);
    snprintf(a->descr, sizeof a->descr, "'|u1'");
    snprintf(a->shape, sizeof a->shape, "%d, 1", count);
    a->size = (size_t)count;
    a->bytes = allocate(a->size);
    for (int i = 0; i < count; i++) {
        a->bytes[i] = (char)(i % 3);
    }
}

/* The good set: 24, 9 and 9 samples. Bad ones are made by changing one thing in it. */
static void good(array arrays[MEMBERS]) {
    static const char *const splits[] = {"train", "val", "test"};
    static const int counts[] = {24, 9, 9};
    for (int i = 0; i < 3; i++) {
        fill_images(&arrays[2 * i], splits[i], counts[i]);
        fill_labels(&arrays[2 * i + 1], splits[i], counts[i]);
    }
}

static void release(array arrays[MEMBERS]) {
    for (int i = 0; i < MEMBERS; i++) {
        free(arrays[i].bytes);
    }
}

/* Replaces an array's values by `count` elements of another type, all zero bytes. */
static void retype(array *a, const char *descr, size_t element) {
    size_t count = a->size;
    free(a->bytes);
    snprintf(a->descr, sizeof a->descr, "%s", descr);
    a->size = count * element;
    a->bytes = allocate(a->size);
}

/* Floats between 0 and 1, one of them NaN. */
static void make_nan(array arrays[MEMBERS]) {
    for (int i = 0; i < MEMBERS; i += 2) {
        size_t n = arrays[i].size;
        retype(&arrays[i], "'<f4'", sizeof(float));
        for (size_t k = 0; k < n; k++) {
            float value = i == 0 && k == 700 ? NAN : (float)(k % 17) / 16.0f;
            memcpy(arrays[i].bytes + 4 * k, &value, 4);
        }
    }
}

/* More labels a sample: three that are there or not, or a class of each of two heads, of 3 and 2. */
static void more_labels(array arrays[MEMBERS], int columns) {
    for (int i = 1; i < MEMBERS; i += 2) {
        const int count = (int)arrays[i].size;
        char *old = arrays[i].bytes;
        arrays[i].size = (size_t)(count * columns);
        arrays[i].bytes = allocate(arrays[i].size);
        snprintf(arrays[i].shape, sizeof arrays[i].shape, "%d, %d", count, columns);
        for (int k = 0; k < count * columns; k++) {
            const int class = old[k / columns], column = k % columns;
            arrays[i].bytes[k] = (char)(columns == 3  ? class == column || class == 2
                                        : column == 0 ? class
                                                      : class == 1);
        }
        free(old);
    }
}

static void change(const char *kind, array arrays[MEMBERS]) {
    if (strcmp(kind, "keys") == 0) {
        snprintf(arrays[0].name, NAME_SIZE, "X_train");
        snprintf(arrays[1].name, NAME_SIZE, "y_train");
    } else if (strcmp(kind, "nolabels") == 0) {
        snprintf(arrays[3].name, NAME_SIZE, "val_targets");
    } else if (strcmp(kind, "complex") == 0) {
        retype(&arrays[0], "'<c8'", 8);
    } else if (strcmp(kind, "hounsfield") == 0) {
        const int16_t value = 1807;
        retype(&arrays[0], "'<i2'", sizeof value);
        memcpy(arrays[0].bytes, &value, sizeof value);
    } else if (strcmp(kind, "object") == 0) {
        retype(&arrays[0], "'|O'", 8);
    } else if (strcmp(kind, "struct") == 0) {
        retype(&arrays[0], "[('a', '<f4'), ('b', '<f4')]", 8);
    } else if (strcmp(kind, "floatlabels") == 0) {
        retype(&arrays[1], "'<f4'", 4);
        float half = 0.5f;
        memcpy(arrays[1].bytes, &half, 4);
    } else if (strcmp(kind, "negative") == 0) {
        retype(&arrays[1], "'|i1'", 1);
        arrays[1].bytes[5] = -2;
    } else if (strcmp(kind, "huge") == 0) {
        retype(&arrays[5], "'<i8'", 8);
        int64_t label = INT64_C(5000000000);
        memcpy(arrays[5].bytes, &label, 8);
    } else if (strcmp(kind, "fewlabels") == 0) {
        snprintf(arrays[1].shape, sizeof arrays[1].shape, "20, 1");
        arrays[1].size = 20;
    } else if (strcmp(kind, "empty") == 0) {
        snprintf(arrays[0].shape, sizeof arrays[0].shape, "0, 8, 8, 8");
        snprintf(arrays[1].shape, sizeof arrays[1].shape, "0, 1");
        arrays[0].size = arrays[1].size = 0;
    } else if (strcmp(kind, "mixed") == 0) {
        snprintf(arrays[4].shape, sizeof arrays[4].shape, "9, 8, 16, 4");
    } else if (strcmp(kind, "channels") == 0) {
        for (int i = 0; i < MEMBERS; i += 2) {
            long count =
                strtol(arrays[i].shape, NULL, 10) / 3; /* three channels from three samples */
            snprintf(arrays[i].shape, sizeof arrays[i].shape, "%ld, 3, 8, 8, 8", count);
            snprintf(arrays[i + 1].shape, sizeof arrays[i + 1].shape, "%ld, 1", count);
            arrays[i + 1].size = (size_t)count;
        }
    } else if (strcmp(kind, "rgb") == 0) {
        for (int i = 0; i < MEMBERS; i += 2) {
            const int count = (int)arrays[i + 1].size / 3; /* three samples' voxels */
            snprintf(arrays[i].shape, sizeof arrays[i].shape, "%d, 8, 8, 8, 3", count);
            snprintf(arrays[i + 1].shape, sizeof arrays[i + 1].shape, "%d, 1", count);
            arrays[i + 1].size = (size_t)count;
        }
    } else if (strcmp(kind, "flat") == 0) {
        snprintf(arrays[0].shape, sizeof arrays[0].shape, "24, 512");
    } else if (strcmp(kind, "short") == 0) {
        arrays[0].size -= 100;
    } else if (strcmp(kind, "bomb") == 0) {
        snprintf(arrays[0].shape, sizeof arrays[0].shape, "4000000000, 8, 8, 8");
    } else if (strcmp(kind, "overflow") == 0) {
        snprintf(arrays[0].shape, sizeof arrays[0].shape,
                 "4611686018427387904, 4611686018427387904, 8, 8");
    } else if (strcmp(kind, "traversal") == 0) {
        snprintf(arrays[5].name, NAME_SIZE, "../evil");
    } else if (strcmp(kind, "nan") == 0) {
        make_nan(arrays);
    } else if (strcmp(kind, "onebased") == 0) {
        for (int i = 1; i < MEMBERS; i += 2) {
            for (size_t k = 0; k < arrays[i].size; k++) {
                arrays[i].bytes[k]++;
            }
        }
    } else if (strcmp(kind, "labels") == 0) {
        more_labels(arrays, 3);
    } else if (strcmp(kind, "onehot") == 0) {
        more_labels(arrays, 3);
        for (int i = 1; i < MEMBERS; i += 2) {
            for (size_t k = 0; k < arrays[i].size; k++) {
                arrays[i].bytes[k] = k % 3 == k / 3 % 3;
            }
        }
    } else if (strcmp(kind, "heads") == 0) {
        more_labels(arrays, 2);
    } else if (strcmp(kind, "wide") == 0) {
        more_labels(arrays, 3);
        snprintf(arrays[1].shape, sizeof arrays[1].shape, "12, 6"); /* of 24 samples */
    } else if (strcmp(kind, "other") == 0) {
        arrays[0].bytes[0] ^= 1; /* good, too, but not the same */
    } else if (strcmp(kind, "notrain") == 0) {
        snprintf(arrays[0].name, NAME_SIZE, "other_images");
        snprintf(arrays[1].name, NAME_SIZE, "other_labels");
    }
}

static void write_text(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0) {
        stop(path);
    }
}

static void write_one_npy(const char *path, const char *descr, const char *shape, const void *bytes,
                          size_t size) {
    array a = {.bytes = (char *)(uintptr_t)bytes, .size = size};
    snprintf(a.descr, sizeof a.descr, "%s", descr);
    snprintf(a.shape, sizeof a.shape, "%s", shape);
    size_t total = 0;
    char *out = npy(&a, &total);
    FILE *file = fopen(path, "w");
    if (file == NULL || fwrite(out, 1, total, file) != total || fclose(file) != 0) {
        stop(path);
    }
    free(out);
}

static void write_volumes(void) {
    uint8_t volume[VOLUME];
    float values[VOLUME];
    for (int i = 0; i < VOLUME; i++) {
        volume[i] = (uint8_t)(i * 11);
        values[i] = (float)volume[i] / 255.0f;
    }
    write_one_npy("volume.npy", "'|u1'", "8, 8, 8", volume, sizeof volume);
    write_one_npy("other-shape.npy", "'|u1'", "4, 8, 16", volume, sizeof volume);
    write_one_npy("float.npy", "'<f4'", "8, 8, 8, 1", values, sizeof values);
    values[100] = NAN;
    write_one_npy("nan.npy", "'<f4'", "8, 8, 8, 1", values, sizeof values);
    for (int i = 0; i < VOLUME; i++) {
        values[i] = i == 0 ? -1000.0f : i == 1 ? 3000.0f : 40.0f;
    }
    write_one_npy("raw.npy", "'<f4'", "8, 8, 8", values, sizeof values);
    write_one_npy("half.npy", "'|u1'", "8, 8, 8", volume, sizeof volume / 2);
}

/* Volume k of a class. */
static void fill_volume(uint8_t *volume, int label, int k) {
    for (int i = 0; i < VOLUME; i++) {
        volume[i] = (uint8_t)((i * 7 + k * 13 + i * i * (k + 1)) % 100 + 100 * label);
    }
}

/* FOLDER/dark and FOLDER/light with ten volumes each; broken: two of them are none. */
static void write_set(const char *folder, bool broken) {
    static const char *const classes[] = {"dark", "light"};
    char path[128];
    if (mkdir(folder, 0777) != 0) {
        stop(folder);
    }
    for (int label = 0; label < 2; label++) {
        snprintf(path, sizeof path, "%s/%s", folder, classes[label]);
        if (mkdir(path, 0777) != 0) {
            stop(path);
        }
        for (int k = 0; k < 10; k++) {
            uint8_t volume[VOLUME];
            fill_volume(volume, label, k);
            snprintf(path, sizeof path, "%s/%s/%d.npy", folder, classes[label], k);
            write_one_npy(path, "'|u1'", "8, 8, 8", volume, sizeof volume);
            if (broken && k == 3) {
                write_text(path, "This is not an array.\n");
            }
        }
    }
}

/* All of such a set in one array: ten dark ones, then ten light ones. */
static void write_stack(void) {
    static uint8_t volumes[20][VOLUME];
    for (int i = 0; i < 20; i++) {
        fill_volume(volumes[i], i / 10, i % 10);
    }
    write_one_npy("stack.npy", "'|u1'", "20, 8, 8, 8", volumes, sizeof volumes);
}

/* scans/calm and scans/sick: ten volumes each in Hounsfield units, of several sizes, int16. */
static void write_scans(void) {
    static const char *const folders[] = {"scans", "scans/calm", "scans/sick"};
    static int16_t values[8 * 11 * 10];
    for (int i = 0; i < 3; i++) {
        if (mkdir(folders[i], 0777) != 0) {
            stop(folders[i]);
        }
    }
    for (int k = 0; k < 20; k++) {
        const int height = 9 + k % 3, n = 8 * height * 10;
        char path[64], shape[32];
        for (int i = 0; i < n; i++) {
            values[i] = (int16_t)(i % 7 == 0 ? -1000 : k < 10 ? k + i % 60 : 100 + k + i % 90);
        }
        snprintf(path, sizeof path, "%s/%d.npy", folders[1 + k / 10], k % 10);
        snprintf(shape, sizeof shape, "8, %d, 10", height);
        write_one_npy(path, "'<i2'", shape, values, (size_t)n * sizeof *values);
    }
}

int main(void) {
    static const char *const kinds[] = {
        "small",    "keys",     "nolabels",  "complex", "object",     "struct",   "floatlabels",
        "negative", "huge",     "fewlabels", "empty",   "mixed",      "flat",     "short",
        "bomb",     "overflow", "traversal", "nan",     "notrain",    "onebased", "other",
        "channels", "labels",   "heads",     "wide",    "hounsfield", "onehot",   "rgb"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        array arrays[MEMBERS] = {0};
        char path[64];
        good(arrays);
        change(kinds[i], arrays);
        snprintf(path, sizeof path, "%s.npz", kinds[i]);
        write_npz(path, arrays, MEMBERS);
        release(arrays);
    }
    /* The good file, cut in its middle. */
    if (rename("small.npz", "cut.npz") != 0 || truncate("cut.npz", 900) != 0) {
        stop("cut.npz");
    }
    array arrays[MEMBERS] = {0};
    good(arrays);
    write_npz("small.npz", arrays, MEMBERS);
    release(arrays);
    write_text("text.npz", "This is not a zip archive.\n");
    write_text("bad-key.yaml", "epochs: 2\nlearning_rat: 0.1\n");
    write_text("bad-syntax.yaml", "epochs: [2\nlr: 0.1\n");
    write_text("bad-value.yaml", "epochs: many\n");
    write_volumes();
    write_set("files", false);
    write_set("broken", true);
    write_stack();
    write_scans();
    if (make_vit("vit") != 0) {
        stop("vit");
    }
    make_scenic("checkpoint_1", 3);
    make_scenic("checkpoint_5", 5);
    return 0;
}
