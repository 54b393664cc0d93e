/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU backend's memory: slabs, and numbers in and out of padded rows and packed panels. */
#include <string.h>
#include <sys/mman.h>

#include "backend/cpu/cpu.h"
#include "base/error.h"

/* A step goes over some 90 MB: with pages of 2 MB the processor finds their addresses sooner. Only
 * a wish: systems without them go on with small ones. */
static void wish_for_huge_pages(void *block, size_t bytes) {
#ifdef MADV_HUGEPAGE
    enum { HUGE_PAGE = 2 << 20 };
    const uintptr_t begin = tub__round_up((uintptr_t)block, HUGE_PAGE),
                    end = ((uintptr_t)block + bytes) / HUGE_PAGE * HUGE_PAGE;
    if (begin < end) {
        (void)madvise((void *)begin, end - begin, MADV_HUGEPAGE);
    }
#endif
}

static tub_status slab_create(tub__backend *be, size_t bytes, void **out, tub_error *err) {
    TUB__TRY(tub__alloc(&be->allocator, bytes, out, err));
    wish_for_huge_pages(*out, bytes);
    memset(*out, 0, bytes);
    return TUB_OK;
}

static void slab_destroy(tub__backend *be, void *slab) {
    tub__free(&be->allocator, slab);
}

static void clear(tub__backend *be, void *data, size_t elements) {
    memset(data, 0, elements * be->real_size);
}

static void copy(tub__backend *be, void *to, const void *from, size_t elements) {
    memcpy(to, from, elements * be->real_size);
}

/* Element number i of an array of float32 or float64. */
static double get(tub_dtype type, const void *p, size_t i) {
    return type == TUB_F64 ? ((const double *)p)[i] : (double)((const float *)p)[i];
}

static void put(tub_dtype type, void *p, size_t i, double value) {
    if (type == TUB_F64) {
        ((double *)p)[i] = value;
    } else {
        ((float *)p)[i] = (float)value;
    }
}

static size_t packed_at(const tub__weight *w, size_t k, size_t n) {
    return (n / TUB__PANEL * w->rows + k) * TUB__PANEL + n % TUB__PANEL;
}

static void mat_in(tub__backend *be, tub__mat to, tub_dtype host, const void *from, size_t row,
                   size_t column) {
    for (size_t r = 0; r < to.rows; r++) {
        for (size_t c = 0; c < to.cols; c++) {
            put(be->real, to.data, r * to.ld + c, get(host, from, r * row + c * column));
        }
    }
}

static void mat_out(tub__backend *be, tub_dtype host, void *to, size_t row, size_t column,
                    tub__mat from) {
    for (size_t r = 0; r < from.rows; r++) {
        for (size_t c = 0; c < from.cols; c++) {
            put(host, to, r * row + c * column, get(be->real, from.data, r * from.ld + c));
        }
    }
}

/* Float32 to float32, the one that every model is loaded by: a few rows of a panel at a time,
 * since a transposed host matrix has their numbers side by side. */
static void pack_floats(tub__weight to, const float *from, size_t row, size_t column) {
    enum { ROWS = 16 };
    for (size_t n0 = 0; n0 < to.cols; n0 += TUB__PANEL) {
        const size_t n1 = tub__min(n0 + TUB__PANEL, to.cols);
        float *panel = (float *)to.data + n0 * to.rows;
        for (size_t k0 = 0; k0 < to.rows; k0 += ROWS) {
            const size_t k1 = tub__min(k0 + ROWS, to.rows);
            for (size_t n = n0; n < n1; n++) {
                for (size_t k = k0; k < k1; k++) {
                    panel[k * TUB__PANEL + n - n0] = from[k * row + n * column];
                }
            }
        }
    }
}

static void pack(tub__backend *be, tub__weight to, tub_dtype host, const void *from, size_t row,
                 size_t column) {
    if (host == TUB_F32 && be->real == TUB_F32) {
        pack_floats(to, from, row, column);
        return;
    }
    for (size_t k = 0; k < to.rows; k++) {
        for (size_t n = 0; n < to.cols; n++) {
            put(be->real, to.data, packed_at(&to, k, n), get(host, from, k * row + n * column));
        }
    }
}

static void unpack(tub__backend *be, tub_dtype host, void *to, size_t row, size_t column,
                   tub__weight from) {
    for (size_t k = 0; k < from.rows; k++) {
        for (size_t n = 0; n < from.cols; n++) {
            put(host, to, k * row + n * column, get(be->real, from.data, packed_at(&from, k, n)));
        }
    }
}

static void *reduced_panel(const tub__weight *w, size_t n) {
    return (char *)w->reduced + n / TUB__PANEL * tub__reduced_panel_bytes(w->format, w->rows);
}

static float bf16_at(const tub__weight *w, size_t k, size_t n) {
    const uint16_t *from = reduced_panel(w, n);
    const uint32_t bits = (uint32_t)from[2 * (k / 2 * TUB__PANEL + n % TUB__PANEL) + k % 2] << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static int8_t *int8_at(const tub__weight *w, size_t k, size_t n) {
    int8_t *numbers = (int8_t *)reduced_panel(w, n) + sizeof(tub__int8_head);
    return &numbers[4 * (k / 4 * TUB__PANEL + n % TUB__PANEL) + k % 4];
}

/* Rounded numbers as they are. */
static void expand(tub__backend *be, tub__weight w) {
    for (size_t n = 0; n < tub__padded(w.cols); n++) {
        const tub__int8_head *head = reduced_panel(&w, n); /* of int8 only */
        for (size_t k = 0; k < w.rows; k++) {
            const float value = w.format == TUB__INT8
                                    ? head->scale[n % TUB__PANEL] * (float)*int8_at(&w, k, n)
                                    : bf16_at(&w, k, n);
            put(be->real, w.data, packed_at(&w, k, n), (double)value);
        }
    }
}

static void pack_int8(tub__backend *be, tub__weight to, const int8_t *from, size_t row,
                      size_t column, const float *scales) {
    (void)be;
    memset(to.reduced, 0, tub__reduced_bytes(TUB__INT8, to.rows, to.cols));
    for (size_t n = 0; n < to.cols; n++) {
        tub__int8_head *head = reduced_panel(&to, n);
        int32_t sum = 0;
        for (size_t k = 0; k < to.rows; k++) {
            *int8_at(&to, k, n) = from[k * row + n * column];
            sum += from[k * row + n * column];
        }
        head->scale[n % TUB__PANEL] = scales[n];
        head->offset[n % TUB__PANEL] = -128 * sum;
    }
}

static void unpack_int8(tub__backend *be, int8_t *to, size_t row, size_t column, float *scales,
                        tub__weight from) {
    (void)be;
    for (size_t n = 0; n < from.cols; n++) {
        const tub__int8_head *head = reduced_panel(&from, n);
        scales[n] = head->scale[n % TUB__PANEL];
        for (size_t k = 0; k < from.rows; k++) {
            to[k * row + n * column] = *int8_at(&from, k, n);
        }
    }
}

void tub__cpu_memory_ops(struct tub__backend_ops *ops) {
    ops->slab_create = slab_create;
    ops->slab_destroy = slab_destroy;
    ops->clear = clear;
    ops->copy = copy;
    ops->mat_in = mat_in;
    ops->mat_out = mat_out;
    ops->pack = pack;
    ops->unpack = unpack;
    ops->expand = expand;
    ops->pack_int8 = pack_int8;
    ops->unpack_int8 = unpack_int8;
}
