/* SPDX-License-Identifier: Apache-2.0 */
/* The mapping table of scenic's ViViT (google-research/scenic, projects/vivit/model.py). The ViT of
 * google-research/vision_transformer (vit_jax/models_vit.py) differs in its classifier's name. */
#include "convert/scenic_names.h"

#include <stdio.h>

#include "base/error.h"

/* ---- Layers of Flax: their arrays, in the order of the roles ---- */

typedef struct row {
    const char *name, *shape;
} row;

static const row class_token[] = {{"", "11D"}, {NULL, NULL}}; /* the part's name is the array's */
static const row positions[] = {{"pos_embedding", "1PD"}, {NULL, NULL}};
static const row temporal_positions[] = {{"pos_embedding", "1QD"}, {NULL, NULL}};
static const row convolution[] = {{"kernel", "thwCD"}, {"bias", "D"}, {NULL, NULL}};
static const row norm[] = {{"scale", "D"}, {"bias", "D"}, {NULL, NULL}};
static const row classifier[] = {{"kernel", "DK"}, {"bias", "K"}, {NULL, NULL}};
static const row representation[] = {{"kernel", "DR"}, {"bias", "R"}, {NULL, NULL}};
static const row narrow_classifier[] = {{"kernel", "RK"}, {"bias", "K"}, {NULL, NULL}};
static const row attention[] = {
    {"query/kernel", "DAk"}, {"query/bias", "Ak"},    {"key/kernel", "DAk"},
    {"key/bias", "Ak"},      {"value/kernel", "DAk"}, {"value/bias", "Ak"},
    {"out/kernel", "AkD"},   {"out/bias", "D"},       {NULL, NULL}};
static const row mlp[] = {{"Dense_0/kernel", "DM"},
                          {"Dense_0/bias", "M"},
                          {"Dense_1/kernel", "MD"},
                          {"Dense_1/bias", "D"},
                          {NULL, NULL}};

/* ---- Parts of a model ---- */

struct tub__scenic_part {
    const char *name, *other; /* other: NULL, the same */
    const row *rows;
    int role; /* of the first row; the others follow it */
};
typedef struct tub__scenic_part part;

static const part ends[] = {
    {"embedding/", NULL, convolution, TUB__EMBED_KERNEL},
    {"output_projection/", "head/", classifier, TUB__HEAD_KERNEL},
    {NULL, NULL, NULL, 0},
};
static const part ends_with_representation[] = {
    {"embedding/", NULL, convolution, TUB__EMBED_KERNEL},
    {"pre_logits/", NULL, representation, TUB__REPRESENTATION_KERNEL},
    {"output_projection/", "head/", narrow_classifier, TUB__HEAD_KERNEL},
    {NULL, NULL, NULL, 0},
};

static const part joint_token[] = {{"cls", NULL, class_token, TUB__CLASS_TOKEN},
                                   {NULL, NULL, NULL, 0}};
static const part joint_tower[] = {
    {"posembed_input/", NULL, positions, TUB__POSITION},
    {"encoder_norm/", NULL, norm, TUB__NORM_GAMMA},
    {NULL, NULL, NULL, 0},
};
static const part joint_block[] = {
    {"LayerNorm_0/", NULL, norm, TUB__NORM1_GAMMA},
    {"MultiHeadDotProductAttention_0/", "MultiHeadDotProductAttention_1/", attention,
     TUB__QUERY_KERNEL},
    {"LayerNorm_1/", "LayerNorm_2/", norm, TUB__NORM2_GAMMA},
    {"MlpBlock_0/", "MlpBlock_3/", mlp, TUB__MLP1_KERNEL},
    {NULL, NULL, NULL, 0},
};

static const part spatial_token[] = {
    {"cls_SpatialTransformer", NULL, class_token, TUB__CLASS_TOKEN}, {NULL, NULL, NULL, 0}};
static const part temporal_token[] = {
    {"cls_TemporalTransformer", NULL, class_token, TUB__TEMPORAL_CLASS_TOKEN},
    {NULL, NULL, NULL, 0}};
static const part temporal_tower[] = {
    {"posembed_input/", NULL, temporal_positions, TUB__TEMPORAL_POSITION},
    {"encoder_norm/", NULL, norm, TUB__TEMPORAL_NORM_GAMMA},
    {NULL, NULL, NULL, 0},
};

/* Two attentions, one along each axis, each with its norm. */
static const part two_axes_block[] = {
    {"LayerNorm_time/", NULL, norm, TUB__TIME_NORM_GAMMA},
    {"MultiHeadDotProductAttention_time/", NULL, attention, TUB__TIME_QUERY_KERNEL},
    {"LayerNorm_space/", NULL, norm, TUB__NORM1_GAMMA},
    {"MultiHeadDotProductAttention_space/", NULL, attention, TUB__QUERY_KERNEL},
    {"LayerNorm_mlp/", NULL, norm, TUB__NORM2_GAMMA},
    {"MlpBlock/", NULL, mlp, TUB__MLP1_KERNEL},
    {NULL, NULL, NULL, 0},
};

static const tub__scenic_variant variants[] = {
    {.number = 1,
     .variant = TUB_VARIANT_JOINT,
     .title = "joint space-time attention",
     .towers = {"Transformer/"},
     .tokens = {joint_token},
     .parts = {joint_tower},
     .layer_parts = joint_block},
    {.number = 2,
     .variant = TUB_VARIANT_FACTORISED_ENCODER,
     .title = "factorised encoder",
     .towers = {"SpatialTransformer/", "TemporalTransformer/"},
     .tokens = {spatial_token, temporal_token},
     .parts = {joint_tower, temporal_tower},
     .layer_parts = joint_block},
    {.number = 3,
     .variant = TUB_VARIANT_FACTORISED_SELF_ATTENTION,
     .title = "factorised self-attention",
     .towers = {"Transformer/"},
     .parts = {joint_tower},
     .layer_parts = two_axes_block},
    {.number = 4,
     .variant = TUB_VARIANT_FACTORISED_DOT_PRODUCT,
     .title = "factorised dot-product attention",
     .towers = {"Transformer/"},
     .parts = {joint_tower},
     .layer_parts = joint_block},
};

const tub__scenic_variant *tub__scenic_variant_of(int number) {
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        if (variants[i].number == number) {
            return &variants[i];
        }
    }
    return NULL;
}

/* ---- The list ---- */

/* A list that is filled, or (list NULL) only counted. */
typedef struct maker {
    tub__scenic_array *list;
    size_t count;
} maker;

static void name_array(const char *before, const char *part_name, const char *name,
                       char out[TUB__SCENIC_NAME_LIMIT]) {
    snprintf(out, TUB__SCENIC_NAME_LIMIT, "%s%s%s", before, part_name, name);
}

static void fill(tub__scenic_array *out, const char *before, const part *p, size_t index,
                 int layer) {
    *out = (tub__scenic_array){
        .shape = p->rows[index].shape, .role = (tub__role)(p->role + (int)index), .layer = layer};
    name_array(before, p->name, p->rows[index].name, out->name);
    if (p->other != NULL) {
        name_array(before, p->other, p->rows[index].name, out->other);
    }
}

static void add_parts(maker *m, const char *before, const part *parts, int layer) {
    for (const part *p = parts; p->name != NULL; p++) {
        for (size_t i = 0; p->rows[i].name != NULL; i++) {
            if (m->list != NULL) {
                fill(&m->list[m->count], before, p, i, layer);
            }
            m->count++;
        }
    }
}

static void name_layer(const tub__scenic_variant *v, int tower, int layer,
                       char out[TUB__SCENIC_NAME_LIMIT]) {
    snprintf(out, TUB__SCENIC_NAME_LIMIT, "%sencoderblock_%d/", v->towers[tower], layer);
}

/* first: the number here of the tower's first layer. */
static void add_tower(maker *m, const tub__scenic_variant *v, int tower, int first, int layers,
                      bool token) {
    if (token && v->tokens[tower] != NULL) {
        add_parts(m, "", v->tokens[tower], -1);
    }
    add_parts(m, v->towers[tower], v->parts[tower], -1);
    for (int i = 0; i < layers; i++) {
        char before[TUB__SCENIC_NAME_LIMIT];
        name_layer(v, tower, i, before);
        add_parts(m, before, v->layer_parts, first + i);
    }
}

static void add_all(maker *m, const tub__scenic_variant *v, const tub__scenic_extent *extent) {
    int first = 0;
    add_parts(m, "", extent->representation ? ends_with_representation : ends, -1);
    for (int i = 0; i < TUB__SCENIC_TOWERS; i++) {
        if (v->towers[i] != NULL && (i == 0 || extent->layers[i] > 0)) {
            add_tower(m, v, i, first, extent->layers[i], extent->token);
            first += extent->layers[i];
        }
    }
}

tub_status tub__scenic_list(const tub_allocator *a, const tub__scenic_variant *v,
                            const tub__scenic_extent *extent, tub__scenic_array **out,
                            size_t *count, tub_error *err) {
    maker m = {0};
    add_all(&m, v, extent);
    TUB__TRY(tub__alloc_array(a, m.count, sizeof *m.list, (void **)&m.list, err));
    m.count = 0;
    add_all(&m, v, extent);
    *out = m.list;
    *count = m.count;
    return TUB_OK;
}

void tub__scenic_layer_mark(const tub__scenic_variant *v, int tower, int layer,
                            tub__scenic_array *out) {
    char before[TUB__SCENIC_NAME_LIMIT];
    name_layer(v, tower, layer, before);
    fill(out, before, v->layer_parts, 0, layer);
}
