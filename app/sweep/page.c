/* SPDX-License-Identifier: Apache-2.0 */
/* The page of a sweep: the best so far, parallel coordinates, what matters, and all trials. */
#include "page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../report/chart.h"
#include "../report/document.h"
#include "../report/table.h"

static double *numbers(int64_t n) {
    return calloc((size_t)n + 1, sizeof(double));
}

static void free_facts(sweep_facts *f) {
    free(f->value);
    free(f->searched);
    free(f->index);
    free(f->position);
}

static bool gather(const sweep *s, sweep_facts *f) {
    *f = (sweep_facts){.sweep = s};
    f->trials = tub_journal_trials(s->journal, &f->count);
    f->best = s->info->metric != NULL ? tub_sweep_best_of(s->file, f->trials, f->count) : -1;
    f->value = numbers(f->count);
    f->searched = calloc((size_t)s->info->parameters + 1, sizeof *f->searched);
    f->index = calloc((size_t)s->info->parameters + 1, sizeof *f->index);
    f->position = numbers(s->info->parameters * f->count);
    if (f->value == NULL || f->searched == NULL || f->index == NULL || f->position == NULL) {
        return false;
    }
    for (int64_t i = 0; i < s->info->parameters; i++) {
        tub_error err;
        if (tub_sweep_parameter_at(s->file, i, &f->searched[f->width], &err) == TUB_OK &&
            f->searched[f->width].distribution != TUB_DISTRIBUTION_CONSTANT) {
            f->index[f->width++] = i;
        }
    }
    for (int64_t t = 0; t < f->count; t++) {
        f->value[t] = tub_sweep_best(s->file, &f->trials[t]);
        for (int64_t i = 0; i < f->width; i++) {
            f->position[i * f->count + t] =
                tub_sweep_position(s->file, f->index[i], f->trials[t].parameters);
        }
    }
    return true;
}

/* ---- The best so far ---- */

static bool put_curve(page *p, const sweep_facts *f) {
    double *x = numbers(f->count), *best = numbers(f->count);
    if (x == NULL || best == NULL) {
        free(x);
        free(best);
        return false;
    }
    for (int64_t i = 0; i < f->count; i++) {
        const double value = f->value[i], before = i > 0 ? best[i - 1] : NAN;
        const bool better =
            isnan(before) || (f->sweep->info->maximize ? value > before : value < before);
        x[i] = (double)i;
        best[i] = !isnan(value) && better ? value : before;
    }
    const chart_line lines[] = {
        {.name = "the best so far", .x = x, .y = best, .count = (size_t)f->count, .colour = 1},
        {.name = "each trial",
         .x = x,
         .y = f->value,
         .count = (size_t)f->count,
         .colour = 0,
         .dots = true}};
    chart_draw(p, &(chart){.id = "best-so-far",
                           .title = "The best so far",
                           .x_name = "trial",
                           .counts = true,
                           .y_name = f->sweep->info->metric,
                           .about = "The metric of each trial, and the best of all up to it.",
                           .mark = NAN,
                           .lines = lines,
                           .count = 2});
    free(x);
    free(best);
    return true;
}

/* ---- What matters ---- */

static void put_importance(page *p, const sweep_facts *f, double *rank) {
    static const char *const names[] = {"parameter", "explains", "direction", NULL};
    page_put(p,
             "<section id=\"importance\"><h2>What matters</h2><p class=\"note\">Share of the "
             "variance of the "
             "metric&rsquo;s ranks that a parameter explains by itself (between the values of a "
             "choice; by a parabola over a number), adjusted for its terms; and whether the metric "
             "grows (+1) or falls (&minus;1) with it.</p>");
    table_open(p, "sortable", "What matters");
    table_head(p, names);
    for (int64_t i = 0; i < f->width; i++) {
        char key[96];
        const sweep_importance m = sweep_importance_of(f, i, rank);
        table_row(p, f->searched[i].name);
        page_put(p, "<td>");
        snprintf(key, sizeof key, "importance.%lld.share", (long long)i);
        page_number(p, key, m.share, 3);
        page_put(p, "</td><td>");
        snprintf(key, sizeof key, "importance.%lld.direction", (long long)i);
        page_number(p, key, m.direction, 2);
        page_put(p, "</td></tr>\n");
    }
    table_close(p);
    page_put(p, "</section>\n");
}

/* ---- All trials ---- */

static void put_value(page *p, int64_t trial, const json_t *parameters, const char *name) {
    char part[TUB_PATH_LENGTH];
    const json_t *value = parameters;
    const char *at = name;
    snprintf(part, sizeof part, "%s", name);
    /* Names with dots of their own come first. */
    while (value != NULL && json_object_get(value, at) == NULL && strchr(at, '.') != NULL) {
        snprintf(part, sizeof part, "%.*s", (int)strcspn(at, "."), at);
        value = json_object_get(value, part);
        at = strchr(at, '.') + 1;
    }
    value = json_object_get(value, at);
    if (json_is_number(value)) {
        page_putf(p, "<data data-key=\"trials.%lld.", (long long)trial);
        page_text(p, name);
        page_putf(p, "\" value=\"%.9g\">%.5g</data>", json_number_value(value),
                  json_number_value(value));
        return;
    }
    char *text = value != NULL ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    page_text(p, json_is_string(value) ? json_string_value(value) : text != NULL ? text : "-");
    free(text);
}

static void put_trial(page *p, const sweep_facts *f, int64_t i) {
    char key[96];
    json_error_t wrong;
    const char *note = tub_journal_note(f->sweep->journal, i);
    json_t *parameters = json_loads(f->trials[i].parameters, 0, &wrong);
    page_put(p, "<tr><th scope=\"row\">");
    snprintf(key, sizeof key, "trials.%lld.number", (long long)i);
    page_count(p, key, i);
    page_putf(p, "%s</th><td>%s</td><td>", i == f->best ? " (best)" : "",
              sweep_state_shown(f->sweep, f->trials[i].state));
    snprintf(key, sizeof key, "trials.%lld.value", (long long)i);
    page_number(p, key, f->value[i], 4);
    page_put(p, "</td><td>");
    snprintf(key, sizeof key, "trials.%lld.epochs", (long long)i);
    page_count(p, key, f->trials[i].steps);
    page_put(p, "</td>");
    for (int64_t k = 0; k < f->width; k++) {
        page_put(p, "<td>");
        put_value(p, i, parameters, f->searched[k].name);
        page_put(p, "</td>");
    }
    page_put(p, "<td>");
    page_text(p, note != NULL ? note : "");
    page_put(p, "</td></tr>\n");
    json_decref(parameters);
}

static void put_trials(page *p, const sweep_facts *f) {
    page_put(p, "<section id=\"trials\"><h2>Trials</h2>");
    table_open(p, "sortable", "Trials");
    table_begin_head(p);
    table_heading(p, "trial");
    table_heading(p, "state");
    table_heading(p, f->sweep->info->metric != NULL ? f->sweep->info->metric : "metric");
    table_heading(p, "epochs");
    for (int64_t k = 0; k < f->width; k++) {
        table_heading(p, f->searched[k].name);
    }
    table_heading(p, "note");
    table_end_head(p);
    for (int64_t i = 0; i < f->count; i++) {
        put_trial(p, f, i);
    }
    table_close(p);
    page_put(p, "</section>\n");
}

static bool put_all(page *p, const sweep_facts *f, double *rank) {
    const sweep *s = f->sweep;
    document_begin(p, "Sweep");
    page_put(p, "<header><h1>");
    page_text(p, s->info->name != NULL ? s->info->name : "Sweep");
    page_putf(p, "</h1><p>%s, ", tub_sweep_method_name(s->info->method));
    page_count(p, "count", f->count);
    page_putf(p, " trials of <code>");
    page_text(p, s->options->file);
    page_put(p, "</code></p></header>\n<main>\n");
    bool fine = true;
    if (f->best >= 0) {
        page_put(p, "<section><h2>Search</h2>\n<div class=\"charts\">");
        fine = put_curve(p, f);
        sweep_parallel(p, f);
        page_put(p, "</div></section>\n");
        put_importance(p, f, rank);
    }
    put_trials(p, f);
    document_end(p);
    return fine;
}

bool sweep_page(const sweep *s) {
    char path[TUB_PATH_LENGTH], why[TUB_PATH_LENGTH + 128] = "no memory for the page";
    sweep_facts f;
    page p = {0};
    bool fine = gather(s, &f);
    double *rank = numbers(f.count);
    snprintf(path, sizeof path, "%.*s/sweep.html", TUB_PATH_LENGTH - 32, s->folder);
    if (fine && rank != NULL && page_begin(&p)) {
        sweep_ranks(&f, rank);
        fine = put_all(&p, &f, rank);
        fine = page_end(&p) && fine;
        fine = fine && output_bytes(p.bytes, p.size, path, why, sizeof why);
        page_free(&p);
    } else {
        fine = false;
    }
    free(rank);
    free_facts(&f);
    if (!fine) {
        (void)cli_fail_with(s->self, "%s", why);
    }
    return fine;
}
