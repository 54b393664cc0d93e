/* SPDX-License-Identifier: Apache-2.0 */
/* A model's weights in reduced precision: beside those in full, or alone. */
#include "base/error.h"
#include "model/model.h"
#include <assert.h>

/* Scratch of a worker holds some rows of such depth in any format (backend/cpu/reduced.c): half of it,
 * where the other half holds normalised rows; and all of it for the gradient of an input, whose depth
 * are the columns. */
static const size_t DEPTH_LIMIT = 6144, COLUMNS_LIMIT = 15360;

static tub_status check_sizes(const tub_model *m, const char *format, bool training,
                              tub_error *err) {
    for (size_t i = 0; i < m->params.count; i++) {
        const tub__param *p = &m->params.list[i];
        tub__weight w;
        if (!tub__model_factor(m, p, &w)) {
            continue;
        }
        if (w.rows > DEPTH_LIMIT) {
            return tub__fail(err, TUB_E_UNSUPPORTED,
                             "%s is for layers of up to %zu inputs; the %s has %zu", format,
                             DEPTH_LIMIT, p->title, w.rows);
        }
        if (training && w.cols > COLUMNS_LIMIT) {
            return tub__fail(
                err, TUB_E_UNSUPPORTED,
                "training in bf16 is for products of up to %zu columns; that of the %s "
                "has %zu",
                COLUMNS_LIMIT, p->title, w.cols);
        }
    }
    return TUB_OK;
}

tub_status tub__model_reduce(tub_model *m, tub__format format, bool training, tub_error *err) {
    tub__backend *be = m->backend;
    const char *name = format == TUB__INT8 ? "int8" : "bf16";
    assert(!training || format == TUB__BF16);
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
    for (size_t i = 0; i < m->params.count; i++) {
        tub__weight w;
        if (tub__model_factor(m, &m->params.list[i], &w)) {
            m->backend->ops->reduce(m->backend, w);
        }
    }
    m->reduced_stale = false;
}

bool tub__model_factor(const tub_model *m, const tub__param *p, tub__weight *out) {
    *out = tub__param_weight(m->backend, p, m->weights, m->reduced);
    if (p->reducible && m->transposed) {
        out->transposed = (char *)m->transposed + p->reduced_offset;
    }
    if (p->role == TUB__QUERY_KERNEL) {
        out->cols = 3 * tub__padded(p->cols);
    }
    return p->reducible && p->role != TUB__KEY_KERNEL && p->role != TUB__VALUE_KERNEL;
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
