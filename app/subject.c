/* SPDX-License-Identifier: Apache-2.0 */
/* What a MODEL on the command line means: the folder whose weights a command uses. */
#include "subject.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool has_file(const char *folder, const char *name) {
    char path[PATH_MAX];
    return snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path &&
           access(path, F_OK) == 0;
}

bool subject_is_model(const char *path) {
    return has_file(path, "config.json");
}

/* The first folder below that is a model, by name: somebody gave the folder of all runs. */
static bool model_below(const char *folder, char *out, size_t size) {
    DIR *list = opendir(folder);
    char found[NAME_MAX + 1] = "";
    if (list == NULL) {
        return false;
    }
    for (struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list)) {
        char path[PATH_MAX];
        if (entry->d_name[0] != '.' &&
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) < (int)sizeof path &&
            has_file(path, "config.json") &&
            (found[0] == '\0' || strcmp(entry->d_name, found) < 0)) {
            snprintf(found, sizeof found, "%s", entry->d_name);
        }
    }
    closedir(list);
    size_t length = strlen(folder);
    return found[0] != '\0' && snprintf(out, size, "%s%s%s", folder,
                                        folder[length - 1] == '/' ? "" : "/", found) < (int)size;
}

bool subject_has_models(const char *folder) {
    char below[PATH_MAX];
    return model_below(folder, below, sizeof below);
}

int subject_check_folder(const cli_command *self, const char *model) {
    char below[PATH_MAX];
    struct stat status;
    if (stat(model, &status) != 0 || has_file(model, "config.json") ||
        has_file(model, "recipe.yaml")) {
        return CLI_GO; /* opening it says what is wrong, if anything is */
    }
    if (!S_ISDIR(status.st_mode)) {
        return cli_fail_with(self, "%s is a file; a model is the folder that tubelet train made",
                             model);
    }
    if (errno != ENOENT) {
        return cli_fail_with(self, "%s: %s", model, strerror(errno));
    }
    if (model_below(model, below, sizeof below)) {
        return cli_fail_with(self,
                             "%s is no model folder or run folder: it has no config.json; did you "
                             "mean %s?",
                             model, below);
    }
    return cli_fail_with(self,
                         "%s is no model folder or run folder: it has no config.json; give the "
                         "folder that tubelet train made (--out)",
                         model);
}

error_t subject_parse_weights(const char **out, const char *argument, struct argp_state *state) {
    if (strcmp(argument, "last") != 0 && strcmp(argument, "best") != 0) {
        return cli_misuse(state, "--weights '%s' is neither last nor best", argument);
    }
    *out = argument;
    return 0;
}

int subject_local(const cli_command *self, tub_context *ctx, const char *model,
                  char local[PATH_MAX], const char **out) {
    tub_error err;
    *out = model;
    if (!tub_hub_is_name(model)) {
        return CLI_GO;
    }
    if (tub_hub_fetch(ctx, model, local, PATH_MAX, &err) != TUB_OK) {
        return cli_fail(self, &err);
    }
    *out = local;
    return CLI_GO;
}

int subject_resolve(const cli_command *self, tub_context *ctx, const char *model,
                    const char *weights, subject *out) {
    tub_error err;
    char local[PATH_MAX];
    int code = subject_local(self, ctx, model, local, &model);
    if (code == CLI_GO) {
        code = subject_check_folder(self, model);
    }
    if (code != CLI_GO) {
        return code;
    }
    out->is_run = has_file(model, "recipe.yaml");
    if (out->is_run && tub_run_config(ctx, model, &out->config, &err) != TUB_OK) {
        return cli_fail_setting(self, &err);
    }
    if (!out->is_run && weights != NULL && access(model, F_OK) == 0) {
        return cli_fail_with(self, "--weights %s: %s is no run folder", weights, model);
    }
    bool best = weights != NULL ? strcmp(weights, "best") == 0
                                : out->is_run && out->config.evaluate == TUB_EVALUATE_BEST;
    out->weights = out->is_run ? (best ? "best" : "last") : NULL;
    if (snprintf(out->folder, sizeof out->folder, out->is_run && best ? "%s/best" : "%s", model) >=
        (int)sizeof out->folder) {
        return cli_fail_with(self, "the path of the model is too long");
    }
    return CLI_GO;
}
