/* SPDX-License-Identifier: Apache-2.0 */
/* The settings in which runs differ. */
#include "compare.h"

#include <stdlib.h>
#include <string.h>

enum { VALUE = TUB_PATH_LENGTH };

/* NULL of what is no run. False: no memory. */
static bool value_of(const compared_run *run, const char *key, char **out) {
    char text[VALUE];
    tub_error err;
    *out = NULL;
    if (!run->subject.is_run ||
        tub_train_config_get(&run->subject.config, key, text, sizeof text, &err) != TUB_OK) {
        return true;
    }
    *out = strdup(text);
    return *out != NULL;
}

static bool differ(char *const *values, int count) {
    const char *first = NULL;
    for (int i = 0; i < count; i++) {
        if (values[i] != NULL && first != NULL && strcmp(values[i], first) != 0) {
            return true;
        }
        first = first == NULL ? values[i] : first;
    }
    return false;
}

static void free_values(char **values, int count) {
    for (int i = 0; values != NULL && i < count; i++) {
        free(values[i]);
    }
    free(values);
}

/* The values of all runs; NULL: no memory. */
static char **values_of(const comparison *c, const char *key) {
    char **values = calloc((size_t)c->count, sizeof *values);
    bool fine = values != NULL;
    for (int i = 0; i < c->count && fine; i++) {
        fine = value_of(&c->runs[i], key, &values[i]);
    }
    if (!fine) {
        free_values(values, c->count);
    }
    return fine ? values : NULL;
}

bool compare_settings(comparison *c) {
    size_t n;
    const tub_option *options = tub_train_options(&n);
    c->settings = calloc(n, sizeof *c->settings);
    for (size_t k = 0; k < n && c->settings != NULL; k++) {
        char **values = values_of(c, options[k].key);
        if (values == NULL) {
            return false;
        }
        if (differ(values, c->count)) {
            c->settings[c->settings_count++] = (compared_setting){options[k].key, values};
        } else {
            free_values(values, c->count);
        }
    }
    return c->settings != NULL;
}
