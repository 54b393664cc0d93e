/* SPDX-License-Identifier: Apache-2.0 */
/* Going through a graph: arrays in, one operation after another. */
#include "onnx_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- For the operators ---- */

void onnx_array_make(onnx_array *a, int rank, const int64_t *shape) {
    *a = (onnx_array){.rank = rank, .count = 1};
    for (int i = 0; i < rank; i++) {
        a->shape[i] = shape[i];
        a->count *= (size_t)shape[i];
    }
    a->data = calloc(a->count + 1, sizeof *a->data);
    if (a->data == NULL) {
        abort();
    }
}

const tub__onnx_attribute *onnx_attribute(const onnx_step *s, const char *name) {
    for (size_t i = 0; i < s->node->attributes; i++) {
        if (strcmp(s->node->attribute[i].name, name) == 0) {
            return &s->node->attribute[i];
        }
    }
    return NULL;
}

int64_t onnx_integer(const onnx_step *s, const char *name, int64_t otherwise) {
    const tub__onnx_attribute *a = onnx_attribute(s, name);
    return a != NULL ? a->integers[0] : otherwise;
}

int onnx_axis(const onnx_step *s, int64_t otherwise) {
    const int64_t axis = onnx_integer(s, "axis", otherwise);
    return (int)(axis < 0 ? axis + s->in[0]->rank : axis);
}

size_t onnx_before(const onnx_array *a, int axis) {
    size_t n = 1;
    for (int i = 0; i < axis; i++) {
        n *= (size_t)a->shape[i];
    }
    return n;
}

size_t onnx_behind(const onnx_array *a, int axis) {
    size_t n = 1;
    for (int i = axis + 1; i < a->rank; i++) {
        n *= (size_t)a->shape[i];
    }
    return n;
}

void onnx_problem(onnx_step *s, const char *what) {
    if (s->run->problem[0] == '\0') {
        snprintf(s->run->problem, sizeof s->run->problem, "%s: %s", s->node->op, what);
    }
}

/* ---- The graph ---- */

static void load(onnx_array *a, const tub__onnx_tensor *t, const void *external) {
    const unsigned char *from = t->external ? (const unsigned char *)external + t->offset : t->data;
    onnx_array_make(a, t->rank, t->shape);
    for (size_t i = 0; i < a->count; i++) {
        float real;
        int64_t whole;
        if (t->type == TUB__ONNX_I64) {
            memcpy(&whole, from + i * sizeof whole, sizeof whole);
            a->data[i] = (double)whole;
        } else {
            memcpy(&real, from + i * sizeof real, sizeof real);
            a->data[i] = (double)real;
        }
    }
}

static void step(onnx_run *run, const tub__onnx_node *node) {
    onnx_step s = {.run = run, .node = node};
    for (size_t i = 0; i < node->inputs; i++) {
        s.in[i] = &run->values[node->input[i]];
        if (s.in[i]->data == NULL) {
            onnx_problem(&s, "an input is not there");
            return;
        }
    }
    for (size_t i = 0; i < node->outputs; i++) {
        s.out[i] = &run->values[node->output[i]];
    }
    if (!onnx_run_moving(&s) && !onnx_run_computing(&s) && !onnx_run_network(&s)) {
        onnx_problem(&s, "no operator that is known here");
    }
}

onnx_run *onnx_run_graph(const tub__onnx_graph *graph, const void *external, int rank,
                         const int64_t *shape, const double *input) {
    onnx_run *run = calloc(1, sizeof *run);
    run->graph = graph;
    run->values = calloc(graph->name_count, sizeof *run->values);
    onnx_array *x = &run->values[graph->inputs[0].value];
    onnx_array_make(x, rank, shape);
    memcpy(x->data, input, x->count * sizeof *input);
    for (size_t i = 0; i < graph->tensor_count; i++) {
        load(&run->values[graph->tensors[i].value], &graph->tensors[i], external);
    }
    for (size_t i = 0; i < graph->node_count && run->problem[0] == '\0'; i++) {
        step(run, &graph->nodes[i]);
    }
    return run;
}

void onnx_run_free(onnx_run *run) {
    for (size_t i = 0; i < run->graph->name_count; i++) {
        free(run->values[i].data);
    }
    free(run->values);
    free(run);
}

const onnx_array *onnx_run_value(const onnx_run *run, const char *name) {
    for (size_t i = 0; i < run->graph->name_count; i++) {
        if (strcmp(run->graph->names[i], name) == 0) {
            return run->values[i].data != NULL ? &run->values[i] : NULL;
        }
    }
    return NULL;
}
