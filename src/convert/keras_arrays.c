/* SPDX-License-Identifier: Apache-2.0 */
/* Reading Keras' arrays into a model, and Adam's moments beside it. */
#include "convert/keras_arrays.h"

#include "base/error.h"
#include <stdio.h>
#include <string.h>

enum { SHAPE_ROOM = 96 };

static void shape_text(int rank, const uint64_t *shape, char out[SHAPE_ROOM]) {
    size_t used = (size_t)snprintf(out, SHAPE_ROOM, "[");
    for (int i = 0; i < rank && used < SHAPE_ROOM - 24; i++) {
        used += (size_t)snprintf(out + used, SHAPE_ROOM - used, "%s%llu", i == 0 ? "" : ",",
                                 (unsigned long long)shape[i]);
    }
    snprintf(out + used, SHAPE_ROOM - used, "]");
}

/* The array of a path, which must be floats of a shape. */
static tub_status find_array(const tub__h5_file *f, const char *path, int rank,
                             const uint64_t *shape, const tub__h5_array **out, tub_error *err) {
    const tub__h5_array *array = tub__h5_find(f, path);
    char expected[SHAPE_ROOM], found[SHAPE_ROOM];
    if (array == NULL) {
        return tub__fail(err, TUB_E_NOT_FOUND, "%s: missing; the model needs it", path);
    }
    if (array->rank != rank || memcmp(array->shape, shape, (size_t)rank * sizeof *shape) != 0) {
        shape_text(rank, shape, expected);
        shape_text(array->rank, array->shape, found);
        return tub__fail(err, TUB_E_SHAPE, "%s: expected %s, file has %s", path, expected, found);
    }
    if (array->type == TUB__H5_I64) {
        return tub__fail(err, TUB_E_SHAPE, "%s: must be floats, not whole numbers", path);
    }
    *out = array;
    return TUB_OK;
}

/* ---- Values ---- */

/* Three buffers that hold any array of a model. */
typedef struct buffers {
    const tub_allocator *allocator;
    float *keras, *file, *scratch;
} buffers;

static tub_status buffers_create(const tub_model *model, buffers *out, tub_error *err) {
    const size_t largest = tub__params_largest(&model->params);
    *out = (buffers){.allocator = &model->context->allocator};
    TUB__TRY(
        tub__alloc_array(out->allocator, largest, 3 * sizeof(float), (void **)&out->keras, err));
    out->file = out->keras + largest;
    out->scratch = out->file + largest;
    return TUB_OK;
}

static void buffers_destroy(buffers *b) {
    tub__free(b->allocator, b->keras);
}

static tub_status to_finite(const tub__h5_array *array, float *out, tub_error *err) {
    tub__h5_to_f32(array, out);
    for (uint64_t i = 0; i < array->elements; i++) {
        if (out[i] - out[i] != 0.0f) {
            return tub__fail(err, TUB_E_RANGE, "%s: element %llu is not finite", array->name,
                             (unsigned long long)i);
        }
    }
    return TUB_OK;
}

/* ---- Parameters ---- */

/* What a file may have beside the parameters: the optimizer, and the states of generators. */
static bool may_be_there(const char *name) {
    return strncmp(name, "optimizer/", 10) == 0 || strstr(name, "/seed_generator/") != NULL;
}

/* found[i] belongs to parameter i. */
static tub_status match_all(const tub_model *model, const tub__h5_file *f,
                            const tub__keras_layout *l, const tub__h5_array **found, bool *used,
                            tub_error *err) {
    for (size_t i = 0; i < model->params.count; i++) {
        tub__file_array a;
        tub__keras_describe(l, &model->config, &model->params.list[i], &a);
        TUB__TRY(find_array(f, a.name, a.rank, a.shape, &found[i], err));
        used[found[i] - f->arrays] = true;
    }
    for (size_t i = 0; i < f->count; i++) {
        if (!used[i] && !may_be_there(f->arrays[i].name)) {
            return tub__fail(err, TUB_E_FORMAT, "%s: unexpected; the model has no such array",
                             f->arrays[i].name);
        }
    }
    return TUB_OK;
}

/* Everything is looked at before the first value goes into the model. */
static tub_status read_all(tub_model *model, const tub__h5_array *const *found, const buffers *b,
                           tub_error *err) {
    const tub__params *params = &model->params;
    for (size_t i = 0; i < params->count; i++) {
        TUB__TRY(to_finite(found[i], b->keras, err));
    }
    for (size_t i = 0; i < params->count; i++) {
        const tub__param *p = &params->list[i];
        tub__h5_to_f32(found[i], b->keras);
        tub__keras_from(p, b->keras, b->file);
        TUB__TRY(tub__model_write(model, p, TUB_F32, b->file, b->scratch, err));
    }
    return TUB_OK;
}

tub_status tub__keras_read_arrays(tub_model *model, const tub__h5_file *f,
                                  const tub__keras_layout *l, tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    const tub__h5_array **found = NULL;
    bool *used = NULL;
    buffers b;
    TUB__TRY(buffers_create(model, &b, err));
    tub_status status =
        tub__alloc_array(a, model->params.count, sizeof *found, (void **)&found, err);
    if (status == TUB_OK) {
        status = tub__alloc_array(a, f->count, sizeof *used, (void **)&used, err);
    }
    if (status == TUB_OK) {
        status = match_all(model, f, l, found, used, err);
    }
    if (status == TUB_OK) {
        status = read_all(model, found, &b, err);
    }
    tub__free(a, used);
    tub__free(a, found);
    buffers_destroy(&b);
    return status;
}

/* ---- Moments: optimizer/vars/0 is the number of steps, 1 the learning rate, and then come first
 * and second moment of each trainable variable in turn. ---- */

enum { BEFORE_MOMENTS = 2 };

static const tub__h5_array *variable(const tub__h5_file *f, size_t number) {
    char path[TUB__KERAS_PATH];
    snprintf(path, sizeof path, "optimizer/vars/%zu", number);
    return tub__h5_find(f, path);
}

/* Adam, with neither more nor fewer variables than its plain form has over all arrays. */
static bool is_adam(const tub__h5_file *f, const char *name, size_t arrays) {
    const tub__h5_array *steps = variable(f, 0), *rate = variable(f, 1);
    return (strcmp(name, "adam") == 0 || strcmp(name, "adamw") == 0) && steps != NULL &&
           steps->type == TUB__H5_I64 && steps->rank == 0 && rate != NULL && rate->rank == 0 &&
           rate->type != TUB__H5_I64 && variable(f, BEFORE_MOMENTS + 2 * arrays - 1) != NULL &&
           variable(f, BEFORE_MOMENTS + 2 * arrays) == NULL;
}

static tub_status read_slab(const tub_model *model, const tub__h5_file *f,
                            const tub__keras_layout *l, size_t variable_number, size_t param,
                            float *keras, float *out, tub_error *err) {
    const tub__param *p = &model->params.list[param];
    const tub__h5_array *array;
    tub__file_array a;
    char path[TUB__KERAS_PATH];
    tub__keras_describe(l, &model->config, p, &a);
    snprintf(path, sizeof path, "optimizer/vars/%zu", variable_number);
    TUB__TRY(find_array(f, path, a.rank, a.shape, &array, err));
    TUB__TRY(to_finite(array, keras, err));
    tub__keras_from(p, keras, out);
    return TUB_OK;
}

static tub_status read_slabs(const tub_model *model, const tub__h5_file *f,
                             const tub__keras_layout *l, const size_t *order, const tub__moments *m,
                             const buffers *b, tub_error *err) {
    for (size_t i = 0; i < model->params.count; i++) {
        const size_t p = order[i], at = tub__params_place(&model->params, p),
                     first = BEFORE_MOMENTS + 2 * i;
        TUB__TRY(read_slab(model, f, l, first, p, b->keras, m->first + at, err));
        TUB__TRY(read_slab(model, f, l, first + 1, p, b->keras, m->second + at, err));
    }
    return TUB_OK;
}

static tub_status read_adam(const tub_model *model, const tub__h5_file *f,
                            const tub__keras_layout *l, tub__moments *m, tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    size_t *order = NULL;
    float rate;
    buffers b;
    TUB__TRY(buffers_create(model, &b, err));
    tub_status status =
        tub__alloc_array(a, model->params.count, sizeof *order, (void **)&order, err);
    if (status == TUB_OK) {
        status = tub__moments_create(model, m, err);
    }
    if (status == TUB_OK) {
        tub__keras_order(l, &model->params, order);
        m->iterations = *(const int64_t *)variable(f, 0)->data;
        tub__h5_to_f32(variable(f, 1), &rate);
        m->learning_rate = (double)rate;
        status =
            m->iterations >= 0 && rate >= 0 && rate - rate == 0.0f
                ? read_slabs(model, f, l, order, m, &b, err)
                : tub__fail(err, TUB_E_RANGE, "optimizer/vars: %lld steps at a learning rate of %g",
                            (long long)m->iterations, (double)rate);
        if (status != TUB_OK) {
            tub__moments_destroy(m);
        }
    }
    tub__free(a, order);
    buffers_destroy(&b);
    return status;
}

tub_status tub__keras_read_moments(const tub_model *model, const tub__h5_file *f,
                                   const tub__keras_layout *l, tub__moments *moments,
                                   const char **name, tub_error *err) {
    const char *label = tub__h5_label_of(f, "optimizer/vars");
    *moments = (tub__moments){.allocator = &model->context->allocator};
    *name = variable(f, 0) != NULL ? label : NULL;
    if (*name == NULL || !is_adam(f, *name, model->params.count)) {
        return TUB_OK;
    }
    return read_adam(model, f, l, moments, err);
}

/* ---- Sizes ---- */

static tub_status need(const tub__h5_file *f, const char *path, int rank, const tub__h5_array **out,
                       tub_error *err) {
    *out = tub__h5_find(f, path);
    if (*out == NULL) {
        return tub__fail(err, TUB_E_NOT_FOUND,
                         "%s: missing; these are not weights of the Keras example's model", path);
    }
    return (*out)->rank == rank ? TUB_OK
                                : tub__fail(err, TUB_E_SHAPE, "%s: expected %d axes, file has %d",
                                            path, rank, (*out)->rank);
}

/* Larger sizes than a model may have are refused by its check. */
static int64_t size_of(const tub__h5_array *array, int axis) {
    return array->shape[axis] > INT32_MAX ? INT32_MAX : (int64_t)array->shape[axis];
}

static int64_t count_layers(const tub__h5_file *f) {
    char group[TUB__KERAS_GROUP], path[TUB__KERAS_PATH];
    int layers = 0;
    for (;; layers++) {
        tub__keras_number(group, "multi_head_attention", layers);
        snprintf(path, sizeof path, "layers/%s/query_dense/vars/0", group);
        if (tub__h5_find(f, path) == NULL) {
            return layers;
        }
    }
}

static tub_status check_tokens(const tub_model_config *c, const tub__h5_array *position,
                               tub_error *err) {
    const tub__geometry g = tub__model_geometry(c);
    const size_t tokens = tub__geometry_tokens(&g);
    return position->shape[0] == tokens
               ? TUB_OK
               : tub__fail(err, TUB_E_SHAPE,
                           "the file is for %llu tokens, but a clip of %lldx%lldx%lld makes %zu of "
                           "%lldx%lldx%lld",
                           (unsigned long long)position->shape[0], (long long)c->frames,
                           (long long)c->height, (long long)c->width, tokens,
                           (long long)c->tubelet[0], (long long)c->tubelet[1],
                           (long long)c->tubelet[2]);
}

tub_status tub__keras_sizes(const tub__h5_file *f, const tub_model_config *base,
                            tub_model_config *out, tub_error *err) {
    const tub__h5_array *embed, *position, *query, *mlp, *head;
    TUB__TRY(need(f, "layers/tubelet_embedding/projection/vars/0", 5, &embed, err));
    TUB__TRY(need(f, "layers/positional_encoder/position_embedding/vars/0", 2, &position, err));
    TUB__TRY(need(f, "layers/multi_head_attention/query_dense/vars/0", 3, &query, err));
    TUB__TRY(need(f, "layers/sequential/layers/dense/vars/1", 1, &mlp, err));
    TUB__TRY(need(f, "layers/dense/vars/0", 2, &head, err));
    tub_model_config c = *base;
    for (int i = 0; i < 3; i++) {
        c.tubelet[i] = size_of(embed, i);
        c.stride[i] = 0;
    }
    c.channels = size_of(embed, 3);
    c.hidden = size_of(embed, 4);
    c.heads = size_of(query, 1);
    c.mlp = size_of(mlp, 0);
    c.classes = size_of(head, 1);
    c.layers = count_layers(f);
    c.qkv_bias = 1;
    c.pooling = TUB_POOL_MEAN;
    const char *lacks = tub__keras_lacks(&c);
    if (lacks != NULL) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "the Keras example's model %s, unlike the one named to say what these "
                         "weights do not",
                         lacks);
    }
    TUB__TRY(tub_model_config_check(&c, err));
    TUB__TRY(check_tokens(&c, position, err));
    *out = c;
    return TUB_OK;
}
