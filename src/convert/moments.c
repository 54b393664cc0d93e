/* SPDX-License-Identifier: Apache-2.0 */
/* Moments in and out of optimizer.safetensors, and out of a run's checkpoint. */
#include "convert/moments.h"

#include "base/error.h"
#include "base/file.h"
#include "base/number.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char FILE_NAME[] = "optimizer.safetensors", FORMAT[] = "tubelet optimizer 1";
enum { SLABS = 2, NAME_ROOM = 128 };
static const char *const slab_names[SLABS] = {"first", "second"}; /* as in a checkpoint */

static float *slab_of(const tub__moments *m, int slab) {
    return slab == 0 ? m->first : m->second;
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

static tub_status declare_real(tub__st_writer *w, const char *key, double value, tub_error *err) {
    char text[TUB__NUMBER_ROOM];
    tub__number_print(text, value);
    return tub__st_declare_metadata(w, key, text, err);
}

static tub_status declare_progress(tub__st_writer *w, const char *optimizer, int64_t iterations,
                                   double learning_rate, tub_error *err) {
    char text[TUB__NUMBER_ROOM];
    TUB__TRY(tub__st_declare_metadata(w, "optimizer", optimizer, err));
    snprintf(text, sizeof text, "%" PRId64, iterations);
    TUB__TRY(tub__st_declare_metadata(w, "iterations", text, err));
    return declare_real(w, "learning_rate", learning_rate, err);
}

tub_status tub__moments_declare(tub__st_writer *w, const tub__moments_facts *f, tub_error *err) {
    TUB__TRY(declare_progress(w, f->optimizer, f->iterations, f->learning_rate, err));
    TUB__TRY(declare_real(w, "beta1", f->beta1, err));
    TUB__TRY(declare_real(w, "beta2", f->beta2, err));
    return declare_real(w, "epsilon", f->epsilon, err);
}

static tub_status declare(const tub_model *model, const tub__moments *m, tub__st_writer *w,
                          tub_error *err) {
    char name[NAME_ROOM];
    TUB__TRY(tub__st_declare_metadata(w, "format", FORMAT, err));
    TUB__TRY(declare_progress(w, "adam", m->iterations, m->learning_rate, err));
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
            const size_t n = tub__param_elements(&model->params.list[i]);
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

static tub_status read_real(const tub__st_file *f, const char *key, double *out, tub_error *err) {
    const char *text = tub__st_metadata(f, key);
    return text != NULL && tub__number_to_real(text, out) && *out >= 0
               ? TUB_OK
               : tub__fail(err, TUB_E_FORMAT, "%s: expected a number from 0 on", key);
}

static tub_status read_progress(const tub__st_file *f, tub__moments *out, tub_error *err) {
    const char *iterations = tub__st_metadata(f, "iterations");
    if (iterations == NULL || !tub__number_to_int(iterations, &out->iterations) ||
        out->iterations < 0) {
        return tub__fail(err, TUB_E_FORMAT, "iterations: expected a whole number from 0 on");
    }
    return read_real(f, "learning_rate", &out->learning_rate, err);
}

static tub_status check_format(const tub__st_file *f, tub_error *err) {
    const char *format = tub__st_metadata(f, "format");
    return format != NULL && strcmp(format, FORMAT) == 0
               ? TUB_OK
               : tub__fail(err, TUB_E_FORMAT, "format: expected '%s'", FORMAT);
}

static tub_status read_array(const tub__st_file *f, const tub__param *p, const char *slab,
                             float *out, tub_error *err) {
    char name[NAME_ROOM];
    snprintf(name, sizeof name, "%s/%s", slab, p->name);
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
    TUB__TRY(read_progress(f, out, err));
    for (int s = 0; s < SLABS; s++) {
        float *at = slab_of(out, s);
        for (size_t i = 0; i < model->params.count; i++) {
            TUB__TRY(read_array(f, &model->params.list[i], slab_names[s], at, err));
            at += tub__param_elements(&model->params.list[i]);
        }
    }
    return TUB_OK;
}

/* ---- A checkpoint ---- */

/* Whether the weights that the moments belong to are the model's, bit for bit: a kill may have left
 * later ones in the run folder. room: twice the largest array. */
static tub_status same_weights(const tub_model *model, const tub__st_file *f, float *room,
                               float *scratch, bool *same, tub_error *err) {
    float *const ours = room, *const theirs = room + tub__params_largest(&model->params);
    *same = true;
    for (size_t i = 0; i < model->params.count && *same; i++) {
        const tub__param *p = &model->params.list[i];
        TUB__TRY(read_array(f, p, "weights", theirs, err));
        TUB__TRY(tub__model_read(model, p, TUB_F32, ours, scratch, err));
        *same = memcmp(ours, theirs, tub__param_elements(p) * sizeof *ours) == 0;
    }
    return TUB_OK;
}

static tub_status compare_weights(const tub_model *model, const tub__st_file *f, bool *same,
                                  tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    const size_t largest = tub__params_largest(&model->params);
    float *room;
    TUB__TRY(tub__alloc_array(a, largest, 3 * sizeof *room, (void **)&room, err));
    tub_status status = same_weights(model, f, room, room + 2 * largest, same, err);
    tub__free(a, room);
    return status;
}

/* Keras goes on with what the example's Adam has. */
static tub_status tell_difference(const tub_model *model, const tub__st_file *f, const char *path,
                                  tub_error *err) {
    const char *optimizer = tub__st_metadata(f, "optimizer");
    double beta1, beta2, epsilon;
    TUB__TRY(read_real(f, "beta1", &beta1, err));
    TUB__TRY(read_real(f, "beta2", &beta2, err));
    TUB__TRY(read_real(f, "epsilon", &epsilon, err));
    if (strcmp(optimizer, "adam") != 0 || beta1 != 0.9 || beta2 != 0.999 || epsilon != 1e-7) {
        tub__log_line(model->context, TUB_LOG_WARNING,
                      "%s: the state of %s (beta1 %g, beta2 %g, epsilon %g) goes along as one of "
                      "plain Adam (0.9, 0.999, 1e-07)",
                      path, optimizer, beta1, beta2, epsilon);
    }
    return TUB_OK;
}

static tub_status read_checkpoint(const tub_model *model, const tub__st_file *f, const char *path,
                                  tub__moments *out, tub_error *err) {
    const char *optimizer = tub__st_metadata(f, "optimizer"), *why = NULL;
    bool same = false;
    if (optimizer == NULL) {
        why = "it is of an older version of tubelet, and does not name its optimizer";
    } else if (strcmp(optimizer, "adam") != 0 && strcmp(optimizer, "adamw") != 0) {
        why = "its optimizer is not Adam";
    } else {
        TUB__TRY(compare_weights(model, f, &same, err));
        why = same ? NULL : "the model has the weights of another step";
    }
    if (why != NULL) {
        tub__log_line(model->context, TUB_LOG_WARNING, "%s: the optimizer's state is left out: %s",
                      path, why);
        tub__moments_destroy(out);
        return TUB_OK;
    }
    TUB__TRY(tell_difference(model, f, path, err));
    return read_all(model, f, out, err);
}

/* ---- Either ---- */

static tub_status read_file(const tub_model *model, const char *path, bool checkpoint,
                            tub__moments *out, tub_error *err) {
    tub__st_file f;
    TUB__TRY(tub__st_open(&model->context->allocator, path, &f, err));
    tub_status status = tub__moments_create(model, out, err);
    if (status == TUB_OK && checkpoint) {
        status = read_checkpoint(model, &f, path, out, err);
    } else if (status == TUB_OK) {
        status = check_format(&f, err);
        status = status == TUB_OK ? read_all(model, &f, out, err) : status;
    }
    if (status != TUB_OK) {
        tub__moments_destroy(out);
        tub__prefix(err, status, "%s", path);
    }
    tub__st_close(&f);
    return status;
}

static tub_status read_if_there(const tub_model *model, const char *folder, const char *name,
                                tub__moments *out, tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    char *path;
    TUB__TRY(tub__path_join(a, folder, name, &path, err));
    tub_status status = tub__file_exists(path)
                            ? read_file(model, path, strcmp(name, FILE_NAME) != 0, out, err)
                            : TUB_OK;
    tub__free(a, path);
    return status;
}

tub_status tub__moments_read(const tub_model *model, const char *folder, tub__moments *out,
                             tub_error *err) {
    *out = (tub__moments){.allocator = &model->context->allocator};
    TUB__TRY(read_if_there(model, folder, FILE_NAME, out, err));
    return out->first != NULL ? TUB_OK
                              : read_if_there(model, folder, TUB__MOMENTS_CHECKPOINT, out, err);
}
