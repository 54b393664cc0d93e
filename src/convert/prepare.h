/* SPDX-License-Identifier: Apache-2.0 */
/* What a model keeps of its folder's preprocessor_config.json: the settings, for preparing samples, and
 * the file, for saving. */
#ifndef TUB__CONVERT_PREPARE_H
#define TUB__CONVERT_PREPARE_H

#include "model/model.h"
#include "picture/preprocess.h"

/* Reads a folder's file into its new model; a folder without one leaves the model as it is. A file by
 * which the input leaves the range that its offset gives is told in a warning. */
TUB_MUST_USE tub_status tub__model_read_preprocessing(tub_model *model, const char *folder,
                                                      tub_error *err);
/* From now on uint8 samples are scaled to -1…1, and a folder of the model says so. */
TUB_MUST_USE tub_status tub__model_scale_signed(tub_model *model, tub_error *err);
/* The settings of the model's folder, or plain scaling of the model's own size. */
tub__preprocessing tub__model_preprocessing(const tub_model *model);

#endif
