/* SPDX-License-Identifier: Apache-2.0 */
/* Cutting a clip out of a sample along an affine map, in one pass.
 *
 * The sample's voxels lie as floats in the work space, and behind them one more of zeros: what a constant
 * border has. Every index is brought into the sample or to that one before it is used, so no map can read
 * anything else. */
#include "data/augment_resample.h"

#include <math.h>
#include <string.h>

enum { T, H, W, ONE };

/* More than any sample has, and a whole number in float and int. */
#define FARTHEST 1e9

static double within(double x) {
    return x < -FARTHEST ? -FARTHEST : x > FARTHEST ? FARTHEST : x;
}

/* Index of voxel i of n, or -1: none. */
static ptrdiff_t place_of(ptrdiff_t i, ptrdiff_t n, tub_border border) {
    if (i >= 0 && i < n) {
        return i;
    }
    if (border == TUB_BORDER_CONSTANT) {
        return -1;
    }
    if (border == TUB_BORDER_EDGE || n == 1) {
        return i < 0 ? 0 : n - 1;
    }
    const ptrdiff_t period = 2 * (n - 1), r = i % period, at = r < 0 ? r + period : r;
    return at < n ? at : period - at;
}

/* The frame of the sample that frame i of a clip is. */
static size_t frame_of(const tub__augment_plan *plan, const tub__augment_sizes *z, size_t i) {
    const double at =
        plan->begin + (plan->reversed ? (double)(z->clip[T] - 1 - i) : (double)i) * plan->speed;
    const double frame = floor(at + 0.5), last = (double)z->sample[T] - 1;
    return (size_t)(frame < 0 ? 0 : frame < last ? frame : last);
}

/* ---- as they are ---- */

static bool is_whole(double x) {
    return floor(x) == x;
}

bool tub__resample_copies(const tub__augment_plan *plan, const tub__augment_sizes *z, bool volume) {
    for (int i = volume ? T : H; i < TUB__AXES; i++) {
        const double *m = plan->map[i];
        for (int j = T; j < TUB__AXES; j++) {
            const bool right = i == j ? m[j] == 1 || (m[j] == -1 && i != W) : m[j] == 0;
            if (!right) {
                return false;
            }
        }
        const double first = m[ONE], last = first + m[i] * ((double)z->clip[i] - 1),
                     n = (double)z->sample[i];
        if (!is_whole(first) || first < 0 || last < 0 || first >= n || last >= n) {
            return false;
        }
    }
    return true;
}

void tub__resample_copy(const tub__augment_plan *plan, const tub__augment_sizes *z, bool volume,
                        size_t element, const void *sample, void *out) {
    const size_t voxel = z->channels * element, row = z->clip[W] * voxel;
    const ptrdiff_t first = (ptrdiff_t)plan->map[H][ONE], step = (ptrdiff_t)plan->map[H][H];
    unsigned char *to = out;
    for (size_t t = 0; t < z->clip[T]; t++) {
        const size_t frame = volume ? (size_t)(plan->map[T][T] * (double)t + plan->map[T][ONE])
                                    : frame_of(plan, z, t);
        const unsigned char *from = (const unsigned char *)sample +
                                    frame * z->sample[H] * z->sample[W] * voxel +
                                    (size_t)plan->map[W][ONE] * voxel;
        for (size_t h = 0; h < z->clip[H]; h++, to += row) {
            memcpy(to, from + (size_t)(first + (ptrdiff_t)h * step) * z->sample[W] * voxel, row);
        }
    }
}

/* ---- floats ---- */

void tub__to_floats(tub_dtype dtype, const void *from, size_t n, float *out) {
    if (dtype == TUB_F32) {
        memcpy(out, from, n * sizeof *out);
        return;
    }
    const unsigned char *bytes = from;
    for (size_t i = 0; i < n; i++) {
        out[i] = (float)bytes[i] / 255.0f;
    }
}

static void put_zeros(float *at, size_t channels) {
    for (size_t c = 0; c < channels; c++) {
        at[c] = 0;
    }
}

static inline float mixed(float a, float b, float share) {
    return a + share * (b - a);
}

/* ---- planes: one map for all frames ---- */

/* The four voxels around a place, and how far it lies behind the first. */
typedef struct corner {
    uint32_t at[4];
    float h, w;
} corner;

/* What goes before the corners in the work space is a frame. */
static size_t frame_floats(const tub__augment_sizes *z) {
    return tub__round_up((z->sample[H] * z->sample[W] + 1) * z->channels, 16);
}

static void find_corners(const tub__augment_plan *plan, const tub__augment_sizes *z,
                         tub_border border, corner *out) {
    const ptrdiff_t rows = (ptrdiff_t)z->sample[H], columns = (ptrdiff_t)z->sample[W],
                    none = rows * columns, channels = (ptrdiff_t)z->channels;
    for (size_t h = 0; h < z->clip[H]; h++) {
        for (size_t w = 0; w < z->clip[W]; w++, out++) {
            const double *mh = plan->map[H], *mw = plan->map[W];
            const double y = within(mh[H] * (double)h + mh[W] * (double)w + mh[ONE]),
                         x = within(mw[H] * (double)h + mw[W] * (double)w + mw[ONE]);
            const double y0 = floor(y), x0 = floor(x);
            for (int k = 0; k < 4; k++) {
                const ptrdiff_t i = place_of((ptrdiff_t)y0 + k / 2, rows, border),
                                j = place_of((ptrdiff_t)x0 + k % 2, columns, border);
                out->at[k] = (uint32_t)((i < 0 || j < 0 ? none : i * columns + j) * channels);
            }
            out->h = (float)(y - y0);
            out->w = (float)(x - x0);
        }
    }
}

static void fill_plane(const corner *corners, size_t places, size_t channels, const float *from,
                       float *out) {
    for (size_t i = 0; i < places; i++) {
        const corner *k = &corners[i];
        for (size_t c = 0; c < channels; c++) {
            const float above = mixed(from[k->at[0] + c], from[k->at[1] + c], k->w),
                        below = mixed(from[k->at[2] + c], from[k->at[3] + c], k->w);
            *out++ = mixed(above, below, k->h);
        }
    }
}

static void resample_planes(const tub__augment_plan *plan, const tub__augment_sizes *z,
                            tub_border border, tub_dtype dtype, const void *sample, float *work,
                            float *out) {
    const size_t plane = z->sample[H] * z->sample[W] * z->channels,
                 places = z->clip[H] * z->clip[W];
    corner *corners = (corner *)(void *)(work + frame_floats(z));
    size_t held = SIZE_MAX; /* the frame that lies in the work space */
    put_zeros(work + plane, z->channels);
    find_corners(plan, z, border, corners);
    for (size_t t = 0; t < z->clip[T]; t++, out += places * z->channels) {
        const size_t frame = frame_of(plan, z, t);
        if (frame != held) {
            const size_t bytes = plane * (dtype == TUB_F32 ? sizeof(float) : 1);
            tub__to_floats(dtype, (const unsigned char *)sample + frame * bytes, plane, work);
            held = frame;
        }
        fill_plane(corners, places, z->channels, work, out);
    }
}

/* ---- volumes ---- */

/* A row of the clip: where its first voxel comes from, and the step to the next one. */
typedef struct line {
    float first[TUB__AXES], step[TUB__AXES];
} line;

typedef struct space {
    const float *voxels;
    ptrdiff_t size[TUB__AXES];
    ptrdiff_t stride[TUB__AXES]; /* floats */
    ptrdiff_t none;              /* index of the zeros */
    size_t channels;
    tub_border border;
} space;

static inline float place_on(const line *l, int axis, size_t w) {
    return l->first[axis] + (float)w * l->step[axis];
}

/* All eight voxels around the place are in the sample. */
static bool is_inside(const space *s, const line *l, size_t w) {
    bool inside = true;
    for (int i = 0; i < TUB__AXES; i++) {
        const float x = place_on(l, i, w);
        inside = inside && x >= 0 && x < (float)(s->size[i] - 1);
    }
    return inside;
}

/* One voxel with all that a border asks for. */
static void fill_any(const space *s, const line *l, size_t w, float *out) {
    ptrdiff_t at[TUB__AXES][2];
    float behind[TUB__AXES];
    for (int i = 0; i < TUB__AXES; i++) {
        const double x = within((double)place_on(l, i, w)), first = floor(x);
        behind[i] = (float)(x - first);
        for (int k = 0; k < 2; k++) {
            const ptrdiff_t p = place_of((ptrdiff_t)first + k, s->size[i], s->border);
            at[i][k] = p < 0 ? -1 : p * s->stride[i];
        }
    }
    for (size_t c = 0; c < s->channels; c++) {
        float v[8];
        for (int k = 0; k < 8; k++) {
            const ptrdiff_t t = at[T][k >> 2], h = at[H][k >> 1 & 1], x = at[W][k & 1];
            v[k] = s->voxels[(t < 0 || h < 0 || x < 0 ? s->none : t + h + x) + (ptrdiff_t)c];
        }
        const float near = mixed(mixed(v[0], v[1], behind[W]), mixed(v[2], v[3], behind[W]),
                                 behind[H]),
                    far = mixed(mixed(v[4], v[5], behind[W]), mixed(v[6], v[7], behind[W]),
                                behind[H]);
        out[c] = mixed(near, far, behind[T]);
    }
}

/* Voxels in a row that are worked on together: places, then the eight around them, then the mean, each a
 * loop over all. */
enum { GROUP = 32 };

static void fill_inside(const space *s, const line *l, size_t begin, size_t end, float *out) {
    int32_t at[GROUP];
    float behind[TUB__AXES][GROUP], v[8][GROUP];
    const int32_t stride_t = (int32_t)s->stride[T], stride_h = (int32_t)s->stride[H],
                  stride_w = (int32_t)s->stride[W];
    for (size_t first = begin; first < end; first += GROUP) {
        const size_t n = tub__min(GROUP, end - first);
        for (size_t i = 0; i < n; i++) {
            const float x = (float)(int32_t)(first + i), t = l->first[T] + x * l->step[T],
                        h = l->first[H] + x * l->step[H], w = l->first[W] + x * l->step[W];
            const int32_t t0 = (int32_t)t, h0 = (int32_t)h, w0 = (int32_t)w;
            behind[T][i] = t - (float)t0;
            behind[H][i] = h - (float)h0;
            behind[W][i] = w - (float)w0;
            at[i] = t0 * stride_t + h0 * stride_h + w0 * stride_w;
        }
        for (size_t c = 0; c < s->channels; c++) {
            for (size_t i = 0; i < n; i++) {
                const float *p = s->voxels + at[i] + c;
                v[0][i] = p[0];
                v[1][i] = p[stride_w];
                v[2][i] = p[stride_h];
                v[3][i] = p[stride_h + stride_w];
                p += stride_t;
                v[4][i] = p[0];
                v[5][i] = p[stride_w];
                v[6][i] = p[stride_h];
                v[7][i] = p[stride_h + stride_w];
            }
            float *to = out + (first - begin) * s->channels + c;
            for (size_t i = 0; i < n; i++) {
                const float near = mixed(mixed(v[0][i], v[1][i], behind[W][i]),
                                         mixed(v[2][i], v[3][i], behind[W][i]), behind[H][i]),
                            far = mixed(mixed(v[4][i], v[5][i], behind[W][i]),
                                        mixed(v[6][i], v[7][i], behind[W][i]), behind[H][i]);
                to[i * s->channels] = mixed(near, far, behind[T][i]);
            }
        }
    }
}

/* Places move evenly along a row: those inside are one stretch of it, and between two that are inside
 * there is none outside, rounding included (products and sums grow with w). */
static void fill_row(const space *s, const line *l, size_t columns, float *out) {
    size_t begin = 0, end = columns;
    while (begin < end && !is_inside(s, l, begin)) {
        fill_any(s, l, begin, out + begin * s->channels);
        begin++;
    }
    while (end > begin && !is_inside(s, l, end - 1)) {
        end--;
        fill_any(s, l, end, out + end * s->channels);
    }
    fill_inside(s, l, begin, end, out + begin * s->channels);
}

static void resample_volume(const tub__augment_plan *plan, const tub__augment_sizes *z,
                            tub_border border, tub_dtype dtype, const void *sample, float *work,
                            float *out) {
    const size_t all = z->sample[T] * z->sample[H] * z->sample[W] * z->channels;
    space s = {.voxels = work, .none = (ptrdiff_t)all, .channels = z->channels, .border = border};
    tub__to_floats(dtype, sample, all, work);
    put_zeros(work + all, z->channels);
    s.stride[W] = (ptrdiff_t)z->channels;
    s.stride[H] = (ptrdiff_t)(z->sample[W] * z->channels);
    s.stride[T] = (ptrdiff_t)(z->sample[H] * z->sample[W] * z->channels);
    for (int i = 0; i < TUB__AXES; i++) {
        s.size[i] = (ptrdiff_t)z->sample[i];
    }
    for (size_t t = 0; t < z->clip[T]; t++) {
        for (size_t h = 0; h < z->clip[H]; h++, out += z->clip[W] * z->channels) {
            line l;
            for (int i = 0; i < TUB__AXES; i++) {
                const double *m = plan->map[i];
                l.first[i] = (float)within(m[T] * (double)t + m[H] * (double)h + m[ONE]);
                l.step[i] = (float)m[W];
            }
            fill_row(&s, &l, z->clip[W], out);
        }
    }
}

/* ---- either ---- */

size_t tub__resample_room(const tub__augment_sizes *z, bool volume) {
    const size_t all = z->sample[T] * z->sample[H] * z->sample[W] * z->channels + z->channels;
    return volume ? tub__round_up(all, 16)
                  : frame_floats(z) + tub__round_up(z->clip[H] * z->clip[W] * sizeof(corner),
                                                    16 * sizeof(float)) /
                                          sizeof(float);
}

void tub__resample(const tub__augment_plan *plan, const tub__augment_sizes *sizes, bool volume,
                   tub_border border, tub_dtype dtype, const void *sample, float *work,
                   float *out) {
    if (volume) {
        resample_volume(plan, sizes, border, dtype, sample, work, out);
    } else {
        resample_planes(plan, sizes, border, dtype, sample, work, out);
    }
}
