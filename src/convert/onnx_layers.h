/* SPDX-License-Identifier: Apache-2.0 */
/* The networks as ONNX operations (opset 17): each function takes values and returns one. */
#ifndef TUB__CONVERT_ONNX_LAYERS_H
#define TUB__CONVERT_ONNX_LAYERS_H

#include "convert/onnx_maker.h"

/* x W + b over the last axis; the bias, role + 1, only where the model has one. */
size_t tub__onnx_dense(tub__onnx_maker *m, size_t x, tub__role kernel, int layer);
/* The same of x [N, features], as one operation. */
size_t tub__onnx_gemm(tub__onnx_maker *m, size_t x, tub__role kernel);
/* The tubelets of a clip [N, T, H, W, C] of real numbers: [N, tubelets, D]. */
size_t tub__onnx_tubelets(tub__onnx_maker *m, size_t clip);
/* A transformer of the model: from tokens [N, tokens, D], without class tokens and positions, to
 * what it pools: [N, D], or [N, sequences, D] below another one. */
size_t tub__onnx_tower(tub__onnx_maker *m, size_t tower, size_t tokens);
/* What a baseline makes of frames or a volume [N, T, H, W, C]: [N, features]. */
size_t tub__onnx_baseline(tub__onnx_maker *m, size_t clip);

/* All of the graph. levels: it takes uint8 and scales that itself. */
typedef struct tub__onnx_options {
    bool levels;
} tub__onnx_options;
/* TUB_E_SHAPE where the folder's preprocessing does not fit the model; TUB_E_MEMORY. */
TUB_MUST_USE tub_status tub__onnx_make(tub__onnx_maker *m, const tub__onnx_options *options,
                                       tub_error *err);

#endif
