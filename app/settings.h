/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of a recipe that were given as options, in their order. */
#ifndef APP_SETTINGS_H
#define APP_SETTINGS_H

#include "cli.h"

enum { SETTINGS_LIMIT = 256 };

typedef struct settings {
    int count;
    struct {
        const tub_option *setting;
        const char *text;
    } given[SETTINGS_LIMIT];
} settings;

/* Takes an option whose key is one of a setting; ARGP_ERR_UNKNOWN for another one. */
error_t settings_parse(settings *s, int key, const char *argument, struct argp_state *state);
/* The last value that was given for a key; NULL: none. */
const char *settings_find(const settings *s, const char *key);
/* Misuse where two of them would set every value of the model. */
error_t settings_check_start(const settings *s, struct argp_state *state);
/* Sets every value but that of `except` (NULL: all). */
tub_status settings_apply(const settings *s, const char *except, tub_train_config *config,
                          tub_error *err);

#endif
