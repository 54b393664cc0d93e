/* SPDX-License-Identifier: Apache-2.0 */
/* preprocessor_config.json: how samples become what the model takes, in the words of transformers'
 * VivitImageProcessor. */
#ifndef TUB__CONVERT_PREPROCESSOR_JSON_H
#define TUB__CONVERT_PREPROCESSOR_JSON_H

#include "picture/intensity.h"
#include "formats/json.h"
#include "picture/preprocess.h"
#include <tubelet/model.h>
#include <tubelet/sampling.h>

#define TUB__PREPROCESSOR_FILE "preprocessor_config.json"

/* How a model that was trained on files takes clips of them: `clip` within `tubelet`, and the file's
 * own keys for sizes. A sample of such a model's data set has its size already. */
typedef struct tub__clip_rule {
    tub_sampling sampling; /* TUB_SAMPLING_DEFAULT: not known */
    int64_t stride;
    tub__preprocessing picture;   /* resizing and crop of frames */
    int64_t split_seed;           /* of the training's split, of data that say none */
    tub__intensity_window window; /* of float32 */
} tub__clip_rule;

/* The file's text, zero-terminated, the caller's (tub__free). minus: pixels from -1 to 1, not from 0.
 * clip: NULL for a model of samples that have its size. */
TUB_MUST_USE tub_status tub__preprocessor_to_json(const tub_allocator *a,
                                                  const tub_model_config *config, bool minus,
                                                  const tub__clip_rule *clip, char **text,
                                                  size_t *size, tub_error *err);
/* Reads `clip`; *known: there is one, and *out's sampling, stride and seed are filled. */
TUB_MUST_USE tub_status tub__clip_rule_from_json(const tub__json *root, tub__clip_rule *out,
                                                 bool *known, tub_error *err);
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
