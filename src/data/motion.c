/* SPDX-License-Identifier: Apache-2.0 */
/* Draws motion: sixteen pictures of a shape turned about a point, shown in one of eight orders.
 *
 * Class 2k goes on by STEPS[k] sixteenths of a turn a frame, class 2k + 1 comes back the same way. The
 * steps have no factor in common with 16, so that every clip shows each angle exactly once, and it
 * begins with any of them with the same chance: neither the set of a clip's frames nor the frame at a
 * given time depends on the class. Noise belongs to the angle, not to the time.
 *
 * Only + - * / and sqrt of doubles, comparisons and integers, with Philox for chance, as in
 * phantom3d.c: the same bits on every machine. */
#include "data/motion.h"

#include "base/philox.h"
#include <math.h>

/* Difficulty (docs/data.md): how strong noise is, and how far place and size of the shape spread. */
static const double NOISE = 1.0;
static const double POSE = 1.0;

static const uint64_t MOTION_SEED = 0x6d6f74696f6e3136u; /* "motion16" */

enum { FRAMES = TUB__MOTION_FRAMES, SIDE = TUB__MOTION_SIDE, PIXELS = TUB__MOTION_PIXELS };
static const int STEPS[TUB__MOTION_CLASSES / 2] = {1, 3, 5, 7};

static const char *const labels[TUB__MOTION_CLASSES] = {
    "clockwise-1", "anticlockwise-1", "clockwise-3", "anticlockwise-3",
    "clockwise-5", "anticlockwise-5", "clockwise-7", "anticlockwise-7"};

/* cos(2 pi k / 16); the sine is the cosine of four angles before. */
static const double COS16[FRAMES] = {
    1.0,  0.92387953251128674,  0.70710678118654752,  0.38268343236508977,
    0.0,  -0.38268343236508977, -0.70710678118654752, -0.92387953251128674,
    -1.0, -0.92387953251128674, -0.70710678118654752, -0.38268343236508977,
    0.0,  0.38268343236508977,  0.70710678118654752,  0.92387953251128674};

typedef enum form { SECTOR, BAR, DISC, FORMS } form;

/* What turns: described as it points to the right. Symmetric about the line that it points along, so
 * that nothing in it has a sense of rotation. */
typedef struct shape {
    form form;
    double x, y;       /* the point that it turns about; x to the right, y down, pixels */
    double radius;     /* how far it reaches from there */
    double cos, sin;   /* of half the angle of a sector */
    double width;      /* half of a bar's; radius of a disc */
    double brightness; /* 0 … 255 */
} shape;

/* A slope of brightness that stands still. */
typedef struct background {
    double level, right, down;
} background;

static double between(tub__random *r, double low, double high) {
    return low + (high - low) * tub__random_double(r);
}

/* A unit vector whose half angle has the tangent t. */
static void direction(double t, double *cosine, double *sine) {
    *cosine = (1 - t * t) / (1 + t * t);
    *sine = 2 * t / (1 + t * t);
}

static shape random_shape(tub__random *r, double level) {
    shape s = {.form = (form)tub__random_below(r, FORMS)};
    s.x = (SIDE - 1) / 2.0 + POSE * between(r, -1.5, 1.5);
    s.y = (SIDE - 1) / 2.0 + POSE * between(r, -1.5, 1.5);
    s.radius = 10.5 + POSE * between(r, -2, 2);
    direction(between(r, 0.4, 1.0), &s.cos, &s.sin); /* 44 to 90 degrees to each side */
    s.width = s.radius * (s.form == DISC ? between(r, 0.35, 0.48) : between(r, 0.25, 0.4));
    s.brightness = level + between(r, 60, 130);
    return s;
}

static background random_background(tub__random *r) {
    background b = {.level = between(r, 40, 110)};
    b.right = NOISE * between(r, -1, 1);
    b.down = NOISE * between(r, -1, 1);
    return b;
}

static double larger(double a, double b) {
    return a > b ? a : b;
}

/* How far a point is outside the outline, in pixels; negative inside. ahead and aside: of the point
 * that it turns about, along its direction and across. */
static double outside(const shape *s, double ahead, double aside) {
    double away = sqrt(ahead * ahead + aside * aside);
    switch (s->form) {
    case SECTOR:
        return larger(away - s->radius, fabs(aside) * s->cos - ahead * s->sin);
    case BAR:
        return larger(larger(away - s->radius, -ahead), fabs(aside) - s->width);
    default:
        ahead -= s->radius - s->width;
        return sqrt(ahead * ahead + aside * aside) - s->width;
    }
}

/* Noise of deviation 1 from 16 bits: the sum of two bytes has a deviation of 104.5. */
static double byte_noise(uint32_t word) {
    return ((double)((word & 255u) + (word >> 8 & 255u)) - 255.0) / 104.5;
}

/* One picture; the shape points into the direction (cosine, sine), its edge is one pixel wide. */
static void draw_picture(const shape *s, const background *b, double cosine, double sine,
                         tub__random *noise, double sigma, unsigned char out[PIXELS]) {
    uint32_t word = 0;
    for (int i = 0; i < PIXELS; i++) {
        double x = i % SIDE, y = i / SIDE, dx = x - s->x, dy = y - s->y;
        double v = b->level + b->right * (x - SIDE / 2) + b->down * (y - SIDE / 2);
        double cover = 0.5 - outside(s, dx * cosine + dy * sine, dy * cosine - dx * sine);
        if (cover > 0) {
            v += (cover > 1 ? 1 : cover) * (s->brightness - v);
        }
        word = i % 2 == 0 ? tub__random_word(noise) : word >> 16; /* two pixels a word */
        v += sigma * byte_noise(word);
        out[i] = (unsigned char)((v < 0 ? 0 : v > 255 ? 255 : v) + 0.5);
    }
}

/* The time at which a clip shows an angle. */
static int time_at(int angle, int start, int label) {
    int time = 0;
    while ((start + STEPS[label / 2] * time) % FRAMES != angle) {
        time++;
    }
    return label % 2 == 0 ? time : FRAMES - 1 - time;
}

static void draw(void *scratch, tub_split split, uint32_t sample, int label, unsigned char *out) {
    (void)scratch;
    tub__key key = tub__random_key(MOTION_SEED, TUB__RANDOM_MOTION);
    tub__random r = tub__random_start(key, sample, (uint32_t)split, 0);
    int start = (int)tub__random_below(&r, FRAMES);
    double sigma = NOISE * between(&r, 4, 12);
    background b = random_background(&r);
    shape s = random_shape(&r, b.level);
    /* Angle 0 lies within a quarter of a step of the x axis, the others with it; a clip may begin with
     * any of them. The number is tan(pi / 64), of half that angle. */
    double more_cos, more_sin;
    direction(between(&r, -0.049126849769467253, 0.049126849769467253), &more_cos, &more_sin);
    for (int angle = 0; angle < FRAMES; angle++) {
        tub__random noise = tub__random_start(key, sample, (uint32_t)split, 1 + (uint32_t)angle);
        double cosine = COS16[angle], sine = COS16[(angle + FRAMES - 4) % FRAMES];
        draw_picture(&s, &b, cosine * more_cos - sine * more_sin,
                     sine * more_cos + cosine * more_sin, &noise, sigma,
                     out + time_at(angle, start, label) * PIXELS);
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
                                   .draw = draw};
