/* SPDX-License-Identifier: Apache-2.0 */
/* The parameters of the baselines. Initial values are those of the originals: Keras' for the networks
 * over frames (Glorot uniform, and orthogonal for what goes from state to state), He's by the outputs
 * for the residual network, as PyTorch's own ResNets have them. */
#include <math.h>

#include "model/params_make.h"

static void make_kernel(tub__maker *m, size_t number) {
    const tub__conv_shape *s = &m->convs->list[number];
    const size_t taps = tub__window_taps(&s->window);
    tub__param *p = tub__maker_add(m, TUB__CONV_KERNEL, (int)number, "convolution kernel",
                                   taps * s->in, s->out);
    tub__maker_name(p, "%s.weight", s->name);
    tub__maker_kernel(p);
    p->file = TUB__FILE_CONV3D;
    p->shape[1] = s->in;
    p->rank = 2;
    for (int i = tub__family_is_cnn(m->c->family) ? 1 : 0; i < 3; i++) {
        p->shape[p->rank++] = s->window.kernel[i];
    }
    if (s->norm[0] != '\0') {
        p->initial = TUB__INIT_UNIFORM;
        p->limit = sqrt(6 / ((double)taps * (double)s->out));
    } else {
        tub__maker_glorot(p, (double)taps * (double)s->in, (double)taps * (double)s->out);
    }
}

static void make_vector(tub__maker *m, tub__role role, size_t number, const char *title,
                        const char *stem, const char *name, bool ones, bool buffer) {
    tub__param *p = tub__maker_add(m, role, (int)number, title, 1, m->convs->list[number].out);
    tub__maker_name(p, "%s.%s", stem, name);
    tub__maker_vector(p);
    p->initial = ones ? TUB__INIT_ONES : TUB__INIT_ZEROS;
    p->buffer = buffer;
}

static void make_conv(tub__maker *m, size_t number) {
    const tub__conv_shape *s = &m->convs->list[number];
    make_kernel(m, number);
    if (s->norm[0] == '\0') {
        make_vector(m, TUB__CONV_BIAS, number, "convolution bias", s->name, "bias", false, false);
        return;
    }
    make_vector(m, TUB__BATCH_GAMMA, number, "batch norm gamma", s->norm, "weight", true, false);
    make_vector(m, TUB__BATCH_BETA, number, "batch norm beta", s->norm, "bias", false, false);
    make_vector(m, TUB__BATCH_MEAN, number, "moving mean", s->norm, "running_mean", false, true);
    make_vector(m, TUB__BATCH_VARIANCE, number, "moving variance", s->norm, "running_var", true,
                true);
}

static void make_gru(tub__maker *m) {
    const size_t units = tub__family_units(m->c), features = tub__family_features(m->c);
    (void)tub__maker_dense(m, TUB__GRU_KERNEL, -1, "recurrent unit's kernel",
                           "recurrent unit's bias", features, 3 * units, true, "gru.input");
    tub__param *p =
        tub__maker_dense(m, TUB__GRU_RECURRENT, -1, "kernel from state to state",
                         "bias from state to state", units, 3 * units, true, "gru.recurrent");
    p->initial = TUB__INIT_ORTHOGONAL;
}

size_t tub__family_head_width(const tub_model_config *c) {
    return tub__model_has_blocks(c)          ? (size_t)c->hidden
           : c->family == TUB_FAMILY_CNN_RNN ? tub__family_units(c)
                                             : tub__family_features(c);
}

void tub__maker_family(tub__maker *m) {
    for (size_t i = 0; i < m->convs->count; i++) {
        make_conv(m, i);
    }
    if (m->c->family == TUB_FAMILY_CNN_RNN) {
        make_gru(m);
    } else if (m->c->family == TUB_FAMILY_CNN_TRANSFORMER) {
        (void)tub__maker_dense(m, TUB__PROJECT_KERNEL, -1, "projection kernel", "projection bias",
                               tub__family_features(m->c), (size_t)m->c->hidden, true,
                               "projection");
    }
}
