/* SPDX-License-Identifier: Apache-2.0 */
/* The result files of an evaluation, and how their names tell it from others. */
#include "eval_files.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "output.h"

enum { FLAG_ROOM = 128 };

/* How result files name a data set, as MedMNIST does: "organmnist3d", "organmnist3d_64". */
static void data_flag(char out[FLAG_ROOM], const char *data) {
    snprintf(out, FLAG_ROOM, "%.*s", (int)strcspn(data, "."), data);
    for (char *c = strchr(out, '@'); c != NULL; c = strchr(c, '@')) {
        *c = '_';
    }
}

/* Appends a part of a name, if there is one. */
static void add_part(char name[PATH_MAX], const char *separator, const char *part) {
    size_t used = strlen(name);
    snprintf(name + used, PATH_MAX - used, "%s%s", part[0] != '\0' ? separator : "", part);
}

/* "views3"; nothing of one. */
static void add_count(char name[PATH_MAX], const char *separator, const char *what, int64_t count) {
    char part[32] = "";
    if (count > 1) {
        snprintf(part, sizeof part, "%s%lld", what, (long long)count);
    }
    add_part(name, separator, part);
}

/* What tells an evaluation from the plain one of float32: the order of the frames, the precision, the
 * views, of files too, and what is averaged. */
static void add_ways(char name[PATH_MAX], const char *separator, const eval_files *f,
                     const eval_subject *s) {
    static const char *const precisions[] = {
        [TUB_PRECISION_F32] = "", [TUB_PRECISION_BF16] = "bf16", [TUB_PRECISION_INT8] = "int8"};
    add_part(name, separator,
             s->frames == TUB_FRAMES_ORIGINAL ? "" : tub_frame_order_name(s->frames));
    add_part(name, separator, precisions[f->precision]);
    add_part(name, separator,
             s->views == TUB_VIEWS_NONE    ? ""
             : s->views == TUB_VIEWS_KINDS ? "views"
                                           : tub_views_name(s->views));
    add_count(name, separator, "views", s->file_views);
    add_count(name, separator, "crops", s->crops);
    add_part(name, separator,
             s->file_views * s->crops > 1 && s->file_average == TUB_AVERAGE_PROBABILITIES
                 ? tub_average_name(s->file_average)
                 : "");
    add_part(name, separator,
             s->average == TUB_AVERAGE_PROBABILITIES ? "" : tub_average_name(s->average));
}

/* The benchmark knows one class and labels, but no heads. */
static tub_status medmnist_file(tub_context *ctx, const char *folder, const char *flag,
                                const char *which, const eval_subject *s,
                                const float *probabilities, char path[PATH_MAX], tub_error *err) {
    const tub_label_metrics *l = s->label_metrics;
    const tub_metrics *m = s->metrics;
    return l != NULL
               ? tub_medmnist_result(ctx, folder, flag, s->split, which, l->samples, l->labels,
                                     probabilities, l->auc.value, l->acc.value, path, PATH_MAX, err)
               : tub_medmnist_result(ctx, folder, flag, s->split, which, m->samples, m->classes,
                                     probabilities, m->auc.value, m->acc.value, path, PATH_MAX,
                                     err);
}

/* eval-SPLIT.json of the data that the run was trained on, eval-DATA-SPLIT.json of any other, with
 * -best behind it for the best weights, then -shuffled or -reversed for frames in such an order,
 * -bf16 or -int8 for those precisions, -viewsN and -cropsN for several views and crops of files; and MedMNIST's result file, which names the data anyway. */
int eval_files_write(const cli_command *self, tub_context *ctx, const eval_files *f,
                     const eval_subject *s, const float *probabilities) {
    const char *folder = f->folder;
    char path[PATH_MAX], why[PATH_MAX + 128], csv[PATH_MAX] = "", flag[FLAG_ROOM];
    char which[PATH_MAX];
    tub_error err;
    data_flag(flag, s->data);
    snprintf(which, sizeof which, "%s", s->weights != NULL ? s->weights : "model");
    if (s->count > 1) {
        snprintf(which, sizeof which, "%s%d", s->folds > 0 ? "folds" : "mean", s->count);
    }
    add_ways(which, "_", f, s);
    if (s->head_metrics == NULL &&
        medmnist_file(ctx, folder, flag, which, s, probabilities, csv, &err) != TUB_OK) {
        return cli_fail(self, &err);
    }
    bool best = s->weights != NULL && strcmp(s->weights, "best") == 0;
    snprintf(path, sizeof path, "%s/eval", folder);
    add_part(path, "-", f->own_data ? "" : flag);
    add_part(path, "-", s->split);
    add_part(path, "-", best ? "best" : "");
    add_ways(path, "-", f, s);
    add_part(path, "", ".json");
    if (strlen(path) + 1 == sizeof path) {
        return cli_fail_with(self, "the path of the result is too long");
    }
    if (!output_file(eval_json(s), path, why, sizeof why)) {
        return cli_fail_with(self, "%s", why);
    }
    if (!f->quiet) {
        fprintf(stderr, "Written: %s%s%s\n", path, csv[0] != '\0' ? ", " : "", csv);
    }
    return CLI_GO;
}
