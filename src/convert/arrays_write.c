/* SPDX-License-Identifier: Apache-2.0 */
/* A model's parameters to model.safetensors, by the parameter table. */
#include <stdio.h>

#include "base/error.h"
#include "convert/array_values.h"
#include "convert/folder.h"
#include "convert/hf_names.h"
#include "formats/safetensors.h"

static tub_status declare_all(const tub_model *model, tub__st_writer *w, tub_error *err) {
    TUB__TRY(tub__st_declare_metadata(w, "format", "pt", err));
    for (size_t i = 0; i < model->params.count; i++) {
        const tub__param *p = &model->params.list[i];
        uint64_t shape[5] = {0};
        for (int j = 0; j < p->rank; j++) {
            shape[j] = p->shape[j];
        }
        const bool int8 = tub__model_is_int8(model, p);
        TUB__TRY(tub__st_declare(w, p->name, int8 ? TUB__ST_I8 : TUB__ST_F32, p->rank, shape, err));
        if (int8) {
            char name[TUB__HF_NAME_LIMIT];
            tub__scale_name(p->name, name);
            TUB__TRY(tub__st_declare(w, name, TUB__ST_F32, 1, shape, err));
        }
    }
    return TUB_OK;
}

/* values and scratch: of any type. */
static tub_status write_int8(const tub_model *model, const tub__param *p, tub__st_writer *w,
                             void *values, void *scratch, tub_error *err) {
    tub__model_read_int8(model, p, values, scratch);
    TUB__TRY(tub__st_write(w, values, tub__param_elements(p), err));
    return tub__st_write(w, scratch, p->shape[0] * sizeof(float), err);
}

static tub_status write_all(const tub_model *model, tub__st_writer *w,
                            const tub__array_buffers *buffers, tub_error *err) {
    float *values = buffers->values, *scratch = buffers->scratch;
    TUB__TRY(declare_all(model, w, err));
    for (size_t i = 0; i < model->params.count; i++) {
        const tub__param *p = &model->params.list[i];
        if (tub__model_is_int8(model, p)) {
            TUB__TRY(write_int8(model, p, w, values, scratch, err));
            continue;
        }
        TUB__TRY(tub__model_read(model, p, TUB_F32, values, scratch, err));
        TUB__TRY(tub__st_write(w, values, tub__param_elements(p) * sizeof *values, err));
    }
    return TUB_OK;
}

tub_status tub__folder_write_arrays(const tub_model *model, const char *folder, tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    tub__st_writer *w = NULL;
    tub__array_buffers buffers;
    char *path;
    TUB__TRY(tub__path_join(a, folder, "model.safetensors", &path, err));
    tub_status status = tub__array_buffers_create(model, &buffers, err);
    if (status != TUB_OK) {
        goto free_path;
    }
    status = tub__st_create(a, path, &w, err);
    if (status == TUB_OK) {
        status = write_all(model, w, &buffers, err);
        if (status == TUB_OK) {
            status = tub__st_commit(w, err);
        } else {
            tub__st_abort(w);
        }
    }
    tub__array_buffers_free(model, &buffers);
free_path:
    tub__free(a, path);
    return status;
}
