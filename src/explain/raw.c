/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays as .npy files beside each other: PREFIX-NAME.npy. */
#include "explain/raw.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "formats/npy.h"

static tub_status path_of(const tub__raws *all, const char *name, char path[PATH_MAX],
                          tub_error *err) {
    return snprintf(path, PATH_MAX, "%s-%s.npy", all->prefix, name) < PATH_MAX
               ? TUB_OK
               : tub__fail(err, TUB_E_ARGUMENT, "%.100s...: too long a name", all->prefix);
}

/* The place of a file of that name: one that is there already is given up. */
static tub__raw *place_of(tub__raws *all, const char *name) {
    for (int i = 0; i < all->count; i++) {
        if (strcmp(all->file[i].name, name) == 0) {
            tub__writer_abort(&all->file[i].writer);
            return &all->file[i];
        }
    }
    assert(all->count < TUB__RAW_FILES);
    return &all->file[all->count++];
}

tub_status tub__raw_open(tub__raws *all, const char *name, int rank, const uint64_t *shape,
                         tub__raw **out, tub_error *err) {
    char path[PATH_MAX];
    *out = NULL;
    if (all->prefix == NULL) {
        return TUB_OK;
    }
    TUB__TRY(path_of(all, name, path, err));
    tub__raw *raw = place_of(all, name);
    *raw = (tub__raw){.name = name, .writer = {.fd = -1}};
    TUB__TRY(tub__npy_begin(all->allocator, path, "<f4", rank, shape, &raw->writer, err));
    raw->begin = tub__writer_position(&raw->writer);
    *out = raw;
    return TUB_OK;
}

tub_status tub__raw_put(tub__raw *raw, uint64_t first, const float *values, size_t count,
                        tub_error *err) {
    return raw == NULL ? TUB_OK
                       : tub__writer_put(&raw->writer, raw->begin + first * sizeof *values, values,
                                         count * sizeof *values, err);
}

tub_status tub__raw_write(tub__raws *all, const char *name, int rank, const uint64_t *shape,
                          const float *values, tub_error *err) {
    tub__raw *raw;
    size_t count = 1;
    for (int i = 0; i < rank; i++) {
        count *= (size_t)shape[i];
    }
    TUB__TRY(tub__raw_open(all, name, rank, shape, &raw, err));
    return tub__raw_put(raw, 0, values, count, err);
}

/* Files before number `end` have their names: takes them away. */
static void remove_first(const tub__raws *all, int end) {
    char path[PATH_MAX];
    for (int i = 0; i < end; i++) {
        if (path_of(all, all->file[i].name, path, NULL) == TUB_OK) {
            (void)unlink(path);
        }
    }
}

tub_status tub__raws_commit(tub__raws *all, tub_error *err) {
    for (int i = 0; i < all->count; i++) {
        const tub_status status = tub__writer_commit(&all->file[i].writer, err);
        if (status != TUB_OK) {
            remove_first(all, i);
            return status;
        }
    }
    return TUB_OK;
}

void tub__raws_abort(tub__raws *all) {
    for (int i = 0; i < all->count; i++) {
        tub__writer_abort(&all->file[i].writer);
    }
}
