/* SPDX-License-Identifier: Apache-2.0 */
/* Moments in and out of optimizer.safetensors. */
#include "convert/moments.h"

#include "base/error.h"
#include "base/file.h"
#include "formats/safetensors.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char FILE_NAME[] = "optimizer.safetensors", FORMAT[] = "tubelet optimizer 1";
enum { SLABS = 2, NAME_ROOM = 128 };
static const char *const slab_names[SLABS] = {"first", "second"}; /* as in a checkpoint */

static float *slab_of(const tub__moments *m, int slab) {
    return slab == 0 ? m->first : m->second;
}

static size_t elements_of(const tub__param *p) {
    return p->rows * p->cols;
}

tub_status tub__moments_create(const tub_model *model, tub__moments *out, tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    const size_t n = model->params.numbers;
    *out = (tub__moments){.allocator = a};
    TUB__TRY(tub__alloc_array(a, n, sizeof *out->first, (void **)&out->first, err));
    tub_status status = tub__alloc_array(a, n, sizeof *out->second, (void **)&out->second, err);
    if (status != TUB_OK) {
        tub__moments_destroy(out);
    }
    return status;
}

void tub__moments_destroy(tub__moments *m) {
    if (m->allocator != NULL) {
        tub__free(m->allocator, m->first);
        tub__free(m->allocator, m->second);
    }
    m->first = m->second = NULL;
}

/* ---- Writing ---- */

static tub_status declare(const tub_model *model, const tub__moments *m, tub__st_writer *w,
                          tub_error *err) {
    char text[32], name[NAME_ROOM];
    TUB__TRY(tub__st_declare_metadata(w, "format", FORMAT, err));
    TUB__TRY(tub__st_declare_metadata(w, "optimizer", "adam", err));
    snprintf(text, sizeof text, "%" PRId64, m->iterations);
    TUB__TRY(tub__st_declare_metadata(w, "iterations", text, err));
    snprintf(text, sizeof text, "%.17g", m->learning_rate);
    TUB__TRY(tub__st_declare_metadata(w, "learning_rate", text, err));
    for (int s = 0; s < SLABS; s++) {
        for (size_t i = 0; i < model->params.count; i++) {
            const tub__param *p = &model->params.list[i];
            uint64_t shape[5] = {0};
            for (int d = 0; d < p->rank; d++) {
                shape[d] = p->shape[d];
            }
            snprintf(name, sizeof name, "%s/%s", slab_names[s], p->name);
            TUB__TRY(tub__st_declare(w, name, TUB__ST_F32, p->rank, shape, err));
        }
    }
    return TUB_OK;
}

static tub_status write_all(const tub_model *model, const tub__moments *m, tub__st_writer *w,
                            tub_error *err) {
    TUB__TRY(declare(model, m, w, err));
    for (int s = 0; s < SLABS; s++) {
        const float *at = slab_of(m, s);
        for (size_t i = 0; i < model->params.count; i++) {
            const size_t n = elements_of(&model->params.list[i]);
            TUB__TRY(tub__st_write(w, at, n * sizeof *at, err));
            at += n;
        }
    }
    return TUB_OK;
}

tub_status tub__moments_write(const tub_model *model, const tub__moments *m, const char *folder,
                              tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    tub__st_writer *w = NULL;
    char *path;
    TUB__TRY(tub__path_join(a, folder, FILE_NAME, &path, err));
    tub_status status = tub__st_create(a, path, &w, err);
    if (status == TUB_OK) {
        status = write_all(model, m, w, err);
        if (status == TUB_OK) {
            status = tub__st_commit(w, err);
        } else {
            tub__st_abort(w);
        }
    }
    tub__free(a, path);
    return status;
}

/* ---- Reading ---- */

static tub_status read_metadata(const tub__st_file *f, tub__moments *out, tub_error *err) {
    const char *format = tub__st_metadata(f, "format"),
               *iterations = tub__st_metadata(f, "iterations"),
               *rate = tub__st_metadata(f, "learning_rate");
    char *end = NULL;
    if (format == NULL || strcmp(format, FORMAT) != 0) {
        return tub__fail(err, TUB_E_FORMAT, "format: expected '%s'", FORMAT);
    }
    out->iterations = iterations == NULL ? -1 : strtoll(iterations, &end, 10);
    if (out->iterations < 0 || *end != '\0') {
        return tub__fail(err, TUB_E_FORMAT, "iterations: expected a whole number");
    }
    out->learning_rate = rate == NULL ? -1 : strtod(rate, &end);
    if (!(out->learning_rate >= 0) || *end != '\0') {
        return tub__fail(err, TUB_E_FORMAT, "learning_rate: expected a number from 0 on");
    }
    return TUB_OK;
}

static tub_status read_array(const tub__st_file *f, const tub__param *p, int slab, float *out,
                             tub_error *err) {
    char name[NAME_ROOM];
    snprintf(name, sizeof name, "%s/%s", slab_names[slab], p->name);
    const tub__st_array *array = tub__st_find(f, name);
    bool fits = array != NULL && array->rank == p->rank;
    for (int d = 0; fits && d < p->rank; d++) {
        fits = array->shape[d] == p->shape[d];
    }
    return fits ? tub__st_to_f32(f, array, out, err)
                : tub__fail(err, TUB_E_SHAPE, "%s: missing or of another shape than the model",
                            name);
}

static tub_status read_all(const tub_model *model, const tub__st_file *f, tub__moments *out,
                           tub_error *err) {
    TUB__TRY(read_metadata(f, out, err));
    for (int s = 0; s < SLABS; s++) {
        float *at = slab_of(out, s);
        for (size_t i = 0; i < model->params.count; i++) {
            TUB__TRY(read_array(f, &model->params.list[i], s, at, err));
            at += elements_of(&model->params.list[i]);
        }
    }
    return TUB_OK;
}

static tub_status read_file(const tub_model *model, const char *path, tub__moments *out,
                            tub_error *err) {
    tub__st_file f;
    TUB__TRY(tub__st_open(&model->context->allocator, path, &f, err));
    tub_status status = tub__moments_create(model, out, err);
    if (status == TUB_OK) {
        status = read_all(model, &f, out, err);
        if (status != TUB_OK) {
            tub__moments_destroy(out);
            tub__prefix(err, status, "%s", path);
        }
    }
    tub__st_close(&f);
    return status;
}

tub_status tub__moments_read(const tub_model *model, const char *folder, tub__moments *out,
                             tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    char *path;
    *out = (tub__moments){.allocator = a};
    TUB__TRY(tub__path_join(a, folder, FILE_NAME, &path, err));
    tub_status status = tub__file_exists(path) ? read_file(model, path, out, err) : TUB_OK;
    tub__free(a, path);
    return status;
}
