/* SPDX-License-Identifier: Apache-2.0 */
/* What a draw of random numbers says is to be done to one clip: where its voxels come from, then a
 * list of changes of their values. */
#ifndef TUB__DATA_AUGMENT_PLAN_H
#define TUB__DATA_AUGMENT_PLAN_H

#include "base/philox.h"
#include "data/augment.h"

/* A stream of random numbers for each transform, so that none shifts another's draws: word 2 of the
 * Philox counter. The numbers are part of the promise "same seed, same bits". */
typedef enum tub__augment_lane {
    TUB__LANE_TIME = 0,
    TUB__LANE_CROP,
    TUB__LANE_FLIP,
    TUB__LANE_SCALE,
    TUB__LANE_ROTATE,
    TUB__LANE_SHIFT,
    TUB__LANE_BLUR,
    TUB__LANE_INTENSITY,
    TUB__LANE_BRIGHTNESS,
    TUB__LANE_CONTRAST,
    TUB__LANE_GAMMA,
    TUB__LANE_NOISE,        /* its standard deviation */
    TUB__LANE_NOISE_VOXELS, /* counter 0 is the voxel's index / 8 */
    TUB__LANE_CUTOUT,
    TUB__LANE_SHAPE,
    TUB__LANE_MIX,
    TUB__LANE_MIX_SHARE,
    TUB__LANE_MIX_BOX,
    TUB__LANE_RAND = 32,       /* + operation */
    TUB__LANE_RAND_VOXELS = 64 /* + operation: its noise */
} tub__augment_lane;

/* Three axes: frames (depth), height, width. */
enum { TUB__AXES = 3, TUB__VALUE_STEPS = 16 };

typedef struct tub__box {
    size_t begin[TUB__AXES], end[TUB__AXES];
} tub__box;

typedef enum tub__value_kind {
    TUB__VALUE_BLUR,     /* amount: standard deviation */
    TUB__VALUE_MULTIPLY, /* amount: factor */
    TUB__VALUE_ADD,      /* amount */
    TUB__VALUE_CONTRAST, /* amount: factor */
    TUB__VALUE_GAMMA,    /* amount: exponent */
    TUB__VALUE_NOISE,    /* amount: standard deviation; lane of the voxels */
    TUB__VALUE_CUT       /* box */
} tub__value_kind;

typedef struct tub__value_step {
    tub__value_kind kind;
    double amount;
    uint32_t lane;
    tub__box box;
} tub__value_step;

typedef struct tub__augment_plan {
    /* Indices of the sample from indices of the clip, p = map * (t, h, w, 1). Without volume the
     * first row is not used: frame i of the clip is frame begin + (i, or the last less i) * speed. */
    double map[TUB__AXES][TUB__AXES + 1];
    double begin, speed;
    bool reversed;
    size_t steps;
    tub__value_step step[TUB__VALUE_STEPS];
} tub__augment_plan;

/* What a plan is drawn for. */
typedef struct tub__augment_sizes {
    size_t sample[TUB__AXES], clip[TUB__AXES], channels;
} tub__augment_sizes;

void tub__augment_draw(const tub_augment_config *config, const tub__augment_sizes *sizes,
                       tub__key key, tub__augment_key place, tub__augment_plan *out);

/* A lane's stream. */
tub__random tub__augment_stream(tub__key key, tub__augment_key place, uint32_t lane);

/* A box with its middle anywhere, cut at the clip's ends; side: of each axis, voxels, 0 or more. A
 * volume's box has sides along all axes, that of a clip goes through all frames. Draws three doubles: the
 * middle along height, width, frames. */
tub__box tub__augment_box(tub__random *r, const size_t clip[TUB__AXES],
                          const double side[TUB__AXES], bool volume);

#endif
