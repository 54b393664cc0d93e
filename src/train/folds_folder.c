/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of a cross-validation: folds.json, and looking at the runs beside it. */
#include "train/folds_folder.h"

#include "base/error.h"
#include "base/file.h"
#include "formats/json.h"
#include "train/recipe.h"
#include "train/run_folder.h"
#include "train/run_parts.h"
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FILE_LIMIT = 1 << 22, NAME = 32 };
static const char format[] = "tubelet folds 1";
static const char prefix[] = "fold-";

tub_status tub__fold_path(const tub_allocator *a, const char *out, int64_t fold, char **path,
                          tub_error *err) {
    char name[NAME];
    snprintf(name, sizeof name, "%s%" PRId64, prefix, fold);
    return tub__path_join(a, out, name, path, err);
}

/* ---- one run ---- */

/* What may differ between the folds' recipe and a run's: where the data lie, which fold it is, what
 * the clock has cut off, and what changes no bit. */
static bool may_differ(const char *key) {
    static const char *const keys[] = {"data",      "data_url",         "fold",       "max_steps",
                                       "evaluate",  "schedule_steps",   "tta",        "ranks",
                                       "recompute", "checkpoint_every", "micro_batch"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (strcmp(key, keys[i]) == 0) {
            return true;
        }
    }
    return false;
}

static tub_status check_settings(const char *run, const tub_train_config *folds,
                                 const tub_train_config *own, int64_t fold, tub_error *err) {
    size_t count = 0;
    const tub_option *options = tub_train_options(&count);
    if (own->fold != fold) {
        return tub__fail(err, TUB_E_EXISTS,
                         "%s is not fold %" PRId64 " (its recipe says fold %" PRId64
                         "); move it away",
                         run, fold, own->fold);
    }
    for (size_t i = 0; i < count; i++) {
        char mine[TUB_PATH_LENGTH], theirs[TUB_PATH_LENGTH];
        TUB__TRY(tub_train_config_get(own, options[i].key, mine, sizeof mine, err));
        TUB__TRY(tub_train_config_get(folds, options[i].key, theirs, sizeof theirs, err));
        if (!may_differ(options[i].key) && strcmp(mine, theirs) != 0) {
            return tub__fail(err, TUB_E_EXISTS,
                             "%s was trained with %s %.80s, and " TUB__FOLDS_FILE
                             " says %.80s; move it away, or train all folds anew",
                             run, options[i].key, mine, theirs);
        }
    }
    return TUB_OK;
}

static tub_status read_scores(const tub__json *metrics, const char *key, tub_scores *out,
                              tub_error *err) {
    const tub__json *s = tub__json_get(metrics, key);
    *out = (tub_scores){NAN, NAN, NAN, NAN};
    TUB__TRY(tub__json_opt_real(s, "loss", &out->loss, err));
    TUB__TRY(tub__json_opt_real(s, "top1", &out->top1, err));
    TUB__TRY(tub__json_opt_real(s, "top5", &out->top5, err));
    return tub__json_opt_real(s, "auc", &out->auc, err);
}

static tub_status read_state(const tub__json *metrics, tub_fold_state *out, tub_error *err) {
    bool finished = false;
    TUB__TRY(tub__json_get_bool(metrics, "finished", &finished, err));
    out->finished = finished;
    TUB__TRY(tub__json_get_integer(metrics, "epochs", &out->epochs, err));
    TUB__TRY(tub__json_get_integer(metrics, "best_epoch", &out->best_epoch, err));
    TUB__TRY(tub__json_get_real(metrics, "seconds", &out->seconds, err));
    TUB__TRY(read_scores(metrics, "val", &out->val, err));
    return read_scores(metrics, "best_val", &out->best_val, err);
}

static tub_status read_metrics(const tub_allocator *a, const char *run, tub_fold_state *out,
                               tub_error *err) {
    char *path = NULL;
    tub__json *metrics = NULL;
    TUB__TRY(tub__path_join(a, run, TUB__RUN_METRICS, &path, err));
    tub_status status = TUB_OK;
    if (tub__file_exists(path)) {
        status = tub__json_load(a, path, FILE_LIMIT, &metrics, err);
        if (status == TUB_OK) {
            status = read_state(metrics, out, err);
            if (status != TUB_OK) {
                tub__prefix(err, status, "%s", path);
            }
        }
        tub__json_free(metrics);
    }
    tub__free(a, path);
    return status;
}

static tub_status look(tub_context *ctx, const char *run, const tub_train_config *folds,
                       int64_t fold, tub_fold_state *state, tub_error *err) {
    tub_train_config own;
    const tub_scores none = {NAN, NAN, NAN, NAN};
    *state = (tub_fold_state){.begun = tub__file_exists(run), .val = none, .best_val = none};
    if (!state->begun) {
        return TUB_OK;
    }
    TUB__TRY(tub_run_config(ctx, run, &own, err));
    TUB__TRY(check_settings(run, folds, &own, fold, err));
    return read_metrics(&ctx->allocator, run, state, err);
}

tub_status tub_fold_look(tub_context *ctx, const char *out, const tub_train_config *folds,
                         int64_t fold, tub_fold_state *state, tub_error *err) {
    char *run = NULL;
    TUB__TRY(tub__fold_path(&ctx->allocator, out, fold, &run, err));
    const tub_status status = look(ctx, run, folds, fold, state, err);
    tub__free(&ctx->allocator, run);
    return status;
}

/* ---- sums ---- */

enum { SCORES = 4 };

static double score(const tub_scores *s, int which) {
    const double all[SCORES] = {s->loss, s->top1, s->top5, s->auc};
    return all[which];
}

static void set_score(tub_scores *s, int which, double value) {
    double *const all[SCORES] = {&s->loss, &s->top1, &s->top5, &s->auc};
    *all[which] = value;
}

/* In the order of the folds. */
static void sum_up(const tub_fold_state *states, int64_t folds, bool best, tub_scores *mean,
                   tub_scores *deviation) {
    for (int w = 0; w < SCORES; w++) {
        double sum = 0.0, squares = 0.0;
        int64_t n = 0;
        for (int64_t i = 0; i < folds; i++) {
            if (states[i].finished) {
                sum += score(best ? &states[i].best_val : &states[i].val, w);
                n++;
            }
        }
        const double m = sum / (n > 0 ? (double)n : NAN);
        for (int64_t i = 0; i < folds; i++) {
            if (states[i].finished) {
                const double d = score(best ? &states[i].best_val : &states[i].val, w) - m;
                squares += d * d;
            }
        }
        set_score(mean, w, m);
        set_score(deviation, w, n > 1 ? sqrt(squares / (double)(n - 1)) : NAN);
    }
}

void tub_folds_sum_up(const tub_fold_state *states, int64_t folds, tub_folds_result *out) {
    *out = (tub_folds_result){.folds = folds};
    for (int64_t i = 0; i < folds; i++) {
        out->done += states[i].finished;
        out->seconds += states[i].finished ? states[i].seconds : 0.0;
    }
    sum_up(states, folds, false, &out->val, &out->val_deviation);
    sum_up(states, folds, true, &out->best_val, &out->best_val_deviation);
}

/* ---- folds.json ---- */

static void put_sums(tub__json_writer *w, const char *key, const tub_scores *mean,
                     const tub_scores *deviation) {
    tub__json_open_object(w, key);
    tub__run_put_scores(w, "mean", mean);
    tub__run_put_scores(w, "std", deviation);
    tub__json_close_object(w);
}

static void put_run(tub__json_writer *w, int64_t fold, const tub_fold_state *s) {
    char name[NAME];
    snprintf(name, sizeof name, "%s%" PRId64, prefix, fold);
    tub__json_open_object(w, NULL);
    tub__json_put_integer(w, "fold", fold);
    tub__json_put_text(w, "folder", name);
    tub__json_put_integer(w, "epochs", s->epochs);
    tub__json_put_integer(w, "best_epoch", s->best_epoch);
    tub__json_put_real(w, "seconds", s->seconds);
    tub__run_put_scores(w, "val", &s->val);
    tub__run_put_scores(w, "best_val", &s->best_val);
    tub__json_close_object(w);
}

static tub_status put_all(tub__json_writer *w, const tub_train_config *folds,
                          const tub_fold_state *states, double share, tub_error *err) {
    tub_folds_result sums;
    tub_folds_sum_up(states, folds->folds, &sums);
    tub__json_open_object(w, NULL);
    tub__json_put_text(w, "format", format);
    tub__json_put_integer(w, "folds", folds->folds);
    tub__json_put_integer(w, "fold_seed", (int64_t)folds->fold_seed);
    tub__json_put_text(w, "data_digest", folds->data_digest);
    tub__json_put_real(w, "fold_budget", share > 0.0 ? share : NAN);
    tub__json_put_bool(w, "finished", sums.done == folds->folds);
    tub__json_put_integer(w, "done", sums.done);
    put_sums(w, "val", &sums.val, &sums.val_deviation);
    put_sums(w, "best_val", &sums.best_val, &sums.best_val_deviation);
    tub__json_open_array(w, "runs");
    for (int64_t i = 0; i < folds->folds; i++) {
        if (states[i].finished) {
            put_run(w, i, &states[i]);
        }
    }
    tub__json_close_array(w);
    TUB__TRY(tub__recipe_put(w, "recipe", folds, err));
    tub__json_close_object(w);
    return TUB_OK;
}

tub_status tub__folds_write(const tub_allocator *a, const char *out, const tub_train_config *folds,
                            const tub_fold_state *states, double share, tub_error *err) {
    char *text = NULL, *path = NULL;
    size_t size = 0;
    tub__json_writer w;
    tub__json_start(&w, a, 2);
    tub_status status = put_all(&w, folds, states, share, err);
    if (status != TUB_OK) {
        tub__json_discard(&w);
        return status;
    }
    TUB__TRY(tub__json_finish(&w, &text, &size, err));
    status = tub__path_join(a, out, TUB__FOLDS_FILE, &path, err);
    if (status == TUB_OK) {
        status = tub__file_write(a, path, text, size, err);
    }
    tub__free(a, path);
    tub__free(a, text);
    return status;
}

static tub_status read_file(const tub__json *file, tub_train_config *out, double *share,
                            tub_error *err) {
    const char *kind = NULL;
    *share = 0.0;
    tub_train_config config = tub_train_config_default();
    TUB__TRY(tub__json_get_text(file, "format", &kind, err));
    if (strcmp(kind, format) != 0) {
        return tub__fail(err, TUB_E_FORMAT, "its format is '%.40s', not '%s'", kind, format);
    }
    TUB__TRY(tub__recipe_apply(tub__json_get(file, "recipe"), NULL, &config, err));
    TUB__TRY(tub_train_config_check(&config, err));
    if (config.folds == 0 || config.data_digest[0] == '\0') {
        return tub__fail(err, TUB_E_FORMAT, "its recipe has no folds, or no digest of the data");
    }
    *out = config;
    TUB__TRY(tub__json_opt_real(file, "fold_budget", share, err));
    *share = isfinite(*share) ? *share : 0.0;
    return TUB_OK;
}

tub_status tub__folds_read(tub_context *ctx, const char *out, tub_train_config *config,
                           double *share, tub_error *err) {
    const tub_allocator *a = &ctx->allocator;
    char *path = NULL;
    tub__json *file = NULL;
    TUB__TRY(tub__path_join(a, out, TUB__FOLDS_FILE, &path, err));
    tub_status status = TUB_OK;
    if (!tub__file_exists(path) && (errno == ENOENT || errno == ENOTDIR)) {
        status = tub__fail(err, TUB_E_NOT_FOUND,
                           "%s: no such file, so %s is no folder of folds (tubelet train --folds)",
                           path, out);
    } else {
        status = tub__json_load(a, path, FILE_LIMIT, &file, err);
    }
    if (file != NULL) {
        status = read_file(file, config, share, err);
        if (status != TUB_OK) {
            tub__prefix(err, status, "%s", path);
        }
        tub__json_free(file);
    }
    tub__free(a, path);
    return status;
}

tub_status tub_folds_config(tub_context *ctx, const char *out, tub_train_config *config,
                            tub_error *err) {
    double share;
    return tub__folds_read(ctx, out, config, &share, err);
}

/* ---- making way ---- */

static bool is_fold(const char *name) {
    const char *digits = name + sizeof prefix - 1;
    return strncmp(name, prefix, sizeof prefix - 1) == 0 && digits[0] != '\0' &&
           strspn(digits, "0123456789") == strlen(digits);
}

/* What lies in the folder is the folds' own, and each run may be replaced; or with remove: they go. */
static tub_status each_entry(const tub_allocator *a, const char *out, DIR *folder, bool remove,
                             tub_error *err) {
    for (struct dirent *e = readdir(folder); e != NULL; e = readdir(folder)) {
        char *path = NULL;
        tub_status status = TUB_OK;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) {
            continue;
        }
        TUB__TRY(tub__path_join(a, out, e->d_name, &path, err));
        if (is_fold(e->d_name)) {
            status =
                remove ? tub__folder_remove(a, path, err) : tub__run_may_create(a, path, true, err);
        } else if (!remove && strcmp(e->d_name, TUB__FOLDS_FILE) != 0 &&
                   strstr(e->d_name, TUB__TEMPORARY_MARK) == NULL &&
                   strncmp(e->d_name, "eval-", 5) != 0 && strstr(e->d_name, "_[AUC]") == NULL) {
            status = tub__fail(err, TUB_E_EXISTS,
                               "%s has %.100s in it, which is none of its folds, so it is not "
                               "replaced by force; move that away or choose another folder",
                               out, e->d_name);
        }
        tub__free(a, path);
        TUB__TRY(status);
    }
    return TUB_OK;
}

static tub_status go_through(const tub_allocator *a, const char *out, bool remove, tub_error *err) {
    DIR *folder = opendir(out);
    if (folder == NULL) {
        return tub__fail_errno(err, errno, "%s", out);
    }
    const tub_status status = each_entry(a, out, folder, remove, err);
    closedir(folder);
    return status;
}

tub_status tub__folds_make_way(const tub_allocator *a, const char *out, bool force,
                               tub_error *err) {
    char *file = NULL;
    if (!tub__file_exists(out)) {
        return tub__run_may_create(a, out, false, err); /* whether it would lie in a run */
    }
    TUB__TRY(tub__path_join(a, out, TUB__FOLDS_FILE, &file, err));
    const bool folds = tub__file_exists(file);
    tub_status status = TUB_OK;
    if (!force) {
        status = tub__fail(err, TUB_E_EXISTS,
                           "%s exists already; choose another folder%s, or replace it by force "
                           "(--force of tubelet train)",
                           out, folds ? ", go on with its folds (--resume)" : "");
    } else if (!folds && rmdir(out) == 0) { /* empty: a kill came before folds.json */
        tub__free(a, file);
        return TUB_OK;
    } else if (!folds) {
        status = tub__fail(err, TUB_E_EXISTS,
                           "%s is no folder of folds (it has no " TUB__FOLDS_FILE "), so it is not "
                           "replaced; choose another folder or remove it yourself",
                           out);
    } else {
        status = go_through(a, out, false, err);
    }
    if (status == TUB_OK && unlink(file) != 0) { /* first: what is left then is no whole of folds */
        status = tub__fail_errno(err, errno, "%s", file);
    }
    if (status == TUB_OK) {
        status = go_through(a, out, true, err);
    }
    tub__free(a, file);
    return status;
}
