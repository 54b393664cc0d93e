/* SPDX-License-Identifier: Apache-2.0 */
/* tubelet convert IN OUT: the conversion, and what became of each array. */
#include "convert_files.h"

#include <stdio.h>
#include <string.h>

#include "output.h"
#include "subject.h"

error_t convert_files_parse_gelu(tub_convert_gelu *out, const char *argument,
                                 struct argp_state *state) {
    if (strcmp(argument, "tanh") != 0 && strcmp(argument, "erf") != 0) {
        return cli_misuse(state, "--gelu '%s' is neither tanh nor erf", argument);
    }
    *out = argument[0] == 't' ? TUB_CONVERT_GELU_TANH : TUB_CONVERT_GELU_ERF;
    return 0;
}

static const char *gelu_name(const tub_convert_report *r) {
    return r->config.gelu == TUB_GELU_ERF ? "erf" : "tanh";
}

/* ---- JSON ---- */

static json_t *array_json(const tub_convert_array *a) {
    return json_pack("{s:o,s:o,s:o,s:o,s:s}", "there", output_text(a->there), "there_shape",
                     output_integers(a->there_shape, a->there_rank), "here", output_text(a->here),
                     "here_shape", output_integers(a->here_shape, a->here_rank), "order", a->order);
}

static json_t *arrays_json(const tub_convert_report *r) {
    json_t *list = json_array();
    for (int64_t i = 0; i < r->count; i++) {
        json_array_append_new(list, array_json(&r->arrays[i]));
    }
    return list;
}

static int print_json(const cli_command *self, const convert_files_options *o,
                      const tub_convert_report *r) {
    return cli_print_json(
        self, json_pack("{s:s,s:o,s:o,s:b,s:s,s:I,s:b,s:I,s:s?,s:o}", "convert", r->format, "in",
                        output_text(o->in), "out", output_text(o->out), "dry_run",
                        o->convert.dry_run, "gelu", gelu_name(r), "parameters",
                        (json_int_t)r->parameters, "moments", r->moments, "iterations",
                        (json_int_t)r->iterations, "note", r->note, "arrays", arrays_json(r)));
}

/* ---- Text ---- */

/* Five axes, of up to 19 digits each. */
enum { SHAPE_ROOM = 128, AXIS_ROOM = 24 };

static const char *shape_text(char out[SHAPE_ROOM], int rank, const int64_t *shape) {
    int used = snprintf(out, SHAPE_ROOM, "[");
    for (int i = 0; i < rank && used < SHAPE_ROOM - AXIS_ROOM; i++) {
        used += snprintf(out + used, (size_t)(SHAPE_ROOM - used), "%s%lld", i > 0 ? "," : "",
                         (long long)shape[i]);
    }
    snprintf(out + used, (size_t)(SHAPE_ROOM - used), "]");
    return out;
}

static void print_table(const tub_convert_report *r) {
    int there = 0, here = 0, shape = 0;
    char text[SHAPE_ROOM];
    for (int64_t i = 0; i < r->count; i++) {
        const tub_convert_array *a = &r->arrays[i];
        const int widths[] = {(int)strlen(a->there), (int)strlen(a->here),
                              (int)strlen(shape_text(text, a->there_rank, a->there_shape))};
        there = widths[0] > there ? widths[0] : there;
        here = widths[1] > here ? widths[1] : here;
        shape = widths[2] > shape ? widths[2] : shape;
    }
    for (int64_t i = 0; i < r->count; i++) {
        const tub_convert_array *a = &r->arrays[i];
        char other[SHAPE_ROOM];
        printf("%-*s  %-*s  %-*s  %-*s  %s\n", there, a->there, shape,
               shape_text(text, a->there_rank, a->there_shape), here, a->here, shape,
               shape_text(other, a->here_rank, a->here_shape), a->order);
    }
}

static void talk(const convert_files_options *o, const tub_convert_report *r) {
    char parameters[OUTPUT_FIGURE];
    fprintf(stderr, "%s: %s parameters in %lld arrays, gelu %s", o->in,
            output_grouped(parameters, r->parameters), (long long)r->count, gelu_name(r));
    if (r->moments) {
        fprintf(stderr, ", and the state of Adam after %lld steps", (long long)r->iterations);
    }
    fputc('\n', stderr);
    if (o->convert.dry_run) {
        return;
    }
    fprintf(stderr, "Written: %s\n", o->out);
    if (r->note != NULL) {
        fprintf(stderr, "Keras loads it after these lines, and refuses it without them:\n\n%s",
                r->note);
    }
}

/* ---- Both ---- */

int convert_files(const cli_command *self, cli_work *work, const convert_files_options *o) {
    subject from = {0};
    tub_convert_report *report = NULL;
    tub_error err;
    const char *in = o->in;
    if (!tub_convert_knows(in)) {
        const int code = subject_resolve(self, work->context, in, o->weights, &from);
        if (code != CLI_GO) {
            return code;
        }
        in = from.folder;
    }
    if (tub_convert(work->context, in, o->out, &o->convert, &report, &err) != TUB_OK) {
        return cli_fail(self, &err);
    }
    int code = CLI_DONE;
    if (o->json) {
        code = print_json(self, o, report);
    } else if (o->convert.dry_run) {
        print_table(report);
    }
    if (!o->quiet) {
        talk(o, report);
    }
    tub_convert_report_free(work->context, report);
    return code;
}
