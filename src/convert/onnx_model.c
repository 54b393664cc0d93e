/* SPDX-License-Identifier: Apache-2.0 */
/* The whole ONNX graph of a model: input, network, head, outputs, and what stands in its
 * metadata. */
#include <math.h>
#include <stdio.h>

#include "base/error.h"
#include "base/fpenv.h"
#include "convert/config_json.h"
#include "convert/onnx_layers.h"
#include "convert/prepare.h"
#include "formats/json.h"
#include <tubelet/tubelet.h>

enum { OPSET = 17, IR_VERSION = 8, CLIP_RANK = 5 };

/* ---- Input ---- */

/* The times that the network looks at, where those are not all. */
static size_t frames(tub__onnx_maker *m, size_t clip) {
    const tub__geometry *g = &m->model->geometry;
    int64_t *list;
    if (!g->sampled || g->grid[0] == g->frames || m->error.status != TUB_OK) {
        return clip;
    }
    if (tub__alloc_array(m->allocator, g->grid[0], sizeof *list, (void **)&list, &m->error) !=
        TUB_OK) {
        return clip;
    }
    for (size_t t = 0; t < g->grid[0]; t++) {
        list[t] = (int64_t)tub__geometry_frame(g, t);
    }
    const size_t x = tub__onnx_op2(m, "Gather", clip, tub__onnx_list(m, g->grid[0], list));
    tub__onnx_integer(m, "axis", 1);
    tub__free(m->allocator, list);
    return x;
}

/* A number for all channels, or one for each, along the last axis. */
static size_t channels(tub__onnx_maker *m, const char *name, const tub__preprocessing *p,
                       const float *values) {
    const int64_t shape[] = {p->channels};
    return p->channels == 1 ? tub__onnx_scalar(m, (double)values[0])
                            : tub__onnx_reals(m, name, 1, shape, values);
}

/* Levels to what the network takes: x * factor, which is a division where that is exact, as by
 * 255. */
static size_t scaled(tub__onnx_maker *m, size_t levels) {
    const tub__preprocessing p = tub__model_preprocessing(m->model);
    const double divisor = 1 / p.factor;
    size_t x = tub__onnx_op1(m, "Cast", levels);
    tub__onnx_integer(m, "to", TUB__ONNX_F32);
    if (p.rescale && !p.multiply && isfinite(divisor) && divisor < 1e30) {
        x = tub__onnx_op2(m, "Div", x, tub__onnx_scalar(m, divisor));
    } else if (p.rescale) {
        x = tub__onnx_op2(m, "Mul", x, tub__onnx_scalar(m, p.factor));
    }
    if (p.rescale && p.offset) {
        x = tub__onnx_op2(m, "Sub", x, tub__onnx_scalar(m, 1));
    }
    if (p.normalize) {
        x = tub__onnx_op2(m, "Sub", x, channels(m, "image_mean", &p, p.mean));
        x = tub__onnx_op2(m, "Div", x, channels(m, "image_std", &p, p.deviation));
    }
    return x;
}

static size_t input(tub__onnx_maker *m, bool levels) {
    const tub_model_config *c = &m->model->config;
    const int64_t shape[CLIP_RANK] = {-1, c->frames, c->height, c->width, c->channels};
    const size_t clip = tub__onnx_value(m, "clip");
    tub__onnx_input(m, clip, levels ? TUB__ONNX_U8 : TUB__ONNX_F32, CLIP_RANK, shape);
    tub__onnx_scope(m, "input");
    const size_t x = frames(m, clip);
    return levels ? scaled(m, x) : x;
}

/* ---- Network ---- */

size_t tub__onnx_tubelets(tub__onnx_maker *m, size_t clip) {
    static const int64_t channels_first[] = {0, 4, 1, 2, 3}, tokens_first[] = {0, 2, 1};
    const tub__geometry *g = &m->model->geometry;
    const int64_t kernel[] = {(int64_t)g->kernel[0], (int64_t)g->kernel[1], (int64_t)g->kernel[2]},
                  stride[] = {g->sampled ? 1 : (int64_t)g->stride[0], (int64_t)g->stride[1],
                              (int64_t)g->stride[2]},
                  rows[] = {0, m->model->config.hidden, (int64_t)tub__geometry_tokens(g)};
    tub__onnx_scope(m, "tubelets");
    const size_t x = tub__onnx_transpose(m, clip, CLIP_RANK, channels_first),
                 w = tub__onnx_param(m, TUB__EMBED_KERNEL, -1),
                 b = tub__onnx_param(m, TUB__EMBED_BIAS, -1);
    const size_t y = tub__onnx_op3(m, "Conv", x, w, b);
    tub__onnx_integers(m, "kernel_shape", 3, kernel);
    tub__onnx_integers(m, "strides", 3, stride);
    return tub__onnx_transpose(m, tub__onnx_reshape(m, y, 3, rows), 3, tokens_first);
}

static size_t network(tub__onnx_maker *m, size_t clip) {
    if (m->model->config.family != TUB_FAMILY_VIVIT) {
        return tub__onnx_baseline(m, clip);
    }
    const size_t x = tub__onnx_tower(m, 0, tub__onnx_tubelets(m, clip));
    return m->model->config.variant == TUB_VARIANT_FACTORISED_ENCODER ? tub__onnx_tower(m, 1, x)
                                                                      : x;
}

/* ---- Outputs ---- */

static size_t softmax(tub__onnx_maker *m, size_t logits) {
    const size_t y = tub__onnx_op1(m, "Softmax", logits);
    tub__onnx_integer(m, "axis", -1);
    return y;
}

/* A softmax for each head. */
static size_t heads(tub__onnx_maker *m, const tub__outputs *o, size_t logits) {
    int64_t sizes[TUB_HEAD_LIMIT];
    size_t each[TUB_HEAD_LIMIT];
    for (size_t i = 0; i < o->heads; i++) {
        sizes[i] = (int64_t)o->head_classes[i];
    }
    const size_t inputs[] = {logits, tub__onnx_list(m, o->heads, sizes)};
    const size_t first = tub__onnx_node_add(m, "Split", o->heads, 2, inputs);
    tub__onnx_integer(m, "axis", 1);
    for (size_t i = 0; i < o->heads; i++) {
        each[i] = softmax(m, first + i);
    }
    const size_t y = tub__onnx_node_add(m, "Concat", 1, o->heads, each);
    tub__onnx_integer(m, "axis", 1);
    return y;
}

static void outputs(tub__onnx_maker *m, size_t features) {
    const tub__outputs o = tub__model_outputs(&m->model->config);
    const int64_t shape[] = {-1, m->model->config.classes};
    tub__onnx_scope(m, "head");
    if (tub__onnx_has(m, TUB__REPRESENTATION_KERNEL, -1)) {
        features =
            tub__onnx_op1(m, "Tanh", tub__onnx_gemm(m, features, TUB__REPRESENTATION_KERNEL));
    }
    const size_t logits = tub__onnx_gemm(m, features, TUB__HEAD_KERNEL);
    const size_t probabilities = o.task == TUB_TASK_MULTI_LABEL
                                     ? tub__onnx_op1(m, "Sigmoid", logits)
                                 : o.heads > 1 ? heads(m, &o, logits)
                                               : softmax(m, logits);
    tub__onnx_rename(m, logits, "logits");
    tub__onnx_rename(m, probabilities, "probabilities");
    tub__onnx_output(m, logits, 2, shape);
    tub__onnx_output(m, probabilities, 2, shape);
}

/* ---- Metadata ---- */

static void note_labels(tub__onnx_maker *m) {
    const tub_model *model = m->model;
    tub__json_writer w;
    char *text = NULL, spare[32];
    size_t size;
    tub__json_start(&w, m->allocator, 0);
    tub__json_open_array(&w, NULL);
    for (int64_t i = 0; i < model->config.classes; i++) {
        snprintf(spare, sizeof spare, "LABEL_%lld", (long long)i); /* as in config.json */
        tub__json_put_text(&w, NULL, model->labels != NULL ? model->labels[i] : spare);
    }
    tub__json_close_array(&w);
    if (m->error.status == TUB_OK) {
        (void)!tub__json_finish(&w, &text, &size, &m->error);
    } else {
        tub__json_discard(&w);
    }
    tub__onnx_note_add(m, "labels", text);
}

static void note_config(tub__onnx_maker *m) {
    const tub_model *model = m->model;
    char *text = NULL;
    size_t size;
    if (m->error.status == TUB_OK) {
        (void)!tub__config_to_json(m->allocator, &model->config, false,
                                   (const char *const *)model->labels, &text, &size, &m->error);
    }
    tub__onnx_note_add(m, "config", text);
}

static void note_preprocessing(tub__onnx_maker *m) {
    const tub_model *model = m->model;
    char *text = NULL;
    size_t size;
    if (m->error.status != TUB_OK) {
        return;
    }
    if (model->preprocessor_text != NULL) {
        (void)!tub__alloc_string(m->allocator, model->preprocessor_text, &text, &m->error);
    } else {
        (void)!tub__preprocessor_to_json(m->allocator, &model->config, false, NULL, &text, &size,
                                         &m->error);
    }
    tub__onnx_note_add(m, "preprocessor_config", text);
}

static void note_task(tub__onnx_maker *m) {
    char *text = NULL;
    if (m->error.status == TUB_OK) {
        const tub__outputs o = tub__model_outputs(&m->model->config);
        (void)!tub__alloc_string(m->allocator, tub_task_name(o.task), &text, &m->error);
    }
    tub__onnx_note_add(m, "task", text);
}

/* ---- All ---- */

static tub_status check_channels(const tub_model *model, tub_error *err) {
    const tub__preprocessing p = tub__model_preprocessing(model);
    return !p.normalize || p.channels == 1 || p.channels == model->config.channels
               ? TUB_OK
               : tub__fail(err, TUB_E_SHAPE,
                           "clips have %lld channels; image_mean and image_std have %d, so their "
                           "levels can't be scaled in the graph",
                           (long long)model->config.channels, p.channels);
}

tub_status tub__onnx_make(tub__onnx_maker *m, const tub__onnx_options *options, tub_error *err) {
    tub__onnx_graph *g = &m->graph;
    if (options->levels) {
        TUB__TRY(check_channels(m->model, err));
    }
    g->ir_version = IR_VERSION;
    g->opset = OPSET;
    snprintf(g->producer, sizeof g->producer, "tubelet");
    snprintf(g->producer_version, sizeof g->producer_version, "%s", tub_version());
    const tub__fpenv saved = tub__fpenv_enter();
    outputs(m, network(m, input(m, options->levels)));
    note_labels(m);
    note_task(m);
    note_preprocessing(m);
    note_config(m);
    tub__fpenv_leave(saved);
    if (m->error.status != TUB_OK && err != NULL) {
        *err = m->error;
    }
    return m->error.status;
}
