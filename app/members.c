/* SPDX-License-Identifier: Apache-2.0 */
/* What several MODELs on the command line mean: the members of a mean. */
#include "members.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train_folds.h"

members_options members_options_default(void) {
    return (members_options){.split_seed = -1};
}

error_t members_parse(members_options *o, int key, const char *argument, struct argp_state *state) {
    tub_error err;
    switch (key) {
    case MEMBERS_KEY_WEIGHTS:
        return subject_parse_weights(&o->weights, argument, state);
    case MEMBERS_KEY_TTA:
        o->views_given = true;
        return tub_views_parse(argument, &o->views, &err) == TUB_OK
                   ? 0
                   : cli_misuse(state, "--tta: %s", err.message);
    case MEMBERS_KEY_AVERAGE:
        o->average_given = true;
        return tub_average_parse(argument, &o->average, &err) == TUB_OK
                   ? 0
                   : cli_misuse(state, "--average: %s", err.message);
    case MEMBERS_KEY_SPLIT_SEED:
        return cli_parse_int(state, "--split-seed", argument, 0, LONG_MAX, &o->split_seed)
                   ? 0
                   : ECANCELED;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

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

int members_resolve_one(const cli_command *self, tub_context *ctx, const char *model,
                        const char *weights, members *out) {
    const members_options options = {.weights = weights, .split_seed = -1};
    const int code = members_resolve(self, ctx, &model, 1, &options, out);
    return code == CLI_GO && out->folds
               ? cli_fail_with(self, "%s has several folds; give one of its runs: %s/fold-0, say",
                               model, model)
               : code;
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

/* Whether one model may stand for all of them on the train or val split of the data that the
 * first was trained on: they were trained on the same part of it. */
static int check_parts(const cli_command *self, const members *m, tub_split split) {
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

tub_dataset_options members_opening(const members *m, const tub_model *model, const char *data_url,
                                    int64_t split_seed) {
    const subject *first = &m->list[0].subject;
    tub_dataset_options opening = tub_model_dataset_options(model);
    opening.data_url = data_url;
    if (split_seed >= 0) {
        opening.split_seed = (uint64_t)split_seed;
    } else if (first->is_run) {
        opening.split_seed = first->config.split_seed;
    }
    return opening;
}

/* Of data that the first was trained on, which are split by seed: whether all were trained on
 * the same split. */
static int check_seeds(const cli_command *self, const members *m, const tub_dataset *data) {
    const subject *first = &m->list[0].subject;
    for (int i = 1; i < m->count && tub_dataset_split_by_seed(data); i++) {
        const subject *s = &m->list[i].subject;
        if (first->is_run && s->is_run && s->config.split_seed != first->config.split_seed) {
            return cli_fail_with(
                self,
                "%s and %s were trained on splits by the seeds %llu and %llu, so "
                "that one may have learned what the other is tested on; --split-seed "
                "N takes one all the same",
                m->list[0].path, m->list[i].path, (unsigned long long)first->config.split_seed,
                (unsigned long long)s->config.split_seed);
        }
    }
    return CLI_GO;
}

int members_open_data(const cli_command *self, tub_context *ctx, const members *m,
                      const tub_model *model, const members_data *which, tub_dataset **out,
                      int *own) {
    const subject *first = &m->list[0].subject;
    const tub_dataset_options opening = members_opening(m, model, which->url, which->split_seed);
    tub_error err;
    const int code = check_parts(self, m, which->split);
    if (code != CLI_GO) {
        return code;
    }
    *own = 0;
    const tub_status status =
        first->is_run ? tub_run_dataset(ctx, &first->config, which->name, &opening, out, own, &err)
                      : tub_dataset_open(ctx, which->name, &opening, out, &err);
    if (status != TUB_OK) {
        return cli_fail(self, &err);
    }
    return *own && which->split_seed < 0 ? check_seeds(self, m, *out) : CLI_GO;
}
