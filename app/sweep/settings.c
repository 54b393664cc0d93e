/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of a sweep file as settings of a recipe, and its metric as a column of log.csv. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sweep.h"

enum { NAME = 128, VALUE = TUB_PATH_LENGTH };

/* What searches of others call our settings (docs/sweeps.md lists them). */
static const struct {
    const char *theirs, *ours;
} renamed[] = {{"learning_rate", "lr"},
               {"num_epochs", "epochs"},
               {"dataset", "data"},
               {"dataset_name", "data"},
               {"num_heads", "model.heads"},
               {"num_attention_heads", "model.heads"},
               {"num_layers", "model.layers"},
               {"num_hidden_layers", "model.layers"},
               {"depth", "model.layers"},
               {"projection_dim", "model.hidden"},
               {"embed_dim", "model.hidden"},
               {"hidden_size", "model.hidden"},
               {"dim", "model.hidden"},
               {"mlp_dim", "model.mlp"},
               {"intermediate_size", "model.mlp"},
               {"patch_size", "model.tubelet"},
               {"tubelet_size", "model.tubelet"},
               {"layer_norm_eps", "model.norm_epsilon"},
               {"dropout_rate", "model.dropout"},
               {"attention_dropout_rate", "model.attention_dropout"},
               {"batch", "batch_size"}};
static const struct {
    const char *theirs, *ours;
} metrics[] = {{"loss", "train_loss"},
               {"accuracy", "train_top1"},
               {"acc", "train_top1"},
               {"train_accuracy", "train_top1"},
               {"train_acc", "train_top1"},
               {"top_5_accuracy", "train_top5"},
               {"val_accuracy", "val_top1"},
               {"val_acc", "val_top1"},
               {"validation_accuracy", "val_top1"},
               {"val_top_5_accuracy", "val_top5"},
               {"validation_loss", "val_loss"},
               {"validation_auc", "val_auc"},
               {"auc", "val_auc"}};
static const char *const columns[] = {"train_loss", "train_top1", "train_top5", "val_loss",
                                      "val_top1",   "val_top5",   "val_auc"};
enum { COLUMNS_KNOWN = sizeof columns / sizeof *columns };

/* Small letters, and _ for what may stand between words. */
static void plain_name(const char *name, char out[NAME]) {
    size_t i = 0;
    for (; name[i] != '\0' && i + 1 < NAME; i++) {
        out[i] = strchr("-./ ", name[i]) != NULL ? '_' : (char)tolower((unsigned char)name[i]);
    }
    out[i] = '\0';
}

static const tub_option *find_setting(const char *key) {
    size_t n;
    const tub_option *options = tub_train_options(&n);
    char plain[NAME], option[NAME];
    plain_name(key, plain);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(options[i].key, key) == 0) {
            return &options[i];
        }
    }
    for (size_t i = 0; i < n; i++) { /* as the option is called: heads, mlp-dropout */
        char name[NAME];
        cli_setting_name(options[i].key, name, sizeof name);
        plain_name(name, option);
        if (strcmp(option, plain) == 0) {
            return &options[i];
        }
    }
    for (size_t i = 0; i < sizeof renamed / sizeof *renamed; i++) {
        if (strcmp(renamed[i].theirs, plain) == 0) {
            return find_setting(renamed[i].ours);
        }
    }
    return NULL;
}

const char *sweep_setting(const char *name) {
    const tub_option *setting = find_setting(name);
    return strcmp(name, "recipe") == 0 ? name : setting != NULL ? setting->key : NULL;
}

bool sweep_metric_column(const char *metric, char out[SWEEP_COLUMN]) {
    char plain[NAME];
    plain_name(metric, plain);
    const char *found = NULL;
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        found = strcmp(metrics[i].theirs, plain) == 0 ? metrics[i].ours : found;
    }
    for (size_t i = 0; i < COLUMNS_KNOWN; i++) {
        found = strcmp(columns[i], plain) == 0 ? columns[i] : found;
    }
    snprintf(out, SWEEP_COLUMN, "%s", found != NULL ? found : "");
    return found != NULL;
}

static tub_status fail(tub_error *err, tub_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static tub_status fail(tub_error *err, tub_status status, const char *format, ...) {
    va_list list;
    va_start(list, format);
    err->status = status;
    vsnprintf(err->message, sizeof err->message, format, list);
    va_end(list);
    return status;
}

/* ---- Values ---- */

/* A JSON scalar as a recipe's text: 64.0 is 64 where whole numbers are wanted, Adam is adam
 * where names are. */
static bool scalar_text(const json_t *value, const tub_option *setting, char *out, size_t size) {
    if (json_is_string(value)) {
        snprintf(out, size, "%s", json_string_value(value));
        for (char *c = out; *c != '\0' && setting->type == TUB_OPTION_CHOICE; c++) {
            *c = (char)tolower((unsigned char)*c);
        }
        return true;
    }
    if (json_is_boolean(value)) {
        snprintf(out, size, "%s", json_is_true(value) ? "true" : "false");
        return true;
    }
    if (json_is_integer(value)) {
        snprintf(out, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return true;
    }
    if (!json_is_real(value)) {
        return false;
    }
    const double real = json_real_value(value);
    const bool whole = setting->type != TUB_OPTION_REAL && real == floor(real) && fabs(real) < 1e15;
    snprintf(out, size, whole ? "%.0f" : "%.17g", real);
    return true;
}

static bool list_text(const json_t *list, const tub_option *setting, char *out, size_t size) {
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < json_array_size(list); i++) {
        char part[64];
        if (!scalar_text(json_array_get(list, i), setting, part, sizeof part)) {
            return false;
        }
        used += (size_t)snprintf(out + used, size - used, "%s%s", i > 0 ? "," : "", part);
        if (used >= size) {
            return false;
        }
    }
    return true;
}

/* Sets one value. One number where three are wanted, such as patch_size: 8, is each of them. */
static tub_status set_value(const char *name, const json_t *value, tub_train_config *config,
                            tub_error *err) {
    char text[VALUE], thrice[VALUE];
    const tub_option *setting = find_setting(name);
    if (setting == NULL) {
        return fail(err, TUB_E_ARGUMENT, "%s is no setting of a recipe", name);
    }
    if (json_is_array(value) ? !list_text(value, setting, text, sizeof text)
                             : !scalar_text(value, setting, text, sizeof text)) {
        return fail(err, TUB_E_ARGUMENT, "%s can't be a list of lists, a mapping or nothing", name);
    }
    if (setting->type == TUB_OPTION_INT3 && json_is_number(value)) {
        snprintf(thrice, sizeof thrice, "%.100s,%.100s,%.100s", text, text, text);
        return tub_train_config_set(config, setting->key, thrice, err);
    }
    return tub_train_config_set(config, setting->key, text, err);
}

/* ---- Parameters ---- */

typedef tub_status each_fn(void *user, const char *name, const json_t *value, tub_error *err);

/* Every value of nested parameters with its whole name. */
static tub_status each_value(const json_t *object, const char *above, each_fn *each, void *user,
                             tub_error *err) {
    const char *key;
    json_t *value;
    tub_status status = TUB_OK;
    json_object_foreach((json_t *)object, key, value) {
        char name[VALUE];
        snprintf(name, sizeof name, "%s%s%s", above, above[0] != '\0' ? "." : "", key);
        status = json_is_object(value) ? each_value(value, name, each, user, err)
                                       : each(user, name, value, err);
        if (status != TUB_OK) {
            break;
        }
    }
    return status;
}

typedef struct setting_walk {
    tub_context *context;
    tub_train_config *config;
    int pass;
} setting_walk;

/* Settings that set others come first. */
enum { PASS_RECIPE, PASS_PRESET, PASS_CLIP, PASS_START, PASS_REST, PASSES };
static int pass_of(const char *key) {
    return strcmp(key, "recipe") == 0      ? PASS_RECIPE
           : strcmp(key, "preset") == 0    ? PASS_PRESET
           : strcmp(key, "init_clip") == 0 ? PASS_CLIP
           : strcmp(key, "init_from") == 0 ? PASS_START
                                           : PASS_REST;
}

/* Sets what a word of the pass says, with all that follows from it. */
static tub_status set_text(tub_context *ctx, int pass, const char *key, const char *text,
                           tub_train_config *config, tub_error *err) {
    return pass == PASS_RECIPE  ? tub_recipe_read(ctx, text, config, err)
           : pass == PASS_START ? tub_train_config_start(ctx, text, config, err)
                                : tub_train_config_set(config, key, text, err);
}

static tub_status set_one(void *user, const char *name, const json_t *value, tub_error *err) {
    setting_walk *w = user;
    const char *key = sweep_setting(name), *text = json_string_value(value);
    if (key == NULL) {
        return fail(err, TUB_E_ARGUMENT, "%s is no setting of a recipe", name);
    }
    if (pass_of(key) != w->pass) {
        return TUB_OK;
    }
    if (w->pass == PASS_RECIPE || w->pass == PASS_START) {
        return text == NULL ? fail(err, TUB_E_ARGUMENT, "%s must be text", name)
                            : set_text(w->context, w->pass, key, text, w->config, err);
    }
    return set_value(name, value, w->config, err);
}

static tub_status apply(tub_context *ctx, const json_t *parameters, tub_train_config *config,
                        tub_error *err) {
    tub_status status = TUB_OK;
    for (int pass = 0; pass < PASSES && status == TUB_OK; pass++) {
        setting_walk walk = {ctx, config, pass};
        status = each_value(parameters, "", set_one, &walk, err);
    }
    return status;
}

tub_status sweep_config(const sweep *s, const char *parameters, tub_train_config *out,
                        tub_error *err) {
    json_error_t wrong;
    json_t *root = json_loads(parameters, 0, &wrong);
    *out = s->base;
    tub_status status = root == NULL ? fail(err, TUB_E_MEMORY, "no memory for parameters")
                                     : apply(s->context, root, out, err);
    json_decref(root);
    if (status == TUB_OK && out->folds > 0) {
        status = fail(err, TUB_E_ARGUMENT, "folds: a trial is one run, and folds are several");
    }
    return status == TUB_OK ? tub_train_config_check(out, err) : status;
}

/* ---- Checks before any trial ---- */

static const char *setting_word(const void *words, size_t index) {
    const char *key = ((const tub_option *)words)[index].key;
    const char *dot = strrchr(key, '.');
    return dot != NULL ? dot + 1 : key;
}

static tub_status unknown(const tub_sweep_parameter *p, tub_error *err) {
    size_t n;
    const tub_option *options = tub_train_options(&n);
    const char *dot = strrchr(p->name, '.');
    const size_t near = tub_nearest(dot != NULL ? dot + 1 : p->name, options, n, setting_word);
    return near < n
               ? fail(err, TUB_E_ARGUMENT,
                      "line %d: %s is no setting of a recipe; did you mean '%s'?", p->line, p->name,
                      options[near].key)
               : fail(err, TUB_E_ARGUMENT,
                      "line %d: %s is no setting of a recipe (docs/sweeps.md has the names that "
                      "are understood)",
                      p->line, p->name);
}

/* A value of a list or a constant, set on a copy. */
static tub_status check_listed(const sweep *s, int64_t index, const tub_sweep_parameter *p,
                               int64_t k, tub_error *err) {
    char *text = NULL;
    json_error_t wrong;
    tub_train_config config = s->base;
    tub_status status = tub_sweep_value(s->context, s->file, index, k, &text, err);
    if (status != TUB_OK) {
        return status;
    }
    json_t *value = json_loads(text, JSON_DECODE_ANY, &wrong);
    json_t *parameters = json_pack("{s:O?}", p->name, value);
    status = parameters == NULL ? fail(err, TUB_E_MEMORY, "no memory for parameters")
                                : apply(s->context, parameters, &config, err);
    json_decref(parameters);
    json_decref(value);
    tub_sweep_text_free(s->context, text);
    if (status != TUB_OK) {
        char inner[TUB_ERROR_LENGTH];
        memcpy(inner, err->message, sizeof inner);
        return fail(err, status, "line %d: %.400s", p->line, inner);
    }
    return TUB_OK;
}

static bool is_smooth(tub_distribution d) {
    return d == TUB_DISTRIBUTION_UNIFORM || d == TUB_DISTRIBUTION_LOG_UNIFORM ||
           d == TUB_DISTRIBUTION_LOG_UNIFORM_VALUES || d == TUB_DISTRIBUTION_INV_LOG_UNIFORM ||
           d == TUB_DISTRIBUTION_INV_LOG_UNIFORM_VALUES || d == TUB_DISTRIBUTION_NORMAL ||
           d == TUB_DISTRIBUTION_LOG_NORMAL || d == TUB_DISTRIBUTION_BETA;
}

static tub_status check_bound(const sweep *s, const tub_sweep_parameter *p, double bound,
                              tub_error *err) {
    tub_train_config config = s->base;
    json_t *value = json_real(bound);
    const tub_status status = isnan(bound) ? TUB_OK : set_value(p->name, value, &config, err);
    json_decref(value);
    if (status != TUB_OK) {
        char inner[TUB_ERROR_LENGTH];
        memcpy(inner, err->message, sizeof inner);
        return fail(err, status, "line %d: %.400s", p->line, inner);
    }
    return TUB_OK;
}

static tub_status check_drawn(const sweep *s, const tub_sweep_parameter *p, tub_error *err) {
    const tub_option *setting = find_setting(p->name);
    if (setting == NULL || setting->type == TUB_OPTION_TEXT || setting->type == TUB_OPTION_CHOICE ||
        setting->type == TUB_OPTION_FLAG) {
        return fail(err, TUB_E_ARGUMENT, "line %d: %s takes names and no numbers; give it values",
                    p->line, p->name);
    }
    if (setting->type != TUB_OPTION_REAL && setting->type != TUB_OPTION_RANGE &&
        is_smooth(p->distribution)) {
        return fail(err, TUB_E_ARGUMENT,
                    "line %d: %s takes whole numbers; use int_uniform, a q_ distribution or values",
                    p->line, p->name);
    }
    /* Multiples of q may lie beyond the bounds, whole ones within. */
    const bool exact =
        is_smooth(p->distribution) || p->distribution == TUB_DISTRIBUTION_INT_UNIFORM;
    tub_status status = exact ? check_bound(s, p, p->low, err) : TUB_OK;
    return status == TUB_OK && exact ? check_bound(s, p, p->high, err) : status;
}

/* Of two names of one setting only one would have an effect. */
static tub_status check_twice(const sweep *s, int64_t index, const tub_sweep_parameter *p,
                              tub_error *err) {
    const char *setting = sweep_setting(p->name);
    for (int64_t i = 0; setting != NULL && i < index; i++) {
        tub_sweep_parameter before;
        tub_status status = tub_sweep_parameter_at(s->file, i, &before, err);
        if (status != TUB_OK) {
            return status;
        }
        const char *other = sweep_setting(before.name);
        if (other != NULL && strcmp(other, setting) == 0) {
            return fail(err, TUB_E_ARGUMENT, "line %d: %s is the same setting as %s (line %d)",
                        p->line, p->name, before.name, before.line);
        }
    }
    return TUB_OK;
}

tub_status sweep_check_parameters(const sweep *s, tub_error *err) {
    tub_status status = TUB_OK;
    for (int64_t i = 0; i < s->info->parameters && status == TUB_OK; i++) {
        tub_sweep_parameter p;
        status = tub_sweep_parameter_at(s->file, i, &p, err);
        const bool constant = p.distribution == TUB_DISTRIBUTION_CONSTANT;
        if (status != TUB_OK) {
            return status;
        }
        if (constant) { /* a mapping of several settings, perhaps */
            status = check_listed(s, i, &p, 0, err);
        } else if (sweep_setting(p.name) == NULL) {
            status =
                p.count > 0 && check_listed(s, i, &p, 0, err) == TUB_OK ? TUB_OK : unknown(&p, err);
        } else if (p.count == 0) {
            status = check_drawn(s, &p, err);
        }
        for (int64_t k = 0; k < p.count && status == TUB_OK; k++) {
            status = check_listed(s, i, &p, k, err);
        }
        if (status == TUB_OK) {
            status = check_twice(s, i, &p, err);
        }
    }
    return status;
}

/* ---- What every trial begins from ---- */

/* "--lr=0.1" or "--lr" and the next word, where it belongs to the pass. */
static tub_status command_word(const sweep *s, int64_t *at, int pass, tub_train_config *config,
                               tub_error *err) {
    char name[NAME];
    const char *word = tub_sweep_command(s->file, *at);
    const char *equals = strchr(word, '=');
    snprintf(name, sizeof name, "%.*s", (int)(equals != NULL ? equals - word - 2 : NAME - 1),
             word + 2);
    const char *next = equals != NULL ? equals + 1 : tub_sweep_command(s->file, *at + 1);
    const bool alone = equals == NULL && (next == NULL || next[0] == '$' || next[0] == '-');
    if (equals == NULL && !alone) {
        ++*at;
    }
    const char *value = alone ? "true" : next, *key = sweep_setting(name);
    if (key == NULL) {
        return fail(err, TUB_E_ARGUMENT,
                    "command: --%s is no setting of a recipe; only those are taken", name);
    }
    return pass_of(key) != pass ? TUB_OK : set_text(s->context, pass, key, value, config, err);
}

static tub_status command_pass(const sweep *s, int pass, tub_train_config *config, tub_error *err) {
    bool ours = false;
    tub_status status = TUB_OK;
    for (int64_t i = 0; i < s->info->commands && status == TUB_OK; i++) {
        const char *word = tub_sweep_command(s->file, i);
        if (word == NULL) {
            continue;
        }
        const char *slash = strrchr(word, '/');
        const char *program = strcmp(word, "${program}") == 0 && s->info->program != NULL
                                  ? s->info->program
                              : slash != NULL ? slash + 1
                                              : word;
        ours = ours || strcmp(program, "tubelet") == 0;
        if (ours && strncmp(word, "--", 2) == 0) {
            status = command_word(s, &i, pass, config, err);
        }
    }
    return status;
}

/* Only where it runs this program: ${env} tubelet train --data=phantom3d ${args}. */
tub_status sweep_command(const sweep *s, tub_train_config *config, tub_error *err) {
    tub_status status = TUB_OK;
    for (int pass = 0; pass < PASSES && status == TUB_OK; pass++) {
        status = command_pass(s, pass, config, err);
    }
    return status;
}

/* Options that set others come first. */
static tub_status set_first(const sweep *s, tub_train_config *config, tub_error *err) {
    static const char *const first[] = {"preset", "init_clip", "init_from"};
    tub_status status = TUB_OK;
    for (size_t i = 0; i < sizeof first / sizeof *first && status == TUB_OK; i++) {
        const char *text = settings_find(&s->options->settings, first[i]);
        if (text != NULL) {
            status = set_text(s->context, pass_of(first[i]), first[i], text, config, err);
        }
    }
    return status;
}

int sweep_base(sweep *s) {
    tub_error err;
    const sweep_options *o = s->options;
    s->base = tub_train_config_default();
    tub_status status =
        o->recipe != NULL ? tub_recipe_read(s->context, o->recipe, &s->base, &err) : TUB_OK;
    if (status == TUB_OK) {
        status = sweep_command(s, &s->base, &err);
    }
    if (status == TUB_OK) {
        status = set_first(s, &s->base, &err);
    }
    if (status == TUB_OK) {
        status = settings_apply(&o->settings, "preset", &s->base, &err);
    }
    return status == TUB_OK ? CLI_GO : cli_fail_setting(s->self, &err);
}
