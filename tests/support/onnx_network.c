/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions, norms and the recurrent unit. */
#include <math.h>
#include <string.h>

#include "onnx_run.h"

enum { SPACE = 3 };

/* ---- Norms ---- */

static double epsilon_of(const onnx_step *s) {
    const tub__onnx_attribute *a = onnx_attribute(s, "epsilon");
    return a != NULL ? (double)a->real : (double)1e-5f;
}

static void layer_norm(onnx_step *s) {
    const onnx_array *x = s->in[0];
    const size_t width = (size_t)x->shape[x->rank - 1];
    if (onnx_axis(s, -1) != x->rank - 1) {
        onnx_problem(s, "another axis than the last");
        return;
    }
    onnx_array_make(s->out[0], x->rank, x->shape);
    for (size_t row = 0; row < x->count; row += width) {
        double mean = 0, variance = 0;
        for (size_t i = 0; i < width; i++) {
            mean += x->data[row + i] / (double)width;
        }
        for (size_t i = 0; i < width; i++) {
            variance += (x->data[row + i] - mean) * (x->data[row + i] - mean) / (double)width;
        }
        for (size_t i = 0; i < width; i++) {
            s->out[0]->data[row + i] =
                (x->data[row + i] - mean) / sqrt(variance + epsilon_of(s)) * s->in[1]->data[i] +
                s->in[2]->data[i];
        }
    }
}

static void batch_norm(onnx_step *s) {
    const onnx_array *x = s->in[0];
    const size_t behind = onnx_behind(x, 1), channels = (size_t)x->shape[1];
    onnx_array_make(s->out[0], x->rank, x->shape);
    for (size_t i = 0; i < x->count; i++) {
        const size_t c = i / behind % channels;
        s->out[0]->data[i] = (x->data[i] - s->in[3]->data[c]) /
                                 sqrt(s->in[4]->data[c] + epsilon_of(s)) * s->in[1]->data[c] +
                             s->in[2]->data[c];
    }
}

/* ---- Windows over [N, C, t, h, w] ---- */

typedef struct window {
    int64_t in[SPACE], out[SPACE], kernel[SPACE], stride[SPACE], pad[SPACE];
} window;

static window window_of(const onnx_step *s) {
    const tub__onnx_attribute *kernel = onnx_attribute(s, "kernel_shape"),
                              *strides = onnx_attribute(s, "strides"),
                              *pads = onnx_attribute(s, "pads");
    window w;
    for (int i = 0; i < SPACE; i++) {
        const int64_t end = pads != NULL ? pads->integers[SPACE + i] : 0;
        w.in[i] = s->in[0]->shape[2 + i];
        w.kernel[i] = kernel->integers[i];
        w.stride[i] = strides != NULL ? strides->integers[i] : 1;
        w.pad[i] = pads != NULL ? pads->integers[i] : 0;
        w.out[i] = (w.in[i] + w.pad[i] + end - w.kernel[i]) / w.stride[i] + 1;
    }
    return w;
}

/* What lies under tap k of the window at place o of one channel; NAN: padding. */
static double under(const window *w, const double *channel, size_t o, size_t k) {
    size_t at = 0;
    const size_t place[SPACE] = {o / (size_t)(w->out[1] * w->out[2]),
                                 o / (size_t)w->out[2] % (size_t)w->out[1], o % (size_t)w->out[2]},
                 tap[SPACE] = {k / (size_t)(w->kernel[1] * w->kernel[2]),
                               k / (size_t)w->kernel[2] % (size_t)w->kernel[1],
                               k % (size_t)w->kernel[2]};
    for (int i = 0; i < SPACE; i++) {
        const int64_t one = (int64_t)place[i] * w->stride[i] + (int64_t)tap[i] - w->pad[i];
        if (one < 0 || one >= w->in[i]) {
            return (double)NAN;
        }
        at = at * (size_t)w->in[i] + (size_t)one;
    }
    return channel[at];
}

static size_t volume(const int64_t size[SPACE]) {
    return (size_t)(size[0] * size[1] * size[2]);
}

static void convolution(onnx_step *s) {
    const onnx_array *x = s->in[0], *kernel = s->in[1];
    const window w = window_of(s);
    const int64_t shape[] = {x->shape[0], kernel->shape[0], w.out[0], w.out[1], w.out[2]};
    const size_t channels = (size_t)x->shape[1], made = (size_t)kernel->shape[0],
                 taps = volume(w.kernel), places = volume(w.out);
    onnx_array_make(s->out[0], 5, shape);
    for (size_t i = 0; i < s->out[0]->count; i++) {
        const size_t n = i / places / made, d = i / places % made, o = i % places;
        double sum = s->node->inputs > 2 ? s->in[2]->data[d] : 0;
        for (size_t c = 0; c < channels; c++) {
            for (size_t k = 0; k < taps; k++) {
                const double v = under(&w, x->data + (n * channels + c) * volume(w.in), o, k);
                sum += isnan(v) ? 0 : v * kernel->data[(d * channels + c) * taps + k];
            }
        }
        s->out[0]->data[i] = sum;
    }
}

static void max_pool(onnx_step *s) {
    const onnx_array *x = s->in[0];
    const window w = window_of(s);
    const int64_t shape[] = {x->shape[0], x->shape[1], w.out[0], w.out[1], w.out[2]};
    const size_t places = volume(w.out);
    onnx_array_make(s->out[0], 5, shape);
    for (size_t i = 0; i < s->out[0]->count; i++) {
        double most = -HUGE_VAL;
        for (size_t k = 0; k < volume(w.kernel); k++) {
            most = fmax(most, under(&w, x->data + i / places * volume(w.in), i % places, k));
        }
        s->out[0]->data[i] = most;
    }
}

/* ---- GRU: gates z, r, h; the candidate with linear_before_reset ---- */

static double dot(const double *row, const double *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += row[i] * x[i];
    }
    return sum;
}

static void gru_step(const onnx_step *s, const double *x, const double *h, double *next) {
    const size_t width = (size_t)s->in[1]->shape[2], units = (size_t)s->in[2]->shape[2];
    const double *w = s->in[1]->data, *r = s->in[2]->data, *wb = s->in[3]->data,
                 *rb = wb + 3 * units;
    for (size_t u = 0; u < units; u++) {
        double outer[3], inner[3];
        for (size_t g = 0; g < 3; g++) {
            const size_t row = g * units + u;
            outer[g] = dot(w + row * width, x, width) + wb[row];
            inner[g] = dot(r + row * units, h, units) + rb[row];
        }
        const double update = 1 / (1 + exp(-(outer[0] + inner[0]))),
                     reset = 1 / (1 + exp(-(outer[1] + inner[1]))),
                     candidate = tanh(outer[2] + reset * inner[2]);
        next[u] = (1 - update) * candidate + update * h[u];
    }
}

static void gru(onnx_step *s) {
    const onnx_array *x = s->in[0];
    const size_t times = (size_t)x->shape[0], batch = (size_t)x->shape[1],
                 width = (size_t)x->shape[2], units = (size_t)onnx_integer(s, "hidden_size", 0);
    const int64_t all[] = {x->shape[0], 1, x->shape[1], (int64_t)units},
                  last[] = {1, x->shape[1], (int64_t)units};
    if (onnx_integer(s, "linear_before_reset", 0) != 1) {
        onnx_problem(s, "the other form of the candidate");
        return;
    }
    onnx_array_make(s->out[0], 4, all);
    onnx_array_make(s->out[1], 3, last);
    double *state = s->out[1]->data; /* zeros */
    for (size_t t = 0; t < times; t++) {
        double *next = s->out[0]->data + t * batch * units;
        for (size_t b = 0; b < batch; b++) {
            gru_step(s, x->data + (t * batch + b) * width, state + b * units, next + b * units);
        }
        memcpy(state, next, batch * units * sizeof *state);
    }
}

bool onnx_run_network(onnx_step *s) {
    static const struct {
        const char *op;
        void (*run)(onnx_step *s);
    } table[] = {{"LayerNormalization", layer_norm},
                 {"BatchNormalization", batch_norm},
                 {"Conv", convolution},
                 {"MaxPool", max_pool},
                 {"GRU", gru}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(s->node->op, table[i].op) == 0) {
            table[i].run(s);
            return true;
        }
    }
    return false;
}
