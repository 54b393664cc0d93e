/* SPDX-License-Identifier: Apache-2.0 */
/* preprocessor_config.json: how samples become what the model takes, in the words of transformers'
 * VivitImageProcessor. */
#ifndef TUB__CONVERT_PREPROCESSOR_JSON_H
#define TUB__CONVERT_PREPROCESSOR_JSON_H

#include "picture/preprocess.h"
#include "formats/json.h"
#include <tubelet/model.h>

#define TUB__PREPROCESSOR_FILE "preprocessor_config.json"

/* The file's text, zero-terminated, the caller's (tub__free). minus: pixels from -1 to 1, not from 0. */
TUB_MUST_USE tub_status tub__preprocessor_to_json(const tub_allocator *a,
                                                  const tub_model_config *config, bool minus,
                                                  char **text, size_t *size, tub_error *err);
/* Reads what tubelet can do: the input scale goes into *config. *foreign: the file asks for more
 * than scaling to [0,1] (an offset, a normalisation, another factor), so that uint8 input would be
 * prepared differently there. Unknown keys are fine. */
TUB_MUST_USE tub_status tub__preprocessor_from_json(const tub__json *root, tub_model_config *config,
                                                    bool *foreign, tub_error *err);
/* Reads all of it, as transformers' VivitImageProcessor does: what is left out has that class's
 * defaults (so that a file without `offset` means it), and a size may be one number. The sentence of an
 * error names the key, not the file. */
TUB_MUST_USE tub_status tub__preprocessing_from_json(const tub__json *root, tub__preprocessing *out,
                                                     tub_error *err);

#endif
