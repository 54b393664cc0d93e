/* SPDX-License-Identifier: Apache-2.0 */
/* tubelet train --folds: a cross-validation, new or resumed, and what it came to. */
#include "train_folds.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "interrupt.h"
#include "output.h"
#include "place.h"
#include "shell.h"

static const char KEPT[] = "what is done so far will be kept";

bool train_folds_is(const char *folder) {
    char path[PATH_MAX];
    return snprintf(path, sizeof path, "%s/folds.json", folder) < (int)sizeof path &&
           access(path, F_OK) == 0;
}

static void print_line(const char *out, const char *what, const tub_scores *mean,
                       const tub_scores *deviation) {
    char a[OUTPUT_FIGURE], b[OUTPUT_FIGURE], c[OUTPUT_FIGURE], d[OUTPUT_FIGURE];
    printf("%s: %s val top-1 %s ± %s, val AUC %s ± %s\n", out, what, output_figure(a, mean->top1),
           output_figure(b, deviation->top1), output_figure(c, mean->auc),
           output_figure(d, deviation->auc));
}

static json_t *result_json(const char *out, const tub_folds_result *r) {
    return json_pack("{s:o,s:I,s:I,s:o,s:{s:o,s:o},s:{s:o,s:o}}", "out", output_text(out), "folds",
                     (json_int_t)r->folds, "done", (json_int_t)r->done, "seconds",
                     output_number(r->seconds), "val", "mean", output_scores(&r->val), "std",
                     output_scores(&r->val_deviation), "best_val", "mean",
                     output_scores(&r->best_val), "std", output_scores(&r->best_val_deviation));
}

static int print_result(const cli_command *self, const char *out, const tub_folds_result *r,
                        const cli_common *common) {
    char program[SHELL_ROOM], path[SHELL_ROOM];
    if (r->stopped) {
        fprintf(stderr,
                "Stopped, everything is saved: %lld of %lld folds are done. Go on with: %s train "
                "--resume %s\n",
                (long long)r->done, (long long)r->folds, shell_program(program),
                shell_path(path, out));
        return CLI_FAILED;
    }
    if (common->json) {
        return cli_print_json(self, result_json(out, r));
    }
    printf("%s: %lld of %lld folds are done\n", out, (long long)r->done, (long long)r->folds);
    print_line(out, "last weights:", &r->val, &r->val_deviation);
    print_line(out, "best epochs: ", &r->best_val, &r->best_val_deviation);
    if (!common->quiet && r->done == r->folds) {
        fprintf(stderr, "Evaluate all together with: %s eval %s --split val\n",
                shell_program(program), shell_path(path, out));
    }
    return CLI_DONE;
}

static int finish(const cli_command *self, const char *out, tub_status status,
                  const tub_folds_result *result, const cli_common *common, const tub_error *err) {
    (void)interrupt_end();
    return status != TUB_OK ? cli_fail(self, err) : print_result(self, out, result, common);
}

int train_folds_begin(const cli_command *self, tub_context *ctx, const tub_train_config *config,
                      const char *out, bool force, const cli_common *common) {
    tub_error err;
    tub_folds_result result = {0};
    place_parents above;
    place_make_parents(&above, out);
    interrupt_begin(ctx, KEPT);
    const tub_status status = tub_train_folds(ctx, config, NULL, out, force, &result, &err);
    if (status != TUB_OK) {
        place_remove_parents(&above);
    }
    return finish(self, out, status, &result, common, &err);
}

int train_folds_resume(const cli_command *self, tub_context *ctx, const char *out, const char *name,
                       const cli_common *common) {
    tub_error err;
    tub_dataset *data = NULL;
    tub_folds_result result = {0};
    tub_train_config config;
    interrupt_begin(ctx, KEPT);
    tub_status status = tub_folds_config(ctx, out, &config, &err);
    if (status == TUB_OK && name != NULL) {
        const tub_dataset_options opening = tub_train_dataset_options(&config);
        status = tub_dataset_open(ctx, name, &opening, &data, &err);
    }
    if (status == TUB_OK) {
        status = tub_train_folds_resume(ctx, out, data, &result, &err);
    }
    const int code = finish(self, out, status, &result, common, &err);
    tub_dataset_close(data);
    return status == TUB_OK ? code : CLI_FAILED; /* what its files refuse is no misuse */
}
