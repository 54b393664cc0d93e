/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a sweep file, and telling what it says. */
#include "search/sweep.h"

#include "base/error.h"
#include "base/file.h"
#include "base/module.h"
#include "formats/yaml.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_LIMIT = 1 << 20, NAME_LENGTH = 4096 };

static const char *const methods[] = {"grid", "random", "bayes", "custom"};

const char *tub_sweep_method_name(tub_sweep_method method) {
    return (size_t)method < sizeof methods / sizeof *methods ? methods[method] : "?";
}

static const char *text_at(const tub__json *object, const char *key) {
    const char *text = NULL;
    return tub__json_get_text(object, key, &text, NULL) == TUB_OK ? text : NULL;
}

/* Beyond what fits, the largest: 1.0e+300 is a limit, too. */
static int64_t whole_at(const tub__json *object, const char *key) {
    double value = 0;
    return tub__json_get_real(object, key, &value, NULL) == TUB_OK ? tub__whole_of(value) : 0;
}

static bool text_is(const char *text, const char *wanted) {
    return text != NULL && strcmp(text, wanted) == 0;
}

static tub__impute impute_of(const char *text, tub__impute otherwise) {
    return text_is(text, "worst")    ? TUB__IMPUTE_WORST
           : text_is(text, "best")   ? TUB__IMPUTE_BEST
           : text_is(text, "latest") ? TUB__IMPUTE_LATEST
                                     : otherwise;
}

static void read_info(tub_sweep *s) {
    const tub__json *top = s->document.values, *metric = tub__json_get(top, "metric");
    const char *method = text_at(top, "method");
    tub_sweep_info *info = &s->info;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        info->method = text_is(method, methods[i]) ? (tub_sweep_method)i : info->method;
    }
    info->name = text_at(top, "name");
    info->description = text_at(top, "description");
    info->program = text_at(top, "program");
    info->metric = text_at(metric, "name");
    info->maximize = text_is(text_at(metric, "goal"), "maximize");
    info->target = NAN;
    (void)!tub__json_opt_real(metric, "target", &info->target, NULL);
    info->run_cap = whole_at(top, "run_cap");
    info->parameters = (int64_t)s->count;
    info->commands = (int64_t)tub__json_size(tub__json_get(top, "command"));
    info->notes = (int64_t)s->notes.count;
    info->hyperband = tub__json_get(top, "early_terminate") != NULL;
    s->scheduler = tub__json_get(top, "scheduler") != NULL;
    s->impute = impute_of(text_at(metric, "impute"), TUB__IMPUTE_WORST);
    s->impute_running = impute_of(text_at(metric, "impute_while_running"), TUB__IMPUTE_NOT);
    if (info->hyperband) {
        tub__hyperband_read(s, tub__json_get(top, "early_terminate"));
    }
}

/* ---- Parameters in a row ---- */

static size_t count_parameters(const tub__json *mapping) {
    size_t n = 0;
    for (void *it = tub__json_first(mapping); it != NULL; it = tub__json_next(mapping, it)) {
        const tub__json *spec = tub__json_value(it);
        n += tub__parameter_holds(spec) ? count_parameters(tub__json_get(spec, "parameters")) : 1;
    }
    return n;
}

static void note_nested(tub_sweep *s, const tub__parameter *p, bool nested) {
    double sum = 0;
    for (size_t i = 0; i < tub__json_size(p->probabilities); i++) {
        double one = 0;
        (void)!tub__json_to_real(tub__json_at(p->probabilities, i), "", &one, NULL);
        sum += one;
    }
    if (nested && p->probabilities != NULL && !(fabs(sum - 1) <= 1e-8 + 1e-5)) {
        tub__note(&s->notes, "line %d: %.80s: the probabilities sum to %.6g, not to 1", p->line,
                  p->name, sum);
    }
}

static tub_status flatten(tub_sweep *s, tub__spot mapping, const char *above, bool text,
                          tub_error *err);

static tub_status flatten_one(tub_sweep *s, tub__spot mapping, const char *above, const char *key,
                              bool text, tub_error *err) {
    char path[NAME_LENGTH];
    const tub__spot spec = tub__spot_get(mapping, key);
    const bool text_name = text && tub__spot_key_is_text(mapping, key);
    const int n = snprintf(path, sizeof path, "%s%s%s", above, above[0] != '\0' ? "/" : "", key);
    if ((size_t)n >= sizeof path) {
        return tub__spot_fail(spec, err, "parameters are nested too deeply");
    }
    if (tub__parameter_holds(spec.value)) {
        return flatten(s, tub__spot_get(spec, "parameters"), path, text_name, err);
    }
    tub__parameter *p = &s->parameters[s->count];
    TUB__TRY(tub__alloc_string(&s->allocator, path, &p->path, err));
    s->count++;
    TUB__TRY(tub__alloc_string(&s->allocator, path, &p->name, err));
    for (char *c = p->name; *c != '\0'; c++) {
        *c = *c == '/' ? '.' : *c;
    }
    tub__parameter_fill(spec.value, p);
    p->text_name = text_name;
    p->line = tub__spot_line(spec);
    note_nested(s, p, above[0] != '\0');
    return TUB_OK;
}

static tub_status flatten(tub_sweep *s, tub__spot mapping, const char *above, bool text,
                          tub_error *err) {
    const char **keys = NULL;
    tub_status status = tub__sorted_keys(&s->allocator, mapping.value, &keys, err);
    for (size_t i = 0; status == TUB_OK && i < tub__json_size(mapping.value); i++) {
        status = flatten_one(s, mapping, above, keys[i], text, err);
    }
    tub__free(&s->allocator, keys);
    return status;
}

/* ---- The file with its defaults ---- */

static void put_terminate(tub__json_writer *w, const tub__json *settings) {
    tub__json_open_object(w, "early_terminate");
    for (void *it = tub__json_first(settings); it != NULL; it = tub__json_next(settings, it)) {
        tub__json_put_value(w, tub__json_key(it), tub__json_value(it));
    }
    if (tub__json_get(settings, "eta") == NULL) {
        tub__json_put_integer(w, "eta", 3);
    }
    if (tub__json_get(settings, "strict") == NULL) {
        tub__json_put_bool(w, "strict", true);
    }
    tub__json_close_object(w);
}

static tub_status fill(tub_sweep *s, tub_error *err) {
    const tub__json *top = s->document.values;
    tub__json_writer w;
    size_t size = 0;
    tub__json_start(&w, &s->allocator, 0);
    tub__json_open_object(&w, NULL);
    for (void *it = tub__json_first(top); it != NULL; it = tub__json_next(top, it)) {
        const char *key = tub__json_key(it);
        const tub__json *value = tub__json_value(it);
        if (strcmp(key, "parameters") == 0) {
            tub__json_open_object(&w, key);
            for (void *p = tub__json_first(value); p != NULL; p = tub__json_next(value, p)) {
                tub__parameter_put(&w, tub__json_key(p), tub__json_value(p));
            }
            tub__json_close_object(&w);
        } else if (strcmp(key, "early_terminate") == 0) {
            put_terminate(&w, value);
        } else {
            tub__json_put_value(&w, key, value);
        }
    }
    tub__json_close_object(&w);
    return tub__json_finish(&w, &s->filled, &size, err);
}

/* ---- Opening ---- */

static tub_status read_all(tub_sweep *s, tub__json *tree, tub_error *err) {
    TUB__TRY(tub__document_of(&s->allocator, tree, &s->document, &s->notes, err));
    const tub__spot top = tub__spot_top(&s->document);
    TUB__TRY(tub__sweep_check_top(top, err));
    const tub__spot parameters = tub__spot_get(top, "parameters");
    if (parameters.value != NULL) {
        void *room = NULL;
        TUB__TRY(tub__parameters_check(parameters, false, err));
        TUB__TRY(tub__alloc_array(&s->allocator, count_parameters(parameters.value),
                                  sizeof *s->parameters, &room, err));
        s->parameters = room;
        TUB__TRY(flatten(s, parameters, "", true, err));
    }
    TUB__TRY(fill(s, err));
    read_info(s);
    return s->info.method == TUB_SWEEP_GRID ? tub__grid_prepare(s, err) : TUB_OK;
}

tub_status tub__sweep_of(const tub_allocator *a, tub__json *tree, tub_sweep **out, tub_error *err) {
    void *room = NULL;
    tub_status status = tub__alloc_array(a, 1, sizeof(tub_sweep), &room, err);
    if (status != TUB_OK) {
        tub__json_free(tree);
        return status;
    }
    tub_sweep *s = room;
    s->allocator = *a;
    status = read_all(s, tree, err);
    if (status != TUB_OK) {
        tub_sweep_close(s);
        return status;
    }
    *out = s;
    return TUB_OK;
}

tub_status tub__sweep_parse(tub_context *ctx, const char *text, size_t size, tub_sweep **out,
                            tub_error *err) {
    tub__json *tree = NULL;
    TUB__TRY(tub__yaml_tree(ctx, text, size, &tree, err));
    return tub__sweep_of(&ctx->allocator, tree, out, err);
}

/* A file, or the name of one in the folder of recipes. */
static void find_file(const tub_context *ctx, const char *name, char path[NAME_LENGTH]) {
    char file[256];
    snprintf(path, NAME_LENGTH, "%s", name);
    if (!tub__file_exists(name) && strchr(name, '/') == NULL &&
        (size_t)snprintf(file, sizeof file, "recipes/%s.yaml", name) < sizeof file &&
        !tub__module_find(ctx, file, path, NAME_LENGTH)) {
        snprintf(path, NAME_LENGTH, "%s", name);
    }
}

tub_status tub_sweep_open(tub_context *ctx, const char *name, tub_sweep **out, tub_error *err) {
    char *text = NULL, path[NAME_LENGTH];
    size_t size = 0;
    find_file(ctx, name, path);
    TUB__TRY(tub__file_read(&ctx->allocator, path, TEXT_LIMIT, &text, &size, err));
    const tub_status status = tub__sweep_parse(ctx, text, size, out, err);
    tub__free(&ctx->allocator, text);
    return status == TUB_OK || status == TUB_E_MODULE ? status
                                                      : tub__prefix(err, status, "%s", path);
}

void tub_sweep_close(tub_sweep *s) {
    if (s == NULL) {
        return;
    }
    const tub_allocator a = s->allocator;
    for (size_t i = 0; i < s->count; i++) {
        tub__free(&a, s->parameters[i].name);
        tub__free(&a, s->parameters[i].path);
        tub__free(&a, s->parameters[i].rank);
    }
    tub__free(&a, s->parameters);
    tub__free(&a, s->filled);
    tub__document_free(&s->document);
    tub__free(&a, s);
}

/* ---- Telling ---- */

const tub_sweep_info *tub_sweep_describe(const tub_sweep *s) {
    return &s->info;
}

const char *tub_sweep_filled(const tub_sweep *s) {
    return s->filled;
}

const char *tub_sweep_command(const tub_sweep *s, int64_t index) {
    const char *text = NULL;
    const tub__json *list = tub__json_get(s->document.values, "command");
    const tub__json *word = index >= 0 ? tub__json_at(list, (size_t)index) : NULL;
    return tub__json_to_text(word, "", &text, NULL) == TUB_OK ? text : NULL;
}

const char *tub_sweep_note(const tub_sweep *s, int64_t index) {
    return index >= 0 && index < (int64_t)s->notes.count ? s->notes.text[index] : NULL;
}

static tub_status check_index(const tub_sweep *s, int64_t index, tub_error *err) {
    return tub__in_range("the parameter's number", index, 0, (int64_t)s->count - 1, err);
}

tub_status tub_sweep_parameter_at(const tub_sweep *s, int64_t index, tub_sweep_parameter *out,
                                  tub_error *err) {
    TUB__TRY(check_index(s, index, err));
    const tub__parameter *p = &s->parameters[index];
    const bool bounds = (p->distribution->keys & TUB__KEYS_BOUNDS) != 0;
    const bool exponents = p->distribution->replacement != NULL;
    *out = (tub_sweep_parameter){.name = p->name,
                                 .line = p->line,
                                 .distribution = p->distribution->kind,
                                 .low = bounds && !exponents ? p->low : NAN,
                                 .high = bounds && !exponents ? p->high : NAN,
                                 .count = (int64_t)p->count};
    return TUB_OK;
}

tub_status tub_sweep_value(tub_context *ctx, const tub_sweep *s, int64_t index, int64_t value,
                           char **out, tub_error *err) {
    TUB__TRY(check_index(s, index, err));
    const tub__parameter *p = &s->parameters[index];
    const int64_t last = p->value != NULL ? 0 : (int64_t)p->count - 1;
    TUB__TRY(tub__in_range("the value's number", value, 0, last, err));
    tub__json_writer w;
    size_t size = 0;
    tub__json_start(&w, &ctx->allocator, 0);
    tub__json_put_value(&w, NULL,
                        p->value != NULL ? p->value : tub__json_at(p->values, (size_t)value));
    return tub__json_finish(&w, out, &size, err);
}

void tub_sweep_text_free(tub_context *ctx, char *text) {
    tub__free(&ctx->allocator, text);
}

int64_t tub_sweep_points(const tub_sweep *s) {
    int64_t points = -1;
    return s->info.method == TUB_SWEEP_GRID && tub_sweep_check(s, NULL) == TUB_OK &&
                   tub__grid_points(s, &points, NULL) == TUB_OK
               ? points
               : -1;
}

tub_status tub_sweep_point(const tub_sweep *s, int64_t index, char **out, tub_error *err) {
    *out = NULL;
    TUB__TRY(tub__in_range("the point's number", index, 0, tub_sweep_points(s) - 1, err));
    return tub__grid_point(s, index, out, err);
}
