/* SPDX-License-Identifier: Apache-2.0 */
/* The list of augmentation's settings: their bounds for everybody, and the rest for the table of
 * settings in train/options.c. */
#ifndef TUB__DATA_AUGMENT_SETTINGS_H
#define TUB__DATA_AUGMENT_SETTINGS_H

/* X(field, key, type, choices, low, high, argument, help), as options.c has them; the types are the
 * includer's. The order is that of help and recipe. */
/* clang-format off */
#define TUB__AUGMENT_SETTINGS(X) \
    X(augment.volume, "augment.volume", FLAG, NULL, 0, 1, NULL, \
      "frames are an axis of space: transforms in three dimensions") \
    X(augment.temporal_jitter, "augment.temporal_jitter", FLAG, NULL, 0, 1, NULL, \
      "a clip begins anywhere, where the data have more frames") \
    X(augment.speed, "augment.speed", RANGE, NULL, 0.1, 10, "A,B", \
      "frames of the data to one of the clip") \
    X(augment.crop, "augment.crop", CHOICE, "centre|random|resized", 0, 0, "KIND", \
      "how a clip is cut from larger data") \
    X(augment.crop_scale, "augment.crop_scale", RANGE, NULL, 0.01, 1, "A,B", \
      "of a resized crop: share of the area") \
    X(augment.crop_aspect, "augment.crop_aspect", RANGE, NULL, 0.1, 10, "A,B", \
      "of a resized crop: width over height") \
    X(augment.flip_t, "augment.flip_t", REAL, NULL, 0, 1, "X", \
      "chance that the order of the frames is reversed") \
    X(augment.flip_h, "augment.flip_h", REAL, NULL, 0, 1, "X", \
      "chance that top and bottom change places") \
    X(augment.flip_w, "augment.flip_w", REAL, NULL, 0, 1, "X", \
      "chance that left and right change places") \
    X(augment.scale, "augment.scale", RANGE, NULL, 0.1, 10, "A,B", "factor of size") \
    X(augment.rotate, "augment.rotate", REAL, NULL, 0, 180, "DEGREES", \
      "largest turn in the plane, of volumes about all axes") \
    X(augment.shift, "augment.shift", REAL, NULL, 0, 1, "X", \
      "largest shift, as a share of the size") \
    X(augment.border, "augment.border", CHOICE, "constant|edge|reflect", 0, 0, "KIND", \
      "what lies beyond the data: zeros, the outermost voxels, or a mirror image") \
    X(augment.blur, "augment.blur", RANGE, NULL, 0, 2, "A,B", \
      "standard deviation of a Gaussian blur, voxels") \
    X(augment.intensity, "augment.intensity", RANGE, NULL, 0, 10, "A,B", "factor of all voxels") \
    X(augment.brightness, "augment.brightness", REAL, NULL, 0, 1, "X", \
      "largest amount added to or taken from voxels of 0 to 1") \
    X(augment.contrast, "augment.contrast", RANGE, NULL, 0, 10, "A,B", \
      "factor of voxels' distances from their mean") \
    X(augment.gamma, "augment.gamma", RANGE, NULL, 0.1, 10, "A,B", "exponent of voxels of 0 to 1") \
    X(augment.noise, "augment.noise", RANGE, NULL, 0, 1, "A,B", \
      "standard deviation of Gaussian noise, for voxels of 0 to 1") \
    X(augment.cutout, "augment.cutout", REAL, NULL, 0, 1, "X", \
      "longest side of a box that is zeroed, as a share of the size") \
    X(augment.rand_ops, "augment.rand_ops", INT, NULL, 0, 8, "N", \
      "RandAugment: operations a clip (0: none)") \
    X(augment.rand_strength, "augment.rand_strength", REAL, NULL, 0, 10, "X", \
      "RandAugment: their strength, 0 to 10") \
    X(augment.shape_intensity, "augment.shape_intensity", FLAG, NULL, 0, 1, NULL, \
      "MedMNIST's random intensity for shape masks: clips times 0 to 2") \
    X(augment.mixup, "augment.mixup", REAL, NULL, 0, 100, "ALPHA", \
      "mix a clip with another of its batch by Beta(alpha, alpha) (0: off)") \
    X(augment.cutmix, "augment.cutmix", REAL, NULL, 0, 100, "ALPHA", \
      "put a box of another clip of the batch in, its share by Beta(alpha, alpha) (0: off)") \
    X(augment.mix_chance, "augment.mix_chance", REAL, NULL, 0, 1, "X", \
      "chance that mixup or cutmix is applied to a clip") \
    X(augment.cutmix_chance, "augment.cutmix_chance", REAL, NULL, 0, 1, "X", \
      "where both are on, the chance that it is cutmix")
/* clang-format on */

#endif
