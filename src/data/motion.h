/* SPDX-License-Identifier: Apache-2.0 */
/* motion: the built-in set of clips whose class is the order of their frames and nothing else.
 * docs/data.md describes it. */
#ifndef TUB__DATA_MOTION_H
#define TUB__DATA_MOTION_H

#include "data/built_in.h"

/* A clip is [T,H,W] = [16,28,28]: a shape that turns, one frame at each of 16 angles. */
enum {
    TUB__MOTION_FRAMES = 16,
    TUB__MOTION_SIDE = 28,
    TUB__MOTION_PIXELS = TUB__MOTION_SIDE * TUB__MOTION_SIDE,
    TUB__MOTION_BYTES = TUB__MOTION_FRAMES * TUB__MOTION_PIXELS,
    TUB__MOTION_CLASSES = 8
};

/* Everything but the order of the frames follows from (split, sample): drawn as any two classes, a
 * sample shows the same sixteen pictures, and drawn as classes 2k and 2k + 1 it is one clip and its
 * exact reverse. */
extern const tub__built_in tub__motion;

#endif
