/* SPDX-License-Identifier: Apache-2.0 */
/* Classes of files, and timelines of long ones. */
#include "predict_files.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ---- Options ---- */

enum { VIEWS_LIMIT = 1024, STRIDE_LIMIT = 65536 };

predict_taking predict_taking_default(void) {
    return (predict_taking){.file = tub_file_options_default()};
}

static error_t parse_time(int64_t *out, const char *option, const char *text, bool positive,
                          struct argp_state *state) {
    tub_error err;
    if (tub_time_parse(text, out, &err) != TUB_OK) {
        return cli_misuse(state, "%s: %s", option, err.message);
    }
    return positive && *out < 1 ? cli_misuse(state, "%s must be above 0 s", option) : 0;
}

static error_t parse_whole(int64_t *out, const char *option, const char *text, long high,
                           struct argp_state *state) {
    long n;
    if (!cli_parse_int(state, option, text, 1, high, &n)) {
        return ECANCELED;
    }
    *out = n;
    return 0;
}

static error_t parse_crops(int *out, const char *text, struct argp_state *state) {
    long n;
    if (!cli_parse_int(state, "--crops", text, 1, 3, &n)) {
        return ECANCELED;
    }
    *out = (int)n;
    return n == 2 ? cli_misuse(state, "--crops is 2; it must be 1 or 3") : 0;
}

/* A word that the library knows or refuses. */
static error_t told(tub_status status, const char *option, const tub_error *err,
                    struct argp_state *state) {
    return status == TUB_OK ? 0 : cli_misuse(state, "%s: %s", option, err->message);
}

error_t predict_taking_parse(predict_taking *taking, int key, const char *argument,
                             struct argp_state *state) {
    tub_file_options *o = &taking->file;
    tub_error err;
    if (key == PREDICT_KEY_WINDOW) {
        return parse_time(&taking->window, "--window", argument, true, state);
    }
    if (key == PREDICT_KEY_HOP) {
        return parse_time(&taking->hop, "--hop", argument, true, state);
    }
    if (key < PREDICT_KEY_VIEWS || key > PREDICT_KEY_HOP) {
        return ARGP_ERR_UNKNOWN;
    }
    taking->sampled = true;
    switch (key) {
    case PREDICT_KEY_VIEWS:
        return parse_whole(&o->views, "--views", argument, VIEWS_LIMIT, state);
    case PREDICT_KEY_CROPS:
        return parse_crops(&o->crops, argument, state);
    case PREDICT_KEY_SAMPLING:
        return told(tub_sampling_parse(argument, &o->sampling, &err), "--sampling", &err, state);
    case PREDICT_KEY_STRIDE:
        return parse_whole(&o->stride, "--stride", argument, STRIDE_LIMIT, state);
    case PREDICT_KEY_FROM:
        return parse_time(&o->from, "--from", argument, false, state);
    default:
        return parse_time(&o->to, "--to", argument, true, state);
    }
}

error_t predict_taking_check(predict_taking *taking, struct argp_state *state) {
    tub_file_options *o = &taking->file;
    const bool strides = o->sampling == TUB_SAMPLING_STRIDE || o->sampling == TUB_SAMPLING_LINSPACE;
    if (taking->hop > 0 && taking->window == 0) {
        return cli_misuse(state, "--hop works with --window only");
    }
    if (taking->window > 0 && (o->from > 0 || o->to >= 0)) {
        return cli_misuse(state, "--window shows all of a file; leave --from and --to away");
    }
    if (o->to >= 0 && o->from >= o->to) {
        return cli_misuse(state, "--from must be before --to");
    }
    if (o->stride > 0 && o->sampling == TUB_SAMPLING_DEFAULT) {
        o->sampling = TUB_SAMPLING_STRIDE;
    } else if (o->stride > 0 && !strides) {
        return cli_misuse(state, "--stride works with sampling stride or linspace only");
    }
    if (taking->hop == 0) {
        taking->hop = taking->window;
    }
    return 0;
}

/* ---- Files ---- */

/* Where no such file is, the name tells what is meant. */
bool predict_is_array(const char *file) {
    static const char npy[] = {'\x93', 'N', 'U', 'M', 'P', 'Y'}, zip[] = {'P', 'K'};
    char head[sizeof npy] = {0};
    struct stat facts;
    if (stat(file, &facts) != 0) {
        return strstr(file, ".npy") != NULL || strstr(file, ".npz") != NULL;
    }
    FILE *f = S_ISREG(facts.st_mode) ? fopen(file, "rb") : NULL;
    if (f == NULL) {
        return false;
    }
    const size_t size = fread(head, 1, sizeof head, f);
    fclose(f);
    return (size == sizeof npy && memcmp(head, npy, sizeof npy) == 0) ||
           (size >= sizeof zip && memcmp(head, zip, sizeof zip) == 0);
}

typedef struct telling {
    const cli_command *command;
    predict_printer *printer;
    const char *file; /* of a timeline */
    int *bad;
} telling;

/* The sentence stands where the file would. */
static void tell_bad(const telling *t, tub_status status, const char *sentence) {
    tub_error err = {.status = status};
    snprintf(err.message, sizeof err.message, "%s", sentence);
    fflush(stdout);
    output_note();
    (void)cli_fail(t->command, &err);
}

static int tell_file(void *user, const tub_file_result *r) {
    const telling *t = user;
    if (r->status != TUB_OK) {
        tell_bad(t, r->status, r->message);
        (*t->bad)++;
        return 0;
    }
    const predict_line line = {.file = r->path,
                               .logits = r->logits,
                               .probabilities = r->probabilities,
                               .milliseconds = r->milliseconds,
                               .frames = r->frames,
                               .seconds = r->seconds};
    predict_print(t->printer, &line);
    if (r->message != NULL) {
        tell_bad(t, TUB_E_FORMAT, r->message);
    }
    return 0;
}

static int tell_window(void *user, const tub_window *w) {
    const telling *t = user;
    const predict_line line = {.file = t->file,
                               .index = w->index,
                               .logits = w->logits,
                               .probabilities = w->probabilities,
                               .frames = w->frames,
                               .seconds = (double)NAN,
                               .window = w};
    predict_print(t->printer, &line);
    return 0;
}

static void timelines(telling *t, tub_model *model, const predict_taking *taking,
                      const char *const *files, int count) {
    for (int i = 0; i < count; i++) {
        char damage[TUB_ERROR_LENGTH];
        tub_error err;
        t->file = files[i];
        const tub_status status = tub_timeline(model, files[i], taking->window, taking->hop,
                                               &taking->file, tell_window, t, damage, &err);
        if (status != TUB_OK) {
            tell_bad(t, status, err.message);
            (*t->bad)++;
        } else if (damage[0] != '\0') {
            tell_bad(t, TUB_E_FORMAT, damage);
        }
    }
}

int predict_clips(const cli_command *self, predict_printer *printer, tub_model *model,
                  const predict_taking *taking, const char *const *files, int count, int *bad) {
    telling t = {.command = self, .printer = printer, .bad = bad};
    tub_error err;
    if (taking->window > 0) {
        timelines(&t, model, taking, files, count);
        return CLI_DONE;
    }
    return tub_predict_files(model, (size_t)count, files, &taking->file, tell_file, &t, &err) ==
                   TUB_OK
               ? CLI_DONE
               : cli_fail(self, &err);
}
