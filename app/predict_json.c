/* SPDX-License-Identifier: Apache-2.0 */
/* A prediction as a line of JSON (docs/json.md). */
#include "output.h"
#include "predict_print.h"

static json_t *numbers_json(const predict_printer *p, const predict_classes *classes) {
    json_t *list = json_array();
    for (int64_t i = 0; i < classes->count; i++) {
        const int64_t k = classes->list[i];
        json_array_append_new(list, json_integer(k - predict_head_begin(p->model, k)));
    }
    return list;
}

static json_t *labels_json(const predict_printer *p, const predict_classes *classes) {
    json_t *list = json_array();
    for (int64_t i = 0; i < classes->count; i++) {
        json_array_append_new(list, output_label(p->labels, classes->list[i]));
    }
    return list;
}

/* One class, or the lists of several. */
static void put_answer(const predict_printer *p, json_t *object) {
    if (p->model->task <= TUB_TASK_MULTI_CLASS) {
        json_object_set_new(object, "class", json_integer(p->told.list[0]));
        json_object_set_new(object, "label", output_label(p->labels, p->told.list[0]));
    } else {
        json_object_set_new(object, "classes", numbers_json(p, &p->told));
        json_object_set_new(object, "labels", labels_json(p, &p->told));
    }
}

static void put_truth(const predict_printer *p, const predict_line *line, json_t *object) {
    if (p->model->task > TUB_TASK_MULTI_CLASS && line->truth != NULL) {
        json_object_set_new(object, "truth", numbers_json(p, &p->truth));
    } else if (p->truth.count > 0) {
        json_object_set_new(object, "truth", json_integer(p->truth.list[0]));
    }
}

/* Of a row of a timeline and of a file, what a volume in an array has not. */
static void put_place(const predict_line *line, json_t *object) {
    if (line->window != NULL) {
        json_object_set_new(object, "start", output_number((double)line->window->begin / 1e9));
        json_object_set_new(object, "end", output_number((double)line->window->end / 1e9));
    }
    if (line->frames > 0) {
        json_object_set_new(object, "frames", json_integer(line->frames));
    }
    if (line->frames > 0 && line->window == NULL) {
        json_object_set_new(object, "seconds", output_number(line->seconds));
        json_object_set_new(object, "damage",
                            line->damage != NULL ? output_text(line->damage) : json_null());
    }
}

void predict_print_json(const predict_printer *p, const predict_line *line) {
    const int64_t classes = p->model->classes;
    json_t *object =
        json_pack("{s:o,s:I}", "file", output_text(line->file), "index", (json_int_t)line->index);
    json_t *rest =
        json_pack("{s:o,s:o}", "probabilities", output_floats(line->probabilities, classes),
                  "logits", output_floats(line->logits, classes));
    if (object != NULL && rest != NULL) {
        put_place(line, object);
        put_answer(p, object);
        if (line->window == NULL) {
            json_object_set_new(rest, "milliseconds", output_number(line->milliseconds));
        }
        json_object_set_new(rest, "weights",
                            p->weights != NULL ? json_string(p->weights) : json_null());
        if (json_object_update(object, rest) == 0) {
            put_truth(p, line, object);
        }
    }
    json_decref(rest);
    (void)output_line(object);
}
