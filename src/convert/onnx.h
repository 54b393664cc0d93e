/* SPDX-License-Identifier: Apache-2.0 */
/* A model as an ONNX file: the graph of its forward pass with its arrays (docs/onnx.md). */
#ifndef TUB__CONVERT_ONNX_H
#define TUB__CONVERT_ONNX_H

#include "convert/file_array.h"
#include "convert/onnx_layers.h"

/* From so many bytes of arrays on they get a file of their own: protobuf ends at 2 GiB. */
#define TUB__ONNX_LIMIT UINT64_C(1800000000)

/* Whether a path ends in ".onnx". */
bool tub__is_onnx_path(const char *path);
/* The name of the file of external arrays beside it, the caller's. */
TUB_MUST_USE tub_status tub__onnx_data_path(const tub_allocator *a, const char *path, char **out,
                                            tub_error *err);

/* The graph of a model for a file of that path, whose name counts where arrays are external;
 * that is also where they are many, asked for or not. m is released by tub__onnx_maker_end, in
 * any case. */
TUB_MUST_USE tub_status tub__onnx_plan(tub__onnx_maker *m, const tub_model *model, const char *path,
                                       const tub__onnx_options *options, bool external,
                                       tub_error *err);
/* What the file has of each parameter: [params.count]. */
void tub__onnx_describe(const tub__onnx_maker *m, tub__file_array *out);
/* What happens to the axes of a parameter on the way from there to model.safetensors, or back. */
const char *tub__onnx_axes(const tub__onnx_maker *m, const tub__param *p);
/* Writes it, and the external arrays before. Errors: TUB_E_MODULE (mod-onnx), TUB_E_IO,
 * TUB_E_MEMORY. */
TUB_MUST_USE tub_status tub__onnx_save(const tub__onnx_maker *m, const char *path, tub_error *err);
/* Reads it again: the same graph, a valid one, with the same bits in each array. Else
 * TUB_E_NUMERIC or TUB_E_FORMAT. */
TUB_MUST_USE tub_status tub__onnx_check_file(const tub__onnx_maker *m, const char *path,
                                             tub_error *err);

#endif
