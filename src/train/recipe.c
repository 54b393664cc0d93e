/* SPDX-License-Identifier: Apache-2.0 */
/* Recipes: reading settings from YAML, writing the resolved recipe of a run and reading it back. */
#include "train/recipe.h"

#include "base/error.h"
#include "base/file.h"
#include "base/md5.h"
#include "base/module.h"
#include "base/number.h"
#include "formats/yaml.h"
#include "train/options.h"
#include "train/run_folder.h"
#include "train/start.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { RECIPE_LIMIT = 1 << 20 };

/* Mappings of a recipe: their keys begin with the name and a dot. */
static const char *const sections[] = {"augment", "clip", "model"};
enum { SECTIONS = sizeof sections / sizeof *sections };

/* The section of a mapping's name or of a key such as "model.heads"; NULL: none. */
static const char *section_of(const char *key) {
    for (size_t i = 0; i < SECTIONS; i++) {
        const size_t length = strlen(sections[i]);
        if (strncmp(key, sections[i], length) == 0 && (key[length] == '\0' || key[length] == '.')) {
            return sections[i];
        }
    }
    return NULL;
}

/* A scalar as tub_train_config_set takes it. borrowed: the text of a text value. */
static tub_status scalar_text(const tub__json *v, const char *key, char *out, size_t size,
                              const char **text, tub_error *err) {
    int64_t whole = 0;
    bool flag = false;
    double real = 0.0;
    *text = out;
    switch (tub__json_kind_of(v)) {
    case TUB__JSON_INTEGER:
        TUB__TRY(tub__json_to_integer(v, key, &whole, err));
        snprintf(out, size, "%" PRId64, whole);
        return TUB_OK;
    case TUB__JSON_REAL:
        TUB__TRY(tub__json_to_real(v, key, &real, err));
        tub__shortest_real(real, out);
        return TUB_OK;
    case TUB__JSON_BOOL:
        TUB__TRY(tub__json_to_bool(v, key, &flag, err));
        snprintf(out, size, "%s", flag ? "true" : "false");
        return TUB_OK;
    case TUB__JSON_TEXT:
        return tub__json_to_text(v, key, text, err);
    default:
        break;
    }
    return tub__fail(err, TUB_E_FORMAT, "%s: expected one value, found %s", key,
                     tub__json_kind_name(v));
}

/* Sets one key; a list such as [8, 8, 8] becomes "8,8,8". */
static tub_status set_value(tub_train_config *config, const char *key, const tub__json *value,
                            tub_error *err) {
    char part[32], joined[128];
    const char *text = NULL;
    if (tub__json_kind_of(value) != TUB__JSON_ARRAY) {
        TUB__TRY(scalar_text(value, key, part, sizeof part, &text, err));
        return tub_train_config_set(config, key, text, err);
    }
    size_t used = 0;
    joined[0] = '\0';
    for (size_t i = 0; i < tub__json_size(value) && used < sizeof joined; i++) {
        TUB__TRY(scalar_text(tub__json_at(value, i), key, part, sizeof part, &text, err));
        used +=
            (size_t)snprintf(joined + used, sizeof joined - used, "%s%s", i > 0 ? "," : "", text);
    }
    return tub_train_config_set(config, key, joined, err);
}

static tub_status apply_section(const char *section, const tub__json *mapping,
                                tub_train_config *config, tub_error *err) {
    for (void *it = tub__json_first(mapping); it != NULL; it = tub__json_next(mapping, it)) {
        char key[128];
        snprintf(key, sizeof key, "%s.%s", section, tub__json_key(it));
        TUB__TRY(set_value(config, key, tub__json_value(it), err));
    }
    return TUB_OK;
}

tub_status tub__recipe_apply(const tub__json *recipe, const tub_model_config *start,
                             tub_train_config *config, tub_error *err) {
    const tub__json *object = NULL;
    TUB__TRY(tub__json_to_object(recipe, "a recipe", &object, err));
    const tub__json *preset = tub__json_get(object, "preset");
    if (preset != NULL) {
        TUB__TRY(set_value(config, "preset", preset, err));
    }
    if (start != NULL) {
        tub__train_model_from(config, start);
    }
    for (void *it = tub__json_first(object); it != NULL; it = tub__json_next(object, it)) {
        const char *key = tub__json_key(it);
        const tub__json *value = tub__json_value(it);
        const char *section = section_of(key);
        if (section != NULL && strcmp(key, section) == 0) {
            TUB__TRY(tub__json_to_object(value, key, &value, err));
            TUB__TRY(apply_section(section, value, config, err));
        } else if (tub__json_kind_of(value) == TUB__JSON_OBJECT) {
            return tub__fail(err, TUB_E_ARGUMENT,
                             "'%.80s' is a mapping; only 'augment', 'clip' and 'model' are some", key);
        } else if (value != preset) {
            TUB__TRY(set_value(config, key, value, err));
        }
    }
    return TUB_OK;
}

static tub_status put_option(tub__json_writer *w, const tub_train_config *config,
                             const tub_option *o, tub_error *err) {
    char text[TUB_PATH_LENGTH];
    const char *dot = strchr(o->key, '.'), *name = dot != NULL ? dot + 1 : o->key;
    int64_t whole = 0;
    double real = 0.0;
    TUB__TRY(tub_train_config_get(config, o->key, text, sizeof text, err));
    switch (o->type) {
    case TUB_OPTION_INT:
        if (tub__number_to_int(text, &whole)) {
            tub__json_put_integer(w, name, whole);
        }
        break;
    case TUB_OPTION_REAL:
        if (tub__number_to_real(text, &real)) {
            tub__json_put_real(w, name, real);
        }
        break;
    case TUB_OPTION_FLAG:
        tub__json_put_bool(w, name, strcmp(text, "true") == 0);
        break;
    default:
        tub__json_put_text(w, name, text);
        break;
    }
    return TUB_OK;
}

tub_status tub__recipe_put(tub__json_writer *w, const char *key, const tub_train_config *config,
                           tub_error *err) {
    size_t count = 0;
    const tub_option *options = tub_train_options(&count);
    const char *inside = NULL; /* the mapping that is open */
    tub__json_open_object(w, key);
    for (size_t i = 0; i < count; i++) {
        /* Settings of a section stand together, and those of none come first. */
        const char *section = section_of(options[i].key);
        if (section != inside) {
            if (inside != NULL) {
                tub__json_close_object(w);
            }
            tub__json_open_object(w, section);
            inside = section;
        }
        TUB__TRY(put_option(w, config, &options[i], err));
    }
    tub__json_close_object(w);
    tub__json_close_object(w);
    return TUB_OK;
}

tub_status tub__recipe_text(const tub_allocator *a, const tub_train_config *config, char **text,
                            size_t *size, tub_error *err) {
    tub__json_writer w;
    tub__json_start(&w, a, 2);
    const tub_status status = tub__recipe_put(&w, NULL, config, err);
    if (status != TUB_OK) {
        tub__json_discard(&w);
        return status;
    }
    return tub__json_finish(&w, text, size, err);
}

tub_status tub__recipe_write(const tub_allocator *a, const char *path,
                             const tub_train_config *config, tub_error *err) {
    char *text = NULL;
    size_t size = 0;
    TUB__TRY(tub__recipe_text(a, config, &text, &size, err));
    tub_status status = tub__file_write(a, path, text, size, err);
    tub__free(a, text);
    return status;
}

/* Settings that change no bit of a step, or that a resumed run may change. */
static bool decides(const char *key) {
    static const char *const others[] = {
        "data",        "data_url",       "preset",   "epochs",      "max_steps",
        "micro_batch", "recompute",      "ranks",    "patience",    "checkpoint_every",
        "evaluate",    "loader_threads", "no_cache", "cache_limit", "tta",
        "data_digest", "schedule_steps"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strcmp(key, others[i]) == 0) {
            return false;
        }
    }
    return strncmp(key, "events", 6) != 0;
}

tub_status tub__recipe_digest(const tub_train_config *config, char hex[33], tub_error *err) {
    size_t count = 0;
    const tub_option *options = tub_train_options(&count);
    tub__md5 md5;
    tub__md5_init(&md5);
    for (size_t i = 0; i < count; i++) {
        char text[TUB_PATH_LENGTH];
        if (decides(options[i].key)) {
            TUB__TRY(tub_train_config_get(config, options[i].key, text, sizeof text, err));
            tub__md5_update(&md5, options[i].key, strlen(options[i].key) + 1);
            tub__md5_update(&md5, text, strlen(text) + 1);
        }
    }
    tub__md5_finish(&md5, hex);
    return TUB_OK;
}

/* A run folder holds a recipe, and may be meant. */
static tub_status check_not_folder(const tub_allocator *a, const char *path, tub_error *err) {
    char *inner = NULL;
    if (!tub__is_folder(path)) {
        return TUB_OK;
    }
    TUB__TRY(tub__path_join(a, path, TUB__RUN_RECIPE, &inner, err));
    tub_status status =
        tub__file_exists(inner)
            ? tub__fail(err, TUB_E_IO, "%s is a folder, not a recipe; did you mean %s?", path,
                        inner)
            : tub__fail(err, TUB_E_IO, "%s is a folder; a recipe is a YAML file", path);
    tub__free(a, inner);
    return status;
}

/* The recipes of the folder recipes/, which are installed beside the modules. */
static const char *const own_recipes[] = {
    "keras-vivit",     "vivit-adamw",     "vivit-scenic",    "organ",
    "adrenal",         "modelnet10",      "fight",           "lung-ultrasound",
    "motion-variant1", "motion-variant2", "motion-variant3", "motion-variant4"};
enum { OWN_RECIPES = sizeof own_recipes / sizeof *own_recipes };

static const char *recipe_word(const void *words, size_t index) {
    return ((const char *const *)words)[index];
}

/* A file recipes/NAME.yaml that is not here may be meant as the recipe NAME that comes along: the
 * folder recipes/ is in tubelet's sources. */
static const char *own_recipe_of(const char *path) {
    const char *name = tub__path_name(path);
    size_t length = strcspn(name, ".");
    bool yaml = name[length] == '\0' || strcmp(name + length, ".yaml") == 0 ||
                strcmp(name + length, ".yml") == 0;
    for (size_t i = 0; i < OWN_RECIPES && yaml; i++) {
        if (strlen(own_recipes[i]) == length && memcmp(own_recipes[i], name, length) == 0) {
            return own_recipes[i];
        }
    }
    return NULL;
}

/* The file that a recipe's path or name means. A file of that name comes first. */
static tub_status find_recipe(const tub_context *ctx, const char *name, char *path, size_t room,
                              tub_error *err) {
    char file[128];
    snprintf(path, room, "%s", name);
    bool absent = !tub__file_exists(name) && errno == ENOENT;
    const char *own = absent ? own_recipe_of(name) : NULL;
    if (own != NULL && strcmp(own, name) != 0) {
        return tub__fail(err, TUB_E_NOT_FOUND,
                         "%s: no such file; did you mean '%s', the recipe that comes with tubelet?",
                         name, own);
    }
    if (!absent || strchr(name, '/') != NULL) {
        return check_not_folder(&ctx->allocator, name, err);
    }
    if ((size_t)snprintf(file, sizeof file, "recipes/%s.yaml", name) < sizeof file &&
        tub__module_find(ctx, file, path, room)) {
        return TUB_OK;
    }
    size_t near = tub_nearest(name, own_recipes, OWN_RECIPES, recipe_word);
    return near < OWN_RECIPES
               ? tub__fail(err, TUB_E_NOT_FOUND,
                           "%s: no such file, and no recipe of tubelet's own; did you mean '%s'?",
                           name, own_recipes[near])
               : tub__fail(err, TUB_E_NOT_FOUND,
                           "%s: no such file, and no recipe of tubelet's own (keras-vivit, "
                           "vivit-adamw, vivit-scenic, organ, adrenal, modelnet10, fight, "
                           "lung-ultrasound, motion-variant1, motion-variant2, "
                           "motion-variant3, motion-variant4)",
                           name);
}

/* A recipe that names a model to start from is read twice: for that, and over it. */
static tub_status apply_with_start(tub_context *ctx, const tub__json *recipe,
                                   tub_train_config *config, tub_error *err) {
    tub_train_config first = *config;
    TUB__TRY(tub__recipe_apply(recipe, NULL, &first, err));
    if (tub__json_get(recipe, "init_from") == NULL || !tub__starts_from(&first)) {
        *config = first;
        return TUB_OK;
    }
    TUB__TRY(tub_train_config_start(ctx, first.init_from, &first, err));
    return tub__recipe_apply(recipe, &first.model, config, err);
}

tub_status tub_recipe_read(tub_context *ctx, const char *path, tub_train_config *config,
                           tub_error *err) {
    tub__json *recipe = NULL;
    tub_train_config read = *config; /* a recipe with a mistake changes nothing */
    char file[TUB_PATH_LENGTH];
    TUB__TRY(find_recipe(ctx, path, file, sizeof file, err));
    TUB__TRY(tub__yaml_load(ctx, file, &recipe, err));
    tub_status status = apply_with_start(ctx, recipe, &read, err);
    tub__json_free(recipe);
    if (status != TUB_OK) {
        return tub__prefix(err, status, "%s", file);
    }
    *config = read;
    return TUB_OK;
}

tub_status tub_run_config(tub_context *ctx, const char *run, tub_train_config *out,
                          tub_error *err) {
    const tub_allocator *a = &ctx->allocator;
    tub_train_config config = tub_train_config_default();
    tub__json *recipe = NULL;
    char *path = NULL;
    TUB__TRY(tub__folder_expect(run, "a run is the folder that tubelet train made (--out)", err));
    TUB__TRY(tub__path_join(a, run, TUB__RUN_RECIPE, &path, err));
    tub_status status = TUB_OK;
    if (!tub__file_exists(path) && errno == ENOENT) {
        status = tub__fail(err, TUB_E_NOT_FOUND, "%s: no such file, so %s is not a run folder",
                           path, run);
        goto done;
    }
    status = tub__json_load(a, path, RECIPE_LIMIT, &recipe, err);
    if (status == TUB_OK) {
        status = tub__recipe_apply(recipe, NULL, &config, err);
        if (status == TUB_OK) {
            status = tub_train_config_check(&config, err);
        }
        if (status != TUB_OK) {
            tub__prefix(err, status, "%s", path);
        }
    }
    if (status == TUB_OK) {
        *out = config;
    }
done:
    tub__json_free(recipe);
    tub__free(a, path);
    return status;
}
