/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of a sweep: its journal, its trials, and whether it is this sweep's. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../place.h"
#include "../recipe.h"
#include "sweep.h"

bool sweep_path(const sweep *s, int64_t trial, const char *end, char out[TUB_PATH_LENGTH]) {
    return snprintf(out, TUB_PATH_LENGTH, "%s/trials/%04lld%s", s->folder, (long long)trial, end) <
           TUB_PATH_LENGTH;
}

/* Of a file's name what stands before .yaml or .yml: "vit-0.5" of vit-0.5.yaml. */
static int stem_of(const char *name) {
    const char *dot = strrchr(name, '.');
    const bool yaml = dot != NULL && dot > name &&
                      (strcasecmp(dot, ".yaml") == 0 || strcasecmp(dot, ".yml") == 0);
    return (int)(yaml ? (size_t)(dot - name) : strlen(name));
}

/* "sweeps/NAME" of path/to/NAME.yaml. */
static bool name_folder(sweep *s) {
    const char *file = s->options->file, *slash = strrchr(file, '/');
    const char *name = slash != NULL ? slash + 1 : file;
    const int length = stem_of(name);
    const int n = s->options->out != NULL
                      ? snprintf(s->folder, sizeof s->folder, "%s", s->options->out)
                      : snprintf(s->folder, sizeof s->folder, "sweeps/%.*s", length, name);
    return n > 0 && (size_t)n + 64 < sizeof s->folder;
}

static bool is_empty(const char *folder) {
    DIR *d = opendir(folder);
    int entries = 0;
    while (d != NULL && readdir(d) != NULL) {
        entries++;
    }
    if (d != NULL) {
        closedir(d);
    }
    return d != NULL && entries <= 2;
}

/* Makes the folder unless it is there; one with other things in it is somebody's. */
static int make_folder(const sweep *s) {
    char path[TUB_PATH_LENGTH];
    place_parents above;
    place_make_parents(&above, s->folder);
    if (mkdir(s->folder, 0777) != 0 && errno != EEXIST) {
        const int why = errno;
        place_remove_parents(&above);
        return cli_fail_with(s->self, "%s: %s", s->folder, strerror(why));
    }
    snprintf(path, sizeof path, "%.*s/journal.sqlite", TUB_PATH_LENGTH - 32, s->folder);
    if (access(path, F_OK) != 0 && !is_empty(s->folder)) {
        return cli_fail_with(
            s->self, "%s: exists and holds no sweep; name another folder with --out", s->folder);
    }
    return CLI_GO;
}

/* After the journal, by which the folder is known to be a sweep's. */
static int make_trials(const sweep *s) {
    char path[TUB_PATH_LENGTH];
    snprintf(path, sizeof path, "%.*s/trials", TUB_PATH_LENGTH - 32, s->folder);
    return mkdir(path, 0777) == 0 || errno == EEXIST
               ? CLI_GO
               : cli_fail_with(s->self, "%s: %s", path, strerror(errno));
}

bool sweep_write_recipe(const sweep *s, const char *path, const tub_train_config *config,
                        const char *head) {
    char *text = NULL, why[TUB_PATH_LENGTH + 128];
    size_t size = 0;
    tub_error err;
    FILE *out = open_memstream(&text, &size);
    bool fine = out != NULL && fputs(head, out) >= 0 && recipe_write(out, config, &err);
    fine = out != NULL && fclose(out) == 0 && fine;
    if (!fine) {
        snprintf(why, sizeof why, "no memory for a recipe");
    } else {
        fine = output_bytes(text, size, path, why, sizeof why);
    }
    free(text);
    if (!fine) {
        (void)cli_fail_with(s->self, "%s", why);
    }
    return fine;
}

/* ---- Whose sweep it is ---- */

/* What must stay: what trials of before and after have in common. */
static json_t *identity(const sweep *s) {
    json_error_t wrong;
    json_t *file = json_loads(tub_sweep_filled(s->file), 0, &wrong);
    json_t *out = json_object();
    static const char *const keys[] = {"method", "metric", "parameters"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *value = json_object_get(file, keys[i]);
        if (value != NULL) {
            json_object_set(out, keys[i], value);
        }
    }
    json_object_del(json_object_get(out, "metric"), "target"); /* when to end may change */
    json_decref(file);
    return out;
}

/* Settings that every trial begins from, but for those that change no result. */
static json_t *base_identity(const sweep *s) {
    static const char *const free_keys[] = {"loader_threads", "no_cache",    "cache_limit",
                                            "events",         "data_url",    "events_histograms",
                                            "events_images",  "micro_batch", "checkpoint_every"};
    size_t n;
    const tub_option *options = tub_train_options(&n);
    json_t *out = json_object();
    for (size_t i = 0; i < n; i++) {
        char text[TUB_PATH_LENGTH];
        tub_error err;
        bool counts = true;
        for (size_t k = 0; k < sizeof free_keys / sizeof *free_keys; k++) {
            counts = counts && strcmp(options[i].key, free_keys[k]) != 0;
        }
        if (counts &&
            tub_train_config_get(&s->base, options[i].key, text, sizeof text, &err) == TUB_OK) {
            json_object_set_new(out, options[i].key, output_text(text));
        }
    }
    return out;
}

/* The first key in which two objects differ; NULL: none. */
static const char *difference(const json_t *a, const json_t *b) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)a, key, value) {
        if (!json_equal(value, json_object_get(b, key))) {
            return key;
        }
    }
    json_object_foreach((json_t *)b, key, value) {
        if (json_object_get(a, key) == NULL) {
            return key;
        }
    }
    return NULL;
}

/* Keeps an object under a name, or holds it against the one that is there. Releases it. */
static int keep_or_compare(sweep *s, const char *name, json_t *object) {
    tub_error err;
    json_error_t wrong;
    char *known = NULL, *text = json_dumps(object, JSON_COMPACT);
    int code = CLI_GO;
    tub_status status = TUB_E_MEMORY;
    snprintf(err.message, sizeof err.message, "no memory");
    if (text != NULL) {
        status = tub_journal_get(s->context, s->journal, name, &known, &err);
    }
    if (status == TUB_OK && known == NULL) {
        status = tub_journal_put(s->journal, name, text, &err);
    } else if (status == TUB_OK) {
        json_t *before = json_loads(known, JSON_DECODE_ANY, &wrong);
        const char *key = difference(before, object);
        if (key != NULL) {
            code = cli_fail_with(s->self,
                                 "%s: a sweep with another %s; name another folder with --out",
                                 s->folder, key);
        }
        json_decref(before);
    }
    if (status != TUB_OK) {
        code = cli_fail(s->self, &err);
    }
    tub_sweep_text_free(s->context, known);
    free(text);
    json_decref(object);
    return code;
}

static int check_identity(sweep *s) {
    json_t *seed = json_pack("{s:I}", "--sweep-seed", (json_int_t)s->options->seed);
    int code = keep_or_compare(s, "sweep", identity(s));
    if (code == CLI_GO) {
        code = keep_or_compare(s, "base", base_identity(s));
    }
    if (code != CLI_GO) {
        json_decref(seed);
        return code;
    }
    return keep_or_compare(s, "seed", seed);
}

int sweep_open(sweep *s) {
    char path[TUB_PATH_LENGTH];
    tub_error err;
    if (!name_folder(s)) {
        return cli_fail_with(s->self, "the name of the folder is too long");
    }
    int code = make_folder(s);
    if (code != CLI_GO) {
        return code;
    }
    snprintf(path, sizeof path, "%.*s/journal.sqlite", TUB_PATH_LENGTH - 32, s->folder);
    if (tub_journal_open(s->context, path, &s->journal, &err) != TUB_OK) {
        return cli_fail(s->self, &err);
    }
    code = check_identity(s);
    return code == CLI_GO ? make_trials(s) : code;
}
