/* SPDX-License-Identifier: Apache-2.0 */
/* The models whose mean a prediction is, and volumes through all of them. */
#ifndef APP_PREDICTOR_H
#define APP_PREDICTOR_H

#include "members.h"
#include "predict_print.h"

typedef struct predictor {
    members members;
    tub_average average;
    tub_model **list;     /* [members.count]; the first one's names and sizes are everybody's */
    tub_answers *answers; /* of a batch; NULL for a single model */
} predictor;

/* Opens all members, which stay open: files come one by one. CLI_GO, or the exit code after a
 * sentence; predictor_close in any case. */
int predictor_open(const cli_command *self, cli_work *work, predictor *p);
void predictor_close(predictor *p);
/* The library's sentence, with the name of what does not fit before it. */
tub_status predictor_check_shape(const predictor *p, const char *name, const predict_block *block,
                                 tub_error *err);
/* Classifies a block and prints each volume. */
tub_status predictor_classify(const predictor *p, predict_printer *printer,
                              const predict_block *block, tub_error *err);

/* The same of samples of a data set that lie in files: `whole` has their number and labels. views: several clips of
 * each; NULL: one. */
tub_status predictor_classify_files(const predictor *p, predict_printer *printer,
                                    const tub_dataset *data, tub_split split,
                                    const tub_file_options *views, const predict_block *whole,
                                    tub_error *err);

#endif
