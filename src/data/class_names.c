/* SPDX-License-Identifier: Apache-2.0 */
/* The array class_names of a .npz data set: a help, so that names that can't be used are told and
 * left out. */
#include "base/error.h"
#include "data/dataset.h"
#include "formats/npy.h"
#include <string.h>

static const char key[] = "class_names";
static const uint64_t NAMES_LIMIT = 1 << 24;
enum { NAME_ROOM = 512 };

/* Each name as a text of its own, after what can be said against them. */
static tub_status copy_names(tub_dataset *data, const tub__npy *npy, const void *bytes,
                             tub_error *err) {
    const tub_allocator *a = &data->ctx->allocator;
    uint64_t classes = (uint64_t)data->info.classes;
    void *list = NULL;
    if (npy->rank != 1 || npy->elements != classes) {
        return tub__fail(err, TUB_E_SHAPE, "%llu names in %d dimension(s) for %llu classes",
                         (unsigned long long)npy->elements, npy->rank, (unsigned long long)classes);
    }
    TUB__TRY(tub__alloc_array(a, (size_t)classes, sizeof(char *), &list, err));
    data->class_names = list;
    for (uint64_t k = 0; k < classes; k++) {
        char name[NAME_ROOM];
        if (!tub__npy_text(npy, bytes, k, name, sizeof name)) {
            return tub__fail(err, TUB_E_FORMAT, "name %llu is empty or no printable text",
                             (unsigned long long)k);
        }
        TUB__TRY(tub__alloc_string(a, name, &data->class_names[k], err));
    }
    return TUB_OK;
}

void tub__dataset_free_names(tub_dataset *data) {
    const tub_allocator *a = &data->ctx->allocator;
    for (int64_t k = 0; data->class_names != NULL && k < data->info.classes; k++) {
        tub__free(a, data->class_names[k]);
    }
    tub__free(a, data->class_names);
    data->class_names = NULL;
}

tub_status tub__dataset_read_names(tub_dataset *data, tub__npz *z, tub_error *err) {
    void *bytes = NULL;
    tub__npy npy;
    tub_error why = {0};
    if (!tub__npz_has(z, key)) {
        return TUB_OK;
    }
    tub_status status = tub__npz_read_text(z, key, NAMES_LIMIT, &bytes, &npy, &why);
    if (status == TUB_OK) {
        status = copy_names(data, &npy, bytes, &why);
        if (status != TUB_OK) {
            (void)tub__prefix(&why, status, "%s", key);
        }
    }
    tub__free(&data->ctx->allocator, bytes);
    if (status == TUB_OK) {
        data->info.labels = (const char *const *)data->class_names;
        return TUB_OK;
    }
    tub__dataset_free_names(data);
    if (status == TUB_E_MEMORY) {
        return tub__fail(err, status, "%s", why.message);
    }
    tub__log_line(data->ctx, TUB_LOG_WARNING, "%s: %s; the names are not used", data->name,
                  why.message);
    return TUB_OK;
}
