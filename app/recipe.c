/* SPDX-License-Identifier: Apache-2.0 */
/* Prints a training configuration as the recipe that gives it. */
#include "recipe.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Text that YAML 1.2 would read as something else than this text gets quotes. */
static bool needs_quotes(const char *text) {
    return text[0] == '\0' || strpbrk(text, ":#'\"[]{},&*!|>%@`\n") != NULL || isspace(text[0]) ||
           strchr("-?0123456789.+~", text[0]) != NULL || strcmp(text, "true") == 0 ||
           strcmp(text, "false") == 0 || strcmp(text, "null") == 0;
}

static void print_yaml(const tub_option *setting, const char *name, const char *text,
                       const char *indent) {
    bool is_text = setting->type == TUB_OPTION_TEXT || setting->type == TUB_OPTION_CHOICE;
    if (setting->type == TUB_OPTION_INT3 || setting->type == TUB_OPTION_HEADS ||
        setting->type == TUB_OPTION_RANGE) {
        printf("%s%s: [%s]\n", indent, name, text);
    } else if (is_text && needs_quotes(text)) {
        printf("%s%s: '", indent, name);
        for (const char *c = text; *c != '\0'; c++) {
            printf(*c == '\'' ? "''" : "%c", *c);
        }
        printf("'\n");
    } else {
        printf("%s%s: %s\n", indent, name, text);
    }
}

static json_t *json_value(const tub_option *setting, const char *text) {
    json_error_t error;
    json_t *value = NULL;
    if (setting->type == TUB_OPTION_INT || setting->type == TUB_OPTION_REAL ||
        setting->type == TUB_OPTION_FLAG) {
        value = json_loads(text, JSON_DECODE_ANY, &error);
    }
    return value != NULL ? value : output_text(text);
}

bool recipe_print(const tub_train_config *config, bool json, json_t *plan) {
    size_t n = 0;
    const tub_option *settings = tub_train_options(&n);
    json_t *object = json ? json_object() : NULL;
    char group[64] = "";
    for (size_t i = 0; i < n; i++) {
        char text[TUB_PATH_LENGTH];
        tub_error err;
        if (tub_train_config_get(config, settings[i].key, text, sizeof text, &err) != TUB_OK) {
            fprintf(stderr, "tubelet train: %s\n", err.message);
            json_decref(object);
            json_decref(plan);
            return false;
        }
        if (json) {
            json_object_set_new(object, settings[i].key, json_value(&settings[i], text));
            continue;
        }
        const char *dot = strchr(settings[i].key, '.');
        int prefix = dot != NULL ? (int)(dot - settings[i].key) : 0;
        if (prefix > 0 && strncmp(group, settings[i].key, (size_t)prefix + 1) != 0) {
            snprintf(group, sizeof group, "%.*s.", prefix, settings[i].key);
            printf("%.*s:\n", prefix, settings[i].key);
        }
        print_yaml(&settings[i], dot != NULL ? dot + 1 : settings[i].key, text,
                   prefix > 0 ? "  " : "");
    }
    if (plan != NULL) {
        json_object_set_new(object, "plan", plan);
    }
    return json ? output_line(object) : true;
}
