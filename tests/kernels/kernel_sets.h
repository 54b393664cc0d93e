/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel tables that this processor can run, random numbers, and bitwise comparison. */
#ifndef TEST_KERNEL_SETS_H
#define TEST_KERNEL_SETS_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu.h"
#include "backend/cpu/kernels.h"
#include "support/cmocka_all.h"

/* Portable first: the others are held against it. */
static inline int kernel_sets(const struct tub__kernels **out) {
    int n = 0;
    out[n++] = &tub__kernels_portable;
#if defined __x86_64__
    if (tub__cpu_has(TUB_CPU_AVX2)) {
        out[n++] = &tub__kernels_avx2;
    }
    if (tub__cpu_has(TUB_CPU_AVX512)) {
        out[n++] = &tub__kernels_avx512;
    }
#elif defined __aarch64__
    out[n++] = &tub__kernels_neon;
#endif
    return n;
}

static uint64_t random_state = 1;
static inline uint32_t random_bits(void) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 32);
}

static inline float float_of(uint32_t u) {
    float f;
    memcpy(&f, &u, 4);
    return f;
}

static inline uint32_t bits_of(float f) {
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

/* n floats, 64-byte aligned plus `off` elements, uniform in [-scale, scale). The block is freed by
 * free_floats. */
static inline float *new_floats(size_t n) {
    float *p = aligned_alloc(64, tub__round_up(n * sizeof *p + 64, 64));
    assert_non_null(p);
    memset(p, 0, n * sizeof *p);
    return p;
}

static inline void fill(float *p, size_t n, float scale) {
    for (size_t i = 0; i < n; i++) {
        p[i] = scale * ((float)(random_bits() >> 8) / 8388608.0f - 1.0f);
    }
}

/* A [rows, cols] matrix with rows tub__padded(cols) + extra apart; its padding is zero. */
static inline tub__mat new_mat(size_t rows, size_t cols, size_t extra, float scale) {
    tub__mat m = {NULL, rows, cols, tub__padded(cols) + extra};
    m.data = new_floats(rows * m.ld);
    for (size_t r = 0; r < rows; r++) {
        fill((float *)m.data + r * m.ld, cols, scale);
    }
    return m;
}

static inline float at(const tub__mat *m, size_t r, size_t c) {
    return ((const float *)m->data)[r * m->ld + c];
}

/* Equal bits, or NaN in both: which of two NaN payloads comes out is not promised. */
static inline void assert_same_bits(const char *what, const char *set, const float *a,
                                    const float *b, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (bits_of(a[i]) != bits_of(b[i]) && !(isnan(a[i]) && isnan(b[i]))) {
            fail_msg("%s on %s: element %zu is %a, portable gives %a", what, set, i, (double)b[i],
                     (double)a[i]);
        }
    }
}

static inline void assert_same_mat(const char *what, const char *set, const tub__mat *a,
                                   const tub__mat *b) {
    for (size_t r = 0; r < a->rows; r++) {
        assert_same_bits(what, set, (const float *)a->data + r * a->ld,
                         (const float *)b->data + r * b->ld, tub__padded(a->cols));
    }
}

/* The padding columns of a matrix hold zero. */
static inline void assert_zero_padding(const char *what, const tub__mat *m) {
    for (size_t r = 0; r < m->rows; r++) {
        for (size_t c = m->cols; c < tub__padded(m->cols); c++) {
            if (at(m, r, c) != 0) {
                fail_msg("%s: the padding at (%zu, %zu) is %g", what, r, c, (double)at(m, r, c));
            }
        }
    }
}

/* Values that go wrong first. */
static const float special_values[] = {
    0.0f,     -0.0f,  INFINITY,  -INFINITY, NAN,     -NAN,    1e-45f,  -1e-45f, 1e-38f, -1e-38f,
    88.72f,   88.73f, -87.3f,    -88.0f,    -100.0f, -103.9f, -104.0f, -1e30f,  1e30f,  3.4e38f,
    -3.4e38f, 0.625f, 0.921875f, 1.0f,      -1.0f,   20.0f,   -20.0f,  6.0f};
enum { SPECIALS = sizeof special_values / sizeof *special_values };

#endif
