/* SPDX-License-Identifier: Apache-2.0 */
/* The result of an evaluation as JSON (docs/json.md). */
#include "eval_print.h"

#include "output.h"

/* What was evaluated: the beginning of every object. */
static json_t *subject_json(const eval_subject *s, int64_t samples) {
    const bool several = s->file_views * s->crops > 1;
    json_t *seed =
        s->frames == TUB_FRAMES_SHUFFLED ? json_integer((json_int_t)s->frames_seed) : json_null();
    return json_pack(
        "{s:o,s:i,s:s,s:s?,s:I,s:i,s:s?,s:s?,s:o,s:s,s:s,s:s,s:o,s:I}", "model",
        output_text(s->model), "models", s->count, "average", tub_average_name(s->average), "tta",
        s->views == TUB_VIEWS_KINDS ? NULL : tub_views_name(s->views), "views",
        (json_int_t)s->file_views, "crops", s->crops, "views_average",
        several ? tub_average_name(s->file_average) : NULL, "weights", s->weights, "data",
        output_text(s->data), "split", s->split, "task", tub_task_name(s->task), "frames",
        tub_frame_order_name(s->frames), "frames_seed", seed, "samples", (json_int_t)samples);
}

static json_t *class_json(int64_t k, const char *const *labels, const tub_class_scores *c) {
    return json_pack("{s:I,s:o,s:I,s:o,s:o,s:o,s:o}", "class", (json_int_t)k, "label",
                     output_label(labels, k), "samples", (json_int_t)c->support, "precision",
                     output_number(c->precision), "recall", output_number(c->recall), "f1",
                     output_number(c->f1), "auc", output_number(c->auc));
}

/* Of one softmax. */
static json_t *metrics_json(const tub_metrics *m, const char *const *labels) {
    json_t *confusion = json_array(), *classes = json_array();
    for (int64_t i = 0; i < m->classes; i++) {
        json_array_append_new(confusion,
                              output_integers(m->confusion + i * m->classes, m->classes));
        json_array_append_new(classes, class_json(i, labels, &m->per_class[i]));
    }
    return json_pack("{s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "classes",
                     (json_int_t)m->classes, "top1", output_interval(&m->top1), "top5",
                     output_interval(&m->top5), "auc", output_interval(&m->auc), "acc",
                     output_interval(&m->acc), "loss", output_interval(&m->loss),
                     "balanced_accuracy", output_number(m->balanced_accuracy), "macro_f1",
                     output_number(m->macro_f1), "calibration_error",
                     output_number(m->calibration_error), "brier", output_number(m->brier),
                     "confusion", confusion, "per_class", classes);
}

static json_t *labels_json(const tub_label_metrics *m, const char *const *labels) {
    json_t *list = json_array();
    for (int64_t k = 0; k < m->labels; k++) {
        const tub_label_scores *c = &m->per_label[k];
        json_array_append_new(
            list, json_pack("{s:I,s:o,s:I,s:o,s:o,s:o,s:o,s:o}", "class", (json_int_t)k, "label",
                            output_label(labels, k), "samples", (json_int_t)c->support, "precision",
                            output_number(c->precision), "recall", output_number(c->recall), "f1",
                            output_number(c->f1), "auc", output_number(c->auc), "average_precision",
                            output_number(c->average_precision)));
    }
    return json_pack("{s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "classes", (json_int_t)m->labels,
                     "auc", output_interval(&m->auc), "acc", output_interval(&m->acc),
                     "mean_average_precision", output_interval(&m->precision), "micro_f1",
                     output_interval(&m->micro_f1), "macro_f1", output_interval(&m->macro_f1),
                     "loss", output_interval(&m->loss), "exact_match",
                     output_number(m->exact_match), "per_label", list);
}

static json_t *heads_json(const tub_head_metrics *m, const char *const *labels) {
    json_t *list = json_array();
    int64_t classes = 0;
    for (int64_t h = 0; h < m->heads; h++) {
        json_array_append_new(list, metrics_json(m->head[h], labels));
        labels = labels != NULL ? labels + m->head[h]->classes : NULL;
        classes += m->head[h]->classes;
    }
    return json_pack("{s:I,s:o,s:o,s:o,s:o}", "classes", (json_int_t)classes, "top1",
                     output_interval(&m->top1), "top5", output_interval(&m->top5), "loss",
                     output_interval(&m->loss), "heads", list);
}

/* Of predictions out of fold. */
static json_t *folds_json(const eval_subject *s) {
    return json_pack("{s:I,s:o,s:o}", "count", (json_int_t)s->folds, "mean",
                     output_scores(&s->mean), "std", output_scores(&s->deviation));
}

json_t *eval_json(const eval_subject *s) {
    json_t *whole, *more;
    if (s->label_metrics != NULL) {
        whole = subject_json(s, s->label_metrics->samples);
        more = labels_json(s->label_metrics, s->labels);
    } else if (s->head_metrics != NULL) {
        whole = subject_json(s, s->head_metrics->samples);
        more = heads_json(s->head_metrics, s->labels);
    } else {
        whole = subject_json(s, s->metrics->samples);
        more = metrics_json(s->metrics, s->labels);
    }
    if (s->folds > 0 && whole != NULL) {
        json_object_set_new(whole, "folds", folds_json(s));
    }
    if (whole == NULL || more == NULL || json_object_update_new(whole, more) != 0) {
        json_decref(whole);
        return NULL;
    }
    return whole;
}
