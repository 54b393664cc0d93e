/* SPDX-License-Identifier: Apache-2.0 */
/* What several MODELs on the command line mean: the members of a mean. */
#include "members.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train_folds.h"

static int add(const cli_command *self, tub_context *ctx, const char *path,
               const members_options *o, members *out) {
    member *list = realloc(out->list, ((size_t)out->count + 1) * sizeof *list);
    if (list == NULL) {
        return cli_fail_with(self, "out of memory");
    }
    out->list = list;
    member *m = &list[out->count];
    *m = (member){0};
    if (snprintf(m->path, sizeof m->path, "%s", path) >= (int)sizeof m->path) {
        return cli_fail_with(self, "the path of the model is too long");
    }
    const int code = subject_resolve(self, ctx, m->path, o->weights, &m->subject);
    if (code == CLI_GO) {
        m->views = o->views_given ? o->views
                                  : (m->subject.is_run ? m->subject.config.tta : TUB_VIEWS_NONE);
        out->count++;
    }
    return code;
}

/* All folds must be there: a mean over some of them would be another one. */
static int add_folds(const cli_command *self, tub_context *ctx, const char *folder,
                     const members_options *o, members *out) {
    tub_error err;
    if (tub_folds_config(ctx, folder, &out->folds_config, &err) != TUB_OK) {
        return cli_fail(self, &err);
    }
    for (int64_t i = 0; i < out->folds_config.folds; i++) {
        char path[PATH_MAX];
        if (snprintf(path, sizeof path, "%s%sfold-%lld", folder,
                     folder[strlen(folder) - 1] == '/' ? "" : "/",
                     (long long)i) >= (int)sizeof path) {
            return cli_fail_with(self, "the path of the model is too long");
        }
        if (!subject_is_model(path)) {
            return cli_fail_with(self,
                                 "%s: fold %lld of %lld is missing; train it first (tubelet train "
                                 "--resume %s)",
                                 folder, (long long)i, (long long)out->folds_config.folds, folder);
        }
        const int code = add(self, ctx, path, o, out);
        if (code != CLI_GO) {
            return code;
        }
        const tub_train_config *c = &out->list[out->count - 1].subject.config;
        if (c->fold != i || c->folds != out->folds_config.folds ||
            c->fold_seed != out->folds_config.fold_seed ||
            strcmp(c->data_digest, out->folds_config.data_digest) != 0) {
            return cli_fail_with(self,
                                 "%s is not fold %lld of what %s/folds.json says; move it away and "
                                 "train the fold anew",
                                 path, (long long)i, folder);
        }
    }
    return CLI_GO;
}

int members_resolve(const cli_command *self, tub_context *ctx, const char *const *names, int count,
                    const members_options *options, members *out) {
    *out = (members){0};
    for (int i = 0; i < count; i++) {
        const bool folds = train_folds_is(names[i]);
        const int code = folds ? add_folds(self, ctx, names[i], options, out)
                               : add(self, ctx, names[i], options, out);
        if (code != CLI_GO) {
            return code;
        }
        out->folds = folds && count == 1;
    }
    return CLI_GO;
}

void members_free(members *m) {
    free(m->list);
    *m = (members){0};
}

tub_model *members_open(const cli_command *self, tub_context *ctx, const member *one,
                        const tub_model *first, int *code) {
    tub_model *model = NULL;
    tub_error err;
    if (tub_model_open(ctx, one->subject.folder, &model, &err) != TUB_OK) {
        *code = cli_fail(self, &err);
        return NULL;
    }
    if (first != NULL && tub_models_agree(first, model, &err) != TUB_OK) {
        *code = cli_fail_with(self, "%s: %s", one->path, err.message);
        tub_model_close(model);
        return NULL;
    }
    return model;
}

int members_check_parts(const cli_command *self, const members *m, tub_split split) {
    const subject *first = &m->list[0].subject;
    for (int i = 1; i < m->count && split != TUB_TEST; i++) {
        const subject *s = &m->list[i].subject;
        const int64_t a = first->is_run ? first->config.folds : 0,
                      b = s->is_run ? s->config.folds : 0;
        const bool same =
            a == b && (a == 0 || (first->config.fold == s->config.fold &&
                                  first->config.fold_seed == s->config.fold_seed &&
                                  strcmp(first->config.data_digest, s->config.data_digest) == 0));
        if (!same) {
            return cli_fail_with(self,
                                 "%s and %s were trained on different parts of train and val, so "
                                 "they have no %s split in common; evaluate them on test, or the "
                                 "folder of all folds on val",
                                 m->list[0].path, m->list[i].path, tub_split_name(split));
        }
    }
    return CLI_GO;
}

tub_dataset_options members_opening(const tub_model *model, const tub_dataset_options *given,
                                    bool seeded) {
    tub_dataset_options opening = tub_model_dataset_options(model);
    opening.data_url = given->data_url;
    opening.split_seed = seeded ? given->split_seed : opening.split_seed;
    return opening;
}
