/* SPDX-License-Identifier: Apache-2.0 */
/* Writing and reading the checkpoint: arrays "weights/NAME", "first/NAME", "second/NAME" in the
 * layout of model.safetensors, so that another backend or packing can go on from it, and the
 * progress as metadata. */
#include "train/checkpoint.h"

#include "base/error.h"
#include "base/md5.h"
#include "convert/moments.h"
#include "data/file_set.h"
#include "formats/safetensors.h"
#include "train/run_folder.h"
#include <stdio.h>
#include <string.h>

static const char format[] = "tubelet checkpoint 3"; /* 1, 2: other data digests */

enum { SLABS = 3, NAME_LENGTH = 128 };

static const char *const slab_names[SLABS] = {"weights", "first", "second"};

static void *slab_of(const tub__optimizer *o, int which) {
    void *const slabs[SLABS] = {o->model->weights, o->m, o->v};
    return slabs[which];
}

static void array_name(char out[NAME_LENGTH], int slab, const tub__param *p) {
    snprintf(out, NAME_LENGTH, "%s/%s", slab_names[slab], p->name);
}

/* Two host buffers that hold the largest array: its values, and the room that reordering needs. */
typedef struct buffers {
    const tub_allocator *allocator;
    void *block;
    float *values;
    void *scratch;
} buffers;

static tub_status buffers_create(const tub_model *model, buffers *out, tub_error *err) {
    size_t most = 0;
    for (size_t i = 0; i < model->params.count; i++) {
        const tub__param *p = &model->params.list[i];
        most = p->elements > most ? p->elements : most;
    }
    size_t each = tub__round_up(most * sizeof(double), TUB__ALIGN);
    *out = (buffers){.allocator = &model->context->allocator};
    TUB__TRY(tub__alloc(out->allocator, 2 * each, &out->block, err));
    out->values = out->block;
    out->scratch = (char *)out->block + each;
    return TUB_OK;
}

static void buffers_destroy(buffers *b) {
    tub__free(b->allocator, b->block);
}

void tub__data_digest(const tub_dataset *data, char hex[33]) {
    const tub_dataset_info *info = tub_dataset_describe(data);
    const int64_t shape[] = {info->frames,         info->height,  info->width,
                             info->channels,       info->classes, info->count[TUB_TRAIN],
                             info->count[TUB_VAL], info->dtype,   info->label_columns};
    size_t bytes = tub__dataset_sample_bytes(info);
    tub__md5 md5;
    tub__md5_init(&md5);
    tub__md5_update(&md5, shape, sizeof shape);
    if (data->files != NULL) {
        tub__md5_update(&md5, data->files->digest, sizeof data->files->digest);
        tub__md5_finish(&md5, hex);
        return;
    }
    for (tub_split split = TUB_TRAIN; split <= TUB_VAL; split++) {
        size_t count = (size_t)info->count[split];
        tub__md5_update(&md5, tub_dataset_labels(data, split),
                        count * (size_t)info->label_columns * sizeof(int32_t));
        tub__md5_update(&md5, tub_dataset_samples(data, split), count * bytes);
    }
    tub__md5_finish(&md5, hex);
}

/* What others need to go on with the optimizer. */
static tub_status declare_optimizer(tub__st_writer *w, const tub__optimizer *o,
                                    const tub__progress *p, double rate, tub_error *err) {
    const tub__moments_facts facts = {.optimizer = o->name,
                                      .iterations = (int64_t)p->step,
                                      .learning_rate = rate,
                                      .beta1 = o->beta1,
                                      .beta2 = o->beta2,
                                      .epsilon = o->epsilon};
    return tub__moments_declare(w, &facts, err);
}

static tub_status declare_metadata(tub__st_writer *w, const tub__progress *p,
                                   const tub__identity *identity, tub_error *err) {
    const char *name = NULL;
    char text[TUB__PROGRESS_TEXT];
    TUB__TRY(tub__st_declare_metadata(w, "format", format, err));
    TUB__TRY(tub__st_declare_metadata(w, "recipe_digest", identity->recipe, err));
    TUB__TRY(tub__st_declare_metadata(w, "data_digest", identity->data, err));
    for (unsigned i = 0; tub__progress_get(p, i, &name, text); i++) {
        TUB__TRY(tub__st_declare_metadata(w, name, text, err));
    }
    return TUB_OK;
}

static tub_status declare_arrays(tub__st_writer *w, const tub__optimizer *o, tub_error *err) {
    const tub__params *params = &o->model->params;
    for (int s = 0; s < SLABS && slab_of(o, s) != NULL; s++) {
        for (size_t i = 0; i < params->count; i++) {
            const tub__param *p = &params->list[i];
            char name[NAME_LENGTH];
            uint64_t shape[5];
            for (int d = 0; d < p->rank; d++) {
                shape[d] = p->shape[d];
            }
            array_name(name, s, p);
            TUB__TRY(tub__st_declare(w, name, TUB__ST_F32, p->rank, shape, err));
        }
    }
    return TUB_OK;
}

static tub_status write_arrays(tub__st_writer *w, const tub__optimizer *o, const buffers *b,
                               tub_error *err) {
    const tub__params *params = &o->model->params;
    for (int s = 0; s < SLABS && slab_of(o, s) != NULL; s++) {
        for (size_t i = 0; i < params->count; i++) {
            const tub__param *p = &params->list[i];
            tub__param_read(o->model->backend, p, slab_of(o, s), TUB_F32, b->values, b->scratch);
            TUB__TRY(tub__st_write(w, b->values, tub__param_elements(p) * sizeof(float), err));
        }
    }
    return TUB_OK;
}

static tub_status write_state(tub__st_writer *w, const tub__optimizer *o, const tub__progress *p,
                              double rate, const tub__identity *identity, const buffers *b,
                              tub_error *err) {
    TUB__TRY(declare_metadata(w, p, identity, err));
    TUB__TRY(declare_optimizer(w, o, p, rate, err));
    TUB__TRY(declare_arrays(w, o, err));
    return write_arrays(w, o, b, err);
}

static tub_status state_path(const tub_allocator *a, const char *run, char **path, tub_error *err) {
    return tub__path_join(a, run, TUB__RUN_STATE, path, err);
}

tub_status tub__checkpoint_write(const char *run, const tub__optimizer *o, const tub__progress *p,
                                 double rate, const tub__identity *identity, tub_error *err) {
    const tub_allocator *a = &o->model->context->allocator;
    buffers b = {.allocator = a};
    char *path = NULL;
    tub__st_writer *w = NULL;
    tub_status status = state_path(a, run, &path, err);
    if (status == TUB_OK) {
        status = buffers_create(o->model, &b, err);
    }
    if (status == TUB_OK) {
        status = tub__st_create(a, path, &w, err);
    }
    if (status == TUB_OK) {
        status = write_state(w, o, p, rate, identity, &b, err);
        if (status == TUB_OK) {
            status = tub__st_commit(w, err);
        } else {
            tub__st_abort(w);
        }
    }
    buffers_destroy(&b);
    tub__free(a, path);
    return status;
}

static tub_status check_identity(const tub__st_file *f, const tub__identity *identity,
                                 tub_error *err) {
    const char *kind = tub__st_metadata(f, "format"),
               *recipe = tub__st_metadata(f, "recipe_digest");
    const char *data = tub__st_metadata(f, "data_digest");
    if (kind == NULL || recipe == NULL || data == NULL || strcmp(kind, format) != 0) {
        return tub__fail(err, TUB_E_FORMAT,
                         "not a checkpoint of this version of tubelet (no '%s' in it)", format);
    }
    if (strcmp(recipe, identity->recipe) != 0) {
        return tub__fail(
            err, TUB_E_ARGUMENT,
            "was made with other settings than recipe.yaml now has; only epochs, "
            "max_steps, patience, ranks, micro_batch, recompute, checkpoint_every and evaluate may "
            "change");
    }
    if (strcmp(data, identity->data) != 0) {
        return tub__fail(err, TUB_E_ARGUMENT, "these are not the data that the run was trained on");
    }
    return TUB_OK;
}

static tub_status read_progress(const tub__st_file *f, tub__progress *p, tub_error *err) {
    const char *name = NULL;
    char text[TUB__PROGRESS_TEXT];
    for (unsigned i = 0; tub__progress_get(p, i, &name, text); i++) {
        const char *value = tub__st_metadata(f, name);
        if (value == NULL || !tub__progress_set(p, i, value)) {
            return tub__fail(err, TUB_E_FORMAT, "the checkpoint has no usable '%s'", name);
        }
    }
    return TUB_OK;
}

static tub_status find_array(const tub__st_file *f, const tub__param *p, int slab,
                             const tub__st_array **out, tub_error *err) {
    char name[NAME_LENGTH];
    array_name(name, slab, p);
    const tub__st_array *array = tub__st_find(f, name);
    bool fits = array != NULL && array->dtype == TUB__ST_F32 && array->rank == p->rank;
    for (int d = 0; fits && d < p->rank; d++) {
        fits = array->shape[d] == p->shape[d];
    }
    if (!fits) {
        return tub__fail(err, TUB_E_SHAPE, "%s: missing or of another shape than the model", name);
    }
    *out = array;
    return TUB_OK;
}

/* All arrays are looked up before the first is used: a damaged file changes nothing. */
static tub_status read_arrays(const tub__st_file *f, tub__optimizer *o, const buffers *b, bool use,
                              tub_error *err) {
    const tub__params *params = &o->model->params;
    for (int s = 0; s < SLABS && slab_of(o, s) != NULL; s++) {
        for (size_t i = 0; i < params->count; i++) {
            const tub__param *p = &params->list[i];
            const tub__st_array *array = NULL;
            TUB__TRY(find_array(f, p, s, &array, err));
            if (use) {
                TUB__TRY(tub__st_to_f32(f, array, b->values, err));
                tub__param_write(o->model->backend, p, slab_of(o, s), TUB_F32, b->values,
                                 b->scratch);
            }
        }
    }
    return TUB_OK;
}

static tub_status read_state(const tub__st_file *f, tub__optimizer *o, tub__progress *p,
                             const tub__identity *identity, tub_error *err) {
    tub__progress progress = *p;
    buffers b;
    TUB__TRY(check_identity(f, identity, err));
    TUB__TRY(read_progress(f, &progress, err));
    TUB__TRY(read_arrays(f, o, NULL, false, err));
    TUB__TRY(buffers_create(o->model, &b, err));
    tub_status status = read_arrays(f, o, &b, true, err);
    buffers_destroy(&b);
    if (status == TUB_OK) {
        *p = progress;
    }
    return status;
}

tub_status tub__checkpoint_read(const char *run, tub__optimizer *o, tub__progress *p,
                                const tub__identity *identity, bool *found, tub_error *err) {
    const tub_allocator *a = &o->model->context->allocator;
    char *path = NULL;
    TUB__TRY(state_path(a, run, &path, err));
    tub_status status = TUB_OK;
    *found = tub__file_exists(path);
    if (*found) {
        tub__st_file f;
        status = tub__st_open(a, path, &f, err);
        if (status == TUB_OK) {
            status = read_state(&f, o, p, identity, err);
            tub__st_close(&f);
            if (status != TUB_OK) {
                tub__prefix(err, status, "%s", path);
            }
        }
    }
    tub__free(a, path);
    return status;
}
