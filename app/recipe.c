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

static void print_yaml(FILE *out, const tub_option *setting, const char *name, const char *text,
                       const char *indent) {
    bool is_text = setting->type == TUB_OPTION_TEXT || setting->type == TUB_OPTION_CHOICE;
    if (setting->type == TUB_OPTION_INT3 || setting->type == TUB_OPTION_HEADS ||
        setting->type == TUB_OPTION_RANGE) {
        fprintf(out, "%s%s: [%s]\n", indent, name, text);
    } else if (is_text && needs_quotes(text)) {
        fprintf(out, "%s%s: '", indent, name);
        for (const char *c = text; *c != '\0'; c++) {
            fprintf(out, *c == '\'' ? "''" : "%c", *c);
        }
        fprintf(out, "'\n");
    } else {
        fprintf(out, "%s%s: %s\n", indent, name, text);
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

bool recipe_write(FILE *out, const tub_train_config *config, tub_error *err) {
    size_t n = 0;
    const tub_option *settings = tub_train_options(&n);
    char group[64] = "";
    for (size_t i = 0; i < n; i++) {
        char text[TUB_PATH_LENGTH];
        if (tub_train_config_get(config, settings[i].key, text, sizeof text, err) != TUB_OK) {
            return false;
        }
        const char *dot = strchr(settings[i].key, '.');
        int prefix = dot != NULL ? (int)(dot - settings[i].key) : 0;
        if (prefix > 0 && strncmp(group, settings[i].key, (size_t)prefix + 1) != 0) {
            snprintf(group, sizeof group, "%.*s.", prefix, settings[i].key);
            fprintf(out, "%.*s:\n", prefix, settings[i].key);
        }
        print_yaml(out, &settings[i], dot != NULL ? dot + 1 : settings[i].key, text,
                   prefix > 0 ? "  " : "");
    }
    return true;
}

static json_t *recipe_json(const tub_train_config *config, tub_error *err) {
    size_t n = 0;
    const tub_option *settings = tub_train_options(&n);
    json_t *object = json_object();
    for (size_t i = 0; i < n; i++) {
        char text[TUB_PATH_LENGTH];
        if (tub_train_config_get(config, settings[i].key, text, sizeof text, err) != TUB_OK) {
            json_decref(object);
            return NULL;
        }
        json_object_set_new(object, settings[i].key, json_value(&settings[i], text));
    }
    return object;
}

bool recipe_print(const tub_train_config *config, bool json, json_t *plan) {
    tub_error err = {0};
    json_t *object = json ? recipe_json(config, &err) : NULL;
    if (json ? object == NULL : !recipe_write(stdout, config, &err)) {
        fprintf(stderr, "tubelet train: %s\n", err.message);
        json_decref(plan);
        return false;
    }
    if (plan != NULL) {
        json_object_set_new(object, "plan", plan);
    }
    return json ? output_line(object) : true;
}
