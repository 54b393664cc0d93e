/* SPDX-License-Identifier: Apache-2.0 */
/* Values, operations and arrays of an ONNX graph. */
#include "convert/onnx_maker.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "formats/onnx.h"

void tub__onnx_maker_start(tub__onnx_maker *m, const tub_model *model) {
    *m = (tub__onnx_maker){.model = model, .allocator = &model->context->allocator};
}

void tub__onnx_maker_end(tub__onnx_maker *m) {
    tub__onnx_graph_free(m->allocator, &m->graph);
    tub__free(m->allocator, m->sources);
    tub__free(m->allocator, m->constants);
    *m = (tub__onnx_maker){0};
}

/* ---- Values ---- */

static bool failed(const tub__onnx_maker *m) {
    return m->error.status != TUB_OK;
}

/* Room for one more of a list; false: there is none. */
static bool has_room(tub__onnx_maker *m, void *list, size_t count, size_t size, size_t *room) {
    return !failed(m) &&
           tub__alloc_room(m->allocator, list, count, size, room, &m->error) == TUB_OK;
}

void tub__onnx_scope(tub__onnx_maker *m, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(m->scope, sizeof m->scope, format, args);
    va_end(args);
}

size_t tub__onnx_value(tub__onnx_maker *m, const char *name) {
    tub__onnx_graph *g = &m->graph;
    if (!has_room(m, (void *)&g->names, g->name_count, sizeof *g->names, &g->name_room)) {
        return 0;
    }
    tub__onnx_rename(m, g->name_count, name);
    return g->name_count++;
}

void tub__onnx_rename(tub__onnx_maker *m, size_t value, const char *name) {
    if (!failed(m)) {
        snprintf(m->graph.names[value], sizeof *m->graph.names, "%s", name);
    }
}

/* ---- Operations ---- */

size_t tub__onnx_node_add(tub__onnx_maker *m, const char *op, size_t outputs, size_t count,
                          const size_t *inputs) {
    tub__onnx_graph *g = &m->graph;
    assert(count <= TUB__ONNX_INPUTS && outputs <= TUB__ONNX_OUTPUTS);
    const size_t first = g->name_count;
    if (!has_room(m, (void *)&g->nodes, g->node_count, sizeof *g->nodes, &g->node_room)) {
        return 0;
    }
    tub__onnx_node *node = &g->nodes[g->node_count++];
    *node = (tub__onnx_node){.inputs = count, .outputs = outputs};
    snprintf(node->op, sizeof node->op, "%s", op);
    memcpy(node->input, inputs, count * sizeof *inputs);
    for (size_t i = 0; i < outputs; i++) {
        char name[TUB__ONNX_NAME];
        snprintf(name, sizeof name, "%s/%s_%zu", m->scope, op, g->name_count);
        node->output[i] = tub__onnx_value(m, name);
    }
    return first;
}

size_t tub__onnx_op1(tub__onnx_maker *m, const char *op, size_t a) {
    return tub__onnx_node_add(m, op, 1, 1, (const size_t[]){a});
}

size_t tub__onnx_op2(tub__onnx_maker *m, const char *op, size_t a, size_t b) {
    return tub__onnx_node_add(m, op, 1, 2, (const size_t[]){a, b});
}

size_t tub__onnx_op3(tub__onnx_maker *m, const char *op, size_t a, size_t b, size_t c) {
    return tub__onnx_node_add(m, op, 1, 3, (const size_t[]){a, b, c});
}

/* A new attribute of the last operation; NULL after a failure. */
static tub__onnx_attribute *attribute(tub__onnx_maker *m, const char *name, tub__onnx_kind kind) {
    if (failed(m)) {
        return NULL;
    }
    tub__onnx_node *node = &m->graph.nodes[m->graph.node_count - 1];
    assert(node->attributes < TUB__ONNX_ATTRIBUTES);
    tub__onnx_attribute *a = &node->attribute[node->attributes++];
    *a = (tub__onnx_attribute){.kind = kind};
    snprintf(a->name, sizeof a->name, "%s", name);
    return a;
}

void tub__onnx_integer(tub__onnx_maker *m, const char *name, int64_t value) {
    tub__onnx_attribute *a = attribute(m, name, TUB__ONNX_INTEGER);
    if (a != NULL) {
        a->count = 1;
        a->integers[0] = value;
    }
}

void tub__onnx_real(tub__onnx_maker *m, const char *name, double value) {
    tub__onnx_attribute *a = attribute(m, name, TUB__ONNX_REAL);
    if (a != NULL) {
        a->real = (float)value;
    }
}

void tub__onnx_integers(tub__onnx_maker *m, const char *name, size_t count, const int64_t *values) {
    assert(count <= TUB__ONNX_RANK);
    tub__onnx_attribute *a = attribute(m, name, TUB__ONNX_INTEGERS);
    if (a != NULL) {
        a->count = count;
        memcpy(a->integers, values, count * sizeof *values);
    }
}

/* ---- Arrays ---- */

static size_t tensor(tub__onnx_maker *m, const char *name, tub__onnx_type type, int rank,
                     const int64_t *shape, tub__onnx_source source) {
    tub__onnx_graph *g = &m->graph;
    const size_t value = tub__onnx_value(m, name);
    if (!has_room(m, (void *)&g->tensors, g->tensor_count, sizeof *g->tensors, &g->tensor_room) ||
        !has_room(m, (void *)&m->sources, g->tensor_count, sizeof *m->sources, &m->source_room)) {
        return 0;
    }
    m->sources[g->tensor_count] = source;
    tub__onnx_tensor *t = &g->tensors[g->tensor_count++];
    *t = (tub__onnx_tensor){.value = value,
                            .type = type,
                            .rank = rank,
                            .bytes = type == TUB__ONNX_I64 ? sizeof(int64_t) : sizeof(float)};
    for (int i = 0; i < rank; i++) {
        t->shape[i] = shape[i];
        t->bytes *= (uint64_t)shape[i];
    }
    return value;
}

static bool same_shape(const tub__onnx_tensor *t, int rank, const int64_t *shape) {
    return t->rank == rank &&
           (rank == 0 || memcmp(t->shape, shape, (size_t)rank * sizeof *shape) == 0);
}

/* The value of such a constant that is there; SIZE_MAX: there is none. */
static size_t find_constant(const tub__onnx_maker *m, tub__onnx_type type, int rank,
                            const int64_t *shape, const void *data, size_t bytes) {
    for (size_t i = 0; i < m->graph.tensor_count; i++) {
        const tub__onnx_tensor *t = &m->graph.tensors[i];
        if (m->sources[i].param == NULL && t->type == type && same_shape(t, rank, shape) &&
            memcmp((const char *)m->constants + m->sources[i].at, data, bytes) == 0) {
            return t->value;
        }
    }
    return SIZE_MAX;
}

/* name: NULL for one that need not be told apart. */
static size_t constant(tub__onnx_maker *m, const char *name, tub__onnx_type type, int rank,
                       const int64_t *shape, const void *data, size_t bytes) {
    char numbered[TUB__ONNX_NAME];
    if (failed(m)) {
        return 0;
    }
    const size_t known = name == NULL ? find_constant(m, type, rank, shape, data, bytes) : SIZE_MAX;
    if (known != SIZE_MAX) {
        return known;
    }
    if (m->constant_bytes + bytes > m->constant_room) {
        const size_t room = 2 * (m->constant_bytes + bytes);
        if (tub__alloc_grow(m->allocator, &m->constants, m->constant_bytes, room, &m->error) !=
            TUB_OK) {
            return 0;
        }
        m->constant_room = room;
    }
    memcpy((char *)m->constants + m->constant_bytes, data, bytes);
    snprintf(numbered, sizeof numbered, "constant_%zu", m->graph.tensor_count);
    const tub__onnx_source source = {.at = m->constant_bytes};
    m->constant_bytes += bytes;
    return tensor(m, name != NULL ? name : numbered, type, rank, shape, source);
}

size_t tub__onnx_list(tub__onnx_maker *m, size_t count, const int64_t *values) {
    const int64_t shape[] = {(int64_t)count};
    return constant(m, NULL, TUB__ONNX_I64, 1, shape, values, count * sizeof *values);
}

size_t tub__onnx_scalar(tub__onnx_maker *m, double value) {
    const float real = (float)value;
    return constant(m, NULL, TUB__ONNX_F32, 0, NULL, &real, sizeof real);
}

size_t tub__onnx_index(tub__onnx_maker *m, int64_t value) {
    return constant(m, NULL, TUB__ONNX_I64, 0, NULL, &value, sizeof value);
}

size_t tub__onnx_reals(tub__onnx_maker *m, const char *name, int rank, const int64_t *shape,
                       const float *values) {
    size_t count = 1;
    for (int i = 0; i < rank; i++) {
        count *= (size_t)shape[i];
    }
    return constant(m, name, TUB__ONNX_F32, rank, shape, values, count * sizeof *values);
}

size_t tub__onnx_reshape(tub__onnx_maker *m, size_t x, size_t count, const int64_t *shape) {
    return tub__onnx_op2(m, "Reshape", x, tub__onnx_list(m, count, shape));
}

size_t tub__onnx_transpose(tub__onnx_maker *m, size_t x, size_t count, const int64_t *perm) {
    const size_t y = tub__onnx_op1(m, "Transpose", x);
    tub__onnx_integers(m, "perm", count, perm);
    return y;
}

/* ---- Parameters ---- */

bool tub__onnx_has(const tub__onnx_maker *m, tub__role role, int layer) {
    return tub__params_find(&m->model->params, role, layer) != NULL;
}

size_t tub__onnx_param(tub__onnx_maker *m, tub__role role, int layer) {
    const tub__param *p = tub__params_find(&m->model->params, role, layer);
    const bool transposed = p->file == TUB__FILE_TRANSPOSED;
    int64_t shape[TUB__ONNX_RANK];
    for (int i = 0; i < p->rank; i++) {
        shape[i] = (int64_t)p->shape[transposed ? p->rank - 1 - i : i];
    }
    return tensor(m, p->name, TUB__ONNX_F32, p->rank, shape,
                  (tub__onnx_source){.param = p, .transposed = transposed});
}

size_t tub__onnx_param_as(tub__onnx_maker *m, tub__role role, int layer, int rank,
                          const int64_t *shape) {
    const tub__param *p = tub__params_find(&m->model->params, role, layer);
    return tensor(m, p->name, TUB__ONNX_F32, rank, shape, (tub__onnx_source){.param = p});
}

/* ---- Ends ---- */

static void port(tub__onnx_port *out, size_t value, tub__onnx_type type, int rank,
                 const int64_t *shape) {
    *out = (tub__onnx_port){.value = value, .type = type, .rank = rank};
    memcpy(out->shape, shape, (size_t)rank * sizeof *shape);
}

void tub__onnx_input(tub__onnx_maker *m, size_t value, tub__onnx_type type, int rank,
                     const int64_t *shape) {
    assert(m->graph.input_count < TUB__ONNX_PORTS);
    port(&m->graph.inputs[m->graph.input_count++], value, type, rank, shape);
}

void tub__onnx_output(tub__onnx_maker *m, size_t value, int rank, const int64_t *shape) {
    assert(m->graph.output_count < TUB__ONNX_PORTS);
    port(&m->graph.outputs[m->graph.output_count++], value, TUB__ONNX_F32, rank, shape);
}

void tub__onnx_note_add(tub__onnx_maker *m, const char *key, char *text) {
    if (text == NULL || failed(m)) {
        tub__free(m->allocator, text);
        return;
    }
    assert(m->graph.note_count < TUB__ONNX_NOTES);
    tub__onnx_note *note = &m->graph.notes[m->graph.note_count++];
    snprintf(note->key, sizeof note->key, "%s", key);
    note->text = text;
}
