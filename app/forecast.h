/* SPDX-License-Identifier: Apache-2.0 */
/* What a training will take, for people and as JSON: memory and time. */
#ifndef APP_FORECAST_H
#define APP_FORECAST_H

#include "output.h"
#include <stdio.h>
#include <tubelet/tubelet.h>

/* "weights 6.3 MiB, gradients 6.3 MiB, …": the parts that are there. */
void forecast_print_parts(FILE *to, const tub_train_memory *memory);
/* An object of bytes; NULL: no memory. */
json_t *forecast_memory_json(const tub_train_memory *memory);
/* A line each. */
void forecast_print_memory(FILE *to, const tub_train_memory *memory);
void forecast_print_time(FILE *to, const tub_train_pace *pace);

#endif
