/* SPDX-License-Identifier: Apache-2.0 */
/* phantom3d: the built-in set of CT-like volumes, the same bits on every machine. docs/data.md
 * describes it. */
#ifndef TUB__DATA_PHANTOM3D_H
#define TUB__DATA_PHANTOM3D_H

#include "data/built_in.h"

/* A volume is [T,H,W] = [28,28,28]: T from feet to head, H from front to back, W from the patient's
 * right to the left. So reversing W turns an organ of the right side into one of the left side. */
enum {
    TUB__PHANTOM_SIDE = 28,
    TUB__PHANTOM_VOXELS = TUB__PHANTOM_SIDE * TUB__PHANTOM_SIDE * TUB__PHANTOM_SIDE,
    TUB__PHANTOM_CLASSES = 11
};

/* Drawn as the two classes of a paired organ, a sample gives two volumes that are exact mirror images
 * in W: everything but the class follows from (split, sample). Works in about 350 KB. */
extern const tub__built_in tub__phantom3d;

#endif
