/* SPDX-License-Identifier: Apache-2.0 */
/* Draws phantom3d: organs put together from ellipsoids and tapered tubes, posed, shaded and blurred
 * at random.
 *
 * Only + - * / and sqrt of doubles, comparisons and integers, with Philox for chance: no step can
 * differ between machines, compilers or optimisation levels. */
#include "data/phantom3d.h"

#include "base/philox.h"
#include <math.h>

/* The two knobs of difficulty, calibrated so that the reference recipe ends between 85 % and 97 %
 * (docs/data.md). */
static const double POSE = 0.8;  /* how far turns, shifts, sizes and shapes spread */
static const double NOISE = 0.7; /* how strong noise, shading and neighbours are */

/* One set, for ever: not the training seed. */
static const uint64_t PHANTOM_SEED = 0x7068616e746f6d33u; /* "phantom3" */

enum { SIDE = TUB__PHANTOM_SIDE, VOXELS = TUB__PHANTOM_VOXELS, NEIGHBOURS = 6 };
static const double CENTRE = (SIDE - 1) / 2.0;

static const char *const labels[TUB__PHANTOM_CLASSES] = {
    "liver", "kidney-right", "kidney-left", "femur-right", "femur-left", "bladder",
    "heart", "lung-right",   "lung-left",   "spleen",      "pancreas"};

/* How a part changes the organ's mask or the voxels. */
typedef enum part_use {
    PART_ADD,   /* joins the organ */
    PART_CUT,   /* is taken away from the organ */
    PART_INSIDE /* shows inside the organ with another intensity */
} part_use;

/* An ellipsoid (centre a, radii b) or a tube from a to b whose radius goes from r[0] to r[1].
 * Voxels, from the organ's centre; x towards the patient's left, y to the back, z to the head.
 * Paired organs are described as the right one: +x is medial. */
typedef struct part {
    part_use use;
    double a[3], b[3];
    double r[2]; /* r[0] == 0: an ellipsoid */
} part;

enum { MAX_PARTS = 6 };
typedef struct organ {
    double contrast; /* typical brightness against the tissue around it: +1 or -1 */
    part parts[MAX_PARTS];
    int count;
} organ;

/* clang-format off */
typedef enum organ_name {
    LIVER, KIDNEY, FEMUR, BLADDER, HEART, LUNG, SPLEEN, PANCREAS, ORGANS
} organ_name;

#define BALL(use, x, y, z, rx, ry, rz) {use, {x, y, z}, {rx, ry, rz}, {0, 0}}
#define TUBE(use, x0, y0, z0, x1, y1, z1, r0, r1) {use, {x0, y0, z0}, {x1, y1, z1}, {r0, r1}}
/* clang-format on */
static const organ organs[ORGANS] = {
    [LIVER] = {1,
               {BALL(PART_ADD, -3, 0.5, 0, 7.5, 8, 8.5), BALL(PART_ADD, 5, -2, 2.5, 7.5, 5, 4.5),
                BALL(PART_CUT, 5, 6, -8, 9, 8, 7), TUBE(PART_INSIDE, 2, 0, -2, -4, 1, 5, 1.3, 0.8),
                TUBE(PART_INSIDE, 2, 0, -2, 7, -2, 3, 1.2, 0.8)},
               5},
    [KIDNEY] = {1,
                {BALL(PART_ADD, 0, 0, 0, 6.5, 6, 10.5), BALL(PART_CUT, 7, 0, 0, 4.5, 4.5, 4.5),
                 BALL(PART_INSIDE, 1.5, 0, 0, 3, 2.7, 6.5)},
                3},
    [FEMUR] = {1,
               {TUBE(PART_ADD, -3, 0, -14, -3, 0, 4, 3.5, 3.5),
                TUBE(PART_ADD, -3, 0, 4, 5, -1, 8, 2.8, 3),
                BALL(PART_ADD, 6, -1, 8.5, 4.8, 4.8, 4.8), BALL(PART_ADD, -5.5, 1, 5.5, 3, 3, 3.5),
                TUBE(PART_INSIDE, -3, 0, -14, -3, 0, 3, 1.7, 1.7)},
               5},
    [BLADDER] = {1,
                 {BALL(PART_ADD, 0, 0, 0, 9, 7, 7.5), BALL(PART_CUT, 0, 0, 11, 9, 9, 5),
                  BALL(PART_INSIDE, 0, 0, -0.5, 7.3, 5.4, 5.6)},
                 3},
    [HEART] = {1,
               {BALL(PART_ADD, 1, -1, -2, 8, 7.5, 7.5),
                TUBE(PART_ADD, -1, 1, 4, -3, 1, 14, 3.2, 2.8),
                BALL(PART_INSIDE, 4, -1, -3, 3, 3, 4.5),
                BALL(PART_INSIDE, -3, -2, -2.5, 2.6, 3, 4)},
               4},
    [LUNG] = {-1,
              {BALL(PART_ADD, 0, 0, 0, 7, 8.5, 12.5), BALL(PART_CUT, -1, 0, -13, 9, 9, 7),
               BALL(PART_CUT, 8, -3, -2, 5, 6, 6), TUBE(PART_INSIDE, 4, 2, 2, -2, -2, 7, 1.3, 0.6),
               TUBE(PART_INSIDE, 4, 2, 2, -2, 3, -4, 1.3, 0.6)},
              5},
    [SPLEEN] = {1,
                {BALL(PART_ADD, 0, 1, 0, 7.5, 9, 9.5), BALL(PART_CUT, -6, -4, 1, 7.5, 7.5, 9)},
                2},
    [PANCREAS] = {1,
                  {TUBE(PART_ADD, -9, 1, -5, -5, -1, 0, 4.2, 3.6),
                   TUBE(PART_ADD, -5, -1, 0, 3, -2, 3, 3.6, 3),
                   TUBE(PART_ADD, 3, -2, 3, 11, 2, 6, 3, 2.4),
                   TUBE(PART_INSIDE, -7, 0, -2, 9, 1, 5, 0.8, 0.8)},
                  4},
};

/* Which organ a class is, and whether it is the mirror image of the one described. */
static const struct {
    organ_name organ;
    bool mirrored;
} classes[TUB__PHANTOM_CLASSES] = {{LIVER, false},  {KIDNEY, false},  {KIDNEY, true},
                                   {FEMUR, false},  {FEMUR, true},    {BLADDER, false},
                                   {HEART, false},  {LUNG, false},    {LUNG, true},
                                   {SPLEEN, false}, {PANCREAS, false}};

typedef struct phantom_scratch {
    double value[VOXELS]; /* intensities */
    double mask[VOXELS];  /* how much of a voxel is organ, 0 … 1 */
} phantom_scratch;

/* A part in the volume: q(p) below 1 is inside. An ellipsoid keeps rows of a matrix that maps it to
 * the unit ball. */
typedef struct solid {
    bool tube;
    double a[3];      /* centre, or one end */
    double row[3][3]; /* ellipsoid: unit axes over radii; tube: row[0] is b - a */
    double inverse;   /* tube: 1 / |b - a|^2 */
    double r[2];      /* tube radii; ellipsoid: r[0] the mean radius */
    double reach[3];  /* half of the bounding box, about middle */
    double middle[3];
} solid;

typedef struct pose {
    double turn[3][3]; /* local to volume */
    double scale[3];
    double shift[3];
} pose;

static double between(tub__random *r, double low, double high) {
    return low + (high - low) * tub__random_double(r);
}

/* Symmetric about 0, triangular: mostly small, never above 1 in size. */
static double wobble(tub__random *r) {
    double first = tub__random_double(r);
    return first - tub__random_double(r);
}

static double clamp(double v, double low, double high) {
    return v < low ? low : v > high ? high : v;
}

/* Rotation matrix of the quaternion (1, i, j, k) made unit length. */
static void rotation(double i, double j, double k, double m[3][3]) {
    double n = 1.0 / sqrt(1.0 + i * i + j * j + k * k);
    double w = n;
    i *= n;
    j *= n;
    k *= n;
    double out[3][3] = {{1 - 2 * (j * j + k * k), 2 * (i * j - k * w), 2 * (i * k + j * w)},
                        {2 * (i * j + k * w), 1 - 2 * (i * i + k * k), 2 * (j * k - i * w)},
                        {2 * (i * k - j * w), 2 * (j * k + i * w), 1 - 2 * (i * i + j * j)}};
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 3; c++) {
            m[r][c] = out[r][c];
        }
    }
}

static pose random_pose(tub__random *r) {
    pose p;
    double i = 0.28 * POSE * wobble(r), j = 0.28 * POSE * wobble(r), k = 0.28 * POSE * wobble(r);
    rotation(i, j, k, p.turn);
    double size = 1.0 + 0.22 * POSE * wobble(r);
    for (int d = 0; d < 3; d++) {
        p.scale[d] = size * (1.0 + 0.15 * POSE * wobble(r));
        p.shift[d] = CENTRE + 3.5 * POSE * wobble(r);
    }
    return p;
}

static void place(const pose *p, const double local[3], double out[3]) {
    for (int d = 0; d < 3; d++) {
        out[d] = p->shift[d];
        for (int e = 0; e < 3; e++) {
            out[d] += p->turn[d][e] * (p->scale[e] * local[e]);
        }
    }
}

static void finish_tube(solid *s, const double b[3]) {
    double length2 = 0;
    double radius = s->r[0] > s->r[1] ? s->r[0] : s->r[1];
    for (int d = 0; d < 3; d++) {
        s->row[0][d] = b[d] - s->a[d];
        length2 += s->row[0][d] * s->row[0][d];
        s->middle[d] = 0.5 * (s->a[d] + b[d]);
        double half = 0.5 * (b[d] > s->a[d] ? b[d] - s->a[d] : s->a[d] - b[d]);
        s->reach[d] = half + radius;
    }
    s->inverse = length2 > 0 ? 1.0 / length2 : 0.0;
}

/* Puts a part into the volume; its place and size wobble a little, so that no two organs have one
 * shape. */
static solid pose_part(const part *shape, const pose *p, tub__random *r) {
    solid s = {.tube = shape->r[0] > 0};
    double a[3], b[3];
    double grow = 1.0 + 0.12 * POSE * wobble(r);
    for (int d = 0; d < 3; d++) {
        double move = 0.9 * POSE * wobble(r);
        a[d] = shape->a[d] + move;
        b[d] = shape->b[d] + move;
    }
    place(p, a, s.a);
    if (s.tube) {
        double end[3];
        place(p, b, end);
        double size = grow * (p->scale[0] + p->scale[1] + p->scale[2]) / 3.0;
        s.r[0] = shape->r[0] * size;
        s.r[1] = shape->r[1] * size;
        finish_tube(&s, end);
        return s;
    }
    double largest = 0;
    for (int e = 0; e < 3; e++) {
        double radius = shape->b[e] * p->scale[e] * grow;
        for (int d = 0; d < 3; d++) {
            s.row[e][d] = p->turn[d][e] / radius;
        }
        s.r[0] += radius / 3.0;
        largest = radius > largest ? radius : largest;
    }
    for (int d = 0; d < 3; d++) {
        s.middle[d] = s.a[d];
        s.reach[d] = largest;
    }
    return s;
}

/* How far a point is outside the surface, in voxels (an estimate that is exact for spheres and
 * tubes). */
static double outside(const solid *s, double x, double y, double z) {
    double v[3] = {x - s->a[0], y - s->a[1], z - s->a[2]};
    if (s->tube) {
        const double *axis = s->row[0];
        double t = clamp((v[0] * axis[0] + v[1] * axis[1] + v[2] * axis[2]) * s->inverse, 0, 1);
        double d0 = v[0] - t * axis[0], d1 = v[1] - t * axis[1], d2 = v[2] - t * axis[2];
        return sqrt(d0 * d0 + d1 * d1 + d2 * d2) - (s->r[0] + t * (s->r[1] - s->r[0]));
    }
    double q = 0;
    for (int e = 0; e < 3; e++) {
        double c = s->row[e][0] * v[0] + s->row[e][1] * v[1] + s->row[e][2] * v[2];
        q += c * c;
    }
    return (sqrt(q) - 1.0) * s->r[0];
}

/* What paint() does with a solid's share of a voxel. */
typedef enum brush { BRUSH_ADD, BRUSH_CUT, BRUSH_INSIDE, BRUSH_OVER } brush;

/* Goes over the solid's box; an edge is `soft` voxels wide, which is the blur of the scanner. */
static void paint(phantom_scratch *p, const solid *s, brush how, double soft, double value) {
    int low[3], high[3];
    for (int d = 0; d < 3; d++) {
        low[d] = (int)clamp(s->middle[d] - s->reach[d] - soft, 0, SIDE);
        high[d] = (int)clamp(s->middle[d] + s->reach[d] + soft + 1, 0, SIDE);
    }
    double sharp = 1.0 / soft;
    for (int z = low[2]; z < high[2]; z++) {
        for (int y = low[1]; y < high[1]; y++) {
            for (int x = low[0]; x < high[0]; x++) {
                double cover = 0.5 - outside(s, x, y, z) * sharp;
                if (cover <= 0) {
                    continue;
                }
                cover = cover > 1 ? 1 : cover;
                size_t i = ((size_t)z * SIDE + (size_t)y) * SIDE + (size_t)x;
                switch (how) {
                case BRUSH_ADD:
                    p->mask[i] = cover > p->mask[i] ? cover : p->mask[i];
                    break;
                case BRUSH_CUT:
                    p->mask[i] = 1 - cover < p->mask[i] ? 1 - cover : p->mask[i];
                    break;
                case BRUSH_INSIDE:
                    cover *= p->mask[i];
                    p->value[i] += cover * (value - p->value[i]);
                    break;
                case BRUSH_OVER:
                    p->value[i] += cover * (value - p->value[i]);
                    break;
                }
            }
        }
    }
}

/* Tissue with a slow slope of brightness, and neighbours (bone, gas, vessels, other organs) towards
 * the rim. None of it knows the class. */
static void draw_surroundings(phantom_scratch *p, tub__random *r, double tissue, double soft) {
    double slope[3];
    for (int d = 0; d < 3; d++) {
        slope[d] = 0.9 * NOISE * wobble(r);
    }
    for (int z = 0; z < SIDE; z++) {
        for (int y = 0; y < SIDE; y++) {
            for (int x = 0; x < SIDE; x++) {
                p->value[(z * SIDE + y) * SIDE + x] = tissue + slope[0] * (x - CENTRE) +
                                                      slope[1] * (y - CENTRE) +
                                                      slope[2] * (z - CENTRE);
            }
        }
    }
    int count = (int)tub__random_below(r, NEIGHBOURS + 1);
    for (int n = 0; n < count; n++) {
        solid s = {.tube = true};
        double end[3], away[3], length2 = 0;
        for (int d = 0; d < 3; d++) {
            away[d] = wobble(r);
            length2 += away[d] * away[d];
        }
        double far = between(r, 11, 18) / sqrt(length2 + 1e-6);
        for (int d = 0; d < 3; d++) {
            s.a[d] = CENTRE + far * away[d];
            end[d] = s.a[d] + 9 * wobble(r);
        }
        s.r[0] = between(r, 1.5, 5);
        s.r[1] = between(r, 1.5, 5);
        finish_tube(&s, end);
        paint(p, &s, BRUSH_OVER, soft, tissue + 110 * NOISE * wobble(r));
    }
}

static void draw_organ(phantom_scratch *p, const organ *o, tub__random *r, double tissue,
                       double soft) {
    for (int i = 0; i < VOXELS; i++) {
        p->mask[i] = 0;
    }
    pose where = random_pose(r);
    double organ_value = tissue + o->contrast * between(r, 35, 90);
    double inside = organ_value - o->contrast * between(r, 15, 45);
    solid solids[MAX_PARTS];
    for (int i = 0; i < o->count; i++) {
        solids[i] = pose_part(&o->parts[i], &where, r);
        if (o->parts[i].use != PART_INSIDE) {
            paint(p, &solids[i], o->parts[i].use == PART_ADD ? BRUSH_ADD : BRUSH_CUT, soft, 0);
        }
    }
    for (int i = 0; i < VOXELS; i++) {
        p->value[i] += p->mask[i] * (organ_value - p->value[i]);
    }
    for (int i = 0; i < o->count; i++) {
        if (o->parts[i].use == PART_INSIDE) {
            paint(p, &solids[i], BRUSH_INSIDE, soft, inside);
        }
    }
}

/* Near-normal noise: the sum of a word's four bytes, centred; its standard deviation is 147.8. */
static double byte_noise(uint32_t word) {
    uint32_t sum = (word & 255u) + (word >> 8 & 255u) + (word >> 16 & 255u) + (word >> 24);
    return ((double)sum - 510.0) / 147.8;
}

static void draw(void *scratch, tub_split split, uint32_t sample, int label, unsigned char *out) {
    phantom_scratch *p = scratch;
    tub__key key = tub__random_key(PHANTOM_SEED, TUB__RANDOM_PHANTOM);
    tub__random r = tub__random_start(key, sample, (uint32_t)split, 0);
    double soft = between(&r, 1.0, 2.5);
    double sigma = NOISE * between(&r, 6, 18);
    double tissue = between(&r, 85, 165);
    draw_surroundings(p, &r, tissue, soft);
    draw_organ(p, &organs[classes[label].organ], &r, tissue, soft);
    tub__random noise = tub__random_start(key, sample, (uint32_t)split, 1);
    for (int i = 0; i < VOXELS; i++) {
        double v = clamp(p->value[i] + sigma * byte_noise(tub__random_word(&noise)), 0, 255);
        int x = i % SIDE;
        int to = classes[label].mirrored ? i - x + (SIDE - 1 - x) : i;
        out[to] = (unsigned char)(v + 0.5);
    }
}

const tub__built_in tub__phantom3d = {.name = "phantom3d",
                                      .seed = PHANTOM_SEED,
                                      .frames = SIDE,
                                      .height = SIDE,
                                      .width = SIDE,
                                      .classes = TUB__PHANTOM_CLASSES,
                                      .labels = labels,
                                      .count = {971, 161, 610},
                                      .scratch = sizeof(phantom_scratch),
                                      .draw = draw};
