/* SPDX-License-Identifier: Apache-2.0 */
/* The baselines' sizes: a small CNN on each frame (or on one), and the residual network of MedMNIST's
 * experiments (Yang et al. 2023: its ResNet-18 with every convolution made 3-D). */
#include "model/family.h"

#include <stdio.h>

#include "base/error.h"

enum { BLOCKS = 2 }; /* of a stage of the residual network */

size_t tub__family_filters(const tub_model_config *c) {
    return c->filters != 0 ? (size_t)c->filters : c->family == TUB_FAMILY_RESNET3D18 ? 64 : 32;
}

size_t tub__family_stages(const tub_model_config *c) {
    return c->stages != 0 ? (size_t)c->stages : c->family == TUB_FAMILY_RESNET3D18 ? 4 : 3;
}

size_t tub__family_units(const tub_model_config *c) {
    return c->units != 0 ? (size_t)c->units : 128;
}

bool tub__family_is_cnn(tub_family family) {
    return family == TUB_FAMILY_CNN_FRAME || family == TUB_FAMILY_CNN_RNN ||
           family == TUB_FAMILY_CNN_TRANSFORMER;
}

bool tub__family_has_batch_norm(tub_family family) {
    return family == TUB_FAMILY_RESNET3D18;
}

bool tub__model_has_blocks(const tub_model_config *c) {
    return c->family == TUB_FAMILY_VIVIT || c->family == TUB_FAMILY_CNN_TRANSFORMER;
}

const char *tub__family_name(tub_family family) {
    static const char *const names[] = {[TUB_FAMILY_VIVIT] = "vivit",
                                        [TUB_FAMILY_CNN_FRAME] = "cnn-frame",
                                        [TUB_FAMILY_CNN_RNN] = "cnn-rnn",
                                        [TUB_FAMILY_CNN_TRANSFORMER] = "cnn-transformer",
                                        [TUB_FAMILY_RESNET3D18] = "resnet3d18"};
    return names[family];
}

size_t tub__family_frames(const tub_model_config *c) {
    return c->family == TUB_FAMILY_RESNET3D18  ? 1
           : c->family == TUB_FAMILY_CNN_FRAME ? 1
           : c->sampled_frames > 0             ? (size_t)c->sampled_frames
                                               : (size_t)c->frames;
}

size_t tub__family_features(const tub_model_config *c) {
    return tub__family_filters(c) << (tub__family_stages(c) - 1);
}

/* ---- checks ---- */

static tub_status check_drops(const tub_model_config *c, tub_error *err) {
    const bool drops = c->dropout > 0 || c->mlp_dropout > 0 || c->drop_layer > 0;
    if (drops && !tub__model_has_blocks(c)) {
        return tub__fail(
            err, TUB_E_ARGUMENT,
            "dropout, mlp_dropout and drop_layer are of transformer blocks, which family "
            "%s has not; leave them out",
            tub__family_name(c->family));
    }
    return TUB_OK;
}

/* Settings that would silently do nothing to a network that is no transformer of the whole clip. */
static tub_status check_unused(const tub_model_config *c, tub_error *err) {
    const char *name = tub__family_name(c->family);
    if (c->variant != TUB_VARIANT_JOINT) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "variants are of family vivit; family %s takes variant joint only", name);
    }
    if (!tub__model_has_blocks(c) && c->pooling != TUB_POOL_MEAN) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "pooling is of tokens, which family %s has not; leave it at mean", name);
    }
    if (c->positions == TUB_POSITIONS_SINUSOIDAL_3D) {
        return tub__fail(
            err, TUB_E_ARGUMENT,
            "positions sinusoidal_3d are of tokens in time and space; family %s has them "
            "in time only",
            name);
    }
    if (c->sampled_frames > 0 &&
        (c->family == TUB_FAMILY_RESNET3D18 || c->family == TUB_FAMILY_CNN_FRAME)) {
        return tub__fail(err, TUB_E_ARGUMENT, "sampled_frames has no meaning for family %s; %s",
                         name,
                         c->family == TUB_FAMILY_RESNET3D18 ? "it sees the whole volume"
                                                            : "it sees the middle frame");
    }
    return TUB_OK;
}

tub_status tub__family_check(const tub_model_config *c, tub_error *err) {
    TUB__TRY(tub__in_range("filters", c->filters, 0, TUB__CHANNEL_LIMIT, err));
    TUB__TRY(tub__in_range("stages", c->stages, 0, TUB__STAGES, err));
    TUB__TRY(tub__in_range("units", c->units, 0, TUB__UNITS, err));
    if (c->family == TUB_FAMILY_VIVIT) {
        return TUB_OK;
    }
    TUB__TRY(check_unused(c, err));
    TUB__TRY(check_drops(c, err));
    const size_t stages = tub__family_stages(c), filters = tub__family_filters(c);
    if (tub__family_features(c) > TUB__CHANNEL_LIMIT) {
        return tub__fail(err, TUB_E_RANGE,
                         "%zu filters, doubled in each of %zu stages, come to %zu; at most %d are "
                         "supported",
                         filters, stages, tub__family_features(c), TUB__CHANNEL_LIMIT);
    }
    if (c->channels > TUB__CHANNEL_LIMIT) {
        return tub__fail(err, TUB_E_RANGE, "channels is %lld; convolutions take at most %d",
                         (long long)c->channels, TUB__CHANNEL_LIMIT);
    }
    const int64_t small = c->height < c->width ? c->height : c->width;
    if (tub__family_is_cnn(c->family) && small >> stages == 0) {
        return tub__fail(err, TUB_E_RANGE,
                         "frames of %lldx%lld can't be halved %zu times; take fewer stages",
                         (long long)c->height, (long long)c->width, stages);
    }
    return TUB_OK;
}

tub_status tub__family_no_precision(const tub_model_config *c, const char *precision,
                                    tub_status status, tub_error *err) {
    return tub__fail(err, status, "precision %s is for family vivit; %s computes in f32 only",
                     precision, tub__family_name(c->family));
}

/* ---- convolutions ---- */

static size_t out_of(size_t in, size_t kernel, size_t stride, size_t pad) {
    return (in + 2 * pad - kernel) / stride + 1;
}

/* A window of kernel k (1 along an axis of 1 frame), centred, over a grid. */
static tub__window window_of(const size_t in[3], size_t time, size_t kernel, size_t stride,
                             size_t time_stride) {
    tub__window w = {.kernel = {time, kernel, kernel},
                     .stride = {time_stride, stride, stride},
                     .pad = {time / 2, kernel / 2, kernel / 2}};
    for (int i = 0; i < 3; i++) {
        w.in[i] = in[i];
        w.out[i] = out_of(in[i], w.kernel[i], w.stride[i], w.pad[i]);
    }
    return w;
}

tub__window tub__family_pool(const tub__conv_shape *conv) {
    tub__window w = {.kernel = {1, 2, 2}, .stride = {1, 2, 2}};
    for (int i = 0; i < 3; i++) {
        w.in[i] = conv->window.out[i];
        w.out[i] = w.in[i] / w.kernel[i];
    }
    return w;
}

static void frame_convs(const tub_model_config *c, tub__conv_shapes *out) {
    size_t in[3] = {1, (size_t)c->height, (size_t)c->width}, channels = (size_t)c->channels;
    for (size_t i = 0; i < tub__family_stages(c); i++) {
        tub__conv_shape *s = &out->list[out->count++];
        *s = (tub__conv_shape){.window = window_of(in, 1, 3, 1, 1),
                               .in = channels,
                               .out = tub__family_filters(c) << i};
        snprintf(s->name, sizeof s->name, "cnn.%zu.conv", i);
        const tub__window pool = tub__family_pool(s);
        for (int j = 0; j < 3; j++) {
            in[j] = pool.out[j];
        }
        channels = s->out;
    }
}

static tub__conv_shape *volume_conv(tub__conv_shapes *out, const size_t in[3], size_t kernel,
                                    size_t stride, size_t from, size_t to) {
    tub__conv_shape *s = &out->list[out->count++];
    *s = (tub__conv_shape){
        .window = window_of(in, kernel, kernel, stride, stride), .in = from, .out = to};
    return s;
}

static void block_convs(tub__conv_shapes *out, size_t stage, size_t block, size_t to) {
    /* Whether it is the second 3x3x3 or the shortcut: what comes last has the block's shape. */
    const tub__conv_shape *last = &out->list[out->count - 1];
    const size_t in[3] = {last->window.out[0], last->window.out[1], last->window.out[2]},
                 from = last->out, stride = stage > 0 && block == 0 ? 2 : 1;
    for (int i = 1; i <= 2; i++) {
        const size_t *grid = i == 1 ? in : out->list[out->count - 1].window.out;
        tub__conv_shape *s = volume_conv(out, grid, 3, i == 1 ? stride : 1, i == 1 ? from : to, to);
        snprintf(s->name, sizeof s->name, "layer%zu.%zu.conv%d", stage + 1, block, i);
        snprintf(s->norm, sizeof s->norm, "layer%zu.%zu.bn%d", stage + 1, block, i);
    }
    if (tub__family_shortcut(stage, block)) {
        tub__conv_shape *s = volume_conv(out, in, 1, stride, from, to);
        snprintf(s->name, sizeof s->name, "layer%zu.%zu.shortcut.0", stage + 1, block);
        snprintf(s->norm, sizeof s->norm, "layer%zu.%zu.shortcut.1", stage + 1, block);
    }
}

static void volume_convs(const tub_model_config *c, tub__conv_shapes *out) {
    const size_t in[3] = {(size_t)c->frames, (size_t)c->height, (size_t)c->width},
                 filters = tub__family_filters(c);
    tub__conv_shape *first = volume_conv(out, in, 3, 1, (size_t)c->channels, filters);
    snprintf(first->name, sizeof first->name, "conv1");
    snprintf(first->norm, sizeof first->norm, "bn1");
    for (size_t stage = 0; stage < tub__family_stages(c); stage++) {
        for (size_t block = 0; block < BLOCKS; block++) {
            block_convs(out, stage, block, filters << stage);
        }
    }
}

tub__conv_shapes tub__family_convs(const tub_model_config *c) {
    tub__conv_shapes out = {0};
    if (c->family == TUB_FAMILY_RESNET3D18) {
        volume_convs(c, &out);
    } else if (tub__family_is_cnn(c->family)) {
        frame_convs(c, &out);
    }
    return out;
}

double tub__family_multiply_adds(const tub_model_config *c, double *first) {
    const tub__conv_shapes convs = tub__family_convs(c);
    const double frames = (double)tub__family_frames(c), u = (double)tub__family_units(c);
    double sum = 0;
    for (size_t i = 0; i < convs.count; i++) {
        const tub__conv_shape *s = &convs.list[i];
        const double one = (double)tub__window_out(&s->window) *
                           (double)tub__window_taps(&s->window) * (double)s->in * (double)s->out;
        sum += frames * one;
        if (i == 0) {
            *first = frames * one;
        }
    }
    if (c->family == TUB_FAMILY_CNN_RNN) {
        sum += frames * 3 * u * ((double)tub__family_features(c) + u);
    } else if (c->family == TUB_FAMILY_CNN_TRANSFORMER) {
        sum += frames * (double)tub__family_features(c) * (double)c->hidden;
    }
    return sum;
}
