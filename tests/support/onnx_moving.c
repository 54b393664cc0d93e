/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that move numbers. */
#include <stdlib.h>
#include <string.h>

#include "onnx_run.h"

static void copy_shape(int64_t to[TUB__ONNX_RANK], const onnx_array *from) {
    memcpy(to, from->shape, sizeof from->shape);
}

static void same_numbers(onnx_step *s, int rank, const int64_t *shape) {
    onnx_array_make(s->out[0], rank, shape);
    if (s->out[0]->count != s->in[0]->count) {
        onnx_problem(s, "another number of elements");
        return;
    }
    memcpy(s->out[0]->data, s->in[0]->data, s->in[0]->count * sizeof *s->in[0]->data);
}

static void reshape(onnx_step *s) {
    int64_t shape[TUB__ONNX_RANK], known = 1;
    int free_axis = -1;
    const int rank = (int)s->in[1]->count;
    for (int i = 0; i < rank; i++) {
        const int64_t asked = (int64_t)s->in[1]->data[i];
        shape[i] = asked == 0 ? s->in[0]->shape[i] : asked;
        free_axis = asked == -1 ? i : free_axis;
        known *= asked == -1 ? 1 : shape[i];
    }
    if (free_axis >= 0) {
        shape[free_axis] = (int64_t)s->in[0]->count / known;
    }
    same_numbers(s, rank, shape);
}

static void transpose(onnx_step *s) {
    const onnx_array *x = s->in[0];
    const tub__onnx_attribute *perm = onnx_attribute(s, "perm");
    int64_t shape[TUB__ONNX_RANK];
    size_t stride[TUB__ONNX_RANK], at[TUB__ONNX_RANK] = {0};
    for (int i = 0; i < x->rank; i++) {
        shape[i] = x->shape[perm->integers[i]];
        stride[i] = onnx_behind(x, (int)perm->integers[i]);
    }
    onnx_array_make(s->out[0], x->rank, shape);
    for (size_t i = 0; i < x->count; i++) {
        size_t from = 0;
        for (int j = 0; j < x->rank; j++) {
            from += at[j] * stride[j];
        }
        s->out[0]->data[i] = x->data[from];
        for (int j = x->rank - 1; j >= 0 && ++at[j] == (size_t)shape[j]; j--) {
            at[j] = 0;
        }
    }
}

static void concat(onnx_step *s) {
    const int axis = onnx_axis(s, 0);
    int64_t shape[TUB__ONNX_RANK];
    copy_shape(shape, s->in[0]);
    for (size_t i = 1; i < s->node->inputs; i++) {
        shape[axis] += s->in[i]->shape[axis];
    }
    onnx_array_make(s->out[0], s->in[0]->rank, shape);
    const size_t rows = onnx_before(s->in[0], axis), row = s->out[0]->count / rows;
    size_t at = 0;
    for (size_t i = 0; i < s->node->inputs; i++) {
        const size_t part = s->in[i]->count / rows;
        for (size_t r = 0; r < rows; r++) {
            memcpy(s->out[0]->data + r * row + at, s->in[i]->data + r * part,
                   part * sizeof(double));
        }
        at += part;
    }
}

static void split(onnx_step *s) {
    const onnx_array *x = s->in[0];
    const int axis = onnx_axis(s, 0);
    const size_t rows = onnx_before(x, axis), row = x->count / rows, behind = onnx_behind(x, axis);
    size_t at = 0;
    for (size_t i = 0; i < s->node->outputs; i++) {
        int64_t shape[TUB__ONNX_RANK];
        copy_shape(shape, x);
        shape[axis] = (int64_t)s->in[1]->data[i];
        onnx_array_make(s->out[i], x->rank, shape);
        const size_t part = (size_t)shape[axis] * behind;
        for (size_t r = 0; r < rows; r++) {
            memcpy(s->out[i]->data + r * part, x->data + r * row + at, part * sizeof(double));
        }
        at += part;
    }
}

static void gather(onnx_step *s) {
    const onnx_array *x = s->in[0], *index = s->in[1];
    const int axis = onnx_axis(s, 0);
    int64_t shape[TUB__ONNX_RANK];
    int rank = 0;
    for (int i = 0; i < x->rank; i++) {
        for (int j = 0; i == axis && j < index->rank; j++) {
            shape[rank++] = index->shape[j];
        }
        if (i != axis) {
            shape[rank++] = x->shape[i];
        }
    }
    onnx_array_make(s->out[0], rank, shape);
    const size_t before = onnx_before(x, axis), behind = onnx_behind(x, axis);
    for (size_t b = 0; b < before; b++) {
        for (size_t i = 0; i < index->count; i++) {
            const size_t from = b * (size_t)x->shape[axis] + (size_t)index->data[i];
            memcpy(s->out[0]->data + (b * index->count + i) * behind, x->data + from * behind,
                   behind * sizeof(double));
        }
    }
}

/* Axes of 1 are repeated; both have as many axes, or x has fewer. */
static void expand(onnx_step *s) {
    const onnx_array *x = s->in[0];
    const int rank = (int)s->in[1]->count, missing = rank - x->rank;
    int64_t shape[TUB__ONNX_RANK];
    for (int i = 0; i < rank; i++) {
        shape[i] = (int64_t)s->in[1]->data[i];
    }
    onnx_array_make(s->out[0], rank, shape);
    for (size_t i = 0; i < s->out[0]->count; i++) {
        size_t from = 0, rest = i;
        for (int j = rank - 1; j >= missing; j--) {
            const size_t at = rest % (size_t)shape[j];
            rest /= (size_t)shape[j];
            from += x->shape[j - missing] == 1 ? 0 : at * onnx_behind(x, j - missing);
        }
        s->out[0]->data[i] = x->data[from];
    }
}

static void shape_of(onnx_step *s) {
    const int64_t start = onnx_integer(s, "start", 0), end = onnx_integer(s, "end", s->in[0]->rank),
                  count = end - start;
    onnx_array_make(s->out[0], 1, &count);
    for (int64_t i = start; i < end; i++) {
        s->out[0]->data[i - start] = (double)s->in[0]->shape[i];
    }
}

bool onnx_run_moving(onnx_step *s) {
    static const struct {
        const char *op;
        void (*run)(onnx_step *s);
    } table[] = {{"Reshape", reshape}, {"Transpose", transpose}, {"Concat", concat},
                 {"Split", split},     {"Gather", gather},       {"Expand", expand},
                 {"Shape", shape_of}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(s->node->op, table[i].op) == 0) {
            table[i].run(s);
            return true;
        }
    }
    return false;
}
