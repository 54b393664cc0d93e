/* SPDX-License-Identifier: Apache-2.0 */
/* Writing safetensors: the header is made from the declarations alone, so the same arrays give the
 * same bytes. */
#include "formats/safetensors.h"

#include "base/error.h"
#include "formats/half.h" /* for its check of the byte order */
#include "formats/json.h"
#include "formats/safetensors_dtype.h"
#include <string.h>

struct tub__st_writer {
    const tub_allocator *allocator;
    tub__writer file;
    tub__st_array *arrays; /* in the declared order */
    size_t count, capacity;
    char **metadata; /* key, value, key, value, … */
    size_t metadata_count, metadata_capacity;
    size_t next; /* array whose bytes come next */
    bool header_written;
};

tub_status tub__st_create(const tub_allocator *a, const char *path, tub__st_writer **out,
                          tub_error *err) {
    tub__st_writer *w;
    TUB__TRY(tub__alloc_array(a, 1, sizeof *w, (void **)&w, err));
    w->allocator = a;
    tub_status status = tub__writer_open(a, path, &w->file, err);
    if (status != TUB_OK) {
        tub__free(a, w);
        return status;
    }
    *out = w;
    return TUB_OK;
}

tub_status tub__st_declare(tub__st_writer *w, const char *name, tub__st_dtype dtype, int rank,
                           const uint64_t *shape, tub_error *err) {
    const tub__st_kind *kind = tub__st_kind_of(dtype);
    tub__st_array array = {.dtype = dtype, .rank = rank};
    if (kind == NULL || rank < 0 || rank > TUB__SAFETENSORS_RANK || w->header_written) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "%s: can't be declared (type, number of dimensions, or too late)", name);
    }
    for (size_t i = 0; i < w->count; i++) {
        if (strcmp(w->arrays[i].name, name) == 0) {
            return tub__fail(err, TUB_E_ARGUMENT, "%s: declared twice", name);
        }
    }
    for (int i = 0; i < rank; i++) {
        array.shape[i] = shape[i];
    }
    array.offset =
        w->count == 0 ? 0 : w->arrays[w->count - 1].offset + w->arrays[w->count - 1].size;
    uint64_t end;
    if (!tub__st_size(kind, &array) || __builtin_add_overflow(array.offset, array.size, &end) ||
        end > INT64_MAX) {
        return tub__fail(err, TUB_E_MEMORY, "%s: its size overflows", name);
    }
    TUB__TRY(tub__alloc_room(w->allocator, (void **)&w->arrays, w->count, sizeof *w->arrays,
                             &w->capacity, err));
    TUB__TRY(tub__alloc_string(w->allocator, name, &array.name, err));
    w->arrays[w->count++] = array;
    return TUB_OK;
}

tub_status tub__st_declare_metadata(tub__st_writer *w, const char *key, const char *value,
                                    tub_error *err) {
    const char *const pair[2] = {key, value};
    if (w->header_written) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "%s: metadata must be declared before the first array's bytes", key);
    }
    for (int i = 0; i < 2;
         i++) { /* an odd count after a failure is fine: the writer is then given up */
        TUB__TRY(tub__alloc_room(w->allocator, (void **)&w->metadata, w->metadata_count,
                                 sizeof *w->metadata, &w->metadata_capacity, err));
        TUB__TRY(tub__alloc_string(w->allocator, pair[i], &w->metadata[w->metadata_count], err));
        w->metadata_count++;
    }
    return TUB_OK;
}

static void put_array(tub__json_writer *json, const tub__st_array *array) {
    tub__json_open_object(json, array->name);
    tub__json_put_text(json, "dtype", tub__st_kind_of(array->dtype)->name);
    tub__json_open_array(json, "shape");
    for (int i = 0; i < array->rank; i++) {
        tub__json_put_integer(json, NULL, (int64_t)array->shape[i]);
    }
    tub__json_close_array(json);
    tub__json_open_array(json, "data_offsets");
    tub__json_put_integer(json, NULL, (int64_t)array->offset);
    tub__json_put_integer(json, NULL, (int64_t)(array->offset + array->size));
    tub__json_close_array(json);
    tub__json_close_object(json);
}

static void put_header(tub__json_writer *json, const tub__st_writer *w) {
    tub__json_open_object(json, NULL);
    if (w->metadata_count > 0) {
        tub__json_open_object(json, "__metadata__");
        for (size_t i = 0; i + 1 < w->metadata_count; i += 2) {
            tub__json_put_text(json, w->metadata[i], w->metadata[i + 1]);
        }
        tub__json_close_object(json);
    }
    for (size_t i = 0; i < w->count; i++) {
        put_array(json, &w->arrays[i]);
    }
    tub__json_close_object(json);
}

/* Length, JSON, and spaces up to a multiple of 8, so that the data are aligned in a map of the
 * file. */
static tub_status write_header(tub__st_writer *w, tub_error *err) {
    tub__json_writer json;
    char *text;
    size_t size;
    tub__json_start(&json, w->allocator, 0);
    put_header(&json, w);
    TUB__TRY(tub__json_finish(&json, &text, &size, err));
    const uint64_t length = tub__round_up(size, 8);
    tub_status status = tub__writer_write(&w->file, &length, sizeof length, err);
    if (status == TUB_OK) {
        status = tub__writer_write(&w->file, text, size, err);
    }
    if (status == TUB_OK) {
        status = tub__writer_write(&w->file, "        ", (size_t)length - size, err);
    }
    tub__free(w->allocator, text);
    w->header_written = true;
    return status;
}

tub_status tub__st_write(tub__st_writer *w, const void *data, size_t size, tub_error *err) {
    if (w->next == w->count || size != w->arrays[w->next].size) {
        return tub__fail(err, TUB_E_ARGUMENT, "%s: %zu bytes are not what was declared",
                         w->next == w->count ? "no array left" : w->arrays[w->next].name, size);
    }
    if (!w->header_written) {
        TUB__TRY(write_header(w, err));
    }
    w->next++;
    return size == 0 ? TUB_OK : tub__writer_write(&w->file, data, size, err);
}

static void release(tub__st_writer *w) {
    for (size_t i = 0; i < w->count; i++) {
        tub__free(w->allocator, w->arrays[i].name);
    }
    for (size_t i = 0; i < w->metadata_count; i++) {
        tub__free(w->allocator, w->metadata[i]);
    }
    tub__free(w->allocator, w->arrays);
    tub__free(w->allocator, w->metadata);
    tub__free(w->allocator, w);
}

tub_status tub__st_commit(tub__st_writer *w, tub_error *err) {
    tub_status status = TUB_OK;
    if (w->next < w->count) {
        status =
            tub__fail(err, TUB_E_ARGUMENT, "%s: declared but not written", w->arrays[w->next].name);
    } else if (!w->header_written) { /* a file without arrays */
        status = write_header(w, err);
    }
    if (status != TUB_OK) {
        tub__st_abort(w);
        return status;
    }
    status = tub__writer_commit(&w->file, err);
    release(w);
    return status;
}

void tub__st_abort(tub__st_writer *w) {
    if (w != NULL) {
        tub__writer_abort(&w->file);
        release(w);
    }
}
