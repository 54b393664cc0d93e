/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of an ONNX graph's arrays, one array after another. */
#ifndef TUB__CONVERT_ONNX_NUMBERS_H
#define TUB__CONVERT_ONNX_NUMBERS_H

#include "convert/array_values.h"
#include "convert/onnx_maker.h"

/* Room for one array at a time: values in the file's order, and another order of them. */
typedef struct tub__onnx_numbers {
    const tub__onnx_maker *maker;
    tub__array_buffers buffers;
} tub__onnx_numbers;

TUB_MUST_USE tub_status tub__onnx_numbers_create(const tub__onnx_maker *m, tub__onnx_numbers *out,
                                                 tub_error *err);
void tub__onnx_numbers_free(tub__onnx_numbers *n);
/* Those of tensor number i, valid until the next call. */
TUB_MUST_USE tub_status tub__onnx_numbers_of(const tub__onnx_numbers *n, size_t i, const void **out,
                                             tub_error *err);

#endif
