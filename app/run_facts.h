/* SPDX-License-Identifier: Apache-2.0 */
/* How far a run is, from the files in its folder. */
#ifndef APP_RUN_FACTS_H
#define APP_RUN_FACTS_H

#include <stdbool.h>
#include <tubelet/tubelet.h>

typedef struct run_facts {
    tub_train_config config;
    int64_t trained;       /* parameters that its training changes */
    int64_t epochs, steps; /* done; the epochs count a last one that is done in part */
    bool partial;          /* there is one */
    int64_t best_epoch;    /* 0: there is no best epoch yet */
    tub_scores best;       /* of the validation split */
} run_facts;

/* Whether a folder is a run. */
bool run_facts_is_run(const char *folder);
/* What is missing or damaged but for the recipe counts as not done: a run that was just begun, or
 * killed, lacks most of it. Errors: those of tub_run_config. */
TUB_MUST_USE tub_status run_facts_read(tub_context *ctx, const char *run, run_facts *out,
                                       tub_error *err);

#endif
