/* SPDX-License-Identifier: Apache-2.0 */
/* config.json of transformers' ViT, a model of pictures: here a ViViT of clips of one frame. */
#ifndef TUB__CONVERT_VIT_JSON_H
#define TUB__CONVERT_VIT_JSON_H

#include "convert/config_json.h"

/* Whether the file says that it is one. */
bool tub__vit_is(const tub__json *root);
/* Reads a parsed file into a checked configuration: one frame, and tubelets of one frame. *classifier:
 * whether there can be one here (of a single class there is none). *labels as tub__config_from_json. The
 * sentence of an error names the key, not the file. */
TUB_MUST_USE tub_status tub__vit_from_json(const tub_allocator *a, const tub__json *root,
                                           tub_model_config *config, bool *classifier,
                                           char ***labels, tub_error *err);

#endif
