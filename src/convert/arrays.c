/* SPDX-License-Identifier: Apache-2.0 */
/* model.safetensors: a model's parameters to and from the file, by the parameter table. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/fpenv.h"
#include "convert/folder.h"
#include "formats/safetensors.h"

enum { NAME_LIMIT = 192, SHAPE_LIMIT = 96 };

/* Behind the name of an array of whole numbers: its scales, one for each output channel. */
static const char SCALE[] = ".scale";

static const char ARRAYS_FILE[] = "model.safetensors";

/* ---- Names: the published spelling is in the parameter table; newer transformers modules spell
 * the same arrays differently. ---- */

static const struct spelling {
    const char *table, *other;
} spellings[] = {
    {"attention.attention.query.", "attention.q_proj."},
    {"attention.attention.key.", "attention.k_proj."},
    {"attention.attention.value.", "attention.v_proj."},
    {"attention.output.dense.", "attention.o_proj."},
    {"intermediate.dense.", "mlp.fc1."},
    {"output.dense.", "mlp.fc2."},
    {"layernorm_before.", "layernorm_before."},
    {"layernorm_after.", "layernorm_after."},
};

/* "vivit.encoder.layer.3.output.dense.bias" to "vivit.layers.3.mlp.fc2.bias"; false for an array
 * outside the layers. */
static bool other_spelling(const char *name, char out[NAME_LIMIT]) {
    static const char prefix[] = "vivit.encoder.layer.";
    if (strncmp(name, prefix, sizeof prefix - 1) != 0) {
        return false;
    }
    const char *number = name + sizeof prefix - 1, *dot = strchr(number, '.');
    for (size_t i = 0; dot != NULL && i < sizeof spellings / sizeof *spellings; i++) {
        size_t length = strlen(spellings[i].table);
        if (strncmp(dot + 1, spellings[i].table, length) == 0) {
            snprintf(out, NAME_LIMIT, "vivit.layers.%.*s.%s%s", (int)(dot - number), number,
                     spellings[i].other, dot + 1 + length);
            return true;
        }
    }
    return false;
}

/* ---- Sizes ---- */

static size_t elements_of(const tub__param *p) {
    size_t n = 1;
    for (int i = 0; i < p->rank; i++) {
        n *= p->shape[i];
    }
    return n;
}

/* Two buffers that hold any array of the model: its values and the scratch of a reordering. */
static tub_status buffers_create(const tub_model *model, float **values, float **scratch,
                                 tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    size_t largest = 1;
    for (size_t i = 0; i < model->params.count; i++) {
        size_t n = elements_of(&model->params.list[i]);
        largest = n > largest ? n : largest;
    }
    TUB__TRY(tub__alloc_array(a, largest, sizeof **values, (void **)values, err));
    tub_status status = tub__alloc_array(a, largest, sizeof **scratch, (void **)scratch, err);
    if (status != TUB_OK) {
        tub__free(a, *values);
    }
    return status;
}

/* ---- Writing ---- */

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
            char name[NAME_LIMIT];
            snprintf(name, sizeof name, "%s%s", p->name, SCALE);
            TUB__TRY(tub__st_declare(w, name, TUB__ST_F32, 1, shape, err));
        }
    }
    return TUB_OK;
}

/* values and scratch: of any type. */
static tub_status write_int8(const tub_model *model, const tub__param *p, tub__st_writer *w,
                             void *values, void *scratch, tub_error *err) {
    tub__model_read_int8(model, p, values, scratch);
    TUB__TRY(tub__st_write(w, values, elements_of(p), err));
    return tub__st_write(w, scratch, p->shape[0] * sizeof(float), err);
}

static tub_status write_all(const tub_model *model, tub__st_writer *w, float *values,
                            float *scratch, tub_error *err) {
    TUB__TRY(declare_all(model, w, err));
    for (size_t i = 0; i < model->params.count; i++) {
        const tub__param *p = &model->params.list[i];
        if (tub__model_is_int8(model, p)) {
            TUB__TRY(write_int8(model, p, w, values, scratch, err));
            continue;
        }
        TUB__TRY(tub__model_read(model, p, TUB_F32, values, scratch, err));
        TUB__TRY(tub__st_write(w, values, elements_of(p) * sizeof *values, err));
    }
    return TUB_OK;
}

tub_status tub__folder_write_arrays(const tub_model *model, const char *folder, tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    tub__st_writer *w = NULL;
    float *values, *scratch;
    char *path;
    TUB__TRY(tub__path_join(a, folder, ARRAYS_FILE, &path, err));
    tub_status status = buffers_create(model, &values, &scratch, err);
    if (status != TUB_OK) {
        goto free_path;
    }
    status = tub__st_create(a, path, &w, err);
    if (status == TUB_OK) {
        status = write_all(model, w, values, scratch, err);
        if (status == TUB_OK) {
            status = tub__st_commit(w, err);
        } else {
            tub__st_abort(w);
        }
    }
    tub__free(a, scratch);
    tub__free(a, values);
free_path:
    tub__free(a, path);
    return status;
}

/* ---- Reading ---- */

static void shape_text(int rank, const uint64_t *shape, char out[SHAPE_LIMIT]) {
    size_t used = (size_t)snprintf(out, SHAPE_LIMIT, "[");
    for (int i = 0; i < rank && used < SHAPE_LIMIT - 24; i++) {
        used += (size_t)snprintf(out + used, SHAPE_LIMIT - used, "%s%llu", i == 0 ? "" : ",",
                                 (unsigned long long)shape[i]);
    }
    snprintf(out + used, SHAPE_LIMIT - used, "]");
}

static tub_status check_shape(const tub__st_array *array, int rank, const size_t *sizes,
                              tub_error *err) {
    char expected[SHAPE_LIMIT], found[SHAPE_LIMIT];
    uint64_t shape[5] = {0};
    bool same = array->rank == rank;
    for (int i = 0; i < rank; i++) {
        shape[i] = sizes[i];
        same = same && array->shape[i] == shape[i];
    }
    if (!same) {
        shape_text(rank, shape, expected);
        shape_text(array->rank, array->shape, found);
        return tub__fail(err, TUB_E_SHAPE, "%s: expected %s, file has %s", array->name, expected,
                         found);
    }
    return TUB_OK;
}

static tub_status check_array(const tub__param *p, bool int8, const tub__st_array *array,
                              tub_error *err) {
    TUB__TRY(check_shape(array, p->rank, p->shape, err));
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

/* The file's array for a parameter, in either spelling; both at once is an error. */
static tub_status find_array(const tub__st_file *f, const tub__param *p, bool int8,
                             const tub__st_array **out, tub_error *err) {
    char other[NAME_LIMIT];
    const tub__st_array *array = tub__st_find(f, p->name), *second = NULL;
    if (other_spelling(p->name, other) && strcmp(p->name, other) != 0) {
        second = tub__st_find(f, other);
    }
    if (array != NULL && second != NULL) {
        return tub__fail(err, TUB_E_FORMAT, "%s and %s are the same array; the file has it twice",
                         p->name, other);
    }
    array = array == NULL ? second : array;
    if (array == NULL) {
        return tub__fail(err, TUB_E_NOT_FOUND, "%s: missing; the configuration needs it", p->name);
    }
    *out = array;
    return check_array(p, int8, array, err);
}

/* The scales of an array of whole numbers. */
static tub_status find_scales(const tub__st_file *f, const tub__param *p,
                              const tub__st_array *array, const tub__st_array **out,
                              tub_error *err) {
    char name[NAME_LIMIT];
    snprintf(name, sizeof name, "%s%s", array->name, SCALE);
    *out = tub__st_find(f, name);
    if (*out == NULL) {
        return tub__fail(err, TUB_E_NOT_FOUND, "%s: missing; %s is I8", name, array->name);
    }
    TUB__TRY(check_shape(*out, 1, p->shape, err));
    return (*out)->dtype == TUB__ST_F32
               ? TUB_OK
               : tub__fail(err, TUB_E_SHAPE, "%s: scales must be F32", name);
}

/* What the file has of a parameter; scales: of whole numbers only. */
typedef struct match {
    const tub__st_array *array, *scales;
} match;

/* Matches every parameter with arrays of the file; found[i] belongs to parameter i. Arrays left
 * over are errors. */
static tub_status match_all(const tub_model *model, const tub__st_file *f, bool int8, match *found,
                            bool *used, tub_error *err) {
    for (size_t i = 0; i < model->params.count; i++) {
        const tub__param *p = &model->params.list[i];
        const bool whole = int8 && tub__model_is_int8(model, p);
        TUB__TRY(find_array(f, p, whole, &found[i].array, err));
        used[found[i].array - f->arrays] = true;
        if (whole) {
            TUB__TRY(find_scales(f, p, found[i].array, &found[i].scales, err));
            used[found[i].scales - f->arrays] = true;
        }
    }
    for (size_t i = 0; i < f->count; i++) {
        if (!used[i]) {
            return tub__fail(err, TUB_E_FORMAT,
                             "%s: unexpected; the configuration has no such array",
                             f->arrays[i].name);
        }
    }
    return TUB_OK;
}

static bool is_finite(float value) {
    return value - value == 0.0f;
}

/* Without a branch for each, so that the compiler takes several at once. */
static bool all_finite(const float *values, size_t n) {
    int others = 0;
    for (size_t i = 0; i < n; i++) {
        others |= !is_finite(values[i]);
    }
    return others == 0;
}

static tub_status check_finite(const tub__st_array *array, const float *values, size_t n,
                               tub_error *err) {
    size_t i = 0;
    if (all_finite(values, n)) {
        return TUB_OK;
    }
    while (is_finite(values[i])) {
        i++;
    }
    return tub__fail(err, TUB_E_RANGE, "%s: element %zu is not finite", array->name, i);
}

static const int8_t *whole_numbers(const tub__st_file *f, const match *m) {
    return (const int8_t *)(f->data + m->array->offset);
}

/* Whole numbers reach from -127 to 127, and a scale is a size. Leaves the scales in values. */
static tub_status check_int8(const tub__st_file *f, const match *m, float *values, tub_error *err) {
    const int8_t *numbers = whole_numbers(f, m);
    for (size_t i = 0; i < m->array->elements; i++) {
        if (numbers[i] == INT8_MIN) {
            return tub__fail(err, TUB_E_RANGE, "%s: element %zu is -128; numbers are from -127 on",
                             m->array->name, i);
        }
    }
    TUB__TRY(tub__st_to_f32(f, m->scales, values, err));
    TUB__TRY(check_finite(m->scales, values, m->scales->elements, err));
    for (size_t i = 0; i < m->scales->elements; i++) {
        if (values[i] < 0) {
            return tub__fail(err, TUB_E_RANGE, "%s: element %zu is %g, below zero", m->scales->name,
                             i, (double)values[i]);
        }
    }
    return TUB_OK;
}

static tub_status check_values(const tub__st_file *f, const match *m, float *values,
                               tub_error *err) {
    if (m->scales != NULL) {
        return check_int8(f, m, values, err);
    }
    TUB__TRY(tub__st_to_f32(f, m->array, values, err));
    return check_finite(m->array, values, m->array->elements, err);
}

/* Everything is converted and looked at once before the first value goes into the model: a bad file
 * leaves it as it was. */
static tub_status read_all(tub_model *model, const tub__st_file *f, const match *found,
                           tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    tub_status status = TUB_OK;
    float *values, *scratch;
    TUB__TRY(buffers_create(model, &values, &scratch, err));
    for (size_t i = 0; i < model->params.count && status == TUB_OK; i++) {
        status = check_values(f, &found[i], values, err);
    }
    for (size_t i = 0; i < model->params.count && status == TUB_OK; i++) {
        const tub__param *p = &model->params.list[i];
        const bool whole = found[i].scales != NULL;
        status = tub__st_to_f32(f, whole ? found[i].scales : found[i].array, values, err);
        if (status == TUB_OK && whole) {
            tub__model_write_int8(model, p, whole_numbers(f, &found[i]), values);
        } else if (status == TUB_OK) {
            status = tub__model_write(model, p, TUB_F32, values, scratch, err);
        }
    }
    tub__free(a, scratch);
    tub__free(a, values);
    return status;
}

static tub_status read_file(tub_model *model, const char *path, bool int8, tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    match *found = NULL;
    bool *used = NULL;
    tub__st_file f;
    TUB__TRY(tub__st_open(a, path, &f, err)); /* its sentence names the path */
    tub_status status =
        tub__alloc_array(a, model->params.count, sizeof *found, (void **)&found, err);
    if (status == TUB_OK) {
        status = tub__alloc_array(a, f.count, sizeof *used, (void **)&used, err);
    }
    if (status == TUB_OK) {
        status = match_all(model, &f, int8, found, used, err);
        if (status == TUB_OK) {
            status = read_all(model, &f, found, err);
        }
        if (status != TUB_OK && status != TUB_E_MEMORY) {
            tub__prefix(err, status, "%s", path);
        }
    }
    tub__free(a, used);
    tub__free(a, found);
    tub__st_close(&f);
    return status;
}

/* Large checkpoints come in parts with an index; their folder has no model.safetensors. */
static tub_status refuse_parts(const tub_allocator *a, const char *folder, const char *path,
                               tub_error *err) {
    char *index;
    if (tub__file_exists(path)) {
        return TUB_OK;
    }
    TUB__TRY(tub__path_join(a, folder, "model.safetensors.index.json", &index, err));
    bool parts = tub__file_exists(index);
    tub__free(a, index);
    return parts ? tub__fail(
                       err, TUB_E_UNSUPPORTED,
                       "%s: the weights are in several files; save them as one model.safetensors",
                       folder)
                 : TUB_OK;
}

tub_status tub__folder_read_arrays(tub_model *model, const char *folder, bool int8,
                                   tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    char *path;
    TUB__TRY(tub__path_join(a, folder, ARRAYS_FILE, &path, err));
    tub_status status = refuse_parts(a, folder, path, err);
    if (status == TUB_OK) {
        tub__fpenv saved = tub__fpenv_enter();
        status = read_file(model, path, int8, err);
        tub__fpenv_leave(saved);
    }
    tub__free(a, path);
    return status;
}
