/* SPDX-License-Identifier: Apache-2.0 */
/* mod-journal: what a sweep has done, in a file of SQLite with a rollback journal: a process that is
 * killed, or a power cut, leaves every transaction whole or not there. */
#include "base/journal_module.h"

#include "base/error.h"
#include "base/module.h"
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "tubl", so that `file` and we know the file again. */
enum { APPLICATION = 0x7475626c, VERSION = 1 };

static tub_status fail_db(sqlite3 *db, int code, tub_error *err) {
    const char *text = db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(code);
    switch (code & 0xff) {
    case SQLITE_NOMEM:
        return tub__fail(err, TUB_E_MEMORY, "no memory for the journal");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return tub__fail(err, TUB_E_EXISTS, "another sweep is at work on it");
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return tub__fail(err, TUB_E_FORMAT, "not a journal of a sweep, or damaged (%.200s)", text);
    default:
        return tub__fail(err, TUB_E_IO, "%.300s", text);
    }
}

static tub_status run(sqlite3 *db, const char *sql, tub_error *err) {
    const int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? TUB_OK : fail_db(db, code, err);
}

static tub_status prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out, tub_error *err) {
    const int code = sqlite3_prepare_v2(db, sql, -1, out, NULL);
    return code == SQLITE_OK ? TUB_OK : fail_db(db, code, err);
}

/* Runs a statement that gives no rows, and ends it. */
static tub_status finish(sqlite3 *db, sqlite3_stmt *statement, tub_error *err) {
    const int code = sqlite3_step(statement);
    const tub_status status = code == SQLITE_DONE ? TUB_OK : fail_db(db, code, err);
    sqlite3_finalize(statement);
    return status;
}

static tub_status number_of(sqlite3 *db, const char *sql, int64_t *out, tub_error *err) {
    sqlite3_stmt *statement = NULL;
    TUB__TRY(prepare(db, sql, &statement, err));
    const int code = sqlite3_step(statement);
    const tub_status status = code == SQLITE_ROW ? TUB_OK : fail_db(db, code, err);
    *out = status == TUB_OK ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return status;
}

/* A new file gets its tables; one of somebody else's, or of another version, is refused. */
static tub_status prepare_tables(sqlite3 *db, tub_error *err) {
    static const char tables[] =
        "CREATE TABLE fact(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;"
        "CREATE TABLE trial(number INTEGER PRIMARY KEY, state INTEGER NOT NULL, parameters TEXT "
        "NOT "
        "NULL, note TEXT, seconds REAL NOT NULL) STRICT;"
        "CREATE TABLE report(number INTEGER NOT NULL, step INTEGER NOT NULL, value REAL, PRIMARY "
        "KEY(number, step)) STRICT, WITHOUT ROWID;";
    char sql[sizeof tables + 128];
    int64_t id = 0, version = 0, known = 0;
    /* FULL is the default, unless SQLite was built with another. */
    TUB__TRY(run(db, "PRAGMA synchronous = FULL; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE",
                 err));
    TUB__TRY(number_of(db, "PRAGMA application_id", &id, err));
    TUB__TRY(number_of(db, "PRAGMA user_version", &version, err));
    TUB__TRY(number_of(db, "SELECT count(*) FROM sqlite_schema", &known, err));
    if (known > 0 && (id != APPLICATION || version != VERSION)) {
        return tub__fail(err, TUB_E_FORMAT,
                         id == APPLICATION ? "a journal of another version of tubelet"
                                           : "a database, and not a journal of a sweep");
    }
    if (known == 0) {
        snprintf(sql, sizeof sql, "%s PRAGMA application_id = %d; PRAGMA user_version = %d;",
                 tables, APPLICATION, VERSION);
        TUB__TRY(run(db, sql, err));
    }
    return run(db, "COMMIT", err);
}

static void close_db(void *db) {
    sqlite3_close(db);
}

static tub_status open_db(const char *path, void **out, tub_error *err) {
    sqlite3 *db = NULL;
    const int code = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    const tub_status status = code == SQLITE_OK ? prepare_tables(db, err) : fail_db(db, code, err);
    if (status != TUB_OK) {
        close_db(db);
        return status;
    }
    *out = db;
    return TUB_OK;
}

static tub_status put(void *db, const char *key, const char *value, tub_error *err) {
    sqlite3_stmt *s = NULL;
    TUB__TRY(prepare(db, "INSERT OR REPLACE INTO fact VALUES(?, ?)", &s, err));
    sqlite3_bind_text(s, 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, value, -1, SQLITE_STATIC);
    return finish(db, s, err);
}

static tub_status get(void *db, const char *key, char **value, tub_error *err) {
    sqlite3_stmt *s = NULL;
    TUB__TRY(prepare(db, "SELECT value FROM fact WHERE key = ?", &s, err));
    sqlite3_bind_text(s, 1, key, -1, SQLITE_STATIC);
    const int code = sqlite3_step(s);
    tub_status status = code == SQLITE_ROW || code == SQLITE_DONE ? TUB_OK : fail_db(db, code, err);
    *value = NULL;
    if (code == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(s, 0);
        *value = text != NULL ? strdup(text) : NULL;
        status =
            *value == NULL ? tub__fail(err, TUB_E_MEMORY, "no memory for the journal") : TUB_OK;
    }
    sqlite3_finalize(s);
    return status;
}

static tub_status add(void *db, const tub__journal_trial *t, tub_error *err) {
    sqlite3_stmt *s = NULL;
    TUB__TRY(prepare(db, "INSERT INTO trial VALUES(?, ?, ?, ?, ?)", &s, err));
    sqlite3_bind_int64(s, 1, t->number);
    sqlite3_bind_int(s, 2, t->state);
    sqlite3_bind_text(s, 3, t->parameters, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 4, t->note, -1, SQLITE_STATIC);
    sqlite3_bind_double(s, 5, t->seconds);
    return finish(db, s, err);
}

static tub_status end(void *db, const tub__journal_trial *t, tub_error *err) {
    sqlite3_stmt *s = NULL;
    TUB__TRY(
        prepare(db, "UPDATE trial SET state = ?, note = ?, seconds = ? WHERE number = ?", &s, err));
    sqlite3_bind_int(s, 1, t->state);
    sqlite3_bind_text(s, 2, t->note, -1, SQLITE_STATIC);
    sqlite3_bind_double(s, 3, t->seconds);
    sqlite3_bind_int64(s, 4, t->number);
    return finish(db, s, err);
}

static tub_status report(void *db, int64_t number, int64_t step, double value, tub_error *err) {
    sqlite3_stmt *s = NULL;
    TUB__TRY(prepare(db, "INSERT INTO report VALUES(?, ?, ?)", &s, err));
    sqlite3_bind_int64(s, 1, number);
    sqlite3_bind_int64(s, 2, step);
    if (isfinite(value)) {
        sqlite3_bind_double(s, 3, value);
    }
    return finish(db, s, err);
}

static tub_status trials(void *db, tub__journal_trial_fn *each, void *user, tub_error *err) {
    sqlite3_stmt *s = NULL;
    tub_status status = TUB_OK;
    int code = SQLITE_DONE;
    TUB__TRY(prepare(
        db, "SELECT number, state, parameters, note, seconds FROM trial ORDER BY number", &s, err));
    while (status == TUB_OK && (code = sqlite3_step(s)) == SQLITE_ROW) {
        status = each(user,
                      &(tub__journal_trial){
                          .number = sqlite3_column_int64(s, 0),
                          .state = sqlite3_column_int(s, 1),
                          .parameters = (const char *)sqlite3_column_text(s, 2),
                          .note = (const char *)sqlite3_column_text(s, 3),
                          .seconds = sqlite3_column_double(s, 4),
                      },
                      err);
    }
    if (status == TUB_OK && code != SQLITE_DONE) {
        status = fail_db(db, code, err);
    }
    sqlite3_finalize(s);
    return status;
}

static tub_status reports(void *db, tub__journal_report_fn *each, void *user, tub_error *err) {
    sqlite3_stmt *s = NULL;
    tub_status status = TUB_OK;
    int code = SQLITE_DONE;
    TUB__TRY(prepare(db, "SELECT number, step, value FROM report ORDER BY number, step", &s, err));
    while (status == TUB_OK && (code = sqlite3_step(s)) == SQLITE_ROW) {
        const double value =
            sqlite3_column_type(s, 2) == SQLITE_NULL ? (double)NAN : sqlite3_column_double(s, 2);
        status = each(user, sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1), value, err);
    }
    if (status == TUB_OK && code != SQLITE_DONE) {
        status = fail_db(db, code, err);
    }
    sqlite3_finalize(s);
    return status;
}

/* Looked up by name when the module is opened. */
extern __attribute__((visibility("default"))) const tub__journal_module tub__module_table;
const tub__journal_module tub__module_table = {.version = TUB__MODULE_VERSION,
                                               .open = open_db,
                                               .close = close_db,
                                               .put = put,
                                               .get = get,
                                               .add = add,
                                               .end = end,
                                               .report = report,
                                               .trials = trials,
                                               .reports = reports};
