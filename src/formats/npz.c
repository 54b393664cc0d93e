/* SPDX-License-Identifier: Apache-2.0 */
/* Reading .npz: arrays in a zip archive. */
#include "formats/npy.h"

#include "base/error.h"
#include "formats/zip.h"
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    char *name;   /* without .npy; into tub__npz.names */
    size_t index; /* in the archive */
} entry;

struct tub__npz {
    const tub_allocator *allocator;
    tub__zip *zip;
    entry *entries; /* in the archive's order; of equal names only the last */
    size_t count;
    char *names; /* one block */
};

static int by_name(const void *left, const void *right) {
    const entry *a = left, *b = right;
    int order = strcmp(a->name, b->name);
    return order != 0 ? order : (a->index > b->index) - (a->index < b->index);
}

static int by_index(const void *left, const void *right) {
    const entry *a = left, *b = right;
    return (a->index > b->index) - (a->index < b->index);
}

/* Of equal names only the last of the archive stays, as in NumPy; the archive's order is kept. */
static void drop_duplicates(tub__npz *z) {
    size_t kept = 0;
    qsort(z->entries, z->count, sizeof *z->entries, by_name);
    for (size_t i = 0; i < z->count; i++) {
        if (i + 1 == z->count || strcmp(z->entries[i].name, z->entries[i + 1].name) != 0) {
            z->entries[kept++] = z->entries[i];
        }
    }
    z->count = kept;
    qsort(z->entries, z->count, sizeof *z->entries, by_index);
}

static tub_status list_entries(tub__npz *z, tub_error *err) {
    size_t bytes = 0;
    z->count = tub__zip_count(z->zip);
    for (size_t i = 0; i < z->count; i++) {
        bytes += strlen(tub__zip_name(z->zip, i)) + 1;
    }
    TUB__TRY(tub__alloc(z->allocator, bytes, (void **)&z->names, err));
    TUB__TRY(
        tub__alloc_array(z->allocator, z->count, sizeof *z->entries, (void **)&z->entries, err));
    char *to = z->names;
    for (size_t i = 0; i < z->count; i++) {
        const char *name = tub__zip_name(z->zip, i);
        size_t length = strlen(name);
        memcpy(to, name, length + 1);
        if (length > 4 && strcmp(to + length - 4, ".npy") == 0) {
            to[length - 4] = '\0';
        }
        z->entries[i] = (entry){.name = to, .index = i};
        to += length + 1;
    }
    drop_duplicates(z);
    return TUB_OK;
}

static tub_status with_entries(const tub_allocator *a, tub__zip *zip, tub__npz **out,
                               tub_error *err) {
    tub__npz *z = NULL;
    tub_status status = tub__alloc_array(a, 1, sizeof *z, (void **)&z, err);
    if (status != TUB_OK) {
        tub__zip_close(zip);
        return status;
    }
    *z = (tub__npz){.allocator = a, .zip = zip};
    status = list_entries(z, err);
    if (status != TUB_OK) {
        tub__npz_close(z);
        return status;
    }
    *out = z;
    return TUB_OK;
}

tub_status tub__npz_open(const tub_allocator *a, const char *path, tub__npz **out, tub_error *err) {
    tub__zip *zip;
    TUB__TRY(tub__zip_open(a, path, &zip, err));
    return with_entries(a, zip, out, err);
}

tub_status tub__npz_open_memory(const tub_allocator *a, const void *bytes, size_t size,
                                tub__npz **out, tub_error *err) {
    tub__zip *zip;
    TUB__TRY(tub__zip_open_memory(a, bytes, size, &zip, err));
    return with_entries(a, zip, out, err);
}

void tub__npz_close(tub__npz *z) {
    if (z == NULL) {
        return;
    }
    tub__zip_close(z->zip);
    tub__free(z->allocator, z->entries);
    tub__free(z->allocator, z->names);
    tub__free(z->allocator, z);
}

size_t tub__npz_count(const tub__npz *z) {
    return z->count;
}

const char *tub__npz_name(const tub__npz *z, size_t index) {
    return z->entries[index].name;
}

static const entry *find(const tub__npz *z, const char *name) {
    for (size_t i = 0; i < z->count; i++) {
        if (strcmp(z->entries[i].name, name) == 0) {
            return &z->entries[i];
        }
    }
    return NULL;
}

bool tub__npz_has(const tub__npz *z, const char *name) {
    return find(z, name) != NULL;
}

static tub_status read_member(tub__npz *z, const entry *e, uint64_t limit, bool text, void **bytes,
                              tub__npy *npy, tub_error *err) {
    void *block;
    size_t size;
    TUB__TRY(tub__zip_read(z->zip, e->index, limit, &block, &size, err));
    tub_status status = text ? tub__npy_parse_text(block, size, npy, err)
                             : tub__npy_parse(block, size, false, npy, err);
    if (status != TUB_OK) {
        tub__free(z->allocator, block);
        return status;
    }
    *bytes = block;
    return TUB_OK;
}

static tub_status read_named(tub__npz *z, const char *name, uint64_t limit, bool text, void **bytes,
                             tub__npy *npy, tub_error *err) {
    const entry *e = find(z, name);
    if (e == NULL) {
        return tub__fail(err, TUB_E_NOT_FOUND, "no array '%.200s' in the archive", name);
    }
    tub_status status = read_member(z, e, limit, text, bytes, npy, err);
    return status == TUB_OK ? TUB_OK : tub__prefix(err, status, "member '%.200s'", name);
}

tub_status tub__npz_read(tub__npz *z, const char *name, uint64_t limit, void **bytes, tub__npy *npy,
                         tub_error *err) {
    return read_named(z, name, limit, false, bytes, npy, err);
}

tub_status tub__npz_read_text(tub__npz *z, const char *name, uint64_t limit, void **bytes,
                              tub__npy *npy, tub_error *err) {
    return read_named(z, name, limit, true, bytes, npy, err);
}
