/* SPDX-License-Identifier: Apache-2.0 */
/* Augmentation: what training does to a clip at random, and how it mixes clips of a batch. Formulas,
 * order and draws: docs/augmentation.md. */
#ifndef TUBELET_AUGMENT_H
#define TUBELET_AUGMENT_H

#include <tubelet/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How a clip is taken from a sample that is larger. */
typedef enum tub_crop { TUB_CROP_CENTRE = 0, TUB_CROP_RANDOM, TUB_CROP_RESIZED } tub_crop;
/* What lies beyond a sample. */
typedef enum tub_border {
    TUB_BORDER_CONSTANT = 0, /* zeros */
    TUB_BORDER_EDGE,         /* the outermost voxel again */
    TUB_BORDER_REFLECT       /* mirrored at the outermost voxel, which does not come twice */
} tub_border;

/* Ranges are [lowest, highest] and drawn from evenly (crop_aspect by its logarithm). Values of voxels
 * are counted from 0 to 1: those of uint8 divided by 255. The defaults do nothing. */
typedef struct tub_augment_config {
    size_t size;         /* sizeof(tub_augment_config) */
    int volume;          /* non-zero: frames are an axis of space; else all frames of a clip get the
                            same transform, in their planes */
    int temporal_jitter; /* non-zero: begin anywhere where the sample has more frames */
    double speed[2];     /* frames of the sample to one of the clip, as far as there are */
    tub_crop crop;
    double crop_scale[2];          /* TUB_CROP_RESIZED: share of the plane's area */
    double crop_aspect[2];         /* width over height, times the sample's own */
    double flip_t, flip_h, flip_w; /* chances */
    double scale[2];               /* factor of size */
    double rotate;                 /* largest angle, degrees */
    double shift;                  /* largest shift, as a share of the size */
    tub_border border;
    double blur[2]; /* standard deviation, voxels */
    double intensity[2];
    double brightness; /* largest amount that is added or taken away */
    double contrast[2];
    double gamma[2];
    double noise[2];      /* standard deviation */
    double cutout;        /* longest side of a box of zeros, as a share of the size */
    int64_t rand_ops;     /* operations of RandAugment; 0: none */
    double rand_strength; /* their strength, 0 to 10 */
    int shape_intensity;  /* non-zero: the clip times [0,2), handed over as float32 */
    double mixup, cutmix; /* alpha of Beta(alpha, alpha); 0: off */
    double mix_chance;    /* share of the samples that are mixed with another one */
    double cutmix_chance; /* of those, where both are on, the share that cutmix gets */
} tub_augment_config;

/* Everything off. */
TUB_API tub_augment_config tub_augment_config_default(void);
/* Whether anything is on. */
TUB_API int tub_augment_is_on(const tub_augment_config *config);
/* Bounds of every value, and values against each other. Errors: TUB_E_ARGUMENT (not made by
 * tub_augment_config_default; settings that exclude each other), TUB_E_RANGE. */
TUB_API TUB_MUST_USE tub_status tub_augment_config_check(const tub_augment_config *config,
                                                         tub_error *err);

#ifdef __cplusplus
}
#endif
#endif
