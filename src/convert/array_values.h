/* SPDX-License-Identifier: Apache-2.0 */
/* What every reader and writer of a model's arrays needs: buffers, and the checks of shape and
 * values with their sentences. */
#ifndef TUB__CONVERT_ARRAY_VALUES_H
#define TUB__CONVERT_ARRAY_VALUES_H

#include "model/model.h"

/* Two buffers that hold any array of the model: its values, and scratch for another order. */
typedef struct tub__array_buffers {
    float *values, *scratch;
} tub__array_buffers;
TUB_MUST_USE tub_status tub__array_buffers_create(const tub_model *model, tub__array_buffers *out,
                                                  tub_error *err);
void tub__array_buffers_free(const tub_model *model, tub__array_buffers *buffers);

/* TUB_E_SHAPE, "NAME: expected [2,3], file has [3,2]", unless both are the same. */
TUB_MUST_USE tub_status tub__check_shape(const char *name, int rank, const size_t *expected,
                                         int file_rank, const uint64_t *file_shape, tub_error *err);
/* TUB_E_RANGE where a value is NaN or infinite. */
TUB_MUST_USE tub_status tub__check_finite(const char *name, const float *values, size_t n,
                                          tub_error *err);
/* From the matrix [rows, cols], Flax' [in, out], to the layout of the parameter table: dense kernels
 * [out, in], the embedding [D, C, t, h, w]; see tub__file_layout. */
void tub__to_table_layout(const tub__param *p, const float *matrix, float *out);

#endif
