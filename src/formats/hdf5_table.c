/* SPDX-License-Identifier: Apache-2.0 */
/* The table of the arrays that a worker process read from an HDF5 file. */
#include "base/error.h"
#include "formats/hdf5.h"
#include <stdlib.h>
#include <string.h>

bool tub__is_hdf5(const void *bytes, size_t size) {
    static const char signature[8] = {'\x89', 'H', 'D', 'F', '\r', '\n', '\x1a', '\n'};
    return size >= sizeof signature && memcmp(bytes, signature, sizeof signature) == 0;
}

static int by_name(const void *left, const void *right) {
    return strcmp(((const tub__h5_array *)left)->name, ((const tub__h5_array *)right)->name);
}

static int by_group(const void *left, const void *right) {
    return strcmp(((const tub__h5_label *)left)->group, ((const tub__h5_label *)right)->group);
}

static tub_status count_records(tub__wire_bytes bytes, size_t *arrays, size_t *labels,
                                tub_error *err) {
    tub__wire_record r;
    *arrays = *labels = 0;
    for (;;) {
        TUB__TRY(tub__wire_next(&bytes, &r, err));
        if (r.kind == TUB__WIRE_END) {
            return TUB_OK;
        }
        *arrays += r.kind == TUB__WIRE_ARRAY;
        *labels += r.kind == TUB__WIRE_TEXT;
    }
}

/* After a count that found every record sound. */
static tub_status fill(tub__h5_file *f, tub__wire_bytes bytes, tub_error *err) {
    tub__wire_record r;
    for (;;) {
        TUB__TRY(tub__wire_next(&bytes, &r, err));
        if (r.kind == TUB__WIRE_END) {
            break;
        }
        if (r.kind == TUB__WIRE_TEXT) {
            f->labels[f->label_count++] = (tub__h5_label){r.name, r.data};
            continue;
        }
        tub__h5_array *array = &f->arrays[f->count++];
        *array = (tub__h5_array){.name = r.name,
                                 .type = (tub__h5_type)r.code,
                                 .rank = r.rank,
                                 .elements = r.elements,
                                 .data = r.data};
        memcpy(array->shape, r.shape, sizeof array->shape);
        if (r.code == TUB__WIRE_U8) {
            return tub__fail(err, TUB_E_FORMAT, "%.300s: what the worker process sent is no array",
                             r.name);
        }
    }
    qsort(f->arrays, f->count, sizeof *f->arrays, by_name);
    qsort(f->labels, f->label_count, sizeof *f->labels, by_group);
    for (size_t i = 1; i < f->count; i++) {
        if (by_name(&f->arrays[i - 1], &f->arrays[i]) == 0) {
            return tub__fail(err, TUB_E_FORMAT, "%.300s: the file has it twice", f->arrays[i].name);
        }
    }
    return TUB_OK;
}

tub_status tub__h5_parse(const tub_allocator *a, tub__map answer, tub__h5_file *out,
                         tub_error *err) {
    const tub__wire_bytes bytes = {answer.data, answer.size};
    size_t arrays, labels;
    *out = (tub__h5_file){.allocator = a, .answer = answer};
    tub_status status = count_records(bytes, &arrays, &labels, err);
    if (status == TUB_OK) {
        status = tub__alloc_array(a, arrays, sizeof *out->arrays, (void **)&out->arrays, err);
    }
    if (status == TUB_OK) {
        status = tub__alloc_array(a, labels, sizeof *out->labels, (void **)&out->labels, err);
    }
    if (status == TUB_OK) {
        status = fill(out, bytes, err);
    }
    if (status != TUB_OK) {
        tub__h5_close(out);
    }
    return status;
}

void tub__h5_close(tub__h5_file *f) {
    tub__free(f->allocator, f->labels);
    tub__free(f->allocator, f->arrays);
    tub__map_close(&f->answer);
    *f = (tub__h5_file){.allocator = f->allocator};
}

const tub__h5_array *tub__h5_find(const tub__h5_file *f, const char *name) {
    const tub__h5_array key = {.name = name};
    return f->count == 0 ? NULL : bsearch(&key, f->arrays, f->count, sizeof key, by_name);
}

const char *tub__h5_label_of(const tub__h5_file *f, const char *group) {
    const tub__h5_label key = {.group = group};
    const tub__h5_label *found =
        f->label_count == 0 ? NULL : bsearch(&key, f->labels, f->label_count, sizeof key, by_group);
    return found == NULL ? NULL : found->text;
}

void tub__h5_to_f32(const tub__h5_array *array, float *out) {
    if (array->type == TUB__H5_F32) {
        memcpy(out, array->data, (size_t)array->elements * sizeof *out);
        return;
    }
    const double *values = array->data;
    for (uint64_t i = 0; i < array->elements; i++) {
        out[i] = (float)values[i];
    }
}
