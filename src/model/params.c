/* SPDX-License-Identifier: Apache-2.0 */
/* The parameter table: what arrays a configuration has, in the order of Hugging Face's files. */
#include "model/params.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "model/params_make.h"

tub__param *tub__maker_add(tub__maker *m, tub__role role, int layer, const char *title, size_t rows,
                           size_t cols) {
    tub__param *p = &m->out->list[m->out->count++];
    *p = (tub__param){.title = title, .role = role, .layer = layer, .rows = rows, .cols = cols};
    return p;
}

void tub__maker_name(tub__param *p, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(p->name, sizeof p->name, format, args);
    va_end(args);
}

/* Keras numbers layers of a kind: "dense", "dense_1", … */
static void keras_name(tub__param *p, const char *stem, int number, const char *rest) {
    if (number) {
        snprintf(p->keras, sizeof p->keras, "layers/%s_%d/%s", stem, number, rest);
    } else {
        snprintf(p->keras, sizeof p->keras, "layers/%s/%s", stem, rest);
    }
}

void tub__maker_vector(tub__param *p) {
    p->rank = 1;
    p->shape[0] = p->cols;
}

void tub__maker_kernel(tub__param *p) {
    p->packed = true;
    p->decay = true;
    p->file = TUB__FILE_TRANSPOSED;
    p->rank = 2;
    p->shape[0] = p->cols;
    p->shape[1] = p->rows;
}

/* Glorot uniform (Glorot and Bengio 2010). */
void tub__maker_glorot(tub__param *p, double fan_in, double fan_out) {
    p->initial = TUB__INIT_UNIFORM;
    p->limit = sqrt(6 / (fan_in + fan_out));
}

/* Of the spatial and of the temporal transformer, where there are two. */
static const struct {
    tub__role token, position, norm;
    const char *embeddings, *layers, *norm_name, *token_title, *position_title, *gamma, *beta;
} tower_names[TUB__TOWERS] = {
    {TUB__CLASS_TOKEN, TUB__POSITION, TUB__NORM_GAMMA, "vivit.embeddings", "vivit.encoder.layer",
     "vivit.layernorm", "class token", "position table", "final norm gamma", "final norm beta"},
    {TUB__TEMPORAL_CLASS_TOKEN, TUB__TEMPORAL_POSITION, TUB__TEMPORAL_NORM_GAMMA,
     "vivit.temporal.embeddings", "vivit.temporal.encoder.layer", "vivit.temporal.layernorm",
     "temporal class token", "temporal position table", "temporal norm gamma",
     "temporal norm beta"},
};

/* What stands before a tower's blocks. */
static void make_positions(tub__maker *m, size_t tower) {
    const tub__tower_shape *t = &m->shape.tower[tower];
    const size_t width = (size_t)m->c->hidden;
    tub__param *p;
    if (t->class_token) {
        p = tub__maker_add(m, tower_names[tower].token, -1, tower_names[tower].token_title, 1,
                           width);
        tub__maker_name(p, "%s.cls_token", tower_names[tower].embeddings);
        p->rank = 3;
        p->shape[0] = p->shape[1] = 1;
        p->shape[2] = width;
    }
    if (m->c->positions != TUB_POSITIONS_LEARNED || t->layers == 0) {
        return;
    }
    p = tub__maker_add(m, tower_names[tower].position, -1, tower_names[tower].position_title,
                       t->tokens, width);
    tub__maker_name(p, "%s.position_embeddings", tower_names[tower].embeddings);
    if (tower == 0) {
        keras_name(p, "positional_encoder", 0, "position_embedding/vars/0");
    }
    p->rank = 3;
    p->shape[0] = 1;
    p->shape[1] = t->tokens;
    p->shape[2] = width;
    p->initial = TUB__INIT_UNIFORM;
    p->limit = 0.05;
}

static void make_embedding(tub__maker *m) {
    const size_t row = tub__geometry_row(&m->g), width = (size_t)m->c->hidden;
    tub__param *p = tub__maker_add(m, TUB__EMBED_KERNEL, -1, "tubelet kernel", row, width);
    tub__maker_name(p, "vivit.embeddings.patch_embeddings.projection.weight");
    keras_name(p, "tubelet_embedding", 0, "projection/vars/0");
    tub__maker_kernel(p);
    p->file = TUB__FILE_CONV3D;
    p->rank = 5;
    p->shape[1] = m->g.channels;
    for (int i = 0; i < 3; i++) {
        p->shape[2 + i] = m->g.kernel[i];
    }
    const double taps = (double)row / (double)m->g.channels;
    tub__maker_glorot(p, (double)row, taps * (double)width);

    p = tub__maker_add(m, TUB__EMBED_BIAS, -1, "tubelet bias", 1, width);
    tub__maker_name(p, "vivit.embeddings.patch_embeddings.projection.bias");
    keras_name(p, "tubelet_embedding", 0, "projection/vars/1");
    tub__maker_vector(p);
}

/* Gamma and beta; number: Keras' of this layer norm. */
static void make_norm(tub__maker *m, tub__role gamma, int layer, int number, const char *hf,
                      const char *title_gamma, const char *title_beta) {
    for (int i = 0; i < 2; i++) {
        tub__param *p = tub__maker_add(m, (tub__role)(gamma + i), layer,
                                       i ? title_beta : title_gamma, 1, (size_t)m->c->hidden);
        tub__maker_name(p, "%s.%s", hf, i ? "bias" : "weight");
        keras_name(p, "layer_normalization", number, i ? "vars/1" : "vars/0");
        p->initial = i ? TUB__INIT_ZEROS : TUB__INIT_ONES;
        tub__maker_vector(p);
    }
}

tub__param *tub__maker_dense(tub__maker *m, tub__role kernel, int layer, const char *title_kernel,
                             const char *title_bias, size_t in, size_t out, bool bias,
                             const char *hf) {
    const size_t first = m->out->count;
    tub__param *p = tub__maker_add(m, kernel, layer, title_kernel, in, out);
    tub__maker_name(p, "%s.weight", hf);
    tub__maker_kernel(p);
    tub__maker_glorot(p, (double)in, (double)out);
    if (bias) {
        p = tub__maker_add(m, (tub__role)(kernel + 1), layer, title_bias, 1, out);
        tub__maker_name(p, "%s.bias", hf);
        tub__maker_vector(p);
    }
    return &m->out->list[first];
}

static void keras_pair(tub__param *first, bool bias, const char *stem, int number,
                       const char *layer) {
    char rest[64];
    snprintf(rest, sizeof rest, "%s/vars/0", layer);
    keras_name(first, stem, number, rest);
    if (bias) {
        snprintf(rest, sizeof rest, "%s/vars/1", layer);
        keras_name(first + 1, stem, number, rest);
    }
}

/* Keras up to 3.14 took the 3-D einsum kernels [D, A, D/A] and [A, D/A, D] for convolutions:
 * receptive field times channels. */
static void attention_limits(const tub_model_config *c, tub__param *p, bool output) {
    const double width = (double)c->hidden, heads = (double)c->heads, head = width / heads;
    if (c->attention_init == TUB_INIT_KERAS2022) {
        if (output) {
            tub__maker_glorot(p, head * heads, width * heads);
        } else {
            tub__maker_glorot(p, heads * width, head * width);
        }
    }
}

/* An attention's arrays. first: the role of its query kernel; what: begins their titles; where: their
 * names. */
typedef struct attention_names {
    tub__role first;
    const char *where;
    const char *title[8];
} attention_names;

static const attention_names usual_attention = {
    TUB__QUERY_KERNEL,
    "attention",
    {"query kernel", "query bias", "key kernel", "key bias", "value kernel", "value bias",
     "attention output kernel", "attention output bias"}};
static const attention_names time_attention = {
    TUB__TIME_QUERY_KERNEL,
    "temporal_attention",
    {"temporal query kernel", "temporal query bias", "temporal key kernel", "temporal key bias",
     "temporal value kernel", "temporal value bias", "temporal attention output kernel",
     "temporal attention output bias"}};

static void make_attention(tub__maker *m, int layer, const char *stem, const attention_names *n) {
    static const char *const hf_part[] = {"attention.query", "attention.key", "attention.value",
                                          "output.dense"};
    static const char *const keras_part[] = {"query_dense", "key_dense", "value_dense",
                                             "output_dense"};
    const size_t width = (size_t)m->c->hidden;
    char hf[96];
    for (int i = 0; i < 4; i++) {
        const bool output = i == 3, bias = output || m->c->qkv_bias != 0;
        snprintf(hf, sizeof hf, "%s.%s.%s", stem, n->where, hf_part[i]);
        tub__param *p = tub__maker_dense(m, (tub__role)(n->first + 2 * i), layer, n->title[2 * i],
                                         n->title[2 * i + 1], width, width, bias, hf);
        keras_pair(p, bias, "multi_head_attention", layer, keras_part[i]);
        attention_limits(m->c, p, output);
    }
}

/* number: of the layer within its tower. */
static void make_layer(tub__maker *m, int layer, const char *tower, int number) {
    const size_t width = (size_t)m->c->hidden, mlp = (size_t)m->c->mlp;
    const bool two = m->c->variant == TUB_VARIANT_FACTORISED_SELF_ATTENTION;
    char stem[64], hf[96];
    snprintf(stem, sizeof stem, "%s.%d", tower, number);
    make_attention(m, layer, stem, &usual_attention);
    if (two) {
        make_attention(m, layer, stem, &time_attention);
    }
    snprintf(hf, sizeof hf, "%s.intermediate.dense", stem);
    keras_pair(tub__maker_dense(m, TUB__MLP1_KERNEL, layer, "MLP kernel 1", "MLP bias 1", width,
                                mlp, true, hf),
               true, "sequential", layer, "layers/dense");
    snprintf(hf, sizeof hf, "%s.output.dense", stem);
    keras_pair(tub__maker_dense(m, TUB__MLP2_KERNEL, layer, "MLP kernel 2", "MLP bias 2", mlp,
                                width, true, hf),
               true, "sequential", layer, "layers/dense_1");
    snprintf(hf, sizeof hf, "%s.layernorm_before", stem);
    make_norm(m, TUB__NORM1_GAMMA, layer, 2 * layer, hf, "norm 1 gamma", "norm 1 beta");
    if (two) {
        snprintf(hf, sizeof hf, "%s.temporal_layernorm_before", stem);
        make_norm(m, TUB__TIME_NORM_GAMMA, layer, 2 * layer, hf, "temporal norm 1 gamma",
                  "temporal norm 1 beta");
    }
    snprintf(hf, sizeof hf, "%s.layernorm_after", stem);
    make_norm(m, TUB__NORM2_GAMMA, layer, 2 * layer + 1, hf, "norm 2 gamma", "norm 2 beta");
}

/* A tower's blocks, and the norm after them. */
static void make_tower(tub__maker *m, size_t tower) {
    const tub__tower_shape *t = &m->shape.tower[tower];
    for (size_t l = 0; l < t->layers; l++) {
        make_layer(m, (int)(t->first + l), tower_names[tower].layers, (int)l);
    }
    if (t->layers > 0) {
        make_norm(m, tower_names[tower].norm, -1, 2 * (int)t->layers, tower_names[tower].norm_name,
                  tower_names[tower].gamma, tower_names[tower].beta);
    }
}

static void make_head(tub__maker *m) {
    const tub_model_config *c = m->c;
    size_t width = tub__family_head_width(c);
    if (c->representation > 0) {
        tub__maker_dense(m, TUB__REPRESENTATION_KERNEL, -1, "representation kernel",
                         "representation bias", width, (size_t)c->representation, true,
                         "pre_logits");
        width = (size_t)c->representation;
    }
    tub__param *p = tub__maker_dense(m, TUB__HEAD_KERNEL, -1, "classifier kernel",
                                     "classifier bias", width, (size_t)c->classes, true,
                                     c->family == TUB_FAMILY_RESNET3D18 ? "linear" : "classifier");
    keras_name(&p[0], "dense", 0, "vars/0");
    keras_name(&p[1], "dense", 0, "vars/1");
    if (c->head_init == TUB_HEAD_ZEROS) {
        p[0].initial = TUB__INIT_ZEROS;
    }
}

/* Query, key and value kernels lie side by side in the slab, so that one product computes all
 * three; so do their biases. */
static const tub__role slab_order[] = {
    TUB__EMBED_KERNEL,
    TUB__EMBED_BIAS,
    TUB__CLASS_TOKEN,
    TUB__POSITION,
    TUB__NORM1_GAMMA,
    TUB__NORM1_BETA,
    TUB__QUERY_KERNEL,
    TUB__KEY_KERNEL,
    TUB__VALUE_KERNEL,
    TUB__QUERY_BIAS,
    TUB__KEY_BIAS,
    TUB__VALUE_BIAS,
    TUB__OUT_KERNEL,
    TUB__OUT_BIAS,
    TUB__TIME_NORM_GAMMA,
    TUB__TIME_NORM_BETA,
    TUB__TIME_QUERY_KERNEL,
    TUB__TIME_KEY_KERNEL,
    TUB__TIME_VALUE_KERNEL,
    TUB__TIME_QUERY_BIAS,
    TUB__TIME_KEY_BIAS,
    TUB__TIME_VALUE_BIAS,
    TUB__TIME_OUT_KERNEL,
    TUB__TIME_OUT_BIAS,
    TUB__NORM2_GAMMA,
    TUB__NORM2_BETA,
    TUB__MLP1_KERNEL,
    TUB__MLP1_BIAS,
    TUB__MLP2_KERNEL,
    TUB__MLP2_BIAS,
    TUB__NORM_GAMMA,
    TUB__NORM_BETA,
    TUB__TEMPORAL_CLASS_TOKEN,
    TUB__TEMPORAL_POSITION,
    TUB__TEMPORAL_NORM_GAMMA,
    TUB__TEMPORAL_NORM_BETA,
    TUB__CONV_KERNEL,
    TUB__CONV_BIAS,
    TUB__BATCH_GAMMA,
    TUB__BATCH_BETA,
    TUB__BATCH_MEAN,
    TUB__BATCH_VARIANCE,
    TUB__PROJECT_KERNEL,
    TUB__PROJECT_BIAS,
    TUB__GRU_KERNEL,
    TUB__GRU_BIAS,
    TUB__GRU_RECURRENT,
    TUB__GRU_RECURRENT_BIAS,
    TUB__REPRESENTATION_KERNEL,
    TUB__REPRESENTATION_BIAS,
    TUB__HEAD_KERNEL,
    TUB__HEAD_BIAS,
};
_Static_assert(sizeof slab_order / sizeof *slab_order == TUB__ROLES, "every role has a place");

/* The classifier is small, and what it makes is the answer. In int8 the embedding stays, too: it is one
 * product of a clip's fifty, and the voxels of a tubelet may differ much in size. */
static bool reducible(const tub__param *p, tub__format format) {
    return p->packed && p->role != TUB__HEAD_KERNEL && p->role != TUB__REPRESENTATION_KERNEL &&
           (format != TUB__INT8 || p->role != TUB__EMBED_KERNEL);
}

static void place(tub__params *out, int layer, const tub__format *only) {
    for (size_t o = 0; o < sizeof slab_order / sizeof *slab_order; o++) {
        for (size_t i = 0; i < out->count; i++) {
            tub__param *p = &out->list[i];
            if (p->role == slab_order[o] && p->layer == layer) {
                p->elements =
                    only && reducible(p, *only) ? 0 : tub__weight_elements(p->rows, p->cols);
                p->offset = out->elements;
                out->elements += p->elements;
                out->numbers += tub__param_elements(p);
                out->trained += p->buffer ? 0 : tub__param_elements(p);
            }
        }
    }
}

static void place_reduced(tub__params *out, int layer, tub__format format) {
    for (size_t o = 0; o < sizeof slab_order / sizeof *slab_order; o++) {
        for (size_t i = 0; i < out->count; i++) {
            tub__param *p = &out->list[i];
            if (p->role == slab_order[o] && p->layer == layer) {
                p->format = format;
                p->reducible = reducible(p, format);
                p->reduced_offset = out->reduced_bytes;
                out->reduced_bytes +=
                    p->reducible ? tub__reduced_bytes(format, p->rows, p->cols) : 0;
            }
        }
    }
}

void tub__params_reduce(tub__params *p, tub__format format) {
    p->reduced_bytes = 0;
    for (int l = -1; l < p->layers; l++) {
        place_reduced(p, l, format);
    }
}

/* What stands between two transformers goes with the last block of the lower one. Convolutions below a transformer
 * make its tokens: they are its embedding, whatever their own numbers are. */
static int group_of(const tub__param *p, const tub__variant_shape *shape) {
    const int first = (int)shape->tower[0].layers, layers = (int)tub__variant_layers(shape);
    switch (p->role) {
    case TUB__CONV_KERNEL:
    case TUB__CONV_BIAS:
    case TUB__BATCH_GAMMA:
    case TUB__BATCH_BETA:
    case TUB__BATCH_MEAN:
    case TUB__BATCH_VARIANCE:
    case TUB__PROJECT_KERNEL:
    case TUB__PROJECT_BIAS:
    case TUB__EMBED_KERNEL:
    case TUB__EMBED_BIAS:
    case TUB__CLASS_TOKEN:
    case TUB__POSITION:
        return 0;
    case TUB__NORM_GAMMA:
    case TUB__NORM_BETA:
        return first < layers ? first : layers + 1;
    case TUB__TEMPORAL_CLASS_TOKEN:
    case TUB__TEMPORAL_POSITION:
        return first;
    default:
        return p->layer >= 0 ? p->layer + 1 : layers + 1;
    }
}

tub_status tub__params_create(const tub_allocator *a, const tub_model_config *config,
                              const tub__format *only, tub__params *out, tub_error *err) {
    enum { PER_LAYER = 26, REST = 24, PER_CONV = 6 };
    const tub__conv_shapes convs = tub__family_convs(config);
    tub__maker m = {.c = config,
                    .g = tub__model_geometry(config),
                    .shape = tub__variant_shape_of(config),
                    .convs = &convs,
                    .out = out};
    const size_t layers = tub__variant_layers(&m.shape);
    *out =
        (tub__params){.allocator = a, .layers = (int)(layers > convs.count ? layers : convs.count)};
    TUB__TRY(tub__alloc_array(a, PER_LAYER * layers + PER_CONV * convs.count + REST,
                              sizeof *out->list, (void **)&out->list, err));
    if (config->family == TUB_FAMILY_VIVIT) {
        make_positions(&m, 0);
        make_embedding(&m);
        make_tower(&m, 0);
    } else {
        tub__maker_family(&m);
    }
    if (config->family == TUB_FAMILY_CNN_TRANSFORMER) {
        make_positions(&m, 0);
        make_tower(&m, 0);
    }
    if (m.shape.towers > 1) {
        make_positions(&m, 1);
        make_tower(&m, 1);
    }
    make_head(&m);
    const bool in_example =
        config->variant == TUB_VARIANT_JOINT && config->family == TUB_FAMILY_VIVIT;
    for (size_t i = 0; i < out->count && !in_example; i++) {
        out->list[i].keras[0] = '\0'; /* the example has one variant */
    }
    for (size_t i = 0; i < out->count; i++) {
        out->list[i].group = group_of(&out->list[i], &m.shape);
    }
    for (int l = -1; l < out->layers; l++) {
        place(out, l, only);
    }
    tub__params_reduce(out, only ? *only : TUB__BF16);
    return TUB_OK;
}

void tub__params_destroy(tub__params *p) {
    tub__free(p->allocator, p->list);
    *p = (tub__params){0};
}

const tub__param *tub__params_find(const tub__params *p, tub__role role, int layer) {
    for (size_t i = 0; i < p->count; i++) {
        if (p->list[i].role == role && p->list[i].layer == layer) {
            return &p->list[i];
        }
    }
    return NULL;
}

tub__attention_roles tub__params_attention(const tub_model_config *c, size_t i) {
    const bool first_is_time = c->attention_order == TUB_ORDER_TIME_SPACE;
    if (c->variant == TUB_VARIANT_FACTORISED_SELF_ATTENTION && (i == 0) == first_is_time) {
        return (tub__attention_roles){TUB__TIME_QUERY_KERNEL, TUB__TIME_NORM_GAMMA};
    }
    return (tub__attention_roles){TUB__QUERY_KERNEL, TUB__NORM1_GAMMA};
}

const tub__param *tub__params_named(const tub__params *p, const char *name) {
    for (size_t i = 0; i < p->count; i++) {
        if (strcmp(p->list[i].name, name) == 0) {
            return &p->list[i];
        }
    }
    return NULL;
}

size_t tub__params_largest(const tub__params *p) {
    size_t largest = 0;
    for (size_t i = 0; i < p->count; i++) {
        const size_t n = tub__param_elements(&p->list[i]);
        largest = n > largest ? n : largest;
    }
    return largest;
}

size_t tub__params_place(const tub__params *p, size_t index) {
    size_t at = 0;
    for (size_t i = 0; i < index; i++) {
        at += tub__param_elements(&p->list[i]);
    }
    return at;
}

static void *address(const tub__backend *be, const tub__param *p, void *slab) {
    return slab ? (char *)slab + p->offset * be->real_size : NULL; /* NULL: only measuring */
}

tub__weight tub__param_weight(const tub__backend *be, const tub__param *p, void *slab,
                              void *reduced) {
    return (tub__weight){.data = p->elements > 0 ? address(be, p, slab) : NULL,
                         .rows = p->rows,
                         .cols = p->cols,
                         .format = p->format,
                         .reduced =
                             reduced && p->reducible ? (char *)reduced + p->reduced_offset : NULL};
}

tub__mat tub__param_mat(const tub__backend *be, const tub__param *p, void *slab) {
    return (tub__mat){address(be, p, slab), p->rows, p->cols, tub__padded(p->cols)};
}
