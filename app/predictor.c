/* SPDX-License-Identifier: Apache-2.0 */
/* The models whose mean a prediction is, and volumes through all of them. */
#include "predictor.h"

#include "eval_views.h"

#include <stdio.h>
#include <stdlib.h>

/* Labels of a volume, where the file has as many as the model's task. */
static const int32_t *truth_of(const predict_block *block, const tub_model_config *c, int64_t i) {
    return block->truth != NULL && block->truth_columns == predict_columns(c)
               ? block->truth + i * block->truth_columns
               : NULL;
}

/* Volumes of a block at a time: the first lines appear at once and memory stays small, more so where
 * each has a copy that is prepared. A batch's size changes no bit. */
enum { BATCH = 32, PREPARED_BATCH = 4 };

/* Room of a batch. */
typedef struct room {
    float *logits, *probabilities; /* [BATCH, K] */
    float *prepared;               /* the volumes as a model takes them; NULL: none prepares any */
} room;

/* One model on n volumes from x on. */
static tub_status classify_by(const predictor *p, int i, const predict_block *block, int64_t n,
                              const void *x, const room *r, tub_error *err) {
    tub_model *model = p->list[i];
    const bool prepares = block->dtype == TUB_U8 && tub_model_prepares(model);
    if (prepares) {
        const tub_status status = tub_model_prepare(model, n, block->shape, x, r->prepared, err);
        if (status != TUB_OK) {
            return status;
        }
    }
    return tub_model_forward_views(model, n, prepares ? TUB_F32 : block->dtype,
                                   prepares ? r->prepared : x, p->members.list[i].views, p->average,
                                   r->logits, r->probabilities, err);
}

static tub_status classify_batch(const predictor *p, const predict_block *block, int64_t n,
                                 const void *x, const room *r, tub_error *err) {
    if (p->answers == NULL) {
        return classify_by(p, 0, block, n, x, r, err);
    }
    tub_answers_reset(p->answers, n);
    for (int i = 0; i < p->members.count; i++) {
        const tub_status status = classify_by(p, i, block, n, x, r, err);
        if (status != TUB_OK) {
            return status;
        }
        tub_answers_add(p->answers, r->logits, r->probabilities);
    }
    tub_answers_mean(p->answers, r->logits, r->probabilities);
    return TUB_OK;
}

/* The same of all, printing each. */
static tub_status classify_all(predict_printer *printer, const predictor *p,
                               const predict_block *block, const room *r, tub_error *err) {
    const tub_model_config *c = tub_model_describe(p->list[0]);
    const int64_t *shape = block->shape, classes = c->classes;
    const size_t element = block->dtype == TUB_U8 ? 1 : sizeof(float);
    const size_t volume = (size_t)(shape[0] * shape[1] * shape[2] * shape[3]) * element;
    const int64_t most = r->prepared != NULL ? PREPARED_BATCH : BATCH;
    tub_status status = TUB_OK;
    for (int64_t i = 0; i < block->count && status == TUB_OK; i += most) {
        const int64_t n = block->count - i < most ? block->count - i : most;
        const double start = predict_clock();
        status =
            classify_batch(p, block, n, (const char *)block->samples + (size_t)i * volume, r, err);
        const double milliseconds = (predict_clock() - start) * 1e3 / (double)n;
        for (int64_t k = 0; k < n && status == TUB_OK; k++) {
            const predict_line line = {.file = block->file,
                                       .index = block->first + i + k,
                                       .truth = truth_of(block, c, i + k),
                                       .other_names = block->other_names,
                                       .logits = r->logits + k * classes,
                                       .probabilities = r->probabilities + k * classes,
                                       .milliseconds = milliseconds};
            predict_print(printer, &line);
        }
    }
    return status;
}

/* Numbers of the largest input that a model prepares; 0: none does. */
static size_t prepared_input(const predictor *p, const predict_block *block) {
    size_t most = 0;
    for (int i = 0; i < p->members.count && block->dtype == TUB_U8; i++) {
        const tub_model_config *c = tub_model_describe(p->list[i]);
        const size_t input = (size_t)(c->frames * c->height * c->width * c->channels);
        most = tub_model_prepares(p->list[i]) && input > most ? input : most;
    }
    return most;
}

tub_status predictor_classify(const predictor *p, predict_printer *printer,
                              const predict_block *block, tub_error *err) {
    const size_t classes = (size_t)tub_model_describe(p->list[0])->classes,
                 input = prepared_input(p, block);
    room r = {calloc(classes * BATCH, sizeof(float)), calloc(classes * BATCH, sizeof(float)),
              input > 0 ? calloc(input, PREPARED_BATCH * sizeof(float)) : NULL};
    tub_status status = TUB_E_MEMORY;
    if (r.logits == NULL || r.probabilities == NULL || (input > 0 && r.prepared == NULL)) {
        *err = (tub_error){.status = TUB_E_MEMORY, .message = "out of memory"};
    } else {
        status = classify_all(printer, p, block, &r, err);
    }
    free(r.prepared);
    free(r.probabilities);
    free(r.logits);
    return status;
}

/* A few samples in files by all models: the library reads them and takes them as the model does. */
static tub_status answer_samples(const predictor *p, const eval_part *of,
                                 const tub_file_options *views, float *logits, float *probabilities,
                                 tub_error *err) {
    tub_status status = TUB_OK;
    if (p->answers != NULL) {
        tub_answers_reset(p->answers, of->count);
    }
    for (int i = 0; i < p->members.count && status == TUB_OK; i++) {
        const tub_views tta = p->members.list[i].views;
        if (views != NULL) {
            tub_file_options o = *views;
            o.tta = tta;
            o.tta_average = p->average;
            status = eval_views(p->list[i], of, &o, logits, probabilities, err);
        } else {
            status = tub_predict_samples(p->list[i], of->data, of->split, of->first, of->count,
                                         of->count, tta, p->average, logits, probabilities, err);
        }
        if (status == TUB_OK && p->answers != NULL) {
            tub_answers_add(p->answers, logits, probabilities);
        }
    }
    if (status == TUB_OK && p->answers != NULL) {
        tub_answers_mean(p->answers, logits, probabilities);
    }
    return status;
}

tub_status predictor_classify_files(const predictor *p, predict_printer *printer,
                                    const tub_dataset *data, tub_split split,
                                    const tub_file_options *views, const predict_block *whole,
                                    tub_error *err) {
    const tub_model_config *c = tub_model_describe(p->list[0]);
    float *out = calloc((size_t)c->classes * 2 * PREPARED_BATCH, sizeof(float));
    tub_status status = TUB_OK;
    if (out == NULL) {
        *err = (tub_error){.status = TUB_E_MEMORY, .message = "out of memory"};
        return TUB_E_MEMORY;
    }
    float *probabilities = out + PREPARED_BATCH * c->classes;
    for (int64_t i = 0; i < whole->count && status == TUB_OK; i += PREPARED_BATCH) {
        const int64_t n = whole->count - i < PREPARED_BATCH ? whole->count - i : PREPARED_BATCH;
        const double start = predict_clock();
        const eval_part of = {data, split, i, n};
        status = answer_samples(p, &of, views, out, probabilities, err);
        const double milliseconds = (predict_clock() - start) * 1e3 / (double)n;
        for (int64_t k = 0; k < n && status == TUB_OK; k++) {
            tub_file file;
            status =
                tub_dataset_file(data, tub_dataset_sample_file(data, split, i + k), &file, err);
            if (status == TUB_OK) {
                const predict_line line = {.file = file.path,
                                           .index = i + k,
                                           .truth = truth_of(whole, c, i + k),
                                           .logits = out + k * c->classes,
                                           .probabilities = probabilities + k * c->classes,
                                           .milliseconds = milliseconds};
                predict_print(printer, &line);
            }
        }
    }
    free(out);
    return status;
}

tub_status predictor_check_shape(const predictor *p, const char *name, const predict_block *block,
                                 tub_error *err) {
    tub_error plain;
    tub_status status = TUB_OK;
    for (int i = 0; i < p->members.count && status == TUB_OK; i++) {
        status = tub_model_accepts(p->list[i], block->dtype, block->shape, &plain);
    }
    if (status != TUB_OK) {
        err->status = status;
        snprintf(err->message, sizeof err->message, "%.200s: %.300s", name, plain.message);
    }
    return status;
}

/* All models, which stay open: files come one by one. */
int predictor_open(const cli_command *self, cli_work *work, predictor *p) {
    const int count = p->members.count;
    tub_error err;
    int code = CLI_GO;
    p->list = calloc((size_t)count, sizeof *p->list);
    if (p->list == NULL) {
        return cli_fail_with(self, "out of memory");
    }
    for (int i = 0; i < count && code == CLI_GO; i++) {
        p->list[i] = members_open(self, work->context, &p->members.list[i], p->list[0], &code);
    }
    for (int i = 0; i < count && code == CLI_GO; i++) { /* before the first file */
        const tub_model_config *c = tub_model_describe(p->list[i]);
        if (tub_views_check(p->members.list[i].views, tub_model_labels(p->list[i]), c->classes,
                            &err) != TUB_OK) {
            code = cli_fail(self, &err);
        }
    }
    if (code == CLI_GO && count > 1 &&
        tub_answers_create(work->context, tub_model_describe(p->list[0]), BATCH, p->average,
                           &p->answers, &err) != TUB_OK) {
        code = cli_fail(self, &err);
    }
    return code;
}

void predictor_close(predictor *p) {
    tub_answers_free(p->answers);
    for (int i = 0; p->list != NULL && i < p->members.count; i++) {
        tub_model_close(p->list[i]);
    }
    free(p->list);
    members_free(&p->members);
}
