/* SPDX-License-Identifier: Apache-2.0 */
/* tubelet eval with several views of each file. */
#ifndef APP_EVAL_VIEWS_H
#define APP_EVAL_VIEWS_H

#include <tubelet/tubelet.h>

/* Logits (NULL: not wanted) and probabilities, [count, K] each, of a split whose samples lie in files, by views and crops as options say.
 * Errors: TUB_E_UNSUPPORTED (samples in memory), those of tub_predict_files; a file that can't be read is
 * an error, because what was surveyed could be. */
tub_status eval_views(tub_model *model, const tub_dataset *data, tub_split split,
                      const tub_file_options *options, float *logits, float *probabilities,
                      tub_error *err);

#endif
