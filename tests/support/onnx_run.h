/* SPDX-License-Identifier: Apache-2.0 */
/* What an ONNX graph says, computed in float64 by the definitions of its operators (opset 17)
 * and nothing else: no line of the library is in it. Slow, and only for what our graphs are made
 * of. */
#ifndef TEST_ONNX_RUN_H
#define TEST_ONNX_RUN_H

#include "base/onnx_module.h"

/* Whole numbers are in it as they are. */
typedef struct onnx_array {
    int rank;
    int64_t shape[TUB__ONNX_RANK];
    size_t count;
    double *data;
} onnx_array;

typedef struct onnx_run {
    const tub__onnx_graph *graph;
    onnx_array *values; /* [graph->name_count] */
    char problem[160];  /* "", or what can't be computed */
} onnx_run;

/* One operation of the graph on its inputs; it makes out[0 …]. */
typedef struct onnx_step {
    onnx_run *run;
    const tub__onnx_node *node;
    const onnx_array *in[TUB__ONNX_INPUTS];
    onnx_array *out[TUB__ONNX_OUTPUTS];
} onnx_step;

/* Computes all values from the graph's only input. external: the file of external arrays, or
 * NULL. Ended by onnx_run_free, also when problem is set. */
onnx_run *onnx_run_graph(const tub__onnx_graph *graph, const void *external, int rank,
                         const int64_t *shape, const double *input);
void onnx_run_free(onnx_run *run);
/* A value by its name; NULL: there is none. */
const onnx_array *onnx_run_value(const onnx_run *run, const char *name);

/* ---- For the operators ---- */

/* Memory for a result of a shape, zeros. */
void onnx_array_make(onnx_array *a, int rank, const int64_t *shape);
const tub__onnx_attribute *onnx_attribute(const onnx_step *s, const char *name); /* or NULL */
int64_t onnx_integer(const onnx_step *s, const char *name, int64_t otherwise);
/* Counted from the end where it is negative. */
int onnx_axis(const onnx_step *s, int64_t otherwise);
/* Elements of the axes before and behind one. */
size_t onnx_before(const onnx_array *a, int axis);
size_t onnx_behind(const onnx_array *a, int axis);
void onnx_problem(onnx_step *s, const char *what);
/* Those that move numbers, and those that compute; false: not one of them. */
bool onnx_run_moving(onnx_step *s);
bool onnx_run_computing(onnx_step *s);
bool onnx_run_network(onnx_step *s); /* convolutions, norms, the recurrent unit */

#endif
