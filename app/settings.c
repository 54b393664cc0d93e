/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of a recipe that were given as options, in their order. */
#include "settings.h"

#include <string.h>

error_t settings_parse(settings *s, int key, const char *argument, struct argp_state *state) {
    const tub_option *setting = key >= CLI_KEY_SETTING ? cli_setting(key) : NULL;
    if (setting == NULL) {
        return ARGP_ERR_UNKNOWN;
    }
    if (s->count == SETTINGS_LIMIT) {
        return cli_misuse(state, "more than %d settings on one line", SETTINGS_LIMIT);
    }
    s->given[s->count].setting = setting;
    s->given[s->count++].text = argument != NULL ? argument : "true";
    return 0;
}

const char *settings_find(const settings *s, const char *key) {
    for (int i = s->count - 1; i >= 0; i--) {
        if (strcmp(s->given[i].setting->key, key) == 0) {
            return s->given[i].text;
        }
    }
    return NULL;
}

error_t settings_check_start(const settings *s, struct argp_state *state) {
    const bool both = settings_find(s, "preset") != NULL && settings_find(s, "init_from") != NULL;
    return both ? cli_misuse(state, "--preset and --init-from contradict each other; the model's "
                                    "sizes are those of what it starts from")
                : 0;
}

tub_status settings_apply(const settings *s, const char *except, tub_train_config *config,
                          tub_error *err) {
    tub_status status = TUB_OK;
    for (int i = 0; i < s->count && status == TUB_OK; i++) {
        const char *key = s->given[i].setting->key;
        if (except == NULL || strcmp(key, except) != 0) {
            status = tub_train_config_set(config, key, s->given[i].text, err);
        }
    }
    return status;
}
