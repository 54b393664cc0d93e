/* SPDX-License-Identifier: Apache-2.0 */
/* Writing the file of arrays as Keras does: every layer has a group "vars" with its name, and
 * groups of what it is made of. The names are those of the example in a fresh session. */
#include "base/error.h"
#include "convert/keras_arrays.h"
#include <stdio.h>
#include <string.h>

typedef struct maker {
    tub__h5_writer w;
    const tub_model *model;
    const tub__keras_layout *layout;
    float *file, *keras, *scratch; /* any array of the model */
    tub_error *err;
} maker;

/* ---- Groups and parameters, layer by layer ---- */

/* The group of a layer, or of a part of one, which Keras calls by a name of its own. */
static void put_group(maker *m, const char *group, const char *part, const char *name) {
    char path[TUB__KERAS_PATH];
    snprintf(path, sizeof path, "layers/%s%s%s/vars", group, part[0] != '\0' ? "/" : "", part);
    tub__h5_put_group(&m->w, path, name);
}

static void put_numbered(maker *m, const char *group, const char *part, const char *stem,
                         int number) {
    char name[TUB__KERAS_GROUP];
    tub__keras_number(name, stem, number);
    put_group(m, group, part, name);
}

static void put_values(maker *m, const tub__param *p, const char *path, const float *file) {
    tub__file_array a;
    tub__keras_describe(m->layout, &m->model->config, p, &a);
    tub__h5_array array = {.name = path != NULL ? path : a.name,
                           .type = TUB__H5_F32,
                           .rank = a.rank,
                           .data = m->keras};
    memcpy(array.shape, a.shape, sizeof a.shape);
    tub__keras_to(p, file, m->keras);
    tub__h5_put(&m->w, &array);
}

static tub_status put_param(maker *m, tub__role role, int layer) {
    const tub__param *p = tub__params_find(&m->model->params, role, layer);
    TUB__TRY(tub__model_read(m->model, p, TUB_F32, m->file, m->scratch, m->err));
    put_values(m, p, NULL, m->file);
    return TUB_OK;
}

/* Kernel and bias, or gamma and beta. */
static tub_status put_pair(maker *m, tub__role first, int layer) {
    TUB__TRY(put_param(m, first, layer));
    return put_param(m, (tub__role)(first + 1), layer);
}

static tub_status put_norm(maker *m, tub__role gamma, int layer, int number) {
    char group[TUB__KERAS_GROUP];
    tub__keras_number(group, "layer_normalization", number);
    put_group(m, group, "", group);
    return put_pair(m, gamma, layer);
}

static tub_status put_ends_before(maker *m) {
    put_group(m, "input_layer", "", "input_layer");
    put_group(m, "tubelet_embedding", "", "tubelet_embedding");
    put_group(m, "tubelet_embedding", "flatten", "reshape");
    put_group(m, "tubelet_embedding", "projection", "conv3d");
    TUB__TRY(put_pair(m, TUB__EMBED_KERNEL, -1));
    put_group(m, "positional_encoder", "", "positional_encoder");
    put_group(m, "positional_encoder", "position_embedding", "embedding");
    return put_param(m, TUB__POSITION, -1);
}

static tub_status put_attention(maker *m, int l) {
    static const struct {
        const char *part, *name;
        tub__role kernel;
    } parts[] = {{"key_dense", "key", TUB__KEY_KERNEL},
                 {"output_dense", "attention_output", TUB__OUT_KERNEL},
                 {"query_dense", "query", TUB__QUERY_KERNEL},
                 {"value_dense", "value", TUB__VALUE_KERNEL}};
    char group[TUB__KERAS_GROUP];
    tub__keras_number(group, "multi_head_attention", l);
    put_group(m, group, "", group);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        put_group(m, group, parts[i].part, parts[i].name);
        TUB__TRY(put_pair(m, parts[i].kernel, l));
    }
    put_numbered(m, group, "_dropout_layer", "dropout", l);
    put_numbered(m, group, "_softmax", "softmax", l);
    return TUB_OK;
}

static tub_status put_mlp(maker *m, int l) {
    char group[TUB__KERAS_GROUP];
    tub__keras_number(group, "sequential", l);
    put_group(m, group, "", group);
    put_numbered(m, group, "layers/dense", "dense", 2 * l);
    TUB__TRY(put_pair(m, TUB__MLP1_KERNEL, l));
    put_numbered(m, group, "layers/dense_1", "dense", 2 * l + 1);
    return put_pair(m, TUB__MLP2_KERNEL, l);
}

static void put_add(maker *m, int number) {
    char group[TUB__KERAS_GROUP];
    tub__keras_number(group, "add", number);
    put_group(m, group, "", group);
}

static tub_status put_block(maker *m, int l) {
    TUB__TRY(put_norm(m, TUB__NORM1_GAMMA, l, 2 * l));
    TUB__TRY(put_attention(m, l));
    put_add(m, 2 * l);
    TUB__TRY(put_norm(m, TUB__NORM2_GAMMA, l, 2 * l + 1));
    TUB__TRY(put_mlp(m, l));
    put_add(m, 2 * l + 1);
    return TUB_OK;
}

static tub_status put_layers(maker *m) {
    const int layers = (int)m->model->config.layers;
    char name[TUB__KERAS_GROUP];
    tub__keras_number(name, "functional", layers);
    tub__h5_put_group(&m->w, "vars", name);
    TUB__TRY(put_ends_before(m));
    for (int l = 0; l < layers; l++) {
        TUB__TRY(put_block(m, l));
    }
    TUB__TRY(put_norm(m, TUB__NORM_GAMMA, -1, 2 * layers));
    put_group(m, "global_average_pooling1d", "", "global_average_pooling1d");
    put_numbered(m, "dense", "", "dense", 2 * layers);
    return put_pair(m, TUB__HEAD_KERNEL, -1);
}

/* ---- The optimizer ---- */

static void put_scalar(maker *m, const char *path, tub__h5_type type, const void *value) {
    tub__h5_put(&m->w, &(tub__h5_array){.name = path, .type = type, .data = value});
}

static void put_moments(maker *m, const tub__moments *moments, const size_t *order) {
    const float rate = (float)moments->learning_rate;
    tub__h5_put_group(&m->w, "optimizer/vars", "adam");
    put_scalar(m, "optimizer/vars/0", TUB__H5_I64, &moments->iterations);
    put_scalar(m, "optimizer/vars/1", TUB__H5_F32, &rate);
    for (size_t i = 0; i < m->model->params.count; i++) {
        const tub__param *p = &m->model->params.list[order[i]];
        const size_t at = tub__params_place(&m->model->params, order[i]);
        char path[TUB__KERAS_PATH];
        snprintf(path, sizeof path, "optimizer/vars/%zu", 2 + 2 * i);
        put_values(m, p, path, moments->first + at);
        snprintf(path, sizeof path, "optimizer/vars/%zu", 3 + 2 * i);
        put_values(m, p, path, moments->second + at);
    }
}

static tub_status put_optimizer(maker *m, const tub__moments *moments) {
    const tub_allocator *a = &m->model->context->allocator;
    const tub__params *params = &m->model->params;
    size_t *order;
    TUB__TRY(tub__alloc_array(a, params->count, sizeof *order, (void **)&order, m->err));
    tub__keras_order(m->layout, params, order);
    put_moments(m, moments, order);
    tub__free(a, order);
    return TUB_OK;
}

/* ---- The file ---- */

static tub_status put_all(maker *m, const tub__moments *moments) {
    TUB__TRY(put_layers(m));
    return moments != NULL && moments->first != NULL ? put_optimizer(m, moments) : TUB_OK;
}

static tub_status write_with(maker *m, const tub__moments *moments, tub__map *map,
                             const void **bytes, size_t *size, tub_error *err) {
    tub__h5_start(&m->w);
    tub_status status = put_all(m, moments);
    if (status != TUB_OK) {
        tub__h5_discard(&m->w);
        return status;
    }
    return tub__h5_finish(m->model->context, &m->w, map, bytes, size, err);
}

tub_status tub__keras_write_arrays(const tub_model *model, const tub__moments *moments,
                                   tub__map *map, const void **bytes, size_t *size,
                                   tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    const size_t largest = tub__params_largest(&model->params);
    tub__keras_layout layout;
    maker m = {.model = model, .layout = &layout, .err = err};
    TUB__TRY(tub__keras_layout_plain(a, (int)model->config.layers, &layout, err));
    tub_status status = tub__alloc_array(a, largest, 3 * sizeof(float), (void **)&m.file, err);
    if (status == TUB_OK) {
        m.keras = m.file + largest;
        m.scratch = m.keras + largest;
        status = write_with(&m, moments, map, bytes, size, err);
        tub__free(a, m.file);
    }
    tub__keras_layout_destroy(&layout);
    return status;
}
