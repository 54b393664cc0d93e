/* SPDX-License-Identifier: Apache-2.0 */
/* A model's weights in reduced precision: beside those in full, or alone. */
#include "base/error.h"
#include "base/fpenv.h"
#include "model/family.h"
#include "model/model.h"
#include <assert.h>

static tub_status check_sizes(const tub_model *m, const char *format, bool training,
                              tub_error *err) {
    for (size_t i = 0; i < m->params.count; i++) {
        const tub__param *p = &m->params.list[i];
        tub__weight w;
        if (!tub__model_factor(m, p, &w)) {
            continue;
        }
        if (w.rows > TUB__REDUCED_DEPTH) {
            return tub__fail(err, TUB_E_UNSUPPORTED,
                             "%s is for layers of up to %d inputs; the %s has %zu", format,
                             TUB__REDUCED_DEPTH, p->title, w.rows);
        }
        if (training && w.cols > TUB__REDUCED_COLUMNS) {
            return tub__fail(err, TUB_E_UNSUPPORTED,
                             "training in bf16 is for products of up to %d columns; that of the %s "
                             "has %zu",
                             TUB__REDUCED_COLUMNS, p->title, w.cols);
        }
    }
    return TUB_OK;
}

tub_status tub__model_reduce(tub_model *m, tub__format format, bool training, tub_error *err) {
    tub__backend *be = m->backend;
    const char *name = format == TUB__INT8 ? "int8" : "bf16";
    assert(!training || format == TUB__BF16);
    if (m->config.family != TUB_FAMILY_VIVIT) {
        return tub__family_no_precision(&m->config, name, TUB_E_UNSUPPORTED, err);
    }
    if (!be->ops->reduce) {
        return tub__fail(err, TUB_E_UNSUPPORTED, "%s has no %s products", be->name, name);
    }
    tub__params_reduce(&m->params, format);
    TUB__TRY(check_sizes(m, name, training, err));
    TUB__TRY(be->ops->slab_create(be, m->params.reduced_bytes, &m->reduced, err));
    m->reduced_stale = true;
    return training ? be->ops->slab_create(be, m->params.reduced_bytes, &m->transposed, err)
                    : TUB_OK;
}

void tub__model_refresh(tub_model *m) {
    if (!m->reduced || m->only_reduced || !m->reduced_stale) {
        return;
    }
    tub__backend *be = m->backend;
    be->ops->blocks_begin(be, &(tub__blocks){.independent = true});
    for (size_t i = 0; i < m->params.count; i++) {
        tub__weight w;
        if (tub__model_factor(m, &m->params.list[i], &w)) {
            be->ops->reduce(be, w);
        }
    }
    be->ops->blocks_end(be);
    m->reduced_stale = false;
}

bool tub__model_factor(const tub_model *m, const tub__param *p, tub__weight *out) {
    *out = tub__param_weight(m->backend, p, m->weights, m->reduced);
    if (p->reducible && m->transposed) {
        out->transposed = (char *)m->transposed + p->reduced_offset;
    }
    if (p->role == TUB__QUERY_KERNEL || p->role == TUB__TIME_QUERY_KERNEL) {
        out->cols = 3 * tub__padded(p->cols);
    }
    return p->reducible && p->role != TUB__KEY_KERNEL && p->role != TUB__VALUE_KERNEL &&
           p->role != TUB__TIME_KEY_KERNEL && p->role != TUB__TIME_VALUE_KERNEL;
}

bool tub__model_is_int8(const tub_model *m, const tub__param *p) {
    return m->only_reduced && p->reducible && p->format == TUB__INT8;
}

bool tub__model_has_int8(const tub_model *m) {
    for (size_t i = 0; i < m->params.count; i++) {
        if (tub__model_is_int8(m, &m->params.list[i])) {
            return true;
        }
    }
    return false;
}

static bool is_reduced_only(const tub_model *m, const tub__param *p) {
    return m->only_reduced && p->reducible;
}

/* The array alone in a slab of its own, as if it were not reduced. */
static tub__param alone(const tub__param *p) {
    tub__param q = *p;
    q.offset = 0;
    q.elements = tub__weight_elements(p->rows, p->cols);
    return q;
}

static tub_status slab_for(const tub_model *m, const tub__param *p, void **out, tub_error *err) {
    return m->backend->ops->slab_create(m->backend, p->elements * m->backend->real_size, out, err);
}

tub_status tub__model_read(const tub_model *m, const tub__param *p, tub_dtype host, void *out,
                           void *scratch, tub_error *err) {
    tub__backend *be = m->backend;
    if (!is_reduced_only(m, p)) {
        tub__param_read(be, p, m->weights, host, out, scratch);
        return TUB_OK;
    }
    const tub__param q = alone(p);
    void *slab;
    TUB__TRY(slab_for(m, &q, &slab, err));
    be->ops->expand(be, tub__param_weight(be, &q, slab, m->reduced));
    tub__param_read(be, &q, slab, host, out, scratch);
    be->ops->slab_destroy(be, slab);
    return TUB_OK;
}

tub_status tub__model_write(tub_model *m, const tub__param *p, tub_dtype host, const void *values,
                            void *scratch, tub_error *err) {
    tub__backend *be = m->backend;
    if (!is_reduced_only(m, p)) {
        tub__param_write(be, p, m->weights, host, values, scratch);
        m->reduced_stale = true;
        return TUB_OK;
    }
    const tub__param q = alone(p);
    void *slab;
    TUB__TRY(slab_for(m, &q, &slab, err));
    tub__param_write(be, &q, slab, host, values, scratch);
    be->ops->reduce(be, tub__param_weight(be, &q, slab, m->reduced));
    be->ops->slab_destroy(be, slab);
    return TUB_OK;
}

void tub__model_read_int8(const tub_model *m, const tub__param *p, int8_t *out, float *scales) {
    assert(tub__model_is_int8(m, p) && p->file == TUB__FILE_TRANSPOSED);
    m->backend->ops->unpack_int8(m->backend, out, 1, p->rows, scales,
                                 tub__param_weight(m->backend, p, m->weights, m->reduced));
}

void tub__model_write_int8(tub_model *m, const tub__param *p, const int8_t *values,
                           const float *scales) {
    assert(tub__model_is_int8(m, p) && p->file == TUB__FILE_TRANSPOSED);
    m->backend->ops->pack_int8(m->backend, tub__param_weight(m->backend, p, m->weights, m->reduced),
                               values, 1, p->rows, scales);
}

/* Every array of one model into another of the same configuration, through float32. */
static tub_status copy_arrays(const tub_model *from, tub_model *to, tub_error *err) {
    const tub_allocator *a = &from->context->allocator;
    size_t largest = 0;
    float *values;
    for (size_t i = 0; i < from->params.count; i++) {
        const size_t n = from->params.list[i].rows * from->params.list[i].cols;
        largest = n > largest ? n : largest;
    }
    TUB__TRY(tub__alloc_array(a, largest, sizeof *values, (void **)&values, err));
    tub_status status = TUB_OK;
    for (int64_t i = 0; status == TUB_OK && i < tub_model_parameters(from); i++) {
        status = tub_model_get(from, i, values, err);
        if (status == TUB_OK) {
            status = tub_model_set(to, i, values, err);
        }
    }
    tub__free(a, values);
    return status;
}

tub_status tub_model_create_for_inference(tub_context *ctx, const tub_model_config *config,
                                          uint64_t seed, tub_model **out, tub_error *err) {
    tub_model *whole, *reduced = NULL;
    TUB__TRY(tub_model_create(ctx, config, seed, &whole, err));
    if (ctx->precision == TUB_PRECISION_F32) {
        *out = whole;
        return TUB_OK;
    }
    tub_status status =
        tub__model_create_for(ctx, ctx->backend, config, ctx->precision, &reduced, err);
    if (status == TUB_OK) {
        const tub__fpenv saved = tub__fpenv_enter();
        status = copy_arrays(whole, reduced, err);
        tub__fpenv_leave(saved);
    }
    tub_model_close(whole);
    if (status != TUB_OK) {
        tub_model_close(reduced);
        return status;
    }
    *out = reduced;
    return TUB_OK;
}
