/* SPDX-License-Identifier: Apache-2.0 */
/* Drawing the transform of one clip. Every lane's draws are made in one fixed order, whatever is
 * switched on (the table in docs/augmentation.md). */
#include "data/augment_plan.h"

#include "base/scalar.h"
#include <math.h>
#include <string.h>

enum { T, H, W };

static const double TURN = 0x1.921fb54442d18p+2; /* 2 pi */

tub__random tub__augment_stream(tub__key key, tub__augment_key place, uint32_t lane) {
    return tub__random_start(key, place.position, lane, place.epoch);
}

static double between(tub__random *r, double low, double high) {
    return low + (high - low) * tub__random_double(r);
}

/* 0, 1 … count - 1. */
static double whole_below(tub__random *r, double count) {
    const double i = floor(tub__random_double(r) * count);
    return i < count - 1 ? i : count - 1;
}

/* ---- where voxels come from ----
 *
 * An operation on the picture is known by its inverse, which says where a voxel of its result comes from.
 * Operations in the order 1, 2, .. give map = inverse1 inverse2 ..; a new one goes to the right. */

typedef double matrix[TUB__AXES][TUB__AXES];

typedef struct affine {
    matrix a; /* of distances from the clip's middle */
    double b[TUB__AXES];
} affine;

static void follow(affine *f, matrix by) {
    matrix product;
    for (int i = 0; i < TUB__AXES; i++) {
        for (int j = 0; j < TUB__AXES; j++) {
            product[i][j] = f->a[i][T] * by[T][j] + f->a[i][H] * by[H][j] + f->a[i][W] * by[W][j];
        }
    }
    memcpy(f->a, product, sizeof product);
}

/* The picture moves by `by` voxels of the clip. */
static void move(affine *f, const double by[TUB__AXES]) {
    for (int i = 0; i < TUB__AXES; i++) {
        f->b[i] -= f->a[i][T] * by[T] + f->a[i][H] * by[H] + f->a[i][W] * by[W];
    }
}

static void turn(affine *f, int from, int to, double degrees) {
    const double angle = degrees / 360 * TURN, c = tub__cos(angle), s = tub__sin(angle);
    matrix by = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
    by[from][from] = c;
    by[from][to] = -s;
    by[to][from] = s;
    by[to][to] = c;
    follow(f, by);
}

static void grow(affine *f, double factor, bool volume) {
    matrix by = {{volume ? 1 / factor : 1, 0, 0}, {0, 1 / factor, 0}, {0, 0, 1 / factor}};
    follow(f, by);
}

/* ---- the sample's part that a clip shows ---- */

static void draw_time(const tub_augment_config *c, const tub__augment_sizes *z, tub__random r,
                      tub__augment_plan *p) {
    const double last = (double)z->sample[T] - 1, steps = (double)z->clip[T] - 1;
    const double place = tub__random_double(&r);
    p->speed = between(&r, c->speed[0], c->speed[1]);
    if (p->speed * steps > last) {
        p->speed = last / steps; /* as fast as the frames go */
    }
    const double room = floor(last - p->speed * steps);
    const double random = floor(place * (room + 1));
    p->begin = !c->temporal_jitter ? floor(room / 2) : random < room ? random : room;
}

/* Begin and size along each axis of what the clip shows, whole voxels. */
typedef struct part {
    double begin[TUB__AXES], size[TUB__AXES];
} part;

static double clamp_side(double side, double most) {
    const double whole = floor(side + 0.5);
    return whole < 1 ? 1 : whole > most ? most : whole;
}

static part draw_crop(const tub_augment_config *c, const tub__augment_sizes *z, tub__random r) {
    part p;
    const double share = between(&r, c->crop_scale[0], c->crop_scale[1]);
    const double aspect =
        tub__exp(between(&r, tub__log(c->crop_aspect[0]), tub__log(c->crop_aspect[1])));
    for (int i = 0; i < TUB__AXES; i++) {
        p.size[i] = (double)z->clip[i];
    }
    if (c->crop == TUB_CROP_RESIZED) {
        const double side = sqrt(share), shape = sqrt(aspect);
        p.size[H] = clamp_side(side / shape * (double)z->sample[H], (double)z->sample[H]);
        p.size[W] = clamp_side(side * shape * (double)z->sample[W], (double)z->sample[W]);
        p.size[T] =
            !c->volume ? p.size[T] : clamp_side(side * (double)z->sample[T], (double)z->sample[T]);
    }
    static const int order[TUB__AXES] = {H, W, T};
    for (int k = 0; k < TUB__AXES; k++) {
        const int i = order[k];
        const double room = (double)z->sample[i] - p.size[i];
        const double random = whole_below(&r, room + 1);
        p.begin[i] = c->crop == TUB_CROP_CENTRE ? floor(room / 2) : random;
    }
    return p;
}

/* ---- RandAugment: each operation draws which it is, its sign, then what it needs ---- */

typedef enum rand_op {
    RAND_IDENTITY,
    RAND_ROTATE,
    RAND_SHIFT_H,
    RAND_SHIFT_W,
    RAND_SCALE,
    RAND_SHEAR_H,
    RAND_SHEAR_W,
    RAND_BLUR,
    RAND_INTENSITY,
    RAND_BRIGHTNESS,
    RAND_CONTRAST,
    RAND_GAMMA,
    RAND_NOISE,
    RAND_CUTOUT,
    RAND_OPS
} rand_op;

static tub__value_step *add_step(tub__augment_plan *p, tub__value_kind kind, double amount) {
    tub__value_step *s = &p->step[p->steps++];
    *s = (tub__value_step){.kind = kind, .amount = amount};
    return s;
}

static void rand_geometry(rand_op op, double m, const tub__augment_sizes *z, bool volume,
                          affine *f) {
    const double shift_h[TUB__AXES] = {0, 0.3 * m * (double)z->clip[H], 0},
                 shift_w[TUB__AXES] = {0, 0, 0.3 * m * (double)z->clip[W]};
    matrix shear = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
    switch (op) {
    case RAND_ROTATE:
        turn(f, H, W, 30 * m);
        break;
    case RAND_SHIFT_H:
        move(f, shift_h);
        break;
    case RAND_SHIFT_W:
        move(f, shift_w);
        break;
    case RAND_SCALE:
        grow(f, 1 + 0.3 * m, volume);
        break;
    case RAND_SHEAR_H:
        shear[H][W] = -0.3 * m;
        follow(f, shear);
        break;
    case RAND_SHEAR_W:
        shear[W][H] = -0.3 * m;
        follow(f, shear);
        break;
    default:
        break;
    }
}

/* m: signed; size: without its sign. */
static void rand_values(rand_op op, double m, tub__random *r, uint32_t number, bool volume,
                        const tub__augment_sizes *z, tub__augment_plan *p) {
    const double size = m < 0 ? -m : m;
    switch (op) {
    case RAND_BLUR:
        add_step(p, TUB__VALUE_BLUR, 1.5 * size);
        break;
    case RAND_INTENSITY:
        add_step(p, TUB__VALUE_MULTIPLY, 1 + 0.6 * m);
        break;
    case RAND_BRIGHTNESS:
        add_step(p, TUB__VALUE_ADD, 0.3 * m);
        break;
    case RAND_CONTRAST:
        add_step(p, TUB__VALUE_CONTRAST, 1 + 0.9 * m);
        break;
    case RAND_GAMMA:
        add_step(p, TUB__VALUE_GAMMA, tub__pow(2, m));
        break;
    case RAND_NOISE:
        add_step(p, TUB__VALUE_NOISE, 0.1 * size)->lane = TUB__LANE_RAND_VOXELS + number;
        break;
    case RAND_CUTOUT: {
        double side[TUB__AXES];
        for (int i = 0; i < TUB__AXES; i++) {
            side[i] = 0.5 * size * (double)z->clip[i];
        }
        add_step(p, TUB__VALUE_CUT, 0)->box = tub__augment_box(r, z->clip, side, volume);
        break;
    }
    default:
        break;
    }
}

typedef struct rand_draw {
    rand_op op;
    double strength; /* with its sign, -1 to 1 */
    tub__random rest;
} rand_draw;

static rand_draw draw_rand(const tub_augment_config *c, tub__random r) {
    rand_draw d;
    d.op = (rand_op)tub__random_below(&r, RAND_OPS);
    d.strength = c->rand_strength / 10 * (tub__random_double(&r) < 0.5 ? 1 : -1);
    d.rest = r;
    return d;
}

/* ---- the plan ---- */

tub__box tub__augment_box(tub__random *r, const size_t clip[TUB__AXES],
                          const double side[TUB__AXES], bool volume) {
    static const int order[TUB__AXES] = {H, W, T};
    tub__box box;
    for (int k = 0; k < TUB__AXES; k++) {
        const int i = order[k];
        const double n = (double)clip[i], middle = tub__random_double(r) * n,
                     begin = floor(middle - side[i] / 2 + 0.5), end = begin + floor(side[i] + 0.5);
        const bool through = i == T && !volume;
        box.begin[i] = through || begin < 0 ? 0 : (size_t)(begin < n ? begin : n);
        box.end[i] = through ? clip[i] : end < 0 ? 0 : (size_t)(end < n ? end : n);
    }
    return box;
}

static void draw_map(const tub_augment_config *c, const tub__augment_sizes *z, tub__key key,
                     tub__augment_key at, tub__augment_plan *p) {
    const part crop = draw_crop(c, z, tub__augment_stream(key, at, TUB__LANE_CROP));
    affine f = {{{0}}, {0}};
    for (int i = 0; i < TUB__AXES; i++) {
        f.a[i][i] = crop.size[i] / (double)z->clip[i];
        f.b[i] = crop.begin[i] + crop.size[i] / 2 - 0.5;
    }
    tub__random r = tub__augment_stream(key, at, TUB__LANE_FLIP);
    const bool flip_t = tub__random_double(&r) < c->flip_t,
               flip_h = tub__random_double(&r) < c->flip_h,
               flip_w = tub__random_double(&r) < c->flip_w;
    matrix flips = {
        {flip_t && c->volume ? -1 : 1, 0, 0}, {0, flip_h ? -1 : 1, 0}, {0, 0, flip_w ? -1 : 1}};
    follow(&f, flips);
    p->reversed = flip_t;
    r = tub__augment_stream(key, at, TUB__LANE_SCALE);
    grow(&f, between(&r, c->scale[0], c->scale[1]), c->volume != 0);
    r = tub__augment_stream(key, at, TUB__LANE_ROTATE);
    const double hw = between(&r, -c->rotate, c->rotate), tw = between(&r, -c->rotate, c->rotate),
                 th = between(&r, -c->rotate, c->rotate);
    if (c->volume) {
        turn(&f, T, H, th);
        turn(&f, T, W, tw);
    }
    turn(&f, H, W, hw);
    r = tub__augment_stream(key, at, TUB__LANE_SHIFT);
    double shift[TUB__AXES];
    shift[H] = between(&r, -c->shift, c->shift) * (double)z->clip[H];
    shift[W] = between(&r, -c->shift, c->shift) * (double)z->clip[W];
    shift[T] = between(&r, -c->shift, c->shift) * (double)z->clip[T];
    shift[T] = c->volume ? shift[T] : 0;
    move(&f, shift);
    for (uint32_t i = 0; i < (uint32_t)c->rand_ops; i++) {
        const rand_draw d = draw_rand(c, tub__augment_stream(key, at, TUB__LANE_RAND + i));
        rand_geometry(d.op, d.strength, z, c->volume != 0, &f);
    }
    for (int i = 0; i < TUB__AXES; i++) {
        p->map[i][TUB__AXES] = f.b[i];
        for (int j = 0; j < TUB__AXES; j++) {
            p->map[i][j] = f.a[i][j];
            p->map[i][TUB__AXES] -= f.a[i][j] * ((double)z->clip[j] - 1) / 2;
        }
    }
}

/* One number of a lane, from a range. */
static double draw_one(tub__key key, tub__augment_key at, tub__augment_lane lane, double low,
                       double high) {
    tub__random r = tub__augment_stream(key, at, lane);
    return between(&r, low, high);
}

static void draw_cutout(const tub_augment_config *c, const tub__augment_sizes *z, tub__random r,
                        tub__augment_plan *p) {
    double side[TUB__AXES];
    side[H] = tub__random_double(&r) * c->cutout * (double)z->clip[H];
    side[W] = tub__random_double(&r) * c->cutout * (double)z->clip[W];
    side[T] = tub__random_double(&r) * c->cutout * (double)z->clip[T];
    add_step(p, TUB__VALUE_CUT, 0)->box = tub__augment_box(&r, z->clip, side, c->volume != 0);
}

/* A step that does nothing is none: 1 times a voxel is that voxel. */
static void draw_values(const tub_augment_config *c, const tub__augment_sizes *z, tub__key key,
                        tub__augment_key at, tub__augment_plan *p) {
    const struct {
        tub__augment_lane lane;
        tub__value_kind kind;
        double low, high, idle;
    } steps[] = {
        {TUB__LANE_BLUR, TUB__VALUE_BLUR, c->blur[0], c->blur[1], 0},
        {TUB__LANE_INTENSITY, TUB__VALUE_MULTIPLY, c->intensity[0], c->intensity[1], 1},
        {TUB__LANE_BRIGHTNESS, TUB__VALUE_ADD, -c->brightness, c->brightness, 0},
        {TUB__LANE_CONTRAST, TUB__VALUE_CONTRAST, c->contrast[0], c->contrast[1], 1},
        {TUB__LANE_GAMMA, TUB__VALUE_GAMMA, c->gamma[0], c->gamma[1], 1},
        {TUB__LANE_NOISE, TUB__VALUE_NOISE, c->noise[0], c->noise[1], 0},
    };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        const double amount = draw_one(key, at, steps[i].lane, steps[i].low, steps[i].high);
        if (amount != steps[i].idle) {
            add_step(p, steps[i].kind, amount)->lane = TUB__LANE_NOISE_VOXELS;
        }
    }
    if (c->cutout > 0) {
        draw_cutout(c, z, tub__augment_stream(key, at, TUB__LANE_CUTOUT), p);
    }
    for (uint32_t i = 0; i < (uint32_t)c->rand_ops; i++) {
        rand_draw d = draw_rand(c, tub__augment_stream(key, at, TUB__LANE_RAND + i));
        rand_values(d.op, d.strength, &d.rest, i, c->volume != 0, z, p);
    }
    if (c->shape_intensity) {
        add_step(p, TUB__VALUE_MULTIPLY, draw_one(key, at, TUB__LANE_SHAPE, 0, 2));
    }
}

void tub__augment_draw(const tub_augment_config *config, const tub__augment_sizes *sizes,
                       tub__key key, tub__augment_key place, tub__augment_plan *out) {
    *out = (tub__augment_plan){.steps = 0};
    draw_time(config, sizes, tub__augment_stream(key, place, TUB__LANE_TIME), out);
    draw_map(config, sizes, key, place, out);
    draw_values(config, sizes, key, place, out);
}
