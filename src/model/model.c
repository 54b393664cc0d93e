/* SPDX-License-Identifier: Apache-2.0 */
/* Models: creation, initial values, labels, arrays in and out, and inference. */
#include <math.h>
#include <string.h>

#include "backend/backend.h"
#include "base/error.h"
#include "base/fpenv.h"
#include "model/family.h"
#include "model/model.h"

static tub_status create(tub_context *ctx, tub__backend *be, const tub_model_config *config,
                         const tub__format *only, tub_model **out, tub_error *err) {
    const tub_allocator *a = &ctx->allocator;
    tub_model *m;
    size_t bytes;
    TUB__TRY(tub_model_config_check(config, err));
    if (only && config->family != TUB_FAMILY_VIVIT) {
        return tub__family_no_precision(config, *only == TUB__INT8 ? "int8" : "bf16",
                                        TUB_E_UNSUPPORTED, err);
    }
    TUB__TRY(tub__alloc_array(a, 1, sizeof *m, (void **)&m, err));
    m->context = ctx;
    m->backend = be;
    m->config = *config;
    m->geometry = tub__model_geometry(config);
    m->only_reduced = only != NULL;
    tub_status status = tub__params_create(a, config, only, &m->params, err);
    if (status == TUB_OK && !tub__mul(m->params.elements, be->real_size, &bytes)) {
        status = tub__fail(err, TUB_E_MEMORY, "the model's parameters do not fit into memory");
    }
    if (status == TUB_OK) {
        status = be->ops->slab_create(be, bytes, &m->weights, err);
    }
    if (status == TUB_OK) {
        status = tub__sinusoids_create(m, err);
    }
    if (status == TUB_OK && only) {
        status = tub__model_reduce(m, *only, false, err);
    }
    if (status != TUB_OK) {
        tub_model_close(m);
        return status;
    }
    *out = m;
    return TUB_OK;
}

tub_status tub__model_create_empty(tub_context *ctx, tub__backend *be,
                                   const tub_model_config *config, tub_model **out,
                                   tub_error *err) {
    return create(ctx, be, config, NULL, out, err);
}

tub_status tub__model_create_for(tub_context *ctx, tub__backend *be, const tub_model_config *config,
                                 tub_precision precision, tub_model **out, tub_error *err) {
    static const tub__format formats[] = {
        [TUB_PRECISION_BF16] = TUB__BF16, [TUB_PRECISION_INT8] = TUB__INT8};
    return create(ctx, be, config, precision == TUB_PRECISION_F32 ? NULL : &formats[precision], out,
                  err);
}

static void free_labels(tub_model *m) {
    for (int64_t i = 0; m->labels && i < m->config.classes; i++) {
        tub__free(&m->context->allocator, m->labels[i]);
    }
    tub__free(&m->context->allocator, m->labels);
    m->labels = NULL;
}

void tub_model_close(tub_model *m) {
    if (!m) {
        return;
    }
    tub__pass_destroy(m->inference);
    free_labels(m);
    tub__free(&m->context->allocator, m->preprocessor_text);
    tub__free(&m->context->allocator, m->preprocessing);
    tub__free(&m->context->allocator, m->clip);
    m->backend->ops->slab_destroy(m->backend, m->transposed);
    m->backend->ops->slab_destroy(m->backend, m->reduced);
    m->backend->ops->slab_destroy(m->backend, m->sinusoids);
    m->backend->ops->slab_destroy(m->backend, m->weights);
    tub__params_destroy(&m->params);
    tub__free(&m->context->allocator, m);
}

/* The values of array number `index`, row-major in the layers' matrix: four per counter, so any
 * part can be drawn alone. */
static void draw(const tub__param *p, tub__key key, uint32_t index, float *out) {
    for (size_t i = 0; i < p->rows * p->cols; i += 4) {
        const uint32_t counter[4] = {(uint32_t)(i / 4), index, 0, 0};
        uint32_t word[4];
        tub__philox(key, counter, word);
        for (size_t j = 0; j < 4 && i + j < p->rows * p->cols; j++) {
            out[i + j] = (float)(p->limit * (2 * (double)tub__unit_float(word[j]) - 1));
        }
    }
}

/* Orthonormal rows of what was drawn, by Gram and Schmidt in double, each row twice. */
static void make_orthogonal(const tub__param *p, float *values) {
    for (size_t r = 0; r < p->rows; r++) {
        float *row = values + r * p->cols;
        for (size_t before = 0; before < 2 * r; before++) {
            const float *other = values + before % r * p->cols;
            double product = 0;
            for (size_t i = 0; i < p->cols; i++) {
                product += (double)row[i] * (double)other[i];
            }
            for (size_t i = 0; i < p->cols; i++) {
                row[i] = (float)((double)row[i] - product * (double)other[i]);
            }
        }
        double square = 0;
        for (size_t i = 0; i < p->cols; i++) {
            square += (double)row[i] * (double)row[i];
        }
        for (size_t i = 0; i < p->cols; i++) {
            row[i] = (float)((double)row[i] / sqrt(square));
        }
    }
}

static void initialise_array(tub_model *m, size_t index, tub__key key, float *values) {
    const tub__param *p = &m->params.list[index];
    tub__backend *be = m->backend;
    if (p->initial == TUB__INIT_UNIFORM) {
        draw(p, key, (uint32_t)index, values);
    } else if (p->initial == TUB__INIT_ORTHOGONAL) {
        tub__param wide = *p;
        wide.limit = 1;
        draw(&wide, key, (uint32_t)index, values);
        make_orthogonal(p, values);
    } else {
        for (size_t i = 0; i < p->rows * p->cols; i++) {
            values[i] = p->initial == TUB__INIT_ONES;
        }
    }
    if (p->packed) {
        be->ops->pack(be, tub__param_weight(be, p, m->weights, NULL), TUB_F32, values, p->cols, 1);
    } else {
        be->ops->mat_in(be, tub__param_mat(be, p, m->weights), TUB_F32, values, p->cols, 1);
    }
}

tub_status tub__model_initialise(tub_model *m, uint64_t seed, tub_error *err) {
    const tub__key key = tub__random_key(seed, TUB__RANDOM_INIT);
    float *values;
    TUB__TRY(tub__alloc_array(&m->context->allocator, tub__params_largest(&m->params),
                              sizeof *values, (void **)&values, err));
    for (size_t i = 0; i < m->params.count; i++) {
        initialise_array(m, i, key, values);
    }
    tub__free(&m->context->allocator, values);
    return TUB_OK;
}

tub_status tub_model_create(tub_context *ctx, const tub_model_config *config, uint64_t seed,
                            tub_model **out, tub_error *err) {
    tub_model *m;
    TUB__TRY(tub__model_create_empty(ctx, ctx->backend, config, &m, err));
    const tub__fpenv saved = tub__fpenv_enter();
    const tub_status status = tub__model_initialise(m, seed, err);
    tub__fpenv_leave(saved);
    if (status != TUB_OK) {
        tub_model_close(m);
        return status;
    }
    *out = m;
    return TUB_OK;
}

const tub_model_config *tub_model_describe(const tub_model *m) {
    return &m->config;
}

const char *const *tub_model_labels(const tub_model *m) {
    return (const char *const *)m->labels;
}

tub_status tub_model_set_labels(tub_model *m, const char *const *labels, int64_t count,
                                tub_error *err) {
    const tub_allocator *a = &m->context->allocator;
    char **copy;
    if (count != m->config.classes) {
        return tub__fail(err, TUB_E_ARGUMENT, "%lld labels for a model of %lld classes",
                         (long long)count, (long long)m->config.classes);
    }
    TUB__TRY(tub__alloc_array(a, (size_t)count, sizeof *copy, (void **)&copy, err));
    for (int64_t i = 0; i < count; i++) {
        const tub_status status = tub__alloc_string(a, labels[i], &copy[i], err);
        if (status != TUB_OK) {
            while (i--) {
                tub__free(a, copy[i]);
            }
            tub__free(a, copy);
            return status;
        }
    }
    free_labels(m);
    m->labels = copy;
    return TUB_OK;
}

int64_t tub_model_parameters(const tub_model *m) {
    return (int64_t)m->params.count;
}

static tub_status entry(const tub_model *m, int64_t index, const tub__param **out, tub_error *err) {
    if (index < 0 || (size_t)index >= m->params.count) {
        return tub__fail(err, TUB_E_ARGUMENT, "array %lld of a model that has %zu",
                         (long long)index, m->params.count);
    }
    *out = &m->params.list[index];
    return TUB_OK;
}

tub_status tub_model_parameter(const tub_model *m, int64_t index, tub_parameter *out,
                               tub_error *err) {
    const tub__param *p = NULL;
    TUB__TRY(entry(m, index, &p, err));
    *out = (tub_parameter){.name = p->name,
                           .role = p->title,
                           .layer = p->layer,
                           .rank = p->rank,
                           .count = (int64_t)(p->rows * p->cols),
                           .decay = p->decay};
    for (int i = 0; i < p->rank; i++) {
        out->shape[i] = (int64_t)p->shape[i];
    }
    return TUB_OK;
}

/* Memory to reorder a convolution kernel in; others need none. */
static tub_status reorder_scratch(const tub_model *m, const tub__param *p, void **out,
                                  tub_error *err) {
    *out = NULL;
    if (p->file != TUB__FILE_CONV3D) {
        return TUB_OK;
    }
    return tub__alloc_array(&m->context->allocator, p->rows * p->cols, sizeof(double), out, err);
}

tub_status tub_model_get(const tub_model *m, int64_t index, float *out, tub_error *err) {
    const tub__param *p = NULL;
    void *scratch = NULL;
    TUB__TRY(entry(m, index, &p, err));
    TUB__TRY(reorder_scratch(m, p, &scratch, err));
    const tub_status status = tub__model_read(m, p, TUB_F32, out, scratch, err);
    tub__free(&m->context->allocator, scratch);
    return status;
}

tub_status tub_model_set(tub_model *m, int64_t index, const float *values, tub_error *err) {
    const tub__param *p = NULL;
    void *scratch = NULL;
    TUB__TRY(entry(m, index, &p, err));
    TUB__TRY(reorder_scratch(m, p, &scratch, err));
    const tub_status status = tub__model_write(m, p, TUB_F32, values, scratch, err);
    tub__free(&m->context->allocator, scratch);
    return status;
}

/* The inference pass for up to `batch` samples, made or enlarged when needed. */
static tub_status inference_pass(tub_model *m, size_t batch, tub_error *err) {
    if (m->inference && m->inference_batch >= batch) {
        return TUB_OK;
    }
    tub__pass *pass;
    const tub__pass_config config = {.batch = batch};
    TUB__TRY(tub__pass_create(m, &config, &pass, err));
    tub__pass_destroy(m->inference);
    m->inference = pass;
    m->inference_batch = batch;
    return TUB_OK;
}

tub_status tub_model_forward(tub_model *m, int64_t batch, tub_dtype dtype, const void *x,
                             float *logits, float *probabilities, tub_error *err) {
    if (batch < 1) {
        return tub__fail(err, TUB_E_ARGUMENT, "a batch of %lld samples", (long long)batch);
    }
    if (dtype != TUB_U8 && dtype != TUB_F32 && dtype != TUB_F64) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "samples of type %d; a model takes uint8, float32 and "
                         "float64",
                         (int)dtype);
    }
    if (dtype == TUB_U8 && m->preprocessing != NULL) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "the model's folder asks for more than scaling uint8 samples: "
                         "tub_model_prepare makes of them what it takes");
    }
    TUB__TRY(inference_pass(m, (size_t)batch, err));
    const tub__fpenv saved = tub__fpenv_enter();
    tub__pass_forward(m->inference, (size_t)batch, dtype, x, NULL);
    if (logits) {
        tub__pass_logits(m->inference, TUB_F32, logits);
    }
    if (probabilities) {
        tub__pass_probabilities(m->inference, TUB_F32, probabilities);
    }
    tub__fpenv_leave(saved);
    return TUB_OK;
}
