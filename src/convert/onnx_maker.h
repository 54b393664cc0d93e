/* SPDX-License-Identifier: Apache-2.0 */
/* Putting an ONNX graph together, operation after operation. The first failure sticks: what is
 * asked for afterwards does nothing, and tub__onnx_maker.error has the sentence. */
#ifndef TUB__CONVERT_ONNX_MAKER_H
#define TUB__CONVERT_ONNX_MAKER_H

#include "base/onnx_module.h"
#include "model/model.h"

/* Where a tensor's numbers come from. */
typedef struct tub__onnx_source {
    const tub__param *param; /* NULL: a constant */
    bool transposed;         /* against the order in model.safetensors: [in, out] */
    size_t at;               /* of a constant: where its bytes begin */
} tub__onnx_source;

typedef struct tub__onnx_maker {
    const tub_model *model;
    const tub_allocator *allocator;
    tub__onnx_graph graph;
    tub__onnx_source *sources; /* [graph.tensor_count] */
    size_t source_room;
    void *constants; /* bytes of all */
    size_t constant_bytes, constant_room;
    char scope[64]; /* what names of values begin with */
    tub_error error;
} tub__onnx_maker;

void tub__onnx_maker_start(tub__onnx_maker *m, const tub_model *model);
void tub__onnx_maker_end(tub__onnx_maker *m);

/* What the names of the next operations begin with. */
void tub__onnx_scope(tub__onnx_maker *m, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A new value; the same, with another name. */
size_t tub__onnx_value(tub__onnx_maker *m, const char *name);
void tub__onnx_rename(tub__onnx_maker *m, size_t value, const char *name);

/* An operation; returns the first of the values that it gives, the others follow it. */
size_t tub__onnx_node_add(tub__onnx_maker *m, const char *op, size_t outputs, size_t count,
                          const size_t *inputs);
size_t tub__onnx_op1(tub__onnx_maker *m, const char *op, size_t a);
size_t tub__onnx_op2(tub__onnx_maker *m, const char *op, size_t a, size_t b);
size_t tub__onnx_op3(tub__onnx_maker *m, const char *op, size_t a, size_t b, size_t c);
/* Attributes of the last one. */
void tub__onnx_integer(tub__onnx_maker *m, const char *name, int64_t value);
void tub__onnx_real(tub__onnx_maker *m, const char *name, double value);
void tub__onnx_integers(tub__onnx_maker *m, const char *name, size_t count, const int64_t *values);

/* Constants; equal lists of whole numbers, and equal single numbers, are one value. */
size_t tub__onnx_list(tub__onnx_maker *m, size_t count, const int64_t *values); /* [count] */
size_t tub__onnx_scalar(tub__onnx_maker *m, double value);                      /* float32 */
size_t tub__onnx_index(tub__onnx_maker *m, int64_t value);                      /* int64 */
size_t tub__onnx_reals(tub__onnx_maker *m, const char *name, int rank, const int64_t *shape,
                       const float *values);
/* Both of these and an operation. perm: axes of the result. */
size_t tub__onnx_reshape(tub__onnx_maker *m, size_t x, size_t count, const int64_t *shape);
size_t tub__onnx_transpose(tub__onnx_maker *m, size_t x, size_t count, const int64_t *perm);

/* A parameter as an array of the graph, under its own name. */
bool tub__onnx_has(const tub__onnx_maker *m, tub__role role, int layer);
size_t tub__onnx_param(tub__onnx_maker *m, tub__role role, int layer);
/* The same with a shape of its own, whose numbers stand in the order of model.safetensors. */
size_t tub__onnx_param_as(tub__onnx_maker *m, tub__role role, int layer, int rank,
                          const int64_t *shape);

void tub__onnx_input(tub__onnx_maker *m, size_t value, tub__onnx_type type, int rank,
                     const int64_t *shape);
void tub__onnx_output(tub__onnx_maker *m, size_t value, int rank, const int64_t *shape);
/* Metadata; takes the text, which may be NULL where there was no memory for it. */
void tub__onnx_note_add(tub__onnx_maker *m, const char *key, char *text);

#endif
