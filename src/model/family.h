/* SPDX-License-Identifier: Apache-2.0 */
/* What the baselines are made of: their convolutions, by configuration. */
#ifndef TUB__MODEL_FAMILY_H
#define TUB__MODEL_FAMILY_H

#include "model/model.h"

/* What a setting that is 0 means. */
size_t tub__family_filters(const tub_model_config *config);
size_t tub__family_stages(const tub_model_config *config);
size_t tub__family_units(const tub_model_config *config);

bool tub__family_is_cnn(tub_family family); /* convolutions frame by frame */
bool tub__family_has_batch_norm(tub_family family);
/* The name in settings and files. */
const char *tub__family_name(tub_family family);

/* Of a configuration whose sizes are checked, but for those of its family. */
TUB_MUST_USE tub_status tub__family_check(const tub_model_config *config, tub_error *err);

/* Refuses what only vision transformers have products for: returns status. */
TUB_MUST_USE tub_status tub__family_no_precision(const tub_model_config *config,
                                                 const char *precision, tub_status status,
                                                 tub_error *err);

/* Added to the variances of batch norms: PyTorch's. */
#define TUB__BATCH_EPSILON 1e-5

/* Stages, convolutions of all stages, and width of the recurrent unit, at most. */
enum { TUB__STAGES = 6, TUB__CONVS = 1 + 5 * TUB__STAGES, TUB__UNITS = 4096 };

/* One convolution: what it sees of a frame (whose time is 1) or of a volume. */
typedef struct tub__conv_shape {
    tub__window window;
    size_t in, out;          /* channels */
    char name[48], norm[48]; /* in files; norm: of the batch norm behind it, or "" */
} tub__conv_shape;

typedef struct tub__conv_shapes {
    size_t count;
    tub__conv_shape list[TUB__CONVS];
} tub__conv_shapes;

/* In the order of their numbers in the parameter table. Those of resnet3d18: the first; then for each
 * of two blocks a stage two of 3x3x3, and where the block's ends differ in shape one of 1x1x1. */
tub__conv_shapes tub__family_convs(const tub_model_config *config);
/* Whether a block of resnet3d18 has the third one. */
static inline bool tub__family_shortcut(size_t stage, size_t block) {
    return stage > 0 && block == 0;
}
/* The max pooling behind a convolution of a frame. */
tub__window tub__family_pool(const tub__conv_shape *conv);
/* Channels that leave the last one. */
size_t tub__family_features(const tub_model_config *config);
/* What the head takes, of any family. */
size_t tub__family_head_width(const tub_model_config *config);
/* Frames of a sample that convolutions go over by themselves; of resnet3d18 1: the volume. */
size_t tub__family_frames(const tub_model_config *config);

/* Multiply-adds of one clip's forward pass but for what the towers and the head do; *first: those of
 * the first convolution, whose input has no gradient. */
double tub__family_multiply_adds(const tub_model_config *config, double *first);

#endif
