/* SPDX-License-Identifier: Apache-2.0 */
/* What tubelet explain prints: lines for people, an object of JSON (docs/json.md). */
#include <math.h>
#include <stdio.h>

#include "explain_parts.h"

static json_t *numbers(const double *values, int64_t n) {
    json_t *list = json_array();
    for (int64_t i = 0; i < n && list != NULL; i++) {
        json_array_append_new(list, output_number(values[i]));
    }
    return list;
}

static void put(json_t *object, const char *key, json_t *value) {
    json_object_set_new(object, key, value);
}

static bool looks_at_attention(const explain_report *r) {
    return explain_attends(r->options->method);
}

static json_t *number_or_null(int64_t value) {
    return value < 0 ? json_null() : json_integer(value);
}

static json_t *map_json(const explain_report *r) {
    const tub_explanation *e = r->explanation;
    const explain_facts *f = r->facts;
    const int64_t shape[3] = {e->frames, e->height, e->width};
    json_t *map = json_object();
    put(map, "shape", output_integers(shape, 3));
    put(map, "min", output_number(f->low));
    put(map, "max", output_number(f->high));
    put(map, "sum", output_number(f->sum));
    put(map, "positive", output_number(f->positive));
    put(map, "peak", f->positive > 0 ? output_integers(f->peak, 3) : json_null());
    put(map, "centre", numbers(f->centre, 3));
    put(map, "half", output_number(f->half));
    put(map, "frames", numbers(f->frames, e->frames));
    return map;
}

static void put_method(const explain_report *r, json_t *o) {
    const tub_explain_options *options = r->options;
    put(o, "method", json_string(tub_explain_method_name(options->method)));
    if (looks_at_attention(r)) {
        put(o, "axes", json_string(tub_axes_name(options->axes)));
        put(o, "layer", number_or_null(options->layer));
        put(o, "head", number_or_null(options->head));
    } else {
        put(o, "baseline", json_string(tub_baseline_name(r->explanation->baseline)));
    }
    if (options->method == TUB_EXPLAIN_INTEGRATED_GRADIENTS) {
        put(o, "steps", json_integer(r->explanation->steps));
        put(o, "baseline_logit", output_number(r->explanation->baseline_logit));
        put(o, "adds_up", json_boolean(r->explanation->adds_up));
    } else {
        put(o, "upsampling", json_string(tub_upsampling_name(options->upsampling)));
        put(o, "grid", output_integers(r->explanation->grid, 3));
    }
    if (options->method == TUB_EXPLAIN_OCCLUSION) {
        put(o, "of", json_string(options->probability ? "probability" : "logit"));
        put(o, "box", output_integers(r->explanation->box, 3));
        put(o, "step", output_integers(r->explanation->step, 3));
    }
}

static void put_curves(const explain_report *r, json_t *o) {
    const tub_explain_curves *c = r->curves;
    if (c != NULL) {
        put(o, "curves_baseline", json_string(tub_baseline_name(c->baseline)));
        put(o, "deletion_auc", output_number(c->deletion_auc));
        put(o, "insertion_auc", output_number(c->insertion_auc));
        put(o, "deletion", numbers(c->deletion, c->points));
        put(o, "insertion", numbers(c->insertion, c->points));
    }
}

/* Columns of the logits: one where samples have one class, else a list. */
static void put_sample(const explain_report *r, json_t *o) {
    const explain_sample *s = r->sample;
    const tub_dataset_info *i = s != NULL ? tub_dataset_describe(s->data) : NULL;
    if (i != NULL) {
        put(o, "data", output_text(i->name));
        put(o, "split", json_string(tub_split_name(s->split)));
        put(o, "index", json_integer(s->number));
        put(o, "truth",
            i->task == TUB_TASK_MULTI_CLASS ? json_integer(s->truth[0])
                                            : output_integers(s->truth, s->truths));
    }
}

static int print_json(const cli_command *self, const explain_report *r) {
    const tub_explanation *e = r->explanation;
    json_t *o = json_object(), *files = json_array();
    put(o, "file", output_text(r->file));
    put_sample(r, o);
    put(o, "class", json_integer(e->target));
    put(o, "label", output_label(r->labels, e->target));
    put(o, "logit", output_number(e->logit));
    put(o, "probability", output_number(e->probability));
    put(o, "weights", r->weights != NULL ? json_string(r->weights) : json_null());
    put_method(r, o);
    put(o, "map", map_json(r));
    put_curves(r, o);
    for (int i = 0; r->files != NULL && i < r->files->pictures; i++) {
        json_array_append_new(files, output_text(r->files->path[i]));
    }
    put(o, "files", files);
    return cli_print_json(self, o);
}

/* ---- for people ---- */

/* "liver (3)", or the number alone. */
static void print_class(const explain_report *r, int64_t k) {
    char name[OUTPUT_NAME];
    if (r->labels != NULL) {
        printf("%s (%lld)", output_name(name, r->labels[k]), (long long)k);
    } else {
        printf("%lld", (long long)k);
    }
}

static void print_sample(const explain_report *r) {
    const explain_sample *s = r->sample;
    char name[OUTPUT_NAME];
    if (s == NULL) {
        return;
    }
    printf("sample     %lld of the %s split of %s", (long long)s->number, tub_split_name(s->split),
           output_name(name, tub_dataset_describe(s->data)->name));
    if (tub_dataset_samples(s->data, s->split) == NULL) {
        printf(": %s", output_name(name, s->file));
    }
    printf("\ntruth      %s", s->truths > 0 ? "" : "none");
    for (int64_t k = 0; k < s->truths; k++) {
        fputs(k > 0 ? ", " : "", stdout);
        print_class(r, s->truth[k]);
    }
    putchar('\n');
}

static void print_answer(const explain_report *r) {
    const tub_explanation *e = r->explanation;
    printf("class      ");
    print_class(r, e->target);
    printf(", probability %.4f, logit %.4f\n", e->probability, e->logit);
}

static void print_size(const char *what, const int64_t size[3]) {
    printf(", %s %lldx%lldx%lld", what, (long long)size[0], (long long)size[1], (long long)size[2]);
}

static void print_method(const explain_report *r) {
    const tub_explain_options *o = r->options;
    printf("method     %s", tub_explain_method_name(o->method));
    if (looks_at_attention(r) && o->axes != TUB_AXES_BOTH) {
        printf(" over %s", tub_axes_name(o->axes));
    }
    if (o->layer >= 0) {
        printf(", layer %lld", (long long)o->layer);
    }
    if (o->head >= 0) {
        printf(", head %lld", (long long)o->head);
    }
    if (!looks_at_attention(r)) {
        printf(", baseline %s", tub_baseline_name(r->explanation->baseline));
    }
    if (o->method == TUB_EXPLAIN_OCCLUSION) {
        print_size("box", r->explanation->box);
        print_size("step", r->explanation->step);
    }
    putchar('\n');
}

/* Without a way there is no share of it. */
static void print_sum(const explain_report *r) {
    const tub_explanation *e = r->explanation;
    const double way = e->logit - e->baseline_logit;
    printf("sum        %.4f of %lld points; the logit grows by %.4f from %.4f", e->sum,
           (long long)e->steps, way, e->baseline_logit);
    if (way != 0) {
        printf(" (%.2f %% apart)\n", 100 * fabs(e->sum - way) / fabs(way));
    } else if (r->facts->low == 0 && r->facts->high == 0) {
        printf(": the clip is the baseline %s, another --baseline says more\n",
               tub_baseline_name(e->baseline));
    } else {
        putchar('\n');
    }
}

static void print_map(const explain_report *r) {
    const tub_explanation *e = r->explanation;
    const explain_facts *f = r->facts;
    printf("map        [%lld,%lld,%lld], from %.4g to %.4g\n", (long long)e->frames,
           (long long)e->height, (long long)e->width, f->low, f->high);
    if (f->positive > 0) {
        printf("most       at frame %lld, row %lld, column %lld\n", (long long)f->peak[0],
               (long long)f->peak[1], (long long)f->peak[2]);
        printf("middle     at frame %.1f, row %.1f, column %.1f\n", f->centre[0], f->centre[1],
               f->centre[2]);
        printf("half       in %.2f %% of the voxels\n", 100 * f->half);
    } else {
        puts("most       nowhere: nothing speaks for this class");
    }
    if (r->options->method == TUB_EXPLAIN_INTEGRATED_GRADIENTS) {
        print_sum(r);
    }
}

static void print_rest(const explain_report *r) {
    char name[OUTPUT_NAME];
    if (r->curves != NULL) {
        printf("deletion   %.4f (area under the probability, baseline %s; the smaller the "
               "better)\n",
               r->curves->deletion_auc, tub_baseline_name(r->curves->baseline));
        printf("insertion  %.4f (the larger the better)\n", r->curves->insertion_auc);
    }
    for (int i = 0; r->files != NULL && i < r->files->pictures; i++) {
        printf("%s %s\n", i == 0 ? "wrote     " : "          ",
               output_name(name, r->files->path[i]));
    }
}

/* Integrated gradients that do not add up are not what they say. */
static void warn_apart(const explain_report *r) {
    const tub_explanation *e = r->explanation;
    char more[64] = "";
    if (r->options->method != TUB_EXPLAIN_INTEGRATED_GRADIENTS || e->adds_up) {
        return;
    }
    if (e->steps < TUB_EXPLAIN_STEPS) {
        const int64_t steps = 4 * e->steps;
        snprintf(more, sizeof more, "take more points (--steps %lld), or ",
                 (long long)(steps < TUB_EXPLAIN_STEPS ? steps : TUB_EXPLAIN_STEPS));
    }
    fprintf(stderr,
            "tubelet explain: warning: the map adds up to %.4g, but the logit grows by %.4g, more "
            "than 1 %% apart: %sgive another --baseline\n",
            e->sum, e->logit - e->baseline_logit, more);
}

int explain_print(const cli_command *self, const explain_report *r, bool json) {
    warn_apart(r);
    if (json) {
        return print_json(self, r);
    }
    print_sample(r);
    print_answer(r);
    print_method(r);
    print_map(r);
    print_rest(r);
    output_note();
    return CLI_DONE;
}
