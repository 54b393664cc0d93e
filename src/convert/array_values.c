/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers and checks for the values of a model's arrays. */
#include "convert/array_values.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

enum { SHAPE_LIMIT = 96 };

tub_status tub__array_buffers_create(const tub_model *model, tub__array_buffers *out,
                                     tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    const size_t largest = tub__params_largest(&model->params);
    TUB__TRY(tub__alloc_array(a, largest, sizeof *out->values, (void **)&out->values, err));
    tub_status status =
        tub__alloc_array(a, largest, sizeof *out->scratch, (void **)&out->scratch, err);
    if (status != TUB_OK) {
        tub__free(a, out->values);
    }
    return status;
}

void tub__array_buffers_free(const tub_model *model, tub__array_buffers *buffers) {
    tub__free(&model->context->allocator, buffers->scratch);
    tub__free(&model->context->allocator, buffers->values);
}

static void shape_text(int rank, const uint64_t *shape, char out[SHAPE_LIMIT]) {
    size_t used = (size_t)snprintf(out, SHAPE_LIMIT, "[");
    for (int i = 0; i < rank && used < SHAPE_LIMIT - 24; i++) {
        used += (size_t)snprintf(out + used, SHAPE_LIMIT - used, "%s%llu", i == 0 ? "" : ",",
                                 (unsigned long long)shape[i]);
    }
    snprintf(out + used, SHAPE_LIMIT - used, "]");
}

tub_status tub__check_shape(const char *name, int rank, const size_t *expected, int file_rank,
                            const uint64_t *file_shape, tub_error *err) {
    char wanted[SHAPE_LIMIT], found[SHAPE_LIMIT];
    uint64_t shape[8] = {0};
    bool same = file_rank == rank;
    for (int i = 0; i < rank; i++) {
        shape[i] = expected[i];
        same = same && file_shape[i] == shape[i];
    }
    if (!same) {
        shape_text(rank, shape, wanted);
        shape_text(file_rank, file_shape, found);
        return tub__fail(err, TUB_E_SHAPE, "%s: expected %s, file has %s", name, wanted, found);
    }
    return TUB_OK;
}

static bool is_finite(float value) {
    return value - value == 0.0f;
}

/* Without a branch for each, so that the compiler takes several at once. */
static bool all_finite(const float *values, size_t n) {
    int others = 0;
    for (size_t i = 0; i < n; i++) {
        others |= !is_finite(values[i]);
    }
    return others == 0;
}

tub_status tub__check_finite(const char *name, const float *values, size_t n, tub_error *err) {
    size_t i = 0;
    if (all_finite(values, n)) {
        return TUB_OK;
    }
    while (is_finite(values[i])) {
        i++;
    }
    return tub__fail(err, TUB_E_RANGE, "%s: element %zu is not finite", name, i);
}

void tub__to_table_layout(const tub__param *p, const float *matrix, float *out) {
    const size_t channels = p->file == TUB__FILE_CONV3D ? p->shape[1] : 1;
    const size_t taps = p->rows / channels;
    if (p->file == TUB__FILE_PLAIN) {
        memcpy(out, matrix, p->rows * p->cols * sizeof *out);
        return;
    }
    for (size_t d = 0; d < p->cols; d++) {
        for (size_t c = 0; c < channels; c++) {
            for (size_t i = 0; i < taps; i++) {
                out[(d * channels + c) * taps + i] = matrix[(i * channels + c) * p->cols + d];
            }
        }
    }
}
