/* SPDX-License-Identifier: Apache-2.0 */
/* Reading transformers' FlaxViT (modeling_flax_vit.py). Its names are those of ViT with slashes, and
 * Flax' words for a layer's arrays: kernels [in, out] and [h, w, C, D], a norm's scale. */
#include "convert/vit_flax.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/fpenv.h"
#include "convert/array_values.h"
#include "formats/flax.h"

static const char FLAX_FILE[] = "flax_model.msgpack";

typedef struct reader {
    tub__flax_file file;
    tub_model *model;
    bool prefix; /* FlaxViTForImageClassification has "vit/" before its encoder's names */
    bool classifier;
    bool *used;              /* [file.count] */
    tub__file_array *arrays; /* [params.count] */
} reader;

static tub_status has_file(const tub_allocator *a, const char *folder, const char *name, bool *out,
                           tub_error *err) {
    char *path;
    TUB__TRY(tub__path_join(a, folder, name, &path, err));
    *out = tub__file_exists(path);
    tub__free(a, path);
    return TUB_OK;
}

tub_status tub__vit_flax_is(const tub_allocator *a, const char *folder, bool *out, tub_error *err) {
    bool flax, single, index;
    TUB__TRY(has_file(a, folder, FLAX_FILE, &flax, err));
    TUB__TRY(has_file(a, folder, "model.safetensors", &single, err));
    TUB__TRY(has_file(a, folder, "model.safetensors.index.json", &index, err));
    *out = flax && !single && !index;
    return TUB_OK;
}

/* ---- Names and shapes ---- */

/* "vivit.encoder.layer.3.output.dense.weight" to "vit/encoder/layer/3/output/dense/kernel". */
static void flax_name(const reader *r, const tub__param *p, char out[TUB__FILE_ARRAY_NAME]) {
    static const char ours[] = "vivit.", weight[] = "weight";
    const bool inside = strncmp(p->name, ours, sizeof ours - 1) == 0;
    const char *rest = p->name + (inside ? sizeof ours - 1 : 0);
    const size_t length = strlen(rest), end = sizeof weight - 1;
    const bool renamed = length > end && strcmp(rest + length - end, weight) == 0;
    snprintf(out, TUB__FILE_ARRAY_NAME, "%s%.*s%s", inside && r->prefix ? "vit/" : "",
             (int)(renamed ? length - end : length), rest,
             !renamed       ? ""
             : p->rank == 1 ? "scale"
                            : "kernel");
    for (char *c = strchr(out, '.'); c != NULL; c = strchr(c, '.')) {
        *c = '/';
    }
}

static int flax_shape(const tub__param *p, size_t out[5]) {
    if (p->file == TUB__FILE_CONV3D) { /* [D, C, 1, h, w] here */
        out[0] = p->shape[3], out[1] = p->shape[4], out[2] = p->shape[1], out[3] = p->shape[0];
        return 4;
    }
    if (p->file == TUB__FILE_TRANSPOSED) {
        out[0] = p->shape[1], out[1] = p->shape[0];
        return 2;
    }
    memcpy(out, p->shape, (size_t)p->rank * sizeof *out);
    return p->rank;
}

static bool is_classifier(const tub__param *p) {
    return p->role == TUB__HEAD_KERNEL || p->role == TUB__HEAD_BIAS;
}

static bool begins(const char *name, const char *with) {
    return strncmp(name, with, strlen(with)) == 0;
}

/* ---- Values ---- */

static tub_status read_one(reader *r, size_t index, const tub__array_buffers *buffers,
                           tub_error *err) {
    const tub__param *p = &r->model->params.list[index];
    tub__file_array *array = &r->arrays[index];
    size_t shape[5];
    flax_name(r, p, array->name);
    const tub__flax_leaf *leaf = tub__flax_find(&r->file, array->name);
    if (leaf == NULL) {
        return tub__fail(err, TUB_E_NOT_FOUND, "%s: missing; the configuration needs it",
                         array->name);
    }
    r->used[leaf - r->file.leaves] = true;
    const int rank = flax_shape(p, shape);
    TUB__TRY(tub__check_shape(leaf->name, rank, shape, leaf->rank, leaf->shape, err));
    array->rank = rank;
    memcpy(array->shape, leaf->shape, (size_t)rank * sizeof *leaf->shape);
    TUB__TRY(tub__flax_to_f32(&r->file, leaf, buffers->scratch, err));
    TUB__TRY(tub__check_finite(leaf->name, buffers->scratch, (size_t)leaf->elements, err));
    tub__to_table_layout(p, buffers->scratch, buffers->values);
    return tub__model_write(r->model, p, TUB_F32, buffers->values, buffers->scratch, err);
}

static tub_status check_rest(const reader *r, tub_error *err) {
    for (size_t i = 0; i < r->file.count; i++) {
        const char *name = r->file.leaves[i].name;
        const bool other = begins(name, "pooler/") || begins(name, "vit/pooler/") ||
                           (!r->classifier && begins(name, "classifier/"));
        if (!r->used[i] && !other) {
            return tub__fail(err, TUB_E_FORMAT,
                             "%.200s: unexpected; the configuration has no such array", name);
        }
    }
    return TUB_OK;
}

static tub_status read_all(reader *r, tub_error *err) {
    tub__array_buffers buffers;
    tub_status status = TUB_OK;
    TUB__TRY(tub__array_buffers_create(r->model, &buffers, err));
    for (size_t i = 0; i < r->model->params.count && status == TUB_OK; i++) {
        if (r->classifier || !is_classifier(&r->model->params.list[i])) {
            status = read_one(r, i, &buffers, err);
        }
    }
    tub__array_buffers_free(r->model, &buffers);
    return status == TUB_OK ? check_rest(r, err) : status;
}

/* ---- The file ---- */

static tub_status read_file(reader *r, const char *path, tub_error *err) {
    const tub_allocator *a = &r->model->context->allocator;
    TUB__TRY(tub__flax_open(a, path, &r->file, err));
    r->prefix = tub__flax_find(&r->file, "vit/embeddings/cls_token") != NULL;
    r->classifier = r->classifier && tub__flax_find(&r->file, "classifier/kernel") != NULL;
    tub_status status = tub__alloc_array(a, r->file.count, sizeof *r->used, (void **)&r->used, err);
    if (status == TUB_OK) {
        const tub__fpenv saved = tub__fpenv_enter();
        status = read_all(r, err);
        tub__fpenv_leave(saved);
    }
    tub__free(a, r->used);
    tub__flax_close(&r->file);
    return status == TUB_OK || status == TUB_E_MEMORY ? status
                                                      : tub__prefix(err, status, "%s", path);
}

tub_status tub__vit_flax_read(tub_model *model, const char *folder, bool *classifier,
                              tub__file_array *arrays, tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    reader r = {.model = model, .classifier = *classifier, .arrays = arrays};
    char *path;
    TUB__TRY(tub__path_join(a, folder, FLAX_FILE, &path, err));
    const tub_status status = read_file(&r, path, err);
    tub__free(a, path);
    *classifier = r.classifier;
    return status;
}
