/* SPDX-License-Identifier: Apache-2.0 */
/* Resizing one axis after the other. Each cell here is a weighted sum of at most four there. */
#include "convert/position_grid.h"

#include <math.h>

#include "base/error.h"

enum { TAPS = 4 };

/* What one cell is made of. */
typedef struct mix {
    size_t cell[TAPS];
    double weight[TAPS];
    int count;
} mix;

static mix repeated(size_t i, size_t n) {
    return (mix){.cell = {i % n}, .weight = {1}, .count = 1};
}

static mix linear(size_t i, size_t n, size_t m) {
    const double place = m > 1 ? (double)i * ((double)(n - 1) / (double)(m - 1)) : 0;
    const size_t low = tub__min((size_t)floor(place), n - 1);
    const double share = place - (double)low;
    return (mix){.cell = {low, tub__min(low + 1, n - 1)}, .weight = {1 - share, share}, .count = 2};
}

/* Keys 1981: the kernel within one cell of the place, and beyond. */
static double near_weight(double x) {
    const double a = -0.75;
    return ((a + 2) * x - (a + 3)) * x * x + 1;
}

static double far_weight(double x) {
    const double a = -0.75;
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
}

static mix cubic(size_t i, size_t n, size_t m) {
    const double place = ((double)i + 0.5) * ((double)n / (double)m) - 0.5;
    const double low = floor(place), share = place - low;
    mix out = {.weight = {far_weight(share + 1), near_weight(share), near_weight(1 - share),
                          far_weight(2 - share)},
               .count = TAPS};
    for (int k = 0; k < TAPS; k++) {
        const double cell = low - 1 + k, last = (double)(n - 1);
        out.cell[k] = (size_t)(cell < 0 ? 0 : cell > last ? last : cell);
    }
    return out;
}

static mix mix_of(tub_start_positions how, int axis, size_t i, size_t n, size_t m) {
    if (n == m || (how == TUB_START_TILE && axis == 0)) {
        return repeated(i, n);
    }
    return how == TUB_START_BICUBIC ? cubic(i, n, m) : linear(i, n, m);
}

/* Axis of length n, with `before` lines before it and rows of `after` values behind it, to length m. */
static void resize_axis(tub_start_positions how, int axis, size_t before, size_t n, size_t m,
                        size_t after, const double *from, double *out) {
    for (size_t b = 0; b < before; b++, from += n * after) {
        for (size_t i = 0; i < m; i++) {
            const mix x = mix_of(how, axis, i, n, m);
            for (size_t j = 0; j < after; j++) {
                double sum = x.weight[0] * from[x.cell[0] * after + j];
                for (int k = 1; k < x.count; k++) {
                    sum += x.weight[k] * from[x.cell[k] * after + j];
                }
                *out++ = sum;
            }
        }
    }
}

/* Cells of the longest table on the way. */
static size_t longest(const tub__grid *there, const tub__grid *here) {
    tub__grid g = *there;
    size_t most = tub__grid_cells(&g);
    for (int axis = 0; axis < 3; axis++) {
        g.size[axis] = here->size[axis];
        const size_t cells = tub__grid_cells(&g);
        most = cells > most ? cells : most;
    }
    return most;
}

tub_status tub__grid_resize(const tub_allocator *a, tub_start_positions how, const tub__grid *there,
                            const float *from, const tub__grid *here, float *out, size_t width,
                            tub_error *err) {
    const size_t n = tub__grid_cells(there) * width, m = tub__grid_cells(here) * width;
    const size_t most = longest(there, here) * width;
    double *buffer[2];
    TUB__TRY(tub__alloc_array(a, most, 2 * sizeof **buffer, (void **)&buffer[0], err));
    buffer[1] = buffer[0] + most;
    for (size_t i = 0; i < n; i++) {
        buffer[0][i] = (double)from[i];
    }
    size_t before = 1, after = n;
    for (int axis = 0; axis < 3; axis++) {
        after /= there->size[axis];
        resize_axis(how, axis, before, there->size[axis], here->size[axis], after, buffer[axis % 2],
                    buffer[(axis + 1) % 2]);
        before *= here->size[axis];
    }
    for (size_t i = 0; i < m; i++) {
        out[i] = (float)buffer[1][i];
    }
    tub__free(a, buffer[0]);
    return TUB_OK;
}
