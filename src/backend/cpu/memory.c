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

static void pack(tub__backend *be, tub__weight to, tub_dtype host, const void *from, size_t row,
                 size_t column) {
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

/* Rounded numbers as they are. */
static void expand(tub__backend *be, tub__weight w) {
    const size_t depth = tub__padded(w.rows);
    const uint16_t *from = w.reduced;
    for (size_t k = 0; k < w.rows; k++) {
        for (size_t n = 0; n < tub__padded(w.cols); n++) {
            const size_t pair =
                (n / TUB__PANEL * depth + k / 2 * 2) / 2 * TUB__PANEL + n % TUB__PANEL;
            const uint32_t bits = (uint32_t)from[2 * pair + k % 2] << 16;
            float value;
            memcpy(&value, &bits, sizeof value);
            put(be->real, w.data, packed_at(&w, k, n), (double)value);
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
}
