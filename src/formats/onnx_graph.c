/* SPDX-License-Identifier: Apache-2.0 */
/* What holds of every ONNX graph, and comparing two. */
#include <string.h>

#include "base/error.h"
#include "formats/onnx.h"

void tub__onnx_graph_free(const tub_allocator *a, tub__onnx_graph *g) {
    for (size_t i = 0; i < g->note_count; i++) {
        tub__free(a, g->notes[i].text);
    }
    tub__free(a, g->names);
    tub__free(a, g->nodes);
    tub__free(a, g->tensors);
    *g = (tub__onnx_graph){0};
}

/* ---- One ---- */

static tub_status give(const tub__onnx_graph *g, bool *given, size_t value, tub_error *err) {
    if (given[value]) {
        return tub__fail(err, TUB_E_FORMAT, "the value %s is given twice", g->names[value]);
    }
    given[value] = true;
    return TUB_OK;
}

static tub_status take(const tub__onnx_graph *g, const bool *given, size_t value, tub_error *err) {
    return given[value] ? TUB_OK
                        : tub__fail(err, TUB_E_FORMAT, "the value %s is taken before it is given",
                                    g->names[value]);
}

static tub_status check_values(const tub__onnx_graph *g, bool *given, tub_error *err) {
    for (size_t i = 0; i < g->input_count; i++) {
        TUB__TRY(give(g, given, g->inputs[i].value, err));
    }
    for (size_t i = 0; i < g->tensor_count; i++) {
        TUB__TRY(give(g, given, g->tensors[i].value, err));
    }
    for (size_t i = 0; i < g->node_count; i++) {
        const tub__onnx_node *n = &g->nodes[i];
        for (size_t j = 0; j < n->inputs; j++) {
            TUB__TRY(take(g, given, n->input[j], err));
        }
        for (size_t j = 0; j < n->outputs; j++) {
            TUB__TRY(give(g, given, n->output[j], err));
        }
    }
    for (size_t i = 0; i < g->output_count; i++) {
        TUB__TRY(take(g, given, g->outputs[i].value, err));
    }
    return TUB_OK;
}

tub_status tub__onnx_graph_check(const tub_allocator *a, const tub__onnx_graph *g, tub_error *err) {
    bool *given;
    if (g->opset < 1) {
        return tub__fail(err, TUB_E_FORMAT, "there is no version of the operators (opset)");
    }
    TUB__TRY(tub__alloc_array(a, g->name_count, sizeof *given, (void **)&given, err));
    const tub_status status = check_values(g, given, err);
    tub__free(a, given);
    return status;
}

/* ---- Two ---- */

/* Two graphs number their values as they please. */
typedef struct pair {
    const tub__onnx_graph *one, *other;
} pair;

static bool same_value(const pair *p, size_t one, size_t other) {
    return strcmp(p->one->names[one], p->other->names[other]) == 0;
}

static bool same_values(const pair *p, size_t n, const size_t *one, const size_t *other) {
    bool same = true;
    for (size_t i = 0; i < n && same; i++) {
        same = same_value(p, one[i], other[i]);
    }
    return same;
}

static bool same_numbers(size_t n, const int64_t *one, const int64_t *other) {
    return n == 0 || memcmp(one, other, n * sizeof *one) == 0;
}

static bool same_attribute(const tub__onnx_attribute *a, const tub__onnx_attribute *b) {
    return strcmp(a->name, b->name) == 0 && a->kind == b->kind &&
           memcmp(&a->real, &b->real, sizeof a->real) == 0 && a->count == b->count &&
           same_numbers(a->count, a->integers, b->integers);
}

static bool same_node(const pair *p, const tub__onnx_node *a, const tub__onnx_node *b) {
    bool same = strcmp(a->op, b->op) == 0 && a->inputs == b->inputs && a->outputs == b->outputs &&
                a->attributes == b->attributes && same_values(p, a->inputs, a->input, b->input) &&
                same_values(p, a->outputs, a->output, b->output);
    for (size_t i = 0; same && i < a->attributes; i++) {
        same = same_attribute(&a->attribute[i], &b->attribute[i]);
    }
    return same;
}

static bool same_tensor(const pair *p, const tub__onnx_tensor *a, const tub__onnx_tensor *b) {
    return same_value(p, a->value, b->value) && a->type == b->type && a->rank == b->rank &&
           same_numbers((size_t)a->rank, a->shape, b->shape) && a->bytes == b->bytes &&
           a->external == b->external && a->offset == b->offset;
}

static bool same_ports(const pair *p, size_t n, const tub__onnx_port *a, const tub__onnx_port *b) {
    bool same = true;
    for (size_t i = 0; same && i < n; i++) {
        same = same_value(p, a[i].value, b[i].value) && a[i].type == b[i].type &&
               a[i].rank == b[i].rank && same_numbers((size_t)a[i].rank, a[i].shape, b[i].shape);
    }
    return same;
}

static bool same_nodes(const pair *p) {
    bool same = p->one->node_count == p->other->node_count;
    for (size_t i = 0; same && i < p->one->node_count; i++) {
        same = same_node(p, &p->one->nodes[i], &p->other->nodes[i]);
    }
    return same;
}

static bool same_tensors(const pair *p) {
    bool same = p->one->tensor_count == p->other->tensor_count &&
                strcmp(p->one->location, p->other->location) == 0;
    for (size_t i = 0; same && i < p->one->tensor_count; i++) {
        same = same_tensor(p, &p->one->tensors[i], &p->other->tensors[i]);
    }
    return same;
}

static bool same_notes(const pair *p) {
    const tub__onnx_graph *a = p->one, *b = p->other;
    bool same = a->note_count == b->note_count;
    for (size_t i = 0; same && i < a->note_count; i++) {
        same = strcmp(a->notes[i].key, b->notes[i].key) == 0 &&
               strcmp(a->notes[i].text, b->notes[i].text) == 0;
    }
    return same;
}

bool tub__onnx_graph_same(const tub__onnx_graph *one, const tub__onnx_graph *other,
                          const char **what) {
    const pair p = {one, other};
    const struct {
        bool same;
        const char *what;
    } parts[] = {{one->ir_version == other->ir_version && one->opset == other->opset &&
                      strcmp(one->producer, other->producer) == 0 &&
                      strcmp(one->producer_version, other->producer_version) == 0,
                  "versions"},
                 {same_nodes(&p), "operations"},
                 {same_tensors(&p), "arrays"},
                 {one->input_count == other->input_count &&
                      same_ports(&p, one->input_count, one->inputs, other->inputs),
                  "inputs"},
                 {one->output_count == other->output_count &&
                      same_ports(&p, one->output_count, one->outputs, other->outputs),
                  "outputs"},
                 {same_notes(&p), "metadata"}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (!parts[i].same) {
            *what = parts[i].what;
            return false;
        }
    }
    return true;
}
