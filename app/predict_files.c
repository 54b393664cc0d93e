/* SPDX-License-Identifier: Apache-2.0 */
/* Classes of files, and timelines of long ones. */
#include "predict_files.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "shell.h"

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
    taking->chosen = taking->chosen || key > PREDICT_KEY_CROPS;
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

void predict_tell_bad(const predict_telling *t, tub_status status, const char *sentence) {
    tub_error err = {.status = status};
    snprintf(err.message, sizeof err.message, "%s", sentence);
    fflush(stdout);
    output_note();
    (void)cli_fail(t->command, &err);
}

/* A folder is the frames of one clip; somebody may have meant what is in it. */
static void tell_unread(const predict_telling *t, const char *path, tub_status status,
                        const char *sentence) {
    char folder[SHELL_ROOM], text[TUB_ERROR_LENGTH];
    struct stat facts;
    const bool empty =
        status == TUB_E_NOT_FOUND && stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
    snprintf(text, sizeof text, "%s%s%s%s", sentence, empty ? "; for its files write " : "",
             empty ? shell_path(folder, path) : "", empty ? "/*" : "");
    predict_tell_bad(t, status, text);
    (*t->bad)++;
}

/* Without the path that the sentence begins with. */
static const char *damage_of(const tub_file_result *r) {
    const size_t length = strlen(r->path);
    const bool named = r->message != NULL && strncmp(r->message, r->path, length) == 0 &&
                       strncmp(r->message + length, ": ", 2) == 0;
    return named ? r->message + length + 2 : r->message;
}

int predict_tell_file(void *user, const tub_file_result *r) {
    const predict_telling *t = user;
    if (r->status != TUB_OK) {
        tell_unread(t, r->path, r->status, r->message);
        return 0;
    }
    const predict_line line = {.file = r->path,
                               .logits = r->logits,
                               .probabilities = r->probabilities,
                               .milliseconds = r->milliseconds,
                               .frames = r->frames,
                               .seconds = r->seconds,
                               .damage = damage_of(r)};
    predict_print(t->printer, &line);
    if (r->message != NULL) {
        predict_tell_bad(t, TUB_E_FORMAT, r->message);
    }
    return 0;
}

int predict_tell_window(void *user, const tub_window *w) {
    const predict_telling *t = user;
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

tub_file_options predict_member_taking(const predictor *p, int i, const predict_taking *taking) {
    tub_file_options o = taking->file;
    o.tta = p->members.list[i].views;
    o.tta_average = p->average;
    return o;
}

static void timeline(const predict_telling *t, const predictor *p, const predict_taking *taking) {
    const tub_file_options o = predict_member_taking(p, 0, taking);
    char damage[TUB_ERROR_LENGTH];
    tub_error err;
    const tub_status status = tub_timeline(p->list[0], t->file, taking->window, taking->hop, &o,
                                           predict_tell_window, (void *)t, damage, &err);
    if (status != TUB_OK) {
        tell_unread(t, t->file, status, err.message);
    } else if (damage[0] != '\0') {
        predict_tell_bad(t, TUB_E_FORMAT, damage);
    }
}

static int timelines(predict_telling *t, tub_context *ctx, const predictor *p,
                     const predict_taking *taking, const char *const *files, int count) {
    int code = CLI_DONE;
    for (int i = 0; i < count && code == CLI_DONE; i++) {
        t->file = files[i];
        if (p->members.count > 1) {
            code = predict_mean_timeline(t, ctx, p, taking, files[i]);
        } else {
            timeline(t, p, taking);
        }
    }
    return code;
}

/* What is read of it is gone for the next model. */
static const char *find_pipe(const char *const *files, int count) {
    for (int i = 0; i < count; i++) {
        struct stat facts;
        if (stat(files[i], &facts) == 0 && !S_ISREG(facts.st_mode) && !S_ISDIR(facts.st_mode)) {
            return files[i];
        }
    }
    return NULL;
}

int predict_clips(const cli_command *self, cli_work *work, predict_printer *printer,
                  const predictor *p, const predict_taking *taking, const char *const *files,
                  int count, int *bad) {
    predict_telling t = {.command = self, .printer = printer, .bad = bad};
    tub_error err;
    const char *pipe = p->members.count > 1 ? find_pipe(files, count) : NULL;
    if (pipe != NULL) {
        return cli_fail_with(self,
                             "%s: a pipe can be read once, and each of several models reads the "
                             "file; save it first",
                             pipe);
    }
    if (taking->window > 0) {
        return timelines(&t, work->context, p, taking, files, count);
    }
    if (p->members.count > 1) {
        return predict_mean_files(&t, work->context, p, taking, files, count);
    }
    const tub_file_options o = predict_member_taking(p, 0, taking);
    return tub_predict_files(p->list[0], (size_t)count, files, &o, predict_tell_file, &t, &err) ==
                   TUB_OK
               ? CLI_DONE
               : cli_fail(self, &err);
}
