/* SPDX-License-Identifier: Apache-2.0 */
/* What tubelet info tells of the folder of a cross-validation: how far each fold is, and what they come to. */
#include "info_folds.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "output.h"
#include "run_facts.h"

typedef struct row {
    char name[32]; /* of the run's folder */
    int64_t epochs, planned;
} row;

typedef struct cross {
    const char *folder;
    tub_train_config config;
    tub_fold_state *states; /* [folds] */
    row *rows;              /* [folds] */
    tub_folds_result sums;
} cross;

/* A run that is at work, or was killed, has its epochs in its log only. */
static tub_status look(tub_context *ctx, cross *x, int64_t fold, tub_error *err) {
    tub_fold_state *s = &x->states[fold];
    row *r = &x->rows[fold];
    char path[PATH_MAX];
    run_facts facts;
    snprintf(r->name, sizeof r->name, "fold-%lld", (long long)fold);
    r->planned = x->config.epochs;
    tub_status status = tub_fold_look(ctx, x->folder, &x->config, fold, s, err);
    if (status != TUB_OK || !s->begun ||
        snprintf(path, sizeof path, "%s/%s", x->folder, r->name) >= (int)sizeof path) {
        return status;
    }
    status = run_facts_read(ctx, path, &facts, err);
    if (status == TUB_OK) {
        r->epochs = facts.epochs;
    }
    return status;
}

static void print_row(const char *name, const char *state, const char *epochs,
                      const tub_scores *val, const char *best_epoch, const tub_scores *best) {
    char a[OUTPUT_FIGURE], b[OUTPUT_FIGURE], c[OUTPUT_FIGURE], d[OUTPUT_FIGURE], e[OUTPUT_FIGURE];
    printf("%-8s %-10s %-10s %9s %9s %9s %10s %10s %9s\n", name, state, epochs,
           output_figure(a, val->loss), output_figure(b, val->top1), output_figure(c, val->auc),
           best_epoch, output_figure(d, best->top1), output_figure(e, best->auc));
}

static void print_fold(const tub_fold_state *s, const row *r) {
    char epochs[64], best[32] = "-";
    if (!s->begun) {
        printf("%-8s not begun\n", r->name);
        return;
    }
    snprintf(epochs, sizeof epochs, "%lld of %lld", (long long)r->epochs, (long long)r->planned);
    if (s->best_epoch > 0) {
        snprintf(best, sizeof best, "%lld", (long long)s->best_epoch);
    }
    print_row(r->name, s->finished ? "finished" : "begun", epochs, &s->val, best, &s->best_val);
}

static void print(const cross *x) {
    const tub_train_config *c = &x->config;
    const tub_folds_result *r = &x->sums;
    char name[OUTPUT_NAME];
    printf("%-20s %s\n", "cross-validation", output_name(name, x->folder));
    printf("%-20s %s\n", "data set", output_name(name, c->data));
    printf("%-20s %lld, cut by seed %llu\n", "folds", (long long)c->folds,
           (unsigned long long)c->fold_seed);
    printf("%-20s %lld of %lld folds are done\n", "training", (long long)r->done,
           (long long)r->folds);
    printf("\n%-8s %-10s %-10s %9s %9s %9s %10s %10s %9s\n", "FOLD", "STATE", "EPOCHS", "VAL LOSS",
           "VAL TOP-1", "VAL AUC", "BEST EPOCH", "BEST TOP-1", "BEST AUC");
    for (int64_t i = 0; i < c->folds; i++) {
        print_fold(&x->states[i], &x->rows[i]);
    }
    if (r->done > 0) {
        print_row("mean", "", "", &r->val, "", &r->best_val);
        print_row("std", "", "", &r->val_deviation, "", &r->best_val_deviation);
    }
}

static json_t *fold_json(int64_t fold, const tub_fold_state *s, const row *r) {
    return json_pack("{s:I,s:s,s:b,s:b,s:I,s:I,s:I,s:o,s:o,s:o}", "fold", (json_int_t)fold,
                     "folder", r->name, "begun", s->begun, "finished", s->finished, "epochs",
                     (json_int_t)r->epochs, "epochs_planned", (json_int_t)r->planned, "best_epoch",
                     (json_int_t)s->best_epoch, "seconds", output_number(s->seconds), "val",
                     output_scores(&s->val), "best_val", output_scores(&s->best_val));
}

static json_t *whole_json(const cross *x) {
    const tub_folds_result *r = &x->sums;
    json_t *runs = json_array();
    for (int64_t i = 0; i < r->folds; i++) {
        json_array_append_new(runs, fold_json(i, &x->states[i], &x->rows[i]));
    }
    return json_pack(
        "{s:s,s:o,s:o,s:I,s:I,s:I,s:b,s:o,s:{s:o,s:o},s:{s:o,s:o},s:o}", "kind", "folds", "name",
        output_text(x->folder), "data", output_text(x->config.data), "folds", (json_int_t)r->folds,
        "fold_seed", (json_int_t)x->config.fold_seed, "done", (json_int_t)r->done, "finished",
        r->done == r->folds, "seconds", output_number(r->seconds), "val", "mean",
        output_scores(&r->val), "std", output_scores(&r->val_deviation), "best_val", "mean",
        output_scores(&r->best_val), "std", output_scores(&r->best_val_deviation), "runs", runs);
}

static int look_at_all(const cli_command *self, tub_context *ctx, cross *x, bool json) {
    tub_error err;
    for (int64_t i = 0; i < x->config.folds; i++) {
        if (look(ctx, x, i, &err) != TUB_OK) {
            return cli_fail(self, &err);
        }
    }
    tub_folds_sum_up(x->states, x->config.folds, &x->sums);
    if (json) {
        return cli_print_json(self, whole_json(x));
    }
    print(x);
    return CLI_DONE;
}

int info_folds(const cli_command *self, tub_context *ctx, const char *folder, bool json) {
    tub_error err;
    cross x = {.folder = folder};
    if (tub_folds_config(ctx, folder, &x.config, &err) != TUB_OK) {
        return cli_fail(self, &err);
    }
    x.states = calloc((size_t)x.config.folds, sizeof *x.states);
    x.rows = calloc((size_t)x.config.folds, sizeof *x.rows);
    const int code = x.states != NULL && x.rows != NULL ? look_at_all(self, ctx, &x, json)
                                                        : cli_fail_with(self, "out of memory");
    free(x.rows);
    free(x.states);
    return code;
}
