/* SPDX-License-Identifier: Apache-2.0 */
/* tubelet clip: what a model sees of a file, as an array, an animation or a strip of pictures. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "cli.h"
#include "output.h"
#include "place.h"
#include "subject.h"

enum {
    KEY_FRAMES = CLI_KEY_OWN,
    KEY_SAMPLING,
    KEY_STRIDE,
    KEY_FROM,
    KEY_TO,
    KEY_SIDE,
    KEY_WINDOW,
    KEY_WEIGHTS,
    KEY_FORCE,
    FRAMES_LIMIT = 65536
};

static const struct argp_option options[] = {
    {"model", 'm', "MODEL", 0,
     "Clips as this model takes them: its length, sampling, size and, for .npy, scaling", 1},
    {"weights", KEY_WEIGHTS, "WHICH", 0, "last or best of a run (default: as its recipe says)", 1},
    {"frames", KEY_FRAMES, "N", 0,
     "Frames of the clip, or all: every frame untouched, as .npy (default 16)", 1},
    {"sampling", KEY_SAMPLING, "KIND", 0,
     "Which frames: uniform, linspace, stride or segments (default: as the model's folder says, "
     "else uniform)",
     1},
    {"stride", KEY_STRIDE, "N", 0, "Every N-th frame, of --sampling stride or linspace", 1},
    {"from", KEY_FROM, "TIME", 0, "Begin at this time, such as 2.5 or 1m (default: the start)", 1},
    {"to", KEY_TO, "TIME", 0, "End before this time (default: the end)", 1},
    {"side", KEY_SIDE, "N", 0,
     "Resize frames to a shorter side of N and cut out the square in the middle (default: as they "
     "are)",
     1},
    {"intensity-window", KEY_WINDOW, "LOW,HIGH", 0,
     "Of volumes and arrays of intensities: LOW and less become black, HIGH and more white", 1},
    {"force", KEY_FORCE, NULL, 0, "Replace OUT where it exists", 1},
    CLI_OPTIONS_COMPUTE,
    CLI_OPTIONS_TALK,
    {0}};

typedef struct clip_options {
    cli_common common;
    const char *file, *out, *model, *weights;
    tub_clip_read_options clip;
    bool all, force;
} clip_options;

static error_t misuse(struct argp_state *state, const tub_error *err, const char *option) {
    return cli_misuse(state, "%s: %s", option, err->message);
}

static bool ends_so(const char *path, const char *ending) {
    const char *dot = strrchr(path, '.');
    return dot != NULL && strcasecmp(dot, ending) == 0;
}

static bool is_array(const char *path) {
    return ends_so(path, ".npy");
}

static bool is_windowed(const tub_clip_read_options *c) {
    return c->intensity_window[0] != c->intensity_window[1];
}

static error_t check(const clip_options *o, struct argp_state *state) {
    const tub_clip_read_options *c = &o->clip;
    if (o->common.help) {
        return 0;
    }
    if (o->out == NULL) {
        return cli_misuse(state, "needs a file to read and one to write, OUT.npy, .gif or .png");
    }
    if (o->all && (o->model != NULL || c->side > 0 || c->from > 0 || c->to >= 0 || c->stride > 0 ||
                   c->sampling != TUB_SAMPLING_DEFAULT || is_windowed(c))) {
        return cli_misuse(state, "--frames all writes every frame untouched: leave the other "
                                 "options away");
    }
    if (!is_array(o->out) && !ends_so(o->out, ".gif") && !ends_so(o->out, ".png")) {
        return cli_misuse(state, "%s: a clip is written as .npy, .gif or .png", o->out);
    }
    if (o->all && !is_array(o->out)) {
        return cli_misuse(state, "--frames all writes an array: name OUT.npy");
    }
    if (o->model != NULL && (c->frames > 0 || c->side > 0 || is_windowed(c))) {
        return cli_misuse(state, "--model has frames of its own: leave %s away",
                          c->frames > 0 ? "--frames"
                          : c->side > 0 ? "--side"
                                        : "--intensity-window");
    }
    if (o->weights != NULL && o->model == NULL) {
        return cli_misuse(state, "--weights works with --model only");
    }
    return 0;
}

static error_t parse_frames(clip_options *o, const char *text, struct argp_state *state) {
    long n = 0;
    o->all = strcmp(text, "all") == 0;
    if (!o->all && !cli_parse_int(state, "--frames", text, 1, FRAMES_LIMIT, &n)) {
        return ECANCELED;
    }
    o->clip.frames = n;
    return 0;
}

static error_t parse_whole(int64_t *out, const char *option, const char *text,
                           struct argp_state *state) {
    long n;
    if (!cli_parse_int(state, option, text, 1, FRAMES_LIMIT, &n)) {
        return ECANCELED;
    }
    *out = n;
    return 0;
}

/* As the setting of the same meaning is read. */
static error_t parse_window(tub_clip_read_options *o, const char *text, struct argp_state *state) {
    tub_train_config config = tub_train_config_default();
    tub_error err;
    if (tub_train_config_set(&config, "clip.intensity_window", text, &err) != TUB_OK) {
        return cli_misuse(state, "--intensity-window: %s", err.message);
    }
    memcpy(o->intensity_window, config.clip.intensity_window, sizeof o->intensity_window);
    return is_windowed(o) ? 0
                          : cli_misuse(state, "--intensity-window takes two numbers, as -160,240");
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    clip_options *o = state->input;
    tub_error err;
    switch (key) {
    case 'm':
        return cli_parse_name(&o->model, "--model", argument, state);
    case KEY_WEIGHTS:
        return subject_parse_weights(&o->weights, argument, state);
    case KEY_FRAMES:
        return parse_frames(o, argument, state);
    case KEY_SAMPLING:
        return tub_sampling_parse(argument, &o->clip.sampling, &err) == TUB_OK
                   ? 0
                   : misuse(state, &err, "--sampling");
    case KEY_STRIDE:
        return parse_whole(&o->clip.stride, "--stride", argument, state);
    case KEY_SIDE:
        return parse_whole(&o->clip.side, "--side", argument, state);
    case KEY_WINDOW:
        return parse_window(&o->clip, argument, state);
    case KEY_FROM:
        return tub_time_parse(argument, &o->clip.from, &err) == TUB_OK
                   ? 0
                   : misuse(state, &err, "--from");
    case KEY_TO:
        return tub_time_parse(argument, &o->clip.to, &err) == TUB_OK ? 0
                                                                     : misuse(state, &err, "--to");
    case KEY_FORCE:
        o->force = true;
        return 0;
    case ARGP_KEY_ARG:
        return o->file == NULL  ? cli_parse_name(&o->file, "FILE", cli_input_name(argument), state)
               : o->out == NULL ? cli_parse_name(&o->out, "OUT", argument, state)
                                : cli_misuse(state, "more than two arguments: FILE and OUT");
    case ARGP_KEY_END:
        return check(o, state);
    default:
        return cli_parse_common(key, argument, state);
    }
}

/* ---- Telling ---- */

typedef struct result {
    int64_t shape[4];
    const char *type, *damage;
    const tub_clip *clip; /* NULL: all frames */
} result;

static json_t *seconds_of(const tub_clip *clip) {
    json_t *list = json_array();
    for (int64_t i = 0; i < clip->frames && list != NULL; i++) {
        json_array_append_new(list, output_number(clip->seconds[i]));
    }
    return list;
}

static int print_result(const cli_command *self, const clip_options *o, const result *r) {
    if (r->damage[0] != '\0') {
        fprintf(stderr, "tubelet clip: %s: %s\n", o->file, r->damage);
    }
    if (o->common.json) {
        json_t *line =
            json_pack("{s:o,s:o,s:o,s:s}", "file", output_text(o->file), "out", output_text(o->out),
                      "shape", output_integers(r->shape, 4), "dtype", r->type);
        if (line != NULL && r->clip != NULL) {
            json_object_set_new(line, "indices",
                                output_integers(r->clip->indices, r->clip->frames));
            json_object_set_new(line, "seconds",
                                r->clip->seconds != NULL ? seconds_of(r->clip) : json_null());
            json_object_set_new(line, "file_frames", json_integer(r->clip->file_frames));
        }
        if (line != NULL) {
            json_object_set_new(line, "damage",
                                r->damage[0] != '\0' ? output_text(r->damage) : json_null());
        }
        return cli_print_json(self, line);
    }
    if (!o->common.quiet) {
        printf("%s: [%lld,%lld,%lld,%lld] %s\n", o->out, (long long)r->shape[0],
               (long long)r->shape[1], (long long)r->shape[2], (long long)r->shape[3], r->type);
        output_note();
    }
    return CLI_DONE;
}

/* ---- Work ---- */

static int write_all(const cli_command *self, tub_context *ctx, const clip_options *o) {
    tub_error err;
    char damage[TUB_CLIP_DAMAGE_LENGTH];
    result r = {.type = "untouched", .damage = damage};
    return tub_clip_write_all(ctx, o->file, o->out, r.shape, damage, &err) == TUB_OK
               ? print_result(self, o, &r)
               : cli_fail(self, &err);
}

static int write_clip(const cli_command *self, tub_context *ctx, const clip_options *o,
                      const tub_model *model) {
    tub_clip_read_options wanted = o->clip;
    tub_clip clip;
    tub_error err;
    wanted.model = model;
    wanted.scaled = model != NULL && is_array(o->out);
    if (tub_clip_read(ctx, o->file, &wanted, &clip, &err) != TUB_OK) {
        return cli_fail(self, &err);
    }
    const result r = {{clip.frames, clip.height, clip.width, clip.channels},
                      clip.dtype == TUB_U8 ? "uint8" : "float32",
                      clip.damage,
                      &clip};
    const int code = tub_clip_write(&clip, o->out, &err) == TUB_OK ? print_result(self, o, &r)
                                                                   : cli_fail(self, &err);
    tub_clip_free(&clip);
    return code;
}

static int with_model(const cli_command *self, tub_context *ctx, const clip_options *o) {
    subject s;
    tub_error err;
    tub_model *model = NULL;
    int code = subject_resolve(self, ctx, o->model, o->weights, &s);
    if (code != CLI_GO) {
        return code;
    }
    if (tub_model_open(ctx, s.folder, &model, &err) != TUB_OK) {
        return cli_fail(self, &err);
    }
    code = write_clip(self, ctx, o, model);
    tub_model_close(model);
    return code;
}

static int work_on(const cli_command *self, cli_work *work, void *parsed) {
    const clip_options *o = parsed;
    struct stat there;
    if (!o->force && lstat(o->out, &there) == 0) {
        return cli_fail_with(self, "%s exists; --force replaces it", o->out);
    }
    place_parents above;
    place_make_parents(&above, o->out);
    const int code = o->all             ? write_all(self, work->context, o)
                     : o->model != NULL ? with_model(self, work->context, o)
                                        : write_clip(self, work->context, o, NULL);
    if (code != CLI_DONE) {
        place_remove_parents(&above);
    }
    return code;
}

static int run(const cli_command *self, int argc, char **argv) {
    clip_options o = {.clip = tub_clip_read_options_default()};
    return cli_run(self, argc, argv, &o, work_on);
}

const cli_command cli_clip = {
    .name = "clip",
    .arguments = "FILE OUT",
    .summary = "writes what a model sees of a video as .npy, .gif or .png",
    .description =
        "FILE is a video, an animation, a picture, a folder of pictures, a .npy, a member of a "
        ".npz "
        "or a NIfTI volume. OUT.npy has the clip as [T,H,W,C]: uint8 levels, or with --model the "
        "float32 that it takes; OUT.gif moves, OUT.png has the frames side by side. FILE - is the "
        "standard input.",
    .examples = "  tubelet clip video.mp4 clip.gif\n"
                "  tubelet clip video.mp4 clip.png --model runs/first --from 10s --to 12s\n"
                "  tubelet clip video.mp4 frames.npy --frames all\n"
                "  tubelet clip scan.nii.gz slices.png --frames 8 --side 128 --intensity-window=-160,240",
    .options = options,
    .parser = parse,
    .run = run,
};
