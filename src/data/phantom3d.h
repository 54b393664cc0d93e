/* SPDX-License-Identifier: Apache-2.0 */
/* phantom3d: the built-in set of CT-like volumes, the same bits on every machine. docs/data.md
 * describes it. */
#ifndef TUB__DATA_PHANTOM3D_H
#define TUB__DATA_PHANTOM3D_H

#include "base/alloc.h"
#include <tubelet/data.h>

/* A volume is [T,H,W] = [28,28,28]: T from feet to head, H from front to back, W from the patient's
 * right to the left. So reversing W turns an organ of the right side into one of the left side. */
enum {
    TUB__PHANTOM_SIDE = 28,
    TUB__PHANTOM_VOXELS = TUB__PHANTOM_SIDE * TUB__PHANTOM_SIDE * TUB__PHANTOM_SIDE,
    TUB__PHANTOM_CLASSES = 11
};

/* Class names, [TUB__PHANTOM_CLASSES]; OrganMNIST3D's. */
extern const char *const tub__phantom_labels[TUB__PHANTOM_CLASSES];

/* Samples of a split: 971, 161, 610. */
int64_t tub__phantom_count(tub_split split);

/* The class of each sample of a split, [count]: as equal in number as can be, in a fixed shuffled
 * order. */
TUB_MUST_USE tub_status tub__phantom_classes(const tub_allocator *a, tub_split split, int32_t *out,
                                             tub_error *err);

/* Scratch memory of the renderer, about 350 KB. */
typedef struct tub__phantom tub__phantom;
TUB_MUST_USE tub_status tub__phantom_create(const tub_allocator *a, tub__phantom **out,
                                            tub_error *err);
void tub__phantom_destroy(const tub_allocator *a, tub__phantom *p); /* accepts NULL */

/* Draws one volume. Everything but the class follows from (split, sample): with the two classes of
 * a paired organ, the two volumes are exact mirror images in W. */
void tub__phantom_draw(tub__phantom *p, tub_split split, uint32_t sample, int label,
                       unsigned char out[TUB__PHANTOM_VOXELS]);

#endif
