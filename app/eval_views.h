/* SPDX-License-Identifier: Apache-2.0 */
/* Several views of each file of a data set, for tubelet eval and predict. */
#ifndef APP_EVAL_VIEWS_H
#define APP_EVAL_VIEWS_H

#include <tubelet/tubelet.h>

/* Samples of a split whose samples lie in files. */
typedef struct eval_part {
    const tub_dataset *data;
    tub_split split;
    int64_t first, count;
} eval_part;

/* Logits (NULL: not wanted) and probabilities, [count, K] each, by views and crops as options say.
 * Errors: TUB_E_UNSUPPORTED (samples in memory), those of tub_predict_files; a file that can't be read is
 * an error, because what was surveyed could be. */
tub_status eval_views(tub_model *model, const eval_part *of, const tub_file_options *options,
                      float *logits, float *probabilities, tub_error *err);

#endif
