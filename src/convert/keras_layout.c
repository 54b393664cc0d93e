/* SPDX-License-Identifier: Apache-2.0 */
/* Groups, shapes and order of the example's arrays. */
#include "convert/keras_layout.h"

#include "base/error.h"
#include "model/family.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

/* ---- Places ---- */

enum { BEFORE = 2 /* the blocks */, PER_BLOCK = 4, AFTER = 2 };

static size_t place_index(const tub__keras_layout *l, tub__keras_part part, int layer) {
    switch (part) {
    case TUB__KERAS_EMBED:
        return 0;
    case TUB__KERAS_POSITION:
        return 1;
    case TUB__KERAS_NORM:
        return BEFORE + PER_BLOCK * (size_t)l->layers;
    case TUB__KERAS_HEAD:
        return BEFORE + PER_BLOCK * (size_t)l->layers + 1;
    default:
        return BEFORE + PER_BLOCK * (size_t)layer + (size_t)(part - TUB__KERAS_NORM1);
    }
}

tub__keras_place *tub__keras_place_of(const tub__keras_layout *l, tub__keras_part part, int layer) {
    return &l->places[place_index(l, part, layer)];
}

void tub__keras_number(char out[TUB__KERAS_GROUP], const char *stem, int number) {
    if (number > 0) {
        snprintf(out, TUB__KERAS_GROUP, "%s_%d", stem, number);
    } else {
        snprintf(out, TUB__KERAS_GROUP, "%s", stem);
    }
}

tub_status tub__keras_layout_create(const tub_allocator *a, int layers, tub__keras_layout *out,
                                    tub_error *err) {
    *out = (tub__keras_layout){
        .allocator = a, .layers = layers, .count = BEFORE + PER_BLOCK * (size_t)layers + AFTER};
    out->ranks = out->count;
    return tub__alloc_array(a, out->count, sizeof *out->places, (void **)&out->places, err);
}

static void put(tub__keras_layout *l, tub__keras_part part, int layer, const char *stem,
                int number) {
    tub__keras_place *place = tub__keras_place_of(l, part, layer);
    tub__keras_number(place->group, stem, number);
    place->rank = place_index(l, part, layer);
}

tub_status tub__keras_layout_plain(const tub_allocator *a, int layers, tub__keras_layout *out,
                                   tub_error *err) {
    TUB__TRY(tub__keras_layout_create(a, layers, out, err));
    put(out, TUB__KERAS_EMBED, -1, "tubelet_embedding", 0);
    put(out, TUB__KERAS_POSITION, -1, "positional_encoder", 0);
    for (int i = 0; i < layers; i++) {
        put(out, TUB__KERAS_NORM1, i, "layer_normalization", 2 * i);
        put(out, TUB__KERAS_ATTENTION, i, "multi_head_attention", i);
        put(out, TUB__KERAS_NORM2, i, "layer_normalization", 2 * i + 1);
        put(out, TUB__KERAS_MLP, i, "sequential", i);
    }
    put(out, TUB__KERAS_NORM, -1, "layer_normalization", 2 * layers);
    put(out, TUB__KERAS_HEAD, -1, "dense", 0);
    return TUB_OK;
}

void tub__keras_layout_destroy(tub__keras_layout *l) {
    if (l->allocator != NULL) {
        tub__free(l->allocator, l->places);
    }
    *l = (tub__keras_layout){0};
}

/* ---- Arrays ---- */

static tub__keras_part part_of(tub__role role) {
    switch (role) {
    case TUB__EMBED_KERNEL:
    case TUB__EMBED_BIAS:
        return TUB__KERAS_EMBED;
    case TUB__POSITION:
        return TUB__KERAS_POSITION;
    case TUB__NORM1_GAMMA:
    case TUB__NORM1_BETA:
        return TUB__KERAS_NORM1;
    case TUB__NORM2_GAMMA:
    case TUB__NORM2_BETA:
        return TUB__KERAS_NORM2;
    case TUB__MLP1_KERNEL:
    case TUB__MLP1_BIAS:
    case TUB__MLP2_KERNEL:
    case TUB__MLP2_BIAS:
        return TUB__KERAS_MLP;
    case TUB__NORM_GAMMA:
    case TUB__NORM_BETA:
        return TUB__KERAS_NORM;
    case TUB__HEAD_KERNEL:
    case TUB__HEAD_BIAS:
        return TUB__KERAS_HEAD;
    default:
        return TUB__KERAS_ATTENTION;
    }
}

/* Sizes of Keras' axes; heads have an axis of their own. */
static int shape_of(const tub_model_config *c, const tub__param *p, uint64_t out[TUB__KERAS_RANK]) {
    const uint64_t width = (uint64_t)c->hidden, heads = (uint64_t)c->heads, head = width / heads;
    switch (p->role) {
    case TUB__EMBED_KERNEL:
        for (int i = 0; i < 3; i++) {
            out[i] = (uint64_t)c->tubelet[i];
        }
        out[3] = (uint64_t)c->channels;
        out[4] = width;
        return 5;
    case TUB__QUERY_KERNEL:
    case TUB__KEY_KERNEL:
    case TUB__VALUE_KERNEL:
        out[0] = width, out[1] = heads, out[2] = head;
        return 3;
    case TUB__QUERY_BIAS:
    case TUB__KEY_BIAS:
    case TUB__VALUE_BIAS:
        out[0] = heads, out[1] = head;
        return 2;
    case TUB__OUT_KERNEL:
        out[0] = heads, out[1] = head, out[2] = width;
        return 3;
    default:
        if (p->packed || p->role == TUB__POSITION) {
            out[0] = p->rows, out[1] = p->cols;
            return 2;
        }
        out[0] = p->cols;
        return 1;
    }
}

void tub__keras_describe(const tub__keras_layout *l, const tub_model_config *config,
                         const tub__param *p, tub__file_array *out) {
    /* The table has "layers/GROUP/REST" with the example's own group. */
    const char *rest = strchr(p->keras + strlen("layers/"), '/');
    assert(p->keras[0] != '\0' && rest != NULL);
    *out = (tub__file_array){0};
    snprintf(out->name, sizeof out->name, "layers/%s%s",
             tub__keras_place_of(l, part_of(p->role), p->layer)->group, rest);
    out->rank = shape_of(config, p, out->shape);
}

void tub__keras_order(const tub__keras_layout *l, const tub__params *params, size_t *order) {
    size_t n = 0;
    for (size_t rank = 0; rank < l->ranks; rank++) {
        for (size_t i = 0; i < params->count; i++) {
            const tub__param *p = &params->list[i];
            if (tub__keras_place_of(l, part_of(p->role), p->layer)->rank == rank) {
                order[n++] = i;
            }
        }
    }
    assert(n == params->count);
}

const char *tub__keras_axes(const tub__param *p) {
    switch (p->file) {
    case TUB__FILE_TRANSPOSED:
        return "transposed";
    case TUB__FILE_CONV3D:
        return "t,h,w,C,D to D,C,t,h,w";
    default:
        return "as it is";
    }
}

/* Keras has the matrix [rows, cols] of the layers as it is; where its element lies in
 * model.safetensors. */
static size_t file_index(const tub__param *p, size_t row, size_t col) {
    const size_t channels = p->file == TUB__FILE_CONV3D ? p->shape[1] : 1;
    switch (p->file) {
    case TUB__FILE_TRANSPOSED:
        return col * p->rows + row;
    case TUB__FILE_CONV3D:
        return (col * channels + row % channels) * (p->rows / channels) + row / channels;
    default:
        return row * p->cols + col;
    }
}

void tub__keras_from(const tub__param *p, const float *keras, float *file) {
    for (size_t row = 0; row < p->rows; row++) {
        for (size_t col = 0; col < p->cols; col++) {
            file[file_index(p, row, col)] = keras[row * p->cols + col];
        }
    }
}

void tub__keras_to(const tub__param *p, const float *file, float *keras) {
    for (size_t row = 0; row < p->rows; row++) {
        for (size_t col = 0; col < p->cols; col++) {
            keras[row * p->cols + col] = file[file_index(p, row, col)];
        }
    }
}

/* ---- What has a form in Keras ---- */

const char *tub__keras_lacks(const tub_model_config *c) {
    const char *lacks = NULL;
    if (c->task > TUB_TASK_MULTI_CLASS) {
        lacks = "has one softmax";
    } else if (c->variant != TUB_VARIANT_JOINT) {
        lacks = "has joint attention only";
    } else if (c->pooling == TUB_POOL_CLASS_TOKEN) {
        lacks = "has no class token";
    } else if (c->pooling != TUB_POOL_MEAN) {
        lacks = "takes the mean of its tokens";
    } else if (c->positions != TUB_POSITIONS_LEARNED) {
        lacks = "learns its positions";
    } else if (c->sampled_frames > 0) {
        lacks = "reads every frame";
    } else if (c->representation > 0) {
        lacks = "has no layer between pooling and classifier";
    } else if (!c->qkv_bias) {
        lacks = "has biases in its attention";
    }
    for (int i = 0; i < 3; i++) {
        if (c->stride[i] != 0 && c->stride[i] != c->tubelet[i]) {
            lacks = "cuts tubelets that neither overlap nor leave gaps";
        }
    }
    return lacks;
}

tub_status tub__keras_can(const tub_model_config *c, tub_error *err) {
    if (c->family != TUB_FAMILY_VIVIT) {
        return tub__fail(
            err, TUB_E_UNSUPPORTED,
            "the Keras example's model is a ViViT, so a %s can't be written for Keras; a "
            "model folder's model.safetensors has its arrays by name",
            tub__family_name(c->family));
    }
    const char *lacks = tub__keras_lacks(c);
    return lacks == NULL
               ? TUB_OK
               : tub__fail(err, TUB_E_UNSUPPORTED,
                           "the Keras example's model %s, so this one can't be written for Keras",
                           lacks);
}
