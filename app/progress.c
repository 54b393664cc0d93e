/* SPDX-License-Identifier: Apache-2.0 */
/* Draws the library's events: in place on a terminal, plain lines elsewhere, JSON lines for
 * programs. */
#include "progress.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "output.h"

enum { BAR_WIDTH = 20, LINE_LIMIT = 256 };

void progress_init(progress *p, const char *command, bool quiet, bool json, bool plain) {
    *p = (progress){.command = command, .quiet = quiet, .json = json};
    live_init(&p->live, plain || quiet);
}

/* "1:05" or "2:03:04"; unknown as "-:--". */
static void print_time(char *out, size_t size, double seconds) {
    if (!(seconds >= 0 && seconds < 1e7)) {
        snprintf(out, size, "-:--");
        return;
    }
    long s = (long)(seconds + 0.5);
    if (s >= 3600) {
        snprintf(out, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    } else {
        snprintf(out, size, "%ld:%02ld", s / 60, s % 60);
    }
}

/* A bar, and its share in percent. */
static void add_bar(live_line *line, uint64_t done, uint64_t total) {
    const double share = done < total ? (double)done / (double)total : total > 0;
    const int filled = (int)(share * BAR_WIDTH);
    char bar[BAR_WIDTH + 1] = "";
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', (size_t)filled);
    live_add(line, 5, "[%s]", bar);
    line->field[line->fields - 1].colour = "32";
    live_add(line, 1, "%3.0f %%", 100 * share);
}

/* A bar of done out of total with text behind it, ten times a second at most, and at the end. */
static void draw_bar(progress *p, uint64_t done, uint64_t total, const char *text) {
    live_line line = {0};
    if (live_due(&p->live, done == total)) {
        add_bar(&line, done, total);
        const int room = live_columns() - 7; /* beside the share */
        live_add_text(&p->live, &line, 2, room, text);
        live_draw(&p->live, &line, 1);
    }
}

/* What an event is about, fit to be shown. */
static const char *name_of(const tub_event *event, const char *usual, char out[OUTPUT_NAME]) {
    return output_name(out, event->message != NULL ? event->message : usual);
}

static void on_log(progress *p, const tub_event *event) {
    const char *message = event->message != NULL ? event->message : "";
    if (event->level == TUB_LOG_WARNING) {
        (void)live_clear();
        fprintf(stderr, "tubelet %s: warning: %s\n", p->command, message);
    } else if (!p->quiet) {
        (void)live_clear();
        fprintf(stderr, "%s\n", message);
    }
}

/* How far a download is, as download.told counts. */
static int download_stage(const tub_event *event) {
    enum { SMALL = 10000000 }; /* bytes that nobody waits for */
    if (event->total > 0 && event->done >= event->total) {
        return 5;
    }
    if (event->done == 0) {
        return 0; /* perhaps nothing ever comes */
    }
    return event->total < SMALL ? 1 : 1 + (int)(4 * event->done / event->total);
}

/* A line at the beginning, at each quarter and at the end; on a terminal, with its bar, at the end
 * only. The transfer tells the same state many times. */
static void tell_download(progress *p, const tub_event *event, const char *name) {
    int stage = download_stage(event);
    if (strncmp(p->download.name, name, sizeof p->download.name - 1) != 0 ||
        event->done < p->download.done) {
        snprintf(p->download.name, sizeof p->download.name, "%s", name);
        p->download.told = 0;
    }
    p->download.done = event->done;
    if (stage <= p->download.told || p->quiet || (p->live.on && stage < 5)) {
        return;
    }
    p->download.told = stage;
    double done = 1e-6 * (double)event->done, total = 1e-6 * (double)event->total;
    (void)live_clear();
    if (stage == 5) {
        fprintf(stderr, "%s: %.1f MB\n", name, total);
    } else if (stage > 1) {
        fprintf(stderr, "%s: %.1f of %.1f MB\n", name, done, total);
    } else {
        fprintf(stderr, "%s: downloading\n", name);
    }
}

static void on_download(progress *p, const tub_event *event) {
    char text[OUTPUT_NAME + LINE_LIMIT], room[OUTPUT_NAME];
    const char *name = name_of(event, "download", room);
    double mega = 1e-6;
    if (event->total > 0) {
        snprintf(text, sizeof text, "%s  %.1f of %.1f MB", name, mega * (double)event->done,
                 mega * (double)event->total);
    } else {
        snprintf(text, sizeof text, "%s  %.1f MB", name, mega * (double)event->done);
    }
    if (download_stage(event) < 5) {
        draw_bar(p, event->done, event->total, text);
    }
    tell_download(p, event, name);
}

/* Away from a terminal a line when it begins: it may take minutes. */
static void on_clips(progress *p, const tub_event *event) {
    char text[OUTPUT_NAME + LINE_LIMIT], room[OUTPUT_NAME];
    const char *name = name_of(event, "clips", room);
    snprintf(text, sizeof text, "preparing clips of %s  %" PRIu64 " of %" PRIu64, name, event->done,
             event->total);
    draw_bar(p, event->done, event->total, text);
    if (event->done == 0 && !p->quiet && !p->live.on) {
        fprintf(stderr, "%s: preparing %" PRIu64 " clips\n", name, event->total);
    }
    if (event->done == event->total) {
        (void)live_clear();
    }
}

static void on_start(progress *p, const tub_event *event) {
    p->first_step = event->done;
    p->started = p->epoch_started = clock_now();
    p->epoch_samples = p->loss_samples = event->samples;
    p->loss_sum = NAN;
    p->loss = (spark){0}; /* of folds one run follows another */
    p->last = (live_line){0};
    p->epochs = event->epochs;
    if (!p->quiet && event->done < event->total) {
        (void)live_clear();
        fprintf(stderr, "%s: %s step %" PRIu64 " of %" PRIu64 "\n",
                name_of(event, "training", (char[OUTPUT_NAME]){0}),
                event->done > 0 ? "going on at" : "starting at", event->done, event->total);
    }
}

/* Samples a second of the epoch, as far as this process has worked on it. */
static double epoch_rate(const progress *p, const tub_event *event, double seconds) {
    return seconds > 0 ? (double)(event->samples - p->epoch_samples) / seconds : 0;
}

/* The loss of a step's samples, out of the means over those of the epoch. */
static void follow_loss(progress *p, const tub_event *event) {
    const double sum = event->train.loss * (double)event->samples;
    const bool known = p->loss_samples < event->samples && isfinite(p->loss_sum);
    spark_add(&p->loss, known ? (sum - p->loss_sum) / (double)(event->samples - p->loss_samples)
                              : event->train.loss);
    p->loss_samples = event->samples;
    p->loss_sum = sum;
}

static void add_progress(const progress *p, const tub_event *event, live_line *line) {
    const double elapsed = clock_now() - p->started;
    const uint64_t steps = event->done - p->first_step;
    const double left =
        steps > 0 ? elapsed / (double)steps * (double)(event->total - event->done) : NAN;
    char eta[32];
    print_time(eta, sizeof eta, left);
    add_bar(line, event->done, event->total);
    live_add(line, 2, "epoch %" PRIu64 "/%" PRIu64, event->epoch, p->epochs);
    live_add(line, 6, "step %" PRIu64 "/%" PRIu64, event->done, event->total);
    live_add(line, 4, "%.0f samples/s", epoch_rate(p, event, clock_now() - p->epoch_started));
    live_add(line, 3, "%s left", eta);
}

/* The means of the epoch so far, and how the loss has moved, in what is left of the line. */
static void add_loss(const progress *p, const tub_event *event, live_line *line) {
    live_add(line, 1, "loss %.4f", event->train.loss);
    int used = (int)strlen(line->field[0].text) + 2;
    live_add(line, 3, "top-1 %.3f", event->train.top1);
    used += (int)strlen(line->field[1].text) + 2;
    const int room = live_columns() - used, columns = room > LIVE_SPARK ? LIVE_SPARK
                                                      : room > 0        ? room
                                                                        : 0;
    char curve[LIVE_SPARK * SPARK_CELL + 1];
    const size_t drawn = spark_draw(&p->loss, (size_t)columns, p->live.utf8, curve);
    if (drawn > 0) {
        live_add(line, 2, "%s", curve);
        line->field[2].columns = (int)drawn;
        line->field[2].colour = "36";
    }
}

static void draw_training(progress *p, const tub_event *event, bool at_once) {
    if (live_due(&p->live, at_once)) {
        live_line lines[LIVE_LINES] = {0};
        add_progress(p, event, &lines[0]);
        add_loss(p, event, &lines[1]);
        lines[2] = p->last;
        live_draw(&p->live, lines, p->last.fields > 0 ? 3 : 2);
    }
}

static void on_step(progress *p, const tub_event *event) {
    follow_loss(p, event);
    draw_training(p, event, event->done == event->total);
}

/* "  name 0.1234", or nothing when the figure is not known. */
static void append_figure(char *line, size_t size, const char *name, double value) {
    size_t used = strlen(line);
    if (!isnan(value)) {
        snprintf(line + used, size - used, "  %s %.4f", name, value);
    }
}

static void add_figure(live_line *line, int rank, const char *name, double value) {
    if (!isnan(value)) {
        live_add(line, rank, "%s %.4f", name, value);
    }
}

/* Waiting that is worth a word. */
static bool has_waited(const tub_event *event, double seconds) {
    return event->data_wait > 1.0 && event->data_wait > 0.05 * seconds;
}

static void keep_figures(progress *p, const tub_event *event, double seconds) {
    p->last = (live_line){0};
    live_add(&p->last, 1, "epoch %" PRIu64 ":", event->epoch);
    add_figure(&p->last, 4, "loss", event->train.loss);
    add_figure(&p->last, 6, "top-1", event->train.top1);
    add_figure(&p->last, 3, "val loss", event->val.loss);
    add_figure(&p->last, 2, "val top-1", event->val.top1);
    add_figure(&p->last, 2, "val AUC", event->val.auc);
    if (has_waited(event, seconds)) {
        live_add(&p->last, 5, "waited %.1f s for data", event->data_wait);
    }
}

static void print_figures(const progress *p, const tub_event *event, double seconds) {
    char line[LINE_LIMIT];
    snprintf(line, sizeof line, "epoch %*" PRIu64 "/%" PRIu64 "  %5.1f s  %5.0f samples/s",
             p->epochs >= 100 ? 3 : 2, event->epoch, p->epochs, seconds,
             epoch_rate(p, event, seconds));
    append_figure(line, sizeof line, "loss", event->train.loss);
    append_figure(line, sizeof line, "top-1", event->train.top1);
    append_figure(line, sizeof line, "val loss", event->val.loss);
    append_figure(line, sizeof line, "val top-1", event->val.top1);
    append_figure(line, sizeof line, "val AUC", event->val.auc);
    if (has_waited(event, seconds)) {
        const size_t used = strlen(line);
        snprintf(line + used, sizeof line - used, "  waited %.1f s for data", event->data_wait);
    }
    fprintf(stderr, "%s\n", line);
}

static void on_epoch(progress *p, const tub_event *event) {
    const double t = clock_now(), seconds = t - p->epoch_started;
    if (p->json) {
        (void)live_clear();
        output_epoch(event);
    }
    if (p->live.on) {
        keep_figures(p, event, seconds);
        draw_training(p, event, event->done == event->total);
    } else if (!p->quiet) {
        print_figures(p, event, seconds);
    }
    p->epoch_started = t;
    p->epoch_samples = p->loss_samples = 0;
    p->loss_sum = 0.0;
}

static void on_end(progress *p, const tub_event *event) {
    if (!p->quiet && p->first_step == event->total) {
        fprintf(stderr, "%s: all %" PRIu64 " steps were done before\n",
                name_of(event, "training", (char[OUTPUT_NAME]){0}), event->total);
    } else if (!p->quiet) {
        char text[32];
        (void)live_clear();
        print_time(text, sizeof text, event->seconds);
        fprintf(stderr, "%s: %" PRIu64 " of %" PRIu64 " steps done in %s\n",
                name_of(event, "training", (char[OUTPUT_NAME]){0}), event->done, event->total,
                text);
    }
}

void progress_event(void *user, const tub_event *event) {
    progress *p = user;
    switch (event->kind) {
    case TUB_EVENT_LOG:
        on_log(p, event);
        break;
    case TUB_EVENT_DOWNLOAD:
        on_download(p, event);
        break;
    case TUB_EVENT_TRAIN_START:
        on_start(p, event);
        break;
    case TUB_EVENT_STEP:
        on_step(p, event);
        break;
    case TUB_EVENT_EPOCH:
        on_epoch(p, event);
        break;
    case TUB_EVENT_TRAIN_END:
        on_end(p, event);
        break;
    case TUB_EVENT_EVALUATE:
        draw_bar(p, event->done, event->total, "evaluating");
        break;
    case TUB_EVENT_CLIPS:
        on_clips(p, event);
        break;
    case TUB_EVENT_CHECKPOINT: /* one per epoch: not worth a line */
        break;
    }
}
