/* SPDX-License-Identifier: Apache-2.0 */
/* The journal of a sweep: what mod-journal keeps on the disk, with all trials in memory beside
 * it. */
#include <tubelet/journal.h>

#include "base/context.h"
#include "base/error.h"
#include "base/journal_module.h"
#include "base/module.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    char *note;
    double seconds;
    double *history;
    size_t room; /* of the history */
} entry;

struct tub_journal {
    tub_allocator allocator;
    const tub__journal_module *module;
    void *db;
    char *path;
    tub_trial *trials;
    entry *entries;
    size_t count, room;
};

static tub_status named(const tub_journal *j, tub_status status, tub_error *err) {
    return status == TUB_OK ? TUB_OK : tub__prefix(err, status, "%s", j->path);
}

/* ---- In memory ---- */

static tub_status reserve(tub_journal *j, tub_error *err) {
    void *trials = j->trials, *entries = j->entries;
    if (j->count < j->room) {
        return TUB_OK;
    }
    const size_t room = j->room * 2 + 16;
    TUB__TRY(tub__alloc_grow(&j->allocator, &trials, j->count * sizeof *j->trials,
                             room * sizeof *j->trials, err));
    j->trials = trials;
    TUB__TRY(tub__alloc_grow(&j->allocator, &entries, j->count * sizeof *j->entries,
                             room * sizeof *j->entries, err));
    j->entries = entries;
    j->room = room;
    return TUB_OK;
}

static tub_status reserve_report(tub_journal *j, size_t number, tub_error *err) {
    entry *e = &j->entries[number];
    void *history = e->history;
    const size_t steps = (size_t)j->trials[number].steps;
    if (steps < e->room) {
        return TUB_OK;
    }
    const size_t room = e->room * 2 + 16;
    TUB__TRY(tub__alloc_grow(&j->allocator, &history, steps * sizeof(double), room * sizeof(double),
                             err));
    e->history = history;
    e->room = room;
    j->trials[number].history = history;
    return TUB_OK;
}

static tub_status copy_note(tub_journal *j, const char *note, char **out, tub_error *err) {
    *out = NULL;
    return note == NULL ? TUB_OK : tub__alloc_string(&j->allocator, note, out, err);
}

/* ---- From the disk ---- */

static tub_status damaged(tub_error *err) {
    return tub__fail(err, TUB_E_FORMAT, "damaged: trials or reports are missing");
}

static tub_status take_trial(void *user, const tub__journal_trial *t, tub_error *err) {
    tub_journal *j = user;
    char *parameters = NULL, *note = NULL;
    if (t->number != (int64_t)j->count || t->parameters == NULL || t->state < TUB_TRIAL_RUNNING ||
        t->state > TUB_TRIAL_FAILED) {
        return damaged(err);
    }
    TUB__TRY(reserve(j, err));
    TUB__TRY(tub__alloc_string(&j->allocator, t->parameters, &parameters, err));
    const tub_status status = copy_note(j, t->note, &note, err);
    if (status != TUB_OK) {
        tub__free(&j->allocator, parameters);
        return status;
    }
    j->trials[j->count] = (tub_trial){.parameters = parameters, .state = (tub_trial_state)t->state};
    j->entries[j->count++] = (entry){.note = note, .seconds = t->seconds};
    return TUB_OK;
}

static tub_status take_report(void *user, int64_t number, int64_t step, double value,
                              tub_error *err) {
    tub_journal *j = user;
    if (number < 0 || number >= (int64_t)j->count || step != j->trials[number].steps) {
        return damaged(err);
    }
    TUB__TRY(reserve_report(j, (size_t)number, err));
    j->entries[number].history[j->trials[number].steps++] = value;
    return TUB_OK;
}

static tub_status read_all(tub_journal *j, tub_error *err) {
    TUB__TRY(j->module->open(j->path, &j->db, err));
    TUB__TRY(j->module->trials(j->db, take_trial, j, err));
    return j->module->reports(j->db, take_report, j, err);
}

tub_status tub_journal_open(tub_context *ctx, const char *path, tub_journal **out, tub_error *err) {
    const void *table = NULL;
    void *room = NULL;
    TUB__TRY(tub__module_open(ctx, "journal", &table, err));
    TUB__TRY(tub__alloc_array(&ctx->allocator, 1, sizeof(tub_journal), &room, err));
    tub_journal *j = room;
    j->allocator = ctx->allocator;
    j->module = table;
    tub_status status = tub__alloc_string(&j->allocator, path, &j->path, err);
    if (status == TUB_OK) {
        status = named(j, read_all(j, err), err);
    }
    if (status != TUB_OK) {
        tub_journal_close(j);
        return status;
    }
    *out = j;
    return TUB_OK;
}

void tub_journal_close(tub_journal *j) {
    if (j == NULL) {
        return;
    }
    const tub_allocator a = j->allocator;
    for (size_t i = 0; i < j->count; i++) {
        tub__free(&a, (char *)j->trials[i].parameters);
        tub__free(&a, j->entries[i].note);
        tub__free(&a, j->entries[i].history);
    }
    if (j->db != NULL) {
        j->module->close(j->db);
    }
    tub__free(&a, j->trials);
    tub__free(&a, j->entries);
    tub__free(&a, j->path);
    tub__free(&a, j);
}

/* ---- Reading and writing ---- */

tub_status tub_journal_put(tub_journal *j, const char *key, const char *value, tub_error *err) {
    return named(j, j->module->put(j->db, key, value, err), err);
}

tub_status tub_journal_get(tub_context *ctx, tub_journal *j, const char *key, char **out,
                           tub_error *err) {
    char *value = NULL;
    *out = NULL;
    TUB__TRY(named(j, j->module->get(j->db, key, &value, err), err));
    const tub_status status =
        value == NULL ? TUB_OK : tub__alloc_string(&ctx->allocator, value, out, err);
    free(value);
    return status;
}

const tub_trial *tub_journal_trials(const tub_journal *j, int64_t *count) {
    *count = (int64_t)j->count;
    return j->trials;
}

const char *tub_journal_note(const tub_journal *j, int64_t number) {
    return number >= 0 && number < (int64_t)j->count ? j->entries[number].note : NULL;
}

double tub_journal_seconds(const tub_journal *j, int64_t number) {
    return number >= 0 && number < (int64_t)j->count ? j->entries[number].seconds : NAN;
}

tub_status tub_journal_add(tub_journal *j, const char *parameters, tub_error *err) {
    char *copy = NULL;
    TUB__TRY(named(j, reserve(j, err), err));
    TUB__TRY(named(j, tub__alloc_string(&j->allocator, parameters, &copy, err), err));
    const tub__journal_trial trial = {
        .number = (int64_t)j->count, .state = TUB_TRIAL_RUNNING, .parameters = copy};
    const tub_status status = named(j, j->module->add(j->db, &trial, err), err);
    if (status != TUB_OK) {
        tub__free(&j->allocator, copy);
        return status;
    }
    j->trials[j->count] = (tub_trial){.parameters = copy, .state = TUB_TRIAL_RUNNING};
    j->entries[j->count++] = (entry){0};
    return TUB_OK;
}

static tub_status check_number(const tub_journal *j, int64_t number, tub_error *err) {
    return named(j, tub__in_range("the trial's number", number, 0, (int64_t)j->count - 1, err),
                 err);
}

tub_status tub_journal_report(tub_journal *j, int64_t number, double value, tub_error *err) {
    TUB__TRY(check_number(j, number, err));
    TUB__TRY(named(j, reserve_report(j, (size_t)number, err), err));
    TUB__TRY(named(j, j->module->report(j->db, number, j->trials[number].steps, value, err), err));
    j->entries[number].history[j->trials[number].steps++] = value;
    return TUB_OK;
}

tub_status tub_journal_end(tub_journal *j, int64_t number, tub_trial_state state, double seconds,
                           const char *note, tub_error *err) {
    char *copy = NULL;
    TUB__TRY(check_number(j, number, err));
    TUB__TRY(named(j, copy_note(j, note, &copy, err), err));
    const tub__journal_trial trial = {
        .number = number, .state = state, .note = copy, .seconds = seconds};
    const tub_status status = named(j, j->module->end(j->db, &trial, err), err);
    if (status != TUB_OK) {
        tub__free(&j->allocator, copy);
        return status;
    }
    tub__free(&j->allocator, j->entries[number].note);
    j->entries[number].note = copy;
    j->entries[number].seconds = seconds;
    j->trials[number].state = state;
    return TUB_OK;
}
