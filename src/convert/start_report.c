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
    *out = (tub_start_array){0};
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
static size_t number_in(const char *name, size_t *length) {
    static const char *const marks[] = {"layer.", "encoderblock_"};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        const char *found = strstr(name, marks[i]);
        if (found != NULL) {
            const size_t at = (size_t)(found - name) + strlen(marks[i]);
            *length = strspn(name + at, "0123456789");
            return at;
        }
    }
    *length = 0;
    return 0;
}

/* A name with the layer's number replaced: "vivit.encoder.layer.0-11.output.dense.bias". */
static void rename_layer(const char *name, const char *number, char out[NAME_ROOM]) {
    size_t length;
    const size_t at = number_in(name, &length);
    snprintf(out, NAME_ROOM, "%.*s%s%s", (int)at, name, length > 0 ? number : "",
             name + at + length);
}

/* The same name for all layers from one array's to another's. */
static void name_range(const char *first, const char *last, char out[NAME_ROOM]) {
    char number[64];
    size_t length[2];
    const size_t at[2] = {number_in(first, &length[0]), number_in(last, &length[1])};
    if (strcmp(first, last) == 0) {
        snprintf(out, NAME_ROOM, "%s", first);
        return;
    }
    snprintf(number, sizeof number, "%.*s-%.*s", (int)length[0], first + at[0], (int)length[1],
             last + at[1]);
    rename_layer(first, number, out);
}

static bool same_shape(int rank, const int64_t *a, int other_rank, const int64_t *b) {
    return rank == other_rank && memcmp(a, b, (size_t)rank * sizeof *a) == 0;
}

static bool same_but_layer(const char *a, const char *b) {
    char left[NAME_ROOM], right[NAME_ROOM];
    rename_layer(a, "", left);
    rename_layer(b, "", right);
    return strcmp(left, right) == 0;
}

/* Whether two arrays differ in nothing but their layers. */
static bool are_alike(const tub_start_array *a, const tub_start_array *b) {
    return same_but_layer(a->here, b->here) && same_but_layer(a->there, b->there) &&
           strcmp(a->what, b->what) == 0 &&
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
static void line_of(const tub_start_array *a, const tub_start_array *last, char out[LINE_ROOM]) {
    char here[NAME_ROOM], there[NAME_ROOM], shape[2][SHAPE_ROOM];
    name_range(a->here, last->here, here);
    name_range(a->there, last->there, there);
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
        const tub_start_array *last = &r->arrays[i];
        if (told_before(r, i)) {
            continue;
        }
        for (int64_t k = i + 1; k < r->count; k++) {
            last = are_alike(&r->arrays[i], &r->arrays[k]) ? &r->arrays[k] : last;
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
