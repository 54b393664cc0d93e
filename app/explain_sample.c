/* SPDX-License-Identifier: Apache-2.0 */
/* The sample of a data set that tubelet explain explains: which it is, and what it is. */
#include <stdlib.h>

#include "eval_members.h"
#include "explain_parts.h"

void explain_sample_close(explain_sample *s) {
    free(s->truth);
    tub_dataset_close(s->data);
    *s = (explain_sample){0};
}

/* Its labels as columns of the logits. */
static void name_truth(const tub_dataset_info *i, const tub_model_config *c, const int32_t *labels,
                       explain_sample *s) {
    int64_t first = 0;
    for (int64_t k = 0; k < i->label_columns; k++) {
        if (i->task == TUB_TASK_MULTI_LABEL) {
            s->truth[s->truths] = k;
            s->truths += labels[k] == 1;
        } else {
            s->truth[s->truths++] = first + labels[k];
            first += c->head_classes[k]; /* which may be more than the data have */
        }
    }
}

static int look_up(const cli_command *self, const tub_model *model, explain_sample *s) {
    const tub_dataset_info *i = tub_dataset_describe(s->data);
    const int64_t count = i->count[s->split];
    tub_file file;
    tub_error err;
    if (s->number >= count) {
        return count > 0
                   ? cli_fail_with(self, "--sample %lld: %s has %lld in its %s split, from 0",
                                   (long long)s->number, i->name, (long long)count,
                                   tub_split_name(s->split))
                   : cli_fail_with(self, "%s has no %s split", i->name, tub_split_name(s->split));
    }
    s->file = i->name;
    if (tub_dataset_samples(s->data, s->split) == NULL) {
        if (tub_dataset_file(s->data, tub_dataset_sample_file(s->data, s->split, s->number), &file,
                             &err) != TUB_OK) {
            return cli_fail(self, &err);
        }
        s->file = file.path;
    }
    s->truth = calloc((size_t)i->label_columns, sizeof *s->truth);
    if (s->truth == NULL) {
        return cli_fail_with(self, "out of memory");
    }
    name_truth(i, tub_model_describe(model),
               tub_dataset_labels(s->data, s->split) + s->number * i->label_columns, s);
    return CLI_GO;
}

int explain_sample_open(const cli_command *self, tub_context *ctx, const members *m,
                        const tub_model *model, members_data which, int64_t number,
                        explain_sample *out) {
    tub_error err;
    int own;
    *out = (explain_sample){.split = which.split, .number = number};
    int code = eval_check_subject(self, ctx, m, which.split, which.name);
    if (code != CLI_GO) {
        return code;
    }
    if (which.name == NULL) {
        which.name = m->list[0].subject.config.data;
    }
    code = members_open_data(self, ctx, m, model, &which, &out->data, &own);
    if (code == CLI_GO && tub_predict_check_classes(model, out->data, &err) != TUB_OK) {
        code = cli_fail(self, &err);
    }
    return code == CLI_GO ? look_up(self, model, out) : code;
}
