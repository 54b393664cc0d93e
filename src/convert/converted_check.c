/* SPDX-License-Identifier: Apache-2.0 */
/* What was written against what it was made of. */
#include <string.h>

#include "base/error.h"
#include "base/fpenv.h"
#include "base/philox.h"
#include "convert/array_values.h"
#include "convert/config_json.h"
#include "convert/converted.h"

/* Both models' values of an array, and room to reorder one. */
typedef struct buffers {
    float *ours, *theirs, *scratch;
} buffers;

static bool is_classifier(const tub__param *p) {
    return p->role == TUB__HEAD_KERNEL || p->role == TUB__HEAD_BIAS;
}

/* ---- Names and shapes ---- */

static bool same_array(const tub__file_array *a, const tub__file_array *b) {
    return strcmp(a->name, b->name) == 0 && a->rank == b->rank &&
           memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape) == 0;
}

static tub_status check_names(const tub__converted *again, const tub__file_array *planned,
                              tub_error *err) {
    for (size_t i = 0; i < again->model->params.count; i++) {
        if (!same_array(&again->arrays[i], &planned[i])) {
            return tub__fail(err, TUB_E_NUMERIC,
                             "what was written has %.150s where %.150s was meant",
                             again->arrays[i].name, planned[i].name);
        }
    }
    return TUB_OK;
}

/* ---- Values ---- */

static tub_status check_array(const tub_model *m, tub_model *again, const tub__param *p,
                              const buffers *b, tub_error *err) {
    const size_t n = tub__param_elements(p);
    TUB__TRY(tub__model_read(m, p, TUB_F32, b->ours, b->scratch, err));
    TUB__TRY(tub__model_read(again, p, TUB_F32, b->theirs, b->scratch, err));
    for (size_t i = 0; i < n; i++) {
        if (memcmp(&b->ours[i], &b->theirs[i], sizeof b->ours[i]) != 0) {
            return tub__fail(err, TUB_E_NUMERIC,
                             "%s: element %zu was written as %.9g and is %.9g when read again",
                             p->name, i, (double)b->ours[i], (double)b->theirs[i]);
        }
    }
    return TUB_OK;
}

/* A classifier that was not written is m's own, for the logits. */
static tub_status lend_classifier(const tub_model *m, tub_model *again, const tub__param *p,
                                  const buffers *b, tub_error *err) {
    TUB__TRY(tub__model_read(m, p, TUB_F32, b->ours, b->scratch, err));
    return tub__model_write(again, p, TUB_F32, b->ours, b->scratch, err);
}

static tub_status check_arrays(const tub__converted *m, tub__converted *again, tub_error *err) {
    const tub__params *params = &m->model->params;
    const tub_allocator *a = &m->model->context->allocator;
    tub__array_buffers two;
    buffers b = {0};
    TUB__TRY(tub__array_buffers_create(m->model, &two, err));
    b.ours = two.values;
    b.scratch = two.scratch;
    const size_t largest = tub__params_largest(params);
    tub_status status = tub__alloc_array(a, largest, sizeof *b.theirs, (void **)&b.theirs, err);
    for (size_t i = 0; i < params->count && status == TUB_OK; i++) {
        const tub__param *p = &params->list[i];
        status = again->encoder && is_classifier(p)
                     ? lend_classifier(m->model, again->model, p, &b, err)
                     : check_array(m->model, again->model, p, &b, err);
    }
    tub__free(a, b.theirs);
    tub__array_buffers_free(m->model, &two);
    return status;
}

static tub_status check_moments(const tub__converted *m, const tub__converted *again,
                                tub_error *err) {
    const tub__moments *a = &m->moments, *b = &again->moments;
    const size_t bytes = m->model->params.numbers * sizeof *a->first;
    if (a->first == NULL || again->encoder) {
        return TUB_OK;
    }
    return b->first != NULL && a->iterations == b->iterations &&
                   memcmp(a->first, b->first, bytes) == 0 &&
                   memcmp(a->second, b->second, bytes) == 0
               ? TUB_OK
               : tub__fail(err, TUB_E_NUMERIC,
                           "the state of Adam is another one when it is read again");
}

/* ---- Logits ---- */

/* The same clip for everybody: uniform between -1 and 1. */
static void fill_clip(float *out, size_t n) {
    tub__random random = tub__random_start(tub__random_key(0, TUB__RANDOM_INIT), 0, 0, 0);
    for (size_t i = 0; i < n; i++) {
        out[i] = 2.0f * tub__unit_float(tub__random_word(&random)) - 1.0f;
    }
}

static tub_status compare_logits(tub_model *m, tub_model *again, float *clip, float *logits,
                                 tub_error *err) {
    const size_t classes = (size_t)m->config.classes;
    const tub_model_config *c = &m->config;
    fill_clip(clip, (size_t)(c->frames * c->height * c->width * c->channels));
    TUB__TRY(tub_model_forward(m, 1, TUB_F32, clip, logits, NULL, err));
    TUB__TRY(tub_model_forward(again, 1, TUB_F32, clip, logits + classes, NULL, err));
    return memcmp(logits, logits + classes, classes * sizeof *logits) == 0
               ? TUB_OK
               : tub__fail(err, TUB_E_NUMERIC,
                           "what was written gives other logits than what it was made of");
}

static tub_status check_logits(tub_model *m, tub_model *again, tub_error *err) {
    const tub_allocator *a = &m->context->allocator;
    const tub_model_config *c = &m->config;
    const size_t input = (size_t)(c->frames * c->height * c->width * c->channels);
    float *clip = NULL, *logits = NULL;
    if (c->frames != again->config.frames || c->height != again->config.height ||
        c->width != again->config.width || c->channels != again->config.channels ||
        c->classes != again->config.classes) {
        return tub__fail(err, TUB_E_NUMERIC,
                         "what was written takes other clips or has other classes");
    }
    tub_status status = tub__alloc_array(a, input, sizeof *clip, (void **)&clip, err);
    if (status == TUB_OK) {
        status = tub__alloc_array(a, 2 * (size_t)c->classes, sizeof *logits, (void **)&logits, err);
    }
    if (status == TUB_OK) {
        status = compare_logits(m, again, clip, logits, err);
    }
    tub__free(a, logits);
    tub__free(a, clip);
    return status;
}

/* ---- What stands beside the arrays ---- */

static bool is_folder(const tub__converted *m) {
    return m->kind == TUB_CONVERT_FOLDER || m->kind == TUB_CONVERT_ENCODER;
}

static tub_status describe(const tub_model *m, char **text, size_t *size, tub_error *err) {
    return tub__config_to_json(&m->context->allocator, &m->config, false,
                               (const char *const *)m->labels, text, size, err);
}

/* Everything that a configuration has, labels too, as config.json says it. */
static tub_status check_config(const tub_model *m, const tub_model *again, tub_error *err) {
    const tub_allocator *a = &m->context->allocator;
    char *ours, *theirs;
    size_t size, their_size;
    TUB__TRY(describe(m, &ours, &size, err));
    tub_status status = describe(again, &theirs, &their_size, err);
    if (status == TUB_OK) {
        status = size == their_size && memcmp(ours, theirs, size) == 0
                     ? TUB_OK
                     : tub__fail(err, TUB_E_NUMERIC, "its config.json is read as another model");
        tub__free(a, theirs);
    }
    tub__free(a, ours);
    return status;
}

static tub_status check_folder(const tub__converted *m, const tub__converted *again,
                               tub_error *err) {
    const char *ours = m->model->preprocessor_text, *theirs = again->model->preprocessor_text;
    if (!is_folder(again)) {
        return TUB_OK;
    }
    TUB__TRY(check_config(m->model, again->model, err));
    return ours == NULL || (theirs != NULL && strcmp(ours, theirs) == 0)
               ? TUB_OK
               : tub__fail(err, TUB_E_NUMERIC, "its preprocessor_config.json is another one");
}

/* ---- All ---- */

static tub_status check_all(const tub__converted *m, tub__converted *again,
                            const tub__file_array *planned, tub_error *err) {
    if (m->model->params.count != again->model->params.count) {
        return tub__fail(err, TUB_E_NUMERIC, "what was written has %zu arrays of %zu",
                         again->model->params.count, m->model->params.count);
    }
    TUB__TRY(check_names(again, planned, err));
    TUB__TRY(check_arrays(m, again, err));
    TUB__TRY(check_moments(m, again, err));
    TUB__TRY(check_folder(m, again, err));
    return check_logits(m->model, again->model, err);
}

tub_status tub__converted_check(const tub__converted *m, tub__converted *again,
                                const tub__file_array *planned, tub_error *err) {
    const tub__fpenv saved = tub__fpenv_enter();
    tub_status status = check_all(m, again, planned, err);
    tub__fpenv_leave(saved);
    return status == TUB_OK || status == TUB_E_MEMORY || status == TUB_E_CANCELLED
               ? status
               : tub__prefix(err, status, "the check of the conversion failed, nothing is written");
}
