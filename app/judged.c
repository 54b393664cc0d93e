/* SPDX-License-Identifier: Apache-2.0 */
/* One model's answers on a split and what they come to. */
#include "judged.h"
#include "live.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

judging judging_default(void) {
    return (judging){.split_seed = -1, .split = TUB_TEST, .batch = 32, .draws = 1000};
}

error_t judging_parse(judging *j, int key, const char *argument, struct argp_state *state) {
    tub_error err;
    switch (key) {
    case 'd':
        return cli_parse_name(&j->data, "--data", argument, state);
    case JUDGING_KEY_SPLIT:
        return tub_split_parse(argument, &j->split, &err) == TUB_OK
                   ? 0
                   : cli_misuse(state, "--split: %s", err.message);
    case JUDGING_KEY_BATCH:
        return cli_parse_int(state, "--batch-size", argument, 1, 65536, &j->batch) ? 0 : ECANCELED;
    case JUDGING_KEY_DRAWS:
        return cli_parse_int(state, "--draws", argument, 0, 1000000, &j->draws) ? 0 : ECANCELED;
    case JUDGING_KEY_DATA_URL:
        j->data_url = argument;
        return 0;
    case JUDGING_KEY_WEIGHTS:
        return subject_parse_weights(&j->weights, argument, state);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int evaluate(const cli_command *self, cli_work *work, const judging *how, judged *out) {
    const subject *s = out->subject;
    snprintf(out->data, sizeof out->data, "%s", how->data != NULL ? how->data : s->config.data);
    const eval_how answers = {.data = out->data,
                              .data_url = how->data_url,
                              .split_seed = how->split_seed,
                              .split = how->split,
                              .frames = TUB_FRAMES_ORIGINAL,
                              .batch = how->batch,
                              .average = TUB_AVERAGE_PROBABILITIES};
    return eval_answers_mean(self, work, &out->members, &answers, &out->answers);
}

static int compute(const cli_command *self, cli_work *work, const judging *how, judged *out) {
    const eval_answers *a = &out->answers;
    const tub_model_config *c = tub_model_describe(a->first);
    const tub_dataset_info *info = tub_dataset_describe(a->data);
    tub_error err;
    const tub_status status = eval_result_compute(work->context, c, a->samples, a->probabilities,
                                                  a->truth, (int)how->draws, &out->result, &err);
    (void)live_clear();
    out->eval = (eval_subject){.model = out->subject->folder,
                               .data = info->name,
                               .split = tub_split_name(how->split),
                               .weights = out->subject->weights,
                               .frames = TUB_FRAMES_ORIGINAL,
                               .task = c->task == TUB_TASK_DATA ? TUB_TASK_MULTI_CLASS : c->task,
                               .count = 1,
                               .views = out->members.list[0].views,
                               .average = TUB_AVERAGE_PROBABILITIES,
                               .file_views = 1,
                               .crops = 1,
                               .metrics = out->result.metrics,
                               .label_metrics = out->result.labels,
                               .head_metrics = out->result.heads,
                               .labels = eval_result_labels(a->first, info)};
    return status == TUB_OK ? CLI_GO : cli_fail(self, &err);
}

int judged_open(const cli_command *self, cli_work *work, const char *model, const judging *how,
                judged *out) {
    int code = members_resolve_one(self, work->context, model, how->weights, &out->members);
    if (code == CLI_GO) {
        code = eval_check_subject(self, work->context, &out->members, how->split, how->data);
    }
    if (code == CLI_GO) {
        out->subject = &out->members.list[0].subject;
        code = eval_answers_open(self, work, &out->members, &out->answers);
    }
    if (code == CLI_GO) {
        code = evaluate(self, work, how, out);
    }
    return code == CLI_GO ? compute(self, work, how, out) : code;
}

void judged_close(tub_context *ctx, judged *j) {
    eval_result_free(ctx, &j->result);
    eval_answers_free(&j->answers);
    members_free(&j->members);
}

/* FNV-1a with 64 bits. */
static uint64_t add_bytes(uint64_t hash, const void *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        hash = (hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3u;
    }
    return hash;
}

static uint64_t add_file(uint64_t hash, const tub_dataset *data, tub_split split, int64_t sample) {
    tub_file file;
    tub_error err;
    char path[PATH_MAX];
    const int64_t number = tub_dataset_sample_file(data, split, sample);
    if (number < 0 || tub_dataset_file(data, number, &file, &err) != TUB_OK) {
        return hash;
    }
    const char *whole = realpath(file.path, path) != NULL ? path : file.path;
    hash = add_bytes(hash, whole, strlen(whole) + 1);
    return add_bytes(hash, &file.first, sizeof file.first);
}

uint64_t judged_samples(const judged *j, tub_split split) {
    const tub_dataset *data = j->answers.data;
    const tub_dataset_info *i = tub_dataset_describe(data);
    const size_t size = i->dtype == TUB_U8 ? 1 : sizeof(float);
    const int64_t voxels = i->frames * i->height * i->width * i->channels;
    const void *samples = tub_dataset_samples(data, split);
    uint64_t hash = add_bytes(0xcbf29ce484222325u, tub_dataset_labels(data, split),
                              (size_t)(i->count[split] * i->label_columns) * sizeof(int32_t));
    if (samples != NULL) {
        return add_bytes(hash, samples, (size_t)(i->count[split] * voxels) * size);
    }
    for (int64_t s = 0; s < i->count[split]; s++) {
        hash = add_file(hash, data, split, s);
    }
    return hash;
}
