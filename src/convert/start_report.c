/* SPDX-License-Identifier: Apache-2.0 */
/* The report of a start: made of the plan, as log lines, and as JSON. */
#include "convert/start_report.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "formats/json.h"

static void set_shape(const tub__param *p, int *rank, int64_t shape[5]) {
    *rank = p->rank;
    for (int i = 0; i < p->rank; i++) {
        shape[i] = (int64_t)p->shape[i];
    }
}

static void describe(const tub__start_plan *plan, const tub__start_step *s, tub_start_array *out) {
    *out = (tub_start_array){.layer = s->here->layer};
    snprintf(out->here, sizeof out->here, "%s", s->here->name);
    set_shape(s->here, &out->here_rank, out->here_shape);
    if (s->there != NULL) {
        tub__source_name(plan->source, s->there, out->there, sizeof out->there);
        set_shape(s->there, &out->there_rank, out->there_shape);
    }
    tub__start_describe(plan, s, out->what, sizeof out->what);
}

tub_status tub__start_report_make(const tub__start_plan *plan, tub_start_report **out,
                                  tub_error *err) {
    const tub_allocator *a = &plan->model->context->allocator;
    tub_start_report *r;
    TUB__TRY(tub__alloc_array(a, 1, sizeof *r, (void **)&r, err));
    const tub_status status =
        tub__alloc_array(a, plan->count, sizeof *r->arrays, (void **)&r->arrays, err);
    if (status != TUB_OK) {
        tub__free(a, r);
        return status;
    }
    r->kind = plan->source->kind;
    r->source = plan->source->model->config;
    r->count = (int64_t)plan->count;
    for (size_t i = 0; i < plan->count; i++) {
        describe(plan, &plan->steps[i], &r->arrays[i]);
    }
    *out = r;
    return TUB_OK;
}

void tub_start_report_free(tub_context *ctx, tub_start_report *report) {
    if (report != NULL) {
        tub__free(&ctx->allocator, report->arrays);
        tub__free(&ctx->allocator, report);
    }
}

/* ---- Lines ---- */

enum { NAME_ROOM = 192, SHAPE_ROOM = 64, LINE_ROOM = 640 };

/* Where the number of a layer stands in a name, and its length; 0: nowhere. */
static size_t number_in(const char *name, int64_t layer, size_t *length) {
    char number[32];
    for (const char separator[] = {'.', '_'}, *c = separator; c < separator + 2; c++) {
        const char end = *c == '.' ? '.' : '/';
        *length =
            (size_t)snprintf(number, sizeof number, "%c%lld%c", *c, (long long)layer, end) - 2;
        const char *found = layer < 0 ? NULL : strstr(name, number);
        if (found != NULL) {
            return (size_t)(found - name) + 1;
        }
    }
    return 0;
}

/* A name with the layer's number replaced: "vivit.encoder.layer.0-11.output.dense.bias". */
static void rename_layers(const char *name, int64_t layer, const char *number,
                          char out[NAME_ROOM]) {
    size_t length;
    const size_t at = number_in(name, layer, &length);
    if (at == 0) {
        snprintf(out, NAME_ROOM, "%s", name);
    } else {
        snprintf(out, NAME_ROOM, "%.*s%s%s", (int)at, name, number, name + at + length);
    }
}

static bool same_shape(int rank, const int64_t *a, int other_rank, const int64_t *b) {
    return rank == other_rank && memcmp(a, b, (size_t)rank * sizeof *a) == 0;
}

/* Whether two arrays differ in nothing but their layers. */
static bool are_alike(const tub_start_array *a, const tub_start_array *b) {
    char name[4][NAME_ROOM];
    rename_layers(a->here, a->layer, "*", name[0]);
    rename_layers(b->here, b->layer, "*", name[1]);
    rename_layers(a->there, a->layer, "*", name[2]);
    rename_layers(b->there, b->layer, "*", name[3]);
    return a->layer >= 0 && b->layer >= 0 && strcmp(name[0], name[1]) == 0 &&
           strcmp(name[2], name[3]) == 0 && strcmp(a->what, b->what) == 0 &&
           same_shape(a->here_rank, a->here_shape, b->here_rank, b->here_shape) &&
           same_shape(a->there_rank, a->there_shape, b->there_rank, b->there_shape);
}

static const char *shape_text(int rank, const int64_t *shape, char out[SHAPE_ROOM]) {
    int used = snprintf(out, SHAPE_ROOM, "[");
    for (int i = 0; i < rank && used < SHAPE_ROOM - 24; i++) {
        used += snprintf(out + used, (size_t)(SHAPE_ROOM - used), "%s%lld", i > 0 ? "," : "",
                         (long long)shape[i]);
    }
    snprintf(out + used, (size_t)(SHAPE_ROOM - used), "]");
    return out;
}

/* NAME [shape] from NAME [shape]: what */
static void line_of(const tub_start_array *a, int64_t last, char out[LINE_ROOM]) {
    char number[64], here[NAME_ROOM], there[NAME_ROOM], shape[2][SHAPE_ROOM];
    snprintf(number, sizeof number, last > a->layer ? "%lld-%lld" : "%lld", (long long)a->layer,
             (long long)last);
    rename_layers(a->here, a->layer, number, here);
    rename_layers(a->there, a->layer, number, there);
    const char *ours = shape_text(a->here_rank, a->here_shape, shape[0]);
    const char *theirs = shape_text(a->there_rank, a->there_shape, shape[1]);
    if (a->there[0] == '\0') {
        snprintf(out, LINE_ROOM, "%s %s: %s", here, ours, a->what);
    } else if (strcmp(ours, theirs) == 0) {
        snprintf(out, LINE_ROOM, "%s %s from %s: %s", here, ours, there, a->what);
    } else {
        snprintf(out, LINE_ROOM, "%s %s from %s %s: %s", here, ours, there, theirs, a->what);
    }
}

static bool told_before(const tub_start_report *r, int64_t i) {
    for (int64_t k = 0; k < i; k++) {
        if (are_alike(&r->arrays[k], &r->arrays[i])) {
            return true;
        }
    }
    return false;
}

void tub__start_report_tell(tub_context *ctx, const tub_start_report *r, const char *path) {
    tub__log_line(ctx, TUB_LOG_INFO, "Starting from %s, a %s:", path, r->kind);
    for (int64_t i = 0; i < r->count; i++) {
        char line[LINE_ROOM];
        int64_t last = r->arrays[i].layer;
        if (told_before(r, i)) {
            continue;
        }
        for (int64_t k = i + 1; k < r->count; k++) {
            last = are_alike(&r->arrays[i], &r->arrays[k]) ? r->arrays[k].layer : last;
        }
        line_of(&r->arrays[i], last, line);
        tub__log_line(ctx, TUB_LOG_INFO, "  %s", line);
    }
}

/* ---- JSON ---- */

static void put_shape(tub__json_writer *w, const char *key, int rank, const int64_t *shape) {
    tub__json_open_array(w, key);
    for (int i = 0; i < rank; i++) {
        tub__json_put_integer(w, NULL, shape[i]);
    }
    tub__json_close_array(w);
}

static void put_array(tub__json_writer *w, const tub_start_array *a) {
    const bool taken = a->there[0] != '\0';
    tub__json_open_object(w, NULL);
    tub__json_put_text(w, "here", a->here);
    put_shape(w, "here_shape", a->here_rank, a->here_shape);
    tub__json_put_text(w, "there", taken ? a->there : NULL);
    if (taken) {
        put_shape(w, "there_shape", a->there_rank, a->there_shape);
    } else {
        tub__json_put_null(w, "there_shape");
    }
    tub__json_put_text(w, "what", a->what);
    tub__json_close_object(w);
}

tub_status tub__start_report_json(const tub_allocator *a, const tub_start_report *r,
                                  const char *path, char **text, size_t *size, tub_error *err) {
    tub__json_writer w;
    tub__json_start(&w, a, 2);
    tub__json_open_object(&w, NULL);
    tub__json_put_text(&w, "from", path);
    tub__json_put_text(&w, "kind", r->kind);
    tub__json_open_array(&w, "arrays");
    for (int64_t i = 0; i < r->count; i++) {
        put_array(&w, &r->arrays[i]);
    }
    tub__json_close_array(&w);
    tub__json_close_object(&w);
    return tub__json_finish(&w, text, size, err);
}
