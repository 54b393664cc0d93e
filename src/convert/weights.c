/* SPDX-License-Identifier: Apache-2.0 */
/* A folder's safetensors files as one set of arrays.
 *
 * The index of several files, as transformers writes it:
 *   {"metadata": {"total_size": …}, "weight_map": {"classifier.bias": "model-00001-of-00002.safetensors", …}}
 * transformers trusts it; here it must say exactly what the files hold. */
#include "convert/weights.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "formats/json.h"

static const char ARRAYS_FILE[] = "model.safetensors";
static const char INDEX_FILE[] = "model.safetensors.index.json";
static const size_t INDEX_LIMIT = (size_t)32 << 20;

/* ---- The set ---- */

static int by_name(const void *left, const void *right) {
    const tub__weights_entry *a = left, *b = right;
    return strcmp(a->array->name, b->array->name);
}

const tub__weights_entry *tub__weights_find(const tub__weights *w, const char *name) {
    const tub__st_array array = {.name = (char *)name}; /* only read */
    const tub__weights_entry wanted = {.array = &array};
    return w->count == 0 ? NULL
                         : bsearch(&wanted, w->entries, w->count, sizeof *w->entries, by_name);
}

static const char *file_name(const tub__weights *w, const tub__weights_entry *entry) {
    return w->names[entry->file - w->files];
}

static tub_status list_entries(tub__weights *w, tub_error *err) {
    size_t total = 0;
    for (size_t i = 0; i < w->file_count; i++) {
        total += w->files[i].count;
    }
    TUB__TRY(tub__alloc_array(w->allocator, total, sizeof *w->entries, (void **)&w->entries, err));
    for (size_t i = 0; i < w->file_count; i++) {
        for (size_t j = 0; j < w->files[i].count; j++) {
            w->entries[w->count++] = (tub__weights_entry){&w->files[i].arrays[j], &w->files[i]};
        }
    }
    if (w->count > 1) {
        qsort(w->entries, w->count, sizeof *w->entries, by_name);
    }
    for (size_t i = 1; i < w->count; i++) {
        if (by_name(&w->entries[i - 1], &w->entries[i]) == 0) {
            return tub__fail(err, TUB_E_FORMAT, "%.200s is in two files, %.60s and %.60s",
                             w->entries[i].array->name, file_name(w, &w->entries[i - 1]),
                             file_name(w, &w->entries[i]));
        }
    }
    return TUB_OK;
}

/* ---- The index ---- */

/* A file of this folder and of no other, on any system. */
static bool is_plain_name(const char *name) {
    return name[0] != '\0' && name[0] != '.' && strpbrk(name, "/\\:") == NULL;
}

static int by_text(const void *left, const void *right) {
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* The names of the files, each once. */
static tub_status list_files(const tub__json *map, tub__weights *w, tub_error *err) {
    const size_t size = tub__json_size(map);
    size_t kept = 0;
    TUB__TRY(tub__alloc_array(w->allocator, size, sizeof *w->names, (void **)&w->names, err));
    for (void *it = tub__json_first(map); it != NULL; it = tub__json_next(map, it)) {
        const char *name;
        TUB__TRY(tub__json_to_text(tub__json_value(it), tub__json_key(it), &name, err));
        if (!is_plain_name(name)) {
            return tub__fail(err, TUB_E_FORMAT,
                             "%.200s: '%.100s' is not the name of a file in this folder",
                             tub__json_key(it), name);
        }
        TUB__TRY(tub__alloc_string(w->allocator, name, &w->names[w->file_count], err));
        w->file_count++;
    }
    if (size > 1) {
        qsort(w->names, size, sizeof *w->names, by_text);
    }
    for (size_t i = 0; i < size; i++) {
        if (i > 0 && strcmp(w->names[i], w->names[kept - 1]) == 0) {
            tub__free(w->allocator, w->names[i]);
        } else {
            w->names[kept++] = w->names[i];
        }
    }
    w->file_count = kept;
    return TUB_OK;
}

/* Every array lies where the index says. */
static tub_status check_places(const tub__json *map, const tub__weights *w, tub_error *err) {
    for (void *it = tub__json_first(map); it != NULL; it = tub__json_next(map, it)) {
        const char *name;
        const tub__weights_entry *entry = tub__weights_find(w, tub__json_key(it));
        TUB__TRY(tub__json_to_text(tub__json_value(it), tub__json_key(it), &name, err));
        if (entry == NULL || strcmp(file_name(w, entry), name) != 0) {
            return tub__fail(err, TUB_E_NOT_FOUND,
                             "%.200s: missing in %.100s, where the index has it", tub__json_key(it),
                             name);
        }
    }
    for (size_t i = 0; i < w->count; i++) {
        if (tub__json_get(map, w->entries[i].array->name) == NULL) {
            return tub__fail(err, TUB_E_NOT_FOUND, "%.200s: missing in the index; %.100s has it",
                             w->entries[i].array->name, file_name(w, &w->entries[i]));
        }
    }
    return TUB_OK;
}

/* ---- Opening ---- */

static tub_status open_files(const char *folder, tub__weights *w, tub_error *err) {
    tub_status status =
        tub__alloc_array(w->allocator, w->file_count, sizeof *w->files, (void **)&w->files, err);
    for (size_t i = 0; i < w->file_count && status == TUB_OK; i++) {
        char *path;
        TUB__TRY(tub__path_join(w->allocator, folder, w->names[i], &path, err));
        status = tub__st_open(w->allocator, path, &w->files[i], err);
        tub__free(w->allocator, path);
    }
    return status;
}

static tub_status read_map(const tub__json *root, const tub__json **map, tub__weights *w,
                           tub_error *err) {
    TUB__TRY(tub__json_to_object(tub__json_get(root, "weight_map"), "weight_map", map, err));
    return list_files(*map, w, err);
}

/* Sentences of a file name that one; all others the index. */
static tub_status open_indexed(const char *folder, const tub__json *root, tub__weights *w,
                               tub_error *err) {
    const tub__json *map;
    tub_status status = read_map(root, &map, w, err);
    if (status == TUB_OK) {
        status = open_files(folder, w, err);
        if (status != TUB_OK && status != TUB_E_NOT_FOUND) {
            return status;
        }
    }
    if (status == TUB_OK) {
        status = list_entries(w, err);
    }
    if (status == TUB_OK) {
        status = check_places(map, w, err);
    }
    return status == TUB_OK || status == TUB_E_MEMORY ? status
                                                      : tub__prefix(err, status, "%s", w->path);
}

static tub_status open_index(const char *folder, tub__weights *w, tub_error *err) {
    tub__json *root;
    TUB__TRY(tub__json_load(w->allocator, w->path, INDEX_LIMIT, &root, err));
    tub_status status = open_indexed(folder, root, w, err);
    tub__json_free(root);
    return status;
}

static tub_status open_single(const char *folder, tub__weights *w, tub_error *err) {
    TUB__TRY(tub__alloc_array(w->allocator, 1, sizeof *w->names, (void **)&w->names, err));
    TUB__TRY(tub__alloc_string(w->allocator, ARRAYS_FILE, &w->names[0], err));
    w->file_count = 1;
    TUB__TRY(open_files(folder, w, err));
    return list_entries(w, err);
}

/* Of what is not read the sentence says how it becomes what is. */
static tub_status check_pickle(const char *folder, const tub__weights *w, tub_error *err) {
    char *pickle;
    TUB__TRY(tub__path_join(w->allocator, folder, "pytorch_model.bin", &pickle, err));
    const bool there = !tub__file_exists(w->path) && tub__file_exists(pickle);
    const tub_status status =
        there ? tub__fail(err, TUB_E_UNSUPPORTED,
                          "%s: a pickle, which can hold any program and is not read; write the "
                          "model with save_pretrained(FOLDER, safe_serialization=True)",
                          pickle)
              : TUB_OK;
    tub__free(w->allocator, pickle);
    return status;
}

/* model.safetensors where it is there, as in transformers; else the index where that is. */
static tub_status open_any(const char *folder, tub__weights *w, tub_error *err) {
    char *single;
    TUB__TRY(tub__path_join(w->allocator, folder, INDEX_FILE, &w->path, err));
    TUB__TRY(tub__path_join(w->allocator, folder, ARRAYS_FILE, &single, err));
    if (!tub__file_exists(single) && tub__file_exists(w->path)) {
        tub__free(w->allocator, single);
        return open_index(folder, w, err);
    }
    tub__free(w->allocator, w->path);
    w->path = single;
    TUB__TRY(check_pickle(folder, w, err));
    return open_single(folder, w, err);
}

tub_status tub__weights_open(const tub_allocator *a, const char *folder, tub__weights *out,
                             tub_error *err) {
    *out = (tub__weights){.allocator = a};
    tub_status status = open_any(folder, out, err);
    if (status != TUB_OK) {
        tub__weights_close(out);
    }
    return status;
}

static tub_status list_names(const char *index, tub__weights *w, tub_error *err) {
    tub__json *root;
    const tub__json *map;
    TUB__TRY(tub__alloc_string(w->allocator, index, &w->path, err));
    TUB__TRY(tub__json_load(w->allocator, index, INDEX_LIMIT, &root, err));
    const tub_status status = read_map(root, &map, w, err);
    tub__json_free(root);
    return status == TUB_OK || status == TUB_E_MEMORY ? status
                                                      : tub__prefix(err, status, "%s", index);
}

tub_status tub__weights_list(const tub_allocator *a, const char *index, tub__weights *out,
                             tub_error *err) {
    *out = (tub__weights){.allocator = a};
    const tub_status status = list_names(index, out, err);
    if (status != TUB_OK) {
        tub__weights_close(out);
    }
    return status;
}

void tub__weights_close(tub__weights *w) {
    for (size_t i = 0; i < w->file_count; i++) {
        if (w->files != NULL) {
            tub__st_close(&w->files[i]);
        }
        tub__free(w->allocator, w->names[i]);
    }
    if (w->allocator != NULL) {
        tub__free(w->allocator, w->entries);
        tub__free(w->allocator, w->files);
        tub__free(w->allocator, w->names);
        tub__free(w->allocator, w->path);
    }
    *w = (tub__weights){0};
}
