/* SPDX-License-Identifier: Apache-2.0 */
/* Facts about models, data sets and the machine as text and as JSON. */
#ifndef APP_INFO_PRINT_H
#define APP_INFO_PRINT_H

#include "output.h"
#include "run_facts.h"
#include <stdbool.h>
#include <tubelet/tubelet.h>

typedef struct info_model {
    const char *name;
    const tub_model_config *config;
    const tub_model *model; /* NULL for a preset whose arrays are not asked for */
    tub_model_cost cost;
    tub_train_memory memory; /* of training, without the data */
    int64_t batch;           /* of that */
    bool arrays;
    bool int8;            /* its weights are whole numbers */
    const run_facts *run; /* NULL: a plain model folder, or a preset */
} info_model;

/* The JSON functions return NULL when there is no memory. */
void info_print_model(const info_model *m);
json_t *info_model_json(const info_model *m);
void info_print_data(const tub_dataset_info *info);
json_t *info_data_json(const tub_dataset_info *info);
/* A data set that is known but not downloaded. */
void info_print_known(const tub_known_dataset *k);
json_t *info_known_json(const tub_known_dataset *k);
void info_print_machine(const tub_context *ctx, const tub_machine *machine);
json_t *info_machine_json(const tub_context *ctx, const tub_machine *machine);

#endif
