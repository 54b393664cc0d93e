/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations: the checks of every value, and the geometry that they mean. */
#include "base/error.h"
#include "model/family.h"
#include "model/model.h"
#include "model/variant.h"

static tub_status check_axis(const char *name, int64_t size, int64_t kernel, int64_t stride,
                             tub_error *err) {
    if (kernel < 1 || kernel > size) {
        return tub__fail(err, TUB_E_RANGE,
                         "model.tubelet's %s is %lld; it must be from 1 to the clip's %lld", name,
                         (long long)kernel, (long long)size);
    }
    if (stride < 0 || stride > size) {
        return tub__fail(err, TUB_E_RANGE,
                         "model.stride's %s is %lld; it must be from 1 to the clip's %lld (0: the "
                         "tubelet's size)",
                         name, (long long)stride, (long long)size);
    }
    return TUB_OK;
}

static tub_status check_sizes(const tub_model_config *c, tub_error *err) {
    static const char *const axis[3] = {"time", "height", "width"};
    const int64_t size[3] = {c->frames, c->height, c->width};
    TUB__TRY(tub__in_range("frames", c->frames, 1, 65536, err));
    TUB__TRY(tub__in_range("height", c->height, 1, 65536, err));
    TUB__TRY(tub__in_range("width", c->width, 1, 65536, err));
    TUB__TRY(tub__in_range("channels", c->channels, 1, 1024, err));
    for (int i = 0; i < 3 && c->family == TUB_FAMILY_VIVIT; i++) {
        TUB__TRY(check_axis(axis[i], size[i], c->tubelet[i], c->stride[i], err));
    }
    TUB__TRY(tub__in_range("hidden", c->hidden, 1, 65536, err));
    TUB__TRY(tub__in_range("heads", c->heads, 1, c->hidden, err));
    TUB__TRY(tub__in_range("layers", c->layers, 1, 1000, err));
    TUB__TRY(tub__in_range("mlp", c->mlp, 1, 1 << 20, err));
    TUB__TRY(tub__in_range("classes", c->classes, 2, TUB_LABEL_LIMIT, err));
    TUB__TRY(tub__in_range("temporal_layers", c->temporal_layers, 0, 1000, err));
    TUB__TRY(tub__in_range("sampled_frames", c->sampled_frames, 0, c->frames, err));
    TUB__TRY(tub__in_range("representation", c->representation, 0, 65536, err));
    if (c->hidden % c->heads != 0) {
        return tub__fail(err, TUB_E_RANGE, "heads %lld does not divide hidden %lld",
                         (long long)c->heads, (long long)c->hidden);
    }
    if (c->hidden / c->heads > TUB__HEAD_WIDTH_LIMIT) {
        return tub__fail(err, TUB_E_RANGE,
                         "a head is %lld wide (hidden %lld / heads %lld); at most %d is supported",
                         (long long)(c->hidden / c->heads), (long long)c->hidden,
                         (long long)c->heads, TUB__HEAD_WIDTH_LIMIT);
    }
    return TUB_OK;
}

/* Heads stand in front, without gaps, and make up all the classes. */
static tub_status check_task(const tub_model_config *c, tub_error *err) {
    int64_t sum = 0;
    int heads = 0;
    bool gap = false;
    TUB__TRY(tub__in_range("task", c->task, TUB_TASK_DATA, TUB_TASKS - 1, err));
    for (int i = 0; i < TUB_HEAD_LIMIT; i++) {
        if (c->head_classes[i] != 0) {
            TUB__TRY(tub__in_range("head_classes", c->head_classes[i], 2, TUB_LABEL_LIMIT, err));
            gap = gap || i > heads;
            heads++;
            sum += c->head_classes[i];
        }
    }
    if (c->task != TUB_TASK_MULTI_HEAD && sum > 0) {
        return tub__fail(err, TUB_E_ARGUMENT, "head_classes are of task multi_head only");
    }
    if (c->task == TUB_TASK_MULTI_HEAD && (heads == 0 || gap)) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "task multi_head needs head_classes, the classes of each head, as 97,300");
    }
    if (c->task == TUB_TASK_MULTI_HEAD && sum != c->classes) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "head_classes add up to %lld, but there are %lld classes", (long long)sum,
                         (long long)c->classes);
    }
    return TUB_OK;
}

bool tub__variant_takes_token(tub_variant variant) {
    return variant != TUB_VARIANT_FACTORISED_SELF_ATTENTION &&
           variant != TUB_VARIANT_FACTORISED_DOT_PRODUCT;
}

static tub_status check_variant(const tub_model_config *c, tub_error *err) {
    if (!tub__variant_takes_token(c->variant) && c->pooling == TUB_POOL_CLASS_TOKEN) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "variant %s has no place for a class token, which lies at no time and "
                         "nowhere in space; take pooling mean, max or sum",
                         c->variant == TUB_VARIANT_FACTORISED_DOT_PRODUCT
                             ? "factorised_dot_product"
                             : "factorised_self_attention");
    }
    if (c->variant == TUB_VARIANT_FACTORISED_DOT_PRODUCT && c->heads % 2 != 0) {
        return tub__fail(err, TUB_E_RANGE,
                         "heads %lld is odd; variant factorised_dot_product gives half of them to "
                         "time and half to space",
                         (long long)c->heads);
    }
    return TUB_OK;
}

static tub_status check_positions(const tub_model_config *c, tub_error *err) {
    if (c->positions == TUB_POSITIONS_SINUSOIDAL_1D && c->hidden % 2 != 0) {
        return tub__fail(err, TUB_E_RANGE,
                         "hidden %lld is odd; positions sinusoidal_1d are pairs of sine and cosine",
                         (long long)c->hidden);
    }
    if (c->positions != TUB_POSITIONS_SINUSOIDAL_3D) {
        return TUB_OK;
    }
    if (c->hidden % 6 != 0) {
        return tub__fail(
            err, TUB_E_RANGE,
            "hidden %lld is no multiple of 6; positions sinusoidal_3d are a sine and a "
            "cosine for each of three axes",
            (long long)c->hidden);
    }
    if (c->pooling == TUB_POOL_CLASS_TOKEN || c->variant == TUB_VARIANT_FACTORISED_ENCODER) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "positions sinusoidal_3d are for tokens of time and space alone, without "
                         "class token and not for variant factorised_encoder; take sinusoidal_1d");
    }
    return TUB_OK;
}

static tub_status check_sampling(const tub_model_config *c, tub_error *err) {
    if (c->family == TUB_FAMILY_VIVIT && c->sampled_frames > 0 &&
        (c->tubelet[0] != 1 || c->stride[0] > 1)) {
        return tub__fail(err, TUB_E_RANGE,
                         "sampled_frames %lld cuts each frame by itself, so that model.tubelet's "
                         "time must be 1 and not %lld, and its stride 0 or 1",
                         (long long)c->sampled_frames, (long long)c->tubelet[0]);
    }
    return TUB_OK;
}

/* The element counts that later code multiplies without checks fit comfortably. */
static tub_status check_totals(const tub_model_config *c, tub_error *err) {
    const tub__geometry g = tub__model_geometry(c);
    const double tokens = (double)g.grid[0] * (double)g.grid[1] * (double)g.grid[2];
    const double row =
        (double)c->tubelet[0] * (double)c->tubelet[1] * (double)c->tubelet[2] * (double)c->channels;
    const double voxels =
        (double)c->frames * (double)c->height * (double)c->width * (double)c->channels;
    if (tokens > 1e6 && c->family == TUB_FAMILY_VIVIT) {
        return tub__fail(err, TUB_E_RANGE,
                         "the clip makes %.0f tokens; at most a million are supported (a larger "
                         "tubelet or stride makes fewer)",
                         tokens);
    }
    if (row > 1e7 || voxels > 1e10) {
        return tub__fail(err, TUB_E_RANGE, "a %s has %.0f values; that is too large",
                         row > 1e7 ? "tubelet" : "clip", row > 1e7 ? row : voxels);
    }
    return TUB_OK;
}

static tub_status check_share(const char *name, double value, tub_error *err) {
    return value >= 0 && value < 1
               ? TUB_OK
               : tub__fail(err, TUB_E_RANGE, "%s is %g; it must be at least 0 and below 1", name,
                           value);
}

tub_status tub_model_config_check(const tub_model_config *c, tub_error *err) {
    if (c->size != sizeof *c) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "the model configuration has size %zu; this library's is %zu", c->size,
                         sizeof *c);
    }
    TUB__TRY(tub__in_range("family", c->family, TUB_FAMILY_VIVIT, TUB_FAMILY_RESNET3D18, err));
    TUB__TRY(check_sizes(c, err));
    TUB__TRY(tub__in_range("gelu", c->gelu, TUB_GELU_TANH, TUB_GELU_ERF, err));
    TUB__TRY(tub__in_range("pooling", c->pooling, TUB_POOL_MEAN, TUB_POOL_SUM, err));
    TUB__TRY(tub__in_range("variant", c->variant, TUB_VARIANT_JOINT,
                           TUB_VARIANT_FACTORISED_DOT_PRODUCT, err));
    TUB__TRY(tub__in_range("attention_order", c->attention_order, TUB_ORDER_TIME_SPACE,
                           TUB_ORDER_SPACE_TIME, err));
    TUB__TRY(
        tub__in_range("positions", c->positions, TUB_POSITIONS_LEARNED, TUB_POSITIONS_NONE, err));
    TUB__TRY(tub__in_range("head_init", c->head_init, TUB_HEAD_GLOROT, TUB_HEAD_ZEROS, err));
    TUB__TRY(tub__in_range("attention_init", c->attention_init, TUB_INIT_KERAS2022, TUB_INIT_GLOROT,
                           err));
    TUB__TRY(
        tub__in_range("input_scale", c->input_scale, TUB_SCALE_DIVIDE, TUB_SCALE_MULTIPLY, err));
    if (!(c->norm_epsilon > 0 && c->norm_epsilon < 1)) {
        return tub__fail(err, TUB_E_RANGE, "norm_epsilon is %g; it must be above 0 and below 1",
                         c->norm_epsilon);
    }
    TUB__TRY(check_share("attention_dropout", c->attention_dropout, err));
    TUB__TRY(check_share("dropout", c->dropout, err));
    TUB__TRY(check_share("mlp_dropout", c->mlp_dropout, err));
    TUB__TRY(check_share("drop_layer", c->drop_layer, err));
    TUB__TRY(check_task(c, err));
    TUB__TRY(check_variant(c, err));
    TUB__TRY(check_positions(c, err));
    TUB__TRY(check_sampling(c, err));
    TUB__TRY(tub__family_check(c, err));
    return check_totals(c, err);
}

tub__outputs tub__model_outputs(const tub_model_config *c) {
    tub__outputs o = {.task = c->task == TUB_TASK_DATA ? TUB_TASK_MULTI_CLASS : c->task};
    while (o.heads < TUB_HEAD_LIMIT && c->head_classes[o.heads] != 0) {
        o.head_classes[o.heads] = (size_t)c->head_classes[o.heads];
        o.heads++;
    }
    return o;
}

/* Voxel by voxel, of all frames or of those that a baseline looks at. */
static tub__geometry voxel_geometry(const tub_model_config *c, tub__geometry g) {
    for (int i = 0; i < 3; i++) {
        g.kernel[i] = g.stride[i] = 1;
    }
    g.sampled = c->family == TUB_FAMILY_CNN_FRAME || c->sampled_frames > 0;
    g.grid[0] = tub__family_is_cnn(c->family) ? tub__family_frames(c) : g.frames;
    g.grid[1] = g.height;
    g.grid[2] = g.width;
    return g;
}

tub__geometry tub__model_geometry(const tub_model_config *c) {
    tub__geometry g = {.frames = (size_t)c->frames,
                       .height = (size_t)c->height,
                       .width = (size_t)c->width,
                       .channels = (size_t)c->channels};
    const size_t size[3] = {g.frames, g.height, g.width};
    if (c->family != TUB_FAMILY_VIVIT) {
        return voxel_geometry(c, g);
    }
    for (int i = 0; i < 3; i++) {
        g.kernel[i] = (size_t)c->tubelet[i];
        g.stride[i] = c->stride[i] ? (size_t)c->stride[i] : g.kernel[i];
        g.grid[i] = (size[i] - g.kernel[i]) / g.stride[i] + 1;
    }
    if (c->sampled_frames > 0) {
        g.sampled = true;
        g.grid[0] = (size_t)c->sampled_frames;
    }
    return g;
}
