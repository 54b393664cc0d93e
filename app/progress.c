/* SPDX-License-Identifier: Apache-2.0 */
/* Draws the library's events: a bar on a terminal, plain lines elsewhere, JSON lines for programs.
 */
#include "progress.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "output.h"

enum { BAR_WIDTH = 20, LINE_LIMIT = 256 };
static const double redraw_seconds = 0.1;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void progress_init(progress *p, const char *command, bool quiet, bool json) {
    const char *term = getenv("TERM");
    *p = (progress){.command = command, .quiet = quiet, .json = json};
    p->terminal = isatty(STDERR_FILENO) && (term == NULL || strcmp(term, "dumb") != 0);
}

void progress_clear(progress *p) {
    if (p->bar_shown) {
        fputs("\r\033[K", stderr);
        p->bar_shown = false;
    }
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

/* A bar of done out of total with text after it, cut to the terminal's width. Drawn ten times a
 * second at most. */
static void draw_bar(progress *p, uint64_t done, uint64_t total, const char *text) {
    double t = now();
    if (p->quiet || !p->terminal || (t - p->drawn < redraw_seconds && done != total)) {
        return;
    }
    p->drawn = t;
    struct winsize window = {0};
    int columns = 80;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0) {
        columns = window.ws_col;
    }
    char bar[BAR_WIDTH + 1];
    double share = total > 0 ? (double)done / (double)total : 0;
    int filled = (int)(share * BAR_WIDTH);
    for (int i = 0; i < BAR_WIDTH; i++) {
        bar[i] = i < filled ? '#' : '.';
    }
    bar[BAR_WIDTH] = '\0';
    char line[LINE_LIMIT];
    int length = snprintf(line, sizeof line, "[%s] %3.0f %%  %s", bar, 100 * share, text);
    int room = length < columns - 1 ? length : columns - 1;
    fprintf(stderr, "\r%.*s\033[K", room, line);
    fflush(stderr);
    p->bar_shown = true;
}

static void on_log(progress *p, const tub_event *event) {
    const char *message = event->message != NULL ? event->message : "";
    if (event->level == TUB_LOG_WARNING) {
        progress_clear(p);
        fprintf(stderr, "tubelet %s: warning: %s\n", p->command, message);
    } else if (!p->quiet) {
        progress_clear(p);
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
    if (stage <= p->download.told || p->quiet || (p->terminal && stage < 5)) {
        return;
    }
    p->download.told = stage;
    double done = 1e-6 * (double)event->done, total = 1e-6 * (double)event->total;
    progress_clear(p);
    if (stage == 5) {
        fprintf(stderr, "%s: %.1f MB\n", name, total);
    } else if (stage > 1) {
        fprintf(stderr, "%s: %.1f of %.1f MB\n", name, done, total);
    } else {
        fprintf(stderr, "%s: downloading\n", name);
    }
}

static void on_download(progress *p, const tub_event *event) {
    char text[LINE_LIMIT];
    const char *name = event->message != NULL ? event->message : "download";
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
    char text[LINE_LIMIT];
    const char *name = event->message != NULL ? event->message : "clips";
    snprintf(text, sizeof text, "preparing clips of %s  %" PRIu64 " of %" PRIu64, name, event->done,
             event->total);
    draw_bar(p, event->done, event->total, text);
    if (event->done == 0 && !p->quiet && !p->terminal) {
        fprintf(stderr, "%s: preparing %" PRIu64 " clips\n", name, event->total);
    }
    if (event->done == event->total) {
        progress_clear(p);
    }
}

static void on_start(progress *p, const tub_event *event) {
    p->first_step = event->done;
    p->started = p->epoch_started = now();
    p->epoch_samples = event->samples;
    p->epochs = event->epochs;
    if (!p->quiet && event->done < event->total) {
        progress_clear(p);
        fprintf(stderr, "%s: %s step %" PRIu64 " of %" PRIu64 "\n",
                event->message != NULL ? event->message : "training",
                event->done > 0 ? "going on at" : "starting at", event->done, event->total);
    }
}

/* Samples a second of the epoch, as far as this process has worked on it. */
static double epoch_rate(const progress *p, const tub_event *event, double seconds) {
    return seconds > 0 ? (double)(event->samples - p->epoch_samples) / seconds : 0;
}

static void on_step(progress *p, const tub_event *event) {
    double elapsed = now() - p->started;
    uint64_t steps = event->done - p->first_step;
    double left = steps > 0 ? elapsed / (double)steps * (double)(event->total - event->done) : NAN;
    char eta[32], text[LINE_LIMIT];
    print_time(eta, sizeof eta, left);
    double rate = epoch_rate(p, event, now() - p->epoch_started);
    int n = snprintf(text, sizeof text, "epoch %" PRIu64 "/%" PRIu64 "  %s left  %.0f samples/s",
                     event->epoch, p->epochs, eta, rate);
    if (n > 0 && (size_t)n < sizeof text) {
        snprintf(text + n, sizeof text - (size_t)n, "  loss %.4f  top-1 %.3f", event->train.loss,
                 event->train.top1);
    }
    draw_bar(p, event->done, event->total, text);
}

/* "  name 0.1234", or nothing when the figure is not known. */
static void append_figure(char *line, size_t size, const char *name, double value) {
    size_t used = strlen(line);
    if (!isnan(value)) {
        snprintf(line + used, size - used, "  %s %.4f", name, value);
    }
}

static void on_epoch(progress *p, const tub_event *event) {
    double t = now();
    double seconds = t - p->epoch_started;
    if (p->json) {
        output_epoch(event);
    }
    if (!p->quiet) {
        char line[LINE_LIMIT];
        progress_clear(p);
        snprintf(line, sizeof line, "epoch %*" PRIu64 "/%" PRIu64 "  %5.1f s  %5.0f samples/s",
                 p->epochs >= 100 ? 3 : 2, event->epoch, p->epochs, seconds,
                 epoch_rate(p, event, seconds));
        append_figure(line, sizeof line, "loss", event->train.loss);
        append_figure(line, sizeof line, "top-1", event->train.top1);
        append_figure(line, sizeof line, "val loss", event->val.loss);
        append_figure(line, sizeof line, "val top-1", event->val.top1);
        append_figure(line, sizeof line, "val AUC", event->val.auc);
        if (event->data_wait > 1.0 && event->data_wait > 0.05 * seconds) {
            const size_t used = strlen(line);
            snprintf(line + used, sizeof line - used, "  waited %.1f s for data", event->data_wait);
        }
        fprintf(stderr, "%s\n", line);
    }
    p->epoch_started = t;
    p->epoch_samples = 0;
}

static void on_end(progress *p, const tub_event *event) {
    if (!p->quiet && p->first_step == event->total) {
        fprintf(stderr, "%s: all %" PRIu64 " steps were done before\n",
                event->message != NULL ? event->message : "training", event->total);
    } else if (!p->quiet) {
        char text[32];
        progress_clear(p);
        print_time(text, sizeof text, event->seconds);
        fprintf(stderr, "%s: %" PRIu64 " of %" PRIu64 " steps done in %s\n",
                event->message != NULL ? event->message : "training", event->done, event->total,
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
