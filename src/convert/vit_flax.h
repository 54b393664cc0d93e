/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays of transformers' FlaxViT: flax_model.msgpack beside config.json. */
#ifndef TUB__CONVERT_VIT_FLAX_H
#define TUB__CONVERT_VIT_FLAX_H

#include "convert/file_array.h"
#include "model/model.h"

/* Whether a ViT's folder has its arrays there only: model.safetensors goes first. */
TUB_MUST_USE tub_status tub__vit_flax_is(const tub_allocator *a, const char *folder, bool *out,
                                         tub_error *err);
/* Fills a new float32 model of the folder's configuration, a clip of one frame. *classifier: whether
 * there may be one, and then whether there is; without one the model's stays as it is. arrays:
 * [params.count], what the file has of each parameter. Missing, unexpected and misshapen arrays and values
 * that are not finite are errors that name file and array; a pooler is not looked at. */
TUB_MUST_USE tub_status tub__vit_flax_read(tub_model *model, const char *folder, bool *classifier,
                                           tub__file_array *arrays, tub_error *err);

#endif
