/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays of golden .npz files, and parameters of a model. */
#ifndef TEST_GOLDEN_ARRAY_H
#define TEST_GOLDEN_ARRAY_H

#include <stdio.h>
#include <stdlib.h>
#include <tubelet/tubelet.h>

#include "formats/npy.h"
#include "model/model.h"
#include "support/cmocka_all.h"

/* An npz file of the goldens; fails the test when it can't be read. */
static inline tub__npz *golden_open(const char *folder, const char *name) {
    char path[1024];
    tub_error err = {0};
    tub__npz *z = NULL;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_ok(tub__npz_open(&tub__default_allocator, path, &z, &err), err);
    return z;
}

/* A member as doubles; the caller frees it. *n (may be NULL) gets the number of elements. */
static inline double *golden_array(tub__npz *z, const char *name, size_t *n) {
    tub_error err = {0};
    tub__npy npy;
    void *bytes = NULL;
    assert_ok(tub__npz_read(z, name, 1 << 28, &bytes, &npy, &err), err);
    double *out = malloc((size_t)npy.elements * sizeof *out + 1);
    assert_ok(tub__npy_to_f64(&npy, bytes, out, &err), err);
    tub__free(&tub__default_allocator, bytes);
    if (n) {
        *n = (size_t)npy.elements;
    }
    return out;
}

/* Keras' and Flax' arrays are the layers' matrices in row-major order: they go in without the file's
 * reordering. */
static inline void golden_set_param(tub_model *m, const tub__param *p, const double *values) {
    tub__backend *be = m->backend;
    if (p->packed) {
        be->ops->pack(be, tub__param_weight(be, p, m->weights, NULL), TUB_F64, values, p->cols, 1);
    } else {
        be->ops->mat_in(be, tub__param_mat(be, p, m->weights), TUB_F64, values, p->cols, 1);
    }
}

static inline void golden_get_param(tub_model *m, const tub__param *p, void *slab, double *values) {
    tub__backend *be = m->backend;
    if (p->packed) {
        be->ops->unpack(be, TUB_F64, values, p->cols, 1, tub__param_weight(be, p, slab, NULL));
    } else {
        be->ops->mat_out(be, TUB_F64, values, p->cols, 1, tub__param_mat(be, p, slab));
    }
}

#endif
