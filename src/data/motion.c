/* SPDX-License-Identifier: Apache-2.0 */
/* Draws motion: sixteen pictures of an object on a circle, shown in one of eight orders.
 *
 * Class 2k goes on by STEPS[k] of the 16 stations a frame, class 2k + 1 comes back the same way. The
 * steps have no factor in common with 16, so that every clip stands at each station exactly once,
 * and it begins at any of them with the same chance: neither the set of a clip's frames nor the
 * frame at a given time depends on the class. Noise belongs to the station, not to the time.
 *
 * Only + - * / and sqrt of doubles, comparisons and integers, with Philox for chance, as in
 * phantom3d.c: the same bits on every machine. */
#include "data/motion.h"

#include "base/philox.h"
#include <math.h>
#include <string.h>

/* Difficulty (docs/data.md): how strong noise and slope of the background are. */
static const double NOISE = 1.0;

static const uint64_t MOTION_SEED = 0x6d6f74696f6e3136u; /* "motion16" */

enum {
    FRAMES = TUB__MOTION_FRAMES,
    SIDE = TUB__MOTION_SIDE,
    PIXELS = TUB__MOTION_PIXELS,
    BYSTANDERS = 2 /* at most */
};
static const int STEPS[TUB__MOTION_CLASSES / 2] = {1, 3, 5, 7};

static const char *const labels[TUB__MOTION_CLASSES] = {
    "clockwise-1", "anticlockwise-1", "clockwise-3", "anticlockwise-3",
    "clockwise-5", "anticlockwise-5", "clockwise-7", "anticlockwise-7"};

/* cos(2 pi k / 16); the sine is the cosine of four stations before. */
static const double COS16[FRAMES] = {
    1.0,  0.92387953251128674,  0.70710678118654752,  0.38268343236508977,
    0.0,  -0.38268343236508977, -0.70710678118654752, -0.92387953251128674,
    -1.0, -0.92387953251128674, -0.70710678118654752, -0.38268343236508977,
    0.0,  0.38268343236508977,  0.70710678118654752,  0.92387953251128674};

typedef enum form { DISC, RING, SQUARE, DIAMOND, FORMS } form;

typedef struct object {
    form form;
    double x, y;       /* of its middle; x to the right, y down, pixels */
    double radius;     /* pixels */
    double brightness; /* 0 … 255 */
} object;

typedef struct motion_scratch {
    double background[PIXELS]; /* what stands still */
    double picture[PIXELS];
} motion_scratch;

static double between(tub__random *r, double low, double high) {
    return low + (high - low) * tub__random_double(r);
}

/* How far a point is outside the outline, in pixels; negative inside. */
static double outside(const object *o, double x, double y) {
    double across = fabs(x - o->x), down = fabs(y - o->y);
    switch (o->form) {
    case RING:
        return fabs(sqrt(across * across + down * down) - 0.7 * o->radius) - 0.35 * o->radius;
    case SQUARE:
        return (across > down ? across : down) - 0.85 * o->radius;
    case DIAMOND:
        return (across + down - 1.2 * o->radius) * 0.70710678118654752;
    default:
        return sqrt(across * across + down * down) - o->radius;
    }
}

/* Puts an object over what is there; its edge is one pixel wide. */
static void paint(double picture[PIXELS], const object *o) {
    for (int y = 0; y < SIDE; y++) {
        for (int x = 0; x < SIDE; x++) {
            double cover = 0.5 - outside(o, x, y);
            if (cover > 0) {
                double *p = &picture[y * SIDE + x];
                *p += (cover > 1 ? 1 : cover) * (o->brightness - *p);
            }
        }
    }
}

/* A slope of brightness and up to two objects that stand still. */
static void draw_background(double out[PIXELS], tub__random *r, double level) {
    double middle = (SIDE - 1) / 2.0;
    double right = NOISE * between(r, -1.5, 1.5), down = NOISE * between(r, -1.5, 1.5);
    for (int y = 0; y < SIDE; y++) {
        for (int x = 0; x < SIDE; x++) {
            out[y * SIDE + x] = level + right * (x - middle) + down * (y - middle);
        }
    }
    uint32_t count = tub__random_below(r, BYSTANDERS + 1);
    for (uint32_t i = 0; i < count; i++) {
        object o = {.form = (form)tub__random_below(r, FORMS)};
        o.x = between(r, 0, SIDE - 1);
        o.y = between(r, 0, SIDE - 1);
        o.radius = between(r, 1.5, 3.5);
        o.brightness = level + NOISE * between(r, -30, 0);
        paint(out, &o);
    }
}

/* A circle that the object goes round, and where on it station 0 lies. */
typedef struct circle {
    double x, y, radius;
    double cos, sin;
} circle;

/* Station 0 lies anywhere within half a station of the x axis: since a clip may begin at any station,
 * no direction is special. */
static circle random_circle(tub__random *r) {
    static const double HALF_STATION = 0.098491403357164254; /* tan(pi / 32) */
    circle c;
    c.x = (SIDE - 1) / 2.0 + between(r, -1.5, 1.5);
    c.y = (SIDE - 1) / 2.0 + between(r, -1.5, 1.5);
    c.radius = between(r, 6.5, 8);
    double t = between(r, -HALF_STATION, HALF_STATION);
    c.cos = (1 - t * t) / (1 + t * t);
    c.sin = 2 * t / (1 + t * t);
    return c;
}

static void stand_at(object *o, const circle *c, int station) {
    double cosine = COS16[station], sine = COS16[(station + FRAMES - 4) % FRAMES];
    o->x = c->x + c->radius * (cosine * c->cos - sine * c->sin);
    o->y = c->y + c->radius * (sine * c->cos + cosine * c->sin);
}

/* Adds noise of a triangular distribution, two pixels a word, and rounds. sigma: its standard
 * deviation; that of the sum of two bytes is 104.5. */
static void finish(const double picture[PIXELS], tub__random *r, double sigma,
                   unsigned char out[PIXELS]) {
    uint32_t word = 0;
    for (int i = 0; i < PIXELS; i++) {
        word = i % 2 == 0 ? tub__random_word(r) : word >> 16;
        double noise = ((double)((word & 255u) + (word >> 8 & 255u)) - 255.0) / 104.5;
        double v = picture[i] + sigma * noise;
        out[i] = (unsigned char)((v < 0 ? 0 : v > 255 ? 255 : v) + 0.5);
    }
}

/* The time at which a clip stands at a station. */
static int time_at(int station, int start, int label) {
    int time = 0;
    while ((start + STEPS[label / 2] * time) % FRAMES != station) {
        time++;
    }
    return label % 2 == 0 ? time : FRAMES - 1 - time;
}

static void draw(void *scratch, tub_split split, uint32_t sample, int label, unsigned char *out) {
    motion_scratch *s = scratch;
    tub__key key = tub__random_key(MOTION_SEED, TUB__RANDOM_MOTION);
    tub__random r = tub__random_start(key, sample, (uint32_t)split, 0);
    int start = (int)tub__random_below(&r, FRAMES);
    double level = between(&r, 40, 110), sigma = NOISE * between(&r, 4, 12);
    draw_background(s->background, &r, level);
    circle c = random_circle(&r);
    object o = {.form = (form)tub__random_below(&r, FORMS)};
    o.radius = between(&r, 3.2, 4.5);
    o.brightness = level + between(&r, 60, 130);
    for (int station = 0; station < FRAMES; station++) {
        tub__random noise = tub__random_start(key, sample, (uint32_t)split, 1 + (uint32_t)station);
        memcpy(s->picture, s->background, sizeof s->picture);
        stand_at(&o, &c, station);
        paint(s->picture, &o);
        finish(s->picture, &noise, sigma, out + time_at(station, start, label) * PIXELS);
    }
}

const tub__built_in tub__motion = {.name = "motion",
                                   .seed = MOTION_SEED,
                                   .frames = FRAMES,
                                   .height = SIDE,
                                   .width = SIDE,
                                   .classes = TUB__MOTION_CLASSES,
                                   .labels = labels,
                                   .count = {2000, 400, 800},
                                   .scratch = sizeof(motion_scratch),
                                   .draw = draw};
