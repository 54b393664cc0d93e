/* SPDX-License-Identifier: Apache-2.0 */
/* A model's parameters to model.safetensors, or to several files and their index, by the parameter
 * table. */
#include <stdio.h>

#include "base/error.h"
#include "base/file.h"
#include "convert/array_values.h"
#include "convert/folder.h"
#include "convert/hf_names.h"
#include "formats/json.h"
#include "formats/safetensors.h"

enum { SHARD_NAME = 48 };

/* What is written: parameters of a model in a form, by one writer after another. */
typedef struct job {
    const tub_model *model;
    const tub__folder_form *form;
    const char *folder;
    tub__array_buffers buffers;
    size_t shards;
} job;

bool tub__folder_array(const tub__param *p, const tub__folder_form *form, tub__file_array *out) {
    const bool classifier = p->role == TUB__HEAD_KERNEL || p->role == TUB__HEAD_BIAS;
    *out = (tub__file_array){0};
    if (form->encoder && classifier) {
        return false;
    }
    out->rank = p->rank;
    tub__hf_name(p->name, form->newer_names, !form->encoder, out->name);
    for (int i = 0; i < p->rank; i++) {
        out->shape[i] = p->shape[i];
    }
    return true;
}

/* ---- One file ---- */

static tub_status declare(const job *j, const tub__param *p, tub__st_writer *w, tub_error *err) {
    const bool int8 = tub__model_is_int8(j->model, p);
    tub__file_array a;
    if (!tub__folder_array(p, j->form, &a)) {
        return TUB_OK;
    }
    TUB__TRY(tub__st_declare(w, a.name, int8 ? TUB__ST_I8 : TUB__ST_F32, a.rank, a.shape, err));
    if (int8) {
        char name[TUB__HF_NAME_LIMIT];
        tub__scale_name(a.name, name);
        TUB__TRY(tub__st_declare(w, name, TUB__ST_F32, 1, a.shape, err));
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

static tub_status write_values(const job *j, const tub__param *p, tub__st_writer *w,
                               tub_error *err) {
    float *values = j->buffers.values, *scratch = j->buffers.scratch;
    tub__file_array a;
    if (!tub__folder_array(p, j->form, &a)) {
        return TUB_OK;
    }
    if (tub__model_is_int8(j->model, p)) {
        return write_int8(j->model, p, w, values, scratch, err);
    }
    TUB__TRY(tub__model_read(j->model, p, TUB_F32, values, scratch, err));
    return tub__st_write(w, values, tub__param_elements(p) * sizeof *values, err);
}

/* Parameters first … end - 1. */
static tub_status write_range(const job *j, size_t first, size_t end, tub__st_writer *w,
                              tub_error *err) {
    const tub__param *list = j->model->params.list;
    TUB__TRY(tub__st_declare_metadata(w, "format", "pt", err));
    for (size_t i = first; i < end; i++) {
        TUB__TRY(declare(j, &list[i], w, err));
    }
    for (size_t i = first; i < end; i++) {
        TUB__TRY(write_values(j, &list[i], w, err));
    }
    return TUB_OK;
}

static tub_status write_file(const job *j, const char *name, size_t first, size_t end,
                             tub_error *err) {
    const tub_allocator *a = &j->model->context->allocator;
    tub__st_writer *w = NULL;
    char *path;
    TUB__TRY(tub__path_join(a, j->folder, name, &path, err));
    tub_status status = tub__st_create(a, path, &w, err);
    if (status == TUB_OK) {
        status = write_range(j, first, end, w, err);
        if (status == TUB_OK) {
            status = tub__st_commit(w, err);
        } else {
            tub__st_abort(w);
        }
    }
    tub__free(a, path);
    return status;
}

/* ---- Several ---- */

static uint64_t bytes_of(const job *j, const tub__param *p) {
    tub__file_array a;
    const uint64_t n = tub__param_elements(p);
    if (!tub__folder_array(p, j->form, &a)) {
        return 0;
    }
    return tub__model_is_int8(j->model, p) ? n + p->shape[0] * sizeof(float) : n * sizeof(float);
}

/* Where the file that begins with a parameter ends: as many as fit, at least one. */
static size_t shard_end(const job *j, size_t first) {
    const tub__params *params = &j->model->params;
    uint64_t bytes = bytes_of(j, &params->list[first]);
    size_t end = first + 1;
    while (end < params->count &&
           (j->form->shard_size == 0 ||
            bytes + bytes_of(j, &params->list[end]) <= j->form->shard_size)) {
        bytes += bytes_of(j, &params->list[end++]);
    }
    return end;
}

static void shard_name(const job *j, size_t number, char out[SHARD_NAME]) {
    if (j->shards == 1) {
        snprintf(out, SHARD_NAME, "model.safetensors");
    } else {
        snprintf(out, SHARD_NAME, "model-%05zu-of-%05zu.safetensors", number, j->shards);
    }
}

/* An array of whole numbers has another one of scales beside it. */
static void put_places(const job *j, tub__json_writer *w, const tub__param *p, const char *file) {
    tub__file_array a;
    char scales[TUB__HF_NAME_LIMIT];
    if (!tub__folder_array(p, j->form, &a)) {
        return;
    }
    tub__json_put_text(w, a.name, file);
    if (tub__model_is_int8(j->model, p)) {
        tub__scale_name(a.name, scales);
        tub__json_put_text(w, scales, file);
    }
}

static tub_status index_text(const job *j, char **text, size_t *size, tub_error *err) {
    const tub__params *params = &j->model->params;
    tub__json_writer w;
    char file[SHARD_NAME];
    uint64_t total = 0;
    for (size_t i = 0; i < params->count; i++) {
        total += bytes_of(j, &params->list[i]);
    }
    tub__json_start(&w, &j->model->context->allocator, 2);
    tub__json_open_object(&w, NULL);
    tub__json_open_object(&w, "metadata");
    tub__json_put_integer(&w, "total_size", (int64_t)total);
    tub__json_close_object(&w);
    tub__json_open_object(&w, "weight_map");
    for (size_t first = 0, end, number = 1; first < params->count; first = end, number++) {
        end = shard_end(j, first);
        shard_name(j, number, file);
        for (size_t i = first; i < end; i++) {
            put_places(j, &w, &params->list[i], file);
        }
    }
    tub__json_close_object(&w);
    tub__json_close_object(&w);
    return tub__json_finish(&w, text, size, err);
}

static tub_status write_index(const job *j, tub_error *err) {
    const tub_allocator *a = &j->model->context->allocator;
    char *text, *path;
    size_t size;
    TUB__TRY(index_text(j, &text, &size, err));
    tub_status status = tub__path_join(a, j->folder, "model.safetensors.index.json", &path, err);
    if (status == TUB_OK) {
        status = tub__file_write(a, path, text, size, err);
        tub__free(a, path);
    }
    tub__free(a, text);
    return status;
}

static tub_status write_all(job *j, tub_error *err) {
    const size_t count = j->model->params.count;
    char name[SHARD_NAME];
    j->shards = 0;
    for (size_t first = 0; first < count; first = shard_end(j, first)) {
        j->shards++;
    }
    for (size_t first = 0, end, number = 1; first < count; first = end, number++) {
        end = shard_end(j, first);
        shard_name(j, number, name);
        TUB__TRY(write_file(j, name, first, end, err));
    }
    return j->shards == 1 ? TUB_OK : write_index(j, err);
}

tub_status tub__folder_write_arrays_as(const tub_model *model, const char *folder,
                                       const tub__folder_form *form, tub_error *err) {
    job j = {.model = model, .form = form, .folder = folder};
    TUB__TRY(tub__array_buffers_create(model, &j.buffers, err));
    tub_status status = write_all(&j, err);
    tub__array_buffers_free(model, &j.buffers);
    return status;
}

tub_status tub__folder_write_arrays(const tub_model *model, const char *folder, tub_error *err) {
    return tub__folder_write_arrays_as(model, folder, &(tub__folder_form){0}, err);
}
