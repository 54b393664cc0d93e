/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: the arrays of a model folder in several files that an index names, with an allocation
 * that fails.
 *
 * The input is the text of the index up to a zero byte, the size of the first file in two bytes, and
 * the two files:
 *
 *   {"weight_map": …} 0 size size first… second…
 *
 * Without a text the first file is the folder's one and only. The folder is real, its files are in
 * memory. */
#include "../support/temp_folder.h"
#include "convert/weights.h"
#include "formats/json.h"
#include "fuzz.h"

#define ARRAYS "model.safetensors"
static const char *const shard_names[] = {"model-00001-of-00002.safetensors",
                                          "model-00002-of-00002.safetensors"};

static temp_folder indexed; /* the folder of two files */
static char whole[512];     /* that of one */

static void remove_folders(void) {
    temp_folder_drop(&indexed);
}

/* A name in a folder for a file in memory. */
static void give_name(const char *folder, const char *name, int fd) {
    char path[640], target[40];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    snprintf(target, sizeof target, "/proc/self/fd/%d", fd);
    FUZZ_CHECK(symlink(target, path) == 0);
}

/* The folder of one file lies in the other: an index that gets at it has left its folder. */
static void make_folders(const int shards[2], int index) {
    tub_error err;
    temp_folder_make(&indexed);
    FUZZ_CHECK(atexit(remove_folders) == 0);
    snprintf(whole, sizeof whole, "%s", temp_path(&indexed, "whole"));
    FUZZ_CHECK(tub__folder_create(whole, &err) == TUB_OK);
    give_name(indexed.path, ARRAYS ".index.json", index);
    give_name(indexed.path, shard_names[0], shards[0]);
    give_name(indexed.path, shard_names[1], shards[1]);
    give_name(whole, ARRAYS, shards[0]);
    give_name(whole, ARRAYS ".index.json", index);
}

/* Puts the input into the files; the folder that it describes. */
static const char *lay_out(const uint8_t *data, size_t size) {
    static int shards[2] = {-1, -1}, index = -1;
    const uint8_t *zero = memchr(data, 0, size), *end = data + size;
    const size_t text = zero != NULL ? (size_t)(zero - data) : size;
    const uint8_t *at = size - text > 3 ? zero + 3 : end;
    size_t first = at < end ? zero[1] + 256u * zero[2] : 0;
    first = first < (size_t)(end - at) ? first : (size_t)(end - at);
    fuzz_fill(&index, data, text);
    fuzz_fill(&shards[0], at, first);
    fuzz_fill(&shards[1], at + first, (size_t)(end - at) - first);
    if (indexed.path[0] == '\0') {
        make_folders(shards, index);
    }
    return text > 0 ? indexed.path : whole;
}

/* Every value into a block of exactly its size. */
static void read_values(const tub__weights_entry *e) {
    tub_error err = {0};
    float *values = malloc((size_t)e->array->elements * sizeof *values);
    FUZZ_CHECK(values != NULL || e->array->elements == 0);
    const tub_status status = tub__st_to_f32(e->file, e->array, values, &err);
    if (status != TUB_OK) {
        FUZZ_CHECK_ERROR(status, err);
    }
    free(values);
}

/* Each name is one of the files that are there, and no file is opened twice. */
static void check_files(const tub__weights *w, bool one) {
    FUZZ_CHECK(w->file_count <= (one ? 1 : 2) && (!one || w->file_count == 1));
    for (size_t i = 0; i < w->file_count; i++) {
        FUZZ_CHECK(strcmp(w->names[i], one ? ARRAYS : shard_names[0]) == 0 ||
                   (!one && strcmp(w->names[i], shard_names[1]) == 0));
        FUZZ_CHECK(i == 0 || strcmp(w->names[i - 1], w->names[i]) < 0);
    }
}

/* Every array of every file is found once, by its name. */
static void check_entries(const tub__weights *w) {
    size_t sum = 0;
    for (size_t i = 0; i < w->file_count; i++) {
        sum += w->files[i].count;
    }
    FUZZ_CHECK(sum == w->count);
    for (size_t i = 0; i < w->count; i++) {
        const tub__weights_entry *e = &w->entries[i];
        FUZZ_CHECK(i == 0 || strcmp(w->entries[i - 1].array->name, e->array->name) < 0);
        FUZZ_CHECK(tub__weights_find(w, e->array->name) == e);
        FUZZ_CHECK(tub__st_find(e->file, e->array->name) == e->array);
        read_values(e);
    }
    FUZZ_CHECK(tub__weights_find(w, "no such name in any file") == NULL);
}

/* The index, read once more, says of every array in which file it lies, and of no other. */
static void check_index(const tub__weights *w) {
    tub__json *root;
    tub_error err = {0};
    const char *name;
    FUZZ_CHECK(tub__json_load(&tub__default_allocator, w->path, 1 << 20, &root, &err) == TUB_OK);
    const tub__json *map = tub__json_get(root, "weight_map");
    FUZZ_CHECK(map != NULL && tub__json_size(map) == w->count);
    for (size_t i = 0; i < w->count; i++) {
        const tub__weights_entry *e = &w->entries[i];
        const tub__json *place = tub__json_get(map, e->array->name);
        FUZZ_CHECK(place != NULL && tub__json_to_text(place, "", &name, &err) == TUB_OK &&
                   strcmp(name, w->names[e->file - w->files]) == 0);
    }
    tub__json_free(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *folder = lay_out(data, size);
    tub__weights w;
    tub_error err = {0};
    tub_status status = tub__weights_open(&tub__default_allocator, folder, &w, &err);
    if (status == TUB_OK) {
        check_files(&w, folder == whole);
        check_entries(&w);
        if (folder == indexed.path) {
            check_index(&w);
        }
        tub__weights_close(&w);
    } else {
        FUZZ_CHECK_ERROR(status, err);
        FUZZ_CHECK(w.files == NULL && w.entries == NULL && w.path == NULL);
    }
    int left = (int)(size % 23);
    const tub_allocator failing = fuzz_allocator(&left);
    if (tub__weights_open(&failing, folder, &w, &err) == TUB_OK) {
        tub__weights_close(&w);
    }
    return 0;
}
