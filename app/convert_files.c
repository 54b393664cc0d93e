/* SPDX-License-Identifier: Apache-2.0 */
/* tubelet convert IN OUT: the conversion, and what became of each array. */
#include "convert_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "interrupt.h"
#include "output.h"
#include "subject.h"

/* ---- Options ---- */

/* One of two words. */
static error_t parse_word(const char *option, const char *first, const char *second,
                          const char *argument, struct argp_state *state, int *out) {
    if (strcmp(argument, first) != 0 && strcmp(argument, second) != 0) {
        return cli_misuse(state, "%s '%s' is neither %s nor %s", option, argument, first, second);
    }
    *out = strcmp(argument, second) == 0;
    return 0;
}

/* A name of a recipe's setting, whose words these are. */
static error_t parse_setting(const char *option, const char *key, const char *argument,
                             struct argp_state *state, tub_model_config *out) {
    tub_train_config config = tub_train_config_default();
    tub_error err;
    if (tub_train_config_set(&config, key, argument, &err) != TUB_OK) {
        return cli_misuse(state, "%s: %s", option, err.message);
    }
    *out = config.model;
    return 0;
}

static error_t parse_size(tub_convert_options *o, const char *argument, struct argp_state *state) {
    long long height, width;
    char rest;
    const int count = sscanf(argument, "%lld,%lld%c", &height, &width, &rest);
    const bool one = count == 1 && strchr(argument, ',') == NULL &&
                     sscanf(argument, "%lld%c", &height, &rest) == 1;
    if (one) {
        width = height;
    }
    if ((!one && count != 2) || height < 1 || width < 1 || height > 65536 || width > 65536) {
        return cli_misuse(state, "--size '%s': give pixels from 1 to 65536, as 224 or 224,320",
                          argument);
    }
    o->height = height;
    o->width = width;
    return 0;
}

/* As transformers writes it: powers of ten. */
static error_t parse_bytes(tub_convert_options *o, const char *argument, struct argp_state *state) {
    static const struct {
        const char *unit;
        int64_t bytes;
    } units[] = {{"", 1}, {"B", 1}, {"KB", 1000}, {"MB", 1000000}, {"GB", 1000000000}};
    char *end;
    errno = 0;
    const long long number = strtoll(argument, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (end != argument && errno == 0 && number > 0 && strcasecmp(end, units[i].unit) == 0 &&
            number <= INT64_MAX / units[i].bytes) {
            o->shard_size = number * units[i].bytes;
            return 0;
        }
    }
    return cli_misuse(state, "--shard-size '%s': give bytes, as 5GB, 200MB or 64KB", argument);
}

/* A value that stays, for a hint that may be missing. */
static const tub_pooling poolings[] = {TUB_POOL_MEAN, TUB_POOL_CLASS_TOKEN, TUB_POOL_MAX,
                                       TUB_POOL_SUM};
static const tub_attention_order orders[] = {TUB_ORDER_TIME_SPACE, TUB_ORDER_SPACE_TIME};

static error_t parse_task(tub_convert_options *o, const char *argument, struct argp_state *state) {
    if (strcmp(argument, tub_task_name(TUB_TASK_MULTI_LABEL)) != 0 &&
        strcmp(argument, tub_task_name(TUB_TASK_MULTI_CLASS)) != 0) {
        return cli_misuse(state,
                          "--task '%s' is neither multi_class nor multi_label; several heads are "
                          "told by --head-classes",
                          argument);
    }
    o->task = strcmp(argument, tub_task_name(TUB_TASK_MULTI_LABEL)) == 0 ? TUB_TASK_MULTI_LABEL
                                                                         : TUB_TASK_MULTI_CLASS;
    return 0;
}

static error_t parse_heads(tub_convert_options *o, const char *argument, struct argp_state *state) {
    tub_model_config model = {0};
    const error_t code =
        parse_setting("--head-classes", "model.head_classes", argument, state, &model);
    o->task = TUB_TASK_MULTI_HEAD;
    memcpy(o->head_classes, model.head_classes, sizeof o->head_classes);
    return code;
}

/* Hints for checkpoints of scenic. */
static error_t parse_hint(tub_convert_options *o, int key, const char *argument,
                          struct argp_state *state) {
    tub_model_config model = {0};
    error_t code = 0;
    long number = 0;
    switch (key) {
    case CONVERT_KEY_FRAMES:
        if (!cli_parse_int(state, "--frames", argument, 1, 65536, &number)) {
            return ECANCELED;
        }
        o->frames = number;
        return 0;
    case CONVERT_KEY_SIZE:
        return parse_size(o, argument, state);
    case CONVERT_KEY_VARIANT:
        code = parse_setting("--variant", "model.variant", argument, state, &model);
        o->variant = 1 + (int)model.variant;
        return code;
    case CONVERT_KEY_POOLING:
        code = parse_setting("--pooling", "model.pooling", argument, state, &model);
        o->pooling = &poolings[model.pooling];
        return code;
    case CONVERT_KEY_ORDER:
        code = parse_setting("--attention-order", "model.attention_order", argument, state, &model);
        o->attention_order = &orders[model.attention_order];
        return code;
    case CONVERT_KEY_TASK:
        return parse_task(o, argument, state);
    case CONVERT_KEY_HEADS:
        return parse_heads(o, argument, state);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

error_t convert_files_parse(tub_convert_options *o, int key, char *argument,
                            struct argp_state *state) {
    error_t code;
    int second = 0;
    switch (key) {
    case CONVERT_KEY_LIKE:
        return cli_parse_name(&o->like, "--like", argument, state);
    case CONVERT_KEY_GELU:
        code = parse_word("--gelu", "tanh", "erf", argument, state, &second);
        o->gelu = second ? TUB_CONVERT_GELU_ERF : TUB_CONVERT_GELU_TANH;
        return code;
    case CONVERT_KEY_PIXELS:
        code = parse_word("--pixels", "unit", "signed", argument, state, &second);
        o->pixels = second ? TUB_CONVERT_PIXELS_SIGNED : TUB_CONVERT_PIXELS_UNIT;
        return code;
    case CONVERT_KEY_ENCODER:
        o->encoder_only = 1;
        return 0;
    case CONVERT_KEY_NAMES:
        return parse_word("--names", "published", "newer", argument, state, &o->newer_names);
    case CONVERT_KEY_SHARD:
        return parse_bytes(o, argument, state);
    case CONVERT_KEY_UINT8:
        o->uint8_input = 1;
        return 0;
    case CONVERT_KEY_EXTERNAL:
        o->external_data = 1;
        return 0;
    case CONVERT_KEY_DRY_RUN:
        o->dry_run = 1;
        return 0;
    default:
        return parse_hint(o, key, argument, state);
    }
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
        self,
        json_pack("{s:s,s:o,s:o,s:s,s:s,s:b,s:b,s:s,s:I,s:b,s:I,s:s?,s:o}", "convert", "files",
                  "in", output_text(o->in), "out", output_text(o->out), "from",
                  tub_convert_kind_name(r->from), "to", tub_convert_kind_name(r->to), "dry_run",
                  o->convert.dry_run, "checked", r->checked, "gelu", gelu_name(r), "parameters",
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
    fprintf(stderr, "Checked: read again, %s\nWritten: %s\n",
            r->to == TUB_CONVERT_ONNX
                ? "the graph is valid and the one that was meant, every array the same bits"
                : "every array and the logits of a fixed clip are the same bits",
            o->out);
    if (r->note != NULL) {
        fprintf(stderr, "Keras loads it after these lines, and refuses it without them:\n\n%s",
                r->note);
    }
}

/* ---- Both ---- */

/* A folder may be a run, whose weights are chosen; any other path stays as it is, and so does a folder
 * that is no model, of which the library says what would be one. */
static int resolve(const cli_command *self, cli_work *work, const convert_files_options *o,
                   subject *from, const char **in) {
    struct stat status;
    *in = o->in;
    if (!tub_hub_is_name(o->in) &&
        (stat(o->in, &status) != 0 || (S_ISDIR(status.st_mode) && !subject_is_model(o->in)))) {
        return CLI_GO;
    }
    if (!tub_hub_is_name(o->in) && !S_ISDIR(status.st_mode)) {
        return o->weights == NULL
                   ? CLI_GO
                   : cli_fail_with(self, "--weights %s: %s is a file, and only a run has two kinds",
                                   o->weights, o->in);
    }
    const int code = subject_resolve(self, work->context, o->in, o->weights, from);
    *in = from->folder;
    return code;
}

int convert_files(const cli_command *self, cli_work *work, const convert_files_options *o) {
    subject from = {0};
    tub_convert_report *report = NULL;
    tub_error err;
    const char *in;
    int code = resolve(self, work, o, &from, &in);
    if (code != CLI_GO) {
        return code;
    }
    interrupt_begin(work->context, "nothing will be written");
    const tub_status status = tub_convert(work->context, in, o->out, &o->convert, &report, &err);
    (void)interrupt_end();
    if (status != TUB_OK) {
        return cli_fail(self, &err);
    }
    code = CLI_DONE;
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
