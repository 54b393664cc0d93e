/* SPDX-License-Identifier: Apache-2.0 */
/* What a model keeps of its folder's preprocessor_config.json: the settings, for preparing samples and
 * clips of files, and the file, for saving. */
#ifndef TUB__CONVERT_PREPARE_H
#define TUB__CONVERT_PREPARE_H

#include "convert/preprocessor_json.h"
#include "model/model.h"

/* Reads a folder's file into its new model; a folder without one leaves the model as it is. A file by
 * which the input leaves the range that its offset gives is told in a warning. */
TUB_MUST_USE tub_status tub__model_read_preprocessing(tub_model *model, const char *folder,
                                                      tub_error *err);
/* From now on uint8 samples are scaled to -1…1, and a folder of the model says so. */
TUB_MUST_USE tub_status tub__model_scale_signed(tub_model *model, tub_error *err);
/* The settings of the model's folder, or plain scaling of the model's own size. */
tub__preprocessing tub__model_preprocessing(const tub_model *model);

/* ---- Clips of files: frames are resized and cropped once, when they are read (data/clip_read.h), to uint8
 * of the model's size; what is left to do is the scaling. ---- */

/* How the model's folder takes clips of files: the sampling of its data, and the sizes. A folder that
 * says nothing of sampling has TUB_SAMPLING_DEFAULT; one that says nothing of sizes takes frames of the
 * model's size. */
tub__clip_rule tub__model_clip_rule(const tub_model *model);
/* From now on the model, and a folder of it, takes clips of files by this rule. Frames that are resized
 * by their shortest edge and cropped, or not at all, to the model's size. Error: TUB_E_UNSUPPORTED (a
 * model whose samples are normalised). */
TUB_MUST_USE tub_status tub__model_set_clip_rule(tub_model *model, const tub__clip_rule *rule,
                                                 tub_error *err);
/* Whether uint8 samples of the model's own size go into tub_model_forward as they are; else
 * tub__model_scale makes floats of them. */
bool tub__model_takes_levels(const tub_model *model);
/* Samples of uint8 [count,T,H,W,C] that have been resized and cropped, to out of float32: rescaled, moved
 * and normalised as the folder says. */
TUB_MUST_USE tub_status tub__model_scale(const tub_model *model, int64_t count,
                                         const unsigned char *samples, float *out, tub_error *err);

#endif
