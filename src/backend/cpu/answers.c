/* SPDX-License-Identifier: Apache-2.0 */
/* What logits say: probabilities, cross-entropy and its gradient, of one softmax, of several side by
 * side, or of independent sigmoids. */
#include "backend/cpu/entries.h"
#include "backend/cpu/vmath.h"
#include "base/scalar.h"

/* Elements i, i + 1, .. of n. */
INLINE vf some(const real *x, size_t i, size_t n, real rest) {
    return n - i >= 16 ? vload(x + i) : vloadn(x + i, (int)(n - i), vset1(rest));
}

INLINE void put(real *x, size_t i, size_t n, vf v) {
    if (n - i >= 16) {
        vstore(x + i, v);
    } else {
        vstoren(x + i, (int)(n - i), v);
    }
}

static void clear_padding(tub__mat m, size_t row) {
    for (size_t c = m.cols; c < tub__padded(m.cols); c++) {
        row_of(m, row)[c] = 0;
    }
}

/* ---- softmaxes: a head is n columns of a row ---- */

/* Largest element and sum of exp(x - largest). */
static real head_sum(const real *x, size_t n, real *largest) {
    vf m = vset1(-(real)INFINITY), s = vzero();
    for (size_t i = 0; i < n; i += 16) {
        m = vmax(m, some(x, i, n, -(real)INFINITY));
    }
    *largest = vhmax(m);
    m = vset1(*largest);
    for (size_t i = 0; i < n; i += 16) {
        s = vadd(s, vexp_first(vsub(some(x, i, n, 0), m), n - i));
    }
    return vhsum(s);
}

static void head_probabilities(const real *x, size_t n, real largest, real sum, real *out) {
    const vf m = vset1(largest), s = vset1(sum);
    for (size_t i = 0; i < n; i += 16) {
        put(out, i, n, vdiv(vexp_first(vsub(some(x, i, n, 0), m), n - i), s));
    }
}

/* -sum over classes of target * log softmax; target is (1 - smoothing) on the label plus smoothing
 * / n everywhere. Logits are taken relative to the largest first: huge ones would swallow the
 * logarithm. */
static double head_loss(const real *x, size_t n, size_t label, double smoothing, double largest,
                        double sum) {
    const double log_sum = tub__log(sum);
    double loss = (1 - smoothing) * (log_sum + (largest - (double)x[label]));
    if (smoothing > 0) {
        double rest = 0;
        for (size_t c = 0; c < n; c++) {
            rest += log_sum + (largest - (double)x[c]);
        }
        loss += smoothing / (double)n * rest;
    }
    return loss;
}

/* d holds the probabilities. */
static void head_slope(size_t n, size_t label, double smoothing, real scale, real *d) {
    const real share = (real)(smoothing / (double)n);
    for (size_t c = 0; c < n; c++) {
        const real target = share + (c == label ? (real)(1 - smoothing) : 0);
        d[c] = (d[c] - target) * scale;
    }
}

static size_t head_classes(const tub__outputs *o, size_t head, size_t classes) {
    return o->task == TUB_TASK_MULTI_HEAD ? o->head_classes[head] : classes;
}

/* The sample's loss: each head has an equal share. */
static double row_of_heads(const tub__loss *op, size_t r, double weight) {
    const size_t heads = tub__outputs_heads(&op->outputs);
    const real scale = (real)(weight * op->scale / (double)heads);
    double loss = 0;
    for (size_t h = 0, first = 0, n; h < heads; h++, first += n) {
        const real *x = row_of(op->logits, r) + first;
        const size_t label = (size_t)op->labels[r * heads + h];
        n = head_classes(&op->outputs, h, op->logits.cols);
        real largest, sum = head_sum(x, n, &largest);
        loss += head_loss(x, n, label, op->smoothing, (double)largest, (double)sum);
        if (op->probabilities.data) {
            head_probabilities(x, n, largest, sum, row_of(op->probabilities, r) + first);
        }
        if (op->dlogits.data) {
            real *d = row_of(op->dlogits, r) + first;
            head_probabilities(x, n, largest, sum, d);
            head_slope(n, label, op->smoothing, scale, d);
        }
    }
    return loss / (double)heads;
}

/* One softmax whose target is of two labels. */
static double row_of_mixture(const tub__loss *op, size_t r) {
    const size_t n = op->logits.cols;
    const real *x = row_of(op->logits, r);
    const size_t label[2] = {(size_t)op->labels[r], (size_t)op->second[r]};
    const double share[2] = {1 - (double)op->share[r], (double)op->share[r]};
    double loss = 0, weight[2];
    real largest, sum = head_sum(x, n, &largest);
    for (int i = 0; i < 2; i++) {
        weight[i] = share[i] * (op->class_weight ? (double)op->class_weight[label[i]] : 1);
        loss += weight[i] * head_loss(x, n, label[i], op->smoothing, (double)largest, (double)sum);
    }
    if (op->probabilities.data) {
        head_probabilities(x, n, largest, sum, row_of(op->probabilities, r));
    }
    if (op->dlogits.data) {
        const real scale = (real)op->scale, both = (real)(weight[0] + weight[1]),
                   rest = both * (real)(op->smoothing / (double)n);
        real *d = row_of(op->dlogits, r);
        head_probabilities(x, n, largest, sum, d);
        for (size_t c = 0; c < n; c++) {
            real target = rest;
            for (int i = 0; i < 2; i++) {
                target += c == label[i] ? (real)(weight[i] * (1 - op->smoothing)) : 0;
            }
            d[c] = (both * d[c] - target) * scale;
        }
    }
    return loss;
}

/* ---- sigmoids ---- */

/* 1 / (1 + exp(-x)) by exp of what is not positive, which can't overflow. */
static void sigmoids(const real *x, size_t n, real *out) {
    const vf one = vset1(1);
    for (size_t i = 0; i < n; i += 16) {
        const vf v = some(x, i, n, 0), e = vexp(vmin(v, vsub(vzero(), v))), below = vadd(one, e);
        const vm negative = vlt(v, vzero());
        put(out, i, n, vdiv(vsel(negative, e, one), below));
    }
}

/* The mean over the labels of max(x, 0) - x target + log(1 + exp(-|x|)). */
static double labels_loss(const tub__loss *op, const real *x, const int32_t *labels) {
    double loss = 0;
    for (size_t c = 0; c < op->logits.cols; c++) {
        const double v = (double)x[c], size = v < 0 ? -v : v;
        const double target = (1 - op->smoothing) * labels[c] + op->smoothing / 2;
        loss += (v > 0 ? v : 0) - v * target + tub__log(1 + tub__exp(-size));
    }
    return loss / (double)op->logits.cols;
}

static double row_of_labels(const tub__loss *op, size_t r) {
    const size_t n = op->logits.cols;
    const real *x = row_of(op->logits, r);
    const int32_t *labels = op->labels + r * n;
    if (op->probabilities.data) {
        sigmoids(x, n, row_of(op->probabilities, r));
    }
    if (op->dlogits.data) {
        const real scale = (real)(op->scale / (double)n);
        real *d = row_of(op->dlogits, r);
        sigmoids(x, n, d);
        for (size_t c = 0; c < n; c++) {
            d[c] = (d[c] - (real)((1 - op->smoothing) * labels[c] + op->smoothing / 2)) * scale;
        }
    }
    return labels_loss(op, x, labels);
}

/* ---- either ---- */

void KERNEL(probabilities)(const tub__outputs *outputs, tub__mat logits, tub__mat p, size_t row0,
                           size_t row1) {
    for (size_t r = row0; r < row1; r++) {
        if (outputs->task == TUB_TASK_MULTI_LABEL) {
            sigmoids(row_of(logits, r), logits.cols, row_of(p, r));
        } else {
            for (size_t h = 0, first = 0, n; h < tub__outputs_heads(outputs); h++, first += n) {
                const real *x = row_of(logits, r) + first;
                n = head_classes(outputs, h, logits.cols);
                real largest, sum = head_sum(x, n, &largest);
                head_probabilities(x, n, largest, sum, row_of(p, r) + first);
            }
        }
        clear_padding(p, r);
    }
}

void KERNEL(loss)(const tub__loss *op, size_t row0, size_t row1) {
    for (size_t r = row0; r < row1; r++) {
        const double weight = op->class_weight ? (double)op->class_weight[op->labels[r]] : 1;
        const double loss = op->outputs.task == TUB_TASK_MULTI_LABEL ? row_of_labels(op, r)
                            : op->second != NULL                     ? row_of_mixture(op, r)
                                                 : weight * row_of_heads(op, r, weight);
        ((real *)op->loss)[r] = (real)loss;
        if (op->probabilities.data) {
            clear_padding(op->probabilities, r);
        }
        if (op->dlogits.data) {
            clear_padding(op->dlogits, r);
        }
    }
}
