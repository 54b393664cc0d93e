/* SPDX-License-Identifier: Apache-2.0 */
/* mod-onnx: a graph to the bytes of an ONNX file's protobuf messages (onnx.proto), by protobuf-c.
 *
 *   Model's own fields | 7, length | Graph's fields: 1, length, Node | … | 5, length, Tensor | …
 *
 * A message's length stands before it, so everything is counted first, and then written. The two
 * messages that hold arrays of any size, the graph and each of its tensors, are put together here;
 * protobuf-c would want them whole, in memory. */
#include "base/error.h"
#include "base/module.h"
#include "base/onnx_module.h"
#include <inttypes.h>
#include <onnx.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Field numbers of what stands around protobuf-c's messages. */
enum { MODEL_GRAPH = 7, GRAPH_NODE = 1, GRAPH_NAME = 2, GRAPH_TENSOR = 5, GRAPH_INPUT = 11 };
enum { GRAPH_OUTPUT = 12, TENSOR_RAW_DATA = 9, LENGTH_DELIMITED = 2, VARINT_ROOM = 10 };

/* The name of the first axis of every input and output. */
static const char BATCH[] = "N";

/* Bytes on their way out. */
typedef struct stream {
    const tub__onnx_graph *graph;
    const tub__onnx_sink *sink; /* NULL: they are only counted */
    uint64_t size;
    uint8_t *room; /* for one message */
    size_t capacity;
    tub_error *err;
} stream;

/* ---- Pieces ---- */

/* protobuf-c's structs have no const, and writing changes nothing in them. */
static char *borrow(const char *text) {
    return (char *)text;
}

static tub_status put_bytes(stream *s, const void *data, size_t size) {
    s->size += size;
    return s->sink != NULL ? s->sink->bytes(s->sink->user, data, size, s->err) : TUB_OK;
}

static size_t varint(uint64_t value, uint8_t out[VARINT_ROOM]) {
    size_t n = 0;
    for (; value >= 0x80; value >>= 7) {
        out[n++] = (uint8_t)(value | 0x80);
    }
    out[n++] = (uint8_t)value;
    return n;
}

/* What stands before a field of a length. */
static tub_status put_head(stream *s, int field, uint64_t length) {
    uint8_t head[2 * VARINT_ROOM];
    size_t n = varint((uint64_t)field << 3 | LENGTH_DELIMITED, head);
    n += varint(length, head + n);
    return put_bytes(s, head, n);
}

static tub_status no_memory(stream *s) {
    return tub__fail(s->err, TUB_E_MEMORY, "no memory for a part of an ONNX file");
}

/* A message without anything around it. */
static tub_status put_packed(stream *s, const ProtobufCMessage *message, size_t size) {
    if (s->sink == NULL) {
        s->size += size;
        return TUB_OK;
    }
    if (size > s->capacity) {
        free(s->room);
        s->capacity = 2 * size;
        s->room = malloc(s->capacity);
        if (s->room == NULL) {
            s->capacity = 0;
            return no_memory(s);
        }
    }
    protobuf_c_message_pack(message, s->room);
    return put_bytes(s, s->room, size);
}

static tub_status put_message(stream *s, int field, const ProtobufCMessage *message) {
    const size_t size = protobuf_c_message_get_packed_size(message);
    TUB__TRY(put_head(s, field, size));
    return put_packed(s, message, size);
}

/* ---- Operations ---- */

static void fill_attribute(const tub__onnx_attribute *from, Ox__Attribute *to) {
    ox__attribute__init(to);
    to->name = borrow(from->name);
    to->has_type = true;
    to->type = (Ox__Attribute__Type)from->kind;
    if (from->kind == TUB__ONNX_REAL) {
        to->has_f = true;
        to->f = from->real;
    } else if (from->kind == TUB__ONNX_INTEGER) {
        to->has_i = true;
        to->i = from->integers[0];
    } else {
        to->n_ints = from->count;
        to->ints = (int64_t *)from->integers;
    }
}

/* An operation has the name of the first value that it gives. */
static tub_status put_node(stream *s, const tub__onnx_node *from) {
    Ox__Node node = OX__NODE__INIT;
    Ox__Attribute attributes[TUB__ONNX_ATTRIBUTES], *list[TUB__ONNX_ATTRIBUTES];
    char *inputs[TUB__ONNX_INPUTS], *outputs[TUB__ONNX_OUTPUTS];
    for (size_t i = 0; i < from->inputs; i++) {
        inputs[i] = s->graph->names[from->input[i]];
    }
    for (size_t i = 0; i < from->outputs; i++) {
        outputs[i] = s->graph->names[from->output[i]];
    }
    for (size_t i = 0; i < from->attributes; i++) {
        fill_attribute(&from->attribute[i], &attributes[i]);
        list[i] = &attributes[i];
    }
    node.name = outputs[0];
    node.op_type = borrow(from->op);
    node.n_input = from->inputs;
    node.input = inputs;
    node.n_output = from->outputs;
    node.output = outputs;
    node.n_attribute = from->attributes;
    node.attribute = list;
    return put_message(s, GRAPH_NODE, &node.base);
}

/* ---- Arrays ---- */

enum { ENTRIES = 3, DIGITS = 24 };

static void fill_entry(const char *key, const char *value, Ox__Entry *entry) {
    ox__entry__init(entry);
    entry->key = borrow(key);
    entry->value = borrow(value);
}

static tub_status put_tensor(stream *s, size_t number) {
    const tub__onnx_tensor *from = &s->graph->tensors[number];
    Ox__Tensor tensor = OX__TENSOR__INIT;
    Ox__Entry entries[ENTRIES], *list[ENTRIES] = {&entries[0], &entries[1], &entries[2]};
    char offset[DIGITS], length[DIGITS];
    uint8_t raw[VARINT_ROOM];
    tensor.n_dims = (size_t)from->rank;
    tensor.dims = (int64_t *)from->shape;
    tensor.has_data_type = true;
    tensor.data_type = (int32_t)from->type;
    tensor.name = s->graph->names[from->value];
    if (from->external) {
        snprintf(offset, sizeof offset, "%" PRIu64, from->offset);
        snprintf(length, sizeof length, "%" PRIu64, from->bytes);
        fill_entry("location", s->graph->location, &entries[0]);
        fill_entry("offset", offset, &entries[1]);
        fill_entry("length", length, &entries[2]);
        tensor.n_external_data = ENTRIES;
        tensor.external_data = list;
        tensor.has_data_location = true;
        tensor.data_location = OX__TENSOR__LOCATION__EXTERNAL;
        return put_message(s, GRAPH_TENSOR, &tensor.base);
    }
    const size_t head = protobuf_c_message_get_packed_size(&tensor.base);
    TUB__TRY(put_head(s, GRAPH_TENSOR, head + 1 + varint(from->bytes, raw) + from->bytes));
    TUB__TRY(put_packed(s, &tensor.base, head));
    TUB__TRY(put_head(s, TENSOR_RAW_DATA, from->bytes));
    s->size += from->bytes;
    return s->sink != NULL ? s->sink->tensor(s->sink->user, number, s->err) : TUB_OK;
}

/* ---- Inputs and outputs ---- */

static tub_status put_port(stream *s, int field, const tub__onnx_port *from) {
    Ox__Dimension dimensions[TUB__ONNX_RANK], *list[TUB__ONNX_RANK];
    Ox__Shape shape = OX__SHAPE__INIT;
    Ox__TensorType tensor = OX__TENSOR_TYPE__INIT;
    Ox__Type type = OX__TYPE__INIT;
    Ox__ValueInfo info = OX__VALUE_INFO__INIT;
    for (int i = 0; i < from->rank; i++) {
        ox__dimension__init(&dimensions[i]);
        list[i] = &dimensions[i];
        if (from->shape[i] < 0) {
            dimensions[i].value_case = OX__DIMENSION__VALUE_DIM_PARAM;
            dimensions[i].dim_param = borrow(BATCH);
        } else {
            dimensions[i].value_case = OX__DIMENSION__VALUE_DIM_VALUE;
            dimensions[i].dim_value = from->shape[i];
        }
    }
    shape.n_dim = (size_t)from->rank;
    shape.dim = list;
    tensor.has_elem_type = true;
    tensor.elem_type = (int32_t)from->type;
    tensor.shape = &shape;
    type.tensor_type = &tensor;
    info.name = s->graph->names[from->value];
    info.type = &type;
    return put_message(s, field, &info.base);
}

/* ---- All ---- */

static tub_status put_graph(stream *s) {
    static const char name[] = "tubelet";
    const tub__onnx_graph *g = s->graph;
    for (size_t i = 0; i < g->node_count; i++) {
        TUB__TRY(put_node(s, &g->nodes[i]));
    }
    TUB__TRY(put_head(s, GRAPH_NAME, sizeof name - 1));
    TUB__TRY(put_bytes(s, name, sizeof name - 1));
    for (size_t i = 0; i < g->tensor_count; i++) {
        TUB__TRY(put_tensor(s, i));
    }
    for (size_t i = 0; i < g->input_count; i++) {
        TUB__TRY(put_port(s, GRAPH_INPUT, &g->inputs[i]));
    }
    for (size_t i = 0; i < g->output_count; i++) {
        TUB__TRY(put_port(s, GRAPH_OUTPUT, &g->outputs[i]));
    }
    return TUB_OK;
}

static tub_status put_model(stream *s) {
    const tub__onnx_graph *g = s->graph;
    Ox__Model model = OX__MODEL__INIT;
    Ox__OperatorSet opset = OX__OPERATOR_SET__INIT, *opsets[] = {&opset};
    Ox__Entry entries[TUB__ONNX_NOTES], *list[TUB__ONNX_NOTES];
    for (size_t i = 0; i < g->note_count; i++) {
        fill_entry(g->notes[i].key, g->notes[i].text, &entries[i]);
        list[i] = &entries[i];
    }
    model.has_ir_version = true;
    model.ir_version = g->ir_version;
    model.producer_name = borrow(g->producer);
    model.producer_version = borrow(g->producer_version);
    opset.domain = borrow("");
    opset.has_version = true;
    opset.version = g->opset;
    model.n_opset_import = 1;
    model.opset_import = opsets;
    model.n_metadata_props = g->note_count;
    model.metadata_props = list;
    return put_packed(s, &model.base, protobuf_c_message_get_packed_size(&model.base));
}

static tub_status write_all(stream *s) {
    stream counting = {.graph = s->graph, .err = s->err};
    TUB__TRY(put_graph(&counting));
    TUB__TRY(put_model(s));
    TUB__TRY(put_head(s, MODEL_GRAPH, counting.size));
    return put_graph(s);
}

static tub_status write_file(const tub__onnx_graph *graph, const tub__onnx_sink *sink,
                             tub_error *err) {
    stream s = {.graph = graph, .sink = sink, .err = err};
    const tub_status status = write_all(&s);
    free(s.room);
    return status;
}

/* Looked up by name when the module is opened. */
extern __attribute__((visibility("default"))) const tub__onnx_module tub__module_table;
const tub__onnx_module tub__module_table = {.version = TUB__MODULE_VERSION, .write = write_file};
