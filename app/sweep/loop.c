/* SPDX-License-Identifier: Apache-2.0 */
/* The sweep at work: trials begin, report, are stopped and end, each step first in the journal. */
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../clock.h"
#include "../interrupt.h"
#include "sweep.h"

static const char KEPT[] = "trials save what they have; the same command goes on";
enum { PAUSE = 50 * 1000 * 1000 /* nanoseconds */, ROWS = 64, WORDS = 400 };

static int64_t trials_of(const sweep *s, const tub_trial **out) {
    int64_t count;
    *out = tub_journal_trials(s->journal, &count);
    return count;
}

static bool is_at_work(const sweep *s, int64_t trial) {
    for (int i = 0; i < s->options->workers; i++) {
        if (s->worker[i].pid > 0 && s->worker[i].trial == trial) {
            return true;
        }
    }
    return false;
}

static int at_work(const sweep *s) {
    int n = 0;
    for (int i = 0; i < s->options->workers; i++) {
        n += s->worker[i].pid > 0;
    }
    return n;
}

/* Some trial has the value that the file calls good enough. */
static bool target_reached(const sweep *s) {
    const tub_trial *trials;
    const int64_t count = trials_of(s, &trials), best = tub_sweep_best_of(s->file, trials, count);
    if (isnan(s->info->target) || best < 0 || s->column[0] == '\0') {
        return false;
    }
    const double value = tub_sweep_best(s->file, &trials[best]);
    return s->info->maximize ? value >= s->info->target : value <= s->info->target;
}

/* ---- Ends ---- */

/* All that a trial took, in this process and those before it that were interrupted. */
static double seconds_of(const sweep *s, const sweep_worker *w) {
    return tub_journal_seconds(s->journal, w->trial) + clock_now() - w->started;
}

static tub_status end_trial(sweep *s, const sweep_worker *w, tub_trial_state state,
                            const char *note, tub_error *err) {
    const tub_status status =
        tub_journal_end(s->journal, w->trial, state, seconds_of(s, w), note, err);
    if (status == TUB_OK) {
        (void)live_clear();
        sweep_tell_end(s, w->trial);
        return sweep_page(s) ? TUB_OK : TUB_E_CANCELLED; /* the sentence was printed */
    }
    return status;
}

static void band_note(const sweep *s, const tub_sweep_band *band, char *out, size_t size) {
    snprintf(out, size, "epoch %" PRId64 ": %s %.6g is worse than %.6g", band->band,
             s->info->metric, band->value, band->threshold);
}

/* Whether hyperband stops a trial at its last report; then the process is asked to end. */
static tub_status stop_early(sweep *s, sweep_worker *w, tub_error *err) {
    const tub_trial *trials;
    const int64_t count = trials_of(s, &trials);
    tub_sweep_band band;
    int stops = 0;
    char note[WORDS];
    if (!s->info->hyperband) {
        return TUB_OK;
    }
    const tub_status status = tub_sweep_stops(s->context, s->file, trials, count, w->trial,
                                              trials[w->trial].steps, &stops, &band, err);
    if (status != TUB_OK || !stops) {
        return status;
    }
    band_note(s, &band, note, sizeof note);
    w->stopped = true;
    sweep_ask_to_stop(w);
    return end_trial(s, w, TUB_TRIAL_STOPPED, note, err);
}

/* ---- Reports ---- */

/* Reads on in a trial's log: each row is journalled, and then judged as if nothing came after
 * it. */
static tub_status read_reports(sweep *s, sweep_worker *w, tub_error *err) {
    double values[ROWS];
    int64_t n = ROWS;
    tub_status status = TUB_OK;
    while (n == ROWS && !w->stopped && status == TUB_OK) {
        const tub_trial *trials;
        (void)trials_of(s, &trials);
        n = sweep_read_log(s, w->trial, trials[w->trial].steps, values, ROWS);
        for (int64_t i = 0; i < n && !w->stopped && status == TUB_OK; i++) {
            status = tub_journal_report(s->journal, w->trial, values[i], err);
            if (status == TUB_OK) {
                status = stop_early(s, w, err);
            }
        }
    }
    return status;
}

/* A process has ended. One that was interrupted with the sweep stays a running trial, and goes
 * on with it. */
static tub_status take_end(sweep *s, sweep_worker *w, int code, tub_error *err) {
    char words[WORDS];
    if (w->stopped) {
        return TUB_OK;
    }
    const tub_status status = read_reports(s, w, err);
    if (status != TUB_OK || w->stopped) {
        return status;
    }
    if (code == CLI_DONE) {
        return end_trial(s, w, TUB_TRIAL_FINISHED, NULL, err);
    }
    if (s->ended_early || interrupt_so_far() > 0) { /* the time that it took so far counts */
        return tub_journal_end(s->journal, w->trial, TUB_TRIAL_RUNNING, seconds_of(s, w), NULL,
                               err);
    }
    sweep_last_words(s, w->trial, code, words, sizeof words);
    return end_trial(s, w, TUB_TRIAL_FAILED, words, err);
}

static tub_status look_after(sweep *s, tub_error *err) {
    for (int i = 0; i < s->options->workers; i++) {
        sweep_worker *w = &s->worker[i];
        int code = 0;
        if (w->pid == 0) {
            continue;
        }
        const bool ended = sweep_ended(w, &code);
        const tub_status status = ended ? take_end(s, w, code, err) : read_reports(s, w, err);
        if (status != TUB_OK) {
            return status;
        }
    }
    return TUB_OK;
}

/* ---- Beginnings ---- */

/* Settings that can't be a training fail as one would. */
static tub_status prepare(sweep *s, int64_t trial, bool *fits, tub_error *err) {
    const tub_trial *trials;
    char path[TUB_PATH_LENGTH];
    tub_train_config config;
    (void)trials_of(s, &trials);
    const sweep_worker nobody = {.trial = trial, .started = clock_now()};
    const tub_status status = sweep_config(s, trials[trial].parameters, &config, err);
    *fits = status == TUB_OK;
    if (status == TUB_E_MEMORY) {
        return status;
    }
    if (!*fits) {
        char words[WORDS];
        snprintf(words, sizeof words, "%.*s", WORDS - 1, err->message);
        return end_trial(s, &nobody, TUB_TRIAL_FAILED, words, err);
    }
    return sweep_path(s, trial, ".yaml", path) && sweep_write_recipe(s, path, &config, "")
               ? TUB_OK
               : TUB_E_CANCELLED; /* the sentence was printed */
}

/* A trial that a killed sweep left running, not yet at work again; -1: none. */
static int64_t left_over(const sweep *s) {
    const tub_trial *trials;
    const int64_t count = trials_of(s, &trials);
    for (int64_t i = 0; i < count; i++) {
        if (trials[i].state == TUB_TRIAL_RUNNING && !is_at_work(s, i)) {
            return i;
        }
    }
    return -1;
}

/* The trial to begin or to go on with; -1: there is none. */
static tub_status next_trial(sweep *s, int64_t *out, bool *again, tub_error *err) {
    const tub_trial *trials;
    const int64_t count = trials_of(s, &trials);
    char *parameters = NULL;
    *out = left_over(s);
    *again = *out >= 0;
    if (*out >= 0 || count >= s->limit || target_reached(s)) {
        return TUB_OK;
    }
    tub_status status = tub_sweep_next(s->context, s->file, (uint64_t)s->options->seed, trials,
                                       count, &parameters, err);
    if (status == TUB_OK && parameters != NULL) {
        status = tub_journal_add(s->journal, parameters, err);
        *out = count;
    }
    tub_sweep_text_free(s->context, parameters);
    return status;
}

/* Gives an idle worker a trial. *more false: there is none. */
static tub_status begin_trial(sweep *s, int index, bool *more, tub_error *err) {
    int64_t trial = -1;
    bool again = false, fits = true;
    tub_status status = next_trial(s, &trial, &again, err);
    *more = trial >= 0;
    if (status != TUB_OK || trial < 0) {
        return status;
    }
    status = prepare(s, trial, &fits, err);
    if (status != TUB_OK || !fits) {
        return status;
    }
    if (again) { /* it may have been killed between a report and its judgement */
        sweep_worker nobody = {.trial = trial, .started = clock_now()};
        status = stop_early(s, &nobody, err);
        if (status != TUB_OK || nobody.stopped) {
            return status;
        }
    }
    (void)live_clear();
    sweep_tell_begin(s, trial, again);
    return sweep_start(s, index, trial, err);
}

static tub_status fill_workers(sweep *s, tub_error *err) {
    tub_status status = TUB_OK;
    for (int i = 0; i < s->options->workers && status == TUB_OK; i++) {
        bool more = true;
        while (s->worker[i].pid == 0 && more && status == TUB_OK) {
            status = begin_trial(s, i, &more, err);
        }
    }
    return status;
}

/* ---- All of it ---- */

static void stop_all(sweep *s) {
    for (int i = 0; i < s->options->workers; i++) {
        sweep_ask_to_stop(&s->worker[i]);
    }
}

static tub_status work(sweep *s, tub_error *err) {
    tub_status status = TUB_OK;
    const struct timespec pause = {0, PAUSE};
    while (status == TUB_OK) {
        if (!s->ended_early && interrupt_so_far() > 0) {
            s->ended_early = true;
            stop_all(s);
        }
        if (!s->ended_early) {
            status = fill_workers(s, err);
        }
        if (status == TUB_OK && at_work(s) == 0) {
            return TUB_OK;
        }
        nanosleep(&pause, NULL);
        if (status == TUB_OK) {
            status = look_after(s, err);
        }
        sweep_draw(s, false);
    }
    return status;
}

/* Processes that are left after a failure of our own. */
static void wait_for_all(sweep *s) {
    const struct timespec pause = {0, PAUSE};
    stop_all(s);
    while (at_work(s) > 0) {
        for (int i = 0; i < s->options->workers; i++) {
            int code;
            if (s->worker[i].pid > 0) {
                (void)sweep_ended(&s->worker[i], &code);
            }
        }
        nanosleep(&pause, NULL);
    }
}

int sweep_run(sweep *s) {
    tub_error err = {0};
    live_init(&s->live,
              s->options->common.plain || s->options->common.quiet || s->options->common.json);
    interrupt_begin(s->context, KEPT);
    /* Whoever started us may have it ignored: then no training would be seen to end. */
    (void)signal(SIGCHLD, SIG_DFL);
    const tub_status status = work(s, &err);
    if (status != TUB_OK) {
        wait_for_all(s);
    }
    (void)interrupt_end();
    (void)live_clear();
    if (status != TUB_OK) {
        return status == TUB_E_CANCELLED ? CLI_FAILED : cli_fail(s->self, &err);
    }
    return sweep_tell_all(s);
}
