/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX files: reading the graph back. Writing is mod-onnx's (base/onnx_module.h).
 *
 * This reader goes over the protobuf fields itself: a message of protobuf-c would hold copies of
 * all arrays. It knows what graphs of networks like ours are made of (onnx.proto of the ONNX
 * project): arrays of float32 and int64 as raw data, and attributes that are numbers. */
#ifndef TUB__FORMATS_ONNX_H
#define TUB__FORMATS_ONNX_H

#include "base/alloc.h"
#include "base/onnx_module.h"

/* bytes: a file, which must stay while the tensors' data is used. *out is released by
 * tub__onnx_graph_free. Errors: TUB_E_FORMAT (a damaged file, an array whose bytes don't fit its
 * shape), TUB_E_UNSUPPORTED (what other graphs have), TUB_E_MEMORY. */
TUB_MUST_USE tub_status tub__onnx_read(const tub_allocator *a, const void *bytes, size_t size,
                                       tub__onnx_graph *out, tub_error *err);
/* Whether a graph is one: there is an opset, every value is given once, by an input, an array or an
 * operation, before it is taken, and outputs are given. TUB_E_FORMAT names what is wrong. */
TUB_MUST_USE tub_status tub__onnx_graph_check(const tub_allocator *a, const tub__onnx_graph *graph,
                                              tub_error *err);
void tub__onnx_graph_free(const tub_allocator *a,
                          tub__onnx_graph *graph); /* of a cleared one, too */
/* Whether two say the same, but for where their arrays' data lies. *what: the first difference. */
bool tub__onnx_graph_same(const tub__onnx_graph *one, const tub__onnx_graph *other,
                          const char **what);

#endif
