/* SPDX-License-Identifier: Apache-2.0 */
/* mod-onnx: a graph of operations as the bytes of an ONNX file (onnx.proto), written piece by
 * piece.
 *
 * Values are numbers: an operation takes some and gives others, and graph.names has their names.
 * Numbers of types and attributes are those of the file. */
#ifndef TUB__BASE_ONNX_MODULE_H
#define TUB__BASE_ONNX_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tubelet/status.h>

enum {
    TUB__ONNX_NAME = 128, /* room of a value's name */
    TUB__ONNX_WORD = 24,  /* of an operation's, an attribute's and a metadata key's */
    TUB__ONNX_INPUTS = 5, /* at most, of an operation */
    TUB__ONNX_OUTPUTS = 4,
    TUB__ONNX_ATTRIBUTES = 3,
    TUB__ONNX_RANK = 6,
    TUB__ONNX_PORTS = 4, /* inputs or outputs of a graph */
    TUB__ONNX_NOTES = 8  /* entries of metadata */
};

typedef enum tub__onnx_type {
    TUB__ONNX_F32 = 1,
    TUB__ONNX_U8 = 2,
    TUB__ONNX_I64 = 7
} tub__onnx_type;

typedef enum tub__onnx_kind {
    TUB__ONNX_REAL = 1,
    TUB__ONNX_INTEGER = 2,
    TUB__ONNX_INTEGERS = 7
} tub__onnx_kind;

typedef struct tub__onnx_attribute {
    char name[TUB__ONNX_WORD];
    tub__onnx_kind kind;
    float real;
    size_t count; /* of integers; INTEGER has one */
    int64_t integers[TUB__ONNX_RANK];
} tub__onnx_attribute;

typedef struct tub__onnx_node {
    char op[TUB__ONNX_WORD];
    size_t inputs, outputs, attributes;
    size_t input[TUB__ONNX_INPUTS], output[TUB__ONNX_OUTPUTS]; /* values */
    tub__onnx_attribute attribute[TUB__ONNX_ATTRIBUTES];
} tub__onnx_node;

/* An array that the file holds (an initializer). */
typedef struct tub__onnx_tensor {
    size_t value;
    tub__onnx_type type;
    int rank;
    int64_t shape[TUB__ONNX_RANK];
    uint64_t bytes;
    bool external; /* in graph.location, from offset on */
    uint64_t offset;
    const unsigned char *data; /* of a file that was read: within the map; NULL where external */
} tub__onnx_tensor;

/* An input or output. */
typedef struct tub__onnx_port {
    size_t value;
    tub__onnx_type type;
    int rank;
    int64_t shape[TUB__ONNX_RANK]; /* -1: any number of samples */
} tub__onnx_port;

typedef struct tub__onnx_note {
    char key[TUB__ONNX_WORD];
    char *text;
} tub__onnx_note;

typedef struct tub__onnx_graph {
    int64_t ir_version, opset;
    char producer[TUB__ONNX_WORD], producer_version[TUB__ONNX_WORD];
    char location[256]; /* name of the file of external arrays, or "" */
    char (*names)[TUB__ONNX_NAME];
    tub__onnx_node *nodes;
    tub__onnx_tensor *tensors;
    size_t name_count, node_count, tensor_count;
    size_t name_room, node_room, tensor_room;
    tub__onnx_port inputs[TUB__ONNX_PORTS], outputs[TUB__ONNX_PORTS];
    size_t input_count, output_count;
    tub__onnx_note notes[TUB__ONNX_NOTES];
    size_t note_count;
} tub__onnx_graph;

/* Where the bytes of a file go, in their order. */
typedef struct tub__onnx_sink {
    void *user;
    tub_status (*bytes)(void *user, const void *data, size_t size, tub_error *err);
    /* Puts tensor number i, all graph.tensors[i].bytes of it. */
    tub_status (*tensor)(void *user, size_t i, tub_error *err);
} tub__onnx_sink;

typedef struct tub__onnx_module {
    int version;
    /* Nothing of a graph's size is kept: the arrays pass by one after another. Errors: those of the
     * sink, TUB_E_MEMORY. */
    tub_status (*write)(const tub__onnx_graph *graph, const tub__onnx_sink *sink, tub_error *err);
} tub__onnx_module;

#endif
