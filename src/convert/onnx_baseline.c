/* SPDX-License-Identifier: Apache-2.0 */
/* The baselines as ONNX operations: what model/cnn.c, nn/gru.c and model/resnet.c compute.
 * Frames stay the third axis, [N, channels, T, H, W], so that a convolution of frames is one of
 * volumes whose kernel has one frame. */
#include "convert/onnx_layers.h"
#include "model/family.h"

enum { AXES = 3 };

static void triple(tub__onnx_maker *m, const char *name, const size_t values[AXES]) {
    const int64_t list[AXES] = {(int64_t)values[0], (int64_t)values[1], (int64_t)values[2]};
    tub__onnx_integers(m, name, AXES, list);
}

static size_t convolution(tub__onnx_maker *m, const tub__conv_shape *s, int number, size_t x) {
    const tub__window *w = &s->window;
    int64_t shape[] = {(int64_t)s->out, (int64_t)s->in, 0, 0, 0}, pads[2 * AXES];
    size_t inputs[3];
    for (int i = 0; i < AXES; i++) {
        shape[2 + i] = (int64_t)w->kernel[i];
        pads[i] = pads[AXES + i] = (int64_t)w->pad[i];
    }
    const bool bias = tub__onnx_has(m, TUB__CONV_BIAS, number);
    inputs[0] = x;
    inputs[1] = tub__onnx_param_as(m, TUB__CONV_KERNEL, number, 2 + AXES, shape);
    if (bias) {
        inputs[2] = tub__onnx_param(m, TUB__CONV_BIAS, number);
    }
    const size_t y = tub__onnx_node_add(m, "Conv", 1, bias ? 3 : 2, inputs);
    triple(m, "kernel_shape", w->kernel);
    triple(m, "strides", w->stride);
    tub__onnx_integers(m, "pads", 2 * (size_t)AXES, pads);
    return y;
}

static size_t mean_over(tub__onnx_maker *m, size_t x, size_t count, const int64_t *axes) {
    const size_t y = tub__onnx_op1(m, "ReduceMean", x);
    tub__onnx_integers(m, "axes", count, axes);
    tub__onnx_integer(m, "keepdims", 0);
    return y;
}

/* ---- Frames ---- */

static size_t stages(tub__onnx_maker *m, const tub__conv_shapes *convs, size_t x) {
    for (size_t i = 0; i < convs->count; i++) {
        const tub__window pool = tub__family_pool(&convs->list[i]);
        tub__onnx_scope(m, "stage_%zu", i);
        x = tub__onnx_op1(m, "Relu", convolution(m, &convs->list[i], (int)i, x));
        x = tub__onnx_op1(m, "MaxPool", x);
        triple(m, "kernel_shape", pool.kernel);
        triple(m, "strides", pool.stride);
    }
    return x;
}

/* x [N, T, features] to the last state, [N, units]. The biases of both products are one array
 * there. */
static size_t recurrent(tub__onnx_maker *m, size_t x) {
    const int64_t units = (int64_t)tub__family_units(&m->model->config),
                  features = (int64_t)tub__family_features(&m->model->config),
                  kernel[] = {1, 3 * units, features}, square[] = {1, 3 * units, units},
                  bias[] = {1, 3 * units}, time_first[] = {1, 0, 2}, rows[] = {-1, units};
    const size_t w = tub__onnx_param_as(m, TUB__GRU_KERNEL, -1, 3, kernel),
                 r = tub__onnx_param_as(m, TUB__GRU_RECURRENT, -1, 3, square),
                 wb = tub__onnx_param_as(m, TUB__GRU_BIAS, -1, 2, bias),
                 rb = tub__onnx_param_as(m, TUB__GRU_RECURRENT_BIAS, -1, 2, bias);
    const size_t biases = tub__onnx_op2(m, "Concat", wb, rb);
    tub__onnx_integer(m, "axis", 1);
    const size_t inputs[] = {tub__onnx_transpose(m, x, 3, time_first), w, r, biases};
    const size_t states = tub__onnx_node_add(m, "GRU", 2, 4, inputs);
    tub__onnx_integer(m, "hidden_size", units);
    tub__onnx_integer(m, "linear_before_reset", 1);
    return tub__onnx_reshape(m, states + 1, 2, rows);
}

static size_t over_frames(tub__onnx_maker *m, const tub__conv_shapes *convs, size_t x) {
    static const int64_t places[] = {3, 4}, all[] = {2, 3, 4}, frames_first[] = {0, 2, 1};
    const tub_family family = m->model->config.family;
    x = stages(m, convs, x);
    tub__onnx_scope(m, "features");
    if (family == TUB_FAMILY_CNN_FRAME) {
        return mean_over(m, x, 3, all); /* of its one frame */
    }
    x = tub__onnx_transpose(m, mean_over(m, x, 2, places), 3, frames_first);
    if (family == TUB_FAMILY_CNN_RNN) {
        return recurrent(m, x);
    }
    return tub__onnx_tower(m, 0, tub__onnx_dense(m, x, TUB__PROJECT_KERNEL, -1));
}

/* ---- Volumes ---- */

static size_t conv_norm(tub__onnx_maker *m, const tub__conv_shapes *convs, int number, size_t x) {
    static const tub__role roles[] = {TUB__BATCH_GAMMA, TUB__BATCH_BETA, TUB__BATCH_MEAN,
                                      TUB__BATCH_VARIANCE};
    tub__onnx_scope(m, "%s", convs->list[number].name);
    size_t inputs[5] = {convolution(m, &convs->list[number], number, x)};
    for (size_t i = 0; i < 4; i++) {
        inputs[1 + i] = tub__onnx_param(m, roles[i], number);
    }
    const size_t y = tub__onnx_node_add(m, "BatchNormalization", 1, 5, inputs);
    tub__onnx_real(m, "epsilon", TUB__BATCH_EPSILON);
    return y;
}

static size_t volume(tub__onnx_maker *m, const tub__conv_shapes *convs, size_t x) {
    static const int64_t places[] = {2, 3, 4};
    x = tub__onnx_op1(m, "Relu", conv_norm(m, convs, 0, x));
    for (size_t at = 1; at < convs->count;) {
        /* The block's third convolution, where it has one, is of one place. */
        const bool shortcut =
            at + 2 < convs->count && tub__window_taps(&convs->list[at + 2].window) == 1;
        const size_t between = tub__onnx_op1(m, "Relu", conv_norm(m, convs, (int)at, x));
        const size_t made = conv_norm(m, convs, (int)at + 1, between);
        const size_t beside = shortcut ? conv_norm(m, convs, (int)at + 2, x) : x;
        x = tub__onnx_op1(m, "Relu", tub__onnx_op2(m, "Add", made, beside));
        at += shortcut ? 3 : 2;
    }
    tub__onnx_scope(m, "features");
    return mean_over(m, x, 3, places);
}

size_t tub__onnx_baseline(tub__onnx_maker *m, size_t clip) {
    static const int64_t channels_first[] = {0, 4, 1, 2, 3};
    const tub__conv_shapes convs = tub__family_convs(&m->model->config);
    const size_t x = tub__onnx_transpose(m, clip, 5, channels_first);
    return m->model->config.family == TUB_FAMILY_RESNET3D18 ? volume(m, &convs, x)
                                                            : over_frames(m, &convs, x);
}
