/* SPDX-License-Identifier: Apache-2.0 */
/* A model folder's arrays into the model, by the parameter table. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/fpenv.h"
#include "convert/array_values.h"
#include "convert/folder.h"
#include "convert/hf_names.h"
#include "convert/weights.h"

/* What is wanted of a folder. */
typedef struct wish {
    bool int8;               /* its kernels are whole numbers */
    bool encoder;            /* all but the classifier */
    bool image;              /* names of a ViT, whose kernel is one of pictures: [D, C, h, w] */
    tub__file_array *arrays; /* NULL, or where to say what was found: [params.count] */
} wish;

/* What the files have of a parameter (values NULL: not wanted); scales: of whole numbers only. */
typedef struct match {
    const tub__weights_entry *values, *scales;
} match;

static tub_status check_array(const tub__param *p, wish wanted, bool int8,
                              const tub__st_array *array, tub_error *err) {
    const bool picture = wanted.image && p->role == TUB__EMBED_KERNEL;
    const size_t flat[4] = {p->shape[0], p->shape[1], p->shape[3], p->shape[4]};
    TUB__TRY(tub__check_shape(array->name, picture ? 4 : p->rank, picture ? flat : p->shape,
                              array->rank, array->shape, err));
    if (int8) {
        return array->dtype == TUB__ST_I8
                   ? TUB_OK
                   : tub__fail(err, TUB_E_SHAPE, "%s: must be I8, as config.json says",
                               array->name);
    }
    if (array->dtype != TUB__ST_F32 && array->dtype != TUB__ST_F16 &&
        array->dtype != TUB__ST_BF16 && array->dtype != TUB__ST_F64) {
        return tub__fail(err, TUB_E_SHAPE,
                         "%s: weights must be F32, F16, BF16 or F64, not whole numbers",
                         array->name);
    }
    return TUB_OK;
}

/* The array of a parameter, in any spelling; two at once are an error. */
static tub_status find_array(const tub__weights *w, const tub__param *p, wish wanted, bool int8,
                             const tub__weights_entry **out, tub_error *err) {
    char names[TUB__HF_SPELLINGS][TUB__HF_NAME_LIMIT];
    const int count =
        wanted.image ? tub__vit_spellings(p->name, names) : tub__hf_spellings(p->name, names);
    *out = NULL;
    for (int i = 0; i < count; i++) {
        const tub__weights_entry *found = tub__weights_find(w, names[i]);
        if (found != NULL && *out != NULL) {
            return tub__fail(err, TUB_E_FORMAT,
                             "%s and %s are the same array; the file has it twice",
                             (*out)->array->name, names[i]);
        }
        *out = found != NULL ? found : *out;
    }
    if (*out == NULL) {
        return tub__fail(err, TUB_E_NOT_FOUND, "%s: missing; the configuration needs it", names[0]);
    }
    return check_array(p, wanted, int8, (*out)->array, err);
}

/* The scales of an array of whole numbers. */
static tub_status find_scales(const tub__weights *w, const tub__param *p, const char *array,
                              const tub__weights_entry **out, tub_error *err) {
    char name[TUB__HF_NAME_LIMIT];
    tub__scale_name(array, name);
    *out = tub__weights_find(w, name);
    if (*out == NULL) {
        return tub__fail(err, TUB_E_NOT_FOUND, "%s: missing; %s is I8", name, array);
    }
    const tub__st_array *scales = (*out)->array;
    TUB__TRY(tub__check_shape(name, 1, p->shape, scales->rank, scales->shape, err));
    return scales->dtype == TUB__ST_F32
               ? TUB_OK
               : tub__fail(err, TUB_E_SHAPE, "%s: scales must be F32", name);
}

static bool is_classifier(const tub__param *p) {
    return p->role == TUB__HEAD_KERNEL || p->role == TUB__HEAD_BIAS;
}

/* Arrays around an encoder that are not its own: a classifier, the pooler of VivitModel and ViTModel,
 * and what ViTForMaskedImageModeling has besides. */
static bool is_head_name(const char *name) {
    static const char *const heads[] = {"classifier.",
                                        "pooler.",
                                        "vivit.pooler.",
                                        "vit.pooler.",
                                        "decoder.",
                                        "embeddings.mask_token",
                                        "vit.embeddings.mask_token"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        if (strncmp(name, heads[i], strlen(heads[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* Matches every parameter with arrays of the files; found[i] belongs to parameter i. Arrays left
 * over are errors. */
static tub_status match_all(const tub_model *model, const tub__weights *w, wish wanted,
                            match *found, bool *used, tub_error *err) {
    for (size_t i = 0; i < model->params.count; i++) {
        const tub__param *p = &model->params.list[i];
        if (wanted.encoder && is_classifier(p)) {
            continue;
        }
        const bool whole = wanted.int8 && tub__model_is_int8(model, p);
        TUB__TRY(find_array(w, p, wanted, whole, &found[i].values, err));
        used[found[i].values - w->entries] = true;
        if (whole) {
            TUB__TRY(find_scales(w, p, found[i].values->array->name, &found[i].scales, err));
            used[found[i].scales - w->entries] = true;
        }
    }
    for (size_t i = 0; i < w->count; i++) {
        if (!used[i] &&
            !((wanted.encoder || wanted.image) && is_head_name(w->entries[i].array->name))) {
            return tub__fail(err, TUB_E_FORMAT,
                             "%.200s: unexpected; the configuration has no such array",
                             w->entries[i].array->name);
        }
    }
    return TUB_OK;
}

static tub_status to_f32(const tub__weights_entry *entry, float *out, tub_error *err) {
    return tub__st_to_f32(entry->file, entry->array, out, err);
}

static const int8_t *whole_numbers(const match *m) {
    return (const int8_t *)(m->values->file->data + m->values->array->offset);
}

/* Whole numbers reach from -127 to 127, and a scale is a size. Leaves the scales in values. */
static tub_status check_int8(const match *m, float *values, tub_error *err) {
    const int8_t *numbers = whole_numbers(m);
    const tub__st_array *scales = m->scales->array;
    for (size_t i = 0; i < m->values->array->elements; i++) {
        if (numbers[i] == INT8_MIN) {
            return tub__fail(err, TUB_E_RANGE, "%s: element %zu is -128; numbers are from -127 on",
                             m->values->array->name, i);
        }
    }
    TUB__TRY(to_f32(m->scales, values, err));
    TUB__TRY(tub__check_finite(scales->name, values, scales->elements, err));
    for (size_t i = 0; i < scales->elements; i++) {
        if (values[i] < 0) {
            return tub__fail(err, TUB_E_RANGE, "%s: element %zu is %g, below zero", scales->name, i,
                             (double)values[i]);
        }
    }
    return TUB_OK;
}

static tub_status check_values(const match *m, float *values, tub_error *err) {
    if (m->values == NULL) {
        return TUB_OK;
    }
    if (m->scales != NULL) {
        return check_int8(m, values, err);
    }
    TUB__TRY(to_f32(m->values, values, err));
    return tub__check_finite(m->values->array->name, values, m->values->array->elements, err);
}

static tub_status read_one(tub_model *model, const tub__param *p, const match *m,
                           const tub__array_buffers *buffers, tub_error *err) {
    if (m->values == NULL) {
        return TUB_OK;
    }
    if (m->scales != NULL) {
        TUB__TRY(to_f32(m->scales, buffers->values, err));
        tub__model_write_int8(model, p, whole_numbers(m), buffers->values);
        return TUB_OK;
    }
    TUB__TRY(to_f32(m->values, buffers->values, err));
    return tub__model_write(model, p, TUB_F32, buffers->values, buffers->scratch, err);
}

/* Everything is converted and looked at once before the first value goes into the model: a bad file
 * leaves it as it was. */
static tub_status read_all(tub_model *model, const match *found, tub_error *err) {
    tub_status status = TUB_OK;
    tub__array_buffers buffers;
    TUB__TRY(tub__array_buffers_create(model, &buffers, err));
    for (size_t i = 0; i < model->params.count && status == TUB_OK; i++) {
        status = check_values(&found[i], buffers.values, err);
    }
    for (size_t i = 0; i < model->params.count && status == TUB_OK; i++) {
        status = read_one(model, &model->params.list[i], &found[i], &buffers, err);
    }
    tub__array_buffers_free(model, &buffers);
    return status;
}

static void list_found(const tub_model *model, const match *found, tub__file_array *out) {
    for (size_t i = 0; i < model->params.count; i++) {
        out[i] = (tub__file_array){0};
        if (found[i].values != NULL) {
            const tub__st_array *array = found[i].values->array;
            snprintf(out[i].name, sizeof out[i].name, "%s", array->name);
            out[i].rank = array->rank;
            memcpy(out[i].shape, array->shape, (size_t)array->rank * sizeof *out[i].shape);
        }
    }
}

static tub_status read_weights(tub_model *model, const tub__weights *w, wish wanted,
                               tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    match *found = NULL;
    bool *used = NULL;
    tub_status status =
        tub__alloc_array(a, model->params.count, sizeof *found, (void **)&found, err);
    if (status == TUB_OK) {
        status = tub__alloc_array(a, w->count, sizeof *used, (void **)&used, err);
    }
    if (status == TUB_OK) {
        status = match_all(model, w, wanted, found, used, err);
    }
    if (status == TUB_OK) {
        status = read_all(model, found, err);
    }
    if (status == TUB_OK && wanted.arrays != NULL) {
        list_found(model, found, wanted.arrays);
    }
    tub__free(a, used);
    tub__free(a, found);
    return status == TUB_OK || status == TUB_E_MEMORY ? status
                                                      : tub__prefix(err, status, "%s", w->path);
}

/* classifier: NULL, or whether there may be one, and then whether there is. */
static tub_status read_folder(tub_model *model, const char *folder, wish wanted, bool *classifier,
                              tub_error *err) {
    tub__weights w;
    TUB__TRY(tub__weights_open(&model->context->allocator, folder, &w, err));
    if (classifier != NULL) {
        const tub__param *head = tub__params_find(&model->params, TUB__HEAD_KERNEL, -1);
        *classifier = *classifier && tub__weights_find(&w, head->name) != NULL;
        wanted.encoder = !*classifier;
    }
    tub__fpenv saved = tub__fpenv_enter();
    tub_status status = read_weights(model, &w, wanted, err);
    tub__fpenv_leave(saved);
    tub__weights_close(&w);
    return status;
}

tub_status tub__folder_read_arrays(tub_model *model, const char *folder, bool int8,
                                   tub_error *err) {
    return read_folder(model, folder, (wish){.int8 = int8}, NULL, err);
}

tub_status tub__folder_read_encoder(tub_model *model, const char *folder, tub_error *err) {
    return read_folder(model, folder, (wish){.encoder = true}, NULL, err);
}

tub_status tub__folder_read_listed(tub_model *model, const char *folder, bool encoder,
                                   tub__file_array *arrays, tub_error *err) {
    return read_folder(model, folder, (wish){.encoder = encoder, .arrays = arrays}, NULL, err);
}

tub_status tub__folder_read_source(tub_model *model, const char *folder, tub__folder_source *source,
                                   tub_error *err) {
    return read_folder(model, folder, (wish){.image = source->image}, &source->classifier, err);
}
