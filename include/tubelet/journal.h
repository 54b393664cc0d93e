/* SPDX-License-Identifier: Apache-2.0 */
/* The journal of a sweep: its trials and what they reported, in a file that a kill at any
 * instant leaves whole (SQLite, by mod-journal). */
#ifndef TUBELET_JOURNAL_H
#define TUBELET_JOURNAL_H

#include <tubelet/sweep.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Used by one thread at a time. */
typedef struct tub_journal tub_journal;

/* Opens a journal, makes it where it is missing, and reads it. Nobody else can open it until it
 * is closed or the process has ended. Errors begin with the path: TUB_E_EXISTS (another process
 * holds it), TUB_E_FORMAT (no journal, or one that is damaged), TUB_E_IO, TUB_E_MODULE,
 * TUB_E_MEMORY. */
TUB_API TUB_MUST_USE tub_status tub_journal_open(tub_context *ctx, const char *path,
                                                 tub_journal **out, tub_error *err);
/* Accepts NULL. */
TUB_API void tub_journal_close(tub_journal *journal);

/* A named text. Getting gives NULL in *out where there is none, else the caller's until
 * tub_sweep_text_free. */
TUB_API TUB_MUST_USE tub_status tub_journal_put(tub_journal *journal, const char *key,
                                                const char *value, tub_error *err);
TUB_API TUB_MUST_USE tub_status tub_journal_get(tub_context *ctx, tub_journal *journal,
                                                const char *key, char **out, tub_error *err);

/* All trials by their numbers, from 0, as tub_sweep_next takes them; the journal's until the
 * next call that changes it. */
TUB_API const tub_trial *tub_journal_trials(const tub_journal *journal, int64_t *count);
/* Why a trial ended, or NULL; and the seconds it took. */
TUB_API const char *tub_journal_note(const tub_journal *journal, int64_t number);
TUB_API double tub_journal_seconds(const tub_journal *journal, int64_t number);

/* Each of these is on the disk when it returns, or has changed nothing. Errors begin with the
 * path: TUB_E_IO, TUB_E_MEMORY; TUB_E_RANGE (no trial of that number). */
/* Adds a running trial; its number is how many there were. */
TUB_API TUB_MUST_USE tub_status tub_journal_add(tub_journal *journal, const char *parameters,
                                                tub_error *err);
/* One more value of a trial's history; NaN: a report without the metric. */
TUB_API TUB_MUST_USE tub_status tub_journal_report(tub_journal *journal, int64_t number,
                                                   double value, tub_error *err);
/* Ends a trial; one that stays TUB_TRIAL_RUNNING was interrupted, and keeps the seconds that it took.
 * note: NULL, or why. */
TUB_API TUB_MUST_USE tub_status tub_journal_end(tub_journal *journal, int64_t number,
                                                tub_trial_state state, double seconds,
                                                const char *note, tub_error *err);

#ifdef __cplusplus
}
#endif
#endif
