/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays of the golden .npz files, and parameters in them as a checkpoint of Flax. */
#ifndef TEST_GOLDEN_NPZ_H
#define TEST_GOLDEN_NPZ_H

#include "cmocka_all.h"
#include "formats/npy.h"
#include "make_flax.h"
#include <stdlib.h>
#include <string.h>

static inline tub__npz *golden_npz(const char *path) {
    tub__npz *z = NULL;
    tub_error err = {0};
    assert_ok(tub__npz_open(&tub__default_allocator, path, &z, &err), err);
    return z;
}

/* An array as doubles, the caller's. */
static inline double *golden_doubles(tub__npz *z, const char *name, tub__npy *npy) {
    void *bytes;
    tub_error err = {0};
    assert_ok(tub__npz_read(z, name, 1 << 24, &bytes, npy, &err), err);
    double *out = malloc(npy->elements * sizeof *out + 1);
    assert_ok(tub__npy_to_f64(npy, bytes, out, &err), err);
    tub__free(&tub__default_allocator, bytes);
    return out;
}

/* The same rounded to float32. */
static inline float *golden_floats(tub__npz *z, const char *name, tub__npy *npy) {
    double *wide = golden_doubles(z, name, npy);
    float *out = malloc(npy->elements * sizeof *out + 1);
    for (size_t i = 0; i < npy->elements; i++) {
        out[i] = (float)wide[i];
    }
    free(wide);
    return out;
}

/* Writes the arrays whose names begin with `prefix` as a checkpoint, below `root`. */
static inline void golden_checkpoint(tub__npz *z, const char *prefix, const char *root,
                                     const char *path) {
    const size_t cut = strlen(prefix);
    char key[256];
    flax_maker m;
    flax_begin(&m, path);
    for (size_t i = 0; i < tub__npz_count(z); i++) {
        const char *name = tub__npz_name(z, i);
        if (strncmp(name, prefix, cut) == 0) {
            tub__npy npy;
            float *values = golden_floats(z, name, &npy);
            snprintf(key, sizeof key, "%s%s", root, name + cut);
            flax_array(&m, key, "float32", npy.rank, npy.shape, values);
            free(values);
        }
    }
    flax_end(&m);
}

#endif
