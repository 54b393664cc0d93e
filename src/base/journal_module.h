/* SPDX-License-Identifier: Apache-2.0 */
/* mod-journal: what a sweep has done, in a file of SQLite. */
#ifndef TUB__BASE_JOURNAL_MODULE_H
#define TUB__BASE_JOURNAL_MODULE_H

#include <stdint.h>
#include <tubelet/status.h>

/* A row of the table of trials. */
typedef struct tub__journal_trial {
    int64_t number;
    int state;
    const char *parameters, *note; /* note may be NULL */
    double seconds;
} tub__journal_trial;

/* Each call of a reading one; texts live as long as the call. */
typedef tub_status tub__journal_trial_fn(void *user, const tub__journal_trial *trial,
                                         tub_error *err);
typedef tub_status tub__journal_report_fn(void *user, int64_t number, int64_t step, double value,
                                          tub_error *err);

/* Each writing is a transaction that is on the disk when the call returns. */
typedef struct tub__journal_module {
    int version;
    /* Opens the file, makes it where it is missing, and holds it alone until close. Errors:
     * TUB_E_EXISTS (somebody else holds it), TUB_E_FORMAT, TUB_E_IO, TUB_E_MEMORY. */
    tub_status (*open)(const char *path, void **out, tub_error *err);
    void (*close)(void *db);
    /* Sets and gets a named text; *value is from malloc, NULL where there is none. */
    tub_status (*put)(void *db, const char *key, const char *value, tub_error *err);
    tub_status (*get)(void *db, const char *key, char **value, tub_error *err);
    tub_status (*add)(void *db, const tub__journal_trial *trial, tub_error *err);
    /* Sets state, note and seconds of a trial. */
    tub_status (*end)(void *db, const tub__journal_trial *trial, tub_error *err);
    tub_status (*report)(void *db, int64_t number, int64_t step, double value, tub_error *err);
    /* All of them, in the order of their numbers, and of number and step. */
    tub_status (*trials)(void *db, tub__journal_trial_fn *each, void *user, tub_error *err);
    tub_status (*reports)(void *db, tub__journal_report_fn *each, void *user, tub_error *err);
} tub__journal_module;

#endif
