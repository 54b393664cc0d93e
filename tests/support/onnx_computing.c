/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that compute element by element, row by row, and products. */
#include <math.h>
#include <string.h>

#include "onnx_run.h"

/* ---- Elements ---- */

static double relu(double x) {
    return x > 0 ? x : 0;
}
static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}
static double same(double x) {
    return x;
}

static bool unary(onnx_step *s) {
    static const struct {
        const char *op;
        double (*f)(double);
    } table[] = {{"Tanh", tanh},       {"Erf", erf},   {"Relu", relu},
                 {"Sigmoid", sigmoid}, {"Cast", same}, {"Sqrt", sqrt}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(s->node->op, table[i].op) == 0) {
            onnx_array_make(s->out[0], s->in[0]->rank, s->in[0]->shape);
            for (size_t j = 0; j < s->in[0]->count; j++) {
                s->out[0]->data[j] = table[i].f(s->in[0]->data[j]);
            }
            return true;
        }
    }
    return false;
}

static double apply(const char *op, double a, double b) {
    return op[0] == 'A' ? a + b : op[0] == 'S' ? a - b : op[0] == 'M' ? a * b : a / b;
}

/* Where element i of the result lies in an array with axes of 1, or fewer axes. */
static size_t broadcast(const onnx_array *out, const onnx_array *a, size_t i) {
    size_t from = 0;
    for (int j = out->rank - 1; j >= 0; j--) {
        const size_t at = i % (size_t)out->shape[j];
        const int axis = j - (out->rank - a->rank);
        i /= (size_t)out->shape[j];
        if (axis >= 0 && a->shape[axis] != 1) {
            from += at * onnx_behind(a, axis);
        }
    }
    return from;
}

static void binary(onnx_step *s) {
    const onnx_array *a = s->in[0], *b = s->in[1];
    const int rank = a->rank > b->rank ? a->rank : b->rank;
    int64_t shape[TUB__ONNX_RANK];
    for (int j = 0; j < rank; j++) {
        const int of_a = j - (rank - a->rank), of_b = j - (rank - b->rank);
        const int64_t x = of_a >= 0 ? a->shape[of_a] : 1, y = of_b >= 0 ? b->shape[of_b] : 1;
        if (x != y && x != 1 && y != 1) {
            onnx_problem(s, "shapes that don't fit");
            return;
        }
        shape[j] = x > y ? x : y;
    }
    onnx_array_make(s->out[0], rank, shape);
    for (size_t i = 0; i < s->out[0]->count; i++) {
        s->out[0]->data[i] = apply(s->node->op, a->data[broadcast(s->out[0], a, i)],
                                   b->data[broadcast(s->out[0], b, i)]);
    }
}

/* ---- Products ---- */

static void product(const double *a, const double *b, size_t rows, size_t inner, size_t cols,
                    double *out) {
    for (size_t i = 0; i < rows; i++) {
        for (size_t k = 0; k < inner; k++) {
            for (size_t j = 0; j < cols; j++) {
                out[i * cols + j] += a[i * inner + k] * b[k * cols + j];
            }
        }
    }
}

/* Of matrices at the end of as many axes, or with one matrix for all. */
static void matmul(onnx_step *s) {
    const onnx_array *a = s->in[0], *b = s->in[1];
    const size_t rows = (size_t)a->shape[a->rank - 2], inner = (size_t)a->shape[a->rank - 1],
                 cols = (size_t)b->shape[b->rank - 1], count = a->count / (rows * inner);
    const bool one = b->rank == 2;
    int64_t shape[TUB__ONNX_RANK];
    memcpy(shape, a->shape, sizeof shape);
    shape[a->rank - 1] = (int64_t)cols;
    if ((size_t)b->shape[b->rank - 2] != inner || (!one && b->count != count * inner * cols)) {
        onnx_problem(s, "shapes that don't fit");
        return;
    }
    onnx_array_make(s->out[0], a->rank, shape);
    for (size_t i = 0; i < count; i++) {
        product(a->data + i * rows * inner, b->data + (one ? 0 : i * inner * cols), rows, inner,
                cols, s->out[0]->data + i * rows * cols);
    }
}

static void gemm(onnx_step *s) {
    const onnx_array *a = s->in[0], *b = s->in[1], *c = s->in[2];
    const int64_t shape[] = {a->shape[0], b->shape[1]};
    onnx_array_make(s->out[0], 2, shape);
    product(a->data, b->data, (size_t)shape[0], (size_t)a->shape[1], (size_t)shape[1],
            s->out[0]->data);
    for (size_t i = 0; i < s->out[0]->count; i++) {
        s->out[0]->data[i] += c->data[i % c->count];
    }
}

/* ---- Rows ---- */

static void softmax(onnx_step *s) {
    const onnx_array *x = s->in[0];
    const size_t width = (size_t)x->shape[x->rank - 1];
    if (onnx_axis(s, -1) != x->rank - 1) {
        onnx_problem(s, "another axis than the last");
        return;
    }
    onnx_array_make(s->out[0], x->rank, x->shape);
    for (size_t row = 0; row < x->count; row += width) {
        double most = x->data[row], sum = 0;
        for (size_t i = 0; i < width; i++) {
            most = fmax(most, x->data[row + i]);
        }
        for (size_t i = 0; i < width; i++) {
            sum += s->out[0]->data[row + i] = exp(x->data[row + i] - most);
        }
        for (size_t i = 0; i < width; i++) {
            s->out[0]->data[row + i] /= sum;
        }
    }
}

static bool is_reduced(const onnx_step *s, int axis) {
    const tub__onnx_attribute *a = onnx_attribute(s, "axes");
    const size_t count = a != NULL ? a->count : s->in[1]->count;
    for (size_t i = 0; i < count; i++) {
        const int64_t one = a != NULL ? a->integers[i] : (int64_t)s->in[1]->data[i];
        if ((one < 0 ? one + s->in[0]->rank : one) == axis) {
            return true;
        }
    }
    return false;
}

static void reduce(onnx_step *s) {
    const onnx_array *x = s->in[0];
    const bool keep = onnx_integer(s, "keepdims", 1) != 0,
               max = s->node->op[6] == 'M' && s->node->op[7] == 'a',
               mean = !max && s->node->op[6] == 'M';
    int64_t full[TUB__ONNX_RANK] = {0}, shape[TUB__ONNX_RANK];
    int rank = 0;
    for (int i = 0; i < x->rank; i++) {
        full[i] = is_reduced(s, i) ? 1 : x->shape[i];
        if (keep || !is_reduced(s, i)) {
            shape[rank++] = full[i];
        }
    }
    onnx_array_make(s->out[0], rank, shape);
    onnx_array wide = *s->out[0];
    wide.rank = x->rank;
    memcpy(wide.shape, full, sizeof full);
    double *out = s->out[0]->data;
    for (size_t i = 0; max && i < wide.count; i++) {
        out[i] = -HUGE_VAL;
    }
    for (size_t i = 0; i < x->count; i++) {
        const size_t to = broadcast(x, &wide, i);
        out[to] = max ? fmax(out[to], x->data[i]) : out[to] + x->data[i];
    }
    for (size_t i = 0; mean && i < wide.count; i++) {
        out[i] *= (double)wide.count / (double)x->count;
    }
}

bool onnx_run_computing(onnx_step *s) {
    static const struct {
        const char *op;
        void (*run)(onnx_step *s);
    } table[] = {{"Add", binary},      {"Sub", binary},        {"Mul", binary},
                 {"Div", binary},      {"MatMul", matmul},     {"Gemm", gemm},
                 {"Softmax", softmax}, {"ReduceMean", reduce}, {"ReduceMax", reduce},
                 {"ReduceSum", reduce}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(s->node->op, table[i].op) == 0) {
            table[i].run(s);
            return true;
        }
    }
    return unary(s);
}
