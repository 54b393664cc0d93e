/* SPDX-License-Identifier: Apache-2.0 */
/* Cutting a clip out of a sample along an affine map, in one pass. */
#ifndef TUB__DATA_AUGMENT_RESAMPLE_H
#define TUB__DATA_AUGMENT_RESAMPLE_H

#include "data/augment_plan.h"

/* Whether voxels of the clip are voxels of the sample, none turned round along the width: rows can be
 * copied as they are. */
bool tub__resample_copies(const tub__augment_plan *plan, const tub__augment_sizes *sizes,
                          bool volume);
/* Copies them: `element` bytes a voxel and channel. */
void tub__resample_copy(const tub__augment_plan *plan, const tub__augment_sizes *sizes, bool volume,
                        size_t element, const void *sample, void *out);

/* Whether samples of this size can be resampled: places are counted in 32 bits. */
bool tub__resample_fits(const tub__augment_sizes *sizes);
/* Floats of the work space. */
size_t tub__resample_room(const tub__augment_sizes *sizes, bool volume);

/* out [T,H,W,C] of a sample of TUB_U8 (divided by 255) or TUB_F32. Between voxels it interpolates
 * linearly along each axis: height and width, of volumes the frames too. */
void tub__resample(const tub__augment_plan *plan, const tub__augment_sizes *sizes, bool volume,
                   tub_border border, tub_dtype dtype, const void *sample, float *work, float *out);

/* n values of a sample as floats. */
void tub__to_floats(tub_dtype dtype, const void *from, size_t n, float *out);

#endif
