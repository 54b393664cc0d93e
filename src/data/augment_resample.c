/* SPDX-License-Identifier: Apache-2.0 */
/* Cutting a clip out of a sample along an affine map, in one pass.
 *
 * The sample lies as floats in the work space with zeros around it, one before and two behind along each
 * axis:
 *
 *      place   -1   0   1  ..  n-1   n   n+1
 *               0   v   v  ..   v    0    0
 *
 * A place beyond it is first brought to where the border says: into [-1, n] where zeros are asked for, else
 * into [0, n-1]. So the voxels on either side of any place are there, and no map can read anything else. */
#include "data/augment_resample.h"

#include "base/wide.h"
#include "data/dataset.h"
#include <math.h>
#include <string.h>

enum { T, H, W, ONE };

enum { BEFORE = 1, AROUND = 3 };

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

TUB__LOOP bytes_to_floats_loop(const unsigned char *from, size_t n, float *out) {
    for (size_t i = 0; i < n; i++) {
        out[i] = (float)from[i] / 255.0f;
    }
}
TUB__WIDE(bytes_to_floats, (const unsigned char *from, size_t n, float *out), (from, n, out))

void tub__to_floats(tub_dtype dtype, const void *from, size_t n, float *out) {
    if (dtype == TUB_F32) {
        memcpy(out, from, n * sizeof *out);
    } else {
        bytes_to_floats(from, n, out);
    }
}

/* ---- the sample with zeros around it ---- */

/* Sizes in the work space. Without volume it holds a frame at a time. */
typedef struct space {
    float *voxels; /* of place 0, 0, 0 */
    size_t room[TUB__AXES];
    size_t floats;
    int32_t stride[TUB__AXES];
} space;

static space space_of(const tub__augment_sizes *z, bool volume, float *work) {
    space s = {.floats = z->channels};
    for (int i = W; i >= T; i--) {
        const bool around = volume || i != T;
        s.stride[i] = (int32_t)s.floats;
        s.room[i] = around ? z->sample[i] + AROUND : 1;
        s.floats *= s.room[i];
    }
    s.voxels = work;
    for (int i = volume ? T : H; i < TUB__AXES && work != NULL; i++) {
        s.voxels += BEFORE * s.stride[i];
    }
    return s;
}

static void clear_space(const space *s, float *work) {
    for (size_t i = 0; i < s->floats; i++) {
        work[i] = 0;
    }
}

/* One frame into place t. */
static void put_frame(const space *s, const tub__augment_sizes *z, size_t t, tub_dtype dtype,
                      const void *frame) {
    const size_t row = z->sample[W] * z->channels, bytes = row * tub__dtype_bytes(dtype);
    const unsigned char *from = frame;
    for (size_t h = 0; h < z->sample[H]; h++, from += bytes) {
        tub__to_floats(dtype, from, row,
                       s->voxels + t * (size_t)s->stride[T] + h * (size_t)s->stride[H]);
    }
}

/* ---- places ---- */

/* Brings places on an axis of n voxels to where there are voxels. */
typedef struct fold {
    float low, high;
    float period; /* of the mirror images; 0: none */
} fold;

static fold fold_of(size_t n, tub_border border) {
    fold f = {.low = 0, .high = (float)n - 1};
    if (border == TUB_BORDER_CONSTANT) {
        f.low = -1;
        f.high = (float)n;
    } else if (border == TUB_BORDER_REFLECT) {
        f.period = 2 * ((float)n - 1);
    }
    return f;
}

/* Voxels that are worked on together. Those past a row's end are places like others, and are kept
 * nowhere. */
enum { GROUP = 4 };
typedef float vec __attribute__((vector_size(16)));
typedef int32_t whole __attribute__((vector_size(16)));
typedef float twin __attribute__((vector_size(8)));

/* Compilers that can put two halves together without going through memory. */
#ifdef __has_builtin
#if __has_builtin(__builtin_shufflevector)
#define HAS_TWINS 1
#endif
#endif

#define INLINE static inline __attribute__((always_inline))

INLINE vec all_of(float x) {
    return (vec){x, x, x, x};
}

INLINE vec choose(whole mask, vec yes, vec no) {
    return (vec)((mask & (whole)yes) | (~mask & (whole)no));
}

INLINE vec mixed(vec a, vec b, vec share) {
    return a + share * (b - a);
}

/* Where a row of the clip comes from: its first voxel, and the step to the next one. */
typedef struct line {
    float first[TUB__AXES], step[TUB__AXES];
} line;

/* A mirror image's place; far places are as good as these, which an int holds. */
INLINE vec mirrored(fold f, vec x) {
    const vec period = all_of(f.period), y = choose(x < all_of(0), -x, x), turns = y / period,
              some = choose(turns < all_of(1e6f), turns, all_of(1e6f)),
              rest =
                  y - period * __builtin_convertvector(__builtin_convertvector(some, whole), vec);
    return choose(rest > all_of(f.high), period - rest, rest);
}

/* Places first, first + 1, .. on one axis: whole ones, and how far it is from there. From 1 on a place is
 * cut off to its whole number as it is rounded down. */
INLINE whole find_places(const line *l, int axis, fold f, size_t first, vec *behind) {
    const whole index = (whole){0, 1, 2, 3} + (int32_t)first;
    vec x = all_of(l->first[axis]) + __builtin_convertvector(index, vec) * all_of(l->step[axis]);
    if (f.period > 0) {
        x = mirrored(f, x);
    }
    x = choose(x > all_of(f.low), x, all_of(f.low));
    x = choose(x < all_of(f.high), x, all_of(f.high));
    const whole place = __builtin_convertvector(x + all_of(1), whole) - 1;
    *behind = x - __builtin_convertvector(place, vec);
    return place;
}

/* The voxels at the places and one behind along the width, mixed. Of one channel they lie beside each
 * other. */
INLINE vec along_width(const float *from, whole at, int32_t channels, vec behind) {
#ifdef HAS_TWINS
    if (channels == 1) {
        twin p[GROUP];
        for (int i = 0; i < GROUP; i++) {
            memcpy(&p[i], from + at[i], sizeof p[i]);
        }
        const vec x = __builtin_shufflevector(p[0], p[1], 0, 1, 2, 3),
                  y = __builtin_shufflevector(p[2], p[3], 0, 1, 2, 3);
        return mixed(__builtin_shufflevector(x, y, 0, 2, 4, 6),
                     __builtin_shufflevector(x, y, 1, 3, 5, 7), behind);
    }
#endif
    const whole next = at + channels;
    return mixed((vec){from[at[0]], from[at[1]], from[at[2]], from[at[3]]},
                 (vec){from[next[0]], from[next[1]], from[next[2]], from[next[3]]}, behind);
}

INLINE void keep(vec made, size_t n, size_t channels, float *out) {
    if (channels == 1 && n >= GROUP) {
        memcpy(out, &made, sizeof made);
        return;
    }
    for (size_t i = 0; i < GROUP && i < n; i++) {
        out[i * channels] = made[i];
    }
}

static line line_of(const tub__augment_plan *plan, size_t t, size_t h) {
    line l;
    for (int i = 0; i < TUB__AXES; i++) {
        const double *m = plan->map[i];
        l.first[i] = (float)(m[T] * (double)t + m[H] * (double)h + m[ONE]);
        l.step[i] = (float)m[W];
    }
    return l;
}

/* ---- planes: one map for all frames ---- */

/* For each place of the clip's plane the first of the four voxels around it, and how far it lies behind. */
typedef struct places {
    int32_t *at;
    float *behind[TUB__AXES];
} places;

enum { PLACE_ARRAYS = 3 };

/* Each row of the clip takes whole groups. */
static size_t row_places(const tub__augment_sizes *z) {
    return tub__round_up(z->clip[W], GROUP);
}

static size_t plane_floats(const tub__augment_sizes *z) {
    return z->clip[H] * row_places(z);
}

TUB__LOOP find_row_loop(const line *l, const fold *f, const space *s, size_t columns, int32_t *at,
                        float *behind_h, float *behind_w) {
    for (size_t first = 0; first < columns; first += GROUP) {
        vec h, w;
        const whole place = find_places(l, H, f[H], first, &h) * s->stride[H] +
                            find_places(l, W, f[W], first, &w) * s->stride[W];
        memcpy(at + first, &place, sizeof place);
        memcpy(behind_h + first, &h, sizeof h);
        memcpy(behind_w + first, &w, sizeof w);
    }
}
TUB__WIDE(find_row,
          (const line *l, const fold *f, const space *s, size_t columns, int32_t *at,
           float *behind_h, float *behind_w),
          (l, f, s, columns, at, behind_h, behind_w))

INLINE void fill_plane_some(const int32_t *at, const float *h, const float *w, size_t columns,
                            size_t channels, const space *s, float *out) {
    const int32_t step = (int32_t)channels;
    for (size_t first = 0; first < columns; first += GROUP, out += GROUP * channels) {
        whole place;
        vec behind_h, behind_w;
        memcpy(&place, at + first, sizeof place);
        memcpy(&behind_h, h + first, sizeof behind_h);
        memcpy(&behind_w, w + first, sizeof behind_w);
        for (size_t c = 0; c < channels; c++) {
            const float *from = s->voxels + c;
            const vec above = along_width(from, place, step, behind_w),
                      below = along_width(from + s->stride[H], place, step, behind_w);
            keep(mixed(above, below, behind_h), columns - first, channels, out + c);
        }
    }
}

/* A place with its channels at once: three here. Beyond the last voxel there is more of the work space. */
INLINE void fill_plane_colours(const int32_t *at, const float *h, const float *w, size_t columns,
                               size_t channels, const space *s, float *out) {
    for (size_t i = 0; i < columns; i++, out += channels) {
        const float *from = s->voxels + at[i], *below = from + s->stride[H];
        vec v[4];
        memcpy(&v[0], from, sizeof v[0]);
        memcpy(&v[1], from + channels, sizeof v[1]);
        memcpy(&v[2], below, sizeof v[2]);
        memcpy(&v[3], below + channels, sizeof v[3]);
        const vec made =
            mixed(mixed(v[0], v[1], all_of(w[i])), mixed(v[2], v[3], all_of(w[i])), all_of(h[i]));
        if (i + 2 < columns) { /* the next voxels go over what is too much */
            memcpy(out, &made, sizeof made);
        } else {
            for (size_t c = 0; c < channels; c++) {
                out[c] = made[c];
            }
        }
    }
}

/* Once for each number of channels that is known then. */
TUB__LOOP fill_plane_row_loop(const int32_t *at, const float *h, const float *w, size_t columns,
                              size_t channels, const space *s, float *out) {
    if (channels == 1) {
        fill_plane_some(at, h, w, columns, 1, s, out);
    } else if (channels == 3) {
        fill_plane_colours(at, h, w, columns, 3, s, out);
    } else {
        fill_plane_some(at, h, w, columns, channels, s, out);
    }
}
TUB__WIDE(fill_plane_row,
          (const int32_t *at, const float *h, const float *w, size_t columns, size_t channels,
           const space *s, float *out),
          (at, h, w, columns, channels, s, out))

static void resample_planes(const tub__augment_plan *plan, const tub__augment_sizes *z,
                            const fold *f, tub_dtype dtype, const void *sample, float *work,
                            float *out) {
    const space s = space_of(z, false, work);
    const size_t plane = z->sample[H] * z->sample[W] * z->channels * tub__dtype_bytes(dtype),
                 row = row_places(z), length = plane_floats(z);
    float *arrays = work + tub__round_up(s.floats, 16);
    places p = {(int32_t *)(void *)arrays, {NULL, arrays + length, arrays + 2 * length}};
    for (size_t h = 0; h < z->clip[H]; h++) {
        const line l = line_of(plan, 0, h);
        find_row(&l, f, &s, z->clip[W], p.at + h * row, p.behind[H] + h * row,
                 p.behind[W] + h * row);
    }
    clear_space(&s, work);
    size_t held = SIZE_MAX; /* the frame that lies in the work space */
    for (size_t t = 0; t < z->clip[T]; t++) {
        const size_t frame = frame_of(plan, z, t);
        if (frame != held) {
            put_frame(&s, z, 0, dtype, (const unsigned char *)sample + frame * plane);
            held = frame;
        }
        for (size_t h = 0; h < z->clip[H]; h++, out += z->clip[W] * z->channels) {
            fill_plane_row(p.at + h * row, p.behind[H] + h * row, p.behind[W] + h * row, z->clip[W],
                           z->channels, &s, out);
        }
    }
}

/* ---- volumes ---- */

INLINE void fill_some(const line *l, const fold *f, const space *s, size_t columns, size_t channels,
                      float *out) {
    const int32_t step = (int32_t)channels, step_t = s->stride[T], step_h = s->stride[H];
    const line from_line = *l;
    const fold ft = f[T], fh = f[H], fw = f[W];
    for (size_t first = 0; first < columns; first += GROUP, out += GROUP * channels) {
        vec t, h, w;
        const whole place = find_places(&from_line, T, ft, first, &t) * step_t +
                            find_places(&from_line, H, fh, first, &h) * step_h +
                            find_places(&from_line, W, fw, first, &w) * step;
        for (size_t c = 0; c < channels; c++) {
            const float *from = s->voxels + c, *behind = from + step_t;
            const vec near = mixed(along_width(from, place, step, w),
                                   along_width(from + step_h, place, step, w), h),
                      far = mixed(along_width(behind, place, step, w),
                                  along_width(behind + step_h, place, step, w), h);
            keep(mixed(near, far, t), columns - first, channels, out + c);
        }
    }
}

TUB__LOOP fill_row_loop(const line *l, const fold *f, const space *s, size_t columns,
                        size_t channels, float *out) {
    if (channels == 1) {
        fill_some(l, f, s, columns, 1, out);
    } else {
        fill_some(l, f, s, columns, channels, out);
    }
}
TUB__WIDE(fill_row,
          (const line *l, const fold *f, const space *s, size_t columns, size_t channels,
           float *out),
          (l, f, s, columns, channels, out))

static void resample_volume(const tub__augment_plan *plan, const tub__augment_sizes *z,
                            const fold *f, tub_dtype dtype, const void *sample, float *work,
                            float *out) {
    const space s = space_of(z, true, work);
    const size_t plane = z->sample[H] * z->sample[W] * z->channels * tub__dtype_bytes(dtype);
    clear_space(&s, work);
    for (size_t t = 0; t < z->sample[T]; t++) {
        put_frame(&s, z, t, dtype, (const unsigned char *)sample + t * plane);
    }
    for (size_t t = 0; t < z->clip[T]; t++) {
        for (size_t h = 0; h < z->clip[H]; h++, out += z->clip[W] * z->channels) {
            const line l = line_of(plan, t, h);
            fill_row(&l, f, &s, z->clip[W], z->channels, out);
        }
    }
}

/* ---- either ---- */

size_t tub__resample_room(const tub__augment_sizes *z, bool volume) {
    const size_t floats = tub__round_up(space_of(z, volume, NULL).floats, 16);
    return floats + (volume ? 0 : PLACE_ARRAYS * plane_floats(z));
}

bool tub__resample_fits(const tub__augment_sizes *z) {
    size_t floats = z->channels;
    bool fits = floats <= INT32_MAX;
    for (int i = 0; i < TUB__AXES; i++) {
        fits = fits && tub__mul(floats, z->sample[i] + AROUND, &floats) && floats <= INT32_MAX;
    }
    return fits;
}

void tub__resample(const tub__augment_plan *plan, const tub__augment_sizes *sizes, bool volume,
                   tub_border border, tub_dtype dtype, const void *sample, float *work,
                   float *out) {
    fold f[TUB__AXES];
    for (int i = 0; i < TUB__AXES; i++) {
        f[i] = fold_of(sizes->sample[i], border);
    }
    (volume ? resample_volume : resample_planes)(plan, sizes, f, dtype, sample, work, out);
}
